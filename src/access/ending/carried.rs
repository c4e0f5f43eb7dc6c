//! Which rows of a month that ends are carried on: those from which a start builds what still counts, and no others.
//!
//! - Of the site: its keys, the desk's, and which keys' slots are overwritten.
//! - Of accounts: all rows. Of one that was removed, and of which no later row speaks, that it was: its number is given to
//!   nobody else.
//! - Of requests, holds and operations: all rows of what is not settled, of which something written of persons is kept, or
//!   which a later row cites; and of the last one, so that no number comes twice. Grants, viewings and letters go with their
//!   request. What a viewing that ended had shown is told by the row of its end.
//! - Of disputes: open ones, those of a request that is carried on, and the last one.
//! - Of idempotency keys: those under which something was made that is carried on.
//!
//! When what is written of persons was cited last is carried on with it: its own period may be longer than the ledger's.

use super::super::once::made_by;
use super::super::papers::PaperLife;
use super::super::registry::{Registry, person_of};
use super::super::rights::Standing;
use super::super::versions::Thing;
use crate::domain::{AccountId, DisputeId, GrantId, PaperOf, RequestId, Utc, ViewingId};
use crate::ledger::{
    Act, LetterDelivered, LetterProduced, PaperErased, RequestReminded, Row, ServedFootage, ViewingBegun, ViewingEnded,
};
use std::collections::{BTreeMap, BTreeSet};

/// With what a row is carried on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum With {
    /// Whatever stands.
    Always,
    /// Nothing that stands is made of it.
    Nothing,
    Account(AccountId),
    /// With an account, if no later row is of it.
    NewestOf(AccountId),
    Paper(PaperOf),
    /// With something, if no later row cites it.
    Citing(PaperOf),
    Grant(GrantId),
    /// With a viewing, unless the row of its end tells as much.
    Shown(ViewingId),
    Dispute(DisputeId),
    /// With what this person's next row makes.
    NextMade,
}

fn of_request(request: RequestId) -> With {
    With::Paper(PaperOf::Request(request))
}

impl With {
    fn of(act: &Act) -> Self {
        match act {
            Act::SiteMade { .. } | Act::DeskRotated { .. } | Act::KeysForgotten { .. } => With::Always,
            Act::RightsGranted { account, .. }
            | Act::RightsRequested { account, .. }
            | Act::RightsWithdrawn { account, .. }
            | Act::RightsChanged { account, .. }
            | Act::RightsRemoved { account, .. }
            | Act::KeysMade { account, .. }
            | Act::KeysSealed { account, .. }
            | Act::PasswordChanged { account, .. }
            | Act::PasswordReset { account, .. }
            | Act::SecondFactorSet { account, .. }
            | Act::SecondFactorUsed { account, recovery_code: Some(_), .. } => With::Account(*account),
            // A code by time is long over. That it was used last makes the account's version.
            Act::SecondFactorUsed { account, recovery_code: None, .. } => With::NewestOf(*account),
            Act::RequestSubmitted { request, .. }
            | Act::RequestUnavailable { request, .. }
            | Act::IdentityChecked { request, .. }
            | Act::DecisionProposed { request, .. }
            | Act::DecisionSeconded { request, .. }
            | Act::RequestDecided { request, .. }
            | Act::RequestObjected { request }
            | Act::RequestDelivered { request, .. }
            | Act::RequestWithdrawn { request, .. }
            | Act::FeeNoted { request, .. }
            | Act::RequestClosed { request }
            | Act::HoldPlaced { request, .. }
            | Act::HoldReleased { request }
            | Act::LetterProduced(LetterProduced { request, .. })
            | Act::LetterDelivered(LetterDelivered { request, .. })
            | Act::RequestReminded(RequestReminded { request, .. })
            | Act::ViewingBegun(ViewingBegun { request, .. })
            | Act::ViewingEnded(ViewingEnded { request, .. }) => of_request(*request),
            Act::HoldConfirmed { of } => With::Paper((*of).into()),
            Act::HoldOrdered { hold, .. } | Act::HoldExtended { hold, .. } | Act::HoldEnded { hold, .. } => {
                With::Paper(PaperOf::Hold(*hold))
            }
            Act::OperationStarted { operation, .. } | Act::OperationEnded { operation, .. } => {
                With::Paper(PaperOf::Operation(*operation))
            }
            Act::PaperErased(PaperErased { of, .. }) => With::Paper(*of),
            Act::GrantEnded { grant, .. } => With::Grant(*grant),
            Act::ViewIntended { request, .. } | Act::ViewRefused { request: Some(request), .. } => {
                With::Citing(PaperOf::Request(*request))
            }
            Act::ViewServed { of: Some(ServedFootage { viewing, .. }), .. } => With::Shown(*viewing),
            Act::FootageDisputed { dispute, .. } | Act::DisputeSettled { dispute, .. } => With::Dispute(*dispute),
            Act::Once { .. } => With::NextMade,
            Act::FileOpened { .. }
            | Act::DaemonStarted { .. }
            | Act::DaemonStopped
            | Act::SignedIn
            | Act::SignInFailed { .. }
            | Act::SignedOut
            | Act::SessionsEnded { .. }
            | Act::RequestsSearched { .. }
            | Act::ViewServed { of: None, .. }
            | Act::ViewRefused { request: None, .. }
            | Act::FootageDestroyed(_)
            | Act::ManifestClosed(_)
            | Act::DestructionConfirmed { .. }
            | Act::FootageRecovered { .. }
            | Act::LedgerRead
            | Act::LedgerRefused
            | Act::LedgerExported(_)
            | Act::LedgerReviewed(_)
            | Act::LedgerMonthEnding(_)
            | Act::LedgerMonthErased(_)
            | Act::CopyDestroyed(_)
            | Act::ClockStepped { .. }
            | Act::ClockInDoubt { .. }
            | Act::ClockSynchronised { .. }
            | Act::ClockConfirmed { .. }
            | Act::Checkpoint(_) => With::Nothing,
        }
    }
}

