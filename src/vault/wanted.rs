//! What is sealed to a day key: enough to tell, without any table, when nothing needs the day key any more.

use super::table::span_at_least;
use crate::domain::{CameraNumber, Retention, Span, Utc};
use serde::{Deserialize, Serialize};

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
    /// Of a camera that has nothing sealed to it yet.
    pub fn of_none(camera: CameraNumber, start: Utc) -> Self {
        Self {
            camera,
            segments: 0,
            open: 0,
            first_start: start,
            last_start: start,
            last_end: start,
            is_destroyed: false,
        }
    }

    /// From the first frame to the end of the last.
    pub fn span(&self) -> Option<Span> {
        span_at_least(self.first_start, self.last_end)
    }

    /// When the last of them is due: a ceiling counts from the start of the latest, a floor from the latest end.
    pub fn expiry(&self, retention: Retention) -> Option<Utc> {
        Some(retention.expiry(span_at_least(self.last_start, self.last_end)?))
    }
}
