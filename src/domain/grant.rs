//! How grants, and viewings under them, come to their end.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a grant came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum GrantEnd {
    /// Its end came.
    Over,
    /// The last of its viewings ended.
    ViewingsUsed,
    /// Its viewer's keys or rights ended.
    ViewerLeft,
    /// Its request was closed, or taken back.
    Closed,
    /// An officer took it back.
    Revoked { ground: RevocationGround },
}

/// Why an officer takes a grant back: a closed list, since the ledger keeps no words about persons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationGround {
    /// The person who asked takes the request back, or needs it no more.
    NoLongerNeeded,
    /// It should have been given to somebody else, or of something else.
    GivenByMistake,
    /// Somebody disputes that it may be seen.
    Disputed,
    /// It was used for something that it was not given for.
    Misused,
    /// The viewer's password, session or terminal may be in other hands.
    Compromised,
}

/// How a viewing came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewingEnd {
    /// The viewer ended it.
    Viewer,
    /// Nothing was asked for for too long.
    Idle,
    /// The appointment is over.
    TimeOver,
    /// The viewer's session ended, or their rights changed.
    SessionEnded,
    /// The grant ended.
    GrantEnded,
    /// What was shown could not be recorded.
    NotRecorded,
    /// The daemon stopped meanwhile.
    Stopped,
}

impl fmt::Display for ViewingEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ViewingEnd::Viewer => "the viewer ended it",
            ViewingEnd::Idle => "nothing was watched for too long",
            ViewingEnd::TimeOver => "the appointment is over",
            ViewingEnd::SessionEnded => "the session in which it began ended",
            ViewingEnd::GrantEnded => "the grant ended",
            ViewingEnd::NotRecorded => "what was shown could not be recorded",
            ViewingEnd::Stopped => "the daemon was stopped meanwhile",
        })
    }
}
