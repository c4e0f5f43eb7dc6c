//! Footage that was recorded while nobody knew the time: marked, corrected, kept as long as it should be.

use super::*;
use crate::clock::ManualClock;
use crate::domain::{Correction, Day, Doubt, HeldFor, Mark};
use crate::segment::{ManifestRecord, RecordStream};

const HOUR: Duration = Duration::from_secs(3_600);
const HOUR_MICROS: i64 = 3_600_000_000;
const LIMIT: Duration = Duration::from_secs(72 * 3_600);
const FLOOR: Retention = Retention::Floor(Duration::from_secs(86_400));

/// A site with a clock: `off` hours pass while nothing runs.
struct Site {
    house: House,
    hands: ManualClock,
}

struct Running {
    vault: Arc<Vault>,
    time: TrustedClock,
}

impl Site {
    /// Somebody vouched for the time at [`START`].
    fn new() -> Self {
        let site = Self { house: House::new(), hands: ManualClock::standing(START) };
        let running = site.start();
        running.confirm(START);
        site
    }

    fn clock(&self) -> TrustedClock {
        let (disk, path) = (Arc::clone(&self.house.disk), self.house.dir.path().join("clock"));
        TrustedClock::start(self.hands.clock(), disk, path, LIMIT, || false, None).unwrap()
    }

    fn start(&self) -> Running {
        let time = self.clock();
        let vault = self.house.start_dated(&time);
        vault.catch_up(&|| false).unwrap();
        Running { vault, time }
    }

    fn is_off(&self, hours: i64) {
        self.hands.step_wall(hours * HOUR_MICROS);
    }

    fn wall(&self) -> Utc {
        self.hands.clock().wall()
    }

    fn records(&self) -> Vec<ManifestRecord> {
        let mut records = Vec::new();
        for name in self.house.files("manifests") {
            let path = self.house.volume_dir().join("manifests").join(name);
            let file = self.house.disk.open(&path, crate::disk::Access::Read).unwrap();
            let (_, mut stream) = RecordStream::open(&*file).unwrap();
            while let Some(found) = stream.next_record().unwrap() {
                records.push(found.record);
            }
        }
        records
    }
}

impl Running {
    /// Ten seconds of a camera, dated and marked as the clock says; its start as it says.
    fn record(&self, of: u16, retention: Retention) -> Utc {
        let reading = self.time.reading();
        let mut recorder = CameraRecorder::new(Arc::clone(&self.vault), camera(of), retention);
        recorder.date_in(reading.mark);
        recorder.begin(reading.trusted, b"init").unwrap();
        (0..10).for_each(|number| append(&mut recorder, number));
        recorder.finish().unwrap();
        self.vault.commit().unwrap();
        self.vault.commit().unwrap();
        reading.trusted
    }

    fn confirm(&self, stated: Utc) {
        self.vault.confirm_time::<anyhow::Error>(&self.time, stated, |_| Ok(())).unwrap();
    }

    fn pieces(&self, of: u16, around: Utc) -> Vec<Availability> {
        let whole = Span::new(around.saturating_sub(HOUR), around.saturating_add(HOUR)).unwrap();
        self.vault.availability(camera(of), whole, self.time.later()).unwrap()
    }

    fn due(&self) -> usize {
        self.vault.due(self.time.trusted()).len()
    }
}

impl House {
    pub(super) fn start_dated(&self, time: &TrustedClock) -> Arc<Vault> {
        let volume = Volume::open(Arc::clone(&self.disk), &self.volume_dir(), SITE, true).unwrap();
        let catalog = Catalog::open(&self.dir.path().join("catalog")).unwrap();
        let vault = Vault::start(vec![volume.dated_by(time.settled())], catalog, time.trusted()).unwrap();
        vault.set_recipients(vec![self.officer.public().unwrap()]);
        Arc::new(vault)
    }
}

fn ten_seconds(from: Utc) -> Span {
    Span::new(from, from.saturating_add(Duration::from_secs(10))).unwrap()
}

