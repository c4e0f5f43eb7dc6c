//! Making a site, and opening one.
//!
//! Order of making: directories → keys and accounts → the ledger's first rows. Without those rows no account counts,
//! so a site whose making was broken off is not a site.

use super::desk::{self, Desk};
use super::destructions::Destructions;
use super::listing::Searches;
use super::months::Months;
use super::passwords::{WeakPassword, check_password};
use super::people::{Account, People};
use super::registry::Registry;
use super::sessions::Sessions;
use super::{Access, AccessError, LetterTemplates, NewAccount, Password, Periods};
use crate::clock::Clock;
use crate::crypto::{
    CryptoFailure, PrivateKey, PublicKey, Secret, SigningKey, Strength, Unopened, generate_pair, random_array,
};
use crate::disk::{NotPrivate, SharedDisk, check_private, check_private_dir, read_file, replace_file};
use crate::domain::{AccountId, Role, SiteId};
use crate::ledger::{Act, Actor, Adding, Elsewhere, Ledger, LedgerError, Row, SharedLedger};
use crate::vault::{GrantStore, Holds, RECIPIENTS_LIMIT, TrustedClock, Vault, VaultError};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

const SITE_NAME: &str = "site";
const SIGNING_KEY_NAME: &str = "signing.key";
pub(super) const NAME_LONGEST_CHARS: usize = 64;

/// Why a site could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("there is a site here already; nothing was changed")]
    AlreadyThere,
    #[error("there is no site in {}; make one with `custodian init`", dir.display())]
    NoSite { dir: PathBuf },
    #[error("{}: the making of a site was broken off here; remove this directory, it holds no footage, and begin anew", dir.display())]
    HalfMade { dir: PathBuf },
    #[error("{}: is not the site's number; put it back from a copy", file.display())]
    DamagedSite { file: PathBuf },
    #[error("at least two officers are wanted, one and a deputy: who enters a request cannot decide it")]
    TooFewOfficers,
    #[error(
        "{officers} officers are too many: a day's keys are sealed to {} of them at most, and to the recovery key",
        RECIPIENTS_LIMIT - 1
    )]
    TooManyOfficers { officers: usize },
    #[error("{readers} officers, staff and auditors are too many: the desk has room for {}", desk::SLOTS - 1)]
    TooManyReaders { readers: usize },
    #[error("the name {name:?} is given twice; each person has an account of their own")]
    TwiceTheName { name: String },
    #[error("a name may have 1 to 64 letters, digits, `.`, `-` or `_`; {name:?} has something else")]
    BadName { name: String },
    #[error("the password of {name} {why}")]
    WeakPassword { name: String, why: WeakPassword },
    #[error(transparent)]
    NotPrivate(#[from] NotPrivate),
    #[error("state/{file}: {what}")]
    State { file: String, what: String },
    #[error("the ledger begins without saying what the site's keys are; restore it from a copy")]
    NoSiteKeys,
    #[error(transparent)]
    Crypto(#[from] CryptoFailure),
    #[error(transparent)]
    Unopened(#[from] Unopened),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Access(#[from] Box<AccessError>),
}

impl StartError {
    pub(super) fn state(file: &str, what: &dyn std::fmt::Display) -> Self {
        StartError::State { file: file.to_owned(), what: what.to_string() }
    }
}

/// A site that is to be made.
#[derive(Debug)]
pub struct NewSite<'a> {
    pub accounts: &'a [NewAccount],
    pub strength: Strength,
}

impl NewSite<'_> {
    /// Makes the state directory of a site. Returns its id and the recovery key, which is kept nowhere.
    ///
    /// # Errors
    /// [`StartError`]; a site that is there already is left as it is.
    pub fn make(&self, disk: &SharedDisk, state: &Path, clock: &Clock) -> Result<(SiteId, PrivateKey), StartError> {
        self.check()?;
        if disk.open(&state.join(SITE_NAME), crate::disk::Access::Read).is_ok() {
            return Err(StartError::AlreadyThere);
        }
        if disk.open(&state.join(SIGNING_KEY_NAME), crate::disk::Access::Read).is_ok() {
            return Err(StartError::HalfMade { dir: state.to_path_buf() });
        }
        for dir in ["ledger", "grants", "requests", "people"] {
            disk.create_dir(&state.join(dir)).map_err(|e| StartError::state(dir, &e))?;
        }
        let site = SiteId(random_array()?);
        let (recovery, recovery_public) = generate_pair()?;
        let signer = Secret::<32>::random()?;
        write_once(disk, &state.join(SIGNING_KEY_NAME), signer.expose())?;
        let accounts = (1..)
            .zip(self.accounts)
            .map(|(number, new)| Account::make(AccountId(number), new, self.strength))
            .collect::<Result<Vec<_>, _>>()?;
        for account in &accounts {
            account.store(disk, &state.join("people"))?;
        }
        let mut desk_keys = vec![recovery_public];
        let readers = accounts.iter().zip(self.accounts).filter(|(_, new)| new.role.reads_persons());
        desk_keys.extend(readers.filter_map(|(account, _)| account.key()));
        let desk = Desk::create(disk, &state.join("desk"), &desk_keys)?;

        let mut ledger = Ledger::open(Arc::clone(disk), &state.join("ledger"), site, |_| {})?;
        let made =
            Act::SiteMade { signer: SigningKey::from_seed(&signer)?.verifying_key(), desk, recovery: recovery_public };
        ledger.append(clock.wall(), Actor::Console, made)?;
        for (account, (number, new)) in accounts.iter().zip((1..).zip(self.accounts)) {
            let granted = Act::RightsGranted {
                account: AccountId(number),
                role: new.role,
                key: account.key().ok_or(CryptoFailure)?,
                release_key: account.release_key(),
                reason: "the site was made".into(),
                cameras: None,
                ends: None,
                requester: None,
            };
            ledger.append(clock.wall(), Actor::Console, granted)?;
        }
        // Last of all: with this name the site is there.
        replace_file(&**disk, &state.join(SITE_NAME), format!("{site}\n").as_bytes())
            .map_err(|e| StartError::state(SITE_NAME, &e))?;
        Ok((site, recovery))
    }

    fn check(&self) -> Result<(), StartError> {
        let officers = self.accounts.iter().filter(|account| account.role == Role::Officer).count();
        if officers < 2 {
            return Err(StartError::TooFewOfficers);
        }
        // One slot more is the recovery key's. Who finds none free gets nothing sealed, and nobody would notice.
        if officers >= RECIPIENTS_LIMIT as usize {
            return Err(StartError::TooManyOfficers { officers });
        }
        let readers = self.accounts.iter().filter(|account| account.role.reads_persons()).count();
        if readers >= desk::SLOTS as usize {
            return Err(StartError::TooManyReaders { readers });
        }
        let mut names = BTreeSet::new();
        for NewAccount { name, password, .. } in self.accounts {
            if !is_plain_name(name) {
                return Err(StartError::BadName { name: name.clone() });
            }
            if !names.insert(name) {
                return Err(StartError::TwiceTheName { name: name.clone() });
            }
            check_password(name, password.expose())
                .map_err(|why| StartError::WeakPassword { name: name.clone(), why })?;
        }
        Ok(())
    }
}

