//! The ledger, as somebody with its disks would bend it: cut short, or written anew with another signing key. A checkpoint that
//! the daemon sent elsewhere by itself refuses both.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::crypto::{Secret, SigningKey};
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::SiteId;
use cctv_custodian::ledger::{Act, Checkpoint, Ledger, Row};
use serde_json::{Value, json};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::commands::{Ended, run};
use support::daemon::program;
use support::site::Site;

const LIMIT: Duration = Duration::from_secs(60);

fn verify(files: &[PathBuf], more: &[&str]) -> (Ended, Value) {
    let mut call = Command::new(program().unwrap());
    call.args(["ledger", "verify", "--json"]).args(files).args(more);
    let ended = run(&mut call, "", LIMIT).unwrap();
    let told = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended, told)
}

/// What the system's log got so far.
fn journal(log: &UnixDatagram) -> Vec<String> {
    log.set_nonblocking(true).unwrap();
    let mut lines = Vec::new();
    let mut datagram = vec![0; 64 << 10];
    while let Ok(got) = log.recv(&mut datagram) {
        let line = String::from_utf8(datagram[..got].to_vec()).unwrap();
        lines.push(line.replacen("<86>", "Nov 26 22:00:00 clinic ", 1));
    }
    lines
}

/// A site where something was done, its files, and what its log got of them.
struct Kept {
    dir: tempfile::TempDir,
    files: Vec<PathBuf>,
    journal: PathBuf,
    lines: Vec<String>,
}

impl Kept {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
        let socket = dir.path().join("log");
        site.send_checkpoints_to(&socket).unwrap();
        let log = UnixDatagram::bind(&socket).unwrap();
        let mut running = site.serve(&dir.path().join("daemon.log"), &[], &[]).unwrap();
        for name in ["officer", "deputy", "staff"] {
            running.sign_in(&site, name).unwrap();
        }
        let mut officer = running.sign_in(&site, "officer").unwrap();
        officer.api.get("/v1/ledger").unwrap().expect_status(200).unwrap();
        // The register carries a checkpoint, and so makes one.
        let asked = "/v1/ledger/register?from=2026-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
        let page = officer.api.get(asked).unwrap().expect_status(200).unwrap().json;
        running.stop().unwrap();
        let lines = journal(&log);
        assert!(lines.len() >= 2, "one for the page, one at the stop: {lines:?}");
        assert!(lines[0].ends_with(page["checkpoint"].as_str().unwrap()), "{lines:?} {page}");
        let path = dir.path().join("journal.txt");
        std::fs::write(&path, format!("-- Journal begins --\n{}\n", lines.join("\n"))).unwrap();
        let files = site.ledger_files().unwrap();
        Self { dir, files, journal: path, lines }
    }

    fn checkpoints(&self) -> [&str; 2] {
        ["--checkpoint", self.journal.to_str().unwrap()]
    }

    /// A copy of the newest file, changed.
    fn changed(&self, change: impl FnOnce(Vec<&str>) -> String) -> Vec<PathBuf> {
        let newest = self.files.last().unwrap();
        let text = std::fs::read_to_string(newest).unwrap();
        let path = self.dir.path().join(newest.file_name().unwrap());
        std::fs::write(&path, change(text.split_inclusive('\n').collect())).unwrap();
        let others = &self.files[..self.files.len() - 1];
        others.iter().cloned().chain([path]).collect()
    }
}

#[test]
fn what_is_cut_off_shows_against_a_checkpoint_that_the_log_has() {
    let kept = Kept::new();
    let (whole, told) = verify(&kept.files, &kept.checkpoints());
    assert!(whole.status.success() && told["elsewhere_fit"] == json!(kept.lines.len()), "{told}");
    // The last checkpoint and what came after it, and some more.
    let cut = kept.changed(|rows| rows[..rows.len() - 4].concat());
    let (alone, told) = verify(&cut, &[]);
    assert!(alone.status.success(), "by itself a shorter ledger is a ledger: {told}");
    let (refused, told) = verify(&cut, &kept.checkpoints());
    assert!(
        !refused.status.success() && told["what"].as_str().unwrap().contains("is missing: the ledger ends"),
        "{told}"
    );
    let rows = std::fs::read_to_string(cut.last().unwrap()).unwrap().lines().count();
    assert_eq!(told["row"], json!(rows + 1), "the first row that is missing");
    // Read aloud: what it says to a person.
    let mut call = Command::new(program().unwrap());
    call.args(["ledger", "verify"]).args(&cut);
    let said = run(&mut call, "", LIMIT).unwrap().stdout;
    assert!(said.contains("no checkpoint kept elsewhere was held against it"), "{said}");
    // A file without any checkpoint is a mistake, and not a silent yes.
    std::fs::write(&kept.journal, "nothing\n").unwrap();
    let mut call = Command::new(program().unwrap());
    call.args(["ledger", "verify"]).args(&cut).args(kept.checkpoints());
    let said = run(&mut call, "", LIMIT).unwrap();
    assert!(!said.status.success() && said.stderr.contains("no checkpoint is in it"), "{said:?}");
}

