//! Batches of keys, day keys first, receipts an hour, and what fails in between.

use super::*;
use crate::disk::{Failure, OperationKind};
use crate::segment::ManifestRecord;

const EIO: i32 = 5;

fn all_held(_: CameraNumber, _: Span) -> bool {
    true
}

fn nothing_held(_: CameraNumber, _: Span) -> bool {
    false
}

/// Simulated, on a device that counts as proven.
fn proven() -> (House, SimulatedDisk, Arc<Vault>) {
    let (house, disk) = House::simulated();
    let volume = Volume::open(Arc::clone(&house.disk), &house.volume_dir(), SITE, false).unwrap();
    let catalog = Catalog::open(&house.dir.path().join("catalog")).unwrap();
    let vault = Vault::start(vec![volume], catalog, START).unwrap();
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    (house, disk, Arc::new(vault))
}

fn record_under(vault: &Arc<Vault>, of: CameraNumber, from: u64, retention: Retention) {
    let mut recorder = CameraRecorder::new(Arc::clone(vault), of, retention);
    recorder.begin(at(from), b"init").unwrap();
    (0..10).for_each(|number| append(&mut recorder, number));
    recorder.finish().unwrap();
    vault.commit().unwrap();
}

fn erase_due(vault: &Vault, now: Utc) {
    let due = vault.due(now);
    let keyless = vault.destroy_keys(&due, now);
    assert!(keyless.failures.is_empty(), "{:?}", keyless.failures);
    let due: Vec<_> = keyless.done.into_iter().map(|due| (due, DestructionTrigger::Expiry)).collect();
    let told = vault.erase_all(&due, now, &|| false);
    assert!(told.failures.is_empty() && told.done.len() == due.len(), "{:?}", told.failures);
}

fn fail(disk: &SimulatedDisk, kinds: fn(OperationKind) -> bool, below: std::path::PathBuf) {
    disk.fail(Failure { kinds, below, skip: 0, times: usize::MAX, error: Some(EIO) });
}

#[test]
fn the_keys_of_many_segments_go_with_one_flush_of_the_volume_and_one_of_the_manifest() {
    let (_house, disk, vault) = proven();
    (0..30).for_each(|number| record(&vault, camera(1), number * 10));
    let after = at(86_400 + 290);
    let due = vault.due(after);
    assert_eq!(due.len(), 30);
    let before = disk.operations();
    let told = vault.destroy_keys(&due, after);
    assert_eq!((told.done.len(), told.failures.len()), (30, 0));
    let flushes = disk.log()[before..].iter().filter(|operation| operation.kind.is_flush()).count();
    assert_eq!(flushes, 2);
    assert!(!disk.device_holds(b"CUSTODSG", 0), "V5");
    // A few are flushed by themselves: what cameras sent meanwhile is nobody's who erases.
    record(&vault, camera(2), 0);
    let due = vault.due(after);
    let due: Vec<_> = due.into_iter().filter(|due| due.camera == camera(2)).collect();
    let before = disk.operations();
    assert_eq!(vault.destroy_keys(&due, after).done.len(), 1);
    let told: Vec<_> = disk.log()[before..].iter().filter(|operation| operation.kind.is_flush()).cloned().collect();
    assert!(told.len() == 2 && told.iter().all(|flush| flush.kind == OperationKind::FlushFile), "{told:?}");
}

#[test]
fn a_key_that_cannot_be_overwritten_stops_no_other_of_its_batch() {
    let (house, disk, vault) = proven();
    (0..12).for_each(|number| record(&vault, camera(1), number * 10));
    let after = at(2 * 86_400);
    let due = vault.due(after);
    let bad = house.path_of("rolling", due[5].segment);
    fail(&disk, |kind| kind == OperationKind::Write, bad);
    let told = vault.destroy_keys(&due, after);
    assert_eq!((told.done.len(), told.failures.len()), (11, 1));
    assert_eq!(told.failures[0].0, due[5]);
    let keyless: Vec<_> = told.done.iter().map(|due| (*due, DestructionTrigger::Expiry)).collect();
    assert_eq!(vault.erase_all(&keyless, after, &|| false).done.len(), 11);
    disk.mend();
    let left = vault.due(after);
    assert_eq!(left.iter().map(|due| due.segment).collect::<Vec<_>>(), [due[5].segment], "it stays due");
    erase_due(&vault, after);
    assert!(house.segments("rolling").is_empty());
}

