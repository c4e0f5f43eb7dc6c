//! Holds: officers' own, and requests' over refusal, postponement and objection.

use super::*;
use crate::domain::request::PostponementCause;
use crate::domain::{HoldEnd, HoldId, HoldReason};

const MINUTE: Duration = Duration::from_secs(60);

fn order(of: u16, span: Span, review: Utc) -> NewHold {
    let text = "the fall on the stairs, 김민수".to_owned();
    NewHold { reason: HoldReason::Accident, text, cameras: vec![camera(of)], span, review, ends: None }
}

impl Open {
    fn place(&self, of: u16, span: Span) -> HoldId {
        let review = self.access.now().saturating_add(DAY * 30);
        self.access.place_hold(&self.sign_in("officer"), order(of, span, review)).unwrap().hold
    }

    fn release(&self, hold: HoldId) -> Result<HoldView, AccessError> {
        self.access.release_hold(&self.sign_in("deputy"), hold, "deputy-password")
    }

    fn refuse(&self, request: RequestId) {
        let refusal = Refusal { ground: RefusalGround::OtherJustCause, reason: "not yours".into() };
        self.access.refuse(&self.sign_in("officer"), request, &refusal, "officer-password").unwrap();
    }

    /// What the daemon does again and again.
    fn tick(&self) -> crate::retention::Round {
        self.access.end_what_is_over().unwrap();
        self.eraser.round().unwrap()
    }

    pub fn is_there(&self, of: u16) -> bool {
        !self.vault.live_segments(camera(of), span(0, 60), self.access.later()).unwrap().is_empty()
    }

    /// A restart as the daemon does it: else a month's step would put the clock in doubt.
    fn again(self, clinic: &Clinic) -> Open {
        self.access.keep_time().unwrap();
        drop(self);
        clinic.open()
    }
}

#[test]
fn a_hold_of_the_last_moment_keeps_what_it_covers_and_nothing_else() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(DAY * 30 - Duration::from_secs(864));
    let hold = open.place(1, span(59, 60));
    clinic.hands.advance(DAY);
    let round = open.tick();
    assert_eq!((round.erased, round.set_apart), (1, 1));
    assert!(open.is_there(1) && !open.is_there(2));
    let open = open.again(&clinic);
    assert_eq!(open.tick().erased, 0);
    open.release(hold).unwrap();
    assert_eq!(open.tick().erased, 1, "at once");
    assert!(!open.is_there(1));
    let told =
        open.access.place_hold(&open.sign_in("officer"), order(1, span(0, 60), open.access.now().saturating_add(DAY)));
    assert!(matches!(told, Err(AccessError::Unavailable { .. })), "{told:?}");
    assert!(open.access.holds().list().is_empty());
    let trigger = |act: &Act| matches!(act, Act::FootageDestroyed(receipt) if receipt.trigger == crate::domain::DestructionTrigger::HoldEnded);
    assert_eq!(open.rows().iter().filter(|act| trigger(act)).count(), 1);
}

#[test]
fn of_holds_over_the_same_footage_the_last_to_end_decides() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    let (first, second) = (open.place(1, span(0, 30)), open.place(1, span(20, 60)));
    let request = open.ask(1, span(10, 20)).number;
    clinic.hands.advance(DAY * 2);
    open.tick();
    open.release(first).unwrap();
    assert_eq!(open.tick().erased, 0);
    open.identify(request);
    open.approve(request);
    open.access.close(&open.sign_in("desk"), request).unwrap();
    assert_eq!(open.tick().erased, 0);
    open.release(second).unwrap();
    assert_eq!(open.tick().erased, 1);
}

