//! What the running daemon's memory holds, and the files that it keeps: no key that was sealed and handed on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::crypto::{DataKey, Label, PasswordSealed, PrivateKey, Secret};
use cctv_custodian::disk::RealDisk;
use cctv_custodian::segment::{HEAD_BYTES, SegmentHead, SlotFile, SlotPurpose};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;
use support::commands::wait_until;
use support::daemon::program;
use support::peers::{Mount, RtspServer, Video};
use support::raw_search::count_in;
use support::scene::{PATIENCE, Scene, have_approved, pictures};
use support::site::{CameraFile, Site};
use support::stored;

/// What the search looks for, by name.
type Needles = BTreeMap<String, Vec<u8>>;

/// Where each needle stands in the memory of a process, by the name of the mapping.
fn in_memory(pid: u32, needles: &Needles) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let (mut found, mut searched_bytes) = (Vec::new(), 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let place = words.nth(3).unwrap_or("heap or stack of a thread");
        if !rights.starts_with('r') || place == "[vvar]" || place == "[vsyscall]" || place == "[vvar_vclock]" {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (from, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // A mapping may go while it is read; what is left of it is searched.
        let Ok(read) = memory.read_at(&mut bytes, from) else { continue };
        searched_bytes += read;
        for (name, needle) in needles {
            let count = count_in(&bytes[..read], needle);
            if count > 0 {
                found.push(format!("{name}: {count} in {place} {rights} {range}"));
            }
        }
    }
    assert!(searched_bytes > 10 << 20, "only {searched_bytes} bytes could be read");
    found
}

fn in_files(dir: &Path, needles: &Needles) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(in_files(&path, needles));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for (name, needle) in needles {
                let digits = hex::encode(needle);
                if count_in(&bytes, needle) + count_in(&bytes, digits.as_bytes()) > 0 {
                    found.push(format!("{name} in {}", path.display()));
                }
            }
        }
    }
    found
}

fn secret(digits: &str) -> PrivateKey {
    PrivateKey::from_secret(Secret::from_slice(&hex::decode(digits).unwrap()).unwrap())
}

/// What an officer opens later: each day key's private half, and each segment's data key, oldest first.
fn opened_later(site: &Site) -> (Vec<PrivateKey>, Vec<(String, DataKey)>) {
    let recovery = secret(&site.recovery_key);
    let mine = recovery.public().unwrap().0;
    let mut day_keys = Vec::new();
    for entry in std::fs::read_dir(site.volume().join("keys")).unwrap() {
        let file = SlotFile::open_to_read(&RealDisk, &entry.unwrap().path(), SlotPurpose::DayKey).unwrap();
        let (_, sealed) = file.find(&mine).unwrap().unwrap();
        let opened = recovery.open_secret(Label::DayKey, &file.facts()[..56], &sealed).unwrap();
        day_keys.push(PrivateKey::from_secret(opened));
    }
    let segments = stored::segments(&site.volume()).unwrap();
    let mut keys = Vec::new();
    for segment in segments {
        let mut block = vec![0; HEAD_BYTES];
        File::open(&segment.path).unwrap().read_exact_at(&mut block, 0).unwrap();
        let head = SegmentHead::parse(&block).unwrap();
        let key = day_keys.iter().find_map(|day_key| head.open_key(day_key).ok()).unwrap();
        keys.push((segment.name, key));
    }
    (day_keys, keys)
}

