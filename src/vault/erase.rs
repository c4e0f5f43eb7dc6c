//! Destroying footage, so that it is true.
//!
//! Order for each segment (V5): key block overwritten → flush → manifest "key destroyed" → flush → the whole
//! allocation overwritten, past the page cache → flush → read back, ranges compared → manifest "erased" → flush →
//! unlink → directory flushed. A crash at any point leaves it due again; every step can be done twice.

use super::manifests::{Life, SegmentRecord};
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError, footage};
use crate::crypto::{RunningDigest, random_u64};
use crate::disk::{Access, AlignedBuffer, BLOCK_BYTES, DiskFile, Extents, PhysicalRange, STRIDE_BYTES};
use crate::domain::{CameraNumber, DestructionTrigger, Digest, Overwrite, SegmentId, Span, Utc, VolumeId};
use crate::ledger::DestructionReceipt;
use crate::segment::{HEAD_BYTES, ManifestRecord};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::PoisonError;

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
}

impl Vault {
    /// What must go by `now`, the trusted time, oldest first.
    pub fn due(&self, now: Utc) -> Vec<DueSegment> {
        let mut due = Vec::new();
        for volume in &self.volumes {
            let state = volume.lock();
            for manifest in state.manifests.values() {
                // No segment of a day can be due before the day's first moment is.
                let earliest = manifest.header.day.start().saturating_add(manifest.header.retention.period());
                if earliest > now || !manifest.has_any_left() {
                    continue;
                }
                for (segment, record) in &manifest.segments {
                    let Some(span) = record.span().or_else(|| first_instant(record)) else { continue };
                    let expires = match &record.life {
                        Life::KeyDestroyed(_, at) => *at,
                        Life::Sealed(_) => manifest.header.retention.expiry(span),
                        Life::Open | Life::Erased { .. } => continue,
                    };
                    if expires <= now {
                        due.push(DueSegment {
                            volume: volume.id,
                            segment: *segment,
                            camera: record.camera,
                            span,
                            expires,
                            is_apart: record.is_apart,
                            is_keyless: matches!(record.life, Life::KeyDestroyed(..)),
                        });
                    }
                }
            }
        }
        due.sort_by_key(|segment| segment.span.from());
        due
    }

    fn volume(&self, id: VolumeId, segment: SegmentId) -> Result<&Volume, VaultError> {
        self.volumes.iter().find(|volume| volume.id == id).ok_or(VaultError::Unknown { segment })
    }

    /// Moves a held segment apart from the rolling footage (PIPA 21(3)). A rename: its blocks stay where they are.
    ///
    /// # Errors
    /// What the disk says.
    pub fn set_apart(&self, due: &DueSegment) -> Result<(), VaultError> {
        let volume = self.volume(due.volume, due.segment)?;
        let (from, to) = (volume.segment_path(due.segment, false), volume.segment_path(due.segment, true));
        match volume.disk.rename(&from, &to) {
            // Moved before, and the record of it failed.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && volume.disk.open(&to, Access::Read).is_ok() => {}
            moved => moved.map_err(volume.on(&from))?,
        }
        for sub in ["held", "rolling"] {
            let dir = volume.dir.join(sub);
            volume.disk.sync_dir(&dir).map_err(volume.on(&dir))?;
        }
        volume.record_flushed(due.segment, &ManifestRecord::SetApart { segment: due.segment })
    }

    /// Makes a segment unreadable: its key block is overwritten and flushed.
    ///
    /// # Errors
    /// What the disk says; it stays due.
    pub fn destroy_key(&self, due: &DueSegment, at: Utc) -> Result<(), VaultError> {
        let volume = self.volume(due.volume, due.segment)?;
        if volume.life(due.segment).is_some_and(|life| matches!(life, Life::KeyDestroyed(..))) {
            return Ok(());
        }
        let path = volume.where_stands(due.segment, due.is_apart);
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
        volume.record_flushed(due.segment, &ManifestRecord::KeyDestroyed { segment: due.segment, at })?;
        self.index(volume, due.segment);
        Ok(())
    }

    /// Overwrites and releases the blocks of a segment whose key is destroyed.
    ///
    /// # Errors
    /// What the disk says; it stays due.
    pub fn erase(&self, due: &DueSegment, trigger: DestructionTrigger, at: Utc) -> Result<Overwrite, VaultError> {
        let volume = self.volume(due.volume, due.segment)?;
        let ranges = volume
            .life(due.segment)
            .and_then(|life| match life {
                Life::KeyDestroyed(whole, _) => Some(whole.ranges),
                Life::Open | Life::Sealed(_) | Life::Erased { .. } => None,
            })
            .ok_or(VaultError::Unknown { segment: due.segment })?;
        let path = volume.where_stands(due.segment, due.is_apart);
        let (overwrite, bytes) = volume.overwrite(&path, &ranges)?;
        // Recorded before the name goes: after a crash in between, the blank file is found and removed.
        let erased = ManifestRecord::Erased { segment: due.segment, at, trigger, overwrite, bytes };
        volume.record_flushed(due.segment, &erased)?;
        volume.remove(&path)?;
        self.index(volume, due.segment);
        Ok(overwrite)
    }

