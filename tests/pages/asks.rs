//! Requests of every kind through the pages: what is refused and why, papers, conditions, costs, disputes.

use crate::browser::Browser;
use crate::checks::{CONTACT, NAME, assert_quiet, look_over, look_over_form, open, sign_in, sign_out};
use crate::site::{Site, now_ms, password};
use crate::support::commands::wait_until;
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn choose(browser: &Browser, css: &str, value: &str) -> Result<()> {
    let script = "
        const found = document.querySelector(arguments[0]);
        found.value = arguments[1];
        found.dispatchEvent(new Event('change', { bubbles: true }));
        return found.value === arguments[1];";
    ensure!(browser.run(script, &json!([css, value]))? == true, "{css} has no {value}");
    Ok(())
}

/// A provision to a third party from the counter to its end, and an operating room's footage that does not leave with it.
pub fn provide_and_dispute() -> Result<()> {
    let site = Site::with_theatre()?;
    let mut desk = site.sign_in("desk")?;
    let from_ms = wait_until("camera 1 has filmed", PATIENCE, || {
        let answer = desk.get("/v1/cameras")?.expect_status(200)?;
        let is_on =
            answer.json["cameras"].as_array().is_some_and(|all| all.iter().any(|one| one["state"] == "recording"));
        Ok(Some(now_ms()?).filter(|_| is_on))
    })?;
    crate::support::commands::pass(Duration::from_secs(14));
    let browser = &Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    browser.go(&site.url)?;
    browser.wait_for_element("#sign-in")?;
    assert_quiet(browser, &[("/v1/session", 401)])?;
    let request = enter(browser, from_ms)?;
    identify(browser)?;
    decide(browser, &request)?;
    hand_over(browser, &request)?;
    dispute(browser, &request)
}

/// The wrong ways first: an operating room's camera, and a basis that a private clinic does not have.
fn enter(browser: &Browser, from_ms: i64) -> Result<String> {
    sign_in(browser, "desk")?;
    open(browser, "new")?;
    browser.click("#new-request input[name=cameras][value='3']")?;
    browser.set_time("#new-request input[name=from]", from_ms)?;
    browser.set_time("#new-request input[name=to]", now_ms()? - 2_000)?;
    browser.type_into("#new-request textarea[name=purpose]", "an accident in the lobby")?;
    browser.type_into("#new-request input[name=person-name]", NAME)?;
    browser.type_into("#new-request input[name=contact]", CONTACT)?;
    look_over_form(browser)?;
    browser.click("#new-request button[type=submit]")?;
    browser.wait_for_text("#new-request .problem", "three ways alone")?;
    browser.click("#new-request input[name=cameras][value='3']")?;
    browser.type_into("#new-request input[name=place]", "lobby")?;
    browser.click("#new-request input[name=kind][value=provision]")?;
    choose(browser, "#new-request select[name=capacity]", "representative")?;
    choose(browser, "#new-request select[name=channel]", "fax")?;
    choose(browser, "#new-request select[name=basis]", "investigation")?;
    choose(browser, "#new-request select[name=form]", "copy")?;
    choose(browser, "#new-request input[name=until]", "2099-12-31")?;
    browser.type_into("#new-request input[name=recipient]", "Hankook Insurance")?;
    browser.click("#new-request button[type=submit]")?;
    browser.wait_for_text("#new-request .problem", "public body")?;
    choose(browser, "#new-request select[name=basis]", "consent")?;
    browser.click("#new-request button[type=submit]")?;
    browser.wait_for_text("main .done", "is submitted")?;
    for text in [
        "Provision to a third party",
        "Hankook Insurance",
        "Consent (18(2)1)",
        "Fax",
        "lobby",
        "1 · Lobby (ground floor)",
    ] {
        browser.wait_for_text("main", text)?;
    }
    look_over(browser, false)?;
    let number = browser.run("return location.hash.split('/').pop()", &json!([]))?;
    assert_quiet(browser, &[("/v1/requests", 403), ("/v1/requests", 422)])?;
    Ok(number.as_str().unwrap_or_default().to_owned())
}

