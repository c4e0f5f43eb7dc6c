//! The machine's own files.

use super::{Access, Disk, DiskFile, Extents, FileSystemFacts, FlushSite, kernel};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

/// The machine's own file systems.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(File);

const OWNER_ONLY: u32 = 0o600;

fn open_with(path: &Path, flags: OFlags) -> io::Result<Box<dyn DiskFile>> {
    let handle = rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(OWNER_ONLY))?;
    Ok(Box::new(RealFile(File::from(handle))))
}

fn names(dir: &Path, is_wanted: impl Fn(&std::fs::FileType) -> bool) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if is_wanted(&entry.file_type()?) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        open_with(path, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        match access {
            Access::Read => open_with(path, OFlags::RDONLY),
            Access::ReadWrite => open_with(path, OFlags::RDWR),
            Access::Direct => match open_with(path, OFlags::RDWR | OFlags::DIRECT) {
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => open_with(path, OFlags::RDWR),
                opened => opened,
            },
        }
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>> {
        names(dir, std::fs::FileType::is_file)
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        names(dir, std::fs::FileType::is_dir)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir_at(&self, dir: &Path, _site: FlushSite) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn sync_file_system_at(&self, dir: &Path, _site: FlushSite) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(dir)?)?)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let told = rustix::fs::statvfs(dir)?;
        Ok(told.f_bavail.saturating_mul(told.f_frsize))
    }

    fn file_system(&self, dir: &Path) -> io::Result<FileSystemFacts> {
        let magic = u64::try_from(rustix::fs::statfs(dir)?.f_type).map_err(io::Error::other)?;
        Ok(FileSystemFacts { magic, options: mount_options(dir)?.unwrap_or_default() })
    }
}

impl DiskFile for RealFile {
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], offset_bytes + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset_bytes)
    }

    fn allocate(&self, length_bytes: u64) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, length_bytes)?)
    }

    fn set_len(&self, length_bytes: u64) -> io::Result<()> {
        self.0.set_len(length_bytes)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data_at(&self, _site: FlushSite) -> io::Result<()> {
        self.0.sync_data()
    }

    fn extents(&self) -> io::Result<Extents> {
        kernel::extents(&self.0)
    }
}

/// The options of the mount that holds `dir`, those of the mount and of the file system together (proc(5), mountinfo).
fn mount_options(dir: &Path) -> io::Result<Option<String>> {
    let dir = dir.canonicalize()?;
    let mut best: Option<(usize, String)> = None;
    for line in std::fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (Some(point), Some(options), Some(special)) = (fields.get(4), fields.get(5), fields.last()) else {
            continue;
        };
        // Later lines mount over earlier ones, so an equal length wins too.
        let depth = point.len();
        if dir.starts_with(point) && best.as_ref().is_none_or(|(found, _)| depth >= *found) {
            best = Some((depth, format!("{options},{special}")));
        }
    }
    Ok(best.map(|(_, options)| options))
}

#[cfg(test)]
mod tests {
    use super::super::{AlignedBuffer, BLOCK_BYTES, read_file, replace_file};
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_for_their_owner_alone_and_are_never_made_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one");
        RealDisk.create_new(&path).unwrap().write_all_at(b"abc", 0).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RealDisk.create_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(read_file(&RealDisk, &path, 3).unwrap(), b"abc");
        assert!(read_file(&RealDisk, &path, 2).is_err());
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_left_over_does_not_stand_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        std::fs::write(path.with_extension("new"), b"left over from a crash").unwrap();
        replace_file(&RealDisk, &path, b"first").unwrap();
        replace_file(&RealDisk, &path, b"second").unwrap();
        assert_eq!(read_file(&RealDisk, &path, 100).unwrap(), b"second");
        assert_eq!(RealDisk.list_files(dir.path()).unwrap(), ["state"]);
    }

    #[test]
    fn direct_access_reads_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("direct");
        RealDisk.create_new(&path).unwrap().allocate(8192).unwrap();
        let file = RealDisk.open(&path, Access::Direct).unwrap();
        let mut block = AlignedBuffer::zeroed(BLOCK_BYTES);
        block.as_mut_slice().fill(7);
        file.write_all_at(block.as_slice(), 4096).unwrap();
        file.sync_data().unwrap();
        let mut back = AlignedBuffer::zeroed(8192);
        assert_eq!(file.read_at(back.as_mut_slice(), 0).unwrap(), 8192);
        assert!(back.as_slice()[..4096].iter().all(|b| *b == 0));
        assert!(back.as_slice()[4096..].iter().all(|b| *b == 7));
    }
}
