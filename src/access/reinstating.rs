//! An officer's way back, at the console, with the recovery key: for a site whose officers cannot sign in, or that has one
//! left, who alone cannot approve another.
//!
//! ```text
//! asked for ─ row with a one-time code ─▶ the person chooses a password (pages) ─ asked for again ─▶ row of the rights ─▶
//! day keys and the desk's sealed to the new pair by the recovery key ─ row ─▶ slots of the old pair overwritten ─ row
//! ```
//!
//! It is asked for twice with the same words, and goes on from wherever the account stands: what a crash leaves is done by
//! asking once more. Old slots go after the new ones stand, so that the recovery key is never alone in a file.

use super::accounts::one_time_code;
use super::entry::code_digest;
use super::people::Account;
use super::rights::{CODE_LASTS, Member, Standing};
use super::site::is_plain_name;
use super::texts::check_text;
use super::{Access, AccessError, Password};
use crate::crypto::{CryptoFailure, PrivateKey};
use crate::domain::{AccountId, Role, Utc};
use crate::ledger::{Act, Actor};
use crate::vault::DayKeyRound;

/// Who is to be an officer again, or become one, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reinstatement {
    pub name: String,
    /// For the ledger: no name in it.
    pub reason: String,
    /// Why it is done although the ledger knows another officer who could.
    pub although: Option<String>,
}

/// What was done, and what is next.
#[derive(Debug)]
pub enum Reinstated {
    /// The person chooses a password with it, until then; after that it is asked for once more.
    CodeGiven { account: AccountId, code: Password, until: Utc },
    /// They are an officer. What a round could not reach is tried again by asking once more.
    Sealed { account: AccountId, round: DayKeyRound },
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ReinstateError {
    #[error("this is not the recovery key of this site; nothing was changed")]
    WrongKey,
    #[error(
        "account {officer} is an officer, signs in and can do this on the page \"People\"; nothing was changed. If that person cannot be reached, or is locked out too, say so with --although-another-officer-stands and why"
    )]
    AnotherStands { officer: AccountId },
    #[error("a name may have 1 to 64 letters, digits, `.`, `-` or `_`")]
    BadName,
    #[error("account {account} is no officer's; give the officer an account of their own, with another --name")]
    NotAnOfficer { account: AccountId },
    #[error("the rights of account {account} have ended; give the officer a new account, with another --name")]
    NoRights { account: AccountId },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Crypto(#[from] CryptoFailure),
}

impl Access {
    /// Goes one step on the way back of an officer.
    ///
    /// # Errors
    /// [`ReinstateError`]; nothing is changed then, or what was is brought to its end by asking once more.
    pub fn reinstate(&self, recovery: &PrivateKey, wanted: &Reinstatement) -> Result<Reinstated, ReinstateError> {
        let known = self.registry().site.map(|keys| keys.recovery);
        if known != Some(recovery.public()?) {
            return Err(ReinstateError::WrongKey);
        }
        check_text("reason", &wanted.reason, true)?;
        check_text("although", wanted.although.as_deref().unwrap_or_default(), wanted.although.is_some())?;
        if !is_plain_name(&wanted.name) {
            return Err(ReinstateError::BadName);
        }
        let _turn = self.turn();
        let Some(account) = self.people.numbered(&wanted.name) else { return self.give_new_account(wanted) };
        let member = self.member(account)?;
        let role = member.role().or(member.wanted.as_ref().map(|wanted| wanted.terms.role));
        if role != Some(Role::Officer) {
            let has_none = role.is_none();
            return Err(if has_none {
                ReinstateError::NoRights { account }
            } else {
                ReinstateError::NotAnOfficer { account }
            });
        }
        match member.standing(self.later()) {
            Standing::Over | Standing::Removed => Err(ReinstateError::NoRights { account }),
            Standing::WaitsForApproval => {
                // Of an account that was asked for: somebody who did not ask for it. Of a reset one: anybody. What began here
                // was justified then.
                let (asker, by) = match &member.wanted {
                    Some(asked) => (asked.by, asked.by),
                    None => (None, member.reset_by),
                };
                if by.is_some() {
                    self.nobody_else_can(account, asker, 1, wanted)?;
                }
                self.grant_at_console(account, &member, wanted)?;
                self.seal_by(recovery, account)
            }
            Standing::Active if member.seals_wanted => self.seal_by(recovery, account),
            Standing::WaitsForPerson if member.role().is_none() => {
                self.nobody_else_can(account, None, 2, wanted)?;
                self.ask_at_console(account, wanted)
            }
            // Or a code that was lost, or is too old.
            Standing::Active | Standing::WaitsForPerson => {
                self.nobody_else_can(account, None, 1, wanted)?;
                self.reset_at_console(account, wanted)
            }
        }
    }

