//! Spans of time to ask for, chosen from what the cameras logged so that every frame is plainly inside or outside.

use super::peers::LoggedFrame;
use anyhow::{Context, Result};
use serde_json::{Value, json};

const MS_US: i64 = 1000;
/// The search for the best end looks this far: the least common multiple of the cameras' rhythms is shorter.
const END_WINDOW_US: i64 = 400 * MS_US;
/// Every test camera begins a group of pictures each second.
const GOP_US: i64 = 1_000_000;
/// How many seconds around a frame tell when it was due.
const BEATS_AROUND_S: usize = 3;

/// A span as it is asked for, in microseconds since 1970: `from_us <= t < to_us`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AskedSpan {
    pub from_us: i64,
    pub to_us: i64,
}

impl AskedSpan {
    /// As the API takes it.
    pub fn to_json(self) -> Result<Value> {
        Ok(json!({"from": rfc_3339(self.from_us)?, "to": rfc_3339(self.to_us)?}))
    }

    /// As a question behind a playlist's address.
    pub fn to_query(self) -> Result<String> {
        Ok(format!("from={}&to={}", rfc_3339(self.from_us)?, rfc_3339(self.to_us)?))
    }

    pub fn moved_by_us(self, us: i64) -> Self {
        Self { from_us: self.from_us + us, to_us: self.to_us + us }
    }
}

/// A time as the API writes it.
pub fn rfc_3339(at_us: i64) -> Result<String> {
    Ok(format!("{:.6}", jiff::Timestamp::from_microsecond(at_us)?))
}

/// A time as the API wrote it.
pub fn micros(time: &Value) -> Result<i64> {
    let text = time.as_str().with_context(|| format!("{time} is no time"))?;
    let read: jiff::Timestamp = text.parse().with_context(|| format!("{text} is no time"))?;
    Ok(read.as_microsecond())
}

/// A span that begins at or after `earliest_us` and is at least `length_us` long, and at most a second and a half more.
///
/// What is shown begins with a key frame, so `from` stands far from every camera's key frames; `to` stands as far as
/// can be from every camera's frames. A camera's frame dated a few milliseconds wrong is then counted right.
///
/// # Errors
/// When a camera has not logged frames up to a second past the span's end yet.
pub fn choose_span(cameras: &[&[LoggedFrame]], earliest_us: i64, length_us: i64) -> Result<AskedSpan> {
    let cameras: Vec<Vec<LoggedFrame>> = cameras.iter().map(|frames| on_their_beat(frames)).collect();
    let keys: Vec<i64> = cameras.iter().flat_map(|frames| frames.iter()).filter(|f| f.key).map(|f| f.at_us).collect();
    let all: Vec<i64> = cameras.iter().flat_map(|frames| frames.iter()).map(|f| f.at_us).collect();
    let from_us = farthest(&keys, earliest_us, earliest_us + GOP_US);
    let end_us = from_us + length_us;
    let to_us = farthest(&all, end_us, end_us + END_WINDOW_US);
    for frames in &cameras {
        let last = frames.last().context("a camera has logged nothing")?.at_us;
        anyhow::ensure!(last >= to_us + GOP_US, "a camera has logged up to {last} µs only, {to_us} µs is asked for");
        anyhow::ensure!(frames[0].at_us + GOP_US <= from_us, "a camera began at {} µs, too late", frames[0].at_us);
    }
    Ok(AskedSpan { from_us, to_us })
}

/// The millisecond of a window that is farthest from all of `edges`.
fn farthest(edges: &[i64], window_from: i64, window_to: i64) -> i64 {
    let distance = |at: i64| edges.iter().map(|edge| (edge - at).abs()).min().unwrap_or(0);
    let mut best = (i64::MIN, window_from);
    let mut at = window_from;
    while at < window_to {
        best = best.max((distance(at), at));
        at += MS_US;
    }
    best.1
}

/// The same frames at the times at which they were due. A busy machine sends, and logs, a frame late now and then; the
/// camera's own clock, which goes out with each frame, beats on. The punctual frames around it tell when it was due.
pub fn on_their_beat(frames: &[LoggedFrame]) -> Vec<LoggedFrame> {
    let mut keys = frames.iter().enumerate().filter(|(_, frame)| frame.key).map(|(at, _)| at);
    let (Some(first), Some(second)) = (keys.next(), keys.next()) else { return frames.to_vec() };
    let (beats, beat_us) = (second - first, GOP_US / (second - first) as i64);
    let due_us = |at: usize| {
        let around = at.saturating_sub(BEATS_AROUND_S * beats)..frames.len().min(at + BEATS_AROUND_S * beats);
        let same_take = around.filter(|other| frames[*other].take == frames[at].take);
        same_take.map(|other| frames[other].at_us + (at as i64 - other as i64) * beat_us).min()
    };
    frames.iter().enumerate().map(|(at, f)| LoggedFrame { at_us: due_us(at).unwrap_or(f.at_us), ..*f }).collect()
}

/// The frames that a viewer is to see of a granted span: from the key frame at or before its begin, up to its end.
pub fn frames_to_see(frames: &[LoggedFrame], span: AskedSpan) -> Result<Vec<LoggedFrame>> {
    let frames = on_their_beat(frames);
    let first = frames.iter().rposition(|frame| frame.key && frame.at_us <= span.from_us);
    let first = first.context("no key frame was logged before the span")?;
    Ok(frames[first..].iter().take_while(|frame| frame.at_us < span.to_us).copied().collect())
}
