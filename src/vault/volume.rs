//! A volume: one directory on one file system, with its identity, its manifests and what is open on it.

use super::VaultError;
use super::discard::Discards;
use super::doubt::Settled;
use super::manifests::{ManifestFile, TableSoFar};
use super::overwrite::{READ_BACK_LEAST_PERCENT, UnprovenFiles};
use super::pace::Pace;
use super::table::Newest;
use crate::crypto::{PublicKey, random_array};
use crate::disk::{
    Access, DeviceCheck, DeviceIdentity, DeviceReport, DiskFile, RawLook, SharedDisk, check_private_dir,
    examine_device, read_file, replace_file,
};
use crate::domain::{CameraNumber, Day, DayKeyId, Doubt, ManifestHead, Retention, SegmentId, SiteId, VolumeId};
use crate::ledger::{ClosedManifests, ManifestCheckpoint};
use crate::segment::{CarriesOn, ManifestHeader, ManifestRecord, Progress, SegmentError, VolumeIdentity};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

const IDENTITY_NAME: &str = "volume";
const RESERVE_NAME: &str = "reserve";
/// Room for the records of 20,000 destructions: enough to empty a disk that others filled.
const RESERVE_BYTES: u64 = 1 << 20;
/// Where held footage and all other stands. Each has a directory a manifest.
const ROLLING: &str = "rolling";
const HELD: &str = "held";

/// Which manifest: a UTC day and a retention, and of a hold manifest its number; 0 is the one that segments are opened in.
pub(super) type ManifestKey = (Day, bool, u64, u32);

pub(super) fn manifest_key(day: Day, retention: Retention) -> ManifestKey {
    (day, matches!(retention, Retention::Floor(_)), retention.period().as_secs(), 0)
}

pub(super) fn key_of(header: &ManifestHeader) -> ManifestKey {
    let (day, is_floor, period_s, _) = manifest_key(header.day, header.retention);
    (day, is_floor, period_s, header.carries_on.map_or(0, |carries_on| carries_on.number))
}

/// A volume in use.
#[derive(Debug)]
pub struct Volume {
    pub(super) id: VolumeId,
    pub(super) dir: PathBuf,
    pub(super) disk: SharedDisk,
    /// Whether overwriting was shown to reach the blocks here.
    pub(super) is_proven: bool,
    /// As receipts name it.
    pub(super) device: DeviceIdentity,
    /// How much of what was overwritten is read back, besides the key block.
    pub(super) read_back_percent: u8,
    /// Heads of manifests that the ledger's newest checkpoint names here.
    pub(super) checkpointed: Vec<(String, ManifestHead)>,
    /// The ledger's rows of manifests that were closed; `None` where no ledger is at hand.
    pub(super) closed: Option<ClosedManifests>,
    pub(super) state: Mutex<VolumeState>,
    /// Not under the lock: it must be told while somebody who holds that waits for the disk.
    pub(super) latched: AtomicBool,
    /// How many segments were open when that was last looked at.
    pub(super) open_known: AtomicU64,
    pub(super) moving: Mutex<()>,
    /// Day-key files change slots under a reader's turn and go under a writer's: no slot is ever written into a file
    /// that was overwritten and released meanwhile. Taken before `state`.
    pub(super) key_files: RwLock<()>,
    /// How the erase way gives way to the write way.
    pub(super) pace: Pace,
    pub(super) discards: Discards,
    /// Files without a receipt of which overwriting was not proven.
    pub(super) unproven_files: Mutex<UnprovenFiles>,
}

