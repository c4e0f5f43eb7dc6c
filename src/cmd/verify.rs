//! `custodian verify`.

use super::SiteArg;
use crate::access::SiteFiles;
use crate::clock::Clock;
use crate::config::{Pace, Site};
use crate::disk::{RealDisk, SharedDisk};
use crate::ledger::{Act, Checkpoint, Row, Verified, verify_files};
use crate::vault::{Inspection, Volume, VolumeFault, inspect};
use anyhow::Context;
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;

/// Check that ledger, manifests and segments agree. Changes nothing; works beside a running daemon and without one.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    site: SiteArg,
    /// Read every sealed byte and hold it against its digest.
    #[arg(long)]
    deep: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    sound: bool,
    ledger_rows: u64,
    ledger_checkpoints: u64,
    volumes: Vec<Inspection>,
    faults: Vec<VolumeFault>,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let disk: SharedDisk = Arc::new(RealDisk);
        let site = Site::load(&self.site.site, Pace::Real)?;
        let files = SiteFiles::open(Arc::clone(&disk), &site.dir.join("state"))?;
        let mut faults = Vec::new();
        let (ledger, newest) = match read_ledger(&files)? {
            Ok((verified, newest)) => (verified, newest),
            Err(fault) => {
                faults.push(fault);
                (None, None)
            }
        };
        let mut volumes = Vec::new();
        for place in &site.volumes {
            let checked = Volume::identify(&disk, &place.path, files.site()).and_then(|volume| {
                let heads = newest.iter().flat_map(|checkpoint| &checkpoint.manifests);
                let heads: Vec<_> =
                    heads.filter(|head| head.volume == volume).map(|head| (head.manifest.clone(), head.head)).collect();
                inspect(&disk, &place.path, files.site(), self.deep, &heads, Clock::system().wall())
            });
            match checked {
                Ok(inspection) => volumes.push(inspection),
                Err(e) => faults.push(VolumeFault { file: place.path.display().to_string(), what: e.to_string() }),
            }
        }
        faults.extend(volumes.iter().flat_map(|volume| volume.faults.clone()));
        let report = Report {
            sound: faults.is_empty(),
            ledger_rows: ledger.as_ref().map_or(0, |ledger| ledger.rows),
            ledger_checkpoints: ledger.as_ref().map_or(0, |ledger| ledger.checkpoints),
            volumes,
            faults,
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            print(&report);
        }
        Ok(if report.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

type LedgerRead = Result<(Option<Verified>, Option<Checkpoint>), VolumeFault>;

/// Verifies the ledger; returns its newest checkpoint.
fn read_ledger(files: &SiteFiles) -> anyhow::Result<LedgerRead> {
    let dir = files.ledger_dir();
    let mut months = Vec::new();
    for name in files.disk().list_files(&dir).with_context(|| dir.display().to_string())? {
        if name.ends_with(".ledger") {
            let mut bytes = std::fs::read(dir.join(&name)).with_context(|| name.clone())?;
            // Beside a running daemon the last row may be half-way there.
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(whole);
            months.push((name, bytes));
        }
    }
    let verified = match verify_files(&months, None) {
        Ok(verified) => verified,
        Err((name, fault)) => {
            let what = format!("{fault}; compare with a copy or a checkpoint that is kept elsewhere");
            return Ok(Err(VolumeFault { file: dir.join(name).display().to_string(), what }));
        }
    };
    let lines = months.iter().rev().flat_map(|(_, bytes)| bytes.rsplit(|byte| *byte == b'\n'));
    let newest = lines
        .filter_map(|line| line.get(65..).and_then(|json| serde_json::from_slice::<Row>(json).ok()))
        .find_map(|row| match row.act {
            Act::Checkpoint(checkpoint) => Some(checkpoint),
            _ => None,
        });
    Ok(Ok((Some(verified), newest)))
}

fn print(report: &Report) {
    println!("ledger: {} rows, {} checkpoints", report.ledger_rows, report.ledger_checkpoints);
    for volume in &report.volumes {
        println!(
            "volume {}: {} manifests, {} segments kept ({} held), {} being written, {} destroyed",
            volume.volume.map_or_else(String::new, |volume| volume.to_string()),
            volume.manifests,
            volume.segments_kept,
            volume.segments_held,
            volume.segments_open,
            volume.segments_destroyed
        );
        if volume.bytes_digested > 0 {
            println!("  {:.1} MB held against their digests", volume.bytes_digested as f64 / 1e6);
        }
    }
    for fault in &report.faults {
        println!("FAULT  {}: {}", fault.file, fault.what);
    }
    println!("{}", if report.sound { "sound" } else { "NOT sound" });
}
