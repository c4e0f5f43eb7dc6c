//! Cameras that do what cameras should not, 97 of them that come back at once, and workers that die: each is handled, named
//! with what to do, and costs nobody else anything.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::clock::ManualClock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::in_process::InProcess;
use support::liar::{Liar, Lie};
use support::peers::{Mount, Video};
use support::scene::{PATIENCE, Scene, now_us};
use support::site::{CameraFile, Person, Running, Site};
use support::spans::{micros, rfc_3339};
use support::stored;

const SECOND_US: i64 = 1_000_000;

fn rows(staff: &mut Person) -> Vec<Value> {
    let told = staff.api.get("/v1/cameras").unwrap().expect_status(200).unwrap().json;
    told["cameras"].as_array().unwrap().clone()
}

/// What is missing of a camera in a span: from, to, cause.
fn gaps(staff: &mut Person, camera: u16, from_us: i64, to_us: i64) -> Vec<(i64, i64, String)> {
    let (from, to) = (rfc_3339(from_us).unwrap(), rfc_3339(to_us).unwrap());
    let path = format!("/v1/cameras/{camera}/availability?from={from}&to={to}");
    let told = staff.api.get(&path).unwrap().expect_status(200).unwrap().json;
    let pieces = told["pieces"].as_array().unwrap();
    let of = |piece: &Value| (micros(&piece["span"]["from"]).unwrap(), micros(&piece["span"]["to"]).unwrap());
    for pair in pieces.windows(2) {
        let hole = of(&pair[1]).0 - of(&pair[0]).1;
        assert!(hole.abs() < SECOND_US / 2, "camera {camera}: {hole} us that nothing is told of: {pair:?}");
    }
    let missing = pieces.iter().filter(|piece| piece["state"] != "footage");
    missing.map(|piece| (of(piece).0, of(piece).1, piece["cause"].as_str().unwrap_or("none").to_owned())).collect()
}

fn serve(site: &Site, dir: &std::path::Path) -> Running {
    site.serve(&dir.join("custodian.log"), &[], &[]).unwrap()
}

