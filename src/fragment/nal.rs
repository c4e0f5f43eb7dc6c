//! NAL units of H.264 (ISO/IEC 14496-10, 7.3.1 and annex B) and H.265 (ISO/IEC 23008-2): told apart, sorted into picture
//! and parameter sets, and put into the form in which they stand in MP4 (ISO/IEC 14496-15): each after its length in 4
//! bytes, the parameter sets in the decoder configuration.

use super::FragmentError;
use super::init::{Config, config_of};
use crate::domain::{Codec, VideoParameters};
use bytes::{BufMut, Bytes, BytesMut};
use shiguredo_mp4::Encode;
use shiguredo_mp4::bitstream::{h264, h265};

/// How the NAL units of a frame are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// After start codes.
    AnnexB,
    /// Each after its length in this many bytes (1, 2 or 4), big-endian.
    Lengths(u8),
}

/// Parameter sets, each a whole NAL unit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ParameterSets {
    /// H.265 only.
    pub vps: Vec<Vec<u8>>,
    pub sps: Vec<Vec<u8>>,
    pub pps: Vec<Vec<u8>>,
}

/// One frame as it was received, sorted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessUnit {
    /// NAL units of the picture, each after its length in 4 bytes. Empty if there was no picture.
    pub data: Bytes,
    /// Whether decoding can begin here.
    pub sync: bool,
    /// Parameter sets that came with it. They are not in `data`.
    pub sets: ParameterSets,
}

impl ParameterSets {
    /// Takes over the kinds that `newer` has.
    pub fn update(&mut self, newer: ParameterSets) {
        for (mine, new) in [(&mut self.vps, newer.vps), (&mut self.sps, newer.sps), (&mut self.pps, newer.pps)] {
            if !new.is_empty() {
                *mine = new;
            }
        }
    }

    /// Whether a decoder configuration can be made of them.
    pub fn is_complete(&self, codec: Codec) -> bool {
        let needs_vps = codec == Codec::H265;
        !(self.sps.is_empty() || self.pps.is_empty() || (needs_vps && self.vps.is_empty()))
    }

    /// What a decoder must know, told by these sets.
    ///
    /// # Errors
    /// [`FragmentError::Configuration`] when one is missing or makes no sense.
    pub fn parameters(&self, codec: Codec) -> Result<VideoParameters, FragmentError> {
        let wrong = |source| FragmentError::Configuration { codec, source };
        let (config, visual) = match codec {
            Codec::H264 => {
                let how = h264::H264SampleEntryConfig { length_size: h264::LengthSize::FourBytes };
                let entry = h264::build_avc1_box(&self.sps, &self.pps, &how).map_err(wrong)?;
                (entry.avcc_box.encode_to_vec().map_err(wrong)?, entry.visual)
            }
            Codec::H265 => {
                let how = h265::H265SampleEntryConfig {
                    length_size: h265::LengthSize::FourBytes,
                    avg_frame_rate: h265::H265SampleEntryConfig::AVG_FRAME_RATE_UNSPECIFIED,
                    constant_frame_rate: h265::H265ConstantFrameRate::Unknown,
                };
                let entry = h265::build_hvc1_box(&self.vps, &self.sps, &self.pps, &how).map_err(wrong)?;
                (entry.hvcc_box.encode_to_vec().map_err(wrong)?, entry.visual)
            }
        };
        let payload = config.get(8..).unwrap_or_default();
        Ok(VideoParameters {
            codec,
            width_px: visual.width,
            height_px: visual.height,
            decoder_config: Bytes::copy_from_slice(payload),
        })
    }
}

/// Reads what a demuxer gives as a codec's extra data: a decoder configuration record (it begins with its version, 1), or
/// parameter sets after start codes, or nothing. Returns how the frames behind it are framed.
///
/// # Errors
/// [`FragmentError`] when it is neither.
pub fn extra_data(codec: Codec, bytes: &[u8]) -> Result<(Framing, ParameterSets), FragmentError> {
    if bytes.first() != Some(&1) {
        return Ok((Framing::AnnexB, access_unit(codec, Framing::AnnexB, bytes)?.sets));
    }
    let record = VideoParameters { codec, width_px: 0, height_px: 0, decoder_config: Bytes::copy_from_slice(bytes) };
    let mut sets = ParameterSets::default();
    match config_of(&record)? {
        Config::Avc(avcc) => (sets.sps, sets.pps) = (avcc.sps_list, avcc.pps_list),
        Config::Hevc(hvcc) => {
            for array in hvcc.nalu_arrays {
                match array.nal_unit_type.get() {
                    32 => sets.vps.extend(array.nalus),
                    33 => sets.sps.extend(array.nalus),
                    34 => sets.pps.extend(array.nalus),
                    _ => {}
                }
            }
        }
    }
    Ok((Framing::Lengths(4), sets))
}

