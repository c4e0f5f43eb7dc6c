//! The disk with its flushes counted: each call that makes the device write its cache out.

use crate::watched_disk::{Act, WatchedDisk, Watcher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The machine's own disk.
pub type CountedDisk = WatchedDisk<FlushCount>;

#[derive(Clone, Debug, Default)]
pub struct FlushCount(Arc<AtomicU64>);

impl FlushCount {
    /// How many there have been.
    pub fn flushes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Watcher for FlushCount {
    fn watch<T>(&self, what: Act, act: impl FnOnce() -> T) -> T {
        match what {
            Act::FlushFile(_) | Act::FlushElse => self.0.fetch_add(1, Ordering::Relaxed),
            Act::Open(_) | Act::Write(_) | Act::Extents(_) => 0,
        };
        act()
    }
}
