//! Reading the ledger, and the checkpoints that leave it. Reading is itself a row, and so is trying to where one may not.

use super::{Access, AccessError, Caller};
use crate::domain::{Digest, Role};
use crate::ledger::{Act, CheckpointMark, ManifestCheckpoint, RowPage};
use std::sync::PoisonError;

impl Access {
    /// Refuses all but officers and auditors, with a row.
    pub(super) fn must_read_ledger(&self, caller: &Caller) -> Result<(), AccessError> {
        if let Err(refused) = caller.must_be(&[Role::Officer, Role::Auditor]) {
            self.record(caller.actor(), Act::LedgerRefused)?;
            return Err(refused);
        }
        Ok(())
    }

    /// The ledger's newest row: sequence and digest, and whether it takes rows.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers and auditors.
    pub fn ledger_head(&self, caller: &Caller) -> Result<(u64, Digest, bool), AccessError> {
        self.must_read_ledger(caller)?;
        let (sequence, head) = self.ledger.head();
        Ok((sequence, head, self.ledger.is_writable()))
    }

    /// Rows after a sequence, oldest first, at most `limit` that `wanted` takes. Reading is itself a row.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers and auditors; [`AccessError::NotRecorded`].
    pub fn ledger_rows(
        &self,
        caller: &Caller,
        after: u64,
        limit: usize,
        wanted: impl Fn(&Act) -> bool,
    ) -> Result<RowPage, AccessError> {
        self.must_read_ledger(caller)?;
        self.record(caller.actor(), Act::LedgerRead)?;
        Ok(self.ledger.pages().after(after, limit, wanted)?)
    }

    /// Writes a signed checkpoint over the ledger and all manifests, and sends it elsewhere. One that does not leave is an
    /// alarm, and no failure.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`].
    pub fn checkpoint(&self) -> Result<(), AccessError> {
        self.make_checkpoint().map(drop)
    }

    fn make_checkpoint(&self) -> Result<CheckpointMark, AccessError> {
        let heads = self.vault.volumes().iter().flat_map(|volume| {
            let heads = volume.flushed_heads().into_iter();
            heads.map(|(manifest, head)| ManifestCheckpoint { volume: volume.id(), manifest, head })
        });
        let (row, mark) = self.ledger.checkpoint(self.now(), &self.signing_key, heads.collect())?;
        self.elsewhere.send(&mark);
        let mut newest = self.newest_checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = newest.filter(|(known, _)| *known > row.sequence).or(Some((row.sequence, mark)));
        Ok(mark)
    }

    /// A checkpoint over all that is on record by now, for what leaves the system: an export, a letter, a report. Its
    /// `Display` is the line to print.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`].
    pub(super) fn checkpoint_to_carry(&self) -> Result<CheckpointMark, AccessError> {
        let newest = *self.newest_checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        match newest {
            // Nothing has come since.
            Some((row, mark)) if row == self.ledger.head().0 => Ok(mark),
            Some(_) | None => self.make_checkpoint(),
        }
    }
}
