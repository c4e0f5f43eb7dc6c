use super::footage::{FILMED, Footage, decoded_frames, film, probe};
use super::nal::{self, Framing, ParameterSets};
use super::*;
use crate::domain::{Frame, Utc, VideoParameters};
use bytes::Bytes;
use proptest::prelude::*;
use std::sync::LazyLock;

/// A key frame a second, nothing reordered.
static PLAIN: LazyLock<Footage> = LazyLock::new(|| film(Codec::H264, 5, &["-g", "10", "-bf", "0"]));
/// Open GOPs with B-frames: what follows a key frame may be shown before it.
static REORDERED: LazyLock<Footage> = LazyLock::new(|| {
    film(Codec::H264, 6, &["-preset", "fast", "-g", "20", "-bf", "2", "-x264-params", "open-gop=1:b-adapt=0"])
});
static HEVC: LazyLock<Footage> = LazyLock::new(|| film(Codec::H265, 4, &["-g", "10", "-bf", "0"]));

fn fragments(limits: FragmentLimits, frames: &[Frame]) -> Vec<Fragment> {
    let mut fragmenter = Fragmenter::new(limits);
    let mut out: Vec<Fragment> = frames.iter().filter_map(|frame| fragmenter.push(frame.clone()).unwrap()).collect();
    out.extend(fragmenter.finish().unwrap());
    assert!(fragmenter.finish().unwrap().is_none());
    out
}

fn file(parameters: &VideoParameters, fragments: &[Fragment]) -> Vec<u8> {
    let mut out = init_segment(parameters).unwrap().to_vec();
    fragments.iter().for_each(|fragment| out.extend(&fragment.bytes));
    out
}

fn packet_times(bytes: &[u8]) -> Vec<(i64, i64)> {
    let lines = probe(bytes, &["-select_streams", "v:0", "-show_entries", "packet=pts,dts"]);
    let number = |text: Option<&str>| text.unwrap().parse().unwrap();
    let times = lines.iter().map(|line| line.split(','));
    times.map(|mut parts| (number(parts.next()), number(parts.next()))).collect()
}

#[test]
fn a_segment_of_h264_is_a_file_that_players_open() {
    let made = fragments(FragmentLimits::default(), &PLAIN.frames);
    assert_eq!(decoded_frames(&file(&PLAIN.parameters, &made)), 50);
    assert_eq!(made.len(), 5);
    for (i, fragment) in made.iter().enumerate() {
        assert!(fragment.sync);
        assert_eq!((fragment.frames, fragment.duration_90k), (10, 90_000));
        assert_eq!(fragment.first_pts_90k, i as u64 * 90_000);
        assert_eq!(fragment.filmed_at, FILMED.plus_90k(fragment.first_pts_90k));
    }
}

#[test]
fn a_segment_of_h265_is_a_file_that_players_open() {
    let made = fragments(FragmentLimits::default(), &HEVC.frames);
    let whole = file(&HEVC.parameters, &made);
    assert_eq!(decoded_frames(&whole), 40);
    assert_eq!(probe(&whole, &["-show_entries", "stream=codec_name,codec_tag_string"]), ["hevc,hvc1"]);
    assert!(HEVC.frames.iter().all(|frame| nal::is_random_access(Codec::H265, &frame.data) == frame.sync));
    // Open GOPs begin with CRA pictures (NAL type 21), which are no IDR.
    let open = film(Codec::H265, 3, &["-g", "10", "-bf", "2", "-x265-params", "open-gop=1:log-level=error"]);
    let is_cra = |frame: &&Frame| frame.data.len() > 4 && (frame.data[4] >> 1) & 0x3F == 21;
    let cra: Vec<&Frame> = open.frames.iter().filter(is_cra).collect();
    assert!(!cra.is_empty(), "the footage has no open GOP");
    assert!(cra.iter().all(|frame| nal::is_random_access(Codec::H265, &frame.data)));
    let made = fragments(FragmentLimits::default(), &open.frames);
    assert_eq!(decoded_frames(&file(&open.parameters, &made)), 30);
    assert!(made.len() > 1 && made.iter().all(|fragment| fragment.sync));
}

