//! The ledger's months and their review; what leaves it, and who may have it; sums, and starts by them.

use super::*;
use crate::domain::{CopyEnd, CopyKind, Month};
use crate::ledger::{Actor, CheckpointMark, ExportForm, ExportedView, LedgerPages};
use std::os::unix::net::UnixDatagram;

const MONTH: Duration = Duration::from_secs(31 * 86_400);

impl Open {
    fn pages(&self) -> LedgerPages {
        self.access.ledger.pages()
    }

    /// Turns to the month that the clock shows: its file begins with a row.
    fn turn(&self) {
        self.access.checkpoint().unwrap();
    }

    fn first_month(&self) -> Month {
        Month::of(START)
    }

    fn review(&self, seen: &MonthView, remarks: Option<&str>, password: &str) -> Result<MonthView, AccessError> {
        let remarks = remarks.map(str::to_owned);
        let officer = self.sign_in("officer");
        self.access.review_month(&officer, seen.summary.month, (seen.digest, remarks), password)
    }
}

fn all_time() -> Span {
    Span::new(START.saturating_sub(DAY * 400), START.saturating_add(DAY * 4_000)).unwrap()
}

fn asked(kind: Option<RegisterKind>) -> RegisterAsked {
    RegisterAsked { span: all_time(), kind, destroyed: Destroyed::ByReceipt }
}

#[test]
fn a_month_is_reviewed_once_it_is_over_by_an_officer_who_saw_what_stands_out() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    // 2026-11-22 is a Sunday: whoever watches now does it outside the opening hours.
    let grant = open.approved(1, span(5, 15)).grant.unwrap();
    let viewer = open.viewer_of(grant);
    let playlist = open.access.playlist(&viewer, grant, camera(1), None).unwrap();
    let first = playlist.entries[0];
    open.access.fragment(&viewer, grant, camera(1), first.segment, first.number).unwrap();
    assert!(open.access.playlist(&viewer, grant, camera(2), None).is_err());
    for _ in 0..12 {
        assert!(open.access.sign_in("desk", "wrong-password", HERE).is_err());
        clinic.hands.advance(Duration::from_secs(600));
    }
    let auditor = open.sign_in("auditor");
    let month = open.first_month();
    assert!(matches!(open.access.ledger_month(&auditor, month), Err(AccessError::MonthNotOver)));
    let desk = open.sign_in("desk");
    assert!(matches!(open.access.ledger_month(&desk, month), Err(AccessError::Forbidden)));
    clinic.hands.advance(MONTH);
    open.turn();
    let seen = open.access.ledger_month(&open.sign_in("auditor"), month).unwrap();
    let kinds: Vec<Odd> = seen.summary.odd.iter().map(|odd| odd.what).collect();
    for odd in [Odd::ViewedOutsideHours, Odd::ViewRefused, Odd::LedgerRefused, Odd::ManyFailedSignIns] {
        assert!(kinds.contains(&odd), "{odd:?} in {kinds:?}");
    }
    let summary = &seen.summary;
    assert_eq!((summary.failed_sign_ins, summary.views, summary.views_outside_hours), (12, 1, 1));
    assert_eq!(summary.rows, summary.last - summary.first + 1);
    assert_eq!(crate::crypto::sha256(&serde_json::to_vec(summary).unwrap()), seen.digest);
    assert!(CheckpointMark::find(&seen.checkpoint).is_some());

    assert_eq!(open.access.duties().months_unreviewed, 1);
    assert!(matches!(open.review(&seen, Some("looked into"), "wrong"), Err(AccessError::WrongCredentials)));
    assert!(matches!(open.review(&seen, None, "officer-password"), Err(AccessError::BadInput { .. })));
    let other = MonthView { digest: Digest::ZERO, ..seen.clone() };
    assert!(matches!(open.review(&other, Some("so"), "officer-password"), Err(AccessError::ReportChanged)));
    let deputy = open.sign_in("auditor");
    let told = open.access.review_month(&deputy, month, (seen.digest, Some("so".into())), "auditor-password");
    assert!(matches!(told, Err(AccessError::Forbidden)));
    let view = open.review(&seen, Some("the night watch was asked to look"), "officer-password").unwrap();
    assert_eq!(view.reviewed.as_ref().unwrap().by, Some(AccountId(1)));
    assert!(matches!(open.review(&seen, Some("again"), "officer-password"), Err(AccessError::MonthReviewed)));
    assert_eq!(open.access.duties().months_unreviewed, 0);
    drop(open);
    let open = clinic.open();
    let months = open.access.ledger_months(&open.sign_in("officer")).unwrap();
    assert!(months.iter().any(|line| line.month == month && line.reviewed == view.reviewed), "{months:?}");
}

