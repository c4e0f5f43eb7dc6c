//! What is known of the time when it is not known.
//!
//! At a start the wall is believed within limits ([`resume`]). Where it is not, the anchor goes on from where it was left,
//! and what passed while nothing ran is not in it: it is behind the truth by an amount that nobody knows, its *offset*.
//! Footage is dated by the anchor, marked with the doubt that it was recorded in, and expires by the anchor: both lag
//! by the same amount, so it lives as long as any other, and nothing is kept for ever.
//!
//! A wall clock that is believed may be wrong as well: many a machine without a battery comes up with the time at which it
//! went down. So each run bears a mark until somebody vouches for the time in it; it is only not called "in doubt". Whoever
//! vouches tells by how much it was wrong, and for the most part that is nothing.
//!
//! When somebody vouches for the time, the anchor moves by `x`, and that is the offset of the run that is under way:
//! what it recorded in doubt is corrected by exactly `x`. Of earlier runs in doubt since somebody last vouched, the
//! offsets are not known: what passed between two runs is in the second one's and not in the first one's. They are bounded:
//!
//! - From above: time only passes, and each run's offset is that of the run before, plus what passed in between, less
//!   the step that was taken on. So none is more than `x + s`, where `s` is all steps taken on since somebody vouched.
//! - From below: the anchor is ahead of the truth by no more than those steps. So none is less than `-s` (or `x`, where
//!   somebody vouches for even less).
//!
//! Within these bounds a ceiling goes by the earliest that the footage can have been filmed and a floor by the latest:
//! neither is ever broken by a doubt, whatever the truth was. Where no run was in doubt, none is taken to be ahead of the truth
//! unless the last one was: the anchor does not go back without a doubt. What that costs is footage of a public area that goes early,
//! by at most what the site stood still. It is shown at the earliest, and goes on being called "in doubt".
//!
//! Order of the end of a doubt: each manifest with footage in doubt is told → the anchor moves, and is written down with what
//! was told → flush. Where the anchor goes back, it moves first: at no moment is corrected footage compared with an anchor
//! that is too far on. What the manifests are told is not flushed: it stands in the clock's file, and a start tells those
//! that were not told before anything is destroyed. A cut before that file is written leaves the doubt as it was, and of the
//! corrections none, some or all. They are true, and count from what footage says, not from an earlier correction; where
//! the doubt ends again, only bounds are known for the rest.
//!
//! What these bounds do not hold: drift of the monotonic hand (a minute a month), and a synchronised clock or an officer
//! that vouches for a time that is wrong.

use super::anchor::{AGREES, AGREES_MICROS, Stored};
use crate::domain::{Correction, Doubt, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The clock's file is written every minute and each checkpoint is a row: one that is further behind is an older file.
const FILE_BEHIND: Duration = Duration::from_secs(600);
/// One that is further ahead of the newest row says what no row bears out.
const FILE_AHEAD: Duration = Duration::from_secs(3_600);
/// Ends of doubts that are remembered one by one.
const SETTLED_LIMIT: usize = 64;

/// What the ledger tells of the time before it is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastKnown {
    /// The newest row's time: a moment that has certainly been.
    pub at: Utc,
    /// Whether a daemon ever ran: then it had a clock's file.
    pub has_run: bool,
    /// What an officer confirmed since: that row stands before the clock moves.
    pub confirmed: Option<Utc>,
}

/// Why the wall clock is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhyInDoubt {
    /// It is behind what has certainly been.
    Behind,
    /// It is further on than unsynchronised steps are believed.
    TooFarAhead,
    /// The clock's file is gone, damaged or an older one: how many steps were taken is not known.
    FileLost,
}

impl fmt::Display for WhyInDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyInDoubt::Behind => "it is behind what has certainly been",
            WhyInDoubt::TooFarAhead => "it went further ahead than is believed",
            WhyInDoubt::FileLost => "the file with the last trusted time was lost or put back",
        })
    }
}

/// What a start goes on from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Base {
    pub trusted: Utc,
    pub stepped: Duration,
    pub is_file_lost: bool,
}

