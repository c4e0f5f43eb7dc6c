//! Real small disks that real cameras fill.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use support::commands::wait_until;
use support::daemon::program;
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::{FileSystem, LoopVolume};
use support::scene::{PATIENCE, Scene, now_us};
use support::site::{CameraFile, Site};
use support::spans::{AskedSpan, rfc_3339};
use support::stored::{files_in, segments};

/// Two whose footage may go, and an operating room, whose may not.
const CAMERAS: [(u16, &str, Video); 3] =
    [(1, "/yard", Video::Yard), (2, "/gate", Video::YardH265), (3, "/theatre", Video::Yard)];
const NUMBERS: [u16; 3] = [1, 2, 3];
const LONG_PATIENCE: Duration = Duration::from_secs(240);
/// Beside what the recorder keeps off.
const LEFT_FREE_BYTES: u64 = (16 + 14) << 20;

struct Small {
    scene: Scene,
    disk: LoopVolume,
}

/// A site whose volume is on a small disk.
fn small(file_system: FileSystem, size_mib: u64, when_full: &str) -> Small {
    let disk = LoopVolume::new(file_system, size_mib).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let server = RtspServer::start(CAMERAS.map(|(_, path, video)| Mount::new(path, video)).to_vec()).unwrap();
    let volume = disk.mount_point().join("volume");
    let more = ["--volume", volume.to_str().unwrap(), "--allow-unproven"];
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &more).unwrap();
    site.cut_segments_after(10).unwrap();
    site.when_full(when_full).unwrap();
    for (number, path, _) in CAMERAS {
        let camera = CameraFile::new(number, &path[1..], &server.url(path));
        site.save_camera(&camera).unwrap();
        if number == 3 {
            let text = camera.text().replace("\"lobby\"", "\"operating-room\"");
            let text = text.replace("\"public-area\"", "\"operating-room\"");
            std::fs::write(site.camera_path(number), text).unwrap();
        }
    }
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    let scene = Scene::of(running, site, server, dir);
    // An operating room films operations alone: one is under way, all the time.
    let mut staff = scene.sign_in("staff").unwrap();
    let operation = json!({"camera": 3, "asked_by": "patient", "name": "Hong Gildong"});
    staff.api.post("/v1/operations", &operation).unwrap().expect_status(201).unwrap();
    Small { scene, disk }
}

impl Small {
    fn volume(&self) -> PathBuf {
        self.disk.mount_point().join("volume")
    }

    fn filler(&self) -> PathBuf {
        self.disk.mount_point().join("filler")
    }

    fn free_bytes(&self) -> u64 {
        let told = rustix::fs::statvfs(self.disk.mount_point()).unwrap();
        told.f_bavail * told.f_frsize
    }

    /// Somebody else takes all but so much.
    fn fill_but(&self, left_bytes: u64) {
        let mut filler = File::create(self.filler()).unwrap();
        for piece in [1 << 20, 4096] {
            while self.free_bytes() > left_bytes && filler.write_all(&vec![1; piece]).is_ok() {}
        }
        filler.sync_all().ok();
    }

    /// The newest footage of each camera is younger than that.
    fn record_since(&self, numbers: &[u16], since_us: i64) -> anyhow::Result<Option<()>> {
        let found = segments(&self.volume())?;
        let has = |number: &u16| found.iter().any(|one| one.camera == *number && one.start_us > since_us);
        Ok(numbers.iter().all(has).then_some(()))
    }

    fn alarms(&self) -> String {
        self.scene.site.status().unwrap().1["alarms"].to_string()
    }

    /// What was destroyed so far, by camera and trigger. On a disk that was taken unproven each receipt says so.
    fn destroyed(&self) -> BTreeSet<(u64, String)> {
        let mut officer = self.scene.sign_in("officer").unwrap();
        let told = officer.api.get("/v1/destructions").unwrap().expect_status(200).unwrap().json;
        let rows = told["destructions"].as_array().cloned().unwrap();
        assert!(rows.iter().all(|row| row["act"]["overwrite"] == json!("device-unproven")), "{rows:?}");
        let told = |row: &Value| Some((row["act"]["camera"].as_u64()?, row["act"]["trigger"].as_str()?.to_owned()));
        rows.iter().map(|row| told(row).unwrap_or_else(|| panic!("{row}"))).collect()
    }

    /// A camera that is recorded has its first file a group of pictures later.
    fn oldest(&self, of: u16) -> String {
        wait_until("its first segment is there", PATIENCE, || {
            let found = segments(&self.volume())?.into_iter().filter(|one| one.camera == of);
            Ok(found.min_by_key(|one| one.start_us).map(|one| one.name))
        })
        .unwrap()
    }

