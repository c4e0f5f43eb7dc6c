//! Day keys: one pair for each camera, UTC day and volume. The private half is sealed to every officer's release key
//! and to the recovery key, and forgotten (V8).

use super::volume::{Volume, VolumeState};
use super::{Vault, VaultError};
use crate::crypto::{Label, PrivateKey, PublicKey, generate_pair, random_u64};
use crate::domain::{CameraNumber, Day, DayKeyId, Retention, SegmentId, VolumeId};
use crate::segment::{ManifestRecord, SlotFile, SlotPurpose};
use std::path::{Path, PathBuf};

/// Officers and the recovery key together.
pub const RECIPIENTS_LIMIT: u32 = 16;

/// What a day key is bound to: opening it for another fails.
fn context(volume: VolumeId, day_key: DayKeyId, public: &PublicKey) -> [u8; 56] {
    let mut out = [0; 56];
    out[..16].copy_from_slice(&volume.0);
    out[16..24].copy_from_slice(&day_key.0.to_be_bytes());
    out[24..].copy_from_slice(&public.0);
    out
}

fn facts(volume: VolumeId, day_key: DayKeyId, public: &PublicKey) -> [u8; 64] {
    let mut out = [0; 64];
    out[..56].copy_from_slice(&context(volume, day_key, public));
    out
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
            if let Err(left) = self.overwrite_and_remove(&path) {
                tracing::error!(error = %left, "a day key that was not made could not be removed");
            }
            return Err(e);
        }
        state.day_keys.insert((camera, day), (day_key, public));
        Ok((day_key, public))
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
        let public = self
            .lock()
            .manifests
            .values()
            .find_map(|manifest| manifest.sum().day_keys.get(&day_key).map(|known| known.public))
            .ok_or_else(wrong)?;
        let file = SlotFile::open(&*self.disk, &self.day_key_path(day_key), SlotPurpose::DayKey)?;
        let (_, sealed) = file.find(&release.public()?.0)?.ok_or_else(wrong)?;
        let opened = release.open_secret(Label::DayKey, &context(self.id, day_key, &public), &sealed)?;
        Ok(PrivateKey::from_secret(opened))
    }

    /// Overwrites all slots of a day key, and then its file. Every segment sealed to it is unreadable from here on.
    pub(super) fn destroy_day_key(&self, day_key: DayKeyId) -> Result<(), VaultError> {
        let path = self.day_key_path(day_key);
        match SlotFile::open(&*self.disk, &path, SlotPurpose::DayKey) {
            Ok(file) => {
                file.blank_all()?;
                file.flush()?;
            }
            Err(crate::segment::SegmentError::Disk(e)) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e.into()),
        }
        // Not flushed: a name that a power cut brings back leads to blank slots, and no manifest names it.
        self.disk.remove_file(&path).map_err(self.on(&path))
    }
}

impl Vault {
    /// How many day keys the vault holds.
    pub fn day_key_count(&self) -> usize {
        let count = |volume: &Volume| {
            volume.lock().manifests.values().map(|manifest| manifest.sum().day_keys.len()).sum::<usize>()
        };
        self.volumes.iter().map(count).sum()
    }
}
