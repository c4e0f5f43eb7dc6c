//! The clock: how it is, and an officer's confirmation.

use super::Routes;
use super::answers::{SignedIn, ask, ask_with_password};
use super::bodies::Body;
use super::problem::Problem;
use crate::access::{Access, Password};
use crate::domain::Utc;
use crate::vault::ClockReport;
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

pub(super) async fn show(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
) -> Result<Json<ClockReport>, Problem> {
    Ok(Json(ask(&routes.access, move |access| Ok(access.clock(&caller))).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// Date and time, as the officer sees them on a clock of their own.
    time: Utc,
    /// How many segments fall due by it, where that must be stated.
    destroys: Option<u64>,
    password: String,
}

pub(super) async fn confirm(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(Confirmation { time, destroys, password }): Body<Confirmation>,
) -> Result<Json<ClockReport>, Problem> {
    let password = Password::new(password);
    let question = move |access: &Access| access.confirm_clock(&caller, time, destroys, password.expose());
    ask_with_password(&routes.access, question).await.map(Json).map_err(Problem::not_a_sign_in)
}
