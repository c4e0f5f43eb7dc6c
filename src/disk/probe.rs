//! Does overwriting a file overwrite its blocks here? The device is tested, not believed.
//!
//! Measured on raw images: overwriting in place leaves nothing on ext4 (ordered) and XFS, and leaves everything on
//! btrfs, on ext4 with `data=journal`, and behind any snapshot or reflink.

use super::layers::Layer;
use super::{AlignedBuffer, DeviceFacts, Disk, DiskFile, Extents, FileSystemFacts, PhysicalRange, STRIDE_BYTES};
use std::io;
use std::path::Path;

const PROBE_BYTES: usize = STRIDE_BYTES;
const PROBE_NAME: &str = "probe";
const PATTERN: u8 = 0xA5;
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
    #[error("its file system is {kind}, and {why}; put the volume on ext4 or XFS, on a disk of this machine")]
    FileSystem { kind: String, why: &'static str },
    #[error("it is mounted with data=journal, which keeps copies of what is overwritten; mount it with data=ordered")]
    DataJournal,
    #[error(
        "files in it are journalled whole, which keeps copies of what is overwritten; run `chattr -j` on it and make it anew"
    )]
    FileJournal,
    #[error("it has a snapshot, which keeps what is overwritten; remove the snapshot, and make none of it")]
    Snapshot,
    #[error("{0}; put the volume on a plain ext4 or XFS without snapshots")]
    Untraceable(&'static str),
    #[error("a file that was overwritten stands in other blocks than before; put the volume on a plain ext4 or XFS")]
    Moved,
    #[error("a file that was overwritten does not read back as written; replace the disk")]
    ReadBack,
    #[error(
        "the device does not hold a file's bytes where the file system says; put the volume on a plain ext4 or XFS, directly on a disk"
    )]
    Elsewhere,
    #[error("the device still holds what was overwritten; replace the disk, or put the volume on another")]
    StillThere,
}

/// Whether the device itself was read, beneath the file system.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "raw", content = "why")]
pub enum RawLook {
    /// It held what was written, and then what was overwritten with.
    Compared,
    NotLooked(String),
}

/// What was found out about a directory's device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeviceReport {
    pub facts: DeviceFacts,
    pub check: DeviceCheck,
    pub raw: RawLook,
}

impl DeviceCheck {
    pub fn is_proven(&self) -> bool {
        matches!(self, DeviceCheck::Proven { .. })
    }
}

impl DeviceReport {
    /// What overwriting does not do here, proven or not.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.facts.flash == Some(true) {
            warnings.push(FLASH.to_owned());
        }
        for layer in &self.facts.layers {
            match layer {
                Layer::Image(_) | Layer::LvmThin | Layer::Mapped(_) => warnings.push(format!(
                    "it stands on {layer}: what that does with blocks that are overwritten is not tested here"
                )),
                Layer::Encrypted | Layer::Lvm | Layer::Snapshot | Layer::Raid(_) | Layer::Multipath => {}
            }
        }
        warnings
    }
}

const FLASH: &str = "it is flash: overwriting cannot reach cells that the drive has remapped. What stays there can be read only \
                     by somebody who recovers both the remapped key block and the ciphertext and holds an officer's or \
                     the recovery key";

/// Tests the file system that holds `dir` by writing, overwriting and reading back a file in it.
///
/// # Errors
/// What the disk says.
pub fn check_device(disk: &dyn Disk, dir: &Path) -> io::Result<DeviceCheck> {
    Ok(examine_device(disk, dir)?.check)
}

/// The same, with what was found out on the way.
///
/// # Errors
/// What the disk says.
pub fn examine_device(disk: &dyn Disk, dir: &Path) -> io::Result<DeviceReport> {
    let facts = disk.device(dir)?;
    let mut raw = RawLook::NotLooked("the test did not come so far".to_owned());
    let check = match refused_unseen(&disk.file_system(dir)?, &facts) {
        Ok(file_system) => {
            let path = dir.join(PROBE_NAME);
            remove_left_over(disk, &path)?;
            let told = overwrite_probe(disk, &path, &mut raw);
            // Not flushed: one that a power cut brings back is taken away by the next test.
            remove_left_over(disk, &path)?;
            told?.map_or(DeviceCheck::Proven { file_system }, DeviceCheck::Refused)
        }
        Err(refusal) => DeviceCheck::Refused(refusal),
    };
    Ok(DeviceReport { facts, check, raw })
}

