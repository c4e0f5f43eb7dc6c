//! The desk: one key pair a site, for what requests and operations hold of persons, and for the texts of holds, which may
//! name some. Its private half stands in slots, one for each person whose role reads persons, and one for the recovery key.

use super::AccessError;
use super::site::StartError;
use crate::crypto::{Label, PrivateKey, PublicKey, Sealed, commitment, generate_pair, random_array};
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::{Digest, HeldFor, HoldId, OperationId, RequestId, StateFault, StateVersion};
use crate::segment::{SlotFile, SlotPurpose};
use crate::vault::{VaultError, overwrite_slot, seal_again};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Everybody who reads persons, and the recovery key.
pub(super) const SLOTS: u32 = 64;
const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// The desk's public half, and where its slots are.
#[derive(Debug)]
pub(super) struct Desk {
    disk: SharedDisk,
    path: PathBuf,
    public: PublicKey,
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

/// What something that is sealed to the desk is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Paper {
    Request(RequestId),
    Hold(HoldId),
    Operation(OperationId),
}

impl From<HeldFor> for Paper {
    fn from(of: HeldFor) -> Self {
        match of {
            HeldFor::Request(request) => Paper::Request(request),
            HeldFor::Hold(hold) => Paper::Hold(hold),
        }
    }
}

impl From<OperationId> for Paper {
    fn from(operation: OperationId) -> Self {
        Paper::Operation(operation)
    }
}

impl fmt::Display for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Paper::Request(request) => write!(f, "request {request}"),
            Paper::Hold(hold) => write!(f, "hold {hold}"),
            Paper::Operation(operation) => write!(f, "operation {operation}"),
        }
    }
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

/// Salt and fields: only with both can the ledger's commitment be checked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Salted {
    #[serde(with = "hex::serde")]
    salt: [u8; 32],
    fields: String,
}

impl Desk {
    /// Makes the desk's pair, sealed to everybody who reads persons.
    pub fn create(disk: &SharedDisk, path: &Path, recipients: &[PublicKey]) -> Result<PublicKey, StartError> {
        let (private, public) = generate_pair()?;
        let mut facts = [0; 64];
        facts[..32].copy_from_slice(&public.0);
        let file = SlotFile::create(&**disk, path, SlotPurpose::Desk, SLOTS, facts).map_err(VaultError::from)?;
        for (index, recipient) in (0..SLOTS).zip(recipients) {
            let sealed = recipient.seal(Label::DeskKey, &public.0, private.secret().expose())?;
            file.fill(index, &recipient.0, &sealed).map_err(VaultError::from)?;
        }
        file.flush().map_err(VaultError::from)?;
        Ok(public)
    }

    pub fn new(disk: SharedDisk, path: PathBuf, public: PublicKey) -> Self {
        Self { disk, path, public }
    }

    /// Opens the desk's private half with a person's key.
    pub fn open(&self, person: &PrivateKey) -> Result<PrivateKey, AccessError> {
        let slots = SlotFile::open(&*self.disk, &self.path, SlotPurpose::Desk).map_err(VaultError::from)?;
        let found = slots.find(&person.public()?.0).map_err(VaultError::from)?;
        let (_, sealed) = found.ok_or(AccessError::Forbidden)?;
        Ok(PrivateKey::from_secret(person.open_secret(Label::DeskKey, &self.public.0, &sealed)?))
    }

    /// Seals the desk's private half to one who joins; `false` where it is already. `by` is somebody who reads persons, or
    /// the recovery key.
    pub fn admit(&self, by: &PrivateKey, newcomer: &PublicKey) -> Result<bool, VaultError> {
        self.changing(|file| seal_again(file, (Label::DeskKey, &self.public.0), &self.public, by, newcomer))
    }

    /// Overwrites the slot of one who leaves; `false` where there is none.
    pub fn forget(&self, leaver: &PublicKey, recovery: &PublicKey) -> Result<bool, VaultError> {
        self.changing(|file| overwrite_slot(file, leaver, recovery))
    }

