//! What the ledger says must be there: for whoever looks over a site's files.

use super::desk::file_name;
use super::registry::Registry;
use super::rights::LeavingKey;
use crate::crypto::PublicKey;
use crate::domain::{AccountId, Digest, GrantId, Utc};
use crate::ledger::{Act, Checkpoint, Decision, Row};
use crate::vault::{GrantExpected, Hold, KeyHolders};
use std::collections::BTreeMap;

/// The rows of a ledger, added up.
#[derive(Debug, Default)]
pub struct LedgerFacts {
    registry: Registry,
    decided: BTreeMap<GrantId, (AccountId, u32, Digest)>,
    newest: Option<Checkpoint>,
}

impl LedgerFacts {
    /// Takes one row more, oldest first.
    pub fn apply(&mut self, row: &Row) {
        match &row.act {
            Act::RequestDecided { decision: Decision::Approved { grant, viewer, segments, slots, .. }, .. } => {
                self.decided.insert(*grant, (*viewer, *segments, *slots));
            }
            Act::Checkpoint(checkpoint) => self.newest = Some(checkpoint.clone()),
            _ => {}
        }
        self.registry.apply(row);
    }

    /// The recovery key, and these; besides those whose slots are being overwritten.
    fn holders(&self, key_of: impl Fn(AccountId) -> Option<PublicKey>, kind: LeavingKey) -> KeyHolders {
        let members = &self.registry.members;
        let mut holders = KeyHolders::default();
        let recovery = self.registry.site.map(|site| (site.recovery, "the recovery key".to_owned()));
        let of_account = |(account, _)| Some((key_of(account)?, format!("account {account}")));
        holders.must.extend(recovery.into_iter().chain(members.iter().filter_map(of_account)));
        holders.may.extend(holders.must.keys().copied());
        holders.may.extend(members.leaving().into_iter().filter(|(_, of)| *of == kind).map(|(key, _)| key));
        holders
    }

    /// Whose slots day keys have.
    pub fn day_key_holders(&self) -> KeyHolders {
        self.holders(|account| self.registry.members.release_key(account), LeavingKey::Release)
    }

    /// Whose slots the desk's files have, and their public halves, oldest first.
    pub fn desk_holders(&self) -> (KeyHolders, &[PublicKey]) {
        let holders = self.holders(|account| self.registry.members.desk_key(account), LeavingKey::Desk);
        (holders, &self.registry.desks)
    }

    /// The desk's files, by name.
    pub fn desk_files(&self) -> Vec<String> {
        (1..).zip(&self.registry.desks).map(|(number, _)| file_name(number)).collect()
    }

    /// The grants that are open at `now`, by their rows. One whose end has come goes by itself.
    pub fn open_grants(&self, now: Utc) -> BTreeMap<GrantId, GrantExpected> {
        let over = self.registry.grants_over(now);
        let open = self.registry.open_grants().into_iter().filter(|grant| !over.contains(grant));
        open.filter_map(|grant| {
            let (viewer, segments, slots) = *self.decided.get(&grant)?;
            Some((grant, GrantExpected { viewer: self.session_key(viewer), segments, slots }))
        })
        .collect()
    }

    fn session_key(&self, account: AccountId) -> Option<PublicKey> {
        self.registry.members.get(account).and_then(|member| member.keys).map(|keys| keys.session)
    }

    /// Grants whose end has come, and that the daemon has not ended yet.
    pub fn grants_over(&self, now: Utc) -> Vec<GrantId> {
        self.registry.grants_over(now)
    }

    /// The holds of open requests.
    pub fn wanted_holds(&self) -> Vec<Hold> {
        self.registry.wanted_holds()
    }

    /// The newest checkpoint.
    pub fn newest_checkpoint(&self) -> Option<&Checkpoint> {
        self.newest.as_ref()
    }
}
