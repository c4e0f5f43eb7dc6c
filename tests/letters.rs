//! A request from its arrival to its letters, and to the end of what it holds of persons, on a raw disk. The daemon runs in
//! this process, whole; only its clock is in the test's hands, so that three years take a moment. Templates are edited in
//! between, as a site does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::clock::ManualClock;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use support::commands::{pass, wait_until};
use support::daemon::program;
use support::in_process::InProcess;
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::{FileSystem, LoopVolume, require_root};
use support::site::{CameraFile, Person, Site};
use support::spans::AskedSpan;

const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE: Duration = Duration::from_secs(40);
const NAME: &str = "Hong Gildong";
const PROOF: &str = "registered letter 4711, taken by Hong Gilsun";

fn print(person: &mut Person, request: &Value, letter: &str, language: &str) -> Value {
    let body = json!({"letter": letter, "language": language});
    let answer = person.api.post(&format!("/v1/requests/{request}/letters"), &body).unwrap();
    answer.expect_status(201).unwrap().json.clone()
}

/// What stands in the files that are sealed to the desk, without the directory's own.
fn sealed(site: &Site) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(site.dir().join("state/requests")).unwrap();
    files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
}

fn rows(daemon: &InProcess, site: &Site, kind: &str) -> Vec<Value> {
    let mut officer = daemon.sign_in(site, "officer");
    let told = officer.api.get("/v1/ledger?limit=1000").unwrap().expect_status(200).unwrap().json.clone();
    let all = told["rows"].as_array().cloned().unwrap();
    all.into_iter().filter(|row| row["act"]["kind"] == kind).collect()
}

