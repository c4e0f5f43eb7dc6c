//! A disk in memory, for tests: it loses what a real one loses at a power cut, fails when it is told to, and can leave out
//! the flush of one place in the program.
//!
//! What it takes for granted of ext4 and XFS: a change of names happens whole or not at all, and after what it follows
//! from; a sector is written whole or not at all; a flush of a file covers its content and size and not its name, a
//! flush of a directory the names in it, `syncfs` both for the whole file system. Nothing else: what was not flushed may
//! be kept or lost in any part and order, also what was written past the page cache. After a flush that failed, what it
//! was to cover is lost, and the next flush says nothing of it.

mod world;

use super::{Access, BLOCK_BYTES, Disk, DiskFile, Extents, FileSystemFacts, FlushSite};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use world::World;
pub use world::{Dice, Habit, PowerCut};

const EXT4_MAGIC: u64 = 0xEF53;
const EIO: i32 = 5;

/// What was asked of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum OperationKind {
    Create,
    Open,
    CreateDir,
    List,
    Rename,
    Remove,
    FlushDir,
    FlushFileSystem,
    Facts,
    Read,
    Write,
    Allocate,
    SetLength,
    Length,
    FlushFile,
    Extents,
}

impl OperationKind {
    /// Whether it can change what stands on the device.
    pub fn changes(self) -> bool {
        use OperationKind::{Allocate, Create, CreateDir, Remove, Rename, SetLength, Write};
        matches!(self, Create | CreateDir | Rename | Remove | Write | Allocate | SetLength) || self.is_flush()
    }

    pub fn is_flush(self) -> bool {
        matches!(self, OperationKind::FlushDir | OperationKind::FlushFileSystem | OperationKind::FlushFile)
    }
}

/// One operation, in the order in which they came.
#[derive(Clone, Debug)]
pub struct Operation {
    pub kind: OperationKind,
    pub path: PathBuf,
    /// Of a flush: where in the program.
    pub site: Option<FlushSite>,
}

/// Operations that fail, or read too little.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kinds: fn(OperationKind) -> bool,
    /// Only those on files and directories below this.
    pub below: PathBuf,
    /// So many of them succeed first.
    pub skip: usize,
    /// Then so many fail.
    pub times: usize,
    /// The error's number; `None` for a read that comes back short.
    pub error: Option<i32>,
}

/// A flush of the program: the place that waits for it, and of what it is.
pub type Flush = (FlushSite, OperationKind);

/// The disk right after an operation that changed something.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// So many operations had come to their end.
    pub operations: usize,
    world: World,
}

#[derive(Debug)]
struct Machine {
    world: World,
    log: Vec<Operation>,
    snapshots: Option<Vec<Snapshot>>,
    failures: Vec<Failure>,
    left_out: Option<Flush>,
    /// What is told to be free.
    free_bytes: u64,
}

/// The disk. Clones are doors to the same one.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Arc<Mutex<Machine>>);

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    inode: usize,
    path: PathBuf,
    access: Access,
}

impl SimulatedDisk {
    /// An empty disk; each of `mounts` is a file system of its own.
    pub fn new(mounts: &[&Path]) -> Self {
        Self::of(World::new(mounts))
    }

    fn of(world: World) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            world,
            log: Vec::new(),
            snapshots: None,
            failures: Vec::new(),
            left_out: None,
            free_bytes: 1 << 40,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap()
    }

    /// From here on each change is kept as a [`Snapshot`].
    pub fn keep_snapshots(&self) {
        let mut machine = self.lock();
        let now = Snapshot { operations: machine.log.len(), world: machine.world.clone() };
        machine.snapshots = Some(vec![now]);
    }

    pub fn take_snapshots(&self) -> Vec<Snapshot> {
        self.lock().snapshots.take().unwrap_or_default()
    }

    /// Keeps the disk as it is now, though nothing changed.
    pub fn keep_snapshot(&self) {
        self.lock().end();
    }

    /// How many operations there were.
    pub fn operations(&self) -> usize {
        self.lock().log.len()
    }

    /// All operations so far, in order.
    pub fn log(&self) -> Vec<Operation> {
        self.lock().log.clone()
    }

    /// All files that have a name.
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock().world.paths()
    }

    /// The flushes that there were.
    pub fn flushes(&self) -> BTreeSet<Flush> {
        self.lock().log.iter().filter_map(|operation| Some((operation.site?, operation.kind))).collect()
    }

    /// From here on this flush says that it succeeds, and does nothing.
    pub fn leave_out(&self, flush: Flush) {
        self.lock().left_out = Some(flush);
    }

    pub fn fail(&self, failure: Failure) {
        self.lock().failures.push(failure);
    }

    /// All flushes of files but the next `flushes` fail.
    pub fn fail_flushes_after(&self, flushes: usize) {
        let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::FlushFile;
        self.fail(Failure { kinds, below: PathBuf::from("/"), skip: flushes, times: usize::MAX, error: Some(EIO) });
    }

    /// Nothing fails any more.
    pub fn mend(&self) {
        self.lock().failures.clear();
    }

    /// What it does with blocks from here on.
    pub fn take_habit(&self, habit: Habit) {
        self.lock().world.habit = habit;
    }

    pub fn tell_free(&self, bytes: u64) {
        self.lock().free_bytes = bytes;
    }

    /// The disk as it is after a power cut now.
    pub fn after(&self, cut: PowerCut) -> Self {
        Self::of(self.lock().world.after(cut))
    }

    /// Whether the device holds `bytes` at `offset` in any of its blocks, whether they belong to a file or not.
    pub fn device_holds(&self, bytes: &[u8], offset: usize) -> bool {
        self.lock().world.holds(bytes, offset)
    }
}

