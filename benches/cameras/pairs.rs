//! Sealed recording against ffmpeg's processes, in adjacent pairs: first the one, then the other, then the other first.

use crate::Ground;
use crate::clinic::{Clinic, cpu_share, tell_losses};
use crate::copying::{Copying, Files};
use crate::film::Film;
use crate::lost::{ReadBack, read_back};
use crate::measure::median;
use crate::report::{Bound, Row};
use crate::sealing::cipher_and_digest_cpu_s;
use crate::served::Served;
use anyhow::{Context, Result, ensure};
use std::time::Duration;

pub const CAMERAS: u16 = 97;
const PAIRS: usize = 3;
const SETTLE: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(30);
/// Both sides must have kept about as much as was sent, or one was spared work.
const KEPT_SHARE: f64 = 0.9;

/// What one run of the daemon gave.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    pub cpu_share: f64,
    pub rss_mb: f64,
    pub start_s: f64,
    pub read: ReadBack,
    pub late_ms: u64,
}

/// Records a site of its own over `window`, stops, decrypts all of it, and removes it.
///
/// # Errors
/// When the daemon or the second reader finds a fault.
pub fn record(ground: &Ground, served: &Served, film: &Film, window: Duration) -> Result<Recorded> {
    let clinic = Clinic::new(&ground.scratch, served)?;
    let before = served.sessions()?.len();
    let (mut daemon, start) = clinic.record()?;
    std::thread::sleep(SETTLE);
    let cpu_share = cpu_share(window, || daemon.cpu_s())?;
    let rss_mb = daemon.memory()?.peak as f64 / 1e6;
    tell_losses(&mut daemon);
    daemon.stop()?;
    let sessions = served.sessions()?.get(before..).context("the server forgot its sessions")?.to_vec();
    let read = read_back(&clinic.site, &clinic.dir.path().join("read"), film, &sessions)?;
    let late_ms = sessions.iter().map(|session| session.late_ms).max().unwrap_or_default();
    Ok(Recorded { cpu_share, rss_mb, start_s: start.as_secs_f64(), read, late_ms })
}

fn copy(ground: &Ground, served: &Served, film: &Film, files: Files) -> Result<f64> {
    let mut copying = Copying::start(&ground.scratch, served, files)?;
    std::thread::sleep(SETTLE);
    let before: u64 = copying.bytes()?.iter().sum();
    let share = cpu_share(WINDOW, || copying.cpu_s())?;
    let kept = (copying.bytes()?.iter().sum::<u64>() - before) as f64;
    copying.ensure_all_run()?;
    let sent = film.bytes_a_second() * f64::from(served.cameras) * WINDOW.as_secs_f64();
    ensure!(kept > sent * KEPT_SHARE, "ffmpeg kept {kept} bytes of {sent}");
    Ok(share)
}

/// # Errors
/// When a side breaks off.
pub fn against_ffmpeg(ground: &Ground) -> Result<Vec<Row>> {
    let film = Film::read(&ground.film_2)?;
    let served = Served::start(&ground.film_2, CAMERAS)?;
    let (mut ours, mut theirs, mut read) = (Vec::new(), Vec::new(), ReadBack::default());
    let mut sealing = Vec::new();
    for turn in 0..PAIRS {
        let first = if turn % 2 == 0 { None } else { Some(copy(ground, &served, &film, Files::Usual)?) };
        let recorded = record(ground, &served, &film, WINDOW)?;
        let bytes_a_second = film.bytes_a_second() * f64::from(CAMERAS);
        sealing.push(cipher_and_digest_cpu_s(&film, CAMERAS)? * bytes_a_second);
        let copied = first.map_or_else(|| copy(ground, &served, &film, Files::Usual), Ok)?;
        eprintln!(
            "cameras: pair {}: sealed {:.1} % of a core, ffmpeg {:.1} %, ratio {:.3}; peak {:.0} MB; {:?}; server late by \
             {} ms at most",
            turn + 1,
            recorded.cpu_share * 100.0,
            copied * 100.0,
            recorded.cpu_share / copied,
            recorded.rss_mb,
            recorded.read,
            recorded.late_ms,
        );
        let sent = film.bytes_a_second() * f64::from(CAMERAS) * WINDOW.as_secs_f64();
        ensure!(recorded.read.bytes as f64 > sent * KEPT_SHARE, "{:?} of {sent} bytes", recorded.read);
        read += recorded.read;
        ours.push(recorded);
        theirs.push(copied);
    }
    let in_minutes = copy(ground, &served, &film, Files::AMinute)?;
    let last = ours.last().context("no pair was run")?.cpu_share;
    let ratios = ours.iter().zip(&theirs).map(|(one, other)| one.cpu_share / other);
    let without = ours.iter().zip(&sealing).map(|(one, sealing)| one.cpu_share / (one.cpu_share - sealing));
    let start_s = ours.iter().map(|one| one.start_s).fold(0.0, f64::max);
    Ok(vec![
        Row::new("cpu_vs_ffmpeg_copy", median(ratios), "ratio", Bound::AtMost(0.38)),
        Row::new("cpu_vs_ffmpeg_minutes", last / in_minutes, "ratio", Bound::Stated),
        Row::new("cpu_97_cameras", median(ours.iter().map(|one| one.cpu_share * 100.0)), "% of a core", Bound::Stated),
        Row::new("cpu_97_ffmpeg_copy", median(theirs.iter().map(|it| it * 100.0)), "% of a core", Bound::Stated),
        Row::new("gops_lost", read.lost_gops as f64, "GOPs", Bound::AtMost(0.0)),
        Row::new("frames_out_of_order", read.out_of_order as f64, "frames", Bound::AtMost(0.0)),
        Row::new("frames_read_back", read.frames as f64, "frames", Bound::Stated),
        Row::new("start_97_new_site_s", start_s, "s", Bound::AtMost(5.0)),
        Row::new("sealing_cost", median(without), "ratio", Bound::AtMost(1.25)),
    ])
}
