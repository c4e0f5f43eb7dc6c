//! Manifests to their end: closed, carried on, erased, and never back.

use super::*;
use crate::disk::{Failure, OperationKind};
use crate::ledger::{Act, Actor, Ledger, ManifestCheckpoint, SharedLedger};

const EIO: i32 = 5;

/// All of the first day is over, and its period.
const OVER: u64 = 3 * 86_400;

struct Closing {
    house: House,
    ledger: SharedLedger,
}

impl Closing {
    fn new() -> Self {
        Self::of(House::new())
    }

    fn of(house: House) -> Self {
        let dir = house.dir.path().join("ledger");
        house.disk.create_dir(&dir).unwrap();
        let ledger = SharedLedger::new(Ledger::open(Arc::clone(&house.disk), &dir, SITE, |_| {}).unwrap());
        Self { house, ledger }
    }

    fn closed(&self) -> ClosedManifests {
        self.ledger.closed_manifests()
    }

    fn try_start(&self, checkpoint: &[ManifestCheckpoint]) -> Result<Arc<Vault>, VaultError> {
        let volume = Volume::open(Arc::clone(&self.house.disk), &self.house.volume_dir(), SITE, true).unwrap();
        let volume = volume.with_closed(self.closed()).held_against(checkpoint);
        let catalog = Catalog::open(&self.house.dir.path().join("catalog")).unwrap();
        let vault = Vault::start(vec![volume], catalog, at(OVER))?;
        vault.set_recipients(vec![self.house.officer.public().unwrap()]);
        vault.catch_up(&|| false).unwrap();
        Ok(Arc::new(vault))
    }

    fn start(&self) -> Arc<Vault> {
        self.try_start(&[]).unwrap()
    }

    /// Destroys what is due and not held, and what is left of it: as the eraser does.
    fn erase(&self, vault: &Vault, is_held: impl Fn(&DueSegment) -> bool) {
        let now = at(OVER);
        let mut held = Vec::new();
        for due in vault.due(now) {
            if is_held(&due) {
                held.push(due);
                if !due.is_apart {
                    vault.set_apart(&due).unwrap();
                }
                continue;
            }
            vault.destroy_key(&due, now).unwrap();
            vault.erase(&due, DestructionTrigger::Expiry, now).unwrap();
        }
        vault.receipts_copied(&vault.receipts(at(OVER + 86_400))).unwrap();
        let is_held = |camera, span| held.iter().any(|due| due.camera == camera && due.span.overlaps(span));
        assert!(vault.destroy_day_keys(now, 100, &is_held).failure.is_none());
    }

    /// Returns how many manifests came to their end.
    fn close(&self, vault: &Vault) -> usize {
        let ending = vault.ending_manifests(at(OVER)).unwrap();
        for ending in &ending {
            let (row, is_new) = vault.closing_row(ending).unwrap();
            assert!(is_new);
            self.ledger.append(at(OVER), Actor::Daemon, Act::ManifestClosed(row.clone())).unwrap();
            vault.end_manifest(ending, &row).unwrap();
        }
        ending.len()
    }

    fn faults(&self) -> Vec<VolumeFault> {
        let (granted, closed) = (BTreeMap::new(), self.closed());
        let look = Look {
            deep: true,
            closed: Some(&closed),
            now: Some(at(OVER)),
            ..Look::at(&self.house.disk, SITE, &granted)
        };
        inspect(&self.house.volume_dir(), &look).unwrap().faults
    }

    fn age(&self, holds: &[Hold], now: Utc) -> AgeReport {
        let look =
            AgeLook { disk: &self.house.disk, site: SITE, now, holds, deep: true, goes_on: &|| true, wait: &|| {} };
        inspect_age(&self.house.volume_dir(), &look).unwrap()
    }

    fn is_empty(&self) -> bool {
        let dirs = |place: &str| self.house.disk.list_dirs(&self.house.volume_dir().join(place)).unwrap();
        self.house.files("manifests").is_empty()
            && self.house.files("keys").is_empty()
            && dirs("rolling").is_empty()
            && dirs("held").is_empty()
    }
}

