//! The decision. To approve is to hand over keys: the day keys needed are opened with the officer's release key, then
//! the data keys of exactly the approved segments, and those are sealed to the viewer.
//!
//! Order: slots staged and flushed → ledger row naming their digest → checkpoint. Without the row the slots are
//! destroyed: here where it is certain that there is none, else at the next start (A6).

use super::partial::without_copy;
use super::requested::Request;
use super::requests::A_VOLUME_IS_AWAY;
use super::submission::check_basis;
use super::texts::check_text;
use super::versions::Thing;
use super::{Access, AccessError, Caller, Person, RequestView};
use crate::access::nameless::debug_tells_its_name_alone;
use crate::crypto::{DataKey, PrivateKey, Unopened};
use crate::domain::request::{HandOverForm, PostponementCause, RefusalGround, RequestKind};
use crate::domain::{AccountId, CameraNumber, RequestId, Role, Span, Utc};
use crate::ledger::{Act, Decision, GrantConditions, GrantedView, ProposedDecision, ReasonText};
use crate::segment::SegmentHead;
use crate::vault::{GRANT_SEGMENTS_LIMIT, LiveSegment, StagedSlot, VaultError};
use serde::Serialize;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const TERMINAL_LIMIT_CHARS: usize = 100;
/// How long a grant lasts where the officer names no end.
const DEFAULT_GRANT: Duration = Duration::from_secs(7 * 86_400);

/// An approval: wholly, or partly in cameras, span, or without the copy that was asked for.
#[derive(Clone, Debug, Default)]
pub struct Approval {
    /// Who may watch; an existence check has none.
    pub viewer: Option<AccountId>,
    pub cameras: Option<Vec<CameraNumber>>,
    pub span: Option<Span>,
    pub ends: Option<Utc>,
    /// Within what it may be watched.
    pub conditions: GrantConditions,
    /// Why the rest is not approved, where a part of it is (Decree 42).
    pub rest: Option<Refusal>,
}

/// A refusal: its ground in law, and the reason in words.
#[derive(Clone)]
pub struct Refusal {
    pub ground: RefusalGround,
    pub reason: String,
}

/// A postponement: why, and when a decision is expected.
#[derive(Clone)]
pub struct Postponement {
    pub cause: PostponementCause,
    pub reason: String,
    pub until: Utc,
}

/// How far a decision under way has come: on a hard disk, to hand over a day of a camera takes many seconds.
#[derive(Debug, Default)]
pub(super) struct Deciding {
    done: AtomicU32,
    total: AtomicU32,
}

/// The same as it is told: steps done, and all that there are; none are known before the footage was looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct Steps {
    pub done: u32,
    pub total: u32,
}

impl Deciding {
    pub(super) fn steps(&self) -> Steps {
        Steps { done: self.done.load(Ordering::Relaxed), total: self.total.load(Ordering::Relaxed) }
    }

