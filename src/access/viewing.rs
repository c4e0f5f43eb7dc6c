//! Watching under a grant. The keys narrow a grant to its segments, this narrows it to the frame.

use super::registry::{Grant, GrantState};
use super::{Access, AccessError, Caller};
use crate::crypto::{DataKey, StreamOpener};
use crate::domain::{AccountId, CameraNumber, GrantId, RequestId, Role, SegmentId, Span, Utc};
use crate::fragment::{frame_times, rebase, trim};
use crate::ledger::{Act, GrantConditions, GrantedView, ViewRefusal};
use crate::segment::{FragmentAt, SegmentReader};
use crate::vault::{LiveSegment, VaultError};
use serde::Serialize;
use std::time::Duration;

/// A grant as it is shown.
#[derive(Clone, Debug, Serialize)]
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

/// Decrypted bytes on their way to a viewer, and the row that announced them.
#[derive(Debug)]
pub struct Picture {
    pub bytes: Vec<u8>,
    pub frames: u32,
    /// The row of intent.
    pub intended: u64,
}

/// Everything that had to hold before a picture is opened.
struct Opened {
    grant: Grant,
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
        let registry = self.registry();
        let all = registry.grants.values().rev();
        let known = all.filter(|grant| caller.person().role == Role::Officer || grant.viewer == caller.account());
        Ok(known
            .map(|grant| GrantView {
                grant: grant.number,
                request: grant.request,
                viewer: grant.viewer,
                cameras: grant.views.iter().map(|view| view.camera).collect(),
                views: grant.views.clone(),
                span: grant.views.iter().map(|view| view.span).reduce(Span::hull),
                ends: grant.ends,
                conditions: grant.conditions.clone(),
                state: grant.state,
            })
            .collect())
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

    /// The caller's own open grant, and what it allows of a camera. Any other is refused alike.
    fn granted(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
    ) -> Result<(Grant, GrantedView), AccessError> {
        let watches: &[Role] =
            if self.periods.requests.decider_may_view { &[Role::Viewer, Role::Officer] } else { &[Role::Viewer] };
        caller.must_be(watches)?;
        let found = self.registry().grants.get(&grant).filter(|known| known.viewer == caller.account()).cloned();
        let Some(found) = found else {
            return self.refuse_view(caller, (None, camera, None), ViewRefusal::NoGrant, AccessError::NoGrant);
        };
        if found.state == GrantState::Ended || found.ends <= self.later() {
            let asked = (Some(&found), camera, None);
            return self.refuse_view(caller, asked, ViewRefusal::GrantEnded, AccessError::NoGrant);
        }
        match found.views.iter().find(|view| view.camera == camera && caller.reaches(camera)).copied() {
            Some(view) => match self.must_be_usable(caller, &found, view) {
                Ok(()) => Ok((found, view)),
                Err(e) => {
                    let is_disputed = matches!(e, AccessError::Disputed { .. });
                    let why = if is_disputed { ViewRefusal::Disputed } else { ViewRefusal::OutsideGrant };
                    self.refuse_view(caller, (Some(&found), camera, Some(view.span)), why, e)
                }
            },
            None => {
                let asked = (Some(&found), camera, None);
                self.refuse_view(caller, asked, ViewRefusal::OutsideGrant, AccessError::OutsideGrant)
            }
        }
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
        let (found, view) = self.granted(caller, grant, camera)?;
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
    /// [`AccessError::NotRecorded`], and then nothing is shown.
    pub fn fragment(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        segment: SegmentId,
        number: u32,
    ) -> Result<Picture, AccessError> {
        let opened = self.open(caller, grant, camera, segment)?;
        let fragments = opened.reader.fragments().map_err(VaultError::from)?;
        let outside = || (Some(&opened.grant), camera, None);
        let Some(fragment) = fragments.get(usize::try_from(number).unwrap_or(usize::MAX)) else {
            return self.refuse_view(caller, outside(), ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        let Some(shown) = shown_part(fragment, opened.view.span) else {
            return self.refuse_view(caller, outside(), ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        let opener = StreamOpener::new(&opened.key)?;
        let plain = opened.reader.open_fragment(&opener, fragment).map_err(VaultError::from)?;
        let start = opened.live.span.from();
        let damaged =
            |_| VaultError::Segment(crate::segment::SegmentError::Damaged { what: "a fragment", at_bytes: 0 });
        let kept = trim(&plain, shown.to().ticks_90k_since(start)).map_err(damaged)?;
        let Some(kept) = kept else {
            return self.refuse_view(caller, outside(), ViewRefusal::OutsideGrant, AccessError::OutsideGrant);
        };
        let frames = u32::try_from(frame_times(&kept).map_err(damaged)?.len()).unwrap_or(u32::MAX);
        let mut bytes = kept.to_vec();
        // All segments of a view lie on one timeline, which begins where the view does.
        rebase(&mut bytes, ticks_between(opened.view.span.from(), start)).map_err(damaged)?;
        let Grant { number: grant, request, .. } = opened.grant;
        let intended = self.record(caller.actor(), Act::ViewIntended { grant, request, camera, span: shown })?.sequence;
        Ok(Picture { bytes, frames, intended })
    }

    /// Records what was served.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`].
    pub fn served(&self, caller: &Caller, intended: u64, frames: u32, bytes: u64) -> Result<(), AccessError> {
        self.record(caller.actor(), Act::ViewServed { intended, frames, bytes }).map(drop)
    }

    fn open(
        &self,
        caller: &Caller,
        grant: GrantId,
        camera: CameraNumber,
        segment: SegmentId,
    ) -> Result<Opened, AccessError> {
        let (found, view) = self.granted(caller, grant, camera)?;
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
        Ok(Opened { grant: found, view, live, reader, key })
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
