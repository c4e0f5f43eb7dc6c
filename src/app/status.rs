//! How the daemon is.

use super::capacity::{DiskLine, Foresight, RoomLine};
use crate::access::{Access, Duties};
use crate::clock::Clock;
use crate::domain::{CameraNumber, Utc, VolumeId};
use crate::http::KnownCameras;
use crate::ingest::{Backlog, BacklogReport, CameraState, CameraStatus, CameraWatchers};
use crate::ledger::{LedgerRoom, SharedLedger};
use crate::retention::Round;
use crate::vault::{AgeReport, ClockReport, Discarding, Holds, TrustedClock, UnprovenFiles, Vault, Volume};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Frames that were dropped within this time are an alarm.
const LATELY: Duration = Duration::from_secs(60);

/// How one camera is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CameraLine {
    pub number: CameraNumber,
    pub name: String,
    pub state: String,
    pub since: Option<Utc>,
    pub newest_frame: Option<Utc>,
    pub detail: Option<String>,
    /// Whether its pictures, and its password, are encrypted on their way here.
    pub encrypted: bool,
}

/// How one volume is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VolumeLine {
    pub volume: VolumeId,
    pub dir: PathBuf,
    pub free_bytes: Option<u64>,
    pub overwriting_is_proven: bool,
    pub failed: bool,
    /// The device, as receipts name it.
    pub model: String,
    pub serial: String,
    /// How long the eraser pauses after each MiB, for the cameras' sake.
    pub erasing_pause_us: u64,
    /// How long the last commit took.
    pub commit_ms: u64,
    /// How long a commit has been waiting for the disk by now; 0 where none is.
    pub waiting_for_disk_ms: u64,
    /// Whether the device is told which blocks are free.
    pub discard: String,
    /// What footage takes here, and what is foreseen.
    pub room: RoomLine,
}

/// How old what is there was, at the nightly check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgeLine {
    pub nothing_older: bool,
    pub checked_at: Utc,
    pub oldest_readable: Option<Utc>,
    pub oldest_block: Option<Utc>,
    pub held_segments: u64,
    pub held_bytes: u64,
    /// How many things were older than they may be.
    pub older: u64,
}

impl From<&AgeReport> for AgeLine {
    fn from(report: &AgeReport) -> Self {
        Self {
            nothing_older: report.nothing_older,
            checked_at: report.checked_at,
            oldest_readable: report.oldest_readable.map(|frame| frame.at),
            oldest_block: report.oldest_block.map(|frame| frame.at),
            held_segments: report.held.segments,
            held_bytes: report.held.bytes,
            older: report.older_count,
        }
    }
}

/// How the daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// What everybody must be told first: that this is a demonstration.
    pub notice: Option<String>,
    pub address: SocketAddr,
    /// The trusted time.
    pub now: Utc,
    pub clock_in_doubt: bool,
    pub clock: ClockReport,
    pub cameras: Vec<CameraLine>,
    pub volumes: Vec<VolumeLine>,
    /// All volumes together.
    pub disk: DiskLine,
    /// What was received and is not written yet, and the most that may be.
    pub waiting_bytes: u64,
    pub waiting_limit_bytes: u64,
    /// Frames that were dropped since the start because the disks were too slow.
    pub dropped_frames: u64,
    pub day_keys: usize,
    pub holds: usize,
    /// What holds keep, and what waits for an officer.
    pub duties: Duties,
    pub due: u64,
    pub destroyed: u64,
    pub destroyed_unproven: u64,
    pub ledger_sequence: u64,
    pub ledger_writable: bool,
    /// Whether anything was older than it may be when that was checked last; `None` until the first check.
    pub age: Option<AgeLine>,
    /// `enough`, `reserve-in-use` or `none`.
    pub ledger_room: String,
    /// What a person must look at. Empty: all is well.
    pub alarms: Vec<String>,
}

/// What is done again and again, and failed the last time. Each room says for itself what and what to do.
#[derive(Clone, Debug, Default)]
pub(super) struct FailingWork(Arc<Mutex<BTreeMap<String, String>>>);

