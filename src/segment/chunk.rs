//! A chunk's clear header.

use super::SegmentError;
use crate::crypto::{ChunkPlace, TAG_BYTES};
use bytes::{Buf, BufMut};

/// A chunk's plaintext is at most this long.
pub const CHUNK_LIMIT_BYTES: usize = 1 << 20;
/// A clear header is this long.
pub const CHUNK_HEADER_BYTES: usize = 32;
pub(super) use CHUNK_HEADER_BYTES as HEADER_BYTES;
const FLAG_SYNC: u8 = 1;
const FLAG_CONTINUES: u8 = 2;

/// What a chunk holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkKind {
    /// `ftyp` and `moov`.
    Init,
    /// `moof` and `mdat`, or a part of them.
    Fragment,
    /// The fragment table; the last chunk.
    Footer,
}

impl ChunkKind {
    fn code(self) -> u8 {
        match self {
            ChunkKind::Init => 0,
            ChunkKind::Fragment => 1,
            ChunkKind::Footer => 2,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(ChunkKind::Init),
            1 => Some(ChunkKind::Fragment),
            2 => Some(ChunkKind::Footer),
            _ => None,
        }
    }
}

/// What stands before each chunk in the clear. Times are those of the whole fragment that the chunk is a part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChunkHeader {
    pub index: u32,
    pub plain_bytes: u32,
    pub kind: ChunkKind,
    /// Decoding can begin at this fragment.
    pub sync: bool,
    /// The chunk goes on with the fragment that the chunk before it began.
    pub continues: bool,
    pub frames: u16,
    /// Ticks of 90 kHz since the segment's start.
    pub first_pts_90k: u64,
    pub duration_90k: u32,
}

impl ChunkHeader {
    /// The header as it stands before its chunk.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let mut to = &mut out[..];
        to.put_u32(self.index);
        to.put_u32(self.plain_bytes);
        to.put_u8(self.kind.code());
        to.put_u8(if self.sync { FLAG_SYNC } else { 0 } | if self.continues { FLAG_CONTINUES } else { 0 });
        to.put_u16(self.frames);
        to.put_u64(self.first_pts_90k);
        to.put_u32(self.duration_90k);
        to.put_u32(0);
        let crc = crc32c::crc32c(&out[..HEADER_BYTES - 4]);
        out[HEADER_BYTES - 4..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// # Errors
    /// [`SegmentError::Damaged`], naming `at_bytes`.
    pub fn parse(bytes: &[u8; HEADER_BYTES], at_bytes: u64) -> Result<Self, SegmentError> {
        let damaged = || SegmentError::Damaged { what: "a chunk's header", at_bytes };
        let mut from = &bytes[..];
        let index = from.get_u32();
        let plain_bytes = from.get_u32();
        let kind = ChunkKind::from_code(from.get_u8()).ok_or_else(damaged)?;
        let flags = from.get_u8();
        let frames = from.get_u16();
        let first_pts_90k = from.get_u64();
        let duration_90k = from.get_u32();
        let header = Self {
            index,
            plain_bytes,
            kind,
            sync: flags & FLAG_SYNC != 0,
            continues: flags & FLAG_CONTINUES != 0,
            frames,
            first_pts_90k,
            duration_90k,
        };
        // The seal covers the header as it is written: a wrong CRC, unknown flags and reserved bytes are refused here.
        if plain_bytes as usize > CHUNK_LIMIT_BYTES || header.to_bytes() != *bytes {
            return Err(damaged());
        }
        Ok(header)
    }

    /// The init segment comes first, and nothing else does.
    pub(super) fn stands_rightly(&self) -> bool {
        (self.kind == ChunkKind::Init) == (self.index == 0)
    }

    pub(super) fn place(&self) -> ChunkPlace {
        ChunkPlace { index: self.index, last: self.kind == ChunkKind::Footer }
    }

    /// Bytes of the chunk on the disk: header, ciphertext, tag.
    pub(super) fn stored_bytes(&self) -> u64 {
        (HEADER_BYTES + self.plain_bytes as usize + TAG_BYTES) as u64
    }
}