    /// There are so many steps more.
    pub(super) fn await_steps(&self, steps: usize) {
        self.total.fetch_add(u32::try_from(steps).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(super) fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Access {
    /// Approves a request. The officer's password opens the release key for this one decision.
    ///
    /// # Errors
    /// [`AccessError::WrongCredentials`], [`AccessError::FourEyes`], [`AccessError::WrongState`],
    /// [`AccessError::Unavailable`] where nothing is left; [`AccessError::NotRecorded`], and then nothing is granted.
    pub fn approve(
        &self,
        caller: &Caller,
        request: RequestId,
        approval: &Approval,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        let proposed = self.proposed_approval(request, approval)?;
        let (found, deciding) = self.begin_decision(caller, request, &proposed, password)?;
        let done = self.with_release_key(caller, password, |release| match found.kind {
            RequestKind::ExistenceCheck => self.confirm(caller, &found),
            RequestKind::Erasure => {
                Err(AccessError::BadInput { field: "decision", what: "an erasure is decided as one" })
            }
            RequestKind::Viewing
            | RequestKind::Copy
            | RequestKind::Provision
            | RequestKind::OwnUse
            | RequestKind::OperatingRoomAuthority
            | RequestKind::OperatingRoomMediation
            | RequestKind::OperatingRoomConsent => self.hand_over(caller, &found, approval, (release, &deciding)),
        });
        self.registry().deciding.remove(&request);
        done?;
        self.request(caller, request)
    }

    /// Answers that nothing is left of what was asked for, with the cause. It is looked up: nobody says so of what is there.
    ///
    /// # Errors
    /// As [`Access::approve`]; [`AccessError::BadInput`] where something is left, or may be.
    pub fn find_unavailable(
        &self,
        caller: &Caller,
        request: RequestId,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        let (found, _) = self.begin_decision(caller, request, &ProposedDecision::Unavailable, password)?;
        let done = self.with_release_key(caller, password, |_| {
            let left = self.nothing_left(&found.cameras, found.span, self.later())?;
            let what = "something of it is left, or may be: look at what footage there is";
            let reason = left.ok_or(AccessError::BadInput { field: "decision", what })?;
            self.end_request(caller, request, Act::RequestUnavailable { request, reason })?;
            self.checkpoint_decision();
            Ok(())
        });
        self.registry().deciding.remove(&request);
        done?;
        self.request(caller, request)
    }

    /// Refuses a request.
    ///
    /// # Errors
    /// As [`Access::approve`].
    pub fn refuse(
        &self,
        caller: &Caller,
        request: RequestId,
        refusal: &Refusal,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        check_text("reason", &refusal.reason, true)?;
        let (ground, reason) = (refusal.ground, ReasonText::Clear(refusal.reason.clone()));
        let proposed = ProposedDecision::Refuse { ground, reason: reason.clone() };
        let objection_until = Some(self.now().saturating_add(self.periods.objection));
        let decision = Decision::Refused { ground, reason, objection_until };
        self.decide(caller, request, (&proposed, decision), password)
    }

    /// Postpones the decision of a request: it stays open, and what it asks for stays held. The duty to answer in time
    /// stays too.
    ///
    /// # Errors
    /// As [`Access::approve`].
    pub fn postpone(
        &self,
        caller: &Caller,
        request: RequestId,
        postponement: &Postponement,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        check_postponement(postponement, self.now())?;
        let (cause, until) = (postponement.cause, postponement.until);
        let reason = ReasonText::Clear(postponement.reason.clone());
        let proposed = ProposedDecision::Postpone { cause, reason: reason.clone(), until };
        let decision = Decision::Postponed { reason, until, cause: Some(cause) };
        self.decide(caller, request, (&proposed, decision), password)
    }

    /// A decision that hands nothing over.
    fn decide(
        &self,
        caller: &Caller,
        request: RequestId,
        (proposed, decision): (&ProposedDecision, Decision),
        password: &str,
    ) -> Result<RequestView, AccessError> {
        self.begin_decision(caller, request, proposed, password)?;
        let done = self.with_release_key(caller, password, |_| self.record_decision(caller, request, decision));
        self.registry().deciding.remove(&request);
        done?;
        self.request(caller, request)
    }

    /// Writes a decision's row, if the request still waits for one: it may have been taken back, or come into dispute, since
    /// the decision was begun.
    fn record_decision(&self, caller: &Caller, request: RequestId, decision: Decision) -> Result<(), AccessError> {
        let _turn = self.turn();
        let waits = matches!(decision, Decision::Postponed { .. });
        let act = Act::RequestDecided { request, decision };
        let found = self.must_follow(request, &act)?;
        if !waits {
            self.must_be_undisputed(request, &found.cameras, found.span)?;
        }
        self.record(caller.actor(), act)?;
        self.checkpoint_decision();
        Ok(())
    }

    /// Checks who decides what, and marks the request, so that of two officers one is told to wait (trap 10).
    pub(super) fn begin_decision(
        &self,
        caller: &Caller,
        request: RequestId,
        proposed: &ProposedDecision,
        password: &str,
    ) -> Result<(Request, Arc<Deciding>), AccessError> {
        caller.must_be(&[Role::Officer])?;
        if password.is_empty() {
            return Err(AccessError::WrongCredentials);
        }
        let mut registry = self.registry();
        let found = registry.requests.get(&request).cloned().ok_or(AccessError::NoSuchRequest)?;
        caller.must_reach(&found.cameras)?;
        registry.must_be_as_seen(caller, Thing::Request(request))?;
        let decided = Act::RequestDecided { request, decision: Decision::Confirmed { exists: false } };
        if found.state.apply(&decided, self.now()).is_none() {
            return Err(AccessError::WrongState { state: found.state.name() });
        }
        if found.entered_by == Some(caller.account()) {
            return Err(AccessError::FourEyes);
        }
        let disputed = registry.disputes.over_request(request, &found.cameras, found.span);
        if let Some(dispute) = disputed.filter(|_| !matches!(proposed, ProposedDecision::Postpone { .. })) {
            return Err(dispute.refusal());
        }
        self.must_be_seconded(caller, &found, proposed)?;
        match registry.deciding.entry(request) {
            Entry::Occupied(_) => Err(AccessError::WrongState { state: "being decided by somebody else" }),
            Entry::Vacant(place) => Ok((found, Arc::clone(place.insert(Arc::default())))),
        }
    }

    /// Tries the password of an officer who is signed in: an act that counts is theirs, not that of whoever found their
    /// screen. It opens the release key.
    pub(super) fn with_release_key(
        &self,
        caller: &Caller,
        password: &str,
        act: impl FnOnce(&PrivateKey) -> Result<(), AccessError>,
    ) -> Result<(), AccessError> {
        self.with_key(caller, || self.people.open_release(caller.account(), password), act)
    }

    /// The same with any key that the person's password opens.
    pub(super) fn with_key(
        &self,
        caller: &Caller,
        open: impl FnOnce() -> Result<PrivateKey, Unopened>,
        act: impl FnOnce(&PrivateKey) -> Result<(), AccessError>,
    ) -> Result<(), AccessError> {
        let (name, address) = (&caller.person().name, caller.address());
        self.sessions.begin_try(name, address)?;
        match open() {
            Ok(key) => {
                self.check_second_factor(caller.account(), caller.private(), caller.code(), address)?;
                self.sessions.forget_failures(name, address);
                act(&key)
            }
            Err(_) => {
                self.note_failure(Some(caller.account()), address)?;
                Err(AccessError::WrongCredentials)
            }
        }
    }

    fn confirm(&self, caller: &Caller, found: &Request) -> Result<(), AccessError> {
        let mut exists = false;
        for camera in &found.cameras {
            exists |= !self.vault.live_segments(*camera, found.span, self.later())?.is_empty();
        }
        if !exists && !self.vault.away().is_empty() {
            return Err(AccessError::Unavailable { why: A_VOLUME_IS_AWAY.into() });
        }
        self.record_decision(caller, found.number, Decision::Confirmed { exists })
    }

    /// A decision has its row: whether the checkpoint after it can be written changes nothing about it, and the regular
    /// one follows.
    pub(super) fn checkpoint_decision(&self) {
        if let Err(e) = self.checkpoint() {
            tracing::error!(error = ?e, "the checkpoint after a decision could not be written");
        }
    }

    fn hand_over(
        &self,
        caller: &Caller,
        found: &Request,
        approval: &Approval,
        (release, deciding): (&PrivateKey, &Deciding),
    ) -> Result<(), AccessError> {
        let bad = |field, what| AccessError::BadInput { field, what };
        let (cameras, span) = narrowed(found, approval)?;
        let viewer = self.viewer_of(caller, approval, &cameras)?;
        let now = self.later();
        let conditions = &approval.conditions;
        check_conditions(found, conditions, now)?;
        if let Some(provision) = found.terms.and_then(|terms| terms.provision) {
            check_basis(provision.basis, &self.periods.requests)?;
        }
        self.must_be_the_right_way(found.kind, &cameras, span, now)?;
        let ends = approval.ends.unwrap_or(now.saturating_add(DEFAULT_GRANT));
        if ends <= now {
            return Err(bad("ends", "is in the past"));
        }
        self.check_conditions(&approval.conditions, ends)?;
        let mut views = Vec::new();
        let mut heads: Vec<(LiveSegment, SegmentHead)> = Vec::new();
        for camera in cameras {
            let found = self.vault.live_segments(camera, span, now)?;
            // Each is read and opened.
            deciding.await_steps(2 * found.len());
            let read = self.vault.heads(&found, now, &|| deciding.step());
            let whole: Vec<_> = read.into_iter().filter_map(unless_damaged).collect();
            let live: Vec<LiveSegment> = whole.iter().map(|(live, _)| *live).collect();
            if let Some(from) = self.decodable_from(&live, span.from(), now)? {
                let span = Span::new(from, span.to()).map_err(|_| bad("span", "is empty"))?;
                views.push(GrantedView { camera, span });
                heads.extend(whole);
            }
        }
        if heads.len() > GRANT_SEGMENTS_LIMIT {
            return Err(bad(
                "span",
                "is more than one grant can hold (16,384 segments); approve fewer cameras or a part",
            ));
        }
        let keys = self.vault.open_keys_of(&heads, release, &|| deciding.step())?;
        let keys: Vec<(LiveSegment, DataKey)> = keys.into_iter().filter_map(unless_damaged).collect();
        if keys.is_empty() {
            let why = if self.vault.away().is_empty() { "nothing is left of it" } else { A_VOLUME_IS_AWAY };
            return Err(AccessError::Unavailable { why: why.into() });
        }
        let is_less = views.len() < found.cameras.len() || span != found.span;
        let rest = self.rest_of_approval(found, approval, &views, now)?;
        let partly_until =
            (is_less || without_copy(found, approval)).then(|| self.now().saturating_add(self.periods.objection));
        let _turn = self.turn();
        // It may have been taken back, or come into dispute, while its footage was read.
        let seen = Act::RequestDecided { request: found.number, decision: Decision::Confirmed { exists: true } };
        self.must_follow(found.number, &seen)?;
        self.must_be_undisputed(found.number, &found.cameras, found.span)?;
        self.must_take_rows()?;
        let grant = self.registry().next_grant();
        let staged = keys
            .iter()
            .map(|(live, key)| StagedSlot::seal(grant, &viewer.key, live.volume, live.segment, key))
            .collect::<Result<Vec<_>, _>>()?;
        let slots = self.grants.stage(grant, &viewer.key, &staged)?;
        let count = u32::try_from(staged.len()).unwrap_or(u32::MAX);
        let (viewer, conditions) = (viewer.account, conditions.clone());
        let segments = count;
        let decision =
            Decision::Approved { grant, viewer, views, ends, segments, slots, conditions, partly_until, rest };
        let recorded = self.record(caller.actor(), Act::RequestDecided { request: found.number, decision });
        if let Err(e) = recorded {
            if !e.row_may_stand() {
                self.grants.destroy(grant)?;
            }
            return Err(e);
        }
        self.checkpoint_decision();
        Ok(())
    }

    /// Who is to watch: another than who decides, unless the site allows it.
    fn viewer_of(&self, caller: &Caller, approval: &Approval, cameras: &[CameraNumber]) -> Result<Person, AccessError> {
        let bad = |what| AccessError::BadInput { field: "viewer", what };
        let officers_may = self.periods.requests.decider_may_view;
        let watches = |role| role == Role::Viewer || (role == Role::Officer && officers_may);
        let found = approval.viewer.and_then(|viewer| self.person_of(viewer)).filter(|person| watches(person.role));
        let viewer = found.ok_or(bad("is wanted: an account of role viewer"))?;
        if viewer.account == caller.account() && !officers_may {
            return Err(AccessError::OwnDecision);
        }
        if cameras.iter().any(|camera| !viewer.reaches(*camera)) {
            return Err(bad("may not see all of these cameras"));
        }
        Ok(viewer)
    }

    /// Where viewing must begin so that `from` can be decoded: the key frame at or before it in the first segment, or
    /// the first one after. `None` where there is none.
    fn decodable_from(&self, live: &[LiveSegment], from: Utc, now: Utc) -> Result<Option<Utc>, AccessError> {
        for segment in live {
            let reader = self.vault.read(segment, now)?;
            let Ok(fragments) = reader.fragments() else { continue };
            let keys = fragments.iter().filter(|fragment| fragment.entry.sync);
            let before = keys.clone().rfind(|fragment| fragment.from <= from);
            if let Some(key) = before.or_else(|| keys.clone().next()) {
                return Ok(Some(key.from));
            }
        }
        Ok(None)
    }
}

pub(super) fn check_postponement(postponement: &Postponement, now: Utc) -> Result<(), AccessError> {
    check_text("reason", &postponement.reason, true)?;
    if postponement.until <= now {
        return Err(AccessError::BadInput { field: "until", what: "is in the past" });
    }
    Ok(())
}

/// Nobody gets more than they asked for, and nothing that cannot be kept to.
pub(super) fn check_conditions(found: &Request, conditions: &GrantConditions, now: Utc) -> Result<(), AccessError> {
    let bad = |field, what| Err(AccessError::BadInput { field, what });
    let provided = found.terms.and_then(|terms| terms.provision).map(|provision| provision.form);
    let may_be_copied = found.kind.may_be_copied() && provided != Some(HandOverForm::Viewing);
    if conditions.copy && !may_be_copied {
        return bad("copy", "was not asked for: enter a request for a copy");
    }
    if conditions.viewings == Some(0) {
        return bad("viewings", "must be at least 1");
    }
    if let Some(terminal) = &conditions.terminal {
        check_text("terminal", terminal, true)?;
        if terminal.chars().count() > TERMINAL_LIMIT_CHARS {
            return bad("terminal", "is too long; 100 characters are allowed");
        }
    }
    match conditions.appointment {
        Some(appointment) if appointment.to() <= now => bad("appointment", "is in the past"),
        Some(_) | None => Ok(()),
    }
}

/// One bad segment must not keep its neighbours from who asked for them.
fn unless_damaged<T>((live, told): (LiveSegment, Result<T, VaultError>)) -> Option<(LiveSegment, T)> {
    match told {
        Ok(what) => Some((live, what)),
        Err(e) => {
            tracing::error!(segment = %live.segment, error = %e, "a segment is left out: it is damaged");
            None
        }
    }
}

/// The cameras and span of an approval: those asked for, or a part of them.
pub(super) fn narrowed(found: &Request, approval: &Approval) -> Result<(Vec<CameraNumber>, Span), AccessError> {
    let bad = |field, what| Err(AccessError::BadInput { field, what });
    let cameras = approval.cameras.clone().unwrap_or_else(|| found.cameras.clone());
    if cameras.is_empty() || cameras.iter().any(|camera| !found.cameras.contains(camera)) {
        return bad("cameras", "must be among those asked for");
    }
    let span = approval.span.unwrap_or(found.span);
    if found.span.intersection(span) != Some(span) {
        return bad("span", "must be within the one asked for");
    }
    Ok((cameras, span))
}

debug_tells_its_name_alone!(Refusal, Postponement);
