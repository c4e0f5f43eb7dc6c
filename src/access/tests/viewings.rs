//! A viewing from its begin to its end, within what the decision bound the grant to, and what is on its way when that ends.

use super::*;
use crate::disk::{Failure, OperationKind};
use crate::domain::{GrantEnd, RevocationGround, ViewingEnd};
use crate::ledger::ViewingEnded;

const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

impl Open {
    fn granted(&self, conditions: GrantConditions) -> GrantId {
        let kind = if conditions.copy { RequestKind::Copy } else { RequestKind::Viewing };
        let request = self.submit(NewRequest { kind, ..new_request(1, span(10, 20)) }).unwrap().number;
        self.identify(request);
        let approval = Approval { conditions, ends: Some(at(30 * 86_400)), ..to_viewer() };
        let view = self.access.approve(&self.sign_in("officer"), request, &approval, "officer-password").unwrap();
        view.grant.unwrap()
    }

    fn sits_down(&self, viewer: &Caller, grant: GrantId) -> Result<ViewingView, ViewingRefused> {
        of_viewing(self.access.begin_viewing(viewer, grant, false))
    }

    fn see(&self, viewer: &Caller, grant: GrantId, number: u32) -> Result<Picture, AccessError> {
        let segment = self.vault.live_segments(camera(1), span(10, 20), START).unwrap()[0].segment;
        self.access.fragment(viewer, grant, camera(1), segment, 10 + number)
    }

    fn sign_in_from(&self, name: &str, address: IpAddr) -> Caller {
        let (token, _) = self.access.sign_in(name, &format!("{name}-password"), address).unwrap();
        self.access.caller(&token, address).unwrap()
    }

    fn ends(&self) -> Vec<ViewingEnd> {
        let how = |act| if let Act::ViewingEnded(ViewingEnded { how, .. }) = act { Some(how) } else { None };
        self.rows().into_iter().filter_map(how).collect()
    }
}

fn of_viewing<T: std::fmt::Debug>(told: Result<T, AccessError>) -> Result<T, ViewingRefused> {
    told.map_err(|e| match e {
        AccessError::Viewing(why) => why,
        e => panic!("{e:?}"),
    })
}

fn recorded() -> (Clinic, Open) {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    (clinic, open)
}

#[test]
fn nothing_is_shown_but_in_a_viewing_of_one_session_and_the_rows_tell_all_of_it() {
    let (clinic, open) = recorded();
    let grant = open.granted(GrantConditions::default());
    let viewer = open.sign_in("viewer");
    let none = |told: Result<(), AccessError>| assert_eq!(of_viewing(told), Err(ViewingRefused::NoViewing));
    none(open.access.playlist(&viewer, grant, camera(1), None).map(drop));
    none(open.see(&viewer, grant, 0).map(drop));
    none(open.access.end_viewing(&viewer, grant).map(drop));
    let begun = open.sits_down(&viewer, grant).unwrap();
    assert_eq!((begun.viewing, begun.is_own, begun.ended), (ViewingId(1), true, None));
    // Of the same person, at another screen; and once more here.
    let second = open.sign_in("viewer");
    assert_eq!(of_viewing(open.see(&second, grant, 0)).unwrap_err(), ViewingRefused::UnderWay { since: at(100) });
    for caller in [&second, &viewer] {
        assert_eq!(open.sits_down(caller, grant), Err(ViewingRefused::UnderWay { since: at(100) }));
    }
    // Each fragment is two rows of its own, however often it is asked for.
    for number in [0, 1, 1, 5] {
        let picture = open.see(&viewer, grant, number).unwrap();
        open.access.served(&viewer, &picture.shown, picture.bytes.len() as u64).unwrap();
    }
    clinic.hands.advance(Duration::from_secs(60));
    let ended = open.access.end_viewing(&second, grant).unwrap();
    let seen = [(10, 12), (15, 16)].map(|(from, to)| GrantedView { camera: camera(1), span: span(from, to) });
    assert_eq!((ended.ended, ended.how, &ended.seen[..]), (Some(at(160)), Some(ViewingEnd::Viewer), &seen[..]));
    none(open.see(&viewer, grant, 0).map(drop));
    let rows = open.rows();
    let count = |wanted: fn(&Act) -> bool| rows.iter().filter(|act| wanted(act)).count();
    assert_eq!(count(|act| matches!(act, Act::ViewIntended { viewing: Some(ViewingId(1)), .. })), 4);
    assert_eq!(count(|act| matches!(act, Act::ViewServed { frames: 10, of: Some(_), .. })), 4);
    let begun = rows.iter().position(|act| matches!(act, Act::ViewingBegun(_))).unwrap();
    assert!(rows[..begun].iter().all(|act| !matches!(act, Act::ViewIntended { .. })), "before the first picture");
    let Act::ViewingBegun(begun) = &rows[begun] else { unreachable!() };
    assert_eq!((begun.grant, begun.request, begun.number, begun.of), (grant, RequestId(1), 1, None));
    assert_eq!(begun.views, [GrantedView { camera: camera(1), span: span(10, 20) }]);
    assert!(rows.iter().any(|act| matches!(act, Act::ViewingEnded(ended) if ended.seen == seen)));
}

