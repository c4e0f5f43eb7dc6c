//! A site that is played with, and what it promised until each instant.

use super::super::{Built, Doors};
use crate::access::{
    Access, AccessError, Approval, Caller, DayConfirmation, Erasure, NewAccount, NewDispute, NewHold, NewOperation,
    NewRequest, NewSite, Password, PersonFields, Refusal, Reinstatement, SiteFiles,
};
use crate::clock::ManualClock;
use crate::config::{Pace, SITE_FILE, SecondFactor, Site, VolumePlace};
use crate::crypto::{PrivateKey, PublicKey, Strength};
use crate::disk::{
    Access as Opened, Disk, Failure, Flush, Operation, OperationKind, PowerCut, SharedDisk, SimulatedDisk, Snapshot,
};
use crate::domain::request::{Channel, DisputeGround, DisputeOutcome, IdentityDocument, RefusalGround, RequestKind};
use crate::domain::{
    AccountId, AskedBy, CameraClass, CameraNumber, DestructionTrigger, Digest, GapCause, GrantId, HeldFor, HoldId,
    HoldReason, LocalDay, OperationId, RequestId, Retention, RevocationGround, Role, SegmentId,
};
use crate::domain::{SiteId, Span, Utc};
use crate::ledger::{Act, Decision, GrantConditions, Row};
use crate::segment::{FragmentFacts, ManifestRecord, SlotFile, SlotPurpose};
use crate::vault::{CameraRecorder, StagedSlot, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-22T10:00:00Z.
pub const START: Utc = Utc::from_micros(1_795_341_600_000_000);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const RETENTION: Retention = Retention::Ceiling(DAY);
const QUICK: Strength = Strength { memory_kib: 64, passes: 1, lanes: 1 };
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const VIEWER: AccountId = AccountId(3);
pub const CAMERAS: u16 = 8;
/// The one in an operating room.
pub const THEATRE: u16 = 8;
const PEOPLE: [(&str, Role); 4] =
    [("officer", Role::Officer), ("deputy", Role::Officer), ("viewer", Role::Viewer), ("desk", Role::Staff)];

pub fn at(seconds: u64) -> Utc {
    START.saturating_add(Duration::from_secs(seconds))
}

pub fn span(from: u64, to: u64) -> Span {
    Span::new(at(from), at(to)).unwrap()
}

pub fn camera(number: u16) -> CameraNumber {
    CameraNumber::new(number).unwrap()
}

/// A second of pictures, told apart by camera, start and number.
pub fn picture(of: u16, start: u64, number: u32) -> Vec<u8> {
    format!("camera {of} from {start} picture {number} ").repeat(40).into_bytes()
}

/// Where a site would be: its configuration and index are on the real disk, everything else is simulated.
pub struct Ground {
    dir: tempfile::TempDir,
    pub site: Site,
}

impl Ground {
    pub fn new() -> Self {
        // The index is thrown away at each start: a disk in memory is quicker.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(dir.path().join(SITE_FILE), Site::template("Test")).unwrap();
        std::fs::create_dir(dir.path().join("camera-config")).unwrap();
        let mut site = Site::load(dir.path(), Pace::Real).unwrap();
        // What they do is not about it, but for those that set one.
        site.access.second_factor = SecondFactor::Nobody;
        // This machine's log is none of its peers.
        site.ledger.checkpoints_to = None;
        site.volumes = vec![VolumePlace { path: dir.path().join("v1"), allow_unproven: false }];
        Self { dir, site }
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> PathBuf {
        self.root().join("state")
    }

    pub fn volume(&self) -> PathBuf {
        self.root().join("v1")
    }

    /// The state and the volume are on file systems of their own: a flush of one says nothing of the other.
    pub fn empty_disk(&self) -> SimulatedDisk {
        SimulatedDisk::new(&[self.root(), &self.volume()])
    }

    /// Makes a site; returns its recovery key.
    pub fn make_site(&self, disk: &SimulatedDisk) -> (SiteId, PrivateKey) {
        let account = |(name, role): (&str, Role)| NewAccount {
            name: name.to_owned(),
            role,
            password: Password::new(format!("{name}-password")),
        };
        let accounts: Vec<NewAccount> = PEOPLE.into_iter().map(account).collect();
        let shared: SharedDisk = Arc::new(disk.clone());
        let new = NewSite { accounts: &accounts, strength: QUICK };
        let made = new.make(&shared, &self.state(), &ManualClock::standing(START).clock()).unwrap();
        Volume::create(&shared, &self.volume(), made.0).unwrap();
        made
    }

    /// The daemon's own start, on a disk.
    pub fn start(&self, disk: &SimulatedDisk, hands: &ManualClock) -> Result<Built, String> {
        self.start_with(disk, hands, || true)
    }

    fn start_with(
        &self,
        disk: &SimulatedDisk,
        hands: &ManualClock,
        clock_is_synchronised: fn() -> bool,
    ) -> Result<Built, String> {
        match std::fs::remove_dir_all(self.state().join("catalog")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => panic!("{e}"),
            _ => {}
        }
        std::fs::create_dir_all(self.state()).unwrap();
        let doors = Doors {
            disk: Arc::new(disk.clone()),
            clock: hands.clock(),
            clock_is_synchronised,
            worker_program: PathBuf::new(),
        };
        let files = SiteFiles::open(Arc::clone(&doors.disk), &self.state()).map_err(|e| e.to_string())?;
        Built::new(&self.site, &doors, &files, &self.state()).map_err(|e| format!("it does not start: {e}"))
    }
}

/// Bytes that stand in a block at an offset, and what they are.
#[derive(Clone, Debug)]
pub struct Trace {
    pub what: String,
    pub bytes: Vec<u8>,
    pub offset: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Kept,
    /// Its period has ended, and what held it is being released.
    Released,
    /// Its period has ended, and nothing holds it: it may go, and goes with the next round.
    Due,
    /// It was condemned, and that was answered: it is gone, whatever comes.
    Condemned,
}

/// What was promised of one segment.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub id: Option<SegmentId>,
    pub retention: Retention,
    pub appended: u32,
    /// How many fragments it had at each commit that was begun.
    pub tried: BTreeSet<u32>,
    /// How many it had at the last commit that came to its end.
    pub committed: u32,
    pub fate: Fate,
    /// The power has not gone since it was begun: commits are about it.
    pub is_alive: bool,
    /// Its sealed data key, and the beginning of its content.
    pub key: Option<Trace>,
    pub content: Option<Trace>,
}

/// What the site had promised until an instant.
#[derive(Clone, Debug)]
pub struct Promises {
    pub now: Utc,
    /// By camera and start, in seconds.
    pub segments: BTreeMap<(u16, u64), Recorded>,
    /// Rows that were answered.
    pub rows: Arc<Vec<Row>>,
    pub holds: BTreeSet<HeldFor>,
    /// Grants and the digest of their slots that the decision's row names.
    pub grants: BTreeMap<GrantId, Digest>,
    /// What must not be on the device any more.
    pub gone: Vec<Trace>,
    /// What must not be there after the eraser's next round.
    pub going: Vec<Trace>,
    /// The trusted clock said so once.
    pub trusted: Utc,
    /// How many viewings of a grant there still are: at most, and at least.
    pub viewings: BTreeMap<GrantId, (u32, u32)>,
    /// Gaps that were recorded, and whether a commit has followed.
    pub gaps: Vec<(u16, Span, bool)>,
    /// The vault was stopped in order: a start looks through no directory.
    pub is_clean: bool,
    /// All manifests were summed up, and nothing was appended since: a start reads none.
    pub is_summed: bool,
    /// Requests whose persons the desk can read.
    pub persons: BTreeSet<RequestId>,
    /// Operations that were begun, and whether they are under way; `None` while one is being ended.
    pub operations: BTreeMap<OperationId, Option<bool>>,
    /// Days whose destruction an officer confirmed.
    pub confirmed: BTreeSet<LocalDay>,
    /// Who has a slot in every day key.
    pub admitted: Option<PublicKey>,
    /// By name: with one of these they sign in.
    pub passwords: BTreeMap<String, Vec<String>>,
    /// This officer is being reinstated: asking again comes to its end, wherever it was broken off.
    pub on_the_way_back: Option<Reinstatement>,
    /// Nobody signs in with these.
    pub refused: Vec<(String, String)>,
    /// Requests of which the persons' period has ended: what stood of them goes with the next round.
    pub ending: Vec<(RequestId, Trace)>,
}

/// A site at work, and everything that was noted of it.
pub struct Play<'a> {
    pub ground: &'a Ground,
    pub disk: SimulatedDisk,
    pub hands: ManualClock,
    pub recovery: PrivateKey,
    pub built: Option<Built>,
    pub promises: Promises,
    /// Of the approvals that come.
    pub conditions: GrantConditions,
    recorders: BTreeMap<u16, (CameraRecorder, u64, Retention)>,
    timeline: Vec<(usize, Arc<Promises>)>,
    left_out: Option<Flush>,
    begun_at: usize,
}

