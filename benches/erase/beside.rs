//! Recording and erasing at once: what erasing costs a commit, and how soon what comes to its day is unreadable. 97 cameras at
//! their pace, a fragment of each and a commit every two seconds; the eraser with its own rounds, as the daemon runs it.

use crate::ground::{Camera, FRAGMENT, drop_caches, make, random, start};
use crate::measure::percentile;
use crate::report::{Bound, Row};
use anyhow::{Context, Result, ensure};
use cctv_custodian::clock::Clock;
use cctv_custodian::crypto::{DataKey, PrivateKey, generate_pair};
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::{CameraNumber, GrantId, Retention, SegmentId, Span, Utc};
use cctv_custodian::ledger::{Ledger, SharedLedger};
use cctv_custodian::retention::{Eraser, Round};
use cctv_custodian::vault::{GrantStore, Holds, StagedSlot, TrustedClock, Vault, VaultError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CAMERAS: u16 = 97;
/// 2 Mbps: what is on the disk at once stays below 4 GB.
const FRAGMENT_BYTES: usize = 500_000;
/// Segments of 20 s: each camera ends one, and begins the next, in every turn.
const FRAGMENTS_A_SEGMENT: usize = 10;
const SEGMENT: Duration = Duration::from_secs(20);
/// Turns without erasing and with it, in turn.
const TURN: Duration = Duration::from_secs(20);
const PAIRS: usize = 3;
const KEYS_EVERY: Duration = Duration::from_millis(250);
const BLOCKS_EVERY: Duration = Duration::from_millis(500);
const WEEK: Retention = Retention::Ceiling(Duration::from_secs(7 * 86_400));

/// Everything that the eraser needs, on the scratch disk.
struct Site {
    dir: tempfile::TempDir,
    vault: Arc<Vault>,
    eraser: Eraser,
    grants: GrantStore,
    clock: Clock,
}

impl Site {
    fn new(scratch: &Path) -> Result<Self> {
        let dir = tempfile::tempdir_in(scratch)?;
        let disk: SharedDisk = Arc::new(RealDisk);
        make(dir.path(), &disk)?;
        let clock = Clock::system();
        let vault = start(dir.path(), dir.path(), Arc::clone(&disk), clock.wall())?;
        for sub in ["ledger", "grants"] {
            std::fs::create_dir(dir.path().join(sub))?;
        }
        let path = |name: &str| dir.path().join(name);
        let time = TrustedClock::start(clock.clone(), Arc::clone(&disk), path("clock"), Duration::ZERO, || true, None)?;
        let holds = Holds::open(Arc::clone(&disk), path("holds"))?;
        let ledger = Ledger::open(Arc::clone(&disk), &path("ledger"), crate::ground::SITE, |_| {})?;
        let grants = GrantStore::new(disk, path("grants"));
        let (time, holds) = (Arc::new(time), Arc::new(Mutex::new(holds)));
        vault.catch_up(&|| false)?;
        let eraser = Eraser::new(Arc::clone(&vault), time, holds, grants.clone(), SharedLedger::new(ledger));
        Ok(Self { dir, vault, eraser, grants, clock })
    }

    /// Runs the eraser beside `work`, with its two kinds of rounds, while `is_erasing`. Returns what the work did, and how much
    /// was erased.
    fn erasing_beside<T>(&self, is_erasing: &AtomicBool, work: impl FnOnce() -> Result<T>) -> Result<(T, u32)> {
        let (stopped, erased) = (AtomicBool::new(false), AtomicU64::new(0));
        let rounds = |pause: Duration, part: &(dyn Fn(&mut Round) -> Result<()> + Sync)| -> Result<()> {
            while !stopped.load(Ordering::Relaxed) {
                let mut round = Round::default();
                if is_erasing.load(Ordering::Relaxed) {
                    part(&mut round)?;
                }
                erased.fetch_add(u64::from(round.erased), Ordering::Relaxed);
                std::thread::sleep(pause);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let keys = scope.spawn(|| rounds(KEYS_EVERY, &|round| Ok(self.eraser.destroy_keys(round)?)));
            let blocks = scope.spawn(|| rounds(BLOCKS_EVERY, &|round| Ok(self.eraser.overwrite(round)?)));
            let told = work();
            stopped.store(true, Ordering::Relaxed);
            for thread in [keys, blocks] {
                thread.join().ok().context("the eraser broke off")??;
            }
            Ok((told?, u32::try_from(erased.load(Ordering::Relaxed))?))
        })
    }
}

/// 97 cameras, at one moment.
struct Recording<'a> {
    site: &'a Site,
    cameras: Vec<Camera>,
    fragment: Vec<u8>,
    step: usize,
    /// Fragments that could not be written, or were written so late that a camera's next one would have been thrown away.
    lost: u32,
}

