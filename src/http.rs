//! The HTTP API under `/v1` and the pages over it. It holds no key and decides nothing: it asks `access`.
//!
//! Errors are problem details (RFC 9457); nothing of the inside is in a message. Every answer says `no-store`, since
//! most of them hold footage or persons.

mod accounts;
mod answers;
mod bodies;
mod cameras;
mod clock;
mod connections;
mod decisions;
mod destructions;
mod disputes;
mod footage;
mod holds;
mod ledger;
mod letters;
mod operations;
mod pages;
mod problem;
mod requests;
mod sessions;

pub use cameras::KnownCameras;
pub use connections::Connections;

use crate::access::Access;
use crate::clock::Clock;
use crate::ingest::CameraWatchers;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A browser opens six. What is over it waits.
const CONNECTIONS_LIMIT: usize = 256;
const BODY_LIMIT_BYTES: usize = 64 << 10;

/// What the routes need.
#[derive(Clone, Debug)]
pub struct Routes {
    pub access: Arc<Access>,
    pub watchers: CameraWatchers,
    pub cameras: KnownCameras,
    pub connections: Connections,
    pub clock: Clock,
    /// What every answer says: that this is a demonstration.
    pub notice: Option<&'static str>,
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    demo: bool,
}

/// Tells that the daemon answers, and nothing else: no name of anything.
async fn health(State(routes): State<Routes>) -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), demo: routes.notice.is_some() })
}

/// All routes.
pub fn router(routes: Routes) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/{file}", get(pages::file))
        .route("/v1/health", get(health))
        .route("/v1/session", get(sessions::show).post(sessions::sign_in).delete(sessions::sign_out))
        .route("/v1/session/first", post(accounts::choose_password))
        .route("/v1/session/password", post(accounts::change_password))
        .route("/v1/account/second-factor", get(accounts::new_second_factor).post(accounts::set_second_factor))
        .route("/v1/sessions", get(accounts::sessions))
        .route("/v1/sessions/{session}", delete(accounts::end_session))
        .route("/v1/accounts", get(accounts::list).post(accounts::ask_for))
        .route("/v1/accounts/{account}/history", get(accounts::history))
        .route("/v1/accounts/{account}/change", post(accounts::change))
        .route("/v1/accounts/{account}/approval", post(accounts::approve))
        .route("/v1/accounts/{account}/withdrawal", post(accounts::withdraw))
        .route("/v1/accounts/{account}/removal", post(accounts::remove))
        .route("/v1/accounts/{account}/reset", post(accounts::reset))
        .route("/v1/cameras", get(cameras::list))
        .route("/v1/cameras/{camera}/availability", get(cameras::availability))
        .route("/v1/requests", get(requests::list).post(requests::submit))
        .route("/v1/requests/{request}", get(requests::show))
        .route("/v1/requests/{request}/identity", post(requests::check_identity))
        .route("/v1/requests/{request}/decision", post(decisions::decide).get(decisions::decision_steps))
        .route("/v1/requests/{request}/proposal", post(decisions::propose))
        .route("/v1/requests/{request}/proposal/second", post(decisions::second))
        .route("/v1/requests/{request}/delivery", post(requests::deliver))
        .route("/v1/requests/{request}/withdrawal", post(requests::withdraw))
        .route("/v1/requests/{request}/fee", post(requests::note_fee))
        .route("/v1/requests/{request}/objection", post(requests::object))
        .route("/v1/requests/{request}/close", post(requests::close))
        .route("/v1/requests/{request}/letters", get(letters::list).post(letters::produce))
        .route("/v1/requests/{request}/letters/{letter}/delivery", post(letters::deliver))
        .route("/v1/requests/search", post(letters::search))
        .route("/v1/duties", get(letters::duties))
        .route("/v1/requests/{request}/hold/confirmation", post(holds::confirm_of_request))
        .route("/v1/disputes", get(disputes::list).post(disputes::mark))
        .route("/v1/disputes/{dispute}/settlement", post(disputes::settle))
        .route("/v1/holds", get(holds::list).post(holds::place))
        .route("/v1/holds/{hold}", get(holds::show))
        .route("/v1/holds/{hold}/confirmation", post(holds::confirm))
        .route("/v1/holds/{hold}/extension", post(holds::extend))
        .route("/v1/holds/{hold}/release", post(holds::release))
        .route("/v1/operations", get(operations::list).post(operations::start))
        .route("/v1/operations/{operation}", get(operations::show))
        .route("/v1/operations/{operation}/end", post(operations::end))
        .route("/v1/grants", get(footage::grants))
        .route("/v1/grants/{grant}/viewing", get(footage::viewing).post(footage::begin_viewing))
        .route("/v1/grants/{grant}/viewing/end", post(footage::end_viewing))
        .route("/v1/grants/{grant}/revocation", post(footage::revoke))
        .route("/v1/terminals", get(footage::terminals))
        .route("/v1/grants/{grant}/cameras/{camera}/film.mp4", get(footage::film))
        .route("/v1/grants/{grant}/cameras/{camera}/playlist.m3u8", get(footage::playlist))
        .route("/v1/grants/{grant}/cameras/{camera}/{segment}/init.mp4", get(footage::init))
        .route("/v1/grants/{grant}/cameras/{camera}/{segment}/{part}", get(footage::fragment))
        .route("/v1/clock", get(clock::show))
        .route("/v1/clock/confirmation", post(clock::confirm))
        .route("/v1/ledger/head", get(ledger::head))
        .route("/v1/ledger", get(ledger::rows))
        .route("/v1/ledger/months", get(ledger::months))
        .route("/v1/ledger/months/{month}", get(ledger::month))
        .route("/v1/ledger/months/{month}/review", post(ledger::review))
        .route("/v1/ledger/register", get(ledger::register))
        .route("/v1/ledger/register.csv", get(ledger::register_file))
        .route("/v1/ledger/access-log.csv", get(ledger::access_log_file))
        .route("/v1/ledger/rights.csv", get(ledger::rights_file))
        .route("/v1/copies/destructions", post(ledger::copy_destroyed))
        .route("/v1/destructions", get(ledger::destructions))
        .route("/v1/destructions/days", get(destructions::days))
        .route("/v1/destructions/days/{day}", get(destructions::day))
        .route("/v1/destructions/days/{day}/confirmation", post(destructions::confirm))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(middleware::from_fn_with_state(routes.clone(), headers))
        .with_state(routes)
}

/// Headers that every answer carries.
async fn headers(State(routes): State<Routes>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if let Some(notice) = routes.notice {
        headers.insert("custodian-demo", HeaderValue::from_static(notice));
    }
    response
}

/// Answers on `listener` until `stop`; then lets answers under way come to their end.
///
/// # Errors
/// What the listener says.
pub async fn serve(listener: TcpListener, routes: Routes, stop: CancellationToken) -> std::io::Result<()> {
    let (connections, clock) = (routes.connections.clone(), routes.clock.clone());
    let service = router(routes).into_make_service_with_connect_info::<SocketAddr>();
    // The wrapper adds nothing but that axum then tells each request its peer's address.
    let listener = connections::Bounded::new(listener, CONNECTIONS_LIMIT, connections, clock).tap_io(|_| ());
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
}
