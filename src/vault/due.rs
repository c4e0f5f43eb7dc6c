//! What is due for destruction, told without reading more of the manifests than the next hours of work want.
//!
//! After an outage of a week a million segments are due. No list of them is ever made: each asks for so many, oldest
//! first. Whether a whole manifest has something due is told by its sum; its table is read when its turn comes.

use super::manifests::ManifestFile;
use super::table::{Life, span_at_least};
use super::volume::{ManifestKey, Volume};
use super::wanted::Wanted;
use super::{Vault, VaultError};
use crate::domain::{CameraNumber, Dating, DestructionTrigger, Retention, SegmentId, Span, Utc, VolumeId};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// A segment whose period has ended, or whose erasing was begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DueSegment {
    pub volume: VolumeId,
    pub segment: SegmentId,
    pub camera: CameraNumber,
    /// All of the time in which it can have been filmed.
    pub span: Span,
    /// What it says of itself: holds that were placed before a doubt ended name that.
    pub(super) said: Span,
    /// When its period ended; for one whose erasing was begun, long ago.
    pub expires: Utc,
    /// It stands with the held footage.
    pub is_apart: bool,
    /// Its key is destroyed already, or its day's: no hold can bring it back.
    pub is_keyless: bool,
    /// It was condemned before its period had ended: no hold can bring it back, either.
    pub condemned: Option<DestructionTrigger>,
    pub(super) manifest: ManifestKey,
}

impl DueSegment {
    /// Why it is destroyed.
    pub fn trigger(&self) -> DestructionTrigger {
        let ended = if self.is_apart { DestructionTrigger::HoldEnded } else { DestructionTrigger::Expiry };
        self.condemned.unwrap_or(ended)
    }
}

/// A part of what is due.
#[derive(Debug, Default)]
pub struct Due {
    pub segments: Vec<DueSegment>,
    /// There is more than was asked for.
    pub has_more: bool,
    /// The first manifest that could not be read. What it names is not destroyed; it stands in no other's way.
    pub failure: Option<VaultError>,
}

impl Due {
    fn add(&mut self, told: Result<Due, VaultError>) {
        match told {
            Ok(told) => {
                self.segments.extend(told.segments);
                self.has_more |= told.has_more;
            }
            Err(e) => {
                self.failure.get_or_insert(e);
            }
        }
    }
}

/// Which segments of a manifest are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Which {
    /// That can still be read: key and day key are there.
    Readable,
    /// Whose day key is gone and whose key block is there.
    Dayless,
    /// Whose key block is gone.
    Keyless,
}

/// A minute of rounds.
const PASSED_OVER: u32 = 240;
/// So much is told at most to whoever asks for all.
const DUE_AT_A_TIME: usize = 4_096;

impl Vault {
    /// What must go by `now`, the trusted time, oldest first; more than some thousands in parts, and first what can still
    /// be read.
    pub fn due(&self, now: Utc) -> Vec<DueSegment> {
        let mut due = self.due_apart(now, DUE_AT_A_TIME, &|_, _| false);
        for volume in &self.volumes {
            for which in [Which::Readable, Which::Dayless, Which::Keyless] {
                due.extend(volume.due_of(which, now, DUE_AT_A_TIME, &|_| false).segments);
            }
        }
        due.sort_by_key(|segment: &DueSegment| segment.span.from());
        due
    }

    /// At most `limit` a volume of what is past its day at `until` and can still be read, oldest first. What stands apart is
    /// not among it.
    pub fn due_readable(&self, until: Utc, limit: usize) -> Due {
        let mut due = Due::default();
        for volume in &self.volumes {
            let told = volume.due_of(Which::Readable, until, limit, &|_| false);
            due.failure = due.failure.or(told.failure);
            due.has_more |= told.has_more;
            due.segments.extend(told.segments);
        }
        due.segments.sort_by_key(|segment| segment.span.from());
        due
    }

    /// What stands apart, is past its day and is not held any more.
    pub fn due_apart(&self, now: Utc, limit: usize, is_held: &dyn Fn(CameraNumber, Span) -> bool) -> Vec<DueSegment> {
        self.volumes.iter().flat_map(|volume| volume.due_apart(now, limit, is_held)).collect()
    }

    /// At most `limit` of a volume whose key block is gone and whose blocks are there, oldest first. `skip` names those
    /// that are not wanted.
    pub fn due_keyless(&self, volume: &Volume, limit: usize, skip: &dyn Fn(SegmentId) -> bool) -> Due {
        volume.due_of(Which::Keyless, Utc::from_micros(i64::MAX), limit, skip)
    }

