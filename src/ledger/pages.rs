//! Rows read from the ledger's files when they are asked for, by their numbers: nobody holds them in memory, who reads them
//! keeps nobody from writing, and a page reads no more of a file than it shows.

use super::file::{LedgerError, file_names};
use super::lines::{each_line, line_begins_behind};
use super::root::{LedgerRoot, is_root_name, newest_root, root_name};
use super::row::{Act, Row};
use super::sum::{MonthSum, has_sum, write_sum};
use super::verify::{Fault, FaultKind, read_line, verify_open_file};
use crate::crypto::VerifyingKey;
use crate::disk::{Access, DiskFile, SharedDisk};
use crate::domain::{Digest, Month, SiteId};
use std::io;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::PathBuf;

/// A page looks at so many rows at most, whatever it looks for.
const LOOKED_AT_LIMIT: usize = 50_000;
/// Below this a stretch of a file is read through.
const NEAR_BYTES: u64 = 64 << 10;

/// A page of rows, oldest first.
#[derive(Clone, Debug)]
pub struct RowPage {
    pub rows: Vec<Row>,
    /// Ask for what comes after this; `None` where nothing does.
    pub next: Option<u64>,
}

/// One file, by what its first row says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonthFile {
    pub month: Month,
    pub name: String,
    pub first: u64,
    /// What comes before it.
    pub previous: Digest,
    /// `None` for the newest: it grows.
    pub last: Option<u64>,
}

/// A door to the rows. What is read was verified when the ledger was opened, is about to be, or was written since.
#[derive(Clone, Debug)]
pub struct LedgerPages {
    disk: SharedDisk,
    dir: PathBuf,
    /// The newest row that was flushed.
    head: u64,
}

fn read(file: &str) -> impl Fn(io::Error) -> LedgerError + '_ {
    move |source| LedgerError::Read { file: file.to_owned(), source }
}

impl LedgerPages {
    pub(super) fn new(disk: SharedDisk, dir: PathBuf, head: u64) -> Self {
        Self { disk, dir, head }
    }

