//! The power goes while a doubt about the time ends: footage in doubt is corrected once, or bounded, and never destroyed
//! before its day.

use super::crashes::images;
use super::play::{DAY, Ground, Play, START, at, camera, picture};
use crate::access::AccessError;
use crate::clock::ManualClock;
use crate::crypto::generate_pair;
use crate::disk::{PowerCut, SimulatedDisk};
use crate::domain::{Retention, Span, Utc};
use crate::segment::FragmentFacts;
use crate::vault::CameraRecorder;
use std::sync::Arc;
use std::time::Duration;

const OFF: Duration = Duration::from_secs(100 * 3_600);
const FLOOR: Retention = Retention::Floor(Duration::from_secs(86_400));
const SEGMENTS: u16 = 6;

/// Some cameras in doubt, over two days and so two manifests.
fn record_in_doubt(play: &Play) {
    let built = play.built();
    assert!(built.time.is_in_doubt());
    for of in 1..=SEGMENTS {
        let mut recorder = CameraRecorder::new(Arc::clone(&built.vault), camera(of), FLOOR);
        recorder.date_in(built.time.reading().mark);
        let from = u64::from(of % 2) * 86_400;
        recorder.begin(at(from), b"init").unwrap();
        let facts = FragmentFacts { first_pts_90k: 0, duration_90k: 90_000, frames: 10, sync: true };
        recorder.append(facts, &picture(of, from, 0)).unwrap();
        recorder.finish().unwrap();
    }
    built.vault.commit().unwrap();
    built.vault.commit().unwrap();
}

/// Confirms the time as the wall has it, in two steps.
fn confirm(play: &mut Play, stated: Utc) {
    let officer = play.sign_in("officer");
    let access = Arc::clone(&play.built().access);
    match access.confirm_clock(&officer, stated, None, "officer-password") {
        Ok(_) => {}
        Err(AccessError::ClockDestroys { segments, .. }) => {
            assert_eq!(segments, 0, "all of it was filmed just now");
            access.confirm_clock(&officer, stated, Some(0), "officer-password").map(drop).unwrap();
        }
        Err(e) => panic!("{e}"),
    }
}

/// Starts on what a cut left, ends the doubt where it goes on, and looks at what there is.
fn is_sound(ground: &Ground, disk: &SimulatedDisk, what: &str) {
    let mut play = Play::on(ground, disk.clone(), generate_pair().unwrap().0, None);
    play.hands = ManualClock::standing(START.saturating_add(OFF));
    play.start_unsynchronised();
    let wall = play.hands.clock().wall();
    confirm(&mut play, wall);
    let built = play.built();
    assert!(!built.time.is_in_doubt(), "{what}");
    assert_eq!(built.time.trusted(), wall, "{what}");
    let year = Span::new(START.saturating_sub(DAY), START.saturating_add(DAY * 365)).unwrap();
    for of in 1..=SEGMENTS {
        let live = built.vault.live_segments(camera(of), year, START).unwrap();
        let [live] = live[..] else { panic!("{what}: camera {of}: {live:?}") };
        let (said, correction) = (at(u64::from(of % 2) * 86_400), live.dating.correction);
        let off = i64::try_from(OFF.as_micros()).unwrap();
        // Never twice: it is what it is, or bounded by it.
        assert_eq!(correction.most_micros, off, "{what}");
        assert!(correction.least_micros == off || correction.least_micros == 0, "{what}");
        assert_eq!(live.span.from(), correction.shown(said), "{what}");
        let end = said.saturating_add(Duration::from_secs(1) + OFF);
        assert_eq!(live.expires, end.saturating_add(DAY), "{what}: a floor goes by the latest");
    }
    built.eraser.round().unwrap();
    assert_eq!(play.files("rolling").len(), usize::from(SEGMENTS), "{what}");
}

#[test]
fn the_power_goes_at_every_step_of_the_end_of_a_doubt() {
    let ground = Ground::new();
    let mut play = Play::new(&ground, None);
    play.keep_time();
    let mut play = play.cut(PowerCut::Kept);
    play.hands.step_wall(i64::try_from(OFF.as_micros()).unwrap());
    play.start_unsynchronised();
    record_in_doubt(&play);
    let stated = play.hands.clock().wall();
    play.disk.keep_snapshots();
    confirm(&mut play, stated);
    let snapshots = play.disk.take_snapshots();
    assert!(snapshots.len() > 5);
    for snapshot in &snapshots {
        for (cut, disk) in images(snapshot) {
            is_sound(&ground, &disk, &format!("after operation {}, {cut:?}", snapshot.operations));
        }
    }
}