impl<'a> Recording<'a> {
    fn new(site: &'a Site) -> Result<Self> {
        let cameras = (1..=CAMERAS).map(|number| Camera::new(&site.vault, number, WEEK)).collect::<Result<_>>()?;
        Ok(Self { site, cameras, fragment: random(FRAGMENT_BYTES)?, step: 0, lost: 0 })
    }

    /// Two seconds of each camera, ended segments begun anew: the cameras' come one after the other.
    fn step(&mut self, now: Utc) -> Result<()> {
        for (index, camera) in self.cameras.iter_mut().enumerate() {
            let phase = index * FRAGMENTS_A_SEGMENT / usize::from(CAMERAS);
            if self.step == 0 || (self.step + phase).is_multiple_of(FRAGMENTS_A_SEGMENT) {
                camera.finish()?;
                camera.begin(now)?;
            }
            if camera.append(&self.fragment).is_err() {
                self.lost += 1;
            }
        }
        self.step += 1;
        Ok(())
    }

    /// At the cameras' pace; how long each commit took, in seconds.
    fn at_pace(&mut self, length: Duration) -> Result<Vec<f64>> {
        let began = Instant::now();
        let (mut commits, mut due) = (Vec::new(), FRAGMENT);
        while due <= length {
            self.step(self.site.clock.wall())?;
            let committing = Instant::now();
            self.site.vault.commit()?;
            commits.push(committing.elapsed().as_secs_f64());
            let late = began.elapsed().saturating_sub(due);
            // A camera's frames wait for two seconds at most.
            self.lost += if late > FRAGMENT { u32::from(CAMERAS) } else { 0 };
            std::thread::sleep((began + due).saturating_duration_since(Instant::now()));
            due += FRAGMENT;
        }
        Ok(commits)
    }
}

/// Segments that begin so long ago that their period ends at `first`, and then one every `every`.
fn record_old(site: &Site, count: usize, first: Utc, every: Duration, fragment: &[u8]) -> Result<Vec<(u16, Utc)>> {
    let mut made = Vec::new();
    for number in 0..count {
        let expires = first.saturating_add(every * u32::try_from(number)?);
        let begins = expires.saturating_sub(WEEK.period());
        let of = u16::try_from(number % usize::from(CAMERAS))? + 1;
        Camera::new(&site.vault, of, WEEK)?.segment(begins, FRAGMENTS_A_SEGMENT, fragment)?;
        made.push((of, expires));
        if number.is_multiple_of(20) {
            site.vault.commit()?;
        }
    }
    (0..3).try_for_each(|_| site.vault.commit())?;
    drop_caches(site.dir.path())?;
    Ok(made)
}

/// The p99 of commits beside an eraser that has as much to do as is recorded, against that without.
///
/// # Errors
/// What the vault says.
pub fn recording(scratch: &Path) -> Result<Vec<Row>> {
    let site = Site::new(scratch)?;
    let mut recording = Recording::new(&site)?;
    // As much as is recorded in the turns with erasing: each camera's 20 s in each.
    let count = usize::from(CAMERAS) * PAIRS;
    let long_ago = site.clock.wall().saturating_sub(Duration::from_secs(3 * 86_400));
    record_old(&site, count, long_ago, Duration::from_millis(1), &recording.fragment)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let is_erasing = AtomicBool::new(false);
    let (_, erased) = site.erasing_beside(&is_erasing, || {
        recording.at_pace(TURN)?;
        for _ in 0..PAIRS {
            alone.extend(recording.at_pace(TURN)?);
            is_erasing.store(true, Ordering::Relaxed);
            beside.extend(recording.at_pace(TURN)?);
            is_erasing.store(false, Ordering::Relaxed);
        }
        Ok(())
    })?;
    ensure!(erased as usize >= count / PAIRS, "only {erased} of {count} were erased: there was nothing beside");
    let p99 = |commits: &[f64]| percentile(commits.iter().copied(), 0.99);
    let median = |commits: &[f64]| percentile(commits.iter().copied(), 0.5);
    Ok(vec![
        Row::new("commit_p99_while_erasing", p99(&beside) / p99(&alone), "ratio", Bound::AtMost(2.0)),
        Row::new("commit_p50_while_erasing", median(&beside) / median(&alone), "ratio", Bound::Stated),
        Row::new("gops_lost_while_erasing", f64::from(recording.lost), "GOPs", Bound::AtMost(0.0)),
        Row::new("erased_beside_recording", f64::from(erased) / count as f64, "ratio", Bound::Stated),
    ])
}

