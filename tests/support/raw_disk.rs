//! Small disks of their own: an image file, a file system on it, mounted through a loop device. Wants root.

use super::commands::run;
use super::raw_search::{SectorSearch, search_bytes, search_sectors};
use anyhow::{Context, Result, ensure};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const COMMAND_LIMIT: Duration = Duration::from_secs(60);
const NAME_PREFIX: &str = "custodian-loop-";
/// Locked as long as the disk in a directory lives.
pub(super) const LOCK_NAME: &str = "lives";
/// Below this, mkfs.xfs refuses.
const XFS_LEAST_MIB: u64 = 300;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
}

/// A mounted volume on an image file. Unmounted and removed when dropped; one left by a killed test is cleared away by
/// the next that is made.
#[derive(Debug)]
pub struct LoopVolume {
    dir: tempfile::TempDir,
    mount_options: String,
    mounted: bool,
    /// Held as long as this lives, so that others can tell that it does.
    _lock: File,
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// # Errors
/// When this process is not root, saying why it must be.
pub fn require_root() -> Result<()> {
    ensure!(
        is_root(),
        "this test mounts a disk of its own and searches it raw, which only root can: run it as root (no test is skipped)"
    );
    Ok(())
}

impl LoopVolume {
    /// A new file system of `size_mib`, mounted with its defaults. XFS wants 300 MiB at least.
    pub fn new(file_system: FileSystem, size_mib: u64) -> Result<Self> {
        Self::with_options(file_system, size_mib, &[], "")
    }

    /// The same with more arguments for mkfs, and with mount options, comma-separated, such as `data=journal`.
    pub fn with_options(kind: FileSystem, size_mib: u64, mkfs: &[&str], mount_options: &str) -> Result<Self> {
        require_root()?;
        ensure!(kind != FileSystem::Xfs || size_mib >= XFS_LEAST_MIB, "XFS wants at least {XFS_LEAST_MIB} MiB");
        clear_left_overs(NAME_PREFIX, &["mounted"]);
        let dir = tempfile::Builder::new().prefix(NAME_PREFIX).tempdir()?;
        let lock = File::create(dir.path().join(LOCK_NAME))?;
        lock.lock()?;
        std::fs::create_dir(dir.path().join("mounted"))?;
        let mut volume = Self { dir, mount_options: mount_options.to_owned(), mounted: false, _lock: lock };
        File::create(volume.image_path())?.set_len(size_mib << 20)?;
        let mut make = match kind {
            FileSystem::Ext4 => {
                let mut make = Command::new("mkfs.ext4");
                // All of it written now, so that nothing in the background moves afterwards.
                make.args(["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
                make
            }
            FileSystem::Xfs => {
                let mut make = Command::new("mkfs.xfs");
                make.args(["-q", "-f"]);
                make
            }
            FileSystem::Btrfs => {
                let mut make = Command::new("mkfs.btrfs");
                make.args(["-q", "-f"]);
                make
            }
        };
        run(make.args(mkfs).arg(volume.image_path()), "", COMMAND_LIMIT)?.succeeded().context("mkfs")?;
        volume.attach()?;
        Ok(volume)
    }

    /// The raw disk, as a file.
    pub fn image_path(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    /// Where its files stand while it is attached.
    pub fn mount_point(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    /// Mounts it again after [`detach`](Self::detach); the file system recovers what it must.
    pub fn attach(&mut self) -> Result<()> {
        if !self.mounted {
            let options = format!("loop,{}", self.mount_options);
            let mut mount = Command::new("mount");
            mount.args(["-o", options.trim_end_matches(',')]).arg(self.image_path()).arg(self.mount_point());
            run(&mut mount, "", COMMAND_LIMIT)?.succeeded().context("mount")?;
            self.mounted = true;
        }
        Ok(())
    }

    /// The disk is pulled out, in order: unmounted, so that nobody may have a file of it open.
    pub fn detach(&mut self) -> Result<()> {
        if self.mounted {
            run(Command::new("umount").arg(self.mount_point()), "", COMMAND_LIMIT)?.succeeded().context("umount")?;
            self.mounted = false;
        }
        Ok(())
    }

    /// Everything written so far is on the raw disk when this returns.
    pub fn flush(&self) -> Result<()> {
        if self.mounted {
            rustix::fs::syncfs(File::open(self.mount_point())?)?;
            let device = self.device()?;
            run(Command::new("blockdev").arg("--flushbufs").arg(device), "", COMMAND_LIMIT)?.succeeded()?;
        }
        File::open(self.image_path())?.sync_all()?;
        Ok(())
    }

    /// The loop device it is mounted through.
    pub fn device(&self) -> Result<PathBuf> {
        let mut find = Command::new("findmnt");
        find.args(["--noheadings", "--output", "SOURCE", "--mountpoint"]).arg(self.mount_point());
        Ok(PathBuf::from(run(&mut find, "", COMMAND_LIMIT)?.succeeded().context("findmnt")?.stdout.trim()))
    }

    /// Flushes, then looks for the sectors of `files` on the whole raw disk.
    pub fn search_sectors(&self, files: &[Vec<u8>]) -> Result<SectorSearch> {
        self.flush()?;
        search_sectors(&self.image_path(), files)
    }

    /// Flushes, then counts `pattern` on the whole raw disk.
    pub fn search_bytes(&self, pattern: &[u8]) -> Result<u64> {
        self.flush()?;
        search_bytes(&self.image_path(), pattern)
    }
}

impl Drop for LoopVolume {
    fn drop(&mut self) {
        if self.mounted && self.detach().is_err() {
            // Somebody still has it open, after a panic perhaps: it goes as soon as they do.
            unmount_lazily(&self.mount_point());
        }
    }
}

fn unmount_lazily(mount_point: &Path) {
    run(Command::new("umount").arg("--lazy").arg(mount_point), "", COMMAND_LIMIT).ok();
}

/// Unmounts and removes disks whose makers were killed: nobody holds their locks any more. What is mounted is named
/// from the outside in.
pub(super) fn clear_left_overs(prefix: &str, mounts: &[&str]) {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    let ours = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
    for dir in entries.flatten().filter(ours).map(|entry| entry.path()) {
        // One without a lock file, or with an unlocked one of a moment ago, is being made just now.
        let Ok(lock) = File::options().write(true).open(dir.join(LOCK_NAME)) else { continue };
        let old = dir.join("disk.img").exists();
        if old && !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            mounts.iter().for_each(|name| unmount_lazily(&dir.join(name)));
            std::fs::remove_dir_all(&dir).ok();
        }
    }
}
