//! The bounded way to the recorder (I4): events in order, and frames in whole GOPs or not at all.

use super::source::{Limits, SourceError, SourceEvent};
use super::timing::{Arrival, Dated, Received, Stamper};
use crate::clock::Clock;
use crate::domain::{CameraNumber, VideoParameters};
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
    /// Frames dropped since the last one that was taken.
    dropped: u32,
}

impl<'a> Outlet<'a> {
    pub fn new(camera: CameraNumber, clock: &'a Clock, limits: &'a Limits, out: &'a Sender<SourceEvent>) -> Self {
        Self { camera, clock, limits, out, stamper: Stamper::default(), parameters: None, dropped: 0 }
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

    pub async fn frame(&mut self, received: Received) -> Result<(), SourceError> {
        let ready = self.stamper.push(received);
        self.dated(ready).await
    }

    pub async fn lost(&mut self, packets: u32) -> Result<(), SourceError> {
        tracing::warn!(camera = %self.camera, packets, "packets were lost on the way from the camera");
        self.event(SourceEvent::Lost { packets }).await
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
