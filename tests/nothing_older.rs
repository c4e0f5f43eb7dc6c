//! `custodian verify --nothing-older`: what it finds, and what it says of it, with the daemon and without.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use cctv_custodian::crypto::sha256;
use cctv_custodian::domain::{CameraNumber, DayKeyId, Digest, Retention, SegmentId, Utc, VolumeId};
use cctv_custodian::segment::{ManifestHeader, ManifestRecord};
use serde_json::Value;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;
use support::daemon::program;
use support::scene::now_us;
use support::site::Site;

const DAY_US: i64 = 86_400_000_000;
const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn asked(site: &Site, more: &[&str]) -> (Option<i32>, Value) {
    let told = site.run("verify", &[&["--nothing-older", "--json"], more].concat()).unwrap();
    (told.status.code(), serde_json::from_str(&told.stdout).unwrap_or(Value::Null))
}

/// A manifest of a day so long ago, with one segment of a minute, and its file. Returns the two.
fn put_in_a_segment(site: &Site, days_ago: i64, retention: Retention) -> [PathBuf; 2] {
    let volume = site.volume();
    let identity = std::fs::read(volume.join("volume")).unwrap();
    let start = Utc::from_micros(now_us() - days_ago * DAY_US);
    let id = VolumeId(identity[16..32].try_into().unwrap());
    let header = ManifestHeader { volume: id, day: start.day(), retention, carries_on: None };
    let (segment, camera) = (SegmentId(0xAB), CameraNumber::new(7).unwrap());
    let footage = vec![7_u8; 8_192];
    let opened = ManifestRecord::Opened { segment, camera, start, day_key: DayKeyId(1), head: Digest([1; 32]) };
    let sealed = ManifestRecord::Sealed {
        segment,
        chunks: 2,
        bytes: footage.len() as u64,
        allocated_bytes: footage.len() as u64,
        end: start.saturating_add(Duration::from_secs(60)),
        digest: sha256(&footage),
        has_footer: true,
        ranges: Vec::new(),
    };
    let name = format!("{:016x}", 0xCD + days_ago);
    let (manifest, dir) = (volume.join("manifests").join(&name), volume.join("rolling").join(&name));
    std::fs::write(&manifest, [&header.to_bytes()[..], &opened.to_bytes(), &sealed.to_bytes()].concat()).unwrap();
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join(segment.to_string());
    std::fs::write(&file, footage).unwrap();
    [manifest, file]
}

/// As the daemon makes its files: it refuses keys that others could read.
fn write_private(path: &std::path::Path) {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(&[7; 5_000]).unwrap();
}

fn take_out(put: &[PathBuf; 2]) {
    std::fs::remove_file(&put[0]).unwrap();
    std::fs::remove_dir_all(put[1].parent().unwrap()).unwrap();
}

#[test]
fn what_is_older_than_it_may_be_is_named_with_its_file_and_told_by_the_exit_status() {
    let dir = tempfile::tempdir().unwrap();
    let site =
        Site::init(&program().unwrap(), &dir.path().join("site"), &["--name", "Test", "--allow-unproven"]).unwrap();
    let (code, told) = asked(&site, &[]);
    assert_eq!((code, &told["nothing_older"], &told["segments"]), (Some(0), &Value::Bool(true), &0.into()), "{told}");

    // Within its period; past it; under a floor that is longer.
    let put = put_in_a_segment(&site, 29, Retention::Ceiling(MONTH));
    let (code, told) = asked(&site, &["--deep"]);
    assert_eq!((code, &told["segments"], &told["deep"]), (Some(0), &1.into(), &Value::Bool(true)), "{told}");
    let oldest = told["oldest_readable"]["at"].as_str().unwrap().parse::<Utc>().unwrap();
    assert!((now_us() - 29 * DAY_US - oldest.micros()).abs() < DAY_US / 24);
    take_out(&put);
    let put = put_in_a_segment(&site, 40, Retention::Ceiling(MONTH));
    for more in [&[][..], &["--deep"]] {
        let (code, told) = asked(&site, more);
        assert_eq!((code, &told["nothing_older"]), (Some(1), &Value::Bool(false)), "{told}");
        let named = &told["older"].as_array().unwrap()[0];
        assert_eq!(named["file"], put[1].to_str().unwrap());
        assert!(named["what"].as_str().unwrap().contains("it is readable"), "{named}");
    }
    take_out(&put);
    let put = put_in_a_segment(&site, 40, Retention::Floor(MONTH * 2));
    assert_eq!(asked(&site, &[]).0, Some(0), "under a floor it may be older");
    take_out(&put);
    let put = put_in_a_segment(&site, 1, Retention::Ceiling(MONTH * 2));
    let (code, told) = asked(&site, &[]);
    assert_eq!((code, told["older"][0]["file"].as_str()), (Some(1), put[0].to_str()), "a ceiling of 60 days: {told}");
    take_out(&put);

    let stray = site.volume().join("keys/00000000000000aa");
    write_private(&stray);
    let grant = site.dir().join("state/grants/00000009");
    write_private(&grant);
    let (code, told) = asked(&site, &[]);
    let files: Vec<&str> = told["older"].as_array().unwrap().iter().map(|one| one["file"].as_str().unwrap()).collect();
    assert_eq!((code, files), (Some(1), vec![stray.to_str().unwrap(), grant.to_str().unwrap()]));
    // Beside a running daemon, which has taken both away.
    let mut running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    let (code, told) = asked(&site, &[]);
    assert_eq!((code, &told["older_count"]), (Some(0), &0.into()), "{told}");
    running.stop().unwrap();

    // What cannot be read leaves the question open.
    std::fs::rename(site.volume(), dir.path().join("away")).unwrap();
    assert_eq!(asked(&site, &[]).0, Some(2));
}
