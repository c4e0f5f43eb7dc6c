//! A volume's identity: which volume this is, and of which site. One file, written once.

use super::{FORMAT_VERSION, SegmentError};
use crate::domain::{SiteId, VolumeId};
use bytes::{Buf, BufMut};

const MAGIC: &[u8; 8] = b"CUSTODVO";
const IDENTITY_BYTES: usize = 52;

/// What the file `volume` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VolumeIdentity {
    pub volume: VolumeId,
    pub site: SiteId,
}

impl VolumeIdentity {
    /// The file as it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(IDENTITY_BYTES);
        out.put_slice(MAGIC);
        out.put_u16(FORMAT_VERSION);
        out.put_u16(0);
        out.put_u32(0);
        out.put_slice(&self.volume.0);
        out.put_slice(&self.site.0);
        out.put_u32(crc32c::crc32c(&out));
        out
    }

    /// # Errors
    /// [`SegmentError::NewerVersion`]; [`SegmentError::Damaged`] for what is no identity.
    pub fn parse(bytes: &[u8]) -> Result<Self, SegmentError> {
        let damaged = SegmentError::Damaged { what: "a volume's identity", at_bytes: 0 };
        if bytes.len() != IDENTITY_BYTES || &bytes[..8] != MAGIC {
            return Err(damaged);
        }
        let mut from = &bytes[8..];
        let version = from.get_u16();
        if version > FORMAT_VERSION {
            return Err(SegmentError::NewerVersion { what: "a volume", found: version, newest: FORMAT_VERSION });
        }
        from.advance(6);
        let (mut volume, mut site) = ([0; 16], [0; 16]);
        from.copy_to_slice(&mut volume);
        from.copy_to_slice(&mut site);
        let identity = Self { volume: VolumeId(volume), site: SiteId(site) };
        // Covers the CRC, the reserved bytes and version 0.
        if identity.to_bytes() == bytes { Ok(identity) } else { Err(damaged) }
    }
}
