//! The tools for a bad day: `verify` names what was done to the disks, `recover` brings the footage back from them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::commands::Ended;
use support::daemon::{command, program};
use support::peers::{LoggedFrame, Mount, RtspServer, Video};
use support::probe;
use support::scene::{Scene, have_approved, now_us};
use support::site::{CameraFile, Site};
use support::spans::micros;
use support::stored::segments;

const YARD: u16 = 1;
const GATE: u16 = 2;
const CAMERAS: [(u16, &str, Video); 2] = [(YARD, "/yard", Video::Yard), (GATE, "/gate", Video::YardH265)];
const LIMIT: Duration = Duration::from_secs(120);
/// Committed every two seconds, and a group of pictures in flight.
const LOST_BY_FORCE_US: i64 = 4_500_000;
const AT_THE_ENDS_US: i64 = 2_500_000;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Two cameras, in segments of ten seconds.
fn clinic() -> Scene {
    let mounts = CAMERAS.map(|(_, path, video)| Mount::new(path, video));
    let server = RtspServer::start(mounts.to_vec()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    let file = site.dir().join("site.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings.replace("\nsegment_s = 60", "\nsegment_s = 10")).unwrap();
    for (number, path, _) in CAMERAS {
        site.save_camera(&CameraFile::new(number, &path[1..], &server.url(path))).unwrap();
    }
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    Scene::of(running, site, server, dir)
}

/// A file with a key in it, for its owner alone.
fn key_file(dir: &Path, key: &str) -> PathBuf {
    let path = dir.join("key");
    std::fs::write(&path, key).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// `custodian verify --json`: its exit status, and what it told.
fn verify(site: &Site, more: &[&str]) -> (i32, Value) {
    let told = site.run("verify", &[&["--json"], more].concat()).unwrap();
    let report = serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{} {}", told.stdout, told.stderr));
    (told.status.code().unwrap(), report)
}

#[track_caller]
fn assert_sound(site: &Site, more: &[&str]) -> Value {
    let (status, told) = verify(site, more);
    assert_eq!((status, &told["sound"], &told["faults"]), (0, &json!(true), &json!([])), "{told}");
    told
}

/// That there is a fault of this file, with these words in it.
#[track_caller]
fn assert_names(site: &Site, file: &str, words: &str) {
    let (status, told) = verify(site, &["--deep"]);
    let faults = told["faults"].as_array().unwrap();
    let is_named = |fault: &Value| {
        fault["file"].as_str().unwrap().ends_with(file) && fault["what"].as_str().unwrap().contains(words)
    };
    assert!(status == 1 && faults.iter().any(is_named), "{file}: {words}: {told}");
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&from, &to);
        } else if kind.is_file() {
            std::fs::copy(from, to).unwrap();
        }
    }
}

fn put_copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

fn recover(identity: &Path, volume: &Path, out: &Path, more: &[&str]) -> Ended {
    let arguments = ["recover", "--identity", text(identity), "--volume", text(volume), "--out", text(out)];
    command(&[&arguments, more].concat(), "", LIMIT).unwrap()
}

fn list(out: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(out.join("recovered.json")).unwrap()).unwrap()
}

/// The pictures of a camera's films, in order; each film decodes to its end, and has as many as the list says.
fn pictures(out: &Path, told: &Value, camera: u16) -> Vec<String> {
    let films = told["files"].as_array().unwrap().iter().filter(|file| file["camera"] == camera);
    films
        .flat_map(|film| {
            let path = out.join(film["file"].as_str().unwrap());
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            let codec = if camera == YARD { "h264" } else { "hevc" };
            let streams = probe::streams(text(&path), &[]).unwrap();
            assert_eq!(streams.iter().map(|s| (&*s.kind, &*s.codec)).collect::<Vec<_>>(), [("video", codec)]);
            let pictures = probe::picture_digests(text(&path), &[]).unwrap();
            assert_eq!(film["frames"], pictures.len(), "{film}");
            assert_eq!(probe::count_frames(text(&path), &[]).unwrap(), pictures.len() as u64);
            pictures
        })
        .collect()
}

