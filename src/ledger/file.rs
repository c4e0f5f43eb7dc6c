//! Appending rows, and reading them back at a start.

use super::checkpoint::ManifestCheckpoint;
use super::closed::ClosedManifests;
use super::pages::LedgerPages;
use super::reserve::{LedgerRoom, Reserve};
use super::root::newest_root;
use super::row::{Act, Actor, Row};
use super::sum::{Adding, MonthSum};
use super::verify::{Fault, FaultKind, Line, VerifiedFile, chain, read_line, verify_open_file};
use crate::crypto::VerifyingKey;
use crate::disk::{Access, DiskFile, SharedDisk, read_file};
use crate::domain::{Digest, SiteId, Utc};
use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A month of a very busy site is far below this.
pub(super) const FILE_LIMIT_BYTES: u64 = 4 << 30;
const SUFFIX: &str = ".ledger";

/// Why the ledger could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("the ledger {file} is damaged: {fault}; restore it from a copy and restart")]
    Damaged { file: String, fault: Fault },
    #[error(
        "the ledger lacks rows: {holds} holds are of requests that it does not know; restore it from a copy and restart"
    )]
    Lacks { holds: usize },
    #[error("the ledger took no row because an earlier write failed; free or replace its disk, then restart")]
    Latched,
    #[error("the ledger could not be written ({source}); free or replace its disk, then restart")]
    Write { source: io::Error },
    #[error("the ledger took no row: its disk is full; free room on it. Nothing needs a restart")]
    Full,
    #[error("the ledger {file} could not be read: {source}")]
    Read { file: String, source: io::Error },
    #[error("a row could not be put into JSON: {0}")]
    Encoding(#[from] serde_json::Error),
}

impl LedgerError {
    /// Whether the row may stand on the disk although nobody was told so: its flush failed. The next start reads it, or not.
    pub fn row_may_stand(&self) -> bool {
        matches!(self, LedgerError::Write { .. })
    }

    /// The same for whoever asked for something: why no row is taken, and nothing of the inside.
    pub fn told(&self) -> &'static str {
        match self {
            LedgerError::Damaged { .. } | LedgerError::Lacks { .. } => "the ledger is damaged",
            LedgerError::Latched | LedgerError::Write { .. } => "the ledger's disk failed, and it could not be written",
            LedgerError::Full => "the ledger's disk is full",
            LedgerError::Read { .. } => "the ledger could not be read",
            LedgerError::Encoding(_) => "the row could not be put into words",
        }
    }
}

/// Every row, one by one.
struct EachRow<F>(F);

impl<F: FnMut(Row)> Adding for EachRow<F> {
    fn row(&mut self, row: Row) {
        (self.0)(row);
    }

    fn others(&mut self, _: &str) -> bool {
        false
    }
}

/// Hands everything on, and remembers what rows say of roots.
struct Rooted<'a, A> {
    to: &'a mut A,
    carried: BTreeSet<Digest>,
}

impl<A: Adding> Adding for Rooted<'_, A> {
    fn row(&mut self, row: Row) {
        if let Act::LedgerMonthEnding(root) = &row.act {
            self.carried.insert(root.carried);
        }
        self.to.row(row);
    }

    fn others(&mut self, others: &str) -> bool {
        self.to.others(others)
    }
}

/// The open ledger. There is one, and it is the only writer of its files.
#[derive(Debug)]
pub struct Ledger {
    disk: SharedDisk,
    dir: PathBuf,
    site: SiteId,
    current: Option<Current>,
    next_sequence: u64,
    head: Digest,
    latched: bool,
    damage: Option<LedgerError>,
    /// The first row of a file that was begun, until somebody is told.
    turned: Option<Row>,
    reserve: Reserve,
}

#[derive(Debug)]
struct Current {
    month: String,
    file: Box<dyn DiskFile>,
    end_bytes: u64,
}

/// Cuts off what was never answered. Flushed before a row is written in its place: what a power cut takes of that one must
/// read as zeros (L3), not as this.
fn cut_off(file: &dyn DiskFile, end_bytes: u64) -> io::Result<()> {
    file.set_len(end_bytes)?;
    file.sync_data()
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The names of all ledger files in a directory, oldest first.
pub(super) fn file_names(disk: &SharedDisk, dir: &Path) -> io::Result<Vec<String>> {
    Ok(disk.list_files(dir)?.into_iter().filter(|name| name.ends_with(SUFFIX)).collect())
}

/// What the newest rows tell before the ledger is opened: nothing is verified yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewestKnown {
    /// When the newest row was written: a moment that has certainly been.
    pub row_at: Option<Utc>,
    /// Whether a daemon ever ran here. A site that was only made has recorded nothing.
    pub has_run: bool,
    /// The time that an officer confirmed since the newest checkpoint: that row stands before the clock moves.
    pub confirmed: Option<Utc>,
    /// The heads of all manifests at the newest checkpoint: what a volume must have, unless an older image of it was
    /// put in its place.
    pub manifests: Vec<ManifestCheckpoint>,
}

