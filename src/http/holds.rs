//! Holds: what officers keep beyond its day, and for how long.

use super::Routes;
use super::answers::{SignedIn, ask, ask_again};
use super::bodies::{Again, Asked, Body, Ends, Place};
use super::described::{Created, Tagged};
use super::parts::Part;
use super::problem::Problem;
use crate::access::{Access, HoldView, HoldsView, NewHold, RequestView};
use crate::domain::{CameraNumber, HeldFor, HoldId, HoldReason, RequestId, Utc};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, schemars::JsonSchema)]
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

/// Officers' holds in parts; those of requests come with the first.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct HoldsPart {
    #[serde(flatten)]
    view: HoldsView,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<HoldsPart>, Problem> {
    let mut view = ask(&routes.access, move |access| access.all_holds(&caller)).await?;
    if !part.is_first() {
        view.of_requests.clear();
    }
    let (holds, next) = part.of(view.holds, |hold| hold.hold)?;
    Ok(Json(HoldsPart { view: HoldsView { holds, ..view }, next }))
}

pub(super) async fn show(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(hold): Place<HoldId>,
) -> Result<Tagged<HoldView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.hold(&caller, hold)).await?))
}

pub(super) async fn place(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(order): Body<Order>,
) -> Result<Created<HoldView>, Problem> {
    let Order { reason, text, cameras, span, review, ends } = order;
    let new = NewHold { reason, text, cameras, span: span.span()?, review, ends };
    let view = ask(&routes.access, move |access| access.place_hold(&caller, new)).await?;
    Ok(Created(view))
}

pub(super) async fn confirm(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(hold): Place<HoldId>,
    Body(Again { password }): Body<Again>,
) -> Result<Tagged<HoldView>, Problem> {
    let question = move |access: &Access, password: &str| {
        access.confirm_hold(&caller, HeldFor::Hold(hold), password)?;
        access.hold(&caller, hold)
    };
    ask_again(&routes.access, password, question).await.map(Tagged)
}

/// An officer confirms that a request holds as much as it does.
pub(super) async fn confirm_of_request(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Again { password }): Body<Again>,
) -> Result<Tagged<RequestView>, Problem> {
    let question = move |access: &Access, password: &str| {
        access.confirm_hold(&caller, HeldFor::Request(request), password)?;
        access.request(&caller, request)
    };
    ask_again(&routes.access, password, question).await.map(Tagged)
}

#[derive(Deserialize, schemars::JsonSchema)]
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
) -> Result<Tagged<HoldView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.extend_hold(&caller, hold, review, ends)).await?))
}

pub(super) async fn release(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(hold): Place<HoldId>,
    Body(Again { password }): Body<Again>,
) -> Result<Tagged<HoldView>, Problem> {
    let question = move |access: &Access, password: &str| access.release_hold(&caller, hold, password);
    ask_again(&routes.access, password, question).await.map(Tagged)
}