#[test]
fn b_frames_keep_their_times_and_decode_in_rising_order() {
    let shown: Vec<i64> = REORDERED.frames.iter().map(|frame| frame.pts_90k).collect();
    assert!(shown.windows(2).any(|pair| pair[1] < pair[0]), "the footage has no B-frames");
    let leading = |i: &usize| REORDERED.frames[*i].sync && shown.get(i + 1).is_some_and(|next| *next < shown[*i]);
    assert!((0..shown.len()).any(|i| leading(&i)), "the footage has no open GOP");
    let made = fragments(FragmentLimits::default(), &REORDERED.frames);
    let whole = file(&REORDERED.parameters, &made);
    assert_eq!(decoded_frames(&whole), 60);
    let told = packet_times(&whole);
    assert!(told.windows(2).all(|pair| pair[0].1 < pair[1].1), "decode times do not rise: {told:?}");
    let earliest = shown.iter().min().unwrap();
    let expected: Vec<i64> = shown.iter().map(|pts| pts - earliest).collect();
    // FFmpeg moves the whole track so that no composition offset is negative.
    let moved = told[0].0 - expected[0];
    assert_eq!(told.iter().map(|(pts, _)| pts - moved).collect::<Vec<_>>(), expected);
    let times: Vec<u64> = made.iter().flat_map(|fragment| frame_times(&fragment.bytes).unwrap()).collect();
    assert_eq!(times.iter().map(|time| *time as i64).collect::<Vec<_>>(), expected);
    for pair in made.windows(2) {
        assert_eq!(pair[0].first_pts_90k + u64::from(pair[0].duration_90k), pair[1].first_pts_90k);
    }
}

#[test]
fn a_long_gop_is_cut_at_four_seconds_and_loses_nothing() {
    let footage = film(Codec::H264, 11, &["-g", "1000", "-bf", "2", "-preset", "fast", "-sc_threshold", "0"]);
    let made = fragments(FragmentLimits::default(), &footage.frames);
    assert_eq!(made.iter().map(|fragment| fragment.sync).collect::<Vec<_>>(), [true, false, false]);
    assert!(made.iter().all(|fragment| fragment.duration_90k <= 4 * 90_000 + 9_000), "{made:?}");
    assert_eq!(made.iter().map(|fragment| fragment.frames).sum::<u32>(), 110);
    let whole = file(&footage.parameters, &made);
    assert_eq!(decoded_frames(&whole), 110);
    assert!(packet_times(&whole).windows(2).all(|pair| pair[0].1 < pair[1].1));
}

#[test]
fn memory_is_bounded_whatever_the_camera_sends() {
    let limits = FragmentLimits { largest_bytes: 20_000, most_frames: 7, ..FragmentLimits::default() };
    let mut fragmenter = Fragmenter::new(limits);
    let mut pushed = 0;
    for i in 0..10_000_u32 {
        let crumb = i % 100 < 50;
        let data = Bytes::from(vec![0; if crumb { 1 } else { 9_000 }]);
        // All shown at once: no length would ever end the fragment.
        let frame = Frame { filmed_at: FILMED, pts_90k: 0, sync: i == 0, data };
        if let Some(fragment) = fragmenter.push(frame).unwrap() {
            assert!(fragment.frames <= 7);
            pushed += fragment.frames;
        }
        assert!(fragmenter.waiting_bytes() <= 20_000);
    }
    assert_eq!(pushed + fragmenter.finish().unwrap().unwrap().frames, 10_000);
    let large = Frame { filmed_at: FILMED, pts_90k: 0, sync: false, data: Bytes::from(vec![0; 20_001]) };
    let refused = fragmenter.push(large).unwrap_err();
    assert!(matches!(refused, FragmentError::FrameTooLarge { .. }) && !refused.wants_new_segment());
}

