//! A doubt about the time, and by how much what was recorded in it is dated wrongly.

use super::{Retention, Span, Utc};
use serde::{Deserialize, Serialize};

/// A run of the daemon up to the moment where somebody vouched for the time, named by the trusted time at which it began.
/// No two have the same name, and later ones have later names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Doubt(pub Utc);

/// What is recorded in a doubt bears it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub doubt: Doubt,
    /// The clock was known to be wrong then. Else nobody had vouched for it yet, and it may well have been right.
    pub is_known: bool,
}

/// By how much later than it says something happened: at least, and at most. Less than zero is earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    pub least_micros: i64,
    pub most_micros: i64,
}

impl Correction {
    pub fn exactly(by_micros: i64) -> Self {
        Self { least_micros: by_micros, most_micros: by_micros }
    }

    pub fn is_exact(self) -> bool {
        self.least_micros == self.most_micros
    }

    /// When something was filmed, as it is shown: the earliest that it can have been.
    pub fn shown(self, dated: Utc) -> Utc {
        dated.plus_micros(self.least_micros)
    }

    /// When footage that says `span` must go: no ceiling is overrun, and no floor undercut, wherever between the two
    /// bounds the truth is.
    pub fn expiry(self, retention: Retention, span: Span) -> Utc {
        retention.expiry(span).plus_micros(self.for_expiry(retention))
    }

    /// How far it moves the expiry of footage with that retention.
    pub fn for_expiry(self, retention: Retention) -> i64 {
        match retention {
            Retention::Ceiling(_) => self.least_micros,
            Retention::Floor(_) => self.most_micros,
        }
    }
}

/// What is known of when something was filmed that says when: wholly to be believed by default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dating {
    pub correction: Correction,
    /// It was dated in a doubt, and by how much that is wrong is not known exactly.
    pub in_doubt: bool,
}

impl Dating {
    /// Of what bears a mark, with its correction, where the doubt has ended.
    pub fn marked(is_known: bool, correction: Option<Correction>) -> Self {
        // What nobody doubted, and what nothing shows to be wrong, only stays longer where a floor asks for it.
        let is_shaken = |correction: Correction| is_known || correction.least_micros != 0;
        let in_doubt = correction.map_or(is_known, |correction| !correction.is_exact() && is_shaken(correction));
        Self { correction: correction.unwrap_or_default(), in_doubt }
    }

    /// What something says that is shown as `shown`.
    pub fn said(self, shown: Utc) -> Utc {
        shown.plus_micros(self.correction.least_micros.saturating_neg())
    }

    /// Span as it is shown, of what says `said`.
    pub fn shown(self, said: Span) -> Span {
        said.moved(self.correction.least_micros)
    }

    /// All of the time in which something can have been filmed that says `said`.
    pub fn possible(self, said: Span) -> Span {
        said.moved(self.correction.least_micros).hull(said.moved(self.correction.most_micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_ceiling_goes_by_the_earliest_and_a_floor_by_the_latest() {
        let span = Span::new(Utc::from_micros(0), Utc::from_micros(60)).unwrap();
        let correction = Correction { least_micros: -5, most_micros: 7 };
        let period = Duration::from_micros(100);
        assert_eq!(correction.expiry(Retention::Ceiling(period), span), Utc::from_micros(95));
        assert_eq!(correction.expiry(Retention::Floor(period), span), Utc::from_micros(167));
        assert_eq!(correction.shown(span.from()), Utc::from_micros(-5));
        assert!(Correction::exactly(3).is_exact() && !correction.is_exact());
    }
}
