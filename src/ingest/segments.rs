//! Frames into segments: where one ends and the next begins, and what stands between.
//!
//! A segment ends at the first key frame after its camera's turn, at the end of a UTC day, and where the stream changes.
//! The turns of 97 cameras are spread evenly over the length of a segment, by the clock and not by when they began: so
//! they stay apart after all of them came back at once.

use super::SourceEvent;
use crate::domain::{CameraNumber, Doubt, Frame, GapCause, Mark, Span, Utc, VideoParameters};
use crate::fragment::{Fragment, FragmentError, Fragmenter, holds_one_video_track, init_segment};
use crate::segment::FragmentFacts;
use crate::vault::{CameraRecorder, Reading, TrustedClock, VaultError};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinError;

/// A segment without a key frame to end at is ended here all the same; what follows is lost up to the next one.
const LONGEST_SEGMENT: Duration = Duration::from_secs(1_800);
/// A burst that a camera had waiting may reach back over the session before: as far as this it is left out.
const DEEPEST_OVERLAP: Duration = Duration::from_secs(30);
/// Less than this is the jitter of frames that follow each other; what is more is a gap, and recorded.
const JITTER: Duration = Duration::from_millis(500);
/// 65,536 over the golden ratio.
const GOLDEN_65536: i64 = 40_503;
/// How often a gap is recorded that goes on, because the disk is full or the camera is not to film: 97 cameras have half a
/// megabyte of records a day then, which a full disk has in what is kept free for the eraser.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// Why what a camera sent was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    #[error("the camera's recorder was lost when a write broke off; restart the daemon")]
    RecorderLost,
    #[error("writing was broken off")]
    Broken(#[from] JoinError),
}

/// The segments of one camera, over all its sessions.
#[derive(Debug)]
pub(super) struct SegmentCutter {
    camera: CameraNumber,
    time: Arc<TrustedClock>,
    length: Duration,
    /// Lives on a blocking thread while it writes; always back here between two calls.
    recorder: Option<CameraRecorder>,
    init: Option<Bytes>,
    parameters: Option<VideoParameters>,
    fragmenter: Option<Fragmenter>,
    begun: Option<Begun>,
    /// When what is recorded ends, and the doubt that this was dated in.
    end: Option<(Utc, Option<Doubt>)>,
    /// Why nothing is being recorded just now.
    why_none: GapCause,
    /// When the last frame was filmed that the disk was too slow for, until that gap is recorded.
    overrun_until: Option<Utc>,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    start: Utc,
    ends_after: Utc,
    by: Reading,
}

impl Begun {
    /// How far the anchor was moved since.
    fn moved_micros(&self, now: &Reading) -> i64 {
        now.moved_micros.saturating_sub(self.by.moved_micros)
    }
}

impl SegmentCutter {
    pub fn new(recorder: CameraRecorder, camera: CameraNumber, time: Arc<TrustedClock>, length: Duration) -> Self {
        let end = recorder.newest_end().map(|end| (end, None));
        Self {
            camera,
            time,
            length,
            recorder: Some(recorder),
            init: None,
            parameters: None,
            fragmenter: None,
            begun: None,
            end,
            why_none: GapCause::NotRunning,
            overrun_until: None,
        }
    }

    /// Whether a segment is open that footage was written to.
    pub fn is_recording(&self) -> bool {
        self.begun.is_some()
    }

    /// Takes what a session delivers.
    pub async fn take(&mut self, event: SourceEvent) -> Result<(), RecordError> {
        match event {
            SourceEvent::Parameters(parameters) => {
                if self.parameters.as_ref() != Some(&parameters) {
                    self.end_segment().await?;
                    self.init = Some(init_segment(&parameters)?);
                    self.parameters = Some(parameters);
                }
                Ok(())
            }
            SourceEvent::Frame(frame) => self.take_frame(frame).await,
            SourceEvent::Dropped { frames, until } => {
                tracing::warn!(camera = %self.camera, frames, "frames were dropped: the disk is too slow");
                self.end_segment().await?;
                self.why_none = GapCause::Overrun;
                self.overrun_until = Some(self.trusted(until, &self.time.reading()));
                Ok(())
            }
            SourceEvent::Lost { packets } => {
                tracing::warn!(camera = %self.camera, packets, "packets were lost on the way from the camera");
                Ok(())
            }
            SourceEvent::Told(_) => Ok(()),
            SourceEvent::Reanchored(how) => {
                tracing::warn!(camera = %self.camera, ?how, "the camera's clock and ours no longer fitted");
                self.end_segment().await
            }
        }
    }

