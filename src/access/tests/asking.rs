//! What a request says of who asks for whom and why, and what is refused of it; what is granted of it, and how it ends.

use super::*;
use crate::domain::LocalDay;
use crate::domain::request::{Capacity, Channel, HandOverForm, PostponementCause, ProvisionBasis};
use crate::ledger::{GrantConditions, PapersSeen, ProvisionTerms};

const FLOOR: Retention = Retention::Floor(Duration::from_secs(30 * 86_400));

fn born(day: &str) -> PersonFields {
    PersonFields { birth_date: Some(day.to_owned()), ..person("이하늘") }
}

fn ready() -> (Clinic, Open) {
    let mut clinic = Clinic::new();
    clinic.terminals = vec![Terminal { name: "서버실".into(), addresses: vec!["127.0.0.1".parse().unwrap()] }];
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    (clinic, open)
}

fn provision(basis: ProvisionBasis) -> NewRequest {
    let until: LocalDay = "2026-12-31".parse().unwrap();
    NewRequest {
        kind: RequestKind::Provision,
        recipient: Some("강남경찰서 형사과".into()),
        provision: Some(ProvisionTerms { basis, form: HandOverForm::Copy, until }),
        capacity: Capacity::Representative,
        ..new_request(1, span(10, 20))
    }
}

fn operating_room(kind: RequestKind) -> NewRequest {
    let (capacity, recipient) = match kind {
        RequestKind::OperatingRoomConsent => (Capacity::Own, None),
        _ => (Capacity::Authority, Some("한국의료분쟁조정중재원".to_owned())),
    };
    NewRequest { kind, capacity, recipient, ..new_request(21, span(0, 60)) }
}

/// Without the copy that was asked for.
fn in_part() -> Approval {
    Approval { rest: rest(), ..to_viewer() }
}

impl Open {
    /// A minute in an operating room, which a law wants kept.
    fn operate(&self, of: u16) {
        let mut recorder = CameraRecorder::new(Arc::clone(&self.vault), camera(of), FLOOR);
        recorder.begin(START, b"init").unwrap();
        let facts = FragmentFacts { first_pts_90k: 0, duration_90k: 90_000 * 60, frames: 10, sync: true };
        recorder.append(facts, b"an operation").unwrap();
        recorder.finish().unwrap();
        self.vault.commit().unwrap();
    }

    fn identify_with(
        &self,
        request: RequestId,
        document: IdentityDocument,
        seen: PapersSeen,
    ) -> Result<(), AccessError> {
        self.access.check_identity(&self.sign_in("desk"), request, Identity { document, seen }).map(drop)
    }

    fn approve_with(&self, request: RequestId, approval: &Approval) -> Result<RequestView, AccessError> {
        self.access.approve(&self.sign_in("officer"), request, approval, "officer-password")
    }
}

