//! Requests and their decisions; the ledger that they leave behind.

use super::Routes;
use super::answers::{SignedIn, ask, ask_with_password};
use super::bodies::{Asked, Body, Ends, Place};
use super::described::{Created, Tagged};
use super::parts::Part;
use super::problem::Problem;
use crate::access::{
    Access, Approval, Caller, Erasure, NewRequest, Password, PersonFields, Postponement, Refusal, RequestView, Steps,
};
use crate::domain::request::{IdentityDocument, RefusalGround, RequestKind};
use crate::domain::{AccountId, CameraNumber, Digest, RequestId, Utc};
use crate::ledger::{Act, Row};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Submission {
    kind: RequestKind,
    cameras: Vec<CameraNumber>,
    span: Ends,
    purpose: String,
    person: PersonFields,
}

pub(super) async fn submit(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(asked): Body<Submission>,
) -> Result<Created<RequestView>, Problem> {
    let Submission { kind, cameras, span, purpose, person } = asked;
    let new = NewRequest { kind, cameras, span: span.span()?, purpose, person };
    let view = ask(&routes.access, move |access| access.submit(&caller, new)).await?;
    Ok(Created(view))
}

#[derive(Serialize, schemars::JsonSchema)]
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
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.request(&caller, request)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    document: IdentityDocument,
}

pub(super) async fn check_identity(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Identity { document }): Body<Identity>,
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.check_identity(&caller, request, document)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "decision", deny_unknown_fields)]
pub(super) enum Decided {
    Approve {
        viewer: Option<AccountId>,
        cameras: Option<Vec<CameraNumber>>,
        span: Option<Ends>,
        ends: Option<Utc>,
        password: String,
    },
    Refuse {
        ground: RefusalGround,
        reason: String,
        password: String,
    },
    Erase {
        cameras: Option<Vec<CameraNumber>>,
        span: Option<Ends>,
        /// Decided as well where a part must stay.
        #[serde(default)]
        partly: bool,
        password: String,
    },
    Postpone {
        reason: String,
        until: Utc,
        password: String,
    },
}

pub(super) async fn decide(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(decided): Body<Decided>,
) -> Result<Tagged<RequestView>, Problem> {
    let view = match decided {
        Decided::Approve { viewer, cameras, span, ends, password } => {
            let span = span.map(Ends::span).transpose()?;
            let approval = Approval { viewer, cameras, span, ends };
            let password = Password::new(password);
            let question = move |access: &Access| access.approve(&caller, request, &approval, password.expose());
            ask_with_password(&routes.access, question).await
        }
        Decided::Refuse { ground, reason, password } => {
            let refusal = Refusal { ground, reason };
            let password = Password::new(password);
            let question = move |access: &Access| access.refuse(&caller, request, &refusal, password.expose());
            ask_with_password(&routes.access, question).await
        }
        Decided::Erase { cameras, span, partly, password } => {
            let erasure = Erasure { cameras, span: span.map(Ends::span).transpose()?, partly };
            let password = Password::new(password);
            let question = move |access: &Access| access.erase(&caller, request, &erasure, password.expose());
            ask_with_password(&routes.access, question).await
        }
        Decided::Postpone { reason, until, password } => {
            let postponement = Postponement { reason, until };
            let password = Password::new(password);
            let question = move |access: &Access| access.postpone(&caller, request, &postponement, password.expose());
            ask_with_password(&routes.access, question).await
        }
    };
    view.map(Tagged).map_err(Problem::not_a_sign_in)
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

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct DecisionUnderWay {
    /// `null` while nobody decides.
    steps: Option<Steps>,
}

/// How far a decision under way has come. What an approval hands over is read from the disk first.
pub(super) async fn decision_steps(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
) -> Result<Json<DecisionUnderWay>, Problem> {
    let steps = ask(&routes.access, move |access| access.decision_steps(&caller, request)).await?;
    Ok(Json(DecisionUnderWay { steps }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

pub(super) async fn close(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(request): Place<RequestId>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Tagged<RequestView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.close(&caller, request)).await?))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Head {
    sequence: u64,
    digest: Digest,
    writable: bool,
}

pub(super) async fn ledger_head(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
) -> Result<Json<Head>, Problem> {
    let (sequence, digest, writable) = ask(&routes.access, move |access| access.ledger_head(&caller)).await?;
    Ok(Json(Head { sequence, digest, writable }))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Rows {
    rows: Vec<Row>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn ledger(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Rows>, Problem> {
    let (rows, next) = rows_of(&routes, caller, &part, |_| true).await?;
    Ok(Json(Rows { rows, next }))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Destructions {
    destructions: Vec<Row>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn destructions(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Destructions>, Problem> {
    let wanted = |act: &Act| matches!(act, Act::FootageDestroyed(_));
    let (destructions, next) = rows_of(&routes, caller, &part, wanted).await?;
    Ok(Json(Destructions { destructions, next }))
}

/// A part of the rows that are wanted, and what goes on behind it.
async fn rows_of(
    routes: &Routes,
    caller: Caller,
    part: &Part,
    wanted: fn(&Act) -> bool,
) -> Result<(Vec<Row>, Option<String>), Problem> {
    let (after, limit) = (part.after()?.unwrap_or(0), part.limit()?);
    // One more than is told says whether there are more.
    let mut rows = ask(&routes.access, move |access| access.ledger_rows(&caller, after, limit + 1, wanted)).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| last.sequence.to_string());
    Ok((rows, next))
}
