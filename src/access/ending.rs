//! A month of the ledger past its period is erased like footage. What of it still counts is carried on first: see
//! [`crate::ledger::LedgerRoot`] for the order, and for what a crash leaves.
//!
//! Which rows still count
//! - Of the site: its keys, and the desk's.
//! - Of accounts: all that made one that still stands what it is. Of one whose rights are removed, that they are: its number
//!   is given to nobody else.
//! - Of requests, holds, operations and grants: all of one that is not over, or that a later row speaks of; and of the last
//!   one, so that no number comes twice.
//! - Whatever kind of row nobody here has thought of.

use super::rights::Standing;
use super::summary::kind_of;
use super::{Access, AccessError};
use crate::domain::{AccountId, Month, Overwrite, Utc};
use crate::ledger::{Act, Actor, LedgerError, LedgerRoot, MonthErased, MonthFile, MonthRoot, Row};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

const TECHNIQUE: &str = "overwritten in place with zeros past the page cache, flushed, read back whole, name removed (NIST SP 800-88r2 Clear)";

/// What nothing that stands is made of.
const SETTLED: [&str; 22] = [
    "file-opened",
    "daemon-started",
    "daemon-stopped",
    "signed-in",
    "signed-out",
    "sign-in-failed",
    "sessions-ended",
    "footage-destroyed",
    "manifest-closed",
    "destruction-confirmed",
    "footage-recovered",
    "copy-destroyed",
    "clock-stepped",
    "clock-in-doubt",
    "clock-synchronised",
    "clock-confirmed",
    "checkpoint",
    "ledger-read",
    "ledger-refused",
    "ledger-exported",
    "ledger-reviewed",
    "ledger-month-ending",
];

/// What a row may be of, by the field that numbers it.
const NUMBERED: [&str; 4] = ["request", "hold", "operation", "grant"];

const OPEN_GRANT: &str = "open grant";

/// What is needed of months that end.
#[derive(Debug, Default)]
struct Needed {
    /// By field: the numbers.
    numbers: BTreeMap<&'static str, BTreeSet<u64>>,
    /// Of these nothing is told but that they were there.
    removed: BTreeSet<AccountId>,
}

impl Needed {
    fn add(&mut self, field: &'static str, number: u64) {
        self.numbers.entry(field).or_default().insert(number);
    }

    fn has(&self, field: &str, number: u64) -> bool {
        self.numbers.get(field).is_some_and(|numbers| numbers.contains(&number))
    }

    /// What a later row speaks of.
    fn mention(&mut self, act: &Value) {
        for field in NUMBERED {
            numbers_of(act, field).into_iter().for_each(|number| self.add(field, number));
        }
    }

    /// Whether a row of a month that ends is carried on.
    fn carries(&self, act: &Value) -> bool {
        let kind = act["kind"].as_str().unwrap_or_default();
        if SETTLED.contains(&kind) || kind == "ledger-month-erased" {
            return false;
        }
        // Few, and what is blocked stays so.
        if matches!(kind, "footage-disputed" | "dispute-settled") {
            return true;
        }
        if kind.starts_with("view-") {
            // How often an open grant was used may bound it.
            return numbers_of(act, "grant").into_iter().any(|grant| self.has(OPEN_GRANT, grant));
        }
        let mut is_numbered = false;
        for field in NUMBERED {
            for number in numbers_of(act, field) {
                is_numbered = true;
                if self.has(field, number) {
                    return true;
                }
            }
        }
        if is_numbered {
            return false;
        }
        let account = act["account"].as_u64().and_then(|number| u32::try_from(number).ok()).map(AccountId);
        match account {
            // That of a code by time is long over.
            Some(_) if kind == "second-factor-used" && act["recovery_code"].is_null() => false,
            Some(account) if self.removed.contains(&account) => matches!(kind, "rights-removed" | "rights-withdrawn"),
            Some(_) | None => true,
        }
    }
}

/// The numbers that stand in a field of an act, or of what it is of, or of its decision.
fn numbers_of(act: &Value, field: &str) -> Vec<u64> {
    [&act[field], &act["of"][field], &act["decision"][field]].into_iter().filter_map(Value::as_u64).collect()
}

fn as_json(act: &Act) -> Value {
    serde_json::to_value(act).unwrap_or_default()
}

impl Access {
    /// Erases the oldest month of the ledger if it is past its period and an officer reviewed it, one a call; first goes on with
    /// what a crash broke off. Whether there was something to do.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`]; what the disk says, and then it is tried again.
    pub fn end_old_month(&self) -> Result<bool, AccessError> {
        if self.ledger.damage().is_some() {
            return Ok(false);
        }
        if self.go_on_ending()? {
            return Ok(true);
        }
        let months = self.ledger.pages().months()?;
        let [file, next, ..] = &months[..] else { return Ok(false) };
        if !self.is_past_its_period(file.month, self.now()) {
            return Ok(false);
        }
        self.begin_ending(file, next)?;
        self.go_on_ending()?;
        Ok(true)
    }

    /// By the trusted clock, as all that destroys. A month that nobody reviewed stays until somebody does.
    fn is_past_its_period(&self, month: Month, now: Utc) -> bool {
        let is_over = month.plus(1 + self.periods.ledger.keep_months).start() <= now;
        is_over && self.months().review_of(month).is_some()
    }

