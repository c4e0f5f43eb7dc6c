//! Verifying ledger files: offline, without the site and without any key.

use super::lines::each_line;
use super::mark::{CheckpointMark, Contradiction, KeptElsewhere};
use super::root::LedgerRoot;
use super::row::{Act, Row};
use super::upkeep::MonthRoot;
use crate::crypto::{RunningDigest, VerifyingKey, sha256};
use crate::disk::DiskFile;
use crate::domain::{Digest, Month, SiteId};
use std::ops::ControlFlow;
use std::{fmt, io};

/// A row that does not fit, and why. `line` counts from 1 in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("row {line}: {what}")]
pub struct Fault {
    pub line: u64,
    pub what: FaultKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// The line is not a digest, a space and a row.
    Malformed,
    /// The row, or its digest, was changed.
    Changed,
    /// The sequence jumps: rows were taken out or put in.
    Sequence { expected: u64, found: u64 },
    /// The file's first row does not say what comes before it.
    NoBeginning,
    /// The file does not go on from the one before.
    Detached,
    /// It is another site's.
    OtherSite,
    /// A checkpoint is not signed by the site, or does not hold for the rows before it.
    Checkpoint,
    /// The site's own row names another signing key than the one that is known from elsewhere.
    Signer,
    /// A root is not what the row of the month's end says, or the file does not go on from it.
    Root,
    /// A checkpoint kept elsewhere is of this row, and of another digest.
    Contradicted { sound_to: Option<u64> },
    /// A checkpoint kept elsewhere is of another site.
    ContradictedSite,
    /// The ledger ends before this row, and a checkpoint kept elsewhere is of a later one.
    CutOff { last: u64, wanted: u64 },
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Malformed => f.write_str("is no row"),
            FaultKind::Changed => f.write_str("was changed: its digest does not fit"),
            FaultKind::Sequence { expected, found } => {
                write!(f, "has number {found} where {expected} is due: rows were taken out or put in")
            }
            FaultKind::NoBeginning => f.write_str("does not begin a file"),
            FaultKind::Detached => f.write_str("does not go on from the file before"),
            FaultKind::OtherSite => f.write_str("belongs to another site"),
            FaultKind::Checkpoint => f.write_str("is a checkpoint that does not hold"),
            FaultKind::Signer => f.write_str("names another signing key than the one given"),
            FaultKind::Root => f.write_str("is not what the row of the erased month's end says"),
            FaultKind::Contradicted { sound_to } => {
                f.write_str("is not what a checkpoint kept elsewhere says: ")?;
                match sound_to {
                    Some(sound) => write!(f, "rows behind number {sound}, up to this one, were written anew"),
                    None => f.write_str("rows up to this one were written anew"),
                }
            }
            FaultKind::ContradictedSite => f.write_str("is of another site than a checkpoint kept elsewhere"),
            FaultKind::CutOff { last, wanted } => {
                write!(
                    f,
                    "is missing: the ledger ends with number {last}, and a checkpoint kept elsewhere is of {wanted}"
                )
            }
        }
    }
}

/// A ledger that verifies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verified {
    pub rows: u64,
    pub checkpoints: u64,
    /// Of those. Fewer than all where the signer stands in a file that was not given.
    pub signatures_checked: u64,
    pub head: Digest,
    /// The numbers of the first row at hand and of the last.
    pub first: u64,
    pub last: u64,
    /// Checkpoints kept elsewhere that hold, the newest row of these, and how many are of rows before the first one here.
    pub elsewhere_fit: u64,
    pub elsewhere_newest: Option<u64>,
    pub elsewhere_before: u64,
    /// The newest month that is erased, where the first row here is the one that follows on it.
    pub erased_to: Option<Month>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct VerifiedFile {
    pub next_sequence: u64,
    pub head: Digest,
    pub end_bytes: u64,
    pub torn_bytes: u64,
}

pub(super) struct Line<'a> {
    pub digest: Digest,
    pub json: &'a str,
}

