//! Day keys: one pair for each camera, UTC day and volume. The private half is sealed to every officer's release key
//! and to the recovery key, and forgotten (V8).

use super::volume::{Volume, VolumeState};
use super::{Vault, VaultError};
use crate::crypto::{Label, PrivateKey, PublicKey, Unopened, generate_pair, random_u64};
use crate::domain::{CameraNumber, Day, DayKeyId, Retention, SegmentId, VolumeId};
use crate::segment::{ManifestRecord, SlotFile, SlotPurpose};
use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

/// Officers and the recovery key together.
pub const RECIPIENTS_LIMIT: u32 = 16;

/// What a day key is bound to: opening it for another fails.
pub(super) fn context(volume: VolumeId, day_key: DayKeyId, public: &PublicKey) -> [u8; 56] {
    let mut out = [0; 56];
    out[..16].copy_from_slice(&volume.0);
    out[16..24].copy_from_slice(&day_key.0.to_be_bytes());
    out[24..].copy_from_slice(&public.0);
    out
}

pub(super) fn facts(volume: VolumeId, day_key: DayKeyId, public: &PublicKey) -> [u8; 64] {
    let mut out = [0; 64];
    out[..56].copy_from_slice(&context(volume, day_key, public));
    out
}

/// The public half that a file says is its own. It can be forged: the one in the manifest counts.
pub(super) fn public_of(facts: &[u8; 64]) -> [u8; 32] {
    let mut public = [0; 32];
    public.copy_from_slice(&facts[24..56]);
    public
}

/// Opens a day key's private half from its file; `None` where the key in hand has no slot there. `public` is the half
/// that counts: what is opened must belong to it, whatever the file says of itself.
pub(super) fn open_day_key(
    file: &SlotFile,
    volume: VolumeId,
    day_key: DayKeyId,
    public: &PublicKey,
    key: &PrivateKey,
) -> Result<Option<PrivateKey>, VaultError> {
    let Some((_, sealed)) = file.find(&key.public()?.0)? else { return Ok(None) };
    let opened = key.open_secret(Label::DayKey, &context(volume, day_key, public), &sealed)?;
    let private = PrivateKey::from_secret(opened);
    if private.public()? != *public {
        return Err(Unopened.into());
    }
    Ok(Some(private))
}

impl Volume {
    pub(super) fn day_key_path(&self, day_key: DayKeyId) -> PathBuf {
        self.dir.join("keys").join(day_key.to_string())
    }

    /// The day key of a camera and day, made if there is none. Its slots are flushed before the manifest names it (V13);
    /// its name is durable with the next flush of the volume, as is all that is sealed to it.
    pub(super) fn day_key(
        &self,
        state: &mut VolumeState,
        camera: CameraNumber,
        day: Day,
        retention: Retention,
        recipients: &[PublicKey],
    ) -> Result<(DayKeyId, PublicKey), VaultError> {
        if let Some(known) = state.day_keys.get(&(camera, day)) {
            return Ok(*known);
        }
        if let Some(known) = self.day_key_on_record(state, camera, day)? {
            state.day_keys.insert((camera, day), known);
            return Ok(known);
        }
        if recipients.is_empty() {
            return Err(VaultError::NoRecipients);
        }
        let day_key = DayKeyId(random_u64()?);
        let (private, public) = generate_pair()?;
        let path = self.day_key_path(day_key);
        let stored = self
            .store_day_key(&path, (day_key, public), &private, recipients)
            .and_then(|()| self.record(state, day, retention, &ManifestRecord::DayKeyMade { day_key, camera, public }));
        if let Err(e) = stored {
            // On a full disk this comes again and again: it must leave nothing behind each time.
            if let Err(left) = self.overwrite_untold(&path) {
                tracing::error!(error = %left, "a day key that was not made could not be removed");
            }
            return Err(e);
        }
        state.day_keys.insert((camera, day), (day_key, public));
        Ok((day_key, public))
    }

