//! The machine's own disk with somebody watching what is done to it.

use cctv_custodian::disk::{Access, Disk, DiskFile, Extents, FileSystemFacts, FlushSite, RealDisk};
use std::fmt::Debug;
use std::io;
use std::path::Path;

/// What is done to the disk, or to a file that was opened with `Access`; one that was made has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Open(Access),
    Write(Option<Access>),
    Extents(Option<Access>),
    FlushFile(Option<Access>),
    FlushElse,
}

/// Who watches.
pub trait Watcher: Clone + Debug + Send + Sync + 'static {
    /// Does it, and takes note.
    fn watch<T>(&self, what: Act, act: impl FnOnce() -> T) -> T;
}

#[derive(Clone, Debug, Default)]
pub struct WatchedDisk<W>(pub W);

#[derive(Debug)]
struct WatchedFile<W> {
    file: Box<dyn DiskFile>,
    opened: Option<Access>,
    watcher: W,
}

impl<W: Watcher> WatchedDisk<W> {
    fn watched(&self, file: Box<dyn DiskFile>, opened: Option<Access>) -> Box<dyn DiskFile> {
        Box::new(WatchedFile { file, opened, watcher: self.0.clone() })
    }
}

impl<W: Watcher> Disk for WatchedDisk<W> {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.watched(RealDisk.create_new(path)?, None))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let file = self.0.watch(Act::Open(access), || RealDisk.open(path, access))?;
        Ok(self.watched(file, Some(access)))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }
    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list_files(dir)
    }
    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list_dirs(dir)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }
    fn sync_dir_at(&self, dir: &Path, site: FlushSite) -> io::Result<()> {
        self.0.watch(Act::FlushElse, || RealDisk.sync_dir_at(dir, site))
    }
    fn sync_file_system_at(&self, dir: &Path, site: FlushSite) -> io::Result<()> {
        self.0.watch(Act::FlushElse, || RealDisk.sync_file_system_at(dir, site))
    }
    fn file_system(&self, dir: &Path) -> io::Result<FileSystemFacts> {
        RealDisk.file_system(dir)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }
}

impl<W: Watcher> DiskFile for WatchedFile<W> {
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        self.file.read_some_at(buffer, offset_bytes)
    }
    fn write_all_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        self.watcher.watch(Act::Write(self.opened), || self.file.write_all_at(bytes, offset_bytes))
    }
    fn allocate(&self, length_bytes: u64) -> io::Result<()> {
        self.file.allocate(length_bytes)
    }
    fn set_len(&self, length_bytes: u64) -> io::Result<()> {
        self.file.set_len(length_bytes)
    }
    fn len_bytes(&self) -> io::Result<u64> {
        self.file.len_bytes()
    }
    fn sync_data_at(&self, site: FlushSite) -> io::Result<()> {
        self.watcher.watch(Act::FlushFile(self.opened), || self.file.sync_data_at(site))
    }
    fn extents(&self) -> io::Result<Extents> {
        self.watcher.watch(Act::Extents(self.opened), || self.file.extents())
    }
    fn next_written(&self, offset_bytes: u64) -> io::Result<Option<u64>> {
        self.file.next_written(offset_bytes)
    }
}
