//! Real power cuts: the disk's cache is lost under a real ext4 while the real daemon works; what it promised is there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::disk::{Access, AlignedBuffer, Disk, RealDisk};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use support::cached_disk::{CachedDisk, Dice, Kept, serve_if_asked};
use support::commands::wait_until;
use support::daemon::{Daemon, program};
use support::peers::{Mount, RtspServer, Video};
use support::probe;
use support::raw_disk::FileSystem;
use support::read_back::{JITTER_US, LOST_BY_FORCE_US, assert_sent, read, read_volume, segments_between, text};
use support::scene::{COMMITTED, PATIENCE, now_us, pictures, slug};
use support::site::{CameraFile, PEOPLE, Person, Running, Site, random_text};
use support::spans::{AskedSpan, choose_span, frames_to_see};

/// The test that this program is started for once more, to serve the disks.
const SERVER: &str = "the_instrument_loses_what_was_not_flushed_and_nothing_else";
/// Repeats a run: `POWER_CUT_SEED=… cargo test --test power_cut`.
const SEED_VARIABLE: &str = "POWER_CUT_SEED";
const STARTS_CUT: u64 = 4;
const SECOND_US: i64 = 1_000_000;
const CAMERAS: [(u16, &str, Video); 2] = [(1, "/yard", Video::Yard), (2, "/gate", Video::YardH265)];
const YARD: u16 = 1;
/// Deciding takes a while, on a busy machine above all; then it is asked for from disk that has no power any more.
const START_LIMIT: Duration = Duration::from_secs(60);

fn dice() -> Dice {
    let told = std::env::var(SEED_VARIABLE)
        .unwrap_or_else(|_| format!("{}", u32::from_str_radix(&random_text(4).unwrap(), 16).unwrap()));
    println!("{SEED_VARIABLE}={told}");
    Dice(told.parse().expect("a seed is a number"))
}

fn half(dice: &mut Dice) -> Kept {
    Kept::Half { seed: dice.roll() }
}

/// The control of all that follows, both ways. It also is the process that serves the disks.
#[test]
fn the_instrument_loses_what_was_not_flushed_and_nothing_else() {
    if serve_if_asked() {
        return;
    }
    for kind in [FileSystem::Ext4, FileSystem::Xfs] {
        let mut disk = CachedDisk::new(SERVER, kind, if kind == FileSystem::Xfs { 300 } else { 64 }).unwrap();
        let (place, length) = (|disk: &CachedDisk, name: &str| disk.mount_point().join(name), 1 << 20);
        let (mut old, mut new) = (AlignedBuffer::zeroed(length), AlignedBuffer::zeroed(length));
        old.as_mut_slice().fill(7);
        new.as_mut_slice().fill(8);
        for name in ["a", "b"] {
            let file = RealDisk.create_new(&place(&disk, name)).unwrap();
            file.write_all_at(old.as_slice(), 0).unwrap();
        }
        let before = disk.counts().unwrap();
        disk.settle().unwrap();
        let after = disk.counts().unwrap();
        assert!(after.flushes > before.flushes, "a flush must reach the disk: {before:?} {after:?}");

        for (kept, is_flushed) in [
            (Kept::Nothing, true),
            (Kept::Nothing, false),
            (Kept::Half { seed: 1 }, true),
            (Kept::Half { seed: 1 }, false),
        ] {
            // Past the page cache and in place: it is the disk that has it, and nothing else that changes.
            let file = RealDisk.open(&place(&disk, "a"), Access::Direct).unwrap();
            file.write_all_at(new.as_slice(), 0).unwrap();
            assert!(disk.counts().unwrap().unflushed_sectors >= 2048, "{:?}", disk.counts().unwrap());
            if is_flushed {
                file.sync_data().unwrap();
            }
            drop(file);
            let unnamed = RealDisk.create_new(&place(&disk, "c")).unwrap();
            unnamed.write_all_at(new.as_slice(), 0).unwrap();
            drop(unnamed);
            disk.cut(kept).unwrap();
            assert!(!disk.counts().unwrap().has_power);
            assert!(
                RealDisk.create_new(&place(&disk, "d")).is_err()
                    || (&RealDisk as &dyn Disk).sync_file_system(&disk.mount_point()).is_err()
            );
            disk.restore().unwrap();
            let left = std::fs::read(place(&disk, "a")).unwrap();
            let new_sectors = left.chunks(512).filter(|sector| sector.iter().all(|byte| *byte == 8)).count();
            let old_sectors = left.chunks(512).filter(|sector| sector.iter().all(|byte| *byte == 7)).count();
            assert_eq!(new_sectors + old_sectors, 2048, "{kind:?} {kept:?}: sectors of neither");
            match (is_flushed, kept) {
                (true, _) => assert_eq!(new_sectors, 2048, "{kind:?} {kept:?}: what was flushed is lost"),
                (false, Kept::Nothing) => assert_eq!(new_sectors, 0, "{kind:?}: what was not flushed is there"),
                (false, Kept::Half { .. }) => assert!((900..1150).contains(&new_sectors), "{kind:?}: {new_sectors}"),
            }
            assert!(std::fs::read(place(&disk, "b")).unwrap() == old.as_slice(), "{kind:?} {kept:?}");
            let whole = std::fs::read(place(&disk, "c")).is_ok_and(|bytes| bytes == new.as_slice());
            assert!(!whole || matches!(kept, Kept::Half { .. }), "{kind:?}: what was never flushed is there");
            // As it was before, for the next.
            std::fs::remove_file(place(&disk, "c")).ok();
            std::fs::remove_file(place(&disk, "d")).ok();
            std::fs::write(place(&disk, "a"), old.as_slice()).unwrap();
            disk.settle().unwrap();
        }
    }
}

