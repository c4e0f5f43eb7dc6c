//! Who may do what: what the rows of rights add up to.
//!
//! ```text
//! asked for ─ the person chooses a password ─▶ keys made ─ another officer approves ─▶ in force ─ removed, or over ─▶ removed
//!                                                  ▲                                      │
//!                                                  └── the person, with the new code ─ reset
//! ```

use super::registry::person_of;
use crate::crypto::PublicKey;
use crate::domain::{AccountId, CameraNumber, Digest, Role, Utc};
use crate::ledger::{Act, Row};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const REMOVED: &str = "removed";
const WITHDRAWN: &str = "withdrawn";
/// How long a one-time code can be used.
pub(super) const CODE_LASTS: Duration = Duration::from_secs(72 * 3_600);

/// What somebody may do, with which cameras, until when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct Terms {
    pub role: Role,
    /// `None`: all of them.
    pub cameras: Option<Vec<CameraNumber>>,
    pub ends: Option<Utc>,
}

/// The public halves of an account's pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Keys {
    pub session: PublicKey,
    pub release: Option<PublicKey>,
}

/// Rights that were asked for and not approved yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct Wanted {
    #[serde(flatten)]
    pub terms: Terms,
    pub by: Option<AccountId>,
    pub at: Utc,
    pub reason: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct OneTimeCode {
    pub digest: Digest,
    pub until: Utc,
}

/// Where an account stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The person is to choose a password, with the one-time code.
    WaitsForPerson,
    /// The person has; another officer is to approve.
    WaitsForApproval,
    Active,
    /// Its end has come.
    Over,
    Removed,
}

/// What happened to somebody's rights (Safety Measures Notice, article 5: kept three years).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct RightsEvent {
    /// The ledger's row.
    pub row: u64,
    pub at: Utc,
    pub what: &'static str,
    /// Who did it; `None` for the daemon and at the console.
    pub by: Option<AccountId>,
    pub requester: Option<AccountId>,
    pub before: Option<Role>,
    #[serde(flatten)]
    pub terms: Option<Terms>,
    pub reason: Option<String>,
}

/// One account, as its rows have it.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub terms: Option<Terms>,
    /// In force: what things are sealed to.
    pub keys: Option<Keys>,
    /// Made by the person, and not in force yet.
    pub made: Option<Keys>,
    pub wanted: Option<Wanted>,
    pub code: Option<OneTimeCode>,
    pub reset_by: Option<AccountId>,
    /// Of the account's file as it must be. The accounts of a site's making have none until they change.
    pub file: Option<Digest>,
    pub password_since: Option<Utc>,
    /// The step of the newest code by time that was used, and which recovery codes were.
    pub last_step: Option<u64>,
    pub used_recovery_codes: BTreeSet<u8>,
    /// Day keys and the desk's were not all sealed to it yet.
    pub seals_wanted: bool,
    pub history: Vec<RightsEvent>,
}

impl Member {
    pub fn standing(&self, now: Utc) -> Standing {
        match (&self.terms, self.keys, self.made, &self.wanted) {
            (Some(terms), Some(_), _, _) if terms.ends.is_some_and(|ends| ends <= now) => Standing::Over,
            (Some(_), Some(_), _, _) => Standing::Active,
            (Some(_), None, None, _) | (None, _, None, Some(_)) => Standing::WaitsForPerson,
            (Some(_), None, Some(_), _) | (None, _, Some(_), Some(_)) => Standing::WaitsForApproval,
            (None, _, _, None) => Standing::Removed,
        }
    }

    pub fn role(&self) -> Option<Role> {
        self.terms.as_ref().map(|terms| terms.role)
    }

    fn is_officer_for_good(&self) -> bool {
        let for_good = |terms: &Terms| terms.role == Role::Officer && terms.ends.is_none();
        self.keys.is_some() && self.terms.as_ref().is_some_and(for_good)
    }
}

/// All accounts that there ever were.
#[derive(Debug, Default)]
pub(super) struct Members {
    all: BTreeMap<AccountId, Member>,
    /// Keys whose slots are to be overwritten, and are not known to be.
    leaving: BTreeMap<PublicKey, (AccountId, LeavingKey)>,
}

/// Where slots of a key stand that is somebody's no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LeavingKey {
    Desk,
    /// In day keys.
    Release,
}

