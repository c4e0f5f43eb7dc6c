//! What is done about a disk that fills.
//!
//! Invariants
//! - F1 Nothing that a hold covers, or that a floor keeps, is destroyed for room.
//! - F2 Only as much goes as is short, the oldest over all cameras first. What is on its way out counts as room.
//! - F3 Room that a disk does not tell is neither endless nor none: nothing is destroyed for it, and it is an alarm.
//! - F4 Where destroying gives no room, since somebody else fills the disk, it ends, and is tried again after a while.
//! - F5 Nothing of this is silent: each early destruction is a receipt with its trigger and an alarm, and so is a stop.
//!
//! The recorder keeps off the last 16 MiB of each volume, which the eraser needs for its records, so neither waits for the
//! other. Long before that, when there is less than some minutes of recording free, this makes room.

use super::RetentionError;
use crate::config::WhenFull;
use crate::domain::{DestructionTrigger, Utc};
use crate::vault::{Holds, Rate, TrustedClock, VOLUME_RESERVE_BYTES, Vault, Volume, VolumeRoom, rates};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So much recording is kept free where the disk is large enough: the eraser has this long to make room.
const KEPT_FREE: Duration = Duration::from_secs(300);
/// On a small disk less is: this share of it,
const LARGEST_SHARE: u64 = 20;
/// but never less than each camera's next segments want at once.
const SEGMENTS_AHEAD: u32 = 2;
/// Made free beyond what is wanted, so that it is not short again in the next second.
const BEYOND_ONE_IN: u64 = 4;
/// How long it rests after it gave no room.
const REST: Duration = Duration::from_secs(600);
/// How long an early destruction stays an alarm after the last.
const ALARM_FOR: Duration = Duration::from_secs(86_400);

/// What should be free above the volumes' own reserves, for cameras of these rates and segments of about this length.
pub fn wanted_free(rates: impl Iterator<Item = Rate>, capacity_bytes: u64, segment: Duration) -> u64 {
    let (mut kept_free, mut ahead) = (0, 0);
    for rate in rates {
        kept_free += rate.disk_bytes_in(KEPT_FREE);
        ahead += rate.disk_bytes_in(segment * SEGMENTS_AHEAD);
    }
    kept_free.min(capacity_bytes / LARGEST_SHARE).max(ahead)
}

/// What one round did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MadeRoom {
    pub condemned: u64,
    pub bytes: u64,
}

/// A time in which there is too little room, from its beginning on.
#[derive(Clone, Copy, Debug)]
struct Shortage {
    /// What may be destroyed for it: what was short, and what came since.
    allowed_bytes: u64,
    condemned_bytes: u64,
}

/// What is early is told for a day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Early {
    segments: u64,
    bytes: u64,
    first_at: Utc,
    last_at: Utc,
    /// The newest footage that went was filmed then.
    up_to: Utc,
}

#[derive(Debug, Default)]
struct State {
    shortage: Option<Shortage>,
    recorded_bytes: Option<u64>,
    early: Option<Early>,
    /// Since when it rests, and since when there is enough room again, by monotonic time.
    rests_since: Option<Duration>,
    enough_since: Option<Duration>,
    stopped: Option<Stopped>,
    untold: Vec<String>,
}

/// Why no room is made though there is too little.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stopped {
    AsConfigured,
    NothingMayGo { held_bytes: u64 },
    SomebodyElse,
}

/// Keeps room for recording.
#[derive(Debug)]
pub struct Fullness {
    vault: Arc<Vault>,
    time: Arc<TrustedClock>,
    holds: Arc<Mutex<Holds>>,
    when_full: WhenFull,
    segment: Duration,
    state: Mutex<State>,
}

impl Fullness {
    /// `segment` is about how long a segment is.
    pub fn new(
        vault: Arc<Vault>,
        time: Arc<TrustedClock>,
        holds: Arc<Mutex<Holds>>,
        when_full: WhenFull,
        segment: Duration,
    ) -> Self {
        Self { vault, time, holds, when_full, segment, state: Mutex::default() }
    }

    pub fn when_full(&self) -> WhenFull {
        self.when_full
    }

