//! The ledger's months, and the officer who reviews each (Safety Measures Notice, article 8(2)).
//!
//! A month's file never gets a row once the next one has begun, so a review is of all of it. What an officer signs is a
//! summary as it was shown to them, by its digest: counts, and what stands out.

use super::registry::person_of;
use super::texts::check_text;
use super::{Access, AccessError, Caller};
use crate::crypto::sha256;
use crate::domain::{AccountId, Digest, Month, Role, Utc};
use crate::ledger::{Act, MonthReview, Row};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

/// A review that an officer made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reviewed {
    pub by: Option<AccountId>,
    pub at: Utc,
    /// The ledger's row that says so.
    pub row: u64,
    pub odd: u32,
    pub remarks: Option<String>,
    pub summary: Digest,
}

/// What the rows say of the ledger's files.
#[derive(Clone, Debug, Default)]
pub(super) struct Months {
    /// The first row of each file.
    begun: BTreeMap<Month, u64>,
    reviewed: BTreeMap<Month, Reviewed>,
    /// The newest month whose end was announced and has no receipt yet.
    pub ending: Option<Month>,
}

impl Months {
    /// Takes a row in.
    pub fn apply(&mut self, row: &Row) {
        match &row.act {
            Act::FileOpened { .. } => {
                self.begun.insert(Month::of(row.at), row.sequence);
            }
            Act::LedgerReviewed(MonthReview { month, summary, odd, remarks, .. }) => {
                let reviewed = Reviewed {
                    by: person_of(row.actor),
                    at: row.at,
                    row: row.sequence,
                    odd: *odd,
                    remarks: remarks.clone(),
                    summary: *summary,
                };
                self.reviewed.insert(*month, reviewed);
            }
            Act::LedgerMonthEnding(root) => self.ending = Some(root.month),
            Act::LedgerMonthErased(erased) => {
                self.ending = self.ending.filter(|month| *month != erased.month);
                self.begun.retain(|month, _| *month > erased.month);
                self.reviewed.retain(|month, _| *month > erased.month);
            }
            _ => {}
        }
    }

    /// Months whose file has ended, oldest first, with their first row and their last.
    pub fn closed(&self) -> impl DoubleEndedIterator<Item = (Month, u64, u64)> {
        let next = self.begun.values().skip(1);
        self.begun.iter().zip(next).map(|((month, first), next)| (*month, *first, next - 1))
    }

    pub fn newest(&self) -> Option<(Month, u64)> {
        self.begun.last_key_value().map(|(month, first)| (*month, *first))
    }

    pub fn review_of(&self, month: Month) -> Option<&Reviewed> {
        self.reviewed.get(&month)
    }

    /// Those that wait for an officer, oldest first.
    pub fn unreviewed(&self) -> impl Iterator<Item = Month> {
        self.closed().map(|(month, _, _)| month).filter(|month| !self.reviewed.contains_key(month))
    }
}

/// A month as a list shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MonthLine {
    pub month: Month,
    pub first: u64,
    /// `None` for the one that grows still.
    pub last: Option<u64>,
    pub reviewed: Option<Reviewed>,
    /// Until when it is to be reviewed.
    pub due: Option<Utc>,
    pub is_overdue: bool,
}

/// A month with its summary: what an officer reviews.
#[derive(Clone, Debug, Serialize)]
pub struct MonthView {
    pub site: String,
    pub summary: super::summary::MonthSummary,
    /// SHA-256 over the summary's JSON without spaces, fields in this order.
    pub digest: Digest,
    pub reviewed: Option<Reviewed>,
    /// The line of a checkpoint made when this was asked for.
    pub checkpoint: String,
}

impl Access {
    pub(super) fn months(&self) -> MutexGuard<'_, Months> {
        // Each change under this lock is the applying of one row.
        self.months.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until when a month is to be reviewed.
    fn review_due(&self, month: Month) -> Utc {
        month.plus(1 + self.periods.ledger.review_months).start()
    }

