//! Erasure on a person's request (PIPA 36): whole segments, after an officer's decision.
//!
//! What another hold covers stays, and what stands under a floor until its day; the decision says which, and an officer
//! decides knowingly that a part is erased.
//!
//! Order, all of it under the lock of the holds, so that no hold comes in between: what is free is looked up → the row of
//! the decision → the row of the own hold's end → the hold → the segments are condemned. From the condemning on nobody sees
//! them, under any grant. After a crash behind the decision's row a start carries on (A5): before anybody is answered, and
//! before the eraser runs.

use super::decisions::narrowed;
use super::requested::Request;
use super::requests::A_VOLUME_IS_AWAY;
use super::{Access, AccessError, Approval, Caller, RequestView};
use crate::domain::request::RequestKind;
use crate::domain::{CameraNumber, DestructionTrigger, HeldFor, RequestId, Retention, Role, Span, Utc};
use crate::ledger::{Act, Decision, GrantedView, KeptFor, KeptView};
use crate::vault::{Holds, LiveSegment, NotCondemned};

/// What an officer decides of an erasure: wholly, or in fewer cameras and a shorter span.
#[derive(Clone, Debug, Default)]
pub struct Erasure {
    pub cameras: Option<Vec<CameraNumber>>,
    pub span: Option<Span>,
    /// Whether it is decided as well where a part must stay.
    pub partly: bool,
}

/// What can go now, and what stays.
#[derive(Default)]
struct SortedOut {
    free: Vec<LiveSegment>,
    kept: Vec<KeptView>,
}

impl SortedOut {
    fn keep(&mut self, live: &LiveSegment, why: KeptFor) {
        // Neighbours that stay for the same reason are one stretch.
        match self.kept.last_mut() {
            Some(last) if last.camera == live.camera && last.why == why => last.span = last.span.hull(live.span),
            _ => self.kept.push(KeptView { camera: live.camera, span: live.span, why }),
        }
    }

    /// The stretches that go. Between two of one there is no segment that stays.
    fn erased(&self) -> Vec<GrantedView> {
        let mut erased: Vec<GrantedView> = Vec::new();
        let stays = |camera, hull: Span| self.kept.iter().any(|kept| kept.camera == camera && kept.span.overlaps(hull));
        for live in &self.free {
            match erased.last_mut() {
                Some(last) if last.camera == live.camera && !stays(live.camera, last.span.hull(live.span)) => {
                    last.span = last.span.hull(live.span);
                }
                _ => erased.push(GrantedView { camera: live.camera, span: live.span }),
            }
        }
        erased
    }
}

