"""Test vectors of every stored format but the segment: whole ones, and what can be wrong with one."""

import json
import struct
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sealing import DAY_KEY, DESK_KEY, GRANT_KEY, public_half, seal_to
from stored import BLOCK, COMMIT_REGION, crc32c

# The key that opens what these vectors seal, another one, and what is sealed.
KEY = bytes(range(1, 33))
OTHER_KEY = bytes(range(2, 34))
EPHEMERAL = bytes(range(101, 133))
SECRET = bytes(range(151, 183))
SIGNER = bytes(range(11, 43))

VOLUME, SITE = bytes(range(16)), bytes(range(16, 32))
SEGMENT, DAY_KEY_ID = 0x0123456789ABCDEF, 0xFEDCBA9876543210
START = 1_795_341_600_000_000
MINUTE = 60_000_000
DAY_KEY_PUBLIC = public_half(SECRET)

Vector = tuple[str, str, bytes, object]


def with_crc(data: bytes) -> bytes:
    return data + crc32c(data).to_bytes(4, "big")


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def volumes() -> list[Vector]:
    def written(version: int = 1, reserved: bytes = bytes(6)) -> bytes:
        return with_crc(b"CUSTODVO" + struct.pack(">H6s16s16s", version, reserved, VOLUME, SITE))

    whole = written()
    told = {"volume": VOLUME.hex(), "site": SITE.hex()}
    return [
        ("volume", "whole", whole, told),
        ("volume", "version_0", written(version=0), None),
        ("volume", "version_2", written(version=2), None),
        ("volume", "reserved_bytes", written(reserved=b"\0\0\0\0\0\1"), None),
        ("volume", "wrong_crc", changed(whole, 51), None),
        ("volume", "id_changed", changed(whole, 16), None),
        ("volume", "cut_short", whole[:-1], None),
        ("volume", "a_byte_more", whole + b"\0", None),
    ]


def record(payload: bytes) -> bytes:
    return struct.pack(">II", len(payload), crc32c(payload)) + payload


def payloads() -> list[bytes]:
    digest, end = bytes(range(64, 96)), START + MINUTE
    return [
        struct.pack(">BQH32s", 1, DAY_KEY_ID, 7, DAY_KEY_PUBLIC),
        struct.pack(">BQHqQ32s", 2, SEGMENT, 7, START, DAY_KEY_ID, digest),
        struct.pack(">BQIQQq32sBI", 3, SEGMENT, 61, 30_000_000, 31_457_280, end, digest, 1, 2)
        + struct.pack(">QQQQ", 1 << 30, 1 << 20, 1 << 31, 29 << 20),
        struct.pack(">BHqqB", 4, 7, end, end + MINUTE, 3),
        struct.pack(">BQ", 5, SEGMENT),
        struct.pack(">BQq", 6, SEGMENT, end + 2 * MINUTE),
        struct.pack(">BQqBBQ", 7, SEGMENT, end + 2 * MINUTE, 0, 0, 31_457_280),
        struct.pack(">BQq", 8, DAY_KEY_ID, end + 3 * MINUTE),
        struct.pack(">B", 9),
        struct.pack(">BQqB", 10, SEGMENT, end + MINUTE, 3),
        struct.pack(">BQqB", 10, SEGMENT + 1, end + MINUTE, 4),
    ]


def carried(camera: int = 7, ranges: int = 2) -> bytes:
    end, digest = START + MINUTE, sha256(b"a head").digest()
    return (struct.pack(">BQHqqQ32sIQQ32sBI", 11, SEGMENT, camera, START, end, DAY_KEY_ID, digest, 61, 30_000_000, 31_457_280,
                        sha256(b"a segment").digest(), 1, ranges)
            + struct.pack(">QQQQ", 1 << 30, 1 << 20, 1 << 31, 29 << 20))


