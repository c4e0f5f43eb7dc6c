//! The site that the benches of scale are run on, before any of it is made: 97 cameras, segments of a minute, 30 days.
//!
//! Everything but keys follows from a camera's number and a segment's, so that two threads make parts of it, and a
//! segment can name the digest of the one before without anybody keeping 4.19 million digests.

use cctv_custodian::disk::PhysicalRange;
use cctv_custodian::domain::{CameraNumber, Day, Digest, GapCause, Retention, SegmentId, Span, Utc};
use std::ops::Range;
use std::time::Duration;

/// Rises when the site comes out differently: one of another number is made anew.
pub const VERSION: u32 = 1;
pub const CAMERAS: u16 = 97;
pub const DAYS: u64 = 30;
pub const SEGMENTS_A_DAY: u64 = 1_440;
pub const SEGMENTS_A_CAMERA: u64 = DAYS * SEGMENTS_A_DAY;
/// Twice what the notice on the wall would say: nothing falls due while the site is used again and again.
pub const RETENTION: Retention = Retention::Ceiling(Duration::from_secs(60 * 86_400));
/// A day so many days ago has expired.
const EXPIRED_DAYS: u32 = 62;
/// The site is made anew when it is older, long before the first segment is due.
pub const OLDEST: Duration = Duration::from_secs(20 * 86_400);
/// The camera whose segments of one day are whole: really sealed, with a picture's worth of bytes.
pub const WHOLE_CAMERA: u16 = 41;

const SEGMENT: Duration = Duration::from_secs(60);
/// What is left of the last day: there the benches record on.
const LEFT_OF_LAST_DAY: Duration = Duration::from_secs(1_800);
/// 4 Mbps for a minute, give or take a tenth.
const MEAN_BYTES: u64 = 30_000_000;
/// A camera is lost for a while every so many segments.
const GAP_EVERY: u64 = 997;
const GAP: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

/// When it all is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    start: Utc,
    /// Sites and days made apart have ids apart.
    series: u16,
}

/// A segment that came to its end.
#[derive(Clone, Debug)]
pub struct PlannedSegment {
    pub id: SegmentId,
    pub camera: CameraNumber,
    pub start: Utc,
    pub end: Utc,
    pub chunks: u32,
    pub bytes: u64,
    pub allocated_bytes: u64,
    pub digest: Digest,
    pub ranges: Vec<PhysicalRange>,
    /// In the place of a data key that was sealed.
    pub sealed_key: [u8; 80],
    pub gap_behind: Option<(Span, GapCause)>,
}

impl Plan {
    /// The site whose last day is the one before `today`.
    pub fn before(today: Day) -> Self {
        let whole = SEGMENT * u32::try_from(SEGMENTS_A_CAMERA).unwrap_or(u32::MAX);
        Self::from_start(today.start().saturating_sub(LEFT_OF_LAST_DAY).saturating_sub(whole))
    }

    pub fn from_start(start: Utc) -> Self {
        Self { start, series: 0 }
    }

    /// A day whose period was over long before `today`.
    pub fn expired_before(today: Day) -> Self {
        Self { start: Day(today.0 - EXPIRED_DAYS).start(), series: 1 }
    }

    pub fn start(&self) -> Utc {
        self.start
    }

    /// Where recording goes on: every planned segment has ended.
    pub fn end(&self) -> Utc {
        self.segment_start(CAMERAS, SEGMENTS_A_CAMERA).saturating_add(SEGMENT)
    }

    /// The days that it touches: one more than it is long, since it begins in the evening.
    pub fn days(&self) -> impl Iterator<Item = Day> {
        let (first, last) = (self.start.day().0, self.last_day().0);
        (first..=last).map(Day)
    }

    pub fn last_day(&self) -> Day {
        self.segment_start(CAMERAS, SEGMENTS_A_CAMERA - 1).day()
    }

    /// The day whose segments of [`WHOLE_CAMERA`] are whole.
    pub fn whole_day(&self) -> Day {
        Day(self.last_day().0 - 12)
    }

    /// Cameras begin one after the other within the minute.
    pub fn segment_start(&self, camera: u16, number: u64) -> Utc {
        let phase = SEGMENT * u32::from(camera - 1) / u32::from(CAMERAS);
        self.start.saturating_add(phase + Duration::from_secs(60 * number))
    }

    /// A camera's segments of a day, by number.
    pub fn of_day(&self, camera: u16, day: Day) -> Range<u64> {
        let first_at = |point: Utc| {
            let since = point.since(self.segment_start(camera, 0)).as_micros();
            u64::try_from(since.div_ceil(SEGMENT.as_micros())).unwrap_or(u64::MAX).min(SEGMENTS_A_CAMERA)
        };
        first_at(day.start())..first_at(day.end())
    }

    pub fn segment(&self, camera: u16, number: u64) -> Option<PlannedSegment> {
        let mut draws = Draws::of(self.series, camera, number);
        let start = self.segment_start(camera, number);
        let whole_end = start.saturating_add(SEGMENT);
        let is_cut = (number + u64::from(camera) * 31) % GAP_EVERY == GAP_EVERY - 1;
        let end = if is_cut { whole_end.saturating_sub(GAP) } else { whole_end };
        let digest = draws.digest();
        let bytes = MEAN_BYTES - MEAN_BYTES / 10 + draws.below(MEAN_BYTES / 5);
        let allocated_bytes = bytes.next_multiple_of(MIB);
        let mut sealed_key = [0; 80];
        sealed_key.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&draws.next().to_be_bytes()));
        Some(PlannedSegment {
            id: SegmentId(draws.next()),
            camera: CameraNumber::new(camera)?,
            start,
            end,
            // The init segment, a fragment every two seconds, the footer.
            chunks: if is_cut { 22 } else { 32 },
            bytes,
            allocated_bytes,
            digest,
            ranges: ranges(&mut draws, allocated_bytes),
            sealed_key,
            gap_behind: if is_cut { Span::new(end, whole_end).ok().map(|s| (s, GapCause::Disconnected)) } else { None },
        })
    }

    /// What the segment after `number - 1` names as the one before.
    pub fn digest_before(&self, camera: u16, number: u64) -> Digest {
        number.checked_sub(1).map_or(Digest::ZERO, |before| Draws::of(self.series, camera, before).digest())
    }
}

/// One to three pieces of a disk that is well filled.
fn ranges(draws: &mut Draws, allocated_bytes: u64) -> Vec<PhysicalRange> {
    let pieces = 1 + draws.below(3);
    let part = (allocated_bytes / pieces).next_multiple_of(MIB);
    let length = |piece| if piece + 1 < pieces { part } else { allocated_bytes - part * (pieces - 1) };
    (0..pieces)
        .map(|piece| PhysicalRange { offset_bytes: draws.below(1 << 24) * MIB, length_bytes: length(piece) })
        .collect()
}

/// Numbers that look random and are the same each time (SplitMix64: Steele, Lea, Flood 2014).
#[derive(Debug)]
pub struct Draws(u64);

impl Draws {
    pub fn of(series: u16, camera: u16, number: u64) -> Self {
        let mut seed = Self(u64::from(series) << 48 | u64::from(camera) << 32 | number);
        Self(seed.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn digest(&mut self) -> Digest {
        let mut digest = [0; 32];
        digest.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&self.next().to_be_bytes()));
        Digest(digest)
    }
}
