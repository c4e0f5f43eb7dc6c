//! Where requests and holds stand, and what may follow.

use crate::domain::request::{IdentityDocument, RefusalGround};
use crate::domain::{AccountId, GrantId, HoldEnd, Utc};
use crate::ledger::{Act, Decision};
use std::time::Duration;

/// How long a refusal could be objected to where its row does not say so.
const OBJECTION_OF_OLD: Duration = Duration::from_secs(30 * 86_400);

/// Where a request stands.
///
/// ```text
/// Submitted ─ identity ─▶ Identified ─ decision ─▶ Approved ── close ─▶ Closed
///     │                     ▲ decided anew: │ ├──▶ Confirmed ─ close ───▲
///     │                     │               │ ├──▶ Erased ──── close ───▲
///     │                     │               │ ├──▶ Refused ─── close ───▲
///     │                     │               │ └──▶ Postponed, decided again
///     │                     └── Objected ◀──┴────── objection, of Refused or Closed after it
///     └─ nothing left ─▶ Unavailable
/// ```
///
/// Postponed and Objected are decided as Identified is.
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
    /// An existence check was answered.
    Confirmed {
        document: IdentityDocument,
        exists: bool,
    },
    Refused {
        document: IdentityDocument,
        ground: RefusalGround,
        reason: String,
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
        reason: String,
        /// When a decision is expected.
        until: Utc,
    },
    /// It was refused, and the person objects.
    Objected {
        document: IdentityDocument,
    },
    Unavailable {
        reason: String,
    },
    Closed {
        document: Option<IdentityDocument>,
        grant: Option<GrantId>,
        answer: Option<String>,
        /// Of a refusal: until when it can be objected to still.
        until: Option<Utc>,
    },
}

/// The answer to an existence check, in words.
pub(super) fn existence_answer(exists: bool) -> &'static str {
    if exists { "footage exists" } else { "no footage exists" }
}

/// The answer to an erasure, in words.
pub(super) fn erasure_answer(is_partial: bool) -> &'static str {
    if is_partial { "erased in part" } else { "erased" }
}

impl RequestState {
    pub fn name(&self) -> &'static str {
        match self {
            RequestState::Submitted => "submitted",
            RequestState::Identified { .. } => "identified",
            RequestState::Approved { .. } => "approved",
            RequestState::Confirmed { .. } => "confirmed",
            RequestState::Refused { .. } => "refused",
            RequestState::Erased { .. } => "erased",
            RequestState::Postponed { .. } => "postponed",
            RequestState::Objected { .. } => "objected",
            RequestState::Unavailable { .. } => "unavailable",
            RequestState::Closed { .. } => "closed",
        }
    }

    /// Whether the footage asked for must stay, unless that has ended by a row of its own. It stays while the request is
    /// open, and after a refusal until it can be objected to no more.
    pub(super) fn holds(&self) -> bool {
        match self {
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. } => true,
            RequestState::Closed { until, .. } => until.is_some(),
            RequestState::Erased { .. } | RequestState::Unavailable { .. } => false,
        }
    }

    /// When the hold lapses by itself: at the end of the objection period, and never while the request is open.
    pub(super) fn hold_until(&self) -> Option<Utc> {
        match self {
            RequestState::Refused { until, .. } => Some(*until),
            RequestState::Closed { until, .. } => *until,
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Unavailable { .. } => None,
        }
    }

    /// Whether no officer has looked at it yet.
    pub(super) fn is_undecided(&self) -> bool {
        match self {
            RequestState::Submitted | RequestState::Identified { .. } => true,
            RequestState::Approved { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. }
            | RequestState::Erased { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Unavailable { .. }
            | RequestState::Closed { .. } => false,
        }
    }

    /// The next state, where the diagram has one. `at` is the time of the act's row.
    pub(super) fn apply(&self, act: &Act, at: Utc) -> Option<RequestState> {
        match (self, act) {
            (RequestState::Submitted, Act::IdentityChecked { document, .. }) => {
                Some(RequestState::Identified { document: *document })
            }
            (RequestState::Submitted, Act::RequestUnavailable { reason, .. }) => {
                Some(RequestState::Unavailable { reason: reason.clone() })
            }
            (
                RequestState::Identified { document }
                | RequestState::Postponed { document, .. }
                | RequestState::Objected { document },
                Act::RequestDecided { decision, .. },
            ) => Some(decided(*document, decision, at)),
            (
                RequestState::Refused { document, until, .. }
                | RequestState::Closed { document: Some(document), until: Some(until), .. },
                Act::RequestObjected { .. },
            ) if at < *until => Some(RequestState::Objected { document: *document }),
            (state, Act::RequestClosed { .. }) => state.closed(),
            (
                RequestState::Submitted
                | RequestState::Identified { .. }
                | RequestState::Approved { .. }
                | RequestState::Confirmed { .. }
                | RequestState::Refused { .. }
                | RequestState::Erased { .. }
                | RequestState::Postponed { .. }
                | RequestState::Objected { .. }
                | RequestState::Unavailable { .. }
                | RequestState::Closed { .. },
                _,
            ) => None,
        }
    }

    fn closed(&self) -> Option<RequestState> {
        let (document, grant, answer, until) = match self {
            RequestState::Confirmed { document, exists } => {
                (document, None, Some(existence_answer(*exists).to_owned()), None)
            }
            RequestState::Approved { document, grant } => (document, Some(*grant), None, None),
            RequestState::Refused { document, ground, reason, until } => {
                (document, None, Some(format!("{ground}: {reason}")), Some(*until))
            }
            RequestState::Erased { document, is_partial } => {
                (document, None, Some(erasure_answer(*is_partial).to_owned()), None)
            }
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Postponed { .. }
            | RequestState::Objected { .. }
            | RequestState::Unavailable { .. }
            | RequestState::Closed { .. } => return None,
        };
        Some(RequestState::Closed { document: Some(*document), grant, answer, until })
    }
}

