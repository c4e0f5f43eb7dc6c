//! How the erase way gives way to the write way on one volume.
//!
//! Blocks are overwritten a stride at a time. Before each, the eraser waits for a commit that is under way, for a moment at
//! most; and while commits take longer than they do without it, it pauses after each stride, longer and longer up to a
//! limit. The limit keeps it faster than recording on the average: a backlog must become smaller, not larger. As soon as
//! commits are quick again the pauses are halved. Nothing of it is configured: it goes by what the device does.

use super::volume::Volume;
use crate::clock::Clock;
use crate::disk::STRIDE_BYTES;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A commit that takes no longer than this harms nobody.
const HARMLESS: Duration = Duration::from_millis(100);
/// What a commit takes of the time between two commits at most, where it is not known how long they take without erasing.
const SHARE_OF_INTERVAL: u32 = 4;
/// So long a stride waits for one commit.
const WAIT_FOR_COMMIT: Duration = Duration::from_millis(500);
/// Commits take some tens of milliseconds, and a second where much is overwritten beside them.
const HANGS_AFTER: Duration = Duration::from_secs(4);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// The eraser overwrites so much a second at least, where the device can: also where nothing is recorded.
const LEAST_BYTES_A_S: u64 = 16 << 20;

/// What the write way said of itself, and what follows for the erase way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pacing {
    /// After each stride of 1 MiB.
    pub pause: Duration,
    /// What cameras sent lately.
    pub recorded_bytes_a_s: u64,
    /// How long the last commit took.
    pub last_commit: Duration,
    /// How long commits take while nothing is overwritten.
    pub usual_commit: Option<Duration>,
}

#[derive(Debug, Default)]
struct State {
    pacing: Pacing,
    is_committing: bool,
    commits: u64,
    began: Option<Duration>,
    /// Since the last commit began.
    recorded_bytes: u64,
    /// Before it began, and not known to be durable.
    flushing_bytes: u64,
    strides: u64,
}

/// One volume's.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Without one nobody is made to wait.
    clock: OnceLock<Clock>,
    state: Mutex<State>,
    ended: Condvar,
    /// What may be written and not durable, while a commit is under way; 0 for as much as there is.
    most_unflushed_bytes: AtomicU64,
}