/// Writes all rows anew but for one, with a signing key of its own: whole by itself, checkpoints and all.
fn written_anew(rows: Vec<Row>, left_out: u64, dir: &Path, site: SiteId) -> (Vec<PathBuf>, SigningKey) {
    let key = SigningKey::from_seed(&Secret::new([9; 32])).unwrap();
    std::fs::create_dir(dir).unwrap();
    let disk: SharedDisk = Arc::new(RealDisk);
    let mut ledger = Ledger::open(disk, dir, site, |_| {}).unwrap();
    for row in rows.into_iter().filter(|row| row.sequence != left_out) {
        let act = match row.act {
            Act::FileOpened { .. } => continue,
            Act::SiteMade { desk, recovery, .. } => Act::SiteMade { signer: key.verifying_key(), desk, recovery },
            Act::Checkpoint(checkpoint) => {
                let (sequence, head) = ledger.head();
                let anew = Checkpoint { sequence, head, signature: None, ..checkpoint };
                Act::Checkpoint(anew.sign(&key).unwrap())
            }
            act => act,
        };
        ledger.append(row.at, row.actor, act).unwrap();
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    (files, key)
}

#[test]
fn a_ledger_written_anew_with_another_key_is_refused_by_any_checkpoint_kept_elsewhere() {
    let kept = Kept::new();
    let text = std::fs::read_to_string(&kept.files[0]).unwrap();
    let rows: Vec<Row> = text.lines().map(|line| serde_json::from_str(&line[65..]).unwrap()).collect();
    let Act::FileOpened { site, .. } = rows[0].act else { panic!("{:?}", rows[0]) };
    let hidden = rows.iter().find(|row| row.act == Act::LedgerRead).unwrap().sequence;
    let Act::SiteMade { signer, .. } = rows[1].act else { panic!("{:?}", rows[1]) };
    let (anew, key) = written_anew(rows, hidden, &kept.dir.path().join("anew"), site);
    let (alone, told) = verify(&anew, &[]);
    assert!(
        alone.status.success() && told["signatures_checked"] == told["checkpoints"],
        "by itself it is whole: {told}"
    );
    assert!(verify(&anew, &["--signer", &key.verifying_key().to_string()]).0.status.success());
    let (refused, told) = verify(&anew, &["--signer", &signer.to_string()]);
    assert!(!refused.status.success(), "{told}");
    let (refused, told) = verify(&anew, &kept.checkpoints());
    assert!(!refused.status.success() && told["what"].as_str().unwrap().contains("written anew"), "{told}");
    // Any one line is enough; also one that somebody typed in from the foot of a letter.
    let (_, short) = kept.lines.last().unwrap().split_once("sequence=").unwrap();
    let typed = format!("sequence={}", short.split(" signature").next().unwrap());
    std::fs::write(&kept.journal, typed).unwrap();
    assert!(!verify(&anew, &kept.checkpoints()).0.status.success());
    assert!(verify(&kept.files, &kept.checkpoints()).0.status.success(), "and the true one passes");
}

#[test]
fn a_log_that_is_away_is_an_alarm_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::init(&program().unwrap(), &dir.path().join("site"), &["--allow-unproven"]).unwrap();
    site.send_checkpoints_to(&dir.path().join("away")).unwrap();
    let mut running = site.serve(&dir.path().join("daemon.log"), &[], &[]).unwrap();
    let mut officer = running.sign_in(&site, "officer").unwrap();
    let asked = "/v1/ledger/register?from=2026-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";
    officer.api.get(asked).unwrap().expect_status(200).unwrap();
    let (code, status) = site.status().unwrap();
    let alarms = status["alarms"].as_array().unwrap();
    let is_told = |alarm: &Value| alarm.as_str().unwrap().starts_with("checkpoints of the ledger do not leave");
    assert!(code == Some(1) && alarms.iter().any(is_told), "{status}");
    running.stop().unwrap();
    assert_eq!(site.verify_ledger(&site.ledger_files().unwrap()).unwrap()["ok"], json!(true));
}
