//! The write way of one camera.
//!
//! Order of making a segment: day key → file (`O_EXCL`), reserved, head, init → manifest "opened". All of it is
//! durable with the next commit; until then the file is an orphan to a restart (V4). Of appending: reserved → chunk; of
//! sealing: footer, and then the commit's (V2). None of them flushes. What could not be begun is overwritten, flushed and
//! removed: the next commit would make it durable with all else.

use super::room::VOLUME_RESERVE_BYTES;
use super::table::Newest;
use super::volume::{OpenSegment, Volume, manifest_key};
use super::{Vault, VaultError, footage};
use crate::crypto::random_u64;
use crate::domain::{CameraNumber, Correction, Digest, GapCause, Mark, Retention, SegmentId, Span, Utc};
use crate::segment::{FragmentFacts, ManifestRecord, SegmentFacts, SegmentVersion, SegmentWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const FIRST_EXPECTED_BYTES: u64 = 4 << 20;

/// Writes the segments of one camera, one after the other. There is one a camera.
#[derive(Debug)]
pub struct CameraRecorder {
    vault: Arc<Vault>,
    camera: CameraNumber,
    retention: Retention,
    /// The doubt that what comes next is dated in.
    mark: Option<Mark>,
    open: Option<Open>,
    /// What the next segment will probably need, from the last one.
    expected_bytes: u64,
}

#[derive(Debug)]
struct Open {
    volume: usize,
    writer: SegmentWriter,
}

impl CameraRecorder {
    pub fn new(vault: Arc<Vault>, camera: CameraNumber, retention: Retention) -> Self {
        Self { vault, camera, retention, mark: None, open: None, expected_bytes: FIRST_EXPECTED_BYTES }
    }

    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Segments that are begun, and gaps that are recorded, from here on are dated in this doubt.
    pub fn date_in(&mut self, mark: Option<Mark>) {
        self.mark = mark;
    }

    /// Begins a segment whose first frame was filmed at `start`. One that is open is given up where it stands.
    ///
    /// # Errors
    /// [`VaultError::NoRoom`] where no volume works, [`VaultError::DiskFull`] where none has room for it.
    pub fn begin(&mut self, start: Utc, init: &[u8]) -> Result<(), VaultError> {
        self.give_up();
        let works = self.vault.volumes.iter().any(|volume| !volume.is_latched());
        let mut last_error = if works { VaultError::DiskFull } else { VaultError::NoRoom };
        for volume in self.vault.volumes_to_try() {
            match self.begin_on(volume, start, init) {
                Ok(writer) => {
                    self.open = Some(Open { volume, writer });
                    return Ok(());
                }
                Err(e) => {
                    self.vault.volumes[volume].note_failure(&e);
                    last_error = e;
                }
            }
        }
        Err(last_error)
    }

    fn begin_on(&self, number: usize, start: Utc, init: &[u8]) -> Result<SegmentWriter, VaultError> {
        let volume = &self.vault.volumes[number];
        let segment = SegmentId(random_u64()?);
        let mut state = volume.lock();
        // Under the lock, too: 97 cameras that begin at once would each find the same room.
        volume.must_have_room(VOLUME_RESERVE_BYTES.saturating_add(self.expected_bytes))?;
        // Asked under the lock: who joins is a recipient first, and then looks under it for the keys that are there (R1).
        let recipients = self.vault.recipients();
        let (day_key, public) = volume.day_key(&mut state, self.camera, start.day(), self.retention, &recipients)?;
        let previous = state.newest.get(&self.camera).map_or(Digest::ZERO, |newest| newest.digest);
        let name = volume.manifest(&mut state, start.day(), self.retention)?.name().to_owned();
        let dir = volume.segments_dir(&name, false);
        volume.disk.create_dir(&dir).map_err(volume.on(&dir))?;
        let path = volume.segment_path(&name, segment, false);
        let file = volume.disk.create_new(&path).map_err(volume.on(&path))?;
        let facts = SegmentFacts {
            version: SegmentVersion::default(),
            camera: self.camera,
            volume: volume.id,
            segment,
            start,
            day_key,
            previous,
        };
        let made = SegmentWriter::create(file, facts, &public, init, self.expected_bytes);
        let writer = match made {
            Ok(writer) => writer,
            Err(e) => {
                leave_nothing(volume, &path);
                return Err(e.into());
            }
        };
        let opened =
            ManifestRecord::Opened { segment, camera: self.camera, start, day_key, head: writer.head_digest() };
        let marked = volume.mark(&mut state, start.day(), self.retention, self.mark);
        if let Err(e) = marked.and_then(|()| volume.record(&mut state, start.day(), self.retention, &opened)) {
            leave_nothing(volume, &path);
            return Err(e);
        }
        let manifest = manifest_key(start.day(), self.retention);
        let entry = state.manifests.get(&manifest).and_then(|manifest| footage::entry_of(volume.id, manifest, segment));
        let open = OpenSegment {
            manifest,
            doubt: self.mark.map(|mark| mark.doubt),
            progress: writer.progress(),
            allocated_bytes: writer.allocated_bytes(),
            recorded_at: None,
            given_up: false,
        };
        state.open.insert(segment, open);
        if let Some((camera, entry)) = entry {
            self.vault.indexed(|catalog| catalog.put(camera, entry));
        }
        Ok(writer)
    }

    /// Seals and writes one fragment. After an error the segment is given up: nothing is ever appended to it again.
    ///
    /// # Errors
    /// [`VaultError::NotRecording`] without an open segment; else what the disk says.
    pub fn append(&mut self, facts: FragmentFacts, bytes: &[u8]) -> Result<(), VaultError> {
        let camera = self.camera;
        let open = self.open.as_mut().ok_or(VaultError::NotRecording { camera })?;
        let volume = &self.vault.volumes[open.volume];
        volume.pace.wait_for_the_disk();
        if volume.is_latched() {
            // Another camera's write, or a commit, failed there: what would be written now would never be durable.
            self.give_up();
            return Err(VaultError::NotRecording { camera });
        }
        let grows = open.writer.progress().bytes + bytes.len() as u64 > open.writer.allocated_bytes();
        if grows && let Err(e) = volume.must_have_room(VOLUME_RESERVE_BYTES / 2) {
            volume.note_failure(&e);
            self.give_up();
            return Err(e);
        }
        if let Err(e) = open.writer.append_fragment(facts, bytes) {
            let e = VaultError::from(e);
            volume.note_failure(&e);
            self.give_up();
            return Err(e);
        }
        volume.pace.recorded(bytes.len());
        let segment = open.writer.facts().segment;
        if let Some(known) = volume.lock().open.get_mut(&segment) {
            known.progress = open.writer.progress();
            known.allocated_bytes = open.writer.allocated_bytes();
        }
        Ok(())
    }

    /// Writes the footer. The manifest calls the segment sealed after the next commit (V2).
    ///
    /// # Errors
    /// What the disk says; the segment then ends at the last commit.
    pub fn finish(&mut self) -> Result<(), VaultError> {
        let Some(Open { volume, writer }) = self.open.take() else { return Ok(()) };
        let volume = &self.vault.volumes[volume];
        let facts = *writer.facts();
        let SegmentFacts { segment, start, .. } = facts;
        match writer.finish() {
            Ok(progress) => {
                self.expected_bytes = progress.bytes + progress.bytes / 8;
                let mut state = volume.lock();
                let (end, digest) = (progress.end, progress.digest);
                let doubt = state.open.get(&segment).and_then(|open| open.doubt);
                state.newest.insert(self.camera, Newest { start, end, digest, doubt });
                if let Some(known) = state.open.get_mut(&segment) {
                    known.progress = progress;
                }
                Ok(())
            }
            Err(e) => {
                let e = VaultError::from(e);
                volume.note_failure(&e);
                volume.give_up(facts);
                Err(e)
            }
        }
    }

    fn give_up(&mut self) {
        if let Some(Open { volume, writer }) = self.open.take() {
            self.vault.volumes[volume].give_up(*writer.facts());
        }
    }

    /// Records that there is no footage for a span, and why.
    ///
    /// # Errors
    /// What the disk says.
    pub fn record_gap(&self, span: Span, cause: GapCause) -> Result<(), VaultError> {
        // Where there is no room for footage there is still some for records.
        let works = || self.vault.volumes.iter().position(|volume| !volume.is_latched());
        let Some(number) = self.vault.volumes_to_try().into_iter().next().or_else(works) else {
            return Err(VaultError::NoRoom);
        };
        let volume = &self.vault.volumes[number];
        let gap = ManifestRecord::Gap { camera: self.camera, span, cause };
        let mut state = volume.lock();
        volume.mark(&mut state, span.to().day(), self.retention, self.mark)?;
        volume.record(&mut state, span.to().day(), self.retention, &gap)?;
        self.vault.indexed(|catalog| catalog.put_gap(self.camera, span, cause));
        Ok(())
    }

    /// When the newest footage of this camera ends, as it is shown, on any volume; `None` where there is none.
    pub fn newest_end(&self) -> Option<Utc> {
        self.vault.volumes.iter().filter_map(|volume| volume.newest_end(self.camera)).max()
    }
}

/// On a full disk a segment cannot be begun again and again: each time it must leave nothing behind.
#[track_caller]
fn leave_nothing(volume: &Volume, path: &Path) {
    if let Err(left) = volume.overwrite_untold(path) {
        tracing::error!(error = %left, "a file that was not begun could not be removed");
    }
}

impl Drop for CameraRecorder {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Vault {
    /// The volumes that may take a new segment, the one with the most room for each that is open on it first: cameras
    /// spread over disks by their size, and over equal ones evenly. One whose disk hangs comes last, and is not waited for
    /// here.
    fn volumes_to_try(&self) -> Vec<usize> {
        let mut usable: Vec<(bool, std::cmp::Reverse<u64>, usize)> = Vec::new();
        for (number, volume) in self.volumes.iter().enumerate() {
            let (is_latched, open) = (volume.is_latched(), volume.open_count());
            // A volume whose room cannot be told is tried last, never taken for endless: it fails when it is.
            let free = volume.free_bytes();
            if is_latched || free.as_ref().is_ok_and(|free| *free < VOLUME_RESERVE_BYTES) {
                continue;
            }
            usable.push((volume.hangs(), std::cmp::Reverse(free.unwrap_or(0) / (open + 1)), number));
        }
        usable.sort_unstable();
        usable.into_iter().map(|(_, _, number)| number).collect()
    }
}

impl Volume {
    /// # Errors
    /// [`VaultError::DiskFull`]; what the disk says where it cannot tell, which is not taken for room.
    fn must_have_room(&self, bytes: u64) -> Result<(), VaultError> {
        let free = self.free_bytes().map_err(self.on(&self.dir))?;
        if free < bytes { Err(VaultError::DiskFull) } else { Ok(()) }
    }

    /// Segments that are written to, as of now or of a moment ago: whoever has the lock may wait for the disk, and cameras
    /// of other volumes must not wait with them.
    fn open_count(&self) -> u64 {
        if let Ok(state) = self.state.try_lock() {
            let open = state.open.values().filter(|open| !open.ends()).count() as u64;
            self.open_known.store(open, Ordering::Relaxed);
        }
        self.open_known.load(Ordering::Relaxed)
    }

    fn note_failure(&self, error: &VaultError) {
        let is_device =
            matches!(error, VaultError::Disk { .. } | VaultError::Segment(crate::segment::SegmentError::Disk(_)));
        if is_device && error.condemns() {
            self.latch(error);
        }
    }

    /// It ends where it stands, and the next commit seals it so. What the camera begins from now on follows on it, and not on
    /// the one before it: of a manifest that is closed only the first and the last are known.
    fn give_up(&self, SegmentFacts { segment, camera, start, .. }: SegmentFacts) {
        let mut state = self.lock();
        let Some(known) = state.open.get_mut(&segment) else { return };
        known.given_up = true;
        let (progress, doubt) = (known.progress, known.doubt);
        let newest = Newest { start, end: progress.end.max(start), digest: progress.digest, doubt };
        state.newest.insert(camera, newest);
    }

    fn newest_end(&self, camera: CameraNumber) -> Option<Utc> {
        let state = self.lock();
        let newest = state.newest.get(&camera)?;
        let corrections = state.manifests.values().map(|manifest| manifest.sum().correction(newest.doubt));
        let corrected = corrections.into_iter().find(|correction| *correction != Correction::default());
        Some(corrected.unwrap_or_default().shown(newest.end))
    }
}