def manifests() -> list[Vector]:
    def header(version: int = 1, retention: int = 0, reserved: bytes = bytes(20)) -> bytes:
        day = START // 86_400_000_000
        return with_crc(b"CUSTODMF" + struct.pack(">HHIQ16s20s", version, retention, day, 2_592_000, VOLUME, reserved))

    all_of_them = payloads()

    def written(made: list[bytes], head: bytes = header()) -> bytes:
        return head + b"".join(map(record, made))

    def told(made: list[bytes], head: bytes = header()) -> dict:
        digest = sha256(head).digest()
        for payload in made:
            digest = sha256(digest + payload).digest()
        return {"records": len(made), "head": digest.hex()}

    def ending(name: str, bad: bytes) -> Vector:
        """What stands before a bad record counts, and nothing behind it."""
        return ("manifest", name, written(all_of_them[:3]) + bad + record(all_of_them[4]), told(all_of_them[:3]))

    whole, gap = written(all_of_them), all_of_them[3]
    other = [*all_of_them[:3], struct.pack(">BHqqB", 4, 8, START, START + 1, 3), *all_of_them[4:]]
    floor = header(retention=1)
    of_holds = header(reserved=struct.pack(">IQ8s", 1, SEGMENT, bytes(8)))
    held = [all_of_them[0], carried(), *all_of_them[5:]]
    in_doubt = [
        struct.pack(">BqB", 20, START, 1),
        *all_of_them[:3],
        struct.pack(">Bqqq", 21, START, 60_000_000, 60_000_000),
        struct.pack(">BqB", 20, -(1 << 63), 0),
    ]
    return [
        ("manifest", "time_in_doubt", written(in_doubt), told(in_doubt)),
        ending("doubt_neither_known_nor_not", record(struct.pack(">BqB", 20, START, 2))),
        ending("no_doubt_that_is_known", record(struct.pack(">BqB", 20, -(1 << 63), 1))),
        ending("correction_with_its_bounds_crossed", record(struct.pack(">Bqqq", 21, START, 1, 0))),
        ending("correction_of_no_doubt", record(struct.pack(">Bqqq", 21, -(1 << 63), 0, 0))),
        ("manifest", "whole", whole, told(all_of_them)),
        ("manifest", "whole_of_a_floor", written(all_of_them, floor), told(all_of_them, floor)),
        ("manifest", "whole_of_holds", written(held, of_holds), told(held, of_holds)),
        ("manifest", "carries_on_without_a_number",
         written(held, header(reserved=struct.pack(">IQ8s", 0, SEGMENT, bytes(8)))), None),
        ending("carried_of_camera_0", record(carried(camera=0))),
        ending("carried_with_a_range_less_than_it_says", record(carried(ranges=3))),
        ("manifest", "cut_in_a_record", whole[:-5], told(all_of_them[:-1])),
        ("manifest", "cut_between_records", written(all_of_them[:8]), told(all_of_them[:8])),
        ("manifest", "cut_in_the_header", header()[:40], None),
        ("manifest", "record_taken_out", written(all_of_them[:3] + all_of_them[4:]),
         told(all_of_them[:3] + all_of_them[4:])),
        ("manifest", "record_changed_and_its_crc_too", written(other), told(other)),
        ending("record_changed", changed(record(gap), 10)),
        ending("record_of_unknown_kind", record(b"\xff")),
        ending("record_without_a_kind", record(b"")),
        ending("record_with_a_byte_more", record(gap + b"\0")),
        ending("record_with_a_byte_less", record(gap[:-1])),
        ending("gap_that_ends_before_it_begins", record(struct.pack(">BHqqB", 4, 7, START, START, 3))),
        ending("gap_of_unknown_cause", record(gap[:-1] + b"\xC8")),
        ending("condemned_for_its_age", record(struct.pack(">BQqB", 10, SEGMENT, START, 0))),
        ending("record_of_camera_0", record(gap[:1] + bytes(2) + gap[3:])),
        ending("more_ranges_than_there_are", record(struct.pack(">BQIQQq32sBI", 3, SEGMENT, 1, 1, 1, START, bytes(32),
                                                                1, 0xFFFFFFFF))),
        ending("neither_with_a_footer_nor_without", record(struct.pack(">BQIQQq32sBI", 3, SEGMENT, 1, 1, 1, START,
                                                                       bytes(32), 2, 0))),
        ("manifest", "version_0", written(all_of_them, header(version=0)), None),
        ("manifest", "version_2", written(all_of_them, header(version=2)), None),
        ("manifest", "unknown_retention", written(all_of_them, header(retention=2)), None),
        ("manifest", "reserved_bytes", written(all_of_them, header(reserved=bytes(19) + b"\1")), None),
        ("manifest", "wrong_crc_of_the_header", changed(whole, 63), None),
    ]