    /// At most `limit` of a volume that nobody can read since their day key is gone, and whose key block is there.
    pub fn due_dayless(&self, volume: &Volume, now: Utc, limit: usize, skip: &dyn Fn(SegmentId) -> bool) -> Due {
        volume.due_of(Which::Dayless, now, limit, skip)
    }

    /// How many segments are past their day, or half destroyed. Of days that are wholly over no table is read.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn due_count(&self, now: Utc) -> Result<u64, VaultError> {
        self.volumes.iter().map(|volume| volume.due_count(now)).sum()
    }
}

/// No segment of a day can be due before the day's first moment is, as far as that is dated rightly.
fn may_be_due(manifest: &ManifestFile, until: Utc) -> bool {
    earliest(manifest, manifest.header.day.start()) <= until
}

/// The earliest that anything is due whose head says that it begins at `said`, or later.
fn earliest(manifest: &ManifestFile, said: Utc) -> Utc {
    let retention = manifest.header.retention;
    said.plus_micros(manifest.sum().moves_expiry(retention)).saturating_add(retention.period())
}

impl Volume {
    /// Asks one manifest after the other, oldest first, until there are `limit`.
    fn due_of(&self, which: Which, until: Utc, limit: usize, skip: &dyn Fn(SegmentId) -> bool) -> Due {
        let mut due = Due::default();
        let keys: Vec<ManifestKey> = {
            let state = self.lock();
            let wanted = state.manifests.iter().filter(|(_, manifest)| {
                let (sum, may_be_due) = (manifest.sum(), may_be_due(manifest, until));
                match which {
                    Which::Readable => (may_be_due && sum.rolling_readable() > 0) || sum.condemned > 0,
                    Which::Dayless => may_be_due && sum.rolling_keyed() > sum.rolling_readable(),
                    Which::Keyless => sum.keyless() > 0,
                }
            });
            wanted.map(|(key, _)| *key).collect()
        };
        for key in keys {
            let left = limit - due.segments.len();
            if left == 0 {
                due.has_more = true;
                break;
            }
            due.add(self.due_unless_damaged(key, which, until, left, skip));
        }
        due
    }

    /// One that is damaged is not read again each time that it is asked for.
    fn due_unless_damaged(
        &self,
        key: ManifestKey,
        which: Which,
        until: Utc,
        limit: usize,
        skip: &dyn Fn(SegmentId) -> bool,
    ) -> Result<Due, VaultError> {
        let known = {
            let mut state = self.lock();
            let name = state.manifests.get(&key).map(|manifest| manifest.name().to_owned()).unwrap_or_default();
            state.damaged.get_mut(&key).filter(|(_, left)| *left > 0).map(|(at_bytes, left)| {
                *left -= 1;
                VaultError::ManifestDamaged { file: PathBuf::from("manifests").join(name), at_bytes: *at_bytes }
            })
        };
        if let Some(known) = known {
            return Err(known);
        }
        let told = self.due_in(key, which, until, limit, skip);
        if let Err(VaultError::ManifestDamaged { at_bytes, .. }) = &told {
            self.lock().damaged.insert(key, (*at_bytes, PASSED_OVER));
        }
        told
    }

    fn due_in(
        &self,
        key: ManifestKey,
        which: Which,
        until: Utc,
        limit: usize,
        skip: &dyn Fn(SegmentId) -> bool,
    ) -> Result<Due, VaultError> {
        if let Some(read_ahead) = self.read_ahead(key)? {
            self.lock().take_table(key, read_ahead)?;
        }
        let mut state = self.lock();
        let is_latched = self.is_latched();
        let mut due = Due::default();
        let Some(manifest) = state.loaded(key)? else { return Ok(due) };
        let Some(table) = manifest.table() else { return Ok(due) };
        let retention = manifest.header.retention;
        // Past this start nothing of the queue is due: no period is counted from before it.
        let reached = |(start, _): &&(Utc, SegmentId)| earliest(manifest, *start) <= until;
        let empty = BTreeSet::new();
        let (at_once, in_time) = match which {
            Which::Readable => (&table.condemned, &table.keyed),
            Which::Dayless => (&empty, &table.keyed),
            Which::Keyless => (&table.keyless, &empty),
        };
        for (_, segment) in at_once.iter().chain(in_time.iter().take_while(reached)) {
            let Some(row) = table.rows.get(segment) else { continue };
            let is_dayless = manifest.sum().has_lost(table.day_key(row));
            let is_asked_for = match which {
                Which::Readable => !is_dayless || matches!(row.life, Life::Condemned { .. }),
                Which::Dayless => is_dayless,
                Which::Keyless => true,
            };
            let (Some(said), Some(ends)) = (row.span_at_least(), table.expiry(row, retention)) else { continue };
            let (expires, condemned) = match row.life {
                Life::KeyDestroyed { at, condemned } => (at, condemned),
                Life::Condemned { at, trigger } => (at, Some(trigger)),
                Life::Sealed => (ends, None),
                // Nobody writes to it any more: it would be open for ever.
                Life::Open if is_latched => (ends, None),
                Life::Open | Life::Erased { .. } => continue,
            };
            if !is_asked_for || expires > until || skip(*segment) {
                continue;
            }
            if due.segments.len() == limit {
                due.has_more = true;
                break;
            }
            let is_keyless = is_dayless || which == Which::Keyless;
            let (volume, segment, camera, is_apart) = (self.id, *segment, row.camera, row.is_apart);
            let span = table.dating(row).possible(said);
            due.segments.push(DueSegment {
                volume,
                segment,
                camera,
                span,
                said,
                expires,
                is_apart,
                is_keyless,
                condemned,
                manifest: key,
            });
        }
        Ok(due)
    }

