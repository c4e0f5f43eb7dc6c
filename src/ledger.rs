//! The ledger: an append-only record of access, rights and destruction (Standard Guidelines, articles 42 and 44 to 47).
//!
//! One file a month. One row a line: 64 hexadecimal digits, a space, JSON. The digits are
//! `SHA-256("custodian ledger 1" ‖ digest of the row before ‖ JSON)`; the first row of a file carries the digest
//! before it in the clear, so that a file is verified by itself and months are verified together.
//!
//! Invariants
//! - L1 A row is flushed (`fdatasync`) before whoever asked for it gets an answer.
//! - L2 After a failed write or flush the ledger takes no more rows until a restart: what cannot be recorded does not
//!   happen. A full disk is no failure: the row is taken back, and the next one tried.
//! - L3 A torn last line (no line end, or a zero byte where a sector never reached the disk) was never answered: it is
//!   cut off at the start. Any other line that does not fit is a fault, and the ledger does not open.
//! - L4 No row holds a name, a contact or a key.
//! - L5 On a full disk what is owed is recorded out of a reserve for a day; nothing is shown meanwhile.

#[cfg(test)]
mod tests;

mod asked;
mod checkpoint;
mod closed;
mod decision;
mod destroyed;
mod elsewhere;
mod file;
mod lines;
mod mark;
mod pages;
mod papers;
mod reason;
mod receipt;
mod reserve;
mod root;
mod row;
mod shared;
mod sum;
mod upkeep;
mod verify;
mod viewed;

pub use asked::{PapersSeen, ProposedDecision, ProvisionTerms, RequestTerms};
pub use checkpoint::{Checkpoint, ManifestCheckpoint};
pub use closed::ClosedManifests;
pub use decision::{Decision, GrantConditions, GrantedView, KeptFor, KeptView};
pub use destroyed::{DestroyedRow, DestroyedRows};
pub use elsewhere::Elsewhere;
pub use file::{Ledger, LedgerError, NewestKnown};
pub use mark::CheckpointMark;
pub use pages::{LedgerPages, MonthFile, RowPage};
pub use papers::{LetterDelivered, LetterProduced, PaperErased, RequestReminded, SealedSheet};
pub use reason::{ReasonText, Rest};
pub use receipt::{ClosedCamera, ClosedCoverage, ClosedGap, DestructionReceipt, ManifestClosed};
pub use reserve::LedgerRoom;
pub use root::{LedgerRoot, is_root_name};
pub use row::{Act, Actor, Row};
pub use shared::SharedLedger;
pub use sum::{Adding, MonthSum, SumMaker};
pub use upkeep::{CopyDestroyed, ExportForm, ExportedView, LedgerExport, MonthErased, MonthReview, MonthRoot};
pub use verify::{Fault, Known, Verified, verify_against, verify_files, verify_rows};
pub use viewed::{ServedFootage, ViewRefusal, ViewingBegun, ViewingEnded, add_seen};