    /// Whether anything of a camera is gone, and why, as whoever asks for it is told.
    fn gone(
        &self,
        staff: &mut support::site::Person,
        camera: u16,
        since: AskedSpan,
    ) -> anyhow::Result<BTreeSet<String>> {
        let (from, to) = (rfc_3339(since.from_us)?, rfc_3339(now_us())?);
        let path = format!("/v1/cameras/{camera}/availability?from={from}&to={to}");
        let told = staff.api.get(&path)?.expect_status(200)?.json;
        let pieces = told["pieces"].as_array().cloned().unwrap_or_default();
        Ok(pieces.iter().filter_map(|piece| piece["trigger"].as_str().map(str::to_owned)).collect())
    }

    fn is_there(&self, name: &str) -> bool {
        ["rolling", "held"].iter().any(|place| files_in(&self.volume(), place).unwrap().contains_key(name))
    }

    fn is_sound(&mut self) {
        self.scene.running.stop().unwrap();
        let told = self.scene.site.run("verify", &["--deep"]).unwrap();
        assert!(told.status.success(), "{told:?}");
    }
}

fn the_oldest_goes_early(file_system: FileSystem, size_mib: u64) {
    let mut small = small(file_system, size_mib, "erase-oldest");
    small.scene.wait_for_cameras(&NUMBERS).unwrap();
    let paths: Vec<&str> = CAMERAS.iter().map(|(_, path, _)| *path).collect();
    let held: AskedSpan = small.scene.record(&paths, Duration::from_secs(2)).unwrap();
    let (held_name, floored, first) = (small.oldest(2), small.oldest(3), small.oldest(1));
    let mut staff = small.scene.sign_in("staff").unwrap();
    staff.ask(&[2], held, "Hong Gildong").unwrap().expect_status(201).unwrap();
    small.fill_but(LEFT_FREE_BYTES);

    // Its rows are written when the hour is over; who asks is told at once.
    wait_until("footage goes early", LONG_PATIENCE, || {
        let early = BTreeSet::from(["early".to_owned()]);
        Ok((!small.is_there(&first) && small.gone(&mut staff, 1, held)? == early).then_some(()))
    })
    .unwrap_or_else(|e| panic!("{e} {} {}", small.alarms(), small.scene.running.daemon.log().unwrap()));
    let alarms = small.alarms();
    assert!(alarms.contains("were destroyed before their day"), "{alarms}");
    let early_us = now_us();
    wait_until("all cameras record on", PATIENCE, || small.record_since(&NUMBERS, early_us)).unwrap();
    assert!(small.is_there(&held_name), "it is held");
    assert!(small.is_there(&floored), "it must be kept");
    assert_eq!(small.gone(&mut staff, 3, held).unwrap(), BTreeSet::new());
    assert!(small.free_bytes() > 8 << 20);
    let (exit, status) = small.scene.site.status().unwrap();
    assert_eq!((exit, &status["disk"]["when_full"]), (Some(1), &json!("erase-oldest")), "{status}");
    assert!(status["disk"]["destroyed_early"].as_u64().unwrap() > 0, "{status}");
    std::fs::remove_file(small.filler()).unwrap();
    small.is_sound();
}

#[test]
fn on_a_full_ext4_the_oldest_goes_early_and_what_is_held_or_must_be_kept_stays() {
    the_oldest_goes_early(FileSystem::Ext4, 100);
}

#[test]
fn on_a_full_xfs_the_oldest_goes_early_and_what_is_held_or_must_be_kept_stays() {
    the_oldest_goes_early(FileSystem::Xfs, 300);
}

