//! What a manifest's records add up to: a sum that always stays in memory, and a table of its segments that is read
//! when somebody asks for them. A month of 97 cameras is four million segments: all of them would fill the memory.

use crate::crypto::PublicKey;
use crate::domain::{
    CameraNumber, DayKeyId, DestructionTrigger, Digest, GapCause, Overwrite, Retention, SegmentId, Span, Utc,
};
use crate::segment::{Ending, ManifestRecord};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where a segment stands in its life.
///
/// ```text
/// Open ── Sealed ──▶ Sealed ── KeyDestroyed ──▶ KeyDestroyed ── Erased ──▶ Erased
///   │                                                ▲                       ▲
///   ├──────── KeyDestroyed (its volume failed) ──────┘                       │
///   └──────────────────── Erased (never committed) ─────────────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Open,
    Sealed,
    KeyDestroyed { at: Utc },
    Erased { at: Utc, trigger: DestructionTrigger, overwrite: Overwrite, read_back_percent: u8 },
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
    pub camera: CameraNumber,
    day_key: u16,
    pub has_footer: bool,
    pub is_apart: bool,
    /// Its destruction is a row of the ledger.
    pub is_receipted: bool,
}

impl SegmentRow {
    pub fn span_at_least(&self) -> Option<Span> {
        span_at_least(self.start, self.end)
    }

    pub fn ending(&self) -> Ending {
        let chunks = self.chunks;
        if self.has_footer { Ending::Footer { chunks } } else { Ending::Cut { chunks } }
    }

    /// A change of life that the diagram has; `false` for any other, which changes nothing.
    fn apply(&mut self, record: &ManifestRecord, at_bytes: u32) -> bool {
        match (self.life, record) {
            (Life::Open, ManifestRecord::Sealed { chunks, end, has_footer, .. }) => {
                (self.chunks, self.end, self.has_footer) = (*chunks, (*end).max(self.start), *has_footer);
                (self.life, self.sealed_at_bytes) = (Life::Sealed, at_bytes);
            }
            (Life::Sealed | Life::Open, ManifestRecord::KeyDestroyed { at, .. }) => {
                self.life = Life::KeyDestroyed { at: *at };
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
                Life::Open | Life::Sealed | Life::KeyDestroyed { .. } | Life::Erased { .. },
                ManifestRecord::DayKeyMade { .. }
                | ManifestRecord::Opened { .. }
                | ManifestRecord::Sealed { .. }
                | ManifestRecord::Gap { .. }
                | ManifestRecord::SetApart { .. }
                | ManifestRecord::KeyDestroyed { .. }
                | ManifestRecord::Erased { .. }
                | ManifestRecord::DayKeyDestroyed { .. }
                | ManifestRecord::ReceiptsCopied
                | ManifestRecord::ReceiptsCopiedTo { .. },
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

/// The segments and gaps of one manifest.
#[derive(Debug, Default)]
pub(super) struct SegmentTable {
    pub rows: BTreeMap<SegmentId, SegmentRow>,
    /// The day keys that rows name by their place here: one a camera, for the most part.
    day_keys: Vec<DayKeyId>,
    pub gaps: Vec<(CameraNumber, Span, GapCause)>,
    /// By start: what stands with the rolling footage and has its key block. The eraser takes it from the front.
    pub keyed: BTreeSet<(Utc, SegmentId)>,
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
                self.gaps.push((*camera, *span, *cause));
                true
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
                    camera: *camera,
                    day_key,
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
            | ManifestRecord::Erased { segment, .. } => self.apply_to(*segment, record, at_bytes),
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
            Life::KeyDestroyed { .. } => {
                self.keyed.remove(&place);
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

/// A camera's newest segment that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    pub start: Utc,
    pub end: Utc,
    pub digest: Digest,
}

/// A day key that is not destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiveDayKey {
    pub camera: CameraNumber,
    pub public: PublicKey,
}

/// A segment that stands apart: due whenever nothing holds it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Apart {
    pub camera: CameraNumber,
    pub start: Utc,
    pub end: Utc,
    pub day_key: DayKeyId,
}

/// What is sealed to one day key and has its key block still: enough to tell, without any table, when nothing of it needs
/// the day key any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub camera: CameraNumber,
    pub segments: u64,
    /// Of those, the ones that did not come to their end.
    pub open: u64,
    pub first_start: Utc,
    pub last_start: Utc,
    pub last_end: Utc,
    /// The day key's slots are overwritten: nobody opens any of these any more.
    pub is_destroyed: bool,
}

impl Wanted {
    /// From the first frame to the end of the last.
    pub fn span(&self) -> Option<Span> {
        span_at_least(self.first_start, self.last_end)
    }

    /// When the last of them is due: a ceiling counts from the start of the latest, a floor from the latest end.
    pub fn expiry(&self, retention: Retention) -> Option<Utc> {
        Some(retention.expiry(span_at_least(self.last_start, self.last_end)?))
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
    /// When the earliest gap recorded here begins.
    pub gaps_from: Option<Utc>,
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
    pub fn apply(&mut self, record: &ManifestRecord, before: Option<(&SegmentRow, DayKeyId)>) -> bool {
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
            ManifestRecord::Sealed { end, digest, .. } => {
                self.open = self.open.saturating_sub(1);
                let Some((row, day_key)) = before else { return false };
                if let Some(wanted) = self.wanted.get_mut(&day_key) {
                    wanted.open = wanted.open.saturating_sub(1);
                    wanted.last_end = wanted.last_end.max(*end);
                }
                let newest = Newest { start: row.start, end: (*end).max(row.start), digest: *digest };
                let known = self.newest.entry(row.camera).or_insert(newest);
                if known.start <= newest.start {
                    *known = newest;
                }
            }
            ManifestRecord::SetApart { segment } => {
                let Some((row, day_key)) = before else { return false };
                self.apart.insert(*segment, Apart { camera: row.camera, start: row.start, end: row.end, day_key });
            }
            ManifestRecord::KeyDestroyed { segment, .. } => {
                let Some((row, day_key)) = before else { return false };
                self.apart.remove(segment);
                self.lose_key(row, day_key);
            }
            ManifestRecord::Erased { .. } => {
                let Some((row, day_key)) = before else { return false };
                self.left = self.left.saturating_sub(1);
                self.unreceipted += 1;
                if row.life == Life::Open {
                    self.lose_key(row, day_key);
                }
            }
            ManifestRecord::ReceiptsCopied => self.unreceipted = 0,
            // The table alone can tell how many those are.
            ManifestRecord::ReceiptsCopiedTo { .. } => {}
        }
        true
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
