//! `custodian cameras probe`, as the vendor runs it after hanging cameras up.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use support::choir::Choir;
use support::commands::{Ended, run};
use support::daemon::program;
use support::peers::{Mount, RtspServer, Video};
use support::rogues::{Manners, Rogue};
use support::site::{CameraFile, Site};

const PATIENCE: Duration = Duration::from_secs(60);

fn probe(site: &Site, more: &[&str]) -> Ended {
    let mut call = Command::new(program().unwrap());
    call.args(["cameras", "probe", "--site"]).arg(site.dir()).args(["--watch-s", "4"]).args(more);
    run(&mut call, "", PATIENCE).unwrap()
}

/// Within a share of what it should be.
fn is_near(value: &Value, wanted: f64, share: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - wanted).abs() <= wanted * share)
}

#[test]
fn each_camera_is_told_as_it_is_and_what_is_to_be_mended() {
    let server = RtspServer::start(vec![
        Mount::new("/yard", Video::Yard).with_sound(),
        Mount::new("/mirrored", Video::YardH265),
        Mount::new("/clock", Video::Clock).with_login("viewer", "sesame"),
    ])
    .unwrap();
    let silent = Rogue::start(Manners::Silent).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    let cameras = [
        CameraFile::new(1, "yard", &server.url("/yard")),
        CameraFile::new(2, "mirrored", &server.url("/mirrored")).through_libav(),
        CameraFile::new(3, "clock", &server.url("/clock")).with_login("viewer", "sesame"),
        CameraFile::new(4, "clock again", &server.url("/clock")).with_login("viewer", "swordfish"),
        CameraFile::new(5, "silent", &silent.url()),
    ];
    for camera in &cameras {
        site.save_camera(camera).unwrap();
    }
    let told = probe(&site, &["--json"]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert!(!told.stdout.contains("swordfish") && !told.stderr.contains("swordfish"), "{told:?}");
    let lines: Vec<Value> = serde_json::from_str(&told.stdout).unwrap();
    let seen: Vec<_> = lines.iter().map(|line| (&line["number"], &line["codec"], &line["width_px"])).collect();
    let none = &Value::Null;
    let (h264, h265) = (&json!("H.264"), &json!("H.265"));
    let wanted = [
        (&json!(1), h264, &json!(768)),
        (&json!(2), h265, &json!(640)),
        (&json!(3), h264, &json!(640)),
        (&json!(4), none, none),
        (&json!(5), none, none),
    ];
    assert_eq!(seen, wanted, "{lines:#?}");
    for (line, fps) in lines.iter().zip([10.0, 10.0, 15.0]) {
        assert!(is_near(&line["frames_a_second"], fps, 0.1), "{line}");
        assert!(is_near(&line["key_frames_apart_s"], 1.0, 0.2), "{line}");
        assert!(line["megabits_a_second"].as_f64().unwrap() > 0.02, "{line}");
        assert_eq!((&line["warnings"], &line["encrypted"]), (&json!([]), &json!(false)), "{line}");
    }
    assert_eq!((&lines[0]["sound_offered"], &lines[2]["sound_offered"]), (&json!(true), &json!(false)));
    // GStreamer's sender reports tell this machine's own clock.
    assert!(lines[0]["clock_ahead_s"].as_f64().is_none_or(|ahead| ahead.abs() < 2.0), "{}", lines[0]);
    for (line, words) in [(&lines[3], "user name or password"), (&lines[4], "did not answer DESCRIBE")] {
        assert!(line["warnings"][0].as_str().unwrap().contains(words), "{line}");
    }

    // As a person reads it, of some cameras only.
    let told = probe(&site, &["camera-1.toml"]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    let rows: Vec<&str> = told.stdout.lines().collect();
    assert!(rows[0].starts_with("No  Name"), "{}", told.stdout);
    assert!(rows[1].contains("H.264") && rows[1].contains("768×576") && rows[1].contains("refused"), "{}", told.stdout);
    assert!(told.stdout.contains("Not encrypted on their way here: cameras 1."), "{}", told.stdout);
    let told = probe(&site, &["nobody.toml"]);
    assert_eq!(told.status.code(), Some(2), "{told:?}");
    assert!(told.stderr.contains("nobody.toml"), "{told:?}");

    // A file elsewhere is itself, whatever its name: here one that is not put in place yet.
    let elsewhere = dir.path().join("camera-1.toml");
    std::fs::write(&elsewhere, CameraFile::new(9, "new", &server.url("/clock")).text()).unwrap();
    let told = probe(&site, &[elsewhere.to_str().unwrap()]);
    assert!(told.stderr.contains("clock") || told.stdout.contains("new"), "{told:?}");
    assert!(!told.stdout.contains("yard"), "the site's own of that name was looked at: {told:?}");
    // The site's own by its path, written another way.
    let told = probe(&site, &[site.dir().join("camera-config/../camera-config/camera-1.toml").to_str().unwrap()]);
    assert_eq!(told.status.code(), Some(0), "{told:?}");
    assert!(told.stdout.contains("yard"), "{told:?}");
    // One that is wrong is told of by its own fault.
    std::fs::write(&elsewhere, "number = 0").unwrap();
    let told = probe(&site, &[elsewhere.to_str().unwrap()]);
    assert_eq!(told.status.code(), Some(2), "{told:?}");
    assert!(told.stderr.contains("camera-1.toml:1:10: number: must be from 1 to 65535"), "{told:?}");
}

/// As many as a big clinic has, side by side. Each is watched for as long as is usual.
#[test]
fn ninety_seven_cameras_are_looked_at_in_half_a_minute() {
    const CAMERAS: usize = 97;
    let choir = Choir::start(CAMERAS + 1).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    site.declare(CAMERAS).unwrap();
    for (number, url) in (1..).zip(choir.urls()) {
        site.save_camera(&CameraFile::new(number, "one of many", &url)).unwrap();
    }
    let began = std::time::Instant::now();
    let mut call = Command::new(program().unwrap());
    call.args(["cameras", "probe", "--json", "--site"]).arg(site.dir());
    let told = run(&mut call, "", PATIENCE).unwrap();
    let took = began.elapsed();
    let lines: Vec<Value> = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!(lines.len(), CAMERAS);
    for line in &lines {
        assert_eq!((&line["codec"], &line["warnings"]), (&json!("H.264"), &json!([])), "{line}");
    }
    // The one that the notice has no room for is named, with what to do.
    assert_eq!(told.status.code(), Some(1), "{}", told.stderr);
    let wanted = "camera-98.toml:1:10: number: the notice on the wall declares 97 cameras";
    assert!(told.stderr.contains(wanted) && told.stderr.lines().count() == 1, "{}", told.stderr);
    assert!(took < Duration::from_secs(30), "{took:?}");
}
