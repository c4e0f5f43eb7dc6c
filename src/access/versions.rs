//! Which row changed something last: its version. Who changes something may say which version they saw; if it is another one by
//! now, somebody else was quicker, and nothing is done.

use super::{Access, AccessError, Caller, Registry};
use crate::domain::{AccountId, HoldId, OperationId, RequestId};
use std::collections::BTreeMap;

/// What has versions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Thing {
    Request(RequestId),
    Hold(HoldId),
    Operation(OperationId),
    Account(AccountId),
}

impl Access {
    pub(super) fn version_of(&self, thing: Thing) -> u64 {
        self.registry().versions.of(thing)
    }

    /// An officer still, who saw the account as it is.
    pub(super) fn must_decide(&self, caller: &Caller, account: AccountId) -> Result<(), AccessError> {
        self.must_still_be_officer(caller)?;
        self.registry().must_be_as_seen(caller, Thing::Account(account))
    }
}

/// The newest row of each.
#[derive(Debug, Default)]
pub(super) struct Versions(BTreeMap<Thing, u64>);

impl Versions {
    /// A row changed it.
    pub fn note(&mut self, thing: Thing, sequence: u64) {
        self.0.insert(thing, sequence);
    }

    pub fn retain(&mut self, counts: impl Fn(Thing) -> bool) {
        self.0.retain(|thing, _| counts(*thing));
    }

    /// Zero for what there never was.
    pub fn of(&self, thing: Thing) -> u64 {
        self.0.get(&thing).copied().unwrap_or_default()
    }
}

impl Registry {
    /// Asked in the turn of the change, or under the lock that it is made under: nobody comes in between.
    ///
    /// # Errors
    /// [`AccessError::Changed`] where the caller said which version they saw, and it is another one by now.
    pub fn must_be_as_seen(&self, caller: &Caller, thing: Thing) -> Result<(), AccessError> {
        match caller.seen() {
            Some(seen) if seen != self.versions.of(thing) => Err(AccessError::Changed),
            Some(_) | None => Ok(()),
        }
    }
}
