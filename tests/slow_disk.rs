//! Disks that cannot keep up while the real daemon records on them: one that hangs for five seconds and for a minute, one
//! at half the speed that is needed, one of two that hangs. Memory stays bounded, whole GOPs go, the oldest first and of
//! all cameras alike, each a recorded gap; and when the disk is well again, so is all else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use support::cached_disk::{CachedDisk, serve_if_asked};
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::{FileSystem, LoopVolume};
use support::read_back::read_volume;
use support::scene::{PATIENCE, Scene, now_us};
use support::site::{CameraFile, Site};
use support::spans::{AskedSpan, micros, rfc_3339};
use support::stored::segments;

/// Of some 105 kB a second each.
const CAMERAS: u16 = 8;
const NEEDED_BYTES_A_S: u64 = 840_000;
const SECOND_US: i64 = 1_000_000;
/// What the daemon takes beside what waits: the groups that are being put together, and what its heap does not give back.
const BESIDE_MIB: u64 = 32;

fn path_of(number: u16) -> String {
    format!("/yard{number}")
}

fn numbers() -> Vec<u16> {
    (1..=CAMERAS).collect()
}

fn clinic(place: &Path, more: &[&str], waiting_mib: u32, prepare: impl FnOnce(&Site)) -> Scene {
    let mounts = numbers().into_iter().map(|number| Mount::new(&path_of(number), Video::Yard)).collect();
    let server = RtspServer::start(mounts).unwrap();
    let site = Site::init(&program().unwrap(), &place.join("site"), more).unwrap();
    site.cut_segments_after(10).unwrap();
    site.let_wait_mib(waiting_mib).unwrap();
    for number in numbers() {
        site.save_camera(&CameraFile::new(number, &format!("yard {number}"), &server.url(&path_of(number)))).unwrap();
    }
    prepare(&site);
    let dir = tempfile::tempdir().unwrap();
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    let mut scene = Scene::of(running, site, server, dir);
    scene.wait_for_cameras(&numbers()).unwrap();
    scene
}

/// In this order a test that fails lets go of the disk before it waits for the daemon, which waits for the disk.
fn well_at_the_end(scene: Scene, disk: CachedDisk) -> (Scene, CachedDisk) {
    (scene, disk)
}

