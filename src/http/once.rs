//! Idempotency keys: who sends a change twice with the same `Idempotency-Key`, because an answer was lost or a button was
//! clicked twice, has it done once, and is told the same both times.
//!
//! Answers are kept in memory for an hour, of the last so many. What was made stands in the ledger with its key, and is told
//! after a restart as it is then. An answer that was no success is not kept: it changed nothing, and may go better the next
//! time.

use super::Routes;
use super::answers::{address_of, ask, token_of};
use super::described::Created;
use super::guard::Guard;
use super::problem::Problem;
use crate::access::{Caller, Once, Thing};
use crate::crypto::sha256;
use crate::domain::{AccountId, Digest};
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that this was answered before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// A key is made at random: a UUID, say. Too short ones would meet by chance.
const KEY_CHARS: std::ops::RangeInclusive<usize> = 16..=128;
const KEPT_LIMIT: usize = 1_000;
const KEPT_FOR: Duration = Duration::from_secs(3_600);
/// An answer of more than this is not kept.
const ANSWER_LIMIT_BYTES: usize = 256 << 10;

/// What was answered to a key.
#[derive(Clone, Debug)]
struct Kept {
    /// Of method, path and body.
    asked: Digest,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Held by the one who is working on it; whoever sends it again meanwhile waits.
type Place = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// The keys that were used, whose they are, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys(Arc<Mutex<Places>>);

/// By whose key it is; with when it was used first.
type Places = HashMap<(AccountId, String), (Duration, Place)>;

impl Keys {
    fn place(&self, account: AccountId, key: &str, now: Duration) -> Place {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|_, (used, _)| now.saturating_sub(*used) < KEPT_FOR);
        let of = (account, key.to_owned());
        if places.len() >= KEPT_LIMIT && !places.contains_key(&of) {
            let oldest = places.iter().min_by_key(|(_, (used, _))| *used).map(|(of, _)| of.clone());
            oldest.and_then(|oldest| places.remove(&oldest));
        }
        Arc::clone(&places.entry(of).or_insert_with(|| (now, Place::default())).1)
    }
}

fn key_of(parts: &Parts) -> Result<Option<String>, Problem> {
    let Some(value) = parts.headers.get(KEY).filter(|_| parts.method == Method::POST) else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if KEY_CHARS.contains(&key.len()) {
        return Ok(Some(key.to_owned()));
    }
    Err(Problem::bad_input("Idempotency-Key: write 16 to 128 characters, made at random for this one change"))
}

pub(super) async fn once(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Guard { routes, keys, .. } = guard;
    let (parts, body) = request.into_parts();
    let key = match key_of(&parts) {
        Ok(key) => key,
        Err(problem) => return problem.into_response(),
    };
    // Nobody's keys are not kept: they are told to sign in.
    let (Some(key), Some(caller)) = (key, caller_of(&routes, &parts)) else {
        return next.run(Request::from_parts(parts, body)).await;
    };
    // Who hangs up does not end what has begun: it would go on with nobody holding its key, and be done again beside it.
    let answering = async move { answer_once(&routes, &keys, (caller, key), (parts, body), next).await };
    match tokio::spawn(answering).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(e) => Problem::inside(&e).into_response(),
    }
}

fn caller_of(routes: &Routes, parts: &Parts) -> Option<Caller> {
    let (token, address) = (token_of(parts)?, address_of(parts).ok()?);
    routes.access.caller(&token, address).ok()
}

