//! What is told of footage that is gone: receipts, and manifests whose end has come.

use crate::disk::DeviceIdentity;
use crate::domain::{
    CameraNumber, Day, DestructionTrigger, Digest, GapCause, ManifestHead, Overwrite, Retention, Span, Utc, VolumeId,
};
use serde::{Deserialize, Serialize};

/// Footage that was destroyed (Standard Guidelines, article 42; NIST SP 800-88r2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DestructionReceipt {
    pub volume: VolumeId,
    pub day: Day,
    pub camera: CameraNumber,
    pub span: Span,
    pub segments: u32,
    pub bytes: u64,
    /// SHA-256 over each segment's id and digest, in order.
    pub digest: Digest,
    pub trigger: DestructionTrigger,
    pub technique: String,
    pub overwrite: Overwrite,
    /// When the hour begins that it is of; rows of the first days are of a whole day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hour: Option<Utc>,
    /// The least of them: how much of the overwritten bytes was read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_back_percent: Option<u8>,
    /// Segments of which overwriting should have been proven, and was not.
    #[serde(default)]
    pub failures: u32,
    /// What they stood on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceIdentity>,
}

impl DestructionReceipt {
    /// Segments of which overwriting should have been proven, and was not. The first rows did not count them apart.
    pub fn unproven_segments(&self) -> u32 {
        if self.failures == 0 && self.overwrite.fails(self.trigger) { self.segments } else { self.failures }
    }
}

/// A stretch of footage that a closed manifest told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClosedCoverage {
    pub span: Span,
    /// When the last of it was destroyed; `None` for what is held, and was carried to a hold manifest.
    pub destroyed: Option<Utc>,
    /// Why; `None` for what is held.
    pub trigger: Option<DestructionTrigger>,
    /// It was dated while the clock was in doubt, and by how much that is wrong was never known.
    pub in_doubt: bool,
}

/// A stretch without footage.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClosedGap {
    pub span: Span,
    pub cause: GapCause,
}

/// What a closed manifest told of one camera.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClosedCamera {
    pub camera: CameraNumber,
    /// Segments that came to their end.
    pub segments: u32,
    /// By start; what follows on each other and was destroyed on one day is one stretch.
    pub coverage: Vec<ClosedCoverage>,
    pub gaps: Vec<ClosedGap>,
    /// The digests of its first segment and of its last; zeros where there was none.
    pub first: Digest,
    pub last: Digest,
}

/// A manifest whose end has come: every receipt in it is a row before this one. What it told of each camera stays known by
/// this row alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ManifestClosed {
    pub volume: VolumeId,
    pub manifest: String,
    pub day: Day,
    pub retention: Retention,
    /// Its last head.
    pub head: ManifestHead,
    /// The hold manifest that carries on what is held of it.
    pub carried_to: Option<String>,
    pub cameras: Vec<ClosedCamera>,
}
