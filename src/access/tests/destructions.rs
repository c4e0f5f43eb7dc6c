//! What was destroyed on a day, and who confirms it.

use super::*;
use crate::domain::{DestructionTrigger, LocalDay, Overwrite};
use std::collections::BTreeMap;

const SEOUL: &str = "Asia/Seoul";

impl Open {
    fn today(&self) -> LocalDay {
        LocalDay::of(self.access.now(), &jiff::tz::TimeZone::get(SEOUL).unwrap())
    }

    fn confirm(&self, day: LocalDay, seen: &ReportView, acknowledged: Option<&str>) -> Result<ReportView, AccessError> {
        let confirmation = DayConfirmation {
            report: seen.digest,
            failures: seen.report.totals.failures,
            acknowledged: acknowledged.map(str::to_owned),
            stated: self.access.now(),
        };
        self.access.confirm_destruction(&self.sign_in("officer"), day, &confirmation, "officer-password")
    }

    fn report(&self, day: LocalDay) -> ReportView {
        self.access.destruction_report(&self.sign_in("officer"), day).unwrap()
    }
}

/// Two cameras' minutes destroyed on their day; that day is told.
fn destroyed(clinic: &Clinic, open: &Open) -> LocalDay {
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(DAY * 30);
    assert_eq!(open.eraser.round().unwrap().erased, 2);
    open.today()
}

#[test]
fn a_days_report_says_what_was_destroyed_and_is_confirmed_once_the_day_is_over() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    let day = destroyed(&clinic, &open);
    let seen = open.report(day);
    let report = &seen.report;
    assert_eq!(report.rows.iter().map(|row| row.receipt.camera.get()).collect::<Vec<_>>(), [1, 2]);
    assert!(report.rows.iter().all(|row| row.receipt.span == span(0, 60) && !row.is_failure));
    assert_eq!((report.totals.rows, report.totals.segments, report.totals.failures), (2, 2, 0));
    assert_eq!(report.totals.by_trigger, BTreeMap::from([(DestructionTrigger::Expiry, 2)]));
    assert_eq!(report.totals.bytes, report.rows.iter().map(|row| row.receipt.bytes).sum::<u64>());
    assert!(report.span.contains(report.rows[0].at) && report.first_sequence == report.rows[0].sequence);
    assert_eq!(seen.in_charge.len(), 2);
    // The digest is of what was told, as it was told.
    assert_eq!(crate::crypto::sha256(&serde_json::to_vec(&seen.report).unwrap()), seen.digest);

    assert!(matches!(open.confirm(day, &seen, None), Err(AccessError::DayNotOver)));
    clinic.hands.advance(DAY);
    let seen = open.report(day);
    let wrong = ReportView { digest: Digest::ZERO, ..seen.clone() };
    assert!(matches!(open.confirm(day, &wrong, None), Err(AccessError::ReportChanged)));
    assert!(matches!(open.confirm(day, &seen, Some("all well")), Err(AccessError::BadInput { .. })));
    let confirmed = open.confirm(day, &seen, None).unwrap();
    assert!(confirmed.is_confirmed && confirmed.confirmations.len() == 1);
    assert!(matches!(open.confirm(day, &seen, None), Err(AccessError::DayConfirmed)), "a double click");
    let rows = |open: &Open| open.rows().iter().filter(|act| matches!(act, Act::DestructionConfirmed { .. })).count();
    assert_eq!(rows(&open), 1);
    let vouched = |open: &Open| open.access.clock(&open.sign_in("officer")).vouched;
    assert_eq!(vouched(&open), Some(open.access.now()), "and with the day, date and time");
    assert!(open.rows().iter().any(|act| matches!(act, Act::ClockConfirmed { .. })));
    open.access.keep_time().unwrap();
    drop(open);
    let open = clinic.open();
    let again = open.report(day);
    assert_eq!((again.digest, again.confirmations), (seen.digest, confirmed.confirmations));
    assert!(matches!(open.confirm(day, &seen, None), Err(AccessError::DayConfirmed)));
    let nothing = open.access.destruction_report(&open.sign_in("officer"), open.today());
    assert!(matches!(nothing, Err(AccessError::NoSuchDay)));
}

