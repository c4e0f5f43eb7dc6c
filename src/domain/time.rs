//! Points and spans of time. Nothing here reads a clock: that is `clock`'s.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// RTP's video clock (RFC 6184, 5.1): ticks a second.
pub const TICKS_PER_SECOND: u64 = 90_000;

/// A point of time: microseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utc(i64);

impl Utc {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The UTC day that this point is in. Points before 1970 count as 1970-01-01.
    pub fn day(self) -> Day {
        let days = self.0.div_euclid(MICROS_PER_DAY).clamp(0, i64::from(u32::MAX));
        Day(u32::try_from(days).unwrap_or(u32::MAX))
    }

    pub fn saturating_add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    pub fn saturating_sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This point moved on, or back where `by_micros` is less than zero.
    pub fn plus_micros(self, by_micros: i64) -> Self {
        Self(self.0.saturating_add(by_micros))
    }

    /// How far it is from `earlier` to here; less than zero if this is before.
    pub fn micros_since(self, earlier: Utc) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Utc) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This point moved on by ticks of the 90 kHz clock.
    pub fn plus_90k(self, ticks: u64) -> Self {
        let micros = u128::from(ticks) * 100 / 9;
        Self(self.0.saturating_add(i64::try_from(micros).unwrap_or(i64::MAX)))
    }

    /// Ticks of the 90 kHz clock from `earlier` to here, rounded to the nearest; zero if it is before.
    pub fn ticks_90k_since(self, earlier: Utc) -> u64 {
        let micros = u128::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        u64::try_from((micros * 9 + 50) / 100).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(point) => write!(f, "{point:.3}"),
            Err(_) => write!(f, "{} µs since 1970", self.0),
        }
    }
}

impl fmt::Debug for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Utc {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|point| Self(point.as_microsecond()))
    }
}

impl Serialize for Utc {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(point) => to.collect_str(&format_args!("{point:.6}")),
            Err(e) => Err(serde::ser::Error::custom(e)),
        }
    }
}

impl schemars::JsonSchema for Utc {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Utc".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom(format!("`{text}` is not a time: write it like 2026-11-22T14:05:00Z"))
        })
    }
}

/// A UTC day: days since 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Day {
    pub fn start(self) -> Utc {
        Utc(i64::from(self.0) * MICROS_PER_DAY)
    }

    /// The first point of the next day.
    pub fn end(self) -> Utc {
        Utc((i64::from(self.0) + 1) * MICROS_PER_DAY)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.start().0) {
            Ok(point) => write!(f, "{}", point.strftime("%Y-%m-%d")),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// From one point up to, but without, another. Never empty, never reversed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, schemars::JsonSchema)]
pub struct Span {
    from: Utc,
    to: Utc,
}

/// Why two points make no span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpanError {
    #[error("the span ends ({to}) before it begins ({from})")]
    Reversed { from: Utc, to: Utc },
    #[error("the span is empty: it begins and ends at {at}")]
    Empty { at: Utc },
}

impl Span {
    pub fn new(from: Utc, to: Utc) -> Result<Self, SpanError> {
        match from.cmp(&to) {
            std::cmp::Ordering::Less => Ok(Self { from, to }),
            std::cmp::Ordering::Equal => Err(SpanError::Empty { at: from }),
            std::cmp::Ordering::Greater => Err(SpanError::Reversed { from, to }),
        }
    }

    pub fn from(self) -> Utc {
        self.from
    }

    /// Both ends moved on, or back. At the ends of time it stays where it is.
    #[must_use]
    pub fn moved(self, by_micros: i64) -> Span {
        Span::new(self.from.plus_micros(by_micros), self.to.plus_micros(by_micros)).unwrap_or(self)
    }

    pub fn to(self) -> Utc {
        self.to
    }

    pub fn length(self) -> Duration {
        self.to.since(self.from)
    }

    pub fn contains(self, point: Utc) -> bool {
        self.from <= point && point < self.to
    }

    pub fn overlaps(self, other: Span) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// What both have in common.
    pub fn intersection(self, other: Span) -> Option<Span> {
        Span::new(self.from.max(other.from), self.to.min(other.to)).ok()
    }

    /// The smallest span that holds both.
    pub fn hull(self, other: Span) -> Span {
        Span { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Ends {
            from: Utc,
            to: Utc,
        }
        let ends = Ends::deserialize(from)?;
        Span::new(ends.from, ends.to).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reversed_or_empty_span_cannot_be_made() {
        let (a, b) = (Utc::from_micros(1), Utc::from_micros(2));
        assert_eq!(Span::new(b, a), Err(SpanError::Reversed { from: b, to: a }));
        assert_eq!(Span::new(a, a), Err(SpanError::Empty { at: a }));
        let reversed = r#"{"from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}"#;
        assert!(serde_json::from_str::<Span>(reversed).is_err());
    }

    #[test]
    fn touching_spans_do_not_overlap() {
        let at = Utc::from_micros;
        let first = Span::new(at(0), at(10)).unwrap();
        let second = Span::new(at(10), at(20)).unwrap();
        assert!(!first.overlaps(second));
        assert_eq!(first.intersection(second), None);
        assert_eq!(first.hull(second), Span::new(at(0), at(20)).unwrap());
    }

    proptest! {
        #[test]
        fn a_time_survives_its_text(micros in 0i64..4_102_444_800_000_000) {
            let point = Utc::from_micros(micros);
            let text = serde_json::to_string(&point).unwrap();
            prop_assert_eq!(serde_json::from_str::<Utc>(&text).unwrap(), point);
        }

        #[test]
        fn ticks_and_micros_agree(start in 0i64..2_000_000_000_000_000, ticks in 0u64..90_000 * 86_400) {
            let start = Utc::from_micros(start);
            prop_assert_eq!(start.plus_90k(ticks).ticks_90k_since(start), ticks);
        }
    }
}
