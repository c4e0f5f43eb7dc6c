//! Watching: viewings, HLS (RFC 8216) over what a grant allows, and the film of which a copy is made.

use super::Routes;
use super::answers::{AsksByItself, SignedIn, ask};
use super::bodies::{Asked, Body as Sent, MaybeEnds, Place};
use super::connections::Watched;
use super::problem::{self, Problem};
use crate::access::{Access, AccessError, Caller, GrantView, Picture, Playlist, PlaylistEntry, Shown, ViewingView};
use crate::domain::{CameraNumber, GrantId, RevocationGround, SegmentId};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

const PLAYLIST_KIND: &str = "application/vnd.apple.mpegurl";
const VIDEO_KIND: &str = "video/mp4";
/// An answer leaves in pieces of so much, and before each it is asked whether it may go on.
const PIECE_BYTES: usize = 16 << 10;

/// What may not be shown any more was on its way.
#[derive(Debug, thiserror::Error)]
#[error("the answer was broken off: what it shows may not be shown any more")]
struct BrokenOff;

#[derive(Serialize)]
pub(super) struct Terminals {
    terminals: Vec<TerminalView>,
}

#[derive(Serialize)]
struct TerminalView {
    name: String,
    /// The question comes from there.
    is_here: bool,
}

pub(super) async fn terminals(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Json<Terminals> {
    let known = routes.access.terminals().iter();
    let terminals = known.map(|terminal| TerminalView { name: terminal.name.clone(), is_here: caller.is_at(terminal) });
    Json(Terminals { terminals: terminals.collect() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    /// The person who asked is there.
    #[serde(default)]
    present: bool,
}

pub(super) async fn begin_viewing(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(grant): Place<GrantId>,
    Sent(begin): Sent<Begin>,
) -> Result<(StatusCode, Json<ViewingView>), Problem> {
    let begun = ask(&routes.access, move |access| access.begin_viewing(&caller, grant, begin.present)).await?;
    Ok((StatusCode::CREATED, Json(begun)))
}

pub(super) async fn viewing(
    State(routes): State<Routes>,
    AsksByItself(caller): AsksByItself,
    Place(grant): Place<GrantId>,
) -> Result<Json<ViewingView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.viewing_under_way(&caller, grant)).await?))
}

pub(super) async fn end_viewing(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(grant): Place<GrantId>,
) -> Result<Json<ViewingView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.end_viewing(&caller, grant)).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revocation {
    ground: RevocationGround,
}

