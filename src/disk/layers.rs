//! What stands between a directory and its device, as the system tells it: the mount, the layers below it, and whether
//! there is flash at the bottom (proc(5) on mountinfo; Documentation/ABI in the kernel's sources on /sys/block).

use super::DeviceFacts;
use rustix::fs::{IFlags, Mode, OFlags};
use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// No machine stacks more layers.
const DEEPEST: usize = 8;

/// One layer between a file system and its device.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "layer", content = "what")]
pub enum Layer {
    Encrypted,
    Lvm,
    /// A thinly provisioned volume, whose snapshots are not told of here.
    LvmThin,
    /// A snapshot, or a volume of which there is one: it keeps what is overwritten.
    Snapshot,
    Raid(String),
    Multipath,
    /// An image file on another file system.
    Image(PathBuf),
    /// Some other device mapper.
    Mapped(String),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Encrypted => f.write_str("encrypted by the system (dm-crypt)"),
            Layer::Lvm => f.write_str("a logical volume (LVM)"),
            Layer::LvmThin => f.write_str("a thin logical volume (LVM): never make a snapshot of it"),
            Layer::Snapshot => f.write_str("a logical volume with a snapshot"),
            Layer::Raid(level) => write!(f, "RAID ({level})"),
            Layer::Multipath => f.write_str("several ways to one disk (multipath)"),
            Layer::Image(file) => write!(f, "an image file on another file system, {}", file.display()),
            Layer::Mapped(what) => write!(f, "a mapped device ({what})"),
        }
    }
}

/// A line of mountinfo.
struct Mount {
    point: PathBuf,
    device: (u32, u32),
    kind: String,
    source: String,
    options: String,
}

/// What the system says of what holds `dir`.
pub(super) fn facts(dir: &Path) -> io::Result<DeviceFacts> {
    let dir = dir.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let Some(mount) = mount_of(&mounts, &dir) else { return Ok(DeviceFacts::default()) };
    let (major, minor) = mount.device;
    let mut facts = DeviceFacts {
        mount_point: mount.point,
        kind: mount.kind,
        source: mount.source,
        options: mount.options,
        journals_data: is_set(&dir, IFlags::JOURNALING),
        ..DeviceFacts::default()
    };
    let node = Path::new("/sys/dev/block").join(format!("{major}:{minor}"));
    if let Ok(node) = node.canonicalize() {
        look_below(&node, &mut facts, 0);
        let name = node.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // What is a default of the file system itself does not stand in mountinfo.
        let all = std::fs::read_to_string(Path::new("/proc/fs/ext4").join(&name).join("options")).unwrap_or_default();
        let known: Vec<String> = facts.options.split(',').map(str::to_owned).collect();
        for option in all.lines().filter(|option| !known.iter().any(|known| known == option)) {
            facts.options.push(',');
            facts.options.push_str(option);
        }
        facts.device = device_node(&facts.source, &name, mount.device);
    }
    Ok(facts)
}

/// Whether a directory has a flag that the files in it take over (chattr(1)).
fn is_set(dir: &Path, flag: IFlags) -> bool {
    let opened = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    opened.and_then(rustix::fs::ioctl_getflags).is_ok_and(|flags| flags.contains(flag))
}

/// The block device itself, where its node is there.
fn device_node(source: &str, name: &str, device: (u32, u32)) -> Option<PathBuf> {
    let wanted = rustix::fs::makedev(device.0, device.1);
    let is_it = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|told| told.file_type().is_block_device() && told.rdev() == wanted)
    };
    let places = [PathBuf::from(source), Path::new("/dev").join(name)];
    places.into_iter().filter_map(|path| path.canonicalize().ok()).find(is_it)
}

