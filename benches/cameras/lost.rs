//! What is lost between cameras and films: the second reader (in Python, made from docs/format.md alone) decrypts the
//! volume, and each picture found is held against the one that the server says it sent, byte for byte.
//!
//! Left out of it, and no loss: what a session sends before its first key frame, and the last second before its end,
//! which may be on its way when the daemon is told to stop.

use crate::film::{FRAMES_A_GOP, FRAMES_A_SECOND, Film, Mark, is_picture, units};
use crate::server::Session;
use crate::support::commands::{repository, run};
use crate::support::read_back::python;
use crate::support::site::Site;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const AT_THE_END_FRAMES: u32 = FRAMES_A_SECOND;
const READ_LIMIT: Duration = Duration::from_secs(300);

/// Of all cameras.
#[derive(Clone, Copy, Default, Debug)]
pub struct ReadBack {
    pub frames: u64,
    pub bytes: u64,
    /// GOPs of which a frame is missing that should be there.
    pub lost_gops: u64,
    pub out_of_order: u64,
    /// The most of a session's end that did not come to the disk, in frames.
    pub most_at_an_end: u32,
}

impl std::ops::AddAssign for ReadBack {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.lost_gops += other.lost_gops;
        self.out_of_order += other.out_of_order;
        self.most_at_an_end = self.most_at_an_end.max(other.most_at_an_end);
    }
}

/// Decrypts all that a site holds into `out`, which is made and removed again.
///
/// # Errors
/// When the reader finds a fault, or pictures that nobody sent.
pub fn read_back(site: &Site, out: &Path, film: &Film, sessions: &[Session]) -> Result<ReadBack> {
    std::fs::create_dir(out)?;
    let mut reader = Command::new(python());
    reader.arg("-B").arg(repository().join("tests/second_reader/reader.py")).arg("volume").arg(site.volume());
    reader.arg("--out").arg(out);
    let told: Value = serde_json::from_str(&run(&mut reader, &site.recovery_key, READ_LIMIT)?.succeeded()?.stdout)?;
    ensure!(told["faults"] == json!([]), "the second reader: {}", told["faults"]);
    let mut films: BTreeMap<u32, BTreeMap<i64, (PathBuf, u64)>> = BTreeMap::new();
    for row in told["segments"].as_array().context("no segments")? {
        let number = |field: &str| row[field].as_i64().with_context(|| format!("{field}: {row}"));
        let file = PathBuf::from(row["file"].as_str().context("no file")?);
        let of = films.entry(u32::try_from(number("camera")?)?).or_default();
        of.insert(number("start")?, (file, u64::try_from(number("frames")?)?));
    }
    let mut all = ReadBack::default();
    let cameras: BTreeSet<u32> = sessions.iter().map(|session| session.camera).collect();
    for camera in cameras {
        let mut marks = Vec::new();
        for (file, frames) in films.get(&camera).into_iter().flat_map(BTreeMap::values) {
            let bytes = std::fs::read(file)?;
            let found = marks_of(&bytes, film).with_context(|| file.display().to_string())?;
            ensure!(found.len() as u64 == *frames, "{}: the clear headers count {frames}", file.display());
            all.bytes += bytes.len() as u64;
            marks.extend(found);
        }
        let of_camera = sessions.iter().filter(|session| session.camera == camera);
        all += compare(&marks, &of_camera.copied().collect::<Vec<_>>())?;
    }
    std::fs::remove_dir_all(out)?;
    Ok(all)
}

/// The marks of a decrypted film's pictures, in its order. Each picture must be the one that its mark says.
fn marks_of(bytes: &[u8], film: &Film) -> Result<Vec<Mark>> {
    let (mut marks, mut mark, mut rest) = (Vec::new(), None, bytes);
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let length = usize::try_from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]))?;
        ensure!(length >= head.len() && length <= rest.len(), "a box that is cut short");
        if head[4..] == *b"mdat" {
            for unit in units(&rest[head.len()..length]) {
                if is_picture(unit) {
                    let of: Mark = mark.take().context("a picture without its mark")?;
                    ensure!(film.picture(of) == unit, "{of:?} shows another picture");
                    marks.push(of);
                } else if let Some(read) = Mark::read(unit) {
                    ensure!(mark.replace(read).is_none(), "{read:?} follows a mark without a picture");
                }
            }
        }
        rest = &rest[length..];
    }
    Ok(marks)
}

/// Holds one camera's film against its sessions.
fn compare(marks: &[Mark], sessions: &[Session]) -> Result<ReadBack> {
    let mut told = ReadBack { frames: marks.len() as u64, ..ReadBack::default() };
    let place = |mark: &Mark| {
        let is_of = |session: &Session| {
            (session.run, session.camera) == (mark.run, mark.camera)
                && (session.first..session.end).contains(&mark.frame)
        };
        sessions.iter().position(is_of).map(|session| (session, mark.frame))
    };
    let places: Option<Vec<(usize, u32)>> = marks.iter().map(place).collect();
    let places = places.context("a picture that was never sent")?;
    told.out_of_order = places.windows(2).filter(|pair| pair[0] >= pair[1]).count() as u64;
    let found: BTreeSet<(usize, u32)> = places.into_iter().collect();
    for (number, session) in sessions.iter().enumerate() {
        let first = session.first.next_multiple_of(FRAMES_A_GOP);
        let surely = session.end.saturating_sub(AT_THE_END_FRAMES);
        let missing = (first..surely).filter(|frame| !found.contains(&(number, *frame)));
        let gops: BTreeSet<u32> = missing.map(|frame| frame / FRAMES_A_GOP).collect();
        told.lost_gops += gops.len() as u64;
        let last = found.range((number, 0)..(number + 1, 0)).next_back();
        let end = last.map_or(session.end, |(_, frame)| frame + 1);
        told.most_at_an_end = told.most_at_an_end.max(session.end - end);
    }
    Ok(told)
}

/// What is held against what, shown on made-up films. Run before anything is measured: a check that finds nothing would
/// be worth nothing.
///
/// # Errors
/// When it does not find what it must.
pub fn check_of_the_check() -> Result<()> {
    let session = Session { run: 1, camera: 1, first: 10, end: 105, late_ms: 0 };
    let mark = |frame| Mark { run: 1, camera: 1, frame };
    let whole: Vec<Mark> = (30..103).map(mark).collect();
    let told = compare(&whole, &[session])?;
    ensure!((told.lost_gops, told.out_of_order, told.most_at_an_end) == (0, 0, 2), "{told:?}");
    let without: Vec<Mark> = whole.iter().copied().filter(|mark| mark.frame != 70).collect();
    ensure!(compare(&without, &[session])?.lost_gops == 1, "a lost frame is not found");
    ensure!(compare(&whole[30..], &[session])?.lost_gops == 1, "a lost first GOP is not found");
    ensure!(compare(&whole[..50], &[session])?.lost_gops == 1, "a lost end is not found");
    let mut swapped = whole.clone();
    swapped.swap(5, 6);
    ensure!(compare(&swapped, &[session])?.out_of_order == 1, "a swapped frame is not found");
    let twice = [&whole[..6], &whole[5..]].concat();
    ensure!(compare(&twice, &[session])?.out_of_order == 1, "a repeated frame is not found");
    ensure!(compare(&[mark(200)], &[session]).is_err(), "a frame that was never sent is not found");
    Ok(())
}
