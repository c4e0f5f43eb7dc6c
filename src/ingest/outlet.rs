//! A session's way to the backlog: parameters before the frames that they are for, frames with their dates, and nothing
//! before the first frame that can be decoded.

use super::backlog::Intake;
use super::source::{Limits, SourceError, SourceEvent, Told};
use super::timing::{Arrival, Dated, Received, Stamper};
use crate::clock::Clock;
use crate::domain::{CameraNumber, VideoParameters};
use std::time::Duration;

/// One session's way out.
#[derive(Debug)]
pub(super) struct Outlet<'a> {
    camera: CameraNumber,
    clock: &'a Clock,
    limits: &'a Limits,
    out: &'a Intake,
    stamper: Stamper,
    parameters: Option<VideoParameters>,
    /// When the first frame came, while nothing can be decoded yet.
    useless_since: Option<Duration>,
    begun: bool,
}

impl<'a> Outlet<'a> {
    pub fn new(camera: CameraNumber, clock: &'a Clock, limits: &'a Limits, out: &'a Intake) -> Self {
        Self {
            camera,
            clock,
            limits,
            out,
            stamper: Stamper::default(),
            parameters: None,
            useless_since: None,
            begun: false,
        }
    }

    /// The reading of both hands for what arrived just now.
    pub fn arrival(&self) -> Arrival {
        let (wall, monotonic) = self.clock.hands();
        Arrival { wall, monotonic }
    }

    /// Passes parameters on if they are new.
    pub fn parameters(&mut self, parameters: VideoParameters) -> Result<(), SourceError> {
        if self.parameters.as_ref() == Some(&parameters) {
            return Ok(());
        }
        self.finish()?;
        self.parameters = Some(parameters.clone());
        self.out.push(SourceEvent::Parameters(parameters))
    }

    /// Takes the next frame. Those before the parameters and the session's first sync frame are of no use to anybody, and
    /// left out.
    pub fn frame(&mut self, received: Received) -> Result<(), SourceError> {
        if self.parameters.is_none() {
            return self.useless(received.at);
        }
        self.begun |= received.sync;
        if !self.begun {
            return self.useless(received.at);
        }
        let ready = self.stamper.push(received);
        self.dated(ready)
    }

    /// A frame came that nobody could decode: that is borne for a while.
    pub fn useless(&mut self, at: Arrival) -> Result<(), SourceError> {
        let since = *self.useless_since.get_or_insert(at.monotonic);
        let limit = self.limits.key_frame;
        if at.monotonic.saturating_sub(since) < limit {
            return Ok(());
        }
        Err(match self.parameters {
            None => SourceError::NoParameters { limit },
            Some(_) => SourceError::NoKeyFrame { limit },
        })
    }

    pub fn lost(&mut self, packets: u32) -> Result<(), SourceError> {
        tracing::warn!(camera = %self.camera, packets, "packets were lost on the way from the camera");
        self.out.push(SourceEvent::Lost { packets })
    }

    /// Passes on what the camera tells of itself.
    pub fn told(&mut self, told: Told) -> Result<(), SourceError> {
        self.out.push(SourceEvent::Told(told))
    }

    /// The session is over: what still waits for its time goes out.
    pub fn finish(&mut self) -> Result<(), SourceError> {
        let held = self.stamper.finish();
        self.dated(held)
    }

