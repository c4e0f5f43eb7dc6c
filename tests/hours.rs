//! A camera that films at certain hours, while the hours come and go; the daemon's clock is in the test's hands.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::clock::ManualClock;
use serde_json::{Value, json};
use std::time::Duration;
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::in_process::InProcess;
use support::peers::{Mount, RtspServer, Video};
use support::site::{CameraFile, Site};
use support::spans::rfc_3339;

const PATIENCE: Duration = Duration::from_secs(40);
const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE_US: i64 = 60_000_000;
/// Asia/Seoul, a site's default, has no summer time.
const SEOUL_US: i64 = 9 * 60 * MINUTE_US;

/// The time of day in Seoul, as a camera's file has it.
fn time_of_day(at_us: i64) -> String {
    let minute = (at_us + SEOUL_US).div_euclid(MINUTE_US).rem_euclid(24 * 60);
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn wait_for(daemon: &InProcess, site: &Site, camera: u64, state: &str) -> Value {
    let mut staff = daemon.sign_in(site, "staff");
    wait_until(&format!("camera {camera} is {state}"), PATIENCE, || {
        let cameras = staff.api.get("/v1/cameras")?.expect_status(200)?.json;
        let rows = cameras["cameras"].as_array().cloned().unwrap_or_default();
        Ok(rows.into_iter().find(|row| row["number"] == camera && row["state"] == state))
    })
    .unwrap()
}

#[test]
fn outside_its_hours_nothing_is_received_and_the_gap_says_why() {
    let server =
        RtspServer::start(vec![Mount::new("/always", Video::Clock), Mount::new("/hours", Video::Clock)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    let hands = ManualClock::flowing();
    let began_us = hands.clock().wall().micros();
    // From two hours on, for two hours.
    let (opens, closes) = (time_of_day(began_us + 120 * MINUTE_US), time_of_day(began_us + 240 * MINUTE_US));
    site.save_camera(&CameraFile::new(1, "always", &server.url("/always"))).unwrap();
    let hours = format!("mon-sun {opens}-{closes}");
    site.save_camera(&CameraFile::new(2, "hours", &server.url("/hours")).filming(&hours)).unwrap();
    let daemon = InProcess::start(&site, &hands);
    wait_for(&daemon, &site, 1, "recording");
    let resting = wait_for(&daemon, &site, 2, "resting");
    assert!(resting["detail"].as_str().unwrap().starts_with("outside its hours, until "), "{resting}");
    assert!(server.frames("/hours").unwrap().is_empty(), "somebody looked through the camera");

    hands.advance(HOUR * 2);
    wait_for(&daemon, &site, 2, "recording");
    let films_us = daemon.wall_us();
    pass(Duration::from_secs(6));
    assert!(!server.frames("/hours").unwrap().is_empty());

    hands.advance(HOUR * 2);
    wait_for(&daemon, &site, 2, "resting");
    let over_us = daemon.wall_us();
    let mut staff = daemon.sign_in(&site, "staff");
    pass(Duration::from_secs(2));
    let sent = server.frames("/hours").unwrap().len();
    pass(Duration::from_secs(2));
    assert_eq!(server.frames("/hours").unwrap().len(), sent, "the session is over");
    // Camera 1 broke off, when an hour passed in a moment; it came back, and the other did not.
    wait_for(&daemon, &site, 1, "recording");

    hands.advance(HOUR * 22);
    wait_for(&daemon, &site, 2, "recording");
    pass(Duration::from_secs(5));
    let mut later = daemon.sign_in(&site, "staff");
    std::mem::swap(&mut staff, &mut later);
    let (from, to) = (rfc_3339(films_us + 1_000_000).unwrap(), rfc_3339(daemon.wall_us() - 3_000_000).unwrap());
    let path = format!("/v1/cameras/2/availability?from={from}&to={to}");
    let told = staff.api.get(&path).unwrap().expect_status(200).unwrap().json;
    let pieces = told["pieces"].as_array().unwrap();
    let states: Vec<&Value> = pieces.iter().map(|piece| &piece["state"]).collect();
    assert_eq!((states.first(), states.last()), (Some(&&json!("footage")), Some(&&json!("footage"))), "{told}");
    let gaps: Vec<&Value> = pieces.iter().filter(|piece| piece["cause"] == "outside-hours").collect();
    assert_eq!(gaps.len(), 1, "{told}");
    let closed_us = over_us - over_us.rem_euclid(MINUTE_US);
    assert!(gaps[0]["span"]["to"].as_str().unwrap() > rfc_3339(closed_us).unwrap().as_str(), "{told}");
    daemon.end().unwrap();
}