/// What is needed of months that end.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// With when each was cited last.
    papers: BTreeMap<PaperOf, PaperLife>,
    disputes: BTreeSet<DisputeId>,
    /// Of these nothing is told but that they were there.
    removed: BTreeSet<AccountId>,
    /// The newest row of each account.
    newest: BTreeMap<AccountId, u64>,
    grants: BTreeMap<GrantId, RequestId>,
    /// The row of each one's end.
    viewings: BTreeMap<ViewingId, (RequestId, Option<u64>)>,
}

impl Needed {
    /// What stands, and what rows from this one on speak of.
    pub fn behind(first: u64, registry: &Registry, later: Utc) -> Self {
        let mut needed = Self {
            grants: registry.grants.values().map(|grant| (grant.number, grant.request)).collect(),
            viewings: registry.viewings.values().map(|known| (known.number, (known.request, known.ended_by))).collect(),
            ..Self::default()
        };
        let is_told = |life: &PaperLife| life.row >= first || life.erased.is_none();
        let counts =
            |of: PaperOf, life: &PaperLife| registry.is_known(of) && (is_told(life) || !registry.is_settled(of));
        needed.papers.extend(registry.papers.iter().filter(|(of, life)| counts(*of, life)));
        // No number comes twice. A grant is told by its request's decision, and so is a viewing.
        let requests = [
            registry.requests.keys().next_back().copied(),
            registry.grants.values().next_back().map(|grant| grant.request),
            registry.viewings.values().next_back().map(|viewing| viewing.request),
        ];
        let newest = requests.into_iter().flatten().map(PaperOf::Request);
        let newest = newest.chain(registry.holds.keys().next_back().map(|hold| PaperOf::Hold(*hold)));
        let newest = newest.chain(registry.operations.keys().next_back().map(|number| PaperOf::Operation(*number)));
        let disputed = registry.disputes.open().filter_map(|dispute| dispute.request).map(PaperOf::Request);
        needed.papers.extend(newest.chain(disputed).filter_map(|of| Some((of, registry.papers.get(of)?))));
        needed.disputes = registry.disputes.needed(first, |request| needed.has(request));
        needed.add_accounts(first, registry, later);
        needed
    }

    fn add_accounts(&mut self, first: u64, registry: &Registry, later: Utc) {
        // The role of who proposed a decision is the one that they had then.
        let proposals = registry.requests.values().filter_map(|request| request.proposal.as_ref());
        let proposing: BTreeSet<AccountId> =
            proposals.flat_map(|of| [Some(of.by), of.second.map(|(by, _)| by)]).flatten().collect();
        for (account, member) in registry.members.iter() {
            let newest = registry.versions.of(Thing::Account(account));
            self.newest.insert(account, newest);
            let is_told = newest >= first || registry.members.is_leaving(account) || proposing.contains(&account);
            if member.standing(later) == Standing::Removed && !is_told {
                self.removed.insert(account);
            }
        }
    }

