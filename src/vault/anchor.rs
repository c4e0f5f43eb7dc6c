//! The trusted clock. Two readings: what the wall says, and an anchor, the last trusted time plus what has passed
//! since. Destruction goes by the anchor; access is denied by the later of the two.
//!
//! Who vouches for the time moves the anchor: a synchronised clock, or an officer. In between it runs on by the monotonic
//! hand; over a restart the wall's step forward is taken on, up to a limit in total since somebody last vouched. So a
//! clock at 1970 or 2099 at boot destroys nothing, and an offline site with a weekend's outage needs nobody. Beyond the
//! limit the clock is in doubt from its start on until somebody vouches, or until a later start finds the wall within
//! reach again; what a doubt does to footage stands in `doubt`.
//!
//! Its file may be lost, damaged, older or from elsewhere. The ledger's newest row is a moment that has certainly been, and
//! the two are never far apart: a file that is behind it, or is not there though a daemon ran, says nothing of how many
//! steps were taken, so none is taken on any more; one that is ahead of it is believed as little as a wall clock that
//! is. The next one who vouches makes all of that good.

use super::VaultError;
use super::doubt::{Base, LastKnown, Resumed, Settled, WhyInDoubt, note_settled, resume};
use crate::clock::Clock;
use crate::disk::{SharedDisk, read_file, replace_file};
use crate::domain::{Correction, Doubt, Mark, StateVersion, Utc};
use crate::ledger::Act;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Clocks that are no further apart agree: people read theirs to the minute.
pub(super) const AGREES: Duration = Duration::from_secs(300);
pub(super) const AGREES_MICROS: u64 = 300_000_000;
/// A synchronised clock moves the anchor by a little all the time. So much is worth a row.
const WORTH_A_ROW_MICROS: u64 = 60_000_000;
const LIMIT_BYTES: u64 = 1 << 20;
/// 2026-01-01: this program is younger.
const EARLIEST: Utc = Utc::from_micros(1_767_225_600_000_000);
/// 2100-01-01: no confirmation is true that late.
const LATEST: Utc = Utc::from_micros(4_102_444_800_000_000);

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stored {
    version: StateVersion,
    /// The trusted time when this was written.
    pub trusted: Utc,
    /// How far unsynchronised steps forward have taken it since somebody last vouched for it.
    pub stepped_s: u64,
    /// When somebody last vouched for it.
    #[serde(default)]
    pub vouched: Option<Utc>,
    /// The newest doubt that there was.
    #[serde(default)]
    pub doubt: Option<Doubt>,
    /// A run was in doubt since somebody last vouched.
    #[serde(default)]
    pub was_in_doubt: bool,
    /// How doubts ended, oldest first.
    #[serde(default)]
    pub settled: Vec<Settled>,
}

#[derive(Debug)]
struct Anchor {
    trusted: Utc,
    at_monotonic: Duration,
    stepped: Duration,
    vouched: Option<Utc>,
    /// Somebody has done so in this run.
    is_vouched: bool,
    why: Option<WhyInDoubt>,
    /// The newest doubt.
    doubt: Option<Doubt>,
    /// A run was in doubt since somebody last vouched.
    was_in_doubt: bool,
    settled: Vec<Settled>,
    moved_micros: i64,
    /// What the ledger is to be told.
    acts: Vec<Act>,
}

impl Anchor {
    /// The doubt of this run, while nobody has vouched for the time in it.
    fn doubt_now(&self) -> Option<Doubt> {
        self.doubt.filter(|_| !self.is_vouched)
    }

    fn mark(&self) -> Option<Mark> {
        self.doubt_now().map(|doubt| Mark { doubt, is_known: self.why.is_some() })
    }
}

/// The site's trusted clock.
#[derive(Debug)]
pub struct TrustedClock {
    clock: Clock,
    disk: SharedDisk,
    path: PathBuf,
    step_limit: Duration,
    is_synchronised: fn() -> bool,
    anchor: Mutex<Anchor>,
    /// One moves the anchor at a time.
    turn: Mutex<()>,
}

/// The trusted time, and the doubt that it is read in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    pub trusted: Utc,
    /// What is recorded by it bears this.
    pub mark: Option<Mark>,
    /// How far the anchor was moved since the start, in all: what was dated before a move was dated by another clock.
    pub moved_micros: i64,
}

/// What there is to say of the clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClockReport {
    pub trusted: Utc,
    pub wall: Utc,
    pub synchronised: bool,
    /// Why it is in doubt; null where it is not.
    pub in_doubt: Option<WhyInDoubt>,
    /// Unsynchronised steps since somebody last vouched for the time, and how much of them is believed.
    pub stepped_s: u64,
    pub limit_s: u64,
    /// When somebody last vouched for it.
    pub vouched: Option<Utc>,
    /// What it waits for, in words; null where nothing is wrong.
    pub waits_for: Option<String>,
}