    /// All files that have a row, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn months(&self) -> Result<Vec<MonthFile>, LedgerError> {
        let mut months: Vec<MonthFile> = Vec::new();
        let root = self.root()?;
        for name in file_names(&self.disk, &self.dir).map_err(read("directory"))? {
            let Some(month) = name.get(..7).and_then(|text| text.parse().ok()) else { continue };
            if root.as_ref().is_some_and(|root| month <= root.month()) {
                continue;
            }
            let first = self.open(&name).and_then(|file| first_row(&*file)).map_err(read(&name))?;
            let Some(Row { sequence, act: Act::FileOpened { previous, .. }, .. }) = first else { continue };
            if let Some(before) = months.last_mut() {
                before.last = Some(sequence.saturating_sub(1));
            }
            months.push(MonthFile { month, name, first: sequence, previous, last: None });
        }
        Ok(months)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(&self.dir.join(name), Access::Read)
    }

    /// Each row of a range for which `wanted` takes its line, oldest first, until `each` breaks off.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn each(
        &self,
        within: RangeInclusive<u64>,
        mut wanted: impl FnMut(&[u8]) -> bool,
        mut each: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), LedgerError> {
        let (from, to) = (*within.start(), (*within.end()).min(self.head));
        for MonthFile { name, first, last, .. } in self.months()? {
            if first > to || last.is_some_and(|last| last < from) {
                continue;
            }
            let mut told = ControlFlow::Continue(());
            let mut look = |line: &[u8]| {
                let Some(sequence) = sequence_of(line).filter(|sequence| *sequence >= from) else {
                    return ControlFlow::Continue(());
                };
                if sequence > to {
                    return ControlFlow::Break(());
                }
                if let Some((_, row)) = Some(line).filter(|line| wanted(line)).and_then(read_line) {
                    told = each(row);
                }
                told
            };
            let file = self.open(&name).map_err(read(&name))?;
            let begin = row_begins_at(&*file, from).map_err(read(&name))?;
            each_line(&*file, begin, |line| look(line.bytes)).map_err(read(&name))?;
            if told.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Verifies a month that is over, all of it: its rows, its checkpoints' signatures, and that the next file follows on it.
    /// Each row comes with its line. Returns how long it is, and the number and digest of its last row.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], naming file and row; [`LedgerError::Read`].
    pub fn verify_month(
        &self,
        (file, next): (&MonthFile, &MonthFile),
        (site, signer): (SiteId, &VerifyingKey),
        mut each: impl FnMut(&Row, &[u8]),
    ) -> Result<(u64, u64, Digest), LedgerError> {
        let damaged = |line, what| LedgerError::Damaged { file: file.name.clone(), fault: Fault { line, what } };
        let opened = self.open(&file.name).map_err(read(&file.name))?;
        let (mut line, mut unsigned) = (0, None);
        let told = verify_open_file(&*opened, Some((file.first, file.previous)), Some(site), |row, bytes| {
            line += 1;
            if let Act::Checkpoint(checkpoint) = &row.act
                && !checkpoint.is_signed_by(signer)
            {
                unsigned = Some(line);
                return ControlFlow::Break(());
            }
            each(&row, bytes);
            ControlFlow::Continue(())
        });
        let told = told.map_err(read(&file.name))?;
        if let Some(line) = unsigned {
            return Err(damaged(line, FaultKind::Checkpoint));
        }
        let told = told.map_err(|fault| LedgerError::Damaged { file: file.name.clone(), fault })?;
        if told.torn_bytes > 0 {
            return Err(damaged(line + 1, FaultKind::Malformed));
        }
        if (told.next_sequence, told.head) != (next.first, next.previous) {
            return Err(LedgerError::Damaged {
                file: next.name.clone(),
                fault: Fault { line: 1, what: FaultKind::Detached },
            });
        }
        Ok((told.end_bytes, told.next_sequence - 1, told.head))
    }

    /// The sum of a month; `None` where there is none that `signer` signed.
    pub fn sum_of(&self, file: &MonthFile, signer: &VerifyingKey) -> Option<MonthSum> {
        let path = self.dir.join(&file.name);
        if has_sum(&*self.disk, &path) { MonthSum::read(&*self.disk, &path, signer) } else { None }
    }

    /// Writes the sum of a month that has none.
    ///
    /// # Errors
    /// [`LedgerError::Read`] with what the disk says.
    pub fn write_sum(&self, file: &MonthFile, sum: &[u8]) -> Result<(), LedgerError> {
        write_sum(&*self.disk, &self.dir.join(&file.name), sum).map_err(read(&file.name))
    }

    /// The newest root; `None` where no month was erased yet.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn root(&self) -> Result<Option<LedgerRoot>, LedgerError> {
        let names = self.disk.list_files(&self.dir).map_err(read("directory"))?;
        newest_root(&self.disk, &self.dir, &names).map_err(read("root"))
    }

    /// Where the root of a month's end stands, or will.
    pub fn root_path(&self, month: Month) -> PathBuf {
        self.dir.join(root_name(month))
    }

    /// Writes the root of a month's end: its content is flushed, then its name. From then on the month counts as erased.
    ///
    /// # Errors
    /// [`LedgerError::Read`] with what the disk says.
    pub fn write_root(&self, month: Month, root: &[u8]) -> Result<(), LedgerError> {
        let name = root_name(month);
        let write = || {
            let file = self.disk.create_new(&self.root_path(month))?;
            file.write_all_at(root, 0)?;
            file.sync_data()?;
            self.disk.sync_dir(&self.dir)
        };
        write().map_err(read(&name))
    }

    /// What is left of months that a root says are erased: their files, their sums, and older roots.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn erased_files(&self, root: &LedgerRoot) -> Result<Vec<PathBuf>, LedgerError> {
        let names = self.disk.list_files(&self.dir).map_err(read("directory"))?;
        let is_erased = |name: &String| {
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            let of_month = stem.parse::<Month>().is_ok_and(|month| month <= root.month());
            of_month || (is_root_name(name) && *name < root_name(root.month()))
        };
        Ok(names.into_iter().filter(is_erased).map(|name| self.dir.join(name)).collect())
    }

    /// Where a month and its sum stand.
    pub fn paths_of(&self, file: &MonthFile) -> [PathBuf; 2] {
        [self.dir.join(&file.name), file.sum_path(&self.dir)]
    }

    /// Rows after a number, oldest first, at most `limit` that `wanted` takes. Where few do, a page may have less, and yet
    /// there is a next one.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn after(&self, after: u64, limit: usize, wanted: impl Fn(&Act) -> bool) -> Result<RowPage, LedgerError> {
        let (mut rows, mut looked_at, mut newest) = (Vec::new(), 0, after);
        self.each(
            after.saturating_add(1)..=u64::MAX,
            |_| true,
            |row| {
                looked_at += 1;
                newest = row.sequence;
                if wanted(&row.act) {
                    rows.push(row);
                }
                if rows.len() < limit && looked_at < LOOKED_AT_LIMIT {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            },
        )?;
        Ok(RowPage { rows, next: (newest < self.head && newest > after).then_some(newest) })
    }
}

/// A row's number, without reading the whole of it.
fn sequence_of(line: &[u8]) -> Option<u64> {
    const BEGINS: &[u8] = b" {\"sequence\":";
    let rest = line.get(64..)?.strip_prefix(BEGINS)?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

fn first_line<T>(file: &dyn DiskFile, from_bytes: u64, read: impl Fn(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
    let mut found = None;
    each_line(file, from_bytes, |line| {
        found = read(line.bytes);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

fn first_row(file: &dyn DiskFile) -> io::Result<Option<Row>> {
    first_line(file, 0, |line| read_line(line).map(|(_, row)| row))
}

/// Where the line of a row begins, or of the one before it, or of some not far before that.
fn row_begins_at(file: &dyn DiskFile, sequence: u64) -> io::Result<u64> {
    let (mut begin, mut end) = (0, file.len_bytes()?);
    while end.saturating_sub(begin) > NEAR_BYTES {
        let middle = begin + (end - begin) / 2;
        let at = line_begins_behind(file, middle)?;
        match first_line(file, at, sequence_of)? {
            Some(found) if at < end && found < sequence => begin = at,
            // Behind the middle there is no line that begins earlier.
            Some(_) | None => end = middle,
        }
    }
    Ok(begin)
}
