//! Requests from the counter to their end, over a real vault, with the clock in hand.

use super::*;
use crate::catalog::Catalog;
use crate::clock::ManualClock;
use crate::crypto::Strength;
use crate::disk::{RealDisk, SharedDisk, SimulatedDisk};
use crate::domain::request::{IdentityDocument, RefusalGround, RequestKind};
use crate::domain::{
    AccountId, Codec, Digest, FilmingHours, Frame, HeldFor, RequestId, Retention, Role, SegmentId, Span, Terminal,
    ViewingId, VolumeId,
};
use crate::fragment::footage::{Footage, film};
use crate::fragment::{Fragmenter, frame_times, init_segment};
use crate::ledger::{Decision, GrantConditions, GrantedView, ServedFootage, ViewRefusal};
use crate::retention::Eraser;
use crate::segment::FragmentFacts;
use crate::vault::{CameraRecorder, Volume};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

mod accounts;
mod asking;
mod attacks;
mod clock;
mod course;
mod damage;
mod decisions;
mod destructions;
mod disputes;
mod ending;
mod erasure;
mod forgeries;
mod holds;
mod ledger;
mod letters;
mod listing;
mod operations;
mod papers;
mod reasons;
mod reinstating;
mod second_factor;
mod seconds;
mod viewings;

const START: Utc = Utc::from_micros(1_795_341_600_000_000);
const DAY: Duration = Duration::from_secs(86_400);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const QUICK: Strength = Strength { memory_kib: 64, passes: 1, lanes: 1 };
const RETENTION: Retention = Retention::Ceiling(Duration::from_secs(30 * 86_400));
const PEOPLE: [(&str, Role); 6] = [
    ("officer", Role::Officer),
    ("deputy", Role::Officer),
    ("viewer", Role::Viewer),
    ("desk", Role::Staff),
    ("auditor", Role::Auditor),
    ("other", Role::Viewer),
];
const CAMERAS: [(u16, CameraClass); 4] = [
    (1, CameraClass::PublicArea),
    (2, CameraClass::PublicArea),
    (21, CameraClass::OperatingRoom),
    (22, CameraClass::OperatingRoom),
];
const VIEWER: AccountId = AccountId(3);

fn camera(number: u16) -> CameraNumber {
    CameraNumber::new(number).unwrap()
}

fn at(seconds: u64) -> Utc {
    START.saturating_add(Duration::from_secs(seconds))
}

fn span(from: u64, to: u64) -> Span {
    Span::new(at(from), at(to)).unwrap()
}

/// Sixty seconds at ten frames a second, a key frame each second.
fn minute() -> &'static Footage {
    static MINUTE: OnceLock<Footage> = OnceLock::new();
    MINUTE.get_or_init(|| film(Codec::H264, 60, &["-g", "10", "-keyint_min", "10", "-sc_threshold", "0", "-bf", "0"]))
}

/// A site on a disk of its own, with everything but cameras.
struct Clinic {
    dir: tempfile::TempDir,
    disk: SharedDisk,
    hands: ManualClock,
    recovery: crate::crypto::PrivateKey,
    allow_unproven: bool,
    password_max: Option<Duration>,
    second_factor: SecondFactorFor,
    checkpoints_to: Option<PathBuf>,
    requests: RequestRules,
    terminals: Vec<Terminal>,
    papers: Duration,
}

struct Open {
    access: Access,
    vault: Arc<Vault>,
    eraser: Eraser,
}

