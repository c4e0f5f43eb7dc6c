//! The daemon's API, as a client of its own sees it.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const BODY_LIMIT_BYTES: u64 = 256 << 20;

/// What the daemon answered, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, Vec<String>>,
    pub body: Vec<u8>,
    /// The body where it is JSON; otherwise null.
    pub json: Value,
}

impl Answer {
    /// The first header of that name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.first().map(String::as_str)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// # Errors
    /// When the status is another one; with the body.
    pub fn expect_status(self, status: u16) -> Result<Self> {
        anyhow::ensure!(self.status == status, "status {} instead of {status}: {}", self.status, self.text());
        Ok(self)
    }
}

/// One person's browser: it keeps its cookies, and sends them back.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    cookies: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

impl Api {
    /// `base` as in `http://127.0.0.1:8080`, without a slash at its end.
    pub fn new(base: &str) -> Self {
        // As a page of the daemon's own sends it: nothing is changed without.
        let headers = BTreeMap::from([("Origin".to_owned(), base.to_owned())]);
        Self { base: base.to_owned(), cookies: BTreeMap::new(), headers }
    }

    /// Never sends this header.
    pub fn drop_header(&mut self, name: &str) {
        self.headers.remove(name);
    }

    /// A new one for each question: it would keep cookies of its own otherwise, and hide what is sent.
    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(ANSWER_LIMIT))
            .build()
            .new_agent()
    }

    /// Sends this header along from now on.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }

    /// What is sent along, for a player that shall see what this browser sees.
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = self.headers.clone().into_iter().collect();
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            all.push(("Cookie".to_owned(), pairs.join("; ")));
        }
        all
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn get(&mut self, path: &str) -> Result<Answer> {
        self.send("GET", path, None)
    }

    pub fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.send("POST", path, Some(body.to_string().into_bytes()))
    }

    pub fn put(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.send("PUT", path, Some(body.to_string().into_bytes()))
    }

    pub fn delete(&mut self, path: &str) -> Result<Answer> {
        self.send("DELETE", path, None)
    }

    /// Sends whatever it is told, right or wrong; a body goes as `application/json` unless a set header says otherwise.
    ///
    /// # Errors
    /// When no answer comes within half a minute. A status of 400 and above is an answer.
    pub fn send(&mut self, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Answer> {
        loop {
            let told = self.send_once(method, path, body.clone())?;
            // Tests send faster than people type: they wait their turn.
            if told.json["type"] != "urn:custodian:too-many-requests" {
                return Ok(told);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn send_once(&mut self, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Answer> {
        let mut request = ureq::http::Request::builder().method(method).uri(self.url(path));
        if body.is_some() && !self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        let asked = || format!("{method} {path}");
        let mut answer = match body {
            Some(body) => Self::agent().run(request.body(body)?),
            None => Self::agent().run(request.body(())?),
        }
        .with_context(asked)?;

        let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in answer.headers() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.entry(name.as_str().to_owned()).or_default().push(value);
        }
        for cookie in headers.get("set-cookie").into_iter().flatten() {
            self.keep(cookie);
        }
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(BODY_LIMIT_BYTES).read_to_vec().with_context(asked)?;
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body, json })
    }

    /// One Set-Cookie header (RFC 6265, 4.1.1). Paths and domains do not matter with one daemon; an end does.
    fn keep(&mut self, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let ended = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
        if ended || value.is_empty() {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}
