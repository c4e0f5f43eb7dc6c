//! Destroying footage, so that it is true.
//!
//! Order for a batch of segments (V5): all key blocks overwritten → one flush → manifest "key destroyed", of each → one flush
//! a manifest. Then of each file: the whole allocation overwritten, past the page cache → flush → read back, ranges
//! compared; of all of them: manifest "erased" → one flush a manifest → unlink. A crash at any point leaves them due again,
//! or a blank file, which the next start takes away; every step can be done twice. One that fails stays due, and keeps no
//! other of its batch from its end.
//!
//! Order for a held one (V7): file moved apart → manifest "set apart". Neither is flushed: whichever of the two a power cut
//! takes, the next start puts the file where its record says, and the next round moves it.

use super::due::DueSegment;
use super::manifests::Whole;
use super::overwrite::Overwritten;
use super::table::{Life, SegmentRow};
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError, footage};
use crate::disk::{Access, AlignedBuffer, DiskFile};
use crate::domain::{DestructionTrigger, Overwrite, SegmentId, Utc, VolumeId};
use crate::segment::{HEAD_BYTES, ManifestRecord};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

/// Up to so many files are flushed one by one: a flush of the whole volume writes out what the cameras sent meanwhile, too.
const FLUSHED_ONE_BY_ONE: usize = 8;

/// What became of a batch.
#[derive(Debug)]
pub struct Batch<T> {
    pub done: Vec<T>,
    /// They stay due.
    pub failures: Vec<(DueSegment, VaultError)>,
}

impl<T> Default for Batch<T> {
    fn default() -> Self {
        Self { done: Vec::new(), failures: Vec::new() }
    }
}

impl<T> Batch<T> {
    fn add(&mut self, other: Self) {
        self.done.extend(other.done);
        self.failures.extend(other.failures);
    }

    /// What is left of a batch of one.
    fn one(self) -> Result<Option<T>, VaultError> {
        match self.failures.into_iter().next() {
            Some((_, failure)) => Err(failure),
            None => Ok(self.done.into_iter().next()),
        }
    }
}

/// A segment whose blocks are overwritten.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Erased {
    pub due: DueSegment,
    pub overwrite: Overwrite,
    pub bytes: u64,
    /// How much of it was read back.
    pub read_back_percent: u8,
}

impl Vault {
    pub(super) fn volume(&self, id: VolumeId, segment: SegmentId) -> Result<&Volume, VaultError> {
        self.volumes.iter().find(|volume| volume.id == id).ok_or(VaultError::Unknown { segment })
    }

    /// Moves a held segment apart from the rolling footage (PIPA 21(3)). A rename: its blocks stay where they are.
    ///
    /// # Errors
    /// What the disk says.
    pub fn set_apart(&self, due: &DueSegment) -> Result<(), VaultError> {
        let volume = self.volume(due.volume, due.segment)?;
        let name = volume.name_of(due.manifest, due.segment)?;
        let _moving = volume.moving();
        volume.move_segment(&name, due.segment, true)?;
        volume.record_in(due.manifest, &ManifestRecord::SetApart { segment: due.segment })?;
        self.index(volume, due);
        Ok(())
    }

    /// Makes segments unreadable: their key blocks are overwritten, and flushed all together.
    pub fn destroy_keys(&self, due: &[DueSegment], at: Utc) -> Batch<DueSegment> {
        let mut whole = Batch::default();
        for volume in &self.volumes {
            let here: Vec<DueSegment> = due.iter().filter(|due| due.volume == volume.id).copied().collect();
            if here.is_empty() {
                continue;
            }
            let told = volume.destroy_keys(&here, at);
            told.done.iter().for_each(|due| self.index(volume, due));
            whole.add(told);
        }
        whole
    }

    /// The same of one.
    ///
    /// # Errors
    /// What the disk says; it stays due.
    pub fn destroy_key(&self, due: &DueSegment, at: Utc) -> Result<(), VaultError> {
        self.destroy_keys(&[*due], at).one().map(drop)
    }

    /// Overwrites and releases the blocks of segments of one volume whose keys are destroyed. `is_stopped` is asked before
    /// each file.
    pub fn erase_all(
        &self,
        due: &[(DueSegment, DestructionTrigger)],
        at: Utc,
        is_stopped: &dyn Fn() -> bool,
    ) -> Batch<Erased> {
        let mut whole = Batch::default();
        for volume in &self.volumes {
            let here: Vec<_> = due.iter().filter(|(due, _)| due.volume == volume.id).copied().collect();
            if here.is_empty() {
                continue;
            }
            let told = volume.erase_all(&here, at, is_stopped);
            told.done.iter().for_each(|erased| self.index(volume, &erased.due));
            if !told.done.is_empty() {
                volume.discards.want(at);
            }
            whole.add(told);
        }
        whole
    }

