//! Requests as a list, and found again.

use super::*;
use crate::domain::request::{PostponementCause, StateName};
use crate::ledger::RequestReminded;

fn named(of: u16, name: &str) -> NewRequest {
    let mut new = new_request(of, span(10, 20));
    new.person.name = name.into();
    new
}

/// Seven requests, of cameras 1 and 2 in turn.
fn seven(open: &Open) {
    for (number, name) in
        ["김민수", "Hong Gildong", "이영희", "김 민수", "hong gil-dong", "박철수", "김민"].iter().enumerate()
    {
        open.submit(named(1 + (number % 2) as u16, name)).unwrap();
    }
}

fn numbers(page: &RequestPage) -> Vec<u32> {
    page.requests.iter().map(|request| request.number.0).collect()
}

#[test]
fn pages_follow_on_each_other_newest_first_and_none_is_lost_or_told_twice() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    seven(&open);
    let all = RequestFilter::default();
    for name in ["desk", "officer", "auditor"] {
        let caller = open.sign_in(name);
        let (mut before, mut seen) = (None, Vec::new());
        loop {
            let page = open.access.request_page(&caller, &all, before, 3).unwrap();
            seen.extend(numbers(&page));
            before = page.next;
            if before.is_none() {
                break;
            }
            // One that comes in between is newer than what follows.
            if seen.len() == 3 && name == "desk" {
                open.submit(named(1, "newer")).unwrap();
            }
        }
        let newest = if name == "desk" { 7 } else { 8 };
        assert_eq!(seen, (1..=newest).rev().collect::<Vec<_>>(), "{name}");
        let page = open.access.request_page(&caller, &all, None, 200).unwrap();
        assert_eq!(page.requests[0].person.is_some(), name != "viewer");
        for limit in [0, 1_001] {
            let told = open.access.request_page(&caller, &all, None, limit);
            assert!(matches!(told, Err(AccessError::BadInput { field: "limit", .. })), "{limit}");
        }
    }
    let told = open.access.request_page(&open.sign_in("viewer"), &all, None, 3);
    assert!(matches!(told, Err(AccessError::Forbidden)));
}

#[test]
fn a_request_is_found_by_number_time_state_and_camera() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    seven(&open);
    clinic.hands.advance(DAY);
    let later = open.ask(1, span(10, 20)).number;
    open.identify(later);
    let desk = open.sign_in("desk");
    let found = |filter: RequestFilter| numbers(&open.access.request_page(&desk, &filter, None, 50).unwrap());
    assert_eq!(found(RequestFilter { number: Some(RequestId(3)), ..RequestFilter::default() }), [3]);
    assert_eq!(found(RequestFilter { camera: Some(camera(2)), ..RequestFilter::default() }), [6, 4, 2]);
    assert_eq!(found(RequestFilter { state: Some(StateName::Identified), ..RequestFilter::default() }), [8]);
    assert_eq!(found(RequestFilter { received: Some(span(86_400, 90_000)), ..RequestFilter::default() }), [8]);
    let both = RequestFilter { camera: Some(camera(1)), state: Some(StateName::Submitted), ..RequestFilter::default() };
    assert_eq!(found(both), [7, 5, 3, 1]);
    assert!(found(RequestFilter { state: Some(StateName::Closed), ..RequestFilter::default() }).is_empty());
}

#[test]
fn a_name_is_searched_by_few_seldom_and_on_record_without_the_name() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    seven(&open);
    let desk = open.sign_in("desk");
    let search = |name: &str| open.access.search_requests_by_name(&desk, name, None, 50);
    assert_eq!(numbers(&search("김민수").unwrap()), [4, 1], "whatever blanks stand in it");
    assert_eq!(numbers(&search("hong g").unwrap()), [5, 2]);
    assert_eq!(numbers(&search("nobody").unwrap()), Vec::<u32>::new());
    let page = open.access.search_requests_by_name(&desk, "김민", None, 2).unwrap();
    assert_eq!((numbers(&page), page.next), (vec![7, 4], Some(RequestId(4))));
    let page = open.access.search_requests_by_name(&desk, "김민", page.next, 2).unwrap();
    assert_eq!((numbers(&page), page.next), (vec![1], None));
    for (name, role) in PEOPLE.into_iter().filter(|(_, role)| !matches!(role, Role::Staff | Role::Officer)) {
        let told = open.access.search_requests_by_name(&open.sign_in(name), "김민수", None, 9);
        assert!(matches!(told, Err(AccessError::Forbidden)), "{role:?}");
    }
    assert!(matches!(search("김"), Err(AccessError::BadInput { field: "name", .. })));
    assert!(matches!(search("900101-1234567"), Err(AccessError::IdNumber { .. })));
    let hits: Vec<u32> = open
        .rows()
        .iter()
        .filter_map(|act| match act {
            Act::RequestsSearched { hits } => Some(*hits),
            _ => None,
        })
        .collect();
    assert_eq!(hits, [2, 2, 0, 3, 1], "each that was answered, and no other");
    for _ in 0..15 {
        search("이영희").unwrap();
    }
    assert!(matches!(search("이영희"), Err(AccessError::TooManySearches { retry_s: 600 })));
    assert!(
        open.access.search_requests_by_name(&open.sign_in("officer"), "이영희", None, 9).is_ok(),
        "another's are theirs"
    );
    clinic.hands.advance(Duration::from_secs(600));
    let desk = open.sign_in("desk");
    assert!(open.access.search_requests_by_name(&desk, "이영희", None, 9).is_ok());
}

