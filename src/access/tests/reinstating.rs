//! An officer's way back with the recovery key, and who does not get on it.

use super::accounts::{member, of_role};
use super::*;
use crate::disk::{Failure, OperationKind};

const OFFICER: AccountId = AccountId(1);
const DEPUTY: AccountId = AccountId(2);
const CHOSEN: &str = "tiny blue trains at dawn";

fn wanted(name: &str, although: Option<&str>) -> Reinstatement {
    Reinstatement { name: name.into(), reason: "the password is lost".into(), although: although.map(str::to_owned) }
}

impl Open {
    fn code(&self, clinic: &Clinic, wanted: &Reinstatement) -> Password {
        match self.access.reinstate(clinic.recovery(), wanted).unwrap() {
            Reinstated::CodeGiven { code, .. } => code,
            Reinstated::Sealed { .. } => panic!("sealed, and nobody chose a password"),
        }
    }

    fn sealed(&self, clinic: &Clinic, wanted: &Reinstatement) -> crate::vault::DayKeyRound {
        match self.access.reinstate(clinic.recovery(), wanted).unwrap() {
            Reinstated::Sealed { round, .. } => round,
            Reinstated::CodeGiven { .. } => panic!("a code, where a password was chosen"),
        }
    }

    fn chooses(&self, name: &str, code: &Password) -> Result<(), AccessError> {
        self.access.choose_password(name, code.expose(), &Password::new(CHOSEN.into()), HERE)
    }

    fn enters(&self, name: &str) -> Caller {
        let (token, _) = self.access.sign_in(name, CHOSEN, HERE).unwrap();
        self.access.caller(&token, HERE).unwrap()
    }
}

#[test]
fn officers_who_both_lost_their_passwords_come_back_and_decide_what_was_recorded_before() {
    let clinic = Clinic::new();
    let mut open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let told = open.access.reinstate(clinic.recovery(), &wanted("officer", None)).unwrap_err();
    assert!(matches!(told, ReinstateError::AnotherStands { officer } if officer == DEPUTY), "{told}");
    let although = wanted("officer", Some("the deputy lost theirs too"));
    let lost = open.code(&clinic, &although);
    assert!(open.access.sign_in("officer", "officer-password", HERE).is_err(), "the old one is destroyed");
    // The paper with the code is lost, and the power goes.
    drop(open);
    open = clinic.open();
    let code = open.code(&clinic, &although);
    assert!(open.chooses("officer", &lost).is_err());
    open.chooses("officer", &code).unwrap();
    assert!(matches!(open.access.sign_in("officer", CHOSEN, HERE), Err(AccessError::NotApproved)));
    drop(open);
    open = clinic.open();
    let round = open.sealed(&clinic, &although);
    assert!(round.is_complete() && round.changed == 1, "{round:?}");
    let officer = open.enters("officer");
    assert_eq!(open.access.request(&officer, request).unwrap().person.unwrap().name, "김민수", "the desk opens");
    let grant = open.access.approve(&officer, request, &to_viewer(), CHOSEN).unwrap().grant.unwrap();
    assert_eq!(shown(&open.watch(grant, 1).unwrap()).len(), 100);
    // And the deputy comes back by the officer.
    let reset = open.access.reset_password(&officer, DEPUTY, "lost".into(), CHOSEN).unwrap();
    open.chooses("deputy", &reset.code).unwrap();
    open.access.approve_account(&officer, DEPUTY, CHOSEN).unwrap();
    open.enters("deputy");
    let told = open.access.account_history(&officer, OFFICER).unwrap();
    let of_console: Vec<_> = told.iter().filter(|event| event.by.is_none()).map(|event| event.what).collect();
    assert_eq!(of_console, ["granted", "reset", "reset", "granted"]);
    let reason = told.last().unwrap().reason.clone().unwrap();
    assert!(reason.contains("recovery key") && reason.contains("the deputy lost theirs too"), "{reason}");
}

#[test]
fn the_last_officers_slots_go_only_when_the_new_ones_stand() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    open.access.remove_account(&open.sign_in("officer"), DEPUTY, "left".into(), "officer-password").unwrap();
    let old = open.access.member(OFFICER).unwrap().keys.unwrap();
    assert!(matches!(
        open.access.reset_password(&open.sign_in("officer"), OFFICER, "x".into(), "officer-password"),
        Err(AccessError::OwnAccount)
    ));
    // Nobody else stands, so nothing has to be justified.
    let plain = wanted("officer", None);
    let code = open.code(&clinic, &plain);
    let slots = |open: &Open, key| open.day_key_slots_of(&clinic, key);
    assert_eq!(slots(&open, old.release.unwrap()), 1, "the recovery key is never alone in a file");
    open.access.end_what_is_over().unwrap();
    assert!(open.access.duties().alarms.iter().any(|alarm| alarm.contains("officers reinstate")));
    open.record(camera(2));
    open.chooses("officer", &code).unwrap();
    let round = open.sealed(&clinic, &plain);
    assert!(round.is_complete() && round.changed == 2, "{round:?}");
    let new = open.access.member(OFFICER).unwrap().keys.unwrap();
    assert_eq!((slots(&open, old.release.unwrap()), slots(&open, new.release.unwrap())), (0, 2));
    assert!(open.access.registry().members.leaving().is_empty());
    open.enters("officer");
}

