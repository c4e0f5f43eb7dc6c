//! The main job at its real pace, against the real RTSP server: recorded, sealed, asked for, approved, seen, closed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::json;
use std::time::Duration;
use support::commands::pass;
use support::peers::{LoggedFrame, Mount, Video};
use support::probe;
use support::scene::{COMMITTED, Scene, have_approved, now_us, pictures, slug, streams};
use support::site::{CameraFile, Person};
use support::spans::{AskedSpan, choose_span, frames_to_see, micros, on_their_beat, rfc_3339};
use support::stored::{read_head, segments};

const YARD: u16 = 1;
const CLOCK: u16 = 2;
const HALL: u16 = 3;
const GATE: u16 = 4;
const ALL: [(u16, &str, Video); 4] = [
    (YARD, "/yard", Video::Yard),
    (CLOCK, "/clock", Video::Clock),
    (HALL, "/hall", Video::Clock),
    (GATE, "/gate", Video::YardH265),
];
const SECOND_US: i64 = 1_000_000;

/// Two through each driver: H.264, H.265 and one with sound, which libav would take if it were let.
fn clinic() -> Scene {
    let mounts = ALL.map(|(number, path, video)| {
        let mount = Mount::new(path, video);
        if number == HALL { mount.with_sound() } else { mount }
    });
    let scene = Scene::start(mounts.to_vec(), |server| {
        let file = |(number, path, _): (u16, &str, Video)| {
            let file = CameraFile::new(number, &path[1..], &server.url(path));
            if number == CLOCK || number == HALL { file.through_libav() } else { file }
        };
        ALL.map(file).to_vec()
    });
    scene.unwrap()
}

fn yard_alone() -> Scene {
    let mounts = vec![Mount::new("/yard", Video::Yard)];
    Scene::start(mounts, |server| vec![CameraFile::new(YARD, "yard", &server.url("/yard"))]).unwrap()
}

/// The pictures of a footage file, in its order.
fn footage(video: Video) -> Vec<String> {
    probe::picture_digests(video.file().unwrap().to_str().unwrap(), &[]).unwrap()
}

/// The pictures that the camera logged as sent.
fn sent(footage: &[String], frames: &[LoggedFrame]) -> Vec<String> {
    frames.iter().map(|frame| footage[usize::try_from(frame.file_frame).unwrap()].clone()).collect()
}

