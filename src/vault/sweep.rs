//! What nobody names any more, found while the daemon runs. A start looks for the same ([`super::recovery`]); a device that
//! failed for a moment leaves such things later, too.
//!
//! Each is erased by overwriting: what is left of the making or the end of a manifest; day keys that no manifest names;
//! directories that bear no manifest's name, with what is in them; and, where an end was left half-way, what stands in a
//! manifest's directory and is not in it. A segment that was committed and lost its record is never erased: it is an error.

use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError, manifests};

impl Vault {
    /// Looks for what is left over, and erases it. Called by whoever closes manifests, and in turn with that.
    ///
    /// # Errors
    /// The first failure; the other volumes are swept all the same.
    pub fn sweep(&self) -> Result<(), VaultError> {
        if self.index_is_being_made() {
            return Ok(());
        }
        let mut told = Ok(());
        for volume in &self.volumes {
            told = told.and(volume.sweep());
        }
        told
    }
}

impl Volume {
    /// Erases what a crash left of the making of a manifest, or of its end. Each of the two is done under the lock, or by who
    /// calls this.
    pub(super) fn remove_left_overs(&self) -> Result<(), VaultError> {
        let left_overs = {
            let _state = self.lock();
            manifests::left_overs(&self.disk, &self.dir.join("manifests"))?
        };
        for path in left_overs {
            tracing::warn!(volume = %self.id, file = %path.display(), "what was left of a manifest is erased");
            self.overwrite_untold(&path)?;
        }
        Ok(())
    }

    fn sweep(&self) -> Result<(), VaultError> {
        self.remove_left_overs()?;
        self.remove_stray_day_keys()?;
        let tables = self.read_commit_tables()?;
        let lacking = self.strangers_that_were_committed(&tables)?;
        if let Some(first) = lacking.first() {
            let (dir, segments, first) = (self.dir.clone(), lacking.len(), *first);
            return Err(VaultError::ManifestsLack { dir, segments, first });
        }
        self.remove_strangers()?;
        if self.lock().left_half_way {
            // A segment's file and its record are made under one lock, and looked at under it.
            let keys: Vec<ManifestKey> = self.lock().manifests.keys().copied().collect();
            keys.into_iter().try_for_each(|key| self.survey(key, &tables))?;
            self.lock().left_half_way = false;
        }
        Ok(())
    }
}
