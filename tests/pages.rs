//! The pages, in a real Chromium, over the real program with real cameras.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "pages/asks.rs"]
mod asks;
#[path = "pages/browser.rs"]
mod browser;
#[path = "pages/checks.rs"]
mod checks;
#[path = "pages/duties.rs"]
mod duties;
#[path = "pages/elsewhere.rs"]
mod elsewhere;
#[path = "pages/ledger.rs"]
mod ledger;
#[path = "pages/letters.rs"]
mod letters;
#[path = "pages/people.rs"]
mod people;
#[path = "pages/site.rs"]
mod site;
mod support;
#[path = "pages/theatre.rs"]
mod theatre;
#[path = "pages/together.rs"]
mod together;
#[path = "pages/viewing.rs"]
mod viewing;

use anyhow::{Result, ensure};
use browser::{Browser, PATIENCE};
use checks::{
    CONTACT, NAME, assert_nothing_personal_is_kept, assert_quiet, look_over, look_over_form, open, sign_in, sign_out,
    switch_language, wait_for_page,
};
use serde_json::{Value, json};
use site::{Site, now_ms, password, rfc3339};
use std::time::Duration;
use support::commands::wait_until;

/// What the video shows, and what was asked for it.
const VIDEO: &str = r"
    const video = document.querySelector('video');
    const asked = performance.getEntriesByType('resource').map((e) => new URL(e.name).pathname);
    return {
      state: document.querySelector('#told').dataset.state, at: video.currentTime, length: video.duration,
      ended: video.ended, width: video.videoWidth, frames: video.getVideoPlaybackQuality().totalVideoFrames,
      source: video.src, filmed: document.querySelector('#filmed-at').textContent,
      fragments: asked.filter((path) => path.endsWith('.m4s')), playlists: asked.filter((path) => path.endsWith('.m3u8')),
    };";

/// Staff enters a request through the form: first with an identity number in it, which is refused, then without.
fn submit(browser: &Browser, from_ms: i64, to_ms: i64) -> Result<()> {
    browser.click("a.main[href='#/new']")?;
    browser.click("#new-request input[name=cameras][value='1']")?;
    browser.click("#new-request input[name=cameras][value='2']")?;
    browser.set_time("#new-request input[name=from]", from_ms)?;
    browser.set_time("#new-request input[name=to]", to_ms)?;
    browser.type_into("#new-request textarea[name=purpose]", "Lost a wallet in the lobby")?;
    browser.type_into("#new-request input[name=person-name]", NAME)?;
    browser.type_into("#new-request input[name=contact]", "900101-1234567")?;
    look_over_form(browser)?;
    browser.click("#new-request button[type=submit]")?;
    browser.wait_for_text("#new-request .problem", "dentity number")?;
    browser.type_into("#new-request input[name=contact]", CONTACT)?;
    browser.click("#new-request button[type=submit]")?;
    browser.wait_for_text("main .done", "Request 1")?;
    for text in [NAME, CONTACT, "Lost a wallet", "1 · Lobby (ground floor)", "Submitted", " days left"] {
        browser.wait_for_text("main", text)?;
    }
    assert_nothing_personal_is_kept(browser)
}

fn approve(browser: &Browser) -> Result<()> {
    browser.click("a[href='#/requests/1']")?;
    browser.wait_for_element("#approve")?;
    look_over(browser, false)?;
    browser.wait_for(
        "the viewers are there",
        "return document.querySelectorAll('#approve select[name=viewer] option').length === 2",
        &json!([]),
    )?;
    browser.run("document.querySelector('#approve select[name=viewer]').selectedIndex = 1", &json!([]))?;
    browser.type_into("#approve input[name=password]", "not the password")?;
    browser.click("#approve button[type=submit]")?;
    browser.wait_for_text("#approve .problem", "rong")?;
    browser.type_into("#approve input[name=password]", &password("officer"))?;
    browser.click("#approve button[type=submit]")?;
    browser.wait_for_text("main .done", "Approved")?;
    browser.wait_for_text("main .state", "Approved")?;
    ensure!(!browser.has("#approve")? && !browser.has("#refuse")?, "it can be decided again");
    Ok(())
}

