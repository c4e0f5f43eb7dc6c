//! The life of a segment: made, committed, sealed, opened under a grant, held, erased.
//!
//! Invariants
//! - V1 What a commit has flushed is never lost. A commit writes all cameras' new data first, then the commit table,
//!   then flushes the volume once.
//! - V2 A manifest calls a segment sealed only after a flush that covered its footer.
//! - V3 After a restart nothing is appended to an old segment: it is closed at its last committed chunk, and what
//!   stands beyond is overwritten.
//! - V4 A file that no manifest names was never committed: it is erased.
//! - V5 Keys go before blocks: the key block is overwritten and flushed, then the rest, then the name. A day that is over and
//!   free of holds loses its day key before that.
//! - V6 Nothing is opened that has expired, by the later of the two clocks, whether it is erased yet or not.
//! - V7 What a hold covers is not erased; holds are read before any eraser runs. What a hold covers is not condemned, and
//!   what was condemned is brought back by no hold.
//! - V8 The daemon forgets a day key's private half as soon as it is sealed to the officers.
//! - V9 A checkpoint is given a manifest's head only as far as it is flushed: a power cut makes no liar of it.
//! - V10 The summary is written from what a flush covered. A manifest that is longer is read, one that is shorter was
//!   cut short; without a summary all are read. It is the only thing that a start believes unread.
//! - V11 Questions are answered from the index only while it stands for the manifests; else from the manifests.
//! - V12 A manifest's name never stands for less than a whole header: header written → flush → rename. What is torn behind
//!   it lacks its end, or whole sectors; anything else is damage, and nothing is erased for it.
//! - V13 A manifest names a day key only after its slots were flushed. A start destroys day keys that no manifest names, and
//!   seals nothing more to those whose file a power cut took.
//! - V14 After a failed write or flush nothing more is recorded on a volume: what it was about counts as lost, and no flush
//!   is tried again and believed. Erasing goes on there. A full disk is no failure, unless a flush finds it full. A read
//!   that comes back short is one.
//! - V15 What is recorded in doubt is marked before it is named, and corrected before the clock that ends the doubt destroys
//!   anything; a correction counts from what the footage says, so that twice is once.
//!
//! - V15 A manifest is bound by its footage's limit: it is erased when a flushed row of the ledger tells what it told. From
//!   the flush of a hold manifest's name on that one counts, and not the manifest whose held segments it carries on. A
//!   closed manifest never stands again.
//!
//! What is swept, and by whom: segments cut short are sealed at a start, and expire like any other. Files that no manifest
//! names, in a manifest's directory or in one without a manifest; day keys that no manifest names; manifests that were half
//! made, or closed and not overwritten yet: `recovery` at a start, `sweep` each hour. Directories of closed manifests:
//! `closing`, and both of those. Grants that are over or were never given: `access`, each second and at a start. The
//! device test's probe: the next one. Files that were to take another's place (`*.new`): the next that does. All that may
//! hold footage, keys, or names of cameras is overwritten first; `inspect::older` names what is left of any of these.
//!
//! What is done in which order stands with what does it: create, append, seal in `recorder`; commit in `commit`; start in
//! `recovery`; hold in `holds` and `erase`; erase in `erase`; condemn in `condemn`; a manifest's end in `closing`; day keys
//! in `day_keys` and `spent_days`; grants in `grants`; receipts in `receipts`. The power goes at every operation of each in
//! `app`'s tests, where each flush is left out in turn, too. A flush that is not there is not wanted: its place says why.
//!
//! One thing no order mends: what a power cut took the name of, before the first commit, stands as ciphertext in blocks
//! that belong to nobody. Its day key's end is its end.
//!
//! Layout of a volume: `volume` (identity), `commits` (the commit table), `manifests/`, `summary`, `keys/` (day keys),
//! `rolling/` and `held/` (segments, a directory a manifest: four million names in one directory would all have to be
//! read after a power cut). Names are random numbers and tell nothing.

mod anchor;
mod bare;
mod closing;
mod commit;
mod condemn;
mod corrections;
mod day_keys;
mod discard;
mod doubt;
mod due;
mod erase;
mod footage;
mod gaps;
mod grants;
mod held;
mod holds;
mod index;
mod inspect;
mod manifests;
mod overwrite;
mod pace;
mod receipts;
mod recipients;
mod recorder;
mod recovery;
mod room;
mod spent_days;
mod standing;
mod sum;
mod summary;
mod sweep;
mod table;
#[cfg(test)]
mod tests;
mod volume;
mod wanted;

