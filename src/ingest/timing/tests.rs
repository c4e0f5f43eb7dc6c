use super::*;
use proptest::prelude::*;

/// A world in which frames are filmed at known times.
struct World {
    /// Wall minus true time.
    wall_is_ahead_micros: i64,
    /// The camera's PTS at true time zero, and how many millionths its clock runs fast.
    pts_at_zero_90k: i64,
    camera_runs_fast_ppm: i64,
    stamper: Stamper,
    out: Vec<(i64, Dated)>,
    filmed: VecDeque<i64>,
}

const START: i64 = 1_750_000_000_000_000;

impl World {
    fn new() -> Self {
        Self {
            wall_is_ahead_micros: 0,
            pts_at_zero_90k: 123_456_789,
            camera_runs_fast_ppm: 0,
            stamper: Stamper::default(),
            out: Vec::new(),
            filmed: VecDeque::new(),
        }
    }

    fn pts(&self, filmed: i64) -> i64 {
        self.pts_at_zero_90k + (filmed + filmed * self.camera_runs_fast_ppm / 1_000_000) * 9 / 100
    }

    /// A frame that is filmed at one true time and arrives at another, in microseconds.
    fn frame(&mut self, filmed: i64, arrives: i64) {
        let received = Received {
            at: Arrival {
                wall: Utc::from_micros(START + arrives + self.wall_is_ahead_micros),
                monotonic: Duration::from_micros(u64::try_from(arrives).unwrap() + 77_000_000),
            },
            pts_90k: self.pts(filmed),
            sync: true,
            data: Bytes::from_static(b"x"),
        };
        self.filmed.push_back(filmed);
        let ready = self.stamper.push(received);
        self.keep(ready);
    }

    fn keep(&mut self, ready: Vec<Dated>) {
        for dated in ready {
            let filmed = self.filmed.pop_front().unwrap();
            self.out.push((filmed, dated));
        }
    }

    /// Ten frames a second, each late by what `delay` says of its number.
    fn run(&mut self, from: i64, frames: i64, delay: impl Fn(i64) -> i64) {
        for i in 0..frames {
            let filmed = from + i * 100_000;
            self.frame(filmed, filmed + delay(i));
        }
    }

    fn finish(&mut self) -> Vec<(i64, Dated)> {
        let rest = self.stamper.finish();
        self.keep(rest);
        assert!(self.filmed.is_empty(), "frames were swallowed");
        std::mem::take(&mut self.out)
    }
}

/// How far `filmed_at` is from the truth.
fn error_micros(world: &World, filmed: i64, dated: &Dated) -> i64 {
    dated.frame.filmed_at.micros() - START - world.wall_is_ahead_micros - filmed
}

/// Delays of 2 to 22 ms, without any order.
fn jitter(i: i64) -> i64 {
    2_000 + (i * 7_919) % 20_000
}

fn moved(out: &[(i64, Dated)]) -> Vec<Reanchored> {
    out.iter().filter_map(|(_, dated)| dated.moved).collect()
}

fn rises(out: &[(i64, Dated)]) -> bool {
    out.windows(2).all(|pair| pair[0].1.frame.filmed_at < pair[1].1.frame.filmed_at)
}

#[test]
fn steady_frames_are_dated_within_30_ms_and_evenly() {
    let mut world = World::new();
    world.run(1_000_000, 600, jitter);
    let out = world.finish();
    assert_eq!(out.len(), 600);
    assert!(rises(&out) && moved(&out).is_empty());
    for (filmed, dated) in &out {
        let error = error_micros(&world, *filmed, dated);
        assert!((0..30_000).contains(&error), "{error}");
    }
    for pair in out[100..].windows(2) {
        let step = pair[1].1.frame.filmed_at.since(pair[0].1.frame.filmed_at).as_micros();
        assert!(step.abs_diff(100_000) < 1_000, "{step}");
    }
}

#[test]
fn a_burst_at_the_start_is_dated_back_and_does_not_stay() {
    for waiting in [1_000_000_i64, 4_000_000] {
        let mut world = World::new();
        let connected = 10_000_000;
        for i in 0..waiting / 100_000 {
            world.frame(connected - waiting + i * 100_000, connected + i * 1_000);
        }
        world.run(connected + 50_000, 100, jitter);
        let out = world.finish();
        assert!(rises(&out) && moved(&out).is_empty());
        for (filmed, dated) in &out {
            let error = error_micros(&world, *filmed, dated);
            assert!(error.abs() < 110_000, "{error}");
        }
        let (filmed, dated) = &out[60];
        assert!(error_micros(&world, *filmed, dated).abs() < 30_000);
    }
}

