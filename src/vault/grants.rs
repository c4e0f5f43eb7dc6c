//! A grant's file: the data key of each approved segment, sealed to the one viewer, a slot each.
//!
//! Order: slots filled → flush → name flushed → (the caller's ledger row, which names their digest). Slots that no row
//! names are erased at a start. Slots of segments go when those do: all of a batch overwritten → flush, once a grant. Of a
//! grant's end: all overwritten → flush → unlink.
//!
//! Which slot is whose stays in memory: every few moments some segment goes, and a grant may have thousands of slots.

use super::VaultError;
use crate::crypto::{DataKey, Label, PrivateKey, PublicKey, RunningDigest, Sealed};
use crate::disk::SharedDisk;
use crate::domain::{Digest, GrantId, SegmentId, VolumeId};
use crate::segment::{SLOTS_LIMIT, SegmentError, SlotFile, SlotPurpose};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Segments that one grant may name.
pub const GRANT_SEGMENTS_LIMIT: usize = SLOTS_LIMIT as usize;

/// One approved segment's key, sealed to the viewer and not yet written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StagedSlot {
    pub volume: VolumeId,
    pub segment: SegmentId,
    sealed: Sealed,
}

fn owner(volume: VolumeId, segment: SegmentId) -> [u8; 32] {
    let mut out = [0; 32];
    out[..16].copy_from_slice(&volume.0);
    out[16..24].copy_from_slice(&segment.0.to_be_bytes());
    out
}

fn context(grant: GrantId, volume: VolumeId, segment: SegmentId) -> [u8; 36] {
    let mut out = [0; 36];
    out[..4].copy_from_slice(&grant.0.to_be_bytes());
    out[4..].copy_from_slice(&owner(volume, segment));
    out
}

impl StagedSlot {
    /// Seals a segment's key to the viewer, for this grant and segment alone.
    ///
    /// # Errors
    /// [`VaultError::Crypto`].
    pub fn seal(
        grant: GrantId,
        viewer: &PublicKey,
        volume: VolumeId,
        segment: SegmentId,
        key: &DataKey,
    ) -> Result<Self, VaultError> {
        let sealed = viewer.seal(Label::GrantKey, &context(grant, volume, segment), key.expose())?;
        Ok(Self { volume, segment, sealed })
    }
}

/// The directory of all grants' files.
#[derive(Clone, Debug)]
pub struct GrantStore {
    disk: SharedDisk,
    dir: PathBuf,
    /// By grant: where the slots in use are. Shared by all clones; one that is not here is read from its file.
    places: Arc<Mutex<BTreeMap<GrantId, Places>>>,
}

type Places = HashMap<(VolumeId, SegmentId), u32>;

/// One grant's slots, as they stand now.
#[derive(Debug)]
pub struct GrantFile {
    grant: GrantId,
    slots: HashMap<[u8; 32], Sealed>,
}

impl GrantStore {
    pub fn new(disk: SharedDisk, dir: PathBuf) -> Self {
        Self { disk, dir, places: Arc::default() }
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<GrantId, Places>> {
        // What a panic leaves is read again from the files, or is as it was.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self, grant: GrantId) -> PathBuf {
        self.dir.join(format!("{:08x}", grant.0))
    }

    fn on(&self) -> impl Fn(std::io::Error) -> VaultError {
        let what = self.dir.display().to_string();
        move |source| VaultError::Disk { what: what.clone(), source }
    }

    /// Writes and flushes a grant's slots; returns the digest that the ledger row must name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn stage(&self, grant: GrantId, viewer: &PublicKey, staged: &[StagedSlot]) -> Result<Digest, VaultError> {
        let count = u32::try_from(staged.len()).map_err(|_| SegmentError::TooLarge { bytes: staged.len() })?;
        let mut facts = [0; 64];
        facts[..4].copy_from_slice(&grant.0.to_be_bytes());
        facts[4..36].copy_from_slice(&viewer.0);
        // One that was staged under this number and never got its row, nor could be destroyed.
        self.destroy(grant)?;
        let written = self.write(grant, staged, count, facts);
        if written.is_err() {
            // No row will ever name it: it must leave nothing behind.
            if let Err(left) = self.destroy(grant) {
                tracing::error!(grant = %grant, error = %left, "keys that were not staged could not be destroyed");
            }
        }
        written.map(|()| {
            let owners: Vec<[u8; 32]> = staged.iter().map(|slot| owner(slot.volume, slot.segment)).collect();
            digest(owners.iter().zip(staged.iter().map(|slot| &slot.sealed)))
        })
    }

