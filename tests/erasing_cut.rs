//! Power cuts while footage is being destroyed: what is due goes all the same, what is held stays, and the receipts are
//! there. The daemon runs in this process, so that a month takes a moment; once its disk has no power nothing of what
//! it still does can reach it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use anyhow::Context;
use cctv_custodian::clock::ManualClock;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use support::cached_disk::{CachedDisk, Dice, Kept, serve_if_asked};
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::in_process::InProcess;
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::FileSystem;
use support::raw_search::search_sectors;
use support::scene::PATIENCE;
use support::site::{CameraFile, Site, random_text};
use support::spans::AskedSpan;
use support::stored::{files, segments};

const SERVER: &str = "a_cut_while_erasing_keeps_no_footage_and_loses_none_that_is_held";
/// Repeats a run: `ERASING_SEED=… cargo test --test erasing_cut`.
const SEED_VARIABLE: &str = "ERASING_SEED";
const CUTS: u64 = 6;
const MONTH: Duration = Duration::from_secs(31 * 86_400);
const SHOWN: u16 = 1;
const HELD: u16 = 2;

/// What was stored before anything fell due: name → camera and used bytes.
type Copies = BTreeMap<String, (u16, Vec<u8>)>;

struct Clinic {
    disk: CachedDisk,
    site: Site,
    copies: Copies,
}

/// A site that has recorded some seconds of two cameras, one of them held, and was stopped in order.
fn recorded() -> Clinic {
    let disk = CachedDisk::new(SERVER, FileSystem::Ext4, 300).unwrap();
    let server = RtspServer::start(vec![Mount::new("/shown", Video::Yard), Mount::new("/held", Video::Yard)]).unwrap();
    let site = Site::init(&program().unwrap(), &disk.mount_point().join("site"), &[]).unwrap();
    site.save_camera(&CameraFile::new(SHOWN, "lobby-east-wing", &server.url("/shown"))).unwrap();
    site.save_camera(&CameraFile::new(HELD, "lobby-west-wing", &server.url("/held"))).unwrap();
    let daemon = InProcess::start(&site, &ManualClock::flowing());
    let mut staff = daemon.sign_in(&site, "staff");
    let states = |staff: &mut support::site::Person| {
        let told = staff.api.get("/v1/cameras")?.expect_status(200)?.json;
        anyhow::Ok(told["cameras"].as_array().cloned().unwrap_or_default())
    };
    wait_until("both cameras record", PATIENCE, || {
        let rows = states(&mut staff)?;
        Ok((rows.len() == 2 && rows.iter().all(|row| row["state"] == "recording")).then_some(()))
    })
    .unwrap();
    let from_us = daemon.wall_us() + 500_000;
    pass(Duration::from_secs(7));
    let span = AskedSpan { from_us, to_us: from_us + 2_000_000 };
    staff.ask(&[HELD], span, "Hong Gildong").unwrap().expect_status(201).unwrap();
    site.remove_camera(SHOWN).unwrap();
    site.remove_camera(HELD).unwrap();
    wait_until("the cameras are gone", PATIENCE, || Ok(states(&mut staff)?.is_empty().then_some(()))).unwrap();
    daemon.end().unwrap();
    let found = segments(&site.volume()).unwrap();
    let copies: Copies =
        found.into_iter().map(|one| (one.name, (one.camera, used(std::fs::read(one.path).unwrap())))).collect();
    assert!(
        [SHOWN, HELD].iter().all(|camera| copies.values().any(|(of, bytes)| of == camera && bytes.len() > 100_000))
    );
    Clinic { disk, site, copies }
}

/// A segment's bytes without the blank rest of its allocation.
fn used(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
    bytes
}

