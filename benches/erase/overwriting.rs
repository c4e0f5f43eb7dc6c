//! Overwriting cold files of 30 MiB, against writing as much in one piece past the page cache, and against `shred -n1`.

use crate::ground::{Camera, DAY, MONTH, START, drop_caches, make, random, start};
use crate::measure::median;
use crate::report::{Bound, Row};
use crate::timed::TimedDisk;
use anyhow::{Context, Result, ensure};
use cctv_custodian::disk::{Access, AlignedBuffer, Disk, RealDisk, STRIDE_BYTES};
use cctv_custodian::domain::{DestructionTrigger, Overwrite};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FILES: usize = 12;
/// Thirty fragments and what is around them: 30 MiB.
const FRAGMENTS: usize = 30;
const FRAGMENT_BYTES: usize = 1_047_000;
const FILE_BYTES: u64 = 30 << 20;
const TURNS: usize = 5;

/// Seconds for each byte, three ways.
struct Turn {
    overwriting: f64,
    whole: f64,
    raw: f64,
    shred: f64,
}

/// # Errors
/// What the disk says.
pub fn against_raw_writes_and_shred(scratch: &Path) -> Result<Vec<Row>> {
    let fragment = random(FRAGMENT_BYTES)?;
    // The first is not counted: a disk takes a while to be itself.
    let turns = (0..=TURNS).map(|_| turn(scratch, &fragment)).skip(1).collect::<Result<Vec<Turn>>>()?;
    let ratio = |of: fn(&Turn) -> f64| median(turns.iter().map(of));
    let gb_a_s = |of: fn(&Turn) -> f64| 1e-9 / median(turns.iter().map(of));
    Ok(vec![
        Row::new("erase_vs_raw_write", ratio(|one| one.raw / one.overwriting), "ratio", Bound::AtLeast(0.90)),
        Row::new("erase_whole_vs_raw_write", ratio(|one| one.raw / one.whole), "ratio", Bound::AtLeast(0.60)),
        Row::new("erase_vs_shred", ratio(|one| one.shred / one.overwriting), "ratio", Bound::AtLeast(3.0)),
        Row::new("erase_gb_per_s", gb_a_s(|one| one.whole), "GB/s", Bound::Stated),
    ])
}

fn turn(scratch: &Path, fragment: &[u8]) -> Result<Turn> {
    let dir = tempfile::tempdir_in(scratch)?;
    let raw = raw_write(dir.path())?;
    let (overwriting, whole) = erase(dir.path(), fragment)?;
    let again = raw_write(dir.path())?;
    let shred = shred(dir.path(), fragment)?;
    // What else the machine does falls on both: the one before, and the one after.
    Ok(Turn { overwriting, whole, raw: f64::midpoint(raw, again), shred })
}

fn a_byte(time: Duration, bytes: u64) -> f64 {
    time.as_secs_f64() / bytes as f64
}

/// As many bytes in one piece, whose blocks were written before: nothing is left to the file system but to write.
fn raw_write(dir: &Path) -> Result<f64> {
    let path = dir.join("raw");
    let mut stride = AlignedBuffer::zeroed(STRIDE_BYTES);
    let strides = FILES as u64 * FILE_BYTES / STRIDE_BYTES as u64;
    RealDisk.create_new(&path)?.allocate(FILES as u64 * FILE_BYTES)?;
    let file = RealDisk.open(&path, Access::Direct)?;
    let mut took = Duration::ZERO;
    for fill in [0xA5, 0] {
        stride.as_mut_slice().fill(fill);
        drop_caches(dir)?;
        let began = Instant::now();
        (0..strides).try_for_each(|number| file.write_all_at(stride.as_slice(), number * STRIDE_BYTES as u64))?;
        file.sync_data()?;
        took = began.elapsed();
    }
    drop(file);
    std::fs::remove_file(path)?;
    Ok(a_byte(took, FILES as u64 * FILE_BYTES))
}

/// The overwriting alone, and the whole: keys, blocks, read-back, records, names.
fn erase(dir: &Path, fragment: &[u8]) -> Result<(f64, f64)> {
    let disk = TimedDisk::default();
    let site = dir.join("erased");
    std::fs::create_dir(&site)?;
    make(&site, &(Arc::new(disk.clone()) as _))?;
    let vault = start(&site, &site, Arc::new(disk.clone()), START)?;
    let mut camera = Camera::new(&vault, 1, MONTH)?;
    for number in 0..FILES as u32 {
        camera.segment(START.saturating_add(Duration::from_secs(60) * number), FRAGMENTS, fragment)?;
        vault.commit()?;
    }
    vault.commit()?;
    vault.commit()?;
    drop_caches(dir)?;
    let now = START.saturating_add(DAY * 31);
    let due = vault.due(now);
    ensure!(due.len() == FILES, "{} of {FILES} are due", due.len());
    let began = Instant::now();
    let keyless = vault.destroy_keys(&due, now);
    disk.0.take();
    let parts: Vec<_> = keyless.done.into_iter().map(|due| (due, DestructionTrigger::Expiry)).collect();
    let mut bytes = 0;
    for part in parts.chunks(8) {
        for erased in vault.erase_all(part, now, &|| false).done {
            ensure!(erased.overwrite == Overwrite::Proven, "{erased:?}");
            bytes += erased.bytes;
        }
    }
    let (overwriting, whole) = (disk.0.take(), began.elapsed());
    // What was reserved and not needed is overwritten, too.
    let wanted = FILES as u64 * FILE_BYTES;
    ensure!((wanted..wanted + wanted / 6).contains(&bytes), "{bytes} bytes were overwritten");
    Ok((a_byte(overwriting, bytes), a_byte(whole, bytes)))
}

fn shred(dir: &Path, fragment: &[u8]) -> Result<f64> {
    let paths: Vec<PathBuf> = (0..FILES).map(|number| dir.join(format!("shredded-{number}"))).collect();
    for path in &paths {
        let file = RealDisk.create_new(path)?;
        file.allocate(FILE_BYTES)?;
        for number in 0..FRAGMENTS {
            file.write_all_at(fragment, (number * fragment.len()) as u64)?;
        }
    }
    drop_caches(dir)?;
    let began = Instant::now();
    let status = Command::new("shred").arg("-n1").args(&paths).status().context("shred")?;
    let took = began.elapsed();
    ensure!(status.success(), "shred: {status}");
    Ok(a_byte(took, FILES as u64 * FILE_BYTES))
}
