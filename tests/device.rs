//! The device is tested, not believed: `custodian check`, `init` and `serve` on real file systems, on disks of their own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::cached_disk::{CachedDisk, serve_if_asked};
use support::commands::run;
use support::daemon::program;
use support::raw_disk::{FileSystem, LoopVolume, require_root};
use support::site::Site;

const LIMIT: Duration = Duration::from_secs(60);

/// What `check` says of a directory, in words and as JSON, and its exit status. Nothing may be left behind.
fn check(dir: &Path) -> (Option<i32>, String, Value) {
    let call = |more: &[&str]| {
        let mut check = Command::new(program().unwrap());
        run(check.arg("check").arg("--volume").arg(dir).args(more), "", LIMIT).unwrap()
    };
    let before = names(dir);
    let (words, told) = (call(&[]), call(&["--json"]));
    assert_eq!(names(dir), before, "the probe is left behind");
    assert_eq!(words.status.code(), told.status.code());
    (told.status.code(), words.stdout, serde_json::from_str(&told.stdout).unwrap_or_else(|_| panic!("{told:?}")))
}

fn names(dir: &Path) -> Vec<std::ffi::OsString> {
    // Not every file system lists.
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

fn is_refused(dir: &Path, why: &str) {
    let (exit, words, told) = check(dir);
    assert_eq!((exit, &told["proven"]), (Some(1), &json!(false)), "{told}");
    let refusal = told["refusal"].as_str().unwrap_or_else(|| panic!("{told}"));
    assert!(refusal.starts_with(why), "{refusal}");
    assert!(refusal.contains("; "), "it says what to do: {refusal}");
    assert!(words.contains("NOT PROVEN") && words.contains(refusal), "{words}");
}

fn mount(kind: &str, options: &str, at: &Path) {
    let mut mount = Command::new("mount");
    mount.args(["-t", kind, "-o", options, kind]).arg(at);
    run(&mut mount, "", LIMIT).unwrap().succeeded().unwrap();
}

fn unmount(at: &Path) {
    run(Command::new("umount").arg(at), "", LIMIT).unwrap().succeeded().unwrap();
}

#[test]
fn on_ext4_and_xfs_the_device_itself_is_read_and_holds_what_it_must() {
    require_root().unwrap();
    for (kind, name) in [(FileSystem::Ext4, "ext4"), (FileSystem::Xfs, "xfs")] {
        let disk = LoopVolume::new(kind, 400).unwrap();
        let (exit, words, told) = check(&disk.mount_point());
        assert_eq!((exit, &told["proven"], &told["refusal"]), (Some(0), &json!(true), &Value::Null), "{told}");
        assert_eq!((&told["file_system"], &told["raw"]), (&json!(name), &json!("compared")), "{told}");
        assert_eq!(told["mount_point"], json!(disk.mount_point()));
        assert_eq!(told["source"], json!(disk.device().unwrap()));
        assert_eq!(told["layers"], json!([{"layer": "image", "what": disk.image_path()}]), "{told}");
        assert!(told["warnings"].to_string().contains("an image file on another file system"), "{told}");
        assert!(words.contains("Overwriting reaches the blocks here"), "{words}");
    }
}

#[test]
fn a_journal_of_data_is_found_wherever_it_was_switched_on() {
    require_root().unwrap();
    let why = "it is mounted with data=journal";
    let disk = LoopVolume::with_options(FileSystem::Ext4, 64, &[], "data=journal").unwrap();
    is_refused(&disk.mount_point(), why);
    // A default of the file system itself does not stand among the mount's options.
    let mut disk = LoopVolume::new(FileSystem::Ext4, 64).unwrap();
    assert_eq!(check(&disk.mount_point()).0, Some(0));
    disk.detach().unwrap();
    let mut tune = Command::new("tune2fs");
    run(tune.args(["-o", "journal_data"]).arg(disk.image_path()), "", LIMIT).unwrap().succeeded().unwrap();
    disk.attach().unwrap();
    is_refused(&disk.mount_point(), why);
}

#[test]
fn file_systems_that_copy_and_those_of_others_are_refused_by_name() {
    if serve_if_asked() {
        return;
    }
    require_root().unwrap();
    let disk = LoopVolume::new(FileSystem::Btrfs, 128).unwrap();
    is_refused(&disk.mount_point(), "its file system is btrfs, and it writes what is overwritten to another place");

    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let place = dir.path().join(name);
        std::fs::create_dir(&place).unwrap();
        place
    };
    let memory = place("memory");
    mount("tmpfs", "size=16m", &memory);
    let told = std::panic::catch_unwind(|| is_refused(&memory, "its file system is tmpfs, and it is in memory"));
    unmount(&memory);
    told.unwrap();

    let (lower, upper, work, merged) = (place("lower"), place("upper"), place("work"), place("merged"));
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    mount("overlay", &options, &merged);
    let told = std::panic::catch_unwind(|| is_refused(&merged, "its file system is overlay"));
    unmount(&merged);
    told.unwrap();

    let disk = CachedDisk::new("file_systems_that_copy_and_those_of_others_are_refused_by_name", FileSystem::Ext4, 64);
    let disk = disk.unwrap();
    is_refused(&disk.mount_point().parent().unwrap().join("fuse"), "its file system is FUSE");
    // An ext4 on a disk that a program makes is an ext4: what is below is named.
    let (_, _, told) = check(&disk.mount_point());
    assert_eq!(told["layers"][0]["layer"], json!("image"), "{told}");
}

#[test]
fn what_cannot_be_tested_is_told_apart_from_what_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut check = Command::new(program().unwrap());
    let told = run(check.arg("check").arg("--volume").arg(dir.path().join("none")), "", LIMIT).unwrap();
    assert_eq!(told.status.code(), Some(2), "{told:?}");
    assert!(told.stderr.contains("there is no such directory; make it, or mount the disk"), "{told:?}");
}

#[test]
fn a_site_on_a_disk_that_is_refused_is_made_with_the_one_switch_alone() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let site = dir.path().join("site");
    let refused = Site::init(&program().unwrap(), &site, &[]).unwrap_err();
    let told = format!("{refused:#}");
    assert!(told.contains("its file system is tmpfs") && told.contains("allow_unproven = true"), "{told}");
    let made = Site::init(&program().unwrap(), &site, &["--allow-unproven"]).unwrap();
    let log = dir.path().join("log");
    let mut running = made.serve(&log, &[], &[]).unwrap();
    let (_, status) = made.status().unwrap();
    assert_eq!(status["volumes"][0]["overwriting_is_proven"], json!(false), "{status}");
    running.stop().unwrap();
    // The switch is taken out again.
    let settings = std::fs::read_to_string(site.join("site.toml")).unwrap();
    std::fs::write(site.join("site.toml"), settings.replace("allow_unproven = true", "allow_unproven = false"))
        .unwrap();
    let told = made.run("serve", &["--listen", "127.0.0.1:0"]).unwrap();
    assert!(!told.status.success() && told.stderr.contains("its file system is tmpfs"), "{told:?}");
}
