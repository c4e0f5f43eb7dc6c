//! Signing in and out; the first password, and the next one.

use super::passwords::{WeakPassword, check_password};
use super::people::Password;
use super::people::{Account, StagedAccount};
use super::rights::{OneTimeCode, Standing};
use super::sessions::SessionLine;
use super::site::NAME_LONGEST_CHARS;
use super::{Access, AccessError, Caller, Person};
use crate::crypto::sha256;
use crate::domain::{AccountId, Digest, Role, Utc};
use crate::ledger::{Act, Actor};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::PoisonError;

const MINUTE_MICROS: i64 = 60_000_000;
/// So many accounts and addresses are told apart in one minute; the failures of all others are counted together: with however
/// many addresses, nobody fills the disk with wrong passwords.
const COUNTED_LIMIT: usize = 256;
/// Stands for the addresses of those.
const MANY_ADDRESSES: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// Failures of a minute that have no row yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uncounted {
    minute: i64,
    count: u32,
}

pub(super) type FailuresOfMinute = HashMap<(Option<AccountId>, IpAddr), Uncounted>;

/// What a one-time code's row holds of it. The code has 100 random bits: nobody guesses it from this.
pub(super) fn code_digest(account: AccountId, code: &str) -> Digest {
    let plain: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let bytes = zeroize::Zeroizing::new(format!("custodian/1 account {account} code {}", plain.to_ascii_uppercase()));
    sha256(bytes.as_bytes())
}

impl Access {
    /// A person whose rights are in force.
    pub(super) fn person_of(&self, account: AccountId) -> Option<Person> {
        let name = self.people.name_of(account)?;
        let later = self.later();
        let registry = self.registry();
        let member = registry.members.get(account).filter(|member| member.standing(later) == Standing::Active)?;
        let (terms, keys) = (member.terms.clone()?, member.keys?);
        Some(Person { account, name, role: terms.role, key: keys.session, cameras: terms.cameras, ends: terms.ends })
    }

    /// Everybody whose rights are in force.
    pub(super) fn people_in_force(&self) -> Vec<Person> {
        let all: Vec<AccountId> = self.registry().members.iter().map(|(account, _)| account).collect();
        all.into_iter().filter_map(|account| self.person_of(account)).collect()
    }

    /// Takes note of a wrong password: the first of a minute, an account and an address at once, those that follow in
    /// [`Access::tell_failures`].
    pub(super) fn note_failure(&self, account: Option<AccountId>, address: IpAddr) -> Result<(), AccessError> {
        let minute = self.now().micros().div_euclid(MINUTE_MICROS);
        let (account, address, before) = {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            let is_told_apart = failed.len() < COUNTED_LIMIT || failed.contains_key(&(account, address));
            let (account, address) = if is_told_apart { (account, address) } else { (None, MANY_ADDRESSES) };
            let known = match failed.entry((account, address)) {
                Entry::Occupied(known) if known.get().minute == minute => {
                    let known = known.into_mut();
                    known.count = known.count.saturating_add(1);
                    return Ok(());
                }
                Entry::Occupied(known) => std::mem::replace(known.into_mut(), Uncounted { minute, count: 0 }).count,
                Entry::Vacant(new) => {
                    new.insert(Uncounted { minute, count: 0 });
                    0
                }
            };
            (account, address, known)
        };
        for count in [before, 1].into_iter().filter(|count| *count > 0) {
            self.record(Actor::Nobody { address }, Act::SignInFailed { account, count })?;
        }
        Ok(())
    }

    /// Writes the rows of failures whose minute is over, or of all.
    pub(super) fn tell_failures(&self, all: bool) -> Result<(), AccessError> {
        let minute = self.now().micros().div_euclid(MINUTE_MICROS);
        let told: Vec<_> = {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            let is_over = |known: &Uncounted| all || known.minute != minute;
            let over: Vec<_> =
                failed.iter().filter(|(_, known)| is_over(known)).map(|(key, known)| (*key, known.count)).collect();
            failed.retain(|_, known| !is_over(known));
            over
        };
        for ((account, address), count) in told.into_iter().filter(|(_, count)| *count > 0) {
            self.record(Actor::Nobody { address }, Act::SignInFailed { account, count })?;
        }
        Ok(())
    }

