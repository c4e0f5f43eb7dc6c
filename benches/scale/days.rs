//! Makes the planned site, a day at a time: its manifest, its day keys, and a file for each of its segments.
//!
//! What is real: every format, every record and digest of a head, each day's keys with their three seals, and one
//! camera's day of whole segments. What is not: the other segments' files are their heads alone, one block long, and
//! hold random bytes where the sealed data key stands (4.19 million seals would take 9 minutes of a core).

use crate::plan::{CAMERAS, Plan, PlannedSegment, RETENTION, WHOLE_CAMERA};
use anyhow::{Context, Result};
use cctv_custodian::crypto::{Label, PublicKey, Sealed, generate_pair, random_u64};
use cctv_custodian::disk::{Disk, RealDisk};
use cctv_custodian::domain::{CameraNumber, Day, DayKeyId, Digest, Retention, VolumeId};
use cctv_custodian::segment::{
    FragmentFacts, ManifestHeader, ManifestRecord, SegmentFacts, SegmentHead, SegmentVersion, SegmentWriter, SlotFile,
    SlotPurpose,
};
use cctv_custodian::vault::RECIPIENTS_LIMIT;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A picture's worth of bytes: one fragment of a minute, as small as they come.
const WHOLE_INIT: [u8; 600] = [1; 600];
const WHOLE_FRAGMENT: [u8; 1_000] = [2; 1_000];
const WHOLE_FACTS: FragmentFacts =
    FragmentFacts { first_pts_90k: 0, duration_90k: 60 * 90_000, frames: 900, sync: true };
const THREADS: usize = 2;

/// Where it is made, and for whom.
#[derive(Clone, Debug)]
pub struct Maker {
    pub plan: Plan,
    pub volume: VolumeId,
    pub dir: PathBuf,
    /// Officers' release keys and the recovery key.
    pub recipients: Vec<PublicKey>,
}

/// A day that was made.
#[derive(Clone, Debug)]
pub struct MadeDay {
    /// The manifest's file name.
    pub manifest: String,
    /// The digest of the last whole segment up to here.
    pub last_whole: Option<Digest>,
}

/// A day key's id and public half, by camera.
type DayKeys = Vec<(DayKeyId, PublicKey)>;

impl Maker {
    /// Makes all days, on two threads; returns the name of the newest manifest.
    ///
    /// # Errors
    /// What the disk says.
    pub fn make(&self) -> Result<String> {
        // First the day with whole segments: the next day's first one names the digest of its last.
        let last_whole = self.day(self.plan.whole_day(), RETENTION, None)?.last_whole;
        let days: Vec<Day> = self.plan.days().filter(|day| *day != self.plan.whole_day()).collect();
        let (next, newest) = (AtomicUsize::new(0), OnceLock::new());
        std::thread::scope(|scope| {
            let work = || -> Result<()> {
                while let Some(day) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let made = self.day(*day, RETENTION, last_whole)?;
                    if *day == self.plan.last_day() {
                        newest.set(made.manifest).ok().context("a last day alone")?;
                    }
                    eprintln!("scale: {day} is made");
                }
                Ok(())
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a thread broke off")?)
        })?;
        newest.into_inner().context("there was no last day")
    }

    /// Makes one day.
    ///
    /// # Errors
    /// What the disk says.
    pub fn day(&self, day: Day, retention: Retention, last_whole: Option<Digest>) -> Result<MadeDay> {
        let name = format!("{:016x}", random_u64()?);
        let dir = self.dir.join("rolling").join(&name);
        RealDisk.create_dir(&dir)?;
        let header = ManifestHeader { volume: self.volume, day, retention, carries_on: None };
        let mut manifest = header.to_bytes().to_vec();
        let day_keys = self.day_keys(&mut manifest)?;
        let mut files = Segments { maker: self, dir: &dir, handle: File::open(&dir)?, last_whole };
        let mut open: Vec<Option<PlannedSegment>> = vec![None; usize::from(CAMERAS)];
        let rounds = (1..=CAMERAS).map(|camera| self.plan.of_day(camera, day).count()).max().unwrap_or(0);
        // As it happens: each minute every camera opens a segment, and a little later the one before is sealed.
        for round in 0..=rounds {
            for (camera, before) in (1..=CAMERAS).zip(open.iter_mut()) {
                let number = self.plan.of_day(camera, day).nth(round);
                let begun = match number {
                    Some(number) => {
                        let day_key = day_keys[usize::from(camera - 1)];
                        let is_whole = camera == WHOLE_CAMERA && day == self.plan.whole_day();
                        Some(files.make(number, camera, day_key, is_whole, &mut manifest)?)
                    }
                    None => None,
                };
                if let Some(ended) = std::mem::replace(before, begun) {
                    put_sealed(&mut manifest, ended);
                }
            }
        }
        let mut file = private(&self.dir.join("manifests").join(&name))?;
        file.write_all(&manifest)?;
        Ok(MadeDay { manifest: name, last_whole: files.last_whole })
    }

