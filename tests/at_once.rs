//! Two at once: a button that is clicked twice, a request that is sent again, two officers who decide the same thing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support::api::{Answer, Api};
use support::peers::{Mount, Video};
use support::raw_http::RawHttp;
use support::scene::{PATIENCE, Scene, slug};
use support::site::{CameraFile, Person};
use support::spans::AskedSpan;

const KEY: &str = "Idempotency-Key";

fn yard() -> (Scene, AskedSpan) {
    let mounts = vec![Mount::new("/yard", Video::Yard)];
    let mut scene = Scene::start(mounts, |server| vec![CameraFile::new(1, "yard", &server.url("/yard"))]).unwrap();
    scene.wait_for_cameras(&[1]).unwrap();
    let span = scene.record(&["/yard"], Duration::from_secs(1)).unwrap();
    (scene, span)
}

fn with(api: &Api, name: &str, value: &str) -> Api {
    let mut api = api.clone();
    api.set_header(name, value);
    api
}

/// All at the same time.
fn at_once(calls: Vec<Box<dyn FnOnce() -> Answer + Send>>) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let running: Vec<_> = calls.into_iter().map(|call| scope.spawn(call)).collect();
        running.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

fn asked(span: AskedSpan, name: &str) -> Value {
    json!({
        "kind": "viewing", "cameras": [1], "span": span.to_json().unwrap(), "purpose": "lost property",
        "person": {"name": name, "contact": "02"},
    })
}

fn requests(person: &mut Person) -> Vec<Value> {
    person.api.get("/v1/requests").unwrap().expect_status(200).unwrap().json["requests"].as_array().unwrap().clone()
}

#[test]
fn what_is_sent_twice_is_done_once() {
    let (mut scene, span) = yard();
    let mut staff = scene.sign_in("staff").unwrap();
    let api = with(&staff.api, KEY, "5c1b7c3e-0d5b-4d6e-9d3c-0f6f2f0e1a11");
    let body = asked(span, "Hong Gildong");
    let click = |api: &Api| {
        let (mut api, body) = (api.clone(), body.clone());
        Box::new(move || api.post("/v1/requests", &body).unwrap()) as Box<dyn FnOnce() -> Answer + Send>
    };
    let told = at_once((0..5).map(|_| click(&api)).collect());
    let numbers: BTreeSet<String> = told.iter().map(|told| told.json["number"].to_string()).collect();
    assert!(told.iter().all(|told| told.status == 201), "{told:?}");
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    let replayed = told.iter().filter(|told| told.header("idempotency-replayed") == Some("true")).count();
    assert_eq!(replayed, 4);
    assert_eq!(requests(&mut staff).len(), 1);
    // Later as well; not with something else; and another person's key is another key.
    assert_eq!(api.clone().post("/v1/requests", &body).unwrap().json["number"], told[0].json["number"]);
    let other = api.clone().post("/v1/requests", &asked(span, "Kim")).unwrap();
    assert_eq!((other.status, slug(&other.json)), (422, "key-used"), "{}", other.text());
    let elsewhere = api.clone().post("/v1/operations", &body).unwrap();
    assert_eq!((elsewhere.status, slug(&elsewhere.json)), (422, "key-used"), "{}", elsewhere.text());
    assert_eq!(requests(&mut staff).len(), 1);
    let officer = scene.sign_in("officer").unwrap();
    let mut others = with(&officer.api, KEY, "5c1b7c3e-0d5b-4d6e-9d3c-0f6f2f0e1a11");
    assert_eq!(others.post("/v1/requests", &body).unwrap().status, 403);
    // Without a key, or with a new one, it is a second one.
    staff.api.post("/v1/requests", &body).unwrap().expect_status(201).unwrap();
    with(&staff.api, KEY, "another key, long enough").post("/v1/requests", &body).unwrap().expect_status(201).unwrap();
    assert_eq!(requests(&mut staff).len(), 3);
    for bad in ["short", &"x".repeat(129)] {
        assert_eq!(with(&staff.api, KEY, bad).post("/v1/requests", &body).unwrap().status, 422);
    }
    // What was refused changed nothing, and may be sent right under the same key.
    let again = with(&staff.api, KEY, "a key for what is mistyped");
    assert_eq!(again.clone().post("/v1/requests", &asked(span, "")).unwrap().status, 422);
    again.clone().post("/v1/requests", &body).unwrap().expect_status(201).unwrap();

    // The answer was lost with the daemon: what was made is there, and is not made again.
    let number = told[0].json["number"].clone();
    scene.running.daemon.kill().unwrap();
    scene.serve_again().unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    let mut api = with(&staff.api, KEY, "5c1b7c3e-0d5b-4d6e-9d3c-0f6f2f0e1a11");
    let told = api.post("/v1/requests", &body).unwrap().expect_status(201).unwrap();
    assert_eq!((&told.json["number"], told.header("idempotency-replayed")), (&number, Some("true")));
    assert_eq!(api.post("/v1/requests", &asked(span, "Kim")).unwrap().status, 422);
    assert_eq!(requests(&mut staff).len(), 4);
    let ledger: String =
        scene.site.ledger_files().unwrap().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert!(ledger.contains("\"once\"") && !ledger.contains("5c1b7c3e"), "the key itself is in the ledger");
}

