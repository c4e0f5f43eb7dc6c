//! The HTTP API under `/v1` and the pages over it. It holds no key and decides nothing: it asks `access`.
//!
//! Errors are problem details (RFC 9457); nothing of the inside is in a message. Every answer says `no-store`, since
//! most of them hold footage or persons.

mod accounts;
mod answers;
mod api;
mod bodies;
mod cameras;
mod clock;
mod connections;
mod decisions;
mod described;
mod destructions;
mod disputes;
mod document;
mod footage;
mod guard;
mod holds;
mod ledger;
mod letters;
mod once;
mod operations;
mod pages;
mod parts;
mod problem;
mod rates;
mod requests;
mod server;
mod sessions;
mod tls;

pub use cameras::KnownCameras;
pub use connections::Connections;
pub use server::serve;
pub use tls::{Names, Tls, TlsError};

use crate::access::Access;
use crate::clock::Clock;
use crate::ingest::CameraWatchers;
use aide::openapi::OpenApi;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::routing::get;
use axum::{Json, Router};
use described::{Bytes, Kind};
use guard::Guard;
use once::Keys;
use problem::Problem;
use rates::Rates;
use serde::Serialize;
use std::sync::{Arc, OnceLock};

const BODY_LIMIT_BYTES: usize = 64 << 10;

/// What the routes need.
#[derive(Clone, Debug)]
pub struct Routes {
    pub access: Arc<Access>,
    pub watchers: CameraWatchers,
    pub cameras: KnownCameras,
    pub connections: Connections,
    pub clock: Clock,
    /// Whether connections are under TLS.
    pub is_encrypted: bool,
    /// What every answer says: that this is a demonstration.
    pub notice: Option<&'static str>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct Health {
    status: &'static str,
    version: &'static str,
    demo: bool,
}

/// Tells that the daemon answers, and nothing else: no name of anything.
async fn health(State(routes): State<Routes>) -> Json<Health> {
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), demo: routes.notice.is_some() })
}

/// The OpenAPI document.
struct Described;

impl Kind for Described {
    const NAME: &'static str = "application/json";
    const DESCRIPTION: &'static str = "An OpenAPI 3.1 document";
    const IS_TEXT: bool = false;
}

async fn openapi() -> Result<Bytes<Described>, Problem> {
    match openapi_document() {
        Ok(text) => Ok(Bytes::new(text)),
        Err(e) => Err(Problem::inside(e)),
    }
}

/// What there is under `/v1`, as an OpenAPI 3.1 document. Made once.
///
/// # Errors
/// None in practice: the document could not be written as JSON.
pub fn openapi_document() -> Result<&'static str, &'static serde_json::Error> {
    static DOCUMENT: OnceLock<Result<String, serde_json::Error>> = OnceLock::new();
    let made = DOCUMENT.get_or_init(|| {
        let mut told = OpenApi::default();
        drop(api::routes().finish_api(&mut told));
        document::text(&told)
    });
    made.as_deref()
}

/// All routes.
pub fn router(routes: Routes) -> Router {
    let guard = Guard { routes: routes.clone(), rates: Rates::new(routes.clock.clone()), keys: Keys::default() };
    let api: Router<Routes> = api::routes().into();
    api.route("/", get(pages::index))
        .route("/{file}", get(pages::file))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn_with_state(guard.clone(), once::once))
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(middleware::from_fn_with_state(guard, guard::guard))
        .with_state(routes)
}
