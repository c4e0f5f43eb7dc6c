//! What was destroyed on each of the site's days, and the officer who confirms it (Standard Guidelines, article 42(2)).
//!
//! A day is confirmed as far as a row. Rows of that day that come later (a clock that was set back writes some) make it
//! unconfirmed again, and the whole day is confirmed anew: one report a day, and never a part that nobody has seen.

mod ended;
mod summed;

use super::texts::check_text;
use super::{Access, AccessError, Caller, Person};
use crate::crypto::{RunningDigest, sha256};
use crate::disk::DeviceIdentity;
use crate::domain::{
    AccountId, CameraNumber, DestructionTrigger, Digest, LocalDay, Overwrite, Role, Span, Utc, VolumeId,
};
use crate::ledger::{Act, Actor, DestroyedRow, DestructionReceipt, Row};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// How far an officer's clock may be from the trusted one.
const CLOCKS_AGREE: Duration = Duration::from_secs(600);

/// A confirmation of a day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DayConfirmed {
    pub by: Option<AccountId>,
    pub at: Utc,
    /// The ledger's row that says so.
    pub row: u64,
    pub up_to: u64,
    pub failures: u32,
    pub acknowledged: Option<String>,
    pub report: Digest,
    pub stated: Utc,
}

/// What the rows of one day add up to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct DayTally {
    rows: u32,
    segments: u64,
    bytes: u64,
    failures: u32,
    first: u64,
    last: u64,
    confirmations: Vec<DayConfirmed>,
    unproven: Unproven,
    /// Segments and bytes that went before their day, for want of room.
    early: (u64, u64),
}

impl DayTally {
    fn take(&mut self, sequence: u64, receipt: &DestructionReceipt) {
        if self.rows == 0 {
            self.first = sequence;
        }
        self.last = sequence;
        self.rows += 1;
        self.segments += u64::from(receipt.segments);
        self.bytes += receipt.bytes;
        self.failures += u32::from(is_failure(receipt));
        self.unproven.take(receipt);
        if receipt.trigger == DestructionTrigger::Early {
            self.early.0 += u64::from(receipt.segments);
            self.early.1 += receipt.bytes;
        }
    }

    fn is_confirmed(&self) -> bool {
        self.confirmations.last().is_some_and(|confirmed| confirmed.up_to >= self.last)
    }
}

/// Segments of which overwriting should have been proven, and was not: how many, and where.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Unproven {
    segments: u64,
    places: BTreeMap<VolumeId, UnprovenPlace>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct UnprovenPlace {
    segments: u64,
    cameras: BTreeSet<CameraNumber>,
    device: Option<DeviceIdentity>,
}

impl Unproven {
    fn take(&mut self, receipt: &DestructionReceipt) {
        let segments = u64::from(receipt.unproven_segments());
        if segments == 0 {
            return;
        }
        let place = self.places.entry(receipt.volume).or_default();
        place.segments += segments;
        place.cameras.insert(receipt.camera);
        place.device = receipt.device.clone().or_else(|| place.device.take());
        self.segments += segments;
    }

    fn add(&mut self, other: &Self) {
        self.segments += other.segments;
        for (volume, more) in &other.places {
            let place = self.places.entry(*volume).or_default();
            place.segments += more.segments;
            place.cameras.extend(&more.cameras);
            place.device = more.device.clone().or_else(|| place.device.take());
        }
    }

    pub fn segments(&self) -> u64 {
        self.segments
    }
}

/// Where they are: volumes, their disks, and whose footage.
impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (volume, place)) in self.places.iter().enumerate() {
            let cameras = place.cameras.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let between = if number == 0 { "" } else { "; " };
            write!(f, "{between}{} on volume {volume}", place.segments)?;
            if let Some(device) = &place.device {
                write!(f, " (disk {}, serial {})", device.model, device.serial)?;
            }
            write!(f, ", of camera {cameras}")?;
        }
        Ok(())
    }
}

/// Every day on which something was destroyed.
#[derive(Debug)]
pub(super) struct Destructions {
    zone: TimeZone,
    days: BTreeMap<LocalDay, DayTally>,
}

