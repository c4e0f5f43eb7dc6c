//! What a manifest's records add up to: a sum that always stays in memory, and a table of its segments that is read
//! when somebody asks for them. A month of 97 cameras is four million segments: all of them would fill the memory.

mod doubts;
mod kept;

pub use kept::Stored;
pub(super) use kept::{Apart, Before, LiveDayKey, Newest};

use super::wanted::Wanted;
use crate::disk::BLOCK_BYTES;
use crate::domain::{
    CameraNumber, Correction, DayKeyId, DestructionTrigger, Doubt, GapCause, Mark, Overwrite, SegmentId, Span, Utc,
};
use crate::segment::{Ending, ManifestRecord};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The clock's file is written every minute: after a crash a doubt begins so much before what was recorded last, at most.
const CLOCK_KEPT_EVERY: Duration = Duration::from_secs(120);

/// Where a segment stands in its life.
///
/// ```text
/// Open ── Sealed ──▶ Sealed ─────────── KeyDestroyed ────────▶ KeyDestroyed ── Erased ──▶ Erased
///   │                  └─ Condemned ──▶ Condemned ── KeyDestroyed ──▲                       ▲
///   ├──────────── KeyDestroyed (its volume failed) ─────────────────┘                       │
///   └──────────────────────────── Erased (never committed) ────────────────────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Open,
    Sealed,
    /// Due since `at`, before its period has ended. No hold brings it back.
    Condemned {
        at: Utc,
        trigger: DestructionTrigger,
    },
    /// `condemned` says why, where it was not its period's end.
    KeyDestroyed {
        at: Utc,
        condemned: Option<DestructionTrigger>,
    },
    Erased {
        at: Utc,
        trigger: DestructionTrigger,
        overwrite: Overwrite,
        read_back_percent: u8,
    },
}

/// A segment as its manifest tells it. What is not wanted often stands in its records, whose places are here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentRow {
    pub start: Utc,
    /// When its last frame ends; its start where that is not known.
    pub end: Utc,
    pub life: Life,
    pub opened_at_bytes: u32,
    /// 0 for one that was never sealed.
    pub sealed_at_bytes: u32,
    /// 0 for one that is not erased.
    pub erased_at_bytes: u32,
    pub chunks: u32,
    /// What is reserved for it on the device, in blocks; 0 for one that was never sealed.
    reserved_blocks: u32,
    pub camera: CameraNumber,
    day_key: u16,
    /// Its doubt's place in the table, from 1 on; 0 for none.
    doubt: u16,
    pub has_footer: bool,
    pub is_apart: bool,
    /// Its destruction is a row of the ledger.
    pub is_receipted: bool,
}

impl SegmentRow {
    pub fn span_at_least(&self) -> Option<Span> {
        span_at_least(self.start, self.end)
    }

    /// Why it is destroyed, or will be: the end of its period, unless it was condemned.
    pub fn trigger(&self) -> DestructionTrigger {
        match self.life {
            Life::Erased { trigger, .. }
            | Life::Condemned { trigger, .. }
            | Life::KeyDestroyed { condemned: Some(trigger), .. } => trigger,
            Life::Open | Life::Sealed | Life::KeyDestroyed { condemned: None, .. } if self.is_apart => {
                DestructionTrigger::HoldEnded
            }
            Life::Open | Life::Sealed | Life::KeyDestroyed { condemned: None, .. } => DestructionTrigger::Expiry,
        }
    }

    pub fn ending(&self) -> Ending {
        let chunks = self.chunks;
        if self.has_footer { Ending::Footer { chunks } } else { Ending::Cut { chunks } }
    }

    /// What is reserved for it on the device; 0 for one that was never sealed.
    pub fn reserved_bytes(&self) -> u64 {
        u64::from(self.reserved_blocks) * BLOCK_BYTES as u64
    }

