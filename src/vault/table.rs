//! What a manifest's records add up to: a sum that always stays in memory, and a table of its segments that is read
//! when somebody asks for them. A month of 97 cameras is four million segments: all of them would fill the memory.

use crate::crypto::PublicKey;
use crate::domain::{CameraNumber, DayKeyId, DestructionTrigger, Digest, GapCause, Overwrite, SegmentId, Span, Utc};
use crate::segment::{Ending, ManifestRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a segment stands in its life.
///
/// ```text
/// Open ── Sealed ──▶ Sealed ── KeyDestroyed ──▶ KeyDestroyed ── Erased ──▶ Erased
///   └──────────────────── Erased (never committed) ─────────────────────────▲
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Open,
    Sealed,
    KeyDestroyed { at: Utc },
    Erased { at: Utc, trigger: DestructionTrigger, overwrite: Overwrite },
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
            (Life::Sealed, ManifestRecord::KeyDestroyed { at, .. }) => self.life = Life::KeyDestroyed { at: *at },
            (Life::KeyDestroyed { .. } | Life::Open, ManifestRecord::Erased { at, trigger, overwrite, .. }) => {
                self.life = Life::Erased { at: *at, trigger: *trigger, overwrite: *overwrite };
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
                | ManifestRecord::ReceiptsCopied,
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
                        true
                    }
                    std::collections::btree_map::Entry::Occupied(_) => false,
                }
            }
            ManifestRecord::ReceiptsCopied => {
                for row in self.rows.values_mut() {
                    row.is_receipted |= matches!(row.life, Life::Erased { .. });
                }
                true
            }
            ManifestRecord::Sealed { segment, .. }
            | ManifestRecord::SetApart { segment }
            | ManifestRecord::KeyDestroyed { segment, .. }
            | ManifestRecord::Erased { segment, .. } => {
                self.rows.get_mut(segment).is_some_and(|row| row.apply(record, at_bytes))
            }
        }
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
    /// How many segments want each day key.
    pub wanted: BTreeMap<DayKeyId, u64>,
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
            ManifestRecord::DayKeyDestroyed { day_key, .. } => return self.day_keys.remove(day_key).is_some(),
            ManifestRecord::Gap { span, .. } => {
                self.gaps_from = Some(self.gaps_from.map_or(span.from(), |from| from.min(span.from())));
            }
            ManifestRecord::Opened { day_key, .. } => {
                self.left += 1;
                self.keyed += 1;
                self.open += 1;
                *self.wanted.entry(*day_key).or_default() += 1;
            }
            ManifestRecord::Sealed { end, digest, .. } => {
                self.open = self.open.saturating_sub(1);
                let Some((row, _)) = before else { return false };
                let newest = Newest { start: row.start, end: (*end).max(row.start), digest: *digest };
                let known = self.newest.entry(row.camera).or_insert(newest);
                if known.start <= newest.start {
                    *known = newest;
                }
            }
            ManifestRecord::SetApart { segment } => {
                let Some((row, _)) = before else { return false };
                self.apart.insert(*segment, Apart { camera: row.camera, start: row.start, end: row.end });
            }
            ManifestRecord::KeyDestroyed { segment, .. } => {
                let Some((_, day_key)) = before else { return false };
                self.apart.remove(segment);
                self.lose_key(day_key);
            }
            ManifestRecord::Erased { .. } => {
                let Some((row, day_key)) = before else { return false };
                self.left = self.left.saturating_sub(1);
                self.unreceipted += 1;
                if row.life == Life::Open {
                    self.open = self.open.saturating_sub(1);
                    self.lose_key(day_key);
                }
            }
            ManifestRecord::ReceiptsCopied => self.unreceipted = 0,
        }
        true
    }

    fn lose_key(&mut self, day_key: DayKeyId) {
        self.keyed = self.keyed.saturating_sub(1);
        if let Some(wanted) = self.wanted.get_mut(&day_key) {
            *wanted -= 1;
            if *wanted == 0 {
                self.wanted.remove(&day_key);
            }
        }
    }
}
