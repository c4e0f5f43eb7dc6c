//! `custodian verify`.

mod older;
mod state;
mod told;

use super::SiteArg;
use super::identity::read_identity;
use super::progress::Progress;
use crate::access::SiteFiles;
use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{Pace, Site};
use crate::crypto::PrivateKey;
use crate::disk::{RealDisk, SharedDisk, SiteLock};
use crate::domain::{GrantId, ManifestHead, SegmentId, Utc};
use crate::ledger::{ClosedManifests, ManifestCheckpoint};
use crate::vault::{
    IndexLook, Look, SeenVolume, Volume, VolumeFault, count_segments, granted_segments, inspect, inspect_index,
};
use anyhow::Context;
use state::{State, look_at_state};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use told::Report;

/// Check that everything on the disks agrees: manifests, segments, day keys, grants, holds, ledger, index.
///
/// Changes nothing; works beside a running daemon (then without the index, which the daemon holds) and without one.
///
/// Exit status: 0 everything is sound; 1 there are faults, each named with its file and what to do; 2 it could not be
/// checked.
///
/// The JSON has `version`, `sound`, `ledger_rows`, `ledger_checkpoints`, `grants` (open ones), `holds`, `index` (`current`,
/// `outdated`: it is rebuilt at the next start, `in-use`: a daemon runs, or `none`), `volumes` (each with `volume`, counts of
/// `manifests`, `day_keys` and segments, `bytes_digested`, `segments_decrypted` and its own `faults`), and `faults`: all of
/// them, each `{"file", "what"}`. Fields are added, never renamed.
///
/// With `--nothing-older` it answers one question alone: whether anything is older than it may be, by this machine's clock.
/// It walks manifests and directories, not the index, and with `--deep` reads each segment's head, too. Exit status: 0
/// nothing is, 1 something is, 2 it could not be checked. That JSON has `version`, `nothing_older`, `checked_at`, `deep`,
/// `oldest_readable` and `oldest_block` (each null or `{"at", "expires", "camera", "volume", "segment"}`: of what is not held,
/// the oldest frame that a key still opens, and the oldest whose blocks are not overwritten), `held` (`segments`, `bytes`,
/// `oldest`), `oldest_day_key` (days since 1970), `manifests`, `segments`, `older_count`, and `older`: the first 1,000 things
/// that break it, each `{"file", "what"}`.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    site: SiteArg,
    /// Read every sealed byte and hold it against its digest.
    #[arg(long)]
    deep: bool,
    /// Decrypt every chunk, too, with the private key in this file of your own (mode 0600): an officer's release key or the
    /// recovery key in 64 hexadecimal digits, or two shares, one a line. Nothing that is decrypted leaves the memory.
    #[arg(long, value_name = "FILE", requires = "deep")]
    identity: Option<PathBuf>,
    /// Ask only whether anything is older than it may be: footage, keys, manifests, what was left over.
    #[arg(long, conflicts_with = "identity")]
    nothing_older: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

const NOT_CHECKED: u8 = 2;

impl Verify {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.nothing_older {
            return match older::look(&self.site, self.deep) {
                Ok(report) => older::tell(&report, self.json),
                Err(e) => {
                    super::tell(&e);
                    Ok(ExitCode::from(NOT_CHECKED))
                }
            };
        }
        let report = match self.checked() {
            Ok(report) => report,
            Err(e) => {
                super::tell(&e);
                return Ok(ExitCode::from(NOT_CHECKED));
            }
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&report)?);
        } else {
            report.print();
        }
        Ok(if report.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn checked(&self) -> anyhow::Result<Report> {
        let disk: SharedDisk = Arc::new(RealDisk);
        let site = Site::load(&self.site.site, Pace::Real)?;
        let key = self.identity.as_deref().map(read_identity).transpose()?;
        let files = SiteFiles::open(Arc::clone(&disk), &site.dir.join("state"))?;
        let clock = Clock::system();
        let state = look_at_state(&files, &clock)?;
        let (mut report, mut seen) = (Report::new(&state), Vec::new());
        self.look_at_volumes(&disk, &site, &files, (&state, key.as_ref()), clock.wall(), (&mut report, &mut seen));
        // Not held longer than this takes: as long as it is, no daemon can start.
        if let Some(_lock) = SiteLock::take(&files.path("lock"))? {
            report.note_index(look_at_index(&disk, &files, seen)?);
        }
        Ok(report.done())
    }

    fn look_at_volumes(
        &self,
        disk: &SharedDisk,
        site: &Site,
        files: &SiteFiles,
        (state, key): (&State, Option<&PrivateKey>),
        now: Utc,
        (report, seen): (&mut Report, &mut Vec<SeenVolume>),
    ) {
        let places = site.volumes.iter().map(|place| &place.path);
        let progress = Progress::segments(places.clone().map(|place| count_segments(disk, place).unwrap_or(0)).sum());
        let granted = granted_segments(&state.grants).unwrap_or_default();
        let nothing: BTreeMap<SegmentId, GrantId> = BTreeMap::new();
        let closed = ClosedManifests::new(SharedDisk::clone(disk), files.ledger_dir());
        let holders = state.facts.day_key_holders();
        for place in places {
            let told = Volume::identify(disk, place, files.site()).and_then(|volume| {
                let heads: Vec<_> = state.heads().filter(|head| head.volume == volume).map(name_and_head).collect();
                let look = Look {
                    deep: self.deep,
                    identity: key,
                    heads: &heads,
                    holders: state.is_known().then_some(&holders),
                    granted: granted.get(&volume).unwrap_or(&nothing),
                    holds: &state.holds,
                    closed: Some(&closed),
                    now: Some(now),
                    progress: &|| progress.one(),
                    ..Look::at(disk, files.site(), &nothing)
                };
                inspect(place, &look)
            });
            match told {
                Ok(mut told) => {
                    let heads = std::mem::take(&mut told.heads);
                    seen.extend(told.volume.map(|volume| SeenVolume { volume, dir: place.clone(), heads }));
                    report.volumes.push(told);
                }
                Err(e) => report.faults.push(VolumeFault::new(place, e.to_string())),
            }
        }
        progress.done();
    }
}

fn name_and_head(head: &ManifestCheckpoint) -> (String, ManifestHead) {
    (head.manifest.clone(), head.head)
}

/// `None` where there is no index.
fn look_at_index(disk: &SharedDisk, files: &SiteFiles, seen: Vec<SeenVolume>) -> anyhow::Result<Option<IndexLook>> {
    let dir = files.path("catalog");
    if !dir.exists() {
        return Ok(None);
    }
    let copy = files.path("catalog.copy");
    let told = match Catalog::open_copy(&dir, &copy) {
        Ok(Some(catalog)) => {
            let closed = ClosedManifests::new(SharedDisk::clone(disk), files.ledger_dir());
            inspect_index(disk, &catalog, &dir, &seen, Some(&closed))
        }
        Ok(None) => Ok(IndexLook::Outdated),
        Err(e) => Err(e.into()),
    };
    if copy.exists() {
        std::fs::remove_dir_all(&copy).with_context(|| copy.display().to_string())?;
    }
    // One that cannot be read is thrown away and rebuilt.
    Ok(Some(told.unwrap_or(IndexLook::Outdated)))
}
