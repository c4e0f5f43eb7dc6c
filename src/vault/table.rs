//! What a manifest's records add up to: a sum that always stays in memory ([`super::sum`]), and a table of its segments that
//! is read when somebody asks for them. A month of 97 cameras is four million segments: all of them would fill the memory.

mod doubts;
mod kept;

pub use kept::Stored;
pub(super) use kept::{Apart, Before, LiveDayKey, Newest};

pub(super) use super::sum::ManifestSum;
use crate::disk::BLOCK_BYTES;
use crate::domain::{
    CameraNumber, Correction, DayKeyId, DestructionTrigger, GapCause, Mark, Overwrite, SegmentId, Span, Utc,
};
use crate::segment::{Ending, ManifestRecord};
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

    /// A row of a segment that came to its end, for tests of what rows add up to.
    #[cfg(test)]
    pub fn of_test(camera: CameraNumber, start: Utc, end: Utc, life: Life) -> Self {
        Self {
            start,
            end,
            life,
            opened_at_bytes: 64,
            sealed_at_bytes: 128,
            erased_at_bytes: 0,
            chunks: 2,
            camera,
            day_key: 0,
            doubt: 0,
            has_footer: true,
            is_apart: false,
            is_receipted: true,
            reserved_blocks: 0,
        }
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
                self.reserved_blocks = blocks_of(*allocated_bytes);
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
                | ManifestRecord::Carried(_)
                | ManifestRecord::InDoubt { .. }
                | ManifestRecord::Corrected { .. },
            ) => return false,
        }
        true
    }
}

fn blocks_of(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BLOCK_BYTES as u64)).unwrap_or(u32::MAX)
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

    /// A row of a segment that is not known yet.
    fn begin(&mut self, segment: SegmentId, day_key: DayKeyId, row: SegmentRow) -> bool {
        let place = self.day_keys.iter().position(|known| *known == day_key).unwrap_or_else(|| {
            self.day_keys.push(day_key);
            self.day_keys.len() - 1
        });
        let Ok(day_key) = u16::try_from(place) else { return false };
        match self.rows.entry(segment) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(SegmentRow { day_key, ..row });
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        }
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
                    day_key: 0,
                    doubt: self.doubt,
                    has_footer: false,
                    is_apart: false,
                    is_receipted: false,
                };
                let is_new = self.begin(*segment, *day_key, row);
                if is_new {
                    self.keyed.insert((*start, *segment));
                }
                is_new
            }
            ManifestRecord::Carried(carried) => {
                let row = SegmentRow {
                    start: carried.start,
                    end: carried.end.max(carried.start),
                    life: Life::Sealed,
                    // One record says what two did.
                    opened_at_bytes: at_bytes,
                    sealed_at_bytes: at_bytes,
                    erased_at_bytes: 0,
                    chunks: carried.chunks,
                    reserved_blocks: blocks_of(carried.allocated_bytes),
                    camera: carried.camera,
                    day_key: 0,
                    doubt: self.doubt,
                    has_footer: carried.has_footer,
                    is_apart: true,
                    is_receipted: false,
                };
                self.begin(carried.segment, carried.day_key, row)
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