fn rss_mib(scene: &Scene) -> u64 {
    let told = std::fs::read_to_string(format!("/proc/{}/status", scene.running.daemon.id())).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

fn record(scene: &mut Scene, length: Duration) -> AskedSpan {
    let paths: Vec<String> = numbers().into_iter().map(path_of).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    scene.record(&paths, length).unwrap()
}

/// What there is of a camera, oldest first: from, to, and the cause of a gap.
fn pieces(scene: &Scene, camera: u16, from_us: i64, to_us: i64) -> Vec<(i64, i64, Option<String>)> {
    let mut staff = scene.sign_in("staff").unwrap();
    let (from, to) = (rfc_3339(from_us).unwrap(), rfc_3339(to_us).unwrap());
    let path = format!("/v1/cameras/{camera}/availability?from={from}&to={to}");
    let told = staff.api.get(&path).unwrap().expect_status(200).unwrap().json;
    let piece = |piece: &Value| {
        let cause = (piece["state"] != "footage").then(|| piece["cause"].as_str().unwrap_or("none").to_owned());
        (micros(&piece["span"]["from"]).unwrap(), micros(&piece["span"]["to"]).unwrap(), cause)
    };
    told["pieces"].as_array().unwrap().iter().map(piece).collect()
}

/// The gaps in a span that footage and gaps tell all of: nothing is missing and nothing is there twice.
fn gaps(scene: &Scene, camera: u16, from_us: i64, to_us: i64) -> Vec<(i64, i64, String)> {
    let told = pieces(scene, camera, from_us, to_us);
    assert!(told.first().unwrap().0 <= from_us + SECOND_US / 2, "camera {camera}: {told:?}");
    assert!(told.last().unwrap().1 >= to_us - SECOND_US / 2, "camera {camera}: {told:?}");
    for pair in told.windows(2) {
        let hole = pair[1].0 - pair[0].1;
        assert!((-200_000..300_000).contains(&hole), "camera {camera}: {hole} us between {pair:?}");
    }
    told.into_iter().filter_map(|(from, to, cause)| Some((from, to, cause?))).collect()
}

fn status(scene: &Scene) -> Value {
    scene.site.status().unwrap().1
}

fn wait_until_all_is_written(scene: &Scene) {
    wait_until("all that waited is written", PATIENCE, || {
        let told = status(scene);
        let records = |line: &Value| line["state"] == "recording";
        let all = told["cameras"].as_array().unwrap().iter().all(records);
        Ok((all && told["waiting_bytes"].as_u64() < Some(400_000)).then_some(()))
    })
    .unwrap();
}

fn end(mut scene: Scene) {
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{told:?}");
}

#[test]
fn a_disk_that_hangs_for_a_minute_costs_a_recorded_gap_and_no_memory() {
    const WAITING_MIB: u32 = 8;
    if serve_if_asked() {
        return;
    }
    let disk =
        CachedDisk::new("a_disk_that_hangs_for_a_minute_costs_a_recorded_gap_and_no_memory", FileSystem::Ext4, 200)
            .unwrap();
    let (dir, volume) = (tempfile::tempdir().unwrap(), disk.mount_point().join("volume"));
    let more = ["--volume", volume.to_str().unwrap(), "--allow-unproven"];
    let scene = clinic(dir.path(), &more, WAITING_MIB, |_| {});
    let (mut scene, mut disk) = well_at_the_end(scene, disk);
    let before = record(&mut scene, Duration::from_secs(2));

    // Five seconds fit into what may wait.
    disk.hang(true).unwrap();
    pass(Duration::from_secs(5));
    disk.hang(false).unwrap();
    wait_until_all_is_written(&scene);
    let between = record(&mut scene, Duration::from_secs(3));
    assert_eq!(status(&scene)["dropped_frames"], json!(0));
    for number in numbers() {
        assert_eq!(gaps(&scene, number, before.from_us, between.to_us), [], "camera {number}");
    }

    // A minute does not.
    let rss_before = rss_mib(&scene);
    disk.hang(true).unwrap();
    let (hangs_us, began) = (now_us(), Instant::now());
    let (mut most_rss, mut told, mut slowest) = (rss_before, Value::Null, Duration::ZERO);
    while began.elapsed() < Duration::from_secs(60) {
        pass(Duration::from_secs(1));
        most_rss = most_rss.max(rss_mib(&scene));
        if began.elapsed().as_secs() % 10 == 8 {
            let asked = Instant::now();
            told = status(&scene);
            slowest = slowest.max(asked.elapsed());
        }
    }
    disk.hang(false).unwrap();
    let well_us = now_us();
    let alarms = told["alarms"].to_string();
    assert!(alarms.contains(volume.to_str().unwrap()) && alarms.contains("has not ended a flush for 5"), "{alarms}");
    assert!(alarms.contains("the disks are too slow"), "{alarms}");
    assert!(told["volumes"][0]["waiting_for_disk_ms"].as_u64() > Some(50_000), "{told}");
    assert!(slowest < Duration::from_secs(5), "the status took {slowest:?}");
    println!("resident {rss_before} MiB before, {most_rss} MiB at most while the disk hung");
    assert!(
        most_rss <= rss_before + u64::from(WAITING_MIB) + BESIDE_MIB,
        "{rss_before} MiB before, then {most_rss} MiB"
    );

    wait_until_all_is_written(&scene);
    let after = record(&mut scene, Duration::from_secs(3));
    let told = status(&scene);
    assert!(!told["alarms"].to_string().contains("has not ended a flush"), "{}", told["alarms"]);
    let (mut lengths_us, mut missing) = (Vec::new(), 0);
    for number in numbers() {
        let gaps = gaps(&scene, number, before.from_us, after.to_us);
        let [(from, to, cause)] = &gaps[..] else { panic!("camera {number}: {gaps:?}") };
        assert_eq!(cause, "overrun", "camera {number}: {gaps:?}");
        // What was filmed first had been taken by the disk's cache or was written later, and the newest was kept.
        assert!(*from >= hangs_us - SECOND_US && *to <= well_us - 3 * SECOND_US, "camera {number}: {gaps:?}");
        lengths_us.push(to - from);
        missing += to - from;
    }
    let (least, most) = (lengths_us.iter().min().unwrap(), lengths_us.iter().max().unwrap());
    println!("gaps of {least} to {most} us; frames dropped {}", told["dropped_frames"]);
    assert!(*least > 30 * SECOND_US && most - least <= 4 * SECOND_US, "alike: {lengths_us:?}");
    // Ten frames a second: the gaps are as long as what was dropped.
    let frames = told["dropped_frames"].as_i64().unwrap();
    assert!(
        (missing - frames * SECOND_US / 10).abs() <= i64::from(CAMERAS) * SECOND_US / 2,
        "{missing} us, {frames} frames"
    );

    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{told:?}");
    // And a stranger reads all of it.
    let mut reader = vec!["volume", volume.to_str().unwrap(), "--out"];
    let out = scene.dir.path().join("read");
    std::fs::create_dir_all(&out).unwrap();
    reader.push(out.to_str().unwrap());
    let (ended, read) = support::read_back::read(&reader, &scene.site.recovery_key);
    assert!(ended.status.success() && read["faults"] == json!([]), "{read}");
}

#[test]
fn a_disk_at_half_the_speed_costs_every_camera_about_as_much_and_recovers() {
    const WAITING_MIB: u32 = 4;
    if serve_if_asked() {
        return;
    }
    let disk = CachedDisk::new(
        "a_disk_at_half_the_speed_costs_every_camera_about_as_much_and_recovers",
        FileSystem::Ext4,
        200,
    )
    .unwrap();
    let (dir, volume) = (tempfile::tempdir().unwrap(), disk.mount_point().join("volume"));
    let more = ["--volume", volume.to_str().unwrap(), "--allow-unproven"];
    let scene = clinic(dir.path(), &more, WAITING_MIB, |_| {});
    let (mut scene, mut disk) = well_at_the_end(scene, disk);
    let before = record(&mut scene, Duration::from_secs(2));
    let rss_before = rss_mib(&scene);

    disk.slow_down(NEEDED_BYTES_A_S / 2).unwrap();
    let (slow_us, began) = (now_us(), Instant::now());
    let (mut most_rss, mut was_told) = (rss_before, false);
    while began.elapsed() < Duration::from_secs(55) {
        pass(Duration::from_secs(1));
        most_rss = most_rss.max(rss_mib(&scene));
        was_told |= status(&scene)["alarms"].to_string().contains("the disks are too slow");
    }
    disk.slow_down(0).unwrap();
    let well_us = now_us();
    println!("resident {rss_before} MiB before, {most_rss} MiB at most while the disk was slow");
    assert!(
        most_rss <= rss_before + u64::from(WAITING_MIB) + BESIDE_MIB,
        "{rss_before} MiB before, then {most_rss} MiB"
    );
    assert!(was_told, "nobody was told");

    wait_until_all_is_written(&scene);
    let dropped = status(&scene)["dropped_frames"].clone();
    let after = record(&mut scene, Duration::from_secs(4));
    assert_eq!(status(&scene)["dropped_frames"], dropped, "it is well again");
    let mut shares = Vec::new();
    for number in numbers() {
        let gaps = gaps(&scene, number, before.from_us, after.to_us);
        assert!(gaps.iter().all(|(_, _, cause)| cause == "overrun"), "camera {number}: {gaps:?}");
        assert!(gaps.iter().all(|(from, to, _)| *from >= slow_us - 3 * SECOND_US && *to <= well_us), "{gaps:?}");
        let missing: i64 = gaps.iter().map(|(from, to, _)| to - from).sum();
        shares.push(missing * 100 / (well_us - slow_us));
        assert!(gaps.len() <= 12, "long gaps, and few: {gaps:?}");
    }
    println!("percent missing of each camera while the disk was slow: {shares:?}; frames dropped {dropped}");
    let (least, most) = (*shares.iter().min().unwrap(), *shares.iter().max().unwrap());
    assert!(least >= 3 && most <= 65 && most - least <= 15, "{shares:?}");
    end(scene);
}

#[test]
fn while_one_disk_hangs_the_cameras_of_the_other_go_on_and_are_durable() {
    if serve_if_asked() {
        return;
    }
    let disk =
        CachedDisk::new("while_one_disk_hangs_the_cameras_of_the_other_go_on_and_are_durable", FileSystem::Ext4, 200)
            .unwrap();
    // With twice the room, so that a camera that begins a segment before it is known that the other hangs begins it here.
    let sound_disk = LoopVolume::new(FileSystem::Ext4, 400).unwrap();
    let hanging = disk.mount_point().join("volume");
    let scene = clinic(&sound_disk.mount_point(), &[], 64, |site| site.add_volume(&hanging).unwrap());
    let (mut scene, mut disk) = well_at_the_end(scene, disk);
    let sound = scene.site.volume();
    let before = record(&mut scene, Duration::from_secs(2));
    // Each camera's newest segment tells where it is.
    let newest = |volume: &Path, camera: u16| {
        let found = segments(volume).unwrap();
        found.into_iter().filter(|one| one.camera == camera).map(|one| one.start_us).max().unwrap_or(0)
    };
    let (here, there): (Vec<u16>, Vec<u16>) =
        numbers().into_iter().partition(|number| newest(&sound, *number) > newest(&hanging, *number));
    assert!(here.len() >= 2 && there.len() >= 2, "{here:?} {there:?}");

    disk.hang(true).unwrap();
    let hangs_us = now_us();
    let mut told = Value::Null;
    let began = Instant::now();
    // Longer than a segment: each of them has to begin another one meanwhile.
    while began.elapsed() < Duration::from_secs(18) {
        pass(Duration::from_secs(2));
        told = status(&scene);
    }
    let well_us = now_us();
    let line = |dir: &Path| {
        let lines = told["volumes"].as_array().unwrap();
        lines.iter().find(|line| line["dir"] == json!(dir)).unwrap()["waiting_for_disk_ms"].as_u64().unwrap()
    };
    assert!(line(&hanging) > 10_000 && line(&sound) < 2_500, "{told}");
    let begun: Vec<u16> = here.iter().copied().filter(|number| newest(&sound, *number) > hangs_us).collect();
    assert_eq!(begun, here, "segments are begun on the other disk");
    disk.hang(false).unwrap();

    wait_until_all_is_written(&scene);
    let after = record(&mut scene, Duration::from_secs(2));
    for number in numbers() {
        // What waited of the others fits.
        assert_eq!(gaps(&scene, number, before.from_us, after.to_us), [], "camera {number}, of {here:?}");
    }
    assert!(well_us > hangs_us);
    assert_eq!(status(&scene)["dropped_frames"], json!(0));
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{told:?}");
    let read = read_volume(&scene.site, &scene.site.recovery_key, &scene.dir.path().join("read"));
    assert!(read["faults"].as_array().unwrap().iter().all(|fault| fault.to_string().contains("checkpoint")), "{read}");
}