#[test]
fn each_odd_camera_is_recorded_as_far_as_can_be_and_told_what_to_do() {
    // Number, what it does, whether through libav, what is told of it while it is recorded or not.
    let odd: [(u16, Lie, bool, Option<&str>); 9] = [
        (1, Lie::Nothing, false, None),
        (2, Lie::RestartsTime, false, Some("its clock jumped")),
        (3, Lie::RepeatsPackets, false, Some("write driver = \"libav\"")),
        (4, Lie::RepeatsPackets, true, None),
        (5, Lie::MixesPackets, false, Some("write driver = \"libav\"")),
        (6, Lie::ChangesSize, false, None),
        (7, Lie::ChangesCodec, false, None),
        (8, Lie::OpenGop, false, None),
        (9, Lie::OpenGop, true, None),
    ];
    let liars = odd.map(|(_, lie, ..)| Liar::start(lie).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    site.cut_segments_after(10).unwrap();
    for ((number, _, through_libav, _), liar) in odd.iter().zip(&liars) {
        let file = CameraFile::new(*number, "odd", &liar.url("/odd"));
        site.save_camera(&if *through_libav { file.through_libav() } else { file }).unwrap();
    }
    let mut running = serve(&site, dir.path());
    let mut staff = running.sign_in(&site, "staff").unwrap();
    running.wait_for_cameras(&mut staff, &[1, 2, 4, 6, 7, 8, 9], PATIENCE).unwrap();
    let from_us = now_us();
    // All that was ever told of each, and how often it was recorded when that was looked at.
    let mut told: BTreeMap<u16, (Vec<String>, usize)> = BTreeMap::new();
    let (began, mut looks) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(14) {
        pass(Duration::from_millis(250));
        looks += 1;
        for row in rows(&mut staff) {
            let known = told.entry(u16::try_from(row["number"].as_u64().unwrap()).unwrap()).or_default();
            known.0.extend(row["detail"].as_str().map(str::to_owned));
            known.1 += usize::from(row["state"] == "recording");
        }
    }
    pass(Duration::from_secs(5));
    let to_us = now_us() - 5 * SECOND_US;
    for (number, lie, _, wanted) in odd {
        let (details, recorded) = &told[&number];
        let gaps = gaps(&mut staff, number, from_us, to_us);
        println!("{lie:?}: recorded in {recorded} of {looks} looks, gaps {gaps:?}, told {:?}", details.last());
        if let Some(wanted) = wanted {
            assert!(details.iter().any(|detail| detail.contains(wanted)), "{lie:?}: {details:?}");
        }
        match lie {
            Lie::RepeatsPackets | Lie::MixesPackets if number != 4 => {}
            Lie::ChangesCodec => {
                assert!(gaps.len() <= 1 && gaps.iter().all(|gap| gap.2 == "disconnected"), "{gaps:?}");
                assert!(gaps.iter().all(|gap| gap.1 - gap.0 < 4 * SECOND_US), "{gaps:?}");
            }
            _ => {
                assert_eq!(*recorded, looks, "{lie:?}: {details:?}");
                assert_eq!(gaps, [], "{lie:?}");
            }
        }
        if wanted.is_none() && lie != Lie::ChangesCodec {
            assert!(details.is_empty(), "{lie:?}: {details:?}");
        }
    }
    // Also where no key frame is an IDR picture, segments end: each of these cameras has begun a second one.
    let segments = stored::segments(&site.volume()).unwrap();
    for number in [1, 8, 9] {
        let count = segments.iter().filter(|segment| segment.camera == number).count();
        assert!(count >= 2, "camera {number} has {count} segments");
    }
    running.stop().unwrap();
    let checked = site.run("verify", &["--deep"]).unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let out = dir.path().join("read");
    std::fs::create_dir(&out).unwrap();
    let (volume, key) = (site.volume(), &site.recovery_key);
    let arguments = ["volume", volume.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let (_, read) = support::read_back::read(&arguments, key);
    assert_eq!(read["faults"], json!([]), "{read}");
}

#[test]
fn cameras_that_nobody_could_decode_or_cut_are_told_so() {
    let lies = [Lie::NoParameterSets, Lie::NoKeyFrame, Lie::OneKeyFrame];
    let liars = lies.map(|lie| Liar::start(lie).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    for (place, liar) in (0..).zip(&liars) {
        site.save_camera(&CameraFile::new(1 + place, "retina", &liar.url("/odd"))).unwrap();
        site.save_camera(&CameraFile::new(11 + place, "libav", &liar.url("/odd")).through_libav()).unwrap();
    }
    let hands = ManualClock::flowing();
    let daemon = InProcess::start(&site, &hands);
    let mut staff = daemon.sign_in(&site, "staff");
    let mut told: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let is_told = |told: &BTreeMap<u64, Vec<String>>, number: u64, wanted: &str| {
        told.get(&number).is_some_and(|details| details.iter().any(|detail| detail.contains(wanted)))
    };
    // A minute and more of patience, in steps that no camera is taken for silent in.
    wait_until("each is told", Duration::from_secs(60), || {
        hands.advance(Duration::from_secs(2));
        for row in rows(&mut staff) {
            let known = told.entry(row["number"].as_u64().unwrap()).or_default();
            known.extend(row["detail"].as_str().map(str::to_owned));
        }
        pass(Duration::from_millis(300));
        let all = [1, 11].iter().all(|number| is_told(&told, *number, "no parameter sets"))
            && is_told(&told, 2, "no key frame")
            && is_told(&told, 3, "its key frames are");
        Ok(all.then_some(()))
    })
    .unwrap_or_else(|e| panic!("{e:#}: {told:#?}"));
    for (number, details) in &told {
        println!("camera {number}: {:?}", details.last());
    }
    daemon.end().unwrap();
}

/// Nobody may come more often than this within a second: one each 25 ms, and what the machine's own delays push together.
const MOST_A_SECOND: usize = 60;

fn most_within_a_second(visits: &[Instant]) -> usize {
    let within = |first: &Instant| {
        visits.iter().filter(|at| **at >= *first && at.duration_since(*first) < Duration::from_secs(1)).count()
    };
    visits.iter().map(within).max().unwrap_or(0)
}

#[test]
fn ninety_seven_cameras_that_come_back_at_once_are_not_asked_at_once_and_all_back_in_time() {
    const CAMERAS: u16 = 97;
    let liar = Liar::start(Lie::KeyFramesOnly).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    for number in 1..=CAMERAS {
        site.save_camera(&CameraFile::new(number, &format!("camera {number}"), &liar.url(&format!("/{number}"))))
            .unwrap();
    }
    let mut running = serve(&site, dir.path());
    let mut staff = running.sign_in(&site, "staff").unwrap();
    let numbers: Vec<u16> = (1..=CAMERAS).collect();
    running.wait_for_cameras(&mut staff, &numbers, PATIENCE).unwrap();
    let at_start = liar.visits();
    assert!(at_start.len() == usize::from(CAMERAS), "each was asked once: {}", at_start.len());
    assert!(most_within_a_second(&at_start) <= MOST_A_SECOND, "{}", most_within_a_second(&at_start));

    // The switch goes: every session breaks off, and whoever asks is sent away, for long enough that all wait their longest.
    liar.turns_to(Lie::HangsUp);
    liar.hangs_up();
    pass(Duration::from_secs(24));
    let away = rows(&mut staff).iter().filter(|row| row["state"] != "recording").count();
    assert_eq!(away, usize::from(CAMERAS), "nobody is recorded");
    liar.turns_to(Lie::KeyFramesOnly);
    let back = Instant::now();
    running.wait_for_cameras(&mut staff, &numbers, PATIENCE).unwrap();
    let took = back.elapsed();
    let visits = liar.visits();
    let most = most_within_a_second(&visits);
    println!("97 cameras back within {took:?}; {} visits in all, {most} within a second at most", visits.len());
    assert!(took <= Duration::from_secs(15), "{took:?}");
    assert!(most <= MOST_A_SECOND, "{most}");
    let since = visits.iter().filter(|at| **at >= back).count();
    assert_eq!(since, usize::from(CAMERAS), "each came once");
    running.stop().unwrap();
}

/// The workers of a daemon, by process.
fn workers(daemon: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{daemon}/task")).unwrap() {
        let told = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        all.extend(told.split_whitespace().map(|id| id.parse::<u32>().unwrap()));
    }
    let is_worker = |id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default().ends_with(b"worker\0");
    all.retain(is_worker);
    all
}

fn signal(process: u32, signal: rustix::process::Signal) {
    let id = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(id, signal).unwrap();
}

#[test]
fn a_worker_that_dies_or_hangs_is_replaced_at_once_and_costs_its_camera_one_gap() {
    let mounts = ["/one", "/two", "/three"].map(|path| Mount::new(path, Video::Yard)).to_vec();
    let mut scene = Scene::start(mounts, |server| {
        vec![
            CameraFile::new(1, "one", &server.url("/one")).through_libav(),
            CameraFile::new(2, "two", &server.url("/two")).through_libav(),
            CameraFile::new(3, "three", &server.url("/three")),
        ]
    })
    .unwrap();
    scene.wait_for_cameras(&[1, 2, 3]).unwrap();
    let daemon = scene.running.daemon.id();
    let before = scene.record(&["/one", "/two", "/three"], Duration::from_secs(2)).unwrap();
    let first = workers(daemon);
    assert_eq!(first.len(), 2, "a worker each");
    let mut missed = 0;
    let causes = [(rustix::process::Signal::KILL, 0, "disconnected"), (rustix::process::Signal::STOP, 10, "stalled")];
    for (place, (how, notices_s, cause)) in causes.into_iter().enumerate() {
        let known = workers(daemon);
        signal(first[place], how);
        let hurt = Instant::now();
        wait_until("there is another worker", PATIENCE, || {
            let new = workers(daemon).iter().any(|id| !known.contains(id));
            Ok((new && !workers(daemon).contains(&first[place])).then_some(()))
        })
        .unwrap();
        let took = hurt.elapsed();
        println!("{how:?}: replaced after {took:?}");
        let least = Duration::from_secs(notices_s);
        assert!(took >= least && took < least + Duration::from_secs(2), "{how:?}: {took:?}");
        let after = scene.record(&["/one", "/two", "/three"], Duration::from_secs(2)).unwrap();
        let mut staff = scene.sign_in("staff").unwrap();
        let all: Vec<_> = (1..=3).flat_map(|camera| gaps(&mut staff, camera, before.from_us, after.to_us)).collect();
        missed += 1;
        assert_eq!(all.len(), missed, "one gap for each time, of its camera alone: {all:?}");
        assert!(all.iter().any(|gap| gap.2 == cause), "{all:?}");
    }
    scene.running.stop().unwrap();
}
