//! Disks that fail while the real daemon records on them: a dying one, one that turns read-only, one that is full.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::cached_disk::{CachedDisk, Refuses, serve_if_asked};
use support::commands::wait_until;
use support::daemon::program;
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::{FileSystem, LoopVolume};
use support::read_back::read_volume;
use support::scene::{PATIENCE, Scene, now_us};
use support::site::{CameraFile, Site};
use support::spans::rfc_3339;
use support::stored::segments;

const CAMERAS: [(u16, &str, Video); 2] = [(1, "/yard", Video::Yard), (2, "/gate", Video::YardH265)];
const PATHS: [&str; 2] = ["/yard", "/gate"];
const NUMBERS: [u16; 2] = [1, 2];
/// What is full or gone is tried again after a while, and then a camera connects.
const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// A clinic with two cameras in a site's directory in `place`, which `prepare` may still change.
fn clinic(place: &Path, more: &[&str], prepare: impl FnOnce(&Site)) -> Scene {
    let server = RtspServer::start(CAMERAS.map(|(_, path, video)| Mount::new(path, video)).to_vec()).unwrap();
    let site = Site::init(&program().unwrap(), &place.join("site"), more).unwrap();
    site.cut_segments_after(10).unwrap();
    for (number, path, _) in CAMERAS {
        site.save_camera(&CameraFile::new(number, &path[1..], &server.url(path))).unwrap();
    }
    prepare(&site);
    let dir = tempfile::tempdir().unwrap();
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    Scene::of(running, site, server, dir)
}

fn pieces(scene: &Scene, camera: u16, from_us: i64, to_us: i64) -> Vec<Value> {
    let mut staff = scene.sign_in("staff").unwrap();
    let (from, to) = (rfc_3339(from_us).unwrap(), rfc_3339(to_us).unwrap());
    let path = format!("/v1/cameras/{camera}/availability?from={from}&to={to}");
    let told = staff.api.get(&path).unwrap().expect_status(200).unwrap().json;
    told["pieces"].as_array().unwrap().clone()
}

/// Of both cameras segments have begun on a volume since then.
fn both_record_on(volume: &Path, since_us: i64) -> anyhow::Result<Option<()>> {
    let found = segments(volume)?;
    let has = |number| found.iter().any(|one| one.camera == number && one.start_us > since_us);
    Ok(NUMBERS.into_iter().all(has).then_some(()))
}

/// The faults that `verify` finds on one volume, or of the whole site.
fn faults(site: &Site, of: &Path) -> Vec<Value> {
    let told = site.run("verify", &["--deep", "--json"]).unwrap();
    let report: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
    let read = report["volumes"].as_array().unwrap().iter().map(|volume| volume["bytes_digested"].as_u64().unwrap());
    assert!(read.max().unwrap() > 100_000, "{report}");
    let mut faults = report["faults"].as_array().unwrap().clone();
    faults.retain(|fault| fault["file"].as_str().unwrap().starts_with(of.to_str().unwrap()));
    faults
}