#[test]
fn a_broken_clock_asks_for_a_new_segment_and_spoils_nothing() {
    let mut fragmenter = Fragmenter::default();
    let frame = |pts_90k: i64, filmed_ms: i64, sync| Frame {
        filmed_at: Utc::from_micros(FILMED.micros() + filmed_ms * 1000),
        pts_90k,
        sync,
        data: Bytes::from_static(&[0, 0, 0, 1, 0x65]),
    };
    assert!(matches!(fragmenter.push(frame(0, 0, false)), Err(FragmentError::NotSync)));
    for far in [i64::MIN, i64::MAX] {
        assert!(fragmenter.push(frame(far, 0, true)).unwrap_err().wants_new_segment());
    }
    assert!(fragmenter.push(frame(0, 0, true)).unwrap().is_none());
    for (jump, sync) in [(16 * 90_000, true), (16 * 90_000, false), (-3 * 90_000, true), (i64::MIN / 4, true)] {
        let refused = fragmenter.push(frame(jump, 0, sync)).unwrap_err();
        assert!(matches!(refused, FragmentError::Discontinuity { .. }) && refused.wants_new_segment());
    }
    // The wall clock was set, or the anchor moved: told at the next frame that can begin a segment.
    assert!(fragmenter.push(frame(9_000, 5_100, false)).unwrap().is_none());
    let refused = fragmenter.push(frame(18_000, 5_200, true)).unwrap_err();
    assert!(matches!(refused, FragmentError::ClockShifted { by_micros: 5_000_000 }) && refused.wants_new_segment());
    let rest = fragmenter.finish().unwrap().unwrap();
    assert_eq!((rest.frames, rest.duration_90k), (2, 18_000));
}

#[test]
fn a_frame_that_comes_too_late_still_leaves_decode_times_rising() {
    let times = [0, 90_000, 180_000, 100_000, 100_000];
    let order: Vec<Frame> = times
        .iter()
        .zip(&PLAIN.frames)
        .enumerate()
        .map(|(i, (&pts_90k, frame))| Frame { pts_90k, sync: i % 2 == 0, ..frame.clone() })
        .collect();
    let made = fragments(FragmentLimits { widest_shift_micros: i64::MAX, ..FragmentLimits::default() }, &order);
    let whole = file(&PLAIN.parameters, &made);
    let shown: Vec<u64> = made.iter().flat_map(|fragment| frame_times(&fragment.bytes).unwrap()).collect();
    assert_eq!(shown, times.map(|time| time as u64));
    let told = packet_times(&whole);
    assert_eq!(told.len(), 5);
    assert!(told.windows(2).all(|pair| pair[0].1 < pair[1].1), "{told:?}");
}

#[test]
fn trimming_leaves_exactly_what_is_shown_before_the_limit() {
    for footage in [&*PLAIN, &*REORDERED] {
        let made = fragments(FragmentLimits::default(), &footage.frames);
        for limit in [0, 1, 9_000, 9_001, 45_000, 90_000, 1 << 40, u64::MAX] {
            let first = &made[0];
            let before = frame_times(&first.bytes).unwrap();
            let expected: Vec<u64> = before.iter().copied().filter(|time| *time < limit).collect();
            let Some(trimmed) = trim(&first.bytes, limit).unwrap() else {
                assert!(expected.is_empty());
                continue;
            };
            assert_eq!(frame_times(&trimmed).unwrap(), expected);
            let whole = [init_segment(&footage.parameters).unwrap(), trimmed.clone()].concat();
            assert_eq!(packet_times(&whole).len(), expected.len());
            if expected.len() < before.len() {
                assert!(trimmed.len() < first.bytes.len(), "bytes of frames beyond the limit are still there");
            }
        }
    }
    let made = fragments(FragmentLimits::default(), &PLAIN.frames);
    let trimmed = trim(&made[0].bytes, 45_000).unwrap().unwrap();
    assert_eq!(decoded_frames(&[init_segment(&PLAIN.parameters).unwrap(), trimmed].concat()), 5);
}