fn bad_input(told: Result<RequestView, AccessError>) -> &'static str {
    match told {
        Err(AccessError::BadInput { field, .. }) => field,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_is_kept_and_the_clock_runs_from_when_the_request_arrived() {
    let (clinic, open) = ready();
    clinic.hands.advance(DAY * 3);
    let received = open.access.now().saturating_add(Duration::from_secs(3_600));
    clinic.hands.advance(DAY);
    let subject = PersonFields {
        birth_date: Some("1950-02-28".into()),
        address: Some("서울 강남구 테헤란로 1".into()),
        ..person("박영희")
    };
    let asks = PersonFields { relation: Some("딸".into()), ..person("김민수") };
    let new = NewRequest {
        kind: RequestKind::Copy,
        person: asks.clone(),
        subject: Some(subject.clone()),
        capacity: Capacity::Agent,
        channel: Channel::Fax,
        received: Some(received),
        urgent: Some("뺑소니 차량을 찾고 있음".into()),
        place: Some("1층 로비".into()),
        signed: true,
        ..new_request(1, span(10, 20))
    };
    let view = open.submit(new).unwrap();
    assert_eq!((view.person, view.subject), (Some(asks), Some(subject)));
    assert_eq!((view.urgent.as_deref(), view.place.as_deref()), (Some("뺑소니 차량을 찾고 있음"), Some("1층 로비")));
    let terms = view.terms.unwrap();
    assert_eq!(
        (terms.channel, terms.capacity, terms.urgent, terms.signed),
        (Channel::Fax, Capacity::Agent, true, true)
    );
    // Of Wednesday the tenth day is a Saturday: the Monday after.
    assert_eq!((view.received, view.due), (received, "2026-12-07T14:59:59.999999Z".parse().unwrap()));
    assert_eq!(view.entered, open.access.now());
    // Nothing of a person stands in a row.
    let ledger = std::fs::read_to_string(clinic.state().join("ledger/2026-11.ledger")).unwrap();
    for text in ["박영희", "테헤란로", "뺑소니", "로비", "딸"] {
        assert!(!ledger.contains(text), "{text}");
    }
    drop(open);
    let open = clinic.open();
    let again = open.access.request(&open.sign_in("desk"), view.number).unwrap();
    assert_eq!((again.terms, again.received, again.due), (view.terms, view.received, view.due));
}

#[test]
fn a_time_of_arrival_that_cannot_be_is_refused() {
    let (clinic, open) = ready();
    clinic.hands.advance(DAY);
    let at = |received| NewRequest { received: Some(received), ..new_request(1, span(10, 20)) };
    let now = open.access.now();
    assert_eq!(bad_input(open.submit(at(now.saturating_add(Duration::from_secs(1))))), "received");
    let days = |days: i64| Utc::from_micros(now.micros() - days * 86_400_000_000);
    assert_eq!(bad_input(open.submit(at(days(91)))), "received");
    // One that lay about is entered as what it is: late.
    let late = open.submit(at(days(20))).unwrap();
    assert!(late.due < now && late.held);
}

#[test]
fn no_field_takes_an_identity_number() {
    let (_clinic, open) = ready();
    const NUMBER: &str = "900101-1234567";
    let with = |change: &dyn Fn(&mut NewRequest)| {
        let mut new =
            NewRequest {
                subject: Some(person("박영희")), capacity: Capacity::Agent, ..new_request(1, span(10, 20))
            };
        change(&mut new);
        new
    };
    let number = || NUMBER.to_owned();
    type Change<'a> = &'a dyn Fn(&mut NewRequest);
    let cases: [(&str, Change<'_>); 11] = [
        ("purpose", &|new| new.purpose = number()),
        ("urgent", &|new| new.urgent = Some(number())),
        ("place", &|new| new.place = Some(number())),
        ("recipient", &|new| {
            *new = NewRequest { recipient: Some(number()), ..provision(ProvisionBasis::AnotherLaw) };
        }),
        ("name", &|new| new.person.name = number()),
        ("contact", &|new| new.person.contact = number()),
        ("address", &|new| new.person.address = Some(number())),
        ("relation", &|new| new.person.relation = Some(number())),
        ("birth_date", &|new| new.person.birth_date = Some(number())),
        ("name", &|new| new.subject.as_mut().unwrap().name = number()),
        ("address", &|new| new.subject.as_mut().unwrap().address = Some(number())),
    ];
    for (wanted, change) in cases {
        let told = open.submit(with(change));
        assert!(matches!(told, Err(AccessError::IdNumber { field }) if field == wanted), "{wanted}: {told:?}");
    }
    assert!(open.access.holds().list().is_empty());
}

#[test]
fn a_child_is_represented_by_its_guardian_and_others_by_an_agent_with_a_power_of_attorney() {
    let (_clinic, open) = ready();
    let base = || new_request(1, span(10, 20));
    let own = |day: &str| NewRequest { person: born(day), ..base() };
    // Fourteen on the very day.
    assert!(open.submit(own("2012-11-22")).is_ok());
    assert!(matches!(open.submit(own("2012-11-23")), Err(AccessError::GuardianWanted)));
    assert_eq!(bad_input(open.submit(own("2030-01-01"))), "birth_date");
    assert_eq!(bad_input(open.submit(own("yesterday"))), "birth_date");
    let for_another =
        |capacity, day: &str| NewRequest { capacity, subject: Some(born(day)), person: person("부모"), ..base() };
    assert_eq!(bad_input(open.submit(for_another(Capacity::Own, "2000-01-01"))), "subject");
    assert!(matches!(open.submit(for_another(Capacity::Agent, "2015-01-01")), Err(AccessError::GuardianWanted)));
    assert_eq!(bad_input(open.submit(for_another(Capacity::Guardian, "2000-01-01"))), "subject");
    let nobody = NewRequest { subject: None, ..for_another(Capacity::Agent, "2000-01-01") };
    assert_eq!(bad_input(open.submit(nobody)), "subject");
    let guardian = open.submit(for_another(Capacity::Guardian, "2015-01-01")).unwrap().number;
    let none = PapersSeen::default();
    let passport = IdentityDocument::Passport;
    let wants = |told: Result<(), AccessError>, paper: &str| {
        assert!(matches!(&told, Err(AccessError::PaperWanted { what }) if what.contains(paper)), "{told:?}");
    };
    wants(open.identify_with(guardian, passport, none), "legal guardian");
    open.identify_with(guardian, passport, PapersSeen { guardianship: true, ..none }).unwrap();
    let agent = open.submit(for_another(Capacity::Agent, "2000-01-01")).unwrap().number;
    wants(open.identify_with(agent, passport, PapersSeen { guardianship: true, ..none }), "power of attorney");
    wants(open.identify_with(agent, IdentityDocument::OfficialLetter, none), "a document of the person");
    let seen = PapersSeen { power_of_attorney: true, subject_document: Some(passport), ..none };
    open.identify_with(agent, passport, seen).unwrap();
    let view = open.access.request(&open.sign_in("officer"), agent).unwrap();
    let checked = view.checked.unwrap();
    assert_eq!((checked.by, checked.seen, checked.at), (Some(AccountId(4)), seen, open.access.now()));
    let insurer = NewRequest { capacity: Capacity::Representative, ..base() };
    let insurer = open.submit(insurer).unwrap().number;
    wants(open.identify_with(insurer, passport, none), "power of attorney");
}

#[test]
fn where_a_site_wants_people_to_come_the_clock_runs_all_the_same() {
    let mut clinic = Clinic::new();
    clinic.requests.identity_in_person = true;
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let by_mail = NewRequest { channel: Channel::EMail, ..new_request(1, span(10, 20)) };
    let view = open.submit(by_mail).unwrap();
    assert_eq!(view.due, "2026-12-02T14:59:59.999999Z".parse::<Utc>().unwrap());
    let (passport, none) = (IdentityDocument::Passport, PapersSeen::default());
    let told = open.identify_with(view.number, passport, none);
    assert!(matches!(told, Err(AccessError::PaperWanted { .. })), "{told:?}");
    open.identify_with(view.number, passport, PapersSeen { in_person: true, ..none }).unwrap();
}

#[test]
fn a_private_clinic_provides_on_no_basis_that_is_for_public_bodies() {
    let (_clinic, open) = ready();
    for (basis, name) in [
        (ProvisionBasis::CommissionDeliberation, "5"),
        (ProvisionBasis::Treaty, "6"),
        (ProvisionBasis::Investigation, "7"),
        (ProvisionBasis::Trial, "8"),
        (ProvisionBasis::Execution, "9"),
    ] {
        assert!(matches!(open.submit(provision(basis)), Err(AccessError::PublicBodiesOnly)), "18(2){name}");
    }
    assert_eq!(
        bad_input(open.submit(NewRequest { provision: None, ..provision(ProvisionBasis::Consent) })),
        "provision"
    );
    assert_eq!(
        bad_input(open.submit(NewRequest { recipient: None, ..provision(ProvisionBasis::Consent) })),
        "recipient"
    );
    assert_eq!(bad_input(open.submit(provision(ProvisionBasis::UrgentInterest))), "urgent");
    let of_viewing = NewRequest { kind: RequestKind::Viewing, ..provision(ProvisionBasis::Consent) };
    assert_eq!(bad_input(open.submit(of_viewing)), "recipient");
    let by_consent = open.submit(provision(ProvisionBasis::Consent)).unwrap();
    assert_eq!(by_consent.recipient.as_deref(), Some("강남경찰서 형사과"));
    let papers = PapersSeen { power_of_attorney: true, ..PapersSeen::default() };
    let told = open.identify_with(by_consent.number, IdentityDocument::Passport, papers);
    assert!(matches!(told, Err(AccessError::PaperWanted { what }) if what.contains("consent")));
    drop(open);
    let mut clinic = Clinic::new();
    clinic.requests.public_body = true;
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.submit(provision(ProvisionBasis::Investigation)).unwrap().number;
    open.identify_with(request, IdentityDocument::Passport, papers).unwrap();
    let view = open.approve_with(request, &in_part()).unwrap();
    assert_eq!(view.state, "partly", "a copy was asked for");
    // Where the site was a public body, and is none any more, what waits is not provided either.
    let waits = open.submit(provision(ProvisionBasis::Trial)).unwrap().number;
    open.identify_with(waits, IdentityDocument::Passport, papers).unwrap();
    drop(open);
    clinic.requests.public_body = false;
    let open = clinic.open();
    assert!(matches!(open.approve_with(waits, &in_part()), Err(AccessError::PublicBodiesOnly)));
}

#[test]
fn an_operating_rooms_footage_leaves_on_its_three_ways_alone() {
    let (clinic, open) = ready();
    open.operate(21);
    // A camera that was taken away, and filmed operations.
    open.operate(31);
    let refused = |told: Result<RequestView, AccessError>, what: &str| match told {
        Err(e @ AccessError::OperatingRoomRoutes { .. }) => {
            let told = e.to_string();
            for way in ["operating-room-authority", "operating-room-mediation", "operating-room-consent"] {
                assert!(told.contains(way), "{told}");
            }
        }
        other => panic!("{what}: {other:?}"),
    };
    for of in [21, 31] {
        for kind in [RequestKind::Viewing, RequestKind::Copy] {
            refused(open.submit(NewRequest { kind, ..new_request(of, span(0, 60)) }), "PIPA 35");
        }
        let provided = NewRequest { cameras: vec![camera(of)], ..provision(ProvisionBasis::AnotherLaw) };
        refused(open.submit(provided), "PIPA 18");
        // The clinic's head is nobody else.
        let own = NewRequest { kind: RequestKind::OwnUse, capacity: Capacity::Staff, ..new_request(of, span(0, 60)) };
        refused(open.submit(own), "own use");
        let both = NewRequest { cameras: vec![camera(1), camera(of)], ..new_request(1, span(0, 60)) };
        refused(open.submit(both), "among others");
    }
    assert!(open.access.holds().list().is_empty(), "nothing was entered");
    // That there is some may be asked.
    assert!(open.submit(NewRequest { kind: RequestKind::ExistenceCheck, ..new_request(21, span(0, 60)) }).is_ok());
    // The three ways reach no other camera.
    for kind in RequestKind::ALL.into_iter().filter(|kind| kind.is_operating_room_route()) {
        let told = open.submit(NewRequest { cameras: vec![camera(1)], ..operating_room(kind) });
        assert!(matches!(told, Err(AccessError::NoOperatingRoom { camera }) if camera.get() == 1), "{told:?}");
    }
    let (letter, passport) = (IdentityDocument::OfficialLetter, IdentityDocument::Passport);
    let (none, consent) = (PapersSeen::default(), PapersSeen { consent: true, ..PapersSeen::default() });
    let authority = open.submit(operating_room(RequestKind::OperatingRoomAuthority)).unwrap().number;
    assert!(matches!(open.identify_with(authority, passport, none), Err(AccessError::PaperWanted { .. })));
    open.identify_with(authority, letter, none).unwrap();
    for (kind, document) in
        [(RequestKind::OperatingRoomMediation, letter), (RequestKind::OperatingRoomConsent, passport)]
    {
        let request = open.submit(operating_room(kind)).unwrap().number;
        let told = open.identify_with(request, document, none);
        assert!(matches!(told, Err(AccessError::PaperWanted { what }) if what.contains("consent")), "{kind:?}");
        open.identify_with(request, document, consent).unwrap();
    }
    let own = NewRequest { capacity: Capacity::Own, ..operating_room(RequestKind::OperatingRoomAuthority) };
    assert_eq!(bad_input(open.submit(own)), "capacity");
    let police = NewRequest { capacity: Capacity::Authority, ..new_request(1, span(0, 60)) };
    assert_eq!(bad_input(open.submit(police)), "capacity");
    drop((clinic, open));
}

#[test]
fn no_decision_and_no_grant_of_before_passes_around_the_operating_rooms_ways() {
    let (_clinic, open) = ready();
    let request = open.ask(2, span(10, 20)).number;
    open.identify(request);
    let old = open.approved(1, span(10, 20)).grant.unwrap();
    assert!(open.watch(old, 1).is_ok());
    // Both are cameras of operating rooms from now on.
    let theatres = BTreeMap::from([1, 2].map(|number| (camera(number), CameraClass::OperatingRoom)));
    open.access.set_cameras(theatres);
    let told = open.approve_with(request, &to_viewer());
    assert!(matches!(told, Err(AccessError::OperatingRoomRoutes { .. })), "{told:?}");
    let told = open.watch(old, 1);
    assert!(matches!(told, Err(AccessError::OperatingRoomRoutes { .. })), "{told:?}");
    let refused = |act: &Act| matches!(act, Act::ViewRefused { why: ViewRefusal::OutsideGrant, .. });
    assert!(open.rows().iter().any(refused));
}

#[test]
fn what_an_approval_says_is_carried_into_its_grant_and_a_part_can_be_objected_to() {
    let (clinic, open) = ready();
    let new =
        NewRequest { kind: RequestKind::Copy, cameras: vec![camera(1), camera(2)], ..new_request(1, span(10, 20)) };
    let request = open.submit(new).unwrap().number;
    open.identify(request);
    let conditions = GrantConditions {
        viewings: Some(2),
        terminal: Some("서버실".into()),
        appointment: Some(span(200, 400)),
        present: true,
        copy: true,
        masking: true,
    };
    let with = |conditions: GrantConditions| Approval { conditions, ..to_viewer() };
    let bad = |change: GrantConditions| bad_input(open.approve_with(request, &with(change)));
    assert_eq!(bad(GrantConditions { viewings: Some(0), ..conditions.clone() }), "viewings");
    assert_eq!(bad(GrantConditions { terminal: Some(" ".into()), ..conditions.clone() }), "terminal");
    assert_eq!(bad(GrantConditions { appointment: Some(span(0, 60)), ..conditions.clone() }), "appointment");
    // One camera of two.
    let part = Approval { cameras: Some(vec![camera(2)]), rest: rest(), ..with(conditions.clone()) };
    let view = open.approve_with(request, &part).unwrap();
    assert_eq!((view.state, view.conditions.as_ref()), ("partly", Some(&conditions)));
    let until = open.access.now().saturating_add(DAY * 30);
    assert_eq!(view.objection_until, Some(until));
    let first = view.grant.unwrap();
    let grants = open.access.grants(&open.sign_in("officer")).unwrap();
    assert_eq!(grants[0].conditions, conditions);
    drop(open);
    // A restart reads the same.
    let open = clinic.open();
    assert_eq!(open.access.request(&open.sign_in("desk"), request).unwrap().conditions, Some(conditions.clone()));
    // The rest stays held, and the person objects; what was granted is seen on.
    let desk = open.sign_in("desk");
    assert!(matches!(open.access.close(&desk, request).map(|view| view.held), Ok(true)));
    assert_eq!(open.access.object(&desk, request).unwrap().state, "objected");
    let again = open.approve_with(request, &with(conditions)).unwrap();
    assert_eq!((again.state, again.objection_until, again.granted.len()), ("approved", None, 2));
    assert_ne!(again.grant, Some(first));
    open.access.close(&desk, request).unwrap();
    assert!(open.access.grants.list().unwrap().is_empty() && open.access.holds().list().is_empty());
}

#[test]
fn nobody_gets_a_copy_who_asked_to_see_and_one_without_the_copy_is_a_part() {
    let (_clinic, open) = ready();
    let copied = Approval { conditions: GrantConditions { copy: true, ..Default::default() }, ..to_viewer() };
    let viewing = open.ask(1, span(10, 20)).number;
    open.identify(viewing);
    assert_eq!(bad_input(open.approve_with(viewing, &copied)), "copy");
    assert_eq!(open.approve_with(viewing, &to_viewer()).unwrap().state, "approved");
    let ask = || {
        let request =
            open.submit(NewRequest { kind: RequestKind::Copy, ..new_request(1, span(10, 20)) }).unwrap().number;
        open.identify(request);
        request
    };
    assert_eq!(bad_input(open.approve_with(ask(), &to_viewer())), "rest");
    assert_eq!(open.approve_with(ask(), &in_part()).unwrap().state, "partly");
    let request = ask();
    let (desk, officer) = (open.sign_in("desk"), open.sign_in("officer"));
    assert_eq!(bad_input(open.access.note_fee(&desk, request, 10_000_001, false)), "amount_krw");
    open.access.note_fee(&officer, request, 3_000, false).unwrap();
    let grant = open.approve_with(request, &copied).unwrap().grant.unwrap();
    // The copy waits for its cost.
    let told = open.access.deliver(&desk, request, Channel::Visit);
    assert!(matches!(told, Err(AccessError::FeeOpen { amount_krw: 3_000 })), "{told:?}");
    assert!(open.access.copy_must_be_paid(grant).is_err());
    open.access.note_fee(&desk, request, 3_000, true).unwrap();
    let view = open.access.deliver(&desk, request, Channel::Visit).unwrap();
    assert_eq!((view.state, view.delivered.map(|told| told.channel)), ("delivered", Some(Channel::Visit)));
    assert!(open.watch(grant, 1).is_ok(), "delivered is not closed");
    assert_eq!(open.access.close(&desk, request).unwrap().state, "closed");
}

#[test]
fn a_request_that_is_taken_back_releases_what_it_held_and_its_grants() {
    let (_clinic, open) = ready();
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let part = Approval { span: Some(span(10, 12)), rest: rest(), ..to_viewer() };
    let grant = open.approve_with(request, &part).unwrap().grant.unwrap();
    let desk = open.sign_in("desk");
    assert!(matches!(open.access.withdraw(&desk, request, Channel::Phone), Err(AccessError::WrongState { .. })));
    open.access.object(&desk, request).unwrap();
    assert!(open.watch(grant, 1).is_ok(), "what was granted is seen while the rest is decided anew");
    let view = open.access.withdraw(&desk, request, Channel::Phone).unwrap();
    assert_eq!((view.state, view.held), ("withdrawn", false));
    assert!(matches!(open.watch(grant, 1), Err(AccessError::NoGrant)));
    assert!(open.access.grants.list().unwrap().is_empty());
    let rows = open.rows();
    assert!(
        rows.contains(&Act::HoldReleased { request })
            && rows.contains(&Act::GrantEnded { grant, why: Some(crate::domain::GrantEnd::Closed) })
    );
    for name in ["viewer", "auditor"] {
        let told = open.access.withdraw(&open.sign_in(name), request, Channel::Phone);
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
    }
}

#[test]
fn nobody_calls_unavailable_what_is_there_and_what_is_gone_is_said_so_with_its_cause() {
    let (clinic, open) = ready();
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let officer = open.sign_in("officer");
    let told = open.access.find_unavailable(&officer, request, "officer-password");
    assert_eq!(bad_input(told), "decision");
    // As if the hold had failed, and the footage gone.
    open.access.holds().release(HeldFor::Request(request)).unwrap();
    clinic.hands.advance(DAY * 30);
    open.eraser.round().unwrap();
    let officer = open.sign_in("officer");
    let view = open.access.find_unavailable(&officer, request, "officer-password").unwrap();
    assert_eq!(view.state, "unavailable");
    assert!(view.answer.unwrap().starts_with("unavailable: destroyed on "));
    assert_eq!(open.access.close(&open.sign_in("desk"), request).unwrap().state, "closed");
}

#[test]
fn a_postponement_has_a_cause_and_stops_no_clock() {
    let (_clinic, open) = ready();
    let request = open.ask(1, span(10, 20));
    open.identify(request.number);
    let until = open.access.now().saturating_add(DAY * 20);
    let postponement = Postponement { cause: PostponementCause::Masking, reason: "얼굴 처리".into(), until };
    let officer = open.sign_in("officer");
    let view = open.access.postpone(&officer, request.number, &postponement, "officer-password").unwrap();
    assert_eq!((view.state, view.due, view.held), ("postponed", request.due, true));
    let wanted = format!("postponed until {until}: other people are being made unrecognisable: 얼굴 처리");
    assert_eq!(view.answer, Some(wanted));
}

#[test]
fn who_decides_does_not_watch_unless_a_small_site_says_so_and_then_a_warning_stands() {
    let mut clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let to_self = Approval { viewer: Some(AccountId(1)), ..Approval::default() };
    assert_eq!(bad_input(open.approve_with(request, &to_self)), "viewer");
    assert!(!open.access.duties().alarms.iter().any(|alarm| alarm.contains("decider_may_view")));
    drop(open);
    clinic.requests.decider_may_view = true;
    let open = clinic.open();
    let grant = open.approve_with(request, &to_self).unwrap().grant.unwrap();
    let officer = open.sign_in("officer");
    open.access.begin_viewing(&officer, grant, false).unwrap();
    assert!(open.access.playlist(&officer, grant, camera(1), None).is_ok());
    let deputy = open.sign_in("deputy");
    assert!(matches!(open.access.playlist(&deputy, grant, camera(1), None), Err(AccessError::NoGrant)));
    assert!(open.access.duties().alarms.iter().any(|alarm| alarm.contains("decider_may_view")));
    drop(open);
    // Taken back: the grant that was made meanwhile shows nothing to who decided it.
    clinic.requests.decider_may_view = false;
    let open = clinic.open();
    let officer = open.sign_in("officer");
    assert!(open.access.begin_viewing(&officer, grant, false).is_err());
    assert!(open.access.playlist(&officer, grant, camera(1), None).is_err());
}
