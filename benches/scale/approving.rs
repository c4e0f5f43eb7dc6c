//! A decision that hands a whole camera-day over: 1,440 segments.

use crate::daemon::Daemon;
use crate::image::drop_caches;
use crate::measure::median;
use crate::people::sign_in;
use crate::plan::{SEGMENTS_A_DAY, WHOLE_CAMERA};
use crate::report::{Bound, Row};
use crate::site::{Site, password};
use anyhow::{Context, Result, ensure};
use cctv_custodian::crypto::{PasswordSealed, Secret, Strength};
use cctv_custodian::domain::Span;
use std::time::{Duration, Instant};

const RUNS: usize = 5;
const START_LIMIT: Duration = Duration::from_secs(600);

/// Approves the same day for several requests, each time with nothing in the page cache: from the question over HTTP to
/// its answer, and the derivation of the officer's key from the password apart.
///
/// # Errors
/// What the daemon says; when it did not hand over the whole day.
pub fn camera_day(site: &Site) -> Result<Vec<Row>> {
    site.put_back()?;
    let daemon = Daemon::start(&site.dir(), START_LIMIT)?;
    let (mut desk, mut officer) = (sign_in(&daemon, "desk")?, sign_in(&daemon, "officer")?);
    let mut viewer = sign_in(&daemon, "viewer")?;
    let day = site.plan().whole_day();
    // From the day's first segment on: the one before, that reaches into it, is not whole.
    let first = site.plan().of_day(WHOLE_CAMERA, day).start;
    let span = Span::new(site.plan().segment_start(WHOLE_CAMERA, first), day.end())?;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for run in 0..2 * RUNS {
        let request = desk.submit(WHOLE_CAMERA, span)?;
        let is_cold = run % 2 == 0;
        if is_cold {
            drop_caches(site.image().root())?;
        }
        let began = Instant::now();
        let told = officer.approve(&request, &viewer.account, &password("officer"))?.expect_status(200)?;
        let took = began.elapsed().as_secs_f64();
        if is_cold { &mut cold } else { &mut warm }.push(took);
        let grant = &told.json["grant"];
        viewer.api.post(&format!("/v1/grants/{grant}/viewing"), &serde_json::json!({}))?.expect_status(201)?;
        let playlist = viewer.api.get(&format!("/v1/grants/{grant}/cameras/{WHOLE_CAMERA}/playlist.m3u8"))?;
        let pieces = playlist.expect_status(200)?.text().matches("#EXTINF").count() as u64;
        ensure!(pieces == SEGMENTS_A_DAY, "{pieces} pieces were handed over");
    }
    daemon.stop()?;
    Ok(vec![
        Row::new("approve_camera_day", median(cold.into_iter()), "s", Bound::AtMost(1.0)),
        Row::new("approve_camera_day_cached", median(warm.into_iter()), "s", Bound::Stated),
        Row::new("approve_password", password_s()?, "s", Bound::Stated),
    ])
}

/// What deriving a key from a password takes: it is in each approval once.
fn password_s() -> Result<f64> {
    let secret = Secret::random()?;
    let kept = PasswordSealed::seal("a password", Strength::RECOMMENDED, b"", &secret)?;
    let mut took = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        kept.open("a password", b"").ok().context("its own password")?;
        took.push(began.elapsed().as_secs_f64());
    }
    Ok(median(took.into_iter()))
}