    fn failed<T>(&self, account: Option<AccountId>, address: IpAddr) -> Result<T, AccessError> {
        self.note_failure(account, address)?;
        Err(AccessError::WrongCredentials)
    }

    /// Signs a person in: opens the private key, and gives a token that stands for it.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`], the same for an unknown name; [`AccessError::TooManyAttempts`];
    /// [`AccessError::NotApproved`] and [`AccessError::PasswordTooOld`] with the right password.
    pub fn sign_in(&self, name: &str, password: &str, address: IpAddr) -> Result<(String, Person), AccessError> {
        self.sign_in_with(name, (password, None), address)
    }

    /// The same, with a code of the second factor.
    ///
    /// # Errors
    /// As [`Access::sign_in`]; [`AccessError::SecondFactorWanted`] where the password is right and there is no code.
    pub fn sign_in_with(
        &self,
        name: &str,
        (password, code): (&str, Option<&str>),
        address: IpAddr,
    ) -> Result<(String, Person), AccessError> {
        if name.chars().count() > NAME_LONGEST_CHARS {
            // Nobody is called that; it is not remembered either.
            return self.failed(None, address);
        }
        self.sessions.begin_try(name, address)?;
        let account = self.people.numbered(name);
        let opened = self.people.open_session(account, password);
        let (Some(account), Ok(private)) = (account, opened) else { return self.failed(account, address) };
        self.make_wanted_release_key(account, password, address)?;
        let Some(person) = self.person_of(account) else {
            if self.waits_for_approval(account) {
                self.sessions.forget_failures(name, address);
                return Err(AccessError::NotApproved);
            }
            return self.failed(Some(account), address);
        };
        self.check_second_factor(account, &private, code, address)?;
        if self.password_is_too_old(account) {
            self.sessions.forget_failures(name, address);
            return Err(AccessError::PasswordTooOld);
        }
        let desk = if person.role.reads_persons() { Some(self.desk.open(&private)?) } else { None };
        self.record(Actor::Person { account, address }, Act::SignedIn)?;
        let token = self.sessions.begin(&person, (private, desk), (address, self.now()))?;
        self.sessions.forget_failures(name, address);
        Ok((token, person))
    }

    fn waits_for_approval(&self, account: AccountId) -> bool {
        let later = self.later();
        let registry = self.registry();
        registry.members.get(account).is_some_and(|member| member.standing(later) == Standing::WaitsForApproval)
    }

    fn password_is_too_old(&self, account: AccountId) -> bool {
        let Some(longest) = self.periods.password_max else { return false };
        let since = self.registry().members.get(account).and_then(|member| member.password_since);
        since.is_some_and(|since| since.saturating_add(longest) <= self.later())
    }

    /// Somebody who is to become an officer makes their release key as they sign in: nobody else has the password that it
    /// stands under.
    fn make_wanted_release_key(&self, account: AccountId, password: &str, address: IpAddr) -> Result<(), AccessError> {
        let is_wanted = || {
            let registry = self.registry();
            registry.members.get(account).is_some_and(|member| {
                let wants = member.wanted.as_ref().is_some_and(|wanted| wanted.terms.role == Role::Officer);
                wants && member.keys.is_some_and(|keys| keys.release.is_none()) && member.made.is_none()
            })
        };
        if !is_wanted() {
            return Ok(());
        }
        let _turn = self.turn();
        let Some(file) = self.people.get(account).filter(|_| is_wanted()) else { return Ok(()) };
        let password = Password::new(password.to_owned());
        let file = file.with_release_as(Role::Officer, &password, self.people.strength())?;
        self.keep_made_keys(file, account, address)
    }

