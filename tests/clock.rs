//! The real daemon with a clock that it cannot believe: it says what it waits for, and an officer ends it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::disk::clock_is_synchronised;
use serde_json::{Value, json};
use support::daemon::program;
use support::scene::slug;
use support::site::{Person, Site};

fn clock(who: &mut Person) -> Value {
    who.api.get("/v1/clock").unwrap().expect_status(200).unwrap().json
}

#[test]
fn every_status_says_what_the_clock_waits_for_and_an_officer_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    // An older file was put back: how many steps were taken since is not known.
    let file = site.dir().join("state/clock");
    std::fs::write(&file, r#"{"version":1,"trusted":"2026-01-02T03:04:05Z","stepped_s":60}"#).unwrap();
    let mut running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    let mut officer = running.sign_in(&site, "officer").unwrap();
    if clock_is_synchronised() {
        // A clock that is kept right needs no officer.
        assert_eq!(clock(&mut officer)["in_doubt"], Value::Null);
        running.stop().unwrap();
        return;
    }
    assert_eq!(clock(&mut officer)["in_doubt"], "file-lost");
    let (code, status) = site.status().unwrap();
    assert_eq!((code, &status["clock_in_doubt"]), (Some(1), &json!(true)), "{status}");
    let alarms = status["alarms"].to_string();
    for part in ["the clock is in doubt", "72.0 h of 72 h", "synchronised (NTP), or an officer confirms"] {
        assert!(alarms.contains(part), "{part} is not in {alarms}");
    }
    let told = site.run("status", &[]).unwrap().stdout;
    assert!(told.contains("ALARM  the clock is in doubt"), "{told}");
    running.daemon.wait_for_line("the clock is in doubt", std::time::Duration::from_secs(5)).unwrap();

    let now = clock(&mut officer)["wall"].clone();
    let password = officer.account.password.clone();
    let confirm = |who: &mut Person, time: &Value, password: &str| {
        who.api.post("/v1/clock/confirmation", &json!({"time": time, "password": password})).unwrap()
    };
    let mut viewer = running.sign_in(&site, "viewer").unwrap();
    let viewers = viewer.account.password.clone();
    assert_eq!(slug(&confirm(&mut viewer, &now, &viewers).expect_status(403).unwrap().json), "forbidden");
    assert_eq!(slug(&confirm(&mut officer, &now, "wrong").expect_status(403).unwrap().json), "wrong-credentials");
    let past = json!("2020-01-01T00:00:00Z");
    assert_eq!(slug(&confirm(&mut officer, &past, &password).expect_status(422).unwrap().json), "clock-refused");
    let in_2098 = confirm(&mut officer, &json!("2098-01-01T00:00:00Z"), &password).expect_status(409).unwrap();
    assert_eq!((slug(&in_2098.json), &in_2098.json["destroys"]), ("clock-destroys", &json!(0)));
    assert!(clock(&mut officer)["in_doubt"] != Value::Null, "nothing was done so far");

    let confirmed = confirm(&mut officer, &now, &password).expect_status(200).unwrap().json;
    assert_eq!((&confirmed["in_doubt"], &confirmed["waits_for"]), (&Value::Null, &Value::Null), "{confirmed}");
    assert_eq!(site.status().unwrap().0, Some(0));
    let rows = officer.api.get("/v1/ledger?limit=1000").unwrap().expect_status(200).unwrap().json["rows"].clone();
    let kinds: Vec<&str> = rows.as_array().unwrap().iter().filter_map(|row| row["act"]["kind"].as_str()).collect();
    let clocks: Vec<&&str> = kinds.iter().filter(|kind| kind.starts_with("clock-")).collect();
    assert_eq!(clocks, [&"clock-in-doubt", &"clock-confirmed"]);
    running.stop().unwrap();

    // It is known from here on.
    let mut running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    let mut officer = running.sign_in(&site, "officer").unwrap();
    assert_eq!(clock(&mut officer)["in_doubt"], Value::Null);
    running.stop().unwrap();
}
