//! What goes wrong in a real house: each gets a clear error, the others go on, and nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;
use support::commands::{run, wait_until};
use support::daemon::{Daemon, program};
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::{FileSystem, LoopVolume};
use support::rogues::{Manners, Rogue};
use support::scene::{PATIENCE, Scene, have_approved, now_us, pictures, slug};
use support::site::{CameraFile, Person, Site};
use support::spans::{AskedSpan, frames_to_see, rfc_3339};

const YARD: u16 = 1;
const SECOND_US: i64 = 1_000_000;
const SOON: Duration = Duration::from_secs(20);

fn yard(server: &RtspServer) -> CameraFile {
    CameraFile::new(YARD, "yard", &server.url("/yard"))
}

fn yard_alone() -> Scene {
    let mut scene = Scene::start(vec![Mount::new("/yard", Video::Yard)], |server| vec![yard(server)]).unwrap();
    scene.wait_for_cameras(&[YARD]).unwrap();
    scene
}

/// Waits until the yard has sent more, to a daemon that never let go of it.
fn yard_goes_on(scene: &Scene) {
    let before = scene.server.frames("/yard").unwrap().len();
    wait_until("the yard sends on", SOON, || Ok((scene.server.frames("/yard")?.len() > before + 20).then_some(())))
        .unwrap();
    let frames = scene.server.frames("/yard").unwrap();
    assert_eq!(frames.last().unwrap().take, frames[0].take, "the daemon let the yard go");
}

fn camera(scene: &Scene, number: u16) -> Value {
    scene.running.camera(&mut scene.sign_in("staff").unwrap(), number).unwrap()
}

fn wait_for_log(scene: &mut Scene, text: &str) -> String {
    scene.running.daemon.wait_for_line(text, SOON).unwrap()
}

#[test]
fn cameras_that_are_none_are_named_and_the_good_one_records() {
    const ROGUES: [Manners; 4] = [Manners::Silent, Manners::Garbage, Manners::NonsenseDescription, Manners::HangsUp];
    let rogues = ROGUES.map(|manners| Rogue::start(manners).unwrap());
    // Nobody at all: a port that was free a moment ago.
    let nobody = Rogue::start(Manners::Silent).unwrap().url();
    let mut scene = Scene::start(vec![Mount::new("/yard", Video::Yard)], |server| {
        let mut files = vec![yard(server), CameraFile::new(20, "nobody", &nobody)];
        for (number, rogue) in (10..).zip(&rogues) {
            files.push(CameraFile::new(number, "rogue", &rogue.url()));
            files.push(CameraFile::new(number + 20, "rogue for libav", &rogue.url()).through_libav());
        }
        files
    })
    .unwrap();
    scene.wait_for_cameras(&[YARD]).unwrap();

    let bad: Vec<u16> = (10..14).chain(30..34).chain([20]).collect();
    let mut staff = scene.sign_in("staff").unwrap();
    wait_until("each bad camera is named", PATIENCE, || {
        let rows = staff.api.get("/v1/cameras")?.expect_status(200)?.json["cameras"].clone();
        let named = |number: &u16| {
            rows.as_array().unwrap().iter().any(|row| {
                row["number"] == *number
                    && row["state"] == "waiting"
                    && row["detail"].as_str().is_some_and(|d| !d.is_empty())
            })
        };
        Ok(bad.iter().all(named).then_some(()))
    })
    .unwrap();
    for number in bad {
        let row = camera(&scene, number);
        println!("{number}: {}", row["detail"]);
        assert!(
            !row["detail"].as_str().unwrap().contains("127.0.0.1"),
            "{row}: an address is no business of the desk's"
        );
    }
    yard_goes_on(&scene);
    assert_eq!(camera(&scene, YARD)["state"], "recording");
    let told = scene.site.run("status", &[]).unwrap();
    println!("{}", told.stdout);
    assert_eq!(told.status.code(), Some(1), "an alarm: {} {}", told.stdout, told.stderr);
    assert!(told.stdout.contains("rogue") && told.stdout.contains("yard"), "{}", told.stdout);
}

