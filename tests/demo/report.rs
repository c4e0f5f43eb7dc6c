//! What was measured, as `target/demo/report.json` says it.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

/// A figure that was not measured is null: without root there is no raw disk to search.
#[derive(Default, Debug, Serialize)]
pub struct Report {
    /// Different cameras whose sealed files stand on the volume.
    pub cameras: Option<u64>,
    /// Files on the volume that no player opened.
    pub segments_sealed: Option<u64>,
    /// Audio streams that players see in what is shown.
    pub audio_streams: Option<u64>,
    pub view_before_approval_status: Option<u16>,
    pub view_outside_span_status: Option<u16>,
    /// Frames that ffprobe decodes of what is shown.
    pub frames_viewed: Option<u64>,
    /// Frames that the cameras logged for the approved span.
    pub frames_expected: Option<u64>,
    /// Files of the first request that are gone.
    pub segments_erased: Option<u64>,
    /// Files of the second request that are still there, byte for byte.
    pub held_segments_surviving: Option<u64>,
    pub sectors_searched: Option<u64>,
    /// Sectors of the destroyed files that stand anywhere on the raw disk.
    pub sectors_recoverable: Option<u64>,
    /// Sectors found of a file that was only unlinked.
    pub control_sectors_found: Option<u64>,
    pub ledger_rows: Option<u64>,
    pub ledger_ok: Option<bool>,
    /// The row that the verifier names after one byte of it was changed.
    pub tamper_detected_at: Option<u64>,
    pub steps: Vec<StepReport>,
}

#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    pub name: &'static str,
    pub seconds: f64,
    pub ok: bool,
}

impl Report {
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }
}
