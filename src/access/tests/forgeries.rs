//! A state that somebody with the disk wrote: keys alone open, and nobody can write those.

use super::*;
use crate::domain::SiteId;
use crate::ledger::Ledger;

/// A clinic with a request that is identified and undecided, and one that is approved.
fn two_requests(clinic: &Clinic) -> (RequestId, GrantId) {
    let open = clinic.open();
    (1..=2).for_each(|number| open.record(camera(number)));
    clinic.hands.advance(Duration::from_secs(100));
    let waiting = open.ask(2, span(10, 20)).number;
    open.identify(waiting);
    (waiting, open.approved(1, span(10, 20)).grant.unwrap())
}

fn grant_file(clinic: &Clinic, grant: u32) -> PathBuf {
    clinic.state().join("grants").join(format!("{grant:08x}"))
}

/// Writes a row as the daemon would, chained and all: what it takes to do so is on the disk.
fn forge_row(clinic: &Clinic, act: Act) {
    let files = SiteFiles::open(Arc::clone(&clinic.disk), &clinic.state()).unwrap();
    let site: SiteId = files.site();
    let mut ledger = Ledger::open(Arc::clone(&clinic.disk), &files.ledger_dir(), site, |_| {}).unwrap();
    let officer = Actor::Person { account: AccountId(1), address: HERE };
    ledger.append(at(200), officer, act).unwrap();
}

fn approval(request: RequestId, grant: GrantId) -> Act {
    let views = vec![GrantedView { camera: camera(2), span: span(10, 20) }];
    let (viewer, ends) = (VIEWER, at(86_400));
    let (slots, conditions) = (Digest([7; 32]), Default::default());
    let decision = Decision::Approved {
        grant,
        viewer,
        views,
        ends,
        segments: 1,
        slots,
        conditions,
        partly_until: None,
        rest: None,
    };
    Act::RequestDecided { request, decision }
}

fn renumbered(bytes: &[u8], grant: u32) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[16..20].copy_from_slice(&grant.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[..80]).to_be_bytes();
    bytes[80..84].copy_from_slice(&crc);
    bytes
}

#[test]
fn without_its_slots_a_grant_shows_nothing() {
    for deleted in [true, false] {
        let clinic = Clinic::new();
        let (_, grant) = two_requests(&clinic);
        let file = grant_file(&clinic, grant.0);
        if deleted {
            std::fs::remove_file(&file).unwrap();
        } else {
            let mut bytes = std::fs::read(&file).unwrap();
            bytes[4096..].fill(0);
            std::fs::write(&file, bytes).unwrap();
        }
        let open = clinic.open();
        assert!(open.watch(grant, 1).is_err(), "deleted: {deleted}");
        assert!(!open.rows().iter().any(|act| matches!(act, Act::ViewServed { .. })));
    }
}

#[test]
fn a_row_that_says_approved_opens_nothing_without_keys() {
    let clinic = Clinic::new();
    let (waiting, grant) = two_requests(&clinic);
    let forged = GrantId(grant.0 + 1);
    forge_row(&clinic, approval(waiting, forged));
    let open = clinic.open();
    let view = open.access.request(&open.sign_in("officer"), waiting).unwrap();
    assert_eq!((view.state, view.grant), ("approved", Some(forged)), "the forgery was taken for true");
    assert!(open.watch(forged, 2).is_err(), "no slots");
    drop(open);
    // The slots of a grant that was given, under the forged one's number, and as they are, for the other camera's segment.
    let given = std::fs::read(grant_file(&clinic, grant.0)).unwrap();
    std::fs::write(grant_file(&clinic, forged.0), renumbered(&given, forged.0)).unwrap();
    let open = clinic.open();
    assert!(open.watch(forged, 2).is_err(), "the slots of another segment");
    let wanted = open.vault.live_segments(camera(2), span(10, 20), at(100)).unwrap()[0].segment;
    drop(open);
    let mut moved = renumbered(&given, forged.0);
    moved[4096 + 4 + 16..4096 + 4 + 24].copy_from_slice(&wanted.0.to_be_bytes());
    let crc = crc32c::crc32c(&moved[4096..4096 + 116]).to_be_bytes();
    moved[4096 + 116..4096 + 120].copy_from_slice(&crc);
    std::fs::write(grant_file(&clinic, forged.0), moved).unwrap();
    let open = clinic.open();
    assert!(open.watch(forged, 2).is_err(), "sealed for another grant and segment");
    assert_eq!(shown(&open.watch(grant, 1).unwrap()).len(), 100, "what was given is seen as before");
}

