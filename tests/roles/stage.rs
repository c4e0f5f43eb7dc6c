//! A clinic with somebody of every role, and whatever they may want to do something to.

use super::support::api::{Answer, Api};
use super::support::daemon::program;
use super::support::peers::{Mount, RtspServer, Video};
use super::support::scene::{PATIENCE, Scene, now_us};
use super::support::site::{Account, CameraFile, Person, Site, random_text};
use super::support::spans::{AskedSpan, rfc_3339};
use super::table::About;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub const YARD: u16 = 1;
const OTHER_CAMERA: u16 = 2;
pub const THEATRE: u16 = 21;
const DAY_US: i64 = 86_400_000_000;

/// Those that a site begins with here; each of a role twice where one is to have something that the other has not.
const BEGINNERS: [(&str, &str); 8] = [
    ("officer", "officer"),
    ("deputy", "officer"),
    ("viewer", "viewer"),
    ("other-viewer", "viewer"),
    ("staff", "staff"),
    ("colleague", "staff"),
    ("auditor", "auditor"),
    ("installer", "installer"),
];

/// Everything that a route can be about.
pub struct Stage {
    pub scene: Scene,
    pub span: AskedSpan,
    people: BTreeMap<&'static str, Person>,
    grants: BTreeMap<&'static str, Value>,
    /// A segment of the footage, and one of its fragments, as a playlist names it.
    segment: String,
    part: String,
    operation: Option<Value>,
    day: String,
}

/// Whom something is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    Own,
    Other,
}

fn ok(answer: Answer) -> Result<Value> {
    ensure!((200..300).contains(&answer.status), "{}: {}", answer.status, answer.text());
    Ok(answer.json)
}

