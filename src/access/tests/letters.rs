//! Letters, from the rows and the sealed file.

use super::*;
use crate::crypto::commitment;
use crate::domain::request::PostponementCause;
use crate::domain::{DeliveryWay, Language, LetterKind};
use crate::ledger::{LetterDelivered, LetterProduced};

fn letter(kind: LetterKind, language: Language) -> NewLetter {
    NewLetter { kind, language, camera_names: BTreeMap::from([(camera(1), "Lobby".to_owned())]) }
}

impl Open {
    fn write(
        &self,
        name: &str,
        request: RequestId,
        kind: LetterKind,
        language: Language,
    ) -> Result<LetterView, AccessError> {
        self.access.produce_letter(&self.sign_in(name), request, &letter(kind, language))
    }

    fn html(&self, request: RequestId, kind: LetterKind, language: Language) -> String {
        self.write("desk", request, kind, language).unwrap().html
    }
}

#[track_caller]
fn assert_tells(html: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(html.contains(text), "{text}\n{html}");
    }
}

fn begun(clinic: &Clinic, open: &Open) -> RequestId {
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(Duration::from_secs(100));
    open.ask(1, span(10, 20)).number
}

#[test]
fn each_decision_has_its_letter_in_both_languages_and_none_before() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = begun(&clinic, &open);
    let common =
        ["김민수", "010-1234-5678", "1 (Lobby)", "lost bag", "Test", "02-123-4567", "custodian checkpoint site="];
    let receipt = open.html(request, LetterKind::Receipt, Language::Ko);
    assert_tells(&receipt, &common);
    assert_tells(&receipt, &["접수증", "2026년 11월 22일 19:01:40", "2026년 12월 2일", "개인영상정보 열람"]);
    let receipt = open.html(request, LetterKind::Receipt, Language::En);
    assert_tells(&receipt, &common);
    assert_tells(&receipt, &["Receipt", "22 November 2026 19:01:40", "2 December 2026", "viewing"]);
    for kind in LetterKind::ALL.into_iter().filter(|kind| *kind != LetterKind::Receipt) {
        let told = open.write("desk", request, kind, Language::Ko);
        assert!(matches!(told, Err(AccessError::WrongState { state: "submitted" })), "{kind}");
    }

    open.identify(request);
    let until = START.saturating_add(DAY * 30);
    let postponement =
        Postponement { cause: PostponementCause::Masking, reason: "모자이크 처리 중 <b>".into(), until };
    open.access.postpone(&open.sign_in("officer"), request, &postponement, "officer-password").unwrap();
    let told = open.html(request, LetterKind::Postponement, Language::Ko);
    assert_tells(&told, &common);
    assert_tells(
        &told,
        &[
            "연기 통지서",
            "모자이크 처리 중 &lt;b&gt;",
            "2026년 12월 22일",
            "제35조제3항",
            "officer",
            "이의신청",
            "2026년 12월 2일",
        ],
    );
    let told = open.html(request, LetterKind::Postponement, Language::En);
    assert_tells(&told, &["Postponement", "22 December 2026", "article 35(3)", "How to object"]);

    let refusal = Refusal { ground: RefusalGround::HarmToOthers, reason: "a child is visible".into() };
    open.access.refuse(&open.sign_in("officer"), request, &refusal, "officer-password").unwrap();
    let told = open.html(request, LetterKind::Refusal, Language::Ko);
    assert_tells(&told, &common);
    assert_tells(
        &told,
        &[
            "거절 통지서",
            "제35조제4항제2호",
            "a child is visible",
            "이의신청 방법",
            "2026년 12월 22일까지",
            "30일 이내",
            "118",
        ],
    );
    assert_tells(&told, &["1 (Lobby): 2026년 11월 22일 19:00:10 – 2026년 11월 22일 19:00:20"]);
    let told = open.html(request, LetterKind::Refusal, Language::En);
    assert_tells(
        &told,
        &["Refusal", "article 35(4), subparagraph 2", "until 22 December 2026 (within 30 days)", "unduly harm"],
    );
    // What was told before can be told again.
    assert_tells(&open.html(request, LetterKind::Postponement, Language::En), &["22 December 2026"]);
    assert!(matches!(
        open.write("desk", request, LetterKind::Grant, Language::Ko),
        Err(AccessError::WrongState { .. })
    ));

    let granted = open.approved(1, span(30, 45)).number;
    let told = open.html(granted, LetterKind::Grant, Language::Ko);
    assert_tells(
        &told,
        &["결정 통지서", "1 (Lobby): 2026년 11월 22일 19:00:30 – 2026년 11월 22일 19:00:45", "Server room"],
    );
    let told = open.html(granted, LetterKind::Grant, Language::En);
    assert_tells(&told, &["Decision on a request", "Server room", "Can be watched until", "29 November 2026"]);

    let mut both = new_request(1, span(10, 40));
    both.cameras = vec![camera(1), camera(2)];
    let partly = open.submit(both).unwrap().number;
    open.identify(partly);
    let less = Approval { cameras: Some(vec![camera(1)]), span: Some(span(10, 25)), rest: rest(), ..to_viewer() };
    open.access.approve(&open.sign_in("officer"), partly, &less, "officer-password").unwrap();
    assert!(matches!(open.write("desk", partly, LetterKind::Grant, Language::En), Err(AccessError::WrongState { .. })));
    let told = open.html(partly, LetterKind::Partial, Language::En);
    assert_tells(&told, &["Partial decision", "1 (Lobby): 22 November 2026 19:00:10 – 22 November 2026 19:00:25"]);
    assert_tells(&told, &["article 35(4), subparagraph 2", "옆집 이영희 씨가 보입니다"]);
    assert_tells(&told, &["Not granted", "1 (Lobby): 22 November 2026 19:00:25 – 22 November 2026 19:00:40"]);
    assert_tells(&told, &["2: 22 November 2026 19:00:10 – 22 November 2026 19:00:40"]);
    assert_tells(&open.html(partly, LetterKind::Partial, Language::Ko), &["일부 결정 통지서", "제외 범위"]);
}

