"""Section 5 of docs/format.md: a segment, from its head to its end."""

from pathlib import Path

from sealing import SEGMENT_KEY, open_chunk, open_sealed
from stored import (BLOCK, FOOTER, FRAGMENT, INIT, SEGMENT_DIGESTS, Chunk, parse_chunk, parse_footer, parse_head,
                    refuse_unless)


class Segment:
    """A segment's bytes up to `chunks` chunks. Refuses what section 12 says."""

    def __init__(self, path: Path, chunks: int, has_footer: bool):
        self.data = path.read_bytes()
        self.head = parse_head(self.data[:BLOCK])
        self.has_footer = has_footer
        self.chunks = self._walk(chunks)
        self.end = self.chunks[-1].end if self.chunks else BLOCK

    def _walk(self, count: int) -> list[Chunk]:
        chunks, at, may_continue = [], BLOCK, False
        for index in range(count):
            chunk = parse_chunk(self.data[at:at + 32], at)
            refuse_unless(chunk.index == index, f"chunk at {at}: index {chunk.index} in place of {index}")
            refuse_unless((chunk.kind == INIT) == (index == 0), f"chunk at {at}: init segment out of place")
            is_last = self.has_footer and index + 1 == count
            refuse_unless((chunk.kind == FOOTER) == is_last, f"chunk at {at}: footer out of place, or missing")
            refuse_unless(may_continue or not chunk.continues, f"chunk at {at}: goes on with nothing")
            refuse_unless(chunk.end <= len(self.data), f"chunk at {at}: is not whole")
            may_continue = chunk.kind == FRAGMENT
            chunks.append(chunk)
            at = chunk.end
        return chunks

    def digest(self) -> bytes:
        return SEGMENT_DIGESTS[self.head.version](self.data[:self.end]).digest()

    def table(self) -> list[tuple]:
        """The fragments as the clear headers tell them, in the footer's order of fields."""
        table = []
        for chunk in self.chunks:
            if chunk.kind != FRAGMENT:
                continue
            if chunk.continues:
                first, chunks, start, ticks, frames, sync, size = table.pop()
                table.append((first, chunks + 1, start, ticks, frames, sync, size + chunk.length))
            else:
                table.append((chunk.index, 1, chunk.first_ticks, chunk.ticks, chunk.frames, int(chunk.sync),
                              chunk.length))
        return table

    def open(self, day_key: bytes) -> bytes:
        """Init segment and fragments: a file that a player opens."""
        return self.open_with(open_sealed(day_key, SEGMENT_KEY, self.head.context, self.head.sealed_key))

    def open_with(self, data_key: bytes) -> bytes:
        plain = []
        for chunk in self.chunks:
            sealed = self.data[chunk.at + 32:chunk.end]
            associated = self.head.binding + chunk.clear
            opened = open_chunk(data_key, chunk.index, chunk.kind == FOOTER, associated, sealed)
            if chunk.kind == FOOTER:
                refuse_unless(parse_footer(opened) == self.table(), "footer: not what the headers say")
            else:
                plain.append(opened)
        return b"".join(plain)
