//! A file of slots: keys that can be overwritten one by one.
//!
//! A header of one block, then slots of one block each in a preallocated file, so that overwriting one at a power cut
//! cannot tear another. Day keys, grants and the desk use it.
//!
//! | slot byte | what |
//! |---|---|
//! | 0..4 | 1 where the slot is used |
//! | 4..36 | whom it is for (a public key), or what it is of |
//! | 36..116 | the sealed 32-byte secret: encapsulated key, ciphertext, tag |
//! | 116..120 | CRC-32C of bytes 0..116 |

use super::{FORMAT_VERSION, SegmentError};
use crate::crypto::Sealed;
use crate::disk::{Access, AlignedBuffer, BLOCK_BYTES, Disk, DiskFile};
use bytes::{Buf, BufMut};
use std::path::Path;

const MAGIC: &[u8; 8] = b"CUSTODSL";
const CRC_AT: usize = 36 + Sealed::SECRET_BYTES;
/// Slots a file may have: a day of one camera in segments of 10 s.
const SLOTS_LIMIT: u32 = 16_384;

/// What a file of slots is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotPurpose {
    DayKey,
    Grant,
    Desk,
}

impl SlotPurpose {
    fn code(self) -> u16 {
        match self {
            SlotPurpose::DayKey => 1,
            SlotPurpose::Grant => 2,
            SlotPurpose::Desk => 3,
        }
    }

    fn what(self) -> &'static str {
        match self {
            SlotPurpose::DayKey => "a day-key file",
            SlotPurpose::Grant => "a grant's file",
            SlotPurpose::Desk => "the desk's file",
        }
    }
}

/// An open file of slots.
#[derive(Debug)]
pub struct SlotFile {
    file: Box<dyn DiskFile>,
    purpose: SlotPurpose,
    slots: u32,
    /// Facts of the owner's own, in the clear: 64 bytes.
    facts: [u8; 64],
}

