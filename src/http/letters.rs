//! Letters of a request; requests found by a person's name; what waits for an answer.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Body, Place};
use super::described::Created;
use super::problem::Problem;
use crate::access::{Delivery, Duties, LetterLine, LetterView, NewLetter, RequestPage};
use crate::domain::{DeliveryWay, Language, LetterKind, RequestId, Utc};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

const FOUND_AT_A_TIME: usize = 50;

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    letter: LetterKind,
    language: Language,
}

/// Prints a letter: a row, and so a POST.
pub(super) async fn produce(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Wanted { letter, language }): Body<Wanted>,
) -> Result<Created<LetterView>, Problem> {
    let camera_names = routes.cameras.get().iter().map(|camera| (camera.number, camera.name.clone())).collect();
    let new = NewLetter { kind: letter, language, camera_names };
    let view = ask(&routes.access, move |access| access.produce_letter(&caller, request, &new)).await?;
    Ok(Created(view))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Letters {
    letters: Vec<LetterLine>,
}

pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
) -> Result<Json<Letters>, Problem> {
    let letters = ask(&routes.access, move |access| access.letters(&caller, request)).await?;
    Ok(Json(Letters { letters }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivered {
    way: DeliveryWay,
    at: Option<Utc>,
    proof: Option<String>,
}

pub(super) async fn deliver(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place((request, number)): Place<(RequestId, u64)>,
    Body(Delivered { way, at, proof }): Body<Delivered>,
) -> Result<Json<Letters>, Problem> {
    let delivery = Delivery { way, at, proof };
    let question = move |access: &crate::access::Access| access.deliver_letter(&caller, request, number, &delivery);
    let letters = ask(&routes.access, question).await?;
    Ok(Json(Letters { letters }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Search {
    name: String,
    before: Option<RequestId>,
}

/// By name: in the body, so that it stands in no address.
pub(super) async fn search(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(Search { name, before }): Body<Search>,
) -> Result<Json<RequestPage>, Problem> {
    let question =
        move |access: &crate::access::Access| access.search_requests_by_name(&caller, &name, before, FOUND_AT_A_TIME);
    Ok(Json(ask(&routes.access, question).await?))
}

/// What waits for somebody.
pub(super) async fn duties(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Result<Json<Duties>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.duties_for(&caller)).await?))
}
