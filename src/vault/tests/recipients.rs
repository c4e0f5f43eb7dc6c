//! Officers who join and leave: who opens what is there already.

use super::*;
use crate::crypto::PublicKey;
use crate::segment::{SlotFile, SlotPurpose};
use std::path::PathBuf;

struct People {
    officer: PrivateKey,
    deputy: PrivateKey,
    recovery: PrivateKey,
    newcomer: PrivateKey,
}

impl People {
    fn new() -> Self {
        let key = || generate_pair().unwrap().0;
        Self { officer: key(), deputy: key(), recovery: key(), newcomer: key() }
    }

    fn recipients(&self) -> Vec<PublicKey> {
        [&self.officer, &self.deputy, &self.recovery].map(|key| key.public().unwrap()).to_vec()
    }

    fn recovery(&self) -> PublicKey {
        self.recovery.public().unwrap()
    }
}

/// A vault with four day keys: two cameras, two days.
fn recorded(house: &House, people: &People) -> Arc<Vault> {
    let vault = house.start();
    vault.set_recipients(people.recipients());
    for day in [0, 86_400] {
        (1..=2).for_each(|number| record(&vault, camera(number), day));
    }
    vault
}

fn opens(vault: &Vault, key: &PrivateKey) -> usize {
    let now = at(86_420);
    // Both days: the first one has not been erased.
    let live: Vec<LiveSegment> = (1..=2)
        .flat_map(|number| vault.live_segments(camera(number), span(0, 90_000), at(20)).unwrap())
        .filter(|live| live.expires > START)
        .collect();
    assert!(live.len() == 4 && now > START);
    live.iter().filter(|live| vault.open_keys(&[**live], key, at(20)).is_ok()).count()
}

fn key_files(house: &House) -> Vec<PathBuf> {
    house.files("keys").iter().map(|name| house.volume_dir().join("keys").join(name)).collect()
}

fn owners(path: &Path) -> Vec<[u8; 32]> {
    let file = SlotFile::open_to_read(&RealDisk, path, SlotPurpose::DayKey).unwrap();
    file.used().unwrap().iter().map(|slot| slot.owner).collect()
}

#[test]
fn who_joins_opens_what_was_there_and_what_comes_and_a_second_round_changes_nothing() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    assert_eq!(opens(&vault, &people.newcomer), 0);
    let newcomer = people.newcomer.public().unwrap();
    let round = vault.admit_officer(&people.deputy, newcomer).unwrap();
    assert_eq!((round.changed, round.unchanged, round.is_complete()), (4, 0, true), "{round:?}");
    assert_eq!(opens(&vault, &people.newcomer), 4);
    let before: Vec<Vec<u8>> = key_files(&house).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let round = vault.admit_officer(&people.recovery, newcomer).unwrap();
    assert_eq!((round.changed, round.unchanged), (0, 4));
    let after: Vec<Vec<u8>> = key_files(&house).iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(before == after, "nothing is sealed twice");
    record(&vault, camera(3), 0);
    let live = vault.live_segments(camera(3), span(0, 10), at(20)).unwrap();
    assert!(vault.open_keys(&live, &people.newcomer, at(20)).is_ok(), "R1");
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn a_round_that_was_broken_off_goes_on() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    let newcomer = people.newcomer.public().unwrap();
    vault.admit_officer(&people.officer, newcomer).unwrap();
    // The power cut took one slot whole and tore another.
    let files = key_files(&house);
    let file = SlotFile::open(&RealDisk, &files[0], SlotPurpose::DayKey).unwrap();
    file.blank(file.find(&newcomer.0).unwrap().unwrap().0).unwrap();
    let mut torn = std::fs::read(&files[1]).unwrap();
    let place = 4096 * 4;
    assert_eq!(torn[place + 4..place + 36], newcomer.0, "the fourth slot is theirs");
    torn[place + 60..place + 4096].fill(0);
    std::fs::write(&files[1], torn).unwrap();
    assert_eq!(opens(&vault, &people.newcomer), 2);
    let round = vault.admit_officer(&people.officer, newcomer).unwrap();
    assert_eq!((round.changed, round.unchanged, round.is_complete()), (2, 2, true), "R2: {round:?}");
    assert_eq!(opens(&vault, &people.newcomer), 4);
    assert!(files.iter().all(|path| owners(path).len() == 4));
}

