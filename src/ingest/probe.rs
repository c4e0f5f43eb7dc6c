//! Looking at a camera for some seconds, as the recorder would see it, without recording anything.

use super::backlog::Backlog;
use super::source::{Limits, SourceError, SourceEvent, Told, receive};
use crate::clock::Clock;
use crate::domain::{Frame, Source, Utc, VideoParameters};
use std::path::Path;
use std::time::Duration;

/// What waits to be looked at: more than a camera sends before it is.
const WAITING_BYTES: u64 = 16 << 20;

/// What was seen of a camera.
#[derive(Debug, Default)]
pub struct Findings {
    pub parameters: Option<VideoParameters>,
    pub frames: u64,
    pub bytes: u64,
    /// The farthest that a key frame was from the one before; `None` where only one came.
    pub key_frames_apart: Option<Duration>,
    /// Whether sound is offered; `None` where that is not known.
    pub sound: Option<bool>,
    /// How far the camera's clock is ahead of ours; `None` where it does not tell.
    pub clock_ahead_micros: Option<i64>,
    pub lost_packets: u32,
    /// Why the session ended before its time.
    pub ended: Option<SourceError>,
    first: Option<Utc>,
    newest: Option<Utc>,
    key_frame: Option<Utc>,
}

impl Findings {
    /// From the first frame to the newest.
    pub fn filmed(&self) -> Duration {
        self.newest.zip(self.first).map_or(Duration::ZERO, |(newest, first)| newest.since(first))
    }

    /// From the newest key frame to the newest frame: the next key frame is at least this far away.
    pub fn since_key_frame(&self) -> Duration {
        self.newest.zip(self.key_frame).map_or(Duration::ZERO, |(newest, key)| newest.since(key))
    }

    /// `None` before there are two frames.
    pub fn frames_a_second(&self) -> Option<f64> {
        let filmed = self.filmed().as_secs_f64();
        (self.frames > 1 && filmed > 0.0).then(|| (self.frames - 1) as f64 / filmed)
    }

    pub fn megabits_a_second(&self) -> Option<f64> {
        let filmed = self.filmed().as_secs_f64();
        (self.frames > 1 && filmed > 0.0).then(|| self.bytes as f64 * 8.0 / 1e6 / filmed)
    }

    fn take(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Parameters(parameters) => self.parameters = Some(parameters),
            SourceEvent::Frame(frame) => self.take_frame(&frame),
            SourceEvent::Told(Told::Sound { offered }) => self.sound = Some(offered),
            SourceEvent::Told(Told::ClockAhead { micros }) => self.clock_ahead_micros = Some(micros),
            SourceEvent::Lost { packets } => self.lost_packets = self.lost_packets.saturating_add(packets),
            SourceEvent::Reanchored(_) | SourceEvent::Dropped { .. } => {}
        }
    }

    fn take_frame(&mut self, frame: &Frame) {
        self.frames += 1;
        self.bytes += frame.data.len() as u64;
        self.first.get_or_insert(frame.filmed_at);
        self.newest = Some(frame.filmed_at);
        if frame.sync
            && let Some(before) = self.key_frame.replace(frame.filmed_at)
        {
            let apart = frame.filmed_at.since(before);
            self.key_frames_apart = Some(self.key_frames_apart.map_or(apart, |farthest| farthest.max(apart)));
        }
    }
}

/// Looks at a camera until `watch` of its pictures have come, and no longer than `at_most` in all.
pub async fn probe(
    source: &Source,
    clock: &Clock,
    limits: &Limits,
    worker_program: &Path,
    watch: Duration,
    at_most: Duration,
) -> Findings {
    let (out, mut events) = Backlog::new(WAITING_BYTES, clock.clone()).line(source.camera);
    let mut findings = Findings::default();
    let session = receive(source, clock, limits, &out, worker_program);
    tokio::pin!(session);
    let over = clock.sleep(at_most);
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => {
                if let Some(event) = event {
                    findings.take(event);
                }
                if findings.filmed() >= watch {
                    return findings;
                }
            }
            ended = &mut session => {
                while let Some(event) = events.try_recv() {
                    findings.take(event);
                }
                findings.ended = Some(ended);
                return findings;
            }
            () = &mut over => return findings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn key_frames_that_never_come_again_are_far_apart_too() {
        let mut findings = Findings::default();
        for second in 0..=12 {
            findings.take(SourceEvent::Frame(Frame {
                filmed_at: Utc::from_micros(second * 1_000_000),
                pts_90k: second * 90_000,
                sync: second < 2,
                data: Bytes::from_static(&[0; 125_000]),
            }));
        }
        assert_eq!(findings.key_frames_apart, Some(Duration::from_secs(1)));
        assert_eq!(findings.since_key_frame(), Duration::from_secs(11));
        assert_eq!(findings.filmed(), Duration::from_secs(12));
        assert!((findings.frames_a_second().unwrap() - 1.0).abs() < 1e-9);
        assert!((findings.megabits_a_second().unwrap() - 13.0 / 12.0).abs() < 1e-9);
    }
}