#[test]
fn viewings_are_counted_from_their_first_row_across_a_crash_and_the_last_ends_the_grant() {
    let (clinic, open) = recorded();
    let grant = open.granted(GrantConditions { viewings: Some(2), ..GrantConditions::default() });
    open.watch(grant, 1).unwrap();
    let viewer = open.sign_in("viewer");
    open.sits_down(&viewer, grant).unwrap();
    open.see(&viewer, grant, 0).unwrap();
    // The power goes in the middle of the second.
    drop(open);
    let open = clinic.open();
    let viewer = open.sign_in("viewer");
    assert_eq!(of_viewing(open.see(&viewer, grant, 1).map(drop)), Err(ViewingRefused::NoViewing));
    assert_eq!(open.sits_down(&viewer, grant), Err(ViewingRefused::Used { of: 2 }));
    assert_eq!(open.ends(), [ViewingEnd::Viewer, ViewingEnd::Stopped]);
    open.access.end_what_is_over().unwrap();
    assert!(open.rows().contains(&Act::GrantEnded { grant, why: Some(GrantEnd::ViewingsUsed) }));
    assert!(open.access.grants.list().unwrap().is_empty(), "its keys are destroyed");
    assert!(matches!(open.access.begin_viewing(&viewer, grant, true), Err(AccessError::NoGrant)));
    drop(open);
    let open = clinic.open();
    assert!(matches!(open.watch(grant, 1), Err(AccessError::NoGrant)), "a restart gives none back");
}

#[test]
fn the_last_viewing_goes_on_to_its_end() {
    let (_clinic, open) = recorded();
    let grant = open.granted(GrantConditions { viewings: Some(1), ..GrantConditions::default() });
    let viewer = open.sign_in("viewer");
    open.sits_down(&viewer, grant).unwrap();
    open.access.end_what_is_over().unwrap();
    assert!(open.see(&viewer, grant, 0).is_ok());
    open.access.end_viewing(&viewer, grant).unwrap();
    assert!(matches!(open.see(&viewer, grant, 0), Err(AccessError::NoGrant)));
    assert!(open.access.grants.list().unwrap().is_empty());
}

#[test]
fn of_two_screens_that_begin_at_once_one_does() {
    let (_clinic, open) = recorded();
    let grant = open.granted(GrantConditions { viewings: Some(5), ..GrantConditions::default() });
    let callers: Vec<Caller> = (0..8).map(|_| open.sign_in("viewer")).collect();
    let begun = std::thread::scope(|scope| {
        let threads: Vec<_> =
            callers.iter().map(|caller| scope.spawn(|| open.sits_down(caller, grant).is_ok())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).filter(|begun| *begun).count()
    });
    assert_eq!(begun, 1);
    assert_eq!(open.rows().iter().filter(|act| matches!(act, Act::ViewingBegun(_))).count(), 1);
}