#[test]
fn who_placed_a_hold_neither_confirms_nor_ends_it_and_each_step_is_one_row() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let hold = open.place(1, span(0, 30));
    let of = HeldFor::Hold(hold);
    let owner = open.sign_in("officer");
    let own = open.access.confirm_hold(&owner, of, "officer-password");
    assert!(matches!(own, Err(AccessError::OwnHold)), "{own:?}");
    let own = open.access.release_hold(&owner, hold, "officer-password");
    assert!(matches!(own, Err(AccessError::OwnHold)), "{own:?}");
    let deputy = open.sign_in("deputy");
    let wrong = open.access.release_hold(&deputy, hold, "a guess");
    assert!(matches!(wrong, Err(AccessError::WrongCredentials)), "{wrong:?}");
    open.access.confirm_hold(&deputy, of, "deputy-password").unwrap();
    assert_eq!(open.access.hold(&owner, hold).unwrap().approver, Some(AccountId(2)));
    let twice = open.access.confirm_hold(&deputy, of, "deputy-password");
    assert!(matches!(twice, Err(AccessError::WrongHoldState { state: "confirmed" })), "{twice:?}");
    // New terms of its owner's are confirmed anew; another's stand.
    let review = open.access.now().saturating_add(DAY * 60);
    let extended = open.access.extend_hold(&owner, hold, review, Some(review)).unwrap();
    assert_eq!((extended.state, extended.approver, extended.ends), ("ordered", None, Some(review)));
    let extended = open.access.extend_hold(&deputy, hold, review, None).unwrap();
    assert_eq!((extended.state, extended.approver), ("confirmed", Some(AccountId(2))));
    // A double click.
    open.release(hold).unwrap();
    assert!(matches!(open.release(hold), Err(AccessError::WrongHoldState { state: "ended" })));
    let count = |wanted: fn(&Act) -> bool| open.rows().iter().filter(|act| wanted(act)).count();
    assert_eq!(count(|act| matches!(act, Act::HoldOrdered { .. })), 1);
    assert_eq!(count(|act| matches!(act, Act::HoldConfirmed { .. })), 1);
    assert_eq!(count(|act| matches!(act, Act::HoldExtended { .. })), 2);
    assert_eq!(count(|act| matches!(act, Act::HoldEnded { end: HoldEnd::Released, .. })), 1);
    let told = open.access.hold(&owner, hold).unwrap();
    assert_eq!((told.state, told.end), ("ended", Some(HoldEnd::Released)));
}

#[test]
fn of_two_officers_at_once_each_act_on_a_hold_is_one_row() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let hold = open.place(1, span(0, 30));
    let deputies: Vec<Caller> = (0..4).map(|_| open.sign_in("deputy")).collect();
    let done = std::thread::scope(|scope| {
        let access = &open.access;
        let release = |deputy| scope.spawn(move || access.release_hold(deputy, hold, "deputy-password").is_ok());
        let all: Vec<_> = deputies.iter().map(release).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|done| *done).count()
    });
    let officers: Vec<Caller> = ["officer", "deputy"].map(|name| open.sign_in(name)).into();
    let placed = std::thread::scope(|scope| {
        let new = order(1, span(0, 30), open.access.now().saturating_add(DAY));
        let access = &open.access;
        let place = |officer| {
            let new = new.clone();
            scope.spawn(move || access.place_hold(officer, new).unwrap().hold)
        };
        let all: Vec<_> = officers.iter().map(place).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect::<BTreeSet<_>>()
    });
    assert_eq!((done, placed.len()), (1, 2));
    let ends = open.rows().iter().filter(|act| matches!(act, Act::HoldEnded { .. })).count();
    assert_eq!((ends, open.access.holds().list().len()), (1, 2));
}

#[test]
fn only_officers_hold_and_only_officers_and_auditors_know_of_it() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let hold = open.place(1, span(0, 30));
    let review = open.access.now().saturating_add(DAY);
    for name in ["viewer", "desk", "auditor"] {
        let caller = open.sign_in(name);
        let password = format!("{name}-password");
        let access = &open.access;
        assert!(matches!(access.place_hold(&caller, order(1, span(0, 9), review)), Err(AccessError::Forbidden)));
        assert!(matches!(access.extend_hold(&caller, hold, review, None), Err(AccessError::Forbidden)));
        assert!(matches!(access.release_hold(&caller, hold, &password), Err(AccessError::Forbidden)));
        for of in [HeldFor::Hold(hold), HeldFor::Request(RequestId(1))] {
            assert!(matches!(access.confirm_hold(&caller, of, &password), Err(AccessError::Forbidden)));
        }
        assert_eq!(access.hold(&caller, hold).is_ok(), name == "auditor");
        assert_eq!(access.all_holds(&caller).is_ok(), name == "auditor");
    }
    assert_eq!(open.access.holds().list().len(), 1);
}

