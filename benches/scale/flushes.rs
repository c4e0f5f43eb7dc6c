//! How often the device must flush while 97 cameras record.

use crate::counted::CountedDisk;
use crate::measure::percentile;
use crate::recording::{BETWEEN_COMMITS, Recording, open_vault};
use crate::report::{Bound, Row};
use crate::site::Site;
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STEPS: u32 = 30;

/// Records a minute at the cameras' own pace, in which each of them ends a segment and begins the next. Counted are
/// flushes at the program's door to the disk, in each commit and in all, and those that reached the device: the file
/// system's own, every few seconds, are among these.
///
/// # Errors
/// What the vault says.
pub fn recording(site: &Site) -> Result<Vec<Row>> {
    site.put_back()?;
    let disk = CountedDisk::default();
    let vault = open_vault(&site.dir(), Arc::new(disk.clone()), site.plan().end())?;
    let mut recording = Recording::new(vault.clone(), &site.plan())?;
    recording.settle()?;
    let (mut commits, mut most_a_commit) = (Vec::new(), 0);
    let (at_door, at_device, began) = (disk.0.flushes(), site.image().device_flushes()?, Instant::now());
    for step in 1..=STEPS {
        recording.step()?;
        let before = disk.0.flushes();
        commits.push(recording.commit()?);
        most_a_commit = most_a_commit.max(disk.0.flushes() - before);
        std::thread::sleep((BETWEEN_COMMITS * step).saturating_sub(began.elapsed()));
    }
    let seconds = began.elapsed().as_secs_f64();
    let (at_door, at_device) = (disk.0.flushes() - at_door, site.image().device_flushes()? - at_device);
    recording.finish()?;
    vault.stop()?;
    site.put_back()?;
    let commit_ms = |share| percentile(commits.iter().map(Duration::as_secs_f64), share) * 1e3;
    Ok(vec![
        Row::new("flushes_per_s", at_door as f64 / seconds, "1/s", Bound::Stated),
        Row::new("flushes_per_s_device", at_device as f64 / seconds, "1/s", Bound::Stated),
        Row::new("flushes_a_commit", most_a_commit as f64, "flushes", Bound::AtMost(1.0)),
        Row::new("commit_ms_p50", commit_ms(0.5), "ms", Bound::Stated),
        Row::new("commit_ms_p99", commit_ms(0.99), "ms", Bound::Stated),
    ])
}
