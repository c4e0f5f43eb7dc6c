//! Files whose blocks were moved or shared behind the daemon's back, on real file systems: what overwriting cannot be shown to
//! have reached is never receipted as proven, and what it did not reach is found on the raw disk.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::catalog::Catalog;
use cctv_custodian::crypto::generate_pair;
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::{CameraNumber, DestructionTrigger, Overwrite, Retention, SiteId, Utc};
use cctv_custodian::segment::FragmentFacts;
use cctv_custodian::vault::{CameraRecorder, Discarding, Vault, Volume};
use ring::rand::{SecureRandom, SystemRandom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::commands::run;
use support::raw_disk::{FileSystem, LoopVolume, require_root};
use support::stored::files;

const SITE: SiteId = SiteId([1; 16]);
/// 2026-11-22T10:00:00Z.
const START: Utc = Utc::from_micros(1_795_341_600_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
const FRAGMENT_BYTES: usize = 900_000;
const FRAGMENTS: u64 = 6;
const LARGE_BYTES: u64 = 80 << 20;

/// A vault on a disk of its own, without a daemon: what is asked here is what its receipts say.
struct Ground {
    disk: LoopVolume,
    vault: Arc<Vault>,
    _catalog: tempfile::TempDir,
}

impl Ground {
    fn new(kind: FileSystem) -> Self {
        require_root().unwrap();
        let disk = LoopVolume::new(kind, 400).unwrap();
        let dir = disk.mount_point().join("volume");
        let real: SharedDisk = Arc::new(RealDisk);
        std::fs::create_dir(&dir).unwrap();
        Volume::create(&real, &dir, SITE).unwrap();
        let volume = Volume::open(real, &dir, SITE, false).unwrap();
        let catalog = tempfile::tempdir().unwrap();
        let index = Catalog::open(&catalog.path().join("catalog")).unwrap();
        let vault = Vault::start(vec![volume], index, START).unwrap();
        vault.set_recipients(vec![generate_pair().unwrap().1]);
        Self { disk, vault: Arc::new(vault), _catalog: catalog }
    }

    /// Records and seals a segment of some megabytes; returns its file.
    fn record(&self, camera: u16) -> PathBuf {
        let before = files(&self.disk.mount_point().join("volume")).unwrap();
        let retention = Retention::Ceiling(DAY);
        let mut recorder = CameraRecorder::new(Arc::clone(&self.vault), CameraNumber::new(camera).unwrap(), retention);
        recorder.begin(START, b"init").unwrap();
        let mut bytes = vec![0; FRAGMENT_BYTES];
        for number in 0..FRAGMENTS {
            SystemRandom::new().fill(&mut bytes).unwrap();
            let facts = FragmentFacts { first_pts_90k: number * 90_000, duration_90k: 90_000, frames: 15, sync: true };
            recorder.append(facts, &bytes).unwrap();
        }
        recorder.finish().unwrap();
        (0..3).for_each(|_| self.vault.commit().unwrap());
        let after = files(&self.disk.mount_point().join("volume")).unwrap();
        after.into_iter().find(|(name, _)| !before.contains_key(name)).unwrap().1
    }

    /// A day passes, and everything is destroyed. Tells how each file's overwriting ended, by its name.
    fn erase(&self) -> Vec<(String, Overwrite)> {
        let now = START.saturating_add(DAY * 2);
        let keyless = self.vault.destroy_keys(&self.vault.due(now), now);
        assert!(keyless.failures.is_empty(), "{:?}", keyless.failures);
        let due: Vec<_> = keyless.done.into_iter().map(|due| (due, DestructionTrigger::Expiry)).collect();
        let told = self.vault.erase_all(&due, now, &|| false);
        assert!(told.failures.is_empty(), "{:?}", told.failures);
        told.done.iter().map(|erased| (erased.due.segment.to_string(), erased.overwrite)).collect()
    }

    fn failures(&self) -> u32 {
        self.vault.unreceipted().unwrap().iter().map(|row| row.failures).sum()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn command(program: &str, arguments: &[&Path]) -> String {
    let told = run(Command::new(program).args(arguments), "", COMMAND_LIMIT).unwrap();
    told.succeeded().unwrap_or_else(|e| panic!("{program}: {e:#}")).stdout.clone()
}

/// Many small files, of which every second is removed again: what is made in the holes between the others is in pieces.
fn make_holes(dir: &Path) -> Vec<PathBuf> {
    std::fs::create_dir(dir).unwrap();
    let mut left = Vec::new();
    for number in 0.. {
        let path = dir.join(number.to_string());
        if std::fs::write(&path, vec![7; 256 << 10]).is_err() {
            std::fs::remove_file(&path).unwrap();
            break;
        }
        left.push(path);
    }
    let mut odd = false;
    left.retain(|path| {
        odd = !odd;
        if odd {
            std::fs::remove_file(path).unwrap();
        }
        !odd
    });
    // What the file system kept in one piece for itself goes first: XFS leaves some of it when it calls itself full.
    let large = dir.join("large");
    let file = std::fs::File::create_new(&large).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, LARGE_BYTES).unwrap();
    left.push(large);
    left
}

fn pieces(path: &Path) -> usize {
    let told = command("filefrag", &[path]);
    told.rsplit(": ").next().and_then(|rest| rest.split(' ').next()).and_then(|n| n.parse().ok()).unwrap()
}

#[test]
fn a_file_with_a_reflinked_copy_is_never_called_proven() {
    let ground = Ground::new(FileSystem::Xfs);
    let (shared, sound) = (ground.record(1), ground.record(2));
    let content = std::fs::read(&shared).unwrap();
    let copy = ground.disk.mount_point().join("copy");
    command("cp", &[Path::new("--reflink=always"), &shared, &copy]);
    let told = ground.erase();
    let of = |path: &Path| told.iter().find(|(known, _)| *known == name(path)).unwrap().1;
    assert_eq!((of(&shared), of(&sound)), (Overwrite::RangesDiffer, Overwrite::Proven));
    assert_eq!(ground.failures(), 1);
    let found = ground.disk.search_sectors(&[content]).unwrap();
    assert_eq!(found.found, found.needle_sectors, "all of it stands where the copy does: the receipt is right");
}

fn a_defragmented_file_is_never_called_proven(kind: FileSystem, defragment: &str) {
    let ground = Ground::new(kind);
    // Before the disk is full of small files: a segment that nobody moves.
    let sound = ground.record(1);
    let filler = make_holes(&ground.disk.mount_point().join("filler"));
    let moved = ground.record(2);
    for path in filler {
        std::fs::remove_file(path).unwrap();
    }
    ground.disk.flush().unwrap();
    let content = std::fs::read(&moved).unwrap();
    let before = pieces(&moved);
    assert!(before > 3, "it lies in {before} pieces: there is nothing to put together");
    command(defragment, &[&moved]);
    assert!(pieces(&moved) < before, "it was not moved");
    let told = ground.erase();
    let of = |path: &Path| told.iter().find(|(known, _)| *known == name(path)).unwrap().1;
    assert_eq!((of(&moved), of(&sound)), (Overwrite::RangesDiffer, Overwrite::Proven));
    assert_eq!(ground.failures(), 1);
    assert!(ground.disk.search_sectors(&[content]).unwrap().found > 0, "it stands where it stood before");
}

/// Bytes of the image that its own file system keeps blocks for.
fn image_blocks_bytes(ground: &Ground) -> u64 {
    ground.disk.flush().unwrap();
    std::fs::metadata(ground.disk.image_path()).unwrap().blocks() * 512
}

#[test]
fn a_device_is_told_what_is_free_an_hour_after_it_was_overwritten_and_not_before() {
    let ground = Ground::new(FileSystem::Ext4);
    ground.record(1);
    assert_eq!(ground.erase()[0].1, Overwrite::Proven);
    let now = START.saturating_add(DAY * 2);
    let volume = &ground.vault.volumes()[0];
    let before = image_blocks_bytes(&ground);
    ground.vault.discard(now);
    assert_eq!((volume.discarding(), image_blocks_bytes(&ground)), (Discarding::NotYet, before));
    let later = now.saturating_add(Duration::from_secs(3_600));
    (0..3).for_each(|_| ground.vault.discard(later));
    assert!(matches!(volume.discarding(), Discarding::Done { at, bytes } if at == later && bytes > 100 << 20));
    let after = image_blocks_bytes(&ground);
    assert!(after + (4 << 20) < before, "the loop device gives blocks back: {before} bytes before, {after} after");
    // Nothing was erased since: nothing is told.
    let much_later = later.saturating_add(DAY);
    (0..3).for_each(|_| ground.vault.discard(much_later));
    assert!(matches!(volume.discarding(), Discarding::Done { at, .. } if at == later));
}

#[test]
fn a_file_moved_by_e4defrag_is_never_called_proven() {
    a_defragmented_file_is_never_called_proven(FileSystem::Ext4, "e4defrag");
}

#[test]
fn a_file_moved_by_xfs_fsr_is_never_called_proven() {
    a_defragmented_file_is_never_called_proven(FileSystem::Xfs, "xfs_fsr");
}
