//! What the daemon stored, read by somebody else: a reader in Python, written from docs/format.md alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

#[path = "stored_bytes/memory.rs"]
mod memory;
#[path = "stored_bytes/told.rs"]
mod told;

use cctv_custodian::crypto::{KeyShare, PrivateKey, Secret, StreamOpener, read_key_text};
use cctv_custodian::disk::{Access, Disk, RealDisk};
use cctv_custodian::domain::{Digest, SiteId};
use cctv_custodian::segment::{Ending, SegmentError, SegmentReader};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::commands::{repository, run};
use support::daemon::program;
use support::peers::{LoggedFrame, Mount, RtspServer, Video};
use support::probe;
use support::read_back::{
    AT_THE_ENDS_US, JITTER_US, LOST_BY_FORCE_US, READ_LIMIT, ReadSegment, assert_sent, python, read, read_volume,
    segments_of, text,
};
use support::scene::{Scene, have_approved, now_us};
use support::site::{CameraFile, Site};

const PROOF: &str = "taken by Hong Gilsun";
const HOLD_TEXT: &str = "Hong Gildong fell on the stairs";
const CAMERAS: [(u16, &str, Video); 2] = [(1, "/yard", Video::Yard), (2, "/gate", Video::YardH265)];

fn clinic() -> Scene {
    let mounts = CAMERAS.map(|(_, path, video)| Mount::new(path, video));
    let server = RtspServer::start(mounts.to_vec()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    site.cut_segments_after(10).unwrap();
    for (number, path, _) in CAMERAS {
        site.save_camera(&CameraFile::new(number, &path[1..], &server.url(path))).unwrap();
    }
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    Scene::of(running, site, server, dir)
}

fn frames_since(scene: &Scene, path: &str, from_us: i64, until_us: i64) -> Vec<LoggedFrame> {
    scene.server.frames_between(path, from_us, until_us).unwrap()
}

#[test]
fn all_that_was_committed_is_read_by_a_reader_made_from_the_page() {
    let mut scene = clinic();
    let out = scene.dir.path().join("read");
    let footage = CAMERAS.map(|(.., video)| probe::picture_digests(text(&video.file().unwrap()), &[]).unwrap());
    let numbers = CAMERAS.map(|(number, ..)| number);
    scene.wait_for_cameras(&numbers).unwrap();
    let span = scene.record(&["/yard", "/gate"], Duration::from_secs(20)).unwrap();
    let (mut staff, mut officer, viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    have_approved(&mut staff, &mut officer, &viewer, &numbers, span).unwrap();
    let review = jiff::Timestamp::from_microsecond(now_us() + 86_400_000_000).unwrap().to_string();
    let hold = json!({"reason": "incident", "text": HOLD_TEXT, "cameras": [1], "span": span.to_json().unwrap(),
        "review": review});
    officer.api.post("/v1/holds", &hold).unwrap().expect_status(201).unwrap();
    let letter = json!({"letter": "grant", "language": "ko"});
    let letter = staff.api.post("/v1/requests/1/letters", &letter).unwrap().expect_status(201).unwrap().json.clone();
    let place = format!("/v1/requests/1/letters/{}/delivery", letter["number"]);
    staff.api.post(&place, &json!({"way": "hand", "proof": PROOF})).unwrap().expect_status(200).unwrap();
    let stopped_us = now_us();
    scene.running.stop().unwrap();

    let key = scene.site.recovery_key.clone();
    let told = read_volume(&scene.site, &key, &out.join("1"));
    assert_eq!((&told["faults"], &told["destroyed"]), (&json!([]), &json!(0)));
    assert!(told["ledger"]["signatures_checked"].as_u64().unwrap() >= 1, "{}", told["ledger"]);
    for ((number, path, _), footage) in CAMERAS.into_iter().zip(&footage) {
        let segments = segments_of(&told, number, 0);
        assert!(segments.len() >= 2, "{segments:?}");
        assert!(segments.iter().all(|segment| segment.state == "sealed" && segment.has_footer), "{segments:?}");
        assert!(segments[0].previous == "none" && segments[1..].iter().all(|segment| segment.previous == "known"));
        let end_us = assert_sent(&segments, &frames_since(&scene, path, 0, i64::MAX), footage);
        assert!(end_us > stopped_us - AT_THE_ENDS_US, "{path}: {} µs are missing at the end", stopped_us - end_us);
    }
    assert!(read_volume(&scene.site, &"ab".repeat(32), &out.join("wrong"))["segments"].as_array().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(out.join("wrong")).unwrap().count(), 0, "another key opens nothing");

    what_people_open(&scene);

    // A second life, ended by force.
    let from_us = now_us();
    scene.serve_again().unwrap();
    scene.wait_for_cameras(&numbers).unwrap();
    scene.record(&["/yard", "/gate"], Duration::from_secs(10)).unwrap();
    let killed_us = now_us();
    scene.running.daemon.kill().unwrap();
    let told = read_volume(&scene.site, &key, &out.join("2"));
    assert_eq!(told["faults"], json!([]));
    let mut left = Vec::new();
    for ((number, path, _), footage) in CAMERAS.into_iter().zip(&footage) {
        let segments = segments_of(&told, number, from_us);
        let last = segments.last().unwrap();
        assert!(last.state == "open" && !last.has_footer, "{last:?}");
        assert!(segments.iter().all(|segment| segment.previous == "known"), "{segments:?}");
        let end_us = assert_sent(&segments, &frames_since(&scene, path, from_us, i64::MAX), footage);
        assert!((end_us - last.end_us).abs() < JITTER_US, "{path}: {end_us} µs, the commit says {}", last.end_us);
        assert!(end_us > killed_us - LOST_BY_FORCE_US, "{path}: {} µs are lost", killed_us - end_us);
        left.extend(segments);
    }

    // A third one finds the crash, and closes what it left where the commit ended.
    scene.serve_again().unwrap();
    scene.running.stop().unwrap();
    let told = read_volume(&scene.site, &key, &out.join("3"));
    assert_eq!(told["faults"], json!([]));
    let now: Vec<ReadSegment> = numbers.iter().flat_map(|number| segments_of(&told, *number, from_us)).collect();
    for before in left {
        let after = now.iter().find(|segment| segment.name == before.name).unwrap();
        let same = ReadSegment { state: "sealed".to_owned(), ..before };
        assert!(*after == same, "{} changed by the restart", after.name);
    }
    a_changed_ledger_is_named_alike(&scene, &out);
}

/// Each with their own password: the staff what was said at the counter, the viewer the granted segments' keys, the
/// officer the day keys.
fn what_people_open(scene: &Scene) {
    let (state, volume) = (scene.site.dir().join("state"), scene.site.volume());
    let open =
        |name: &str, password: &str| read(&["person", text(&state), name, "--volume", text(&volume)], password).1;
    let as_person = |name: &str| open(name, &scene.site.account(name).unwrap().password);
    let (staff, viewer, officer) = (as_person("staff"), as_person("viewer"), as_person("officer"));
    let persons = json!({"1": {
        "person": {"name": "Hong Gildong", "contact": "02-000-0000", "birth_date": null, "relation": null},
        "purpose": "lost property",
    }});
    assert_eq!((&staff["persons"], &staff["grants"], &staff["day_keys"]), (&persons, &json!([]), &json!(0)));
    assert_eq!((&officer["persons"], &officer["grants"], &officer["day_keys"]), (&persons, &json!([]), &json!(2)));
    assert_eq!((&viewer["persons"], &viewer["day_keys"]), (&json!({}), &json!(0)));
    assert_eq!((&staff["holds"], &viewer["holds"]), (&json!({"1": HOLD_TEXT}), &json!({})));
    let proofs: Vec<&serde_json::Value> = staff["proofs"].as_object().unwrap().values().collect();
    assert_eq!((proofs, &viewer["proofs"]), (vec![&json!(PROOF)], &json!({})));
    let grant = &viewer["grants"][0];
    let opened = grant["opened"].as_array().unwrap();
    assert!(grant["as_decided"] == true && opened.len() >= 4 && grant["segments"] == opened.len(), "{viewer}");
    assert!(opened.iter().all(|segment| segment["bytes"].as_u64().unwrap() > 10_000), "{viewer}");
    let mistyped = open("viewer", "viewer-0000000000000000");
    assert_eq!(mistyped["what"], "it does not open", "{mistyped}");
}

/// Both verifiers name the same row.
fn a_changed_ledger_is_named_alike(scene: &Scene, out: &Path) {
    let files = scene.site.ledger_files().unwrap();
    let names: Vec<&str> = files.iter().map(|file| text(file)).collect();
    let sound = read(&[&["ledger"], &names[..]].concat(), "").1;
    let theirs = scene.site.verify_ledger(&files).unwrap();
    for field in ["ok", "rows", "checkpoints", "head"] {
        assert_eq!(sound[field], theirs[field], "{field}");
    }
    let whole = std::fs::read(&files[0]).unwrap();
    let copy = out.join(files[0].file_name().unwrap());
    for share in 1..8 {
        let mut changed = whole.clone();
        changed[whole.len() * share / 8] ^= 1;
        std::fs::write(&copy, changed).unwrap();
        let told = read(&["ledger", text(&copy)], "").1;
        let theirs = scene.site.verify_ledger(std::slice::from_ref(&copy)).unwrap();
        assert_eq!((&told["ok"], &told["row"]), (&json!(false), &theirs["row"]), "{told} {theirs}");
    }
}

/// A key in three shares: both readers restore it from any two, and refuse what does not belong together.
#[test]
fn two_shares_of_a_key_are_read_alike() {
    let key = PrivateKey::from_secret(Secret::random().unwrap());
    let split = |site| KeyShare::split(&key, SiteId([site; 16])).unwrap();
    let (ours, theirs, later) = (split(1), split(2), split(1));
    let text =
        |one: &KeyShare, other: &KeyShare| format!("{}\n\n{}\n", &*one.to_text().unwrap(), &*other.to_text().unwrap());
    for (one, other) in [(0, 1), (2, 1), (0, 2)] {
        let typed = text(&ours[one], &ours[other]);
        assert_eq!(read(&["shares"], &typed).1["key"], hex::encode(key.secret().expose()));
        assert_eq!(read_key_text(&typed).unwrap().secret().expose(), key.secret().expose());
    }
    let mut mistyped = text(&ours[0], &ours[1]);
    let place = mistyped.len() - 3;
    mistyped.replace_range(place..=place, if &mistyped[place..=place] == "q" { "p" } else { "q" });
    for wrong in [text(&ours[0], &theirs[1]), text(&ours[0], &later[1]), text(&ours[1], &ours[1]), mistyped] {
        assert_eq!(read(&["shares"], &wrong).1["ok"], false);
        assert!(read_key_text(&wrong).is_err());
    }
}

/// What `init` prints in place of the whole key, typed into a file, is the key: the day keys open with it.
#[test]
fn init_prints_shares_and_two_of_them_open_what_was_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init_in_shares(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    assert!(!site.init_output.contains("recovery key:"), "{}", site.init_output);
    let shares: Vec<&str> =
        site.init_output.lines().map(str::trim).filter(|line| line.starts_with("custodian1 ")).collect();
    assert_eq!(shares.len(), 3, "{}", site.init_output);
    for (number, share) in (1..=3).zip(&shares) {
        let label = format!("share {number} of 3");
        let line = site.init_output.lines().position(|line| line.trim() == *share).unwrap();
        assert!(site.init_output.lines().nth(line - 1).unwrap().contains(&label), "{label}");
    }
    let key = read_key_text(&format!("{}\n{}", shares[2], shares[0])).unwrap();
    let ledger = std::fs::read_to_string(&site.ledger_files().unwrap()[0]).unwrap();
    assert!(ledger.contains(&format!("\"recovery\":\"{}\"", key.public().unwrap())), "{ledger}");
    assert_eq!(read(&["shares"], &shares[1..].join("\n")).1["key"], hex::encode(key.secret().expose()));
}

fn vectors_dir() -> PathBuf {
    repository().join("tests/vectors")
}

/// What the program's own reader makes of a vector: its plaintext, and its digest.
fn open_vector(vector: &Value, day_key: &PrivateKey) -> Result<(Vec<u8>, Digest), SegmentError> {
    let path = vectors_dir().join(format!("{}.segment", vector["name"].as_str().unwrap()));
    let chunks = u32::try_from(vector["chunks"].as_u64().unwrap()).unwrap();
    let has_footer = vector["footer"].as_bool().unwrap();
    let ending = if has_footer { Ending::Footer { chunks } } else { Ending::Cut { chunks } };
    let reader = SegmentReader::open(RealDisk.open(&path, Access::Read).unwrap(), ending)?;
    let opener = StreamOpener::new(&reader.head().open_key(day_key)?)?;
    let mut plain = reader.open_init(&opener)?;
    for fragment in reader.fragments()? {
        plain.extend(reader.open_fragment(&opener, &fragment)?);
    }
    if has_footer {
        reader.check_footer(&opener)?;
    }
    Ok((plain, reader.digest()?.0))
}

#[test]
fn both_readers_refuse_every_fault_and_open_what_is_whole() {
    let told: Value = serde_json::from_slice(&std::fs::read(vectors_dir().join("vectors.json")).unwrap()).unwrap();
    let mut day_key = [0; 32];
    hex::decode_to_slice(told["day_key"].as_str().unwrap(), &mut day_key).unwrap();
    let day_key = PrivateKey::from_secret(Secret::new(day_key));
    let theirs = read(&["vectors", text(&vectors_dir())], "").1;
    let vectors = told["segments"].as_array().unwrap();
    assert!(vectors.len() > 40 && vectors.iter().filter(|vector| vector["opens"] == true).count() == 6);
    for vector in vectors {
        let name = vector["name"].as_str().unwrap();
        let ours = open_vector(vector, &day_key);
        let (plain, digest) = ours.as_ref().map_or((Value::Null, Value::Null), |(plain, digest)| {
            (json!(hex::encode(plain)), json!(digest.to_string()))
        });
        assert_eq!((&plain, &digest), (&vector["plain"], &vector["digest"]), "the program, {name}: {ours:?}");
        let their = &theirs["segments"][name];
        assert_eq!(their["plain"], vector["plain"], "the second reader, {name}: {their}");
        assert_eq!(their["digest"], vector["digest"], "the second reader, {name}: {their}");
    }
    let others = told["others"].as_array().unwrap();
    assert!(others.len() > 100, "{}", others.len());
    for vector in others {
        let file = format!("{}.{}", vector["name"].as_str().unwrap(), vector["kind"].as_str().unwrap());
        let bytes = std::fs::read(vectors_dir().join(&file)).unwrap();
        let ours = told::of(vector["kind"].as_str().unwrap(), &bytes, &day_key);
        assert_eq!(ours, vector["told"], "the program, {file}");
        assert_eq!(theirs["others"][&file], vector["told"], "the second reader, {file}");
    }
}

/// The vectors are what their maker writes: nobody mended one by hand.
#[test]
fn the_vectors_are_written_again_the_same() {
    let again = tempfile::tempdir().unwrap();
    let mut make = Command::new(python());
    make.arg("-B").arg(repository().join("tests/second_reader/vectors.py")).arg(again.path());
    run(&mut make, "", READ_LIMIT).unwrap().succeeded().unwrap();
    let files = |dir: &Path| -> std::collections::BTreeMap<_, _> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
    };
    let (committed, made) = (files(&vectors_dir()), files(again.path()));
    let names =
        |files: &std::collections::BTreeMap<std::ffi::OsString, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&made));
    for (name, bytes) in committed {
        assert!(made[&name] == bytes, "{name:?} differs");
    }
}