#[test]
fn an_edited_row_and_an_edited_request_open_nothing() {
    let clinic = Clinic::new();
    let (waiting, grant) = two_requests(&clinic);
    let request = clinic.state().join("requests").join(format!("{:08x}", waiting.0));
    let mut edited: serde_json::Value = serde_json::from_slice(&std::fs::read(&request).unwrap()).unwrap();
    edited["state"] = "approved".into();
    edited["grant"] = 1.into();
    std::fs::write(&request, edited.to_string()).unwrap();
    let open = clinic.open();
    let view = open.access.request(&open.sign_in("officer"), waiting);
    assert!(view.is_err() || view.unwrap().state == "identified");
    assert!(open.watch(GrantId(grant.0 + 1), 2).is_err());
    drop(open);
    // In the row of the approval the camera is another one now, and the chain does not hold.
    let ledger = clinic.state().join("ledger/2026-11.ledger");
    let text = std::fs::read_to_string(&ledger).unwrap();
    let edited = text.replacen("\"views\":[{\"camera\":1", "\"views\":[{\"camera\":2", 1);
    assert_ne!(text, edited);
    std::fs::write(&ledger, edited).unwrap();
    let open = clinic.open();
    assert!(open.access.sign_in("viewer", "viewer-password", HERE).is_err(), "nothing is recorded, so nothing happens");
}

#[test]
fn an_index_that_was_edited_widens_no_grant() {
    let clinic = Clinic::new();
    let (_, grant) = two_requests(&clinic);
    let open = clinic.open();
    let other = open.vault.live_segments(camera(2), span(10, 20), at(100)).unwrap()[0];
    let own = open.vault.live_segments(camera(1), span(10, 20), at(100)).unwrap()[0];
    open.vault.catch_up(&|| false).unwrap();
    open.vault.stop().unwrap();
    drop(open);
    // Under the granted camera stands the other camera's segment, too; the index is sealed again for the same manifests.
    let seal = std::fs::read_to_string(clinic.state().join("catalog.seal")).unwrap();
    let mut manifests = [0; 32];
    hex::decode_to_slice(seal.split(' ').nth(1).unwrap(), &mut manifests).unwrap();
    let catalog = Catalog::open(&clinic.state().join("catalog")).unwrap();
    let entry = catalog.entry(camera(2), START, other.segment).unwrap().unwrap();
    catalog.put(camera(1), entry).unwrap();
    catalog.close(Digest(manifests)).unwrap();
    let open = clinic.open();
    assert!(open.vault.index_is_current(), "the forgery was taken for true");
    let viewer = open.viewer_of(grant);
    let told = open.access.fragment(&viewer, grant, camera(1), other.segment, 10);
    assert!(told.is_err(), "another camera's picture");
    assert!(open.access.fragment(&viewer, grant, camera(1), own.segment, 10).is_ok());
}

#[test]
fn the_desk_is_handed_on_and_taken_away() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let number = open.ask(1, span(10, 20)).number;
    let auditor = open.sign_in("auditor");
    let key = open.access.person_of(auditor.account()).unwrap().key;
    assert!(open.access.forget_at_desk(key).unwrap());
    assert!(!open.access.forget_at_desk(key).unwrap(), "nothing twice");
    assert!(open.access.sign_in("auditor", "auditor-password", HERE).is_err(), "the desk does not open for them");
    let by = open.sign_in("officer");
    assert!(open.access.admit_to_desk(by.private(), auditor.account()).unwrap());
    assert!(!open.access.admit_to_desk(by.private(), auditor.account()).unwrap(), "nothing twice");
    let told = open.access.request(&open.sign_in("auditor"), number).unwrap();
    assert_eq!(told.person.unwrap().name, "김민수");
    // A viewer reads no persons, whatever anybody asks for; and who has no slot hands none on.
    assert!(matches!(open.access.admit_to_desk(by.private(), VIEWER), Err(AccessError::Forbidden)));
    assert!(open.access.admit_to_desk(open.sign_in("viewer").private(), auditor.account()).is_ok_and(|done| !done));
    // All but one, and the recovery key.
    let readers = ["officer", "deputy", "desk", "auditor"];
    let keys = readers.map(|name| open.access.person_of(open.sign_in(name).account()).unwrap().key);
    for key in &keys[..3] {
        assert!(open.access.forget_at_desk(*key).unwrap());
    }
    let told = open.access.forget_at_desk(keys[3]).unwrap_err();
    assert!(matches!(told, AccessError::Inside(VaultError::TooFewLeft)), "{told}");
}
