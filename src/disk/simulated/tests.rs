//! The simulated disk loses and keeps what it says.

use super::super::{AlignedBuffer, check_device, read_file, replace_file};
use super::*;

fn path(name: &str) -> PathBuf {
    Path::new("/d").join(name)
}

fn disk() -> SimulatedDisk {
    SimulatedDisk::new(&[Path::new("/d"), Path::new("/other")])
}

fn door(disk: &SimulatedDisk) -> &dyn Disk {
    disk
}

fn content(disk: &SimulatedDisk, name: &str) -> Option<Vec<u8>> {
    read_file(disk, &path(name), 1 << 20).ok()
}

#[test]
fn a_flushed_file_without_its_name_is_lost_and_with_it_is_there() {
    let disk = disk();
    let file = disk.create_new(&path("a")).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(content(&disk.after(PowerCut::Lost), "a"), None);
    assert_eq!(content(&disk.after(PowerCut::Kept), "a").unwrap(), b"abc");
    door(&disk).sync_dir(Path::new("/d")).unwrap();
    assert_eq!(content(&disk.after(PowerCut::Lost), "a").unwrap(), b"abc");
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(content(&disk.after(PowerCut::Lost), "a").unwrap(), b"abc");
    assert_eq!(content(&disk.after(PowerCut::Kept), "a").unwrap(), b"xbc");
}

#[test]
fn a_name_without_its_flushed_content_is_an_empty_file() {
    let disk = disk();
    disk.create_new(&path("a")).unwrap().write_all_at(b"abc", 0).unwrap();
    assert_eq!(content(&disk.after(PowerCut::Names), "a").unwrap(), b"");
    door(&disk).sync_file_system(Path::new("/other")).unwrap();
    assert_eq!(content(&disk.after(PowerCut::Lost), "a"), None, "another file system");
    door(&disk).sync_file_system(Path::new("/d")).unwrap();
    assert_eq!(content(&disk.after(PowerCut::Lost), "a").unwrap(), b"abc");
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one_whatever_is_lost() {
    let disk = disk();
    replace_file(&disk, &path("a"), b"old").unwrap();
    disk.keep_snapshots();
    replace_file(&disk, &path("a"), b"newer").unwrap();
    let snapshots = disk.take_snapshots();
    assert_eq!(snapshots.len(), 6, "create, write, flush, rename, flush");
    for snapshot in &snapshots {
        let cuts = [PowerCut::Lost, PowerCut::Kept, PowerCut::Names, PowerCut::Contents];
        for cut in cuts.into_iter().chain((0..20).map(PowerCut::Mixed)) {
            let left = content(&snapshot.after(cut), "a").unwrap();
            assert!(left == b"old" || left == b"newer", "{cut:?}: {left:?}");
        }
    }
    assert_eq!(content(&snapshots[5].after(PowerCut::Lost), "a").unwrap(), b"newer");
}

#[test]
fn a_rename_before_its_flush_loses_the_content_and_the_switch_shows_it() {
    let disk = disk();
    replace_file(&disk, &path("a"), b"old").unwrap();
    let first = disk.flushes();
    assert_eq!(first.len(), 2, "of the file and of the directory: {first:?}");
    assert!(first.iter().all(|(site, _)| site.file().ends_with("tests.rs")), "both are its caller's: {first:?}");
    let replace = || replace_file(&disk, &path("a"), b"newer");
    replace().unwrap();
    let of_closure = |(site, kind): &Flush| *kind == OperationKind::FlushFile && !first.contains(&(*site, *kind));
    disk.leave_out(disk.flushes().into_iter().find(of_closure).unwrap());
    replace().unwrap();
    assert_eq!(content(&disk.after(PowerCut::Names), "a").unwrap(), b"");
    assert_eq!(content(&disk.after(PowerCut::Lost), "a").unwrap(), b"", "the directory was flushed, the file was not");
    assert_eq!(content(&disk.after(PowerCut::Kept), "a").unwrap(), b"newer");
}

#[test]
fn blocks_are_torn_at_sectors_and_sizes_are_kept_apart_from_contents() {
    let disk = disk();
    let file = disk.create_new(&path("a")).unwrap();
    file.write_all_at(&[1; 8192], 0).unwrap();
    door(&disk).sync_file_system(Path::new("/d")).unwrap();
    file.write_all_at(&[2; 8192], 0).unwrap();
    file.write_all_at(&[2; 100], 8192).unwrap();
    let (mut torn, mut longer, mut reordered) = (false, false, false);
    for seed in 0..200 {
        let left = content(&disk.after(PowerCut::Mixed(seed)), "a").unwrap();
        assert!(left.len() == 8192 || left.len() == 8292);
        for sector in left[..8192].chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]) && sector[0] > 0);
        }
        torn |= left[..4096].contains(&1) && left[..4096].contains(&2);
        reordered |= left[0] == 1 && left[4096] == 2;
        longer |= left.len() > 8192 && left[8192..].iter().all(|byte| *byte == 0);
    }
    assert!(torn && longer && reordered);
}

