//! Decisions of requests: made by an officer, or first proposed, where a site wants two people of different roles.

use super::Routes;
use super::answers::{SignedIn, ask, ask_again};
use super::bodies::{Body, Ends, Place};
use super::described::Tagged;
use super::problem::Problem;
use crate::access::{Access, AccessError, Approval, Caller, Erasure, Postponement, Refusal, RequestView, Steps};
use crate::domain::request::{PostponementCause, RefusalGround};
use crate::domain::{AccountId, CameraNumber, RequestId, Utc};
use crate::ledger::{GrantConditions, ProposedDecision};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "decision", deny_unknown_fields)]
pub(super) enum Decided {
    Approve {
        viewer: Option<AccountId>,
        cameras: Option<Vec<CameraNumber>>,
        span: Option<Ends>,
        ends: Option<Utc>,
        /// How often, where, when and with whom it may be watched; whether a copy may be made, and must be masked.
        #[serde(default)]
        conditions: GrantConditions,
        /// Why the rest is not approved, where only a part of it is.
        rest: Option<RestRefused>,
        password: String,
    },
    Refuse {
        ground: RefusalGround,
        reason: String,
        password: String,
    },
    Erase {
        cameras: Option<Vec<CameraNumber>>,
        span: Option<Ends>,
        /// Decided as well where a part must stay.
        #[serde(default)]
        partly: bool,
        password: String,
    },
    Postpone {
        cause: Option<PostponementCause>,
        reason: String,
        until: Utc,
        password: String,
    },
    /// Nothing is left of it.
    Unavailable {
        password: String,
    },
    /// What was proposed, as it was.
    Proposed {
        password: String,
    },
}

/// On which ground, and why, the rest of a request is not approved.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RestRefused {
    ground: RefusalGround,
    reason: String,
}

/// The same without the password.
enum Decision {
    Approve(Approval),
    Refuse(Refusal),
    Erase(Erasure),
    Postpone(Postponement),
    Unavailable,
    Proposed,
}

impl Decided {
    fn taken_apart(self) -> Result<(Decision, String), Problem> {
        Ok(match self {
            Decided::Approve { viewer, cameras, span, ends, conditions, rest, password } => {
                let span = span.map(Ends::span).transpose()?;
                let rest = rest.map(|RestRefused { ground, reason }| Refusal { ground, reason });
                (Decision::Approve(Approval { viewer, cameras, span, ends, conditions, rest }), password)
            }
            Decided::Refuse { ground, reason, password } => (Decision::Refuse(Refusal { ground, reason }), password),
            Decided::Erase { cameras, span, partly, password } => {
                let span = span.map(Ends::span).transpose()?;
                (Decision::Erase(Erasure { cameras, span, partly }), password)
            }
            Decided::Postpone { cause, reason, until, password } => {
                let cause = cause.unwrap_or(PostponementCause::OtherJustCause);
                (Decision::Postpone(Postponement { cause, reason, until }), password)
            }
            Decided::Unavailable { password } => (Decision::Unavailable, password),
            Decided::Proposed { password } => (Decision::Proposed, password),
        })
    }
}

impl Decision {
    fn take(
        &self,
        access: &Access,
        caller: &Caller,
        request: RequestId,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        match self {
            Decision::Approve(approval) => access.approve(caller, request, approval, password),
            Decision::Refuse(refusal) => access.refuse(caller, request, refusal, password),
            Decision::Erase(erasure) => access.erase(caller, request, erasure, password),
            Decision::Postpone(postponement) => access.postpone(caller, request, postponement, password),
            Decision::Unavailable => access.find_unavailable(caller, request, password),
            Decision::Proposed => access.carry_out(caller, request, password),
        }
    }

    fn proposed(&self, access: &Access, request: RequestId) -> Result<ProposedDecision, AccessError> {
        match self {
            Decision::Approve(approval) => access.proposed_approval(request, approval),
            Decision::Refuse(Refusal { ground, reason }) => {
                Ok(ProposedDecision::Refuse { ground: *ground, reason: reason.clone().into() })
            }
            Decision::Erase(erasure) => access.proposed_erasure(request, erasure),
            Decision::Postpone(Postponement { cause, reason, until }) => {
                Ok(ProposedDecision::Postpone { cause: *cause, reason: reason.clone().into(), until: *until })
            }
            Decision::Unavailable => Ok(ProposedDecision::Unavailable),
            Decision::Proposed => {
                Err(AccessError::BadInput { field: "decision", what: "say what is proposed: it stands there already" })
            }
        }
    }
}

pub(super) async fn decide(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(decided): Body<Decided>,
) -> Result<Tagged<RequestView>, Problem> {
    let (decision, password) = decided.taken_apart()?;
    let question = move |access: &Access, password: &str| decision.take(access, &caller, request, password);
    ask_again(&routes.access, password, question).await.map(Tagged)
}

/// A decision that another person is to stand by.
pub(super) async fn propose(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(decided): Body<Decided>,
) -> Result<Tagged<RequestView>, Problem> {
    let (decision, password) = decided.taken_apart()?;
    let question = move |access: &Access, password: &str| {
        access.propose(&caller, request, decision.proposed(access, request)?, password)
    };
    ask_again(&routes.access, password, question).await.map(Tagged)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Second {
    /// The proposal's row, as it was seen: another one since is not stood by.
    proposal: u64,
    password: String,
}

/// Somebody of another role stands by a proposal.
pub(super) async fn second(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Second { proposal, password }): Body<Second>,
) -> Result<Tagged<RequestView>, Problem> {
    let question = move |access: &Access, password: &str| access.second(&caller, request, proposal, password);
    ask_again(&routes.access, password, question).await.map(Tagged)
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct DecisionUnderWay {
    /// `null` while nobody decides.
    steps: Option<Steps>,
}

/// How far a decision under way has come. What an approval hands over is read from the disk first.
pub(super) async fn decision_steps(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
) -> Result<Json<DecisionUnderWay>, Problem> {
    let steps = ask(&routes.access, move |access| access.decision_steps(&caller, request)).await?;
    Ok(Json(DecisionUnderWay { steps }))
}
