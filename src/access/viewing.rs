//! Watching under a grant, in a viewing. The keys narrow a grant to its segments, this narrows it to the frame.

use super::registry::{Grant, GrantState};
use super::viewings::{Showing, ViewingRefused, ViewingView};
use super::{Access, AccessError, Caller};
use crate::crypto::{DataKey, StreamOpener};
use crate::domain::{AccountId, CameraNumber, GrantEnd, GrantId, RequestId, Role, SegmentId, Span, Utc, ViewingId};
use crate::fragment::{frame_places, note, rebase, trim};
use crate::ledger::{Act, Actor, GrantConditions, GrantedView, ServedFootage, ViewRefusal};
use crate::segment::{FragmentAt, SegmentError, SegmentReader};
use crate::vault::{LiveSegment, VaultError};
use serde::Serialize;
use std::sync::PoisonError;
use std::time::Duration;

/// A grant as it is shown.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct GrantView {
    pub grant: GrantId,
    pub request: RequestId,
    pub viewer: AccountId,
    pub cameras: Vec<CameraNumber>,
    pub views: Vec<GrantedView>,
    pub span: Option<Span>,
    pub ends: Utc,
    /// Within what it may be watched.
    pub conditions: GrantConditions,
    pub state: GrantState,
    pub why_ended: Option<GrantEnd>,
    /// All viewings that there were, and the one that is under way.
    pub viewings: Vec<ViewingView>,
    /// It can be watched from where the question comes.
    pub is_here: bool,
}

/// One fragment of a playlist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlaylistEntry {
    pub segment: SegmentId,
    pub number: u32,
    pub from: Utc,
    pub length: Duration,
    /// Its decoder's parameters are not those of the entry before.
    pub new_init: bool,
}

/// What a viewer may see of one camera, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Playlist {
    pub entries: Vec<PlaylistEntry>,
}

/// Decrypted bytes on their way to a viewer, and what is known of them.
#[derive(Debug)]
pub struct Picture {
    pub bytes: Vec<u8>,
    pub shown: Shown,
}

/// A fragment that was announced: what it shows, and for how long it may be on its way.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The row of intent.
    pub intended: u64,
    pub showing: Showing,
    request: RequestId,
    camera: CameraNumber,
    span: Span,
    /// Where each frame begins in the fragment, and until when it is shown.
    frames: Vec<(usize, Utc)>,
}

impl Shown {
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    pub fn grant(&self) -> GrantId {
        self.showing.grant
    }

    pub fn camera(&self) -> CameraNumber {
        self.camera
    }

    /// The row of what was served, once so many bytes have left. Of a frame that left in part, it says that it was seen.
    fn served(&self, bytes: u64, broken_off: bool) -> Act {
        let left = self.frames.iter().filter(|(begins, _)| !broken_off || (*begins as u64) < bytes);
        let until = left.clone().map(|(_, until)| *until).max().map(|until| until.min(self.span.to()));
        let until = if broken_off { until } else { Some(self.span.to()) };
        let span = until.and_then(|until| Span::new(self.span.from(), until).ok());
        let Showing { grant, viewing, .. } = self.showing;
        let of = ServedFootage { viewing, grant, request: self.request, camera: self.camera, span, broken_off };
        let frames = u32::try_from(left.count()).unwrap_or(u32::MAX);
        Act::ViewServed { intended: self.intended, frames, bytes, of: Some(of) }
    }
}

/// What an answer that broke off had shown, for the ledger.
pub(super) type BrokenOff = Vec<(Actor, Act)>;

/// A whole camera of a grant as one film: what a copy is made of.
#[derive(Debug)]
pub struct Film {
    /// What a player needs first, and a note that it passes over: which grant this is a copy of, and a checkpoint of the
    /// ledger, which so is kept elsewhere.
    pub init: Vec<u8>,
    pub entries: Vec<PlaylistEntry>,
}

fn damaged(what: &'static str) -> SegmentError {
    SegmentError::Damaged { what, at_bytes: 0 }
}

/// Everything that had to hold before a picture is opened.
struct Opened {
    grant: Grant,
    viewing: ViewingId,
    view: GrantedView,
    live: LiveSegment,
    reader: SegmentReader,
    key: DataKey,
}

impl Access {
    /// The grants that a person may know of: a viewer's own, all for an officer.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] for other roles.
    pub fn grants(&self, caller: &Caller) -> Result<Vec<GrantView>, AccessError> {
        caller.must_be(&[Role::Viewer, Role::Officer])?;
        let known: Vec<Grant> = {
            let registry = self.registry();
            let all = registry.grants.values().rev();
            all.filter(|grant| caller.person().role == Role::Officer || grant.viewer == caller.account())
                .cloned()
                .collect()
        };
        Ok(known.into_iter().map(|grant| self.grant_view(caller, grant)).collect())
    }

