//! Who opens the day keys, changed afterwards: an officer who joins, one who leaves.
//!
//! Invariants
//! - R1 Who joins is a recipient of new day keys first; then those that are there get a slot each. None is missed, whoever
//!   records meanwhile.
//! - R2 One flush of a volume covers the slots of all its files. A round that was broken off is run again: nothing is
//!   sealed twice.
//! - R3 No slot is overwritten unless the recovery key and one person more keep theirs in that file.
//! - R4 Slots change only while the day key lives, in turn with its destruction: none is written into released blocks.
//!
//! The caller has the ledger's row first: a key without its row gets nothing sealed to it.

use super::volume::Volume;
use super::{AwayVolume, RECIPIENTS_LIMIT, Vault, VaultError, VolumeFault, day_keys};
use crate::crypto::{Label, PrivateKey, PublicKey, Unopened};
use crate::domain::DayKeyId;
use crate::segment::{SegmentError, SlotFile, SlotPurpose};
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// Threads that seal at once: it is arithmetic alone.
const SEALERS_LIMIT: usize = 8;

/// What a round over all day keys did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct DayKeyRound {
    /// Files in which a slot was filled, or overwritten.
    pub changed: u64,
    /// Files that were so already.
    pub unchanged: u64,
    /// Files that were left as they are, and why. The others were done.
    pub faults: Vec<VolumeFault>,
    /// Volumes that could not be reached: run it again when they are back.
    pub away: Vec<AwayVolume>,
}

impl DayKeyRound {
    /// Whether every day key of the site was reached.
    pub fn is_complete(&self) -> bool {
        self.faults.is_empty() && self.away.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.faults.extend(other.faults);
    }
}

/// A private key and its public half, worked out once.
struct Opener<'a> {
    private: &'a PrivateKey,
    public: PublicKey,
}

/// Seals a file's secret once more, to `newcomer`, in a free slot; `false` where there is one already. `secret_of` is the
/// public half that what is opened must belong to. Not flushed.
///
/// # Errors
/// [`VaultError::NoSlot`], [`VaultError::SlotsFull`], [`VaultError::Unopened`]; what the disk says.
pub fn seal_again(
    file: &SlotFile,
    (label, context): (Label, &[u8]),
    secret_of: &PublicKey,
    opener: &PrivateKey,
    newcomer: &PublicKey,
) -> Result<bool, VaultError> {
    let opener = Opener { private: opener, public: opener.public()? };
    opener.seal_again(file, (label, context), secret_of, newcomer)
}

impl Opener<'_> {
    fn seal_again(
        &self,
        file: &SlotFile,
        (label, context): (Label, &[u8]),
        secret_of: &PublicKey,
        newcomer: &PublicKey,
    ) -> Result<bool, VaultError> {
        let slots = file.read()?;
        if slots.used.iter().any(|slot| slot.owner == newcomer.0) {
            return Ok(false);
        }
        let own = slots.used.iter().find(|slot| slot.owner == self.public.0).ok_or(VaultError::NoSlot)?;
        let free = slots.free().ok_or(VaultError::SlotsFull { slots: file.slots() })?;
        let secret = self.private.open_secret(label, context, &own.sealed)?;
        let private = PrivateKey::from_secret(secret);
        if private.public()? != *secret_of {
            return Err(Unopened.into());
        }
        file.fill(free, &newcomer.0, &newcomer.seal(label, context, private.secret().expose())?)?;
        Ok(true)
    }
}

/// Overwrites the slots of one who leaves, and with them what is damaged and may be theirs; `false` where there is
/// nothing of it. Not flushed.
///
/// # Errors
/// [`VaultError::TooFewLeft`], [`VaultError::RecoveryStays`] (R3); what the disk says.
pub fn overwrite_slot(file: &SlotFile, leaver: &PublicKey, recovery: &PublicKey) -> Result<bool, VaultError> {
    if leaver == recovery {
        return Err(VaultError::RecoveryStays);
    }
    let slots = file.read()?;
    let (theirs, left): (Vec<_>, Vec<_>) = slots.used.iter().partition(|slot| slot.owner == leaver.0);
    if theirs.is_empty() && slots.damaged.is_empty() {
        return Ok(false);
    }
    let enough_stay =
        left.iter().any(|slot| slot.owner == recovery.0) && left.iter().any(|slot| slot.owner != recovery.0);
    if !theirs.is_empty() && !enough_stay {
        return Err(VaultError::TooFewLeft);
    }
    let indices = theirs.iter().map(|slot| slot.index).chain(slots.damaged.iter().copied());
    for index in indices {
        file.blank(index)?;
    }
    Ok(true)
}