#[test]
fn an_existence_check_is_answered_in_the_letter() {
    let clinic = Clinic::new();
    let open = clinic.open();
    begun(&clinic, &open);
    let new = NewRequest { kind: RequestKind::ExistenceCheck, ..new_request(1, span(10, 20)) };
    let request = open.submit(new).unwrap().number;
    open.identify(request);
    let nobody = Approval { viewer: None, ..to_viewer() };
    open.access.approve(&open.sign_in("officer"), request, &nobody, "officer-password").unwrap();
    assert_tells(&open.html(request, LetterKind::Grant, Language::En), &["There is footage of that time."]);
    assert_tells(&open.html(request, LetterKind::Grant, Language::Ko), &["영상이 존재합니다"]);
}

#[test]
fn each_print_is_a_row_that_commits_to_its_text_and_holds_none_of_it() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = begun(&clinic, &open);
    let first = open.write("desk", request, LetterKind::Receipt, Language::Ko).unwrap();
    let again = open.write("officer", request, LetterKind::Receipt, Language::Ko).unwrap();
    assert_ne!(first.text, again.text, "it carries another checkpoint");
    let rows: Vec<LetterProduced> = open
        .rows()
        .into_iter()
        .filter_map(|act| match act {
            Act::LetterProduced(produced) => Some(produced),
            _ => None,
        })
        .collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].text, rows[0].template, rows[0].request), (first.text, None, request));
    let row = serde_json::to_string(&rows).unwrap();
    assert!(!row.contains("김민수") && !row.contains("010-"), "{row}");
    // Without the salt the text cannot be guessed; with it, it can be shown.
    assert_ne!(first.text, crate::crypto::sha256(first.html.as_bytes()));
    assert_ne!(first.text, commitment(&[0; 32], first.html.as_bytes()));
    let desk = open.sign_in("desk");
    let persons = open.access.find_request(request).unwrap().persons;
    let keys = desk.desk().unwrap();
    let dir = &open.access.requests_dir;
    assert_eq!(open.access.desk.commit_beside(dir, request, persons, keys, &first.html).unwrap(), first.text);
    let changed = first.html.replace("김민수", "김민순");
    assert_ne!(open.access.desk.commit_beside(dir, request, persons, keys, &changed).unwrap(), first.text);
    for name in ["viewer", "auditor", "other"] {
        let told = open.write(name, request, LetterKind::Receipt, Language::Ko);
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
    }
    assert!(matches!(
        open.write("desk", RequestId(9), LetterKind::Receipt, Language::Ko),
        Err(AccessError::NoSuchRequest)
    ));
}