#[test]
fn of_two_officers_who_decide_at_once_one_wins_and_the_other_is_told() {
    let (scene, span) = yard();
    let mut staff = scene.sign_in("staff").unwrap();
    let officers = [scene.sign_in("officer").unwrap(), scene.sign_in("deputy").unwrap()];
    for round in 0..4 {
        let number = staff.ask(&[1], span, "Hong").unwrap().expect_status(201).unwrap().json["number"].clone();
        let seen = staff.identify(&number).unwrap().expect_status(200).unwrap();
        let tag = seen.header("etag").unwrap().to_owned();
        assert_eq!(tag, format!("\"{}\"", seen.json["version"]));
        let decide = |officer: &Person| {
            let mut api = if round % 2 == 0 { officer.api.clone() } else { with(&officer.api, "If-Match", &tag) };
            let password = officer.account.password.clone();
            let path = format!("/v1/requests/{number}/decision");
            let body = json!({
                "decision": "refuse", "ground": "harm-to-others", "reason": "a child is seen", "password": password,
            });
            Box::new(move || api.post(&path, &body).unwrap()) as Box<dyn FnOnce() -> Answer + Send>
        };
        let told = at_once(officers.iter().map(decide).collect());
        let (won, lost): (Vec<_>, Vec<_>) = told.iter().partition(|told| told.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 1), "{told:?}");
        assert!(matches!(lost[0].status, 409 | 412), "{}", lost[0].text());
        assert!(matches!(slug(&lost[0].json), "wrong-state" | "changed"), "{}", lost[0].text());
    }
}

#[test]
fn what_has_changed_since_it_was_seen_is_left_alone() {
    let (scene, span) = yard();
    let mut officer = scene.sign_in("officer").unwrap();
    let mut deputy = scene.sign_in("deputy").unwrap();
    let us_day = 86_400_000_000;
    let review = |days: i64| support::spans::rfc_3339(support::scene::now_us() + days * us_day).unwrap();
    let order = json!({
        "reason": "incident", "text": "a fall", "cameras": [1], "span": span.to_json().unwrap(), "review": review(7),
    });
    let hold = officer.api.post("/v1/holds", &order).unwrap().expect_status(201).unwrap().json["hold"].clone();
    let path = format!("/v1/holds/{hold}");
    let seen = officer.api.get(&path).unwrap().expect_status(200).unwrap();
    let tag = seen.header("etag").unwrap().to_owned();
    let extension = format!("{path}/extension");
    deputy.api.post(&extension, &json!({"review": review(9)})).unwrap().expect_status(200).unwrap();
    let late = with(&officer.api, "If-Match", &tag).post(&extension, &json!({"review": review(3)})).unwrap();
    assert_eq!((late.status, slug(&late.json)), (412, "changed"), "{}", late.text());
    let now = officer.api.get(&path).unwrap().expect_status(200).unwrap();
    assert_ne!(now.json["review"], seen.json["review"]);
    let tag = now.header("etag").unwrap().to_owned();
    with(&officer.api, "If-Match", &tag)
        .post(&extension, &json!({"review": review(3)}))
        .unwrap()
        .expect_status(200)
        .unwrap();
    for bad in ["7", "\"x\"", "W/\"7\"", ""] {
        let told = with(&officer.api, "If-Match", bad).post(&extension, &json!({"review": review(3)})).unwrap();
        assert_eq!(told.status, 422, "{bad}: {}", told.text());
    }
    with(&officer.api, "If-Match", "*")
        .post(&extension, &json!({"review": review(4)}))
        .unwrap()
        .expect_status(200)
        .unwrap();

    // An account: what another officer asked for meanwhile is not approved unseen.
    let listed = deputy.api.get("/v1/accounts").unwrap().expect_status(200).unwrap().json;
    let viewer = listed["accounts"].as_array().unwrap().iter().find(|one| one["name"] == "viewer").unwrap().clone();
    let path = format!("/v1/accounts/{}/change", viewer["account"]);
    let body = json!({"role": "staff", "reason": "moves", "password": officer.account.password});
    officer.api.post(&path, &body).unwrap().expect_status(200).unwrap();
    let stale = format!("\"{}\"", viewer["version"]);
    let approval = format!("/v1/accounts/{}/approval", viewer["account"]);
    let again = json!({"password": deputy.account.password});
    let late = with(&deputy.api, "If-Match", &stale).post(&approval, &again).unwrap();
    assert_eq!((late.status, slug(&late.json)), (412, "changed"), "{}", late.text());
    deputy.api.post(&approval, &again).unwrap().expect_status(200).unwrap();
}