impl Destructions {
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, days: BTreeMap::new() }
    }

    /// Takes a row in.
    pub fn apply(&mut self, row: &Row) {
        if let Act::FootageDestroyed(receipt) = &row.act {
            self.days.entry(LocalDay::of(row.at, &self.zone)).or_default().take(row.sequence, receipt);
        } else if let Act::DestructionConfirmed { day, up_to, failures, acknowledged, report, stated, .. } = &row.act {
            let by = match row.actor {
                Actor::Person { account, .. } => Some(account),
                Actor::Nobody { .. } | Actor::Console | Actor::Daemon => None,
            };
            self.days.entry(*day).or_default().confirmations.push(DayConfirmed {
                by,
                at: row.at,
                row: row.sequence,
                up_to: *up_to,
                failures: *failures,
                acknowledged: acknowledged.clone(),
                report: *report,
                stated: *stated,
            });
        }
    }

    /// When the newest confirmation of a day was made, and its row; only while nothing has come since.
    pub fn confirmation(&self, day: LocalDay) -> Option<(Utc, u64)> {
        let tally = self.days.get(&day).filter(|tally| tally.is_confirmed())?;
        tally.confirmations.last().map(|confirmed| (confirmed.at, confirmed.row))
    }

    fn span(&self, day: LocalDay) -> Option<Span> {
        day.span(&self.zone)
    }

    fn is_over(&self, day: LocalDay, now: Utc) -> bool {
        self.span(day).is_some_and(|span| span.to() <= now)
    }

    /// How many days are over and wait for a confirmation, and the first of them.
    pub fn unconfirmed(&self, now: Utc) -> (usize, Option<LocalDay>) {
        let waits = |(day, tally): &(&LocalDay, &DayTally)| !tally.is_confirmed() && self.is_over(**day, now);
        let mut waiting = self.days.iter().filter(waits).map(|(day, _)| *day);
        let first = waiting.next();
        (first.map_or(0, |_| 1 + waiting.count()), first)
    }

    /// Segments and bytes that went before their day, on days that no officer has confirmed since, and the first of them.
    pub fn early(&self) -> Option<(LocalDay, u64, u64)> {
        let mut open = self.days.iter().filter(|(_, tally)| !tally.is_confirmed() && tally.early.0 > 0);
        let (first, tally) = open.next()?;
        let add = |(segments, bytes), (_, tally): (_, &DayTally)| (segments + tally.early.0, bytes + tally.early.1);
        let (segments, bytes) = open.fold(tally.early, add);
        Some((*first, segments, bytes))
    }

    /// What was not proven on days that no officer has confirmed since, today among them, and the first of them.
    pub fn unproven(&self) -> Option<(LocalDay, Unproven)> {
        let is_open = |tally: &&DayTally| !tally.is_confirmed() && tally.unproven.segments > 0;
        let mut open = self.days.iter().filter(|(_, tally)| is_open(tally));
        let (first, tally) = open.next()?;
        let mut all = tally.unproven.clone();
        open.for_each(|(_, tally)| all.add(&tally.unproven));
        Some((*first, all))
    }
}

/// Whether a row says that overwriting was not proven: whoever confirms the day says what is done about it.
fn is_failure(receipt: &DestructionReceipt) -> bool {
    receipt.overwrite != Overwrite::Proven
}

/// A day as a list shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct DayLine {
    pub day: LocalDay,
    pub rows: u32,
    pub segments: u64,
    pub bytes: u64,
    /// Rows whose overwriting was not proven.
    pub failures: u32,
    pub is_over: bool,
    pub is_confirmed: bool,
    /// Confirmed once, and there are rows since.
    pub has_later_rows: bool,
    pub confirmed: Option<DayConfirmed>,
}

/// One destruction of a report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct ReportRow {
    pub sequence: u64,
    pub at: Utc,
    pub is_failure: bool,
    #[serde(flatten)]
    pub receipt: DestructionReceipt,
}

/// What a report adds up to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct ReportTotals {
    pub rows: u32,
    pub segments: u64,
    pub bytes: u64,
    pub failures: u32,
    pub by_trigger: BTreeMap<DestructionTrigger, u64>,
}