#[test]
fn blocks_that_cannot_be_overwritten_stop_no_other() {
    let (house, disk, vault) = proven();
    (0..4).for_each(|number| record(&vault, camera(1), number * 10));
    let after = at(2 * 86_400);
    let due = vault.destroy_keys(&vault.due(after), after).done;
    let bad = house.path_of("rolling", due[1].segment);
    fail(&disk, |kind| kind == OperationKind::Write, bad);
    let due: Vec<_> = due.into_iter().map(|due| (due, DestructionTrigger::Expiry)).collect();
    let told = vault.erase_all(&due, after, &|| false);
    assert_eq!((told.done.len(), told.failures.len()), (3, 1));
    assert!(told.done.iter().all(|erased| erased.overwrite == Overwrite::Proven), "{told:?}");
    let volume = &vault.volumes()[0];
    assert!(vault.due_keyless(volume, 10, &|segment| segment == due[1].0.segment).segments.is_empty());
    assert_eq!(vault.due_keyless(volume, 10, &|_| false).segments.len(), 1);
}

#[test]
fn what_cannot_be_read_back_is_destroyed_and_never_called_proven() {
    let (house, disk, vault) = proven();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    let after = at(86_400 + 5);
    let due = vault.due(after)[0];
    vault.destroy_key(&due, after).unwrap();
    let path = house.path_of("rolling", due.segment);
    fail(&disk, |kind| kind == OperationKind::Read, path.clone());
    assert_eq!(vault.erase(&due, DestructionTrigger::Expiry, after).unwrap(), Overwrite::ReadBackFailed);
    disk.mend();
    assert!(house.segments("rolling").len() == 1 && !house.segments("rolling")[0].ends_with(&due.segment.to_string()));
    let row = &vault.unreceipted().unwrap()[0];
    assert_eq!((row.overwrite, row.failures, row.read_back_percent), (Overwrite::ReadBackFailed, 1, Some(0)));
    assert!(row.overwrite.is_failure());
}

#[test]
fn blocks_that_moved_since_the_segment_was_sealed_are_not_called_proven() {
    let (house, disk, vault) = proven();
    record(&vault, camera(1), 0);
    let after = at(2 * 86_400);
    let due = vault.due(after)[0];
    // As a defragmentation does: the same bytes, elsewhere.
    let path = house.path_of("rolling", due.segment);
    let bytes = crate::disk::read_file(&disk, &path, 64 << 20).unwrap();
    house.disk.remove_file(&path).unwrap();
    let moved = house.disk.create_new(&path).unwrap();
    moved.allocate(bytes.len() as u64).unwrap();
    moved.write_all_at(&bytes, 0).unwrap();
    moved.sync_data().unwrap();
    vault.destroy_key(&due, after).unwrap();
    assert_eq!(vault.erase(&due, DestructionTrigger::Expiry, after).unwrap(), Overwrite::RangesDiffer);
    assert_eq!(vault.unreceipted().unwrap()[0].failures, 1);
}

#[test]
fn a_day_that_is_over_loses_its_day_key_before_any_key_block_and_opens_for_nobody() {
    let (house, disk, vault) = proven();
    for of in 1..=3 {
        (0..2).for_each(|number| record(&vault, camera(of), number * 10));
    }
    record(&vault, camera(3), 40_000);
    let after = at(86_400 + 100);
    assert_eq!(vault.due_count(after).unwrap(), 6);
    let told = vault.destroy_day_keys(after, 64, &nothing_held);
    assert_eq!((told.destroyed, house.files("keys").len()), (2, 1), "the third's day is over in part");
    assert!(disk.device_holds(b"CUSTODSG", 0), "key blocks stand");
    assert_eq!(vault.day_key_count(), 1);
    let readable = vault.due_readable(after, 10).segments;
    assert!(readable.len() == 2 && readable.iter().all(|due| due.camera == camera(3) && !due.is_keyless));
    let volume = &vault.volumes()[0];
    let dayless = vault.due_dayless(volume, after, 10, &|_| false).segments;
    assert!(dayless.len() == 4 && dayless.iter().all(|due| due.camera != camera(3) && due.is_keyless));
    assert_eq!(vault.due_dayless(volume, after, 3, &|_| false).segments, dayless[..3], "oldest first");
    let ids: Vec<_> = vault.due(after).iter().map(|due| (house.volume, due.segment)).collect();
    let unreadable = vault.unreadable_among(&ids).unwrap();
    assert_eq!(unreadable.len(), 4, "no grant may keep their keys");
    assert_eq!(house.faults_at(&[], after), vec![], "and nothing is wrong with it");
    drop(vault);
    let vault = house.start_at(after);
    assert_eq!(vault.destroy_day_keys(after, 64, &nothing_held).destroyed, 0);
    erase_due(&vault, after);
    assert_eq!((house.segments("rolling").len(), vault.due_count(after).unwrap()), (1, 0));
    assert!(house.faults_at(&[], after).is_empty());
}

