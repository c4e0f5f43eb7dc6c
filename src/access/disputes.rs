//! Disputes: footage that nobody uses, and over which nothing is decided, until it is settled what is true of it or who may
//! have it. An officer marks it, and an officer says how it was settled; both are rows.
//!
//! A dispute keeps nothing beyond its day: whoever needs it longer holds it, too. What is asked about disputed footage can be
//! postponed, so that it is answered in time.

use super::registry::{Grant, person_of};
use super::requests::check_cameras;
use super::{Access, AccessError, Caller};
use crate::domain::request::{DisputeGround, DisputeOutcome, OPERATING_ROOM_ROUTES, RequestKind};
use crate::domain::{AccountId, CameraClass, CameraNumber, DisputeId, RequestId, Retention, Role, Span, Utc};
use crate::ledger::{Act, GrantedView, Row};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

const READS: [Role; 3] = [Role::Staff, Role::Officer, Role::Auditor];

/// A dispute, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct Dispute {
    pub dispute: DisputeId,
    /// The request that it is about, where it is about one.
    pub request: Option<RequestId>,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub ground: DisputeGround,
    pub since: Utc,
    pub marked_by: Option<AccountId>,
    pub settled: Option<Settled>,
}

/// How it was settled, when and by whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct Settled {
    pub at: Utc,
    pub by: Option<AccountId>,
    pub outcome: DisputeOutcome,
}

/// What is disputed: what a request asks for, or a span of some cameras.
#[derive(Clone, Debug)]
pub struct NewDispute {
    pub request: Option<RequestId>,
    pub cameras: Option<Vec<CameraNumber>>,
    pub span: Option<Span>,
    pub ground: DisputeGround,
}

impl Dispute {
    fn reaches(&self, camera: CameraNumber, span: Span) -> bool {
        self.settled.is_none() && self.span.overlaps(span) && self.cameras.contains(&camera)
    }

    /// What whoever wants to use it is told.
    pub(super) fn refusal(&self) -> AccessError {
        AccessError::Disputed { dispute: self.dispute, ground: self.ground, since: self.since }
    }
}

#[derive(Debug, Default)]
pub(super) struct Disputes {
    all: BTreeMap<DisputeId, Dispute>,
    /// The newest row of each.
    newest: BTreeMap<DisputeId, u64>,
}

impl Disputes {
    pub fn apply(&mut self, row: &Row) {
        match &row.act {
            Act::FootageDisputed { dispute, request, cameras, span, ground } => {
                let new = Dispute {
                    dispute: *dispute,
                    request: *request,
                    cameras: cameras.clone(),
                    span: *span,
                    ground: *ground,
                    since: row.at,
                    marked_by: person_of(row.actor),
                    settled: None,
                };
                self.all.insert(*dispute, new);
                self.newest.insert(*dispute, row.sequence);
            }
            Act::DisputeSettled { dispute, outcome } => {
                if let Some(known) = self.all.get_mut(dispute).filter(|known| known.settled.is_none()) {
                    self.newest.insert(*dispute, row.sequence);
                    known.settled = Some(Settled { at: row.at, by: person_of(row.actor), outcome: *outcome });
                }
            }
            _ => {}
        }
    }