impl FailingWork {
    /// Takes note of how it went.
    pub fn note(&self, what: &str, failure: Option<&str>) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(failure) => failing.insert(what.to_owned(), failure.to_owned()),
            None => failing.remove(what),
        };
    }

    /// By name of the work.
    pub fn alarms(&self) -> Vec<String> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failing.iter().map(|(what, failure)| format!("{what} fails: {failure}")).collect()
    }
}

#[derive(Debug, Default)]
struct Erased {
    total: u64,
    unproven: u64,
}

/// Puts a status together.
#[derive(Clone, Debug)]
pub(super) struct StatusDesk {
    vault: Arc<Vault>,
    time: Arc<TrustedClock>,
    holds: Arc<Mutex<Holds>>,
    foresight: Foresight,
    access: Arc<Access>,
    ledger: SharedLedger,
    watchers: CameraWatchers,
    backlog: Backlog,
    known: KnownCameras,
    address: SocketAddr,
    notice: Option<&'static str>,
    /// The newest status that could be had; whoever looks holds `looking`.
    newest: Arc<Mutex<Option<Status>>>,
    looking: Arc<tokio::sync::Mutex<()>>,
    erased: Arc<Mutex<Erased>>,
    age: Arc<Mutex<Option<AgeLine>>>,
    failing: FailingWork,
}

impl StatusDesk {
    #[allow(clippy::too_many_arguments, reason = "one of each room that is asked")]
    pub fn new(
        vault: Arc<Vault>,
        time: Arc<TrustedClock>,
        holds: Arc<Mutex<Holds>>,
        foresight: Foresight,
        access: Arc<Access>,
        ledger: SharedLedger,
        watchers: CameraWatchers,
        backlog: Backlog,
        known: KnownCameras,
        address: SocketAddr,
        notice: Option<&'static str>,
    ) -> Self {
        Self {
            vault,
            time,
            holds,
            foresight,
            access,
            ledger,
            watchers,
            backlog,
            known,
            address,
            notice,
            newest: Arc::default(),
            looking: Arc::default(),
            erased: Arc::default(),
            age: Arc::default(),
            failing: FailingWork::default(),
        }
    }

    /// Takes note of what the eraser did.
    pub fn note_round(&self, round: &Round) {
        let mut erased = self.erased.lock().unwrap_or_else(PoisonError::into_inner);
        erased.total += u64::from(round.erased);
        erased.unproven += u64::from(round.unproven);
    }

    /// Takes note of a nightly check. Nothing but a check that finds nothing takes the alarm back.
    pub fn note_age(&self, told: Result<AgeReport, String>) {
        const WHAT: &str = "checking that nothing is older than it may be";
        match told {
            Ok(report) => {
                let first =
                    report.older.first().map_or_else(String::new, |first| format!("{}: {}", first.file, first.what));
                let alarm = format!(
                    "{} things are; the first: {first}. See `custodian verify --nothing-older`",
                    report.older_count
                );
                self.failing.note(WHAT, (!report.nothing_older).then_some(alarm.as_str()));
                *self.age.lock().unwrap_or_else(PoisonError::into_inner) = Some(AgeLine::from(&report));
            }
            Err(e) => self.failing.note(WHAT, Some(&format!("it could not be done: {e}"))),
        }
    }

    pub fn clock(&self) -> &Clock {
        self.time.clock()
    }

    pub fn ledger(&self) -> SharedLedger {
        self.ledger.clone()
    }

    /// Where those who do something regularly note how it went.
    pub fn failing(&self) -> FailingWork {
        self.failing.clone()
    }

    fn cameras(&self) -> Vec<CameraLine> {
        let statuses: BTreeMap<CameraNumber, CameraStatus> = self.watchers.all();
        let line = |camera: &crate::config::Camera| {
            let status = statuses.get(&camera.number);
            CameraLine {
                number: camera.number,
                name: camera.name.clone(),
                state: status.map_or("starting", |status| state_name(status.state)).to_owned(),
                since: status.map(|status| status.since),
                newest_frame: status.and_then(|status| status.newest_frame),
                detail: status.and_then(|status| status.detail.clone()),
                encrypted: camera.source.is_encrypted(),
            }
        };
        self.known.get().iter().map(line).collect()
    }

