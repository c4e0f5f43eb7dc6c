//! Disputes: footage that nobody uses until it is settled what is true of it.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Asked, Body, Ends, Place};
use super::described::Created;
use super::parts::Part;
use super::problem::Problem;
use crate::access::{Dispute, NewDispute};
use crate::domain::request::{DisputeGround, DisputeOutcome};
use crate::domain::{CameraNumber, DisputeId, RequestId};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Disputed {
    /// What this request asks for, where no cameras or span are named.
    request: Option<RequestId>,
    cameras: Option<Vec<CameraNumber>>,
    span: Option<Ends>,
    ground: DisputeGround,
}

pub(super) async fn mark(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(Disputed { request, cameras, span, ground }): Body<Disputed>,
) -> Result<Created<Dispute>, Problem> {
    let new = NewDispute { request, cameras, span: span.map(Ends::span).transpose()?, ground };
    let marked = ask(&routes.access, move |access| access.mark_disputed(&caller, new)).await?;
    Ok(Created(marked))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settlement {
    outcome: DisputeOutcome,
}

pub(super) async fn settle(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(dispute): Place<DisputeId>,
    Body(Settlement { outcome }): Body<Settlement>,
) -> Result<Json<Dispute>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.settle_dispute(&caller, dispute, outcome)).await?))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Disputes {
    disputes: Vec<Dispute>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Disputes>, Problem> {
    let all = ask(&routes.access, move |access| access.disputes(&caller)).await?;
    let (disputes, next) = part.of(all, |dispute| dispute.dispute)?;
    Ok(Json(Disputes { disputes, next }))
}
