//! Verifying ledger files: offline, without the site and without any key.

use super::row::{Act, Row};
use crate::crypto::{RunningDigest, VerifyingKey};
use crate::domain::{Digest, SiteId};
use std::fmt;

/// A row that does not fit, and why. `line` counts from 1 in its file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
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
        }
    }
}

/// A ledger that verifies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    pub rows: u64,
    pub checkpoints: u64,
    /// Of those. Fewer than all where the signer stands in a file that was not given.
    pub signatures_checked: u64,
    pub head: Digest,
}

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

/// Verifies one file. `before` is the sequence due and the head so far; `None` for the first file at hand.
pub(super) fn verify_file(
    bytes: &[u8],
    before: Option<(u64, Digest)>,
    site: Option<SiteId>,
    each: &mut impl FnMut(Row),
) -> Result<VerifiedFile, Fault> {
    // Without a whole row a file changes nothing: a power cut took its first one.
    let (next_sequence, head) = before.unwrap_or((1, Digest::ZERO));
    let mut told = VerifiedFile { next_sequence, head, end_bytes: 0, torn_bytes: 0 };
    let mut end = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let fault = |what| Fault { line: number as u64 + 1, what };
        let is_last = end + line.len() == bytes.len();
        end += line.len();
        if is_last && is_torn(line) {
            told.torn_bytes = line.len() as u64;
            break;
        }
        let split = split_line(line).ok_or(fault(FaultKind::Malformed))?;
        if number == 0 {
            let row: Row = serde_json::from_str(split.json).map_err(|_| fault(FaultKind::Malformed))?;
            let Act::FileOpened { site: of, previous } = row.act else { return Err(fault(FaultKind::NoBeginning)) };
            if site.is_some_and(|site| site != of) {
                return Err(fault(FaultKind::OtherSite));
            }
            if before.is_some_and(|before| before != (row.sequence, previous)) {
                return Err(fault(FaultKind::Detached));
            }
            told.next_sequence = row.sequence;
            told.head = previous;
        }
        let head = chain(told.head, split.json.as_bytes());
        if head != split.digest {
            return Err(fault(FaultKind::Changed));
        }
        let row: Row = serde_json::from_str(split.json).map_err(|_| fault(FaultKind::Malformed))?;
        if row.sequence != told.next_sequence {
            return Err(fault(FaultKind::Sequence { expected: told.next_sequence, found: row.sequence }));
        }
        if let Act::Checkpoint(checkpoint) = &row.act
            && (checkpoint.sequence, checkpoint.head) != (told.next_sequence - 1, told.head)
        {
            return Err(fault(FaultKind::Checkpoint));
        }
        told.head = head;
        told.next_sequence += 1;
        told.end_bytes += line.len() as u64;
        each(row);
    }
    Ok(told)
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
    mut each: impl FnMut(&Row),
) -> Result<Verified, (String, Fault)> {
    let mut signer = signer;
    let mut verified = Verified { rows: 0, checkpoints: 0, signatures_checked: 0, head: Digest::ZERO };
    let mut before = None;
    for (name, bytes) in files {
        let mut unsigned = None;
        let mut line = 0;
        let told = verify_file(bytes, before, None, &mut |row| {
            line += 1;
            verified.rows += 1;
            each(&row);
            match &row.act {
                Act::SiteMade { signer: of, .. } => {
                    let known = *signer.get_or_insert(*of);
                    if known != *of {
                        unsigned.get_or_insert((line, FaultKind::Signer));
                    }
                }
                Act::Checkpoint(checkpoint) => {
                    verified.checkpoints += 1;
                    let Some(signer) = signer else { return };
                    verified.signatures_checked += 1;
                    if !checkpoint.is_signed_by(&signer) {
                        unsigned.get_or_insert((line, FaultKind::Checkpoint));
                    }
                }
                _ => {}
            }
        })
        .map_err(|fault| (name.clone(), fault))?;
        if let Some((line, what)) = unsigned {
            return Err((name.clone(), Fault { line, what }));
        }
        if told.torn_bytes > 0 {
            return Err((name.clone(), Fault { line: line + 1, what: FaultKind::Malformed }));
        }
        verified.head = told.head;
        before = Some((told.next_sequence, told.head));
    }
    Ok(verified)
}
