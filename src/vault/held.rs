//! How much footage holds keep: counted from the manifests, for whoever has to answer for it.

use super::holds::Hold;
use super::table::{Life, SegmentRow, span_at_least};
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError};
use crate::domain::{SegmentId, Span, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ops::AddAssign;
use std::time::Duration;

/// How far behind its day's end a segment may reach that began in it.
const LONGEST_SEGMENT: Duration = Duration::from_secs(3_600);
/// So many records are read before who records or erases gets a turn.
const RECORDS_AT_A_TIME: usize = 256;

/// Footage that holds keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HeldFootage {
    pub segments: u64,
    pub bytes: u64,
    /// Of those, what only a hold still keeps: its day has come.
    pub past_segments: u64,
    pub past_bytes: u64,
    /// When the oldest of all was filmed.
    pub oldest: Option<Utc>,
}

impl AddAssign for HeldFootage {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.bytes += other.bytes;
        self.past_segments += other.past_segments;
        self.past_bytes += other.past_bytes;
        self.oldest = match (self.oldest, other.oldest) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

impl Vault {
    /// What `holds` keep of what is not destroyed. `now` is the trusted time: what has come to its day is told apart.
    /// Many records are read; who asks often keeps the answer for a while.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn held(&self, holds: &[Hold], now: Utc) -> Result<HeldFootage, VaultError> {
        let mut held = HeldFootage::default();
        for volume in &self.volumes {
            for key in volume.keys_held(holds) {
                held += volume.held_in(key, holds, now)?;
            }
        }
        Ok(held)
    }

    /// The bytes that all volumes can hold; `None` where a disk does not tell.
    pub fn size_bytes(&self) -> Option<u64> {
        self.volumes.iter().map(|volume| volume.size_bytes().ok().flatten()).sum()
    }
}

impl Volume {
    /// Manifests with segments left that a hold may cover.
    fn keys_held(&self, holds: &[Hold]) -> Vec<ManifestKey> {
        let state = self.lock();
        let left = state.manifests.iter().filter(|(_, manifest)| manifest.sum().left > 0);
        let reached = left.filter(|(_, manifest)| {
            let day = manifest.header.day;
            let (earlier, later) = manifest.sum().moves_shown();
            let end = day.end().saturating_add(LONGEST_SEGMENT).plus_micros(later);
            let whole = Span::new(day.start().plus_micros(earlier), end);
            whole.is_ok_and(|whole| holds.iter().any(|hold| hold.span.overlaps(whole)))
        });
        reached.map(|(key, _)| *key).collect()
    }

    fn held_in(&self, key: ManifestKey, holds: &[Hold], now: Utc) -> Result<HeldFootage, VaultError> {
        let mut held = HeldFootage::default();
        for part in self.held_rows(key, holds)?.chunks(RECORDS_AT_A_TIME) {
            let mut state = self.lock();
            for (segment, row, said) in part {
                let so_far = state.open.get(segment).map(|open| open.progress.bytes);
                let Some(manifest) = state.loaded(key)? else { continue };
                let whole = manifest.whole(row)?.map(|whole| whole.bytes);
                let bytes = whole.or(so_far).unwrap_or_default();
                let dating = manifest.table().map(|table| table.dating(row)).unwrap_or_default();
                let is_past = dating.correction.expiry(manifest.header.retention, *said) <= now;
                held += HeldFootage {
                    segments: 1,
                    bytes,
                    past_segments: u64::from(is_past),
                    past_bytes: if is_past { bytes } else { 0 },
                    oldest: Some(dating.shown(*said).from()),
                };
            }
        }
        Ok(held)
    }

    /// Segments of a manifest that a hold covers and that are not destroyed, those under way among them, with the span that
    /// they say.
    fn held_rows(&self, key: ManifestKey, holds: &[Hold]) -> Result<Vec<(SegmentId, SegmentRow, Span)>, VaultError> {
        if let Some(so_far) = self.read_ahead(key)? {
            self.lock().take_table(key, so_far)?;
        }
        let mut state = self.lock();
        let ends: HashMap<SegmentId, Utc> = state.open.iter().map(|(id, open)| (*id, open.progress.end)).collect();
        let Some(manifest) = state.loaded(key)? else { return Ok(Vec::new()) };
        let Some(table) = manifest.table() else { return Ok(Vec::new()) };
        let held = table.rows.iter().filter_map(|(segment, row)| {
            let is_there = matches!(row.life, Life::Open | Life::Sealed);
            let said = span_at_least(row.start, ends.get(segment).map_or(row.end, |end| row.end.max(*end)))?;
            let possible = table.dating(row).possible(said);
            let covers = |hold: &Hold| hold.covers(row.camera, possible) || hold.covers(row.camera, said);
            (is_there && holds.iter().any(covers)).then_some((*segment, *row, said))
        });
        Ok(held.collect())
    }
}
