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

pub(super) fn encode(entries: &[FragmentEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + entries.len() * ENTRY_BYTES);
    out.put_u32(u32::try_from(entries.len()).unwrap_or(u32::MAX));
    for entry in entries {
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

pub(super) fn decode(mut from: &[u8]) -> Result<Vec<FragmentEntry>, SegmentError> {
    let damaged = SegmentError::Damaged { what: "a segment's footer", at_bytes: 0 };
    let stored = from;
    let Ok(count) = from.try_get_u32() else { return Err(damaged) };
    if from.len() != (count as usize).saturating_mul(ENTRY_BYTES) {
        return Err(damaged);
    }
    let entries: Vec<FragmentEntry> = (0..count)
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
    if encode(&entries) == stored { Ok(entries) } else { Err(damaged) }
}