/// What a play left: the disk at each instant, and what was promised until then.
pub struct Played {
    pub instants: Vec<(Snapshot, usize)>,
    pub promises: Vec<Arc<Promises>>,
    pub flushes: BTreeSet<Flush>,
    pub recovery: PrivateKey,
}

impl<'a> Play<'a> {
    /// A new site that was made and started; nothing is noted until [`Play::begin`].
    pub fn new(ground: &'a Ground, left_out: Option<Flush>) -> Self {
        let disk = ground.empty_disk();
        let (_, recovery) = ground.make_site(&disk);
        let mut play = Self::on(ground, disk.after(PowerCut::Kept), recovery, left_out);
        play.start();
        play
    }

    pub fn on(ground: &'a Ground, disk: SimulatedDisk, recovery: PrivateKey, left_out: Option<Flush>) -> Self {
        let promises = Promises {
            now: START,
            segments: BTreeMap::new(),
            rows: Arc::default(),
            holds: BTreeSet::new(),
            grants: BTreeMap::new(),
            viewings: BTreeMap::new(),
            gone: Vec::new(),
            going: Vec::new(),
            trusted: START,
            gaps: Vec::new(),
            is_clean: false,
            is_summed: false,
            persons: BTreeSet::new(),
            operations: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            admitted: None,
            passwords: BTreeMap::new(),
            on_the_way_back: None,
            refused: Vec::new(),
            ending: Vec::new(),
        };
        let hands = ManualClock::standing(START);
        let (recorders, timeline) = (BTreeMap::new(), Vec::new());
        let conditions = GrantConditions::default();
        Self {
            ground,
            disk,
            hands,
            recovery,
            built: None,
            promises,
            conditions,
            recorders,
            timeline,
            left_out,
            begun_at: 0,
        }
    }