impl Clinic {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), Arc::new(RealDisk), true)
    }

    /// On a disk that can be made to fail; only the index is on a real one.
    fn simulated() -> (Self, SimulatedDisk) {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new(&[dir.path()]);
        (Self::on(dir, Arc::new(disk.clone()), false), disk)
    }

    fn on(dir: tempfile::TempDir, disk: SharedDisk, allow_unproven: bool) -> Self {
        Self::with(&PEOPLE, dir, disk, allow_unproven)
    }

    /// With these people, in place of the usual ones.
    fn of(people: &[(&str, Role)]) -> Self {
        Self::with(people, tempfile::tempdir().unwrap(), Arc::new(RealDisk), true)
    }

    fn with(people: &[(&str, Role)], dir: tempfile::TempDir, disk: SharedDisk, allow_unproven: bool) -> Self {
        let hands = ManualClock::standing(START);
        let account = |(name, role): (&str, Role)| NewAccount {
            name: name.to_owned(),
            role,
            password: Password::new(format!("{name}-password")),
        };
        let accounts: Vec<NewAccount> = people.iter().copied().map(account).collect();
        let new = NewSite { accounts: &accounts, strength: QUICK };
        let (site, recovery) = new.make(&disk, &dir.path().join("state"), &hands.clock()).unwrap();
        Volume::create(&disk, &dir.path().join("v1"), site).unwrap();
        let (second_factor, requests) = (SecondFactorFor::Nobody, RequestRules::default());
        let (password_max, terminals, checkpoints_to) = (None, Vec::new(), None);
        Self {
            dir,
            disk,
            hands,
            recovery,
            allow_unproven,
            password_max,
            second_factor,
            checkpoints_to,
            requests,
            terminals,
            papers: DAY * 1_096,
        }
    }

    fn recovery(&self) -> &crate::crypto::PrivateKey {
        &self.recovery
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn open(&self) -> Open {
        self.open_with(&["v1"])
    }

    /// With those of its volumes that are there.
    fn open_with(&self, volumes: &[&str]) -> Open {
        let files = SiteFiles::open(Arc::clone(&self.disk), &self.state()).unwrap();
        let volume = |name: &&str| {
            let dir = self.dir.path().join(name);
            Volume::open(Arc::clone(&self.disk), &dir, files.site(), self.allow_unproven).unwrap()
        };
        let volumes = volumes.iter().map(volume).collect();
        let catalog = Catalog::open(&files.path("catalog")).unwrap();
        let clock = self.hands.clock();
        let limit = Duration::from_secs(72 * 3_600);
        let time =
            TrustedClock::start(clock, Arc::clone(&self.disk), files.path("clock"), limit, || false, None).unwrap();
        let time = Arc::new(time);
        let vault = Arc::new(Vault::start(volumes, catalog, time.trusted()).unwrap());
        let holds = Arc::new(Mutex::new(Holds::open(Arc::clone(&self.disk), files.path("holds")).unwrap()));
        let session = SessionLimits { idle: Duration::from_secs(600), whole: Duration::from_secs(12 * 3_600) };
        let periods = Periods {
            session,
            second_factor: self.second_factor,
            password_max: self.password_max,
            due_days: 10,
            remind_days: vec![3, 7, 9],
            holidays: BTreeSet::new(),
            papers: self.papers,
            viewing_place: Some("Server room".into()),
            contact: Some("02-123-4567".into()),
            objection: DAY * 30,
            requests: self.requests,
            held_warn_percent: 10,
            unconfirmed_days: 2,
            operation_warn: Duration::from_secs(8 * 3_600),
            viewing_idle: Duration::from_secs(300),
            terminals: self.terminals.clone(),
            ledger: LedgerKeeping {
                checkpoints_to: self.checkpoints_to.clone(),
                checkpoint_every: Duration::from_secs(600),
                review_months: 1,
                keep_months: 36,
                opening_hours: FilmingHours::parse("mon-fri 08:00-20:00", jiff::tz::TimeZone::UTC).unwrap(),
            },
            site_name: "Test".into(),
            time_zone: jiff::tz::TimeZone::get("Asia/Seoul").unwrap(),
        };
        let (access, ledger) =
            Access::start(&files, Arc::clone(&vault), Arc::clone(&time), Arc::clone(&holds), periods).unwrap();
        access.set_cameras(BTreeMap::from(CAMERAS.map(|(number, class)| (camera(number), class))));
        let eraser = Eraser::new(Arc::clone(&vault), time, holds, access.grant_store(), ledger);
        Open { access, vault, eraser }
    }
}

impl Open {
    /// All requests, newest first.
    fn listed(&self, caller: &Caller) -> Result<Vec<RequestView>, AccessError> {
        let page = self.access.request_page(caller, &RequestFilter::default(), None, PAGE_LARGEST)?;
        assert_eq!(page.next, None);
        Ok(page.requests)
    }

    fn sign_in(&self, name: &str) -> Caller {
        let (token, _) = self.access.sign_in(name, &format!("{name}-password"), HERE).unwrap();
        self.access.caller(&token, HERE).unwrap()
    }

