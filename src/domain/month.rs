//! A month, in UTC: what one file of the ledger holds.

use super::Utc;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A calendar month, written as 2026-11.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(Date);

/// A text that is no month.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a month: write it like 2026-11")]
pub struct NotAMonth;

impl Month {
    /// The month that a point of time falls in.
    pub fn of(at: Utc) -> Self {
        let point = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or_default();
        Self(jiff::tz::TimeZone::UTC.to_datetime(point).date().first_of_month())
    }

    /// So many months on; the last one of the calendar where there is no such.
    #[must_use]
    pub fn plus(self, months: u32) -> Self {
        let months = jiff::Span::new().try_months(months);
        Self(months.and_then(|months| self.0.checked_add(months)).map_or(Date::MAX.first_of_month(), |date| date))
    }

    /// Its first moment.
    pub fn start(self) -> Utc {
        let start = self.0.to_zoned(jiff::tz::TimeZone::UTC).map(|start| start.timestamp().as_microsecond());
        Utc::from_micros(start.unwrap_or(i64::MAX))
    }

    /// The first moment that is not in it any more.
    pub fn end(self) -> Utc {
        self.plus(1).start()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let month = Self(format!("{text}-01").parse().map_err(|_| NotAMonth)?);
        // There is one way to write it.
        if month.to_string() == text { Ok(month) } else { Err(NotAMonth) }
    }
}

impl Serialize for Month {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Month {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_and_ends_in_utc_and_is_written_in_one_way() {
        let at: Utc = "2026-12-31T23:59:59.999999Z".parse().unwrap();
        let month = Month::of(at);
        assert_eq!(month.to_string(), "2026-12");
        assert_eq!(month.end(), at.plus_micros(1));
        assert_eq!(Month::of(month.end()), month.plus(1));
        assert_eq!(month.plus(13).to_string(), "2028-01");
        assert_eq!(month.start().to_string(), "2026-12-01T00:00:00.000Z");
        for wrong in ["", "2026-1", "2026-13", "2026-11-01", "202611", " 2026-11"] {
            assert_eq!(wrong.parse::<Month>(), Err(NotAMonth), "{wrong}");
        }
        assert_eq!(serde_json::to_string(&"2026-11".parse::<Month>().unwrap()).unwrap(), "\"2026-11\"");
    }
}