    fn next(&self) -> DisputeId {
        DisputeId(self.all.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    /// Those that are not settled.
    pub fn open(&self) -> impl Iterator<Item = &Dispute> {
        self.all.values().filter(|dispute| dispute.settled.is_none())
    }

    /// Those that are open, or about a request that counts, or that a row from this one on speaks of; and the last one, so
    /// that no number comes twice.
    pub fn needed(&self, first: u64, counts: impl Fn(RequestId) -> bool) -> BTreeSet<DisputeId> {
        let is_told = |dispute: &Dispute| self.newest.get(&dispute.dispute).is_some_and(|row| *row >= first);
        let is_needed =
            |dispute: &&Dispute| dispute.settled.is_none() || dispute.request.is_some_and(&counts) || is_told(dispute);
        let needed = self.all.values().filter(is_needed).map(|dispute| dispute.dispute);
        needed.chain(self.all.keys().next_back().copied()).collect()
    }

    pub fn retain(&mut self, counts: impl Fn(DisputeId) -> bool) {
        self.all.retain(|dispute, _| counts(*dispute));
        self.newest.retain(|dispute, _| counts(*dispute));
    }

    /// The first open one that reaches a camera in a span.
    pub fn over(&self, camera: CameraNumber, span: Span) -> Option<&Dispute> {
        self.all.values().find(|dispute| dispute.reaches(camera, span))
    }

    /// The first open one that is about a request, or reaches what it asks for.
    pub fn over_request(&self, request: RequestId, cameras: &[CameraNumber], span: Span) -> Option<&Dispute> {
        let about = |dispute: &&Dispute| dispute.settled.is_none() && dispute.request == Some(request);
        self.all.values().find(about).or_else(|| cameras.iter().find_map(|camera| self.over(*camera, span)))
    }
}

impl Access {
    /// Blocks footage from use until a dispute about it is settled. From the answer on no grant shows it, and nothing is
    /// decided over it.
    ///
    /// # Errors
    /// [`AccessError::NoSuchRequest`], [`AccessError::UnknownCamera`]; what is wrong with the input;
    /// [`AccessError::NotRecorded`], and then nothing is blocked.
    pub fn mark_disputed(&self, caller: &Caller, new: NewDispute) -> Result<Dispute, AccessError> {
        caller.must_be(&[Role::Officer])?;
        let about = new.request.map(|request| self.find_request(request)).transpose()?;
        let wanted = |field| AccessError::BadInput { field, what: "is wanted where no request is named" };
        let cameras = new.cameras.or_else(|| about.as_ref().map(|about| about.cameras.clone()));
        let cameras = cameras.ok_or(wanted("cameras"))?;
        let span = new.span.or(about.as_ref().map(|about| about.span)).ok_or(wanted("span"))?;
        check_cameras(&cameras)?;
        caller.must_reach(&cameras)?;
        self.must_be_filmed(&cameras, span, self.later())?;
        let _turn = self.turn();
        let dispute = self.registry().disputes.next();
        let act = Act::FootageDisputed { dispute, request: new.request, cameras, span, ground: new.ground };
        self.record(caller.actor(), act)?;
        self.dispute(dispute)
    }

    /// A dispute was settled: what it blocked can be used again.
    ///
    /// # Errors
    /// [`AccessError::NoSuchDispute`]; [`AccessError::WrongState`] for one that is settled.
    pub fn settle_dispute(
        &self,
        caller: &Caller,
        dispute: DisputeId,
        outcome: DisputeOutcome,
    ) -> Result<Dispute, AccessError> {
        caller.must_be(&[Role::Officer])?;
        let _turn = self.turn();
        let found = self.dispute(dispute)?;
        caller.must_reach(&found.cameras)?;
        if found.settled.is_some() {
            return Err(AccessError::DisputeSettled);
        }
        self.record(caller.actor(), Act::DisputeSettled { dispute, outcome })?;
        self.dispute(dispute)
    }

    /// All disputes, newest first.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for staff, officers and auditors.
    pub fn disputes(&self, caller: &Caller) -> Result<Vec<Dispute>, AccessError> {
        caller.must_be(&READS)?;
        let registry = self.registry();
        let within = |dispute: &&Dispute| caller.must_reach(&dispute.cameras).is_ok();
        Ok(registry.disputes.all.values().rev().filter(within).cloned().collect())
    }

    fn dispute(&self, dispute: DisputeId) -> Result<Dispute, AccessError> {
        self.registry().disputes.all.get(&dispute).cloned().ok_or(AccessError::NoSuchDispute)
    }

    /// Refuses what is disputed, of a request and of what it asks for.
    pub(super) fn must_be_undisputed(
        &self,
        request: RequestId,
        cameras: &[CameraNumber],
        span: Span,
    ) -> Result<(), AccessError> {
        match self.registry().disputes.over_request(request, cameras, span) {
            Some(found) => Err(found.refusal()),
            None => Ok(()),
        }
    }

    /// Whether what a grant names of a camera may be used now: it is in no dispute, who decided it is not who watches it, and
    /// an operating room's footage was granted on one of its three ways.
    pub(super) fn must_be_usable(&self, caller: &Caller, grant: &Grant, view: GrantedView) -> Result<(), AccessError> {
        if grant.decided_by == Some(caller.account()) && !self.periods.requests.decider_may_view {
            return Err(AccessError::OwnDecision);
        }
        let kind = self.find_request(grant.request)?.kind;
        if self.class_of(view.camera) == Some(CameraClass::OperatingRoom) {
            must_reach(kind, view.camera, CameraClass::OperatingRoom)?;
        }
        self.must_be_undisputed(grant.request, &[view.camera], view.span)
    }

    /// Refuses footage that does not leave on this way (MSA 38-2(5)): an operating room's on any but its three, and other
    /// cameras' on those. What a camera was counts as much as what it is: footage that the law demands to be kept is an
    /// operating room's.
    pub(super) fn must_be_the_right_way(
        &self,
        kind: RequestKind,
        cameras: &[CameraNumber],
        span: Span,
        now: Utc,
    ) -> Result<(), AccessError> {
        for camera in cameras {
            let live = self.vault.live_segments(*camera, span, now)?;
            let is_floor = live.iter().any(|live| matches!(live.retention, Retention::Floor(_)));
            let class = match self.class_of(*camera) {
                Some(class) if !is_floor => class,
                Some(_) | None if is_floor => CameraClass::OperatingRoom,
                Some(_) | None => CameraClass::PublicArea,
            };
            must_reach(kind, *camera, class)?;
        }
        Ok(())
    }
}

fn must_reach(kind: RequestKind, camera: CameraNumber, class: CameraClass) -> Result<(), AccessError> {
    if kind.may_reach(class) {
        Ok(())
    } else if kind.is_operating_room_route() {
        Err(AccessError::NoOperatingRoom { camera })
    } else {
        Err(AccessError::OperatingRoomRoutes { camera, routes: OPERATING_ROOM_ROUTES })
    }
}
