//! The officer who confirms date and time.

use super::*;
use crate::disk::{Failure, OperationKind};
use crate::vault::WhyInDoubt;

const HOUR: Duration = Duration::from_secs(3_600);

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap()
}

impl Open {
    fn confirm_time(
        &self,
        name: &str,
        stated: Utc,
        destroys: Option<u64>,
    ) -> Result<crate::vault::ClockReport, AccessError> {
        let caller = self.sign_in(name);
        self.access.confirm_clock(&caller, stated, destroys, &format!("{name}-password"))
    }
}

/// A site that was off so long that its clock is in doubt, with a minute of footage from before.
fn in_doubt(off: Duration) -> (Clinic, Open) {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.confirm_time("officer", START, None).unwrap();
    drop(open);
    clinic.hands.step_wall(micros(off));
    let open = clinic.open();
    assert_eq!(open.access.clock(&open.sign_in("viewer")).in_doubt, Some(WhyInDoubt::TooFarAhead));
    (clinic, open)
}

#[test]
fn an_officer_confirms_with_the_password_and_nobody_else_does() {
    let (clinic, open) = in_doubt(DAY * 10);
    let wall = clinic.hands.clock().wall();
    for name in ["viewer", "desk", "auditor"] {
        assert!(matches!(open.confirm_time(name, wall, Some(9)), Err(AccessError::Forbidden)), "{name}");
    }
    let officer = open.sign_in("officer");
    for wrong in ["", "deputy-password"] {
        let told = open.access.confirm_clock(&officer, wall, Some(9), wrong);
        assert!(matches!(told, Err(AccessError::WrongCredentials)), "{wrong:?}");
    }
    assert!(matches!(
        open.confirm_time("officer", START.saturating_sub(HOUR), None),
        Err(AccessError::ClockRefused(_))
    ));
    assert_eq!(open.access.now(), START);
    let told = open.confirm_time("officer", wall, Some(0)).unwrap();
    assert_eq!((told.in_doubt, told.waits_for, told.trusted, told.stepped_s), (None, None, wall, 0));
    let confirmed = open.rows().into_iter().rev().find(|act| matches!(act, Act::ClockConfirmed { .. })).unwrap();
    let expected =
        Act::ClockConfirmed { before: START, after: wall, wall, in_doubt: true, stepped_s: 0, destroys: Some(0) };
    assert_eq!(confirmed, expected);
}

#[test]
fn what_a_confirmation_destroys_at_once_must_be_stated() {
    let (clinic, open) = in_doubt(DAY * 40);
    let wall = clinic.hands.clock().wall();
    for stated in [None, Some(0)] {
        let Err(AccessError::ClockDestroys { segments, .. }) = open.confirm_time("officer", wall, stated) else {
            panic!()
        };
        assert_eq!(segments, 1);
        assert_eq!(open.eraser.round().unwrap().erased, 0, "nothing was done");
    }
    assert!(!open.rows().iter().any(|act| matches!(act, Act::ClockConfirmed { destroys: Some(_), .. })));
    open.confirm_time("officer", wall, Some(1)).unwrap();
    assert_eq!(open.eraser.round().unwrap().erased, 1);
}

#[test]
fn what_is_held_is_not_counted_since_it_is_not_destroyed() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.confirm_time("officer", START, None).unwrap();
    clinic.hands.advance(Duration::from_secs(100));
    open.ask(1, span(10, 20));
    open.access.keep_time().unwrap();
    drop(open);
    clinic.hands.step_wall(micros(DAY * 40));
    let open = clinic.open();
    open.confirm_time("officer", clinic.hands.clock().wall(), Some(0)).unwrap();
    assert_eq!(open.eraser.round().unwrap().erased, 0);
}

#[test]
fn a_small_step_needs_no_number_and_makes_the_steps_new() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.confirm_time("officer", START, None).unwrap();
    drop(open);
    clinic.hands.step_wall(micros(HOUR * 9));
    let open = clinic.open();
    let caller = open.sign_in("officer");
    assert_eq!(open.access.clock(&caller).stepped_s, 9 * 3_600);
    // As the daily confirmation of what was destroyed calls it.
    let by_their_watch = clinic.hands.clock().wall().saturating_sub(Duration::from_secs(130));
    open.access.clock_confirmed(&caller, by_their_watch, None).unwrap();
    let told = open.access.clock(&caller);
    assert_eq!((told.stepped_s, told.trusted), (0, clinic.hands.clock().wall()));
}

