//! The disk with its flushes counted: each call that makes the device write its cache out.

use cctv_custodian::disk::{Access, Disk, DiskFile, Extents, FileSystemFacts, FlushSite, RealDisk};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The machine's own disk.
#[derive(Clone, Debug, Default)]
pub struct CountedDisk(Arc<AtomicU64>);

#[derive(Debug)]
struct CountedFile {
    file: Box<dyn DiskFile>,
    flushes: CountedDisk,
}

impl CountedDisk {
    /// How many there have been.
    pub fn flushes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn flush(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn made(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(CountedFile { file, flushes: self.clone() })
    }
}

impl Disk for CountedDisk {
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
    fn sync_dir_at(&self, dir: &Path, site: FlushSite) -> io::Result<()> {
        self.flush();
        RealDisk.sync_dir_at(dir, site)
    }
    fn sync_file_system_at(&self, dir: &Path, site: FlushSite) -> io::Result<()> {
        self.flush();
        RealDisk.sync_file_system_at(dir, site)
    }
    fn file_system(&self, dir: &Path) -> io::Result<FileSystemFacts> {
        RealDisk.file_system(dir)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }
}

impl DiskFile for CountedFile {
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        self.file.read_some_at(buffer, offset_bytes)
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
    fn sync_data_at(&self, site: FlushSite) -> io::Result<()> {
        self.flushes.flush();
        self.file.sync_data_at(site)
    }
    fn extents(&self) -> io::Result<Extents> {
        self.file.extents()
    }
    fn next_written(&self, offset_bytes: u64) -> io::Result<Option<u64>> {
        self.file.next_written(offset_bytes)
    }
}
