//! Twice the rate, and a third more cameras: where it bends.

use crate::Ground;
use crate::film::Film;
use crate::pairs::{CAMERAS, record};
use crate::report::{Bound, Row};
use crate::served::Served;
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

const MORE_CAMERAS: u16 = 128;
const WINDOW: Duration = Duration::from_secs(20);

/// # Errors
/// When the daemon breaks off.
pub fn more(ground: &Ground) -> Result<Vec<Row>> {
    let mut rows = load(ground, &ground.film_4, CAMERAS, "97_at_4mbps")?;
    rows.extend(load(ground, &ground.film_2, MORE_CAMERAS, "128_cameras")?);
    Ok(rows)
}

fn load(ground: &Ground, path: &Path, cameras: u16, name: &str) -> Result<Vec<Row>> {
    let film = Film::read(path)?;
    let served = Served::start(path, cameras)?;
    let recorded = record(ground, &served, &film, WINDOW)?;
    eprintln!("cameras: {name}: {:.1} MB/s, {recorded:?}", film.bytes_a_second() * f64::from(cameras) / 1e6);
    Ok(vec![
        Row::new(&format!("cpu_{name}"), recorded.cpu_share * 100.0, "% of a core", Bound::Stated),
        Row::new(&format!("rss_{name}"), recorded.rss_mb, "MB", Bound::Stated),
        Row::new(&format!("gops_lost_{name}"), recorded.read.lost_gops as f64, "GOPs", Bound::Stated),
        Row::new(&format!("start_{name}_s"), recorded.start_s, "s", Bound::Stated),
    ])
}