/// Whether an account may be called that.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    !name.is_empty() && name.chars().count() <= NAME_LONGEST_CHARS && name.chars().all(plain)
}

fn write_once(disk: &SharedDisk, path: &Path, bytes: &[u8]) -> Result<(), StartError> {
    let failed = |e: std::io::Error| StartError::state(SIGNING_KEY_NAME, &e);
    let file = disk.create_new(path).map_err(failed)?;
    file.write_all_at(bytes, 0).map_err(failed)?;
    file.sync_data().map_err(failed)
}

/// The state directory of a site that is there.
#[derive(Clone, Debug)]
pub struct SiteFiles {
    disk: SharedDisk,
    state: PathBuf,
    site: SiteId,
    is_proven: bool,
}

impl SiteFiles {
    /// # Errors
    /// [`StartError::NoSite`].
    pub fn open(disk: SharedDisk, state: &Path) -> Result<Self, StartError> {
        let file = state.join(SITE_NAME);
        let bytes = read_file(&*disk, &file, 128).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => StartError::NoSite { dir: state.to_path_buf() },
            _ => StartError::state(SITE_NAME, &e),
        })?;
        let mut id = [0; 16];
        hex::decode_to_slice(bytes.trim_ascii(), &mut id).map_err(|_| StartError::DamagedSite { file })?;
        Ok(Self { disk, state: state.to_path_buf(), site: SiteId(id), is_proven: false })
    }

    /// Overwriting was shown to reach the blocks of these files.
    #[must_use]
    pub fn proven(&self, is_proven: bool) -> Self {
        Self { is_proven, ..self.clone() }
    }

    pub fn site(&self) -> SiteId {
        self.site
    }

    pub fn disk(&self) -> &SharedDisk {
        &self.disk
    }

    /// The directory of the ledger's files.
    pub fn ledger_dir(&self) -> PathBuf {
        self.state.join("ledger")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Opens an officer's release key with their password, where no daemon runs; `None` where name and password do not
    /// open one.
    ///
    /// # Errors
    /// [`StartError::Ledger`] where the ledger is damaged: it alone tells whose account counts.
    pub fn open_release_key(&self, name: &str, password: &Password) -> Result<Option<PrivateKey>, StartError> {
        let mut registry = Registry::default();
        Ledger::open(Arc::clone(&self.disk), &self.ledger_dir(), self.site, |row| registry.apply(&row))?;
        let people = People::open(&self.disk, &self.path("people"), &registry)?;
        let Some(account) = people.numbered(name) else { return Ok(None) };
        let is_in_force = registry.members.get(account).is_some_and(|member| member.keys.is_some());
        Ok(people.open_release(account, password.expose()).ok().filter(|_| is_in_force))
    }

    /// Refuses key files and their directories that anybody but the running user could reach.
    ///
    /// # Errors
    /// [`StartError::NotPrivate`], which says what to do.
    pub fn check_private(&self) -> Result<(), StartError> {
        check_private(&*self.disk, &self.state)?;
        check_private(&*self.disk, &self.path(SIGNING_KEY_NAME))?;
        for number in 1.. {
            let desk = self.path(&desk::file_name(number));
            check_private(&*self.disk, &desk)?;
            if self.disk.open(&desk, crate::disk::Access::Read).is_err() {
                break;
            }
        }
        for dir in ["people", "grants", "requests"] {
            check_private_dir(&*self.disk, &self.path(dir))?;
        }
        Ok(())
    }

    /// The site's signing key.
    ///
    /// # Errors
    /// [`StartError::State`] where it cannot be read or is no key.
    pub fn signing_key(&self) -> Result<SigningKey, StartError> {
        let bytes = read_file(&*self.disk, &self.path(SIGNING_KEY_NAME), 64)
            .map_err(|e| StartError::state(SIGNING_KEY_NAME, &e))?;
        let bytes = zeroize::Zeroizing::new(bytes);
        let seed = Secret::from_slice(&bytes).ok_or_else(|| StartError::state(SIGNING_KEY_NAME, &"is not 32 bytes"))?;
        Ok(SigningKey::from_seed(&seed)?)
    }
}

