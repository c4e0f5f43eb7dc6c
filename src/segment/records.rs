//! Reading a manifest's records: all of one that is in memory, or piece by piece from its file.

use super::SegmentError;
use super::manifest::{MANIFEST_HEADER_BYTES, ManifestHeader, ManifestRecord, RECORD_PREFIX_BYTES};
use crate::crypto::{RunningDigest, sha256};
use crate::disk::DiskFile;
use crate::domain::ManifestHead;
use bytes::Buf;

const RECORD_LIMIT_BYTES: usize = 1 << 20;
/// What a device writes whole or not at all, at the least.
const SECTOR_BYTES: usize = 512;
/// How much of a file is read at a time. Records are a few dozen bytes.
const PIECE_BYTES: usize = 256 << 10;
/// How far behind a torn end whole records are looked for. A crash leaves less than a commit's records there.
const LOOK_BEHIND_BYTES: usize = 4 << 20;

/// The head of a manifest without records.
pub fn first_head(header: &ManifestHeader) -> ManifestHead {
    ManifestHead { records: 0, digest: sha256(&header.to_bytes()) }
}

/// The head after one more record, given as it is appended.
pub fn next_head(head: ManifestHead, record_bytes: &[u8]) -> ManifestHead {
    let mut running = RunningDigest::new();
    running.update(&head.digest.0);
    running.update(record_bytes.get(RECORD_PREFIX_BYTES..).unwrap_or_default());
    ManifestHead { records: head.records + 1, digest: running.so_far() }
}

/// Reads the records of a manifest one by one, and stops at the first that is not whole.
#[derive(Debug)]
pub struct RecordReader<'a> {
    bytes: &'a [u8],
    at: usize,
    head: ManifestHead,
}

impl<'a> RecordReader<'a> {
    /// # Errors
    /// As [`ManifestHeader::parse`].
    pub fn new(bytes: &'a [u8]) -> Result<(ManifestHeader, Self), SegmentError> {
        let header = ManifestHeader::parse(bytes)?;
        let head = first_head(&header);
        Ok((header, Self { bytes, at: MANIFEST_HEADER_BYTES, head }))
    }

    /// Where the record to be read next begins: after the last one, the end of what is whole.
    pub fn offset_bytes(&self) -> u64 {
        self.at as u64
    }

    /// The head after the records read so far.
    pub fn head(&self) -> ManifestHead {
        self.head
    }
}

impl Iterator for RecordReader<'_> {
    type Item = ManifestRecord;

    fn next(&mut self) -> Option<ManifestRecord> {
        let (whole, record) = record_at(self.bytes, self.at)?;
        let (head, end) = (next_head(self.head, whole), self.at + whole.len());
        (self.head, self.at) = (head, end);
        Some(record)
    }
}

/// The whole record that begins at a place; `None` where none does.
fn record_at(bytes: &[u8], at: usize) -> Option<(&[u8], ManifestRecord)> {
    let rest = bytes.get(at..)?;
    let mut prefix = rest.get(..RECORD_PREFIX_BYTES)?;
    let length = prefix.get_u32() as usize;
    let crc = prefix.get_u32();
    if length > RECORD_LIMIT_BYTES {
        return None;
    }
    let whole = rest.get(..RECORD_PREFIX_BYTES + length)?;
    let payload = &whole[RECORD_PREFIX_BYTES..];
    // Its length first: [`RecordStream::goes_on`] looks at every byte, and a digest of what follows each would take
    // minutes of a file made to that end.
    if ManifestRecord::payload_bytes(payload) != Some(length) || crc32c::crc32c(payload) != crc {
        return None;
    }
    Some((whole, ManifestRecord::parse(payload)?))
}

/// Reads the one record that begins at `at_bytes` of a manifest's file.
///
/// # Errors
/// [`SegmentError::Damaged`] where none does; what the disk says.
pub fn read_record(file: &dyn DiskFile, at_bytes: u64) -> Result<ManifestRecord, SegmentError> {
    const AT_ONCE_BYTES: usize = 512;
    let mut bytes = vec![0; AT_ONCE_BYTES];
    let got = file.read_at(&mut bytes, at_bytes)?;
    let damaged = || SegmentError::Damaged { what: "a manifest's record", at_bytes };
    let mut prefix = bytes.get(..got.min(4)).filter(|prefix| prefix.len() == 4).ok_or_else(damaged)?;
    let length = prefix.get_u32() as usize + RECORD_PREFIX_BYTES;
    // Memory is taken for what a record claims: never more than the file has.
    if length > RECORD_LIMIT_BYTES + RECORD_PREFIX_BYTES || at_bytes + length as u64 > file.len_bytes()? {
        return Err(damaged());
    }
    if length > got {
        bytes.resize(length, 0);
        let got = file.read_at(&mut bytes, at_bytes)?;
        bytes.truncate(got);
    }
    record_at(&bytes, 0).map(|(_, record)| record).ok_or_else(damaged)
}