/// Sorts the NAL units of one frame. Delimiters, end marks and filler are left out: they say nothing in MP4.
///
/// # Errors
/// [`FragmentError::NalUnits`] or [`FragmentError::AnnexB`] when they cannot be told apart.
pub fn access_unit(codec: Codec, framing: Framing, bytes: &[u8]) -> Result<AccessUnit, FragmentError> {
    let prefixed;
    let (bytes, length_bytes) = match framing {
        Framing::Lengths(length) => (bytes, length),
        Framing::AnnexB => {
            let four = h264::LengthSize::FourBytes;
            prefixed = h264::annexb_to_length_prefixed(bytes, four).map_err(FragmentError::AnnexB)?;
            (&prefixed[..], 4)
        }
    };
    let mut data = BytesMut::with_capacity(bytes.len());
    let mut sets = ParameterSets::default();
    let (mut sync, mut picture) = (false, false);
    for unit in units(bytes, length_bytes) {
        let unit = unit?;
        match kind(codec, unit) {
            Kind::Vps => keep(&mut sets.vps, unit),
            Kind::Sps => keep(&mut sets.sps, unit),
            Kind::Pps => keep(&mut sets.pps, unit),
            Kind::Superfluous => continue,
            Kind::RandomAccess => (sync, picture) = (true, true),
            Kind::Picture => picture = true,
            Kind::Other => {}
        }
        if !matches!(kind(codec, unit), Kind::Vps | Kind::Sps | Kind::Pps) {
            data.put_u32(u32::try_from(unit.len()).unwrap_or(u32::MAX));
            data.put_slice(unit);
        }
    }
    let data = if picture { data.freeze() } else { Bytes::new() };
    Ok(AccessUnit { data, sync, sets })
}

/// Cameras like to send a set twice with one frame.
fn keep(sets: &mut Vec<Vec<u8>>, unit: &[u8]) {
    if !sets.iter().any(|set| set == unit) {
        sets.push(unit.to_vec());
    }
}

/// Whether decoding can begin at a frame whose NAL units stand after 4-byte lengths.
pub fn is_random_access(codec: Codec, data: &[u8]) -> bool {
    units(data, 4).map_while(Result::ok).any(|unit| kind(codec, unit) == Kind::RandomAccess)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vps,
    Sps,
    Pps,
    RandomAccess,
    Picture,
    Superfluous,
    Other,
}

fn kind(codec: Codec, unit: &[u8]) -> Kind {
    let Some(first) = unit.first() else { return Kind::Superfluous };
    match codec {
        // ISO/IEC 14496-10, table 7-1.
        Codec::H264 => match first & 0x1F {
            5 => Kind::RandomAccess,
            1..=4 => Kind::Picture,
            7 => Kind::Sps,
            8 => Kind::Pps,
            9..=12 => Kind::Superfluous,
            _ => Kind::Other,
        },
        // ISO/IEC 23008-2, table 7-1. 16 to 23: BLA, IDR, CRA and what is reserved for their like.
        Codec::H265 => match (first >> 1) & 0x3F {
            16..=23 => Kind::RandomAccess,
            0..=31 => Kind::Picture,
            32 => Kind::Vps,
            33 => Kind::Sps,
            34 => Kind::Pps,
            35..=38 => Kind::Superfluous,
            _ => Kind::Other,
        },
    }
}

fn units(mut rest: &[u8], length_bytes: u8) -> impl Iterator<Item = Result<&[u8], FragmentError>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let width = usize::from(length_bytes);
        let Some((length, behind)) = rest.split_at_checked(width).filter(|_| matches!(width, 1 | 2 | 4)) else {
            rest = &[];
            return Some(Err(FragmentError::NalUnits { why: "a length is cut off" }));
        };
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let Some((unit, behind)) = behind.split_at_checked(length) else {
            rest = &[];
            return Some(Err(FragmentError::NalUnits { why: "one reaches beyond the frame" }));
        };
        rest = behind;
        Some(Ok(unit))
    })
}
