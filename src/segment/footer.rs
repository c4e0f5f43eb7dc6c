//! The footer: the fragment table, sealed as the last chunk. Its being there proves that nothing is missing.

use super::SegmentError;
use bytes::{Buf, BufMut};

const ENTRY_BYTES: usize = 32;

/// One fragment of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentEntry {
    pub first_chunk: u32,
    pub chunks: u32,
    pub first_pts_90k: u64,
    pub duration_90k: u32,
    pub frames: u16,
    pub sync: bool,
    /// Plain bytes of the whole fragment.
    pub bytes: u64,
}

/// A segment's fragments in order, as its footer tells them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FragmentTable(pub Vec<FragmentEntry>);

impl FragmentTable {
    /// The footer's plaintext.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.0.len() * ENTRY_BYTES);
        out.put_u32(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        for entry in &self.0 {
            out.put_u32(entry.first_chunk);
            out.put_u32(entry.chunks);
            out.put_u64(entry.first_pts_90k);
            out.put_u32(entry.duration_90k);
            out.put_u16(entry.frames);
            out.put_u16(u16::from(entry.sync));
            out.put_u64(entry.bytes);
        }
        out
    }

    /// # Errors
    /// [`SegmentError::Damaged`] for bytes that are not as a table is written.
    pub fn parse(mut from: &[u8]) -> Result<Self, SegmentError> {
        let damaged = SegmentError::Damaged { what: "a segment's footer", at_bytes: 0 };
        let stored = from;
        let Ok(count) = from.try_get_u32() else { return Err(damaged) };
        if from.len() != (count as usize).saturating_mul(ENTRY_BYTES) {
            return Err(damaged);
        }
        let entries = (0..count)
            .map(|_| FragmentEntry {
                first_chunk: from.get_u32(),
                chunks: from.get_u32(),
                first_pts_90k: from.get_u64(),
                duration_90k: from.get_u32(),
                frames: from.get_u16(),
                sync: from.get_u16() != 0,
                bytes: from.get_u64(),
            })
            .collect();
        let table = Self(entries);
        if table.to_bytes() == stored { Ok(table) } else { Err(damaged) }
    }
}
