//! `custodian cameras`.

use super::SiteArg;
use super::progress::Progress;
use crate::app::{ask_status, state_dir};
use crate::clock::Clock;
use crate::config::{Camera, CameraSet, ConfigError, ConfigErrors, Pace, Site};
use crate::ingest::{Findings, Limits, probe};
use anyhow::{Context, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::task::JoinSet;

const NOT_PROBED: u8 = 2;
/// What opening a session may take, beside the pictures that are watched.
const OPENING: Duration = Duration::from_secs(10);
/// Farther apart, a segment is far longer than it should be, and what is asked for begins far too early.
const KEY_FRAMES_APART_LIMIT: Duration = Duration::from_secs(10);
/// The time that a camera shows in its picture should be that of its footage.
const CLOCK_LIMIT_MICROS: u64 = 5_000_000;

/// Work with cameras.
#[derive(Debug, clap::Subcommand)]
pub(super) enum CamerasCommand {
    /// Look at cameras for some seconds. Exit status: 0 all is well, 1 a warning or a camera that does not answer, 2 it
    /// could not begin.
    Probe(Probe),
}

impl CamerasCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            CamerasCommand::Probe(probe) => probe.run(),
        }
    }
}

/// Look at cameras for some seconds, all at once: codec, size, frames and bits a second, how far key frames are apart,
/// whether sound is offered (it is never asked for), how far the camera's clock is off, whether the way is encrypted.
/// Nothing is recorded.
#[derive(Debug, clap::Args)]
pub(super) struct Probe {
    #[command(flatten)]
    site: SiteArg,
    /// Camera files, the site's own or any others; a name that is not found here is looked for among the site's. All of the
    /// site's without any.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How long each is watched. Key frames further apart than this are not found.
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=300))]
    watch_s: u64,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is told of one camera.
#[derive(Debug, Serialize)]
struct Line {
    number: u16,
    name: String,
    file: PathBuf,
    codec: Option<String>,
    width_px: Option<u16>,
    height_px: Option<u16>,
    frames_a_second: Option<f64>,
    megabits_a_second: Option<f64>,
    /// The farthest seen; `null` where fewer than two came.
    key_frames_apart_s: Option<f64>,
    sound_offered: Option<bool>,
    clock_ahead_s: Option<f64>,
    encrypted: bool,
    warnings: Vec<String>,
}

impl Probe {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.look() {
            Ok((lines, 0)) if lines.iter().all(|line| line.warnings.is_empty()) => Ok(ExitCode::SUCCESS),
            Ok(_) => Ok(ExitCode::FAILURE),
            Err(e) => {
                super::tell(&e);
                Ok(ExitCode::from(NOT_PROBED))
            }
        }
    }

    /// Each camera's line, and how many things are wrong with files.
    fn look(&self) -> anyhow::Result<(Vec<Line>, usize)> {
        let site = Site::load(&self.site.site, Pace::from_flag(false))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // What runs is not what the notice has no room for (S5).
        let running = runtime.block_on(ask_status(&state_dir(&site))).ok().flatten();
        let runs =
            |number| running.as_ref().is_some_and(|status| status.cameras.iter().any(|line| line.number == number));
        let (cameras, errors) = CameraSet::load_knowing(&site, &runs);
        let wanted = self.wanted(&site, &cameras, &errors)?;
        let mut wrong = 0;
        for error in errors.iter().filter(|error| self.files.is_empty() || self.names(&error.file)) {
            eprintln!("custodian: {error}");
            wrong += 1;
        }
        let worker = std::env::current_exe().context("the program's own file is not to be found")?;
        let watch = Duration::from_secs(self.watch_s);
        let bar = Progress::cameras(wanted.len());
        let mut lines = runtime.block_on(async {
            let mut probes = JoinSet::new();
            for camera in wanted {
                let worker = worker.clone();
                probes.spawn(async move {
                    let (clock, limits) = (Clock::system(), Limits::default());
                    let findings = probe(&camera.source, &clock, &limits, &worker, watch, OPENING + watch).await;
                    line(&camera, &findings, watch)
                });
            }
            let mut lines = Vec::new();
            while let Some(line) = probes.join_next().await {
                lines.push(line?);
                bar.one();
            }
            Ok::<_, anyhow::Error>(lines)
        })?;
        bar.done();
        lines.sort_by_key(|line| line.number);
        if self.json {
            println!("{}", serde_json::to_string_pretty(&lines)?);
        } else {
            print!("{}", table(&lines));
        }
        Ok((lines, wrong))
    }

    /// Whether a camera's file is one of those that were named.
    fn names(&self, file: &Path) -> bool {
        self.files.iter().any(|named| is_same_file(named, file))
    }

    fn wanted(&self, site: &Site, cameras: &CameraSet, errors: &[ConfigError]) -> anyhow::Result<Vec<Camera>> {
        if self.files.is_empty() {
            if cameras.is_empty() {
                bail!("no camera file of the site is right; write one, or name files");
            }
            return Ok(cameras.iter().cloned().collect());
        }
        self.files.iter().map(|named| one_named(named, site, cameras, errors)).collect()
    }
}

