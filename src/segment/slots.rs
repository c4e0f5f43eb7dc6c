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
use crate::disk::{Access, AlignedBuffer, BLOCK_BYTES, Disk, DiskFile, STRIDE_BYTES};
use bytes::{Buf, BufMut};
use std::path::Path;

const MAGIC: &[u8; 8] = b"CUSTODSL";
const CRC_AT: usize = 36 + Sealed::SECRET_BYTES;
/// Slots a file may have: a day of one camera in segments of 10 s.
pub const SLOTS_LIMIT: u32 = 16_384;

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

/// A slot in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsedSlot {
    pub index: u32,
    /// Whom it is for (a public key), or what it is of.
    pub owner: [u8; 32],
    pub sealed: Sealed,
}

/// All slots of a file, by what is in them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SlotsRead {
    pub used: Vec<UsedSlot>,
    /// Empty, or overwritten.
    pub blank: Vec<u32>,
    /// Neither used nor blank: torn by a power cut, or changed. It opens for nobody.
    pub damaged: Vec<u32>,
}

impl SlotsRead {
    /// Where a new slot goes: a blank one, or else one that opens for nobody.
    pub fn free(&self) -> Option<u32> {
        self.blank.first().or(self.damaged.first()).copied()
    }
}

/// An open file of slots.
#[derive(Debug)]
pub struct SlotFile {
    file: Box<dyn DiskFile>,
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
        file.write_all_at(&header_block(purpose, slots, &facts), 0)?;
        Ok(Self { file, slots, facts })
    }

    /// Opens a file past the page cache, so that overwriting a slot reaches its block.
    ///
    /// # Errors
    /// [`SegmentError::Damaged`] where the header is not whole or of another purpose.
    pub fn open(disk: &dyn Disk, path: &Path, purpose: SlotPurpose) -> Result<Self, SegmentError> {
        Self::open_with(disk, path, purpose, Access::Direct)
    }

    /// Opens a file to read it, through the page cache.
    ///
    /// # Errors
    /// As [`SlotFile::open`].
    pub fn open_to_read(disk: &dyn Disk, path: &Path, purpose: SlotPurpose) -> Result<Self, SegmentError> {
        Self::open_with(disk, path, purpose, Access::Read)
    }

    fn open_with(disk: &dyn Disk, path: &Path, purpose: SlotPurpose, access: Access) -> Result<Self, SegmentError> {
        let damaged = SegmentError::Damaged { what: purpose.what(), at_bytes: 0 };
        let file = disk.open(path, access)?;
        let mut block = AlignedBuffer::zeroed(BLOCK_BYTES);
        if file.read_at(block.as_mut_slice(), 0)? < BLOCK_BYTES || &block.as_slice()[..8] != MAGIC {
            return Err(damaged);
        }
        let bytes = block.as_slice();
        let mut from = &bytes[8..];
        let version = from.get_u16();
        if version > FORMAT_VERSION {
            return Err(SegmentError::NewerVersion { what: purpose.what(), found: version, newest: FORMAT_VERSION });
        }
        from.advance(2);
        let slots = from.get_u32();
        let mut facts = [0; 64];
        from.copy_to_slice(&mut facts);
        // Covers the purpose, the CRC and the reserved bytes.
        if header_block(purpose, slots, &facts) != bytes || slots > SLOTS_LIMIT {
            return Err(damaged);
        }
        Ok(Self { file, slots, facts })
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

    fn offset_bytes_of_end(&self) -> u64 {
        (u64::from(self.slots) + 1) * BLOCK_BYTES as u64
    }

    /// Writes one slot. Not flushed.
    ///
    /// # Errors
    /// [`SegmentError::NoSuchSlot`], [`SegmentError::Disk`].
    pub fn fill(&self, index: u32, owner: &[u8; 32], sealed: &Sealed) -> Result<(), SegmentError> {
        let at = self.offset_bytes(index)?;
        let secret = sealed.to_array().ok_or(crate::crypto::CryptoFailure)?;
        let mut block = AlignedBuffer::zeroed(BLOCK_BYTES);
        block.as_mut_slice()[..CRC_AT + 4].copy_from_slice(&slot_bytes(owner, &secret));
        Ok(self.file.write_all_at(block.as_slice(), at)?)
    }

    /// All slots. Reads in long strides: a file may hold a day's segments.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn read(&self) -> Result<SlotsRead, SegmentError> {
        let mut read = SlotsRead::default();
        // No more memory than the file has bytes, whatever its header claims.
        let length = self.file.len_bytes()?.min(self.offset_bytes_of_end()).next_multiple_of(BLOCK_BYTES as u64);
        let stride_bytes = usize::try_from(length).unwrap_or(STRIDE_BYTES).min(STRIDE_BYTES);
        let mut buffer = AlignedBuffer::zeroed(stride_bytes);
        let a_stride = u32::try_from(stride_bytes / BLOCK_BYTES).unwrap_or(1).max(1);
        let mut first = 0;
        while first < self.slots {
            let got = self.file.read_at(buffer.as_mut_slice(), self.offset_bytes(first)?)?;
            let mut blocks = buffer.as_slice()[..got].chunks_exact(BLOCK_BYTES);
            for index in first..self.slots.min(first.saturating_add(a_stride)) {
                match blocks.next() {
                    Some(block) if block == [0; BLOCK_BYTES] => read.blank.push(index),
                    Some(block) => match parse_slot(block) {
                        Some((owner, sealed)) => read.used.push(UsedSlot { index, owner, sealed }),
                        None => read.damaged.push(index),
                    },
                    // The file ends before its last slot. The first that is missing stands for all: how many there should
                    // be is only a claim.
                    None => {
                        read.damaged.push(index);
                        return Ok(read);
                    }
                }
            }
            first = first.saturating_add(a_stride);
        }
        Ok(read)
    }

    /// All slots in use. Blank and damaged ones are passed over.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn used(&self) -> Result<Vec<UsedSlot>, SegmentError> {
        Ok(self.read()?.used)
    }

    /// Finds the slot of an owner.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn find(&self, owner: &[u8; 32]) -> Result<Option<(u32, Sealed)>, SegmentError> {
        let found = self.used()?.into_iter().find(|slot| slot.owner == *owner);
        Ok(found.map(|slot| (slot.index, slot.sealed)))
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

    /// Overwrites a whole file, whatever is in it: one whose header is damaged may still hold sealed keys. Not flushed.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    pub fn overwrite(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, SegmentError> {
        let file = disk.open(path, Access::Direct)?;
        let end = file.len_bytes()?.next_multiple_of(BLOCK_BYTES as u64);
        let stride_bytes = usize::try_from(end).unwrap_or(STRIDE_BYTES).clamp(BLOCK_BYTES, STRIDE_BYTES);
        let zeros = AlignedBuffer::zeroed(stride_bytes);
        let mut at = 0;
        while at < end {
            let part = usize::try_from(end - at).unwrap_or(stride_bytes).min(stride_bytes);
            file.write_all_at(&zeros.as_slice()[..part], at)?;
            at += part as u64;
        }
        Ok(file)
    }

    /// The same, and flushed.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    #[track_caller]
    pub fn blank_file(disk: &dyn Disk, path: &Path) -> Result<(), SegmentError> {
        Ok(Self::overwrite(disk, path)?.sync_data()?)
    }

    /// What was filled or blanked is on the device.
    ///
    /// # Errors
    /// [`SegmentError::Disk`].
    #[track_caller]
    pub fn flush(&self) -> Result<(), SegmentError> {
        Ok(self.file.sync_data()?)
    }
}