    /// What should be free above the volumes' own reserves.
    pub fn wanted_bytes(&self, volumes: &[VolumeRoom]) -> u64 {
        let capacity: u64 = volumes.iter().filter_map(VolumeRoom::capacity_bytes).sum();
        wanted_free(rates(volumes).into_values(), capacity, self.segment)
    }

    /// One round: looks at the room, and condemns the oldest footage where there is too little. Blocks on the disk.
    ///
    /// # Errors
    /// The first failure; the next round goes on.
    pub fn round(&self) -> Result<MadeRoom, RetentionError> {
        let mut volumes = self.vault.room();
        volumes.retain(|volume| !volume.is_latched);
        let wanted = self.wanted_bytes(&volumes);
        let free = |volume: &VolumeRoom| Some(volume.free_bytes?.saturating_sub(VOLUME_RESERVE_BYTES));
        let room: u64 = volumes.iter().filter_map(free).sum();
        let going: u64 = volumes.iter().map(VolumeRoom::going_bytes).sum();
        let recorded: u64 = volumes.iter().map(VolumeRoom::recorded_bytes).sum();
        let short = wanted.saturating_sub(room);
        {
            let mut state = self.lock();
            let untold = volumes.iter().filter(|volume| volume.free_bytes.is_none());
            state.untold = untold.map(|volume| volume.dir.display().to_string()).collect();
            state.note_recorded(recorded);
            if short == 0 {
                state.note_enough(self.time.clock().monotonic());
                drop(state);
                self.keep_reserves()?;
                return Ok(MadeRoom::default());
            }
            state.enough_since = None;
            if !state.untold.is_empty() {
                return Ok(MadeRoom::default());
            }
            if self.when_full == WhenFull::Stop {
                state.stopped = Some(Stopped::AsConfigured);
                return Ok(MadeRoom::default());
            }
            if !state.may_go_on(short, wanted, self.time.clock().monotonic()) {
                return Ok(MadeRoom::default());
            }
        }
        let to_free = (short + wanted / BEYOND_ONE_IN).saturating_sub(going);
        if to_free == 0 {
            self.lock().stopped = None;
            return Ok(MadeRoom::default());
        }
        self.condemn(to_free, &volumes)
    }

    /// What the eraser has in hand when others fill a disk to the last block.
    fn keep_reserves(&self) -> Result<(), RetentionError> {
        let has_room = |volume: &&Volume| {
            !volume.is_latched() && volume.free_bytes().is_ok_and(|free| free > VOLUME_RESERVE_BYTES)
        };
        Ok(self.vault.volumes().iter().filter(has_room).try_for_each(Volume::keep_reserve)?)
    }

    fn condemn(&self, to_free: u64, volumes: &[VolumeRoom]) -> Result<MadeRoom, RetentionError> {
        let now = self.time.trusted();
        // No hold is placed from the look at it to the record.
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = self.vault.oldest(&holds, now, to_free)?;
        let told = self.vault.condemn(&oldest.segments, &holds, DestructionTrigger::Early, now);
        drop(holds);
        let told = told?;
        let mut state = self.lock();
        let may_nothing_go = oldest.bytes + oldest.due_bytes == 0;
        state.stopped = may_nothing_go
            .then(|| Stopped::NothingMayGo { held_bytes: volumes.iter().map(VolumeRoom::apart_bytes).sum() });
        let made = MadeRoom { condemned: told.condemned.len() as u64, bytes: oldest.bytes };
        let up_to = oldest.segments.iter().map(|live| live.span.to()).max();
        if let Some(up_to) = up_to.filter(|_| made.condemned > 0) {
            state.note_early(made, up_to, now);
            tracing::error!(segments = made.condemned, bytes = made.bytes, up_to = %up_to,
                "the disk is full: the oldest footage is destroyed before its day");
        }
        Ok(made)
    }