#[test]
fn failures_are_acknowledged_in_words_and_the_words_hold_no_identity_number() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let day = destroyed(&clinic, &open);
    clinic.hands.advance(DAY);
    let seen = open.report(day);
    assert_eq!(seen.report.totals.failures, 2, "overwriting cannot be proven on this disk");
    assert!(matches!(open.confirm(day, &seen, None), Err(AccessError::BadInput { field: "acknowledged", .. })));
    assert!(matches!(open.confirm(day, &seen, Some(" ")), Err(AccessError::BadInput { field: "acknowledged", .. })));
    assert!(matches!(open.confirm(day, &seen, Some("900101-1234567")), Err(AccessError::IdNumber { .. })));
    let mut fewer = seen.clone();
    fewer.report.totals.failures = 1;
    assert!(matches!(open.confirm(day, &fewer, Some("one")), Err(AccessError::ReportChanged)));
    let confirmed = open.confirm(day, &seen, Some("the disk is exchanged next week")).unwrap();
    let told = &confirmed.confirmations[0];
    assert_eq!((told.failures, told.acknowledged.as_deref()), (2, Some("the disk is exchanged next week")));
}

#[test]
fn rows_that_come_later_make_a_day_unconfirmed_again() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    let day = destroyed(&clinic, &open);
    let within = open.access.now();
    clinic.hands.advance(DAY);
    let seen = open.report(day);
    open.confirm(day, &seen, None).unwrap();
    // The clock was set back, and a receipt is of that day again.
    let late =
        crate::ledger::DestructionReceipt { overwrite: Overwrite::RangesDiffer, ..seen.report.rows[0].receipt.clone() };
    open.access.ledger.append(within, Actor::Daemon, Act::FootageDestroyed(late)).unwrap();
    let line = open.access.destruction_days(&open.sign_in("auditor")).unwrap().remove(0);
    assert!(!line.is_confirmed && line.has_later_rows && line.failures == 1, "{line:?}");
    assert_eq!(open.access.duties().unproven_segments, 1, "of a row that does not count them apart, each");
    assert!(matches!(open.confirm(day, &seen, None), Err(AccessError::ReportChanged)), "not what they saw");
    let seen = open.report(day);
    let confirmed = open.confirm(day, &seen, Some("looked into")).unwrap();
    assert!(confirmed.is_confirmed && confirmed.confirmations.len() == 2);
}

#[test]
fn days_that_nobody_confirms_are_counted_and_in_the_end_an_alarm() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    let first = destroyed(&clinic, &open);
    assert_eq!(open.access.duties().days_unconfirmed, 0, "it is not over");
    let receipt = open.report(first).report.rows[0].receipt.clone();
    clinic.hands.advance(DAY);
    let duties = open.access.duties();
    assert_eq!((duties.days_unconfirmed, duties.first_unconfirmed, duties.alarms.len()), (1, Some(first), 0));
    let append = |receipt| open.access.ledger.append(open.access.now(), Actor::Daemon, Act::FootageDestroyed(receipt));
    append(receipt).unwrap();
    clinic.hands.advance(DAY);
    let duties = open.access.duties();
    assert_eq!(duties.days_unconfirmed, 2);
    assert!(duties.alarms.len() == 1 && duties.alarms[0].contains("2 days wait for an officer"), "{duties:?}");
    open.confirm(first, &open.report(first), None).unwrap();
    assert!(open.access.duties().alarms.is_empty());
}

#[test]
fn what_was_not_proven_is_an_alarm_that_says_where_until_its_day_is_confirmed() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(DAY * 30);
    // The eraser finds one of the files gone.
    let file = disk.files().into_iter().find(|path| path.to_string_lossy().contains("rolling/")).unwrap();
    crate::disk::Disk::remove_file(&disk, &file).unwrap();
    open.eraser.round().unwrap();
    let first = open.today();
    let seen = open.report(first);
    let failed: Vec<_> = seen.report.rows.iter().filter(|row| row.is_failure).collect();
    assert_eq!((failed.len(), failed[0].receipt.overwrite), (1, Overwrite::NothingThere));
    let told = |open: &Open| {
        let duties = open.access.duties();
        (duties.unproven_segments, duties.alarms.into_iter().find(|alarm| alarm.contains("could not be proven")))
    };
    let (segments, alarm) = told(&open);
    let alarm = alarm.unwrap();
    let receipt = &failed[0].receipt;
    let device = receipt.device.as_ref().unwrap();
    let says = [receipt.volume.to_string(), device.serial.clone(), format!("of camera {}.", receipt.camera)];
    assert!(segments == 1 && says.iter().all(|part| alarm.contains(part)), "{alarm}");
    assert!(
        alarm.starts_with(&format!("1 destroyed segments may still be on their disks, from {first} on")),
        "{alarm}"
    );
    open.access.keep_time().unwrap();
    drop(open);
    // Whoever starts the daemon anew does not lose it.
    let open = clinic.open();
    assert_eq!(told(&open), (1, Some(alarm)));
    clinic.hands.advance(DAY);
    open.confirm(first, &open.report(first), Some("the disk was taken out and shredded")).unwrap();
    assert_eq!(told(&open), (0, None));
}

