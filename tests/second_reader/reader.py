"""A second reader of what Custodian stores, written from docs/format.md alone.

reader.py volume VOLUME --out DIR [--ledger FILE ...]   decrypts every segment into DIR/CAMERA-START-SEGMENT.mp4
reader.py ledger FILE ... [--signer HEX]                verifies the chain and the checkpoints
reader.py person STATE NAME --volume VOLUME             what a person's password opens: persons, grants, day keys
reader.py shares                                        restores a key from two shares, one a line
reader.py vectors DIR                                   reads each file that DIR/vectors.json names

The key of a volume, 64 hexadecimal digits or two shares, or a person's password comes on the standard input. What was found is told in
JSON; the exit status is 1 where anything was refused.
"""

import argparse
import json
import sys
from pathlib import Path

from ledger import read_ledger
from people import read_person
from sealing import Refused
from segment import Segment
from shares import read_key
from volume import Volume
from vectors_read import read_stored


def key_from_stdin() -> bytes:
    return read_key(sys.stdin.read())


def read_shares(_: argparse.Namespace) -> dict:
    try:
        return {"ok": True, "key": key_from_stdin().hex()}
    except Refused as e:
        return {"ok": False, "what": str(e)}


def read_volume(arguments: argparse.Namespace) -> dict:
    volume = Volume(arguments.volume, key_from_stdin())
    told = {"volume": volume.id.hex(), "site": volume.site.hex(), "segments": [], "never_committed": 0,
            "destroyed": 0, "gaps": [], "commit": volume.tables[0].number if volume.tables else None,
            "manifests": {name: {"records": len(manifest.records), "torn_bytes": manifest.torn_bytes}
                          for name, manifest in volume.manifests.items()}}
    for manifest in volume.manifests.values():
        told["gaps"] += [record for record in manifest.records if record["kind"] == "gap"]
    for number, life in sorted(volume.segments.items(), key=lambda item: item[1].opened["start"]):
        if life.state == "condemned" or volume.is_unreadable(life):
            told["destroyed"] += 1
        elif not volume.ends(number, life):
            told["never_committed"] += 1
        else:
            with volume.naming(volume.file_of(number, life)):
                told["segments"].append(write_segment(volume, number, life, arguments.out))
    if arguments.ledger:
        ledger, told["ledger"] = read_ledger(arguments.ledger, arguments.signer)
        if not told["ledger"]["ok"]:
            volume.faults.append({"file": told["ledger"]["file"], "what": told["ledger"]["what"]})
        closed = {act["manifest"]: act for act in ledger.acts
                  if act["kind"] == "manifest-closed" and act["volume"] == volume.id.hex()}
        volume.check_closed(closed)
        if ledger.newest_checkpoint:
            volume.check_heads(ledger.newest_checkpoint["manifests"], closed)
    return told | {"ok": not volume.faults, "faults": volume.faults}


def write_segment(volume: Volume, number: int, life, out: Path) -> dict:
    segment, end, plain = volume.open_segment(number, life)
    head = segment.head
    file = out / f"{head.camera}-{head.start}-{number:016x}.mp4"
    file.write_bytes(plain)
    return {
        "segment": f"{number:016x}", "camera": head.camera, "start": head.start, "end": end.end, "state": life.state,
        "corrected": volume.corrected(life), "chunks": end.chunks, "footer": end.has_footer, "frames": sum(entry[4] for entry in segment.table()),
        "previous": "none" if not any(head.previous) else
                    "known" if volume.knows_previous(head.previous, life) else "unknown",
        "file": str(file),
    }


def read_vectors(arguments: argparse.Namespace) -> dict:
    vectors = json.loads((arguments.dir / "vectors.json").read_text())
    day_key, told = bytes.fromhex(vectors["day_key"]), {}
    for vector in vectors["segments"]:
        try:
            segment = Segment(arguments.dir / f"{vector['name']}.segment", vector["chunks"], vector["footer"])
            told[vector["name"]] = {"plain": segment.open(day_key).hex(), "digest": segment.digest().hex(), "what": None}
        except Refused as e:
            told[vector["name"]] = {"plain": None, "digest": None, "what": str(e)}
    others = {f"{vector['name']}.{vector['kind']}": read_stored(vector["kind"], arguments.dir, vector["name"], day_key)
              for vector in vectors["others"]}
    return {"ok": True, "segments": told, "others": others}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    volume = kinds.add_parser("volume")
    volume.add_argument("volume", type=Path)
    volume.add_argument("--out", type=Path, required=True)
    volume.add_argument("--ledger", type=Path, nargs="+")
    volume.add_argument("--signer", type=bytes.fromhex)
    volume.set_defaults(act=read_volume)
    person = kinds.add_parser("person")
    person.add_argument("state", type=Path)
    person.add_argument("name")
    person.add_argument("--volume", type=Path, required=True)
    person.set_defaults(act=lambda arguments: read_person(arguments.state, arguments.volume, arguments.name,
                                                          sys.stdin.read()))
    kinds.add_parser("shares").set_defaults(act=read_shares)
    vectors = kinds.add_parser("vectors")
    vectors.add_argument("dir", type=Path)
    vectors.set_defaults(act=read_vectors)
    ledger = kinds.add_parser("ledger")
    ledger.add_argument("files", type=Path, nargs="+")
    ledger.add_argument("--signer", type=bytes.fromhex)
    ledger.set_defaults(act=lambda arguments: read_ledger(arguments.files, arguments.signer)[1])
    arguments = parser.parse_args()
    told = arguments.act(arguments)
    print(json.dumps(told, indent=1))
    return 0 if told["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