#[test]
fn a_camera_that_dies_again_and_again_comes_back_and_its_gaps_are_told() {
    let mounts = vec![Mount::new("/yard", Video::Yard), Mount::new("/dies", Video::Clock).dies_after(40)];
    let mut scene =
        Scene::start(mounts, |server| vec![yard(server), CameraFile::new(2, "dies", &server.url("/dies"))]).unwrap();
    scene.wait_for_cameras(&[YARD, 2]).unwrap();
    let from_us = now_us();
    let server = &scene.server;
    wait_until("it died and came back", PATIENCE, || {
        let frames = server.frames("/dies")?;
        Ok(frames.iter().any(|frame| frame.take >= 2 && frame.n % 40 > 20).then_some(()))
    })
    .unwrap();
    yard_goes_on(&scene);
    let path = |number: u16| {
        let (from, to) = (rfc_3339(from_us).unwrap(), rfc_3339(now_us() - 3 * SECOND_US).unwrap());
        format!("/v1/cameras/{number}/availability?from={from}&to={to}")
    };
    let mut staff = scene.sign_in("staff").unwrap();
    let mut states = |number| {
        let told = staff.api.get(&path(number)).unwrap().expect_status(200).unwrap().json;
        let pieces = told["pieces"].as_array().unwrap().clone();
        pieces.iter().map(|piece| piece["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let of_dying = states(2);
    assert!(of_dying.iter().filter(|state| *state == "gap").count() >= 1, "{of_dying:?}");
    assert!(of_dying.iter().filter(|state| *state == "footage").count() >= 2, "{of_dying:?}");
    assert_eq!(states(YARD), ["footage"]);
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{} {}", told.stdout, told.stderr);
}

#[test]
fn a_half_saved_camera_file_changes_nothing_until_it_is_whole() {
    let mut scene = yard_alone();
    let path = scene.site.camera_path(YARD);
    let whole = yard(&scene.server).text();
    let half = &whole[..whole.find("purpose").unwrap()];
    std::fs::write(&path, half).unwrap();
    let line = wait_for_log(&mut scene, "camera-1.toml");
    println!("{line}");
    yard_goes_on(&scene);
    assert_eq!(camera(&scene, YARD)["name"], "yard");

    std::fs::write(&path, whole.replace("name = \"yard\"", "name = \"Yard, north\"")).unwrap();
    wait_until("the new name is shown", SOON, || Ok((camera(&scene, YARD)["name"] == "Yard, north").then_some(())))
        .unwrap();
    scene.wait_for_cameras(&[YARD]).unwrap();

    // A misspelt field names itself, its line and its file; the camera runs on.
    std::fs::write(&path, whole.replace("place =", "plaice =")).unwrap();
    let line = wait_for_log(&mut scene, "plaice");
    assert!(line.contains("camera-1.toml") && line.contains('3'), "{line}");
    yard_sends(&scene);

    // At a start, it stops no camera but its own.
    let second = CameraFile::new(2, "second", &scene.server.url("/yard"));
    scene.site.save_camera(&second).unwrap();
    scene.running.stop().unwrap();
    scene.serve_again().unwrap();
    scene.wait_for_cameras(&[2]).unwrap();
    wait_for_log(&mut scene, "plaice");
}

fn yard_sends(scene: &Scene) {
    let before = scene.server.frames("/yard").unwrap().len();
    wait_until("the yard sends", SOON, || Ok((scene.server.frames("/yard")?.len() > before + 20).then_some(())))
        .unwrap();
}

#[test]
fn a_camera_comes_and_goes_while_the_daemon_runs() {
    let mounts = vec![Mount::new("/yard", Video::Yard), Mount::new("/clock", Video::Clock)];
    let mut scene = Scene::start(mounts, |server| vec![yard(server)]).unwrap();
    scene.wait_for_cameras(&[YARD]).unwrap();
    assert_eq!(camera(&scene, 2), Value::Null);
    scene.site.save_camera(&CameraFile::new(2, "clock", &scene.server.url("/clock"))).unwrap();
    scene.wait_for_cameras(&[2]).unwrap();
    let span = scene.record(&["/clock"], Duration::from_secs(2)).unwrap();
    scene.site.remove_camera(2).unwrap();
    wait_until("it is let go", SOON, || Ok((camera(&scene, 2) == Value::Null).then_some(()))).unwrap();
    let sent = scene.server.frames("/clock").unwrap();
    yard_goes_on(&scene);
    assert_eq!(scene.server.frames("/clock").unwrap().len(), sent.len(), "it is watched on");

    // What it filmed is kept, asked for and seen as ever.
    let (mut staff, mut officer, viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let request = have_approved(&mut staff, &mut officer, &viewer, &[2], span).unwrap();
    let seen = pictures(&viewer, &request["grant"], 2).unwrap();
    assert_eq!(seen.len(), frames_to_see(&sent, span).unwrap().len());
}

#[test]
fn requests_for_nothing_that_could_be_are_refused_in_words() {
    let mut scene = yard_alone();
    let span = scene.record(&["/yard"], Duration::from_secs(1)).unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    let reversed = AskedSpan { from_us: span.to_us, to_us: span.from_us };
    let empty = AskedSpan { from_us: span.from_us, to_us: span.from_us };
    let cases: [(&[u16], AskedSpan, &str); 6] = [
        (&[77], span, "unknown-camera"),
        (&[YARD, 77], span, "unknown-camera"),
        (&[], span, "bad-input"),
        (&[YARD], reversed, "bad-span"),
        (&[YARD], empty, "bad-span"),
        (&[YARD], span.moved_by_us(3600 * SECOND_US), "span-in-future"),
    ];
    for (cameras, span, expected) in cases {
        let refused = staff.ask(cameras, span, "Hong Gildong").unwrap();
        assert_eq!((refused.status, slug(&refused.json)), (422, expected), "{}", refused.text());
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        assert!(refused.json["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{}", refused.text());
    }
    let refused = staff.ask(&[YARD], span, "Hong Gildong 900101-1234567").unwrap();
    assert_eq!((refused.status, slug(&refused.json)), (422, "id-number"), "{}", refused.text());
    assert!(!refused.text().contains("900101"), "{}", refused.text());

    // Before the first frame: there is nothing, and that is an answer.
    let never = staff.ask(&[YARD], span.moved_by_us(-3600 * SECOND_US), "Hong Gildong").unwrap();
    assert_eq!((never.status, &never.json["state"]), (201, &json!("unavailable")), "{}", never.text());

    for body in ["", "{", "[]", "{\"kind\":\"viewing\"}", "null", "\"\\u0000\""] {
        let refused = staff.api.send("POST", "/v1/requests", Some(body.as_bytes().to_vec())).unwrap();
        assert!((400..=422).contains(&refused.status), "{body}: {} {}", refused.status, refused.text());
        assert_eq!(refused.header("content-type"), Some("application/problem+json"), "{body}: {}", refused.text());
    }
    let mut plain = staff.api.clone();
    plain.set_header("content-type", "text/plain");
    let refused = plain.post("/v1/requests", &json!({})).unwrap();
    assert_eq!(refused.status, 415, "a form of another site could send this: {}", refused.text());
    for role in ["viewer", "officer"] {
        let refused = scene.sign_in(role).unwrap().ask(&[YARD], span, "Hong Gildong").unwrap();
        assert_eq!(refused.status, 403, "{role}: {}", refused.text());
    }
    assert_eq!(staff.api.get("/v1/requests/999").unwrap().status, 404);
    let listed = staff.api.get("/v1/requests").unwrap().expect_status(200).unwrap().json;
    assert_eq!(listed["requests"].as_array().unwrap().len(), 1, "only the answered one: {listed}");
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_told_alike() {
    let scene = yard_alone();
    let sign_in = |name: &str, password: &str| {
        scene.running.browser().post("/v1/session", &json!({"name": name, "password": password})).unwrap()
    };
    let wrong = sign_in("officer", "not the password");
    let unknown = sign_in("nobody", "not the password");
    assert_eq!((wrong.status, slug(&wrong.json)), (401, "wrong-credentials"), "{}", wrong.text());
    assert_eq!((unknown.status, &unknown.body), (wrong.status, &wrong.body));
    assert_eq!(unknown.headers.keys().collect::<Vec<_>>(), wrong.headers.keys().collect::<Vec<_>>());
    assert!(wrong.header("set-cookie").is_none() && unknown.header("set-cookie").is_none());
    for (name, password) in [("", ""), ("officer", ""), ("officer\u{0}", "x"), ("OFFICER", "x")] {
        let refused = sign_in(name, password);
        assert!((400..500).contains(&refused.status), "{name:?}: {}", refused.status);
    }
    // So much that the answer may come, and the connection end, before all of it was sent.
    let many = json!({"name": "officer", "password": "x".repeat(1 << 20)});
    if let Ok(told) = scene.running.browser().post("/v1/session", &many) {
        assert!((400..500).contains(&told.status), "{}", told.status);
    }
    let statuses: Vec<u16> = (0..20).map(|_| sign_in("deputy", "guess").status).collect();
    assert!(statuses.contains(&429), "one may guess for ever: {statuses:?}");
    assert_eq!(camera(&scene, YARD)["state"], "recording", "staff still comes in");
}

#[test]
fn a_second_daemon_on_the_same_site_is_refused_and_the_first_goes_on() {
    let mut scene = yard_alone();
    let started = scene.site.run("serve", &["--listen", "127.0.0.1:0"]).unwrap();
    assert_eq!(started.status.code(), Some(1), "{} {}", started.stdout, started.stderr);
    assert!(started.stderr.contains("already running"), "{}", started.stderr);
    yard_goes_on(&scene);
    assert_eq!(scene.running.browser().get("/v1/health").unwrap().status, 200);
    let told = scene.site.run("status", &[]).unwrap();
    assert_eq!(told.status.code(), Some(0), "{} {}", told.stdout, told.stderr);
    scene.running.stop().unwrap();
    let told = scene.site.run("status", &[]).unwrap();
    assert_eq!(told.status.code(), Some(2), "{} {}", told.stdout, told.stderr);
    // A lock of a killed daemon keeps nobody out.
    scene.serve_again().unwrap();
    scene.running.daemon.kill().unwrap();
    scene.serve_again().unwrap();
}

#[test]
fn a_site_that_others_can_read_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    let mode = |mode| std::fs::set_permissions(site.dir(), std::fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(std::fs::metadata(site.dir()).unwrap().permissions().mode() & 0o777, 0o700);
    for open in [0o750, 0o701, 0o755, 0o770] {
        mode(open);
        let refused = site.run("serve", &["--listen", "127.0.0.1:0"]).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{open:o}: {}", refused.stderr);
        assert!(refused.stderr.contains("chmod"), "{open:o}: {}", refused.stderr);
    }
    mode(0o700);
    let again = Site::init(&program().unwrap(), site.dir(), &["--allow-unproven"]).unwrap_err();
    println!("{again:#}");

    let nowhere = Command::new(program().unwrap()).args(["serve", "--site", "/nowhere/at/all"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("custodian init"), "{nowhere:?}");

    // Passwords that others could have read are no passwords.
    let accounts = dir.path().join("accounts");
    let text = "[[account]]\nname = \"a\"\nrole = \"officer\"\npassword = \"hunter2hunter2\"\n";
    std::fs::write(&accounts, text).unwrap();
    std::fs::set_permissions(&accounts, std::fs::Permissions::from_mode(0o644)).unwrap();
    let new = dir.path().join("new");
    let arguments = ["init", "--site", new.to_str().unwrap(), "--accounts", accounts.to_str().unwrap()];
    let refused = run(Command::new(program().unwrap()).args(arguments), "", SOON).unwrap();
    assert!(!refused.status.success() && refused.stderr.contains("chmod"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    std::fs::set_permissions(&accounts, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = run(Command::new(program().unwrap()).args(arguments), "", SOON).unwrap();
    assert!(!refused.status.success(), "one officer alone could decide what he entered: {}", refused.stdout);
    println!("{}", refused.stderr);
    assert!(!new.join("state").exists(), "half a site was left");
}

/// A disk of its own, so that one file of it can be frozen as a dying disk would.
#[test]
fn what_cannot_be_recorded_does_not_happen_while_recording_goes_on() {
    let disk = LoopVolume::new(FileSystem::Ext4, 128).unwrap();
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let logs = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &disk.mount_point().join("site"), &[]).unwrap();
    site.save_camera(&yard(&server)).unwrap();
    let running = site.serve(&logs.path().join("log"), &[], &[]).unwrap();
    let mut scene = Scene::of(running, site, server, logs);
    scene.wait_for_cameras(&[YARD]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let (mut staff, mut officer, mut viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let approved = have_approved(&mut staff, &mut officer, &viewer, &[YARD], span).unwrap();
    let waiting = staff.ask(&[YARD], span, "Hong Gildong").unwrap().expect_status(201).unwrap().json["number"].clone();
    staff.identify(&waiting).unwrap().expect_status(200).unwrap();
    let head = officer.api.get("/v1/ledger/head").unwrap().expect_status(200).unwrap().json;
    assert_eq!(head["writable"], true, "{head}");
    let playlist = Person::playlist(&approved["grant"], YARD);
    viewer.begin_viewing(&approved["grant"]).unwrap().expect_status(201).unwrap();
    let shown = viewer.api.get(&playlist).unwrap().expect_status(200).unwrap().text();
    let fragments: Vec<&str> = shown.lines().filter(|line| line.ends_with(".m4s")).collect();
    let path = playlist.replace("playlist.m3u8", fragments[1]);
    viewer.api.get(&path).unwrap().expect_status(200).unwrap();

    let files = scene.site.ledger_files().unwrap();
    let freeze =
        |flag: &str| run(Command::new("chattr").arg(flag).args(&files), "", SOON).unwrap().succeeded().unwrap();
    freeze("+i");
    let refused = viewer.api.get(&path).unwrap();
    let decided = officer.approve(&waiting, &viewer.number).unwrap();
    let head = officer.api.get("/v1/ledger/head").unwrap().json;
    let log = scene.running.daemon.log().unwrap();
    yard_goes_on(&scene);
    freeze("-i");
    for told in [&refused, &decided] {
        assert_eq!((told.status, slug(&told.json)), (503, "not-recorded"), "{}", told.text());
    }
    assert_eq!(head["writable"], false, "{head}");
    assert!(log.contains("ledger"), "{log}");

    // Its end cannot be recorded either, and that is told. Repaired and restarted, all is as it was.
    assert_eq!(scene.running.daemon.stop(SOON).unwrap().code(), Some(1));
    scene.serve_again().unwrap();
    let (mut officer, viewer) = (scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    assert!(!pictures(&viewer, &approved["grant"], YARD).unwrap().is_empty());
    let undecided = officer.api.get(&format!("/v1/requests/{waiting}")).unwrap().json;
    assert_eq!(undecided["state"], "identified", "{undecided}");
    scene.running.stop().unwrap();
    drop(scene);
    drop(disk);
}

#[test]
fn words_that_are_no_command_get_help() {
    for (arguments, word) in [(&["srve"][..], "serve"), (&["serve", "--sight", "x"], "--help"), (&[], "init")] {
        let told = run(Command::new(program().unwrap()).args(arguments), "", SOON).unwrap();
        assert_eq!(told.status.code(), Some(2), "{arguments:?}");
        assert!((told.stdout + &told.stderr).contains(word), "{arguments:?}");
    }
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut daemon = Daemon::start(&program().unwrap(), &["--help"], log.path()).unwrap();
    let help = daemon.wait_for_line("serve", SOON).unwrap();
    assert!(help.len() > "serve".len() + 10, "{help}");
}
