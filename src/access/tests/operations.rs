//! Operations: begun and ended by people, and by nothing else (O1 to O4).

use super::*;
use crate::domain::{AskedBy, OperationId};

const HOUR: Duration = Duration::from_secs(3_600);

fn of(of: u16) -> NewOperation {
    let note = Some("request form 12".to_owned());
    NewOperation { camera: camera(of), asked_by: AskedBy::Guardian, name: "김민수".into(), note }
}

impl Open {
    fn begin(&self, room: u16) -> OperationView {
        self.access.start_operation(&self.sign_in("desk"), of(room)).unwrap()
    }

    fn finish(&self, operation: OperationId) -> Result<OperationView, AccessError> {
        self.access.end_operation(&self.sign_in("officer"), operation)
    }

    fn alarms(&self) -> Vec<String> {
        let alarms = self.access.duties().alarms.into_iter();
        alarms.filter(|alarm| alarm.starts_with("operation ")).collect()
    }
}

#[test]
fn an_operation_is_filmed_from_its_start_to_its_end_and_each_is_one_row() {
    let clinic = Clinic::new();
    let open = clinic.open();
    assert!(!open.access.operates(camera(21)));
    let begun = open.begin(21);
    assert!(open.access.operates(camera(21)) && !open.access.operates(camera(22)));
    assert_eq!((begun.name.as_deref(), begun.note.as_deref()), (Some("김민수"), Some("request form 12")));
    assert_eq!((begun.started_by, begun.ended, begun.length_s), (Some(AccountId(4)), None, 0));
    let other = open.begin(22).operation;
    clinic.hands.advance(HOUR);
    let ended = open.finish(begun.operation).unwrap();
    assert_eq!((ended.ended_by, ended.length_s, ended.is_long), (Some(AccountId(1)), 3_600, false));
    assert!(!open.access.operates(camera(21)) && open.access.operates(camera(22)));
    let rows: Vec<Act> = open.rows();
    let started = |act: &Act| matches!(act, Act::OperationStarted { asked_by: AskedBy::Guardian, .. });
    assert_eq!(rows.iter().filter(|act| started(act)).count(), 2);
    let end = Act::OperationEnded { operation: begun.operation, camera: camera(21) };
    assert_eq!(rows.iter().filter(|act| **act == end).count(), 1);
    // Newest first; what is under way before what is over.
    let numbers = || open.access.operation_numbers(&open.sign_in("auditor")).unwrap();
    assert_eq!(numbers(), [other, begun.operation]);
    open.finish(other).unwrap();
    let (third, fourth) = (open.begin(21).operation, open.begin(22).operation);
    open.finish(fourth).unwrap();
    assert_eq!(numbers(), [third, fourth, other, begun.operation]);
    let told = open.access.operations(&open.sign_in("auditor"), &[fourth, third]).unwrap();
    assert_eq!(told.iter().map(|operation| operation.operation).collect::<Vec<_>>(), [fourth, third]);
}

#[test]
fn of_two_who_do_it_at_once_one_is_told_of_the_other() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let begun = open.begin(21);
    clinic.hands.advance(HOUR);
    let again = open.access.start_operation(&open.sign_in("officer"), of(21));
    assert!(
        matches!(again, Err(AccessError::OperationUnderWay { operation, since, .. }) if operation == begun.operation && since == begun.started),
        "{again:?}"
    );
    let at_once = || {
        std::thread::scope(|scope| {
            let tries: Vec<_> = (0..4).map(|_| scope.spawn(|| open.finish(begun.operation).is_ok())).collect();
            tries.into_iter().map(|tried| tried.join().unwrap()).filter(|ended| *ended).count()
        })
    };
    assert_eq!(at_once(), 1);
    let again = open.finish(begun.operation);
    assert!(matches!(again, Err(AccessError::OperationEnded { .. })), "{again:?}");
    assert!(matches!(open.finish(OperationId(9)), Err(AccessError::NoSuchOperation)));
    let ends = open.rows().iter().filter(|act| matches!(act, Act::OperationEnded { .. })).count();
    assert_eq!(ends, 1);
}

#[test]
fn only_an_operating_room_films_one_and_only_those_who_may_say_so() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let desk = open.sign_in("desk");
    let start = |new| open.access.start_operation(&desk, new);
    assert!(matches!(start(of(1)), Err(AccessError::NotAnOperatingRoom { .. })));
    assert!(matches!(start(of(9)), Err(AccessError::UnknownCamera { .. })));
    let number = NewOperation { name: "900101-1234567".into(), ..of(21) };
    assert!(matches!(start(number), Err(AccessError::IdNumber { field: "name" })));
    let number = NewOperation { note: Some("M12345678".into()), ..of(21) };
    assert!(matches!(start(number), Err(AccessError::IdNumber { field: "note" })));
    let nobody = NewOperation { name: " ".into(), ..of(21) };
    assert!(matches!(start(nobody), Err(AccessError::BadInput { field: "name", .. })));
    for name in ["viewer", "auditor"] {
        let caller = open.sign_in(name);
        assert!(matches!(open.access.start_operation(&caller, of(21)), Err(AccessError::Forbidden)), "{name}");
        assert!(matches!(open.access.end_operation(&caller, OperationId(1)), Err(AccessError::Forbidden)), "{name}");
    }
    assert!(matches!(open.access.operation_numbers(&open.sign_in("viewer")), Err(AccessError::Forbidden)));
    assert!(!open.access.operates(camera(21)));
    assert!(!open.rows().iter().any(|act| matches!(act, Act::OperationStarted { .. })));
}

