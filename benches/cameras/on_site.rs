//! All cameras on the site of the scale bench, which holds 4.19 million segments already: start, memory, how evenly
//! segments end; and a soak.
//!
//! The soak is a demonstration (`serve --demo`): at 24 MB/s twenty minutes are 29 GB, and no bench should want those. So
//! segments are of 10 s and destroyed after 90 s: what is recorded goes at the same rate as it comes, with its keys,
//! blocks, receipts and closed manifests, and six times as many segments begin. That is harder than the real thing.

use crate::Ground;
use crate::clinic::{READY_LIMIT, configure, cpu_share, tell_losses, wait_for_all};
use crate::daemon::{Daemon, INDEX_BEGINS};
use crate::image::drop_caches;
use crate::measure::median;
use crate::pairs::CAMERAS;
use crate::report::{Bound, Row};
use crate::served::Served;
use crate::site::{Site, site_id};
use anyhow::{Context, Result, ensure};
use cctv_custodian::catalog::Catalog;
use cctv_custodian::clock::Clock;
use cctv_custodian::disk::RealDisk;
use cctv_custodian::domain::{CameraNumber, Span, Utc};
use cctv_custodian::vault::{Vault, Volume};
use std::sync::Arc;
use std::time::Duration;

/// Until segments of all ages are open: then every second is like any other.
const UNTIL_STEADY: Duration = Duration::from_secs(80);
/// Each camera ends a segment in it.
const STEADY_S: usize = 60;
const SECOND: Duration = Duration::from_secs(1);
/// Before its first two minutes a soak has not come to rest: nothing falls due before 90 s.
const SOAK_RESTS_AFTER: usize = 120;

/// The site with cameras of ours. Put back when dropped.
struct Borrowed(Site);

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Err(e) = self.0.put_back() {
            eprintln!("cameras: the site could not be put back, and is to be made anew: {e:#}");
        }
    }
}

impl Borrowed {
    fn begin(&self, served: &Served, more: &[&str]) -> Result<(Daemon, f64)> {
        let dir = self.0.dir();
        self.0.put_back()?;
        configure(&dir, served)?;
        drop_caches(self.0.image().root())?;
        let mut daemon = Daemon::start_with(&dir, more, READY_LIMIT)?;
        let began = daemon.began();
        let start_s = (wait_for_all(&mut daemon, CAMERAS, began)? - began).as_secs_f64();
        ensure!(daemon.count(INDEX_BEGINS) == 0, "after a clean stop the index was made anew");
        eprintln!("cameras: on the full site: ready after {:?}, all recorded after {start_s:.1} s", daemon.ready_after);
        Ok((daemon, start_s))
    }
}

/// # Errors
/// When the daemon breaks off, or the site's disk cannot be mounted.
pub fn on_site(ground: &Ground) -> Result<Vec<Row>> {
    let site = Borrowed(Site::open(&ground.scratch)?);
    let served = Served::start(&ground.film_2, CAMERAS)?;
    let mut rows = steadily(&site, &served)?;
    if ground.soak > Duration::ZERO {
        rows.extend(soak(&site, &served, ground.soak)?);
    }
    Ok(rows)
}

