//! What the OpenAPI document says of each part of a request and of each answer. A handler is described by its types: what it
//! takes, what it gives, and with which statuses either may fail.

use super::answers::{AsksByItself, Code, Entered, Origin, Peer, SignedIn, Token};
use super::bodies::{Asked, Body, Place};
use super::problem::Problem;
use crate::access::{AccountView, HoldView, OperationView, RequestView};
use aide::OperationInput;
use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, ReferenceOr, RequestBody, Response, SchemaObject, StatusCode};
use aide::operation::set_body;
use axum::Json;
use axum::http::{StatusCode as Status, header};
use axum::response::{IntoResponse, Response as Answer};
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// Where the schema of what stands in the path waits until the path is known.
pub(super) const PLACE: &str = "x-place";
/// Where the schema of what stands behind the question mark waits.
pub(super) const ASKED: &str = "x-asked";
/// It takes an `Idempotency-Key`.
pub(super) const TAKES_KEY: &str = "x-takes-key";
/// It takes `If-Match`.
pub(super) const TAKES_VERSION: &str = "x-takes-version";
/// Only for those who are signed in.
pub(super) const SIGNED_IN: &str = "x-signed-in";

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

fn content(kind: &str, schema: Schema) -> (String, MediaType) {
    let schema = SchemaObject { json_schema: schema, example: None, external_docs: None };
    (kind.to_owned(), MediaType { schema: Some(schema), ..MediaType::default() })
}

/// Says of an operation that it may answer so.
fn answers(operation: &mut Operation, status: u16, response: Response) {
    let responses = &mut operation.responses.get_or_insert_with(Default::default).responses;
    responses.entry(StatusCode::Code(status)).or_insert(ReferenceOr::Item(response));
}

/// Says of an operation that it may fail so, each time with a problem.
pub(super) fn may_fail(ctx: &mut GenContext, operation: &mut Operation, statuses: &[u16]) {
    for status in statuses {
        let description = match status {
            400 => "The body broke off",
            401 => "Not signed in, or name, password or code are not right",
            403 => "Not allowed",
            404 => "There is no such thing",
            408 => "The body took too long",
            409 => "It is not in a state for this",
            410 => "It was destroyed, or there never was any",
            412 => "It has changed since it was read",
            413 => "The body is too large",
            415 => "The body is not JSON",
            422 => "Something in the request is not right",
            429 => "Too many of them; `Retry-After` says when to try again",
            500 => "Something failed inside",
            503 => "It could not be recorded, so it did not happen",
            _ => "A problem",
        };
        let content = [content(PROBLEM, ctx.schema.subschema_for::<Problem>())].into_iter().collect();
        answers(operation, *status, Response { description: description.to_owned(), content, ..Response::default() });
    }
}

impl OperationInput for SignedIn {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        operation.extensions.insert(SIGNED_IN.to_owned(), true.into());
        // 422: an `If-Match` that is none.
        may_fail(ctx, operation, &[401, 403, 422, 500]);
    }
}

impl OperationInput for Entered {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        SignedIn::operation_input(ctx, operation);
    }
}

impl OperationInput for AsksByItself {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        SignedIn::operation_input(ctx, operation);
    }
}

impl OperationInput for Peer {}
impl OperationInput for Token {}
impl OperationInput for Origin {}
impl OperationInput for Code {}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let content = [content(JSON, ctx.schema.subschema_for::<T>())].into_iter().collect();
        let body = RequestBody { content, required: true, ..RequestBody::default() };
        set_body(ctx, operation, body);
        may_fail(ctx, operation, &[400, 408, 413, 415, 422]);
    }
}

impl<T: JsonSchema> OperationInput for Place<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        operation.extensions.insert(PLACE.to_owned(), ctx.schema.subschema_for::<T>().to_value());
        may_fail(ctx, operation, &[404]);
    }
}

impl<T: JsonSchema> OperationInput for Asked<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let schema = ctx.schema.subschema_for::<T>();
        operation.extensions.insert(ASKED.to_owned(), ctx.resolve_schema(&schema).clone().to_value());
        may_fail(ctx, operation, &[422]);
    }
}