/// Why a statement of the time was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClockRefusal {
    #[error("{stated} has certainly been already: the site's records go on to {known}. Look at date and time again")]
    Past { stated: Utc, known: Utc },
    #[error("{stated} is too far off to be true. Look at date and time again")]
    Absurd { stated: Utc },
}

/// A move of the anchor that somebody vouches for, not made yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    pub before: Utc,
    pub by_micros: i64,
    pub wall: Utc,
    pub in_doubt: bool,
    pub stepped: Duration,
    /// How the doubts end that there were since somebody last vouched; `None` where there were none.
    pub(super) settles: Option<Settled>,
}

impl Move {
    pub fn after(&self) -> Utc {
        self.before.plus_micros(self.by_micros)
    }

    /// How far it goes forward.
    pub fn forward(&self) -> Duration {
        self.after().since(self.before)
    }
}

impl TrustedClock {
    /// Takes the anchor up where it was left. `step_limit` bounds unsynchronised steps forward in total. `known` is what
    /// the ledger tells; without that and without a file, the wall is believed.
    ///
    /// # Errors
    /// [`VaultError::State`] for a file that cannot be read or written, or that is damaged and nothing else is known.
    pub fn start(
        clock: Clock,
        disk: SharedDisk,
        path: PathBuf,
        step_limit: Duration,
        is_synchronised: fn() -> bool,
        known: Option<LastKnown>,
    ) -> Result<Self, VaultError> {
        let unreadable = |what: String| VaultError::State { file: path.display().to_string(), what };
        let stored = match read_file(&*disk, &path, LIMIT_BYTES) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(unreadable(e.to_string())),
            Ok(bytes) => match StateVersion::read::<Stored>(&bytes) {
                Ok(stored) => Some(stored),
                Err(e) if known.is_some() => {
                    tracing::error!(error = %e, "the clock's file is damaged: the ledger's newest row takes its place");
                    None
                }
                Err(e) => {
                    let advice = "Set the machine's clock right, look at it twice, then move this file away";
                    return Err(unreadable(format!("{e}. {advice}")));
                }
            },
        };
        let anchor = Anchor::begin(&clock, stored, known, step_limit, is_synchronised());
        let (anchor, turn) = (Mutex::new(anchor), Mutex::default());
        let this = Self { clock, disk, path, step_limit, is_synchronised, anchor, turn };
        if let Some(waits_for) = this.report().waits_for {
            tracing::error!("{waits_for}");
        }
        this.store()?;
        Ok(this)
    }

    fn lock(&self) -> MutexGuard<'_, Anchor> {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held from the proposal of a move to its making.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trusted_of(&self, anchor: &Anchor) -> Utc {
        anchor.trusted.saturating_add(self.clock.monotonic().saturating_sub(anchor.at_monotonic))
    }

    /// The trusted time: what destruction compares with.
    pub fn trusted(&self) -> Utc {
        self.trusted_of(&self.lock())
    }

    /// The trusted time, and whether what is recorded by it must be marked: both of one moment.
    pub fn reading(&self) -> Reading {
        let anchor = self.lock();
        let (mark, moved_micros) = (anchor.mark(), anchor.moved_micros);
        Reading { trusted: self.trusted_of(&anchor), mark, moved_micros }
    }

    /// The later of the two readings: what access compares with.
    pub fn later(&self) -> Utc {
        self.trusted().max(self.clock.wall())
    }

    /// Whether the wall clock could not be believed at the start, and nobody has vouched for the time since.
    pub fn is_in_doubt(&self) -> bool {
        self.lock().why.is_some()
    }

    /// How far unsynchronised steps forward are believed.
    pub fn step_limit(&self) -> Duration {
        self.step_limit
    }

    /// The clock that this one stands on.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How doubts ended, oldest first.
    pub fn settled(&self) -> Vec<Settled> {
        self.lock().settled.clone()
    }

    /// By how much what was recorded in a doubt is corrected; `None` while it has not ended.
    pub fn correction_of(&self, doubt: Doubt) -> Option<Correction> {
        super::doubt::correction_of(&self.lock().settled, doubt)
    }

    /// What there is to say of it.
    pub fn report(&self) -> ClockReport {
        let wall = self.clock.wall();
        let anchor = self.lock();
        let mut report = ClockReport {
            trusted: self.trusted_of(&anchor),
            wall,
            synchronised: (self.is_synchronised)(),
            in_doubt: anchor.why,
            stepped_s: anchor.stepped.as_secs(),
            limit_s: self.step_limit.as_secs(),
            vouched: anchor.vouched,
            waits_for: None,
        };
        report.waits_for = report.in_words();
        report
    }

    /// Acts that are to be rows of the ledger. [`TrustedClock::recorded`] says how many of them are.
    pub fn unrecorded(&self) -> Vec<Act> {
        self.lock().acts.clone()
    }

    /// The first acts of [`TrustedClock::unrecorded`] are rows.
    pub fn recorded(&self, count: usize) {
        let mut anchor = self.lock();
        let count = count.min(anchor.acts.len());
        anchor.acts.drain(..count);
    }

    /// What a synchronised wall clock makes of the anchor; `None` where it is not synchronised.
    pub(super) fn synchronised(&self) -> Option<Move> {
        if !(self.is_synchronised)() {
            return None;
        }
        let wall = self.clock.wall();
        let anchor = self.lock();
        let by_micros = wall.micros_since(self.trusted_of(&anchor));
        Some(self.move_of(&anchor, by_micros, wall))
    }

    /// What somebody's statement of the time makes of the anchor. Where the wall clock agrees with it, or else the anchor
    /// does, that one is right, to the second.
    ///
    /// # Errors
    /// [`ClockRefusal`].
    pub fn propose(&self, stated: Utc) -> Result<Move, ClockRefusal> {
        let wall = self.clock.wall();
        let anchor = self.lock();
        let trusted = self.trusted_of(&anchor);
        // The anchor is ahead of the truth by no more than the steps that were taken on nobody's word.
        let known = match anchor.vouched {
            Some(_) => trusted.saturating_sub(anchor.stepped).saturating_sub(AGREES).max(EARLIEST),
            // Its first time was nobody's word either.
            None => EARLIEST,
        };
        if stated < known {
            return Err(ClockRefusal::Past { stated, known });
        }
        if stated >= LATEST {
            return Err(ClockRefusal::Absurd { stated });
        }
        let agrees = |with: Utc| with.micros_since(stated).unsigned_abs() <= AGREES_MICROS;
        let by_micros = match stated {
            _ if agrees(wall) => wall.micros_since(trusted),
            _ if agrees(trusted) => 0,
            stated => stated.micros_since(trusted),
        };
        Ok(self.move_of(&anchor, by_micros, wall))
    }

    fn move_of(&self, anchor: &Anchor, by_micros: i64, wall: Utc) -> Move {
        Move {
            before: self.trusted_of(anchor),
            by_micros,
            wall,
            in_doubt: anchor.why.is_some(),
            stepped: anchor.stepped,
            settles: anchor.settles(by_micros, anchor.doubt_now()),
        }
    }

    /// How doubts ended, and would end with a move.
    pub(super) fn settled_with(&self, moved: &Move) -> Vec<Settled> {
        let mut settled = self.lock().settled.clone();
        if let Some(new) = moved.settles {
            note_settled(&mut settled, new);
        }
        settled
    }

    /// Makes a move that was proposed in this turn, where there is one, and writes the anchor down: the move and how doubts
    /// end with it at once.
    pub(super) fn make(&self, moved: Option<&Move>) -> Result<(), VaultError> {
        if let Some(moved) = moved {
            let mut anchor = self.lock();
            anchor.trusted = self.trusted_of(&anchor).plus_micros(moved.by_micros);
            anchor.at_monotonic = self.clock.monotonic();
            anchor.moved_micros = anchor.moved_micros.saturating_add(moved.by_micros);
            anchor.vouched_for();
            if let Some(settled) = moved.settles {
                note_settled(&mut anchor.settled, settled);
            }
        }
        self.store()
    }

    /// Takes note that a synchronised clock moved the anchor.
    pub(super) fn note_synchronised(&self, moved: &Move) {
        if moved.in_doubt || moved.by_micros.unsigned_abs() >= WORTH_A_ROW_MICROS {
            tracing::warn!(before = %moved.before, after = %moved.after(), was_in_doubt = moved.in_doubt,
                "a synchronised clock moved the trusted time");
            let (before, after, in_doubt) = (moved.before, moved.after(), moved.in_doubt);
            self.lock().acts.push(Act::ClockSynchronised { before, after, in_doubt });
        }
    }

    fn store(&self) -> Result<(), VaultError> {
        let failed = |what: String| VaultError::State { file: self.path.display().to_string(), what };
        let stored = {
            let anchor = self.lock();
            Stored {
                version: StateVersion,
                trusted: self.trusted_of(&anchor),
                stepped_s: anchor.stepped.as_secs(),
                vouched: anchor.vouched,
                doubt: anchor.doubt,
                was_in_doubt: anchor.was_in_doubt,
                settled: anchor.settled.clone(),
            }
        };
        let bytes = serde_json::to_vec(&stored).map_err(|e| failed(e.to_string()))?;
        replace_file(&*self.disk, &self.path, &bytes).map_err(|e| failed(e.to_string()))
    }
}

