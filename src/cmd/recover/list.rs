//! What a recovery brought, and what it did not: for people, and as JSON.

use super::movie::NO_GAP;
use crate::crypto::PublicKey;
use crate::domain::{CameraNumber, Correction, GapCause, SegmentId, SiteId, Span, Utc, VolumeId};
use crate::vault::{BareSegment, BareVolume};
use anyhow::Context;
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A film.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RecoveredFile {
    pub file: String,
    pub camera: CameraNumber,
    pub from: Utc,
    pub to: Utc,
    pub segments: u32,
    pub frames: u64,
    pub bytes: u64,
}

/// Something that is not as it should be, and what footage it touches, where that is known.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub file: String,
    pub what: String,
    pub segment: Option<SegmentId>,
    pub camera: Option<CameraNumber>,
    pub from: Option<Utc>,
    pub to: Option<Utc>,
}

impl Finding {
    pub fn of_file(file: &Path, what: String) -> Self {
        Self { file: file.display().to_string(), what, segment: None, camera: None, from: None, to: None }
    }

    pub fn of(segment: &BareSegment, from: Utc, to: Utc, what: String) -> Self {
        let (number, camera) = (Some(segment.segment), Some(segment.camera));
        Self { segment: number, camera, from: Some(from), to: Some(to), ..Self::of_file(&segment.path, what) }
    }
}

#[derive(Clone, Debug, Serialize)]
struct RecoveredVolume {
    dir: PathBuf,
    volume: VolumeId,
    site: SiteId,
    manifests: u64,
    segments: usize,
    destroyed: u64,
}

/// Time without footage between what was recovered. `cause` is what was recorded of it; null where nothing was.
#[derive(Clone, Debug, Serialize)]
struct Gap {
    camera: CameraNumber,
    from: Utc,
    to: Utc,
    cause: Option<GapCause>,
}

/// The whole list. Fields are added, never renamed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Recovered {
    version: u32,
    /// Whether nothing asked for is damaged or missing.
    whole: bool,
    key: PublicKey,
    volumes: Vec<RecoveredVolume>,
    pub files: Vec<RecoveredFile>,
    /// Segments without a footer: all that was committed of them is there.
    cut_short: Vec<Finding>,
    /// Footage that was recorded while the clock was in doubt: it may have been filmed at another time.
    time_in_doubt: Vec<Finding>,
    /// Footage that is damaged.
    lost: Vec<Finding>,
    gaps: Vec<Gap>,
    /// What is wrong with the volumes.
    faults: Vec<Finding>,
    /// Segments whose period has ended: they are not recovered.
    pub expired: u64,
}

impl Recovered {
    pub fn new(key: PublicKey) -> Self {
        Self {
            version: 1,
            whole: true,
            key,
            volumes: Vec::new(),
            files: Vec::new(),
            cut_short: Vec::new(),
            time_in_doubt: Vec::new(),
            lost: Vec::new(),
            gaps: Vec::new(),
            faults: Vec::new(),
            expired: 0,
        }
    }

    pub fn add_volume(&mut self, volume: &BareVolume) {
        self.volumes.push(RecoveredVolume {
            dir: volume.dir.clone(),
            volume: volume.id,
            site: volume.site,
            manifests: volume.manifests,
            segments: volume.segments.len(),
            destroyed: volume.destroyed,
        });
        for fault in &volume.faults {
            self.finding(Finding::of_file(Path::new(&fault.file), fault.what.clone()));
        }
    }

    pub fn finding(&mut self, finding: Finding) {
        self.whole = false;
        self.faults.push(finding);
    }

    pub fn lost(&mut self, finding: Finding) {
        self.whole = false;
        self.lost.push(finding);
    }

    pub fn cut_short(&mut self, finding: Finding) {
        self.cut_short.push(finding);
    }

