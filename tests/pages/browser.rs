//! A real Chromium, driven through chromedriver (W3C WebDriver), with a profile of its own.

use crate::support::commands::{end_by_force, wait_until};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

const START_LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Closed when dropped; gone when this process is.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

/// What stood in the browser's console.
#[derive(Clone, Debug)]
pub struct Message {
    pub level: String,
    pub text: String,
}

fn ask(method: &str, url: &str, body: Option<&Value>) -> Result<Value> {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_LIMIT))
        .build()
        .new_agent();
    let request = ureq::http::Request::builder().method(method).uri(url);
    let mut answer = match body {
        Some(body) => agent.run(request.header("content-type", "application/json").body(body.to_string())?),
        None => agent.run(request.body(())?),
    }?;
    let told: Value = answer.body_mut().read_json().with_context(|| format!("{method} {url}"))?;
    if let Some(error) = told["value"]["error"].as_str() {
        bail!("{error}: {}", told["value"]["message"].as_str().unwrap_or_default());
    }
    Ok(told["value"].clone())
}

impl Browser {
    /// Opens an empty page. `languages` is what the browser says it prefers, as in `ko` or `en-GB`.
    pub fn open(languages: &str) -> Result<Self> {
        let profile = tempfile::Builder::new().prefix("custodian-browser-").tempdir()?;
        // setpriv becomes chromedriver (same id), so that a killed test leaves none behind.
        let mut driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "chromedriver", "--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start chromedriver; `make deps` installs it")?;
        let stdout = driver.stdout.take().context("chromedriver has no output")?;
        let (said, ports) = sync_channel(1);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(port) = line.split("successfully on port ").nth(1) {
                    said.try_send(port.trim_end_matches('.').to_owned()).ok();
                }
            }
        });
        let port = ports.recv_timeout(START_LIMIT).context("chromedriver did not say its port");
        let mut browser = Self { driver, session: String::new(), _profile: profile };
        let base = format!("http://127.0.0.1:{}/session", port?);
        let told = ask("POST", &base, Some(&browser.wishes(languages)))?;
        let id = told["sessionId"].as_str().context("chromedriver gave no session")?;
        browser.session = format!("{base}/{id}");
        Ok(browser)
    }

    fn wishes(&self, languages: &str) -> Value {
        let profile = format!("--user-data-dir={}", self._profile.path().display());
        let language = format!("--accept-lang={languages}");
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // Over a pipe, the browser ends with its driver.
            "--remote-debugging-pipe",
            &profile,
            &language,
        ];
        json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}})
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        ask("POST", &format!("{}/{path}", self.session), Some(body))
    }

    pub fn go(&self, url: &str) -> Result<()> {
        self.post("url", &json!({"url": url})).map(drop)
    }

    /// Runs a function's body in the page, and returns what it returns, once it is settled.
    pub fn run(&self, script: &str, arguments: &Value) -> Result<Value> {
        let short: String = script.chars().take(120).collect();
        self.post("execute/sync", &json!({"script": script, "args": arguments})).with_context(|| short)
    }

    /// Runs it again and again until it returns something other than null and false.
    pub fn wait_for(&self, what: &str, script: &str, arguments: &Value) -> Result<Value> {
        let waited = wait_until(what, PATIENCE, || {
            Ok(Some(self.run(script, arguments)?).filter(|found| !found.is_null() && *found != Value::Bool(false)))
        });
        waited.with_context(|| format!("the page says: {}", self.text("body").unwrap_or_default()))
    }

    /// Waits until there is something that the selector finds.
    pub fn wait_for_element(&self, css: &str) -> Result<()> {
        self.wait_for(
            &format!("there is {css}"),
            "return document.querySelector(arguments[0]) !== null",
            &json!([css]),
        )?;
        Ok(())
    }

    pub fn wait_for_text(&self, css: &str, text: &str) -> Result<()> {
        let script =
            "return [...document.querySelectorAll(arguments[0])].some((e) => e.innerText.includes(arguments[1]))";
        self.wait_for(&format!("{css} says {text:?}"), script, &json!([css, text])).map(drop)
    }

    /// The text that is to be seen of the first element found.
    pub fn text(&self, css: &str) -> Result<String> {
        let text = self.run("return document.querySelector(arguments[0])?.innerText ?? null", &json!([css]))?;
        Ok(text.as_str().with_context(|| format!("there is no {css}"))?.to_owned())
    }

    pub fn has(&self, css: &str) -> Result<bool> {
        Ok(self.run("return document.querySelector(arguments[0]) !== null", &json!([css]))? == Value::Bool(true))
    }

    fn element(&self, css: &str) -> Result<String> {
        let found = self.post("element", &json!({"using": "css selector", "value": css}))?;
        Ok(found[ELEMENT].as_str().with_context(|| format!("there is no {css}"))?.to_owned())
    }

    /// Clicks as a person would: only what can be seen and is not covered.
    pub fn click(&self, css: &str) -> Result<()> {
        self.wait_for_element(css)?;
        let element = self.element(css)?;
        self.post(&format!("element/{element}/click"), &json!({})).with_context(|| css.to_owned()).map(drop)
    }

    /// Two clicks at once, as of somebody who is used to icons.
    pub fn double_click(&self, css: &str) -> Result<()> {
        self.wait_for_element(css)?;
        self.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", &json!([css]))?;
        let there = json!({
            "type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {ELEMENT: self.element(css)?},
        });
        let [down, up] = ["pointerDown", "pointerUp"].map(|kind| json!({"type": kind, "button": 0}));
        let clicks = json!([there, down, up, down, up]);
        let mouse = json!({"type": "pointer", "id": "mouse", "actions": clicks});
        self.post("actions", &json!({"actions": [mouse]})).with_context(|| css.to_owned()).map(drop)
    }

    /// Runs a function's body inside a frame of the page.
    pub fn run_in_frame(&self, css: &str, script: &str) -> Result<Value> {
        let element = self.element(css)?;
        self.post("frame", &json!({"id": {ELEMENT: element}}))?;
        let told = self.run(script, &json!([]));
        self.post("frame/parent", &json!({}))?;
        told
    }

    /// Which window is open before us.
    pub fn window(&self) -> Result<String> {
        let told = ask("GET", &format!("{}/window", self.session), None)?;
        Ok(told.as_str().context("a window without a name")?.to_owned())
    }

    /// Waits for one more window than this one.
    pub fn other_window(&self, own: &str) -> Result<String> {
        wait_until("another window is open", PATIENCE, || {
            let all = ask("GET", &format!("{}/window/handles", self.session), None)?;
            let all = all.as_array().cloned().unwrap_or_default();
            Ok(all.iter().filter_map(Value::as_str).find(|name| *name != own).map(str::to_owned))
        })
    }

    pub fn go_to_window(&self, name: &str) -> Result<()> {
        self.post("window", &json!({"handle": name})).map(drop)
    }

    pub fn close_window(&self) -> Result<()> {
        ask("DELETE", &format!("{}/window", self.session), None).map(drop)
    }

    /// Types, in place of what stands there.
    pub fn type_into(&self, css: &str, text: &str) -> Result<()> {
        self.wait_for_element(css)?;
        let element = self.element(css)?;
        self.post(&format!("element/{element}/clear"), &json!({}))?;
        self.post(&format!("element/{element}/value"), &json!({"text": text})).map(drop)
    }

    /// Sets what cannot be typed alike in every language: a date and time, in the browser's own zone.
    pub fn set_time(&self, css: &str, at_ms: i64) -> Result<()> {
        let script = "
            const [css, at] = arguments;
            const input = document.querySelector(css);
            const local = new Date(at - new Date(at).getTimezoneOffset() * 60000);
            input.value = local.toISOString().slice(0, 19);
            input.dispatchEvent(new Event('input', { bubbles: true }));
            input.dispatchEvent(new Event('change', { bubbles: true }));
            return input.value;";
        let set = self.run(script, &json!([css, at_ms]))?;
        ensure!(set.as_str().is_some_and(|set| !set.is_empty()), "{css} does not take {at_ms}");
        Ok(())
    }

    /// One command of the DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    pub fn set_size(&self, width: u32, height: u32) -> Result<()> {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size).map(drop)
    }

    /// The open page as a PDF, in base64.
    pub fn print(&self) -> Result<Value> {
        self.post("print", &json!({"orientation": "landscape", "background": true}))
    }

    /// The same on upright pages, as its own sheet wants them.
    pub fn print_upright(&self) -> Result<Value> {
        let told = self.devtools("Page.printToPDF", &json!({"preferCSSPageSize": true, "printBackground": true}))?;
        Ok(told["data"].clone())
    }

    pub fn cookies(&self) -> Result<Vec<Value>> {
        let cookies = ask("GET", &format!("{}/cookie", self.session), None)?;
        Ok(cookies.as_array().cloned().unwrap_or_default())
    }

    pub fn forget_cookies(&self) -> Result<()> {
        ask("DELETE", &format!("{}/cookie", self.session), None).map(drop)
    }

    /// What the console got since the last look.
    pub fn console(&self) -> Result<Vec<Message>> {
        let entries = self.post("se/log", &json!({"type": "browser"}))?;
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let entries = entries.as_array().cloned().unwrap_or_default();
        Ok(entries.iter().map(|entry| Message { level: text(entry, "level"), text: text(entry, "message") }).collect())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            ask("DELETE", &self.session, None).ok();
        }
        end_by_force(&mut self.driver).ok();
    }
}
