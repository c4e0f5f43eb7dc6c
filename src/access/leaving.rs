//! What follows when somebody's keys are theirs no more: grants end, slots are overwritten, the desk's pair is a new one.

use super::rights::LeavingKey;
use super::{Access, AccessError, EndedGrant};
use crate::crypto::PublicKey;
use crate::domain::{AccountId, GrantEnd};
use crate::ledger::{Act, Actor};
use std::sync::atomic::Ordering;

impl Access {
    /// Ends all grants to a viewer.
    pub(super) fn end_grants_of(&self, actor: Actor, viewer: AccountId) -> Result<Vec<EndedGrant>, AccessError> {
        let theirs = self.registry().grants_of(viewer);
        let mut ended = Vec::new();
        for (grant, request) in theirs {
            self.record(actor, Act::GrantEnded { grant, why: Some(GrantEnd::ViewerLeft) })?;
            self.tidied(self.grants.destroy(grant))?;
            ended.push(EndedGrant { grant, request });
        }
        Ok(ended)
    }

    /// Overwrites the slots of who left, in every day key and at the desk, and gives the desk a new pair. In turn.
    ///
    /// # Errors
    /// What the disk says: it is tried again in a moment, and at a start. Where a volume is away it is done when the site
    /// starts with it.
    pub(super) fn forget_who_left(&self, actor: Actor) -> Result<(), AccessError> {
        let leaving = self.registry().members.leaving();
        if leaving.is_empty() {
            return Ok(());
        }
        self.leaving_is_due.store(true, Ordering::Relaxed);
        let recovery = self.registry().site.map(|keys| keys.recovery).ok_or(AccessError::Forbidden)?;
        let (mut forgotten, mut day_keys, mut has_read_persons) = (Vec::new(), 0, false);
        let (readers, officers) = {
            let registry = self.registry();
            (registry.members.desk_keys().len(), registry.members.release_keys().len())
        };
        for (key, kind) in leaving {
            match kind {
                // The recovery key is never left alone: the slots of the last one go when the next one's stand.
                LeavingKey::Desk if readers == 0 => {}
                LeavingKey::Release if officers == 0 => {}
                LeavingKey::Desk => {
                    self.desk.forget(&key, &recovery)?;
                    has_read_persons = true;
                    forgotten.push(key);
                }
                LeavingKey::Release => {
                    let round = self.vault.forget_officer(key, recovery)?;
                    day_keys += round.changed;
                    if round.is_complete() {
                        forgotten.push(key);
                    } else {
                        tracing::error!(?round, "slots of somebody who left stand where they could not be reached");
                    }
                }
            }
        }
        if has_read_persons {
            self.rotate_desk(actor, recovery)?;
        }
        if !forgotten.is_empty() {
            self.record(actor, Act::KeysForgotten { keys: forgotten, day_keys })?;
        }
        self.leaving_is_due.store(readers == 0 || officers == 0, Ordering::Relaxed);
        Ok(())
    }

    /// What requests hold of persons is sealed to a new pair from here on: who left may have kept the old one.
    fn rotate_desk(&self, actor: Actor, recovery: PublicKey) -> Result<(), AccessError> {
        self.must_take_rows()?;
        let mut recipients = vec![recovery];
        recipients.extend(self.registry().members.desk_keys());
        let (number, private, desk) = self.desk.make_next(&recipients)?;
        self.record(actor, Act::DeskRotated { number, desk })?;
        self.desk.take(desk);
        self.sessions.hand_out(&private);
        Ok(())
    }

    /// Removes the rights whose end has come, and does what could not be done before for somebody who left.
    pub(super) fn end_rights_that_are_over(&self) -> Result<(), AccessError> {
        let over = self.registry().members.over(self.now());
        for account in over {
            let _turn = self.turn();
            let member = self.member(account)?;
            self.remove(Actor::Daemon, account, &member, "their end came".to_owned())?;
        }
        if self.leaving_is_due.load(Ordering::Relaxed) {
            let _turn = self.turn();
            self.forget_who_left(Actor::Daemon)?;
        }
        Ok(())
    }

    /// What the people of the site lack, for the status.
    pub(super) fn alarms_of_people(&self) -> Vec<String> {
        let registry = self.registry();
        let mut alarms = Vec::new();
        if registry.members.officers() == 0 {
            let alarm = "there is no officer: nobody decides anything, and nobody can give one rights; `custodian officers \
                         reinstate` does, with the recovery key";
            alarms.push(alarm.to_owned());
        } else if registry.members.officers() < 2 {
            let alarm =
                "there is no deputy officer: nobody can decide what the one officer entered, nor approve an account";
            alarms.push(alarm.to_owned());
        }
        let unsealed = registry.members.iter().filter(|(_, member)| member.seals_wanted);
        alarms.extend(unsealed.map(|(account, _)| {
            format!("account {account} was approved, and not everything that it may open was sealed to it: an officer approves it once more")
        }));
        let left = registry.members.leaving().len();
        if left > 0 {
            alarms.push(format!(
                "slots of {left} keys of people who left are not all overwritten: bring back the volumes that are away, and \
                 start again"
            ));
        }
        alarms
    }
}
