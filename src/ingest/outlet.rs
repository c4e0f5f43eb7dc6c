//! The bounded way to the recorder (I4): events in order, and frames in whole GOPs or not at all.

use super::source::{Limits, SourceError, SourceEvent, Told};
use super::timing::{Arrival, Dated, Received, Stamper};
use crate::clock::Clock;
use crate::domain::{CameraNumber, VideoParameters};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// One session's way out.
#[derive(Debug)]
pub(super) struct Outlet<'a> {
    camera: CameraNumber,
    clock: &'a Clock,
    limits: &'a Limits,
    out: &'a Sender<SourceEvent>,
    stamper: Stamper,
    parameters: Option<VideoParameters>,
    /// When the first frame came, while nothing can be decoded yet.
    waits_for_key_since: Option<Duration>,
    begun: bool,
    /// Frames dropped since the last one that was taken.
    dropped: u32,
}

impl<'a> Outlet<'a> {
    pub fn new(camera: CameraNumber, clock: &'a Clock, limits: &'a Limits, out: &'a Sender<SourceEvent>) -> Self {
        Self {
            camera,
            clock,
            limits,
            out,
            stamper: Stamper::default(),
            parameters: None,
            waits_for_key_since: None,
            begun: false,
            dropped: 0,
        }
    }

    /// The reading of both hands for what arrived just now.
    pub fn arrival(&self) -> Arrival {
        Arrival { wall: self.clock.wall(), monotonic: self.clock.monotonic() }
    }

    /// Passes parameters on if they are new.
    pub async fn parameters(&mut self, parameters: VideoParameters) -> Result<(), SourceError> {
        if self.parameters.as_ref() == Some(&parameters) {
            return Ok(());
        }
        let held = self.stamper.finish();
        self.dated(held).await?;
        self.parameters = Some(parameters.clone());
        self.event(SourceEvent::Parameters(parameters)).await
    }

    /// Takes the next frame. Those before the session's first sync frame are of no use to anybody, and left out.
    pub async fn frame(&mut self, received: Received) -> Result<(), SourceError> {
        self.begun |= received.sync;
        if !self.begun {
            let since = *self.waits_for_key_since.get_or_insert(received.at.monotonic);
            let limit = self.limits.key_frame;
            let late = received.at.monotonic.saturating_sub(since) >= limit;
            return if late { Err(SourceError::NoKeyFrame { limit }) } else { Ok(()) };
        }
        let ready = self.stamper.push(received);
        self.dated(ready).await
    }

    pub async fn lost(&mut self, packets: u32) -> Result<(), SourceError> {
        tracing::warn!(camera = %self.camera, packets, "packets were lost on the way from the camera");
        self.event(SourceEvent::Lost { packets }).await
    }

    /// Passes on what the camera tells of itself; left out where the receiver is busy.
    pub fn told(&mut self, told: Told) -> Result<(), SourceError> {
        self.try_event(SourceEvent::Told(told)).map(drop)
    }

    /// The session is over: what still waits for its time goes out.
    pub async fn finish(&mut self) -> Result<(), SourceError> {
        let held = self.stamper.finish();
        self.dated(held).await
    }

    async fn dated(&mut self, ready: Vec<Dated>) -> Result<(), SourceError> {
        for Dated { frame, moved } in ready {
            if let Some(moved) = moved {
                tracing::warn!(camera = %self.camera, ?moved, "the camera's clock and ours went apart");
                self.event(SourceEvent::Reanchored(moved)).await?;
            }
            if self.dropped > 0 {
                let goes_on = frame.sync && self.try_event(SourceEvent::Dropped { frames: self.dropped })?;
                if !goes_on {
                    self.dropped = self.dropped.saturating_add(1);
                    continue;
                }
                self.dropped = 0;
            }
            if !self.wait_event(SourceEvent::Frame(frame)).await? {
                tracing::warn!(camera = %self.camera, "frames come faster than they are taken: dropping up to the next key frame");
                self.dropped = 1;
            }
        }
        Ok(())
    }

    /// What must not be missed: waits for its place. Frames behind it wait too, and are dropped if they must.
    async fn event(&mut self, event: SourceEvent) -> Result<(), SourceError> {
        self.out.send(event).await.map_err(|_| SourceError::RecorderGone)
    }

