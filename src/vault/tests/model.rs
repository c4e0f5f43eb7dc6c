//! The vault, its eraser and its holds against a plain map, over random lives with power cuts in them.

use super::*;
use crate::clock::ManualClock;
use crate::disk::{Failure, OperationKind, PowerCut};
use crate::ledger::{Ledger, SharedLedger};
use crate::retention::Eraser;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Mutex;

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(u16),
    Append(u16),
    Finish(u16),
    Commit,
    Cut(u64),
    Kill,
    Hours(u64),
    Hold(u16),
    Release,
    Round,
    /// The oldest of what may go is condemned: about so many segments.
    Early(u64),
    /// The step is done on a disk that is full from its operation of that number on; then there is room again.
    Full(Narrow, usize),
}

/// Makes the disk full.
type Fill<'a> = &'a dyn Fn(&SimulatedDisk, &Path);

#[derive(Clone, Copy, Debug)]
enum Narrow {
    Begin(u16),
    Append(u16),
    Commit,
    Round,
    Early(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let of = || 1_u16..=2;
    let step = prop_oneof![
        4 => of().prop_map(Step::Begin),
        6 => of().prop_map(Step::Append),
        3 => of().prop_map(Step::Finish),
        4 => Just(Step::Commit),
        1 => any::<u64>().prop_map(Step::Cut),
        1 => Just(Step::Kill),
        2 => (1_u64..30).prop_map(Step::Hours),
        1 => of().prop_map(Step::Hold),
        1 => Just(Step::Release),
        3 => Just(Step::Round),
        1 => (1_u64..4).prop_map(Step::Early),
        2 => (narrow(), 0_usize..12).prop_map(|(narrow, skip)| Step::Full(narrow, skip)),
    ];
    proptest::collection::vec(step, 1..40)
}

fn narrow() -> impl Strategy<Value = Narrow> {
    let of = || 1_u16..=2;
    prop_oneof![
        of().prop_map(Narrow::Begin),
        of().prop_map(Narrow::Append),
        Just(Narrow::Commit),
        Just(Narrow::Round),
        (1_u64..4).prop_map(Narrow::Early),
    ]
}

/// One segment as the plain map knows it.
#[derive(Clone, Debug, Default)]
struct Known {
    appended: u64,
    committed: u64,
    tried: BTreeSet<u64>,
    is_apart: bool,
}

struct Life {
    house: House,
    disk: SimulatedDisk,
    hands: ManualClock,
    running: Option<Running>,
    /// By camera and start in seconds: what there is.
    known: BTreeMap<(u16, u64), Known>,
    /// What is being written, by camera.
    open: BTreeMap<u16, u64>,
    holds: Vec<(RequestId, u16, Span)>,
    requests: u32,
    /// The eraser's round was the last that happened: nothing that is due is left.
    is_swept: bool,
}

struct Running {
    vault: Arc<Vault>,
    eraser: Eraser,
    holds: Arc<Mutex<Holds>>,
    recorders: BTreeMap<u16, CameraRecorder>,
}

impl Life {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let disk = SimulatedDisk::new(&[dir.path()]);
        let house = House::on(dir, Arc::new(disk.clone()));
        for sub in ["ledger", "grants"] {
            house.disk.create_dir(&house.dir.path().join(sub)).unwrap();
        }
        house.disk.sync_file_system(house.dir.path()).unwrap();
        let mut life = Self {
            house,
            disk,
            hands: ManualClock::standing(START),
            running: None,
            known: BTreeMap::new(),
            open: BTreeMap::new(),
            holds: Vec::new(),
            requests: 0,
            is_swept: false,
        };
        life.start();
        life
    }

    fn now(&self) -> Utc {
        self.hands.clock().wall()
    }

    fn seconds(&self) -> u64 {
        u64::try_from((self.now().micros() - START.micros()) / 1_000_000).unwrap()
    }

