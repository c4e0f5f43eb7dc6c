//! The vault over real files: recorded, cut short, opened, held, erased.

use super::*;
use crate::crypto::{PrivateKey, StreamOpener, generate_pair};
use crate::disk::{RealDisk, SharedDisk, SimulatedDisk};
use crate::domain::{
    DestructionTrigger, GapCause, GrantId, HeldFor, Overwrite, RequestId, Retention, SiteId, Span, VolumeId,
};
use crate::ledger::ClosedManifests;
use crate::segment::FragmentFacts;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

mod closing;
mod condemn;
mod coverage;
mod damage;
mod doubts;
mod erasing;
mod errors;
mod model;
mod recipients;
mod starts;
mod time;

const SITE: SiteId = SiteId([1; 16]);
/// 2026-11-22T10:00:00Z.
const START: Utc = Utc::from_micros(1_795_341_600_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const RETENTION: Retention = Retention::Ceiling(Duration::from_secs(86_400));

fn camera(number: u16) -> CameraNumber {
    CameraNumber::new(number).unwrap()
}

fn at(seconds: u64) -> Utc {
    START.saturating_add(Duration::from_secs(seconds))
}

fn span(from: u64, to: u64) -> Span {
    Span::new(at(from), at(to)).unwrap()
}

struct House {
    dir: tempfile::TempDir,
    disk: SharedDisk,
    officer: PrivateKey,
    volume: VolumeId,
}

impl House {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), Arc::new(RealDisk))
    }

    /// On a disk that can be made to fail; only the index is on a real one.
    fn simulated() -> (Self, SimulatedDisk) {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(&[dir.path()]);
        (Self::on(dir, Arc::new(disk.clone())), disk)
    }

    fn on(dir: tempfile::TempDir, disk: SharedDisk) -> Self {
        let volume = Volume::create(&disk, &dir.path().join("v1"), SITE).unwrap();
        Self { dir, disk, officer: generate_pair().unwrap().0, volume }
    }

    fn volume_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("v1")
    }

    fn start(&self) -> Arc<Vault> {
        self.start_at(START)
    }

    fn start_at(&self, now: Utc) -> Arc<Vault> {
        let volume = Volume::open(Arc::clone(&self.disk), &self.volume_dir(), SITE, true).unwrap();
        let volume = volume.with_closed(self.closed());
        let catalog = Catalog::open(&self.dir.path().join("catalog")).unwrap();
        let vault = Vault::start(vec![volume], catalog, now).unwrap();
        vault.set_recipients(vec![self.officer.public().unwrap()]);
        Arc::new(vault)
    }

    /// The rows of closed manifests, where a test has a ledger.
    fn closed(&self) -> ClosedManifests {
        ClosedManifests::new(Arc::clone(&self.disk), self.dir.path().join("ledger"))
    }

    fn files(&self, sub: &str) -> Vec<String> {
        self.disk.list_files(&self.volume_dir().join(sub)).unwrap()
    }

    /// Segment files in `rolling` or `held`, each with its directory's name.
    fn segments(&self, place: &str) -> Vec<String> {
        let dirs = self.disk.list_dirs(&self.volume_dir().join(place)).unwrap();
        dirs.iter()
            .flat_map(|dir| self.files(&format!("{place}/{dir}")).into_iter().map(move |name| format!("{dir}/{name}")))
            .collect()
    }

    /// Where a segment's file would stand.
    fn path_of(&self, place: &str, segment: SegmentId) -> std::path::PathBuf {
        self.volume_dir().join(place).join(&self.files("manifests")[0]).join(segment.to_string())
    }

    fn faults(&self, heads: &[(String, crate::domain::ManifestHead)]) -> Vec<VolumeFault> {
        self.faults_at(heads, START)
    }

    fn faults_at(&self, heads: &[(String, crate::domain::ManifestHead)], now: Utc) -> Vec<VolumeFault> {
        let granted = BTreeMap::new();
        let look = Look { deep: true, heads, now: Some(now), ..Look::at(&self.disk, SITE, &granted) };
        inspect(&self.volume_dir(), &look).unwrap().faults
    }
}

