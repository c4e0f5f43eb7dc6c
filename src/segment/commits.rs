//! The commit table: how far each segment has come that its manifest does not call sealed yet.
//!
//! Two regions in one preallocated file, written in turn, so that at a power cut one of them is whole. An entry is
//! what [`super::Progress`] says, plus the segment's id. A table in place of a record for each commit: with 97
//! cameras and a commit every 2 s those records would be 268 MB a day, all to be read at a start.

use super::{FORMAT_VERSION, Progress, SegmentError};
use crate::domain::{Digest, SegmentId, Utc};
use bytes::{Buf, BufMut};

/// One of the two regions, in bytes: 1,000 segments.
pub const COMMIT_REGION_BYTES: usize = 68 * 1024;
const MAGIC: &[u8; 8] = b"CUSTODCT";
const HEADER_BYTES: usize = 24;
const ENTRY_BYTES: usize = 68;
const ENTRIES_LIMIT: usize = (COMMIT_REGION_BYTES - HEADER_BYTES - 4) / ENTRY_BYTES;

/// How far one segment has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommitEntry {
    pub segment: SegmentId,
    pub progress: Progress,
}

/// All open segments of a volume at one commit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommitTable {
    /// Rises by one with each commit. Odd numbers go into the second region.
    pub number: u64,
    pub entries: Vec<CommitEntry>,
}

impl CommitTable {
    /// Where this table goes in the file.
    pub fn offset_bytes(&self) -> u64 {
        (self.number % 2) * COMMIT_REGION_BYTES as u64
    }

    /// # Errors
    /// [`SegmentError::TooLarge`] for more segments than a region holds.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SegmentError> {
        if self.entries.len() > ENTRIES_LIMIT {
            return Err(SegmentError::TooLarge { bytes: self.entries.len() * ENTRY_BYTES });
        }
        let mut out = Vec::with_capacity(HEADER_BYTES + self.entries.len() * ENTRY_BYTES + 4);
        out.put_slice(MAGIC);
        out.put_u16(FORMAT_VERSION);
        out.put_u16(0);
        out.put_u32(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        out.put_u64(self.number);
        for CommitEntry { segment, progress } in &self.entries {
            out.put_u64(segment.0);
            out.put_u32(progress.chunks);
            out.put_u8(u8::from(progress.complete));
            out.put_slice(&[0; 3]);
            out.put_u64(progress.bytes);
            out.put_i64(progress.end.micros());
            out.put_slice(&progress.digest.0);
            out.put_u32(progress.crc);
        }
        out.put_u32(crc32c::crc32c(&out));
        Ok(out)
    }

    /// `None` for a region that was never written, or was torn.
    fn parse(region: &[u8]) -> Option<Self> {
        let mut from = region.strip_prefix(MAGIC)?;
        from.try_get_u32().ok()?;
        let count = from.try_get_u32().ok()? as usize;
        let number = from.try_get_u64().ok()?;
        let end = HEADER_BYTES + count.checked_mul(ENTRY_BYTES)?;
        let mut crc = region.get(end..end + 4)?;
        if crc.get_u32() != crc32c::crc32c(&region[..end]) {
            return None;
        }
        let entries = (0..count).map(|_| take_entry(&mut from)).collect();
        Some(Self { number, entries })
    }

    /// The whole tables of a file, newest first. Neither of them: nothing was committed yet.
    ///
    /// # Errors
    /// [`SegmentError::NewerVersion`]: taken for "nothing was committed", it would cost what is open its life.
    /// [`SegmentError::Damaged`] for a table that is whole, but not as one is written.
    pub fn read_all(file: &[u8]) -> Result<Vec<Self>, SegmentError> {
        let mut tables = Vec::new();
        for region in file.chunks(COMMIT_REGION_BYTES).take(2) {
            if let Some(mut version) = region.strip_prefix(MAGIC)
                && let Ok(found) = version.try_get_u16()
                && found > FORMAT_VERSION
            {
                return Err(SegmentError::NewerVersion { what: "a commit table", found, newest: FORMAT_VERSION });
            }
            let Some(table) = Self::parse(region) else { continue };
            if !region.starts_with(&table.to_bytes()?) {
                return Err(SegmentError::Damaged { what: "a commit table", at_bytes: table.offset_bytes() });
            }
            tables.push(table);
        }
        tables.sort_by_key(|table| std::cmp::Reverse(table.number));
        Ok(tables)
    }

    pub fn entry(&self, segment: SegmentId) -> Option<&Progress> {
        self.entries.iter().find(|entry| entry.segment == segment).map(|entry| &entry.progress)
    }
}

/// `from` holds at least one whole entry: the caller compared the count with the length.
fn take_entry(from: &mut &[u8]) -> CommitEntry {
    let segment = SegmentId(from.get_u64());
    let chunks = from.get_u32();
    let complete = from.get_u8() != 0;
    from.advance(3);
    let bytes = from.get_u64();
    let end = Utc::from_micros(from.get_i64());
    let mut digest = [0; 32];
    from.copy_to_slice(&mut digest);
    let crc = from.get_u32();
    CommitEntry { segment, progress: Progress { chunks, bytes, end, digest: Digest(digest), crc, complete } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(number: u64) -> CommitTable {
        let progress = Progress {
            chunks: 3,
            bytes: 4,
            end: Utc::from_micros(5),
            digest: Digest([6; 32]),
            crc: 7,
            complete: false,
        };
        CommitTable { number, entries: vec![CommitEntry { segment: SegmentId(number), progress }; 97] }
    }

    #[test]
    fn a_torn_newest_table_leaves_the_one_before() {
        let mut file = vec![0; 2 * COMMIT_REGION_BYTES];
        for number in [4, 5] {
            let table = table(number);
            let bytes = table.to_bytes().unwrap();
            let at = usize::try_from(table.offset_bytes()).unwrap();
            file[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        assert_eq!(CommitTable::read_all(&file).unwrap(), [table(5), table(4)]);
        file[COMMIT_REGION_BYTES + 100] ^= 1;
        assert_eq!(CommitTable::read_all(&file).unwrap(), [table(4)]);
        assert!(CommitTable::read_all(&[0; 2 * COMMIT_REGION_BYTES]).unwrap().is_empty());
        assert!(CommitTable::read_all(b"short").unwrap().is_empty());
    }

    #[test]
    fn a_newer_table_is_not_taken_for_nothing() {
        let mut file = table(4).to_bytes().unwrap();
        file[9] = 2;
        assert!(matches!(CommitTable::read_all(&file), Err(SegmentError::NewerVersion { found: 2, .. })));
    }
}
