//! Ending footage before its period has ended: because the disk is full, or since an officer decided so on a person's
//! request.
//!
//! Order: who calls holds the lock of the holds → each segment is looked at → manifest "condemned" of each → one flush a
//! manifest → it is answered. From the answer on it is as if its period had ended, and it is due; no hold brings it back.
//! Condemned a second time it is refused as gone.
//!
//! Only what is sealed can be condemned. A segment that is being written is sealed within a minute or so, and its recorder
//! would go on appending to it: who needs it gone asks again.

use super::footage::{LiveSegment, entry_of};
use super::holds::Holds;
use super::manifests::ManifestFile;
use super::table::Life;
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError};
use crate::domain::{DestructionTrigger, Retention, SegmentId, Utc, VolumeId};
use crate::segment::ManifestRecord;
use std::collections::BTreeMap;

/// So many records are made durable with one flush: a batch of them is below 40 KiB.
const CONDEMNED_AT_A_TIME: usize = 1_000;

/// Why a segment was not condemned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotCondemned {
    Held,
    /// It must be kept until then (Medical Service Act 38-2).
    UnderFloor {
        until: Utc,
    },
    /// It is still being written.
    StillOpen,
    /// It was destroyed or condemned before, or is not here.
    Gone,
}

/// What became of what was asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Condemnation {
    pub condemned: Vec<(VolumeId, SegmentId)>,
    /// What they stand on, as it was when they were sealed.
    pub bytes: u64,
    pub refused: Vec<(VolumeId, SegmentId, NotCondemned)>,
}

impl Vault {
    /// Condemns segments at `at`, the trusted time. They cannot be listed, opened or granted any more when this returns,
    /// also after a power cut; the eraser destroys them, and the receipt says `trigger`.
    ///
    /// # Errors
    /// [`VaultError::NotCondemning`]; what the disk says, where what was recorded before is condemned all the same.
    pub fn condemn(
        &self,
        segments: &[LiveSegment],
        holds: &Holds,
        trigger: DestructionTrigger,
        at: Utc,
    ) -> Result<Condemnation, VaultError> {
        if !trigger.condemns() {
            return Err(VaultError::NotCondemning { trigger });
        }
        let mut by_manifest: BTreeMap<(VolumeId, ManifestKey), Vec<SegmentId>> = BTreeMap::new();
        for live in segments {
            by_manifest.entry((live.volume, live.manifest)).or_default().push(live.segment);
        }
        let mut told = Condemnation::default();
        for ((id, manifest), segments) in by_manifest {
            for part in segments.chunks(CONDEMNED_AT_A_TIME) {
                let volume = self.volume(id, part[0])?;
                let before = told.condemned.len();
                let recorded = volume.condemn(manifest, part, (holds, trigger, at), &mut told);
                self.index_all(volume, manifest, &told.condemned[before..]);
                recorded?;
            }
        }
        Ok(told)
    }

    fn index_all(&self, volume: &Volume, manifest: ManifestKey, condemned: &[(VolumeId, SegmentId)]) {
        let state = volume.lock();
        let Some(manifest) = state.manifests.get(&manifest) else { return };
        let mut by_camera: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (camera, entry) in condemned.iter().filter_map(|(_, segment)| entry_of(volume.id(), manifest, *segment)) {
            by_camera.entry(camera).or_default().push(entry);
        }
        drop(state);
        for (camera, entries) in by_camera {
            self.indexed(|catalog| catalog.put_all(camera, entries));
        }
    }
}

impl Volume {
    fn condemn(
        &self,
        key: ManifestKey,
        segments: &[SegmentId],
        (holds, trigger, at): (&Holds, DestructionTrigger, Utc),
        told: &mut Condemnation,
    ) -> Result<(), VaultError> {
        let mut state = self.lock();
        let Some(manifest) = state.loaded(key)? else {
            told.refused.extend(segments.iter().map(|segment| (self.id, *segment, NotCondemned::Gone)));
            return Ok(());
        };
        let (mut recorded, mut is_changed) = (Ok(()), false);
        for segment in segments {
            if let Some(why) = why_not(manifest, *segment, holds, at) {
                told.refused.push((self.id, *segment, why));
                continue;
            }
            let bytes = match manifest.row(*segment) {
                Some(row) => manifest.whole(row)?.map_or(0, |whole| whole.bytes),
                None => 0,
            };
            recorded = self.append_owed(manifest, &ManifestRecord::Condemned { segment: *segment, at, trigger });
            if recorded.is_err() {
                break;
            }
            is_changed = true;
            told.condemned.push((self.id, *segment));
            told.bytes += bytes;
        }
        // Also of what came before a failure: what is not listed any more must not come back after a power cut.
        if is_changed {
            manifest.flush()?;
        }
        recorded
    }
}

fn why_not(manifest: &ManifestFile, segment: SegmentId, holds: &Holds, at: Utc) -> Option<NotCondemned> {
    let Some(row) = manifest.row(segment) else { return Some(NotCondemned::Gone) };
    match row.life {
        Life::Open => return Some(NotCondemned::StillOpen),
        Life::Condemned { .. } | Life::KeyDestroyed { .. } | Life::Erased { .. } => return Some(NotCondemned::Gone),
        Life::Sealed => {}
    }
    let (Some(said), Some(table)) = (row.span_at_least(), manifest.table()) else { return Some(NotCondemned::Gone) };
    let dating = table.dating(row);
    if holds.covers(row.camera, dating.possible(said)) || holds.covers(row.camera, said) {
        return Some(NotCondemned::Held);
    }
    let until = dating.correction.expiry(manifest.header.retention, said);
    match manifest.header.retention {
        Retention::Floor(_) if until > at => Some(NotCondemned::UnderFloor { until }),
        Retention::Floor(_) | Retention::Ceiling(_) => None,
    }
}