/// All day keys that nothing needs, where nothing is held.
fn destroy_day_keys(vault: &Vault, now: Utc) -> Result<(), VaultError> {
    loop {
        let told = vault.destroy_day_keys(now, 2, &|_, _| false);
        match told.failure {
            Some(failure) => return Err(failure),
            None if told.destroyed == 0 => return Ok(()),
            None => {}
        }
    }
}

/// A second of pictures, told apart by their number.
fn picture(number: u64) -> Vec<u8> {
    format!("picture {number} ").repeat(50).into_bytes()
}

fn append(recorder: &mut CameraRecorder, number: u64) {
    let facts = FragmentFacts { first_pts_90k: number * 90_000, duration_90k: 90_000, frames: 10, sync: true };
    recorder.append(facts, &picture(number)).unwrap();
}

/// Ten seconds of a camera from `from`, finished and committed.
fn record(vault: &Arc<Vault>, of: CameraNumber, from: u64) {
    let mut recorder = CameraRecorder::new(Arc::clone(vault), of, RETENTION);
    recorder.begin(at(from), b"init").unwrap();
    (0..10).for_each(|number| append(&mut recorder, number));
    recorder.finish().unwrap();
    vault.commit().unwrap();
}

fn open_all(vault: &Vault, live: &LiveSegment, key: &crate::crypto::DataKey, now: Utc) -> Vec<Vec<u8>> {
    let reader = vault.read(live, now).unwrap();
    let opener = StreamOpener::new(key).unwrap();
    assert_eq!(reader.open_init(&opener).unwrap(), b"init");
    reader.fragments().unwrap().iter().map(|part| reader.open_fragment(&opener, part).unwrap()).collect()
}

#[test]
fn what_was_recorded_is_found_and_opens_for_the_officer_alone() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    record(&vault, camera(2), 0);
    let live = vault.live_segments(camera(1), span(5, 15), at(20)).unwrap();
    assert_eq!(live.iter().map(|one| one.span).collect::<Vec<_>>(), [span(0, 10), span(10, 20)]);
    let keys = vault.open_keys(&live, &house.officer, at(20)).unwrap();
    for (live, key) in &keys {
        assert_eq!(open_all(&vault, live, key, at(20)), (0..10).map(picture).collect::<Vec<_>>());
    }
    let (stranger, _) = generate_pair().unwrap();
    assert!(matches!(vault.open_keys(&live, &stranger, at(20)), Err(VaultError::WrongKey { .. })));
    assert_eq!(vault.day_key_count(), 2, "one a camera and day");
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn a_day_of_segments_is_read_side_by_side_and_a_bad_one_stands_in_no_others_way() {
    let house = House::new();
    let vault = house.start();
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    for number in 0..100 {
        recorder.begin(at(number * 10), b"init").unwrap();
        append(&mut recorder, 0);
        recorder.finish().unwrap();
    }
    vault.commit().unwrap();
    let live = vault.live_segments(camera(1), span(0, 1_000), at(1_000)).unwrap();
    let bad = house.path_of("rolling", live[37].segment);
    let mut bytes = std::fs::read(&bad).unwrap();
    bytes[100] ^= 1;
    let crc = crc32c::crc32c(&bytes[..168]).to_be_bytes();
    bytes[168..172].copy_from_slice(&crc);
    std::fs::write(&bad, bytes).unwrap();
    std::fs::remove_file(house.path_of("rolling", live[64].segment)).unwrap();
    let steps = std::sync::atomic::AtomicU32::new(0);
    let step = || {
        steps.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    };
    let told = vault.heads(&live, at(1_000), &step);
    assert_eq!(steps.load(std::sync::atomic::Ordering::SeqCst), 100, "each is a step, read or not");
    assert_eq!(told.iter().map(|(one, _)| *one).collect::<Vec<_>>(), live, "in their order, none left out");
    let heads: Vec<_> = told.into_iter().filter_map(|(one, head)| Some((one, head.ok()?))).collect();
    assert_eq!(heads.len(), 99, "the lost one");
    let keys = vault.open_keys_of(&heads, &house.officer, &step).unwrap();
    assert_eq!(steps.load(std::sync::atomic::Ordering::SeqCst), 199);
    let opened: Vec<_> = keys.iter().filter(|(_, key)| key.is_ok()).map(|(one, _)| *one).collect();
    let expected: Vec<_> = (0..100).filter(|number| ![37, 64].contains(number)).map(|number| live[number]).collect();
    assert_eq!(opened, expected, "the forged one");
}