#[test]
fn what_was_recorded_in_doubt_is_marked_and_found_and_expires_by_corrected_time() {
    let site = Site::new();
    site.is_off(40 * 24);
    let running = site.start();
    assert!(running.time.is_in_doubt());
    let said = running.record(1, RETENTION);
    let refused = running.pieces(1, said);
    assert!(matches!(refused[..], [Availability::Destroyed { in_doubt: true, .. }]), "V6, by the later: {refused:?}");
    let before = running.vault.live_segments(camera(1), ten_seconds(said), said).unwrap();
    assert!(before[0].dating.in_doubt);
    let look = BTreeMap::new();
    let told = inspect(&site.house.volume_dir(), &Look::at(&site.house.disk, SITE, &look)).unwrap();
    assert_eq!((told.segments_in_doubt, told.faults.len()), (1, 0));

    running.confirm(site.wall());
    let filmed = site.wall();
    let is_right = |running: &Running| {
        assert_eq!(running.pieces(1, filmed), [Availability::Footage { span: ten_seconds(filmed), in_doubt: false }]);
        assert!(running.pieces(1, said).is_empty());
        let now = running.time.later();
        let live = running.vault.live_segments(camera(1), ten_seconds(filmed), now).unwrap();
        assert_eq!(live[0].expires, filmed.saturating_add(DAY));
        let keys = running.vault.open_keys(&live, &site.house.officer, now).unwrap();
        let reader = running.vault.read(&live[0], now).unwrap();
        assert_eq!(reader.head().facts.start, said, "its head keeps what it said");
        assert_eq!(reader.fragments().unwrap()[0].from, filmed);
        assert_eq!(open_all(&running.vault, &live[0], &keys[0].1, now).len(), 10);
        assert_eq!(running.due(), 0);
    };
    is_right(&running);
    running.vault.catch_up(&|| false).unwrap();
    assert!(running.vault.index_is_current());
    is_right(&running);
    drop(running);
    let again = site.start();
    is_right(&again);
    drop(again);
    assert!(site.house.faults_at(&[], filmed).is_empty());
    site.hands.advance(DAY);
    assert_eq!(site.start().due(), 1);
    let corrected = |record: &&ManifestRecord| matches!(record, ManifestRecord::Corrected { .. });
    assert_eq!(site.records().iter().filter(corrected).count(), 1, "once is enough");
}

#[test]
fn of_runs_before_the_last_a_ceiling_goes_by_the_earliest_and_a_floor_by_the_latest() {
    let site = Site::new();
    site.is_off(100);
    let first = site.start();
    let said = [first.record(1, RETENTION), first.record(2, FLOOR)];
    drop(first);
    site.is_off(50);
    let second = site.start();
    second.record(1, RETENTION);
    second.confirm(site.wall());
    let of = |camera_number, from: Utc| {
        let whole = Span::new(from, site.wall().saturating_add(DAY)).unwrap();
        second.vault.live_segments(camera(camera_number), whole, said[0]).unwrap()[0]
    };
    let (ceiling, floor) = (of(1, said[0]), of(2, said[1]));
    assert!(ceiling.dating.in_doubt && ceiling.span.from() == said[0]);
    assert_eq!(ceiling.expires, said[0].saturating_add(DAY));
    let end = ten_seconds(said[1]).to();
    assert_eq!(floor.expires, end.saturating_add(HOUR * 150 + DAY), "it may be as young as the doubt is old");
    assert_eq!(second.due(), 1, "of the ceiling's two, the one that may be too old");
}

#[test]
fn a_clock_that_moved_without_its_manifests_is_made_good_before_anything_is_due() {
    let site = Site::new();
    site.is_off(40 * 24);
    let running = site.start();
    let said = running.record(1, RETENTION);
    // The power goes right after the clock was written down.
    let moved = running.time.propose(site.wall()).unwrap();
    running.time.make(Some(&moved)).unwrap();
    drop(running);
    let again = site.start();
    assert!(!again.time.is_in_doubt());
    assert_eq!(again.due(), 0, "by what it says its day was long ago");
    let live = again.vault.live_segments(camera(1), ten_seconds(site.wall()), said).unwrap()[0];
    assert!(!live.dating.in_doubt, "it was corrected exactly");
    assert_eq!(live.expires, site.wall().saturating_add(DAY));
    assert!(site.house.faults_at(&[], site.wall()).is_empty());
}

#[test]
fn a_volume_that_was_away_when_a_doubt_ended_is_told_when_it_is_back() {
    let site = Site::new();
    site.is_off(40 * 24);
    let running = site.start();
    running.record(1, FLOOR);
    drop(running);
    let clock = site.clock();
    let moved = clock.propose(site.wall()).unwrap();
    clock.make(Some(&moved)).unwrap();
    drop(clock);
    let back = site.start();
    let whole = Span::new(START, site.wall().saturating_add(DAY)).unwrap();
    let live = back.vault.live_segments(camera(1), whole, START).unwrap()[0];
    assert!(live.dating.in_doubt, "it was not the last run's: only bounds are known");
    assert_eq!(live.expires, ten_seconds(site.wall()).to().saturating_add(DAY), "and a floor goes by the latest");
    assert_eq!(back.due(), 0);
}

