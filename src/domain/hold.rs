//! Why footage is kept beyond its day, and for whose sake.

use super::{HoldId, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why an officer holds footage: a closed list, so that "just in case" is no reason.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldReason {
    /// Something happened: a fall, a quarrel, a fire, a theft that nobody has reported yet.
    Incident,
    /// Somebody was hurt, in treatment or on the premises.
    Accident,
    /// The site itself reports a crime.
    CrimeReport,
    /// A claim or complaint that is being settled: mediation, a lawsuit to come.
    Dispute,
    /// An authority inquires by legal procedure.
    Investigation,
    /// A court or another authority has ordered it kept.
    CourtOrder,
    /// An insurer wants it to settle a loss.
    Insurance,
    /// Somebody who was filmed asks for it before a request could be entered.
    OwnRequest,
    /// An authority inspects the site, or the site itself does.
    Inspection,
    /// Another reason that a law knows; the text names it.
    Other,
}

/// What a hold stands for: a request, which has one of its own, or what an officer ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HeldFor {
    Request(RequestId),
    Hold(HoldId),
}

impl fmt::Display for HeldFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeldFor::Request(request) => write!(f, "request {request}"),
            HeldFor::Hold(hold) => write!(f, "hold {hold}"),
        }
    }
}

/// How an officer's hold came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HoldEnd {
    /// An officer ended it.
    Released,
    /// The end that was set for it came.
    Lapsed,
}
