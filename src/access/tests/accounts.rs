//! Accounts after the site's making: two officers for each right, one to take it away, and never none.

use super::*;
use crate::crypto::PublicKey;

const OFFICER: AccountId = AccountId(1);
const DEPUTY: AccountId = AccountId(2);
const DESK: AccountId = AccountId(4);
const NEWCOMER: &str = "tiny blue trains at dawn";

pub(super) fn of_role(role: Role) -> Terms {
    Terms { role, cameras: None, ends: None }
}

pub(super) fn member(name: &str, terms: Terms) -> NewMember {
    NewMember { name: name.into(), terms, reason: "joins the clinic".into() }
}

fn password_of(name: &str) -> String {
    format!("{name}-password")
}

impl Open {
    fn asked(&self, by: &str, name: &str, terms: Terms) -> WithCode {
        self.access.ask_for_account(&self.sign_in(by), member(name, terms), &password_of(by)).unwrap()
    }

    fn approve_account(&self, by: &str, account: AccountId) -> Result<AccountView, AccessError> {
        self.access.approve_account(&self.sign_in(by), account, &password_of(by)).map(|(view, _)| view)
    }

    fn choose(&self, name: &str, code: &Password, password: &str) -> Result<(), AccessError> {
        self.access.choose_password(name, code.expose(), &Password::new(password.into()), HERE)
    }

    fn remove(&self, by: &str, account: AccountId) -> Result<AccountView, AccessError> {
        self.access.remove_account(&self.sign_in(by), account, "left the clinic".into(), &password_of(by))
    }

    fn reset(&self, by: &str, account: AccountId) -> Result<WithCode, AccessError> {
        self.access.reset_password(&self.sign_in(by), account, "forgot it".into(), &password_of(by))
    }

    /// From the wish to an account in force.
    fn join(&self, name: &str, terms: Terms) -> AccountId {
        let asked = self.asked("officer", name, terms);
        self.choose(name, &asked.code, NEWCOMER).unwrap();
        self.approve_account("deputy", asked.account.account).unwrap();
        asked.account.account
    }

    fn enter(&self, name: &str, password: &str) -> Result<Caller, AccessError> {
        let (token, _) = self.access.sign_in(name, password, HERE)?;
        self.access.caller(&token, HERE)
    }

    pub(super) fn day_key_slots_of(&self, clinic: &Clinic, key: PublicKey) -> usize {
        let dir = clinic.dir.path().join("v1/keys");
        let paths = clinic.disk.list_files(&dir).unwrap().into_iter().map(|name| dir.join(name));
        let has = |path: PathBuf| {
            let file = crate::segment::SlotFile::open(&*clinic.disk, &path, crate::segment::SlotPurpose::DayKey);
            file.unwrap().find(&key.0).unwrap().is_some()
        };
        paths.filter(|path| has(path.clone())).count()
    }
}

#[test]
fn a_newcomer_chooses_their_password_and_another_officer_approves() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    let asked = open.asked("officer", "third", of_role(Role::Officer));
    let account = asked.account.account;
    assert_eq!((account, asked.account.standing), (AccountId(7), Standing::WaitsForPerson));
    assert!(matches!(open.enter("third", NEWCOMER), Err(AccessError::WrongCredentials)));
    assert!(matches!(open.approve_account("deputy", account), Err(AccessError::AccountState { .. })), "no keys yet");
    let wrong = Password::new("AAAAA-AAAAA-AAAAA-AAAAA".into());
    assert!(matches!(open.choose("third", &wrong, NEWCOMER), Err(AccessError::WrongCredentials)));
    assert!(matches!(open.choose("third", &asked.code, "password123"), Err(AccessError::Weak(_))));
    open.choose("third", &asked.code, NEWCOMER).unwrap();
    assert!(open.choose("third", &asked.code, "another long one").is_err(), "once");
    assert!(matches!(open.enter("third", NEWCOMER), Err(AccessError::NotApproved)));
    assert!(matches!(open.approve_account("officer", account), Err(AccessError::FourEyes)), "who asked");
    let view = open.approve_account("deputy", account).unwrap();
    assert_eq!((view.standing, view.seals_wanted), (Standing::Active, false));
    // They read persons, and decide: every day key is sealed to them, those before their time too.
    let third = open.enter("third", NEWCOMER).unwrap();
    assert_eq!(open.access.request(&third, request).unwrap().person.unwrap().name, "김민수");
    open.identify(request);
    let grant = open.access.approve(&third, request, &to_viewer(), NEWCOMER).unwrap().grant.unwrap();
    assert!(open.watch(grant, 1).is_ok());
    let told = open.access.account_history(&open.sign_in("auditor"), account).unwrap();
    let told: Vec<_> = told.iter().map(|event| (event.what, event.by, event.requester)).collect();
    let by = Some(account);
    assert_eq!(
        told,
        [("requested", Some(OFFICER), None), ("keys-made", by, None), ("granted", Some(DEPUTY), Some(OFFICER))]
    );
    let stored = std::fs::read_to_string(clinic.state().join("ledger/2026-11.ledger")).unwrap();
    assert!(!stored.contains("third") && !stored.contains(asked.code.expose()));
    drop(open);
    let open = clinic.open();
    open.enter("third", NEWCOMER).unwrap();
    assert_eq!(open.access.vault.recipients().len(), 4, "three officers and the recovery key");
}