#[test]
fn a_letter_that_cannot_be_recorded_is_not_printed() {
    let (clinic, disk) = Clinic::simulated();
    let open = clinic.open();
    let request = begun(&clinic, &open);
    let desk = open.sign_in("desk");
    let kinds: fn(crate::disk::OperationKind) -> bool = |kind| kind == crate::disk::OperationKind::Write;
    let below = clinic.state().join("ledger");
    disk.fail(crate::disk::Failure { kinds, below, skip: 0, times: 1, error: Some(5) });
    let told = open.access.produce_letter(&desk, request, &letter(LetterKind::Receipt, Language::Ko));
    assert!(matches!(told, Err(AccessError::NotRecorded(_))));
}

#[test]
fn a_delivery_is_on_record_and_its_proof_is_sealed() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = begun(&clinic, &open);
    let number = open.write("desk", request, LetterKind::Receipt, Language::Ko).unwrap().number;
    let desk = open.sign_in("desk");
    let deliver = |number, at, proof: Option<&str>| {
        let delivery = Delivery { way: DeliveryWay::Post, at, proof: proof.map(str::to_owned) };
        open.access.deliver_letter(&desk, request, number, &delivery)
    };
    let proof = "등기 1234, 모친 이영희 수령";
    let told = deliver(number, None, Some(proof)).unwrap();
    let delivered = told[0].delivered.clone().unwrap();
    assert_eq!(
        (delivered.way, delivered.proof.as_deref(), delivered.has_proof),
        (DeliveryWay::Post, Some(proof), true)
    );
    let rows = serde_json::to_string(&open.rows()).unwrap();
    assert!(rows.contains("letter-delivered") && !rows.contains("이영희"));
    assert!(matches!(deliver(number + 1, None, None), Err(AccessError::NoSuchLetter)));
    for at in [START.saturating_add(DAY), START.saturating_sub(DAY)] {
        assert!(matches!(deliver(number, Some(at), None), Err(AccessError::BadInput { field: "at", .. })), "{at}");
    }
    assert!(matches!(deliver(number, None, Some("900101-1234567")), Err(AccessError::IdNumber { .. })));
    assert!(matches!(deliver(number, None, Some(&"x".repeat(501))), Err(AccessError::BadInput { field: "proof", .. })));
    let seen = open.access.letters(&open.sign_in("auditor"), request).unwrap();
    assert_eq!(seen[0].delivered.clone().and_then(|delivered| delivered.proof).as_deref(), Some(proof));
    assert!(matches!(open.access.letters(&open.sign_in("viewer"), request), Err(AccessError::Forbidden)));
    // Through a restart; and a second time, which is what counts then.
    drop(open);
    let open = clinic.open();
    let again = Delivery { way: DeliveryWay::Hand, at: None, proof: Some("received".into()) };
    let told = open.access.deliver_letter(&open.sign_in("officer"), request, number, &again).unwrap();
    assert_eq!(told[0].delivered.clone().unwrap().proof.as_deref(), Some("received"));
    let deliveries =
        open.rows().into_iter().filter(|act| matches!(act, Act::LetterDelivered(LetterDelivered { .. }))).count();
    assert_eq!(deliveries, 2);
    // They go with what the request holds of persons.
    let names = |open: &Open| open.access.desk.files(&open.access.requests_dir).unwrap().len();
    assert_eq!(names(&open), 3);
    open.identify(request);
    open.approve(request);
    open.access.close(&open.sign_in("desk"), request).unwrap();
    clinic.hands.advance(DAY * 1_097);
    open.access.end_what_is_over().unwrap();
    assert_eq!(names(&open), 0);
    let told = open.access.letters(&open.sign_in("desk"), request).unwrap();
    assert_eq!(told[0].delivered.clone().map(|delivered| (delivered.has_proof, delivered.proof)), Some((true, None)));
    let told = open.write("desk", request, LetterKind::Receipt, Language::Ko);
    assert!(matches!(told, Err(AccessError::Unavailable { .. })), "there are no persons any more");
}

