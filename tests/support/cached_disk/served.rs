//! The disk itself: a file in a FUSE file system of its own, with a volatile cache, as a process serves it.
//!
//! `disk.img` holds what the disk shows while it has power, `durable.img` what it has after a power cut. Between the
//! two stands the log of writes since the last flush.

use super::super::commands::run;
use super::Dice;
use anyhow::{Context, Result, bail};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, MountOption,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

const SECTOR_BYTES: u64 = 512;
/// Where a file system keeps its superblock: one checksum over two sectors, written in place. ext4 takes it for granted that
/// such a block is written whole (the disks of today do), and does not mount one that was torn.
const SUPERBLOCK_BYTES: u64 = 4096;
const DISK: INodeNo = INodeNo(2);
const FOR_EVER: Duration = Duration::from_secs(3600);
const COMMAND_LIMIT: Duration = Duration::from_secs(20);

/// What the power cut leaves of the cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    Nothing,
    /// A random half of the sectors written since the last flush. Of one that was written twice, either.
    Half {
        seed: u64,
    },
}

/// The parts of a write that a power cut keeps or loses one by one.
fn sectors_of(at: u64, bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let (whole, rest) = bytes.split_at(SUPERBLOCK_BYTES.saturating_sub(at).min(bytes.len() as u64) as usize);
    let behind = at + whole.len() as u64;
    let parts = rest.chunks(SECTOR_BYTES as usize).enumerate();
    let parts = parts.map(|(n, part)| (behind + n as u64 * SECTOR_BYTES, part));
    (!whole.is_empty()).then_some((at, whole)).into_iter().chain(parts).collect()
}

/// What the disk refuses, as a dying one does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refuses {
    Nothing,
    /// Writes and flushes end with EIO.
    Writes,
    Everything,
}

/// What the disk has done since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    pub writes: u64,
    pub flushes: u64,
    /// Sectors written since the last flush; one written twice counts twice.
    pub unflushed_sectors: u64,
    pub has_power: bool,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Order {
    /// Power goes, now or right before that many more writes and flushes.
    Off {
        after: u64,
        half_of: Option<u64>,
    },
    On,
    Refuse {
        writes: bool,
        reads: bool,
    },
    /// Whatever is asked of it is answered when this is taken back, and not before.
    Hang {
        hangs: bool,
    },
    /// It takes so many bytes a second and no more; 0: as many as it can.
    Slow {
        bytes_a_s: u64,
    },
    Count,
}

/// What holds those up who ask.
#[derive(Debug, Default)]
struct Gate {
    hangs: Mutex<bool>,
    opens: Condvar,
    bytes_a_s: AtomicU64,
}

impl Gate {
    fn hang(&self, hangs: bool) {
        *self.hangs.lock().unwrap_or_else(PoisonError::into_inner) = hangs;
        self.opens.notify_all();
    }

    fn pass(&self, bytes: usize) {
        let hangs = self.hangs.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opens.wait_while(hangs, |hangs| *hangs).unwrap_or_else(PoisonError::into_inner));
        let rate = self.bytes_a_s.load(Ordering::Relaxed);
        if let Some(micros) = (bytes as u64 * 1_000_000).checked_div(rate) {
            std::thread::sleep(Duration::from_micros(micros));
        }
    }
}

#[derive(Debug)]
struct Served {
    shown: File,
    durable: File,
    unflushed: Vec<(u64, Vec<u8>)>,
    refuses: Refuses,
    counts: Counts,
    /// The writes and flushes that are still served, and what is kept then.
    going: Option<(u64, Kept)>,
}

impl Served {
    fn open(dir: &Path) -> io::Result<Self> {
        let open = |name| File::options().read(true).write(true).open(dir.join(name));
        let counts = Counts { has_power: true, ..Counts::default() };
        let (shown, durable) = (open("disk.img")?, open("durable.img")?);
        Ok(Self { shown, durable, unflushed: Vec::new(), refuses: Refuses::Nothing, counts, going: None })
    }