#[test]
fn an_officer_who_leaves_opens_nothing_any_more() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let before = open.ask(1, span(10, 20)).number;
    let account = open.join("third", of_role(Role::Officer));
    let third = open.enter("third", NEWCOMER).unwrap();
    let keys = open.access.member(account).unwrap().keys.unwrap();
    let kept_desk = third.desk().unwrap().clone();
    assert_eq!(open.day_key_slots_of(&clinic, keys.release.unwrap()), 1);
    let (token, _) = open.access.sign_in("desk", "desk-password", HERE).unwrap();
    assert_eq!(open.remove("officer", account).unwrap().standing, Standing::Removed);
    assert_eq!(open.day_key_slots_of(&clinic, keys.release.unwrap()), 0);
    assert!(open.access.sessions.list(Some(account), Digest::ZERO).is_empty(), "their session has ended");
    assert!(matches!(open.enter("third", NEWCOMER), Err(AccessError::WrongCredentials)));
    let file = std::fs::read_to_string(clinic.state().join("people/00000007")).unwrap();
    assert!(!file.contains("sealed"), "no private half is left: {file}");
    // The desk's pair is a new one: what they may have kept of the old opens nothing that comes.
    let desk = open.access.caller(&token, HERE).unwrap();
    let after = open.access.submit(&desk, new_request(1, span(10, 21))).unwrap().number;
    let committed = open.access.find_request(after).unwrap().persons;
    let read = |keys| {
        let dir = &open.access.requests_dir;
        open.access.desk.read::<serde_json::Value>(dir, HeldFor::Request(after), committed, keys)
    };
    assert!(read(&kept_desk).is_err());
    // Who stays reads both, whether signed in then or later.
    for (caller, request) in [(&desk, before), (&desk, after), (&open.sign_in("auditor"), after)] {
        assert!(open.access.request(caller, request).unwrap().person.is_some());
    }
    let told = open.access.request(&open.sign_in("desk"), after).unwrap();
    assert_eq!(told.person.unwrap().name, "김민수");
    assert!(open.rows().iter().any(|act| matches!(act, Act::KeysForgotten { keys, day_keys: 1 } if keys.len() == 2)));
    drop(open);
    let open = clinic.open();
    assert_eq!(open.access.vault.recipients().len(), 3);
    assert_eq!(open.access.request(&open.sign_in("desk"), before).unwrap().person.unwrap().name, "김민수");
    assert!(open.access.duties().alarms.is_empty());
}

#[test]
fn an_officer_is_always_left() {
    let clinic = Clinic::new();
    let open = clinic.open();
    assert!(matches!(open.remove("officer", OFFICER), Err(AccessError::OwnAccount)));
    assert!(matches!(open.reset("officer", OFFICER), Err(AccessError::OwnAccount)));
    let (officer, deputy) = (open.sign_in("officer"), open.sign_in("deputy"));
    // Both at once: the second is no officer any more.
    let remove = |caller: &Caller, who: AccountId| {
        let password = password_of(&caller.person().name);
        open.access.remove_account(caller, who, "no more".into(), &password)
    };
    let told = std::thread::scope(|scope| {
        let one = scope.spawn(|| remove(&officer, DEPUTY).is_ok());
        let other = scope.spawn(|| remove(&deputy, OFFICER).is_ok());
        [one.join().unwrap(), other.join().unwrap()]
    });
    assert_eq!(told.iter().filter(|done| **done).count(), 1, "{told:?}");
    let (left, name) = if told[0] { (OFFICER, "officer") } else { (DEPUTY, "deputy") };
    let caller = open.sign_in(name);
    let soon = Terms { ends: Some(at(1_000)), ..of_role(Role::Officer) };
    for terms in [of_role(Role::Staff), soon] {
        let told = open.access.ask_for_change(&caller, left, (terms, "less".into()), &password_of(name));
        assert!(matches!(told, Err(AccessError::LastOfficer)), "{told:?}");
    }
    let alarms = open.access.duties().alarms;
    assert!(alarms.iter().any(|alarm| alarm.starts_with("there is no deputy officer")), "{alarms:?}");
}

