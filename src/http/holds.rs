//! Holds: what officers keep beyond its day, and for how long.

use super::Routes;
use super::answers::{SignedIn, ask, ask_with_password};
use super::bodies::{Body, Ends, Place};
use super::problem::Problem;
use crate::access::{Access, HoldView, HoldsView, NewHold, Password, RequestView};
use crate::domain::{CameraNumber, HeldFor, HoldId, HoldReason, RequestId, Utc};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    reason: HoldReason,
    text: String,
    cameras: Vec<CameraNumber>,
    span: Ends,
    review: Utc,
    #[serde(default)]
    ends: Option<Utc>,
}

pub(super) async fn list(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Result<Json<HoldsView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.all_holds(&caller)).await?))
}

pub(super) async fn show(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(hold): Place<HoldId>,
) -> Result<Json<HoldView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.hold(&caller, hold)).await?))
}

pub(super) async fn place(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(order): Body<Order>,
) -> Result<(StatusCode, Json<HoldView>), Problem> {
    let Order { reason, text, cameras, span, review, ends } = order;
    let new = NewHold { reason, text, cameras, span: span.span()?, review, ends };
    let view = ask(&routes.access, move |access| access.place_hold(&caller, new)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// The password, said again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    password: String,
}

pub(super) async fn confirm(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(hold): Place<HoldId>,
    Body(Again { password }): Body<Again>,
) -> Result<Json<HoldView>, Problem> {
    let password = Password::new(password);
    let question = move |access: &Access| {
        access.confirm_hold(&caller, HeldFor::Hold(hold), password.expose())?;
        access.hold(&caller, hold)
    };
    ask_with_password(&routes.access, question).await.map(Json).map_err(Problem::not_a_sign_in)
}

/// An officer confirms that a request holds as much as it does.
pub(super) async fn confirm_of_request(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Again { password }): Body<Again>,
) -> Result<Json<RequestView>, Problem> {
    let password = Password::new(password);
    let question = move |access: &Access| {
        access.confirm_hold(&caller, HeldFor::Request(request), password.expose())?;
        access.request(&caller, request)
    };
    ask_with_password(&routes.access, question).await.map(Json).map_err(Problem::not_a_sign_in)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Extension {
    review: Utc,
    #[serde(default)]
    ends: Option<Utc>,
}

pub(super) async fn extend(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(hold): Place<HoldId>,
    Body(Extension { review, ends }): Body<Extension>,
) -> Result<Json<HoldView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.extend_hold(&caller, hold, review, ends)).await?))
}

pub(super) async fn release(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(hold): Place<HoldId>,
    Body(Again { password }): Body<Again>,
) -> Result<Json<HoldView>, Problem> {
    let password = Password::new(password);
    let question = move |access: &Access| access.release_hold(&caller, hold, password.expose());
    ask_with_password(&routes.access, question).await.map(Json).map_err(Problem::not_a_sign_in)
}
