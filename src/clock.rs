//! The only door to time. Everything else is handed a [`Clock`]; a test hands over one that it moves by hand.
//!
//! Two hands: `wall` is what the machine believes the time to be, and may step either way; `monotonic` only runs
//! forward, at the same rate, and also while the machine is suspended (`CLOCK_BOOTTIME`).

use crate::domain::Utc;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// Two readings this far apart are one moment.
const HANDS_APART: Duration = Duration::from_millis(1);
const HANDS_TRIES: u32 = 8;

/// A source of time, cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<ManualHands>),
}

/// Waiting took longer than it was allowed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nothing within {0:?}")]
pub struct TimedOut(pub Duration);

impl Clock {
    /// The machine's own clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    pub fn wall(&self) -> Utc {
        match &self.0 {
            Source::System => system_wall(),
            Source::Manual(hands) => hands.wall(),
        }
    }

    /// Time since an arbitrary point; only differences mean something.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System => system_monotonic(),
            Source::Manual(hands) => hands.monotonic(),
        }
    }

    /// Both hands at one moment. Between two readings this thread may lose its processor for milliseconds, which would look
    /// as if somebody had set the clock.
    pub fn hands(&self) -> (Utc, Duration) {
        let mut before = self.monotonic();
        for _ in 0..HANDS_TRIES {
            let (wall, after) = (self.wall(), self.monotonic());
            if after.saturating_sub(before) <= HANDS_APART {
                return (wall, before);
            }
            before = after;
        }
        (self.wall(), before)
    }

    /// Waits on the monotonic hand.
    pub async fn sleep(&self, length: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(length).await,
            Source::Manual(hands) => hands.sleep(length).await,
        }
    }

    /// Holds up this thread, for those without an executor. A clock that stands holds up nobody: nothing would end it.
    pub fn pause(&self, length: Duration) {
        match &self.0 {
            Source::System => std::thread::sleep(length),
            Source::Manual(hands) if hands.flows => std::thread::sleep(length),
            Source::Manual(_) => {}
        }
    }

    /// Runs `work` for at most `limit` on the monotonic hand.
    ///
    /// # Errors
    /// [`TimedOut`] when the limit came first; the work is dropped.
    pub async fn timeout<F: Future>(&self, limit: Duration, work: F) -> Result<F::Output, TimedOut> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.sleep(limit) => Err(TimedOut(limit)),
        }
    }
}

fn system_wall() -> Utc {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    Utc::from_micros(micros)
}

fn system_monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Moves the hands of a [`Clock`] in a test.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<ManualHands>);

struct ManualHands {
    /// Whether real time moves the hands too: for tests with real peers.
    flows: bool,
    started_wall: Utc,
    started_monotonic: Duration,
    moved: watch::Sender<Moved>,
}

#[derive(Clone, Copy, Default)]
struct Moved {
    wall_micros: i64,
    monotonic: Duration,
}

impl fmt::Debug for ManualHands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualHands({})", self.wall())
    }
}

impl ManualClock {
    /// Stands still at `wall` until it is moved.
    pub fn standing(wall: Utc) -> Self {
        Self::with(false, wall)
    }

    /// Runs with the machine's clock, and can be moved besides.
    pub fn flowing() -> Self {
        Self::with(true, system_wall())
    }

    fn with(flows: bool, wall: Utc) -> Self {
        Self(Arc::new(ManualHands {
            flows,
            started_wall: wall,
            started_monotonic: system_monotonic(),
            moved: watch::Sender::new(Moved::default()),
        }))
    }

    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }

    /// Time passes: both hands move.
    pub fn advance(&self, by: Duration) {
        self.0.moved.send_modify(|moved| {
            moved.monotonic += by;
            moved.wall_micros += i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        });
    }

    /// Somebody sets the machine's clock: only the wall moves.
    pub fn step_wall(&self, by_micros: i64) {
        self.0.moved.send_modify(|moved| moved.wall_micros += by_micros);
    }
}

impl ManualHands {
    fn flowed(&self) -> Duration {
        if self.flows { system_monotonic().saturating_sub(self.started_monotonic) } else { Duration::ZERO }
    }

    fn wall(&self) -> Utc {
        let moved = self.moved.borrow().wall_micros;
        Utc::from_micros(self.started_wall.micros().saturating_add(moved)).saturating_add(self.flowed())
    }

    fn monotonic(&self) -> Duration {
        self.started_monotonic + self.flowed() + self.moved.borrow().monotonic
    }

    async fn sleep(&self, length: Duration) {
        let deadline = self.monotonic() + length;
        let mut moved = self.moved.subscribe();
        loop {
            moved.borrow_and_update();
            let left = deadline.saturating_sub(self.monotonic());
            if left.is_zero() {
                return;
            }
            // The sender lives in `self`, so `changed` cannot fail while this runs.
            if self.flows {
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    _ = moved.changed() => {}
                }
            } else if moved.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_hands_are_moved_past_its_time() {
        let hands = ManualClock::standing(Utc::from_micros(0));
        let clock = hands.clock();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        hands.step_wall(90_000_000);
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished(), "a stepped wall clock wakes nobody");
        hands.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        hands.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.wall(), Utc::from_micros(150_000_000));
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_ended() {
        let hands = ManualClock::standing(Utc::from_micros(0));
        let clock = hands.clock();
        let limit = Duration::from_secs(5);
        let waiter = tokio::spawn(async move { clock.timeout(limit, std::future::pending::<()>()).await });
        tokio::task::yield_now().await;
        hands.advance(limit);
        assert_eq!(waiter.await.unwrap(), Err(TimedOut(limit)));
    }
}
