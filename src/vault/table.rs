//! What a manifest's records add up to: a sum that always stays in memory, and a table of its segments that is read
//! when somebody asks for them. A month of 97 cameras is four million segments: all of them would fill the memory.

use crate::crypto::PublicKey;
use crate::disk::BLOCK_BYTES;
use crate::domain::{CameraNumber, DayKeyId, DestructionTrigger, Digest, GapCause, Overwrite, SegmentId, Span, Utc};
use crate::segment::{Ending, ManifestRecord};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a segment stands in its life.
///
/// ```text
/// Open ── Sealed ──▶ Sealed ─────────── KeyDestroyed ────────▶ KeyDestroyed ── Erased ──▶ Erased
///   │                  └─ Condemned ──▶ Condemned ── KeyDestroyed ──▲                       ▲
///   └──────────────────────────── Erased (never committed) ──────────────────────────────┘
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
    pub chunks: u32,
    /// What is reserved for it on the device, in blocks; 0 for one that was never sealed.
    reserved_blocks: u32,
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
            (Life::Sealed, ManifestRecord::KeyDestroyed { at, .. }) => {
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
            (Life::KeyDestroyed { .. } | Life::Open, ManifestRecord::Erased { at, trigger, overwrite, .. }) => {
                self.life = Life::Erased { at: *at, trigger: *trigger, overwrite: *overwrite };
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
                | ManifestRecord::Condemned { .. },
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
                    reserved_blocks: 0,
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
            | ManifestRecord::Erased { segment, .. }
            | ManifestRecord::Condemned { segment, .. } => {
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

/// What the segments of one camera in a manifest take up, and how quickly that came together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// Of all that came to their end here, erased ones too: their bytes, what was reserved for them, and how long they
    /// are.
    pub sealed_bytes: u64,
    pub reserved_bytes: u64,
    pub sealed_micros: u64,
    /// Reserved for those that are there: with the rolling footage, apart, or on their way out.
    pub rolling_bytes: u64,
    pub apart_bytes: u64,
    pub going_bytes: u64,
}

impl Stored {
    /// What a segment's bytes count as: one of the last three.
    fn place(&mut self, row: &SegmentRow) -> &mut u64 {
        match row.life {
            Life::Condemned { .. } | Life::KeyDestroyed { .. } | Life::Erased { .. } => &mut self.going_bytes,
            Life::Open | Life::Sealed if row.is_apart => &mut self.apart_bytes,
            Life::Open | Life::Sealed => &mut self.rolling_bytes,
        }
    }

    fn leave(&mut self, row: &SegmentRow) {
        let place = self.place(row);
        *place = place.saturating_sub(row.reserved_bytes());
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
    /// How many segments want each day key.
    pub wanted: BTreeMap<DayKeyId, u64>,
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
            ManifestRecord::Sealed { end, digest, bytes, allocated_bytes, .. } => {
                self.open = self.open.saturating_sub(1);
                let Some((row, _)) = before else { return false };
                let stored = self.stored.entry(row.camera).or_default();
                stored.sealed_bytes += bytes;
                stored.reserved_bytes += allocated_bytes;
                stored.sealed_micros += u64::try_from((*end).since(row.start).as_micros()).unwrap_or(0);
                stored.rolling_bytes += allocated_bytes.next_multiple_of(BLOCK_BYTES as u64);
                let newest = Newest { start: row.start, end: (*end).max(row.start), digest: *digest };
                let known = self.newest.entry(row.camera).or_insert(newest);
                if known.start <= newest.start {
                    *known = newest;
                }
            }
            ManifestRecord::SetApart { segment } => {
                let Some((row, _)) = before else { return false };
                let stored = self.stored.entry(row.camera).or_default();
                stored.leave(row);
                stored.apart_bytes += row.reserved_bytes();
                self.apart.insert(*segment, Apart { camera: row.camera, start: row.start, end: row.end });
            }
            ManifestRecord::KeyDestroyed { segment, .. } => {
                let Some((row, day_key)) = before else { return false };
                self.apart.remove(segment);
                self.condemned = self.condemned.saturating_sub(u64::from(matches!(row.life, Life::Condemned { .. })));
                self.is_going(row);
                self.lose_key(day_key);
            }
            ManifestRecord::Condemned { segment, .. } => {
                let Some((row, _)) = before else { return false };
                // Whether anything holds it is not asked any more.
                self.apart.remove(segment);
                self.condemned += 1;
                self.is_going(row);
            }
            ManifestRecord::Erased { .. } => {
                let Some((row, day_key)) = before else { return false };
                self.left = self.left.saturating_sub(1);
                self.unreceipted += 1;
                self.stored.entry(row.camera).or_default().leave(row);
                if row.life == Life::Open {
                    self.open = self.open.saturating_sub(1);
                    self.lose_key(day_key);
                }
            }
            ManifestRecord::ReceiptsCopied => self.unreceipted = 0,
        }
        true
    }

    /// A segment is on its way out from here on; `row` is as it was before.
    fn is_going(&mut self, row: &SegmentRow) {
        let stored = self.stored.entry(row.camera).or_default();
        stored.leave(row);
        stored.going_bytes += row.reserved_bytes();
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
