//! Operations: when an operating room's camera films.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Asked, Body, Nothing, Place};
use super::described::{Created, Tagged};
use super::parts::Part;
use super::problem::Problem;
use crate::access::{NewOperation, OperationView};
use crate::domain::{AskedBy, CameraNumber, OperationId};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    camera: CameraNumber,
    asked_by: AskedBy,
    name: String,
    #[serde(default)]
    note: Option<String>,
}

pub(super) async fn start(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(start): Body<Start>,
) -> Result<Created<OperationView>, Problem> {
    let Start { camera, asked_by, name, note } = start;
    let new = NewOperation { camera, asked_by, name, note };
    let view = ask(&routes.access, move |access| access.start_operation(&caller, new)).await?;
    Ok(Created(view))
}

pub(super) async fn end(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(operation): Place<OperationId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Tagged<OperationView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.end_operation(&caller, operation)).await?))
}

pub(super) async fn show(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(operation): Place<OperationId>,
) -> Result<Tagged<OperationView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.operation(&caller, operation)).await?))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Operations {
    operations: Vec<OperationView>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

/// All that are under way, then the others; the newest first.
pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Operations>, Problem> {
    let numbers = routes.access.operation_numbers(&caller)?;
    let (numbers, next) = part.of(numbers, |number| *number)?;
    let operations = ask(&routes.access, move |access| access.operations(&caller, &numbers)).await?;
    Ok(Json(Operations { operations, next }))
}