impl Members {
    /// Takes a row in that is about rights.
    pub fn apply(&mut self, row: &Row) {
        let Some(account) = account_of(&row.act) else {
            if let Act::KeysForgotten { keys, .. } = &row.act {
                self.leaving.retain(|key, _| !keys.contains(key));
            }
            return;
        };
        let member = self.all.entry(account).or_default();
        let (before, keys) = (member.role(), member.keys);
        member.apply(row);
        let event = event_of(row, before);
        member.history.extend(event);
        // What was sealed to and is not any more.
        let read = |role: Option<Role>, key: Option<Keys>| {
            key.filter(|_| role.is_some_and(Role::reads_persons)).map(|keys| keys.session)
        };
        let released = |keys: Option<Keys>| keys.and_then(|keys| keys.release);
        let (after, kept) = (member.role(), member.keys);
        for (old, new, kind) in [
            (read(before, keys), read(after, kept), LeavingKey::Desk),
            (released(keys), released(kept), LeavingKey::Release),
        ] {
            if let Some(old) = old.filter(|old| Some(*old) != new) {
                self.leaving.insert(old, (account, kind));
            }
            if let Some(new) = new {
                self.leaving.remove(&new);
            }
        }
    }

    pub fn get(&self, account: AccountId) -> Option<&Member> {
        self.all.get(&account)
    }

    pub fn iter(&self) -> impl Iterator<Item = (AccountId, &Member)> {
        self.all.iter().map(|(account, member)| (*account, member))
    }

