//! Coded video as it travels from a camera to the seal. There is no type for sound: audio is never set up (PIPA 25(5)).

use super::Utc;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    H264,
    H265,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H.264",
            Codec::H265 => "H.265",
        })
    }
}

/// What a decoder must know before the first frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VideoParameters {
    pub codec: Codec,
    pub width_px: u16,
    pub height_px: u16,
    /// The decoder configuration record: `avcC`'s or `hvcC`'s payload (ISO/IEC 14496-15, 5.3.3 and 8.3.3).
    pub decoder_config: Bytes,
}

/// One coded frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// When it was filmed, as well as can be told: wall clock at arrival, smoothed by the camera's own clock.
    pub filmed_at: Utc,
    /// Presentation time on a 90 kHz clock that runs on through the session; only differences mean something.
    pub pts_90k: i64,
    /// Whether decoding can begin here (IDR, or any IRAP picture of H.265: NAL types 16 to 23).
    pub sync: bool,
    /// NAL units, each after its length in 4 bytes, big-endian (ISO/IEC 14496-15, 5.3.4.2).
    pub data: Bytes,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("filmed_at", &self.filmed_at)
            .field("pts_90k", &self.pts_90k)
            .field("sync", &self.sync)
            .field("bytes", &self.data.len())
            .finish()
    }
}

/// Why there is no footage for a span. Part of every "unavailable" answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GapCause {
    /// The camera did not answer, or refused the connection.
    Unreachable,
    /// The camera refused the name or password.
    Unauthorized,
    /// The camera answered something that is no stream of video.
    Unreadable,
    /// The stream ended or broke off.
    Disconnected,
    /// No frame came for the time allowed.
    Stalled,
    /// The daemon was not running.
    NotRunning,
    /// The volume could not take it.
    VolumeFailed,
    /// Frames came faster than they could be written.
    Overrun,
    /// The camera films at certain hours, and it was none of them.
    OutsideHours,
    /// The disk was full, and nothing on it could go.
    DiskFull,
    /// The camera films operations, and none was under way.
    NoOperation,
}

impl fmt::Display for GapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GapCause::Unreachable => "the camera did not answer",
            GapCause::Unauthorized => "the camera refused the password",
            GapCause::Unreadable => "the camera sent nothing that could be read",
            GapCause::Disconnected => "the camera's stream broke off",
            GapCause::Stalled => "the camera sent no picture",
            GapCause::NotRunning => "the recorder was not running",
            GapCause::VolumeFailed => "the disk failed",
            GapCause::Overrun => "the disk was too slow",
            GapCause::OutsideHours => "it was outside the camera's hours",
            GapCause::DiskFull => "the disk was full",
            GapCause::NoOperation => "no operation was under way",
        })
    }
}
