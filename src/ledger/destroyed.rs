//! The rows of destructions, read from the ledger's files when a report is asked for. They are far the most of a month's
//! rows and are kept for years: nobody holds them in memory, and who reads them keeps nobody from writing.

use super::file::{FILE_LIMIT_BYTES, LedgerError, file_names};
use super::receipt::DestructionReceipt;
use super::row::Act;
use super::verify::read_line;
use crate::disk::{Access, SharedDisk, read_file};
use crate::domain::Utc;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

/// As it stands in every such row and in few others: only these are parsed.
const MARK: &[u8] = b"\"kind\":\"footage-destroyed\"";
/// A month's first row is far shorter.
const FIRST_ROW_BYTES: usize = 4_096;

/// A receipt, and the row that it stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestroyedRow {
    pub sequence: u64,
    pub at: Utc,
    pub receipt: DestructionReceipt,
}

/// A door to those rows. What is read was verified when the ledger was opened, or written since.
#[derive(Clone, Debug)]
pub struct DestroyedRows {
    disk: SharedDisk,
    dir: PathBuf,
}

impl DestroyedRows {
    pub(super) fn new(disk: SharedDisk, dir: PathBuf) -> Self {
        Self { disk, dir }
    }

    /// Each destruction of the rows `within`, oldest first. Of months without any of these rows only the first is read.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn each(&self, within: RangeInclusive<u64>, mut each: impl FnMut(DestroyedRow)) -> Result<(), LedgerError> {
        let read = |file: &str, source| LedgerError::Read { file: file.to_owned(), source };
        let names = file_names(&self.disk, &self.dir).map_err(|e| read("directory", e))?;
        let mut months = Vec::with_capacity(names.len());
        for name in names {
            // A month without a whole row has none of these.
            if let Some(first) = self.first_sequence(&name).map_err(|e| read(&name, e))? {
                months.push((name, first));
            }
        }
        for (number, (name, first)) in months.iter().enumerate() {
            let next = months.get(number + 1).map_or(u64::MAX, |(_, next)| *next);
            if first > within.end() || next <= *within.start() {
                continue;
            }
            let bytes = read_file(&*self.disk, &self.dir.join(name), FILE_LIMIT_BYTES).map_err(|e| read(name, e))?;
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if !line.windows(MARK.len()).any(|part| part == MARK) {
                    continue;
                }
                if let Some((_, row)) = read_line(line)
                    && within.contains(&row.sequence)
                    && let Act::FootageDestroyed(receipt) = row.act
                {
                    each(DestroyedRow { sequence: row.sequence, at: row.at, receipt });
                }
            }
        }
        Ok(())
    }

    fn first_sequence(&self, name: &str) -> io::Result<Option<u64>> {
        let file = self.disk.open(&self.dir.join(name), Access::Read)?;
        let mut bytes = vec![0; FIRST_ROW_BYTES];
        let got = file.read_at(&mut bytes, 0)?;
        let first = bytes[..got].split_inclusive(|byte| *byte == b'\n').next();
        Ok(first.and_then(read_line).map(|(_, row)| row.sequence))
    }
}
