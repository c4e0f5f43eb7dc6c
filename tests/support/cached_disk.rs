//! A disk with a volatile cache, whose power can be cut and which can begin to fail: a FUSE file, and a file system on
//! it, mounted through a loop device. Wants root and /dev/fuse.
//!
//! The disk is served by a process of its own (the test's program once more, see [`serve_if_asked`]): a process that
//! waits for its own FUSE file cannot be killed, and would leave the mount behind. When the test is gone, however that
//! came about, the serving process sees its orders' pipe close and takes everything down.

#[path = "cached_disk/served.rs"]
mod served;

pub use served::{Counts, Kept, Refuses};

use super::commands::{end_by_force, run, wait_for_end, wait_until};
use super::raw_disk::{FileSystem, LOCK_NAME, clear_left_overs, require_root};
use anyhow::{Context, Result, ensure};
use served::{Order, is_mount_point};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const COMMAND_LIMIT: Duration = Duration::from_secs(120);
const READY_LIMIT: Duration = Duration::from_secs(60);
const LEAVE_LIMIT: Duration = Duration::from_secs(30);
const NAME_PREFIX: &str = "custodian-cached-";
/// Where the serving process finds its directory.
const ASKED_BY: &str = "CUSTODIAN_TEST_SERVES_DISK";

/// A sequence of numbers that look random, the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `from` up to, and without, `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from)
    }
}

/// Whether this process was started to serve a disk; then it has done so when this returns. The test whose name
/// [`CachedDisk::new`] is given calls it first.
pub fn serve_if_asked() -> bool {
    let Some(dir) = std::env::var_os(ASKED_BY) else { return false };
    served::serve(Path::new(&dir)).expect("a disk is served to its end");
    true
}

/// A mounted file system on a disk with a cache. Taken down when dropped.
#[derive(Debug)]
pub struct CachedDisk {
    dir: tempfile::TempDir,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
    child: Child,
    /// Held as long as this lives, so that others can tell that it does.
    _lock: File,
}

