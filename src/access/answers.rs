//! Whether requests are answered in time (PIPA 35, Decree 41: within ten days).
//!
//! - T1 Days are counted as the Civil Act counts them, in the site's time zone, from the day on which the request arrived.
//! - T2 A postponement stops nothing, and an objection begins the days anew.
//! - T3 What somebody was reminded of is a row: a day, one row a request, also after a restart. It holds no person.

use super::correspondence::Told;
use super::requested::Request;
use super::states::RequestState;
use super::{Access, AccessError, Duties, Periods};
use crate::domain::{DayCount, LocalDay, RequestId, Utc};
use crate::ledger::{Act, Actor, RequestReminded};
use std::time::Duration;

/// One that was answered and is not closed after so long may have been forgotten, and its persons are kept meanwhile.
const CLOSED_WITHIN: Duration = Duration::from_secs(90 * 86_400);

/// One that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    request: RequestId,
    due: Utc,
    overdue: bool,
    /// The day on which somebody is to be reminded, where none has been since.
    remind_on: Option<LocalDay>,
    days_overdue: u32,
}

impl Periods {
    /// How days are counted here.
    pub(super) fn day_count(&self) -> DayCount {
        DayCount { zone: self.time_zone.clone(), holidays: self.holidays.clone() }
    }
}

impl RequestState {
    /// Whether it waits for an answer still.
    pub(super) fn is_unanswered(&self) -> bool {
        match self {
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. } => true,
            RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Unavailable { .. }
            | RequestState::Delivered { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Closed { .. } => false,
        }
    }

    /// Whether it was answered, and somebody is to close it.
    fn is_to_be_closed(&self) -> bool {
        match self {
            RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Delivered { .. } => true,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Unavailable { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Closed { .. } => false,
        }
    }
}

impl Access {
    /// By when what came at `from` must be answered (T1).
    pub(super) fn due_of(&self, from: Utc) -> Utc {
        self.periods.day_count().end(from, self.periods.due_days)
    }

    /// By when a request must be answered as it stands, and from when on its days run (T2).
    fn days_of(&self, request: &Request, told: Option<&Told>) -> (Utc, Utc) {
        let is_objected = matches!(request.state, RequestState::Objected { .. });
        let objected = told.and_then(|told| told.objected).filter(|_| is_objected);
        objected.map_or((request.received, request.due), |at| (at, self.due_of(at)))
    }

    /// By when a request must be answered as it stands.
    pub(super) fn due_now(&self, request: &Request) -> Utc {
        let registry = self.registry();
        self.days_of(request, registry.correspondence.of(request.number)).1
    }

    fn unanswered(&self) -> Vec<Unanswered> {
        let (now, days) = (self.now(), self.periods.day_count());
        let today = days.day_of(now);
        let registry = self.registry();
        let waiting = registry.requests.values().filter(|request| request.state.is_unanswered());
        let look = |request: &Request| {
            let told = registry.correspondence.of(request.number);
            let (from, due) = self.days_of(request, told);
            let overdue = due < now;
            let passed = self.periods.remind_days.iter().filter_map(|after| days.nth_day(from, *after));
            let newest = passed.filter(|day| *day <= today).max();
            let reminded = told.and_then(|told| told.reminded);
            let is_to_be_said = |day: &LocalDay| reminded.is_none_or(|reminded| reminded < *day);
            let remind_on = if overdue { Some(today) } else { newest }.filter(is_to_be_said);
            let days_overdue = told.map_or(0, |told| told.days_overdue);
            Unanswered { request: request.number, due, overdue, remind_on, days_overdue }
        };
        waiting.map(look).collect()
    }

    /// Reminds of requests that wait, on the days that are set, and each day from when they are overdue (T3).
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`]; it is said the next time then.
    pub(super) fn remind_of_requests(&self) -> Result<(), AccessError> {
        if !self.ledger.is_writable() {
            return Ok(());
        }
        let today = self.periods.day_count().day_of(self.now());
        for Unanswered { request, due, overdue, .. } in
            self.unanswered().into_iter().filter(|waiting| waiting.remind_on.is_some())
        {
            self.record(Actor::Daemon, Act::RequestReminded(RequestReminded { request, day: today, due, overdue }))?;
            if overdue {
                tracing::error!(%request, %due, "a request is overdue: an officer decides it");
            } else {
                tracing::warn!(%request, %due, "a request waits for its answer: an officer decides it");
            }
        }
        Ok(())
    }

    /// Counts what waits for an answer.
    pub(super) fn answers_that_wait(&self, now: Utc, duties: &mut Duties) {
        let mut waiting = self.unanswered();
        waiting.sort_by_key(|waiting| waiting.due);
        duties.requests_unanswered = waiting.len();
        duties.next_due = waiting.iter().map(|waiting| waiting.due).find(|due| *due >= now);
        for Unanswered { request, due, days_overdue, .. } in waiting.iter().filter(|waiting| waiting.overdue) {
            duties.requests_overdue += 1;
            let for_days = match days_overdue {
                0 => String::new(),
                1 => ", and was reminded of on 1 day since".to_owned(),
                days => format!(", and was reminded of on {days} days since"),
            };
            duties.alarms.push(format!(
                "request {request} was to be answered by {due}{for_days}: an officer decides it now, and it is told who asked"
            ));
        }
        let registry = self.registry();
        let forgotten = registry.requests.values().filter(|request| {
            let told = registry.correspondence.of(request.number);
            let decided = told.and_then(|told| told.decisions.last()).map(|decided| decided.at);
            request.state.is_to_be_closed()
                && decided.is_some_and(|at| at.saturating_add(CLOSED_WITHIN) <= now)
                && (request.holds() || request.state.hold_until().is_none())
        });
        let forgotten: Vec<String> = forgotten.map(|request| request.number.to_string()).collect();
        if !forgotten.is_empty() {
            duties.alarms.push(format!(
                "requests {} were answered more than 90 days ago and are not closed: close each; what is written of persons is \
                 kept until then",
                forgotten.join(", ")
            ));
        }
    }
}
