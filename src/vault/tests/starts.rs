//! What a start reads, and what it refuses: summaries, manifests that do not fit them, tables that come and go.

use super::*;
use crate::ledger::ManifestCheckpoint;

const LATER: u64 = 3 * 3_600;

/// Two days of two cameras, stopped cleanly.
fn stopped() -> House {
    let house = House::new();
    let vault = house.start();
    vault.catch_up(&|| false).unwrap();
    record(&vault, camera(1), 0);
    record(&vault, camera(2), 0);
    record(&vault, camera(1), 86_400);
    vault.stop().unwrap();
    house
}

fn start(house: &House) -> Result<Vault, VaultError> {
    let volume = Volume::open(Arc::clone(&house.disk), &house.volume_dir(), SITE, true).unwrap();
    let catalog = Catalog::open(&house.dir.path().join("catalog")).unwrap();
    Vault::start(vec![volume], catalog, at(LATER))
}

fn tables_in_memory(vault: &Vault) -> usize {
    vault.volumes()[0].lock().manifests.values().filter(|manifest| manifest.table().is_some()).count()
}

#[test]
fn after_a_clean_stop_no_manifest_is_read_and_all_is_known() {
    let house = stopped();
    let vault = start(&house).unwrap();
    assert_eq!((tables_in_memory(&vault), vault.volumes()[0].lock().manifests.len()), (0, 2));
    assert!(vault.index_is_current());
    assert_eq!(vault.live_segments(camera(1), span(0, 100_000), at(1)).unwrap().len(), 2);
    assert_eq!((tables_in_memory(&vault), vault.day_key_count()), (0, 3), "the index alone answers");
    let vault = Arc::new(vault);
    let recorder = CameraRecorder::new(Arc::clone(&vault), camera(1), RETENTION);
    assert_eq!(recorder.newest_end(), Some(at(86_410)));
    assert_eq!(vault.due(at(86_400 + 5)).len(), 2, "what is due is read when it is");
    assert_eq!(tables_in_memory(&vault), 1);
}

#[test]
fn what_came_after_the_summary_is_read() {
    let house = stopped();
    let vault = Arc::new(start(&house).unwrap());
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    record(&vault, camera(2), 86_400);
    // Killed.
    drop(vault);
    let vault = start(&house).unwrap();
    assert!(!vault.index_is_current());
    assert_eq!(vault.live_segments(camera(2), span(0, 100_000), at(1)).unwrap().len(), 2);
    assert_eq!(vault.live_segments(camera(1), span(0, 100_000), at(1)).unwrap().len(), 2);
    assert!(!vault.volumes()[0].lock().unsurveyed.is_empty(), "the day that did not change is looked through later");
    vault.catch_up(&|| false).unwrap();
    assert!(vault.volumes()[0].lock().unsurveyed.is_empty() && vault.index_is_current());
    assert!(house.faults(&[]).is_empty());
}