#[test]
fn a_segment_that_begins_while_the_doubt_ends_is_corrected_in_any_manifest() {
    let site = Site::new();
    site.is_off(40 * 24);
    let running = site.start();
    let old = running.time.reading();
    running.confirm(site.wall());
    let mut recorder = CameraRecorder::new(Arc::clone(&running.vault), camera(1), RETENTION);
    recorder.date_in(old.mark);
    recorder.begin(old.trusted, b"init").unwrap();
    append(&mut recorder, 0);
    recorder.finish().unwrap();
    running.vault.commit().unwrap();
    assert_eq!(running.due(), 0, "by what it says its day was long ago");
    assert_eq!(running.pieces(1, site.wall()).len(), 1);
    // And what is recorded next bears no mark.
    let next = running.record(1, RETENTION);
    let marks: Vec<_> =
        site.records().into_iter().filter(|record| matches!(record, ManifestRecord::InDoubt { .. })).collect();
    assert_eq!(marks.len(), 1, "{marks:?}: that one is another day's manifest");
    assert!(matches!(running.pieces(1, next)[..], [_, Availability::Footage { in_doubt: false, .. }]));
}

#[test]
fn a_clock_that_comes_up_slow_breaks_no_floor() {
    let site = Site::new();
    // It comes up with the time at which it went down: nobody has a reason to doubt.
    let running = site.start();
    assert!(!running.time.is_in_doubt());
    let said = running.record(1, FLOOR);
    let ceiling = running.record(2, RETENTION);
    assert!(running.pieces(1, said).iter().all(|piece| matches!(piece, Availability::Footage { in_doubt: false, .. })));
    let truth = said.saturating_add(HOUR * 62);
    running.confirm(truth);
    assert_eq!(running.due(), 0, "both were filmed just now");
    site.hands.advance(DAY.checked_sub(Duration::from_secs(1)).unwrap());
    assert_eq!(running.due(), 0);
    site.hands.advance(Duration::from_secs(2));
    assert_eq!(running.due(), 1, "the ceiling");
    site.hands.advance(Duration::from_secs(10));
    assert_eq!((running.due(), ceiling), (2, said));
}

#[test]
fn a_clock_that_is_right_costs_two_records_and_shows_nothing() {
    let site = Site::new();
    site.is_off(8);
    let running = site.start();
    let said = running.record(1, RETENTION);
    running.confirm(site.wall());
    running.record(1, RETENTION);
    let marks = site
        .records()
        .into_iter()
        .filter(|record| matches!(record, ManifestRecord::InDoubt { .. } | ManifestRecord::Corrected { .. }));
    let no_correction = |mark: Mark| ManifestRecord::Corrected { doubt: mark.doubt, correction: Correction::default() };
    let marks: Vec<_> = marks.collect();
    let ManifestRecord::InDoubt { mark: Some(mark) } = marks[0] else { panic!("{marks:?}") };
    assert_eq!(marks[1..], [no_correction(mark), ManifestRecord::InDoubt { mark: None }]);
    assert!(running.vault.index_is_current(), "nothing is shown otherwise");
    assert!(matches!(running.pieces(1, said)[0], Availability::Footage { in_doubt: false, .. }));
}

#[test]
fn a_correction_back_in_time_is_no_shorter_floor() {
    let site = Site::new();
    site.is_off(70);
    // 70 h are believed, and were not true.
    let running = site.start();
    let said = running.record(1, FLOOR);
    let truth = START.saturating_add(HOUR);
    running.confirm(truth);
    assert_eq!(running.time.trusted(), truth);
    let live = running.vault.live_segments(camera(1), ten_seconds(truth), truth).unwrap()[0];
    assert_eq!((live.span, live.expires), (ten_seconds(truth), ten_seconds(truth).to().saturating_add(DAY)));
    assert!(running.vault.live_segments(camera(1), ten_seconds(said), truth).unwrap().is_empty());
    assert!(site.house.faults_at(&[], truth).is_empty());
}

