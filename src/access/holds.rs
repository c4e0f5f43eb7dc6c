//! Holds: footage kept beyond its day, by an officer's order or for a request.
//!
//! An officer's order freezes at once, since expiry does not wait; that another officer stands by it can come after. Nobody
//! ends a hold that they placed: to end it may destroy evidence, and that takes a second person too.
//!
//! Order of placing (A2): the text, sealed to the desk → the hold, both flushed → the row. Of an end: the row → the hold.

use super::registry::OrderedHold;
use super::requested::Request;
use super::requests::check_cameras;
use super::states::HoldState;
use super::texts::check_text;
use super::versions::Thing;
use super::{Access, AccessError, Caller};
use crate::domain::{AccountId, CameraNumber, HeldFor, HoldEnd, HoldId, HoldReason, RequestId, Role, Span, Utc};
use crate::ledger::{Act, Actor};
use crate::vault::{HeldFootage, Hold};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A hold is looked at again within this.
const REVIEW_WITHIN: Duration = Duration::from_secs(90 * 86_400);
/// A request's own hold of more than this, over all its cameras, wants an officer's confirmation.
const BIG: Duration = Duration::from_secs(24 * 3_600);
/// Within this.
const CONFIRM_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// What is kept of a hold's text. It may name people, so it is sealed to the desk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

/// A hold as an officer orders it.
#[derive(Clone, Debug)]
pub struct NewHold {
    pub reason: HoldReason,
    pub text: String,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub review: Utc,
    pub ends: Option<Utc>,
}

/// A request's own hold, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct RequestHold {
    pub request: RequestId,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub state: &'static str,
    pub placed: Utc,
    /// Hours of all cameras together, rounded up.
    pub camera_hours: u64,
    /// Until when an officer is to confirm that so much is held.
    pub confirm_until: Option<Utc>,
    /// When it lapses by itself.
    pub until: Option<Utc>,
}

impl RequestHold {
    pub(super) fn of(request: &Request) -> Self {
        let waits = request.waits_for_confirmation();
        Self {
            request: request.number,
            cameras: request.cameras.clone(),
            span: request.span,
            state: request.state.name(),
            placed: request.entered,
            camera_hours: request.camera_time().as_secs().div_ceil(3_600),
            confirm_until: waits.then(|| request.entered.saturating_add(CONFIRM_WITHIN)),
            until: request.state.hold_until(),
        }
    }
}

impl Request {
    fn camera_time(&self) -> Duration {
        self.span.length().saturating_mul(u32::try_from(self.cameras.len()).unwrap_or(u32::MAX))
    }

    /// Whether so much is held for it that an officer is to confirm it. Deciding it is confirming it.
    pub fn waits_for_confirmation(&self) -> bool {
        self.holds() && !self.hold_is_confirmed && self.state.is_undecided() && self.camera_time() > BIG
    }
}

/// An officer's hold, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct HoldView {
    pub hold: HoldId,
    /// What changes it may say which version it saw (`If-Match`).
    pub version: u64,
    pub reason: HoldReason,
    pub text: Option<String>,
    pub owner: Option<AccountId>,
    /// Who else stands by it.
    pub approver: Option<AccountId>,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub placed: Utc,
    pub review: Utc,
    pub review_is_due: bool,
    pub ends: Option<Utc>,
    pub state: &'static str,
    pub ended: Option<Utc>,
    pub end: Option<HoldEnd>,
}

/// All holds, and what they keep.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct HoldsView {
    pub holds: Vec<HoldView>,
    pub of_requests: Vec<RequestHold>,
    pub footage: HeldFootage,
    /// The held footage's share of all volumes.
    pub share_percent: Option<u8>,
}

impl HoldState {
    fn name(self) -> &'static str {
        match self {
            HoldState::Ordered { .. } => "ordered",
            HoldState::Confirmed { .. } => "confirmed",
            HoldState::Ended { .. } => "ended",
        }
    }
}

impl NewHold {
    fn check(&self, now: Utc) -> Result<(), AccessError> {
        check_cameras(&self.cameras)?;
        check_text("text", &self.text, true)?;
        check_terms(self.review, self.ends, now)
    }
}

/// A review comes, and soon enough; an end comes, and not before the review.
fn check_terms(review: Utc, ends: Option<Utc>, now: Utc) -> Result<(), AccessError> {
    let bad = |field, what| Err(AccessError::BadInput { field, what });
    if review <= now || review > now.saturating_add(REVIEW_WITHIN) {
        return bad("review", "must be ahead, and within 90 days");
    }
    if ends.is_some_and(|ends| ends < review) {
        return bad("ends", "must not come before the review");
    }
    Ok(())
}