async fn answer_once(
    routes: &Routes,
    keys: &Keys,
    (caller, key): (Caller, String),
    (mut parts, body): (Parts, Body),
    next: Next,
) -> Result<Response, Problem> {
    let body = super::bodies::read(routes, Request::from_parts(parts.clone(), body)).await?;
    let asked = [parts.method.as_str().as_bytes(), b" ", parts.uri.path().as_bytes(), b"\n", &body].concat();
    let asked = sha256(&asked);
    let place = keys.place(caller.account(), &key, routes.clock.monotonic());
    let mut kept = place.lock().await;
    if let Some(kept) = &*kept {
        return if kept.asked == asked { Ok(kept.again()) } else { Err(Problem::key_used()) };
    }
    let whose = format!("custodian/1 idempotency key of account {}: {key}", caller.account());
    let once = Once { key: sha256(whose.as_bytes()), body: sha256(&[whose.as_bytes(), b"\n", &asked.0].concat()) };
    if let Some((known, thing)) = routes.access.made_under(once.key) {
        if known.body != once.body {
            return Err(Problem::key_used());
        }
        return made_before(routes, caller, thing).await;
    }
    parts.extensions.insert(once);
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !response.status().is_success() || !is_kept(response.body()) {
        return Ok(response);
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_LIMIT_BYTES).await.map_err(|e| Problem::inside(&e))?;
    *kept = Some(Kept { asked, status: head.status, headers: head.headers.clone(), body: body.clone() });
    Ok(Response::from_parts(head, Body::from(body)))
}

/// Whether an answer is kept: one that is short, and known to be.
fn is_kept(body: &Body) -> bool {
    let longest = body.size_hint().upper().and_then(|bytes| usize::try_from(bytes).ok());
    longest.is_some_and(|bytes| bytes <= ANSWER_LIMIT_BYTES)
}

/// What was made in another life of the daemon, as it is now.
async fn made_before(routes: &Routes, caller: Caller, thing: Thing) -> Result<Response, Problem> {
    let access = &routes.access;
    let mut response = match thing {
        Thing::Request(request) => {
            Created(ask(access, move |access| access.request(&caller, request)).await?).into_response()
        }
        Thing::Hold(hold) => Created(ask(access, move |access| access.hold(&caller, hold)).await?).into_response(),
        Thing::Operation(operation) => {
            Created(ask(access, move |access| access.operation(&caller, operation)).await?).into_response()
        }
        Thing::Account(account) => return Err(Problem::code_was_told(account)),
    };
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

impl Kept {
    fn again(&self) -> Response {
        let mut response = (self.status, self.body.clone()).into_response();
        *response.headers_mut() = self.headers.clone();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

impl Problem {
    fn code_was_told(account: AccountId) -> Self {
        let detail = format!(
            "account {account} was made under this key, and its one-time code was told once; reset it for another"
        );
        Self::new(StatusCode::CONFLICT, "made-before", "It was made before", detail)
    }

    fn key_used() -> Self {
        let detail = "this Idempotency-Key was sent before with something else; make a new one for each change";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-used", "The key was used before", detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_is_told_and_not_kept() {
        assert!(is_kept(&Body::empty()) && is_kept(&Body::from(vec![0; ANSWER_LIMIT_BYTES])));
        assert!(!is_kept(&Body::from(vec![0; ANSWER_LIMIT_BYTES + 1])));
        let unknown = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]);
        assert!(!is_kept(&Body::from_stream(unknown)));
    }

    #[test]
    fn no_more_keys_are_kept_than_so_many_and_none_for_ever() {
        let keys = Keys::default();
        let at = |key: u64, now_s| keys.place(AccountId(1), &key.to_string(), Duration::from_secs(now_s));
        let first = at(0, 0);
        assert!(Arc::ptr_eq(&first, &at(0, 1)));
        assert!(!Arc::ptr_eq(&first, &keys.place(AccountId(2), "0", Duration::ZERO)), "another's key");
        for key in 1..=KEPT_LIMIT as u64 {
            at(key, 2);
        }
        assert_eq!(keys.0.lock().unwrap().len(), KEPT_LIMIT);
        assert!(!Arc::ptr_eq(&first, &at(0, 3)), "the oldest went");
        at(1, 2 + KEPT_FOR.as_secs());
        assert!(keys.0.lock().unwrap().len() <= 2);
    }
}