#[test]
fn what_went_before_its_day_is_an_alarm_until_its_day_is_confirmed_and_outlives_a_restart() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    let day = destroyed(&clinic, &open);
    let receipt = open.report(day).report.rows[0].receipt.clone();
    assert_eq!(open.access.duties().early_segments, 0);
    let early = crate::ledger::DestructionReceipt { trigger: DestructionTrigger::Early, segments: 3, ..receipt };
    open.access.ledger.append(open.access.now(), Actor::Daemon, Act::FootageDestroyed(early)).unwrap();
    open.access.keep_time().unwrap();
    drop(open);
    let open = clinic.open();
    let duties = open.access.duties();
    assert_eq!(duties.early_segments, 3);
    let says = format!("3 segments (0.0 GB) were destroyed before their day for want of room, from {day} on.");
    assert!(duties.alarms.len() == 1 && duties.alarms[0].starts_with(&says), "{duties:?}");
    clinic.hands.advance(DAY);
    open.confirm(day, &open.report(day), None).unwrap();
    let duties = open.access.duties();
    assert!(duties.early_segments == 0 && duties.alarms.is_empty(), "{duties:?}");
}

#[test]
fn only_an_officer_confirms_with_the_password_and_the_right_time() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    let day = destroyed(&clinic, &open);
    clinic.hands.advance(DAY);
    let seen = open.report(day);
    let now = open.access.now();
    let confirmation = DayConfirmation { report: seen.digest, failures: 0, acknowledged: None, stated: now };
    let confirm = |name: &str, confirmation: &DayConfirmation, password: &str| {
        open.access.confirm_destruction(&open.sign_in(name), day, confirmation, password)
    };
    for name in ["viewer", "desk", "auditor"] {
        let told = confirm(name, &confirmation, &format!("{name}-password"));
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
        let may_read = name == "auditor";
        assert_eq!(open.access.destruction_days(&open.sign_in(name)).is_ok(), may_read);
        assert_eq!(open.access.destruction_report(&open.sign_in(name), day).is_ok(), may_read);
    }
    assert!(matches!(confirm("officer", &confirmation, "a guess"), Err(AccessError::WrongCredentials)));
    let an_hour_ago = now.saturating_sub(Duration::from_secs(3_600));
    let told = confirm("officer", &DayConfirmation { stated: an_hour_ago, ..confirmation.clone() }, "officer-password");
    assert!(matches!(told, Err(AccessError::ClocksDisagree { .. })), "{told:?}");
    let callers: Vec<Caller> = ["officer", "deputy", "officer"].map(|name| open.sign_in(name)).into();
    let done = std::thread::scope(|scope| {
        let confirm = |caller: &'_ Caller| {
            let (caller, confirmation) = (caller.clone(), confirmation.clone());
            let password = format!("{}-password", caller.person().name);
            let access = &open.access;
            scope.spawn(move || access.confirm_destruction(&caller, day, &confirmation, &password).is_ok())
        };
        let all: Vec<_> = callers.iter().map(confirm).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|done| *done).count()
    });
    assert_eq!(done, 1);
    let rows = open.rows().iter().filter(|act| matches!(act, Act::DestructionConfirmed { .. })).count();
    assert_eq!(rows, 1);
}

#[test]
fn a_report_is_of_the_sites_day_also_over_months() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    let day = destroyed(&clinic, &open);
    let receipt = open.report(day).report.rows[0].receipt.clone();
    // 2026-12-31T15:00Z is the new year in Seoul; the ledger turns its month nine hours later.
    let append = |text: &str| {
        let at = text.parse().unwrap();
        open.access.ledger.append(at, Actor::Daemon, Act::FootageDestroyed(receipt.clone())).unwrap().sequence
    };
    let old = append("2026-12-31T14:59:59Z");
    let new = [append("2026-12-31T15:00:00Z"), append("2027-01-01T08:00:00Z"), append("2027-01-01T14:59:59Z")];
    append("2027-01-01T15:00:00Z");
    let rows = |day: &str| {
        let report = open.report(day.parse().unwrap()).report;
        report.rows.iter().map(|row| row.sequence).collect::<Vec<_>>()
    };
    assert_eq!(rows("2026-12-31"), [old]);
    assert_eq!(rows("2027-01-01"), new);
    assert_eq!(rows("2027-01-02").len(), 1);
    let days = open.access.destruction_days(&open.sign_in("officer")).unwrap();
    let days: Vec<String> = days.iter().map(|line| line.day.to_string()).collect();
    assert_eq!(days, ["2027-01-02", "2027-01-01", "2026-12-31", &day.to_string()]);
}
