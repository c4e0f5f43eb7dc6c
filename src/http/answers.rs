//! Carrying a blocking question to `access` and its answer back.

use super::Routes;
use super::problem::Problem;
use crate::access::{Access, AccessError, Caller};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The session's cookie. The prefix binds it to this host, to the whole of it, and to secure connections
/// (RFC 6265bis, 4.1.3.2); browsers count loopback as one.
pub(super) const COOKIE: &str = "__Host-custodian";

/// Asks `access` on a blocking thread: it derives keys and flushes files.
pub(super) async fn ask<T: Send + 'static>(
    access: &Arc<Access>,
    question: impl FnOnce(&Access) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, Problem> {
    let access = Arc::clone(access);
    match tokio::task::spawn_blocking(move || question(&access)).await {
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
        Ok(Self(routes.access.caller(&token, address_of(parts)?)?))
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
