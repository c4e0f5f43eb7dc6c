//! A vault of its own on the scratch disk, and cameras that record on it as fast as it goes, or at their pace.

use anyhow::{Context, Result};
use cctv_custodian::catalog::Catalog;
use cctv_custodian::crypto::generate_pair;
use cctv_custodian::disk::SharedDisk;
use cctv_custodian::domain::{CameraNumber, Retention, SiteId, Utc};
use cctv_custodian::segment::FragmentFacts;
use cctv_custodian::vault::{CameraRecorder, Vault, Volume};
use ring::rand::{SecureRandom, SystemRandom};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub const SITE: SiteId = SiteId([1; 16]);
/// 2026-11-22T10:00:00Z.
pub const START: Utc = Utc::from_micros(1_795_341_600_000_000);
pub const DAY: Duration = Duration::from_secs(86_400);
pub const MONTH: Retention = Retention::Ceiling(Duration::from_secs(30 * 86_400));

/// Makes a volume in `dir/volume`.
///
/// # Errors
/// What the disk says.
pub fn make(dir: &Path, disk: &SharedDisk) -> Result<()> {
    std::fs::create_dir_all(dir.join("volume"))?;
    Volume::create(disk, &dir.join("volume"), SITE)?;
    Ok(())
}

/// Starts a vault on the volume in `dir`. One whose device does not pass the test is refused: its figures would be of
/// something else.
///
/// # Errors
/// What the vault says.
pub fn start(dir: &Path, index: &Path, disk: SharedDisk, now: Utc) -> Result<Arc<Vault>> {
    let volume = Volume::open(disk, &dir.join("volume"), SITE, false)?.without_discard();
    let vault = Vault::start(vec![volume], Catalog::open(&index.join("catalog"))?, now)?;
    // Officer, deputy and the recovery key.
    let recipients: Result<Vec<_>, _> = (0..3).map(|_| generate_pair().map(|(_, public)| public)).collect();
    vault.set_recipients(recipients?);
    Ok(Arc::new(vault))
}

/// # Errors
/// Without random bytes.
pub fn random(bytes: usize) -> Result<Vec<u8>> {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).ok().context("the machine has no random bytes")?;
    Ok(random)
}

/// One camera's segments, each of `fragments` of these bytes, two seconds each.
#[derive(Debug)]
pub struct Camera {
    recorder: CameraRecorder,
    number: u64,
}

pub const FRAGMENT: Duration = Duration::from_secs(2);
const FRAGMENT_90K: u32 = 180_000;

impl Camera {
    /// # Errors
    /// For number 0.
    pub fn new(vault: &Arc<Vault>, number: u16, retention: Retention) -> Result<Self> {
        let camera = CameraNumber::new(number).context("a camera's number")?;
        Ok(Self { recorder: CameraRecorder::new(Arc::clone(vault), camera, retention), number: 0 })
    }

    /// # Errors
    /// What the vault says.
    pub fn begin(&mut self, start: Utc) -> Result<()> {
        self.number = 0;
        Ok(self.recorder.begin(start, &[1; 600])?)
    }

    /// # Errors
    /// What the vault says.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let first_pts_90k = self.number * u64::from(FRAGMENT_90K);
        let facts = FragmentFacts { first_pts_90k, duration_90k: FRAGMENT_90K, frames: 30, sync: true };
        self.number += 1;
        Ok(self.recorder.append(facts, bytes)?)
    }

    /// # Errors
    /// What the vault says.
    pub fn finish(&mut self) -> Result<()> {
        Ok(self.recorder.finish()?)
    }

    /// A whole segment.
    ///
    /// # Errors
    /// What the vault says.
    pub fn segment(&mut self, start: Utc, fragments: usize, bytes: &[u8]) -> Result<()> {
        self.begin(start)?;
        (0..fragments).try_for_each(|_| self.append(bytes))?;
        self.finish()
    }
}

/// What is written is on the disk, and nothing that can be read again is in memory.
///
/// # Errors
/// What the kernel says.
pub fn drop_caches(dir: &Path) -> Result<()> {
    rustix::fs::syncfs(File::open(dir)?)?;
    std::fs::write("/proc/sys/vm/drop_caches", "3").context("the page cache cannot be dropped: run this as root")
}