#[test]
fn terms_that_are_none_are_refused_and_hold_nothing() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let now = open.access.now();
    let officer = open.sign_in("officer");
    let good = || order(1, span(0, 30), now.saturating_add(DAY));
    let at_all = now.saturating_add(DAY * 90);
    for (what, wrong) in [
        ("review", NewHold { review: now, ..good() }),
        ("review", NewHold { review: at_all.saturating_add(MINUTE), ..good() }),
        ("ends", NewHold { ends: Some(now.saturating_add(MINUTE)), ..good() }),
        ("text", NewHold { text: " ".into(), ..good() }),
        ("cameras", NewHold { cameras: vec![camera(1), camera(1)], ..good() }),
    ] {
        let told = open.access.place_hold(&officer, wrong);
        assert!(matches!(&told, Err(AccessError::BadInput { field, .. }) if *field == what), "{what}: {told:?}");
    }
    let number = NewHold { text: "주민 900101-1234567".into(), ..good() };
    assert!(matches!(open.access.place_hold(&officer, number), Err(AccessError::IdNumber { field: "text" })));
    let unknown = NewHold { cameras: vec![camera(7)], ..good() };
    assert!(matches!(open.access.place_hold(&officer, unknown), Err(AccessError::UnknownCamera { .. })));
    let to_come = NewHold { span: Span::new(at(0), now.saturating_add(MINUTE)).unwrap(), ..good() };
    assert!(matches!(open.access.place_hold(&officer, to_come), Err(AccessError::SpanInFuture)));
    assert!(open.access.holds().list().is_empty());
    assert!(!open.rows().iter().any(|act| matches!(act, Act::HoldOrdered { .. })));
    let bad_extension = open.access.extend_hold(&officer, HoldId(9), now.saturating_add(DAY), None);
    assert!(matches!(bad_extension, Err(AccessError::NoSuchHold)));
}

#[test]
fn a_holds_text_is_sealed_to_the_desk_and_bound_to_its_row() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let hold = open.place(1, span(0, 30));
    let other = open.place(1, span(0, 40));
    let auditor = open.sign_in("auditor");
    assert_eq!(open.access.hold(&auditor, hold).unwrap().text.as_deref(), Some("the fall on the stairs, 김민수"));
    for file in ["requests/h00000001", "holds", "ledger/2026-11.ledger"] {
        let stored = std::fs::read(clinic.state().join(file)).unwrap();
        assert!(!String::from_utf8_lossy(&stored).contains("김민수"), "{file}");
    }
    let dir = clinic.state().join("requests");
    std::fs::copy(dir.join(format!("h{:08x}", other.0)), dir.join(format!("h{:08x}", hold.0))).unwrap();
    assert_eq!(open.access.hold(&auditor, hold).unwrap().text, None, "another's text in its place");
    assert_eq!(open.access.all_holds(&auditor).unwrap().holds.len(), 2, "and the list is there all the same");
}

#[test]
fn a_hold_lapses_at_its_end_by_the_trusted_clock_alone() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    let ends = open.access.now().saturating_add(DAY * 9);
    let new = NewHold { ends: Some(ends), ..order(1, span(0, 30), ends) };
    let hold = open.access.place_hold(&open.sign_in("officer"), new).unwrap().hold;
    clinic.hands.step_wall(40 * 86_400_000_000);
    assert_eq!(open.tick().erased, 0);
    assert_eq!(open.access.holds().list().len(), 1, "a wall clock that runs ahead ends no hold");
    clinic.hands.step_wall(-40 * 86_400_000_000);
    clinic.hands.advance(DAY * 9 - MINUTE);
    open.tick();
    assert!(open.is_there(1));
    clinic.hands.advance(MINUTE);
    assert_eq!(open.tick().erased, 1);
    assert!(open.rows().contains(&Act::HoldEnded { hold, end: HoldEnd::Lapsed }));
    let late = open.access.extend_hold(&open.sign_in("officer"), hold, ends.saturating_add(DAY), None);
    assert!(matches!(late, Err(AccessError::WrongHoldState { state: "ended" })), "{late:?}");
}

