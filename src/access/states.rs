//! Where requests and holds stand, and what may follow.

use crate::domain::request::{IdentityDocument, PostponementCause, RefusalGround, StateName};
use crate::domain::{AccountId, GrantId, HoldEnd, Utc};
use crate::ledger::{Act, Decision, ReasonText};
use std::time::Duration;

/// How long a refusal could be objected to where its row does not say so.
const OBJECTION_OF_OLD: Duration = Duration::from_secs(30 * 86_400);

/// Where a request stands.
///
/// ```text
/// Submitted ─ identity ─▶ Identified ─ decision ─▶ Approved ──┐
///     │                     ▲ decided anew: │ ├──▶ Partly ────┤
///     │                     │               │ ├──▶ Confirmed ─┼─ delivered ─▶ Delivered ─ close ─▶ Closed
///     │                     │               │ ├──▶ Erased ────┤                                    ▲
///     │                     │               │ ├──▶ Refused ───┴──────────────── close ─────────────┘
///     │                     │               │ └──▶ Postponed, decided again
///     │                     └── Objected ◀──┴────── objection: of Refused, of Partly, and of what followed either
///     ├─ nothing left ─▶ Unavailable ─ close ─▶ Closed
///     └─ taken back ───▶ Withdrawn
/// ```
///
/// Postponed and Objected are decided as Identified is. Until it is decided nothing may turn out to be left, and it may be
/// taken back: Identified, Postponed and Objected lead to Unavailable and Withdrawn, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestState {
    Submitted,
    Identified {
        document: IdentityDocument,
    },
    Approved {
        document: IdentityDocument,
        grant: GrantId,
    },
    /// A part of it was approved.
    Partly {
        document: IdentityDocument,
        grant: GrantId,
        /// Until when the rest can be objected to.
        until: Utc,
    },
    /// An existence check was answered.
    Confirmed {
        document: IdentityDocument,
        exists: bool,
    },
    Refused {
        document: IdentityDocument,
        ground: RefusalGround,
        reason: ReasonText,
        /// Until when it can be objected to.
        until: Utc,
    },
    /// What was asked to be erased is, or what of it could be.
    Erased {
        document: IdentityDocument,
        is_partial: bool,
    },
    Postponed {
        document: IdentityDocument,
        cause: Option<PostponementCause>,
        reason: ReasonText,
        /// When a decision is expected.
        until: Utc,
    },
    /// It was refused, or a part of it, and the person objects.
    Objected {
        document: IdentityDocument,
    },
    /// Nothing is left of it.
    Unavailable {
        document: Option<IdentityDocument>,
        reason: String,
    },
    /// The answer, and what was granted, reached who asked.
    Delivered {
        document: IdentityDocument,
        grant: Option<GrantId>,
        answer: Option<Answer>,
        /// Of a refusal, or of a part: until when it can be objected to still.
        until: Option<Utc>,
    },
    /// Who asked took it back.
    Withdrawn {
        document: Option<IdentityDocument>,
    },
    Closed {
        document: Option<IdentityDocument>,
        grant: Option<GrantId>,
        answer: Option<Answer>,
        /// Of a refusal, or of a part: until when it can be objected to still.
        until: Option<Utc>,
    },
}

/// The answer to a request, where it is more than a grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    told: String,
    pub(super) reason: Option<ReasonText>,
}

impl Answer {
    fn new(told: impl Into<String>) -> Self {
        Self { told: told.into(), reason: None }
    }

    /// With its reason, as far as that is known.
    pub(super) fn in_words(&self, reason: Option<&str>) -> String {
        reason.map_or_else(|| self.told.clone(), |reason| format!("{}: {reason}", self.told))
    }
}

/// The answer to an existence check, in words.
fn existence_answer(exists: bool) -> &'static str {
    if exists { "footage exists" } else { "no footage exists" }
}

/// The answer to an erasure, in words.
fn erasure_answer(is_partial: bool) -> &'static str {
    if is_partial { "erased in part" } else { "erased" }
}

