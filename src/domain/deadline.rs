//! When a period of days ends, as the Civil Act counts them.

use super::{LocalDay, Utc};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use std::time::Duration;

/// How days are counted at a site: in its time zone, and on which days besides Saturdays and Sundays no period ends.
///
/// A holiday that is missing here makes a period end earlier, and never later than the law has it.
#[derive(Clone, PartialEq, Debug)]
pub struct DayCount {
    pub zone: TimeZone,
    pub holidays: BTreeSet<LocalDay>,
}

impl DayCount {
    /// The last moment of a period of `days` that begins with what happened at `from`. The day on which that was is not
    /// counted (Civil Act, article 157); the period ends with its last day (article 159), and where that is a Saturday or a
    /// holiday, with the next day that is neither (article 161).
    pub fn end(&self, from: Utc, days: u32) -> Utc {
        let last = self.nth_day(from, days).and_then(|day| self.next_working(day));
        let end = last.and_then(|day| day.span(&self.zone)).map(|span| span.to().plus_micros(-1));
        // Beyond the calendar there are no days to count.
        end.filter(|end| *end >= from)
            .unwrap_or_else(|| from.saturating_add(Duration::from_secs(u64::from(days) * 86_400)))
    }

    /// The day that point falls on.
    pub fn day_of(&self, at: Utc) -> LocalDay {
        LocalDay::of(at, &self.zone)
    }

    /// The day that is so many days after the one of `from`; `None` beyond the calendar.
    pub fn nth_day(&self, from: Utc, days: u32) -> Option<LocalDay> {
        (0..days).try_fold(self.day_of(from), |day, _| day.tomorrow())
    }

    fn next_working(&self, mut day: LocalDay) -> Option<LocalDay> {
        while day.is_weekend() || self.holidays.contains(&day) {
            day = day.tomorrow()?;
        }
        Some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(holidays: &[&str]) -> DayCount {
        let holidays = holidays.iter().map(|day| day.parse().unwrap()).collect();
        DayCount { zone: TimeZone::get("Asia/Seoul").unwrap(), holidays }
    }

    fn end(count: &DayCount, from: &str, days: u32) -> String {
        count.end(from.parse().unwrap(), days).to_string()
    }

    #[test]
    fn the_day_of_arrival_is_not_counted_and_the_last_one_counts_whole() {
        // A Monday at one in the morning in Seoul, which is a Sunday in UTC; and the same Monday's last minute.
        for from in ["2026-11-22T16:00:00Z", "2026-11-23T14:59:00Z"] {
            assert_eq!(end(&count(&[]), from, 10), "2026-12-03T14:59:59.999Z", "{from}: the Thursday's end");
        }
        assert_eq!(end(&count(&[]), "2026-11-23T15:00:00Z", 10), "2026-12-04T14:59:59.999Z", "a minute later: Tuesday");
    }

    #[test]
    fn a_period_that_would_end_on_a_saturday_or_a_holiday_ends_on_the_next_day_that_is_neither() {
        // Received on a Wednesday: the tenth day is a Saturday. On a Thursday: a Sunday.
        assert_eq!(end(&count(&[]), "2026-11-25T03:00:00Z", 10), "2026-12-07T14:59:59.999Z");
        assert_eq!(end(&count(&[]), "2026-11-26T03:00:00Z", 10), "2026-12-07T14:59:59.999Z");
        // The tenth day is Christmas, a Friday: the Monday after.
        let holidays = count(&["2026-12-25"]);
        assert_eq!(end(&holidays, "2026-12-15T03:00:00Z", 10), "2026-12-28T14:59:59.999Z");
        // Holidays within the period are counted.
        assert_eq!(end(&holidays, "2026-12-18T03:00:00Z", 10), "2026-12-28T14:59:59.999Z");
        let new_year = count(&["2026-12-28", "2026-12-29"]);
        assert_eq!(end(&new_year, "2026-12-16T03:00:00Z", 10), "2026-12-30T14:59:59.999Z");
    }

    #[test]
    fn a_day_on_which_clocks_change_is_one_day() {
        let paris = DayCount { zone: TimeZone::get("Europe/Paris").unwrap(), holidays: BTreeSet::new() };
        assert_eq!(end(&paris, "2026-10-16T10:00:00Z", 10), "2026-10-26T22:59:59.999Z", "winter time by then");
        assert_eq!(end(&paris, "2026-03-20T10:00:00Z", 10), "2026-03-30T21:59:59.999Z", "summer time by then");
    }

    #[test]
    fn beyond_the_calendar_there_is_an_end_too() {
        let far = Utc::from_micros(i64::MAX - 1);
        assert!(count(&[]).end(far, 10) >= far);
    }
}