fn steadily(site: &Borrowed, served: &Served) -> Result<Vec<Row>> {
    let (mut daemon, start_s) = site.begin(served, &[])?;
    std::thread::sleep(UNTIL_STEADY);
    let steady_from = Clock::system().wall();
    let (mut flushes, mut most, mut shares) = (vec![site.0.image().device_flushes()?], 0, Vec::new());
    for _ in 0..STEADY_S {
        shares.push(cpu_share(SECOND, || daemon.cpu_s())? * 100.0);
        most = most.max(daemon.memory()?.now);
        flushes.push(site.0.image().device_flushes()?);
    }
    // Those that the stop ends are none of the seconds that are counted.
    std::thread::sleep(2 * SECOND);
    tell_losses(&mut daemon);
    daemon.stop()?;
    let a_second: Vec<u64> = flushes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let by_commit: Vec<u64> = a_second.chunks(2).map(|seconds| seconds.iter().sum()).collect();
    let ends = ends_a_second(&site.0, steady_from)?;
    eprintln!("cameras: flushes of the device a second: {a_second:?}; ends of segments a second: {ends:?}");
    Ok(vec![
        Row::new("start_97_s", start_s, "s", Bound::AtMost(5.0)),
        Row::new("rss_97_cameras", most as f64 / 1e6, "MB", Bound::AtMost(160.0)),
        Row::new("cpu_97_on_full_site", shares.iter().sum::<f64>() / shares.len() as f64, "% of a core", Bound::Stated),
        Row::new("segment_ends_peak_vs_mean", peak_to_mean(&ends), "ratio", Bound::AtMost(2.0)),
        // Of two seconds each, since so often is committed.
        Row::new("flushes_peak_vs_mean", peak_to_mean(&by_commit), "ratio", Bound::Stated),
    ])
}

fn peak_to_mean(counts: &[u64]) -> f64 {
    let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    counts.iter().max().map_or(f64::NAN, |peak| *peak as f64 / mean)
}

/// How many segments ended in each second, by what the stopped daemon left.
fn ends_a_second(site: &Site, from: Utc) -> Result<Vec<u64>> {
    let now = Clock::system().wall();
    let volume = Volume::open(Arc::new(RealDisk), &site.volume_dir(), site_id(&site.dir())?, false)?;
    let vault = Vault::start(vec![volume], Catalog::open(&site.dir().join("state/catalog"))?, now)?;
    let mut ends = vec![0; STEADY_S];
    let span = Span::new(from, now)?;
    for camera in (1..=CAMERAS).filter_map(CameraNumber::new) {
        for segment in vault.live_segments(camera, span, now)? {
            let second = usize::try_from(segment.span.to().since(from).as_secs())?;
            if let Some(count) = ends.get_mut(second).filter(|_| segment.span.to() >= from) {
                *count += 1;
            }
        }
    }
    ensure!(ends.iter().sum::<u64>() >= u64::from(CAMERAS) * 9 / 10, "segments end too rarely: {ends:?}");
    Ok(ends)
}

/// Resident memory of each second, and how often it was recorded anew.
fn soak(site: &Borrowed, served: &Served, length: Duration) -> Result<Vec<Row>> {
    let (mut daemon, _) = site.begin(served, &["--demo"])?;
    let seconds = usize::try_from(length.as_secs())?;
    let (mut memory, cpu_before) = (Vec::new(), daemon.cpu_s()?);
    for second in 0..seconds {
        std::thread::sleep(SECOND);
        memory.push(daemon.memory().with_context(|| format!("after {second} s"))?.now as f64 / 1e6);
        if second % 60 == 59 {
            eprintln!("cameras: soak {} min: {:.1} MB", second / 60 + 1, memory[second]);
        }
    }
    let share = (daemon.cpu_s()? - cpu_before) / length.as_secs_f64();
    tell_losses(&mut daemon);
    daemon.stop()?;
    let rested = memory.get(SOAK_RESTS_AFTER..).filter(|rest| rest.len() >= 8);
    let rested = rested.context("a soak is of 3 minutes at least")?;
    let quarter = rested.len() / 4;
    let early = median(rested[..quarter].iter().copied());
    let late = median(rested[rested.len() - quarter..].iter().copied());
    let most = memory.iter().copied().fold(0.0, f64::max);
    Ok(vec![
        Row::new("soak_s", length.as_secs_f64(), "s", Bound::Stated),
        Row::new("soak_rss_most", most, "MB", Bound::AtMost(160.0)),
        Row::new("soak_rss_begin", early, "MB", Bound::Stated),
        Row::new("soak_rss_end", late, "MB", Bound::Stated),
        // Flat: the last quarter's median against the first's.
        Row::new("soak_rss_growth", late / early, "ratio", Bound::AtMost(1.05)),
        Row::new("soak_cpu", share * 100.0, "% of a core", Bound::Stated),
    ])
}
