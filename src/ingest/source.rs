//! What a camera's session delivers, how long it may take, and why it ends.

use super::backlog::Intake;
use super::timing::Reanchored;
use super::{libav, rtsp};
use crate::clock::Clock;
use crate::domain::{Credentials, Driver, Frame, GapCause, Source, Utc, VideoParameters};
use crate::fragment::FragmentError;
use crate::worker::PipeError;
use std::path::Path;
use std::time::Duration;

/// How long a camera, and those behind us, may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For each of: connecting and DESCRIBE, SETUP, PLAY.
    pub answer: Duration,
    /// From one frame to the next.
    pub frame: Duration,
    /// From a session's first frame to the first that can be decoded: with parameter sets, and a key frame.
    pub key_frame: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { answer: Duration::from_secs(10), frame: Duration::from_secs(10), key_frame: Duration::from_secs(60) }
    }
}

/// What comes from a camera, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SourceEvent {
    /// Before the first frame, and before the first one that is coded otherwise.
    Parameters(VideoParameters),
    /// In decode order. A session's first is a sync frame.
    Frame(Frame),
    /// The camera's clock and ours no longer fitted: frames from here on are counted from another point.
    Reanchored(Reanchored),
    /// RTP packets that did not arrive. The next frame, or the one before, may show blocks.
    Lost { packets: u32 },
    /// What the camera lets be known of itself.
    Told(Told),
    /// Frames that the receiver of these events was too slow for (whole GOPs), and when the last of them was filmed:
    /// [`GapCause::Overrun`].
    Dropped { frames: u32, until: Utc },
}

/// What a camera tells beside its pictures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// Whether it offers sound. It is not asked for either way.
    Sound { offered: bool },
    /// How far its clock is ahead of ours, by its sender report (RFC 3550, 6.4.1), as of its arrival here.
    ClockAhead { micros: i64 },
}

/// Why a session ended. The texts are for who mounted the camera; they hold neither address nor password.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the camera did not answer ({detail}); check its power and network, and the address in its file")]
    Unreachable { detail: String },
    #[error("the camera did not answer {request} within {limit:?}; check its power and network, or restart it")]
    NoAnswer { request: &'static str, limit: Duration },
    #[error("the camera refused the user name or password; correct them in the camera's credentials")]
    Unauthorized,
    #[error("the camera wants a user name and a password; add them to the camera's credentials")]
    CredentialsMissing,
    #[error(
        "the camera answered {request} with status {status}; check the path in its address, and how many may watch"
    )]
    Refused { request: &'static str, status: u16 },
    #[error("the camera offers no H.264 or H.265 video ({offered}); set its encoder to one of them")]
    NoVideo { offered: String },
    #[error("the camera sent what cannot be read ({detail}); check that the address is that of a video stream")]
    Unreadable { detail: String },
    #[error("the camera sent a frame that cannot be read; check its encoder settings")]
    BadFrame(#[from] FragmentError),
    #[error(
        "the camera sends packets twice or in the wrong order; write driver = \"libav\" in its file, or update its firmware"
    )]
    Disordered,
    #[error("the camera's stream broke off ({detail})")]
    Disconnected { detail: String },
    #[error("the camera ended the stream")]
    Ended,
    #[error("the camera sent no picture for {limit:?}, though it is connected; restart it")]
    Stalled { limit: Duration },
    #[error(
        "addresses that begin with `{scheme}:` cannot be opened by this driver; write driver = \"libav\", or another address"
    )]
    Scheme { scheme: String },
    #[error("the camera sent no key frame for {limit:?}; set its key frame interval to some seconds")]
    NoKeyFrame { limit: Duration },
    #[error(
        "the camera sent no parameter sets (SPS, PPS) for {limit:?}; set its encoder to send them with each key frame, or \
         update its firmware"
    )]
    NoParameters { limit: Duration },
    #[error("the worker process could not be started; the installation is damaged")]
    WorkerStart(#[source] std::io::Error),
    #[error("the worker process died ({how}); the stream is damaged or its format not supported")]
    WorkerDied { how: String },
    #[error("the worker process sent nonsense")]
    WorkerBroken(#[source] PipeError),
    #[error("the recorder takes no more frames")]
    RecorderGone,
}

impl SourceError {
    /// What stands in the answer to who asks for footage of that time.
    pub fn cause(&self) -> GapCause {
        match self {
            SourceError::Unreachable { .. } | SourceError::NoAnswer { .. } => GapCause::Unreachable,
            SourceError::Unauthorized | SourceError::CredentialsMissing => GapCause::Unauthorized,
            SourceError::Refused { .. }
            | SourceError::NoVideo { .. }
            | SourceError::Unreadable { .. }
            | SourceError::Disordered
            | SourceError::BadFrame(_)
            | SourceError::NoKeyFrame { .. }
            | SourceError::NoParameters { .. }
            | SourceError::Scheme { .. } => GapCause::Unreadable,
            SourceError::Disconnected { .. }
            | SourceError::Ended
            | SourceError::WorkerStart(_)
            | SourceError::WorkerDied { .. }
            | SourceError::WorkerBroken(_) => GapCause::Disconnected,
            SourceError::Stalled { .. } => GapCause::Stalled,
            SourceError::RecorderGone => GapCause::NotRunning,
        }
    }
}

/// Runs one session: until the camera fails, or `out`'s other end is gone. Dropping it ends the session.
///
/// `worker_program` is started with the argument `worker` for [`Driver::Libav`]; it must call [`crate::worker::run`].
///
/// Frames of a burst that a server had waiting are dated back to when they were filmed, which can be before the call.
pub async fn receive(
    source: &Source,
    clock: &Clock,
    limits: &Limits,
    out: &Intake,
    worker_program: &Path,
) -> SourceError {
    match source.driver {
        Driver::Retina => rtsp::receive(source, clock, limits, out).await,
        Driver::Libav => libav::receive(source, clock, limits, out, worker_program).await,
    }
}

/// I3: a text from outside made fit to be shown: its first line, without control characters, addresses or credentials,
/// and not endless.
pub(super) fn censored(text: &str, credentials: Option<&Credentials>) -> String {
    const LONGEST_CHARS: usize = 200;
    let first = text.lines().next().unwrap_or_default();
    let mut words = Vec::new();
    for word in first.split_whitespace() {
        words.push(if word.contains("://") { "<address>" } else { word });
    }
    let mut told = words.join(" ");
    for secret in credentials.iter().flat_map(|given| [given.password.expose(), &given.username]) {
        let coded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret, &coded] {
            if !form.is_empty() {
                told = told.replace(form, "<secret>");
            }
        }
    }
    told.chars().filter(|c| !c.is_control()).take(LONGEST_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_outside_are_censored() {
        let given = Credentials::new("admin", "p@ss word");
        let text = "open rtsp://admin:p%40ss@10.0.0.9/x: p@ss word p%40ss+word\u{7} of admin\nconn: secret";
        let told = censored(text, Some(&given));
        assert_eq!(told, "open <address> <secret> <secret> of <secret>");
        assert_eq!(censored(&"x".repeat(5000), None).len(), 200);
    }
}
