//! What is taken from a request: path, query and body, each refused with a problem that says what to write.

use super::problem::Problem;
use super::{BODY_LIMIT_BYTES, Routes};
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::domain::{Span, Utc};
use std::time::Duration;

/// A body must be there within this: the longest is read in a moment.
const BODY_LIMIT: Duration = Duration::from_secs(20);

/// A JSON body. Only `application/json` is taken: a form on another site cannot send that.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Routes> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, routes: &Routes) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.split(';').next().map(str::trim) != Some("application/json") {
            let detail = "send the body as application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "JSON is wanted", detail));
        }
        let bytes = read(routes, request).await?;
        serde_json::from_slice(&bytes).map(Body).map_err(|e| Problem::bad_input(e.to_string()))
    }
}

/// All of a body, if it is there in time and not too large.
pub(super) async fn read(routes: &Routes, request: Request) -> Result<Bytes, Problem> {
    let refused = |status, detail: String| Problem::new(status, "bad-body", "The body cannot be read", detail);
    // What its head says of it is enough: nobody waits for the rest.
    if usize::try_from(request.body().size_hint().lower()).ok().is_none_or(|bytes| bytes > BODY_LIMIT_BYTES) {
        let detail = format!("it is larger than {BODY_LIMIT_BYTES} bytes");
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let slow = |_| refused(StatusCode::REQUEST_TIMEOUT, format!("it took more than {} s", BODY_LIMIT.as_secs()));
    let read = routes.clock.timeout(BODY_LIMIT, Bytes::from_request(request, routes)).await.map_err(slow)?;
    read.map_err(|rejection| {
        refused(rejection.status(), format!("it is larger than {BODY_LIMIT_BYTES} bytes, or broke off"))
    })
}

/// Parts of the path, each of its own type.
pub(super) struct Place<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Place<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(place)) => Ok(Place(place)),
            Err(_) => Err(super::problem::no_such_route().await),
        }
    }
}

/// The part behind the question mark.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(e) => Err(Problem::bad_input(e.body_text())),
        }
    }
}

/// Two ends that are a span only if the second comes after the first.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ends {
    pub from: Utc,
    pub to: Utc,
}

impl Ends {
    pub fn span(self) -> Result<Span, Problem> {
        Span::new(self.from, self.to).map_err(|e| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-span", "The span is not one", e.to_string())
        })
    }
}

/// Ends that may be left out, but only together.
#[derive(Clone, Copy, Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaybeEnds {
    pub from: Option<Utc>,
    pub to: Option<Utc>,
}

impl MaybeEnds {
    pub fn span(self) -> Result<Option<Span>, Problem> {
        match (self.from, self.to) {
            (None, None) => Ok(None),
            (Some(from), Some(to)) => Ends { from, to }.span().map(Some),
            _ => Err(Problem::bad_input("from and to go together")),
        }
    }
}

/// The password, said again.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Again {
    pub password: String,
}

/// A body in which there is nothing to say.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