fn mount_of(mounts: &str, dir: &Path) -> Option<Mount> {
    let mut best: Option<Mount> = None;
    for line in mounts.lines() {
        let Some(mount) = parse_mount(line) else { continue };
        let depth = |mount: &Mount| mount.point.components().count();
        // Later lines mount over earlier ones, so an equal depth wins too.
        if dir.starts_with(&mount.point) && best.as_ref().is_none_or(|known| depth(&mount) >= depth(known)) {
            best = Some(mount);
        }
    }
    best
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(2);
    let (major, minor) = front.next()?.split_once(':')?;
    let (point, options) = (front.nth(1)?, front.next()?);
    let mut back = back.split(' ');
    let (kind, source, special) = (back.next()?, back.next()?, back.next().unwrap_or_default());
    Some(Mount {
        point: PathBuf::from(unescaped(point)),
        device: (major.parse().ok()?, minor.parse().ok()?),
        kind: kind.to_owned(),
        source: unescaped(source),
        options: format!("{options},{special}"),
    })
}

/// Blanks and backslashes of a path stand as three octal digits.
fn unescaped(text: &str) -> String {
    let mut out = text.to_owned();
    for (written, meant) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        out = out.replace(written, meant);
    }
    out
}

/// Follows a block device of sysfs down to what it stands on.
fn look_below(node: &Path, facts: &mut DeviceFacts, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    let read = |name: &str| std::fs::read_to_string(node.join(name)).map(|text| text.trim().to_owned()).ok();
    if read("partition").is_some() {
        if let Some(whole) = node.parent() {
            look_below(whole, facts, depth + 1);
        }
        return;
    }
    if let Some(uuid) = read("dm/uuid") {
        facts.layers.push(mapped(&uuid, &read("dm/name").unwrap_or_default(), node));
    }
    if let Some(level) = read("md/level") {
        facts.layers.push(Layer::Raid(level));
    }
    if let Some(file) = read("loop/backing_file") {
        facts.layers.push(Layer::Image(PathBuf::from(file)));
    }
    let below: Vec<PathBuf> = match std::fs::read_dir(node.join("slaves")) {
        Ok(entries) => entries.flatten().filter_map(|entry| entry.path().canonicalize().ok()).collect(),
        Err(_) => Vec::new(),
    };
    for device in &below {
        look_below(device, facts, depth + 1);
    }
    if below.is_empty() {
        match read("queue/rotational").as_deref() {
            Some("0") => facts.flash = Some(true),
            // One of several disks that is flash is enough.
            Some(_) => facts.flash = facts.flash.or(Some(false)),
            None => {}
        }
    }
}

/// What a mapped device is, by the beginning of its identity, as its makers write it.
fn mapped(uuid: &str, name: &str, node: &Path) -> Layer {
    if uuid.starts_with("CRYPT-") {
        return Layer::Encrypted;
    }
    if uuid.starts_with("mpath-") {
        return Layer::Multipath;
    }
    if !uuid.starts_with("LVM-") {
        return Layer::Mapped(name.to_owned());
    }
    // `-real` is what stands below a volume that has snapshots, `-cow` where a snapshot keeps what was overwritten.
    let kin = siblings(node).into_iter().filter(|other| other.starts_with(uuid) && other != uuid);
    let mut kin = kin.chain(std::iter::once(uuid.to_owned()));
    if kin.any(|uuid| uuid.ends_with("-real") || uuid.ends_with("-cow")) {
        return Layer::Snapshot;
    }
    let on_pool = siblings_below(node).iter().any(|below| below.ends_with("-tpool") || below.ends_with("-pool"));
    if on_pool { Layer::LvmThin } else { Layer::Lvm }
}

fn siblings(node: &Path) -> Vec<String> {
    node.parent().map(uuids_in).unwrap_or_default()
}

fn siblings_below(node: &Path) -> Vec<String> {
    uuids_in(&node.join("slaves"))
}

