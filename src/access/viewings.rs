//! Viewings: each is one sitting in front of what a grant names, within what the decision bound it to.
//!
//! ```text
//! ViewingBegun (row) ─▶ under way ─ by its viewer, idle, over, session or grant ended, not recorded ─▶ ViewingEnded (row)
//! ```
//!
//! - W1 Nothing of a grant is shown outside a viewing that is under way, to another session than the one that began it, at
//!   another place or time than the grant names, or unmasked where it must be masked.
//! - W2 Of a grant one viewing is under way at a time. Each counts from its first row, whatever became of it: after a crash
//!   too.
//! - W3 What is on its way when any of this ends is broken off: see [`Access::may_go_on`].
//!
//! Who is watching stands in memory alone, as sessions do: after a start none is under way.

use super::registry::{Grant, GrantState, Viewing};
use super::{Access, AccessError, Caller};
use crate::domain::{
    CameraNumber, Digest, GrantEnd, GrantId, RevocationGround, Role, Span, Terminal, Utc, ViewingEnd, ViewingId,
};
use crate::ledger::{Act, Actor, GrantConditions, GrantedView, ViewRefusal, ViewingBegun, ViewingEnded};
use crate::vault::LiveSegment;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

const VIEWINGS_LIMIT: u32 = 1_000;

/// Why something is not shown to somebody who has a grant to it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ViewingRefused {
    #[error(
        "it was approved to be shown masked, so that nobody else is recognised; this version cannot mask yet, so it is not shown at all. Ask an officer"
    )]
    Masking,
    #[error("no copy of it may be taken: it was approved to be watched")]
    NoCopy,
    #[error("it may be watched at {terminal} alone, and this is not that place")]
    Terminal { terminal: String },
    #[error("it may be watched from {from} to {to} alone")]
    Appointment { from: Utc, to: Utc },
    #[error("the person who asked is to watch too; begin when they are there, and say so")]
    NotPresent,
    #[error("it was watched {of} times, as often as was approved")]
    Used { of: u32 },
    #[error("a viewing of it is under way since {since}; end that one before another begins")]
    UnderWay { since: Utc },
    #[error("no viewing is under way here; begin one")]
    NoViewing,
    #[error(
        "the viewing was ended, since what it shows could not be recorded: the ledger's disk is full or failed. Begin another when it is well"
    )]
    NotRecorded,
    #[error(
        "the camera's settings changed at {at}, so one film cannot hold both; copy what is before and after by itself"
    )]
    SettingsChanged { at: Utc },
    #[error("there is no such grant")]
    NoSuchGrant,
    #[error("the grant has ended already")]
    AlreadyOver,
}

impl ViewingRefused {
    /// What the ledger says of it, where it says anything.
    fn on_record(&self) -> Option<ViewRefusal> {
        match self {
            ViewingRefused::Masking => Some(ViewRefusal::Masking),
            ViewingRefused::NoCopy => Some(ViewRefusal::NoCopy),
            ViewingRefused::Terminal { .. } => Some(ViewRefusal::Terminal),
            ViewingRefused::Appointment { .. } => Some(ViewRefusal::Appointment),
            ViewingRefused::NotPresent => Some(ViewRefusal::NotPresent),
            ViewingRefused::Used { .. } => Some(ViewRefusal::ViewingsUsed),
            ViewingRefused::UnderWay { .. } => Some(ViewRefusal::UnderWay),
            ViewingRefused::NoViewing => Some(ViewRefusal::NoViewing),
            ViewingRefused::NotRecorded
            | ViewingRefused::SettingsChanged { .. }
            | ViewingRefused::NoSuchGrant
            | ViewingRefused::AlreadyOver => None,
        }
    }
}

/// A viewing as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct ViewingView {
    pub viewing: ViewingId,
    pub began: Utc,
    pub terminal: Option<String>,
    /// The person who asked was said to be there.
    pub present: bool,
    /// What of it was shown so far.
    pub seen: Vec<GrantedView>,
    pub ended: Option<Utc>,
    pub how: Option<ViewingEnd>,
    /// It is under way in the session that asks.
    pub is_own: bool,
}

