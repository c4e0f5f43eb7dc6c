//! `custodian verify --nothing-older`.

use super::super::SiteArg;
use super::state::look_at_state;
use crate::access::SiteFiles;
use crate::clock::Clock;
use crate::config::{Pace, Site};
use crate::disk::{RealDisk, SharedDisk};
use crate::vault::{AgeLook, AgeReport, OldestFrame, inspect_age, inspect_state_age};
use anyhow::{Context, ensure};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// A file that is on its way to its place is there by then.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The JSON. Fields are added, never renamed.
#[derive(Serialize)]
struct Told<'a> {
    version: u32,
    #[serde(flatten)]
    report: &'a AgeReport,
}

/// Walks every volume and the state directory. A volume that cannot be read leaves the question open.
pub(super) fn look(site: &SiteArg, deep: bool) -> anyhow::Result<AgeReport> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let site = Site::load(&site.site, Pace::Real)?;
    let files = SiteFiles::open(Arc::clone(&disk), &site.dir.join("state"))?;
    let clock = Clock::system();
    let state = look_at_state(&files, &clock)?;
    ensure!(state.is_known(), "the ledger is damaged, and does not tell which grants are open; see `custodian verify`");
    let now = clock.wall();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let wait = || runtime.block_on(clock.sleep(LOOK_AGAIN_AFTER));
    let look =
        AgeLook { disk: &disk, site: files.site(), now, holds: &state.holds, deep, goes_on: &|| true, wait: &wait };
    let mut report = AgeReport::new(now, deep);
    for place in &site.volumes {
        let of_volume = inspect_age(&place.path, &look).with_context(|| place.path.display().to_string())?;
        report = report.with(of_volume);
    }
    let strays = || Ok(state.stray_grants.clone());
    let period = (site.keeping.keep_persons, now);
    let papers = || state.facts.old_papers(&disk, &files.path("requests"), period);
    Ok(report.with(inspect_state_age(&site.dir.join("state"), &strays, &papers, &look)?))
}

pub(super) fn tell(report: &AgeReport, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string_pretty(&Told { version: 1, report })?);
    } else {
        print(report);
    }
    Ok(if report.nothing_older { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn frame(frame: Option<OldestFrame>) -> String {
    let words = |frame: OldestFrame| format!("{} (camera {}, until {})", frame.at, frame.camera, frame.expires);
    frame.map_or_else(|| "none".to_owned(), words)
}

fn print(report: &AgeReport) {
    println!("oldest frame that can be read: {}", frame(report.oldest_readable));
    println!("oldest that is not overwritten: {}", frame(report.oldest_block));
    let held = &report.held;
    println!("held: {} segments, {:.1} MB, oldest {}", held.segments, held.bytes as f64 / 1e6, frame(held.oldest));
    println!("{} manifests, {} segments", report.manifests, report.segments);
    for fault in &report.older {
        println!("OLDER  {}: {}", fault.file, fault.what);
    }
    let unnamed = report.older_count.saturating_sub(report.older.len() as u64);
    if unnamed > 0 {
        println!("and {unnamed} more");
    }
    println!(
        "{}",
        if report.nothing_older { "nothing is older than it may be" } else { "NOT all is gone that must be" }
    );
}