impl RequestState {
    pub fn name(&self) -> &'static str {
        self.called().text()
    }

    pub fn called(&self) -> StateName {
        match self {
            RequestState::Submitted => StateName::Submitted,
            RequestState::Identified { .. } => StateName::Identified,
            RequestState::Approved { .. } => StateName::Approved,
            RequestState::Partly { .. } => StateName::Partly,
            RequestState::Confirmed { .. } => StateName::Confirmed,
            RequestState::Refused { .. } => StateName::Refused,
            RequestState::Erased { .. } => StateName::Erased,
            RequestState::Postponed { .. } => StateName::Postponed,
            RequestState::Objected { .. } => StateName::Objected,
            RequestState::Unavailable { .. } => StateName::Unavailable,
            RequestState::Delivered { .. } => StateName::Delivered,
            RequestState::Withdrawn { .. } => StateName::Withdrawn,
            RequestState::Closed { .. } => StateName::Closed,
        }
    }

    /// Whether the footage asked for must stay, unless that has ended by a row of its own. It stays while the request is
    /// open, and after a refusal until it can be objected to no more.
    pub(super) fn holds(&self) -> bool {
        match self {
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Delivered { .. } => true,
            RequestState::Closed { until, .. } => until.is_some(),
            RequestState::Erased { .. } | RequestState::Unavailable { .. } | RequestState::Withdrawn { .. } => false,
        }
    }

    /// When the hold lapses by itself: at the end of the objection period, and never while the request is open.
    pub(super) fn hold_until(&self) -> Option<Utc> {
        match self {
            RequestState::Refused { until, .. } => Some(*until),
            RequestState::Closed { until, .. } | RequestState::Delivered { grant: None, until, .. } => *until,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Delivered { grant: Some(_), .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Unavailable { .. } => None,
        }
    }

    /// Until when the person may object to what was decided.
    pub(super) fn objection_until(&self) -> Option<Utc> {
        match self {
            RequestState::Refused { until, .. } | RequestState::Partly { until, .. } => Some(*until),
            RequestState::Closed { document: Some(_), until, .. } | RequestState::Delivered { until, .. } => *until,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Closed { document: None, .. }
            | RequestState::Unavailable { .. } => None,
        }
    }

    /// Whether nothing follows any more but, for a while, an objection.
    pub(super) fn is_over(&self) -> bool {
        match self {
            RequestState::Unavailable { .. } | RequestState::Withdrawn { .. } | RequestState::Closed { .. } => true,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Delivered { .. } => false,
        }
    }

    /// Whether no officer has looked at it yet.
    pub(super) fn is_undecided(&self) -> bool {
        match self {
            RequestState::Submitted | RequestState::Identified { .. } => true,
            RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Unavailable { .. }
            | RequestState::Delivered { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Closed { .. } => false,
        }
    }

    /// By which document the person was identified.
    pub(super) fn document(&self) -> Option<IdentityDocument> {
        match self {
            RequestState::Submitted => None,
            RequestState::Identified { document }
            | RequestState::Approved { document, .. }
            | RequestState::Partly { document, .. }
            | RequestState::Confirmed { document, .. }
            | RequestState::Refused { document, .. }
            | RequestState::Erased { document, .. }
            | RequestState::Postponed { document, .. }
            | RequestState::Objected { document }
            | RequestState::Delivered { document, .. } => Some(*document),
            RequestState::Unavailable { document, .. }
            | RequestState::Withdrawn { document }
            | RequestState::Closed { document, .. } => *document,
        }
    }

    /// What its decision granted.
    pub(super) fn grant(&self) -> Option<GrantId> {
        match self {
            RequestState::Approved { grant, .. } | RequestState::Partly { grant, .. } => Some(*grant),
            RequestState::Delivered { grant, .. } | RequestState::Closed { grant, .. } => *grant,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Unavailable { .. } => None,
        }
    }

    /// The answer, where it is more than a grant.
    pub(super) fn answer(&self) -> Option<Answer> {
        match self {
            RequestState::Confirmed { exists, .. } => Some(Answer::new(existence_answer(*exists))),
            RequestState::Refused { ground, reason, .. } => {
                Some(Answer { told: ground.to_string(), reason: Some(reason.clone()) })
            }
            RequestState::Erased { is_partial, .. } => Some(Answer::new(erasure_answer(*is_partial))),
            RequestState::Postponed { cause, reason, until, .. } => {
                let told = match cause {
                    Some(cause) => format!("postponed until {until}: {cause}"),
                    None => format!("postponed until {until}"),
                };
                Some(Answer { told, reason: Some(reason.clone()) })
            }
            RequestState::Unavailable { reason, .. } => Some(Answer::new(format!("unavailable: {reason}"))),
            RequestState::Delivered { answer, .. } | RequestState::Closed { answer, .. } => answer.clone(),
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Objected { .. }
            | RequestState::Withdrawn { .. } => None,
        }
    }

    /// The next state, where the diagram has one. `at` is the time of the act's row.
    pub(super) fn apply(&self, act: &Act, at: Utc) -> Option<RequestState> {
        match act {
            Act::IdentityChecked { document, .. } => {
                (*self == RequestState::Submitted).then_some(RequestState::Identified { document: *document })
            }
            Act::RequestUnavailable { reason, .. } => {
                self.waits().then(|| RequestState::Unavailable { document: self.document(), reason: reason.clone() })
            }
            Act::RequestWithdrawn { .. } => self.waits().then(|| RequestState::Withdrawn { document: self.document() }),
            Act::RequestDecided { decision, .. } => self.decidable().map(|document| decided(document, decision, at)),
            // Nothing comes of these alone.
            Act::DecisionProposed { .. } | Act::DecisionSeconded { .. } => self.decidable().map(|_| self.clone()),
            Act::FeeNoted { .. } => self.takes_fees().then(|| self.clone()),
            Act::RequestObjected { .. } => {
                let is_in_time = self.objection_until().is_some_and(|until| at < until);
                self.document().filter(|_| is_in_time).map(|document| RequestState::Objected { document })
            }
            Act::RequestDelivered { .. } => self.delivered(),
            Act::RequestClosed { .. } => self.closed(),
            _ => None,
        }
    }

    /// Whether it is open and not decided: it can be taken back.
    fn waits(&self) -> bool {
        *self == RequestState::Submitted || self.decidable().is_some()
    }

    /// The document of one that an officer can decide.
    fn decidable(&self) -> Option<IdentityDocument> {
        match self {
            RequestState::Identified { document }
            | RequestState::Postponed { document, .. }
            | RequestState::Objected { document } => Some(*document),
            RequestState::Submitted
            | RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Unavailable { .. }
            | RequestState::Delivered { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Closed { .. } => None,
        }
    }

    fn takes_fees(&self) -> bool {
        match self {
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Delivered { .. } => true,
            RequestState::Unavailable { .. } | RequestState::Withdrawn { .. } | RequestState::Closed { .. } => false,
        }
    }

    /// Whether an answer was given: it can be handed over.
    fn is_answered(&self) -> bool {
        match self {
            RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. } => true,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Unavailable { .. }
            | RequestState::Delivered { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Closed { .. } => false,
        }
    }

    fn delivered(&self) -> Option<RequestState> {
        let document = self.document().filter(|_| self.is_answered())?;
        let (grant, answer, until) = (self.grant(), self.answer(), self.objection_until());
        Some(RequestState::Delivered { document, grant, answer, until })
    }

    fn closed(&self) -> Option<RequestState> {
        let can_be = match self {
            RequestState::Unavailable { .. } | RequestState::Delivered { .. } => true,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Partly { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Withdrawn { .. }
            | RequestState::Closed { .. } => self.is_answered(),
        };
        let (document, grant, answer, until) = (self.document(), self.grant(), self.answer(), self.objection_until());
        can_be.then_some(RequestState::Closed { document, grant, answer, until })
    }
}

fn decided(document: IdentityDocument, decision: &Decision, at: Utc) -> RequestState {
    match decision {
        Decision::Approved { grant, partly_until: None, .. } => RequestState::Approved { document, grant: *grant },
        Decision::Approved { grant, partly_until: Some(until), .. } => {
            RequestState::Partly { document, grant: *grant, until: *until }
        }
        Decision::Confirmed { exists } => RequestState::Confirmed { document, exists: *exists },
        Decision::Refused { ground, reason, objection_until } => {
            let until = objection_until.unwrap_or_else(|| at.saturating_add(OBJECTION_OF_OLD));
            RequestState::Refused { document, ground: *ground, reason: reason.clone(), until }
        }
        Decision::Erased { kept, .. } => RequestState::Erased { document, is_partial: !kept.is_empty() },
        Decision::Postponed { reason, until, cause } => {
            RequestState::Postponed { document, cause: *cause, reason: reason.clone(), until: *until }
        }
    }
}

/// Where an officer's hold stands. It holds in every state but the last: a hold that nobody confirms is an alarm, and
/// not the end of what it covers.
///
/// ```text
/// Ordered ─ another officer confirms, or extends it ─▶ Confirmed ─ ended ─▶ Ended
///    │  ▲────────────── its owner extends it ────────────┘                   ▲
///    └──────────────────────────── ended ────────────────────────────────────┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HoldState {
    /// Its owner alone stands by its terms, since then.
    Ordered {
        since: Utc,
    },
    Confirmed {
        by: AccountId,
    },
    Ended {
        at: Utc,
        end: HoldEnd,
    },
}

impl HoldState {
    /// The next state, where the diagram has one. `by` is the person of the act's row, `at` its time.
    pub fn apply(self, act: &Act, owner: Option<AccountId>, by: Option<AccountId>, at: Utc) -> Option<HoldState> {
        let another = by.filter(|by| Some(*by) != owner);
        match (self, act) {
            (HoldState::Ordered { .. } | HoldState::Confirmed { .. }, Act::HoldExtended { .. }) => {
                Some(another.map_or(HoldState::Ordered { since: at }, |by| HoldState::Confirmed { by }))
            }
            (HoldState::Ordered { .. }, Act::HoldConfirmed { .. }) => another.map(|by| HoldState::Confirmed { by }),
            (HoldState::Ordered { .. } | HoldState::Confirmed { .. }, Act::HoldEnded { end, .. }) => {
                Some(HoldState::Ended { at, end: *end })
            }
            (HoldState::Ordered { .. } | HoldState::Confirmed { .. } | HoldState::Ended { .. }, _) => None,
        }
    }
}

/// Where an operation stands.
///
/// ```text
/// UnderWay ─ ended ─▶ Ended
/// ```
///
/// Nothing ends one but a person: neither the time, nor a start, nor a camera that is taken away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OperationState {
    UnderWay,
    Ended { at: Utc, by: Option<AccountId> },
}

impl OperationState {
    /// The next state, where the diagram has one.
    pub fn apply(self, act: &Act, by: Option<AccountId>, at: Utc) -> Option<OperationState> {
        match (self, act) {
            (OperationState::UnderWay, Act::OperationEnded { .. }) => Some(OperationState::Ended { at, by }),
            (OperationState::UnderWay | OperationState::Ended { .. }, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{HeldFor, HoldId};

    const NOW: Utc = Utc::from_micros(1_795_341_600_000_000);

    fn later(days: u64) -> Utc {
        NOW.saturating_add(Duration::from_secs(days * 86_400))
    }

    #[test]
    fn an_operation_ends_once_and_by_nothing_else() {
        let (by, camera) = (Some(AccountId(3)), crate::domain::CameraNumber::new(3).unwrap());
        let end = Act::OperationEnded { operation: crate::domain::OperationId(1), camera };
        let ended = OperationState::Ended { at: NOW, by };
        assert_eq!(OperationState::UnderWay.apply(&end, by, NOW), Some(ended));
        assert_eq!(ended.apply(&end, by, later(1)), None);
        for act in [Act::DaemonStopped, Act::DaemonStarted { version: String::new(), demo: false }] {
            assert_eq!(OperationState::UnderWay.apply(&act, by, NOW), None);
        }
    }

    #[test]
    fn a_hold_is_confirmed_by_another_than_its_owner_and_ends_once() {
        let (owner, another) = (AccountId(1), AccountId(2));
        let apply = |state: HoldState, act: &Act, by| state.apply(act, Some(owner), by, NOW);
        let hold = HoldId(1);
        let confirm = Act::HoldConfirmed { of: HeldFor::Hold(hold) };
        let extend = Act::HoldExtended { hold, review: later(9), ends: None };
        let end = Act::HoldEnded { hold, end: HoldEnd::Lapsed };
        let ordered = HoldState::Ordered { since: later(0) };
        let confirmed = HoldState::Confirmed { by: another };
        let ended = HoldState::Ended { at: NOW, end: HoldEnd::Lapsed };
        let table = [
            (ordered, &confirm, Some(owner), None),
            (ordered, &confirm, Some(another), Some(confirmed)),
            (ordered, &confirm, None, None),
            (ordered, &extend, Some(owner), Some(ordered)),
            (ordered, &extend, Some(another), Some(confirmed)),
            (ordered, &end, None, Some(ended)),
            (confirmed, &confirm, Some(AccountId(3)), None),
            (confirmed, &extend, Some(owner), Some(ordered)),
            (confirmed, &extend, Some(AccountId(3)), Some(HoldState::Confirmed { by: AccountId(3) })),
            (confirmed, &end, Some(owner), Some(ended)),
            (ended, &confirm, Some(another), None),
            (ended, &extend, Some(another), None),
            (ended, &end, None, None),
        ];
        for (state, act, by, wanted) in table {
            assert_eq!(apply(state, act, by), wanted, "{state:?} {act:?} {by:?}");
        }
    }
}
