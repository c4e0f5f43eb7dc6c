//! The only door to files of state and footage. Above it nobody touches `std::fs`, so that a test can put another
//! disk in its place, and so that every flush of the program can be counted here.
//!
//! Calls block; those who have an executor to keep free call from a blocking thread.

mod aligned;
mod device;
mod kernel;
mod layers;
mod lock;
mod probe;
mod real;
#[cfg(test)]
mod simulated;

pub use aligned::AlignedBuffer;
pub use device::DeviceIdentity;
pub use kernel::{bound_heaps, clock_is_synchronised, return_freed_memory};
pub use layers::Layer;
pub use lock::SiteLock;
pub use probe::{DeviceCheck, DeviceRefusal, DeviceReport, RawLook, check_device, examine_device};
pub use real::RealDisk;
#[cfg(test)]
pub(crate) use simulated::{Dice, Failure, Flush, Habit, Operation, OperationKind, PowerCut, SimulatedDisk, Snapshot};

use std::fmt::Debug;
use std::io;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The unit in which sectors, slots and direct writes are laid out, in bytes.
pub const BLOCK_BYTES: usize = 4096;
/// How much one direct write or read moves, in bytes.
pub const STRIDE_BYTES: usize = 1 << 20;

/// A run of bytes of a file on its device, as FIEMAP tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
pub struct PhysicalRange {
    pub offset_bytes: u64,
    pub length_bytes: u64,
}

/// Where a file's bytes stand on the device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Extents {
    /// Merged, in file order. Overwriting the file overwrites these.
    Known(Vec<PhysicalRange>),
    /// The file system does not tell, or tells of shared, encoded or inline data.
    Unknown(&'static str),
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    ReadWrite,
    /// Past the page cache (`O_DIRECT`): offsets, lengths and memory are multiples of [`BLOCK_BYTES`].
    /// Falls back to buffered access where the file system has no direct one.
    Direct,
}

/// Where in the program a flush is asked for. Nobody names it: what waits for a flush is `#[track_caller]`, and so is all
/// that flushes for somebody else. A test leaves out the flush of one place and must notice.
pub type FlushSite = &'static Location<'static>;

/// What the system says of the file system that holds a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSystemFacts {
    /// The magic number of its kind, as statfs(2) tells it.
    pub magic: u64,
    /// The options of the mount and of the file system together, parted by commas; empty where none are known.
    pub options: String,
}

/// What became of telling a device which blocks are free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Discard {
    /// So many of the slice are.
    Slice { bytes: u64 },
    /// The file system ends before the slice.
    BehindTheEnd,
    /// It takes a right that this process does not have.
    NotPermitted,
    /// The device, or the file system, does not want to know.
    NotOffered,
}

/// What the system says of the device under a directory.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct DeviceFacts {
    pub mount_point: PathBuf,
    /// The file system's kind, as it was mounted; empty where it is not told.
    pub kind: String,
    pub source: String,
    pub options: String,
    /// Files made here are journalled whole (`chattr +j`).
    pub journals_data: bool,
    /// From the file system down.
    pub layers: Vec<Layer>,
    /// Whether there is flash at the bottom; `None` where it is not told.
    pub flash: Option<bool>,
    /// The block device's own node, where it is there.
    pub device: Option<PathBuf>,
}

/// An open file. Positions are explicit; there is no cursor.
pub trait DiskFile: Send + Sync + Debug {
    /// Reads from `offset`, for `read_at`: that one makes sure that only the file's end cuts it short.
    fn read_some_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize>;
    /// Writes all of `bytes`, or fails.
    fn write_all_at(&self, bytes: &[u8], offset_bytes: u64) -> io::Result<()>;
    /// Reserves blocks so that the file is at least `length_bytes` long, and reads as zero where never written.
    fn allocate(&self, length_bytes: u64) -> io::Result<()>;
    fn set_len(&self, length_bytes: u64) -> io::Result<()>;
    fn len_bytes(&self) -> io::Result<u64>;
    /// `fdatasync`, for `sync_data`: who waits for it calls that.
    fn sync_data_at(&self, site: FlushSite) -> io::Result<()>;
    fn extents(&self) -> io::Result<Extents>;
    /// Where the next byte at or behind `offset_bytes` stands that may be something else than a zero; `None` where none
    /// does to the file's end. Blocks that are reserved and were never written need not be read. A disk that cannot tell
    /// names `offset_bytes` itself.
    fn next_written(&self, offset_bytes: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset_bytes))
    }
}

