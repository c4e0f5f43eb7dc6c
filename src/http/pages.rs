//! The pages: documents, scripts and a sheet, all in the program itself. They know nothing that the API does not tell
//! them.

use super::problem;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html; charset=utf-8";

/// Name, kind and content of each file that is served.
const FILES: &[(&str, &str, &str)] = &[("", HTML, include_str!("pages/index.html"))];

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
