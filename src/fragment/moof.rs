//! One `moof` with its `mdat`: written, and read back.
//!
//! ```text
//! moof  8 | mfhd 16 | traf 8 | tfhd 16 | tfdt 20 (version 1) | trun 20 + 16 a sample | mdat 8 + samples
//! ```
//! Each sample of the `trun` carries duration, size, flags and composition offset, 4 bytes each.

use super::FragmentError;
use bytes::{BufMut, Bytes, BytesMut};
use shiguredo_mp4::boxes::{MfhdBox, MoofBox, TfdtBox, TfhdBox, TrafBox, TrunBox, TrunSample};
use shiguredo_mp4::{Decode, Encode, SampleFlags};
use std::ops::Range;

pub(super) const TRACK: u32 = 1;
/// `sample_depends_on` 2: on no other sample (ISO/IEC 14496-12, 8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// `sample_depends_on` 1, and `sample_is_non_sync_sample`.
const NOT_SYNC: u32 = 0x0101_0000;
const HEADER_BYTES: usize = 8;
const MOOF_BYTES: usize = 8 + 16 + 8 + 16 + 20 + 20;
const SAMPLE_BYTES: usize = 16;
const TFDT_TIME_AT: usize = 8 + 16 + 8 + 16 + 12;
const TRUN_FLAGS: [u8; 3] = [0x00, 0x0F, 0x01];

/// One sample of a fragment, in decode order.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub decode_90k: u64,
    pub shown_90k: u64,
    pub duration_90k: u32,
    pub sync: bool,
    pub data: Bytes,
}

/// Writes a fragment. Decode times must rise by each sample's duration.
pub(super) fn write(sequence: u32, samples: &[Sample]) -> Result<Bytes, FragmentError> {
    let moof_bytes = MOOF_BYTES + SAMPLE_BYTES * samples.len();
    let media_bytes: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let mdat_bytes = u32::try_from(HEADER_BYTES + media_bytes).map_err(|_| FragmentError::TimeOverflow)?;
    let data_offset = i32::try_from(moof_bytes + HEADER_BYTES).map_err(|_| FragmentError::TimeOverflow)?;
    let trun = TrunBox {
        data_offset: Some(data_offset),
        first_sample_flags: None,
        samples: samples.iter().map(entry).collect::<Result<_, _>>()?,
    };
    let traf = TrafBox {
        tfhd_box: TfhdBox {
            track_id: TRACK,
            base_data_offset: None,
            sample_description_index: None,
            default_sample_duration: None,
            default_sample_size: None,
            default_sample_flags: None,
            duration_is_empty: false,
            default_base_is_moof: true,
        },
        tfdt_box: Some(TfdtBox {
            version: 1,
            base_media_decode_time: samples.first().map_or(0, |sample| sample.decode_90k),
        }),
        trun_boxes: vec![trun],
        unknown_boxes: Vec::new(),
    };
    let moof =
        MoofBox { mfhd_box: MfhdBox { sequence_number: sequence }, traf_boxes: vec![traf], unknown_boxes: Vec::new() };
    let mut out = BytesMut::with_capacity(moof_bytes + HEADER_BYTES + media_bytes);
    out.resize(moof_bytes, 0);
    let written = moof.encode(&mut out).map_err(FragmentError::Write)?;
    if written != moof_bytes {
        return Err(FragmentError::NotAFragment { offset: written, why: "a moof of another length than laid out" });
    }
    out.put_u32(mdat_bytes);
    out.put_slice(b"mdat");
    for sample in samples {
        out.put_slice(&sample.data);
    }
    Ok(out.freeze())
}

fn entry(sample: &Sample) -> Result<TrunSample, FragmentError> {
    let offset = i128::from(sample.shown_90k) - i128::from(sample.decode_90k);
    Ok(TrunSample {
        duration: Some(sample.duration_90k),
        size: Some(u32::try_from(sample.data.len()).map_err(|_| FragmentError::TimeOverflow)?),
        flags: Some(SampleFlags::new(if sample.sync { SYNC } else { NOT_SYNC })),
        composition_time_offset: Some(i64::try_from(offset).map_err(|_| FragmentError::TimeOverflow)?),
    })
}

/// A fragment as it stands in memory.
#[derive(Debug)]
pub(super) struct Layout {
    pub sequence: u32,
    pub base_decode_90k: u64,
    /// Where `base_decode_90k` stands, 8 bytes, big-endian.
    pub base_decode_at: Range<usize>,
    pub samples: Vec<Placed>,
}

/// A sample as the `trun` tells it, and where its bytes are.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub decode_90k: u64,
    pub shown_90k: u64,
    pub duration_90k: u32,
    pub sync: bool,
    pub data: Range<usize>,
}

