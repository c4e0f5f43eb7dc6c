//! Two people before the same thing, one who clicks twice or is not answered, and lists that are longer than a part.

use crate::browser::Browser;
use crate::checks::{CONTACT, NAME, assert_quiet, look_over, open, sign_in, sign_out, wait_for_page};
use crate::site::{Site, now_ms, password, rfc3339};
use crate::support::api::Api;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;

/// More than one part has, which is 50.
const MANY: usize = 57;

fn asked((from_ms, to_ms): (i64, i64)) -> Result<Value> {
    Ok(json!({
        "kind": "viewing", "cameras": [1], "span": {"from": rfc3339(from_ms)?, "to": rfc3339(to_ms)?},
        "purpose": "to look", "person": {"name": NAME, "contact": CONTACT},
    }))
}

fn how_many(desk: &mut Api) -> Result<usize> {
    let told = desk.get("/v1/requests?limit=1000")?.expect_status(200)?.json;
    Ok(told["requests"].as_array().context("no list")?.len())
}

pub fn work_at_once() -> Result<()> {
    let site = Site::with_cameras()?;
    let newest = site.wait_for_footage(Duration::from_secs(4))?;
    let span = (newest - 3_000, newest - 1_000);
    let first = Browser::open("en-GB")?;
    let second = Browser::open("ko-KR")?;
    for (browser, name) in [(&first, "officer"), (&second, "deputy")] {
        browser.set_size(1280, 900)?;
        browser.go(&site.url)?;
        browser.wait_for_element("#sign-in")?;
        sign_in(browser, name)?;
        assert_quiet(browser, &[("/v1/session", 401)])?;
    }
    let number = decide_at_once(&site, [&first, &second], span)?;
    change_what_is_shown(&site, &second, span)?;
    sign_out(&first)?;
    sign_out(&second)?;
    click_twice(&site, &first, span)?;
    look_through_many(&site, &first, (number, span))
}

/// Both have the same request open; one decides, and the other is told in their own language and shown what became of it.
fn decide_at_once(site: &Site, [first, second]: [&Browser; 2], span: (i64, i64)) -> Result<Value> {
    let mut desk = site.sign_in("desk")?;
    let number = desk.post("/v1/requests", &asked(span)?)?.expect_status(201)?.json["number"].clone();
    let seen = json!({"document": "passport"});
    desk.post(&format!("/v1/requests/{number}/identity"), &seen)?.expect_status(200)?;
    for browser in [first, second] {
        open(browser, &format!("requests/{number}"))?;
        browser.wait_for_element("#refuse")?;
    }
    for (browser, name, reason) in [(first, "officer", "A child is visible"), (second, "deputy", "Too late")] {
        browser.click("#refuse input[value=harm-to-others]")?;
        browser.type_into("#refuse textarea", reason)?;
        browser.type_into("#refuse input[name=password]", &password(name))?;
        browser.click("#refuse button[type=submit]")?;
        if name == "officer" {
            browser.wait_for_text("main .state", "Refused")?;
        }
    }
    second.wait_for_text("#refuse .problem", "그 사이에 다른 사람이 바꾸어")?;
    look_at_problem(second)?;
    second.click("#refuse .problem button.reload")?;
    second.wait_for_text("main .state", "거절됨")?;
    second.wait_for_text("main", "A child is visible")?;
    ensure!(!second.has("#refuse")?, "what is decided is offered to be decided");
    let told = desk.get(&format!("/v1/requests/{number}"))?.expect_status(200)?.json;
    ensure!(told["answer"].as_str().is_some_and(|answer| !answer.contains("Too late")), "{told}");
    assert_quiet(first, &[])?;
    assert_quiet(second, &[("/decision", 412)])?;
    Ok(number)
}

/// What went wrong is read out, and its button is as large as a finger.
fn look_at_problem(browser: &Browser) -> Result<()> {
    let script = "
        const box = document.querySelector('.problem');
        const { height, width } = box.querySelector('button.reload').getBoundingClientRect();
        return [box.role ?? box.getAttribute('role'), height >= 43.5 && width >= 43.5, document.activeElement === box];";
    let told = browser.run(script, &json!([]))?;
    ensure!(told == json!(["alert", true, true]), "{told}");
    Ok(())
}