fn a_volume_fails_and_the_other_goes_on(server: &str, refuses: Refuses) {
    let mut disk = CachedDisk::new(server, FileSystem::Ext4, 200).unwrap();
    // As large as the other: cameras go where there is most room.
    let sound_disk = LoopVolume::new(FileSystem::Ext4, 200).unwrap();
    let failing = disk.mount_point().join("volume");
    let mut scene = clinic(&sound_disk.mount_point(), &[], |site| site.add_volume(&failing).unwrap());
    let sound = scene.site.volume();
    scene.wait_for_cameras(&NUMBERS).unwrap();
    // Spread over both: one camera writes to the disk that will fail. Segments may have ended by now.
    let begun = |volume: &Path| segments(volume).map(|found| found.first().map(|one| one.camera));
    wait_until("each volume has a camera", PATIENCE, || Ok(begun(&sound)?.and(begun(&failing)?))).unwrap();
    let moved = begun(&failing).unwrap().unwrap();
    let before = scene.record(&PATHS, Duration::from_secs(2)).unwrap();
    assert_eq!(scene.site.status().unwrap().0, Some(0), "{:?}", scene.site.status());

    disk.refuse(refuses).unwrap();
    let failed_us = now_us();
    wait_until("both go on where they can", PATIENCE, || both_record_on(&sound, failed_us)).unwrap();
    let (exit, status) = scene.site.status().unwrap();
    let lines = status["volumes"].as_array().unwrap();
    let of = |dir: &Path| lines.iter().find(|line| line["dir"] == json!(dir)).unwrap();
    assert_eq!((&of(&failing)["failed"], &of(&sound)["failed"]), (&json!(true), &json!(false)), "{status}");
    assert_eq!(exit, Some(1), "{status}");
    let alarms = status["alarms"].to_string();
    assert!(alarms.contains(&format!("volume {} failed", failing.display())), "{alarms}");
    assert!(scene.running.daemon.log().unwrap().contains(failing.to_str().unwrap()), "the log names it");

    let after = scene.record(&PATHS, Duration::from_secs(3)).unwrap();
    for number in NUMBERS {
        let told = pieces(&scene, number, after.from_us, after.to_us);
        assert!(!told.is_empty() && told.iter().all(|piece| piece["state"] == "footage"), "camera {number}: {told:?}");
    }
    // What had been committed there is still told of, and the hole between is no secret.
    let told = pieces(&scene, moved, before.from_us, after.to_us);
    let states: Vec<&str> = told.iter().map(|piece| piece["state"].as_str().unwrap()).collect();
    assert!(states.first() == Some(&"footage") && states.last() == Some(&"footage"), "{told:?}");
    assert_eq!(faults(&scene.site, &sound), [] as [Value; 0], "beside the running daemon");

    let ended = scene.running.daemon.stop(PATIENCE).unwrap();
    assert!(matches!(ended.code(), Some(0 | 1)), "it ends in order: {ended}");
    assert_eq!(faults(&scene.site, &sound), [] as [Value; 0]);
    let read = read_volume(&scene.site, &scene.site.recovery_key, &scene.dir.path().join("read"));
    assert!(read["faults"].as_array().unwrap().iter().all(|fault| fault.to_string().contains("checkpoint")), "{read}");
}

#[test]
fn a_volume_whose_disk_turns_read_only_is_given_up_and_the_cameras_go_on_elsewhere() {
    if serve_if_asked() {
        return;
    }
    a_volume_fails_and_the_other_goes_on(
        "a_volume_whose_disk_turns_read_only_is_given_up_and_the_cameras_go_on_elsewhere",
        Refuses::Writes,
    );
}

#[test]
fn a_volume_whose_disk_dies_is_given_up_and_the_cameras_go_on_elsewhere() {
    if serve_if_asked() {
        return;
    }
    a_volume_fails_and_the_other_goes_on(
        "a_volume_whose_disk_dies_is_given_up_and_the_cameras_go_on_elsewhere",
        Refuses::Everything,
    );
}

