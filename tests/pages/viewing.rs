//! A viewing at the page: begun with the tick that says who is there, and gone from the screen when an officer takes it back.

use crate::browser::{Browser, PATIENCE};
use crate::checks::{assert_quiet, look_over, open, sign_in, sign_out};
use crate::site::{Site, password, rfc3339};
use crate::support::commands::wait_until;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const STATE: &str = r"
    const video = document.querySelector('video');
    return { state: document.querySelector('#told')?.dataset.state ?? null, hidden: video?.parentElement.hidden ?? null,
      source: video?.getAttribute('src') ?? null, buffered: video?.buffered.length ?? null };";

fn approved(site: &Site, conditions: &Value) -> Result<Value> {
    let newest = site.wait_for_footage(Duration::from_secs(9))?;
    let (from, to) = ((newest / 1000 - 7) * 1000, (newest / 1000 - 1) * 1000);
    let mut desk = site.sign_in("desk")?;
    let body = json!({
        "kind": "viewing", "cameras": [1], "span": {"from": rfc3339(from)?, "to": rfc3339(to)?},
        "purpose": "to look", "person": {"name": "Kim Minsu", "contact": "02-000-0000"},
    });
    let request = desk.post("/v1/requests", &body)?.expect_status(201)?.json["number"].clone();
    let seen = json!({"document": "resident-card"});
    desk.post(&format!("/v1/requests/{request}/identity"), &seen)?.expect_status(200)?;
    let mut officer = site.sign_in("officer")?;
    let told = officer.get("/v1/accounts")?.expect_status(200)?.json;
    let viewer = told["accounts"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "viewer")).cloned();
    let viewer = viewer.unwrap_or_default()["account"].clone();
    let decision =
        json!({"decision": "approve", "viewer": viewer, "conditions": conditions, "password": password("officer")});
    let told = officer.post(&format!("/v1/requests/{request}/decision"), &decision)?.expect_status(200)?;
    Ok(told.json["grant"].clone())
}

pub fn begun_with_who_asked_there_and_taken_back() -> Result<()> {
    let site = Site::with_cameras()?;
    let browser = Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    let grant = approved(&site, &json!({"present": true, "viewings": 2}))?;
    let masked = approved(&site, &json!({"masking": true}))?;
    browser.go(&site.url)?;
    browser.wait_for_element("#sign-in")?;
    sign_in(&browser, "viewer")?;
    browser.wait_for_text("main", "0 of 2")?;
    open(&browser, &format!("grants/{masked}/1"))?;
    browser.wait_for_text("main", "This version cannot mask yet")?;
    ensure!(!browser.has("#begin-viewing")? && !browser.has("video")?, "what must be masked is offered");
    look_over(&browser, false)?;
    open(&browser, &format!("grants/{grant}/1"))?;
    browser.wait_for_text("#begin-viewing", "The person who asked is here now")?;
    look_over(&browser, false)?;
    // Without the tick nothing is sent.
    browser.click("#begin-viewing button[type=submit]")?;
    ensure!(browser.has("#begin-viewing")?, "it began, and nobody said who is there");
    browser.click("#begin-viewing input[name=present]")?;
    browser.click("#begin-viewing button[type=submit]")?;
    browser.wait_for_element("#told[data-state=playing]")?;
    browser.run("return document.querySelector('video').play()", &json!([]))?;
    look_over(&browser, false)?;

    let mut officer = site.sign_in("officer")?;
    let ground = json!({"ground": "no-longer-needed"});
    officer.post(&format!("/v1/grants/{grant}/revocation"), &ground)?.expect_status(204)?;
    let began = Instant::now();
    let gone = wait_until("nothing is on the screen any more", PATIENCE, || {
        let state = browser.run(STATE, &json!([]))?;
        Ok(Some(state).filter(|state| state["hidden"] == true && state["source"].is_null()))
    })?;
    ensure!(began.elapsed() < Duration::from_secs(4), "it stayed for {:?}", began.elapsed());
    ensure!(gone["state"] == "trouble" && gone["buffered"] == 0, "{gone}");
    browser.wait_for_text("#told .problem", "Not approved")?;
    sign_out(&browser)?;
    sign_in(&browser, "officer")?;
    open(&browser, &format!("grants/{grant}"))?;
    for text in ["an officer took it back: the request was taken back", "1 of 2", "watches too", "the grant ended"] {
        browser.wait_for_text("main", text)?;
    }
    look_over(&browser, false)?;
    open(&browser, &format!("grants/{masked}"))?;
    browser.run("document.querySelector('#revoke select').value = 'given-by-mistake'", &json!([]))?;
    look_over(&browser, false)?;
    browser.click("#revoke button[type=submit]")?;
    browser.wait_for_text("main .done", "The grant was taken back")?;
    let meant = [("/viewing", 403), (".m4s", 403), (".m4s", 0), ("/v1/session", 401)];
    assert_quiet(&browser, &meant)
}