impl Anchor {
    fn begin(
        clock: &Clock,
        stored: Option<Stored>,
        known: Option<LastKnown>,
        step_limit: Duration,
        is_synchronised: bool,
    ) -> Self {
        let wall = clock.wall();
        let base = Base::of(stored.as_ref(), known, step_limit);
        let Resumed { trusted, stepped, why } = match base {
            None => Resumed { trusted: wall, stepped: Duration::ZERO, why: None },
            Some(base) => resume(&base, wall, step_limit),
        };
        let is_file_lost = base.is_some_and(|base| base.is_file_lost);
        let (vouched, last, was_in_doubt, settled) = match stored {
            Some(stored) => (stored.vouched, stored.doubt, stored.was_in_doubt || is_file_lost, stored.settled),
            None => (None, None, is_file_lost, Vec::new()),
        };
        let mut this = Self {
            trusted,
            at_monotonic: clock.monotonic(),
            stepped,
            vouched,
            is_vouched: false,
            why,
            doubt: last,
            was_in_doubt: was_in_doubt || why.is_some(),
            settled,
            moved_micros: 0,
            acts: Vec::new(),
        };
        if is_synchronised {
            let before = base.map_or(wall, |base| base.trusted);
            this.stepped = base.map_or(Duration::ZERO, |base| base.stepped);
            this.was_in_doubt = was_in_doubt;
            if was_in_doubt {
                this.acts.push(Act::ClockSynchronised { before, after: wall, in_doubt: true });
            }
            if let Some(settled) = this.settles(wall.micros_since(before), None) {
                note_settled(&mut this.settled, settled);
            }
            this.trusted = wall;
            this.vouched_for();
        } else {
            // A name of its own, and a later one than any before.
            this.doubt = Some(last.map_or(Doubt(trusted), |last| Doubt(trusted.max(last.0.plus_micros(1)))));
        }
        this.tell(base, wall, step_limit);
        this
    }

