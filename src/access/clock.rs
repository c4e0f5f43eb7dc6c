//! The clock, and the officer who confirms it.
//!
//! Order of a confirmation: row → how doubts end is written down → footage in doubt is corrected → the anchor moves. A crash
//! behind the row leaves the clock as it was, and whoever confirms again finds it so.
//!
//! A confirmation is an officer's, with the password asked again. Where the second factor is a code that a clock makes, it
//! cannot be asked for while the clock is in doubt: a recovery code takes its place there (issue 6 builds both).

use super::{Access, AccessError, Caller};
use crate::domain::{Role, Utc};
use crate::ledger::Act;
use crate::vault::{ClockReport, Move};
use std::time::Duration;

/// How long an officer may look at the number of segments that would fall due before they state it.
const TO_STATE_IT: Duration = Duration::from_secs(900);

impl Access {
    /// How the clock is. Everybody who is signed in may know.
    pub fn clock(&self, _: &Caller) -> ClockReport {
        self.time.report()
    }

    /// An officer confirms date and time, as they see it on a clock of their own. A confirmation that takes the trusted
    /// time further forward than any wall clock would be believed destroys all that falls due by it at once: then
    /// `destroys` must be the number of segments, which the refusal tells.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers; [`AccessError::WrongCredentials`]; as
    /// `Access::clock_confirmed`.
    pub fn confirm_clock(
        &self,
        caller: &Caller,
        stated: Utc,
        destroys: Option<u64>,
        password: &str,
    ) -> Result<ClockReport, AccessError> {
        caller.must_be(&[Role::Officer])?;
        if password.is_empty() {
            return Err(AccessError::WrongCredentials);
        }
        self.with_release_key(caller, password, |_| self.clock_confirmed(caller, stated, destroys))?;
        Ok(self.time.report())
    }

    /// The same, for whoever has asked for the password already: the daily confirmation of what was destroyed confirms
    /// date and time as well, and states no number.
    ///
    /// # Errors
    /// [`AccessError::ClockRefused`] for a time that cannot be; [`AccessError::ClockDestroys`] where a number is wanted, or
    /// another one; [`AccessError::NotRecorded`], and then the clock stays as it was.
    pub(super) fn clock_confirmed(
        &self,
        caller: &Caller,
        stated: Utc,
        destroys: Option<u64>,
    ) -> Result<(), AccessError> {
        let record = |moved: &Move| {
            let destroys = self.must_be_stated(moved, destroys)?;
            let Move { before, wall, in_doubt, stepped, .. } = *moved;
            let (after, stepped_s) = (moved.after(), stepped.as_secs());
            let act = Act::ClockConfirmed { before, after, wall, in_doubt, stepped_s, destroys };
            self.record(caller.actor(), act).map(drop)
        };
        let moved = self.vault.confirm_time(&self.time, stated, record)?;
        tracing::warn!(before = %moved.before, after = %moved.after(), was_in_doubt = moved.in_doubt,
            "an officer confirmed date and time");
        Ok(())
    }

    /// How many segments were said to fall due by a move, where that must be said.
    fn must_be_stated(&self, moved: &Move, stated: Option<u64>) -> Result<Option<u64>, AccessError> {
        if moved.forward() <= self.time.step_limit() {
            return Ok(None);
        }
        let falls_due = |until| self.vault.falls_due(moved, until, &self.holds());
        if stated.is_some_and(|stated| falls_due(moved.after()) <= stated) {
            return Ok(stated);
        }
        let segments = falls_due(moved.after().saturating_add(TO_STATE_IT));
        Err(AccessError::ClockDestroys { segments, until: moved.after() })
    }

    /// Takes a synchronised clock over, writes the anchor down, and tells the ledger what became of the clock.
    ///
    /// # Errors
    /// [`AccessError::Inside`] where the anchor could not be written; [`AccessError::NotRecorded`], and then what is not a
    /// row yet becomes one later.
    pub fn keep_time(&self) -> Result<(), AccessError> {
        self.vault.keep_time(&self.time)?;
        for act in self.time.unrecorded() {
            self.record(crate::ledger::Actor::Daemon, act)?;
            self.time.recorded(1);
        }
        Ok(())
    }
}