    fn start(&mut self) {
        let root = self.house.dir.path().to_path_buf();
        if root.join("catalog").exists() {
            std::fs::remove_dir_all(root.join("catalog")).unwrap();
        }
        let disk = || Arc::clone(&self.house.disk);
        let limit = Duration::from_secs(72 * 3_600);
        let time = TrustedClock::start(self.hands.clock(), disk(), root.join("clock"), limit, || true, None).unwrap();
        let holds = Arc::new(Mutex::new(Holds::open(disk(), root.join("holds")).unwrap()));
        let vault = self.house.start_at(self.now());
        vault.catch_up(&|| false).unwrap();
        let ledger = SharedLedger::new(Ledger::open(disk(), &root.join("ledger"), SITE, |_| {}).unwrap());
        let grants = GrantStore::new(disk(), root.join("grants"));
        let eraser = Eraser::new(Arc::clone(&vault), Arc::new(time), Arc::clone(&holds), grants, ledger);
        self.running = Some(Running { vault, eraser, holds, recorders: BTreeMap::new() });
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().unwrap()
    }

    fn is_held(&self, of: u16, span: Span) -> bool {
        self.holds.iter().any(|(_, camera, held)| *camera == of && held.overlaps(span))
    }

    fn take(&mut self, step: Step) {
        self.is_swept = matches!(step, Step::Round | Step::Full(Narrow::Round, _));
        match step {
            Step::Begin(of) => self.begin(of),
            Step::Append(of) => self.append(of),
            Step::Finish(of) => {
                self.open.remove(&of);
                if let Some(recorder) = self.running().recorders.get_mut(&of) {
                    recorder.finish().unwrap();
                }
            }
            Step::Commit => self.commit(),
            Step::Cut(seed) => self.cut(PowerCut::Mixed(seed)),
            Step::Kill => self.cut(PowerCut::Kept),
            Step::Hours(hours) => self.hands.advance(Duration::from_secs(hours * 3_600)),
            Step::Hold(of) => self.hold(of),
            Step::Release => {
                if let Some((request, _, _)) = self.holds.pop() {
                    self.running().holds.lock().unwrap().release(HeldFor::Request(request)).unwrap();
                }
            }
            Step::Round => self.round(),
            Step::Early(segments) => self.early(segments, None),
            Step::Full(narrow, skip) => self.full(narrow, skip),
        }
    }

    /// The disk is full for a while: what fails then leaves nothing half done, and goes on afterwards.
    fn full(&mut self, narrow: Narrow, skip: usize) {
        let fill = |disk: &SimulatedDisk, below: &Path| {
            use OperationKind::{Allocate, Create, CreateDir, Rename, Write};
            let kinds: fn(OperationKind) -> bool =
                |kind| matches!(kind, Allocate | Create | CreateDir | Rename | Write);
            disk.fail(Failure { kinds, below: below.to_path_buf(), skip, times: 1, error: Some(28) });
        };
        let (disk, root) = (self.disk.clone(), self.house.dir.path().to_path_buf());
        match narrow {
            Narrow::Begin(of) => {
                self.hands.advance(Duration::from_secs(60));
                let (start, now) = (self.seconds(), self.now());
                let vault = Arc::clone(&self.running().vault);
                self.open.remove(&of);
                let recorders = &mut self.running().recorders;
                let recorder = recorders.entry(of).or_insert_with(|| CameraRecorder::new(vault, camera(of), RETENTION));
                fill(&disk, &root);
                if recorder.begin(now, b"init").is_ok() {
                    self.known.insert((of, start), Known::default());
                    self.open.insert(of, start);
                }
            }
            Narrow::Append(of) => {
                let Some(start) = self.open.get(&of).copied() else { return };
                let number = self.known[&(of, start)].appended;
                let first_pts_90k = number * 90_000;
                let facts = FragmentFacts { first_pts_90k, duration_90k: 90_000, frames: 10, sync: true };
                fill(&disk, &root);
                let told = self.running().recorders.get_mut(&of).unwrap().append(facts, &picture(number));
                match told {
                    Ok(()) => self.known.get_mut(&(of, start)).unwrap().appended += 1,
                    Err(e) => {
                        assert!(e.is_full(), "{e}");
                        self.open.remove(&of);
                    }
                }
            }
            Narrow::Commit => {
                for known in self.known.values_mut() {
                    known.tried.insert(known.appended);
                }
                fill(&disk, &root);
                if self.running().vault.commit().is_ok() {
                    self.known.values_mut().for_each(|known| known.committed = known.appended);
                }
            }
            Narrow::Round => {
                self.commit();
                self.running().recorders.clear();
                self.open.clear();
                self.commit();
                fill(&disk, &root);
                self.running().eraser.round().ok();
                disk.mend();
                self.round();
            }
            Narrow::Early(segments) => self.early(segments, Some(&fill)),
        }
        self.disk.mend();
        assert!(!self.running().vault.volumes()[0].is_latched(), "a full disk is no failure");
    }