impl Stage {
    pub fn set() -> Result<Self> {
        let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)])?;
        let dir = tempfile::tempdir()?;
        let site =
            Site::init_of(&program()?, &dir.path().join("site"), &BEGINNERS, &["--name", "Test", "--allow-unproven"])?;
        site.cut_segments_after(10)?;
        for number in [YARD, OTHER_CAMERA] {
            site.save_camera(&CameraFile::new(number, "yard", &server.url("/yard")))?;
        }
        site.save_camera(&CameraFile::new(THEATRE, "theatre", &server.url("/yard")).in_theatre())?;
        let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[])?;
        let mut scene = Scene::of(running, site, server, dir);
        scene.wait_for_cameras(&[YARD, OTHER_CAMERA])?;
        let span = scene.record(&["/yard"], Duration::from_secs(3))?;
        let mut people = BTreeMap::new();
        for (name, _) in BEGINNERS {
            people.insert(name, scene.sign_in(name)?);
        }
        let mut stage = Self {
            scene,
            span,
            people,
            grants: BTreeMap::new(),
            segment: String::new(),
            part: String::new(),
            operation: None,
            day: String::new(),
        };
        let over_us = stage.people_come_and_go()?;
        stage.grant_footage()?;
        stage.destroy_something()?;
        stage
            .scene
            .running
            .daemon
            .wait_until("somebody's end has come", PATIENCE, |_| Ok((now_us() > over_us).then_some(())))?;
        Ok(stage)
    }

    pub fn person(&mut self, name: &str) -> &mut Person {
        self.people.get_mut(name).unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    pub fn anybody(&self) -> Api {
        self.scene.running.browser()
    }

    fn password(&self, name: &str) -> String {
        self.people[name].account.password.clone()
    }

    fn number(&self, name: &str) -> Value {
        self.people[name].number.clone()
    }

    /// One whose rights reach another camera; one whose rights come to an end; one who loses them. When that end has come.
    fn people_come_and_go(&mut self) -> Result<i64> {
        let ends = json!({"cameras": [OTHER_CAMERA]});
        self.join("narrow", "staff", &ends)?;
        self.join("removed", "officer", &json!({}))?;
        // Long enough for them to sign in before it on a machine that is busy.
        let soon_us = now_us() + 20_000_000;
        self.join("expired", "staff", &json!({"ends": rfc_3339(soon_us)?}))?;
        let removed = self.number("removed");
        let body = json!({"reason": "left the clinic", "password": self.password("officer")});
        ok(self.person("officer").api.post(&format!("/v1/accounts/{removed}/removal"), &body)?)?;
        Ok(soon_us + 500_000)
    }

    /// Asks for an account; its person has chosen a password then, and somebody else is to approve it.
    fn ask_for_account(&mut self, asker: &str, name: &str, role: &str, more: &Value) -> Result<(Value, String)> {
        let mut body = json!({"name": name, "role": role, "reason": "joins", "password": self.password(asker)});
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        let told = ok(self.person(asker).api.post("/v1/accounts", &body)?)?;
        let password = format!("{name}-{}", random_text(8)?);
        let first = json!({"name": name, "code": told["code"], "password": password});
        ok(self.anybody().post("/v1/session/first", &first)?)?;
        Ok((told["account"]["account"].clone(), password))
    }

    fn approve_account(&mut self, approver: &str, account: &Value) -> Result<()> {
        let body = json!({"password": self.password(approver)});
        ok(self.person(approver).api.post(&format!("/v1/accounts/{account}/approval"), &body)?).map(drop)
    }

    fn join(&mut self, name: &'static str, role: &'static str, more: &Value) -> Result<()> {
        let (number, password) = self.ask_for_account("officer", name, role, more)?;
        self.approve_account("deputy", &number)?;
        let mut api = self.anybody();
        ok(api.post("/v1/session", &json!({"name": name, "password": password}))?)?;
        self.people.insert(name, Person { api, account: Account { name, role, password }, number });
        Ok(())
    }

    fn grant_footage(&mut self) -> Result<()> {
        for viewer in ["viewer", "other-viewer"] {
            let grant = self.grant_to(viewer)?;
            self.grants.insert(viewer, grant);
        }
        self.grant_in(true, "watched")?;
        let path = Person::playlist(&self.grants["viewer"], YARD);
        let playlist = self.person("viewer").api.get(&path)?.expect_status(200)?.text();
        let first = playlist.lines().find(|line| line.ends_with(".m4s")).context("an empty playlist")?;
        let (segment, part) = first.split_once('/').context("an odd playlist")?;
        (self.segment, self.part) = (segment.to_owned(), part.to_owned());
        Ok(())
    }

    /// A grant of which a copy may be taken, too.
    fn grant_to(&mut self, viewer: &str) -> Result<Value> {
        let asked = json!({
            "kind": "copy", "cameras": [YARD], "span": self.span.to_json()?, "purpose": "lost property",
            "person": {"name": "Hong Gildong", "contact": "02-000-0000"},
        });
        let request = ok(self.person("colleague").api.post("/v1/requests", &asked)?)?["number"].clone();
        ok(self.person("colleague").identify(&request)?)?;
        let body = json!({
            "decision": "approve", "viewer": self.number(viewer), "conditions": {"copy": true},
            "password": self.password("officer"),
        });
        let told = ok(self.person("officer").api.post(&format!("/v1/requests/{request}/decision"), &body)?)?;
        Ok(told["grant"].clone())
    }

    /// A viewer's grant, or another one's, that is being watched, or not, or was not there before.
    fn grant_in(&mut self, own: bool, state: &str) -> Result<Value> {
        let viewer = if own { "viewer" } else { "other-viewer" };
        if state == "fresh" {
            return self.grant_to(viewer);
        }
        let grant = self.grants[viewer].clone();
        // That of before, if there is one: 409 says that there is none.
        let ended = self.person(viewer).end_viewing(&grant)?;
        ensure!(matches!(ended.status, 200 | 409), "{}", ended.text());
        if state == "watched" {
            self.person(viewer).begin_viewing(&grant)?.expect_status(201)?;
        }
        Ok(grant)
    }

    /// Somebody has a picture erased that nobody holds; its receipt is a row a moment later.
    fn destroy_something(&mut self) -> Result<()> {
        let span = AskedSpan { from_us: self.span.from_us, to_us: self.span.to_us };
        let asked = json!({
            "kind": "erasure", "cameras": [OTHER_CAMERA], "span": span.to_json()?, "purpose": "erase it",
            "person": {"name": "Hong", "contact": "02"},
        });
        let deadline = now_us() + 30_000_000;
        // Until the segment is closed, it stays.
        loop {
            let number = ok(self.person("staff").api.post("/v1/requests", &asked)?)?["number"].clone();
            ok(self.person("staff").identify(&number)?)?;
            let body = json!({"decision": "erase", "partly": true, "password": self.password("officer")});
            let told = self.person("officer").api.post(&format!("/v1/requests/{number}/decision"), &body)?;
            if told.status == 200 && told.json["erased"].as_array().is_some_and(|erased| !erased.is_empty()) {
                break;
            }
            ensure!(now_us() < deadline, "nothing could be erased: {}", told.text());
            std::thread::sleep(Duration::from_secs(1));
        }
        let officer = self.people.get_mut("officer").context("no officer")?;
        self.day = self.scene.running.daemon.wait_until("a destruction is on record", PATIENCE, |_| {
            let told = ok(officer.api.get("/v1/destructions/days")?)?;
            Ok(told["days"][0]["day"].as_str().map(str::to_owned))
        })?;
        Ok(())
    }

    /// A fresh request of the yard, in a state.
    fn request(&mut self, by: &str, state: &str) -> Result<Value> {
        let span = if state == "big" {
            AskedSpan { from_us: self.span.from_us - 2 * DAY_US, to_us: self.span.to_us }
        } else {
            self.span
        };
        let number = ok(self.person(by).ask(&[YARD], span, "Hong Gildong")?)?["number"].clone();
        if matches!(state, "identified" | "refused") {
            ok(self.person(by).identify(&number)?)?;
        }
        if state == "refused" {
            let body = json!({
                "decision": "refuse", "ground": "harm-to-others", "reason": "a child is seen",
                "password": self.password("officer"),
            });
            ok(self.person("officer").api.post(&format!("/v1/requests/{number}/decision"), &body)?)?;
        }
        Ok(number)
    }

    fn operation_by(&mut self, by: &str) -> Result<Value> {
        self.end_operation()?;
        let body = json!({"camera": THEATRE, "asked_by": "patient", "name": "Kim"});
        let number = ok(self.person(by).api.post("/v1/operations", &body)?)?["operation"].clone();
        self.operation = Some(number.clone());
        Ok(number)
    }

    /// There is one at a time; whatever came before is over.
    fn end_operation(&mut self) -> Result<()> {
        let told = ok(self.person("officer").api.get("/v1/operations")?)?;
        let all = told["operations"].as_array().cloned().unwrap_or_default();
        for operation in all.iter().filter(|operation| operation["ended"].is_null()) {
            let path = format!("/v1/operations/{}/end", operation["operation"]);
            ok(self.person("officer").api.post(&path, &json!({}))?)?;
        }
        Ok(())
    }

    fn hold_by(&mut self, by: &str) -> Result<Value> {
        let body = self.hold_order()?;
        Ok(ok(self.person(by).api.post("/v1/holds", &body)?)?["hold"].clone())
    }

    /// Over footage that nothing else here is about.
    fn dispute_by(&mut self, by: &str) -> Result<Value> {
        let body = self.dispute()?;
        Ok(ok(self.person(by).api.post("/v1/disputes", &body)?)?["dispute"].clone())
    }

    fn dispute(&self) -> Result<Value> {
        let span = AskedSpan { from_us: self.span.from_us - DAY_US, to_us: self.span.from_us - DAY_US / 2 };
        Ok(json!({"cameras": [OTHER_CAMERA], "span": span.to_json()?, "ground": "accuracy"}))
    }

    fn hold_order(&self) -> Result<Value> {
        let review = rfc_3339(now_us() + 7 * DAY_US)?;
        Ok(json!({
            "reason": "incident", "text": "a fall", "cameras": [YARD], "span": self.span.to_json()?, "review": review,
        }))
    }

    /// The path of a route, with something fresh to put into it that is `who`'s own, or not.
    pub fn fill(&mut self, path: &str, about: About, who: &str, whose: Whose) -> Result<String> {
        let own = whose == Whose::Own;
        let by = |own_name: &'static str, other: &'static str| if own { own_name } else { other };
        let filled = match about {
            About::Nothing | About::Login => path.to_owned(),
            About::Session => {
                let account =
                    if own { self.people[who].account.clone() } else { self.people["colleague"].account.clone() };
                let mut api = self.anybody();
                ok(api.post("/v1/session", &json!({"name": account.name, "password": account.password}))?)?;
                let sessions = ok(api.get("/v1/sessions")?)?["sessions"].clone();
                let own = sessions.as_array().and_then(|all| all.iter().find(|session| session["is_own"] == true));
                let id = own.and_then(|session| session["session"].as_str()).context("no session of one's own")?;
                path.replace("{session}", id)
            }
            About::Account("oneself") if own => path.replace("{account}", &self.number(who).to_string()),
            About::Account("oneself") => {
                let (number, _) = self.fresh_account("officer")?;
                self.approve_account("deputy", &number)?;
                path.replace("{account}", &number.to_string())
            }
            About::Account(_) => {
                let (number, _) = self.fresh_account(by("officer", "deputy"))?;
                path.replace("{account}", &number.to_string())
            }
            About::Camera => {
                let (from, to) = (rfc_3339(self.span.from_us)?, rfc_3339(self.span.to_us)?);
                format!("{}?from={from}&to={to}", path.replace("{camera}", &YARD.to_string()))
            }
            About::Request(state) => {
                let number = self.request(by("staff", "colleague"), state)?;
                path.replace("{request}", &number.to_string())
            }
            About::Letter => {
                let staff = by("staff", "colleague");
                let number = self.request(staff, "submitted")?;
                let body = json!({"letter": "receipt", "language": "en"});
                let told = ok(self.person(staff).api.post(&format!("/v1/requests/{number}/letters"), &body)?)?;
                path.replace("{request}", &number.to_string()).replace("{letter}", &told["number"].to_string())
            }
            About::Hold => path.replace("{hold}", &self.hold_by(by("officer", "deputy"))?.to_string()),
            About::Operation => {
                let own_name = if who == "officer" { "officer" } else { "staff" };
                path.replace("{operation}", &self.operation_by(by(own_name, "colleague"))?.to_string())
            }
            About::Grant(state) => path
                .replace("{grant}", &self.grant_in(own, state)?.to_string())
                .replace("{camera}", &YARD.to_string())
                .replace("{segment}", &self.segment)
                .replace("{part}", &self.part),
            About::Dispute => path.replace("{dispute}", &self.dispute_by(by("officer", "deputy"))?.to_string()),
            About::Month => path.replace("{month}", &rfc_3339(now_us())?[..7]),
            About::Period => format!("{path}?from={}&to={}", rfc_3339(now_us() - DAY_US)?, rfc_3339(now_us())?),
            About::Day => path.replace("{day}", &self.day),
        };
        ensure!(!filled.contains('{'), "{filled}: nothing to put there");
        Ok(filled)
    }

    fn fresh_account(&mut self, asker: &str) -> Result<(Value, String)> {
        let name = format!("newcomer-{}", random_text(4)?);
        self.ask_for_account(asker, &name, "viewer", &json!({}))
    }

    /// What is sent along: right in every way, so that only who sends it decides.
    pub fn body(&mut self, method: &str, path: &str, who: &str, whose: Whose) -> Result<Option<Value>> {
        let known = self.people.contains_key(who);
        let password = if known { self.password(who) } else { "nobody's password".to_owned() };
        let again = json!({"password": password});
        let reason = json!({"reason": "as agreed", "password": password});
        let login = match (whose, known) {
            (Whose::Own, true) => self.people[who].account.name,
            (Whose::Own, false) => "nobody",
            // Each another one: of too many wrong passwords a name has to wait.
            (Whose::Other, _) => {
                let at = BEGINNERS.iter().position(|(name, _)| *name == who).unwrap_or(who.len());
                BEGINNERS[(at + 1) % BEGINNERS.len()].0
            }
        };
        let later = rfc_3339(now_us() + 9 * DAY_US)?;
        let body = match (method, path) {
            ("GET" | "DELETE", _) => return Ok(None),
            (_, "/v1/session") => json!({"name": login, "password": password}),
            (_, "/v1/session/first") => {
                json!({"name": format!("newcomer-{who}"), "code": "AAAAA-AAAAA", "password": "a new password"})
            }
            (_, "/v1/session/password") => {
                let next = format!("{who}-{}", random_text(8)?);
                json!({"name": login, "password": password, "new_password": next})
            }
            (_, "/v1/account/second-factor") => {
                json!({"secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "code": "000000", "password": password})
            }
            (_, "/v1/accounts") => {
                let name = format!("newcomer-{}", random_text(4)?);
                json!({"name": name, "role": "viewer", "reason": "joins", "password": password})
            }
            (_, "/v1/accounts/{account}/change") => {
                json!({"role": "staff", "reason": "as agreed", "password": password})
            }
            (_, "/v1/accounts/{account}/withdrawal") => json!({"reason": "not wanted any more"}),
            (_, "/v1/accounts/{account}/removal" | "/v1/accounts/{account}/reset") => reason,
            (_, "/v1/requests") => json!({
                "kind": "viewing", "cameras": [YARD], "span": self.span.to_json()?, "purpose": "lost property",
                "person": {"name": "Hong Gildong", "contact": "02-000-0000"},
            }),
            (_, "/v1/requests/{request}/identity") => json!({"document": "passport"}),
            (_, "/v1/requests/{request}/decision") => {
                json!({"decision": "approve", "viewer": self.number("viewer"), "password": password})
            }
            (_, "/v1/requests/{request}/letters") => json!({"letter": "receipt", "language": "ko"}),
            (_, "/v1/requests/{request}/letters/{letter}/delivery") => json!({"way": "hand"}),
            (_, "/v1/requests/search") => json!({"name": "Hong Gildong"}),
            (_, "/v1/grants/{grant}/viewing") => json!({"present": true}),
            (_, "/v1/grants/{grant}/revocation") => json!({"ground": "no-longer-needed"}),
            (_, "/v1/grants/{grant}/viewing/end") => json!({}),
            (_, "/v1/requests/{request}/objection" | "/v1/requests/{request}/close") => json!({}),
            (_, "/v1/requests/{request}/proposal") => json!({
                "decision": "refuse", "ground": "harm-to-others", "reason": "a child is seen", "password": password,
            }),
            (_, "/v1/requests/{request}/proposal/second") => json!({"proposal": 1, "password": password}),
            (_, "/v1/requests/{request}/delivery" | "/v1/requests/{request}/withdrawal") => json!({"channel": "visit"}),
            (_, "/v1/requests/{request}/fee") => json!({"amount_krw": 1000, "paid": false}),
            (_, "/v1/disputes") => self.dispute()?,
            (_, "/v1/disputes/{dispute}/settlement") => json!({"outcome": "rejected"}),
            (_, "/v1/ledger/months/{month}/review") => json!({"summary": "0".repeat(64), "password": password}),
            (_, "/v1/copies/destructions") => json!({
                "copy": "print", "count": 1, "how": "shredded", "destroyed": rfc_3339(now_us() - 1_000_000)?,
            }),
            (_, "/v1/holds") => self.hold_order()?,
            (_, "/v1/holds/{hold}/extension") => json!({"review": later}),
            (_, "/v1/operations") => {
                self.end_operation()?;
                json!({"camera": THEATRE, "asked_by": "patient", "name": "Kim"})
            }
            (_, "/v1/operations/{operation}/end") => json!({}),
            (_, "/v1/clock/confirmation") => json!({"time": rfc_3339(now_us())?, "password": password}),
            (_, "/v1/destructions/days/{day}/confirmation") => json!({
                "report": "0".repeat(64), "failures": 0, "time": rfc_3339(now_us())?, "password": password,
            }),
            (
                _,
                "/v1/accounts/{account}/approval"
                | "/v1/requests/{request}/hold/confirmation"
                | "/v1/holds/{hold}/confirmation"
                | "/v1/holds/{hold}/release",
            ) => again,
            _ => anyhow::bail!("{method} {path}: tests/roles/stage.rs has no body for it"),
        };
        Ok(Some(body))
    }

    /// Of each name in a path, something that is there.
    #[allow(dead_code, reason = "schemathesis wants it")]
    pub fn places(&mut self) -> Result<Value> {
        let request = self.request("staff", "identified")?;
        let grant = self.grant_in(true, "watched")?;
        let letter = json!({"letter": "receipt", "language": "en"});
        let letter = ok(self.person("staff").api.post(&format!("/v1/requests/{request}/letters"), &letter)?)?;
        let session = self.fill("{session}", About::Session, "colleague", Whose::Own)?;
        Ok(json!({
            "request": request,
            "letter": letter["number"],
            "session": session,
            "dispute": self.dispute_by("officer")?,
            "month": rfc_3339(now_us())?[..7],
            "hold": self.hold_by("officer")?,
            "operation": self.operation_by("staff")?,
            "account": self.number("viewer"),
            "camera": YARD,
            "grant": grant,
            "segment": self.segment,
            "part": self.part,
            "day": self.day,
        }))
    }

    /// Keeps what a call changed of the caller: a password, or that their session is over.
    pub fn after(&mut self, path: &str, who: &str, body: Option<&Value>, status: u16) -> Result<()> {
        if !self.people.contains_key(who) {
            return Ok(());
        }
        if path == "/v1/session/password" && status == 204 {
            let next = body.and_then(|body| body["new_password"].as_str()).context("no new password")?.to_owned();
            self.person(who).account.password = next;
        }
        let is_over = path == "/v1/session" && status == 204;
        if is_over {
            let account = self.people[who].account.clone();
            let mut api = self.anybody();
            ok(api.post("/v1/session", &json!({"name": account.name, "password": account.password}))?)?;
            self.person(who).api = api;
        }
        Ok(())
    }
}
