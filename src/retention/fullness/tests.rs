//! A small disk in memory, cameras that fill it, and others that do.

use super::*;
use crate::catalog::Catalog;
use crate::clock::ManualClock;
use crate::crypto::generate_pair;
use crate::disk::{Access, Disk, Failure, OperationKind, SharedDisk, SimulatedDisk};
use crate::domain::{CameraNumber, HeldFor, RequestId, Retention, SiteId, Span};
use crate::ledger::{Act, Ledger, Row, SharedLedger};
use crate::retention::Eraser;
use crate::segment::FragmentFacts;
use crate::vault::{CameraRecorder, GrantStore, Hold, LiveSegment, Look, VaultError, inspect};
use std::collections::BTreeMap;

const SITE: SiteId = SiteId([1; 16]);
/// 2026-11-22T10:00:00Z.
const START: Utc = Utc::from_micros(1_795_341_600_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1 << 20;
const CEILING: Retention = Retention::Ceiling(Duration::from_secs(30 * 86_400));
const FLOOR: Retention = Retention::Floor(Duration::from_secs(30 * 86_400));

fn camera(number: u16) -> CameraNumber {
    CameraNumber::new(number).unwrap()
}

struct Clinic {
    dir: tempfile::TempDir,
    disk: SimulatedDisk,
    hands: ManualClock,
    vault: Arc<Vault>,
    holds: Arc<Mutex<Holds>>,
    ledger: SharedLedger,
    eraser: Eraser,
    fullness: Fullness,
    recorders: BTreeMap<u16, CameraRecorder>,
    capacity: u64,
    /// What somebody else has on the disk.
    others: u64,
}

impl Clinic {
    fn new(capacity: u64, when_full: WhenFull) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let disk = SimulatedDisk::new(&[dir.path()]);
        let shared = || -> SharedDisk { Arc::new(disk.clone()) };
        let at = |name: &str| dir.path().join(name);
        for sub in ["ledger", "grants"] {
            shared().create_dir(&at(sub)).unwrap();
        }
        crate::vault::Volume::create(&shared(), &at("v1"), SITE).unwrap();
        let hands = ManualClock::standing(START);
        let volume = crate::vault::Volume::open(shared(), &at("v1"), SITE, false).unwrap();
        let catalog = Catalog::open(&at("catalog")).unwrap();
        let vault = Arc::new(Vault::start(vec![volume], catalog, START).unwrap());
        vault.set_recipients(vec![generate_pair().unwrap().1]);
        let time = TrustedClock::start(hands.clock(), shared(), at("clock"), DAY, || true, None).unwrap();
        let (time, holds) = (Arc::new(time), Arc::new(Mutex::new(Holds::open(shared(), at("holds")).unwrap())));
        let ledger = SharedLedger::new(Ledger::open(shared(), &at("ledger"), SITE, |_| {}).unwrap());
        let grants = GrantStore::new(shared(), at("grants"));
        let eraser = Eraser::new(Arc::clone(&vault), Arc::clone(&time), Arc::clone(&holds), grants, ledger.clone());
        let fullness = Fullness::new(Arc::clone(&vault), time, Arc::clone(&holds), when_full, MINUTE);
        let recorders = BTreeMap::new();
        let clinic = Self { dir, disk, hands, vault, holds, ledger, eraser, fullness, recorders, capacity, others: 0 };
        clinic.settle();
        clinic
    }

    /// Tells the disk how much is free, as a real one knows it.
    fn settle(&self) {
        self.disk.tell_free(self.free());
    }

    fn used(&self) -> u64 {
        let length = |path: &std::path::PathBuf| self.disk.open(path, Access::Read).unwrap().len_bytes().unwrap();
        self.disk.files().iter().filter(|path| path.starts_with(self.dir.path().join("v1"))).map(length).sum()
    }

    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used()).saturating_sub(self.others)
    }

    /// A minute of a camera, in one segment.
    fn record(&mut self, of: u16, retention: Retention) -> Result<(), VaultError> {
        let vault = Arc::clone(&self.vault);
        let recorder = self.recorders.entry(of).or_insert_with(|| CameraRecorder::new(vault, camera(of), retention));
        recorder.begin(self.hands.clock().wall(), b"init")?;
        let facts = FragmentFacts { first_pts_90k: 0, duration_90k: 90_000 * 60, frames: 600, sync: true };
        recorder.append(facts, &vec![7; 3 << 20])?;
        recorder.finish()?;
        self.settle();
        Ok(())
    }

    /// A minute of some cameras; what the regular work does in it. Which of them found no room.
    fn minute(&mut self, cameras: &[(u16, Retention)]) -> Vec<u16> {
        let mut without = Vec::new();
        for (of, retention) in cameras {
            match self.record(*of, *retention) {
                Ok(()) => {}
                Err(VaultError::DiskFull) => without.push(*of),
                Err(e) => panic!("camera {of}: {e}"),
            }
        }
        self.hands.advance(MINUTE);
        self.vault.commit().unwrap();
        self.vault.commit().unwrap();
        self.make_room();
        without
    }

    fn make_room(&self) -> MadeRoom {
        let made = self.fullness.round().unwrap();
        self.eraser.round().unwrap();
        self.settle();
        made
    }

    fn live(&self, of: u16) -> Vec<LiveSegment> {
        let whole = Span::new(START, START.saturating_add(DAY * 400)).unwrap();
        self.vault.live_segments(camera(of), whole, self.hands.clock().wall()).unwrap()
    }

    /// Minutes since the start at which a camera's footage begins.
    fn minutes(&self, of: u16) -> Vec<u64> {
        self.live(of).iter().map(|live| live.span.from().since(START).as_secs() / 60).collect()
    }

    fn hold(&self, of: u16, minutes: std::ops::Range<u64>) {
        let at = |minute: u64| START.saturating_add(MINUTE * u32::try_from(minute).unwrap());
        let span = Span::new(at(minutes.start), at(minutes.end)).unwrap();
        let hold = Hold { of: HeldFor::Request(RequestId(u32::from(of))), cameras: vec![camera(of)], span };
        self.holds.lock().unwrap().place(hold).unwrap();
    }

    fn triggers(&self) -> BTreeMap<DestructionTrigger, u64> {
        let mut triggers = BTreeMap::new();
        let each = |row: Row| {
            if let Act::FootageDestroyed(receipt) = row.act {
                *triggers.entry(receipt.trigger).or_default() += u64::from(receipt.segments);
            }
        };
        self.ledger.rows(each).unwrap();
        triggers
    }

    fn is_sound(&self) {
        let disk: SharedDisk = Arc::new(self.disk.clone());
        let nothing = BTreeMap::new();
        let now = Some(self.hands.clock().wall());
        let holds = self.holds.lock().unwrap().list().to_vec();
        let look = Look { now, holds: &holds, ..Look::at(&disk, SITE, &nothing) };
        let told = inspect(&self.dir.path().join("v1"), &look).unwrap();
        assert!(told.faults.is_empty(), "{:?}", told.faults);
    }
}

