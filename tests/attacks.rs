//! What somebody tries who means no good, against the real daemon. Elsewhere: grants of other viewers and every role at every
//! route (`roles.rs`), a ledger that cannot be written (`bad_input.rs`), a full disk below it (`full_disk.rs`), guesses in
//! their hundreds at once (`access::tests::attacks`), secrets in answers and files (`secrets.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, Instant};
use support::api::Api;
use support::commands::pass;
use support::daemon::program;
use support::peers::{Mount, Video};
use support::raw_http::{RawHttp, exchange, status};
use support::scene::{Scene, have_approved, slug};
use support::site::{CameraFile, Person, Running, Site};

const COOKIE: &str = "__Host-custodian";
const SOON: Duration = Duration::from_secs(10);
/// A head or a body must be there within 20 s; the machine may be busy.
const CUT_OFF: Duration = Duration::from_secs(40);

struct House {
    running: Running,
    site: Site,
    _dir: tempfile::TempDir,
}

fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let site =
        Site::init(&program().unwrap(), &dir.path().join("site"), &["--name", "Test", "--allow-unproven"]).unwrap();
    let running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    House { running, site, _dir: dir }
}

impl House {
    fn sign_in(&self, name: &str) -> Person {
        self.running.sign_in(&self.site, name).unwrap()
    }

    fn base(&self) -> &str {
        &self.running.base
    }

    /// The ledger's newest row: whether anything happened.
    fn head(&self, officer: &mut Person) -> Value {
        officer.api.get("/v1/ledger/head").unwrap().expect_status(200).unwrap().json["sequence"].clone()
    }
}

fn with_cookie(base: &str, token: &str) -> Api {
    let mut api = Api::new(base);
    api.set_header("Cookie", &format!("{COOKIE}={token}"));
    api
}

#[test]
fn who_guesses_has_to_wait_and_locks_nobody_out_for_ever() {
    let house = house();
    let sign_in = |name: &str, password: &str| {
        let body = json!({"name": name, "password": password});
        house.running.browser().post("/v1/session", &body).unwrap()
    };
    let refused = (0..30).map(|_| sign_in("deputy", "a wrong guess")).find(|told| told.status == 429).unwrap();
    assert_eq!(slug(&refused.json), "too-many-attempts", "{}", refused.text());
    let wait_s: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait_s), "{wait_s} s");
    // The right password has to wait as well, or a guess would tell by its answer that it was right.
    let password = house.site.account("deputy").unwrap().password.clone();
    assert_eq!(sign_in("deputy", &password).status, 429);
    house.sign_in("officer");
    pass(Duration::from_secs(wait_s));
    assert_eq!(sign_in("deputy", &password).status, 200);
    let mut officer = house.sign_in("officer");
    let rows = officer.api.get("/v1/ledger?limit=1000").unwrap().expect_status(200).unwrap().json["rows"].clone();
    let failed = rows.as_array().unwrap().iter().filter(|row| row["act"]["kind"] == "sign-in-failed");
    assert!(failed.count() >= 1, "it is on record: {rows}");
}

#[test]
fn a_session_that_somebody_chose_beforehand_is_not_the_one_that_is_given() {
    let house = house();
    let chosen = "0123456789abcdef".repeat(4);
    let account = house.site.account("officer").unwrap();
    let mut victim = with_cookie(house.base(), &chosen);
    let told = victim.post("/v1/session", &json!({"name": account.name, "password": account.password})).unwrap();
    let told = told.expect_status(200).unwrap();
    let cookie = told.header("set-cookie").unwrap();
    assert!(!cookie.contains(&chosen), "{cookie}");
    for flag in ["__Host-", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!cookie.to_ascii_lowercase().contains("domain"), "{cookie}");
    with_cookie(house.base(), &chosen).get("/v1/session").unwrap().expect_status(401).unwrap();
    // Nor is the next one of the same person's like the one before.
    let tokens: Vec<String> = (0..2).map(|_| token(&house.sign_in("officer"))).collect();
    assert_ne!(tokens[0], tokens[1]);
}

fn token(person: &Person) -> String {
    person.api.cookie(COOKIE).unwrap().to_owned()
}

