//! `custodian officers reinstate`: from a site whose officers both lost their passwords to an approval, with the real program.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use anyhow::Result;
use serde_json::{Value, json};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::commands::{Ended, run};
use support::daemon::program;
use support::peers::{Mount, Video};
use support::scene::{Scene, pictures, slug};
use support::site::{CameraFile, Site};

const YARD: u16 = 1;
const SOON: Duration = Duration::from_secs(60);
const CHOSEN: &str = "tiny blue trains at dawn";

fn key_file(dir: &Path, text: &str) -> PathBuf {
    use std::io::Write;
    let path = dir.join("recovery");
    std::fs::remove_file(&path).ok();
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

fn reinstate(site: &Site, key: &Path, name: &str, although: Option<&str>) -> Result<Ended> {
    let mut call = Command::new(program()?);
    call.args(["officers", "reinstate", "--site"]).arg(site.dir()).arg("--recovery").arg(key);
    call.args(["--name", name, "--reason", "the password is lost"]);
    if let Some(although) = although {
        call.args(["--although-another-officer-stands", although]);
    }
    run(&mut call, "", SOON)
}

fn code_in(told: &Ended) -> String {
    let code = told.stdout.lines().find_map(|line| line.strip_prefix("one-time code: "));
    code.unwrap_or_else(|| panic!("no code: {} {}", told.stdout, told.stderr)).to_owned()
}

fn choose(scene: &Scene, name: &str, code: &str) -> u16 {
    let chosen = json!({"name": name, "code": code, "password": CHOSEN});
    scene.running.browser().post("/v1/session/first", &chosen).unwrap().status
}

#[test]
fn officers_who_both_lost_their_passwords_come_back_until_an_approval_succeeds() {
    let mounts = vec![Mount::new("/yard", Video::Yard)];
    let mut scene = Scene::start(mounts, |server| vec![CameraFile::new(YARD, "yard", &server.url("/yard"))]).unwrap();
    scene.wait_for_cameras(&[YARD]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    let number = staff.ask(&[YARD], span, "Hong Gildong").unwrap().expect_status(201).unwrap().json["number"].clone();
    staff.identify(&number).unwrap().expect_status(200).unwrap();
    let key = key_file(scene.dir.path(), &scene.site.recovery_key);

    // The ledger knows a deputy, and nothing of what people forget.
    let told = reinstate(&scene.site, &key, "officer", None).unwrap();
    assert!(!told.status.success() && told.stderr.contains("--although-another-officer-stands"), "{}", told.stderr);
    let wrong = key_file(scene.dir.path(), &"ab".repeat(32));
    let told = reinstate(&scene.site, &wrong, "officer", Some("locked out too")).unwrap();
    assert!(!told.status.success() && told.stderr.contains("not the recovery key"), "{}", told.stderr);
    scene.sign_in("officer").unwrap();

    // Beside the daemon, which records on; then with it stopped; then after it was killed.
    let key = key_file(scene.dir.path(), &scene.site.recovery_key);
    let although = Some("the deputy is locked out too");
    let first = reinstate(&scene.site, &key, "officer", although).unwrap().succeeded().unwrap();
    let lost = code_in(&first);
    assert!(scene.sign_in("officer").is_err(), "the old password is destroyed");
    scene.running.daemon.kill().unwrap();
    let again = reinstate(&scene.site, &key, "officer", although).unwrap().succeeded().unwrap();
    let code = code_in(&again);
    assert_ne!(lost, code);
    scene.serve_again().unwrap();
    assert_eq!(choose(&scene, "officer", &lost), 401);
    assert_eq!(choose(&scene, "officer", &code), 204);
    scene.running.stop().unwrap();
    let sealed = reinstate(&scene.site, &key, "officer", although).unwrap().succeeded().unwrap();
    assert!(sealed.stdout.contains("is an officer: 1 day keys"), "{}", sealed.stdout);
    scene.serve_again().unwrap();

    let mut officer = scene.running.browser();
    officer.post("/v1/session", &json!({"name": "officer", "password": CHOSEN})).unwrap().expect_status(200).unwrap();
    let viewer = scene.sign_in("viewer").unwrap();
    let decision = json!({"decision": "approve", "viewer": viewer.number, "password": CHOSEN});
    let told = officer.post(&format!("/v1/requests/{number}/decision"), &decision).unwrap();
    let grant = told.expect_status(200).unwrap().json["grant"].clone();
    assert!(!pictures(&viewer, &grant, YARD).unwrap().is_empty());
    the_deputy_comes_back(&scene, &mut officer);
    on_record(&mut scene, &mut officer);
}

/// By the officer, as always: the recovery key can go back to its keeper.
fn the_deputy_comes_back(scene: &Scene, officer: &mut support::api::Api) {
    let accounts = officer.get("/v1/accounts").unwrap().expect_status(200).unwrap().json;
    let deputy = accounts["accounts"].as_array().unwrap().iter().find(|one| one["name"] == "deputy").unwrap().clone();
    let place = format!("/v1/accounts/{}", deputy["account"]);
    let reset = json!({"reason": "locked out", "password": CHOSEN});
    let told = officer.post(&format!("{place}/reset"), &reset).unwrap().expect_status(200).unwrap().json;
    assert_eq!(choose(scene, "deputy", told["code"].as_str().unwrap()), 204);
    let approval = json!({"password": CHOSEN});
    officer.post(&format!("{place}/approval"), &approval).unwrap().expect_status(200).unwrap();
    let mut deputy = scene.running.browser();
    deputy.post("/v1/session", &json!({"name": "deputy", "password": CHOSEN})).unwrap().expect_status(200).unwrap();
}

/// Each step is a row by the console, with its reason; and everything is sound.
fn on_record(scene: &mut Scene, officer: &mut support::api::Api) {
    let told = officer.get("/v1/ledger?after=0&limit=1000").unwrap().expect_status(200).unwrap().json;
    let rows = told["rows"].as_array().unwrap();
    let of_console: Vec<&Value> = rows.iter().filter(|row| row["actor"]["who"] == "console").collect();
    let kinds: Vec<&str> = of_console.iter().filter_map(|row| row["act"]["kind"].as_str()).collect();
    let way_back = ["password-reset", "keys-forgotten", "password-reset", "rights-granted", "keys-sealed"];
    let without_desk: Vec<&str> = kinds.into_iter().filter(|kind| *kind != "desk-rotated").collect();
    assert!(without_desk.ends_with(&way_back), "{without_desk:?}");
    let reset = of_console.iter().find(|row| row["act"]["kind"] == "password-reset").unwrap();
    let reason = reset["act"]["reason"].as_str().unwrap();
    assert!(reason.contains("the password is lost") && reason.contains("locked out too"), "{reason}");
    let refused = officer.get("/v1/grants/1/cameras/1/playlist.m3u8").unwrap();
    assert_eq!((refused.status, slug(&refused.json)), (403, "forbidden"), "an officer still watches nothing");
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{} {}", told.stdout, told.stderr);
    assert_eq!(scene.site.verify_ledger(&scene.site.ledger_files().unwrap()).unwrap()["ok"], json!(true));
}

#[test]
fn a_site_left_with_one_officer_gets_another_with_two_shares() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init_in_shares(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    let shares: Vec<&str> =
        site.init_output.lines().map(str::trim).filter(|line| line.starts_with("custodian1")).collect();
    assert_eq!(shares.len(), 3, "{}", site.init_output);
    let mut running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    let mut officer = running.sign_in(&site, "officer").unwrap();
    let password = officer.account.password.clone();
    let told = officer.api.get("/v1/accounts").unwrap().expect_status(200).unwrap().json;
    let deputy = told["accounts"].as_array().unwrap().iter().find(|one| one["name"] == "deputy").unwrap().clone();
    let removal = json!({"reason": "left", "password": password});
    let path = format!("/v1/accounts/{}/removal", deputy["account"]);
    officer.api.post(&path, &removal).unwrap().expect_status(200).unwrap();
    let alarms = site.status().unwrap().1["alarms"].to_string();
    assert!(alarms.contains("there is no deputy officer"), "{alarms}");

    // One share alone tells nothing.
    let one = key_file(dir.path(), shares[0]);
    let told = reinstate(&site, &one, "third", None).unwrap();
    assert!(!told.status.success() && told.stderr.contains("one alone tells nothing"), "{}", told.stderr);
    let key = key_file(dir.path(), &format!("{}\n{}\n", shares[0], shares[2]));
    let code = code_in(&reinstate(&site, &key, "third", None).unwrap().succeeded().unwrap());
    let chosen = json!({"name": "third", "code": code, "password": CHOSEN});
    running.browser().post("/v1/session/first", &chosen).unwrap().expect_status(204).unwrap();
    reinstate(&site, &key, "third", None).unwrap().succeeded().unwrap();
    let mut third = running.browser();
    third.post("/v1/session", &json!({"name": "third", "password": CHOSEN})).unwrap().expect_status(200).unwrap();
    let alarms = site.status().unwrap().1["alarms"].to_string();
    assert!(!alarms.contains("deputy"), "{alarms}");
    let told = reinstate(&site, &key, "fourth", None).unwrap();
    assert!(!told.status.success() && told.stderr.contains("can do this on the page"), "{}", told.stderr);
    running.stop().unwrap();
}