    pub fn start(&mut self) {
        self.start_with(|| true);
    }

    /// On a machine whose clock nothing keeps right.
    pub fn start_unsynchronised(&mut self) {
        self.start_with(|| false);
    }

    fn start_with(&mut self, clock_is_synchronised: fn() -> bool) {
        let built = self.ground.start_with(&self.disk, &self.hands, clock_is_synchronised).unwrap();
        let class = |of| if of == THEATRE { CameraClass::OperatingRoom } else { CameraClass::PublicArea };
        built.access.set_cameras((1..=CAMERAS).map(|of| (camera(of), class(of))).collect());
        built.vault.catch_up(&|| false).unwrap();
        self.built = Some(built);
    }

    pub fn built(&self) -> &Built {
        self.built.as_ref().unwrap()
    }

    pub fn leave_out(&mut self, flush: Option<Flush>) {
        self.left_out = flush;
    }

    /// From here on each instant counts, and a flush that is to be left out is.
    pub fn begin(&mut self) {
        self.begun_at = self.disk.operations();
        self.disk.keep_snapshots();
        if let Some(flush) = self.left_out {
            self.disk.leave_out(flush);
        }
        self.note();
    }

    /// What is promised now.
    pub fn note(&mut self) {
        self.promises.now = self.hands.clock().wall();
        self.disk.keep_snapshot();
        self.timeline.push((self.disk.operations(), Arc::new(self.promises.clone())));
    }

    /// As [`Play::note`], with the rows that stand in the ledger by now: they were answered.
    pub fn note_rows(&mut self) {
        self.promises.rows = Arc::new(self.rows());
        self.note();
    }

