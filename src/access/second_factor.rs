//! The second factor: a code by time, or a recovery code, asked at sign-in and again for each act that asks the password.
//!
//! The secret stands in the account's file, sealed to the person's session key, and so under their password: whoever has the
//! disks has no second factor, either. The daemon opens the session key with the password first, checks the code with it, and
//! wipes it where the code is wrong; no session begins before. A code is used once: the row that says so is flushed before the
//! act, and says of which step it was, so that a restart lets nobody use it again. While the clock is in doubt no code by time
//! is taken, and a recovery code takes its place.

use super::people::Password;
use super::{Access, AccessError, Caller};
use crate::crypto::{PrivateKey, TOTP_STEP_S, TotpSecret, sha256};
use crate::domain::{AccountId, Digest, Role};
use crate::ledger::{Act, Actor};
use serde::Serialize;
use std::net::IpAddr;

/// Recovery codes that are given at once.
const RECOVERY_CODES: usize = 10;
const DIGITS: usize = 6;

/// Whose second factor is required.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecondFactorFor {
    Nobody,
    Officers,
    Everybody,
}

/// What a person puts into an authenticator app.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct NewSecret {
    /// In Base32.
    pub secret: String,
    /// The same as most apps read it (`otpauth:`).
    pub uri: String,
}

pub(super) fn recovery_digest(account: AccountId, code: &str) -> Digest {
    let plain: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let text = format!("custodian/1 account {account} recovery {}", plain.to_ascii_uppercase());
    sha256(zeroize::Zeroizing::new(text).as_bytes())
}

impl Access {
    /// Whether an account must have a second factor, and has none: it can do nothing but set one.
    pub(super) fn lacks_second_factor(&self, account: AccountId, role: Role) -> bool {
        let is_wanted = match self.periods.second_factor {
            SecondFactorFor::Nobody => false,
            SecondFactorFor::Officers => role == Role::Officer,
            SecondFactorFor::Everybody => true,
        };
        is_wanted && !self.people.has_second_factor(account)
    }

    /// Checks a code of somebody whose session key is open, and uses it up.
    ///
    /// # Errors
    /// [`AccessError::SecondFactorWanted`] without one; [`AccessError::WrongCredentials`] for a wrong or used one;
    /// [`AccessError::NotRecorded`].
    pub(super) fn check_second_factor(
        &self,
        account: AccountId,
        private: &PrivateKey,
        code: Option<&str>,
        address: IpAddr,
    ) -> Result<(), AccessError> {
        let Some(stored) = self.people.second_factor(account) else { return Ok(()) };
        let Some(code) = code.map(str::trim).filter(|code| !code.is_empty()) else {
            return Err(AccessError::SecondFactorWanted);
        };
        // Of one code at two places at once, one is taken.
        let _turn = self.turn();
        let (last_step, used) = {
            let member = self.member(account)?;
            (member.last_step, member.used_recovery_codes)
        };
        let is_by_time = code.len() == DIGITS && code.bytes().all(|c| c.is_ascii_digit());
        let found = if is_by_time && !self.time.is_in_doubt() {
            let secret = stored.open(account, private)?;
            let now = u64::try_from(self.now().micros()).unwrap_or(0) / 1_000_000 / TOTP_STEP_S;
            let mut steps = now.saturating_sub(1)..=now + 1;
            let step = steps.find(|step| secret.code(*step) == code && last_step.is_none_or(|last| *step > last));
            step.map(|step| Act::SecondFactorUsed { account, step: Some(step), recovery_code: None })
        } else {
            let digest = recovery_digest(account, code);
            let number = stored.recovery_codes().iter().position(|known| *known == digest);
            let number = number.and_then(|number| u8::try_from(number).ok()).filter(|number| !used.contains(number));
            number.map(|number| Act::SecondFactorUsed { account, step: None, recovery_code: Some(number) })
        };
        match found {
            Some(act) => self.record(Actor::Person { account, address }, act).map(drop),
            None => {
                self.note_failure(Some(account), address)?;
                Err(AccessError::WrongCredentials)
            }
        }
    }

    /// A secret for an authenticator app. It counts once a code of it comes back.
    ///
    /// # Errors
    /// [`AccessError::Inside`] without random bytes.
    pub fn new_second_factor(&self, caller: &Caller) -> Result<NewSecret, AccessError> {
        let secret = TotpSecret::random()?.to_base32();
        let uri = format!(
            "otpauth://totp/Custodian:{}?secret={}&issuer=Custodian&algorithm=SHA1&digits=6&period={TOTP_STEP_S}",
            caller.person().name,
            secret.as_str()
        );
        Ok(NewSecret { secret: secret.to_string(), uri })
    }

    /// Sets, or replaces, a person's second factor: with the password, a code of the new one, and, where there was one, a code
    /// of that. Returns recovery codes, each good once; they are told this once.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`]; [`AccessError::BadInput`] for a code that is not of this secret;
    /// [`AccessError::ClockInDoubt`], since no code can be checked then.
    pub fn set_second_factor(
        &self,
        caller: &Caller,
        (secret, code): (&Password, &str),
        password: &str,
    ) -> Result<Vec<Password>, AccessError> {
        let (account, address) = (caller.account(), caller.address());
        if self.time.is_in_doubt() {
            return Err(AccessError::ClockInDoubt);
        }
        self.sessions.begin_try(&caller.person().name, address)?;
        if self.people.open_session(Some(account), password).is_err() {
            self.note_failure(Some(account), address)?;
            return Err(AccessError::WrongCredentials);
        }
        self.check_second_factor(account, caller.private(), caller.code(), address)?;
        self.sessions.forget_failures(&caller.person().name, address);
        let bad = |field, what| AccessError::BadInput { field, what };
        let secret = TotpSecret::from_base32(secret.expose()).ok_or(bad("secret", "is not the one that was given"))?;
        let now = u64::try_from(self.now().micros()).unwrap_or(0) / 1_000_000 / TOTP_STEP_S;
        let fits = (now.saturating_sub(1)..=now + 1).find(|step| secret.code(*step) == code);
        let step = fits.ok_or(bad("code", "is not what the app should show now; check the time on both"))?;
        let codes = (0..RECOVERY_CODES).map(|_| super::accounts::one_time_code()).collect::<Result<Vec<_>, _>>()?;
        let digests = codes.iter().map(|code| recovery_digest(account, code.expose())).collect();
        let _turn = self.turn();
        let file = self.people.get(account).filter(|_| self.person_of(account).is_some());
        let file = file.ok_or(AccessError::NotSignedIn)?.with_second_factor(&secret, digests)?;
        let staged = self.stage_file(file)?;
        let act = Act::SecondFactorSet { account, step, file: staged.digest };
        self.record_file(caller.actor(), act, staged)?;
        Ok(codes)
    }
}
