//! Requests as a list, page by page, and how one is found again.
//!
//! By number, time, state and camera whoever reads requests finds them. By a person's name staff and officers do, as rarely
//! as people ask, and each time is a row: how many were found, never the name.

use super::requested::Request;
use super::texts::check_text;
use super::{Access, AccessError, Caller, RequestView};
use crate::domain::request::StateName;
use crate::domain::{AccountId, CameraNumber, RequestId, Role, Span};
use crate::ledger::Act;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// So many requests are told at a time at most.
pub const PAGE_LARGEST: usize = 1_000;
/// So many searches by name in so long, of one account.
const SEARCHES_LIMIT: usize = 20;
const SEARCHES_WITHIN: Duration = Duration::from_secs(600);
/// Less than this would find nearly everybody.
const NAME_SHORTEST_CHARS: usize = 2;

/// Which requests are wanted; nothing: all.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    pub number: Option<RequestId>,
    /// Received within.
    pub received: Option<Span>,
    pub state: Option<StateName>,
    pub camera: Option<CameraNumber>,
}

impl RequestFilter {
    fn takes(&self, request: &Request) -> bool {
        self.number.is_none_or(|number| number == request.number)
            && self.received.is_none_or(|span| span.contains(request.received))
            && self.state.is_none_or(|state| state == request.state.called())
            && self.camera.is_none_or(|camera| request.cameras.contains(&camera))
    }
}

/// Some requests, newest first.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RequestPage {
    pub requests: Vec<RequestView>,
    /// Where the next page begins: give it as `before`. `None` on the last one.
    pub next: Option<RequestId>,
}

/// When people searched by name lately.
#[derive(Debug, Default)]
pub(super) struct Searches(Mutex<BTreeMap<AccountId, VecDeque<Duration>>>);

impl Searches {
    /// Takes note of one more.
    fn begin(&self, account: AccountId, at: Duration) -> Result<(), AccessError> {
        let mut searches = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = searches.entry(account).or_default();
        while own.front().is_some_and(|first| at.saturating_sub(*first) >= SEARCHES_WITHIN) {
            own.pop_front();
        }
        if let Some(first) = own.front().filter(|_| own.len() >= SEARCHES_LIMIT) {
            let retry_s = (*first + SEARCHES_WITHIN).saturating_sub(at).as_secs().max(1);
            return Err(AccessError::TooManySearches { retry_s });
        }
        own.push_back(at);
        Ok(())
    }
}

impl Access {
    /// A page of the requests that a filter takes, newest first: those with numbers before `before`, `limit` at most.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] for others than staff, officers and auditors; [`AccessError::BadInput`] for a limit that is
    /// none.
    pub fn request_page(
        &self,
        caller: &Caller,
        filter: &RequestFilter,
        before: Option<RequestId>,
        limit: usize,
    ) -> Result<RequestPage, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer, Role::Auditor])?;
        check_limit(limit)?;
        let taken = self.requests_before(caller, before, |request| filter.takes(request), limit + 1);
        Ok(self.page_of(caller, taken, limit))
    }

    /// The requests of persons whose name holds these letters, newest first. That somebody searched is a row.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] for others than staff and officers; [`AccessError::TooManySearches`];
    /// [`AccessError::NotRecorded`], and then nothing is told.
    pub fn search_requests_by_name(
        &self,
        caller: &Caller,
        name: &str,
        before: Option<RequestId>,
        limit: usize,
    ) -> Result<RequestPage, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer])?;
        check_limit(limit)?;
        check_text("name", name, true)?;
        let wanted = folded(name);
        if wanted.chars().count() < NAME_SHORTEST_CHARS {
            return Err(AccessError::BadInput { field: "name", what: "give two letters at least" });
        }
        self.searches.begin(caller.account(), self.time.clock().monotonic())?;
        let all = self.requests_before(caller, before, |_| true, usize::MAX);
        let found: Vec<Request> = all.into_iter().filter(|request| self.is_of(caller, request, &wanted)).collect();
        let hits = u32::try_from(found.len()).unwrap_or(u32::MAX);
        self.record(caller.actor(), Act::RequestsSearched { hits })?;
        Ok(self.page_of(caller, found, limit))
    }

    fn requests_before(
        &self,
        caller: &Caller,
        before: Option<RequestId>,
        takes: impl Fn(&Request) -> bool,
        limit: usize,
    ) -> Vec<Request> {
        let registry = self.registry();
        let end = before.unwrap_or(RequestId(u32::MAX));
        let within = |request: &&Request| caller.must_reach(&request.cameras).is_ok() && takes(request);
        registry.requests.range(..end).rev().map(|(_, request)| request).filter(within).take(limit).cloned().collect()
    }

    /// The first `limit` of them, and whether there are more.
    fn page_of(&self, caller: &Caller, mut taken: Vec<Request>, limit: usize) -> RequestPage {
        let has_more = taken.len() > limit;
        taken.truncate(limit);
        let next = taken.last().map(|last| last.number).filter(|_| has_more);
        RequestPage { requests: taken.iter().map(|request| self.line_of(caller, request)).collect(), next }
    }

    /// Whether somebody whose name holds these letters asked, or was asked for.
    fn is_of(&self, caller: &Caller, request: &Request, wanted: &str) -> bool {
        let names = self.names_in(caller, request).unwrap_or_else(|e| {
            tracing::error!(request = %request.number, error = ?e, "what a request holds of persons cannot be read");
            Vec::new()
        });
        names.iter().any(|name| folded(name).contains(wanted))
    }
}

fn check_limit(limit: usize) -> Result<(), AccessError> {
    if (1..=PAGE_LARGEST).contains(&limit) {
        Ok(())
    } else {
        Err(AccessError::BadInput { field: "limit", what: "must be from 1 to 1000" })
    }
}

/// Letters alone, and small: who searches need not know how somebody wrote the blanks.
fn folded(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_bounded_for_each_account_and_the_bound_moves_on() {
        let searches = Searches::default();
        let (one, other) = (AccountId(1), AccountId(2));
        for second in 0..20 {
            searches.begin(one, Duration::from_secs(second)).unwrap();
        }
        let told = searches.begin(one, Duration::from_secs(20)).unwrap_err();
        assert!(matches!(told, AccessError::TooManySearches { retry_s: 580 }), "{told:?}");
        searches.begin(other, Duration::from_secs(20)).unwrap();
        assert!(searches.begin(one, Duration::from_secs(599)).is_err());
        searches.begin(one, Duration::from_secs(600)).unwrap();
        assert!(searches.begin(one, Duration::from_secs(600)).is_err(), "one went, and one came");
    }

    #[test]
    fn how_a_name_was_written_does_not_matter() {
        assert_eq!(folded(" Hong  GilDong"), "honggildong");
        assert!(folded("김 민수").contains(&folded("민수")));
    }
}
