//! Files that hold keys are their owner's alone, or the daemon does not start and says what to do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use support::daemon::program;
use support::site::Site;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The daemon does not start; what it says names the file and what to do.
#[track_caller]
fn assert_refused(site: &Site, path: &Path, advice: &str) {
    let told = site.run("serve", &["--listen", "127.0.0.1:0"]).unwrap();
    assert!(!told.status.success(), "it started with {}", path.display());
    let said = told.stdout + &told.stderr;
    let advice = format!("run `{advice} {}`", path.display());
    assert!(said.contains(&advice), "{advice} is not in {said}");
}

#[test]
fn key_files_that_others_could_reach_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    let (state, keys) = (site.dir().join("state"), site.volume().join("keys"));
    // There is none yet of these two.
    let made = [state.join("grants/00000001"), keys.join("0123456789abcdef")];
    for path in &made {
        std::fs::write(path, "").unwrap();
        set_mode(path, 0o600);
    }
    let mut files = vec![state.join("signing.key"), state.join("desk"), state.join("people/00000001")];
    files.extend(made.clone());
    for path in &files {
        assert_eq!(mode(path), 0o600, "{}", path.display());
        for bad in [0o640, 0o604, 0o620, 0o602] {
            set_mode(path, bad);
            assert_refused(&site, path, "chmod 600");
        }
        set_mode(path, 0o600);
    }
    let dirs: Vec<PathBuf> =
        ["", "people", "grants", "requests"].iter().map(|below| state.join(below)).chain([keys]).collect();
    for path in &dirs {
        assert_eq!(mode(path), 0o700, "{}", path.display());
        let path = &path.components().collect::<PathBuf>();
        for bad in [0o710, 0o705] {
            set_mode(path, bad);
            assert_refused(&site, path, "chmod 700");
        }
        set_mode(path, 0o700);
    }
    if rustix::process::geteuid().is_root() {
        for path in files.iter().chain(&dirs) {
            let path = &path.components().collect::<PathBuf>();
            chown(path, Some(1), None).unwrap();
            assert_refused(&site, path, "chown 0");
            chown(path, Some(0), None).unwrap();
        }
    } else {
        assert!(std::env::var_os("NO_SKIP").is_none(), "files of another user want root");
    }
    for path in &made {
        std::fs::remove_file(path).unwrap();
    }
    let mut running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    running.stop().unwrap();
}