    /// Names a segment whose times are not certain.
    pub fn note_doubt(&mut self, segment: &BareSegment) {
        if !segment.dating.in_doubt {
            return;
        }
        let Correction { least_micros, most_micros } = segment.dating.correction;
        let seconds = most_micros.saturating_sub(least_micros) / 1_000_000;
        let what = match seconds {
            0 => "was recorded while the clock was in doubt, and that has not ended".to_owned(),
            seconds => format!("was recorded while the clock was in doubt: it was filmed up to {seconds} s later"),
        };
        self.time_in_doubt.push(Finding::of(segment, segment.start, segment.end, what));
    }

    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Looks for time without footage: between films of a camera, and what was recorded as a gap around them.
    pub fn note_gaps(&mut self, recorded: &[(CameraNumber, Span, GapCause)], cameras: &[CameraNumber], asked: Span) {
        for camera in cameras {
            let mut pieces: Vec<(Utc, Utc)> =
                self.files.iter().filter(|file| file.camera == *camera).map(|file| (file.from, file.to)).collect();
            pieces.sort_unstable();
            let of_camera = || recorded.iter().filter(|(of, ..)| of == camera);
            let mut reached = pieces.first().map(|piece| piece.1);
            for (from, to) in pieces {
                let hole = reached.filter(|reached| from.since(*reached) >= NO_GAP);
                if let Some(hole) = hole.and_then(|reached| Span::new(reached, from).ok()) {
                    let cause = of_camera().find(|(_, gap, _)| gap.overlaps(hole)).map(|(.., cause)| *cause);
                    self.gaps.push(Gap { camera: *camera, from: hole.from(), to: hole.to(), cause });
                }
                reached = reached.max(Some(to));
            }
            let (first, last) = (self.edge(*camera, false), self.edge(*camera, true));
            let around = of_camera().filter(|(_, gap, _)| gap.overlaps(asked));
            let around = around.filter(|(_, gap, _)| {
                first.is_none_or(|first| gap.from() < first) || last.is_none_or(|last| gap.from() >= last)
            });
            let around = around.map(|(_, gap, cause)| Gap {
                camera: *camera,
                from: gap.from(),
                to: gap.to(),
                cause: Some(*cause),
            });
            self.gaps.extend(around);
        }
        self.gaps.sort_by_key(|gap| (gap.camera, gap.from));
    }

    fn edge(&self, camera: CameraNumber, last: bool) -> Option<Utc> {
        let files = self.files.iter().filter(|file| file.camera == camera);
        if last { files.map(|file| file.to).max() } else { files.map(|file| file.from).min() }
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut line = |told: std::fmt::Arguments| lines.push(told.to_string());
        for volume in &self.volumes {
            line(format_args!(
                "volume {} in {}: {} manifests, {} segments, {} destroyed in their time",
                volume.volume,
                volume.dir.display(),
                volume.manifests,
                volume.segments,
                volume.destroyed
            ));
        }
        line(format_args!("\nFilms"));
        for file in &self.files {
            let megabytes = file.bytes as f64 / 1e6;
            line(format_args!(
                "  {}  camera {}  {} to {}  {} frames, {megabytes:.1} MB",
                file.file, file.camera, file.from, file.to, file.frames
            ));
        }
        for (heading, findings) in [
            ("Damaged footage", &self.lost),
            ("Cut short, and whole up to there", &self.cut_short),
            ("Time in doubt", &self.time_in_doubt),
            ("Faults of the volumes", &self.faults),
        ] {
            if !findings.is_empty() {
                line(format_args!("\n{heading}"));
            }
            for Finding { file, what, camera, from, to, .. } in findings {
                match (camera, from, to) {
                    (Some(camera), Some(from), Some(to)) => {
                        line(format_args!("  camera {camera}  {from} to {to}  {what} ({file})"));
                    }
                    _ => line(format_args!("  {file}: {what}")),
                }
            }
        }
        if !self.gaps.is_empty() {
            line(format_args!("\nTime without footage"));
        }
        for Gap { camera, from, to, cause } in &self.gaps {
            let cause = cause.map_or_else(|| "nothing tells why".to_owned(), |cause| cause.to_string());
            line(format_args!("  camera {camera}  {from} to {to}  {cause}"));
        }
        if self.expired > 0 {
            line(format_args!("\n{} segments were not recovered: their period has ended", self.expired));
        }
        let verdict =
            if self.whole { "Nothing asked for is damaged or missing." } else { "NOT all is there: see above." };
        line(format_args!("\n{verdict}\n"));
        lines.join("\n")
    }

    /// Writes the list beside the films.
    ///
    /// # Errors
    /// What the disk says.
    pub fn store(&self, out: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)? + "\n";
        for (name, content) in [("recovered.json", json), ("recovered.txt", self.text())] {
            let path = out.join(name);
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let written = file.and_then(|mut file| file.write_all(content.as_bytes()).and_then(|()| file.sync_all()));
            written.with_context(|| format!("{} could not be written", path.display()))?;
        }
        std::fs::File::open(out).and_then(|dir| dir.sync_all()).with_context(|| out.display().to_string())
    }

    pub fn print(&self, out: &Path) {
        print!("{}", self.text());
        println!("Films and list are in {}. They are not sealed: destroy them when they have served.", out.display());
    }

    pub fn print_findings(&self) {
        for finding in &self.faults {
            eprintln!("custodian: {}: {}", finding.file, finding.what);
        }
    }
}
