//! The ledger, shared by the rooms that write rows.

use super::file::{Ledger, LedgerError};
use super::reserve::LedgerRoom;
use super::row::{Act, Actor, Checkpoint, ManifestCheckpoint, Row};
use crate::crypto::SigningKey;
use crate::domain::{Digest, Utc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One ledger, many writers. Each row is whole and flushed before the next begins; calls block for that long.
#[derive(Clone, Debug)]
pub struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    pub fn new(ledger: Ledger) -> Self {
        Self(Arc::new(Mutex::new(ledger)))
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // The ledger latches itself before anything can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// As [`Ledger::append`].
    pub fn append(&self, at: Utc, actor: Actor, act: Act) -> Result<Row, LedgerError> {
        self.lock().append(at, actor, act)
    }

    /// Appends a signed checkpoint over the ledger's head and those of all manifests.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn checkpoint(
        &self,
        at: Utc,
        key: &SigningKey,
        manifests: Vec<ManifestCheckpoint>,
    ) -> Result<Row, LedgerError> {
        let mut ledger = self.lock();
        ledger.turn_to(at)?;
        let (sequence, head) = ledger.head();
        let checkpoint = Checkpoint { site: ledger.site(), sequence, head, manifests, signature: None }.sign(key)?;
        ledger.append(at, Actor::Daemon, Act::Checkpoint(checkpoint))
    }

    /// The sequence and digest of the last row.
    pub fn head(&self) -> (u64, Digest) {
        self.lock().head()
    }

    pub fn is_writable(&self) -> bool {
        self.lock().is_writable()
    }

    pub fn room(&self) -> LedgerRoom {
        self.lock().room()
    }

    /// As [`Ledger::keep_reserve`].
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_reserve(&self) -> std::io::Result<()> {
        self.lock().keep_reserve()
    }

    /// What is wrong with the rows that are there, in words.
    pub fn damage(&self) -> Option<String> {
        self.lock().damage().map(ToString::to_string)
    }

    /// As [`Ledger::condemn`].
    pub fn condemn(&self, why: LedgerError) {
        self.lock().condemn(why);
    }

    /// Reads all rows again, oldest first.
    ///
    /// # Errors
    /// As [`Ledger::rows`].
    pub fn rows(&self, each: impl FnMut(Row)) -> Result<(), LedgerError> {
        self.lock().rows(each)
    }
}