/// A site whose footage and state are on such a disk.
struct Clinic {
    running: Option<Running>,
    site: Site,
    server: RtspServer,
    disk: CachedDisk,
    logs: tempfile::TempDir,
    lives: u32,
    dice: Dice,
    pictures_of_file: [Vec<String>; 2],
    /// What the second reader read of the lives before: name of a segment → digest of what it decrypted.
    read_before: BTreeMap<String, String>,
}

impl Clinic {
    fn new(file_system: FileSystem) -> Self {
        let dice = dice();
        let disk = CachedDisk::new(SERVER, file_system, 400).unwrap();
        let server = RtspServer::start(CAMERAS.map(|(_, path, video)| Mount::new(path, video)).to_vec()).unwrap();
        let site = Site::init(&program().unwrap(), &disk.mount_point().join("site"), &[]).unwrap();
        site.cut_segments_after(10).unwrap();
        for (number, path, _) in CAMERAS {
            site.save_camera(&CameraFile::new(number, &path[1..], &server.url(path))).unwrap();
        }
        // The installer's own files are the installer's to flush.
        disk.settle().unwrap();
        let pictures = CAMERAS.map(|(.., video)| probe::picture_digests(text(&video.file().unwrap()), &[]).unwrap());
        Self {
            running: None,
            site,
            server,
            disk,
            logs: tempfile::tempdir().unwrap(),
            lives: 0,
            dice,
            pictures_of_file: pictures,
            read_before: BTreeMap::new(),
        }
    }

    fn log(&mut self) -> std::path::PathBuf {
        self.lives += 1;
        self.logs.path().join(format!("custodian-{}.log", self.lives))
    }

    fn serve(&mut self) {
        let log = self.log();
        self.running = Some(self.site.serve(&log, &[], &[]).unwrap());
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().unwrap()
    }

    fn sign_in(&mut self, name: &str) -> Person {
        self.running.as_ref().unwrap().sign_in(&self.site, name).unwrap()
    }

    fn stop(&mut self) {
        self.running.take().unwrap().stop().unwrap();
    }

