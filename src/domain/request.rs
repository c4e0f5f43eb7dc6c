//! What can be asked, and on what grounds it can be answered: the law's closed lists.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestKind {
    /// Is there footage of me?
    ExistenceCheck,
    /// May I see it?
    Viewing,
    /// Erase what shows me (PIPA 36).
    Erasure,
}

/// The document by which a person was identified. Its number is never taken (PIPA 38, Decree 46).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityDocument {
    ResidentCard,
    Passport,
    DriversLicence,
}

/// Why a request may be refused (PIPA 35(4)). "Bystanders are visible" and "police only" are not grounds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalGround {
    /// A law forbids it or limits it.
    ForbiddenByLaw,
    /// Another's life or body would be endangered, or another's interests harmed unduly.
    HarmToOthers,
    /// Already destroyed at the end of its period.
    AlreadyDestroyed,
    /// Another just cause, given in words.
    OtherJustCause,
}

impl fmt::Display for RefusalGround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RefusalGround::ForbiddenByLaw => "a law forbids or limits it",
            RefusalGround::HarmToOthers => "it would harm others",
            RefusalGround::AlreadyDestroyed => "the footage was destroyed at the end of its period",
            RefusalGround::OtherJustCause => "another just cause",
        })
    }
}
