//! The ledger's row of a recovery: before the first picture, or nothing is recovered.

use super::Wanted;
use crate::access::{Password, SiteFiles};
use crate::clock::Clock;
use crate::crypto::{PrivateKey, PublicKey};
use crate::disk::{SharedDisk, SiteLock};
use crate::domain::{CameraNumber, SiteId, Span};
use crate::ledger::{Act, Actor, Ledger, NewestKnown};
use crate::vault::{BareVolume, Volume};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// What is going to be recovered.
pub(super) struct Plan {
    key: PublicKey,
    pub cameras: Vec<CameraNumber>,
    span: Span,
    segments: u32,
}

impl Plan {
    pub fn of(wanted: &[Wanted], key: PublicKey) -> anyhow::Result<Self> {
        let mut cameras: Vec<CameraNumber> = wanted.iter().map(|(_, segment)| segment.camera).collect();
        cameras.dedup();
        let spans = wanted.iter().filter_map(|(_, segment)| Span::new(segment.start, segment.end).ok());
        let span = spans.reduce(Span::hull).context("the footage has no length")?;
        Ok(Self { key, cameras, span, segments: u32::try_from(wanted.len()).unwrap_or(u32::MAX) })
    }
}

/// A site's state, locked: no daemon runs on it, and none starts.
pub(super) struct LockedSite {
    files: SiteFiles,
    lock: SiteLock,
}

impl LockedSite {
    /// Opens an officer's release key with their password.
    ///
    /// # Errors
    /// Where the ledger is damaged; where name and password open none.
    pub fn release_key(&self, name: &str, password: &Password) -> anyhow::Result<PrivateKey> {
        let opened = self.files.open_release_key(name, password)?;
        opened.context("no officer has this name and password")
    }
}

/// The site of the volumes, where it is on this machine: the one given, the usual place, or around the volume.
pub(super) fn find_site(
    disk: &SharedDisk,
    given: Option<&Path>,
    volumes: &[PathBuf],
) -> anyhow::Result<Option<LockedSite>> {
    let owners: Vec<SiteId> = volumes.iter().filter_map(|dir| Some(Volume::whose(disk, dir).ok()?.1)).collect();
    if owners.iter().any(|owner| *owner != owners[0]) {
        bail!("these volumes are of different sites; recover one site at a time, each has a ledger of its own");
    }
    let around = volumes.iter().flat_map(|dir| {
        let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
        dir.ancestors().skip(1).map(Path::to_path_buf).collect::<Vec<_>>()
    });
    let usual = PathBuf::from(super::super::DEFAULT_SITE);
    let mut found = None;
    for dir in given.map(Path::to_path_buf).into_iter().chain([usual]).chain(around) {
        let state = dir.join("state");
        if !state.join("site").exists() {
            continue;
        }
        let files = SiteFiles::open(SharedDisk::clone(disk), &state)?;
        if owners.contains(&files.site()) {
            found = Some((files, state));
            break;
        }
    }
    let Some((files, state)) = found else {
        match given {
            Some(dir) => bail!("--site {}: it is not the site of these volumes", dir.display()),
            None => return Ok(None),
        }
    };
    let lock = SiteLock::take(&state.join("lock")).with_context(|| state.display().to_string())?;
    let Some(lock) = lock else {
        bail!("a daemon runs on this site ({}); stop it first, it alone writes the ledger", state.display());
    };
    Ok(Some(LockedSite { files, lock }))
}

/// Writes the row. What is returned keeps the daemon from starting for as long as it lives.
///
/// # Errors
/// The ledger is there and takes no row: nothing may be recovered then (P2).
pub(super) fn put_on_record(
    disk: &SharedDisk,
    site: Option<LockedSite>,
    volumes: &[BareVolume],
    plan: &Plan,
    clock: &Clock,
) -> anyhow::Result<Option<SiteLock>> {
    let Some(LockedSite { files, lock }) = site else {
        eprintln!(
            "custodian: the ledger of the site {} is not on this machine: this recovery stands on no record but yours",
            volumes.first().map_or_else(String::new, |volume| volume.site.to_string())
        );
        return Ok(None);
    };
    let not_recorded = "the recovery cannot be put on record, so nothing is recovered";
    let dir = files.ledger_dir();
    let mut ledger = Ledger::open(SharedDisk::clone(disk), &dir, files.site(), |_| {}).context(not_recorded)?;
    // A clock that lost its battery does not go back behind the newest row.
    let at = NewestKnown::read(disk, &dir).row_at.map_or(clock.wall(), |newest| newest.max(clock.wall()));
    let act = Act::FootageRecovered {
        key: plan.key,
        cameras: plan.cameras.clone(),
        span: plan.span,
        segments: plan.segments,
    };
    let row = ledger.append(at, Actor::Console, act).context(not_recorded)?;
    eprintln!("custodian: on record as row {} of {}", row.sequence, dir.display());
    Ok(Some(lock))
}
