//! What goes wrong around a volume: changed retention, moved files, damaged manifests, a volume that is away.

use super::*;
use crate::disk::Disk;

/// Ten seconds of a camera from `from`, under a retention of its own.
fn record_under(vault: &Arc<Vault>, of: CameraNumber, from: u64, retention: Retention) {
    let mut recorder = CameraRecorder::new(Arc::clone(vault), of, retention);
    recorder.begin(at(from), b"init").unwrap();
    (0..10).for_each(|number| append(&mut recorder, number));
    recorder.finish().unwrap();
    vault.commit().unwrap();
}

fn destroy_due(vault: &Vault, now: Utc) {
    for due in vault.due(now) {
        vault.destroy_key(&due, now).unwrap();
        vault.erase(&due, DestructionTrigger::Expiry, now).unwrap();
    }
}

#[test]
fn a_day_key_stays_while_a_longer_retention_of_the_same_day_needs_it() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    // The installer lengthens the camera's period at noon.
    record_under(&vault, camera(1), 10, Retention::Ceiling(DAY * 7));
    let shorter_over = START.saturating_add(DAY * 2);
    destroy_due(&vault, shorter_over);
    vault.destroy_spent_day_keys(shorter_over).unwrap();
    let live = vault.live_segments(camera(1), span(0, 20), shorter_over).unwrap();
    assert_eq!(live.len(), 1);
    assert!(vault.open_keys(&live, &house.officer, shorter_over).is_ok(), "footage lost five days too early");
    let longer_over = START.saturating_add(DAY * 8);
    destroy_due(&vault, longer_over);
    vault.destroy_spent_day_keys(longer_over).unwrap();
    assert!(house.files("keys").is_empty());
}

/// A power cut between the end of a day key's slots and the record of it leaves blanks: nothing is lost with them.
#[test]
fn a_day_key_that_is_gone_is_missed_while_something_is_sealed_to_it_and_no_longer() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let key = house.volume_dir().join("keys").join(&house.files("keys")[0]);
    let whole = std::fs::read(&key).unwrap();
    std::fs::write(&key, vec![0; whole.len()]).unwrap();
    let faults = house.faults(&[]);
    assert!(faults.iter().any(|fault| fault.what.contains("nobody can open")), "{faults:?}");
    std::fs::remove_file(&key).unwrap();
    assert!(house.faults(&[]).iter().any(|fault| fault.what.contains("is missing")));
    std::fs::write(&key, &whole).unwrap();
    destroy_due(&vault, START.saturating_add(DAY * 2));
    std::fs::write(&key, vec![0; whole.len()]).unwrap();
    assert_eq!(house.faults(&[]), vec![]);
    std::fs::remove_file(&key).unwrap();
    assert_eq!(house.faults(&[]), vec![]);
}

#[test]
fn a_file_that_stands_in_the_other_directory_is_destroyed_all_the_same() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let expiry = START.saturating_add(DAY);
    let due = vault.due(expiry)[0];
    // Moved apart, and then the full disk took no record of it.
    let held = house.path_of("held", due.segment);
    std::fs::create_dir(held.parent().unwrap()).unwrap();
    std::fs::rename(house.path_of("rolling", due.segment), &held).unwrap();
    assert!(vault.live_segments(camera(1), span(0, 5), at(20)).is_ok_and(|live| vault.read(&live[0], at(20)).is_ok()));
    vault.destroy_key(&due, expiry).unwrap();
    assert!(std::fs::read(&held).unwrap()[..4096].iter().all(|byte| *byte == 0), "its key is still there");
    let told = vault.erase(&due, DestructionTrigger::Expiry, expiry).unwrap();
    assert_ne!(told, Overwrite::NothingThere, "a receipt for nothing");
    assert!(!held.exists());
}

#[test]
fn moving_apart_can_be_done_twice() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let expiry = START.saturating_add(DAY);
    let due = vault.due(expiry)[0];
    let held = house.path_of("held", due.segment);
    std::fs::create_dir(held.parent().unwrap()).unwrap();
    std::fs::rename(house.path_of("rolling", due.segment), held).unwrap();
    vault.set_apart(&due).unwrap();
    assert!(vault.due(expiry)[0].is_apart);
    assert!(house.faults(&[]).is_empty());
}

