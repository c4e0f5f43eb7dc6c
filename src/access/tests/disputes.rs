//! Footage in dispute: nobody uses it, and nothing is decided over it, until that is settled.

use super::*;
use crate::domain::request::{Channel, DisputeGround, DisputeOutcome, PostponementCause};

fn over(of: u16, span: Span) -> NewDispute {
    NewDispute { request: None, cameras: Some(vec![camera(of)]), span: Some(span), ground: DisputeGround::Accuracy }
}

#[test]
fn a_grant_shows_nothing_that_is_disputed_even_in_mid_playback_and_everything_once_it_is_settled() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    let grant = open.approved(1, span(10, 20)).grant.unwrap();
    let other = open.approved(2, span(10, 20)).grant.unwrap();
    let viewer = open.viewer_of(grant);
    let entry = open.access.playlist(&viewer, grant, camera(1), None).unwrap().entries[0];
    let next = |number| open.access.fragment(&viewer, grant, camera(1), entry.segment, number);
    assert!(next(entry.number).is_ok());
    let officer = open.sign_in("officer");
    let marked = open.access.mark_disputed(&officer, over(1, span(15, 16))).unwrap();
    let told = next(entry.number + 1);
    let Err(AccessError::Disputed { dispute, ground: DisputeGround::Accuracy, .. }) = told else { panic!("{told:?}") };
    assert_eq!(dispute, marked.dispute);
    open.access.end_viewing(&viewer, grant).unwrap();
    assert!(matches!(open.watch(grant, 1), Err(AccessError::Disputed { .. })));
    assert!(open.access.init(&viewer, grant, camera(1), entry.segment).is_err());
    assert!(open.watch(other, 2).is_ok(), "of another camera");
    let refused = |act: &Act| matches!(act, Act::ViewRefused { why: ViewRefusal::Disputed, .. });
    assert!(open.rows().iter().filter(|act| refused(act)).count() >= 3);
    // A start knows of it.
    drop(open);
    let open = clinic.open();
    assert!(matches!(open.watch(grant, 1), Err(AccessError::Disputed { .. })));
    let settled = open.access.settle_dispute(&open.sign_in("deputy"), dispute, DisputeOutcome::Rejected).unwrap();
    assert_eq!(
        settled.settled.map(|settled| (settled.by, settled.outcome)),
        Some((Some(AccountId(2)), DisputeOutcome::Rejected))
    );
    assert!(open.watch(grant, 1).is_ok());
    let rows = open.rows();
    assert!(rows.contains(&Act::DisputeSettled { dispute, outcome: DisputeOutcome::Rejected }));
    assert!(rows.iter().any(|act| matches!(act, Act::FootageDisputed { .. })));
    let again = open.access.settle_dispute(&open.sign_in("deputy"), dispute, DisputeOutcome::Upheld);
    assert!(matches!(again, Err(AccessError::DisputeSettled)));
}

#[test]
fn over_a_disputed_request_nothing_is_decided_but_that_it_waits() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let officer = open.sign_in("officer");
    let new = NewDispute { request: Some(request), cameras: None, span: None, ground: DisputeGround::Entitlement };
    let dispute = open.access.mark_disputed(&officer, new).unwrap();
    assert_eq!((dispute.cameras.as_slice(), dispute.span), ([camera(1)].as_slice(), span(10, 20)));
    let refusal = Refusal { ground: RefusalGround::HarmToOthers, reason: "so".into() };
    let disputed = |told: Result<RequestView, AccessError>| {
        assert!(matches!(told, Err(AccessError::Disputed { .. })), "{told:?}");
    };
    disputed(open.access.approve(&officer, request, &to_viewer(), "officer-password"));
    disputed(open.access.refuse(&officer, request, &refusal, "officer-password"));
    disputed(open.access.find_unavailable(&officer, request, "officer-password"));
    assert!(open.access.grants.list().unwrap().is_empty());
    // The ten days run: who asks is told that it waits.
    let until = open.access.now().saturating_add(DAY);
    let waits = Postponement { cause: PostponementCause::Dispute, reason: "so".into(), until };
    assert_eq!(open.access.postpone(&officer, request, &waits, "officer-password").unwrap().state, "postponed");
    // Another request for the same footage, and its erasure, wait too.
    let other = open.submit(NewRequest { kind: RequestKind::Erasure, ..new_request(1, span(15, 16)) }).unwrap().number;
    open.identify(other);
    disputed(open.access.erase(&officer, other, &Erasure::default(), "officer-password"));
    assert_eq!(open.access.request(&officer, other).unwrap().dispute, Some(dispute.dispute));
    for name in ["desk", "viewer", "auditor"] {
        let caller = open.sign_in(name);
        let told = open.access.mark_disputed(&caller, over(1, span(10, 20)));
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
        let told = open.access.settle_dispute(&caller, dispute.dispute, DisputeOutcome::Upheld);
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
    }
    open.access.settle_dispute(&officer, dispute.dispute, DisputeOutcome::Agreed).unwrap();
    let grant = open.access.approve(&officer, request, &to_viewer(), "officer-password").unwrap().grant.unwrap();
    assert!(open.watch(grant, 1).is_ok());
    // What is disputed is not handed over either.
    let again = NewDispute { request: Some(request), cameras: None, span: None, ground: DisputeGround::Lawfulness };
    open.access.mark_disputed(&officer, again).unwrap();
    disputed(open.access.deliver(&officer, request, Channel::Visit));
}

#[test]
fn what_cannot_be_disputed_is_refused() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let officer = open.sign_in("officer");
    let nothing = NewDispute { request: None, cameras: None, span: Some(span(1, 2)), ground: DisputeGround::Accuracy };
    let told = open.access.mark_disputed(&officer, nothing);
    assert!(matches!(told, Err(AccessError::BadInput { field: "cameras", .. })));
    let told = open.access.mark_disputed(&officer, over(99, span(1, 2)));
    assert!(matches!(told, Err(AccessError::UnknownCamera { .. })));
    let of_none = NewDispute { request: Some(RequestId(9)), ..over(1, span(1, 2)) };
    assert!(matches!(open.access.mark_disputed(&officer, of_none), Err(AccessError::NoSuchRequest)));
    let told = open.access.settle_dispute(&officer, crate::domain::DisputeId(1), DisputeOutcome::Agreed);
    assert!(matches!(told, Err(AccessError::NoSuchDispute)));
    assert!(open.access.disputes(&officer).unwrap().is_empty());
}
