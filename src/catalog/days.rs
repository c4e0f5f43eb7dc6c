//! What is known of days whose manifests are closed: stretches that were destroyed, and gaps. One record a camera and day:
//! 97 × 365 × 3 = 106,215 of them for three years.

use super::{Catalog, CatalogError};
use crate::domain::{CameraNumber, Day, DestructionTrigger, GapCause, SegmentId, Span, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::PoisonError;

const TREE: &str = "days";

/// A stretch that was destroyed, when, why, and whether it was dated in doubt.
pub type Destroyed = (Span, Utc, DestructionTrigger, bool);
/// Stretches that were destroyed, and gaps.
pub type ClosedPieces = (Vec<Destroyed>, Vec<(Span, GapCause)>);

/// What a closed manifest told of a camera.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClosedDay {
    pub destroyed: Vec<Destroyed>,
    pub gaps: Vec<(Span, GapCause)>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Stored {
    destroyed: Vec<(i64, i64, i64, DestructionTrigger, bool)>,
    gaps: Vec<(i64, i64, GapCause)>,
}

impl Stored {
    fn put(&mut self, closed: &ClosedDay, day: Day) {
        // A stretch may be days long: it stands in every day that it touches.
        let touches = |span: Span| span.from() < day.end() && day.start() < span.to();
        for (span, at, trigger, in_doubt) in closed.destroyed.iter().filter(|(span, ..)| touches(*span)) {
            let piece = (span.from().micros(), span.to().micros(), at.micros(), *trigger, *in_doubt);
            if !self.destroyed.contains(&piece) {
                self.destroyed.push(piece);
            }
        }
        for (span, cause) in closed.gaps.iter().filter(|(span, _)| touches(*span)) {
            let piece = (span.from().micros(), span.to().micros(), *cause);
            if !self.gaps.contains(&piece) {
                self.gaps.push(piece);
            }
        }
    }
}

fn key(camera: CameraNumber, day: Day) -> [u8; 6] {
    let mut key = [0; 6];
    key[..2].copy_from_slice(&camera.get().to_be_bytes());
    key[2..].copy_from_slice(&day.0.to_be_bytes());
    key
}

fn span(from: i64, to: i64) -> Option<Span> {
    Span::new(Utc::from_micros(from), Utc::from_micros(to)).ok()
}

impl Catalog {
    /// Puts in what a closed manifest told of a camera. What is there already stays.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn put_closed(&self, camera: CameraNumber, closed: &ClosedDay) -> Result<(), CatalogError> {
        let spans = || closed.destroyed.iter().map(|(span, ..)| *span).chain(closed.gaps.iter().map(|(span, _)| *span));
        let Some(whole) = spans().reduce(Span::hull) else { return Ok(()) };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.with(|db| {
            let tree = db.open_tree(TREE)?;
            for day in (whole.from().day().0..=whole.to().day().0).map(Day) {
                let known = tree.get(key(camera, day))?;
                let mut stored: Stored = known.map_or(Ok(Stored::default()), |bytes| postcard::from_bytes(&bytes))?;
                stored.put(closed, day);
                if stored != Stored::default() {
                    tree.insert(key(camera, day), postcard::to_stdvec(&stored)?)?;
                }
            }
            Ok(())
        })
    }

    /// Takes out segments and gaps of a camera that a closed manifest told of, in the hours that `whole` touches.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn forget(
        &self,
        camera: CameraNumber,
        whole: Span,
        segments: &HashSet<SegmentId>,
        gaps: &[(Span, GapCause)],
    ) -> Result<(), CatalogError> {
        for (hour, _) in self.hours(camera, whole.from(), whole.to())? {
            self.change(camera, hour, |content| {
                content.segments.retain(|packed| !segments.contains(&SegmentId(packed.segment)));
                content.gaps.retain(|(from, to, cause)| {
                    !gaps.iter().any(|(gap, of)| (gap.from().micros(), gap.to().micros(), of) == (*from, *to, cause))
                });
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What closed manifests told of a camera that reaches into a span, by start.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn closed(&self, camera: CameraNumber, within: Span) -> Result<ClosedPieces, CatalogError> {
        let (mut destroyed, mut gaps) = (Vec::new(), Vec::new());
        self.with(|db| {
            let range = key(camera, within.from().day())..=key(camera, within.to().day());
            for found in db.open_tree(TREE)?.range(range) {
                let stored: Stored = postcard::from_bytes(&found?.1)?;
                let of_day = stored.destroyed.iter();
                destroyed.extend(of_day.filter_map(|(from, to, at, trigger, in_doubt)| {
                    Some((span(*from, *to)?, Utc::from_micros(*at), *trigger, *in_doubt))
                }));
                gaps.extend(stored.gaps.iter().filter_map(|(from, to, cause)| Some((span(*from, *to)?, *cause))));
            }
            Ok(())
        })?;
        destroyed.retain(|(span, ..): &Destroyed| span.overlaps(within));
        destroyed.sort_by_key(|(span, at, ..)| (span.from(), span.to(), *at));
        destroyed.dedup();
        gaps.retain(|(span, _)| span.overlaps(within));
        gaps.sort_by_key(|(span, _)| (span.from(), span.to()));
        gaps.dedup();
        Ok((destroyed, gaps))
    }

    /// Whether any closed manifest told of a camera.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn has_closed(&self, camera: CameraNumber) -> Result<bool, CatalogError> {
        self.with(|db| {
            let first = db.open_tree(TREE)?.range(key(camera, Day(0))..=key(camera, Day(u32::MAX))).next();
            Ok(first.transpose()?.is_some())
        })
    }

    /// How many records of cameras and days there are.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn count_closed(&self) -> Result<u64, CatalogError> {
        self.with(|db| Ok(db.open_tree(TREE)?.len() as u64))
    }

    pub(super) fn clear_closed(&self) -> Result<(), CatalogError> {
        self.with(|db| Ok(db.open_tree(TREE)?.clear()?))
    }
}