/// The file system's name, unless what the system says of it is enough to refuse it.
fn refused_unseen(told: &FileSystemFacts, facts: &DeviceFacts) -> Result<&'static str, DeviceRefusal> {
    // The driver of ext4 mounts its forefathers, too, under the same magic number.
    let file_system = match (told.magic, facts.kind.as_str()) {
        (EXT4_MAGIC, "ext4" | "") => "ext4",
        (XFS_MAGIC, _) => "xfs",
        (magic, kind) => return Err(other_file_system(magic, kind)),
    };
    let is_journalled = |options: &str| options.split(',').any(|option| option == "data=journal");
    if is_journalled(&told.options) || is_journalled(&facts.options) {
        return Err(DeviceRefusal::DataJournal);
    }
    if facts.journals_data {
        return Err(DeviceRefusal::FileJournal);
    }
    if facts.layers.contains(&Layer::Snapshot) {
        return Err(DeviceRefusal::Snapshot);
    }
    Ok(file_system)
}

fn overwrite_probe(disk: &dyn Disk, path: &Path, raw: &mut RawLook) -> io::Result<Option<DeviceRefusal>> {
    let file = disk.create_new(path)?;
    file.allocate(PROBE_BYTES as u64)?;
    let mut content = AlignedBuffer::zeroed(PROBE_BYTES);
    content.as_mut_slice().fill(PATTERN);
    file.write_all_at(content.as_slice(), 0)?;
    file.sync_data()?;
    let before = match file.extents()? {
        Extents::Known(ranges) => ranges,
        Extents::Unknown(why) => return Ok(Some(DeviceRefusal::Untraceable(why))),
    };
    drop(file);
    let device = match disk.open_device(path) {
        Ok(device) => {
            // Read before it is overwritten: were it not found then, its absence afterwards would prove nothing.
            if !holds(&*device, &before, PATTERN)? {
                return Ok(Some(DeviceRefusal::Elsewhere));
            }
            Some(device)
        }
        Err(e) => {
            *raw = RawLook::NotLooked(e.to_string());
            None
        }
    };
    let direct = disk.open(path, super::Access::Direct)?;
    content.as_mut_slice().fill(0);
    direct.write_all_at(content.as_slice(), 0)?;
    direct.sync_data()?;
    if direct.extents()? != Extents::Known(before.clone()) {
        return Ok(Some(DeviceRefusal::Moved));
    }
    let mut back = AlignedBuffer::zeroed(PROBE_BYTES);
    back.as_mut_slice().fill(0xFF);
    let read = direct.read_at(back.as_mut_slice(), 0)?;
    if read != PROBE_BYTES || back.as_slice() != content.as_slice() {
        return Ok(Some(DeviceRefusal::ReadBack));
    }
    if let Some(device) = device {
        if !holds(&*device, &before, 0)? {
            return Ok(Some(DeviceRefusal::StillThere));
        }
        *raw = RawLook::Compared;
    }
    Ok(None)
}