impl Line<'_> {
    pub(super) fn to_text(&self) -> String {
        format!("{} {}\n", self.digest, self.json)
    }
}

/// The digest of a row, given the one before.
pub(super) fn chain(before: Digest, json: &[u8]) -> Digest {
    let mut running = RunningDigest::new();
    running.update(b"custodian ledger 1");
    running.update(&before.0);
    running.update(json);
    running.so_far()
}

fn split_line(line: &[u8]) -> Option<Line<'_>> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (digits, json) = text.split_once(' ')?;
    let mut digest = [0; 32];
    hex::decode_to_slice(digits, &mut digest).ok()?;
    // One way to write a digest: otherwise a changed case would go unnoticed.
    (hex::encode(digest) == digits).then_some(Line { digest: Digest(digest), json })
}

/// Whether a power cut took a part of a last line: its end, or a sector before that, which reads as zeros then. No row
/// holds a zero byte.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") || line.contains(&0)
}

pub(super) fn read_line(line: &[u8]) -> Option<(Digest, Row)> {
    let line = split_line(line)?;
    Some((line.digest, serde_json::from_str(line.json).ok()?))
}

/// A file whose rows are verified one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verifying {
    told: VerifiedFile,
    before: Option<(u64, Digest)>,
    site: Option<SiteId>,
    line: u64,
}

impl Verifying {
    /// `before` is the sequence due and the head so far; `None` for the first file at hand.
    pub fn new(before: Option<(u64, Digest)>, site: Option<SiteId>) -> Self {
        // Without a whole row a file changes nothing: a power cut took its first one.
        let (next_sequence, head) = before.unwrap_or((1, Digest::ZERO));
        let told = VerifiedFile { next_sequence, head, end_bytes: 0, torn_bytes: 0 };
        Self { told, before, site, line: 0 }
    }

    pub fn told(&self) -> VerifiedFile {
        self.told
    }

    /// The next line; `None` for a last one that was torn.
    pub fn take(&mut self, line: &[u8], is_last: bool) -> Result<Option<Row>, Fault> {
        self.line += 1;
        let number = self.line;
        let fault = |what| Fault { line: number, what };
        if is_last && is_torn(line) {
            self.told.torn_bytes = line.len() as u64;
            return Ok(None);
        }
        let split = split_line(line).ok_or(fault(FaultKind::Malformed))?;
        if number == 1 {
            let row: Row = serde_json::from_str(split.json).map_err(|_| fault(FaultKind::Malformed))?;
            let Act::FileOpened { site: of, previous } = row.act else { return Err(fault(FaultKind::NoBeginning)) };
            if self.site.is_some_and(|site| site != of) {
                return Err(fault(FaultKind::OtherSite));
            }
            if self.before.is_some_and(|before| before != (row.sequence, previous)) {
                return Err(fault(FaultKind::Detached));
            }
            (self.told.next_sequence, self.told.head) = (row.sequence, previous);
        }
        let head = chain(self.told.head, split.json.as_bytes());
        if head != split.digest {
            return Err(fault(FaultKind::Changed));
        }
        let row: Row = serde_json::from_str(split.json).map_err(|_| fault(FaultKind::Malformed))?;
        if row.sequence != self.told.next_sequence {
            return Err(fault(FaultKind::Sequence { expected: self.told.next_sequence, found: row.sequence }));
        }
        if let Act::Checkpoint(checkpoint) = &row.act
            && (checkpoint.sequence, checkpoint.head) != (self.told.next_sequence - 1, self.told.head)
        {
            return Err(fault(FaultKind::Checkpoint));
        }
        self.told.head = head;
        self.told.next_sequence += 1;
        self.told.end_bytes += line.len() as u64;
        Ok(Some(row))
    }
}