    /// Writes an account's file beside the one that counts, for a row to decide.
    pub(super) fn stage_file(&self, file: Account) -> Result<StagedAccount, AccessError> {
        self.must_take_rows()?;
        Ok(self.people.stage(file)?)
    }

    /// Writes a row that decides a staged file, and puts the file in its place.
    pub(super) fn record_file(&self, actor: Actor, act: Act, staged: StagedAccount) -> Result<(), AccessError> {
        let account = staged.account();
        if let Err(e) = self.record(actor, act) {
            // Where the row may stand all the same, the next start tells, and decides about the file too (U1): without it
            // nobody could sign in to the account again.
            if !e.row_may_stand() {
                self.people.discard(account)?;
            }
            return Err(e);
        }
        Ok(self.people.install(staged)?)
    }

    fn keep_made_keys(&self, file: Account, account: AccountId, address: IpAddr) -> Result<(), AccessError> {
        let (Some(key), release_key) = (file.key(), file.release_key()) else { return Err(AccessError::NoSuchAccount) };
        let staged = self.stage_file(file)?;
        let act = Act::KeysMade { account, key, release_key, file: staged.digest };
        self.record_file(Actor::Person { account, address }, act, staged)
    }

    /// The first password of an account, or the first after it was reset: chosen by the person, with the one-time code that an
    /// officer gave them. The keys are made under it. They count once another officer has approved.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`] for a wrong, used or old code; [`AccessError::Weak`].
    pub fn choose_password(
        &self,
        name: &str,
        code: &str,
        password: &Password,
        address: IpAddr,
    ) -> Result<(), AccessError> {
        if name.chars().count() > NAME_LONGEST_CHARS {
            return self.failed(None, address);
        }
        self.sessions.begin_try(name, address)?;
        let account = self.people.numbered(name);
        let fits = |account: AccountId| {
            let wanted = code_digest(account, code);
            let registry = self.registry();
            let known = registry.members.get(account).and_then(|member| member.code);
            known.is_some_and(|OneTimeCode { digest, until }| digest == wanted && self.later() < until)
        };
        let Some(account) = account.filter(|account| fits(*account)) else { return self.failed(account, address) };
        self.sessions.forget_failures(name, address);
        check_password(name, password.expose())?;
        let _turn = self.turn();
        let role = {
            let registry = self.registry();
            let member = registry.members.get(account).ok_or(AccessError::NoSuchAccount)?;
            member.role().or(member.wanted.as_ref().map(|wanted| wanted.terms.role))
        };
        // Of two at once the second finds it used.
        let file = self.people.get(account).filter(|_| fits(account)).ok_or(AccessError::WrongCredentials)?;
        let role = role.ok_or(AccessError::NoSuchAccount)?;
        let file = file.with_new_keys(role, password, self.people.strength())?;
        self.keep_made_keys(file, account, address)
    }