    async fn take_frame(&mut self, frame: Frame) -> Result<(), RecordError> {
        let now = self.time.reading();
        let filmed_at = self.trusted(frame.filmed_at, &now);
        if self.fragmenter.is_some() && self.must_cut(&frame, filmed_at, &now) {
            self.end_segment().await?;
        }
        if self.fragmenter.is_none() {
            if !frame.sync || self.reaches_back(filmed_at) {
                return Ok(());
            }
            self.fragmenter = Some(Fragmenter::default());
        }
        let Some(fragmenter) = self.fragmenter.as_mut() else { return Ok(()) };
        match fragmenter.push(frame.clone()) {
            Ok(None) => Ok(()),
            Ok(Some(fragment)) => self.write(fragment).await,
            Err(e) if e.wants_new_segment() => {
                self.end_segment().await?;
                if frame.sync {
                    let mut fragmenter = Fragmenter::default();
                    fragmenter.push(frame)?;
                    self.fragmenter = Some(fragmenter);
                }
                Ok(())
            }
            Err(e) => {
                self.end_segment().await?;
                Err(e.into())
            }
        }
    }

    /// Times in headers are the trusted clock's (V6), frames are dated by the wall.
    fn trusted(&self, wall: Utc, now: &Reading) -> Utc {
        wall.plus_micros(now.trusted.micros_since(self.time.clock().wall()))
    }

    /// A segment is dated by one clock: where the anchor was moved, the next one begins with the next key frame, and until
    /// then this one goes on as it began.
    fn must_cut(&self, frame: &Frame, filmed_at: Utc, now: &Reading) -> bool {
        let Some(begun) = self.begun else { return false };
        let moved_micros = begun.moved_micros(now);
        let filmed_at = filmed_at.plus_micros(moved_micros.saturating_neg());
        let is_moved = Duration::from_micros(moved_micros.unsigned_abs()) >= JITTER || now.mark != begun.by.mark;
        let is_over = is_moved || filmed_at >= begun.ends_after || filmed_at.day() != begun.start.day();
        (is_over && frame.sync) || filmed_at >= begun.start.saturating_add(LONGEST_SEGMENT)
    }

    fn reaches_back(&self, filmed_at: Utc) -> bool {
        self.end().is_some_and(|end| (JITTER..DEEPEST_OVERLAP).contains(&end.since(filmed_at)))
    }

    /// When what is recorded ends, as it is known by now.
    fn end(&self) -> Option<Utc> {
        let (end, doubt) = self.end?;
        let correction = doubt.and_then(|doubt| self.time.correction_of(doubt)).unwrap_or_default();
        Some(correction.shown(end))
    }

    async fn write(&mut self, fragment: Fragment) -> Result<(), RecordError> {
        let mut recorder = self.recorder.take().ok_or(RecordError::RecorderLost)?;
        // One reading for time and mark: the doubt may end at any moment.
        let by = self.begun.map_or_else(|| self.time.reading(), |begun| begun.by);
        let start = match self.begun {
            Some(begun) => begun.start,
            None => {
                let start = self.trusted(fragment.filmed_at, &by);
                self.end().map_or(start, |end| start.max(end))
            }
        };
        let init = if self.begun.is_none() { self.init.clone() } else { None };
        let gap = if self.begun.is_none() { self.gap_before(start) } else { None };
        let facts = FragmentFacts {
            first_pts_90k: fragment.first_pts_90k,
            duration_90k: fragment.duration_90k,
            frames: fragment.frames,
            sync: fragment.sync,
        };
        let why = self.why_none;
        let (recorder, written) = tokio::task::spawn_blocking(move || {
            recorder.date_in(by.mark);
            let written = write_fragment(&mut recorder, start, init, gap.map(|gap| (gap, why)), facts, &fragment.bytes);
            (recorder, written)
        })
        .await?;
        self.recorder = Some(recorder);
        if let Err(e) = written {
            self.fragmenter = None;
            self.begun = None;
            match &e {
                RecordError::Vault(e) => {
                    self.why_none = cause_of(e);
                    if e.is_full() {
                        // A camera may wait for days: what is missing is recorded as it grows, not only at its end.
                        self.record_gap_so_far(start, by.mark, TOLD_EVERY).await?;
                    }
                }
                RecordError::Fragment(_) => self.why_none = GapCause::Unreadable,
                RecordError::RecorderLost | RecordError::Broken(_) => self.why_none = GapCause::VolumeFailed,
            }
            return Err(e);
        }
        if self.begun.is_none() {
            self.begun = Some(Begun { start, ends_after: next_turn(self.camera, start, self.length), by });
        }
        // What breaks off from here on has no better name until its session says one.
        self.why_none = GapCause::Disconnected;
        self.overrun_until = None;
        let end = start.plus_90k(facts.first_pts_90k + u64::from(facts.duration_90k));
        self.end = Some((end, by.mark.map(|mark| mark.doubt)));
        Ok(())
    }

    fn gap_before(&self, start: Utc) -> Option<Span> {
        // Of frames that were dropped each is one too few, however short their group was.
        let least = if self.overrun_until.is_some() { Duration::ZERO } else { JITTER };
        let end = self.end().filter(|end| start.since(*end) >= least)?;
        Span::new(end, start).ok()
    }

