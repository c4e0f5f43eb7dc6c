//! The trusted clock. Two readings: what the wall says, and an anchor, the last trusted time plus what has passed
//! since. Destruction goes by the anchor; access is denied by the later of the two.
//!
//! A synchronised clock moves the anchor. Without one it runs on by the monotonic hand; over a restart the wall's
//! step forward is taken on, up to a limit in total since the last synchronised time. So a clock at 1970 or 2099 at
//! boot destroys nothing, and an offline site with a weekend's outage needs nobody.

use super::VaultError;
use crate::clock::Clock;
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::{StateVersion, Utc};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: StateVersion,
    /// The trusted time when this was written.
    trusted: Utc,
    /// How far unsynchronised steps forward have taken it since it was last synchronised.
    stepped_s: u64,
}

#[derive(Debug)]
struct Anchor {
    trusted: Utc,
    at_monotonic: Duration,
    stepped: Duration,
    in_doubt: bool,
}

/// The site's trusted clock.
#[derive(Debug)]
pub struct TrustedClock {
    clock: Clock,
    disk: SharedDisk,
    path: PathBuf,
    is_synchronised: fn() -> bool,
    anchor: Mutex<Anchor>,
}

impl TrustedClock {
    /// Takes the anchor up where it was left. `step_limit` bounds unsynchronised steps forward in total. Where nothing
    /// was left, `newest_known` stands for it: a moment that has certainly been; without that, the wall is believed.
    ///
    /// # Errors
    /// [`VaultError::State`] for a file that cannot be read or written.
    pub fn start(
        clock: Clock,
        disk: SharedDisk,
        path: PathBuf,
        step_limit: Duration,
        is_synchronised: fn() -> bool,
        newest_known: Option<Utc>,
    ) -> Result<Self, VaultError> {
        let unreadable = |what: String| VaultError::State { file: path.display().to_string(), what };
        let wall = clock.wall();
        let (trusted, stepped, in_doubt) = match read_file(&*disk, &path, 4096) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => match newest_known {
                None => (wall, Duration::ZERO, false),
                Some(trusted) => {
                    let stored = Stored { version: StateVersion, trusted, stepped_s: 0 };
                    resume(stored, wall, step_limit, is_synchronised())
                }
            },
            Err(e) => return Err(unreadable(e.to_string())),
            Ok(bytes) => {
                let stored: Stored = StateVersion::read(&bytes).map_err(|e| {
                    unreadable(format!(
                        "{e}. Set the machine's clock right, look at it twice, then move this file away"
                    ))
                })?;
                resume(stored, wall, step_limit, is_synchronised())
            }
        };
        let anchor = Anchor { trusted, at_monotonic: clock.monotonic(), stepped, in_doubt };
        if in_doubt {
            tracing::error!(wall = %wall, trusted = %trusted,
                "the clock is in doubt: destruction waits at the trusted time until the clock is synchronised");
        }
        let this = Self { clock, disk, path, is_synchronised, anchor: Mutex::new(anchor) };
        this.store()?;
        Ok(this)
    }

    fn lock(&self) -> MutexGuard<'_, Anchor> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trusted time: what destruction compares with.
    pub fn trusted(&self) -> Utc {
        let anchor = self.lock();
        anchor.trusted.saturating_add(self.clock.monotonic().saturating_sub(anchor.at_monotonic))
    }

    /// The later of the two readings: what access compares with.
    pub fn later(&self) -> Utc {
        self.trusted().max(self.clock.wall())
    }

    /// Whether the wall clock could not be believed at the start, and nothing has set it right since.
    pub fn is_in_doubt(&self) -> bool {
        self.lock().in_doubt
    }

    /// The clock that this one stands on.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Takes a synchronised wall clock over, and writes the anchor down. Called every minute or so, and at a stop.
    ///
    /// # Errors
    /// [`VaultError::State`] where it cannot be written.
    pub fn keep(&self) -> Result<(), VaultError> {
        if (self.is_synchronised)() {
            let mut anchor = self.lock();
            anchor.trusted = self.clock.wall();
            anchor.at_monotonic = self.clock.monotonic();
            anchor.stepped = Duration::ZERO;
            anchor.in_doubt = false;
        }
        self.store()
    }

    fn store(&self) -> Result<(), VaultError> {
        let failed = |what: String| VaultError::State { file: self.path.display().to_string(), what };
        let stored =
            Stored { version: StateVersion, trusted: self.trusted(), stepped_s: self.lock().stepped.as_secs() };
        let bytes = serde_json::to_vec(&stored).map_err(|e| failed(e.to_string()))?;
        replace_file(&*self.disk, &self.path, &bytes).map_err(|e| failed(e.to_string()))
    }
}