/// Whether the device has this byte everywhere in some ranges.
fn holds(device: &dyn DiskFile, ranges: &[PhysicalRange], byte: u8) -> io::Result<bool> {
    let mut found = AlignedBuffer::zeroed(PROBE_BYTES);
    for range in ranges {
        let length = usize::try_from(range.length_bytes).unwrap_or(PROBE_BYTES).min(PROBE_BYTES);
        let part = &mut found.as_mut_slice()[..length];
        part.fill(!byte);
        if device.read_at(part, range.offset_bytes)? != length || part.iter().any(|found| *found != byte) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn remove_left_over(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// A file system that is none of ours, and why it will not do.
fn other_file_system(magic: u64, kind: &str) -> DeviceRefusal {
    const COPIES: &str = "it writes what is overwritten to another place, and the old blocks stay";
    const NETWORK: &str = "what becomes of blocks is decided by another machine";
    const NOT_TESTED: &str = "it was never shown that overwriting reaches the old blocks there";
    let (name, why) = match magic {
        0x9123_683E => ("btrfs", COPIES),
        0x2FC1_2FC1 => ("ZFS", COPIES),
        0xCA45_1A4E => ("bcachefs", COPIES),
        0xF2F5_2010 => ("F2FS", COPIES),
        0x3434 => ("NILFS", COPIES),
        0x794C_7630 => ("overlay", "it is the file system of a container, whose layers are nobody's to erase"),
        0x0102_1994 => ("tmpfs", "it is in memory, and gone at the next power cut"),
        0x6573_5546 => ("FUSE", "what becomes of blocks is decided by another program"),
        0x6969 => ("NFS", NETWORK),
        0xFF53_4D42 | 0xFE53_4D42 | 0x517B => ("SMB", NETWORK),
        0x0102_1997 => ("9p", NETWORK),
        0x00C3_6400 => ("Ceph", NETWORK),
        EXT4_MAGIC => ("ext2 or ext3", NOT_TESTED),
        _ => ("", NOT_TESTED),
    };
    let kind = match (name, kind) {
        ("", "") => format!("number {magic:#x}"),
        ("", kind) => kind.to_owned(),
        (name, _) => name.to_owned(),
    };
    DeviceRefusal::FileSystem { kind, why }
}

#[cfg(test)]
mod tests {
    use super::super::RealDisk;
    use super::*;

    #[test]
    fn a_file_system_in_memory_is_refused_by_name() {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let DeviceCheck::Refused(told) = check_device(&RealDisk, dir.path()).unwrap() else { panic!("it is taken") };
        assert!(told.to_string().starts_with("its file system is tmpfs, and it is in memory"), "{told}");
    }

    #[test]
    fn what_the_system_says_is_enough_to_refuse() {
        let ext4 = |options: &str| FileSystemFacts { magic: EXT4_MAGIC, options: options.into() };
        let told = |told: FileSystemFacts, facts: DeviceFacts| refused_unseen(&told, &facts);
        let of = |kind: &str| DeviceFacts { kind: kind.into(), ..DeviceFacts::default() };
        assert_eq!(told(ext4("rw"), of("ext4")), Ok("ext4"));
        assert_eq!(told(ext4("rw,data=journal"), of("ext4")), Err(DeviceRefusal::DataJournal));
        let hidden = DeviceFacts { options: "rw,data=journal".into(), ..of("ext4") };
        assert_eq!(told(ext4("rw"), hidden), Err(DeviceRefusal::DataJournal), "a default of the file system itself");
        let flagged = DeviceFacts { journals_data: true, ..of("ext4") };
        assert_eq!(told(ext4("rw"), flagged), Err(DeviceRefusal::FileJournal));
        let snapshot = DeviceFacts { layers: vec![Layer::Snapshot], ..of("xfs") };
        let xfs = FileSystemFacts { magic: XFS_MAGIC, options: "rw".into() };
        assert_eq!(told(xfs, snapshot), Err(DeviceRefusal::Snapshot));
        for (magic, kind, name) in [
            (EXT4_MAGIC, "ext3", "ext2 or ext3"),
            (0x9123_683E, "btrfs", "btrfs"),
            (0x2FC1_2FC1, "zfs", "ZFS"),
            (0x6573_5546, "fuse.x", "FUSE"),
            (0x6969, "nfs4", "NFS"),
            (0x7777, "other", "other"),
            (0x7777, "", "number 0x7777"),
        ] {
            let refused = told(FileSystemFacts { magic, options: String::new() }, of(kind)).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("its file system is {name}, and ")), "{refused}");
            assert!(refused.ends_with("put the volume on ext4 or XFS, on a disk of this machine"), "{refused}");
        }
    }

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        check_device(&RealDisk, dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
