//! What officers do beside requests: holds, and the days on which something was destroyed.

use super::browser::Browser;
use super::checks::{
    NAME, assert_quiet, look_over, look_over_form, open, sign_in, sign_in_with, sign_out, switch_language,
};
use super::site::{now_ms, password, rfc3339};
use crate::support::commands::{pass, wait_until};
use crate::support::daemon::program;
use crate::support::in_process::InProcess;
use crate::support::peers::{Mount, RtspServer, Video};
use crate::support::site::{CameraFile, Site};
use anyhow::{Context, Result, ensure};
use cctv_custodian::clock::ManualClock;
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(40);

/// One officer places a hold and extends it; the deputy confirms and releases it; the auditor reads of it.
pub fn hold_as_officers(browser: &Browser, (from_ms, to_ms): (i64, i64)) -> Result<()> {
    sign_in(browser, "officer")?;
    open(browser, "holds")?;
    browser.wait_for_text("main", "No hold stands")?;
    browser.wait_for_text("main caption", "Requests’ own holds")?;
    look_over(browser, false)?;
    open(browser, "holds/new")?;
    browser.click("#new-hold input[name=cameras][value='1']")?;
    browser.set_time("#new-hold input[name=from]", from_ms)?;
    browser.set_time("#new-hold input[name=to]", to_ms)?;
    browser.run("document.querySelector('#new-hold select').value = 'accident'", &json!([]))?;
    browser.type_into("#new-hold textarea", "M12345678 fell on the stairs")?;
    look_over_form(browser)?;
    browser.click("#new-hold button[type=submit]")?;
    browser.wait_for_text("#new-hold .problem", "dentity number")?;
    browser.type_into("#new-hold textarea", &format!("{NAME} fell on the stairs"))?;
    browser.click("#new-hold button[type=submit]")?;
    browser.wait_for_text("main .done", "Hold 1 is placed")?;
    for text in ["An accident with an injury", "fell on the stairs", "To be confirmed", "1 · Lobby (ground floor)"] {
        browser.wait_for_text("main", text)?;
    }
    ensure!(!browser.has("#confirm-hold")? && !browser.has("#release-hold")?, "its owner is offered to confirm it");
    look_over(browser, false)?;
    browser.click("#extend-hold button")?;
    browser.wait_for_text("main .done", "The hold is extended")?;
    sign_out(browser)?;

    sign_in(browser, "deputy")?;
    open(browser, "holds/1")?;
    browser.type_into("#confirm-hold input[name=password]", "not the password")?;
    browser.click("#confirm-hold button")?;
    browser.wait_for_text("#confirm-hold .problem", "rong")?;
    browser.type_into("#confirm-hold input[name=password]", &password("deputy"))?;
    browser.click("#confirm-hold button")?;
    browser.wait_for_text("main .state", "Confirmed")?;
    look_over(browser, false)?;
    open(browser, "holds")?;
    browser.wait_for_text("caption", "Holds that stand")?;
    look_over(browser, false)?;
    open(browser, "holds/1")?;
    browser.type_into("#release-hold input[name=password]", &password("deputy"))?;
    browser.click("#release-hold button")?;
    browser.wait_for_text("main .done", "The hold is released")?;
    ensure!(!browser.has("main form")?, "it can be released again");
    sign_out(browser)?;

    sign_in(browser, "auditor")?;
    open(browser, "holds/1")?;
    browser.wait_for_text("main", "released")?;
    sign_out(browser)?;
    assert_quiet(browser, &[("/v1/holds", 422), ("/v1/holds/1/confirmation", 403)])
}

