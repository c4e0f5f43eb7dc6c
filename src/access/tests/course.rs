//! Where a request can go: every state and every event, against tables written by hand from the design; and every two roles
//! at once.

use super::*;
use crate::access::states::RequestState;
use crate::domain::request::{Channel, PostponementCause};
use crate::ledger::{PapersSeen, ProposedDecision};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Barrier;

const NOW: Utc = START;
const DOCUMENT: IdentityDocument = IdentityDocument::Passport;
const REQUEST: RequestId = RequestId(1);

fn later(days: u32) -> Utc {
    NOW.saturating_add(DAY * days)
}

fn states() -> Vec<RequestState> {
    let (document, grant, until, reason) = (DOCUMENT, GrantId(1), later(30), "so".to_owned());
    let closed = |until| RequestState::Closed { document: Some(DOCUMENT), grant: None, answer: None, until };
    let delivered = |grant, until| RequestState::Delivered { document: DOCUMENT, grant, answer: None, until };
    let ground = RefusalGround::OtherJustCause;
    vec![
        RequestState::Submitted,
        RequestState::Identified { document },
        RequestState::Approved { document, grant },
        RequestState::Partly { document, grant, until },
        RequestState::Confirmed { document, exists: true },
        RequestState::Refused { document, ground, reason: reason.clone().into(), until },
        RequestState::Erased { document, is_partial: true },
        RequestState::Postponed { document, cause: None, reason: reason.clone().into(), until: later(9) },
        RequestState::Objected { document },
        RequestState::Unavailable { document: Some(document), reason },
        delivered(Some(grant), None),
        delivered(Some(grant), Some(until)),
        delivered(None, Some(until)),
        RequestState::Withdrawn { document: Some(document) },
        closed(None),
        closed(Some(until)),
    ]
}

fn events() -> BTreeMap<&'static str, Act> {
    let (request, reason, channel) = (REQUEST, "so".to_owned(), Channel::Visit);
    let decided = |decision| Act::RequestDecided { request: REQUEST, decision };
    let approved = |partly_until| Decision::Approved {
        grant: GrantId(1),
        viewer: VIEWER,
        views: Vec::new(),
        ends: later(7),
        segments: 1,
        slots: Digest::ZERO,
        conditions: Default::default(),
        partly_until,
        rest: None,
    };
    let ground = RefusalGround::OtherJustCause;
    let refused = Decision::Refused { ground, reason: reason.clone().into(), objection_until: Some(later(30)) };
    let postponed =
        Decision::Postponed { reason: reason.clone().into(), until: later(9), cause: Some(PostponementCause::Masking) };
    BTreeMap::from([
        ("identity", Act::IdentityChecked { request, document: DOCUMENT, seen: PapersSeen::default() }),
        ("nothing left", Act::RequestUnavailable { request, reason }),
        ("approved", decided(approved(None))),
        ("partly", decided(approved(Some(later(30))))),
        ("confirmed", decided(Decision::Confirmed { exists: true })),
        ("refused", decided(refused)),
        ("erased", decided(Decision::Erased { erased: Vec::new(), segments: 1, kept: Vec::new() })),
        ("postponed", decided(postponed)),
        ("proposed", Act::DecisionProposed { request, proposed: ProposedDecision::Unavailable }),
        ("seconded", Act::DecisionSeconded { request, proposal: 1 }),
        ("fee", Act::FeeNoted { request, amount_krw: 1_000, paid: false }),
        ("delivered", Act::RequestDelivered { request, channel }),
        ("objected", Act::RequestObjected { request }),
        ("withdrawn", Act::RequestWithdrawn { request, channel }),
        ("closed", Act::RequestClosed { request }),
        ("another's row", Act::LedgerRead),
    ])
}