/// All that the camera sent from its first key frame on is there, in order, up to what was not committed yet.
fn assert_sent(pictures: &[String], frames: &[LoggedFrame], footage: &[String], killed_us: i64) {
    let sent: Vec<&String> = frames.iter().map(|frame| &footage[usize::try_from(frame.file_frame).unwrap()]).collect();
    let seen: Vec<&String> = pictures.iter().collect();
    assert!(seen.len() > 100 && seen.len() <= sent.len(), "{} seen, {} sent", seen.len(), sent.len());
    let skipped = (0..=sent.len() - seen.len()).find(|skipped| sent[*skipped..*skipped + seen.len()] == seen[..]);
    let skipped = skipped.expect("other pictures than those sent, or some are missing in between");
    assert!(frames[skipped].key && frames[skipped].at_us - frames[0].at_us < AT_THE_ENDS_US, "{skipped} skipped");
    let end_us = frames[skipped + seen.len() - 1].at_us;
    assert!(end_us > killed_us - LOST_BY_FORCE_US, "{} µs are lost", killed_us - end_us);
}

#[test]
fn after_a_kill_a_bare_disk_and_a_key_bring_every_committed_frame_back() {
    let mut scene = clinic();
    let footage = CAMERAS.map(|(.., video)| probe::picture_digests(text(&video.file().unwrap()), &[]).unwrap());
    scene.wait_for_cameras(&[YARD, GATE]).unwrap();
    scene.record(&["/yard", "/gate"], Duration::from_secs(22)).unwrap();
    let killed_us = now_us();
    scene.running.daemon.kill().unwrap();

    // The disk alone, carried elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    let volume = elsewhere.path().join("volume");
    copy_tree(&scene.site.volume(), &volume);
    let key = key_file(elsewhere.path(), &scene.site.recovery_key);
    let out = elsewhere.path().join("out");
    let told = recover(&key, &volume, &out, &[]);
    assert_eq!(told.status.code(), Some(0), "{} {}", told.stdout, told.stderr);
    assert!(told.stderr.contains("the ledger of the site"), "that it is on no record is said: {}", told.stderr);
    assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let first = list(&out);
    assert_eq!((&first["whole"], &first["faults"], &first["lost"]), (&json!(true), &json!([]), &json!([])), "{first}");
    // What was being written; a camera whose segment had just come to its end has none.
    let cut = first["cut_short"].as_array().unwrap();
    let cut_short = cut.len();
    for one in cut {
        let of_camera = |other: &&Value| other["camera"] == one["camera"];
        assert_eq!(cut.iter().filter(of_camera).count(), 1, "one a camera at most: {first}");
        let newest = first["files"].as_array().unwrap().iter().rfind(of_camera).unwrap();
        assert_eq!(one["to"], newest["to"], "and its newest: {first}");
    }
    for ((number, path, _), footage) in CAMERAS.into_iter().zip(&footage) {
        let pictures = pictures(&out, &first, number);
        assert_sent(&pictures, &scene.server.frames(path).unwrap(), footage, killed_us);
    }
    let films = first["files"].as_array().unwrap();
    assert!(films.len() <= 4, "segments are joined: {first}");
    assert!(films.iter().any(|film| film["segments"].as_u64().unwrap() >= 2), "{first}");
    assert!(films[0]["file"].as_str().unwrap().starts_with("camera-0001_20"), "{first}");
    let readable = std::fs::read_to_string(out.join("recovered.txt")).unwrap();
    assert_eq!(readable.contains("Cut short"), cut_short > 0, "{readable}");
    assert!(readable.contains("Nothing asked for is damaged"), "{readable}");

    // Never over anything, and never with a wrong key.
    let again = recover(&key, &volume, &out, &[]);
    assert!(again.status.code() == Some(2) && again.stderr.contains("not empty"), "{}", again.stderr);
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    let wrong = recover(&key, &volume, &elsewhere.path().join("wrong"), &[]);
    assert!(wrong.status.code() == Some(2) && wrong.stderr.contains("opens none"), "{}", wrong.stderr);
    assert!(!elsewhere.path().join("wrong").exists());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let loose = recover(&key, &volume, &elsewhere.path().join("loose"), &[]);
    assert!(loose.status.code() == Some(2) && loose.stderr.contains("chmod 600"), "{}", loose.stderr);

    damaged_disks(&scene, &volume, elsewhere.path(), &footage[0], killed_us);
    on_the_record(&mut scene);
}