#[test]
fn a_stolen_cookie_is_worth_nothing_once_its_session_is_over() {
    let house = house();
    let works = |token: &str| with_cookie(house.base(), token).get("/v1/session").unwrap().status == 200;
    // Signed out.
    let mut staff = house.sign_in("staff");
    let stolen = token(&staff);
    assert!(works(&stolen));
    staff.api.delete("/v1/session").unwrap().expect_status(204).unwrap();
    assert!(!works(&stolen));
    // Another password: sessions elsewhere are over, the own one goes on.
    let elsewhere = token(&house.sign_in("viewer"));
    let mut viewer = house.sign_in("viewer");
    let body = json!({
        "name": "viewer", "password": viewer.account.password, "new_password": "quite another password",
    });
    viewer.api.post("/v1/session/password", &body).unwrap().expect_status(204).unwrap();
    assert!(!works(&elsewhere) && works(&token(&viewer)));
    // Ended by an officer; rights removed by one.
    let mut officer = house.sign_in("officer");
    let ended = token(&house.sign_in("staff"));
    let sessions = officer.api.get("/v1/sessions").unwrap().expect_status(200).unwrap().json["sessions"].clone();
    let of_staff = sessions.as_array().unwrap().iter().find(|session| session["name"] == "staff").unwrap();
    let path = format!("/v1/sessions/{}", of_staff["session"].as_str().unwrap());
    officer.api.delete(&path).unwrap().expect_status(204).unwrap();
    assert!(!works(&ended));
    let staff = house.sign_in("staff");
    let body = json!({"reason": "left", "password": officer.account.password});
    officer.api.post(&format!("/v1/accounts/{}/removal", staff.number), &body).unwrap().expect_status(200).unwrap();
    assert!(!works(&token(&staff)));
    // What a session is called in a list is no token.
    let name = sessions[0]["session"].as_str().unwrap();
    assert!(!works(name) && !works(&name.repeat(4)));
}

