//! The init segment (`ftyp` and `moov`), and the codec's name for playlists.

use super::moof::TRACK;
use super::{FragmentError, TIMESCALE};
use crate::domain::{Codec, VideoParameters};
use bytes::Bytes;
use shiguredo_mp4::boxes::{
    AvccBox, Brand, DinfBox, FreeBox, FtypBox, HdlrBox, HvccBox, MdhdBox, MdiaBox, MediaHeader, MinfBox, MoovBox,
    MvexBox, MvhdBox, SampleEntry, StblBox, StcoBox, StscBox, StsdBox, StszBox, SttsBox, TkhdBox, TrakBox, TrexBox,
    UnknownBox, VisualSampleEntryFields, VmhdBox,
};
use shiguredo_mp4::{
    BoxSize, BoxType, Decode, Either, Encode, FixedPointNumber, LanguageCode, Mp4FileTime, SampleFlags,
};
use std::num::NonZeroU32;

/// `ftyp` and `moov` for one video track (F1). The decoder configuration stands in it byte for byte as the camera's
/// stream gave it, after a look whether it is one.
///
/// # Errors
/// [`FragmentError::Configuration`] when it is none.
pub fn init_segment(parameters: &VideoParameters) -> Result<Bytes, FragmentError> {
    config_of(parameters)?;
    let brand = match parameters.codec {
        Codec::H264 => Brand::AVC1,
        Codec::H265 => Brand::HVC1,
    };
    let ftyp = FtypBox {
        major_brand: Brand::ISO5,
        minor_version: 0,
        compatible_brands: vec![Brand::ISOM, Brand::ISO5, Brand::ISO6, Brand::MP41, brand],
    };
    let mut out = ftyp.encode_to_vec().map_err(FragmentError::Write)?;
    out.extend(movie(parameters)?.encode_to_vec().map_err(FragmentError::Write)?);
    Ok(out.into())
}

/// A box that players pass over (`free`: ISO/IEC 14496-12, 8.1.2), with a text that stands on lines of its own: what a film
/// carries about itself.
///
/// # Errors
/// [`FragmentError::Write`] when the text is longer than a box can be.
pub fn note(text: &str) -> Result<Bytes, FragmentError> {
    let note = FreeBox { payload: format!("\n{text}\n").into_bytes() };
    Ok(note.encode_to_vec().map_err(FragmentError::Write)?.into())
}

/// The codec as playlists name it (RFC 6381; ISO/IEC 14496-15, annex E): `avc1.4d401f`, `hvc1.1.6.L93.B0`.
///
/// # Errors
/// [`FragmentError::Configuration`] when the decoder configuration is none.
pub fn rfc6381(parameters: &VideoParameters) -> Result<String, FragmentError> {
    let entry = match config_of(parameters)? {
        Config::Avc(avcc_box) => SampleEntry::Avc1(shiguredo_mp4::boxes::Avc1Box {
            visual: visual(parameters),
            avcc_box,
            unknown_boxes: Vec::new(),
        }),
        Config::Hevc(hvcc_box) => SampleEntry::Hvc1(shiguredo_mp4::boxes::Hvc1Box {
            visual: visual(parameters),
            hvcc_box,
            unknown_boxes: Vec::new(),
        }),
    };
    shiguredo_mp4::codec_string::from_sample_entry(&entry)
        .map_err(|source| FragmentError::Configuration { codec: parameters.codec, source })
}

/// Whether an init segment tells of one track of video, and of nothing else (F1).
///
/// # Errors
/// [`FragmentError::NotAFragment`], [`FragmentError::Box`] where it does not.
pub fn holds_one_video_track(init: &[u8]) -> Result<(), FragmentError> {
    let wrong = |offset| move |source| FragmentError::Box { offset, source };
    let (_, offset) = FtypBox::decode(init).map_err(wrong(0))?;
    let rest = init.get(offset..).unwrap_or_default();
    let (movie, length) = MoovBox::decode(rest).map_err(wrong(offset))?;
    let is_video = |track: &TrakBox| track.mdia_box.hdlr_box.handler_type == HdlrBox::HANDLER_TYPE_VIDE;
    match &movie.trak_boxes[..] {
        [track] if is_video(track) && length == rest.len() => Ok(()),
        _ => Err(FragmentError::NotAFragment { offset, why: "an init segment has one track of video" }),
    }
}

pub(super) enum Config {
    Avc(AvccBox),
    Hevc(HvccBox),
}

/// Reads the decoder configuration.
pub(super) fn config_of(parameters: &VideoParameters) -> Result<Config, FragmentError> {
    let codec = parameters.codec;
    let boxed = config_box(codec, &parameters.decoder_config).map_err(FragmentError::Write)?;
    let wrong = |source| FragmentError::Configuration { codec, source };
    let (config, sets_of_length) = match codec {
        Codec::H264 => {
            let avcc = AvccBox::decode(&boxed).map_err(wrong)?.0;
            let length = avcc.length_size_minus_one.get();
            (Config::Avc(avcc), length)
        }
        Codec::H265 => {
            let hvcc = HvccBox::decode(&boxed).map_err(wrong)?.0;
            let length = hvcc.length_size_minus_one.get();
            (Config::Hevc(hvcc), length)
        }
    };
    if sets_of_length != 3 {
        return Err(FragmentError::ConfigurationLacks { codec, what: "NAL lengths of 4 bytes" });
    }
    Ok(config)
}

