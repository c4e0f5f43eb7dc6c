//! What the rows add up to: requests, grants, holds, rights. Built by applying every row at a start, and each new one.

use super::correspondence::Correspondence;
use super::decisions::Deciding;
use super::disputes::Disputes;
use super::once::OnceKeys;
use super::papers::Papers;
use super::requested::Request;
use super::rights::{Members, account_of};
use super::states::{HoldState, OperationState};
use super::versions::{Thing, Versions};
use crate::crypto::{PublicKey, VerifyingKey};
use crate::domain::{
    AccountId, AskedBy, CameraNumber, Digest, GrantEnd, GrantId, HeldFor, HoldId, HoldReason, OperationId, PaperOf,
    RequestId, Span, Utc, ViewingEnd, ViewingId,
};
use crate::ledger::{Act, Actor, Decision, GrantConditions, GrantedView, Row, ServedFootage, ViewingBegun, add_seen};
use crate::vault::Hold;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A hold that an officer placed.
#[derive(Clone, Debug)]
pub(super) struct OrderedHold {
    pub number: HoldId,
    pub reason: HoldReason,
    /// Commits to its text.
    pub text: Digest,
    pub owner: Option<AccountId>,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub placed: Utc,
    pub review: Utc,
    pub ends: Option<Utc>,
    pub state: HoldState,
}

impl OrderedHold {
    pub fn holds(&self) -> bool {
        !matches!(self.state, HoldState::Ended { .. })
    }
}

/// An operation that was filmed, or is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    pub number: OperationId,
    pub camera: CameraNumber,
    pub asked_by: AskedBy,
    /// Commits to who asked.
    pub persons: Digest,
    pub started: Utc,
    pub started_by: Option<AccountId>,
    pub state: OperationState,
}

/// Whether a grant still opens anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    Open,
    Ended,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub number: GrantId,
    pub request: RequestId,
    pub viewer: AccountId,
    pub views: Vec<GrantedView>,
    pub ends: Utc,
    /// Within what it may be watched.
    pub conditions: GrantConditions,
    /// Who decided so: another than who watches, unless the site allows it.
    pub decided_by: Option<AccountId>,
    pub state: GrantState,
    pub why_ended: Option<GrantEnd>,
}

/// One sitting in front of what a grant names. It counts from its first row on.
#[derive(Clone, Debug)]
pub(super) struct Viewing {
    pub number: ViewingId,
    pub grant: GrantId,
    pub request: RequestId,
    pub begun: Utc,
    pub terminal: Option<String>,
    pub present: bool,
    /// Footage that was shown so far.
    pub seen: Vec<GrantedView>,
    pub ended: Option<(Utc, ViewingEnd)>,
    /// The row of its end, which tells all that was shown before.
    pub ended_by: Option<u64>,
}

/// The keys that the site's first row names.
#[derive(Clone, Copy, Debug)]
pub(super) struct SiteKeys {
    pub signer: VerifyingKey,
    pub recovery: PublicKey,
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    pub site: Option<SiteKeys>,
    /// The desk's pairs, oldest first: a new one whenever somebody left who read persons.
    pub desks: Vec<PublicKey>,
    pub members: Members,
    pub requests: BTreeMap<RequestId, Request>,
    pub grants: BTreeMap<GrantId, Grant>,
    pub viewings: BTreeMap<ViewingId, Viewing>,
    pub holds: BTreeMap<HoldId, OrderedHold>,
    pub operations: BTreeMap<OperationId, Operation>,
    /// Those that are under way: asked for by each operating room's camera several times a second.
    under_way: BTreeMap<CameraNumber, OperationId>,
    /// What is written of persons, and when it was cited last.
    pub papers: Papers,
    /// What was written to who asked, and whether it was in time.
    pub correspondence: Correspondence,
    pub disputes: Disputes,
    pub versions: Versions,
    pub once: OnceKeys,
    /// Requests whose decision is being carried out: a second one is told to wait.
    pub deciding: BTreeMap<RequestId, Arc<Deciding>>,
}

