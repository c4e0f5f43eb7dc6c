use super::*;
use crate::clock::ManualClock;
use crate::domain::{Codec, Frame, Utc, VideoParameters};
use bytes::Bytes;
use futures::FutureExt as _;
use proptest::prelude::*;
use std::collections::BTreeSet;

const MINUTE: Duration = Duration::from_secs(60);

fn camera(number: u16) -> CameraNumber {
    CameraNumber::new(number).unwrap()
}

fn backlog(budget_bytes: u64) -> (ManualClock, Backlog) {
    let hands = ManualClock::standing(Utc::from_micros(0));
    let backlog = Backlog::new(budget_bytes, hands.clock());
    (hands, backlog)
}

/// Frame `number` of a camera that has ten a second and a key frame each second, of so many bytes.
fn frame(number: i64, sync: bool, bytes: usize) -> SourceEvent {
    let filmed_at = Utc::from_micros(number * 100_000);
    SourceEvent::Frame(Frame { filmed_at, pts_90k: number * 9_000, sync, data: Bytes::from(vec![7; bytes]) })
}

fn parameters(width_px: u16) -> SourceEvent {
    let decoder_config = Bytes::from_static(b"configuration");
    SourceEvent::Parameters(VideoParameters { codec: Codec::H264, width_px, height_px: 9, decoder_config })
}

/// What is left, in words: `7` for frame 7, `d2-6` for two that were dropped, the last of them frame 6.
fn taken(events: &mut Events) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = events.try_recv() {
        told.push(match event {
            SourceEvent::Frame(frame) => (frame.pts_90k / 9_000).to_string(),
            SourceEvent::Dropped { frames, until } => format!("d{frames}-{}", until.micros() / 100_000),
            SourceEvent::Parameters(parameters) => format!("p{}", parameters.width_px),
            other => format!("{other:?}"),
        });
    }
    told
}

fn numbers(from: i64, to: i64) -> impl Iterator<Item = String> {
    (from..to).map(|number| number.to_string())
}

#[test]
fn the_oldest_whole_gops_go_and_what_writing_began_with_is_finished() {
    // Forty frames of 1,000 bytes and what they take beside them.
    let (_, backlog) = backlog(40 * 1_192);
    let (intake, mut events) = backlog.line(camera(1));
    intake.push(parameters(1)).unwrap();
    (0..10).for_each(|n| intake.push(frame(n, n % 10 == 0, 1_000)).unwrap());
    // Writing took the beginning of the first.
    let first: Vec<SourceEvent> = (0..3).filter_map(|_| events.try_recv()).collect();
    assert_eq!(first.len(), 3);
    (10..45).for_each(|n| intake.push(frame(n, n % 10 == 0, 1_000)).unwrap());
    let report = backlog.report(MINUTE);
    assert_eq!((report.dropped_frames, report.dropping), (30, vec![camera(1)]));
    let wanted: Vec<String> = numbers(2, 10).chain(["d30-39".to_owned()]).chain(numbers(40, 45)).collect();
    assert_eq!(taken(&mut events), wanted);
    assert_eq!(backlog.report(MINUTE).waiting_bytes, 0);
}

#[test]
fn where_no_gop_is_whole_frames_go_up_to_the_next_that_can_be_decoded() {
    let (_, backlog) = backlog(20 * 1_192);
    let (intake, mut events) = backlog.line(camera(1));
    for n in 0..50 {
        intake.push(frame(n, n == 0 || n == 47, 1_000)).unwrap();
    }
    assert_eq!(taken(&mut events), ["d47-46", "47", "48", "49"]);
    // A camera without any key frame again.
    for n in 50..100 {
        intake.push(frame(n, false, 1_000)).unwrap();
    }
    assert_eq!(taken(&mut events).first().unwrap(), "d50-99");
}

#[test]
fn what_the_next_frames_need_is_kept_and_nothing_else_piles_up() {
    let (_, backlog) = backlog(30 * 1_192);
    let (intake, mut events) = backlog.line(camera(1));
    for n in 0..1_000 {
        intake.push(SourceEvent::Lost { packets: 1 }).unwrap();
        intake.push(parameters(u16::try_from(n % 7).unwrap())).unwrap();
        intake.push(SourceEvent::Told(Told::ClockAhead { micros: n })).unwrap();
        intake.push(frame(n, n == 0, 1_000)).unwrap();
    }
    assert!(backlog.report(MINUTE).waiting_bytes < 5_000, "{:?}", backlog.report(MINUTE));
    intake.push(parameters(9)).unwrap();
    intake.push(frame(1_000, true, 1_000)).unwrap();
    let told = taken(&mut events);
    let dropped = told.iter().filter(|one| one.starts_with('d')).count();
    let (last, before) = told.split_last().unwrap();
    assert!(dropped == 1 && last == "1000" && before.contains(&"p9".to_owned()), "{told:?}");
}

