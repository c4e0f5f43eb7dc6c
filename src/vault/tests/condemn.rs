//! Footage that is ended before its day.

use super::*;
use crate::clock::ManualClock;
use crate::disk::{Failure, OperationKind};
use crate::ledger::{Ledger, SharedLedger};
use crate::retention::Eraser;
use std::sync::Mutex;

fn holds(house: &House) -> Holds {
    Holds::open(Arc::clone(&house.disk), house.dir.path().join("holds")).unwrap()
}

fn all(vault: &Vault, now: Utc) -> Vec<LiveSegment> {
    let of = |number| vault.live_segments(camera(number), span(0, 400 * 86_400), now).unwrap();
    [1, 2, 3].into_iter().flat_map(of).collect()
}

fn why(told: &Condemnation) -> Vec<NotCondemned> {
    told.refused.iter().map(|(_, _, why)| *why).collect()
}

#[test]
fn what_is_condemned_is_gone_at_once_and_after_a_restart_and_its_receipt_says_why() {
    for trigger in [DestructionTrigger::Early, DestructionTrigger::ErasureRequest] {
        let house = House::new();
        let vault = house.start();
        record(&vault, camera(1), 0);
        record(&vault, camera(1), 10);
        vault.commit().unwrap();
        let live = all(&vault, at(30));
        assert_eq!(live.len(), 2);
        let keys = vault.open_keys(&live, &house.officer, at(30)).unwrap();
        let told = vault.condemn(&live[..1], &holds(&house), trigger, at(30)).unwrap();
        assert_eq!(told.condemned, [(house.volume, live[0].segment)]);
        assert!(told.bytes > 9_000 && told.refused.is_empty(), "{told:?}");
        let is_gone = |vault: &Vault| {
            assert_eq!(all(vault, at(30)).len(), 1, "not listed");
            let gone = |told: Result<(), VaultError>| match told {
                Err(VaultError::Destroyed { at: when, trigger: why }) => (when, why) == (at(30), trigger),
                other => panic!("{other:?}"),
            };
            assert!(gone(vault.find(camera(1), span(0, 10), live[0].segment, at(30)).map(drop)));
            assert!(gone(vault.read(&keys[0].0, at(30)).map(drop)), "who listed it before cannot open it");
            let told = vault.availability(camera(1), span(0, 10), at(30)).unwrap();
            let wanted = Availability::Destroyed { span: span(0, 10), at: at(30), trigger, in_doubt: false };
            assert_eq!(told, [wanted]);
            let due = vault.due(at(30));
            assert_eq!(
                due.iter().map(|due| (due.segment, due.trigger())).collect::<Vec<_>>(),
                [(live[0].segment, trigger)]
            );
        };
        is_gone(&vault);
        assert_eq!(vault.commit().map_err(|e| e.to_string()), Ok(()));
        drop(vault);
        let bare = BareVolume::read(&house.disk, &house.volume_dir()).unwrap();
        assert_eq!((bare.segments.len(), bare.destroyed, bare.faults.len()), (1, 1, 0), "nor is it recovered");
        assert!(house.faults_at(&[], at(40)).is_empty());
        let faults = house.faults_at(&[], at(30 + 3_601));
        assert!(faults.iter().any(|fault| fault.what.contains("and is still here")), "{faults:?}");
        let vault = house.start_at(at(40));
        vault.catch_up(&|| false).unwrap();
        is_gone(&vault);
        let due = vault.due(at(50))[0];
        vault.destroy_key(&due, at(50)).unwrap();
        drop(vault);
        let vault = house.start_at(at(60));
        let due = vault.due(at(60))[0];
        assert!(
            due.is_keyless && due.trigger() == trigger,
            "its keys are gone, its day is far, and it is due: {due:?}"
        );
        // Whatever the eraser takes it for.
        vault.erase(&due, DestructionTrigger::Expiry, at(60)).unwrap();
        assert_eq!(vault.due(at(60)), []);
        let receipts = vault.unreceipted().unwrap();
        assert_eq!((receipts.len(), receipts[0].trigger, receipts[0].segments), (1, trigger, 1));
        assert_eq!(house.segments("rolling").len(), 1);
        assert!(house.faults_at(&[], at(60)).is_empty());
    }
}

#[test]
fn a_hold_a_floor_and_the_pen_on_it_win_over_a_condemnation() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    let mut floored = CameraRecorder::new(Arc::clone(&vault), camera(2), Retention::Floor(DAY * 30));
    floored.begin(at(0), b"init").unwrap();
    append(&mut floored, 0);
    floored.finish().unwrap();
    let mut open = CameraRecorder::new(Arc::clone(&vault), camera(3), RETENTION);
    open.begin(at(0), b"init").unwrap();
    append(&mut open, 0);
    vault.commit().unwrap();
    let mut held = holds(&house);
    held.place(Hold { of: HeldFor::Request(RequestId(1)), cameras: vec![camera(1)], span: span(9, 10) }).unwrap();
    let live = all(&vault, at(30));
    assert_eq!(live.len(), 4);
    for trigger in [DestructionTrigger::Early, DestructionTrigger::ErasureRequest] {
        let until = at(1).saturating_add(DAY * 30);
        let told = vault.condemn(&[live[0], live[2], live[3]], &held, trigger, at(30)).unwrap();
        assert_eq!(told.condemned, []);
        let mut told = why(&told);
        told.sort_by_key(|why| format!("{why:?}"));
        assert_eq!(told, [NotCondemned::Held, NotCondemned::StillOpen, NotCondemned::UnderFloor { until }]);
    }
    assert_eq!(all(&vault, at(30)).len(), 4);
    let told = vault.condemn(&live, &held, DestructionTrigger::Early, at(30)).unwrap();
    assert_eq!(told.condemned, [(house.volume, live[1].segment)], "what else is asked for is not held up by them");
    let told = vault.condemn(&live[1..2], &held, DestructionTrigger::ErasureRequest, at(31)).unwrap();
    assert_eq!(why(&told), [NotCondemned::Gone], "once is enough, and the first reason stays");
    // The floor has ended: then it is as any other.
    let told = vault.condemn(&live[2..3], &held, DestructionTrigger::ErasureRequest, at(31 * 86_400)).unwrap();
    assert_eq!(told.condemned.len(), 1);
    assert!(house.faults_at(&[], at(31)).is_empty());
}