/// By state, in the order of `states`: where each event leads; `=` where it changes nothing, `-` where it cannot be.
/// Written by hand from the design ("The request's life").
#[rustfmt::skip]
const TABLE: [(&str, [&str; 16]); 16] = {
    const NO: &str = "-";
    const SAME: &str = "=";
    // submitted     identified     approved     partly       confirmed    refused      erased       postponed      objected       unavailable delivered    deliv. partly deliv. refusal withdrawn closed  closed, can object
    [
    ("identity",     ["identified", NO,          NO,          NO,          NO,          NO,          NO,            NO,            NO,         NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("nothing left", ["unavailable", "unavailable", NO,       NO,          NO,          NO,          NO,            "unavailable", "unavailable", NO,       NO,           NO,            NO,       NO,     NO, NO]),
    ("approved",     [NO,           "approved",  NO,          NO,          NO,          NO,          NO,            "approved",    "approved", NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("partly",       [NO,           "partly",    NO,          NO,          NO,          NO,          NO,            "partly",      "partly",   NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("confirmed",    [NO,           "confirmed", NO,          NO,          NO,          NO,          NO,            "confirmed",   "confirmed", NO,         NO,           NO,            NO,       NO,     NO, NO]),
    ("refused",      [NO,           "refused",   NO,          NO,          NO,          NO,          NO,            "refused",     "refused",  NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("erased",       [NO,           "erased",    NO,          NO,          NO,          NO,          NO,            "erased",      "erased",   NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("postponed",    [NO,           "postponed", NO,          NO,          NO,          NO,          NO,            "postponed",   "postponed", NO,         NO,           NO,            NO,       NO,     NO, NO]),
    ("proposed",     [NO,           SAME,        NO,          NO,          NO,          NO,          NO,            SAME,          SAME,       NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("seconded",     [NO,           SAME,        NO,          NO,          NO,          NO,          NO,            SAME,          SAME,       NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("fee",          [SAME,         SAME,        SAME,        SAME,        SAME,        SAME,        SAME,          SAME,          SAME,       NO,          SAME,         SAME,          SAME,     NO,     NO, NO]),
    ("delivered",    [NO,           NO,          "delivered", "delivered", "delivered", "delivered", "delivered",   NO,            NO,         NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ("objected",     [NO,           NO,          NO,          "objected",  NO,          "objected",  NO,            NO,            NO,         NO,          NO,           "objected",    "objected", NO,   NO, "objected"]),
    ("withdrawn",    ["withdrawn",  "withdrawn", NO,          NO,          NO,          NO,          NO,            "withdrawn",   "withdrawn", NO,         NO,           NO,            NO,       NO,     NO, NO]),
    ("closed",       [NO,           NO,          "closed",    "closed",    "closed",    "closed",    "closed",      NO,            NO,         "closed",    "closed",     "closed",      "closed", NO,     NO, NO]),
    ("another's row", [NO,          NO,          NO,          NO,          NO,          NO,          NO,            NO,            NO,         NO,          NO,           NO,            NO,       NO,     NO, NO]),
    ]
};

#[test]
fn each_event_leads_from_each_state_where_the_table_says_and_nowhere_else() {
    let (states, events) = (states(), events());
    assert_eq!(TABLE.map(|(event, _)| event).into_iter().collect::<BTreeSet<_>>(), events.keys().copied().collect());
    for (event, row) in TABLE {
        assert_eq!(row.len(), states.len());
        for (state, wanted) in states.iter().zip(row) {
            let next = state.apply(&events[event], NOW);
            let told = match &next {
                None => "-",
                Some(next) if next == state => "=",
                Some(next) => next.name(),
            };
            // One that is postponed again is another state of the same name.
            assert_eq!(told, wanted, "{event} of {state:?}");
        }
    }
    for state in states.iter().filter(|state| state.objection_until().is_some()) {
        assert_eq!(state.apply(&events["objected"], later(30)), None, "too late: {state:?}");
    }
}

#[test]
fn footage_stays_while_a_request_is_open_and_as_long_as_its_refusal_can_be_objected_to() {
    let held: Vec<(bool, Option<Utc>)> = states().iter().map(|state| (state.holds(), state.hold_until())).collect();
    let (open, over, until) = ((true, None), (false, None), (true, Some(later(30))));
    let wanted = [open, open, open, open, open, until, over, open, open, over, open, open, until, over, over, until];
    assert_eq!(held, wanted);
}

#[test]
fn rows_of_the_first_versions_read_as_they_did() {
    let apply = |decision: &str| {
        let act = Act::RequestDecided { request: REQUEST, decision: serde_json::from_str(decision).unwrap() };
        RequestState::Identified { document: DOCUMENT }.apply(&act, NOW).unwrap()
    };
    let refused = apply(r#"{"outcome": "refused", "ground": "other-just-cause", "reason": "so"}"#);
    assert_eq!(refused.objection_until(), Some(later(30)));
    let slots = Digest::ZERO;
    let approved = format!(
        r#"{{"outcome": "approved", "grant": 1, "viewer": 3, "views": [], "ends": "2026-11-30T00:00:00Z", "segments": 1,
            "slots": "{slots}"}}"#
    );
    assert_eq!(apply(&approved), RequestState::Approved { document: DOCUMENT, grant: GrantId(1) });
    let postponed = apply(r#"{"outcome": "postponed", "reason": "so", "until": "2026-11-30T00:00:00Z"}"#);
    let answer = postponed.answer().unwrap();
    assert_eq!(answer.reason, Some("so".to_owned().into()));
    assert_eq!(answer.in_words(Some("so")), "postponed until 2026-11-30T00:00:00.000Z: so");
    assert_eq!(answer.in_words(None), "postponed until 2026-11-30T00:00:00.000Z");
    let old = [
        r#"{"kind": "request-submitted", "request": 1, "asked": "viewing", "cameras": [1],
            "span": {"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:01:00Z"}, "due": "2026-12-02T10:00:00Z",
            "persons": "0000000000000000000000000000000000000000000000000000000000000000"}"#,
        r#"{"kind": "identity-checked", "request": 1, "document": "passport"}"#,
    ];
    let (actor, mut registry) = (Actor::Daemon, Registry::default());
    for (sequence, act) in (1..).zip(old) {
        let act: Act = serde_json::from_str(act).unwrap();
        let written = serde_json::to_value(&act).unwrap();
        assert!(written.get("terms").is_none() && written.get("seen").is_none(), "{written}");
        registry.apply(&Row { sequence, at: NOW, actor, act });
    }
    let known = &registry.requests[&REQUEST];
    assert_eq!((known.received, known.entered, known.terms), (NOW, NOW, None));
    assert_eq!(known.state, RequestState::Identified { document: DOCUMENT });
}

/// What two people do at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Deed {
    Identify,
    Approve,
    Refuse,
    Postpone,
    Dispute,
    Fee,
    Deliver,
    Object,
    Withdraw,
    Close,
}

impl Deed {
    const ALL: [Deed; 10] = [
        Deed::Identify,
        Deed::Approve,
        Deed::Refuse,
        Deed::Postpone,
        Deed::Dispute,
        Deed::Fee,
        Deed::Deliver,
        Deed::Object,
        Deed::Withdraw,
        Deed::Close,
    ];

    /// Whose it is (requirements L8 to L12; the design's roles).
    fn is_of(self, role: Role) -> bool {
        match self {
            Deed::Identify => role == Role::Staff,
            Deed::Approve | Deed::Refuse | Deed::Postpone | Deed::Dispute => role == Role::Officer,
            Deed::Fee | Deed::Deliver | Deed::Object | Deed::Withdraw | Deed::Close => {
                matches!(role, Role::Staff | Role::Officer)
            }
        }
    }

    fn done_by(self, open: &Open, caller: &Caller, request: RequestId) -> Result<(), AccessError> {
        let access = &open.access;
        let password = format!("{}-password", caller.person().name);
        let (reason, channel) = ("so".to_owned(), Channel::Phone);
        match self {
            Deed::Identify => access.check_identity(caller, request, DOCUMENT).map(drop),
            Deed::Approve => access.approve(caller, request, &to_viewer(), &password).map(drop),
            Deed::Refuse => {
                let refusal = Refusal { ground: RefusalGround::HarmToOthers, reason };
                access.refuse(caller, request, &refusal, &password).map(drop)
            }
            Deed::Postpone => {
                let (cause, until) = (PostponementCause::Masking, open.access.now().saturating_add(DAY));
                access.postpone(caller, request, &Postponement { cause, reason, until }, &password).map(drop)
            }
            Deed::Dispute => {
                let ground = crate::domain::request::DisputeGround::Accuracy;
                let new = NewDispute { request: Some(request), cameras: None, span: None, ground };
                access.mark_disputed(caller, new).map(drop)
            }
            Deed::Fee => access.note_fee(caller, request, 1_000, true).map(drop),
            Deed::Deliver => access.deliver(caller, request, channel).map(drop),
            Deed::Object => access.object(caller, request).map(drop),
            Deed::Withdraw => access.withdraw(caller, request, channel).map(drop),
            Deed::Close => access.close(caller, request).map(drop),
        }
    }

    /// Of which states it can follow, by hand.
    fn follows(self, from: &str) -> bool {
        let allowed: &[&str] = match self {
            Deed::Identify => &["submitted"],
            Deed::Approve | Deed::Refuse | Deed::Postpone => &["identified"],
            Deed::Dispute | Deed::Fee => &["submitted", "identified", "approved", "refused"],
            Deed::Deliver | Deed::Close => &["approved", "refused"],
            Deed::Object => &["refused"],
            Deed::Withdraw => &["submitted", "identified"],
        };
        allowed.contains(&from)
    }
}

/// How many of two that could both be done of a state are, where they are done at once: by hand.
fn winners(from: &str, one: Deed, other: Deed) -> RangeInclusive<usize> {
    use Deed::{Approve, Close, Deliver, Dispute, Fee, Identify, Object, Postpone, Refuse, Withdraw};
    let pair = (one.min(other), one.max(other));
    match pair {
        // Once and for all.
        (Identify, Identify)
        | (Approve | Refuse, Approve | Refuse | Withdraw)
        | (Deliver, Deliver)
        | (Object, Object)
        | (Withdraw, Withdraw)
        | (Close, Close) => 1..=1,
        // What was refused can be objected to before it was delivered or closed, and after.
        (Deliver, Object) | (Object, Close) => 1..=2,
        // The one may come after the other, and not the other way round.
        (Identify, Withdraw) | (Postpone, Withdraw) | (Deliver, Close) => 1..=2,
        (Approve | Refuse, Postpone) | (Postpone, Postpone) => 1..=2,
        (Approve | Refuse, Dispute) | (Dispute, Deliver) => 1..=2,
        (Fee, Withdraw | Close) => 1..=2,
        // They do not touch each other; disputes can be several.
        (Identify, Dispute | Fee) | (Approve | Refuse, Fee) => 2..=2,
        (Postpone, Dispute | Fee) | (Dispute, _) | (Fee, _) => 2..=2,
        other => panic!("{other:?} cannot both follow {from}"),
    }
}

fn people() -> Vec<(&'static str, Role)> {
    PEOPLE.into_iter().chain([("installer", Role::Installer), ("clerk", Role::Staff)]).collect()
}

/// A request in a state, entered by somebody who does nothing else.
fn brought_to(open: &Open, from: &str) -> RequestId {
    let clerk = open.sign_in("clerk");
    let request = open.access.submit(&clerk, new_request(1, span(10, 20))).unwrap().number;
    let deputy = open.sign_in("deputy");
    let deeds: &[(&Caller, Deed)] = match from {
        "submitted" => &[],
        "identified" => &[(&clerk, Deed::Identify)],
        "approved" => &[(&clerk, Deed::Identify), (&deputy, Deed::Approve)],
        "refused" => &[(&clerk, Deed::Identify), (&deputy, Deed::Refuse)],
        other => panic!("{other}"),
    };
    deeds.iter().for_each(|(by, deed)| deed.done_by(open, by, request).unwrap());
    assert_eq!(open.access.request(&clerk, request).unwrap().state, from);
    request
}

/// Each role, twice: another person of it where there is one, the same in two windows where there is none.
fn callers(open: &Open) -> Vec<(Role, [Caller; 2])> {
    let pairs = [
        ("desk", "clerk"),
        ("officer", "deputy"),
        ("viewer", "other"),
        ("auditor", "auditor"),
        ("installer", "installer"),
    ];
    pairs.map(|(one, other)| (open.sign_in(one).person().role, [open.sign_in(one), open.sign_in(other)])).into()
}

#[test]
fn of_every_two_roles_at_once_one_wins_and_the_other_is_told_so() {
    let clinic = Clinic::of(&people());
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let callers = callers(&open);
    let mut tried = 0;
    for from in ["submitted", "identified", "approved", "refused"] {
        for (number, (role, theirs)) in callers.iter().enumerate() {
            for (other_role, others) in &callers[number..] {
                for (one, other) in pairs_of(from, *role, *other_role) {
                    tried += 1;
                    at_once(&open, from, (*role, &theirs[0], one), (*other_role, &others[1], other));
                }
            }
        }
    }
    assert!(tried > 100, "{tried} pairs");
}

/// Deeds of two roles: what either may do of a state; and for roles that may do nothing, the weightiest deed of all.
fn pairs_of(from: &str, role: Role, other: Role) -> Vec<(Deed, Deed)> {
    let deeds = |role: Role| -> Vec<Deed> {
        let own: Vec<Deed> = Deed::ALL.into_iter().filter(|deed| deed.is_of(role) && deed.follows(from)).collect();
        if own.is_empty() { vec![Deed::Approve, Deed::Close] } else { own }
    };
    deeds(role).into_iter().flat_map(|one| deeds(other).into_iter().map(move |other| (one, other))).collect()
}

fn at_once(open: &Open, from: &str, one: (Role, &Caller, Deed), other: (Role, &Caller, Deed)) {
    let request = brought_to(open, from);
    let barrier = Barrier::new(2);
    let told = std::thread::scope(|scope| {
        let threads = [one, other].map(|(_, caller, deed)| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                deed.done_by(open, caller, request)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    let what = format!("{from}: {:?} of {} and {:?} of {}: {told:?}", one.2, one.0, other.2, other.0);
    let is_of_both = one.2.is_of(one.0) && other.2.is_of(other.0);
    for ((role, _, deed), told) in [one, other].iter().zip(&told) {
        match told {
            Ok(()) => assert!(deed.is_of(*role), "{what}"),
            Err(AccessError::Forbidden) => assert!(!deed.is_of(*role), "{what}"),
            Err(AccessError::WrongState { .. } | AccessError::Disputed { .. }) => assert!(is_of_both, "{what}"),
            Err(_) => panic!("{what}"),
        }
    }
    let won = told.iter().filter(|told| told.is_ok()).count();
    match is_of_both {
        true => assert!(winners(from, one.2, other.2).contains(&won), "{what}"),
        false => assert_eq!(won, usize::from(one.2.is_of(one.0)) + usize::from(other.2.is_of(other.0)), "{what}"),
    }
    adds_up(open, request, &what);
}

/// No row that does not follow from those before it, no second decision, no second grant; and nothing is left in dispute.
fn adds_up(open: &Open, request: RequestId, what: &str) {
    let (mut state, mut grants, mut decided, mut disputes) = (RequestState::Submitted, 0, 0, Vec::new());
    for act in open.rows() {
        match &act {
            Act::RequestDecided { request: of, decision } if *of == request => {
                decided += usize::from(!matches!(decision, Decision::Postponed { .. }));
                grants += usize::from(matches!(decision, Decision::Approved { .. }));
                state = state.apply(&act, NOW).unwrap_or_else(|| panic!("{what}: {act:?}"));
            }
            Act::IdentityChecked { request: of, .. }
            | Act::FeeNoted { request: of, .. }
            | Act::RequestDelivered { request: of, .. }
            | Act::RequestObjected { request: of }
            | Act::RequestWithdrawn { request: of, .. }
            | Act::RequestClosed { request: of }
                if *of == request =>
            {
                state = state.apply(&act, NOW).unwrap_or_else(|| panic!("{what}: {act:?}"));
            }
            Act::FootageDisputed { dispute, request: Some(of), .. } if *of == request => disputes.push(*dispute),
            _ => {}
        }
    }
    assert!(decided <= 1 && grants <= 1, "{what}: decided {decided} times, {grants} grants");
    let officer = open.sign_in("officer");
    assert_eq!(open.access.request(&officer, request).unwrap().state, state.name(), "{what}");
    let files = open.access.grants.list().unwrap();
    let registry = open.access.registry();
    let theirs = files.iter().filter(|grant| registry.grants[grant].request == request).count();
    assert!(theirs <= grants, "{what}: {theirs} files of grants");
    drop(registry);
    for dispute in disputes {
        let outcome = crate::domain::request::DisputeOutcome::Withdrawn;
        open.access.settle_dispute(&officer, dispute, outcome).unwrap();
    }
    // What is open no more keeps the tables small.
    let ended = open.access.close(&officer, request).map(drop);
    assert!(matches!(ended, Ok(()) | Err(AccessError::WrongState { .. })), "{what}: {ended:?}");
}
