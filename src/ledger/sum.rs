//! Sums of months that are over: what a start needs of one, so that it need not read it.
//!
//! Far the most rows of a month are receipts of what was destroyed as it should be. A sum has the other rows as they stand in
//! the file, what the receipts add up to in words of whoever makes it, and how long the file is and to which digest it leads;
//! the site's key signs it all. It says nothing that the file does not say: without it, or with one that does not fit, the
//! file is read, and a sum is made anew. That a file still is what its sum was made of is verified beside the work of the day
//! ([`super::LedgerPages::verify_month`]).

use super::pages::MonthFile;
use super::row::{Act, Row};
use super::verify::read_line;
use crate::crypto::{Signature, SigningKey, VerifyingKey, sha256};
use crate::disk::{Access, Disk, read_file};
use crate::domain::{Digest, Month, SiteId};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Counts up when other rows are left out.
const VERSION: u32 = 1;
const SUFFIX: &str = "sum";
const SIGNED: &[u8] = b"custodian ledger sum 1";
const FILE_LIMIT_BYTES: u64 = 1 << 30;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    site: SiteId,
    month: Month,
    /// How long the file is.
    bytes: u64,
    first: u64,
    last: u64,
    previous: Digest,
    head: Digest,
    /// How many rows follow.
    kept: u64,
    /// What the others add up to.
    others: String,
}

/// What a month adds up to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MonthSum {
    header: Header,
    rows: Vec<Row>,
}

/// Takes what the ledger says as it is opened, oldest first.
pub trait Adding {
    fn row(&mut self, row: Row);
    /// What the rows of a month add up to that are not handed over one by one: as [`SumMaker::finish`] was told. Whether that
    /// can be used; else the month is read.
    fn others(&mut self, others: &str) -> bool;
}

impl Act {
    /// Whether a start needs the row itself. The history of rights, requests, grants and views does.
    fn is_kept_in_sums(&self) -> bool {
        !matches!(
            self,
            Act::FootageDestroyed(_)
                | Act::ManifestClosed(_)
                | Act::Checkpoint(_)
                | Act::SignedIn
                | Act::SignedOut
                | Act::SignInFailed { .. }
                | Act::LedgerRead
                | Act::LedgerRefused
                | Act::LedgerExported(_)
        )
    }
}

/// A sum as the month is read.
#[derive(Debug, Default)]
pub struct SumMaker {
    lines: Vec<u8>,
    kept: u64,
}

impl SumMaker {
    /// Takes a row of the month with its line; whether it stands in the sum. What the others add up to is the caller's to say.
    pub fn take(&mut self, row: &Row, line: &[u8]) -> bool {
        let is_kept = row.act.is_kept_in_sums();
        if is_kept {
            self.lines.extend_from_slice(line);
            self.kept += 1;
        }
        is_kept
    }

    /// The file, signed.
    ///
    /// # Errors
    /// None in practice: the header's own JSON could not be written.
    pub fn finish(
        self,
        (site, file, bytes): (SiteId, &MonthFile, u64),
        (last, head): (u64, Digest),
        others: String,
        key: &SigningKey,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let MonthFile { month, first, previous, .. } = *file;
        let kept = self.kept;
        let header = Header { version: VERSION, site, month, bytes, first, last, previous, head, kept, others };
        let mut sum = serde_json::to_vec(&header)?;
        sum.push(b'\n');
        sum.extend(self.lines);
        let signature = key.sign(&signed_bytes(&sum));
        sum.extend(format!("signature {}\n", hex::encode(signature.0)).into_bytes());
        Ok(sum)
    }
}

fn signed_bytes(sum: &[u8]) -> Vec<u8> {
    [SIGNED, &sha256(sum).0[..]].concat()
}

impl MonthFile {
    /// Where its sum stands.
    pub(super) fn sum_path(&self, dir: &Path) -> PathBuf {
        sum_path(&dir.join(&self.name))
    }
}

pub(super) fn sum_path(month: &Path) -> PathBuf {
    month.with_extension(SUFFIX)
}

impl MonthSum {
    /// The sum of a month's file; `None` where there is none that `signer` signed. That it fits the file is not known yet.
    pub fn read(disk: &dyn Disk, month: &Path, signer: &VerifyingKey) -> Option<Self> {
        let sum = Self::parse(&read_file(disk, &sum_path(month), FILE_LIMIT_BYTES).ok()?, signer);
        if sum.is_none() {
            tracing::warn!(file = %month.display(), "a month's sum is not what it should be: the month is read");
        }
        sum
    }

    /// `None` for what is none, or is not signed by `signer`.
    pub fn parse(bytes: &[u8], signer: &VerifyingKey) -> Option<Self> {
        let end = bytes.strip_suffix(b"\n")?.iter().rposition(|byte| *byte == b'\n')? + 1;
        let (signed, last) = bytes.split_at(end);
        let digits = std::str::from_utf8(last).ok()?.trim_end().strip_prefix("signature ")?;
        let mut signature = [0; 64];
        hex::decode_to_slice(digits, &mut signature).ok()?;
        signer.verify(&signed_bytes(signed), &Signature(signature)).ok()?;
        let mut lines = signed.split_inclusive(|byte| *byte == b'\n');
        let header: Header = serde_json::from_slice(lines.next()?).ok()?;
        let rows = lines.map(|line| read_line(line).map(|(_, row)| row)).collect::<Option<Vec<_>>>()?;
        let is_whole = header.version == VERSION && rows.len() as u64 == header.kept;
        is_whole.then_some(Self { header, rows })
    }

    /// Whether it says what these bytes say.
    pub fn is(&self, sum: &[u8], signer: &VerifyingKey) -> bool {
        Self::parse(sum, signer).is_some_and(|other| other == *self)
    }

    /// Whether the file can be what the sum was made of: of this site, as long, and behind what came before it.
    pub(super) fn fits(&self, site: SiteId, bytes: u64, before: Option<(u64, Digest)>) -> bool {
        let Header { first, previous, .. } = self.header;
        self.header.site == site
            && self.header.bytes == bytes
            && before.is_none_or(|before| before == (first, previous))
    }

    pub(super) fn others(&self) -> &str {
        &self.header.others
    }

    /// The file's end: the number of the row that follows, the digest there, and how long it is.
    pub fn end(&self) -> (u64, Digest, u64) {
        (self.header.last + 1, self.header.head, self.header.bytes)
    }

    /// The rows that a start needs.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }
}

/// Writes a month's sum. Not flushed: one that a power cut takes, or tears, is made again.
pub(super) fn write_sum(disk: &dyn Disk, month: &Path, sum: &[u8]) -> io::Result<()> {
    disk.create_new(&sum_path(month))?.write_all_at(sum, 0)
}

/// Whether there is a file where a month's sum belongs.
pub(super) fn has_sum(disk: &dyn Disk, month: &Path) -> bool {
    disk.open(&sum_path(month), Access::Read).is_ok()
}
