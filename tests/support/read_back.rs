//! What the daemon stored, read by somebody else (tests/second_reader, in Python), and held against what the cameras
//! logged as sent.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::commands::{Ended, repository, run, target_dir};
use super::peers::LoggedFrame;
use super::probe;
use super::site::Site;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub const READ_LIMIT: Duration = Duration::from_secs(60);
const SECOND_US: i64 = 1_000_000;
/// A session's first second, up to its first key frame, and what is on its way at a stop.
pub const AT_THE_ENDS_US: i64 = 1_500_000;
/// A commit each 2 s, of fragments of 4 s at most.
pub const LOST_BY_FORCE_US: i64 = 6 * SECOND_US;
/// So much of a life is always there to be looked at.
const LEAST_SEEN: usize = 20;
/// Two more frames' time: dates on the two sides differ by the way through the network.
pub const JITTER_US: i64 = 250_000;

/// The Python that the reader runs on, made once.
pub fn python() -> PathBuf {
    let mut make = Command::new(repository().join("tests/second_reader/venv.sh"));
    let made = run(make.arg(target_dir().join("second-reader")), "", Duration::from_secs(300)).unwrap();
    PathBuf::from(made.succeeded().unwrap().stdout.trim())
}

pub fn read(arguments: &[&str], key: &str) -> (Ended, Value) {
    let mut reader = Command::new(python());
    reader.arg("-B").arg(repository().join("tests/second_reader/reader.py")).args(arguments);
    let ended = run(&mut reader, key, READ_LIMIT).unwrap();
    let told: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    assert_eq!(told["ok"], ended.status.success(), "{told}");
    (ended, told)
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Decrypts the site's volume into `out`, and verifies its ledger on the way.
pub fn read_volume(site: &Site, key: &str, out: &Path) -> Value {
    std::fs::create_dir_all(out).unwrap();
    let volume = site.volume();
    let ledger = site.ledger_files().unwrap();
    let mut arguments = vec!["volume", text(&volume), "--out", text(out), "--ledger"];
    arguments.extend(ledger.iter().map(|file| text(file)));
    read(&arguments, key).1
}

/// A segment as the reader tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadSegment {
    pub name: String,
    pub state: String,
    pub has_footer: bool,
    pub previous: String,
    pub start_us: i64,
    pub end_us: i64,
    pub pictures: Vec<String>,
}

/// A camera's segments that began from some moment on, by start, with the pictures that a player finds in what was
/// decrypted.
pub fn segments_of(told: &Value, camera: u16, from_us: i64) -> Vec<ReadSegment> {
    segments_between(told, camera, from_us, i64::MAX)
}

/// Those that began in `from_us <= start < until_us`.
pub fn segments_between(told: &Value, camera: u16, from_us: i64, until_us: i64) -> Vec<ReadSegment> {
    let of = |row: &&Value| row["camera"] == camera && (from_us..until_us).contains(&row["start"].as_i64().unwrap());
    let rows = told["segments"].as_array().unwrap().iter().filter(of);
    let word = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let segment = |row: &Value| {
        let file = row["file"].as_str().unwrap();
        let codec = if camera == 1 { "h264" } else { "hevc" };
        let streams = probe::streams(file, &[]).unwrap();
        assert_eq!(streams.iter().map(|s| (&*s.kind, &*s.codec)).collect::<Vec<_>>(), [("video", codec)], "{row}");
        let pictures = probe::picture_digests(file, &[]).unwrap();
        assert_eq!(row["frames"], pictures.len(), "the clear headers count otherwise: {row}");
        assert_eq!(probe::count_frames(file, &[]).unwrap(), pictures.len() as u64);
        ReadSegment {
            name: word(row, "segment"),
            state: word(row, "state"),
            has_footer: row["footer"].as_bool().unwrap(),
            previous: word(row, "previous"),
            start_us: row["start"].as_i64().unwrap(),
            end_us: row["end"].as_i64().unwrap(),
            pictures,
        }
    };
    rows.map(segment).collect()
}

/// Holds what was read of one life of the daemon against the camera's log of what it sent. All from the first key frame
/// on is there, in order, each picture once; up to how far it goes is told. Returns the moment after the last one.
pub fn assert_sent(segments: &[ReadSegment], frames: &[LoggedFrame], footage: &[String]) -> i64 {
    let first = frames.iter().position(|frame| frame.key).unwrap();
    let frames = &frames[first..];
    assert!((frames[0].at_us - segments[0].start_us).abs() < AT_THE_ENDS_US, "it begins late: {segments:?}");
    let sent: Vec<&String> = frames.iter().map(|frame| &footage[usize::try_from(frame.file_frame).unwrap()]).collect();
    let seen: Vec<&String> = segments.iter().flat_map(|segment| &segment.pictures).collect();
    assert!(seen.len() <= sent.len() && seen.len() > LEAST_SEEN, "{} seen, {} sent", seen.len(), sent.len());
    let skipped = (0..=sent.len() - seen.len()).find(|skipped| sent[*skipped..*skipped + seen.len()] == seen[..]);
    let skipped = skipped.expect("other pictures than those sent, or some are missing in between");
    assert!(frames[skipped].key && frames[skipped].at_us - frames[0].at_us < AT_THE_ENDS_US, "{skipped} skipped");
    frames.get(skipped + seen.len()).map_or(i64::MAX, |frame| frame.at_us)
}
