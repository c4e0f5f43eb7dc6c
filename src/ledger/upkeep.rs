//! What is done with the ledger itself: reviewed, exported, ended; and what is entered by hand.

use crate::domain::{AccountId, CopyEnd, CopyKind, Digest, Month, Overwrite, RequestId, Span, Utc};
use serde::{Deserialize, Serialize};

/// An officer's review of a month that is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MonthReview {
    pub month: Month,
    /// The month's first row and its last.
    pub first: u64,
    pub last: u64,
    /// Of the summary as it was shown (docs/format.md, section 9).
    pub summary: Digest,
    /// How many things stood out in it.
    pub odd: u32,
    /// What the officer says to those, or to anything else. It names nobody.
    pub remarks: Option<String>,
}

/// Which view of the ledger left the system.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportedView {
    /// The ministry's management ledger of use, provision, viewing and destruction.
    Register,
    AccessLog,
    RightsHistory,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportForm {
    Csv,
    /// A page that can be printed.
    Page,
}

/// What left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LedgerExport {
    pub view: ExportedView,
    pub form: ExportForm,
    pub span: Span,
    pub lines: u64,
    /// SHA-256 over every byte that left.
    pub digest: Digest,
    /// The row of the checkpoint that it carries.
    pub checkpoint: u64,
}

/// Prints or handed-out copies that were destroyed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CopyDestroyed {
    pub request: Option<RequestId>,
    pub copy: CopyKind,
    pub count: u32,
    pub how: CopyEnd,
    pub destroyed: Utc,
    /// Who did it, where that was not who entered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AccountId>,
}

/// Where the ledger begins when a month is erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MonthRoot {
    pub month: Month,
    /// The month's first row and its last, and the digest of that one.
    pub first: u64,
    pub last: u64,
    pub head: Digest,
    /// Of the rows that are carried on: those of accounts, keys and numbers that still count.
    pub carried: Digest,
    pub carried_rows: u32,
}

/// The receipt of a month's erasing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MonthErased {
    pub month: Month,
    pub bytes: u64,
    pub technique: String,
    pub overwrite: Overwrite,
    pub read_back_percent: u8,
}
