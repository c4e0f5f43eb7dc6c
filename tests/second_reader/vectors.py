"""Writes the test vectors: what docs/format.md describes, made with fixed keys, and what can be wrong with it.

vectors.py DIR    each run writes the same bytes
"""

import json
import struct
import sys
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from blake3 import blake3
from sealing import SEGMENT_KEY, public_half, seal_chunk, seal_to
from stored import BLOCK, FOOTER, FRAGMENT, INIT, crc32c
from stored_vectors import stored_vectors

DAY_KEY = bytes(range(1, 33))
OTHER_DAY_KEY = bytes(range(2, 34))
EPHEMERAL = bytes(range(101, 133))
DATA_KEY = bytes(range(201, 233))
OTHER_DATA_KEY = bytes(range(202, 234))
INIT_SEGMENT = b"ftyp and moov of the vectors"
FRAGMENTS = [b"moof and mdat, the first", b"the second, in which decoding cannot begin", b"the third and last"]


@dataclass
class Part:
    kind: int
    plain: bytes
    flags: int = 0
    frames: int = 0
    first: int = 0
    ticks: int = 0
    reserved: bytes = bytes(4)
    is_last: bool | None = None
    length: int | None = None


@dataclass
class Writing:
    """How a segment is written; the fields are where faults are put in before sealing."""

    camera: int = 7
    version: int = 2
    reserved: bytes = bytes(4)
    day_key: bytes = DAY_KEY
    data_key: bytes = DATA_KEY
    chunks_bound_to: bytes | None = None
    parts: list[Part] = field(default_factory=list)

    def head(self) -> bytes:
        facts = b"CUSTODSG" + struct.pack(
            ">HH4s16sQqQ32s", self.version, self.camera, self.reserved, bytes(range(16)), 0x0123456789ABCDEF,
            1_795_341_600_000_000, 0xFEDCBA9876543210, bytes(range(32, 64)),
        )
        sealed = seal_to(public_half(self.day_key), EPHEMERAL, SEGMENT_KEY, facts, DATA_KEY)
        return with_crc(facts + sealed).ljust(BLOCK, b"\0")

    def chunks(self) -> list[bytes]:
        binding = self.chunks_bound_to or self.head()[:56]
        return [self._chunk(binding, index, part) for index, part in enumerate(self.parts)]

    def _chunk(self, binding: bytes, index: int, part: Part) -> bytes:
        length = len(part.plain) if part.length is None else part.length
        clear = with_crc(struct.pack(">IIBBHQI4s", index, length, part.kind, part.flags, part.frames, part.first,
                                     part.ticks, part.reserved))
        is_last = part.kind == FOOTER if part.is_last is None else part.is_last
        return clear + seal_chunk(self.data_key, index, is_last, binding + clear, part.plain)

    def file(self) -> bytes:
        return self.head() + b"".join(self.chunks())


def with_crc(data: bytes) -> bytes:
    return data + crc32c(data).to_bytes(4, "big")


def mended(chunk: bytes, at: int, value: bytes) -> bytes:
    """A clear header changed afterwards, with a CRC that holds again."""
    clear = chunk[:at] + value + chunk[at + len(value):28]
    return with_crc(clear) + chunk[32:]


def fragments() -> list[Part]:
    return [Part(FRAGMENT, plain, flags=int(number != 1), frames=10, first=90_000 * number, ticks=90_000)
            for number, plain in enumerate(FRAGMENTS)]


def footer(parts: list[Part]) -> Part:
    table = len(parts).to_bytes(4, "big") + b"".join(
        struct.pack(">IIQIHHQ", index, 1, part.first, part.ticks, part.frames, part.flags & 1, len(part.plain))
        for index, part in enumerate(parts, 1)
    )
    return Part(FOOTER, table, first=90_000 * len(FRAGMENTS))