    /// What the ledger is to be told of a start.
    fn tell(&mut self, base: Option<Base>, wall: Utc, step_limit: Duration) {
        let Some(base) = base else { return };
        let (before, after, stepped_s) = (base.trusted, self.trusted, self.stepped.as_secs());
        if self.why.is_some() {
            let (trusted, limit_s) = (self.trusted, step_limit.as_secs());
            self.acts.push(Act::ClockInDoubt { trusted, wall, stepped_s, limit_s });
        } else if stepped_s > 0 && after != before {
            self.acts.push(Act::ClockStepped { before, after, stepped_s });
        }
    }

    fn vouched_for(&mut self) {
        self.vouched = Some(self.trusted);
        self.stepped = Duration::ZERO;
        (self.why, self.was_in_doubt, self.is_vouched) = (None, false, true);
    }

    /// How the doubts since somebody last vouched end with a move; `now` is the doubt that is under way.
    fn settles(&self, by_micros: i64, now: Option<Doubt>) -> Option<Settled> {
        // One that is under way may have been settled half-way, when a disk failed.
        let is_new = |last: &Doubt| now.is_some() || self.settled.last().is_none_or(|known| known.up_to < *last);
        let up_to = self.doubt.filter(is_new)?;
        Some(Settled::by(up_to, now, by_micros, self.stepped, self.was_in_doubt))
    }
}

impl ClockReport {
    fn in_words(&self) -> Option<String> {
        let hours = |seconds: u64| seconds as f64 / 3_600.0;
        let Self { trusted, wall, .. } = self;
        let used = format!("{:.1} h of {:.0} h", hours(self.stepped_s), hours(self.limit_s));
        let ends = "It ends when the clock is synchronised (NTP), or an officer confirms date and time";
        if let Some(why) = self.in_doubt {
            return Some(format!(
                "the clock is in doubt ({why}): the machine's says {wall}, the trusted time is {trusted}; {used} of \
                 unsynchronised steps are used up. Recording goes on, marked, and nothing is destroyed beyond the \
                 trusted time. {ends}"
            ));
        }
        let apart = wall.micros_since(*trusted).unsigned_abs();
        (apart > AGREES_MICROS).then(|| {
            format!(
                "the machine's clock says {wall}, and the trusted time is {trusted}: it was set while the daemon ran. \
                 What ends by either is refused, and at a restart it is believed only within {used}. Set it right, \
                 synchronise it, or let an officer confirm date and time"
            )
        })
    }
}

#[cfg(test)]
mod tests;
