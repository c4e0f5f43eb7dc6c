//! Ninety-seven cameras: the real program under the load of real sessions, against as many processes of ffmpeg.
//!
//! `make bench-cameras` runs all of it; `cargo bench --bench cameras -- pairs` those benches whose names hold one of the
//! words (pairs, recover, rates, listing, site). A plain `cargo bench` runs none: this takes twelve minutes, and with the soak
//! (`SOAK_S` seconds of it, twenty minutes) half an hour.
//!
//! The load comes from a server of the bench's own (`server`), of pre-packetized RTP: it proves load and never
//! compatibility.

#[path = "../scale/daemon.rs"]
#[allow(dead_code, reason = "the bench of scale needs more of it")]
mod daemon;
#[path = "../scale/days.rs"]
mod days;
#[path = "../scale/image.rs"]
#[allow(dead_code, reason = "the bench of scale needs more of it")]
mod image;
#[path = "../support/measure.rs"]
#[allow(dead_code, reason = "the other benches need more of it")]
mod measure;
#[path = "../scale/plan.rs"]
#[allow(dead_code, reason = "the bench of scale needs more of it")]
mod plan;
#[path = "../support/report.rs"]
mod report;
#[path = "../scale/site.rs"]
#[allow(dead_code, reason = "the bench of scale needs more of it")]
mod site;
// Of what the tests use, too.
#[path = "../../tests/support.rs"]
mod support;

mod clinic;
mod copying;
mod film;
mod listing;
mod lost;
mod on_site;
mod pairs;
mod rates;
mod recover;
mod sealing;
mod served;
mod server;

use anyhow::{Context, Result};
use report::Row;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where it is measured, and on what.
#[derive(Debug)]
pub struct Ground {
    scratch: PathBuf,
    film_2: PathBuf,
    film_4: PathBuf,
    soak: Duration,
}

type Bench = fn(&Ground) -> Result<Vec<Row>>;

const BENCHES: [(&str, Bench); 5] = [
    ("pairs", pairs::against_ffmpeg),
    ("recover", recover::recover),
    ("rates", rates::more),
    ("listing", listing::listing),
    ("site", on_site::on_site),
];
const ALL: &str = "all";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, film, cameras, port] = &arguments[..]
        && role == server::ROLE
    {
        return server::serve(film.as_ref(), cameras, port);
    }
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    if words.is_empty() {
        println!("cameras: `make bench-cameras` runs this");
        return Ok(());
    }
    lost::check_of_the_check()?;
    let report = report::path();
    let ground = Ground::prepare(report.parent().context("the report has no directory")?)?;
    for (name, bench) in BENCHES {
        if words.iter().any(|word| *word == ALL || name.contains(word.as_str())) {
            report::record(&report, &bench(&ground).with_context(|| name.to_owned())?)?;
        }
    }
    Ok(())
}

impl Ground {
    fn prepare(scratch: &Path) -> Result<Self> {
        std::fs::create_dir_all(scratch)?;
        let footage = support::commands::target_dir().join("footage");
        let script = support::commands::repository().join("benches/cameras/footage.sh");
        image::output(Command::new(script).arg(&footage))?;
        let soak_s = std::env::var("SOAK_S").unwrap_or_else(|_| "0".to_owned());
        Ok(Self {
            scratch: scratch.to_owned(),
            film_2: footage.join("load-2.h264"),
            film_4: footage.join("load-4.h264"),
            soak: Duration::from_secs(soak_s.parse().with_context(|| format!("SOAK_S={soak_s}"))?),
        })
    }
}
