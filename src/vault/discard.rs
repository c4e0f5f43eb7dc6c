//! Telling the device which blocks are free, where it wants to know. It is no part of erasing: what is destroyed was
//! overwritten and read back before, and no receipt counts on it. On flash it lets the drive empty cells that no
//! overwriting reaches.

use super::Vault;
use super::volume::Volume;
use crate::disk::Discard;
use crate::domain::Utc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// At most so often.
const EVERY: Duration = Duration::from_secs(3_600);
/// At a time: a whole disk would hold up for minutes who waits for it.
const SLICE_BYTES: u64 = 32 << 30;

/// What is known of a volume's device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Discarding {
    /// Nothing was erased yet since the start, or only just now.
    #[default]
    NotYet,
    /// It is switched off.
    Off,
    Done {
        at: Utc,
        bytes: u64,
    },
    NotPermitted,
    NotOffered,
    Failed {
        why: String,
    },
}

#[derive(Debug, Default)]
pub(super) struct DiscardState {
    is_off: bool,
    told: Discarding,
    /// Something was erased since the last time.
    is_wanted: bool,
    /// When it was begun last, or the first time that something was erased.
    begun: Option<Utc>,
    /// The next slice of one under way, and what was told to be free so far.
    under_way: Option<(u64, u64)>,
}

/// One volume's.
#[derive(Debug, Default)]
pub(super) struct Discards(Mutex<DiscardState>);

impl Discards {
    fn lock(&self) -> MutexGuard<'_, DiscardState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn switch_off(&self) {
        let mut state = self.lock();
        (state.is_off, state.told) = (true, Discarding::Off);
    }

    pub fn told(&self) -> Discarding {
        self.lock().told.clone()
    }

    /// Something was erased and read back.
    pub fn want(&self, now: Utc) {
        let mut state = self.lock();
        state.is_wanted = true;
        state.begun.get_or_insert(now);
    }
}

impl Vault {
    /// Goes on with telling each device what is free, a slice a call; at most once an hour, and only where something was
    /// erased since.
    pub fn discard(&self, now: Utc) {
        self.volumes.iter().for_each(|volume| volume.discard(now));
    }
}

impl Volume {
    /// The device is not told what is free: somebody else does, or must not.
    #[must_use]
    pub fn without_discard(self) -> Self {
        self.discards.switch_off();
        self
    }

    /// Whether the device is told what is free.
    pub fn discarding(&self) -> Discarding {
        self.discards.told()
    }

    fn discard(&self, now: Utc) {
        let Some((from_bytes, so_far)) = self.next_slice(now) else { return };
        let told = self.disk.discard(&self.dir, from_bytes, SLICE_BYTES);
        let mut state = self.discards.lock();
        state.under_way = None;
        state.told = match told {
            Ok(Discard::Slice { bytes }) => {
                state.under_way = Some((from_bytes.saturating_add(SLICE_BYTES), so_far.saturating_add(bytes)));
                return;
            }
            Ok(Discard::BehindTheEnd) => Discarding::Done { at: now, bytes: so_far },
            Ok(Discard::NotPermitted) => Discarding::NotPermitted,
            Ok(Discard::NotOffered) => Discarding::NotOffered,
            Err(e) => Discarding::Failed { why: e.to_string() },
        };
        match &state.told {
            Discarding::Done { bytes, .. } => {
                tracing::info!(volume = %self.id, bytes, "the device was told what is free");
            }
            told => {
                // Said once: it would be the same in an hour.
                tracing::info!(volume = %self.id, told = ?told, "the device is not told what is free; erasing does not count on it");
                state.is_off = true;
            }
        }
    }

    fn next_slice(&self, now: Utc) -> Option<(u64, u64)> {
        let mut state = self.discards.lock();
        if state.is_off {
            return None;
        }
        if state.under_way.is_none() {
            let is_time = state.begun.is_some_and(|begun| begun.saturating_add(EVERY) <= now);
            if !state.is_wanted || !is_time {
                return None;
            }
            (state.is_wanted, state.begun) = (false, Some(now));
            state.under_way = Some((0, 0));
        }
        state.under_way
    }
}
