//! Copies that left the system: prints on paper, and what was handed out. Their destruction is entered by hand.

use serde::{Deserialize, Serialize};

/// What a copy is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyKind {
    Print,
    Disc,
    UsbStick,
    File,
    Other,
}

/// How it was destroyed, so that it cannot be restored (Decree, article 16).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyEnd {
    Shredded,
    Burnt,
    /// A medium was broken to pieces.
    Broken,
    Overwritten,
    /// Whoever had it confirmed in writing that it is destroyed.
    ConfirmedByHolder,
}
