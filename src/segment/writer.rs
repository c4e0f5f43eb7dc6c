//! Writes one segment, from its first frame to its footer.

use super::SegmentError;
use super::chunk::{CHUNK_LIMIT_BYTES, ChunkHeader, ChunkKind, HEADER_BYTES};
use super::footer::{FragmentEntry, FragmentTable};
use super::head::{HEAD_BYTES, SegmentFacts, SegmentHead};
use crate::crypto::{DataKey, PublicKey, RunningDigest, StreamSealer, TAG_BYTES};
use crate::disk::DiskFile;
use crate::domain::{Digest, Utc};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroize;

/// A segment's file grows by whole steps of this, so that its blocks lie together.
const ALLOCATION_STEP_BYTES: u64 = 1 << 20;

/// What a fragment is, beside its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentFacts {
    /// Ticks of 90 kHz since the segment's start.
    pub first_pts_90k: u64,
    pub duration_90k: u32,
    pub frames: u32,
    pub sync: bool,
}

/// How far a segment has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    pub chunks: u32,
    pub bytes: u64,
    /// When the last frame so far ends.
    pub end: Utc,
    /// Over all sealed bytes from the head on, by the segment's version.
    pub digest: Digest,
    /// CRC-32C over the same bytes. Unlike the digest it can be carried on from one commit to the next, so that a start
    /// after a crash reads only what the last commit added, not all that is open.
    pub crc: u32,
    /// Whether the footer is written.
    pub complete: bool,
}

/// An open segment. It is the only holder of its data key, which goes when it goes.
#[derive(Debug)]
pub struct SegmentWriter {
    facts: SegmentFacts,
    head_digest: Digest,
    file: Box<dyn DiskFile>,
    sealer: StreamSealer,
    binding: [u8; 56],
    digest: RunningDigest,
    crc: u32,
    end_bytes: u64,
    allocated_bytes: u64,
    end_90k: u64,
    table: FragmentTable,
}

/// Where chunks are sealed. One a segment would be half a megabyte for each camera; one a thread likewise, since cameras
/// that wait for the disk together have a thread each. A few go round; more are made only while more seal at once.
static SEALING: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
const SEALING_KEPT: usize = 4;

fn sealing_buffer() -> Vec<u8> {
    SEALING.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
}

fn keep_for_the_next(buffer: Vec<u8>) {
    let mut kept = SEALING.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < SEALING_KEPT {
        kept.push(buffer);
    }
}

impl SegmentWriter {
    /// Takes an empty file, reserves `expect_bytes` in it, and writes the head and the init segment.
    ///
    /// # Errors
    /// [`SegmentError::Disk`] (also for a full disk, as `StorageFull`), [`SegmentError::Crypto`].
    pub fn create(
        file: Box<dyn DiskFile>,
        facts: SegmentFacts,
        day_key: &PublicKey,
        init: &[u8],
        expect_bytes: u64,
    ) -> Result<Self, SegmentError> {
        let key = DataKey::random()?;
        let head = SegmentHead::seal(facts, day_key, &key)?;
        let block = head.to_block()?;
        let mut digest = facts.version.digest();
        digest.update(&block);
        let mut writer = Self {
            facts,
            head_digest: SegmentHead::block_digest(&block),
            file,
            sealer: StreamSealer::new(&key)?,
            binding: facts.binding(),
            digest,
            crc: crc32c::crc32c(&block),
            end_bytes: HEAD_BYTES as u64,
            allocated_bytes: 0,
            end_90k: 0,
            table: FragmentTable::default(),
        };
        writer.reserve(expect_bytes.max(HEAD_BYTES as u64))?;
        writer.file.write_all_at(&block, 0)?;
        let header = ChunkHeader {
            index: 0,
            plain_bytes: 0,
            kind: ChunkKind::Init,
            sync: false,
            continues: false,
            frames: 0,
            first_pts_90k: 0,
            duration_90k: 0,
        };
        writer.append(header, init)?;
        Ok(writer)
    }

    pub fn facts(&self) -> &SegmentFacts {
        &self.facts
    }

    /// SHA-256 of the head, for the manifest.
    pub fn head_digest(&self) -> Digest {
        self.head_digest
    }

