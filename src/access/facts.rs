//! What the ledger says must be there: for whoever looks over a site's files.

use super::registry::Registry;
use crate::crypto::PublicKey;
use crate::domain::{AccountId, Digest, GrantId, Role, Utc};
use crate::ledger::{Act, Checkpoint, Decision, Row};
use crate::vault::{GrantExpected, Hold, KeyHolders};
use std::collections::BTreeMap;

/// The rows of a ledger, added up.
#[derive(Debug, Default)]
pub struct LedgerFacts {
    registry: Registry,
    holders: KeyHolders,
    desk: KeyHolders,
    keys: BTreeMap<AccountId, PublicKey>,
    decided: BTreeMap<GrantId, (AccountId, u32, Digest)>,
    newest: Option<Checkpoint>,
}

impl LedgerFacts {
    /// Takes one row more, oldest first.
    pub fn apply(&mut self, row: &Row) {
        match &row.act {
            Act::SiteMade { recovery, .. } => {
                for holders in [&mut self.holders, &mut self.desk] {
                    holders.may.insert(*recovery);
                    holders.must.insert(*recovery, "the recovery key".into());
                }
            }
            Act::RightsGranted { account, role, key, release_key, .. } => {
                self.rights(*account, *role, *key, *release_key)
            }
            Act::RequestDecided { decision: Decision::Approved { grant, viewer, segments, slots, .. }, .. } => {
                self.decided.insert(*grant, (*viewer, *segments, *slots));
            }
            Act::Checkpoint(checkpoint) => self.newest = Some(checkpoint.clone()),
            _ => {}
        }
        self.registry.apply(row);
    }

    fn rights(&mut self, account: AccountId, role: Role, key: PublicKey, release_key: Option<PublicKey>) {
        let whose = format!("account {account}");
        // New keys take the place of the account's old ones.
        for (holders, key) in [(&mut self.holders, release_key), (&mut self.desk, role.reads_persons().then_some(key))]
        {
            holders.must.retain(|_, known| *known != whose);
            holders.may.extend(key);
            holders.must.extend(key.map(|key| (key, whose.clone())));
        }
        self.keys.insert(account, key);
    }

    /// Whose slots day keys have.
    pub fn day_key_holders(&self) -> &KeyHolders {
        &self.holders
    }

    /// Whose slots the desk's file has, and its public half.
    pub fn desk_holders(&self) -> (&KeyHolders, Option<PublicKey>) {
        (&self.desk, self.registry.site.map(|keys| keys.desk))
    }

    /// The grants that are open at `now`, by their rows. One whose end has come goes by itself.
    pub fn open_grants(&self, now: Utc) -> BTreeMap<GrantId, GrantExpected> {
        let over = self.registry.grants_over(now);
        let open = self.registry.open_grants().into_iter().filter(|grant| !over.contains(grant));
        open.filter_map(|grant| {
            let (viewer, segments, slots) = *self.decided.get(&grant)?;
            Some((grant, GrantExpected { viewer: self.keys.get(&viewer).copied(), segments, slots }))
        })
        .collect()
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