/// Directories, names and whole file systems.
pub trait Disk: Send + Sync + Debug {
    /// Makes a file that must not be there yet, readable by its owner alone.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a directory, and those above it, for the owner alone; one that is there already is left as it is.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// File names in a directory, sorted. Sub-directories are left out.
    fn list_files(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Shows the name of each file in a directory, in no order: there may be 140,000, too many to hold all at once.
    fn each_file(&self, dir: &Path, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.list_files(dir)?.iter().for_each(|name| each(name));
        Ok(())
    }
    /// Names of sub-directories, sorted.
    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// `fsync` of a directory, for `sync_dir`: who waits for it calls that.
    fn sync_dir_at(&self, dir: &Path, site: FlushSite) -> io::Result<()>;
    /// `syncfs`, for `sync_file_system`: who waits for it calls that.
    fn sync_file_system_at(&self, dir: &Path, site: FlushSite) -> io::Result<()>;
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// How much the file system of `dir` can hold, used or free. A disk that cannot tell says `None`.
    fn size_bytes(&self, _dir: &Path) -> io::Result<Option<u64>> {
        Ok(None)
    }
    /// Who could reach a file or directory besides the running user. A disk that no other user shares has nobody.
    fn others_reach(&self, _path: &Path) -> io::Result<Option<Reach>> {
        Ok(None)
    }
    fn file_system(&self, dir: &Path) -> io::Result<FileSystemFacts>;
    /// Tells the device that holds `dir` which blocks of its file system are free, from a byte on.
    fn discard(&self, _dir: &Path, _from_bytes: u64, _length_bytes: u64) -> io::Result<Discard> {
        Ok(Discard::NotOffered)
    }
    /// How the device that holds a directory calls itself.
    fn identity(&self, _dir: &Path) -> DeviceIdentity {
        DeviceIdentity::unknown()
    }
    /// What is under a directory. A disk that does not tell has nothing that is known of.
    fn device(&self, _dir: &Path) -> io::Result<DeviceFacts> {
        Ok(DeviceFacts::default())
    }
    /// The block device under a file, to read it beneath the file system and past the page cache.
    fn open_device(&self, _file: &Path) -> io::Result<Box<dyn DiskFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Why a file or directory is not its owner's alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Its mode gives group or others a right to it.
    Mode { mode: u32, is_dir: bool },
    /// It belongs to another user, who can give out rights to it.
    Owner { owner: u32 },
    /// It is neither a file nor a directory: what it stands for may be anywhere.
    Kind,
}

/// A key file that others could read or write. It says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotPrivate {
    #[error("{}: group or others may reach it (mode {mode:o}), and it holds keys; run `chmod {} {}`", path.display(), if *is_dir { "700" } else { "600" }, path.display())]
    Mode { path: PathBuf, mode: u32, is_dir: bool },
    #[error("{}: it belongs to user {owner}, and it holds keys; run `chown {} {}`", path.display(), rustix::process::geteuid().as_raw(), path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error("{}: it is neither a file nor a directory; put back what belongs there", path.display())]
    Kind { path: PathBuf },
    #[error("{}: {what}", path.display())]
    Unreadable { path: PathBuf, what: String },
}