#[test]
fn a_day_of_which_anything_is_held_open_or_not_over_keeps_its_day_key() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 100);
    let after = at(86_400 + 200);
    let covers = |from, to| move |of: CameraNumber, over: Span| of == camera(1) && span(from, to).overlaps(over);
    assert_eq!(vault.destroy_day_keys(after, 9, &all_held).destroyed, 0);
    assert_eq!(vault.destroy_day_keys(after, 9, &covers(105, 106)).destroyed, 0);
    assert_eq!(vault.destroy_day_keys(at(86_400 + 99), 9, &nothing_held).destroyed, 0, "the second is not over");
    // Set apart, and still held: its key is all that is left of the day.
    let due = vault.due(after);
    vault.set_apart(&due[1]).unwrap();
    vault.destroy_key(&due[0], after).unwrap();
    assert_eq!(vault.destroy_day_keys(after, 9, &covers(105, 106)).destroyed, 0);
    let live = vault.live_segments(camera(1), span(0, 200), after).unwrap();
    assert!(vault.open_keys(&live, &house.officer, after).is_ok(), "V7");
    // The hold ends: it goes by its day key.
    assert_eq!(vault.destroy_day_keys(after, 9, &nothing_held).destroyed, 1);
    let apart = vault.due_apart(after, 9, &all_held);
    assert!(apart.len() == 1 && apart[0].is_keyless, "a hold that comes later brings nothing back");
}

#[test]
fn an_open_segment_keeps_its_day_key() {
    let house = House::new();
    let vault = house.start();
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(START, b"init").unwrap();
    append(&mut recorder, 0);
    vault.commit().unwrap();
    assert_eq!(vault.destroy_day_keys(at(3 * 86_400), 9, &nothing_held).destroyed, 0);
    assert!(vault.due(at(3 * 86_400)).is_empty());
}

#[test]
fn a_day_key_that_two_manifests_share_goes_when_the_later_of_both_is_over_and_both_say_so() {
    let (house, disk, vault) = proven();
    record(&vault, camera(1), 0);
    record_under(&vault, camera(1), 10, Retention::Ceiling(DAY * 7));
    assert_eq!(vault.destroy_day_keys(at(2 * 86_400), 9, &nothing_held).destroyed, 0);
    let after = at(8 * 86_400);
    let manifests = house.volume_dir().join("manifests");
    let records = |name: &str| {
        let bytes = crate::disk::read_file(&disk, &manifests.join(name), 1 << 20).unwrap();
        let (_, reader) = crate::segment::RecordReader::new(&bytes).unwrap();
        reader.filter(|record| matches!(record, ManifestRecord::DayKeyDestroyed { .. })).count()
    };
    // Between the two records the disk fails; then it is done again, and neither says it twice.
    let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::FlushFile;
    disk.fail(Failure { kinds, below: manifests.clone(), skip: 0, times: 1, error: Some(EIO) });
    let told = vault.destroy_day_keys(after, 9, &nothing_held);
    assert!(told.destroyed == 0 && told.failure.is_some());
    disk.mend();
    assert_eq!(vault.destroy_day_keys(after, 9, &nothing_held).destroyed, 1);
    assert!(house.files("keys").is_empty());
    for name in house.files("manifests") {
        assert_eq!(records(&name), 1);
    }
    assert_eq!(house.faults_at(&[], after), vec![]);
    drop(vault);
    let vault = house.start_at(after);
    assert_eq!(vault.due_readable(after, 9).segments.len(), 0);
    erase_due(&vault, after);
    assert_eq!(house.faults_at(&[], after), vec![]);
}