    /// Changes somebody's own password. Their keys stay what they are, under the new one; the bytes under the old one are
    /// overwritten. All their sessions but `kept` end.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`], [`AccessError::TooManyAttempts`], [`AccessError::Weak`];
    /// [`AccessError::NotRecorded`], and then the old one stays.
    pub fn change_password(
        &self,
        name: &str,
        (old, new): (&Password, &Password),
        (kept, code): (Option<&str>, Option<&str>),
        address: IpAddr,
    ) -> Result<(), AccessError> {
        if name.chars().count() > NAME_LONGEST_CHARS {
            return self.failed(None, address);
        }
        self.sessions.begin_try(name, address)?;
        let account = self.people.numbered(name);
        let Ok(private) = self.people.open_session(account, old.expose()) else {
            return self.failed(account, address);
        };
        let account = account.filter(|account| self.person_of(*account).is_some());
        let Some(account) = account else { return self.failed(None, address) };
        self.check_second_factor(account, &private, code, address)?;
        self.sessions.forget_failures(name, address);
        check_password(name, new.expose())?;
        if old.expose() == new.expose() {
            return Err(WeakPassword::Same.into());
        }
        {
            let _turn = self.turn();
            // As it is now: it may have been reset meanwhile.
            let file = self.people.get(account).filter(|_| self.person_of(account).is_some());
            let file = file.ok_or(AccessError::WrongCredentials)?;
            let changed = file.rewrapped(old.expose(), new, self.people.strength())?;
            let staged = self.stage_file(changed.ok_or(AccessError::WrongCredentials)?)?;
            let act = Act::PasswordChanged { account, file: staged.digest };
            self.record_file(Actor::Person { account, address }, act, staged)?;
        }
        self.sessions.end_of(account, kept);
        Ok(())
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// [`AccessError::NotSignedIn`] for none, an unknown, an idle or an ended one.
    /// [`AccessError::SecondFactorMissing`] for who must set one first: see [`Access::caller_of_any_kind`].
    pub fn caller(&self, token: &str, address: IpAddr) -> Result<Caller, AccessError> {
        let caller = self.caller_of_any_kind(token, address)?;
        if self.must_set_second_factor(&caller) { Err(AccessError::SecondFactorMissing) } else { Ok(caller) }
    }

    /// The same for what a page asks by itself, again and again: it keeps no session from becoming idle.
    ///
    /// # Errors
    /// As [`Access::caller`].
    pub fn caller_by_itself(&self, token: &str, address: IpAddr) -> Result<Caller, AccessError> {
        let caller = self.sessions.caller_by_itself(token, address, self.later())?;
        if self.must_set_second_factor(&caller) { Err(AccessError::SecondFactorMissing) } else { Ok(caller) }
    }

    /// The same for what concerns nobody but the person: their session, their password and second factor.
    ///
    /// # Errors
    /// [`AccessError::NotSignedIn`].
    pub fn caller_of_any_kind(&self, token: &str, address: IpAddr) -> Result<Caller, AccessError> {
        self.sessions.caller(token, address, self.later())
    }

    /// Whether a person has a second factor, and so is asked for a code.
    pub fn has_second_factor(&self, caller: &Caller) -> bool {
        self.people.has_second_factor(caller.account())
    }

    /// Whether a person can do nothing before they set a second factor.
    pub fn must_set_second_factor(&self, caller: &Caller) -> bool {
        self.lacks_second_factor(caller.account(), caller.person().role)
    }

    /// Ends a session. Its keys are wiped.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`]; the session is over all the same.
    pub fn sign_out(&self, token: &str, caller: &Caller) -> Result<(), AccessError> {
        self.sessions.end(token);
        self.record(caller.actor(), Act::SignedOut).map(drop)
    }

    /// A person's own sessions; for an officer, everybody's.
    pub fn sessions(&self, caller: &Caller) -> Vec<SessionLine> {
        let whose = (caller.person().role != Role::Officer).then_some(caller.account());
        self.sessions.list(whose, caller.session())
    }

    /// Ends a session: one's own, or, for an officer, anybody's.
    ///
    /// # Errors
    /// [`AccessError::NoSuchSession`], also for somebody else's; [`AccessError::NotRecorded`], and it is over all the same.
    pub fn end_session(&self, caller: &Caller, session: &str) -> Result<(), AccessError> {
        let is_officer = caller.person().role == Role::Officer;
        let ended = self.sessions.end_those(|id, account| id == session && (is_officer || account == caller.account()));
        let (account, sessions) = ended.ok_or(AccessError::NoSuchSession)?;
        self.record(caller.actor(), Act::SessionsEnded { account, sessions }).map(drop)
    }

    pub(super) fn until_of_code(&self, account: AccountId) -> Option<Utc> {
        self.registry().members.get(account).and_then(|member| member.code).map(|code| code.until)
    }
}