    /// The same of one.
    ///
    /// # Errors
    /// What the disk says; it stays due.
    pub fn erase(&self, due: &DueSegment, trigger: DestructionTrigger, at: Utc) -> Result<Overwrite, VaultError> {
        let erased = self.erase_all(&[(*due, trigger)], at, &|| false).one()?;
        erased.map(|erased| erased.overwrite).ok_or(VaultError::Unknown { segment: due.segment })
    }

    /// Of some segments, those that nobody can read any more, by key block or by day key: no grant may keep a key of them.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn unreadable_among(
        &self,
        segments: &[(VolumeId, SegmentId)],
    ) -> Result<Vec<(VolumeId, SegmentId)>, VaultError> {
        let mut found = Vec::new();
        for volume in &self.volumes {
            let here = segments.iter().filter(|(of, _)| *of == volume.id).map(|(_, segment)| *segment).collect();
            found.extend(volume.unreadable_among(&here)?.into_iter().map(|segment| (volume.id, segment)));
        }
        Ok(found)
    }

    /// Brings the index up to what the manifest says of a segment.
    fn index(&self, volume: &Volume, due: &DueSegment) {
        let state = volume.lock();
        let manifest = state.manifests.get(&due.manifest);
        if let Some((camera, entry)) = manifest.and_then(|known| footage::entry_of(volume.id, known, due.segment)) {
            self.indexed(|catalog| catalog.put(camera, entry));
        }
    }
}

impl Volume {
    fn destroy_keys(&self, due: &[DueSegment], at: Utc) -> Batch<DueSegment> {
        let mut told = Batch::default();
        let (mut blank, mut files) = (Vec::new(), Vec::new());
        let zeros = AlignedBuffer::zeroed(HEAD_BYTES);
        // One that stands apart and was condemned is told of twice.
        let mut seen = HashSet::new();
        for due in due.iter().filter(|due| seen.insert(due.segment)) {
            match self.blank_key(due, &zeros) {
                Ok(Blanked::Before) => told.done.push(*due),
                Ok(Blanked::Now(file)) => {
                    blank.push(*due);
                    files.extend(file.map(|(path, file)| (*due, path, file)));
                }
                Err(e) => told.failures.push((*due, e)),
            }
        }
        let unflushed = self.flush_files(files);
        blank.retain(|due| !unflushed.iter().any(|(failed, _)| failed == due));
        told.failures.extend(unflushed);
        let record = |due: &DueSegment| ManifestRecord::KeyDestroyed { segment: due.segment, at };
        let (recorded, failures) = self.record_all(blank, |due| (due.manifest, *due, record(due)));
        let mut state = self.lock();
        for due in &recorded {
            // On a volume that failed it was open still.
            state.open.remove(&due.segment);
        }
        drop(state);
        told.done.extend(recorded);
        told.failures.extend(failures);
        told
    }

    /// Overwrites a key block. Not flushed.
    fn blank_key(&self, due: &DueSegment, zeros: &AlignedBuffer) -> Result<Blanked, VaultError> {
        if matches!(self.row(due)?.life, Life::KeyDestroyed { .. }) {
            return Ok(Blanked::Before);
        }
        let path = self.where_stands(due.manifest, due.segment, due.is_apart)?;
        match self.disk.open(&path, Access::Direct) {
            Ok(file) => {
                file.write_all_at(zeros.as_slice(), 0).map_err(self.on(&path))?;
                Ok(Blanked::Now(Some((path, file))))
            }
            // A file that is gone has no key; the receipt will say so.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Blanked::Now(None)),
            Err(e) => Err(self.on(&path)(e)),
        }
    }

    /// Flushes what was overwritten in several files; returns those of which it is not certain.
    fn flush_files(&self, files: Vec<(DueSegment, PathBuf, Box<dyn DiskFile>)>) -> Vec<(DueSegment, VaultError)> {
        if files.len() <= FLUSHED_ONE_BY_ONE {
            let flushed = files.into_iter().map(|(due, path, file)| (due, file.sync_data().map_err(self.on(&path))));
            return flushed.filter_map(|(due, told)| Some((due, told.err()?))).collect();
        }
        match self.flush() {
            Ok(()) => Vec::new(),
            Err(e) => {
                let what = e.to_string();
                let failed = || VaultError::State { file: self.dir.display().to_string(), what: what.clone() };
                files.into_iter().map(|(due, _, _)| (due, failed())).collect()
            }
        }
    }