def vectors() -> list[tuple[str, bytes, int, bool, bool]]:
    """Name, bytes, chunks, whether they end with a footer, whether it opens."""
    opening, body = Part(INIT, INIT_SEGMENT), fragments()
    whole = Writing(parts=[opening, *body, footer(body)])
    cut = replace(whole, parts=[opening, *body])
    head, chunks = whole.head(), whole.chunks()
    other_camera = replace(whole, camera=8)

    def joined(*parts: bytes) -> bytes:
        return head + b"".join(parts)

    def with_chunk(number: int, chunk: bytes) -> bytes:
        return joined(*chunks[:number], chunk, *chunks[number + 1:])

    def with_part(number: int, **changes) -> bytes:
        parts = [*whole.parts]
        parts[number] = replace(parts[number], **changes)
        return replace(whole, parts=parts).file()

    def with_head(at: int, value: bytes) -> bytes:
        facts = head[:at] + value + head[at + len(value):168]
        return with_crc(facts).ljust(BLOCK, b"\0") + joined(*chunks)[BLOCK:]

    renumbered = [mended(chunks[3], 0, (2).to_bytes(4, "big")), mended(chunks[2], 0, (3).to_bytes(4, "big"))]
    flipped_tag = chunks[2][:-1] + bytes([chunks[2][-1] ^ 1])
    end_unknown = len(whole.parts)
    told = [
        ("whole", whole.file(), 5, True, True),
        ("whole_of_version_1", replace(whole, version=1).file(), 5, True, True),
        ("whole_with_blocks_reserved_behind_it", whole.file() + bytes(2000), 5, True, True),
        ("cut_by_a_crash_with_more_than_was_committed", cut.file()[:-7], 3, False, True),
        ("cut_by_a_crash_at_what_was_committed", cut.file(), 4, False, True),
        ("cut_by_a_crash_below_what_was_committed", replace(cut, parts=cut.parts[:3]).file(), 4, False, False),
        ("no_fragment_was_committed", cut.file(), 1, False, True),
        ("no_footer", cut.file(), 5, True, False),
        ("no_footer_and_a_chunk_less", cut.file(), 4, True, False),
        ("cut_in_a_chunk", cut.file()[:-7], 4, False, False),
        ("cut_in_the_head", head[:2000], 5, True, False),
        ("footer_where_none_was_committed", whole.file(), 5, False, False),
        ("chunks_swapped", joined(chunks[0], chunks[1], chunks[3], chunks[2], chunks[4]), 5, True, False),
        ("chunks_swapped_and_renumbered", joined(chunks[0], chunks[1], *renumbered, chunks[4]), 5, True, False),
        ("chunk_taken_out", joined(chunks[0], chunks[1], *chunks[3:]), 4, True, False),
        ("chunk_twice", joined(chunks[0], chunks[1], chunks[1], *chunks[2:]), 6, True, False),
        ("no_init_segment", joined(*chunks[1:]), 4, True, False),
        ("init_segment_out_of_place", replace(whole, parts=[opening, opening, *body, footer(body)]).file(), 6, True,
         False),
        ("head_of_another_camera", other_camera.head() + b"".join(chunks), 5, True, False),
        ("camera_changed", with_head(10, (8).to_bytes(2, "big")), 5, True, False),
        ("camera_0", replace(whole, camera=0).file(), 5, True, False),
        ("start_changed", with_head(47, b"\1"), 5, True, False),
        ("previous_changed", with_head(87, b"\0"), 5, True, False),
        ("sealed_to_another_day_key", replace(whole, day_key=OTHER_DAY_KEY).file(), 5, True, False),
        ("chunks_under_another_data_key", replace(whole, data_key=OTHER_DATA_KEY).file(), 5, True, False),
        ("footer_forged_without_the_key", with_chunk(4, chunks[4][:40] + b"\7" + chunks[4][41:]), 5, True, False),
        ("footer_with_a_fragment_less", replace(whole, parts=[opening, *body, footer(body[:2])]).file(), 5, True,
         False),
        ("footer_with_other_times", replace(whole, parts=[opening, *body, footer(
            [body[0], replace(body[1], first=1), body[2]])]).file(), 5, True, False),
        ("footer_sealed_as_not_the_last", with_part(4, is_last=False), 5, True, False),
        ("footer_before_the_end", replace(whole, parts=[opening, *body, footer(body), footer(body)]).file(), 6, True,
         False),
        ("fragment_sealed_as_the_last", with_part(2, is_last=True), 5, True, False),
        ("fragment_called_a_footer", joined(*chunks[:3], mended(chunks[3], 8, b"\2")), 4, True, False),
        ("footer_called_a_fragment", with_chunk(4, mended(chunks[4], 8, b"\1")), end_unknown, False, False),
        ("version_0", replace(whole, version=0).file(), 5, True, False),
        ("version_3", replace(whole, version=3).file(), 5, True, False),
        ("version_1_written_over_2", with_head(8, b"\0\1"), 5, True, False),
        ("version_0_written_over_2", with_head(8, bytes(2)), 5, True, False),
        ("reserved_bytes_in_the_head", replace(whole, reserved=b"\0\0\0\1").file(), 5, True, False),
        ("reserved_bytes_written_into_the_head", with_head(15, b"\1"), 5, True, False),
        ("reserved_bytes_behind_the_key", head[:-1] + b"\1" + whole.file()[BLOCK:], 5, True, False),
        ("reserved_bytes_in_a_chunk", with_part(2, reserved=b"\0\0\0\1"), 5, True, False),
        ("reserved_bytes_written_into_a_chunk", with_chunk(2, mended(chunks[2], 24, b"\1")), 5, True, False),
        ("time_of_a_chunk_changed", with_chunk(2, mended(chunks[2], 19, b"\1")), 5, True, False),
        ("wrong_crc_of_a_chunk", with_chunk(2, chunks[2][:28] + bytes(4) + chunks[2][32:]), 5, True, False),
        ("wrong_crc_of_the_head", head[:168] + bytes(4) + whole.file()[172:], 5, True, False),
        ("unknown_kind_of_a_chunk", with_part(2, kind=3), 5, True, False),
        ("unknown_flag_of_a_chunk", with_part(2, flags=4), 5, True, False),
        ("chunk_longer_than_allowed", with_part(2, length=(1 << 20) + 1), 5, True, False),
        ("first_fragment_goes_on_with_nothing", with_part(1, flags=3), 5, True, False),
        ("tag_changed", with_chunk(2, flipped_tag), 5, True, False),
        ("head_overwritten", bytes(BLOCK) + whole.file()[BLOCK:], 5, True, False),
    ]
    return told


