//! The group commit: all open segments of a volume become durable with one flush.
//!
//! Order of commit N: progress of every open segment → commit table N → flush of the volume → "sealed" records of the
//! segments whose footers that flush covered. Those records are durable with commit N + 1, and their entries stay in
//! the table until then (V2).
//!
//! Table N may reach the disk before what it tells of: it says what was committed only once table N + 1 is begun, which is
//! after its flush. A start believes of the newest one no more than the file bears out.

use super::table::Newest;
use super::volume::{OpenSegment, Volume};
use super::{Vault, VaultError, footage};
use crate::catalog::CatalogEntry;
use crate::disk::{Access, Extents};
use crate::domain::{CameraNumber, SegmentId};
use crate::segment::{COMMIT_REGION_BYTES, CommitEntry, CommitTable, ManifestRecord};

const COMMITS_NAME: &str = "commits";
/// About an hour: after a power cut the manifests are read to which something was appended since.
const SUMMARY_EVERY_COMMITS: u64 = 1_800;

impl Vault {
    /// Commits every volume in use. One whose device fails is latched, and the others go on; one that is only full, or
    /// could not be reached for want of file descriptors, is tried again with the next commit.
    ///
    /// # Errors
    /// The last failure; [`VaultError::NoRoom`] where all volumes are latched.
    pub fn commit(&self) -> Result<(), VaultError> {
        let mut told = if self.volumes.iter().all(Volume::is_latched) { Err(VaultError::NoRoom) } else { Ok(()) };
        for volume in &self.volumes {
            told = self.commit_on(volume).and(told);
        }
        told
    }

    /// Commits one volume, in use or not: whoever has a thread for each does not let one wait for the other's disk.
    ///
    /// # Errors
    /// As [`Vault::commit`].
    pub fn commit_on(&self, volume: &Volume) -> Result<(), VaultError> {
        if volume.is_latched() {
            return if self.volumes.iter().all(Volume::is_latched) { Err(VaultError::NoRoom) } else { Ok(()) };
        }
        let told = volume.pace.committing(|| self.commit_volume(volume));
        if let Err(e) = &told
            && e.condemns()
        {
            volume.latch(e);
        }
        told
    }

    fn commit_volume(&self, volume: &Volume) -> Result<(), VaultError> {
        let (number, footed) = volume.write_commit_table()?;
        volume.flush()?;
        for segment in footed {
            if let Some((camera, entry)) = volume.record_sealed(segment, number)? {
                self.indexed(|catalog| catalog.put(camera, entry));
            }
        }
        let is_old = std::mem::take(&mut volume.lock().summary_is_old);
        if is_old || number.is_multiple_of(SUMMARY_EVERY_COMMITS) {
            volume.summarise(false)?;
        }
        Ok(())
    }
}

impl Volume {
    /// Writes the table of the next commit; returns its number and the segments that end with it.
    pub(super) fn write_commit_table(&self) -> Result<(u64, Vec<SegmentId>), VaultError> {
        let mut state = self.lock();
        let number = state.commit_number + 1;
        // A record made after commit N was flushed by commit N + 1: from N + 2 on the table may forget it.
        state.open.retain(|_, open| open.recorded_at.is_none_or(|recorded| number < recorded + 2));
        let entries = state.open.iter();
        let entries = entries.map(|(segment, open)| CommitEntry { segment: *segment, progress: open.progress });
        let table = CommitTable { number, entries: entries.collect() };
        let path = self.dir.join(COMMITS_NAME);
        let file = self.disk.open(&path, Access::ReadWrite).map_err(self.on(&path))?;
        file.write_all_at(&table.to_bytes()?, table.offset_bytes()).map_err(self.on(&path))?;
        // Only now: a table that a full disk took half of is written again in its own place. The other place has the last
        // good one.
        state.commit_number = number;
        let ends = |open: &OpenSegment| open.recorded_at.is_none() && open.ends();
        let footed = state.open.iter().filter(|(_, open)| ends(open)).map(|(segment, _)| *segment).collect();
        Ok((number, footed))
    }

    /// Tells the manifest that a segment is whole, or ends where it stands; returns what the index is to say of it.
    fn record_sealed(
        &self,
        segment: SegmentId,
        number: u64,
    ) -> Result<Option<(CameraNumber, CatalogEntry)>, VaultError> {
        let Some(key) = self.lock().open.get(&segment).map(|open| open.manifest) else { return Ok(None) };
        let path = self.segment_path(&self.name_of(key, segment)?, segment, false);
        let file = self.disk.open(&path, Access::Read).map_err(self.on(&path))?;
        let ranges = match file.extents().map_err(self.on(&path))? {
            Extents::Known(ranges) => ranges,
            Extents::Unknown(_) => Vec::new(),
        };
        let mut state = self.lock();
        let Some(open) = state.open.get(&segment) else { return Ok(None) };
        let (progress, doubt) = (open.progress, open.doubt);
        let record = ManifestRecord::Sealed {
            segment,
            chunks: progress.chunks,
            bytes: progress.bytes,
            allocated_bytes: open.allocated_bytes,
            end: progress.end,
            digest: progress.digest,
            has_footer: progress.complete,
            ranges,
        };
        let Some(manifest) = state.loaded(key)? else { return Ok(None) };
        self.append_owed(manifest, &record)?;
        let told = footage::entry_of(self.id, manifest, segment);
        // One that was given up came to its end here: what is begun from now on follows on it.
        let ended = manifest.row(segment).map(|row| (row.camera, row.start));
        if let Some((camera, start)) = ended {
            let newest = Newest { start, end: progress.end.max(start), digest: progress.digest, doubt };
            let known = state.newest.entry(camera).or_insert(newest);
            if known.start <= start {
                *known = newest;
            }
        }
        // Only now: a segment whose record failed stays in the table.
        if let Some(open) = state.open.get_mut(&segment) {
            open.recorded_at = Some(number);
        }
        Ok(told)
    }

    /// Makes the commit table's file where it is missing, and reads its tables, newest first.
    pub(super) fn read_commit_tables(&self) -> Result<Vec<CommitTable>, VaultError> {
        let path = self.dir.join(COMMITS_NAME);
        let whole = 2 * COMMIT_REGION_BYTES as u64;
        match crate::disk::read_file(&*self.disk, &path, whole) {
            Ok(bytes) => Ok(CommitTable::read_all(&bytes)?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let file = self.disk.create_new(&path).map_err(self.on(&path))?;
                // Durable with the first table. Until then it is made again.
                file.allocate(whole).map_err(self.on(&path))?;
                Ok(Vec::new())
            }
            Err(e) => Err(self.on(&path)(e)),
        }
    }
}
