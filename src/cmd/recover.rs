//! `custodian recover`.

mod list;
mod movie;
mod on_record;

use super::identity::{ask_password, read_identity};
use super::progress::Progress;
use crate::clock::Clock;
use crate::config::{Pace, Site};
use crate::crypto::PrivateKey;
use crate::disk::{RealDisk, SharedDisk};
use crate::domain::{CameraNumber, Span, Utc};
use crate::vault::{BareSegment, BareVolume, DayKeys, VaultError};
use anyhow::{Context, bail};
use list::{Finding, Recovered};
use movie::Cutter;
use on_record::{LockedSite, Plan, put_on_record};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Take footage out of bare disks with a private key, without the daemon: films that any player opens, and a list of what
/// was cut short, damaged or missing.
///
/// A volume's directory alone is enough. Where the site's ledger is on this machine, the recovery is put on record in it
/// before the first picture is written; if that cannot be done, nothing is recovered. Footage whose period has ended is
/// not recovered, unless it stands apart for a request.
///
/// DIR gets one film for each stretch without a gap, cut at full hours (UTC) and named by camera and begin, such as
/// `camera-0001_2026-11-22T10-00-00Z.mp4`, and the list as `recovered.json` and `recovered.txt`.
///
/// Exit status: 0 all that was asked for was recovered; 1 something was damaged or missing, the list says what; 2 nothing
/// was recovered.
#[derive(Debug, clap::Args)]
pub(super) struct Recover {
    /// A file of your own (mode 0600) with a private key: an officer's release key or the recovery key in 64 hexadecimal
    /// digits, or two shares of the recovery key, one a line.
    #[arg(long, value_name = "FILE", required_unless_present = "account")]
    identity: Option<PathBuf>,
    /// In place of a key file: an officer's account. Their password, typed at the terminal or given on the standard input,
    /// opens their release key in the site's state.
    #[arg(long, value_name = "NAME", requires = "site", conflicts_with = "identity")]
    account: Option<String>,
    /// Where the films go: a directory that is new, or empty. Plaintext is written nowhere else.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only this camera; may be given several times.
    #[arg(long, value_name = "N")]
    camera: Vec<CameraNumber>,
    /// Only from this time on, such as 2026-11-22T10:00:00Z or 2026-11-22T19:00:00+09:00.
    #[arg(long, value_name = "TIME")]
    from: Option<Utc>,
    /// Only up to this time.
    #[arg(long, value_name = "TIME")]
    to: Option<Utc>,
    /// A volume's directory; may be given several times. Without, those that the site's site.toml names.
    #[arg(long, value_name = "DIR")]
    volume: Vec<PathBuf>,
    /// The site's directory, where there is one: for its volumes, and its ledger.
    #[arg(long, value_name = "DIR")]
    site: Option<PathBuf>,
}

const NOTHING_RECOVERED: u8 = 2;

/// A segment that is to be recovered, and the volume that it is on.
type Wanted<'a> = (&'a BareVolume, &'a BareSegment);

