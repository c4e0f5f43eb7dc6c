//! `custodian plan`.

use super::SiteArg;
use crate::access::SiteFiles;
use crate::app::state_dir;
use crate::clock::Clock;
use crate::config::{Camera, CameraSet, Pace, Site};
use crate::disk::{RealDisk, SharedDisk};
use crate::domain::{CameraClass, CameraNumber, Retention, Utc};
use crate::retention::{Demand, Forecast, forecast, wanted_free};
use crate::vault::{Rate, VolumeRoom, rates};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const THIRTY_DAYS: Duration = Duration::from_secs(30 * 86_400);
/// What a camera is taken to send of which nothing was recorded yet, in Mbit/s: 1080p H.264 of a usual camera.
const ASSUMED_MBPS: f64 = 4.0;
/// A rate that was measured over less is said to be so.
const SHORT: Duration = Duration::from_secs(3_600);
const NOT_KNOWN: u8 = 2;

/// Say how much disk the cameras need, and what there is: from the bit rates that were measured of each.
///
/// Reads the configuration and the manifests, and changes nothing; works beside a running daemon and without one. A camera
/// without footage is taken to send 4 Mbit/s, or what `--mbps` says; with no footage at all it is a plan before the first
/// day.
///
/// Exit status: 0 the volumes hold the whole periods of all cameras; 1 they do not; 2 there is nothing to plan with.
///
/// The JSON has `cameras` (each with `number`, `name`, `class`, `period_days`, `mbps`, `measured_s`, or 0 where it is
/// assumed, `bytes_a_day`, `bytes_for_period`), `volumes` (`dir`, `there_bytes`, `held_bytes`), `needed_bytes`,
/// `thirty_days_bytes`, `there_bytes`, `held_bytes`, `kept_free_bytes`, `holds_days`, `full_at`, `enough`, and `advice`.
/// Fields are added, never renamed.
#[derive(Debug, clap::Args)]
pub(super) struct Plan {
    #[command(flatten)]
    site: SiteArg,
    /// What cameras send of which nothing was recorded yet, in Mbit/s.
    #[arg(long, value_name = "N", value_parser = positive)]
    mbps: Option<f64>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1_000.0 => Ok(rate),
        _ => Err("write a number above 0, of 1000 at most".to_owned()),
    }
}

#[derive(Serialize)]
struct CameraLine {
    number: CameraNumber,
    name: String,
    class: CameraClass,
    is_floor: bool,
    period_days: f64,
    mbps: f64,
    /// 0: it is assumed.
    measured_s: u64,
    bytes_a_day: u64,
    bytes_for_period: u64,
}

#[derive(Serialize)]
struct VolumeLine {
    dir: PathBuf,
    /// For footage; `None` where it could not be told.
    there_bytes: Option<u64>,
    held_bytes: u64,
}

#[derive(Serialize)]
struct Told {
    cameras: Vec<CameraLine>,
    volumes: Vec<VolumeLine>,
    needed_bytes: u64,
    thirty_days_bytes: u64,
    there_bytes: u64,
    held_bytes: u64,
    /// Free room that recording wants, besides.
    kept_free_bytes: u64,
    /// How long the volumes hold, all cameras alike.
    holds_days: f64,
    full_at: Option<Utc>,
    enough: bool,
    advice: Vec<String>,
}

