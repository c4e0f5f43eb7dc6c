//! Two people at once, failures half-way, and more than there should be of everything.

use super::*;

const EXPIRY: Duration = Duration::from_secs(30 * 86_400 + 60);

fn files_of(clinic: &Clinic, sub: &str) -> Vec<String> {
    let place = clinic.dir.path().join("v1").join(sub);
    let dirs = clinic.disk.list_dirs(&place).unwrap();
    dirs.iter().flat_map(|dir| clinic.disk.list_files(&place.join(dir)).unwrap()).collect()
}

#[test]
fn what_lost_its_key_is_overwritten_even_when_somebody_asks_for_its_time() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(EXPIRY);
    // The eraser was broken off between key and blocks; then a request froze that time, for another's sake.
    let now = open.access.now();
    open.vault.destroy_key(&open.vault.due(now)[0], now).unwrap();
    let hold = Hold::of_request(RequestId(1), vec![camera(1)], span(0, 60));
    open.access.holds().place(hold).unwrap();
    assert_eq!(open.eraser.round().unwrap().erased, 1);
    assert_eq!((files_of(&clinic, "rolling").len(), files_of(&clinic, "held").len()), (0, 0));
    assert!(open.vault.due(now).is_empty());
}

#[test]
fn after_an_outage_all_keys_go_in_the_first_round_and_blocks_by_and_by() {
    let clinic = Clinic::new();
    let open = clinic.open();
    (0..70).for_each(|_| open.record(camera(1)));
    clinic.hands.advance(EXPIRY);
    assert_eq!(open.eraser.round().unwrap().erased, 64);
    let due = open.vault.due(open.access.now());
    assert!(due.len() == 6 && due.iter().all(|due| due.is_keyless), "{due:?}");
    assert_eq!(open.eraser.round().unwrap().erased, 6);
    assert!(files_of(&clinic, "rolling").is_empty());
}

#[test]
fn a_stop_does_not_wait_for_a_backlog_and_what_it_leaves_stays_due() {
    let clinic = Clinic::new();
    let open = clinic.open();
    (0..3).for_each(|_| open.record(camera(1)));
    clinic.hands.advance(EXPIRY);
    open.eraser.stop();
    assert_eq!(open.eraser.round().unwrap(), crate::retention::Round::default());
    let due = open.vault.due(open.access.now());
    assert!(due.len() == 3 && due.iter().all(|due| !due.is_keyless), "{due:?}");
    // As the daemon does when it stops: else a month's step would put the clock in doubt.
    open.access.keep_time().unwrap();
    drop(open);
    assert_eq!(clinic.open().eraser.round().unwrap().erased, 3);
}

#[test]
fn of_two_people_at_once_each_act_is_one_row() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    let at_once = |name: &str, act: &(dyn Fn(&Caller) -> bool + Sync)| {
        let callers: Vec<Caller> = (0..8).map(|_| open.sign_in(name)).collect();
        let done = std::thread::scope(|scope| {
            let threads: Vec<_> = callers.iter().map(|caller| scope.spawn(move || act(caller))).collect();
            threads.into_iter().filter(|_| true).map(|thread| thread.join().unwrap()).filter(|done| *done).count()
        });
        assert_eq!(done, 1, "{name}");
    };
    at_once("desk", &|desk| open.access.check_identity(desk, request, IdentityDocument::Passport).is_ok());
    at_once("officer", &|officer| open.access.approve(officer, request, &to_viewer(), "officer-password").is_ok());
    at_once("desk", &|desk| open.access.close(desk, request).is_ok());
    let count = |wanted: &dyn Fn(&Act) -> bool| open.rows().iter().filter(|act| wanted(act)).count();
    assert_eq!(count(&|act| matches!(act, Act::IdentityChecked { .. })), 1);
    assert_eq!(count(&|act| matches!(act, Act::RequestDecided { .. })), 1);
    assert_eq!(count(&|act| matches!(act, Act::RequestClosed { .. })), 1);
}

#[test]
fn guesses_at_once_are_counted_before_they_are_made() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let tried = std::thread::scope(|scope| {
        let guess = |_| scope.spawn(|| open.access.sign_in("officer", "wrong", HERE));
        let guesses: Vec<_> = (0..40).map(guess).collect();
        let told = guesses.into_iter().map(|guess| guess.join().unwrap());
        told.filter(|told| matches!(told, Err(AccessError::WrongCredentials))).count()
    });
    assert_eq!(tried, 5);
}