fn clinic() -> Scene {
    let server = RtspServer::start(vec![Mount::new("/yard", Video::Yard)]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    let file = site.dir().join("site.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, settings.replace("\nsegment_s = 60", "\nsegment_s = 10")).unwrap();
    site.save_camera(&CameraFile::new(1, "yard", &server.url("/yard"))).unwrap();
    let running = site.serve(&dir.path().join("custodian-1.log"), &[], &[]).unwrap();
    Scene::of(running, site, server, dir)
}

fn needles<'a>(name: &str, of: impl Iterator<Item = &'a [u8; 32]>) -> Needles {
    of.enumerate().map(|(at, bytes)| (format!("{name} {at}"), bytes.to_vec())).collect()
}

/// The private halves that a person's password opens, and the password.
fn of_person(site: &Site, name: &str) -> Needles {
    let password = &site.account(name).unwrap().password;
    let mut found = Needles::from([(format!("the {name}'s password"), password.clone().into_bytes())]);
    for entry in std::fs::read_dir(site.dir().join("state/people")).unwrap() {
        let account: serde_json::Value =
            serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        for which in ["session", "release"] {
            if account["name"] == name && !account[which].is_null() {
                let sealed: PasswordSealed = serde_json::from_value(account[which]["private"].clone()).unwrap();
                let context = format!("custodian/1 account {} {which} key", account["account"]);
                let opened = sealed.open(password, context.as_bytes()).unwrap();
                found.insert(format!("the {name}'s {which} key"), opened.expose().to_vec());
            }
        }
    }
    assert!(found.len() > 1, "no account {name}");
    found
}

#[test]
fn neither_memory_nor_files_hold_keys_that_were_handed_on() {
    let mut scene = clinic();
    let pid = scene.running.daemon.id();
    let mut staff = scene.sign_in("staff").unwrap();
    scene.running.wait_for_cameras(&mut staff, &[1], PATIENCE).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(24)).unwrap();
    // The search finds what is known to be there: the key under which the daemon seals at this moment. A segment may come
    // to its end in between.
    let (day_keys, sealed) = wait_until("the search finds the open segment's key", PATIENCE, || {
        let (day_keys, mut segments) = opened_later(&scene.site);
        let (_, open) = segments.pop().expect("it records");
        let found = in_memory(pid, &needles("the open segment's data key", std::iter::once(open.expose())));
        Ok((!found.is_empty() && segments.len() >= 2).then_some((day_keys, segments)))
    })
    .unwrap();

    let mut handed_on = needles("a day key's private half", day_keys.iter().map(|key| key.secret().expose()));
    handed_on.extend(needles("a sealed segment's data key", sealed.iter().map(|(_, key)| key.expose())));
    handed_on.extend(needles("the recovery key", std::iter::once(secret(&scene.site.recovery_key).secret().expose())));
    let while_recording = in_memory(pid, &handed_on);

    // Somebody watches; when they have gone, what they could open is gone too.
    let (mut officer, mut viewer) = (scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let persons: Needles =
        ["staff", "officer", "viewer"].iter().flat_map(|name| of_person(&scene.site, name)).collect();
    let signed_in = in_memory(pid, &persons);
    assert!(signed_in.iter().any(|found| found.starts_with("the viewer's session key")), "{signed_in:?}");
    let approved = have_approved(&mut staff, &mut officer, &viewer, &[1], span).unwrap();
    assert!(!pictures(&viewer, &approved["grant"], 1).unwrap().is_empty());
    staff.close(&approved["number"]).unwrap().expect_status(200).unwrap();
    for person in [&mut staff, &mut officer, &mut viewer] {
        person.api.delete("/v1/session").unwrap().expect_status(204).unwrap();
    }
    let gone: Needles = handed_on.into_iter().chain(persons).collect();
    // The daemon lets a connection go a moment after the one who asked has done so.
    let limit = Duration::from_secs(5);
    wait_until("all keys are gone", limit, || Ok(in_memory(pid, &gone).is_empty().then_some(()))).ok();
    let after_a_viewing = in_memory(pid, &gone);
    println!("while it records: {while_recording:#?}\nafter a viewing: {after_a_viewing:#?}");
    assert!(while_recording.is_empty() && after_a_viewing.is_empty(), "in memory: see above");
    assert_eq!(in_files(scene.site.dir(), &gone), Vec::<String>::new(), "in files");
    let there: Needles =
        [("the signing key".to_owned(), std::fs::read(scene.site.dir().join("state/signing.key")).unwrap())].into();
    assert_eq!(in_files(scene.site.dir(), &there).len(), 1, "the search finds what is there");
}
