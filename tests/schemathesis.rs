//! schemathesis (PyPI) against the OpenAPI document that the daemon serves, signed in as every role: no 5xx, no answer that the
//! document does not declare, in status, kind and content; and each route was answered well at least once.
//!
//! What is answered well is asked for here, with objects that are really there; `tests/schemathesis/run.py` holds those answers
//! against the document too.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "roles/stage.rs"]
mod stage;
mod support;
#[path = "roles/table.rs"]
mod table;

use base64::Engine;
use cctv_custodian::clock::ManualClock;
use cctv_custodian::crypto::TotpSecret;
use serde_json::{Value, json};
use stage::{Stage, Whose};
use std::process::Command;
use std::time::Duration;
use support::api::{Answer, Api};
use support::commands::{repository, run, target_dir};
use support::in_process::InProcess;
use support::scene::now_us;
use support::spans::rfc_3339;
use table::{COLUMNS, Row, TABLE};

const VENV_LIMIT: Duration = Duration::from_secs(300);
const RUN_LIMIT: Duration = Duration::from_secs(900);
const DAY: Duration = Duration::from_secs(86_400);

/// An answer as the program in Python reads it.
fn recorded(method: &str, route: &str, place: &str, told: &Answer) -> Value {
    let body = base64::engine::general_purpose::STANDARD.encode(&told.body);
    json!({"method": method, "route": route, "place": place, "status": told.status, "headers": told.headers, "body": body})
}

/// Who is answered well by a row of the table, and of whose object.
fn well(row: &Row) -> Option<(&'static str, Whose)> {
    COLUMNS.into_iter().zip(row.told).find_map(|(who, cell)| {
        let (own, other) = cell.split_once(' ').unwrap_or((cell, cell));
        if own.starts_with('2') {
            return Some((who, Whose::Own));
        }
        other.starts_with('2').then_some((who, Whose::Other))
    })
}

/// Every route of the table that somebody is answered well at.
fn walk(stage: &mut Stage) -> Vec<Value> {
    let mut all = Vec::new();
    for row in TABLE {
        let Some((who, whose)) = well(row) else { continue };
        let place = stage.fill(row.path, row.about, who, whose).unwrap();
        let body = stage.body(row.method, row.path, who, whose).unwrap();
        let mut api = if who == "nobody" { stage.anybody() } else { stage.person(who).api.clone() };
        let told = api.send(row.method, &place, body.as_ref().map(|body| body.to_string().into_bytes())).unwrap();
        stage.after(row.path, who, body.as_ref(), told.status).unwrap();
        all.push(recorded(row.method, row.path, &place, &told));
    }
    all
}

/// Two that the table has no good answer of: a one-time code, and a second factor.
fn what_the_table_refuses(stage: &mut Stage) -> Vec<Value> {
    let officer = stage.person("officer").clone();
    let body = json!({"name": "novice", "role": "viewer", "reason": "joins", "password": officer.account.password});
    let told = officer.api.clone().post("/v1/accounts", &body).unwrap().expect_status(201).unwrap();
    let first = json!({"name": "novice", "code": told.json["code"], "password": "a password of their own"});
    let chosen = stage.anybody().post("/v1/session/first", &first).unwrap();
    let installer = stage.person("installer").clone();
    let mut api = installer.api.clone();
    let secret = api.get("/v1/account/second-factor").unwrap().expect_status(200).unwrap().json["secret"].clone();
    let code =
        TotpSecret::from_base32(secret.as_str().unwrap()).unwrap().code(u64::try_from(now_us() / 30_000_000).unwrap());
    let body = json!({"secret": secret, "code": code, "password": installer.account.password});
    let set = api.post("/v1/account/second-factor", &body).unwrap();
    vec![
        recorded("POST", "/v1/session/first", "/v1/session/first", &chosen),
        recorded("POST", "/v1/account/second-factor", "/v1/account/second-factor", &set),
    ]
}

/// Somebody at the daemon whose clock is set on, with the password that they have by now.
fn enter(daemon: &InProcess, stage: &mut Stage, who: &str) -> (Api, String) {
    let account = stage.person(who).account.clone();
    let mut api = Api::new(&daemon.url());
    let credentials = json!({"name": account.name, "password": account.password});
    api.post("/v1/session", &credentials).unwrap().expect_status(200).unwrap();
    (api, account.password)
}

/// A decision that one proposes and another one stands by.
fn propose(daemon: &InProcess, stage: &mut Stage) -> Vec<Value> {
    const ROUTE: &str = "/v1/requests/{request}/proposal";
    let (mut staff, _) = enter(daemon, stage, "colleague");
    let asked = json!({
        "kind": "viewing", "cameras": [stage::YARD], "span": stage.span.to_json().unwrap(), "purpose": "lost property",
        "person": {"name": "Hong Gildong", "contact": "02-000-0000"},
    });
    let request = staff.post("/v1/requests", &asked).unwrap().expect_status(201).unwrap().json["number"].clone();
    let seen = json!({"document": "passport"});
    staff.post(&format!("/v1/requests/{request}/identity"), &seen).unwrap().expect_status(200).unwrap();
    let (mut officer, password) = enter(daemon, stage, "officer");
    let body = json!({
        "decision": "refuse", "ground": "harm-to-others", "reason": "a child is seen", "password": password,
    });
    let place = format!("/v1/requests/{request}/proposal");
    let proposed = officer.post(&place, &body).unwrap();
    let (mut auditor, password) = enter(daemon, stage, "auditor");
    let body = json!({"proposal": proposed.json["proposal"]["row"], "password": password});
    let seconded = auditor.post(&format!("{place}/second"), &body).unwrap();
    vec![
        recorded("POST", ROUTE, &place, &proposed),
        recorded("POST", &format!("{ROUTE}/second"), &format!("{place}/second"), &seconded),
    ]
}