    /// A change of life that the diagram has; `false` for any other, which changes nothing.
    fn apply(&mut self, record: &ManifestRecord, at_bytes: u32) -> bool {
        match (self.life, record) {
            (Life::Open, ManifestRecord::Sealed { chunks, end, has_footer, allocated_bytes, .. }) => {
                (self.chunks, self.end, self.has_footer) = (*chunks, (*end).max(self.start), *has_footer);
                let blocks = allocated_bytes.div_ceil(BLOCK_BYTES as u64);
                self.reserved_blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
                (self.life, self.sealed_at_bytes) = (Life::Sealed, at_bytes);
            }
            (Life::Sealed | Life::Open, ManifestRecord::KeyDestroyed { at, .. }) => {
                self.life = Life::KeyDestroyed { at: *at, condemned: None };
            }
            (Life::Sealed, ManifestRecord::Condemned { at, trigger, .. }) => {
                self.life = Life::Condemned { at: *at, trigger: *trigger };
            }
            (Life::Condemned { trigger, .. }, ManifestRecord::KeyDestroyed { at, .. }) => {
                self.life = Life::KeyDestroyed { at: *at, condemned: Some(trigger) };
            }
            (Life::KeyDestroyed { condemned: Some(condemned), .. }, ManifestRecord::Erased { trigger, .. })
                if condemned != *trigger =>
            {
                return false;
            }
            (
                Life::KeyDestroyed { .. } | Life::Open,
                ManifestRecord::Erased { at, trigger, overwrite, read_back_percent, .. },
            ) => {
                let (at, trigger, overwrite, read_back_percent) = (*at, *trigger, *overwrite, *read_back_percent);
                self.life = Life::Erased { at, trigger, overwrite, read_back_percent };
                self.erased_at_bytes = at_bytes;
            }
            (Life::Sealed, ManifestRecord::SetApart { .. }) => self.is_apart = true,
            (
                Life::Open | Life::Sealed | Life::Condemned { .. } | Life::KeyDestroyed { .. } | Life::Erased { .. },
                ManifestRecord::DayKeyMade { .. }
                | ManifestRecord::Opened { .. }
                | ManifestRecord::Sealed { .. }
                | ManifestRecord::Gap { .. }
                | ManifestRecord::SetApart { .. }
                | ManifestRecord::KeyDestroyed { .. }
                | ManifestRecord::Erased { .. }
                | ManifestRecord::DayKeyDestroyed { .. }
                | ManifestRecord::ReceiptsCopied
                | ManifestRecord::ReceiptsCopiedTo { .. }
                | ManifestRecord::Condemned { .. }
                | ManifestRecord::InDoubt { .. }
                | ManifestRecord::Corrected { .. },
            ) => return false,
        }
        true
    }
}

/// From the first frame to the end of the last. A segment cut before its first fragment, which has no span of its own, is
/// as old as its start.
pub(super) fn span_at_least(start: Utc, end: Utc) -> Option<Span> {
    Span::new(start, end).or_else(|_| Span::new(start, start.plus_90k(90))).ok()
}

/// A gap as it was recorded.
#[derive(Clone, Copy, Debug)]
struct RecordedGap {
    camera: CameraNumber,
    span: Span,
    cause: GapCause,
    doubt: u16,
}

/// The segments and gaps of one manifest.
#[derive(Debug, Default)]
pub(super) struct SegmentTable {
    pub rows: BTreeMap<SegmentId, SegmentRow>,
    /// The day keys that rows name by their place here: one a camera, for the most part.
    day_keys: Vec<DayKeyId>,
    /// The same for doubts, with what corrects them where they have ended.
    doubts: Vec<(Mark, Option<Correction>)>,
    /// The one that is marked now.
    doubt: u16,
    gaps: Vec<RecordedGap>,
    /// By start: what stands with the rolling footage and has its key block. The eraser takes it from the front.
    pub keyed: BTreeSet<(Utc, SegmentId)>,
    /// The same of what was condemned: due at once, wherever it stands.
    pub condemned: BTreeSet<(Utc, SegmentId)>,
    /// By start: what has no key block any more and is not erased yet.
    pub keyless: BTreeSet<(Utc, SegmentId)>,
}

impl SegmentTable {
    pub fn day_key(&self, row: &SegmentRow) -> DayKeyId {
        self.day_keys.get(usize::from(row.day_key)).copied().unwrap_or(DayKeyId(0))
    }