def commits() -> list[Vector]:
    def table(number: int, version: int = 1, reserved: bytes = bytes(3), count: int | None = None) -> bytes:
        entry = struct.pack(">QIB3sQq32sI", SEGMENT, number, 0, reserved, 4096 * number, START + MINUTE, bytes(32), 7)
        header = b"CUSTODCT" + struct.pack(">H2sIQ", version, bytes(2), 2 if count is None else count, number)
        return with_crc(header + 2 * entry)

    def file(even: bytes, odd: bytes) -> bytes:
        return (even.ljust(COMMIT_REGION, b"\0") + odd).ljust(2 * COMMIT_REGION, b"\0")

    return [
        ("commits", "whole", file(table(4), table(5)), [5, 4]),
        ("commits", "newest_table_torn", file(table(4), changed(table(5), 100)), [4]),
        ("commits", "never_written", bytes(2 * COMMIT_REGION), []),
        ("commits", "version_2", file(table(4), table(5, version=2)), None),
        ("commits", "reserved_bytes_of_an_entry", file(table(4), table(5, reserved=b"\0\0\1")), None),
        ("commits", "more_entries_than_there_is_room_for", file(table(4), table(5, count=1024)), [4]),
    ]


def slot(owner: bytes, sealed: bytes) -> bytes:
    return with_crc(b"\0\0\0\1" + owner + sealed).ljust(BLOCK, b"\0")


def slot_file(purpose: int, facts: bytes, slots: list[bytes], version: int = 1, count: int | None = None) -> bytes:
    head = b"CUSTODSL" + struct.pack(">HHI", version, purpose, len(slots) if count is None else count)
    return with_crc(head + facts.ljust(64, b"\0")).ljust(BLOCK, b"\0") + b"".join(slots)


def slots() -> list[Vector]:
    """Told are the owners of the slots in use, and what KEY opens: in a grant, of the first of them."""
    empty, mine, others = bytes(BLOCK), public_half(KEY), public_half(OTHER_KEY)
    facts = VOLUME + DAY_KEY_ID.to_bytes(8, "big") + DAY_KEY_PUBLIC

    def day_key_for(owner: bytes, context: bytes = facts, key: bytes | None = None) -> bytes:
        return slot(owner, seal_to(key or owner, EPHEMERAL, DAY_KEY, context, SECRET))

    def told(owners: list[bytes], secret: bytes | None = SECRET) -> dict:
        return {"owners": [owner.hex() for owner in owners], "secret": secret and secret.hex()}

    two = [day_key_for(mine), day_key_for(others), empty]
    day_key = slot_file(1, facts, two)
    found = [
        ("whole_day_key", day_key, told([mine, others])),
        ("recipient_removed", slot_file(1, facts, [empty, *two[1:]]), told([others], None)),
        ("recipient_damaged", slot_file(1, facts, [changed(two[0], 40), *two[1:]]), told([others], None)),
        ("recipient_put_in_anothers_place", slot_file(1, facts, [day_key_for(mine, key=others), *two[1:]]),
         told([mine, others], None)),
        ("slot_of_another_day_key", slot_file(1, facts, [day_key_for(mine, changed(facts, 20)), *two[1:]]),
         told([mine, others], None)),
        ("day_key_of_another_volume", slot_file(1, changed(facts, 0), two), told([mine, others], None)),
        ("reserved_bytes_of_a_slot", slot_file(1, facts, [changed(two[0], 4095), *two[1:]]), told([others], None)),
        ("slot_with_another_mark", slot_file(1, facts, [with_crc(b"\0\0\0\2" + two[0][4:116]).ljust(BLOCK, b"\0"),
                                                        *two[1:]]), told([others], None)),
        ("cut_in_a_slot", day_key[:2 * BLOCK + 50], told([mine])),
        ("day_key_version_0", slot_file(1, facts, two, version=0), None),
        ("day_key_version_2", slot_file(1, facts, two, version=2), None),
        ("of_unknown_purpose", slot_file(4, facts, two), None),
        ("more_slots_than_allowed", slot_file(1, facts, two, count=16_385), None),
        ("wrong_crc_of_the_header", changed(day_key, 80), None),
        ("reserved_bytes_of_the_header", changed(day_key, 4095), None),
        ("header_overwritten", bytes(BLOCK) + day_key[BLOCK:], None),
    ]
    return [("slots", name, data, expected) for name, data, expected in [*found, *grants(), *desks()]]