#[test]
fn what_cannot_be_recorded_is_not_confirmed() {
    let (clinic, disk) = Clinic::simulated();
    drop(clinic.open());
    clinic.hands.step_wall(micros(DAY * 10));
    let open = clinic.open();
    let officer = open.sign_in("officer");
    let kinds = |kind| kind == OperationKind::Write;
    disk.fail(Failure { kinds, below: clinic.state().join("ledger"), skip: 0, times: 9, error: Some(5) });
    let wall = clinic.hands.clock().wall();
    let told = open.access.confirm_clock(&officer, wall, Some(0), "officer-password");
    assert!(matches!(told, Err(AccessError::NotRecorded(_))), "{told:?}");
    assert_eq!(open.access.now(), START);
    assert!(open.access.clock(&officer).in_doubt.is_some());
}

#[test]
fn the_ledger_is_told_what_became_of_the_clock() {
    let (_clinic, open) = in_doubt(DAY * 10);
    open.access.keep_time().unwrap();
    open.access.keep_time().unwrap();
    let told: Vec<Act> = open.rows().into_iter().filter(|act| matches!(act, Act::ClockInDoubt { .. })).collect();
    let wall = START.saturating_add(DAY * 10);
    let expected = Act::ClockInDoubt { trusted: START, wall, stepped_s: 0, limit_s: 72 * 3_600 };
    assert_eq!(told, [expected]);
}

/// Sessions count monotonic time: neither a wrong clock nor the end of a doubt ends or lengthens one.
#[test]
fn a_session_outlives_any_step_of_the_clock() {
    let (clinic, open) = in_doubt(DAY * 10);
    let (token, _) = open.access.sign_in("officer", "officer-password", HERE).unwrap();
    open.confirm_time("deputy", clinic.hands.clock().wall(), Some(0)).unwrap();
    clinic.hands.step_wall(-micros(DAY * 400));
    assert!(open.access.caller(&token, HERE).is_ok());
    clinic.hands.advance(Duration::from_secs(601));
    assert!(open.access.caller(&token, HERE).is_err());
}

impl Open {
    /// How many segments the eraser destroys now.
    fn erased(&self) -> u32 {
        self.eraser.round().unwrap().erased
    }

    fn is_shown(&self) -> bool {
        !self.vault.live_segments(camera(1), span(0, 60), self.access.later()).unwrap().is_empty()
    }
}

/// The clock goes 40 days forward, or 400 back, while the daemon runs and while it does not: everything is still there after.
/// 40 days that pass leave nothing.
#[test]
fn only_days_that_pass_destroy() {
    for days in [40, -400] {
        let clinic = Clinic::new();
        let open = clinic.open();
        open.record(camera(1));
        clinic.hands.step_wall(micros(DAY) * days);
        assert_eq!((open.erased(), open.is_shown()), (0, days < 0), "V6: what has expired by either is refused");
        drop(open);
        let open = clinic.open();
        assert!(open.access.clock(&open.sign_in("desk")).in_doubt.is_some());
        assert_eq!((open.erased(), open.is_shown()), (0, days < 0));
        clinic.hands.step_wall(-micros(DAY) * days);
        assert_eq!((open.erased(), open.is_shown()), (0, true), "it is all still there");
        // Nobody vouches, and the wall goes wrong again: nothing is kept for ever.
        clinic.hands.step_wall(micros(DAY) * days);
        clinic.hands.advance(DAY * 29);
        assert_eq!(open.erased(), 0);
        clinic.hands.advance(DAY * 11);
        assert_eq!((open.erased(), open.is_shown()), (1, false));
    }
}

/// What is recorded while the clock is in doubt lives its whole period by its true time, and no longer.
#[test]
fn footage_of_a_doubt_is_shown_by_true_time_and_lives_its_period() {
    let (clinic, open) = in_doubt(DAY * 40);
    let reading = open.access.time.reading();
    let mut recorder = CameraRecorder::new(Arc::clone(&open.vault), camera(2), RETENTION);
    recorder.date_in(reading.mark);
    recorder.begin(reading.trusted, b"init").unwrap();
    recorder
        .append(FragmentFacts { first_pts_90k: 0, duration_90k: 90_000, frames: 10, sync: true }, b"picture")
        .unwrap();
    recorder.finish().unwrap();
    (0..2).for_each(|_| open.vault.commit().unwrap());
    let wall = clinic.hands.clock().wall();
    let Err(AccessError::ClockDestroys { segments, .. }) = open.confirm_time("officer", wall, None) else { panic!() };
    assert_eq!(segments, 1, "the one of before, not the one that was filmed just now");
    open.confirm_time("officer", wall, Some(1)).unwrap();
    assert_eq!(open.erased(), 1);
    clinic.hands.advance(Duration::from_secs(60));
    let view = open.ask(2, Span::new(wall, wall.saturating_add(Duration::from_secs(1))).unwrap());
    let told = format!("{:?}", view.availability);
    assert!(told.contains("Footage") && told.contains("in_doubt: false"), "{told}");
    clinic.hands.advance(DAY * 29);
    assert_eq!(open.erased(), 0);
}
