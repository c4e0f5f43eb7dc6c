//! The lines of a file, read piece by piece: a month is far larger than what a start may hold in memory.

use crate::disk::DiskFile;
use std::io;
use std::ops::ControlFlow;

/// Who wants one line reads little; who goes on reads more at a time.
const FIRST_PIECE_BYTES: usize = 8 << 10;
const PIECE_BYTES: usize = 1 << 20;
/// Far beyond the longest row. What is longer is handed out as it is, and is no row.
const LINE_LIMIT_BYTES: usize = 64 << 20;

/// A line, with its end where it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineAt<'a> {
    pub bytes: &'a [u8],
    pub from_bytes: u64,
    /// Nothing follows it in the file, as that was when the reading began.
    pub is_last: bool,
}

/// Hands out each line from an offset on, until `each` breaks off.
///
/// # Errors
/// What the disk says.
pub(super) fn each_line(
    file: &dyn DiskFile,
    from_bytes: u64,
    mut each: impl FnMut(LineAt<'_>) -> ControlFlow<()>,
) -> io::Result<()> {
    let end_bytes = file.len_bytes()?;
    let (mut held, mut held_from, mut read_to) = (Vec::new(), from_bytes, from_bytes);
    let (mut piece, mut piece_bytes) = (Vec::new(), FIRST_PIECE_BYTES);
    while read_to < end_bytes {
        let wanted = usize::try_from(end_bytes - read_to).unwrap_or(piece_bytes).min(piece_bytes);
        piece.resize(wanted, 0);
        let got = file.read_at(&mut piece, read_to)?;
        piece_bytes = (piece_bytes * 4).min(PIECE_BYTES);
        if got == 0 {
            break;
        }
        read_to += got as u64;
        // What was held so far has no line end.
        let searched = held.len();
        held.extend_from_slice(&piece[..got]);
        let mut begin = 0;
        while let Some(length) = line_length(&held[begin..], searched.saturating_sub(begin)) {
            let from_bytes = held_from + begin as u64;
            let is_last = from_bytes + length as u64 == end_bytes;
            if each(LineAt { bytes: &held[begin..begin + length], from_bytes, is_last }).is_break() {
                return Ok(());
            }
            begin += length;
        }
        held.drain(..begin);
        held_from += begin as u64;
    }
    if !held.is_empty() && each(LineAt { bytes: &held, from_bytes: held_from, is_last: true }).is_break() {
        return Ok(());
    }
    Ok(())
}

/// How long the first line is, with its end; `None` where its end is still to come.
fn line_length(bytes: &[u8], searched: usize) -> Option<usize> {
    let searched = searched.min(bytes.len());
    let found = bytes[searched..].iter().position(|byte| *byte == b'\n').map(|at| searched + at + 1);
    found.or_else(|| (bytes.len() >= LINE_LIMIT_BYTES).then_some(bytes.len()))
}

/// The beginning of the first line at or behind an offset.
///
/// # Errors
/// What the disk says.
pub(super) fn line_begins_behind(file: &dyn DiskFile, from_bytes: u64) -> io::Result<u64> {
    if from_bytes == 0 {
        return Ok(0);
    }
    // The line end before it may be the very byte before.
    let mut begin = file.len_bytes()?;
    each_line(file, from_bytes - 1, |line| {
        begin = line.from_bytes + line.bytes.len() as u64;
        ControlFlow::Break(())
    })?;
    Ok(begin)
}
