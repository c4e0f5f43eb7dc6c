//! All cameras: each in a task of its own, begun again when its session ends, stopped when it is taken away.

use super::advice::Advice;
use super::pauses::{BackOff, Starts};
use super::segments::{RecordError, SegmentCutter};
use super::{Backlog, Limits, SourceError, SourceEvent, receive};
use crate::domain::{CameraNumber, Filming, GapCause, Retention, Source, Utc};
use crate::vault::{CameraRecorder, TrustedClock, Vault};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a camera's hours, or an operation, began or ended: a clock that is set meanwhile changes
/// nothing more.
const GLANCE: Duration = Duration::from_millis(250);

/// What a camera is doing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CameraStatus {
    pub state: CameraState,
    pub since: Utc,
    /// What is wrong, and what to do, also where it is recorded all the same; never an address or a password.
    pub detail: Option<String>,
    /// When the newest frame was filmed.
    pub newest_frame: Option<Utc>,
    pub sessions: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameraState {
    /// Waiting for its first frame.
    Connecting,
    Recording,
    /// Its session failed; another follows.
    Waiting,
    /// It is outside its hours, or no operation is under way: nothing is received.
    Resting,
}

/// Tells whether an operation is under way before a camera. Who knows stands above this room.
#[derive(Clone)]
pub struct OperationsUnderWay(pub Arc<dyn Fn(CameraNumber) -> bool + Send + Sync>);

impl std::fmt::Debug for OperationsUnderWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperationsUnderWay")
    }
}

/// What all sessions share.
#[derive(Debug)]
pub struct Receiving {
    pub vault: Arc<Vault>,
    pub time: Arc<TrustedClock>,
    pub limits: Limits,
    /// Where all that they receive waits.
    pub backlog: Backlog,
    pub segment: Duration,
    pub operations: OperationsUnderWay,
    /// The program that is started with the argument `worker`.
    pub worker_program: PathBuf,
}

type Statuses = Arc<Mutex<BTreeMap<CameraNumber, CameraStatus>>>;

/// All cameras of the site.
#[derive(Debug)]
pub struct Cameras {
    shared: Arc<Receiving>,
    starts: Arc<Starts>,
    statuses: Statuses,
    running: HashMap<CameraNumber, (CancellationToken, JoinHandle<()>)>,
    thread: ReceivingThread,
}

/// Where all cameras are received: one thread of their own. It is enough for hundreds of them, costs less than handing
/// each packet to whichever thread is free, and whatever people ask of the daemon takes nothing of it.
#[derive(Debug)]
struct ReceivingThread {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl ReceivingThread {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("receiving").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for ReceivingThread {
    fn drop(&mut self) {
        // All cameras were waited for; a runtime must not wait for its threads inside another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Reads what the cameras are doing.
#[derive(Clone, Debug)]
pub struct CameraWatchers(Statuses);

impl CameraWatchers {
    pub fn all(&self) -> BTreeMap<CameraNumber, CameraStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Cameras {
    /// # Errors
    /// Where the thread that receives cannot be started.
    pub fn new(shared: Receiving) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::new(shared),
            starts: Arc::default(),
            statuses: Statuses::default(),
            running: HashMap::new(),
            thread: ReceivingThread::start()?,
        })
    }

    pub fn watchers(&self) -> CameraWatchers {
        CameraWatchers(Arc::clone(&self.statuses))
    }

    /// Begins to record a camera; touches no other.
    pub fn start(&mut self, source: Source, retention: Retention, filming: Filming) {
        let camera = source.camera;
        let stop = CancellationToken::new();
        let task = CameraTask {
            shared: Arc::clone(&self.shared),
            starts: Arc::clone(&self.starts),
            statuses: Arc::clone(&self.statuses),
            source,
            filming,
            stop: stop.clone(),
        };
        task.note(CameraState::Connecting, None);
        self.running.insert(camera, (stop, self.thread.handle.spawn(task.run(retention))));
    }

    /// Ends a camera's recording, and waits until its segment is ended.
    pub async fn stop(&mut self, camera: CameraNumber) {
        if let Some((stop, task)) = self.running.remove(&camera) {
            stop.cancel();
            if let Err(e) = task.await {
                tracing::error!(camera = %camera, error = %e, "a camera's task broke off");
            }
        }
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).remove(&camera);
    }

