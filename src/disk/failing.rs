//! A disk for tests: the machine's own, until its flushes fail.

use super::{Access, Disk, DiskFile, Extents, RealDisk};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The real disk, whose flushes of files fail when told to.
#[derive(Clone, Debug)]
pub struct FailingDisk {
    /// Flushes that still succeed.
    left: Arc<AtomicU32>,
    /// What is told to be free; `u64::MAX` for the truth.
    free_bytes: Arc<AtomicU64>,
}

impl Default for FailingDisk {
    fn default() -> Self {
        Self { left: Arc::new(AtomicU32::new(u32::MAX)), free_bytes: Arc::new(AtomicU64::new(u64::MAX)) }
    }
}

impl FailingDisk {
    /// All flushes but the next `flushes` fail; `u32::MAX` mends the disk.
    pub fn fail_after(&self, flushes: u32) {
        self.left.store(flushes, Ordering::SeqCst);
    }

    /// Tells that so much is free.
    pub fn tell_free(&self, bytes: u64) {
        self.free_bytes.store(bytes, Ordering::SeqCst);
    }

    fn made(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FailingFile { file, left: Arc::clone(&self.left) })
    }
}

#[derive(Debug)]
struct FailingFile {
    file: Box<dyn DiskFile>,
    left: Arc<AtomicU32>,
}

impl Disk for FailingDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.made(RealDisk.create_new(path)?))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.made(RealDisk.open(path, access)?))
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
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_file_system(dir)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        match self.free_bytes.load(Ordering::SeqCst) {
            u64::MAX => RealDisk.free_bytes(dir),
            told => Ok(told),
        }
    }
}

impl DiskFile for FailingFile {
    fn read_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset_bytes)
    }
    fn write_all_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset_bytes)
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
    fn sync_data(&self) -> io::Result<()> {
        let left = self.left.load(Ordering::SeqCst);
        match left {
            0 => return Err(io::Error::from_raw_os_error(5)),
            u32::MAX => {}
            left => self.left.store(left - 1, Ordering::SeqCst),
        }
        self.file.sync_data()
    }
    fn extents(&self) -> io::Result<Extents> {
        self.file.extents()
    }
    fn next_written(&self, offset_bytes: u64) -> io::Result<Option<u64>> {
        self.file.next_written(offset_bytes)
    }
}
