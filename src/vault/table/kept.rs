//! What a sum keeps of single segments, keys and cameras.

use super::{Life, SegmentRow};
use crate::crypto::PublicKey;
use crate::domain::{CameraNumber, DayKeyId, Digest, Doubt, Utc};
use serde::{Deserialize, Serialize};

/// A camera's newest segment that came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::vault) struct Newest {
    pub start: Utc,
    pub end: Utc,
    pub digest: Digest,
    pub doubt: Option<Doubt>,
}

/// A day key that is not destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::vault) struct LiveDayKey {
    pub camera: CameraNumber,
    pub public: PublicKey,
}

/// A segment that stands apart: due whenever nothing holds it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::vault) struct Apart {
    pub camera: CameraNumber,
    pub start: Utc,
    pub end: Utc,
    pub day_key: DayKeyId,
    pub doubt: Option<Doubt>,
}

/// A row of the table as it was before a record, with what it names by places.
#[derive(Clone, Copy, Debug)]
pub(in crate::vault) struct Before {
    pub row: SegmentRow,
    pub day_key: DayKeyId,
    pub doubt: Option<Doubt>,
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
    pub(super) fn place(&mut self, row: &SegmentRow) -> &mut u64 {
        match row.life {
            Life::Condemned { .. } | Life::KeyDestroyed { .. } | Life::Erased { .. } => &mut self.going_bytes,
            Life::Open | Life::Sealed if row.is_apart => &mut self.apart_bytes,
            Life::Open | Life::Sealed => &mut self.rolling_bytes,
        }
    }

    pub(in crate::vault) fn leave(&mut self, row: &SegmentRow) {
        let place = self.place(row);
        *place = place.saturating_sub(row.reserved_bytes());
    }
}