impl CachedDisk {
    /// `server` is the full name of the test in this program that calls [`serve_if_asked`].
    pub fn new(server: &str, kind: FileSystem, size_mib: u64) -> Result<Self> {
        require_root()?;
        clear_left_overs(NAME_PREFIX, &["mounted", "fuse"]);
        let dir = tempfile::Builder::new().prefix(NAME_PREFIX).tempdir()?;
        let lock = File::create(dir.path().join(LOCK_NAME))?;
        lock.lock()?;
        let (durable, shown) = (dir.path().join("durable.img"), dir.path().join("disk.img"));
        File::create(&durable)?.set_len(size_mib << 20)?;
        let mut make = match kind {
            FileSystem::Ext4 => {
                let mut make = Command::new("mkfs.ext4");
                make.args(["-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
                make
            }
            FileSystem::Xfs => {
                let mut make = Command::new("mkfs.xfs");
                make.args(["-q", "-f"]);
                make
            }
            FileSystem::Btrfs => anyhow::bail!("no site is ever on btrfs: it is refused"),
        };
        run(make.arg(&durable), "", COMMAND_LIMIT)?.succeeded().context("mkfs")?;
        copy_sparse(&durable, &shown)?;
        for place in ["fuse", "mounted"] {
            std::fs::create_dir(dir.path().join(place))?;
        }
        let listener = UnixListener::bind(dir.path().join("orders"))?;
        listener.set_nonblocking(true)?;
        let log = File::create(dir.path().join("served.log"))?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([server, "--exact", "--nocapture", "--test-threads=1"])
            .env(ASKED_BY, dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for the tests; it ends in order when they are gone.
            .process_group(0)
            .spawn()?;
        let joined = wait_until("the disk is served", READY_LIMIT, || {
            ensure!(
                child.try_wait()?.is_none(),
                "it ended: {}",
                std::fs::read_to_string(dir.path().join("served.log"))?
            );
            Ok(listener.accept().ok())
        });
        let (orders, _) = match joined {
            Ok(joined) => joined,
            Err(e) => {
                end_by_force(&mut child)?;
                return Err(e);
            }
        };
        orders.set_nonblocking(false)?;
        let answers = BufReader::new(orders.try_clone()?);
        let mut disk = Self { dir, orders, answers, child, _lock: lock };
        disk.mount()?;
        Ok(disk)
    }

    /// Where its files stand while it has power.
    pub fn mount_point(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    /// The disk as it is after a power cut, as a file.
    pub fn durable_path(&self) -> PathBuf {
        self.dir.path().join("durable.img")
    }

    fn order(&mut self, order: &Order) -> Result<Counts> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?)?;
        let mut told = String::new();
        self.answers.read_line(&mut told)?;
        serde_json::from_str(&told).with_context(|| {
            let log = std::fs::read_to_string(self.dir.path().join("served.log")).unwrap_or_default();
            format!("the disk answered {told:?}: {log}")
        })
    }

    pub fn counts(&mut self) -> Result<Counts> {
        self.order(&Order::Count)
    }

    /// It answers nothing from now on, until this is taken back: no error, no end.
    pub fn hang(&mut self, hangs: bool) -> Result<()> {
        self.order(&Order::Hang { hangs }).map(drop)
    }

    /// It takes so many bytes a second from now on; 0: as many as it can.
    pub fn slow_down(&mut self, bytes_a_s: u64) -> Result<()> {
        self.order(&Order::Slow { bytes_a_s }).map(drop)
    }

    /// The power goes. What is left of the cache is settled; nothing is read or written any more, by anybody.
    pub fn cut(&mut self, kept: Kept) -> Result<()> {
        self.cut_after(0, kept)
    }

    /// The power goes right before that many more writes and flushes have reached the disk, plus one.
    pub fn cut_after(&mut self, operations: u64, kept: Kept) -> Result<()> {
        let half_of = match kept {
            Kept::Nothing => None,
            Kept::Half { seed } => Some(seed),
        };
        self.order(&Order::Off { after: operations, half_of }).map(drop)
    }

    /// From now on some of it fails, as long as it has power.
    pub fn refuse(&mut self, refuses: Refuses) -> Result<()> {
        let (writes, reads) = (refuses != Refuses::Nothing, refuses == Refuses::Everything);
        self.order(&Order::Refuse { writes, reads }).map(drop)
    }

    /// Power again after a cut: the file system is mounted anew and recovers what it must. Nobody may have a file of it
    /// open any more.
    pub fn restore(&mut self) -> Result<()> {
        self.unmount()?;
        self.order(&Order::On)?;
        self.mount()
    }

    fn mount(&mut self) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(self.dir.path().join("fuse/disk")).arg(self.mount_point());
        run(&mut mount, "", COMMAND_LIMIT)?.succeeded().context("mount").map(drop)
    }

    /// Unmounts it, in order where it has power.
    pub fn unmount(&mut self) -> Result<()> {
        let place = self.mount_point();
        // A process that was killed a moment ago may still be closing its files.
        wait_until("the file system is unmounted", COMMAND_LIMIT, || {
            if !is_mount_point(&place)? {
                return Ok(Some(()));
            }
            run(Command::new("umount").arg(&place), "", COMMAND_LIMIT)?;
            Ok(None)
        })?;
        // The loop device lets go of the disk a moment later.
        let disk = self.dir.path().join("fuse/disk");
        wait_until("the loop device is free", COMMAND_LIMIT, || {
            let told = run(Command::new("losetup").arg("--associated").arg(&disk), "", COMMAND_LIMIT)?.succeeded()?;
            Ok(told.stdout.trim().is_empty().then_some(()))
        })
    }

    /// Everything written so far, by anybody, is durable when this returns.
    pub fn settle(&self) -> Result<()> {
        Ok(rustix::fs::syncfs(File::open(self.mount_point())?)?)
    }

    /// What it holds durably, to be put back by [`CachedDisk::rewind`]. It must be unmounted.
    pub fn keep_copy(&self, copy: &Path) -> Result<()> {
        copy_sparse(&self.durable_path(), copy)
    }

    /// The disk as it was when the copy was made; unmounted before, mounted after.
    pub fn rewind(&mut self, copy: &Path) -> Result<()> {
        self.unmount()?;
        // Before it is written below the server: nothing may be in its cache.
        self.cut(Kept::Nothing)?;
        for name in ["durable.img", "disk.img"] {
            overwrite_sparse(copy, &self.dir.path().join(name))?;
        }
        self.order(&Order::On)?;
        self.mount()
    }
}

impl Drop for CachedDisk {
    fn drop(&mut self) {
        // Else there would be no end of it.
        self.hang(false).and_then(|()| self.slow_down(0)).ok();
        // In order where that goes; the server unmounts lazily what is still there.
        run(Command::new("umount").arg(self.mount_point()), "", COMMAND_LIMIT).ok();
        self.orders.shutdown(std::net::Shutdown::Both).ok();
        if wait_for_end(&mut self.child, LEAVE_LIMIT).is_err() {
            end_by_force(&mut self.child).ok();
        }
        for place in ["mounted", "fuse"].map(|place| self.dir.path().join(place)) {
            if is_mount_point(&place).unwrap_or(true) {
                run(Command::new("umount").arg("--lazy").arg(&place), "", COMMAND_LIMIT).ok();
            }
        }
    }
}

fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let mut copy = Command::new("cp");
    copy.args(["--sparse=always", "--"]).args([from, to]);
    run(&mut copy, "", COMMAND_LIMIT)?.succeeded().context("cp").map(drop)
}

/// The same into a file that others have open: it stays the same file.
fn overwrite_sparse(from: &Path, to: &Path) -> Result<()> {
    let size = std::fs::metadata(from)?.len();
    let file = File::options().write(true).open(to)?;
    file.set_len(0)?;
    file.set_len(size)?;
    let mut copy = Command::new("dd");
    let (input, output) = (format!("if={}", from.display()), format!("of={}", to.display()));
    copy.args(["bs=1M", "conv=notrunc,sparse", "status=none"]).args([input, output]);
    run(&mut copy, "", COMMAND_LIMIT)?.succeeded().context("dd").map(drop)
}
