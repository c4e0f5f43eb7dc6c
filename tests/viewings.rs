//! Viewings over the real program and real sockets: what ends one ends an answer that is on its way, also to somebody who
//! hardly reads; where it is watched; what a crash leaves of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use support::commands::{pass, run, wait_until};
use support::daemon::program;
use support::peers::{Mount, Video};
use support::probe;
use support::scene::{PATIENCE, Scene, pictures, slug};
use support::site::{CameraFile, Person};
use support::spans::AskedSpan;

const YARD: u16 = 1;
/// What the two kernels and the program itself may hold of an answer that nobody reads.
const ON_ITS_WAY_BYTES: usize = 600 << 10;

fn yard() -> Scene {
    let mounts = vec![Mount::new("/yard", Video::Yard)];
    Scene::start(mounts, |server| vec![CameraFile::new(YARD, "yard", &server.url("/yard"))]).unwrap()
}

fn approved(scene: &Scene, span: AskedSpan, viewer: &Person, conditions: &Value) -> (Value, Value) {
    let (mut staff, mut officer) = (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap());
    let asked = json!({
        "kind": if conditions["copy"] == true { "copy" } else { "viewing" }, "cameras": [YARD],
        "span": span.to_json().unwrap(), "purpose": "lost property",
        "person": {"name": "Hong Gildong", "contact": "02-000-0000"},
    });
    let number = staff.api.post("/v1/requests", &asked).unwrap().expect_status(201).unwrap().json["number"].clone();
    staff.identify(&number).unwrap().expect_status(200).unwrap();
    let decision = json!({
        "decision": "approve", "viewer": viewer.number, "conditions": conditions, "password": officer.account.password,
    });
    let path = format!("/v1/requests/{number}/decision");
    let told = officer.api.post(&path, &decision).unwrap().expect_status(200).unwrap();
    (number, told.json["grant"].clone())
}

/// A connection of a peer that has hardly any room for what comes, from an address of this machine.
fn narrow(base: &str, from: Ipv4Addr) -> Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
    let to: SocketAddr = base.trim_start_matches("http://").parse()?;
    let made = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_recv_buffer_size(&made, 4 << 10)?;
    bind(&made, &SocketAddrV4::new(from, 0))?;
    connect(&made, &to)?;
    Ok(TcpStream::from(made))
}

/// Asks for a path as somebody who is signed in, and reads up to the end of the head.
fn ask(stream: &mut TcpStream, who: &Person, path: &str) -> Result<String> {
    let (_, headers) = who.for_player(path);
    let cookie = headers.iter().find(|(name, _)| name == "Cookie").context("no cookie")?.1.clone();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head)?)
}

/// Reads a little, ten times a second, until so much has come.
fn sip(stream: &mut TcpStream, bytes: usize) -> Result<()> {
    let mut taken = 0;
    let mut sip = [0; 8 << 10];
    while taken < bytes {
        let some = stream.read(&mut sip)?;
        ensure!(some > 0, "it ended after {taken} bytes");
        taken += some;
        pass(Duration::from_millis(20));
    }
    Ok(())
}

/// Everything that still comes, as slowly, and how long until it breaks off.
fn until_broken_off(stream: &mut TcpStream) -> Result<(usize, Duration)> {
    let began = Instant::now();
    let mut taken = 0;
    let mut sip = [0; 4 << 10];
    loop {
        match stream.read(&mut sip) {
            Ok(0) => anyhow::bail!("it came to its end in order, after {taken} bytes more"),
            Ok(some) => taken += some,
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok((taken, began.elapsed())),
            Err(e) => return Err(e.into()),
        }
        pass(Duration::from_millis(20));
    }
}

fn rows(officer: &mut Person) -> Vec<Value> {
    let mut rows: Vec<Value> = Vec::new();
    loop {
        let after = rows.last().map_or(json!(0), |row| row["sequence"].clone());
        let told = officer.api.get(&format!("/v1/ledger?after={after}&limit=200")).unwrap().expect_status(200).unwrap();
        let more = told.json["rows"].as_array().unwrap().clone();
        if more.len() < 100 {
            rows.extend(more);
            return rows;
        }
        rows.extend(more);
    }
}

