//! What is due, and its end: the erase way.
//!
//! Two kinds of work go on side by side. Keys: what has come to its day is made unreadable within a moment, whole days by
//! their day keys first, then segments by their key blocks, oldest first. Blocks: what is unreadable is overwritten, read
//! back and released, at the pace that the write way leaves. After an outage blocks wait until no keys do.
//!
//! Invariants
//! - E1 Destruction goes by the trusted clock.
//! - E2 While a key is destroyed no hold can be placed, and right before that every hold is looked at: a request either
//!   freezes a segment or is told that it is gone. What was condemned is gone: every hold was looked at then.
//! - E3 A segment's keys go everywhere before its blocks do: day key or key block, then every grant's slot.
//! - E4 Erasing never waits for the ledger: receipts stand in the manifests until they have been copied.
//! - E5 A manifest goes when its receipts are rows and a last row tells what it told; what is held was carried on before.

mod forecast;
mod fullness;
mod postponed;

pub use forecast::{Demand, Forecast, forecast, share_of};
pub use fullness::{Fullness, MadeRoom, wanted_free};

use crate::domain::{CameraNumber, Overwrite, SegmentId, Span, Utc, VolumeId};
use crate::ledger::{Act, Actor, LedgerError, SharedLedger};
use crate::vault::{Batch, DueSegment, GrantStore, Holds, TrustedClock, Vault, VaultError, Volume};
use postponed::Postponed;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Held segments are set apart this long before their expiry.
const LOOK_AHEAD: Duration = Duration::from_secs(10);
/// So many keys are destroyed before who places a hold gets a turn.
const KEYS_AT_A_TIME: usize = 64;
/// So many segments lose their keys in a round, of each volume.
const KEYS_A_ROUND: usize = 4_096;
/// So many files are overwritten in a round, of each volume, and so many before their records are flushed.
const FILES_A_ROUND: usize = 64;
const FILES_AT_A_TIME: usize = 8;
/// How often what nobody names any more is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// What went wrong while erasing. What is due stays due.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    #[error("footage that is due could not be destroyed: {0}")]
    Vault(#[from] VaultError),
    #[error(
        "{segments} segments without a key could not be overwritten, and are tried again; check the disk ({example})"
    )]
    Postponed { segments: usize, example: String },
    #[error("receipts wait in the manifests until the ledger takes rows again: {0}")]
    Ledger(#[from] LedgerError),
}

/// What one round did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Round {
    /// Day keys: each made a day of a camera unreadable, or ended with what was left of it.
    pub day_keys: usize,
    /// Segments whose own key was destroyed.
    pub keys: usize,
    pub erased: u32,
    /// Erased, but not shown to have reached the blocks.
    pub unproven: u32,
    pub set_apart: u32,
}

impl Round {
    fn add(&mut self, other: Self) {
        self.day_keys += other.day_keys;
        self.keys += other.keys;
        self.erased += other.erased;
        self.unproven += other.unproven;
        self.set_apart += other.set_apart;
    }
}

/// The first failure of several.
#[derive(Debug, Default)]
struct First(Option<RetentionError>);

impl First {
    fn note(&mut self, failure: impl Into<RetentionError>) {
        self.0.get_or_insert(failure.into());
    }

    /// What was done; `None` where it failed.
    fn take<T>(&mut self, told: Result<T, impl Into<RetentionError>>) -> Option<T> {
        told.map_err(|e| self.note(e)).ok()
    }

    fn or<T>(self, done: T) -> Result<T, RetentionError> {
        self.0.map_or(Ok(done), Err)
    }
}

/// Destroys what is due.
#[derive(Debug)]
pub struct Eraser {
    vault: Arc<Vault>,
    time: Arc<TrustedClock>,
    holds: Arc<Mutex<Holds>>,
    grants: GrantStore,
    ledger: SharedLedger,
    /// Held while keys go: what has no key block then has no slot in a grant either (E3).
    turn: Mutex<Turn>,
    /// There are keys left to destroy: blocks wait.
    keys_wait: AtomicBool,
    postponed: Mutex<Postponed>,
    /// When what nobody names was looked for last; a start does it, too.
    swept: Mutex<Utc>,
    is_stopping: AtomicBool,
}

/// What is known from one round of keys to the next.
#[derive(Debug)]
struct Turn {
    /// A slot of something that nobody can read any more may stand in some grant: a start knows no better, nor does who
    /// failed to overwrite one.
    grants_are_behind: bool,
}