#[test]
fn the_ledger_alone_places_and_ends_holds_at_a_start() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let (kept, ended) = (open.place(1, span(0, 30)), open.place(1, span(0, 40)));
    let request = open.ask(1, span(10, 20)).number;
    open.release(ended).unwrap();
    let before = std::fs::read(clinic.state().join("holds")).unwrap();
    std::fs::remove_file(clinic.state().join("holds")).unwrap();
    let open = open.again(&clinic);
    let of = |open: &Open| open.access.holds().list().iter().map(|hold| hold.of).collect::<BTreeSet<_>>();
    let wanted = BTreeSet::from([HeldFor::Hold(kept), HeldFor::Request(request)]);
    assert_eq!(of(&open), wanted);
    // One that has ended, put back from a copy; and one that no row ever told of.
    let stray = String::from_utf8(before).unwrap().replace("\"hold\": 1", "\"hold\": 2");
    std::fs::write(clinic.state().join("holds"), stray).unwrap();
    let open = open.again(&clinic);
    assert_eq!(of(&open), wanted);
    assert!(open.access.ledger.is_writable());
    let view = open.access.hold(&open.sign_in("officer"), kept).unwrap();
    assert_eq!((view.state, view.reason, view.owner), ("ordered", HoldReason::Accident, Some(AccountId(1))));
}

#[test]
fn what_is_under_way_can_be_held() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let mut recorder = CameraRecorder::new(Arc::clone(&open.vault), camera(1), RETENTION);
    recorder.begin(START, b"init").unwrap();
    let facts =
        |second: u64| FragmentFacts { first_pts_90k: second * 90_000, duration_90k: 90_000, frames: 10, sync: true };
    (0..20).for_each(|second| recorder.append(facts(second), b"a second").unwrap());
    open.vault.commit().unwrap();
    clinic.hands.advance(Duration::from_secs(20));
    // Its end is not written yet.
    open.place(1, span(15, 20));
    let held = open.access.all_holds(&open.sign_in("officer")).unwrap().footage;
    assert_eq!((held.segments, held.past_segments, held.oldest), (1, 0, Some(START)));
    assert!(held.bytes > 4_096);
    (20..30).for_each(|second| recorder.append(facts(second), b"a second").unwrap());
    recorder.finish().unwrap();
    open.vault.commit().unwrap();
    clinic.hands.advance(DAY * 31);
    assert_eq!(open.tick().set_apart, 1);
    assert!(open.is_there(1));
}

#[test]
fn a_hold_covers_what_stands_on_a_volume_that_is_away() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    open.access.keep_time().unwrap();
    drop(open);
    let site = SiteFiles::open(Arc::clone(&clinic.disk), &clinic.state()).unwrap().site();
    Volume::create(&clinic.disk, &clinic.dir.path().join("v2"), site).unwrap();
    let open = clinic.open_with(&["v2"]);
    open.vault.note_away("v1".into(), "not mounted".into());
    let hold = open.place(1, span(0, 30));
    clinic.hands.advance(DAY * 9);
    assert_eq!(open.tick().erased, 0);
    open.access.keep_time().unwrap();
    drop(open);
    let open = clinic.open_with(&["v1", "v2"]);
    let round = open.tick();
    assert_eq!((round.erased, round.set_apart), (0, 1), "past its day on its return, and held");
    assert!(open.is_there(1));
    open.release(hold).unwrap();
    assert_eq!(open.tick().erased, 1);
}