impl Snapshot {
    /// How many files have something to lose.
    pub fn unflushed_files(&self) -> usize {
        self.world.unflushed().len()
    }

    /// Whether a power cut at this instant would take nothing.
    pub fn is_flushed(&self) -> bool {
        self.world.is_flushed()
    }

    /// The disk after a power cut at this instant that took what was written to one file.
    pub fn after_losing(&self, name: &str) -> SimulatedDisk {
        let number = self.world.unflushed().iter().position(|inode| self.world.leads_to(name, *inode));
        self.after(PowerCut::AllBut(number.expect("nothing was written to it")))
    }

    /// The disk after a power cut at this instant that took everything but what was written to one file.
    pub fn after_keeping(&self, name: &str) -> SimulatedDisk {
        let number = self.world.unflushed().iter().position(|inode| self.world.leads_to(name, *inode));
        self.after(PowerCut::Only(number.expect("nothing was written to it")))
    }

    /// The disk as it is after a power cut at this instant.
    pub fn after(&self, cut: PowerCut) -> SimulatedDisk {
        SimulatedDisk::of(self.world.after(cut))
    }
}

impl Machine {
    /// Notes an operation. `Ok(true)` is a read that is to come back short.
    fn begin(&mut self, kind: OperationKind, path: &Path, site: Option<FlushSite>) -> io::Result<bool> {
        self.log.push(Operation { kind, path: path.to_path_buf(), site });
        for failure in &mut self.failures {
            if !(failure.kinds)(kind) || !path.starts_with(&failure.below) {
                continue;
            }
            if failure.skip > 0 {
                failure.skip -= 1;
            } else if failure.times > 0 {
                failure.times = failure.times.saturating_sub(usize::from(failure.times != usize::MAX));
                return failure.error.map_or(Ok(true), |error| Err(io::Error::from_raw_os_error(error)));
            }
        }
        Ok(false)
    }

    /// Notes that something changed.
    fn end(&mut self) {
        let now = Snapshot { operations: self.log.len(), world: self.world.clone() };
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.push(now);
        }
    }
}

impl SimulatedDisk {
    fn change<T>(
        &self,
        kind: OperationKind,
        path: &Path,
        change: impl FnOnce(&mut World) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut machine = self.lock();
        machine.begin(kind, path, None)?;
        let told = change(&mut machine.world)?;
        machine.end();
        Ok(told)
    }

    fn look<T>(&self, kind: OperationKind, path: &Path, look: impl FnOnce(&World) -> io::Result<T>) -> io::Result<T> {
        let mut machine = self.lock();
        machine.begin(kind, path, None)?;
        look(&machine.world)
    }

    fn flush(
        &self,
        kind: OperationKind,
        path: &Path,
        site: FlushSite,
        flush: impl FnOnce(&mut World) -> io::Result<()>,
        lose: impl FnOnce(&mut World),
    ) -> io::Result<()> {
        let mut machine = self.lock();
        if let Err(e) = machine.begin(kind, path, Some(site)) {
            lose(&mut machine.world);
            return Err(e);
        }
        if machine.left_out != Some((site, kind)) {
            flush(&mut machine.world)?;
        }
        machine.end();
        Ok(())
    }

    fn file(&self, inode: usize, path: &Path, access: Access) -> Box<dyn DiskFile> {
        Box::new(SimulatedFile { disk: self.clone(), inode, path: path.to_path_buf(), access })
    }