    pub fn end(self) -> Played {
        let begun_at = self.begun_at;
        let flushes = self.disk.log().into_iter().skip(begun_at).filter_map(|op| Some((op.site?, op.kind))).collect();
        let instant = |snapshot: Snapshot| {
            let known = self.timeline.partition_point(|(operations, _)| *operations <= snapshot.operations);
            (snapshot, known - 1)
        };
        let instants = self.disk.take_snapshots();
        // Before a flush is left out for the first time, all is as it is with it.
        let is_left_out = |op: &Operation| op.site.map(|site| (site, op.kind)) == self.left_out;
        let left_out = self.left_out.and(self.disk.log()[begun_at..].iter().position(is_left_out));
        let first = left_out.map_or(self.timeline[0].0, |at| begun_at + at);
        let instants = instants.into_iter().filter(|snapshot| snapshot.operations >= first).map(instant).collect();
        let promises = self.timeline.iter().map(|(_, promises)| Arc::clone(promises)).collect();
        Played { instants, promises, flushes, recovery: self.recovery }
    }

    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.built().ledger.rows(|row| rows.push(row)).unwrap();
        rows
    }

    fn block(&self, path: &Path, number: u64) -> Vec<u8> {
        let mut block = vec![0; 4096];
        self.disk.open(path, Opened::Read).unwrap().read_at(&mut block, number * 4096).unwrap();
        block
    }

    /// The number of the newest table of commits.
    pub fn commit_number(&self) -> u64 {
        let path = self.ground.volume().join("commits");
        let bytes = crate::disk::read_file(&self.disk, &path, 1 << 20).unwrap();
        crate::segment::CommitTable::read_all(&bytes).unwrap()[0].number
    }

    /// The files below the volume's directory `sub`.
    pub fn files(&self, sub: &str) -> Vec<PathBuf> {
        let dir = self.ground.volume().join(sub);
        self.disk.files().into_iter().filter(|path| path.starts_with(&dir)).collect()
    }

    /// The sealed keys in a file of slots.
    pub fn slots(&self, path: &Path, purpose: SlotPurpose) -> Vec<Trace> {
        self.slots_of(path, purpose, |_| true)
    }

    /// Those of some owners.
    pub fn slots_of(&self, path: &Path, purpose: SlotPurpose, whose: impl Fn(PublicKey) -> bool) -> Vec<Trace> {
        let mut used = SlotFile::open_to_read(&self.disk, path, purpose).unwrap().used().unwrap();
        used.retain(|slot| whose(PublicKey(slot.owner)));
        let what = format!("a slot of {}", path.display());
        let trace = |slot: crate::segment::UsedSlot| Trace {
            what: what.clone(),
            bytes: slot.sealed.to_array().unwrap().to_vec(),
            offset: 36,
        };
        used.into_iter().map(trace).collect()
    }

    pub fn day_key_slots(&self) -> Vec<Trace> {
        self.files("keys").iter().flat_map(|path| self.slots(path, SlotPurpose::DayKey)).collect()
    }

    /// Whether a day key is a camera's, as its newest manifest's record says.
    pub fn is_day_key_of(&self, path: &Path, of: u16) -> bool {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let manifest = crate::disk::read_file(&self.disk, &self.files("manifests")[0], 1 << 20).unwrap();
        let (_, mut records) = crate::segment::RecordReader::new(&manifest).unwrap();
        records.any(|record| {
            matches!(record, ManifestRecord::DayKeyMade { day_key, camera: known, .. }
                if day_key.to_string() == name && known == camera(of))
        })
    }

    // What a site does.

    pub fn begin_segment(&mut self, of: u16, start: u64) {
        let vault = Arc::clone(&self.built().vault);
        let recorder = CameraRecorder::new(vault, camera(of), RETENTION);
        let (recorder, from, retention) = self.recorders.entry(of).or_insert((recorder, start, RETENTION));
        *from = start;
        let recorded = Recorded {
            id: None,
            retention: *retention,
            appended: 0,
            tried: BTreeSet::new(),
            committed: 0,
            fate: Fate::Kept,
            is_alive: true,
            key: None,
            content: None,
        };
        self.promises.segments.insert((of, start), recorded);
        recorder.begin(at(start), b"init").unwrap();
        self.note();
    }

    /// A camera's file says another period: what follows stands in a manifest of its own.
    pub fn change_period(&mut self, of: u16, retention: Retention) {
        let recorder = CameraRecorder::new(Arc::clone(&self.built().vault), camera(of), retention);
        self.recorders.insert(of, (recorder, 0, retention));
    }

    pub fn append(&mut self, of: u16) {
        let (recorder, start, _) = self.recorders.get_mut(&of).unwrap();
        let (key, start) = ((of, *start), *start);
        let number = self.promises.segments[&key].appended;
        let first_pts_90k = u64::from(number) * 90_000;
        let facts = FragmentFacts { first_pts_90k, duration_90k: 90_000, frames: 10, sync: true };
        recorder.append(facts, &picture(of, start, number)).unwrap();
        let recorded = self.promises.segments.get_mut(&key).unwrap();
        recorded.appended += 1;
        if number == 0 {
            self.trace_segment(of, start);
        }
        self.note();
    }

    fn trace_segment(&mut self, of: u16, start: u64) {
        let live = self.built().vault.live_segments(camera(of), span(start, start + 1), at(start)).unwrap();
        let id = live.iter().find(|live| live.span.from() == at(start)).unwrap().segment;
        let name = id.to_string();
        let path = self.files("rolling").into_iter().find(|path| path.ends_with(&name)).unwrap();
        let key = self.block(&path, 0)[88..168].to_vec();
        let content = self.block(&path, 1)[..64].to_vec();
        let recorded = self.promises.segments.get_mut(&(of, start)).unwrap();
        recorded.id = Some(id);
        recorded.key = Some(Trace { what: format!("the key of camera {of} from {start}"), bytes: key, offset: 88 });
        let what = format!("the content of camera {of} from {start}");
        recorded.content = Some(Trace { what, bytes: content, offset: 0 });
    }

    pub fn finish(&mut self, of: u16) {
        self.recorders.get_mut(&of).unwrap().0.finish().unwrap();
        self.note();
    }

    pub fn commit(&mut self) {
        self.try_commit();
        self.built().vault.commit().unwrap();
        self.has_committed();
    }

    pub fn try_commit(&mut self) {
        for recorded in self.promises.segments.values_mut().filter(|recorded| recorded.is_alive) {
            recorded.tried.insert(recorded.appended);
        }
        self.note();
    }

    pub fn has_committed(&mut self) {
        for recorded in self.promises.segments.values_mut().filter(|recorded| recorded.is_alive) {
            recorded.committed = recorded.appended;
        }
        self.promises.gaps.iter_mut().for_each(|(_, _, is_committed)| *is_committed = true);
        self.note();
    }

    /// `seconds` of a camera in one segment, sealed and committed.
    pub fn record(&mut self, of: u16, start: u64, seconds: u32) {
        self.begin_segment(of, start);
        (0..seconds).for_each(|_| self.append(of));
        self.finish(of);
        self.commit();
    }

    pub fn gap(&mut self, of: u16, gap: Span) {
        let (recorder, ..) = self.recorders.get_mut(&of).unwrap();
        recorder.record_gap(gap, GapCause::Stalled).unwrap();
        self.promises.gaps.push((of, gap, false));
    }

    /// The end of a daemon's run, as `app` orders it.
    pub fn stop(&mut self) {
        for of in self.recorders.keys().copied().collect::<Vec<_>>() {
            self.finish(of);
        }
        self.try_commit();
        self.built().vault.stop().unwrap();
        self.promises.is_clean = true;
        self.has_committed();
        self.checkpoint();
        self.built().access.record_daemon(Act::DaemonStopped).unwrap();
        self.note_rows();
        self.keep_time();
    }

    /// All manifests are summed up just now: a start would read none.
    pub fn is_summed(&mut self) {
        self.promises.is_summed = true;
        self.note();
        self.promises.is_summed = false;
        // Of two notes at one operation the second counts.
        self.commit_number();
        self.note();
    }

    pub fn checkpoint(&mut self) {
        self.built().access.checkpoint().unwrap();
        self.note_rows();
    }

    pub fn keep_time(&mut self) {
        self.built().access.keep_time().unwrap();
        self.promises.trusted = self.hands.clock().wall();
        self.note();
    }

    /// The power goes. What is left is a site that was not started yet.
    pub fn cut(mut self, cut: PowerCut) -> Self {
        self.recorders.clear();
        self.built = None;
        let mut next = Self::on(self.ground, self.disk.after(cut), self.recovery, self.left_out);
        next.hands = self.hands;
        next.promises = self.promises;
        next.promises.is_clean = false;
        next.promises.segments.values_mut().for_each(|recorded| recorded.is_alive = false);
        next
    }

    /// A segment that cannot be begun: some write below a directory of the volume finds the disk full.
    pub fn fail_to_begin(&mut self, of: u16, start: u64, below: &str, skip: usize) {
        let kinds: fn(OperationKind) -> bool = |kind| kind == OperationKind::Write;
        let below = self.ground.volume().join(below);
        self.disk.fail(Failure { kinds, below, skip, times: 1, error: Some(28) });
        let vault = Arc::clone(&self.built().vault);
        let mut recorder = CameraRecorder::new(vault, camera(of), RETENTION);
        assert!(recorder.begin(at(start), b"init").is_err());
        self.recorders.insert(of, (recorder, start, RETENTION));
        self.disk.mend();
        self.note();
    }

    /// Ends a segment before its day; from the answer on it is gone.
    pub fn condemn(&mut self, of: u16, start: u64) {
        self.promises.segments.get_mut(&(of, start)).unwrap().fate = Fate::Released;
        self.note();
        let (vault, holds) = (Arc::clone(&self.built().vault), Arc::clone(&self.built().holds));
        let now = self.hands.clock().wall();
        let live = vault.live_segments(camera(of), span(start, start + 1), now).unwrap();
        let told = vault.condemn(&live, &holds.lock().unwrap(), DestructionTrigger::Early, now).unwrap();
        assert_eq!((told.condemned.len(), told.refused.len()), (1, 0), "{told:?}");
        self.promises.segments.get_mut(&(of, start)).unwrap().fate = Fate::Condemned;
        self.note();
    }

    /// Time goes on; what ends then and is not held may go.
    pub fn advance(&mut self, by: Duration) {
        self.hands.advance(by);
        let now = self.hands.clock().wall();
        let holds = Arc::clone(&self.built().holds);
        let holds = holds.lock().unwrap();
        for ((of, start), recorded) in &mut self.promises.segments {
            let whole = span(*start, start + u64::from(recorded.appended.max(1)));
            let is_over = recorded.retention.expiry(whole) <= now && !holds.covers(camera(*of), whole);
            if is_over && recorded.fate != Fate::Condemned {
                recorded.fate = Fate::Due;
            }
        }
        drop(holds);
        self.note();
    }

    /// A round of the eraser, after which what was due is gone.
    pub fn round(&mut self) {
        self.built().eraser.round().unwrap();
        self.has_erased();
    }

    pub fn has_erased(&mut self) {
        let is_due = |recorded: &&Recorded| matches!(recorded.fate, Fate::Due | Fate::Condemned);
        let due = self.promises.segments.values().filter(is_due);
        let traces: Vec<Trace> =
            due.flat_map(|recorded| [recorded.key.clone(), recorded.content.clone()]).flatten().collect();
        self.promises.gone.extend(traces);
        let going = std::mem::take(&mut self.promises.going);
        self.promises.gone.extend(going);
        self.note_rows();
    }

    /// Several cameras begin between two commits.
    pub fn begin_many(&mut self, cameras: std::ops::RangeInclusive<u16>, start: u64) {
        for of in cameras {
            self.begin_segment(of, start);
            self.append(of);
        }
    }

    pub fn sign_in(&mut self, name: &str) -> Caller {
        let access = Arc::clone(&self.built().access);
        let (token, _) = access.sign_in(name, &format!("{name}-password"), HERE).unwrap();
        let caller = access.caller(&token, HERE).unwrap();
        self.note_rows();
        caller
    }

    pub fn submit(&mut self, desk: &Caller, of: u16, span: Span) -> RequestId {
        self.submit_as(desk, RequestKind::Viewing, of, span)
    }

    fn submit_as(&mut self, desk: &Caller, kind: RequestKind, of: u16, span: Span) -> RequestId {
        let (name, contact) = ("김민수".to_owned(), "010-1234-5678".to_owned());
        let person = PersonFields { name, contact, birth_date: None, address: None, relation: None };
        let new = NewRequest::own(kind, vec![camera(of)], span, "lost bag".into(), person);
        let request = self.built().access.submit(desk, new).unwrap().number;
        self.promises.holds.insert(HeldFor::Request(request));
        self.promises.persons.insert(request);
        self.note_rows();
        request
    }

    /// A person wants erased what a camera filmed, and an officer decides so.
    pub fn erase_on_request(&mut self, of: u16, start: u64, within: Span) {
        let (desk, officer) = (self.sign_in("desk"), self.sign_in("officer"));
        let request = self.submit_as(&desk, RequestKind::Erasure, of, within);
        self.identify(&desk, request);
        self.promises.holds.remove(&HeldFor::Request(request));
        self.promises.segments.get_mut(&(of, start)).unwrap().fate = Fate::Released;
        self.note();
        let access = Arc::clone(&self.built().access);
        access.erase(&officer, request, &Erasure::default(), "officer-password").unwrap();
        self.promises.segments.get_mut(&(of, start)).unwrap().fate = Fate::Condemned;
        self.note_rows();
        access.close(&desk, request).unwrap();
        self.note_rows();
    }

    pub fn identify(&mut self, desk: &Caller, request: RequestId) {
        self.built().access.check_identity(desk, request, IdentityDocument::Passport).unwrap();
        self.note_rows();
    }

    pub fn approve(&mut self, officer: &Caller, request: RequestId) -> GrantId {
        self.approve_part(officer, request, None)
    }

    /// Of all of it, or of a shorter span.
    pub fn approve_part(&mut self, officer: &Caller, request: RequestId, span: Option<Span>) -> GrantId {
        let conditions = self.conditions.clone();
        let rest = span.map(|_| Refusal { ground: RefusalGround::HarmToOthers, reason: "이영희 is visible".into() });
        let approval = Approval { viewer: Some(VIEWER), span, conditions, rest, ..Approval::default() };
        let grant =
            self.built().access.approve(officer, request, &approval, "officer-password").unwrap().grant.unwrap();
        let rows = self.rows();
        let slots = rows.iter().find_map(|row| match &row.act {
            Act::RequestDecided { decision: Decision::Approved { grant: of, slots, .. }, .. } if *of == grant => {
                Some(*slots)
            }
            _ => None,
        });
        self.promises.grants.insert(grant, slots.unwrap());
        if let Some(viewings) = self.conditions.viewings {
            self.promises.viewings.insert(grant, (viewings, viewings));
        }
        self.note_rows();
        grant
    }

    fn slots_of_grant(&self, grant: GrantId) -> Vec<Trace> {
        self.slots(&self.ground.state().join("grants").join(format!("{:08x}", grant.0)), SlotPurpose::Grant)
    }

    /// Of a grant that says how many there may be.
    pub fn begin_viewing(&mut self, viewer: &Caller, grant: GrantId) {
        let (left, _) = self.promises.viewings[&grant];
        self.promises.viewings.insert(grant, (left, left - 1));
        self.note();
        self.built().access.begin_viewing(viewer, grant, true).unwrap();
        self.promises.viewings.insert(grant, (left - 1, left - 1));
        self.note_rows();
    }

    /// The last one ends the grant.
    pub fn end_viewing(&mut self, viewer: &Caller, grant: GrantId) {
        let is_last = self.promises.viewings[&grant].0 == 0;
        let slots = self.slots_of_grant(grant);
        if is_last {
            self.promises.grants.remove(&grant);
        }
        self.note();
        self.built().access.end_viewing(viewer, grant).unwrap();
        if is_last {
            self.promises.gone.extend(slots);
        }
        self.note_rows();
    }

    pub fn revoke(&mut self, officer: &Caller, grant: GrantId) {
        let slots = self.slots_of_grant(grant);
        self.promises.grants.remove(&grant);
        let (left, _) = self.promises.viewings[&grant];
        self.promises.viewings.insert(grant, (left, 0));
        self.note();
        self.built().access.revoke_grant(officer, grant, RevocationGround::Misused).unwrap();
        self.promises.viewings.insert(grant, (0, 0));
        self.promises.gone.extend(slots);
        self.note_rows();
    }

    pub fn close(&mut self, desk: &Caller, request: RequestId, grant: GrantId) {
        self.end_with(desk, request, grant, |access, desk| access.close(desk, request).map(drop));
    }

    /// The person was given a part, objects to the rest, and then takes it all back.
    pub fn object_and_withdraw(&mut self, desk: &Caller, request: RequestId, grant: GrantId) {
        let access = Arc::clone(&self.built().access);
        access.deliver(desk, request, Channel::Visit).unwrap();
        self.note_rows();
        access.object(desk, request).unwrap();
        self.note_rows();
        self.end_with(desk, request, grant, |access, desk| access.withdraw(desk, request, Channel::Phone).map(drop));
    }

    /// Footage comes into dispute, and the dispute is settled.
    pub fn dispute(&mut self, officer: &Caller, of: u16, within: Span) {
        let access = Arc::clone(&self.built().access);
        let ground = DisputeGround::Accuracy;
        let new = NewDispute { request: None, cameras: Some(vec![camera(of)]), span: Some(within), ground };
        let dispute = access.mark_disputed(officer, new).unwrap().dispute;
        self.note_rows();
        access.settle_dispute(officer, dispute, DisputeOutcome::Agreed).unwrap();
        self.note_rows();
    }

    fn end_with(
        &mut self,
        desk: &Caller,
        request: RequestId,
        grant: GrantId,
        end: impl FnOnce(&Access, &Caller) -> Result<(), AccessError>,
    ) {
        let path = self.ground.state().join("grants").join(format!("{:08x}", grant.0));
        let slots = self.slots(&path, SlotPurpose::Grant);
        // From here on both may go.
        self.promises.grants.remove(&grant);
        self.is_released(HeldFor::Request(request));
        end(&self.built().access, desk).unwrap();
        self.promises.gone.extend(slots);
        self.note_rows();
    }

    /// From here on a hold may go, and what is past its day with it, unless another holds it.
    fn is_released(&mut self, of: HeldFor) {
        self.promises.holds.remove(&of);
        let now = self.hands.clock().wall();
        let holds = Arc::clone(&self.built().holds);
        let holds = holds.lock().unwrap();
        for ((camera_of, start), recorded) in &mut self.promises.segments {
            let whole = span(*start, start + u64::from(recorded.appended.max(1)));
            let is_held = holds.others(of, camera(*camera_of), whole).next().is_some();
            if recorded.fate == Fate::Kept && recorded.retention.expiry(whole) <= now && !is_held {
                recorded.fate = Fate::Released;
            }
        }
        drop(holds);
        self.note();
    }

    pub fn place_hold(&mut self, officer: &Caller, of: u16, span: Span, ends: Option<Utc>) -> HoldId {
        let review = self.hands.clock().wall().saturating_add(DAY);
        let text = "a fall on the stairs".to_owned();
        let new = NewHold { reason: HoldReason::Accident, text, cameras: vec![camera(of)], span, review, ends };
        let hold = self.built().access.place_hold(officer, new).unwrap().hold;
        self.promises.holds.insert(HeldFor::Hold(hold));
        self.note_rows();
        hold
    }

    pub fn confirm_hold(&mut self, officer: &Caller, of: HeldFor) {
        let password = format!("{}-password", officer.person().name);
        self.built().access.confirm_hold(officer, of, &password).unwrap();
        self.note_rows();
    }

    pub fn extend_hold(&mut self, officer: &Caller, hold: HoldId, ends: Option<Utc>) {
        let review = self.hands.clock().wall().saturating_add(DAY);
        self.built().access.extend_hold(officer, hold, review, ends).unwrap();
        self.note_rows();
    }

    pub fn release_hold(&mut self, officer: &Caller, hold: HoldId) {
        self.is_released(HeldFor::Hold(hold));
        let password = format!("{}-password", officer.person().name);
        self.built().access.release_hold(officer, hold, &password).unwrap();
        self.note_rows();
    }

    /// The daemon ends what is over by itself; of these holds the end has come.
    pub fn lapse(&mut self, of: &[HeldFor]) {
        of.iter().for_each(|of| self.is_released(*of));
        self.built().access.end_what_is_over().unwrap();
        self.note_rows();
    }

    pub fn start_operation(&mut self, desk: &Caller) -> OperationId {
        let new =
            NewOperation {
                camera: camera(THEATRE), asked_by: AskedBy::Patient, name: "김민수".to_owned(), note: None
            };
        let operation = self.built().access.start_operation(desk, new).unwrap().operation;
        self.promises.operations.insert(operation, Some(true));
        self.note_rows();
        operation
    }

    pub fn end_operation(&mut self, desk: &Caller, operation: OperationId) {
        self.promises.operations.insert(operation, None);
        self.note();
        self.built().access.end_operation(desk, operation).unwrap();
        self.promises.operations.insert(operation, Some(false));
        self.note_rows();
    }

    /// Confirms what was destroyed on each day that is over.
    pub fn confirm_days(&mut self, officer: &Caller) {
        let access = Arc::clone(&self.built().access);
        for line in access.destruction_days(officer).unwrap() {
            let seen = access.destruction_report(officer, line.day).unwrap();
            self.note_rows();
            let (report, failures) = (seen.digest, seen.report.totals.failures);
            let confirmation =
                DayConfirmation { report, failures, acknowledged: None, stated: self.hands.clock().wall() };
            access.confirm_destruction(officer, line.day, &confirmation, "officer-password").unwrap();
            self.promises.confirmed.insert(line.day);
            self.note_rows();
        }
    }

    pub fn refuse(&mut self, officer: &Caller, request: RequestId) {
        let refusal = Refusal { ground: RefusalGround::OtherJustCause, reason: "another cause".into() };
        self.built().access.refuse(officer, request, &refusal, "officer-password").unwrap();
        self.note_rows();
    }

    /// Keys sealed to somebody in a grant that no row names: as the eraser finds them in one that is open.
    pub fn stage(&mut self, grant: GrantId, of: u16, within: Span) -> Vec<Trace> {
        let now = self.hands.clock().wall();
        let vault = Arc::clone(&self.built().vault);
        let live = vault.live_segments(camera(of), within, now).unwrap();
        let keys = vault.open_keys(&live, &self.recovery, now).unwrap();
        let viewer = self.recovery.public().unwrap();
        let seal = |(live, key): &(crate::vault::LiveSegment, crate::crypto::DataKey)| {
            StagedSlot::seal(grant, &viewer, live.volume, live.segment, key).unwrap()
        };
        let staged: Vec<StagedSlot> = keys.iter().map(seal).collect();
        self.built().access.grant_store().stage(grant, &viewer, &staged).unwrap();
        let path = self.ground.state().join("grants").join(format!("{:08x}", grant.0));
        self.slots(&path, SlotPurpose::Grant)
    }
}