#[test]
fn told_to_stop_it_stops_with_an_alarm_and_a_gap_and_goes_on_by_itself() {
    let mut small = small(FileSystem::Ext4, 100, "stop");
    small.scene.wait_for_cameras(&NUMBERS).unwrap();
    let first = NUMBERS.map(|number| small.oldest(number));
    small.fill_but(LEFT_FREE_BYTES);
    let stopped = |small: &Small| {
        let alarms = small.alarms();
        NUMBERS.iter().all(|number| alarms.contains(&format!("camera {number} "))) && alarms.contains("when_full is")
    };
    let waited = wait_until("all cameras stop", LONG_PATIENCE, || Ok(stopped(&small).then_some(())));
    assert!(waited.is_ok(), "{} {}", small.alarms(), small.scene.running.daemon.log().unwrap());
    assert!(small.free_bytes() >= 8 << 20, "what the eraser needs is left: {}", small.free_bytes());
    assert!(first.iter().all(|name| small.is_there(name)));
    assert_eq!(small.destroyed(), BTreeSet::new());
    let stopped_us = now_us();
    std::fs::remove_file(small.filler()).unwrap();
    let freed_us = now_us();
    wait_until("all go on", LONG_PATIENCE, || small.record_since(&NUMBERS, freed_us)).unwrap();
    let mut staff = small.scene.sign_in("staff").unwrap();
    let (from, to) = (rfc_3339(stopped_us - 1_000_000).unwrap(), rfc_3339(stopped_us).unwrap());
    let path = format!("/v1/cameras/1/availability?from={from}&to={to}");
    wait_until("the gap is told, with its cause", PATIENCE, || {
        let told = staff.api.get(&path)?.expect_status(200)?.json;
        let is_gap = |piece: &Value| piece["state"] == "gap" && piece["cause"] == "disk-full";
        Ok(told["pieces"].as_array().unwrap().iter().any(is_gap).then_some(()))
    })
    .unwrap();
    let is_well = || Ok((small.scene.site.status()?.0 == Some(0)).then_some(()));
    wait_until("all is well again", PATIENCE, is_well).unwrap();
    small.is_sound();
}

/// Another program fills the disk to its last block: what is destroyed for it has an end, and the eraser is not caught.
#[test]
fn somebody_else_who_fills_the_disk_to_the_last_block_is_no_end_of_everything() {
    let mut small = small(FileSystem::Ext4, 100, "erase-oldest");
    small.scene.wait_for_cameras(&NUMBERS).unwrap();
    let floored = small.oldest(3);
    small.fill_but(0);
    let waited = wait_until("it is told", LONG_PATIENCE, || {
        let alarms = small.alarms();
        Ok((alarms.contains("nothing on it may go") || alarms.contains("something else fills the disk")).then_some(()))
    });
    assert!(waited.is_ok(), "{} {}", small.alarms(), small.scene.running.daemon.log().unwrap());
    assert!(small.is_there(&floored));
    std::fs::remove_file(small.filler()).unwrap();
    let freed_us = now_us();
    wait_until("all go on", LONG_PATIENCE, || small.record_since(&NUMBERS, freed_us)).unwrap();
    small.is_sound();
}

#[test]
fn a_plan_is_made_from_what_the_cameras_sent_beside_the_daemon_and_without_it() {
    let mut small = small(FileSystem::Ext4, 300, "erase-oldest");
    let plan = |small: &Small, more: &[&str]| {
        let told = small.scene.site.run("plan", &[&["--json"], more].concat()).unwrap();
        let plan: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
        (told.status.code(), plan)
    };
    let (exit, told) = plan(&small, &["--mbps", "2"]);
    let line = |told: &Value, number: u64| {
        let lines = told["cameras"].as_array().unwrap().clone();
        lines.into_iter().find(|line| line["number"] == json!(number)).unwrap()
    };
    // Nothing was recorded yet, or just began.
    assert_eq!((exit, &told["enough"]), (Some(1), &json!(false)), "{told}");
    if line(&told, 1)["measured_s"] == json!(0) {
        assert_eq!(line(&told, 1)["mbps"], json!(2.0), "{told}");
    }
    small.scene.wait_for_cameras(&NUMBERS).unwrap();
    wait_until("each was measured", LONG_PATIENCE, || {
        let (_, told) = plan(&small, &[]);
        Ok(NUMBERS.iter().all(|number| line(&told, u64::from(*number))["measured_s"] != json!(0)).then_some(()))
    })
    .unwrap();
    let (_, beside) = plan(&small, &[]);
    small.scene.running.stop().unwrap();
    let (exit, told) = plan(&small, &[]);
    assert_eq!(exit, Some(1), "30 days of three cameras on 300 MB: {told}");
    for number in 1..=3 {
        let (now, before) = (line(&told, number), line(&beside, number));
        let rate = now["mbps"].as_f64().unwrap();
        assert!((0.05..20.0).contains(&rate), "{now}");
        assert!((rate / before["mbps"].as_f64().unwrap() - 1.0).abs() < 0.5, "{now} {before}");
        assert_eq!((&now["period_days"], &now["is_floor"]), (&json!(30.0), &json!(number == 3)), "{now}");
        let (day, period) = (now["bytes_a_day"].as_f64().unwrap(), now["bytes_for_period"].as_f64().unwrap());
        assert!((period / day - 30.0).abs() < 0.01, "{now}");
    }
    let sum: u64 = (1..=3).map(|number| line(&told, number)["bytes_for_period"].as_u64().unwrap()).sum();
    assert_eq!(told["needed_bytes"], json!(sum));
    assert!(told["there_bytes"].as_u64().unwrap() < 300 << 20, "{told}");
    assert!(told["advice"][0].as_str().unwrap().starts_with("Add "), "{told}");
    let words = small.scene.site.run("plan", &[]).unwrap().stdout;
    assert!(words.contains("theatre") && words.contains("NOT ENOUGH") && words.contains("operating-room"), "{words}");
}

