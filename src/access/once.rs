//! What was made under an idempotency key: asked for again, it is told again and not made again, after a restart as well. A row
//! `once` stands before the row that makes something; it counts for that one, and for nothing where the daemon ended in between.

use super::registry::person_of;
use super::versions::Thing;
use super::{Access, AccessError, Caller};
use crate::domain::{AccountId, Digest};
use crate::ledger::{Act, Row};
use std::collections::{BTreeMap, VecDeque};

/// Those that were used before are not known any more.
const KEPT_LIMIT: usize = 1_000;

/// A key, and what was asked for under it, both as digests: of the key with whose it is, and of the body under the key. Without
/// the key, which nobody keeps and which was made at random, neither tells anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Once {
    pub key: Digest,
    pub body: Digest,
}

/// The keys that something was made under, oldest first.
#[derive(Debug, Default)]
pub(super) struct OnceKeys {
    /// Of each account: what its next row makes.
    waiting: BTreeMap<AccountId, Once>,
    made: VecDeque<(Once, Thing)>,
}

impl OnceKeys {
    pub fn apply(&mut self, row: &Row) {
        let by = person_of(row.actor);
        match (&row.act, by) {
            (Act::Once { key, body }, Some(account)) => {
                self.waiting.insert(account, Once { key: *key, body: *body });
            }
            // Whoever waited then has no answer, and may ask again.
            (Act::DaemonStarted { .. }, _) => self.waiting.clear(),
            (act, Some(account)) => {
                let Some(thing) = made_by(act) else { return };
                let Some(once) = self.waiting.remove(&account) else { return };
                if self.made.len() >= KEPT_LIMIT {
                    self.made.pop_front();
                }
                self.made.push_back((once, thing));
            }
            (_, None) => {}
        }
    }

    pub fn retain(&mut self, counts: impl Fn(Thing) -> bool) {
        self.made.retain(|(_, thing)| counts(*thing));
    }

    fn find(&self, key: Digest) -> Option<(Once, Thing)> {
        self.made.iter().rev().find(|(once, _)| once.key == key).copied()
    }
}

/// What a row makes; `None` where it makes nothing new that is asked for under a key.
pub(super) fn made_by(act: &Act) -> Option<Thing> {
    match act {
        Act::RequestSubmitted { request, .. } => Some(Thing::Request(*request)),
        Act::HoldOrdered { hold, .. } => Some(Thing::Hold(*hold)),
        Act::OperationStarted { operation, .. } => Some(Thing::Operation(*operation)),
        Act::RightsRequested { account, code: Some(_), .. } => Some(Thing::Account(*account)),
        _ => None,
    }
}

impl Access {
    /// Writes the row that makes something, in the turn that it is made in; behind the row of its key, where it has one.
    pub(super) fn record_made(&self, caller: &Caller, act: Act) -> Result<Row, AccessError> {
        self.record_key(caller)?;
        self.record(caller.actor(), act)
    }

    /// Writes the row of a key, where the caller has one.
    pub(super) fn record_key(&self, caller: &Caller) -> Result<(), AccessError> {
        match caller.once() {
            Some(Once { key, body }) => self.record(caller.actor(), Act::Once { key, body }).map(drop),
            None => Ok(()),
        }
    }

    /// What was made under a key, and what was asked for then.
    pub fn made_under(&self, key: Digest) -> Option<(Once, Thing)> {
        self.registry().once.find(key)
    }
}