pub use anchor::{ClockRefusal, ClockReport, Move, Reading, TrustedClock};
pub use bare::{BareSegment, BareVolume, DayKeys, ToldBy};
pub use closing::EndingManifest;
pub use condemn::{Condemnation, NotCondemned};
pub use day_keys::RECIPIENTS_LIMIT;
pub use discard::Discarding;
pub use doubt::{LastKnown, Settled, WhyInDoubt};
pub use due::{Due, DueSegment};
pub use erase::{Batch, Erased};
pub use footage::{Availability, EachSegment, LiveSegment};
pub use grants::{GRANT_SEGMENTS_LIMIT, GrantFile, GrantStore, StagedSlot};
pub use held::HeldFootage;
pub use holds::{Hold, Holds};
pub use inspect::{
    AgeLook, AgeReport, GrantExpected, HeldAge, IndexLook, Inspection, KeyHolders, Look, OldestFrame, SeenVolume,
    VolumeFault, count_segments, granted_segments, inspect, inspect_age, inspect_grants, inspect_holds, inspect_index,
    inspect_state_age,
};
pub use overwrite::{READ_BACK_LEAST_PERCENT, UnprovenFiles, overwrite_state_file};
pub use pace::Pacing;
pub use receipts::Receipts;
pub use recipients::{DayKeyRound, overwrite_slot, seal_again};
pub use recorder::CameraRecorder;
pub use room::{Oldest, Rate, VOLUME_RESERVE_BYTES, VolumeRoom, rates};
pub use spent_days::{DayKeyBatch, IsHeld};
pub use volume::{Volume, device_is_proven, examined_device};

use crate::catalog::{Catalog, CatalogError};
use crate::clock::Clock;
use crate::crypto::{CryptoFailure, PublicKey, Unopened, sha256};
use crate::disk::{DeviceRefusal, NotPrivate};
use crate::domain::{CameraNumber, DestructionTrigger, Digest, ManifestHead, SegmentId, Utc, VolumeId};
use crate::segment::SegmentError;
use index::IndexState;
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock};

/// An index of an older program is made anew.
const INDEX_VERSION: u32 = 2;
/// Too many open files, in this process and in all.
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();
const ENOMEM: i32 = rustix::io::Errno::NOMEM.raw_os_error();