/// A record and where it begins in its file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordAt {
    pub record: ManifestRecord,
    pub at_bytes: u64,
}

/// Reads the records of a manifest's file one by one, without having the whole of it in memory, and stops at the first
/// that is not whole.
#[derive(Debug)]
pub struct RecordStream<'a> {
    file: &'a dyn DiskFile,
    /// What was read and not yet taken, from `taken` on.
    piece: Vec<u8>,
    taken: usize,
    at_bytes: u64,
    head: ManifestHead,
}

impl<'a> RecordStream<'a> {
    /// # Errors
    /// As [`ManifestHeader::parse`]; what the disk says.
    pub fn open(file: &'a dyn DiskFile) -> Result<(ManifestHeader, Self), SegmentError> {
        let mut bytes = [0; MANIFEST_HEADER_BYTES];
        let got = file.read_at(&mut bytes, 0)?;
        let header = ManifestHeader::parse(&bytes[..got])?;
        let head = first_head(&header);
        Ok((header, Self::resume(file, MANIFEST_HEADER_BYTES as u64, head)))
    }

    /// Goes on behind records that were read before: `head` is theirs.
    pub fn resume(file: &'a dyn DiskFile, at_bytes: u64, head: ManifestHead) -> Self {
        Self { file, piece: Vec::new(), taken: 0, at_bytes, head }
    }

    /// Where the record to be read next begins: after the last one, the end of what is whole.
    pub fn offset_bytes(&self) -> u64 {
        self.at_bytes
    }

    /// The head after the records read so far.
    pub fn head(&self) -> ManifestHead {
        self.head
    }

    /// The next record; `None` at the end of what is whole.
    ///
    /// # Errors
    /// What the disk says.
    pub fn next_record(&mut self) -> Result<Option<RecordAt>, SegmentError> {
        loop {
            if let Some((whole, record)) = record_at(&self.piece, self.taken) {
                let length = whole.len();
                self.head = next_head(self.head, whole);
                let at_bytes = self.at_bytes;
                self.taken += length;
                self.at_bytes += length as u64;
                return Ok(Some(RecordAt { record, at_bytes }));
            }
            // Not whole, or not whole here: only more bytes can tell.
            let left = self.piece.len() - self.taken;
            if left > RECORD_LIMIT_BYTES + RECORD_PREFIX_BYTES || !self.read_on(PIECE_BYTES)? {
                return Ok(None);
            }
        }
    }

    /// Whether a whole record stands behind the end of what was read, and nothing shows that a power cut made the gap: then
    /// what stands in between was damaged.
    ///
    /// # Errors
    /// What the disk says.
    pub fn goes_on(&mut self) -> Result<bool, SegmentError> {
        while self.piece.len() - self.taken < LOOK_BEHIND_BYTES && self.read_on(LOOK_BEHIND_BYTES)? {}
        if self.lacks_sector() {
            return Ok(false);
        }
        Ok((self.taken + 1..self.piece.len()).any(|at| record_at(&self.piece, at).is_some()))
    }

    /// Whether the record that is not whole lacks a sector: one that reads as zeros from the end of what is whole, or from
    /// its own beginning, to its end. That is what a power cut leaves of records that were not flushed, whatever it kept
    /// of those behind them. A byte that was changed leaves no such hole.
    fn lacks_sector(&self) -> bool {
        let rest = &self.piece[self.taken..];
        let length = rest.get(..4).map_or(usize::MAX, |mut prefix| prefix.get_u32() as usize);
        let end = rest.len().min(length.saturating_add(RECORD_PREFIX_BYTES));
        let to_sector_end = SECTOR_BYTES - usize::try_from(self.at_bytes % SECTOR_BYTES as u64).unwrap_or(0);
        let ends = (to_sector_end..).step_by(SECTOR_BYTES).take_while(|sector_end| *sector_end <= rest.len());
        let mut from = 0;
        for sector_end in ends {
            if from >= end {
                break;
            }
            if rest[from..sector_end].iter().all(|byte| *byte == 0) {
                return true;
            }
            from = sector_end;
        }
        false
    }

