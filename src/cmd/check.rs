//! `custodian check`.

use crate::disk::{DeviceCheck, DeviceReport, Layer, RawLook, RealDisk, examine_device};
use anyhow::bail;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Test the disk of a directory: does overwriting a file there reach the blocks that it stood in?
///
/// Writes a file of 1 MiB, notes where the file system says that it stands, overwrites it, and reads it back: through the
/// file system past its cache, and, where the block device may be read (as root), from the device itself, before and after.
/// The file is removed again. `init` and `serve` do the same. Works on any directory, also beside a running daemon.
///
/// Exit status: 0 overwriting reaches the blocks; 1 it does not, or cannot be shown to; 2 it could not be tested.
///
/// The JSON has `dir`, `proven`, `file_system`, `mount_point`, `source`, `options`, `layers`, `flash` (`null` where it is not
/// told), `raw` (`compared`, or `not-looked` and why), `refusal` (`null`, or why and what to do) and `warnings`. Fields are
/// added, never renamed.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The directory, as it stands or will stand in `[[volume]] path` of site.toml.
    #[arg(long, value_name = "DIR")]
    volume: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

const NOT_TESTED: u8 = 2;

#[derive(Serialize)]
struct Told<'a> {
    dir: &'a std::path::Path,
    proven: bool,
    file_system: &'a str,
    mount_point: &'a std::path::Path,
    source: &'a str,
    options: &'a str,
    layers: &'a [Layer],
    flash: Option<bool>,
    #[serde(flatten)]
    raw: &'a RawLook,
    refusal: Option<String>,
    warnings: Vec<String>,
}

impl Check {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.look() {
            Ok(report) => {
                let told = self.told(&report);
                if self.json {
                    println!("{}", serde_json::to_string_pretty(&told)?);
                } else {
                    print(&told);
                }
                Ok(if told.proven { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Err(e) => {
                super::tell(&e);
                Ok(ExitCode::from(NOT_TESTED))
            }
        }
    }

    fn look(&self) -> anyhow::Result<DeviceReport> {
        let dir = &self.volume;
        if !dir.is_dir() {
            bail!("{}: there is no such directory; make it, or mount the disk", dir.display());
        }
        examine_device(&RealDisk, dir).map_err(|e| anyhow::anyhow!("{}: it could not be tested: {e}", dir.display()))
    }

    fn told<'a>(&'a self, report: &'a DeviceReport) -> Told<'a> {
        let facts = &report.facts;
        let refusal = match &report.check {
            DeviceCheck::Proven { .. } => None,
            DeviceCheck::Refused(why) => Some(why.to_string()),
        };
        Told {
            dir: &self.volume,
            proven: report.check.is_proven(),
            file_system: &facts.kind,
            mount_point: &facts.mount_point,
            source: &facts.source,
            options: &facts.options,
            layers: &facts.layers,
            flash: facts.flash,
            raw: &report.raw,
            refusal,
            warnings: report.warnings(),
        }
    }
}

fn print(told: &Told) {
    println!("{}", told.dir.display());
    println!("  file system  {} on {}, mounted at {}", told.file_system, told.source, told.mount_point.display());
    println!("  options      {}", told.options);
    for layer in told.layers {
        println!("  layer        {layer}");
    }
    let flash = match told.flash {
        Some(true) => "flash",
        Some(false) => "no flash, as the system tells",
        None => "whether it is flash is not told",
    };
    println!("  device       {flash}");
    match told.raw {
        RawLook::Compared => {
            println!("  read raw     the device held what was written, and then what it was overwritten with")
        }
        RawLook::NotLooked(why) => println!("  read raw     no: {why} (as root more can be tested)"),
    }
    match &told.refusal {
        None => println!("\nOverwriting reaches the blocks here: the directory will do for footage."),
        Some(why) => println!("\nNOT PROVEN  {why}"),
    }
    for warning in &told.warnings {
        println!("\nWARNING  {warning}");
    }
}
