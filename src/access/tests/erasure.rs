//! Erasure on a person's request.

use super::*;
use crate::domain::{DestructionTrigger, HoldReason};
use crate::ledger::KeptFor;

const FLOOR: Retention = Retention::Floor(Duration::from_secs(30 * 86_400));

fn erasure_of(cameras: &[u16]) -> NewRequest {
    let cameras = cameras.iter().map(|number| camera(*number)).collect();
    NewRequest { kind: RequestKind::Erasure, cameras, ..new_request(1, span(10, 50)) }
}

fn partly() -> Erasure {
    Erasure { partly: true, ..Erasure::default() }
}

impl Open {
    fn asked_to_erase(&self, cameras: &[u16]) -> RequestId {
        let request = self.submit(erasure_of(cameras)).unwrap().number;
        self.identify(request);
        request
    }

    fn erase(&self, request: RequestId, erasure: &Erasure) -> Result<RequestView, AccessError> {
        self.access.erase(&self.sign_in("officer"), request, erasure, "officer-password")
    }

    fn hold(&self, of: u16) -> crate::domain::HoldId {
        let review = self.access.now().saturating_add(DAY);
        let (cameras, text) = (vec![camera(of)], "a fall".to_owned());
        let new = NewHold { reason: HoldReason::Accident, text, cameras, span: span(0, 5), review, ends: None };
        self.access.place_hold(&self.sign_in("officer"), new).unwrap().hold
    }
}

#[test]
fn what_a_person_wants_erased_goes_whole_at_once_and_from_every_grant() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(DAY);
    let grant = open.approved(1, span(10, 20)).grant.unwrap();
    assert!(open.watch(grant, 1).is_ok());
    // The request of that grant holds it still.
    let request = open.asked_to_erase(&[1]);
    assert!(matches!(open.erase(request, &Erasure::default()), Err(AccessError::MustStay { all: true, .. })));
    open.access.close(&open.sign_in("desk"), RequestId(1)).unwrap();
    let other = open.approved(2, span(10, 20)).grant.unwrap();
    let view = open.erase(request, &Erasure::default()).unwrap();
    assert_eq!((view.state, view.answer.as_deref(), view.held), ("erased", Some("erased"), false));
    assert_eq!(view.erased, [GrantedView { camera: camera(1), span: span(0, 60) }], "whole segments");
    assert!(!open.is_there(1) && open.is_there(2), "before the eraser's next round");
    assert!(open.watch(other, 2).is_ok());
    assert_eq!(open.eraser.round().unwrap().erased, 1);
    let is_receipt = |act: &&Act| matches!(act, Act::FootageDestroyed(_));
    let receipts: Vec<Act> = open.rows().into_iter().filter(|act| is_receipt(&act)).collect();
    assert!(
        matches!(&receipts[..], [Act::FootageDestroyed(receipt)] if receipt.trigger == DestructionTrigger::ErasureRequest)
    );
    let told = open.ask(1, span(10, 20));
    assert!(told.state == "unavailable" && told.answer.unwrap().contains("erased on request"));
    assert!(matches!(open.erase(request, &Erasure::default()), Err(AccessError::WrongState { .. })), "a double click");
    assert_eq!(open.access.close(&open.sign_in("desk"), request).unwrap().state, "closed");
}

#[test]
fn in_mid_playback_the_next_fragment_of_what_was_erased_is_refused() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let grant = open.approved(1, span(10, 20)).grant.unwrap();
    let viewer = open.viewer_of(grant);
    let segment = open.access.playlist(&viewer, grant, camera(1), None).unwrap().entries[0].segment;
    assert!(open.access.fragment(&viewer, grant, camera(1), segment, 10).is_ok());
    let request = open.asked_to_erase(&[1]);
    // As if nothing else held it, and the grant went on.
    open.access.holds().release(HeldFor::Request(RequestId(1))).unwrap();
    open.erase(request, &Erasure::default()).unwrap();
    let told = open.access.fragment(&viewer, grant, camera(1), segment, 11);
    assert!(matches!(told, Err(AccessError::Unavailable { .. })), "{told:?}");
    open.eraser.round().unwrap();
    let slots = open.access.grants.open(grant).unwrap();
    let key = slots.open_key(open.vault.volumes()[0].id(), segment, viewer.private()).unwrap();
    assert!(key.is_none(), "E3: its slot is overwritten too");
}

