//! Accounts: one person each. The private halves stand at rest under the person's own password.
//!
//! A change of an account's file
//!
//! ```text
//! ACCOUNT.new written, flushed, its name flushed ─▶ the ledger's row, which names its digest ─▶ ACCOUNT overwritten in
//! place, flushed ─▶ ACCOUNT.new overwritten, flushed, removed
//! ```
//!
//! - U1 The row decides: a start puts an `ACCOUNT.new` that the newest row of the account names in its place, and destroys
//!   any other. At every instant the old password works, or the new one does.
//! - U2 What was sealed under an old password, or for somebody who left, is overwritten where it stood, and flushed, before
//!   the change is answered.
//! - U3 A file that is not the one that the account's newest row names is nobody's: an older copy brings no old password
//!   back.

use super::registry::Registry;
use super::site::StartError;
use crate::access::nameless::debug_tells_its_name_alone;
use crate::crypto::{
    CryptoFailure, Label, PasswordSealed, PrivateKey, PublicKey, Sealed, Strength, TotpSecret, Unopened, generate_pair,
    sha256,
};
use crate::disk::{Access, BLOCK_BYTES, SharedDisk, read_file, replace_file};
use crate::domain::{AccountId, CameraNumber, Digest, Role, StateFault, StateVersion, Utc};
use crate::vault::VaultError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use zeroize::Zeroizing;

const FILE_LIMIT_BYTES: u64 = 64 << 10;
/// Files are filled up to this with line ends: whatever an account had before is within it, and overwritten.
const FILE_BYTES: usize = 2 * BLOCK_BYTES;
/// What is about to take the place of an account's file.
const STAGED: &str = "new";

/// An account that is to be made.
#[derive(Clone, Debug)]
pub struct NewAccount {
    pub name: String,
    pub role: Role,
    pub password: Password,
}

/// A password in the clear. Never shown, wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A person, as others may know them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct Person {
    pub account: AccountId,
    pub name: String,
    pub role: Role,
    #[serde(skip)]
    pub(super) key: PublicKey,
    /// `None`: all of them.
    #[serde(skip)]
    pub(super) cameras: Option<Vec<CameraNumber>>,
    #[serde(skip)]
    pub(super) ends: Option<Utc>,
}

impl Person {
    /// Whether a camera is within what they may deal with.
    pub(super) fn reaches(&self, camera: CameraNumber) -> bool {
        self.cameras.as_ref().is_none_or(|cameras| cameras.contains(&camera))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    public: PublicKey,
    private: PasswordSealed,
}

/// An account as it is stored: `state/people/ACCOUNT`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    version: StateVersion,
    account: AccountId,
    name: String,
    role: Role,
    /// `None` until the person has chosen a password, and once their rights are removed.
    session: Option<Pair>,
    /// Officers have a second pair, opened for one decision.
    release: Option<Pair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    second_factor: Option<SecondFactor>,
}

/// A person's second factor: its secret, sealed to their session key, and the digests of their recovery codes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondFactor {
    secret: Sealed,
    recovery_codes: Vec<Digest>,
}

impl SecondFactor {
    pub fn open(&self, account: AccountId, private: &PrivateKey) -> Result<TotpSecret, Unopened> {
        let secret = private.open(Label::SecondFactor, &account.0.to_be_bytes(), &self.secret)?;
        TotpSecret::from_slice(&secret).ok_or(Unopened)
    }

    pub fn recovery_codes(&self) -> &[Digest] {
        &self.recovery_codes
    }
}

fn context(account: AccountId, which: &str) -> Vec<u8> {
    format!("custodian/1 account {account} {which} key").into_bytes()
}

fn make_pair(account: AccountId, which: &str, password: &Password, strength: Strength) -> Result<Pair, CryptoFailure> {
    let (private, public) = generate_pair()?;
    let private = PasswordSealed::seal(password.expose(), strength, &context(account, which), private.secret())?;
    Ok(Pair { public, private })
}

impl Account {
    /// # Errors
    /// [`StateFault`] for what is no account.
    pub fn parse(bytes: &[u8]) -> Result<Self, StateFault> {
        StateVersion::read(bytes)
    }

    /// The file as it is written.
    ///
    /// # Errors
    /// None in practice: its own JSON could not be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }

    /// An account of somebody who has no password yet.
    pub(super) fn without_keys(account: AccountId, name: String, role: Role) -> Self {
        Self { version: StateVersion, account, name, role, session: None, release: None, second_factor: None }
    }

    /// Makes an account's key pairs from the password that its person chose.
    pub(super) fn make(account: AccountId, new: &NewAccount, strength: Strength) -> Result<Self, StartError> {
        let empty = Self::without_keys(account, new.name.clone(), new.role);
        Ok(empty.with_new_keys(new.role, &new.password, strength)?)
    }

    /// The same with new pairs under a password, as a role wants them.
    pub(super) fn with_new_keys(
        mut self,
        role: Role,
        password: &Password,
        strength: Strength,
    ) -> Result<Self, CryptoFailure> {
        // It is sealed to the pair that goes.
        (self.release, self.second_factor) = (None, None);
        self.role = role;
        self = self.with_release_as(role, password, strength)?;
        self.session = Some(make_pair(self.account, "session", password, strength)?);
        Ok(self)
    }

    /// With a release pair where the role wants one and there is none yet.
    pub(super) fn with_release_as(
        mut self,
        role: Role,
        password: &Password,
        strength: Strength,
    ) -> Result<Self, CryptoFailure> {
        self.release = match (role, self.release) {
            (Role::Officer, None) => Some(make_pair(self.account, "release", password, strength)?),
            (_, known) => known,
        };
        Ok(self)
    }

    /// With the role that it has from now on. Other roles than officers have no release pair.
    pub(super) fn with_role(mut self, role: Role) -> Self {
        self.role = role;
        self.release = self.release.filter(|_| role == Role::Officer);
        self
    }

    /// With another second factor.
    pub(super) fn with_second_factor(
        mut self,
        secret: &TotpSecret,
        recovery_codes: Vec<Digest>,
    ) -> Result<Self, CryptoFailure> {
        let key = self.key().ok_or(CryptoFailure)?;
        let secret = key.seal(Label::SecondFactor, &self.account.0.to_be_bytes(), secret.expose())?;
        self.second_factor = Some(SecondFactor { secret, recovery_codes });
        Ok(self)
    }

