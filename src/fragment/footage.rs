//! Real coded video for tests: made by ffmpeg's command line, read back frame by frame.

use crate::domain::{Codec, Frame, Utc, VideoParameters};
use bytes::Bytes;
use shiguredo_mp4::Encode;
use shiguredo_mp4::boxes::SampleEntry;
use shiguredo_mp4::demux::{Input, Mp4FileDemuxer};
use std::path::Path;
use std::process::Command;

/// When the first frame was filmed.
pub(crate) const FILMED: Utc = Utc::from_micros(1_750_000_000_000_000);

/// Frames in decode order, as a camera sends them.
pub(crate) struct Footage {
    pub parameters: VideoParameters,
    pub frames: Vec<Frame>,
}

/// Ten frames a second of a test picture, coded with these options of ffmpeg.
pub(crate) fn film(codec: Codec, seconds: u32, options: &[&str]) -> Footage {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film.mp4");
    let encoder = match codec {
        Codec::H264 => "libx264",
        Codec::H265 => "libx265",
    };
    let source = format!("testsrc2=size=320x240:rate=10:duration={seconds}");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &source, "-c:v", encoder, "-pix_fmt", "yuv420p"])
        .args(["-preset", "ultrafast", "-x265-params", "log-level=error", "-video_track_timescale", "90000"])
        .args(options)
        .arg(&path));
    read(codec, &std::fs::read(&path).unwrap())
}

fn read(codec: Codec, file: &[u8]) -> Footage {
    let mut demuxer = Mp4FileDemuxer::new();
    demuxer.handle_input(Input { position: 0, data: file });
    let mut parameters = None;
    let mut frames: Vec<Frame> = Vec::new();
    while let Some(sample) = demuxer.next_sample().unwrap() {
        assert_eq!(sample.track.timescale.get(), super::TIMESCALE);
        if let Some(entry) = sample.sample_entry {
            let (boxed, visual) = match entry {
                SampleEntry::Avc1(avc) => (avc.avcc_box.encode_to_vec().unwrap(), &avc.visual),
                SampleEntry::Hev1(hevc) => (hevc.hvcc_box.encode_to_vec().unwrap(), &hevc.visual),
                other => panic!("{other:?}"),
            };
            let (width_px, height_px) = (visual.width, visual.height);
            parameters = Some(VideoParameters {
                codec,
                width_px,
                height_px,
                decoder_config: Bytes::copy_from_slice(&boxed[8..]),
            });
        }
        let at = usize::try_from(sample.data_offset).unwrap();
        let pts_90k = i64::try_from(sample.timestamp).unwrap() + sample.composition_time_offset.unwrap_or(0);
        frames.push(Frame {
            filmed_at: FILMED,
            pts_90k,
            sync: sample.keyframe,
            data: Bytes::copy_from_slice(&file[at..at + sample.data_size]),
        });
    }
    let start = frames[0].pts_90k;
    for frame in &mut frames {
        let micros = (frame.pts_90k - start) * 100 / 9;
        frame.filmed_at = Utc::from_micros(FILMED.micros() + micros);
    }
    Footage { parameters: parameters.unwrap(), frames }
}

/// What ffprobe says of these bytes, one line an entry.
pub(crate) fn probe(bytes: &[u8], what: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("probed.mp4");
    std::fs::write(&path, bytes).unwrap();
    let told = run(Command::new("ffprobe").args(["-v", "error", "-of", "csv=p=0"]).args(what).arg(Path::new(&path)));
    told.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Frames that ffprobe decodes; it must find one stream of video and nothing else.
pub(crate) fn decoded_frames(bytes: &[u8]) -> usize {
    assert_eq!(probe(bytes, &["-show_entries", "stream=codec_type"]), ["video"]);
    let count = ["-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames"];
    probe(bytes, &count)[0].parse().unwrap()
}

/// Runs it; an error that it prints is a failure too.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
