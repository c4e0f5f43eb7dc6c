//! Starts after something went wrong: the index lost, old or damaged, the daemon killed at any moment.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::cached_disk::Dice;
use support::commands::{pass, run, wait_until};
use support::daemon::{Daemon, program};
use support::peers::{Mount, Video};
use support::read_back::text;
use support::scene::{PATIENCE, Scene, now_us};
use support::site::{CameraFile, Person, random_text};
use support::spans::{AskedSpan, rfc_3339};

const CAMERAS: [(u16, &str, Video); 2] = [(1, "/yard", Video::Yard), (2, "/gate", Video::YardH265)];
const PATHS: [&str; 2] = ["/yard", "/gate"];
const REBUILT: &str = "the index is rebuilt from manifests and ledger";
const CURRENT: &str = "the index is current";
/// Repeats a run of kills: `KILL_SEED=… cargo test --test unclean_start`.
const SEED_VARIABLE: &str = "KILL_SEED";
const KILLS: u64 = 6;

fn clinic() -> Scene {
    let mounts = CAMERAS.map(|(_, path, video)| Mount::new(path, video)).to_vec();
    let files = |server: &support::peers::RtspServer| {
        CAMERAS.map(|(number, path, _)| CameraFile::new(number, &path[1..], &server.url(path))).to_vec()
    };
    Scene::start(mounts, files).unwrap()
}

fn record(scene: &mut Scene, length: Duration) -> AskedSpan {
    scene.wait_for_cameras(&CAMERAS.map(|(number, ..)| number)).unwrap();
    scene.record(&PATHS, length).unwrap()
}

/// What the API says of all cameras in a span.
fn answers(staff: &mut Person, span: AskedSpan) -> Vec<Value> {
    let of = |(number, ..): (u16, &str, Video)| {
        let (from, to) = (rfc_3339(span.from_us).unwrap(), rfc_3339(span.to_us).unwrap());
        let path = format!("/v1/cameras/{number}/availability?from={from}&to={to}");
        staff.api.get(&path).unwrap().expect_status(200).unwrap().json
    };
    CAMERAS.map(of).to_vec()
}

fn states(told: &Value) -> Vec<&str> {
    told["pieces"].as_array().unwrap().iter().map(|piece| piece["state"].as_str().unwrap()).collect()
}

/// The index's folder, and the seal beside it.
fn index(scene: &Scene) -> (PathBuf, PathBuf) {
    let state = scene.site.dir().join("state");
    (state.join("catalog"), state.join("catalog.seal"))
}

fn copy(from: &Path, to: &Path) {
    run(std::process::Command::new("cp").args(["-r", "-T", "--"]).args([from, to]), "", PATIENCE)
        .unwrap()
        .succeeded()
        .unwrap();
}

/// What can become of the index between a stop and a start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Harm {
    None,
    Deleted,
    Older,
    OlderUnderTheSeal,
    Flipped { eighth: usize },
    CutShort,
    Emptied,
    SealDeleted,
    Killed,
}

const HARMS: [Harm; 14] = [
    Harm::None,
    Harm::Deleted,
    Harm::Older,
    Harm::OlderUnderTheSeal,
    Harm::Flipped { eighth: 0 },
    Harm::Flipped { eighth: 1 },
    Harm::Flipped { eighth: 3 },
    Harm::Flipped { eighth: 5 },
    Harm::Flipped { eighth: 7 },
    Harm::CutShort,
    Harm::Emptied,
    Harm::SealDeleted,
    Harm::Killed,
    Harm::None,
];

impl Harm {
    fn befalls(self, (folder, seal): &(PathBuf, PathBuf), older: &Path) {
        let db = folder.join("db");
        let old = |name: &str, to: &Path| copy(&older.join(name), to);
        match self {
            Harm::None | Harm::Killed => {}
            Harm::Deleted => std::fs::remove_dir_all(folder).unwrap(),
            Harm::Older | Harm::OlderUnderTheSeal => {
                std::fs::remove_dir_all(folder).unwrap();
                old("catalog", folder);
                if self == Harm::Older {
                    old("catalog.seal", seal);
                }
            }
            Harm::Flipped { eighth } => {
                let mut bytes = std::fs::read(&db).unwrap();
                let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
                bytes[used * eighth / 8 + 20] ^= 0x41;
                std::fs::write(&db, bytes).unwrap();
            }
            Harm::CutShort => {
                let length = std::fs::metadata(&db).unwrap().len();
                std::fs::File::options().write(true).open(&db).unwrap().set_len(length / 3).unwrap();
            }
            Harm::Emptied => std::fs::write(&db, "").unwrap(),
            Harm::SealDeleted => std::fs::remove_file(seal).unwrap(),
        }
    }
}