/// What the ledger adds up to as it is opened.
struct Added {
    registry: Registry,
    destructions: Destructions,
    months: Months,
}

impl Adding for Added {
    fn row(&mut self, row: Row) {
        self.destructions.apply(&row);
        self.months.apply(&row);
        self.registry.apply(&row);
    }

    fn others(&mut self, others: &str) -> bool {
        self.destructions.add_sum(others)
    }
}

impl Access {
    /// Opens the ledger and builds everything from it; tells the vault whose keys may open day keys; destroys what
    /// has no row (A5).
    ///
    /// # Errors
    /// [`StartError`]; nothing is shown to anybody then.
    pub fn start(
        files: &SiteFiles,
        vault: Arc<Vault>,
        time: Arc<TrustedClock>,
        holds: Arc<Mutex<Holds>>,
        periods: Periods,
    ) -> Result<(Self, SharedLedger), StartError> {
        let disk = Arc::clone(&files.disk);
        let signing_key = files.signing_key()?;
        let destructions = Destructions::new(periods.time_zone.clone());
        let mut known = Added { registry: Registry::default(), destructions, months: Months::default() };
        let signer = signing_key.verifying_key();
        let ledger = Ledger::open_by_sums(Arc::clone(&disk), &files.ledger_dir(), files.site, &signer, &mut known)?;
        let Added { registry, destructions, months } = known;
        let ledger = SharedLedger::new(ledger);
        let destructions = Arc::new(Mutex::new(destructions));
        let months = Arc::new(Mutex::new(months));
        // The eraser writes rows as well.
        let (watching, counting) = (Arc::clone(&destructions), Arc::clone(&months));
        ledger.watch(move |row| {
            watching.lock().unwrap_or_else(PoisonError::into_inner).apply(row);
            counting.lock().unwrap_or_else(PoisonError::into_inner).apply(row);
        });
        let keys = registry.site.ok_or(StartError::NoSiteKeys)?;
        if signer != keys.signer {
            return Err(StartError::state(SIGNING_KEY_NAME, &"is not the key that the ledger names"));
        }
        // Taken from the ledger: an officer whose file is damaged still has the key, in a copy of that file.
        let mut recipients = registry.members.release_keys();
        let people = People::open(&disk, &files.path("people"), &registry)?;
        // A ledger that is not whole says nothing of what may be destroyed.
        if ledger.damage().is_none() {
            people.settle(&registry)?;
        }
        let leaving_is_due = AtomicBool::new(!registry.members.leaving().is_empty());
        recipients.push(keys.recovery);
        vault.set_recipients(recipients);
        let access = Self {
            vault,
            ledger: ledger.clone(),
            signing_key,
            holds,
            grants: GrantStore::new(Arc::clone(&disk), files.path("grants")),
            people,
            desk: Desk::new(Arc::clone(&disk), (files.state.clone(), files.is_proven), registry.desks.clone()),
            templates: LetterTemplates::beside(Arc::clone(&disk), &files.state),
            requests_dir: files.path("requests"),
            registry: Mutex::new(registry),
            sessions: Sessions::new(time.clock().clone(), periods.session),
            time,
            configured: RwLock::default(),
            turn: Mutex::default(),
            leaving_is_due,
            failed: Mutex::default(),
            under_way: Mutex::default(),
            broken_off: Mutex::default(),
            untidy: AtomicBool::default(),
            held_count: Mutex::default(),
            papers_looked: Mutex::default(),
            searches: Searches::default(),
            said: Mutex::default(),
            destructions,
            months,
            disk: Arc::clone(&disk),
            is_proven: files.is_proven,
            checked_months: Mutex::default(),
            elsewhere: Elsewhere::new(periods.ledger.checkpoints_to.clone()),
            newest_checkpoint: Mutex::default(),
            periods,
        };
        // A crash between a hold and its row leaves one of these. More were on record once.
        let holds = access.strays();
        if holds > 1 && ledger.damage().is_none() {
            ledger.condemn(LedgerError::Lacks { holds });
        }
        access.reconcile().map_err(Box::new)?;
        access.say_what_is_under_way();
        Ok((access, ledger))
    }