    fn has(&self, request: RequestId) -> bool {
        self.papers.contains_key(&PaperOf::Request(request))
    }

    fn has_thing(&self, thing: Thing) -> bool {
        match thing {
            Thing::Request(request) => self.has(request),
            Thing::Hold(hold) => self.papers.contains_key(&PaperOf::Hold(hold)),
            Thing::Operation(operation) => self.papers.contains_key(&PaperOf::Operation(operation)),
            Thing::Account(account) => !self.removed.contains(&account),
        }
    }

    /// Whether a row of a month that ends is carried on; one of an idempotency key by itself is not.
    fn carries(&self, row: &Row) -> bool {
        match With::of(&row.act) {
            With::Always => true,
            With::Nothing | With::NextMade => false,
            With::Account(account) if self.removed.contains(&account) => {
                matches!(row.act, Act::RightsRemoved { .. } | Act::RightsWithdrawn { .. })
            }
            With::Account(_) => true,
            With::NewestOf(account) => self.newest.get(&account) == Some(&row.sequence),
            With::Paper(of) => self.papers.contains_key(&of) || self.is_cited_last(of, row),
            With::Citing(of) => self.is_cited_last(of, row),
            With::Grant(grant) => self.grants.get(&grant).is_some_and(|request| self.has(*request)),
            With::Shown(viewing) => {
                let known = self.viewings.get(&viewing).filter(|(request, _)| self.has(*request));
                known.is_some_and(|(_, ended)| ended.is_none_or(|ended| ended < row.sequence))
            }
            With::Dispute(dispute) => self.disputes.contains(&dispute),
        }
    }

    /// Whether a row is the newest that cites something, or of the latest time: a clock may have been set back.
    fn is_cited_last(&self, of: PaperOf, row: &Row) -> bool {
        self.papers.get(&of).is_some_and(|life| life.row == row.sequence || life.cited == row.at)
    }
}

/// Takes the rows of months that end, and keeps those that are carried on.
#[derive(Debug)]
pub(super) struct Carrying<'a> {
    needed: &'a Needed,
    lines: BTreeMap<u64, Vec<u8>>,
    /// Rows of idempotency keys under which nothing was made yet.
    keys: BTreeMap<AccountId, (u64, Vec<u8>)>,
}

impl<'a> Carrying<'a> {
    pub fn new(needed: &'a Needed) -> Self {
        Self { needed, lines: BTreeMap::new(), keys: BTreeMap::new() }
    }

    /// Rows come oldest first, each with its line.
    pub fn take(&mut self, row: &Row, line: &[u8]) {
        let by = person_of(row.actor);
        match (&row.act, by) {
            (Act::Once { .. }, Some(account)) => {
                self.keys.insert(account, (row.sequence, line.to_vec()));
                return;
            }
            (Act::DaemonStarted { .. }, _) => self.keys.clear(),
            (_, Some(_) | None) => {}
        }
        let key = by.filter(|_| made_by(&row.act).is_some()).and_then(|account| self.keys.remove(&account));
        if self.needed.carries(row) {
            self.lines.extend(key);
            self.lines.insert(row.sequence, line.to_vec());
        }
    }

    /// The lines that are carried on, oldest first. What a last key is of may stand in the next month.
    pub fn lines(mut self) -> Vec<Vec<u8>> {
        self.lines.extend(self.keys.into_values());
        self.lines.into_values().collect()
    }
}

impl Registry {
    /// Knows no more of months that ended than a start would: what is not needed is told by no row any more.
    pub(super) fn forget(&mut self, needed: &Needed) {
        self.papers.forget(|of| needed.papers.contains_key(&of));
        self.requests.retain(|request, _| needed.has(*request));
        self.correspondence.retain(|request| needed.has(request));
        self.grants.retain(|_, grant| needed.has(grant.request));
        self.viewings.retain(|_, viewing| needed.has(viewing.request));
        self.holds.retain(|hold, _| needed.has_thing(Thing::Hold(*hold)));
        self.operations.retain(|operation, _| needed.has_thing(Thing::Operation(*operation)));
        self.disputes.retain(|dispute| needed.disputes.contains(&dispute));
        self.members.forget(&needed.removed);
        self.once.retain(|thing| needed.has_thing(thing));
        self.versions.retain(|thing| needed.has_thing(thing) || matches!(thing, Thing::Account(_)));
    }
}