/// The state's disk is full: what is owed is recorded out of the reserve, nothing is shown, and it is made again.
#[test]
fn a_full_state_disk_ends_viewing_and_not_what_is_owed() {
    let state_disk = LoopVolume::new(FileSystem::Ext4, 120).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let volume = dir.path().join("volume");
    let more = ["--volume", volume.to_str().unwrap(), "--allow-unproven"];
    let site = Site::init(&program().unwrap(), &state_disk.mount_point().join("site"), &more).unwrap();
    site.cut_segments_after(10).unwrap();
    site.save_camera(&CameraFile::new(1, "yard", &server.url("/yard"))).unwrap();
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    let mut scene = Scene::of(running, site, server, dir);
    scene.wait_for_cameras(&[1]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    let mut officer = scene.sign_in("officer").unwrap();
    let mut viewer = scene.sign_in("viewer").unwrap();
    let approved = support::scene::have_approved(&mut staff, &mut officer, &viewer, &[1], span).unwrap();
    viewer.begin_viewing(&approved["grant"]).unwrap().expect_status(201).unwrap();
    let playlist = support::site::Person::playlist(&approved["grant"], 1);
    let listed = viewer.api.get(&playlist).unwrap().expect_status(200).unwrap().text();
    let fragment = listed.lines().find(|line| line.ends_with(".m4s")).unwrap();
    let fragment = format!("{}/{fragment}", playlist.rsplit_once('/').unwrap().0);
    viewer.api.get(&fragment).unwrap().expect_status(200).unwrap();
    let reserve = scene.site.dir().join("state/ledger/reserve");
    let length = || std::fs::metadata(&reserve).map_or(0, |told| told.len());
    wait_until("the reserve is made", PATIENCE, || Ok((length() == 16 << 20).then_some(()))).unwrap();

    let filler = state_disk.mount_point().join("filler");
    let mut file = File::create(&filler).unwrap();
    for piece in [1 << 20, 4096, 512] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
    file.sync_all().ok();
    drop(file);
    // Rows are small: it takes some until the ledger's last block is full.
    wait_until("the reserve is in use", LONG_PATIENCE, || {
        officer.api.get("/v1/ledger/head")?;
        staff.api.get("/v1/requests")?;
        drop(scene.sign_in("deputy")?);
        Ok((length() == 0).then_some(()))
    })
    .unwrap();
    let status = scene.site.status().unwrap().1;
    assert_eq!(status["ledger_room"], json!("reserve-in-use"), "{status}");
    assert!(status["alarms"].to_string().contains("its reserve is in use"), "{status}");
    let told = viewer.api.get(&fragment).unwrap();
    assert_eq!((told.status, support::scene::slug(&told.json)), (503, "not-recorded"), "{}", told.text());
    // It ended the viewing, so that there is nothing to be listed either.
    assert_ne!(viewer.api.get(&playlist).unwrap().status, 200);
    // What is owed goes on: a decision, and rows of people who come.
    staff.ask(&[1], span, "Kim Minsu").unwrap().expect_status(201).unwrap();
    drop(scene.sign_in("officer").unwrap());
    std::fs::remove_file(&filler).unwrap();
    wait_until("the reserve is there again", PATIENCE, || Ok((length() == 16 << 20).then_some(()))).unwrap();
    wait_until("all is well", PATIENCE, || Ok((scene.site.status()?.1["ledger_room"] == "enough").then_some(())))
        .unwrap();
    // What could not be recorded ended the viewing.
    viewer.begin_viewing(&approved["grant"]).unwrap().expect_status(201).unwrap();
    viewer.api.get(&playlist).unwrap().expect_status(200).unwrap();
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{told:?}");
    assert_eq!(scene.site.verify_ledger(&scene.site.ledger_files().unwrap()).unwrap()["ok"], json!(true));
}
