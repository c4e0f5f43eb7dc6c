"""What the second reader makes of a vector that is no segment."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger import read_ledger, read_root, read_sum
from people import read_state
from sealing import DAY_KEY, DESK_KEY, GRANT_KEY, Refused, open_sealed, public_half
from stored import parse_chunk, parse_commits, parse_footer, parse_manifest, parse_slots, parse_volume, refuse_unless

FIELDS = {
    "account": {"version", "account", "name", "role", "session", "release"},
    "request": {"version", "request", "persons"},
    "holds": {"version", "holds"},
    "clock": {"version", "trusted", "stepped_s"},
}
MAY_BE_THERE = {"clock": frozenset({"vouched", "doubt", "was_in_doubt", "settled"}), "account": frozenset({"second_factor"})}


def is_read(read, *arguments) -> bool:
    try:
        read(*arguments)
        return True
    except (Refused, ValueError):
        return False


def read_slots(data: bytes, key: bytes) -> dict:
    """The owners, and the secret that the key opens: in a grant, of the first slot."""
    purpose = int.from_bytes(data[10:12], "big")
    slots = parse_slots(data, min(purpose, 3))
    mine = public_half(key)
    if purpose == 2:
        owner = next(iter(slots.slots), None)
        label, context = GRANT_KEY, slots.facts[:4] + (owner or b"")
    else:
        owner, label, context = mine, *((DAY_KEY, slots.facts[:56]) if purpose == 1 else (DESK_KEY, slots.facts[:32]))
    secret = None
    if owner in slots.slots:
        try:
            secret = open_sealed(key, label, context, slots.slots[owner]).hex()
        except Refused:
            pass
    return {"owners": [owner.hex() for owner in slots.slots], "secret": secret}


def read_keys(data: bytes) -> dict:
    text = data.strip()
    is_site = len(text) == 32 and set(text) <= set(b"0123456789abcdef")
    return {"signing_key": len(data) == 32 and not is_site, "site": text.decode() if is_site else None}


def read_manifest(data: bytes) -> dict:
    manifest = parse_manifest(data)
    return {"records": len(manifest.records), "head": manifest.heads[-1].hex()}


def read_rows(path: Path) -> dict:
    told = read_ledger([path], None)[1]
    return {"rows": told["rows"], "bad_row": told["row"]}


# Of the key that signs the vectors.
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(11, 43))).public_key().public_bytes_raw()


def with_its_end(told: dict) -> dict:
    return {"rows": told["rows"], "last": told["last"], "head": told["head"]}


def read_holds(data: bytes, name: str) -> None:
    for hold in read_state(data, FIELDS["holds"], name)["holds"]:
        refuse_unless(set(hold) in ({"request", "cameras", "span"}, {"hold", "cameras", "span"}), f"{name}: no hold")


def read_stored(kind: str, folder: Path, name: str, key: bytes) -> object:
    """As `told` in vectors.json; `None` where it is refused."""
    path = folder / f"{name}.{kind}"
    data = path.read_bytes()
    try:
        match kind:
            case "chunk":
                return is_read(parse_chunk, data, 0)
            case "footer":
                return len(parse_footer(data))
            case "volume":
                return dict(zip(("volume", "site"), (part.hex() for part in parse_volume(data))))
            case "manifest":
                return read_manifest(data)
            case "commits":
                return [table.number for table in parse_commits(data)]
            case "slots":
                return read_slots(data, key)
            case "keys":
                return read_keys(data)
            case "ledger":
                return read_rows(path)
            case "root":
                return with_its_end(read_root(None, data))
            case "sum":
                return with_its_end(read_sum(data, SIGNER))
            case "holds":
                return is_read(read_holds, data, name)
        return is_read(read_state, data, FIELDS[kind], name, MAY_BE_THERE.get(kind, frozenset()))
    except (Refused, ValueError):
        return None
