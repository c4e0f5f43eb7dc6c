//! What the ledger says must be there: for whoever looks over a site's files.

use super::desk::{file_name, paper_named};
use super::registry::Registry;
use super::rights::LeavingKey;
use crate::crypto::PublicKey;
use crate::disk::{SharedDisk, read_file};
use crate::domain::{AccountId, Digest, GrantId, Utc};
use crate::ledger::{Act, Checkpoint, Decision, Row};
use crate::vault::{GrantExpected, Hold, KeyHolders, VaultError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAPER_LIMIT_BYTES: u64 = 1 << 20;

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

    /// What is wrong with the files that hold what is written of persons, by their names: those that must be there, and no
    /// others.
    ///
    /// # Errors
    /// What the disk says of the directory.
    pub fn wrong_papers(&self, disk: &SharedDisk, dir: &Path) -> std::io::Result<Vec<(String, String)>> {
        let names = disk.list_files(dir)?;
        let mut wrong = Vec::new();
        let mut there = BTreeSet::new();
        for name in &names {
            let known = paper_named(name).and_then(|of| Some((of, self.registry.papers.get(of)?)));
            let is_blank = || {
                let bytes = read_file(&**disk, &dir.join(name), PAPER_LIMIT_BYTES);
                bytes.is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
            };
            match known {
                Some((of, life)) if life.erased.is_none() => {
                    there.insert(of);
                }
                Some((of, _)) if !is_blank() => {
                    let what =
                        format!("holds what is written of {of}, which the ledger calls erased: somebody put it back");
                    wrong.push((name.clone(), what));
                }
                // Its name leads to zeros, and goes at the next start.
                Some(_) => {}
                None => {
                    let what =
                        "no row of the ledger tells of it. It is destroyed at the daemon's next start".to_owned();
                    wrong.push((name.clone(), what));
                }
            }
        }
        for (of, life) in self.registry.papers.iter() {
            if life.erased.is_none() && !there.contains(&of) {
                let what =
                    format!("what is written of {of} is missing, before its period has ended: put it back from a copy");
                wrong.push((String::new(), what));
            }
        }
        Ok(wrong)
    }

    /// Files of what is written of persons that are older than they may be, where its period is so long.
    ///
    /// # Errors
    /// What the disk says.
    pub fn old_papers(
        &self,
        disk: &SharedDisk,
        dir: &Path,
        (period, now): (Duration, Utc),
    ) -> Result<Vec<PathBuf>, VaultError> {
        self.registry.old_papers((disk, dir), (period, now))
    }

    /// The newest checkpoint.
    pub fn newest_checkpoint(&self) -> Option<&Checkpoint> {
        self.newest.as_ref()
    }
}