#[test]
fn a_stranger_hands_nothing_on() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    let round = vault.admit_officer(&people.newcomer, generate_pair().unwrap().1).unwrap();
    assert_eq!((round.changed, round.faults.len()), (0, 4));
    assert!(round.faults[0].what.contains("has no slot here"), "{round:?}");
}

#[test]
fn a_seventeenth_recipient_is_refused_and_so_is_a_seventeenth_slot() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    let more: Vec<PublicKey> = (0..13).map(|_| generate_pair().unwrap().1).collect();
    for newcomer in &more {
        assert!(vault.admit_officer(&people.officer, *newcomer).unwrap().is_complete());
    }
    let newcomer = people.newcomer.public().unwrap();
    let told = vault.admit_officer(&people.officer, newcomer).unwrap_err();
    assert!(matches!(told, VaultError::SlotsFull { slots: 16 }), "{told}");
    // One left, but his slots could not be overwritten in one file.
    let files = key_files(&house);
    let stays = std::fs::read(&files[2]).unwrap();
    vault.forget_officer(more[0], people.recovery()).unwrap();
    std::fs::write(&files[2], stays).unwrap();
    let round = vault.admit_officer(&people.officer, newcomer).unwrap();
    assert_eq!((round.changed, round.faults.len()), (3, 1));
    assert!(round.faults[0].what.contains("all 16 slots are used"), "{round:?}");
    assert_eq!(round.faults[0].file, files[2].display().to_string());
}

#[test]
fn who_leaves_opens_nothing_any_more_and_no_byte_of_the_slot_is_left() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    let officer = people.officer.public().unwrap();
    let sealed: Vec<Vec<u8>> = key_files(&house)
        .iter()
        .map(|path| {
            let file = SlotFile::open_to_read(&RealDisk, path, SlotPurpose::DayKey).unwrap();
            file.find(&officer.0).unwrap().unwrap().1.ciphertext
        })
        .collect();
    let round = vault.forget_officer(officer, people.recovery()).unwrap();
    assert_eq!((round.changed, round.is_complete()), (4, true));
    assert_eq!((opens(&vault, &people.officer), opens(&vault, &people.deputy)), (0, 4));
    for (path, sealed) in key_files(&house).iter().zip(sealed) {
        let bytes = std::fs::read(path).unwrap();
        assert!(!bytes.windows(16).any(|window| window == &sealed[..16]));
    }
    assert_eq!(vault.forget_officer(officer, people.recovery()).unwrap().unchanged, 4);
    record(&vault, camera(3), 0);
    let live = vault.live_segments(camera(3), span(0, 10), at(20)).unwrap();
    assert!(matches!(vault.open_keys(&live, &people.officer, at(20)), Err(VaultError::WrongKey { .. })));
    // Now only the deputy is left, besides the recovery key.
    let told = vault.forget_officer(people.deputy.public().unwrap(), people.recovery()).unwrap_err();
    assert!(matches!(told, VaultError::TooFewLeft), "R3: {told}");
    let told = vault.forget_officer(people.recovery(), people.recovery()).unwrap_err();
    assert!(matches!(told, VaultError::RecoveryStays), "{told}");
    assert_eq!((opens(&vault, &people.deputy), opens(&vault, &people.recovery)), (4, 4));
}