impl Registry {
    pub fn apply(&mut self, row: &Row) {
        self.once.apply(row);
        let cited = match &row.act {
            Act::GrantEnded { grant, .. } => self.grants.get(grant).map(|grant| PaperOf::Request(grant.request)),
            act => act.cites(),
        };
        self.papers.apply(row, cited);
        self.correspondence.apply(row);
        match &row.act {
            Act::SiteMade { signer, desk, recovery } => {
                self.site = Some(SiteKeys { signer: *signer, recovery: *recovery });
                self.desks = vec![*desk];
            }
            Act::DeskRotated { desk, .. } => self.desks.push(*desk),
            Act::RightsRequested { .. }
            | Act::RightsWithdrawn { .. }
            | Act::RightsGranted { .. }
            | Act::RightsChanged { .. }
            | Act::RightsRemoved { .. }
            | Act::KeysMade { .. }
            | Act::KeysSealed { .. }
            | Act::KeysForgotten { .. }
            | Act::PasswordReset { .. }
            | Act::SecondFactorSet { .. }
            | Act::SecondFactorUsed { .. }
            | Act::PasswordChanged { .. } => {
                if let Some(account) = account_of(&row.act) {
                    self.versions.note(Thing::Account(account), row.sequence);
                }
                self.members.apply(row);
            }
            Act::RequestSubmitted { .. } => self.enter_request(row),
            Act::IdentityChecked { request, .. }
            | Act::RequestUnavailable { request, .. }
            | Act::DecisionProposed { request, .. }
            | Act::DecisionSeconded { request, .. }
            | Act::RequestDecided { request, .. }
            | Act::RequestObjected { request }
            | Act::RequestDelivered { request, .. }
            | Act::RequestWithdrawn { request, .. }
            | Act::FeeNoted { request, .. }
            | Act::RequestClosed { request } => self.apply_to_request(*request, row),
            Act::FootageDisputed { .. } | Act::DisputeSettled { .. } => self.disputes.apply(row),
            Act::HoldReleased { request } => {
                self.versions.note(Thing::Request(*request), row.sequence);
                if let Some(known) = self.requests.get_mut(request) {
                    known.hold_has_ended = true;
                }
            }
            Act::HoldConfirmed { of: HeldFor::Request(request) } => {
                self.versions.note(Thing::Request(*request), row.sequence);
                if let Some(known) = self.requests.get_mut(request) {
                    known.hold_is_confirmed = true;
                }
            }
            Act::HoldOrdered { .. } => self.enter_hold(row),
            Act::HoldConfirmed { of: HeldFor::Hold(hold) }
            | Act::HoldExtended { hold, .. }
            | Act::HoldEnded { hold, .. } => self.apply_to_hold(*hold, row),
            Act::OperationStarted { .. } => self.enter_operation(row),
            Act::OperationEnded { operation, .. } => self.apply_to_operation(*operation, row),
            Act::GrantEnded { grant, why } => {
                if let Some(known) = self.grants.get_mut(grant) {
                    (known.state, known.why_ended) = (GrantState::Ended, known.why_ended.or(*why));
                }
            }
            Act::ViewingBegun(begun) => self.enter_viewing(begun, row.at),
            Act::ViewServed { of: Some(ServedFootage { viewing, camera, span: Some(span), .. }), .. } => {
                if let Some(known) = self.viewings.get_mut(viewing) {
                    add_seen(&mut known.seen, *camera, *span);
                }
            }
            Act::ViewingEnded(ended) => {
                if let Some(known) = self.viewings.get_mut(&ended.viewing) {
                    (known.ended, known.ended_by) = (Some((row.at, ended.how)), Some(row.sequence));
                    ended.seen.iter().for_each(|view| add_seen(&mut known.seen, view.camera, view.span));
                }
            }
            Act::FileOpened { .. }
            | Act::Once { .. }
            | Act::DaemonStarted { .. }
            | Act::DaemonStopped
            | Act::SignedIn
            | Act::SignInFailed { .. }
            | Act::SignedOut
            | Act::SessionsEnded { .. }
            | Act::HoldPlaced { .. }
            | Act::LetterProduced(_)
            | Act::LetterDelivered(_)
            | Act::RequestReminded(_)
            | Act::RequestsSearched { .. }
            | Act::PaperErased(_)
            | Act::ViewIntended { .. }
            | Act::ViewServed { .. }
            | Act::ViewRefused { .. }
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
            | Act::Checkpoint(_) => {}
        }
    }

    fn enter_request(&mut self, row: &Row) {
        if let Some(new) = Request::entered(row) {
            self.versions.note(Thing::Request(new.number), row.sequence);
            self.requests.insert(new.number, new);
        }
    }

