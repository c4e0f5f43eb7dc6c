//! When was it filmed? The camera's RTP clock knows the distances between frames exactly and the time of day not at all;
//! our wall clock knows the time of day, but only of arrivals, which come late by a little, now and then by a lot, and
//! after a connect in bursts.
//!
//! So: `filmed_at = PTS + offset`, where the offset is the smallest one seen of late between an arrival and its PTS,
//! since nothing arrives before it was filmed. Lower ones are taken over at once, higher ones at 1 % of real time
//! (drift of a camera's clock is some 0.01 %), and where they are further than [`REANCHOR_MICROS`] apart for two seconds
//! the camera's clock was set, and the offset is taken anew. A step of the wall clock, and be it of 20 ms, is told from the
//! other hand, and followed at once.
//!
//! The first 300 ms of a session are held back, so that a server's waiting burst does not date its first frame to
//! its arrival: such frames are dated back, at most [`DEEPEST_BURST`].
//!
//! Frames that are shown later are filmed later: `filmed_at` never runs backwards, except with the wall clock.

use crate::domain::{Frame, Utc};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// How far clocks may be apart before it is no matter of delays.
pub const REANCHOR_MICROS: i64 = 500_000;
/// The wall clock and the monotonic one are slewed alike (`adjtimex`); where they part by more than a reading's error, the
/// wall clock was set.
const STEP_MICROS: i64 = 20_000;
/// The longest that a server is believed to have had frames waiting.
pub const DEEPEST_BURST: Duration = Duration::from_secs(10);

const SETTLE: Duration = Duration::from_millis(300);
const SETTLE_FRAMES: usize = 64;
const SETTLE_BYTES: usize = 8 << 20;
const WINDOW: Duration = Duration::from_secs(4);
const WINDOW_LEAST_ARRIVALS: usize = 8;
const WINDOW_MOST_ARRIVALS: usize = 512;
/// Before offsets are raised, arrivals of this much real time must agree: a stall's backlog is sent in a moment.
const PERSISTS: Duration = Duration::from_secs(2);
/// B-frames come a little after frames that are shown later; what comes from further back is another clock.
const DEEPEST_REORDER_90K: i64 = 2 * 90_000;

/// Both hands of the clock when something arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    pub wall: Utc,
    pub monotonic: Duration,
}

/// A frame whose time is not known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    pub at: Arrival,
    pub pts_90k: i64,
    pub sync: bool,
    pub data: Bytes,
}

/// A frame whose time is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dated {
    pub frame: Frame,
    /// Set with the first frame that counts from another point.
    pub moved: Option<Reanchored>,
}

/// Why frames are counted from another point, and by how much they moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reanchored {
    /// Somebody set the machine's clock.
    WallClockStepped { by_micros: i64 },
    /// The camera's clock was set, or its stream began anew.
    CameraClockJumped { by_micros: i64 },
}

/// Dates the frames of one session.
#[derive(Debug, Default)]
pub struct Stamper {
    timeline: Option<Timeline>,
    held: Vec<Received>,
    held_bytes: usize,
}

impl Stamper {
    /// Takes a frame; returns those whose time is now known, in order.
    pub fn push(&mut self, received: Received) -> Vec<Dated> {
        if let Some(timeline) = &mut self.timeline {
            return vec![timeline.date(received)];
        }
        self.held_bytes += received.data.len();
        let now = received.at.monotonic;
        self.held.push(received);
        let since = self.held.first().map_or(now, |first| first.at.monotonic);
        let settled =
            now.saturating_sub(since) >= SETTLE || self.held.len() >= SETTLE_FRAMES || self.held_bytes >= SETTLE_BYTES;
        if settled { self.finish() } else { Vec::new() }
    }

    /// Dates what is held back, by what is known now.
    pub fn finish(&mut self) -> Vec<Dated> {
        let held = std::mem::take(&mut self.held);
        let Some(first) = held.first() else { return Vec::new() };
        let offsets = held.iter().map(Received::offset_micros);
        let least = offsets.min().unwrap_or_default();
        let own = first.offset_micros();
        let burst = i64::try_from(DEEPEST_BURST.as_micros()).unwrap_or(i64::MAX);
        let offset = if own.saturating_sub(least) > burst { own } else { least };
        let timeline = self.timeline.insert(Timeline::begin(first, offset));
        held.into_iter().map(|received| timeline.date(received)).collect()
    }
}