fn checkpoint_of(vault: &Vault) -> Vec<ManifestCheckpoint> {
    let volume = &vault.volumes()[0];
    let heads = volume.flushed_heads().into_iter();
    heads.map(|(manifest, head)| ManifestCheckpoint { volume: volume.id(), manifest, head }).collect()
}

fn hold(camera_number: u16, from: u64, to: u64) -> Hold {
    Hold { of: HeldFor::Request(RequestId(1)), cameras: vec![camera(camera_number)], span: span(from, to) }
}

#[test]
fn a_manifest_whose_overwriting_is_not_proven_is_counted() {
    let (house, disk) = House::simulated();
    let site = Closing::of(house);
    let vault = site.start();
    record(&vault, camera(1), 0);
    site.erase(&vault, |_| false);
    let ending = vault.ending_manifests(at(OVER)).unwrap().remove(0);
    let (row, _) = vault.closing_row(&ending).unwrap();
    assert_eq!(vault.volumes()[0].unproven_files(), Default::default());
    let closed = site.house.volume_dir().join("manifests").join(format!("{}.closed", row.manifest));
    let kinds = |kind| kind == OperationKind::Read;
    disk.fail(Failure { kinds, below: closed.clone(), skip: 0, times: usize::MAX, error: Some(EIO) });
    vault.end_manifest(&ending, &row).unwrap();
    disk.mend();
    assert!(site.is_empty(), "it is overwritten as far as can be");
    let told = vault.volumes()[0].unproven_files();
    assert_eq!((told.files, told.newest), (1, Some(closed)));
}

#[test]
fn a_manifest_goes_with_the_last_of_what_it_names_and_what_it_told_stays_known() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    record(&vault, camera(2), 0);
    let recorder = CameraRecorder::new(Arc::clone(&vault), camera(2), RETENTION);
    recorder.record_gap(span(10, 500), GapCause::Stalled).unwrap();
    drop(recorder);
    vault.commit().unwrap();
    let checkpoint = checkpoint_of(&vault);
    site.erase(&vault, |due| due.camera == camera(2));
    assert!(site.house.files("held").is_empty() && !site.house.segments("held").is_empty());
    site.erase(&vault, |_| false);
    assert_eq!(site.close(&vault), 1);
    assert!(site.is_empty() && site.faults().is_empty(), "{:?}", site.faults());
    let told = |vault: &Vault| {
        let of = |number| vault.availability(camera(number), span(0, 1_000), at(OVER)).unwrap();
        (of(1), of(2))
    };
    let destroyed = |to| Availability::Destroyed {
        span: span(0, to),
        at: at(OVER),
        trigger: DestructionTrigger::Expiry,
        in_doubt: false,
    };
    let wanted =
        (vec![destroyed(20)], vec![destroyed(10), Availability::Gap { span: span(10, 500), cause: GapCause::Stalled }]);
    assert_eq!(told(&vault), wanted);
    assert!(vault.has_camera(camera(1)) && !vault.has_camera(camera(3)));
    drop(vault);
    // Neither the summary nor the checkpoint knows of it; the index is made from the ledger alone.
    let vault = site.try_start(&checkpoint).unwrap();
    assert_eq!(told(&vault), wanted, "rebuilt");
    assert!(vault.has_camera(camera(2)));
    vault.stop().unwrap();
    drop(vault);
    let volume = Volume::open(Arc::clone(&site.house.disk), &site.house.volume_dir(), SITE, true).unwrap();
    let catalog = Catalog::open(&site.house.dir.path().join("catalog")).unwrap();
    let vault = Vault::start(vec![volume], catalog, at(OVER)).unwrap();
    assert!(vault.index_is_current());
    assert_eq!(told(&vault), wanted, "from the index alone");
}