    /// A minute of a camera, in one segment.
    fn record(&self, of: CameraNumber) {
        let mut recorder = CameraRecorder::new(Arc::clone(&self.vault), of, RETENTION);
        let film = minute();
        recorder.begin(START, &init_segment(&film.parameters).unwrap()).unwrap();
        let mut fragmenter = Fragmenter::default();
        let mut fragments = Vec::new();
        for frame in &film.frames {
            let pts_90k = frame.pts_90k - film.frames[0].pts_90k;
            let filmed_at = START.plus_90k(u64::try_from(pts_90k).unwrap());
            fragments.extend(fragmenter.push(Frame { filmed_at, pts_90k, ..frame.clone() }).unwrap());
        }
        fragments.extend(fragmenter.finish().unwrap());
        for fragment in fragments {
            let facts = FragmentFacts {
                first_pts_90k: fragment.first_pts_90k,
                duration_90k: fragment.duration_90k,
                frames: fragment.frames,
                sync: fragment.sync,
            };
            recorder.append(facts, &fragment.bytes).unwrap();
        }
        recorder.finish().unwrap();
        self.vault.commit().unwrap();
    }

    fn ask(&self, of: u16, span: Span) -> RequestView {
        self.submit(new_request(of, span)).unwrap()
    }

    fn submit(&self, new: NewRequest) -> Result<RequestView, AccessError> {
        self.access.submit(&self.sign_in("desk"), new)
    }

    fn identify(&self, request: RequestId) {
        self.access.check_identity(&self.sign_in("desk"), request, IdentityDocument::Passport).unwrap();
    }

    fn approve(&self, request: RequestId) -> RequestView {
        self.access.approve(&self.sign_in("officer"), request, &to_viewer(), "officer-password").unwrap()
    }

    fn approved(&self, of: u16, span: Span) -> RequestView {
        let request = self.ask(of, span).number;
        self.identify(request);
        self.approve(request)
    }

    /// The viewer, in a viewing of a grant; one of before has ended.
    fn viewer_of(&self, grant: GrantId) -> Caller {
        let viewer = self.sign_in("viewer");
        drop(self.access.end_viewing(&viewer, grant));
        self.access.begin_viewing(&viewer, grant, true).unwrap();
        viewer
    }

    /// One viewing, from its begin to its end.
    fn watch(&self, grant: GrantId, of: u16) -> Result<Vec<Picture>, AccessError> {
        let viewer = self.sign_in("viewer");
        self.access.begin_viewing(&viewer, grant, true)?;
        let pictures = self.access.playlist(&viewer, grant, camera(of), None).and_then(|playlist| {
            let picture =
                |entry: &PlaylistEntry| self.access.fragment(&viewer, grant, camera(of), entry.segment, entry.number);
            playlist.entries.iter().map(picture).collect()
        });
        self.access.end_viewing(&viewer, grant)?;
        pictures
    }

    fn rows(&self) -> Vec<Act> {
        let mut acts = Vec::new();
        self.access.ledger.rows(|row| acts.push(row.act)).unwrap();
        acts
    }
}

fn to_viewer() -> Approval {
    Approval { viewer: Some(VIEWER), ..Approval::default() }
}

/// Why a part is not approved.
fn rest() -> Option<Refusal> {
    Some(Refusal { ground: RefusalGround::HarmToOthers, reason: "옆집 이영희 씨가 보입니다".into() })
}

fn person(name: &str) -> PersonFields {
    let contact = "010-1234-5678".to_owned();
    PersonFields { name: name.to_owned(), contact, birth_date: None, address: None, relation: None }
}

fn new_request(of: u16, span: Span) -> NewRequest {
    NewRequest::own(RequestKind::Viewing, vec![camera(of)], span, "lost bag".into(), person("김민수"))
}

fn shown(pictures: &[Picture]) -> Vec<u64> {
    pictures.iter().flat_map(|picture| frame_times(&picture.bytes).unwrap()).collect()
}

#[test]
fn what_was_approved_is_seen_to_the_frame_and_nothing_else() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let from = at(10).saturating_add(Duration::from_millis(350));
    let to = at(12).saturating_add(Duration::from_millis(450));
    let view = open.approved(1, Span::new(from, to).unwrap());
    let grant = view.grant.unwrap();
    assert_eq!(view.granted_span, Some(Span::new(at(10), to).unwrap()), "from the key frame before");
    let pictures = open.watch(grant, 1).unwrap();
    assert_eq!(shown(&pictures), (0..25).map(|frame| frame * 9_000).collect::<Vec<_>>());
    // The segment's key opens all of it; the daemon does not.
    let viewer = open.viewer_of(grant);
    let segment = open.access.playlist(&viewer, grant, camera(1), None).unwrap().entries[0].segment;
    for number in [0, 9, 13, 59, 60, u32::MAX] {
        let told = open.access.fragment(&viewer, grant, camera(1), segment, number);
        assert!(matches!(told, Err(AccessError::OutsideGrant)), "{number}");
    }
    for part in [span(9, 11), span(12, 13), span(30, 40)] {
        let told = open.access.playlist(&viewer, grant, camera(1), Some(part));
        assert!(matches!(told, Err(AccessError::OutsideGrant)), "{part}");
    }
    assert_eq!(open.access.playlist(&viewer, grant, camera(1), Some(span(10, 12))).unwrap().entries.len(), 2);
    assert!(matches!(open.access.playlist(&viewer, grant, camera(2), None), Err(AccessError::OutsideGrant)));
}