#[test]
fn a_segment_that_is_being_written_can_be_asked_for_and_opened_so_far() {
    let house = House::new();
    let vault = house.start();
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(START, b"init").unwrap();
    (0..3).for_each(|number| append(&mut recorder, number));
    let live = vault.live_segments(camera(1), span(0, 100), at(3)).unwrap();
    assert_eq!(live[0].span, span(0, 3));
    let keys = vault.open_keys(&live, &house.officer, at(3)).unwrap();
    assert_eq!(open_all(&vault, &keys[0].0, &keys[0].1, at(3)).len(), 3);
}

#[test]
fn after_a_kill_the_committed_is_there_and_the_rest_is_overwritten() {
    let house = House::new();
    let vault = house.start();
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(START, b"init").unwrap();
    (0..4).for_each(|number| append(&mut recorder, number));
    vault.commit().unwrap();
    (4..7).for_each(|number| append(&mut recorder, number));
    let path = house.volume_dir().join("rolling").join(&house.segments("rolling")[0]);
    let before = std::fs::read(&path).unwrap();
    // No `stop`, no `finish`: as after a `kill -9`.
    drop((recorder, vault));
    let vault = house.start_at(at(60));
    let live = vault.live_segments(camera(1), span(0, 100), at(60)).unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].span, span(0, 4), "V3: it ends at the last commit");
    let keys = vault.open_keys(&live, &house.officer, at(60)).unwrap();
    assert_eq!(open_all(&vault, &keys[0].0, &keys[0].1, at(60)).len(), 4);
    let after = std::fs::read(&path).unwrap();
    let kept = after.iter().rposition(|byte| *byte != 0).unwrap();
    assert_eq!(after[..=kept], before[..=kept]);
    assert!(before[kept + 1..].iter().any(|byte| *byte != 0), "there was something to overwrite");
    record(&vault, camera(1), 70);
    assert_eq!(vault.live_segments(camera(1), span(0, 100), at(80)).unwrap().len(), 2, "a new segment goes on");
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn a_segment_that_was_never_committed_is_erased_at_the_start() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(2), 0);
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(START, b"init").unwrap();
    append(&mut recorder, 0);
    std::fs::write(house.path_of("rolling", SegmentId(0xaa)), b"an orphan").unwrap();
    drop((recorder, vault));
    let vault = house.start_at(at(60));
    assert!(vault.live_segments(camera(1), span(0, 100), at(60)).unwrap().is_empty());
    assert_eq!(house.segments("rolling").len(), 1, "V4: that of camera 2 is left");
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn a_committed_footer_without_its_record_is_a_whole_segment() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    // The record "sealed" was appended after the commit's flush: a power cut may lose it.
    let manifest = house.volume_dir().join("manifests").join(&house.files("manifests")[0]);
    let whole = std::fs::read(&manifest).unwrap();
    drop(vault);
    std::fs::write(&manifest, &whole[..whole.len() - 20]).unwrap();
    let vault = house.start_at(at(60));
    let live = vault.live_segments(camera(1), span(0, 100), at(60)).unwrap();
    assert_eq!(live[0].ending, crate::segment::Ending::Footer { chunks: 12 });
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn at_its_expiry_a_segment_is_refused_and_then_destroyed_for_good() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    let expiry = START.saturating_add(DAY);
    let live = vault.live_segments(camera(1), span(0, 5), at(20)).unwrap()[0];
    let just_before = Utc::from_micros(expiry.micros() - 1);
    assert!(vault.read(&live, just_before).is_ok());
    assert!(matches!(vault.read(&live, expiry), Err(VaultError::Expired { .. })), "V6, before any erasing");
    assert!(vault.due(just_before).is_empty());
    let due = vault.due(expiry);
    assert_eq!(due.len(), 1);
    let sealed = std::fs::read(house.path_of("rolling", live.segment)).unwrap();
    vault.destroy_key(&due[0], expiry).unwrap();
    assert!(matches!(vault.read(&live, START), Err(VaultError::Destroyed { .. })), "V5");
    let path = house.path_of("rolling", live.segment);
    let keyless = std::fs::read(&path).unwrap();
    assert!(keyless[..4096].iter().all(|byte| *byte == 0) && keyless[4096..] == sealed[4096..]);
    let told = vault.erase(&due[0], DestructionTrigger::Expiry, expiry).unwrap();
    assert_eq!(told, if vault.volumes()[0].is_proven() { Overwrite::Proven } else { Overwrite::DeviceUnproven });
    assert!(!path.exists());
    assert!(vault.due(expiry).is_empty());
    let told = vault.availability(camera(1), span(0, 20), at(20)).unwrap();
    assert!(matches!(told[0], Availability::Destroyed { at, .. } if at == expiry));
    assert!(matches!(told[1], Availability::Footage { .. }));
    let batches = vault.unreceipted().unwrap();
    assert_eq!((batches.len(), batches[0].segments, batches[0].span), (1, 1, span(0, 10)));
    vault.receipts_copied(&vault.receipts(at(100_000))).unwrap();
    assert!(vault.unreceipted().unwrap().is_empty());
    drop(vault);
    assert!(house.start_at(expiry).unreceipted().unwrap().is_empty(), "that the receipt was copied survives a restart");
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn erasing_that_was_broken_off_goes_on_after_a_restart() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let expiry = START.saturating_add(DAY);
    vault.destroy_key(&vault.due(expiry)[0], expiry).unwrap();
    drop(vault);
    let vault = house.start_at(expiry);
    let due = vault.due(expiry);
    assert_eq!(due.len(), 1);
    vault.erase(&due[0], DestructionTrigger::Expiry, expiry).unwrap();
    assert!(house.segments("rolling").is_empty());
    // And when only the name was left.
    let name_again = house.path_of("rolling", due[0].segment);
    std::fs::create_dir_all(name_again.parent().unwrap()).unwrap();
    std::fs::write(name_again, [0; 10]).unwrap();
    drop(vault);
    assert!(!house.faults(&[]).is_empty());
    house.start_at(expiry);
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn a_day_key_goes_when_its_day_is_over_and_nothing_is_left_to_open() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let expiry = START.saturating_add(DAY);
    destroy_day_keys(&vault, Utc::from_micros(expiry.micros() - 1)).unwrap();
    assert_eq!(house.files("keys").len(), 1, "a segment is left");
    vault.destroy_key(&vault.due(expiry)[0], expiry).unwrap();
    destroy_day_keys(&vault, START).unwrap();
    assert_eq!(house.files("keys").len(), 1, "the day is not over");
    destroy_day_keys(&vault, expiry).unwrap();
    assert!(house.files("keys").is_empty());
    assert_eq!(vault.day_key_count(), 0);
}