    /// What is condemned is gone at once, the oldest first, and nothing that is held.
    fn early(&mut self, segments: u64, fill: Option<Fill>) {
        let (now, disk, root) = (self.now(), self.disk.clone(), self.house.dir.path().to_path_buf());
        let running = self.running();
        let holds = Arc::clone(&running.holds);
        let holds = holds.lock().unwrap();
        let oldest = running.vault.oldest(&holds, now, segments * (4 << 20)).unwrap();
        if let Some(fill) = fill {
            fill(&disk, &root);
            running.vault.condemn(&oldest.segments, &holds, DestructionTrigger::Early, now).ok();
            disk.mend();
        }
        let told = running.vault.condemn(&oldest.segments, &holds, DestructionTrigger::Early, now).unwrap();
        assert!(told.refused.iter().all(|(_, _, why)| *why == NotCondemned::Gone), "{told:?}");
        for live in &oldest.segments {
            let start = u64::try_from((live.span.from().micros() - START.micros()) / 1_000_000).unwrap();
            assert!(!holds.covers(live.camera, live.span));
            // One that a cut left without a picture is not known any more.
            self.known.remove(&(live.camera.get(), start));
        }
    }

    fn begin(&mut self, of: u16) {
        self.hands.advance(Duration::from_secs(60));
        let (start, now) = (self.seconds(), self.now());
        let vault = Arc::clone(&self.running().vault);
        let recorders = &mut self.running().recorders;
        let recorder = recorders.entry(of).or_insert_with(|| CameraRecorder::new(vault, camera(of), RETENTION));
        recorder.begin(now, b"init").unwrap();
        self.known.insert((of, start), Known::default());
        self.open.insert(of, start);
    }

    fn append(&mut self, of: u16) {
        let Some(start) = self.open.get(&of).copied() else { return };
        let known = self.known.get_mut(&(of, start)).unwrap();
        let number = known.appended;
        known.appended += 1;
        append(self.running().recorders.get_mut(&of).unwrap(), number);
    }

    fn commit(&mut self) {
        for known in self.known.values_mut() {
            known.tried.insert(known.appended);
        }
        self.running().vault.commit().unwrap();
        self.known.values_mut().for_each(|known| known.committed = known.appended);
    }

    fn hold(&mut self, of: u16) {
        self.requests += 1;
        // The footage of the last hour, as it stands; what is already gone stays gone.
        let now = self.seconds();
        let hold = span(now.saturating_sub(3_600), now + 1);
        let request = RequestId(self.requests);
        let placed = Hold::of_request(request, vec![camera(of)], hold);
        self.running().holds.lock().unwrap().place(placed).unwrap();
        self.holds.push((request, of, hold));
    }

    /// What is due is destroyed, unless it is held: then it is set apart.
    fn round(&mut self) {
        self.commit();
        // Given up where it stands: the vault destroys no segment that is open.
        self.running().recorders.clear();
        self.open.clear();
        self.commit();
        self.running().eraser.round().unwrap();
        let (now, soon) = (self.now(), self.now().saturating_add(Duration::from_secs(10)));
        let mut known = std::mem::take(&mut self.known);
        known.retain(|(of, start), known| {
            let whole = whole(*start, known);
            let expires = RETENTION.expiry(whole);
            let is_held = self.is_held(*of, whole);
            known.is_apart |= is_held && expires <= soon;
            is_held || expires > now
        });
        self.known = known;
    }