#[test]
fn nobody_else_watches_and_nobody_before_or_after() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    assert!(matches!(open.watch(GrantId(1), 1), Err(AccessError::NoGrant)), "before a decision");
    let view = open.approved(1, span(10, 20));
    let grant = view.grant.unwrap();
    let playlist = open.access.playlist(&open.viewer_of(grant), grant, camera(1), None).unwrap();
    let entry = playlist.entries[0];
    for (name, role) in PEOPLE.into_iter().filter(|(name, _)| *name != "viewer") {
        let caller = open.sign_in(name);
        let wanted = if role == Role::Viewer { "no approved request" } else { "your role" };
        let told = open.access.playlist(&caller, grant, camera(1), None).unwrap_err().to_string();
        assert!(told.starts_with(wanted), "{name}: {told}");
        let told = open.access.fragment(&caller, grant, camera(1), entry.segment, entry.number).unwrap_err();
        assert!(told.to_string().starts_with(wanted), "{name}: {told}");
        assert!(open.access.init(&caller, grant, camera(1), entry.segment).is_err(), "{name}");
    }
    open.access.close(&open.sign_in("desk"), view.number).unwrap();
    assert!(matches!(open.watch(grant, 1), Err(AccessError::NoGrant)), "after it was closed");
    assert!(open.access.grants.list().unwrap().is_empty(), "its keys are destroyed");
}

#[test]
fn a_grant_ends_by_itself_and_its_keys_are_destroyed() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let ends = at(200);
    let approval = Approval { ends: Some(ends), ..to_viewer() };
    let officer = open.sign_in("officer");
    let grant = open.access.approve(&officer, request, &approval, "officer-password").unwrap().grant.unwrap();
    assert!(open.watch(grant, 1).is_ok());
    clinic.hands.advance(Duration::from_secs(100));
    assert!(matches!(open.watch(grant, 1), Err(AccessError::NoGrant)));
    open.access.end_what_is_over().unwrap();
    assert!(open.access.grants.list().unwrap().is_empty());
    assert!(open.rows().contains(&Act::GrantEnded { grant, why: Some(crate::domain::GrantEnd::Over) }));
}

#[test]
fn bad_requests_are_refused_each_with_its_reason_and_freeze_nothing() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let told = open.submit(new_request(7, span(10, 20)));
    assert!(matches!(told, Err(AccessError::UnknownCamera { camera }) if camera.get() == 7));
    assert!(matches!(open.submit(new_request(1, span(10, 1_000))), Err(AccessError::SpanInFuture)));
    let mut with_number = new_request(1, span(10, 20));
    with_number.purpose = "주민등록번호 900101-1234567".into();
    assert!(matches!(open.submit(with_number), Err(AccessError::IdNumber { field: "purpose" })));
    let mut nameless = new_request(1, span(10, 20));
    nameless.person.name = " ".into();
    assert!(matches!(open.submit(nameless), Err(AccessError::BadInput { field: "name", .. })));
    assert!(open.access.holds().list().is_empty());
    for name in ["officer", "viewer", "auditor"] {
        let told = open.access.submit(&open.sign_in(name), new_request(1, span(10, 20)));
        assert!(matches!(told, Err(AccessError::Forbidden)), "{name}");
    }
    assert!(open.listed(&open.sign_in("desk")).unwrap().is_empty());
}

