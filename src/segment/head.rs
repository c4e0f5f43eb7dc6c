//! A segment's first block: what it is, and its data key sealed to the day key.

use super::SegmentError;
use crate::crypto::{DataKey, Label, PrivateKey, PublicKey, RunningDigest, Sealed, sha256};
use crate::disk::BLOCK_BYTES;
use crate::domain::{CameraNumber, DayKeyId, Digest, SegmentId, Utc, VolumeId};
use bytes::{Buf, BufMut};

/// The head is one block, so that overwriting it destroys the key in one write.
pub const HEAD_BYTES: usize = BLOCK_BYTES;
const MAGIC: &[u8; 8] = b"CUSTODSG";
/// Bytes that bind each chunk to its segment: all before `previous`.
const BINDING_BYTES: usize = 56;
const KEY_AT: usize = 88;
const CRC_AT: usize = KEY_AT + Sealed::SECRET_BYTES;

/// The form of a segment. What is recorded has the newest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SegmentVersion {
    /// Its digest is SHA-256.
    V1,
    /// Its digest is BLAKE3.
    #[default]
    V2,
}

impl SegmentVersion {
    fn number(self) -> u16 {
        match self {
            SegmentVersion::V1 => 1,
            SegmentVersion::V2 => 2,
        }
    }

    /// The digest over a segment's sealed bytes, before the first of them.
    pub(super) fn digest(self) -> RunningDigest {
        match self {
            SegmentVersion::V1 => RunningDigest::new(),
            SegmentVersion::V2 => RunningDigest::blake3(),
        }
    }
}

/// What a segment is, in the clear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentFacts {
    pub version: SegmentVersion,
    pub camera: CameraNumber,
    /// The volume on which it was made; it stays the same when the file is copied elsewhere.
    pub volume: VolumeId,
    pub segment: SegmentId,
    /// When its first frame was filmed. Its UTC day is the segment's day.
    pub start: Utc,
    pub day_key: DayKeyId,
    /// The digest of the camera's segment before this one; zeros for its first.
    pub previous: Digest,
}

impl SegmentFacts {
    fn prefix(&self) -> [u8; KEY_AT] {
        let mut out = [0; KEY_AT];
        let mut to = &mut out[..];
        to.put_slice(MAGIC);
        to.put_u16(self.version.number());
        to.put_u16(self.camera.get());
        to.put_u32(0);
        to.put_slice(&self.volume.0);
        to.put_u64(self.segment.0);
        to.put_i64(self.start.micros());
        to.put_u64(self.day_key.0);
        to.put_slice(&self.previous.0);
        out
    }

    /// The associated data that every chunk shares.
    pub(super) fn binding(&self) -> [u8; BINDING_BYTES] {
        let mut out = [0; BINDING_BYTES];
        out.copy_from_slice(&self.prefix()[..BINDING_BYTES]);
        out
    }
}

/// A parsed head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentHead {
    pub facts: SegmentFacts,
    pub sealed_key: Sealed,
}

impl SegmentHead {
    /// Seals the data key to the day key's public half.
    ///
    /// # Errors
    /// [`SegmentError::Crypto`].
    pub fn seal(facts: SegmentFacts, day_key: &PublicKey, key: &DataKey) -> Result<Self, SegmentError> {
        let sealed_key = day_key.seal(Label::SegmentKey, &facts.prefix(), key.expose())?;
        Ok(Self { facts, sealed_key })
    }

    /// Opens the data key with the day key's private half.
    ///
    /// # Errors
    /// [`SegmentError::Unopened`].
    pub fn open_key(&self, day_key: &PrivateKey) -> Result<DataKey, SegmentError> {
        Ok(day_key.open_secret(Label::SegmentKey, &self.facts.prefix(), &self.sealed_key)?)
    }

    /// The block as it stands on the disk.
    ///
    /// # Errors
    /// [`SegmentError::Crypto`] where the sealed key has not the length of one.
    pub fn to_block(&self) -> Result<Vec<u8>, SegmentError> {
        let sealed = self.sealed_key.to_array().ok_or(crate::crypto::CryptoFailure)?;
        let mut block = vec![0; HEAD_BYTES];
        block[..KEY_AT].copy_from_slice(&self.facts.prefix());
        block[KEY_AT..CRC_AT].copy_from_slice(&sealed);
        let crc = crc32c::crc32c(&block[..CRC_AT]);
        block[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        Ok(block)
    }

    /// The digest of the whole first block, which the manifest records.
    pub fn block_digest(block: &[u8]) -> Digest {
        sha256(block)
    }

    /// # Errors
    /// [`SegmentError::Damaged`] for what is no head (an overwritten one, too), [`SegmentError::NewerVersion`].
    pub fn parse(block: &[u8]) -> Result<Self, SegmentError> {
        let damaged = SegmentError::Damaged { what: "a segment's head", at_bytes: 0 };
        if block.len() < HEAD_BYTES || &block[..8] != MAGIC {
            return Err(damaged);
        }
        let mut from = &block[8..KEY_AT];
        let version = match from.get_u16() {
            1 => SegmentVersion::V1,
            2 => SegmentVersion::V2,
            0 => return Err(damaged),
            found => {
                let newest = SegmentVersion::default().number();
                return Err(SegmentError::NewerVersion { what: "a segment", found, newest });
            }
        };
        let camera = CameraNumber::new(from.get_u16());
        from.advance(4);
        let mut volume = [0; 16];
        from.copy_to_slice(&mut volume);
        let segment = SegmentId(from.get_u64());
        let start = Utc::from_micros(from.get_i64());
        let day_key = DayKeyId(from.get_u64());
        let mut previous = [0; 32];
        from.copy_to_slice(&mut previous);
        let mut sealed = [0; Sealed::SECRET_BYTES];
        sealed.copy_from_slice(&block[KEY_AT..CRC_AT]);
        let Some(camera) = camera else { return Err(damaged) };
        let (volume, previous) = (VolumeId(volume), Digest(previous));
        let facts = SegmentFacts { version, camera, volume, segment, start, day_key, previous };
        let head = Self { facts, sealed_key: Sealed::from_array(&sealed) };
        // What is sealed is bound to these facts as they are written: bytes that say them otherwise (reserved ones, an
        // older version, a wrong CRC) are not covered by any seal.
        if head.to_block()? == block[..HEAD_BYTES] { Ok(head) } else { Err(damaged) }
    }
}
