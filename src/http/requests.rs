//! Requests from the counter to their end, but for their decisions.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Asked, Body, Ends, MaybeEnds, Nothing, Place};
use super::described::{Created, Tagged};
use super::parts::Part;
use super::problem::Problem;
use crate::access::{Identity, NewRequest, PersonFields, RequestFilter, RequestView};
use crate::domain::request::{Capacity, Channel, IdentityDocument, RequestKind, StateName};
use crate::domain::{CameraNumber, RequestId, Utc};
use crate::ledger::{PapersSeen, ProvisionTerms};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, schemars::JsonSchema)]
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
) -> Result<Created<RequestView>, Problem> {
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
    Ok(Created(view))
}

/// Which requests are wanted, and which part of them. What is left out does not matter.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichRequests {
    number: Option<RequestId>,
    /// Received from then on; goes with `to`.
    from: Option<Utc>,
    /// Received before then.
    to: Option<Utc>,
    state: Option<StateName>,
    camera: Option<CameraNumber>,
    /// What `next` said; from the newest without it.
    #[schemars(length(max = 100))]
    after: Option<String>,
    /// How many at most; 200 unless it is said.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u32>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Requests {
    requests: Vec<RequestView>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(wanted): Asked<WhichRequests>,
) -> Result<Json<Requests>, Problem> {
    let WhichRequests { number, from, to, state, camera, after, limit } = wanted;
    let part = Part { after, limit };
    let (before, limit) = (part.after_number()?.map(RequestId), part.limit()?);
    let filter = RequestFilter { number, received: MaybeEnds { from, to }.span()?, state, camera };
    let page = ask(&routes.access, move |access| access.request_page(&caller, &filter, before, limit)).await?;
    Ok(Json(Requests { requests: page.requests, next: page.next.map(|last| last.to_string()) }))
}

pub(super) async fn show(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.request(&caller, request)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
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
) -> Result<Tagged<RequestView>, Problem> {
    let identity = Identity { document, seen };
    Ok(Tagged(ask(&routes.access, move |access| access.check_identity(&caller, request, identity)).await?))
}

/// The person objects to a refusal.
pub(super) async fn object(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.object(&caller, request)).await?))
}

pub(super) async fn close(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.close(&caller, request)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
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
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.deliver(&caller, request, channel)).await?))
}

/// Who asked takes it back.
pub(super) async fn withdraw(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(By { channel }): Body<By>,
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.withdraw(&caller, request, channel)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
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
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.note_fee(&caller, request, amount_krw, paid)).await?))
}