impl Access {
    /// Holds footage by an officer's order. It is frozen before this answers; another officer is to confirm it.
    ///
    /// # Errors
    /// What is wrong with the input; [`AccessError::Unavailable`] where nothing is left to hold;
    /// [`AccessError::NotRecorded`], and then nothing is held.
    pub fn place_hold(&self, caller: &Caller, new: NewHold) -> Result<HoldView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        new.check(self.now())?;
        let later = self.later();
        self.must_be_filmed(&new.cameras, new.span, later)?;
        let _turn = self.turn();
        self.must_take_rows()?;
        let hold = self.registry().next_hold();
        let of = HeldFor::Hold(hold);
        let text = self.desk.store(&self.requests_dir, of, &Text { text: new.text })?;
        let NewHold { reason, cameras, span, review, ends, .. } = new;
        self.holds().place(Hold { of, cameras: cameras.clone(), span })?;
        let left = match self.nothing_left(&cameras, span, later) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(AccessError::Unavailable { why }),
            Err(e) => Err(e),
        };
        let ordered = Act::HoldOrdered { hold, reason, text, cameras, span, review, ends };
        if let Err(e) = left.and_then(|()| self.record_made(caller, ordered).map(drop)) {
            if !e.row_may_stand() {
                self.holds().release(of)?;
            }
            return Err(e);
        }
        self.hold(caller, hold)
    }

    /// Another officer stands by a hold: by the terms of an officer's, or by the size of a request's own. The password is
    /// asked again.
    ///
    /// # Errors
    /// [`AccessError::OwnHold`] for its owner, [`AccessError::FourEyes`] for who entered the request; as
    /// [`Access::release_hold`].
    pub fn confirm_hold(&self, caller: &Caller, of: HeldFor, password: &str) -> Result<(), AccessError> {
        caller.must_be(&[Role::Officer])?;
        self.with_release_key(caller, password, |_| {
            let _turn = self.turn();
            match of {
                HeldFor::Request(request) => {
                    self.registry().must_be_as_seen(caller, Thing::Request(request))?;
                    let found = self.find_request(request)?;
                    if found.entered_by == Some(caller.account()) {
                        return Err(AccessError::FourEyes);
                    }
                    if !found.waits_for_confirmation() {
                        return Err(AccessError::WrongState { state: "not waiting for a confirmation of its hold" });
                    }
                }
                HeldFor::Hold(hold) => self.must_be_anothers(caller, hold, &Act::HoldConfirmed { of })?,
            }
            self.record(caller.actor(), Act::HoldConfirmed { of }).map(drop)
        })
    }

    /// A hold was looked at again, and stays: with a new day of review, and a new end or none. If its owner says so,
    /// another officer is to confirm it anew.
    ///
    /// # Errors
    /// [`AccessError::NoSuchHold`]; [`AccessError::WrongHoldState`] for one that has ended: what it covered may be gone.
    pub fn extend_hold(
        &self,
        caller: &Caller,
        hold: HoldId,
        review: Utc,
        ends: Option<Utc>,
    ) -> Result<HoldView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        check_terms(review, ends, self.now())?;
        let _turn = self.turn();
        let act = Act::HoldExtended { hold, review, ends };
        self.hold_must_follow(caller, hold, &act)?;
        self.record(caller.actor(), act)?;
        self.hold(caller, hold)
    }

    /// Ends an officer's hold. What is past its day and held by nothing else is then destroyed. The password is asked again.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`]; [`AccessError::NoSuchHold`]; [`AccessError::WrongHoldState`] for one that has
    /// ended; [`AccessError::OwnHold`] for its owner; [`AccessError::NotRecorded`], and then it still stands.
    pub fn release_hold(&self, caller: &Caller, hold: HoldId, password: &str) -> Result<HoldView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        self.with_release_key(caller, password, |_| {
            let _turn = self.turn();
            let act = Act::HoldEnded { hold, end: HoldEnd::Released };
            self.must_be_anothers(caller, hold, &act)?;
            self.record(caller.actor(), act)?;
            let released = self.holds().release(HeldFor::Hold(hold));
            self.tidied(released)
        })?;
        self.hold(caller, hold)
    }

    /// Ends the holds whose end has come, by the trusted clock.
    pub(super) fn lapse_holds(&self) -> Result<(), AccessError> {
        let over = |access: &Self| access.registry().holds_over(access.now());
        if over(self) == (Vec::new(), Vec::new()) {
            return Ok(());
        }
        let _turn = self.turn();
        // Asked anew in this turn: an officer may have extended one, or somebody may have objected.
        let (requests, holds) = over(self);
        let requests = requests.into_iter().map(|request| (HeldFor::Request(request), Act::HoldReleased { request }));
        let lapsed = |hold| (HeldFor::Hold(hold), Act::HoldEnded { hold, end: HoldEnd::Lapsed });
        for (of, act) in requests.chain(holds.into_iter().map(lapsed)) {
            self.record(Actor::Daemon, act)?;
            let released = self.holds().release(of);
            self.tidied(released)?;
        }
        Ok(())
    }

    /// One officer's hold.
    ///
    /// # Errors
    /// [`AccessError::NoSuchHold`].
    pub fn hold(&self, caller: &Caller, hold: HoldId) -> Result<HoldView, AccessError> {
        caller.must_be(&[Role::Officer, Role::Auditor])?;
        let found = self.find_hold(hold)?;
        Ok(self.hold_view(caller, &found))
    }

    /// All holds, newest first, and what they keep.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers and auditors.
    pub fn all_holds(&self, caller: &Caller) -> Result<HoldsView, AccessError> {
        caller.must_be(&[Role::Officer, Role::Auditor])?;
        let (holds, of_requests) = {
            let registry = self.registry();
            let ordered: Vec<OrderedHold> = registry.holds.values().rev().cloned().collect();
            let asked = registry.requests.values().rev().filter(|request| request.holds());
            (ordered, asked.map(RequestHold::of).collect())
        };
        let footage = self.held_footage()?;
        Ok(HoldsView {
            holds: holds.iter().map(|hold| self.hold_view(caller, hold)).collect(),
            of_requests,
            footage,
            share_percent: self.held_share_percent(&footage),
        })
    }

    fn find_hold(&self, hold: HoldId) -> Result<OrderedHold, AccessError> {
        self.registry().holds.get(&hold).cloned().ok_or(AccessError::NoSuchHold)
    }

    /// Whether the hold's state lets an act follow: of two people at once, one is told of the other.
    fn hold_must_follow(&self, caller: &Caller, hold: HoldId, act: &Act) -> Result<OrderedHold, AccessError> {
        let found = self.find_hold(hold)?;
        self.registry().must_be_as_seen(caller, Thing::Hold(hold))?;
        match found.state.apply(act, found.owner, Some(caller.account()), self.now()) {
            Some(_) => Ok(found),
            None => Err(AccessError::WrongHoldState { state: found.state.name() }),
        }
    }

    fn must_be_anothers(&self, caller: &Caller, hold: HoldId, act: &Act) -> Result<(), AccessError> {
        if self.find_hold(hold)?.owner == Some(caller.account()) {
            return Err(AccessError::OwnHold);
        }
        self.hold_must_follow(caller, hold, act).map(drop)
    }

    fn hold_view(&self, caller: &Caller, hold: &OrderedHold) -> HoldView {
        let of = HeldFor::Hold(hold.number);
        let read = |desk| self.desk.read::<Text>(&self.requests_dir, of, hold.text, desk);
        // One file that is damaged must not take the list of all the others away.
        let text = caller.desk().filter(|_| self.paper_erased(of).is_none()).and_then(|desk| {
            let told = read(desk);
            told.inspect_err(|e| tracing::error!(hold = %hold.number, error = ?e, "a hold's text cannot be read")).ok()
        });
        let (approver, ended) = match hold.state {
            HoldState::Ordered { .. } => (None, None),
            HoldState::Confirmed { by } => (Some(by), None),
            HoldState::Ended { at, end } => (None, Some((at, end))),
        };
        HoldView {
            hold: hold.number,
            version: self.version_of(Thing::Hold(hold.number)),
            reason: hold.reason,
            text: text.map(|text| text.text),
            owner: hold.owner,
            approver,
            cameras: hold.cameras.clone(),
            span: hold.span,
            placed: hold.placed,
            review: hold.review,
            review_is_due: hold.holds() && hold.review <= self.now(),
            ends: hold.ends,
            state: hold.state.name(),
            ended: ended.map(|(at, _)| at),
            end: ended.map(|(_, end)| end),
        }
    }
}
