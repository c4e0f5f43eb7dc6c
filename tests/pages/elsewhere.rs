//! Pages of other origins, in the browser that somebody is signed in with: another port of the same host, which the browser
//! sends the session's cookie from, and another host, which it does not.

use crate::browser::{Browser, PATIENCE};
use crate::checks::{open, sign_in, sign_out};
use crate::site::{Site, rfc3339};
use crate::support::api::Api;
use crate::support::commands::{pass, wait_until};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const PAGE: &str = "<!doctype html><title>elsewhere</title><h1>elsewhere</h1>\
    <button id=lure style='width:9rem;height:4rem'>a prize</button>\n";

/// Serves that page, whatever is asked for, until the test is over; its port.
fn serve_elsewhere() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || listener.incoming().filter_map(Result::ok).for_each(|peer| answer(peer).unwrap_or(())));
    Ok(port)
}

fn answer(mut peer: TcpStream) -> Result<()> {
    peer.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(peer.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let length = PAGE.len();
    Ok(write!(
        peer,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{PAGE}"
    )?)
}

/// What a page may try, each telling how it ended: `refused` where the browser or the daemon did not let it.
const TRIES: &str = r"
    const [site, secret, footage] = arguments;
    const ended = (promise) => promise.then((told) => `got ${told}`, () => 'refused');
    const loaded = (tag, path) => new Promise((done, failed) => {
      const element = document.createElement(tag);
      for (const kind of ['load', 'loadedmetadata', 'canplay']) element.addEventListener(kind, () => done(kind));
      element.addEventListener('error', failed);
      element.src = site + path;
      document.body.append(element);
    });
    const asked = (path, more) => fetch(site + path, { credentials: 'include', ...more }).then(async (answer) => {
      // Of what may not be read the browser tells neither status nor text.
      if (answer.type === 'opaque') throw new Error('opaque');
      return `${answer.status} ${(await answer.text()).slice(0, 40)}`;
    });
    const account = JSON.stringify({ name: 'mole', role: 'officer', reason: 'x', password: secret });
    const json = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: account };
    const tries = {
      read: asked('/v1/accounts'),
      'read blindly': asked('/v1/accounts', { mode: 'no-cors' }),
      change: asked('/v1/accounts', json),
      'change blindly': asked('/v1/accounts', { method: 'POST', mode: 'no-cors', body: account }),
      'sign out': asked('/v1/session', { method: 'DELETE' }),
      'see a picture': loaded('img', footage),
      'see an icon': loaded('img', '/icon.svg'),
      'see a film': loaded('video', footage),
      'fetch footage': asked(footage),
      'fetch footage blindly': asked(footage, { mode: 'no-cors' }),
      'run its script': loaded('script', '/app.js'),
    };
    const all = Object.entries(tries).map(([name, one]) => ended(one).then((told) => [name, told]));
    return Promise.all(all).then(Object.fromEntries);";

/// A form, which needs nobody's leave to be sent.
const FORM: &str = "
    const [action, kind, name, value] = arguments;
    const form = document.createElement('form');
    Object.assign(form, { action, method: 'post', enctype: kind });
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name, value });
    form.append(input);
    document.body.append(form);
    form.submit();";

struct Stage {
    site: Site,
    browser: Browser,
    officer: Api,
    /// A fragment of what the viewer watches.
    footage: String,
}

impl Stage {
    fn rows(&mut self) -> Result<Value> {
        Ok(self.officer.get("/v1/ledger/head")?.expect_status(200)?.json["sequence"].clone())
    }

    /// The number of rows, once what was on its way is on record: whether anything happens from then on.
    fn rows_at_rest(&mut self) -> Result<Value> {
        wait_until("no more rows come", PATIENCE, || {
            let before = self.rows()?;
            pass(Duration::from_secs(1));
            let after = self.rows()?;
            Ok(Some(after).filter(|after| *after == before))
        })
    }
}

/// A viewer watches in the browser, and goes to another page without ending that.
fn watching() -> Result<Stage> {
    let site = Site::with_cameras()?;
    let newest = site.wait_for_footage(Duration::from_secs(6))?;
    let (mut desk, mut officer) = (site.sign_in("desk")?, site.sign_in("officer")?);
    let span = json!({"from": rfc3339(newest - 5_000)?, "to": rfc3339(newest - 1_000)?});
    let asked = json!({
        "kind": "copy", "cameras": [1], "span": span, "purpose": "to look", "person": {"name": "Hong", "contact": "02"},
    });
    let request = desk.post("/v1/requests", &asked)?.expect_status(201)?.json["number"].clone();
    let seen = json!({"document": "passport"});
    desk.post(&format!("/v1/requests/{request}/identity"), &seen)?.expect_status(200)?;
    let viewer = site.sign_in("viewer")?.get("/v1/session")?.expect_status(200)?.json["account"].clone();
    let decision = json!({
        "decision": "approve", "viewer": viewer, "conditions": {"copy": true},
        "password": crate::site::password("officer"),
    });
    let path = format!("/v1/requests/{request}/decision");
    let grant = officer.post(&path, &decision)?.expect_status(200)?.json["grant"].clone();
    let browser = Browser::open("en-GB")?;
    browser.set_size(1280, 900)?;
    browser.go(&site.url)?;
    sign_in(&browser, "viewer")?;
    open(&browser, &format!("grants/{grant}/1"))?;
    browser.click("#begin-viewing button[type=submit]")?;
    browser.wait_for_element("#told[data-state=playing]")?;
    let script = "return performance.getEntriesByType('resource').map((e) => new URL(e.name).pathname) \
                  .find((path) => path.endsWith('.m4s'));";
    let footage = browser.run(script, &json!([]))?.as_str().context("no fragment was shown")?.to_owned();
    // The page's own answers are behind it.
    browser.run("return document.querySelector('video').pause()", &json!([]))?;
    Ok(Stage { site, browser, officer, footage })
}

