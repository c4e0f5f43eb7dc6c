//! Footage to its last day and beyond, on raw disks. The daemon runs in this process, whole, with real cameras and
//! real files; only its clock is in the test's hands, so that a month takes a moment.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::clock::ManualClock;
use cctv_custodian::domain::Utc;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::in_process::InProcess;
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::{FileSystem, LoopVolume, require_root};
use support::raw_search::SectorSearch;
use support::site::{CameraFile, Person, Site};
use support::spans::AskedSpan;
use support::stored::{files, segments};

const DAY: Duration = Duration::from_secs(86_400);
const DAY_US: i64 = 86_400_000_000;
const PATIENCE: Duration = Duration::from_secs(40);
const SHOWN: u16 = 1;
const ASKED_FOR: u16 = 2;

/// A site on a disk of its own, with two cameras, and some seconds of each.
struct Clinic {
    server: RtspServer,
    site: Site,
    daemon: InProcess,
    recorded: AskedSpan,
    disk: LoopVolume,
}

fn clinic(file_system: FileSystem) -> Clinic {
    require_root().unwrap();
    let disk = LoopVolume::new(file_system, 400).unwrap();
    let server = RtspServer::start(vec![Mount::new("/shown", Video::Yard), Mount::new("/asked", Video::Yard)]).unwrap();
    let site = Site::init(&program().unwrap(), &disk.mount_point().join("site"), &[]).unwrap();
    site.save_camera(&CameraFile::new(SHOWN, "lobby-east-wing", &server.url("/shown"))).unwrap();
    site.save_camera(&CameraFile::new(ASKED_FOR, "lobby-west-wing", &server.url("/asked"))).unwrap();
    let daemon = InProcess::start(&site, &ManualClock::flowing());
    let mut staff = daemon.sign_in(&site, "staff");
    let mut since_us = None;
    wait_until("both cameras record", PATIENCE, || {
        let cameras = staff.api.get("/v1/cameras")?.expect_status(200)?.json;
        let rows = cameras["cameras"].as_array().cloned().unwrap_or_default();
        let both = rows.len() == 2 && rows.iter().all(|row| row["state"] == "recording");
        Ok(both.then(|| since_us = Some(daemon.wall_us())))
    })
    .unwrap();
    pass(Duration::from_secs(8));
    let from_us = since_us.unwrap() + 500_000;
    let recorded = AskedSpan { from_us, to_us: from_us + 4_000_000 };
    Clinic { server, site, daemon, recorded, disk }
}

impl Clinic {
    /// What is stored of the recorded span: name, camera and bytes of each segment that has some of it.
    fn copies(&self) -> BTreeMap<String, (u16, Vec<u8>)> {
        let all = segments(&self.site.volume()).unwrap();
        let of_span = all.into_iter().filter(|one| one.overlaps(self.recorded.from_us, self.recorded.to_us));
        of_span.map(|one| (one.name, (one.camera, std::fs::read(one.path).unwrap()))).collect()
    }

    fn search(&self, copies: &BTreeMap<String, (u16, Vec<u8>)>, camera: u16) -> SectorSearch {
        let of: Vec<Vec<u8>> =
            copies.values().filter(|(known, _)| *known == camera).map(|(_, bytes)| used(bytes)).collect();
        self.disk.search_sectors(&of).unwrap()
    }

    fn is_there(&self, name: &str) -> Option<PathBuf> {
        files(&self.site.volume()).unwrap().remove(name)
    }

    fn wait_until_gone(&self, names: &[&String]) {
        wait_until("the segments are gone", PATIENCE, || {
            Ok(names.iter().all(|name| self.is_there(name).is_none()).then_some(()))
        })
        .unwrap();
    }
}

/// A segment's bytes without the blank rest of its allocation.
fn used(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    bytes[..end].to_vec()
}

fn destructions(of: &Clinic) -> Vec<Value> {
    let mut officer = of.daemon.sign_in(&of.site, "officer");
    let told = officer.api.get("/v1/destructions").unwrap().expect_status(200).unwrap().json;
    told["destructions"].as_array().cloned().unwrap()
}

