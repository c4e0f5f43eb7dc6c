use super::*;
use crate::clock::ManualClock;
use crate::disk::RealDisk;
use std::sync::Arc;

const HOUR: Duration = Duration::from_secs(3_600);
const HOUR_MICROS: i64 = 3_600_000_000;
const DAY: Duration = Duration::from_secs(86_400);
const LIMIT: Duration = Duration::from_secs(72 * 3_600);
/// 2026-11-22T10:00:00Z, a Sunday.
const START: Utc = Utc::from_micros(1_795_341_600_000_000);
const IN_2099: Utc = Utc::from_micros(4_070_908_800_000_000);

struct Site {
    _dir: tempfile::TempDir,
    path: PathBuf,
    hands: ManualClock,
}

impl Site {
    fn at(wall: Utc) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { path: dir.path().join("clock"), _dir: dir, hands: ManualClock::standing(wall) }
    }

    fn start_with(&self, is_synchronised: fn() -> bool, known: Option<LastKnown>) -> TrustedClock {
        let disk: SharedDisk = Arc::new(RealDisk);
        TrustedClock::start(self.hands.clock(), disk, self.path.clone(), LIMIT, is_synchronised, known).unwrap()
    }

    fn start(&self) -> TrustedClock {
        self.start_with(|| false, None)
    }

    /// The machine is off for a time; only its wall clock goes on.
    fn is_off(&self, hours: i64) {
        self.hands.step_wall(hours * HOUR_MICROS);
    }
}

/// As the vault does, with nothing to correct.
fn confirm(clock: &TrustedClock, stated: Utc) -> Result<Move, ClockRefusal> {
    let moved = clock.propose(stated)?;
    clock.make(Some(&moved)).unwrap();
    Ok(moved)
}

fn wall(site: &Site) -> Utc {
    site.hands.clock().wall()
}

fn ran(at: Utc) -> Option<LastKnown> {
    Some(LastKnown { at, has_run: true, confirmed: None })
}

#[test]
fn a_wall_clock_that_steps_while_running_moves_access_but_not_destruction() {
    let site = Site::at(START);
    let clock = site.start();
    site.hands.step_wall(40 * 24 * HOUR_MICROS);
    assert_eq!(clock.trusted(), START);
    assert_eq!(clock.later(), START.saturating_add(HOUR * 40 * 24));
    let told = clock.report();
    assert!(told.in_doubt.is_none() && told.waits_for.unwrap().contains("was set while the daemon ran"));
    site.hands.step_wall(-80 * 24 * HOUR_MICROS);
    assert_eq!(clock.later(), START, "a clock set back keeps nothing for longer");
    site.hands.advance(HOUR);
    assert_eq!(clock.trusted(), START.saturating_add(HOUR));
}

#[test]
fn over_restarts_steps_are_taken_on_up_to_the_limit_in_total() {
    let site = Site::at(START);
    drop(site.start());
    for hours in [24, 48] {
        site.is_off(hours);
        let clock = site.start();
        assert!(!clock.is_in_doubt());
        assert_eq!(clock.trusted(), wall(&site));
    }
    site.is_off(1);
    let clock = site.start();
    assert!(clock.is_in_doubt(), "72 h are used up");
    assert_eq!(clock.trusted(), START.saturating_add(HOUR * 72));
    assert!(!site.start_with(|| true, None).is_in_doubt(), "a synchronised clock sets it right");
    assert_eq!(site.start().trusted(), wall(&site));
}