/// A viewing that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    viewing: ViewingId,
    session: Digest,
    /// When something was asked for last.
    last: Duration,
    /// It has come to its end, and has no row of that yet.
    over: Option<ViewingEnd>,
}

pub(super) type ViewingsUnderWay = BTreeMap<GrantId, UnderWay>;

/// What somebody is being shown, for as long as it may go on.
#[derive(Clone, Copy, Debug)]
pub struct Showing {
    pub(super) grant: GrantId,
    pub(super) viewing: ViewingId,
    pub(super) session: Digest,
    pub(super) live: LiveSegment,
}

fn view_of(viewing: &Viewing, is_own: bool) -> ViewingView {
    ViewingView {
        viewing: viewing.number,
        began: viewing.begun,
        terminal: viewing.terminal.clone(),
        present: viewing.present,
        seen: viewing.seen.clone(),
        ended: viewing.ended.map(|(at, _)| at),
        how: viewing.ended.map(|(_, how)| how),
        is_own,
    }
}

impl Access {
    fn under_way(&self) -> MutexGuard<'_, ViewingsUnderWay> {
        // Each change is one insertion, removal or assignment.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The places where footage may be watched.
    pub fn terminals(&self) -> &[Terminal] {
        &self.periods.terminals
    }

    /// What a decision may bind a grant to that ends at `ends`.
    ///
    /// # Errors
    /// [`AccessError::BadInput`].
    pub(super) fn check_conditions(&self, conditions: &GrantConditions, ends: Utc) -> Result<(), AccessError> {
        let bad = |field, what| Err(AccessError::BadInput { field, what });
        if conditions.viewings.is_some_and(|viewings| !(1..=VIEWINGS_LIMIT).contains(&viewings)) {
            return bad("viewings", "is between 1 and 1000, or left out");
        }
        let is_known = |name: &String| self.terminals().iter().any(|terminal| terminal.name == *name);
        if conditions.terminal.as_ref().is_some_and(|name| !is_known(name)) {
            return bad("terminal", "is no place that [[terminals]] of site.toml names");
        }
        match conditions.appointment {
            Some(appointment) if appointment.to() <= self.later() => bad("appointment", "is in the past"),
            Some(appointment) if ends < appointment.to() => bad("appointment", "goes on after the grant's end"),
            _ => Ok(()),
        }
    }

    /// The earlier of the two clocks: what has not begun by both has not begun.
    fn earlier(&self) -> Utc {
        self.time.trusted().min(self.time.clock().wall())
    }

    fn is_within(&self, appointment: Span) -> bool {
        appointment.from() <= self.earlier() && self.later() < appointment.to()
    }

