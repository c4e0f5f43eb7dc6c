//! The end of day keys: of days that are over for good, and of which nothing is held.
//!
//! A camera's day that is past its period goes all at once, by its day key: whole days of a backlog are unreadable in
//! seconds, before any of their key blocks is overwritten. Where something of it is held, or not over yet, the day key
//! stays, and its segments lose their key blocks one by one.
//!
//! Order for a batch (V5, V13): all slots overwritten → one flush → manifest "day key destroyed", in those that have something
//! sealed to it → flush → in the one that names it → flush → unlink. Whoever places a hold waits until then: what
//! was made unreadable is on record as that, and no hold sets it apart, also after a power cut. The names go unflushed: one
//! that a power cut brings back leads to blanks, and the next start takes it away.

use super::volume::{ManifestKey, Volume, VolumeState};
use super::{Vault, VaultError};
use crate::domain::{CameraNumber, DayKeyId, Span, Utc};
use crate::segment::{ManifestRecord, SegmentError, SlotFile};
use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::PoisonError;
use std::time::Duration;

/// A segment belongs to the day of its first frame, and is begun a moment after that.
const BEGUN_WITHIN: Duration = Duration::from_secs(3_600);

/// Whether a hold covers a part of what a camera filmed over a span.
pub type IsHeld<'a> = dyn Fn(CameraNumber, Span) -> bool + 'a;

/// Day keys that were destroyed, and the first failure: what it was about is left for the next time.
#[derive(Debug, Default)]
pub struct DayKeyBatch {
    pub destroyed: usize,
    pub failure: Option<VaultError>,
}

impl Vault {
    /// Destroys at most `limit` day keys of days that are over and have nothing left that anybody may open: all of it is past
    /// its day and not held, or destroyed. Whoever calls keeps holds from being placed meanwhile.
    pub fn destroy_day_keys(&self, now: Utc, limit: usize, is_held: &IsHeld) -> DayKeyBatch {
        let mut told = DayKeyBatch::default();
        for volume in &self.volumes {
            let spent = volume.lock().spent_day_keys(now, is_held);
            let here = &spent[..spent.len().min(limit - told.destroyed)];
            if here.is_empty() {
                continue;
            }
            let (destroyed, failure) = volume.destroy_day_keys(here, now);
            told.destroyed += destroyed;
            told.failure = told.failure.or(failure);
        }
        told
    }
}

/// What is known of a day key over all manifests of its volume: a period that was changed during the day has one of its
/// own, and shares it.
#[derive(Default)]
struct Known {
    /// Something of it is not over, or held.
    is_needed: bool,
    /// No manifest that has something sealed to it calls it destroyed, or one names it as live.
    is_left: bool,
}

impl VolumeState {
    /// Day keys that nothing needs any more, oldest day first.
    fn spent_day_keys(&self, now: Utc, is_held: &IsHeld) -> Vec<DayKeyId> {
        let mut known: HashMap<DayKeyId, Known> = HashMap::new();
        let mut in_order = Vec::new();
        for manifest in self.manifests.values() {
            let is_over = manifest.header.day.end().saturating_add(BEGUN_WITHIN) <= now;
            if !is_over {
                continue;
            }
            let sum = manifest.sum();
            for day_key in sum.day_keys.keys() {
                known.entry(*day_key).or_default().is_left = true;
                in_order.push(*day_key);
            }
            for (day_key, wanted) in &sum.wanted {
                let told = known.entry(*day_key).or_default();
                if wanted.is_destroyed {
                    continue;
                }
                let retention = manifest.header.retention;
                let expires = wanted.expiry(retention).map(|ends| ends.plus_micros(sum.most_moves_expiry(retention)));
                let may_go = wanted.open == 0
                    && expires.is_some_and(|expires| expires <= now)
                    && wanted.span().is_some_and(|said| !is_held(wanted.camera, sum.possible(said)));
                told.is_needed |= !may_go;
                told.is_left = true;
                in_order.push(*day_key);
            }
        }
        in_order.retain(|day_key| known.remove(day_key).is_some_and(|known| known.is_left && !known.is_needed));
        in_order
    }

    /// The manifests that a day key's end is to be recorded in: those that only have something sealed to it, and those that
    /// name it.
    fn manifests_of(&self, day_key: DayKeyId) -> [Vec<ManifestKey>; 2] {
        let mut told = [Vec::new(), Vec::new()];
        for (key, manifest) in &self.manifests {
            let sum = manifest.sum();
            if sum.day_keys.contains_key(&day_key) {
                told[1].push(*key);
            } else if sum.wanted.get(&day_key).is_some_and(|wanted| !wanted.is_destroyed) {
                told[0].push(*key);
            }
        }
        told
    }
}

impl Volume {
    fn destroy_day_keys(&self, day_keys: &[DayKeyId], at: Utc) -> (usize, Option<VaultError>) {
        let _turn = self.key_files.write().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        // From here on nothing new is sealed to them.
        self.lock().day_keys.retain(|_, (known, _)| !day_keys.contains(known));
        let mut blank = Vec::new();
        for day_key in day_keys {
            match self.blank_day_key(*day_key) {
                Ok(()) => blank.push(*day_key),
                Err(e) => drop(failure.get_or_insert(e)),
            }
        }
        if blank.is_empty() {
            return (0, failure);
        }
        if let Err(e) = self.flush() {
            return (0, failure.or(Some(e)));
        }
        if let Err(e) = self.record_day_keys_destroyed(&blank, at) {
            return (0, failure.or(Some(e)));
        }
        for day_key in &blank {
            if let Err(e) = self.unlink(&self.day_key_path(*day_key)) {
                // A name that leads to zeros: the next start takes it away.
                self.lock().left_half_way = true;
                failure.get_or_insert(e);
            }
        }
        (blank.len(), failure)
    }

    /// Overwrites all slots of a day key. Whatever is in the file: one with a damaged header may still hold every slot. Not
    /// flushed.
    fn blank_day_key(&self, day_key: DayKeyId) -> Result<(), VaultError> {
        match SlotFile::overwrite(&*self.disk, &self.day_key_path(day_key)) {
            Ok(_) => Ok(()),
            Err(SegmentError::Disk(e)) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn record_day_keys_destroyed(&self, day_keys: &[DayKeyId], at: Utc) -> Result<(), VaultError> {
        // As long as one names it, its file is known to a start: that one is the last.
        for place in [0, 1] {
            let mut touched = BTreeSet::new();
            let mut state = self.lock();
            for day_key in day_keys {
                for key in std::mem::take(&mut state.manifests_of(*day_key)[place]) {
                    let Some(manifest) = state.manifests.get_mut(&key) else { continue };
                    self.append_owed(manifest, &ManifestRecord::DayKeyDestroyed { day_key: *day_key, at })?;
                    touched.insert(key);
                }
            }
            drop(state);
            for key in touched {
                self.flush_manifest(key)?;
            }
        }
        Ok(())
    }
}