fn the_state_disk_fails_and_recording_goes_on(server: &str, refuses: Refuses) {
    let mut disk = CachedDisk::new(server, FileSystem::Ext4, 200).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let volume = dir.path().join("volume");
    let more = ["--allow-unproven", "--volume", volume.to_str().unwrap()];
    let mut scene = clinic(&disk.mount_point(), &more, |_| disk.settle().unwrap());
    scene.wait_for_cameras(&NUMBERS).unwrap();
    let span = scene.record(&PATHS, Duration::from_secs(2)).unwrap();
    let mut staff = scene.sign_in("staff").unwrap();

    disk.refuse(refuses).unwrap();
    let failed_us = now_us();
    let refused = staff.ask(&NUMBERS, span, "Hong Gildong").unwrap();
    assert!(refused.status >= 500, "{}", refused.text());
    let account = scene.site.account("officer").unwrap();
    let credentials = json!({"name": account.name, "password": account.password});
    let refused = scene.running.browser().post("/v1/session", &credentials).unwrap();
    assert!(refused.status >= 500, "{}", refused.text());
    let exit = || Ok((scene.site.status()?.0 == Some(1)).then_some(()));
    wait_until("it is an alarm", LONG_PATIENCE, exit).unwrap();
    wait_until("recording goes on", PATIENCE, || both_record_on(&volume, failed_us)).unwrap();
    let later = scene.record(&PATHS, Duration::from_secs(1)).unwrap();
    let ended = scene.running.daemon.stop(PATIENCE).unwrap();
    assert_eq!(ended.code(), Some(1), "it ends in order, and says that it could not record its end");

    // The disk works again, and has what it had.
    disk.cut(support::cached_disk::Kept::Nothing).unwrap();
    disk.refuse(Refuses::Nothing).unwrap();
    disk.restore().unwrap();
    scene.serve_again().unwrap();
    for number in NUMBERS {
        let told = pieces(&scene, number, later.from_us, later.to_us);
        assert!(!told.is_empty() && told.iter().all(|piece| piece["state"] == "footage"), "camera {number}: {told:?}");
    }
    let mut staff = scene.sign_in("staff").unwrap();
    let told = staff.api.get("/v1/requests").unwrap().expect_status(200).unwrap().json;
    assert_eq!(told["requests"], json!([]), "what was not recorded did not happen");
    staff.ask(&NUMBERS, span, "Hong Gildong").unwrap().expect_status(201).unwrap();
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{told:?}");
}

#[test]
fn a_state_disk_that_turns_read_only_stops_deciding_and_not_recording() {
    if serve_if_asked() {
        return;
    }
    the_state_disk_fails_and_recording_goes_on(
        "a_state_disk_that_turns_read_only_stops_deciding_and_not_recording",
        Refuses::Writes,
    );
}

#[test]
fn a_state_disk_that_dies_stops_deciding_and_not_recording() {
    if serve_if_asked() {
        return;
    }
    the_state_disk_fails_and_recording_goes_on(
        "a_state_disk_that_dies_stops_deciding_and_not_recording",
        Refuses::Everything,
    );
}

/// Writes until nothing more fits.
fn fill(file: &Path) {
    let mut filler = File::create(file).unwrap();
    for piece in [1 << 20, 4096] {
        while filler.write_all(&vec![1; piece]).is_ok() {}
    }
    filler.sync_all().ok();
}

#[test]
fn a_full_disk_is_told_of_and_taken_again_when_there_is_room() {
    let disk = LoopVolume::new(FileSystem::Ext4, 64).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let volume: PathBuf = disk.mount_point().join("volume");
    let mut scene = clinic(dir.path(), &["--volume", volume.to_str().unwrap(), "--allow-unproven"], |site| {
        site.when_full("stop").unwrap();
    });
    scene.wait_for_cameras(&NUMBERS).unwrap();
    scene.record(&PATHS, Duration::from_secs(2)).unwrap();
    let filler = disk.mount_point().join("filler");
    fill(&filler);
    let (mut told, mut without) = (Value::Null, BTreeSet::new());
    let waited = wait_until("of each camera it is told that there is no room", LONG_PATIENCE, || {
        let exit;
        (exit, told) = scene.site.status()?;
        // Between two tries a camera may just connect again.
        for alarm in told["alarms"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            without.extend(NUMBERS.into_iter().filter(|number| alarm.starts_with(&format!("camera {number} "))));
        }
        Ok((exit == Some(1) && without.len() == NUMBERS.len()).then_some(()))
    });
    assert!(waited.is_ok(), "{waited:?} {told} {}", scene.running.daemon.log().unwrap());
    assert_eq!(told["volumes"][0]["failed"], json!(false), "a full disk is no broken one: {told}");

    std::fs::remove_file(&filler).unwrap();
    let freed_us = now_us();
    wait_until("both record again", LONG_PATIENCE, || both_record_on(&volume, freed_us)).unwrap();
    scene.record(&PATHS, Duration::from_secs(2)).unwrap();
    assert_eq!(scene.site.status().unwrap().0, Some(0), "{:?}", scene.site.status());
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{told:?}");
}
