//! How soon the daemon is ready to record, and its index stands again.

use crate::cut::cut_power;
use crate::daemon::Daemon;
use crate::image::drop_caches;
use crate::measure::{median, thread_cpu_s};
use crate::recording::{BETWEEN_COMMITS, Recording, open_vault};
use crate::report::{Bound, Row};
use crate::site::Site;
use anyhow::{Context, Result, ensure};
use cctv_custodian::disk::RealDisk;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CLEAN_RUNS: usize = 5;
const CUT_RUNS: usize = 3;
const REBUILD_RUNS: usize = 3;
const LIMIT: Duration = Duration::from_secs(600);

/// From the exec to the line that cameras have begun, after a clean stop, with nothing in the page cache.
///
/// # Errors
/// When the daemon does not start.
pub fn clean(site: &Site) -> Result<Vec<Row>> {
    site.put_back()?;
    let (mut ready, mut cpu) = (Vec::new(), Vec::new());
    for run in 0..=CLEAN_RUNS {
        drop_caches(site.image().root())?;
        let daemon = Daemon::start(&site.dir(), LIMIT)?;
        // The first one may follow a day on which the site was made.
        if run > 0 {
            ready.push(daemon.ready_after.as_secs_f64());
            cpu.push(daemon.cpu_s()?);
        }
        ensure!(!daemon.stop()?, "after a clean stop the index was made anew");
    }
    Ok(vec![
        Row::new("restart_clean", median(ready.into_iter()), "s", Bound::AtMost(1.0)),
        Row::new("restart_clean_cpu", median(cpu.into_iter()), "CPU s", Bound::Stated),
    ])
}

/// The same after a power cut while 97 cameras recorded, and when the index stands after it.
///
/// # Errors
/// When the daemon does not start.
pub fn after_cut(site: &Site) -> Result<Vec<Row>> {
    let (mut ready, mut cpu, mut index) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CUT_RUNS {
        site.put_back()?;
        cut_power(site)?;
        let mut daemon = Daemon::start(&site.dir(), LIMIT)?;
        ready.push(daemon.ready_after.as_secs_f64());
        cpu.push(daemon.cpu_s()?);
        index.push(daemon.wait_for_index(LIMIT)?.as_secs_f64());
        daemon.stop()?;
    }
    Ok(vec![
        Row::new("restart_after_cut", median(ready.into_iter()), "s", Bound::AtMost(5.0)),
        Row::new("restart_after_cut_cpu", median(cpu.into_iter()), "CPU s", Bound::Stated),
        Row::new("restart_after_cut_index", median(index.into_iter()), "s", Bound::Stated),
    ])
}

/// How long the index takes to be made from manifests alone, with nothing in the page cache, while 97 cameras record.
///
/// # Errors
/// What the vault says.
pub fn rebuild(site: &Site) -> Result<Vec<Row>> {
    let (mut took, mut cpu) = (Vec::new(), Vec::new());
    let mut longest_commit = Duration::ZERO;
    for _ in 0..REBUILD_RUNS {
        site.put_back()?;
        std::fs::remove_dir_all(site.dir().join("state/catalog"))?;
        drop_caches(site.image().root())?;
        let began = Instant::now();
        let vault = open_vault(&site.dir(), Arc::new(RealDisk), site.plan().end())?;
        let mut recording = Recording::new(Arc::clone(&vault), &site.plan())?;
        let (stood_after, cpu_s) = std::thread::scope(|scope| {
            let catching_up = scope.spawn(|| vault.catch_up(&|| false).map(|()| (began.elapsed(), thread_cpu_s())));
            while !catching_up.is_finished() {
                let commits = recording.at_pace(BETWEEN_COMMITS)?;
                longest_commit = longest_commit.max(commits.into_iter().max().unwrap_or_default());
            }
            Ok::<_, anyhow::Error>(catching_up.join().ok().context("the rebuild broke off")??)
        })?;
        ensure!(vault.index_is_current(), "the index does not stand");
        took.push(stood_after.as_secs_f64());
        cpu.push(cpu_s);
        recording.finish()?;
        vault.stop()?;
    }
    Ok(vec![
        Row::new("catalog_rebuild", median(took.into_iter()), "s", Bound::AtMost(30.0)),
        Row::new("catalog_rebuild_cpu", median(cpu.into_iter()), "CPU s", Bound::Stated),
        Row::new("catalog_rebuild_commit_longest", longest_commit.as_secs_f64() * 1e3, "ms", Bound::Stated),
    ])
}