#[test]
fn an_index_that_is_lost_old_or_damaged_is_rebuilt_and_answers_as_before() {
    let mut scene = clinic();
    let first = record(&mut scene, Duration::from_secs(2));
    scene.running.stop().unwrap();
    let older = scene.dir.path().join("older");
    std::fs::create_dir(&older).unwrap();
    let place = index(&scene);
    for (name, from) in [("catalog", &place.0), ("catalog.seal", &place.1)] {
        copy(from, &older.join(name));
    }
    // Long enough a time to be called a gap.
    pass(Duration::from_secs(2));
    scene.serve_again().unwrap();
    let second = record(&mut scene, Duration::from_secs(2));
    let span = AskedSpan { from_us: first.from_us, to_us: second.to_us };
    // The cameras go, so that nothing is added between two questions.
    for (number, ..) in CAMERAS {
        scene.site.remove_camera(number).unwrap();
    }
    let mut staff = scene.sign_in("staff").unwrap();
    wait_until("the cameras are gone", PATIENCE, || {
        let told = staff.api.get("/v1/cameras")?.expect_status(200)?.json;
        Ok(told["cameras"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
    .unwrap();
    // Committed and recorded as sealed.
    let settled_us = now_us() + 5_000_000;
    wait_until("all is sealed", PATIENCE, || Ok((now_us() > settled_us).then_some(()))).unwrap();
    let before = answers(&mut staff, span);
    for told in &before {
        assert_eq!(states(told), ["footage", "gap", "footage"], "{told}");
    }

    for harm in HARMS {
        if harm == Harm::Killed {
            scene.running.daemon.kill().unwrap();
        } else {
            scene.running.stop().unwrap();
        }
        harm.befalls(&place, &older);
        scene.serve_again().unwrap();
        // At once, whether it is rebuilt by now or not.
        let mut staff = scene.sign_in("staff").unwrap();
        assert_eq!(answers(&mut staff, span), before, "{harm:?}");
        let log = std::fs::read_to_string(scene.log_path()).unwrap();
        assert_eq!(log.contains(REBUILT), harm != Harm::None, "{harm:?}: {log}");
        if harm != Harm::None {
            scene.running.daemon.wait_for_line(CURRENT, PATIENCE).unwrap();
            assert_eq!(answers(&mut staff, span), before, "{harm:?}, from the index again");
        }
    }
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{} {}", told.stdout, told.stderr);
}

#[test]
fn kills_at_any_moment_leave_a_sound_site_that_goes_on() {
    let seed = std::env::var(SEED_VARIABLE)
        .unwrap_or_else(|_| u32::from_str_radix(&random_text(4).unwrap(), 16).unwrap().to_string());
    println!("{SEED_VARIABLE}={seed}");
    let mut dice = Dice(seed.parse().unwrap());
    let mut scene = clinic();
    let span = record(&mut scene, Duration::from_secs(2));
    let mut staff = scene.sign_in("staff").unwrap();
    let number = staff.ask(&[1], span, "Hong Gildong").unwrap().expect_status(201).unwrap().json["number"].clone();
    scene.running.daemon.kill().unwrap();
    let site = text(scene.site.dir()).to_owned();
    for kill in 0..KILLS {
        // While it starts, connects, records its first seconds.
        let length = Duration::from_millis(dice.between(1, 500 * (kill + 1)));
        let log = scene.dir.path().join(format!("killed-{kill}.log"));
        let arguments = ["serve", "--site", &site, "--listen", "127.0.0.1:0"];
        let mut daemon = Daemon::start(&program().unwrap(), &arguments, &log).unwrap();
        pass(length);
        assert_eq!(daemon.ended().unwrap(), None, "{}", daemon.log().unwrap());
        daemon.kill().unwrap();
        let told = scene.site.run("verify", &["--deep", "--json"]).unwrap();
        assert!(told.status.success(), "killed after {length:?}: {} {}", told.stdout, told.stderr);
    }
    scene.serve_again().unwrap();
    record(&mut scene, Duration::from_secs(1));
    let mut staff = scene.sign_in("staff").unwrap();
    let told = staff.api.get(&format!("/v1/requests/{number}")).unwrap().expect_status(200).unwrap().json;
    assert_eq!((&told["state"], &told["held"]), (&"submitted".into(), &true.into()), "{told}");
    assert_eq!(states(&answers(&mut staff, span)[0]), ["footage"]);
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep", "--json"]).unwrap();
    assert!(told.status.success(), "{} {}", told.stdout, told.stderr);
}
