//! The disk with the time taken that overwriting takes: opening a segment past the page cache, looking where it stands, writing
//! it and flushing it. Not reading it back, and no manifest.

use cctv_custodian::disk::{Access, Disk, DiskFile, Extents, FileSystemFacts, FlushSite, RealDisk};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The machine's own disk.
#[derive(Clone, Debug, Default)]
pub struct TimedDisk(Arc<AtomicU64>);

#[derive(Debug)]
struct TimedFile {
    file: Box<dyn DiskFile>,
    /// Only of files that were opened past the page cache.
    disk: Option<TimedDisk>,
}

impl TimedDisk {
    /// How long it took since the last time this was asked.
    pub fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }

    fn time<T>(&self, act: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let told = act();
        self.0.fetch_add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        told
    }
}

impl TimedFile {
    fn time<T>(&self, act: impl FnOnce(&dyn DiskFile) -> T) -> T {
        match &self.disk {
            Some(disk) => disk.time(|| act(&*self.file)),
            None => act(&*self.file),
        }
    }
}

impl Disk for TimedDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.create_new(path)
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        if access != Access::Direct {
            return RealDisk.open(path, access);
        }
        let file = self.time(|| RealDisk.open(path, access))?;
        Ok(Box::new(TimedFile { file, disk: Some(self.clone()) }))
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
        RealDisk.sync_dir_at(dir, site)
    }
    fn sync_file_system_at(&self, dir: &Path, site: FlushSite) -> io::Result<()> {
        RealDisk.sync_file_system_at(dir, site)
    }
    fn file_system(&self, dir: &Path) -> io::Result<FileSystemFacts> {
        RealDisk.file_system(dir)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(dir)
    }
}

impl DiskFile for TimedFile {
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        self.file.read_some_at(buffer, offset_bytes)
    }
    fn write_all_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        self.time(|file| file.write_all_at(bytes, offset_bytes))
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
        self.time(|file| file.sync_data_at(site))
    }
    fn extents(&self) -> io::Result<Extents> {
        self.time(|file| file.extents())
    }
    fn next_written(&self, offset_bytes: u64) -> io::Result<Option<u64>> {
        self.file.next_written(offset_bytes)
    }
}
