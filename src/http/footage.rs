//! Watching: HLS (RFC 8216) over what a grant allows.

use super::Routes;
use super::answers::{SignedIn, ask};
use super::bodies::{Asked, MaybeEnds, Place};
use super::described::{Bytes, Kind};
use super::parts::Part;
use super::problem::{self, Problem};
use crate::access::{Caller, GrantView, Picture, Playlist};
use crate::domain::{CameraNumber, GrantId, SegmentId};
use axum::Json;
use axum::body::{Body, Bytes as Chunk};
use axum::extract::State;
use futures::stream;
use serde::Serialize;
use std::convert::Infallible;
use std::fmt::Write as _;

/// A playlist (RFC 8216).
pub(super) struct Hls;

impl Kind for Hls {
    const NAME: &'static str = "application/vnd.apple.mpegurl";
    const DESCRIPTION: &'static str = "A playlist (RFC 8216); addresses in it are relative to its own";
    const IS_TEXT: bool = true;
}

/// A part of a film.
pub(super) struct Video;

impl Kind for Video {
    const NAME: &'static str = "video/mp4";
    const DESCRIPTION: &'static str = "A part of a film, in fragmented MP4";
    const IS_TEXT: bool = false;
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Grants {
    grants: Vec<GrantView>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn grants(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Grants>, Problem> {
    let all = ask(&routes.access, move |access| access.grants(&caller)).await?;
    let (grants, next) = part.of(all, |grant| grant.grant)?;
    Ok(Json(Grants { grants, next }))
}

pub(super) async fn playlist(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place((grant, camera)): Place<(GrantId, CameraNumber)>,
    Asked(part): Asked<MaybeEnds>,
) -> Result<Bytes<Hls>, Problem> {
    let part = part.span()?;
    let playlist = ask(&routes.access, move |access| access.playlist(&caller, grant, camera, part)).await?;
    Ok(Bytes::new(written(&playlist)))
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
) -> Result<Bytes<Video>, Problem> {
    let bytes = ask(&routes.access, move |access| access.init(&caller, grant, camera, segment)).await?;
    Ok(Bytes::new(bytes))
}

pub(super) async fn fragment(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place((grant, camera, segment, part)): Place<(GrantId, CameraNumber, SegmentId, String)>,
) -> Result<Bytes<Video>, Problem> {
    let Some(number) = part.strip_suffix(".m4s").and_then(|number| number.parse().ok()) else {
        return Err(problem::no_such_route().await);
    };
    let viewer = caller.clone();
    let picture = ask(&routes.access, move |access| access.fragment(&viewer, grant, camera, segment, number)).await?;
    Ok(Bytes::new(told_when_served(routes, caller, picture)))
}

/// A body that, once its bytes were taken, has the ledger told so. One that breaks off leaves the row of intent alone.
fn told_when_served(routes: Routes, caller: Caller, picture: Picture) -> Body {
    let Picture { bytes, frames, intended } = picture;
    let length = bytes.len() as u64;
    let pictures = stream::once(std::future::ready(Ok::<Chunk, Infallible>(Chunk::from(bytes))));
    let row = stream::once(async move {
        let told = ask(&routes.access, move |access| access.served(&caller, intended, frames, length)).await;
        if let Err(problem) = told {
            tracing::error!(intended, ?problem, "that a picture was served could not be recorded");
        }
        Ok(Chunk::new())
    });
    Body::from_stream(futures::StreamExt::chain(pictures, row))
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
