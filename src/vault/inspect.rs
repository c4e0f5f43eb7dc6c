//! Reads a site's files without changing them, and names what does not fit: the vault's part of `custodian verify`.
//!
//! It works beside a running daemon, whose files change while they are read. So what seems wrong is looked at a second
//! time, and only what is wrong both times, in the same words, is told: what is wrong stays wrong.

mod contents;
mod day_keys;
mod files;
mod index;
mod older;
mod segments;
mod state;

pub use index::{IndexLook, SeenVolume, inspect_index};
pub use older::{AgeLook, AgeReport, HeldAge, OldestFrame, inspect_age, inspect_state_age};
pub use state::{GrantExpected, granted_segments, inspect_grants, inspect_holds};

use super::VaultError;
use super::bare::DayKeys;
use super::holds::Hold;
use super::manifests::{self, file_name};
use super::summary;
use super::volume::Volume;
use crate::crypto::{PrivateKey, PublicKey};
use crate::disk::SharedDisk;
use crate::domain::{Day, GrantId, ManifestHead, SegmentId, SiteId, Utc, VolumeId};
use crate::ledger::ClosedManifests;
use segments::{Named, OneManifest};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// What was found on a volume.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Inspection {
    pub volume: Option<VolumeId>,
    pub manifests: u64,
    pub segments_kept: u64,
    pub segments_open: u64,
    pub segments_destroyed: u64,
    pub segments_held: u64,
    /// Of those kept, the ones whose times are not certain: they were recorded while the clock was in doubt.
    pub segments_in_doubt: u64,
    pub day_keys: u64,
    /// Sealed bytes that were read and held against their digest; 0 unless the inspection was deep.
    pub bytes_digested: u64,
    /// Segments whose every chunk was decrypted; 0 without a private key.
    pub segments_decrypted: u64,
    pub faults: Vec<VolumeFault>,
    /// The manifests' heads as they were read.
    #[serde(skip)]
    pub heads: Vec<(String, ManifestHead)>,
}

/// Something that does not fit. `what` says it and what to do.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct VolumeFault {
    pub file: String,
    pub what: String,
}

impl VolumeFault {
    pub fn new(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.display().to_string(), what: what.into() }
    }
}

/// Whose slots a day key has, as the ledger tells it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyHolders {
    /// Who must have one: the officers of today, and the recovery key. With words for each.
    pub must: BTreeMap<PublicKey, String>,
    /// Who may have one: all that ever had a row.
    pub may: BTreeSet<PublicKey>,
}

/// What a volume is held against, and how closely it is looked at.
pub struct Look<'a> {
    pub disk: &'a SharedDisk,
    pub site: SiteId,
    /// Reads every sealed byte and holds it against the digest.
    pub deep: bool,
    /// Decrypts, too.
    pub identity: Option<&'a PrivateKey>,
    /// The manifests' heads in the ledger's newest checkpoint: each must have been there.
    pub heads: &'a [(String, ManifestHead)],
    /// `None` where the ledger cannot tell.
    pub holders: Option<&'a KeyHolders>,
    /// What grants hold keys of, on this volume.
    pub granted: &'a BTreeMap<SegmentId, GrantId>,
    pub holds: &'a [Hold],
    /// The ledger's rows of closed manifests; `None` where no ledger is at hand.
    pub closed: Option<&'a ClosedManifests>,
    /// `None` where nobody is to be told what has outlived its day.
    pub now: Option<Utc>,
    /// Called once a segment.
    pub progress: &'a dyn Fn(),
}

impl fmt::Debug for Look<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Look(site {}, deep {})", self.site, self.deep)
    }
}

impl<'a> Look<'a> {
    /// A look at one volume by itself.
    pub fn at(disk: &'a SharedDisk, site: SiteId, nothing_granted: &'a BTreeMap<SegmentId, GrantId>) -> Self {
        Self {
            disk,
            site,
            deep: false,
            identity: None,
            heads: &[],
            holders: None,
            granted: nothing_granted,
            holds: &[],
            closed: None,
            now: None,
            progress: &|| {},
        }
    }
}

impl Look<'_> {
    /// Whether the ledger closed a manifest.
    fn closed_before(&self, volume: VolumeId, name: &str) -> Result<bool, VaultError> {
        let unread = |source| VaultError::Disk { what: "the ledger".to_owned(), source };
        Ok(self.closed.map_or(Ok(None), |closed| closed.find(volume, name, Day(0))).map_err(unread)?.is_some())
    }
}

/// How many files of segments a volume has: how long a look will take.
///
/// # Errors
/// What the disk says.
pub fn count_segments(disk: &SharedDisk, dir: &Path) -> Result<usize, VaultError> {
    Ok(segments::files(disk, dir)?.len())
}

