//! The manifest: what happened to the segments of one volume, UTC day and retention period, in order.
//!
//! A header of 64 bytes, then records: length (4), CRC-32C of the payload (4), payload. The head is a running digest:
//! `SHA-256(header)` first, then `SHA-256(head before ‖ payload)` for each record. Ledger checkpoints carry heads, so
//! a record that is changed, left out or slipped in later contradicts a checkpoint that somebody else holds.

use super::carried::CarriedSegment;
use super::{FORMAT_VERSION, SegmentError};
use crate::crypto::PublicKey;
use crate::disk::PhysicalRange;
use crate::domain::{
    CameraNumber, Correction, Day, DayKeyId, DestructionTrigger, Digest, Doubt, GapCause, Mark, Overwrite, Retention,
    SegmentId, Span, Utc, VolumeId,
};
use bytes::{Buf, BufMut, TryGetError};
use std::time::Duration;

pub const MANIFEST_HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"CUSTODMF";
/// In the place of a doubt's name.
const NO_DOUBT: i64 = i64::MIN;
pub(super) const RECORD_PREFIX_BYTES: usize = 8;

/// Of a hold manifest: the manifest whose held segments it carries on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CarriesOn {
    /// Tells the hold manifests of a day and retention apart; never 0.
    pub number: u32,
    /// The name of the manifest before it.
    pub manifest: u64,
}

/// What a manifest is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ManifestHeader {
    pub volume: VolumeId,
    pub day: Day,
    pub retention: Retention,
    /// `None` for one that segments are opened in.
    pub carries_on: Option<CarriesOn>,
}

