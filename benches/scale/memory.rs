//! How much memory the daemon holds without cameras.

use crate::daemon::Daemon;
use crate::image::drop_caches;
use crate::people::sign_in;
use crate::plan::Draws;
use crate::query::random_hour;
use crate::report::{Bound, Row};
use crate::site::Site;
use anyhow::Result;
use std::time::Duration;

const START_LIMIT: Duration = Duration::from_secs(600);
/// 120 rounds of the eraser.
const IDLE: Duration = Duration::from_secs(60);
const QUERIES: usize = 300;
/// Long enough for thousands of segments.
const ERASING_S: u32 = 45;

fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// After a start, after a minute in which nothing is due, and after questions: the most of the three. The peak is that
/// before anybody signed in, since a password's derivation takes 64 MiB for a moment.
///
/// # Errors
/// What the daemon says.
pub fn idle(site: &Site) -> Result<Vec<Row>> {
    site.put_back()?;
    drop_caches(site.image().root())?;
    let daemon = Daemon::start(&site.dir(), START_LIMIT)?;
    let started = daemon.memory()?.now;
    std::thread::sleep(IDLE);
    let idle = daemon.memory()?;
    let mut officer = sign_in(&daemon, "officer")?;
    let mut draws = Draws::of(9, 2, 2);
    for _ in 0..QUERIES {
        let (camera, span) = random_hour(&mut draws, site.plan().start())?;
        officer.availability(camera, span)?;
    }
    let asked = daemon.memory()?.now;
    daemon.stop()?;
    eprintln!("scale: daemon {:.1} MB after the start, {:.1} idle, {:.1} asked", mb(started), mb(idle.now), mb(asked));
    Ok(vec![
        Row::new("daemon_rss", mb(started.max(idle.now).max(asked)), "MB", Bound::AtMost(60.0)),
        Row::new("daemon_rss_peak", mb(idle.peak), "MB", Bound::Stated),
    ])
}

/// The most while a day that is over is destroyed, its index made anew in the same minute.
///
/// # Errors
/// What the daemon says.
pub fn erasing(site: &Site) -> Result<Vec<Row>> {
    site.put_back()?;
    site.add_expired_day()?;
    drop_caches(site.image().root())?;
    let daemon = Daemon::start(&site.dir(), START_LIMIT)?;
    let mut most = 0;
    for _ in 0..ERASING_S {
        std::thread::sleep(Duration::from_secs(1));
        most = most.max(daemon.memory()?.now);
    }
    daemon.stop()?;
    site.put_back()?;
    Ok(vec![Row::new("daemon_rss_erasing", mb(most), "MB", Bound::Stated)])
}