#[test]
fn it_is_watched_at_its_place_and_nowhere_else() {
    let mut clinic = Clinic::new();
    clinic.terminals = vec![Terminal { name: "server room".into(), addresses: vec!["192.0.2.0/28".parse().unwrap()] }];
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let bound = |name: &str| GrantConditions { terminal: Some(name.into()), ..GrantConditions::default() };
    let grant = open.granted(bound("server room"));
    let (here, there) = (open.sign_in("viewer"), open.sign_in_from("viewer", ELSEWHERE));
    let refused = |name: &str| ViewingRefused::Terminal { terminal: name.into() };
    assert_eq!(open.sits_down(&here, grant), Err(refused("server room")));
    assert_eq!(open.sits_down(&there, grant).unwrap().terminal.as_deref(), Some("server room"));
    let is_here = |caller: &Caller| open.access.grants(caller).unwrap()[0].is_here;
    assert!(!is_here(&here) && is_here(&there));
    assert!(open.see(&there, grant, 0).is_ok());
    // The session is carried to another place: a stolen cookie, a laptop that walks.
    let (token, _) = open.access.sign_in("viewer", "viewer-password", ELSEWHERE).unwrap();
    open.access.end_viewing(&there, grant).unwrap();
    let there = open.access.caller(&token, ELSEWHERE).unwrap();
    open.sits_down(&there, grant).unwrap();
    let carried = open.access.caller(&token, HERE).unwrap();
    for told in [
        open.see(&carried, grant, 0).map(drop),
        open.access.playlist(&carried, grant, camera(1), None).map(drop),
        open.access.init(&carried, grant, camera(1), SegmentId(1)).map(drop),
    ] {
        assert_eq!(of_viewing(told), Err(refused("server room")));
    }
    // A place that site.toml does not name any more.
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let gone = Approval { conditions: bound("attic"), ..to_viewer() };
    let told = open.access.approve(&open.sign_in("officer"), request, &gone, "officer-password");
    assert!(matches!(told, Err(AccessError::BadInput { field: "terminal", .. })), "{told:?}");
    drop(open);
    clinic.terminals.clear();
    let open = clinic.open();
    let there = open.sign_in_from("viewer", ELSEWHERE);
    assert_eq!(open.sits_down(&there, grant), Err(refused("server room")));
}

#[test]
fn it_is_watched_within_its_appointment_by_both_clocks() {
    let (clinic, open) = recorded();
    let appointment = span(1_000, 2_000);
    let grant = open.granted(GrantConditions { appointment: Some(appointment), ..GrantConditions::default() });
    let begin = || open.sits_down(&open.sign_in("viewer"), grant);
    let refused = Err(ViewingRefused::Appointment { from: at(1_000), to: at(2_000) });
    assert_eq!(begin(), refused);
    // Somebody sets the machine's clock forward to it, and back from behind its end.
    clinic.hands.step_wall(1_000_000_000);
    assert_eq!(begin(), refused, "the trusted clock has not come there");
    clinic.hands.step_wall(-1_000_000_000);
    clinic.hands.advance(Duration::from_secs(1_000));
    let (token, _) = open.access.sign_in("viewer", "viewer-password", HERE).unwrap();
    let viewer = || open.access.caller(&token, HERE).unwrap();
    open.sits_down(&viewer(), grant).unwrap();
    let shown = open.see(&viewer(), grant, 0).unwrap().shown;
    for seconds in [200, 250, 250] {
        assert!(open.access.may_go_on(&shown.showing));
        clinic.hands.advance(Duration::from_secs(seconds));
        assert!(open.see(&viewer(), grant, 0).is_ok());
    }
    clinic.hands.advance(Duration::from_secs(200));
    assert!(!open.access.may_go_on(&shown.showing), "what is on its way when it ends");
    assert_eq!(of_viewing(open.see(&viewer(), grant, 0).map(drop)), refused.map(drop));
    open.access.end_what_is_over().unwrap();
    assert_eq!(open.ends(), [ViewingEnd::TimeOver]);
    clinic.hands.step_wall(-1_500_000_000);
    assert!(begin().is_err(), "a clock that is set back brings it not back");
}

#[test]
fn who_asked_is_there_or_it_does_not_begin_and_the_row_says_so() {
    let (_clinic, open) = recorded();
    let grant = open.granted(GrantConditions { present: true, viewings: Some(1), ..GrantConditions::default() });
    let viewer = open.sign_in("viewer");
    assert_eq!(open.sits_down(&viewer, grant), Err(ViewingRefused::NotPresent));
    open.access.begin_viewing(&viewer, grant, true).unwrap();
    assert!(
        open.rows().iter().any(|act| matches!(act, Act::ViewingBegun(begun) if begun.present && begun.number == 1))
    );
}