#[test]
fn a_month_that_nobody_reviews_is_an_alarm_when_the_next_one_is_over_too() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let is_told = || open.access.duties().alarms.iter().any(|alarm| alarm.contains("wait for an officer's review"));
    clinic.hands.advance(MONTH);
    open.turn();
    assert!(!is_told());
    assert_eq!(open.access.duties().first_unreviewed, Some(open.first_month()));
    clinic.hands.advance(MONTH);
    assert!(is_told());
}

#[test]
fn the_register_joins_persons_with_rows_and_each_export_is_a_row_with_its_digest() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let grant = open.approved(1, span(5, 15)).grant.unwrap();
    let viewer = open.viewer_of(grant);
    let playlist = open.access.playlist(&viewer, grant, camera(1), None).unwrap();
    for entry in &playlist.entries {
        open.access.fragment(&viewer, grant, camera(1), entry.segment, entry.number).unwrap();
    }
    let request = RequestId(1);
    let desk = open.sign_in("desk");
    let prints = NewCopyEnd {
        request: Some(request),
        copy: CopyKind::Print,
        count: 2,
        how: CopyEnd::Shredded,
        destroyed: open.access.now(),
        by: None,
    };
    open.access.enter_copy_end(&desk, prints).unwrap();
    let later = NewCopyEnd { destroyed: open.access.now().saturating_add(DAY), ..prints };
    assert!(matches!(open.access.enter_copy_end(&desk, later), Err(AccessError::BadInput { field: "destroyed", .. })));
    let none = NewCopyEnd { count: 0, ..prints };
    assert!(matches!(open.access.enter_copy_end(&desk, none), Err(AccessError::BadInput { field: "count", .. })));
    let unknown = NewCopyEnd { request: Some(RequestId(99)), ..prints };
    assert!(matches!(open.access.enter_copy_end(&desk, unknown), Err(AccessError::NoSuchRequest)));
    assert!(matches!(open.access.enter_copy_end(&viewer, prints), Err(AccessError::Forbidden)));

    let officer = open.sign_in("officer");
    let page = open.access.register_page(&officer, asked(None)).unwrap();
    let told: Vec<_> = page.lines.iter().map(|line| (line.kind, line.event)).collect();
    let wanted = [
        (RegisterKind::View, RegisterEvent::Granted),
        (RegisterKind::View, RegisterEvent::Viewed),
        (RegisterKind::Destroy, RegisterEvent::CopyDestroyed),
    ];
    assert_eq!(told, wanted, "one viewing, in however many pieces");
    let viewed = &page.lines[1];
    assert!(viewed.last_row > viewed.row && viewed.viewer_name.as_deref() == Some("viewer"), "{viewed:?}");
    let person = new_request(1, span(5, 15)).person;
    for line in &page.lines {
        assert_eq!((line.requester.as_ref(), line.contact.as_ref()), (Some(&person.name), Some(&person.contact)));
    }
    let only = open.access.register_page(&officer, asked(Some(RegisterKind::Destroy))).unwrap();
    assert_eq!(only.lines.len(), 1);

    let file = open.access.register_csv(&officer, asked(None)).unwrap();
    let text = String::from_utf8(file.bytes.clone()).unwrap();
    assert!(text.starts_with('\u{feff}') && text.contains(&person.name), "{text}");
    let last = text.lines().last().unwrap();
    let mark = CheckpointMark::find(last).unwrap();
    let exported = open.rows().into_iter().find_map(|act| match act {
        Act::LedgerExported(export) if export.form == ExportForm::Csv => Some(export),
        _ => None,
    });
    let exported = exported.unwrap();
    assert_eq!((exported.view, exported.digest), (ExportedView::Register, crate::crypto::sha256(&file.bytes)));
    assert_eq!((exported.checkpoint, exported.lines), (mark.sequence, 3));
    for name in ["viewer", "desk"] {
        let told = open.access.register_csv(&open.sign_in(name), asked(None));
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
    }
    assert_eq!(open.rows().iter().filter(|act| **act == Act::LedgerRefused).count(), 2, "and each try is a row");
    let log = open.access.access_log_csv(&open.sign_in("auditor"), all_time()).unwrap();
    let log = String::from_utf8(log.bytes).unwrap();
    for part in ["view-intended", "request-decided", "ledger-refused", "127.0.0.1", "1 officer"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains(&person.name), "the log names no person");
    let rights = open.access.rights_csv(&officer, all_time()).unwrap();
    assert!(String::from_utf8(rights.bytes).unwrap().lines().count() > PEOPLE.len());
}

