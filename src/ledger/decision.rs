//! What a decision's row says.

use super::reason::{ReasonText, Rest};
use crate::domain::request::{PostponementCause, RefusalGround};
use crate::domain::{AccountId, CameraNumber, Digest, GrantId, HeldFor, Span, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What may be seen of one camera. It begins at the key frame at or before the moment asked for, since nothing can be
/// decoded without that, and ends exactly where it was asked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct GrantedView {
    pub camera: CameraNumber,
    pub span: Span,
}

/// Why footage that was to be erased stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum KeptFor {
    /// Something else holds it.
    Held { by: HeldFor },
    /// A law wants it kept until then.
    Floor { until: Utc },
    /// It was still being written.
    Recording,
}

impl fmt::Display for KeptFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeptFor::Held { by } => write!(f, "held for {by}"),
            KeptFor::Floor { until } => write!(f, "a law wants it kept until {until}"),
            KeptFor::Recording => f.write_str("it is still being written"),
        }
    }
}

/// What stays of a camera, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeptView {
    pub camera: CameraNumber,
    pub span: Span,
    pub why: KeptFor,
}

/// Within what a grant may be used, besides its end, which its row tells apart. Whatever is left out is not limited.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantConditions {
    /// How often it may be watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewings: Option<u32>,
    /// At which terminal: the place where it is watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// Between when and when somebody comes to watch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment: Option<Span>,
    /// Whether the person who asked watches, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub present: bool,
    /// Whether a copy may be made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copy: bool,
    /// Whether everybody else has to be made unrecognisable first (Standard Guidelines, article 46).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masking: bool,
}

impl GrantConditions {
    /// Whether nothing is limited, and nothing allowed beyond watching.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How a request was decided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Decision {
    Approved {
        grant: GrantId,
        viewer: AccountId,
        views: Vec<GrantedView>,
        ends: Utc,
        segments: u32,
        /// Digest of the grant's slots as they were staged. Slots that no row names are erased at a start.
        slots: Digest,
        /// Within what it may be watched. Rows of the first versions have none: as often as wanted, wherever, no copy.
        #[serde(default, skip_serializing_if = "GrantConditions::are_none")]
        conditions: GrantConditions,
        /// Only a part of what was asked for: until when the person may object to the rest, which stays until then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partly_until: Option<Utc>,
        /// Why the rest was not approved. Rows of before it was asked for have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rest: Option<Rest>,
    },
    /// The answer to an existence check. Nothing is shown for it.
    Confirmed { exists: bool },
    Refused {
        ground: RefusalGround,
        reason: ReasonText,
        /// Until when the person may object; what was asked for stays until then. Rows of before it was told have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        objection_until: Option<Utc>,
    },
    /// What was asked to be erased goes: all of it but what is kept. Whole segments.
    Erased { erased: Vec<GrantedView>, segments: u32, kept: Vec<KeptView> },
    /// Not decided yet, for a reason, and expected to be by then. The request stays open, and keeps what it asks for.
    Postponed {
        reason: ReasonText,
        until: Utc,
        /// Rows of the first versions have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<PostponementCause>,
    },
}
