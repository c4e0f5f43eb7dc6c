//! The decision. To approve is to hand over keys: the day keys needed are opened with the officer's release key, then
//! the data keys of exactly the approved segments, and those are sealed to the viewer.
//!
//! Order: slots staged and flushed → ledger row naming their digest → checkpoint. Without the row the slots are
//! destroyed, here or at the next start.

use super::registry::Request;
use super::requests::A_VOLUME_IS_AWAY;
use super::texts::check_text;
use super::versions::Thing;
use super::{Access, AccessError, Caller, RequestView};
use crate::crypto::{DataKey, PrivateKey};
use crate::domain::request::{RefusalGround, RequestKind};
use crate::domain::{AccountId, CameraNumber, RequestId, Role, Span, Utc};
use crate::ledger::{Act, Decision, GrantedView};
use crate::segment::SegmentHead;
use crate::vault::{GRANT_SEGMENTS_LIMIT, LiveSegment, StagedSlot, VaultError};
use serde::Serialize;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a grant lasts where the officer names no end.
const DEFAULT_GRANT: Duration = Duration::from_secs(7 * 86_400);

/// An approval: wholly, or partly in cameras and span.
#[derive(Clone, Debug)]
pub struct Approval {
    /// Who may watch; an existence check has none.
    pub viewer: Option<AccountId>,
    pub cameras: Option<Vec<CameraNumber>>,
    pub span: Option<Span>,
    pub ends: Option<Utc>,
}

/// A refusal: its ground in law, and the reason in words.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub ground: RefusalGround,
    pub reason: String,
}

/// A postponement: why, and when a decision is expected.
#[derive(Clone, Debug)]
pub struct Postponement {
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
        let (found, deciding) = self.begin_decision(caller, request, password)?;
        let done = self.with_release_key(caller, password, |release| match found.kind {
            RequestKind::ExistenceCheck => self.confirm(caller, &found),
            RequestKind::Erasure => {
                Err(AccessError::BadInput { field: "decision", what: "an erasure is decided as one" })
            }
            RequestKind::Viewing => self.hand_over(caller, &found, approval, (release, &deciding)),
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
        let objection_until = Some(self.now().saturating_add(self.periods.objection));
        let decision = Decision::Refused { ground: refusal.ground, reason: refusal.reason.clone(), objection_until };
        self.decide(caller, request, decision, password)
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
        check_text("reason", &postponement.reason, true)?;
        if postponement.until <= self.now() {
            return Err(AccessError::BadInput { field: "until", what: "is in the past" });
        }
        let decision = Decision::Postponed { reason: postponement.reason.clone(), until: postponement.until };
        self.decide(caller, request, decision, password)
    }

    /// A decision that hands nothing over.
    fn decide(
        &self,
        caller: &Caller,
        request: RequestId,
        decision: Decision,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        self.begin_decision(caller, request, password)?;
        let done = self.with_release_key(caller, password, |_| {
            self.record(caller.actor(), Act::RequestDecided { request, decision })?;
            self.checkpoint_decision();
            Ok(())
        });
        self.registry().deciding.remove(&request);
        done?;
        self.request(caller, request)
    }

    /// Checks who decides what, and marks the request, so that of two officers one is told to wait (trap 10).
    pub(super) fn begin_decision(
        &self,
        caller: &Caller,
        request: RequestId,
        password: &str,
    ) -> Result<(Request, Arc<Deciding>), AccessError> {
        caller.must_be(&[Role::Officer])?;
        if password.is_empty() {
            return Err(AccessError::WrongCredentials);
        }
        let mut registry = self.registry();
        let found = registry.requests.get(&request).cloned().ok_or(AccessError::NoSuchRequest)?;
        registry.must_be_as_seen(caller, Thing::Request(request))?;
        let decided = Act::RequestDecided { request, decision: Decision::Confirmed { exists: false } };
        if found.state.apply(&decided, self.now()).is_none() {
            return Err(AccessError::WrongState { state: found.state.name() });
        }
        if found.entered_by == Some(caller.account()) {
            return Err(AccessError::FourEyes);
        }
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
        let (name, address) = (&caller.person().name, caller.address());
        self.sessions.begin_try(name, address)?;
        match self.people.open_release(caller.account(), password) {
            Ok(release) => {
                self.check_second_factor(caller.account(), caller.private(), caller.code(), address)?;
                self.sessions.forget_failures(name, address);
                act(&release)
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
        let decision = Decision::Confirmed { exists };
        self.record(caller.actor(), Act::RequestDecided { request: found.number, decision })?;
        self.checkpoint_decision();
        Ok(())
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
        let viewer = approval
            .viewer
            .and_then(|viewer| self.person_of(viewer))
            .filter(|person| person.role == Role::Viewer)
            .ok_or(bad("viewer", "is wanted: an account of role viewer"))?;
        let (cameras, span) = narrowed(found, approval)?;
        if cameras.iter().any(|camera| !viewer.reaches(*camera)) {
            return Err(bad("viewer", "may not see all of these cameras"));
        }
        let now = self.later();
        let ends = approval.ends.unwrap_or(now.saturating_add(DEFAULT_GRANT));
        if ends <= now {
            return Err(bad("ends", "is in the past"));
        }
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
        let _turn = self.turn();
        let grant = self.registry().next_grant();
        let staged = keys
            .iter()
            .map(|(live, key)| StagedSlot::seal(grant, &viewer.key, live.volume, live.segment, key))
            .collect::<Result<Vec<_>, _>>()?;
        let slots = self.grants.stage(grant, &viewer.key, &staged)?;
        let count = u32::try_from(staged.len()).unwrap_or(u32::MAX);
        let decision = Decision::Approved { grant, viewer: viewer.account, views, ends, segments: count, slots };
        let recorded = self.record(caller.actor(), Act::RequestDecided { request: found.number, decision });
        if let Err(e) = recorded {
            self.grants.destroy(grant)?;
            return Err(e);
        }
        self.checkpoint_decision();
        Ok(())
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