    /// The power goes, or the process is killed: what was not committed may be gone.
    fn cut(&mut self, cut: PowerCut) {
        self.running = None;
        // That something was set apart need not be on the disk: the next round does it again.
        self.is_swept = false;
        self.open.clear();
        self.disk = self.disk.after(cut);
        self.house.disk = Arc::new(self.disk.clone());
        self.start();
        // As if no day had come: what is over waits for the eraser, and how much of it is left counts, should it be held.
        let (found, visible) = (self.found(START), self.found(self.now()));
        let mut known = std::mem::take(&mut self.known);
        known.retain(|segment, known| {
            let Some(found) = found.get(segment) else {
                let is_over = RETENTION.expiry(whole(segment.1, known)) <= self.now();
                assert!(known.committed == 0 || is_over, "V1: {segment:?} is lost: {known:?}");
                // Its move apart was not flushed: it is refused until the next round moves it again.
                known.is_apart = false;
                return is_over && known.committed > 0;
            };
            assert!(
                *found >= known.committed && known.tried.contains(found),
                "V1, V3: {segment:?}: {found} of {known:?}"
            );
            (known.appended, known.committed) = (*found, *found);
            // The move may be lost: it is refused until the next round.
            known.is_apart &= visible.contains_key(segment);
            true
        });
        self.known = known;
        self.check();
    }

    /// What is there and opens, with how many fragments.
    fn found(&mut self, now: Utc) -> BTreeMap<(u16, u64), u64> {
        let vault = Arc::clone(&self.running().vault);
        let mut found = BTreeMap::new();
        for of in [1, 2] {
            let live = vault.live_segments(camera(of), span(0, 400 * 86_400), now).unwrap();
            for (live, key) in vault.open_keys(&live, &self.house.officer, now).unwrap() {
                let start = u64::try_from((live.span.from().micros() - START.micros()) / 1_000_000).unwrap();
                let opened = open_all(&vault, &live, &key, now);
                assert_eq!(opened, (0..opened.len() as u64).map(picture).collect::<Vec<_>>());
                found.insert((of, start), opened.len() as u64);
            }
        }
        found
    }

    /// What can be read is what the plain map says.
    fn check(&mut self) {
        let now = self.now();
        let visible = |((_, start), known): &(&(u16, u64), &Known)| {
            known.appended > 0 && (known.is_apart || RETENTION.expiry(whole(*start, known)) > now)
        };
        let wanted: BTreeMap<_, _> =
            self.known.iter().filter(visible).map(|(segment, known)| (*segment, known.appended)).collect();
        assert_eq!(self.found(now), wanted);
        let volume = self.house.volume_dir();
        let nothing = BTreeMap::new();
        // What is due waits for the eraser's next round.
        let now = Some(now).filter(|_| self.is_swept);
        let closed = self.house.closed();
        let look = Look { deep: true, closed: Some(&closed), now, ..Look::at(&self.house.disk, SITE, &nothing) };
        let told = inspect(&volume, &look).unwrap();
        assert!(told.faults.is_empty(), "{:?}", told.faults);
    }
}

fn whole(start: u64, known: &Known) -> Span {
    span(start, start + known.appended.max(1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_readable_is_what_the_plain_map_says_and_what_is_held_is_never_erased(steps in steps()) {
        let mut life = Life::new();
        for step in steps {
            life.take(step);
            life.check();
        }
        life.cut(PowerCut::Lost);
        life.take(Step::Round);
        life.check();
    }
}

/// What is begun after one that was given up follows on that one, also across midnight: the day before is closed, and of it
/// only its last segment is known.
#[test]
fn what_follows_on_a_segment_that_was_given_up_tears_no_chain() {
    use Step::{Begin, Commit, Hold, Hours};
    let mut life = Life::new();
    for step in [Begin(2), Begin(2), Begin(2), Commit, Hours(14), Begin(2), Commit, Hold(2), Hours(24)] {
        life.take(step);
        life.check();
    }
    life.cut(PowerCut::Lost);
    life.take(Step::Round);
    life.check();
}