    /// Whether a grant may be used from here, now (W1).
    fn fits(&self, caller: &Caller, grant: &Grant) -> Result<(), ViewingRefused> {
        let conditions = &grant.conditions;
        if conditions.masking {
            return Err(ViewingRefused::Masking);
        }
        if let Some(appointment) = conditions.appointment.filter(|appointment| !self.is_within(*appointment)) {
            return Err(ViewingRefused::Appointment { from: appointment.from(), to: appointment.to() });
        }
        match &conditions.terminal {
            Some(terminal) if !self.is_here(caller, grant) => {
                Err(ViewingRefused::Terminal { terminal: terminal.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Whether a grant may be watched at the place from which somebody asks.
    pub(super) fn is_here(&self, caller: &Caller, grant: &Grant) -> bool {
        let Some(name) = &grant.conditions.terminal else { return true };
        let place = self.terminals().iter().find(|terminal| terminal.name == *name);
        place.is_some_and(|place| place.has(caller.address()))
    }

    /// Puts a refusal on record.
    fn refused<T>(
        &self,
        caller: &Caller,
        asked: (&Grant, Option<CameraNumber>),
        why: ViewingRefused,
    ) -> Result<T, AccessError> {
        let (grant, camera) = asked;
        if let Some(on_record) = why.on_record() {
            let request = Some(grant.request);
            self.record(caller.actor(), Act::ViewRefused { request, camera, span: None, why: on_record })?;
        }
        Err(why.into())
    }

    /// That a caller watches under a grant, in a viewing of their own session: which one.
    pub(super) fn must_watch(
        &self,
        caller: &Caller,
        grant: &Grant,
        camera: CameraNumber,
    ) -> Result<ViewingId, AccessError> {
        let asked = (grant, Some(camera));
        if let Err(why) = self.fits(caller, grant) {
            return self.refused(caller, asked, why);
        }
        let known = self.under_way().get(&grant.number).copied();
        let why = match known.map(|known| (known, self.why_over(grant.number, &known))) {
            Some((_, Some(ViewingEnd::NotRecorded))) => ViewingRefused::NotRecorded,
            None | Some((_, Some(_))) => ViewingRefused::NoViewing,
            Some((known, None)) if known.session != caller.session() => {
                ViewingRefused::UnderWay { since: self.begun(known.viewing) }
            }
            Some((known, None)) => {
                let now = self.time.clock().monotonic();
                if let Some(open) = self.under_way().get_mut(&grant.number).filter(|open| open.viewing == known.viewing)
                {
                    open.last = now;
                }
                return Ok(known.viewing);
            }
        };
        self.refused(caller, asked, why)
    }

    pub(super) fn must_be_copied(
        &self,
        caller: &Caller,
        grant: &Grant,
        camera: CameraNumber,
    ) -> Result<(), AccessError> {
        if grant.conditions.copy {
            return Ok(());
        }
        self.refused(caller, (grant, Some(camera)), ViewingRefused::NoCopy)
    }

    fn is_idle(&self, viewing: &UnderWay, now: Duration) -> bool {
        now.saturating_sub(viewing.last) >= self.periods.viewing_idle
    }

    fn begun(&self, viewing: ViewingId) -> Utc {
        self.registry().viewings.get(&viewing).map_or_else(|| self.now(), |known| known.begun)
    }

    /// Begins a viewing. `present`: the viewer says that the person who asked is there. The row stands before anything is
    /// shown.
    ///
    /// # Errors
    /// [`AccessError::NoGrant`]; [`ViewingRefused`]; [`AccessError::NotRecorded`], and then none has begun.
    pub fn begin_viewing(&self, caller: &Caller, grant: GrantId, present: bool) -> Result<ViewingView, AccessError> {
        let found = self.own_open_grant(caller, grant, None)?;
        let _turn = self.turn();
        let refused = |why| self.refused(caller, (&found, None), why);
        if let Err(why) = self.fits(caller, &found) {
            return refused(why);
        }
        if found.conditions.present && !present {
            return refused(ViewingRefused::NotPresent);
        }
        // Of before a start, or over and without its row yet.
        self.end_viewings_that_are_over()?;
        let (number, taken, under_way) = {
            let registry = self.registry();
            let before = registry.viewings_of(grant);
            let under_way =
                registry.viewings_of(grant).find(|viewing| viewing.ended.is_none()).map(|known| known.begun);
            (registry.next_viewing(), u32::try_from(before.count()).unwrap_or(u32::MAX), under_way)
        };
        if let Some(since) = under_way {
            return refused(ViewingRefused::UnderWay { since });
        }
        if let Some(of) = found.conditions.viewings.filter(|of| taken >= *of) {
            return refused(ViewingRefused::Used { of });
        }
        // It may have ended meanwhile.
        let found = self.own_open_grant(caller, grant, None)?;
        let begun = ViewingBegun {
            viewing: number,
            grant,
            request: found.request,
            number: taken.saturating_add(1),
            of: found.conditions.viewings,
            views: found.views.clone(),
            terminal: found.conditions.terminal.clone(),
            present,
        };
        self.record(caller.actor(), Act::ViewingBegun(begun))?;
        let last = self.time.clock().monotonic();
        let (session, viewing) = (caller.session(), number);
        self.under_way().insert(grant, UnderWay { viewing, session, last, over: None });
        self.viewing_view(caller, number)
    }

    /// The viewing of a grant that goes on in the caller's session. Its page asks this again and again, and lets go of the
    /// picture as soon as there is none; that is no row.
    ///
    /// # Errors
    /// [`AccessError::NoGrant`] once the grant is over; [`ViewingRefused`].
    pub fn viewing_under_way(&self, caller: &Caller, grant: GrantId) -> Result<ViewingView, AccessError> {
        self.must_be_viewer(caller)?;
        let found = self.registry().grants.get(&grant).filter(|known| known.viewer == caller.account()).cloned();
        let is_open = |found: &Grant| found.state == GrantState::Open && self.later() < found.ends;
        let found = found.filter(is_open).ok_or(AccessError::NoGrant)?;
        self.fits(caller, &found)?;
        let known = self.under_way().get(&grant).copied().filter(|known| known.session == caller.session());
        let known = known.ok_or(ViewingRefused::NoViewing)?;
        match self.why_over(grant, &known) {
            None => self.viewing_view(caller, known.viewing),
            Some(ViewingEnd::NotRecorded) => Err(ViewingRefused::NotRecorded.into()),
            Some(_) => Err(ViewingRefused::NoViewing.into()),
        }
    }

    fn viewing_view(&self, caller: &Caller, viewing: ViewingId) -> Result<ViewingView, AccessError> {
        let is_own = self.is_own(caller, viewing);
        let registry = self.registry();
        let known = registry.viewings.get(&viewing).ok_or(ViewingRefused::NoViewing)?;
        Ok(view_of(known, is_own))
    }

    fn is_own(&self, caller: &Caller, viewing: ViewingId) -> bool {
        let open = self.under_way();
        open.values().any(|known| known.viewing == viewing && known.session == caller.session() && known.over.is_none())
    }

    /// All viewings of a grant, the oldest first.
    pub(super) fn viewings_of(&self, caller: &Caller, grant: GrantId) -> Vec<ViewingView> {
        let own = self.under_way().get(&grant).copied();
        let own = own.filter(|known| known.session == caller.session() && known.over.is_none());
        let registry = self.registry();
        let view = |viewing: &Viewing| view_of(viewing, own.is_some_and(|own| own.viewing == viewing.number));
        registry.viewings_of(grant).map(view).collect()
    }

    /// Ends the viewing of a grant that the caller began, from whichever of their sessions.
    ///
    /// # Errors
    /// [`AccessError::NoGrant`] for another viewer's; [`ViewingRefused::NoViewing`]; [`AccessError::NotRecorded`], and it has
    /// ended all the same.
    pub fn end_viewing(&self, caller: &Caller, grant: GrantId) -> Result<ViewingView, AccessError> {
        self.must_be_viewer(caller)?;
        let _turn = self.turn();
        let is_theirs = self.registry().grants.get(&grant).is_some_and(|known| known.viewer == caller.account());
        if !is_theirs {
            return Err(AccessError::NoGrant);
        }
        let viewing = {
            let mut open = self.under_way();
            let known = open.get_mut(&grant).filter(|known| known.over.is_none());
            let known = known.ok_or(ViewingRefused::NoViewing)?;
            known.over = Some(ViewingEnd::Viewer);
            known.viewing
        };
        self.record_end(caller.actor(), grant, viewing, ViewingEnd::Viewer)?;
        self.end_grants_that_are_used_up()?;
        self.viewing_view(caller, viewing)
    }

    fn record_end(&self, actor: Actor, grant: GrantId, viewing: ViewingId, how: ViewingEnd) -> Result<(), AccessError> {
        let known = self.registry().viewings.get(&viewing).cloned();
        let Some(Viewing { request, seen, .. }) = known else { return Ok(()) };
        let ended = ViewingEnded { viewing, grant, request, how, seen };
        self.record(actor, Act::ViewingEnded(ended))?;
        let mut open = self.under_way();
        if open.get(&grant).is_some_and(|known| known.viewing == viewing) {
            open.remove(&grant);
        }
        Ok(())
    }

    /// What a viewing shows could not be recorded: it stops, and whatever of it is on its way.
    pub(super) fn stop_unrecorded(&self, grant: GrantId, viewing: ViewingId) {
        if let Some(known) = self.under_way().get_mut(&grant).filter(|known| known.viewing == viewing) {
            known.over = known.over.or(Some(ViewingEnd::NotRecorded));
        }
    }

    /// Why a viewing that is under way must end now.
    fn why_over(&self, grant: GrantId, known: &UnderWay) -> Option<ViewingEnd> {
        let later = self.later();
        let (is_open, appointment) = {
            let registry = self.registry();
            let found = registry.grants.get(&grant);
            let is_open = found.is_some_and(|grant| grant.state == GrantState::Open && later < grant.ends);
            (is_open, found.and_then(|grant| grant.conditions.appointment))
        };
        if known.over.is_some() {
            known.over
        } else if !is_open {
            Some(ViewingEnd::GrantEnded)
        } else if !self.sessions.is_open(known.session, later) {
            Some(ViewingEnd::SessionEnded)
        } else if appointment.is_some_and(|appointment| !self.is_within(appointment)) {
            Some(ViewingEnd::TimeOver)
        } else if self.is_idle(known, self.time.clock().monotonic()) {
            Some(ViewingEnd::Idle)
        } else {
            None
        }
    }

    /// Writes the rows of viewings that have come to their end. In turn.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`].
    pub(super) fn end_viewings_that_are_over(&self) -> Result<(), AccessError> {
        let under_way = self.registry().viewings_under_way();
        for viewing in under_way {
            let known = self.under_way().get(&viewing.grant).copied().filter(|known| known.viewing == viewing.number);
            let why = match known {
                Some(known) => self.why_over(viewing.grant, &known),
                None => Some(ViewingEnd::Stopped),
            };
            let Some(why) = why else { continue };
            if let Some(known) =
                self.under_way().get_mut(&viewing.grant).filter(|known| known.viewing == viewing.number)
            {
                known.over = Some(why);
            }
            self.record_end(Actor::Daemon, viewing.grant, viewing.number, why)?;
        }
        Ok(())
    }

    /// Ends grants whose last viewing has ended, and destroys their keys. In turn.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`]; what the disk says.
    pub(super) fn end_grants_that_are_used_up(&self) -> Result<(), AccessError> {
        let used_up = self.registry().grants_used_up();
        for grant in used_up {
            self.record(Actor::Daemon, Act::GrantEnded { grant, why: Some(GrantEnd::ViewingsUsed) })?;
            self.tidied(self.grants.destroy(grant))?;
        }
        Ok(())
    }

    /// Takes a grant back, at once: what is on its way is broken off within a moment, and its keys are destroyed.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers; [`ViewingRefused::NoSuchGrant`], [`ViewingRefused::AlreadyOver`];
    /// [`AccessError::NotRecorded`], and then it stays.
    pub fn revoke_grant(&self, caller: &Caller, grant: GrantId, ground: RevocationGround) -> Result<(), AccessError> {
        caller.must_be(&[Role::Officer])?;
        let _turn = self.turn();
        let state = self.registry().grants.get(&grant).map(|known| known.state);
        match state {
            None => return Err(ViewingRefused::NoSuchGrant.into()),
            Some(GrantState::Ended) => return Err(ViewingRefused::AlreadyOver.into()),
            Some(GrantState::Open) => {}
        }
        self.record(caller.actor(), Act::GrantEnded { grant, why: Some(GrantEnd::Revoked { ground }) })?;
        // The row of its viewing's end follows in a moment, behind that of what is broken off.
        self.tidied(self.grants.destroy(grant))
    }

    fn is_undisputed(&self, showing: &Showing) -> bool {
        let (request, span) = {
            let registry = self.registry();
            let Some(grant) = registry.grants.get(&showing.grant) else { return false };
            let of_camera = |view: &&GrantedView| view.camera == showing.live.camera;
            (grant.request, grant.views.iter().find(of_camera).map(|view| view.span))
        };
        span.is_some_and(|span| self.must_be_undisputed(request, &[showing.live.camera], span).is_ok())
    }

    /// Whether what is on its way may go on. Asked again and again while it is; it touches no disk.
    pub fn may_go_on(&self, showing: &Showing) -> bool {
        let known = self.under_way().get(&showing.grant).copied();
        let known = known.filter(|known| known.viewing == showing.viewing && known.session == showing.session);
        known.is_some_and(|known| {
            // Whoever takes long to read is not idle.
            let known = UnderWay { last: self.time.clock().monotonic(), ..known };
            self.why_over(showing.grant, &known).is_none()
                && self.is_undisputed(showing)
                && self.vault.is_still_there(&showing.live, self.later())
        })
    }
}