fn has(alarms: &[String], what: &str) -> bool {
    alarms.iter().any(|alarm| alarm.contains(what))
}

#[test]
fn the_oldest_goes_as_much_as_is_short_never_what_is_held_or_must_be_kept() {
    let mut clinic = Clinic::new(300 * MIB, WhenFull::EraseOldest);
    clinic.hold(2, 1..2);
    let cameras = [(1, CEILING), (2, CEILING), (3, FLOOR)];
    for minute in 0..40 {
        assert_eq!(clinic.minute(&cameras), [] as [u16; 0], "minute {minute}: {:?}", clinic.fullness.alarms());
        assert!(clinic.free() > VOLUME_RESERVE_BYTES);
    }
    assert_eq!(clinic.minutes(3), (0..40).collect::<Vec<_>>(), "F1: what must be kept");
    let (one, two) = (clinic.minutes(1), clinic.minutes(2));
    assert!(two.contains(&1) && !two.contains(&0), "F1: what is held: {two:?}");
    assert_eq!(one, (one[0]..40).collect::<Vec<_>>(), "F2: the oldest, over all cameras alike");
    let rolling: Vec<u64> = two.into_iter().filter(|minute| *minute > 1).collect();
    assert!(one[0] > 2 && rolling[0].abs_diff(one[0]) <= 1, "{one:?} {rolling:?}");
    let room = clinic.vault.room();
    let wanted = clinic.fullness.wanted_bytes(&room);
    let beyond = clinic.free() - VOLUME_RESERVE_BYTES;
    assert!(beyond >= wanted && beyond <= 2 * wanted, "F2: {beyond} of {wanted}");
    let triggers = clinic.triggers();
    assert_eq!(triggers.keys().copied().collect::<Vec<_>>(), [DestructionTrigger::Early], "F5");
    assert_eq!(triggers[&DestructionTrigger::Early], 2 * 40 - (one.len() + rolling.len() + 1) as u64);
    let alarms = clinic.fullness.alarms();
    assert!(has(&alarms, "were destroyed before their day") && alarms.len() == 1, "F5: {alarms:?}");
    assert_eq!(clinic.fullness.early().0, triggers[&DestructionTrigger::Early]);
    clinic.is_sound();
    clinic.hands.advance(ALARM_FOR + MINUTE);
    assert_eq!(clinic.fullness.alarms(), [] as [String; 0], "a day after the last");
}