/// The next day: what a day destroyed can be confirmed.
fn confirm_a_day(daemon: &InProcess, stage: &mut Stage) -> Value {
    let (mut api, password) = enter(daemon, stage, "deputy");
    let days = api.get("/v1/destructions/days").unwrap().expect_status(200).unwrap().json;
    let day = days["days"].as_array().unwrap().iter().find(|day| day["is_over"] == true).unwrap()["day"].clone();
    let path = format!("/v1/destructions/days/{}", day.as_str().unwrap());
    let report = api.get(&path).unwrap().expect_status(200).unwrap().json;
    let body = json!({
        "report": report["digest"], "failures": report["report"]["totals"]["failures"], "acknowledged": "as it is here",
        "time": rfc_3339(daemon.wall_us()).unwrap(), "password": password,
    });
    let place = format!("{path}/confirmation");
    recorded("POST", "/v1/destructions/days/{day}/confirmation", &place, &api.post(&place, &body).unwrap())
}

/// The next month: the one before is summed up, and reviewed.
fn review_a_month(daemon: &InProcess, stage: &mut Stage) -> Vec<Value> {
    const ROUTE: &str = "/v1/ledger/months/{month}";
    let (mut api, password) = enter(daemon, stage, "deputy");
    let months = api.get("/v1/ledger/months").unwrap().expect_status(200).unwrap().json;
    let over = months["months"].as_array().unwrap().iter().find(|month| !month["last"].is_null()).unwrap().clone();
    let place = format!("/v1/ledger/months/{}", over["month"].as_str().unwrap());
    let view = api.get(&place).unwrap();
    let body = json!({"summary": view.json["digest"], "remarks": "a test", "password": password});
    let reviewed = api.post(&format!("{place}/review"), &body).unwrap();
    vec![
        recorded("GET", ROUTE, &place, &view),
        recorded("POST", &format!("{ROUTE}/review"), &format!("{place}/review"), &reviewed),
    ]
}

/// What takes a site that wants two people, or a clock that is set on.
fn what_takes_another_life(stage: &mut Stage) -> Vec<Value> {
    stage.scene.running.stop().unwrap();
    stage.scene.site.want_two_to_decide().unwrap();
    let daemon = InProcess::start(&stage.scene.site, &ManualClock::flowing());
    let mut all = propose(&daemon, stage);
    daemon.hands.advance(DAY);
    all.push(confirm_a_day(&daemon, stage));
    daemon.hands.advance(DAY * 31);
    all.extend(review_a_month(&daemon, stage));
    daemon.end().unwrap();
    all
}

#[test]
fn no_answer_is_one_that_the_document_does_not_declare() {
    let mut make = Command::new(repository().join("tests/second_reader/venv.sh"));
    make.arg(target_dir().join("schemathesis")).arg(repository().join("tests/schemathesis/requirements.txt"));
    let python = run(&mut make, "", VENV_LIMIT).unwrap().succeeded().unwrap().stdout.trim().to_owned();

    let mut stage = Stage::set().unwrap();
    let mut walked = walk(&mut stage);
    walked.extend(what_the_table_refuses(&mut stage));
    let cookie = |stage: &mut Stage, who: &str| {
        let headers = stage.person(who).api.headers();
        headers.into_iter().find(|(name, _)| name == "Cookie").unwrap().1
    };
    let roles: Vec<Value> = COLUMNS
        .into_iter()
        .map(|who| match who {
            "nobody" => json!({"role": who, "cookie": null}),
            who => json!({"role": who, "cookie": cookie(&mut stage, who)}),
        })
        .collect();
    let places = stage.places().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("plan.json");
    let base = stage.scene.running.base.clone();
    let set = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let (phases, examples) = (set("PHASES", "examples,fuzzing"), set("EXAMPLES", "3"));
    let fuzz = json!({
        "base": base, "roles": roles, "places": places, "phases": phases, "examples": examples, "walked": [],
    });
    std::fs::write(&plan, fuzz.to_string()).unwrap();
    let call = |plan: &std::path::Path| {
        let mut call = Command::new(&python);
        call.arg(repository().join("tests/schemathesis/run.py")).arg(plan).arg(dir.path());
        let told = run(&mut call, "", RUN_LIMIT).unwrap();
        println!("{}{}", told.stdout, told.stderr);
        told.succeeded().unwrap();
    };
    call(&plan);

    walked.extend(what_takes_another_life(&mut stage));
    let held = json!({"base": base, "roles": [], "places": {}, "walked": walked});
    std::fs::write(&plan, held.to_string()).unwrap();
    call(&plan);
}