    /// What the names lead to: equal for disks that look the same, within one run.
    pub fn fingerprint(&self) -> u64 {
        self.lock().world.fingerprint()
    }
}

impl Disk for SimulatedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.change(OperationKind::Create, path, |world| world.create(path))?;
        Ok(self.file(inode, path, Access::ReadWrite))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.look(OperationKind::Open, path, |world| world.find(path))?;
        Ok(self.file(inode, path, access))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(OperationKind::CreateDir, path, |world| {
            world.create_dir(path);
            Ok(())
        })
    }

    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.look(OperationKind::List, dir, |world| world.list(dir, false))
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.look(OperationKind::List, dir, |world| world.list(dir, true))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(OperationKind::Remove, path, |world| world.remove_dir(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(OperationKind::Rename, from, |world| world.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(OperationKind::Remove, path, |world| world.remove(path))
    }

    fn sync_dir_at(&self, dir: &Path, site: FlushSite) -> io::Result<()> {
        self.flush(OperationKind::FlushDir, dir, site, |world| world.flush_dir(dir), |_| {})
    }

    fn sync_file_system_at(&self, dir: &Path, site: FlushSite) -> io::Result<()> {
        let lose = |world: &mut World| world.files_below(dir).into_iter().for_each(|inode| world.lose_file(inode));
        self.flush(OperationKind::FlushFileSystem, dir, site, |world| world.flush_file_system(dir), lose)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let mut machine = self.lock();
        machine.begin(OperationKind::Facts, dir, None)?;
        Ok(machine.free_bytes)
    }

    fn file_system(&self, dir: &Path) -> io::Result<FileSystemFacts> {
        self.look(OperationKind::Facts, dir, |_| {
            Ok(FileSystemFacts { magic: EXT4_MAGIC, options: "rw,relatime".into() })
        })
    }
}

impl SimulatedFile {
    /// What `O_DIRECT` asks for.
    fn must_be_aligned(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        let block = BLOCK_BYTES as u64;
        let is_aligned = offset_bytes.is_multiple_of(block)
            && (bytes.len() as u64).is_multiple_of(block)
            && bytes.as_ptr().addr().is_multiple_of(BLOCK_BYTES);
        if self.access == Access::Direct && !is_aligned { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }

    fn must_be_writable(&self) -> io::Result<()> {
        if self.access == Access::Read { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
    }
}

impl DiskFile for SimulatedFile {
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        self.must_be_aligned(buffer, offset_bytes)?;
        let mut machine = self.disk.lock();
        let is_short = machine.begin(OperationKind::Read, &self.path, None)?;
        let wanted = if is_short { buffer.len() / 2 } else { buffer.len() };
        Ok(machine.world.read(self.inode, &mut buffer[..wanted], offset_bytes))
    }

    fn write_all_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        self.must_be_writable()?;
        self.must_be_aligned(bytes, offset_bytes)?;
        let mut machine = self.disk.lock();
        if let Err(e) = machine.begin(OperationKind::Write, &self.path, None) {
            // A write that fails may have come half of its way.
            machine.world.write(self.inode, &bytes[..bytes.len() / 2], offset_bytes);
            return Err(e);
        }
        machine.world.write(self.inode, bytes, offset_bytes);
        machine.end();
        Ok(())
    }

    fn allocate(&self, length_bytes: u64) -> io::Result<()> {
        self.must_be_writable()?;
        self.disk.change(OperationKind::Allocate, &self.path, |world| {
            world.allocate(self.inode, length_bytes);
            Ok(())
        })
    }

    fn set_len(&self, length_bytes: u64) -> io::Result<()> {
        self.must_be_writable()?;
        self.disk.change(OperationKind::SetLength, &self.path, |world| {
            world.set_length(self.inode, length_bytes);
            Ok(())
        })
    }

    fn len_bytes(&self) -> io::Result<u64> {
        self.disk.look(OperationKind::Length, &self.path, |world| Ok(world.length(self.inode)))
    }

    fn sync_data_at(&self, site: FlushSite) -> io::Result<()> {
        let inode = self.inode;
        let (flush, lose) = (
            |world: &mut World| {
                world.flush_file(inode);
                Ok(())
            },
            |world: &mut World| world.lose_file(inode),
        );
        self.disk.flush(OperationKind::FlushFile, &self.path, site, flush, lose)
    }

    fn extents(&self) -> io::Result<Extents> {
        let encoded = Extents::Unknown("blocks are compressed or encrypted by the file system");
        let told = |world: &World| Ok(world.extents(self.inode).map_or(encoded, Extents::Known));
        self.disk.look(OperationKind::Extents, &self.path, told)
    }
}

#[cfg(test)]
mod tests;
