//! Whether time is compressed for a demonstration.
//!
//! The program asks this in two places only: here below [`super::Site::load`], where it changes the periods, and where
//! it is shown. A test counts them (`tests/house.rs`).

use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// How fast footage ages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// As the notice says.
    #[default]
    Real,
    /// Segments of 10 s that are destroyed after 90 s: to show in minutes what takes a month.
    Demo,
}

/// What a demonstration puts in the place of the configured periods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Compression {
    pub segment: Duration,
    /// Every camera's retention ceiling. There is no floor: operating rooms are refused.
    pub ceiling: Duration,
}

impl Pace {
    /// From the command line's `--demo`.
    pub fn from_flag(demo: bool) -> Self {
        if demo { Pace::Demo } else { Pace::Real }
    }

    /// What the log, the API and every page say of it; `None` outside a demonstration.
    pub fn notice(self) -> Option<&'static str> {
        match self {
            Pace::Real => None,
            Pace::Demo => Some("DEMONSTRATION: retention is compressed, footage is destroyed after about 90 seconds"),
        }
    }

    /// The periods of a demonstration; `None` outside one.
    pub(super) fn compression(self) -> Option<Compression> {
        match self {
            Pace::Real => None,
            Pace::Demo => Some(Compression { segment: Duration::from_secs(10), ceiling: Duration::from_secs(90) }),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pace::Real => "real",
            Pace::Demo => "demo",
        })
    }
}