#[test]
fn a_site_with_one_officer_left_gets_a_deputy_again() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    let officer = open.sign_in("officer");
    open.access.remove_account(&officer, DEPUTY, "left".into(), "officer-password").unwrap();
    // One that the officer asked for, and nobody can approve.
    let asked =
        open.access.ask_for_account(&officer, member("third", of_role(Role::Officer)), "officer-password").unwrap();
    open.chooses("third", &asked.code).unwrap();
    let told = open.access.approve_account(&officer, asked.account.account, "officer-password");
    assert!(matches!(told, Err(AccessError::FourEyes)));
    assert!(open.sealed(&clinic, &wanted("third", None)).is_complete());
    open.enters("third");
    // With two, another is theirs to ask for and approve; from one, the console makes one from nothing.
    let told = open.access.reinstate(clinic.recovery(), &wanted("fourth", None));
    assert!(matches!(told, Err(ReinstateError::AnotherStands { .. })));
    open.access
        .remove_account(&open.sign_in("officer"), asked.account.account, "left".into(), "officer-password")
        .unwrap();
    let code = open.code(&clinic, &wanted("fourth", None));
    open.chooses("fourth", &code).unwrap();
    open.sealed(&clinic, &wanted("fourth", None));
    let fourth = open.enters("fourth");
    assert_eq!(fourth.person().role, Role::Officer);
}

#[test]
fn no_other_key_and_no_other_account_gets_on_the_way_back() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let (head, although) = (open.access.ledger.head(), Some("nobody answers"));
    let (stranger, _) = crate::crypto::generate_pair().unwrap();
    for key in [stranger, open.sign_in("officer").private().clone()] {
        let told = open.access.reinstate(&key, &wanted("officer", although));
        assert!(matches!(told, Err(ReinstateError::WrongKey)));
    }
    let refused = |name: &str| open.access.reinstate(clinic.recovery(), &wanted(name, although)).unwrap_err();
    for name in ["viewer", "desk", "auditor"] {
        assert!(matches!(refused(name), ReinstateError::NotAnOfficer { .. }), "{name}");
    }
    assert!(matches!(refused("../officer"), ReinstateError::BadName));
    assert!(matches!(refused(""), ReinstateError::BadName));
    let with_number = Reinstatement { reason: "900101-1234567".into(), ..wanted("officer", although) };
    let told = open.access.reinstate(clinic.recovery(), &with_number);
    assert!(matches!(told, Err(ReinstateError::Access(AccessError::IdNumber { .. }))));
    assert!(open.access.ledger.head().0 <= head.0 + 1, "but for the sign-in nothing was recorded");
    open.access.remove_account(&open.sign_in("officer"), DEPUTY, "left".into(), "officer-password").unwrap();
    assert!(matches!(refused("deputy"), ReinstateError::NoRights { account } if account == DEPUTY));
}

#[test]
fn what_cannot_be_recorded_gives_nobody_a_code() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    // The account's file is flushed, and its row is not.
    disk.fail_flushes_after(1);
    let told = open.access.reinstate(clinic.recovery(), &wanted("officer", Some("nobody answers")));
    assert!(matches!(told, Err(ReinstateError::Access(AccessError::NotRecorded(_)))), "{told:?}");
    disk.mend();
    drop(open);
    // The row of which nobody was told is on the disk after all: it counts, and the account with it.
    let open = clinic.open();
    assert!(open.access.sign_in("officer", "officer-password", HERE).is_err());
    let code = open.code(&clinic, &wanted("officer", Some("nobody answers")));
    open.chooses("officer", &code).unwrap();
}

#[test]
fn a_full_ledger_leaves_the_account_as_it_was() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Write;
    let below = clinic.state().join("ledger");
    disk.fail(Failure { kinds, below, skip: 0, times: usize::MAX, error: Some(28) });
    let told = open.access.reinstate(clinic.recovery(), &wanted("officer", Some("nobody answers")));
    assert!(matches!(told, Err(ReinstateError::Access(AccessError::NotRecorded(_)))), "{told:?}");
    disk.mend();
    open.sign_in("officer");
    drop(open);
    clinic.open().sign_in("officer");
}