    /// How many months wait for an officer, the first of them, and whether that one has waited for too long.
    pub(super) fn months_that_wait(&self, now: Utc) -> (usize, Option<Month>, bool) {
        let months = self.months();
        let mut waiting = months.unreviewed();
        let first = waiting.next();
        let overdue = first.is_some_and(|month| self.review_due(month) <= now);
        (first.map_or(0, |_| 1 + waiting.count()), first, overdue)
    }

    /// All months of the ledger, newest first.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers and auditors.
    pub fn ledger_months(&self, caller: &Caller) -> Result<Vec<MonthLine>, AccessError> {
        self.must_read_ledger(caller)?;
        let (months, now) = (self.months(), self.now());
        let closed = months.closed().rev().map(|(month, first, last)| {
            let (reviewed, due) = (months.review_of(month).cloned(), self.review_due(month));
            let is_overdue = reviewed.is_none() && due <= now;
            MonthLine { month, first, last: Some(last), reviewed, due: Some(due), is_overdue }
        });
        let growing = months.newest().map(|(month, first)| MonthLine {
            month,
            first,
            last: None,
            reviewed: None,
            due: None,
            is_overdue: false,
        });
        Ok(growing.into_iter().chain(closed).collect())
    }

    /// What a month's rows add up to. Reading it is itself a row.
    ///
    /// # Errors
    /// [`AccessError::NoSuchMonth`]; [`AccessError::Forbidden`] but for officers and auditors.
    pub fn ledger_month(&self, caller: &Caller, month: Month) -> Result<MonthView, AccessError> {
        self.must_read_ledger(caller)?;
        self.record(caller.actor(), Act::LedgerRead)?;
        self.month_view(month)
    }

    fn month_view(&self, month: Month) -> Result<MonthView, AccessError> {
        let (_, first, last) = self.closed_month(month)?;
        let summary = self.summary_of(month, first..=last)?;
        let digest = digest_of(&summary)?;
        let reviewed = self.months().review_of(month).cloned();
        let checkpoint = self.checkpoint_to_carry()?.to_string();
        Ok(MonthView { site: self.periods.site_name.clone(), summary, digest, reviewed, checkpoint })
    }

    fn closed_month(&self, wanted: Month) -> Result<(Month, u64, u64), AccessError> {
        let months = self.months();
        if let Some(found) = months.closed().find(|(month, ..)| *month == wanted) {
            return Ok(found);
        }
        let grows = months.newest().is_some_and(|(month, _)| month == wanted);
        Err(if grows { AccessError::MonthNotOver } else { AccessError::NoSuchMonth })
    }

    /// Reviews a month that is over. The password is asked again.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`]; [`AccessError::NoSuchMonth`]; [`AccessError::MonthNotOver`];
    /// [`AccessError::MonthReviewed`]; [`AccessError::ReportChanged`] where it is not the summary that they saw;
    /// [`AccessError::BadInput`] for what stands out and is not answered; [`AccessError::NotRecorded`].
    pub fn review_month(
        &self,
        caller: &Caller,
        month: Month,
        (seen, remarks): (Digest, Option<String>),
        password: &str,
    ) -> Result<MonthView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        if let Some(text) = &remarks {
            check_text("remarks", text, true)?;
        }
        self.with_release_key(caller, password, |_| {
            let (_, first, last) = self.closed_month(month)?;
            let summary = self.summary_of(month, first..=last)?;
            if digest_of(&summary)? != seen {
                return Err(AccessError::ReportChanged);
            }
            if summary.odd_total > 0 && remarks.is_none() {
                let what = "is wanted: what is to be said of the things that stand out";
                return Err(AccessError::BadInput { field: "remarks", what });
            }
            let _turn = self.turn();
            if self.months().review_of(month).is_some() {
                return Err(AccessError::MonthReviewed);
            }
            let odd = summary.odd_total;
            let review = MonthReview { month, first, last, summary: seen, odd, remarks: remarks.clone() };
            self.record(caller.actor(), Act::LedgerReviewed(review)).map(drop)
        })?;
        self.checkpoint_decision();
        self.month_view(month)
    }
}

fn digest_of(summary: &super::summary::MonthSummary) -> Result<Digest, AccessError> {
    let bytes = serde_json::to_vec(summary).map_err(|e| AccessError::NotRecorded(e.into()))?;
    Ok(sha256(&bytes))
}
