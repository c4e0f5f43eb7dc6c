use super::*;
use crate::catalog::Catalog;
use crate::clock::ManualClock;
use crate::crypto::generate_pair;
use crate::disk::{RealDisk, SharedDisk};
use crate::domain::{Codec, Retention, SiteId};
use crate::fragment::footage::film;
use crate::vault::{Availability, Vault, Volume};

const START: Utc = Utc::from_micros(1_795_341_600_000_000);
const RETENTION: Retention = Retention::Ceiling(Duration::from_secs(30 * 86_400));
const LIMIT: Duration = Duration::from_secs(72 * 3_600);

#[test]
fn turns_are_spread_over_the_minute_and_stay_so_after_all_began_at_once() {
    let minute = Duration::from_secs(60);
    let cameras: Vec<CameraNumber> = (1..=97).filter_map(CameraNumber::new).collect();
    for start_s in [0, 17, 59] {
        let start = START.saturating_add(Duration::from_secs(start_s));
        let first: Vec<Utc> = cameras.iter().map(|camera| next_turn(*camera, start, minute)).collect();
        assert!(first.iter().all(|turn| (minute / 4..minute * 5 / 4).contains(&turn.since(start))), "{first:?}");
        // A segment that began at its turn is as long as it should be; one that began a GOP behind it, as much shorter.
        for (camera, turn) in cameras.iter().zip(&first) {
            for late in [Duration::ZERO, Duration::from_secs(2), Duration::from_secs(44)] {
                assert_eq!(next_turn(*camera, turn.saturating_add(late), minute), turn.saturating_add(minute));
            }
        }
        let mut within: Vec<i64> = first.iter().map(|turn| turn.micros().rem_euclid(60_000_000)).collect();
        within.sort_unstable();
        for from in (0..60).map(|second| second * 1_000_000) {
            let count = within.iter().filter(|turn| (from..from + 1_000_000).contains(*turn)).count();
            assert!((1..=3).contains(&count), "{count} in the second from {from}: a mean one has 1.6");
        }
    }
}

/// Half a minute is recorded, and in the middle of it somebody vouches for a time that is `by_hours` later than the trusted one.
/// What there is then, and the true time of the first frame.
async fn recorded_over_a_move(was_off_hours: i64, by_hours: i64) -> (Vec<Availability>, Utc) {
    let hour_micros = 3_600_000_000;
    let dir = tempfile::tempdir().unwrap();
    let disk: SharedDisk = Arc::new(RealDisk);
    let (site, camera) = (SiteId([1; 16]), CameraNumber::new(1).unwrap());
    Volume::create(&disk, &dir.path().join("v1"), site).unwrap();
    let volume = Volume::open(Arc::clone(&disk), &dir.path().join("v1"), site, true).unwrap();
    let catalog = Catalog::open(&dir.path().join("catalog")).unwrap();
    let vault = Arc::new(Vault::start(vec![volume], catalog, START).unwrap());
    vault.set_recipients(vec![generate_pair().unwrap().1]);
    let hands = ManualClock::standing(START);
    let clock = || {
        let path = dir.path().join("clock");
        TrustedClock::start(hands.clock(), Arc::clone(&disk), path, LIMIT, || false, None).unwrap()
    };
    let vouch = |time: &TrustedClock, by_hours: i64| {
        let stated = time.trusted().plus_micros(by_hours * hour_micros);
        vault.confirm_time::<anyhow::Error>(time, stated, |_| Ok(())).unwrap();
    };
    vouch(&clock(), 0);
    hands.step_wall(was_off_hours * hour_micros);
    let time = Arc::new(clock());
    let recorder = CameraRecorder::new(Arc::clone(&vault), camera, RETENTION);
    let mut cutter = SegmentCutter::new(recorder, camera, Arc::clone(&time), Duration::from_secs(10));
    let film = film(Codec::H264, 30, &["-g", "10", "-keyint_min", "10", "-sc_threshold", "0", "-bf", "0"]);
    cutter.take(SourceEvent::Parameters(film.parameters.clone())).await.unwrap();
    let began = time.trusted().plus_micros(by_hours * hour_micros);
    for (number, frame) in film.frames.iter().enumerate() {
        if number == film.frames.len() / 2 {
            vouch(&time, by_hours);
        }
        let filmed_at = hands.clock().wall();
        cutter.take(SourceEvent::Frame(Frame { filmed_at, ..frame.clone() })).await.unwrap();
        hands.advance(Duration::from_millis(100));
    }
    cutter.end_segment().await.unwrap();
    vault.commit().unwrap();
    vault.commit().unwrap();
    let whole = Span::new(Utc::from_micros(0), START.saturating_add(LIMIT * 100)).unwrap();
    (vault.availability(camera, whole, START).unwrap(), began)
}