#[test]
fn what_is_held_is_counted_and_what_waits_for_somebody_is_an_alarm() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(DAY * 29);
    let hold = open.place(1, span(0, 30));
    let stored = std::fs::metadata(segment_file(&clinic, "rolling")).unwrap().len();
    let duties = open.access.duties();
    assert_eq!((duties.held.segments, duties.held.past_segments, duties.alarms.len()), (1, 0, 0), "{duties:?}");
    assert!(duties.held.bytes > 4_096 && duties.held.bytes <= stored, "{} of {stored}", duties.held.bytes);
    assert_eq!((duties.holds_unconfirmed, duties.reviews_due), (1, 0));
    clinic.hands.advance(DAY * 2);
    open.tick();
    let duties = open.access.duties();
    assert_eq!((duties.held.past_segments, duties.held.past_bytes), (1, duties.held.bytes));
    assert!(duties.alarms.len() == 1 && duties.alarms[0].contains("another officer to confirm"), "{duties:?}");
    open.access.confirm_hold(&open.sign_in("deputy"), HeldFor::Hold(hold), "deputy-password").unwrap();
    assert!(open.access.duties().alarms.is_empty());
    clinic.hands.advance(DAY * 29);
    let duties = open.access.duties();
    assert!(duties.reviews_due == 1 && duties.alarms[0].contains("looked at again"), "{duties:?}");
    assert!(open.is_there(1), "an overdue review ends nothing");
    open.access.extend_hold(&open.sign_in("deputy"), hold, open.access.now().saturating_add(DAY), None).unwrap();
    // The month has gone by as well, and waits for its review.
    let of_holds = |duties: &Duties| duties.alarms.iter().filter(|alarm| alarm.contains("hold")).count();
    assert_eq!(of_holds(&open.access.duties()), 0);
    open.release(hold).unwrap();
    open.tick();
    let duties = open.access.duties();
    assert_eq!((duties.held, duties.next_review, duties.holds_unconfirmed), (Default::default(), None, 0));
    assert_eq!(of_holds(&duties), 0, "{duties:?}");
}

fn segment_file(clinic: &Clinic, sub: &str) -> std::path::PathBuf {
    let place = clinic.dir.path().join("v1").join(sub);
    let dir = place.join(&clinic.disk.list_dirs(&place).unwrap()[0]);
    dir.join(&clinic.disk.list_files(&dir).unwrap()[0])
}

#[test]
fn what_cannot_be_recorded_is_not_held_and_not_released() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let hold = open.place(1, span(10, 20));
    let (officer, deputy) = (open.sign_in("officer"), open.sign_in("deputy"));
    // The row's own flush fails.
    disk.fail_flushes_after(0);
    let told = open.access.release_hold(&deputy, hold, "deputy-password");
    assert!(matches!(told, Err(AccessError::NotRecorded(_))), "{told:?}");
    disk.mend();
    assert_eq!(open.access.holds().list().len(), 1, "it still stands");
    // The ledger takes no more rows until a restart.
    let told = open.access.place_hold(&officer, order(1, span(0, 30), open.access.now().saturating_add(DAY)));
    assert!(matches!(told, Err(AccessError::NotRecorded(_))), "{told:?}");
    assert_eq!(open.access.holds().list().len(), 1, "what has no row was never answered");
}

#[test]
fn a_refused_request_keeps_its_footage_until_nobody_can_object_any_more() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    clinic.hands.advance(DAY * 10);
    open.refuse(request);
    open.access.close(&open.sign_in("desk"), request).unwrap();
    clinic.hands.advance(DAY * 30 - MINUTE);
    assert_eq!(open.tick().erased, 0, "closed, and it can be objected to still");
    let open = open.again(&clinic);
    assert!(open.is_there(1));
    clinic.hands.advance(MINUTE);
    assert_eq!(open.tick().erased, 1, "the day has come, by itself");
    assert!(open.rows().contains(&Act::HoldReleased { request }));
    let late = open.access.object(&open.sign_in("desk"), request);
    assert!(matches!(late, Err(AccessError::WrongState { .. })), "{late:?}");
    let open = open.again(&clinic);
    assert!(open.access.holds().list().is_empty());
}