/// A hold that was extended and an account that was changed while the deputy looked at them.
fn change_what_is_shown(site: &Site, deputy: &Browser, (from_ms, to_ms): (i64, i64)) -> Result<()> {
    let mut officer = site.sign_in("officer")?;
    let review = |days: i64| rfc3339(now_ms()? + days * 86_400_000);
    let order = json!({
        "reason": "incident", "text": "a fall", "cameras": [1], "review": review(7)?,
        "span": {"from": rfc3339(from_ms)?, "to": rfc3339(to_ms)?},
    });
    let hold = officer.post("/v1/holds", &order)?.expect_status(201)?.json["hold"].clone();
    open(deputy, &format!("holds/{hold}"))?;
    deputy.wait_for_element("#confirm-hold")?;
    let extension = json!({"review": review(9)?});
    officer.post(&format!("/v1/holds/{hold}/extension"), &extension)?.expect_status(200)?;
    for is_told in [true, false] {
        deputy.type_into("#confirm-hold input[name=password]", &password("deputy"))?;
        deputy.click("#confirm-hold button[type=submit]")?;
        if is_told {
            deputy.wait_for_text("#confirm-hold .problem", "다른 사람이")?;
            deputy.click("#confirm-hold .problem button.reload")?;
            deputy.wait_for("it is as it is now", "return document.querySelector('.problem') === null", &json!([]))?;
        }
    }
    deputy.wait_for("it is confirmed", "return document.querySelector('#confirm-hold') === null", &json!([]))?;

    let accounts = officer.get("/v1/accounts")?.expect_status(200)?.json["accounts"].clone();
    let viewer = accounts.as_array().and_then(|all| all.iter().find(|one| one["name"] == "viewer"));
    let viewer = viewer.context("no viewer")?["account"].clone();
    open(deputy, &format!("people/{viewer}"))?;
    let change = json!({"role": "staff", "reason": "moves", "password": password("officer")});
    officer.post(&format!("/v1/accounts/{viewer}/change"), &change)?.expect_status(200)?;
    deputy.type_into("#removal-account input[name=reason]", "left")?;
    deputy.type_into("#removal-account input[name=password]", &password("deputy"))?;
    deputy.click("#removal-account button[type=submit]")?;
    deputy.wait_for_text("#removal-account .problem", "다른 사람이")?;
    deputy.click("#removal-account .problem button.reload")?;
    deputy.wait_for_element("#approval-account")?;
    assert_quiet(deputy, &[("/confirmation", 412), ("/removal", 412)])
}

fn fill_in(browser: &Browser, (from_ms, to_ms): (i64, i64)) -> Result<()> {
    open(browser, "new")?;
    browser.click("#new-request input[name=cameras][value='1']")?;
    browser.set_time("#new-request input[name=from]", from_ms)?;
    browser.set_time("#new-request input[name=to]", to_ms)?;
    browser.type_into("#new-request textarea[name=purpose]", "Lost a wallet in the lobby")?;
    browser.type_into("#new-request input[name=person-name]", NAME)?;
    browser.type_into("#new-request input[name=contact]", CONTACT)
}

