//! Disks that fail: two volumes on two disks, and an error at every operation of one of them (V14).

use super::*;
use crate::disk::{Failure, OperationKind, PowerCut};
use std::path::PathBuf;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// Two volumes, each on a disk of its own.
struct Pair {
    dir: tempfile::TempDir,
    disks: [SimulatedDisk; 2],
    officer: PrivateKey,
}

/// What was said of each second that was recorded: on a commit that succeeded, it is promised.
#[derive(Default)]
struct Said {
    /// By camera and start: fragments that a commit without an error covered.
    committed: BTreeMap<(u16, u64), u64>,
    appended: BTreeMap<(u16, u64), u64>,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let disks = [0, 1].map(|number| {
            let disk = SimulatedDisk::new(&[dir.path()]);
            let shared: SharedDisk = Arc::new(disk.clone());
            Volume::create(&shared, &dir.path().join(format!("v{number}")), SITE).unwrap();
            disk
        });
        Self { dir, disks, officer: generate_pair().unwrap().0 }
    }

    fn place(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("v{number}"))
    }

    fn start(&self, now: Utc) -> Result<Arc<Vault>, VaultError> {
        let index = self.dir.path().join("catalog");
        if index.exists() {
            std::fs::remove_dir_all(&index).unwrap();
        }
        let mut volumes = Vec::new();
        for (number, disk) in self.disks.iter().enumerate() {
            let shared: SharedDisk = Arc::new(disk.clone());
            volumes.push(Volume::open(shared, &self.place(number), SITE, true)?);
        }
        let vault = Vault::start(volumes, Catalog::open(&index).unwrap(), now)?;
        vault.set_recipients(vec![self.officer.public().unwrap()]);
        Ok(Arc::new(vault))
    }

    /// The power goes on both disks, and all that was not flushed with it.
    fn cut(mut self) -> Self {
        self.disks = self.disks.map(|disk| disk.after(PowerCut::Lost));
        self
    }

    /// The first disk's operation number `skip` of some kinds fails.
    fn fail(&self, kinds: fn(OperationKind) -> bool, skip: usize, error: i32) {
        let below = self.place(0);
        self.disks[0].fail(Failure { kinds, below, skip, times: 1, error: Some(error) });
    }

    /// Every promised second is there, and opens.
    fn holds(&self, vault: &Vault, said: &Said, now: Utc, when: &str) {
        for ((of, start), wanted) in &said.committed {
            let live = vault.live_segments(camera(*of), span(*start, start + 100), now).unwrap();
            let live: Vec<_> = live.into_iter().filter(|live| live.span.from() == at(*start)).collect();
            assert!(live.len() == 1 || *wanted == 0, "{when}: camera {of} from {start} is lost");
            for (live, key) in vault.open_keys(&live, &self.officer, now).unwrap() {
                let opened = open_all(vault, &live, &key, now);
                assert!(opened.len() as u64 >= *wanted, "{when}: camera {of} from {start} lacks fragments");
                assert_eq!(opened, (0..opened.len() as u64).map(picture).collect::<Vec<_>>(), "{when}");
            }
        }
    }
}

/// Two cameras for a while; what fails is begun anew, as a camera's supervisor does.
fn record_through(vault: &Arc<Vault>, said: &mut Said) {
    let mut recorders = [1, 2].map(|of| (of, CameraRecorder::new(Arc::clone(vault), camera(of), RETENTION), 0_u64));
    for second in 0..6_u64 {
        for (of, recorder, start) in &mut recorders {
            if !recorder.is_open() || second == 3 {
                if recorder.is_open() && recorder.finish().is_err() {
                    said.appended.remove(&(*of, *start));
                }
                *start = second;
                // A volume that fails is left, and another one taken.
                recorder.begin(at(second), b"init").unwrap();
                said.appended.insert((*of, *start), 0);
            }
            let number = second - *start;
            let facts = FragmentFacts { first_pts_90k: number * 90_000, duration_90k: 90_000, frames: 10, sync: true };
            let appended = recorder.append(facts, &picture(number));
            if let (Ok(()), Some(known)) = (appended, said.appended.get_mut(&(*of, *start))) {
                *known += 1;
            }
        }
        let failed = vault.commit().is_err() || vault.volumes()[0].is_latched();
        if failed {
            // What is open on a volume that failed ends at the commit before.
            let failed = vault.volumes()[0].lock().open.keys().copied().collect::<Vec<_>>();
            let is_there = |of: u16, start: u64| {
                let live = vault.live_segments(camera(of), span(start, start + 100), at(start)).unwrap();
                live.iter().any(|live| live.span.from() == at(start) && failed.contains(&live.segment))
            };
            said.appended.retain(|(of, start), _| !is_there(*of, *start));
        }
        if !failed || !vault.volumes()[1].is_latched() {
            for (segment, appended) in &said.appended {
                let committed = said.committed.entry(*segment).or_default();
                *committed = (*appended).max(*committed);
            }
        }
    }
}

