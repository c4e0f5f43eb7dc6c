//! What can be said of a manifest without the table of its segments: small, and always in memory.

use super::table::{Apart, Before, Life, LiveDayKey, Newest, SegmentRow, Stored};
use super::wanted::Wanted;
use crate::disk::BLOCK_BYTES;
use crate::domain::{CameraNumber, Correction, DayKeyId, Doubt, Mark, SegmentId, Utc};
use crate::segment::ManifestRecord;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What can be said of a manifest without its table.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManifestSum {
    /// Segments that are not erased: without any, nothing can become due here.
    pub left: u64,
    /// Of those, the ones whose key is there.
    pub keyed: u64,
    /// Of those, the ones that did not come to their end.
    pub open: u64,
    /// Segments that were erased.
    pub erased: u64,
    /// Of those, the ones whose destruction is not a row of the ledger yet.
    pub unreceipted: u64,
    pub day_keys: BTreeMap<DayKeyId, LiveDayKey>,
    /// What wants each day key.
    pub wanted: BTreeMap<DayKeyId, Wanted>,
    pub newest: BTreeMap<CameraNumber, Newest>,
    /// Segments that stand apart and have their keys: asked for in every round of the eraser, for as long as they are
    /// held, while the day that they are of may be long gone.
    pub apart: BTreeMap<SegmentId, Apart>,
    /// Condemned segments that still have their keys: due at once, wherever they stand.
    pub condemned: u64,
    /// What each camera's segments take up.
    pub stored: BTreeMap<CameraNumber, Stored>,
    /// When the earliest gap recorded here begins.
    pub gaps_from: Option<Utc>,
    /// The mark of what is recorded now.
    pub mark: Option<Mark>,
    /// Doubts that something here was dated in, with what corrects them where they have ended.
    pub doubts: BTreeMap<Doubt, Option<Correction>>,
    /// Whether a segment here was dated in none.
    pub has_undoubted: bool,
}

impl ManifestSum {
    /// Segments with the rolling footage whose keys are there.
    pub fn rolling_keyed(&self) -> u64 {
        self.keyed.saturating_sub(self.apart.len() as u64)
    }

    /// Of those, the ones whose day key is there too.
    pub fn rolling_readable(&self) -> u64 {
        let readable: u64 =
            self.wanted.values().filter(|wanted| !wanted.is_destroyed).map(|wanted| wanted.segments).sum();
        let apart = self.apart.values().filter(|apart| !self.has_lost(apart.day_key)).count() as u64;
        readable.saturating_sub(apart)
    }

    /// Whether anything here is sealed to a day key that is not destroyed.
    pub fn wants(&self, day_key: DayKeyId) -> bool {
        self.wanted.get(&day_key).is_some_and(|wanted| !wanted.is_destroyed)
    }

    /// Whether a day key's slots are overwritten, as far as it was wanted here when they were.
    pub fn has_lost(&self, day_key: DayKeyId) -> bool {
        self.wanted.get(&day_key).is_some_and(|wanted| wanted.is_destroyed)
    }

    /// Segments whose key is destroyed and whose blocks are not overwritten yet.
    pub fn keyless(&self) -> u64 {
        self.left.saturating_sub(self.keyed)
    }