impl Base {
    /// `None` where nothing is known: the site was just made.
    pub fn of(stored: Option<&Stored>, known: Option<LastKnown>, step_limit: Duration) -> Option<Self> {
        let from_rows = |known: LastKnown| {
            let stepped = if known.has_run { step_limit } else { Duration::ZERO };
            Self { trusted: known.at, stepped, is_file_lost: known.has_run }
        };
        let Some(stored) = stored else { return known.map(from_rows) };
        let (trusted, stepped) = (stored.trusted, Duration::from_secs(stored.stepped_s));
        let from_file = Self { trusted, stepped, is_file_lost: false };
        let Some(known) = known else { return Some(from_file) };
        let lost = Self { trusted: known.at, stepped: step_limit, is_file_lost: true };
        // A confirmation's row stands before the clock moves, either way: the file may be of before or after.
        let confirmed = known.confirmed.unwrap_or(known.at);
        let (earliest, latest) = (known.at.min(confirmed), known.at.max(confirmed));
        if earliest.since(trusted) > FILE_BEHIND {
            return Some(lost);
        }
        let ahead = trusted.since(latest);
        if ahead <= FILE_AHEAD {
            return Some(Self { trusted: trusted.max(earliest), ..from_file });
        }
        // As a wall clock that is so far ahead.
        let stepped = stepped.saturating_add(ahead);
        Some(if stepped <= step_limit { Self { stepped, ..from_file } } else { lost })
    }
}

/// Where the anchor goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Resumed {
    pub trusted: Utc,
    pub stepped: Duration,
    pub why: Option<WhyInDoubt>,
}

/// Where the anchor goes on after a restart, if nobody vouches for the wall clock.
pub(super) fn resume(base: &Base, wall: Utc, step_limit: Duration) -> Resumed {
    let stay = |why| Resumed { trusted: base.trusted, stepped: base.stepped, why };
    if wall < base.trusted {
        // A machine's two clocks do not run alike to the second.
        let is_far = base.trusted.since(wall) > AGREES;
        return stay(is_far.then_some(WhyInDoubt::Behind));
    }
    let stepped = base.stepped.saturating_add(wall.since(base.trusted));
    if stepped <= step_limit {
        return Resumed { trusted: wall, stepped, why: None };
    }
    stay(Some(if base.is_file_lost { WhyInDoubt::FileLost } else { WhyInDoubt::TooFarAhead }))
}

/// How doubts ended: all that began after those of the entry before, up to `up_to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    pub up_to: Doubt,
    /// The doubt of the run in which it ended, of which the correction is known exactly.
    pub exact: Option<Doubt>,
    pub exact_micros: i64,
    /// Of all others.
    pub others: Correction,
}

impl Settled {
    /// What a move by `by_micros` says of the doubts up to `up_to`, of which `now` is the one that it ends. `stepped` are the
    /// steps since somebody last vouched; `was_in_doubt`, whether a run was in doubt since.
    pub(super) fn by(up_to: Doubt, now: Option<Doubt>, by_micros: i64, stepped: Duration, was_in_doubt: bool) -> Self {
        // What clocks differ by is no reason to doubt what nobody has doubted.
        let is_far = was_in_doubt || by_micros.unsigned_abs() > AGREES_MICROS;
        let exact_micros = if is_far { by_micros } else { 0 };
        let stepped_micros = i64::try_from(stepped.as_micros()).unwrap_or(i64::MAX);
        let least_micros = if was_in_doubt { stepped_micros.saturating_neg() } else { 0 }.min(exact_micros);
        let most_micros = exact_micros.saturating_add(stepped_micros).max(least_micros.max(0));
        let others = Correction { least_micros, most_micros };
        Self { up_to, exact: now, exact_micros, others }
    }

    fn correction_of(&self, doubt: Doubt) -> Correction {
        if self.exact == Some(doubt) { Correction::exactly(self.exact_micros) } else { self.others }
    }
}

/// By how much what was recorded in a doubt is corrected; `None` while it has not ended.
pub(super) fn correction_of(settled: &[Settled], doubt: Doubt) -> Option<Correction> {
    settled.iter().find(|settled| doubt <= settled.up_to).map(|settled| settled.correction_of(doubt))
}

/// Adds the newest end. Of doubts of long ago only volumes that were away since then can have footage: they share bounds.
pub(super) fn note_settled(settled: &mut Vec<Settled>, new: Settled) {
    settled.retain(|known| known.up_to != new.up_to);
    settled.push(new);
    while settled.len() > SETTLED_LIMIT {
        let oldest = settled.remove(0);
        let Some(next) = settled.first_mut() else { return };
        let least = oldest.others.least_micros.min(oldest.exact_micros).min(next.others.least_micros);
        let most = oldest.others.most_micros.max(oldest.exact_micros).max(next.others.most_micros);
        next.others = Correction { least_micros: least, most_micros: most };
    }
}
