//! What is written of persons comes to its end.

use super::*;
use crate::disk::Disk;
use crate::domain::{HoldReason, Overwrite, PaperOf};
use crate::ledger::PaperErased;

const NAME: &str = "김민수";
const YEARS: Duration = Duration::from_secs(1_096 * 86_400);
const MINUTE: Duration = Duration::from_secs(60);

fn path(clinic: &Clinic, name: &str) -> PathBuf {
    clinic.state().join("requests").join(name)
}

fn is_there(clinic: &Clinic, name: &str) -> bool {
    clinic.disk.open(&path(clinic, name), crate::disk::Access::Read).is_ok()
}

fn erased(open: &Open) -> Vec<PaperErased> {
    let told = |act| match act {
        Act::PaperErased(told) => Some(told),
        _ => None,
    };
    open.rows().into_iter().filter_map(told).collect()
}

/// A request that was approved and closed.
fn closed(clinic: &Clinic, open: &Open) -> RequestId {
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.approved(1, span(10, 20)).number;
    open.access.close(&open.sign_in("desk"), request).unwrap();
    request
}

fn round(clinic: &Clinic, open: &Open, by: Duration) {
    clinic.hands.advance(by);
    open.access.end_what_is_over().unwrap();
}

#[test]
fn persons_go_when_their_period_has_ended_and_the_row_stays() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    let request = closed(&clinic, &open);
    let sealed = crate::disk::read_file(&*clinic.disk, &path(&clinic, "00000001"), 1 << 20).unwrap();
    let trace = sealed[..200].to_vec();
    assert!(disk.device_holds(&trace, 0), "control");
    round(&clinic, &open, YEARS - MINUTE);
    assert!(is_there(&clinic, "00000001") && erased(&open).is_empty(), "a minute too early");
    let seen = open.access.request(&open.sign_in("desk"), request).unwrap();
    assert_eq!(seen.person.unwrap().name, NAME);
    round(&clinic, &open, MINUTE);
    let told = erased(&open);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].of, told[0].files, told[0].overwrite),
        (PaperOf::Request(request), 1, Overwrite::DeviceUnproven)
    );
    assert!(!is_there(&clinic, "00000001"));
    assert!(!disk.device_holds(&trace, 0), "nothing of it is on the device");
    let mut open = Some(open);
    for _ in 0..2 {
        let open = open.take().unwrap_or_else(|| clinic.open());
        let seen = open.access.request(&open.sign_in("desk"), request).unwrap();
        assert!(seen.person.is_none() && seen.purpose.is_none() && seen.persons_erased.is_some());
        assert_eq!((seen.number, seen.state), (request, "closed"));
        let page = open.access.request_page(&open.sign_in("officer"), &RequestFilter::default(), None, 9).unwrap();
        assert!(page.requests[0].person.is_none() && page.requests[0].persons_erased.is_some());
        let found = open.access.search_requests_by_name(&open.sign_in("desk"), NAME, None, 9).unwrap();
        assert!(found.requests.is_empty());
        round(&clinic, &open, YEARS);
        assert_eq!(erased(&open).len(), 1, "once");
    }
}

#[test]
fn the_period_runs_from_the_last_row_that_cites_it() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = closed(&clinic, &open);
    round(&clinic, &open, DAY * 1_000);
    let letter = NewLetter {
        kind: crate::domain::LetterKind::Receipt,
        language: crate::domain::Language::Ko,
        camera_names: BTreeMap::new(),
    };
    open.access.produce_letter(&open.sign_in("desk"), request, &letter).unwrap();
    round(&clinic, &open, DAY * 1_000);
    assert!(is_there(&clinic, "00000001"), "a letter was printed since");
    open.access.keep_time().unwrap();
    drop(open);
    let open = clinic.open();
    round(&clinic, &open, DAY * 95);
    assert!(is_there(&clinic, "00000001"));
    round(&clinic, &open, DAY);
    assert!(!is_there(&clinic, "00000001"));
}

#[test]
fn nothing_goes_while_its_request_is_open_or_held() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let submitted = open.ask(1, span(10, 20)).number;
    let refused = open.ask(1, span(10, 20)).number;
    open.identify(refused);
    let refusal = Refusal { ground: RefusalGround::OtherJustCause, reason: "another".into() };
    open.access.refuse(&open.sign_in("officer"), refused, &refusal, "officer-password").unwrap();
    let approved = open.approved(1, span(10, 20)).number;
    // Of the refused one the hold lapses after its objection period, and that is a row too.
    for _ in 0..40 {
        round(&clinic, &open, DAY);
    }
    round(&clinic, &open, YEARS * 2);
    assert!(is_there(&clinic, "00000001") && is_there(&clinic, "00000003"), "open: {submitted}, {approved}");
    assert!(!is_there(&clinic, "00000002"), "nobody can object any more: {refused}");
    let alarms = open.access.duties().alarms;
    assert!(
        alarms.iter().any(|alarm| alarm.starts_with("requests 3 were answered more than 90 days ago")),
        "{alarms:?}"
    );
    open.access.close(&open.sign_in("desk"), approved).unwrap();
    round(&clinic, &open, YEARS);
    assert!(!is_there(&clinic, "00000003"));
}