    pub fn next_account(&self) -> AccountId {
        AccountId(self.all.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    pub fn leaving(&self) -> Vec<(PublicKey, LeavingKey)> {
        self.leaving.iter().map(|(key, (_, kind))| (*key, *kind)).collect()
    }

    /// Whether slots of a key that was this account's are to be overwritten yet.
    pub fn is_leaving(&self, account: AccountId) -> bool {
        self.leaving.values().any(|(of, _)| *of == account)
    }

    /// Of these accounts nothing is told any more but that they were there.
    pub fn forget(&mut self, removed: &BTreeSet<AccountId>) {
        for (_, member) in self.all.iter_mut().filter(|(account, _)| removed.contains(account)) {
            let is_end = |event: &RightsEvent| matches!(event.what, REMOVED | WITHDRAWN);
            let ends = std::mem::take(&mut member.history).into_iter().filter(is_end);
            // What they were before is told by rows that are gone.
            let history = ends.map(|event| RightsEvent { before: None, ..event }).collect();
            *member = Member { file: member.file, history, ..Member::default() };
        }
    }

    /// The session key of an account whose role reads persons.
    pub fn desk_key(&self, account: AccountId) -> Option<PublicKey> {
        let reads = |member: &&Member| member.role().is_some_and(Role::reads_persons);
        self.all.get(&account).filter(reads).and_then(|member| member.keys).map(|keys| keys.session)
    }

    /// Everybody's who reads persons.
    pub fn desk_keys(&self) -> Vec<PublicKey> {
        self.all.keys().filter_map(|account| self.desk_key(*account)).collect()
    }

    /// The release keys of all officers.
    pub fn release_keys(&self) -> Vec<PublicKey> {
        self.all.keys().filter_map(|account| self.release_key(*account)).collect()
    }

    pub fn release_key(&self, account: AccountId) -> Option<PublicKey> {
        let officer = self.all.get(&account).filter(|member| member.role() == Some(Role::Officer))?;
        officer.keys.and_then(|keys| keys.release)
    }

    /// Whether an officer other than this account is there, and stays: by no end of their rights.
    pub fn has_another_officer(&self, account: AccountId) -> bool {
        self.all.iter().any(|(known, member)| *known != account && member.is_officer_for_good())
    }

    /// How many officers stay.
    pub fn officers(&self) -> usize {
        self.all.values().filter(|member| member.is_officer_for_good()).count()
    }

    /// Whose end has come.
    pub fn over(&self, now: Utc) -> Vec<AccountId> {
        let over = self.all.iter().filter(|(_, member)| member.standing(now) == Standing::Over);
        over.map(|(account, _)| *account).collect()
    }
}

impl Member {
    fn apply(&mut self, row: &Row) {
        match &row.act {
            Act::RightsRequested { role, cameras, ends, reason, code, file, .. } => {
                let terms = Terms { role: *role, cameras: cameras.clone(), ends: *ends };
                let (by, at, reason) = (person_of(row.actor), row.at, reason.clone());
                self.wanted = Some(Wanted { terms, by, at, reason });
                self.code = code.map(|digest| code_of(digest, row.at)).or(self.code);
                self.file = file.or(self.file);
            }
            Act::RightsWithdrawn { .. } => {
                self.wanted = None;
                if self.terms.is_none() {
                    (self.made, self.code) = (None, None);
                }
            }
            Act::KeysMade { key, release_key, file, .. } => {
                if self.keys.is_none() {
                    self.password_since = Some(row.at);
                }
                self.made = Some(Keys { session: *key, release: *release_key });
                (self.code, self.file) = (None, Some(*file));
            }
            Act::RightsGranted { role, key, release_key, cameras, ends, .. } => {
                self.terms = Some(Terms { role: *role, cameras: cameras.clone(), ends: *ends });
                self.keys = Some(Keys { session: *key, release: *release_key });
                self.password_since.get_or_insert(row.at);
                // The accounts of a site's making are sealed to before their rows; their persons made no keys by one.
                let made_by_a_row = self.made.is_some();
                self.settle();
                self.seals_wanted = made_by_a_row;
            }
            Act::RightsChanged { role, release_key, cameras, ends, file, .. } => {
                self.terms = Some(Terms { role: *role, cameras: cameras.clone(), ends: *ends });
                self.keys = self.keys.map(|keys| Keys { release: *release_key, ..keys });
                self.file = Some(*file);
                self.settle();
                self.seals_wanted = true;
            }
            Act::RightsRemoved { file, .. } => {
                (self.terms, self.keys) = (None, None);
                self.file = file.or(self.file);
                self.settle();
            }
            Act::PasswordReset { code, file, .. } => {
                (self.keys, self.made) = (None, None);
                self.code = Some(code_of(*code, row.at));
                (self.reset_by, self.file) = (person_of(row.actor), Some(*file));
            }
            Act::PasswordChanged { file, .. } => {
                (self.file, self.password_since) = (Some(*file), Some(row.at));
            }
            Act::SecondFactorSet { step, file, .. } => {
                (self.file, self.last_step) = (Some(*file), Some(*step));
                self.used_recovery_codes.clear();
            }
            Act::SecondFactorUsed { step, recovery_code, .. } => {
                self.last_step = step.or(self.last_step);
                self.used_recovery_codes.extend(recovery_code);
            }
            Act::KeysSealed { complete, .. } => self.seals_wanted = !complete,
            _ => {}
        }
    }

    /// Nothing is asked for any more.
    fn settle(&mut self) {
        (self.made, self.wanted, self.code, self.reset_by) = (None, None, None, None);
        self.seals_wanted = false;
    }
}

fn code_of(digest: Digest, at: Utc) -> OneTimeCode {
    OneTimeCode { digest, until: at.saturating_add(CODE_LASTS) }
}

/// Whose rights a row is about.
pub(super) fn account_of(act: &Act) -> Option<AccountId> {
    match act {
        Act::RightsRequested { account, .. }
        | Act::RightsWithdrawn { account, .. }
        | Act::RightsGranted { account, .. }
        | Act::RightsChanged { account, .. }
        | Act::RightsRemoved { account, .. }
        | Act::KeysMade { account, .. }
        | Act::KeysSealed { account, .. }
        | Act::PasswordReset { account, .. }
        | Act::SecondFactorSet { account, .. }
        | Act::SecondFactorUsed { account, .. }
        | Act::PasswordChanged { account, .. } => Some(*account),
        _ => None,
    }
}

fn event_of(row: &Row, before: Option<Role>) -> Option<RightsEvent> {
    let terms = |role: &Role, cameras: &Option<Vec<CameraNumber>>, ends: &Option<Utc>| {
        Some(Terms { role: *role, cameras: cameras.clone(), ends: *ends })
    };
    let (what, terms, reason, requester) = match &row.act {
        Act::RightsRequested { role, cameras, ends, reason, .. } => {
            ("requested", terms(role, cameras, ends), Some(reason), None)
        }
        Act::RightsWithdrawn { reason, .. } => (WITHDRAWN, None, Some(reason), None),
        Act::RightsGranted { role, cameras, ends, reason, requester, .. } => {
            ("granted", terms(role, cameras, ends), Some(reason), *requester)
        }
        Act::RightsChanged { role, cameras, ends, reason, requester, .. } => {
            ("changed", terms(role, cameras, ends), Some(reason), *requester)
        }
        Act::RightsRemoved { reason, .. } => (REMOVED, None, Some(reason), None),
        Act::PasswordReset { reason, .. } => ("reset", None, Some(reason), None),
        Act::KeysMade { .. } => ("keys-made", None, None, None),
        Act::PasswordChanged { .. } => ("password-changed", None, None, None),
        Act::SecondFactorSet { .. } => ("second-factor-set", None, None, None),
        _ => return None,
    };
    let (row_number, at, by) = (row.sequence, row.at, person_of(row.actor));
    Some(RightsEvent { row: row_number, at, what, by, requester, before, terms, reason: reason.cloned() })
}