/// Frames follow each other without a hole, though the clock went days on between two of them: before, as it was corrected.
#[tokio::test]
async fn over_the_end_of_a_doubt_footage_is_one_stretch() {
    // In doubt; believed, and 5 h slow; believed, and 5 h fast.
    for (was_off_hours, by_hours) in [(100, 100), (10, 5), (10, -5)] {
        let (pieces, began) = recorded_over_a_move(was_off_hours, by_hours).await;
        assert!(pieces.len() >= 3, "{pieces:?}");
        let mut reached = began;
        for piece in &pieces {
            let Availability::Footage { span, in_doubt: false } = piece else { panic!("{pieces:?}") };
            let apart = span.from().micros_since(reached).unsigned_abs();
            assert!(apart < 500_000, "off {was_off_hours} h, moved {by_hours} h: {apart} us before {span}: {pieces:?}");
            reached = span.to();
        }
        assert!(reached.micros_since(began) >= 29_000_000, "{pieces:?}");
    }
}

mod full_disk {
    use super::*;
    use crate::catalog::Catalog;
    use crate::clock::ManualClock;
    use crate::crypto::generate_pair;
    use crate::disk::{SharedDisk, SimulatedDisk};
    use crate::domain::{Retention, SiteId};
    use crate::vault::{Availability, Vault, Volume};

    /// 2026-11-22T10:00:00Z.
    const START: Utc = Utc::from_micros(1_795_341_600_000_000);

    fn at(second: u32) -> Utc {
        START.saturating_add(Duration::from_secs(u64::from(second)))
    }

    /// One camera's cutter on a disk in memory, and a clock that stands.
    pub(super) fn clinic_on_a_simulated_disk()
    -> (tempfile::TempDir, SimulatedDisk, Arc<Vault>, ManualClock, SegmentCutter) {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let disk = SimulatedDisk::new(&[dir.path()]);
        let shared: SharedDisk = Arc::new(disk.clone());
        let (place, site, day) = (dir.path().join("v1"), SiteId([1; 16]), Duration::from_secs(86_400));
        Volume::create(&shared, &place, site).unwrap();
        let volume = Volume::open(Arc::clone(&shared), &place, site, false).unwrap();
        let catalog = Catalog::open(&dir.path().join("catalog")).unwrap();
        let vault = Arc::new(Vault::start(vec![volume], catalog, START).unwrap());
        vault.set_recipients(vec![generate_pair().unwrap().1]);
        let hands = ManualClock::standing(START);
        let clock = TrustedClock::start(hands.clock(), shared, dir.path().join("clock"), day, || true, None).unwrap();
        let camera = CameraNumber::new(1).unwrap();
        let recorder = CameraRecorder::new(Arc::clone(&vault), camera, Retention::Ceiling(day * 30));
        let cutter = SegmentCutter::new(recorder, camera, Arc::new(clock), Duration::from_secs(60));
        (dir, disk, vault, hands, cutter)
    }

    #[tokio::test]
    async fn while_the_disk_is_full_the_gap_is_recorded_as_it_grows() {
        let (_dir, disk, vault, hands, mut cutter) = clinic_on_a_simulated_disk();
        let camera = CameraNumber::new(1).unwrap();
        cutter.init = Some(init_segment(&film(Codec::H264, 1, &[]).parameters).unwrap());
        let mut refused = 0;
        for second in 0..3_000 {
            // Room for an hour, none for half an hour, and room again.
            disk.tell_free(if (300..2_100).contains(&second) { 0 } else { 1 << 40 });
            hands.advance(at(second).since(hands.clock().wall()));
            let (pts_90k, data) = (i64::from(second) * 90_000, Bytes::from_static(&[0, 0, 0, 1, 0x65]));
            let frame = Frame { filmed_at: at(second), pts_90k, sync: true, data };
            match cutter.take(SourceEvent::Frame(frame)).await {
                Ok(()) => {}
                Err(RecordError::Vault(e)) => {
                    assert!(e.is_full(), "{e}");
                    refused += 1;
                }
                Err(e) => panic!("{e}"),
            }
            if second == 2_000 {
                let whole = Span::new(START, at(second)).unwrap();
                let told = vault.availability(camera, whole, at(second)).unwrap();
                let missing: Duration = told.iter().filter_map(gap).map(Span::length).sum();
                assert!(missing > TOLD_EVERY, "it goes on, and is told of: {told:?}");
            }
        }
        assert!(refused > 800, "{refused}");
        cutter.end_segment().await.unwrap();
        let told = vault.availability(camera, Span::new(START, at(2_990)).unwrap(), at(3_000)).unwrap();
        let missing: Duration = told.iter().filter_map(gap).map(|gap| gap.to().since(gap.from())).sum();
        assert!((1_700..=1_810).contains(&missing.as_secs()), "{missing:?}");
        // Footage or a gap: no second is told nothing of.
        for pair in told.windows(2) {
            assert!(pair[1].span().from().since(pair[0].span().to()) < Duration::from_secs(2), "{pair:?}");
        }
    }

    fn gap(piece: &Availability) -> Option<Span> {
        match piece {
            Availability::Gap { span, cause: GapCause::DiskFull } => Some(*span),
            Availability::Gap { .. } | Availability::Footage { .. } | Availability::Destroyed { .. } => None,
        }
    }
}

mod gaps {
    use super::full_disk::clinic_on_a_simulated_disk;
    use super::*;
    use crate::fragment::footage::Footage;