/// Reads a fragment as [`write`] writes it, and nothing else (F4).
pub(super) fn read(fragment: &[u8]) -> Result<Layout, FragmentError> {
    let mut at = 0;
    let moof = expect(fragment, &mut at, b"moof")?;
    let mdat = expect(fragment, &mut at, b"mdat")?;
    if at != fragment.len() {
        return Err(FragmentError::NotAFragment { offset: at, why: "bytes after the mdat" });
    }
    let mut at = moof.start + HEADER_BYTES;
    let moof_only = &fragment[..moof.end];
    let mfhd = expect(moof_only, &mut at, b"mfhd")?;
    let traf = expect(moof_only, &mut at, b"traf")?;
    if at != moof.end {
        return Err(FragmentError::NotAFragment { offset: at, why: "a box that does not belong into the moof" });
    }
    let mut at = traf.start + HEADER_BYTES;
    let tfhd = expect(moof_only, &mut at, b"tfhd")?;
    let tfdt = expect(moof_only, &mut at, b"tfdt")?;
    let trun = expect(moof_only, &mut at, b"trun")?;
    if at != traf.end {
        return Err(FragmentError::NotAFragment { offset: at, why: "a box that does not belong into the traf" });
    }
    // The reader of boxes would make up samples out of nothing where a run has no fields of its own.
    if fragment.get(trun.start + 9..trun.start + 12) != Some(&TRUN_FLAGS[..]) {
        return Err(FragmentError::NotAFragment { offset: trun.start, why: "a trun with other fields than ours" });
    }
    let sequence = decode::<MfhdBox>(fragment, &mfhd)?.sequence_number;
    if !decode::<TfhdBox>(fragment, &tfhd)?.default_base_is_moof {
        return Err(FragmentError::NotAFragment { offset: tfhd.start, why: "offsets that do not count from the moof" });
    }
    let time = decode::<TfdtBox>(fragment, &tfdt)?;
    if time.version != 1 || tfdt.start + 12 != TFDT_TIME_AT {
        return Err(FragmentError::NotAFragment { offset: tfdt.start, why: "a tfdt that is not ours" });
    }
    let run = decode::<TrunBox>(fragment, &trun)?;
    if run.data_offset.and_then(|offset| usize::try_from(offset).ok()) != Some(mdat.start + HEADER_BYTES) {
        return Err(FragmentError::NotAFragment { offset: trun.start, why: "samples that are not in the mdat" });
    }
    Ok(Layout {
        sequence,
        base_decode_90k: time.base_media_decode_time,
        base_decode_at: TFDT_TIME_AT..TFDT_TIME_AT + 8,
        samples: place(&run, time.base_media_decode_time, mdat.start + HEADER_BYTES..mdat.end)?,
    })
}

fn place(run: &TrunBox, base_90k: u64, media: Range<usize>) -> Result<Vec<Placed>, FragmentError> {
    let mut decode_90k = base_90k;
    let mut from = media.start;
    let mut samples = Vec::with_capacity(run.samples.len());
    for sample in &run.samples {
        let duration_90k = sample.duration.unwrap_or(0);
        let shown_90k = sample
            .composition_time_offset
            .and_then(|offset| decode_90k.checked_add_signed(offset))
            .ok_or(FragmentError::TimeOverflow)?;
        let to = sample
            .size
            .and_then(|size| from.checked_add(usize::try_from(size).ok()?))
            .filter(|to| *to <= media.end)
            .ok_or(FragmentError::NotAFragment { offset: from, why: "a sample that reaches beyond the mdat" })?;
        let sync = sample.flags.is_some_and(|flags| !flags.sample_is_non_sync_sample());
        samples.push(Placed { decode_90k, shown_90k, duration_90k, sync, data: from..to });
        decode_90k = decode_90k.checked_add(u64::from(duration_90k)).ok_or(FragmentError::TimeOverflow)?;
        from = to;
    }
    if from != media.end {
        return Err(FragmentError::NotAFragment { offset: from, why: "bytes of the mdat that belong to no sample" });
    }
    Ok(samples)
}

/// The box of this kind that must stand at `at`; moves `at` behind it.
fn expect(bytes: &[u8], at: &mut usize, kind: &[u8; 4]) -> Result<Range<usize>, FragmentError> {
    let start = *at;
    let whole = bytes.get(start..).and_then(|rest| {
        let size = usize::try_from(u32::from_be_bytes(*rest.first_chunk::<4>()?)).ok()?;
        (rest.get(4..8)? == kind && size >= HEADER_BYTES && size <= rest.len()).then_some(start..start + size)
    });
    let whole = whole.ok_or(FragmentError::NotAFragment { offset: start, why: "another box, or a cut one" })?;
    *at = whole.end;
    Ok(whole)
}

fn decode<B: Decode>(fragment: &[u8], place: &Range<usize>) -> Result<B, FragmentError> {
    match B::decode(&fragment[place.clone()]) {
        Ok((decoded, used)) if used == place.len() => Ok(decoded),
        Ok(_) => Err(FragmentError::NotAFragment { offset: place.start, why: "a box longer than its content" }),
        Err(source) => Err(FragmentError::Box { offset: place.start, source }),
    }
}
