//! The pages: documents, scripts and a sheet, all in the program itself. They know nothing that the API does not tell
//! them.

use super::problem;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, kind and content of each file that is served.
const FILES: &[(&str, &str, &str)] = &[
    ("", HTML, include_str!("pages/index.html")),
    ("app.js", JS, include_str!("pages/app.js")),
    ("app.css", CSS, include_str!("pages/app.css")),
    ("icon.svg", SVG, include_str!("pages/icon.svg")),
    ("account.js", JS, include_str!("pages/account.js")),
    ("api.js", JS, include_str!("pages/api.js")),
    ("cameras.js", JS, include_str!("pages/cameras.js")),
    ("clock.js", JS, include_str!("pages/clock.js")),
    ("decision.js", JS, include_str!("pages/decision.js")),
    ("dom.js", JS, include_str!("pages/dom.js")),
    ("grants.js", JS, include_str!("pages/grants.js")),
    ("holds.js", JS, include_str!("pages/holds.js")),
    ("letters.js", JS, include_str!("pages/letters.js")),
    ("months.js", JS, include_str!("pages/months.js")),
    ("new-request.js", JS, include_str!("pages/new-request.js")),
    ("operations.js", JS, include_str!("pages/operations.js")),
    ("password.js", JS, include_str!("pages/password.js")),
    ("people.js", JS, include_str!("pages/people.js")),
    ("player.js", JS, include_str!("pages/player.js")),
    ("records.js", JS, include_str!("pages/records.js")),
    ("register.js", JS, include_str!("pages/register.js")),
    ("report.js", JS, include_str!("pages/report.js")),
    ("request-acts.js", JS, include_str!("pages/request-acts.js")),
    ("request-list.js", JS, include_str!("pages/request-list.js")),
    ("requests.js", JS, include_str!("pages/requests.js")),
    ("times.js", JS, include_str!("pages/times.js")),
    ("watch.js", JS, include_str!("pages/watch.js")),
    ("words-letters.js", JS, include_str!("pages/words-letters.js")),
    ("words.js", JS, include_str!("pages/words.js")),
    ("words-requests.js", JS, include_str!("pages/words-requests.js")),
];

pub(super) async fn index() -> Response {
    found("").await
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    found(&name).await
}

async fn found(name: &str) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, content)) => ([(header::CONTENT_TYPE, *kind)], *content).into_response(),
        None => problem::no_such_route().await.into_response(),
    }
}
