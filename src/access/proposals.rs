//! Decisions that take two people of different roles, where a site wants that.
//!
//! The first proposes, the second stands by it: an officer who carries it out, or anybody of another role, after whom an
//! officer does. What is carried out is what was proposed, to the letter. Nothing is opened before: a proposal and who stands
//! by it are rows, and the keys are handed over at the end alone, by an officer's release key. The footage stays held
//! meanwhile.

use super::decisions::{check_conditions, check_postponement, narrowed};
use super::partial::check_rest;
use super::requested::{Proposal, Request};
use super::texts::check_text;
use super::{Access, AccessError, Approval, Caller, Erasure, Postponement, Refusal, RequestView, Thing};
use crate::domain::request::RequestKind;
use crate::domain::{RequestId, Role};
use crate::ledger::{Act, ProposedDecision, ReasonText, Rest};

const PROPOSES: [Role; 3] = [Role::Staff, Role::Officer, Role::Auditor];

impl Access {
    /// Proposes a decision. The password is asked for; a proposal of before gives way.
    ///
    /// # Errors
    /// As [`Access::approve`]; [`AccessError::SecondWanted`] where a site decides without.
    pub fn propose(
        &self,
        caller: &Caller,
        request: RequestId,
        proposed: ProposedDecision,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        let found = self.may_take_part(caller, request)?;
        self.check_proposal(&found, &proposed)?;
        self.with_password(caller, password, || {
            self.record_of_undecided(caller, request, Act::DecisionProposed { request, proposed })
        })?;
        self.request(caller, request)
    }

    /// Stands by the proposal of a row: somebody of another role than who made it. An officer carries it out after.
    ///
    /// # Errors
    /// [`AccessError::SecondWanted`] for the same person or role, and where there is no such proposal any more.
    pub fn second(
        &self,
        caller: &Caller,
        request: RequestId,
        proposal: u64,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        let found = self.may_take_part(caller, request)?;
        let what = "there is no such proposal any more; look at it again";
        let known = found.proposal.filter(|known| known.row == proposal).ok_or(AccessError::SecondWanted { what })?;
        if known.by == caller.account() || known.role == caller.person().role {
            return Err(AccessError::SecondWanted { what: "somebody of another role stands by it" });
        }
        self.with_password(caller, password, || {
            self.record_of_undecided(caller, request, Act::DecisionSeconded { request, proposal })
        })?;
        self.request(caller, request)
    }

    /// The proposal that stands: to carry it out without saying it all again.
    ///
    /// # Errors
    /// [`AccessError::SecondWanted`] where there is none.
    pub fn proposal(&self, caller: &Caller, request: RequestId) -> Result<ProposedDecision, AccessError> {
        caller.must_be(&[Role::Officer])?;
        let none = AccessError::SecondWanted { what: "nobody has proposed one yet" };
        let proposed = self.find_request(request)?.proposal.ok_or(none)?.proposed;
        Ok(self.proposal_in_words(caller, request, proposed))
    }

    /// Carries out the proposal that stands.
    ///
    /// # Errors
    /// As what it is: [`Access::approve`] and the others.
    pub fn carry_out(&self, caller: &Caller, request: RequestId, password: &str) -> Result<RequestView, AccessError> {
        match self.proposal(caller, request)? {
            ProposedDecision::Approve { viewer, cameras, span, ends, conditions, rest } => {
                let rest = rest
                    .map(|rest| Ok::<_, AccessError>(Refusal { ground: rest.ground, reason: in_clear(rest.reason)? }));
                let rest = rest.transpose()?;
                let approval = Approval { viewer, cameras: Some(cameras), span: Some(span), ends, conditions, rest };
                self.approve(caller, request, &approval, password)
            }
            ProposedDecision::Refuse { ground, reason } => {
                self.refuse(caller, request, &Refusal { ground, reason: in_clear(reason)? }, password)
            }
            ProposedDecision::Erase { cameras, span, partly } => {
                let erasure = Erasure { cameras: Some(cameras), span: Some(span), partly };
                self.erase(caller, request, &erasure, password)
            }
            ProposedDecision::Postpone { cause, reason, until } => {
                self.postpone(caller, request, &Postponement { cause, reason: in_clear(reason)?, until }, password)
            }
            ProposedDecision::Unavailable => self.find_unavailable(caller, request, password),
        }
    }

    fn may_take_part(&self, caller: &Caller, request: RequestId) -> Result<Request, AccessError> {
        caller.must_be(&PROPOSES)?;
        if !self.periods.requests.second_approver {
            return Err(AccessError::SecondWanted { what: "not at this site ([requests] second_approver)" });
        }
        let found = self.find_request(request)?;
        caller.must_reach(&found.cameras)?;
        if found.entered_by == Some(caller.account()) { Err(AccessError::FourEyes) } else { Ok(found) }
    }

