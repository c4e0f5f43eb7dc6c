//! `[requests]` of `site.toml`: when somebody is reminded of one, how days are counted, how long what is written of persons
//! is kept, and what letters say.

use super::document::Section;
use super::error::Fault;
use crate::domain::LocalDay;
use std::collections::BTreeSet;
use std::time::Duration;

const TEXT_LIMIT: usize = 200;
const DAYS_MOST: usize = 10;
const HOLIDAYS_MOST: usize = 1_000;
const REMIND_DAYS: [u32; 3] = [3, 7, 9];

/// How requests are dealt with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestKeeping {
    /// So many days after a request arrived somebody is reminded of it, unless it is answered.
    pub remind_days: Vec<u32>,
    /// Days on which no period ends, besides Saturdays and Sundays (Civil Act, article 161).
    pub holidays: BTreeSet<LocalDay>,
    /// What is written of persons is erased so long after it was cited last.
    pub keep_persons: Duration,
    /// Where footage is watched.
    pub viewing_place: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
}

/// Reads these fields, the last ones of their section.
pub(super) fn read_keeping(mut requests: Section<'_>) -> RequestKeeping {
    let mut remind_days = requests
        .list("remind_days", DAYS_MOST, "whole numbers of days", |value| {
            let day = value.as_integer().and_then(|day| u32::from_str_radix(day.as_str(), day.radix()).ok());
            day.filter(|day| (1..=10).contains(day)).ok_or(Fault::OutOfRange { min: 1, max: 10, unit: "days" })
        })
        .unwrap_or_else(|| REMIND_DAYS.to_vec());
    remind_days.sort_unstable();
    remind_days.dedup();
    let holidays = requests.list("holidays", HOLIDAYS_MOST, "days in quotes", |value| {
        value.as_str().and_then(|day| day.parse().ok()).ok_or(Fault::NoDay)
    });
    let years = requests.number("keep_persons_years", 1..=10, "years").map_or(3, |found| found.value);
    let viewing_place = requests.line("viewing_place", TEXT_LIMIT).map(|found| found.value);
    let contact = requests.line("contact", TEXT_LIMIT).map(|found| found.value);
    requests.finish();
    RequestKeeping {
        remind_days,
        holidays: holidays.unwrap_or_default().into_iter().collect(),
        keep_persons: years_long(years),
        viewing_place,
        contact,
    }
}

/// So many years, whichever of them are leap years.
fn years_long(years: u32) -> Duration {
    Duration::from_secs(u64::from(years * 365 + years.div_ceil(4)) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_years_are_no_less_than_three_years() {
        assert_eq!(years_long(3), Duration::from_secs(1_096 * 86_400));
        assert_eq!(years_long(1), Duration::from_secs(366 * 86_400));
    }
}