#[test]
fn what_must_be_masked_is_never_shown_in_clear_and_no_copy_leaves_without_leave() {
    let (_clinic, open) = recorded();
    let masked = open.granted(GrantConditions { masking: true, viewings: Some(1), ..GrantConditions::default() });
    let viewer = open.sign_in("viewer");
    assert_eq!(open.sits_down(&viewer, masked), Err(ViewingRefused::Masking));
    assert_eq!(of_viewing(open.see(&viewer, masked, 0).map(drop)), Err(ViewingRefused::Masking));
    let told = ViewingRefused::Masking.to_string();
    assert!(told.contains("cannot mask yet"), "{told}");
    assert!(open.access.grants(&viewer).unwrap()[0].viewings.is_empty(), "and none is used up by asking");
    let grant = open.granted(GrantConditions::default());
    open.sits_down(&viewer, grant).unwrap();
    let film = |grant| open.access.film(&viewer, grant, camera(1), None);
    assert_eq!(of_viewing(film(grant).map(drop)), Err(ViewingRefused::NoCopy));
    let entry = open.access.playlist(&viewer, grant, camera(1), None).unwrap().entries[0];
    let told = open.access.copied_fragment(&viewer, grant, camera(1), &entry);
    assert_eq!(of_viewing(told.map(drop)), Err(ViewingRefused::NoCopy));
    let copied = open.granted(GrantConditions { copy: true, ..GrantConditions::default() });
    assert_eq!(of_viewing(film(copied).map(drop)), Err(ViewingRefused::NoViewing), "in a viewing alone");
    open.sits_down(&viewer, copied).unwrap();
    assert_eq!(film(copied).unwrap().entries.len(), 10);
    open.access.copied_fragment(&viewer, copied, camera(1), &entry).unwrap();
    assert!(open.rows().iter().any(|act| matches!(act, Act::ViewIntended { copy: true, .. })));
    for why in [ViewRefusal::Masking, ViewRefusal::NoCopy] {
        assert!(open.rows().iter().any(|act| matches!(act, Act::ViewRefused { why: known, .. } if *known == why)));
    }
}

#[test]
fn whatever_ends_it_ends_what_is_on_its_way() {
    type End = fn(&Clinic, &Open, GrantId);
    let ends: [(&str, End, ViewingEnd); 8] = [
        (
            "revoked",
            |_, open, grant| {
                let ground = RevocationGround::Misused;
                open.access.revoke_grant(&open.sign_in("officer"), grant, ground).unwrap();
                assert!(open.rows().contains(&Act::GrantEnded { grant, why: Some(GrantEnd::Revoked { ground }) }));
                assert!(open.access.grants.list().unwrap().is_empty());
            },
            ViewingEnd::GrantEnded,
        ),
        (
            "closed",
            |_, open, _| drop(open.access.close(&open.sign_in("desk"), RequestId(1)).unwrap()),
            ViewingEnd::GrantEnded,
        ),
        (
            "the account ends",
            |_, open, _| {
                let officer = open.sign_in("officer");
                open.access.remove_account(&officer, VIEWER, "left".into(), "officer-password").unwrap();
            },
            ViewingEnd::GrantEnded,
        ),
        (
            "the password is reset",
            |_, open, _| {
                let officer = open.sign_in("officer");
                open.access.reset_password(&officer, VIEWER, "lost".into(), "officer-password").unwrap();
            },
            ViewingEnd::GrantEnded,
        ),
        (
            "the rights change",
            |_, open, _| {
                let terms = Terms { role: Role::Viewer, cameras: Some(vec![camera(2)]), ends: None };
                let officer = open.sign_in("officer");
                let wanted = (terms, "other rooms".to_owned());
                open.access.ask_for_change(&officer, VIEWER, wanted, "officer-password").unwrap();
                open.access.approve_account(&open.sign_in("deputy"), VIEWER, "deputy-password").unwrap();
            },
            ViewingEnd::SessionEnded,
        ),
        (
            "the session is ended",
            |_, open, _| {
                let officer = open.sign_in("officer");
                let of_viewer = open.access.sessions(&officer).into_iter().find(|line| line.name == "viewer");
                open.access.end_session(&officer, &of_viewer.unwrap().session).unwrap();
            },
            ViewingEnd::SessionEnded,
        ),
        (
            "the grant's end comes",
            |clinic, open, grant| {
                clinic.hands.step_wall(30 * 86_400_000_000);
                assert!(matches!(open.see(&open.sign_in("viewer"), grant, 0), Err(AccessError::NoGrant)));
            },
            ViewingEnd::GrantEnded,
        ),
        (
            "the viewer ends it",
            |_, open, grant| drop(open.access.end_viewing(&open.sign_in("viewer"), grant).unwrap()),
            ViewingEnd::Viewer,
        ),
    ];
    for (what, end, how) in ends {
        let (clinic, open) = recorded();
        let grant = open.granted(GrantConditions::default());
        let viewer = open.sign_in("viewer");
        open.sits_down(&viewer, grant).unwrap();
        let shown = open.see(&viewer, grant, 0).unwrap().shown;
        assert!(open.access.may_go_on(&shown.showing), "{what}");
        end(&clinic, &open, grant);
        assert!(!open.access.may_go_on(&shown.showing), "{what}");
        assert!(open.see(&viewer, grant, 1).is_err(), "{what}");
        open.access.end_what_is_over().unwrap();
        assert_eq!(open.ends(), [how], "{what}");
        assert!(!open.access.may_go_on(&shown.showing), "{what}");
    }
}