fn its_day_comes_unless_it_is_held(file_system: FileSystem) {
    let clinic = clinic(file_system);
    let mut staff = clinic.daemon.sign_in(&clinic.site, "staff");
    let asked = staff.ask(&[ASKED_FOR], clinic.recorded, "Hong Gildong").unwrap().expect_status(201).unwrap().json;
    // The cameras stop, so that what is stored is what was stored: a connection that idles for a month is gone anyway.
    clinic.site.remove_camera(SHOWN).unwrap();
    clinic.site.remove_camera(ASKED_FOR).unwrap();
    wait_until("the cameras are gone", PATIENCE, || {
        let told = staff.api.get("/v1/cameras")?.expect_status(200)?.json;
        Ok(told["cameras"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
    .unwrap();
    pass(Duration::from_secs(5));
    let copies = clinic.copies();
    let names = |camera| -> Vec<&String> {
        copies.iter().filter(|(_, (known, _))| *known == camera).map(|(name, _)| name).collect()
    };
    let (shown, held) = (names(SHOWN), names(ASKED_FOR));
    assert!(!shown.is_empty() && !held.is_empty());
    let before = clinic.search(&copies, SHOWN);
    assert_eq!(before.found, before.needle_sectors, "control: before its day all of it is found");

    clinic.daemon.hands.advance(DAY * 29);
    pass(Duration::from_secs(2));
    for name in shown.iter().chain(&held) {
        assert!(clinic.is_there(name).is_some(), "{name}: a day too early");
    }
    clinic.daemon.hands.advance(DAY);
    clinic.wait_until_gone(&shown);
    for name in &held {
        let path = clinic.is_there(name).unwrap_or_else(|| panic!("{name}: held, and gone"));
        assert!(path.to_str().unwrap().contains("/held/"), "held footage stands apart: {}", path.display());
    }
    assert_eq!(clinic.search(&copies, SHOWN).found, 0, "on the raw disk");
    let kept = clinic.search(&copies, ASKED_FOR);
    assert_eq!(kept.found, kept.needle_sectors, "control: what is held is found whole");
    for name in ["lobby-east-wing", "Hong Gildong"] {
        let configured = u64::from(name.starts_with("lobby"));
        assert!(clinic.disk.search_bytes(name.as_bytes()).unwrap() <= configured * 8, "{name} on the footage's disk");
    }

    let mut staff = clinic.daemon.sign_in(&clinic.site, "staff");
    let told = staff.ask(&[SHOWN], clinic.recorded, "Kim Cheolsu").unwrap().expect_status(201).unwrap().json;
    assert_eq!(told["state"], "unavailable");
    assert!(told["answer"].as_str().unwrap().starts_with("unavailable: destroyed on "), "{told}");

    // Decided on day 30, after what was not asked for is gone.
    let mut officer = clinic.daemon.sign_in(&clinic.site, "officer");
    let viewer = clinic.daemon.sign_in(&clinic.site, "viewer");
    staff.identify(&asked["number"]).unwrap().expect_status(200).unwrap();
    officer.approve(&asked["number"], &viewer.number).unwrap().expect_status(200).unwrap();
    officer.close(&asked["number"]).unwrap().expect_status(200).unwrap();
    clinic.wait_until_gone(&held);
    assert_eq!(clinic.search(&copies, ASKED_FOR).found, 0);

    let of = |receipts: &[Value], camera: u16, trigger: &str| {
        receipts.iter().any(|row| row["act"]["camera"] == camera && row["act"]["trigger"] == trigger)
    };
    // A camera's hour is a row once it is gone whole.
    let mut receipts = Vec::new();
    wait_until("the receipts are rows", PATIENCE, || {
        receipts = destructions(&clinic);
        Ok((of(&receipts, SHOWN, "expiry") && of(&receipts, ASKED_FOR, "hold-ended")).then_some(()))
    })
    .unwrap();
    for receipt in receipts.iter().map(|row| &row["act"]) {
        assert_eq!(
            (receipt["overwrite"].as_str(), receipt["failures"].as_u64()),
            (Some("proven"), Some(0)),
            "{receipt}"
        );
        let (hour, from) = (receipt["hour"].as_str().unwrap(), receipt["span"]["from"].as_str().unwrap());
        assert!(hour.ends_with(":00:00.000000Z") && hour[..13] == from[..13], "{receipt}");
        assert!((5..=100).contains(&receipt["read_back_percent"].as_u64().unwrap()), "{receipt}");
        // A loop device has none.
        assert_eq!(receipt["device"], serde_json::json!({"model": "unknown", "serial": "unknown"}));
    }
    drop(clinic.server);
    clinic.daemon.end().unwrap();
    let verified = clinic.site.run("verify", &["--deep"]).unwrap();
    assert!(verified.status.success(), "{}{}", verified.stdout, verified.stderr);
}

#[test]
fn its_day_comes_unless_it_is_held_on_ext4() {
    its_day_comes_unless_it_is_held(FileSystem::Ext4);
}

#[test]
fn its_day_comes_unless_it_is_held_on_xfs() {
    its_day_comes_unless_it_is_held(FileSystem::Xfs);
}

impl Clinic {
    fn names(&self, place: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.site.volume().join(place)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    /// What the daemon's own check says, once it has looked after `since_us`.
    fn checked(&self, since_us: i64) -> Value {
        let (mut found, mut last) = (Value::Null, Value::Null);
        let told = wait_until("the nightly check", PATIENCE, || {
            // It looks at the hour every few minutes.
            self.daemon.hands.advance(Duration::from_secs(360));
            last = self.site.status()?.1;
            let age = last["age"].clone();
            let at = age["checked_at"].as_str().and_then(|at| at.parse::<Utc>().ok());
            Ok(at.is_some_and(|at| at.micros() > since_us).then(|| found = age))
        });
        told.unwrap_or_else(|e| panic!("{e}: {last}"));
        assert_eq!(found["nothing_older"], true, "{last}");
        let alarms = last["alarms"].as_array().unwrap();
        assert!(!alarms.iter().any(|alarm| alarm.as_str().unwrap().contains("not proven")), "{last}");
        found
    }
}

/// 40 days passed properly: of what nobody holds there is no segment, no key, no grant, no manifest; what is held can be
/// granted and played, and when it is released it is gone at once, and all that named it.
#[test]
fn forty_days_leave_nothing_but_what_is_held() {
    let clinic = clinic(FileSystem::Ext4);
    let mut staff = clinic.daemon.sign_in(&clinic.site, "staff");
    let mut officer = clinic.daemon.sign_in(&clinic.site, "officer");
    let viewer = clinic.daemon.sign_in(&clinic.site, "viewer");
    let shown = support::scene::have_approved(&mut staff, &mut officer, &viewer, &[SHOWN], clinic.recorded).unwrap();
    officer.close(&shown["number"]).unwrap().expect_status(200).unwrap();
    let asked = staff.ask(&[ASKED_FOR], clinic.recorded, "Hong Gildong").unwrap().expect_status(201).unwrap().json;
    clinic.site.remove_camera(SHOWN).unwrap();
    clinic.site.remove_camera(ASKED_FOR).unwrap();
    wait_until("the cameras are gone", PATIENCE, || {
        let told = staff.api.get("/v1/cameras")?.expect_status(200)?.json;
        Ok(told["cameras"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
    .unwrap();
    pass(Duration::from_secs(5));
    let before = clinic.names("manifests");
    let copies = clinic.copies();
    let of = |camera| copies.iter().filter(move |(_, (known, _))| *known == camera).map(|(name, _)| name.clone());
    let held: Vec<String> = of(ASKED_FOR).collect();
    assert!(!held.is_empty() && of(SHOWN).count() > 0);

    // Time passes as it does, only faster.
    for _ in 0..80 {
        clinic.daemon.hands.advance(DAY / 2);
        pass(Duration::from_millis(100));
    }
    wait_until("a hold manifest is all that is left", PATIENCE, || {
        let now = clinic.names("manifests");
        Ok((now.len() == 1 && !before.contains(&now[0])).then_some(()))
    })
    .unwrap();
    clinic.daemon.hands.advance(DAY);
    let told = clinic.checked(clinic.daemon.wall_us() - DAY_US / 2);
    assert_eq!((&told["nothing_older"], &told["oldest_block"]), (&Value::Bool(true), &Value::Null), "{told}");
    assert_eq!(told["held_segments"], held.len(), "{told}");
    let hold_manifest = clinic.names("manifests");
    assert!(clinic.names("rolling").is_empty() && clinic.names("held") == hold_manifest);
    assert_eq!(clinic.names("keys").len(), 1, "the held camera's");
    let grants = std::fs::read_dir(clinic.site.dir().join("state/grants")).unwrap().count();
    assert_eq!(grants, 0);

    let mut staff = clinic.daemon.sign_in(&clinic.site, "staff");
    let mut officer = clinic.daemon.sign_in(&clinic.site, "officer");
    let viewer = clinic.daemon.sign_in(&clinic.site, "viewer");
    staff.identify(&asked["number"]).unwrap().expect_status(200).unwrap();
    let decided = officer.approve(&asked["number"], &viewer.number).unwrap().expect_status(200).unwrap().json;
    let pictures = support::scene::pictures(&viewer, &decided["grant"], ASKED_FOR).unwrap();
    assert!(pictures.len() > 20, "the held footage is played: {}", pictures.len());
    let told = staff.ask(&[SHOWN], clinic.recorded, "Kim Cheolsu").unwrap().expect_status(201).unwrap().json;
    assert!(told["answer"].as_str().unwrap().starts_with("unavailable: destroyed on "), "from the closing row: {told}");

    officer.close(&asked["number"]).unwrap().expect_status(200).unwrap();
    let held: Vec<&String> = held.iter().collect();
    clinic.wait_until_gone(&held);
    assert_eq!(clinic.search(&copies, ASKED_FOR).found, 0, "on the raw disk");
    wait_until("its manifest and key are gone, too", PATIENCE, || {
        let left = ["manifests", "keys", "held", "rolling"].map(|place| clinic.names(place).len());
        Ok((left == [0; 4]).then_some(()))
    })
    .unwrap();
    drop(clinic.server);
    clinic.daemon.end().unwrap();
    let verified = clinic.site.run("verify", &["--deep"]).unwrap();
    assert!(verified.status.success(), "{}{}", verified.stdout, verified.stderr);
    assert_eq!(clinic.site.run("verify", &["--nothing-older"]).unwrap().status.code(), Some(0));
}

#[test]
fn a_clock_set_forward_destroys_nothing_and_shows_nothing() {
    let clinic = clinic(FileSystem::Ext4);
    let mut staff = clinic.daemon.sign_in(&clinic.site, "staff");
    let mut officer = clinic.daemon.sign_in(&clinic.site, "officer");
    let mut viewer = clinic.daemon.sign_in(&clinic.site, "viewer");
    let grant = support::scene::have_approved(&mut staff, &mut officer, &viewer, &[SHOWN], clinic.recorded).unwrap();
    let copies = clinic.copies();
    viewer.begin_viewing(&grant["grant"]).unwrap().expect_status(201).unwrap();
    let playlist = Person::playlist(&grant["grant"], SHOWN);
    viewer.api.get(&playlist).unwrap().expect_status(200).unwrap();
    clinic.daemon.hands.step_wall(40 * DAY_US);
    pass(Duration::from_secs(3));
    let told = viewer.api.get(&playlist).unwrap();
    assert!([403, 410].contains(&told.status), "access goes by the later clock: {}", told.text());
    for name in copies.keys() {
        assert!(clinic.is_there(name).is_some(), "{name} was destroyed by a clock that was set");
    }
    clinic.daemon.hands.step_wall(-40 * DAY_US);
    // The viewing ended with the grant's end, by that clock; the grant did not.
    viewer.begin_viewing(&grant["grant"]).unwrap().expect_status(201).unwrap();
    viewer.api.get(&playlist).unwrap().expect_status(200).unwrap();
    // And a clock set back does not keep anything for longer.
    officer.close(&grant["number"]).unwrap().expect_status(200).unwrap();
    clinic.daemon.hands.step_wall(-400 * DAY_US);
    clinic.daemon.hands.advance(DAY * 31);
    let names: Vec<&String> = copies.keys().collect();
    clinic.wait_until_gone(&names);
}
