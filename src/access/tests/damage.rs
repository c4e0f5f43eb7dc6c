//! What a start finds damaged, missing or put there by somebody else.

use super::*;

#[test]
fn keys_and_holds_without_a_row_do_not_survive_a_start() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let wanted = open.ask(1, span(30, 40)).number;
    let stray = crate::vault::StagedSlot::seal(
        GrantId(9),
        &open.sign_in("viewer").person().key,
        VolumeId([1; 16]),
        SegmentId(1),
        &crate::crypto::DataKey::random().unwrap(),
    );
    open.access.grants.stage(GrantId(9), &open.sign_in("viewer").person().key, &[stray.unwrap()]).unwrap();
    let stray = Hold::of_request(RequestId(77), vec![camera(1)], span(0, 5));
    open.access.holds().place(stray).unwrap();
    open.access.holds().release(HeldFor::Request(wanted)).unwrap();
    drop(open);
    let open = clinic.open();
    assert!(open.access.grants.list().unwrap().is_empty());
    let held: Vec<HeldFor> = open.access.holds().list().iter().map(|hold| hold.of).collect();
    assert_eq!(held, [HeldFor::Request(wanted)], "the request's own hold stands again, the stray one is gone");
}

#[test]
fn a_ledger_that_lacks_rows_releases_nothing() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    for _ in 0..3 {
        open.ask(1, span(10, 20));
    }
    drop(open);
    let path = clinic.state().join("ledger/2026-11.ledger");
    let ledger = std::fs::read_to_string(&path).unwrap();
    let first_request = ledger.lines().position(|line| line.contains("request-submitted")).unwrap();
    let cut: String = ledger.split_inclusive('\n').take(first_request).collect();
    std::fs::write(&path, cut).unwrap();
    let open = clinic.open();
    assert!(open.access.ledger.damage().unwrap().starts_with("the ledger lacks rows: 3 holds"));
    assert_eq!(open.access.holds().list().len(), 3);
    drop(open);
    std::fs::write(&path, ledger).unwrap();
    let open = clinic.open();
    assert!(open.access.ledger.damage().is_none());
    assert_eq!(open.access.holds().list().len(), 3);
}

#[test]
fn with_a_damaged_ledger_recording_and_erasing_go_on_and_nothing_is_shown_or_released() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    let view = open.approved(1, span(10, 20));
    drop(open);
    let path = clinic.state().join("ledger/2026-11.ledger");
    let ledger = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, ledger.replacen("request-submitted", "request-submittee", 1)).unwrap();
    let open = clinic.open();
    assert!(open.access.ledger.damage().unwrap().contains("2026-11.ledger is damaged: row"));
    let told = open.access.sign_in("viewer", "viewer-password", HERE);
    assert!(matches!(told, Err(AccessError::NotRecorded(_))));
    assert_eq!(open.access.grants.list().unwrap(), [view.grant.unwrap()], "no key is destroyed on its word");
    assert_eq!(open.access.holds().list().len(), 1);
    assert!(open.vault.recipients().len() > 2, "officers and recovery: recording goes on");
    clinic.hands.advance(DAY * 30);
    assert!(open.eraser.round().is_err(), "receipts wait");
    assert_eq!(open.vault.due(open.access.now()).len(), 1, "only what is held is left");
    drop(open);
    std::fs::write(&path, ledger).unwrap();
    let open = clinic.open();
    open.eraser.round().unwrap();
    assert!(open.rows().iter().any(|act| matches!(act, Act::FootageDestroyed(_))), "and are written later");
}

#[test]
fn one_damaged_segment_does_not_hide_its_neighbours() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    let segment = open.vault.live_segments(camera(1), span(0, 60), at(100)).unwrap()[0].segment;
    let path = segment_path(&clinic, segment);
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, vec![7; whole.len()]).unwrap();
    let mut new = new_request(1, span(10, 20));
    new.cameras.push(camera(2));
    let request = open.submit(new).unwrap().number;
    open.identify(request);
    let view = open.approve(request);
    assert_eq!(view.granted.iter().map(|view| view.camera).collect::<Vec<_>>(), [camera(2)]);
    assert!(open.watch(view.grant.unwrap(), 2).is_ok());
}

#[test]
fn an_account_that_the_ledger_does_not_know_cannot_sign_in() {
    let clinic = Clinic::new();
    let people = clinic.state().join("people");
    let viewer = std::fs::read_to_string(people.join("00000003")).unwrap();
    std::fs::write(
        people.join("00000003"),
        viewer.replace("\"viewer\",\n  \"role\": \"viewer\"", "\"viewer\",\n  \"role\": \"officer\""),
    )
    .unwrap();
    std::fs::write(people.join("00000009"), viewer.replace("\"account\": 3", "\"account\": 9")).unwrap();
    let open = clinic.open();
    assert!(matches!(open.access.sign_in("viewer", "viewer-password", HERE), Err(AccessError::WrongCredentials)));
    assert!(open.access.sign_in("desk", "desk-password", HERE).is_ok());
}

#[test]
fn a_checkpoint_says_nothing_that_a_power_cut_could_undo() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let newest = || {
        open.access.checkpoint().unwrap();
        let mut checkpoints = open.rows().into_iter().filter_map(|act| match act {
            Act::Checkpoint(checkpoint) => Some(checkpoint.manifests),
            _ => None,
        });
        checkpoints.next_back().unwrap()
    };
    let mut recorder = CameraRecorder::new(Arc::clone(&open.vault), camera(1), RETENTION);
    recorder.begin(START, &init_segment(&minute().parameters).unwrap()).unwrap();
    assert!(newest().is_empty(), "nothing of the manifest is flushed");
    open.vault.commit().unwrap();
    assert_eq!(newest()[0].head, open.vault.volumes()[0].manifest_heads()[0].1);
}

fn segment_path(clinic: &Clinic, segment: SegmentId) -> PathBuf {
    let rolling = clinic.dir.path().join("v1/rolling");
    let manifest = &clinic.disk.list_dirs(&rolling).unwrap()[0];
    rolling.join(manifest).join(segment.to_string())
}
