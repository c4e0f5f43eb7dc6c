//! Months of the ledger that are over are verified beside the work of the day, one after another, and summed up: so that a
//! start reads their sums, and what somebody did to one of them comes out within a day all the same.

use super::destructions::Destructions;
use super::{Access, AccessError};
use crate::domain::Overwrite;
use crate::ledger::{LedgerError, MonthFile, SumMaker};
use crate::vault::overwrite_state_file;
use std::io;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

/// All of them are verified again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// How far a round has come.
#[derive(Debug, Default)]
pub(super) struct CheckedMonths {
    /// Months verified in this round, and when it began.
    next: usize,
    begun: Option<Duration>,
}

impl CheckedMonths {
    /// The oldest month is erased: those behind it move up.
    pub fn oldest_is_gone(&mut self) {
        self.next = self.next.saturating_sub(1);
    }
}

impl Access {
    /// Held while months are verified, and while one is erased: half an erased month would be called damaged.
    pub(super) fn checked_months(&self) -> MutexGuard<'_, CheckedMonths> {
        self.checked_months.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Overwrites a file of the state directory, and takes its name away. Not flushed: the name leads to zeros, and whoever
    /// finds it again takes it away again.
    pub(super) fn erase_state_file(&self, path: &Path) -> Result<Overwrite, LedgerError> {
        let failed = |e: io::Error| LedgerError::Read { file: path.display().to_string(), source: e };
        let told = overwrite_state_file(&self.disk, path, self.is_proven).map_err(|e| failed(io::Error::other(e)))?;
        match self.disk.remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(e)),
            _ => Ok(told),
        }
    }

    /// Verifies the next month that is over, from its first row to its last, and makes its sum where it has none. Does
    /// nothing once all were, for a day. Whether there are more to be verified now.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`] with what is wrong: then nothing is shown or decided until the ledger is restored, as
    /// after a start that finds it.
    pub fn check_next_month(&self) -> Result<bool, AccessError> {
        let now = self.time.clock().monotonic();
        let mut checked = self.checked_months();
        let months = self.ledger.pages().months()?;
        if checked.begun.is_some_and(|begun| now.saturating_sub(begun) >= AGAIN_AFTER) {
            *checked = CheckedMonths::default();
        }
        let (Some(file), Some(next)) = (months.get(checked.next), months.get(checked.next + 1)) else {
            return Ok(false);
        };
        checked.begun.get_or_insert(now);
        let told = self.check_month(file, next);
        if let Err(damage @ LedgerError::Damaged { .. }) = told {
            let said = damage.to_string();
            self.ledger.condemn(damage);
            return Err(AccessError::Unavailable { why: said });
        }
        told?;
        checked.next += 1;
        Ok(checked.next + 1 < months.len())
    }

    fn check_month(&self, file: &MonthFile, next: &MonthFile) -> Result<(), LedgerError> {
        let (pages, signer) = (self.ledger.pages(), self.signing_key.verifying_key());
        let mut maker = SumMaker::default();
        let mut destroyed = Destructions::new(self.periods.time_zone.clone());
        let site = self.ledger.site();
        let (bytes, last, head) = pages.verify_month((file, next), (site, &signer), |row, line| {
            if !maker.take(row, line) {
                destroyed.apply(row);
            }
        })?;
        let sum = maker.finish((site, file, bytes), (last, head), destroyed.to_sum()?, &self.signing_key)?;
        if pages.sum_of(file, &signer).is_some_and(|known| known.is(&sum, &signer)) {
            return Ok(());
        }
        // What stands there is of another program, of another time zone, torn, or none at all.
        let [_, old] = pages.paths_of(file);
        self.erase_state_file(&old)?;
        pages.write_sum(file, &sum)
    }
}
