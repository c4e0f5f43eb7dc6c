//! Days of destruction whose rows stood in a month of the ledger that is erased.

use super::{DayTally, Destructions};
use crate::access::{Access, AccessError};
use crate::domain::LocalDay;
use crate::ledger::DestroyedRow;

impl Destructions {
    /// Whether an officer has yet to confirm a day that has a row up to this one.
    pub fn waits_up_to(&self, last: u64) -> bool {
        self.days.values().any(|tally| tally.rows > 0 && tally.first <= last && !tally.is_confirmed())
    }

    /// Drops what rows up to this one said. Of days that have rows behind it as well: how far those go.
    fn forget(&mut self, last: u64) -> Vec<(LocalDay, u64)> {
        self.days.retain(|_, tally| tally.rows == 0 || tally.last > last);
        let parted = self.days.iter().filter(|(_, tally)| tally.rows > 0 && tally.first <= last);
        parted.map(|(day, tally)| (*day, tally.last)).collect()
    }
}

impl Access {
    /// Knows no more of days than the rows behind this one say, as a start would.
    pub(in crate::access) fn forget_days(&self, last: u64) -> Result<(), AccessError> {
        let parted = self.destructions().forget(last);
        for (day, newest) in parted {
            let mut counted = DayTally::default();
            let Some(span) = self.destructions().span(day) else { continue };
            self.ledger.destroyed_rows().each(last + 1..=newest, |DestroyedRow { sequence, at, receipt }| {
                if span.contains(at) {
                    counted.take(sequence, &receipt);
                }
            })?;
            if let Some(tally) = self.destructions().days.get_mut(&day) {
                counted.confirmations = std::mem::take(&mut tally.confirmations);
                *tally = counted;
            }
        }
        Ok(())
    }
}