/// Where the anchor goes on after a restart: trusted time, steps used up, whether it is in doubt.
fn resume(stored: Stored, wall: Utc, step_limit: Duration, is_synchronised: bool) -> (Utc, Duration, bool) {
    let used = Duration::from_secs(stored.stepped_s);
    let step = wall.since(stored.trusted);
    if is_synchronised {
        (wall, Duration::ZERO, false)
    } else if wall < stored.trusted {
        (stored.trusted, used, true)
    } else if used.saturating_add(step) <= step_limit {
        (wall, used.saturating_add(step), false)
    } else {
        (stored.trusted, used, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::disk::RealDisk;
    use std::sync::Arc;

    const HOUR: Duration = Duration::from_secs(3_600);
    const HOUR_MICROS: i64 = 3_600_000_000;
    const LIMIT: Duration = Duration::from_secs(72 * 3_600);
    const START: Utc = Utc::from_micros(1_795_341_600_000_000);

    struct Site {
        _dir: tempfile::TempDir,
        path: PathBuf,
    }

    impl Site {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self { path: dir.path().join("clock"), _dir: dir }
        }

        fn start(&self, hands: &ManualClock, is_synchronised: fn() -> bool) -> TrustedClock {
            let disk: SharedDisk = Arc::new(RealDisk);
            TrustedClock::start(hands.clock(), disk, self.path.clone(), LIMIT, is_synchronised, None).unwrap()
        }
    }

    #[test]
    fn a_wall_clock_that_steps_while_running_moves_access_but_not_destruction() {
        let hands = ManualClock::standing(START);
        let clock = Site::new().start(&hands, || false);
        hands.step_wall(40 * 24 * HOUR_MICROS);
        assert_eq!(clock.trusted(), START);
        assert_eq!(clock.later(), START.saturating_add(HOUR * 40 * 24));
        hands.step_wall(-80 * 24 * HOUR_MICROS);
        assert_eq!(clock.later(), START, "a clock set back keeps nothing for longer");
        hands.advance(HOUR);
        assert_eq!(clock.trusted(), START.saturating_add(HOUR));
    }

    #[test]
    fn over_restarts_steps_are_taken_on_up_to_the_limit_in_total() {
        let site = Site::new();
        let hands = ManualClock::standing(START);
        drop(site.start(&hands, || false));
        for hours in [24, 48] {
            hands.step_wall(hours * HOUR_MICROS);
            let clock = site.start(&hands, || false);
            assert!(!clock.is_in_doubt());
            assert_eq!(clock.trusted(), hands.clock().wall());
        }
        hands.step_wall(HOUR_MICROS);
        let clock = site.start(&hands, || false);
        assert!(clock.is_in_doubt(), "72 h are used up");
        assert_eq!(clock.trusted(), START.saturating_add(HOUR * 72));
        assert!(!site.start(&hands, || true).is_in_doubt(), "a synchronised clock sets it right");
        assert_eq!(site.start(&hands, || false).trusted(), hands.clock().wall());
    }

    #[test]
    fn a_file_with_a_nonsensical_number_of_steps_is_no_panic() {
        let site = Site::new();
        let stored = Stored { version: StateVersion, trusted: START, stepped_s: u64::MAX };
        std::fs::write(&site.path, serde_json::to_vec(&stored).unwrap()).unwrap();
        let hands = ManualClock::standing(START.saturating_add(HOUR));
        assert!(site.start(&hands, || false).is_in_doubt());
    }

    #[test]
    fn a_lost_anchor_does_not_make_a_wrong_wall_clock_right() {
        let start = |wall, known| {
            let site = Site::new();
            let disk: SharedDisk = Arc::new(RealDisk);
            let hands = ManualClock::standing(wall);
            TrustedClock::start(hands.clock(), disk, site.path.clone(), LIMIT, || false, known).unwrap()
        };
        let in_2099 = Utc::from_micros(4_070_908_800_000_000);
        let clock = start(in_2099, Some(START));
        assert!(clock.is_in_doubt());
        assert_eq!(clock.trusted(), START);
        let an_hour_on = START.saturating_add(HOUR);
        assert_eq!(start(an_hour_on, Some(START)).trusted(), an_hour_on);
        assert_eq!(start(in_2099, None).trusted(), in_2099, "a site that was just made knows nothing else");
    }

    #[test]
    fn a_clock_at_1970_or_2099_at_boot_changes_nothing() {
        for wrong in [0, 4_070_908_800_000_000] {
            let site = Site::new();
            drop(site.start(&ManualClock::standing(START), || false));
            let clock = site.start(&ManualClock::standing(Utc::from_micros(wrong)), || false);
            assert!(clock.is_in_doubt());
            assert_eq!(clock.trusted(), START);
            assert!(clock.later() >= START);
        }
    }
}