/// Plays camera 1 from its start, then to its end; each fragment is asked for once.
fn watch(browser: &Browser, granted_s: f64) -> Result<()> {
    // The browser keeps the first 250 of a document, which this one has asked for by now.
    browser.run("performance.clearResourceTimings()", &json!([]))?;
    browser.click("a[href='#/grants/1/1']")?;
    browser.wait_for_element("#begin-viewing")?;
    ensure!(!browser.has("video")?, "something is shown before a viewing begins");
    look_over(browser, false)?;
    browser.click("#begin-viewing button[type=submit]")?;
    browser.wait_for_element("#told[data-state=playing]")?;
    browser.run("return document.querySelector('video').play()", &json!([]))?;
    let shown = wait_until("more than a second was played", PATIENCE, || {
        Ok(Some(browser.run(VIDEO, &json!([]))?).filter(|shown| shown["at"].as_f64().is_some_and(|at| at > 1.0)))
    })?;
    ensure!(shown["width"] == 768 && shown["frames"].as_u64().is_some_and(|frames| frames >= 8), "{shown}");
    ensure!(shown["filmed"].as_str().is_some_and(|filmed| filmed.contains(':')), "{shown}");
    browser.run("const v = document.querySelector('video'); v.currentTime = v.duration - 0.5", &json!([]))?;
    let shown = wait_until("it was played to its end", PATIENCE, || {
        Ok(Some(browser.run(VIDEO, &json!([]))?).filter(|shown| shown["ended"] == true))
    })?;
    let length = shown["length"].as_f64().unwrap_or_default();
    ensure!((length - granted_s).abs() < 0.3, "{length} s instead of {granted_s}: {shown}");
    let mut fragments: Vec<&str> = shown["fragments"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let asked = fragments.len();
    fragments.sort_unstable();
    fragments.dedup();
    ensure!(asked >= 2 && fragments.len() == asked, "a fragment was asked for twice: {shown}");
    ensure!(shown["playlists"].as_array().is_some_and(|lists| lists.len() == 1), "{shown}");
    Ok(())
}

/// Without Media Source Extensions the browser's own player is handed the playlist.
fn watch_by_browser(browser: &Browser) -> Result<()> {
    let without = json!({"source": "delete window.MediaSource;"});
    let added = browser.devtools("Page.addScriptToEvaluateOnNewDocument", &without)?;
    browser.run("location.reload()", &json!([]))?;
    browser.wait_for_element("#told[data-state=playing]")?;
    browser.run("return document.querySelector('video').play()", &json!([]))?;
    let shown = wait_until("the browser plays it by itself", PATIENCE, || {
        Ok(Some(browser.run(VIDEO, &json!([]))?).filter(|shown| shown["at"].as_f64().is_some_and(|at| at > 1.0)))
    })?;
    ensure!(shown["source"].as_str().is_some_and(|source| source.ends_with("playlist.m3u8")), "{shown}");
    browser.devtools("Page.removeScriptToEvaluateOnNewDocument", &added)?;
    browser.run("location.reload()", &json!([]))?;
    browser.wait_for_element("#told[data-state=playing]")
}

#[test]
fn every_role_does_its_part() -> Result<()> {
    let site = Site::with_cameras()?;
    let browser = Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    fail_to_sign_in(&site, &browser)?;
    let newest = site.wait_for_footage(Duration::from_secs(9))?;
    let span = ((newest / 1000 - 7) * 1000, (newest / 1000 - 1) * 1000);
    enter_as_staff(&site, &browser, span)?;
    decide_as_officer(&browser)?;
    duties::hold_as_officers(&browser, span)?;
    duties::erase_on_request(&site, &browser, span.0)?;
    duties::only_officers_may(&site)?;
    letters::print_and_deliver(&site, &browser)?;
    watch_as_viewer(&browser, granted_s(&site)?)?;
    close_and_look_again(&site, &browser)?;
    read_as_auditor(&browser)?;
    look_as_installer(&browser)?;
    assert_nothing_personal_is_kept(&browser)
}

fn fail_to_sign_in(site: &Site, browser: &Browser) -> Result<()> {
    browser.go(&site.url)?;
    browser.wait_for_element("#sign-in")?;
    look_over(browser, false)?;
    browser.type_into("#sign-in input[name=name]", "desk")?;
    browser.type_into("#sign-in input[name=password]", "not the password")?;
    browser.click("#sign-in button")?;
    browser.wait_for_text("#sign-in .problem", "Wrong name or password")?;
    // Asking who is signed in, and the wrong password.
    assert_quiet(browser, &[("/v1/session", 401)])
}

/// One request through the form; two more beside it, so that there is something to refuse and something to answer.
fn enter_as_staff(site: &Site, browser: &Browser, (from_ms, to_ms): (i64, i64)) -> Result<()> {
    sign_in(browser, "desk")?;
    let cookies = browser.cookies()?;
    ensure!(cookies.len() == 1 && cookies[0]["name"] == "__Host-custodian", "{cookies:?}");
    ensure!(cookies[0]["secure"] == true && cookies[0]["httpOnly"] == true, "{cookies:?}");
    look_over(browser, false)?;
    submit(browser, from_ms, to_ms)?;
    browser.click("#identity input[value=passport]")?;
    browser.click("#identity button")?;
    browser.wait_for_text("main .done", "identity check is recorded")?;
    look_over(browser, false)?;
    let mut desk = site.sign_in("desk")?;
    for kind in ["viewing", "existence-check"] {
        let body = json!({
            "kind": kind, "cameras": [1], "span": {"from": rfc3339(from_ms)?, "to": rfc3339(to_ms)?},
            "purpose": "to look", "person": {"name": NAME, "contact": CONTACT},
        });
        let request = desk.post("/v1/requests", &body)?.expect_status(201)?.json["number"].clone();
        let seen = json!({"document": "resident-card"});
        desk.post(&format!("/v1/requests/{request}/identity"), &seen)?.expect_status(200)?;
    }
    sign_out(browser)?;
    assert_quiet(browser, &[("/v1/requests", 422)])
}

fn decide_as_officer(browser: &Browser) -> Result<()> {
    sign_in(browser, "officer")?;
    approve(browser)?;
    open(browser, "requests/2")?;
    browser.click("#refuse input[value=harm-to-others]")?;
    browser.type_into("#refuse textarea", "A child is visible")?;
    browser.type_into("#refuse input[name=password]", &password("officer"))?;
    browser.click("#refuse button[type=submit]")?;
    browser.wait_for_text("main", "unduly harm another’s property or interests: A child is visible")?;
    open(browser, "requests/3")?;
    browser.type_into("#approve input[name=password]", &password("officer"))?;
    browser.click("#approve button[type=submit]")?;
    browser.wait_for_text("main", "There is footage of that span.")?;
    for path in ["requests", "holds", "grants", "destructions", "ledger", "cameras"] {
        open(browser, path)?;
        look_over(browser, false)?;
    }
    sign_out(browser)?;
    assert_quiet(browser, &[("/v1/requests/1/decision", 403)])
}

/// How much of camera 1 the first request's grant shows.
fn granted_s(site: &Site) -> Result<f64> {
    let granted = site.sign_in("officer")?.get("/v1/requests/1")?.expect_status(200)?.json["granted"].clone();
    let view = granted.as_array().and_then(|views| views.iter().find(|view| view["camera"] == 1)).cloned();
    let span = view.map(|view| view["span"].clone()).unwrap_or_default();
    let point = |end: &str| span[end].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
    Ok(f64::from(i32::try_from(point("to") - point("from"))?) / 1000.0)
}

fn watch_as_viewer(browser: &Browser, granted_s: f64) -> Result<()> {
    sign_in(browser, "viewer")?;
    look_over(browser, false)?;
    watch(browser, granted_s)?;
    look_over(browser, false)?;
    watch_by_browser(browser)?;
    open(browser, "grants/1/2")?;
    browser.wait_for_text("#told", "H.265, which this browser does not play")?;
    // Of the same viewing; another tab's page is another page of it.
    open(browser, "grants/1/1")?;
    browser.wait_for_element("#told[data-state=playing]")?;
    browser.click("#end-viewing button")?;
    browser.wait_for_text("main .done", "The viewing has ended")?;
    browser.wait_for_element("#begin-viewing")?;
    open(browser, "grants/1")?;
    for text in ["by the viewer", "Camera 1", "What it is bound to"] {
        browser.wait_for_text("main", text)?;
    }
    look_over(browser, false)?;
    let pictures =
        "return performance.getEntriesByType('resource').filter((e) => /cameras\\/2\\/.*m4s$/.test(e.name)).length";
    ensure!(browser.run(pictures, &json!([]))? == 0, "pictures were asked for that cannot be shown");
    assert_quiet(browser, &[])
}

/// The grant ends with the request, and the viewer is told so in words.
fn close_and_look_again(site: &Site, browser: &Browser) -> Result<()> {
    sign_out(browser)?;
    sign_in(browser, "desk")?;
    open(browser, "requests/1")?;
    browser.click("#close input[name=sure]")?;
    browser.click("#close button")?;
    browser.wait_for_text("main .done", "The request is closed")?;
    sign_out(browser)?;
    sign_in(browser, "viewer")?;
    browser.wait_for_text("main .state", "Ended")?;
    ensure!(!browser.has("a[href='#/grants/1/1']")?, "an ended grant offers to be watched");
    assert_quiet(browser, &[])?;
    open(browser, "grants/1/1")?;
    browser.wait_for_text("main", "This grant has ended")?;
    ensure!(!browser.has("video")? && !browser.has("#begin-viewing")?, "an ended grant offers to be watched");
    sign_out(browser)?;
    assert_quiet(browser, &[])?;
    site.sign_in("viewer")?.get("/v1/grants/1/cameras/1/playlist.m3u8")?.expect_status(403)?;
    let refused = site.sign_in("auditor")?.get("/v1/ledger?limit=1000")?.expect_status(200)?;
    let rows = refused.json["rows"].as_array().cloned().unwrap_or_default();
    ensure!(rows.iter().any(|row| row["act"]["kind"] == "view-refused"), "the refused view is not recorded");
    Ok(())
}

fn read_as_auditor(browser: &Browser) -> Result<()> {
    sign_in(browser, "auditor")?;
    for text in ["View refused", "View served", "Request closed"] {
        browser.wait_for_text("main td", text)?;
    }
    browser.click("td details summary")?;
    browser.wait_for_text("td pre", "\"sequence\"")?;
    look_over(browser, false)?;
    let newest = browser.text("tbody td")?;
    browser.click("#older")?;
    browser.wait_for(
        "older rows",
        "return (document.querySelector('tbody td')?.innerText ?? arguments[0]) !== arguments[0]",
        &json!([newest]),
    )?;
    wait_for_page(browser)?;
    open(browser, "destructions")?;
    browser.wait_for_text("main", "a person asked for erasure")?;
    open(browser, "requests/1")?;
    browser.wait_for_text("main", NAME)?;
    ensure!(!browser.has("main form")?, "an auditor is offered to act");
    sign_out(browser)
}

fn look_as_installer(browser: &Browser) -> Result<()> {
    sign_in(browser, "installer")?;
    browser.wait_for_text("caption", "2 of 2 are recording")?;
    let offered = browser.run("return [...document.querySelectorAll('nav a')].map((link) => link.hash)", &json!([]))?;
    ensure!(offered == json!(["#/cameras", "#/account"]), "an installer is offered {offered}");
    look_over(browser, false)?;
    sign_out(browser)?;
    assert_quiet(browser, &[])
}

#[test]
fn an_officer_confirms_what_was_destroyed_on_a_day_and_prints_it() -> Result<()> {
    duties::confirm_a_day_and_print_it()
}

#[test]
fn a_viewing_is_begun_with_who_asked_there_and_taken_back() -> Result<()> {
    viewing::begun_with_who_asked_there_and_taken_back()
}

#[test]
fn an_officer_reviews_a_month_of_the_ledger_and_prints_the_management_ledger() -> Result<()> {
    ledger::review_a_month_and_print_the_register()
}

#[test]
fn an_operation_is_filmed_between_two_clicks() -> Result<()> {
    theatre::film_an_operation()
}

#[test]
fn a_copy_is_provided_to_somebody_else_and_comes_into_dispute() -> Result<()> {
    asks::provide_and_dispute()
}

#[test]
fn of_two_at_once_one_is_told_and_what_is_sent_twice_is_made_once() -> Result<()> {
    together::work_at_once()
}

#[test]
fn a_page_of_another_origin_reads_changes_and_frames_nothing() -> Result<()> {
    elsewhere::nothing_is_read_changed_or_framed()
}

#[test]
fn a_demonstration_says_so_on_every_page() -> Result<()> {
    let site = Site::without_cameras(&["--demo"])?;
    let browser = Browser::open("ko-KR")?;
    browser.go(&site.url)?;
    browser.wait_for_text("#demo", "시연")?;
    look_over(&browser, true)?;
    for (name, pages) in [
        ("desk", vec!["requests", "new", "operations", "cameras"]),
        (
            "officer",
            vec!["requests", "holds", "holds/new", "grants", "destructions", "ledger", "operations", "cameras"],
        ),
        ("viewer", vec!["grants"]),
        ("auditor", vec!["ledger", "destructions", "holds", "requests", "operations"]),
        ("installer", vec!["cameras"]),
    ] {
        sign_in(&browser, name)?;
        for page in pages {
            open(&browser, page)?;
            look_over(&browser, true)?;
        }
        sign_out(&browser)?;
    }
    switch_language(&browser)?;
    browser.wait_for_text("#demo", "Demonstration: footage is kept for about 90 seconds")?;
    assert_quiet(&browser, &[("/v1/session", 401)])
}

#[test]
fn people_join_and_set_second_factors() -> Result<()> {
    let site = Site::without_cameras(&[])?;
    let browser = Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    browser.go(&site.url)?;
    browser.wait_for_element("#sign-in")?;
    people::somebody_joins(&browser)?;
    people::an_officer_sets_a_second_factor(&site, &browser)
}

#[test]
fn who_is_gone_or_idle_is_led_back_to_sign_in() -> Result<()> {
    let site = Site::without_cameras(&[])?;
    let browser = Browser::open("en-GB")?;
    // Ten minutes pass at once where the page reads its clock.
    let clock =
        "const now = performance.now.bind(performance); performance.now = () => now() + (window.ahead_ms ?? 0);";
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": clock}))?;
    browser.go(&site.url)?;
    browser.wait_for_element("#sign-in")?;
    sign_in(&browser, "officer")?;
    browser.forget_cookies()?;
    browser.click("nav a[href='#/ledger']")?;
    browser.wait_for_text("main", "Your session has ended")?;
    ensure!(!browser.has("#who")? && !browser.has("nav")?, "somebody still seems to be signed in");
    ensure!(browser.run("return location.hash", &json!([]))? == "#/", "the address still says where they were");

    sign_in(&browser, "officer")?;
    let cookie = browser.cookies()?[0]["value"].as_str().unwrap().to_owned();
    browser.run("window.ahead_ms = 9.5 * 60000", &json!([]))?;
    browser.wait_for_text(".idle", "signed out in one minute")?;
    browser.run("window.ahead_ms = 10.1 * 60000", &json!([]))?;
    browser.wait_for_text("main", "nothing was done for a while")?;
    // The daemon was told, too: the token opens nothing any more.
    let mut thief = support::api::Api::new(&site.url);
    thief.set_header("Cookie", &format!("__Host-custodian={cookie}"));
    thief.get("/v1/session")?.expect_status(401)?;
    let meant = ["/v1/session", "/v1/ledger/head", "/v1/accounts", "/v1/clock"].map(|path| (path, 401));
    assert_quiet(&browser, &meant)?;

    // A reload keeps who is signed in, and asks nobody to sign in again.
    sign_in(&browser, "officer")?;
    let reloaded_after = now_ms()?;
    browser.run("location.reload()", &json!([]))?;
    let script = "return performance.timeOrigin > arguments[0] && document.querySelector('#who') !== null";
    browser.wait_for("the page is there again", script, &json!([reloaded_after]))?;
    assert_quiet(&browser, &[])
}

/// What the other tests rely on: whatever the policy forbids is stopped, and stands in the console.
#[test]
fn the_console_tells_of_what_the_policy_stops() -> Result<()> {
    let site = Site::without_cameras(&[])?;
    let browser = Browser::open("en-GB")?;
    browser.go(&site.url)?;
    browser.wait_for_element("#sign-in")?;
    assert_quiet(&browser, &[("/v1/session", 401)])?;
    let inline = "
        const script = document.createElement('script');
        let refused = false;
        try {
            script.textContent = 'window.ran = true';
        } catch (e) {
            refused = e instanceof TypeError;
        }
        script.append(document.createTextNode('window.ran = true'));
        document.body.append(script);
        const image = new Image();
        image.src = 'http://127.0.0.1:9/picture';
        document.body.append(image);
        return refused && window.ran === undefined;";
    ensure!(browser.run(inline, &json!([]))? == true, "an inline script ran");
    let told = wait_until("the console tells of both", PATIENCE, || {
        let told: Vec<String> = browser.console()?.into_iter().map(|message| message.text).collect();
        Ok(Some(told).filter(|told| told.len() >= 2))
    })?;
    // Of trusted types the console has words of its own.
    let of_policy = |text: &String| text.contains("Content Security Policy") || text.contains("TrustedScript");
    ensure!(told.iter().all(of_policy), "{told:?}");
    Ok(())
}
