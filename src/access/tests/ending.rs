//! What outlives a month of the ledger that is erased: everything that still counts, and nothing else.

use super::accounts::{member, of_role};
use super::*;
use crate::domain::request::{DisputeGround, DisputeOutcome};
use crate::domain::{
    AskedBy, CopyEnd, CopyKind, DeliveryWay, DisputeId, HoldId, HoldReason, Language, LetterKind, LocalDay, Month,
    OperationId, RevocationGround,
};
use serde_json::{Value, json};

const CHOSEN: &str = "tiny blue trains at dawn";
const YEARS: Duration = Duration::from_secs(1_140 * 86_400);
const FOREVER: u64 = 3_650 * 86_400;
const ONCE: Once = Once { key: Digest([7; 32]), body: Digest([8; 32]) };
const SETTLED: u32 = 1;
const WATCHED: GrantId = GrantId(2);
const REVOKED: GrantId = GrantId(3);

impl Open {
    /// A restart as the daemon does it: else the step would put the clock in doubt.
    fn restarted(self, clinic: &Clinic) -> Open {
        self.access.keep_time().unwrap();
        drop(self);
        clinic.open()
    }

    fn granted_forever(&self, of: u16, conditions: GrantConditions) -> GrantId {
        let request = self.ask(of, span(10, 20)).number;
        self.identify(request);
        let approval = Approval { conditions, ends: Some(at(FOREVER)), ..to_viewer() };
        let view = self.access.approve(&self.sign_in("officer"), request, &approval, "officer-password").unwrap();
        view.grant.unwrap()
    }

    fn joined(&self, name: &str) -> AccountId {
        let new = member(name, of_role(Role::Officer));
        let asked = self.access.ask_for_account(&self.sign_in("officer"), new, "officer-password").unwrap();
        let account = asked.account.account;
        let password = Password::new(CHOSEN.into());
        self.access.choose_password(name, asked.code.expose(), &password, HERE).unwrap();
        self.access.approve_account(&self.sign_in("deputy"), account, "deputy-password").unwrap();
        account
    }

    fn told_by_letter(&self, request: RequestId) {
        let desk = self.sign_in("desk");
        let letter = NewLetter { kind: LetterKind::Receipt, language: Language::Ko, camera_names: BTreeMap::new() };
        let number = self.access.produce_letter(&desk, request, &letter).unwrap().number;
        let delivery = Delivery { way: DeliveryWay::Post, at: None, proof: Some("RR123".into()) };
        self.access.deliver_letter(&desk, request, number, &delivery).unwrap();
    }

    fn reviewed(&self, month: Month) {
        let officer = self.sign_in("officer");
        let seen = self.access.ledger_month(&officer, month).unwrap();
        let remarks = (seen.summary.odd_total > 0).then(|| "looked at".to_owned());
        self.access.review_month(&officer, month, (seen.digest, remarks), "officer-password").unwrap();
    }

    fn confirm_the_only_day(&self) -> LocalDay {
        let officer = self.sign_in("officer");
        let days = self.access.destruction_days(&officer).unwrap();
        let [DayLine { day, failures, .. }] = days[..] else { panic!("{days:?}") };
        let seen = self.access.destruction_report(&officer, day).unwrap();
        let acknowledged = (failures > 0).then(|| "the disk is a test's".to_owned());
        let stated = self.access.now();
        let confirmation = DayConfirmation { report: seen.digest, failures, acknowledged, stated };
        self.access.confirm_destruction(&officer, day, &confirmation, "officer-password").unwrap();
        day
    }