impl ManifestHeader {
    pub fn to_bytes(&self) -> [u8; MANIFEST_HEADER_BYTES] {
        let mut out = [0; MANIFEST_HEADER_BYTES];
        let mut to = &mut out[..];
        to.put_slice(MAGIC);
        to.put_u16(FORMAT_VERSION);
        to.put_u16(match self.retention {
            Retention::Ceiling(_) => 0,
            Retention::Floor(_) => 1,
        });
        to.put_u32(self.day.0);
        to.put_u64(self.retention.period().as_secs());
        to.put_slice(&self.volume.0);
        if let Some(CarriesOn { number, manifest }) = self.carries_on {
            to.put_u32(number);
            to.put_u64(manifest);
        }
        let crc = crc32c::crc32c(&out[..MANIFEST_HEADER_BYTES - 4]);
        out[MANIFEST_HEADER_BYTES - 4..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// # Errors
    /// [`SegmentError::Damaged`], [`SegmentError::NewerVersion`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SegmentError> {
        let damaged = SegmentError::Damaged { what: "a manifest's header", at_bytes: 0 };
        if bytes.len() < MANIFEST_HEADER_BYTES || &bytes[..8] != MAGIC {
            return Err(damaged);
        }
        let mut from = &bytes[8..MANIFEST_HEADER_BYTES];
        let version = from.get_u16();
        if version > FORMAT_VERSION {
            return Err(SegmentError::NewerVersion { what: "a manifest", found: version, newest: FORMAT_VERSION });
        }
        let kind = from.get_u16();
        let day = Day(from.get_u32());
        let period = Duration::from_secs(from.get_u64());
        let mut volume = [0; 16];
        from.copy_to_slice(&mut volume);
        let (number, manifest) = (from.get_u32(), from.get_u64());
        let retention = match kind {
            0 => Retention::Ceiling(period),
            1 => Retention::Floor(period),
            _ => return Err(damaged),
        };
        let carries_on = (number > 0).then_some(CarriesOn { number, manifest });
        let header = Self { volume: VolumeId(volume), day, retention, carries_on };
        // The head begins with the header as it is written; this covers the CRC, and reserved bytes.
        if header.to_bytes() == bytes[..MANIFEST_HEADER_BYTES] { Ok(header) } else { Err(damaged) }
    }
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ManifestRecord {
    /// A day key was made. Its public half here is the one that counts, not the one in the key file.
    DayKeyMade { day_key: DayKeyId, camera: CameraNumber, public: PublicKey },
    /// A segment's file was made; `head` is the digest of its first block.
    Opened { segment: SegmentId, camera: CameraNumber, start: Utc, day_key: DayKeyId, head: Digest },
    /// A segment came to its end: at its footer, or cut after `chunks`.
    Sealed {
        segment: SegmentId,
        chunks: u32,
        bytes: u64,
        allocated_bytes: u64,
        end: Utc,
        digest: Digest,
        has_footer: bool,
        /// Where it stands on the device; empty where the file system does not tell.
        ranges: Vec<PhysicalRange>,
    },
    /// There is no footage of a camera for a span.
    Gap { camera: CameraNumber, span: Span, cause: GapCause },
    /// A held segment was moved apart from the rolling footage (PIPA 21(3)).
    SetApart { segment: SegmentId },
    /// A segment's key block was overwritten and flushed: it is unreadable from here on.
    KeyDestroyed { segment: SegmentId, at: Utc },
    /// A segment's blocks were overwritten and released. `read_back_percent` of them were read back; 0 where that was not
    /// noted.
    Erased {
        segment: SegmentId,
        at: Utc,
        trigger: DestructionTrigger,
        overwrite: Overwrite,
        bytes: u64,
        read_back_percent: u8,
    },
    /// All slots of a day key were overwritten.
    DayKeyDestroyed { day_key: DayKeyId, at: Utc },
    /// Every erasure recorded before this is a flushed row of the ledger.
    ReceiptsCopied,
    /// Every erasure recorded before byte `end_bytes` of this manifest, of a segment that begins before `before`, is a
    /// flushed row of the ledger.
    ReceiptsCopiedTo { end_bytes: u64, before: Utc },
    /// A segment is due from here on, though its period has not ended.
    Condemned { segment: SegmentId, at: Utc, trigger: DestructionTrigger },
    /// A held segment was carried here from the manifest before, with all that is wanted of it. It stands apart.
    Carried(Box<CarriedSegment>),
    /// What is opened, and the gaps that are recorded, from here up to the next record of this kind were dated in a
    /// doubt; without a mark: in none, as before the first of them.
    InDoubt { mark: Option<Mark> },
    /// A doubt has ended: all that this manifest has of it was filmed so much later than it says.
    Corrected { doubt: Doubt, correction: Correction },
}

impl ManifestRecord {
    fn payload(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(96);
        match self {
            Self::DayKeyMade { day_key, camera, public } => {
                to.put_u8(1);
                to.put_u64(day_key.0);
                to.put_u16(camera.get());
                to.put_slice(&public.0);
            }
            Self::Opened { segment, camera, start, day_key, head } => {
                to.put_u8(2);
                to.put_u64(segment.0);
                to.put_u16(camera.get());
                to.put_i64(start.micros());
                to.put_u64(day_key.0);
                to.put_slice(&head.0);
            }
            Self::Sealed { segment, chunks, bytes, allocated_bytes, end, digest, has_footer, ranges } => {
                to.put_u8(3);
                to.put_u64(segment.0);
                to.put_u32(*chunks);
                to.put_u64(*bytes);
                to.put_u64(*allocated_bytes);
                to.put_i64(end.micros());
                to.put_slice(&digest.0);
                to.put_u8(u8::from(*has_footer));
                put_ranges(&mut to, ranges);
            }
            Self::Gap { camera, span, cause } => {
                to.put_u8(4);
                to.put_u16(camera.get());
                to.put_i64(span.from().micros());
                to.put_i64(span.to().micros());
                to.put_u8(cause_code(*cause));
            }
            Self::SetApart { segment } => {
                to.put_u8(5);
                to.put_u64(segment.0);
            }
            Self::KeyDestroyed { segment, at } => {
                to.put_u8(6);
                to.put_u64(segment.0);
                to.put_i64(at.micros());
            }
            Self::Erased { segment, at, trigger, overwrite, bytes, read_back_percent } => {
                to.put_u8(if *read_back_percent == 0 { 7 } else { 31 });
                to.put_u64(segment.0);
                to.put_i64(at.micros());
                to.put_u8(trigger_code(*trigger));
                to.put_u8(overwrite_code(*overwrite));
                to.put_u64(*bytes);
                if *read_back_percent > 0 {
                    to.put_u8(*read_back_percent);
                }
            }
            Self::DayKeyDestroyed { day_key, at } => {
                to.put_u8(8);
                to.put_u64(day_key.0);
                to.put_i64(at.micros());
            }
            Self::ReceiptsCopied => to.put_u8(9),
            Self::ReceiptsCopiedTo { end_bytes, before } => {
                to.put_u8(30);
                to.put_u64(*end_bytes);
                to.put_i64(before.micros());
            }
            Self::Condemned { segment, at, trigger } => {
                to.put_u8(10);
                to.put_u64(segment.0);
                to.put_i64(at.micros());
                to.put_u8(trigger_code(*trigger));
            }
            Self::Carried(carried) => {
                to.put_u8(11);
                carried.put(&mut to);
            }
            Self::InDoubt { mark } => {
                to.put_u8(20);
                to.put_i64(mark.map_or(NO_DOUBT, |mark| mark.doubt.0.micros()));
                to.put_u8(u8::from(mark.is_some_and(|mark| mark.is_known)));
            }
            Self::Corrected { doubt, correction } => {
                to.put_u8(21);
                to.put_i64(doubt.0.micros());
                to.put_i64(correction.least_micros);
                to.put_i64(correction.most_micros);
            }
        }
        to
    }

    /// The record as it is appended.
    pub fn to_bytes(&self) -> Vec<u8> {
        let payload = self.payload();
        let mut out = Vec::with_capacity(RECORD_PREFIX_BYTES + payload.len());
        out.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        out.put_u32(crc32c::crc32c(&payload));
        out.put_slice(&payload);
        out
    }

    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let mut from = payload;
        let record = Self::take(&mut from).ok().flatten()?;
        // One way to write a record.
        (record.payload() == payload).then_some(record)
    }

    fn take(from: &mut &[u8]) -> Result<Option<Self>, TryGetError> {
        let record = match from.try_get_u8()? {
            1 => {
                let day_key = DayKeyId(from.try_get_u64()?);
                let camera = CameraNumber::new(from.try_get_u16()?);
                let public = PublicKey(take_array(from)?);
                camera.map(|camera| Self::DayKeyMade { day_key, camera, public })
            }
            2 => {
                let segment = SegmentId(from.try_get_u64()?);
                let camera = CameraNumber::new(from.try_get_u16()?);
                let start = Utc::from_micros(from.try_get_i64()?);
                let day_key = DayKeyId(from.try_get_u64()?);
                let head = Digest(take_array(from)?);
                camera.map(|camera| Self::Opened { segment, camera, start, day_key, head })
            }
            3 => Some(Self::Sealed {
                segment: SegmentId(from.try_get_u64()?),
                chunks: from.try_get_u32()?,
                bytes: from.try_get_u64()?,
                allocated_bytes: from.try_get_u64()?,
                end: Utc::from_micros(from.try_get_i64()?),
                digest: Digest(take_array(from)?),
                has_footer: from.try_get_u8()? != 0,
                ranges: take_ranges(from)?,
            }),
            4 => {
                let camera = CameraNumber::new(from.try_get_u16()?);
                let (start, end) = (from.try_get_i64()?, from.try_get_i64()?);
                let span = Span::new(Utc::from_micros(start), Utc::from_micros(end)).ok();
                let cause = cause_from(from.try_get_u8()?);
                camera.zip(span).zip(cause).map(|((camera, span), cause)| Self::Gap { camera, span, cause })
            }
            5 => Some(Self::SetApart { segment: SegmentId(from.try_get_u64()?) }),
            6 => Some(Self::KeyDestroyed {
                segment: SegmentId(from.try_get_u64()?),
                at: Utc::from_micros(from.try_get_i64()?),
            }),
            7 => take_erased(from, false)?,
            8 => Some(Self::DayKeyDestroyed {
                day_key: DayKeyId(from.try_get_u64()?),
                at: Utc::from_micros(from.try_get_i64()?),
            }),
            9 => Some(Self::ReceiptsCopied),
            30 => Some(Self::ReceiptsCopiedTo {
                end_bytes: from.try_get_u64()?,
                before: Utc::from_micros(from.try_get_i64()?),
            }),
            31 => take_erased(from, true)?,
            10 => {
                let segment = SegmentId(from.try_get_u64()?);
                let at = Utc::from_micros(from.try_get_i64()?);
                let trigger = trigger_from(from.try_get_u8()?).filter(|trigger| trigger.condemns());
                trigger.map(|trigger| Self::Condemned { segment, at, trigger })
            }
            11 => CarriedSegment::take(from)?.map(|carried| Self::Carried(Box::new(carried))),
            20 => {
                let micros = from.try_get_i64()?;
                let (doubt, is_known) = (Doubt(Utc::from_micros(micros)), from.try_get_u8()? != 0);
                Some(Self::InDoubt { mark: (micros != NO_DOUBT).then_some(Mark { doubt, is_known }) })
            }
            21 => {
                let doubt = Doubt(Utc::from_micros(from.try_get_i64()?));
                let correction = Correction { least_micros: from.try_get_i64()?, most_micros: from.try_get_i64()? };
                let is_one = correction.least_micros <= correction.most_micros && doubt.0.micros() != NO_DOUBT;
                is_one.then_some(Self::Corrected { doubt, correction })
            }
            _ => None,
        };
        Ok(record)
    }
}

impl ManifestRecord {
    /// How long a payload of its kind is; of one with ranges, as many as it says.
    pub(super) fn payload_bytes(payload: &[u8]) -> Option<usize> {
        const SEALED_BYTES: usize = 1 + 8 + 4 + 8 + 8 + 8 + 32 + 1 + 4;
        const CARRIED_BYTES: usize = 1 + 8 + 2 + 8 + 8 + 8 + 32 + 4 + 8 + 8 + 32 + 1 + 4;
        const RANGE_BYTES: usize = 16;
        let with_ranges = |bytes: usize| {
            let ranges = payload.get(bytes - 4..bytes)?.get_u32() as usize;
            Some(bytes + ranges.checked_mul(RANGE_BYTES)?)
        };
        Some(match payload.first()? {
            1 => 1 + 8 + 2 + 32,
            2 => 1 + 8 + 2 + 8 + 8 + 32,
            3 => with_ranges(SEALED_BYTES)?,
            4 => 1 + 2 + 8 + 8 + 1,
            5 => 1 + 8,
            6 | 8 => 1 + 8 + 8,
            7 => 1 + 8 + 8 + 1 + 1 + 8,
            9 => 1,
            30 => 1 + 8 + 8,
            31 => 1 + 8 + 8 + 1 + 1 + 8 + 1,
            10 => 1 + 8 + 8 + 1,
            11 => with_ranges(CARRIED_BYTES)?,
            20 => 1 + 8 + 1,
            21 => 1 + 8 + 8 + 8,
            _ => return None,
        })
    }
}

fn take_erased(from: &mut &[u8], has_share: bool) -> Result<Option<ManifestRecord>, TryGetError> {
    let segment = SegmentId(from.try_get_u64()?);
    let at = Utc::from_micros(from.try_get_i64()?);
    let trigger = trigger_from(from.try_get_u8()?);
    let overwrite = overwrite_from(from.try_get_u8()?);
    let bytes = from.try_get_u64()?;
    let read_back_percent = if has_share { from.try_get_u8()? } else { 0 };
    let (Some(trigger), Some(overwrite), 0..=100) = (trigger, overwrite, read_back_percent) else { return Ok(None) };
    Ok(Some(ManifestRecord::Erased { segment, at, trigger, overwrite, bytes, read_back_percent }))
}

pub(super) fn take_array<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], TryGetError> {
    let mut out = [0; N];
    from.try_copy_to_slice(&mut out)?;
    Ok(out)
}