    fn erase_all(
        &self,
        due: &[(DueSegment, DestructionTrigger)],
        at: Utc,
        is_stopped: &dyn Fn() -> bool,
    ) -> Batch<Erased> {
        let mut told = Batch::default();
        let mut overwritten = Vec::new();
        for (due, trigger) in due {
            if is_stopped() {
                break;
            }
            match self.overwrite_segment(due) {
                // One that was condemned is erased as such.
                Ok((path, erased, condemned)) => overwritten.push((path, erased, condemned.unwrap_or(*trigger))),
                Err(e) => told.failures.push((*due, e)),
            }
        }
        // Recorded before the names go: after a crash in between, the blank files are found and removed. A name that is gone
        // without its record would be receipted as a file that was never overwritten here.
        let record = |(_, erased, trigger): &(PathBuf, Erased, DestructionTrigger)| {
            let Erased { due, overwrite, bytes, read_back_percent } = *erased;
            let (segment, trigger) = (due.segment, *trigger);
            let record = ManifestRecord::Erased { segment, at, trigger, overwrite, bytes, read_back_percent };
            (due.manifest, due, record)
        };
        let (recorded, failures) = self.record_all(overwritten, record);
        told.failures.extend(failures);
        let manifests: BTreeMap<ManifestKey, DueSegment> =
            recorded.iter().map(|(_, erased, _)| (erased.due.manifest, erased.due)).collect();
        for (path, erased, _) in recorded {
            match self.unlink(&path) {
                Ok(()) => told.done.push(erased),
                Err(e) => {
                    // Nothing looks for it again while this runs.
                    self.lock().left_half_way = true;
                    told.failures.push((erased.due, e));
                }
            }
        }
        for (key, last) in manifests {
            if let Err(e) = self.remove_spent_dirs(key, at) {
                self.lock().left_half_way = true;
                told.failures.push((last, e));
            }
        }
        told
    }

    fn overwrite_segment(&self, due: &DueSegment) -> Result<(PathBuf, Erased, Option<DestructionTrigger>), VaultError> {
        let (whole, condemned) = self.whole_of_keyless(due)?;
        let path = self.where_stands(due.manifest, due.segment, due.is_apart)?;
        let recorded = whole.as_ref().map(|whole| &*whole.ranges);
        let Overwritten { overwrite, bytes, read_back_percent } = self.overwrite_blocks(&path, recorded)?;
        Ok((path, Erased { due: *due, overwrite, bytes, read_back_percent }, condemned))
    }

    /// Appends a record for each of several segments, and flushes each manifest once; returns those that are on record, and
    /// the others.
    #[track_caller]
    fn record_all<T>(
        &self,
        of: Vec<T>,
        record: impl Fn(&T) -> (ManifestKey, DueSegment, ManifestRecord),
    ) -> (Vec<T>, Vec<(DueSegment, VaultError)>) {
        let (mut appended, mut failures) = (Vec::new(), Vec::new());
        for one in of {
            let (key, due, record) = record(&one);
            match self.record_in(key, &record) {
                Ok(()) => appended.push((key, due, one)),
                Err(e) => failures.push((due, e)),
            }
        }
        let keys: BTreeSet<ManifestKey> = appended.iter().map(|(key, _, _)| *key).collect();
        let mut unflushed: HashMap<ManifestKey, String> = HashMap::new();
        for key in keys {
            if let Err(e) = self.flush_manifest(key) {
                unflushed.insert(key, e.to_string());
            }
        }
        let mut recorded = Vec::new();
        for (key, due, one) in appended {
            match unflushed.get(&key) {
                None => recorded.push(one),
                Some(what) => {
                    let file = self.dir.join("manifests").display().to_string();
                    failures.push((due, VaultError::State { file, what: what.clone() }));
                }
            }
        }
        (recorded, failures)
    }

    #[track_caller]
    pub(super) fn flush_manifest(&self, key: ManifestKey) -> Result<(), VaultError> {
        match self.lock().manifests.get_mut(&key) {
            Some(manifest) => manifest.flush(),
            None => Ok(()),
        }
    }