impl Plan {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let site = Site::load(&self.site.site, Pace::Real)?;
        let (cameras, errors) = CameraSet::load(&site);
        for error in &errors {
            eprintln!("custodian: {error}");
        }
        if cameras.is_empty() {
            eprintln!(
                "custodian: {}: there is no camera to plan for; put one file a camera there",
                site.camera_dir.display()
            );
            return Ok(ExitCode::from(NOT_KNOWN));
        }
        let (rooms, volumes) = look_at_volumes(&site)?;
        let told = plan(&site, &cameras, &rooms, volumes, self.mbps.unwrap_or(ASSUMED_MBPS), Clock::system().wall());
        if self.json {
            println!("{}", serde_json::to_string_pretty(&told)?);
        } else {
            print(&told);
        }
        Ok(if told.enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What stands on each volume; one that cannot be read is named and counts as none.
fn look_at_volumes(site: &Site) -> anyhow::Result<(Vec<VolumeRoom>, Vec<VolumeLine>)> {
    let disk: SharedDisk = Arc::new(RealDisk);
    let files = SiteFiles::open(Arc::clone(&disk), &state_dir(site))?;
    let (mut rooms, mut lines) = (Vec::new(), Vec::new());
    for place in &site.volumes {
        let dir = place.path.clone();
        match VolumeRoom::at_rest(&disk, &dir, files.site()) {
            Ok(room) => {
                lines.push(VolumeLine { dir, there_bytes: room.capacity_bytes(), held_bytes: room.apart_bytes() });
                rooms.push(room);
            }
            Err(e) => {
                eprintln!("custodian: {}: {e}", dir.display());
                lines.push(VolumeLine { dir, there_bytes: None, held_bytes: 0 });
            }
        }
    }
    Ok((rooms, lines))
}

fn plan(
    site: &Site,
    cameras: &CameraSet,
    rooms: &[VolumeRoom],
    volumes: Vec<VolumeLine>,
    assumed_mbps: f64,
    now: Utc,
) -> Told {
    let measured = rates(rooms);
    let rate = |camera: &Camera| measured.get(&camera.number).copied();
    let all: Vec<(&Camera, Rate, bool)> = cameras
        .iter()
        .map(|camera| match rate(camera) {
            Some(rate) => (camera, rate, true),
            None => (camera, Rate::assumed(assumed_mbps), false),
        })
        .collect();
    let mut stored: BTreeMap<CameraNumber, u64> = BTreeMap::new();
    for (camera, bytes) in rooms.iter().flat_map(VolumeRoom::rolling_by_camera) {
        *stored.entry(camera).or_default() += bytes;
    }
    let demand = |(camera, rate, _): &(&Camera, Rate, bool)| Demand {
        retention: camera.retention,
        rate: *rate,
        stored_bytes: stored.get(&camera.number).copied().unwrap_or(0),
    };
    let demands: Vec<Demand> = all.iter().map(demand).collect();
    let in_all = |time: Duration| all.iter().map(|(_, rate, _)| rate.disk_bytes_in(time)).sum::<u64>();
    let capacity: u64 = rooms.iter().filter_map(VolumeRoom::capacity_bytes).sum();
    let kept_free_bytes = wanted_free(all.iter().map(|(_, rate, _)| *rate), capacity, site.recording.segment);
    let there_bytes = capacity.saturating_sub(kept_free_bytes);
    let held_bytes = rooms.iter().map(VolumeRoom::apart_bytes).sum();
    let foreseen = forecast(&demands, there_bytes, held_bytes, now);
    let a_day = in_all(DAY);
    let holds_days = there_bytes.saturating_sub(held_bytes) as f64 / a_day.max(1) as f64;
    let line = |(camera, rate, is_measured): &(&Camera, Rate, bool)| CameraLine {
        number: camera.number,
        name: camera.name.clone(),
        class: camera.class,
        is_floor: matches!(camera.retention, Retention::Floor(_)),
        period_days: camera.retention.period().as_secs_f64() / DAY.as_secs_f64(),
        mbps: (rate.mbit_per_s() * 100.0).round() / 100.0,
        measured_s: if *is_measured { rate.over.as_secs() } else { 0 },
        bytes_a_day: rate.disk_bytes_in(DAY),
        bytes_for_period: rate.disk_bytes_in(camera.retention.period()),
    };
    let lines: Vec<CameraLine> = all.iter().map(line).collect();
    let advice = advice(&foreseen, &lines, kept_free_bytes, holds_days);
    Told {
        cameras: lines,
        volumes,
        needed_bytes: foreseen.needed_bytes,
        thirty_days_bytes: in_all(THIRTY_DAYS),
        there_bytes,
        held_bytes,
        kept_free_bytes,
        holds_days: (holds_days * 10.0).round() / 10.0,
        full_at: foreseen.full_at,
        enough: foreseen.is_enough(),
        advice,
    }
}

fn advice(foreseen: &Forecast, cameras: &[CameraLine], kept_free: u64, holds_days: f64) -> Vec<String> {
    let mut advice = Vec::new();
    let needed = foreseen.needed_bytes.saturating_add(foreseen.held_bytes);
    let lacking = needed.saturating_sub(foreseen.there_bytes);
    if lacking > 0 {
        advice.push(format!(
            "Add {} of disk (a [[volume]] more in site.toml), so that there are {} in all; or shorten periods, and publish \
             that first.",
            size(lacking),
            size(needed + kept_free)
        ));
        advice.push(format!(
            "As it is, the disk holds {holds_days:.1} days of all cameras. What is older goes before its day, or recording \
             stops, as when_full in site.toml says."
        ));
        let floors: u64 = cameras.iter().filter(|line| line.is_floor).map(|line| line.bytes_for_period).sum();
        if floors.saturating_add(foreseen.held_bytes) > foreseen.there_bytes {
            advice.push(
                "The operating rooms alone do not fit: their footage must be kept 30 days at least by law and never goes \
                 early, so recording would stop."
                    .to_owned(),
            );
        }
    }
    let assumed = cameras.iter().filter(|line| line.measured_s == 0).count();
    if assumed > 0 {
        advice.push(format!(
            "{assumed} of {} cameras have no footage yet: what they send is assumed. Ask again after a day of recording, \
             or give --mbps.",
            cameras.len()
        ));
    }
    let short = cameras.iter().filter(|line| line.measured_s > 0 && line.measured_s < SHORT.as_secs()).count();
    if short > 0 {
        advice.push(format!(
            "{short} cameras were measured for less than an hour: cameras send more by day, or where much moves. Ask again \
             after a day of recording."
        ));
    }
    advice
}

fn print(told: &Told) {
    println!(
        "{:>4}  {:<24}  {:<14}  {:>5}   {:>8}  {:>11}  {:>11}",
        "No", "Camera", "Class", "Days", "Mbit/s", "GB a day", "GB in all"
    );
    for line in &told.cameras {
        let mark = if line.measured_s == 0 { "~" } else { " " };
        println!(
            "{:>4}  {:<24}  {:<14}  {:>5.0}{}  {mark}{:>8.2}  {:>11.1}  {:>11.1}",
            line.number.to_string(),
            line.name,
            line.class.to_string(),
            line.period_days,
            if line.is_floor { "+" } else { " " },
            line.mbps,
            line.bytes_a_day as f64 / 1e9,
            line.bytes_for_period as f64 / 1e9,
        );
    }
    println!("      ~ assumed, since nothing was recorded of it yet   + at least, by law");
    println!("\nAll cameras, their whole periods  {:>12}", size(told.needed_bytes));
    println!("All cameras, 30 days              {:>12}", size(told.thirty_days_bytes));
    println!("Held footage                      {:>12}", size(told.held_bytes));
    println!("There for footage                 {:>12}", size(told.there_bytes));
    for volume in &told.volumes {
        let there = volume.there_bytes.map_or_else(|| "cannot be told".to_owned(), size);
        println!("  {}  {there}", volume.dir.display());
    }
    println!("Kept free for recording itself    {:>12}", size(told.kept_free_bytes));
    match (told.enough, told.full_at) {
        (true, _) => println!("\nENOUGH  The disk holds the whole periods of all cameras."),
        (false, Some(at)) => println!("\nNOT ENOUGH  The disk will be full on {}.", at.day()),
        (false, None) => println!("\nNOT ENOUGH"),
    }
    for line in &told.advice {
        println!("  {line}");
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000_000.. => format!("{:.1} TB", bytes as f64 / 1e12),
        1_000_000_000.. => format!("{:.1} GB", bytes as f64 / 1e9),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}