#[test]
fn what_another_hold_or_a_floor_keeps_stays_and_the_answer_says_which() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    let mut recorder = CameraRecorder::new(Arc::clone(&open.vault), camera(3), FLOOR);
    recorder.begin(START, b"init").unwrap();
    let facts = FragmentFacts { first_pts_90k: 0, duration_90k: 90_000 * 60, frames: 10, sync: true };
    recorder.append(facts, b"an operation").unwrap();
    recorder.finish().unwrap();
    open.vault.commit().unwrap();
    open.access.set_cameras([1, 2, 3].map(|number| (camera(number), CameraClass::PublicArea)).into());
    clinic.hands.advance(DAY);
    let hold = open.hold(2);
    let request = open.asked_to_erase(&[1, 2, 3]);
    let told = open.erase(request, &Erasure::default());
    let Err(AccessError::MustStay { kept, all: false }) = told else { panic!("{told:?}") };
    assert!(kept.contains("camera 2") && kept.contains("held for hold 1") && kept.contains("camera 3"), "{kept}");
    assert!(open.is_there(1), "nothing was decided");
    let view = open.erase(request, &partly()).unwrap();
    assert_eq!((view.answer.as_deref(), view.erased.len()), (Some("erased in part"), 1));
    let why: Vec<_> = view.kept.iter().map(|kept| (kept.camera.get(), kept.why)).collect();
    let until = at(60).saturating_add(DAY * 30);
    assert_eq!(why, [(2, KeptFor::Held { by: HeldFor::Hold(hold) }), (3, KeptFor::Floor { until })]);
    assert_eq!(open.eraser.round().unwrap().erased, 1);
    assert!(!open.is_there(1) && open.is_there(2) && open.is_there(3));
    // All that is left must stay: there is nothing to decide but a refusal.
    let rest = open.asked_to_erase(&[2, 3]);
    assert!(matches!(open.erase(rest, &partly()), Err(AccessError::MustStay { all: true, .. })));
}

#[test]
fn who_entered_it_or_is_no_officer_erases_nothing_and_a_volume_that_is_away_is_waited_for() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let request = open.asked_to_erase(&[1]);
    for name in ["viewer", "desk", "auditor"] {
        let told = open.access.erase(&open.sign_in(name), request, &partly(), &format!("{name}-password"));
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
    }
    let officer = open.sign_in("officer");
    let wrong = open.access.erase(&officer, request, &partly(), "a guess");
    assert!(matches!(wrong, Err(AccessError::WrongCredentials)));
    let approved = open.access.approve(&officer, request, &to_viewer(), "officer-password");
    assert!(matches!(approved, Err(AccessError::BadInput { field: "decision", .. })));
    let viewing = open.ask(1, span(10, 20)).number;
    open.identify(viewing);
    assert!(matches!(open.erase(viewing, &partly()), Err(AccessError::BadInput { field: "decision", .. })));
    open.vault.note_away("v2".into(), "not mounted".into());
    assert!(matches!(open.erase(request, &partly()), Err(AccessError::Unavailable { why }) if why.contains("volume")));
    assert!(open.is_there(1));
}

#[test]
fn of_two_officers_at_once_one_erases() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let request = open.asked_to_erase(&[1]);
    let officers: Vec<Caller> = ["officer", "deputy"].map(|name| open.sign_in(name)).into();
    let done = std::thread::scope(|scope| {
        let erase = |officer: &'_ Caller| {
            let (officer, access) = (officer.clone(), &open.access);
            let password = format!("{}-password", officer.person().name);
            scope.spawn(move || access.erase(&officer, request, &Erasure::default(), &password).is_ok())
        };
        let all: Vec<_> = officers.iter().map(erase).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|done| *done).count()
    });
    let decided = open.rows().iter().filter(|act| matches!(act, Act::RequestDecided { .. })).count();
    assert_eq!((done, decided), (1, 1));
}

#[test]
fn an_erasure_that_a_crash_left_at_its_row_is_carried_on_by_the_next_start() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY);
    let request = open.asked_to_erase(&[1]);
    let erased = vec![GrantedView { camera: camera(1), span: span(0, 60) }];
    let decision = Decision::Erased { erased, segments: 1, kept: Vec::new() };
    let officer = open.sign_in("officer");
    open.access.record(officer.actor(), Act::RequestDecided { request, decision }).unwrap();
    assert!(open.is_there(1), "the crash came here");
    drop(open);
    let open = clinic.open();
    assert!(!open.is_there(1) && open.access.holds().list().is_empty());
    assert!(open.rows().contains(&Act::HoldReleased { request }));
    assert_eq!(open.eraser.round().unwrap().erased, 1);
    let rows = open.rows().len();
    drop(open);
    let open = clinic.open();
    assert_eq!(open.rows().len(), rows, "and once only");
}