#[test]
fn the_texts_of_holds_and_who_asked_for_operations_go_too() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let officer = open.sign_in("officer");
    let review = open.access.now().saturating_add(DAY);
    let new = NewHold {
        reason: HoldReason::Accident,
        text: "김민수 fell".into(),
        cameras: vec![camera(1)],
        span: span(10, 20),
        review,
        ends: None,
    };
    let hold = open.access.place_hold(&officer, new).unwrap().hold;
    let new =
        NewOperation { camera: camera(21), asked_by: crate::domain::AskedBy::Patient, name: NAME.into(), note: None };
    let operation = open.access.start_operation(&officer, new).unwrap().operation;
    round(&clinic, &open, YEARS * 2);
    assert!(is_there(&clinic, "h00000001") && is_there(&clinic, "o00000001"), "both are under way");
    open.access.release_hold(&open.sign_in("deputy"), hold, "deputy-password").unwrap();
    open.access.end_operation(&open.sign_in("desk"), operation).unwrap();
    round(&clinic, &open, YEARS);
    assert!(!is_there(&clinic, "h00000001") && !is_there(&clinic, "o00000001"));
    let officer = open.sign_in("officer");
    assert!(open.access.hold(&officer, hold).unwrap().text.is_none());
    assert!(open.access.operation(&officer, operation).unwrap().name.is_none());
    assert_eq!(erased(&open).len(), 2);
}

#[test]
fn what_no_row_tells_of_is_destroyed_at_a_start_and_strange_files_are_left_alone() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    let request = closed(&clinic, &open);
    drop(open);
    let write = |name: &str, bytes: &[u8]| {
        let file = disk.create_new(&path(&clinic, name)).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        let file: &dyn crate::disk::DiskFile = &*file;
        file.sync_data().unwrap();
    };
    for name in ["00000009", "00000001.new", "h00000002", "0000000a-0000000000000003", "notes.txt"] {
        write(name, format!("what stood in {name}").as_bytes());
    }
    let open = clinic.open();
    for name in ["00000009", "00000001.new", "h00000002", "0000000a-0000000000000003"] {
        assert!(!is_there(&clinic, name), "{name}");
        assert!(!disk.device_holds(format!("what stood in {name}").as_bytes(), 0), "{name}");
    }
    assert!(is_there(&clinic, "notes.txt"));
    let seen = open.access.request(&open.sign_in("desk"), request).unwrap();
    assert_eq!(seen.person.unwrap().name, NAME);
}

#[test]
fn verify_names_what_is_missing_and_what_was_put_back() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    let request = closed(&clinic, &open);
    open.ask(1, span(10, 20));
    let dir = clinic.state().join("requests");
    let look = |open: &Open| {
        let mut facts = LedgerFacts::default();
        open.access.ledger.rows(|row| facts.apply(&row)).unwrap();
        facts.wrong_papers(&clinic.disk, &dir).unwrap()
    };
    assert_eq!(look(&open), []);
    let kept = crate::disk::read_file(&*clinic.disk, &path(&clinic, "00000001"), 1 << 20).unwrap();
    round(&clinic, &open, YEARS * 2);
    assert_eq!(look(&open), [], "of request {request} nothing is wanted any more");
    let file = disk.create_new(&path(&clinic, "00000001")).unwrap();
    file.write_all_at(&kept, 0).unwrap();
    disk.remove_file(&path(&clinic, "00000002")).unwrap();
    disk.create_new(&path(&clinic, "00000077")).unwrap();
    let told = look(&open);
    let wants = |of: &str, what: &str| told.iter().any(|(name, told)| name == of && told.contains(what));
    assert!(wants("00000001", "somebody put it back") && wants("00000077", "no row"), "{told:?}");
    assert!(wants("", "request 2 is missing"), "{told:?}");
    assert_eq!(told.len(), 3);
}

#[test]
fn what_is_past_its_period_is_named_until_it_is_erased() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = closed(&clinic, &open);
    clinic.hands.advance(YEARS);
    assert!(open.access.old_papers().unwrap().is_empty(), "not yet, to the minute");
    clinic.hands.advance(DAY);
    let file = clinic.state().join(format!("requests/{:08x}", request.0));
    assert_eq!(open.access.old_papers().unwrap(), std::slice::from_ref(&file));
    let kept = std::fs::read(&file).unwrap();
    open.access.end_what_is_over().unwrap();
    assert!(open.access.old_papers().unwrap().is_empty());
    // Somebody puts it back from a copy.
    std::fs::write(&file, kept).unwrap();
    assert_eq!(open.access.old_papers().unwrap(), std::slice::from_ref(&file));
    std::fs::write(&file, [0; 4_096]).unwrap();
    assert!(open.access.old_papers().unwrap().is_empty(), "its name leads to zeros");
}
