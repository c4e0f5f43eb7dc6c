//! Which device a directory stands on: model and serial number, for the receipts (NIST SP 800-88r2, certificate of
//! sanitization).

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const UNKNOWN: &str = "unknown";
/// Devices above devices: a partition on RAID on LUKS and so on.
const DEEPEST: u32 = 8;
/// The header of a SCSI "unit serial number" page; behind it the number stands.
const PAGE_HEADER_BYTES: usize = 4;

/// A device as it names itself. Of several below one file system each is named, parted by `+`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceIdentity {
    pub model: String,
    pub serial: String,
}

impl DeviceIdentity {
    /// Of a device that tells nothing of itself.
    pub fn unknown() -> Self {
        Self { model: UNKNOWN.to_owned(), serial: UNKNOWN.to_owned() }
    }
}

/// The device with these numbers, as sysfs at `sys` tells it (Documentation/ABI/stable/sysfs-block).
pub(super) fn device_identity(sys: &Path, major: u32, minor: u32) -> DeviceIdentity {
    let Ok(device) = fs::canonicalize(sys.join(format!("dev/block/{major}:{minor}"))) else {
        return DeviceIdentity::unknown();
    };
    let mut found = BTreeSet::new();
    follow(&device, DEEPEST, &mut found);
    let all =
        |of: fn(&(String, String)) -> &String| found.iter().map(|one| of(one).as_str()).collect::<Vec<_>>().join(" + ");
    if found.is_empty() {
        return DeviceIdentity::unknown();
    }
    DeviceIdentity { model: all(|one| &one.0), serial: all(|one| &one.1) }
}

/// Goes from a partition to its disk, and from what is mapped to what it is mapped on.
fn follow(device: &Path, depth: u32, found: &mut BTreeSet<(String, String)>) {
    if device.join("partition").exists()
        && let Some(whole) = device.parent()
        && depth > 0
    {
        return follow(whole, depth - 1, found);
    }
    let below: Vec<PathBuf> = fs::read_dir(device.join("slaves"))
        .map(|entries| entries.flatten().filter_map(|entry| fs::canonicalize(entry.path()).ok()).collect())
        .unwrap_or_default();
    if !below.is_empty() && depth > 0 {
        return below.iter().for_each(|device| follow(device, depth - 1, found));
    }
    let model = word(&device.join("device/model"));
    // NVMe and virtio tell it beside the device, or at its controller; SCSI in a page of its own.
    let serial = word(&device.join("serial"))
        .or_else(|| word(&device.join("device/serial")))
        .or_else(|| unit_serial(&device.join("device/vpd_pg80")));
    let or_unknown = |told: Option<String>| told.unwrap_or_else(|| UNKNOWN.to_owned());
    found.insert((or_unknown(model), or_unknown(serial)));
}

/// A line of printable characters; `None` where there is none.
fn word(file: &Path) -> Option<String> {
    printable(&fs::read(file).ok()?)
}

fn unit_serial(file: &Path) -> Option<String> {
    printable(fs::read(file).ok()?.get(PAGE_HEADER_BYTES..)?)
}

fn printable(bytes: &[u8]) -> Option<String> {
    let text: String =
        bytes.iter().map(|byte| char::from(*byte)).filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    struct Sys(tempfile::TempDir);

    impl Sys {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(&self, path: &str, content: &[u8]) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn link(&self, from: &str, to: &str) {
            let from = self.0.path().join(from);
            fs::create_dir_all(from.parent().unwrap()).unwrap();
            symlink(self.0.path().join(to), from).unwrap();
        }

        fn told(&self, major: u32, minor: u32) -> (String, String) {
            let DeviceIdentity { model, serial } = device_identity(self.0.path(), major, minor);
            (model, serial)
        }
    }

    fn pair(model: &str, serial: &str) -> (String, String) {
        (model.to_owned(), serial.to_owned())
    }

    #[test]
    fn a_partition_leads_to_its_disk() {
        let sys = Sys::new();
        sys.file("devices/sda/device/model", b"ST4000VX007-2DT1\n");
        sys.file("devices/sda/device/vpd_pg80", b"\0\x80\0\x14            ZDH0ABCD");
        sys.file("devices/sda/sda1/partition", b"1\n");
        sys.link("dev/block/8:1", "devices/sda/sda1");
        sys.link("dev/block/8:0", "devices/sda");
        assert_eq!(sys.told(8, 1), pair("ST4000VX007-2DT1", "ZDH0ABCD"));
        assert_eq!(sys.told(8, 0), sys.told(8, 1));
    }

    #[test]
    fn what_is_mapped_leads_to_all_it_is_mapped_on() {
        let sys = Sys::new();
        for (name, serial) in [("nvme0n1", "S1"), ("nvme1n1", "S2")] {
            sys.file(&format!("devices/{name}/device/model"), b"Model X  ");
            sys.file(&format!("devices/{name}/device/serial"), serial.as_bytes());
            sys.file(&format!("devices/{name}/{name}p2/partition"), b"2");
            sys.link(&format!("devices/md0/slaves/{name}p2"), &format!("devices/{name}/{name}p2"));
        }
        sys.link("devices/dm-0/slaves/md0", "devices/md0");
        sys.link("dev/block/253:0", "devices/dm-0");
        assert_eq!(sys.told(253, 0), pair("Model X + Model X", "S1 + S2"));
    }

    #[test]
    fn a_device_that_tells_nothing_is_unknown() {
        let sys = Sys::new();
        sys.file("devices/loop0/size", b"1");
        sys.file("devices/vda/serial", b"\n");
        sys.link("dev/block/7:0", "devices/loop0");
        sys.link("dev/block/254:0", "devices/vda");
        for numbers in [(7, 0), (254, 0), (9, 9)] {
            assert_eq!(sys.told(numbers.0, numbers.1), pair(UNKNOWN, UNKNOWN));
        }
    }
}