/// The desk enters a wish to erase; one hold is in its way until the officer erases all but what must stay.
pub fn erase_on_request(site: &super::site::Site, browser: &Browser, from_ms: i64) -> Result<()> {
    // Nothing holds what was filmed since the requests before.
    let mut desk = site.sign_in("desk")?;
    let wish = json!({
        "kind": "erasure", "cameras": [1, 2], "span": {"from": rfc3339(from_ms)?, "to": rfc3339(now_ms()? - 1_000)?},
        "purpose": "my child is to be seen", "person": {"name": NAME, "contact": "010-1234-5678"},
    });
    let request = desk.post("/v1/requests", &wish)?.expect_status(201)?.json["number"].clone();
    desk.post(&format!("/v1/requests/{request}/identity"), &json!({"document": "passport"}))?.expect_status(200)?;
    sign_in(browser, "officer")?;
    open(browser, &format!("requests/{request}"))?;
    browser.wait_for_text("main", "Erasure")?;
    look_over(browser, false)?;
    browser.click("#erase input[name=sure]")?;
    for is_partly in [false, true] {
        if is_partly {
            browser.wait_for_text("#erase .problem", "must stay")?;
            browser.click("#erase input[name=partly]")?;
        }
        browser.type_into("#erase input[name=password]", &password("officer"))?;
        browser.click("#erase button[type=submit]")?;
    }
    browser.wait_for_text("main .done", "Erased, but for what must stay")?;
    browser.wait_for_text("main", "request 1")?;
    look_over(browser, false)?;
    sign_out(browser)?;
    assert_quiet(browser, &[("/decision", 409)])
}

/// What is an officer's is nobody else's, whatever they send; an auditor reads.
pub fn only_officers_may(site: &super::site::Site) -> Result<()> {
    let span = json!({"from": "2026-11-26T00:00:00Z", "to": "2026-11-26T00:01:00Z"});
    let order =
        json!({"reason": "incident", "text": "x", "cameras": [1], "span": span, "review": "2099-01-01T00:00:00Z"});
    let again = json!({"password": "x"});
    let terms = json!({"review": "2099-01-01T00:00:00Z"});
    let day = json!({"report": "00".repeat(32), "failures": 0, "time": "2026-11-26T00:00:00Z", "password": "x"});
    let erase = json!({"decision": "erase", "partly": true, "password": "x"});
    let acts = [
        ("/v1/holds", &order),
        ("/v1/holds/1/confirmation", &again),
        ("/v1/holds/1/extension", &terms),
        ("/v1/holds/1/release", &again),
        ("/v1/requests/1/hold/confirmation", &again),
        ("/v1/requests/1/decision", &erase),
        ("/v1/destructions/days/2026-11-26/confirmation", &day),
    ];
    for name in ["viewer", "desk", "auditor", "installer"] {
        let mut api = site.sign_in(name)?;
        for (path, body) in acts {
            let answer = api.post(path, body)?;
            ensure!(answer.status == 403, "{name} {path}: {}", answer.text());
        }
        for path in ["/v1/holds", "/v1/holds/1", "/v1/destructions/days"] {
            let wanted = if name == "auditor" { 200 } else { 403 };
            ensure!(api.get(path)?.status == wanted, "{name} {path}");
        }
    }
    let mut nobody = crate::support::api::Api::new(&site.url);
    for (path, body) in acts {
        ensure!(nobody.post(path, body)?.status == 401, "somebody who is not signed in: {path}");
    }
    Ok(())
}

/// A site whose clock is in hand, with some seconds of a camera that were destroyed on their day, and that day over.
struct Destroyed {
    site: Site,
    daemon: InProcess,
    day: String,
    _cameras: RtspServer,
    _dir: tempfile::TempDir,
}

fn destroyed() -> Result<Destroyed> {
    let cameras = RtspServer::start(vec![Mount::new("/yard", Video::Yard)])?;
    let dir = tempfile::tempdir()?;
    // Overwriting is not proven here, so that there are failures to be acknowledged.
    let site = Site::init(&program()?, &dir.path().join("site"), &["--allow-unproven"])?;
    site.cut_segments_after(10)?;
    site.save_camera(&CameraFile::new(1, "Lobby", &cameras.url("/yard")))?;
    let daemon = InProcess::start(&site, &ManualClock::flowing());
    let mut staff = daemon.sign_in(&site, "staff");
    let recording = |staff: &mut crate::support::site::Person| -> Result<Option<bool>> {
        let told = staff.api.get("/v1/cameras")?.expect_status(200)?.json;
        Ok(told["cameras"].as_array().map(|rows| rows.first().is_some_and(|row| row["state"] == "recording")))
    };
    wait_until("the camera records", PATIENCE, || Ok(recording(&mut staff)?.filter(|records| *records)))?;
    pass(Duration::from_secs(12));
    site.remove_camera(1)?;
    wait_until("the camera is gone", PATIENCE, || Ok(recording(&mut staff)?.filter(|records| !records)))?;
    daemon.hands.advance(DAY * 30);
    let mut officer = daemon.sign_in(&site, "officer");
    let day = wait_until("something was destroyed", PATIENCE, || {
        let told = officer.api.get("/v1/destructions/days")?.expect_status(200)?.json;
        Ok(told["days"][0]["day"].as_str().map(str::to_owned))
    })?;
    daemon.hands.advance(DAY);
    Ok(Destroyed { site, daemon, day, _cameras: cameras, _dir: dir })
}