    /// What a person must look at.
    pub fn alarms(&self) -> Vec<String> {
        let now = self.time.trusted();
        let mut state = self.lock();
        if state.early.is_some_and(|early| now.since(early.last_at) > ALARM_FOR) {
            state.early = None;
        }
        let mut alarms: Vec<String> = Vec::new();
        alarms.extend(state.untold.iter().map(|dir| {
            format!("how much room {dir} has cannot be told: nothing is destroyed for room; look at its disk")
        }));
        if let Some(Early { segments, bytes, first_at, last_at, up_to }) = state.early {
            alarms.push(format!(
                "the disk is full: {segments} segments ({}), filmed up to {up_to}, were destroyed before their day from \
                 {first_at} to {last_at}. The notice promises more than the disk holds: add a disk, or shorten periods; \
                 `custodian plan` says how much",
                in_gigabytes(bytes)
            ));
        }
        match state.stopped {
            None => {}
            Some(Stopped::AsConfigured) => alarms.push(
                "the disk is full, and when_full is \"stop\": recording stops when nothing is left, and goes on by itself \
                 when there is room. Add a disk, or shorten periods; `custodian plan` says how much"
                    .to_owned(),
            ),
            Some(Stopped::NothingMayGo { held_bytes }) => alarms.push(format!(
                "the disk is full, and nothing on it may go: it is held ({}), must be kept by law, or is just being \
                 recorded. Cameras stop, and go on by themselves when there is room: add a disk, or end holds that are \
                 over",
                in_gigabytes(held_bytes)
            )),
            Some(Stopped::SomebodyElse) => alarms.push(
                "destroying footage gives no room: something else fills the disk. No more is destroyed for now: find out \
                 what it is, and move it away"
                    .to_owned(),
            ),
        }
        alarms
    }

    /// Segments and bytes that were destroyed early of late.
    pub fn early(&self) -> (u64, u64) {
        self.lock().early.map_or((0, 0), |early| (early.segments, early.bytes))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What was recorded since the last round may be destroyed again, as much of it as comes.
    fn note_recorded(&mut self, recorded_bytes: u64) {
        let more = self.recorded_bytes.map_or(0, |before| recorded_bytes.saturating_sub(before));
        self.recorded_bytes = Some(recorded_bytes);
        if let Some(shortage) = &mut self.shortage {
            shortage.allowed_bytes += more;
        }
    }

    /// Room that is there for a moment, until somebody else has it, is no end of a shortage.
    fn note_enough(&mut self, monotonic: Duration) {
        self.stopped = None;
        let since = *self.enough_since.get_or_insert(monotonic);
        if monotonic.saturating_sub(since) >= REST {
            (self.shortage, self.rests_since) = (None, None);
        }
    }

    /// Whether more may be destroyed (F4): as much as was short and as came since, and once more what is wanted. Whoever
    /// needs more than that is not the cameras.
    fn may_go_on(&mut self, short: u64, wanted: u64, monotonic: Duration) -> bool {
        if self.rests_since.is_some_and(|since| monotonic.saturating_sub(since) < REST) {
            return false;
        }
        if self.rests_since.take().is_some() {
            self.shortage = None;
        }
        let new = Shortage { allowed_bytes: short + wanted + wanted / BEYOND_ONE_IN, condemned_bytes: 0 };
        let shortage = self.shortage.get_or_insert(new);
        if shortage.condemned_bytes >= shortage.allowed_bytes {
            self.rests_since = Some(monotonic);
            self.stopped = Some(Stopped::SomebodyElse);
            tracing::error!("destroying footage gives no room: something else fills the disk");
            return false;
        }
        true
    }

    fn note_early(&mut self, made: MadeRoom, up_to: Utc, now: Utc) {
        if let Some(shortage) = &mut self.shortage {
            shortage.condemned_bytes += made.bytes;
        }
        let new = Early { segments: 0, bytes: 0, first_at: now, last_at: now, up_to };
        let early = self.early.get_or_insert(new);
        early.segments += made.condemned;
        early.bytes += made.bytes;
        early.last_at = now;
        early.up_to = early.up_to.max(up_to);
    }
}

fn in_gigabytes(bytes: u64) -> String {
    if bytes >= 1_000_000_000 {
        format!("{:.1} GB", bytes as f64 / 1e9)
    } else {
        format!("{:.0} MB", bytes as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests;
