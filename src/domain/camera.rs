//! What a camera films, and how long that may or must be kept.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Standard Guidelines, article 41: at most 30 days where the minimum cannot be worked out.
pub const PUBLIC_CEILING: Duration = Duration::from_secs(30 * 86_400);
/// Medical Service Act, article 38-2 and Rule 39-14: at least 30 days.
pub const OPERATING_FLOOR: Duration = Duration::from_secs(30 * 86_400);

/// The legal class of a camera. It decides whether its period is a ceiling or a floor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CameraClass {
    /// Open to the public (PIPA 25): kept 30 days at most, counted from a segment's first frame.
    PublicArea,
    /// Staff areas, filmed with consent: the same ceiling.
    NonPublic,
    /// Operating rooms (Medical Service Act 38-2): kept 30 days at least, counted from the last frame.
    OperatingRoom,
}

/// What a place is used for. Toilets and changing rooms can be named so that they can be refused (PIPA 25(2)).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FilmedArea {
    Lobby,
    Corridor,
    Entrance,
    WaitingRoom,
    ConsultationRoom,
    OperatingRoom,
    Office,
    Storage,
    Parking,
    Outdoor,
    Toilet,
    ChangingRoom,
}

impl FilmedArea {
    /// Where no camera may ever be (PIPA 25(2)).
    pub fn is_forbidden(self) -> bool {
        matches!(self, FilmedArea::Toilet | FilmedArea::ChangingRoom)
    }
}

/// How long footage is kept, and from which of its frames that is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "period_s")]
pub enum Retention {
    /// Gone when its first frame is this old: no frame is ever older.
    Ceiling(
        #[serde(with = "seconds")]
        #[schemars(with = "u64")]
        Duration,
    ),
    /// Kept until its last frame is this old: no frame is ever younger when it goes.
    Floor(
        #[serde(with = "seconds")]
        #[schemars(with = "u64")]
        Duration,
    ),
}

mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(period: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(period.as_secs())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_secs)
    }
}

/// A period that the law does not allow for the class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RetentionError {
    #[error(
        "{days} days is too long: footage of a {class} camera is kept 30 days at most (Standard Guidelines, article 41); write 30 or less"
    )]
    AboveCeiling { class: CameraClass, days: u32 },
    #[error(
        "{days} days is too short: footage of an operating room is kept 30 days at least (Medical Service Act, article 38-2); write 30 or more"
    )]
    BelowFloor { days: u32 },
    #[error("a period of 0 days keeps nothing; write at least 1")]
    Nothing,
}

impl fmt::Display for CameraClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CameraClass::PublicArea => "public-area",
            CameraClass::NonPublic => "non-public",
            CameraClass::OperatingRoom => "operating-room",
        })
    }
}

impl CameraClass {
    /// The retention for a period in whole days. A ceiling may be shortened and a floor lengthened, never the other way.
    pub fn retention(self, days: u32) -> Result<Retention, RetentionError> {
        if days == 0 {
            return Err(RetentionError::Nothing);
        }
        let period = DAY * days;
        match self {
            CameraClass::PublicArea | CameraClass::NonPublic if period > PUBLIC_CEILING => {
                Err(RetentionError::AboveCeiling { class: self, days })
            }
            CameraClass::PublicArea | CameraClass::NonPublic => Ok(Retention::Ceiling(period)),
            CameraClass::OperatingRoom if period < OPERATING_FLOOR => Err(RetentionError::BelowFloor { days }),
            CameraClass::OperatingRoom => Ok(Retention::Floor(period)),
        }
    }
}

impl Retention {
    pub fn period(self) -> Duration {
        match self {
            Retention::Ceiling(period) | Retention::Floor(period) => period,
        }
    }

    /// When footage that was filmed over `span` is due for destruction.
    pub fn expiry(self, span: super::Span) -> super::Utc {
        match self {
            Retention::Ceiling(period) => span.from().saturating_add(period),
            Retention::Floor(period) => span.to().saturating_add(period),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Span, Utc};

    #[test]
    fn a_ceiling_may_be_shortened_and_a_floor_lengthened_only() {
        assert_eq!(CameraClass::PublicArea.retention(7), Ok(Retention::Ceiling(DAY * 7)));
        assert!(CameraClass::PublicArea.retention(31).is_err());
        assert!(CameraClass::NonPublic.retention(31).is_err());
        assert_eq!(CameraClass::OperatingRoom.retention(60), Ok(Retention::Floor(DAY * 60)));
        assert!(CameraClass::OperatingRoom.retention(29).is_err());
        for class in [CameraClass::PublicArea, CameraClass::NonPublic, CameraClass::OperatingRoom] {
            assert_eq!(class.retention(0), Err(RetentionError::Nothing));
        }
    }

    #[test]
    fn a_ceiling_counts_from_the_first_frame_and_a_floor_from_the_last() {
        let span = Span::new(Utc::from_micros(0), Utc::from_micros(60_000_000)).unwrap();
        assert_eq!(Retention::Ceiling(DAY).expiry(span), Utc::from_micros(86_400_000_000));
        assert_eq!(Retention::Floor(DAY).expiry(span), Utc::from_micros(86_460_000_000));
    }
}
