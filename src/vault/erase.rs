//! Destroying footage, so that it is true.
//!
//! Order for each segment (V5): key block overwritten → flush → manifest "key destroyed" → flush → the whole
//! allocation overwritten, past the page cache → flush → read back, ranges compared → manifest "erased" → flush →
//! unlink. A crash at any point leaves it due again, or a blank file, which the next start takes away; every step can be
//! done twice.
//!
//! Order for a held one (V7): file moved apart → manifest "set apart". Neither is flushed: whichever of the two a power cut
//! takes, the next start puts the file where its record says, and the next round moves it.
//!
//! Order for a day key: every slot overwritten → flush → unlink → manifest "day key destroyed".

use super::manifests::{ManifestFile, Whole};
use super::table::{Life, SegmentRow, span_at_least};
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError, footage};
use crate::crypto::{RunningDigest, random_u64};
use crate::disk::{Access, AlignedBuffer, BLOCK_BYTES, DiskFile, Extents, PhysicalRange, STRIDE_BYTES};
use crate::domain::{CameraNumber, DestructionTrigger, Digest, Overwrite, SegmentId, Span, Utc, VolumeId};
use crate::ledger::DestructionReceipt;
use crate::segment::{HEAD_BYTES, ManifestRecord};
use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

/// As the receipt says it.
const TECHNIQUE: &str = "key destroyed, then every block of the file overwritten once with zeros past the page cache, \
                         flushed, read back in part, released (NIST SP 800-88r2: Clear, with cryptographic erase)";
/// At least this share of the strides is read back, chosen at random, besides the key block.
const READ_BACK_ONE_IN: u64 = 20;

/// A segment whose period has ended, or whose erasing was begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DueSegment {
    pub volume: VolumeId,
    pub segment: SegmentId,
    pub camera: CameraNumber,
    pub span: Span,
    /// When its period ended; for one whose erasing was begun, long ago.
    pub expires: Utc,
    /// It stands with the held footage.
    pub is_apart: bool,
    /// Its key is destroyed already: no hold can bring it back.
    pub is_keyless: bool,
    /// It was condemned before its period had ended: no hold can bring it back, either.
    pub condemned: Option<DestructionTrigger>,
    manifest: ManifestKey,
}

impl DueSegment {
    /// Why it is destroyed.
    pub fn trigger(&self) -> DestructionTrigger {
        let ended = if self.is_apart { DestructionTrigger::HoldEnded } else { DestructionTrigger::Expiry };
        self.condemned.unwrap_or(ended)
    }
}

/// So much at least is told to be due at a time, if it is: after an outage of weeks all of it would not fit into memory.
const DUE_AT_A_TIME: usize = 100_000;

impl Vault {
    /// What must go by `now`, the trusted time, oldest first: more than 100,000 in parts, and first what still
    /// has its key. A manifest that cannot be read stands in no other's way; [`Vault::due_is_known`] names it.
    pub fn due(&self, now: Utc) -> Vec<DueSegment> {
        let mut due = Vec::new();
        for volume in &self.volumes {
            due.extend(volume.due_apart(now));
        }
        for with_keys in [true, false] {
            for volume in &self.volumes {
                for key in volume.keys_due(now, with_keys) {
                    if due.len() < DUE_AT_A_TIME {
                        due.extend(volume.due_in(key, now).unwrap_or_default());
                    }
                }
            }
        }
        due.sort_by_key(|segment: &DueSegment| segment.span.from());
        due
    }

    /// Whether all that is due can be told.
    ///
    /// # Errors
    /// The first manifest that cannot be read: what it names is not destroyed.
    pub fn due_is_known(&self, now: Utc) -> Result<(), VaultError> {
        for volume in &self.volumes {
            for key in volume.keys_due(now, true).into_iter().chain(volume.keys_due(now, false)) {
                volume.lock().loaded(key)?;
            }
        }
        Ok(())
    }

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

    /// Makes a segment unreadable: its key block is overwritten and flushed.
    ///
    /// # Errors
    /// What the disk says; it stays due.
    pub fn destroy_key(&self, due: &DueSegment, at: Utc) -> Result<(), VaultError> {
        let volume = self.volume(due.volume, due.segment)?;
        if matches!(volume.row(due)?.life, Life::KeyDestroyed { .. }) {
            return Ok(());
        }
        let path = volume.where_stands(due.manifest, due.segment, due.is_apart)?;
        match volume.disk.open(&path, Access::Direct) {
            Ok(file) => {
                let zeros = AlignedBuffer::zeroed(HEAD_BYTES);
                file.write_all_at(zeros.as_slice(), 0).map_err(volume.on(&path))?;
                file.sync_data().map_err(volume.on(&path))?;
            }
            // A file that is gone has no key; the receipt will say so.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(volume.on(&path)(e)),
        }
        volume.record_flushed(due.manifest, &ManifestRecord::KeyDestroyed { segment: due.segment, at })?;
        self.index(volume, due);
        Ok(())
    }