    /// Seals the desk's key to somebody who joined and reads persons; `false` where it is already. `by` is the session key
    /// of one who does, or the recovery key.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] for an account that no row of the ledger gave that right; as
    /// [`crate::vault::seal_again`].
    pub fn admit_to_desk(&self, by: &PrivateKey, newcomer: AccountId) -> Result<bool, AccessError> {
        let key = self.registry().members.desk_key(newcomer).ok_or(AccessError::Forbidden)?;
        let _turn = self.turn();
        Ok(self.desk.admit(by, &key)?)
    }

    /// Overwrites the desk's slot of somebody who leaves; `false` where there is none.
    ///
    /// # Errors
    /// As [`crate::vault::overwrite_slot`].
    pub fn forget_at_desk(&self, leaver: PublicKey) -> Result<bool, AccessError> {
        let recovery = self.registry().site.map(|keys| keys.recovery).ok_or(AccessError::Forbidden)?;
        let _turn = self.turn();
        Ok(self.desk.forget(&leaver, &recovery)?)
    }

    /// The keys of grants, for the eraser: expired segments go from them too.
    pub fn grant_store(&self) -> GrantStore {
        self.grants.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(officers: usize, staff: usize) -> Result<(), StartError> {
        let roles = std::iter::repeat_n(Role::Officer, officers).chain(std::iter::repeat_n(Role::Staff, staff));
        let account = |(number, role)| NewAccount {
            name: format!("person-{number}"),
            role,
            password: super::super::Password::new("long enough".into()),
        };
        let accounts: Vec<NewAccount> = roles.enumerate().map(account).collect();
        NewSite { accounts: &accounts, strength: Strength::RECOMMENDED }.check()
    }

    #[test]
    fn there_is_a_slot_for_everybody_and_the_recovery_key() {
        assert!(matches!(check(1, 0), Err(StartError::TooFewOfficers)));
        assert!(check(15, 48).is_ok());
        let told = check(16, 0).unwrap_err().to_string();
        assert!(told.starts_with("16 officers are too many: a day's keys are sealed to 15 of them"), "{told}");
        assert!(matches!(check(2, 62), Err(StartError::TooManyReaders { readers: 64 })));
    }
}