/// What was destroyed on a day: what an officer confirms. Its digest is SHA-256 over its JSON without spaces, fields in
/// this order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct DestructionReport {
    pub day: LocalDay,
    pub span: Span,
    /// By the ledger's sequence.
    pub rows: Vec<ReportRow>,
    pub totals: ReportTotals,
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// A digest over every receipt's own, in order.
    pub receipts: Digest,
}

/// A report with what stands around it.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct ReportView {
    pub site: String,
    pub time_zone: String,
    pub report: DestructionReport,
    pub digest: Digest,
    /// The ledger's newest row when this was asked for.
    pub ledger_sequence: u64,
    pub ledger_head: Digest,
    /// The line of a checkpoint made when this was asked for: it can be held against the ledger later.
    pub checkpoint: String,
    /// Who answers for destruction: the site's officers.
    pub in_charge: Vec<Person>,
    pub is_over: bool,
    pub is_confirmed: bool,
    /// Oldest first.
    pub confirmations: Vec<DayConfirmed>,
}

/// An officer's confirmation of a day.
#[derive(Clone, Debug)]
pub struct DayConfirmation {
    /// Of the report as they saw it.
    pub report: Digest,
    /// How many failures they saw.
    pub failures: u32,
    /// What is done about them.
    pub acknowledged: Option<String>,
    /// Date and time, by a clock of their own.
    pub stated: Utc,
}

impl Access {
    pub(super) fn destructions(&self) -> MutexGuard<'_, Destructions> {
        // Each change under this lock is the applying of one row.
        self.destructions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The days on which something was destroyed, newest first.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers and auditors.
    pub fn destruction_days(&self, caller: &Caller) -> Result<Vec<DayLine>, AccessError> {
        self.must_read_ledger(caller)?;
        let (destructions, now) = (self.destructions(), self.now());
        let line = |(day, tally): (&LocalDay, &DayTally)| DayLine {
            day: *day,
            rows: tally.rows,
            segments: tally.segments,
            bytes: tally.bytes,
            failures: tally.failures,
            is_over: destructions.is_over(*day, now),
            is_confirmed: tally.is_confirmed(),
            has_later_rows: !tally.is_confirmed() && !tally.confirmations.is_empty(),
            confirmed: tally.confirmations.last().cloned(),
        };
        // A day may be confirmed whose rows stood in a month that is erased.
        Ok(destructions.days.iter().rev().filter(|(_, tally)| tally.rows > 0).map(line).collect())
    }

    /// What was destroyed on a day. Reading it is itself a row.
    ///
    /// # Errors
    /// [`AccessError::NoSuchDay`] where nothing was; [`AccessError::Forbidden`] but for officers and auditors.
    pub fn destruction_report(&self, caller: &Caller, day: LocalDay) -> Result<ReportView, AccessError> {
        self.must_read_ledger(caller)?;
        self.record(caller.actor(), Act::LedgerRead)?;
        self.report_view(day)
    }

    fn report_view(&self, day: LocalDay) -> Result<ReportView, AccessError> {
        let report = self.report(day)?;
        let checkpoint = self.checkpoint_to_carry()?.to_string();
        let (ledger_sequence, ledger_head) = self.ledger.head();
        let (is_over, is_confirmed, confirmations, time_zone) = {
            let destructions = self.destructions();
            let tally = destructions.days.get(&day).ok_or(AccessError::NoSuchDay)?;
            let zone = destructions.zone.iana_name().unwrap_or("UTC").to_owned();
            (destructions.is_over(day, self.now()), tally.is_confirmed(), tally.confirmations.clone(), zone)
        };
        let in_charge = self.people_in_force().into_iter().filter(|person| person.role == Role::Officer).collect();
        let site = self.periods.site_name.clone();
        let digest = digest_of(&report)?;
        Ok(ReportView {
            site,
            time_zone,
            report,
            digest,
            ledger_sequence,
            ledger_head,
            checkpoint,
            in_charge,
            is_over,
            is_confirmed,
            confirmations,
        })
    }