/// What a volume knows of itself. Guarded by one lock that is never held across a flush of footage.
#[derive(Debug, Default)]
pub(super) struct VolumeState {
    pub manifests: BTreeMap<ManifestKey, ManifestFile>,
    /// Manifests whose held segments a hold manifest has taken over: they wait for their closing row, and their end.
    pub carried: Vec<ManifestFile>,
    /// The summary names manifests that are gone: the next commit writes it anew.
    pub summary_is_old: bool,
    /// Manifests whose tables are in memory, the one that was wanted last at the end.
    pub(super) resident: Vec<ManifestKey>,
    pub open: BTreeMap<SegmentId, OpenSegment>,
    pub day_keys: HashMap<(CameraNumber, Day), (DayKeyId, PublicKey)>,
    pub commit_number: u64,
    /// Each camera's newest segment that came to its end.
    pub newest: HashMap<CameraNumber, Newest>,
    /// The last stop left nothing to be mended.
    pub was_left_clean: bool,
    /// Manifests whose directories were not looked through since an unclean stop.
    pub unsurveyed: BTreeSet<ManifestKey>,
    /// Manifests that were found damaged by who looks for what is due, where, and how often they are passed over until they are
    /// read again: of one that is a day long it would be megabytes, four times a second.
    pub damaged: HashMap<ManifestKey, (u64, u32)>,
    /// Something was left half-way: the next start looks through the directories.
    pub left_half_way: bool,
    /// How doubts ended.
    pub settled: Vec<Settled>,
}

/// A segment that its manifest does not call sealed yet, or did so only in the commit before.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub manifest: ManifestKey,
    pub doubt: Option<Doubt>,
    pub progress: Progress,
    pub allocated_bytes: u64,
    /// The commit after whose flush the manifest was told that the segment is sealed.
    pub recorded_at: Option<u64>,
    /// The writer gave the segment up after a failure: it ends at the last commit.
    pub given_up: bool,
}

impl OpenSegment {
    /// Whether nothing is appended to it any more.
    pub fn ends(&self) -> bool {
        self.progress.complete || self.given_up
    }
}

impl Volume {
    /// Makes an empty volume for a site in `dir`.
    ///
    /// # Errors
    /// [`VaultError::Disk`]; also where the directory holds a volume already.
    pub fn create(disk: &SharedDisk, dir: &Path, site: SiteId) -> Result<VolumeId, VaultError> {
        let on = |source| VaultError::Disk { what: dir.display().to_string(), source };
        if Self::is_there(disk, dir) {
            return Err(on(std::io::ErrorKind::AlreadyExists.into()));
        }
        for sub in [ROLLING, HELD, "manifests", "keys"] {
            disk.create_dir(&dir.join(sub)).map_err(on)?;
        }
        // A cut may keep any of the names that no flush came after: the volume's own would be there without the others.
        disk.sync_dir(dir).map_err(on)?;
        let id = VolumeId(random_array()?);
        // Last of all: with this name the volume is there.
        replace_file(&**disk, &dir.join(IDENTITY_NAME), &VolumeIdentity { volume: id, site }.to_bytes()).map_err(on)?;
        Ok(id)
    }

    /// Whether `dir` holds a volume.
    pub fn is_there(disk: &SharedDisk, dir: &Path) -> bool {
        disk.open(&dir.join(IDENTITY_NAME), Access::Read).is_ok()
    }

    /// The identity of the volume in `dir`, which must be of this site.
    ///
    /// # Errors
    /// [`VaultError::NoVolume`], [`VaultError::OtherSite`], [`VaultError::Disk`].
    pub fn identify(disk: &SharedDisk, dir: &Path, site: SiteId) -> Result<VolumeId, VaultError> {
        let (id, of) = Self::whose(disk, dir)?;
        if of != site {
            return Err(VaultError::OtherSite { dir: dir.to_path_buf() });
        }
        Ok(id)
    }

