//! What is due, and its end: the erase way.
//!
//! Invariants
//! - E1 Destruction goes by the trusted clock.
//! - E2 While a key is destroyed no hold can be placed, and right before that every hold is looked at: a request either
//!   freezes a segment or is told that it is gone. What was condemned is gone: every hold was looked at then.
//! - E3 A segment's keys go everywhere before its blocks do: key block, then every grant's slot.
//! - E4 Erasing never waits for the ledger: receipts stand in the manifests until they have been copied.

mod forecast;
mod fullness;

pub use forecast::{Demand, Forecast, forecast, share_of};
pub use fullness::{Fullness, MadeRoom, wanted_free};

use crate::domain::{Overwrite, Utc};
use crate::ledger::{Act, Actor, LedgerError, SharedLedger};
use crate::vault::{DueSegment, GrantStore, Holds, TrustedClock, Vault, VaultError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Held segments are set apart this long before their expiry.
const LOOK_AHEAD: Duration = Duration::from_secs(10);
/// So many segments are looked at before who places a hold gets a turn.
const KEYS_AT_A_TIME: usize = 64;
/// So many files are overwritten before the next round looks for keys that fell due meanwhile.
const FILES_A_ROUND: u32 = 64;
/// In rounds.
const DAY_KEYS_EVERY: u64 = 600;

/// What went wrong while erasing. What is due stays due.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    #[error("footage that is due could not be destroyed: {0}")]
    Vault(#[from] VaultError),
    #[error("receipts wait in the manifests until the ledger takes rows again: {0}")]
    Ledger(#[from] LedgerError),
}

/// What one round did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Round {
    pub erased: u32,
    /// Erased, but not shown to have reached the blocks.
    pub unproven: u32,
    pub set_apart: u32,
}

/// Destroys what is due.
#[derive(Debug)]
pub struct Eraser {
    vault: Arc<Vault>,
    time: Arc<TrustedClock>,
    holds: Arc<Mutex<Holds>>,
    grants: GrantStore,
    ledger: SharedLedger,
    rounds: AtomicU64,
    is_stopping: AtomicBool,
}

impl Eraser {
    pub fn new(
        vault: Arc<Vault>,
        time: Arc<TrustedClock>,
        holds: Arc<Mutex<Holds>>,
        grants: GrantStore,
        ledger: SharedLedger,
    ) -> Self {
        Self { vault, time, holds, grants, ledger, rounds: AtomicU64::new(0), is_stopping: AtomicBool::new(false) }
    }

    /// Brings a round under way to its end soon: after an outage it would go on for many minutes. What it leaves stays
    /// due, and is taken up after the next start.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// One round. Blocks on the disk. What fails stays due, and stands in nobody's way. After an outage there is more
    /// than a round overwrites; the keys of all that is due go in the first.
    ///
    /// # Errors
    /// The first failure; the next round takes up what is left.
    pub fn round(&self) -> Result<Round, RetentionError> {
        let now = self.time.trusted();
        let mut round = Round::default();
        let mut first_failure: Option<RetentionError> = None;
        let mut done = |told: Result<(), VaultError>| match told {
            Ok(()) => true,
            Err(e) => {
                first_failure.get_or_insert(e.into());
                false
            }
        };
        for due in self.destroy_keys(now, &mut round, &mut done) {
            if round.erased == FILES_A_ROUND || self.is_stopping() {
                break;
            }
            done(self.vault.erase(&due, due.trigger(), now).map(|overwrite| {
                round.erased += 1;
                round.unproven += u32::from(overwrite != Overwrite::Proven);
            }));
        }
        // A day's end alone makes keys due, too; looking for them is dear, and it does not press.
        if round.erased > 0 || self.rounds.fetch_add(1, Ordering::Relaxed).is_multiple_of(DAY_KEYS_EVERY) {
            done(self.vault.destroy_spent_day_keys(now));
        }
        match (self.copy_receipts(now), first_failure) {
            (_, Some(failure)) | (Err(failure), None) => Err(failure),
            (Ok(()), None) => Ok(round),
        }
    }

    /// Sorts out what is held, and makes the rest unreadable (E2, E3). Returns what is ready to be overwritten.
    fn destroy_keys(
        &self,
        now: Utc,
        round: &mut Round,
        done: &mut impl FnMut(Result<(), VaultError>) -> bool,
    ) -> Vec<DueSegment> {
        let mut keyless: Vec<DueSegment> = Vec::new();
        // A little before their time, so that what is held is never refused at its expiry.
        let due = self.vault.due(now.saturating_add(LOOK_AHEAD));
        done(self.vault.due_is_known(now));
        for part in due.chunks(KEYS_AT_A_TIME) {
            if self.is_stopping() {
                break;
            }
            let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
            for due in part {
                if due.is_keyless {
                    keyless.push(*due);
                } else if due.condemned.is_none() && holds.covers(due.camera, due.span) {
                    round.set_apart += u32::from(!due.is_apart && done(self.vault.set_apart(due)));
                } else if due.expires <= now && done(self.vault.destroy_key(due, now)) {
                    keyless.push(*due);
                }
            }
            drop(holds);
            std::thread::yield_now();
        }
        if !keyless.is_empty() {
            let gone: Vec<_> = keyless.iter().map(|due| (due.volume, due.segment)).collect();
            if !done(self.grants.forget_segments(&gone)) {
                return Vec::new();
            }
        }
        keyless
    }

    fn copy_receipts(&self, now: Utc) -> Result<(), RetentionError> {
        let receipts = self.vault.unreceipted()?;
        if receipts.is_empty() {
            return Ok(());
        }
        for receipt in receipts {
            self.ledger.append(now, Actor::Daemon, Act::FootageDestroyed(receipt))?;
        }
        Ok(self.vault.receipts_copied()?)
    }
}