#[test]
fn without_the_index_the_ledgers_rows_answer_and_the_index_is_held_against_them() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    site.erase(&vault, |_| false);
    site.close(&vault);
    vault.stop().unwrap();
    let look = |closed: &ClosedManifests| {
        let (dir, copy) = (site.house.dir.path().join("catalog"), site.house.dir.path().join("copy"));
        let catalog = Catalog::open_copy(&dir, &copy).unwrap().unwrap();
        let seen = SeenVolume { volume: site.house.volume, dir: site.house.volume_dir(), heads: Vec::new() };
        let told = inspect_index(&site.house.disk, &catalog, &dir, &[seen], Some(closed)).unwrap();
        std::fs::remove_dir_all(copy).unwrap();
        told
    };
    assert_eq!(look(&site.closed()), IndexLook::Current { entries: 0, faults: Vec::new() });
    let empty = tempfile::tempdir().unwrap();
    let none = ClosedManifests::new(Arc::clone(&site.house.disk), empty.path().to_path_buf());
    let IndexLook::Current { faults, .. } = look(&none) else { panic!() };
    assert_eq!(faults.len(), 1, "it knows days that no ledger does");
    drop(vault);
    std::fs::remove_dir_all(site.house.dir.path().join("catalog")).unwrap();
    let volume = Volume::open(Arc::clone(&site.house.disk), &site.house.volume_dir(), SITE, true).unwrap();
    let catalog = Catalog::open(&site.house.dir.path().join("catalog")).unwrap();
    let vault = Vault::start(vec![volume.with_closed(site.closed())], catalog, at(OVER)).unwrap();
    assert!(!vault.index_is_current());
    let told = vault.availability(camera(1), span(0, 100), at(OVER)).unwrap();
    assert_eq!(
        told,
        [Availability::Destroyed {
            span: span(0, 10),
            at: at(OVER),
            trigger: DestructionTrigger::Expiry,
            in_doubt: false
        }]
    );
    assert!(vault.has_camera(camera(1)));
}

#[test]
fn what_is_held_is_carried_on_opens_and_goes_when_it_is_released() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    record(&vault, camera(2), 0);
    let found = vault.live_segments(camera(1), span(0, 5), at(20)).unwrap()[0];
    let first = site.house.files("manifests");
    site.erase(&vault, |due| due.camera == camera(1));
    assert_eq!(site.close(&vault), 1);
    let second = site.house.files("manifests");
    assert!(second.len() == 1 && second != first);
    assert_eq!((site.house.files("keys").len(), site.house.segments("held").len()), (1, 2));
    assert!(site.house.segments("held").iter().all(|name| name.starts_with(&second[0])));
    assert!(site.faults().is_empty(), "{:?}", site.faults());
    let opens = |vault: &Vault, live: &[LiveSegment]| {
        let keys = vault.open_keys(live, &site.house.officer, at(OVER)).unwrap();
        keys.iter().map(|(live, key)| open_all(vault, live, key, at(OVER)).len()).sum::<usize>()
    };
    assert_eq!(opens(&vault, &[found]), 10, "one that was found before it was carried");
    let live = |vault: &Vault| vault.live_segments(camera(1), span(0, 20), at(OVER)).unwrap();
    assert_eq!(opens(&vault, &live(&vault)), 20);
    let told = vault.availability(camera(2), span(0, 20), at(OVER)).unwrap();
    assert_eq!(
        told,
        [Availability::Destroyed {
            span: span(0, 10),
            at: at(OVER),
            trigger: DestructionTrigger::Expiry,
            in_doubt: false
        }]
    );
    assert_eq!(vault.availability(camera(1), span(0, 20), at(OVER)).unwrap().len(), 2, "footage, and nothing else");
    assert_eq!(site.close(&vault), 0, "it stays as it is");
    drop(vault);

    let vault = site.start();
    assert_eq!(opens(&vault, &live(&vault)), 20);
    let age = site.age(&[hold(1, 0, 20)], at(OVER + 2 * 86_400));
    assert!(age.nothing_older && age.held.segments == 2 && age.oldest_readable.is_none(), "{age:?}");
    // One of the two is released: its record goes, too.
    site.erase(&vault, |due| due.span.from() == at(0));
    assert_eq!(site.close(&vault), 1);
    let third = site.house.files("manifests");
    assert!(third.len() == 1 && third != second);
    assert_eq!(opens(&vault, &live(&vault)), 10);
    assert!(site.faults().is_empty(), "{:?}", site.faults());
    site.erase(&vault, |_| false);
    assert_eq!(site.close(&vault), 1);
    assert!(site.is_empty() && site.faults().is_empty());
    let told = vault.availability(camera(1), span(0, 20), at(OVER)).unwrap();
    assert!(told.iter().all(|piece| matches!(piece, Availability::Destroyed { .. })), "{told:?}");
    assert!(site.age(&[], at(OVER + 2 * 86_400)).nothing_older);
}

