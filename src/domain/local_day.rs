//! A day as people at the site count it: in its time zone, from midnight to midnight, whatever a clock change makes of that.

use super::{Span, Utc};
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A calendar day of the site, written as 2026-11-25. Only what is shown and confirmed goes by it; nothing is destroyed by
/// it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDay(Date);

/// A text that is no day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a day: write it like 2026-11-25")]
pub struct NotADay;

impl LocalDay {
    /// The day that a point of time falls on there.
    pub fn of(at: Utc, zone: &TimeZone) -> Self {
        let point = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or_default();
        Self(zone.to_datetime(point).date())
    }

    /// The day after; `None` beyond the calendar.
    pub fn tomorrow(self) -> Option<Self> {
        self.0.tomorrow().ok().map(Self)
    }

    /// Saturday or Sunday.
    pub fn is_weekend(self) -> bool {
        matches!(self.0.weekday(), Weekday::Saturday | Weekday::Sunday)
    }

    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// Whether somebody who was born on this day is not so many years old on another: the birthday counts.
    pub fn is_below_years(self, years: i16, on: LocalDay) -> bool {
        let of = |day: Date| (day.year(), day.month(), day.day());
        let (year, month, day) = of(self.0);
        (year.saturating_add(years), month, day) > of(on.0)
    }

    /// From its first moment there to the next day's; `None` beyond the calendar.
    pub fn span(self, zone: &TimeZone) -> Option<Span> {
        let start = |day: Date| day.to_zoned(zone.clone()).ok().map(|start| start.timestamp().as_microsecond());
        let (from, to) = (start(self.0)?, start(self.0.tomorrow().ok()?)?);
        Span::new(Utc::from_micros(from), Utc::from_micros(to)).ok()
    }
}

impl fmt::Display for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for LocalDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LocalDay {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        let day = Self(text.parse().map_err(|_| NotADay)?);
        // There is one way to write it.
        if day.to_string() == text { Ok(day) } else { Err(NotADay) }
    }
}

impl Serialize for LocalDay {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl schemars::JsonSchema for LocalDay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LocalDay".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date"})
    }
}

impl<'de> Deserialize<'de> for LocalDay {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn a_day_is_the_sites_and_not_utcs() {
        let at: Utc = "2026-11-25T15:00:00Z".parse().unwrap();
        assert_eq!(LocalDay::of(at, &zone("Asia/Seoul")).to_string(), "2026-11-26");
        assert_eq!(LocalDay::of(at, &TimeZone::UTC).to_string(), "2026-11-25");
        let span = LocalDay::of(at, &zone("Asia/Seoul")).span(&zone("Asia/Seoul")).unwrap();
        assert_eq!((span.from(), span.length()), (at, Duration::from_secs(86_400)));
        assert!(span.contains(at));
    }

    #[test]
    fn a_day_on_which_clocks_change_is_shorter_or_longer() {
        let paris = zone("Europe/Paris");
        for (day, hours) in [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)] {
            let span = day.parse::<LocalDay>().unwrap().span(&paris).unwrap();
            assert_eq!(span.length(), Duration::from_secs(hours * 3_600), "{day}");
        }
    }

    #[test]
    fn an_age_is_reached_on_the_birthday() {
        let day = |text: &str| text.parse::<LocalDay>().unwrap();
        let born = day("2012-11-26");
        for (on, is_below) in [("2026-11-25", true), ("2026-11-26", false), ("2026-11-27", false), ("2025-12-31", true)]
        {
            assert_eq!(born.is_below_years(14, day(on)), is_below, "{on}");
        }
        assert!(day("2012-02-29").is_below_years(14, day("2026-02-28")));
        assert!(!day("2012-02-29").is_below_years(14, day("2026-03-01")));
    }

    #[test]
    fn there_is_one_way_to_write_a_day() {
        for wrong in ["", "2026-11-31", "2026-11-25T00:00:00", "20261125", "../2026-11-25", "2026-11-25 "] {
            assert_eq!(wrong.parse::<LocalDay>(), Err(NotADay), "{wrong}");
        }
        let day: LocalDay = serde_json::from_str("\"2026-11-25\"").unwrap();
        assert_eq!(serde_json::to_string(&day).unwrap(), "\"2026-11-25\"");
    }
}