impl NewestKnown {
    /// Reads from the end as far as is needed. What is not readable tells nothing.
    pub fn read(disk: &SharedDisk, dir: &Path) -> Self {
        let mut known = Self::default();
        for name in file_names(disk, dir).unwrap_or_default().into_iter().rev() {
            let Ok(bytes) = read_file(&**disk, &dir.join(name), FILE_LIMIT_BYTES) else { continue };
            for line in bytes.split_inclusive(|byte| *byte == b'\n').rev() {
                let Some((_, row)) = read_line(line) else { continue };
                known.row_at = known.row_at.or(Some(row.at));
                known.has_run |= matches!(row.act, Act::DaemonStarted { .. } | Act::Checkpoint(_));
                if let Act::ClockConfirmed { after, .. } = row.act {
                    known.confirmed = known.confirmed.or(Some(after));
                }
                if let Act::Checkpoint(checkpoint) = row.act {
                    return Self { manifests: checkpoint.manifests, ..known };
                }
            }
        }
        known
    }
}

impl Ledger {
    /// Opens the ledger in `dir`, verifying every row; hands each to `each`, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] naming file and row; [`LedgerError::Read`].
    pub fn open(disk: SharedDisk, dir: &Path, site: SiteId, each: impl FnMut(Row)) -> Result<Self, LedgerError> {
        let ledger = Self::open_as_far_as_sound(disk, dir, site, each)?;
        match ledger.damage {
            None => Ok(ledger),
            Some(damage) => Err(damage),
        }
    }

