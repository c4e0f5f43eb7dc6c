//! The stored formats: the sealed segment, the manifest's records, the commit table and files of slots.
//! `docs/format.md` holds the byte tables. All numbers are big-endian.
//!
//! A segment is about a minute of one camera: a head of one block, then chunks, each sealed with the segment's own
//! data key. Its last chunk is the footer. One cut short by a crash has no footer and ends at the chunk count that
//! was last committed.
//!
//! Invariants
//! - S1 A chunk's index is spent before its bytes reach the disk, and a failed write ends the segment: a nonce never
//!   repeats under one key.
//! - S2 Only the footer carries the last-chunk flag.
//! - S3 Every chunk is bound to its segment: version, volume, camera, segment id, start and day key are its
//!   associated data, with its own clear header.
//! - S4 Times, lengths and the fragment table can be told from the clear headers, without any key.

#[cfg(test)]
mod tests;

mod carried;
mod chunk;
mod commits;
mod footer;
mod head;
mod identity;
mod manifest;
mod reader;
mod records;
mod slots;
mod writer;

pub use carried::CarriedSegment;
pub use chunk::{CHUNK_HEADER_BYTES, CHUNK_LIMIT_BYTES, ChunkHeader, ChunkKind};
pub use commits::{COMMIT_REGION_BYTES, CommitEntry, CommitTable};
pub use footer::{FragmentEntry, FragmentTable};
pub use head::{HEAD_BYTES, SegmentFacts, SegmentHead, SegmentVersion};
pub use identity::VolumeIdentity;
pub use manifest::{CarriesOn, MANIFEST_HEADER_BYTES, ManifestHeader, ManifestRecord};
pub use reader::{ChunkAt, Ending, FragmentAt, SegmentReader};
pub use records::{RecordAt, RecordReader, RecordStream, first_head, next_head, read_record};
pub use slots::{SLOTS_LIMIT, SlotFile, SlotPurpose, SlotsRead, UsedSlot};
pub use writer::{FragmentFacts, Progress, SegmentWriter};

use crate::crypto::{CryptoFailure, Unopened};
use std::io;

/// The version of every format here but the segment's, which has its own. A reader refuses a newer one.
pub const FORMAT_VERSION: u16 = 1;

/// Why stored bytes could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error("{what} is of format version {found}, this program reads up to {newest}; use a newer Custodian")]
    NewerVersion { what: &'static str, found: u16, newest: u16 },
    #[error("{what} is damaged at byte {at_bytes}")]
    Damaged { what: &'static str, at_bytes: u64 },
    #[error("a segment ends after {found} chunks, {committed} were committed")]
    Short { found: u32, committed: u32 },
    #[error(transparent)]
    Unopened(#[from] Unopened),
    #[error(transparent)]
    Crypto(#[from] CryptoFailure),
    #[error("a chunk of {bytes} bytes is larger than a chunk may be")]
    TooLarge { bytes: usize },
    #[error("a slot file has {slots} slots, number {index} was asked for")]
    NoSuchSlot { slots: u32, index: u32 },
    #[error(transparent)]
    Disk(#[from] io::Error),
}
