//! Where the ledger begins when months are erased, and what of them is carried on.
//!
//! A month past its period is erased like footage; what follows on it goes on from the digest of its last row. What of its
//! rows still counts (accounts that stand, requests that are open, the keys of the site) is carried on, as those rows stood,
//! in a small file: `root-2023-11`, named by the newest month that is erased. Its digest is in a row of a living month,
//! `ledger-month-ending`, so that it cannot be changed unnoticed, with or without keys.
//!
//! Order of an end: that row → the new root file, its content flushed, then its name → the month's file and its sum are
//! overwritten, flushed, read back, and their names taken away; the older root file likewise → the receipt, a row. From the
//! flush of the root's name on the month counts as erased: a start skips what is left of it, and the daemon goes on.

use super::row::{Act, Row};
use super::verify::read_line;
use crate::crypto::{VerifyingKey, sha256};
use crate::disk::{SharedDisk, read_file};
use crate::domain::{Digest, Month, SiteId};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

const PREFIX: &str = "root-";
const VERSION: u32 = 1;
const FILE_LIMIT_BYTES: u64 = 1 << 30;
const END: &str = "end ";

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    site: SiteId,
    /// The newest month that is erased, its last row and that one's digest.
    month: Month,
    last: u64,
    head: Digest,
    /// How many rows are carried on.
    rows: u32,
}

/// A root file that is whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerRoot {
    header: Header,
    rows: Vec<(Row, Vec<u8>)>,
    /// SHA-256 over the whole file.
    digest: Digest,
}

impl LedgerRoot {
    /// The file of a month's end. Each row with its line.
    ///
    /// # Errors
    /// None in practice: the header's own JSON could not be written.
    pub fn to_bytes<'a>(
        site: SiteId,
        (month, last, head): (Month, u64, Digest),
        lines: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let rows = u32::try_from(lines.clone().count()).unwrap_or(u32::MAX);
        let mut bytes = serde_json::to_vec(&Header { version: VERSION, site, month, last, head, rows })?;
        bytes.push(b'\n');
        lines.for_each(|line| bytes.extend_from_slice(line));
        // One that a power cut tore says so by itself.
        let end = sha256(&bytes);
        bytes.extend(format!("{END}{end}\n").into_bytes());
        Ok(bytes)
    }

    /// `None` for what is none, or is not whole.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.strip_suffix(b"\n")?.iter().rposition(|byte| *byte == b'\n')? + 1;
        let (told, last) = bytes.split_at(end);
        if last != format!("{END}{}\n", sha256(told)).as_bytes() {
            return None;
        }
        let mut lines = told.split_inclusive(|byte| *byte == b'\n');
        let header: Header = serde_json::from_slice(lines.next()?).ok()?;
        let rows = lines.map(|line| Some((read_line(line)?.1, line.to_vec()))).collect::<Option<Vec<_>>>()?;
        let is_whole = header.version == VERSION && rows.len() as u64 == u64::from(header.rows);
        is_whole.then(|| Self { header, rows, digest: sha256(bytes) })
    }

    pub fn site(&self) -> SiteId {
        self.header.site
    }

    /// The newest month that is erased.
    pub fn month(&self) -> Month {
        self.header.month
    }

    /// The number that the ledger's first row has now, and the digest before it.
    pub fn begins(&self) -> (u64, Digest) {
        (self.header.last + 1, self.header.head)
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The site's signing key, as its first row says.
    pub fn signer(&self) -> Option<VerifyingKey> {
        self.rows.iter().find_map(|(row, _)| match &row.act {
            Act::SiteMade { signer, .. } => Some(*signer),
            _ => None,
        })
    }

    /// The rows that are carried on, each with its line, oldest first.
    pub fn rows(&self) -> &[(Row, Vec<u8>)] {
        &self.rows
    }
}

/// The name of a root file.
pub(super) fn root_name(month: Month) -> String {
    format!("{PREFIX}{month}")
}

/// Whether a name is that of a root file.
pub fn is_root_name(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|month| month.parse::<Month>().is_ok())
}

/// The newest root that is whole, of the names in a directory.
pub(super) fn newest_root(disk: &SharedDisk, dir: &Path, names: &[String]) -> io::Result<Option<LedgerRoot>> {
    for name in names.iter().rev().filter(|name| is_root_name(name)) {
        let bytes = read_file(&**disk, &dir.join(name), FILE_LIMIT_BYTES)?;
        match LedgerRoot::parse(&bytes) {
            Some(root) if root_name(root.month()) == *name => return Ok(Some(root)),
            // What was left of one that a power cut tore: it is made again.
            _ => tracing::warn!(file = name, "a root of the ledger is not whole: the one before counts"),
        }
    }
    Ok(None)
}
