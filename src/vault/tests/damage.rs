//! What goes wrong around a volume: changed retention, moved files, damaged manifests, a volume that is away.

use super::*;

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

#[test]
fn a_file_that_stands_in_the_other_directory_is_destroyed_all_the_same() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let expiry = START.saturating_add(DAY);
    let due = vault.due(expiry)[0];
    // Moved apart, and then the full disk took no record of it.
    let name = due.segment.to_string();
    let held = house.volume_dir().join("held").join(&name);
    std::fs::rename(house.volume_dir().join("rolling").join(&name), &held).unwrap();
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
    let name = due.segment.to_string();
    std::fs::rename(house.volume_dir().join("rolling").join(&name), house.volume_dir().join("held").join(&name))
        .unwrap();
    vault.set_apart(&due).unwrap();
    assert!(vault.due(expiry)[0].is_apart);
    assert!(house.faults(&[]).is_empty());
}