#[test]
fn where_nothing_may_go_the_cameras_stop_and_go_on_when_there_is_room() {
    let mut clinic = Clinic::new(150 * MIB, WhenFull::EraseOldest);
    let mut stopped_at = None;
    for minute in 0..40 {
        if !clinic.minute(&[(3, FLOOR)]).is_empty() {
            stopped_at.get_or_insert(minute);
        }
    }
    let stopped_at = stopped_at.expect("it has no end");
    assert!(
        clinic.free() < VOLUME_RESERVE_BYTES + 8 * MIB && clinic.free() >= VOLUME_RESERVE_BYTES,
        "{}",
        clinic.free()
    );
    assert_eq!(clinic.minutes(3).len() as u64, stopped_at, "F1: nothing of it went");
    let alarms = clinic.fullness.alarms();
    assert!(has(&alarms, "nothing on it may go"), "F5: {alarms:?}");
    assert_eq!(clinic.triggers(), BTreeMap::new());
    // A gap can be recorded though there is no room for footage.
    let gap = Span::new(START, START.saturating_add(MINUTE)).unwrap();
    clinic.recorders[&3].record_gap(gap, crate::domain::GapCause::DiskFull).unwrap();
    // The disk is made larger.
    clinic.capacity += 200 * MIB;
    clinic.settle();
    assert_eq!(clinic.minute(&[(3, FLOOR)]), [] as [u16; 0]);
    assert_eq!(clinic.fullness.alarms(), [] as [String; 0]);
    clinic.is_sound();
}

#[test]
fn told_to_stop_it_stops_and_destroys_nothing() {
    let mut clinic = Clinic::new(150 * MIB, WhenFull::Stop);
    let mut without = Vec::new();
    for _ in 0..40 {
        without.extend(clinic.minute(&[(1, CEILING)]));
    }
    assert!(!without.is_empty());
    assert_eq!(clinic.minutes(1)[0], 0);
    assert_eq!(clinic.triggers(), BTreeMap::new());
    assert!(has(&clinic.fullness.alarms(), "when_full is \"stop\""), "{:?}", clinic.fullness.alarms());
    // Its period ends, and there is room again.
    clinic.hands.advance(DAY * 31);
    clinic.make_room();
    assert_eq!(clinic.minute(&[(1, CEILING)]), [] as [u16; 0]);
    assert_eq!(clinic.fullness.alarms(), [] as [String; 0]);
    assert_eq!(clinic.triggers().keys().copied().collect::<Vec<_>>(), [DestructionTrigger::Expiry]);
}

#[test]
fn where_somebody_else_fills_the_disk_destroying_ends() {
    let mut clinic = Clinic::new(400 * MIB, WhenFull::EraseOldest);
    (0..60).for_each(|_| drop(clinic.minute(&[(1, CEILING)])));
    let before = clinic.minutes(1).len();
    assert_eq!(clinic.triggers(), BTreeMap::new());
    let wanted = clinic.fullness.wanted_bytes(&clinic.vault.room());
    // Whatever is freed is taken at once.
    let eat = |clinic: &mut Clinic| {
        for _ in 0..200 {
            clinic.others += clinic.free().saturating_sub(4 * MIB);
            clinic.settle();
            clinic.make_room();
        }
    };
    eat(&mut clinic);
    let gone = (before - clinic.minutes(1).len()) as u64 * 4 * MIB;
    assert!(gone > 0 && gone <= 4 * wanted + 4 * VOLUME_RESERVE_BYTES, "F4: {gone}, where {wanted} are wanted");
    assert!(has(&clinic.fullness.alarms(), "something else fills the disk"), "{:?}", clinic.fullness.alarms());
    let left = clinic.minutes(1).len();
    eat(&mut clinic);
    assert_eq!(clinic.minutes(1).len(), left, "F4");
    clinic.hands.advance(REST + MINUTE);
    clinic.make_room();
    assert!(clinic.minutes(1).len() < left, "it is tried again");
    // Whoever it was is gone.
    clinic.others = 0;
    clinic.settle();
    clinic.make_room();
    assert!(!has(&clinic.fullness.alarms(), "something else"), "{:?}", clinic.fullness.alarms());
    clinic.is_sound();
}