def grant_owner(segment: int) -> bytes:
    return VOLUME + segment.to_bytes(8, "big") + bytes(8)


def grants() -> list[tuple[str, bytes, object]]:
    number, viewer, others = (9).to_bytes(4, "big"), public_half(KEY), public_half(OTHER_KEY)
    first, second = grant_owner(SEGMENT), grant_owner(SEGMENT + 1)

    def sealed(owner: bytes, key: bytes = viewer, grant: bytes = number) -> bytes:
        return seal_to(key, EPHEMERAL, GRANT_KEY, grant + owner, SECRET)

    def written(*made: bytes, version: int = 1) -> bytes:
        return slot_file(2, number + viewer, list(made), version=version)

    def told(owners: list[bytes], secret: bytes | None) -> dict:
        return {"owners": [owner.hex() for owner in owners], "secret": secret and secret.hex()}

    both, behind = [first, second], slot(second, sealed(second))
    return [
        ("whole_grant", written(slot(first, sealed(first)), behind), told(both, SECRET)),
        ("grant_with_its_slots_deleted", written(bytes(BLOCK), bytes(BLOCK)), told([], None)),
        ("grant_of_another_viewer", written(slot(first, sealed(first, key=others)), behind), told(both, None)),
        ("slot_of_another_grant", written(slot(first, sealed(first, grant=(8).to_bytes(4, "big"))), behind),
         told(both, None)),
        ("slots_with_each_others_keys", written(slot(first, sealed(second)), slot(second, sealed(first))),
         told(both, None)),
        ("grant_version_2", written(slot(first, sealed(first)), behind, version=2), None),
    ]


def desks() -> list[tuple[str, bytes, object]]:
    mine, public = public_half(KEY), DAY_KEY_PUBLIC
    person = slot(mine, seal_to(mine, EPHEMERAL, DESK_KEY, public, SECRET))
    return [
        ("whole_desk", slot_file(3, public, [bytes(BLOCK), person]), {"owners": [mine.hex()], "secret": SECRET.hex()}),
        ("desk_of_which_a_person_was_removed", slot_file(3, public, [bytes(BLOCK)] * 2), {"owners": [], "secret": None}),
        ("desk_of_another_key", slot_file(3, public_half(KEY), [bytes(BLOCK), person]),
         {"owners": [mine.hex()], "secret": None}),
    ]


def states() -> list[Vector]:
    """JSON: told is whether it is read."""
    def key(n: int) -> str:
        return bytes(range(n, n + 32)).hex()

    at = "2026-11-22T10:00:00.000000Z"
    span = {"from": at, "to": "2026-11-22T10:01:00.000000Z"}
    strength = {"memory_kib": 65_536, "passes": 3, "lanes": 4}
    pair = {"public": key(1), "private": {"strength": strength, "salt": key(3)[:32], "sealed": key(5) + key(7)[:32]}}
    whole = {
        "account": {"version": 1, "account": 3, "name": "viewer", "role": "viewer", "session": pair, "release": None},
        "request": {"version": 1, "request": 4, "persons": {"encapsulated": key(9), "ciphertext": key(11)}},
        "holds": {"version": 1, "holds": [{"request": 4, "cameras": [7, 8], "span": span}]},
        "clock": {"version": 1, "trusted": at, "stepped_s": 60},
    }
    made = []
    for kind, fields in whole.items():
        def text(**changes) -> bytes:
            return json.dumps(fields | changes, separators=(",", ":")).encode()

        made += [
            (kind, "whole", text(), True),
            (kind, "version_0", text(version=0), False),
            (kind, "version_2", text(version=2), False),
            (kind, "version_missing", json.dumps({name: fields[name] for name in list(fields)[1:]}).encode(), False),
            (kind, "field_that_is_not_known", text(more=1), False),
            (kind, "cut_short", text()[:-1], False),
            (kind, "more_behind_it", text() + b"{}", False),
            (kind, "empty", b"", False),
        ]
    bounds = {"least_micros": 0, "most_micros": 7}
    settled = [{"up_to": at, "exact": at, "exact_micros": 7, "others": bounds}]
    clock = whole["clock"] | {"vouched": at, "doubt": at, "was_in_doubt": False, "settled": settled}
    made.append(("clock", "whole_with_doubts", json.dumps(clock).encode(), True))
    for name, changes, is_read in (("whole_of_an_officer", {"hold": 1}, True), ("of_nothing", {}, False),
                                   ("of_both", {"request": 4, "hold": 1}, False)):
        hold = changes | {"cameras": [7], "span": span}
        text = json.dumps({"version": 1, "holds": [whole["holds"]["holds"][0], hold]}, separators=(",", ":"))
        made.append(("holds", name, text.encode(), is_read))
    return made