    /// Records from both cameras until each has sent `frames` more.
    fn record(&mut self, frames: u64) {
        let mut staff = self.sign_in("staff");
        let numbers = CAMERAS.map(|(number, ..)| number);
        self.running().wait_for_cameras(&mut staff, &numbers, PATIENCE).unwrap();
        let from_us = now_us();
        let (server, running) = (&self.server, self.running.as_mut().unwrap());
        running
            .daemon
            .wait_until("frames came", PATIENCE, |_| {
                let sent = |path| server.frames_between(path, from_us, i64::MAX).map(|sent| sent.len() as u64);
                let enough = sent("/yard")? >= frames && sent("/gate")? >= frames;
                Ok(enough.then_some(()))
            })
            .unwrap();
    }

    /// The power goes: first the disk, so that nothing later gets through, then the daemon. Then there is power again.
    fn cut(&mut self, kept: Kept) -> i64 {
        let cut_us = now_us();
        self.disk.cut(kept).unwrap();
        self.running.take().unwrap().daemon.kill().unwrap();
        self.disk.restore().unwrap();
        cut_us
    }

    /// A start whose power goes after so many operations, or once it listens.
    fn cut_while_starting(&mut self, operations: u64, kept: Kept) {
        self.disk.cut_after(operations, kept).unwrap();
        let log = self.log();
        std::fs::write(&log, "").unwrap();
        let site = text(self.site.dir()).to_owned();
        let arguments = ["serve", "--site", &site, "--listen", "127.0.0.1:0"];
        let mut daemon = Daemon::start(&program().unwrap(), &arguments, &log).unwrap();
        let mut listened = false;
        wait_until("the power goes", START_LIMIT, || {
            let has_power = self.disk.counts()?.has_power;
            listened |= daemon.log()?.contains("listening");
            Ok((!has_power || listened).then_some(()))
        })
        .unwrap();
        println!("power went while starting, after {operations} operations; it listened: {listened}");
        self.disk.cut(kept).unwrap();
        daemon.kill().unwrap();
        self.disk.restore().unwrap();
    }

    fn verify(&self) -> Value {
        let told = self.site.run("verify", &["--deep", "--json"]).unwrap();
        let report: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
        assert!(told.status.success() && report["sound"] == true, "{report}");
        report
    }

    /// Holds one life against what the cameras sent, and the lives before against what was read of them.
    fn read_life(&mut self, from_us: i64, cut_us: i64) {
        let out = self.logs.path().join(format!("read-{}", self.lives));
        let told = read_volume(&self.site, &self.site.recovery_key, &out);
        for ((number, path, _), footage) in CAMERAS.into_iter().zip(&self.pictures_of_file) {
            let segments = segments_between(&told, number, from_us, cut_us);
            assert!(segments.iter().all(|segment| segment.state == "sealed"), "{segments:?}");
            let frames = self.server.frames_between(path, from_us, cut_us + SECOND_US).unwrap();
            let end_us = assert_sent(&segments, &frames, footage);
            let last = segments.last().unwrap();
            assert!((end_us - last.end_us).abs() < JITTER_US, "{path}: {end_us} µs, the record says {}", last.end_us);
            println!("{path}: {} segments, {} ms lost", segments.len(), (cut_us - end_us) / 1000);
            assert!(end_us > cut_us - LOST_BY_FORCE_US, "{path}: {} µs are lost", cut_us - end_us);
        }
        self.compare(&told);
    }

    /// Holds what is read now against what was read before.
    fn compare(&mut self, told: &Value) {
        assert_eq!(told["faults"], json!([]), "{told}");
        let mut read = BTreeMap::new();
        for row in told["segments"].as_array().unwrap() {
            let bytes = std::fs::read(row["file"].as_str().unwrap()).unwrap();
            let digest = cctv_custodian::crypto::sha256(&bytes).to_string();
            read.insert(row["segment"].as_str().unwrap().to_owned(), digest);
        }
        for (name, digest) in &self.read_before {
            assert_eq!(read.get(name), Some(digest), "{name} was read before, and now it is other");
        }
        self.read_before = read;
    }
}