impl Received {
    /// What makes the arrival out of the PTS.
    fn offset_micros(&self) -> i64 {
        self.at.wall.micros().saturating_sub(micros(self.pts_90k))
    }
}

fn micros(ticks_90k: i64) -> i64 {
    let micros = i128::from(ticks_90k) * 100 / 9;
    i64::try_from(micros).unwrap_or(if ticks_90k < 0 { i64::MIN } else { i64::MAX })
}

fn signed_micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[derive(Debug)]
struct Timeline {
    offset_micros: i64,
    /// Offsets of late, with the monotonic time of their arrival.
    window: VecDeque<(Duration, i64)>,
    last: Arrival,
    latest_pts_90k: i64,
    latest_filmed_micros: i64,
}

impl Timeline {
    fn begin(first: &Received, offset_micros: i64) -> Self {
        Self {
            offset_micros,
            window: VecDeque::new(),
            last: first.at,
            latest_pts_90k: i64::MIN,
            latest_filmed_micros: i64::MIN,
        }
    }

    fn date(&mut self, received: Received) -> Dated {
        let stepped = self.follow_wall_clock(received.at);
        let jumped = self.follow_camera(&received);
        let mut filmed_micros = micros(received.pts_90k).saturating_add(self.offset_micros);
        if received.pts_90k > self.latest_pts_90k {
            filmed_micros = filmed_micros.max(self.latest_filmed_micros.saturating_add(1));
            self.latest_pts_90k = received.pts_90k;
            self.latest_filmed_micros = filmed_micros;
        }
        self.last = received.at;
        Dated {
            frame: Frame {
                filmed_at: Utc::from_micros(filmed_micros),
                pts_90k: received.pts_90k,
                sync: received.sync,
                data: received.data,
            },
            moved: stepped.or(jumped),
        }
    }

    fn follow_wall_clock(&mut self, now: Arrival) -> Option<Reanchored> {
        let on_wall = now.wall.micros().saturating_sub(self.last.wall.micros());
        let passed = signed_micros(now.monotonic).saturating_sub(signed_micros(self.last.monotonic));
        let by_micros = on_wall.saturating_sub(passed);
        if by_micros.saturating_abs() <= STEP_MICROS {
            return None;
        }
        self.offset_micros = self.offset_micros.saturating_add(by_micros);
        self.latest_filmed_micros = self.latest_filmed_micros.saturating_add(by_micros);
        for (_, offset) in &mut self.window {
            *offset = offset.saturating_add(by_micros);
        }
        Some(Reanchored::WallClockStepped { by_micros })
    }

    fn follow_camera(&mut self, received: &Received) -> Option<Reanchored> {
        let offset = received.offset_micros();
        let before = received.pts_90k.saturating_add(DEEPEST_REORDER_90K) < self.latest_pts_90k;
        if before || offset < self.offset_micros.saturating_sub(REANCHOR_MICROS) {
            return Some(self.reanchor(received, offset));
        }
        let now = received.at.monotonic;
        self.remember(now, offset);
        let least = self.window.iter().map(|(_, offset)| *offset).min().unwrap_or(offset);
        if least <= self.offset_micros {
            self.offset_micros = least;
            return None;
        }
        let persisted = self.window.front().is_some_and(|(since, _)| now.saturating_sub(*since) >= PERSISTS);
        if !persisted {
            return None;
        }
        let above = least - self.offset_micros;
        if above > REANCHOR_MICROS {
            return Some(self.reanchor(received, least));
        }
        let passed = signed_micros(now.saturating_sub(self.last.monotonic));
        self.offset_micros += above.min(passed / 100);
        None
    }

    fn remember(&mut self, now: Duration, offset: i64) {
        self.window.push_back((now, offset));
        while self.window.len() > WINDOW_LEAST_ARRIVALS {
            let old = self.window.front().is_some_and(|(since, _)| now.saturating_sub(*since) > WINDOW);
            if !old && self.window.len() <= WINDOW_MOST_ARRIVALS {
                return;
            }
            self.window.pop_front();
        }
    }

    fn reanchor(&mut self, received: &Received, offset: i64) -> Reanchored {
        let by_micros = offset.saturating_sub(self.offset_micros);
        self.offset_micros = offset;
        self.window.clear();
        self.window.push_back((received.at.monotonic, offset));
        self.latest_pts_90k = received.pts_90k.saturating_sub(1);
        Reanchored::CameraClockJumped { by_micros }
    }
}

#[cfg(test)]
mod tests;