#[test]
fn holds_placed_by_the_old_time_and_by_the_true_one_both_hold() {
    let hold =
        |from: Utc| Hold { of: HeldFor::Request(RequestId(1)), cameras: vec![camera(1)], span: ten_seconds(from) };
    for by_truth in [false, true] {
        let site = Site::new();
        site.is_off(40 * 24);
        let running = site.start();
        let said = running.record(1, RETENTION);
        let mut holds = Holds::open(Arc::clone(&site.house.disk), site.house.dir.path().join("holds")).unwrap();
        holds.place(hold(if by_truth { site.wall() } else { said })).unwrap();
        running.confirm(site.wall());
        site.hands.advance(DAY * 2);
        let due = running.vault.due(running.time.trusted());
        assert!(due.len() == 1 && due[0].is_held(&holds), "by truth {by_truth}: {due:?}");
        running.vault.set_apart(&due[0]).unwrap();
        let apart = running.vault.due(running.time.trusted());
        assert!(apart.len() == 1 && apart[0].is_apart && apart[0].is_held(&holds), "{apart:?}");
    }
}

#[test]
fn a_gap_over_an_outage_in_doubt_is_told_as_long_as_it_was() {
    let site = Site::new();
    let running = site.start();
    running.confirm(START);
    running.record(1, RETENTION);
    drop(running);
    site.is_off(62);
    site.is_off(20);
    let running = site.start();
    let from = ten_seconds(START).to();
    let reading = running.time.reading();
    let mut recorder = CameraRecorder::new(Arc::clone(&running.vault), camera(1), RETENTION);
    recorder.date_in(reading.mark);
    assert_eq!(recorder.newest_end(), Some(from));
    let to = reading.trusted.saturating_add(Duration::from_secs(60));
    recorder.record_gap(Span::new(from, to).unwrap(), GapCause::NotRunning).unwrap();
    recorder.begin(to, b"init").unwrap();
    append(&mut recorder, 0);
    recorder.finish().unwrap();
    running.vault.commit().unwrap();
    running.vault.commit().unwrap();
    running.confirm(site.wall());
    let whole = Span::new(START, site.wall().saturating_add(DAY)).unwrap();
    let true_to = to.saturating_add(HOUR * 82);
    let gap = Availability::Gap { span: Span::new(from, true_to).unwrap(), cause: GapCause::NotRunning };
    let told = |running: &Running| running.vault.availability(camera(1), whole, START).unwrap();
    assert_eq!(told(&running)[1], gap);
    running.vault.catch_up(&|| false).unwrap();
    assert!(running.vault.index_is_current());
    assert_eq!(told(&running)[1], gap, "from the index as well");
    let recorder = CameraRecorder::new(Arc::clone(&running.vault), camera(1), RETENTION);
    assert_eq!(recorder.newest_end(), Some(true_to.saturating_add(Duration::from_secs(1))));
}

/// The clock changes at 01:00 UTC on 2026-10-25 in Berlin, and at no time in a period.
#[test]
fn daylight_saving_touches_no_period() {
    let end_of_summer: Utc = "2026-10-25T01:00:00Z".parse().unwrap();
    for minutes in [60, 30, 1] {
        let from = end_of_summer.saturating_sub(Duration::from_secs(minutes * 60));
        let expires = RETENTION.expiry(ten_seconds(from));
        assert_eq!(expires.since(from), DAY);
        let in_berlin = |at: Utc| {
            let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
            zone.to_datetime(jiff::Timestamp::from_microsecond(at.micros()).unwrap()).to_string()
        };
        assert_ne!(in_berlin(from)[11..16], in_berlin(expires)[11..16], "the wall there shows another hour");
        assert_eq!(from.day(), Day(20_751));
    }
}

#[test]
fn only_a_doubt_that_was_marked_is_corrected_and_only_once() {
    let site = Site::new();
    site.is_off(40 * 24);
    let running = site.start();
    running.record(1, RETENTION);
    running.confirm(site.wall());
    let corrected = |records: Vec<ManifestRecord>| {
        records.into_iter().find(|record| matches!(record, ManifestRecord::Corrected { .. })).unwrap()
    };
    let ManifestRecord::Corrected { doubt, .. } = corrected(site.records()) else { unreachable!() };
    let path = site.house.volume_dir().join("manifests").join(&site.house.files("manifests")[0]);
    let whole = std::fs::read(&path).unwrap();
    let again = ManifestRecord::Corrected { doubt, correction: Correction::exactly(1) };
    let other = ManifestRecord::Corrected { doubt: Doubt(START.plus_micros(-5)), correction: Correction::exactly(1) };
    for record in [again, other] {
        std::fs::write(&path, [whole.clone(), record.to_bytes()].concat()).unwrap();
        let faults = site.house.faults_at(&[], site.wall());
        assert!(faults.iter().any(|fault| fault.what.contains("do not follow")), "{faults:?}");
    }
}