    fn grant_view(&self, caller: &Caller, grant: Grant) -> GrantView {
        GrantView {
            grant: grant.number,
            request: grant.request,
            viewer: grant.viewer,
            cameras: grant.views.iter().map(|view| view.camera).collect(),
            span: grant.views.iter().map(|view| view.span).reduce(Span::hull),
            ends: grant.ends,
            state: grant.state,
            why_ended: grant.why_ended,
            viewings: self.viewings_of(caller, grant.number),
            is_here: self.is_here(caller, &grant),
            conditions: grant.conditions,
            views: grant.views,
        }
    }

    fn refuse_view<T>(
        &self,
        caller: &Caller,
        asked: (Option<&Grant>, CameraNumber, Option<Span>),
        why: ViewRefusal,
        error: AccessError,
    ) -> Result<T, AccessError> {
        let (grant, camera, span) = asked;
        let request = grant.map(|grant| grant.request);
        self.record(caller.actor(), Act::ViewRefused { request, camera: Some(camera), span, why })?;
        Err(error)
    }

    /// Viewers, and officers where the site lets them watch what another of them decided.
    pub(super) fn must_be_viewer(&self, caller: &Caller) -> Result<(), AccessError> {
        let watches: &[Role] =
            if self.periods.requests.decider_may_view { &[Role::Viewer, Role::Officer] } else { &[Role::Viewer] };
        caller.must_be(watches)
    }

    /// The caller's own open grant. Any other is refused alike.
    pub(super) fn own_open_grant(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: Option<CameraNumber>,
    ) -> Result<Grant, AccessError> {
        self.must_be_viewer(caller)?;
        let found = self.registry().grants.get(&grant).filter(|known| known.viewer == caller.account()).cloned();
        let refuse = |request, why| {
            self.record(caller.actor(), Act::ViewRefused { request, camera, span: None, why })?;
            Err(AccessError::NoGrant)
        };
        match found {
            None => refuse(None, ViewRefusal::NoGrant),
            Some(found) if found.state == GrantState::Ended || found.ends <= self.later() => {
                refuse(Some(found.request), ViewRefusal::GrantEnded)
            }
            Some(found) => Ok(found),
        }
    }

