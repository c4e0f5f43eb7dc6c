//! One camera, one hour, anywhere in 30 days: what there is of it, and what can be opened.

use crate::measure::percentile;
use crate::plan::{CAMERAS, DAYS, Draws};
use crate::recording::open_vault;
use crate::report::{Bound, Row};
use crate::site::Site;
use anyhow::{Context, Result, ensure};
use cctv_custodian::disk::RealDisk;
use cctv_custodian::domain::{CameraNumber, Span, Utc};
use std::sync::Arc;
use std::time::{Duration, Instant};

const QUERIES: usize = 5_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// A camera and an hour, at random.
///
/// # Errors
/// Never: every camera has a number.
pub fn random_hour(draws: &mut Draws, start: Utc) -> Result<(CameraNumber, Span)> {
    let camera = u16::try_from(draws.below(u64::from(CAMERAS)))? + 1;
    // Not within the first minute, before the last camera began.
    let from = start.saturating_add(Duration::from_secs(60 + draws.below((DAYS * 24 - 1) * 3_600 - 60)));
    Ok((CameraNumber::new(camera).context("a camera's number")?, Span::new(from, from.saturating_add(HOUR))?))
}

/// The slowest in a hundred of both questions that the program asks.
///
/// # Errors
/// What the vault says.
pub fn index_hour(site: &Site) -> Result<Vec<Row>> {
    site.put_back()?;
    let now = site.plan().end();
    let vault = open_vault(&site.dir(), Arc::new(RealDisk), now)?;
    ensure!(vault.index_is_current(), "after a clean stop the index was made anew");
    let mut draws = Draws::of(9, 1, 1);
    let mut took = Vec::new();
    for _ in 0..QUERIES {
        let (camera, span) = random_hour(&mut draws, site.plan().start())?;
        let began = Instant::now();
        let live = vault.live_segments(camera, span, now)?.len();
        took.push(began.elapsed().as_secs_f64() * 1e3);
        let began = Instant::now();
        let told = vault.availability(camera, span, now)?.len();
        took.push(began.elapsed().as_secs_f64() * 1e3);
        // Sixty minutes and the two ends; a gap is a piece of its own.
        ensure!((60..=62).contains(&live) && told >= live, "camera {camera}, {span:?}: {live} and {told} pieces");
    }
    vault.stop()?;
    let share = |share| percentile(took.iter().copied(), share);
    Ok(vec![
        Row::new("index_hour_query_p50", share(0.5), "ms", Bound::Stated),
        Row::new("index_hour_query_p99", share(0.99), "ms", Bound::Below(1.0)),
    ])
}
