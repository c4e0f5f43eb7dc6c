//! Signing in and out.

use super::Routes;
use super::answers::{COOKIE, Code, Entered, Origin, Token, ask, ask_with_password};
use super::bodies::Body;
use super::described::{Done, With};
use super::problem::Problem;
use crate::access::{Access, Password, Person};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    name: String,
    password: String,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct SessionView {
    #[serde(flatten)]
    person: Person,
    demo: bool,
    has_second_factor: bool,
    /// They can do nothing before they set a second factor.
    must_set_second_factor: bool,
}

pub(super) async fn sign_in(
    State(routes): State<Routes>,
    Origin(address): Origin,
    Code(code): Code,
    Body(credentials): Body<Credentials>,
) -> Result<With<Json<SessionView>>, Problem> {
    let Credentials { name, password } = credentials;
    let password = Password::new(password);
    let question = move |access: &Access| {
        let code = code.as_ref().map(Password::expose);
        let (token, person) = access.sign_in_with(&name, (password.expose(), code), address)?;
        let caller = access.caller_of_any_kind(&token, address)?;
        Ok((token, person, access.has_second_factor(&caller), access.must_set_second_factor(&caller)))
    };
    let (token, person, has_second_factor, must_set_second_factor) =
        ask_with_password(&routes.access, question).await?;
    let view = SessionView { person, demo: routes.notice.is_some(), has_second_factor, must_set_second_factor };
    Ok(With(Json(view), cookie(&token, "")?))
}

pub(super) async fn show(State(routes): State<Routes>, Entered(caller): Entered) -> Json<SessionView> {
    let has_second_factor = routes.access.has_second_factor(&caller);
    let must_set_second_factor = routes.access.must_set_second_factor(&caller);
    Json(SessionView {
        person: caller.person().clone(),
        demo: routes.notice.is_some(),
        has_second_factor,
        must_set_second_factor,
    })
}

pub(super) async fn sign_out(
    State(routes): State<Routes>,
    Entered(caller): Entered,
    Token(token): Token,
) -> Result<With<Done>, Problem> {
    ask(&routes.access, move |access| access.sign_out(&token, &caller)).await?;
    Ok(With(Done, cookie("", "; Max-Age=0")?))
}

/// The session's cookie: of this host alone, over secure connections alone, for no script, and sent along from no other site.
fn cookie(token: &str, more: &str) -> Result<HeaderMap, Problem> {
    let cookie = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict{more}");
    let cookie = HeaderValue::from_str(&cookie).map_err(|e| Problem::inside(&e))?;
    Ok(HeaderMap::from_iter([(header::SET_COOKIE, cookie)]))
}
