//! The unit is one that systemd understands, that confines the daemon, and that lets it do what it must.
//!
//! Debian's package systemd brings the programs that check it. Where they are missing, those tests say so and pass,
//! unless `NO_SKIP` is set, as the gate does where it runs as root.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const UNIT: &str = include_str!("../systemd/custodian.service");

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// What a program said; `None` where it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => skip(&format!("{program} is not installed")),
        Err(e) => panic!("{program}: {e}"),
    }
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("NO_SKIP").is_none(), "NO_SKIP is set, but {why}; `make deps` installs what is missing");
    eprintln!("skipped: {why}");
    None
}

/// Both streams of a program that ended well.
fn said(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

/// A place with a unit that starts the program just built instead of the installed one.
fn installed(unit: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("custodian.service");
    assert!(unit.contains("ExecStart=/usr/bin/custodian serve "));
    fs::write(&path, unit.replace("/usr/bin/custodian", env!("CARGO_BIN_EXE_custodian"))).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

fn verify(unit: &str) -> Option<Output> {
    let (_dir, path) = installed(unit);
    run("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", &path])
}

#[test]
fn systemd_knows_every_line_of_the_unit() {
    let Some(output) = verify(UNIT) else { return };
    let said = said(&output);
    assert!(!said.contains("custodian.service"), "a line that systemd ignores protects nothing: {said}");
    // It would have told: a misspelt line is only a warning to it.
    let output = verify(&UNIT.replace("NoNewPrivileges", "NoNewPrivilege")).unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("NoNewPrivilege"), "{output:?}");
}

#[test]
fn the_unit_leaves_little_exposed() {
    let (_dir, path) = installed(UNIT);
    // In tenths, of 10 for a service without any protection. Cameras need the network; that alone is 1.1.
    let threshold = "--threshold=20";
    let Some(output) = run("systemd-analyze", &["security", "--offline=true", threshold, &path]) else { return };
    said(&output);
    let (_dir, path) = installed(&UNIT.replace("NoNewPrivileges=yes\n", "").replace("CapabilityBoundingSet=\n", ""));
    let open = run("systemd-analyze", &["security", "--offline=true", threshold, &path]).unwrap();
    assert!(!open.status.success(), "the threshold tells nothing");
}

fn has_line(line: &str) -> bool {
    UNIT.lines().any(|written| written == line)
}

#[test]
fn the_daemon_may_do_what_it_must_and_secrets_stay_in_memory() {
    let filters: Vec<_> = UNIT.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    // A later line adds to and takes from an earlier one: what is needed must be named after the last that takes.
    let last_taking = filters.iter().rposition(|filter| filter.starts_with('~')).unwrap();
    let given: Vec<_> = filters[last_taking + 1..].iter().flat_map(|filter| filter.split(' ')).collect();
    for call in ["adjtimex", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"] {
        assert!(given.contains(&call), "{call}");
    }
    assert!(!UNIT.lines().any(|line| line.starts_with("ProtectClock=")), "it would forbid adjtimex");
    for line in ["LimitCORE=0", "MemorySwapMax=0", "UMask=0077", "Restart=always", "User=custodian"] {
        assert!(has_line(line), "{line}");
    }
}

#[test]
fn the_user_and_the_private_directory_are_made() {
    if !rustix::process::geteuid().is_root() {
        skip::<()>("only root can make a user and give it a directory");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let at = format!("--root={}", root.path().display());
    let (users, files) = (source("custodian.sysusers"), source("custodian.tmpfiles"));
    let Some(output) = run("systemd-sysusers", &[&at, users.to_str().unwrap()]) else { return };
    said(&output);
    let Some(output) = run("systemd-tmpfiles", &["--create", &at, files.to_str().unwrap()]) else { return };
    said(&output);

    let passwd = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user: Vec<_> = passwd.lines().find(|line| line.starts_with("custodian:")).unwrap().split(':').collect();
    assert_eq!((user[5], user[6]), ("/var/lib/custodian", "/usr/sbin/nologin"));
    let dir = fs::metadata(root.path().join("var/lib/custodian")).unwrap();
    assert_eq!(dir.permissions().mode() & 0o7777, 0o700);
    assert_eq!(dir.uid().to_string(), user[2]);
    assert_ne!(dir.uid(), 0);
}
