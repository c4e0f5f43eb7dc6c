//! The status looks ahead: what is needed, what is there, and the day on which it will not do.

use super::super::capacity::{Foreseen, Foresight};
use super::play::{Ground, Play, START, at, camera};
use crate::config::CameraSet;
use crate::domain::Retention;
use crate::segment::FragmentFacts;
use crate::vault::CameraRecorder;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn camera_file(ground: &Ground) -> CameraSet {
    let text = "number = 1\nname = \"lobby\"\nplace = \"ground floor\"\narea = \"lobby\"\nclass = \"public-area\"\n\
                purpose = \"crime prevention\"\n\n[source]\nurl = \"rtsp://192.0.2.7/stream1\"\n";
    std::fs::write(ground.root().join("camera-config/lobby.toml"), text).unwrap();
    let (set, errors) = CameraSet::load(&ground.site);
    assert!(errors.is_empty(), "{errors:?}");
    set
}

/// `minutes` of a camera, in one segment that takes 4 MiB of the disk.
fn record(play: &Play, of: u16, from: u64, minutes: u32) {
    let vault = Arc::clone(&play.built().vault);
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(of), Retention::Ceiling(DAY * 30));
    recorder.begin(at(from), b"init").unwrap();
    let facts = FragmentFacts { first_pts_90k: 0, duration_90k: 90_000 * 60 * minutes, frames: 600, sync: true };
    recorder.append(facts, &vec![7; 1 << 20]).unwrap();
    recorder.finish().unwrap();
    vault.commit().unwrap();
    vault.commit().unwrap();
}

fn look(play: &Play, cameras: &CameraSet) -> Foreseen {
    let foresight = Foresight { fullness: Arc::clone(&play.built().fullness), warn_ahead: DAY * 7 };
    foresight.look(&play.built().vault, cameras, START)
}

#[test]
fn a_disk_that_will_be_full_is_told_of_days_ahead_once_enough_was_measured() {
    let ground = Ground::new();
    let cameras = camera_file(&ground);
    let play = Play::new(&ground, None);
    let told = look(&play, &cameras);
    assert_eq!((told.disk.unmeasured_cameras, told.disk.room.needed_bytes, told.disk.room.full_at), (1, 0, None));
    assert_eq!(told.disk.room.foreseen(), "");
    // Half an hour takes 4 MiB: 192 MiB a day, 5.6 GiB in 30 days.
    record(&play, 1, 0, 30);
    play.disk.tell_free(1 << 30);
    let told = look(&play, &cameras);
    let needed = told.disk.room.needed_bytes >> 20;
    assert!((5_700..5_800).contains(&needed), "{needed}");
    assert_eq!(told.alarms, [] as [String; 0], "half an hour says nothing yet: {:?}", told.disk.room);
    record(&play, 1, 1_800, 31);
    let told = look(&play, &cameras);
    let days = told.disk.room.full_at.unwrap().since(START).as_secs() / 86_400;
    assert!((4..=5).contains(&days), "1 GiB is full in five days: {days}");
    assert!(
        told.alarms.len() == 1 && told.alarms[0].starts_with("the disk will be full on 2026-11-2"),
        "{:?}",
        told.alarms
    );
    assert_eq!(told.volumes.len(), 1);
    let (one, all) = (&told.volumes[0], &told.disk.room);
    assert_eq!((one.needed_bytes, one.full_at, one.rolling_bytes), (all.needed_bytes, all.full_at, all.rolling_bytes));
    assert!(all.foreseen().contains("full on 2026-11-2"), "{}", all.foreseen());
    // It is foreseen, and not within the week.
    play.disk.tell_free(3 << 30);
    let told = look(&play, &cameras);
    assert!(told.alarms.is_empty() && told.disk.room.full_at.is_some(), "{:?}", told.disk.room);
    play.disk.tell_free(10 << 30);
    assert_eq!(look(&play, &cameras).disk.room.full_at, None, "it holds all of it");
    // A camera that was taken away still has what it has.
    let told = look(&play, &CameraSet::default());
    assert_eq!((told.disk.room.rolling_bytes >> 20, told.alarms.len()), (8, 0), "{:?}", told.disk.room);
}