/// Whether two paths lead to one file, by whatever way.
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The camera of a file that was named: one of the site's as it is in force there, or any other by itself, to be looked at
/// before it is put in place.
fn one_named(named: &Path, site: &Site, cameras: &CameraSet, errors: &[ConfigError]) -> anyhow::Result<Camera> {
    // A name alone that is not here means the site's.
    let is_a_name = named.file_name() == Some(named.as_os_str());
    let file = if is_a_name && !named.exists() { site.camera_dir.join(named) } else { named.to_path_buf() };
    if let Some(camera) = cameras.iter().find(|camera| is_same_file(&camera.file, &file)) {
        return Ok(camera.clone());
    }
    let refused: Vec<ConfigError> = errors.iter().filter(|error| is_same_file(&error.file, &file)).cloned().collect();
    if !refused.is_empty() {
        return Err(ConfigErrors(refused).into());
    }
    Camera::read(&file, site).map_err(|wrong| ConfigErrors(wrong).into())
}

fn line(camera: &Camera, findings: &Findings, watch: Duration) -> Line {
    let parameters = findings.parameters.as_ref();
    Line {
        number: camera.number.get(),
        name: camera.name.clone(),
        file: camera.file.clone(),
        codec: parameters.map(|parameters| parameters.codec.to_string()),
        width_px: parameters.map(|parameters| parameters.width_px),
        height_px: parameters.map(|parameters| parameters.height_px),
        frames_a_second: findings.frames_a_second(),
        megabits_a_second: findings.megabits_a_second(),
        key_frames_apart_s: findings.key_frames_apart.map(|apart| apart.as_secs_f64()),
        sound_offered: findings.sound,
        clock_ahead_s: findings.clock_ahead_micros.map(|micros| micros as f64 / 1e6),
        encrypted: camera.source.is_encrypted(),
        warnings: warnings(findings, watch),
    }
}

/// What is to be mended, and how.
fn warnings(findings: &Findings, watch: Duration) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(ended) = &findings.ended {
        warnings.push(ended.to_string());
    } else if findings.frames == 0 {
        warnings.push(format!(
            "no picture that decoding can begin with came within {} s; set its key frame interval to some seconds",
            (OPENING + watch).as_secs()
        ));
    }
    let apart = findings.key_frames_apart.unwrap_or_default().max(findings.since_key_frame());
    if apart > KEY_FRAMES_APART_LIMIT {
        let apart = apart.as_secs_f64();
        warnings.push(format!("key frames are {apart:.0} s apart or more; set its key frame interval to 1 to 4 s"));
    }
    if findings.clock_ahead_micros.is_some_and(|micros| micros.unsigned_abs() > CLOCK_LIMIT_MICROS) {
        let off = findings.clock_ahead_micros.unwrap_or_default() as f64 / 1e6;
        let way = if off > 0.0 { "fast" } else { "slow" };
        warnings.push(format!("its clock is {:.0} s {way}; give it a time server", off.abs()));
    }
    if findings.lost_packets > 0 {
        warnings.push(format!(
            "{} packets were lost; use transport = \"tcp\", or look at the network",
            findings.lost_packets
        ));
    }
    warnings
}

fn table(lines: &[Line]) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"));
    let mut rows = vec![
        ["No", "Name", "Codec", "Size", "Frames/s", "Mbit/s", "Key frames", "Sound", "Clock", "Encrypted"]
            .map(str::to_owned),
    ];
    rows.extend(lines.iter().map(|line| {
        let size = line.width_px.zip(line.height_px).map(|(width, height)| format!("{width}×{height}"));
        let sound = match line.sound_offered {
            Some(true) => "refused",
            Some(false) => "none",
            None => "?",
        };
        [
            line.number.to_string(),
            line.name.clone(),
            line.codec.clone().unwrap_or_else(|| "–".into()),
            size.unwrap_or_else(|| "–".into()),
            number(line.frames_a_second),
            number(line.megabits_a_second),
            line.key_frames_apart_s.map_or_else(|| "–".to_owned(), |apart| format!("{apart:.1} s")),
            sound.to_owned(),
            line.clock_ahead_s.map_or_else(|| "?".to_owned(), |ahead| format!("{ahead:+.1} s")),
            if line.encrypted { "yes" } else { "no" }.to_owned(),
        ]
    }));
    let mut out = String::new();
    for row in &rows {
        let mut text = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    for line in lines {
        for warning in &line.warnings {
            out.push_str(&format!("\ncamera {} ({}): {warning}", line.number, line.name));
        }
    }
    let open: Vec<String> = lines.iter().filter(|line| !line.encrypted).map(|line| line.number.to_string()).collect();
    if !open.is_empty() {
        out.push_str(&format!(
            "\n\nNot encrypted on their way here: cameras {}. Keep them on a network of their own.",
            open.join(", ")
        ));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_mended_is_said_with_what_to_do() {
        let mut findings = Findings::default();
        let watch = Duration::from_secs(12);
        assert!(warnings(&findings, watch)[0].contains("within 22 s"), "no picture at all");
        findings.frames = 100;
        findings.key_frames_apart = Some(KEY_FRAMES_APART_LIMIT);
        findings.clock_ahead_micros = Some(-4_000_000);
        assert_eq!(warnings(&findings, watch), [] as [&str; 0]);
        findings.key_frames_apart = Some(Duration::from_secs(11));
        findings.clock_ahead_micros = Some(-400_000_000);
        findings.lost_packets = 3;
        let told = warnings(&findings, watch).join("\n");
        for words in ["11 s apart", "400 s slow", "3 packets"] {
            assert!(told.contains(words), "{told}");
        }
    }
}
