//! Accounts after a site's making: an officer asks, another approves. What takes rights away needs one officer, who is not the
//! person concerned, so that it is done without delay; an officer who stays is always left.
//!
//! Order of a change: the account's file staged → the row → the file in its place (see `people`) → slots sealed, or
//! overwritten → the row that says so. What a crash leaves of the last steps is done at the next start, or, where it takes
//! somebody's key, when an officer approves once more.

use super::entry::code_digest;
use super::people::Account;
use super::rights::{Member, RightsEvent, Standing, Terms, Wanted};
use super::site::is_plain_name;
use super::texts::check_text;
use super::versions::Thing;
use super::{Access, AccessError, Caller, Password};
use crate::crypto::{PrivateKey, random_array};
use crate::domain::{AccountId, GrantId, RequestId, Role, Utc};
use crate::ledger::{Act, Actor};
use crate::vault::{DayKeyRound, RECIPIENTS_LIMIT};
use serde::Serialize;

/// Crockford's alphabet: nothing in it is taken for something else when it is read aloud.
const CODE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARS: usize = 20;
const CAMERAS_LIMIT: usize = 128;

/// Somebody who is to get an account.
#[derive(Clone, Debug)]
pub struct NewMember {
    pub name: String,
    pub terms: Terms,
    pub reason: String,
}

/// An account as it is shown to officers and auditors.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct AccountView {
    pub account: AccountId,
    /// What changes it may say which version it saw (`If-Match`).
    pub version: u64,
    pub name: String,
    /// In force, or asked for where there is none yet.
    pub role: Option<Role>,
    pub standing: Standing,
    pub terms: Option<Terms>,
    pub wanted: Option<Wanted>,
    /// Until when the one-time code can be used, where there is one.
    pub code_until: Option<Utc>,
    pub password_since: Option<Utc>,
    pub has_second_factor: bool,
    /// Day keys, or the desk's, were not all sealed to it: an officer approves once more.
    pub seals_wanted: bool,
}

/// An account, and the code with which its person chooses a password. The code is told this once.
#[derive(Debug)]
pub struct WithCode {
    pub account: AccountView,
    pub code: Password,
    /// Grants that ended with it: what they were for must be approved anew.
    pub ended: Vec<EndedGrant>,
}

/// A grant that ended because its viewer's keys did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct EndedGrant {
    pub grant: GrantId,
    pub request: RequestId,
}

pub(super) fn one_time_code() -> Result<Password, AccessError> {
    let random = zeroize::Zeroizing::new(random_array::<CODE_CHARS>()?);
    let mut code = String::with_capacity(CODE_CHARS + CODE_CHARS / 5);
    for (at, byte) in random.iter().enumerate() {
        if at > 0 && at % 5 == 0 {
            code.push('-');
        }
        code.push(char::from(CODE_ALPHABET[usize::from(byte % 32)]));
    }
    Ok(Password::new(code))
}

impl Access {
    /// All accounts that there ever were.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers and auditors.
    pub fn accounts(&self, caller: &Caller) -> Result<Vec<AccountView>, AccessError> {
        caller.must_be(&[Role::Officer, Role::Auditor])?;
        let all: Vec<AccountId> = self.registry().members.iter().map(|(account, _)| account).collect();
        all.into_iter().map(|account| self.account_view(account)).collect()
    }

    fn account_view(&self, account: AccountId) -> Result<AccountView, AccessError> {
        let (member, code_until) = (self.member(account)?, self.until_of_code(account));
        Ok(AccountView {
            account,
            version: self.version_of(Thing::Account(account)),
            name: self.people.name_of(account).unwrap_or_default(),
            role: member.role().or(member.wanted.as_ref().map(|wanted| wanted.terms.role)),
            standing: member.standing(self.later()),
            code_until,
            password_since: member.password_since,
            has_second_factor: self.people.has_second_factor(account),
            seals_wanted: member.seals_wanted,
            terms: member.terms,
            wanted: member.wanted,
        })
    }

