//! Reasons in words. They may say something of persons, so a row holds no words but commits to them; the words stand sealed
//! to the desk, in a file of the request's.

use super::asked::ProposedDecision;
use super::decision::Decision;
use super::papers::SealedSheet;
use super::row::Act;
use crate::domain::RequestId;
use crate::domain::request::RefusalGround;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A reason in words.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum ReasonText {
    /// As rows have it.
    Sealed(SealedSheet),
    /// As it is said and shown, and as rows of the first versions have it.
    Clear(String),
}

/// An error or a log must not tell it.
impl fmt::Debug for ReasonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReasonText::Sealed(sheet) => f.debug_tuple("Sealed").field(sheet).finish(),
            ReasonText::Clear(_) => f.write_str("Clear"),
        }
    }
}

impl From<String> for ReasonText {
    fn from(text: String) -> Self {
        ReasonText::Clear(text)
    }
}

/// What of a request was not approved, where a part of it was: on which ground, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    pub ground: RefusalGround,
    pub reason: ReasonText,
}

impl Decision {
    /// Its reason in words, where it has one.
    pub fn reason(&self) -> Option<&ReasonText> {
        match self {
            Decision::Refused { reason, .. } | Decision::Postponed { reason, .. } => Some(reason),
            Decision::Approved { rest, .. } => rest.as_ref().map(|rest| &rest.reason),
            Decision::Confirmed { .. } | Decision::Erased { .. } => None,
        }
    }
}

impl ProposedDecision {
    /// The same.
    pub fn reason_mut(&mut self) -> Option<&mut ReasonText> {
        match self {
            ProposedDecision::Refuse { reason, .. } | ProposedDecision::Postpone { reason, .. } => Some(reason),
            ProposedDecision::Approve { rest, .. } => rest.as_mut().map(|rest| &mut rest.reason),
            ProposedDecision::Erase { .. } | ProposedDecision::Unavailable => None,
        }
    }
}

impl Act {
    /// The reason that a row gives in words, and of which request.
    pub fn reason_mut(&mut self) -> Option<(RequestId, &mut ReasonText)> {
        let (request, reason) = match self {
            Act::DecisionProposed { request, proposed } => (request, proposed.reason_mut()),
            Act::RequestDecided { request, decision } => {
                let reason = match decision {
                    Decision::Refused { reason, .. } | Decision::Postponed { reason, .. } => Some(reason),
                    Decision::Approved { rest, .. } => rest.as_mut().map(|rest| &mut rest.reason),
                    Decision::Confirmed { .. } | Decision::Erased { .. } => None,
                };
                (request, reason)
            }
            _ => return None,
        };
        reason.map(|reason| (*request, reason))
    }
}