/// Three segments, an hour and more before the newest, which is still being written at the kill.
fn recorded_and_killed(house: &House) -> Vec<String> {
    let vault = house.start();
    (0..3).for_each(|number| record(&vault, camera(1), number * 10));
    record(&vault, camera(2), 2 * 3_600);
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(at(2 * 3_600), b"init").unwrap();
    (0..4).for_each(|number| append(&mut recorder, number));
    vault.commit().unwrap();
    house.segments("rolling")
}

/// Starts the vault, and tells why it did not.
fn refusal(house: &House) -> String {
    let volume = Volume::open(Arc::clone(&house.disk), &house.volume_dir(), SITE, true).unwrap();
    let catalog = Catalog::open(&house.dir.path().join("catalog")).unwrap();
    Vault::start(vec![volume], catalog, at(3 * 3_600)).unwrap_err().to_string()
}

#[test]
fn one_changed_byte_in_a_manifest_erases_nothing() {
    let house = House::new();
    let before = recorded_and_killed(&house);
    let manifest = house.volume_dir().join("manifests").join(&house.files("manifests")[0]);
    let whole = std::fs::read(&manifest).unwrap();
    for at_bytes in [64, 70, 80, 150, 200, whole.len() / 2] {
        let mut changed = whole.clone();
        changed[at_bytes] ^= 0x10;
        std::fs::write(&manifest, &changed).unwrap();
        assert!(refusal(&house).contains("Nothing was cut off or erased"), "{at_bytes}");
        assert_eq!(house.segments("rolling"), before, "{at_bytes}");
        assert_eq!(std::fs::read(&manifest).unwrap(), changed, "{at_bytes}");
    }
    std::fs::write(&manifest, &whole).unwrap();
    let vault = house.start_at(at(3 * 3_600));
    assert_eq!(vault.live_segments(camera(1), span(0, 30), at(3 * 3_600)).unwrap().len(), 3);
}

#[test]
fn a_manifest_cut_short_or_taken_away_erases_nothing() {
    let house = House::new();
    let before = recorded_and_killed(&house);
    let manifest = house.volume_dir().join("manifests").join(&house.files("manifests")[0]);
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    // The one that was being written is in the newest commit alone, and whether that was flushed is not known.
    assert!(refusal(&house).contains("4 segments"), "taken away");
    for length in [64, 100, whole.len() / 3, whole.len() / 2] {
        std::fs::write(&manifest, &whole[..length]).unwrap();
        assert!(refusal(&house).contains("Nothing was erased"), "{length}");
        assert_eq!(house.segments("rolling"), before, "{length}");
    }
}

#[test]
fn a_damaged_volume_stops_no_other() {
    let house = House::new();
    recorded_and_killed(&house);
    let manifest = house.volume_dir().join("manifests").join(&house.files("manifests")[0]);
    std::fs::write(&manifest, b"no manifest").unwrap();
    let second = house.dir.path().join("v2");
    Volume::create(&house.disk, &second, SITE).unwrap();
    let open = |dir: &Path| Volume::open(Arc::clone(&house.disk), dir, SITE, true).unwrap();
    let catalog = Catalog::open(&house.dir.path().join("catalog")).unwrap();
    let vault = Vault::start(vec![open(&house.volume_dir()), open(&second)], catalog, at(3 * 3_600)).unwrap();
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    let vault = Arc::new(vault);
    assert_eq!(vault.away().iter().map(|away| away.dir.clone()).collect::<Vec<_>>(), [house.volume_dir()]);
    record(&vault, camera(1), 3 * 3_600);
    assert_eq!(vault.live_segments(camera(1), span(10_800, 10_810), at(10_820)).unwrap().len(), 1);
}

