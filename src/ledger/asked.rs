//! What the rows of a request say beyond its cameras and span. Nothing of it is a name, a contact or a text about persons:
//! those stand in the sealed file.

use super::decision::GrantConditions;
use super::reason::{ReasonText, Rest};
use crate::domain::request::{
    Capacity, Channel, HandOverForm, IdentityDocument, PostponementCause, ProvisionBasis, RefusalGround,
};
use crate::domain::{AccountId, CameraNumber, LocalDay, Span, Utc};
use serde::{Deserialize, Serialize};

/// How a request came, and for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RequestTerms {
    /// When it arrived, however it did: from then on the ten days run. It may lie before the row.
    pub received: Utc,
    pub channel: Channel,
    pub capacity: Capacity,
    /// Somebody's life, body or property is at stake now (Standard Guidelines, article 44(1)); the words are sealed.
    pub urgent: bool,
    /// It is signed on paper.
    pub signed: bool,
    /// Of a provision to a third party; the recipient is named in the sealed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<ProvisionTerms>,
}

/// On what footage goes to a third party (PIPA 17, 18).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProvisionTerms {
    pub basis: ProvisionBasis,
    pub form: HandOverForm,
    /// Until when the recipient may use it.
    pub until: LocalDay,
}

/// Which papers were seen besides the requester's own document, and how. Numbers in them are never taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PapersSeen {
    /// The person stood before whoever checked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_person: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub power_of_attorney: bool,
    /// The consent of whoever it is about: the patient's or everybody's, where a kind asks for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub consent: bool,
    /// That a person is the legal guardian.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guardianship: bool,
    /// The document of the person it is about, where another one asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_document: Option<IdentityDocument>,
}

impl PapersSeen {
    /// Whether no other paper was noted.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A decision as it is proposed. What is carried out must be this.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "outcome", deny_unknown_fields)]
pub enum ProposedDecision {
    Approve {
        /// An existence check has none.
        viewer: Option<AccountId>,
        cameras: Vec<CameraNumber>,
        span: Span,
        ends: Option<Utc>,
        conditions: GrantConditions,
        /// Why the rest is not approved, where a part is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rest: Option<Rest>,
    },
    Refuse {
        ground: RefusalGround,
        reason: ReasonText,
    },
    Erase {
        cameras: Vec<CameraNumber>,
        span: Span,
        partly: bool,
    },
    Postpone {
        cause: PostponementCause,
        reason: ReasonText,
        until: Utc,
    },
    /// Nothing is left of it.
    Unavailable,
}