/// What a person was told before the cut, and asks for again after it.
#[derive(Default)]
struct Promised {
    span: Option<AskedSpan>,
    request: Value,
    grant: Value,
}

#[test]
fn power_cuts_lose_no_committed_frame_and_no_answer() {
    lives(FileSystem::Ext4, 4);
}

#[test]
fn power_cuts_on_xfs_lose_no_committed_frame_and_no_answer() {
    lives(FileSystem::Xfs, 2);
}

fn lives(file_system: FileSystem, count: u32) {
    let mut clinic = Clinic::new(file_system);
    let mut promised = Promised::default();
    for life in 0..count {
        let from_us = now_us();
        clinic.serve();
        let frames = clinic.dice.between(75, 110);
        clinic.record(frames);
        act(&mut clinic, &mut promised, life);
        let kept = if life % 2 == 0 { Kept::Nothing } else { half(&mut clinic.dice) };
        println!("life {life}: {frames} frames, then {kept:?}");
        let cut_us = clinic.cut(kept);
        if life > 0 {
            let (operations, kept) = (clinic.dice.between(0, 40), half(&mut clinic.dice));
            clinic.cut_while_starting(operations, kept);
        }
        clinic.serve();
        clinic.verify();
        is_kept(&mut clinic, &promised, life);
        clinic.stop();
        clinic.verify();
        clinic.read_life(from_us, cut_us);
    }
}

#[test]
fn a_cut_at_any_point_of_a_start_loses_nothing_more() {
    let mut clinic = Clinic::new(FileSystem::Ext4);
    let from_us = now_us();
    clinic.serve();
    clinic.record(75);
    let kept = half(&mut clinic.dice);
    let cut_us = clinic.cut(kept);
    // What comes is the start's alone.
    for (number, ..) in CAMERAS {
        clinic.site.remove_camera(number).unwrap();
    }
    clinic.disk.settle().unwrap();
    clinic.disk.unmount().unwrap();
    let copy = clinic.logs.path().join("cut.img");
    clinic.disk.keep_copy(&copy).unwrap();

    clinic.disk.rewind(&copy).unwrap();
    let operations = |clinic: &mut Clinic| clinic.disk.counts().map(|counts| counts.writes + counts.flushes).unwrap();
    let before = operations(&mut clinic);
    clinic.serve();
    let all = operations(&mut clinic) - before;
    clinic.stop();
    clinic.verify();
    clinic.read_life(from_us, cut_us);
    for number in 0..STARTS_CUT {
        clinic.disk.rewind(&copy).unwrap();
        // One in each part of the way.
        let operations = clinic.dice.between(all * number / STARTS_CUT, all * (number + 1) / STARTS_CUT);
        let kept = if number % 2 == 0 { Kept::Nothing } else { half(&mut clinic.dice) };
        println!("start {number}: cut after {operations} of {all}, {kept:?}");
        clinic.cut_while_starting(operations, kept);
        clinic.serve();
        clinic.stop();
        clinic.verify();
        let out = clinic.logs.path().join(format!("start-{number}"));
        let told = read_volume(&clinic.site, &clinic.site.recovery_key, &out);
        clinic.compare(&told);
    }
}

/// What is answered right before the cut of each life.
fn act(clinic: &mut Clinic, promised: &mut Promised, life: u32) {
    match life {
        0 => {
            let frames = clinic.server.frames("/yard").unwrap();
            let span = choose_span(&[&frames], frames[0].at_us + 3 * SECOND_US / 2, 2 * SECOND_US).unwrap();
            let committed_us = span.to_us + i64::try_from(COMMITTED.as_micros()).unwrap();
            wait_until("it is committed", PATIENCE, || Ok((now_us() > committed_us).then_some(()))).unwrap();
            promised.span = Some(span);
            let told =
                clinic.sign_in("staff").ask(&[YARD], span, "Hong Gildong").unwrap().expect_status(201).unwrap().json;
            assert_eq!((&told["state"], &told["held"]), (&json!("submitted"), &json!(true)), "{told}");
            promised.request = told["number"].clone();
        }
        1 => {
            let (mut officer, viewer) = (clinic.sign_in("officer"), clinic.sign_in("viewer"));
            clinic.sign_in("staff").identify(&promised.request).unwrap().expect_status(200).unwrap();
            let told = officer.approve(&promised.request, &viewer.number).unwrap().expect_status(200).unwrap().json;
            promised.grant = told["grant"].clone();
        }
        3 => {
            clinic.sign_in("officer").close(&promised.request).unwrap().expect_status(200).unwrap();
        }
        _ => {}
    }
}

