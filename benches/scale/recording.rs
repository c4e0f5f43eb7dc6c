//! 97 cameras that record on the site, in this process, through the vault: 4 Mbps each, a fragment of random bytes every
//! two seconds and then a commit, segments of a minute that end at different times.

use crate::plan::{CAMERAS, Plan, RETENTION};
use crate::site::site_id;
use anyhow::{Context, Result};
use cctv_custodian::catalog::Catalog;
use cctv_custodian::crypto::{PublicKey, generate_pair};
use cctv_custodian::disk::SharedDisk;
use cctv_custodian::domain::{CameraNumber, Utc};
use cctv_custodian::segment::FragmentFacts;
use cctv_custodian::vault::{CameraRecorder, Vault, Volume};
use ring::rand::{SecureRandom, SystemRandom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a camera sends between two commits.
pub const BETWEEN_COMMITS: Duration = Duration::from_secs(2);
const FRAGMENT_BYTES: usize = 1_000_000;
const FRAGMENT_90K: u32 = 180_000;
const FRAGMENTS_A_SEGMENT: u32 = 30;

/// Opens the site's vault as a start does. The people's keys are not here: day keys made from now on are sealed to one
/// that is thrown away.
///
/// # Errors
/// What the vault says.
pub fn open_vault(site: &Path, disk: SharedDisk, now: Utc) -> Result<Arc<Vault>> {
    let volume = Volume::open(disk, &site.join("volumes/v1"), site_id(site)?, false)?;
    let vault = Vault::start(vec![volume], Catalog::open(&site.join("state/catalog"))?, now)?;
    let (_, nobody): (_, PublicKey) = generate_pair()?;
    vault.set_recipients(vec![nobody]);
    Ok(Arc::new(vault))
}

/// The cameras, at one moment of footage.
#[derive(Debug)]
pub struct Recording {
    vault: Arc<Vault>,
    cameras: Vec<CameraRecorder>,
    fragment: Vec<u8>,
    start: Utc,
    /// Steps of two seconds that were recorded.
    steps: u32,
}

impl Recording {
    /// Cameras that begin where the planned site ends.
    ///
    /// # Errors
    /// Without random bytes.
    pub fn new(vault: Arc<Vault>, plan: &Plan) -> Result<Self> {
        let mut fragment = vec![0; FRAGMENT_BYTES];
        SystemRandom::new().fill(&mut fragment).ok().context("the machine has no random bytes")?;
        let camera = |number| {
            let number = CameraNumber::new(number).context("a camera's number")?;
            Ok(CameraRecorder::new(Arc::clone(&vault), number, RETENTION))
        };
        let cameras = (1..=CAMERAS).map(camera).collect::<Result<Vec<_>>>()?;
        Ok(Self { vault, cameras, fragment, start: plan.end(), steps: 0 })
    }

    /// Records two seconds of every camera that has begun; they begin one after the other over the first minute, so that
    /// after it their segments are of all ages.
    ///
    /// # Errors
    /// What the vault says.
    pub fn step(&mut self) -> Result<()> {
        let now = self.start.saturating_add(BETWEEN_COMMITS * self.steps);
        let cameras = u32::from(CAMERAS);
        for (index, camera) in (0..).zip(&mut self.cameras) {
            let Some(age) = self.steps.checked_sub(index * FRAGMENTS_A_SEGMENT / cameras) else { continue };
            let place = age % FRAGMENTS_A_SEGMENT;
            if place == 0 {
                camera.finish()?;
                camera.begin(now, &self.fragment[..600])?;
            }
            let first_pts_90k = u64::from(place) * u64::from(FRAGMENT_90K);
            let facts = FragmentFacts { first_pts_90k, duration_90k: FRAGMENT_90K, frames: 30, sync: true };
            camera.append(facts, &self.fragment)?;
        }
        self.steps += 1;
        Ok(())
    }

    /// Makes what was recorded durable; how long that took.
    ///
    /// # Errors
    /// What the vault says.
    pub fn commit(&self) -> Result<Duration> {
        let began = Instant::now();
        self.vault.commit()?;
        Ok(began.elapsed())
    }

    /// Records the first two minutes as fast as it goes: then every camera has a segment open, of any age, and reserves
    /// for it what its last one needed.
    ///
    /// # Errors
    /// What the vault says.
    pub fn settle(&mut self) -> Result<()> {
        for _ in 0..2 * FRAGMENTS_A_SEGMENT {
            self.step()?;
            self.commit()?;
        }
        Ok(())
    }

    /// Records for `length` as cameras do, two seconds each two seconds; the length of each commit.
    ///
    /// # Errors
    /// What the vault says.
    pub fn at_pace(&mut self, length: Duration) -> Result<Vec<Duration>> {
        let began = Instant::now();
        let mut commits = Vec::new();
        let mut due = BETWEEN_COMMITS;
        while due <= length {
            self.step()?;
            commits.push(self.commit()?);
            std::thread::sleep((began + due).saturating_duration_since(Instant::now()));
            due += BETWEEN_COMMITS;
        }
        Ok(commits)
    }

    /// Ends all segments.
    ///
    /// # Errors
    /// What the vault says.
    pub fn finish(mut self) -> Result<()> {
        self.cameras.iter_mut().try_for_each(CameraRecorder::finish)?;
        Ok(self.vault.commit()?)
    }
}