    /// All that people are shown of what rows add up to.
    fn views(&self) -> Value {
        let (officer, auditor) = (self.sign_in("officer"), self.sign_in("auditor"));
        let mut requests = self.listed(&officer).unwrap();
        requests.retain(|request| request.number.0 != SETTLED);
        let letters: Vec<_> =
            requests.iter().map(|request| self.access.letters(&officer, request.number).unwrap()).collect();
        let mut accounts = self.access.accounts(&officer).unwrap();
        // Of who left, and whose months are erased, nothing is told but that.
        let left = accounts.iter_mut().filter(|known| known.standing == Standing::Removed);
        left.for_each(|known| known.password_since = None);
        let history = |known: &AccountView| {
            let mut told = self.access.account_history(&auditor, known.account).unwrap();
            if known.standing == Standing::Removed {
                told.retain(|event| event.what == "removed");
                told.iter_mut().for_each(|event| event.before = None);
            }
            told
        };
        let histories: Vec<_> = accounts.iter().map(history).collect();
        let grants = |caller: &Caller| {
            let mut grants = self.access.grants(caller).unwrap();
            grants.retain(|grant| grant.request.0 != SETTLED);
            grants
        };
        let made = self.access.made_under(ONCE.key);
        json!({
            "requests": requests, "letters": letters, "accounts": accounts, "histories": histories, "grants": grants(&officer),
            "mine": grants(&self.sign_in("viewer")),
            "disputes": self.access.disputes(&officer).unwrap(),
            "holds": self.access.all_holds(&officer).unwrap(),
            "operations": self.access.operations(&officer, &self.access.operation_numbers(&officer).unwrap()).unwrap(),
            "once": format!("{made:?}"),
            "leaving": format!("{:?}", self.access.registry().members.leaving()),
        })
    }

    fn numbers(&self) -> (RequestId, GrantId, HoldId, OperationId, AccountId, String) {
        let registry = self.access.registry();
        let viewing = format!("{}", registry.next_viewing());
        (
            registry.next_request(),
            registry.next_grant(),
            registry.next_hold(),
            registry.next_operation(),
            registry.members.next_account(),
            viewing,
        )
    }
}

#[track_caller]
fn assert_same(now: &Value, before: &Value, when: &str) {
    for (part, told) in before.as_object().unwrap() {
        assert_eq!(&now[part], told, "{part}, {when}");
    }
}

fn settled(clinic: &Clinic, open: &Open) {
    let viewed = open.approved(1, span(10, 20));
    assert_eq!(viewed.number.0, SETTLED);
    open.watch(viewed.grant.unwrap(), 1).unwrap();
    let prints = NewCopyEnd {
        request: Some(viewed.number),
        copy: CopyKind::Print,
        count: 1,
        how: CopyEnd::Shredded,
        destroyed: open.access.now(),
        by: None,
    };
    let desk = open.sign_in("desk");
    open.access.enter_copy_end(&desk, prints).unwrap();
    open.access.search_requests_by_name(&desk, "김민수", None, 9).unwrap();
    open.access.close(&desk, viewed.number).unwrap();
    clinic.hands.advance(Duration::from_secs(1));
}

