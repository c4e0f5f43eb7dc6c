//! The second factor: asked at sign-in and for each act that counts, each code once.

use super::*;
use crate::crypto::{TOTP_STEP_S, TotpSecret};

const OFFICER: AccountId = AccountId(1);

fn clinic() -> Clinic {
    Clinic { second_factor: SecondFactorFor::Officers, ..Clinic::new() }
}

fn code_at(secret: &str, moment: Utc) -> String {
    TotpSecret::from_base32(secret).unwrap().code(u64::try_from(moment.micros()).unwrap() / 1_000_000 / TOTP_STEP_S)
}

impl Open {
    fn now_code(&self, secret: &str) -> String {
        code_at(secret, self.access.now())
    }

    /// Sets a second factor for the officer; its secret and the recovery codes.
    fn set(&self) -> (String, Vec<Password>) {
        let (token, _) = self.access.sign_in("officer", "officer-password", HERE).unwrap();
        assert!(matches!(self.access.caller(&token, HERE), Err(AccessError::SecondFactorMissing)));
        let caller = self.access.caller_of_any_kind(&token, HERE).unwrap();
        let new = self.access.new_second_factor(&caller).unwrap();
        assert!(new.uri.contains(&new.secret) && new.uri.starts_with("otpauth://totp/Custodian:officer?"));
        let secret = Password::new(new.secret.clone());
        let set = |code: &str, password| self.access.set_second_factor(&caller, (&secret, code), password);
        assert!(matches!(set("000000", "officer-password"), Err(AccessError::BadInput { field: "code", .. })));
        let code = self.now_code(&new.secret);
        assert!(matches!(set(&code, "wrong"), Err(AccessError::WrongCredentials)));
        let recovery = set(&code, "officer-password").unwrap();
        self.access.caller(&token, HERE).unwrap();
        (new.secret, recovery)
    }

    fn enter_with(&self, code: Option<&str>) -> Result<Caller, AccessError> {
        let (token, _) = self.access.sign_in_with("officer", ("officer-password", code), HERE)?;
        self.access.caller(&token, HERE)
    }
}

#[test]
fn an_officer_sets_one_before_anything_else_and_each_code_is_good_once() {
    let clinic = clinic();
    let open = clinic.open();
    let (secret, _) = open.set();
    assert!(matches!(open.enter_with(None), Err(AccessError::SecondFactorWanted)));
    let used = open.now_code(&secret);
    assert!(open.enter_with(Some(&used)).is_err(), "the code that set it was used");
    clinic.hands.advance(Duration::from_secs(30));
    let code = open.now_code(&secret);
    let seen = open.access.version_of(Thing::Account(OFFICER));
    open.enter_with(Some(&code)).unwrap();
    assert_eq!(open.access.version_of(Thing::Account(OFFICER)), seen, "who signs in changes nothing that others see");
    assert!(matches!(open.enter_with(Some(&code)), Err(AccessError::WrongCredentials)), "replayed");
    drop(open);
    let open = clinic.open();
    assert!(open.enter_with(Some(&code)).is_err(), "nor after a restart");
    // One step early or late is taken, two are not.
    clinic.hands.advance(Duration::from_secs(300));
    let step = |steps: i64| code_at(&secret, Utc::from_micros(open.access.now().micros() + steps * 30_000_000));
    assert!(open.enter_with(Some(&step(-2))).is_err() && open.enter_with(Some(&step(2))).is_err());
    open.enter_with(Some(&step(-1))).unwrap();
    open.enter_with(Some(&step(1))).unwrap();
    assert!(open.enter_with(Some(&step(0))).is_err(), "an older one than was used");
    // Who need not have one signs in as before; at rest it is sealed.
    open.sign_in("desk");
    let file = std::fs::read_to_string(clinic.state().join("people/00000001")).unwrap();
    assert!(file.contains("second_factor") && !file.contains(&secret));
}

#[test]
fn a_decision_wants_it_again() {
    let clinic = clinic();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let (secret, _) = open.set();
    clinic.hands.advance(Duration::from_secs(30));
    let caller = open.enter_with(Some(&open.now_code(&secret))).unwrap();
    let approve = |caller: &Caller| open.access.approve(caller, request, &to_viewer(), "officer-password");
    assert!(matches!(approve(&caller), Err(AccessError::SecondFactorWanted)));
    let replayed = caller.clone().with_code(Some(open.now_code(&secret)));
    assert!(matches!(approve(&replayed), Err(AccessError::WrongCredentials)));
    clinic.hands.advance(Duration::from_secs(30));
    let fresh = caller.with_code(Some(open.now_code(&secret)));
    assert_eq!(approve(&fresh).unwrap().state, "approved");
}

#[test]
fn a_recovery_code_is_good_once_and_takes_the_place_of_time_that_is_in_doubt() {
    let clinic = clinic();
    let open = clinic.open();
    let (secret, recovery) = open.set();
    assert_eq!(recovery.len(), 10);
    open.enter_with(Some(recovery[3].expose())).unwrap();
    assert!(open.enter_with(Some(recovery[3].expose())).is_err(), "once");
    drop(open);
    // A start far ahead of what is known: the clock is in doubt.
    clinic.hands.step_wall(30 * 86_400 * 1_000_000);
    let open = clinic.open();
    assert!(open.access.time.is_in_doubt());
    assert!(open.enter_with(Some(&open.now_code(&secret))).is_err());
    assert!(open.enter_with(Some(recovery[3].expose())).is_err(), "nor after a restart");
    open.enter_with(Some(&recovery[4].expose().to_lowercase())).unwrap();
    let used = Act::SecondFactorUsed { account: OFFICER, step: None, recovery_code: Some(4) };
    assert!(open.rows().contains(&used));
}

#[test]
fn a_new_password_keeps_it_and_a_reset_destroys_it() {
    let clinic = clinic();
    let open = clinic.open();
    let (secret, _) = open.set();
    clinic.hands.advance(Duration::from_secs(30));
    let (old, new) = (Password::new("officer-password".into()), Password::new("tiny blue trains at dawn".into()));
    let change = |code: Option<&str>| open.access.change_password("officer", (&old, &new), (None, code), HERE);
    assert!(matches!(change(None), Err(AccessError::SecondFactorWanted)));
    change(Some(&open.now_code(&secret))).unwrap();
    clinic.hands.advance(Duration::from_secs(30));
    let code = open.now_code(&secret);
    open.access.sign_in_with("officer", (new.expose(), Some(&code)), HERE).unwrap();
    drop(open);
    let without = Clinic { second_factor: SecondFactorFor::Nobody, ..clinic };
    let open = without.open();
    let deputy = open.sign_in("deputy");
    open.access.reset_password(&deputy, OFFICER, "lost both".into(), "deputy-password").unwrap();
    assert!(!open.access.people.has_second_factor(OFFICER));
}