    /// With the same pairs under another password.
    ///
    /// # Errors
    /// `None` where `old` is not the password.
    pub(super) fn rewrapped(
        mut self,
        old: &str,
        new: &Password,
        strength: Strength,
    ) -> Result<Option<Self>, CryptoFailure> {
        let account = self.account;
        let again = |pair: Option<Pair>, which: &str| -> Result<Option<Option<Pair>>, CryptoFailure> {
            let Some(Pair { public, private }) = pair else { return Ok(Some(None)) };
            let context = context(account, which);
            let Ok(secret) = private.open(old, &context) else { return Ok(None) };
            let private = PasswordSealed::seal(new.expose(), strength, &context, &secret)?;
            Ok(Some(Some(Pair { public, private })))
        };
        let (session, release) = (again(self.session, "session")?, again(self.release, "release")?);
        let (Some(session), Some(release)) = (session, release) else { return Ok(None) };
        (self.session, self.release) = (session, release);
        Ok(self.session.is_some().then_some(self))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn key(&self) -> Option<PublicKey> {
        self.session.as_ref().map(|pair| pair.public)
    }

    pub(super) fn release_key(&self) -> Option<PublicKey> {
        self.release.as_ref().map(|pair| pair.public)
    }

    /// Writes an account for the first time, beside no daemon.
    pub(super) fn store(&self, disk: &SharedDisk, dir: &Path) -> Result<(), StartError> {
        let bytes = self.to_bytes().map_err(|e| StartError::state("people", &e))?;
        replace_file(&**disk, &path_of(dir, self.account), &bytes).map_err(|e| StartError::state("people", &e))
    }
}

fn path_of(dir: &Path, account: AccountId) -> PathBuf {
    dir.join(format!("{:08x}", account.0))
}

/// Whether a file is what the ledger says of its account.
fn is_on_record(account: &Account, bytes: &[u8], registry: &Registry) -> bool {
    let Some(member) = registry.members.get(account.account) else { return false };
    match member.file {
        Some(digest) => sha256(bytes) == digest,
        // As the site's making left it.
        None => {
            let keys = member.keys.map(|keys| (Some(keys.session), keys.release));
            member.role() == Some(account.role) && keys == Some((account.key(), account.release_key()))
        }
    }
}

/// An account's file that is written, flushed and not in its place yet.
#[derive(Debug)]
pub(super) struct StagedAccount {
    account: Account,
    bytes: Vec<u8>,
    /// For the row that decides it.
    pub digest: Digest,
}

impl StagedAccount {
    pub fn account(&self) -> AccountId {
        self.account.account
    }
}

/// All accounts of the site.
#[derive(Debug)]
pub(super) struct People {
    disk: SharedDisk,
    dir: PathBuf,
    accounts: RwLock<BTreeMap<AccountId, Account>>,
    strength: Strength,
    /// Opened in place of an unknown person's key, so that the time taken does not tell who has an account.
    decoy: PasswordSealed,
}

impl People {
    /// Reads all accounts: those that the ledger knows, and as it knows them. Changes nothing.
    pub fn open(disk: &SharedDisk, dir: &Path, registry: &Registry) -> Result<Self, StartError> {
        let mut accounts = BTreeMap::new();
        let names = disk.list_files(dir).map_err(|e| StartError::state("people", &e))?;
        // A staged one that counts takes the place of the other, which may be half overwritten.
        let (staged, plain): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.contains('.'));
        for name in staged.into_iter().chain(plain) {
            let is_staged = name.contains('.');
            let number = u32::from_str_radix(name, 16).ok().map(AccountId);
            if number.is_some_and(|number| accounts.contains_key(&number)) {
                continue;
            }
            let bytes = read_file(&**disk, &dir.join(name), FILE_LIMIT_BYTES);
            let bytes = bytes.map_err(|e| StartError::state("people", &e))?;
            let account = match Account::parse(&bytes) {
                Ok(account) => account,
                Err(_) if is_staged => continue,
                Err(e) => {
                    // One person cannot sign in; that is no reason to record nothing.
                    tracing::error!(file = name, error = %e, "an account's file is damaged: restore it from a copy");
                    continue;
                }
            };
            if is_on_record(&account, &bytes, registry) {
                accounts.insert(account.account, account);
            } else if !is_staged {
                tracing::error!(account = %account.account, "an account that the ledger does not know is left out");
            }
        }
        let strengths = accounts.values().filter_map(|account| account.session.as_ref());
        let strength = strengths.map(|pair| pair.private.strength()).next().unwrap_or(Strength::RECOMMENDED);
        // Not a sealed one: to derive its key would take a start 64 MiB and a fifth of its time.
        let decoy = PasswordSealed::decoy(strength)?;
        Ok(Self { disk: disk.clone(), dir: dir.to_path_buf(), accounts: RwLock::new(accounts), strength, decoy })
    }

    fn accounts(&self) -> RwLockReadGuard<'_, BTreeMap<AccountId, Account>> {
        // Each change is one insertion.
        self.accounts.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn strength(&self) -> Strength {
        self.strength
    }

    pub fn get(&self, account: AccountId) -> Option<Account> {
        self.accounts().get(&account).cloned()
    }

    pub fn has_second_factor(&self, account: AccountId) -> bool {
        self.accounts().get(&account).is_some_and(|account| account.second_factor.is_some())
    }

    pub fn second_factor(&self, account: AccountId) -> Option<SecondFactor> {
        self.accounts().get(&account).and_then(|account| account.second_factor.clone())
    }

    pub fn name_of(&self, account: AccountId) -> Option<String> {
        self.accounts().get(&account).map(|account| account.name.clone())
    }

    pub fn numbered(&self, name: &str) -> Option<AccountId> {
        self.accounts().values().find(|account| account.name == name).map(|account| account.account)
    }

    /// Opens a person's session key. Without a person it takes as long, and fails.
    pub fn open_session(&self, account: Option<AccountId>, password: &str) -> Result<PrivateKey, Unopened> {
        let pair = account.and_then(|account| Some((account, self.get(account)?.session?)));
        let Some((account, pair)) = pair else {
            return self.decoy.open(password, b"no such account").map(PrivateKey::from_secret);
        };
        Ok(PrivateKey::from_secret(pair.private.open(password, &context(account, "session"))?))
    }