    /// Reads up to `more_bytes` more; `false` at the end of the file.
    fn read_on(&mut self, more_bytes: usize) -> Result<bool, SegmentError> {
        self.piece.drain(..self.taken);
        self.taken = 0;
        let had = self.piece.len();
        let left = self.file.len_bytes()?.saturating_sub(self.at_bytes + had as u64);
        self.piece.resize(had + usize::try_from(left).unwrap_or(usize::MAX).min(more_bytes), 0);
        let got = self.file.read_at(&mut self.piece[had..], self.at_bytes + had as u64)?;
        self.piece.truncate(had + got);
        Ok(got > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Access, Disk, RealDisk};
    use crate::domain::{Day, Digest, Retention, SegmentId, Utc, VolumeId};
    use std::time::Duration;

    fn erased(number: u64) -> ManifestRecord {
        ManifestRecord::KeyDestroyed { segment: SegmentId(number), at: Utc::from_micros(1) }
    }

    fn written(records: u64) -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manifest");
        let retention = Retention::Ceiling(Duration::from_secs(86_400));
        let mut bytes = ManifestHeader { volume: VolumeId([9; 16]), day: Day(20_000), retention, carries_on: None }
            .to_bytes()
            .to_vec();
        (0..records).for_each(|number| bytes.extend(erased(number).to_bytes()));
        std::fs::write(&path, &bytes).unwrap();
        (dir, path, bytes)
    }

    #[test]
    fn a_stream_over_many_pieces_reads_what_a_reader_in_memory_reads() {
        let (_dir, path, bytes) = written(40_000);
        assert!(bytes.len() > 3 * PIECE_BYTES);
        let file = RealDisk.open(&path, Access::Read).unwrap();
        let (_, mut stream) = RecordStream::open(&*file).unwrap();
        let (_, mut reader) = RecordReader::new(&bytes).unwrap();
        let mut middle = None;
        let mut count = 0;
        while let Some(RecordAt { record, at_bytes }) = stream.next_record().unwrap() {
            assert_eq!(Some(&record), reader.next().as_ref());
            assert_eq!(read_record(&*file, at_bytes).unwrap(), record);
            count += 1;
            if count == 20_000 {
                middle = Some((stream.offset_bytes(), stream.head()));
            }
        }
        assert_eq!((count, stream.head()), (40_000, reader.head()));
        assert!(!stream.goes_on().unwrap());
        let (at_bytes, head) = middle.unwrap();
        let mut rest = RecordStream::resume(&*file, at_bytes, head);
        while rest.next_record().unwrap().is_some() {}
        assert_eq!((rest.head(), rest.offset_bytes()), (reader.head(), bytes.len() as u64));
        assert_ne!(rest.head().digest, Digest::ZERO);
    }

    #[test]
    fn what_is_damaged_in_the_middle_is_told_from_a_torn_end() {
        let (_dir, path, bytes) = written(100);
        for (at, goes_on) in [(200, true), (bytes.len() - 1, false)] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let file = RealDisk.open(&path, Access::Read).unwrap();
            let (_, mut stream) = RecordStream::open(&*file).unwrap();
            while stream.next_record().unwrap().is_some() {}
            assert!(stream.offset_bytes() <= at as u64);
            assert_eq!(stream.goes_on().unwrap(), goes_on);
        }
    }

    /// Each 4 bytes say that a record of about 1 MiB begins here.
    #[test]
    fn a_file_of_nothing_but_beginnings_is_looked_through_at_once() {
        let (_dir, path, mut bytes) = written(0);
        bytes.extend([0, 0x0F, 0, 0x0F].repeat(1 << 20));
        std::fs::write(&path, &bytes).unwrap();
        let file = RealDisk.open(&path, Access::Read).unwrap();
        let (_, mut stream) = RecordStream::open(&*file).unwrap();
        let began = std::time::Instant::now();
        assert!(stream.next_record().unwrap().is_none() && !stream.goes_on().unwrap());
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    }

    #[test]
    fn a_sector_that_a_power_cut_took_is_an_end_and_no_damage() {
        let (_dir, path, bytes) = written(100);
        for (from, to) in [(512, 1024), (1024, 1536)] {
            let mut torn = bytes.clone();
            torn[from..to].fill(0);
            std::fs::write(&path, &torn).unwrap();
            let file = RealDisk.open(&path, Access::Read).unwrap();
            let (_, mut stream) = RecordStream::open(&*file).unwrap();
            while stream.next_record().unwrap().is_some() {}
            assert!(stream.offset_bytes() <= from as u64);
            assert!(!stream.goes_on().unwrap(), "whole records behind it were not flushed either");
            torn[from + 300] = 1;
            std::fs::write(&path, &torn).unwrap();
            let (_, mut stream) = RecordStream::open(&*file).unwrap();
            while stream.next_record().unwrap().is_some() {}
            assert!(stream.goes_on().unwrap(), "no power cut leaves half a sector");
        }
    }

    #[test]
    fn one_record_is_read_by_its_place_and_no_other_place_has_one() {
        let (_dir, path, bytes) = written(3);
        let file = RealDisk.open(&path, Access::Read).unwrap();
        assert_eq!(read_record(&*file, MANIFEST_HEADER_BYTES as u64).unwrap(), erased(0));
        for at in [0, MANIFEST_HEADER_BYTES as u64 + 1, bytes.len() as u64, bytes.len() as u64 - 3] {
            assert!(matches!(read_record(&*file, at), Err(SegmentError::Damaged { .. })), "{at}");
        }
    }
}