/// Verifies one file's bytes.
pub(super) fn verify_file(
    bytes: &[u8],
    before: Option<(u64, Digest)>,
    site: Option<SiteId>,
    each: &mut impl FnMut(Row, Digest),
) -> Result<VerifiedFile, Fault> {
    let mut verifying = Verifying::new(before, site);
    let mut end = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        end += line.len();
        match verifying.take(line, end == bytes.len())? {
            Some(row) => each(row, verifying.told().head),
            None => break,
        }
    }
    Ok(verifying.told())
}

/// Verifies an open file, piece by piece. Each row comes with its line.
///
/// # Errors
/// What the disk says; inside, the first fault.
pub(super) fn verify_open_file(
    file: &dyn DiskFile,
    before: Option<(u64, Digest)>,
    site: Option<SiteId>,
    mut each: impl FnMut(Row, &[u8]) -> ControlFlow<()>,
) -> io::Result<Result<VerifiedFile, Fault>> {
    let mut verifying = Verifying::new(before, site);
    let mut fault = None;
    each_line(file, 0, |line| match verifying.take(line.bytes, line.is_last) {
        Ok(Some(row)) => each(row, line.bytes),
        Ok(None) => ControlFlow::Break(()),
        Err(e) => {
            fault = Some(e);
            ControlFlow::Break(())
        }
    })?;
    Ok(fault.map_or(Ok(verifying.told()), Err))
}

/// What somebody knows of a ledger from elsewhere than the ledger itself.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The site's signing key. Without it the key in the ledger's own first row is taken.
    pub signer: Option<VerifyingKey>,
    pub checkpoints: Vec<CheckpointMark>,
    /// Root files, each with its name: what is carried on of months that are erased.
    pub roots: Vec<(String, Vec<u8>)>,
}

/// Verifies files in order, oldest first, each with its name. Checkpoints are checked against the signer that the
/// site's first row names, or `signer` where it is known from elsewhere.
///
/// # Errors
/// The name of the first file with a fault, and the fault.
pub fn verify_files(files: &[(String, Vec<u8>)], signer: Option<VerifyingKey>) -> Result<Verified, (String, Fault)> {
    verify_rows(files, signer, |_| {})
}

/// The same, handing each row to `each`, oldest first, until the first fault.
///
/// # Errors
/// As [`verify_files`].
pub fn verify_rows(
    files: &[(String, Vec<u8>)],
    signer: Option<VerifyingKey>,
    each: impl FnMut(&Row),
) -> Result<Verified, (String, Fault)> {
    verify_against(files, &Known { signer, ..Known::default() }, each)
}

/// The same, held against what is known from elsewhere.
///
/// # Errors
/// As [`verify_files`]; the fault of rows that a checkpoint kept elsewhere contradicts, or that were cut off behind the
/// last one here.
pub fn verify_against(
    files: &[(String, Vec<u8>)],
    known: &Known,
    mut each: impl FnMut(&Row),
) -> Result<Verified, (String, Fault)> {
    let mut all = Verification::new(known);
    let mut before = None;
    for (name, bytes) in files {
        all.line = 0;
        let told = verify_file(bytes, before, None, &mut |row, head| {
            all.take(&row, head);
            each(&row);
        });
        // What contradicts something known stands before the first fault that the file shows by itself.
        if let Some((line, what)) = all.first_fault {
            return Err((name.clone(), Fault { line, what }));
        }
        let told = told.map_err(|fault| (name.clone(), fault))?;
        if told.torn_bytes > 0 {
            return Err((name.clone(), Fault { line: all.line + 1, what: FaultKind::Malformed }));
        }
        all.verified.head = told.head;
        before = Some((told.next_sequence, told.head));
    }
    if let (Some(wanted), Some((name, _))) = (all.elsewhere.beyond(), files.last()) {
        let what = FaultKind::CutOff { last: all.verified.last, wanted };
        return Err((name.clone(), Fault { line: all.line + 1, what }));
    }
    all.check_roots(&known.roots)?;
    if let (true, Some((name, _))) = (all.is_uprooted(), files.first()) {
        return Err((name.clone(), Fault { line: 1, what: FaultKind::Root }));
    }
    Ok(all.verified())
}