/// The site profile, a disk that takes nothing for a minute, and then all of it.
#[test]
fn ninety_seven_cameras_over_a_minute_without_a_disk_lose_the_oldest_and_all_alike() {
    const BUDGET: u64 = 64 << 20;
    let (hands, backlog) = backlog(BUDGET);
    let mut lines: Vec<(Intake, Events)> = (1..=97).map(|number| backlog.line(camera(number))).collect();
    let mut most = 0;
    for n in 0..600 {
        for (intake, _) in &lines {
            // 2 Mbps.
            intake.push(frame(n, n % 10 == 0, 25_000)).unwrap();
            most = most.max(backlog.report(MINUTE).waiting_bytes);
        }
        hands.advance(Duration::from_millis(100));
    }
    assert!(most <= BUDGET && most > BUDGET * 9 / 10, "{most}");
    let report = backlog.report(MINUTE);
    assert_eq!(report.dropping.len(), 97);
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    let mut dropped = 0;
    for (_, events) in &mut lines {
        let told = taken(events);
        // One gap, of whole GOPs, and behind it the newest seconds without a hole.
        let gap = told[0].strip_prefix('d').unwrap_or_else(|| panic!("{told:?}"));
        let (frames, last) = gap.split_once('-').unwrap();
        let (frames, last): (i64, i64) = (frames.parse().unwrap(), last.parse().unwrap());
        assert_eq!((frames % 10, last), (0, frames - 1));
        assert_eq!(told[1..], numbers(last + 1, 600).collect::<Vec<_>>());
        kept.insert(told.len() - 1);
        dropped += frames;
    }
    assert_eq!(dropped as u64, report.dropped_frames);
    let (least, most) = (*kept.first().unwrap(), *kept.last().unwrap());
    assert!(most - least <= 10, "evenly, to one GOP: {kept:?}");
    assert!(least >= 10, "half of the budget is what stays at least: {kept:?}");
    // It is over: nothing more is told of after a minute.
    assert_eq!(backlog.report(MINUTE).waiting_bytes, 0);
    hands.advance(MINUTE * 2);
    assert!(backlog.report(MINUTE).dropping.is_empty());
}

/// A disk at half the needed speed, for ten minutes.
#[test]
fn at_half_the_speed_each_camera_records_half_in_long_pieces_and_none_starves() {
    let (hands, backlog) = backlog(64 << 20);
    let mut lines: Vec<(Intake, Events)> = (1..=30).map(|number| backlog.line(camera(number))).collect();
    let mut written = vec![(0_u32, 0_u32); lines.len()];
    for n in 0..6_000 {
        for (number, (intake, events)) in lines.iter_mut().enumerate() {
            intake.push(frame(n, n % 10 == 0, 25_000)).unwrap();
            // Each second time one frame is written.
            if (n + number as i64) % 2 == 0 {
                loop {
                    match events.try_recv() {
                        Some(SourceEvent::Dropped { .. }) => written[number].1 += 1,
                        Some(_) => written[number].0 += 1,
                        None => panic!("there is always something to write"),
                    }
                    if !matches!(
                        backlog.lock().lines[&(number as u64)].events.front(),
                        Some((_, SourceEvent::Dropped { .. }))
                    ) {
                        break;
                    }
                }
            }
        }
        hands.advance(Duration::from_millis(100));
    }
    for (frames, gaps) in &written {
        assert!((2_900..=3_010).contains(frames), "half of it is written: {written:?}");
        // Each gap costs a segment: in ten minutes at half speed, one in some eight seconds.
        assert!((20..=110).contains(gaps), "{written:?}");
    }
}

#[test]
fn a_camera_that_floods_takes_its_shares_and_no_more() {
    let (_, backlog) = backlog(16 << 20);
    let mut lines: Vec<(Intake, Events)> = (1..=16).map(|number| backlog.line(camera(number))).collect();
    for n in 0..300 {
        for (number, (intake, _)) in lines.iter().enumerate() {
            intake.push(frame(n, n % 10 == 0, if number == 0 { 500_000 } else { 1_000 })).unwrap();
        }
    }
    assert_eq!(backlog.report(MINUTE).dropping, [camera(1)]);
    assert!(backlog.report(MINUTE).waiting_bytes <= (16 << 20) * MOST_SHARES / 16 + (15 * 300 * 1_192));
    for (_, events) in &mut lines[1..] {
        assert_eq!(taken(events).len(), 300);
    }
}

