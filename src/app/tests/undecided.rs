//! A row's flush fails, and whether the row stands shows at the next start alone (A6): what it decides about is there if it
//! does, and gone if it does not.

use super::play::{Ground, Play, camera, span};
use crate::access::{AccessError, Approval, Caller, NewHold, NewRequest, PersonFields};
use crate::disk::{PowerCut, SimulatedDisk};
use crate::domain::request::RequestKind;
use crate::domain::{AccountId, GrantId, HeldFor, HoldReason, RequestId};
use crate::ledger::{Act, Decision};
use crate::segment::{SegmentError, SlotFile, SlotPurpose};
use crate::vault::VaultError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const CUTS: [PowerCut; 3] = [PowerCut::Kept, PowerCut::Lost, PowerCut::Torn(0)];
/// More flushes than any of these acts has.
const FLUSHES: usize = 40;

/// An act of which every flush from the `n`th on fails, for each `n`; after it the same is tried again, and what ends by
/// itself is ended. Then the power goes, and the site starts. Tells what was seen of each outcome.
fn attack<T>(
    prepare: impl Fn(&mut Play) -> T,
    act: impl Fn(&Play, &T) -> Result<(), AccessError>,
    check: impl Fn(&mut Play, &T, bool, &str) -> &'static str,
) -> BTreeSet<&'static str> {
    let ground = Ground::new();
    let mut seen = BTreeSet::new();
    for cut in CUTS {
        let mut was_done = false;
        for flushes in 0..FLUSHES {
            let mut play = Play::new(&ground, None);
            let prepared = prepare(&mut play);
            play.disk.fail_flushes_after(flushes);
            let told = act(&play, &prepared);
            was_done = told.is_ok();
            if !was_done {
                // Nobody waits for the disk, nor knows that it failed.
                drop(act(&play, &prepared));
                drop(play.built().access.end_what_is_over());
                drop(play.built().access.end_what_is_over());
            }
            play.disk.mend();
            let mut play = play.cut(cut);
            play.start();
            let what = format!("{cut:?}, of its flushes {flushes} succeeded: {told:?}");
            seen.insert(check(&mut play, &prepared, was_done, &what));
            if was_done {
                break;
            }
        }
        assert!(was_done, "it never came to its end");
    }
    seen
}

/// The slots of a grant, and whether they are those that its row names.
fn slots(play: &Play, disk: &SimulatedDisk, grant: GrantId) -> (usize, bool) {
    let path = play.ground.state().join("grants").join(format!("{:08x}", grant.0));
    let used = SlotFile::open_to_read(disk, &path, SlotPurpose::Grant).unwrap().used().unwrap();
    let mut running = crate::crypto::RunningDigest::new();
    for slot in &used {
        running.update(&slot.owner);
        running.update(&slot.sealed.encapsulated);
        running.update(&slot.sealed.ciphertext);
    }
    let digest = running.so_far();
    let is_named = play.rows().iter().any(|row| {
        matches!(&row.act, Act::RequestDecided { decision: Decision::Approved { grant: of, slots, segments, .. }, .. }
            if *of == grant && *slots == digest && *segments as usize == used.len())
    });
    (used.len(), is_named)
}

#[test]
fn an_approved_request_opens_what_was_approved_and_another_has_no_slots() {
    let prepare = |play: &mut Play| {
        for start in [0, 2, 4] {
            play.record(1, start, 2);
        }
        play.advance(Duration::from_secs(60));
        let (desk, officer) = (play.sign_in("desk"), play.sign_in("officer"));
        let request = play.submit(&desk, 1, span(0, 4));
        play.identify(&desk, request);
        (officer, request)
    };
    let approve = |play: &Play, (officer, request): &(Caller, RequestId)| {
        let approval = Approval { viewer: Some(AccountId(3)), ..Approval::default() };
        play.built().access.approve(officer, *request, &approval, "officer-password").map(drop)
    };
    let check = |play: &mut Play, (_, request): &(Caller, RequestId), was_done: bool, what: &str| {
        let officer = play.sign_in("officer");
        let access = Arc::clone(&play.built().access);
        let view = access.request(&officer, *request).unwrap();
        let left = access.grant_store().list().unwrap();
        match view.state {
            "approved" => {
                let grant = view.grant.unwrap();
                assert_eq!(left, [grant], "{what}");
                assert_eq!(slots(play, &play.disk, grant), (2, true), "{what}");
                let viewer = play.sign_in("viewer");
                access.begin_viewing(&viewer, grant, true).unwrap();
                let list = access.playlist(&viewer, grant, camera(1), None).unwrap();
                assert!(!list.entries.is_empty(), "{what}");
                for entry in &list.entries {
                    let picture = access.fragment(&viewer, grant, camera(1), entry.segment, entry.number);
                    // It is opened, and is no video: made-up pictures cannot be cut to the frame.
                    let is_opened = matches!(
                        picture,
                        Err(AccessError::Inside(VaultError::Segment(SegmentError::Damaged { what: "a fragment", .. })))
                    );
                    assert!(is_opened, "{what}: {:?}", picture.err());
                }
                "approved"
            }
            "identified" => {
                assert!(!was_done, "it was answered: {what}");
                assert_eq!(left, [], "{what}");
                assert!(view.held, "{what}");
                // It is decided as if nothing had been.
                play.approve(&officer, *request);
                "identified"
            }
            other => panic!("{other}: {what}"),
        }
    };
    assert_eq!(attack(prepare, approve, check), BTreeSet::from(["approved", "identified"]));
}

