//! `[ledger]` of `site.toml`: where its checkpoints go, how it is reviewed, and how long a month is kept.

use super::document::Section;
use super::error::Fault;
use crate::domain::FilmingHours;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::time::Duration;

const PATH_LIMIT: usize = 1000;
const HOURS_LIMIT: usize = 200;
/// The system's log: journald and every syslog daemon listen there.
const SYSLOG: &str = "/dev/log";
const NOWHERE: &str = "nowhere";
const OPENING_HOURS: &str = "mon-fri 08:00-20:00, sat 08:00-15:00";
/// The history of rights stands in it, and that is kept three years (Safety Measures Notice, article 5).
const KEEP_LEAST_MONTHS: u32 = 36;

/// How the ledger is kept.
#[derive(Clone, PartialEq, Debug)]
pub struct LedgerKeeping {
    /// The socket that checkpoints are sent to; `None`: they leave by exports and letters alone.
    pub checkpoints_to: Option<PathBuf>,
    pub checkpoint_every: Duration,
    /// An officer reviews each month within so many months of its end (Safety Measures Notice, article 8(2)).
    pub review_months: u32,
    /// A month is erased when so many months have gone by since its end.
    pub keep_months: u32,
    /// Viewing at other times stands out in the review.
    pub opening_hours: FilmingHours,
}

/// Reads the section; `None` where hours are wrong, which is noted.
pub(super) fn read_ledger(mut ledger: Section<'_>, time_zone: Option<&TimeZone>) -> Option<LedgerKeeping> {
    let to = ledger.line("checkpoints_to", PATH_LIMIT).map_or_else(|| SYSLOG.to_owned(), |found| found.value);
    let every = ledger.number("checkpoint_min", 1..=60, "minutes").map_or(10, |found| found.value);
    let review_months = ledger.number("review_months", 1..=12, "months").map_or(1, |found| found.value);
    let keep_months = ledger.number("keep_months", KEEP_LEAST_MONTHS..=240, "months");
    let hours = ledger.line("opening_hours", HOURS_LIMIT).map(|found| found.value);
    let zone = time_zone.cloned().unwrap_or(TimeZone::UTC);
    let opening_hours = FilmingHours::parse(hours.as_deref().unwrap_or(OPENING_HOURS), zone);
    if to != NOWHERE && !to.starts_with('/') {
        ledger.refuse("checkpoints_to", Fault::NoSocket);
    }
    if let Err(e) = opening_hours {
        ledger.refuse("opening_hours", Fault::Hours(e));
    }
    ledger.finish();
    Some(LedgerKeeping {
        checkpoints_to: (to != NOWHERE).then(|| PathBuf::from(to)),
        checkpoint_every: Duration::from_secs(u64::from(every) * 60),
        review_months,
        keep_months: keep_months.map_or(KEEP_LEAST_MONTHS, |found| found.value),
        opening_hours: opening_hours.ok()?,
    })
}
