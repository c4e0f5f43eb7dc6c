"""Sections 8 and 10 of docs/format.md: what a person opens with their password."""

import json
from hashlib import sha256
from pathlib import Path

from ledger import Ledger, read_ledger
from sealing import (DESK_KEY, GRANT_KEY, HOLD_TEXT, OPERATION_PERSONS, REQUEST_PERSONS, Refused, hmac_sha256, open_sealed, open_under_password,
                     public_half)
from segment import Segment
from stored import Slots, parse_slots, refuse_unless
from volume import Volume

GRANT_SLOTS, DESK_SLOTS = 2, 3
READ_PERSONS = ("staff", "officer", "auditor")


def read_state(data: bytes, fields: set[str], name: str, more: frozenset = frozenset()) -> dict:
    """`more` may be there or not."""
    told = json.loads(data)
    refuse_unless(set(told) - more == fields and told["version"] == 1, f"{name}: other fields, or another version")
    return told


def read_json(path: Path, fields: set[str], more: frozenset = frozenset()) -> dict:
    return read_state(path.read_bytes(), fields, path.name, more)


def open_pair(pair: dict, password: str, context: str) -> bytes:
    kept = pair["private"]
    strength = kept["strength"]
    refuse_unless(strength["memory_kib"] <= 1_048_576 and strength["passes"] <= 16, "asks for too much work")
    private = open_under_password(password, strength, bytes.fromhex(kept["salt"]), context.encode(),
                                  bytes.fromhex(kept["sealed"]))
    refuse_unless(public_half(private).hex() == pair["public"], "is not the private half of its pair")
    return private


def open_with_any(keys: list[bytes], label: bytes, context: bytes, sealed: bytes) -> bytes:
    for key in keys[:-1]:
        try:
            return open_sealed(key, label, context, sealed)
        except Refused:
            continue
    return open_sealed(keys[-1], label, context, sealed)