#[test]
fn a_request_of_day_29_keeps_its_footage_until_it_is_closed() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    open.record(camera(2));
    clinic.hands.advance(DAY * 29);
    let request = open.ask(1, span(10, 20)).number;
    clinic.hands.advance(DAY * 16);
    let round = open.eraser.round().unwrap();
    assert_eq!((round.erased, round.set_apart), (1, 1), "camera 2's is gone, camera 1's stands apart");
    let told = open.ask(2, span(10, 20));
    assert_eq!(told.state, "unavailable");
    assert_eq!(told.answer, Some(format!("unavailable: destroyed on {}", START.saturating_add(DAY * 45))));
    assert!(!told.held);
    open.identify(request);
    let grant = open.approve(request).grant.unwrap();
    assert_eq!(shown(&open.watch(grant, 1).unwrap()).len(), 100);
    open.access.close(&open.sign_in("officer"), request).unwrap();
    assert_eq!(open.eraser.round().unwrap().erased, 1);
    assert_eq!(open.ask(1, span(10, 20)).state, "unavailable");
    let receipts = open.rows().into_iter().filter(|act| matches!(act, Act::FootageDestroyed(_))).count();
    assert_eq!(receipts, 2);
}

#[test]
fn a_wall_clock_that_runs_ahead_denies_and_destroys_nothing() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let short = open.approved(1, span(10, 20)).grant.unwrap();
    let request = open.ask(1, span(10, 20)).number;
    open.identify(request);
    let long = Approval { ends: Some(START.saturating_add(DAY * 60)), ..to_viewer() };
    let long = open.access.approve(&open.sign_in("officer"), request, &long, "officer-password").unwrap();
    let long = long.grant.unwrap();
    clinic.hands.step_wall(40 * 86_400_000_000);
    assert_eq!(open.eraser.round().unwrap(), crate::retention::Round::default());
    open.access.end_what_is_over().unwrap();
    assert!(matches!(open.watch(short, 1), Err(AccessError::NoGrant)), "its end has come, by the wall");
    assert!(
        matches!(open.watch(long, 1), Err(AccessError::Unavailable { .. })),
        "its footage has expired, by the wall"
    );
    clinic.hands.step_wall(-40 * 86_400_000_000);
    assert!(open.watch(short, 1).is_ok());
    assert!(open.watch(long, 1).is_ok());
}

#[test]
fn in_mid_playback_what_is_held_plays_on_over_its_expiry_and_what_is_not_is_refused() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    let grant = open.approved(1, span(10, 20)).grant.unwrap();
    let see = |number: usize| {
        let viewer = open.viewer_of(grant);
        let segment = open.vault.live_segments(camera(1), span(10, 20), START).unwrap()[0].segment;
        open.access.fragment(&viewer, grant, camera(1), segment, 10 + number as u32)
    };
    assert!(see(0).is_ok());
    clinic.hands.advance(DAY - Duration::from_secs(5));
    open.eraser.round().unwrap();
    clinic.hands.advance(Duration::from_secs(5));
    assert!(see(1).is_ok(), "held: set apart before its time");
    // As if the hold had never been: the very next fragment is refused, before the eraser runs again.
    drop(open);
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 29);
    let view = open.approved(1, span(10, 20));
    open.access.holds().release(HeldFor::Request(view.number)).unwrap();
    let segment = open.vault.live_segments(camera(1), span(10, 20), START).unwrap()[0].segment;
    let see = |number| {
        let grant = view.grant.unwrap();
        open.access.fragment(&open.viewer_of(grant), grant, camera(1), segment, number)
    };
    assert!(see(10).is_ok());
    clinic.hands.advance(DAY);
    assert!(matches!(see(11), Err(AccessError::Unavailable { .. })));
    assert_eq!(open.eraser.round().unwrap().erased, 1);
    assert!(matches!(see(12), Err(AccessError::Unavailable { .. })));
    let slots = open.access.grants.open(view.grant.unwrap()).unwrap();
    let key = slots.open_key(open.vault.volumes()[0].id(), segment, open.sign_in("viewer").private()).unwrap();
    assert!(key.is_none(), "E3: its slot is overwritten too");
}

#[test]
fn a_hold_that_comes_after_the_key_went_does_not_keep_the_blocks() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(DAY * 30);
    let due = open.vault.due(open.access.now());
    open.vault.destroy_key(&due[0], open.access.now()).unwrap();
    let hold = Hold::of_request(RequestId(1), vec![camera(1)], span(0, 60));
    open.access.holds().place(hold).unwrap();
    assert_eq!(open.eraser.round().unwrap().erased, 1);
}

#[test]
fn a_restart_neither_widens_nor_loses_a_grant() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let grant = open.approved(1, span(10, 12)).grant.unwrap();
    let waiting = open.ask(1, span(30, 40)).number;
    let head = open.access.ledger.head();
    drop(open);
    let open = clinic.open();
    assert_eq!(open.access.ledger.head(), head);
    assert_eq!(shown(&open.watch(grant, 1).unwrap()).len(), 20);
    assert!(open.access.request(&open.sign_in("desk"), waiting).unwrap().held);
}