pub fn nothing_is_read_changed_or_framed() -> Result<()> {
    let mut stage = watching()?;
    let port = serve_elsewhere()?;
    let own = "return fetch(arguments[0]).then((answer) => answer.status)";
    ensure!(stage.browser.run(own, &json!([stage.footage]))? == 200, "the viewer's own page sees nothing");
    for host in ["127.0.0.1", "localhost"] {
        let elsewhere = format!("http://{host}:{port}/");
        stage.browser.go(&elsewhere)?;
        let before = stage.rows_at_rest()?;
        let arguments = json!([stage.site.url, crate::site::password("viewer"), stage.footage]);
        let told = stage.browser.run(TRIES, &arguments)?;
        let tries = told.as_object().context("nothing was tried")?;
        ensure!(tries.len() == 11, "{told}");
        let worked: Vec<_> = tries.iter().filter(|(_, ended)| *ended != "refused").collect();
        ensure!(worked.is_empty(), "from {elsewhere}: {worked:?}");
        for kind in ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"] {
            send_a_form(&stage, kind)?;
            stage.browser.go(&elsewhere)?;
        }
        is_not_framed(&stage)?;
        is_not_opened_into(&stage)?;
        let after = stage.rows_at_rest()?;
        ensure!(after == before, "from {elsewhere} something happened: row {before} and then {after}");
    }
    // Whoever was signed in is, and watches.
    stage.browser.go(&stage.site.url)?;
    stage.browser.wait_for_element("#who")?;
    ensure!(stage.browser.run(own, &json!([stage.footage]))? == 200, "the viewing was broken off");
    sign_out(&stage.browser)
}

/// A form that another origin sends as JSON's look-alike: what comes back says that it was refused.
fn send_a_form(stage: &Stage, kind: &str) -> Result<()> {
    let action = format!("{}/v1/session/password", stage.site.url);
    let old = crate::site::password("viewer");
    // In text/plain this is JSON, the sign of equality in its last text.
    let name = json!({"name": "viewer", "password": old, "new_password": "a password of another's"}).to_string();
    let name = name.replace("another's\"}", "another's");
    stage.browser.run(FORM, &json!([action, kind, name, "\"}"]))?;
    stage.browser.wait_for_text("body", "cross-site")?;
    stage.browser.wait_for("it is the daemon's answer", "return location.href === arguments[0]", &json!([action]))?;
    Ok(())
}

fn is_not_framed(stage: &Stage) -> Result<()> {
    for path in ["/", "/v1/openapi.json"] {
        let script = "
            const frame = document.createElement('iframe');
            frame.id = 'framed';
            document.querySelector('#framed')?.remove();
            const settled = new Promise((done) => { frame.onload = done; setTimeout(done, 5000); });
            frame.src = arguments[0];
            document.body.append(frame);
            return settled.then(() => true);";
        stage.browser.run(script, &json!([format!("{}{path}", stage.site.url)]))?;
        let script = "return [location.protocol, document.body?.innerText ?? '']";
        let inside = stage.browser.run_in_frame("#framed", script)?;
        let text = inside[1].as_str().unwrap_or_default();
        ensure!(inside[0] == "chrome-error:" && !text.contains("Custodian"), "{path} is framed: {inside}");
    }
    Ok(())
}

/// A page of ours that another one opens: neither reaches the other.
fn is_not_opened_into(stage: &Stage) -> Result<()> {
    let browser = &stage.browser;
    let script = "
        document.querySelector('#lure').onclick = () => { window.opened = window.open(arguments[0]); };
        return true;";
    browser.run(script, &json!([format!("{}/", stage.site.url)]))?;
    let own = browser.window()?;
    browser.click("#lure")?;
    let other = browser.other_window(&own)?;
    browser.go_to_window(&other)?;
    browser.wait_for("it is ours", "return document.querySelector('main h1') !== null", &json!([]))?;
    ensure!(browser.run("return window.opener === null", &json!([]))? == true, "it knows who opened it");
    browser.go_to_window(&own)?;
    let script = "
        const tried = (act) => { try { return act() ?? null; } catch { return null; } };
        return {
          closed: window.opened.closed,
          title: tried(() => window.opened.document.title),
          place: tried(() => window.opened.location.href),
          frames: window.opened.length,
        };";
    let told = browser.run(script, &json!([]))?;
    ensure!(told["closed"] == true && told["title"].is_null() && told["frames"] == 0, "{told}");
    ensure!(told["place"].as_str().is_none_or(|place| !place.contains(&stage.site.url)), "{told}");
    browser.go_to_window(&other)?;
    browser.close_window()?;
    browser.go_to_window(&own)
}