#[test]
fn a_page_of_rows_goes_on_where_the_one_before_ended() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    for _ in 0..3 {
        for _ in 0..400 {
            open.access.record(Actor::Daemon, Act::DaemonStopped).unwrap();
        }
        clinic.hands.advance(MONTH);
    }
    let (all, mut paged) = (open.access.ledger.head().0, Vec::new());
    let mut next = Some(0);
    while let Some(after) = next {
        let page = open.pages().after(after, 97, |_| true).unwrap();
        paged.extend(page.rows.iter().map(|row| row.sequence));
        next = page.next;
    }
    assert_eq!(paged, (1..=all).collect::<Vec<_>>());
    for after in [0, 1, 399, 400, 401, 800, all - 1] {
        let page = open.pages().after(after, 2, |act| *act == Act::DaemonStopped).unwrap();
        assert!(page.rows.iter().all(|row| row.sequence > after), "{after}");
        assert_eq!(page.rows.len(), if after == all - 1 { 1 } else { 2 }, "{after}");
    }
    assert_eq!(open.pages().after(all, 2, |_| true).unwrap().next, None);
}

/// What a start knows, in words that can be compared.
fn known(open: &Open) -> String {
    format!("{:?} {:?} {:?}", open.access.registry(), open.access.destructions(), open.access.months())
}

#[test]
fn a_start_by_sums_knows_what_a_start_by_rows_knows() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    open.approved(1, span(5, 15));
    clinic.hands.advance(DAY * 31);
    open.eraser.round().unwrap();
    clinic.hands.advance(DAY * 31);
    open.eraser.round().unwrap();
    open.turn();
    while open.access.check_next_month().unwrap() {}
    let sums = || {
        let names = std::fs::read_dir(clinic.state().join("ledger")).unwrap();
        let mut names: Vec<PathBuf> = names.map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|ending| ending == "sum"));
        names
    };
    let made = sums();
    assert!(!made.is_empty());
    drop(open);
    let by_sums = known(&clinic.open());
    for path in &made {
        std::fs::remove_file(path).unwrap();
    }
    let open = clinic.open();
    assert_eq!(known(&open), by_sums, "deleting the sums loses nothing");
    while open.access.check_next_month().unwrap() {}
    assert_eq!(sums().len(), made.len(), "and they are made again");
    drop(open);
    // One that is changed, or torn, counts as none.
    let bytes = std::fs::read(&made[0]).unwrap();
    for changed in [bytes[..bytes.len() / 2].to_vec(), bytes.iter().map(|byte| byte ^ 1).collect(), Vec::new()] {
        std::fs::write(&made[0], changed).unwrap();
        assert_eq!(known(&clinic.open()), by_sums);
    }
}

#[test]
fn what_was_done_to_a_month_that_a_start_did_not_read_comes_out_beside_the_work() {
    let clinic = Clinic::new();
    let open = clinic.open();
    clinic.hands.advance(MONTH);
    open.turn();
    while open.access.check_next_month().unwrap() {}
    drop(open);
    let month = clinic.state().join("ledger").join(format!("{}.ledger", Month::of(START)));
    let mut bytes = std::fs::read(&month).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&month, bytes).unwrap();
    let open = clinic.open();
    assert!(open.access.ledger.is_writable(), "a start reads the sum");
    let told = open.access.check_next_month().unwrap_err().to_string();
    assert!(told.contains("is damaged: row"), "{told}");
    assert!(!open.access.ledger.is_writable(), "nothing is shown or decided from here on");
}

#[test]
fn a_decision_sends_a_checkpoint_that_holds_every_manifest() {
    let mut clinic = Clinic::new();
    let socket = clinic.dir.path().join("log");
    clinic.checkpoints_to = Some(socket.clone());
    let log = UnixDatagram::bind(&socket).unwrap();
    log.set_nonblocking(true).unwrap();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    open.approved(1, span(5, 15));
    let mut line = vec![0; 4_096];
    let got = log.recv(&mut line).expect("a line of the log");
    let mark = CheckpointMark::find(std::str::from_utf8(&line[..got]).unwrap()).unwrap();
    let row = open.pages().after(mark.sequence, 1, |_| true).unwrap().rows.remove(0);
    let Act::Checkpoint(checkpoint) = row.act else { panic!("{row:?}") };
    assert_eq!(CheckpointMark::from(&checkpoint), mark);
    assert_eq!(checkpoint.manifests.len(), 1, "the volume has one");
}

#[test]
fn wrong_passwords_from_however_many_addresses_are_few_rows() {
    let (clinic, _disk) = Clinic::simulated();
    let open = clinic.open();
    let before = open.access.ledger.head().0;
    for number in 0..2_000_u32 {
        let from = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number));
        open.access.note_failure(Some(VIEWER), from).unwrap();
    }
    clinic.hands.advance(Duration::from_secs(61));
    open.access.tell_failures(false).unwrap();
    let rows = open.access.ledger.head().0 - before;
    assert!(rows <= 258, "{rows} rows");
    let counted =
        open.rows().iter().map(|act| if let Act::SignInFailed { count, .. } = act { *count } else { 0 }).sum::<u32>();
    assert_eq!(counted, 2_000, "and each is counted");
}
