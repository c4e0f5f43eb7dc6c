//! People who come, choose passwords, forget them and leave.

use super::play::{Ground, Play, Played, Trace};
use crate::access::{NewMember, Password, Reinstated, Reinstatement, Terms};
use crate::disk::Flush;
use crate::domain::{AccountId, Role};
use crate::segment::SlotPurpose;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const VIEWER: AccountId = AccountId(3);
const NEXT: &str = "tiny blue trains at dawn";

/// What stands in an account's file of private halves.
fn sealed_in(play: &Play, account: AccountId) -> Vec<Trace> {
    let path = play.ground.state().join("people").join(format!("{:08x}", account.0));
    let file = crate::disk::read_file(&play.disk, &path, 1 << 16).unwrap();
    let text = String::from_utf8(file).unwrap();
    let marks: Vec<(usize, &str)> = text.match_indices("\"sealed\": \"").collect();
    let trace = |(at, mark): &(usize, &str)| {
        let from = at + mark.len();
        let bytes = text.as_bytes()[from..from + 96].to_vec();
        Trace { what: format!("a private half of account {account}"), bytes, offset: from % 4096 }
    };
    marks.iter().map(trace).collect()
}

fn has(play: &mut Play, name: &str, passwords: &[&str]) {
    let passwords = passwords.iter().map(|password| (*password).to_owned()).collect();
    play.promises.passwords.insert(name.to_owned(), passwords);
    play.note();
}

pub fn people_change(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 1);
    play.commit();
    play.begin();
    for name in ["officer", "deputy", "viewer", "desk"] {
        has(&mut play, name, &[&format!("{name}-password")]);
    }
    let (officer, deputy) = (play.sign_in("officer"), play.sign_in("deputy"));
    let access = Arc::clone(&play.built().access);

    // Somebody joins.
    let terms = Terms { role: Role::Officer, cameras: None, ends: None };
    let new = NewMember { name: "third".into(), terms, reason: "joins".into() };
    let asked = access.ask_for_account(&officer, new, "officer-password").unwrap();
    play.note_rows();
    let third = asked.account.account;
    access.choose_password("third", asked.code.expose(), &Password::new(NEXT.into()), HERE).unwrap();
    play.note_rows();
    access.approve_account(&deputy, third, "deputy-password").unwrap();
    has(&mut play, "third", &[NEXT]);
    play.note_rows();

    // Somebody changes their password.
    let old = sealed_in(&play, AccountId(4));
    assert_eq!(old.len(), 1);
    has(&mut play, "desk", &["desk-password", NEXT]);
    let passwords = (&Password::new("desk-password".into()), &Password::new(NEXT.into()));
    access.change_password("desk", passwords, (None, None), HERE).unwrap();
    play.promises.gone.extend(old);
    play.promises.refused.push(("desk".into(), "desk-password".into()));
    has(&mut play, "desk", &[NEXT]);
    play.note_rows();

    // Somebody forgot theirs.
    let old = sealed_in(&play, VIEWER);
    play.promises.passwords.remove("viewer");
    play.note();
    let reset = access.reset_password(&officer, VIEWER, "forgot it".into(), "officer-password").unwrap();
    play.promises.gone.extend(old);
    play.promises.refused.push(("viewer".into(), "viewer-password".into()));
    play.note_rows();
    access.choose_password("viewer", reset.code.expose(), &Password::new(NEXT.into()), HERE).unwrap();
    play.note_rows();
    access.approve_account(&deputy, VIEWER, "deputy-password").unwrap();
    has(&mut play, "viewer", &[NEXT]);
    play.note_rows();

    // Somebody leaves.
    let mut old = sealed_in(&play, third);
    let known: Vec<_> = play
        .rows()
        .into_iter()
        .filter_map(|row| match row.act {
            crate::ledger::Act::KeysMade { account, key, release_key, .. } if account == third => {
                Some((key, release_key))
            }
            _ => None,
        })
        .collect();
    let (key, release) = known[0];
    for path in play.files("keys") {
        old.extend(play.slots_of(&path, SlotPurpose::DayKey, |owner| Some(owner) == release));
    }
    old.extend(play.slots_of(&ground.state().join("desk"), SlotPurpose::Desk, |owner| owner == key));
    assert_eq!(old.len(), 4, "two private halves, a day key, the desk");
    play.promises.passwords.remove("third");
    play.note();
    access.remove_account(&deputy, third, "left".into(), "deputy-password").unwrap();
    play.promises.gone.extend(old);
    play.promises.refused.push(("third".into(), NEXT.into()));
    play.note_rows();
    play.end()
}

/// Officer and deputy lost their passwords.
pub fn officer_reinstated(ground: &Ground, left_out: Option<Flush>) -> Played {
    let mut play = Play::new(ground, left_out);
    play.record(1, 0, 1);
    play.commit();
    let (officer, access) = (AccountId(1), Arc::clone(&play.built().access));
    let mut old = sealed_in(&play, officer);
    let granted = |row: crate::ledger::Row| match row.act {
        crate::ledger::Act::RightsGranted { account, key, release_key, .. } if account == officer => {
            Some((key, release_key))
        }
        _ => None,
    };
    let (key, release) = play.rows().into_iter().find_map(granted).unwrap();
    for path in play.files("keys") {
        old.extend(play.slots_of(&path, SlotPurpose::DayKey, |owner| Some(owner) == release));
    }
    old.extend(play.slots_of(&ground.state().join("desk"), SlotPurpose::Desk, |owner| owner == key));
    assert_eq!(old.len(), 4, "two private halves, a day key, the desk");
    let wanted = Reinstatement {
        name: "officer".into(),
        reason: "the password is lost".into(),
        although: Some("the deputy lost theirs too".into()),
    };
    play.promises.on_the_way_back = Some(wanted.clone());
    play.begin();
    let recovery = play.recovery.clone();
    let Ok(Reinstated::CodeGiven { code, .. }) = access.reinstate(&recovery, &wanted) else { panic!("no code") };
    play.promises.gone.extend(old);
    play.promises.refused.push(("officer".into(), "officer-password".into()));
    play.note_rows();
    access.choose_password("officer", code.expose(), &Password::new(NEXT.into()), HERE).unwrap();
    play.note_rows();
    let Ok(Reinstated::Sealed { round, .. }) = access.reinstate(&recovery, &wanted) else { panic!("not sealed") };
    assert!(round.is_complete() && round.changed == 1, "{round:?}");
    play.promises.on_the_way_back = None;
    has(&mut play, "officer", &[NEXT]);
    play.note_rows();
    play.end()
}

fn survives(name: &str) {
    let scenario = super::scenarios::ALL.into_iter().find(|scenario| scenario.name == name).unwrap();
    let ground = Ground::new();
    let played = (scenario.play)(&ground, None);
    let (checked, faults) = super::crashes::faults(&ground, &played, 10);
    assert!(checked > 10, "nothing was tried");
    assert!(faults.is_empty(), "{name}:\n{}", faults.join("\n"));
}

#[test]
fn a_cut_while_viewings_are_counted() {
    survives("viewings are counted, and a grant is taken back");
}

#[test]
fn a_cut_while_an_officer_is_reinstated() {
    survives("an officer is reinstated with the recovery key");
}
