//! Fragmented MP4 (ISO/IEC 14496-12, 8.8), both ways: an init segment and fragments out of coded frames, and the few
//! changes that a fragment needs on its way to a viewer. Beside it, what must be known of NAL units to get there.
//!
//! A segment is an init segment with fragments behind it: a file that any player opens. Invariants:
//! - **F1** One track, and it is video. There is no way to put another one in.
//! - **F2** Presentation times are the camera's, exactly. Decode times, which RTP does not carry, are made: the i-th
//!   frame of a fragment in decode order is decoded at the i-th smallest presentation time of that fragment, and
//!   decode times strictly rise through a segment, whatever the camera sends.
//! - **F3** Memory is bounded by [`FragmentLimits`], whatever the camera sends.
//! - **F4** Readers take exactly what the writer here writes, and answer anything else with an error: no panic, and no
//!   allocation that is not paid for by bytes of the input.

mod edit;
#[cfg(test)]
pub(crate) mod footage;
mod fragmenter;
mod init;
mod moof;
pub mod nal;
#[cfg(test)]
mod tests;

pub use edit::{frame_places, frame_times, rebase, trim};
pub use fragmenter::{Fragment, FragmentLimits, Fragmenter};
pub use init::{holds_one_video_track, init_segment, note, rfc6381};

use crate::domain::Codec;

/// The track's clock, in ticks a second: RTP's (RFC 6184, 5.1), so that no time is ever rounded.
pub const TIMESCALE: u32 = 90_000;

/// Why frames do not become fragments, or fragments something else.
#[derive(Debug, thiserror::Error)]
pub enum FragmentError {
    #[error("the {codec} decoder configuration cannot be read; the camera's stream is damaged or not {codec}")]
    Configuration {
        codec: Codec,
        #[source]
        source: shiguredo_mp4::Error,
    },
    #[error("the {codec} decoder configuration lacks {what}; the camera's stream is damaged or not {codec}")]
    ConfigurationLacks { codec: Codec, what: &'static str },
    #[error("the NAL units of a frame cannot be told apart: {why}")]
    NalUnits { why: &'static str },
    #[error("the NAL units of a frame cannot be told apart")]
    AnnexB(#[source] shiguredo_mp4::Error),
    #[error("a box cannot be written")]
    Write(#[source] shiguredo_mp4::Error),
    #[error("not a fragment, at byte {offset}: {why}")]
    NotAFragment { offset: usize, why: &'static str },
    #[error("not a fragment, at byte {offset}")]
    Box {
        offset: usize,
        #[source]
        source: shiguredo_mp4::Error,
    },
    #[error("a time of the fragment does not fit 64 bits")]
    TimeOverflow,
    #[error("a segment must begin with a frame at which decoding can begin")]
    NotSync,
    #[error("a frame without any bytes")]
    EmptyFrame,
    #[error("a frame of {bytes} bytes; {limit_bytes} are allowed")]
    FrameTooLarge { bytes: usize, limit_bytes: usize },
    #[error("the camera's time jumped by {by_90k} ticks of 90 kHz; a new segment must begin")]
    Discontinuity { by_90k: i64 },
    #[error("the camera's time and the wall clock went apart by {by_micros} µs; a new segment must begin")]
    ClockShifted { by_micros: i64 },
}

impl FragmentError {
    /// Whether the frame is good, and only the segment that it came to is over: finish it, and begin the next one with
    /// this frame (if it is a sync frame, else with the next that is).
    pub fn wants_new_segment(&self) -> bool {
        matches!(self, FragmentError::Discontinuity { .. } | FragmentError::ClockShifted { .. })
    }
}