impl Eraser {
    pub fn new(
        vault: Arc<Vault>,
        time: Arc<TrustedClock>,
        holds: Arc<Mutex<Holds>>,
        grants: GrantStore,
        ledger: SharedLedger,
    ) -> Self {
        vault.keep_pace_by(time.clock());
        let swept = Mutex::new(time.trusted());
        Self {
            vault,
            time,
            holds,
            grants,
            ledger,
            turn: Mutex::new(Turn { grants_are_behind: true }),
            keys_wait: AtomicBool::new(true),
            postponed: Mutex::default(),
            swept,
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Brings a round under way to its end soon: after an outage it would go on for many minutes. What it leaves stays
    /// due, and is taken up after the next start.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn postponed(&self) -> MutexGuard<'_, Postponed> {
        self.postponed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many segments without a key failed to be overwritten, and are tried again.
    pub fn postponed_count(&self) -> usize {
        self.postponed().count()
    }

    /// One round of everything. What fails stays due, and stands in nobody's way.
    ///
    /// # Errors
    /// The first failure; the next round takes up what is left.
    pub fn round(&self) -> Result<Round, RetentionError> {
        let (mut round, mut first) = (Round::default(), First::default());
        first.take(self.destroy_keys(&mut round));
        first.take(self.overwrite(&mut round));
        first.take(self.copy_receipts());
        first.take(self.close_manifests());
        first.or(round)
    }

    /// Closes the manifests whose end has come (E5), and once an hour looks for what nobody names any more.
    ///
    /// # Errors
    /// The first failure; the next call takes up what is left.
    pub fn close_manifests(&self) -> Result<(), RetentionError> {
        if self.is_stopping() {
            return Ok(());
        }
        let now = self.time.trusted();
        self.sweep(now)?;
        // Each wants a row; until the ledger takes rows again, all of them stand where they are.
        if !self.ledger.is_writable() {
            return Ok(());
        }
        for ending in self.vault.ending_manifests(now)? {
            let (row, is_new) = self.vault.closing_row(&ending)?;
            if is_new {
                self.ledger.append(now, Actor::Daemon, Act::ManifestClosed(row.clone()))?;
            }
            self.vault.end_manifest(&ending, &row)?;
        }
        Ok(())
    }

    fn sweep(&self, now: Utc) -> Result<(), VaultError> {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(*swept) < SWEEP_EVERY {
            return Ok(());
        }
        *swept = now;
        drop(swept);
        self.vault.sweep()
    }

    /// Makes what is due unreadable (E2, E3), and sorts out what is held. Blocks on the disk, for a moment at a time: only
    /// after an outage there is more to do.
    ///
    /// # Errors
    /// As [`Eraser::round`].
    pub fn destroy_keys(&self, round: &mut Round) -> Result<(), RetentionError> {
        let (mut turn, mut first) = (self.turn(), First::default());
        let now = self.time.trusted();
        let day_keys = self.destroy_day_keys(now, &mut first);
        round.day_keys += day_keys;
        let (gone, has_more) = self.destroy_key_blocks(now, round, &mut first);
        if day_keys > 0 || turn.grants_are_behind {
            // Which segments a day key was of is not known without their tables: those are asked for that grants have.
            turn.grants_are_behind = first.take(self.forget_unreadable()).is_none();
        }
        let gone: Vec<(VolumeId, SegmentId)> = gone.iter().map(|due| (due.volume, due.segment)).collect();
        if !gone.is_empty() && first.take(self.grants.forget_segments(&gone)).is_none() {
            turn.grants_are_behind = true;
        }
        self.keys_wait.store(has_more, Ordering::Relaxed);
        first.or(())
    }

    /// Whole days first.
    fn destroy_day_keys(&self, now: Utc, first: &mut First) -> usize {
        let mut destroyed = 0;
        while !self.is_stopping() {
            let holds = self.holds();
            let is_held = |camera, span| holds.covers(camera, span);
            let told = self.vault.destroy_day_keys(now, KEYS_AT_A_TIME, &is_held);
            drop(holds);
            destroyed += told.destroyed;
            let is_done = told.destroyed == 0;
            told.failure.into_iter().for_each(|failure| first.note(failure));
            if is_done {
                break;
            }
            std::thread::yield_now();
        }
        destroyed
    }

    /// Then key blocks, oldest first. Returns what lost its key, and whether there is more.
    fn destroy_key_blocks(&self, now: Utc, round: &mut Round, first: &mut First) -> (Vec<DueSegment>, bool) {
        // A little before their time, so that what is held is never refused at its expiry.
        let due = self.vault.due_readable(now.saturating_add(LOOK_AHEAD), KEYS_A_ROUND);
        due.failure.into_iter().for_each(|failure| first.note(failure));
        let apart = {
            let holds = self.holds();
            let is_held = |camera: CameraNumber, span: Span| holds.covers(camera, span);
            self.vault.due_apart(now, KEYS_A_ROUND, &is_held)
        };
        let mut gone = Vec::new();
        let all: Vec<DueSegment> = due.segments.into_iter().chain(apart).collect();
        for part in all.chunks(KEYS_AT_A_TIME) {
            if self.is_stopping() {
                break;
            }
            let holds = self.holds();
            let mut going = Vec::new();
            for due in part {
                let may_be_kept = !due.is_keyless && due.condemned.is_none();
                if may_be_kept && due.is_held(&holds) {
                    let moves = !due.is_apart && first.take(self.vault.set_apart(due)).is_some();
                    round.set_apart += u32::from(moves);
                } else if due.expires <= now {
                    going.push(*due);
                }
            }
            let Batch { done, failures } = self.vault.destroy_keys(&going, now);
            drop(holds);
            round.keys += done.len();
            gone.extend(done);
            failures.into_iter().for_each(|(_, failure)| first.note(failure));
            std::thread::yield_now();
        }
        (gone, due.has_more)
    }

    /// Overwrites the slots of everything that nobody can read any more, in every grant.
    fn forget_unreadable(&self) -> Result<(), VaultError> {
        let (granted, listed) = self.grants.segments();
        let unreadable = self.vault.unreadable_among(&granted)?;
        self.grants.forget_segments(&unreadable)?;
        listed
    }

    /// Overwrites blocks of what nobody can read any more, reads them back and releases them; of each volume by itself, so
    /// that a slow one holds up no other. Blocks for as long as that takes.
    ///
    /// # Errors
    /// As [`Eraser::round`].
    pub fn overwrite(&self, round: &mut Round) -> Result<(), RetentionError> {
        let now = self.time.trusted();
        let mut first = First::default();
        let ready = self.vault.volumes().iter().filter_map(|volume| first.take(self.ready(volume, now)));
        let ready: Vec<Vec<DueSegment>> = ready.filter(|ready| !ready.is_empty()).collect();
        let erased = std::thread::scope(|scope| {
            let work: Vec<_> =
                ready.iter().map(|ready| scope.spawn(move || self.overwrite_ready(ready, now))).collect();
            // One that broke off leaves its part due.
            work.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
        });
        erased.into_iter().for_each(|part| round.add(part));
        // Of what was read back: never before.
        self.vault.discard(now);
        if let Some((segments, example)) = self.postponed().told() {
            first.note(RetentionError::Postponed { segments, example });
        }
        first.or(())
    }

    /// What of a volume may be overwritten: nothing while keys wait or grants may have some.
    fn ready(&self, volume: &Volume, now: Utc) -> Result<Vec<DueSegment>, VaultError> {
        let turn = self.turn();
        if turn.grants_are_behind || self.blocks_wait() {
            return Ok(Vec::new());
        }
        let skip = |segment| self.postponed().waits(segment, now);
        let keyless = self.vault.due_keyless(volume, FILES_A_ROUND, &skip);
        let mut ready = keyless.segments;
        let left = FILES_A_ROUND - ready.len();
        let dayless = self.vault.due_dayless(volume, now, left, &skip);
        let Batch { done, failures } = self.vault.destroy_keys(&dayless.segments, now);
        ready.extend(done);
        let failure = failures.into_iter().map(|(_, failure)| failure).next();
        match keyless.failure.or(dayless.failure).or(failure) {
            // What can be told of goes all the same.
            Some(failure) if ready.is_empty() => Err(failure),
            Some(failure) => {
                tracing::error!(volume = %volume.id(), error = %failure, "a part of what is due could not be taken up");
                Ok(ready)
            }
            None => Ok(ready),
        }
    }

    fn blocks_wait(&self) -> bool {
        self.keys_wait.load(Ordering::Relaxed) || self.is_stopping()
    }

    fn overwrite_ready(&self, ready: &[DueSegment], now: Utc) -> Round {
        let mut round = Round::default();
        for part in ready.chunks(FILES_AT_A_TIME) {
            let part: Vec<_> = part.iter().map(|due| (*due, due.trigger())).collect();
            let Batch { done, failures } = self.vault.erase_all(&part, now, &|| self.blocks_wait());
            for erased in done {
                round.erased += 1;
                round.unproven += u32::from(erased.overwrite != Overwrite::Proven);
                self.postponed().succeeded(erased.due.segment);
            }
            for (due, failure) in failures {
                self.postponed().failed(due.segment, now, failure.to_string());
            }
        }
        round
    }

    /// Copies receipts to the ledger. One that takes none stops nothing else (E4).
    ///
    /// # Errors
    /// As [`Eraser::round`].
    pub fn copy_receipts(&self) -> Result<(), RetentionError> {
        let now = self.time.trusted();
        let receipts = self.vault.receipts(now);
        for row in &receipts.rows {
            self.ledger.append(now, Actor::Daemon, Act::FootageDestroyed(row.clone()))?;
        }
        self.vault.receipts_copied(&receipts)?;
        receipts.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}
