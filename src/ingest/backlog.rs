//! What was received and waits to be written: one line of events a camera, and one budget of bytes for all of them (I4).
//!
//! Receiving never waits for the disk. Where the disk cannot keep up, the lines grow; when they are longer than the budget
//! together, the oldest whole GOPs go, whoever sent them, until half of the budget is free: each camera keeps the newest
//! seconds, and all of them equally many. That it is half, and not as much as is wanted, makes one long gap out of many
//! short ones; each would cost a segment, on a disk that is too slow already.
//!
//! - **B1** Never more than the budget waits, whatever cameras send.
//! - **B2** What goes are whole GOPs, the oldest first. A GOP that writing has begun with is finished, where there is another
//!   one to drop.
//! - **B3** No camera holds more than [`MOST_SHARES`] even shares: one that floods harms nobody else.
//! - **B4** Where frames went, [`SourceEvent::Dropped`] stands in their place. Nothing else is lost but what nobody needs
//!   any more.

use super::source::{SourceError, SourceEvent, Told};
use crate::clock::Clock;
use crate::domain::CameraNumber;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// So many even shares of the budget one camera may take.
pub const MOST_SHARES: u64 = 4;
/// What an event takes beside its frame's bytes, about.
const EVENT_BYTES: u64 = 192;
/// A frame within a GOP wakes the recorder only this long after the frame that woke it last: it could write nothing before
/// the GOP, or four seconds of it, are whole, and to be woken 1,500 times a second for nothing cost a tenth of all work.
const WAKE_EVERY: Duration = Duration::from_millis(500);

/// The lines of all cameras, and their budget. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Backlog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget_bytes: u64,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: BTreeMap<u64, Line>,
    next_line: u64,
    /// Counts events, so that the oldest of all lines can be told.
    next_event: u64,
    waiting_bytes: u64,
    dropped: BTreeMap<CameraNumber, Dropping>,
}

/// What a camera lost to the disk so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dropping {
    pub frames: u64,
    /// On the clock's monotonic hand.
    pub newest_at: Duration,
}

/// How the backlog is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BacklogReport {
    pub budget_bytes: u64,
    pub waiting_bytes: u64,
    /// Cameras that lost frames within the span asked about.
    pub dropping: Vec<CameraNumber>,
    /// All that was ever dropped.
    pub dropped_frames: u64,
}

#[derive(Debug)]
struct Line {
    camera: CameraNumber,
    events: VecDeque<(u64, SourceEvent)>,
    /// How many of them are frames.
    frames: usize,
    bytes: u64,
    /// Frames go up to the next at which decoding can begin: the ones before them went.
    drops_until_sync: bool,
    /// The session is over: nothing more comes.
    is_ended: bool,
    wake: Arc<Notify>,
    /// On the clock's monotonic hand; `None` until the first event.
    woken_at: Option<Duration>,
}

/// A session's end of a line.
#[derive(Debug)]
pub struct Intake {
    backlog: Backlog,
    line: u64,
}

/// The recorder's end of a line.
#[derive(Debug)]
pub struct Events {
    backlog: Backlog,
    line: u64,
    wake: Arc<Notify>,
}

impl Backlog {
    pub fn new(budget_bytes: u64, clock: Clock) -> Self {
        Self(Arc::new(Shared { budget_bytes, clock, state: Mutex::default() }))
    }

    /// A new line, for one session of a camera.
    pub fn line(&self, camera: CameraNumber) -> (Intake, Events) {
        let mut state = self.lock();
        let (line, wake) = (state.next_line, Arc::new(Notify::new()));
        state.next_line += 1;
        let empty = Line {
            camera,
            events: VecDeque::new(),
            frames: 0,
            bytes: 0,
            drops_until_sync: false,
            is_ended: false,
            wake: Arc::clone(&wake),
            woken_at: None,
        };
        state.lines.insert(line, empty);
        (Intake { backlog: self.clone(), line }, Events { backlog: self.clone(), line, wake })
    }