pub(super) fn put_ranges(to: &mut Vec<u8>, ranges: &[PhysicalRange]) {
    to.put_u32(u32::try_from(ranges.len()).unwrap_or(u32::MAX));
    for range in ranges {
        to.put_u64(range.offset_bytes);
        to.put_u64(range.length_bytes);
    }
}

pub(super) fn take_ranges(from: &mut &[u8]) -> Result<Vec<PhysicalRange>, TryGetError> {
    let count = from.try_get_u32()?;
    let mut ranges = Vec::new();
    for _ in 0..count {
        ranges.push(PhysicalRange { offset_bytes: from.try_get_u64()?, length_bytes: from.try_get_u64()? });
    }
    Ok(ranges)
}

const CAUSES: [GapCause; 11] = [
    GapCause::Unreachable,
    GapCause::Unauthorized,
    GapCause::Unreadable,
    GapCause::Disconnected,
    GapCause::Stalled,
    GapCause::NotRunning,
    GapCause::VolumeFailed,
    GapCause::Overrun,
    GapCause::OutsideHours,
    GapCause::DiskFull,
    GapCause::NoOperation,
];
const TRIGGERS: [DestructionTrigger; 5] = [
    DestructionTrigger::Expiry,
    DestructionTrigger::HoldEnded,
    DestructionTrigger::NeverCommitted,
    DestructionTrigger::Early,
    DestructionTrigger::ErasureRequest,
];
const OVERWRITES: [Overwrite; 6] = [
    Overwrite::Proven,
    Overwrite::DeviceUnproven,
    Overwrite::RangesDiffer,
    Overwrite::ReadBackDiffers,
    Overwrite::NothingThere,
    Overwrite::ReadBackFailed,
];