#[test]
fn the_last_officers_slot_of_one_file_stays_and_is_named() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    let files = key_files(&house);
    // The deputy's slot of one file went amiss: the officer's is the last there.
    let file = SlotFile::open(&RealDisk, &files[1], SlotPurpose::DayKey).unwrap();
    file.blank(file.find(&people.deputy.public().unwrap().0).unwrap().unwrap().0).unwrap();
    let round = vault.forget_officer(people.officer.public().unwrap(), people.recovery()).unwrap();
    assert_eq!((round.changed, round.faults.len()), (3, 1));
    assert!(round.faults[0].what.contains("nobody would be left"), "R3: {round:?}");
    assert_eq!(owners(&files[1]).len(), 2);
}

#[test]
fn a_damaged_file_and_a_missing_one_are_named_and_stop_no_other() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    let files = key_files(&house);
    let mut damaged = std::fs::read(&files[0]).unwrap();
    damaged[20] ^= 1;
    std::fs::write(&files[0], damaged).unwrap();
    std::fs::remove_file(&files[3]).unwrap();
    let told = |round: &DayKeyRound| {
        assert_eq!(round.changed, 2, "{round:?}");
        let named: Vec<&str> = round.faults.iter().map(|fault| fault.file.as_str()).collect();
        assert_eq!(named, [&files[0], &files[3]].map(|path| path.to_str().unwrap()));
        assert!(round.faults[1].what.contains("is missing"));
    };
    told(&vault.admit_officer(&people.officer, people.newcomer.public().unwrap()).unwrap());
    told(&vault.forget_officer(people.officer.public().unwrap(), people.recovery()).unwrap());
}

#[test]
fn a_volume_that_is_away_is_named_and_a_failing_one_is_latched() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    vault.note_away("/volumes/v2".into(), "not mounted".into());
    let round = vault.admit_officer(&people.officer, people.newcomer.public().unwrap()).unwrap();
    assert!(round.changed == 4 && !round.is_complete());
    assert_eq!(round.away[0].dir, PathBuf::from("/volumes/v2"));
}

#[test]
fn day_keys_made_and_destroyed_meanwhile_are_neither_missed_nor_written_into() {
    let (house, people) = (House::new(), People::new());
    let vault = recorded(&house, &people);
    let newcomer = people.newcomer.public().unwrap();
    std::thread::scope(|scope| {
        // Of a later day: what is destroyed beside it is not theirs.
        scope.spawn(|| (10..40).for_each(|number| record(&vault, camera(number), 3 * 86_400)));
        scope.spawn(|| {
            let expiry = at(2 * 86_400);
            for due in vault.due(expiry) {
                vault.destroy_key(&due, expiry).unwrap();
            }
            destroy_day_keys(&vault, expiry).unwrap();
        });
        let round = vault.admit_officer(&people.officer, newcomer).unwrap();
        assert!(round.is_complete(), "{round:?}");
    });
    let files = key_files(&house);
    assert!(files.len() >= 30);
    assert!(files.iter().all(|path| owners(path).contains(&newcomer.0)), "R1");
}

#[test]
fn a_damaged_key_file_of_a_day_that_is_over_goes_like_the_others() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(2), 0);
    let expiry = START.saturating_add(DAY);
    vault.due(expiry).iter().for_each(|due| vault.destroy_key(due, expiry).unwrap());
    let damaged = &key_files(&house)[0];
    let mut bytes = std::fs::read(damaged).unwrap();
    bytes[20] ^= 1;
    std::fs::write(damaged, bytes).unwrap();
    destroy_day_keys(&vault, expiry).unwrap();
    assert!(house.files("keys").is_empty());
}

#[test]
fn a_day_key_without_its_record_is_erased_at_a_start_and_one_that_is_wanted_is_not() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    drop(vault);
    let known = &key_files(&house)[0];
    let stray = known.with_file_name("00000000000000aa");
    std::fs::copy(known, &stray).unwrap();
    assert!(house.faults(&[]).iter().any(|fault| fault.what.contains("no manifest names this day key")));
    let vault = house.start();
    assert!(!stray.exists() && known.exists());
    let live = vault.live_segments(camera(1), span(0, 10), at(20)).unwrap();
    assert!(vault.open_keys(&live, &house.officer, at(20)).is_ok());
    assert!(house.faults(&[]).is_empty());
}

