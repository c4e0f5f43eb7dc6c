//! Who decides what, and which act follows which.

use super::*;
use crate::ledger::PapersSeen;

#[test]
fn four_eyes_roles_and_passwords_stand_between_a_request_and_its_approval() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    let officer = open.sign_in("officer");
    let approve = |caller: &Caller, password: &str| open.access.approve(caller, request, &to_viewer(), password);
    assert!(matches!(approve(&officer, "officer-password"), Err(AccessError::WrongState { .. })), "not identified");
    open.identify(request);
    for name in ["viewer", "desk", "auditor", "other"] {
        assert!(matches!(approve(&open.sign_in(name), &format!("{name}-password")), Err(AccessError::Forbidden)));
    }
    assert!(matches!(approve(&officer, "deputy-password"), Err(AccessError::WrongCredentials)));
    assert!(matches!(approve(&officer, ""), Err(AccessError::WrongCredentials)));
    let to_officer = Approval { viewer: Some(AccountId(2)), ..to_viewer() };
    let told = open.access.approve(&officer, request, &to_officer, "officer-password");
    assert!(matches!(told, Err(AccessError::BadInput { field: "viewer", .. })), "an officer is no viewer");
    assert!(open.access.grants.list().unwrap().is_empty(), "nothing was handed over on the way");
    assert!(approve(&officer, "officer-password").is_ok());
    assert!(matches!(approve(&officer, "officer-password"), Err(AccessError::WrongState { .. })), "only once");
}

#[test]
fn who_entered_a_request_cannot_decide_it() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    // Officers cannot enter requests in this version; a ledger that says one did must still not let him decide.
    let by_officer = Actor::Person { account: AccountId(1), address: HERE };
    let (request, due) = (RequestId(1), at(1_000));
    let asked = RequestKind::Viewing;
    let persons = Digest::ZERO;
    let submitted = Act::RequestSubmitted {
        request,
        asked,
        cameras: vec![camera(1)],
        span: span(10, 20),
        due,
        persons,
        terms: None,
    };
    open.access.record(by_officer, submitted).unwrap();
    let checked = Act::IdentityChecked { request, document: IdentityDocument::Passport, seen: PapersSeen::default() };
    open.access.record(Actor::Daemon, checked).unwrap();
    let told = open.access.approve(&open.sign_in("officer"), request, &to_viewer(), "officer-password");
    assert!(matches!(told, Err(AccessError::FourEyes)));
}

#[test]
fn an_approval_can_be_part_of_what_was_asked_and_never_more() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let officer = open.sign_in("officer");
    let approve = |approval: &Approval| open.access.approve(&officer, request, approval, "officer-password");
    for wider in [span(9, 20), span(10, 21), span(30, 40)] {
        let told = approve(&Approval { span: Some(wider), ..to_viewer() });
        assert!(matches!(told, Err(AccessError::BadInput { field: "span", .. })), "{wider}");
    }
    let other_camera = Approval { cameras: Some(vec![camera(2)]), ..to_viewer() };
    assert!(matches!(approve(&other_camera), Err(AccessError::BadInput { field: "cameras", .. })));
    let view = approve(&Approval { span: Some(span(12, 13)), rest: rest(), ..to_viewer() }).unwrap();
    assert_eq!(shown(&open.watch(view.grant.unwrap(), 1).unwrap()).len(), 10);
}

#[test]
fn how_far_a_decision_has_come_is_told_to_officers_while_it_is_carried_out() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let number = open.ask(1, span(10, 20)).number;
    let (officer, desk) = (open.sign_in("officer"), open.sign_in("desk"));
    let steps = || open.access.decision_steps(&officer, number).unwrap();
    assert_eq!(steps(), None);
    // As it stands half-way: one of two segments read, none opened.
    let deciding = Arc::new(super::super::decisions::Deciding::default());
    deciding.await_steps(4);
    deciding.step();
    open.access.registry().deciding.insert(number, deciding);
    assert_eq!(steps(), Some(Steps { done: 1, total: 4 }));
    assert_eq!(open.access.request(&officer, number).unwrap().deciding, steps());
    assert!(matches!(open.access.decision_steps(&desk, number), Err(AccessError::Forbidden)));
    assert!(matches!(open.access.decision_steps(&officer, RequestId(99)), Err(AccessError::NoSuchRequest)));
    open.access.registry().deciding.clear();
    assert_eq!(steps(), None);
}
