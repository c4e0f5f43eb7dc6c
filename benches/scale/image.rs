//! A disk of the site's own: an ext4 file system on an image file under `target`, mounted through a loop device. So that
//! its flushes can be counted apart from everybody else's, its cache dropped, and 4.19 million files thrown away at
//! once. Wants root.

use anyhow::{Context, Result, ensure};
use rustix::fs::FlockOperation;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What the image may grow to; the file is sparse, and gives back what is deleted on it.
const IMAGE_BYTES: u64 = 32 << 30;
/// A site of 4.19 million segments with its heads, room for what is recorded on it, and some left.
const WANTED_FREE_BYTES: u64 = 30 << 30;
const UNMOUNT_TRIES: u32 = 20;
const UNMOUNT_AGAIN_AFTER: Duration = Duration::from_millis(500);
const INODES: &str = "4800000";

/// The mounted disk. Unmounted when dropped.
#[derive(Debug)]
pub struct Image {
    mount_point: PathBuf,
    device: String,
    /// Two mounts of one image would destroy it.
    _lock: File,
}

impl Image {
    /// Mounts the image in `dir`, making an empty one first where there is none.
    ///
    /// # Errors
    /// When this process is not root, the disk has no room, or a command fails.
    pub fn attach(dir: &Path) -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "this bench mounts a disk of its own, which only root can");
        let (file, mount_point) = (dir.join("site.img"), dir.join("site"));
        std::fs::create_dir_all(&mount_point)?;
        if !file.exists() {
            format(&file)?;
        }
        let lock = File::open(&file)?;
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .with_context(|| format!("{}: another bench is on it", file.display()))?;
        detach_left_over(&file, &mount_point)?;
        let attached = output(Command::new("losetup").args(["--find", "--show", "--direct-io=on"]).arg(&file))?;
        let image = Self { mount_point, device: attached.trim().to_owned(), _lock: lock };
        output(Command::new("mount").args(["-o", "noatime"]).arg(&image.device).arg(&image.mount_point))?;
        Ok(image)
    }

    /// Unmounts it, throws the image away, and mounts an empty one.
    ///
    /// # Errors
    /// As [`Image::attach`].
    pub fn renew(self, dir: &Path) -> Result<Self> {
        drop(self);
        std::fs::remove_file(dir.join("site.img"))?;
        Self::attach(dir)
    }

    pub fn root(&self) -> &Path {
        &self.mount_point
    }

    /// Gives the room of deleted files back to the disk that the image stands on.
    ///
    /// # Errors
    /// When the command fails.
    pub fn trim(&self) -> Result<()> {
        output(Command::new("fstrim").arg(&self.mount_point)).map(drop)
    }

    /// How many flushes the device has been asked for (Documentation/ABI/stable/sysfs-block, `stat`, field 16).
    ///
    /// # Errors
    /// Where the kernel does not count them.
    pub fn device_flushes(&self) -> Result<u64> {
        let name = self.device.trim_start_matches("/dev/");
        let told = std::fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        let flushes = told.split_whitespace().nth(15).context("this kernel counts no flushes")?;
        Ok(flushes.parse()?)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Whoever looks at all mounts of a machine keeps this one busy for a moment.
        let unmount = || output(Command::new("umount").arg(&self.mount_point));
        let unmounted = (0..UNMOUNT_TRIES).fold(unmount(), |told, _| {
            told.or_else(|_| {
                std::thread::sleep(UNMOUNT_AGAIN_AFTER);
                unmount()
            })
        });
        let freed = unmounted.and_then(|_| output(Command::new("losetup").arg("--detach").arg(&self.device)));
        if let Err(e) = freed {
            eprintln!("scale: {} stays mounted: {e:#}", self.mount_point.display());
        }
    }
}

fn format(file: &Path) -> Result<()> {
    let dir = file.parent().context("the image has no directory")?;
    let told = rustix::fs::statvfs(dir)?;
    let free = told.f_bavail.saturating_mul(told.f_frsize);
    ensure!(free > WANTED_FREE_BYTES, "{}: {} GB free, {} wanted", dir.display(), free >> 30, WANTED_FREE_BYTES >> 30);
    File::create_new(file)?.set_len(IMAGE_BYTES)?;
    output(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-N", INODES]).arg(file)).map(drop)
}

/// A bench that was killed leaves its disk mounted.
fn detach_left_over(file: &Path, mount_point: &Path) -> Result<()> {
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let mounted = mount_point.to_str().context("a path that is not UTF-8")?;
    if mounts.lines().any(|line| line.split(' ').nth(1) == Some(mounted)) {
        output(Command::new("umount").arg(mount_point))?;
    }
    for line in output(Command::new("losetup").arg("--associated").arg(file))?.lines() {
        let device = line.split(':').next().unwrap_or_default();
        output(Command::new("losetup").arg("--detach").arg(device))?;
    }
    Ok(())
}

/// What is written is on the disk, and nothing that can be read again is in memory.
///
/// # Errors
/// What the kernel says.
pub fn drop_caches(root: &Path) -> Result<()> {
    rustix::fs::syncfs(File::open(root)?)?;
    std::fs::write("/proc/sys/vm/drop_caches", "3").context("the page cache cannot be dropped")
}

/// Runs a command to its end.
///
/// # Errors
/// When it fails, with what it says.
pub fn output(command: &mut Command) -> Result<String> {
    let told = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(told.status.success(), "{command:?}: {}", String::from_utf8_lossy(&told.stderr).trim());
    Ok(String::from_utf8_lossy(&told.stdout).into_owned())
}
