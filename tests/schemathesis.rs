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

/// The three that the table has no good answer of: a one-time code, a second factor, a day that is over.
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

/// The next day, by a clock that is set on: then what a day destroyed can be confirmed.
fn confirm_a_day(stage: &mut Stage) -> Value {
    const ROUTE: &str = "/v1/destructions/days/{day}/confirmation";
    stage.scene.running.stop().unwrap();
    let hands = ManualClock::flowing();
    hands.advance(DAY);
    let daemon = InProcess::start(&stage.scene.site, &hands);
    // Which password it has by now, the stage knows.
    let account = stage.person("deputy").account.clone();
    let mut api = Api::new(&daemon.url());
    api.post("/v1/session", &json!({"name": account.name, "password": account.password}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    let days = api.get("/v1/destructions/days").unwrap().expect_status(200).unwrap().json;
    let day = days["days"].as_array().unwrap().iter().find(|day| day["is_over"] == true).unwrap()["day"].clone();
    let path = format!("/v1/destructions/days/{}", day.as_str().unwrap());
    let report = api.get(&path).unwrap().expect_status(200).unwrap().json;
    let body = json!({
        "report": report["digest"], "failures": report["report"]["totals"]["failures"], "acknowledged": "as it is here",
        "time": rfc_3339(daemon.wall_us()).unwrap(), "password": account.password,
    });
    let place = format!("{path}/confirmation");
    let told = api.post(&place, &body).unwrap();
    daemon.end().unwrap();
    recorded("POST", ROUTE, &place, &told)
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
    let examples = std::env::var("EXAMPLES").unwrap_or_else(|_| "3".to_owned());
    let fuzz = json!({"base": base, "roles": roles, "places": places, "examples": examples, "walked": []});
    std::fs::write(&plan, fuzz.to_string()).unwrap();
    let call = |plan: &std::path::Path| {
        let mut call = Command::new(&python);
        call.arg(repository().join("tests/schemathesis/run.py")).arg(plan).arg(dir.path());
        let told = run(&mut call, "", RUN_LIMIT).unwrap();
        println!("{}{}", told.stdout, told.stderr);
        told.succeeded().unwrap();
    };
    call(&plan);

    walked.push(confirm_a_day(&mut stage));
    let held = json!({"base": base, "roles": [], "places": {}, "examples": examples, "walked": walked});
    std::fs::write(&plan, held.to_string()).unwrap();
    call(&plan);
}