    /// How it is, and who lost frames within the last `lately`.
    pub fn report(&self, lately: Duration) -> BacklogReport {
        let now = self.0.clock.monotonic();
        let state = self.lock();
        let recent = state.dropped.iter().filter(|(_, dropping)| now.saturating_sub(dropping.newest_at) <= lately);
        BacklogReport {
            budget_bytes: self.0.budget_bytes,
            waiting_bytes: state.waiting_bytes,
            dropping: recent.map(|(camera, _)| *camera).collect(),
            dropped_frames: state.dropped.values().map(|dropping| dropping.frames).sum(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intake {
    /// Puts an event at the end of the line; makes room where there is none. Never waits.
    ///
    /// # Errors
    /// [`SourceError::RecorderGone`] where nobody takes events any more.
    pub fn push(&self, event: SourceEvent) -> Result<(), SourceError> {
        let shared = &self.backlog.0;
        let mut state = self.backlog.lock();
        let number = state.next_event;
        let is_within_gop = matches!(&event, SourceEvent::Frame(frame) if !frame.sync);
        let line = state.lines.get_mut(&self.line).ok_or(SourceError::RecorderGone)?;
        let (before, camera) = (line.bytes, line.camera);
        let frames = line.push(number, event);
        let after = line.bytes;
        state.next_event += 1;
        state.waiting_bytes = state.waiting_bytes - before + after;
        let mut dropped = vec![(camera, frames)];
        state.keep_to(shared.budget_bytes, self.line, &mut dropped);
        let now = shared.clock.monotonic();
        for (camera, frames) in dropped.into_iter().filter(|(_, frames)| *frames > 0) {
            let known = state.dropped.entry(camera).or_insert(Dropping { frames: 0, newest_at: now });
            *known = Dropping { frames: known.frames + u64::from(frames), newest_at: now };
        }
        if let Some(line) = state.lines.get_mut(&self.line) {
            line.wake_at(now, is_within_gop);
        }
        Ok(())
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if let Some(line) = self.backlog.lock().lines.get_mut(&self.line) {
            line.is_ended = true;
            line.wake.notify_one();
        }
    }
}

impl Events {
    /// The next event; `None` when the session is over and all of it was taken. Cancelling it loses nothing.
    pub async fn recv(&mut self) -> Option<SourceEvent> {
        loop {
            {
                let mut state = self.backlog.lock();
                if let Some(event) = state.take(self.line) {
                    return Some(event);
                }
                if state.lines.get(&self.line).is_none_or(|line| line.is_ended) {
                    return None;
                }
            }
            // What came since the lock was released left its permit.
            self.wake.notified().await;
        }
    }

    /// The next event, if one waits.
    pub fn try_recv(&mut self) -> Option<SourceEvent> {
        self.backlog.lock().take(self.line)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut state = self.backlog.lock();
        if let Some(line) = state.lines.remove(&self.line) {
            state.waiting_bytes -= line.bytes;
        }
    }
}

impl State {
    fn take(&mut self, line: u64) -> Option<SourceEvent> {
        let line = self.lines.get_mut(&line)?;
        let (_, event) = line.events.pop_front()?;
        let bytes = size_of(&event);
        line.bytes -= bytes;
        line.frames -= usize::from(matches!(event, SourceEvent::Frame(_)));
        self.waiting_bytes -= bytes;
        Some(event)
    }

    /// B1 to B3.
    fn keep_to(&mut self, budget_bytes: u64, newest: u64, dropped: &mut Vec<(CameraNumber, u32)>) {
        let cameras = self.lines.len().max(1) as u64;
        let most_bytes = (budget_bytes.saturating_mul(MOST_SHARES) / cameras).min(budget_bytes);
        if self.lines.get(&newest).is_some_and(|line| line.bytes > most_bytes) {
            while self.lines.get(&newest).is_some_and(|line| line.frames > 0 && line.bytes > most_bytes / 2) {
                self.drop_of(newest, dropped);
            }
        }
        if self.waiting_bytes <= budget_bytes {
            return;
        }
        while self.waiting_bytes > budget_bytes / 2 {
            let oldest = self.lines.iter().filter_map(|(number, line)| Some((line.oldest_gop()?, *number))).min();
            let others = || self.lines.iter().filter(|(_, line)| line.frames > 0);
            let longest = || others().max_by_key(|(_, line)| line.bytes).map(|(number, _)| *number);
            let Some(from) = oldest.map(|(_, number)| number).or_else(longest) else { return };
            self.drop_of(from, dropped);
        }
    }

    fn drop_of(&mut self, number: u64, dropped: &mut Vec<(CameraNumber, u32)>) {
        let Some(line) = self.lines.get_mut(&number) else { return };
        let before = line.bytes;
        let frames = line.drop_oldest();
        let (camera, after) = (line.camera, line.bytes);
        self.waiting_bytes -= before - after;
        dropped.push((camera, frames));
    }
}

impl Line {
    /// Wakes the recorder, where there may be something for it to do.
    fn wake_at(&mut self, now: Duration, is_within_gop: bool) {
        if is_within_gop && self.woken_at.is_some_and(|woken_at| now.saturating_sub(woken_at) < WAKE_EVERY) {
            return;
        }
        self.woken_at = Some(now);
        self.wake.notify_one();
    }

    /// Returns how many frames were dropped at once.
    fn push(&mut self, number: u64, event: SourceEvent) -> u32 {
        let SourceEvent::Frame(frame) = &event else {
            self.put(self.events.len(), number, event);
            return 0;
        };
        self.drops_until_sync &= !frame.sync;
        if self.drops_until_sync {
            self.put(self.events.len(), number, SourceEvent::Dropped { frames: 1, until: frame.filmed_at });
            return 1;
        }
        self.bytes += size_of(&event);
        self.frames += 1;
        self.events.push_back((number, event));
        0
    }

    /// Puts what is no frame right before place `at`. Of its kind there is one between two frames at most: else a camera
    /// could fill the memory with them.
    fn put(&mut self, at: usize, number: u64, event: SourceEvent) {
        let between =
            self.events.range_mut(..at).rev().take_while(|(_, known)| !matches!(known, SourceEvent::Frame(_)));
        for (_, known) in between {
            let before = size_of(known);
            if combine(known, &event) {
                self.bytes = self.bytes - before + size_of(known);
                return;
            }
        }
        self.bytes += size_of(&event);
        self.events.insert(at, (number, event));
    }

    /// The places of the first whole GOP: from its sync frame up to the next one's, or the end where no more comes to it.
    fn first_gop(&self) -> Option<(usize, usize)> {
        let mut syncs = self.events.iter().enumerate().filter(|(_, (_, event))| is_sync(event)).map(|(at, _)| at);
        let from = syncs.next()?;
        let to = syncs.next().or((self.is_ended || self.drops_until_sync).then_some(self.events.len()))?;
        Some((from, to))
    }

    fn oldest_gop(&self) -> Option<u64> {
        let (from, _) = self.first_gop()?;
        self.events.get(from).map(|(number, _)| *number)
    }

    /// Drops the first whole GOP; where there is none, all frames, and those that come up to the next sync frame.
    fn drop_oldest(&mut self) -> u32 {
        let (from, to) = self.first_gop().unwrap_or_else(|| {
            self.drops_until_sync = true;
            (0, self.events.len())
        });
        let gone: Vec<(u64, SourceEvent)> = self.events.drain(from..to).collect();
        let behind = self.events.len() - from;
        let mut dropped = 0_u32;
        for (number, event) in gone {
            self.bytes -= size_of(&event);
            let left = match event {
                SourceEvent::Frame(frame) => {
                    self.frames -= 1;
                    dropped = dropped.saturating_add(1);
                    SourceEvent::Dropped { frames: 1, until: frame.filmed_at }
                }
                // What comes next is coded and dated by these.
                SourceEvent::Parameters(_) | SourceEvent::Reanchored(_) | SourceEvent::Dropped { .. } => event,
                SourceEvent::Lost { .. } | SourceEvent::Told(_) => continue,
            };
            self.put(self.events.len() - behind, number, left);
        }
        dropped
    }
}

/// Makes one of two events that no frame stands between, where that says the same.
fn combine(known: &mut SourceEvent, next: &SourceEvent) -> bool {
    match (known, next) {
        (SourceEvent::Lost { packets }, SourceEvent::Lost { packets: more }) => {
            *packets = packets.saturating_add(*more);
        }
        (SourceEvent::Dropped { frames, until }, SourceEvent::Dropped { frames: more, until: end }) => {
            *frames = frames.saturating_add(*more);
            *until = *end;
        }
        (known @ SourceEvent::Parameters(_), SourceEvent::Parameters(_))
        | (known @ SourceEvent::Reanchored(_), SourceEvent::Reanchored(_))
        | (known @ SourceEvent::Told(Told::Sound { .. }), SourceEvent::Told(Told::Sound { .. }))
        | (known @ SourceEvent::Told(Told::ClockAhead { .. }), SourceEvent::Told(Told::ClockAhead { .. })) => {
            *known = next.clone();
        }
        _ => return false,
    }
    true
}

fn is_sync(event: &SourceEvent) -> bool {
    matches!(event, SourceEvent::Frame(frame) if frame.sync)
}

fn size_of(event: &SourceEvent) -> u64 {
    let own = match event {
        SourceEvent::Frame(frame) => frame.data.len(),
        SourceEvent::Parameters(parameters) => parameters.decoder_config.len(),
        SourceEvent::Reanchored(_) | SourceEvent::Lost { .. } | SourceEvent::Told(_) | SourceEvent::Dropped { .. } => 0,
    };
    EVENT_BYTES + own as u64
}

#[cfg(test)]
mod tests;
