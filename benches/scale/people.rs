//! The site's people, at the daemon's API.

use crate::api::{Answer, Api};
use crate::daemon::Daemon;
use crate::site::password;
use anyhow::{Context, Result};
use cctv_custodian::domain::{CameraNumber, Span};
use serde_json::{Value, json};

/// Somebody who has signed in.
#[derive(Debug)]
pub struct Person {
    pub api: Api,
    pub account: Value,
}

/// # Errors
/// When the daemon lets nobody in.
pub fn sign_in(daemon: &Daemon, name: &str) -> Result<Person> {
    let mut api = Api::new(&daemon.base);
    let told = api.post("/v1/session", &json!({"name": name, "password": password(name)}))?;
    let account = told.expect_status(200).context("signing in")?.json["account"].clone();
    Ok(Person { api, account })
}

impl Person {
    /// What there is of a camera.
    ///
    /// # Errors
    /// Any answer but a good one.
    pub fn availability(&mut self, camera: CameraNumber, span: Span) -> Result<Value> {
        let text = |point| Ok::<_, anyhow::Error>(serde_json::to_value(point)?.as_str().unwrap_or_default().to_owned());
        let (from, to) = (text(span.from())?, text(span.to())?);
        let told = self.api.get(&format!("/v1/cameras/{camera}/availability?from={from}&to={to}"))?;
        Ok(told.expect_status(200)?.json)
    }

    /// Enters a request for viewing, and checks who asks; its number.
    ///
    /// # Errors
    /// Any answer but a good one.
    pub fn submit(&mut self, camera: u16, span: Span) -> Result<Value> {
        let request = json!({
            "kind": "viewing",
            "cameras": [camera],
            "span": {"from": span.from(), "to": span.to()},
            "purpose": "a bench",
            "person": {"name": "Nobody", "contact": "02-000-0000"},
        });
        let request = self.api.post("/v1/requests", &request)?.expect_status(201)?.json["number"].clone();
        let document = json!({"document": "passport"});
        self.api.post(&format!("/v1/requests/{request}/identity"), &document)?.expect_status(200)?;
        Ok(request)
    }

    /// Approves a request for a viewer.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn approve(&mut self, request: &Value, viewer: &Value, password: &str) -> Result<Answer> {
        let decision = json!({"decision": "approve", "viewer": viewer, "password": password});
        self.api.post(&format!("/v1/requests/{request}/decision"), &decision)
    }
}