    fn try_event(&mut self, event: SourceEvent) -> Result<bool, SourceError> {
        match self.out.try_send(event) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Closed(_)) => Err(SourceError::RecorderGone),
        }
    }

    /// Whether it was taken in time.
    async fn wait_event(&mut self, event: SourceEvent) -> Result<bool, SourceError> {
        match self.clock.timeout(self.limits.delivery, self.out.send(event)).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(_)) => Err(SourceError::RecorderGone),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::{Codec, Utc};
    use bytes::Bytes;
    use tokio::sync::mpsc::{Receiver, channel};

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

        fn outlet<'a>(&'a self, out: &'a Sender<SourceEvent>) -> Outlet<'a> {
            Outlet::new(CameraNumber::new(1).unwrap(), &self.clock, &self.limits, out)
        }

        async fn frame(&self, outlet: &mut Outlet<'_>, number: i64, sync: bool) -> Result<(), SourceError> {
            self.hands.advance(Duration::from_millis(100));
            let at = outlet.arrival();
            outlet.frame(Received { at, pts_90k: number * 9_000, sync, data: Bytes::from_static(b"x") }).await
        }
    }

    fn taken(events: &mut Receiver<SourceEvent>) -> Vec<String> {
        let mut out = Vec::new();
        while let Ok(event) = events.try_recv() {
            out.push(match event {
                SourceEvent::Frame(frame) => (frame.pts_90k / 9_000).to_string(),
                SourceEvent::Dropped { frames } => format!("dropped {frames}"),
                SourceEvent::Parameters(_) => "parameters".into(),
                other => format!("{other:?}"),
            });
        }
        out
    }

    #[tokio::test]
    async fn a_session_begins_with_a_frame_that_can_be_decoded() {
        let rig = Rig::new();
        let (out, mut events) = channel(50);
        let mut outlet = rig.outlet(&out);
        for i in 0..20 {
            rig.frame(&mut outlet, i, i == 7).await.unwrap();
        }
        assert_eq!(taken(&mut events), (7..20).map(|i| i.to_string()).collect::<Vec<_>>());

        let mut keyless = rig.outlet(&out);
        let mut ended = Ok(());
        for i in 0..700 {
            ended = ended.and(rig.frame(&mut keyless, i, false).await);
        }
        assert!(matches!(ended, Err(SourceError::NoKeyFrame { .. })), "{ended:?}");
    }

    #[tokio::test]
    async fn what_is_held_back_goes_out_before_other_parameters_and_at_the_end() {
        let rig = Rig::new();
        let (out, mut events) = channel(50);
        let mut outlet = rig.outlet(&out);
        let parameters = |width_px| VideoParameters {
            codec: Codec::H264,
            width_px,
            height_px: 1,
            decoder_config: Bytes::from_static(b"c"),
        };
        outlet.parameters(parameters(1)).await.unwrap();
        rig.frame(&mut outlet, 0, true).await.unwrap();
        outlet.parameters(parameters(1)).await.unwrap();
        assert_eq!(taken(&mut events), ["parameters"]);
        outlet.parameters(parameters(2)).await.unwrap();
        assert_eq!(taken(&mut events), ["0", "parameters"]);
        let mut short = rig.outlet(&out);
        rig.frame(&mut short, 5, true).await.unwrap();
        short.finish().await.unwrap();
        assert_eq!(taken(&mut events), ["5"]);
    }

    #[tokio::test]
    async fn whole_gops_are_dropped_and_counted() {
        let rig = Rig::new();
        let (out, mut events) = channel(6);
        let mut outlet = rig.outlet(&out);
        for i in 0..6 {
            rig.frame(&mut outlet, i, i % 5 == 0).await.unwrap();
        }
        // Full: the seventh waits for its place until its limit is over.
        let waits = rig.frame(&mut outlet, 6, false);
        let passes = async {
            tokio::task::yield_now().await;
            rig.hands.advance(rig.limits.delivery);
        };
        tokio::join!(waits, passes).0.unwrap();
        for i in 7..12 {
            rig.frame(&mut outlet, i, i % 5 == 0).await.unwrap();
        }
        assert_eq!(taken(&mut events), ["0", "1", "2", "3", "4", "5"]);
        for i in 12..18 {
            rig.frame(&mut outlet, i, i % 5 == 0).await.unwrap();
        }
        assert_eq!(taken(&mut events), ["dropped 9", "15", "16", "17"]);
        drop(events);
        let ended = rig.frame(&mut outlet, 18, false).await;
        assert!(matches!(ended, Err(SourceError::RecorderGone)), "{ended:?}");
    }
}