    pub(super) fn member(&self, account: AccountId) -> Result<Member, AccessError> {
        self.registry().members.get(account).cloned().ok_or(AccessError::NoSuchAccount)
    }

    /// What happened to an account's rights, oldest first.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers, auditors and the person; [`AccessError::NoSuchAccount`].
    pub fn account_history(&self, caller: &Caller, account: AccountId) -> Result<Vec<RightsEvent>, AccessError> {
        if account != caller.account() {
            caller.must_be(&[Role::Officer, Role::Auditor])?;
        }
        Ok(self.member(account)?.history)
    }

    /// Whose rights were taken a moment ago changes nobody else's.
    pub(super) fn must_still_be_officer(&self, caller: &Caller) -> Result<(), AccessError> {
        let now = self.person_of(caller.account());
        let is_the_same = |now: &super::Person| now.role == Role::Officer && now.key == caller.person().key;
        if now.as_ref().is_some_and(is_the_same) { Ok(()) } else { Err(AccessError::Forbidden) }
    }

    fn must_leave_an_officer(&self, member: &Member, account: AccountId) -> Result<(), AccessError> {
        let is_officer = member.role() == Some(Role::Officer);
        if is_officer && !self.registry().members.has_another_officer(account) {
            return Err(AccessError::LastOfficer);
        }
        Ok(())
    }

    fn check_terms(&self, terms: &Terms) -> Result<(), AccessError> {
        let bad = |field, what| Err(AccessError::BadInput { field, what });
        if terms.ends.is_some_and(|ends| ends <= self.later()) {
            return bad("ends", "is in the past");
        }
        let Some(cameras) = &terms.cameras else { return Ok(()) };
        if !matches!(terms.role, Role::Staff | Role::Viewer) {
            return bad("cameras", "staff and viewers alone are kept to some cameras");
        }
        if cameras.is_empty() || cameras.len() > CAMERAS_LIMIT {
            return bad("cameras", "name between 1 and 128 cameras, or none to allow all");
        }
        match cameras.iter().find(|camera| !self.knows_camera(**camera)) {
            Some(camera) => Err(AccessError::UnknownCamera { camera: *camera }),
            None => Ok(()),
        }
    }

    /// Asks for an account for somebody. The person chooses a password with the code; then another officer approves.
    ///
    /// # Errors
    /// [`AccessError::BadInput`], also for a name that is taken; [`AccessError::WrongCredentials`];
    /// [`AccessError::NotRecorded`], and then nothing was made.
    pub fn ask_for_account(&self, caller: &Caller, new: NewMember, password: &str) -> Result<WithCode, AccessError> {
        caller.must_be(&[Role::Officer])?;
        let NewMember { name, terms, reason } = new;
        if !is_plain_name(&name) {
            let what = "may have 1 to 64 letters, digits, `.`, `-` or `_`";
            return Err(AccessError::BadInput { field: "name", what });
        }
        check_text("reason", &reason, true)?;
        self.check_terms(&terms)?;
        let code = one_time_code()?;
        let mut asked = None;
        self.with_release_key(caller, password, |_| {
            let _turn = self.turn();
            self.must_still_be_officer(caller)?;
            if self.people.numbered(&name).is_some() {
                return Err(AccessError::BadInput { field: "name", what: "is taken; each person has one account" });
            }
            let account = self.registry().members.next_account();
            let staged = self.stage_file(Account::without_keys(account, name, terms.role))?;
            let Terms { role, cameras, ends } = terms;
            let (code, file) = (Some(code_digest(account, code.expose())), Some(staged.digest));
            let act = Act::RightsRequested { account, role, cameras, ends, reason, code, file };
            self.record_key(caller)?;
            self.record_file(caller.actor(), act, staged)?;
            asked = Some(account);
            Ok(())
        })?;
        let account = self.account_view(asked.ok_or(AccessError::NoSuchAccount)?)?;
        Ok(WithCode { account, code, ended: Vec::new() })
    }

