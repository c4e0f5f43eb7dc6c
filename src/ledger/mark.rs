//! A checkpoint as it is kept elsewhere: a line of the system's journal, the foot of a letter, an export's last line.
//!
//! It says how many rows there were, and the digest over all of them. Whoever has one can tell of a ledger whether those
//! rows are still what they were: rows that were cut off, or written anew, under whatever key, do not lead to that digest.

use super::checkpoint::Checkpoint;
use crate::crypto::Signature;
use crate::domain::{Digest, SiteId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

/// A checkpoint without the manifests' heads. Those stand in the ledger's own row, which the digest leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CheckpointMark {
    /// Where the line tells it.
    pub site: Option<SiteId>,
    /// The row that it holds for, and that row's digest.
    pub sequence: u64,
    pub head: Digest,
    /// The site's, over the whole checkpoint; a line on paper may leave it out.
    pub signature: Option<Signature>,
}

impl From<&Checkpoint> for CheckpointMark {
    fn from(checkpoint: &Checkpoint) -> Self {
        let Checkpoint { site, sequence, head, signature, .. } = *checkpoint;
        Self { site: Some(site), sequence, head, signature }
    }
}

/// One line, as [`CheckpointMark::find_all`] reads it again.
impl fmt::Display for CheckpointMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("custodian checkpoint")?;
        if let Some(site) = self.site {
            write!(f, " site={site}")?;
        }
        write!(f, " sequence={} head={}", self.sequence, self.head)?;
        match self.signature {
            Some(signature) => write!(f, " signature={}", hex::encode(signature.0)),
            None => Ok(()),
        }
    }
}

fn digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

impl CheckpointMark {
    /// The checkpoint of a line, whatever stands around it: the journal's date and host, JSON, quotes.
    pub fn find(line: &str) -> Option<Self> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '=';
        let words = line.split(|c| !is_part(c)).filter_map(|word| word.split_once('='));
        let (mut sequence, mut head, mut site, mut signature) = (None, None, None, None);
        for (name, value) in words {
            match name {
                "sequence" => sequence = value.parse().ok(),
                "head" => head = digits(value).map(Digest),
                "site" => site = digits(value).map(SiteId),
                "signature" => signature = digits(value).map(Signature),
                _ => {}
            }
        }
        Some(Self { site, sequence: sequence?, head: head?, signature })
    }

    /// Every checkpoint in a file, in its order. Only the lines that hold one need to be text: a film is none.
    ///
    /// # Errors
    /// What reading says.
    pub fn find_all(file: impl BufRead) -> io::Result<Vec<Self>> {
        let marks = file.split(b'\n').map(|line| Ok(Self::find(&String::from_utf8_lossy(&line?))));
        marks.filter_map(Result::transpose).collect()
    }
}

/// Checkpoints kept elsewhere, held against a ledger's rows as they come.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptElsewhere {
    by_row: BTreeMap<u64, Vec<CheckpointMark>>,
    pub fits: u64,
    /// The newest one that does.
    pub newest: Option<u64>,
    /// Of rows before the first one at hand: they stood in months that are erased, or were not given.
    pub before: u64,
}

/// Why a checkpoint kept elsewhere does not hold for a ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Contradiction {
    Site,
    /// Rows behind this one, up to the checkpoint's, are not those that it was made of.
    Rows {
        sound_to: Option<u64>,
    },
}

impl KeptElsewhere {
    pub fn new(marks: &[CheckpointMark]) -> Self {
        let mut kept = Self::default();
        for mark in marks {
            kept.by_row.entry(mark.sequence).or_default().push(*mark);
        }
        kept
    }

    /// The rows at hand follow on this one. One that ends here is of its digest alone.
    pub fn begin(&mut self, site: SiteId, (sequence, head): (u64, Digest)) -> Result<(), Contradiction> {
        let of_later = self.by_row.split_off(&sequence);
        self.before = self.by_row.values().map(|marks| marks.len() as u64).sum();
        self.by_row = of_later;
        // What stands before a file is told by that file alone: it says something where a checkpoint bears it out.
        if sequence > 0 { self.take(site, sequence, head) } else { Ok(()) }
    }

    /// A row, and its digest.
    pub fn take(&mut self, site: SiteId, sequence: u64, head: Digest) -> Result<(), Contradiction> {
        for mark in self.by_row.remove(&sequence).unwrap_or_default() {
            if mark.site.is_some_and(|of| of != site) {
                return Err(Contradiction::Site);
            }
            if mark.head != head {
                return Err(Contradiction::Rows { sound_to: self.newest });
            }
            self.fits += 1;
            self.newest = Some(sequence);
        }
        Ok(())
    }

    /// The newest row that a checkpoint is of, where the ledger ended before it.
    pub fn beyond(&self) -> Option<u64> {
        self.by_row.keys().next_back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> CheckpointMark {
        CheckpointMark {
            site: Some(SiteId([1; 16])),
            sequence: 120,
            head: Digest([0xab; 32]),
            signature: Some(Signature([7; 64])),
        }
    }

    #[test]
    fn a_line_is_found_in_a_journal_in_json_and_as_somebody_typed_it() {
        let line = mark().to_string();
        let journal = format!("Nov 26 21:45:00 clinic custodian[812]: {line}");
        let json = format!("{{\"MESSAGE\":\"{line}\",\"PRIORITY\":\"6\"}}");
        for text in [line.clone(), journal, json] {
            assert_eq!(CheckpointMark::find(&text), Some(mark()), "{text}");
        }
        let typed = format!("  sequence=120, head={}", "ab".repeat(32));
        assert_eq!(CheckpointMark::find(&typed), Some(CheckpointMark { site: None, signature: None, ..mark() }));
        let text = format!("nothing here\n{line}\nsequence=1\nhead={}\n{line}\n", "ab".repeat(31));
        assert_eq!(CheckpointMark::find_all(text.as_bytes()).unwrap().len(), 2);
    }
}
