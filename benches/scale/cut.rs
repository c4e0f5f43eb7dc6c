//! What a power cut leaves: 97 segments open, the newest commit table, an index and summaries that nobody closed. A child
//! of this bench records, and is killed.

use crate::image::drop_caches;
use crate::plan::Plan;
use crate::recording::{Recording, open_vault};
use crate::site::Site;
use anyhow::{Context, Result, ensure};
use cctv_custodian::disk::RealDisk;
use cctv_custodian::domain::Utc;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The argument that makes this program the child.
pub const ROLE: &str = "record-until-killed";
const SAID: &str = "recorded";
/// The parent kills it long before.
const LONGEST: Duration = Duration::from_secs(60);

/// Records on the site, and is killed with everything open.
///
/// # Errors
/// When the child does not come so far.
pub fn cut_power(site: &Site) -> Result<()> {
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(std::env::current_exe()?)
        .arg(ROLE)
        .arg(site.dir())
        .arg(site.plan().start().micros().to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let told = BufReader::new(child.stdout.take().context("its output")?).read_line(&mut said);
    child.kill()?;
    child.wait()?;
    told?;
    ensure!(said.trim() == SAID, "the recording child broke off");
    drop_caches(site.image().root())
}

/// The child: 97 open segments of any age, all committed, and two seconds more that are not.
///
/// # Errors
/// What the vault says.
pub fn record_until_killed(site: &Path, plan_start_micros: &str) -> Result<()> {
    let plan = Plan::from_start(Utc::from_micros(plan_start_micros.parse()?));
    let vault = open_vault(site, Arc::new(RealDisk), plan.end())?;
    let mut recording = Recording::new(vault, &plan)?;
    recording.settle()?;
    recording.step()?;
    println!("{SAID}");
    std::thread::sleep(LONGEST);
    Ok(())
}
