//! Where a decision takes two people of different roles.

use super::*;
use crate::ledger::ProposedDecision;

fn ready() -> (Clinic, Open, RequestId) {
    let mut clinic = Clinic::of(&[PEOPLE.as_slice(), &[("clerk", Role::Staff)]].concat());
    clinic.requests.second_approver = true;
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    (clinic, open, request)
}

impl Open {
    fn propose(&self, name: &str, request: RequestId, approval: &Approval) -> Result<RequestView, AccessError> {
        let proposed = self.access.proposed_approval(request, approval).unwrap();
        self.access.propose(&self.sign_in(name), request, proposed, &format!("{name}-password"))
    }

    fn second(&self, name: &str, request: RequestId, proposal: u64) -> Result<RequestView, AccessError> {
        self.access.second(&self.sign_in(name), request, proposal, &format!("{name}-password"))
    }

    fn carry_out(&self, name: &str, request: RequestId) -> Result<RequestView, AccessError> {
        self.access.carry_out(&self.sign_in(name), request, &format!("{name}-password"))
    }
}

fn waits_for_a_second(told: Result<RequestView, AccessError>) {
    assert!(matches!(told, Err(AccessError::SecondWanted { .. })), "{told:?}");
}

#[test]
fn an_auditor_proposes_and_an_officer_carries_out_just_that() {
    let (clinic, open, request) = ready();
    let officer = open.sign_in("officer");
    let approve = |approval: &Approval| open.access.approve(&officer, request, approval, "officer-password");
    waits_for_a_second(approve(&to_viewer()));
    let proposal = open.propose("auditor", request, &to_viewer()).unwrap().proposal.unwrap();
    assert_eq!((proposal.by, proposal.role, proposal.second), (AccountId(5), Role::Auditor, None));
    assert!(open.access.grants.list().unwrap().is_empty(), "nothing is opened by a proposal");
    assert!(open.access.request(&officer, request).unwrap().held);
    // Neither more nor less than what was proposed.
    waits_for_a_second(approve(&Approval { span: Some(span(10, 12)), rest: rest(), ..to_viewer() }));
    waits_for_a_second(approve(&Approval { viewer: Some(AccountId(6)), ..to_viewer() }));
    let refusal = Refusal { ground: RefusalGround::HarmToOthers, reason: "so".into() };
    waits_for_a_second(open.access.refuse(&officer, request, &refusal, "officer-password"));
    drop(open);
    // It outlives a start.
    let open = clinic.open();
    let view = open.carry_out("officer", request).unwrap();
    assert_eq!((view.state, view.proposal), ("approved", None));
    assert!(open.watch(view.grant.unwrap(), 1).is_ok());
    let rows = open.rows();
    assert!(rows.iter().any(|act| matches!(act, Act::DecisionProposed { .. })));
    assert_eq!(rows.iter().filter(|act| matches!(act, Act::RequestDecided { .. })).count(), 1);
}

#[test]
fn who_saw_another_version_proposes_nothing_and_stands_by_nothing() {
    let (_clinic, open, request) = ready();
    let seen = open.access.request(&open.sign_in("auditor"), request).unwrap().version;
    let proposed = open.access.proposed_approval(request, &to_viewer()).unwrap();
    let row = open.propose("officer", request, &to_viewer()).unwrap().proposal.unwrap().row;
    let behind = |name: &str| open.sign_in(name).having_seen(Some(seen));
    let told = open.access.propose(&behind("auditor"), request, proposed, "auditor-password");
    assert!(matches!(told, Err(AccessError::Changed)), "{told:?}");
    let told = open.access.second(&behind("auditor"), request, row, "auditor-password");
    assert!(matches!(told, Err(AccessError::Changed)), "{told:?}");
    open.second("auditor", request, row).unwrap();
}