    fn write(&self, grant: GrantId, staged: &[StagedSlot], count: u32, facts: [u8; 64]) -> Result<(), VaultError> {
        // Held, so that nobody learns of the file before it is whole.
        let mut places = self.places();
        places.remove(&grant);
        let file = SlotFile::create(&*self.disk, &self.path(grant), SlotPurpose::Grant, count, facts)?;
        for (index, slot) in (0..count).zip(staged) {
            file.fill(index, &owner(slot.volume, slot.segment), &slot.sealed)?;
        }
        file.flush()?;
        self.disk.sync_dir(&self.dir).map_err(self.on())
    }

    /// # Errors
    /// [`VaultError::Segment`] where the file is gone or damaged.
    pub fn open(&self, grant: GrantId) -> Result<GrantFile, VaultError> {
        let file = SlotFile::open_to_read(&*self.disk, &self.path(grant), SlotPurpose::Grant)?;
        if file.facts()[..4] != grant.0.to_be_bytes() {
            return Err(SegmentError::Damaged { what: "a grant's file", at_bytes: 0 }.into());
        }
        let slots = file.used()?.into_iter().map(|slot| (slot.owner, slot.sealed)).collect();
        Ok(GrantFile { grant, slots })
    }

    /// All grants that have a file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn list(&self) -> Result<Vec<GrantId>, VaultError> {
        let names = self.disk.list_files(&self.dir).map_err(self.on())?;
        Ok(names.iter().filter_map(|name| u32::from_str_radix(name, 16).ok()).map(GrantId).collect())
    }

    /// What stands in the directory under no grant's name.
    pub(super) fn strange_names(&self) -> Result<Vec<PathBuf>, VaultError> {
        let names = self.disk.list_files(&self.dir).map_err(self.on())?;
        let is_grant =
            |name: &String| u32::from_str_radix(name, 16).is_ok_and(|number| format!("{number:08x}") == *name);
        Ok(names.iter().filter(|name| !is_grant(name)).map(|name| self.dir.join(name)).collect())
    }

    /// What can be told of a grant's file without any key.
    pub(super) fn look(&self, grant: GrantId) -> Result<GrantLook, VaultError> {
        let file = SlotFile::open_to_read(&*self.disk, &self.path(grant), SlotPurpose::Grant)?;
        if file.facts()[..4] != grant.0.to_be_bytes() {
            return Err(SegmentError::Damaged { what: "a grant's file", at_bytes: 0 }.into());
        }
        let mut viewer = [0; 32];
        viewer.copy_from_slice(&file.facts()[4..36]);
        let slots = file.read()?;
        let segments = slots.used.iter().map(|slot| segment_of(&slot.owner)).collect();
        let digest = digest(slots.used.iter().map(|slot| (&slot.owner, &slot.sealed)));
        Ok(GrantLook { viewer: PublicKey(viewer), slots: file.slots(), segments, digest, damaged: slots.damaged.len() })
    }

    /// Overwrites all slots of a grant and removes its file. One that is gone already is no error.
    ///
    /// # Errors
    /// What the disk says.
    pub fn destroy(&self, grant: GrantId) -> Result<(), VaultError> {
        let mut places = self.places();
        places.remove(&grant);
        self.destroy_file(grant)
    }

    fn destroy_file(&self, grant: GrantId) -> Result<(), VaultError> {
        let path = self.path(grant);
        match SlotFile::blank_file(&*self.disk, &path) {
            Ok(()) => {}
            Err(SegmentError::Disk(e)) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        // Not flushed: a name that a power cut brings back leads to zeros, and the next start takes it away.
        self.disk.remove_file(&path).map_err(self.on())
    }

    /// The segments that grants hold keys of, each once.
    ///
    /// # Errors
    /// What the disk says of a grant's file; the others are told all the same.
    pub fn segments(&self) -> (Vec<(VolumeId, SegmentId)>, Result<(), VaultError>) {
        let mut segments = HashSet::new();
        let told = self.each_grant(|_, places| {
            segments.extend(places.keys().copied());
            Ok(())
        });
        (segments.into_iter().collect(), told)
    }

    /// Overwrites the slots of segments, in every grant that has one, and flushes each of those grants once.
    ///
    /// # Errors
    /// What the disk says. One that fails keeps no other from being forgotten.
    pub fn forget_segments(&self, segments: &[(VolumeId, SegmentId)]) -> Result<(), VaultError> {
        let wanted: HashSet<(VolumeId, SegmentId)> = segments.iter().copied().collect();
        self.each_grant(|grant, places| {
            let gone: Vec<_> = if wanted.len() < places.len() {
                wanted.iter().filter(|owner| places.contains_key(owner)).copied().collect()
            } else {
                places.keys().filter(|owner| wanted.contains(owner)).copied().collect()
            };
            if gone.is_empty() {
                return Ok(());
            }
            let file = SlotFile::open(&*self.disk, &self.path(grant), SlotPurpose::Grant)?;
            for owner in &gone {
                if let Some(index) = places.get(owner) {
                    file.blank(*index)?;
                }
            }
            file.flush()?;
            places.retain(|owner, _| !wanted.contains(owner));
            Ok(())
        })
    }

    /// Calls `act` with each grant's slots in use; returns the first failure.
    fn each_grant(
        &self,
        mut act: impl FnMut(GrantId, &mut Places) -> Result<(), VaultError>,
    ) -> Result<(), VaultError> {
        let mut known = self.places();
        let mut told = Ok(());
        let grants = self.list()?;
        known.retain(|grant, _| grants.contains(grant));
        for grant in grants {
            let done = match known.get_mut(&grant) {
                Some(places) => act(grant, places),
                None => self.read_places(grant).and_then(|places| match places {
                    Some(places) => act(grant, known.entry(grant).or_insert(places)),
                    None => Ok(()),
                }),
            };
            told = told.and(done);
        }
        told
    }

    /// Where a grant's slots in use are; `None` where its file is gone, or was damaged and is destroyed for it.
    fn read_places(&self, grant: GrantId) -> Result<Option<Places>, VaultError> {
        let file = match SlotFile::open_to_read(&*self.disk, &self.path(grant), SlotPurpose::Grant) {
            Ok(file) => file,
            // It opens nothing any more, and must not keep footage from being destroyed.
            Err(SegmentError::Damaged { .. }) => {
                tracing::error!(grant = %grant, "a grant's file is damaged: what is in it is destroyed");
                self.destroy_file(grant)?;
                return Ok(None);
            }
            // The grant ended meanwhile.
            Err(SegmentError::Disk(e)) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let used = file.used()?;
        Ok(Some(used.iter().map(|slot| (segment_of(&slot.owner), slot.index)).collect()))
    }
}

impl GrantFile {
    /// Opens a segment's data key with the viewer's private half; `None` where the grant has no slot for it (any
    /// more).
    ///
    /// # Errors
    /// [`VaultError::Unopened`] for another's key.
    pub fn open_key(
        &self,
        volume: VolumeId,
        segment: SegmentId,
        viewer: &PrivateKey,
    ) -> Result<Option<DataKey>, VaultError> {
        let Some(sealed) = self.slots.get(&owner(volume, segment)) else { return Ok(None) };
        Ok(Some(viewer.open_secret(Label::GrantKey, &context(self.grant, volume, segment), sealed)?))
    }
}

/// What can be told of a grant's file without any key.
pub(super) struct GrantLook {
    pub viewer: PublicKey,
    pub slots: u32,
    /// Of the slots in use.
    pub segments: Vec<(VolumeId, SegmentId)>,
    /// Over the slots in use: as the ledger names it, while none is overwritten.
    pub digest: Digest,
    pub damaged: usize,
}

fn segment_of(owner: &[u8; 32]) -> (VolumeId, SegmentId) {
    let (mut volume, mut segment) = ([0; 16], [0; 8]);
    volume.copy_from_slice(&owner[..16]);
    segment.copy_from_slice(&owner[16..24]);
    (VolumeId(volume), SegmentId(u64::from_be_bytes(segment)))
}

/// What binds a grant's slots to its ledger row.
fn digest<'a>(slots: impl Iterator<Item = (&'a [u8; 32], &'a Sealed)>) -> Digest {
    let mut running = RunningDigest::new();
    for (owner, sealed) in slots {
        running.update(owner);
        running.update(&sealed.encapsulated);
        running.update(&sealed.ciphertext);
    }
    running.so_far()
}
