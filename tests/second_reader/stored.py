"""Sections 1 and 4 to 8 of docs/format.md: bytes into facts."""

import struct
from dataclasses import dataclass
from hashlib import sha256

from blake3 import blake3
from sealing import Refused

VERSION = 1
# By a segment's version, what its digest is made with.
SEGMENT_DIGESTS = {1: sha256, 2: blake3}
BLOCK = 4096
CHUNK_LIMIT = 1 << 20
COMMIT_REGION = 69_632

INIT, FRAGMENT, FOOTER = 0, 1, 2
CAUSES = ("unreachable", "unauthorized", "unreadable", "disconnected", "stalled", "not-running", "volume-failed",
          "overrun", "outside-hours", "disk-full", "no-operation")
TRIGGERS = ("expiry", "hold-ended", "never-committed", "early", "erasure-request")
CONDEMNING = TRIGGERS[3:]
OVERWRITES = ("proven", "device-unproven", "ranges-differ", "read-back-differs", "nothing-there",
              "read-back-failed")


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def refuse_unless(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(what)


def check_crc(data: bytes, end: int, what: str) -> None:
    """The CRC of all before `end` stands there."""
    refuse_unless(crc32c(data[:end]) == int.from_bytes(data[end:end + 4], "big"), f"{what}: wrong CRC")


def check_beginning(data: bytes, magic: bytes, length: int, what: str, versions: tuple[int, ...] = (VERSION,)) -> int:
    """Which of the versions it is."""
    refuse_unless(len(data) >= length and data[:8] == magic, f"{what}: is none")
    version = int.from_bytes(data[8:10], "big")
    refuse_unless(version in versions, f"{what}: of version {version}")
    return version


def check_reserved(data: bytes, what: str) -> None:
    refuse_unless(not any(data), f"{what}: reserved bytes are set")


def parse_volume(data: bytes) -> tuple[bytes, bytes]:
    """The ids of the volume and of its site."""
    check_beginning(data, b"CUSTODVO", 52, "volume")
    refuse_unless(len(data) == 52, "volume: too long")
    check_reserved(data[10:16], "volume")
    check_crc(data, 48, "volume")
    return data[16:32], data[32:48]


@dataclass
class Head:
    version: int
    camera: int
    volume: bytes
    segment: int
    start: int
    day_key: int
    previous: bytes
    sealed_key: bytes
    binding: bytes
    context: bytes
    digest: bytes


def parse_head(block: bytes) -> Head:
    what = "head"
    version = check_beginning(block, b"CUSTODSG", BLOCK, what, tuple(SEGMENT_DIGESTS))
    camera, reserved, volume, segment, start, day_key, previous = struct.unpack_from(">H4s16sQqQ32s", block, 10)
    check_reserved(reserved + block[172:BLOCK], what)
    check_crc(block, 168, what)
    refuse_unless(camera > 0, "head: camera 0")
    return Head(version, camera, volume, segment, start, day_key, previous, block[88:168], block[:56], block[:88],
                sha256(block).digest())


@dataclass
class Chunk:
    index: int
    length: int
    kind: int
    sync: bool
    continues: bool
    frames: int
    first_ticks: int
    ticks: int
    clear: bytes
    at: int

    @property
    def end(self) -> int:
        return self.at + 32 + self.length + 16


def parse_chunk(clear: bytes, at: int) -> Chunk:
    what = f"chunk at {at}"
    refuse_unless(len(clear) == 32, f"{what}: is not whole")
    index, length, kind, flags, frames, first, ticks, reserved = struct.unpack_from(">IIBBHQI4s", clear)
    check_crc(clear, 28, what)
    check_reserved(reserved, what)
    refuse_unless(length <= CHUNK_LIMIT and kind <= FOOTER and flags <= 3, f"{what}: length, kind or flags")
    return Chunk(index, length, kind, bool(flags & 1), bool(flags & 2), frames, first, ticks, clear, at)


def parse_footer(plain: bytes) -> list[tuple]:
    refuse_unless(len(plain) >= 4, "footer: cut short")
    count = int.from_bytes(plain[:4], "big")
    refuse_unless(len(plain) == 4 + 32 * count, "footer: another length than its table's")
    entries = [struct.unpack_from(">IIQIHHQ", plain, 4 + 32 * number) for number in range(count)]
    refuse_unless(all(entry[5] <= 1 for entry in entries), "footer: neither 0 nor 1")
    return entries


@dataclass
class Progress:
    """How far a segment has come, or where it ends."""

    chunks: int
    bytes: int
    end: int
    digest: bytes
    has_footer: bool


@dataclass
class CommitTable:
    number: int
    entries: dict[int, Progress]


def parse_commits(data: bytes) -> list[CommitTable]:
    """The tables that are whole, newest first."""
    tables = []
    for region in (data[:COMMIT_REGION], data[COMMIT_REGION:2 * COMMIT_REGION]):
        if region[:8] != b"CUSTODCT":
            continue
        check_beginning(region, b"CUSTODCT", COMMIT_REGION, "commit table")
        reserved, count, number = struct.unpack_from(">2sIQ", region, 10)
        end = 24 + 68 * count
        if count > 1023 or crc32c(region[:end]) != int.from_bytes(region[end:end + 4], "big"):
            continue
        check_reserved(reserved, "commit table")
        entries = {}
        for at in range(24, end, 68):
            segment, chunks, complete, reserved, size, last, digest, _crc = struct.unpack_from(">QIB3sQq32sI", region, at)
            check_reserved(reserved, "commit table")
            refuse_unless(complete <= 1, "commit table: neither 0 nor 1")
            entries[segment] = Progress(chunks, size, last, digest, bool(complete))
        tables.append(CommitTable(number, entries))
    return sorted(tables, key=lambda table: -table.number)


RECORDS = {
    1: ("day-key-made", ">QH32s", ("day_key", "camera", "public")),
    2: ("opened", ">QHqQ32s", ("segment", "camera", "start", "day_key", "head")),
    3: ("sealed", ">QIQQq32sBI", ("segment", "chunks", "bytes", "allocated", "end", "digest", "footer", "ranges")),
    4: ("gap", ">HqqB", ("camera", "from", "to", "cause")),
    5: ("set-apart", ">Q", ("segment",)),
    6: ("key-destroyed", ">Qq", ("segment", "at")),
    7: ("erased", ">QqBBQ", ("segment", "at", "trigger", "overwrite", "bytes")),
    8: ("day-key-destroyed", ">Qq", ("day_key", "at")),
    9: ("receipts-copied", ">", ()),
    10: ("condemned", ">QqB", ("segment", "at", "trigger")),
    11: ("carried", ">QHqqQ32sIQQ32sBI", ("segment", "camera", "start", "end", "day_key", "head", "chunks", "bytes",
                                          "allocated", "digest", "footer", "ranges")),
    20: ("in-doubt", ">qB", ("doubt", "known")),
    21: ("corrected", ">qqq", ("doubt", "least", "most")),
    30: ("receipts-copied-to", ">Qq", ("end_bytes", "before")),
    31: ("erased", ">QqBBQB", ("segment", "at", "trigger", "overwrite", "bytes", "read_back_percent")),
}
NO_DOUBT = -(1 << 63)


def parse_record(payload: bytes) -> dict | None:
    """`None` for what is no record."""
    if not payload or payload[0] not in RECORDS:
        return None
    kind, layout, names = RECORDS[payload[0]]
    length = 1 + struct.calcsize(layout)
    if len(payload) < length:
        return None
    record = {"kind": kind} | dict(zip(names, struct.unpack_from(layout, payload, 1)))
    if kind in ("sealed", "carried"):
        ranges = record["ranges"]
        length += 16 * ranges
        if record["footer"] > 1 or len(payload) != length:
            return None
        record["ranges"] = list(struct.iter_unpack(">QQ", payload[length - 16 * ranges:]))
    for field, words in (("cause", CAUSES), ("trigger", TRIGGERS), ("overwrite", OVERWRITES)):
        if field in record:
            if record[field] >= len(words):
                return None
            record[field] = words[record[field]]
    if not 1 <= record.get("read_back_percent", 1) <= 100:
        return None
    if kind == "condemned" and record["trigger"] not in CONDEMNING:
        return None
    if record.get("camera") == 0 or (kind == "gap" and record["from"] >= record["to"]):
        return None
    if kind == "in-doubt" and (record["known"] > 1 or (record["known"] and record["doubt"] == NO_DOUBT)):
        return None
    if kind == "corrected" and (record["doubt"] == NO_DOUBT or record["least"] > record["most"]):
        return None
    return record if len(payload) == length else None


@dataclass
class Manifest:
    volume: bytes
    day: int
    retention: str
    period_s: int
    records: list[dict]
    heads: list[bytes]
    """The digest with so many records."""
    torn_bytes: int
    number: int
    """Of a hold manifest 1 or more, and the manifest that it carries on."""
    carries_on: int


def parse_manifest(data: bytes) -> Manifest:
    check_beginning(data, b"CUSTODMF", 64, "manifest")
    kind, day, period, volume, number, carries_on, reserved = struct.unpack_from(">HIQ16sIQ8s", data, 10)
    check_reserved(reserved, "manifest")
    refuse_unless(number > 0 or carries_on == 0, "manifest: carries another on, and has no number")
    check_crc(data, 60, "manifest")
    refuse_unless(kind <= 1, "manifest: unknown retention")
    records, heads, at = [], [sha256(data[:64]).digest()], 64
    while at + 8 <= len(data):
        length, crc = struct.unpack_from(">II", data, at)
        payload = data[at + 8:at + 8 + length]
        if length > 1 << 20 or len(payload) < length or crc32c(payload) != crc:
            break
        record = parse_record(payload)
        if record is None:
            break
        records.append(record)
        heads.append(sha256(heads[-1] + payload).digest())
        at += 8 + length
    return Manifest(volume, day, ("ceiling", "floor")[kind], period, records, heads, len(data) - at, number, carries_on)


@dataclass
class Slots:
    facts: bytes
    slots: dict[bytes, bytes]
    """The sealed secret of each owner, in order."""
    damaged: int


def parse_slots(data: bytes, purpose: int) -> Slots:
    what = "slots"
    check_beginning(data, b"CUSTODSL", BLOCK, what)
    found, count = struct.unpack_from(">HI", data, 10)
    check_crc(data, 80, what)
    check_reserved(data[84:BLOCK], what)
    refuse_unless(found == purpose, "slots: of another purpose")
    refuse_unless(count <= 16_384, "slots: too many")
    slots, damaged = {}, 0
    for at in range(BLOCK, BLOCK * (count + 1), BLOCK):
        slot = data[at:at + BLOCK]
        if len(slot) < BLOCK:
            damaged += 1
            continue
        if not any(slot):
            continue
        whole = slot[:4] == b"\0\0\0\1" and crc32c(slot[:116]) == int.from_bytes(slot[116:120], "big")
        if whole and not any(slot[120:]):
            slots.setdefault(slot[4:36], slot[36:116])
        else:
            damaged += 1
    return Slots(data[16:80], slots, damaged)