/// `None` for a blank block, and for bytes that are no slot.
fn parse_slot(block: &[u8]) -> Option<([u8; 32], Sealed)> {
    let (written, reserved) = block.split_at_checked(CRC_AT + 4)?;
    let mut owner = [0; 32];
    owner.copy_from_slice(&written[4..36]);
    let mut secret = [0; Sealed::SECRET_BYTES];
    secret.copy_from_slice(&written[36..CRC_AT]);
    let is_slot = slot_bytes(&owner, &secret) == written && reserved.iter().all(|byte| *byte == 0);
    is_slot.then(|| (owner, Sealed::from_array(&secret)))
}

fn slot_bytes(owner: &[u8; 32], secret: &[u8; Sealed::SECRET_BYTES]) -> [u8; CRC_AT + 4] {
    let mut out = [0; CRC_AT + 4];
    out[3] = 1;
    out[4..36].copy_from_slice(owner);
    out[36..CRC_AT].copy_from_slice(secret);
    let crc = crc32c::crc32c(&out[..CRC_AT]);
    out[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
    out
}

fn header_block(purpose: SlotPurpose, slots: u32, facts: &[u8; 64]) -> Vec<u8> {
    let mut header = Vec::with_capacity(BLOCK_BYTES);
    header.put_slice(MAGIC);
    header.put_u16(FORMAT_VERSION);
    header.put_u16(purpose.code());
    header.put_u32(slots);
    header.put_slice(facts);
    header.put_u32(crc32c::crc32c(&header));
    header.resize(BLOCK_BYTES, 0);
    header
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
        assert_eq!(file.used().unwrap().iter().map(|slot| slot.index).collect::<Vec<_>>(), [0]);
        assert!(!std::fs::read(&path).unwrap().windows(32).any(|bytes| bytes == &found.ciphertext[..32]));
        assert!(matches!(file.fill(3, &[0; 32], &sealed), Err(SegmentError::NoSuchSlot { slots: 3, index: 3 })));
    }

    #[test]
    fn a_file_of_many_slots_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        let (_, public) = generate_pair().unwrap();
        let sealed = public.seal(Label::GrantKey, b"", &[1; 32]).unwrap();
        let made = SlotFile::create(&RealDisk, &path, SlotPurpose::Grant, 600, [0; 64]).unwrap();
        for index in [0, 255, 256, 511, 512, 599] {
            made.fill(index, &[u8::try_from(index % 251).unwrap(); 32], &sealed).unwrap();
        }
        let read = SlotFile::open_to_read(&RealDisk, &path, SlotPurpose::Grant).unwrap();
        assert_eq!(
            read.used().unwrap().iter().map(|slot| slot.index).collect::<Vec<_>>(),
            [0, 255, 256, 511, 512, 599]
        );
    }

    #[test]
    fn a_file_that_claims_more_slots_than_it_has_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        SlotFile::create(&RealDisk, &path, SlotPurpose::Grant, SLOTS_LIMIT, [0; 64]).unwrap().flush().unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(3 * BLOCK_BYTES as u64 + 7).unwrap();
        let read = SlotFile::open_to_read(&RealDisk, &path, SlotPurpose::Grant).unwrap().read().unwrap();
        assert_eq!((read.used.len(), read.blank, read.damaged), (0, vec![0, 1], vec![2]));
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
