//! Who people are to the house.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What an account may do. One account is one person (Safety Measures Notice, article 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Enters requests and hands results over.
    Staff,
    /// Decides requests, places and releases holds, confirms destruction.
    Officer,
    /// Sees what a grant names.
    Viewer,
    /// Reads the ledger and reports.
    Auditor,
    /// Configures cameras and sees health; never requests or recorded footage.
    Installer,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Staff, Role::Officer, Role::Viewer, Role::Auditor, Role::Installer];

    /// Whether the role reads what requests hold of persons, and so has a slot of the desk's key.
    pub fn reads_persons(self) -> bool {
        matches!(self, Role::Staff | Role::Officer | Role::Auditor)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Staff => "staff",
            Role::Officer => "officer",
            Role::Viewer => "viewer",
            Role::Auditor => "auditor",
            Role::Installer => "installer",
        })
    }
}