    fn takes_changes(&mut self) -> io::Result<()> {
        match &mut self.going {
            Some((0, kept)) => {
                let kept = *kept;
                self.power_off(kept)?;
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
        if !self.counts.has_power || self.refuses != Refuses::Nothing {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.takes_changes()?;
        self.shown.write_all_at(bytes, at)?;
        self.unflushed.push((at, bytes.to_vec()));
        self.counts.writes += 1;
        self.counts.unflushed_sectors += (bytes.len() as u64).div_ceil(SECTOR_BYTES);
        Ok(())
    }

    fn read(&self, at: u64, size: usize) -> io::Result<Vec<u8>> {
        if !self.counts.has_power || self.refuses == Refuses::Everything {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let mut bytes = vec![0; size];
        let got = self.shown.read_at(&mut bytes, at)?;
        bytes.truncate(got);
        Ok(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.takes_changes()?;
        for (at, bytes) in self.unflushed.drain(..) {
            self.durable.write_all_at(&bytes, at)?;
        }
        self.counts.flushes += 1;
        self.counts.unflushed_sectors = 0;
        Ok(())
    }

    /// Nothing that comes after this is served.
    fn power_off(&mut self, kept: Kept) -> io::Result<()> {
        self.going = None;
        self.counts.has_power = false;
        let writes = std::mem::take(&mut self.unflushed);
        self.counts.unflushed_sectors = 0;
        if let Kept::Half { seed } = kept {
            let mut dice = Dice(seed);
            let mut sectors: Vec<(u64, &[u8])> = Vec::new();
            for (at, bytes) in &writes {
                sectors.extend(sectors_of(*at, bytes));
            }
            // In any order: of two writes to one sector either may be the one that is left.
            for last in (1..sectors.len()).rev() {
                sectors.swap(last, dice.between(0, last as u64 + 1) as usize);
            }
            for (at, part) in sectors {
                if dice.roll().is_multiple_of(2) {
                    self.durable.write_all_at(part, at)?;
                }
            }
        }
        // What it shows when it has power again is what it kept.
        for (at, bytes) in writes {
            let mut left = vec![0; bytes.len()];
            self.durable.read_exact_at(&mut left, at)?;
            self.shown.write_all_at(&left, at)?;
        }
        Ok(())
    }

    fn obey(&mut self, order: Order) -> io::Result<Counts> {
        match order {
            Order::Off { after, half_of } => {
                let kept = half_of.map_or(Kept::Nothing, |seed| Kept::Half { seed });
                match after {
                    0 => self.power_off(kept)?,
                    _ => self.going = Some((after, kept)),
                }
            }
            Order::On => (self.counts.has_power, self.going) = (true, None),
            Order::Refuse { writes, reads } => {
                self.refuses = match (writes, reads) {
                    (_, true) => Refuses::Everything,
                    (true, false) => Refuses::Writes,
                    (false, false) => Refuses::Nothing,
                }
            }
            // Not of what it holds, but of who asks.
            Order::Hang { .. } | Order::Slow { .. } | Order::Count => {}
        }
        Ok(self.counts)
    }
}

/// A directory with one file in it.
struct OneFile {
    served: Arc<Mutex<Served>>,
    gate: Arc<Gate>,
    size_bytes: u64,
}

impl OneFile {
    fn lock(&self) -> MutexGuard<'_, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attributes(&self, ino: INodeNo) -> FileAttr {
        let is_disk = ino == DISK;
        FileAttr {
            ino,
            size: if is_disk { self.size_bytes } else { 0 },
            blocks: if is_disk { self.size_bytes / SECTOR_BYTES } else { 0 },
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_disk { FileType::RegularFile } else { FileType::Directory },
            perm: if is_disk { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for OneFile {
    fn lookup(&self, _req: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match name.to_str() {
            Some("disk") => reply.entry(&FOR_EVER, &self.attributes(DISK), Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&FOR_EVER, &self.attributes(ino));
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        // No page of it is kept by the kernel below the loop device: what is read is what the disk has.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.gate.pass(0);
        match self.lock().read(offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.gate.pass(data.len());
        match self.lock().write(data, offset) {
            Ok(()) => reply.written(data.len() as u32),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    /// Each close of a file asks for it; a disk is flushed by `fsync` alone.
    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _lock_owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.gate.pass(0);
        match self.lock().flush() {
            Ok(()) => reply.ok(),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn fallocate(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _offset: u64,
        _length: u64,
        _mode: i32,
        reply: ReplyEmpty,
    ) {
        // Neither discards nor zeroes by command: all that changes it are writes.
        reply.error(Errno::EOPNOTSUPP);
    }
}

/// Serves the disk in `dir` until the one who ordered it is gone, however that came about; then takes everything down.
pub(super) fn serve(dir: &Path) -> Result<()> {
    let served = Arc::new(Mutex::new(Served::open(dir)?));
    let gate = Arc::new(Gate::default());
    let size_bytes = std::fs::metadata(dir.join("disk.img"))?.len();
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("custodian-cached-disk".to_owned())];
    let place = dir.join("fuse");
    let session = fuser::spawn_mount(
        OneFile { served: Arc::clone(&served), gate: Arc::clone(&gate), size_bytes },
        &place,
        &config,
    )
    .context("the FUSE file system cannot be mounted; is there a /dev/fuse?")?;
    let mut answers = UnixStream::connect(dir.join("orders"))?;
    for line in BufReader::new(answers.try_clone()?).lines() {
        // An error is that nobody is there any more.
        let Ok(line) = line else { break };
        let order: Order = serde_json::from_str(&line)?;
        match order {
            Order::Hang { hangs } => gate.hang(hangs),
            Order::Slow { bytes_a_s } => gate.bytes_a_s.store(bytes_a_s, Ordering::Relaxed),
            Order::Off { .. } | Order::On | Order::Refuse { .. } | Order::Count => {}
        }
        let told = served.lock().unwrap_or_else(PoisonError::into_inner).obey(order)?;
        if writeln!(answers, "{}", serde_json::to_string(&told)?).is_err() {
            break;
        }
    }
    gate.hang(false);
    gate.bytes_a_s.store(0, Ordering::Relaxed);
    let unmount = |place: &Path| run(Command::new("umount").arg("--lazy").arg(place), "", COMMAND_LIMIT);
    if is_mount_point(&dir.join("mounted"))? {
        unmount(&dir.join("mounted"))?;
    }
    // Fails while a loop device still has the file: the end of this process ends that, too.
    if session.umount_and_join().is_err() {
        unmount(&place)?;
        bail!("the disk was still in use");
    }
    Ok(())
}

/// Whether something is mounted right there.
pub(super) fn is_mount_point(dir: &Path) -> Result<bool> {
    let table = std::fs::read_to_string("/proc/self/mounts")?;
    Ok(table.lines().any(|line| line.split(' ').nth(1).is_some_and(|place| Path::new(place) == dir)))
}
