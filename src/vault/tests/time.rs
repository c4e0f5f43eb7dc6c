//! Random lives of a site whose clock may say anything, against a plain model that knows the true time. Who vouches is honest.
//!
//! Stated bounds. A floor is never undercut. Right after somebody vouched, nothing of a ceiling is older than it may be; at any
//! other moment, by no more than the anchor lags behind the truth. Nothing is destroyed for what a wall clock says: footage
//! goes early only by as much as it was dated early, and by the steps that are believed.

use super::*;
use crate::clock::ManualClock;
use crate::ledger::{Ledger, SharedLedger};
use crate::retention::Eraser;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Mutex;

const HOUR: Duration = Duration::from_secs(3_600);
const LIMIT: Duration = Duration::from_secs(72 * 3_600);
const PERIOD: Duration = Duration::from_secs(30 * 86_400);
const CEILING: Retention = Retention::Ceiling(PERIOD);
const FLOOR: Retention = Retention::Floor(PERIOD);
/// People read their clocks to the minute, and clocks that are five minutes apart agree: when it was recorded, and when it
/// is destroyed.
const TOLERANCE: Duration = Duration::from_secs(15 * 60);
const IN_2099: Utc = Utc::from_micros(4_070_908_800_000_000);

thread_local! {
    static SYNCHRONISED: Cell<bool> = const { Cell::new(false) };
}

/// What the machine's clock says after an outage. None of these is ahead of the truth by so little that it is believed.
#[derive(Clone, Copy, Debug)]
enum Wall {
    Right,
    /// The time at which the machine went down.
    AsItWas,
    TwoHoursSlow,
    FortyDaysSlow,
    In1970,
    HundredDaysAhead,
    In2099,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record,
    Hours(u64),
    Outage(u64, Wall),
    /// Somebody sets the machine's clock while the daemon runs.
    Set(Wall),
    Confirm,
    Synchronise,
    Round,
}