    /// Asks for other rights of somebody who has some. They change once another officer approves.
    ///
    /// # Errors
    /// [`AccessError::AccountState`]; [`AccessError::LastOfficer`]; as [`Access::ask_for_account`].
    pub fn ask_for_change(
        &self,
        caller: &Caller,
        account: AccountId,
        (terms, reason): (Terms, String),
        password: &str,
    ) -> Result<AccountView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        check_text("reason", &reason, true)?;
        self.check_terms(&terms)?;
        self.with_release_key(caller, password, |_| {
            let _turn = self.turn();
            self.must_decide(caller, account)?;
            let member = self.member(account)?;
            if member.standing(self.later()) != Standing::Active {
                return Err(AccessError::AccountState { what: "has no rights in force that could be changed" });
            }
            if member.wanted.is_some() {
                return Err(AccessError::AccountState { what: "has a change that waits for an approval already" });
            }
            if member.terms.as_ref() == Some(&terms) {
                return Err(AccessError::AccountState { what: "has these rights already" });
            }
            if terms.role != Role::Officer || terms.ends.is_some() {
                self.must_leave_an_officer(&member, account)?;
            }
            let Terms { role, cameras, ends } = terms;
            let act = Act::RightsRequested { account, role, cameras, ends, reason, code: None, file: None };
            self.record(caller.actor(), act).map(drop)
        })?;
        self.account_view(account)
    }

    /// Approves what another officer asked for, and seals to the account what its role opens.
    ///
    /// # Errors
    /// [`AccessError::FourEyes`] for who asked; [`AccessError::OwnAccount`]; [`AccessError::AccountState`] where nothing
    /// waits; [`AccessError::LastOfficer`].
    pub fn approve_account(
        &self,
        caller: &Caller,
        account: AccountId,
        password: &str,
    ) -> Result<(AccountView, DayKeyRound), AccessError> {
        caller.must_be(&[Role::Officer])?;
        if account == caller.account() {
            return Err(AccessError::OwnAccount);
        }
        let mut round = DayKeyRound::default();
        self.with_release_key(caller, password, |release| {
            let _turn = self.turn();
            self.must_decide(caller, account)?;
            let member = self.member(account)?;
            match member.standing(self.later()) {
                Standing::WaitsForApproval => self.grant(caller, account, member)?,
                Standing::Active if member.wanted.is_some() => self.change(caller, account, member)?,
                Standing::Active if member.seals_wanted => {}
                Standing::WaitsForPerson => {
                    let what = "waits for its person, who is to choose a password first";
                    return Err(AccessError::AccountState { what });
                }
                Standing::Active | Standing::Over | Standing::Removed => {
                    return Err(AccessError::AccountState { what: "has nothing that waits for an approval" });
                }
            }
            round = self.seal_to(caller, account, release)?;
            self.forget_who_left(caller.actor())
        })?;
        Ok((self.account_view(account)?, round))
    }

    /// There is a slot for one officer more, and one reader more.
    pub(super) fn must_have_room(&self, account: AccountId, role: Role) -> Result<(), AccessError> {
        let registry = self.registry();
        let others = |wanted: fn(Role) -> bool| {
            let has = |member: &Member| member.keys.is_some() && member.role().is_some_and(wanted);
            registry.members.iter().filter(|(known, member)| *known != account && has(member)).count()
        };
        let (officers, readers) = (others(|role| role == Role::Officer), others(Role::reads_persons));
        let no_room = (role == Role::Officer && officers + 2 > RECIPIENTS_LIMIT as usize)
            || (role.reads_persons() && readers + 2 > super::desk::SLOTS as usize);
        if no_room {
            let what = "would be one more than there is room for: 15 officers, and 63 officers, staff and auditors";
            return Err(AccessError::AccountState { what });
        }
        Ok(())
    }

    /// Gives an account its keys' rights: a new one's, or those that it had before its password was reset.
    fn grant(&self, caller: &Caller, account: AccountId, member: Member) -> Result<(), AccessError> {
        let nothing = AccessError::AccountState { what: "has nothing that waits for an approval" };
        let (terms, reason, requester) = match (member.terms, member.wanted) {
            // Where two officers are all that there are, who reset a password is who approves: no right is new.
            (Some(terms), _) => {
                let is_alone = !self.has_third_officer(caller.account(), account);
                if member.reset_by == Some(caller.account()) && !is_alone {
                    return Err(AccessError::FourEyes);
                }
                (terms, "the password was reset".to_owned(), member.reset_by)
            }
            (None, Some(wanted)) => {
                if wanted.by == Some(caller.account()) {
                    return Err(AccessError::FourEyes);
                }
                (wanted.terms, wanted.reason, wanted.by)
            }
            (None, None) => return Err(nothing),
        };
        let keys = member.made.ok_or(nothing)?;
        self.must_have_room(account, terms.role)?;
        let Terms { role, cameras, ends } = terms;
        let (key, release_key) = (keys.session, keys.release);
        let act = Act::RightsGranted { account, role, key, release_key, reason, cameras, ends, requester };
        self.record(caller.actor(), act).map(drop)
    }

    fn has_third_officer(&self, one: AccountId, other: AccountId) -> bool {
        let later = self.later();
        let registry = self.registry();
        let is_officer =
            |member: &Member| member.role() == Some(Role::Officer) && member.standing(later) == Standing::Active;
        registry.members.iter().any(|(known, member)| known != one && known != other && is_officer(member))
    }

    fn change(&self, caller: &Caller, account: AccountId, member: Member) -> Result<(), AccessError> {
        let nothing = || AccessError::AccountState { what: "has nothing that waits for an approval" };
        let (Some(wanted), Some(was)) = (member.wanted.clone(), member.role()) else { return Err(nothing()) };
        if wanted.by == Some(caller.account()) {
            return Err(AccessError::FourEyes);
        }
        let Terms { role, cameras, ends } = wanted.terms;
        if role != Role::Officer || ends.is_some() {
            self.must_leave_an_officer(&member, account)?;
        }
        if role != was {
            self.must_have_room(account, role)?;
        }
        let file = self.people.get(account).ok_or(AccessError::NoSuchAccount)?.with_role(role);
        let release_key = file.release_key();
        if role == Role::Officer && release_key.is_none() {
            let what = "is to sign in once more first: an officer's second key is made under their own password";
            return Err(AccessError::AccountState { what });
        }
        let staged = self.stage_file(file)?;
        let (reason, requester, file) = (wanted.reason, wanted.by, staged.digest);
        let act = Act::RightsChanged { account, was, role, release_key, cameras, ends, reason, requester, file };
        self.record_file(caller.actor(), act, staged)?;
        // They sign in again, with what they may do now.
        self.sessions.end_of(account, None);
        if was == Role::Viewer && role != Role::Viewer {
            self.end_grants_of(caller.actor(), account)?;
        }
        Ok(())
    }

    /// Seals to an account what its role opens: day keys, and the desk's.
    fn seal_to(&self, caller: &Caller, account: AccountId, release: &PrivateKey) -> Result<DayKeyRound, AccessError> {
        let member = self.member(account)?;
        let Some(keys) = member.keys else { return Err(AccessError::NoSuchAccount) };
        let mut round = DayKeyRound::default();
        if let Some(newcomer) = keys.release {
            round = self.vault.admit_officer(release, newcomer)?;
        }
        let reads = self.registry().members.desk_key(account);
        if let Some(key) = reads {
            self.desk.admit(caller.private(), &key)?;
        }
        let complete = round.is_complete();
        self.record(caller.actor(), Act::KeysSealed { account, day_keys: round.changed, complete })?;
        Ok(round)
    }

    /// Takes back, or refuses, what was asked for.
    ///
    /// # Errors
    /// [`AccessError::AccountState`] where nothing was.
    pub fn withdraw_account(
        &self,
        caller: &Caller,
        account: AccountId,
        reason: String,
    ) -> Result<AccountView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        check_text("reason", &reason, true)?;
        {
            let _turn = self.turn();
            self.must_decide(caller, account)?;
            if self.member(account)?.wanted.is_none() {
                return Err(AccessError::AccountState { what: "has nothing that waits for an approval" });
            }
            self.record(caller.actor(), Act::RightsWithdrawn { account, reason })?;
        }
        self.account_view(account)
    }

    /// Removes somebody's rights, at once: their sessions end, their grants, and every slot that was theirs.
    ///
    /// # Errors
    /// [`AccessError::OwnAccount`], [`AccessError::LastOfficer`], [`AccessError::WrongCredentials`];
    /// [`AccessError::NotRecorded`], and then nothing was removed.
    pub fn remove_account(
        &self,
        caller: &Caller,
        account: AccountId,
        reason: String,
        password: &str,
    ) -> Result<AccountView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        check_text("reason", &reason, true)?;
        if account == caller.account() {
            return Err(AccessError::OwnAccount);
        }
        self.with_release_key(caller, password, |_| {
            let _turn = self.turn();
            self.must_decide(caller, account)?;
            let member = self.member(account)?;
            if member.standing(self.later()) == Standing::Removed {
                return Err(AccessError::AccountState { what: "has no rights" });
            }
            self.must_leave_an_officer(&member, account)?;
            self.remove(caller.actor(), account, &member, reason)
        })?;
        self.account_view(account)
    }

    /// The row that somebody's rights are gone, and everything that follows from it.
    pub(super) fn remove(
        &self,
        actor: Actor,
        account: AccountId,
        member: &Member,
        reason: String,
    ) -> Result<(), AccessError> {
        let role = member.role();
        let without_keys = |file: Account| Account::without_keys(account, file.name().to_owned(), file.role());
        match self.people.get(account).map(without_keys) {
            Some(file) => {
                let staged = self.stage_file(file)?;
                let act = Act::RightsRemoved { account, role, reason, file: Some(staged.digest) };
                self.record_file(actor, act, staged)?;
            }
            // Its file is damaged; its rights go all the same.
            None => drop(self.record(actor, Act::RightsRemoved { account, role, reason, file: None })?),
        }
        self.sessions.end_of(account, None);
        let ended = self.end_grants_of(actor, account).map(drop);
        self.forget_who_left(actor)?;
        ended
    }

    /// Destroys somebody's password, and the keys under it: they choose a new one with the code. Whoever resets learns
    /// nothing. Grants to them end, since nobody can open those any more; the answer names them.
    ///
    /// # Errors
    /// As [`Access::remove_account`].
    pub fn reset_password(
        &self,
        caller: &Caller,
        account: AccountId,
        reason: String,
        password: &str,
    ) -> Result<WithCode, AccessError> {
        caller.must_be(&[Role::Officer])?;
        check_text("reason", &reason, true)?;
        if account == caller.account() {
            return Err(AccessError::OwnAccount);
        }
        let code = one_time_code()?;
        let mut ended = Vec::new();
        self.with_release_key(caller, password, |_| {
            let _turn = self.turn();
            self.must_decide(caller, account)?;
            let member = self.member(account)?;
            if matches!(member.standing(self.later()), Standing::Removed | Standing::Over) {
                return Err(AccessError::AccountState { what: "has no rights" });
            }
            self.must_leave_an_officer(&member, account)?;
            let file = self.people.get(account).ok_or(AccessError::NoSuchAccount)?;
            let staged = self.stage_file(Account::without_keys(account, file.name().to_owned(), file.role()))?;
            let (code, file) = (code_digest(account, code.expose()), staged.digest);
            self.record_file(caller.actor(), Act::PasswordReset { account, reason, code, file }, staged)?;
            self.sessions.end_of(account, None);
            ended = self.end_grants_of(caller.actor(), account)?;
            self.forget_who_left(caller.actor())
        })?;
        Ok(WithCode { account: self.account_view(account)?, code, ended })
    }
}
