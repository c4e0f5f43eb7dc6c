//! The machine's own files.

use super::device::device_identity;
use super::{
    Access, DeviceFacts, DeviceIdentity, Discard, Disk, DiskFile, Extents, FileSystemFacts, FlushSite, Reach, kernel,
    layers,
};
use rustix::fs::{FallocateFlags, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
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
    each_name(dir, is_wanted, &mut |name| names.push(name.to_owned()))?;
    names.sort();
    Ok(names)
}

fn each_name(dir: &Path, is_wanted: impl Fn(&std::fs::FileType) -> bool, each: &mut dyn FnMut(&str)) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if is_wanted(&entry.file_type()?) {
            each(&entry.file_name().to_string_lossy());
        }
    }
    Ok(())
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

    fn each_file(&self, dir: &Path, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        each_name(dir, std::fs::FileType::is_file, each)
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

    fn size_bytes(&self, dir: &Path) -> io::Result<Option<u64>> {
        let told = rustix::fs::statvfs(dir)?;
        Ok(Some(told.f_blocks.saturating_mul(told.f_frsize)))
    }

    fn others_reach(&self, path: &Path) -> io::Result<Option<Reach>> {
        let told = std::fs::symlink_metadata(path)?;
        let mode = told.mode() & 0o7777;
        Ok(if !told.is_file() && !told.is_dir() {
            Some(Reach::Kind)
        } else if told.uid() != rustix::process::geteuid().as_raw() {
            Some(Reach::Owner { owner: told.uid() })
        } else if mode & 0o077 != 0 {
            Some(Reach::Mode { mode, is_dir: told.is_dir() })
        } else {
            None
        })
    }

    fn file_system(&self, dir: &Path) -> io::Result<FileSystemFacts> {
        let magic = u64::try_from(rustix::fs::statfs(dir)?.f_type).map_err(io::Error::other)?;
        Ok(FileSystemFacts { magic, options: mount_options(dir)?.unwrap_or_default() })
    }

    fn discard(&self, dir: &Path, from_bytes: u64, length_bytes: u64) -> io::Result<Discard> {
        match kernel::trim(&File::open(dir)?, from_bytes, length_bytes) {
            Ok(bytes) => Ok(Discard::Slice { bytes }),
            Err(Errno::INVAL) if from_bytes > 0 => Ok(Discard::BehindTheEnd),
            Err(Errno::PERM | Errno::ACCESS) => Ok(Discard::NotPermitted),
            Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS) => Ok(Discard::NotOffered),
            Err(e) => Err(e.into()),
        }
    }

    fn identity(&self, dir: &Path) -> DeviceIdentity {
        let Ok(told) = std::fs::metadata(dir) else { return DeviceIdentity::unknown() };
        device_identity(Path::new("/sys"), rustix::fs::major(told.dev()), rustix::fs::minor(told.dev()))
    }

    fn device(&self, dir: &Path) -> io::Result<DeviceFacts> {
        layers::facts(dir)
    }

    fn open_device(&self, file: &Path) -> io::Result<Box<dyn DiskFile>> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "the node of its block device is not there");
        let device = layers::facts(&super::parent(file)?)?.device.ok_or_else(none)?;
        open_with(&device, OFlags::RDONLY | OFlags::DIRECT)
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

    fn next_written(&self, offset_bytes: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.0, SeekFrom::Data(offset_bytes)) {
            Ok(next) => Ok(Some(next)),
            Err(Errno::NXIO) => Ok(None),
            // A file system that does not tell.
            Err(Errno::INVAL) => Ok(Some(offset_bytes)),
            Err(e) => Err(e.into()),
        }
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
    use super::super::{AlignedBuffer, BLOCK_BYTES, NotPrivate, check_private_dir, read_file, replace_file};
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
    fn what_others_could_reach_is_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        RealDisk.create_dir(&keys).unwrap();
        let key = keys.join("one");
        RealDisk.create_new(&key).unwrap();
        assert_eq!(check_private_dir(&RealDisk, &keys), Ok(()));
        assert_eq!(check_private_dir(&RealDisk, &dir.path().join("none")), Ok(()));
        let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o666] {
            set(&key, mode);
            let told = check_private_dir(&RealDisk, &keys).unwrap_err();
            assert_eq!(told, NotPrivate::Mode { path: key.clone(), mode, is_dir: false });
            assert!(told.to_string().ends_with(&format!("run `chmod 600 {}`", key.display())), "{told}");
        }
        set(&key, 0o400);
        assert_eq!(check_private_dir(&RealDisk, &keys), Ok(()));
        set(&keys, 0o750);
        let told = check_private_dir(&RealDisk, &keys).unwrap_err();
        assert!(told.to_string().ends_with(&format!("run `chmod 700 {}`", keys.display())), "{told}");
        set(&keys, 0o700);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&keys, &link).unwrap();
        assert_eq!(check_private_dir(&RealDisk, &link), Err(NotPrivate::Kind { path: link }));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&key, Some(1), None).unwrap();
            let told = check_private_dir(&RealDisk, &keys).unwrap_err();
            assert_eq!(told, NotPrivate::Owner { path: key, owner: 1 });
        }
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
    fn what_was_reserved_and_never_written_need_not_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.create_new(&dir.path().join("reserved")).unwrap();
        file.allocate(8 << 20).unwrap();
        file.write_all_at(&[7; 3 * BLOCK_BYTES], 4 << 20).unwrap();
        file.sync_data().unwrap();
        // Told by whole blocks, and never later than what is there.
        let next = file.next_written(1).unwrap().unwrap();
        assert!(next <= 4 << 20, "{next}");
        assert_eq!(file.next_written((4 << 20) + 5).unwrap(), Some((4 << 20) + 5));
        let behind = file.next_written((4 << 20) + 3 * BLOCK_BYTES as u64).unwrap();
        assert!(behind.is_none_or(|next| next >= (4 << 20) + 3 * BLOCK_BYTES as u64));
        assert_eq!(file.next_written(8 << 20).unwrap(), None, "behind the end there is nothing");
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
