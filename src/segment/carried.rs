//! A held segment in a hold manifest: its records "opened" and "sealed" in one, since the manifest that had them is erased.

use super::manifest::{put_ranges, take_array, take_ranges};
use crate::disk::PhysicalRange;
use crate::domain::{CameraNumber, DayKeyId, Digest, SegmentId, Utc};
use bytes::{Buf, BufMut, TryGetError};

/// All that is wanted of a segment that a hold manifest carries on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CarriedSegment {
    pub segment: SegmentId,
    pub camera: CameraNumber,
    pub start: Utc,
    pub end: Utc,
    pub day_key: DayKeyId,
    /// The digest of its first block.
    pub head: Digest,
    pub chunks: u32,
    pub bytes: u64,
    /// What is reserved for it on the device.
    pub allocated_bytes: u64,
    pub digest: Digest,
    pub has_footer: bool,
    /// Where it stands on the device; empty where the file system does not tell.
    pub ranges: Vec<PhysicalRange>,
}

impl CarriedSegment {
    pub(super) fn put(&self, to: &mut Vec<u8>) {
        to.put_u64(self.segment.0);
        to.put_u16(self.camera.get());
        to.put_i64(self.start.micros());
        to.put_i64(self.end.micros());
        to.put_u64(self.day_key.0);
        to.put_slice(&self.head.0);
        to.put_u32(self.chunks);
        to.put_u64(self.bytes);
        to.put_u64(self.allocated_bytes);
        to.put_slice(&self.digest.0);
        to.put_u8(u8::from(self.has_footer));
        put_ranges(to, &self.ranges);
    }

    pub(super) fn take(from: &mut &[u8]) -> Result<Option<Self>, TryGetError> {
        let segment = SegmentId(from.try_get_u64()?);
        let camera = CameraNumber::new(from.try_get_u16()?);
        let (start, end) = (Utc::from_micros(from.try_get_i64()?), Utc::from_micros(from.try_get_i64()?));
        let day_key = DayKeyId(from.try_get_u64()?);
        let head = Digest(take_array(from)?);
        let (chunks, bytes, allocated_bytes) = (from.try_get_u32()?, from.try_get_u64()?, from.try_get_u64()?);
        let digest = Digest(take_array(from)?);
        let has_footer = from.try_get_u8()? != 0;
        let ranges = take_ranges(from)?;
        Ok(camera.map(|camera| Self {
            segment,
            camera,
            start,
            end,
            day_key,
            head,
            chunks,
            bytes,
            allocated_bytes,
            digest,
            has_footer,
            ranges,
        }))
    }
}