def parts_of_a_segment() -> list[tuple[str, str, bytes, object]]:
    """A chunk's clear header (told is whether it is one), and a footer's plaintext (how many fragments)."""
    body = fragments()
    clear = Writing(parts=[Part(INIT, INIT_SEGMENT), *body]).chunks()[2][:32]
    table = footer(body).plain
    return [
        ("chunk", "whole", clear, True),
        ("chunk", "wrong_crc", clear[:31] + bytes([clear[31] ^ 1]), False),
        ("chunk", "unknown_kind", with_crc(clear[:8] + b"\3" + clear[9:28]), False),
        ("chunk", "unknown_flag", with_crc(clear[:9] + b"\4" + clear[10:28]), False),
        ("chunk", "longer_than_allowed", with_crc(clear[:4] + ((1 << 20) + 1).to_bytes(4, "big") + clear[8:28]), False),
        ("chunk", "reserved_bytes", with_crc(clear[:27] + b"\1"), False),
        ("footer", "whole", table, len(body)),
        ("footer", "of_no_fragments", bytes(4), 0),
        ("footer", "more_fragments_than_there_are", b"\xff" * 4 + table[4:], None),
        ("footer", "a_byte_more", table + b"\0", None),
        ("footer", "cut_short", table[:-1], None),
        ("footer", "neither_0_nor_1", table[:27] + b"\2" + table[28:], None),
    ]


def digest_of(data: bytes, chunks: int) -> bytes:
    """Over the head and so many chunks, by the version in the head."""
    end = BLOCK
    for _ in range(chunks):
        end += 48 + int.from_bytes(data[end + 4:end + 8], "big")
    return {1: sha256, 2: blake3}[data[9]](data[:end]).digest()


def main() -> None:
    out = Path(sys.argv[1])
    listed = []
    for name, data, chunks, has_footer, opens in vectors():
        (out / f"{name}.segment").write_bytes(data)
        plain = b"".join([INIT_SEGMENT, *FRAGMENTS][:chunks - has_footer]) if opens else None
        listed.append({"name": name, "chunks": chunks, "footer": has_footer, "opens": opens,
                       "plain": plain.hex() if opens else None,
                       "digest": digest_of(data, chunks).hex() if opens else None})
    others = []
    for kind, name, data, expected in [*parts_of_a_segment(), *stored_vectors()]:
        (out / f"{name}.{kind}").write_bytes(data)
        others.append({"kind": kind, "name": name, "told": expected})
    told = {"day_key": DAY_KEY.hex(), "segments": listed, "others": others}
    (out / "vectors.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
