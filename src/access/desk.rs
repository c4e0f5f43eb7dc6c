//! The desk: one key pair a site, for what requests and operations hold of persons, and for the texts of holds, which may
//! name some. Its private half stands in slots, one for each person whose role reads persons, and one for the recovery key.
//!
//! Whenever somebody leaves who read persons there is a new pair, in a file of its own: what comes from then on is sealed
//! to that. Who joins gets a slot in each. Order: the file, flushed, its name flushed → the row that names it. A file
//! without its row is made anew.

mod sealed;

pub(super) use sealed::{Sheet, is_blank, paper_files, paper_named};

use super::AccessError;
use super::site::StartError;
use crate::crypto::{Label, PrivateKey, PublicKey, Sealed, generate_pair};
use crate::disk::SharedDisk;
use crate::domain::{HoldId, OperationId, RequestId, StateFault, StateVersion};
use crate::segment::{SlotFile, SlotPurpose};
use crate::vault::{VaultError, overwrite_slot, seal_again};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// Everybody who reads persons, and the recovery key.
pub(super) const SLOTS: u32 = 64;
const FILE_LIMIT_BYTES: u64 = 1 << 20;
/// How the name of a file ends that was not put in its place yet.
pub(super) const DRAFT: &str = ".new";

/// The desk's public halves, oldest first, and where their slots are.
#[derive(Debug)]
pub(super) struct Desk {
    disk: SharedDisk,
    state: PathBuf,
    /// Whether overwriting was shown to reach the blocks there.
    is_proven: bool,
    pairs: RwLock<Vec<PublicKey>>,
}

/// The desk's private halves, the newest first.
#[derive(Clone, Debug)]
pub(super) struct DeskKeys(Vec<PrivateKey>);

impl DeskKeys {
    /// The same with a newer one.
    pub fn with(&self, newer: PrivateKey) -> Self {
        Self(std::iter::once(newer).chain(self.0.iter().cloned()).collect())
    }
}

impl From<crate::crypto::Unopened> for AccessError {
    fn from(e: crate::crypto::Unopened) -> Self {
        AccessError::Inside(e.into())
    }
}

impl From<crate::crypto::CryptoFailure> for AccessError {
    fn from(e: crate::crypto::CryptoFailure) -> Self {
        AccessError::Inside(e.into())
    }
}

/// The name of a pair's file in the state directory; the first is number 1.
pub(super) fn file_name(number: u32) -> String {
    if number == 1 { "desk".to_owned() } else { format!("desk-{number}") }
}

/// What a request holds of persons, as it is stored: sealed to the desk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredPersons {
    version: StateVersion,
    request: RequestId,
    persons: Sealed,
}

/// The text of an officer's hold, as it is stored: sealed to the desk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredText {
    version: StateVersion,
    hold: HoldId,
    text: Sealed,
}

/// Who asked that an operation be filmed, as it is stored: sealed to the desk.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAsker {
    version: StateVersion,
    operation: OperationId,
    persons: Sealed,
}

impl StoredPersons {
    /// # Errors
    /// [`StateFault`] for what is no such file.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateFault> {
        StateVersion::read(bytes)
    }

    /// The file as it is written.
    ///
    /// # Errors
    /// None in practice: its own JSON could not be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

impl Desk {
    /// Makes the desk's pair, sealed to everybody who reads persons.
    pub fn create(disk: &SharedDisk, path: &Path, recipients: &[PublicKey]) -> Result<PublicKey, StartError> {
        Ok(Self::make_desk_file(disk, path, recipients)?.1)
    }

    #[track_caller]
    fn make_desk_file(
        disk: &SharedDisk,
        path: &Path,
        recipients: &[PublicKey],
    ) -> Result<(PrivateKey, PublicKey), VaultError> {
        let (private, public) = generate_pair()?;
        let mut facts = [0; 64];
        facts[..32].copy_from_slice(&public.0);
        let file = SlotFile::create(&**disk, path, SlotPurpose::Desk, SLOTS, facts)?;
        for (index, recipient) in (0..SLOTS).zip(recipients) {
            let sealed = recipient.seal(Label::DeskKey, &public.0, private.secret().expose())?;
            file.fill(index, &recipient.0, &sealed)?;
        }
        file.flush()?;
        Ok((private, public))
    }

    pub fn new(disk: SharedDisk, (state, is_proven): (PathBuf, bool), pairs: Vec<PublicKey>) -> Self {
        Self { disk, state, is_proven, pairs: RwLock::new(pairs) }
    }

    /// All pairs with their numbers, the newest first.
    fn pairs(&self) -> Vec<(u32, PublicKey)> {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        (1..).zip(pairs.iter().copied()).collect::<Vec<_>>().into_iter().rev().collect()
    }

    fn newest(&self) -> Result<(u32, PublicKey), VaultError> {
        self.pairs().first().copied().ok_or(VaultError::NoSlot)
    }

    /// Opens the desk's private halves with a person's key.
    pub fn open(&self, person: &PrivateKey) -> Result<DeskKeys, AccessError> {
        let own = person.public()?;
        let mut opened = Vec::new();
        for (number, public) in self.pairs() {
            let path = self.state.join(file_name(number));
            let slots = SlotFile::open(&*self.disk, &path, SlotPurpose::Desk).map_err(VaultError::from)?;
            let (_, sealed) = slots.find(&own.0).map_err(VaultError::from)?.ok_or(AccessError::Forbidden)?;
            opened.push(PrivateKey::from_secret(person.open_secret(Label::DeskKey, &public.0, &sealed)?));
        }
        Ok(DeskKeys(opened))
    }

    /// Makes the next pair, sealed to who reads persons from now on. It counts once a row names it: see [`Desk::take`].
    pub fn make_next(&self, recipients: &[PublicKey]) -> Result<(u32, PrivateKey, PublicKey), VaultError> {
        let number = self.newest()?.0 + 1;
        let path = self.state.join(file_name(number));
        match self.disk.remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(VaultError::Disk { what: path.display().to_string(), source });
            }
            _ => {}
        }
        let (private, public) = Self::make_desk_file(&self.disk, &path, recipients)?;
        let failed = |source| VaultError::Disk { what: self.state.display().to_string(), source };
        self.disk.sync_dir(&self.state).map_err(failed)?;
        Ok((number, private, public))
    }

    /// Its row stands: what comes from here on is sealed to it.
    pub fn take(&self, next: PublicKey) {
        self.pairs.write().unwrap_or_else(PoisonError::into_inner).push(next);
    }

    /// Seals the desk's private halves to one who joins; `false` where all are already. `by` is somebody who reads persons,
    /// or the recovery key.
    pub fn admit(&self, by: &PrivateKey, newcomer: &PublicKey) -> Result<bool, VaultError> {
        self.changing(|file, public| seal_again(file, (Label::DeskKey, &public.0), public, by, newcomer))
    }

    /// Overwrites the slots of one who leaves; `false` where there are none.
    pub fn forget(&self, leaver: &PublicKey, recovery: &PublicKey) -> Result<bool, VaultError> {
        self.changing(|file, _| overwrite_slot(file, leaver, recovery))
    }

    fn changing(&self, change: impl Fn(&SlotFile, &PublicKey) -> Result<bool, VaultError>) -> Result<bool, VaultError> {
        let mut changed = false;
        for (number, public) in self.pairs() {
            let file = SlotFile::open(&*self.disk, &self.state.join(file_name(number)), SlotPurpose::Desk)?;
            if change(&file, &public)? {
                file.flush()?;
                changed = true;
            }
        }
        Ok(changed)
    }
}