/// Two clicks, and a click after an answer that was lost: each time one request is made.
fn click_twice(site: &Site, browser: &Browser, span: (i64, i64)) -> Result<()> {
    let mut desk = site.sign_in("desk")?;
    let before = how_many(&mut desk)?;
    sign_in(browser, "desk")?;
    fill_in(browser, span)?;
    browser.double_click("#new-request button[type=submit]")?;
    browser.wait_for_text("main .done", "is submitted")?;
    ensure!(how_many(&mut desk)? == before + 1, "two clicks made two");
    // The same by a script, which no browser holds back: the form is sent, and sent again before it is answered.
    fill_in(browser, span)?;
    let twice = "
        const form = document.querySelector('#new-request');
        for (let n = 0; n < 2; n += 1) {
          form.removeAttribute('aria-busy');
          form.dispatchEvent(new SubmitEvent('submit', { cancelable: true }));
        }";
    browser.run(twice, &json!([]))?;
    browser.wait_for("it is open", "return location.hash.startsWith('#/requests/')", &json!([]))?;
    wait_for_page(browser)?;
    ensure!(how_many(&mut desk)? == before + 2, "what was sent twice made two");
    fill_in(browser, span)?;
    let lose = "
        const really = window.fetch;
        window.fetch = async (place, more) => {
          const answer = await really(place, more);
          if (more?.method !== 'POST') return answer;
          window.fetch = really;
          throw new TypeError('the answer was lost');
        };";
    browser.run(lose, &json!([]))?;
    browser.click("#new-request button[type=submit]")?;
    browser.wait_for_element("#new-request .problem")?;
    ensure!(how_many(&mut desk)? == before + 3, "it was not made, so nothing was lost");
    browser.click("#new-request button[type=submit]")?;
    browser.wait_for_text("main .done", "is submitted")?;
    ensure!(how_many(&mut desk)? == before + 3, "a click after a lost answer made another one");
    sign_out(browser)?;
    assert_quiet(browser, &[])
}

fn lines(browser: &Browser, css: &str) -> Result<Value> {
    browser.run("return document.querySelectorAll(`${arguments[0]} tbody tr`).length", &json!([css]))
}

/// Everything is shown, part by part; what waits for a decision however old it is; and each is found again.
fn look_through_many(site: &Site, browser: &Browser, (refused, span): (Value, (i64, i64))) -> Result<()> {
    let mut desk = site.sign_in("desk")?;
    let old = desk.post("/v1/requests", &asked(span)?)?.expect_status(201)?.json["number"].clone();
    desk.post(&format!("/v1/requests/{old}/identity"), &json!({"document": "passport"}))?.expect_status(200)?;
    while how_many(&mut desk)? < MANY {
        desk.post("/v1/requests", &asked(span)?)?.expect_status(201)?;
    }
    sign_in(browser, "desk")?;
    open(browser, "requests")?;
    ensure!(lines(browser, ".listing")? == 50, "a part has {} lines", lines(browser, ".listing")?);
    look_over(browser, false)?;
    browser.click(".listing button.more")?;
    browser.wait_for(
        "there is no more",
        "return document.querySelector('.listing button.more') === null",
        &json!([]),
    )?;
    ensure!(lines(browser, ".listing")? == MANY, "{} of {MANY}", lines(browser, ".listing")?);
    let focus = browser.run("return document.activeElement.className", &json!([]))?;
    ensure!(focus == "row-link", "the focus is lost: {focus}");
    browser.click("#filter summary")?;
    look_over_form_of_facts(browser)?;
    for (field, value, wanted) in
        [("number", refused.to_string(), 1), ("state", "identified".to_owned(), 1), ("camera", "2".to_owned(), 0)]
    {
        let script = "
            const form = document.querySelector('#by-facts');
            form.reset();
            form.elements[arguments[0]].value = arguments[1];
            document.querySelector('#filtered').replaceChildren();";
        browser.run(script, &json!([field, value]))?;
        browser.click("#by-facts button")?;
        browser.wait_for("it is told", "return document.querySelector('#filtered').hasChildNodes()", &json!([]))?;
        ensure!(lines(browser, "#filtered")? == wanted, "{field}={value}: {}", browser.text("#filtered")?);
    }
    sign_out(browser)?;
    sign_in(browser, "officer")?;
    // It is among the oldest, and stands where it is to be decided all the same.
    browser.wait_for_text("main caption", "To be decided")?;
    browser.wait_for_element(&format!("main > table a[href='#/requests/{old}']"))?;
    sign_out(browser)?;
    assert_quiet(browser, &[])
}

fn look_over_form_of_facts(browser: &Browser) -> Result<()> {
    let small = "
        return [...document.querySelectorAll('#by-facts input, #by-facts select, #by-facts button')]
          .filter((e) => e.getBoundingClientRect().height < 43.5 || (e.type !== 'submit' && e.labels.length === 0)).length;";
    ensure!(browser.run(small, &json!([]))? == 0, "something of the form has no label, or is too small");
    Ok(())
}