    /// Takes a record in that the table took in; `row` is its segment's row as it was before. `false` for one that does
    /// not follow from those before.
    pub fn apply(&mut self, record: &ManifestRecord, before: Option<Before>) -> bool {
        match record {
            ManifestRecord::DayKeyMade { day_key, camera, public } => {
                return self.day_keys.insert(*day_key, LiveDayKey { camera: *camera, public: *public }).is_none();
            }
            // In each manifest that names it or has something sealed to it: one that was made before the period changed is
            // named by the manifest before.
            ManifestRecord::DayKeyDestroyed { day_key, .. } => {
                let was_named = self.day_keys.remove(day_key).is_some();
                let wanted = self.wanted.get_mut(day_key).filter(|wanted| !wanted.is_destroyed);
                let was_wanted = wanted.is_some();
                wanted.into_iter().for_each(|wanted| wanted.is_destroyed = true);
                return was_named || was_wanted;
            }
            ManifestRecord::Gap { span, .. } => {
                self.gaps_from = Some(self.gaps_from.map_or(span.from(), |from| from.min(span.from())));
            }
            ManifestRecord::Opened { day_key, camera, start, .. } => {
                self.has_undoubted |= self.mark.is_none();
                self.left += 1;
                self.keyed += 1;
                self.open += 1;
                let wanted = self.wanted.entry(*day_key).or_insert(Wanted::of_none(*camera, *start));
                wanted.segments += 1;
                wanted.open += 1;
                wanted.first_start = wanted.first_start.min(*start);
                wanted.last_start = wanted.last_start.max(*start);
                wanted.last_end = wanted.last_end.max(*start);
            }
            ManifestRecord::Sealed { end, digest, bytes, allocated_bytes, .. } => {
                self.open = self.open.saturating_sub(1);
                let Some(Before { row, day_key, doubt }) = before else { return false };
                if let Some(wanted) = self.wanted.get_mut(&day_key) {
                    wanted.open = wanted.open.saturating_sub(1);
                    wanted.last_end = wanted.last_end.max(*end);
                }
                let stored = self.stored.entry(row.camera).or_default();
                stored.sealed_bytes += bytes;
                stored.reserved_bytes += allocated_bytes;
                stored.sealed_micros += u64::try_from((*end).since(row.start).as_micros()).unwrap_or(0);
                stored.rolling_bytes += allocated_bytes.next_multiple_of(BLOCK_BYTES as u64);
                let newest = Newest { start: row.start, end: (*end).max(row.start), digest: *digest, doubt };
                self.note_newest(row.camera, newest);
            }
            ManifestRecord::SetApart { segment } => {
                let Some(Before { row, day_key, doubt }) = before else { return false };
                let stored = self.stored.entry(row.camera).or_default();
                stored.leave(&row);
                stored.apart_bytes += row.reserved_bytes();
                let apart = Apart { camera: row.camera, start: row.start, end: row.end, day_key, doubt };
                self.apart.insert(*segment, apart);
            }
            ManifestRecord::KeyDestroyed { segment, .. } => {
                let Some(Before { row, day_key, .. }) = before else { return false };
                self.apart.remove(segment);
                self.condemned = self.condemned.saturating_sub(u64::from(matches!(row.life, Life::Condemned { .. })));
                self.is_going(&row);
                self.lose_key(&row, day_key);
            }
            ManifestRecord::Condemned { segment, .. } => {
                let Some(Before { row, .. }) = before else { return false };
                // Whether anything holds it is not asked any more.
                self.apart.remove(segment);
                self.condemned += 1;
                self.is_going(&row);
            }
            ManifestRecord::Erased { .. } => {
                let Some(Before { row, day_key, .. }) = before else { return false };
                self.left = self.left.saturating_sub(1);
                self.erased += 1;
                self.unreceipted += 1;
                self.stored.entry(row.camera).or_default().leave(&row);
                if row.life == Life::Open {
                    self.lose_key(&row, day_key);
                }
            }
            ManifestRecord::ReceiptsCopied => self.unreceipted = 0,
            ManifestRecord::Carried(carried) => {
                self.has_undoubted |= self.mark.is_none();
                self.left += 1;
                self.keyed += 1;
                let (camera, start, end) = (carried.camera, carried.start, carried.end.max(carried.start));
                let (day_key, doubt) = (carried.day_key, self.mark.map(|mark| mark.doubt));
                let wanted = self.wanted.entry(day_key).or_insert(Wanted::of_none(camera, start));
                wanted.segments += 1;
                wanted.first_start = wanted.first_start.min(start);
                wanted.last_start = wanted.last_start.max(start);
                wanted.last_end = wanted.last_end.max(end);
                // How quickly it came together was counted where it was recorded.
                let stored = self.stored.entry(camera).or_default();
                stored.apart_bytes += carried.allocated_bytes.next_multiple_of(BLOCK_BYTES as u64);
                self.apart.insert(carried.segment, Apart { camera, start, end, day_key, doubt });
                self.note_newest(camera, Newest { start, end, digest: carried.digest, doubt });
            }
            ManifestRecord::InDoubt { mark } => {
                self.mark = *mark;
                if let Some(mark) = mark {
                    self.doubts.entry(mark.doubt).or_default();
                }
            }
            ManifestRecord::Corrected { doubt, correction } => {
                self.doubts.insert(*doubt, Some(*correction));
            }
            // The table alone can tell how many those are.
            ManifestRecord::ReceiptsCopiedTo { .. } => {}
        }
        true
    }

    fn note_newest(&mut self, camera: CameraNumber, newest: Newest) {
        let known = self.newest.entry(camera).or_insert(newest);
        if known.start <= newest.start {
            *known = newest;
        }
    }

    /// Whether nothing is left but what stands apart, keys and all.
    pub fn has_only_apart(&self) -> bool {
        let is_readable = |apart: &Apart| !self.has_lost(apart.day_key);
        self.left == self.apart.len() as u64 && self.open == 0 && self.apart.values().all(is_readable)
    }

    /// A segment is on its way out from here on; `row` is as it was before.
    fn is_going(&mut self, row: &SegmentRow) {
        let stored = self.stored.entry(row.camera).or_default();
        stored.leave(row);
        stored.going_bytes += row.reserved_bytes();
    }

    fn lose_key(&mut self, before: &SegmentRow, day_key: DayKeyId) {
        let was_open = u64::from(before.life == Life::Open);
        self.keyed = self.keyed.saturating_sub(1);
        self.open = self.open.saturating_sub(was_open);
        if let Some(wanted) = self.wanted.get_mut(&day_key) {
            wanted.segments = wanted.segments.saturating_sub(1);
            wanted.open = wanted.open.saturating_sub(was_open);
            if wanted.segments == 0 {
                self.wanted.remove(&day_key);
            }
        }
    }
}