#[test]
fn what_was_filmed_just_now_is_not_called_missing() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(64));
    let told = open.ask(1, span(61, 63));
    assert!(told.held && told.state == "submitted", "it may be on its way: {}", told.state);
    clinic.hands.advance(Duration::from_secs(30));
    assert_eq!(open.ask(1, span(61, 63)).state, "unavailable");
}

#[test]
fn what_a_request_holds_of_persons_is_sealed_and_bound_to_its_row() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let view = open.ask(1, span(10, 20));
    assert_eq!(view.person.unwrap().name, "김민수");
    let stored = std::fs::read(clinic.state().join("requests/00000001")).unwrap();
    let ledger = std::fs::read_to_string(clinic.state().join("ledger/2026-11.ledger")).unwrap();
    for secret in ["김민수", "010-1234", "lost bag"] {
        assert!(!String::from_utf8_lossy(&stored).contains(secret) && !ledger.contains(secret), "{secret}");
    }
    assert!(open.listed(&open.sign_in("viewer")).is_err());
    // A file of another request in its place is noticed.
    open.ask(1, span(10, 21));
    let other = std::fs::read(clinic.state().join("requests/00000002")).unwrap();
    std::fs::write(clinic.state().join("requests/00000001"), other).unwrap();
    assert!(open.access.request(&open.sign_in("desk"), view.number).is_err());
}

#[test]
fn sessions_end_and_guessing_is_slowed_down() {
    let clinic = Clinic::new();
    let open = clinic.open();
    let (token, _) = open.access.sign_in("desk", "desk-password", HERE).unwrap();
    for _ in 0..10 {
        clinic.hands.advance(Duration::from_secs(599));
        open.access.caller(&token, HERE).unwrap();
    }
    clinic.hands.advance(Duration::from_secs(600));
    assert!(matches!(open.access.caller(&token, HERE), Err(AccessError::NotSignedIn)), "idle");
    let (token, _) = open.access.sign_in("desk", "desk-password", HERE).unwrap();
    let caller = open.access.caller(&token, HERE).unwrap();
    open.access.sign_out(&token, &caller).unwrap();
    assert!(matches!(open.access.caller(&token, HERE), Err(AccessError::NotSignedIn)), "signed out");
    for _ in 0..5 {
        let told = open.access.sign_in("desk", "wrong", HERE);
        assert!(matches!(told, Err(AccessError::WrongCredentials)));
    }
    let right = || open.access.sign_in("desk", "desk-password", HERE);
    assert!(matches!(right(), Err(AccessError::TooManyAttempts { .. })));
    let elsewhere = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    assert!(open.access.sign_in("desk", "desk-password", elsewhere).is_ok(), "nobody locks others out");
    clinic.hands.advance(Duration::from_secs(2));
    assert!(right().is_ok());
    assert!(matches!(open.access.sign_in("nobody", "x", HERE), Err(AccessError::WrongCredentials)));
}

#[test]
fn each_picture_is_announced_before_it_is_shown() {
    let clinic = Clinic::new();
    let open = clinic.open();
    open.record(camera(1));
    clinic.hands.advance(Duration::from_secs(100));
    let grant = open.approved(1, span(10, 13)).grant.unwrap();
    let pictures = open.watch(grant, 1).unwrap();
    let intended: Vec<Act> = open.rows().into_iter().filter(|act| matches!(act, Act::ViewIntended { .. })).collect();
    let (request, viewing) = (RequestId(1), ViewingId(1));
    let intent = |from, to| Act::ViewIntended {
        grant,
        request,
        camera: camera(1),
        span: span(from, to),
        viewing: Some(viewing),
        copy: false,
    };
    assert_eq!(intended, [intent(10, 11), intent(11, 12), intent(12, 13)]);
    open.access.served(&open.sign_in("viewer"), &pictures[0].shown, 5).unwrap();
    let footage = |span, broken_off| ServedFootage { viewing, grant, request, camera: camera(1), span, broken_off };
    let of = Some(footage(Some(span(10, 11)), false));
    let served = Act::ViewServed { intended: pictures[0].shown.intended, frames: 10, bytes: 5, of };
    assert!(open.rows().contains(&served));
    open.watch(GrantId(5), 1).unwrap_err();
    let refused = Act::ViewRefused { request: None, camera: None, span: None, why: ViewRefusal::NoGrant };
    assert!(open.rows().contains(&refused));
}