def keys() -> list[Vector]:
    """Told are whether it is a signing key, and the site's number that it says."""
    site = SITE.hex()
    return [
        ("keys", "whole_signing_key", SIGNER, {"signing_key": True, "site": None}),
        ("keys", "signing_key_with_a_byte_less", SIGNER[:-1], {"signing_key": False, "site": None}),
        ("keys", "signing_key_with_a_byte_more", SIGNER + b"\0", {"signing_key": False, "site": None}),
        ("keys", "whole_site", site.encode() + b"\n", {"signing_key": False, "site": site}),
        ("keys", "site_with_a_byte_less", site[:-2].encode() + b"\n", {"signing_key": False, "site": None}),
        ("keys", "site_overwritten", bytes(33), {"signing_key": False, "site": None}),
    ]


class Chain:
    """Ledger rows, each with its digest."""

    def __init__(self, label: bytes = b"custodian ledger 1"):
        self.label, self.head, self.sequence, self.lines = label, bytes(32), 0, []

    def add(self, act: dict, actor: dict | None = None) -> None:
        self.sequence += 1
        row = {"sequence": self.sequence, "at": "2026-11-22T10:00:00.000000Z", "actor": actor or {"who": "daemon"},
               "act": act}
        text = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()
        self.head = sha256(self.label + self.head + text).digest()
        self.lines.append(self.head.hex().encode() + b" " + text + b"\n")

    def checkpoint(self, signer: bytes = SIGNER, head: bytes | None = None) -> None:
        at_head = {"records": 9, "digest": bytes(32).hex()}
        signed = {"site": SITE.hex(), "sequence": self.sequence, "head": (head or self.head).hex(),
                  "manifests": [{"volume": VOLUME.hex(), "manifest": f"{SEGMENT:016x}", "head": at_head}],
                  "signature": None}
        text = json.dumps(signed, separators=(",", ":")).encode()
        signature = Ed25519PrivateKey.from_private_bytes(signer).sign(b"custodian checkpoint 1" + text)
        self.add({"kind": "checkpoint"} | signed | {"signature": signature.hex()})