#[test]
fn held_footage_stands_apart_and_outlives_its_period() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    let expiry = START.saturating_add(DAY);
    let due = vault.due(expiry);
    vault.set_apart(&due[0]).unwrap();
    assert_eq!((house.segments("rolling").len(), house.segments("held").len()), (0, 1));
    let live = vault.live_segments(camera(1), span(0, 10), expiry).unwrap();
    assert_eq!(
        open_all(&vault, &live[0], &vault.open_keys(&live, &house.officer, expiry).unwrap()[0].1, expiry).len(),
        10
    );
    drop(vault);
    let vault = house.start_at(expiry);
    let due = vault.due(expiry);
    assert!(due[0].is_apart);
    vault.destroy_key(&due[0], expiry).unwrap();
    vault.erase(&due[0], DestructionTrigger::HoldEnded, expiry).unwrap();
    assert!(house.segments("held").is_empty());
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn holds_survive_a_restart_and_a_damaged_file_stops_the_eraser() {
    let house = House::new();
    let path = house.dir.path().join("holds");
    let open = || Holds::open(Arc::clone(&house.disk), path.clone());
    let hold = |number| Hold::of_request(RequestId(number), vec![camera(1)], span(0, 10));
    let mut holds = open().unwrap();
    holds.place(hold(1)).unwrap();
    holds.place(hold(2)).unwrap();
    let mut holds = open().unwrap();
    holds.release(HeldFor::Request(RequestId(1))).unwrap();
    assert!(open().unwrap().covers(camera(1), span(9, 20)), "two holds, one released");
    assert!(!holds.covers(camera(1), span(10, 20)));
    assert!(!holds.covers(camera(2), span(0, 10)));
    holds.release(HeldFor::Request(RequestId(2))).unwrap();
    assert!(open().unwrap().list().is_empty());
    std::fs::write(&path, b"{").unwrap();
    assert!(matches!(open(), Err(VaultError::State { .. })));
}