#[test]
fn what_a_freed_block_held_is_still_on_the_device() {
    let disk = disk();
    let file = disk.create_new(&path("a")).unwrap();
    file.write_all_at(&[7; 8192], 0).unwrap();
    door(&disk).sync_file_system(Path::new("/d")).unwrap();
    file.set_len(0).unwrap();
    file.sync_data().unwrap();
    assert!(disk.device_holds(&[7; 100], 0), "cut off is not overwritten");
    let file = disk.create_new(&path("b")).unwrap();
    file.write_all_at(&[8; 4096], 0).unwrap();
    door(&disk).sync_file_system(Path::new("/d")).unwrap();
    file.write_all_at(&[0; 4096], 0).unwrap();
    disk.remove_file(&path("b")).unwrap();
    door(&disk).sync_file_system(Path::new("/d")).unwrap();
    assert!(disk.device_holds(&[8; 100], 0), "an overwriting that was not flushed goes with the name");
}

#[test]
fn after_a_failed_flush_another_one_says_nothing_of_the_loss() {
    let disk = disk();
    let file = disk.create_new(&path("a")).unwrap();
    door(&disk).sync_dir(Path::new("/d")).unwrap();
    file.write_all_at(b"abc", 0).unwrap();
    disk.fail_flushes_after(0);
    assert!(file.sync_data().is_err());
    disk.mend();
    file.sync_data().unwrap();
    let left = content(&disk.after(PowerCut::Lost), "a").unwrap();
    assert_ne!(left, b"abc", "another flush does not bring it back");
}

#[test]
fn failures_come_when_they_are_told_to() {
    let disk = disk();
    let file = disk.create_new(&path("a")).unwrap();
    file.write_all_at(&[1; 100], 0).unwrap();
    let any: fn(OperationKind) -> bool = |_| true;
    let fail = |skip, error| Failure { kinds: any, below: path("a"), skip, times: 1, error };
    disk.fail(fail(1, Some(28)));
    file.write_all_at(&[2; 100], 0).unwrap();
    assert_eq!(file.write_all_at(&[3; 100], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    let mut read = [0; 100];
    assert_eq!(file.read_at(&mut read, 0).unwrap(), 100);
    assert_eq!((read[0], read[99]), (3, 2), "it had come half of its way");
    disk.fail(fail(0, None));
    assert_eq!(file.read_at(&mut read, 0).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(file.read_at(&mut [0; 200], 0).unwrap(), 100, "the file's own end is none");
    assert_eq!(file.read_at(&mut read, 0).unwrap(), 100);
}

#[test]
fn it_says_what_a_real_one_says() {
    let disk = disk();
    let kind = |told: io::Result<Box<dyn DiskFile>>| told.unwrap_err().kind();
    assert_eq!(kind(disk.open(&path("a"), Access::Read)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.create_new(&path("no/a"))), io::ErrorKind::NotFound);
    disk.create_dir(&path("sub/deep")).unwrap();
    disk.create_new(&path("a")).unwrap();
    assert_eq!(kind(disk.create_new(&path("a"))), io::ErrorKind::AlreadyExists);
    assert_eq!(disk.list_files(Path::new("/d")).unwrap(), ["a"]);
    let direct = disk.open(&path("a"), Access::Direct).unwrap();
    assert!(direct.write_all_at(&[0; 100], 0).is_err(), "past the page cache whole blocks are written");
    direct.write_all_at(AlignedBuffer::zeroed(4096).as_slice(), 0).unwrap();
    assert!(check_device(&disk, Path::new("/d")).unwrap().is_proven());
}