    /// The identity of the volume in `dir`, and the site that it belongs to, whichever that is.
    ///
    /// # Errors
    /// [`VaultError::NoVolume`], [`VaultError::Disk`].
    pub fn whose(disk: &SharedDisk, dir: &Path) -> Result<(VolumeId, SiteId), VaultError> {
        let no_volume = || VaultError::NoVolume { dir: dir.to_path_buf() };
        let bytes = read_file(&**disk, &dir.join(IDENTITY_NAME), 4096).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => no_volume(),
            _ => VaultError::Disk { what: dir.display().to_string(), source: e },
        })?;
        let identity = match VolumeIdentity::parse(&bytes) {
            Err(SegmentError::Damaged { .. }) => return Err(no_volume()),
            told => told?,
        };
        Ok((identity.volume, identity.site))
    }

    /// Opens a volume and tests its device. Recovery is a step of its own.
    ///
    /// # Errors
    /// As [`Volume::identify`]; [`VaultError::NotPrivate`] where others could reach its keys; [`VaultError::Unproven`] unless `allow_unproven`.
    pub fn open(disk: SharedDisk, dir: &Path, site: SiteId, allow_unproven: bool) -> Result<Self, VaultError> {
        let id = Self::identify(&disk, dir, site)?;
        check_private_dir(&*disk, &dir.join("keys"))?;
        let is_proven = device_is_proven(&disk, dir, allow_unproven)?;
        Ok(Self {
            id,
            device: disk.identity(dir),
            dir: dir.to_path_buf(),
            disk,
            is_proven,
            read_back_percent: READ_BACK_LEAST_PERCENT,
            checkpointed: Vec::new(),
            closed: None,
            state: Mutex::new(VolumeState::default()),
            latched: AtomicBool::new(false),
            open_known: AtomicU64::new(0),
            moving: Mutex::default(),
            key_files: RwLock::default(),
            pace: Pace::default(),
            discards: Discards::default(),
            unproven_files: Mutex::default(),
        })
    }

    /// Gives the volume the ledger's rows of manifests that were closed: one of those may be missing, and must not come
    /// back.
    #[must_use]
    pub fn with_closed(self, closed: ClosedManifests) -> Self {
        Self { closed: Some(closed), ..self }
    }

    /// Gives the volume the ledger's newest checkpoint to be held against: an older image of it, put in its place, lacks
    /// records.
    #[must_use]
    pub fn held_against(self, checkpoint: &[ManifestCheckpoint]) -> Self {
        let here = checkpoint.iter().filter(|known| known.volume == self.id);
        Self { checkpointed: here.map(|known| (known.manifest.clone(), known.head)).collect(), ..self }
    }

    pub fn id(&self) -> VolumeId {
        self.id
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether receipts can say that overwriting reached the blocks.
    pub fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Whether a failed write or flush took it out of use for recording.
    pub fn is_latched(&self) -> bool {
        self.latched.load(Ordering::Acquire)
    }

    /// # Errors
    /// What the disk says.
    pub fn free_bytes(&self) -> std::io::Result<u64> {
        self.disk.free_bytes(&self.dir)
    }

    /// How much the file system can hold; `None` where that is not known.
    pub fn size_bytes(&self) -> std::io::Result<Option<u64>> {
        self.disk.size_bytes(&self.dir)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, VolumeState> {
        // A panic elsewhere leaves plain data behind; each change under this lock is one assignment or one record.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on(&self, what: &Path) -> impl Fn(std::io::Error) -> VaultError {
        let what = what.display().to_string();
        move |source| VaultError::Disk { what: what.clone(), source }
    }

    /// After a failed write or flush nothing more is recorded here: what the disk holds is no longer known.
    pub(super) fn latch(&self, why: &dyn std::fmt::Display) {
        if !self.latched.swap(true, Ordering::AcqRel) {
            tracing::error!(volume = %self.id, why = %why, "the volume failed: its cameras need another one");
        }
    }

    /// The directory of a manifest's segments, with the rolling footage or apart. It bears the manifest's name.
    pub(super) fn segments_dir(&self, manifest: &str, is_apart: bool) -> PathBuf {
        self.dir.join(if is_apart { HELD } else { ROLLING }).join(manifest)
    }

    /// Where a segment's file is.
    pub(super) fn segment_path(&self, manifest: &str, segment: SegmentId, is_apart: bool) -> PathBuf {
        self.segments_dir(manifest, is_apart).join(segment.to_string())
    }

    /// The file name of a manifest.
    pub(super) fn name_of(&self, key: ManifestKey, segment: SegmentId) -> Result<String, VaultError> {
        let state = self.lock();
        let manifest = state.manifests.get(&key).ok_or(VaultError::Unknown { segment })?;
        Ok(manifest.name().to_owned())
    }

    /// Where a segment's file may stand, the likeliest first: a move and its record are two steps, and the second may fail.
    fn places_of(&self, key: ManifestKey, segment: SegmentId, is_apart: bool) -> Result<Vec<PathBuf>, VaultError> {
        let state = self.lock();
        let manifest = state.manifests.get(&key).ok_or(VaultError::Unknown { segment })?;
        let name = manifest.name();
        let mut places = vec![self.segment_path(name, segment, is_apart), self.segment_path(name, segment, !is_apart)];
        if let Some(CarriesOn { manifest, .. }) = manifest.header.carries_on {
            let before = format!("{manifest:016x}");
            places.extend([true, false].map(|is_apart| self.segment_path(&before, segment, is_apart)));
        }
        Ok(places)
    }

    /// Where a segment's file stands, whatever its record says. It is taken for gone only where it is in no place.
    pub(super) fn where_stands(
        &self,
        key: ManifestKey,
        segment: SegmentId,
        is_apart: bool,
    ) -> Result<PathBuf, VaultError> {
        let places = self.places_of(key, segment, is_apart)?;
        let is_missing = |path: &Path| matches!(self.disk.open(path, Access::Read), Err(e) if e.kind() == std::io::ErrorKind::NotFound);
        let found = places.iter().find(|path| !is_missing(path)).or(places.first());
        found.cloned().ok_or(VaultError::Unknown { segment })
    }

    /// Opens a segment's file to read it, wherever it stands.
    pub(super) fn open_where_it_stands(
        &self,
        key: ManifestKey,
        segment: SegmentId,
        is_apart: bool,
    ) -> Result<Box<dyn DiskFile>, VaultError> {
        let mut missed = None;
        for path in self.places_of(key, segment, is_apart)? {
            match self.disk.open(&path, Access::Read) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    // Should it be in no place, it is missed where it is recorded.
                    missed.get_or_insert_with(|| self.on(&path)(e));
                }
                opened => return opened.map_err(self.on(&path)),
            }
        }
        Err(missed.unwrap_or(VaultError::Unknown { segment }))
    }

    /// The manifest of a day and retention, with the directory of its segments; made if it is the first segment's.
    pub(super) fn manifest<'a>(
        &self,
        state: &'a mut VolumeState,
        day: Day,
        retention: Retention,
    ) -> Result<&'a mut ManifestFile, VaultError> {
        let key = manifest_key(day, retention);
        if let std::collections::btree_map::Entry::Vacant(place) = state.manifests.entry(key) {
            place.insert(ManifestFile::create(&self.disk, &self.dir.join("manifests"), self.id, day, retention)?);
        }
        state.loaded(key)?.ok_or(VaultError::NoRoom)
    }

    /// Reads the table of a manifest that is not in memory, without holding the lock for it; `None` where it is.
    pub(super) fn read_ahead(&self, key: ManifestKey) -> Result<Option<TableSoFar>, VaultError> {
        let (path, end_bytes) = {
            let state = self.lock();
            let Some(manifest) = state.manifests.get(&key).filter(|known| known.table().is_none()) else {
                return Ok(None);
            };
            (self.dir.join("manifests").join(manifest.name()), manifest.end_bytes())
        };
        TableSoFar::read(&self.disk, &path, end_bytes).map(Some)
    }

    /// Appends a record to a manifest and applies it. Not flushed.
    pub(super) fn record(
        &self,
        state: &mut VolumeState,
        day: Day,
        retention: Retention,
        record: &ManifestRecord,
    ) -> Result<(), VaultError> {
        self.manifest(state, day, retention)?.append(record)
    }

    /// Appends a record that destruction needs, out of the volume's reserve where the disk is full to the last block: to
    /// erase makes room, and cannot wait for it.
    pub(super) fn append_owed(&self, manifest: &mut ManifestFile, record: &ManifestRecord) -> Result<(), VaultError> {
        match manifest.append(record) {
            Err(e) if e.is_full() && self.give_reserve() => manifest.append(record),
            told => told,
        }
    }

    /// Whether there was a reserve to give.
    fn give_reserve(&self) -> bool {
        let path = self.dir.join(RESERVE_NAME);
        let opened = self.disk.open(&path, Access::ReadWrite);
        let given = opened.and_then(|file| {
            let has_some = file.len_bytes()? > 0;
            file.set_len(0)?;
            Ok(has_some)
        });
        if matches!(given, Ok(true)) {
            tracing::error!(volume = %self.dir.display(), "the disk is full to the last block: the eraser's reserve is in use");
        }
        given.unwrap_or(false)
    }

    /// Makes the eraser's reserve, again where there is room again. Not flushed: what a power cut takes of it is made anew.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_reserve(&self) -> Result<(), VaultError> {
        let path = self.dir.join(RESERVE_NAME);
        let on = self.on(&path);
        let file = match self.disk.open(&path, Access::ReadWrite) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => self.disk.create_new(&path).map_err(&on)?,
            opened => opened.map_err(&on)?,
        };
        if file.len_bytes().map_err(&on)? < RESERVE_BYTES {
            file.allocate(RESERVE_BYTES).map_err(&on)?;
        }
        Ok(())
    }

    /// The heads of all manifests as far as they are flushed, by file name: what a checkpoint may hold. A power cut must
    /// not make a liar of it.
    pub fn flushed_heads(&self) -> Vec<(String, ManifestHead)> {
        let state = self.lock();
        let flushed = state.standing().filter_map(|manifest| Some((manifest, manifest.flushed_head()?)));
        flushed.map(|(manifest, head)| (manifest.name().to_owned(), head)).collect()
    }

    /// Flushes the whole volume: all that was written up to the call is durable.
    #[track_caller]
    pub(super) fn flush(&self) -> Result<(), VaultError> {
        let heads: Vec<_> = self.lock().manifests.iter().map(|(key, manifest)| (*key, manifest.head())).collect();
        self.disk.sync_file_system(&self.dir).map_err(self.on(&self.dir))?;
        let mut state = self.lock();
        for (key, head) in heads {
            if let Some(manifest) = state.manifests.get_mut(&key) {
                manifest.note_flushed(head);
            }
        }
        Ok(())
    }

    /// The heads of all manifests, by file name.
    pub fn manifest_heads(&self) -> Vec<(String, ManifestHead)> {
        self.lock().standing().map(|manifest| (manifest.name().to_owned(), manifest.head())).collect()
    }
}