    /// Overwrites and releases the blocks of a segment whose key is destroyed. One that was condemned is erased as such.
    ///
    /// # Errors
    /// What the disk says; it stays due.
    pub fn erase(&self, due: &DueSegment, trigger: DestructionTrigger, at: Utc) -> Result<Overwrite, VaultError> {
        let volume = self.volume(due.volume, due.segment)?;
        let trigger = due.condemned.unwrap_or(trigger);
        let ranges = volume.whole_of_keyless(due)?.ranges;
        let path = volume.where_stands(due.manifest, due.segment, due.is_apart)?;
        let (overwrite, bytes) = volume.overwrite_blocks(&path, &ranges)?;
        // Recorded before the name goes: after a crash in between, the blank file is found and removed. A name that is gone
        // without its record would be receipted as a file that was never overwritten here.
        let erased = ManifestRecord::Erased { segment: due.segment, at, trigger, overwrite, bytes };
        volume.record_flushed(due.manifest, &erased)?;
        let removed = volume.unlink(&path).and_then(|()| volume.remove_spent_dirs(due.manifest, at));
        if removed.is_err() {
            // Nothing looks for it again while this runs.
            volume.lock().left_half_way = true;
        }
        self.index(volume, due);
        removed.map(|()| overwrite)
    }

    /// Brings the index up to what the manifest says of a segment.
    fn index(&self, volume: &Volume, due: &DueSegment) {
        let state = volume.lock();
        let manifest = state.manifests.get(&due.manifest);
        if let Some((camera, entry)) = manifest.and_then(|known| footage::entry_of(volume.id, known, due.segment)) {
            self.indexed(|catalog| catalog.put(camera, entry));
        }
    }

    /// Destroys the day keys of days that are over and have nothing left to open.
    ///
    /// # Errors
    /// What the disk says.
    pub fn destroy_spent_day_keys(&self, now: Utc) -> Result<(), VaultError> {
        for volume in &self.volumes {
            for (key, day_key) in volume.spent_day_keys(now) {
                let _turn = volume.key_files.write().unwrap_or_else(PoisonError::into_inner);
                volume.destroy_day_key(day_key)?;
                let mut state = volume.lock();
                state.day_keys.retain(|_, (known, _)| *known != day_key);
                if let Some(manifest) = state.manifests.get_mut(&key) {
                    // Not flushed: a record that a power cut takes is made again, since no file is found for the key.
                    volume.append_owed(manifest, &ManifestRecord::DayKeyDestroyed { day_key, at: now })?;
                }
            }
        }
        Ok(())
    }

    /// Destructions that the ledger does not have yet, a batch a camera, day and outcome.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn unreceipted(&self) -> Result<Vec<DestructionReceipt>, VaultError> {
        let mut receipts = Vec::new();
        for volume in &self.volumes {
            receipts.extend(volume.unreceipted()?);
        }
        Ok(receipts)
    }

    /// Every destruction up to here is a flushed row of the ledger.
    ///
    /// # Errors
    /// What the disk says; the rows are then written once more.
    pub fn receipts_copied(&self) -> Result<(), VaultError> {
        for volume in &self.volumes {
            let mut state = volume.lock();
            for manifest in state.manifests.values_mut() {
                if manifest.sum().unreceipted > 0 {
                    volume.append_owed(manifest, &ManifestRecord::ReceiptsCopied)?;
                    manifest.flush()?;
                }
            }
        }
        Ok(())
    }
}

impl Volume {
    /// Manifests whose rolling footage has something due, oldest first: those with keys left, or those without.
    fn keys_due(&self, now: Utc, with_keys: bool) -> Vec<ManifestKey> {
        let state = self.lock();
        let due = state.manifests.iter().filter(|(_, manifest)| {
            // No segment of a day can be due before the day's first moment is.
            let earliest = manifest.header.day.start().saturating_add(manifest.header.retention.period());
            let sum = manifest.sum();
            let has_keys = (earliest <= now && sum.rolling_keyed() > 0) || sum.condemned > 0;
            has_keys == with_keys && (has_keys || sum.keyless() > 0)
        });
        due.map(|(key, _)| *key).collect()
    }

