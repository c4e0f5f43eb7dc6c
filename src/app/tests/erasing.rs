//! What goes wrong around the eraser, and stops it from nothing.

use super::play::{DAY, Ground, Play};
use crate::disk::{Failure, OperationKind, PowerCut};
use crate::ledger::Act;
use crate::retention::RetentionError;
use std::time::Duration;

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn destructions(play: &Play) -> usize {
    play.rows().iter().filter(|row| matches!(row.act, Act::FootageDestroyed(_))).count()
}

/// E4.
#[test]
fn a_full_disk_of_the_ledger_stops_no_erasing_and_its_receipts_come_later() {
    let ground = Ground::new();
    let mut play = Play::new(&ground, None);
    for of in 1..=3 {
        play.record(of, 0, 2);
    }
    play.advance(DAY * 2);
    let takes_room: fn(OperationKind) -> bool =
        |kind| matches!(kind, OperationKind::Write | OperationKind::Allocate | OperationKind::Create);
    let below = ground.state().join("ledger");
    play.disk.fail(Failure { kinds: takes_room, below, skip: 0, times: usize::MAX, error: Some(ENOSPC) });
    let told = play.built().eraser.round();
    assert!(matches!(told, Err(RetentionError::Ledger(_))), "{told:?}");
    assert!(play.files("rolling").is_empty() && play.files("keys").is_empty(), "erasing waits for nothing");
    assert!(!play.disk.device_holds(b"CUSTODSG", 0));
    let waiting = play.built().vault.unreceipted().unwrap();
    assert_eq!(waiting.iter().map(|receipt| receipt.segments).sum::<u32>(), 3, "they stand in the manifests");
    assert_eq!(destructions(&play), 0);
    play.disk.mend();
    let mut play = play.cut(PowerCut::Lost);
    play.start();
    play.built().eraser.round().unwrap();
    assert_eq!(destructions(&play), 3);
    assert!(play.built().vault.unreceipted().unwrap().is_empty());
}

#[test]
fn a_file_that_cannot_be_overwritten_is_an_alarm_and_stands_in_no_others_way() {
    let ground = Ground::new();
    let mut play = Play::new(&ground, None);
    (0..12).for_each(|number| play.record(1, number * 10, 1));
    play.advance(DAY * 2);
    let bad = play.files("rolling").remove(4);
    let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Write;
    // Its key block goes, the rest of it does not.
    play.disk.fail(Failure { kinds, below: bad.clone(), skip: 1, times: usize::MAX, error: Some(EIO) });
    for _ in 0..3 {
        let told = play.built().eraser.round();
        assert!(matches!(told, Err(RetentionError::Postponed { segments: 1, .. })), "{told:?}");
        assert_eq!(play.files("rolling"), std::slice::from_ref(&bad));
    }
    assert_eq!(play.built().eraser.postponed_count(), 1);
    play.disk.mend();
    play.advance(Duration::from_secs(10));
    assert_eq!(play.built().eraser.round().unwrap().erased, 1);
    assert!(play.files("rolling").is_empty());
    assert_eq!(play.built().eraser.postponed_count(), 0);
}