/// Refuses a file or directory that anybody but the running user could reach. One that is not there is nobody's.
///
/// # Errors
/// [`NotPrivate`].
pub fn check_private(disk: &dyn Disk, path: &Path) -> Result<(), NotPrivate> {
    let path = path.to_path_buf();
    match disk.others_reach(&path) {
        Ok(None) => Ok(()),
        Ok(Some(Reach::Mode { mode, is_dir })) => Err(NotPrivate::Mode { path, mode, is_dir }),
        Ok(Some(Reach::Owner { owner })) => Err(NotPrivate::Owner { path, owner }),
        Ok(Some(Reach::Kind)) => Err(NotPrivate::Kind { path }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(NotPrivate::Unreadable { path, what: e.to_string() }),
    }
}

/// The same for a directory and every file in it.
///
/// # Errors
/// [`NotPrivate`], of the first that is not.
pub fn check_private_dir(disk: &dyn Disk, dir: &Path) -> Result<(), NotPrivate> {
    check_private(disk, dir)?;
    let names = match disk.list_files(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(NotPrivate::Unreadable { path: dir.to_path_buf(), what: e.to_string() }),
        Ok(names) => names,
    };
    names.iter().try_for_each(|name| check_private(disk, &dir.join(name)))
}

impl dyn DiskFile + '_ {
    /// Fills as much of `buffer` as the file has from `offset`; returns how many bytes that was.
    ///
    /// # Errors
    /// What the disk says; `UnexpectedEof` for a read that came back short of the file's end. Taken for the end, it would
    /// have what stands behind it cut off or overwritten.
    pub fn read_at(&self, buffer: &mut [u8], offset_bytes: u64) -> io::Result<usize> {
        let got = self.read_some_at(buffer, offset_bytes)?;
        if got < buffer.len() && offset_bytes.saturating_add(got as u64) < self.len_bytes()? {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a read came back short; check the disk"));
        }
        Ok(got)
    }

    /// `fdatasync`: content and size reach the device. Not the name: that is the directory's.
    ///
    /// # Errors
    /// What the disk says. What was to be flushed may be lost for good then, and flushing again would not say so.
    #[track_caller]
    pub fn sync_data(&self) -> io::Result<()> {
        self.sync_data_at(Location::caller()).map_err(lost)
    }
}

impl dyn Disk + '_ {
    /// `fsync` of the directory: names that were made, moved or removed in it are durable.
    ///
    /// # Errors
    /// As [`DiskFile`]'s `sync_data`.
    #[track_caller]
    pub fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.sync_dir_at(dir, Location::caller()).map_err(lost)
    }

    /// `syncfs`: everything written to the file system that holds `dir` is durable. One device flush.
    ///
    /// # Errors
    /// As [`DiskFile`]'s `sync_data`.
    #[track_caller]
    pub fn sync_file_system(&self, dir: &Path) -> io::Result<()> {
        self.sync_file_system_at(dir, Location::caller()).map_err(lost)
    }
}

/// A full disk is no failure, but for a flush that finds it full: what it was to cover is lost, and is not to be taken for
/// something that can be tried again.
fn lost(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            io::Error::other(format!("a flush found no room, and what it was to cover is lost ({error})"))
        }
        _ => error,
    }
}

/// A disk shared by the rooms.
pub type SharedDisk = Arc<dyn Disk>;

/// Reads a whole file of at most `limit_bytes`.
///
/// # Errors
/// `InvalidData` when it is larger; else what the disk says.
pub fn read_file(disk: &dyn Disk, path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let length = file.len_bytes()?;
    if length > limit_bytes {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{} is {length} bytes long, more than the {limit_bytes} that it may be", path.display()),
        ));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes)
}

/// Puts `bytes` in the place of a file, so that at every instant either the old or the new content is there whole:
/// new file beside it, flush, rename, flush of the directory. For files without secrets: the old blocks are not erased.
///
/// # Errors
/// What the disk says. The old file is then still in its place, unless it was the flush of the directory that failed.
#[track_caller]
pub fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = parent(path)?;
    let fresh = path.with_extension("new");
    match disk.remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = disk.create_new(&fresh)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()?;
    disk.rename(&fresh, path)?;
    disk.sync_dir(&dir)
}

/// The directory that a path is in.
///
/// # Errors
/// `InvalidInput` for a path without one.
pub fn parent(path: &Path) -> io::Result<PathBuf> {
    path.parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{} has no directory", path.display())))
}