#[test]
fn footage_that_expires_on_its_way_goes_no_further_whatever_the_grants_end() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29 + Duration::from_secs(86_000));
    let view = open.approved(1, span(10, 20));
    open.access.holds().release(HeldFor::Request(view.number)).unwrap();
    let grant = view.grant.unwrap();
    let viewer = open.sign_in("viewer");
    open.sits_down(&viewer, grant).unwrap();
    let shown = open.see(&viewer, grant, 0).unwrap().shown;
    assert!(open.access.may_go_on(&shown.showing));
    clinic.hands.advance(Duration::from_secs(401));
    assert!(!open.access.may_go_on(&shown.showing), "before the eraser runs");
}

#[test]
fn a_viewing_in_which_nobody_watches_ends_by_itself() {
    let (clinic, open) = recorded();
    let grant = open.granted(GrantConditions::default());
    let (token, _) = open.access.sign_in("viewer", "viewer-password", HERE).unwrap();
    let viewer = || open.access.caller(&token, HERE).unwrap();
    open.sits_down(&viewer(), grant).unwrap();
    // What the page asks by itself keeps neither the viewing nor the session from becoming idle.
    let by_itself = || {
        let caller = open.access.caller_by_itself(&token, HERE)?;
        open.access.viewing_under_way(&caller, grant).map(|viewing| viewing.is_own)
    };
    for _ in 0..3 {
        clinic.hands.advance(Duration::from_secs(299));
        assert!(by_itself().unwrap());
        open.see(&viewer(), grant, 0).unwrap();
    }
    clinic.hands.advance(Duration::from_secs(299));
    assert!(by_itself().unwrap());
    clinic.hands.advance(Duration::from_secs(1));
    assert_eq!(of_viewing(by_itself()), Err(ViewingRefused::NoViewing));
    assert_eq!(of_viewing(open.see(&viewer(), grant, 0).map(drop)), Err(ViewingRefused::NoViewing));
    // The person does other things meanwhile; that is not watching.
    open.access.end_what_is_over().unwrap();
    assert_eq!(open.ends(), [ViewingEnd::Idle]);
    open.sits_down(&viewer(), grant).unwrap();
    clinic.hands.advance(Duration::from_secs(300));
    assert!(by_itself().is_err());
    clinic.hands.advance(Duration::from_secs(300));
    assert!(matches!(by_itself(), Err(AccessError::NotSignedIn)), "it asked all the time, and is idle");
}