fn config_box(codec: Codec, payload: &[u8]) -> Result<Vec<u8>, shiguredo_mp4::Error> {
    let box_type = match codec {
        Codec::H264 => AvccBox::TYPE,
        Codec::H265 => HvccBox::TYPE,
    };
    plain_box(box_type, payload.to_vec()).encode_to_vec()
}

fn plain_box(box_type: BoxType, payload: Vec<u8>) -> UnknownBox {
    let box_size = BoxSize::with_payload_size(box_type, payload.len() as u64);
    UnknownBox { box_type, box_size, payload }
}

fn visual(parameters: &VideoParameters) -> VisualSampleEntryFields {
    VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width: parameters.width_px,
        height: parameters.height_px,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    }
}

/// The sample entry, written around the configuration as it came: a reader and writer of `avcC` would drop or refuse
/// what real cameras leave out or add.
fn sample_entry(parameters: &VideoParameters) -> Result<SampleEntry, FragmentError> {
    let mut payload = visual(parameters).encode_to_vec().map_err(FragmentError::Write)?;
    payload.extend(config_box(parameters.codec, &parameters.decoder_config).map_err(FragmentError::Write)?);
    let box_type = match parameters.codec {
        Codec::H264 => BoxType::Normal(*b"avc1"),
        Codec::H265 => BoxType::Normal(*b"hvc1"),
    };
    Ok(SampleEntry::Unknown(plain_box(box_type, payload)))
}

fn movie(parameters: &VideoParameters) -> Result<MoovBox, FragmentError> {
    const SCALE: NonZeroU32 = NonZeroU32::new(TIMESCALE).unwrap();
    let untold = Mp4FileTime::default();
    let mvhd_box = MvhdBox {
        creation_time: untold,
        modification_time: untold,
        timescale: SCALE,
        duration: 0,
        rate: MvhdBox::DEFAULT_RATE,
        volume: MvhdBox::DEFAULT_VOLUME,
        matrix: MvhdBox::DEFAULT_MATRIX,
        next_track_id: TRACK + 1,
    };
    let mvex_box = MvexBox {
        mehd_box: None,
        trex_boxes: vec![TrexBox {
            track_id: TRACK,
            default_sample_description_index: 1,
            default_sample_duration: 0,
            default_sample_size: 0,
            default_sample_flags: SampleFlags::new(0),
        }],
        unknown_boxes: Vec::new(),
    };
    Ok(MoovBox {
        mvhd_box,
        trak_boxes: vec![track(parameters, untold, SCALE)?],
        mvex_box: Some(mvex_box),
        unknown_boxes: Vec::new(),
    })
}

fn track(parameters: &VideoParameters, untold: Mp4FileTime, scale: NonZeroU32) -> Result<TrakBox, FragmentError> {
    let pixels = |px: u16| i16::try_from(px).unwrap_or(i16::MAX);
    let tkhd_box = TkhdBox {
        flag_track_enabled: true,
        flag_track_in_movie: true,
        flag_track_in_preview: false,
        flag_track_size_is_aspect_ratio: false,
        creation_time: untold,
        modification_time: untold,
        track_id: TRACK,
        duration: 0,
        layer: TkhdBox::DEFAULT_LAYER,
        alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
        volume: TkhdBox::DEFAULT_VIDEO_VOLUME,
        matrix: TkhdBox::DEFAULT_MATRIX,
        width: FixedPointNumber::new(pixels(parameters.width_px), 0),
        height: FixedPointNumber::new(pixels(parameters.height_px), 0),
    };
    let stbl_box = StblBox {
        stsd_box: StsdBox { entries: vec![sample_entry(parameters)?] },
        stts_box: SttsBox { entries: Vec::new() },
        ctts_box: None,
        cslg_box: None,
        stsc_box: StscBox { entries: Vec::new() },
        stsz_box: StszBox::Variable { entry_sizes: Vec::new() },
        stco_or_co64_box: Either::A(StcoBox { chunk_offsets: Vec::new() }),
        stss_box: None,
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    };
    Ok(TrakBox {
        tkhd_box,
        edts_box: None,
        mdia_box: MdiaBox {
            mdhd_box: MdhdBox {
                creation_time: untold,
                modification_time: untold,
                timescale: scale,
                duration: 0,
                language: LanguageCode::UNDEFINED,
            },
            hdlr_box: HdlrBox { handler_type: HdlrBox::HANDLER_TYPE_VIDE, name: b"video\0".to_vec() },
            minf_box: MinfBox {
                media_header: Some(MediaHeader::Vmhd(VmhdBox::default())),
                dinf_box: DinfBox::LOCAL_FILE,
                stbl_box,
                unknown_boxes: Vec::new(),
            },
            unknown_boxes: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    })
}