/// Segments come to their day one after the other, at the rate of 97 cameras, while 97 cameras record: how long each can still
/// be opened, by its key block or by a slot in a grant.
///
/// # Errors
/// What the vault says.
pub fn expiring(scratch: &Path) -> Result<Vec<Row>> {
    let site = Site::new(scratch)?;
    let mut recording = Recording::new(&site)?;
    // 97 a minute.
    let (count, every) = (usize::from(CAMERAS), Duration::from_secs(60) / u32::from(CAMERAS));
    let first = site.clock.wall().saturating_add(Duration::from_secs(40));
    let old = record_old(&site, count, first, every, &recording.fragment)?;
    let old = old.iter().map(|(of, expires)| site.expiring(*of, *expires)).collect::<Result<Vec<Expiring>>>()?;
    let viewer = site.grant_all(&old)?;
    ensure!(site.clock.wall() < first, "the disk is too slow for this: what is to come to its day has come to it");
    let length = first.since(site.clock.wall()) + every * u32::from(CAMERAS) + Duration::from_secs(6);
    let is_erasing = AtomicBool::new(true);
    let (waits, erased) = site.erasing_beside(&is_erasing, || {
        std::thread::scope(|scope| {
            let watch = || old.iter().map(|one| site.until_unreadable(one, &viewer)).collect::<Result<Vec<f64>>>();
            let watching = scope.spawn(watch);
            recording.at_pace(length)?;
            watching.join().ok().context("the watcher broke off")?
        })
    })?;
    ensure!(erased as usize >= count / 2 && recording.lost == 0, "{erased} erased, {} GOPs lost", recording.lost);
    let share = |share| percentile(waits.iter().copied(), share);
    Ok(vec![
        Row::new("expiry_to_keyless_p99_s", share(0.99), "s", Bound::AtMost(1.0)),
        Row::new("expiry_to_keyless_p50_s", share(0.5), "s", Bound::Stated),
    ])
}

/// A segment that is about to come to its day.
struct Expiring {
    camera: CameraNumber,
    span: Span,
    segment: SegmentId,
    expires: Utc,
}

const GRANT: GrantId = GrantId(1);

impl Site {
    fn expiring(&self, camera: u16, expires: Utc) -> Result<Expiring> {
        let camera = CameraNumber::new(camera).context("a camera's number")?;
        let begins = expires.saturating_sub(WEEK.period());
        let span = Span::new(begins, begins.saturating_add(SEGMENT))?;
        let found = self.vault.live_segments(camera, span, begins)?;
        let live = found.iter().find(|live| live.span.from() == begins).context("a segment that was just recorded")?;
        Ok(Expiring { camera, span, segment: live.segment, expires })
    }

    /// A grant with a slot for each; which key stands in it is nothing to the eraser.
    fn grant_all(&self, all: &[Expiring]) -> Result<PrivateKey> {
        let ((viewer, public), volume) = (generate_pair()?, self.vault.volumes()[0].id());
        let slot = |one: &Expiring| {
            StagedSlot::seal(GRANT, &public, volume, one.segment, &DataKey::random()?).map_err(Into::into)
        };
        let slots = all.iter().map(slot).collect::<Result<Vec<StagedSlot>>>()?;
        self.grants.stage(GRANT, &public, &slots)?;
        Ok(viewer)
    }

    /// How long after its day a segment's key is gone from its file and from the grant.
    fn until_unreadable(&self, one: &Expiring, viewer: &PrivateKey) -> Result<f64> {
        let limit = one.expires.saturating_add(Duration::from_secs(30));
        let volume = self.vault.volumes()[0].id();
        loop {
            // Asked as if its day had not come: what is answered is whether its key is destroyed.
            let told = self.vault.find(one.camera, one.span, one.segment, one.span.from());
            let is_keyless = match told {
                Err(VaultError::Destroyed { .. }) => true,
                Err(e) => return Err(e.into()),
                Ok(_) => false,
            };
            if is_keyless && self.grants.open(GRANT)?.open_key(volume, one.segment, viewer)?.is_none() {
                return Ok(self.clock.wall().since(one.expires).as_secs_f64());
            }
            ensure!(self.clock.wall() < limit, "camera {}'s segment is readable 30 s after its day", one.camera);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
