//! What destroying footage costs, and how soon it is unreadable: on the disk that the build stands on, which must be ext4 or
//! XFS, and on raw images. Wants root: it drops caches and mounts images. `cargo bench --bench erase -- backlog beside` runs
//! those whose names hold one of the words.

mod backlog;
mod beside;
mod ground;
#[path = "../support/measure.rs"]
#[allow(dead_code, reason = "the other benches need more of it")]
mod measure;
mod overwriting;
mod raw;
#[path = "../support/report.rs"]
mod report;
// Of what the tests use, too.
#[path = "../../tests/support.rs"]
mod support;
mod timed;
#[path = "../support/watched_disk.rs"]
mod watched_disk;

use anyhow::{Context, Result};
use report::Row;
use std::path::Path;

type Bench = fn(&Path) -> Result<Vec<Row>>;

const BENCHES: [(&str, Bench); 5] = [
    ("overwriting", overwriting::against_raw_writes_and_shred),
    ("backlog", backlog::week),
    ("beside", beside::recording),
    ("keyless", beside::expiring),
    ("raw", raw::images),
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, volume, seed] = &arguments[..]
        && role == raw::ROLE
    {
        return raw::erase_until_killed(volume.as_ref(), seed);
    }
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let report = report::path();
    let scratch = report.parent().context("the report has no directory")?;
    std::fs::create_dir_all(scratch)?;
    for (name, bench) in BENCHES {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            report::record(&report, &bench(scratch).with_context(|| name.to_owned())?)?;
        }
    }
    Ok(())
}