#[test]
fn a_manifest_that_was_closed_does_not_come_back() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    let manifest = site.house.volume_dir().join("manifests").join(&site.house.files("manifests")[0]);
    let segment = site.house.volume_dir().join("rolling").join(&site.house.segments("rolling")[0]);
    let (with_live, footage) = (std::fs::read(&manifest).unwrap(), std::fs::read(&segment).unwrap());
    site.erase(&vault, |_| false);
    let at_its_end = std::fs::read(&manifest).unwrap();
    site.close(&vault);
    let checkpoint = checkpoint_of(&vault);
    drop(vault);
    std::fs::write(&manifest, with_live).unwrap();
    std::fs::create_dir_all(segment.parent().unwrap()).unwrap();
    std::fs::write(&segment, footage).unwrap();
    let refused = site.try_start(&checkpoint).unwrap_err();
    assert!(matches!(&refused, VaultError::Resurrected { .. }), "{refused}");
    assert!(segment.exists(), "nothing on the volume is touched");
    // As it was at its end: a crash cut that short.
    std::fs::remove_file(&segment).unwrap();
    std::fs::write(&manifest, at_its_end).unwrap();
    let vault = site.try_start(&checkpoint).unwrap();
    let ending = vault.ending_manifests(at(OVER)).unwrap();
    let (row, is_new) = vault.closing_row(&ending[0]).unwrap();
    assert!(!is_new, "it has its row");
    vault.end_manifest(&ending[0], &row).unwrap();
    assert!(site.is_empty());
}

#[test]
fn an_older_image_is_refused_though_manifests_may_be_gone() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), OVER);
    let checkpoint = checkpoint_of(&vault);
    site.erase(&vault, |_| false);
    assert_eq!(site.close(&vault), 1);
    vault.commit().unwrap();
    drop(vault);
    assert!(site.try_start(&checkpoint).is_ok(), "the closed one may be gone");
    let left = site.house.volume_dir().join("manifests").join(&site.house.files("manifests")[0]);
    std::fs::remove_file(left).unwrap();
    std::fs::remove_file(site.house.volume_dir().join("summary")).unwrap();
    let refused = site.try_start(&checkpoint).unwrap_err();
    assert!(matches!(refused, VaultError::OlderImage { .. } | VaultError::ManifestsLack { .. }), "{refused}");
}

#[test]
fn a_day_key_that_two_manifests_share_outlives_the_one_that_made_it() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    // The period was changed during the day.
    let longer = Retention::Ceiling(DAY * 30);
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), longer);
    recorder.begin(at(10), b"init").unwrap();
    append(&mut recorder, 0);
    recorder.finish().unwrap();
    drop(recorder);
    vault.commit().unwrap();
    vault.commit().unwrap();
    assert_eq!((site.house.files("manifests").len(), site.house.files("keys").len()), (2, 1));
    site.erase(&vault, |_| false);
    assert_eq!(site.close(&vault), 1);
    assert_eq!((site.house.files("manifests").len(), site.house.files("keys").len()), (1, 1));
    drop(vault);
    let vault = site.start();
    let live = vault.live_segments(camera(1), span(10, 11), at(OVER)).unwrap();
    assert_eq!(vault.open_keys(&live, &site.house.officer, at(OVER)).unwrap().len(), 1);
    assert!(site.faults().is_empty(), "{:?}", site.faults());
}