    /// A day key of each camera, sealed as the vault does (docs/format.md, sections 3 and 8).
    fn day_keys(&self, manifest: &mut Vec<u8>) -> Result<DayKeys> {
        (1..=CAMERAS)
            .map(|camera| {
                let camera = CameraNumber::new(camera).context("a camera's number")?;
                let day_key = DayKeyId(random_u64()?);
                let (private, public) = generate_pair()?;
                let mut facts = [0; 64];
                facts[..16].copy_from_slice(&self.volume.0);
                facts[16..24].copy_from_slice(&day_key.0.to_be_bytes());
                facts[24..56].copy_from_slice(&public.0);
                let path = self.dir.join("keys").join(day_key.to_string());
                let file = SlotFile::create(&RealDisk, &path, SlotPurpose::DayKey, RECIPIENTS_LIMIT, facts)?;
                for (index, recipient) in (0..).zip(&self.recipients) {
                    let sealed = recipient.seal(Label::DayKey, &facts[..56], private.secret().expose())?;
                    file.fill(index, &recipient.0, &sealed)?;
                }
                manifest.extend(ManifestRecord::DayKeyMade { day_key, camera, public }.to_bytes());
                Ok((day_key, public))
            })
            .collect()
    }
}

/// The files of one day's segments.
struct Segments<'a> {
    maker: &'a Maker,
    dir: &'a Path,
    handle: File,
    last_whole: Option<Digest>,
}

impl Segments<'_> {
    /// Makes a segment's file and the record that it was opened.
    fn make(
        &mut self,
        number: u64,
        camera: u16,
        (day_key, public): (DayKeyId, PublicKey),
        is_whole: bool,
        manifest: &mut Vec<u8>,
    ) -> Result<PlannedSegment> {
        let plan = &self.maker.plan;
        let mut planned = plan.segment(camera, number).context("a segment of the plan")?;
        let follows_whole =
            camera == WHOLE_CAMERA && (is_whole || number == plan.of_day(camera, Day(plan.whole_day().0 + 1)).start);
        let previous = match self.last_whole {
            Some(digest) if follows_whole => digest,
            _ => plan.digest_before(camera, number),
        };
        let facts = SegmentFacts {
            version: SegmentVersion::default(),
            camera: planned.camera,
            volume: self.maker.volume,
            segment: planned.id,
            start: planned.start,
            day_key,
            previous,
        };
        let head = if is_whole {
            self.whole(facts, &public, &mut planned)?
        } else {
            let sealed_key = Sealed::from_array(&planned.sealed_key);
            let block = SegmentHead { facts, sealed_key }.to_block()?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let name = planned.id.to_string();
            let file = rustix::fs::openat(&self.handle, &*name, flags, Mode::from_raw_mode(0o600))?;
            File::from(file).write_all(&block)?;
            SegmentHead::block_digest(&block)
        };
        let PlannedSegment { id: segment, camera, start, .. } = planned;
        manifest.extend(ManifestRecord::Opened { segment, camera, start, day_key, head }.to_bytes());
        Ok(planned)
    }

    /// A whole segment, through the writer that the daemon uses.
    fn whole(&mut self, facts: SegmentFacts, day_key: &PublicKey, planned: &mut PlannedSegment) -> Result<Digest> {
        let path = self.dir.join(planned.id.to_string());
        let file = RealDisk.create_new(&path)?;
        let mut writer = SegmentWriter::create(file, facts, day_key, &WHOLE_INIT, 0)?;
        writer.append_fragment(WHOLE_FACTS, &WHOLE_FRAGMENT)?;
        let (head, allocated_bytes) = (writer.head_digest(), writer.allocated_bytes());
        let progress = writer.finish()?;
        self.last_whole = Some(progress.digest);
        let whole = planned.clone();
        *planned = PlannedSegment {
            end: progress.end,
            chunks: progress.chunks,
            bytes: progress.bytes,
            allocated_bytes,
            digest: progress.digest,
            gap_behind: None,
            ..whole
        };
        Ok(head)
    }
}

fn put_sealed(manifest: &mut Vec<u8>, ended: PlannedSegment) {
    let PlannedSegment { id: segment, camera, end, chunks, bytes, allocated_bytes, digest, ranges, .. } = ended;
    let has_footer = ended.gap_behind.is_none();
    let sealed = ManifestRecord::Sealed { segment, chunks, bytes, allocated_bytes, end, digest, has_footer, ranges };
    manifest.extend(sealed.to_bytes());
    if let Some((span, cause)) = ended.gap_behind {
        manifest.extend(ManifestRecord::Gap { camera, span, cause }.to_bytes());
    }
}

fn private(path: &Path) -> Result<File> {
    let made = File::options().write(true).create_new(true).mode(0o600).open(path);
    made.with_context(|| path.display().to_string())
}