fn changes(kind: OperationKind) -> bool {
    kind.changes()
}

/// How many operations of these kinds a run has on the first disk.
fn count(kinds: fn(OperationKind) -> bool) -> usize {
    let pair = Pair::new();
    let vault = pair.start(START).unwrap();
    let before = pair.disks[0].log().len();
    record_through(&vault, &mut Said::default());
    pair.disks[0].log()[before..].iter().filter(|operation| kinds(operation.kind)).count()
}

#[test]
fn after_any_failed_write_or_flush_the_cameras_go_on_elsewhere_and_nothing_promised_is_lost() {
    let operations = count(changes);
    assert!(operations > 20, "nothing was tried");
    for skip in 0..operations {
        let pair = Pair::new();
        let vault = pair.start(START).unwrap();
        pair.fail(changes, skip, EIO);
        let mut said = Said::default();
        record_through(&vault, &mut said);
        let when = format!("operation {skip}");
        assert!(vault.volumes()[0].is_latched(), "{when}: what the disk holds is not known any more");
        assert!(!vault.volumes()[1].is_latched(), "{when}");
        let still = vault.commit();
        assert!(still.is_ok(), "{when}: the other one goes on: {still:?}");
        drop(vault);
        let pair = pair.cut();
        let vault = pair.start(at(60)).unwrap();
        pair.holds(&vault, &said, at(60), &when);
    }
}

#[test]
fn a_full_disk_condemns_nothing_and_leaves_nothing_half_made() {
    let reserves: fn(OperationKind) -> bool = |kind| kind == OperationKind::Allocate || kind == OperationKind::Create;
    let operations = count(reserves);
    assert!(operations > 3, "nothing was tried");
    for skip in 0..operations {
        let pair = Pair::new();
        let vault = pair.start(START).unwrap();
        pair.fail(reserves, skip, ENOSPC);
        let mut said = Said::default();
        record_through(&vault, &mut said);
        assert!(vault.volumes().iter().all(|volume| !volume.is_latched()), "operation {skip}");
        vault.stop().unwrap();
        drop(vault);
        let vault = pair.start(at(60)).unwrap();
        pair.holds(&vault, &said, at(60), &format!("operation {skip}"));
        drop(vault);
        for number in [0, 1] {
            let shared: SharedDisk = Arc::new(pair.disks[number].clone());
            let nothing = BTreeMap::new();
            let look = Look { deep: true, now: Some(at(60)), ..Look::at(&shared, SITE, &nothing) };
            let told = inspect(&pair.place(number), &look).unwrap();
            assert!(told.faults.is_empty(), "operation {skip}: {:?}", told.faults);
        }
    }
}