    /// Held from the move of a segment to its record: who looks through directories sees neither without the other.
    pub(super) fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self, due: &DueSegment) -> Result<SegmentRow, VaultError> {
        let unknown = VaultError::Unknown { segment: due.segment };
        let mut state = self.lock();
        state.loaded(due.manifest)?.and_then(|manifest| manifest.row(due.segment).copied()).ok_or(unknown)
    }

    /// What is recorded of a segment whose key is destroyed, and that is not erased yet; `None` of one that never came to its
    /// end, since its volume failed.
    fn whole_of_keyless(&self, due: &DueSegment) -> Result<(Option<Whole>, Option<DestructionTrigger>), VaultError> {
        let unknown = || VaultError::Unknown { segment: due.segment };
        let mut state = self.lock();
        let manifest = state.loaded(due.manifest)?.ok_or_else(unknown)?;
        let row = manifest.row(due.segment).ok_or_else(unknown)?;
        let Life::KeyDestroyed { condemned, .. } = row.life else { return Err(unknown()) };
        Ok((manifest.whole(row)?, condemned))
    }

    fn unreadable_among(&self, wanted: &HashSet<SegmentId>) -> Result<Vec<SegmentId>, VaultError> {
        let mut found = Vec::new();
        if wanted.is_empty() {
            return Ok(found);
        }
        let mut state = self.lock();
        let with_some = state.manifests.iter().filter(|(_, manifest)| {
            let sum = manifest.sum();
            sum.keyless() > 0 || sum.wanted.values().any(|wanted| wanted.is_destroyed)
        });
        let keys: Vec<ManifestKey> = with_some.map(|(key, _)| *key).collect();
        for key in keys {
            let Some(manifest) = state.loaded(key)? else { continue };
            let Some(table) = manifest.table() else { continue };
            let rows = wanted.iter().filter_map(|segment| Some((*segment, table.rows.get(segment)?)));
            let gone = rows.filter(|(_, row)| match row.life {
                Life::KeyDestroyed { .. } | Life::Erased { .. } => true,
                Life::Open | Life::Sealed | Life::Condemned { .. } => manifest.sum().has_lost(table.day_key(row)),
            });
            found.extend(gone.map(|(segment, _)| segment));
        }
        Ok(found)
    }

    /// Appends a record, durable with the next flush of the volume.
    pub(super) fn record_in(&self, key: ManifestKey, record: &ManifestRecord) -> Result<(), VaultError> {
        let mut state = self.lock();
        let manifest = state.loaded(key)?.ok_or(VaultError::NoRoom)?;
        self.append_owed(manifest, record)
    }

    /// Moves a segment apart from the rolling footage, or back. One that stands there already is no error. Not flushed: a
    /// rename happens whole or not at all, and after a power cut the next start moves the file to where its record says.
    pub(super) fn move_segment(&self, manifest: &str, segment: SegmentId, is_apart: bool) -> Result<(), VaultError> {
        let (from_dir, to_dir) = (self.segments_dir(manifest, !is_apart), self.segments_dir(manifest, is_apart));
        let (from, to) = (from_dir.join(segment.to_string()), to_dir.join(segment.to_string()));
        self.disk.create_dir(&to_dir).map_err(self.on(&to_dir))?;
        match self.disk.rename(&from, &to) {
            // Moved before, and the record of it failed.
            Err(e) if e.kind() == ErrorKind::NotFound && self.disk.open(&to, Access::Read).is_ok() => Ok(()),
            moved => moved.map_err(self.on(&from)),
        }
    }

    /// Removes the directories of a manifest that has no segment left and gets no new ones.
    fn remove_spent_dirs(&self, key: ManifestKey, now: Utc) -> Result<(), VaultError> {
        let name = {
            let state = self.lock();
            let spent =
                state.manifests.get(&key).filter(|known| known.sum().left == 0 && known.header.day.end() <= now);
            spent.map(|manifest| manifest.name().to_owned())
        };
        let Some(name) = name else { return Ok(()) };
        self.remove_empty_dir(&self.segments_dir(&name, false))?;
        self.remove_empty_dir(&self.segments_dir(&name, true))
    }

    /// One that is gone, or holds something that is no segment, is no error. Not flushed: an empty directory that a power
    /// cut brings back does no harm.
    pub(super) fn remove_empty_dir(&self, dir: &Path) -> Result<(), VaultError> {
        match self.disk.remove_dir(dir) {
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Ok(()),
            removed => removed.map_err(self.on(dir)),
        }
    }
}

/// What became of a key block.
enum Blanked {
    /// It was so already, and on record.
    Before,
    /// Just now; in no file where there is none any more.
    Now(Option<(PathBuf, Box<dyn DiskFile>)>),
}
