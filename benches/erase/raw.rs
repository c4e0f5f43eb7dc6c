//! What a finder of the disk finds after a day's footage was destroyed: 1,000 segments on a raw image, of ext4 and of XFS, with
//! the eraser killed again and again. Before their day, and of files that are only unlinked, the same search finds all of it.

use crate::ground::{Camera, DAY, START, make, start};
use crate::report::{Bound, Row};
use crate::support::raw_disk::{FileSystem, LoopVolume};
use anyhow::{Context, Result, ensure};
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::{DestructionTrigger, Retention};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// The argument that makes this program the one that is killed.
pub const ROLE: &str = "erase-until-killed";
const SEGMENTS: u32 = 1_000;
const CAMERAS: u16 = 10;
/// A day of ten cameras fits on the image: each segment has a MiB of blocks.
const FRAGMENT_BYTES: usize = 60_000;
const IMAGE_MIB: u64 = 1_500;
const KILLS: u64 = 12;
const CONTROL_FILES: usize = 20;
const RETENTION: Retention = Retention::Ceiling(DAY);

/// # Errors
/// Without root; what a command or the disk says.
pub fn images(_: &Path) -> Result<Vec<Row>> {
    let (mut found, mut before, mut wanted, mut control) = (0, 0, 0, true);
    for kind in [FileSystem::Ext4, FileSystem::Xfs] {
        let told = image(kind)?;
        found += told.after;
        before += told.before;
        wanted += told.wanted;
        control &= told.unlinked_is_found;
    }
    ensure!(before == wanted && control, "the search finds {before} of {wanted} before their day: it proves nothing");
    Ok(vec![
        Row::new("raw_sectors_found", found as f64, "sectors", Bound::AtMost(0.0)),
        Row::new("raw_sectors_found_before", before as f64, "sectors", Bound::AtLeast(wanted as f64)),
    ])
}

struct Told {
    wanted: u64,
    before: u64,
    after: u64,
    unlinked_is_found: bool,
}

fn image(kind: FileSystem) -> Result<Told> {
    let disk = LoopVolume::new(kind, IMAGE_MIB)?;
    let index = tempfile::tempdir()?;
    let real: SharedDisk = Arc::new(RealDisk);
    make(&disk.mount_point(), &real)?;
    record(&disk.mount_point(), index.path())?;
    // Every byte that was sealed: pictures, heads with the sealed keys in them, slots of day keys.
    let volume = disk.mount_point().join("volume");
    let files: Vec<Vec<u8>> =
        stored(&volume)?.values().map(|path| Ok(used(std::fs::read(path)?))).collect::<Result<_>>()?;
    ensure!(files.len() > SEGMENTS as usize, "{} files", files.len());
    let control: Vec<Vec<u8>> =
        (0..CONTROL_FILES).map(|_| crate::ground::random(FRAGMENT_BYTES)).collect::<Result<_>>()?;
    let before = disk.search_sectors(&files)?;
    for seed in 0..KILLS {
        kill_while_erasing(&disk.mount_point(), seed)?;
    }
    erase(&disk.mount_point(), index.path(), &|| false)?;
    ensure!(stored(&volume)?.is_empty(), "{kind:?}: some of it is there still");
    let after = disk.search_sectors(&files)?;
    for (number, bytes) in control.iter().enumerate() {
        std::fs::write(disk.mount_point().join(format!("control-{number}")), bytes)?;
    }
    disk.flush()?;
    for number in 0..CONTROL_FILES {
        std::fs::remove_file(disk.mount_point().join(format!("control-{number}")))?;
    }
    let unlinked = disk.search_sectors(&control)?;
    eprintln!(
        "erase: {kind:?}: {} sectors, {} found before, {} after",
        before.needle_sectors, before.found, after.found
    );
    Ok(Told {
        wanted: before.needle_sectors,
        before: before.found,
        after: after.found,
        unlinked_is_found: unlinked.found == unlinked.needle_sectors,
    })
}

fn record(root: &Path, index: &Path) -> Result<()> {
    let vault = start(root, index, Arc::new(RealDisk), START)?;
    let mut cameras = (1..=CAMERAS).map(|number| Camera::new(&vault, number, RETENTION)).collect::<Result<Vec<_>>>()?;
    for number in 0..SEGMENTS {
        let begins = START.saturating_add(Duration::from_secs(20) * (number / u32::from(CAMERAS)));
        let camera = &mut cameras[usize::try_from(number)? % usize::from(CAMERAS)];
        camera.segment(begins, 1, &crate::ground::random(FRAGMENT_BYTES)?)?;
        if number % 50 == 0 {
            vault.commit()?;
        }
    }
    (0..3).try_for_each(|_| vault.commit())?;
    vault.stop()?;
    Ok(())
}

/// All that holds footage or keys, by name.
fn stored(volume: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut dirs: Vec<PathBuf> = ["rolling", "held", "keys"].map(|sub| volume.join(sub)).into();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            } else {
                found.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
            }
        }
    }
    Ok(found)
}

fn used(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1).next_multiple_of(512));
    bytes
}

/// In the order of the eraser, in small steps: day keys, key blocks, blocks.
fn erase(root: &Path, index: &Path, is_stopped: &dyn Fn() -> bool) -> Result<()> {
    // Of the last camera's day one segment stays readable for longer: it goes by its key blocks.
    let now = START.saturating_add(DAY * 2);
    let vault = start(root, index, Arc::new(RealDisk), now)?;
    let is_of_the_last = |camera: cctv_custodian::domain::CameraNumber, _| camera.get() == CAMERAS;
    while vault.destroy_day_keys(now, 2, &is_of_the_last).destroyed > 0 {}
    loop {
        let due: Vec<_> = vault.due(now).into_iter().take(40).collect();
        if due.is_empty() || is_stopped() {
            break;
        }
        let keyless = vault.destroy_keys(&due, now);
        let parts: Vec<_> = keyless.done.into_iter().map(|due| (due, DestructionTrigger::Expiry)).collect();
        for part in parts.chunks(8) {
            vault.erase_all(part, now, is_stopped);
        }
    }
    while vault.destroy_day_keys(now, 2, &|_, _| false).destroyed > 0 {}
    vault.stop()?;
    Ok(())
}

/// The one that is killed.
///
/// # Errors
/// What the vault says.
pub fn erase_until_killed(root: &Path, _seed: &str) -> Result<()> {
    let index = tempfile::tempdir()?;
    erase(root, index.path(), &|| false)
}

fn kill_while_erasing(root: &Path, seed: u64) -> Result<()> {
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(std::env::current_exe()?)
        .arg(ROLE)
        .arg(root)
        .arg(seed.to_string())
        .spawn()?;
    // Somewhere else each time: in the start, among the keys, among the blocks.
    std::thread::sleep(Duration::from_millis(40 + seed * seed * 11));
    child.kill()?;
    child.wait()?;
    Ok(())
}