#[test]
fn a_grants_slots_open_for_its_viewer_until_the_segment_goes() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    let live = vault.live_segments(camera(1), span(0, 20), at(20)).unwrap();
    let keys = vault.open_keys(&live, &house.officer, at(20)).unwrap();
    let (viewer, public) = generate_pair().unwrap();
    let dir = house.dir.path().join("grants");
    std::fs::create_dir(&dir).unwrap();
    let store = GrantStore::new(Arc::clone(&house.disk), dir);
    let seal = |(live, key): &(LiveSegment, crate::crypto::DataKey)| {
        StagedSlot::seal(GrantId(7), &public, live.volume, live.segment, key).unwrap()
    };
    let staged: Vec<StagedSlot> = keys.iter().map(seal).collect();
    store.stage(GrantId(7), &public, &staged).unwrap();
    let open = |segment| store.open(GrantId(7)).unwrap().open_key(house.volume, segment, &viewer).unwrap();
    assert_eq!(open(live[0].segment).unwrap().expose(), keys[0].1.expose());
    let (other, _) = generate_pair().unwrap();
    let told = store.open(GrantId(7)).unwrap().open_key(house.volume, live[0].segment, &other);
    assert!(matches!(told, Err(VaultError::Unopened(_))), "another viewer");
    store.forget_segments(&[(house.volume, live[0].segment)]).unwrap();
    assert!(open(live[0].segment).is_none());
    assert!(open(live[1].segment).is_some());
    std::fs::write(house.dir.path().join("grants/00000008"), [7; 5_000]).unwrap();
    store.forget_segments(&[(house.volume, live[1].segment)]).unwrap();
    assert_eq!(store.list().unwrap(), [GrantId(7)], "a damaged one stands in nobody's way");
    store.destroy(GrantId(7)).unwrap();
    assert!(store.list().unwrap().is_empty());
    store.destroy(GrantId(7)).unwrap();
}

