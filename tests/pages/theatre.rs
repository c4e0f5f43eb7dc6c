//! The page of operating rooms: staff begins and ends an operation, others look on.

use crate::browser::Browser;
use crate::checks::{
    NAME, assert_nothing_personal_is_kept, assert_quiet, look_over, look_over_form, open, sign_in, sign_out,
    switch_language,
};
use crate::site::Site;
use crate::support::commands::pass;
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::Duration;

/// From the first click to the record of it.
pub fn film_an_operation() -> Result<()> {
    let site = Site::with_theatre()?;
    let browser = &Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    browser.go(&site.url)?;
    browser.wait_for_element("#sign-in")?;
    assert_quiet(browser, &[("/v1/session", 401)])?;
    begin(browser)?;
    end(&site, browser)?;
    look_on(&site, browser)
}

fn begin(browser: &Browser) -> Result<()> {
    sign_in(browser, "desk")?;
    open(browser, "operations")?;
    for text in
        ["3 · Operating room 1 (ground floor)", "No operation is under way", "Medical Service Act, article 38-2"]
    {
        browser.wait_for_text("main", text)?;
    }
    ensure!(!browser.text("main")?.contains("Lobby"), "a camera of the lobby is offered");
    look_over(browser, false)?;
    browser.click("#start-3 input[value=guardian]")?;
    browser.type_into("#start-3 input[name=asker]", "900101-1234567")?;
    look_over_form(browser)?;
    browser.click("#start-3 button[type=submit]")?;
    browser.wait_for_text("#start-3 .problem", "dentity number")?;
    browser.type_into("#start-3 input[name=asker]", NAME)?;
    browser.type_into("#start-3 input[name=note]", "request form 12")?;
    browser.click("#start-3 button[type=submit]")?;
    browser.wait_for_text("main .done", "Operation 1 is begun")?;
    for text in [NAME, "the guardian", "request form 12"] {
        browser.wait_for_text("main", text)?;
    }
    // The page looks by itself whether the camera records, and how long it has.
    browser.wait_for_text("main .camera-state", "Recording")?;
    let shown = browser.text("main .running")?;
    pass(Duration::from_secs(2));
    ensure!(browser.text("main .running")? != shown, "the time stands still at {shown}");
    ensure!(shown.starts_with("0:00:"), "{shown}");
    look_over(browser, false)?;
    assert_nothing_personal_is_kept(browser)?;
    assert_quiet(browser, &[("/v1/operations", 422)])
}

/// Somebody else has begun it meanwhile, or ended it: each is told so.
fn end(site: &Site, browser: &Browser) -> Result<()> {
    let mut officer = site.sign_in("officer")?;
    let again = json!({"camera": 3, "asked_by": "patient", "name": NAME});
    ensure!(officer.post("/v1/operations", &again)?.status == 409);
    browser.click("#end-3 button")?;
    ensure!(browser.has("#end-3")?, "it was ended without a word that it is over");
    browser.click("#end-3 input[name=sure]")?;
    browser.click("#end-3 button")?;
    browser.wait_for_text("main .done", "Operation 1 is ended")?;
    browser.wait_for_text("main .camera-state", "No operation")?;
    browser.wait_for_text("main caption", "Operations that have ended")?;
    look_over(browser, false)?;
    // Two at once: the page of one is behind.
    let second = officer.post("/v1/operations", &again)?.expect_status(201)?.json["operation"].clone();
    open(browser, "cameras")?;
    open(browser, "operations")?;
    browser.wait_for_element("#end-3")?;
    officer.post(&format!("/v1/operations/{second}/end"), &json!({}))?.expect_status(200)?;
    browser.click("#end-3 input[name=sure]")?;
    browser.click("#end-3 button")?;
    browser.wait_for_text("#end-3 .problem", "ended")?;
    sign_out(browser)?;
    assert_quiet(browser, &[("/end", 409)])
}

fn look_on(site: &Site, browser: &Browser) -> Result<()> {
    sign_in(browser, "auditor")?;
    open(browser, "operations")?;
    browser.wait_for_text("main", NAME)?;
    ensure!(!browser.has("main form")?, "an auditor is offered to act");
    look_over(browser, false)?;
    open(browser, "ledger")?;
    for text in ["Operation begun", "Operation ended", "the guardian"] {
        browser.wait_for_text("main td", text)?;
    }
    sign_out(browser)?;
    sign_in(browser, "installer")?;
    browser.wait_for_text("main", "Keep cameras whose way here is not encrypted on a network of their own")?;
    browser.wait_for_text("main .state", "No operation")?;
    look_over(browser, false)?;
    switch_language(browser)?;
    browser.wait_for_text("main .state", "수술 중 아님")?;
    sign_out(browser)?;
    let start = json!({"camera": 3, "asked_by": "patient", "name": NAME});
    for (name, reads) in [("viewer", 403), ("installer", 403), ("auditor", 200)] {
        let mut api = site.sign_in(name)?;
        ensure!(api.post("/v1/operations", &start)?.status == 403, "{name} begins one");
        ensure!(api.post("/v1/operations/1/end", &json!({}))?.status == 403, "{name} ends one");
        ensure!(api.get("/v1/operations")?.status == reads && api.get("/v1/operations/1")?.status == reads, "{name}");
    }
    let mut nobody = crate::support::api::Api::new(&site.url);
    ensure!(nobody.post("/v1/operations", &start)?.status == 401 && nobody.get("/v1/operations")?.status == 401);
    assert_quiet(browser, &[])
}
