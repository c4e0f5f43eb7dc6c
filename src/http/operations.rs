//! Operations: when an operating room's camera films.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Asked, Body, Place};
use super::problem::Problem;
use crate::access::{NewOperation, OperationView};
use crate::domain::{AskedBy, CameraNumber, OperationId};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

const USUAL: usize = 100;
const LIMIT: usize = 1_000;

#[derive(Deserialize)]
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
) -> Result<(StatusCode, Json<OperationView>), Problem> {
    let Start { camera, asked_by, name, note } = start;
    let new = NewOperation { camera, asked_by, name, note };
    let view = ask(&routes.access, move |access| access.start_operation(&caller, new)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn end(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(operation): Place<OperationId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<OperationView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.end_operation(&caller, operation)).await?))
}

pub(super) async fn show(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(operation): Place<OperationId>,
) -> Result<Json<OperationView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.operation(&caller, operation)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Newest {
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Operations {
    operations: Vec<OperationView>,
}

/// The newest, and all that are under way.
pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(Newest { limit }): Asked<Newest>,
) -> Result<Json<Operations>, Problem> {
    let limit = limit.unwrap_or(USUAL).min(LIMIT);
    Ok(Json(Operations { operations: ask(&routes.access, move |access| access.operations(&caller, limit)).await? }))
}