fn acts<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().map(|row| &row["act"]).filter(|act| act["kind"] == kind).collect()
}

/// Ends a viewing from outside.
type End = (&'static str, fn(&Scene, &Value, &Value), &'static str);

const ENDS: [End; 4] = [
    (
        "an officer takes it back",
        |scene, _, grant| {
            let mut officer = scene.sign_in("officer").unwrap();
            let path = format!("/v1/grants/{grant}/revocation");
            officer.api.post(&path, &json!({"ground": "misused"})).unwrap().expect_status(204).unwrap();
        },
        "grant-ended",
    ),
    (
        "its request is closed",
        |scene, request, _| drop(scene.sign_in("staff").unwrap().close(request).unwrap().expect_status(200).unwrap()),
        "grant-ended",
    ),
    (
        "an officer ends the session",
        |scene, _, _| {
            let mut officer = scene.sign_in("officer").unwrap();
            let told = officer.api.get("/v1/sessions").unwrap().expect_status(200).unwrap().json;
            for line in told["sessions"].as_array().unwrap().iter().filter(|line| line["name"] == "viewer") {
                let path = format!("/v1/sessions/{}", line["session"].as_str().unwrap());
                officer.api.delete(&path).unwrap().expect_status(204).unwrap();
            }
        },
        "session-ended",
    ),
    (
        "the account's rights are removed",
        |scene, _, _| {
            let mut officer = scene.sign_in("officer").unwrap();
            let password = officer.account.password.clone();
            let viewer = scene.site.account("viewer").unwrap().name;
            let told = officer.api.get("/v1/accounts").unwrap().expect_status(200).unwrap().json;
            let found = told["accounts"].as_array().unwrap().iter().find(|one| one["name"] == viewer).unwrap().clone();
            let removal = json!({"reason": "left", "password": password});
            let path = format!("/v1/accounts/{}/removal", found["account"]);
            officer.api.post(&path, &removal).unwrap().expect_status(200).unwrap();
        },
        "grant-ended",
    ),
];

#[test]
fn what_ends_a_viewing_breaks_off_what_is_on_its_way_within_a_second() {
    let mut scene = yard();
    scene.wait_for_cameras(&[YARD]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(20)).unwrap();
    let mut whole = 0;
    for (what, end, how) in ENDS {
        let mut viewer = scene.sign_in("viewer").unwrap();
        let (request, grant) = approved(&scene, span, &viewer, &json!({"copy": true}));
        let path = format!("/v1/grants/{grant}/cameras/{YARD}/film.mp4");
        viewer.begin_viewing(&grant).unwrap().expect_status(201).unwrap();
        if whole == 0 {
            let film = viewer.api.get(&path).unwrap().expect_status(200).unwrap();
            whole = film.body.len();
            assert!(whole > ON_ITS_WAY_BYTES + (200 << 10), "the film is too small to tell: {whole} bytes");
        }
        // One who reads slowly, and one who does not read at all.
        let mut slow = narrow(&scene.running.base, Ipv4Addr::LOCALHOST).unwrap();
        let mut stalled = narrow(&scene.running.base, Ipv4Addr::LOCALHOST).unwrap();
        for stream in [&mut slow, &mut stalled] {
            let head = ask(stream, &viewer, &path).unwrap();
            assert!(head.starts_with("HTTP/1.1 200"), "{what}: {head}");
        }
        sip(&mut slow, 100 << 10).unwrap();
        end(&scene, &request, &grant);
        let (more, took) = until_broken_off(&mut slow).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(took < Duration::from_secs(1), "{what}: it went on for {took:?}");
        assert!(100 * 1024 + more < whole - (100 << 10), "{what}: {more} bytes more came");
        let (left, _) = until_broken_off(&mut stalled).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(left < ON_ITS_WAY_BYTES, "{what}: {left} bytes stood in buffers");

        let mut officer = scene.sign_in("officer").unwrap();
        let seen = wait_until("the end is on record", PATIENCE, || {
            let rows = rows(&mut officer);
            let ended = acts(&rows, "viewing-ended").into_iter().find(|act| act["grant"] == grant).cloned();
            // Each row of what broke off follows when that is noticed.
            let of_grant = |act: &&&Value| act["of"]["grant"] == grant && act["of"]["broken_off"] == true;
            let broken_off = acts(&rows, "view-served").iter().filter(of_grant).count();
            Ok(ended.filter(|_| broken_off >= 2).map(|ended| (ended, rows, broken_off)))
        });
        let (ended, rows, broken_off) = seen.unwrap_or_else(|e| panic!("{what}: both are recorded: {e}"));
        assert_eq!(ended["how"], how, "{what}: {ended}");
        assert_eq!(broken_off, 2, "{what}: both are recorded as far as they came");
        assert!(acts(&rows, "view-intended").iter().any(|act| act["grant"] == grant && act["copy"] == true));
    }
}