    /// Ends all.
    pub async fn stop_all(&mut self) {
        for (stop, _) in self.running.values() {
            stop.cancel();
        }
        let cameras: Vec<CameraNumber> = self.running.keys().copied().collect();
        for camera in cameras {
            self.stop(camera).await;
        }
    }
}

struct CameraTask {
    shared: Arc<Receiving>,
    starts: Arc<Starts>,
    statuses: Statuses,
    source: Source,
    filming: Filming,
    stop: CancellationToken,
}

/// Why a session came to its end.
enum SessionEnd {
    Failed(SourceError),
    /// Its hours, or the operation, are over.
    FilmedAll,
    Stopped,
}

/// What was said of a session so far.
#[derive(Debug, Default)]
struct Noted {
    /// Why what came last could not be recorded.
    refused: Option<String>,
    advice: Advice,
}

impl CameraTask {
    async fn run(self, retention: Retention) {
        let camera = self.source.camera;
        let recorder = CameraRecorder::new(Arc::clone(&self.shared.vault), camera, retention);
        let time = Arc::clone(&self.shared.time);
        let mut cutter = SegmentCutter::new(recorder, camera, time, self.shared.segment);
        let clock = self.shared.time.clock().clone();
        let (mut back_off, mut told) = (BackOff::default(), None);
        loop {
            if !self.wait_to_film(&mut cutter).await {
                break;
            }
            let began = clock.monotonic();
            let end = self.session(&mut cutter).await;
            let cause = match &end {
                SessionEnd::Failed(why) => why.cause(),
                SessionEnd::FilmedAll => self.why_it_rests(),
                SessionEnd::Stopped => GapCause::NotRunning,
            };
            if let Err(e) = cutter.end_session(cause).await {
                tracing::error!(camera = %camera, error = %e, "the end of a session could not be recorded");
            }
            let why = match end {
                SessionEnd::Failed(why) => why,
                SessionEnd::FilmedAll => continue,
                SessionEnd::Stopped => break,
            };
            let (text, pause) = (why.to_string(), back_off.pause(clock.monotonic().saturating_sub(began), &why));
            // A camera that is away for a week is told of once, not each time that it is tried.
            if told.as_ref() != Some(&text) || !self.is_waiting() {
                tracing::warn!(camera = %camera, why = %text, again_in = ?pause, "the camera is not recorded");
            }
            told = Some(text.clone());
            self.note(CameraState::Waiting, Some(text));
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = clock.sleep(pause) => {}
            }
        }
        if let Err(e) = cutter.stop().await {
            tracing::error!(camera = %camera, error = %e, "the camera's last segment could not be ended");
        }
    }

    fn is_to_film(&self) -> bool {
        match &self.filming {
            Filming::Always => true,
            Filming::Hours(hours) => hours.contain(self.shared.time.trusted()),
            Filming::Operations => (self.shared.operations.0)(self.source.camera),
        }
    }

    /// Why there is nothing while it is not to film.
    fn why_it_rests(&self) -> GapCause {
        match &self.filming {
            Filming::Always | Filming::Hours(_) => GapCause::OutsideHours,
            Filming::Operations => GapCause::NoOperation,
        }
    }

    fn resting_detail(&self) -> String {
        match &self.filming {
            Filming::Operations => "no operation is under way".to_owned(),
            Filming::Always => "outside its hours, until never".to_owned(),
            Filming::Hours(hours) => {
                let until = hours.next_change(self.shared.time.trusted());
                format!(
                    "outside its hours, until {}",
                    until.map_or_else(|| "never".to_owned(), |until| until.to_string())
                )
            }
        }
    }