    fn volumes(&self, lines: Vec<RoomLine>) -> Vec<VolumeLine> {
        self.vault.volumes().iter().zip(lines).map(|(volume, room)| volume_line(volume, room)).collect()
    }

    /// What the cameras say that are not recorded, and which disks do not keep up. It waits for no disk.
    fn alarms_at_once(&self, cameras: &[CameraLine], backlog: &BacklogReport) -> Vec<String> {
        let mut alarms = Vec::new();
        for camera in cameras.iter().filter(|camera| camera.state == state_name(CameraState::Waiting)) {
            let detail = camera.detail.as_deref().unwrap_or("no reason is known");
            alarms.push(format!("camera {} ({}) is not recorded: {detail}", camera.number, camera.name));
        }
        alarms.extend(self.known.wrong().into_iter().map(|wrong| format!("a camera's file is not in force: {wrong}")));
        let mib = |bytes: u64| bytes >> 20;
        for volume in self.vault.volumes().iter().filter(|volume| volume.hangs()) {
            alarms.push(format!(
                "volume {} has not ended a flush for {} s: what cameras send waits in memory ({} of {} MiB), and beyond that \
                 the oldest is dropped. Check its disk and cable; nothing needs a restart",
                volume.dir().display(),
                volume.has_not_answered_for().as_secs(),
                mib(backlog.waiting_bytes),
                mib(backlog.budget_bytes)
            ));
        }
        if let Some(first) = backlog.dropping.first() {
            let more = backlog.dropping.len() - 1;
            alarms.push(format!(
                "the disks are too slow for what cameras send: within the last minute footage of camera {first} and {more} \
                 more was dropped. Lower the cameras' bit rates, or give them a faster disk or one more"
            ));
        }
        alarms
    }

    /// A status, or where the disk does not let it be had in time, the one before with what is known at once.
    pub async fn within(&self, limit: Duration) -> io::Result<Status> {
        let clock = self.time.clock();
        if let Ok(looking) = clock.timeout(limit, Arc::clone(&self.looking).lock_owned()).await {
            let desk = self.clone();
            let look = tokio::task::spawn_blocking(move || {
                let status = desk.status();
                *desk.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(status.clone());
                drop(looking);
                status
            });
            match clock.timeout(limit, look).await {
                Ok(told) => return Ok(told?),
                Err(e) => tracing::debug!(error = %e, "the disk does not let a status be had"),
            }
        }
        let before = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut status = before.ok_or(io::ErrorKind::TimedOut)?;
        let backlog = self.backlog.report(LATELY);
        status.cameras = self.cameras();
        for (line, volume) in status.volumes.iter_mut().zip(self.vault.volumes()) {
            line.waiting_for_disk_ms = whole(volume.has_not_answered_for().as_millis());
        }
        status.alarms = self.alarms_at_once(&status.cameras, &backlog);
        status.alarms.push(format!("a disk does not answer: all but the cameras is told as it was at {}", status.now));
        (status.waiting_bytes, status.dropped_frames) = (backlog.waiting_bytes, backlog.dropped_frames);
        Ok(status)
    }