fn uuids_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let read = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("dm/uuid")).ok();
    entries.filter_map(read).map(|uuid| uuid.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 22 8:17 / /mnt/with\\040blank rw,nosuid shared:2 master:1 - xfs /dev/sdb1 rw,attr2
41 22 0:50 / /mnt/over rw - overlay overlay rw,lowerdir=/a
42 22 8:33 / /mnt/over rw - ext4 /dev/sdc1 rw,data=journal
";

    #[test]
    fn a_directory_is_on_the_deepest_and_latest_mount() {
        let of = |dir: &str| mount_of(MOUNTS, Path::new(dir)).unwrap();
        assert_eq!((of("/var/lib").source, of("/var/lib").device), ("/dev/sda1".to_owned(), (8, 1)));
        let blank = of("/mnt/with blank/volume");
        assert_eq!((blank.kind.as_str(), blank.options.as_str()), ("xfs", "rw,nosuid,rw,attr2"));
        assert_eq!(of("/mnt/over/x").options, "rw,rw,data=journal", "what was mounted over it counts");
        assert_eq!(of("/mnt/overs").kind, "ext4", "a name that only begins alike is another directory");
        assert!(mount_of("", Path::new("/")).is_none());
    }

    fn device(dir: &Path, name: &str, files: &[(&str, &str)], slaves: &[&str]) -> PathBuf {
        let node = dir.join(name);
        std::fs::create_dir_all(node.join("slaves")).unwrap();
        for (file, text) in files {
            std::fs::create_dir_all(node.join(file).parent().unwrap()).unwrap();
            std::fs::write(node.join(file), format!("{text}\n")).unwrap();
        }
        slaves.iter().for_each(|slave| symlink(dir.join(slave), node.join("slaves").join(slave)).unwrap());
        node
    }

    fn below(node: &Path) -> (Vec<Layer>, Option<bool>) {
        let mut facts = DeviceFacts::default();
        look_below(node, &mut facts, 0);
        (facts.layers, facts.flash)
    }

    #[test]
    fn flash_is_seen_through_partitions_and_every_layer() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let nvme = device(dir, "nvme0n1", &[("queue/rotational", "0")], &[]);
        let disk = device(dir, "sda", &[("queue/rotational", "1")], &[]);
        let part = device(&nvme, "nvme0n1p1", &[("partition", "1")], &[]);
        assert_eq!(below(&part), (vec![], Some(true)));
        assert_eq!(below(&disk), (vec![], Some(false)));
        let luks = device(dir, "dm-0", &[("dm/uuid", "CRYPT-LUKS2-1234-x"), ("dm/name", "x")], &["nvme0n1"]);
        assert_eq!(below(&luks), (vec![Layer::Encrypted], Some(true)));
        let lvm = device(dir, "dm-1", &[("dm/uuid", "LVM-abcd"), ("dm/name", "vg-lv")], &["dm-0"]);
        assert_eq!(below(&lvm), (vec![Layer::Lvm, Layer::Encrypted], Some(true)));
        let raid = device(dir, "md0", &[("md/level", "raid1")], &["sda", "nvme0n1"]);
        assert_eq!(below(&raid), (vec![Layer::Raid("raid1".into())], Some(true)), "one half of it is enough");
        let image = device(dir, "loop0", &[("loop/backing_file", "/x/disk.img"), ("queue/rotational", "1")], &[]);
        assert_eq!(below(&image), (vec![Layer::Image("/x/disk.img".into())], Some(false)));
        assert_eq!(below(&dir.join("none")), (vec![], None), "nothing is told");
        symlink(&luks, nvme.join("slaves/dm-0")).unwrap();
        assert!(below(&luks).0.len() <= DEEPEST + 2, "a ring has an end");
    }

    #[test]
    fn a_volume_with_a_snapshot_is_told_from_one_without() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        device(dir, "sda", &[("queue/rotational", "1")], &[]);
        let plain = device(dir, "dm-0", &[("dm/uuid", "LVM-aaaa")], &["sda"]);
        let origin = device(dir, "dm-1", &[("dm/uuid", "LVM-bbbb")], &["sda"]);
        assert_eq!(below(&origin).0, [Layer::Lvm]);
        device(dir, "dm-2", &[("dm/uuid", "LVM-bbbb-real")], &["sda"]);
        assert_eq!(below(&origin).0, [Layer::Snapshot]);
        assert_eq!(below(&plain).0, [Layer::Lvm]);
        device(dir, "dm-3", &[("dm/uuid", "LVM-cccc-tpool")], &["sda"]);
        let thin = device(dir, "dm-4", &[("dm/uuid", "LVM-dddd")], &["dm-3"]);
        assert_eq!(below(&thin).0[0], Layer::LvmThin);
        let other = device(dir, "dm-5", &[("dm/uuid", ""), ("dm/name", "cache")], &["sda"]);
        assert_eq!(below(&other).0, [Layer::Mapped("cache".into())]);
    }
}