/// Something of every kind, all of it in the first month; a minute of camera 3 is destroyed in the next one.
fn with_everything(clinic: &Clinic) -> Open {
    let open = clinic.open();
    [1, 2, 3].into_iter().for_each(|of| open.record(camera(of)));
    clinic.hands.advance(Duration::from_secs(100));
    settled(clinic, &open);
    let three = GrantConditions { viewings: Some(3), ..GrantConditions::default() };
    assert_eq!(open.granted_forever(2, three), WATCHED);
    let pictures = open.watch(WATCHED, 2).unwrap();
    open.access.served(&open.sign_in("viewer"), &pictures[0].shown, 5).unwrap();
    assert_eq!(open.granted_forever(1, GrantConditions::default()), REVOKED);
    open.watch(REVOKED, 1).unwrap();
    let (officer, deputy, desk) = (open.sign_in("officer"), open.sign_in("deputy"), open.sign_in("desk"));
    open.access.revoke_grant(&officer, REVOKED, RevocationGround::GivenByMistake).unwrap();

    let refused = open.ask(1, span(10, 20)).number;
    open.identify(refused);
    let refusal = Refusal { ground: RefusalGround::OtherJustCause, reason: "not theirs".into() };
    open.access.refuse(&officer, refused, &refusal, "officer-password").unwrap();
    open.access.object(&desk, refused).unwrap();
    let waiting = open.access.submit(&desk.clone().under(Some(ONCE)), new_request(2, span(10, 20))).unwrap().number;
    open.told_by_letter(waiting);
    open.access.note_fee(&desk, waiting, 3_000, false).unwrap();

    let over = |of| NewDispute {
        request: None,
        cameras: Some(vec![camera(of)]),
        span: Some(span(30, 40)),
        ground: DisputeGround::Accuracy,
    };
    open.access.mark_disputed(&officer, over(1)).unwrap();
    let second = open.access.mark_disputed(&officer, over(2)).unwrap().dispute;
    open.access.settle_dispute(&deputy, second, DisputeOutcome::Rejected).unwrap();

    let review = open.access.now().saturating_add(DAY * 30);
    let order = |of| {
        let text = "the fall on the stairs".to_owned();
        NewHold { reason: HoldReason::Accident, text, cameras: vec![camera(of)], span: span(0, 60), review, ends: None }
    };
    open.access.place_hold(&officer, order(1)).unwrap();
    open.access.confirm_hold(&deputy, HeldFor::Hold(HoldId(1)), "deputy-password").unwrap();
    open.access.place_hold(&officer, order(2)).unwrap();
    open.access.release_hold(&deputy, HoldId(2), "deputy-password").unwrap();
    let operation =
        |of| NewOperation { camera: camera(of), asked_by: AskedBy::Guardian, name: "김".into(), note: None };
    open.access.start_operation(&desk, operation(21)).unwrap();
    let ended = open.access.start_operation(&desk, operation(22)).unwrap().operation;
    open.access.end_operation(&officer, ended).unwrap();

    open.joined("third");
    let gone = open.joined("fourth");
    open.access.remove_account(&deputy, gone, "left".into(), "deputy-password").unwrap();
    let asked = member("fifth", of_role(Role::Staff));
    open.access.ask_for_account(&officer, asked, "officer-password").unwrap();

    clinic.hands.advance(DAY * 30);
    assert_eq!(open.eraser.round().unwrap().erased, 1, "camera 3");
    open
}

/// As [`with_everything`], years later, when both months can be erased but for what officers have to do first.
fn years_later(clinic: &Clinic) -> Open {
    let open = with_everything(clinic);
    clinic.hands.advance(YEARS);
    let open = open.restarted(clinic);
    open.access.end_what_is_over().unwrap();
    open.reviewed(Month::of(START));
    open.reviewed(Month::of(START).plus(1));
    open
}

#[test]
fn a_restart_changes_nothing_that_anybody_is_shown() {
    let clinic = Clinic::new();
    let open = with_everything(&clinic);
    let before = (open.views(), open.numbers());
    let open = open.restarted(&clinic);
    assert_same(&open.views(), &before.0, "after a restart");
    assert_eq!(open.numbers(), before.1);
    assert!(matches!(open.watch(REVOKED, 1), Err(AccessError::NoGrant)));
    assert!(open.watch(WATCHED, 2).is_ok());
}

#[test]
fn what_counts_outlives_an_erased_month_and_is_the_same_after_a_restart() {
    let clinic = Clinic::new();
    let open = years_later(&clinic);
    let (before, numbers) = (open.views(), open.numbers());
    for part in ["requests", "letters", "grants", "disputes", "operations", "histories"] {
        assert!(before[part].as_array().is_some_and(|list| list.len() >= 2), "{part}: {before}");
    }
    assert!(open.access.end_old_month().unwrap());
    assert_same(&open.views(), &before, "while the daemon runs on");
    assert_eq!(open.numbers(), numbers);
    let of_officer = |open: &Open| open.listed(&open.sign_in("officer")).unwrap();
    assert!(of_officer(&open).iter().all(|request| request.number.0 != SETTLED), "erased is erased");
    let known = |open: &Open| format!("{:#?}", open.access.registry());
    let running = known(&open);
    let open = open.restarted(&clinic);
    assert_same(&open.views(), &before, "after a restart");
    assert_eq!(open.numbers(), numbers, "no number comes twice");
    assert_eq!(open.access.registry().disputes.open().map(|known| known.dispute).collect::<Vec<_>>(), [DisputeId(1)]);
    for (now, then) in known(&open).lines().zip(running.lines()) {
        assert_eq!(now, then, "a start knows what the daemon knew");
    }

    // The next one waits until somebody has confirmed what was destroyed in it.
    assert!(!open.access.end_old_month().unwrap());
    let day = open.confirm_the_only_day();
    assert!(open.access.end_old_month().unwrap());
    let officer = open.sign_in("officer");
    assert!(open.access.destruction_days(&officer).unwrap().is_empty());
    assert!(matches!(open.access.destruction_report(&officer, day), Err(AccessError::NoSuchDay)));
    assert_same(&open.views(), &before, "a root is carried on from a root");
    let open = open.restarted(&clinic);
    assert!(open.access.destruction_days(&open.sign_in("officer")).unwrap().is_empty());
    assert_same(&open.views(), &before, "after one more restart");
    assert_eq!(open.numbers(), numbers);
    let root = open.access.ledger.pages().root().unwrap().unwrap();
    let carries =
        |kind: &str| root.rows().iter().any(|(row, _)| serde_json::to_value(&row.act).unwrap()["kind"] == kind);
    for kind in ["requests-searched", "copy-destroyed", "signed-in", "destruction-confirmed", "checkpoint"] {
        assert!(!carries(kind), "{kind} is carried on, and nothing is made of it");
    }
    assert!(carries("once") && carries("grant-ended") && carries("dispute-settled"));
}