    /// Waits until it is to film; `false` when it is to be stopped first.
    async fn wait_to_film(&self, cutter: &mut SegmentCutter) -> bool {
        if self.is_to_film() {
            return true;
        }
        let detail = self.resting_detail();
        tracing::info!(camera = %self.source.camera, detail, "nothing is received");
        self.note(CameraState::Resting, Some(detail));
        let mut failed = None;
        let mut note_gap = |told: Result<(), RecordError>| {
            let text = told.err().map(|e| e.to_string());
            if let Some(error) = text.as_ref().filter(|text| failed.as_ref() != Some(*text)) {
                tracing::error!(camera = %self.source.camera, error, "a gap could not be recorded");
            }
            failed = text;
        };
        while !self.is_to_film() {
            // What is missing up to here has the cause that was known; from here on it is that it is not to film.
            note_gap(cutter.rest(self.why_it_rests()).await);
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = self.shared.time.clock().sleep(GLANCE) => {}
            }
        }
        note_gap(cutter.wake().await);
        self.note(CameraState::Connecting, None);
        true
    }

    /// Ends when it is to film no more.
    async fn filmed_all(&self) {
        while self.is_to_film() {
            self.shared.time.clock().sleep(GLANCE).await;
        }
    }

    /// One session: until the camera fails, it is to film no more, or it is to be stopped.
    async fn session(&self, cutter: &mut SegmentCutter) -> SessionEnd {
        let (to_us, mut events) = self.shared.backlog.line(self.source.camera);
        let mut receiving = JoinSet::new();
        let (shared, starts, source) = (Arc::clone(&self.shared), Arc::clone(&self.starts), self.source.clone());
        receiving.spawn(async move {
            starts.turn(shared.time.clock()).await;
            receive(&source, shared.time.clock(), &shared.limits, &to_us, &shared.worker_program).await
        });
        let mut noted = Noted::default();
        let over = self.filmed_all();
        tokio::pin!(over);
        let end = loop {
            tokio::select! {
                () = self.stop.cancelled() => break Some(SessionEnd::Stopped),
                () = &mut over => break Some(SessionEnd::FilmedAll),
                event = events.recv() => match event {
                    Some(event) => self.take(cutter, event, &mut noted).await,
                    None => break None,
                },
            }
        };
        if let Some(end) = end {
            // What had come by now is recorded: a recorder is not woken for each frame.
            receiving.abort_all();
            while let Some(event) = events.try_recv() {
                self.take(cutter, event, &mut noted).await;
            }
            return end;
        }
        match receiving.join_next().await {
            Some(Ok(why)) => SessionEnd::Failed(why),
            Some(Err(e)) => SessionEnd::Failed(SourceError::Disconnected { detail: e.to_string() }),
            None => SessionEnd::Failed(SourceError::Ended),
        }
    }

    /// Records what came, and notes how that went.
    async fn take(&self, cutter: &mut SegmentCutter, event: SourceEvent, noted: &mut Noted) {
        noted.advice.see(&event);
        let newest = match &event {
            SourceEvent::Frame(frame) => Some(frame.filmed_at),
            _ => None,
        };
        match cutter.take(event).await {
            Ok(()) => {
                // A frame that only waits for the rest of its group is not recorded yet.
                if let Some(newest) = newest.filter(|_| noted.refused.is_none() || cutter.is_recording()) {
                    noted.refused = None;
                    self.note_frame(newest, noted.advice.text());
                }
            }
            Err(e) => {
                let text = e.to_string();
                if noted.refused.as_ref() != Some(&text) {
                    tracing::error!(camera = %self.source.camera, error = %text, "footage could not be recorded");
                    self.note(CameraState::Waiting, Some(text.clone()));
                }
                noted.refused = Some(text);
            }
        }
    }

    fn is_waiting(&self) -> bool {
        let all = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&self.source.camera).is_some_and(|known| known.state == CameraState::Waiting)
    }

    fn note(&self, state: CameraState, detail: Option<String>) {
        let since = self.shared.time.trusted();
        let mut all = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(self.source.camera).or_insert(CameraStatus {
            state,
            since,
            detail: None,
            newest_frame: None,
            sessions: 0,
        });
        if known.state != state {
            known.since = since;
        }
        known.state = state;
        known.detail = detail;
    }

    fn note_frame(&self, filmed_at: Utc, advice: Option<String>) {
        let mut all = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = all.get_mut(&self.source.camera) else { return };
        known.newest_frame = Some(filmed_at);
        if known.state != CameraState::Recording {
            known.state = CameraState::Recording;
            known.since = self.shared.time.trusted();
            known.detail = None;
            known.sessions += 1;
            tracing::info!(camera = %self.source.camera, "the camera is recorded");
        }
        if known.detail != advice {
            if let Some(advice) = &advice {
                tracing::warn!(camera = %self.source.camera, advice, "the camera is recorded, and not as it should be");
            }
            known.detail = advice;
        }
    }
}
