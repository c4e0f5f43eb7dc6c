//! What stands before every route: how often, from which page, and the headers that every answer carries.

use super::Routes;
use super::answers::{COOKIE, address_of};
use super::once::Keys;
use super::problem::Problem;
use super::rates::Rates;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Scripts, pictures and connections of this origin alone; nothing is ever framed, and no script makes markup of a text but
/// that of letters (`pages/letters.js`), which keeps plain elements of it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types letters";

/// Every answer: pages, JSON, footage, problems.
const ALWAYS: [(HeaderName, &str); 8] = [
    // Most answers hold footage or persons: no browser writes them to its disk, and no proxy keeps them.
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), payment=(), clipboard-read=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
/// Two years: a browser that was here once never asks without TLS again (RFC 6797).
const ALWAYS_TLS: &str = "max-age=63072000";

#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub routes: Routes,
    pub rates: Rates,
    pub keys: Keys,
}

pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Guard { routes, rates, .. } = guard;
    let (parts, body) = request.into_parts();
    let changes = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let admitted = address_of(&parts).and_then(|address| {
        rates.take(address, changes).map_err(Problem::too_many)?;
        if changes && !is_from_here(&parts.headers, routes.is_encrypted) { Err(Problem::cross_site()) } else { Ok(()) }
    });
    let mut response = match admitted {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if routes.is_encrypted {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ALWAYS_TLS));
    }
    if let Some(notice) = routes.notice {
        headers.insert("custodian-demo", HeaderValue::from_static(notice));
    }
    response
}

/// Whether what changes something was asked for by a page of ours. A browser says where a request comes from
/// (`Sec-Fetch-Site`, W3C Fetch Metadata; `Origin`, RFC 6454), and no page can make it say anything else. Who sends neither is
/// no browser: it may sign in, but what comes with a cookie needs the proof.
fn is_from_here(headers: &HeaderMap, is_encrypted: bool) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text(HeaderName::from_static("sec-fetch-site")).map(|site| site == "same-origin");
    let origin = text(header::ORIGIN).map(|origin| {
        let scheme = if is_encrypted { "https://" } else { "http://" };
        let host = text(header::HOST).unwrap_or_default();
        !host.is_empty() && origin.strip_prefix(scheme).is_some_and(|from| from.eq_ignore_ascii_case(host))
    });
    match (site, origin) {
        (Some(false), _) | (_, Some(false)) => false,
        (Some(true), _) | (_, Some(true)) => true,
        (None, None) => !carries_session(headers),
    }
}

fn carries_session(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(header::COOKIE).iter();
    // What cannot be read might be one.
    cookies.map(|cookie| cookie.to_str().unwrap_or(COOKIE)).any(|cookies| cookies.contains(COOKIE))
}

impl Problem {
    fn cross_site() -> Self {
        let detail = "this was not asked for by a page of this daemon; a program that is no browser sends `Origin` with the \
                      address that it calls, as in http://127.0.0.1:8970";
        Self::new(StatusCode::FORBIDDEN, "cross-site", "From another site", detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn only_a_page_of_ours_changes_anything() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:8970");
        const SIGNED_IN: (&str, &str) = ("cookie", "a=b; __Host-custodian=0123");
        for (sent, wanted) in [
            (vec![HOST], true),
            (vec![HOST, SIGNED_IN], false),
            (vec![HOST, SIGNED_IN, ("origin", "http://127.0.0.1:8970")], true),
            (vec![HOST, SIGNED_IN, ("origin", "https://127.0.0.1:8970")], false),
            (vec![HOST, SIGNED_IN, ("origin", "http://127.0.0.1:8971")], false),
            (vec![HOST, SIGNED_IN, ("origin", "http://127.0.0.1:8970.evil.example")], false),
            (vec![HOST, SIGNED_IN, ("origin", "null")], false),
            (vec![HOST, ("origin", "http://evil.example")], false),
            (vec![("origin", "http://")], false),
            (vec![HOST, SIGNED_IN, ("sec-fetch-site", "same-origin")], true),
            (vec![HOST, ("sec-fetch-site", "cross-site")], false),
            (vec![HOST, SIGNED_IN, ("sec-fetch-site", "same-site")], false),
            (vec![HOST, SIGNED_IN, ("sec-fetch-site", "none")], false),
            // Two that contradict each other: the stricter one.
            (vec![HOST, ("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")], false),
        ] {
            assert_eq!(is_from_here(&headers(&sent), false), wanted, "{sent:?}");
        }
        let encrypted = [HOST, SIGNED_IN, ("origin", "https://127.0.0.1:8970")];
        assert!(is_from_here(&headers(&encrypted), true));
    }
}