    fn changing(&self, change: impl FnOnce(&SlotFile) -> Result<bool, VaultError>) -> Result<bool, VaultError> {
        let file = SlotFile::open(&*self.disk, &self.path, SlotPurpose::Desk)?;
        let changed = change(&file)?;
        if changed {
            file.flush()?;
        }
        Ok(changed)
    }

    /// Seals what something says of persons, writes and flushes it; returns the commitment for the ledger.
    pub fn store(&self, dir: &Path, of: impl Into<Paper>, fields: &impl Serialize) -> Result<Digest, AccessError> {
        let of = of.into();
        let failed = |what: String| VaultError::State { file: of.to_string(), what };
        let fields = serde_json::to_string(fields).map_err(|e| failed(e.to_string()))?;
        let salt = random_array()?;
        let committed = commitment(&salt, fields.as_bytes());
        let salted = Zeroizing::new(serde_json::to_vec(&Salted { salt, fields }).map_err(|e| failed(e.to_string()))?);
        let (label, context) = bound_to(of);
        let sealed = self.public.seal(label, &context, &salted)?;
        let version = StateVersion;
        let stored = match of {
            Paper::Request(request) => StoredPersons { version, request, persons: sealed }.to_bytes(),
            Paper::Hold(hold) => serde_json::to_vec(&StoredText { version, hold, text: sealed }),
            Paper::Operation(operation) => serde_json::to_vec(&StoredAsker { version, operation, persons: sealed }),
        };
        let stored = stored.map_err(|e| failed(e.to_string()))?;
        replace_file(&*self.disk, &path_of(dir, of), &stored).map_err(|e| failed(e.to_string()))?;
        Ok(committed)
    }

    /// Opens what something says of persons, and holds it against the ledger's commitment.
    pub fn read<T: DeserializeOwned>(
        &self,
        dir: &Path,
        of: impl Into<Paper>,
        committed: Digest,
        desk: &PrivateKey,
    ) -> Result<T, AccessError> {
        let of = of.into();
        let failed = |what: String| AccessError::Inside(VaultError::State { file: of.to_string(), what });
        let bytes = read_file(&*self.disk, &path_of(dir, of), FILE_LIMIT_BYTES).map_err(|e| failed(e.to_string()))?;
        let sealed = match of {
            Paper::Request(_) => StoredPersons::parse(&bytes).map(|stored| stored.persons),
            Paper::Hold(_) => StateVersion::read::<StoredText>(&bytes).map(|stored| stored.text),
            Paper::Operation(_) => StateVersion::read::<StoredAsker>(&bytes).map(|stored| stored.persons),
        };
        let (label, context) = bound_to(of);
        let salted = desk.open(label, &context, &sealed.map_err(|e| failed(e.to_string()))?)?;
        // What was opened is of persons: an error says where, never what.
        let changed = |e: serde_json::Error| failed(StateFault::at(&e).to_string());
        let salted: Salted = serde_json::from_slice(&salted).map_err(changed)?;
        if commitment(&salted.salt, salted.fields.as_bytes()) != committed {
            return Err(failed("is not what the ledger committed to: it was changed".into()));
        }
        serde_json::from_str(&salted.fields).map_err(changed)
    }
}

/// What it is sealed as: what is of one thing opens for no other.
fn bound_to(of: Paper) -> (Label, [u8; 4]) {
    match of {
        Paper::Request(request) => (Label::RequestPersons, request.0.to_be_bytes()),
        Paper::Hold(hold) => (Label::HoldText, hold.0.to_be_bytes()),
        Paper::Operation(operation) => (Label::OperationPersons, operation.0.to_be_bytes()),
    }
}

fn path_of(dir: &Path, of: Paper) -> PathBuf {
    dir.join(match of {
        Paper::Request(request) => format!("{:08x}", request.0),
        Paper::Hold(hold) => format!("h{:08x}", hold.0),
        Paper::Operation(operation) => format!("o{:08x}", operation.0),
    })
}
