//! The hours in which a camera films, as the notice says them: in the site's own time.

use super::Utc;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use std::time::Duration;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const MINUTES_A_DAY: u16 = 24 * 60;
const MINUTE: Duration = Duration::from_secs(60);
/// Whatever comes again, comes again within a week; a day more, for the clock's own changes.
const FARTHEST_CHANGE_MINUTES: u32 = 8 * 24 * 60;

/// One line of the notice: some days of the week, from one time of day up to, but without, another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stretch {
    /// From Monday.
    days: [bool; 7],
    from_minute: u16,
    /// Not after `from_minute`: of the next day.
    to_minute: u16,
}

/// When a camera films.
#[derive(Clone, PartialEq, Debug)]
pub struct FilmingHours {
    stretches: Vec<Stretch>,
    zone: TimeZone,
}

/// When a camera films. At other times nothing is received from it.
#[derive(Clone, PartialEq, Debug)]
pub enum Filming {
    Always,
    Hours(FilmingHours),
    /// Between the start and the end of an operation (Medical Service Act, article 38-2), whatever the hour.
    Operations,
}

/// What is no hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is no hours of filming; write days and times, like \"mon-fri 08:00-19:30, sat 09:00-13:00\"")]
pub struct NoHours;

impl FilmingHours {
    /// Reads `mon-fri 08:00-19:30, sat 09:00-13:00`. A stretch that ends when it begins, or earlier, goes into the next
    /// day; `24:00` is a day's end.
    ///
    /// # Errors
    /// [`NoHours`].
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, NoHours> {
        let stretches = text.split(',').map(|part| stretch(part.trim()).ok_or(NoHours)).collect::<Result<_, _>>()?;
        Ok(Self { stretches, zone })
    }

    /// Whether a moment is within the hours.
    pub fn contain(&self, at: Utc) -> bool {
        let Ok(at) = jiff::Timestamp::from_microsecond(at.micros()) else { return true };
        let local = at.to_zoned(self.zone.clone());
        let today = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        self.stretches.iter().any(|stretch| stretch.contains(today, minute))
    }

    /// The next whole minute at which that changes; `None` where it never does.
    pub fn next_change(&self, after: Utc) -> Option<Utc> {
        let now = self.contain(after);
        let minute = Utc::from_micros(after.micros() - after.micros().rem_euclid(60_000_000));
        let later = |count| minute.saturating_add(MINUTE * count);
        (1..=FARTHEST_CHANGE_MINUTES).map(later).find(|at| self.contain(*at) != now)
    }
}

impl Stretch {
    fn contains(&self, today: usize, minute: u16) -> bool {
        if self.from_minute < self.to_minute {
            return self.days[today] && (self.from_minute..self.to_minute).contains(&minute);
        }
        let yesterday = (today + 6) % 7;
        (self.days[today] && minute >= self.from_minute) || (self.days[yesterday] && minute < self.to_minute)
    }
}

fn stretch(text: &str) -> Option<Stretch> {
    let (days, times) = text.split_once(' ')?;
    let (from, to) = times.trim().split_once('-')?;
    let (from_minute, to_minute) = (minute_of_day(from)?, minute_of_day(to)?);
    (from_minute < MINUTES_A_DAY).then_some(Stretch { days: days_of(days)?, from_minute, to_minute })
}

fn days_of(text: &str) -> Option<[bool; 7]> {
    let place = |name: &str| DAYS.iter().position(|(known, _)| *known == name);
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (place(first)?, place(last)?),
        None => (place(text)?, place(text)?),
    };
    let mut days = [false; 7];
    let count = (last + 7 - first) % 7;
    (0..=count).for_each(|step| days[(first + step) % 7] = true);
    Some(days)
}

fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= MINUTES_A_DAY).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(text: &str) -> FilmingHours {
        FilmingHours::parse(text, TimeZone::get("Asia/Seoul").unwrap()).unwrap()
    }

    fn at(text: &str) -> Utc {
        text.parse().unwrap()
    }

    #[test]
    fn hours_are_those_of_the_site_not_of_utc() {
        let hours = hours("mon-fri 08:00-19:30, sat 09:00-13:00");
        // 2026-11-26 is a Thursday; Seoul is nine hours ahead.
        for (moment, films) in [
            ("2026-11-25T22:59:59Z", false),
            ("2026-11-25T23:00:00Z", true),
            ("2026-11-26T10:29:59Z", true),
            ("2026-11-26T10:30:00Z", false),
            ("2026-11-28T03:59:00Z", true),
            ("2026-11-28T04:00:00Z", false),
            ("2026-11-29T03:00:00Z", false),
        ] {
            assert_eq!(hours.contain(at(moment)), films, "{moment}");
        }
        assert_eq!(hours.next_change(at("2026-11-26T10:30:12Z")), Some(at("2026-11-26T23:00:00Z")));
        assert_eq!(hours.next_change(at("2026-11-28T04:00:00Z")), Some(at("2026-11-29T23:00:00Z")), "over Sunday");
    }

    #[test]
    fn a_night_belongs_to_the_day_that_it_begins_on() {
        let nights = hours("sat-sun 22:00-06:00");
        assert!(nights.contain(at("2026-11-28T13:00:00Z")), "Saturday, 22:00");
        assert!(nights.contain(at("2026-11-29T20:59:00Z")), "Monday, 05:59");
        assert!(!nights.contain(at("2026-11-29T21:00:00Z")), "Monday, 06:00");
        assert!(!nights.contain(at("2026-11-27T20:00:00Z")), "Saturday, 05:00");
        let always = hours("mon-sun 00:00-24:00");
        assert_eq!(always.next_change(at("2026-11-26T00:00:00Z")), None);
        assert_eq!(
            hours("fri-mon 10:00-10:00").next_change(at("2026-11-26T00:00:00Z")),
            Some(at("2026-11-27T01:00:00Z"))
        );
    }

    #[test]
    fn a_change_of_the_clock_moves_what_is_filmed_with_it() {
        let berlin = FilmingHours::parse("mon-sun 08:00-18:00", TimeZone::get("Europe/Berlin").unwrap()).unwrap();
        assert_eq!(berlin.next_change(at("2026-03-28T20:00:00Z")), Some(at("2026-03-29T06:00:00Z")), "summer time");
        assert_eq!(berlin.next_change(at("2026-10-24T20:00:00Z")), Some(at("2026-10-25T07:00:00Z")), "winter time");
    }

    #[test]
    fn what_is_no_hours_is_refused() {
        for text in ["", "mon", "mon 8:00-19:00", "mon 08:00", "mon 24:00-25:00", "mon 08:60-09:00", "day 08:00-09:00"]
        {
            assert_eq!(FilmingHours::parse(text, TimeZone::UTC), Err(NoHours), "{text}");
        }
    }
}
