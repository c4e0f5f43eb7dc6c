//! Secrets and names stay where they belong, however much the daemon says and whatever goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::json;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::commands::{run, wait_until};
use support::daemon::{Daemon, program};
use support::peers::{Mount, RtspServer, Video};
use support::raw_disk::{FileSystem, LoopVolume};
use support::raw_search::count_in;
use support::scene::{Scene, have_approved, pictures};
use support::site::{CameraFile, Person, Site, random_text};

const CAMERA_PASSWORD: &str = "camera-pass-7f3a9c";
const STALE_PASSWORD: &str = "stale-pass-41d0bb";
const URL_PASSWORD: &str = "url-pass-c0ffee";
const PERSON: &str = "Gildong-Zaphod Beeblebrox 홍길동";
const CONTACT: &str = "010-5309-8675";
const PURPOSE: &str = "a purple umbrella-8841";
const SOON: Duration = Duration::from_secs(20);

/// Every file below `dir` but those below `except`, with its bytes.
fn files(dir: &Path, except: &[PathBuf]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        if except.contains(&path) {
            continue;
        }
        if kind.is_dir() {
            found.extend(files(&path, except));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

/// The ways in which a text could be written down.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let escaped: String =
        text.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) }).collect();
    let utf16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![text.as_bytes().to_vec(), escaped.into_bytes(), hex::encode(text).into_bytes(), utf16]
}

/// Where any form of these texts stands.
fn leaks(places: &[(PathBuf, Vec<u8>)], texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, bytes) in places {
        for text in texts {
            if forms(text).iter().any(|form| count_in(bytes, form) > 0) {
                found.push(format!("{text} in {}", path.display()));
            }
        }
    }
    found
}