fn identify(browser: &Browser) -> Result<()> {
    browser.click("#identity input[value=resident-card]")?;
    browser.click("#identity button")?;
    browser.wait_for_text("#identity .problem", "power of attorney")?;
    browser.click("#identity input[value=power_of_attorney]")?;
    browser.click("#identity input[value=consent]")?;
    browser.click("#identity button")?;
    browser.wait_for_text("main .done", "identity check is recorded")?;
    browser.wait_for_text("main", "Power of attorney, Consent")?;
    sign_out(browser)?;
    assert_quiet(browser, &[("/identity", 422)])
}

fn decide(browser: &Browser, request: &str) -> Result<()> {
    sign_in(browser, "officer")?;
    open(browser, &format!("requests/{request}"))?;
    look_over(browser, false)?;
    browser.wait_for(
        "the viewers are there",
        "return document.querySelectorAll('#approve select[name=viewer] option').length === 2",
        &json!([]),
    )?;
    browser.run("document.querySelector('#approve select[name=viewer]').selectedIndex = 1", &json!([]))?;
    browser.click("#approve details summary")?;
    browser.type_into("#approve input[name=viewings]", "2")?;
    choose(browser, "#approve select[name=terminal]", "server room")?;
    // A copy was asked for: who gives none says why.
    browser.type_into("#approve input[name=password]", &password("officer"))?;
    browser.click("#approve button[type=submit]")?;
    browser.wait_for_text("#approve .problem", "the rest is not")?;
    browser.click("#approve input[value=copy]")?;
    browser.click("#approve input[value=present]")?;
    browser.type_into("#approve input[name=password]", &password("officer"))?;
    browser.click("#approve button[type=submit]")?;
    browser.wait_for_text("main .state", "Approved")?;
    for text in ["2 times", "at server room", "a copy may be made", "the person who asked watches too"] {
        browser.wait_for_text("main", text)?;
    }
    look_over(browser, false)?;
    sign_out(browser)?;
    assert_quiet(browser, &[("/decision", 422)])
}

/// The copy waits until its cost is paid.
fn hand_over(browser: &Browser, request: &str) -> Result<()> {
    sign_in(browser, "desk")?;
    open(browser, &format!("requests/{request}"))?;
    browser.type_into("#fee input[name=amount]", "3000")?;
    browser.click("#fee button")?;
    browser.wait_for_text("main", "3000 won, not paid")?;
    browser.click("#delivery button")?;
    browser.wait_for_text("#delivery .problem", "paid")?;
    browser.click("#fee input[name=paid]")?;
    browser.click("#fee button")?;
    browser.wait_for_text("main", "3000 won, paid")?;
    browser.click("#delivery button")?;
    browser.wait_for_text("main .state", "Delivered")?;
    look_over(browser, false)?;
    ensure!(!browser.has("#dispute")? && browser.has("#close")?, "the desk blocks footage, or cannot close");
    sign_out(browser)?;
    assert_quiet(browser, &[("/delivery", 409)])
}

fn dispute(browser: &Browser, request: &str) -> Result<()> {
    sign_in(browser, "officer")?;
    open(browser, &format!("requests/{request}"))?;
    choose(browser, "#dispute select", "accuracy")?;
    browser.click("#dispute button")?;
    browser.wait_for_text("main", "Dispute 1 blocks it")?;
    look_over(browser, false)?;
    choose(browser, "#settle select", "agreed")?;
    browser.click("#settle button")?;
    browser.wait_for_text("main .done", "It is settled")?;
    open(browser, "ledger")?;
    for text in ["Footage disputed", "Dispute settled", "Answer delivered", "Cost noted"] {
        browser.wait_for_text("main td", text)?;
    }
    sign_out(browser)?;
    assert_quiet(browser, &[])
}