    /// What stands apart and is past its day; whether it is held is for the caller to say.
    fn due_apart(&self, now: Utc) -> Vec<DueSegment> {
        let state = self.lock();
        let mut due = Vec::new();
        for (key, manifest) in &state.manifests {
            let retention = manifest.header.retention;
            for (segment, apart) in &manifest.sum().apart {
                let Some(span) = span_at_least(apart.start, apart.end) else { continue };
                let (expires, camera) = (retention.expiry(span), apart.camera);
                if expires <= now {
                    due.push(DueSegment {
                        volume: self.id,
                        segment: *segment,
                        camera,
                        span,
                        expires,
                        is_apart: true,
                        is_keyless: false,
                        condemned: None,
                        manifest: *key,
                    });
                }
            }
        }
        due
    }

    fn due_in(&self, key: ManifestKey, now: Utc) -> Result<Vec<DueSegment>, VaultError> {
        let mut state = self.lock();
        let Some(manifest) = state.loaded(key)? else { return Ok(Vec::new()) };
        let retention = manifest.header.retention;
        let rows = manifest.table().into_iter().flat_map(|table| &table.rows);
        let due = rows.filter_map(|(segment, row)| {
            let span = row.span_at_least()?;
            let (expires, condemned) = match row.life {
                Life::KeyDestroyed { at, condemned } => (at, condemned),
                Life::Condemned { at, trigger } => (at, Some(trigger)),
                Life::Sealed if row.is_apart => return None,
                Life::Sealed => (retention.expiry(span), None),
                Life::Open | Life::Erased { .. } => return None,
            };
            (expires <= now).then_some(DueSegment {
                volume: self.id,
                segment: *segment,
                camera: row.camera,
                span,
                expires,
                is_apart: row.is_apart,
                is_keyless: matches!(row.life, Life::KeyDestroyed { .. }),
                condemned,
                manifest: key,
            })
        });
        Ok(due.collect())
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

    /// What is recorded of a segment whose key is destroyed, and that is not erased yet.
    fn whole_of_keyless(&self, due: &DueSegment) -> Result<Whole, VaultError> {
        let unknown = || VaultError::Unknown { segment: due.segment };
        let mut state = self.lock();
        let manifest = state.loaded(due.manifest)?.ok_or_else(unknown)?;
        match manifest.row(due.segment) {
            Some(row) if matches!(row.life, Life::KeyDestroyed { .. }) => manifest.whole(row)?.ok_or_else(unknown),
            _ => Err(unknown()),
        }
    }

    /// Appends a record, durable with the next flush of the volume.
    fn record_in(&self, key: ManifestKey, record: &ManifestRecord) -> Result<(), VaultError> {
        let mut state = self.lock();
        let manifest = state.loaded(key)?.ok_or(VaultError::NoRoom)?;
        self.append_owed(manifest, record)
    }

    #[track_caller]
    fn record_flushed(&self, key: ManifestKey, record: &ManifestRecord) -> Result<(), VaultError> {
        let mut state = self.lock();
        let manifest = state.loaded(key)?.ok_or(VaultError::NoRoom)?;
        self.append_owed(manifest, record)?;
        manifest.flush()
    }

    fn spent_day_keys(&self, now: Utc) -> Vec<(ManifestKey, crate::domain::DayKeyId)> {
        let state = self.lock();
        let over = || state.manifests.iter().filter(|(_, manifest)| manifest.header.day.end() <= now);
        // Over all manifests: a period that was changed during the day has one of its own, and shares the day key.
        let wanted: HashSet<_> = over().flat_map(|(_, manifest)| manifest.sum().wanted.keys()).collect();
        over()
            .flat_map(|(key, manifest)| manifest.sum().day_keys.keys().map(|day_key| (*key, *day_key)))
            .filter(|(_, day_key)| !wanted.contains(day_key))
            .collect()
    }

    fn unreceipted(&self) -> Result<Vec<DestructionReceipt>, VaultError> {
        let mut batches: BTreeMap<_, (DestructionReceipt, RunningDigest)> = BTreeMap::new();
        let mut state = self.lock();
        let with_some = state.manifests.iter().filter(|(_, manifest)| manifest.sum().unreceipted > 0);
        let keys: Vec<ManifestKey> = with_some.map(|(key, _)| *key).collect();
        for key in keys {
            let Some(manifest) = state.loaded(key)? else { continue };
            for (segment, row) in manifest.table().into_iter().flat_map(|table| &table.rows) {
                let Life::Erased { trigger, overwrite, .. } = row.life else { continue };
                if row.is_receipted {
                    continue;
                }
                let (Some(span), whole) = (row.span_at_least(), manifest.whole(row)?) else { continue };
                let new = || self.empty_receipt(manifest, row, span, (trigger, overwrite));
                let batch = batches.entry((manifest.header.day, row.camera, trigger, overwrite)).or_insert_with(new);
                let (batch, running) = batch;
                batch.span = batch.span.hull(span);
                batch.segments += 1;
                batch.bytes += whole.as_ref().map_or(0, |whole| whole.bytes);
                running.update(&segment.0.to_be_bytes());
                running.update(&whole.as_ref().map_or(Digest::ZERO, |whole| whole.digest).0);
            }
        }
        let whole = |(batch, running): (DestructionReceipt, RunningDigest)| DestructionReceipt {
            digest: running.so_far(),
            ..batch
        };
        Ok(batches.into_values().map(whole).collect())
    }

    fn empty_receipt(
        &self,
        manifest: &ManifestFile,
        row: &SegmentRow,
        span: Span,
        (trigger, overwrite): (DestructionTrigger, Overwrite),
    ) -> (DestructionReceipt, RunningDigest) {
        let batch = DestructionReceipt {
            volume: self.id,
            day: manifest.header.day,
            camera: row.camera,
            span,
            segments: 0,
            bytes: 0,
            digest: Digest::ZERO,
            trigger,
            technique: TECHNIQUE.to_owned(),
            overwrite,
        };
        (batch, RunningDigest::new())
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

    /// Overwrites a file's whole allocation and proves it where that can be done. `recorded` are the physical ranges
    /// noted when the segment was sealed; empty where none were.
    #[track_caller]
    fn overwrite_blocks(&self, path: &Path, recorded: &[PhysicalRange]) -> Result<(Overwrite, u64), VaultError> {
        let file = match self.disk.open(path, Access::Direct) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((Overwrite::NothingThere, 0)),
            Err(e) => return Err(self.on(path)(e)),
        };
        let on = self.on(path);
        let length = file.len_bytes().map_err(&on)?;
        let before = file.extents().map_err(&on)?;
        write_zeros(&*file, length).map_err(&on)?;
        let after = file.extents().map_err(&on)?;
        let reads_back = reads_back_blank(&*file, length).map_err(&on)?;
        let same =
            before == after && matches!(&before, Extents::Known(ranges) if recorded.is_empty() || ranges == recorded);
        let told = match (self.is_proven, reads_back, same) {
            (_, false, _) => Overwrite::ReadBackDiffers,
            (false, true, _) => Overwrite::DeviceUnproven,
            (true, true, false) => Overwrite::RangesDiffer,
            (true, true, true) => Overwrite::Proven,
        };
        Ok((told, length))
    }

    /// Takes a name away. One that is gone already is no error. Not flushed: it leads to zeros, and where a power cut brings
    /// it back, the next start takes it away again.
    fn unlink(&self, path: &Path) -> Result<(), VaultError> {
        match self.disk.remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(self.on(path)(e)),
            _ => Ok(()),
        }
    }