    /// Ends the segment where it stands: the waiting frames, then the footer.
    pub async fn end_segment(&mut self) -> Result<(), RecordError> {
        if let Some(mut fragmenter) = self.fragmenter.take()
            && let Some(fragment) = fragmenter.finish()?
        {
            self.write(fragment).await?;
        }
        self.begun = None;
        if let Some(mut recorder) = self.recorder.take() {
            let (recorder, finished) = tokio::task::spawn_blocking(move || {
                let finished = recorder.finish();
                (recorder, finished)
            })
            .await?;
            self.recorder = Some(recorder);
            if let Err(e) = finished {
                self.why_none = cause_of(&e);
                return Err(e.into());
            }
        }
        Ok(())
    }

    /// Records what is missing up to now with the cause that is known, where it is as long as `least`.
    async fn record_gap_so_far(&mut self, now: Utc, mark: Option<Mark>, least: Duration) -> Result<(), RecordError> {
        let Some(gap) = self.gap_before(now).filter(|gap| gap.length() >= least) else { return Ok(()) };
        self.record_gap_until(gap.to(), mark, self.why_none).await
    }

    /// Records that nothing is there from the end of what is recorded up to then, and goes on from there.
    async fn record_gap_until(&mut self, to: Utc, mark: Option<Mark>, why: GapCause) -> Result<(), RecordError> {
        let Some(gap) = self.end().and_then(|end| Span::new(end, to).ok()) else { return Ok(()) };
        let Some(mut recorder) = self.recorder.take() else { return Ok(()) };
        recorder.date_in(mark);
        let (recorder, recorded) = tokio::task::spawn_blocking(move || {
            let recorded = recorder.record_gap(gap, why);
            (recorder, recorded)
        })
        .await?;
        self.recorder = Some(recorder);
        recorded?;
        self.end = Some((to, mark.map(|mark| mark.doubt)));
        Ok(())
    }

    /// The session is over: what it delivered is ended, and why there is nothing from here on is remembered.
    pub async fn end_session(&mut self, why: GapCause) -> Result<(), RecordError> {
        let ended = self.end_segment().await;
        // Frames may have been dropped that none follows on.
        if let Some(until) = self.overrun_until.take() {
            self.record_gap_until(until, self.time.reading().mark, GapCause::Overrun).await?;
        }
        if ended.is_ok() {
            // Only now: what was still written has the cause of what was missing before it.
            self.why_none = why;
        }
        ended
    }

    /// The camera is not to film, for this cause from now on. Asked again and again while that lasts, which can be days: what
    /// is missing is recorded as it grows, so that a power cut takes little of what was known.
    pub async fn rest(&mut self, why: GapCause) -> Result<(), RecordError> {
        let now = self.time.reading();
        let least = if self.why_none == why { TOLD_EVERY } else { Duration::ZERO };
        let recorded = self.record_gap_so_far(now.trusted, now.mark, least).await;
        self.why_none = why;
        recorded
    }

    /// The camera is to film again. What fails from here on is not laid to its rest.
    pub async fn wake(&mut self) -> Result<(), RecordError> {
        let now = self.time.reading();
        let recorded = self.record_gap_so_far(now.trusted, now.mark, Duration::ZERO).await;
        self.why_none = GapCause::NotRunning;
        recorded
    }

    /// The daemon stops: what is missing up to now is recorded as a gap, since nobody will know later.
    pub async fn stop(mut self) -> Result<(), RecordError> {
        self.end_segment().await?;
        let now = self.time.reading();
        if let (Some(gap), Some(mut recorder)) = (self.gap_before(now.trusted), self.recorder.take()) {
            let why = self.why_none;
            recorder.date_in(now.mark);
            tokio::task::spawn_blocking(move || recorder.record_gap(gap, why)).await??;
        }
        Ok(())
    }
}

fn cause_of(error: &VaultError) -> GapCause {
    if error.is_full() { GapCause::DiskFull } else { GapCause::VolumeFailed }
}

fn write_fragment(
    recorder: &mut CameraRecorder,
    start: Utc,
    init: Option<Bytes>,
    gap: Option<(Span, GapCause)>,
    facts: FragmentFacts,
    bytes: &[u8],
) -> Result<(), RecordError> {
    if let Some(init) = init {
        // Sound is never asked for; that none ever gets into a file is held here, too (I1).
        holds_one_video_track(&init)?;
        recorder.begin(start, &init)?;
    }
    if let Some((gap, why)) = gap {
        recorder.record_gap(gap, why)?;
    }
    Ok(recorder.append(facts, bytes)?)
}

/// When a segment that begins at `start` is to end: at the camera's next turn, which comes once in each `length`. One that
/// is less than a quarter of it away is left out.
fn next_turn(camera: CameraNumber, start: Utc, length: Duration) -> Utc {
    let whole = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
    // Multiples of the golden ratio fall evenly whatever numbers there are (Knuth, TAOCP 3, 6.4).
    let share = i64::from(camera.get()).wrapping_mul(GOLDEN_65536) % 65_536;
    let turn = i64::try_from(i128::from(whole) * i128::from(share) / 65_536).unwrap_or_default();
    let wait = turn.saturating_sub(start.micros()).rem_euclid(whole);
    let wait = if wait < whole / 4 { wait + whole } else { wait };
    start.plus_micros(wait)
}

#[cfg(test)]
mod tests;