    /// The row, then the root file.
    fn begin_ending(&self, file: &MonthFile, next: &MonthFile) -> Result<(), AccessError> {
        let _turn = self.turn();
        let pages = self.ledger.pages();
        let signer = self.signing_key.verifying_key();
        let needed = self.needed_behind(next.first)?;
        let mut lines: Vec<Vec<u8>> = Vec::new();
        let mut take = |row: &Row, line: &[u8]| {
            if needed.carries(&as_json(&row.act)) {
                lines.push(line.to_vec());
            }
        };
        if let Some(root) = pages.root()? {
            root.rows().iter().for_each(|(row, line)| take(row, line));
        }
        // Nothing is carried on, and nothing erased, of what is not what it was.
        let (_, last, head) = pages.verify_month((file, next), (self.ledger.site(), &signer), take)?;
        let (month, first) = (file.month, file.first);
        let lines = lines.iter().map(Vec::as_slice);
        let carried_rows = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let bytes = LedgerRoot::to_bytes(self.ledger.site(), (month, last, head), lines).map_err(LedgerError::from)?;
        let carried = crate::crypto::sha256(&bytes);
        let root = MonthRoot { month, first, last, head, carried, carried_rows };
        self.record(Actor::Daemon, Act::LedgerMonthEnding(root))?;
        // Signed, and kept elsewhere, before anything goes.
        self.checkpoint()?;
        // What a crash left of one.
        self.erase_state_file(&pages.root_path(month))?;
        Ok(pages.write_root(month, &bytes)?)
    }

    /// What stands, and what rows from this one on speak of.
    fn needed_behind(&self, first: u64) -> Result<Needed, AccessError> {
        let mut needed = Needed::default();
        let spoken = |line: &[u8]| {
            kind_of(line)
                .is_some_and(|kind| !SETTLED.contains(&kind) && !matches!(kind, "view-intended" | "view-served"))
        };
        self.ledger.pages().each(first..=u64::MAX, spoken, |row| {
            needed.mention(&as_json(&row.act));
            ControlFlow::Continue(())
        })?;
        let later = self.later();
        let registry = self.registry();
        for request in registry.requests.values().filter(|request| request.holds() || !request.state.is_over()) {
            needed.add("request", u64::from(request.number.0));
        }
        for grant in registry.open_grants() {
            needed.add("grant", u64::from(grant.0));
            needed.add(OPEN_GRANT, u64::from(grant.0));
            let of = registry.grants.get(&grant).map(|grant| grant.request);
            of.into_iter().for_each(|request| needed.add("request", u64::from(request.0)));
        }
        for hold in registry.holds.values().filter(|hold| hold.holds()) {
            needed.add("hold", u64::from(hold.number.0));
        }
        for operation in registry.all_under_way() {
            needed.add("operation", u64::from(operation.number.0));
        }
        // No number comes twice.
        let newest = [
            ("request", registry.requests.keys().next_back().map(|number| number.0)),
            ("hold", registry.holds.keys().next_back().map(|number| number.0)),
            ("operation", registry.operations.keys().next_back().map(|number| number.0)),
            ("grant", registry.grants.keys().next_back().map(|number| number.0)),
        ];
        for (field, number) in newest {
            number.into_iter().for_each(|number| needed.add(field, u64::from(number)));
        }
        // A grant is told by its request's decision.
        if let Some(grant) = registry.grants.values().next_back() {
            needed.add("request", u64::from(grant.request.0));
        }
        let removed = registry.members.iter().filter(|(_, member)| member.standing(later) == Standing::Removed);
        needed.removed = removed.map(|(account, _)| account).collect();
        Ok(needed)
    }

    /// Erases what the root says is erased, and writes the receipt that is missing. Whether there was something to do.
    fn go_on_ending(&self) -> Result<bool, AccessError> {
        let pages = self.ledger.pages();
        let Some(root) = pages.root()? else { return Ok(false) };
        let left = pages.erased_files(&root)?;
        let is_owed = self.months().ending == Some(root.month());
        if left.is_empty() && !is_owed {
            return Ok(false);
        }
        let (mut bytes, mut overwrite) = (0, Overwrite::NothingThere);
        for path in left {
            bytes += self.length_of(&path)?;
            let told = self.erase_state_file(&path)?;
            // The least that was proven of them.
            overwrite =
                if overwrite == Overwrite::NothingThere || overwrite == Overwrite::Proven { told } else { overwrite };
        }
        if is_owed {
            let technique = TECHNIQUE.to_owned();
            let erased = MonthErased { month: root.month(), bytes, technique, overwrite, read_back_percent: 100 };
            self.record(Actor::Daemon, Act::LedgerMonthErased(erased))?;
            tracing::info!(month = %root.month(), bytes, ?overwrite, "a month of the ledger came to its end and is erased");
        }
        Ok(true)
    }

    fn length_of(&self, path: &std::path::Path) -> Result<u64, AccessError> {
        let failed = |source| LedgerError::Read { file: path.display().to_string(), source };
        let file = self.disk.open(path, crate::disk::Access::Read).map_err(failed)?;
        Ok(file.len_bytes().map_err(failed)?)
    }
}
