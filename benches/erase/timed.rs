//! The disk with the time taken that overwriting takes: opening a segment past the page cache, looking where it stands, writing
//! it and flushing it. Not reading it back, and no manifest.

use crate::watched_disk::{Act, WatchedDisk, Watcher};
use cctv_custodian::disk::Access;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The machine's own disk.
pub type TimedDisk = WatchedDisk<Stopwatch>;

/// Of files that are opened past the page cache alone.
#[derive(Clone, Debug, Default)]
pub struct Stopwatch(Arc<AtomicU64>);

impl Stopwatch {
    /// How long it took since the last time this was asked.
    pub fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

impl Watcher for Stopwatch {
    fn watch<T>(&self, what: Act, act: impl FnOnce() -> T) -> T {
        let opened = match what {
            Act::Open(access) => Some(access),
            Act::Write(opened) | Act::Extents(opened) | Act::FlushFile(opened) => opened,
            Act::FlushElse => None,
        };
        let began = Instant::now();
        let told = act();
        if opened == Some(Access::Direct) {
            self.0.fetch_add(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        told
    }
}