fn code_in<T: PartialEq>(list: &[T], value: &T) -> u8 {
    list.iter().position(|known| known == value).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

fn cause_code(cause: GapCause) -> u8 {
    code_in(&CAUSES, &cause)
}

fn cause_from(code: u8) -> Option<GapCause> {
    CAUSES.get(usize::from(code)).copied()
}

fn trigger_code(trigger: DestructionTrigger) -> u8 {
    code_in(&TRIGGERS, &trigger)
}

fn trigger_from(code: u8) -> Option<DestructionTrigger> {
    TRIGGERS.get(usize::from(code)).copied()
}

fn overwrite_code(overwrite: Overwrite) -> u8 {
    code_in(&OVERWRITES, &overwrite)
}

fn overwrite_from(code: u8) -> Option<Overwrite> {
    OVERWRITES.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::super::records::{RecordReader, first_head, next_head};
    use super::*;
    use crate::domain::ManifestHead;
    use proptest::prelude::*;

    fn header() -> ManifestHeader {
        ManifestHeader {
            volume: VolumeId([9; 16]),
            day: Day(20_000),
            retention: Retention::Ceiling(Duration::from_secs(30 * 86_400)),
            carries_on: None,
        }
    }

    fn records() -> Vec<ManifestRecord> {
        let camera = CameraNumber::new(7).unwrap();
        let (segment, day_key, at) = (SegmentId(1), DayKeyId(2), Utc::from_micros(3));
        let span = Span::new(Utc::from_micros(1), Utc::from_micros(2)).unwrap();
        let mut all = vec![
            ManifestRecord::DayKeyMade { day_key, camera, public: PublicKey([5; 32]) },
            ManifestRecord::Opened { segment, camera, start: at, day_key, head: Digest([6; 32]) },
            ManifestRecord::Sealed {
                segment,
                chunks: 61,
                bytes: 30_000_000,
                allocated_bytes: 31_457_280,
                end: at,
                digest: Digest([8; 32]),
                has_footer: true,
                ranges: vec![PhysicalRange { offset_bytes: 1, length_bytes: 2 }; 3],
            },
            ManifestRecord::SetApart { segment },
            ManifestRecord::KeyDestroyed { segment, at },
            ManifestRecord::DayKeyDestroyed { day_key, at },
            ManifestRecord::ReceiptsCopied,
            ManifestRecord::Carried(Box::new(CarriedSegment {
                segment,
                camera,
                start: at,
                end: Utc::from_micros(60_000_003),
                day_key,
                head: Digest([6; 32]),
                chunks: 61,
                bytes: 30_000_000,
                allocated_bytes: 31_457_280,
                digest: Digest([8; 32]),
                has_footer: true,
                ranges: vec![PhysicalRange { offset_bytes: 1, length_bytes: 2 }; 3],
            })),
            ManifestRecord::ReceiptsCopiedTo { end_bytes: 99, before: at },
            ManifestRecord::InDoubt { mark: Some(Mark { doubt: Doubt(at), is_known: true }) },
            ManifestRecord::InDoubt { mark: Some(Mark { doubt: Doubt(at), is_known: false }) },
            ManifestRecord::InDoubt { mark: None },
            ManifestRecord::Corrected {
                doubt: Doubt(at),
                correction: Correction { least_micros: -7, most_micros: 40 },
            },
        ];
        all.extend(CAUSES.map(|cause| ManifestRecord::Gap { camera, span, cause }));
        let condemning = TRIGGERS.into_iter().filter(|trigger| trigger.condemns());
        all.extend(condemning.map(|trigger| ManifestRecord::Condemned { segment, at, trigger }));
        for trigger in TRIGGERS {
            for read_back_percent in [0, 5, 100] {
                all.extend(OVERWRITES.map(|overwrite| ManifestRecord::Erased {
                    segment,
                    at,
                    trigger,
                    overwrite,
                    bytes: 4,
                    read_back_percent,
                }));
            }
        }
        all
    }

    fn written(records: &[ManifestRecord]) -> (Vec<u8>, ManifestHead) {
        let mut bytes = header().to_bytes().to_vec();
        let mut head = first_head(&header());
        for record in records {
            let record = record.to_bytes();
            head = next_head(head, &record);
            bytes.extend_from_slice(&record);
        }
        (bytes, head)
    }

    #[test]
    fn every_record_reads_back_and_the_heads_agree() {
        let (bytes, head) = written(&records());
        let (told, mut reader) = RecordReader::new(&bytes).unwrap();
        assert_eq!(told, header());
        assert_eq!(reader.by_ref().collect::<Vec<_>>(), records());
        assert_eq!(reader.head(), head);
        assert_eq!(reader.offset_bytes(), bytes.len() as u64);
    }

    #[test]
    fn a_torn_tail_ends_the_reading_and_a_changed_record_changes_the_head() {
        let (bytes, head) = written(&records());
        let (_, mut reader) = RecordReader::new(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(reader.by_ref().count(), records().len() - 1);
        let mut without_first = records();
        without_first.remove(0);
        assert_ne!(written(&without_first).1.digest, head.digest);
    }

    #[test]
    fn a_hold_manifest_says_which_it_carries_on() {
        let carries_on = Some(CarriesOn { number: 2, manifest: 0x0123_4567_89AB_CDEF });
        let of_holds = ManifestHeader { carries_on, ..header() };
        assert_eq!(ManifestHeader::parse(&of_holds.to_bytes()).unwrap(), of_holds);
        // A name without a number says two things.
        let mut neither = of_holds.to_bytes();
        neither[40..44].fill(0);
        let crc = crc32c::crc32c(&neither[..MANIFEST_HEADER_BYTES - 4]);
        neither[MANIFEST_HEADER_BYTES - 4..].copy_from_slice(&crc.to_be_bytes());
        assert!(ManifestHeader::parse(&neither).is_err());
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut bytes = header().to_bytes();
        bytes[9] = 2;
        let told = ManifestHeader::parse(&bytes).unwrap_err().to_string();
        assert_eq!(told, "a manifest is of format version 2, this program reads up to 1; use a newer Custodian");
    }

    proptest! {
        #[test]
        fn garbage_neither_panics_nor_grows(mut bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
            let mut whole = header().to_bytes().to_vec();
            whole.append(&mut bytes);
            let (_, reader) = RecordReader::new(&whole).unwrap();
            prop_assert!(reader.count() <= whole.len() / RECORD_PREFIX_BYTES);
        }
    }
}