#[test]
fn what_breaks_off_is_recorded_with_what_was_seen_of_it() {
    let (_clinic, open) = recorded();
    let grant = open.granted(GrantConditions::default());
    let viewer = open.sign_in("viewer");
    open.sits_down(&viewer, grant).unwrap();
    let picture = open.see(&viewer, grant, 0).unwrap();
    let places = crate::fragment::frame_places(&picture.bytes).unwrap();
    // A byte of the fourth frame was taken, and nothing of the others; of the next fragment no picture at all.
    open.access.note_broken_off(&viewer, &picture.shown, places[3].0 as u64 + 1);
    let other = open.see(&viewer, grant, 1).unwrap();
    open.access.note_broken_off(&viewer, &other.shown, 8);
    open.access.end_what_is_over().unwrap();
    let served = |act| if let Act::ViewServed { frames, of, .. } = act { Some((frames, of.unwrap())) } else { None };
    let told: Vec<_> = open.rows().into_iter().filter_map(served).collect();
    let four = Span::new(at(10), at(10).saturating_add(Duration::from_millis(400))).unwrap();
    assert_eq!(
        told.iter().map(|(frames, of)| (*frames, of.span, of.broken_off)).collect::<Vec<_>>(),
        [(4, Some(four), true), (0, None, true)]
    );
    let ended = open.access.end_viewing(&viewer, grant).unwrap();
    assert_eq!(ended.seen, [GrantedView { camera: camera(1), span: four }]);
}

#[test]
fn when_the_ledgers_disk_fails_in_mid_viewing_it_stops_at_once_and_says_why() {
    for (is_full, why) in [(true, "disk is full"), (false, "could not be written")] {
        let (clinic, disk) = Clinic::simulated();
        let open = clinic.open();
        open.record(camera(1));
        clinic.hands.advance(Duration::from_secs(100));
        let grant = open.granted(GrantConditions::default());
        let viewer = open.sign_in("viewer");
        open.sits_down(&viewer, grant).unwrap();
        let shown = open.see(&viewer, grant, 0).unwrap().shown;
        if is_full {
            let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Write;
            let below = clinic.state().join("ledger");
            disk.fail(Failure { kinds, below, skip: 0, times: usize::MAX, error: Some(28) });
        } else {
            disk.fail_flushes_after(0);
        }
        let told = open.see(&viewer, grant, 1).unwrap_err();
        assert!(matches!(told, AccessError::NotRecorded(_)) && told.to_string().contains(why), "{told}");
        assert!(!open.access.may_go_on(&shown.showing), "what is on its way stops too");
        let told = open.see(&viewer, grant, 1).unwrap_err();
        assert!(!matches!(told, AccessError::NoGrant), "{told}");
        disk.mend();
        assert!(open.see(&viewer, grant, 1).is_err(), "and it does not go on by itself");
    }
}

#[test]
fn a_viewing_of_another_viewer_and_a_number_that_was_guessed_are_refused_alike() {
    let (_clinic, open) = recorded();
    let grant = open.granted(GrantConditions::default());
    open.sits_down(&open.sign_in("viewer"), grant).unwrap();
    let other = open.sign_in("other");
    for number in [grant.0, 2, 900, u32::MAX] {
        let told = open.access.begin_viewing(&other, GrantId(number), true).unwrap_err().to_string();
        assert_eq!(told, AccessError::NoGrant.to_string(), "{number}");
        assert!(matches!(open.see(&other, GrantId(number), 0), Err(AccessError::NoGrant)));
        assert!(matches!(open.access.end_viewing(&other, GrantId(number)), Err(AccessError::NoGrant)));
    }
    for name in ["officer", "desk", "auditor"] {
        let caller = open.sign_in(name);
        assert!(matches!(open.access.begin_viewing(&caller, grant, true), Err(AccessError::Forbidden)), "{name}");
        assert!(matches!(open.access.end_viewing(&caller, grant), Err(AccessError::Forbidden)), "{name}");
    }
    for name in ["viewer", "other", "desk", "auditor"] {
        let told = open.access.revoke_grant(&open.sign_in(name), grant, RevocationGround::Misused);
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
    }
    let officer = open.sign_in("officer");
    let revoke = |grant| of_viewing(open.access.revoke_grant(&officer, grant, RevocationGround::GivenByMistake));
    assert_eq!(revoke(GrantId(77)), Err(ViewingRefused::NoSuchGrant));
    assert_eq!(revoke(grant), Ok(()));
    assert_eq!(revoke(grant), Err(ViewingRefused::AlreadyOver));
}