impl Access {
    /// Erases what a request asks to be erased. The officer's password is asked for, as for an approval.
    ///
    /// # Errors
    /// As [`Access::approve`]; [`AccessError::MustStay`] where something stays and that was not decided, or all of it does.
    pub fn erase(
        &self,
        caller: &Caller,
        request: RequestId,
        erasure: &Erasure,
        password: &str,
    ) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Officer])?;
        let proposed = self.proposed_erasure(request, erasure)?;
        let (found, _) = self.begin_decision(caller, request, &proposed, password)?;
        let done = self.with_release_key(caller, password, |_| {
            if found.kind != RequestKind::Erasure {
                return Err(AccessError::BadInput {
                    field: "decision",
                    what: "this request does not ask for an erasure",
                });
            }
            self.erase_now(caller, &found, erasure)
        });
        self.registry().deciding.remove(&request);
        done?;
        self.request(caller, request)
    }

    fn erase_now(&self, caller: &Caller, found: &Request, erasure: &Erasure) -> Result<(), AccessError> {
        let Erasure { cameras, span, partly } = erasure.clone();
        let (cameras, span) = narrowed(found, &Approval { cameras, span, ..Approval::default() })?;
        if !self.vault.away().is_empty() {
            return Err(AccessError::Unavailable { why: A_VOLUME_IS_AWAY.into() });
        }
        let _turn = self.turn();
        let own = HeldFor::Request(found.number);
        let mut holds = self.holds();
        let sorted = self.sort_out(&cameras, span, own, &holds)?;
        if sorted.free.is_empty() && sorted.kept.is_empty() {
            return Err(AccessError::Unavailable { why: "nothing is left of it".into() });
        }
        if sorted.free.is_empty() || (!sorted.kept.is_empty() && !partly) {
            return Err(AccessError::MustStay { kept: in_words(&sorted.kept), all: sorted.free.is_empty() });
        }
        let segments = u32::try_from(sorted.free.len()).unwrap_or(u32::MAX);
        let decision = Decision::Erased { erased: sorted.erased(), segments, kept: sorted.kept.clone() };
        let request = found.number;
        let act = Act::RequestDecided { request, decision };
        self.must_follow(request, &act)?;
        self.must_be_undisputed(request, &found.cameras, found.span)?;
        self.record(caller.actor(), act)?;
        self.checkpoint_decision();
        // It is decided. What fails from here on is carried on later.
        let mut told = self.record(caller.actor(), Act::HoldReleased { request }).map(drop);
        let released = holds.release(own);
        told = told.and(self.tidied(released));
        told.and(self.condemn(&sorted.free, &holds))
    }

    /// Carries on what crashes or failures left of decided erasures.
    pub(super) fn carry_on_erasures(&self) -> Result<(), AccessError> {
        let decided: Vec<(RequestId, Vec<GrantedView>)> = self.registry().erasures();
        for (request, views) in decided {
            let mut holds = self.holds();
            let own = HeldFor::Request(request);
            let released = self.find_request(request)?.hold_has_ended;
            if !released {
                self.record(crate::ledger::Actor::Daemon, Act::HoldReleased { request })?;
            }
            holds.release(own)?;
            let mut free = Vec::new();
            for GrantedView { camera, span } in views {
                let live = self.vault.live_segments(camera, span, self.later())?;
                free.extend(live.into_iter().filter(|live| span.hull(live.span) == span));
            }
            if !free.is_empty() {
                tracing::warn!(%request, segments = free.len(), "an erasure that was decided is carried on");
                self.condemn(&free, &holds)?;
            }
        }
        Ok(())
    }

    fn condemn(&self, segments: &[LiveSegment], holds: &Holds) -> Result<(), AccessError> {
        let told = self.vault.condemn(segments, holds, DestructionTrigger::ErasureRequest, self.now());
        let told = match told {
            Ok(told) => told,
            Err(e) => return self.tidied(Err(e)),
        };
        for (_, segment, why) in told.refused.iter().filter(|(.., why)| *why != NotCondemned::Gone) {
            tracing::error!(%segment, ?why, "a segment that was to be erased stays for now");
        }
        Ok(())
    }

    fn sort_out(
        &self,
        cameras: &[CameraNumber],
        span: Span,
        own: HeldFor,
        holds: &Holds,
    ) -> Result<SortedOut, AccessError> {
        let (mut sorted, now) = (SortedOut::default(), self.now());
        for camera in cameras {
            for live in self.vault.live_segments(*camera, span, self.later())? {
                match must_stay(&live, own, holds, now) {
                    Some(why) => sorted.keep(&live, why),
                    None => sorted.free.push(live),
                }
            }
        }
        Ok(sorted)
    }
}

fn must_stay(live: &LiveSegment, own: HeldFor, holds: &Holds, now: Utc) -> Option<KeptFor> {
    if let Some(by) = holds.others(own, live.camera, live.span).next() {
        return Some(KeptFor::Held { by });
    }
    match live.retention {
        Retention::Floor(_) if live.expires > now => Some(KeptFor::Floor { until: live.expires }),
        Retention::Floor(_) | Retention::Ceiling(_) if live.is_open => Some(KeptFor::Recording),
        Retention::Floor(_) | Retention::Ceiling(_) => None,
    }
}

/// What stays, in words.
pub(super) fn in_words(kept: &[KeptView]) -> String {
    let one = |kept: &KeptView| format!("camera {} from {} ({})", kept.camera, kept.span, kept.why);
    kept.iter().map(one).collect::<Vec<_>>().join("; ")
}