class Person:
    """An account of a site, opened with its password."""

    def __init__(self, state: Path, name: str, password: str):
        self.state = state
        self.ledger, told = read_ledger([*(state / "ledger").glob("*.ledger"), *(state / "ledger").glob("root-*")], None)
        refuse_unless(told["ok"], f"the ledger does not hold: {told}")
        fields = {"version", "account", "name", "role", "session", "release"}
        # What is staged and on record comes before what it takes the place of.
        people = sorted((state / "people").iterdir(), key=lambda path: not path.suffix)
        accounts = [read_json(path, fields, frozenset({"second_factor"})) for path in people if self._is_on_record(path, fields)]
        self.account = next((account for account in accounts if account["name"] == name), None)
        refuse_unless(self.account is not None, "there is no such account")
        number, role, release = (self.account[field] for field in ("account", "role", "release"))
        refuse_unless(self.account["session"] is not None and self._rights(number) is not None,
                      "the ledger gave this account no rights")
        refuse_unless(self._rights(number) == (role, self.account["session"]["public"], release and release["public"]),
                      "the ledger gave this account other rights")
        self.role = role
        self.private = open_pair(self.account["session"], password, f"custodian/1 account {number} session key")
        self.release = release and open_pair(release, password, f"custodian/1 account {number} release key")

    def _rights(self, number: int) -> tuple | None:
        """Role, session key and release key, as the rows of an account add up."""
        rights = None
        for act in (act for act in self.ledger.acts if act.get("account") == number):
            if act["kind"] == "rights-granted":
                rights = (act["role"], act["key"], act["release_key"])
            elif act["kind"] == "rights-changed":
                rights = rights and (act["role"], rights[1], act["release_key"])
            elif act["kind"] in ("rights-removed", "password-reset"):
                rights = None
        return rights

    def _is_on_record(self, path: Path, fields: set[str]) -> bool:
        number = int(path.name.split(".")[0], 16)
        files = [act["file"] for act in self.ledger.acts if act.get("account") == number and act.get("file")]
        if files:
            return sha256(path.read_bytes()).hexdigest() == files[-1]
        return not path.suffix

    def persons(self) -> dict:
        """What the requests hold of persons; empty for who does not read that."""
        desk = self._desk()
        return {act["request"]: self._persons_of(desk, act) for act in acts(self.ledger, "request-submitted")
                if desk is not None and not self._is_erased("request", act["request"])}

    def proofs(self) -> dict:
        """What proves that letters were delivered, by the row of each."""
        desk = self._desk()
        return {act["produced"]: self._proof_of(desk, act) for act in acts(self.ledger, "letter-delivered")
                if desk is not None and act["proof"] is not None and not self._is_erased("request", act["request"])}

    def reasons(self) -> dict:
        """Why something was decided or proposed, by request, in the order of the rows."""
        desk, told = self._desk(), {}
        for kind, field in (("decision-proposed", "proposed"), ("request-decided", "decision")):
            for act in acts(self.ledger, kind):
                says = act[field].get("rest", act[field])
                reason, request = says.get("reason"), act["request"]
                if isinstance(reason, dict) and desk is not None and not self._is_erased("request", request):
                    reason = self._sheet_of(desk, request, reason)["reason"]
                if isinstance(reason, str):
                    told.setdefault(request, []).append(reason)
        return told

    def _is_erased(self, kind: str, number: int) -> bool:
        return {kind: number} in [act["of"] for act in acts(self.ledger, "paper-erased")]

    def hold_texts(self) -> dict:
        """The texts of officers' holds."""
        desk = self._desk()
        return {act["hold"]: self._text_of(desk, act) for act in acts(self.ledger, "hold-ordered")
                if desk is not None and not self._is_erased("hold", act["hold"])}

    def operations(self) -> dict:
        """Operations: which camera filmed one, from when to when, and who asked for it."""
        desk = self._desk()
        told = {}
        for act, at in zip(self.ledger.acts, self.ledger.times):
            if act["kind"] == "operation-started" and desk is not None:
                asker = {} if self._is_erased("operation", act["operation"]) else self._asker_of(desk, act)
                told[act["operation"]] = {"camera": act["camera"], "asked_by": act["asked_by"], "from": at, "to": None,
                                          **asker}
            elif act["kind"] == "operation-ended" and desk is not None:
                told[act["operation"]]["to"] = at
        return told

    def _desk(self) -> list[bytes] | None:
        """The desk's private halves, the newest first."""
        if self.role not in READ_PERSONS:
            return None
        pairs = [("desk", acts(self.ledger, "site-made")[0]["desk"])]
        pairs += [(f"desk-{act['number']}", act["desk"]) for act in acts(self.ledger, "desk-rotated")]
        opened = []
        for name, public in reversed(pairs):
            public = bytes.fromhex(public)
            slots = parse_slots((self.state / name).read_bytes(), DESK_SLOTS)
            refuse_unless(slots.facts == public + bytes(32), "the desk is not the ledger's")
            desk = open_sealed(self.private, DESK_KEY, public, slots.slots[public_half(self.private)])
            refuse_unless(public_half(desk) == public, "the desk's key is not the ledger's")
            opened.append(desk)
        return opened

    def _persons_of(self, desk: list[bytes], act: dict) -> dict:
        request = act["request"]
        stored = read_json(self.state / "requests" / f"{request:08x}", {"version", "request", "persons"})
        refuse_unless(stored["request"] == request, "is another request's")
        return self._salted(desk, (REQUEST_PERSONS, request.to_bytes(4, "big")), stored["persons"], act["persons"])

    def _proof_of(self, desk: list[bytes], act: dict) -> str:
        return self._sheet_of(desk, act["request"], act["proof"])["proof"]

    def _sheet_of(self, desk: list[bytes], request: int, sealed: dict) -> dict:
        sheet = sealed["sheet"]
        stored = read_json(self.state / "requests" / f"{request:08x}-{sheet:016x}", {"version", "request", "persons"})
        refuse_unless(stored["request"] == request, "is another request's")
        bound_to = (REQUEST_PERSONS, request.to_bytes(4, "big") + sheet.to_bytes(8, "big"))
        return self._salted(desk, bound_to, stored["persons"], sealed["fields"])

    def _text_of(self, desk: list[bytes], act: dict) -> str:
        hold = act["hold"]
        stored = read_json(self.state / "requests" / f"h{hold:08x}", {"version", "hold", "text"})
        refuse_unless(stored["hold"] == hold, "is another hold's")
        return self._salted(desk, (HOLD_TEXT, hold.to_bytes(4, "big")), stored["text"], act["text"])["text"]

    def _asker_of(self, desk: list[bytes], act: dict) -> dict:
        operation = act["operation"]
        stored = read_json(self.state / "requests" / f"o{operation:08x}", {"version", "operation", "persons"})
        refuse_unless(stored["operation"] == operation, "is another operation's")
        return self._salted(desk, (OPERATION_PERSONS, operation.to_bytes(4, "big")), stored["persons"], act["persons"])

    def _salted(self, desk: list[bytes], bound_to: tuple[bytes, bytes], stored: dict, committed: str) -> dict:
        sealed = bytes.fromhex(stored["encapsulated"] + stored["ciphertext"])
        salted = json.loads(open_with_any(desk, bound_to[0], bound_to[1], sealed))
        refuse_unless(hmac_sha256(bytes.fromhex(salted["salt"]), salted["fields"].encode()).hex() == committed,
                      "is not what the ledger committed to")
        return json.loads(salted["fields"])

    def grants(self, volume: Path) -> list[dict]:
        """The person's grants, and what their keys open on a volume."""
        told = []
        for act in acts(self.ledger, "request-decided"):
            decision = act["decision"]
            if decision["outcome"] != "approved" or decision["viewer"] != self.account["account"]:
                continue
            path = self.state / "grants" / f"{decision['grant']:08x}"
            if path.exists():
                slots = parse_slots(path.read_bytes(), GRANT_SLOTS)
                facts = decision["grant"].to_bytes(4, "big") + public_half(self.private) + bytes(28)
                refuse_unless(slots.facts == facts, "is another grant, or another viewer's")
                told.append({"grant": decision["grant"], "segments": decision["segments"]}
                            | self._open_grant(slots, facts[:4], decision["slots"], volume))
        return told

    def _open_grant(self, slots: Slots, grant: bytes, digest: str, path: Path) -> dict:
        staged = sha256(b"".join(owner + sealed for owner, sealed in slots.slots.items())).hexdigest()
        volume = Volume(path, self.private)
        opened = []
        for owner, sealed in slots.slots.items():
            data_key = open_sealed(self.private, GRANT_KEY, grant + owner, sealed)
            number = int.from_bytes(owner[16:24], "big")
            refuse_unless(owner == volume.id + number.to_bytes(8, "big") + bytes(8), "a slot is of something else")
            life = volume.segments[number]
            end = volume.ends(number, life)[0]
            segment = Segment(volume.file_of(number, life), end.chunks, end.has_footer)
            opened.append({"segment": f"{number:016x}", "bytes": len(segment.open_with(data_key))})
        return {"as_decided": staged == digest, "opened": opened}


def acts(ledger: Ledger, kind: str) -> list[dict]:
    return [act for act in ledger.acts if act["kind"] == kind]


def read_person(state: Path, volume: Path, name: str, password: str) -> dict:
    try:
        person = Person(state, name, password)
        day_keys = 0
        if person.release:
            opened = Volume(volume, person.release)
            day_keys = len([opened.day_key(number) for number in opened.day_keys])
        return {"ok": True, "role": person.role, "persons": person.persons(), "proofs": person.proofs(),
                "reasons": person.reasons(), "holds": person.hold_texts(),
                "operations": person.operations(), "grants": person.grants(volume),
                "day_keys": day_keys}
    except (Refused, OSError, KeyError) as e:
        return {"ok": False, "what": str(e)}