#[test]
fn erasing_that_failed_anywhere_is_brought_to_its_end_and_goes_on_on_a_latched_volume() {
    let expiry = at(2 * 86_400);
    let erase_all = |vault: &Vault| {
        let mut told = Ok(());
        for due in vault.due(expiry) {
            told = told.and(vault.destroy_key(&due, expiry));
        }
        for due in vault.due(expiry).iter().filter(|due| due.is_keyless) {
            told = told.and(vault.erase(due, DestructionTrigger::Expiry, expiry).map(drop));
        }
        told.and(destroy_day_keys(vault, expiry))
    };
    let recorded = || {
        let pair = Pair::new();
        let vault = pair.start(START).unwrap();
        record_through(&vault, &mut Said::default());
        vault.stop().unwrap();
        (pair, vault)
    };
    let (pair, vault) = recorded();
    let before = pair.disks[0].log().len();
    erase_all(&vault).unwrap();
    let operations = pair.disks[0].log()[before..].iter().filter(|operation| operation.kind.changes()).count();
    assert!(operations > 20, "nothing was tried");
    for error in [EIO, ENOSPC] {
        for skip in 0..operations {
            let (pair, vault) = recorded();
            vault.volumes()[0].latch(&"a test");
            pair.fail(changes, skip, error);
            assert!(erase_all(&vault).is_err(), "operation {skip}: a failure that nobody is told of");
            let told = erase_all(&vault).and_then(|()| erase_all(&vault));
            assert!(told.is_ok(), "operation {skip}: {told:?}");
            drop(vault);
            let pair = pair.cut();
            let vault = pair.start(expiry).unwrap();
            erase_all(&vault).unwrap();
            for disk in &pair.disks {
                assert!(!disk.device_holds(b"CUSTODSG", 0), "operation {skip}: a head is left");
                assert!(!disk.device_holds(&picture(0)[..16], 32), "operation {skip}");
                let held: Vec<_> = disk.files().into_iter().filter(|path| path.ends_with("rolling")).collect();
                assert!(held.is_empty());
            }
            assert!(vault.due(expiry).is_empty());
            assert_eq!(vault.day_key_count(), 0, "operation {skip}");
        }
    }
}

#[test]
fn a_read_that_comes_back_short_is_never_taken_for_the_truth() {
    let recorded = || {
        let pair = Pair::new();
        let vault = pair.start(START).unwrap();
        let mut said = Said::default();
        record_through(&vault, &mut said);
        drop(vault);
        (pair.cut(), said)
    };
    let reads: fn(OperationKind) -> bool = |kind| kind == OperationKind::Read;
    let (pair, said) = recorded();
    let vault = pair.start(at(60)).unwrap();
    pair.holds(&vault, &said, at(60), "without a short read");
    let operations = pair.disks[0].log().iter().filter(|operation| reads(operation.kind)).count();
    assert!(operations > 10, "nothing was tried");
    for skip in 0..operations {
        let (pair, said) = recorded();
        pair.disks[0].fail(Failure { kinds: reads, below: pair.place(0), skip, times: 1, error: None });
        // It may start, or start without that volume, or not start: it may not destroy or cut off anything.
        drop(pair.start(at(60)));
        let pair = Pair { disks: [0, 1].map(|number| pair.disks[number].after(PowerCut::Kept)), ..pair };
        let vault = pair.start(at(60)).unwrap();
        pair.holds(&vault, &said, at(60), &format!("short read {skip}"));
        for number in [0, 1] {
            let shared: SharedDisk = Arc::new(pair.disks[number].clone());
            let nothing = BTreeMap::new();
            let look = Look { deep: true, now: Some(at(60)), ..Look::at(&shared, SITE, &nothing) };
            let told = inspect(&pair.place(number), &look).unwrap();
            assert!(told.faults.is_empty(), "short read {skip}: {:?}", told.faults);
        }
    }
}

#[test]
fn a_volume_that_turns_read_only_is_left_and_one_that_is_at_the_start_is_not_used() {
    let pair = Pair::new();
    let vault = pair.start(START).unwrap();
    let mut said = Said::default();
    record_through(&vault, &mut said);
    let read_only = Failure { kinds: changes, below: pair.place(0), skip: 0, times: usize::MAX, error: Some(EROFS) };
    pair.disks[0].fail(read_only.clone());
    let mut recorders: Vec<_> =
        (3..=6).map(|of| CameraRecorder::new(Arc::clone(&vault), camera(of), RETENTION)).collect();
    recorders.iter_mut().for_each(|recorder| recorder.begin(at(100), b"init").unwrap());
    assert!(vault.volumes()[0].is_latched());
    recorders.iter_mut().for_each(|recorder| append(recorder, 0));
    vault.commit().unwrap();
    assert_eq!(vault.live_segments(camera(3), span(100, 101), at(101)).unwrap().len(), 1);
    pair.holds(&vault, &said, at(101), "what is there can still be read");
    drop((recorders, vault));
    let pair = Pair { disks: [0, 1].map(|number| pair.disks[number].after(PowerCut::Kept)), ..pair };
    pair.disks[0].fail(read_only);
    let shared: SharedDisk = Arc::new(pair.disks[0].clone());
    assert!(Volume::open(shared, &pair.place(0), SITE, true).is_err(), "its device cannot be tested");
}
