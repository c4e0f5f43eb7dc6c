//! Two people at once, failures half-way, and more than there should be of everything.

use super::*;

const EXPIRY: Duration = Duration::from_secs(30 * 86_400 + 60);

fn files_of(clinic: &Clinic, sub: &str) -> Vec<String> {
    clinic.disk.list_files(&clinic.dir.path().join("v1").join(sub)).unwrap()
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
    let hold = Hold { request: RequestId(1), cameras: vec![camera(1)], span: span(0, 60) };
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
