//! The ledger, shared by the rooms that write rows.

use super::checkpoint::{Checkpoint, ManifestCheckpoint};
use super::closed::ClosedManifests;
use super::destroyed::DestroyedRows;
use super::file::{Ledger, LedgerError};
use super::mark::CheckpointMark;
use super::pages::LedgerPages;
use super::reserve::LedgerRoom;
use super::row::{Act, Actor, Row};
use crate::crypto::SigningKey;
use crate::domain::{Digest, SiteId, Utc};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

type Watcher = Box<dyn Fn(&Row) + Send + Sync>;

/// One ledger, many writers. Each row is whole and flushed before the next begins; calls block for that long.
#[derive(Clone)]
pub struct SharedLedger {
    ledger: Arc<Mutex<Ledger>>,
    watcher: Arc<OnceLock<Watcher>>,
}

impl fmt::Debug for SharedLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedLedger").field(&self.ledger).finish()
    }
}

impl SharedLedger {
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger: Arc::new(Mutex::new(ledger)), watcher: Arc::default() }
    }

    /// Shows every row to `each` as soon as it is flushed, whoever writes it, in the order of the ledger. `each` must not
    /// come back to the ledger. The first who asks is the only one.
    pub fn watch(&self, each: impl Fn(&Row) + Send + Sync + 'static) {
        if self.watcher.set(Box::new(each)).is_err() {
            tracing::error!("the ledger's rows are watched already");
        }
    }

    fn written(&self, ledger: &mut Ledger, at: Utc, actor: Actor, act: Act) -> Result<Row, LedgerError> {
        let row = ledger.append(at, actor, act)?;
        if let Some(each) = self.watcher.get() {
            ledger.take_turned().iter().for_each(each);
            each(&row);
        }
        Ok(row)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // The ledger latches itself before anything can panic half-way.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// As [`Ledger::append`].
    pub fn append(&self, at: Utc, actor: Actor, act: Act) -> Result<Row, LedgerError> {
        self.written(&mut self.lock(), at, actor, act)
    }

    /// Appends a signed checkpoint over the ledger's head and those of all manifests. Returns what of it goes elsewhere, too.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn checkpoint(
        &self,
        at: Utc,
        key: &SigningKey,
        manifests: Vec<ManifestCheckpoint>,
    ) -> Result<(Row, CheckpointMark), LedgerError> {
        let mut ledger = self.lock();
        ledger.turn_to(at)?;
        let (sequence, head) = ledger.head();
        let checkpoint = Checkpoint { site: ledger.site(), sequence, head, manifests, signature: None }.sign(key)?;
        let mark = CheckpointMark::from(&checkpoint);
        let row = self.written(&mut ledger, at, Actor::Daemon, Act::Checkpoint(checkpoint))?;
        Ok((row, mark))
    }

    pub fn site(&self) -> SiteId {
        self.lock().site()
    }

    /// The sequence and digest of the last row.
    pub fn head(&self) -> (u64, Digest) {
        self.lock().head()
    }

    /// The rows of closed manifests.
    pub fn closed_manifests(&self) -> ClosedManifests {
        self.lock().closed_manifests()
    }

    /// The rows of destructions.
    pub fn destroyed_rows(&self) -> DestroyedRows {
        DestroyedRows::new(self.pages())
    }

    /// Rows by their numbers, as far as they are flushed by now.
    pub fn pages(&self) -> LedgerPages {
        self.lock().pages()
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
