//! What the write way costs: CPU of this process for each gigabyte that cameras send, from frames in memory to sealed
//! segments, flushed, against a plain copy of the same bytes.
//!
//! The load: 97 cameras, each 2 Mbps in 15 frames a second and GOPs of 2 s, segments of 60 s that end at different
//! times; a group commit after every 2 s of footage. A run is a minute of that, in which every camera ends a segment
//! and begins the next: 1.455 GB, as fast as it goes. Frames are random bytes of the sizes that an encoder makes, which
//! nothing on the write way can tell from pictures. The write way is the real one, `Fragmenter` → `CameraRecorder` →
//! `Vault`, with its index and day keys on a real disk. Not in it: receiving (RTSP), and handing each fragment to a
//! blocking thread, as the daemon does.
//!
//! The plain copy writes each GOP as one piece to one file and flushes it as often: nothing simpler keeps the bytes.
//!
//! CPU is that of all threads of this process in user and kernel mode. What the kernel's own threads do to write pages
//! back is in neither figure.
//!
//! No framework: a run takes seconds and is compared with its neighbour, which is all that is wanted.

#[path = "support/measure.rs"]
mod measure;
#[path = "support/report.rs"]
mod report;

use anyhow::{Context, ensure};
use bytes::Bytes;
use cctv_custodian::catalog::Catalog;
use cctv_custodian::crypto::generate_pair;
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::{CameraNumber, Codec, Frame, Retention, SiteId, Span, Utc};
use cctv_custodian::fragment::nal::ParameterSets;
use cctv_custodian::fragment::{Fragment, Fragmenter, TIMESCALE, init_segment};
use cctv_custodian::segment::FragmentFacts;
use cctv_custodian::vault::{CameraRecorder, Vault, VaultError, Volume};
use measure::{Pairs, process_cpu_s};
use report::{Bound, Row};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CAMERAS: u16 = 97;
const FRAMES_A_SECOND: u32 = 15;
const FRAMES_A_GOP: usize = 30;
const GOP_BYTES: usize = 500_000;
const KEY_FRAME_BYTES: usize = 120_000;
const GOPS_A_SEGMENT: usize = 30;
/// What is run before the measured minute: day keys and first segments are made in it.
const GOPS_BEFORE: usize = 2;
const GOPS_MEASURED: usize = 30;
const PAIRS: usize = 5;

const SITE: SiteId = SiteId([1; 16]);
/// 2026-11-22T10:00:00Z.
const START: Utc = Utc::from_micros(1_795_341_600_000_000);
const RETENTION: Retention = Retention::Ceiling(Duration::from_secs(30 * 86_400));
/// Parameter sets of a 1920 × 1080 stream in the main profile.
const SPS: &str = "674d4028d900780227e5c044000003000400000300783c60c920";
const PPS: &str = "68ebc3cb20";

/// What one camera sends over and over: a key frame and those that depend on it, in one piece of memory.
struct Gop {
    whole: Bytes,
    frames: Vec<Bytes>,
}

impl Gop {
    fn random() -> anyhow::Result<Self> {
        let mut whole = vec![0; GOP_BYTES];
        SystemRandom::new().fill(&mut whole).ok().context("the machine has no random bytes")?;
        let whole = Bytes::from(whole);
        let mut frames = vec![whole.slice(..KEY_FRAME_BYTES)];
        let mut at = KEY_FRAME_BYTES;
        // Half to one and a half of their mean, the last one what is left.
        let mean = (GOP_BYTES - KEY_FRAME_BYTES) / (FRAMES_A_GOP - 1);
        for number in 1..FRAMES_A_GOP {
            let bytes =
                if number == FRAMES_A_GOP - 1 { GOP_BYTES - at } else { mean / 2 + number * 7 % 29 * mean / 28 };
            frames.push(whole.slice(at..at + bytes));
            at += bytes;
        }
        Ok(Self { whole, frames })
    }
}

/// A camera's frames on their way into its segments.
struct Camera {
    number: CameraNumber,
    recorder: CameraRecorder,
    fragmenter: Fragmenter,
    /// GOPs until the segment ends.
    gops_left: usize,
}

impl Camera {
    fn new(vault: &Arc<Vault>, index: u16) -> anyhow::Result<Self> {
        let number = CameraNumber::new(index + 1).context("a camera's number")?;
        let recorder = CameraRecorder::new(Arc::clone(vault), number, RETENTION);
        // Ends are spread over the measured minute: each camera has one in it.
        let gops_left = GOPS_BEFORE + usize::from(index) % GOPS_A_SEGMENT;
        Ok(Self { number, recorder, fragmenter: Fragmenter::default(), gops_left })
    }

    fn take(&mut self, frame: Frame, init: &[u8]) -> anyhow::Result<()> {
        if frame.sync {
            if self.gops_left == 0 {
                let last = std::mem::take(&mut self.fragmenter).finish()?;
                self.write(last, init)?;
                self.recorder.finish()?;
                self.gops_left = GOPS_A_SEGMENT;
            }
            self.gops_left -= 1;
        }
        let ended = self.fragmenter.push(frame)?;
        Ok(self.write(ended, init)?)
    }