def a_ledger(label: bytes = b"custodian ledger 1", signer: bytes = SIGNER, head: bytes | None = None) -> Chain:
    public = Ed25519PrivateKey.from_private_bytes(SIGNER).public_key().public_bytes_raw().hex()
    span = {"from": "2026-11-22T09:00:00.000000Z", "to": "2026-11-22T09:01:00.000000Z"}
    keys_of = [public_half(KEY).hex(), public_half(OTHER_KEY).hex()]
    officer = {"who": "person", "account": 1, "address": "127.0.0.1"}
    chain = Chain(label)
    chain.add({"kind": "file-opened", "site": SITE.hex(), "previous": bytes(32).hex()})
    chain.add({"kind": "site-made", "signer": public, "desk": DAY_KEY_PUBLIC.hex(), "recovery": keys_of[0]},
              {"who": "console"})
    chain.add({"kind": "rights-granted", "account": 1, "role": "officer", "key": keys_of[0], "release_key": keys_of[1],
               "reason": "the site was made"}, {"who": "console"})
    chain.add({"kind": "request-submitted", "request": 4, "asked": "viewing", "cameras": [7], "span": span,
               "due": "2026-12-02T10:00:00.000000Z", "persons": bytes(32).hex()}, officer)
    chain.add({"kind": "hold-placed", "request": 4, "cameras": [7], "span": span})
    chain.add({"kind": "identity-checked", "request": 4, "document": "passport"}, officer)
    chain.add({"kind": "request-decided", "request": 4, "decision": {
        "outcome": "approved", "grant": 9, "viewer": 3, "views": [{"camera": 7, "span": span}],
        "ends": "2026-11-29T10:00:00.000000Z", "segments": 2, "slots": bytes(32).hex()}}, officer)
    chain.add({"kind": "view-refused", "request": None, "camera": None, "span": None, "why": "no-grant"},
              {"who": "nobody", "address": "::1"})
    chain.add({"kind": "footage-destroyed", "volume": VOLUME.hex(), "day": 20_779, "camera": 7, "span": span,
               "segments": 1, "bytes": 31_457_280, "digest": bytes(32).hex(), "trigger": "expiry",
               "technique": "overwritten", "overwrite": "proven"})
    chain.checkpoint(signer, head)
    chain.add({"kind": "daemon-stopped"})
    return chain


def closed_ledger() -> Chain:
    chain, minute = a_ledger(), {"from": "2026-11-22T09:00:00.000000Z", "to": "2026-11-22T09:01:00.000000Z"}
    later = {"from": minute["to"], "to": "2026-11-22T09:02:00.000000Z"}
    camera = {"camera": 7, "segments": 2, "coverage": [{"span": minute, "destroyed": "2026-12-22T09:00:00.500000Z", "trigger": "expiry", "in_doubt": False},
                                                       {"span": later, "destroyed": None, "trigger": None, "in_doubt": False}],
              "gaps": [{"span": later, "cause": "disconnected"}], "first": bytes(32).hex(), "last": bytes(32).hex()}
    chain.add({"kind": "manifest-closed", "volume": VOLUME.hex(), "manifest": f"{SEGMENT:016x}", "day": 20_779,
               "retention": {"kind": "ceiling", "period_s": 2_592_000},
               "head": {"records": 9, "digest": bytes(32).hex()}, "carried_to": None, "cameras": [camera]})
    return chain


def ledger_with_a_key() -> Chain:
    """A row of an idempotency key, and what was made under it."""
    chain, officer = a_ledger(), {"who": "person", "account": 1, "address": "127.0.0.1"}
    chain.add({"kind": "once", "key": sha256(b"a key").hexdigest(), "body": sha256(b"a body").hexdigest()}, officer)
    chain.add({"kind": "operation-started", "operation": 1, "camera": 7, "asked_by": "guardian",
               "persons": bytes(32).hex()}, officer)
    return chain


def as_line(told: dict) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def roots() -> list[Vector]:
    """Told are the rows that are carried on, and the number and digest that the ledger goes on from."""
    chain = a_ledger()
    header = {"version": 1, "site": SITE.hex(), "month": "2026-11", "last": chain.sequence, "head": chain.head.hex(),
              "rows": 2}

    def written(lines: list[bytes] = chain.lines[1:3], **other: object) -> bytes:
        told = as_line(header | other) + b"".join(lines)
        return told + b"end " + sha256(told).hexdigest().encode() + b"\n"

    whole = written()
    return [
        ("root", "whole", whole, {"rows": 2, "last": chain.sequence, "head": chain.head.hex()}),
        ("root", "whole_of_nothing", written([], rows=0), {"rows": 0, "last": chain.sequence, "head": chain.head.hex()}),
        ("root", "version_2", written(version=2), None),
        ("root", "field_that_is_not_known", written(more=1), None),
        ("root", "row_less_than_it_says", written(chain.lines[1:2]), None),
        ("root", "row_more_than_it_says", written(chain.lines[1:4]), None),
        ("root", "row_that_is_none", written([chain.lines[1], b"no row\n"]), None),
        ("root", "row_changed", whole.replace(b'"account":1', b'"account":2'), None),
        ("root", "cut_short", whole[:-30], None),
        ("root", "without_its_end", whole[:whole.rindex(b"end ")], None),
        ("root", "more_behind_it", whole + b"\n", None),
        ("root", "empty", b"", None),
    ]


