//! What is due, and its end: the erase way.
//!
//! Invariants
//! - E1 Destruction goes by the trusted clock.
//! - E2 While keys are destroyed no hold can be placed, and before that every hold is looked at: a request either
//!   freezes a segment or is told that it is gone.
//! - E3 A segment's keys go everywhere before its blocks do: key block, then every grant's slot.
//! - E4 Erasing never waits for the ledger: receipts stand in the manifests until they have been copied.

use crate::domain::{DestructionTrigger, Overwrite, Utc};
use crate::ledger::{Act, Actor, DestructionReceipt, LedgerError, SharedLedger};
use crate::vault::{DueSegment, ErasedBatch, GrantStore, Holds, TrustedClock, Vault, VaultError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const TECHNIQUE: &str = "key destroyed, then every block of the file overwritten once with zeros past the page cache, \
                         flushed, read back in part, released (NIST SP 800-88r2: Clear, with cryptographic erase)";

/// Held segments are set apart this long before their expiry.
const LOOK_AHEAD: Duration = Duration::from_secs(10);

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
}

impl Eraser {
    pub fn new(
        vault: Arc<Vault>,
        time: Arc<TrustedClock>,
        holds: Arc<Mutex<Holds>>,
        grants: GrantStore,
        ledger: SharedLedger,
    ) -> Self {
        Self { vault, time, holds, grants, ledger }
    }

    /// One round. Blocks on the disk.
    ///
    /// # Errors
    /// [`RetentionError`]; the next round takes up what is left.
    pub fn round(&self) -> Result<Round, RetentionError> {
        let now = self.time.trusted();
        let mut round = Round::default();
        let free = self.destroy_keys(now, &mut round)?;
        for due in &free {
            let trigger = if due.is_apart { DestructionTrigger::HoldEnded } else { DestructionTrigger::Expiry };
            let overwrite = self.vault.erase(due, trigger, now)?;
            round.erased += 1;
            if overwrite != Overwrite::Proven {
                round.unproven += 1;
            }
        }
        self.vault.destroy_spent_day_keys(now)?;
        self.copy_receipts(now)?;
        Ok(round)
    }

    /// Sorts out what is held, and makes the rest unreadable (E2, E3).
    fn destroy_keys(&self, now: Utc, round: &mut Round) -> Result<Vec<DueSegment>, RetentionError> {
        let free = {
            let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
            let is_held = |due: &DueSegment| holds.covers(due.camera, due.span);
            // A little before their time, so that what is held is never refused at its expiry.
            for due in self.vault.due(now.saturating_add(LOOK_AHEAD)).iter().filter(|due| !due.is_apart && is_held(due))
            {
                self.vault.set_apart(due)?;
                round.set_apart += 1;
            }
            let free: Vec<DueSegment> = self.vault.due(now).into_iter().filter(|due| !is_held(due)).collect();
            self.vault.destroy_keys(&free, now)?;
            free
        };
        if !free.is_empty() {
            let gone: Vec<_> = free.iter().map(|due| (due.volume, due.segment)).collect();
            self.grants.forget_segments(&gone)?;
        }
        Ok(free)
    }

    fn copy_receipts(&self, now: Utc) -> Result<(), RetentionError> {
        let batches = self.vault.unreceipted();
        if batches.is_empty() {
            return Ok(());
        }
        for batch in batches {
            self.ledger.append(now, Actor::Daemon, Act::FootageDestroyed(receipt(batch)))?;
        }
        Ok(self.vault.receipts_copied()?)
    }
}

fn receipt(batch: ErasedBatch) -> DestructionReceipt {
    DestructionReceipt {
        volume: batch.volume,
        day: batch.day,
        camera: batch.camera,
        span: batch.span,
        segments: batch.segments,
        bytes: batch.bytes,
        digest: batch.digest,
        trigger: batch.trigger,
        technique: TECHNIQUE.to_owned(),
        overwrite: batch.overwrite,
    }
}