fn decided(document: IdentityDocument, decision: &Decision, at: Utc) -> RequestState {
    match decision {
        Decision::Approved { grant, .. } => RequestState::Approved { document, grant: *grant },
        Decision::Confirmed { exists } => RequestState::Confirmed { document, exists: *exists },
        Decision::Refused { ground, reason, objection_until } => {
            let until = objection_until.unwrap_or_else(|| at.saturating_add(OBJECTION_OF_OLD));
            RequestState::Refused { document, ground: *ground, reason: reason.clone(), until }
        }
        Decision::Erased { kept, .. } => RequestState::Erased { document, is_partial: !kept.is_empty() },
        Decision::Postponed { reason, until } => {
            RequestState::Postponed { document, reason: reason.clone(), until: *until }
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
    use crate::domain::{HeldFor, HoldId, RequestId};

    const NOW: Utc = Utc::from_micros(1_795_341_600_000_000);
    const DOCUMENT: IdentityDocument = IdentityDocument::Passport;

    fn later(days: u64) -> Utc {
        NOW.saturating_add(Duration::from_secs(days * 86_400))
    }

    fn refused() -> RequestState {
        RequestState::Refused {
            document: DOCUMENT,
            ground: RefusalGround::OtherJustCause,
            reason: "so".into(),
            until: later(30),
        }
    }

    fn states() -> Vec<RequestState> {
        let closed = |until| RequestState::Closed { document: Some(DOCUMENT), grant: None, answer: None, until };
        vec![
            RequestState::Submitted,
            RequestState::Identified { document: DOCUMENT },
            RequestState::Approved { document: DOCUMENT, grant: GrantId(1) },
            RequestState::Confirmed { document: DOCUMENT, exists: true },
            refused(),
            RequestState::Erased { document: DOCUMENT, is_partial: true },
            RequestState::Postponed { document: DOCUMENT, reason: "so".into(), until: later(9) },
            RequestState::Objected { document: DOCUMENT },
            RequestState::Unavailable { reason: "so".into() },
            closed(None),
            closed(Some(later(30))),
        ]
    }

    #[test]
    fn each_act_follows_from_the_states_that_the_diagram_says_and_from_no_other() {
        let request = RequestId(1);
        let refusal =
            Decision::Refused { ground: RefusalGround::OtherJustCause, reason: "so".into(), objection_until: None };
        let postponed = Decision::Postponed { reason: "so".into(), until: later(9) };
        let erased = Decision::Erased { erased: Vec::new(), segments: 1, kept: Vec::new() };
        // By state, in the order of `states`: 1 where it may follow, and what it leads to.
        let table = [
            (Act::IdentityChecked { request, document: DOCUMENT }, "10000000000", "identified"),
            (Act::RequestUnavailable { request, reason: String::new() }, "10000000000", "unavailable"),
            (
                Act::RequestDecided { request, decision: Decision::Confirmed { exists: true } },
                "01000011000",
                "confirmed",
            ),
            (Act::RequestDecided { request, decision: refusal }, "01000011000", "refused"),
            (Act::RequestDecided { request, decision: erased }, "01000011000", "erased"),
            (Act::RequestDecided { request, decision: postponed }, "01000011000", "postponed"),
            (Act::RequestObjected { request }, "00001000001", "objected"),
            (Act::RequestClosed { request }, "00111100000", "closed"),
            (Act::LedgerRead, "00000000000", ""),
        ];
        for (act, from, to) in table {
            for (state, follows) in states().iter().zip(from.chars()) {
                let next = state.apply(&act, NOW).map(|next| next.name());
                assert_eq!(next, (follows == '1').then_some(to), "{state:?} {act:?}");
            }
        }
        assert_eq!(refused().apply(&Act::RequestObjected { request }, later(30)), None, "too late");
    }

    #[test]
    fn footage_stays_while_a_request_is_open_and_as_long_as_its_refusal_can_be_objected_to() {
        let held: Vec<(bool, Option<Utc>)> = states().iter().map(|state| (state.holds(), state.hold_until())).collect();
        let (open, over, until) = ((true, None), (false, None), (true, Some(later(30))));
        assert_eq!(held, [open, open, open, open, until, over, open, open, over, over, until]);
        // A row of before the period was told.
        let old = r#"{"outcome": "refused", "ground": "other-just-cause", "reason": "so"}"#;
        let act = Act::RequestDecided { request: RequestId(1), decision: serde_json::from_str(old).unwrap() };
        assert_eq!(RequestState::Identified { document: DOCUMENT }.apply(&act, NOW), Some(refused()));
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