    /// One camera's way from its frames to what is told of them.
    struct Way {
        _dir: tempfile::TempDir,
        vault: Arc<Vault>,
        hands: ManualClock,
        cutter: SegmentCutter,
        film: Footage,
    }

    impl Way {
        fn new(gop: u32) -> Self {
            let (dir, _, vault, hands, cutter) = clinic_on_a_simulated_disk();
            let gop = gop.to_string();
            let film = film(Codec::H264, 20, &["-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0", "-bf", "0"]);
            Self { _dir: dir, vault, hands, cutter, film }
        }

        /// Frames of the film, ten a second; those of `dropped` are told as such.
        async fn take(&mut self, frames: std::ops::Range<usize>, dropped: std::ops::Range<usize>) {
            let parameters = SourceEvent::Parameters(self.film.parameters.clone());
            self.cutter.take(parameters).await.unwrap();
            for number in frames {
                let filmed_at = START.saturating_add(Duration::from_millis(100) * u32::try_from(number).unwrap());
                self.hands.advance(filmed_at.since(self.hands.clock().wall()));
                if !dropped.contains(&number) {
                    let frame = Frame { filmed_at, ..self.film.frames[number].clone() };
                    self.cutter.take(SourceEvent::Frame(frame)).await.unwrap();
                } else if number + 1 == dropped.end {
                    let frames = u32::try_from(dropped.len()).unwrap();
                    self.cutter.take(SourceEvent::Dropped { frames, until: filmed_at }).await.unwrap();
                }
            }
        }

        /// In tenths of seconds since the start: what is told, and why of gaps.
        fn told(&self) -> Vec<(i64, i64, Option<GapCause>)> {
            self.vault.commit().unwrap();
            self.vault.commit().unwrap();
            let whole = Span::new(START, START.saturating_add(Duration::from_secs(60))).unwrap();
            let camera = CameraNumber::new(1).unwrap();
            let told = self.vault.availability(camera, whole, START).unwrap();
            let tenths = |at: Utc| (at.micros_since(START) + 50_000).div_euclid(100_000);
            let piece = |piece: &Availability| {
                let cause = match piece {
                    Availability::Gap { cause, .. } => Some(*cause),
                    Availability::Footage { .. } | Availability::Destroyed { .. } => None,
                };
                (tenths(piece.span().from()), tenths(piece.span().to()), cause)
            };
            told.iter().map(piece).collect()
        }
    }

    #[tokio::test]
    async fn what_was_dropped_is_a_gap_from_the_last_frame_to_the_next() {
        let mut way = Way::new(10);
        way.take(0..100, 30..60).await;
        way.cutter.end_session(GapCause::Disconnected).await.unwrap();
        assert_eq!(way.told(), [(0, 30, None), (30, 60, Some(GapCause::Overrun)), (60, 100, None)]);
        // However short the group was.
        let mut way = Way::new(2);
        way.take(0..100, 30..32).await;
        way.cutter.end_session(GapCause::Disconnected).await.unwrap();
        assert_eq!(way.told(), [(0, 30, None), (30, 32, Some(GapCause::Overrun)), (32, 100, None)]);
    }

    #[tokio::test]
    async fn each_gap_has_the_cause_of_its_own_time() {
        let mut way = Way::new(10);
        // Dropped up to the end of a session that then stalled; the next one began later, and was short.
        way.take(0..60, 30..60).await;
        way.cutter.end_session(GapCause::Stalled).await.unwrap();
        way.take(120..125, 0..0).await;
        way.cutter.end_session(GapCause::Unauthorized).await.unwrap();
        way.take(150..200, 0..0).await;
        way.cutter.end_session(GapCause::Disconnected).await.unwrap();
        let told = way.told();
        let (overrun, stalled) = (Some(GapCause::Overrun), Some(GapCause::Stalled));
        let unauthorized = Some(GapCause::Unauthorized);
        assert_eq!(told[..2], [(0, 30, None), (30, 59, overrun)], "{told:?}");
        assert_eq!(told[2..5], [(59, 120, stalled), (120, 125, None), (125, 150, unauthorized)], "{told:?}");
        assert_eq!(told[5..], [(150, 200, None)], "{told:?}");
    }

    #[tokio::test]
    async fn nothing_but_one_track_of_video_is_ever_sealed() {
        let mut way = Way::new(10);
        way.take(0..5, 0..0).await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("with-sound.mp4");
        // As a camera's own file would be: with a second track.
        let mut make = std::process::Command::new("ffmpeg");
        make.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=1"]);
        make.args(["-f", "lavfi", "-i", "sine=duration=1", "-movflags", "frag_keyframe+empty_moov"]).arg(&file);
        assert!(make.status().unwrap().success());
        let bytes = std::fs::read(&file).unwrap();
        let end = bytes.windows(4).position(|four| four == b"moof").unwrap() - 4;
        way.cutter.init = Some(Bytes::copy_from_slice(&bytes[..end]));
        let refused = way.cutter.end_session(GapCause::Disconnected).await;
        assert!(matches!(refused, Err(RecordError::Fragment(_))), "{refused:?}");
        assert_eq!(way.told(), [], "nothing was written");
    }
}