#[test]
fn a_segment_taken_out_slipped_in_or_changed_is_named() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    vault.commit().unwrap();
    let heads = vault.volumes()[0].manifest_heads();
    drop(vault);
    assert!(house.faults(&heads).is_empty());
    let rolling = house.volume_dir().join("rolling");
    let names = house.segments("rolling");
    let (one, two) = (rolling.join(&names[0]), rolling.join(&names[1]));
    let fault = |part: &str| {
        let faults = house.faults(&heads);
        assert!(faults.iter().any(|fault| fault.what.contains(part)), "{part}: {faults:?}");
    };
    std::fs::rename(&one, house.dir.path().join("away")).unwrap();
    fault("is missing");
    std::fs::copy(&two, &one).unwrap();
    fault("its head is not the one");
    std::fs::rename(house.dir.path().join("away"), &one).unwrap();
    for stranger in [house.path_of("rolling", SegmentId(0xaa)), rolling.join("00000000000000aa")] {
        std::fs::copy(&two, &stranger).unwrap();
        fault("stands in no manifest");
        std::fs::remove_file(&stranger).unwrap();
    }
    let mut bytes = std::fs::read(&one).unwrap();
    bytes[5_000] ^= 1;
    std::fs::write(&one, &bytes).unwrap();
    fault("its bytes were changed");
    bytes[5_000] ^= 1;
    std::fs::write(&one, &bytes).unwrap();
    assert!(house.faults(&heads).is_empty());
    let manifest = house.volume_dir().join("manifests").join(&house.files("manifests")[0]);
    let whole = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, &whole[..whole.len() - 30]).unwrap();
    fault("is not what the ledger's checkpoint says");
    std::fs::remove_file(&manifest).unwrap();
    fault("the ledger's checkpoint names it");
}

#[test]
fn a_checkpoint_holds_no_record_that_a_power_cut_could_take() {
    let house = House::new();
    let vault = house.start();
    let volume = &vault.volumes()[0];
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    recorder.begin(START, b"init").unwrap();
    assert!(volume.flushed_heads().is_empty(), "the manifest itself may be lost");
    append(&mut recorder, 0);
    vault.commit().unwrap();
    assert_eq!(volume.flushed_heads(), volume.manifest_heads());
    recorder.finish().unwrap();
    vault.commit().unwrap();
    let (flushed, written) = (volume.flushed_heads(), volume.manifest_heads());
    assert_eq!(flushed[0].1.records + 1, written[0].1.records, "that it is sealed is written, and not flushed yet");
    vault.commit().unwrap();
    assert_eq!(volume.flushed_heads(), volume.manifest_heads());
    drop((recorder, vault));
    assert_eq!(house.start().volumes()[0].flushed_heads(), written);
}

#[test]
fn another_sites_volume_and_an_empty_directory_are_refused() {
    let house = House::new();
    let told = Volume::open(Arc::clone(&house.disk), &house.volume_dir(), SiteId([2; 16]), true);
    assert!(matches!(told, Err(VaultError::OtherSite { .. })));
    let told = Volume::open(Arc::clone(&house.disk), &house.dir.path().join("none"), SITE, true);
    assert!(matches!(told, Err(VaultError::NoVolume { .. })));
}

#[test]
fn without_an_officer_nothing_is_recorded() {
    let house = House::new();
    let vault = house.start();
    vault.set_recipients(Vec::new());
    let mut recorder = CameraRecorder::new(vault, camera(1), RETENTION);
    assert!(matches!(recorder.begin(START, b"init"), Err(VaultError::NoRecipients)));
}

#[test]
fn a_day_key_stays_as_long_as_any_retention_of_its_day_wants_it() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    // The period is set longer at noon: another manifest, the same day key.
    let longer = Retention::Ceiling(DAY * 3);
    let mut recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), longer);
    recorder.begin(at(10), b"init").unwrap();
    append(&mut recorder, 0);
    recorder.finish().unwrap();
    vault.commit().unwrap();
    let after = at(2 * 86_400);
    for due in vault.due(after) {
        vault.destroy_key(&due, after).unwrap();
        vault.erase(&due, DestructionTrigger::Expiry, after).unwrap();
    }
    destroy_day_keys(&vault, after).unwrap();
    let live = vault.live_segments(camera(1), span(0, 20), after).unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(vault.open_keys(&live, &house.officer, after).unwrap().len(), 1, "V7: it was destroyed too early");
}
