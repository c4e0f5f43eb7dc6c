//! Reasons in words: sealed to the desk, committed to by their rows, and told to who may read persons.

use super::*;
use crate::domain::request::PostponementCause;
use crate::domain::{Language, LetterKind};
use crate::ledger::{Decision, ProposedDecision, ReasonText, SealedSheet};

const REASON: &str = "이영희 씨의 진료 장면이 보입니다";

fn refusal() -> Refusal {
    Refusal { ground: RefusalGround::HarmToOthers, reason: REASON.into() }
}

fn begun(clinic: &Clinic) -> (Open, RequestId) {
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 40)).number;
    open.identify(request);
    (open, request)
}

/// What the ledger's files hold.
fn ledger_text(clinic: &Clinic) -> String {
    let files = std::fs::read_dir(clinic.state().join("ledger")).unwrap();
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned()
    };
    files.map(read).collect()
}

fn sealed(open: &Open) -> Vec<SealedSheet> {
    let reason = |mut act: Act| match act.reason_mut() {
        Some((_, ReasonText::Sealed(sheet))) => Some(*sheet),
        Some((_, ReasonText::Clear(_))) | None => None,
    };
    open.rows().into_iter().filter_map(reason).collect()
}

fn refused(clinic: &Clinic) -> (Open, RequestId) {
    let (open, request) = begun(clinic);
    open.access.refuse(&open.sign_in("officer"), request, &refusal(), "officer-password").unwrap();
    (open, request)
}

#[test]
fn a_reason_stands_sealed_and_pages_letters_and_the_register_tell_it() {
    let clinic = Clinic::new();
    let (open, request) = begun(&clinic);
    let officer = open.sign_in("officer");
    let until = START.saturating_add(DAY * 30);
    let postponement = Postponement { cause: PostponementCause::Masking, reason: REASON.into(), until };
    open.access.postpone(&officer, request, &postponement, "officer-password").unwrap();
    open.access.refuse(&officer, request, &refusal(), "officer-password").unwrap();
    let partly = open.ask(1, span(10, 40)).number;
    open.identify(partly);
    let rest = Some(refusal());
    let part = Approval { span: Some(span(10, 20)), rest, ..to_viewer() };
    open.access.approve(&officer, partly, &part, "officer-password").unwrap();
    assert_eq!(sealed(&open).len(), 3);
    assert!(!ledger_text(&clinic).contains("이영희"));
    assert!(!serde_json::to_string(&open.rows()).unwrap().contains("이영희"));
    drop(open);

    let open = clinic.open();
    let span = Span::new(START, START.saturating_add(DAY)).unwrap();
    let asked = RegisterAsked { span, kind: None, destroyed: crate::access::Destroyed::ByDay };
    for name in ["desk", "officer", "auditor"] {
        let caller = open.sign_in(name);
        let view = open.access.request(&caller, request).unwrap();
        assert!(view.answer.as_ref().is_some_and(|answer| answer.ends_with(REASON)), "{name}: {:?}", view.answer);
        let rest = open.access.request(&caller, partly).unwrap().rest.unwrap();
        assert_eq!((rest.ground, rest.reason), (RefusalGround::HarmToOthers, REASON.to_owned().into()));
        let list =
            serde_json::to_string(&open.access.request_page(&caller, &RequestFilter::default(), None, 9).unwrap())
                .unwrap();
        assert_eq!(list.matches(REASON).count(), 2, "{list}");
        if name != "desk" {
            let page = open.access.register_page(&caller, asked).unwrap();
            assert_eq!(page.lines.iter().filter(|line| line.reason.as_deref() == Some(REASON)).count(), 3);
            let csv = String::from_utf8(open.access.register_csv(&caller, asked).unwrap().bytes).unwrap();
            assert_eq!(csv.matches(REASON).count(), 3);
            let log = String::from_utf8(open.access.access_log_csv(&caller, span).unwrap().bytes).unwrap();
            assert!(log.contains("request-decided") && !log.contains("이영희"), "as written");
        }
    }
    for (of, kind) in
        [(request, LetterKind::Postponement), (request, LetterKind::Refusal), (partly, LetterKind::Partial)]
    {
        let new = NewLetter { kind, language: Language::Ko, camera_names: BTreeMap::new() };
        let letter = open.access.produce_letter(&open.sign_in("desk"), of, &new).unwrap();
        assert!(letter.html.contains(REASON), "{kind}: {}", letter.html);
    }
}

#[test]
fn a_proposals_reason_is_sealed_too_and_what_is_carried_out_is_what_was_proposed() {
    let mut clinic = Clinic::of(&PEOPLE);
    clinic.requests.second_approver = true;
    let (open, request) = begun(&clinic);
    let proposed = ProposedDecision::Refuse { ground: RefusalGround::HarmToOthers, reason: REASON.to_owned().into() };
    let view = open.access.propose(&open.sign_in("auditor"), request, proposed.clone(), "auditor-password").unwrap();
    assert_eq!(view.proposal.unwrap().proposed, proposed, "who may read it is told");
    assert!(!ledger_text(&clinic).contains("이영희"));
    drop(open);
    let open = clinic.open();
    let officer = open.sign_in("officer");
    let other = Refusal { reason: "something else".into(), ..refusal() };
    let told = open.access.refuse(&officer, request, &other, "officer-password");
    assert!(matches!(told, Err(AccessError::SecondWanted { .. })), "to the letter");
    let view = open.access.carry_out(&officer, request, "officer-password").unwrap();
    assert!(view.answer.unwrap().ends_with(REASON));
    let sheets = sealed(&open);
    assert_eq!(sheets.len(), 2);
    assert_ne!(sheets[0].fields, sheets[1].fields, "each has a salt of its own");
}