#[test]
fn a_listing_in_parts_is_the_whole_listing() {
    let (scene, span) = yard();
    let mut officer = scene.sign_in("officer").unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    for _ in 0..3 {
        scene.sign_in("officer").unwrap();
        let request = staff.ask(&[1], span, "Hong").unwrap().expect_status(201).unwrap().json["number"].clone();
        let dispute = json!({"request": request, "ground": "accuracy"});
        officer.api.post("/v1/disputes", &dispute).unwrap().expect_status(201).unwrap();
    }
    for (path, field, name) in [
        ("/v1/requests", "requests", "number"),
        ("/v1/disputes", "disputes", "dispute"),
        ("/v1/accounts", "accounts", "account"),
        ("/v1/sessions", "sessions", "session"),
        ("/v1/cameras", "cameras", "number"),
    ] {
        let whole = officer.api.get(path).unwrap().expect_status(200).unwrap().json;
        assert_eq!(whole["next"], Value::Null);
        assert!(whole[field].as_array().is_some_and(|all| all.len() > 2 || path == "/v1/cameras"), "{path}: {whole}");
        let whole = whole[field].as_array().unwrap().clone();
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let part = officer.api.get(&format!("{path}?limit=1{after}")).unwrap().expect_status(200).unwrap().json;
            found.extend(part[field].as_array().unwrap().iter().map(|one| one[name].clone()));
            let Some(next) = part["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        let names: Vec<Value> = whole.iter().map(|one| one[name].clone()).collect();
        assert_eq!(found, names, "{path}");
        for bad in ["limit=0", "limit=1001", "limit=x", "after=nothing", "offset=1"] {
            assert_eq!(officer.api.get(&format!("{path}?{bad}")).unwrap().status, 422, "{path}?{bad}");
        }
    }
}

#[test]
fn requests_are_found_by_number_time_state_and_camera() {
    let (scene, span) = yard();
    let mut staff = scene.sign_in("staff").unwrap();
    for _ in 0..3 {
        staff.ask(&[1], span, "Hong").unwrap().expect_status(201).unwrap();
    }
    staff.identify(&json!(2)).unwrap().expect_status(200).unwrap();
    let mut found = |asked: &str| -> Vec<u64> {
        let told = staff.api.get(&format!("/v1/requests?{asked}")).unwrap().expect_status(200).unwrap().json;
        told["requests"].as_array().unwrap().iter().map(|one| one["number"].as_u64().unwrap()).collect()
    };
    let point = |ahead_s: i64| support::spans::rfc_3339(support::scene::now_us() + ahead_s * 1_000_000).unwrap();
    assert_eq!(found("number=3"), [3]);
    assert_eq!(found("state=identified"), [2]);
    assert_eq!(found("state=submitted&camera=1"), [3, 1]);
    assert_eq!(found("camera=2"), Vec::<u64>::new());
    assert_eq!(found(&format!("from={}&to={}&limit=2", point(-600), point(600))), [3, 2]);
    assert_eq!(found(&format!("from={}&to={}", point(-1200), point(-600))), Vec::<u64>::new());
    for bad in ["number=x", "number=-1", "state=odd", "camera=0", "from=2026-01-01T00:00:00Z", "name=Hong", "after="] {
        assert_eq!(staff.api.get(&format!("/v1/requests?{bad}")).unwrap().status, 422, "{bad}");
    }
}

/// A page that is reloaded while it waits: nobody hears the first answer, and what was asked for goes on all the same.
#[test]
fn who_hangs_up_and_sends_it_again_has_it_done_once() {
    let (scene, span) = yard();
    let mut officer = scene.sign_in("officer").unwrap();
    let mut staff = scene.sign_in("staff").unwrap();
    let account =
        |name: &str| json!({"name": name, "role": "viewer", "reason": "joins", "password": officer.account.password});
    let hang_up = |person: &Person, path: &str, key: &str, body: &Value| {
        let base = &scene.running.base;
        let body = body.to_string();
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n", base.trim_start_matches("http://"));
        for (name, value) in person.api.headers().iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"))
        {
            head += &format!("{name}: {value}\r\n");
        }
        head +=
            &format!("{KEY}: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let mut raw = RawHttp::connect(base, PATIENCE).unwrap();
        raw.write(head.as_bytes()).unwrap();
        // Long enough to have begun, and not to have ended.
        support::commands::pass(Duration::from_millis(10));
    };
    for round in 0..5 {
        let (name, key) = (format!("novice-{round}"), format!("a key for the account {round}"));
        hang_up(&officer, "/v1/accounts", &key, &account(&name));
        let told = with(&officer.api, KEY, &key).post("/v1/accounts", &account(&name)).unwrap();
        let told = told.expect_status(201).unwrap();
        assert!(told.json["code"].is_string(), "{}", told.text());
        let (name, key) = (format!("Hong {round}"), format!("a key for the request {round}"));
        hang_up(&staff, "/v1/requests", &key, &asked(span, &name));
        with(&staff.api, KEY, &key).post("/v1/requests", &asked(span, &name)).unwrap().expect_status(201).unwrap();
    }
    assert_eq!(requests(&mut staff).len(), 5);
    let accounts = officer.api.get("/v1/accounts").unwrap().expect_status(200).unwrap().json;
    let novices = accounts["accounts"].as_array().unwrap().iter().filter(|one| one["role"] == "viewer");
    assert!(novices.count() >= 5, "{accounts}");
}
