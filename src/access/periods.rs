//! What the site's configuration says of people, requests and viewings.

use super::{LedgerKeeping, RequestRules, SecondFactorFor, SessionLimits};
use crate::domain::LocalDay;
use crate::domain::Terminal;
use std::collections::BTreeSet;
use std::time::Duration;

/// The periods and limits that the site's configuration sets.
#[derive(Clone, Debug)]
pub struct Periods {
    pub session: SessionLimits,
    /// Who must have a second factor.
    pub second_factor: SecondFactorFor,
    /// A password is to be changed after this; `None`: never.
    pub password_max: Option<Duration>,
    /// In so many days a request must be answered (PIPA 35, Decree 41: ten).
    pub due_days: u32,
    /// So many days after it arrived somebody is reminded of it.
    pub remind_days: Vec<u32>,
    /// On these days, besides Saturdays and Sundays, no period ends.
    pub holidays: BTreeSet<LocalDay>,
    /// What is written of persons is kept so long after it was cited last.
    pub papers: Duration,
    /// For letters: where footage is watched, and whom to ask.
    pub viewing_place: Option<String>,
    pub contact: Option<String>,
    /// How long a refusal can be objected to; what was asked for stays until then.
    pub objection: Duration,
    pub requests: RequestRules,
    /// A share of the disks, from which on held footage is an alarm.
    pub held_warn_percent: u8,
    /// So many days that nobody confirmed what was destroyed on are an alarm.
    pub unconfirmed_days: u32,
    /// An operation that is under way for so long is an alarm: its end may have been forgotten.
    pub operation_warn: Duration,
    pub ledger: LedgerKeeping,
    /// A viewing in which nothing is asked for ends after this.
    pub viewing_idle: Duration,
    /// Places where footage may be watched.
    pub terminals: Vec<Terminal>,
    /// For reports: the site's name, and the time zone that its days are counted in.
    pub site_name: String,
    pub time_zone: jiff::tz::TimeZone,
}