    /// What stands apart and is past its day, and is not held.
    fn due_apart(&self, now: Utc, limit: usize, is_held: &dyn Fn(CameraNumber, Span) -> bool) -> Vec<DueSegment> {
        let state = self.lock();
        let mut due = Vec::new();
        for (key, manifest) in &state.manifests {
            for (segment, apart) in &manifest.sum().apart {
                let Some(said) = span_at_least(apart.start, apart.end) else { continue };
                let dating = Dating::marked(false, Some(manifest.sum().correction(apart.doubt)));
                let expires = dating.correction.expiry(manifest.header.retention, said);
                let (span, camera) = (dating.possible(said), apart.camera);
                let is_held = |span| is_held(camera, span);
                let is_keyless = manifest.sum().has_lost(apart.day_key);
                if due.len() == limit || expires > now || ((is_held(span) || is_held(said)) && !is_keyless) {
                    continue;
                }
                let (volume, segment, manifest, is_apart) = (self.id, *segment, *key, true);
                let condemned = None;
                due.push(DueSegment {
                    volume,
                    segment,
                    camera,
                    span,
                    said,
                    expires,
                    is_apart,
                    is_keyless,
                    condemned,
                    manifest,
                });
            }
        }
        due
    }

    fn due_count(&self, now: Utc) -> Result<u64, VaultError> {
        let (mut count, mut in_part) = (0, Vec::new());
        let mut state = self.lock();
        for (key, manifest) in &state.manifests {
            let rolling = manifest.sum().rolling_keyed();
            count += manifest.sum().keyless() + apart_over(manifest, now);
            if rolling > 0 && is_over(manifest, now) {
                count += rolling;
                continue;
            }
            count += manifest.sum().condemned;
            if rolling > 0 && may_be_due(manifest, now) {
                in_part.push(*key);
            }
        }
        let is_latched = self.is_latched();
        for key in in_part {
            let Some(manifest) = state.loaded(key)? else { continue };
            let (retention, Some(table)) = (manifest.header.retention, manifest.table()) else { continue };
            let reached = table.keyed.iter().take_while(|(start, _)| earliest(manifest, *start) <= now);
            let rows = reached.filter_map(|(_, segment)| table.rows.get(segment));
            let ended = rows.filter(|row| row.life != Life::Open || is_latched);
            count +=
                ended.filter_map(|row| table.expiry(row, retention)).filter(|expires| *expires <= now).count() as u64;
        }
        Ok(count)
    }
}

/// Whether all of a manifest that has its key is past its day.
fn is_over(manifest: &ManifestFile, now: Utc) -> bool {
    let retention: Retention = manifest.header.retention;
    let sum = manifest.sum();
    let ends =
        |wanted: &Wanted| wanted.expiry(retention).map(|ends| ends.plus_micros(sum.most_moves_expiry(retention)));
    sum.open == 0 && sum.wanted.values().all(|wanted| ends(wanted).is_some_and(|ends| ends <= now))
}

fn apart_over(manifest: &ManifestFile, now: Utc) -> u64 {
    let retention = manifest.header.retention;
    let sum = manifest.sum();
    let ends = sum.apart.values().filter_map(|apart| {
        let said = span_at_least(apart.start, apart.end)?;
        Some(sum.correction(apart.doubt).expiry(retention, said))
    });
    ends.filter(|ends| *ends <= now).count() as u64
}