#[test]
fn a_summary_that_is_gone_or_damaged_costs_time_and_nothing_else() {
    for damage in [None, Some(0), Some(40)] {
        let house = stopped();
        let path = house.volume_dir().join("summary");
        match damage {
            None => std::fs::remove_file(&path).unwrap(),
            Some(at) => {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[at] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
        let vault = start(&house).unwrap();
        assert_eq!(tables_in_memory(&vault), 2);
        assert_eq!(vault.live_segments(camera(1), span(0, 100_000), at(1)).unwrap().len(), 2);
        assert_eq!(vault.day_key_count(), 3);
    }
}

#[test]
fn a_manifest_that_is_shorter_than_it_was_or_gone_refuses_the_volume() {
    let house = stopped();
    let before = house.segments("rolling");
    let dir = house.volume_dir().join("manifests");
    for name in house.files("manifests") {
        let path = dir.join(&name);
        let whole = std::fs::read(&path).unwrap();
        // A whole record less: only the summary knows that it was there.
        let (header, mut records) = crate::segment::RecordReader::new(&whole).unwrap();
        assert_eq!(header.retention, RETENTION);
        let mut ends = vec![records.offset_bytes()];
        while records.next().is_some() {
            ends.push(records.offset_bytes());
        }
        let without_last = usize::try_from(ends[ends.len() - 2]).unwrap();
        std::fs::write(&path, &whole[..without_last]).unwrap();
        assert!(matches!(start(&house), Err(VaultError::ManifestShort { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(start(&house), Err(VaultError::ManifestGone { .. })));
        std::fs::write(&path, &whole).unwrap();
        std::fs::write(dir.join("00000000000000aa"), &whole).unwrap();
        assert!(matches!(start(&house), Err(VaultError::ManifestTwice { .. })));
        std::fs::remove_file(dir.join("00000000000000aa")).unwrap();
    }
    assert_eq!(house.segments("rolling"), before);
    assert!(start(&house).is_ok());
}

#[test]
fn a_manifest_changed_in_the_middle_is_named_when_its_day_comes_and_erases_nothing() {
    let house = stopped();
    let vault = start(&house).unwrap();
    let name = vault.volumes()[0].lock().manifests.values().next().unwrap().name().to_owned();
    let path = house.volume_dir().join("manifests").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (first_day, both_days) = (at(86_400 + 100), at(3 * 86_400));
    assert!(vault.due(first_day).is_empty());
    let told = vault.due_readable(first_day, 10).failure;
    assert!(matches!(told, Some(VaultError::ManifestDamaged { .. })), "{told:?}");
    assert_eq!(vault.due(both_days).len(), 1, "and the other day's is destroyed in its time");
}

#[test]
fn a_file_in_an_old_directory_that_no_manifest_names_is_looked_at_before_it_is_erased() {
    let house = stopped();
    let vault = Arc::new(start(&house).unwrap());
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    let segments = house.segments("rolling");
    record(&vault, camera(2), 86_400 + 10);
    drop(vault);
    // A copy of a committed segment under another name, and one that nobody committed.
    let old = segments.iter().find(|name| {
        let path = house.volume_dir().join("rolling").join(name);
        crate::segment::SegmentHead::parse(&std::fs::read(path).unwrap()[..4096]).unwrap().facts.start == at(0)
    });
    let old = house.volume_dir().join("rolling").join(old.unwrap());
    let [copy, stray] = ["00000000000000aa", "00000000000000ab"].map(|name| old.parent().unwrap().join(name));
    std::fs::copy(&old, &copy).unwrap();
    std::fs::write(&stray, b"torn").unwrap();
    let vault = start(&house).unwrap();
    assert!(copy.exists() && stray.exists(), "recording does not wait for an old day");
    assert!(matches!(vault.catch_up(&|| false), Err(VaultError::ManifestsLack { .. })));
    assert!(copy.exists() && !stray.exists());
}

#[test]
fn tables_that_nobody_wanted_for_long_leave_the_memory() {
    let house = House::new();
    let vault = house.start();
    for day in 0..3 {
        record(&vault, camera(1), day * 86_400);
    }
    assert_eq!(tables_in_memory(&vault), 3, "three segments are no burden");
    let mut state = vault.volumes()[0].lock();
    let keys: Vec<_> = state.manifests.keys().copied().collect();
    let name = state.manifests[&keys[0]].name().to_owned();
    state.manifests.get_mut(&keys[0]).unwrap().unload();
    drop(state);
    assert_eq!(vault.live_segments(camera(1), span(0, 10), at(1)).unwrap().len(), 1, "it is read again");
    let path = house.volume_dir().join("manifests").join(name);
    let read_ahead = super::super::manifests::TableSoFar::read(&house.disk, &path, 64 + 83).unwrap();
    let mut state = vault.volumes()[0].lock();
    state.manifests.get_mut(&keys[0]).unwrap().unload();
    state.take_table(keys[0], read_ahead).unwrap();
    assert_eq!(state.manifests[&keys[0]].table().unwrap().rows.len(), 1, "what was appended meanwhile is read too");
}

#[test]
fn an_older_image_of_a_volume_and_a_copy_beside_it_are_refused_and_the_others_go_on() {
    let house = stopped();
    let image = house.dir.path().join("image");
    damage::copy_dir(&house.volume_dir(), &image);
    let vault = Arc::new(start(&house).unwrap());
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    record(&vault, camera(2), 86_400);
    vault.stop().unwrap();
    let heads = vault.volumes()[0].flushed_heads();
    let checkpoint: Vec<ManifestCheckpoint> =
        heads.into_iter().map(|(manifest, head)| ManifestCheckpoint { volume: house.volume, manifest, head }).collect();
    drop(vault);
    let second = house.dir.path().join("v2");
    let other = Volume::create(&house.disk, &second, SITE).unwrap();
    let start_with = |dirs: &[&Path]| {
        let open =
            |dir: &&Path| Volume::open(Arc::clone(&house.disk), dir, SITE, true).unwrap().held_against(&checkpoint);
        let catalog = Catalog::open(&house.dir.path().join("catalog")).unwrap();
        Vault::start(dirs.iter().map(open).collect(), catalog, at(LATER)).unwrap()
    };
    let ids = |vault: &Vault| vault.volumes().iter().map(Volume::id).collect::<Vec<_>>();
    let vault = start_with(&[&house.volume_dir(), &second]);
    assert_eq!((ids(&vault), vault.away()), (vec![house.volume, other], vec![]));
    drop(vault);
    let vault = start_with(&[&house.volume_dir(), &image, &second]);
    assert_eq!(ids(&vault), [house.volume, other]);
    assert!(vault.away()[0].why.contains("configured twice"));
    drop(vault);
    let before = house.disk.list_files(&image).unwrap();
    let vault = start_with(&[&image, &second]);
    assert_eq!(ids(&vault), [other]);
    assert!(vault.away()[0].why.contains("an older image"), "{:?}", vault.away());
    assert_eq!(house.disk.list_files(&image).unwrap(), before);
}

#[test]
fn cameras_spread_over_volumes_by_their_room() {
    let house = House::new();
    let disks = [0, 1].map(|_| SimulatedDisk::new(&[house.dir.path()]));
    let open = |(number, disk): (usize, &SimulatedDisk)| {
        let (disk, dir): (SharedDisk, _) = (Arc::new(disk.clone()), house.dir.path().join(format!("w{number}")));
        Volume::create(&disk, &dir, SITE).unwrap();
        Volume::open(disk, &dir, SITE, true).unwrap()
    };
    let volumes = disks.iter().enumerate().map(open).collect();
    let catalog = Catalog::open(&house.dir.path().join("catalog")).unwrap();
    let vault = Arc::new(Vault::start(volumes, catalog, START).unwrap());
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    disks[0].tell_free(30 << 30);
    disks[1].tell_free(10 << 30);
    let mut recorders: Vec<_> =
        (1..=8).map(|number| CameraRecorder::new(Arc::clone(&vault), camera(number), RETENTION)).collect();
    recorders.iter_mut().for_each(|recorder| recorder.begin(START, b"init").unwrap());
    let open = |number: usize| vault.volumes()[number].lock().open.len();
    assert_eq!((open(0), open(1)), (6, 2), "three times the room, three times the cameras");
    disks[0].tell_free(1 << 20);
    recorders[0].begin(at(60), b"init").unwrap();
    assert_eq!((open(0), open(1)), (6, 3), "the full one takes no more");
}

#[test]
fn what_is_held_for_long_is_asked_for_without_its_days_table() {
    let house = House::new();
    let vault = house.start();
    record(&vault, camera(1), 0);
    record(&vault, camera(1), 10);
    let expiry = at(86_400 + 20);
    let due = vault.due(expiry);
    vault.set_apart(&due[0]).unwrap();
    vault.destroy_key(&due[1], expiry).unwrap();
    vault.erase(&due[1], DestructionTrigger::Expiry, expiry).unwrap();
    assert_eq!(vault.unreceipted().unwrap().len(), 1);
    vault.receipts_copied(&vault.receipts(expiry)).unwrap();
    vault.stop().unwrap();
    drop(vault);
    let vault = house.start_at(expiry);
    let held = vault.due(expiry);
    assert_eq!((held.len(), held[0].is_apart, tables_in_memory(&vault)), (1, true, 0));
    assert!(vault.unreceipted().unwrap().is_empty());
    assert_eq!(tables_in_memory(&vault), 0);
    vault.destroy_key(&held[0], expiry).unwrap();
    vault.erase(&vault.due(expiry)[0], DestructionTrigger::HoldEnded, expiry).unwrap();
    assert!(vault.due(expiry).is_empty());
    assert!(house.segments("held").is_empty() && house.faults(&[]).is_empty());
}

#[test]
fn nothing_is_sealed_to_a_key_that_only_the_summary_names() {
    let house = stopped();
    let path = house.volume_dir().join("summary");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut told: serde_json::Value = serde_json::from_str(&text[9..]).unwrap();
    let forger = generate_pair().unwrap();
    for manifest in told["manifests"].as_array_mut().unwrap() {
        for (_, known) in manifest["sum"]["day_keys"].as_object_mut().unwrap() {
            known["public"] = serde_json::to_value(forger.1).unwrap();
        }
    }
    let json = told.to_string();
    std::fs::write(&path, format!("{:08x} {json}", crc32c::crc32c(json.as_bytes()))).unwrap();
    let vault = Arc::new(start(&house).unwrap());
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    record(&vault, camera(1), 86_400 + 10);
    let live = vault.live_segments(camera(1), span(86_400, 86_500), at(86_420)).unwrap();
    assert_eq!(live.len(), 2);
    let head = vault.read(&live[1], at(86_420)).unwrap().head().clone();
    assert!(head.open_key(&forger.0).is_err(), "sealed to the forger");
    assert_eq!(vault.open_keys(&live, &house.officer, at(86_420)).unwrap().len(), 2);
}

#[test]
fn a_day_key_whose_file_is_lost_seals_nothing_more() {
    let house = stopped();
    for name in house.files("keys") {
        std::fs::remove_file(house.volume_dir().join("keys").join(name)).unwrap();
    }
    let vault = Arc::new(start(&house).unwrap());
    vault.set_recipients(vec![house.officer.public().unwrap()]);
    record(&vault, camera(1), 86_400 + 10);
    let live = vault.live_segments(camera(1), span(86_411, 86_500), at(86_420)).unwrap();
    assert_eq!(vault.open_keys(&live, &house.officer, at(86_420)).unwrap().len(), 1);
}