    fn report(&self, day: LocalDay) -> Result<DestructionReport, AccessError> {
        let (span, first, last) = {
            let destructions = self.destructions();
            let tally = destructions.days.get(&day).filter(|tally| tally.rows > 0).ok_or(AccessError::NoSuchDay)?;
            (destructions.span(day).ok_or(AccessError::NoSuchDay)?, tally.first, tally.last)
        };
        let (mut rows, mut totals, mut receipts) = (Vec::new(), ReportTotals::default(), RunningDigest::new());
        self.ledger.destroyed_rows().each(first..=last, |DestroyedRow { sequence, at, receipt }| {
            if !span.contains(at) {
                return;
            }
            let is_failure = is_failure(&receipt);
            totals.rows += 1;
            totals.segments += u64::from(receipt.segments);
            totals.bytes += receipt.bytes;
            totals.failures += u32::from(is_failure);
            *totals.by_trigger.entry(receipt.trigger).or_default() += u64::from(receipt.segments);
            receipts.update(&receipt.digest.0);
            rows.push(ReportRow { sequence, at, is_failure, receipt });
        })?;
        let (first_sequence, last_sequence, receipts) = (first, last, receipts.so_far());
        Ok(DestructionReport { day, span, rows, totals, first_sequence, last_sequence, receipts })
    }

    /// Confirms that what a day's report says was destroyed, and that destruction ran; with it, date and time. The password
    /// is asked again.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`]; [`AccessError::NoSuchDay`]; [`AccessError::DayNotOver`];
    /// [`AccessError::DayConfirmed`] for one that is; [`AccessError::ReportChanged`] where it is not the report that they
    /// saw; [`AccessError::BadInput`] for failures that are not acknowledged; [`AccessError::NotRecorded`].
    pub fn confirm_destruction(
        &self,
        caller: &Caller,
        day: LocalDay,
        confirmation: &DayConfirmation,
        password: &str,
    ) -> Result<ReportView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        if let Some(text) = &confirmation.acknowledged {
            check_text("acknowledged", text, true)?;
        }
        self.with_release_key(caller, password, |_| {
            let _turn = self.turn();
            let report = self.report_to_confirm(day, confirmation)?;
            self.must_be_the_time(confirmation.stated)?;
            // Sites may have no network: once a day somebody vouches for the time.
            self.clock_confirmed(caller, confirmation.stated, None)?;
            let act = Act::DestructionConfirmed {
                day,
                up_to: report.last_sequence,
                rows: report.totals.rows,
                failures: report.totals.failures,
                acknowledged: confirmation.acknowledged.clone(),
                report: confirmation.report,
                stated: confirmation.stated,
            };
            self.record(caller.actor(), act).map(drop)
        })?;
        self.report_view(day)
    }

    /// The report of a day that is over and not confirmed, if it is the one that the officer saw.
    fn report_to_confirm(
        &self,
        day: LocalDay,
        confirmation: &DayConfirmation,
    ) -> Result<DestructionReport, AccessError> {
        let report = self.report(day)?;
        let (is_over, is_confirmed) = {
            let destructions = self.destructions();
            let is_confirmed = destructions.days.get(&day).is_some_and(DayTally::is_confirmed);
            (destructions.is_over(day, self.now()), is_confirmed)
        };
        if !is_over {
            return Err(AccessError::DayNotOver);
        }
        if is_confirmed {
            return Err(AccessError::DayConfirmed);
        }
        if (digest_of(&report)?, report.totals.failures) != (confirmation.report, confirmation.failures) {
            return Err(AccessError::ReportChanged);
        }
        match (report.totals.failures, &confirmation.acknowledged) {
            (0, Some(_)) => Err(AccessError::BadInput { field: "acknowledged", what: "there is no failure" }),
            (0, None) | (_, Some(_)) => Ok(report),
            (_, None) => {
                let what = "is wanted: what is done about the destructions that were not proven";
                Err(AccessError::BadInput { field: "acknowledged", what })
            }
        }
    }

    /// Refuses a clock that says otherwise than the trusted one: one of the two is wrong, and that comes first.
    fn must_be_the_time(&self, stated: Utc) -> Result<(), AccessError> {
        let now = self.now();
        if stated.since(now).max(now.since(stated)) > CLOCKS_AGREE {
            return Err(AccessError::ClocksDisagree { trusted: now });
        }
        Ok(())
    }
}

fn digest_of(report: &DestructionReport) -> Result<Digest, AccessError> {
    let bytes = serde_json::to_vec(report).map_err(|e| AccessError::NotRecorded(e.into()))?;
    Ok(sha256(&bytes))
}
