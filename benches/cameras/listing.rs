//! Two hundred requests a second for listings, while 97 cameras are recorded.
//!
//! Each request has its time, and is counted from that: one that had to wait for another is slow, too.

use crate::Ground;
use crate::clinic::{Clinic, tell_losses};
use crate::film::Film;
use crate::lost::read_back;
use crate::pairs::CAMERAS;
use crate::report::{Bound, Row};
use crate::served::Served;
use crate::support::api::Api;
use crate::support::site::{Person, Site};
use crate::support::spans::rfc_3339;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const A_SECOND: u32 = 200;
const WINDOW: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(5);
/// As many connections as two browsers have.
const CONNECTIONS: u32 = 12;
const REQUESTS: usize = 60;
const HOLDS: usize = 20;
/// What the pages show: lists of requests, holds, cameras, people, sessions, operations, grants.
const LISTINGS: [&str; 7] = [
    "/v1/requests?limit=20",
    "/v1/cameras",
    "/v1/holds?limit=20",
    "/v1/accounts",
    "/v1/sessions",
    "/v1/operations?limit=20",
    "/v1/grants?limit=20",
];
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const DAY_US: i64 = 86_400_000_000;

/// # Errors
/// When the daemon breaks off, or answers with anything but a listing.
pub fn listing(ground: &Ground) -> Result<Vec<Row>> {
    let film = Film::read(&ground.film_2)?;
    let served = Served::start(&ground.film_2, CAMERAS)?;
    let clinic = Clinic::new(&ground.scratch, &served)?;
    let (mut daemon, _) = clinic.record()?;
    std::thread::sleep(SETTLE);
    let base = daemon.base.clone();
    let mut officer = fill(&base, &clinic.site)?;
    let mut told = Vec::new();
    let began = Instant::now();
    let cpu_before = daemon.cpu_s()?;
    std::thread::scope(|scope| {
        let (base, officer) = (&base, &officer);
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|client| scope.spawn(move || ask(base, officer, client, began))).collect();
        for client in clients {
            told.extend(client.join().map_err(|_| anyhow::anyhow!("a client broke off"))??);
        }
        Ok::<(), anyhow::Error>(())
    })?;
    let whole_s = began.elapsed().as_secs_f64();
    let cpu = (daemon.cpu_s()? - cpu_before) / whole_s;
    officer.api.get("/v1/session")?.expect_status(200)?;
    tell_losses(&mut daemon);
    daemon.stop()?;
    let read = read_back(&clinic.site, &clinic.dir.path().join("read"), &film, &served.sessions()?)?;
    told.sort_unstable();
    let at = |share: f64| told[((told.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let a_second = told.len() as f64 / whole_s;
    eprintln!(
        "cameras: {} listings, {a_second:.0} a second, median {:.1} ms, worst {:.0} ms, {:.0} % of a core; {read:?}",
        told.len(),
        at(0.5),
        at(1.0),
        cpu * 100.0,
    );
    ensure!(a_second > f64::from(A_SECOND) * 0.95, "only {a_second:.0} requests a second were made");
    Ok(vec![
        Row::new("api_listing_p99", at(0.99), "ms", Bound::Below(50.0)),
        Row::new("api_listing_p50", at(0.5), "ms", Bound::Stated),
        Row::new("api_listing_cpu", cpu * 100.0, "% of a core", Bound::Stated),
        Row::new("api_listing_gops_lost", read.lost_gops as f64, "GOPs", Bound::AtMost(0.0)),
    ])
}

/// Something to list.
fn fill(base: &str, site: &Site) -> Result<Person> {
    let sign_in = |name: &str| -> Result<Person> {
        let account = site.account(name)?.clone();
        let mut api = Api::new(base);
        let told = api.post("/v1/session", &json!({"name": account.name, "password": account.password}))?;
        let number = told.expect_status(200)?.json["account"].clone();
        Ok(Person { api, account, number })
    };
    let (mut staff, mut officer) = (sign_in("staff")?, sign_in("officer")?);
    let now_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
    let span = json!({"from": rfc_3339(now_us - 4_000_000)?, "to": rfc_3339(now_us - 1_000_000)?});
    let cameras = |number: usize| [number % usize::from(CAMERAS) + 1];
    for number in 0..REQUESTS {
        let body = json!({
            "kind": "viewing", "cameras": cameras(number), "span": span, "purpose": "lost property",
            "person": {"name": format!("Hong {number}"), "contact": "02-000-0000"},
        });
        wait_its_turn(&mut staff.api, "/v1/requests", &body)?;
    }
    let review = rfc_3339(now_us + 7 * DAY_US)?;
    for number in 0..HOLDS {
        let body = json!({
            "reason": "incident", "text": "a fall", "cameras": cameras(number), "span": span, "review": review,
        });
        wait_its_turn(&mut officer.api, "/v1/holds", &body)?;
    }
    Ok(officer)
}

/// Changes are limited to so many a second.
fn wait_its_turn(api: &mut Api, path: &str, body: &Value) -> Result<()> {
    loop {
        let told = api.post(path, body)?;
        if told.status != 429 {
            return told.expect_status(201).map(drop);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Every so manieth request of the plan, on a connection of its own. How long each took from the moment that it was due.
fn ask(base: &str, person: &Person, client: u32, began: Instant) -> Result<Vec<Duration>> {
    let address = base.strip_prefix("http://").context("no plain HTTP")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    let lines: String = person.api.headers().iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let step = Duration::from_secs(1) / A_SECOND;
    let all = A_SECOND * u32::try_from(WINDOW.as_secs())?;
    let mut took = Vec::new();
    let mut buffer = Vec::new();
    for number in (client..all).step_by(CONNECTIONS as usize) {
        let due = began + step * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let path = LISTINGS[number as usize % LISTINGS.len()];
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n").as_bytes())?;
        read_answer(&mut stream, &mut buffer).with_context(|| path.to_owned())?;
        took.push(due.elapsed());
    }
    Ok(took)
}

/// One answer with a length.
fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let mut chunk = [0; 1 << 14];
    loop {
        let got = stream.read(&mut chunk)?;
        ensure!(got > 0, "the connection broke off");
        buffer.extend_from_slice(&chunk[..got]);
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
        if buffer.len() >= end + 4 + length.trim().parse::<usize>()? {
            return Ok(());
        }
    }
}