    /// Opens an officer's release key, for one decision.
    pub fn open_release(&self, officer: AccountId, password: &str) -> Result<PrivateKey, Unopened> {
        let pair = self.get(officer).and_then(|account| account.release).ok_or(Unopened)?;
        Ok(PrivateKey::from_secret(pair.private.open(password, &context(officer, "release"))?))
    }

    fn failed(&self, account: AccountId) -> impl Fn(std::io::Error) -> VaultError {
        let what = path_of(&self.dir, account).display().to_string();
        move |source| VaultError::Disk { what: what.clone(), source }
    }

    /// Writes an account's file beside the one that counts, for a row to decide.
    pub fn stage(&self, account: Account) -> Result<StagedAccount, VaultError> {
        let failed = self.failed(account.account);
        let mut bytes = account.to_bytes().map_err(std::io::Error::other).map_err(&failed)?;
        bytes.resize(bytes.len().max(FILE_BYTES), b'\n');
        self.discard(account.account)?;
        let file = self.disk.create_new(&self.staged_path(account.account)).map_err(&failed)?;
        file.write_all_at(&bytes, 0).map_err(&failed)?;
        file.sync_data().map_err(&failed)?;
        self.disk.sync_dir(&self.dir).map_err(&failed)?;
        Ok(StagedAccount { account, digest: sha256(&bytes), bytes })
    }

    /// Its row stands: from here on the staged file counts. Overwrites the one before.
    ///
    /// # Errors
    /// What the disk says. The staged one stays then, and counts all the same; the next start overwrites the other.
    pub fn install(&self, staged: StagedAccount) -> Result<(), VaultError> {
        let StagedAccount { account, bytes, .. } = staged;
        let number = account.account;
        self.accounts.write().unwrap_or_else(PoisonError::into_inner).insert(number, account);
        self.put_in_place(number, &bytes)
    }

    fn put_in_place(&self, account: AccountId, bytes: &[u8]) -> Result<(), VaultError> {
        let (path, failed) = (path_of(&self.dir, account), self.failed(account));
        match self.disk.open(&path, Access::ReadWrite) {
            Ok(file) => {
                file.write_all_at(bytes, 0).map_err(&failed)?;
                file.set_len(bytes.len() as u64).map_err(&failed)?;
                file.sync_data().map_err(&failed)?;
                // It holds the same keys, and would outlive them under no name.
                self.discard(account)
            }
            // A name that a power cut takes back is put in its place again.
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.disk.rename(&self.staged_path(account), &path).map_err(&failed)
            }
            Err(e) => Err(failed(e)),
        }
    }

    /// Destroys what was staged for an account: no row will name it, or it has come to its place.
    pub fn discard(&self, account: AccountId) -> Result<(), VaultError> {
        let (path, failed) = (self.staged_path(account), self.failed(account));
        match self.disk.open(&path, Access::ReadWrite) {
            Ok(file) => {
                let length = usize::try_from(file.len_bytes().map_err(&failed)?).unwrap_or(FILE_BYTES);
                file.write_all_at(&vec![0; length.min(FILE_BYTES)], 0).map_err(&failed)?;
                file.sync_data().map_err(&failed)?;
                self.disk.remove_file(&path).map_err(&failed)
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed(e)),
        }
    }

    fn staged_path(&self, account: AccountId) -> PathBuf {
        path_of(&self.dir, account).with_extension(STAGED)
    }

    /// Brings the files into agreement with the ledger, at a start (U1).
    pub fn settle(&self, registry: &Registry) -> Result<(), VaultError> {
        let dir = || VaultError::State { file: "people".into(), what: "cannot be listed".into() };
        for name in self.disk.list_files(&self.dir).map_err(|_| dir())? {
            let Some(number) = name.strip_suffix(".new").and_then(|hex| u32::from_str_radix(hex, 16).ok()) else {
                continue;
            };
            let account = AccountId(number);
            let bytes = read_file(&*self.disk, &self.staged_path(account), FILE_LIMIT_BYTES);
            let bytes = bytes.map_err(self.failed(account))?;
            let wanted = registry.members.get(account).and_then(|member| member.file);
            if wanted == Some(sha256(&bytes)) {
                self.put_in_place(account, &bytes)?;
            } else {
                self.discard(account)?;
            }
        }
        Ok(())
    }
}

debug_tells_its_name_alone!(Password);