#[test]
fn segments_moved_onto_one_timeline_play_through() {
    let made = fragments(FragmentLimits::default(), &PLAIN.frames);
    let mut playlist = init_segment(&PLAIN.parameters).unwrap().to_vec();
    for segment in 0..2 {
        for fragment in &made {
            let mut bytes = fragment.bytes.to_vec();
            rebase(&mut bytes, segment * 450_000).unwrap();
            playlist.extend(bytes);
        }
    }
    assert_eq!(decoded_frames(&playlist), 100);
    let times: Vec<i64> = packet_times(&playlist).into_iter().map(|(pts, _)| pts).collect();
    assert_eq!(times, (0..100).map(|i| i * 9_000).collect::<Vec<_>>());
    let mut bytes = made[1].bytes.to_vec();
    assert!(matches!(rebase(&mut bytes, -90_000 * 3_600), Err(FragmentError::TimeOverflow)));
    assert_eq!(bytes, made[1].bytes);
}

#[test]
fn codecs_are_named_as_rfc_6381_names_them() {
    let hex: String = PLAIN.parameters.decoder_config[1..4].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(rfc6381(&PLAIN.parameters).unwrap(), format!("avc1.{hex}"));
    let level = HEVC.parameters.decoder_config[12];
    assert_eq!(rfc6381(&HEVC.parameters).unwrap(), format!("hvc1.1.6.L{level}.90"));
}

#[test]
fn a_configuration_that_is_none_is_refused() {
    for codec in [Codec::H264, Codec::H265] {
        for config in [&b""[..], b"\x01", b"rtsp garbage, certainly no configuration", &[1; 40]] {
            let decoder_config = Bytes::copy_from_slice(config);
            let parameters = VideoParameters { codec, width_px: 1, height_px: 1, decoder_config };
            assert!(init_segment(&parameters).is_err(), "{codec} {config:?}");
            assert!(rfc6381(&parameters).is_err());
        }
    }
}

/// The frame as annex B has it, with delimiter and parameter sets before key frames.
fn annex_b(codec: Codec, sets: &ParameterSets, frame: &Frame) -> Vec<u8> {
    let mut out = match codec {
        Codec::H264 => vec![0, 0, 0, 1, 9, 0xF0],
        Codec::H265 => vec![0, 0, 0, 1, 35 << 1, 1, 0x50],
    };
    let sets = sets.vps.iter().chain(&sets.sps).chain(&sets.pps);
    for set in sets.filter(|_| frame.sync) {
        // Twice, as cameras do.
        for _ in 0..2 {
            out.extend([0, 0, 1]);
            out.extend(set);
        }
    }
    let mut rest = &frame.data[..];
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (unit, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        out.extend([0, 0, 0, 1]);
        out.extend(unit);
        rest = behind;
    }
    out
}

#[test]
fn annex_b_becomes_what_the_muxer_would_have_written() {
    for footage in [&*PLAIN, &*REORDERED, &*HEVC] {
        let codec = footage.parameters.codec;
        let (framing, sets) = nal::extra_data(codec, &footage.parameters.decoder_config).unwrap();
        assert_eq!(framing, Framing::Lengths(4));
        assert!(sets.is_complete(codec));
        let parameters = sets.parameters(codec).unwrap();
        assert_eq!((parameters.width_px, parameters.height_px), (320, 240));
        let mut frames = Vec::new();
        for frame in &footage.frames {
            let unit = nal::access_unit(codec, Framing::AnnexB, &annex_b(codec, &sets, frame)).unwrap();
            assert_eq!(unit.sync, nal::is_random_access(codec, &frame.data));
            assert_eq!(unit.sets.is_complete(codec), frame.sync);
            assert!(!frame.sync || unit.sets == sets);
            let same = nal::access_unit(codec, Framing::Lengths(4), &frame.data).unwrap();
            assert_eq!(unit.data, same.data);
            frames.push(Frame { data: unit.data, ..frame.clone() });
        }
        let made = fragments(FragmentLimits::default(), &frames);
        assert_eq!(decoded_frames(&file(&parameters, &made)), footage.frames.len());
    }
    let nothing = nal::access_unit(Codec::H264, Framing::AnnexB, &[0, 0, 1, 9, 0xF0]).unwrap();
    assert!(nothing.data.is_empty() && !nothing.sync, "a delimiter is no picture");
}