    /// Writes a row of a request that nobody is deciding just now.
    fn record_of_undecided(&self, caller: &Caller, request: RequestId, act: Act) -> Result<(), AccessError> {
        let _turn = self.turn();
        self.registry().must_be_as_seen(caller, Thing::Request(request))?;
        self.must_follow(request, &act)?;
        let known = {
            let registry = self.registry();
            if registry.deciding.contains_key(&request) {
                return Err(AccessError::WrongState { state: "being decided by somebody else" });
            }
            registry.requests.get(&request).and_then(|known| known.proposal.as_ref().map(|known| known.row))
        };
        if matches!(&act, Act::DecisionSeconded { proposal, .. } if known != Some(*proposal)) {
            return Err(AccessError::SecondWanted { what: "there is another proposal since; look at it again" });
        }
        self.record(caller.actor(), act).map(drop)
    }

    /// What would be refused of a decision is refused of its proposal.
    fn check_proposal(&self, found: &Request, proposed: &ProposedDecision) -> Result<(), AccessError> {
        let fits = |fits: bool| {
            let what = "does not fit the kind of the request";
            if fits { Ok(()) } else { Err(AccessError::BadInput { field: "decision", what }) }
        };
        match proposed {
            ProposedDecision::Approve { conditions, .. } => {
                fits(found.kind != RequestKind::Erasure)?;
                check_conditions(found, conditions, self.later())
            }
            ProposedDecision::Refuse { reason, .. } => check_text("reason", &in_clear(reason.clone())?, true),
            ProposedDecision::Erase { .. } => fits(found.kind == RequestKind::Erasure),
            ProposedDecision::Postpone { cause, reason, until } => {
                let postponement = Postponement { cause: *cause, reason: in_clear(reason.clone())?, until: *until };
                check_postponement(&postponement, self.now())
            }
            ProposedDecision::Unavailable => Ok(()),
        }
    }

    /// An approval as it is proposed: what of it is left out is what was asked for.
    ///
    /// # Errors
    /// [`AccessError::NoSuchRequest`]; what is not part of what was asked for.
    pub fn proposed_approval(&self, request: RequestId, approval: &Approval) -> Result<ProposedDecision, AccessError> {
        let found = self.find_request(request)?;
        let (cameras, span) = narrowed(&found, approval)?;
        check_rest(&found, (&cameras, span), approval)?;
        let Approval { viewer, ends, ref conditions, ref rest, .. } = *approval;
        let rest = rest.clone().map(|Refusal { ground, reason }| Rest { ground, reason: reason.into() });
        Ok(ProposedDecision::Approve { viewer, cameras, span, ends, conditions: conditions.clone(), rest })
    }

    /// An erasure as it is proposed.
    ///
    /// # Errors
    /// As [`Access::proposed_approval`].
    pub fn proposed_erasure(&self, request: RequestId, erasure: &Erasure) -> Result<ProposedDecision, AccessError> {
        let Erasure { cameras, span, partly } = erasure.clone();
        let part = Approval { cameras, span, ..Approval::default() };
        let (cameras, span) = narrowed(&self.find_request(request)?, &part)?;
        Ok(ProposedDecision::Erase { cameras, span, partly })
    }

    /// Where a site wants two people: whether another one, of another role, stands by just this decision.
    pub(super) fn must_be_seconded(
        &self,
        caller: &Caller,
        found: &Request,
        proposed: &ProposedDecision,
    ) -> Result<(), AccessError> {
        if !self.periods.requests.second_approver {
            return Ok(());
        }
        let wanted = |what| Err(AccessError::SecondWanted { what });
        let Some(Proposal { by, role, proposed: standing, second, .. }) = &found.proposal else {
            return wanted("somebody proposes it first");
        };
        if self.proposal_in_words(caller, found.number, standing.clone()) != *proposed {
            return wanted("this is not what was proposed; propose it anew");
        }
        let other = |(account, role)| account != caller.account() && role != caller.person().role;
        if other((*by, *role)) || second.is_some_and(other) {
            Ok(())
        } else {
            wanted("somebody of another role stands by it first")
        }
    }

    /// Tries the password of somebody who is signed in, whatever their role.
    fn with_password(
        &self,
        caller: &Caller,
        password: &str,
        act: impl FnOnce() -> Result<(), AccessError>,
    ) -> Result<(), AccessError> {
        self.with_key(caller, || self.people.open_session(Some(caller.account()), password), |_| act())
    }
}

/// A reason in words.
fn in_clear(reason: ReasonText) -> Result<String, AccessError> {
    match reason {
        ReasonText::Clear(text) => Ok(text),
        ReasonText::Sealed(_) => {
            Err(AccessError::Unavailable { why: "the reason of the proposal cannot be read".into() })
        }
    }
}