#[test]
fn what_cannot_be_recorded_is_not_searched() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    open.submit(named(1, "김민수")).unwrap();
    let desk = open.sign_in("desk");
    let kinds: fn(crate::disk::OperationKind) -> bool = |kind| kind == crate::disk::OperationKind::Write;
    let below = clinic.state().join("ledger");
    disk.fail(crate::disk::Failure { kinds, below, skip: 0, times: 1, error: Some(5) });
    let told = open.access.search_requests_by_name(&desk, "김민수", None, 9);
    assert!(matches!(told, Err(AccessError::NotRecorded(_))), "{told:?}");
}

fn reminders(open: &Open) -> Vec<(u32, String, bool)> {
    let told = |act| match act {
        Act::RequestReminded(RequestReminded { request, day, overdue, .. }) => {
            Some((request.0, day.to_string(), overdue))
        }
        _ => None,
    };
    open.rows().into_iter().filter_map(told).collect()
}

/// Runs the regular round several times a day until then; the daemon may be restarted in between.
fn pass_days(clinic: &Clinic, mut open: Open, days: u32, restarts: bool) -> Open {
    for _ in 0..days * 2 {
        clinic.hands.advance(DAY / 2);
        if restarts {
            open.access.keep_time().unwrap();
            drop(open);
            open = clinic.open();
        }
        for _ in 0..2 {
            open.access.end_what_is_over().unwrap();
        }
    }
    open
}

#[test]
fn days_run_by_the_civil_act_and_reminders_come_once_a_day_through_restarts() {
    for restarts in [false, true] {
        let clinic = Clinic::new();
        let open = clinic.open();
        open.record(camera(1));
        clinic.hands.advance(Duration::from_secs(100));
        // Sunday the 22nd, 19:01 in Seoul: the tenth day is Wednesday, December 2nd, to its end.
        let view = open.ask(1, span(10, 20));
        assert_eq!(view.due, "2026-12-02T14:59:59.999999Z".parse::<Utc>().unwrap());
        let open = pass_days(&clinic, open, 8, restarts);
        let by_now = [(1, "2026-11-25".into(), false), (1, "2026-11-29".into(), false)];
        assert_eq!(reminders(&open), by_now, "on the third day and the seventh; restarts: {restarts}");
        assert_eq!((open.access.duties().requests_unanswered, open.access.duties().requests_overdue), (1, 0));
        assert_eq!(open.access.duties().next_due, Some(view.due));
        let open = pass_days(&clinic, open, 4, restarts);
        let duties = open.access.duties();
        assert_eq!((duties.requests_unanswered, duties.requests_overdue, duties.next_due), (1, 1, None));
        assert!(
            duties.alarms.iter().any(|alarm| alarm.starts_with("request 1 was to be answered by 2026-12-02")),
            "{duties:?}"
        );
        let told = reminders(&open);
        assert_eq!(
            told[2..],
            [(1, "2026-12-01".into(), false), (1, "2026-12-03".into(), true), (1, "2026-12-04".into(), true)]
        );
        // Answered late, and never spoken of again.
        open.identify(view.number);
        open.approve(view.number);
        let open = pass_days(&clinic, open, 3, restarts);
        assert_eq!(reminders(&open).len(), 5);
        assert_eq!(open.access.duties().requests_unanswered, 0);
    }
}

#[test]
fn a_postponement_stops_no_day_and_an_objection_begins_them_anew() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let officer = open.sign_in("officer");
    let postponement = Postponement {
        cause: PostponementCause::Masking,
        reason: "to be masked".into(),
        until: START.saturating_add(DAY * 30),
    };
    open.access.postpone(&officer, request, &postponement, "officer-password").unwrap();
    let open = pass_days(&clinic, open, 12, false);
    assert_eq!(open.access.duties().requests_overdue, 1, "postponed, and overdue all the same");
    let refusal = Refusal { ground: RefusalGround::OtherJustCause, reason: "another".into() };
    let officer = open.sign_in("officer");
    open.access.refuse(&officer, request, &refusal, "officer-password").unwrap();
    assert_eq!(open.access.duties().requests_unanswered, 0);
    open.access.object(&open.sign_in("desk"), request).unwrap();
    let duties = open.access.duties();
    assert_eq!((duties.requests_unanswered, duties.requests_overdue), (1, 0), "ten days more");
    // Objected on Friday the 4th: the tenth day is the 14th, a Monday.
    assert_eq!(duties.next_due, Some("2026-12-14T14:59:59.999999Z".parse().unwrap()));
    let open = pass_days(&clinic, open, 4, false);
    assert_eq!(reminders(&open).last().unwrap().1, "2026-12-07", "the third day of the objection");
    let open = pass_days(&clinic, open, 8, false);
    assert_eq!(open.access.duties().requests_overdue, 1);
}