impl SlotFile {
    /// Makes the file with all slots empty. Not flushed: the caller decides with what it becomes durable.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn create(
        disk: &dyn Disk,
        path: &Path,
        purpose: SlotPurpose,
        slots: u32,
        facts: [u8; 64],
    ) -> Result<Self, SegmentError> {
        if slots > SLOTS_LIMIT {
            return Err(SegmentError::TooLarge { bytes: slots as usize * BLOCK_BYTES });
        }
        let file = disk.create_new(path)?;
        file.allocate((u64::from(slots) + 1) * BLOCK_BYTES as u64)?;
        let mut header = Vec::with_capacity(BLOCK_BYTES);
        header.put_slice(MAGIC);
        header.put_u16(FORMAT_VERSION);
        header.put_u16(purpose.code());
        header.put_u32(slots);
        header.put_slice(&facts);
        header.put_u32(crc32c::crc32c(&header));
        header.resize(BLOCK_BYTES, 0);
        file.write_all_at(&header, 0)?;
        Ok(Self { file, purpose, slots, facts })
    }

    /// Opens a file past the page cache, so that overwriting a slot reaches its block.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] where the header is not whole or of another purpose.
    pub fn open(disk: &dyn Disk, path: &Path, purpose: SlotPurpose) -> Result<Self, SegmentError> {
        let damaged = SegmentError::Damaged { what: purpose.what(), at_bytes: 0 };
        let file = disk.open(path, Access::Direct)?;
        let mut block = AlignedBuffer::zeroed(BLOCK_BYTES);
        if file.read_at(block.as_mut_slice(), 0)? < BLOCK_BYTES || &block.as_slice()[..8] != MAGIC {
            return Err(damaged);
        }
        let bytes = block.as_slice();
        let mut from = &bytes[8..];
        let version = from.get_u16();
        if version > FORMAT_VERSION {
            return Err(SegmentError::NewerVersion { what: purpose.what(), found: version });
        }
        let code = from.get_u16();
        let slots = from.get_u32();
        let mut facts = [0; 64];
        from.copy_to_slice(&mut facts);
        if from.get_u32() != crc32c::crc32c(&bytes[..80]) || code != purpose.code() || slots > SLOTS_LIMIT {
            return Err(damaged);
        }
        Ok(Self { file, purpose, slots, facts })
    }

    pub fn facts(&self) -> &[u8; 64] {
        &self.facts
    }

    pub fn slots(&self) -> u32 {
        self.slots
    }

    fn offset_bytes(&self, index: u32) -> Result<u64, SegmentError> {
        if index >= self.slots {
            return Err(SegmentError::NoSuchSlot { slots: self.slots, index });
        }
        Ok((u64::from(index) + 1) * BLOCK_BYTES as u64)
    }

    /// Writes one slot. Not flushed.
    ///
    /// # Errors
    /// [`SegmentError::NoSuchSlot`], [`SegmentError::Disk`].
    pub fn fill(&self, index: u32, owner: &[u8; 32], sealed: &Sealed) -> Result<(), SegmentError> {
        let at = self.offset_bytes(index)?;
        let secret = sealed.to_array().ok_or(crate::crypto::CryptoFailure)?;
        let mut block = AlignedBuffer::zeroed(BLOCK_BYTES);
        let bytes = block.as_mut_slice();
        bytes[3] = 1;
        bytes[4..36].copy_from_slice(owner);
        bytes[36..CRC_AT].copy_from_slice(&secret);
        let crc = crc32c::crc32c(&bytes[..CRC_AT]);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        Ok(self.file.write_all_at(block.as_slice(), at)?)
    }

    /// Reads one slot: `None` where it is empty or was overwritten.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] for bytes that are neither a slot nor blank.
    pub fn read(&self, index: u32) -> Result<Option<([u8; 32], Sealed)>, SegmentError> {
        let at = self.offset_bytes(index)?;
        let damaged = SegmentError::Damaged { what: self.purpose.what(), at_bytes: at };
        let mut block = AlignedBuffer::zeroed(BLOCK_BYTES);
        if self.file.read_at(block.as_mut_slice(), at)? < BLOCK_BYTES {
            return Err(damaged);
        }
        let bytes = block.as_slice();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let mut crc = &bytes[CRC_AT..CRC_AT + 4];
        if bytes[..4] != [0, 0, 0, 1] || crc.get_u32() != crc32c::crc32c(&bytes[..CRC_AT]) {
            return Err(damaged);
        }
        let mut owner = [0; 32];
        owner.copy_from_slice(&bytes[4..36]);
        let mut secret = [0; Sealed::SECRET_BYTES];
        secret.copy_from_slice(&bytes[36..CRC_AT]);
        Ok(Some((owner, Sealed::from_array(&secret))))
    }

    /// Finds the slot of an owner. Damaged slots are passed over.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn find(&self, owner: &[u8; 32]) -> Result<Option<(u32, Sealed)>, SegmentError> {
        for index in 0..self.slots {
            match self.read(index) {
                Ok(Some((of, sealed))) if of == *owner => return Ok(Some((index, sealed))),
                Ok(_) | Err(SegmentError::Damaged { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(None)
    }

    /// Overwrites one slot. Not flushed: follow with [`SlotFile::flush`].
    ///
    /// # Errors
    /// [`SegmentError::NoSuchSlot`], [`SegmentError::Disk`].
    pub fn blank(&self, index: u32) -> Result<(), SegmentError> {
        let at = self.offset_bytes(index)?;
        Ok(self.file.write_all_at(AlignedBuffer::zeroed(BLOCK_BYTES).as_slice(), at)?)
    }

    /// Overwrites every slot.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn blank_all(&self) -> Result<(), SegmentError> {
        (0..self.slots).try_for_each(|index| self.blank(index))
    }

    /// What was filled or blanked is on the device.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn flush(&self) -> Result<(), SegmentError> {
        Ok(self.file.sync_data()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Label, Secret, generate_pair};
    use crate::disk::RealDisk;

    #[test]
    fn a_slot_opens_until_it_is_blanked_and_its_neighbour_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        let (private, public) = generate_pair().unwrap();
        let secret = Secret::<32>::random().unwrap();
        let sealed = public.seal(Label::DayKey, b"", secret.expose()).unwrap();
        let made = SlotFile::create(&RealDisk, &path, SlotPurpose::DayKey, 3, [7; 64]).unwrap();
        let other = public.seal(Label::DayKey, b"", secret.expose()).unwrap();
        made.fill(0, &[1; 32], &other).unwrap();
        made.fill(2, &public.0, &sealed).unwrap();
        made.flush().unwrap();
        let file = SlotFile::open(&RealDisk, &path, SlotPurpose::DayKey).unwrap();
        assert_eq!(file.facts(), &[7; 64]);
        let (index, found) = file.find(&public.0).unwrap().unwrap();
        assert_eq!(index, 2);
        assert_eq!(private.open_secret(Label::DayKey, b"", &found).unwrap().expose(), secret.expose());
        file.blank(2).unwrap();
        file.flush().unwrap();
        assert!(file.find(&public.0).unwrap().is_none());
        assert!(file.read(0).unwrap().is_some());
        assert!(!std::fs::read(&path).unwrap().windows(32).any(|bytes| bytes == &found.ciphertext[..32]));
        assert!(matches!(file.fill(3, &[0; 32], &sealed), Err(SegmentError::NoSuchSlot { slots: 3, index: 3 })));
    }

    #[test]
    fn a_grant_is_no_day_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        SlotFile::create(&RealDisk, &path, SlotPurpose::Grant, 1, [0; 64]).unwrap().flush().unwrap();
        let told = SlotFile::open(&RealDisk, &path, SlotPurpose::DayKey).unwrap_err();
        assert!(matches!(told, SegmentError::Damaged { what: "a day-key file", at_bytes: 0 }));
    }
}