impl Recover {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.recovered() {
            Ok(code) => Ok(code),
            Err(e) => {
                super::tell(&e);
                Ok(ExitCode::from(NOTHING_RECOVERED))
            }
        }
    }

    fn recovered(&self) -> anyhow::Result<ExitCode> {
        let disk: SharedDisk = Arc::new(RealDisk);
        let clock = Clock::system();
        let asked = self.asked()?;
        let places = self.places()?;
        // Locked first: nothing may change while it is read.
        let site = on_record::find_site(&disk, self.site.as_deref(), &places)?;
        let key = self.key(site.as_ref())?;
        let mut told = Recovered::new(key.public()?);
        let volumes = read_volumes(&disk, &places, &mut told)?;
        let wanted = self.choose(&volumes, asked, clock.wall(), &mut told);
        if wanted.is_empty() {
            told.print_findings();
            bail!("there is nothing to recover: no footage that has not expired is asked for and there");
        }
        must_open(&wanted, &key)?;
        make_out(&self.out)?;
        let plan = Plan::of(&wanted, key.public()?)?;
        let _record = put_on_record(&disk, site, &volumes, &plan, &clock)?;

        write_all(&wanted, &key, &self.out, asked, &mut told)?;
        let gaps = volumes.iter().flat_map(|volume| volume.gaps.iter().copied()).collect::<Vec<_>>();
        told.note_gaps(&gaps, &plan.cameras, asked);
        told.store(&self.out)?;
        told.print(&self.out);
        Ok(if told.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn key(&self, site: Option<&LockedSite>) -> anyhow::Result<PrivateKey> {
        match (&self.identity, &self.account, site) {
            (Some(file), ..) => read_identity(file),
            (None, Some(name), Some(site)) => site.release_key(name, &ask_password(name)?),
            (None, ..) => bail!("--identity FILE, or --account NAME with --site DIR, is wanted"),
        }
    }

    /// The span asked for; open ends reach as far as time does.
    fn asked(&self) -> anyhow::Result<Span> {
        let from = self.from.unwrap_or(Utc::from_micros(i64::MIN));
        let to = self.to.unwrap_or(Utc::from_micros(i64::MAX));
        Ok(Span::new(from, to)?)
    }

    fn places(&self) -> anyhow::Result<Vec<PathBuf>> {
        if !self.volume.is_empty() {
            return Ok(self.volume.clone());
        }
        let dir = self.site.as_deref().unwrap_or(Path::new(super::DEFAULT_SITE));
        let site =
            Site::load(dir, Pace::Real).context("without --volume the site's site.toml tells which there are")?;
        Ok(site.volumes.into_iter().map(|place| place.path).collect())
    }

    /// What was asked for, by camera and start.
    fn choose<'a>(&self, volumes: &'a [BareVolume], asked: Span, now: Utc, told: &mut Recovered) -> Vec<Wanted<'a>> {
        let mut wanted = Vec::new();
        for volume in volumes {
            for segment in &volume.segments {
                let is_asked = (self.camera.is_empty() || self.camera.contains(&segment.camera))
                    && segment.start < asked.to()
                    && segment.end > asked.from();
                if !is_asked {
                    continue;
                }
                if !segment.is_held && segment.expires.is_some_and(|expires| expires <= now) {
                    told.expired += 1;
                    continue;
                }
                wanted.push((volume, segment));
            }
        }
        wanted.sort_by_key(|(_, segment)| (segment.camera, segment.start));
        wanted
    }
}

fn read_volumes(disk: &SharedDisk, places: &[PathBuf], told: &mut Recovered) -> anyhow::Result<Vec<BareVolume>> {
    let mut volumes = Vec::new();
    for place in places {
        match BareVolume::read(disk, place) {
            Ok(volume) => {
                told.add_volume(&volume);
                volumes.push(volume);
            }
            Err(e) => told.finding(Finding::of_file(place, e.to_string())),
        }
    }
    if volumes.is_empty() {
        told.print_findings();
        bail!("no volume could be read");
    }
    Ok(volumes)
}

/// A wrong key is told before anything is made or put on record.
fn must_open(wanted: &[Wanted], key: &PrivateKey) -> anyhow::Result<()> {
    let mut keys = DayKeys::of(key);
    let mut last = None;
    for (volume, segment) in wanted {
        match volume.open(segment, &mut keys) {
            Ok(_) => return Ok(()),
            Err(e) => last = Some(e),
        }
    }
    match last {
        Some(VaultError::WrongKey { .. }) | None => bail!(
            "this key opens none of the footage asked for: it is neither the recovery key nor an officer's release key of this site"
        ),
        Some(e) => Err(anyhow::Error::new(e).context("none of the footage asked for can be opened")),
    }
}

/// Only a directory that holds nothing: nothing is ever overwritten.
fn make_out(out: &Path) -> anyhow::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(out) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e).with_context(|| format!("{} could not be made", out.display())),
    }
    crate::config::check_private(out)?;
    let mut entries = std::fs::read_dir(out).with_context(|| out.display().to_string())?;
    if entries.next().is_some() {
        bail!("--out {}: it is not empty; give a new directory, nothing is overwritten", out.display());
    }
    Ok(())
}

fn write_all(wanted: &[Wanted], key: &PrivateKey, out: &Path, asked: Span, told: &mut Recovered) -> anyhow::Result<()> {
    let mut keys = DayKeys::of(key);
    let progress = Progress::segments(wanted.len());
    let mut cutter = Cutter::new(out, asked);
    for (volume, segment) in wanted {
        cutter.segment(volume, segment, &mut keys, told)?;
        progress.one();
    }
    cutter.finish(told)?;
    progress.done();
    Ok(())
}