#[test]
fn no_other_site_changes_anything_in_somebodys_name() {
    let house = house();
    let mut officer = house.sign_in("officer");
    let foreign: [&[(&str, &str)]; 6] = [
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
        &[("Origin", "http://127.0.0.1:1")],
        &[("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "http://evil.example")],
        // No browser that says nothing about itself.
        &[],
    ];
    let password = officer.account.password.clone();
    let account = json!({"name": "mole", "role": "officer", "reason": "x", "password": password}).to_string();
    let before = house.head(&mut officer);
    for lines in foreign {
        let mut page = officer.api.clone();
        page.drop_header("Origin");
        lines.iter().for_each(|(name, value)| page.set_header(name, value));
        for (method, path) in [("POST", "/v1/accounts"), ("DELETE", "/v1/session"), ("POST", "/v1/clock/confirmation")]
        {
            let told = page.send(method, path, Some(account.clone().into_bytes())).unwrap();
            assert_eq!((told.status, slug(&told.json)), (403, "cross-site"), "{lines:?} {method} {path}");
        }
        // Nor is anything read, which would be on record in somebody's name. A program that is no browser reads.
        let told = page.get("/v1/accounts").unwrap();
        let wanted = if lines.is_empty() { (200, "") } else { (403, "cross-site") };
        assert_eq!((told.status, slug(&told.json)), wanted, "{lines:?}");
        assert_eq!(told.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(told.header("access-control-allow-origin"), None);
    }
    assert_eq!(house.head(&mut officer), before, "something happened");
    // A form of another site can send these three kinds, and none is taken.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let mut page = officer.api.clone();
        page.set_header("Content-Type", kind);
        let told = page.send("POST", "/v1/accounts", Some(account.clone().into_bytes())).unwrap();
        assert_eq!((told.status, slug(&told.json)), (415, "not-json"), "{kind}");
    }
    // Signing somebody in as somebody else is refused as well.
    let mut page = house.running.browser();
    page.set_header("Origin", "http://evil.example");
    let told = page.post("/v1/session", &json!({"name": "officer", "password": password})).unwrap();
    assert_eq!((told.status, slug(&told.json)), (403, "cross-site"));
    assert_eq!(told.header("set-cookie"), None);
}

#[test]
fn odd_paths_lead_nowhere() {
    let house = house();
    let mut officer = house.sign_in("officer");
    let cookie = format!("Cookie: {COOKIE}={}", token(&officer));
    let secrets = ["recovery", "argon2", "[site]", "root:", "BEGIN"];
    for path in [
        "/../site.toml",
        "/%2e%2e/site.toml",
        "/..%2fsite.toml",
        "/..\\site.toml",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/../../../../etc/passwd",
        "//etc/passwd",
        "/app.js/../../state/site",
        "/app.js%00.html",
        "/state/site",
        "/v1/../v1/accounts",
        "/v1/%2e%2e/v1/accounts",
        "/v1//accounts",
        "/V1/accounts",
        "/v1/accounts/",
        "/v1/accounts/1/../2/history",
        "/v1/accounts/%31%2f..%2f2/history",
        "/v1/grants/1/cameras/1/..%2f..%2f/playlist.m3u8",
        "/v1/grants/1/cameras/1/0000000000000000/..%2finit.mp4",
        "/v1/destructions/days/..%2f..%2f",
        "/v1/requests/-1",
        "/v1/requests/99999999999999999999",
        "/v1/requests/1%20OR%201=1",
        "/v1/requests/%00",
        "http://evil.example/v1/accounts/",
        "*",
    ] {
        let told = exchange(house.base(), &format!("GET {path} HTTP/1.1\r\n{cookie}"), b"", SOON).unwrap();
        let found = status(&told);
        assert!(matches!(found, Some(400 | 404 | 405 | 422)), "{path}: {told}");
        assert!(!secrets.iter().any(|secret| told.contains(secret)), "{path}: {told}");
    }
    for method in ["TRACE", "CONNECT", "OPTIONS", "PROPFIND", "get"] {
        let told = exchange(house.base(), &format!("{method} /v1/accounts HTTP/1.1\r\n{cookie}"), b"", SOON).unwrap();
        assert!(status(&told).is_none_or(|status| (400..500).contains(&status)), "{method}: {told}");
    }
    officer.api.get("/v1/accounts").unwrap().expect_status(200).unwrap();
}

#[test]
fn what_is_too_large_is_refused_before_it_is_read() {
    let house = house();
    let post = "POST /v1/session HTTP/1.1\r\nContent-Type: application/json";
    // A word of it is enough.
    let told = exchange(house.base(), &format!("{post}\r\nContent-Length: 999999999999"), b"{", SOON).unwrap();
    assert_eq!(status(&told), Some(413), "{told}");
    let body = format!("{{\"name\":\"{}\",\"password\":\"x\"}}", "x".repeat(64 << 10));
    let told =
        exchange(house.base(), &format!("{post}\r\nContent-Length: {}", body.len()), body.as_bytes(), SOON).unwrap();
    assert_eq!(status(&told), Some(413), "{told}");
    let mut chunks = Vec::new();
    for _ in 0..80 {
        chunks.extend_from_slice(format!("400\r\n{}\r\n", "x".repeat(0x400)).as_bytes());
    }
    let told = exchange(house.base(), &format!("{post}\r\nTransfer-Encoding: chunked"), &chunks, SOON).unwrap();
    assert_eq!(status(&told), Some(413), "{told}");
    // Two lengths, or a length and chunks: what one side reads as a body another might read as a request.
    for lengths in ["Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\nX: 1"]
    {
        let told = exchange(house.base(), &format!("{post}\r\n{lengths}"), b"{}x", SOON).unwrap();
        assert!(status(&told).is_none_or(|status| (400..500).contains(&status)), "{lengths}: {told}");
    }
    let head = format!("GET /v1/health HTTP/1.1\r\nX: {}", "x".repeat(200 << 10));
    let told = exchange(house.base(), &head, b"", SOON).unwrap_or_default();
    assert!(matches!(status(&told), None | Some(431)), "{told}");
    let head = format!("GET /v1/health?{} HTTP/1.1", "x".repeat(100 << 10));
    let told = exchange(house.base(), &head, b"", SOON).unwrap_or_default();
    assert!(matches!(status(&told), None | Some(414 | 431)), "{told}");
    let deep = "[".repeat(30_000);
    let told =
        exchange(house.base(), &format!("{post}\r\nContent-Length: {}", deep.len()), deep.as_bytes(), SOON).unwrap();
    assert_eq!(status(&told), Some(422), "{told}");
    house.sign_in("officer");
}

#[test]
fn who_is_slow_is_let_go_of_and_keeps_nobody_else_out() {
    let house = house();
    let connect = || RawHttp::connect(house.base(), CUT_OFF).unwrap();
    let began = Instant::now();
    // Nothing at all; half a head; half a body.
    let mut silent: Vec<RawHttp> = (0..60).map(|_| connect()).collect();
    let mut half_heads: Vec<RawHttp> = (0..60).map(|_| connect()).collect();
    for raw in &mut half_heads {
        raw.write(b"GET /v1/health HTTP/1.1\r\nHost: x\r\nX-").unwrap();
    }
    let mut half_body = connect();
    half_body
        .write(b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{")
        .unwrap();
    // One byte a second is slow, too.
    let mut dripping = connect();
    dripping.write(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n").unwrap();
    while began.elapsed() < CUT_OFF && dripping.write(b"X").is_ok() {
        let asked = Instant::now();
        house.running.browser().get("/v1/health").unwrap().expect_status(200).unwrap();
        assert!(asked.elapsed() < SOON, "others wait {:?}", asked.elapsed());
        pass(Duration::from_secs(1));
    }
    assert!(began.elapsed() < CUT_OFF, "who drips is served for ever");
    let told = half_body.read_all().unwrap();
    assert_eq!(status(&told), Some(408), "{told}");
    for raw in half_heads.iter_mut().chain(&mut silent) {
        let told = raw.read_all().unwrap();
        assert!(matches!(status(&told), None | Some(408)), "{told}");
    }
}

#[test]
fn a_decision_that_is_sent_again_is_no_second_one() {
    let mut scene = Scene::start(vec![Mount::new("/yard", Video::Yard)], |server| {
        vec![CameraFile::new(1, "yard", &server.url("/yard"))]
    })
    .unwrap();
    scene.wait_for_cameras(&[1]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(2)).unwrap();
    let (mut staff, mut officer, mut viewer) =
        (scene.sign_in("staff").unwrap(), scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    let approved = have_approved(&mut staff, &mut officer, &viewer, &[1], span).unwrap();
    let (number, grant) = (approved["number"].clone(), approved["grant"].clone());
    let grants = |viewer: &mut Person| {
        viewer.api.get("/v1/grants").unwrap().expect_status(200).unwrap().json["grants"].as_array().unwrap().len()
    };
    for _ in 0..2 {
        let again = officer.approve(&number, &viewer.number).unwrap();
        assert_eq!((again.status, slug(&again.json)), (409, "wrong-state"), "{}", again.text());
    }
    let mut deputy = scene.sign_in("deputy").unwrap();
    assert_eq!(deputy.approve(&number, &viewer.number).unwrap().status, 409);
    assert_eq!(grants(&mut viewer), 1);
    // Nor does it open again what was closed, before and after a restart.
    staff.close(&number).unwrap().expect_status(200).unwrap();
    assert_eq!(officer.approve(&number, &viewer.number).unwrap().status, 409);
    let playlist = Person::playlist(&grant, 1);
    assert_eq!(viewer.api.get(&playlist).unwrap().status, 403);
    scene.running.stop().unwrap();
    scene.serve_again().unwrap();
    let (mut officer, mut viewer) = (scene.sign_in("officer").unwrap(), scene.sign_in("viewer").unwrap());
    assert_eq!(officer.approve(&number, &viewer.number).unwrap().status, 409);
    assert_eq!(viewer.api.get(&playlist).unwrap().status, 403);
}

#[test]
fn every_answer_carries_the_strict_headers() {
    let house = house();
    let mut officer = house.sign_in("officer");
    for (path, wanted) in [("/", 200), ("/app.js", 200), ("/v1/health", 200), ("/v1/accounts", 200), ("/nothing", 404)]
    {
        let told = officer.api.get(path).unwrap().expect_status(wanted).unwrap();
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(told.header(name), Some(value), "{path}");
        }
        let policy = told.header("content-security-policy").unwrap();
        for rule in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert!(told.header("permissions-policy").unwrap().contains("camera=()"));
        assert_eq!(told.header("strict-transport-security"), None, "not without TLS");
        assert_eq!(told.header("server"), None);
    }
}