def sums() -> list[Vector]:
    """Told are the rows that are kept, and the number and digest of the month's last row."""
    chain = a_ledger()
    header = {"version": 1, "site": SITE.hex(), "month": "2026-11", "bytes": sum(map(len, chain.lines)), "first": 1,
              "last": chain.sequence, "previous": bytes(32).hex(), "head": chain.head.hex(), "kept": 2, "others": "{}"}

    def written(lines: list[bytes] = chain.lines[1:3], signer: bytes = SIGNER, **other: object) -> bytes:
        told = as_line(header | other) + b"".join(lines)
        signature = Ed25519PrivateKey.from_private_bytes(signer).sign(b"custodian ledger sum 1" + sha256(told).digest())
        return told + b"signature " + signature.hex().encode() + b"\n"

    whole = written()
    return [
        ("sum", "whole", whole, {"rows": 2, "last": chain.sequence, "head": chain.head.hex()}),
        ("sum", "whole_of_receipts_alone", written([], kept=0), {"rows": 0, "last": chain.sequence, "head": chain.head.hex()}),
        ("sum", "signed_by_another", written(signer=KEY), None),
        ("sum", "version_2", written(version=2), None),
        ("sum", "field_that_is_not_known", written(more=1), None),
        ("sum", "row_less_than_it_says", written(chain.lines[1:2]), None),
        ("sum", "row_more_than_it_says", written(chain.lines[1:4]), None),
        ("sum", "row_that_is_none", written([chain.lines[1], b"no row\n"]), None),
        ("sum", "row_changed", whole.replace(b'"account":1', b'"account":2'), None),
        ("sum", "cut_short", whole[:-30], None),
        ("sum", "without_its_signature", whole[:whole.rindex(b"signature ")], None),
        ("sum", "more_behind_it", whole + b"\n", None),
        ("sum", "empty", b"", None),
    ]


def ledgers() -> list[Vector]:
    """Told are the rows that verify, and the first that does not."""
    lines = a_ledger().lines
    # A row that says something else, under the digest of what it said before.
    changed_row = lines[3].replace(b'"cameras":[7]', b'"cameras":[8]')
    in_capitals = lines[3][:64].upper() + lines[3][64:]

    def told(rows: int, bad: int | None = None) -> dict:
        return {"rows": rows, "bad_row": bad}

    found = [
        ("whole", lines, told(11)),
        ("whole_with_a_closed_manifest", closed_ledger().lines, told(12)),
        ("whole_with_an_idempotency_key", ledger_with_a_key().lines, told(13)),
        ("row_changed", [*lines[:3], changed_row, *lines[4:]], told(3, 4)),
        ("row_taken_out", lines[:3] + lines[4:], told(3, 4)),
        ("rows_swapped", [*lines[:3], lines[4], lines[3], *lines[5:]], told(3, 4)),
        ("row_twice", [*lines[:4], *lines[3:]], told(4, 5)),
        ("digest_in_capitals", [*lines[:3], in_capitals, *lines[4:]], told(3, 4)),
        ("empty_line", [*lines[:3], b"\n", *lines[3:]], told(3, 4)),
        ("no_beginning", lines[1:], told(0, 1)),
        ("version_2", a_ledger(b"custodian ledger 2").lines, told(0, 1)),
        ("checkpoint_signed_by_another", a_ledger(signer=KEY).lines, told(9, 10)),
        ("checkpoint_of_another_head", a_ledger(head=bytes(32)).lines, told(9, 10)),
    ]
    return [("ledger", name, b"".join(rows), expected) for name, rows, expected in found]


def stored_vectors() -> list[Vector]:
    """Kind, name, bytes, what is told of it; null where it is refused."""
    return [*volumes(), *manifests(), *commits(), *slots(), *states(), *keys(), *ledgers(), *roots(), *sums()]
