"""Section 11 of docs/format.md: a whole volume."""

from dataclasses import dataclass
from pathlib import Path

from sealing import DAY_KEY, Refused, open_sealed, public_half
from segment import Segment
from stored import (NO_DOUBT, CommitTable, Manifest, Progress, parse_commits, parse_manifest, parse_slots, parse_volume,
                    refuse_unless)

DAY_KEY_SLOTS = 1


@dataclass
class Life:
    """What a manifest says of one segment."""

    manifest: str
    opened: dict
    state: str = "open"
    sealed: dict | None = None
    is_apart: bool = False
    before: str | None = None
    """The manifest that it was carried from: its file may still stand there."""
    doubt: int | None = None
    condemned: str | None = None


FOLLOWS = {
    ("open", "sealed"): "sealed",
    ("sealed", "key-destroyed"): "unreadable",
    ("sealed", "condemned"): "condemned",
    ("condemned", "key-destroyed"): "unreadable",
    ("unreadable", "erased"): "erased",
    ("open", "erased"): "erased",
    ("open", "key-destroyed"): "unreadable",
    ("sealed", "set-apart"): "sealed",
}


class Volume:
    def __init__(self, path: Path, private: bytes):
        self.path, self.private, self.faults = path, private, []
        self.id, self.site = parse_volume((path / "volume").read_bytes())
        self.manifests: dict[str, Manifest] = {}
        self.segments: dict[int, Life] = {}
        self.doubts: dict[tuple[str, int], tuple[int, int] | None] = {}
        """By manifest and doubt: at least and at most so much later; nothing while it has not ended."""
        self.doubt: dict[str, int] = {}
        self.day_keys: dict[int, tuple[int, bytes]] = {}
        self.made_in: dict[int, set[str]] = {}
        self.destroyed_day_keys: set[tuple[str, int]] = set()
        self.opened_day_keys: dict[int, bytes] = {}
        for file in sorted((path / "manifests").iterdir()):
            if file.suffix in (".new", ".closed"):
                continue
            with self.naming(file):
                manifest = parse_manifest(file.read_bytes())
                refuse_unless(manifest.volume == self.id, "of another volume")
                self.manifests[file.name] = manifest
        # Hold manifests last: what they carry, they tell.
        for name, manifest in sorted(self.manifests.items(), key=lambda item: item[1].number):
            self._apply(path / "manifests" / name, manifest)
        commits = path / "commits"
        self.tables: list[CommitTable] = parse_commits(commits.read_bytes()) if commits.exists() else []

    def naming(self, path: Path) -> "Naming":
        return Naming(self.faults, path)

    def _apply(self, file: Path, manifest: Manifest) -> None:
        for number, record in enumerate(manifest.records, 1):
            with self.naming(file):
                refuse_unless(self._follows(file.name, record), f"record {number}, {record['kind']}, does not follow")

    def _follows(self, manifest: str, record: dict) -> bool:
        kind = record["kind"]
        if kind == "day-key-made":
            made, told = self.made_in.setdefault(record["day_key"], set()), (record["camera"], record["public"])
            is_new = manifest not in made and self.day_keys.get(record["day_key"], told) == told
            made.add(manifest)
            self.day_keys.setdefault(record["day_key"], told)
            return is_new
        if kind == "day-key-destroyed":
            return self._ends_day_key(manifest, record["day_key"])
        if kind == "opened":
            is_new = record["segment"] not in self.segments
            self.segments.setdefault(record["segment"], Life(manifest, record, doubt=self.doubt.get(manifest)))
            return is_new
        if kind == "carried":
            before = f"{self.manifests[manifest].carries_on:016x}"
            known = self.segments.get(record["segment"])
            follows = known is None or (known.manifest, known.state, known.is_apart) == (before, "sealed", True)
            self.segments[record["segment"]] = Life(manifest, record, "sealed", record, True, before=before,
                                                   doubt=self.doubt.get(manifest))
            return follows
        if kind == "in-doubt":
            self.doubt.pop(manifest, None)
            if record["doubt"] != NO_DOUBT:
                self.doubt[manifest] = record["doubt"]
                self.doubts.setdefault((manifest, record["doubt"]), None)
            return True
        if kind == "corrected":
            doubt = (manifest, record["doubt"])
            is_first = self.doubts.get(doubt, ()) is None
            self.doubts[doubt] = (record["least"], record["most"])
            return is_first
        if kind in ("gap", "receipts-copied", "receipts-copied-to"):
            return True
        life = self.segments.get(record["segment"])
        state = FOLLOWS.get((life.state, kind)) if life else None
        if state is None or (life.state == "open" and record.get("trigger", "never-committed") != "never-committed"):
            return False
        if kind == "condemned":
            life.condemned = record["trigger"]
        if kind == "erased" and life.condemned not in (None, record["trigger"]):
            return False
        life.state = state
        life.is_apart |= kind == "set-apart"
        if kind == "sealed":
            life.sealed = record
        return True

    def _ends_day_key(self, manifest: str, number: int) -> bool:
        made = self.made_in.get(number, set())
        was_named = manifest in made
        made.discard(manifest)
        if not made:
            self.day_keys.pop(number, None)
        wanted = any(life.manifest == manifest and life.opened["day_key"] == number and life.state in ("open", "sealed")
                     for life in self.segments.values())
        is_first = (manifest, number) not in self.destroyed_day_keys
        self.destroyed_day_keys.add((manifest, number))
        return was_named or (wanted and is_first)

    def is_unreadable(self, life: Life) -> bool:
        """Whether its key block or its day key was destroyed."""
        return life.state in ("unreadable", "erased") or (life.manifest, life.opened["day_key"]) in self.destroyed_day_keys

    def ends(self, number: int, life: Life) -> list[Progress]:
        """Where a segment may end, the likeliest first; none for one that was never committed."""
        if life.sealed:
            end = life.sealed
            return [Progress(end["chunks"], end["bytes"], end["end"], end["digest"], bool(end["footer"]))]
        return [table.entries[number] for table in self.tables if number in table.entries]

    def corrected(self, life: Life) -> tuple[int, int] | None:
        """By how much later it was filmed than it says, at least and at most; nothing while that is not known."""
        return (0, 0) if life.doubt is None else self.doubts[life.manifest, life.doubt]

    def file_of(self, number: int, life: Life) -> Path:
        sides = ("held", "rolling") if life.is_apart else ("rolling", "held")
        names = [life.manifest] + ([life.before] if life.before else [])
        places = [self.path / side / name / f"{number:016x}" for name in names for side in sides]
        return next((place for place in places if place.exists()), places[0])

    def day_key(self, number: int) -> bytes:
        if number not in self.opened_day_keys:
            camera, public = self.day_keys[number]
            slots = parse_slots((self.path / "keys" / f"{number:016x}").read_bytes(), DAY_KEY_SLOTS)
            sealed = slots.slots.get(public_half(self.private))
            refuse_unless(sealed is not None, "the day key has no slot for this key")
            context = self.id + number.to_bytes(8, "big") + public
            private = open_sealed(self.private, DAY_KEY, context, sealed)
            refuse_unless(public_half(private) == public, "the day key is not the manifest's")
            self.opened_day_keys[number] = private
        return self.opened_day_keys[number]

    def open_segment(self, number: int, life: Life) -> tuple[Segment, Progress, bytes]:
        path, refused = self.file_of(number, life), None
        for end in self.ends(number, life):
            try:
                segment = Segment(path, end.chunks, end.has_footer)
                same = (segment.digest(), segment.end) == (end.digest, end.bytes)
                refuse_unless(same, "its bytes are not those that were recorded")
            except Refused as e:
                refused = refused or e
                continue
            head, opened = segment.head, life.opened
            refuse_unless(head.digest == opened["head"], "its head is not the one that was recorded")
            told = (head.camera, head.volume, head.segment, head.start, head.day_key)
            wanted = (opened["camera"], self.id, number, opened["start"], opened["day_key"])
            refuse_unless(told == wanted and self.day_keys[head.day_key][0] == head.camera,
                          "its head says other things than its record")
            return segment, end, segment.open(self.day_key(head.day_key))
        raise refused

    def knows_previous(self, previous: bytes, life: Life) -> bool:
        of = [other.sealed["digest"] for other in self.segments.values()
              if other.sealed and other.opened["camera"] == life.opened["camera"]
              and other.opened["start"] < life.opened["start"]]
        return previous in of

    def check_closed(self, closed: dict[str, dict]) -> None:
        """One that the ledger closed, and that is there, was cut short in its end."""
        for name in closed.keys() & self.manifests.keys():
            with self.naming(self.path / "manifests" / name):
                manifest, head = self.manifests[name], closed[name]["head"]
                same = (len(manifest.records), manifest.heads[-1].hex()) == (head["records"], head["digest"])
                refuse_unless(same, "stands there again, though the ledger closed it")

    def check_heads(self, manifests: list[dict], closed: dict[str, dict]) -> None:
        """Holds the manifests against a checkpoint."""
        for told in manifests:
            if bytes.fromhex(told["volume"]) != self.id:
                continue
            path, records = self.path / "manifests" / told["manifest"], told["head"]["records"]
            if told["manifest"] in closed and told["manifest"] not in self.manifests:
                continue
            with self.naming(path):
                manifest = self.manifests.get(told["manifest"])
                refuse_unless(manifest is not None, "is missing: a checkpoint names it")
                same = records < len(manifest.heads) and manifest.heads[records].hex() == told["head"]["digest"]
                refuse_unless(same, "is not what a checkpoint says")


class Naming:
    """Turns what is refused inside into a fault of a file."""

    def __init__(self, faults: list[dict], path: Path):
        self.faults, self.path = faults, path

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace) -> bool:
        if isinstance(error, (Refused, OSError, KeyError)):
            self.faults.append({"file": str(self.path), "what": f"{error}"})
            return True
        return False