#[test]
fn rights_change_when_another_officer_approves_and_sessions_end() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let (token, _) = open.access.sign_in("desk", "desk-password", HERE).unwrap();
    let to_officer = (of_role(Role::Officer), "becomes deputy".to_owned());
    let ask = |by: &str, change| open.access.ask_for_change(&open.sign_in(by), DESK, change, &password_of(by));
    ask("officer", to_officer.clone()).unwrap();
    assert!(matches!(ask("deputy", to_officer), Err(AccessError::AccountState { .. })), "one at a time");
    assert!(matches!(open.approve_account("officer", DESK), Err(AccessError::FourEyes)));
    let told = open.approve_account("deputy", DESK).unwrap_err().to_string();
    assert!(told.contains("sign in once more"), "{told}");
    // Their second key is made as they sign in.
    open.sign_in("desk");
    open.approve_account("deputy", DESK).unwrap();
    assert!(open.access.caller(&token, HERE).is_err(), "they sign in again");
    assert_eq!(open.sign_in("desk").person().role, Role::Officer);
    let keys = open.access.member(DESK).unwrap().keys.unwrap();
    assert_eq!(open.day_key_slots_of(&clinic, keys.release.unwrap()), 1);
    // And back: the second key goes.
    ask("officer", (of_role(Role::Viewer), "watches".into())).unwrap();
    open.approve_account("deputy", DESK).unwrap();
    assert_eq!(open.day_key_slots_of(&clinic, keys.release.unwrap()), 0);
    let viewer = open.sign_in("desk");
    assert!(viewer.person().role == Role::Viewer && viewer.desk().is_none());
    drop(open);
    assert_eq!(clinic.open().sign_in("desk").person().role, Role::Viewer);
}

#[test]
fn what_was_asked_for_can_be_taken_back() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let asked = open.asked("officer", "third", of_role(Role::Viewer));
    let account = asked.account.account;
    let view = open.access.withdraw_account(&open.sign_in("deputy"), account, "not needed".into()).unwrap();
    assert_eq!(view.standing, Standing::Removed);
    assert!(open.choose("third", &asked.code, NEWCOMER).is_err());
    assert!(matches!(open.approve_account("deputy", account), Err(AccessError::AccountState { .. })));
    let again =
        open.access.ask_for_account(&open.sign_in("officer"), member("desk", of_role(Role::Staff)), "officer-password");
    assert!(matches!(again, Err(AccessError::BadInput { field: "name", .. })), "one person, one account");
}

#[test]
fn rights_of_some_cameras_reach_no_other() {
    let clinic = Clinic::new();
    let open = clinic.open();
    (1..=2).for_each(|number| open.record(camera(number)));
    clinic.hands.advance(Duration::from_secs(100));
    let of_one = |role| Terms { cameras: Some(vec![camera(1)]), ..of_role(role) };
    open.join("clerk", of_one(Role::Staff));
    let watcher = open.join("watcher", of_one(Role::Viewer));
    let clerk = open.enter("clerk", NEWCOMER).unwrap();
    let outside =
        |told: Result<(), AccessError>| assert!(matches!(told, Err(AccessError::OutsideScope { .. })), "{told:?}");
    outside(open.access.submit(&clerk, new_request(2, span(10, 20))).map(drop));
    outside(open.access.availability(&clerk, camera(2), span(10, 20)).map(drop));
    let other = open.ask(2, span(10, 20)).number;
    outside(open.access.request(&clerk, other).map(drop));
    outside(open.access.check_identity(&clerk, other, IdentityDocument::Passport).map(drop));
    let own = open.access.submit(&clerk, new_request(1, span(10, 20))).unwrap().number;
    let listed: Vec<_> = open.listed(&clerk).unwrap().iter().map(|view| view.number).collect();
    assert_eq!(listed, [own]);
    for request in [own, other] {
        open.identify(request);
    }
    let to_watcher = Approval { viewer: Some(watcher), ..to_viewer() };
    let approve = |request| open.access.approve(&open.sign_in("officer"), request, &to_watcher, "officer-password");
    assert!(matches!(approve(other), Err(AccessError::BadInput { field: "viewer", .. })));
    assert!(approve(own).is_ok());
    let unknown = Terms { cameras: Some(vec![camera(9)]), ..of_role(Role::Staff) };
    let told = open.access.ask_for_account(&open.sign_in("officer"), member("x", unknown), "officer-password");
    assert!(matches!(told, Err(AccessError::UnknownCamera { .. })));
}