/// Reads the volume in `dir`.
///
/// # Errors
/// [`VaultError`] where there is no volume to read.
pub fn inspect(dir: &Path, look: &Look) -> Result<Inspection, VaultError> {
    let disk = look.disk;
    let volume = Volume::identify(disk, dir, look.site)?;
    let mut told = Inspection { volume: Some(volume), ..Inspection::default() };
    let keys = look.identity.map(|key| RefCell::new(DayKeys::of(key)));
    let mut named: BTreeMap<SegmentId, Named> = BTreeMap::new();
    let mut checked_heads = BTreeSet::new();
    let mut live_day_keys = BTreeMap::new();
    let summary = summary::read_at_rest(disk, dir);
    let paths = manifests::list(disk, &dir.join("manifests"))?;
    let taken_over = manifests::taken_over(disk, &paths);
    for path in paths {
        let is_taken_over = taken_over.contains(&file_name(&path));
        let mut one = OneManifest::inspect(dir, (volume, is_taken_over), &path, look, keys.as_ref());
        if !one.told.faults.is_empty() {
            // Beside a running daemon a segment may have gone between the two looks, or been carried to a hold manifest, or
            // the manifest was closed.
            let now = manifests::list(disk, &dir.join("manifests"))?;
            if !now.contains(&path) {
                checked_heads.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
                continue;
            }
            let quietly = Look { progress: &|| {}, ..*look };
            let is_taken_over = manifests::taken_over(disk, &now).contains(&file_name(&path));
            let again = OneManifest::inspect(dir, (volume, is_taken_over), &path, &quietly, keys.as_ref());
            one.told.faults.retain(|fault| again.told.faults.contains(fault));
        }
        checked_heads.extend(one.checked_head);
        named.extend(one.named);
        live_day_keys.extend(one.day_keys);
        told.add(one.told);
        if let (Ok(summary), Some(summed)) = (&summary, one.summed) {
            let known = summary.manifests.get(&summed.name);
            // It is older than the manifest for the most part; where it is of the same moment, it says the same.
            if known.is_some_and(|known| known.end_bytes == summed.end_bytes && *known != summed) {
                told.fault(&dir.join(summary::NAME), forged_summary(&summed.name));
            }
        }
    }
    if let Err(e) = &summary {
        told.fault(
            &dir.join(summary::NAME),
            format!("{e}. Delete it: the daemon's next start reads the manifests in its place"),
        );
    }
    for (name, _) in look.heads.iter().filter(|(name, _)| !checked_heads.contains(name)) {
        if look.closed_before(volume, name)? {
            continue;
        }
        let what =
            "is missing: the ledger's checkpoint names it. Put it back from a copy; until then nothing is erased here";
        told.faults.push(VolumeFault::new(&dir.join("manifests").join(name), what));
    }
    told.faults.extend(told_twice(|| day_keys::inspect(dir, volume, look))?);
    told.day_keys = live_day_keys.len() as u64;
    let mut seeming = segments::strangers(disk, dir, &named)?;
    seeming.extend(segments::torn_chains(dir, volume, &named, look)?);
    if !seeming.is_empty() {
        // A file is there an instant before the manifest names it; a segment's end is known to the next one before it is on
        // record.
        segments::look_again(disk, dir, &mut named)?;
        let mut still = segments::strangers(disk, dir, &named)?;
        still.extend(segments::torn_chains(dir, volume, &named, look)?);
        seeming.retain(|fault| still.contains(fault));
    }
    told.faults.extend(seeming);
    told.faults.extend(segments::granted_strangers(dir, &named, look));
    Ok(told)
}

fn forged_summary(manifest: &str) -> String {
    format!(
        "tells otherwise of manifest {manifest} than the manifest itself: it was changed. Delete it while no daemon runs, and \
         find out who had the disk"
    )
}

/// What is wrong at two looks.
fn told_twice(look: impl Fn() -> Result<Vec<VolumeFault>, VaultError>) -> Result<Vec<VolumeFault>, VaultError> {
    let mut faults = look()?;
    if !faults.is_empty() {
        let again = look()?;
        faults.retain(|fault| again.contains(fault));
    }
    Ok(faults)
}

impl Inspection {
    fn fault(&mut self, path: &Path, what: impl Into<String>) {
        self.faults.push(VolumeFault::new(path, what));
    }

    fn add(&mut self, other: Inspection) {
        self.manifests += other.manifests;
        self.segments_kept += other.segments_kept;
        self.segments_open += other.segments_open;
        self.segments_destroyed += other.segments_destroyed;
        self.segments_held += other.segments_held;
        self.segments_in_doubt += other.segments_in_doubt;
        self.bytes_digested += other.bytes_digested;
        self.segments_decrypted += other.segments_decrypted;
        self.faults.extend(other.faults);
        self.heads.extend(other.heads);
    }
}