    fn dated(&mut self, ready: Vec<Dated>) -> Result<(), SourceError> {
        for Dated { frame, moved } in ready {
            if let Some(moved) = moved {
                tracing::warn!(camera = %self.camera, ?moved, "the camera's clock and ours went apart");
                self.out.push(SourceEvent::Reanchored(moved))?;
            }
            self.out.push(SourceEvent::Frame(frame))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::backlog::{Backlog, Events};
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::{Codec, Utc};
    use bytes::Bytes;

    struct Rig {
        hands: ManualClock,
        clock: Clock,
        limits: Limits,
    }

    impl Rig {
        fn new() -> Self {
            let hands = ManualClock::standing(Utc::from_micros(1_750_000_000_000_000));
            Self { clock: hands.clock(), hands, limits: Limits::default() }
        }

        fn line(&self) -> (Intake, Events) {
            Backlog::new(1 << 20, self.clock.clone()).line(CameraNumber::new(1).unwrap())
        }

        fn outlet<'a>(&'a self, out: &'a Intake) -> Outlet<'a> {
            Outlet::new(CameraNumber::new(1).unwrap(), &self.clock, &self.limits, out)
        }

        fn frame(&self, outlet: &mut Outlet<'_>, number: i64, sync: bool) -> Result<(), SourceError> {
            self.hands.advance(Duration::from_millis(100));
            let at = outlet.arrival();
            outlet.frame(Received { at, pts_90k: number * 9_000, sync, data: Bytes::from_static(b"x") })
        }
    }

    fn parameters(width_px: u16) -> VideoParameters {
        let decoder_config = Bytes::from_static(b"c");
        VideoParameters { codec: Codec::H264, width_px, height_px: 1, decoder_config }
    }

    fn taken(events: &mut Events) -> Vec<String> {
        let mut out = Vec::new();
        while let Some(event) = events.try_recv() {
            out.push(match event {
                SourceEvent::Frame(frame) => (frame.pts_90k / 9_000).to_string(),
                SourceEvent::Parameters(_) => "parameters".into(),
                other => format!("{other:?}"),
            });
        }
        out
    }

    #[test]
    fn a_session_begins_with_a_frame_that_can_be_decoded() {
        let rig = Rig::new();
        let (out, mut events) = rig.line();
        let mut outlet = rig.outlet(&out);
        outlet.parameters(parameters(1)).unwrap();
        for i in 0..20 {
            rig.frame(&mut outlet, i, i == 7).unwrap();
        }
        outlet.finish().unwrap();
        let wanted = ["parameters".to_owned()].into_iter().chain((7..20).map(|i| i.to_string()));
        assert_eq!(taken(&mut events), wanted.collect::<Vec<_>>());

        let mut unknown = rig.outlet(&out);
        let mut ended = Ok(());
        for i in 0..700 {
            ended = ended.and(rig.frame(&mut unknown, i, i % 10 == 0));
        }
        assert!(matches!(ended, Err(SourceError::NoParameters { .. })), "{ended:?}");

        let mut keyless = rig.outlet(&out);
        keyless.parameters(parameters(1)).unwrap();
        let mut ended = Ok(());
        for i in 0..700 {
            ended = ended.and(rig.frame(&mut keyless, i, false));
        }
        assert!(matches!(ended, Err(SourceError::NoKeyFrame { .. })), "{ended:?}");
    }

    #[test]
    fn what_is_held_back_goes_out_before_other_parameters_and_at_the_end() {
        let rig = Rig::new();
        let (out, mut events) = rig.line();
        let mut outlet = rig.outlet(&out);
        outlet.parameters(parameters(1)).unwrap();
        rig.frame(&mut outlet, 0, true).unwrap();
        outlet.parameters(parameters(1)).unwrap();
        assert_eq!(taken(&mut events), ["parameters"]);
        outlet.parameters(parameters(2)).unwrap();
        assert_eq!(taken(&mut events), ["0", "parameters"]);
        let mut short = rig.outlet(&out);
        short.parameters(parameters(1)).unwrap();
        rig.frame(&mut short, 5, true).unwrap();
        short.finish().unwrap();
        assert_eq!(taken(&mut events), ["parameters", "5"]);
    }

    #[test]
    fn a_session_ends_where_nobody_takes_its_frames() {
        let rig = Rig::new();
        let (out, events) = rig.line();
        let mut outlet = rig.outlet(&out);
        outlet.parameters(parameters(1)).unwrap();
        for i in 0..6 {
            rig.frame(&mut outlet, i, i % 5 == 0).unwrap();
        }
        drop(events);
        let ended = rig.frame(&mut outlet, 6, false);
        assert!(matches!(ended, Err(SourceError::RecorderGone)), "{ended:?}");
    }
}