/// What every answer may be in place of what was wanted.
impl OperationOutput for Problem {
    type Inner = Self;

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<StatusCodeOf>, Response)> {
        may_fail(ctx, operation, &[403, 500, 503]);
        Vec::new()
    }
}

type StatusCodeOf = u16;

/// Something new, and what it is: 201.
pub(super) struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Answer {
        (Status::CREATED, Json(self.0)).into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Created<T> {
    type Inner = T;

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<StatusCodeOf>, Response)> {
        let content = [content(JSON, ctx.schema.subschema_for::<T>())].into_iter().collect();
        answers(operation, 201, Response { description: "It was made".to_owned(), content, ..Response::default() });
        Vec::new()
    }
}

/// It was done, and there is nothing to say: 204.
pub(super) struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Answer {
        Status::NO_CONTENT.into_response()
    }
}

impl OperationOutput for Done {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, operation: &mut Operation) -> Vec<(Option<StatusCodeOf>, Response)> {
        answers(operation, 204, Response { description: "It was done".to_owned(), ..Response::default() });
        Vec::new()
    }
}

/// Something that has versions, with its own in an `ETag` (RFC 9110, 8.8.3).
pub(super) struct Tagged<T>(pub T);

/// What changes something may say which version it saw.
pub(super) trait Versioned {
    fn version(&self) -> u64;
}

impl Versioned for RequestView {
    fn version(&self) -> u64 {
        self.version
    }
}

impl Versioned for HoldView {
    fn version(&self) -> u64 {
        self.version
    }
}

impl Versioned for OperationView {
    fn version(&self) -> u64 {
        self.version
    }
}

impl Versioned for AccountView {
    fn version(&self) -> u64 {
        self.version
    }
}

impl<T: Serialize + Versioned> IntoResponse for Tagged<T> {
    fn into_response(self) -> Answer {
        let tag = format!("\"{}\"", self.0.version());
        ([(header::ETAG, tag)], Json(self.0)).into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Tagged<T> {
    type Inner = T;

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<StatusCodeOf>, Response)> {
        let content = [content(JSON, ctx.schema.subschema_for::<T>())].into_iter().collect();
        let description = "`ETag` is its version".to_owned();
        answers(operation, 200, Response { description, content, ..Response::default() });
        Vec::new()
    }
}

/// An answer with headers of its own, that is otherwise a `T`.
pub(super) struct With<T>(pub T, pub axum::http::HeaderMap);

impl<T: IntoResponse> IntoResponse for With<T> {
    fn into_response(self) -> Answer {
        let mut answer = self.0.into_response();
        answer.headers_mut().extend(self.1);
        answer
    }
}

impl<T: OperationOutput> OperationOutput for With<T> {
    type Inner = T::Inner;

    fn inferred_responses(ctx: &mut GenContext, operation: &mut Operation) -> Vec<(Option<StatusCodeOf>, Response)> {
        T::inferred_responses(ctx, operation)
    }
}

/// Bytes of a kind that is no JSON; the kind is the type's.
pub(super) struct Bytes<K>(pub axum::body::Body, std::marker::PhantomData<K>);

/// A media type.
pub(super) trait Kind {
    const NAME: &'static str;
    const DESCRIPTION: &'static str;
    /// Whether it is text.
    const IS_TEXT: bool;
}

impl<K: Kind> Bytes<K> {
    pub fn new(body: impl Into<axum::body::Body>) -> Self {
        Self(body.into(), std::marker::PhantomData)
    }
}

impl<K: Kind> IntoResponse for Bytes<K> {
    fn into_response(self) -> Answer {
        ([(header::CONTENT_TYPE, K::NAME)], self.0).into_response()
    }
}

impl<K: Kind> OperationOutput for Bytes<K> {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, operation: &mut Operation) -> Vec<(Option<StatusCodeOf>, Response)> {
        let schema = if K::IS_TEXT { schemars::json_schema!({"type": "string"}) } else { schemars::json_schema!({}) };
        let content = [content(K::NAME, schema)].into_iter().collect();
        answers(operation, 200, Response { description: K::DESCRIPTION.to_owned(), content, ..Response::default() });
        Vec::new()
    }
}