    /// The caller's own open grant, what it allows of a camera, and the viewing in which they watch (W1).
    fn granted(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
    ) -> Result<(Grant, GrantedView, ViewingId), AccessError> {
        let found = self.own_open_grant(caller, grant, Some(camera))?;
        let view = found.views.iter().find(|view| view.camera == camera && caller.reaches(camera)).copied();
        let Some(view) = view else {
            let asked = (Some(&found), camera, None);
            return self.refuse_view(caller, asked, ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        if let Err(e) = self.must_be_usable(caller, &found, view) {
            let is_disputed = matches!(e, AccessError::Disputed { .. });
            let why = if is_disputed { ViewRefusal::Disputed } else { ViewRefusal::OutsideGrant };
            return self.refuse_view(caller, (Some(&found), camera, Some(view.span)), why, e);
        }
        let viewing = self.must_watch(caller, &found, camera)?;
        Ok((found, view, viewing))
    }

    /// What can be watched of a camera under a grant, or the fragments that have any of a part of its span.
    ///
    /// # Errors
    /// [`AccessError::NoGrant`]; [`AccessError::OutsideGrant`] for a part that is not within it;
    /// [`AccessError::Unavailable`] where nothing is left.
    pub fn playlist(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        part: Option<Span>,
    ) -> Result<Playlist, AccessError> {
        let (found, view, _) = self.granted(caller, grant, camera)?;
        let span = part.unwrap_or(view.span);
        if view.span.intersection(span) != Some(span) {
            let asked = (Some(&found), camera, Some(span));
            return self.refuse_view(caller, asked, ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        }
        let now = self.later();
        let keys = self.grants.open(grant)?;
        let mut entries = Vec::new();
        let mut init_before: Option<Vec<u8>> = None;
        for live in self.vault.live_segments(camera, span, now)? {
            let Some(key) = keys.open_key(live.volume, live.segment, caller.private())? else { continue };
            let (init, fragments) = match self.contents(&live, &key, now) {
                Ok(contents) => contents,
                Err(e) => {
                    // One bad segment must not hide its neighbours.
                    tracing::error!(segment = %live.segment, error = %e, "a segment cannot be shown: it is damaged");
                    continue;
                }
            };
            // Players stumble over an init segment that comes twice: it is named again only where it changes.
            let mut new_init = init_before.as_ref() != Some(&init);
            for fragment in fragments {
                let is_asked = fragment.from < span.to() && fragment.to > span.from();
                if let Some(shown) = shown_part(&fragment, view.span).filter(|_| is_asked) {
                    entries.push(PlaylistEntry {
                        segment: live.segment,
                        number: fragment.number,
                        from: fragment.from,
                        length: shown.length(),
                        new_init,
                    });
                    new_init = false;
                }
            }
            if !new_init {
                init_before = Some(init);
            }
        }
        if entries.is_empty() {
            let why = self.why_nothing(camera, span, now)?;
            let asked = (Some(&found), camera, Some(span));
            return self.refuse_view(caller, asked, ViewRefusal::Expired, AccessError::Unavailable { why });
        }
        Ok(Playlist { entries })
    }

    fn contents(&self, live: &LiveSegment, key: &DataKey, now: Utc) -> Result<(Vec<u8>, Vec<FragmentAt>), VaultError> {
        let reader = self.vault.read(live, now)?;
        let init = reader.open_init(&StreamOpener::new(key)?)?;
        Ok((init, reader.fragments()?))
    }

    fn why_nothing(&self, camera: CameraNumber, span: Span, now: Utc) -> Result<String, AccessError> {
        let pieces = self.vault.availability(camera, span, now)?;
        if !self.vault.away().is_empty() {
            return Ok(super::requests::A_VOLUME_IS_AWAY.to_owned());
        }
        Ok(super::requests::nothing_left(&pieces).unwrap_or_else(|| "nothing is left of it".to_owned()))
    }

    /// The decoder's parameters of a segment. They show no picture, so they are no row.
    ///
    /// # Errors
    /// As [`Access::fragment`].
    pub fn init(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        segment: SegmentId,
    ) -> Result<Vec<u8>, AccessError> {
        let opened = self.open(caller, grant, camera, segment)?;
        let opener = StreamOpener::new(&opened.key)?;
        Ok(opened.reader.open_init(&opener).map_err(VaultError::from)?)
    }

    /// One fragment, decrypted, without a frame that was not approved. The row of intent is flushed before this
    /// returns (A1); after the bytes have left, call [`Access::served`].
    ///
    /// # Errors
    /// [`AccessError::NoGrant`], [`AccessError::OutsideGrant`], [`AccessError::Unavailable`] once it has expired;
    /// [`ViewingRefused`]; [`AccessError::NotRecorded`], and then nothing is shown and the viewing ends.
    pub fn fragment(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        segment: SegmentId,
        number: u32,
    ) -> Result<Picture, AccessError> {
        self.picture(caller, grant, (camera, segment, number), false)
    }

    /// The same as a part of a copy.
    ///
    /// # Errors
    /// As [`Access::fragment`]; [`ViewingRefused::NoCopy`].
    pub fn copied_fragment(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        entry: &PlaylistEntry,
    ) -> Result<Picture, AccessError> {
        self.picture(caller, grant, (camera, entry.segment, entry.number), true)
    }

    fn picture(
        &self,
        caller: &Caller,
        grant: GrantId,
        (camera, segment, number): (CameraNumber, SegmentId, u32),
        copy: bool,
    ) -> Result<Picture, AccessError> {
        let opened = self.open(caller, grant, camera, segment)?;
        if copy {
            self.must_be_copied(caller, &opened.grant, camera)?;
        }
        let fragments = opened.reader.fragments().map_err(VaultError::from)?;
        let outside = || (Some(&opened.grant), camera, None);
        let Some(fragment) = fragments.get(usize::try_from(number).unwrap_or(usize::MAX)) else {
            return self.refuse_view(caller, outside(), ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        let Some(span) = shown_part(fragment, opened.view.span) else {
            return self.refuse_view(caller, outside(), ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        let opener = StreamOpener::new(&opened.key)?;
        let plain = opened.reader.open_fragment(&opener, fragment).map_err(VaultError::from)?;
        let start = opened.live.span.from();
        let damaged = |_| VaultError::Segment(damaged("a fragment"));
        let kept = trim(&plain, span.to().ticks_90k_since(start)).map_err(damaged)?;
        let Some(kept) = kept else {
            return self.refuse_view(caller, outside(), ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        let places = frame_places(&kept).map_err(damaged)?;
        let frames = places.into_iter().map(|(begins, until_90k)| (begins, start.plus_90k(until_90k))).collect();
        let mut bytes = kept.to_vec();
        // All segments of a view lie on one timeline, which begins where the view does.
        rebase(&mut bytes, ticks_between(opened.view.span.from(), start)).map_err(damaged)?;
        let (request, viewing) = (opened.grant.request, opened.viewing);
        let intent = Act::ViewIntended { grant, request, camera, span, viewing: Some(viewing), copy };
        let intended =
            self.record(caller.actor(), intent).inspect_err(|_| self.stop_unrecorded(grant, viewing))?.sequence;
        let showing = Showing { grant, viewing, session: caller.session(), live: opened.live };
        Ok(Picture { bytes, shown: Shown { intended, showing, request, camera, span, frames } })
    }

    /// A whole camera of a grant, or a part of it, as one film, where a copy may be taken. Each fragment is asked for with
    /// [`Access::copied_fragment`].
    ///
    /// # Errors
    /// As [`Access::playlist`]; [`ViewingRefused::NoCopy`], [`ViewingRefused::SettingsChanged`].
    pub fn film(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        part: Option<Span>,
    ) -> Result<Film, AccessError> {
        let (found, ..) = self.granted(caller, grant, camera)?;
        self.must_be_copied(caller, &found, camera)?;
        let request = found.request;
        let entries = self.playlist(caller, grant, camera, part)?.entries;
        if let Some(changed) = entries.iter().skip(1).find(|entry| entry.new_init) {
            return Err(ViewingRefused::SettingsChanged { at: changed.from }.into());
        }
        let first = entries.first().ok_or(AccessError::OutsideGrant)?;
        let mut init = self.init(caller, grant, camera, first.segment)?;
        let mark = self.checkpoint_to_carry()?;
        let text = format!("custodian copy request={request} grant={grant} camera={camera}\n{mark}");
        init.extend(note(&text).map_err(|_| VaultError::Segment(damaged("a copy's note")))?);
        Ok(Film { init, entries })
    }

    /// Records that a fragment was served, of so many bytes.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`], and the viewing ends.
    pub fn served(&self, caller: &Caller, shown: &Shown, bytes: u64) -> Result<(), AccessError> {
        let Showing { grant, viewing, .. } = shown.showing;
        let recorded = self.record(caller.actor(), shown.served(bytes, false));
        recorded.map(drop).inspect_err(|_| self.stop_unrecorded(grant, viewing))
    }

    /// Takes note of an answer that broke off when so many bytes had left. Its row follows in a moment: who notices it
    /// cannot wait for a disk.
    pub fn note_broken_off(&self, caller: &Caller, shown: &Shown, bytes: u64) {
        let mut noted = self.broken_off.lock().unwrap_or_else(PoisonError::into_inner);
        noted.push((caller.actor(), shown.served(bytes, true)));
    }

    /// Writes the rows of answers that broke off.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`]; they are tried again.
    pub(super) fn tell_broken_off(&self) -> Result<(), AccessError> {
        loop {
            let next = self.broken_off.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
            let Some((actor, act)) = next else { return Ok(()) };
            self.record(actor, act)?;
            self.broken_off.lock().unwrap_or_else(PoisonError::into_inner).remove(0);
        }
    }

    fn open(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        segment: SegmentId,
    ) -> Result<Opened, AccessError> {
        let (found, view, viewing) = self.granted(caller, grant, camera)?;
        let now = self.later();
        let asked = (Some(&found), camera, None);
        let live = match self.vault.find(camera, view.span, segment, now) {
            Ok(live) if live.camera == camera && live.span.overlaps(view.span) => live,
            Ok(_) | Err(VaultError::Unknown { .. }) => {
                return self.refuse_view(caller, asked, ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
            }
            Err(e) => return self.refuse_view(caller, asked, ViewRefusal::Expired, e.into()),
        };
        let file = self.grants.open(grant)?;
        let Some(key) = file.open_key(live.volume, segment, caller.private())? else {
            return self.refuse_view(caller, asked, ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        let reader = self.vault.read(&live, now)?;
        Ok(Opened { grant: found, viewing, view, live, reader, key })
    }
}

/// Ticks of 90 kHz from one point to another; negative where the second comes first.
fn ticks_between(from: Utc, to: Utc) -> i64 {
    let signed = |ticks: u64| i64::try_from(ticks).unwrap_or(i64::MAX);
    if to >= from { signed(to.ticks_90k_since(from)) } else { -signed(from.ticks_90k_since(to)) }
}

/// The part of a fragment that a span shows: one that begins within it, up to where the span ends.
fn shown_part(fragment: &FragmentAt, span: Span) -> Option<Span> {
    if !span.contains(fragment.from) {
        return None;
    }
    Span::new(fragment.from, fragment.to.min(span.to())).ok()
}
