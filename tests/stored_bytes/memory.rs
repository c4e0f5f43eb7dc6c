//! A disk in memory: stored bytes for the program's own readers, without a file.
#![allow(dead_code, reason = "each test uses its own part of this")]

use cctv_custodian::disk::{Access, Disk, DiskFile, Extents, FileSystemFacts, FlushSite, SharedDisk};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug, Default)]
pub struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl MemoryFile {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(bytes.to_vec())))
    }
}

#[derive(Debug, Default)]
pub struct MemoryDisk(Mutex<BTreeMap<PathBuf, MemoryFile>>);

impl MemoryDisk {
    /// A disk with these files.
    pub fn with(files: &[(&str, &[u8])]) -> SharedDisk {
        let files = files.iter().map(|(path, bytes)| (PathBuf::from(path), MemoryFile::of(bytes)));
        Arc::new(Self(Mutex::new(files.collect())))
    }
}

pub fn stored(disk: &dyn Disk, path: &str) -> Vec<u8> {
    cctv_custodian::disk::read_file(disk, Path::new(path), u64::MAX).unwrap()
}

impl DiskFile for MemoryFile {
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let bytes = self.0.lock().unwrap();
        let from = usize::try_from(offset_bytes).unwrap_or(usize::MAX).min(bytes.len());
        let got = buffer.len().min(bytes.len() - from);
        buffer[..got].copy_from_slice(&bytes[from..from + got]);
        Ok(got)
    }

    fn write_all_at(&self, written: &[u8], offset_bytes: u64) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let from = usize::try_from(offset_bytes).unwrap();
        let end = from + written.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[from..end].copy_from_slice(written);
        Ok(())
    }

    fn allocate(&self, length_bytes: u64) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let length = usize::try_from(length_bytes).unwrap();
        if bytes.len() < length {
            bytes.resize(length, 0);
        }
        Ok(())
    }

    fn set_len(&self, length_bytes: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(usize::try_from(length_bytes).unwrap(), 0);
        Ok(())
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn sync_data_at(&self, _: FlushSite) -> io::Result<()> {
        Ok(())
    }

    fn extents(&self) -> io::Result<Extents> {
        Ok(Extents::Unknown("it is in memory"))
    }
}

fn not_there() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for MemoryDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut files = self.0.lock().unwrap();
        if files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = MemoryFile::default();
        files.insert(path.to_path_buf(), file.clone());
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path, _: Access) -> io::Result<Box<dyn DiskFile>> {
        let file = self.0.lock().unwrap().get(path).cloned().ok_or_else(not_there)?;
        Ok(Box::new(file))
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>> {
        let files = self.0.lock().unwrap();
        let here = files.keys().filter(|path| path.parent() == Some(dir));
        Ok(here.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn list_dirs(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let file = files.remove(from).ok_or_else(not_there)?;
        files.insert(to.to_path_buf(), file);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.lock().unwrap().remove(path).map(drop).ok_or_else(not_there)
    }

    fn sync_dir_at(&self, _: &Path, _: FlushSite) -> io::Result<()> {
        Ok(())
    }

    fn sync_file_system_at(&self, _: &Path, _: FlushSite) -> io::Result<()> {
        Ok(())
    }

    fn file_system(&self, _: &Path) -> io::Result<FileSystemFacts> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}