pub(super) async fn revoke(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(grant): Place<GrantId>,
    Sent(revocation): Sent<Revocation>,
) -> Result<StatusCode, Problem> {
    ask(&routes.access, move |access| access.revoke_grant(&caller, grant, revocation.ground)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
pub(super) struct Grants {
    grants: Vec<GrantView>,
}

pub(super) async fn grants(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Result<Json<Grants>, Problem> {
    Ok(Json(Grants { grants: ask(&routes.access, move |access| access.grants(&caller)).await? }))
}

pub(super) async fn playlist(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place((grant, camera)): Place<(GrantId, CameraNumber)>,
    Asked(part): Asked<MaybeEnds>,
) -> Result<impl IntoResponse, Problem> {
    let part = part.span()?;
    let playlist = ask(&routes.access, move |access| access.playlist(&caller, grant, camera, part)).await?;
    Ok(([(header::CONTENT_TYPE, PLAYLIST_KIND)], written(&playlist)))
}

/// The playlist's text. Addresses in it are relative to its own.
fn written(playlist: &Playlist) -> String {
    let longest = playlist.entries.iter().map(|entry| entry.length.as_secs_f64()).fold(0.0, f64::max).ceil();
    let mut text = format!(
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{longest}\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n"
    );
    let mut end_before = None;
    for entry in &playlist.entries {
        let goes_on = end_before.is_some_and(|end| entry.from.since(end).as_millis() < 500);
        if end_before.is_some() && (!goes_on || entry.new_init) {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        // Writing to a `String` cannot fail.
        if entry.new_init {
            writeln!(text, "#EXT-X-MAP:URI=\"{}/init.mp4\"", entry.segment).unwrap_or_default();
        }
        if !goes_on || entry.new_init {
            writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", entry.from).unwrap_or_default();
        }
        let seconds = entry.length.as_secs_f64();
        write!(text, "#EXTINF:{seconds:.6},\n{}/{}.m4s\n", entry.segment, entry.number).unwrap_or_default();
        end_before = Some(entry.from.saturating_add(entry.length));
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

pub(super) async fn init(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place((grant, camera, segment)): Place<(GrantId, CameraNumber, SegmentId)>,
) -> Result<impl IntoResponse, Problem> {
    let bytes = ask(&routes.access, move |access| access.init(&caller, grant, camera, segment)).await?;
    Ok(([(header::CONTENT_TYPE, VIDEO_KIND)], bytes))
}

pub(super) async fn fragment(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Place((grant, camera, segment, part)): Place<(GrantId, CameraNumber, SegmentId, String)>,
) -> Result<Response, Problem> {
    let Some(number) = part.strip_suffix(".m4s").and_then(|number| number.parse().ok()) else {
        return Err(problem::no_such_route().await);
    };
    let viewer = caller.clone();
    let picture = ask(&routes.access, move |access| access.fragment(&viewer, grant, camera, segment, number)).await?;
    let answer = Answer::new(routes, caller, peer, picture);
    Ok(([(header::CONTENT_TYPE, VIDEO_KIND)], answer.into_body()).into_response())
}

/// A camera of a grant as one film, where a copy may be taken: the same fragments, each announced and recorded by itself.
pub(super) async fn film(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Place((grant, camera)): Place<(GrantId, CameraNumber)>,
    Asked(part): Asked<MaybeEnds>,
) -> Result<Response, Problem> {
    let part = part.span()?;
    let viewer = caller.clone();
    let begin = move |access: &Access| {
        let film = access.film(&viewer, grant, camera, part)?;
        let first = film.entries.first().ok_or(AccessError::OutsideGrant)?;
        let picture = access.copied_fragment(&viewer, grant, camera, first)?;
        Ok((film, picture))
    };
    let (film, picture) = ask(&routes.access, begin).await?;
    let rest = film.entries.into_iter().skip(1).collect();
    let answer = Answer::new(routes, caller, peer, picture);
    let answer = Answer { init: Some(Bytes::from(film.init)), grant, camera, rest, ..answer };
    let name = format!("attachment; filename=\"grant-{grant}-camera-{camera}.mp4\"");
    let headers = [(header::CONTENT_TYPE, VIDEO_KIND.to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, answer.into_body()).into_response())
}

/// An answer of footage on its way: a fragment, or one after the other.
struct Answer {
    routes: Routes,
    caller: Caller,
    peer: SocketAddr,
    init: Option<Bytes>,
    leaving: Option<Leaving>,
    grant: GrantId,
    camera: CameraNumber,
    rest: VecDeque<PlaylistEntry>,
}

/// A fragment on its way. One that is dropped before all of it was taken is noted with what was.
struct Leaving {
    access: Arc<Access>,
    caller: Caller,
    bytes: Bytes,
    taken: usize,
    /// `None` once it is recorded.
    shown: Option<Shown>,
    _watched: Watched,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(shown) = self.shown.take() {
            self.access.note_broken_off(&self.caller, &shown, self.taken as u64);
        }
    }
}

impl Leaving {
    fn new(routes: &Routes, caller: Caller, peer: SocketAddr, picture: Picture) -> Self {
        let Picture { bytes, shown } = picture;
        let (access, showing) = (Arc::clone(&routes.access), shown.showing);
        let watched = routes.connections.watch(peer, move || access.may_go_on(&showing));
        let (access, bytes) = (Arc::clone(&routes.access), Bytes::from(bytes));
        Self { access, caller, bytes, taken: 0, shown: Some(shown), _watched: watched }
    }

    /// The next piece; `None` at the end.
    fn piece(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        let left = self.bytes.len() - self.taken;
        if left == 0 {
            return None;
        }
        if !self.shown.as_ref().is_some_and(|shown| self.access.may_go_on(&shown.showing)) {
            return Some(Err(BrokenOff));
        }
        let piece = self.bytes.slice(self.taken..self.taken + left.min(PIECE_BYTES));
        self.taken += piece.len();
        Some(Ok(piece))
    }

    /// Records that all of it was taken.
    async fn record(mut self) -> Result<(), BrokenOff> {
        let Some(shown) = self.shown.take() else { return Ok(()) };
        let (caller, bytes) = (self.caller.clone(), self.bytes.len() as u64);
        let intended = shown.intended;
        let told = ask(&self.access, move |access| access.served(&caller, &shown, bytes)).await;
        told.map_err(|problem| {
            tracing::error!(intended, ?problem, "that a picture was served could not be recorded: the viewing ends");
            BrokenOff
        })
    }
}

impl Answer {
    fn new(routes: Routes, caller: Caller, peer: SocketAddr, picture: Picture) -> Self {
        let (grant, camera) = (picture.shown.grant(), picture.shown.camera());
        let leaving = Some(Leaving::new(&routes, caller.clone(), peer, picture));
        Self { routes, caller, peer, init: None, leaving, grant, camera, rest: VecDeque::new() }
    }

    async fn next(&mut self) -> Option<Result<Bytes, BrokenOff>> {
        if let Some(init) = self.init.take() {
            return Some(Ok(init));
        }
        loop {
            if let Some(piece) = self.leaving.as_mut().and_then(Leaving::piece) {
                return Some(piece);
            }
            if let Some(leaving) = self.leaving.take()
                && let Err(broken_off) = leaving.record().await
            {
                return Some(Err(broken_off));
            }
            let entry = self.rest.pop_front()?;
            let (caller, grant, camera) = (self.caller.clone(), self.grant, self.camera);
            let next = ask(&self.routes.access, move |access| access.copied_fragment(&caller, grant, camera, &entry));
            match next.await {
                Ok(picture) => {
                    self.leaving = Some(Leaving::new(&self.routes, self.caller.clone(), self.peer, picture));
                }
                Err(problem) => {
                    tracing::warn!(%grant, ?problem, "a film was broken off");
                    return Some(Err(BrokenOff));
                }
            }
        }
    }

    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut answer| async move {
            let piece = answer.next().await?;
            Some((piece, answer))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::PlaylistEntry;
    use crate::domain::Utc;
    use std::time::Duration;

    #[test]
    fn a_playlist_maps_each_change_and_marks_each_gap() {
        let entry = |segment, number, from_s: i64, new_init| PlaylistEntry {
            segment: SegmentId(segment),
            number,
            from: Utc::from_micros(1_795_341_600_000_000 + from_s * 1_000_000),
            length: Duration::from_millis(1000),
            new_init,
        };
        let entries = vec![entry(1, 4, 0, true), entry(2, 0, 1, false), entry(2, 9, 60, false), entry(3, 0, 61, true)];
        let text = written(&Playlist { entries });
        let wanted = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-MEDIA-SEQUENCE:0\n\
             #EXT-X-MAP:URI=\"0000000000000001/init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:00:00.000Z\n\
             #EXTINF:1.000000,\n0000000000000001/4.m4s\n\
             #EXTINF:1.000000,\n0000000000000002/0.m4s\n\
             #EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:01:00.000Z\n\
             #EXTINF:1.000000,\n0000000000000002/9.m4s\n\
             #EXT-X-DISCONTINUITY\n\
             #EXT-X-MAP:URI=\"0000000000000003/init.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:01:01.000Z\n\
             #EXTINF:1.000000,\n0000000000000003/0.m4s\n#EXT-X-ENDLIST\n";
        assert_eq!(text, wanted);
    }
}