#[test]
fn rights_end_by_themselves_in_running_sessions_too() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let account = open.join("guest", Terms { ends: Some(at(300)), ..of_role(Role::Staff) });
    let (token, _) = open.access.sign_in("guest", NEWCOMER, HERE).unwrap();
    clinic.hands.advance(Duration::from_secs(299));
    open.access.caller(&token, HERE).unwrap();
    clinic.hands.advance(Duration::from_secs(1));
    assert!(open.access.caller(&token, HERE).is_err() && open.enter("guest", NEWCOMER).is_err());
    open.access.end_what_is_over().unwrap();
    assert_eq!(open.access.member(account).unwrap().standing(at(300)), Standing::Removed);
    assert!(open.access.desk.open(&open.access.people.open_session(Some(DESK), "desk-password").unwrap()).is_ok());
    // In a second site's clock that runs ahead it only denies.
    let later = open.join("later", Terms { ends: Some(at(10_000)), ..of_role(Role::Staff) });
    clinic.hands.step_wall(20_000_000_000);
    assert!(open.enter("later", NEWCOMER).is_err());
    open.access.end_what_is_over().unwrap();
    assert!(open.access.member(later).unwrap().terms.is_some(), "nothing is destroyed for it");
}

#[test]
fn a_password_is_changed_without_its_keys_and_old_ones_are_overwritten() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let path = clinic.state().join("people/00000001");
    let before = std::fs::read(&path).unwrap();
    let change = |old: &str, new: &str| {
        let (old, new) = (Password::new(old.into()), Password::new(new.into()));
        open.access.change_password("officer", (&old, &new), (None, None), HERE)
    };
    let (token, _) = open.access.sign_in("officer", "officer-password", HERE).unwrap();
    assert!(matches!(change("wrong", NEWCOMER), Err(AccessError::WrongCredentials)));
    assert!(matches!(change("officer-password", "officer-password"), Err(AccessError::Weak(WeakPassword::Same))));
    assert!(matches!(change("officer-password", "short"), Err(AccessError::Weak(WeakPassword::Short))));
    change("officer-password", NEWCOMER).unwrap();
    assert!(open.access.caller(&token, HERE).is_err(), "sessions end");
    assert!(open.enter("officer", "officer-password").is_err());
    let officer = open.enter("officer", NEWCOMER).unwrap();
    assert!(open.access.approve(&officer, request, &to_viewer(), NEWCOMER).is_ok(), "the release key is the same");
    // An older copy brings no old password back.
    drop(open);
    let now = std::fs::read(&path).unwrap();
    std::fs::write(&path, before).unwrap();
    assert!(clinic.open().enter("officer", "officer-password").is_err());
    std::fs::write(&path, now).unwrap();
    assert!(clinic.open().enter("officer", NEWCOMER).is_ok());
}

#[test]
fn a_password_that_is_too_old_opens_nothing_but_its_change() {
    let mut clinic = Clinic::new();
    clinic.password_max = Some(DAY);
    let open = clinic.open();
    open.sign_in("desk");
    clinic.hands.advance(DAY);
    assert!(matches!(open.enter("desk", "desk-password"), Err(AccessError::PasswordTooOld)));
    let (old, new) = (Password::new("desk-password".into()), Password::new(NEWCOMER.into()));
    open.access.change_password("desk", (&old, &new), (None, None), HERE).unwrap();
    open.enter("desk", NEWCOMER).unwrap();
}