    /// The same, but with a damaged ledger too: then only the rows before the damage are handed out, and it takes no
    /// more (L2). [`Ledger::damage`] says what is wrong.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn open_as_far_as_sound(
        disk: SharedDisk,
        dir: &Path,
        site: SiteId,
        each: impl FnMut(Row),
    ) -> Result<Self, LedgerError> {
        Self::opened(disk, dir, site, None, &mut EachRow(each))
    }

    /// The same, but of months that are over, what their sums say where `signer` signed one that fits: those are not read.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn open_by_sums(
        disk: SharedDisk,
        dir: &Path,
        site: SiteId,
        signer: &VerifyingKey,
        to: &mut impl Adding,
    ) -> Result<Self, LedgerError> {
        Self::opened(disk, dir, site, Some(signer), to)
    }

    fn opened(
        disk: SharedDisk,
        dir: &Path,
        site: SiteId,
        signer: Option<&VerifyingKey>,
        to: &mut impl Adding,
    ) -> Result<Self, LedgerError> {
        let mut ledger = Self {
            reserve: Reserve::of(SharedDisk::clone(&disk), dir),
            disk,
            dir: dir.to_path_buf(),
            site,
            current: None,
            next_sequence: 1,
            head: Digest::ZERO,
            latched: false,
            damage: None,
            turned: None,
        };
        let read = |file: &str, source| LedgerError::Read { file: file.to_owned(), source };
        let mut to = Rooted { to, carried: BTreeSet::new() };
        let mut names = ledger.disk.list_files(dir).map_err(|e| read(&dir.display().to_string(), e))?;
        let root = newest_root(&ledger.disk, dir, &names).map_err(|e| read("root", e))?;
        names.retain(|name| name.ends_with(SUFFIX));
        if let Some(root) = &root {
            // What is left of an erased month is erased yet.
            names.retain(|name| name.get(..7).is_none_or(|month| *month > *root.month().to_string()));
            root.rows().iter().for_each(|(row, _)| to.row(row.clone()));
            (ledger.next_sequence, ledger.head) = root.begins();
        }
        for (number, name) in names.iter().enumerate() {
            let path = dir.join(name);
            // The first one follows on the root, or on nothing: whoever takes it away takes the beginning.
            let before = Some((ledger.next_sequence, ledger.head));
            let file = ledger.disk.open(&path, Access::Read).map_err(|e| read(name, e))?;
            // The newest one grows.
            let signer = signer.filter(|_| number + 1 < names.len());
            let summed = signer.and_then(|signer| ledger.add_sum(&path, &*file, before, signer, &mut to));
            let told = match summed {
                Some(told) => Ok(told),
                None => {
                    let each = |row, _: &[u8]| {
                        to.row(row);
                        ControlFlow::Continue(())
                    };
                    verify_open_file(&*file, before, Some(site), each).map_err(|e| read(name, e))?
                }
            };
            match told {
                Ok(told) => ledger.take_over(name, &path, &told).map_err(|e| read(name, e))?,
                Err(fault) => {
                    ledger.condemn(LedgerError::Damaged { file: name.clone(), fault });
                    break;
                }
            }
        }
        if let Some(root) = root.filter(|_| ledger.damage.is_none())
            && (root.site() != site || !to.carried.contains(&root.digest()))
        {
            let fault = Fault { line: 1, what: FaultKind::Root };
            ledger.condemn(LedgerError::Damaged { file: format!("root-{}", root.month()), fault });
        }
        Ok(ledger)
    }

    /// Takes a month's sum in place of its file, where it fits.
    fn add_sum(
        &self,
        path: &Path,
        file: &dyn DiskFile,
        before: Option<(u64, Digest)>,
        signer: &VerifyingKey,
        to: &mut impl Adding,
    ) -> Option<VerifiedFile> {
        let sum = MonthSum::read(&*self.disk, path, signer)?;
        let fits = sum.fits(self.site, file.len_bytes().ok()?, before) && to.others(sum.others());
        if !fits {
            tracing::warn!(file = %path.display(), "a month's sum does not fit it any more: the month is read");
            return None;
        }
        let (next_sequence, head, end_bytes) = sum.end();
        sum.into_rows().into_iter().for_each(|row| to.row(row));
        Some(VerifiedFile { next_sequence, head, end_bytes, torn_bytes: 0 })
    }

    /// Goes on where a verified file ends, cutting off a torn last line (L3). A file without any whole row is taken
    /// away: the next row of its month begins it again, and says first what came before.
    fn take_over(&mut self, name: &str, path: &Path, told: &VerifiedFile) -> io::Result<()> {
        if told.end_bytes == 0 {
            tracing::warn!(file = name, bytes = told.torn_bytes, "a month without a whole row is begun again");
            // Not flushed: one that a power cut brings back is taken away again, and the flush of the next one's name
            // covers this too.
            return self.disk.remove_file(path);
        }
        let file = self.disk.open(path, Access::ReadWrite)?;
        if told.torn_bytes > 0 {
            tracing::warn!(file = name, bytes = told.torn_bytes, "a row that was never answered is cut off");
            cut_off(&*file, told.end_bytes)?;
        }
        self.next_sequence = told.next_sequence;
        self.head = told.head;
        let month = name.trim_end_matches(SUFFIX).to_owned();
        self.current = Some(Current { month, file, end_bytes: told.end_bytes });
        Ok(())
    }

    pub fn site(&self) -> SiteId {
        self.site
    }

    /// The rows of closed manifests.
    pub fn closed_manifests(&self) -> ClosedManifests {
        ClosedManifests::new(SharedDisk::clone(&self.disk), self.dir.clone())
    }

    /// Rows by their numbers.
    pub fn pages(&self) -> LedgerPages {
        LedgerPages::new(SharedDisk::clone(&self.disk), self.dir.clone(), self.next_sequence - 1)
    }

    /// What is wrong with the rows that are there.
    pub fn damage(&self) -> Option<&LedgerError> {
        self.damage.as_ref()
    }

    /// Takes no more rows: those that are there are not what they should be.
    pub fn condemn(&mut self, why: LedgerError) {
        tracing::error!(error = %why, "nothing is shown or decided until the ledger is restored; recording goes on");
        self.latched = true;
        self.damage = Some(why);
    }

    /// The sequence and digest of the last row; 0 and zeros before the first.
    pub fn head(&self) -> (u64, Digest) {
        (self.next_sequence - 1, self.head)
    }

    /// Whether rows can still be written.
    pub fn is_writable(&self) -> bool {
        !self.latched
    }

    /// How the ledger's room is.
    pub fn room(&self) -> LedgerRoom {
        self.reserve.room()
    }

    /// Makes the reserve for a full disk, again where there is room again (L5).
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_reserve(&mut self) -> io::Result<()> {
        self.reserve.keep()
    }

    /// Begins the month's file if `at` is the first moment of a new month that comes to it. What is said of the head
    /// afterwards is true of the very next row.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn turn_to(&mut self, at: Utc) -> Result<(), LedgerError> {
        if self.latched {
            return Err(LedgerError::Latched);
        }
        let month = at.day().to_string().chars().take(7).collect::<String>();
        // A clock that stepped back does not reopen an older month: names must sort as rows do.
        if self.current.as_ref().is_none_or(|current| month > current.month) {
            self.begin_file(&month, at)?;
        }
        Ok(())
    }

    /// The first row of a file that was begun since this was asked.
    pub(super) fn take_turned(&mut self) -> Option<Row> {
        self.turned.take()
    }

    /// Appends one row and flushes it (L1). Returns it with its sequence.
    ///
    /// # Errors
    /// [`LedgerError::Full`]; [`LedgerError::Write`] the first time, [`LedgerError::Latched`] ever after (L2).
    pub fn append(&mut self, at: Utc, actor: Actor, act: Act) -> Result<Row, LedgerError> {
        if !self.latched && !self.reserve.allows(&act) {
            return Err(LedgerError::Full);
        }
        self.turn_to(at)?;
        let before = (self.next_sequence, self.head);
        let row = self.write_row(at, actor, act)?;
        let flushed = self.current.as_ref().map_or(Ok(()), |current| current.file.sync_data());
        flushed.map_err(|source| {
            // It was never answered.
            (self.next_sequence, self.head) = before;
            self.latch(source)
        })?;
        Ok(row)
    }

    fn begin_file(&mut self, month: &str, at: Utc) -> Result<(), LedgerError> {
        let path = self.dir.join(format!("{month}{SUFFIX}"));
        let file = match self.disk.create_new(&path) {
            Err(e) if is_full(&e) && self.reserve.give() => self.disk.create_new(&path),
            made => made,
        };
        let file = file.map_err(|source| self.full_or_latched(source))?;
        self.disk.sync_dir(&self.dir).map_err(|source| self.latch(source))?;
        let before = self.current.replace(Current { month: month.to_owned(), file, end_bytes: 0 });
        // Flushed with the row that follows. The two begin in one sector, so a power cut leaves none without this one.
        let opened = Act::FileOpened { site: self.site, previous: self.head };
        match self.write_row(at, Actor::Daemon, opened) {
            Ok(row) => {
                self.turned = Some(row);
                Ok(())
            }
            Err(e) => {
                // Begun again with the next row, as after a power cut.
                self.current = before;
                self.disk.remove_file(&path).map_err(|source| self.latch(source))?;
                Err(e)
            }
        }
    }

    /// Writes a row. Not flushed.
    fn write_row(&mut self, at: Utc, actor: Actor, act: Act) -> Result<Row, LedgerError> {
        let row = Row { sequence: self.next_sequence, at, actor, act };
        let json = serde_json::to_string(&row)?;
        let head = chain(self.head, json.as_bytes());
        let line = Line { digest: head, json: &json }.to_text();
        let told = match self.write_line(line.as_bytes()) {
            Err(e) if is_full(&e) && self.reserve.give() => self.write_line(line.as_bytes()),
            told => told,
        };
        told.map_err(|source| self.full_or_latched(source))?;
        self.reserve.note_taken();
        self.head = head;
        self.next_sequence += 1;
        Ok(row)
    }

    /// Writes a line behind the last. What a full disk took half of is taken back.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(current) = self.current.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        match current.file.write_all_at(line, current.end_bytes) {
            Ok(()) => current.end_bytes += line.len() as u64,
            Err(e) if is_full(&e) => {
                cut_off(&*current.file, current.end_bytes)?;
                return Err(e);
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn full_or_latched(&mut self, source: io::Error) -> LedgerError {
        if !is_full(&source) {
            return self.latch(source);
        }
        if self.reserve.room() != LedgerRoom::None {
            tracing::error!("the ledger's disk is full, and took no row: nothing is shown or decided; free room on it");
        }
        self.reserve.note_none();
        LedgerError::Full
    }

    fn latch(&mut self, source: io::Error) -> LedgerError {
        self.latched = true;
        tracing::error!(error = %source, "the ledger cannot be written: viewing and deciding stop until a restart");
        LedgerError::Write { source }
    }

    /// Reads rows again, newest last.
    ///
    /// # Errors
    /// [`LedgerError::Read`].
    pub fn rows(&self, mut each: impl FnMut(Row)) -> Result<(), LedgerError> {
        self.pages().each(
            0..=u64::MAX,
            |_| true,
            |row| {
                each(row);
                ControlFlow::Continue(())
            },
        )
    }
}