#[test]
fn a_manifest_waits_for_its_receipts_its_day_keys_and_its_period() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    let now = at(OVER);
    let due = vault.due(now)[0];
    vault.destroy_key(&due, now).unwrap();
    vault.erase(&due, DestructionTrigger::Expiry, now).unwrap();
    assert_eq!(vault.destroy_day_keys(now, 100, &|_, _| false).destroyed, 1);
    assert!(vault.ending_manifests(now).unwrap().is_empty(), "its receipts are no rows yet");
    vault.receipts_copied(&vault.receipts(now)).unwrap();
    let early = at(86_400 + 10);
    assert!(vault.ending_manifests(early).unwrap().is_empty(), "its last second may still be of that period");
    assert_eq!(vault.ending_manifests(now).unwrap().len(), 1);
}

/// Each thing that outlives its limit is found: the positive controls of "nothing is older".
#[test]
fn everything_that_is_older_than_it_may_be_is_named() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(2), OVER);
    let fresh = site.age(&[], at(20));
    assert!(fresh.nothing_older && fresh.segments == 2, "{fresh:?}");
    assert_eq!(fresh.oldest_readable.map(|frame| (frame.at, frame.expires)), Some((at(0), at(86_400))));
    let later = at(86_400 + 400);
    let told = site.age(&[], later);
    assert!(!told.nothing_older && told.older.len() == 1 && told.older[0].what.contains("readable"), "{told:?}");
    assert!(site.age(&[hold(1, 0, 1)], later).nothing_older, "what is held may be older");
    // Without its key it is readable no more, and its blocks are there.
    vault.destroy_key(&vault.due(later)[0], later).unwrap();
    let told = site.age(&[], at(86_400 * 2));
    assert_eq!(told.oldest_readable.map(|frame| frame.at), Some(at(OVER)));
    assert_eq!(told.oldest_block.map(|frame| frame.at), Some(at(0)));
    assert!(told.older[0].what.contains("not overwritten"), "{told:?}");
    site.erase(&vault, |_| false);
    let end = at(OVER + 7_200);
    let named = |told: &AgeReport, what: &str| told.older.iter().any(|fault| fault.what.contains(what));
    assert!(named(&site.age(&[], end), "was not erased after it"), "the manifest");
    site.close(&vault);
    assert!(site.age(&[], end).nothing_older, "{:?}", site.age(&[], end));

    let volume = site.house.volume_dir();
    let rolling = volume.join("rolling").join(&site.house.files("manifests")[0]);
    let strays = [
        (volume.join("keys/00000000000000aa"), "no manifest names this day key"),
        (rolling.join("00000000000000bb"), "no manifest names it"),
        (volume.join("manifests/00000000000000cc.new"), "what was left of a manifest"),
        (volume.join("manifests/00000000000000cc.closed"), "what was left of a manifest"),
        (volume.join("summary.new"), "no file of a volume"),
        (volume.join("held/stray"), "stands where no segment does"),
        (rolling.join("stray"), "is no segment"),
    ];
    for (path, what) in &strays {
        std::fs::write(path, b"stray").unwrap();
        let told = site.age(&[], end);
        assert!(told.older_count == 1 && named(&told, what), "{}: {told:?}", path.display());
        std::fs::remove_file(path).unwrap();
    }
    for (dir, what) in [("rolling/00000000000000dd", "bears no manifest's name"), ("more", "no directory of a volume")]
    {
        std::fs::create_dir(volume.join(dir)).unwrap();
        assert!(named(&site.age(&[], end), what), "{dir}");
        std::fs::remove_dir(volume.join(dir)).unwrap();
    }
    assert!(site.age(&[], end).nothing_older);
}

