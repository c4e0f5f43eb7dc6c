//! The composition root: builds every room, runs them, and lets them end in order. Nothing else knows more than its
//! neighbours.
//!
//! Order of a start: lock → key files are private → device tests → holds → volumes (recovery) → index → ledger, accounts
//! → eraser → cameras → HTTP. Order of a stop: HTTP → cameras (their segments are ended) → eraser → last commit → ledger's
//! last row.

mod capacity;
mod console;
mod control;
mod encryption;
mod follow;
mod nightly;
mod regular;
mod status;
#[cfg(test)]
mod tests;

pub use capacity::{DiskLine, RoomLine};
pub use console::{ReinstateAnswer, reinstate};
pub use control::{CONTROL_NAME, ask_status};
pub use status::Status;

use crate::access::{Access, Periods, RequestRules, SecondFactorFor, SessionLimits, SiteFiles, StartError};
use crate::catalog::{Catalog, CatalogError};
use crate::clock::Clock;
use crate::config::{CameraWatch, Recording, SITE_FILE, SecondFactor, Site, WatchError};
use crate::disk::{SharedDisk, SiteLock, return_freed_memory};
use crate::http::{self, Connections, KnownCameras, Routes, Tls, TlsError};
use crate::ingest::{Backlog, Cameras, Limits, OperationsUnderWay, Receiving};
use crate::ledger::{Act, ClosedManifests, ManifestCheckpoint, NewestKnown};
use crate::retention::{Eraser, Fullness};
use crate::vault::{Holds, LastKnown, TrustedClock, Vault, VaultError, Volume, device_is_proven};
use capacity::Foresight;
use follow::Following;
use nightly::AgeWatch;
use regular::{erasing, every};
use status::StatusDesk;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const ANCHOR_EVERY: Duration = Duration::from_secs(60);
/// What comes to its day is unreadable within a second.
const KEYS_EVERY: Duration = Duration::from_millis(250);
const BLOCKS_EVERY: Duration = Duration::from_millis(500);
const RECEIPTS_EVERY: Duration = Duration::from_secs(2);
const CLOSING_EVERY: Duration = Duration::from_secs(2);
const GRANTS_EVERY: Duration = Duration::from_secs(1);
const ROOM_EVERY: Duration = Duration::from_secs(2);
/// A month that is over takes about a third of a second: three years within twenty minutes, unnoticed.
const MONTH_EVERY: Duration = Duration::from_secs(30);
const RESERVE_EVERY: Duration = Duration::from_secs(5);
/// What a burst, a check of everything or a new index needed is not kept for the next one.
const MEMORY_EVERY: Duration = Duration::from_secs(60);
/// Answers under way have this long to come to their end at a stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the daemon is already running on this site; see `custodian status`")]
    AlreadyRunning,
    #[error("{what}: {source}")]
    Disk { what: String, source: io::Error },
    #[error("the address {address} cannot be used: {source}; choose another with --listen or in site.toml")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("the cameras' directory cannot be watched: {0}")]
    Watch(#[from] WatchError),
    #[error("the ledger takes no rows: {0}")]
    Access(#[from] crate::access::AccessError),
    #[error("a part of the daemon broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
    #[error("the HTTP server failed: {0}")]
    Http(io::Error),
}

/// What a test puts its own in the place of: the disk, the clock, the peers.
#[derive(Clone, Debug)]
pub struct Doors {
    pub disk: SharedDisk,
    pub clock: Clock,
    pub clock_is_synchronised: fn() -> bool,
    /// The program that is started with the argument `worker`.
    pub worker_program: PathBuf,
}

/// Where the state of a site is.
pub fn state_dir(site: &Site) -> PathBuf {
    site.dir.join("state")
}

/// A daemon that was built and has not begun to work.
#[derive(Debug)]
pub struct Daemon {
    site: Site,
    doors: Doors,
    vault: Arc<Vault>,
    access: Arc<Access>,
    eraser: Arc<Eraser>,
    fullness: Arc<Fullness>,
    desk: StatusDesk,
    ages: AgeWatch,
    cameras: Cameras,
    known: KnownCameras,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    notice: Option<&'static str>,
    _lock: SiteLock,
}

impl Daemon {
    /// Builds everything, up to the point where pictures could be received and questions answered.
    ///
    /// # Errors
    /// [`AppError`]; nothing was changed that a later start would not change too.
    pub async fn build(site: Site, doors: Doors) -> Result<Self, AppError> {
        // The one place where the demonstration is shown from; `config` alone acts on it.
        let notice = site.pace.notice();
        let state = state_dir(&site);
        let files = SiteFiles::open(Arc::clone(&doors.disk), &state)?;
        let on = |what: &Path| {
            let what = what.display().to_string();
            move |source| AppError::Disk { what, source }
        };
        let lock_path = state.join("lock");
        let lock = SiteLock::take(&lock_path).map_err(on(&lock_path))?.ok_or(AppError::AlreadyRunning)?;
        if let Some(notice) = notice {
            tracing::warn!("{notice}");
        }
        let wanted = site.listen.address();
        let listener =
            TcpListener::bind(wanted).await.map_err(|source| AppError::Listen { address: wanted, source })?;
        let address = listener.local_addr().map_err(AppError::Http)?;
        let id = files.site();
        let tls = encryption::of(&site, &doors, &state)?;
        let built = {
            let (site, doors, state) = (site.clone(), doors.clone(), state.clone());
            tokio::task::spawn_blocking(move || Built::new(&site, &doors, &files, &state)).await??
        };
        let Built { vault, time, holds, access, eraser, fullness, ledger } = built;
        let backlog = Backlog::new(site.recording.waiting_bytes, doors.clock.clone());
        let receiving = Receiving {
            vault: Arc::clone(&vault),
            time: Arc::clone(&time),
            limits: Limits::default(),
            backlog: backlog.clone(),
            segment: site.recording.segment,
            operations: {
                let access = Arc::clone(&access);
                OperationsUnderWay(Arc::new(move |camera| access.operates(camera)))
            },
            worker_program: doors.worker_program.clone(),
        };
        let cameras = Cameras::new(receiving)
            .map_err(|source| AppError::Disk { what: "the thread that receives cameras".into(), source })?;
        let known = KnownCameras::default();
        let ages = AgeWatch::new(&site, &doors.disk, id, &time, &holds, &access);
        let desk = StatusDesk::new(
            Arc::clone(&vault),
            Arc::clone(&time),
            holds,
            Foresight { fullness: Arc::clone(&fullness), warn_ahead: site.recording.warn_ahead },
            Arc::clone(&access),
            ledger,
            cameras.watchers(),
            backlog,
            known.clone(),
            address,
            notice,
        );
        Ok(Self {
            site,
            doors,
            vault,
            access,
            eraser,
            fullness,
            desk,
            ages,
            cameras,
            known,
            listener,
            address,
            tls,
            notice,
            _lock: lock,
        })
    }

    /// Where the API is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Works until `stop`, then ends in order.
    ///
    /// # Errors
    /// [`AppError`] where the end could not be recorded, or a part broke off.
    pub async fn run(self, stop: CancellationToken) -> Result<(), AppError> {
        let Self {
            site,
            doors,
            vault,
            access,
            eraser,
            fullness,
            desk,
            ages,
            mut cameras,
            known,
            listener,
            address,
            tls,
            notice,
            _lock,
        } = self;
        let clock = doors.clock.clone();
        let started = Act::DaemonStarted { version: env!("CARGO_PKG_VERSION").to_owned(), demo: notice.is_some() };
        if let Err(e) = blocking(&access, move |access| access.record_daemon(started)).await? {
            tracing::error!(error = %e, "the ledger takes no rows: footage is recorded, and nothing is shown");
        }
        if let Err(e) = blocking(&access, Access::keep_time).await? {
            tracing::error!(error = %e, "what became of the clock is not on record yet");
        }
        let inner = CancellationToken::new();
        let mut work = regular_work(&site, &clock, &inner, &vault, &access, &eraser, &fullness, &desk);

        work.spawn(nightly::watch(ages, site.time_zone.clone(), desk.clone(), clock.clone(), inner.clone()));
        encryption::keep_renewed(tls.as_ref(), &mut work, (&clock, &inner), &desk);
        let console = state_dir(&site).join(console::CONSOLE_NAME);
        work.spawn(console::answer(Arc::clone(&access), clock.clone(), console, inner.clone()));
        let routes = Routes {
            access: Arc::clone(&access),
            watchers: cameras.watchers(),
            cameras: known.clone(),
            connections: Connections::default(),
            clock: clock.clone(),
            is_encrypted: tls.is_some(),
            notice,
        };
        let http_stop = CancellationToken::new();
        let mut server = tokio::spawn(http::serve(listener, routes, tls, http_stop.clone()));
        // The watch begins before the first reading, so that no change falls in between.
        let site_file = site.dir.join(SITE_FILE);
        let mut watch = CameraWatch::start_beside(&site.camera_dir, Some(&site_file), clock.clone())?;
        let mut following = Following::new(&site, &vault, &access, &known);
        following.follow(&mut cameras).await?;
        tracing::info!(address = %address, "listening");
        let served = loop {
            tokio::select! {
                () = stop.cancelled() => break Ok(()),
                ended = &mut server => break ended?.map_err(AppError::Http),
                () = watch.changed() => following.follow(&mut cameras).await?,
            }
        };
        tracing::info!("stopping");
        http_stop.cancel();
        if !server.is_finished() && clock.timeout(DRAIN_LIMIT, &mut server).await.is_err() {
            tracing::warn!("answers that took too long were broken off");
            server.abort();
        }
        cameras.stop_all().await;
        inner.cancel();
        eraser.stop();
        while let Some(ended) = work.join_next().await {
            ended?;
        }
        // Each of these is tried, whatever became of the one before.
        let committed = tokio::task::spawn_blocking(move || vault.stop()).await?;
        let kept = blocking(&access, Access::keep_time).await?;
        let recorded =
            blocking(&access, |access| access.checkpoint().and_then(|()| access.record_daemon(Act::DaemonStopped)));
        let recorded = recorded.await?;
        committed?;
        recorded?;
        kept?;
        served
    }
}

/// What is done again and again, each on a blocking thread.
#[allow(clippy::too_many_arguments, reason = "one of each room that has something to do")]
fn regular_work(
    site: &Site,
    clock: &Clock,
    stop: &CancellationToken,
    vault: &Arc<Vault>,
    access: &Arc<Access>,
    eraser: &Arc<Eraser>,
    fullness: &Arc<Fullness>,
    desk: &StatusDesk,
) -> JoinSet<()> {
    let mut work: JoinSet<()> = JoinSet::new();
    let mut regularly = |pause, what: &str, act: Box<dyn Fn() -> Result<(), String> + Send + Sync>| {
        work.spawn(every(clock.clone(), pause, stop.clone(), desk.failing(), what.to_owned(), act));
    };
    // Each by itself: one whose disk hangs must not keep the others' footage from being durable.
    for (number, volume) in vault.volumes().iter().enumerate() {
        let committing = Arc::clone(vault);
        let commit = move || match committing.volumes().get(number) {
            Some(volume) => committing.commit_on(volume).map_err(|e| e.to_string()),
            None => Ok(()),
        };
        regularly(site.recording.commit, &format!("commit on {}", volume.dir().display()), Box::new(commit));
    }
    regularly(KEYS_EVERY, "destroying keys", erasing(desk, eraser, Eraser::destroy_keys));
    regularly(BLOCKS_EVERY, "erasing", erasing(desk, eraser, Eraser::overwrite));
    let copying = Arc::clone(eraser);
    regularly(RECEIPTS_EVERY, "receipts", Box::new(move || copying.copy_receipts().map_err(|e| e.to_string())));
    let closing = Arc::clone(eraser);
    regularly(
        CLOSING_EVERY,
        "closing manifests",
        Box::new(move || closing.close_manifests().map_err(|e| e.to_string())),
    );
    let making = Arc::clone(fullness);
    regularly(ROOM_EVERY, "making room", Box::new(move || making.round().map(drop).map_err(|e| e.to_string())));
    let ending = Arc::clone(access);
    regularly(GRANTS_EVERY, "ending grants", Box::new(move || ending.end_what_is_over().map_err(|e| e.to_string())));
    let checking = Arc::clone(access);
    regularly(
        site.ledger.checkpoint_every,
        "checkpoint",
        Box::new(move || checking.checkpoint().map_err(|e| e.to_string())),
    );
    let verifying = Arc::clone(access);
    let verify_month = move || verifying.check_next_month().map(drop).map_err(|e| e.to_string());
    regularly(MONTH_EVERY, "verifying the ledger's months", Box::new(verify_month));
    let ending_months = Arc::clone(access);
    let end_month = move || ending_months.end_old_month().map(drop).map_err(|e| e.to_string());
    regularly(MONTH_EVERY, "ending the ledger's months", Box::new(end_month));
    let reserving = desk.ledger();
    let keep_reserve = move || reserving.keep_reserve().map_err(|e| format!("the ledger's reserve: {e}"));
    regularly(RESERVE_EVERY, "keeping the ledger's reserve", Box::new(keep_reserve));
    let keeping = Arc::clone(access);
    regularly(ANCHOR_EVERY, "keeping the clock", Box::new(move || keeping.keep_time().map_err(|e| e.to_string())));
    // The end of a doubt about the time leaves the index outdated.
    let (indexing, indexing_stopped) = (Arc::clone(vault), stop.clone());
    let index = move || {
        let stopped = || indexing_stopped.is_cancelled();
        if indexing.index_waits() { indexing.catch_up(&stopped).map_err(|e| e.to_string()) } else { Ok(()) }
    };
    regularly(ANCHOR_EVERY, "the index", Box::new(index));
    let return_memory = || {
        return_freed_memory();
        Ok(())
    };
    regularly(MEMORY_EVERY, "returning freed memory", Box::new(return_memory));
    let (catching, stopped) = (Arc::clone(vault), stop.clone());
    work.spawn_blocking(move || {
        if let Err(e) = catching.catch_up(&|| stopped.is_cancelled()) {
            tracing::error!(error = %e, "what an unclean stop left is not all made good; see `custodian verify`");
        }
    });
    work.spawn(control::answer(desk.clone(), state_dir(site).join(CONTROL_NAME), stop.clone()));
    work
}

/// The rooms that block while they are built.
struct Built {
    vault: Arc<Vault>,
    time: Arc<TrustedClock>,
    holds: Arc<Mutex<Holds>>,
    access: Arc<Access>,
    eraser: Arc<Eraser>,
    fullness: Arc<Fullness>,
    ledger: crate::ledger::SharedLedger,
}

impl Built {
    fn new(site: &Site, doors: &Doors, files: &SiteFiles, state: &Path) -> Result<Self, AppError> {
        files.check_private()?;
        let allow_unproven = site.volumes.iter().any(|volume| volume.allow_unproven);
        // Keys and grants are erased too: their disk must pass the same test as the volumes.
        let files = &files.proven(device_is_proven(&doors.disk, state, allow_unproven)?);
        let known = NewestKnown::read(&doors.disk, &files.ledger_dir());
        let closed = ClosedManifests::new(Arc::clone(&doors.disk), files.ledger_dir());
        let time = Arc::new(TrustedClock::start(
            doors.clock.clone(),
            Arc::clone(&doors.disk),
            state.join("clock"),
            site.max_forward,
            doors.clock_is_synchronised,
            known.row_at.map(|at| LastKnown { at, has_run: known.has_run, confirmed: known.confirmed }),
        )?);
        let holds = Arc::new(Mutex::new(Holds::open(Arc::clone(&doors.disk), state.join("holds"))?));
        let mut volumes = Vec::new();
        let (mut refused, mut away) = (None, Vec::new());
        for place in &site.volumes {
            match Volume::open(Arc::clone(&doors.disk), &place.path, files.site(), place.allow_unproven) {
                Ok(volume) => {
                    let volume = volume.held_against(&known.manifests).with_closed(closed.clone());
                    let volume = volume.dated_by(time.settled());
                    let volume = volume.reading_back(site.erasing.read_back_percent);
                    let volume = volume.unflushed_below(site.recording.waiting_bytes);
                    volumes.push(if site.erasing.discard { volume } else { volume.without_discard() });
                }
                Err(e) => {
                    tracing::error!(volume = %place.path.display(), error = %e, "a volume is not used");
                    away.push((place.path.clone(), e.to_string()));
                    refused = Some(e);
                }
            }
        }
        away.extend(unconfigured(&known.manifests, &volumes, away.len()));
        if volumes.is_empty() {
            return Err(refused.map_or(AppError::Vault(VaultError::NoRoom), AppError::Vault));
        }
        let catalog = open_catalog(&state.join("catalog"))?;
        let vault = Arc::new(Vault::start(volumes, catalog, time.trusted())?);
        away.into_iter().for_each(|(dir, why)| vault.note_away(dir, why));
        let periods = Periods {
            session: SessionLimits { idle: site.access.session_idle, whole: site.access.session_max },
            second_factor: match site.access.second_factor {
                SecondFactor::Nobody => SecondFactorFor::Nobody,
                SecondFactor::Officers => SecondFactorFor::Officers,
                SecondFactor::Everybody => SecondFactorFor::Everybody,
            },
            password_max: site.access.password_max,
            due_days: site.access.request_due_days,
            remind_days: site.keeping.remind_days.clone(),
            holidays: site.keeping.holidays.clone(),
            papers: site.keeping.keep_persons,
            viewing_place: site.keeping.viewing_place.clone(),
            contact: site.keeping.contact.clone(),
            objection: site.access.objection,
            requests: RequestRules {
                public_body: site.requests.public_body,
                identity_in_person: site.requests.identity_in_person,
                decider_may_view: site.requests.decider_may_view,
                second_approver: site.requests.second_approver,
            },
            held_warn_percent: site.held_warn_percent,
            unconfirmed_days: site.unconfirmed_days,
            operation_warn: site.operation_warn,
            viewing_idle: site.access.viewing_idle,
            terminals: site.terminals.clone(),
            ledger: site.ledger.clone(),
            site_name: site.name.clone(),
            time_zone: site.time_zone.clone(),
        };
        let (access, ledger) =
            Access::start(files, Arc::clone(&vault), Arc::clone(&time), Arc::clone(&holds), periods)?;
        let grants = access.grant_store();
        let eraser = Eraser::new(Arc::clone(&vault), Arc::clone(&time), Arc::clone(&holds), grants, ledger.clone());
        let Recording { when_full, segment, .. } = site.recording;
        let fullness = Fullness::new(Arc::clone(&vault), Arc::clone(&time), Arc::clone(&holds), when_full, segment);
        let (access, eraser, fullness) = (Arc::new(access), Arc::new(eraser), Arc::new(fullness));
        Ok(Self { vault, time, holds, access, eraser, fullness, ledger })
    }
}

/// Volumes that the ledger knows and the configuration does not. Those of `away` could not be asked who they are.
fn unconfigured(known: &[ManifestCheckpoint], volumes: &[Volume], away: usize) -> Option<(PathBuf, String)> {
    let missing: BTreeSet<_> =
        known.iter().map(|known| known.volume).filter(|id| volumes.iter().all(|volume| volume.id() != *id)).collect();
    let first = missing.first().filter(|_| missing.len() > away)?;
    let why = format!("the ledger knows volume {first}, and no [[volume]] of site.toml is it; mount it and add it");
    Some((PathBuf::from(first.to_string()), why))
}

/// Opens the index; one that cannot be opened is thrown away, since it is rebuilt from the manifests.
fn open_catalog(dir: &Path) -> Result<Catalog, AppError> {
    match Catalog::open(dir) {
        Ok(catalog) => Ok(catalog),
        Err(e) => {
            tracing::warn!(error = %e, "the index is damaged: it is thrown away and rebuilt");
            std::fs::remove_dir_all(dir)
                .map_err(|source| AppError::Disk { what: dir.display().to_string(), source })?;
            Ok(Catalog::open(dir)?)
        }
    }
}

async fn blocking<T: Send + 'static>(
    access: &Arc<Access>,
    act: impl FnOnce(&Access) -> T + Send + 'static,
) -> Result<T, AppError> {
    let access = Arc::clone(access);
    Ok(tokio::task::spawn_blocking(move || act(&access)).await?)
}