#[test]
fn a_broken_template_is_an_alarm_and_the_letter_is_written_all_the_same() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = begun(&clinic, &open);
    let dir = clinic.dir.path().join("letters");
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("receipt.ko.html");
    std::fs::write(&file, "<p>{{ person.name }} 님</p>").unwrap();
    let own = open.write("desk", request, LetterKind::Receipt, Language::Ko).unwrap();
    assert_eq!((own.html.as_str(), own.own_template), ("<p>김민수 님</p>", true));
    std::fs::write(&file, "<p>\n{{ person.nam }}</p>").unwrap();
    let told = open.write("desk", request, LetterKind::Receipt, Language::Ko).unwrap();
    assert!(!told.own_template && told.html.contains("접수증"));
    let broken = told.broken_template.unwrap();
    assert!(broken.contains("receipt.ko.html:2") && broken.contains("mend it"), "{broken}");
    assert!(open.access.duties().alarms.contains(&broken));
    std::fs::write(&file, "<p>{{ person.name }} 님</p>").unwrap();
    open.write("desk", request, LetterKind::Receipt, Language::Ko).unwrap();
    assert!(!open.access.duties().alarms.contains(&broken));
}

/// Its state after a letter of a kind was printed and delivered, by post.
fn delivered(open: &Open, request: RequestId, kind: LetterKind) -> (&'static str, Vec<Act>) {
    let number = open.write("desk", request, kind, Language::Ko).unwrap().number;
    let before = open.rows().len();
    let delivery = Delivery { way: DeliveryWay::Post, at: None, proof: None };
    let desk = open.sign_in("desk");
    open.access.deliver_letter(&desk, request, number, &delivery).unwrap();
    let view = open.access.request(&desk, request).unwrap();
    let of_request = |act: &Act| matches!(act, Act::LetterDelivered(_) | Act::RequestDelivered { .. });
    (view.state, open.rows().into_iter().skip(before).filter(of_request).collect())
}

