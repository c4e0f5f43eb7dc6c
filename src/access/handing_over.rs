//! What comes after a decision, and what ends a request without one: the answer is handed over, the request closed or taken
//! back; what a copy costs.

use super::requested::Request;
use super::{Access, AccessError, Caller, RequestView, Thing};
use crate::domain::request::Channel;
use crate::domain::{DeliveryWay, GrantEnd, GrantId, HeldFor, RequestId, Role};
use crate::ledger::Act;

const HANDS_OVER: [Role; 2] = [Role::Staff, Role::Officer];
/// More than this is no cost price of a copy (PIPA 38(3)).
const FEE_LIMIT_KRW: u32 = 10_000_000;

impl Access {
    /// Records that the answer, and what was granted, reached who asked, and how.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] unless it is decided; [`AccessError::FeeOpen`] where a copy waits for its cost;
    /// [`AccessError::Disputed`].
    pub fn deliver(&self, caller: &Caller, request: RequestId, channel: Channel) -> Result<RequestView, AccessError> {
        caller.must_be(&HANDS_OVER)?;
        let found = self.find_request(request)?;
        if let Some(grant) = found.state.grant() {
            self.must_be_undisputed(request, &found.cameras, found.span)?;
            self.copy_must_be_paid(grant)?;
        }
        self.record_of(caller, request, Act::RequestDelivered { request, channel })?;
        self.request(caller, request)
    }

    /// The letter that is the answer reached who asked, and so did the answer: one act. Where a copy waits for its cost, or it
    /// came into dispute, the request is delivered later, by hand. In turn.
    pub(super) fn deliver_with_letter(
        &self,
        caller: &Caller,
        found: &Request,
        way: DeliveryWay,
    ) -> Result<(), AccessError> {
        let request = found.number;
        let act = Act::RequestDelivered { request, channel: way.channel() };
        // It was delivered already, or objected to since.
        if found.state.apply(&act, self.now()).is_none() {
            return Ok(());
        }
        if let Some(grant) = found.state.grant() {
            let waits = self.must_be_undisputed(request, &found.cameras, found.span);
            if waits.and_then(|()| self.copy_must_be_paid(grant)).is_err() {
                return Ok(());
            }
        }
        self.record(caller.actor(), act).map(drop)
    }

    /// Refuses a grant whose copy waits for its cost.
    pub(super) fn copy_must_be_paid(&self, grant: GrantId) -> Result<(), AccessError> {
        let registry = self.registry();
        let known = registry.grants.get(&grant).filter(|grant| grant.conditions.copy);
        let request = known.and_then(|grant| registry.requests.get(&grant.request));
        match request.filter(|request| request.waits_for_fee()).and_then(|request| request.fee) {
            Some(fee) => Err(AccessError::FeeOpen { amount_krw: fee.amount_krw }),
            None => Ok(()),
        }
    }

    /// Records what it costs at cost price, and whether that was paid.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] once it is closed, or taken back.
    pub fn note_fee(
        &self,
        caller: &Caller,
        request: RequestId,
        amount_krw: u32,
        paid: bool,
    ) -> Result<RequestView, AccessError> {
        caller.must_be(&HANDS_OVER)?;
        if amount_krw > FEE_LIMIT_KRW {
            return Err(AccessError::BadInput { field: "amount_krw", what: "is more than a copy costs" });
        }
        self.record_of(caller, request, Act::FeeNoted { request, amount_krw, paid })?;
        self.request(caller, request)
    }

    /// Who asked takes it back: what was held for it is released.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] once it is decided.
    pub fn withdraw(&self, caller: &Caller, request: RequestId, channel: Channel) -> Result<RequestView, AccessError> {
        caller.must_be(&HANDS_OVER)?;
        self.end_request(caller, request, Act::RequestWithdrawn { request, channel })?;
        self.request(caller, request)
    }

    /// Closes a decided request: its grants end, their keys are destroyed, its hold is released. That of a refusal, and of a
    /// part, stays as long as somebody can object.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] unless it is decided.
    pub fn close(&self, caller: &Caller, request: RequestId) -> Result<RequestView, AccessError> {
        caller.must_be(&HANDS_OVER)?;
        self.end_request(caller, request, Act::RequestClosed { request })?;
        self.request(caller, request)
    }

    /// Writes the row that ends a request, and does what follows from it.
    pub(super) fn end_request(&self, caller: &Caller, request: RequestId, act: Act) -> Result<(), AccessError> {
        let _turn = self.turn();
        self.registry().must_be_as_seen(caller, Thing::Request(request))?;
        let open = self.must_follow(request, &act)?;
        caller.must_reach(&open.cameras)?;
        let grants = self.registry().grants_for(request);
        self.record(caller.actor(), act)?;
        let ended = self.find_request(request)?;
        // It has ended. One step that fails keeps no other from being done; what is left over is tidied up later.
        let mut told = Ok(());
        for grant in grants {
            told =
                told.and(self.record(caller.actor(), Act::GrantEnded { grant, why: Some(GrantEnd::Closed) }).map(drop));
            told = told.and(self.tidied(self.grants.destroy(grant)));
        }
        if open.holds() && !ended.holds() {
            told = told.and(self.record(caller.actor(), Act::HoldReleased { request }).map(drop));
            let released = self.holds().release(HeldFor::Request(request));
            told = told.and(self.tidied(released));
        }
        told
    }
}
