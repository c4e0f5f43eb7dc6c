//! Accounts: one person each. The private halves stand at rest under the person's own password.

use super::site::StartError;
use crate::crypto::{PasswordSealed, PrivateKey, PublicKey, Strength, Unopened, generate_pair};
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::{AccountId, Role, StateFault, StateVersion};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const FILE_LIMIT_BYTES: u64 = 64 << 10;

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

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// A person, as others may know them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Person {
    pub account: AccountId,
    pub name: String,
    pub role: Role,
    #[serde(skip)]
    pub(super) key: PublicKey,
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
    session: Pair,
    /// Officers have a second pair, opened for one decision.
    release: Option<Pair>,
}

fn context(account: AccountId, which: &str) -> Vec<u8> {
    format!("custodian/1 account {account} {which} key").into_bytes()
}

fn make_pair(account: AccountId, which: &str, password: &Password, strength: Strength) -> Result<Pair, StartError> {
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

    /// Makes an account's key pairs from the password that its person chose.
    pub(super) fn make(account: AccountId, new: &NewAccount, strength: Strength) -> Result<Self, StartError> {
        let release = match new.role {
            Role::Officer => Some(make_pair(account, "release", &new.password, strength)?),
            Role::Staff | Role::Viewer | Role::Auditor | Role::Installer => None,
        };
        let session = make_pair(account, "session", &new.password, strength)?;
        Ok(Self { version: StateVersion, account, name: new.name.clone(), role: new.role, session, release })
    }

    pub(super) fn key(&self) -> PublicKey {
        self.session.public
    }

    pub(super) fn release_key(&self) -> Option<PublicKey> {
        self.release.as_ref().map(|pair| pair.public)
    }

    pub(super) fn store(&self, disk: &SharedDisk, dir: &Path) -> Result<(), StartError> {
        let bytes = self.to_bytes().map_err(|e| StartError::state("people", &e))?;
        let path = dir.join(format!("{:08x}", self.account.0));
        replace_file(&**disk, &path, &bytes).map_err(|e| StartError::state("people", &e))
    }

    fn person(&self) -> Person {
        Person { account: self.account, name: self.name.clone(), role: self.role, key: self.session.public }
    }
}

/// All accounts of the site.
#[derive(Debug)]
pub(super) struct People {
    accounts: Vec<Account>,
    /// Opened in place of an unknown person's key, so that the time taken does not tell who has an account.
    decoy: PasswordSealed,
}

impl People {
    /// Reads all accounts. `granted` says whether the ledger gave an account its role and keys: one that it did not
    /// is left out, whatever its file says.
    pub fn open(
        disk: &SharedDisk,
        dir: &Path,
        granted: impl Fn(AccountId, Role, PublicKey, Option<PublicKey>) -> bool,
    ) -> Result<Self, StartError> {
        let mut accounts = Vec::new();
        for name in disk.list_files(dir).map_err(|e| StartError::state("people", &e))? {
            let path: PathBuf = dir.join(&name);
            if path.extension().is_some() {
                continue;
            }
            let bytes = read_file(&**disk, &path, FILE_LIMIT_BYTES).map_err(|e| StartError::state("people", &e))?;
            let account = match Account::parse(&bytes) {
                Ok(account) => account,
                Err(e) => {
                    // One person cannot sign in; that is no reason to record nothing.
                    tracing::error!(file = name, error = %e, "an account's file is damaged: restore it from a copy");
                    continue;
                }
            };
            if granted(account.account, account.role, account.key(), account.release_key()) {
                accounts.push(account);
            } else {
                tracing::error!(account = %account.account, "an account that the ledger does not know is left out");
            }
        }
        let strength = accounts.first().map_or(Strength::RECOMMENDED, |account| account.session.private.strength());
        // Not a sealed one: to derive its key would take a start 64 MiB and a fifth of its time.
        Ok(Self { accounts, decoy: PasswordSealed::decoy(strength)? })
    }

    pub fn list(&self) -> Vec<Person> {
        self.accounts.iter().map(Account::person).collect()
    }

    pub fn find(&self, name: &str) -> Option<Person> {
        self.accounts.iter().find(|account| account.name == name).map(Account::person)
    }

    fn account(&self, of: AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.account == of)
    }

    /// Opens a person's session key. Without a person it takes as long, and fails.
    pub fn open_session(&self, person: Option<&Person>, password: &str) -> Result<PrivateKey, Unopened> {
        let Some(account) = person.and_then(|person| self.account(person.account)) else {
            return self.decoy.open(password, b"no such account").map(PrivateKey::from_secret);
        };
        let opened = account.session.private.open(password, &context(account.account, "session"))?;
        Ok(PrivateKey::from_secret(opened))
    }

    /// Opens an officer's release key, for one decision.
    pub fn open_release(&self, officer: AccountId, password: &str) -> Result<PrivateKey, Unopened> {
        let pair = self.account(officer).and_then(|account| account.release.as_ref()).ok_or(Unopened)?;
        Ok(PrivateKey::from_secret(pair.private.open(password, &context(officer, "release"))?))
    }
}