#[test]
fn a_copy_is_the_whole_film_and_a_grant_without_one_gives_none() {
    let mut scene = yard();
    scene.wait_for_cameras(&[YARD]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(4)).unwrap();
    let mut viewer = scene.sign_in("viewer").unwrap();
    let (request, grant) = approved(&scene, span, &viewer, &json!({"copy": true}));
    let shown = pictures(&viewer, &grant, YARD).unwrap();
    let path = format!("/v1/grants/{grant}/cameras/{YARD}/film.mp4");
    let film = viewer.api.get(&path).unwrap().expect_status(200).unwrap();
    assert_eq!(film.header("content-type"), Some("video/mp4"));
    assert!(film.header("content-disposition").unwrap().contains("attachment"));
    let file = scene.dir.path().join("film.mp4");
    std::fs::write(&file, &film.body).unwrap();
    assert_eq!(probe::picture_digests(file.to_str().unwrap(), &[]).unwrap(), shown);
    // It says what it is a copy of, and carries a checkpoint of the ledger out of the house.
    let carried = String::from_utf8_lossy(&film.body[..film.body.len().min(4096)]).into_owned();
    assert!(carried.contains(&format!("custodian copy request={request} grant={grant} camera={YARD}\n")), "{carried}");
    let verify = |ledger: &[PathBuf]| {
        let mut verify = Command::new(program().unwrap());
        verify.args(["ledger", "verify", "--json", "--checkpoint"]).arg(&file).args(ledger);
        run(&mut verify, "", PATIENCE).unwrap()
    };
    let ledger = scene.site.ledger_files().unwrap();
    let told = verify(&ledger);
    assert!(told.status.success(), "{told:?}");
    // Without the rows that it speaks for: cut off.
    let cut = scene.dir.path().join("cut.jsonl");
    let text = std::fs::read_to_string(&ledger[0]).unwrap();
    let kept: String = text.lines().take(3).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&cut, kept).unwrap();
    let told = verify(&[cut]);
    assert!(!told.status.success(), "{told:?}");

    let (_, watched) = approved(&scene, span, &viewer, &json!({}));
    viewer.begin_viewing(&watched).unwrap().expect_status(201).unwrap();
    let told = viewer.api.get(&path.replace(&format!("grants/{grant}"), &format!("grants/{watched}"))).unwrap();
    assert_eq!((told.status, slug(&told.json)), (403, "no-copy"), "{}", told.text());

    // What must be masked is not shown while nothing can mask it.
    let (_, masked) = approved(&scene, span, &viewer, &json!({"masking": true}));
    let told = viewer.begin_viewing(&masked).unwrap();
    assert_eq!((told.status, slug(&told.json)), (403, "masking-wanted"), "{}", told.text());
    assert!(told.text().contains("cannot mask yet"), "{}", told.text());
    let told = viewer.api.get(&Person::playlist(&masked, YARD)).unwrap();
    assert_eq!((told.status, slug(&told.json)), (403, "masking-wanted"), "{}", told.text());
}

