//! Scale and speed, on a site of 4.19 million segments: 97 cameras, segments of a minute, 30 days, one volume.
//!
//! The site is made once, on a disk of its own (`target/bench/site.img`, about 20 GB), and used again; see `days` for
//! what of it is real. Each bench begins from the same state of it, which is put back. `cargo bench --bench scale --
//! restart query` runs those benches whose names hold one of the words.

// Of what the tests use, too.
#[path = "../../tests/support/api.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod api;
mod approving;
mod counted;
mod cut;
#[allow(dead_code, reason = "the bench of cameras needs more of it")]
mod daemon;
mod days;
mod flushes;
mod image;
#[path = "../support/measure.rs"]
#[allow(dead_code, reason = "the other benches need more of it")]
mod measure;
mod memory;
mod people;
mod plan;
mod query;
mod recording;
#[path = "../support/report.rs"]
mod report;
mod restart;
mod site;
#[path = "../support/watched_disk.rs"]
mod watched_disk;

use anyhow::{Context, Result};
use report::Row;
use site::Site;

type Bench = fn(&Site) -> Result<Vec<Row>>;

const BENCHES: [(&str, Bench); 8] = [
    ("query", query::index_hour),
    ("restart-clean", restart::clean),
    ("restart-after-cut", restart::after_cut),
    ("rebuild", restart::rebuild),
    ("memory-idle", memory::idle),
    ("memory-erasing", memory::erasing),
    ("approve", approving::camera_day),
    ("flushes", flushes::recording),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, site, start] = &arguments[..]
        && role == cut::ROLE
    {
        return cut::record_until_killed(site.as_ref(), start);
    }
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let report = report::path();
    let site = Site::open(report.parent().context("the report has no directory")?)?;
    for (name, bench) in BENCHES {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            report::record(&report, &bench(&site).with_context(|| name.to_owned())?)?;
        }
    }
    Ok(())
}