/// The officer reads the report, acknowledges what was not proven, says what time it is, and prints it.
pub fn confirm_a_day_and_print_it() -> Result<()> {
    let Destroyed { site, daemon, day, .. } = &destroyed()?;
    let officer = site.account("officer")?;
    let browser = &Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    browser.go(&daemon.url())?;
    sign_in_with(browser, officer.name, &officer.password)?;
    open(browser, "destructions")?;
    browser.wait_for_text("main .warning", "wait for an officer’s confirmation: 1")?;
    look_over(browser, false)?;
    open(browser, &format!("destructions/day/{day}"))?;
    for text in [
        "Record and certificate of destruction of personal video",
        "Clear, with cryptographic erase",
        "not yet",
        "the device allows no proof",
        "Name no persons",
    ] {
        browser.wait_for_text("main", text)?;
    }
    look_over(browser, false)?;
    is_a_form_on_paper(browser)?;
    confirm(browser, daemon, &officer.password)?;
    browser.wait_for_text("main .done", "The day is confirmed")?;
    browser.wait_for_text("#report", "officer")?;
    browser.wait_for_text("#report", "the disk is exchanged")?;
    ensure!(!browser.has("#confirm-day")?, "it can be confirmed again");
    switch_language(browser)?;
    browser.wait_for_text("#report", "개인영상정보 파기 기록·확인서")?;
    is_a_form_on_paper(browser)?;
    assert_quiet(browser, &[("/v1/session", 401), ("/confirmation", 422)])
}

fn confirm(browser: &Browser, daemon: &InProcess, officers_password: &str) -> Result<()> {
    browser.type_into("#confirm-day textarea", "the disk is exchanged next week")?;
    // An hour behind: one of the two clocks is wrong.
    let now_ms = daemon.wall_us() / 1_000;
    for (at_ms, problem) in [(now_ms - 3_600_000, Some("The clocks disagree")), (now_ms, None)] {
        browser.set_time("#confirm-day input[name=time]", at_ms / 60_000 * 60_000)?;
        browser.type_into("#confirm-day input[name=password]", officers_password)?;
        browser.click("#confirm-day button")?;
        if let Some(problem) = problem {
            browser.wait_for_text("#confirm-day .problem", problem)?;
        }
    }
    Ok(())
}

/// On paper there is the form and nothing else, as wide as the paper, and it is a PDF.
fn is_a_form_on_paper(browser: &Browser) -> Result<()> {
    browser.devtools("Emulation.setEmulatedMedia", &json!({"media": "print"}))?;
    let script = "
        const seen = (css) => [...document.querySelectorAll(css)].some((e) => e.offsetParent !== null);
        const article = document.querySelector('#report');
        return {
          around: ['header', 'footer', 'form', 'button', 'nav', '.back'].filter(seen),
          rows: document.querySelectorAll('.form-rows tbody tr').length,
          cut: [...article.querySelectorAll('table')].filter((e) => e.scrollWidth > article.clientWidth + 1).length,
        };";
    browser.set_size(1032, 700)?;
    let told = browser.run(script, &json!([]))?;
    browser.devtools("Emulation.setEmulatedMedia", &json!({"media": ""}))?;
    browser.set_size(1280, 900)?;
    ensure!(told["around"] == json!([]) && told["cut"] == 0, "{told}");
    ensure!(told["rows"].as_u64().is_some_and(|rows| rows > 0), "{told}");
    let printed: Value = browser.print()?;
    let pdf = printed.as_str().context("no PDF")?;
    // %PDF- in base64.
    ensure!(pdf.starts_with("JVBERi0") && pdf.len() > 10_000, "{} bytes of something else", pdf.len());
    Ok(())
}