#[test]
fn the_main_job_with_every_kind_of_camera() {
    let mut scene = clinic();
    scene.wait_for_cameras(&ALL.map(|(number, ..)| number)).unwrap();
    let (mut staff, mut officer, mut viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    scene.record(&["/yard"], Duration::from_secs(4)).unwrap();

    // Nobody, whoever it is, sees anything before a decision; the stranger not even a camera's name.
    for number in [1, 2] {
        for who in [&mut viewer, &mut staff, &mut officer] {
            let refused = who.api.get(&Person::playlist(&json!(number), YARD)).unwrap();
            assert_eq!(refused.status, 403, "{}: {}", who.account.name, refused.text());
        }
    }
    let mut stranger = scene.running.browser();
    for path in ["/v1/cameras", "/v1/requests", "/v1/grants", "/v1/grants/1/cameras/1/playlist.m3u8", "/v1/ledger/head"]
    {
        assert_eq!(stranger.get(path).unwrap().status, 401, "{path}");
    }

    for (camera, path, video) in ALL {
        let frames = scene.server.frames(path).unwrap();
        let end_us = now_us() - i64::try_from(COMMITTED.as_micros()).unwrap();
        let before_end: Vec<LoggedFrame> = frames.iter().copied().filter(|frame| frame.at_us < end_us).collect();
        let span = choose_span(&[&before_end], end_us - 5 * SECOND_US, 2 * SECOND_US).unwrap();
        let request = have_approved(&mut staff, &mut officer, &viewer, &[camera], span).unwrap();
        let grant = request["grant"].clone();
        assert_eq!(request["state"], "approved", "{request}");
        assert_eq!(micros(&request["granted_span"]["to"]).unwrap(), span.to_us, "{request}");
        let granted_from = micros(&request["granted_span"]["from"]).unwrap();
        assert!((span.from_us - 11 * SECOND_US / 10..=span.from_us).contains(&granted_from), "{request}");

        let due = frames_to_see(&scene.server.frames(path).unwrap(), span).unwrap();
        assert!(due.len() >= 20, "{due:?}");
        let seen = pictures(&viewer, &grant, camera).unwrap();
        let expected = sent(&footage(video), &due);
        assert_eq!(seen.len(), expected.len(), "{path} {span:?}");
        assert!(seen == expected, "{path}: other pictures than those of the span");
        let codec = if video == Video::YardH265 { "hevc" } else { "h264" };
        assert_eq!(streams(&viewer, &grant, camera).unwrap(), [("video".to_owned(), codec.to_owned())], "{path}");
    }
}

#[test]
fn a_grant_opens_its_span_to_its_viewer_and_nothing_else() {
    let mut scene = yard_alone();
    scene.wait_for_cameras(&[YARD]).unwrap();
    let (mut staff, mut officer, mut viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let span = scene.record(&["/yard"], Duration::from_secs(3)).unwrap();

    let submitted = staff.ask(&[YARD], span, "Hong Gildong").unwrap().expect_status(201).unwrap().json;
    assert_eq!((&submitted["state"], &submitted["held"]), (&json!("submitted"), &json!(true)), "{submitted}");
    let number = submitted["number"].clone();
    // Undecided, and without an identity: no decision but the officer's counts.
    let early = officer.approve(&number, &viewer.number).unwrap();
    assert_eq!((early.status, slug(&early.json)), (409, "wrong-state"), "{}", early.text());
    staff.identify(&number).unwrap().expect_status(200).unwrap();
    for who in [&mut staff, &mut viewer] {
        let refused = who.approve(&number, &viewer_number(&officer)).unwrap();
        assert_eq!(refused.status, 403, "{}: {}", who.account.name, refused.text());
    }
    let mut mistyped = officer.clone();
    mistyped.account.password.push('x');
    let refused = mistyped.approve(&number, &viewer.number).unwrap();
    assert_eq!((refused.status, slug(&refused.json)), (403, "wrong-credentials"), "{}", refused.text());
    let refused = viewer.api.get(&Person::playlist(&json!(1), YARD)).unwrap();
    assert_eq!((refused.status, slug(&refused.json)), (403, "no-grant"), "{}", refused.text());

    let approved = officer.approve(&number, &viewer.number).unwrap().expect_status(200).unwrap().json;
    let grant = approved["grant"].clone();
    let playlist = Person::playlist(&grant, YARD);
    let early = viewer.api.get(&playlist).unwrap();
    assert_eq!((early.status, slug(&early.json)), (409, "no-viewing"), "{}", early.text());
    viewer.begin_viewing(&grant).unwrap().expect_status(201).unwrap();
    let shown = viewer.api.get(&playlist).unwrap().expect_status(200).unwrap();
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    assert!(shown.text().starts_with("#EXTM3U"), "{}", shown.text());
    let parts: Vec<String> = parts_of(&playlist, &shown.text());
    assert!(parts.len() >= 2, "{}", shown.text());
    for part in &parts {
        let told = viewer.api.get(part).unwrap().expect_status(200).unwrap();
        assert_eq!(told.header("cache-control"), Some("no-store"), "{part}");
    }
    // Others know the address, and get nothing.
    for who in [&mut staff, &mut officer] {
        for path in parts.iter().chain([&playlist]) {
            let refused = who.api.get(path).unwrap();
            assert_eq!(refused.status, 403, "{} {path}: {}", who.account.name, refused.text());
        }
    }
    for path in parts.iter().chain([&playlist]) {
        assert_eq!(scene.running.browser().get(path).unwrap().status, 401, "{path}");
    }
    // A moment before, after, and around; another camera.
    for outside in
        [span.moved_by_us(-2 * SECOND_US), span.moved_by_us(3 * SECOND_US), wide(span), span.moved_by_us(SECOND_US)]
    {
        let refused = viewer.api.get(&format!("{playlist}?{}", outside.to_query().unwrap())).unwrap();
        assert_eq!((refused.status, slug(&refused.json)), (403, "outside-grant"), "{outside:?} {}", refused.text());
    }
    let refused = viewer.api.get(&Person::playlist(&grant, CLOCK)).unwrap();
    assert_eq!(refused.status, 403, "{}", refused.text());
    // A part of the span is fine, in whole groups of pictures: even one that has no key frame of its own.
    let frames = frames_to_see(&scene.server.frames("/yard").unwrap(), span).unwrap();
    let key = frames.iter().filter(|frame| frame.key).nth(1).unwrap();
    let part = AskedSpan { from_us: key.at_us + 300_000, to_us: key.at_us + 600_000 };
    let (url, headers) = viewer.for_player(&format!("{playlist}?{}", part.to_query().unwrap()));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let group: Vec<LoggedFrame> = frames.iter().copied().skip_while(|frame| frame.n < key.n).take(10).collect();
    assert!(probe::picture_digests(&url, &headers).unwrap() == sent(&footage(Video::Yard), &group));

    staff.close(&number).unwrap().expect_status(200).unwrap();
    for path in parts.iter().chain([&playlist]) {
        let refused = viewer.api.get(path).unwrap();
        assert_eq!((refused.status, slug(&refused.json)), (403, "no-grant"), "{path}: {}", refused.text());
    }
    let closed = staff.api.get(&format!("/v1/requests/{number}")).unwrap().json;
    assert_eq!((&closed["state"], &closed["held"]), (&json!("closed"), &json!(false)), "{closed}");
    let told = officer.api.get("/v1/ledger?after=0&limit=200").unwrap().expect_status(200).unwrap().json;
    assert!(told["rows"].as_array().unwrap().len() > 5, "{told}");
    let verified = scene.site.verify_ledger(&scene.site.ledger_files().unwrap()).unwrap();
    assert_eq!(verified["ok"], true, "{verified}");
}

/// The one viewer's number, as the officer's list tells it.
fn viewer_number(officer: &Person) -> serde_json::Value {
    let told = officer.clone().api.get("/v1/accounts").unwrap().expect_status(200).unwrap().json;
    let accounts = told["accounts"].as_array().unwrap().clone();
    accounts.into_iter().find(|account| account["role"] == "viewer").unwrap()["account"].clone()
}

fn wide(span: AskedSpan) -> AskedSpan {
    AskedSpan { from_us: span.from_us - 3 * SECOND_US, to_us: span.to_us + SECOND_US }
}

/// The addresses that a playlist names, its init segments' too.
fn parts_of(playlist: &str, text: &str) -> Vec<String> {
    let dir = playlist.rsplit_once('/').unwrap().0;
    let init =
        text.lines().filter_map(|line| line.split_once("URI=\"")).map(|(_, rest)| rest.split('"').next().unwrap());
    let fragments = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    init.chain(fragments)
        .map(|name| if name.starts_with('/') { name.to_owned() } else { format!("{dir}/{name}") })
        .collect()
}

#[test]
fn a_crash_and_a_restart_lose_no_committed_frame_and_widen_no_grant() {
    let mut scene = yard_alone();
    scene.wait_for_cameras(&[YARD]).unwrap();
    let first = scene.record(&["/yard"], Duration::from_secs(3)).unwrap();
    let (mut staff, mut officer, viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let granted = have_approved(&mut staff, &mut officer, &viewer, &[YARD], first).unwrap();
    let ended = have_approved(&mut staff, &mut officer, &viewer, &[YARD], first).unwrap();
    staff.close(&ended["number"]).unwrap().expect_status(200).unwrap();
    // Never asked for until after the crash.
    let second = scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let pictures_of_file = footage(Video::Yard);
    let expected = |scene: &Scene, span| {
        sent(&pictures_of_file, &frames_to_see(&scene.server.frames("/yard").unwrap(), span).unwrap())
    };

    for by_force in [true, false] {
        if by_force {
            scene.running.daemon.kill().unwrap();
        } else {
            scene.running.stop().unwrap();
        }
        // Long enough a time to be called a gap.
        pass(Duration::from_secs(2));
        let told = scene.site.run("verify", &["--deep"]).unwrap();
        assert!(told.status.success(), "stopped, by force {by_force}: {} {}", told.stdout, told.stderr);
        scene.serve_again().unwrap();
        scene.wait_for_cameras(&[YARD]).unwrap();
        let (mut staff, mut officer, mut viewer) =
            (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());

        let seen = pictures(&viewer, &granted["grant"], YARD).unwrap();
        assert!(seen == expected(&scene, first), "by force {by_force}: {} pictures", seen.len());
        let path = format!("{}?{}", Person::playlist(&granted["grant"], YARD), second.to_query().unwrap());
        let refused = viewer.api.get(&path).unwrap();
        assert_eq!((refused.status, slug(&refused.json)), (403, "outside-grant"), "{}", refused.text());
        let refused = viewer.api.get(&Person::playlist(&ended["grant"], YARD)).unwrap();
        assert_eq!((refused.status, slug(&refused.json)), (403, "no-grant"), "{}", refused.text());
        let listed = viewer.api.get("/v1/grants").unwrap().expect_status(200).unwrap().json;
        let open = listed["grants"].as_array().unwrap().iter().filter(|grant| grant["state"] == "open").count();
        assert_eq!(open, if by_force { 1 } else { 3 }, "{listed}");

        let late = have_approved(&mut staff, &mut officer, &viewer, &[YARD], second).unwrap();
        let seen = pictures(&viewer, &late["grant"], YARD).unwrap();
        assert!(seen == expected(&scene, second), "by force {by_force}: {} pictures", seen.len());
        if by_force {
            across_the_crash(&mut scene, &mut staff, &mut officer, &viewer, second);
        }
        let told = scene.site.run("verify", &["--deep"]).unwrap();
        assert!(told.status.success(), "running again: {} {}", told.stdout, told.stderr);
    }
}

/// A span from before the crash to after it: all of it but what was not committed yet, in order, and the gap is told.
fn across_the_crash(scene: &mut Scene, staff: &mut Person, officer: &mut Person, viewer: &Person, before: AskedSpan) {
    let after = scene.record(&["/yard"], Duration::from_secs(1)).unwrap();
    let span = AskedSpan { from_us: before.from_us, to_us: after.to_us };
    let request = have_approved(staff, officer, viewer, &[YARD], span).unwrap();
    let frames = frames_to_see(&scene.server.frames("/yard").unwrap(), span).unwrap();
    let sent = sent(&footage(Video::Yard), &frames);
    let seen = pictures(viewer, &request["grant"], YARD).unwrap();
    let lost = sent.len() - seen.len();
    assert!(lost <= 35, "{lost} of {} frames are lost", sent.len());
    let kept = seen.iter().zip(&sent).take_while(|(seen, sent)| seen == sent).count();
    assert!(seen[kept..] == sent[kept + lost..], "the lost frames are not in one place");
    let path = format!(
        "/v1/cameras/{YARD}/availability?from={}&to={}",
        rfc_3339(span.from_us).unwrap(),
        rfc_3339(span.to_us).unwrap()
    );
    let told = staff.api.get(&path).unwrap().expect_status(200).unwrap().json;
    let states: Vec<&str> =
        told["pieces"].as_array().unwrap().iter().map(|piece| piece["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["footage", "gap", "footage"], "{told}");
}

#[test]
fn a_camera_that_is_recorded_leaves_sealed_files_only() {
    let mut scene = yard_alone();
    scene.wait_for_cameras(&[YARD]).unwrap();
    scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let found = segments(&scene.site.volume()).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].camera, found[0].end_us), (YARD, None));
    assert!((scene.server.frames("/yard").unwrap()[0].at_us - found[0].start_us).abs() < SECOND_US, "{found:?}");
    assert!(!probe::any_player_opens(&found[0].path).unwrap());
    // After a stop it is finished, and no player opens it either.
    scene.running.stop().unwrap();
    assert!(!probe::any_player_opens(&found[0].path).unwrap());
}

fn log_of(start_us: i64, interval_us: i64, count: i64) -> Vec<LoggedFrame> {
    let frame = |n: i64| LoggedFrame {
        n: n.unsigned_abs(),
        key: (n * interval_us) % SECOND_US == 0,
        file_frame: n.unsigned_abs(),
        take: 0,
        at_us: start_us + n * interval_us,
    };
    (0..count).map(frame).collect()
}

#[test]
fn spans_are_asked_for_where_every_frame_is_plainly_in_or_out() {
    let (a, b) = (log_of(0, 100_000, 200), log_of(30_000, 100_000, 200));
    let span = choose_span(&[&a, &b], 3_000_000, 5_000_000).unwrap();
    assert!((3_000_000..4_000_000).contains(&span.from_us) && span.to_us - span.from_us >= 5_000_000, "{span:?}");
    for frame in a.iter().chain(&b) {
        assert!((frame.at_us - span.to_us).abs() >= 34_000, "{frame:?} {span:?}");
        assert!(!frame.key || (frame.at_us - span.from_us).abs() >= 480_000, "{frame:?} {span:?}");
    }
    let seen = frames_to_see(&a, span).unwrap();
    assert!(seen[0].key && seen[0].at_us <= span.from_us && span.from_us - seen[0].at_us < SECOND_US);
    assert!(seen.last().unwrap().at_us < span.to_us && seen.last().unwrap().at_us + 100_000 >= span.to_us);
    // A frame that was logged late is no other frame, nor one of another time.
    let mut late = a.clone();
    late.iter_mut().filter(|frame| frame.n % 7 == 3).for_each(|frame| frame.at_us += 90_000);
    assert_eq!(on_their_beat(&late), a);
    assert_eq!(frames_to_see(&late, span).unwrap(), seen);
    assert!(choose_span(&[&a, &b[..60]], 3_000_000, 5_000_000).is_err(), "the second has not sent so much yet");
    assert!(choose_span(&[&a], -2_000_000, 5_000_000).is_err(), "before the first frame");
    assert_eq!(micros(&json!(rfc_3339(1_700_000_000_000_001).unwrap())).unwrap(), 1_700_000_000_000_001);
    assert_eq!(rfc_3339(0).unwrap(), "1970-01-01T00:00:00.000000Z");
}

#[test]
fn a_segments_head_tells_camera_and_start_and_a_blank_one_nothing() {
    let mut head = vec![0; 88];
    head[..8].copy_from_slice(b"CUSTODSG");
    head[10..12].copy_from_slice(&[1, 2]);
    head[40..48].copy_from_slice(&5i64.to_be_bytes());
    assert_eq!(read_head(&head), Some((258, 5)));
    assert_eq!(read_head(&head[..87]), None);
    assert_eq!(read_head(&[0; 88]), None);
}