impl Clinic {
    fn of(&self, camera: u16) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.copies.iter().filter(move |(_, (of, _))| *of == camera).map(|(name, (_, bytes))| (name, bytes))
    }

    fn is_all_gone(&self) -> anyhow::Result<bool> {
        let there = files(&self.site.volume())?;
        Ok(self.of(SHOWN).all(|(name, _)| !there.contains_key(name)))
    }

    fn has_receipt(&self) -> anyhow::Result<bool> {
        let newest = self.site.ledger_files()?.pop().context("no ledger")?;
        Ok(std::fs::read_to_string(newest)?.contains("footage-destroyed"))
    }

    /// Shares of a camera's sectors that are found on the raw disk, as it is without power.
    fn found(&self, camera: u16) -> (u64, u64) {
        let needles: Vec<Vec<u8>> = self.of(camera).map(|(_, bytes)| bytes.clone()).collect();
        let found = search_sectors(&self.disk.durable_path(), &needles).unwrap();
        (found.found, found.needle_sectors)
    }

    /// A month passes; all that is due goes, or the power does after so many operations. Tells how many there were.
    fn erase(&mut self, cut: Option<(u64, Kept)>) -> u64 {
        let daemon = InProcess::start(&self.site, &ManualClock::flowing());
        let operations = |disk: &mut CachedDisk| disk.counts().map(|counts| counts.writes + counts.flushes);
        let before = operations(&mut self.disk).unwrap();
        if let Some((after, kept)) = cut {
            self.disk.cut_after(after, kept).unwrap();
        }
        daemon.hands.advance(MONTH);
        wait_until("what is due is gone, or the power is", PATIENCE, || {
            let is_done = match self.disk.counts()?.has_power {
                false => true,
                // It may go while this looks.
                true => self.is_all_gone().unwrap_or(false) && self.has_receipt().unwrap_or(false),
            };
            Ok(is_done.then_some(()))
        })
        .unwrap();
        let done = operations(&mut self.disk).unwrap() - before;
        if cut.is_none() {
            assert!(receipts_of(&daemon, &self.site) > 0);
        }
        if let Some((_, kept)) = cut {
            self.disk.cut(kept).unwrap();
        }
        let ended = daemon.end();
        assert!(cut.is_some() || ended.is_ok(), "{ended:?}");
        done
    }

    fn assert_ended_well(&self, what: &str) {
        self.disk.settle().unwrap();
        assert_eq!(self.found(SHOWN).0, 0, "{what}: on the raw disk");
        let (found, all) = self.found(HELD);
        assert_eq!(found, all, "{what}: what is held");
        let there = files(&self.site.volume()).unwrap();
        for (name, _) in self.of(HELD) {
            let place = there.get(name).map(|path| path.display().to_string()).unwrap_or_default();
            assert!(place.contains("/held/"), "{what}: {name} is held, and stands in {place:?}");
        }
        let told = self.site.run("verify", &["--deep", "--json"]).unwrap();
        let report: Value = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}"));
        assert_eq!(report["sound"], true, "{what}: {report}");
    }
}

/// How many receipts there are, all of the camera that was not held.
fn receipts_of(daemon: &InProcess, site: &Site) -> usize {
    let mut officer = daemon.sign_in(site, "officer");
    let told = officer.api.get("/v1/destructions").unwrap().expect_status(200).unwrap().json;
    let rows = told["destructions"].as_array().cloned().unwrap();
    assert!(rows.iter().all(|row| row["act"]["camera"] == SHOWN), "{told}");
    rows.iter().filter(|row| row["act"]["trigger"] == "expiry" && row["act"]["overwrite"] == "proven").count()
}

#[test]
fn a_cut_while_erasing_keeps_no_footage_and_loses_none_that_is_held() {
    if serve_if_asked() {
        return;
    }
    let seed = std::env::var(SEED_VARIABLE)
        .unwrap_or_else(|_| u32::from_str_radix(&random_text(4).unwrap(), 16).unwrap().to_string());
    println!("{SEED_VARIABLE}={seed}");
    let mut dice = Dice(seed.parse().unwrap());
    let mut clinic = recorded();
    let keeping = tempfile::tempdir().unwrap();
    let copy = keeping.path().join("recorded.img");
    clinic.disk.unmount().unwrap();
    clinic.disk.keep_copy(&copy).unwrap();
    let (found, all) = clinic.found(SHOWN);
    assert_eq!(found, all, "control: before its day all of it is found");

    rewind(&mut clinic, &copy);
    let operations = clinic.erase(None);
    clinic.assert_ended_well("without a cut");
    for number in 0..CUTS {
        rewind(&mut clinic, &copy);
        // One in each part of the way.
        let after = dice.between(operations * number / CUTS, operations * (number + 1) / CUTS);
        let kept = if number % 2 == 0 { Kept::Half { seed: dice.roll() } } else { Kept::Nothing };
        let what = format!("cut after {after} of {operations} operations, {kept:?}");
        println!("{what}");
        clinic.erase(Some((after, kept)));
        clinic.disk.restore().unwrap();
        clinic.erase(None);
        clinic.assert_ended_well(&what);
    }
}

fn rewind(clinic: &mut Clinic, copy: &Path) {
    clinic.disk.rewind(copy).unwrap();
}
