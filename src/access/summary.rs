//! What a month's rows add up to, for whoever reviews it: how often what was done, and what stands out.

use super::{Access, AccessError};
use crate::domain::{AccountId, CameraNumber, DestructionTrigger, GrantId, Month, RequestId, Span, Utc};
use crate::ledger::{Act, Actor, Row};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::ops::{ControlFlow, RangeInclusive};

/// More are counted, and not told one by one.
const TOLD_LIMIT: usize = 200;
/// So many wrong passwords of one account from one address in a month stand out.
const MANY_FAILURES: u64 = 10;
const HOUR_MICROS: i64 = 3_600_000_000;

/// What stands out in a month.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Odd {
    /// Once an hour and grant.
    ViewedOutsideHours,
    ViewRefused,
    LedgerRefused,
    /// The last of them.
    ManyFailedSignIns,
    /// Somebody with the machine's files in hand, not by the daemon.
    AtTheConsole,
    FootageRecovered,
    DestructionNotProven,
    DestroyedEarly,
    ClockInDoubt,
    ClockChanged,
    /// A start that no stop came before: a power cut, or an end by force.
    StartWithoutStop,
}

/// One such row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OddRow {
    pub row: u64,
    pub at: Utc,
    pub what: Odd,
    pub account: Option<AccountId>,
    pub address: Option<IpAddr>,
    pub request: Option<RequestId>,
    pub camera: Option<CameraNumber>,
    pub span: Option<Span>,
}

/// Wrong passwords of an account, or of none, from an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FailedSignIns {
    pub account: Option<AccountId>,
    pub address: Option<IpAddr>,
    pub count: u64,
}

/// A row that changed somebody's rights.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RightsRow {
    pub row: u64,
    pub at: Utc,
    pub account: AccountId,
    pub by: Option<AccountId>,
}

/// What a month's rows add up to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MonthSummary {
    pub month: Month,
    pub first: u64,
    pub last: u64,
    pub rows: u64,
    /// By the act's kind.
    pub by_kind: BTreeMap<String, u64>,
    pub sign_ins: u64,
    pub failed_sign_ins: u64,
    /// The most first.
    pub failed_by_origin: Vec<FailedSignIns>,
    /// Pictures of so many grants, in so many pieces.
    pub grants_viewed: u64,
    pub views: u64,
    pub views_outside_hours: u64,
    pub views_refused: u64,
    pub ledger_reads: u64,
    pub exports: u64,
    pub rights_changes: Vec<RightsRow>,
    /// By number of the row.
    pub odd: Vec<OddRow>,
    /// How many there are, also beyond those that are told.
    pub odd_total: u32,
}

/// Whose password was tried, and from where.
type Origin = (Option<AccountId>, Option<IpAddr>);

#[derive(Default)]
struct Tally {
    by_kind: BTreeMap<String, u64>,
    failed: HashMap<Origin, (u64, Option<OddRow>)>,
    grants: HashSet<GrantId>,
    outside: HashSet<(GrantId, i64)>,
    views_outside_hours: u64,
    rights: Vec<RightsRow>,
    odd: Vec<OddRow>,
    odd_total: u32,
    stopped: bool,
}

/// The act's kind, as it stands in a line.
pub(super) fn kind_of(line: &[u8]) -> Option<&str> {
    const BEGINS: &[u8] = b"\"act\":{\"kind\":\"";
    let at = line.windows(BEGINS.len()).position(|part| part == BEGINS)? + BEGINS.len();
    let length = line[at..].iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&line[at..at + length]).ok()
}

fn has(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|found| found == part)
}

/// Whether a row is to be looked into. Far the most are not: receipts of what was destroyed as it should be.
fn says_more(kind: &str, line: &[u8]) -> bool {
    match kind {
        "footage-destroyed" => !has(line, b"\"overwrite\":\"proven\"") || has(line, b"\"trigger\":\"early\""),
        "checkpoint" | "manifest-closed" | "view-served" | "signed-in" | "signed-out" => false,
        _ => true,
    }
}

fn odd_row(row: &Row, what: Odd) -> OddRow {
    let (account, address) = match row.actor {
        Actor::Person { account, address } => (Some(account), Some(address)),
        Actor::Nobody { address } => (None, Some(address)),
        Actor::Console | Actor::Daemon => (None, None),
    };
    OddRow { row: row.sequence, at: row.at, what, account, address, request: None, camera: None, span: None }
}

impl Tally {
    fn stand_out(&mut self, odd: OddRow) {
        self.odd_total += 1;
        if self.odd.len() < TOLD_LIMIT {
            self.odd.push(odd);
        }
    }