    pub fn allocated_bytes(&self) -> u64 {
        self.allocated_bytes
    }

    /// Seals and writes one fragment. After an error the segment must be given up: nothing is ever appended again.
    ///
    /// # Errors
    /// As [`SegmentWriter::create`].
    pub fn append_fragment(&mut self, facts: FragmentFacts, bytes: &[u8]) -> Result<(), SegmentError> {
        let first_chunk = self.sealer.next_index();
        let frames = u16::try_from(facts.frames).unwrap_or(u16::MAX);
        for (number, part) in bytes.chunks(CHUNK_LIMIT_BYTES).enumerate() {
            let header = ChunkHeader {
                index: 0,
                plain_bytes: 0,
                kind: ChunkKind::Fragment,
                sync: facts.sync,
                continues: number > 0,
                frames,
                first_pts_90k: facts.first_pts_90k,
                duration_90k: facts.duration_90k,
            };
            self.append(header, part)?;
        }
        self.end_90k = facts.first_pts_90k + u64::from(facts.duration_90k);
        self.table.0.push(FragmentEntry {
            first_chunk,
            chunks: self.sealer.next_index() - first_chunk,
            first_pts_90k: facts.first_pts_90k,
            duration_90k: facts.duration_90k,
            frames,
            sync: facts.sync,
            bytes: bytes.len() as u64,
        });
        Ok(())
    }

    /// How far the segment has come: what a commit records.
    pub fn progress(&self) -> Progress {
        self.progress_with(false)
    }

    fn progress_with(&self, complete: bool) -> Progress {
        Progress {
            chunks: self.sealer.next_index(),
            bytes: self.end_bytes,
            end: self.facts.start.plus_90k(self.end_90k),
            digest: self.digest.so_far(),
            crc: self.crc,
            complete,
        }
    }

    /// Writes the footer. The data key is gone afterwards.
    ///
    /// # Errors
    /// As [`SegmentWriter::create`].
    pub fn finish(mut self) -> Result<Progress, SegmentError> {
        let footer = self.table.to_bytes();
        let header = ChunkHeader {
            index: 0,
            plain_bytes: 0,
            kind: ChunkKind::Footer,
            sync: false,
            continues: false,
            frames: 0,
            first_pts_90k: self.end_90k,
            duration_90k: 0,
        };
        self.append(header, &footer)?;
        Ok(self.progress_with(true))
    }

    fn append(&mut self, header: ChunkHeader, plain: &[u8]) -> Result<(), SegmentError> {
        if plain.len() > CHUNK_LIMIT_BYTES {
            return Err(SegmentError::TooLarge { bytes: plain.len() });
        }
        let header = ChunkHeader {
            index: self.sealer.next_index(),
            plain_bytes: u32::try_from(plain.len()).map_err(|_| SegmentError::TooLarge { bytes: plain.len() })?,
            ..header
        };
        self.reserve(self.end_bytes + header.stored_bytes())?;
        let clear = header.to_bytes();
        let mut associated = [0; 56 + HEADER_BYTES];
        associated[..56].copy_from_slice(&self.binding);
        associated[56..].copy_from_slice(&clear);
        let mut buffer = sealing_buffer();
        buffer.clear();
        buffer.reserve(HEADER_BYTES + plain.len() + TAG_BYTES);
        buffer.extend_from_slice(&clear);
        buffer.extend_from_slice(plain);
        match self.sealer.seal(header.kind == ChunkKind::Footer, &associated, &mut buffer[HEADER_BYTES..]) {
            Ok(tag) => buffer.extend_from_slice(&tag),
            Err(e) => {
                // No picture stays in it.
                buffer.zeroize();
                return Err(e.into());
            }
        }
        self.file.write_all_at(&buffer, self.end_bytes)?;
        self.digest.update(&buffer);
        self.crc = crc32c::crc32c_append(self.crc, &buffer);
        self.end_bytes += buffer.len() as u64;
        keep_for_the_next(buffer);
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), SegmentError> {
        if bytes > self.allocated_bytes {
            let wanted = bytes.next_multiple_of(ALLOCATION_STEP_BYTES);
            self.file.allocate(wanted)?;
            self.allocated_bytes = wanted;
        }
        Ok(())
    }
}