#[test]
fn what_was_open_when_its_volume_failed_is_due_in_its_time_without_a_restart() {
    let (house, disk, vault) = proven();
    record(&vault, camera(1), 0);
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(at(10), b"init").unwrap();
    append(&mut recorder, 0);
    vault.commit().unwrap();
    append(&mut recorder, 1);
    vault.volumes()[0].latch(&"a test");
    let facts = FragmentFacts { first_pts_90k: 180_000, duration_90k: 90_000, frames: 10, sync: true };
    assert!(recorder.append(facts, &picture(2)).is_err());
    assert!(vault.due(at(86_400 + 5)).len() == 1);
    let after = at(2 * 86_400);
    assert_eq!((vault.due(after).len(), vault.due_count(after).unwrap()), (2, 2));
    erase_due(&vault, after);
    assert!(house.segments("rolling").is_empty() && !disk.device_holds(b"CUSTODSG", 0));
    destroy_day_keys(&vault, after).unwrap();
    assert!(house.files("keys").is_empty());
    let rows = vault.unreceipted().unwrap();
    assert_eq!(rows.iter().map(|row| row.segments).sum::<u32>(), 2);
    drop((recorder, vault));
    assert_eq!(house.faults_at(&[], after), vec![]);
    let vault = house.start_at(after);
    assert!(vault.due(after).is_empty());
    assert_eq!(house.faults_at(&[], after), vec![]);
}

#[test]
fn receipts_are_of_a_camera_and_hour_and_wait_until_the_hour_is_gone() {
    let (house, _disk, vault) = proven();
    const HOUR: u64 = 3_600;
    // START is ten o'clock.
    for of in 1..=2 {
        [0, 600, HOUR, HOUR + 600].into_iter().for_each(|from| record(&vault, camera(of), from));
    }
    let sooner = at(86_400 + HOUR + 30);
    erase_due(&vault, sooner);
    let receipts = vault.receipts(sooner);
    let told: Vec<_> = receipts.rows.iter().map(|row| (row.camera, row.hour.unwrap(), row.segments)).collect();
    assert_eq!(told, [(camera(1), at(0), 2), (camera(2), at(0), 2)], "the second hour is not gone yet");
    assert!(receipts.rows.iter().all(|row| row.failures == 0 && row.overwrite == Overwrite::Proven));
    assert!(receipts.rows.iter().all(|row| row.read_back_percent.unwrap() >= 5 && row.device.is_some()));
    assert_eq!(receipts.rows[0].span, span(0, 610));
    // One more goes before the rows are written down as copied: it is not among them.
    erase_due(&vault, at(86_400 + HOUR + 605));
    vault.receipts_copied(&receipts).unwrap();
    drop(vault);
    let vault = house.start_at(sooner);
    let rows = vault.receipts(at(86_400 + HOUR + 700)).rows;
    let told: Vec<_> = rows.iter().map(|row| (row.camera, row.hour.unwrap(), row.segments)).collect();
    assert_eq!(told, [(camera(1), at(HOUR), 2), (camera(2), at(HOUR), 2)]);
    vault.receipts_copied(&vault.receipts(at(90_000 + HOUR))).unwrap();
    assert!(vault.unreceipted().unwrap().is_empty());
    assert_eq!(vault.volumes()[0].lock().manifests.values().next().unwrap().sum().unreceipted, 0);
}

#[test]
fn receipts_of_an_hour_that_does_not_go_whole_wait_two_hours_at_most() {
    let (_house, _disk, vault) = proven();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 600);
    let first_gone = at(86_400 + 60);
    erase_due(&vault, first_gone);
    assert!(vault.receipts(first_gone).rows.is_empty());
    let later = first_gone.saturating_add(Duration::from_secs(2 * 3_600));
    assert_eq!(vault.receipts(later).rows.len(), 1);
    assert_eq!(vault.unreceipted().unwrap().len(), 1);
}

#[test]
fn so_much_is_read_back_as_is_configured() {
    let (house, disk) = House::simulated();
    let volume = Volume::open(Arc::clone(&house.disk), &house.volume_dir(), SITE, false).unwrap().reading_back(100);
    let catalog = Catalog::open(&house.dir.path().join("catalog")).unwrap();
    let vault = Arc::new(Vault::start(vec![volume], catalog, START).unwrap());
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    record(&vault, camera(1), 0);
    let after = at(2 * 86_400);
    let before = disk.operations();
    erase_due(&vault, after);
    let log = disk.log();
    let reads = log[before..].iter().filter(|one| one.kind == OperationKind::Read);
    let in_file = reads.filter(|one| one.path.starts_with(house.volume_dir().join("rolling"))).count();
    assert_eq!(in_file, 4, "each of its four strides");
    assert_eq!(vault.unreceipted().unwrap()[0].read_back_percent, Some(100));
}
