//! Segments that failed to be erased: tried again later and later, so that a bad one stands in no other's way.

use crate::domain::{SegmentId, Utc};
use std::collections::HashMap;
use std::time::Duration;

/// A try of a bad sector may hold up a disk for many seconds.
const LATEST: Duration = Duration::from_secs(600);
/// A device that fails everywhere is not to fill the memory: those beyond are simply tried again.
const LIMIT: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Postponed(HashMap<SegmentId, Postponement>);

#[derive(Clone, Debug)]
struct Postponement {
    tries: u32,
    until: Utc,
    why: String,
}

impl Postponed {
    /// The first time it is tried again at once, then after one second, three, seven and so on.
    pub fn failed(&mut self, segment: SegmentId, now: Utc, why: String) {
        if self.0.len() >= LIMIT && !self.0.contains_key(&segment) {
            return;
        }
        let tries = self.0.get(&segment).map_or(0, |known| known.tries);
        let wait = Duration::from_secs((1_u64 << tries.min(10)) - 1).min(LATEST);
        self.0.insert(segment, Postponement { tries: tries + 1, until: now.saturating_add(wait), why });
    }

    pub fn succeeded(&mut self, segment: SegmentId) {
        self.0.remove(&segment);
    }

    /// Whether a segment is to be left alone for now.
    pub fn waits(&self, segment: SegmentId, now: Utc) -> bool {
        self.0.get(&segment).is_some_and(|known| known.until > now)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many there are, and what one of them failed of.
    pub fn told(&self) -> Option<(usize, String)> {
        let (segment, known) = self.0.iter().max_by_key(|(segment, known)| (known.tries, **segment))?;
        Some((self.0.len(), format!("segment {segment}: {}", known.why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_at_once_and_then_later_and_later() {
        let (mut postponed, segment) = (Postponed::default(), SegmentId(7));
        let at = |seconds: u64| Utc::from_micros(0).saturating_add(Duration::from_secs(seconds));
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..14 {
            postponed.failed(segment, now, "a bad sector".into());
            let until = (0..).find(|more| !postponed.waits(segment, now.saturating_add(Duration::from_secs(*more))));
            waits.push(until.unwrap());
            now = now.saturating_add(Duration::from_secs(until.unwrap()));
        }
        assert_eq!(waits, [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 600, 600, 600, 600]);
        assert_eq!(postponed.told(), Some((1, format!("segment {segment}: a bad sector"))));
        postponed.succeeded(segment);
        assert!(postponed.told().is_none() && !postponed.waits(segment, at(0)));
    }
}