/// What rows add up to as they are verified.
struct Verification {
    verified: Verified,
    signer: Option<VerifyingKey>,
    elsewhere: KeptElsewhere,
    site: Option<SiteId>,
    line: u64,
    first_fault: Option<(u64, FaultKind)>,
    /// What comes before the first row here, as that says.
    previous: Digest,
    roots: Vec<MonthRoot>,
}

impl Verification {
    fn new(known: &Known) -> Self {
        let verified = Verified {
            rows: 0,
            checkpoints: 0,
            signatures_checked: 0,
            head: Digest::ZERO,
            first: 0,
            last: 0,
            elsewhere_fit: 0,
            elsewhere_newest: None,
            elsewhere_before: 0,
            erased_to: None,
        };
        let elsewhere = KeptElsewhere::new(&known.checkpoints);
        let (site, first_fault, previous, roots) = (None, None, Digest::ZERO, Vec::new());
        // The site's first row is carried on, too.
        let carried =
            known.roots.iter().filter_map(|(_, bytes)| LedgerRoot::parse(bytes)).find_map(|root| root.signer());
        Self { verified, signer: known.signer.or(carried), elsewhere, site, line: 0, first_fault, previous, roots }
    }

    fn verified(&self) -> Verified {
        Verified {
            elsewhere_fit: self.elsewhere.fits,
            elsewhere_newest: self.elsewhere.newest,
            elsewhere_before: self.elsewhere.before,
            erased_to: self.root_before().map(|root| root.month),
            ..self.verified
        }
    }

    /// The end of the month that stood before the first row here, where that is erased.
    fn root_before(&self) -> Option<&MonthRoot> {
        self.roots.iter().rev().find(|root| root.last + 1 == self.verified.first)
    }

    fn is_uprooted(&self) -> bool {
        self.root_before().is_some_and(|root| root.head != self.previous)
    }

    fn check_roots(&self, roots: &[(String, Vec<u8>)]) -> Result<(), (String, Fault)> {
        for (name, bytes) in roots {
            let is_told = |root: &&MonthRoot| root.carried == sha256(bytes);
            if LedgerRoot::parse(bytes).is_none() || !self.roots.iter().any(|root| is_told(&root)) {
                return Err((name.clone(), Fault { line: 1, what: FaultKind::Root }));
            }
        }
        Ok(())
    }

    fn fault(&mut self, what: FaultKind) {
        self.first_fault.get_or_insert((self.line, what));
    }

    fn take(&mut self, row: &Row, head: Digest) {
        self.line += 1;
        self.verified.rows += 1;
        self.verified.last = row.sequence;
        let mut told = Ok(());
        if let (None, Act::FileOpened { site, previous }) = (self.site, &row.act) {
            self.site = Some(*site);
            self.verified.first = row.sequence;
            self.previous = *previous;
            told = self.elsewhere.begin(*site, (row.sequence.saturating_sub(1), *previous));
        }
        let site = self.site.unwrap_or(SiteId([0; 16]));
        match told.and_then(|()| self.elsewhere.take(site, row.sequence, head)) {
            Ok(()) => {}
            Err(Contradiction::Site) => self.fault(FaultKind::ContradictedSite),
            Err(Contradiction::Rows { sound_to }) => self.fault(FaultKind::Contradicted { sound_to }),
        }
        match &row.act {
            Act::SiteMade { signer: of, .. } => {
                let known = *self.signer.get_or_insert(*of);
                if known != *of {
                    self.fault(FaultKind::Signer);
                }
            }
            Act::Checkpoint(checkpoint) => {
                self.verified.checkpoints += 1;
                let Some(signer) = self.signer else { return };
                self.verified.signatures_checked += 1;
                if !checkpoint.is_signed_by(&signer) {
                    self.fault(FaultKind::Checkpoint);
                }
            }
            Act::LedgerMonthEnding(root) => self.roots.push(*root),
            _ => {}
        }
    }
}