#[test]
fn asked_on_day_29_postponed_refused_objected_and_decided_on_day_45_the_footage_is_there() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    clinic.hands.advance(DAY * 5);
    open.tick();
    let until = open.access.now().saturating_add(DAY * 3);
    let postponement =
        Postponement { cause: PostponementCause::Masking, reason: "others are being masked".into(), until };
    let officer = open.sign_in("officer");
    let view = open.access.postpone(&officer, request, &postponement, "officer-password").unwrap();
    assert_eq!((view.state, view.held), ("postponed", true));
    assert!(matches!(open.access.close(&open.sign_in("desk"), request), Err(AccessError::WrongState { .. })));
    // Long past what was expected: the request is open.
    clinic.hands.advance(DAY * 6);
    open.tick();
    open.refuse(request);
    open.access.close(&open.sign_in("desk"), request).unwrap();
    clinic.hands.advance(DAY * 2);
    open.tick();
    let view = open.access.object(&open.sign_in("desk"), request).unwrap();
    assert_eq!((view.state, view.held), ("objected", true));
    let open = open.again(&clinic);
    clinic.hands.advance(DAY * 3);
    open.tick();
    let grant = open.approve(request).grant.unwrap();
    assert_eq!(shown(&open.watch(grant, 1).unwrap()).len(), 100);
    open.access.close(&open.sign_in("desk"), request).unwrap();
    assert_eq!(open.tick().erased, 1);
}

#[test]
fn an_objection_on_the_last_day_stops_the_end_of_the_hold() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    open.refuse(request);
    clinic.hands.advance(DAY * 30 - MINUTE);
    open.access.object(&open.sign_in("desk"), request).unwrap();
    clinic.hands.advance(DAY * 90);
    assert_eq!(open.tick().erased, 0, "objected: it is open, however long");
    open.refuse(request);
    clinic.hands.advance(DAY * 29);
    assert_eq!(open.tick().erased, 0, "a new refusal, a new period");
    clinic.hands.advance(DAY);
    assert_eq!(open.tick().erased, 1);
}

#[test]
fn a_request_for_more_than_a_day_of_footage_wants_an_officer_and_stays_until_one_comes() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 2);
    let small = open.ask(1, span(0, 86_400)).number;
    let both = NewRequest { cameras: vec![camera(1), camera(2)], ..new_request(1, span(0, 43_201)) };
    let big = open.submit(both).unwrap();
    let hold = big.hold.unwrap();
    let due = hold.placed.saturating_add(DAY);
    assert_eq!((hold.camera_hours, hold.confirm_until), (25, Some(due)));
    let waits = |open: &Open| open.access.duties().alarms.iter().filter(|alarm| alarm.contains("camera-hours")).count();
    assert_eq!(waits(&open), 1);
    clinic.hands.advance(DAY * 29);
    open.tick();
    assert_eq!(waits(&open), 1, "and again");
    let open = open.again(&clinic);
    assert!(open.is_there(1), "it stays until an officer comes");
    let officer = open.sign_in("officer");
    let confirm = |request| open.access.confirm_hold(&officer, HeldFor::Request(request), "officer-password");
    assert!(matches!(confirm(small), Err(AccessError::WrongState { .. })));
    confirm(big.number).unwrap();
    assert_eq!(waits(&open), 0);
    assert!(matches!(confirm(big.number), Err(AccessError::WrongState { .. })), "once");
    let open = open.again(&clinic);
    let view = open.access.request(&open.sign_in("desk"), big.number).unwrap();
    assert_eq!((view.hold.unwrap().confirm_until, view.held), (None, true));
}

#[test]
fn an_identity_number_in_an_officers_words_is_refused_too() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let officer = open.sign_in("officer");
    let reason = "900101-1234567 is somebody else".to_owned();
    let refusal = Refusal { ground: RefusalGround::HarmToOthers, reason: reason.clone() };
    let told = open.access.refuse(&officer, request, &refusal, "officer-password");
    assert!(matches!(told, Err(AccessError::IdNumber { field: "reason" })), "{told:?}");
    let postponement =
        Postponement { cause: PostponementCause::OtherJustCause, reason, until: open.access.now().saturating_add(DAY) };
    let told = open.access.postpone(&officer, request, &postponement, "officer-password");
    assert!(matches!(told, Err(AccessError::IdNumber { field: "reason" })), "{told:?}");
}