#[test]
fn nothing_that_is_said_or_kept_holds_a_secret_or_a_name() {
    let mounts = vec![
        Mount::new("/yard", Video::Yard).with_login("watcher", CAMERA_PASSWORD),
        Mount::new("/clock", Video::Clock).with_login("other", "the-right-one"),
    ];
    let mut scene = Scene::start_with(
        mounts,
        |server| {
            vec![
                CameraFile::new(1, "yard", &server.url("/yard")).with_login("watcher", CAMERA_PASSWORD),
                CameraFile::new(2, "clock", &server.url("/clock")).with_login("other", STALE_PASSWORD),
                CameraFile::new(3, "clock again", &server.url("/clock"))
                    .with_login("other", STALE_PASSWORD)
                    .through_libav(),
                CameraFile::new(4, "yard again", &server.url("/yard"))
                    .with_login("watcher", CAMERA_PASSWORD)
                    .through_libav(),
            ]
        },
        &[("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")],
    )
    .unwrap();
    scene.wait_for_cameras(&[1, 4]).unwrap();
    let mut said: Vec<(PathBuf, Vec<u8>)> = Vec::new();

    // An address with a password in it, and a camera file that is cut in the middle of it.
    let bad = CameraFile::new(5, "bad", &format!("rtsp://admin:{URL_PASSWORD}@127.0.0.1/x"));
    scene.site.save_camera(&bad).unwrap();
    scene.running.daemon.wait_for_line("camera-5.toml", SOON).unwrap();
    let text = bad.text();
    let cut = text.find(URL_PASSWORD).unwrap() + URL_PASSWORD.len();
    std::fs::write(scene.site.camera_path(6), &text[..cut]).unwrap();
    scene.running.daemon.wait_for_line("camera-6.toml", SOON).unwrap();

    let span = scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let (mut staff, mut officer, mut viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let wrong = format!("{}x", officer.account.password);
    let mut answers =
        vec![scene.running.browser().post("/v1/session", &json!({"name": "officer", "password": wrong})).unwrap()];
    // A password typed where the name belongs.
    let slipped = json!({"name": officer.account.password, "password": ""});
    answers.push(scene.running.browser().post("/v1/session", &slipped).unwrap());

    let request = json!({"kind": "viewing", "cameras": [1], "span": span.to_json().unwrap(), "purpose": PURPOSE,
        "person": {"name": PERSON, "contact": CONTACT, "birth_date": "1971-02-03", "relation": "mother-in-law-66"}});
    let submitted = staff.api.post("/v1/requests", &request).unwrap().expect_status(201).unwrap();
    assert!(submitted.text().contains(PERSON), "staff may read it: {}", submitted.text());
    let number = submitted.json["number"].clone();
    // The same broken off, and with a field too many.
    let broken = &request.to_string()[..request.to_string().len() - 3];
    answers.push(staff.api.send("POST", "/v1/requests", Some(broken.as_bytes().to_vec())).unwrap());
    let mut more = request.clone();
    more["person"]["shoe_size"] = json!(44);
    answers.push(staff.api.post("/v1/requests", &more).unwrap());
    answers.push(viewer.api.get(&format!("/v1/requests/{number}")).unwrap());
    answers.push(viewer.api.get("/v1/requests").unwrap());
    answers.push(viewer.api.get(&Person::playlist(&json!(1), 1)).unwrap());
    staff.identify(&number).unwrap().expect_status(200).unwrap();
    let mut mistyped = officer.clone();
    mistyped.account.password = wrong.clone();
    answers.push(mistyped.approve(&number, &viewer.number).unwrap());
    let approved = officer.approve(&number, &viewer.number).unwrap().expect_status(200).unwrap();
    assert!(!pictures(&viewer, &approved.json["grant"], 1).unwrap().is_empty());
    answers.push(viewer.api.get("/v1/grants").unwrap());
    for path in ["/v1/ledger?after=0&limit=200", "/v1/ledger/head", "/v1/cameras", "/v1/health"] {
        answers.push(officer.api.get(path).unwrap());
    }
    staff.close(&number).unwrap().expect_status(200).unwrap();
    have_approved(&mut staff, &mut officer, &viewer, &[1], span).unwrap();

    for (index, answer) in answers.iter().enumerate() {
        said.push((PathBuf::from(format!("answer {index}, {}", answer.status)), answer.body.clone()));
    }
    for (command, more) in
        [("status", vec![]), ("status", vec!["--json"]), ("verify", vec!["--deep", "--json"]), ("serve", vec![])]
    {
        let told = scene.site.run(command, &more).unwrap();
        said.push((PathBuf::from(command), (told.stdout + &told.stderr).into_bytes()));
    }
    // A core dump would hold keys and pictures.
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", scene.running.daemon.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    scene.running.stop().unwrap();
    let log = scene.running.daemon.log().unwrap();
    assert!(log.contains("TRACE"), "the log is not at its most talkative");
    said.push((PathBuf::from("the log"), log.into_bytes()));

    let passwords: Vec<String> = scene.site.accounts.iter().map(|account| account.password.clone()).collect();
    let cameras = [CAMERA_PASSWORD, STALE_PASSWORD, URL_PASSWORD].map(str::to_owned).to_vec();
    let key = scene.site.recovery_key.clone();
    assert_eq!(key.len(), 64, "{key}");
    let persons: Vec<String> = [PERSON, "Beeblebrox", "홍길동", CONTACT, "53098675", "mother-in-law-66", "1971-02-03"]
        .map(str::to_owned)
        .to_vec();
    let all = [passwords.clone(), cameras, vec![key.clone()], persons.clone()].concat();
    assert_eq!(leaks(&said, &all), Vec::<String>::new(), "said");

    // What is kept: camera passwords stand in their own files, nothing else of it anywhere.
    let dir = scene.site.dir();
    let own = [dir.join("passwords"), dir.join("camera-config")];
    let kept = files(dir, &own);
    assert!(
        kept.iter().any(|(_, bytes)| count_in(bytes, b"Test") > 0),
        "the search finds what is there: the site's name"
    );
    assert_eq!(leaks(&kept, &all), Vec::<String>::new(), "kept");
    let raw_key = hex::decode(&key).unwrap();
    assert!(kept.iter().all(|(_, bytes)| count_in(bytes, &raw_key) == 0), "the recovery key is kept");
    assert_eq!(leaks(&files(dir, &[]), &[passwords, persons].concat()), Vec::<String>::new());
    // `init` shows the recovery key once, and no password.
    assert_eq!(scene.site.init_output.matches(&key).count(), 1);
    let init = (PathBuf::from("init"), scene.site.init_output.clone().into_bytes());
    assert_eq!(leaks(&[init], &all[..passwords_len(&scene)]), Vec::<String>::new());

    // Who else may look at these files? Nobody.
    for (path, _) in kept {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o77, 0, "{} can be read by others: {mode:o}", path.display());
    }
}

