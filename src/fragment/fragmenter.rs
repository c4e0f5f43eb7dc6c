//! Frames in, fragments out: one segment's worth.

use super::FragmentError;
use super::moof::{self, Sample};
use crate::domain::{Frame, Utc};
use bytes::Bytes;
use std::fmt;

/// How much of a camera's stream waits in memory, and what counts as one unbroken stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentLimits {
    /// A fragment ends at the next sync frame, or when it would grow longer than this.
    pub longest_90k: u32,
    /// Or when its frames would be more than this; a single frame above it is refused.
    pub largest_bytes: usize,
    /// Or when it holds this many frames: against a camera that sends crumbs.
    pub most_frames: usize,
    /// A frame that is shown later than this after all before it does not continue the segment.
    pub widest_gap_90k: u32,
    /// Nor one that is shown earlier than this before the latest (B-frames come a little before).
    pub deepest_reorder_90k: u32,
    /// At a sync frame: how far wall clock and camera clock may have gone apart since the segment began.
    pub widest_shift_micros: i64,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self {
            longest_90k: 4 * 90_000,
            largest_bytes: 16 << 20,
            most_frames: 2048,
            widest_gap_90k: 15 * 90_000,
            deepest_reorder_90k: 2 * 90_000,
            widest_shift_micros: 250_000,
        }
    }
}

/// A `moof` with its `mdat`.
#[derive(Clone, PartialEq, Eq)]
pub struct Fragment {
    /// When its first frame is shown, counted from the segment's start. The first fragment's is 0.
    pub first_pts_90k: u64,
    /// From there to the next fragment.
    pub duration_90k: u32,
    /// Whether decoding can begin with it.
    pub sync: bool,
    pub frames: u32,
    /// When the frame that is shown first was filmed.
    pub filmed_at: Utc,
    pub bytes: Bytes,
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fragment")
            .field("first_pts_90k", &self.first_pts_90k)
            .field("duration_90k", &self.duration_90k)
            .field("sync", &self.sync)
            .field("frames", &self.frames)
            .field("filmed_at", &self.filmed_at)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// Collects the frames of one segment into fragments. A segment begins with a sync frame; its clock begins with the
/// frame of its first fragment that is shown first.
#[derive(Debug)]
pub struct Fragmenter {
    limits: FragmentLimits,
    fragments: u32,
    waiting: Vec<Frame>,
    waiting_bytes: usize,
    waiting_earliest_90k: i64,
    waiting_latest_90k: i64,
    /// PTS of the segment's start, known when the first fragment is closed.
    origin_90k: Option<i64>,
    begun: Option<Begun>,
    /// Largest decode time given out.
    decoded_90k: Option<i64>,
    last_duration_90k: u32,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    filmed_at: Utc,
    pts_90k: i64,
    latest_pts_90k: i64,
}

/// Stands for a frame's duration where a segment has but one frame: 25 a second.
const UNTOLD_DURATION_90K: u32 = 3600;

/// A million years: a PTS beyond is a lie, and below it no sum here overflows.
const FARTHEST_PTS_90K: u64 = 1 << 61;

impl Default for Fragmenter {
    fn default() -> Self {
        Self::new(FragmentLimits::default())
    }
}

impl Fragmenter {
    /// For one segment.
    pub fn new(limits: FragmentLimits) -> Self {
        Self {
            limits,
            fragments: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_earliest_90k: i64::MAX,
            waiting_latest_90k: i64::MIN,
            origin_90k: None,
            begun: None,
            decoded_90k: None,
            last_duration_90k: UNTOLD_DURATION_90K,
        }
    }

    /// Whether the frame can be pushed.
    ///
    /// # Errors
    /// As [`Fragmenter::push`].
    pub fn check(&self, frame: &Frame) -> Result<(), FragmentError> {
        if frame.data.is_empty() {
            return Err(FragmentError::EmptyFrame);
        }
        if frame.data.len() > self.limits.largest_bytes {
            let (bytes, limit_bytes) = (frame.data.len(), self.limits.largest_bytes);
            return Err(FragmentError::FrameTooLarge { bytes, limit_bytes });
        }
        if frame.pts_90k.unsigned_abs() > FARTHEST_PTS_90K {
            return Err(FragmentError::Discontinuity { by_90k: frame.pts_90k });
        }
        let Some(begun) = &self.begun else {
            return if frame.sync { Ok(()) } else { Err(FragmentError::NotSync) };
        };
        let by_90k = frame.pts_90k.saturating_sub(begun.latest_pts_90k);
        let start = self.origin_90k.or_else(|| self.ends_before(frame).then_some(self.waiting_earliest_90k));
        let before_start = start.is_some_and(|start| frame.pts_90k < start);
        if before_start
            || by_90k > i64::from(self.limits.widest_gap_90k)
            || by_90k < -i64::from(self.limits.deepest_reorder_90k)
        {
            return Err(FragmentError::Discontinuity { by_90k });
        }
        // Between sync frames nothing could be done about it.
        let told = frame.filmed_at.micros().saturating_sub(begun.filmed_at.micros());
        let by_micros = told.saturating_sub(frame.pts_90k.saturating_sub(begun.pts_90k).saturating_mul(100) / 9);
        if frame.sync && by_micros.abs() > self.limits.widest_shift_micros {
            return Err(FragmentError::ClockShifted { by_micros });
        }
        Ok(())
    }