#[test]
fn no_burst_is_believed_to_reach_back_for_hours() {
    let mut world = World::new();
    world.frame(10_000_000, 10_000_000);
    world.pts_at_zero_90k += 3_600 * 90_000;
    world.run(10_100_000, 20, |_| 0);
    let out = world.finish();
    assert!(out[0].1.frame.filmed_at >= Utc::from_micros(START + 10_000_000), "an hour before the connection");
    assert!(rises(&out));
    assert_eq!(moved(&out).len(), 1);
}

#[test]
fn a_camera_whose_clock_drifts_is_followed() {
    for ppm in [-300, 300] {
        let mut world = World::new();
        world.camera_runs_fast_ppm = ppm;
        world.run(1_000_000, 36_000, jitter);
        let out = world.finish();
        assert!(rises(&out) && moved(&out).is_empty());
        for (filmed, dated) in &out {
            let error = error_micros(&world, *filmed, dated);
            assert!((-2_000..30_000).contains(&error), "{ppm}: {error}");
        }
    }
}

#[test]
fn a_slow_camera_is_followed_too() {
    let mut world = World::new();
    world.camera_runs_fast_ppm = -300;
    for i in 0..2_000 {
        world.frame(i * 5_000_000, i * 5_000_000 + jitter(i));
    }
    let out = world.finish();
    assert!(moved(&out).is_empty());
    let worst = out.iter().map(|(filmed, dated)| error_micros(&world, *filmed, dated).abs()).max().unwrap();
    assert!(worst < 60_000, "{worst}");
}

#[test]
fn a_step_of_the_wall_clock_is_followed_and_told_once() {
    for step in [3_600_000_000, -3_600_000_000, 700_000, 200_000, -30_000] {
        let mut world = World::new();
        world.run(1_000_000, 100, jitter);
        world.wall_is_ahead_micros = step;
        world.run(11_000_000, 100, jitter);
        let out = world.finish();
        let [Reanchored::WallClockStepped { by_micros }] = moved(&out)[..] else { panic!("{:?}", moved(&out)) };
        assert!((by_micros - step).abs() < 30_000, "{by_micros}");
        for (filmed, dated) in &out[100..] {
            let error = error_micros(&world, *filmed, dated);
            assert!((-5_000..50_000).contains(&error), "{error}");
        }
    }
}

#[test]
fn a_jump_of_the_cameras_clock_changes_the_anchor_not_the_time() {
    for seconds in [1_000, -1_000, 3, -3] {
        let mut world = World::new();
        world.run(1_000_000, 100, jitter);
        world.pts_at_zero_90k += seconds * 90_000;
        world.run(11_000_000, 100, jitter);
        let out = world.finish();
        assert!(rises(&out));
        let [Reanchored::CameraClockJumped { by_micros }] = moved(&out)[..] else { panic!("{:?}", moved(&out)) };
        assert!((by_micros + seconds * 1_000_000).abs() < 50_000, "{by_micros}");
        for (filmed, dated) in &out {
            let error = error_micros(&world, *filmed, dated);
            assert!((0..50_000).contains(&error), "{seconds}: {error}");
        }
    }
}

#[test]
fn a_stall_whose_backlog_then_comes_at_once_moves_nothing() {
    let mut world = World::new();
    world.run(1_000_000, 100, jitter);
    // Nothing for seven seconds; then what was filmed meanwhile, within 70 ms.
    world.run(11_000_000, 70, |i| 7_000_000 - i * 100_000 + i * 1_000);
    world.run(18_100_000, 100, jitter);
    let out = world.finish();
    assert!(rises(&out) && moved(&out).is_empty());
    for (filmed, dated) in &out {
        let error = error_micros(&world, *filmed, dated);
        assert!((-2_000..30_000).contains(&error), "{error}");
    }
}

#[test]
fn b_frames_are_dated_by_when_they_are_shown() {
    let mut world = World::new();
    for gop in 0..50 {
        let start = 1_000_000 + gop * 300_000;
        // Decode order: the last first, sent when it was filmed; the two between follow at once.
        for (place, frame) in [2, 0, 1].into_iter().enumerate() {
            let place = i64::try_from(place).unwrap();
            world.frame(start + frame * 100_000, start + 200_000 + 1_000 * place);
        }
    }
    let out = world.finish();
    assert!(moved(&out).is_empty());
    for (filmed, dated) in &out {
        assert!(error_micros(&world, *filmed, dated).abs() < 10_000);
    }
}