#[test]
fn footage_that_stood_apart_can_be_condemned_once_nothing_holds_it() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    vault.commit().unwrap();
    let soon = Utc::from_micros(START.saturating_add(DAY).micros() - 5_000_000);
    let due = vault.due(START.saturating_add(DAY))[0];
    vault.set_apart(&due).unwrap();
    let live = all(&vault, soon);
    let told = vault.condemn(&live, &holds(&house), DestructionTrigger::ErasureRequest, soon).unwrap();
    assert_eq!(told.condemned.len(), 1);
    let due = vault.due(soon);
    assert_eq!((due.len(), due[0].is_apart, due[0].trigger()), (1, true, DestructionTrigger::ErasureRequest));
    vault.destroy_key(&due[0], soon).unwrap();
    vault.erase(&due[0], due[0].trigger(), soon).unwrap();
    assert!(house.segments("held").is_empty() && vault.due(soon).is_empty());
    assert!(house.faults_at(&[], soon).is_empty());
}

#[test]
fn a_trigger_that_ends_nothing_early_is_refused_before_anything_is_written() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let live = all(&vault, at(30));
    for trigger in [DestructionTrigger::Expiry, DestructionTrigger::HoldEnded, DestructionTrigger::NeverCommitted] {
        let before = vault.volumes()[0].manifest_heads();
        let told = vault.condemn(&live, &holds(&house), trigger, at(30));
        assert!(matches!(told, Err(VaultError::NotCondemning { .. })), "{told:?}");
        assert_eq!(vault.volumes()[0].manifest_heads(), before);
    }
}

#[test]
fn a_full_disk_while_it_is_recorded_leaves_each_segment_whole_or_condemned() {
    for skip in 0..3 {
        let (house, disk) = House::simulated();
        let vault = house.start();
        (0..3).for_each(|number| record(&vault, camera(1), number * 10));
        vault.commit().unwrap();
        let live = all(&vault, at(60));
        let below = house.volume_dir().join("manifests");
        let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Write;
        disk.fail(Failure { kinds, below, skip, times: 1, error: Some(28) });
        assert!(vault.condemn(&live, &holds(&house), DestructionTrigger::Early, at(60)).is_err());
        disk.mend();
        assert_eq!(all(&vault, at(60)).len(), 3 - skip, "what was recorded before counts");
        let again = vault.condemn(&live, &holds(&house), DestructionTrigger::Early, at(61)).unwrap();
        assert_eq!(again.condemned.len(), 3 - skip);
        assert!(all(&vault, at(60)).is_empty());
        drop(vault);
        let vault = house.start_at(at(70));
        assert_eq!(vault.due(at(70)).len(), 3);
        assert!(house.faults_at(&[], at(70)).is_empty());
    }
}

/// The whole way: a hold that comes too late does not bring a condemned segment back.
#[test]
fn a_hold_that_comes_after_a_condemnation_comes_too_late() {
    let house = House::new();
    for sub in ["ledger", "grants"] {
        house.disk.create_dir(&house.dir.path().join(sub)).unwrap();
    }
    let root = house.dir.path().to_path_buf();
    let vault = house.start();
    record(&vault, camera(1), 0);
    vault.commit().unwrap();
    let hands = ManualClock::standing(at(30));
    let disk = || Arc::clone(&house.disk);
    let time = TrustedClock::start(hands.clock(), disk(), root.join("clock"), DAY, || true, None).unwrap();
    let held = Arc::new(Mutex::new(holds(&house)));
    let ledger = SharedLedger::new(Ledger::open(disk(), &root.join("ledger"), SITE, |_| {}).unwrap());
    let grants = GrantStore::new(disk(), root.join("grants"));
    let eraser = Eraser::new(Arc::clone(&vault), Arc::new(time), Arc::clone(&held), grants, ledger.clone());
    let live = all(&vault, at(30));
    vault.condemn(&live, &held.lock().unwrap(), DestructionTrigger::Early, at(30)).unwrap();
    held.lock()
        .unwrap()
        .place(Hold { of: HeldFor::Request(RequestId(1)), cameras: vec![camera(1)], span: span(0, 10) })
        .unwrap();
    assert_eq!(eraser.round().unwrap().erased, 1);
    assert!(house.segments("rolling").is_empty() && house.segments("held").is_empty());
    let mut triggers = Vec::new();
    let each = |row: crate::ledger::Row| {
        if let crate::ledger::Act::FootageDestroyed(receipt) = row.act {
            triggers.push(receipt.trigger);
        }
    };
    ledger.rows(each).unwrap();
    assert_eq!(triggers, [DestructionTrigger::Early]);
}