#[test]
fn a_manifest_that_tells_a_segment_younger_than_it_is_deceives_no_deep_look() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 2 * 86_400);
    // The older one's file in the younger one's place.
    let names = site.house.segments("rolling");
    let path_of = |from: u64| {
        let live = vault.live_segments(camera(1), span(from, from + 1), at(0)).unwrap()[0].segment.to_string();
        let name = names.iter().find(|name| name.ends_with(&live)).unwrap();
        site.house.volume_dir().join("rolling").join(name)
    };
    let (old, young) = (path_of(0), path_of(2 * 86_400));
    std::fs::rename(old, young).unwrap();
    let told = site.age(&[], at(2 * 86_400 + 60));
    assert!(told.older.iter().any(|fault| fault.what.contains("its own head")), "{told:?}");
}

#[test]
fn what_nobody_names_is_swept_while_the_daemon_runs() {
    let site = Closing::new();
    let vault = site.start();
    record(&vault, camera(1), 0);
    let volume = site.house.volume_dir();
    std::fs::write(volume.join("keys/00000000000000aa"), [7; 5_000]).unwrap();
    std::fs::write(volume.join("manifests/00000000000000cc.closed"), [7; 5_000]).unwrap();
    std::fs::create_dir(volume.join("rolling/00000000000000dd")).unwrap();
    std::fs::write(volume.join("rolling/00000000000000dd/00000000000000ee"), [7; 5_000]).unwrap();
    assert_eq!(site.age(&[], at(20)).older_count, 4);
    vault.sweep().unwrap();
    let told = site.age(&[], at(20));
    assert!(told.nothing_older && told.segments == 1, "{told:?}");
    // An end that was left half-way.
    let rolling = volume.join("rolling").join(&site.house.files("manifests")[0]);
    std::fs::write(rolling.join("00000000000000ff"), [7; 5_000]).unwrap();
    vault.volumes()[0].lock().left_half_way = true;
    vault.sweep().unwrap();
    assert!(site.age(&[], at(20)).nothing_older && !vault.volumes()[0].lock().left_half_way);
}

/// The mark of a doubt about the time, and what corrects it, go with what is held.
#[test]
fn what_is_held_and_was_dated_in_doubt_keeps_its_correction() {
    use crate::domain::{Doubt, Mark};
    let site = Closing::new();
    let vault = site.start();
    let record_in = |mark: Option<Mark>, from: u64| {
        let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
        recorder.date_in(mark);
        recorder.begin(at(from), b"init").unwrap();
        append(&mut recorder, 0);
        recorder.finish().unwrap();
        drop(recorder);
        vault.commit().unwrap();
    };
    let mark = Mark { doubt: Doubt(at(15)), is_known: true };
    record_in(None, 0);
    record_in(Some(mark), 20);
    vault.commit().unwrap();
    // It was filmed an hour earlier than it says.
    let correction = crate::domain::Correction::exactly(-3_600_000_000);
    let corrected = crate::segment::ManifestRecord::Corrected { doubt: mark.doubt, correction };
    let key = *vault.volumes()[0].lock().manifests.keys().next().unwrap();
    vault.volumes()[0].lock().loaded(key).unwrap().unwrap().append(&corrected).unwrap();
    site.erase(&vault, |_| true);
    assert_eq!(site.close(&vault), 1);
    drop(vault);
    let vault = site.start();
    let state = vault.volumes()[0].lock();
    let manifest = state.manifests.values().next().unwrap();
    assert!(manifest.header.carries_on.is_some());
    let sum = manifest.sum();
    let of = |from| sum.apart.values().find(|apart| apart.start == at(from)).unwrap().doubt;
    assert_eq!((of(0), of(20)), (None, Some(mark.doubt)));
    assert_eq!(sum.correction(of(20)), correction);
    drop(state);
    let live = vault.live_segments(camera(1), span(0, 100), at(OVER)).unwrap();
    assert_eq!(
        live.iter().map(|live| live.span.from()).collect::<Vec<_>>(),
        [at(0)],
        "the other is shown an hour earlier"
    );
    assert!(site.faults().is_empty(), "{:?}", site.faults());
}