/// 2026-11-27T18:00 to 2026-11-30T08:00 in Seoul, and the week after.
#[test]
fn a_weekend_without_power_needs_nobody_and_a_second_one_says_what_it_waits_for() {
    let friday = Utc::from_micros(1_795_770_000_000_000);
    let site = Site::at(friday.saturating_sub(DAY * 4));
    let clock = site.start();
    site.hands.advance(DAY * 4);
    clock.make(None).unwrap();
    drop(clock);
    site.is_off(62);
    let monday = site.start();
    assert!(!monday.is_in_doubt() && monday.report().waits_for.is_none());
    assert_eq!(monday.trusted(), friday.saturating_add(HOUR * 62));
    assert_eq!((monday.report().stepped_s, monday.report().limit_s), (62 * 3_600, 72 * 3_600));

    site.hands.advance(HOUR * (5 * 24 - 14));
    monday.make(None).unwrap();
    drop(monday);
    let second_friday = friday.saturating_add(DAY * 7);
    assert_eq!(wall(&site), second_friday);
    site.is_off(62);
    let monday = site.start();
    assert_eq!(monday.trusted(), second_friday, "nothing is destroyed for a time that nobody vouches for");
    let told = monday.report();
    assert_eq!(told.in_doubt, Some(WhyInDoubt::TooFarAhead));
    let waits_for = told.waits_for.unwrap();
    for part in ["2026-12-04T09:00:00", "2026-12-06T23:00:00", "62.0 h of 72 h", "synchronised", "an officer confirms"]
    {
        assert!(waits_for.contains(part), "{part} in: {waits_for}");
    }
    confirm(&monday, wall(&site)).unwrap();
    assert!(!monday.is_in_doubt() && monday.report().waits_for.is_none());
    assert_eq!(monday.trusted(), wall(&site));
    drop(monday);
    site.is_off(62);
    assert!(!site.start().is_in_doubt(), "the steps are the next weekend's again");
}

/// Five months: off for nine hours each night, a clock that is seconds wrong each morning, and a minute's confirmation.
#[test]
fn a_daily_confirmation_keeps_an_offline_site_going() {
    let site = Site::at(START);
    let mut clock = site.start();
    let mut truth = START;
    for day in 0..150_u64 {
        let drift = i64::try_from(day % 13).unwrap() * 3 - 18;
        site.hands.advance(HOUR * 15);
        clock.make(None).unwrap();
        drop(clock);
        site.is_off(9);
        site.hands.step_wall(drift * 1_000_000);
        truth = truth.saturating_add(DAY);
        clock = site.start();
        assert!(!clock.is_in_doubt(), "day {day}");
        assert!(clock.report().stepped_s <= 10 * 3_600, "day {day}: {:?}", clock.report());
        // To the minute, as people read it.
        let minute = Utc::from_micros(truth.micros() - truth.micros().rem_euclid(60_000_000));
        confirm(&clock, minute).unwrap();
        assert_eq!(clock.report().stepped_s, 0);
        assert!(clock.trusted().micros_since(truth).unsigned_abs() < 300_000_000, "day {day}");
        // Somebody sets the machine's clock by their own now and then.
        site.hands.step_wall(truth.micros_since(wall(&site)) / 2);
    }
    drop(clock);
    let mut nights = 0;
    loop {
        site.is_off(10);
        let clock = site.start();
        nights += 1;
        if clock.is_in_doubt() {
            break;
        }
    }
    assert_eq!(nights, 8, "without it, 72 h are seven nights of ten");
}

#[test]
fn what_is_stated_counts_to_the_second_where_a_clock_agrees_and_is_refused_where_it_has_been() {
    let site = Site::at(START);
    confirm(&site.start(), START).unwrap();
    site.is_off(30 * 24);
    let clock = site.start();
    assert!(clock.is_in_doubt());
    let stated = wall(&site).saturating_sub(Duration::from_secs(47));
    let moved = clock.propose(stated).unwrap();
    assert_eq!(moved.after(), wall(&site), "the machine's clock agrees, and knows the seconds");
    assert!(moved.in_doubt && moved.forward() == DAY * 30);
    let other = START.saturating_add(DAY * 3);
    assert_eq!(clock.propose(other).unwrap().after(), other, "the officer's own word, where no clock agrees");
    let a_little_off = START.saturating_add(Duration::from_secs(60));
    assert_eq!(clock.propose(a_little_off).unwrap().by_micros, 0, "the trusted time was right");
    let past = START.saturating_sub(HOUR);
    assert!(matches!(clock.propose(past), Err(ClockRefusal::Past { .. })));
    assert!(matches!(clock.propose(LATEST), Err(ClockRefusal::Absurd { .. })));
    assert!(clock.is_in_doubt(), "nothing was made of what was only proposed");
}

#[test]
fn steps_on_nobodys_word_can_be_taken_back_and_no_more() {
    let site = Site::at(START);
    confirm(&site.start(), START).unwrap();
    site.is_off(48);
    let clock = site.start();
    assert_eq!(clock.trusted(), START.saturating_add(HOUR * 48));
    assert!(clock.propose(START.saturating_sub(HOUR)).is_err());
    let truth = START.saturating_add(HOUR);
    confirm(&clock, truth).unwrap();
    assert_eq!(clock.trusted(), truth);
    assert!(clock.propose(START.saturating_sub(HOUR)).is_err());
}