#[test]
fn who_resets_a_password_learns_nothing_and_old_grants_are_over() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let view = open.approved(1, span(10, 20));
    let grant = view.grant.unwrap();
    let before = open.access.member(VIEWER).unwrap().keys.unwrap();
    let reset = open.reset("officer", VIEWER).unwrap();
    assert_eq!(reset.ended, [EndedGrant { grant, request: view.number }], "what must be issued again");
    assert!(open.access.grants.list().unwrap().is_empty() && open.enter("viewer", "viewer-password").is_err());
    open.choose("viewer", &reset.code, NEWCOMER).unwrap();
    assert!(matches!(open.approve_account("officer", VIEWER), Err(AccessError::FourEyes)), "who reset it");
    open.approve_account("deputy", VIEWER).unwrap();
    let viewer = open.enter("viewer", NEWCOMER).unwrap();
    assert_ne!(open.access.member(VIEWER).unwrap().keys.unwrap().session, before.session);
    assert!(open.access.playlist(&viewer, grant, camera(1), None).is_err(), "an old grant stays over");
    // Of two officers each resets the other's, and the day keys are sealed to the new pair.
    let reset = open.reset("officer", DEPUTY).unwrap();
    assert!(matches!(open.reset("officer", DEPUTY), Ok(WithCode { .. })), "a code that was lost");
    assert!(open.choose("deputy", &reset.code, NEWCOMER).is_err());
    let reset = open.reset("officer", DEPUTY).unwrap();
    open.choose("deputy", &reset.code, NEWCOMER).unwrap();
    open.approve_account("officer", DEPUTY).unwrap();
    let release = open.access.member(DEPUTY).unwrap().keys.unwrap().release.unwrap();
    assert_eq!(open.day_key_slots_of(&clinic, release), 1);
    open.enter("deputy", NEWCOMER).unwrap();
}

#[test]
fn a_code_does_not_live_for_ever() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let asked = open.asked("officer", "third", of_role(Role::Viewer));
    clinic.hands.advance(DAY * 3);
    assert!(matches!(open.choose("third", &asked.code, NEWCOMER), Err(AccessError::WrongCredentials)));
}

#[test]
fn failures_are_counted_by_account_address_and_minute() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let counted = |open: &Open| -> Vec<(Option<AccountId>, u32)> {
        let of = |act: &Act| match act {
            Act::SignInFailed { account, count } => Some((*account, *count)),
            _ => None,
        };
        open.rows().iter().filter_map(of).collect()
    };
    for _ in 0..4 {
        open.enter("desk", "wrong").unwrap_err();
    }
    open.enter("nobody", "wrong").unwrap_err();
    assert_eq!(counted(&open), [(Some(DESK), 1), (None, 1)]);
    clinic.hands.advance(Duration::from_secs(60));
    open.access.end_what_is_over().unwrap();
    assert_eq!(counted(&open), [(Some(DESK), 1), (None, 1), (Some(DESK), 3)]);
}

#[test]
fn guessing_delays_and_locks_nobody_out() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let from = |last: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    // From everywhere at one name: its own person waits half a minute at most.
    let mut waits = Vec::new();
    for round in 0..200_u8 {
        match open.access.sign_in("desk", "wrong", from(round)) {
            Err(AccessError::TooManyAttempts { retry_s }) => {
                waits.push(retry_s);
                clinic.hands.advance(Duration::from_secs(retry_s));
            }
            told => assert!(matches!(told, Err(AccessError::WrongCredentials))),
        }
    }
    assert!(waits.iter().all(|wait| *wait <= 31) && waits.len() > 50, "{waits:?}");
    clinic.hands.advance(Duration::from_secs(31));
    open.enter("desk", "desk-password").unwrap();
    // From one place at every name.
    let mut waited = false;
    for round in 0..80 {
        let told = open.access.sign_in(&format!("name-{round}"), "wrong", from(1));
        waited |= matches!(told, Err(AccessError::TooManyAttempts { .. }));
    }
    assert!(waited);
}

#[test]
fn sessions_are_listed_and_ended() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let (token, _) = open.access.sign_in("desk", "desk-password", HERE).unwrap();
    let (desk, officer) = (open.sign_in("desk"), open.sign_in("officer"));
    assert_eq!(open.access.sessions(&desk).len(), 2);
    let all = open.access.sessions(&officer);
    assert_eq!(all.len(), 3);
    let of_officer = all.iter().find(|line| line.account == OFFICER).unwrap().session.clone();
    assert!(matches!(open.access.end_session(&desk, &of_officer), Err(AccessError::NoSuchSession)));
    let other = open.access.sessions(&desk).into_iter().find(|line| !line.is_own).unwrap();
    open.access.end_session(&officer, &other.session).unwrap();
    assert!(open.access.caller(&token, HERE).is_err(), "a token of an ended session opens nothing");
    assert!(open.rows().contains(&Act::SessionsEnded { account: DESK, sessions: 1 }));
}