/// What the vault could not do.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{}: there is no volume here; make the site with `custodian init`, or mount the disk", dir.display())]
    NoVolume { dir: PathBuf },
    #[error("{}: this volume belongs to another site; mount the right disk", dir.display())]
    OtherSite { dir: PathBuf },
    #[error("{}: this volume is configured twice, here and in {}; take the copy away", dir.display(), first.display())]
    VolumeTwice { dir: PathBuf, first: PathBuf },
    #[error(
        "{}: manifest {manifest} lacks what the ledger says it had: an older image of this volume was put in its place. It is not used, and nothing on it is erased; put the right disk back",
        dir.display()
    )]
    OlderImage { dir: PathBuf, manifest: String },
    #[error("{}: {why}. To run all the same, with every receipt saying \"not proven\", set allow_unproven = true for the volume", dir.display())]
    Unproven { dir: PathBuf, why: DeviceRefusal },
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    #[error("{what}: {source}")]
    Disk { what: String, source: io::Error },
    #[error("no volume can take footage: each one failed; see `custodian status`")]
    NoRoom,
    #[error("the disk is full: no volume has room for more footage; see `custodian status`")]
    DiskFull,
    #[error("camera {camera} has no open segment")]
    NotRecording { camera: CameraNumber },
    #[error("no officer's key is known, so nothing could ever be opened again; the site is not set up")]
    NoRecipients,
    #[error(
        "{}: damaged at byte {at_bytes}, and whole records follow: it was changed, or its disk fails. Nothing was cut off or erased; put the file back from a copy",
        file.display()
    )]
    ManifestDamaged { file: PathBuf, at_bytes: u64 },
    #[error(
        "{}: {missing_bytes} bytes are missing at its end that had been flushed: it was cut short, or its disk fails. Nothing was erased; put the file back from a copy",
        file.display()
    )]
    ManifestShort { file: PathBuf, missing_bytes: u64 },
    #[error("{}: a manifest that stood here is gone. Nothing was erased; put the file back from a copy", file.display())]
    ManifestGone { file: PathBuf },
    #[error(
        "{}: manifest {manifest} stands here again, though the ledger closed it and all that it named was destroyed: a copy was put in its place. The volume is not used; take that file away, and the directories of its name in `rolling` and `held`",
        dir.display()
    )]
    Resurrected { dir: PathBuf, manifest: String },
    #[error("{}: there is another manifest of the same day and period; take the one away that does not belong here", file.display())]
    ManifestTwice { file: PathBuf },
    #[error(
        "{}: {segments} segments stand here that were committed and that no manifest tells of (one is {first}): a manifest was damaged or taken away. Nothing was erased; put the manifests back from a copy, or, if they are lost for good, move these files away",
        dir.display()
    )]
    ManifestsLack { dir: PathBuf, segments: usize, first: SegmentId },
    #[error("the daemon is stopping")]
    BrokenOff,
    #[error("segment {segment} is not here")]
    Unknown { segment: SegmentId },
    #[error("{} on {at}", trigger.past())]
    Destroyed { at: Utc, trigger: DestructionTrigger },
    #[error("{trigger:?} does not end footage before its day")]
    NotCondemning { trigger: DestructionTrigger },
    #[error("its period ended on {at}")]
    Expired { at: Utc },
    #[error("this key does not open the day key of segment {segment}")]
    WrongKey { segment: SegmentId },
    #[error(
        "the key in hand has no slot here: it can hand on only what it opens; use another officer's release key, or the recovery key"
    )]
    NoSlot,
    #[error("all {slots} slots are used; overwrite those of one who left first")]
    SlotsFull { slots: u32 },
    #[error(
        "refused: without these slots nobody would be left to open it but whoever has the recovery key. The recovery key and one person more must have a slot: seal it to somebody else first"
    )]
    TooFewLeft,
    #[error("the recovery key's slots are never overwritten: it is the last that opens anything")]
    RecoveryStays,
    #[error("the state file {file} is not readable: {what}")]
    State { file: String, what: String },
    #[error(transparent)]
    Unopened(#[from] Unopened),
    #[error(transparent)]
    Crypto(#[from] CryptoFailure),
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

impl VaultError {
    /// Whether there was no room for it.
    pub fn is_full(&self) -> bool {
        match self {
            VaultError::DiskFull => true,
            VaultError::Disk { source, .. } | VaultError::Segment(SegmentError::Disk(source)) => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// Whether it is a fault of the device, which condemns the volume. A full disk does not, nor does a want of file
    /// descriptors or memory: nothing was lost on the device then, and it may succeed the next time.
    pub fn condemns(&self) -> bool {
        let source = match self {
            VaultError::Disk { source, .. } => source,
            VaultError::Segment(SegmentError::Disk(source)) => source,
            _ => return false,
        };
        let is_want = matches!(source.raw_os_error(), Some(EMFILE | ENFILE | ENOMEM));
        !is_want && !matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Volumes that a start could not take over. One that is damaged stops no other.
#[derive(Default)]
struct Refused {
    volumes: Vec<(PathBuf, String)>,
}

impl Refused {
    /// Keeps the first of those that have the same id: what is done on one would be undone by the other.
    fn sort_out_twins(&mut self, volumes: Vec<Volume>) -> Vec<Volume> {
        let mut kept: Vec<Volume> = Vec::with_capacity(volumes.len());
        for volume in volumes {
            match kept.iter().find(|known| known.id() == volume.id()) {
                Some(first) => {
                    let (dir, first) = (volume.dir().to_path_buf(), first.dir().to_path_buf());
                    let why = VaultError::VolumeTwice { dir: dir.clone(), first };
                    tracing::error!(volume = %dir.display(), error = %why, "a volume is not used");
                    self.volumes.push((dir, why.to_string()));
                }
                None => kept.push(volume),
            }
        }
        kept
    }

    /// Keeps the volumes that `take_over` works on; an error where it works on none.
    fn sort_out(
        &mut self,
        volumes: Vec<Volume>,
        take_over: impl Fn(&Volume) -> Result<(), VaultError>,
    ) -> Result<Vec<Volume>, VaultError> {
        let mut last = None;
        let mut usable = Vec::with_capacity(volumes.len());
        for volume in volumes {
            match take_over(&volume) {
                Ok(()) => usable.push(volume),
                Err(e) => {
                    tracing::error!(volume = %volume.dir().display(), error = %e, "a volume is not used");
                    self.volumes.push((volume.dir().to_path_buf(), e.to_string()));
                    last = Some(e);
                }
            }
        }
        match last {
            Some(e) if usable.is_empty() => Err(e),
            _ => Ok(usable),
        }
    }
}

/// All volumes of a site, and the index over them.
#[derive(Debug)]
pub struct Vault {
    volumes: Vec<Volume>,
    catalog: Catalog,
    recipients: RwLock<Vec<PublicKey>>,
    away: RwLock<Vec<AwayVolume>>,
    index_state: RwLock<IndexState>,
    /// Held while what an unclean stop left is made good: one at a time.
    catching_up: Mutex<()>,
}

/// A volume that the site has and that is not in use: its footage cannot be told from footage that never was.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct AwayVolume {
    pub dir: PathBuf,
    pub why: String,
}

impl Vault {
    /// Takes the volumes over and brings each to a state that all invariants hold in. The index serves at once if it
    /// stands for these very manifests; else [`Vault::catch_up`] rebuilds it, and until then the manifests answer.
    ///
    /// # Errors
    /// [`VaultError`]; nothing is recorded then.
    pub fn start(volumes: Vec<Volume>, catalog: Catalog, now: Utc) -> Result<Self, VaultError> {
        let mut refused = Refused::default();
        let volumes = refused.sort_out_twins(volumes);
        // The seal is of the manifests as they were left at the last stop, before any mending.
        let volumes = refused.sort_out(volumes, Volume::load_manifests)?;
        let mut vault = Self {
            volumes,
            catalog,
            recipients: RwLock::default(),
            away: RwLock::default(),
            index_state: RwLock::new(IndexState::Stale),
            catching_up: Mutex::default(),
        };
        let is_current = vault.catalog.is_sealed_for(vault.mark());
        let known = vault.volumes.len();
        let corrected = Cell::new(false);
        vault.volumes = refused.sort_out(vault.volumes, |volume| {
            volume.recover(now)?;
            // Before anything is destroyed by the time that ended a doubt.
            corrected.set(volume.correct()? || corrected.get());
            Ok(())
        })?;
        let is_current = is_current && !corrected.get();
        let is_current = is_current && vault.volumes.len() == known;
        refused.volumes.into_iter().for_each(|(dir, why)| vault.note_away(dir, why));
        if is_current {
            vault.index_state = RwLock::new(IndexState::Current);
        }
        Ok(vault)
    }

    /// Who can open day keys made from now on: officers' release keys and the recovery key.
    pub fn set_recipients(&self, recipients: Vec<PublicKey>) {
        *self.recipients.write().unwrap_or_else(PoisonError::into_inner) = recipients;
    }

    pub(crate) fn recipients(&self) -> Vec<PublicKey> {
        self.recipients.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of a volume that is not in use, and why.
    pub fn note_away(&self, dir: PathBuf, why: String) {
        self.away.write().unwrap_or_else(PoisonError::into_inner).push(AwayVolume { dir, why });
    }

    /// The volumes that are not in use.
    pub fn away(&self) -> Vec<AwayVolume> {
        self.away.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From here on the erase way gives way to the write way, by this clock.
    pub fn keep_pace_by(&self, clock: &Clock) {
        self.volumes.iter().for_each(|volume| volume.pace.keep_by(clock.clone()));
    }

    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// Whether any manifest names a camera, or named it before it was closed.
    pub fn has_camera(&self, camera: CameraNumber) -> bool {
        self.volumes.iter().any(|volume| volume.lock().newest.contains_key(&camera)) || self.had_camera(camera)
    }

    /// A digest over all manifests' heads: what the index must be sealed for to be trusted.
    fn mark(&self) -> Digest {
        let heads: Vec<_> = self.volumes.iter().map(|volume| (volume.id(), volume.manifest_heads())).collect();
        mark_of(heads.iter().flat_map(|(volume, heads)| heads.iter().map(|(name, head)| (*volume, name, *head))))
    }

    /// Last commit of a clean stop: what was written is flushed, and the index is sealed as it is.
    ///
    /// # Errors
    /// [`VaultError`]; the index is then rebuilt at the next start.
    pub fn stop(&self) -> Result<(), VaultError> {
        // The commit covers the last footers, the summary's flush the records that call them sealed.
        self.commit()?;
        for volume in self.volumes.iter().filter(|volume| !volume.is_latched()) {
            volume.summarise(true)?;
        }
        if !self.index_is_current() {
            return Ok(());
        }
        Ok(self.catalog.close(self.mark())?)
    }
}

/// A digest over manifests' heads, in whatever order they come, and over what an index keeps of each.
fn mark_of<'a>(heads: impl Iterator<Item = (VolumeId, &'a String, ManifestHead)>) -> Digest {
    let mut heads: Vec<String> =
        heads.map(|(volume, name, head)| format!("{volume} {name} {} {}\n", head.records, head.digest)).collect();
    heads.sort();
    heads.push(format!("index {INDEX_VERSION}\n"));
    sha256(heads.concat().as_bytes())
}