    /// Takes a record in that begins at `at_bytes`; `false` for one that does not follow from those before.
    pub fn apply(&mut self, record: &ManifestRecord, at_bytes: u32) -> bool {
        match record {
            ManifestRecord::DayKeyMade { .. } | ManifestRecord::DayKeyDestroyed { .. } => true,
            ManifestRecord::Gap { camera, span, cause } => {
                self.gaps.push(RecordedGap { camera: *camera, span: *span, cause: *cause, doubt: self.doubt });
                true
            }
            ManifestRecord::InDoubt { mark: None } => {
                self.doubt = 0;
                true
            }
            ManifestRecord::InDoubt { mark: Some(mark) } => match self.place_of(*mark) {
                Some(place) => {
                    self.doubt = place;
                    true
                }
                None => false,
            },
            ManifestRecord::Corrected { doubt, correction } => {
                // By how much it is wrong is found out once.
                let untold = |(mark, known): &&mut (Mark, Option<Correction>)| mark.doubt == *doubt && known.is_none();
                let mut is_first = false;
                for (_, known) in self.doubts.iter_mut().filter(untold) {
                    (*known, is_first) = (Some(*correction), true);
                }
                is_first
            }
            ManifestRecord::Opened { segment, camera, start, day_key, .. } => {
                let place = self.day_keys.iter().position(|known| known == day_key).unwrap_or_else(|| {
                    self.day_keys.push(*day_key);
                    self.day_keys.len() - 1
                });
                let Ok(day_key) = u16::try_from(place) else { return false };
                let row = SegmentRow {
                    start: *start,
                    end: *start,
                    life: Life::Open,
                    opened_at_bytes: at_bytes,
                    sealed_at_bytes: 0,
                    erased_at_bytes: 0,
                    chunks: 0,
                    reserved_blocks: 0,
                    camera: *camera,
                    day_key,
                    doubt: self.doubt,
                    has_footer: false,
                    is_apart: false,
                    is_receipted: false,
                };
                match self.rows.entry(*segment) {
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert(row);
                        self.keyed.insert((*start, *segment));
                        true
                    }
                    std::collections::btree_map::Entry::Occupied(_) => false,
                }
            }
            ManifestRecord::ReceiptsCopied => {
                self.receipted(|_| true);
                true
            }
            ManifestRecord::ReceiptsCopiedTo { end_bytes, before } => {
                self.receipted(|row| u64::from(row.erased_at_bytes) < *end_bytes && row.start < *before);
                true
            }
            ManifestRecord::Sealed { segment, .. }
            | ManifestRecord::SetApart { segment }
            | ManifestRecord::KeyDestroyed { segment, .. }
            | ManifestRecord::Erased { segment, .. }
            | ManifestRecord::Condemned { segment, .. } => self.apply_to(*segment, record, at_bytes),
        }
    }

    /// Destructions that some are rows of the ledger by now.
    fn receipted(&mut self, is_row: impl Fn(&SegmentRow) -> bool) {
        for row in self.rows.values_mut() {
            row.is_receipted |= matches!(row.life, Life::Erased { .. }) && is_row(row);
        }
    }

    /// How many destructions are not rows of the ledger yet.
    pub fn unreceipted(&self) -> u64 {
        let erased = self.rows.values().filter(|row| matches!(row.life, Life::Erased { .. }));
        erased.filter(|row| !row.is_receipted).count() as u64
    }

    fn apply_to(&mut self, segment: SegmentId, record: &ManifestRecord, at_bytes: u32) -> bool {
        let Some(row) = self.rows.get_mut(&segment) else { return false };
        if !row.apply(record, at_bytes) {
            return false;
        }
        let place = (row.start, segment);
        match row.life {
            Life::Sealed if row.is_apart => {
                self.keyed.remove(&place);
            }
            Life::Open | Life::Sealed => {}
            Life::Condemned { .. } => {
                self.keyed.remove(&place);
                self.condemned.insert(place);
            }
            Life::KeyDestroyed { .. } => {
                self.keyed.remove(&place);
                self.condemned.remove(&place);
                self.keyless.insert(place);
            }
            Life::Erased { .. } => {
                self.keyed.remove(&place);
                self.keyless.remove(&place);
            }
        }
        true
    }
}

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
    /// Erased segments whose destruction is not a row of the ledger yet.
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
                let wanted = self.wanted.entry(*day_key).or_insert(Wanted {
                    camera: *camera,
                    segments: 0,
                    open: 0,
                    first_start: *start,
                    last_start: *start,
                    last_end: *start,
                    is_destroyed: false,
                });
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
                let known = self.newest.entry(row.camera).or_insert(newest);
                if known.start <= newest.start {
                    *known = newest;
                }
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
                self.unreceipted += 1;
                self.stored.entry(row.camera).or_default().leave(&row);
                if row.life == Life::Open {
                    self.lose_key(&row, day_key);
                }
            }
            ManifestRecord::ReceiptsCopied => self.unreceipted = 0,
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