    fn write(&mut self, fragment: Option<Fragment>, init: &[u8]) -> Result<(), VaultError> {
        let Some(fragment) = fragment else { return Ok(()) };
        if !self.recorder.is_open() {
            self.recorder.begin(fragment.filmed_at, init)?;
        }
        let Fragment { first_pts_90k, duration_90k, frames, sync, .. } = fragment;
        self.recorder.append(FragmentFacts { first_pts_90k, duration_90k, frames, sync }, &fragment.bytes)
    }

    fn end(&mut self, init: &[u8]) -> anyhow::Result<()> {
        let last = self.fragmenter.finish()?;
        self.write(last, init)?;
        Ok(self.recorder.finish()?)
    }
}

/// When a frame is filmed, counted from the start, on the 90 kHz clock.
fn pts_90k(gop: usize, frame: usize) -> u64 {
    (gop * FRAMES_A_GOP + frame) as u64 * u64::from(TIMESCALE / FRAMES_A_SECOND)
}

/// Two seconds of all cameras in the order in which they come, then a commit.
fn two_seconds(vault: &Vault, cameras: &mut [Camera], gops: &[Gop], gop: usize, init: &[u8]) -> anyhow::Result<()> {
    for frame in 0..FRAMES_A_GOP {
        let pts = pts_90k(gop, frame);
        for (camera, content) in cameras.iter_mut().zip(gops) {
            let data = content.frames[frame].clone();
            let frame = Frame { filmed_at: START.plus_90k(pts), pts_90k: pts.cast_signed(), sync: frame == 0, data };
            camera.take(frame, init)?;
        }
    }
    Ok(vault.commit()?)
}

fn start(dir: &Path) -> anyhow::Result<Arc<Vault>> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let place = dir.join("volume");
    Volume::create(&disk, &place, SITE)?;
    let volume = Volume::open(disk, &place, SITE, true)?;
    let vault = Vault::start(vec![volume], Catalog::open(&dir.join("catalog"))?, START)?;
    // Officer, deputy and the recovery key.
    let recipients: Result<Vec<_>, _> = (0..3).map(|_| generate_pair().map(|(_, public)| public)).collect();
    vault.set_recipients(recipients?);
    Ok(Arc::new(vault))
}

/// CPU seconds of the measured minute over the write way.
fn write_way(scratch: &Path, gops: &[Gop]) -> anyhow::Result<f64> {
    let dir = tempfile::tempdir_in(scratch)?;
    let sets = ParameterSets { vps: Vec::new(), sps: vec![hex::decode(SPS)?], pps: vec![hex::decode(PPS)?] };
    let init = init_segment(&sets.parameters(Codec::H264)?)?;
    let vault = start(dir.path())?;
    let mut cameras = (0..CAMERAS).map(|index| Camera::new(&vault, index)).collect::<Result<Vec<_>, _>>()?;
    for gop in 0..GOPS_BEFORE {
        two_seconds(&vault, &mut cameras, gops, gop, &init)?;
    }
    let before = process_cpu_s();
    for gop in GOPS_BEFORE..GOPS_BEFORE + GOPS_MEASURED {
        two_seconds(&vault, &mut cameras, gops, gop, &init)?;
    }
    let cost = process_cpu_s() - before;
    cameras.iter_mut().try_for_each(|camera| camera.end(&init))?;
    vault.stop()?;
    check(&vault, &cameras)?;
    Ok(cost)
}

/// A figure for work that was not done is worth nothing: every camera's whole span must be there.
fn check(vault: &Vault, cameras: &[Camera]) -> anyhow::Result<()> {
    let end = START.plus_90k(pts_90k(GOPS_BEFORE + GOPS_MEASURED, 0));
    for camera in cameras {
        let segments = vault.live_segments(camera.number, Span::new(START, end)?, end)?;
        let kept: Duration = segments.iter().map(|one| one.span.to().since(one.span.from())).sum();
        let expected = end.since(START);
        // Ticks of 90 kHz are not whole microseconds.
        ensure!(
            segments.len() == 2 && kept.abs_diff(expected) < Duration::from_millis(1),
            "camera {}: {} segments hold {kept:?} of {expected:?}",
            camera.number,
            segments.len()
        );
    }
    Ok(())
}

/// CPU seconds of the measured minute, copied plainly.
fn plain_copy(scratch: &Path, gops: &[Gop]) -> anyhow::Result<f64> {
    let dir = tempfile::tempdir_in(scratch)?;
    let mut file = File::create_new(dir.path().join("copy"))?;
    let before = process_cpu_s();
    for _ in 0..GOPS_MEASURED {
        for gop in gops {
            file.write_all(&gop.whole)?;
        }
        file.sync_data()?;
    }
    Ok(process_cpu_s() - before)
}

fn main() -> anyhow::Result<()> {
    let report = report::path();
    let scratch = report.parent().context("the report has no directory")?;
    std::fs::create_dir_all(scratch)?;
    let gops = (0..CAMERAS).map(|_| Gop::random()).collect::<Result<Vec<_>, _>>()?;
    let pairs = Pairs::run(PAIRS, || write_way(scratch, &gops), || plain_copy(scratch, &gops))?;
    let gigabytes = (gops.len() * GOPS_MEASURED * GOP_BYTES) as f64 / 1e9;
    report::record(
        &report,
        &[
            Row::new("write_way_cpu_s_per_gb", pairs.one() / gigabytes, "CPU s/GB", Bound::Stated),
            Row::new("write_way_vs_plain_copy", pairs.ratio(), "ratio", Bound::Stated),
        ],
    )
}