    /// That fewer than `enough` officers could do it, or that there is a reason to do it all the same.
    fn nobody_else_can(
        &self,
        account: AccountId,
        asker: Option<AccountId>,
        enough: usize,
        wanted: &Reinstatement,
    ) -> Result<(), ReinstateError> {
        if wanted.although.is_some() {
            return Ok(());
        }
        let later = self.later();
        let registry = self.registry();
        let can = |(known, member): &(AccountId, &Member)| {
            let is_in_force = member.role() == Some(Role::Officer) && member.standing(later) == Standing::Active;
            is_in_force && *known != account && Some(*known) != asker
        };
        let mut officers = registry.members.iter().filter(can);
        match officers.nth(enough - 1) {
            Some((officer, _)) => Err(ReinstateError::AnotherStands { officer }),
            None => Ok(()),
        }
    }

    fn reason_of(wanted: &Reinstatement) -> String {
        match &wanted.although {
            Some(although) => {
                format!("with the recovery key: {}; although another officer stands: {although}", wanted.reason)
            }
            None => format!("with the recovery key: {}", wanted.reason),
        }
    }

    fn give_new_account(&self, wanted: &Reinstatement) -> Result<Reinstated, ReinstateError> {
        let account = self.registry().members.next_account();
        // One asks and another approves.
        self.nobody_else_can(account, None, 2, wanted)?;
        self.ask_at_console(account, wanted)
    }

    fn ask_at_console(&self, account: AccountId, wanted: &Reinstatement) -> Result<Reinstated, ReinstateError> {
        let code = one_time_code()?;
        let empty = Account::without_keys(account, wanted.name.clone(), Role::Officer);
        let staged = self.stage_file(empty)?;
        let act = Act::RightsRequested {
            account,
            role: Role::Officer,
            cameras: None,
            ends: None,
            reason: Self::reason_of(wanted),
            code: Some(code_digest(account, code.expose())),
            file: Some(staged.digest),
        };
        self.record_file(Actor::Console, act, staged)?;
        Ok(self.code_given(account, code))
    }

    fn code_given(&self, account: AccountId, code: Password) -> Reinstated {
        let until = self.until_of_code(account).unwrap_or_else(|| self.now().saturating_add(CODE_LASTS));
        Reinstated::CodeGiven { account, code, until }
    }

    fn reset_at_console(&self, account: AccountId, wanted: &Reinstatement) -> Result<Reinstated, ReinstateError> {
        let code = one_time_code()?;
        let empty = Account::without_keys(account, wanted.name.clone(), Role::Officer);
        let staged = self.stage_file(empty)?;
        let (digest, file) = (code_digest(account, code.expose()), staged.digest);
        let act = Act::PasswordReset { account, reason: Self::reason_of(wanted), code: digest, file };
        self.record_file(Actor::Console, act, staged)?;
        self.sessions.end_of(account, None);
        self.forget_who_left(Actor::Console)?;
        Ok(self.code_given(account, code))
    }

    fn grant_at_console(
        &self,
        account: AccountId,
        member: &Member,
        wanted: &Reinstatement,
    ) -> Result<(), ReinstateError> {
        let terms = member.terms.clone().or(member.wanted.as_ref().map(|wanted| wanted.terms.clone()));
        let (Some(terms), Some(keys)) = (terms, member.made) else { return Err(ReinstateError::NoRights { account }) };
        self.must_have_room(account, terms.role)?;
        let act = Act::RightsGranted {
            account,
            role: terms.role,
            key: keys.session,
            release_key: keys.release,
            reason: Self::reason_of(wanted),
            cameras: terms.cameras,
            ends: terms.ends,
            requester: member.wanted.as_ref().and_then(|wanted| wanted.by).or(member.reset_by),
        };
        self.record(Actor::Console, act)?;
        Ok(())
    }

    fn seal_by(&self, recovery: &PrivateKey, account: AccountId) -> Result<Reinstated, ReinstateError> {
        let keys = self.member(account)?.keys.ok_or(ReinstateError::NoRights { account })?;
        let release = keys.release.ok_or(ReinstateError::NotAnOfficer { account })?;
        let round = self.vault.admit_officer(recovery, release).map_err(AccessError::from)?;
        self.desk.admit(recovery, &keys.session).map_err(AccessError::from)?;
        let complete = round.is_complete();
        self.record(Actor::Console, Act::KeysSealed { account, day_keys: round.changed, complete })?;
        self.forget_who_left(Actor::Console)?;
        Ok(Reinstated::Sealed { account, round })
    }
}
