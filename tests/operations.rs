//! An operating room's camera: received between the start and the end of an operation, and at no other time, over a daemon
//! that is killed meanwhile, a camera that is away, and a file that is taken away.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::peers::{Mount, RtspServer, Video};
use support::read_back::{read, text};
use support::scene::{PATIENCE, Scene, now_us};
use support::site::{CameraFile, Person, Site};
use support::spans::rfc_3339;

const ROOM: u16 = 3;
const PATH: &str = "/theatre";
const NAME: &str = "Hong Gildong";
const SECOND_US: i64 = 1_000_000;

fn clinic() -> Scene {
    let server = RtspServer::start(vec![Mount::new(PATH, Video::Clock)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    site.cut_segments_after(10).unwrap();
    site.save_camera(&CameraFile::new(ROOM, "room 1", &server.url(PATH)).in_theatre()).unwrap();
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    Scene::of(running, site, server, dir)
}

fn camera(person: &mut Person) -> Value {
    let told = person.api.get("/v1/cameras").unwrap().expect_status(200).unwrap().json;
    told["cameras"].as_array().unwrap().iter().find(|camera| camera["number"] == ROOM).cloned().unwrap_or_default()
}

fn wait_for(person: &mut Person, state: &str) -> Value {
    wait_until(&format!("the camera is {state}"), PATIENCE, || {
        Ok(Some(camera(person)).filter(|camera| camera["state"] == state))
    })
    .unwrap()
}

fn start(person: &mut Person) -> u64 {
    let start = json!({"camera": ROOM, "asked_by": "patient", "name": NAME});
    let told = person.api.post("/v1/operations", &start).unwrap().expect_status(201).unwrap().json;
    told["operation"].as_u64().unwrap()
}

fn end(person: &mut Person, operation: u64) -> Value {
    let path = format!("/v1/operations/{operation}/end");
    person.api.post(&path, &json!({})).unwrap().expect_status(200).unwrap().json
}

/// What there is of the room in a span.
fn pieces(person: &mut Person, from_us: i64, to_us: i64) -> Vec<Value> {
    let (from, to) = (rfc_3339(from_us).unwrap(), rfc_3339(to_us).unwrap());
    let path = format!("/v1/cameras/{ROOM}/availability?from={from}&to={to}");
    let told = person.api.get(&path).unwrap().expect_status(200).unwrap().json;
    told["pieces"].as_array().unwrap().clone()
}

/// One cause after the other, as they are told; footage as such.
fn causes(pieces: &[Value]) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    for piece in pieces {
        let what = piece["cause"].as_str().unwrap_or(piece["state"].as_str().unwrap());
        if causes.last().is_none_or(|last| last != what) {
            causes.push(what.to_owned());
        }
    }
    causes
}

#[test]
fn it_films_an_operation_and_nothing_else() {
    let mut scene = clinic();
    let mut staff = scene.sign_in("staff").unwrap();
    let resting = wait_for(&mut staff, "resting");
    assert_eq!(resting["detail"], "no operation is under way");
    pass(Duration::from_secs(2));
    assert!(scene.server.frames(PATH).unwrap().is_empty(), "somebody looked into the room");

    let from_us = now_us();
    let first = start(&mut staff);
    wait_for(&mut staff, "recording");
    let mut officer = scene.sign_in("officer").unwrap();
    let twice = json!({"camera": ROOM, "asked_by": "guardian", "name": NAME});
    let told = officer.api.post("/v1/operations", &twice).unwrap();
    assert_eq!(
        (told.status, &told.json["type"]),
        (409, &json!("urn:custodian:operation-under-way")),
        "{}",
        told.text()
    );
    assert!(told.json["detail"].as_str().unwrap().contains(&format!("operation {first}")), "{}", told.text());
    pass(Duration::from_secs(5));
    let over = end(&mut officer, first);
    assert!((5..30).contains(&over["length_s"].as_u64().unwrap()), "{over}");
    let told = staff.api.post(&format!("/v1/operations/{first}/end"), &json!({})).unwrap();
    assert_eq!((told.status, &told.json["type"]), (409, &json!("urn:custodian:operation-ended")), "{}", told.text());
    wait_for(&mut staff, "resting");
    pass(Duration::from_secs(2));
    let sent = scene.server.frames(PATH).unwrap().len();
    pass(Duration::from_secs(2));
    assert_eq!(scene.server.frames(PATH).unwrap().len(), sent, "it is filmed on");

    // A second one; the daemon is killed in its middle, and films on at once.
    pass(Duration::from_secs(2));
    let second = start(&mut staff);
    wait_for(&mut staff, "recording");
    pass(Duration::from_secs(4));
    scene.running.daemon.kill().unwrap();
    scene.serve_again().unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    wait_for(&mut staff, "recording");
    pass(Duration::from_secs(4));
    let told = staff.api.get("/v1/operations").unwrap().expect_status(200).unwrap().json;
    assert_eq!((&told["operations"][0]["operation"], &told["operations"][0]["ended"]), (&json!(second), &Value::Null));
    assert_eq!(told["operations"][0]["name"], NAME);

    // The camera is away: a failure of an operation is not laid to there being none.
    let url = scene.server.url(PATH);
    scene.site.save_camera(&CameraFile::new(ROOM, "room 1", "rtsp://127.0.0.1:1/none").in_theatre()).unwrap();
    let waiting = wait_for(&mut staff, "waiting");
    assert!(waiting["detail"].as_str().unwrap().contains("did not answer"), "{waiting}");
    let status = scene.site.status().unwrap().1;
    assert!(status["alarms"].to_string().contains("camera 3 (room 1) is not recorded"), "{}", status["alarms"]);
    assert_eq!(status["duties"]["operations_under_way"], 1);
    // Its file goes away, and comes back: the operation is neither ended nor forgotten.
    scene.site.remove_camera(ROOM).unwrap();
    wait_until("an alarm says so", PATIENCE, || {
        let alarms = scene.site.status()?.1["alarms"].to_string();
        Ok(alarms.contains("no camera of an operating room any more").then_some(()))
    })
    .unwrap();
    scene.site.save_camera(&CameraFile::new(ROOM, "room 1", &url).in_theatre()).unwrap();
    wait_for(&mut staff, "recording");
    pass(Duration::from_secs(4));
    end(&mut staff, second);
    wait_for(&mut staff, "resting");

    // A third one begins while the camera does not answer.
    scene.site.save_camera(&CameraFile::new(ROOM, "room 1", "rtsp://127.0.0.1:1/none").in_theatre()).unwrap();
    pass(Duration::from_secs(3));
    wait_for(&mut staff, "resting");
    let third_us = now_us();
    let third = start(&mut staff);
    wait_for(&mut staff, "waiting");
    pass(Duration::from_secs(3));
    scene.site.save_camera(&CameraFile::new(ROOM, "room 1", &url).in_theatre()).unwrap();
    wait_for(&mut staff, "recording");
    pass(Duration::from_secs(5));
    let told = pieces(&mut staff, third_us - 2 * SECOND_US, now_us());
    let causes_told = causes(&told);
    assert_eq!(causes_told.first().map(String::as_str), Some("no-operation"), "{told:#?}");
    assert_eq!(causes_told.last().map(String::as_str), Some("footage"), "{told:#?}");
    assert!(!causes_told[1..].contains(&"no-operation".to_owned()), "{told:#?}");
    let rested = told[0]["span"]["to"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_microsecond();
    assert!((rested - third_us).abs() < SECOND_US, "{} µs off: {told:#?}", rested - third_us);
    end(&mut staff, third);
    wait_for(&mut staff, "resting");

    let all = pieces(&mut staff, from_us, now_us());
    assert!(all.iter().filter(|piece| piece["cause"] == "no-operation").count() >= 2, "{all:#?}");
    scene.running.stop().unwrap();
    it_is_on_record(&scene, &[first, second, third]);
}

/// The rows, by our verifier and by the second reader, who opens who asked with staff's password.
fn it_is_on_record(scene: &Scene, operations: &[u64]) {
    let files = scene.site.ledger_files().unwrap();
    assert_eq!(scene.site.verify_ledger(&files).unwrap()["ok"], true);
    let state = scene.site.dir().join("state");
    for entry in
        std::fs::read_dir(state.join("requests")).unwrap().chain(std::fs::read_dir(state.join("ledger")).unwrap())
    {
        let path = entry.unwrap().path();
        let stored = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&stored).contains(NAME), "{}", path.display());
    }
    let person = |name: &str| {
        let (password, volume) = (&scene.site.account(name).unwrap().password, scene.site.volume());
        read(&["person", text(&state), name, "--volume", text(&volume)], password).1
    };
    let told = person("staff");
    let read: Vec<u64> = told["operations"].as_object().unwrap().keys().map(|key| key.parse().unwrap()).collect();
    assert_eq!(read, operations, "{told}");
    for operation in told["operations"].as_object().unwrap().values() {
        assert_eq!((&operation["name"], &operation["camera"]), (&json!(NAME), &json!(ROOM)), "{operation}");
        assert!(operation["from"].as_str().unwrap() < operation["to"].as_str().unwrap(), "{operation}");
    }
    assert_eq!(person("viewer")["operations"], json!({}));
}