/// Tests the device that holds `dir`.
///
/// # Errors
/// [`VaultError::Unproven`] where overwriting cannot be proven and `allow_unproven` is off; [`VaultError::Disk`].
pub fn device_is_proven(disk: &SharedDisk, dir: &Path, allow_unproven: bool) -> Result<bool, VaultError> {
    examined_device(disk, dir, allow_unproven).map(|(is_proven, _)| is_proven)
}

/// The same, with what was found out of the device.
///
/// # Errors
/// As [`device_is_proven`].
pub fn examined_device(
    disk: &SharedDisk,
    dir: &Path,
    allow_unproven: bool,
) -> Result<(bool, DeviceReport), VaultError> {
    let told = examine_device(&**disk, dir);
    let report = told.map_err(|source| VaultError::Disk { what: dir.display().to_string(), source })?;
    for warning in report.warnings() {
        tracing::warn!(dir = %dir.display(), "{warning}");
    }
    match &report.raw {
        RawLook::Compared => tracing::info!(dir = %dir.display(), "the device itself was read, and held what it must"),
        RawLook::NotLooked(why) => {
            tracing::info!(dir = %dir.display(), why, "the device was not read beneath the file system");
        }
    }
    let is_proven = judged(dir, report.check.clone(), allow_unproven)?;
    Ok((is_proven, report))
}

fn judged(dir: &Path, told: DeviceCheck, allow_unproven: bool) -> Result<bool, VaultError> {
    match told {
        // The switch is honest both ways: whoever set it said that the disk is not to be relied on.
        DeviceCheck::Proven { file_system } if allow_unproven => {
            tracing::warn!(dir = %dir.display(), file_system,
                "allow_unproven is set: every receipt says \"not proven\", though the disk passes the test; take it out");
            Ok(false)
        }
        DeviceCheck::Proven { file_system } => {
            tracing::info!(dir = %dir.display(), file_system, "overwriting was shown to reach the blocks");
            Ok(true)
        }
        DeviceCheck::Refused(why) if allow_unproven => {
            tracing::warn!(dir = %dir.display(), why = %why, "overwriting is not proven here: every receipt says so");
            Ok(false)
        }
        DeviceCheck::Refused(why) => Err(VaultError::Unproven { dir: dir.to_path_buf(), why }),
    }
}