    /// The day key that was made for a camera and day before this process began, from the manifests' own records: its
    /// public half must be nobody else's. One whose file a power cut took opens nothing, and another is made.
    fn day_key_on_record(
        &self,
        state: &mut VolumeState,
        camera: CameraNumber,
        day: Day,
    ) -> Result<Option<(DayKeyId, PublicKey)>, VaultError> {
        for key in state.keys_of_day(day) {
            let Some(manifest) = state.loaded(key)? else { continue };
            let mut of_camera = manifest.sum().day_keys.iter().filter(|(_, known)| known.camera == camera);
            let found = of_camera.find(|(day_key, _)| {
                SlotFile::open_to_read(&*self.disk, &self.day_key_path(**day_key), SlotPurpose::DayKey).is_ok()
            });
            if let Some((day_key, known)) = found {
                return Ok(Some((*day_key, known.public)));
            }
        }
        Ok(None)
    }

    fn store_day_key(
        &self,
        path: &Path,
        (day_key, public): (DayKeyId, PublicKey),
        private: &PrivateKey,
        recipients: &[PublicKey],
    ) -> Result<(), VaultError> {
        let facts = facts(self.id, day_key, &public);
        let file = SlotFile::create(&*self.disk, path, SlotPurpose::DayKey, RECIPIENTS_LIMIT, facts)?;
        let context = context(self.id, day_key, &public);
        for (index, recipient) in (0..RECIPIENTS_LIMIT).zip(recipients) {
            let sealed = recipient.seal(Label::DayKey, &context, private.secret().expose())?;
            file.fill(index, &recipient.0, &sealed)?;
        }
        Ok(file.flush()?)
    }

    /// Opens a day key's private half with an officer's release key, or the recovery key.
    pub(super) fn open_day_key(
        &self,
        day_key: DayKeyId,
        segment: SegmentId,
        release: &PrivateKey,
    ) -> Result<PrivateKey, VaultError> {
        let wrong = || VaultError::WrongKey { segment };
        let public = self.day_key_public(day_key).ok_or_else(wrong)?;
        let file = SlotFile::open_to_read(&*self.disk, &self.day_key_path(day_key), SlotPurpose::DayKey)?;
        open_day_key(&file, self.id, day_key, &public, release)?.ok_or_else(wrong)
    }

    /// A live day key's public half, as a manifest tells it.
    pub(super) fn day_key_public(&self, day_key: DayKeyId) -> Option<PublicKey> {
        let state = self.lock();
        state.standing().find_map(|manifest| manifest.sum().day_keys.get(&day_key).map(|known| known.public))
    }

    /// All live day keys.
    pub(super) fn live_day_keys(&self) -> Vec<DayKeyId> {
        let state = self.lock();
        let named: BTreeSet<DayKeyId> =
            state.standing().flat_map(|manifest| manifest.sum().day_keys.keys().copied()).collect();
        named.into_iter().collect()
    }
}

impl Volume {
    /// Erases day keys that no manifest knows and nothing is sealed to: a power cut took their record, and with it all that
    /// was sealed to them. Every manifest is known to be there: a start refuses the volume otherwise.
    pub(super) fn remove_stray_day_keys(&self) -> Result<(), VaultError> {
        let dir = self.dir.join("keys");
        let strays: Vec<DayKeyId> = {
            // One is made, and named, under this lock.
            let state = self.lock();
            let named = state.standing().flat_map(|manifest| manifest.sum().day_keys.keys());
            let wanted = state.standing().flat_map(|manifest| &manifest.sum().wanted);
            let wanted = wanted.filter(|(_, wanted)| !wanted.is_destroyed).map(|(day_key, _)| day_key);
            let known: HashSet<DayKeyId> = named.chain(wanted).copied().collect();
            let names = self.disk.list_files(&dir).map_err(self.on(&dir))?;
            names.iter().filter_map(|name| name.parse().ok()).filter(|day_key| !known.contains(day_key)).collect()
        };
        for day_key in strays {
            let _turn = self.key_files.write().unwrap_or_else(PoisonError::into_inner);
            tracing::warn!(volume = %self.id, day_key = %day_key, "a day key that was never committed is erased");
            // Whatever a power cut left of it.
            self.overwrite_untold(&self.day_key_path(day_key))?;
        }
        Ok(())
    }
}

impl Vault {
    /// How many day keys the vault holds.
    pub fn day_key_count(&self) -> usize {
        self.volumes.iter().map(|volume| volume.live_day_keys().len()).sum()
    }
}