proptest! {
    #[test]
    fn whatever_comes_later_frames_are_never_dated_earlier(
        steps in proptest::collection::vec((-500_000..500_000_000_i64, 0..15_000_000_i64), 1..200),
    ) {
        let mut world = World::new();
        let (mut filmed, mut now) = (0, 0);
        for (step, passed) in steps {
            filmed += step / 90;
            now += passed;
            world.frame(filmed, now);
        }
        let out = world.finish();
        let mut latest: Option<(i64, Utc)> = None;
        for (_, dated) in &out {
            let (pts, at) = (dated.frame.pts_90k, dated.frame.filmed_at);
            match latest {
                Some((latest_pts, latest_at)) if dated.moved.is_none() && pts > latest_pts => {
                    prop_assert!(at > latest_at);
                    latest = Some((pts, at));
                }
                Some((_, latest_at)) if dated.moved.is_some() => {
                    prop_assert!(at > latest_at, "a camera's clock moved the time back");
                    latest = Some((pts, at));
                }
                Some(_) => {}
                None => latest = Some((pts, at)),
            }
        }
    }
}

/// A day of ten frames a second: the camera's clock drifts, each hour the network stalls for five seconds and then sends
/// what waited, every six hours the camera starts its time anew.
#[test]
fn over_a_day_frames_neither_jump_nor_drift() {
    const HOUR: i64 = 3_600_000_000;
    for ppm in [100, -100] {
        let mut world = World::new();
        world.camera_runs_fast_ppm = ppm;
        for hour in 0..24 {
            let from = 1_000_000 + hour * HOUR;
            if hour > 0 && hour % 6 == 0 {
                // As far as its clock had come, less a number that is none of ours.
                world.pts_at_zero_90k -= (hour * HOUR) * 9 / 100 + 777_777;
            }
            world.run(from, 18_000, jitter);
            world.run(from + 1_800_000_000, 50, |i| 5_000_000 - i * 100_000 + i * 800);
            world.run(from + 1_805_000_000, 17_950, jitter);
        }
        let out = world.finish();
        assert_eq!(out.len(), 24 * 36_000);
        assert_eq!(moved(&out).len(), 3, "its time began anew three times, and nothing else was told");
        assert!(rises(&out));
        let mut before: Option<Utc> = None;
        for (filmed, dated) in &out {
            let error = error_micros(&world, *filmed, dated);
            assert!((-3_000..30_000).contains(&error), "{ppm} ppm, at {filmed}: {error} us");
            let at = dated.frame.filmed_at;
            if let Some(before) = before.replace(at).filter(|_| dated.moved.is_none()) {
                let apart = at.micros_since(before);
                assert!((80_000..120_000).contains(&apart), "{ppm} ppm, at {filmed}: {apart} us apart");
            }
        }
    }
}

proptest! {
    /// Whatever the drift, the delays and one stall: dates are right to a few frames' delay, and evenly apart.
    #[test]
    fn dates_follow_any_drift_any_jitter_and_any_stall(
        ppm in -300..300_i64,
        delays in proptest::collection::vec(0..25_000_i64, 50),
        stalls_after in 100..900_i64,
        stall_frames in 1..90_i64,
        restarts_after in 100..1_000_i64,
        restart_90k in -1_000_000_000..1_000_000_000_i64,
    ) {
        let mut world = World::new();
        world.camera_runs_fast_ppm = ppm;
        let delay = |i: i64| delays[usize::try_from(i * 31 % 50).unwrap()];
        world.run(1_000_000, stalls_after, delay);
        let from = 1_000_000 + stalls_after * 100_000;
        world.run(from, stall_frames, |i| (stall_frames - i) * 100_000 + i * 700);
        let from = from + (stall_frames + 1) * 100_000;
        world.run(from, restarts_after, delay);
        world.pts_at_zero_90k += restart_90k;
        world.run(from + restarts_after * 100_000, 200, delay);
        let out = world.finish();
        prop_assert!(rises(&out));
        prop_assert!(moved(&out).len() <= 1);
        let set_back = restart_90k * 100 / 9;
        let early = if (-REANCHOR_MICROS..0).contains(&set_back) { set_back } else { 0 };
        for (filmed, dated) in &out {
            let error = error_micros(&world, *filmed, dated);
            // What is less than half a second cannot be told from a delay, and is taken back slowly; nor can times that a
            // restart set back by less.
            prop_assert!((early - 5_000..REANCHOR_MICROS + 60_000).contains(&error), "{} us", error);
        }
    }
}