    fn enter_viewing(&mut self, begun: &ViewingBegun, at: Utc) {
        let new = Viewing {
            number: begun.viewing,
            grant: begun.grant,
            request: begun.request,
            begun: at,
            terminal: begun.terminal.clone(),
            present: begun.present,
            seen: Vec::new(),
            ended: None,
            ended_by: None,
        };
        self.viewings.insert(begun.viewing, new);
    }

    fn enter_hold(&mut self, row: &Row) {
        let Act::HoldOrdered { hold, reason, text, cameras, span, review, ends } = &row.act else { return };
        let new = OrderedHold {
            number: *hold,
            reason: *reason,
            text: *text,
            owner: person_of(row.actor),
            cameras: cameras.clone(),
            span: *span,
            placed: row.at,
            review: *review,
            ends: *ends,
            state: HoldState::Ordered { since: row.at },
        };
        self.holds.insert(*hold, new);
        self.versions.note(Thing::Hold(*hold), row.sequence);
    }

    fn enter_operation(&mut self, row: &Row) {
        let Act::OperationStarted { operation, camera, asked_by, persons } = &row.act else { return };
        let new = Operation {
            number: *operation,
            camera: *camera,
            asked_by: *asked_by,
            persons: *persons,
            started: row.at,
            started_by: person_of(row.actor),
            state: OperationState::UnderWay,
        };
        self.operations.insert(*operation, new);
        self.versions.note(Thing::Operation(*operation), row.sequence);
        self.under_way.insert(*camera, *operation);
    }

    fn apply_to_operation(&mut self, operation: OperationId, row: &Row) {
        self.versions.note(Thing::Operation(operation), row.sequence);
        let Some(known) = self.operations.get_mut(&operation) else { return };
        let Some(next) = known.state.apply(&row.act, person_of(row.actor), row.at) else {
            tracing::error!(%operation, "a row of the ledger does not fit the operation's state");
            return;
        };
        known.state = next;
        self.under_way.remove(&known.camera);
    }

    /// The operation that is under way before a camera.
    pub fn under_way(&self, camera: CameraNumber) -> Option<&Operation> {
        self.operations.get(self.under_way.get(&camera)?)
    }

    /// All operations that are under way.
    pub fn all_under_way(&self) -> impl Iterator<Item = &Operation> {
        self.under_way.values().filter_map(|operation| self.operations.get(operation))
    }