#[test]
fn a_grant_is_neither_widened_nor_lost_by_an_erased_month() {
    let clinic = Clinic::new();
    let open = years_later(&clinic);
    assert!(open.access.end_old_month().unwrap());
    let open = open.restarted(&clinic);
    assert!(matches!(open.watch(REVOKED, 1), Err(AccessError::NoGrant)), "a grant that was taken back");
    assert!(matches!(open.watch(GrantId(SETTLED), 1), Err(AccessError::NoGrant)), "one whose request was closed");
    // One viewing of three was before the month was erased.
    for left in [true, true, false] {
        let told = open.watch(WATCHED, 2);
        assert_eq!(told.is_ok(), left, "{told:?}");
    }
    let open = open.restarted(&clinic);
    assert!(open.watch(WATCHED, 2).is_err());
}

#[test]
fn what_is_written_of_persons_may_be_kept_longer_than_the_ledgers_months() {
    let mut clinic = Clinic::new();
    clinic.papers = DAY * 3_653;
    let open = years_later(&clinic);
    let person = |open: &Open| open.access.request(&open.sign_in("desk"), RequestId(SETTLED)).map(|seen| seen.person);
    assert!(open.access.end_old_month().unwrap());
    let open = open.restarted(&clinic);
    assert_eq!(person(&open).unwrap().unwrap().name, "김민수", "kept for ten years, with its request");
    let file = clinic.state().join("requests").join("00000001");
    assert!(file.exists());
    clinic.hands.advance(DAY * 2_480);
    let open = open.restarted(&clinic);
    open.access.end_what_is_over().unwrap();
    assert!(person(&open).unwrap().is_some(), "not before its day, which the erased rows told");
    clinic.hands.advance(DAY * 30);
    let open = open.restarted(&clinic);
    open.access.end_what_is_over().unwrap();
    assert!(person(&open).unwrap().is_none() && !file.exists(), "and then it goes, with its receipt");
    let receipts = open.rows().into_iter().filter(|act| matches!(act, Act::PaperErased(_))).count();
    assert!(receipts >= 1);
}

#[test]
fn no_month_is_erased_while_months_are_verified_and_none_is_left_out_behind_it() {
    let clinic = Clinic::new();
    let open = years_later(&clinic);
    assert!(open.access.check_next_month().unwrap(), "the first of two");
    let month = clinic.state().join("ledger").join(format!("{}.ledger", Month::of(START)));
    let verifying = open.access.checked_months();
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| open.access.end_old_month().unwrap());
        std::thread::sleep(Duration::from_millis(200));
        assert!(!ending.is_finished() && month.exists(), "it waits");
        drop(verifying);
        assert!(ending.join().unwrap());
    });
    assert!(!month.exists());
    open.access.check_next_month().unwrap();
    let sum = clinic.state().join("ledger").join(format!("{}.sum", Month::of(START).plus(1)));
    assert!(sum.exists(), "the second month is verified next, now that it is the first");
}
