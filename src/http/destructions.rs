//! What was destroyed, day by day, and its confirmation.

use super::Routes;
use super::answers::{SignedIn, ask, ask_with_password};
use super::bodies::{Asked, Body, Place};
use super::parts::Part;
use super::problem::Problem;
use crate::access::{Access, DayConfirmation, DayLine, Password, ReportView};
use crate::domain::{Digest, LocalDay, Utc};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Days {
    days: Vec<DayLine>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn days(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Days>, Problem> {
    let all = ask(&routes.access, move |access| access.destruction_days(&caller)).await?;
    let (days, next) = part.of(all, |day| day.day)?;
    Ok(Json(Days { days, next }))
}

pub(super) async fn day(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(day): Place<LocalDay>,
) -> Result<Json<ReportView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.destruction_report(&caller, day)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirmation {
    /// Of the report, as it was shown.
    report: Digest,
    failures: u32,
    #[serde(default)]
    acknowledged: Option<String>,
    /// Date and time by the officer's own clock.
    time: Utc,
    password: String,
}

pub(super) async fn confirm(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(day): Place<LocalDay>,
    Body(confirmation): Body<Confirmation>,
) -> Result<Json<ReportView>, Problem> {
    let Confirmation { report, failures, acknowledged, time, password } = confirmation;
    let confirmation = DayConfirmation { report, failures, acknowledged, stated: time };
    let password = Password::new(password);
    let question = move |access: &Access| access.confirm_destruction(&caller, day, &confirmation, password.expose());
    ask_with_password(&routes.access, question).await.map(Json).map_err(Problem::not_a_sign_in)
}
