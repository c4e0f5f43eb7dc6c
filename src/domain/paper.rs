//! What is written of persons, and stands sealed to the desk.

use super::{HeldFor, HoldId, OperationId, RequestId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What something that is sealed to the desk is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PaperOf {
    /// The persons of a request, its purpose, and what else is written of them.
    Request(RequestId),
    /// The text of an officer's hold.
    Hold(HoldId),
    /// Who asked that an operation be filmed.
    Operation(OperationId),
}

impl From<HeldFor> for PaperOf {
    fn from(of: HeldFor) -> Self {
        match of {
            HeldFor::Request(request) => PaperOf::Request(request),
            HeldFor::Hold(hold) => PaperOf::Hold(hold),
        }
    }
}

impl From<HoldId> for PaperOf {
    fn from(hold: HoldId) -> Self {
        PaperOf::Hold(hold)
    }
}

impl From<RequestId> for PaperOf {
    fn from(request: RequestId) -> Self {
        PaperOf::Request(request)
    }
}

impl From<OperationId> for PaperOf {
    fn from(operation: OperationId) -> Self {
        PaperOf::Operation(operation)
    }
}

impl fmt::Display for PaperOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PaperOf::Request(request) => write!(f, "request {request}"),
            PaperOf::Hold(hold) => write!(f, "hold {hold}"),
            PaperOf::Operation(operation) => write!(f, "operation {operation}"),
        }
    }
}