/// A try to start, with what it said and, where it started, an end. Its log is at its most talkative.
fn start_told(scene: &Scene, name: &str) -> (PathBuf, Vec<u8>) {
    let log = scene.dir.path().join(format!("{name}.log"));
    let site = scene.site.dir().to_str().unwrap();
    let arguments = ["serve", "--site", site, "--listen", "127.0.0.1:0"];
    let talkative = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")];
    let mut daemon = Daemon::start_with(&program().unwrap(), &arguments, &talkative, &log).unwrap();
    let settled = wait_until("it starts or ends", Duration::from_secs(60), || {
        let listens = daemon.log()?.contains("listening");
        Ok((daemon.ended()?.is_some() || listens).then_some(()))
    });
    settled.unwrap();
    daemon.stop(SOON).unwrap();
    (log.clone(), std::fs::read(log).unwrap())
}

fn change(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let before = std::fs::read(path).unwrap();
    std::fs::write(path, change(before.clone())).unwrap();
    before
}

/// Changes a byte of a file that somebody may be writing.
fn flip_in_place(path: &Path, at: u64) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

/// Every file that can be damaged is, one after the other, and every refusal is looked at: while it runs, and at a start.
#[test]
fn what_is_damaged_is_told_without_what_stands_in_it() {
    let disk = LoopVolume::new(FileSystem::Ext4, 128).unwrap();
    let yard = Mount::new("/yard", Video::Yard).with_login("watcher", CAMERA_PASSWORD);
    let server = RtspServer::start(vec![yard]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &disk.mount_point().join("site"), &[]).unwrap();
    let camera = CameraFile::new(1, "yard", &server.url("/yard")).with_login("watcher", CAMERA_PASSWORD);
    site.save_camera(&camera).unwrap();
    let running = site.serve(&dir.path().join("log"), &[], &[("RUST_LOG", "trace")]).unwrap();
    let mut scene = Scene::of(running, site, server, dir);
    scene.wait_for_cameras(&[1]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let (mut staff, mut officer, mut viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let mut ask = || {
        let request = json!({"kind": "viewing", "cameras": [1], "span": span.to_json().unwrap(), "purpose": PURPOSE,
            "person": {"name": PERSON, "contact": CONTACT, "birth_date": "1971-02-03"}});
        let number =
            staff.api.post("/v1/requests", &request).unwrap().expect_status(201).unwrap().json["number"].clone();
        staff.identify(&number).unwrap().expect_status(200).unwrap();
        number
    };
    let (shown, undecided) = (ask(), ask());
    let grant = officer.approve(&shown, &viewer.number).unwrap().expect_status(200).unwrap().json["grant"].clone();
    let state = scene.site.dir().join("state");
    let flip = |at: usize| {
        move |mut bytes: Vec<u8>| -> Vec<u8> {
            bytes[at] ^= 1;
            bytes
        }
    };

    // Segments whose pictures, keys and heads are changed; a grant, a request, the desk; a ledger that takes no row.
    viewer.begin_viewing(&grant).unwrap().expect_status(201).unwrap();
    let playlist = Person::playlist(&grant, 1);
    let mut answers = Vec::new();
    let segments = support::stored::segments(&scene.site.volume()).unwrap();
    for at in [4096 + 40, 100, 20] {
        segments.iter().for_each(|segment| flip_in_place(&segment.path, at));
        answers.push(viewer.api.get(&playlist).unwrap());
        assert_ne!(answers.last().unwrap().status, 200, "byte {at} of each segment was changed");
        segments.iter().for_each(|segment| flip_in_place(&segment.path, at));
    }
    viewer.api.get(&playlist).unwrap().expect_status(200).unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    for (path, at) in [(format!("grants/{:08x}", grant.as_u64().unwrap()), 4096 + 50), ("desk".to_owned(), 0)] {
        let before = change(&state.join(&path), flip(at));
        answers.push(viewer.api.get(&playlist).unwrap());
        answers.push(
            scene
                .running
                .browser()
                .post("/v1/session", &json!({"name": "staff", "password": staff.account.password}))
                .unwrap(),
        );
        std::fs::write(state.join(path), before).unwrap();
    }
    let request = state.join(format!("requests/{:08x}", shown.as_u64().unwrap()));
    let whole = std::fs::read(&request).unwrap();
    for damaged in
        [&whole[..whole.len() - 9], &b"{\"version\": 2}"[..], b"Gildong-Zaphod", b"{\"version\": \"Beeblebrox\"}"]
    {
        std::fs::write(&request, damaged).unwrap();
        answers.push(staff.api.get(&format!("/v1/requests/{shown}")).unwrap());
    }
    std::fs::write(&request, whole).unwrap();
    let files = scene.site.ledger_files().unwrap();
    let freeze = |flag: &str| {
        run(std::process::Command::new("chattr").arg(flag).args(&files), "", SOON).unwrap().succeeded().unwrap()
    };
    freeze("+i");
    let refused = officer.approve(&undecided, &viewer.number).unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    answers.push(refused);
    answers.push(viewer.api.get(&playlist).unwrap());
    freeze("-i");
    scene.running.daemon.stop(SOON).unwrap();

    let mut said: Vec<(PathBuf, Vec<u8>)> = vec![("the log".into(), scene.running.daemon.log().unwrap().into_bytes())];
    for (index, answer) in answers.into_iter().enumerate() {
        said.push((PathBuf::from(format!("answer {index}, {}", answer.status)), answer.body));
    }

    // At a start: each file of the state cut short, overwritten, or open to others; wrong settings with secrets in them.
    let secret_in_toml = format!("password = \"{URL_PASSWORD}\"\n");
    let mut files = vec![scene.site.ledger_files().unwrap()[0].clone(), scene.site.dir().join("site.toml")];
    files.extend(
        ["signing.key", "desk", "people/00000001", "people/00000004", "holds", "clock", "site"]
            .map(|name| state.join(name)),
    );
    files.extend([
        scene.site.camera_path(1),
        scene.site.dir().join("passwords/camera-1"),
        scene.site.volume().join("volume"),
    ]);
    for (number, file) in files.iter().enumerate() {
        for (how, damage) in [
            ("cut", &(|bytes: &[u8]| bytes[..bytes.len() / 2].to_vec()) as &dyn Fn(&[u8]) -> Vec<u8>),
            ("more", &|bytes: &[u8]| [bytes, secret_in_toml.as_bytes()].concat()),
        ] {
            let before = change(file, |bytes| damage(&bytes));
            said.push(start_told(&scene, &format!("start-{number}-{how}")));
            std::fs::write(file, before).unwrap();
        }
        let rights = std::fs::metadata(file).unwrap().permissions();
        std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        said.push(start_told(&scene, &format!("start-{number}-open")));
        std::fs::set_permissions(file, rights).unwrap();
    }
    let verified = scene.site.run("verify", &["--deep"]).unwrap();
    said.push(("verify".into(), (verified.stdout + &verified.stderr).into_bytes()));

    let signing = std::fs::read(state.join("signing.key")).unwrap();
    let mut never: Vec<String> = scene.site.accounts.iter().map(|account| account.password.clone()).collect();
    never.extend(
        [CAMERA_PASSWORD, URL_PASSWORD, PERSON, "Zaphod", "Beeblebrox", CONTACT, "1971-02-03"].map(str::to_owned),
    );
    never.extend([scene.site.recovery_key.clone(), hex::encode(&signing)]);
    assert_eq!(leaks(&said, &never), Vec::<String>::new());
    let wanted = said.len();
    assert!(wanted > 40, "{wanted}");
    let (refused, loud) = said.iter().filter(|(path, _)| path.to_string_lossy().contains("start-")).fold(
        (0, 0),
        |(refused, loud), (_, log)| {
            let text = String::from_utf8_lossy(log);
            (
                refused + u32::from(text.contains("custodian: ")),
                loud + u32::from(text.contains("ERROR") || text.contains("custodian: ")),
            )
        },
    );
    assert!(refused >= 14 && loud >= 20, "{refused} refused to start, {loud} said what is wrong");
    drop(scene);
    drop(disk);
}

fn passwords_len(scene: &Scene) -> usize {
    scene.site.accounts.len()
}

#[test]
fn a_search_for_leaks_finds_every_form() {
    let text = format!("홍-{}", random_text(4).unwrap());
    for form in forms(&text) {
        let place = (PathBuf::from("here"), [b"noise".to_vec(), form, b"noise".to_vec()].concat());
        assert_eq!(leaks(&[place], std::slice::from_ref(&text)).len(), 1);
    }
    assert!(leaks(&[(PathBuf::from("here"), b"noise".to_vec())], &[text]).is_empty());
}