/// Without manifests, without a commit table, with a damaged segment: what is there comes back, and the rest is named.
fn damaged_disks(scene: &Scene, volume: &Path, dir: &Path, footage: &[String], killed_us: i64) {
    let key = key_file(dir, &scene.site.recovery_key);
    for entry in std::fs::read_dir(volume.join("manifests")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let out = dir.join("without-manifests");
    let told = recover(&key, volume, &out, &["--camera", "1"]);
    assert_eq!(told.status.code(), Some(1), "{}", told.stderr);
    let told = list(&out);
    let faults = told["faults"].as_array().unwrap();
    assert!(faults.iter().all(|fault| fault["what"].as_str().unwrap().contains("its period is not known")), "{told}");
    assert!(told["files"].as_array().unwrap().iter().all(|film| film["camera"] == 1), "{told}");
    assert_sent(&pictures(&out, &told, YARD), &scene.server.frames("/yard").unwrap(), footage, killed_us);

    std::fs::remove_file(volume.join("commits")).unwrap();
    let of_yard: Vec<_> = segments(volume).unwrap().into_iter().filter(|segment| segment.camera == YARD).collect();
    let mut bytes = std::fs::read(&of_yard[0].path).unwrap();
    // Somewhere in the middle, in a fragment's ciphertext.
    let middle = 4096 + (bytes.iter().rposition(|byte| *byte != 0).unwrap() - 4096) / 2;
    bytes[middle] ^= 1;
    std::fs::write(&of_yard[0].path, bytes).unwrap();
    let out = dir.join("damaged");
    let told = recover(&key, volume, &out, &["--camera", "1"]);
    assert_eq!(told.status.code(), Some(1), "{}", told.stderr);
    let told = list(&out);
    let lost = told["lost"].as_array().unwrap();
    assert!(!lost.is_empty() && lost.iter().all(|lost| lost["segment"] == of_yard[0].name), "{told}");
    assert!(!told["gaps"].as_array().unwrap().is_empty(), "{told}");
    let seen = pictures(&out, &told, YARD);
    let sent: Vec<String> = (scene.server.frames("/yard").unwrap().iter())
        .map(|frame| footage[usize::try_from(frame.file_frame).unwrap()].clone())
        .collect();
    // One group of pictures and no more is missing.
    assert!(seen.len() > 100 && sent.len() - seen.len() < 100, "{} of {}", seen.len(), sent.len());
    let mut rest = sent.iter();
    assert!(seen.iter().all(|picture| rest.any(|sent| sent == picture)), "in the order in which they were sent");
}

/// With the ledger at hand: a row before the first picture, or no picture.
fn on_the_record(scene: &mut Scene) {
    let dir = tempfile::tempdir().unwrap();
    let key = key_file(dir.path(), &scene.site.recovery_key);
    let (site, volume) = (scene.site.dir().to_owned(), scene.site.volume());
    let rows = |scene: &Scene| scene.site.verify_ledger(&scene.site.ledger_files().unwrap()).unwrap()["rows"].clone();
    let before = rows(scene).as_u64().unwrap();
    // A part of the time, with the site named, and without.
    let first = segments(&volume).unwrap()[0].clone();
    let (from, to) = (first.start_us + 2_000_000, first.start_us + 4_000_000);
    let span = [support::spans::rfc_3339(from).unwrap(), support::spans::rfc_3339(to).unwrap()];
    let asked = ["--camera", "1", "--from", &span[0], "--to", &span[1]];
    for (number, more) in [&["--site", text(&site)][..], &[]].into_iter().enumerate() {
        let out = dir.path().join(format!("out-{number}"));
        let told = recover(&key, &volume, &out, &[&asked, more].concat());
        assert_eq!(told.status.code(), Some(0), "{} {}", told.stdout, told.stderr);
        assert!(told.stderr.contains(&format!("row {}", before + number as u64 + 1)), "{}", told.stderr);
        let film = list(&out)["files"][0].clone();
        let (begins, ends) = (micros(&film["from"]).unwrap(), micros(&film["to"]).unwrap());
        assert!((from - 1_100_000..=from).contains(&begins) && (to..to + 1_100_000).contains(&ends), "{film}");
    }
    // An officer opens it with their password alone; a viewer does not, and a wrong password neither.
    for (name, suffix, status) in [("deputy", "", 0), ("deputy", "x", 2), ("viewer", "", 2)] {
        let out = dir.path().join(format!("by-{name}{suffix}"));
        let arguments = ["recover", "--account", name, "--site", text(&site), "--out", text(&out)];
        let password = format!("{}{suffix}\n", scene.site.account(name).unwrap().password);
        let told = command(&[&arguments[..], &asked].concat(), &password, LIMIT).unwrap();
        assert_eq!(told.status.code(), Some(status), "{name}: {}", told.stderr);
        assert_eq!(out.exists(), status == 0, "{name}");
    }
    assert_eq!(rows(scene), before + 3);
    let ledger = scene.site.ledger_files().unwrap().pop().unwrap();
    let whole = std::fs::read_to_string(&ledger).unwrap();
    let last = whole.lines().last().unwrap();
    assert!(last.contains("\"kind\":\"footage-recovered\"") && last.contains("\"who\":\"console\""), "{last}");

    // A ledger that is damaged takes no row; one that a daemon writes, neither.
    std::fs::write(&ledger, whole.replacen("console", "consule", 1)).unwrap();
    let told = recover(&key, &volume, &dir.path().join("unrecorded"), &asked);
    assert!(told.status.code() == Some(2) && told.stderr.contains("nothing is recovered"), "{}", told.stderr);
    std::fs::write(&ledger, whole).unwrap();
    scene.serve_again().unwrap();
    let told = recover(&key, &volume, &dir.path().join("beside"), &asked);
    assert!(told.status.code() == Some(2) && told.stderr.contains("stop it first"), "{}", told.stderr);
    for out in ["unrecorded", "beside"] {
        let entries = std::fs::read_dir(dir.path().join(out)).map_or(0, Iterator::count);
        assert_eq!(entries, 0, "{out}: nothing was written");
    }
    let told = assert_sound(&scene.site, &["--deep", "--identity", text(&key)]);
    assert_eq!(told["index"], "in-use");
}

#[test]
fn verify_is_quiet_beside_a_running_daemon_and_names_each_thing_done_to_the_disks() {
    let mut scene = clinic();
    scene.wait_for_cameras(&[YARD, GATE]).unwrap();
    let (mut staff, mut officer, viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let span = scene.record(&["/yard"], Duration::from_secs(3)).unwrap();
    for _ in 0..5 {
        have_approved(&mut staff, &mut officer, &viewer, &[YARD], span).unwrap();
        assert_sound(&scene.site, &[]);
    }
    let closed = have_approved(&mut staff, &mut officer, &viewer, &[YARD], span).unwrap();
    staff.close(&closed["number"]).unwrap().expect_status(200).unwrap();
    scene.record(&["/yard"], Duration::from_secs(20)).unwrap();
    // A decision writes a checkpoint: it holds what was sealed until now.
    have_approved(&mut staff, &mut officer, &viewer, &[YARD], span).unwrap();
    scene.running.stop().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let key = key_file(dir.path(), &scene.site.recovery_key);
    let told = assert_sound(&scene.site, &["--deep", "--identity", text(&key)]);
    assert_eq!((&told["grants"], &told["holds"], &told["index"]), (&json!(6), &json!(6), &json!("current")), "{told}");
    let volume = &told["volumes"][0];
    assert!(volume["segments_decrypted"].as_u64().unwrap() >= 4, "{told}");
    assert_eq!((&volume["segments_decrypted"], &volume["day_keys"]), (&volume["segments_kept"], &json!(2)), "{told}");
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    let (status, told) = verify(&scene.site, &["--deep", "--identity", text(&key)]);
    assert!(status == 1 && told["volumes"][0]["segments_decrypted"] == 0, "a key that opens nothing: {told}");
    let unchecked = command(&["verify", "--site", "/nowhere"], "", LIMIT).unwrap();
    assert_eq!(unchecked.status.code(), Some(2), "{}", unchecked.stderr);

    attacks_on_the_volume(&scene.site);
    attacks_on_the_state(&scene.site);
    assert_sound(&scene.site, &["--deep"]);
}

/// Does `harm`, looks, and puts everything back.
fn harmed(site: &Site, harm: impl FnOnce(), look: impl FnOnce()) {
    let saved = tempfile::tempdir().unwrap();
    for sub in ["volumes", "state"] {
        copy_tree(&site.dir().join(sub), &saved.path().join(sub));
    }
    harm();
    look();
    for sub in ["volumes", "state"] {
        let place = site.dir().join(sub);
        std::fs::remove_dir_all(&place).unwrap();
        copy_tree(&saved.path().join(sub), &place);
    }
}

fn attacks_on_the_volume(site: &Site) {
    let volume = site.volume();
    let of_yard: Vec<_> = segments(&volume).unwrap().into_iter().filter(|segment| segment.camera == YARD).collect();
    let (one, other) = (of_yard[0].clone(), of_yard[1].clone());
    let slipped = "00000000000000aa";
    harmed(
        site,
        || put_copy(&one.path, &one.path.with_file_name(slipped)),
        || assert_names(site, slipped, "stands in no manifest"),
    );
    harmed(site, || std::fs::remove_file(&one.path).unwrap(), || assert_names(site, &one.name, "is missing"));
    let swap = || {
        let aside = one.path.with_extension("aside");
        std::fs::rename(&one.path, &aside).unwrap();
        std::fs::rename(&other.path, &one.path).unwrap();
        std::fs::rename(&aside, &other.path).unwrap();
    };
    harmed(site, swap, || {
        assert_names(site, &one.name, "changed or swapped");
        assert_names(site, &other.name, "changed or swapped");
    });
    let flip = || {
        let mut bytes = std::fs::read(&other.path).unwrap();
        bytes[5_000] ^= 1;
        std::fs::write(&other.path, bytes).unwrap();
    };
    harmed(site, flip, || assert_names(site, &other.name, "changed after it was sealed"));
    let manifest = std::fs::read_dir(volume.join("manifests")).unwrap().next().unwrap().unwrap().path();
    let name = manifest.file_name().unwrap().to_str().unwrap().to_owned();
    let cut = |share: usize| {
        let whole = std::fs::read(&manifest).unwrap();
        std::fs::write(&manifest, &whole[..whole.len() * share / 4]).unwrap();
    };
    for share in [1, 2, 3] {
        harmed(site, || cut(share), || assert_names(site, &name, "is not what the ledger's checkpoint says it was"));
    }
    harmed(site, || std::fs::remove_file(&manifest).unwrap(), || assert_names(site, &name, "is missing"));
    // A segment with valid keys and its record, slipped in later: the checkpoint knows better.
    harmed(
        site,
        || slip_in(&volume, &manifest, &one.path),
        || {
            assert_names(site, &name, "is not what the ledger's checkpoint says it was");
        },
    );
    let keys: Vec<PathBuf> =
        std::fs::read_dir(volume.join("keys")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let key_name = keys[0].file_name().unwrap().to_str().unwrap();
    harmed(site, || std::fs::remove_file(&keys[0]).unwrap(), || assert_names(site, key_name, "is missing"));
    let swap_keys = || {
        let both = [std::fs::read(&keys[0]).unwrap(), std::fs::read(&keys[1]).unwrap()];
        std::fs::write(&keys[0], &both[1]).unwrap();
        std::fs::write(&keys[1], &both[0]).unwrap();
    };
    harmed(site, swap_keys, || assert_names(site, key_name, "changed or swapped"));
    let stray = "00000000000000bb";
    harmed(
        site,
        || put_copy(&keys[0], &keys[0].with_file_name(stray)),
        || assert_names(site, stray, "no manifest names this day key"),
    );
    // Somebody's own key in a free slot: it has no row.
    let seal_to_myself = || {
        let mut bytes = std::fs::read(&keys[0]).unwrap();
        let slot = bytes[4096..8192].to_vec();
        bytes[4096 * 8..4096 * 9].copy_from_slice(&slot);
        bytes[4096 * 8 + 4] ^= 1;
        let crc = crc32c::crc32c(&bytes[4096 * 8..4096 * 8 + 116]);
        bytes[4096 * 8 + 116..4096 * 8 + 120].copy_from_slice(&crc.to_be_bytes());
        std::fs::write(&keys[0], bytes).unwrap();
    };
    harmed(site, seal_to_myself, || assert_names(site, key_name, "no row of the ledger names"));
    let drop_a_slot = || {
        let mut bytes = std::fs::read(&keys[0]).unwrap();
        bytes[4096..8192].fill(0);
        std::fs::write(&keys[0], bytes).unwrap();
    };
    harmed(site, drop_a_slot, || assert_names(site, key_name, "has no slot for"));
}

/// Writes a copy of a segment under another number, with a head and records that fit: all keys in it are public ones.
fn slip_in(volume: &Path, manifest: &Path, segment: &Path) {
    use cctv_custodian::crypto::{blake3, sha256};
    use cctv_custodian::segment::{ManifestRecord, RecordReader};
    let whole = std::fs::read(manifest).unwrap();
    let (header, records) = RecordReader::new(&whole).unwrap();
    let number = cctv_custodian::domain::SegmentId(0xAA);
    let mut bytes = std::fs::read(segment).unwrap();
    bytes[32..40].copy_from_slice(&number.0.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[..168]);
    bytes[168..172].copy_from_slice(&crc.to_be_bytes());
    let place = volume.join("rolling").join(number.to_string());
    std::fs::write(&place, &bytes).unwrap();
    let of: cctv_custodian::domain::SegmentId = segment.file_name().unwrap().to_str().unwrap().parse().unwrap();
    // Its records stand where they would have stood, had it been recorded: right behind the other's.
    let mut out = header.to_bytes().to_vec();
    for record in records {
        out.extend(record.to_bytes());
        match record {
            ManifestRecord::Opened { segment, camera, start, day_key, .. } if segment == of => {
                let head = sha256(&bytes[..4096]);
                out.extend(ManifestRecord::Opened { segment: number, camera, start, day_key, head }.to_bytes());
            }
            ManifestRecord::Sealed { segment, chunks, bytes: end, allocated_bytes, end: at, has_footer, .. }
                if segment == of =>
            {
                let digest = blake3(&bytes[..usize::try_from(end).unwrap()]);
                let ranges = Vec::new();
                let sealed = ManifestRecord::Sealed {
                    segment: number,
                    chunks,
                    bytes: end,
                    allocated_bytes,
                    end: at,
                    digest,
                    has_footer,
                    ranges,
                };
                out.extend(sealed.to_bytes());
            }
            _ => {}
        }
    }
    std::fs::write(manifest, out).unwrap();
}

fn attacks_on_the_state(site: &Site) {
    let state = site.dir().join("state");
    let grant = state.join("grants/00000001");
    let blank_one = || {
        let mut bytes = std::fs::read(&grant).unwrap();
        bytes[4096..8192].fill(0);
        std::fs::write(&grant, bytes).unwrap();
    };
    // Allowed: so it looks when a segment of the grant was destroyed.
    harmed(site, blank_one, || drop(assert_sound(site, &[])));
    harmed(site, || std::fs::remove_file(&grant).unwrap(), || assert_names(site, "grants/00000001", "is missing"));
    harmed(
        site,
        || put_copy(&state.join("grants/00000002"), &grant),
        || assert_names(site, "grants/00000001", "damaged"),
    );
    let exchange = || {
        // The slots of another grant under this one's header.
        let (header, slots) = (std::fs::read(&grant).unwrap(), std::fs::read(state.join("grants/00000002")).unwrap());
        std::fs::write(&grant, [&header[..4096], &slots[4096..]].concat()).unwrap();
    };
    harmed(site, exchange, || assert_names(site, "grants/00000001", "were exchanged"));
    let forge = || {
        // A grant that was never given, with keys of its own.
        let mut bytes = std::fs::read(&grant).unwrap();
        bytes[16..20].copy_from_slice(&99_u32.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[..80]);
        bytes[80..84].copy_from_slice(&crc.to_be_bytes());
        std::fs::write(state.join("grants/00000063"), bytes).unwrap();
    };
    harmed(site, forge, || assert_names(site, "grants/00000063", "no row of the ledger grants"));
    let holds = state.join("holds");
    harmed(
        site,
        || std::fs::remove_file(&holds).unwrap(),
        || assert_names(site, "holds", "lacks the hold of request 1"),
    );
    let more = || {
        let mut told: Value = serde_json::from_slice(&std::fs::read(&holds).unwrap()).unwrap();
        let mut hold = told["holds"][0].clone();
        hold["request"] = json!(77);
        told["holds"].as_array_mut().unwrap().push(hold);
        std::fs::write(&holds, told.to_string()).unwrap();
    };
    harmed(site, more, || assert_names(site, "holds", "request 77"));
    let desk = state.join("desk");
    let empty = || {
        let mut bytes = std::fs::read(&desk).unwrap();
        bytes[4096..8192].fill(0);
        std::fs::write(&desk, bytes).unwrap();
    };
    harmed(site, empty, || assert_names(site, "desk", "has no slot for"));
    harmed(
        site,
        || std::fs::remove_dir_all(state.join("catalog")).unwrap(),
        || {
            assert_eq!(assert_sound(site, &[])["index"], "none");
        },
    );
}