    fn status(&self) -> Status {
        let foreseen = self.foresight.look(&self.vault, &self.known.get(), self.time.trusted());
        let (cameras, volumes) = (self.cameras(), self.volumes(foreseen.volumes));
        let (ledger_sequence, _) = self.ledger.head();
        let backlog = self.backlog.report(LATELY);
        let mut alarms = self.alarms_at_once(&cameras, &backlog);
        for volume in volumes.iter().filter(|volume| volume.failed) {
            alarms.push(format!("volume {} failed and takes nothing more: replace its disk", volume.dir.display()));
        }
        for volume in self.vault.volumes() {
            let UnprovenFiles { files, newest } = volume.unproven_files();
            if let Some(newest) = newest {
                alarms.push(format!(
                    "{files} files of manifests, day keys or left-overs were overwritten since the start and that was not \
                     proven, the last of them {}: what stood in them may still be on the disk. Check the disk, and replace it \
                     if it fails; its old one is to be shredded",
                    newest.display()
                ));
            }
        }
        for away in self.vault.away() {
            alarms.push(format!(
                "volume {} is not used: what is on it is neither shown nor destroyed. {}",
                away.dir.display(),
                away.why
            ));
        }
        alarms.extend(foreseen.alarms);
        if let Some(damage) = self.ledger.damage() {
            alarms.push(format!("nothing is shown or decided, and no operation can begin or end: {damage}"));
        } else if self.ledger.room() == LedgerRoom::ReserveInUse {
            alarms.push(
                "the ledger's disk is full and its reserve is in use: nothing is shown; receipts, holds and decisions are \
                 recorded for about a day more. Free room on it"
                    .into(),
            );
        } else if self.ledger.room() == LedgerRoom::None {
            alarms.push(
                "the ledger's disk is full, and took no row: nothing is shown or decided, no operation can begin or end, and \
                 receipts wait. Free room on it; nothing needs a restart"
                    .into(),
            );
        } else if !self.ledger.is_writable() {
            alarms.push(
                "the ledger cannot be written, so nothing is shown, and no operation can begin or end: free or replace its \
                 disk, restart"
                    .into(),
            );
        }
        let clock = self.time.report();
        alarms.extend(clock.waits_for.clone());
        let (destroyed, destroyed_unproven) = {
            let erased = self.erased.lock().unwrap_or_else(PoisonError::into_inner);
            (erased.total, erased.unproven)
        };
        alarms.extend(self.failing.alarms());
        let mut duties = self.access.duties();
        alarms.append(&mut duties.alarms);
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            notice: self.notice.map(str::to_owned),
            address: self.address,
            now: clock.trusted,
            clock_in_doubt: clock.in_doubt.is_some(),
            clock,
            cameras,
            volumes,
            disk: foreseen.disk,
            waiting_bytes: backlog.waiting_bytes,
            waiting_limit_bytes: backlog.budget_bytes,
            dropped_frames: backlog.dropped_frames,
            day_keys: self.vault.day_key_count(),
            holds: self.holds.lock().unwrap_or_else(PoisonError::into_inner).list().len(),
            duties,
            // A manifest that cannot be read is an alarm of the eraser's.
            due: self.vault.due_count(self.time.trusted()).unwrap_or(0),
            destroyed,
            destroyed_unproven,
            ledger_sequence,
            ledger_writable: self.ledger.is_writable(),
            age: self.age.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ledger_room: room_name(self.ledger.room()).to_owned(),
            alarms,
        }
    }
}

fn whole(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn volume_line(volume: &Volume, room: RoomLine) -> VolumeLine {
    let pacing = volume.pacing();
    VolumeLine {
        volume: volume.id(),
        dir: volume.dir().to_path_buf(),
        free_bytes: room.free_bytes,
        overwriting_is_proven: volume.is_proven(),
        failed: volume.is_latched(),
        model: volume.device().model.clone(),
        serial: volume.device().serial.clone(),
        erasing_pause_us: whole(pacing.pause.as_micros()),
        commit_ms: whole(pacing.last_commit.as_millis()),
        waiting_for_disk_ms: whole(volume.has_not_answered_for().as_millis()),
        discard: match volume.discarding() {
            Discarding::NotYet => "nothing was erased yet".to_owned(),
            Discarding::Off => "switched off".to_owned(),
            Discarding::Done { at, bytes } => format!("told at {at}: {bytes} bytes are free"),
            Discarding::NotPermitted => "not permitted: it takes CAP_SYS_ADMIN; fstrim.timer can do it".to_owned(),
            Discarding::NotOffered => "the device does not offer it".to_owned(),
            Discarding::Failed { why } => format!("failed: {why}"),
        },
        room,
    }
}

fn room_name(room: LedgerRoom) -> &'static str {
    match room {
        LedgerRoom::Enough => "enough",
        LedgerRoom::ReserveInUse => "reserve-in-use",
        LedgerRoom::None => "none",
    }
}

fn state_name(state: CameraState) -> &'static str {
    match state {
        CameraState::Connecting => "connecting",
        CameraState::Recording => "recording",
        CameraState::Waiting => "waiting",
        CameraState::Resting => "resting",
    }
}