#[test]
fn it_is_watched_where_and_as_often_as_was_decided_and_a_crash_gives_no_viewing_back() {
    let mut scene = yard();
    let file = scene.site.dir().join("site.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let places = "\n[[terminals]]\nname = \"server room\"\naddresses = [\"127.0.0.2\"]\n";
    std::fs::write(&file, settings + places).unwrap();
    scene.running.stop().unwrap();
    scene.serve_again().unwrap();
    scene.wait_for_cameras(&[YARD]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(3)).unwrap();
    let mut viewer = scene.sign_in("viewer").unwrap();
    let (_, grant) = approved(&scene, span, &viewer, &json!({"terminal": "server room"}));
    let told = viewer.begin_viewing(&grant).unwrap();
    assert_eq!((told.status, slug(&told.json)), (403, "other-place"), "{}", told.text());
    assert!(told.text().contains("server room"), "{}", told.text());
    // From the place itself it goes on to whether a viewing has begun; from here it does not come so far.
    for (from, status) in [(Ipv4Addr::new(127, 0, 0, 2), "409"), (Ipv4Addr::LOCALHOST, "403")] {
        let mut stream = narrow(&scene.running.base, from).unwrap();
        let head = ask(&mut stream, &viewer, &Person::playlist(&grant, YARD)).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "from {from}: {head}");
    }
    let known = viewer.api.get("/v1/terminals").unwrap().expect_status(200).unwrap().json;
    assert_eq!(known, json!({"terminals": [{"name": "server room", "is_here": false}]}));

    let (_, counted) = approved(&scene, span, &viewer, &json!({"viewings": 2, "present": true}));
    let path = format!("/v1/grants/{counted}/viewing");
    let told = viewer.api.post(&path, &json!({"present": false})).unwrap();
    assert_eq!((told.status, slug(&told.json)), (422, "not-present"), "{}", told.text());
    assert!(!pictures(&viewer, &counted, YARD).unwrap().is_empty());
    let mut second = scene.sign_in("viewer").unwrap();
    let told = second.begin_viewing(&counted).unwrap();
    assert_eq!((told.status, slug(&told.json)), (409, "viewing-under-way"), "{}", told.text());
    viewer.end_viewing(&counted).unwrap().expect_status(200).unwrap();
    second.begin_viewing(&counted).unwrap().expect_status(201).unwrap();
    scene.running.daemon.kill().unwrap();
    scene.serve_again().unwrap();
    let mut viewer = scene.sign_in("viewer").unwrap();
    let told = viewer.begin_viewing(&counted).unwrap();
    assert_eq!(told.status, 403, "{}", told.text());
    assert!(["viewings-used", "no-grant"].contains(&slug(&told.json)), "{}", told.text());
    let mut officer = scene.sign_in("officer").unwrap();
    wait_until("the grant has ended", PATIENCE, || {
        let ended = rows(&mut officer).into_iter().map(|row| row["act"].clone()).find(|act| {
            act["kind"] == "grant-ended" && act["grant"] == counted && act["why"]["kind"] == "viewings-used"
        });
        Ok(ended)
    })
    .unwrap();
    let rows = rows(&mut officer);
    let ended: Vec<_> = acts(&rows, "viewing-ended").iter().map(|act| act["how"].clone()).collect();
    assert_eq!(ended, [json!("viewer"), json!("stopped")]);
    // Each row of a viewing says what, whose, when it was filmed and in which viewing, by itself.
    for act in acts(&rows, "view-served") {
        let of = &act["of"];
        assert!(of["span"]["from"].is_string() && of["request"].is_u64() && of["viewing"].is_u64(), "{act}");
        assert_eq!((&of["grant"], &of["camera"]), (&counted, &json!(YARD)), "{act}");
    }
    assert!(!scene.site.dir().join(format!("state/grants/{:08x}", counted.as_u64().unwrap())).exists());
    scene.running.stop().unwrap();
    let told = scene.site.run("verify", &["--deep"]).unwrap();
    assert!(told.status.success(), "{} {}", told.stdout, told.stderr);
}