    pub fn next_operation(&self) -> OperationId {
        OperationId(self.operations.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    fn apply_to_hold(&mut self, hold: HoldId, row: &Row) {
        self.versions.note(Thing::Hold(hold), row.sequence);
        let Some(known) = self.holds.get_mut(&hold) else { return };
        let Some(next) = known.state.apply(&row.act, known.owner, person_of(row.actor), row.at) else {
            tracing::error!(%hold, "a row of the ledger does not fit the hold's state");
            return;
        };
        known.state = next;
        if let Act::HoldExtended { review, ends, .. } = &row.act {
            (known.review, known.ends) = (*review, *ends);
        }
    }

    fn apply_to_request(&mut self, request: RequestId, row: &Row) {
        self.versions.note(Thing::Request(request), row.sequence);
        let role = person_of(row.actor).and_then(|by| self.members.get(by)?.role());
        let Some(known) = self.requests.get_mut(&request) else { return };
        if !known.apply(row, role) {
            tracing::error!(%request, state = known.state.name(), "a row of the ledger does not fit the request's state");
            return;
        }
        match &row.act {
            Act::RequestDecided {
                decision: Decision::Approved { grant, viewer, views, ends, conditions, .. }, ..
            } => {
                let new = Grant {
                    number: *grant,
                    request,
                    viewer: *viewer,
                    views: views.clone(),
                    ends: *ends,
                    conditions: conditions.clone(),
                    decided_by: person_of(row.actor),
                    state: GrantState::Open,
                    why_ended: None,
                };
                self.grants.insert(*grant, new);
            }
            Act::RequestClosed { .. } | Act::RequestWithdrawn { .. } | Act::RequestUnavailable { .. } => {
                let theirs = self.grants.values_mut().filter(|grant| grant.request == request);
                theirs.for_each(|grant| grant.state = GrantState::Ended);
            }
            _ => {}
        }
    }

    /// The open grants of one request: an objection may have led to a second one.
    pub fn grants_for(&self, request: RequestId) -> Vec<GrantId> {
        let open = self.grants.values().filter(|grant| grant.request == request && grant.state == GrantState::Open);
        open.map(|grant| grant.number).collect()
    }

    pub fn next_request(&self) -> RequestId {
        RequestId(self.requests.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    pub fn next_grant(&self) -> GrantId {
        GrantId(self.grants.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    pub fn next_viewing(&self) -> ViewingId {
        ViewingId(self.viewings.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    /// All viewings of a grant, in order.
    pub fn viewings_of(&self, grant: GrantId) -> impl DoubleEndedIterator<Item = &Viewing> {
        self.viewings.values().filter(move |viewing| viewing.grant == grant)
    }

    /// Viewings that have begun and not ended.
    pub fn viewings_under_way(&self) -> Vec<Viewing> {
        self.viewings.values().filter(|viewing| viewing.ended.is_none()).cloned().collect()
    }

    /// Open grants of which the last viewing that there may be has ended.
    pub fn grants_used_up(&self) -> Vec<GrantId> {
        let is_used_up = |grant: &&Grant| {
            let Some(limit) = grant.conditions.viewings else { return false };
            let of = || self.viewings_of(grant.number);
            grant.state == GrantState::Open
                && of().count() >= limit as usize
                && of().all(|viewing| viewing.ended.is_some())
        };
        self.grants.values().filter(is_used_up).map(|grant| grant.number).collect()
    }

    pub fn next_hold(&self) -> HoldId {
        HoldId(self.holds.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    /// The holds that must stand.
    pub fn wanted_holds(&self) -> Vec<Hold> {
        let asked = self.requests.values().filter(|request| request.holds());
        let of_request = |request: &Request| Hold::of_request(request.number, request.cameras.clone(), request.span);
        let ordered = self.holds.values().filter(|hold| hold.holds());
        let of_officer = |hold: &OrderedHold| Hold {
            of: HeldFor::Hold(hold.number),
            cameras: hold.cameras.clone(),
            span: hold.span,
        };
        asked.map(of_request).chain(ordered.map(of_officer)).collect()
    }

    /// Whether a row tells of it: a hold that stands for nothing known was placed right before a crash.
    pub fn knows(&self, of: HeldFor) -> bool {
        match of {
            HeldFor::Request(request) => self.requests.contains_key(&request),
            HeldFor::Hold(hold) => self.holds.contains_key(&hold),
        }
    }

    /// What was decided to be erased, by request.
    pub fn erasures(&self) -> Vec<(RequestId, Vec<GrantedView>)> {
        let erased = self.requests.values().filter(|request| !request.erased.is_empty());
        erased.map(|request| (request.number, request.erased.clone())).collect()
    }

    /// Holds whose end has come: requests' own, and officers'.
    pub fn holds_over(&self, now: Utc) -> (Vec<RequestId>, Vec<HoldId>) {
        let is_over = |until: Option<Utc>| until.is_some_and(|until| until <= now);
        let asked = self.requests.values().filter(|request| request.holds() && is_over(request.state.hold_until()));
        let ordered = self.holds.values().filter(|hold| hold.holds() && is_over(hold.ends));
        (asked.map(|request| request.number).collect(), ordered.map(|hold| hold.number).collect())
    }

    pub fn open_grants(&self) -> BTreeSet<GrantId> {
        let open = self.grants.values().filter(|grant| grant.state == GrantState::Open);
        open.map(|grant| grant.number).collect()
    }

    /// The open grants of one viewer.
    pub fn grants_of(&self, viewer: AccountId) -> Vec<(GrantId, RequestId)> {
        let theirs = |grant: &&Grant| grant.state == GrantState::Open && grant.viewer == viewer;
        self.grants.values().filter(theirs).map(|grant| (grant.number, grant.request)).collect()
    }

    /// Grants whose end has come.
    pub fn grants_over(&self, now: Utc) -> Vec<GrantId> {
        let open = self.grants.values().filter(|grant| grant.state == GrantState::Open && grant.ends <= now);
        open.map(|grant| grant.number).collect()
    }
}

pub(super) fn person_of(actor: Actor) -> Option<AccountId> {
    match actor {
        Actor::Person { account, .. } => Some(account),
        Actor::Nobody { .. } | Actor::Console | Actor::Daemon => None,
    }
}