#[tokio::test]
async fn events_come_in_order_and_the_end_after_the_last() {
    let (_, backlog) = backlog(1 << 20);
    let (intake, mut events) = backlog.line(camera(1));
    let sending = tokio::spawn(async move {
        for n in 0..100 {
            intake.push(frame(n, n == 0, 10)).unwrap();
            if n % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    let mut next = 0;
    while let Some(event) = events.recv().await {
        let SourceEvent::Frame(frame) = event else { panic!("{event:?}") };
        assert_eq!(frame.pts_90k, next * 9_000);
        next += 1;
    }
    assert_eq!(next, 100);
    sending.await.unwrap();

    let (intake, events) = backlog.line(camera(1));
    intake.push(frame(0, true, 1_000)).unwrap();
    drop(events);
    assert!(matches!(intake.push(frame(1, false, 10)), Err(SourceError::RecorderGone)));
    assert_eq!(backlog.report(MINUTE).waiting_bytes, 0, "what nobody takes any more waits no more");
}

proptest! {
    /// B1, B2, B4 for any mix: what was taken and what was told as dropped are what was sent, in order, and a GOP of
    /// which anything is missing is missing from some frame on to its end.
    #[test]
    fn nothing_is_lost_untold(steps in prop::collection::vec((0..3_usize, 0..100_u8, 1..4_000_usize), 1..600)) {
        const BUDGET: u64 = 60_000;
        let (_, backlog) = backlog(BUDGET);
        let mut lines: Vec<(Intake, Events)> = (1..=3).map(|number| backlog.line(camera(number))).collect();
        let mut sent: Vec<Vec<bool>> = vec![Vec::new(); 3];
        let mut got: Vec<Vec<Option<i64>>> = vec![Vec::new(); 3];
        let take = |events: &mut Events, got: &mut Vec<Option<i64>>| {
            match events.try_recv() {
                Some(SourceEvent::Frame(frame)) => got.push(Some(frame.pts_90k / 9_000)),
                Some(SourceEvent::Dropped { frames, .. }) => got.extend((0..frames).map(|_| None)),
                Some(_) => {}
                None => return false,
            }
            true
        };
        for (at, what, bytes) in steps {
            let (intake, events) = &mut lines[at];
            if what < 20 {
                take(events, &mut got[at]);
                continue;
            }
            let sync = sent[at].is_empty() || what > 85;
            intake.push(frame(sent[at].len() as i64, sync, bytes)).unwrap();
            sent[at].push(sync);
            prop_assert!(backlog.report(MINUTE).waiting_bytes <= BUDGET);
        }
        for (at, (_, events)) in lines.iter_mut().enumerate() {
            while take(events, &mut got[at]) {}
            prop_assert_eq!(got[at].len(), sent[at].len());
            for (number, told) in got[at].iter().enumerate() {
                prop_assert!(told.is_none_or(|told| told == number as i64));
                // Behind a missing frame comes one that can be decoded, or another missing one.
                let follows = number > 0 && got[at][number - 1].is_none() && told.is_some();
                prop_assert!(!follows || sent[at][number], "{:?}", got[at]);
            }
        }
        prop_assert_eq!(backlog.report(MINUTE).waiting_bytes, 0);
    }
}

#[test]
fn a_recorder_is_woken_for_what_it_can_do_something_with_and_twice_a_second() {
    let (hands, backlog) = backlog(1 << 20);
    let (intake, mut events) = backlog.line(camera(1));
    // Takes all, and waits; tells how many it took.
    let taken = |events: &mut Events| {
        let mut taken = 0;
        while let Some(Some(_)) = events.recv().now_or_never() {
            taken += 1;
        }
        taken
    };
    let mut woken = Vec::new();
    assert_eq!(taken(&mut events), 0);
    for n in 0..12 {
        // Ten frames a second, and a key frame after one of them.
        intake.push(frame(n, n % 10 == 0, 100)).unwrap();
        if events.wake.notified().now_or_never().is_some() {
            woken.push((n, taken(&mut events)));
        }
        hands.advance(Duration::from_millis(100));
    }
    assert_eq!(woken, [(0, 1), (5, 5), (10, 5)]);
    intake.push(parameters(1)).unwrap();
    assert!(events.wake.notified().now_or_never().is_some(), "what is no frame is not kept waiting");
    intake.push(frame(12, false, 100)).unwrap();
    drop(intake);
    assert_eq!(taken(&mut events), 3, "nor is the end, with what came before it");
}
