//! Requests from the counter to their end, but for their decisions.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Body, Ends, Place};
use super::problem::Problem;
use crate::access::{Identity, NewRequest, PersonFields, RequestView};
use crate::domain::request::{Capacity, Channel, IdentityDocument, RequestKind};
use crate::domain::{CameraNumber, RequestId, Utc};
use crate::ledger::{PapersSeen, ProvisionTerms};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Submission {
    kind: RequestKind,
    /// Or none, where the place says which.
    #[serde(default)]
    cameras: Vec<CameraNumber>,
    span: Ends,
    purpose: String,
    person: PersonFields,
    /// Who it is about, where another one asks.
    subject: Option<PersonFields>,
    #[serde(default)]
    capacity: Option<Capacity>,
    #[serde(default)]
    channel: Channel,
    /// When it arrived; left out: just now.
    received: Option<Utc>,
    /// Whose life, body or property is at stake, and how.
    urgent: Option<String>,
    /// Where it was, in words: of cameras that are not named, those whose name or place says so are asked for.
    place: Option<String>,
    #[serde(default)]
    signed: bool,
    recipient: Option<String>,
    provision: Option<ProvisionTerms>,
}

impl Submission {
    /// As whom somebody asks who does not say so.
    fn capacity(&self) -> Capacity {
        self.capacity.unwrap_or(match self.kind {
            RequestKind::OwnUse => Capacity::Staff,
            RequestKind::OperatingRoomAuthority | RequestKind::OperatingRoomMediation => Capacity::Authority,
            RequestKind::ExistenceCheck
            | RequestKind::Viewing
            | RequestKind::Copy
            | RequestKind::Erasure
            | RequestKind::Provision
            | RequestKind::OperatingRoomConsent => Capacity::Own,
        })
    }
}

/// The cameras whose name or place has all of these words.
fn cameras_at(routes: &Routes, place: &str) -> Vec<CameraNumber> {
    let words: Vec<String> = place.split_whitespace().map(str::to_lowercase).collect();
    let cameras = routes.cameras.get();
    let is_there = |text: &str| !words.is_empty() && words.iter().all(|word| text.contains(word));
    let there = cameras.iter().filter(|camera| is_there(&format!("{} {}", camera.name, camera.place).to_lowercase()));
    there.map(|camera| camera.number).collect()
}

pub(super) async fn submit(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(asked): Body<Submission>,
) -> Result<(StatusCode, Json<RequestView>), Problem> {
    let capacity = asked.capacity();
    let Submission { kind, mut cameras, span, purpose, person, channel, signed, provision, .. } = asked;
    let Submission { subject, received, urgent, place, recipient, .. } = asked;
    if let Some(place) = place.as_deref().filter(|_| cameras.is_empty()) {
        cameras = cameras_at(&routes, place);
        if cameras.is_empty() {
            let detail = "no camera's name or place says so; name the cameras";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "no-such-place", "No camera there", detail));
        }
    }
    let own = NewRequest::own(kind, cameras, span.span()?, purpose, person);
    let new = NewRequest { subject, capacity, channel, received, urgent, place, signed, recipient, provision, ..own };
    let view = ask(&routes.access, move |access| access.submit(&caller, new)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

#[derive(Serialize)]
pub(super) struct Requests {
    requests: Vec<RequestView>,
}

pub(super) async fn list(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Result<Json<Requests>, Problem> {
    Ok(Json(Requests { requests: ask(&routes.access, move |access| access.requests(&caller)).await? }))
}

pub(super) async fn show(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.request(&caller, request)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentitySeen {
    document: IdentityDocument,
    /// Papers besides it.
    #[serde(default)]
    seen: PapersSeen,
}

pub(super) async fn check_identity(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(IdentitySeen { document, seen }): Body<IdentitySeen>,
) -> Result<Json<RequestView>, Problem> {
    let identity = Identity { document, seen };
    Ok(Json(ask(&routes.access, move |access| access.check_identity(&caller, request, identity)).await?))
}

/// The person objects to a refusal.
pub(super) async fn object(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.object(&caller, request)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn close(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.close(&caller, request)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct By {
    channel: Channel,
}

/// The answer reached who asked.
pub(super) async fn deliver(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(By { channel }): Body<By>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.deliver(&caller, request, channel)).await?))
}

/// Who asked takes it back.
pub(super) async fn withdraw(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(By { channel }): Body<By>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.withdraw(&caller, request, channel)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FeeOf {
    amount_krw: u32,
    paid: bool,
}

/// What a copy costs, and whether that was paid.
pub(super) async fn note_fee(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(FeeOf { amount_krw, paid }): Body<FeeOf>,
) -> Result<Json<RequestView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.note_fee(&caller, request, amount_krw, paid)).await?))
}