/// The records of a manifest but those that `keep` refuses, as a file.
fn without(manifest: &Path, keep: impl Fn(&crate::segment::ManifestRecord) -> bool) -> Vec<u8> {
    let whole = std::fs::read(manifest).unwrap();
    let (header, records) = crate::segment::RecordReader::new(&whole).unwrap();
    let kept = records.filter(|record| keep(record)).flat_map(|record| record.to_bytes());
    header.to_bytes().into_iter().chain(kept).collect()
}

#[test]
fn a_segment_taken_out_with_its_records_is_missed_by_the_next_one_even_without_a_checkpoint() {
    use crate::segment::ManifestRecord;
    let house = House::new();
    let vault = house.start();
    (0..3).for_each(|number| record(&vault, camera(1), number * 10));
    let live = vault.live_segments(camera(1), span(0, 30), at(40)).unwrap();
    vault.stop().unwrap();
    drop(vault);
    let manifest = house.volume_dir().join("manifests").join(&house.files("manifests")[0]);
    let of = |taken: SegmentId| {
        without(&manifest, |record| match record {
            ManifestRecord::Opened { segment, .. } | ManifestRecord::Sealed { segment, .. } => *segment != taken,
            _ => true,
        })
    };
    let whole = std::fs::read(&manifest).unwrap();
    for (at, is_missed) in [(0, true), (1, true), (2, false)] {
        let taken = live[at].segment;
        let path = house.path_of("rolling", taken);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&manifest, of(taken)).unwrap();
        std::fs::remove_file(&path).unwrap();
        let faults = house.faults(&[]);
        let missed = faults.iter().filter(|fault| fault.what.contains("it was taken out")).count();
        assert_eq!(missed, usize::from(is_missed), "{at}: {faults:?}");
        std::fs::write(&manifest, &whole).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn a_forged_summary_is_named() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    vault.stop().unwrap();
    drop(vault);
    assert!(house.faults(&[]).is_empty());
    // The public half that today's segments would be sealed to, exchanged for the forger's own.
    let summary = house.volume_dir().join("summary");
    let text = std::fs::read_to_string(&summary).unwrap();
    let (_, json) = text.split_once(' ').unwrap();
    let mut forged: serde_json::Value = serde_json::from_str(json).unwrap();
    let day_keys = forged["manifests"][0]["sum"]["day_keys"].as_object_mut().unwrap();
    day_keys.values_mut().next().unwrap()["public"] = generate_pair().unwrap().1.to_string().into();
    let json = forged.to_string();
    std::fs::write(&summary, format!("{:08x} {json}", crc32c::crc32c(json.as_bytes()))).unwrap();
    let faults = house.faults(&[]);
    assert!(faults.len() == 1 && faults[0].what.contains("tells otherwise"), "{faults:?}");
    std::fs::write(&summary, b"nothing").unwrap();
    assert!(house.faults(&[])[0].what.contains("Delete it"));
}

#[test]
fn a_grant_that_could_not_be_staged_leaves_nothing_and_the_next_one_takes_its_number() {
    let dir = Path::new("/grants");
    let disk = crate::disk::SimulatedDisk::new(&[dir]);
    let store = GrantStore::new(Arc::new(disk.clone()), dir.to_path_buf());
    let (_, viewer) = generate_pair().unwrap();
    let key = crate::crypto::DataKey::random().unwrap();
    let slot = StagedSlot::seal(GrantId(1), &viewer, VolumeId([1; 16]), SegmentId(7), &key).unwrap();
    disk.fail_flushes_after(0);
    assert!(store.stage(GrantId(1), &viewer, std::slice::from_ref(&slot)).is_err());
    disk.mend();
    store.stage(GrantId(1), &viewer, &[slot]).unwrap();
}