    fn take(&mut self, row: &Row, is_open: bool) {
        let odd = |what| odd_row(row, what);
        if row.actor == Actor::Console && row.sequence > 1 && !is_of_making(&row.act) {
            self.stand_out(odd(Odd::AtTheConsole));
        }
        match &row.act {
            Act::SignInFailed { account, count } => {
                let OddRow { address, .. } = odd(Odd::ManyFailedSignIns);
                let known = self.failed.entry((*account, address)).or_default();
                *known =
                    (known.0 + u64::from(*count), Some(OddRow { account: *account, ..odd(Odd::ManyFailedSignIns) }));
            }
            Act::ViewIntended { grant, request, camera, span, .. } => {
                self.grants.insert(*grant);
                if !is_open {
                    self.views_outside_hours += 1;
                    if self.outside.insert((*grant, row.at.micros().div_euclid(HOUR_MICROS))) {
                        let (request, camera, span) = (Some(*request), Some(*camera), Some(*span));
                        self.stand_out(OddRow { request, camera, span, ..odd(Odd::ViewedOutsideHours) });
                    }
                }
            }
            Act::ViewRefused { request, camera, span, .. } => {
                let (request, camera, span) = (*request, *camera, *span);
                self.stand_out(OddRow { request, camera, span, ..odd(Odd::ViewRefused) });
            }
            Act::LedgerRefused => self.stand_out(odd(Odd::LedgerRefused)),
            Act::FootageRecovered { span, .. } => {
                self.stand_out(OddRow { span: Some(*span), ..odd(Odd::FootageRecovered) })
            }
            Act::FootageDestroyed(receipt) => {
                let (camera, span) = (Some(receipt.camera), Some(receipt.span));
                if receipt.unproven_segments() > 0 {
                    self.stand_out(OddRow { camera, span, ..odd(Odd::DestructionNotProven) });
                }
                if receipt.trigger == DestructionTrigger::Early {
                    self.stand_out(OddRow { camera, span, ..odd(Odd::DestroyedEarly) });
                }
            }
            Act::ClockInDoubt { .. } => self.stand_out(odd(Odd::ClockInDoubt)),
            Act::ClockStepped { .. } | Act::ClockSynchronised { .. } => self.stand_out(odd(Odd::ClockChanged)),
            Act::DaemonStarted { .. } => {
                // Of the month's first start it is not known here.
                if self.by_kind.get("daemon-started").is_some_and(|starts| *starts > 1) && !self.stopped {
                    self.stand_out(odd(Odd::StartWithoutStop));
                }
                self.stopped = false;
            }
            Act::DaemonStopped => self.stopped = true,
            Act::RightsGranted { account, .. }
            | Act::RightsChanged { account, .. }
            | Act::RightsRemoved { account, .. }
            | Act::PasswordReset { account, .. } => {
                let by = odd(Odd::AtTheConsole).account;
                self.rights.push(RightsRow { row: row.sequence, at: row.at, account: *account, by });
            }
            _ => {}
        }
    }
}

/// What `custodian init` writes.
fn is_of_making(act: &Act) -> bool {
    matches!(act, Act::FileOpened { .. } | Act::SiteMade { .. } | Act::RightsGranted { .. })
}

impl Access {
    /// What the rows of a month add up to.
    pub(super) fn summary_of(&self, month: Month, rows: RangeInclusive<u64>) -> Result<MonthSummary, AccessError> {
        let tally = std::cell::RefCell::new(Tally::default());
        let hours = &self.periods.ledger.opening_hours;
        let wanted = |line: &[u8]| {
            let Some(kind) = kind_of(line) else { return false };
            *tally.borrow_mut().by_kind.entry(kind.to_owned()).or_default() += 1;
            says_more(kind, line)
        };
        self.ledger.pages().each(rows.clone(), wanted, |row| {
            tally.borrow_mut().take(&row, hours.contain(row.at));
            ControlFlow::Continue(())
        })?;
        let mut tally = tally.into_inner();
        let mut failed: Vec<_> = std::mem::take(&mut tally.failed).into_iter().collect();
        failed.sort_by_key(|((account, address), (count, _))| (std::cmp::Reverse(*count), *account, *address));
        for (_, (_, last)) in failed.iter().filter(|(_, (count, _))| *count >= MANY_FAILURES) {
            last.iter().for_each(|last| tally.stand_out(last.clone()));
        }
        tally.odd.sort_by_key(|odd| odd.row);
        let of = |kind: &str| tally.by_kind.get(kind).copied().unwrap_or(0);
        Ok(MonthSummary {
            month,
            first: *rows.start(),
            last: *rows.end(),
            rows: tally.by_kind.values().sum(),
            sign_ins: of("signed-in"),
            failed_sign_ins: failed.iter().map(|(_, (count, _))| count).sum(),
            failed_by_origin: failed
                .iter()
                .take(TOLD_LIMIT)
                .map(|((account, address), (count, _))| FailedSignIns {
                    account: *account,
                    address: *address,
                    count: *count,
                })
                .collect(),
            grants_viewed: tally.grants.len() as u64,
            views: of("view-intended"),
            views_outside_hours: tally.views_outside_hours,
            views_refused: of("view-refused"),
            ledger_reads: of("ledger-read"),
            exports: of("ledger-exported"),
            rights_changes: tally.rights,
            odd: tally.odd,
            odd_total: tally.odd_total,
            by_kind: tally.by_kind,
        })
    }
}