#[test]
fn room_that_is_not_told_is_neither_endless_nor_none() {
    let mut clinic = Clinic::new(200 * MIB, WhenFull::EraseOldest);
    (0..10).for_each(|_| drop(clinic.minute(&[(1, CEILING)])));
    let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Facts;
    let below = clinic.dir.path().join("v1");
    clinic.disk.fail(Failure { kinds, below, skip: 0, times: usize::MAX, error: Some(5) });
    assert_eq!(clinic.make_room(), MadeRoom::default());
    assert_eq!(clinic.minutes(1).len(), 10, "F3: not none");
    assert!(has(&clinic.fullness.alarms(), "cannot be told"), "{:?}", clinic.fullness.alarms());
    let told = clinic.record(1, CEILING);
    assert!(matches!(told, Err(VaultError::Disk { .. })), "F3: not endless: {told:?}");
}

#[test]
fn what_is_due_makes_room_by_itself() {
    let mut clinic = Clinic::new(200 * MIB, WhenFull::EraseOldest);
    let short = Retention::Ceiling(MINUTE * 20);
    for minute in 0..60 {
        assert_eq!(clinic.minute(&[(1, short)]), [] as [u16; 0], "minute {minute}");
    }
    let triggers = clinic.triggers();
    assert_eq!(triggers.keys().copied().collect::<Vec<_>>(), [DestructionTrigger::Expiry], "{triggers:?}");
    // And when the eraser did not run for a while.
    let mut clinic = Clinic::new(120 * MIB, WhenFull::EraseOldest);
    (0..10).for_each(|_| drop(clinic.minute(&[(1, short)])));
    clinic.hands.advance(MINUTE * 30);
    clinic.others = clinic.free().saturating_sub(VOLUME_RESERVE_BYTES);
    clinic.settle();
    clinic.fullness.round().unwrap();
    assert!(clinic.vault.due(clinic.hands.clock().wall()).iter().all(|due| due.condemned.is_none()), "F2");
}

/// The disk is full at every operation of a round in turn: nothing is lost but what goes, and it comes to its end.
#[test]
fn a_disk_that_is_full_to_the_last_block_anywhere_in_it_is_emptied_all_the_same() {
    let ready = || {
        let mut clinic = Clinic::new(200 * MIB, WhenFull::EraseOldest);
        (0..10).for_each(|_| drop(clinic.minute(&[(1, CEILING)])));
        clinic.others = clinic.free().saturating_sub(VOLUME_RESERVE_BYTES + MIB);
        clinic.settle();
        clinic
    };
    let changes: fn(OperationKind) -> bool = |kind| kind.changes() && !kind.is_flush() && kind != OperationKind::Remove;
    let clinic = ready();
    let before = clinic.disk.operations();
    clinic.make_room();
    let operations = clinic.disk.log()[before..].iter().filter(|operation| changes(operation.kind)).count();
    let left = clinic.minutes(1).len();
    assert!(operations > 10 && left < 10, "nothing was tried");
    for skip in 0..operations {
        let clinic = ready();
        let below = clinic.dir.path().to_path_buf();
        clinic.disk.fail(Failure { kinds: changes, below, skip, times: 1, error: Some(28) });
        clinic.fullness.round().ok();
        clinic.eraser.round().ok();
        clinic.settle();
        clinic.disk.mend();
        for _ in 0..3 {
            clinic.make_room();
        }
        assert_eq!(clinic.minutes(1).len(), left, "operation {skip}: no more and no less");
        assert_eq!(clinic.triggers().keys().copied().collect::<Vec<_>>(), [DestructionTrigger::Early]);
        assert!(!clinic.vault.volumes()[0].is_latched(), "operation {skip}");
        clinic.is_sound();
    }
}

/// With its reserve the eraser writes its records where nothing at all is free.
#[test]
fn the_erasers_reserve_is_given_when_a_record_finds_no_room_and_made_again() {
    let mut clinic = Clinic::new(200 * MIB, WhenFull::EraseOldest);
    (0..10).for_each(|_| drop(clinic.minute(&[(1, CEILING)])));
    let reserve = clinic.dir.path().join("v1/reserve");
    let length = || clinic.disk.open(&reserve, Access::Read).unwrap().len_bytes().unwrap();
    assert_eq!(length(), MIB);
    let live = clinic.live(1);
    let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Write;
    let below = clinic.dir.path().join("v1/manifests");
    clinic.disk.fail(Failure { kinds, below, skip: 0, times: 1, error: Some(28) });
    let holds = clinic.holds.lock().unwrap();
    let now = clinic.hands.clock().wall();
    let told = clinic.vault.condemn(&live[..1], &holds, DestructionTrigger::Early, now).unwrap();
    drop(holds);
    assert_eq!((told.condemned.len(), length()), (1, 0));
    clinic.make_room();
    assert_eq!(length(), MIB);
}