fn walls() -> impl Strategy<Value = Wall> {
    prop_oneof![
        4 => Just(Wall::Right),
        2 => Just(Wall::AsItWas),
        1 => Just(Wall::TwoHoursSlow),
        1 => Just(Wall::FortyDaysSlow),
        1 => Just(Wall::In1970),
        1 => Just(Wall::HundredDaysAhead),
        1 => Just(Wall::In2099),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let hours = || prop_oneof![3 => 1_u64..30, 1 => 30_u64..200, 1 => 500_u64..1_000];
    let step = prop_oneof![
        6 => Just(Step::Record),
        4 => hours().prop_map(Step::Hours),
        4 => (hours(), walls()).prop_map(|(hours, wall)| Step::Outage(hours, wall)),
        1 => walls().prop_map(Step::Set),
        2 => Just(Step::Confirm),
        1 => Just(Step::Synchronise),
        4 => Just(Step::Round),
    ];
    proptest::collection::vec(step, 1..24)
}

/// A segment, and when it was truly filmed.
#[derive(Clone, Copy, Debug)]
struct Filmed {
    is_floor: bool,
    truly: Span,
    /// How far it was dated before the truth.
    late: Duration,
}

struct Running {
    vault: Arc<Vault>,
    time: Arc<TrustedClock>,
    eraser: Eraser,
}

struct Life {
    house: House,
    hands: ManualClock,
    truth: Utc,
    running: Option<Running>,
    kept: BTreeMap<String, Filmed>,
}

impl Life {
    fn new() -> Self {
        SYNCHRONISED.set(false);
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let disk = SimulatedDisk::new(&[dir.path()]);
        let house = House::on(dir, Arc::new(disk));
        for sub in ["ledger", "grants"] {
            house.disk.create_dir(&house.dir.path().join(sub)).unwrap();
        }
        let hands = ManualClock::standing(START);
        let mut life = Self { house, hands, truth: START, running: None, kept: BTreeMap::new() };
        life.start();
        life.confirm();
        life
    }

    fn start(&mut self) {
        let root = self.house.dir.path().to_path_buf();
        let disk = || Arc::clone(&self.house.disk);
        let synchronised = || SYNCHRONISED.get();
        let clock = self.hands.clock();
        let time = TrustedClock::start(clock, disk(), root.join("clock"), LIMIT, synchronised, None).unwrap();
        let vault = self.house.start_dated(&time);
        let holds = Arc::new(Mutex::new(Holds::open(disk(), root.join("holds")).unwrap()));
        let ledger = SharedLedger::new(Ledger::open(disk(), &root.join("ledger"), SITE, |_| {}).unwrap());
        let grants = GrantStore::new(disk(), root.join("grants"));
        let time = Arc::new(time);
        let eraser = Eraser::new(Arc::clone(&vault), Arc::clone(&time), holds, grants, ledger);
        self.running = Some(Running { vault, time, eraser });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn passes(&mut self, by: Duration) {
        self.hands.advance(by);
        self.truth = self.truth.saturating_add(by);
    }

    fn set_wall(&self, wall: Wall, as_it_was: Utc) {
        let says = match wall {
            Wall::Right => self.truth,
            Wall::AsItWas => as_it_was,
            Wall::TwoHoursSlow => self.truth.saturating_sub(HOUR * 2),
            Wall::FortyDaysSlow => self.truth.saturating_sub(DAY * 40),
            Wall::In1970 => Utc::from_micros(0),
            Wall::HundredDaysAhead => self.truth.saturating_add(DAY * 100),
            Wall::In2099 => IN_2099,
        };
        self.hands.step_wall(says.micros_since(self.hands.clock().wall()));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Record => self.record(),
            Step::Hours(hours) => self.passes(HOUR * u32::try_from(hours).unwrap()),
            Step::Outage(hours, wall) => {
                // A crash: the clock was written down within the last minute.
                self.running().vault.keep_time(&self.running().time).unwrap();
                self.running = None;
                let as_it_was = self.hands.clock().wall().min(self.truth);
                self.truth = self.truth.saturating_add(HOUR * u32::try_from(hours).unwrap());
                self.set_wall(wall, as_it_was);
                self.start();
            }
            Step::Set(wall) => self.set_wall(wall, self.hands.clock().wall().min(self.truth)),
            Step::Confirm => self.confirm(),
            Step::Synchronise => {
                self.set_wall(Wall::Right, self.truth);
                SYNCHRONISED.set(true);
                self.running().vault.keep_time(&self.running().time).unwrap();
                SYNCHRONISED.set(false);
                self.is_vouched();
            }
            Step::Round => self.round(),
        }
    }

    fn record(&mut self) {
        for (of, retention) in [(1, CEILING), (2, FLOOR)] {
            let before: HashSet<String> = self.house.segments("rolling").into_iter().collect();
            let Running { vault, time, .. } = self.running();
            let reading = time.reading();
            let mut recorder = CameraRecorder::new(Arc::clone(vault), camera(of), retention);
            recorder.date_in(reading.mark);
            recorder.begin(reading.trusted, b"init").unwrap();
            (0..10).for_each(|number| append(&mut recorder, number));
            recorder.finish().unwrap();
            vault.commit().unwrap();
            vault.commit().unwrap();
            let new = self.house.segments("rolling").into_iter().find(|name| !before.contains(name)).unwrap();
            let truly = Span::new(self.truth, self.truth.saturating_add(Duration::from_secs(10))).unwrap();
            let late = self.truth.since(reading.trusted);
            self.kept.insert(new, Filmed { is_floor: retention == FLOOR, truly, late });
        }
        self.passes(Duration::from_secs(10));
    }

    fn confirm(&mut self) {
        let minute = Utc::from_micros(self.truth.micros() - self.truth.micros().rem_euclid(60_000_000));
        let Running { vault, time, .. } = self.running();
        vault.confirm_time::<anyhow::Error>(time, minute, |_| Ok(())).unwrap();
        self.is_vouched();
    }

    fn is_vouched(&mut self) {
        let off = self.running().time.trusted().micros_since(self.truth).unsigned_abs();
        assert!(Duration::from_micros(off) < TOLERANCE, "the anchor is {off} µs off after somebody vouched");
        assert!(!self.running().time.is_in_doubt());
        self.round();
        let is_too_old =
            |filmed: &&Filmed| !filmed.is_floor && filmed.truly.from().saturating_add(PERIOD + TOLERANCE) <= self.truth;
        let too_old = self.kept.values().find(is_too_old);
        assert!(too_old.is_none(), "at {}: {too_old:?}", self.truth);
    }

    fn round(&mut self) {
        self.running().eraser.round().unwrap();
        let there: HashSet<String> = self.house.segments("rolling").into_iter().collect();
        let truth = self.truth;
        for (name, filmed) in self.kept.iter().filter(|(name, _)| !there.contains(*name)) {
            if filmed.is_floor {
                let may_go = filmed.truly.to().saturating_add(PERIOD).saturating_sub(TOLERANCE);
                assert!(may_go <= truth, "at {truth} a floor was undercut: {name} {filmed:?}");
            } else {
                let early = filmed.late + LIMIT + TOLERANCE;
                let may_go = filmed.truly.from().saturating_add(PERIOD).saturating_sub(early);
                assert!(may_go <= truth, "at {truth} a wall clock was believed: {name} {filmed:?}");
            }
        }
        self.kept.retain(|name, _| there.contains(name));
        let lag = truth.since(self.running().time.trusted()) + TOLERANCE;
        for filmed in self.kept.values().filter(|filmed| !filmed.is_floor) {
            let must_go = filmed.truly.from().saturating_add(PERIOD + lag);
            assert!(must_go > truth, "at {truth} a ceiling was overrun by more than the anchor lags: {filmed:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_clocks_say_no_floor_is_undercut_and_no_ceiling_overrun(steps in steps()) {
        let mut life = Life::new();
        for step in steps {
            life.take(step);
        }
        life.confirm();
        let told = inspect(&life.house.volume_dir(), &Look::at(&life.house.disk, SITE, &BTreeMap::new())).unwrap();
        prop_assert!(told.faults.is_empty(), "{:?}", told.faults);
    }
}
