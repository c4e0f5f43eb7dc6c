//! The rows of destructions, read from the ledger's files when a report is asked for. They are far the most of a month's
//! rows and are kept for years.

use super::file::LedgerError;
use super::pages::LedgerPages;
use super::receipt::DestructionReceipt;
use super::row::Act;
use crate::domain::Utc;
use std::ops::{ControlFlow, RangeInclusive};

/// As it stands in every such row and in few others: only these are parsed.
const MARK: &[u8] = b"\"kind\":\"footage-destroyed\"";

/// A receipt, and the row that it stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestroyedRow {
    pub sequence: u64,
    pub at: Utc,
    pub receipt: DestructionReceipt,
}

/// A door to those rows.
#[derive(Clone, Debug)]
pub struct DestroyedRows(LedgerPages);

impl DestroyedRows {
    pub(super) fn new(pages: LedgerPages) -> Self {
        Self(pages)
    }

    /// Each destruction of the rows `within`, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn each(&self, within: RangeInclusive<u64>, mut each: impl FnMut(DestroyedRow)) -> Result<(), LedgerError> {
        let is_one = |line: &[u8]| line.windows(MARK.len()).any(|part| part == MARK);
        self.0.each(within, is_one, |row| {
            if let Act::FootageDestroyed(receipt) = row.act {
                each(DestroyedRow { sequence: row.sequence, at: row.at, receipt });
            }
            ControlFlow::Continue(())
        })
    }
}
