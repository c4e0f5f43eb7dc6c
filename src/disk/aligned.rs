//! Memory that direct access accepts.

use super::BLOCK_BYTES;
use std::fmt;

/// Bytes whose start is aligned to [`BLOCK_BYTES`] and whose length is a multiple of it.
pub struct AlignedBuffer {
    room: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// `length_bytes` zeros; the length is rounded up to whole blocks.
    pub fn zeroed(length_bytes: usize) -> Self {
        let length = length_bytes.next_multiple_of(BLOCK_BYTES);
        let room = vec![0_u8; length + BLOCK_BYTES];
        let start = room.as_ptr().align_offset(BLOCK_BYTES);
        Self { room, start, length }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.room[self.start..self.start + self.length]
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.room[self.start..self.start + self.length]
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuffer({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_and_whole_blocks_long() {
        for wanted in [1, BLOCK_BYTES, BLOCK_BYTES + 1, 1 << 20] {
            let buffer = AlignedBuffer::zeroed(wanted);
            assert_eq!(buffer.as_slice().as_ptr() as usize % BLOCK_BYTES, 0);
            assert_eq!(buffer.as_slice().len(), wanted.next_multiple_of(BLOCK_BYTES));
        }
    }
}