#[test]
fn letters_are_printed_edited_delivered_and_their_persons_end() {
    require_root().unwrap();
    let disk = LoopVolume::new(FileSystem::Ext4, 300).unwrap();
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let site = Site::init(&program().unwrap(), &disk.mount_point().join("site"), &[]).unwrap();
    site.save_camera(&CameraFile::new(1, "lobby", &server.url("/yard"))).unwrap();
    let daemon = InProcess::start(&site, &ManualClock::flowing());
    let mut staff = daemon.sign_in(&site, "staff");
    let mut since_us = 0;
    wait_until("the camera records", PATIENCE, || {
        let cameras = staff.api.get("/v1/cameras")?.expect_status(200)?.json.clone();
        let records = cameras["cameras"][0]["state"] == "recording";
        Ok(records.then(|| since_us = daemon.wall_us()))
    })
    .unwrap();
    pass(Duration::from_secs(7));
    let span = AskedSpan { from_us: since_us + 500_000, to_us: since_us + 3_500_000 };

    // Entered; a receipt in both languages; refused; a refusal in both.
    let asked = staff.ask(&[1], span, NAME).unwrap().expect_status(201).unwrap().json.clone();
    let request = asked["number"].clone();
    let korean = print(&mut staff, &request, "receipt", "ko");
    let english = print(&mut staff, &request, "receipt", "en");
    for letter in [&korean, &english] {
        let html = letter["html"].as_str().unwrap();
        assert!(html.contains(NAME) && html.contains("custodian checkpoint"), "{html}");
        assert!(html.contains("1 (lobby)"), "the camera's name: {html}");
    }
    let none = staff
        .api
        .post(&format!("/v1/requests/{request}/letters"), &json!({"letter": "refusal", "language": "ko"}))
        .unwrap();
    none.expect_status(409).unwrap();
    staff.identify(&request).unwrap().expect_status(200).unwrap();
    let mut officer = daemon.sign_in(&site, "officer");
    let refusal = json!({
        "decision": "refuse", "ground": "other-just-cause", "reason": "<i>investigation</i> under way",
        "password": officer.account.password,
    });
    officer.api.post(&format!("/v1/requests/{request}/decision"), &refusal).unwrap().expect_status(200).unwrap();
    let plain = print(&mut officer, &request, "refusal", "en");
    let html = plain["html"].as_str().unwrap();
    assert!(
        html.contains("&lt;i&gt;investigation&lt;") && !html.contains("<i>") && html.contains("How to object"),
        "{html}"
    );
    assert!(print(&mut staff, &request, "refusal", "ko")["html"].as_str().unwrap().contains("이의신청"));

    // The site edits a template, breaks it, and mends it; nothing is restarted.
    let written = site.run("letters", &["--write"]).unwrap();
    assert!(
        written.status.success() && written.stdout.contains("12 templates of the site, 0 of them broken"),
        "{written:?}"
    );
    let template = site.dir().join("letters/refusal.en.html");
    let text = std::fs::read_to_string(&template).unwrap();
    std::fs::write(&template, text.replace("Refusal of a request", "Our own words for a refusal of a request"))
        .unwrap();
    let own = print(&mut staff, &request, "refusal", "en");
    assert!(own["html"].as_str().unwrap().contains("Our own words") && own["own_template"] == true, "{own}");
    std::fs::write(&template, text.replace("{{ decision.reason }}", "{{ decision.raeson }}")).unwrap();
    let broken = print(&mut staff, &request, "refusal", "en");
    let line = 1 + text.lines().position(|line| line.contains("{{ decision.reason }}")).unwrap();
    let told = broken["broken_template"].as_str().unwrap();
    assert!(told.contains(&format!("refusal.en.html:{line}: ")) && told.contains("mend it"), "{told}");
    assert!(broken["html"].as_str().unwrap().contains("How to object") && broken["own_template"] == false);
    let checked = site.run("letters", &[]).unwrap();
    assert!(!checked.status.success() && checked.stdout.contains("refusal.en.html"), "{checked:?}");
    std::fs::write(&template, &text).unwrap();
    assert!(site.run("letters", &[]).unwrap().status.success());
    let templates: Vec<Value> =
        rows(&daemon, &site, "letter-produced").iter().map(|row| row["act"]["template"].clone()).collect();
    assert_eq!(templates.len(), 6);
    assert!(templates[4].is_string() && templates[5].is_null(), "a changed template shows: {templates:?}");

    // Delivered, with a proof that names somebody.
    let delivery = json!({"way": "post", "proof": PROOF});
    let place = format!("/v1/requests/{request}/letters/{}/delivery", plain["number"]);
    let told = staff.api.post(&place, &delivery).unwrap().expect_status(200).unwrap().json.clone();
    let delivered =
        told["letters"].as_array().unwrap().iter().find(|one| one["number"] == plain["number"]).unwrap().clone();
    assert_eq!(delivered["delivered"]["proof"], PROOF);
    let found = staff
        .api
        .post("/v1/requests/search", &json!({"name": "gildong"}))
        .unwrap()
        .expect_status(200)
        .unwrap()
        .json
        .clone();
    assert_eq!(found["requests"][0]["number"], request);
    staff.close(&request).unwrap().expect_status(200).unwrap();
    site.remove_camera(1).unwrap();

    // Nothing of it stands on the disk in clear, and what is sealed does.
    let copies = sealed(&site);
    assert_eq!(copies.len(), 3, "the request's own, the reason of its refusal, and the proof");
    let before = disk.search_sectors(&copies).unwrap();
    assert_eq!((before.found, before.needle_sectors > 0), (before.needle_sectors, true), "control");
    for secret in [NAME, PROOF, "Gilsun", "<i>investigation"] {
        assert_eq!(disk.search_bytes(secret.as_bytes()).unwrap(), 0, "{secret}");
    }

    // The objection period ends, the hold lapses; three years later all of it goes.
    for _ in 0..32 {
        daemon.hands.advance(DAY);
        pass(Duration::from_millis(60));
    }
    wait_until("the hold has lapsed", PATIENCE, || {
        Ok((!rows(&daemon, &site, "hold-released").is_empty()).then_some(()))
    })
    .unwrap();
    daemon.hands.advance(DAY * 1_060);
    pass(Duration::from_secs(3));
    assert_eq!(sealed(&site).len(), 3, "a month too early");
    daemon.hands.advance(DAY * 40);
    wait_until("the persons are gone", PATIENCE, || Ok(sealed(&site).is_empty().then_some(()))).unwrap();
    let receipts = rows(&daemon, &site, "paper-erased");
    assert_eq!(receipts.len(), 1);
    assert_eq!((&receipts[0]["act"]["overwrite"], &receipts[0]["act"]["files"]), (&json!("proven"), &json!(3)));
    assert_eq!(disk.search_sectors(&copies).unwrap().found, 0, "on the raw disk");

    let mut staff = daemon.sign_in(&site, "staff");
    let seen = staff.api.get(&format!("/v1/requests/{request}")).unwrap().expect_status(200).unwrap().json.clone();
    assert!(seen["person"].is_null() && seen["persons_erased"].is_string() && seen["state"] == "closed", "{seen}");
    let gone =
        staff.api.post(&format!("/v1/requests/{request}/letters"), &json!({"letter": "receipt", "language": "ko"}));
    gone.unwrap().expect_status(410).unwrap();
    drop(server);
    daemon.end().unwrap();
    let verified = site.run("verify", &["--deep"]).unwrap();
    assert!(verified.status.success(), "{}{}", verified.stdout, verified.stderr);
    // The letter as it was printed is enough to hold the ledger against.
    let aside = tempfile::tempdir().unwrap();
    let letter = aside.path().join("letter.html");
    std::fs::write(&letter, html).unwrap();
    let mut files = site.ledger_files().unwrap();
    let verify = |files: &[PathBuf]| {
        let mut call = Command::new(program().unwrap());
        call.args(["ledger", "verify"]).args(files).arg("--checkpoint").arg(&letter).output().unwrap()
    };
    let whole = verify(&files);
    assert!(whole.status.success(), "{whole:?}");
    // Cut short before the row that the letter vouches for.
    let line = html.split("custodian checkpoint ").nth(1).unwrap().split('<').next().unwrap();
    let sequence: usize = line.split("sequence=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let cut: String = text.split_inclusive('\n').take(sequence - 1).collect();
    assert!(cut.len() < text.len());
    let first = aside.path().join(files[0].file_name().unwrap());
    std::fs::write(&first, cut).unwrap();
    files = vec![first];
    let refused = verify(&files);
    assert!(!refused.status.success(), "{refused:?}");
}
