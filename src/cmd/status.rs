//! `custodian status`.

use super::SiteArg;
use crate::app::{Status, ask_status};
use crate::vault::ClockReport;
use anyhow::Context;
use std::process::ExitCode;

/// Ask the running daemon how it is. Exit status: 0 all is well, 1 an alarm, 2 it is not running.
#[derive(Debug, clap::Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    site: SiteArg,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

const NOT_RUNNING: u8 = 2;

impl StatusCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let state = self.site.site.join("state");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let told = runtime.block_on(ask_status(&state)).context("the daemon's control socket cannot be asked")?;
        let Some(status) = told else {
            eprintln!(
                "custodian: no daemon is running on {}; start one with `custodian serve --site {}`",
                self.site.site.display(),
                self.site.site.display()
            );
            return Ok(ExitCode::from(NOT_RUNNING));
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&status)?);
        } else {
            print(&status);
        }
        Ok(if status.alarms.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What the trusted time rests on.
fn clock(clock: &ClockReport) -> String {
    let hours = |seconds: u64| seconds as f64 / 3_600.0;
    if clock.synchronised {
        return "  (the machine's clock is synchronised)".to_owned();
    }
    let vouched = clock
        .vouched
        .map_or_else(|| "nobody has vouched for it yet".to_owned(), |at| format!("last vouched for at {at}"));
    let (used, limit) = (hours(clock.stepped_s), hours(clock.limit_s));
    format!(
        "\nMachine's     {}  (not synchronised; {vouched}; steps since then {used:.1} h of {limit:.0} h)",
        clock.wall
    )
}

fn told(room: &str) -> &str {
    if room.is_empty() { "no footage was measured yet" } else { room }
}

fn print(status: &Status) {
    if let Some(notice) = &status.notice {
        println!("{notice}\n");
    }
    println!("Custodian {} at http://{}", status.version, status.address);
    println!("Trusted time  {}{}", status.now, clock(&status.clock));
    println!("\nCameras");
    for camera in &status.cameras {
        let newest = camera.newest_frame.map_or_else(|| "no frame yet".to_owned(), |at| format!("newest frame {at}"));
        println!("  {:>4}  {:<24} {:<11} {newest}", camera.number.to_string(), camera.name, camera.state);
        if let Some(detail) = camera.detail.as_deref().filter(|_| camera.state == "recording") {
            println!("        {detail}");
        }
    }
    let open: Vec<String> =
        status.cameras.iter().filter(|camera| !camera.encrypted).map(|camera| camera.number.to_string()).collect();
    if !open.is_empty() {
        println!("  Not encrypted on their way here: {}. Keep them on a network of their own.", open.join(", "));
    }
    if status.duties.operations_under_way > 0 {
        println!("  Operations under way: {}", status.duties.operations_under_way);
    }
    println!("\nVolumes");
    for volume in &status.volumes {
        let free = volume.free_bytes.map_or_else(|| "?".to_owned(), |free| format!("{:.1}", free as f64 / 1e9));
        let proven = if volume.overwriting_is_proven { "overwriting proven" } else { "overwriting NOT proven" };
        println!("  {}  {free} GB free, {proven}", volume.dir.display());
        println!("      {}", told(&volume.room.foreseen()));
    }
    if status.waiting_bytes > 1 << 20 || status.dropped_frames > 0 {
        println!(
            "  waiting to be written {} of {} MiB; dropped since the start {} frames",
            status.waiting_bytes >> 20,
            status.waiting_limit_bytes >> 20,
            status.dropped_frames
        );
    }
    println!("  all  {}", told(&status.disk.room.foreseen()));
    println!(
        "\nHolds {}   due for destruction {}   destroyed since the start {}",
        status.holds, status.due, status.destroyed
    );
    print_holds(status);
    print_requests(status);
    if let Some(first) = status.duties.first_unconfirmed {
        println!("Days of destruction not confirmed {}, from {first} on", status.duties.days_unconfirmed);
    }
    if status.duties.unproven_segments > 0 {
        println!("Overwriting NOT proven of {} segments, on days not confirmed", status.duties.unproven_segments);
    }
    println!("Ledger at row {}", status.ledger_sequence);
    match &status.age {
        None => println!("Whether anything is older than it may be is checked some minutes after a start"),
        Some(age) => {
            let oldest = age.oldest_readable.map_or_else(|| "none".to_owned(), |at| at.to_string());
            let told = if age.nothing_older { "nothing is" } else { "NOT all is gone that must be" };
            println!(
                "Older than it may be ({}): {told}; oldest frame that can be read {oldest}; held {} segments, {:.1} GB",
                age.checked_at,
                age.held_segments,
                age.held_bytes as f64 / 1e9
            );
        }
    }
    for alarm in &status.alarms {
        println!("\nALARM  {alarm}");
    }
}

fn print_requests(status: &Status) {
    let duties = &status.duties;
    if duties.requests_unanswered > 0 {
        let next = duties.next_due.map_or_else(|| "none".to_owned(), |next| next.to_string());
        println!(
            "Requests without an answer {}   overdue {}   the next is to be answered by {next}",
            duties.requests_unanswered, duties.requests_overdue
        );
    }
}

fn print_holds(status: &Status) {
    let duties = &status.duties;
    if status.holds == 0 {
        return;
    }
    let held = &duties.held;
    let share = duties.held_percent.map(|percent| format!(" ({percent} % of the disks)")).unwrap_or_default();
    let oldest = held.oldest.map(|oldest| format!(", the oldest filmed {oldest}")).unwrap_or_default();
    println!("Held {} segments, {:.1} GB{share}{oldest}", held.segments, held.bytes as f64 / 1e9);
    let next = duties.next_review.map_or_else(|| "none".to_owned(), |next| next.to_string());
    println!(
        "Next review of a hold {next}   overdue {}   waiting for a confirmation {}",
        duties.reviews_due, duties.holds_unconfirmed
    );
}