impl Pace {
    pub fn keep_by(&self, clock: Clock) {
        // A second one would be the same clock.
        drop(self.clock.set(clock));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Figures alone: what a panic left half-way is put right by the next commit.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn told(&self) -> Pacing {
        self.lock().pacing
    }

    pub fn keep_unflushed_below(&self, bytes: u64) {
        self.most_unflushed_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Waits while a commit is under way and too much is written behind it. The system takes much more into its cache than
    /// a slow disk writes in minutes: all of that would be lost at a power cut, and nobody would know that the disk is too
    /// slow.
    pub fn wait_for_the_disk(&self) {
        let most = self.most_unflushed_bytes.load(Ordering::Relaxed);
        if most == 0 {
            return;
        }
        let is_too_much = |state: &mut State| state.is_committing && state.flushing_bytes + state.recorded_bytes > most;
        drop(self.ended.wait_while(self.lock(), is_too_much).unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes note of what a camera sent.
    pub fn recorded(&self, bytes: usize) {
        self.lock().recorded_bytes += bytes as u64;
    }

    /// Runs a commit.
    pub fn committing<T>(&self, commit: impl FnOnce() -> T) -> T {
        let Some(clock) = self.clock.get() else { return commit() };
        let began = clock.monotonic();
        self.lock().begin(began);
        let told = commit();
        self.lock().end(clock.monotonic().saturating_sub(began));
        self.ended.notify_all();
        told
    }

    /// How long the commit that is under way has taken by now; zero where none is.
    fn committing_for(&self) -> Duration {
        let Some(clock) = self.clock.get() else { return Duration::ZERO };
        let state = self.lock();
        let began = state.began.filter(|_| state.is_committing);
        began.map_or(Duration::ZERO, |began| clock.monotonic().saturating_sub(began))
    }

    /// Called before each stride. `waited_for` is the caller's: the last commit that it waited for.
    pub fn give_way(&self, waited_for: &mut u64) {
        let Some(clock) = self.clock.get() else { return };
        let pause = {
            let mut state = self.lock();
            if state.is_committing && state.commits != *waited_for {
                *waited_for = state.commits;
                let waited = self.ended.wait_timeout_while(state, WAIT_FOR_COMMIT, |state| state.is_committing);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            state.strides += 1;
            state.pacing.pause
        };
        if !pause.is_zero() {
            clock.pause(pause);
        }
    }
}

impl Volume {
    /// How the erase way gives way to the write way here.
    pub fn pacing(&self) -> Pacing {
        self.pace.told()
    }

    /// While a commit is under way, no more than this is written and not durable: cameras wait.
    #[must_use]
    pub fn unflushed_below(self, bytes: u64) -> Self {
        self.pace.keep_unflushed_below(bytes);
        self
    }

    /// How long the commit that is under way has taken by now; zero where none is. It asks nothing of the disk, and waits
    /// for nobody who does.
    pub fn has_not_answered_for(&self) -> Duration {
        self.pace.committing_for()
    }

    /// Whether its disk hangs: new segments are better begun elsewhere.
    pub fn hangs(&self) -> bool {
        self.has_not_answered_for() >= HANGS_AFTER
    }
}

impl State {
    fn begin(&mut self, at: Duration) {
        if let Some(before) = self.began.replace(at) {
            let interval = at.saturating_sub(before);
            let bytes = u128::from(self.recorded_bytes) * 1_000;
            let rate = u64::try_from(bytes / interval.as_millis().max(1)).unwrap_or(u64::MAX);
            self.pacing.recorded_bytes_a_s = mean(self.pacing.recorded_bytes_a_s, rate);
        }
        self.flushing_bytes += std::mem::take(&mut self.recorded_bytes);
        self.commits += 1;
        self.is_committing = true;
    }

    fn end(&mut self, took: Duration) {
        self.is_committing = false;
        // Of a commit that failed the volume is latched, or the next one flushes the same.
        self.flushing_bytes = 0;
        self.pacing.last_commit = took;
        if std::mem::take(&mut self.strides) == 0 {
            let usual = self.pacing.usual_commit.map_or(took, |usual| (usual * 7 + took) / 8);
            self.pacing.usual_commit = Some(usual);
            self.pacing.pause /= 2;
            return;
        }
        let tolerated = match self.pacing.usual_commit {
            Some(usual) => usual + usual / 2,
            None => Duration::from_secs(2) / SHARE_OF_INTERVAL,
        };
        let pause = self.pacing.pause;
        self.pacing.pause = if took > tolerated.max(HARMLESS) {
            (pause * 2).max(FIRST_PAUSE).min(longest_pause(self.pacing.recorded_bytes_a_s))
        } else if pause <= FIRST_PAUSE {
            Duration::ZERO
        } else {
            pause / 2
        };
    }
}

/// With it the eraser overwrites a quarter more than is recorded.
fn longest_pause(recorded_bytes_a_s: u64) -> Duration {
    let wanted = (recorded_bytes_a_s + recorded_bytes_a_s / 4).max(LEAST_BYTES_A_S);
    Duration::from_secs(STRIDE_BYTES as u64) / u32::try_from(wanted).unwrap_or(u32::MAX)
}

fn mean(before: u64, now: u64) -> u64 {
    if before == 0 { now } else { (before * 7 + now) / 8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::Utc;
    use std::sync::mpsc;

    struct Way {
        hands: ManualClock,
        pace: Pace,
    }

    impl Way {
        fn new() -> Self {
            let hands = ManualClock::standing(Utc::from_micros(0));
            let pace = Pace::default();
            pace.keep_by(hands.clock());
            Self { hands, pace }
        }

        /// Two seconds of footage, and a commit that takes so long.
        fn commit(&self, took_ms: u64, strides: u64) {
            self.pace.recorded(48 << 20);
            let mut waited_for = 0;
            (0..strides).for_each(|_| self.pace.give_way(&mut waited_for));
            let took = Duration::from_millis(took_ms);
            self.pace.committing(|| self.hands.advance(took));
            self.hands.advance(Duration::from_secs(2) - took);
        }
    }

    #[test]
    fn commits_that_become_slow_slow_the_eraser_down_and_quick_ones_let_it_go() {
        let way = Way::new();
        (0..20).for_each(|_| way.commit(120, 0));
        assert_eq!(way.pace.told().usual_commit, Some(Duration::from_millis(120)));
        way.commit(170, 40);
        assert_eq!(way.pace.told().pause, Duration::ZERO, "it is tolerated");
        way.commit(400, 40);
        assert_eq!(way.pace.told().pause, FIRST_PAUSE);
        (0..20).for_each(|_| way.commit(400, 40));
        let longest = way.pace.told().pause;
        // 24 MiB a second are recorded: 30 MiB are overwritten at least.
        assert!(longest > Duration::from_millis(31) && longest < Duration::from_millis(35), "{longest:?}");
        (0..8).for_each(|_| way.commit(120, 40));
        assert_eq!(way.pace.told().pause, Duration::ZERO);
        assert_eq!(way.pace.told().usual_commit, Some(Duration::from_millis(120)), "only those without it count");
    }

    #[test]
    fn cameras_wait_where_too_much_is_written_behind_a_commit_and_go_on_after_it() {
        let way = Way::new();
        way.pace.keep_unflushed_below(10_000);
        // Between two commits nobody waits: the next one begins soon.
        way.pace.recorded(20_000);
        way.pace.wait_for_the_disk();
        let ((begun, begin), (go_on, may_end), (waits, waited)) = (mpsc::channel(), mpsc::channel(), mpsc::channel());
        std::thread::scope(|scope| {
            let pace = &way.pace;
            scope.spawn(move || {
                pace.committing(|| {
                    begun.send(()).unwrap();
                    may_end.recv().unwrap();
                });
            });
            begin.recv().unwrap();
            scope.spawn(move || {
                pace.wait_for_the_disk();
                waits.send(()).unwrap();
            });
            assert!(waited.recv_timeout(Duration::from_millis(200)).is_err(), "nothing is written behind 20 kB");
            go_on.send(()).unwrap();
            waited.recv_timeout(Duration::from_secs(10)).unwrap();
        });
        // What came before it is durable now.
        way.pace.recorded(9_000);
        let began = way.hands.clock().monotonic();
        way.pace.committing(|| way.pace.wait_for_the_disk());
        assert_eq!(way.hands.clock().monotonic(), began);
    }

    #[test]
    fn a_commit_that_does_not_end_is_told_of_and_waited_for_by_nobody() {
        let way = Way::new();
        assert_eq!(way.pace.committing_for(), Duration::ZERO);
        way.pace.committing(|| {
            way.hands.advance(Duration::from_secs(61));
            assert_eq!(way.pace.committing_for(), Duration::from_secs(61));
        });
        assert_eq!(way.pace.committing_for(), Duration::ZERO);
    }

    #[test]
    fn a_stride_waits_for_the_commit_that_is_under_way() {
        let way = Way::new();
        let ((begun, begin), (ready, wait)) = (mpsc::channel(), mpsc::channel());
        std::thread::scope(|scope| {
            let (pace, hands) = (&way.pace, &way.hands);
            scope.spawn(move || {
                pace.committing(|| {
                    begun.send(()).unwrap();
                    wait.recv().unwrap();
                    std::thread::sleep(Duration::from_millis(50));
                    hands.advance(Duration::from_millis(50));
                });
            });
            begin.recv().unwrap();
            ready.send(()).unwrap();
            let mut waited_for = 0;
            pace.give_way(&mut waited_for);
            assert_eq!(waited_for, 1);
            assert!(!pace.lock().is_committing, "it was over before the stride");
        });
    }

    #[test]
    fn without_a_clock_and_with_one_that_stands_nobody_waits() {
        Pace::default().give_way(&mut 0);
        let way = Way::new();
        (0..20).for_each(|_| way.commit(1_900, 10));
        assert!(way.pace.told().pause > Duration::ZERO);
        way.pace.give_way(&mut 0);
    }
}