#[test]
fn rows_of_the_first_versions_tell_theirs_as_they_did() {
    let clinic = Clinic::new();
    let (open, request) = begun(&clinic);
    let row = r#"{"outcome": "refused", "ground": "other-just-cause", "reason": "as it was said"}"#;
    let decision: Decision = serde_json::from_str(row).unwrap();
    let clear = Act::RequestDecided { request, decision };
    // As a version of before wrote it.
    open.access.ledger.append(open.access.now(), Actor::Daemon, clear).unwrap();
    drop(open);
    let open = clinic.open();
    let view = open.access.request(&open.sign_in("desk"), request).unwrap();
    assert!(view.answer.unwrap().ends_with(": as it was said"));
    let new = NewLetter { kind: LetterKind::Refusal, language: Language::En, camera_names: BTreeMap::new() };
    let letter = open.access.produce_letter(&open.sign_in("desk"), request, &new).unwrap();
    assert!(letter.html.contains("as it was said"));
}

#[test]
fn a_reason_that_was_exchanged_is_not_told_and_an_erased_one_leaves_its_ground() {
    let clinic = Clinic::new();
    let (open, request) = refused(&clinic);
    let sheet = sealed(&open)[0].sheet;
    let path = clinic.state().join(format!("requests/{:08x}-{sheet:016x}", request.0));
    let right = std::fs::read(&path).unwrap();
    // Sealed to the desk by somebody with its public half, and not what was said.
    let other = clinic.state().join("aside");
    std::fs::create_dir(&other).unwrap();
    let said = serde_json::json!({"reason": "what was never said"});
    let number = crate::access::desk::Sheet::numbered(request, sheet);
    open.access.desk.store_sheet(&other, number, &said).unwrap();
    std::fs::copy(other.join(path.file_name().unwrap()), &path).unwrap();
    let desk = open.sign_in("desk");
    let answer = open.access.request(&desk, request).unwrap().answer.unwrap();
    assert!(!answer.contains("what was never said") && !answer.contains(REASON), "{answer}");
    let new = NewLetter { kind: LetterKind::Refusal, language: Language::Ko, camera_names: BTreeMap::new() };
    assert!(open.access.produce_letter(&desk, request, &new).is_err(), "no letter without its reason");
    std::fs::write(&path, right).unwrap();
    assert!(open.access.produce_letter(&desk, request, &new).is_ok());

    open.access.close(&desk, request).unwrap();
    for _ in 0..40 {
        clinic.hands.advance(DAY);
        open.access.end_what_is_over().unwrap();
    }
    clinic.hands.advance(DAY * 1_200);
    open.access.end_what_is_over().unwrap();
    assert!(!path.exists());
    let view = open.access.request(&open.sign_in("desk"), request).unwrap();
    assert!(view.persons_erased.is_some());
    let ground = RefusalGround::HarmToOthers.to_string();
    assert_eq!(view.answer.as_deref(), Some(ground.as_str()));
}

#[test]
fn a_reason_whose_row_is_not_written_leaves_nothing() {
    let (clinic, disk) = Clinic::simulated();
    let (open, request) = begun(&clinic);
    let officer = open.sign_in("officer");
    let files = |open: &Open| open.access.desk.files(&open.access.requests_dir).unwrap().len();
    let before = files(&open);
    let kinds: fn(crate::disk::OperationKind) -> bool = |kind| kind == crate::disk::OperationKind::Write;
    let below = clinic.state().join("ledger");
    disk.fail(crate::disk::Failure { kinds, below, skip: 0, times: usize::MAX, error: Some(28) });
    let told = open.access.refuse(&officer, request, &refusal(), "officer-password");
    assert!(matches!(told, Err(AccessError::NotRecorded(_))), "{told:?}");
    disk.mend();
    assert_eq!(files(&open), before);
    open.access.refuse(&officer, request, &refusal(), "officer-password").unwrap();
    assert_eq!(files(&open), before + 1);
}

#[test]
fn who_approves_a_part_says_why_the_rest_is_not_and_what_is_not_there_says_so_itself() {
    let clinic = Clinic::new();
    let (open, request) = begun(&clinic);
    let officer = open.sign_in("officer");
    let approve = |request, approval: &Approval| open.access.approve(&officer, request, approval, "officer-password");
    let part = Approval { span: Some(span(10, 20)), ..to_viewer() };
    assert!(matches!(approve(request, &part), Err(AccessError::BadInput { field: "rest", .. })));
    let number = Refusal { reason: "900101-1234567".into(), ..refusal() };
    let told = approve(request, &Approval { rest: Some(number), ..part.clone() });
    assert!(matches!(told, Err(AccessError::IdNumber { field: "rest" })));
    let view = approve(request, &Approval { rest: Some(refusal()), ..part }).unwrap();
    assert_eq!(view.state, "partly");
    // Of the second camera there is nothing.
    clinic.hands.advance(Duration::from_secs(100));
    let mut both = new_request(1, span(10, 40));
    both.cameras = vec![camera(1), camera(2)];
    let both = open.submit(both).unwrap().number;
    open.identify(both);
    let view = approve(both, &to_viewer()).unwrap();
    assert_eq!(view.state, "partly");
    let rest = view.rest.unwrap();
    assert_eq!(
        (rest.ground, rest.reason),
        (RefusalGround::OtherJustCause, "nothing was recorded then".to_owned().into())
    );
}