#[test]
fn what_an_officer_proposes_somebody_of_another_role_stands_by_before_keys_are_opened() {
    let (_clinic, open, request) = ready();
    let row = open.propose("officer", request, &to_viewer()).unwrap().proposal.unwrap().row;
    // Two officers are one role.
    waits_for_a_second(open.carry_out("officer", request));
    waits_for_a_second(open.carry_out("deputy", request));
    waits_for_a_second(open.second("officer", request, row));
    waits_for_a_second(open.second("deputy", request, row));
    // Who entered it takes no part, and viewers never do.
    assert!(matches!(open.second("desk", request, row), Err(AccessError::FourEyes)));
    assert!(matches!(open.propose("desk", request, &to_viewer()), Err(AccessError::FourEyes)));
    assert!(matches!(open.second("viewer", request, row), Err(AccessError::Forbidden)));
    let wrong = open.access.second(&open.sign_in("clerk"), request, row, "a guess");
    assert!(matches!(wrong, Err(AccessError::WrongCredentials)));
    let seconded = open.second("clerk", request, row).unwrap();
    assert_eq!((seconded.state, seconded.proposal.unwrap().second), ("identified", Some((AccountId(7), Role::Staff))));
    assert!(open.access.grants.list().unwrap().is_empty());
    // Staff has no release key: an officer opens what was agreed on.
    assert!(matches!(open.carry_out("clerk", request), Err(AccessError::Forbidden)));
    assert_eq!(open.carry_out("deputy", request).unwrap().state, "approved");
}

#[test]
fn a_proposal_that_gave_way_to_another_is_not_stood_by() {
    let (_clinic, open, request) = ready();
    let first = open.propose("officer", request, &to_viewer()).unwrap().proposal.unwrap().row;
    let part = Approval { span: Some(span(10, 12)), rest: rest(), ..to_viewer() };
    let second = open.propose("deputy", request, &part).unwrap().proposal.unwrap().row;
    waits_for_a_second(open.second("auditor", request, first));
    open.second("auditor", request, second).unwrap();
    // A third one starts anew.
    open.propose("officer", request, &to_viewer()).unwrap();
    waits_for_a_second(open.carry_out("officer", request));
    let reason = ProposedDecision::Refuse { ground: RefusalGround::HarmToOthers, reason: " ".to_owned().into() };
    let told = open.access.propose(&open.sign_in("auditor"), request, reason, "auditor-password");
    assert!(matches!(told, Err(AccessError::BadInput { field: "reason", .. })));
    let erase = open.access.proposed_erasure(request, &Erasure::default()).unwrap();
    let told = open.access.propose(&open.sign_in("auditor"), request, erase, "auditor-password");
    assert!(matches!(told, Err(AccessError::BadInput { field: "decision", .. })));
}

#[test]
fn a_site_that_decides_with_one_takes_no_proposals() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    waits_for_a_second(open.propose("auditor", request, &to_viewer()));
    assert_eq!(open.approve(request).state, "approved");
}

#[test]
fn of_a_new_proposal_and_a_decision_at_once_what_is_carried_out_is_what_was_proposed() {
    let (_clinic, open, request) = ready();
    open.propose("auditor", request, &to_viewer()).unwrap();
    let part = Approval { span: Some(span(10, 12)), rest: rest(), ..to_viewer() };
    let (told, other) = std::thread::scope(|scope| {
        let carried = scope.spawn(|| open.carry_out("officer", request));
        let proposed = scope.spawn(|| open.propose("auditor", request, &part));
        (carried.join().unwrap(), proposed.join().unwrap())
    });
    match (told, other) {
        // The new one came first, and was carried out, or its change was noticed.
        (Ok(view), Ok(_)) => assert!(matches!(view.state, "approved" | "partly")),
        (Ok(view), Err(AccessError::WrongState { .. })) => assert_eq!(view.state, "approved"),
        (Err(AccessError::SecondWanted { .. }), Ok(view)) => assert_eq!(view.state, "identified"),
        other => panic!("{other:?}"),
    }
    let decided = open.rows().iter().filter(|act| matches!(act, Act::RequestDecided { .. })).count();
    assert!(decided <= 1);
}