#[test]
fn a_restart_neither_loses_nor_makes_an_operation() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let (on, over) = (open.begin(21).operation, open.begin(22).operation);
    open.finish(over).unwrap();
    drop(open);
    clinic.hands.advance(HOUR);
    let open = clinic.open();
    assert!(open.access.operates(camera(21)) && !open.access.operates(camera(22)));
    let view = open.access.operation(&open.sign_in("desk"), on).unwrap();
    assert_eq!((view.name.as_deref(), view.length_s), (Some("김민수"), 3_600));
    // Numbers go on.
    assert_eq!(open.begin(22).operation, OperationId(3));
    open.finish(on).unwrap();
    drop(open);
    assert!(!clinic.open().access.operates(camera(21)));
}

#[test]
fn what_cannot_be_recorded_neither_begins_nor_ends_one() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    let (desk, officer) = (open.sign_in("desk"), open.sign_in("officer"));
    let begun = open.begin(21).operation;
    // Who asked is flushed, and the row is not.
    disk.fail_flushes_after(1);
    let told = open.access.start_operation(&desk, of(22));
    assert!(matches!(told, Err(AccessError::NotRecorded(_))), "{told:?}");
    assert!(!open.access.operates(camera(22)), "filmed, and nobody can show who asked");
    let told = open.access.end_operation(&officer, begun);
    assert!(matches!(told, Err(AccessError::NotRecorded(_))), "{told:?}");
    assert!(open.access.operates(camera(21)), "not filmed any more, and no row says so");
    drop(open);
    disk.mend();
    // What the disk took after all is a row like any other: after a start the rows alone count.
    let open = clinic.open();
    let rows = open.rows();
    for room in [21, 22] {
        let of_room = |act: &&Act| {
            let (Act::OperationStarted { camera: of, .. } | Act::OperationEnded { camera: of, .. }) = act else {
                return false;
            };
            *of == camera(room)
        };
        let last = rows.iter().rfind(of_room);
        let is_begun = matches!(last, Some(Act::OperationStarted { .. }));
        assert_eq!(open.access.operates(camera(room)), is_begun, "room {room}: {last:?}");
    }
}

#[test]
fn a_forgotten_end_is_an_alarm_and_ends_nothing() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let operation = open.begin(21).operation;
    assert_eq!(open.access.duties().operations_under_way, 1);
    clinic.hands.advance(HOUR * 8 - Duration::from_secs(1));
    assert_eq!(open.alarms(), [] as [&str; 0]);
    clinic.hands.advance(Duration::from_secs(1));
    let told = open.alarms();
    assert!(told.len() == 1 && told[0].contains("more than 8 hours") && told[0].contains("camera 21"), "{told:?}");
    clinic.hands.advance(DAY);
    open.access.end_what_is_over().unwrap();
    assert!(open.access.operates(camera(21)));
    assert!(open.access.operation(&open.sign_in("desk"), operation).unwrap().is_long);
    open.finish(operation).unwrap();
    assert_eq!((open.alarms(), open.access.duties().operations_under_way), (vec![], 0));
}

#[test]
fn an_operation_whose_camera_was_taken_away_stays_under_way_and_is_told_of() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let operation = open.begin(21).operation;
    open.access.set_cameras(BTreeMap::from([(camera(1), CameraClass::PublicArea)]));
    let told = open.alarms();
    assert!(told.len() == 1 && told[0].contains("no camera of an operating room any more"), "{told:?}");
    open.access.set_cameras(BTreeMap::from([(camera(21), CameraClass::OperatingRoom)]));
    assert_eq!(open.alarms(), [] as [&str; 0]);
    assert!(open.access.operates(camera(21)));
    open.access.set_cameras(BTreeMap::new());
    open.finish(operation).unwrap();
    assert_eq!(open.alarms(), [] as [&str; 0]);
}

#[test]
fn who_asked_is_sealed_to_the_desk_and_bound_to_its_row() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let (first, second) = (open.begin(21).operation, open.begin(22).operation);
    for file in ["requests/o00000001", "ledger/2026-11.ledger"] {
        let stored = std::fs::read(clinic.state().join(file)).unwrap();
        let stored = String::from_utf8_lossy(&stored);
        assert!(!stored.contains("김민수") && !stored.contains("form 12"), "{file}");
    }
    let dir = clinic.state().join("requests");
    std::fs::copy(dir.join(format!("o{:08x}", second.0)), dir.join(format!("o{:08x}", first.0))).unwrap();
    let auditor = open.sign_in("auditor");
    let told = open.access.operations(&auditor, &open.access.operation_numbers(&auditor).unwrap()).unwrap();
    let names: Vec<_> = told.iter().map(|operation| operation.name.as_deref()).collect();
    assert_eq!(names, [Some("김민수"), None], "another's in its place, and the list is there all the same");
}
