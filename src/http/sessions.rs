//! Signing in and out.

use super::Routes;
use super::answers::{COOKIE, Origin, SignedIn, Token, ask, ask_with_password};
use super::bodies::Body;
use super::problem::Problem;
use crate::access::{Access, Password, Person};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    name: String,
    password: String,
}

#[derive(Serialize)]
pub(super) struct SessionView {
    #[serde(flatten)]
    person: Person,
    demo: bool,
}

pub(super) async fn sign_in(
    State(routes): State<Routes>,
    Origin(address): Origin,
    Body(credentials): Body<Credentials>,
) -> Result<impl IntoResponse, Problem> {
    let Credentials { name, password } = credentials;
    let password = Password::new(password);
    let question = move |access: &Access| access.sign_in(&name, password.expose(), address);
    let (token, person) = ask_with_password(&routes.access, question).await?;
    let cookie = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Json(SessionView { person, demo: routes.notice.is_some() })))
}

pub(super) async fn show(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Json<SessionView> {
    Json(SessionView { person: caller.person().clone(), demo: routes.notice.is_some() })
}

pub(super) async fn sign_out(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Token(token): Token,
) -> Result<impl IntoResponse, Problem> {
    ask(&routes.access, move |access| access.sign_out(&token, &caller)).await?;
    let cookie = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, AppendHeaders([(header::SET_COOKIE, cookie)])))
}