/// What was answered is so after the cut.
fn is_kept(clinic: &mut Clinic, promised: &Promised, life: u32) {
    let (mut staff, mut viewer) = (clinic.sign_in("staff"), clinic.sign_in("viewer"));
    let told = staff.api.get(&format!("/v1/requests/{}", promised.request)).unwrap().expect_status(200).unwrap().json;
    let (state, held) = (["submitted", "approved", "approved", "closed"][life as usize], life < 3);
    assert_eq!((&told["state"], &told["held"]), (&json!(state), &json!(held)), "{told}");
    let (_, status) = clinic.site.status().unwrap();
    assert_eq!((&status["holds"], &status["ledger_writable"]), (&json!(usize::from(held)), &json!(true)), "{status}");
    let opened = opened_by_the_viewer(clinic);
    match life {
        0 => assert_eq!(opened, 0),
        1 | 2 => {
            assert!(opened > 0);
            let span = promised.span.unwrap();
            let due = frames_to_see(&clinic.server.frames("/yard").unwrap(), span).unwrap();
            let seen = pictures(&viewer, &promised.grant, YARD).unwrap();
            let of_file = |n: u64| clinic.pictures_of_file[0][usize::try_from(n).unwrap()].clone();
            let due: Vec<String> = due.iter().map(|frame| of_file(frame.file_frame)).collect();
            assert!(seen == due, "{} pictures instead of {}", seen.len(), due.len());
        }
        _ => {
            let told = viewer.api.get(&Person::playlist(&promised.grant, YARD)).unwrap();
            assert_eq!((told.status, slug(&told.json)), (403, "no-grant"), "{}", told.text());
            assert_eq!(opened, 0, "keys of a closed request are still there");
        }
    }
}

/// How many segments the viewer's password opens, by the second reader: without the daemon, from the files alone.
fn opened_by_the_viewer(clinic: &Clinic) -> usize {
    let (state, volume) = (clinic.site.dir().join("state"), clinic.site.volume());
    let password = &clinic.site.account("viewer").unwrap().password;
    let told = read(&["person", text(&state), "viewer", "--volume", text(&volume)], password).1;
    let grants = told["grants"].as_array().unwrap().clone();
    grants.iter().map(|grant| grant["opened"].as_array().unwrap().len()).sum()
}

#[test]
fn a_power_cut_right_after_init_leaves_the_site_that_was_told_of() {
    let mut dice = dice();
    for kept in [Kept::Nothing, half(&mut dice)] {
        let mut disk = CachedDisk::new(SERVER, FileSystem::Ext4, 200).unwrap();
        let site = Site::init(&program().unwrap(), &disk.mount_point().join("site"), &[]).unwrap();
        // The recovery key is on somebody's paper by now.
        disk.cut(kept).unwrap();
        disk.restore().unwrap();
        let logs = tempfile::tempdir().unwrap();
        let mut running = site.serve(&logs.path().join("log"), &[], &[]).unwrap();
        for (name, _) in PEOPLE {
            running.sign_in(&site, name).unwrap();
        }
        running.stop().unwrap();
        let out = logs.path().join("read");
        let told = read_volume(&site, &site.recovery_key, &out);
        assert_eq!(told["faults"], json!([]), "{kept:?}: {told}");
        let verified = site.run("verify", &["--deep"]).unwrap();
        assert!(verified.status.success(), "{kept:?}: {verified:?}");
    }
}