#[test]
fn recording_stops_before_the_last_block_that_erasing_needs() {
    let (house, disk) = House::simulated();
    let vault = house.start();
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(at(0), b"init").unwrap();
    disk.tell_free(7 << 20);
    append(&mut recorder, 0);
    let facts = FragmentFacts { first_pts_90k: 90_000, duration_90k: 90_000, frames: 10, sync: true };
    let told = recorder.append(facts, &vec![7; 5 << 20]);
    assert!(matches!(told, Err(VaultError::DiskFull)), "it may not grow: {told:?}");
    let mut other = CameraRecorder::new(Arc::clone(&vault), camera(2), RETENTION);
    assert!(matches!(other.begin(at(0), b"init"), Err(VaultError::DiskFull)), "nor another begin");
    disk.tell_free(17 << 20);
    assert!(matches!(other.begin(at(0), b"init"), Err(VaultError::DiskFull)), "what it reserves is not to be had");
    disk.tell_free(21 << 20);
    other.begin(at(0), b"init").unwrap();
    assert!(!vault.volumes()[0].is_latched());
}

#[test]
fn a_failed_flush_condemns_the_volume_and_a_want_of_descriptors_does_not() {
    let failed = |number| VaultError::Disk { what: "x".into(), source: std::io::Error::from_raw_os_error(number) };
    let (mfile, nospc, io) = (24, 28, 5);
    assert!(!failed(mfile).condemns() && !failed(nospc).condemns() && failed(io).condemns());
    let (house, disk) = House::simulated();
    let vault = house.start();
    record(&vault, camera(1), 0);
    disk.fail_flushes_after(0);
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(2), RETENTION);
    assert!(recorder.begin(at(0), b"init").is_err(), "a day key is flushed");
    assert!(vault.volumes()[0].is_latched());
    assert!(matches!(vault.commit(), Err(VaultError::NoRoom)), "and no regular task is said to succeed again");
}

#[test]
fn without_a_commit_table_open_segments_are_kept_as_far_as_they_go() {
    for lost in [true, false] {
        let house = House::new();
        let vault = house.start();
        let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
        recorder.begin(START, b"init").unwrap();
        (0..4).for_each(|number| append(&mut recorder, number));
        vault.commit().unwrap();
        drop((recorder, vault));
        let commits = house.volume_dir().join("commits");
        if lost {
            std::fs::remove_file(&commits).unwrap()
        } else {
            std::fs::write(&commits, [7; 139_264]).unwrap()
        }
        let vault = house.start_at(at(60));
        let live = vault.live_segments(camera(1), span(0, 100), at(60)).unwrap();
        assert_eq!(live[0].span, span(0, 4), "lost: {lost}");
        let keys = vault.open_keys(&live, &house.officer, at(60)).unwrap();
        assert_eq!(open_all(&vault, &keys[0].0, &keys[0].1, at(60)).len(), 4);
        assert!(house.faults(&[]).is_empty());
    }
}

#[test]
fn a_deleted_or_older_index_is_rebuilt_and_answers_as_before() {
    let house = House::new();
    let index = house.dir.path().join("catalog");
    let copy = house.dir.path().join("older");
    let vault = house.start();
    record(&vault, camera(1), 0);
    let gap = span(10, 20);
    CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION).record_gap(gap, GapCause::Stalled).unwrap();
    vault.stop().unwrap();
    drop(vault);
    copy_dir(&index, &copy);
    let vault = house.start();
    record(&vault, camera(1), 20);
    vault.stop().unwrap();
    let whole = vault.availability(camera(1), span(0, 100), at(40)).unwrap();
    assert_eq!(whole.len(), 3);
    drop(vault);
    for older in [false, true] {
        std::fs::remove_dir_all(&index).unwrap();
        if older {
            copy_dir(&copy, &index);
        }
        let vault = house.start();
        assert!(!vault.index_is_current(), "older: {older}");
        assert_eq!(vault.availability(camera(1), span(0, 100), at(40)).unwrap(), whole, "from the manifests: {older}");
        vault.catch_up(&|| false).unwrap();
        assert!(vault.index_is_current());
        assert_eq!(vault.availability(camera(1), span(0, 100), at(40)).unwrap(), whole, "older: {older}");
        vault.stop().unwrap();
    }
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
    RealDisk.create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