impl Vault {
    /// An officer joins: from here on new day keys are sealed to them, and each one that is there gets a slot more. `by`
    /// is another officer's release key, or the recovery key. Flushed when it returns.
    ///
    /// # Errors
    /// [`VaultError::SlotsFull`] where there are 16 recipients already. What could not be done for one file or volume is
    /// told in the [`DayKeyRound`] and stops no other.
    pub fn admit_officer(&self, by: &PrivateKey, newcomer: PublicKey) -> Result<DayKeyRound, VaultError> {
        let by = Opener { private: by, public: by.public()? };
        {
            let mut recipients = self.recipients.write().unwrap_or_else(PoisonError::into_inner);
            if !recipients.contains(&newcomer) {
                if recipients.len() >= RECIPIENTS_LIMIT as usize {
                    return Err(VaultError::SlotsFull { slots: RECIPIENTS_LIMIT });
                }
                recipients.push(newcomer);
            }
        }
        Ok(self.over_day_keys(&|volume, day_key, file| {
            let public = volume.day_key_public(day_key).ok_or(VaultError::NoSlot)?;
            let context = day_keys::context(volume.id(), day_key, &public);
            by.seal_again(file, (Label::DayKey, &context), &public, &newcomer)
        }))
    }

    /// An officer leaves: no new day key is sealed to them, and their slots are overwritten in every file. Flushed when it
    /// returns.
    ///
    /// # Errors
    /// [`VaultError::TooFewLeft`] where nobody but the recovery key would be left, [`VaultError::RecoveryStays`]: nothing
    /// is changed then. What could not be done for one file or volume is told in the [`DayKeyRound`].
    pub fn forget_officer(&self, leaver: PublicKey, recovery: PublicKey) -> Result<DayKeyRound, VaultError> {
        if leaver == recovery {
            return Err(VaultError::RecoveryStays);
        }
        {
            let mut recipients = self.recipients.write().unwrap_or_else(PoisonError::into_inner);
            let left = recipients.iter().filter(|known| **known != leaver);
            if !recipients.contains(&recovery) || left.count() < 2 {
                return Err(VaultError::TooFewLeft);
            }
            recipients.retain(|known| *known != leaver);
        }
        Ok(self.over_day_keys(&|_, _, file| overwrite_slot(file, &leaver, &recovery)))
    }

    /// Does `change` to the file of each live day key, on every volume, and flushes each volume once.
    fn over_day_keys(&self, change: &Change) -> DayKeyRound {
        let mut round = DayKeyRound { away: self.away(), ..DayKeyRound::default() };
        for volume in &self.volumes {
            round.add(volume.over_day_keys(change));
        }
        round
    }
}

type Change<'a> = dyn Fn(&Volume, DayKeyId, &SlotFile) -> Result<bool, VaultError> + Sync + 'a;

impl Volume {
    fn over_day_keys(&self, change: &Change) -> DayKeyRound {
        let keys = self.live_day_keys();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(SEALERS_LIMIT);
        let round = Mutex::new(DayKeyRound::default());
        std::thread::scope(|scope| {
            for part in keys.chunks(keys.len().div_ceil(threads).max(1)) {
                let round = &round;
                scope.spawn(move || {
                    let mut own = DayKeyRound::default();
                    part.iter().for_each(|day_key| self.change_day_key(*day_key, change, &mut own));
                    round.lock().unwrap_or_else(PoisonError::into_inner).add(own);
                });
            }
        });
        let mut round = round.into_inner().unwrap_or_else(PoisonError::into_inner);
        round.faults.sort_by(|one, other| one.file.cmp(&other.file));
        if round.changed > 0
            && let Err(e) = self.flush()
        {
            // Nobody knows which of the slots are on the device.
            self.latch(&e);
            round.faults.push(VolumeFault { file: self.dir().display().to_string(), what: e.to_string() });
        }
        round
    }

    fn change_day_key(&self, day_key: DayKeyId, change: &Change, round: &mut DayKeyRound) {
        let _turn = self.key_files.read().unwrap_or_else(PoisonError::into_inner);
        // Its day ended since the list was made (R4).
        if self.day_key_public(day_key).is_none() {
            return;
        }
        let path = self.day_key_path(day_key);
        let file = SlotFile::open(&*self.disk, &path, SlotPurpose::DayKey);
        match file.map_err(VaultError::from).and_then(|file| change(self, day_key, &file)) {
            Ok(true) => round.changed += 1,
            Ok(false) => round.unchanged += 1,
            Err(e) => {
                let what = match e {
                    VaultError::Segment(SegmentError::Disk(e)) if e.kind() == std::io::ErrorKind::NotFound => {
                        "is missing: nobody can open what is sealed to it".to_owned()
                    }
                    e => e.to_string(),
                };
                round.faults.push(VolumeFault { file: path.display().to_string(), what });
            }
        }
    }
}
