//! What players make of a file or an address: ffprobe and ffmpeg, asked from outside.

use super::commands::run;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LOOK_LIMIT: Duration = Duration::from_secs(60);
/// What a sealed file could hide behind: nothing, or one block of something else.
const SKIPS_BYTES: [u64; 2] = [0, 4096];
/// Containers and raw streams that a player may be told to expect; the empty one lets it guess.
const DEMUXERS: [&str; 7] = ["", "mp4", "h264", "hevc", "mpegts", "matroska", "mjpeg"];

/// A stream as ffprobe names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// `video`, `audio`, `subtitle` or `data`.
    pub kind: String,
    /// `h264`, `hevc`, `aac` and so on.
    pub codec: String,
    pub width: Option<u64>,
    pub height: Option<u64>,
}

/// A call of ffprobe or ffmpeg, with what every call has.
fn player(program: &str, input: &str, headers: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.args(["-v", "error", "-hide_banner"]);
    if program == "ffmpeg" {
        command.arg("-nostdin");
    }
    if input.starts_with("rtsp:") {
        command.args(["-rtsp_transport", "tcp"]);
    }
    if !headers.is_empty() {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        command.args(["-headers", &lines]);
    }
    // A playlist may name fragments by any ending, and its bytes are checked by decoding them.
    if input.starts_with("http:") {
        command.args(["-allowed_extensions", "ALL"]);
    }
    command.args(["-i", input]);
    command
}

fn ffprobe(input: &str, headers: &[(&str, &str)], more: &[&str]) -> Result<Value> {
    let mut command = player("ffprobe", input, headers);
    let ended = run(command.args(["-of", "json"]).args(more), "", LOOK_LIMIT)?.succeeded();
    let told = ended.with_context(|| format!("ffprobe {input}"))?.stdout;
    serde_json::from_str(&told).with_context(|| format!("ffprobe {input} said {told}"))
}

/// How many frames of video a player decodes from `input`, a file or an address, to its end. Headers are for HTTP.
///
/// # Errors
/// When it cannot be opened, has no video, or does not end within a minute.
pub fn count_frames(input: &str, headers: &[(&str, &str)]) -> Result<u64> {
    let told = ffprobe(
        input,
        headers,
        &["-select_streams", "v:0", "-count_frames", "-show_entries", "stream=nb_read_frames"],
    )?;
    let count = told["streams"][0]["nb_read_frames"].as_str().and_then(|count| count.parse().ok());
    count.with_context(|| format!("ffprobe counted no frames of {input}: {told}"))
}

/// The streams of `input`, in its own order.
pub fn streams(input: &str, headers: &[(&str, &str)]) -> Result<Vec<Stream>> {
    let told = ffprobe(input, headers, &["-show_entries", "stream=codec_type,codec_name,width,height"])?;
    let rows = told["streams"].as_array().cloned().unwrap_or_default();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    let stream = |row: &Value| Stream {
        kind: text(row, "codec_type"),
        codec: text(row, "codec_name"),
        width: row["width"].as_u64(),
        height: row["height"].as_u64(),
    };
    Ok(rows.iter().map(stream).collect())
}

/// The digest of each decoded picture, in order: two inputs with the same list show the same pictures.
pub fn picture_digests(input: &str, headers: &[(&str, &str)]) -> Result<Vec<String>> {
    let mut command = player("ffmpeg", input, headers);
    // `-vsync passthrough`: as many pictures out as in, whatever their times.
    command.args(["-map", "0:v:0", "-vsync", "passthrough", "-f", "framehash", "-hash", "SHA256", "-"]);
    let told = run(&mut command, "", LOOK_LIMIT)?.succeeded().with_context(|| format!("ffmpeg {input}"))?.stdout;
    let rows = told.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| row.rsplit(',').next().map(|digest| digest.trim().to_owned()).context("an empty row")).collect()
}

/// Whether any player that is told what to expect, with or without skipping the first block, gets a picture.
pub fn any_player_opens(file: &Path) -> Result<bool> {
    let input = file.to_str().context("a file name that is not UTF-8")?;
    ensure!(file.is_file(), "{input} is not a file: nothing would be proven by it");
    for demuxer in DEMUXERS {
        for skip_bytes in SKIPS_BYTES {
            let mut command = Command::new("ffmpeg");
            command.args(["-v", "quiet", "-nostdin", "-skip_initial_bytes", &skip_bytes.to_string()]);
            if !demuxer.is_empty() {
                command.args(["-f", demuxer]);
            }
            command.args(["-i", input, "-map", "0:v:0", "-frames:v", "1", "-f", "framehash", "-"]);
            let told = run(&mut command, "", LOOK_LIMIT)?.stdout;
            if told.lines().any(|line| !line.is_empty() && !line.starts_with('#')) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Records `length` of an RTSP address into `file` (its ending tells the container), without touching the pictures.
pub fn record(url: &str, length: Duration, file: &Path) -> Result<()> {
    let mut command = player("ffmpeg", url, &[]);
    command.args(["-t", &length.as_secs_f64().to_string(), "-c", "copy", "-y"]).arg(file);
    run(&mut command, "", length + LOOK_LIMIT)?.succeeded().with_context(|| format!("recording {url}"))?;
    Ok(())
}
