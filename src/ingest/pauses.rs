//! When a camera is tried again, and that not all of them are at once.
//!
//! Whoever lost its camera waits a second, then twice as long each time, and each time up to a quarter more, so that cameras
//! that broke off together come back one by one. A switch that starts again takes 97 cameras with it all the same:
//! [`Starts`] lets so many sessions begin a second and no more, whoever waits.

use super::SourceError;
use crate::clock::Clock;
use crate::crypto::random_u64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// 97 sessions begin within two and a half seconds.
const BETWEEN_STARTS: Duration = Duration::from_millis(25);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// With its quarter, and what a session takes to begin, a camera is back within 15 s after it can be.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// What only a person can mend: cameras lock out who asks with a wrong password again and again.
const LONGEST_PAUSE_REFUSED: Duration = Duration::from_secs(30);
/// A session that lasted this long was a good one: the next pause is short again.
const GOOD_SESSION: Duration = Duration::from_secs(10);

/// The turns of all cameras to begin a session.
#[derive(Debug, Default)]
pub(super) struct Starts(Mutex<Duration>);

impl Starts {
    /// Waits for the next turn.
    pub async fn turn(&self, clock: &Clock) {
        let now = clock.monotonic();
        let at = {
            let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let at = now.max(*next);
            *next = at + BETWEEN_STARTS;
            at
        };
        if at > now {
            clock.sleep(at - now).await;
        }
    }
}

/// One camera's pauses.
#[derive(Debug)]
pub(super) struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        Self(SHORTEST_PAUSE)
    }
}

impl BackOff {
    /// How long to wait after a session that lasted so long and ended for this.
    pub fn pause(&mut self, lasted: Duration, why: &SourceError) -> Duration {
        if lasted >= GOOD_SESSION {
            self.0 = SHORTEST_PAUSE;
        }
        let longest = if is_for_a_person(why) { LONGEST_PAUSE_REFUSED } else { LONGEST_PAUSE };
        let pause = self.0.min(longest);
        self.0 = pause * 2;
        with_jitter(pause)
    }
}

fn is_for_a_person(why: &SourceError) -> bool {
    match why {
        SourceError::Unauthorized | SourceError::CredentialsMissing | SourceError::Scheme { .. } => true,
        SourceError::Unreachable { .. }
        | SourceError::NoAnswer { .. }
        | SourceError::Refused { .. }
        | SourceError::NoVideo { .. }
        | SourceError::Unreadable { .. }
        | SourceError::Disordered
        | SourceError::BadFrame(_)
        | SourceError::Disconnected { .. }
        | SourceError::Ended
        | SourceError::Stalled { .. }
        | SourceError::NoKeyFrame { .. }
        | SourceError::NoParameters { .. }
        | SourceError::WorkerStart(_)
        | SourceError::WorkerDied { .. }
        | SourceError::WorkerBroken(_)
        | SourceError::RecorderGone => false,
    }
}

/// Up to a quarter more.
fn with_jitter(pause: Duration) -> Duration {
    let share = random_u64().map_or(0, |random| random % 256);
    pause + pause.mul_f64(share as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::Utc;
    use std::sync::Arc;

    fn pauses(lasted: Duration, why: &SourceError, count: usize) -> Vec<f64> {
        let mut back_off = BackOff::default();
        (0..count).map(|_| back_off.pause(lasted, why).as_secs_f64()).collect()
    }

    #[test]
    fn pauses_grow_to_their_limit_and_are_short_after_a_good_session() {
        let gone = SourceError::Ended;
        let within = |told: &[f64], wanted: &[f64]| {
            assert_eq!(told.len(), wanted.len());
            for (told, wanted) in told.iter().zip(wanted) {
                assert!(*told >= *wanted && *told < wanted * 1.25, "{told} and {wanted}");
            }
        };
        within(&pauses(Duration::ZERO, &gone, 6), &[1.0, 2.0, 4.0, 8.0, 8.0, 8.0]);
        within(&pauses(Duration::ZERO, &SourceError::Unauthorized, 7), &[1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        within(&pauses(GOOD_SESSION, &gone, 4), &[1.0; 4]);
    }

    #[tokio::test]
    async fn of_97_that_want_to_begin_at_once_no_second_sees_more_than_41() {
        let hands = ManualClock::standing(Utc::from_micros(0));
        let clock = hands.clock();
        let (starts, began) = (Arc::new(Starts::default()), Arc::new(Mutex::new(Vec::new())));
        for _ in 0..97 {
            let (starts, began, clock) = (Arc::clone(&starts), Arc::clone(&began), clock.clone());
            tokio::spawn(async move {
                starts.turn(&clock).await;
                began.lock().unwrap().push(clock.monotonic());
            });
        }
        for _ in 0..250 {
            (0..4).for_each(|_| drop(tokio::task::yield_now()));
            tokio::task::yield_now().await;
            hands.advance(Duration::from_millis(10));
        }
        tokio::task::yield_now().await;
        let began = began.lock().unwrap();
        assert_eq!(began.len(), 97, "all within two and a half seconds");
        for first in began.iter() {
            let second = *first..*first + Duration::from_secs(1);
            assert!(began.iter().filter(|at| second.contains(*at)).count() <= 41);
        }
    }
}
