//! Does overwriting a file overwrite its blocks here? The device is tested, not believed.
//!
//! Measured on raw images: overwriting in place leaves nothing on ext4 (ordered) and XFS, and leaves everything on
//! btrfs, on ext4 with `data=journal`, and behind any snapshot or reflink.

use super::{AlignedBuffer, Disk, Extents, STRIDE_BYTES};
use std::io;
use std::path::Path;

const PROBE_BYTES: usize = STRIDE_BYTES;
const PROBE_NAME: &str = "probe";
const EXT4_MAGIC: u64 = 0xEF53;
const XFS_MAGIC: u64 = 0x5846_5342;

/// What the test of a volume's device said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceCheck {
    /// A file was written, found, overwritten in place and read back.
    Proven { file_system: &'static str },
    /// Overwriting cannot be shown to reach the old blocks.
    Refused(DeviceRefusal),
}

/// Why overwriting in place cannot be proven, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeviceRefusal {
    #[error("its file system ({kind}) is neither ext4 nor XFS; put the volume on one of those")]
    FileSystem { kind: String },
    #[error("it is mounted with data=journal, which keeps copies of what is overwritten; mount it with data=ordered")]
    DataJournal,
    #[error("{0}; put the volume on a plain ext4 or XFS without snapshots")]
    Untraceable(&'static str),
    #[error("a file that was overwritten stands in other blocks than before; put the volume on a plain ext4 or XFS")]
    Moved,
    #[error("a file that was overwritten does not read back as written; replace the disk")]
    ReadBack,
}

impl DeviceCheck {
    pub fn is_proven(&self) -> bool {
        matches!(self, DeviceCheck::Proven { .. })
    }
}

/// Tests the file system that holds `dir` by writing, overwriting and reading back a file in it.
///
/// # Errors
/// What the disk says.
pub fn check_device(disk: &dyn Disk, dir: &Path) -> io::Result<DeviceCheck> {
    let facts = disk.file_system(dir)?;
    let file_system = match facts.magic {
        EXT4_MAGIC => "ext4",
        XFS_MAGIC => "xfs",
        other => return refused(DeviceRefusal::FileSystem { kind: kind_name(other) }),
    };
    if facts.options.split(',').any(|option| option == "data=journal") {
        return refused(DeviceRefusal::DataJournal);
    }
    let path = dir.join(PROBE_NAME);
    remove_left_over(disk, &path)?;
    let told = overwrite_probe(disk, &path);
    // Not flushed: one that a power cut brings back is taken away by the next test.
    remove_left_over(disk, &path)?;
    match told? {
        Some(refusal) => refused(refusal),
        None => Ok(DeviceCheck::Proven { file_system }),
    }
}

fn refused(why: DeviceRefusal) -> io::Result<DeviceCheck> {
    Ok(DeviceCheck::Refused(why))
}

fn overwrite_probe(disk: &dyn Disk, path: &Path) -> io::Result<Option<DeviceRefusal>> {
    let file = disk.create_new(path)?;
    file.allocate(PROBE_BYTES as u64)?;
    let mut content = AlignedBuffer::zeroed(PROBE_BYTES);
    content.as_mut_slice().fill(0xA5);
    file.write_all_at(content.as_slice(), 0)?;
    file.sync_data()?;
    let before = match file.extents()? {
        Extents::Known(ranges) => ranges,
        Extents::Unknown(why) => return Ok(Some(DeviceRefusal::Untraceable(why))),
    };
    drop(file);
    let direct = disk.open(path, super::Access::Direct)?;
    content.as_mut_slice().fill(0);
    direct.write_all_at(content.as_slice(), 0)?;
    direct.sync_data()?;
    if direct.extents()? != Extents::Known(before) {
        return Ok(Some(DeviceRefusal::Moved));
    }
    let mut back = AlignedBuffer::zeroed(PROBE_BYTES);
    back.as_mut_slice().fill(0xFF);
    let read = direct.read_at(back.as_mut_slice(), 0)?;
    let blank = read == PROBE_BYTES && back.as_slice() == content.as_slice();
    Ok(if blank { None } else { Some(DeviceRefusal::ReadBack) })
}

fn remove_left_over(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn kind_name(magic: u64) -> String {
    match magic {
        0x9123_683E => "btrfs".into(),
        0x2FC1_2FC1 => "ZFS".into(),
        0x794C_7630 => "overlay".into(),
        0x0102_1994 => "tmpfs".into(),
        0x6573_5546 => "FUSE".into(),
        0x6969 => "NFS".into(),
        0xFF53_4D42 | 0xFE53_4D42 => "SMB".into(),
        other => format!("number {other:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::RealDisk;
    use super::*;

    #[test]
    fn a_file_system_in_memory_is_refused_by_name() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let told = check_device(&RealDisk, dir.path()).unwrap();
        assert_eq!(told, DeviceCheck::Refused(DeviceRefusal::FileSystem { kind: "tmpfs".into() }));
    }

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        check_device(&RealDisk, dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