#[test]
fn a_file_with_a_nonsensical_number_of_steps_is_no_panic() {
    let site = Site::at(START.saturating_add(HOUR));
    let text = format!(r#"{{"version":1,"trusted":"{START}","stepped_s":{}}}"#, u64::MAX);
    std::fs::write(&site.path, text).unwrap();
    let clock = site.start();
    assert!(clock.is_in_doubt());
    assert!(clock.propose(START).is_ok());
}

#[test]
fn a_lost_or_damaged_file_takes_no_steps_on_any_more() {
    for damage in [None, Some("{}"), Some("")] {
        let site = Site::at(START.saturating_add(HOUR));
        if let Some(text) = damage {
            std::fs::write(&site.path, text).unwrap();
        }
        let clock = site.start_with(|| false, ran(START));
        assert_eq!(clock.report().in_doubt, Some(WhyInDoubt::FileLost), "{damage:?}");
        assert_eq!(clock.trusted(), START);
        drop(clock);
        // Again and again: the limit does not begin anew.
        std::fs::remove_file(&site.path).unwrap();
        site.is_off(60);
        assert_eq!(site.start_with(|| false, ran(START)).trusted(), START);
        std::fs::remove_file(&site.path).unwrap();
        assert!(!site.start_with(|| true, ran(START)).is_in_doubt());
    }
}

#[test]
fn a_site_that_never_ran_has_lost_nothing() {
    let made = Some(LastKnown { at: START, has_run: false, confirmed: None });
    let site = Site::at(START.saturating_add(HOUR * 5));
    let clock = site.start_with(|| false, made);
    assert!(!clock.is_in_doubt());
    assert_eq!(clock.trusted(), wall(&site));
    assert!(Site::at(IN_2099).start_with(|| false, made).is_in_doubt());
    assert_eq!(Site::at(IN_2099).start().trusted(), IN_2099, "without a ledger nothing else is known");
}

#[test]
fn a_file_that_was_put_back_or_comes_from_the_future_moves_nothing() {
    let file_of = |trusted: Utc| {
        let site = Site::at(trusted);
        drop(site.start());
        site
    };
    // An older one: how many steps were taken since is not known.
    let site = file_of(START.saturating_sub(DAY));
    site.hands.step_wall(30 * HOUR_MICROS);
    let clock = site.start_with(|| false, ran(START));
    assert_eq!((clock.trusted(), clock.report().in_doubt), (START, Some(WhyInDoubt::FileLost)));
    // One minute behind is every crash's.
    let site = file_of(START.saturating_sub(Duration::from_secs(60)));
    site.hands.step_wall(HOUR_MICROS);
    let clock = site.start_with(|| false, ran(START));
    assert_eq!((clock.trusted(), clock.is_in_doubt()), (wall(&site), false));
    // From the future, and the wall clock with it.
    let site = file_of(IN_2099);
    let clock = site.start_with(|| false, ran(START));
    assert_eq!((clock.trusted(), clock.report().in_doubt), (START, Some(WhyInDoubt::FileLost)));
    // Unless an officer confirmed it: the row stands before the clock moves.
    let site = file_of(START.saturating_add(DAY * 40));
    let confirmed = LastKnown { at: START, has_run: true, confirmed: Some(START.saturating_add(DAY * 40)) };
    let clock = site.start_with(|| false, Some(confirmed));
    assert_eq!((clock.trusted(), clock.is_in_doubt()), (wall(&site), false));
    // Two days without a row: the ledger's disk was full. Those count as steps, too.
    let site = file_of(START.saturating_add(DAY * 2));
    let clock = site.start_with(|| false, ran(START));
    assert_eq!((clock.trusted(), clock.report().stepped_s), (wall(&site), 48 * 3_600));
}

#[test]
fn a_clock_at_1970_or_2099_at_boot_changes_nothing() {
    for (wrong, why) in [(Utc::from_micros(0), WhyInDoubt::Behind), (IN_2099, WhyInDoubt::TooFarAhead)] {
        let site = Site::at(START);
        drop(site.start());
        site.hands.step_wall(wrong.micros_since(START));
        let clock = site.start();
        assert_eq!(clock.report().in_doubt, Some(why));
        assert_eq!(clock.trusted(), START);
        assert!(clock.later() >= START);
        let mark = clock.reading().mark.unwrap();
        assert!(mark.is_known);
        drop(clock);
        let again = site.start().reading().mark.unwrap();
        assert!(again.doubt > mark.doubt, "each run has a name of its own");
    }
}

#[test]
fn the_wall_may_be_a_little_behind_after_a_restart() {
    let site = Site::at(START);
    drop(site.start());
    site.hands.step_wall(-90_000_000);
    let clock = site.start();
    assert!(!clock.is_in_doubt());
    assert_eq!(clock.trusted(), START, "and the anchor does not go back");
}

#[test]
fn a_synchronised_clock_moves_the_anchor_while_running_and_the_ledger_is_told() {
    static SYNCHRONISED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
    let site = Site::at(START);
    drop(site.start());
    site.is_off(40 * 24);
    let clock = site.start_with(|| SYNCHRONISED.load(std::sync::atomic::Ordering::Relaxed), None);
    assert!(clock.synchronised().is_none());
    assert!(matches!(clock.unrecorded()[..], [Act::ClockInDoubt { .. }]));
    clock.recorded(1);
    let doubt = clock.reading().mark.unwrap().doubt;
    SYNCHRONISED.store(true, std::sync::atomic::Ordering::Relaxed);
    let moved = clock.synchronised().unwrap();
    clock.make(Some(&moved)).unwrap();
    clock.note_synchronised(&moved);
    assert_eq!((clock.trusted(), clock.is_in_doubt()), (wall(&site), false));
    let told = Act::ClockSynchronised { before: START, after: wall(&site), in_doubt: true };
    assert_eq!(clock.unrecorded(), [told]);
    let forty_days = Correction::exactly(40 * 24 * HOUR_MICROS);
    assert_eq!(clock.correction_of(doubt), Some(forty_days));
    assert_eq!(clock.reading().mark, None);
}

#[test]
fn only_the_last_run_of_a_doubt_is_corrected_exactly() {
    let site = Site::at(START);
    drop(site.start());
    site.is_off(50);
    drop(site.start());
    site.is_off(50);
    let first = site.start();
    let first_doubt = first.reading().mark.unwrap().doubt;
    assert_eq!(first.correction_of(first_doubt), None);
    site.hands.advance(HOUR);
    first.make(None).unwrap();
    drop(first);
    site.is_off(20);
    let second = site.start();
    let second_doubt = second.reading().mark.unwrap().doubt;
    confirm(&second, wall(&site)).unwrap();
    // The truth was 50 h: within the bounds.
    let bounds = second.correction_of(first_doubt).unwrap();
    assert_eq!((bounds.least_micros, bounds.most_micros), (-50 * HOUR_MICROS, 120 * HOUR_MICROS));
    assert_eq!(second.correction_of(second_doubt), Some(Correction::exactly(70 * HOUR_MICROS)));
    drop(second);
    let later = site.start();
    assert_eq!(later.correction_of(first_doubt), Some(bounds), "a volume that was away is told later");
    assert_eq!(later.correction_of(Doubt(wall(&site))), None);
}

#[test]
fn what_nobody_doubted_is_marked_until_somebody_vouches_and_for_the_most_part_was_right() {
    let site = Site::at(START);
    confirm(&site.start(), START).unwrap();
    site.is_off(8);
    let clock = site.start();
    let mark = clock.reading().mark.unwrap();
    assert!(!mark.is_known && !clock.is_in_doubt());
    confirm(&clock, wall(&site)).unwrap();
    assert_eq!((clock.reading().mark, clock.correction_of(mark.doubt)), (None, Some(Correction::default())));
    drop(clock);
    // A machine that comes up with the time at which it went down, and is set right while the daemon runs.
    let clock = site.start();
    let mark = clock.reading().mark.unwrap();
    let truth = wall(&site).saturating_add(HOUR * 62);
    let moved = confirm(&clock, truth).unwrap();
    assert!(!moved.in_doubt);
    assert_eq!(clock.correction_of(mark.doubt), Some(Correction::exactly(62 * HOUR_MICROS)));
}

#[test]
fn a_site_whose_first_clock_was_wrong_can_be_set_right() {
    let site = Site::at(IN_2099);
    let clock = site.start();
    assert!(confirm(&clock, Utc::from_micros(0)).is_err());
    confirm(&clock, START).unwrap();
    assert_eq!(clock.trusted(), START);
    assert!(clock.propose(START.saturating_sub(HOUR)).is_err(), "from then on somebody's word is known");
}