/// Not even broken lengths make a reader panic.
fn read_all(bytes: &[u8]) {
    for limit in [0, 30_000, u64::MAX] {
        drop(trim(bytes, limit));
    }
    let mut copy = bytes.to_vec();
    if rebase(&mut copy, 1 << 62).is_err() {
        assert_eq!(copy, bytes, "refused, and yet changed");
    }
    if let Ok(times) = frame_times(bytes) {
        assert!(times.len() * 16 <= bytes.len(), "frames out of nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn garbage_never_makes_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
        for codec in [Codec::H264, Codec::H265] {
            for framing in [Framing::AnnexB, Framing::Lengths(1), Framing::Lengths(2), Framing::Lengths(3), Framing::Lengths(4)] {
                drop(nal::access_unit(codec, framing, &bytes));
            }
            nal::is_random_access(codec, &bytes);
            if let Ok((_, sets)) = nal::extra_data(codec, &bytes) {
                drop(sets.parameters(codec));
            }
        }
    }

    #[test]
    fn a_damaged_fragment_is_refused_or_read_but_never_more(
        at in 0..700_usize, with in any::<u8>(), cut in 0..700_usize,
    ) {
        let frames: Vec<Frame> = (0..3).map(|i| Frame {
            filmed_at: FILMED,
            pts_90k: i * 9_000,
            sync: i == 0,
            data: Bytes::from(vec![i as u8 + 1; 150]),
        }).collect();
        let limits = FragmentLimits { widest_shift_micros: i64::MAX, ..FragmentLimits::default() };
        let whole = fragments(limits, &frames)[0].bytes.to_vec();
        let mut flipped = whole.clone();
        let at = at % whole.len();
        flipped[at] = with;
        read_all(&flipped);
        read_all(&whole[..cut % whole.len()]);
        prop_assert!(frame_times(&whole[..cut % whole.len()]).is_err());
    }

    #[test]
    fn decode_times_rise_whatever_order_frames_come_in(
        steps in proptest::collection::vec((-40_000..200_000_i64, any::<bool>()), 1..60),
    ) {
        let mut fragmenter = Fragmenter::default();
        let mut pts_90k = 0;
        let (mut made, mut taken) = (Vec::new(), Vec::new());
        for (step, sync) in steps {
            pts_90k += step;
            let filmed_at = Utc::from_micros(FILMED.micros() + pts_90k * 100 / 9);
            let frame = Frame { filmed_at, pts_90k, sync: sync || taken.is_empty(), data: Bytes::from_static(b"frame") };
            match fragmenter.push(frame) {
                Ok(ended) => {
                    taken.push(pts_90k);
                    made.extend(ended);
                }
                Err(e) => prop_assert!(e.wants_new_segment(), "{e}"),
            }
        }
        made.extend(fragmenter.finish().unwrap());
        let mut decoded = 0;
        let mut times = Vec::new();
        for fragment in &made {
            for sample in moof::read(&fragment.bytes).unwrap().samples {
                prop_assert!(times.is_empty() || sample.decode_90k > decoded);
                decoded = sample.decode_90k;
                times.push(i64::try_from(sample.shown_90k).unwrap());
            }
        }
        let origin = taken[0] - times[0];
        prop_assert_eq!(times.iter().map(|time| time + origin).collect::<Vec<_>>(), taken);
    }
}