    /// Brings the index up to what the manifest says of a segment.
    fn index(&self, volume: &Volume, segment: SegmentId) {
        let Some((camera, entry)) =
            volume.with_segment(segment, |record| (record.camera, footage::entry(volume.id, segment, record)))
        else {
            return;
        };
        self.indexed(self.catalog.put(camera, entry));
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
                    manifest.append(&ManifestRecord::DayKeyDestroyed { day_key, at: now })?;
                    manifest.flush()?;
                }
            }
        }
        Ok(())
    }

    /// Destructions that the ledger does not have yet, a batch a camera, day and outcome.
    pub fn unreceipted(&self) -> Vec<DestructionReceipt> {
        self.volumes.iter().flat_map(Volume::unreceipted).collect()
    }

    /// Every destruction up to here is a flushed row of the ledger.
    ///
    /// # Errors
    /// What the disk says; the rows are then written once more.
    pub fn receipts_copied(&self) -> Result<(), VaultError> {
        for volume in &self.volumes {
            let mut state = volume.lock();
            for manifest in state.manifests.values_mut() {
                if manifest.unreceipted().next().is_some() {
                    manifest.append(&ManifestRecord::ReceiptsCopied)?;
                    manifest.flush()?;
                }
            }
        }
        Ok(())
    }
}

/// A segment cut before its first fragment has no span of its own; it is as old as its start.
fn first_instant(record: &SegmentRecord) -> Option<Span> {
    Span::new(record.start, record.start.plus_90k(90)).ok()
}

impl Volume {
    pub(super) fn with_segment<T>(&self, segment: SegmentId, read: impl FnOnce(&SegmentRecord) -> T) -> Option<T> {
        let state = self.lock();
        let key = state.where_is.get(&segment)?;
        Some(read(state.manifests.get(key)?.segments.get(&segment)?))
    }

    fn life(&self, segment: SegmentId) -> Option<Life> {
        self.with_segment(segment, |record| record.life.clone())
    }

    fn record_flushed(&self, segment: SegmentId, record: &ManifestRecord) -> Result<(), VaultError> {
        let mut state = self.lock();
        let key = *state.where_is.get(&segment).ok_or(VaultError::Unknown { segment })?;
        let manifest = state.manifests.get_mut(&key).ok_or(VaultError::Unknown { segment })?;
        manifest.append(record)?;
        manifest.flush()
    }

    fn spent_day_keys(&self, now: Utc) -> Vec<(ManifestKey, crate::domain::DayKeyId)> {
        let state = self.lock();
        let over = || state.manifests.iter().filter(|(_, manifest)| manifest.header.day.end() <= now);
        // Over all manifests: a period that was changed during the day has one of its own, and shares the day key.
        let wanted: HashSet<_> = over()
            .flat_map(|(_, manifest)| manifest.segments.values())
            .filter(|record| !matches!(record.life, Life::KeyDestroyed(..) | Life::Erased { .. }))
            .map(|record| record.day_key)
            .collect();
        over()
            .flat_map(|(key, manifest)| manifest.day_keys.keys().map(|day_key| (*key, *day_key)))
            .filter(|(_, day_key)| !wanted.contains(day_key))
            .collect()
    }

    fn unreceipted(&self) -> Vec<DestructionReceipt> {
        let mut batches: BTreeMap<_, (DestructionReceipt, RunningDigest)> = BTreeMap::new();
        let state = self.lock();
        for manifest in state.manifests.values() {
            for (segment, record) in manifest.unreceipted() {
                let Life::Erased { whole, trigger, overwrite, .. } = &record.life else { continue };
                let Some(span) = record.span().or_else(|| first_instant(record)) else { continue };
                let key = (manifest.header.day, record.camera, *trigger, *overwrite);
                let (batch, running) = batches.entry(key).or_insert_with(|| {
                    let batch = DestructionReceipt {
                        volume: self.id,
                        day: manifest.header.day,
                        camera: record.camera,
                        span,
                        segments: 0,
                        bytes: 0,
                        digest: Digest::ZERO,
                        trigger: *trigger,
                        technique: TECHNIQUE.to_owned(),
                        overwrite: *overwrite,
                    };
                    (batch, RunningDigest::new())
                });
                batch.span = batch.span.hull(span);
                batch.segments += 1;
                batch.bytes += whole.as_ref().map_or(0, |whole| whole.bytes);
                running.update(&segment.0.to_be_bytes());
                running.update(&whole.as_ref().map_or(Digest::ZERO, |whole| whole.digest).0);
            }
        }
        batches.into_values().map(|(batch, running)| DestructionReceipt { digest: running.so_far(), ..batch }).collect()
    }

    /// Overwrites a file's whole allocation and proves it where that can be done. `recorded` are the physical ranges
    /// noted when the segment was sealed; empty where none were.
    fn overwrite(&self, path: &Path, recorded: &[PhysicalRange]) -> Result<(Overwrite, u64), VaultError> {
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

    /// Takes a name away for good. One that is gone already is no error.
    fn remove(&self, path: &Path) -> Result<(), VaultError> {
        match self.disk.remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(self.on(path)(e)),
            _ => {}
        }
        let dir = crate::disk::parent(path).map_err(self.on(path))?;
        self.disk.sync_dir(&dir).map_err(self.on(&dir))
    }

    /// Overwrites and removes a file that no receipt is wanted for: it was never committed.
    pub(super) fn overwrite_and_remove(&self, path: &Path) -> Result<Overwrite, VaultError> {
        let (overwrite, _) = self.overwrite(path, &[])?;
        self.remove(path)?;
        Ok(overwrite)
    }
}

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
    let mut buffer = AlignedBuffer::zeroed(STRIDE_BYTES);
    for stride in chosen {
        buffer.as_mut_slice().fill(0xFF);
        let got = file.read_at(buffer.as_mut_slice(), stride * STRIDE_BYTES as u64)?;
        if buffer.as_slice()[..got].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}
