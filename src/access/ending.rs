//! A month of the ledger past its period is erased like footage. What of it still counts is carried on first: see
//! [`crate::ledger::LedgerRoot`] for the order, and for what a crash leaves.
//! [`carried`] says what that is.

mod carried;

use super::{Access, AccessError};
use crate::domain::{Month, Overwrite, Utc};
use crate::ledger::{Act, Actor, LedgerError, LedgerRoot, MonthErased, MonthFile, MonthRoot, Row};
use carried::{Carrying, Needed};

const TECHNIQUE: &str = "overwritten in place with zeros past the page cache, flushed, read back whole, name removed (NIST SP 800-88r2 Clear)";

impl Access {
    /// Erases the oldest month of the ledger if it is past its period and officers are done with it, one a call; first goes on with
    /// what a crash broke off. Whether there was something to do.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`]; what the disk says, and then it is tried again.
    pub fn end_old_month(&self) -> Result<bool, AccessError> {
        if self.ledger.damage().is_some() {
            return Ok(false);
        }
        let mut checked = self.checked_months();
        if self.go_on_ending()? {
            return Ok(true);
        }
        let months = self.ledger.pages().months()?;
        let [file, next, ..] = &months[..] else { return Ok(false) };
        if !self.is_past_its_period(file.month, next.first.saturating_sub(1), self.now()) {
            return Ok(false);
        }
        self.begin_ending(file, next)?;
        checked.oldest_is_gone();
        self.go_on_ending()?;
        Ok(true)
    }

    /// By the trusted clock, as all that destroys. A month that nobody reviewed, or of which nobody confirmed what was
    /// destroyed, stays until somebody does.
    fn is_past_its_period(&self, month: Month, last: u64, now: Utc) -> bool {
        let is_over = month.plus(1 + self.periods.ledger.keep_months).start() <= now;
        is_over && self.months().review_of(month).is_some() && !self.destructions().waits_up_to(last)
    }

    /// The row, then the root file.
    fn begin_ending(&self, file: &MonthFile, next: &MonthFile) -> Result<(), AccessError> {
        let _turn = self.turn();
        let pages = self.ledger.pages();
        let signer = self.signing_key.verifying_key();
        let needed = Needed::behind(next.first, &self.registry(), self.later());
        let mut carrying = Carrying::new(&needed);
        if let Some(root) = pages.root()? {
            root.rows().iter().for_each(|(row, line)| carrying.take(row, line));
        }
        // Nothing is carried on, and nothing erased, of what is not what it was.
        let take = |row: &Row, line: &[u8]| carrying.take(row, line);
        let (_, last, head) = pages.verify_month((file, next), (self.ledger.site(), &signer), take)?;
        let lines = carrying.lines();
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
        pages.write_root(month, &bytes)?;
        // From here on it is erased, and nobody is shown what of it does not count.
        self.registry().forget(&needed);
        self.forget_days(last)
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
