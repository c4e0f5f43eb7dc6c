//! Carrying a blocking question to `access` and its answer back.

use super::Routes;
use super::problem::Problem;
use crate::access::{Access, AccessError, Caller, Password};
use axum::extract::{ConnectInfo, FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The session's cookie. The prefix binds it to this host, to the whole of it, and to secure connections
/// (RFC 6265bis, 4.1.3.2); browsers count loopback as one.
pub(super) const COOKIE: &str = "__Host-custodian";

/// A code of the second factor: six digits, or a recovery code.
const CODE: &str = "custodian-code";

/// Questions that are worked on at a time. The threads they block are also those that commit and erase, and there are
/// 512 of them: they must never all be taken.
static QUESTIONS: Semaphore = Semaphore::const_new(64);
/// Passwords that are tried at a time: each takes its time and tens of megabytes, on purpose.
static PASSWORDS: Semaphore = Semaphore::const_new(2);

/// Asks `access` on a blocking thread: it flushes files.
pub(super) async fn ask<T: Send + 'static>(
    access: &Arc<Access>,
    question: impl FnOnce(&Access) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, Problem> {
    ask_in_turn(&QUESTIONS, access, question).await
}

/// Asks what tries a password.
pub(super) async fn ask_with_password<T: Send + 'static>(
    access: &Arc<Access>,
    question: impl FnOnce(&Access) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, Problem> {
    ask_in_turn(&PASSWORDS, access, question).await
}

/// The same of somebody who is signed in, and whose password is asked again.
pub(super) async fn ask_again<T: Send + 'static>(
    access: &Arc<Access>,
    password: String,
    question: impl FnOnce(&Access, &str) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, Problem> {
    let password = Password::new(password);
    ask_with_password(access, move |access| question(access, password.expose())).await.map_err(Problem::not_a_sign_in)
}

async fn ask_in_turn<T: Send + 'static>(
    turns: &'static Semaphore,
    access: &Arc<Access>,
    question: impl FnOnce(&Access) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, Problem> {
    let access = Arc::clone(access);
    let turn = turns.acquire().await.map_err(|e| Problem::inside(&e))?;
    // The turn goes with the work: whoever hangs up does not make room for one more.
    let work = move || {
        let answer = question(&access);
        drop(turn);
        answer
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => Ok(answer?),
        Err(e) => Err(Problem::inside(&e)),
    }
}

/// Where a request comes from.
pub(super) fn address_of(parts: &Parts) -> Result<IpAddr, Problem> {
    let found = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    found.map(|ConnectInfo(address)| address.ip()).ok_or_else(|| Problem::inside(&"a connection without an address"))
}

/// The session's token, if the request carries one.
pub(super) fn token_of(parts: &Parts) -> Option<String> {
    let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, token)| token.to_owned())
}

/// Who asks: only for those who are signed in.
pub(super) struct SignedIn(pub Caller);

impl FromRequestParts<Routes> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, routes: &Routes) -> Result<Self, Problem> {
        let token = token_of(parts).ok_or(AccessError::NotSignedIn)?;
        Ok(Self(routes.access.caller(&token, address_of(parts)?)?.with_code(code_of(parts))))
    }
}

/// The same of a page that asks by itself: nobody's session is kept from becoming idle.
pub(super) struct AsksByItself(pub Caller);

impl FromRequestParts<Routes> for AsksByItself {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, routes: &Routes) -> Result<Self, Problem> {
        let token = token_of(parts).ok_or(AccessError::NotSignedIn)?;
        Ok(Self(routes.access.caller_by_itself(&token, address_of(parts)?)?))
    }
}

/// The same, also of those who must set a second factor first.
pub(super) struct Entered(pub Caller);

impl FromRequestParts<Routes> for Entered {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, routes: &Routes) -> Result<Self, Problem> {
        let token = token_of(parts).ok_or(AccessError::NotSignedIn)?;
        Ok(Self(routes.access.caller_of_any_kind(&token, address_of(parts)?)?.with_code(code_of(parts))))
    }
}

/// A code of the second factor, in a header, so that each act that asks the password takes it alike.
fn code_of(parts: &Parts) -> Option<String> {
    parts.headers.get(CODE).and_then(|code| code.to_str().ok()).map(str::to_owned)
}

/// The code itself, of those who are not signed in yet.
pub(super) struct Code(pub Option<Password>);

impl FromRequestParts<Routes> for Code {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Routes) -> Result<Self, Problem> {
        Ok(Self(code_of(parts).map(Password::new)))
    }
}

/// Where a request comes from, for those who are not signed in yet.
pub(super) struct Origin(pub IpAddr);

impl FromRequestParts<Routes> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Routes) -> Result<Self, Problem> {
        address_of(parts).map(Self)
    }
}

/// The token itself, to end its session.
pub(super) struct Token(pub String);

impl FromRequestParts<Routes> for Token {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Routes) -> Result<Self, Problem> {
        token_of(parts).map(Self).ok_or_else(|| AccessError::NotSignedIn.into())
    }
}

impl OptionalFromRequestParts<Routes> for Token {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Routes) -> Result<Option<Self>, Problem> {
        Ok(token_of(parts).map(Self))
    }
}