#[test]
fn a_request_that_stands_is_held_and_its_persons_are_read() {
    let prepare = |play: &mut Play| {
        play.record(1, 0, 2);
        play.advance(Duration::from_secs(60));
        play.sign_in("desk")
    };
    let submit = |play: &Play, desk: &Caller| {
        let (name, contact) = ("김민수".to_owned(), "010-1234-5678".to_owned());
        let person = PersonFields { name, contact, birth_date: None, address: None, relation: None };
        let new = NewRequest::own(RequestKind::Viewing, vec![camera(1)], span(0, 1), "lost bag".into(), person);
        play.built().access.submit(desk, new).map(drop)
    };
    let check = |play: &mut Play, _: &Caller, was_done: bool, what: &str| {
        let desk = play.sign_in("desk");
        let (access, holds) = (Arc::clone(&play.built().access), Arc::clone(&play.built().holds));
        let held = holds.lock().unwrap().list().iter().any(|hold| hold.of == HeldFor::Request(RequestId(1)));
        match access.request(&desk, RequestId(1)) {
            Ok(view) => {
                assert!(held && view.person.is_some(), "{what}");
                "entered"
            }
            Err(_) => {
                assert!(!was_done && !held, "{what}");
                play.submit(&desk, 1, span(0, 1));
                "not entered"
            }
        }
    };
    assert_eq!(attack(prepare, submit, check), BTreeSet::from(["entered", "not entered"]));
}

#[test]
fn what_is_written_after_somebody_left_can_be_read_by_who_stays() {
    let prepare = |play: &mut Play| {
        play.record(1, 0, 2);
        play.advance(Duration::from_secs(60));
        play.sign_in("deputy")
    };
    let remove = |play: &Play, deputy: &Caller| {
        play.built().access.remove_account(deputy, AccountId(4), "left".into(), "deputy-password").map(drop)
    };
    let check = |play: &mut Play, _: &Caller, was_done: bool, what: &str| {
        let access = Arc::clone(&play.built().access);
        access.end_what_is_over().unwrap();
        let officer = play.sign_in("officer");
        let hold = play.place_hold(&officer, 1, span(0, 1), None);
        let seen = access.all_holds(&officer).unwrap().holds;
        let text = seen.iter().find(|known| known.hold == hold).and_then(|known| known.text.clone());
        assert_eq!(text.as_deref(), Some("a fall on the stairs"), "{what}");
        let is_gone = access.sign_in("desk", "desk-password", std::net::Ipv4Addr::LOCALHOST.into()).is_err();
        assert!(is_gone || !was_done, "{what}");
        if is_gone { "gone" } else { "there" }
    };
    assert_eq!(attack(prepare, remove, check), BTreeSet::from(["gone", "there"]));
}

#[test]
fn an_officers_hold_that_stands_keeps_its_footage_and_its_text() {
    let prepare = |play: &mut Play| {
        play.record(1, 0, 2);
        play.advance(Duration::from_secs(60));
        play.sign_in("officer")
    };
    let place = |play: &Play, officer: &Caller| {
        let review = play.hands.clock().wall().saturating_add(Duration::from_secs(86_400));
        let (reason, text) = (HoldReason::Accident, "a fall on the stairs".to_owned());
        let new = NewHold { reason, text, cameras: vec![camera(1)], span: span(0, 1), review, ends: None };
        play.built().access.place_hold(officer, new).map(drop)
    };
    let check = |play: &mut Play, _: &Caller, was_done: bool, what: &str| {
        let officer = play.sign_in("officer");
        let (access, holds) = (Arc::clone(&play.built().access), Arc::clone(&play.built().holds));
        let held = !holds.lock().unwrap().list().is_empty();
        let seen = access.all_holds(&officer).unwrap().holds;
        assert_eq!(seen.len(), usize::from(held), "{what}");
        assert!(seen.iter().all(|hold| hold.text.is_some()), "{what}");
        assert!(held || !was_done, "{what}");
        if held { "held" } else { "not held" }
    };
    assert_eq!(attack(prepare, place, check), BTreeSet::from(["held", "not held"]));
}