#[test]
fn the_letter_that_is_the_answer_delivers_the_request_and_no_other_does() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = begun(&clinic, &open);
    open.identify(request);
    let officer = open.sign_in("officer");
    assert_eq!(delivered(&open, request, LetterKind::Receipt).0, "identified");
    let until = START.saturating_add(DAY * 30);
    let postponement = Postponement { cause: PostponementCause::Masking, reason: "to be masked".into(), until };
    open.access.postpone(&officer, request, &postponement, "officer-password").unwrap();
    let (state, rows) = delivered(&open, request, LetterKind::Postponement);
    assert_eq!((state, rows.len()), ("postponed", 1), "a postponement answers nothing");
    let refusal = Refusal { ground: RefusalGround::HarmToOthers, reason: "a child is visible".into() };
    open.access.refuse(&officer, request, &refusal, "officer-password").unwrap();
    assert_eq!(delivered(&open, request, LetterKind::Postponement).0, "refused", "of what was decided before");
    let (state, rows) = delivered(&open, request, LetterKind::Refusal);
    assert_eq!(state, "delivered");
    let channel = crate::domain::request::Channel::Writing;
    assert_eq!(rows[1], Act::RequestDelivered { request, channel });
    // Told once: by hand no more, and with the letter's second delivery neither.
    let told = open.access.deliver(&officer, request, channel);
    assert!(matches!(told, Err(AccessError::WrongState { state: "delivered" })), "{told:?}");
    let (state, rows) = delivered(&open, request, LetterKind::Refusal);
    assert_eq!((state, rows.len()), ("delivered", 1));
    // Objected to and decided anew: the letter of before is no answer any more.
    let old = open.write("desk", request, LetterKind::Refusal, Language::Ko).unwrap().number;
    clinic.hands.advance(Duration::from_secs(60));
    let desk = open.sign_in("desk");
    open.access.object(&desk, request).unwrap();
    open.access.refuse(&officer, request, &refusal, "officer-password").unwrap();
    let delivery = Delivery { way: DeliveryWay::Hand, at: None, proof: None };
    open.access.deliver_letter(&desk, request, old, &delivery).unwrap();
    assert_eq!(open.access.request(&desk, request).unwrap().state, "refused");
    assert_eq!(delivered(&open, request, LetterKind::Refusal).0, "delivered");

    let granted = open.approved(1, span(30, 45)).number;
    let (state, rows) = delivered(&open, granted, LetterKind::Grant);
    assert_eq!((state, rows.len()), ("delivered", 2));
    // By hand it is possible as before, and then a letter adds nothing.
    let granted = open.approved(1, span(30, 45)).number;
    open.access.deliver(&officer, granted, channel).unwrap();
    let (state, rows) = delivered(&open, granted, LetterKind::Grant);
    assert_eq!((state, rows.len()), ("delivered", 1));
    // Disputed footage is handed over to nobody; the letter came all the same.
    let disputed = open.approved(1, span(30, 45)).number;
    let number = open.write("desk", disputed, LetterKind::Grant, Language::Ko).unwrap().number;
    let ground = crate::domain::request::DisputeGround::Accuracy;
    let new = NewDispute { request: Some(disputed), cameras: None, span: None, ground };
    open.access.mark_disputed(&officer, new).unwrap();
    open.access.deliver_letter(&desk, disputed, number, &delivery).unwrap();
    assert_eq!(open.access.request(&desk, disputed).unwrap().state, "approved");
}

#[test]
fn a_printed_letter_shows_that_the_ledger_was_cut_short_or_written_anew() {
    use crate::ledger::{CheckpointMark, Known, verify_against};
    let clinic = Clinic::new();
    let open = clinic.open();
    let request = begun(&clinic, &open);
    open.identify(request);
    let html = open.html(request, LetterKind::Receipt, Language::Ko);
    drop(open);
    let mark = CheckpointMark::find_all(html.as_bytes()).unwrap();
    let [CheckpointMark { site: Some(_), signature: Some(_), sequence, .. }] = mark[..] else { panic!("{html}") };
    let file = std::fs::read_dir(clinic.state().join("ledger"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "ledger"))
        .unwrap();
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let bytes = std::fs::read(file).unwrap();
    let known = Known { checkpoints: mark, ..Known::default() };
    let verify = |bytes: &[u8]| verify_against(&[(name.clone(), bytes.to_vec())], &known, |_| {});
    assert!(verify(&bytes).is_ok());
    // Cut off behind the row before the one that it is of.
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let kept = usize::try_from(sequence).unwrap();
    assert!(verify(&bytes[..ends[kept - 1]]).is_ok(), "what came later may be missing");
    assert!(verify(&bytes[..ends[kept - 2]]).is_err(), "and nothing of what it vouches for");
}