    /// Takes the next frame, in decode order. Returns the fragment that it ended.
    ///
    /// # Errors
    /// The frame was not taken: see [`FragmentError::wants_new_segment`] for what to do. What was taken before is
    /// untouched, and [`Fragmenter::finish`] still returns it.
    pub fn push(&mut self, frame: Frame) -> Result<Option<Fragment>, FragmentError> {
        self.check(&frame)?;
        let ended = if self.ends_before(&frame) { self.close(Some(frame.pts_90k))? } else { None };
        match &mut self.begun {
            Some(begun) => begun.latest_pts_90k = begun.latest_pts_90k.max(frame.pts_90k),
            None => {
                let (filmed_at, pts_90k) = (frame.filmed_at, frame.pts_90k);
                self.begun = Some(Begun { filmed_at, pts_90k, latest_pts_90k: pts_90k });
            }
        }
        self.waiting_bytes += frame.data.len();
        self.waiting_earliest_90k = self.waiting_earliest_90k.min(frame.pts_90k);
        self.waiting_latest_90k = self.waiting_latest_90k.max(frame.pts_90k);
        self.waiting.push(frame);
        Ok(ended)
    }

    /// Ends the segment. The last frame is taken to be as long as the one before it.
    ///
    /// # Errors
    /// As [`Fragmenter::push`].
    pub fn finish(&mut self) -> Result<Option<Fragment>, FragmentError> {
        self.close(None)
    }

    /// Bytes of frames in memory.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn ends_before(&self, frame: &Frame) -> bool {
        if self.waiting.is_empty() {
            return false;
        }
        let full = self.waiting_bytes + frame.data.len() > self.limits.largest_bytes
            || self.waiting.len() >= self.limits.most_frames;
        if full || frame.sync {
            return true;
        }
        // Not between a frame and the B-frames that are shown before it: their decode times would overlap.
        let length = frame.pts_90k.saturating_sub(self.waiting_earliest_90k);
        frame.pts_90k > self.waiting_latest_90k && length >= i64::from(self.limits.longest_90k)
    }

    /// Turns the waiting frames into a fragment. `next_90k` is when the frame after them is shown.
    fn close(&mut self, next_90k: Option<i64>) -> Result<Option<Fragment>, FragmentError> {
        let frames = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.waiting_earliest_90k = i64::MAX;
        self.waiting_latest_90k = i64::MIN;
        let Some(first) = frames.first() else { return Ok(None) };
        let earliest = frames.iter().min_by_key(|frame| frame.pts_90k).unwrap_or(first);
        let (earliest_pts, filmed_at, sync) = (earliest.pts_90k, earliest.filmed_at, first.sync);
        let origin = *self.origin_90k.get_or_insert(earliest_pts);
        let decode_times = self.decode_times(&frames);
        let last = decode_times.last().copied().unwrap_or(earliest_pts);
        let before_last = decode_times.len().checked_sub(2).map(|i| last - decode_times[i]);
        let reordered = frames.windows(2).any(|pair| pair[1].pts_90k < pair[0].pts_90k);
        let usual = before_last.unwrap_or(i64::from(self.last_duration_90k));
        let last_duration = match next_90k.map(|next| next - last).filter(|length| *length > 0) {
            // The next frame to be decoded need not be the next to be shown.
            Some(length) if reordered => length.min(usual),
            Some(length) => length,
            None => usual,
        };
        let mut samples = Vec::with_capacity(frames.len());
        for (i, frame) in frames.into_iter().enumerate() {
            let length = decode_times.get(i + 1).map_or(last_duration, |next| next - decode_times[i]);
            samples.push(Sample {
                decode_90k: since(origin, decode_times[i])?,
                shown_90k: since(origin, frame.pts_90k)?,
                duration_90k: u32::try_from(length).map_err(|_| FragmentError::TimeOverflow)?,
                sync: frame.sync,
                data: frame.data,
            });
        }
        self.fragments += 1;
        self.decoded_90k = Some(last);
        self.last_duration_90k = u32::try_from(last_duration).map_err(|_| FragmentError::TimeOverflow)?;
        Ok(Some(Fragment {
            first_pts_90k: since(origin, earliest_pts)?,
            duration_90k: u32::try_from(last + last_duration - earliest_pts)
                .map_err(|_| FragmentError::TimeOverflow)?,
            sync,
            frames: u32::try_from(samples.len()).map_err(|_| FragmentError::TimeOverflow)?,
            filmed_at,
            bytes: moof::write(self.fragments, &samples)?,
        }))
    }

    /// F2: presentation times, sorted, and pushed apart where they would not rise.
    fn decode_times(&self, frames: &[Frame]) -> Vec<i64> {
        let mut times: Vec<i64> = frames.iter().map(|frame| frame.pts_90k).collect();
        times.sort_unstable();
        let mut floor = self.decoded_90k;
        for time in &mut times {
            if let Some(floor) = floor {
                *time = (*time).max(floor + 1);
            }
            floor = Some(*time);
        }
        times
    }
}

/// Ticks from the segment's start.
fn since(origin: i64, point: i64) -> Result<u64, FragmentError> {
    u64::try_from(point - origin).map_err(|_| FragmentError::TimeOverflow)
}