    /// Overwrites and removes a file that no receipt is wanted for: it was never committed.
    #[track_caller]
    pub(super) fn overwrite_and_remove(&self, path: &Path) -> Result<Overwrite, VaultError> {
        let (overwrite, _) = self.overwrite_blocks(path, &[])?;
        self.unlink(path)?;
        Ok(overwrite)
    }
}

#[track_caller]
fn write_zeros(file: &dyn DiskFile, length: u64) -> std::io::Result<()> {
    let zeros = AlignedBuffer::zeroed(STRIDE_BYTES);
    let end = length.next_multiple_of(BLOCK_BYTES as u64);
    let mut at = 0;
    while at < end {
        let part = usize::try_from((end - at).min(STRIDE_BYTES as u64)).unwrap_or(STRIDE_BYTES);
        file.write_all_at(&zeros.as_slice()[..part], at)?;
        at += part as u64;
    }
    file.sync_data()
}

fn reads_back_blank(file: &dyn DiskFile, length: u64) -> std::io::Result<bool> {
    let strides = length.div_ceil(STRIDE_BYTES as u64);
    let mut chosen = vec![0];
    for _ in 0..strides.div_ceil(READ_BACK_ONE_IN) {
        let random = random_u64().map_err(std::io::Error::other)?;
        chosen.push(random % strides.max(1));
    }
    let zeros = AlignedBuffer::zeroed(STRIDE_BYTES);
    let mut buffer = AlignedBuffer::zeroed(STRIDE_BYTES);
    for stride in chosen {
        buffer.as_mut_slice().fill(0xFF);
        let got = file.read_at(buffer.as_mut_slice(), stride * STRIDE_BYTES as u64)?;
        if buffer.as_slice()[..got] != zeros.as_slice()[..got] {
            return Ok(false);
        }
    }
    Ok(true)
}