#[test]
fn a_name_that_nobody_has_is_not_kept_in_memory() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let name = "n".repeat(60_000);
    for _ in 0..10 {
        assert!(matches!(open.access.sign_in(&name, "x", HERE), Err(AccessError::WrongCredentials)));
    }
}

#[test]
fn keys_of_a_session_that_is_over_do_not_wait_for_the_next_sign_in() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.sign_in("officer");
    clinic.hands.advance(Duration::from_secs(601));
    open.access.end_what_is_over().unwrap();
    assert_eq!(open.access.sessions.count(), 0);
}

#[test]
fn an_account_whose_file_is_damaged_stops_nobody_else_and_its_key_is_still_sealed_to() {
    let clinic = Clinic::new();
    std::fs::write(clinic.state().join("people/00000002"), b"{").unwrap();
    let open = clinic.open();
    assert!(open.access.sign_in("deputy", "deputy-password", HERE).is_err());
    open.record(camera(1));
    assert_eq!(open.vault.recipients().len(), 3, "two officers and the recovery key");
    open.sign_in("officer");
}

#[test]
fn one_damaged_request_does_not_take_the_list_away() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    open.ask(1, span(10, 20));
    open.ask(1, span(10, 21));
    std::fs::write(clinic.state().join("requests/00000001"), b"{").unwrap();
    let all = open.listed(&open.sign_in("desk")).unwrap();
    assert_eq!(all.iter().map(|view| view.person.is_some()).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn what_a_closing_could_not_destroy_is_destroyed_later() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let view = open.approved(1, span(10, 20));
    let file = clinic.state().join("grants").join(format!("{:08x}", view.grant.unwrap().0));
    // The disk fails at it: what stands under its name cannot be opened as a file.
    let aside = clinic.state().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(open.access.close(&open.sign_in("desk"), view.number).is_err());
    assert!(open.access.holds().list().is_empty(), "the hold went all the same");
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    open.access.end_what_is_over().unwrap();
    assert!(!file.exists());
}

#[test]
fn while_a_volume_is_away_nothing_is_said_to_be_gone() {
    let clinic = Clinic::new();
    let open = clinic.open();
    clinic.hands.advance(Duration::from_secs(100));
    open.vault.note_away("/volumes/v2".into(), "not mounted".into());
    let view = open.ask(1, span(10, 20));
    assert_eq!((view.state, view.held), ("submitted", true));
    open.identify(view.number);
    let approve = |number| open.access.approve(&open.sign_in("officer"), number, &to_viewer(), "officer-password");
    assert!(matches!(approve(view.number), Err(AccessError::Unavailable { why }) if why.contains("volume")));
    let check = NewRequest { kind: RequestKind::ExistenceCheck, ..new_request(1, span(10, 20)) };
    let check = open.submit(check).unwrap().number;
    open.identify(check);
    assert!(matches!(approve(check), Err(AccessError::Unavailable { why }) if why.contains("volume")));
}

#[test]
fn a_camera_is_asked_for_once() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let twice = NewRequest { cameras: vec![camera(1), camera(1)], ..new_request(1, span(10, 20)) };
    assert!(matches!(open.submit(twice), Err(AccessError::BadInput { field: "cameras", .. })));
}

#[test]
fn a_request_that_has_its_row_keeps_its_hold_when_the_next_row_fails() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let desk = open.sign_in("desk");
    // Flushed in turn: persons, hold, the row of the submission; then the row of the hold fails.
    disk.fail_flushes_after(3);
    assert!(matches!(open.access.submit(&desk, new_request(1, span(10, 20))), Err(AccessError::NotRecorded(_))));
    disk.mend();
    assert!(open.access.find_request(RequestId(1)).is_ok(), "the request is on record");
    assert_eq!(open.access.holds().list().len(), 1, "so what it asks for stays");
}

#[test]
fn a_site_half_made_or_damaged_says_so() {
    let clinic = Clinic::new();
    let site = clinic.state().join("site");
    std::fs::write(&site, b"{").unwrap();
    let told = SiteFiles::open(Arc::clone(&clinic.disk), &clinic.state()).unwrap_err();
    assert!(told.to_string().contains("put it back from a copy"), "{told}");
    std::fs::remove_file(&site).unwrap();
    let account =
        |name: &str, role| NewAccount { name: name.into(), role, password: Password::new("tiny blue trains".into()) };
    let accounts = [account("a", Role::Officer), account("b", Role::Officer)];
    let again = NewSite { accounts: &accounts, strength: QUICK };
    let told = again.make(&clinic.disk, &clinic.state(), &clinic.hands.clock()).unwrap_err();
    assert!(told.to_string().contains("broken off"), "{told}");
}
