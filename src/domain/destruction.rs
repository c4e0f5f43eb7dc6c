//! How footage came to its end, and how that is known.

use super::Digest;
use serde::{Deserialize, Serialize};

/// Why footage was destroyed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DestructionTrigger {
    /// Its period ended.
    Expiry,
    /// Its period had ended before; the last hold on it ended.
    HoldEnded,
    /// Left over from a crash: it was never committed.
    NeverCommitted,
    /// The disk was full: it went before its period had ended, the oldest first.
    Early,
    /// An officer decided so on a person's request (PIPA 36), before its period had ended.
    ErasureRequest,
}

impl DestructionTrigger {
    /// Whether it ends footage whose period has not ended.
    pub fn condemns(self) -> bool {
        match self {
            Self::Early | Self::ErasureRequest => true,
            Self::Expiry | Self::HoldEnded | Self::NeverCommitted => false,
        }
    }

    /// How footage that went so is spoken of, before "on" and a time.
    pub fn past(self) -> &'static str {
        match self {
            Self::Expiry | Self::HoldEnded => "destroyed",
            Self::NeverCommitted => "removed, never recorded whole,",
            Self::Early => "destroyed early",
            Self::ErasureRequest => "erased on request",
        }
    }
}

/// Whether overwriting reached the blocks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overwrite {
    /// The same physical ranges before and after, and read back as written.
    Proven,
    /// The volume's device does not allow the proof.
    DeviceUnproven,
    /// The physical ranges were not those recorded when the segment was sealed.
    RangesDiffer,
    /// What was read back is not what was written.
    ReadBackDiffers,
    /// The file was not there.
    NothingThere,
    /// What was written could not be read back.
    ReadBackFailed,
}

impl Overwrite {
    /// Whether somebody must look into it: it should have been proven, and was not. A device that allows no proof was chosen
    /// so, and says so all the time.
    pub fn is_failure(self) -> bool {
        match self {
            Overwrite::RangesDiffer
            | Overwrite::ReadBackDiffers
            | Overwrite::ReadBackFailed
            | Overwrite::NothingThere => true,
            Overwrite::Proven | Overwrite::DeviceUnproven => false,
        }
    }

    /// The same of footage that was destroyed for `trigger`: what was never committed may have lost its file to the power
    /// cut that it is left over from.
    pub fn fails(self, trigger: DestructionTrigger) -> bool {
        self.is_failure() && !(trigger == DestructionTrigger::NeverCommitted && self == Self::NothingThere)
    }
}

/// How far a manifest has come: what a checkpoint holds of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ManifestHead {
    pub records: u64,
    /// The running digest over header and records.
    pub digest: Digest,
}
