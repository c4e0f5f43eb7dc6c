//! A site of its own on the build's disk, with as many cameras as the server plays, and the real program on it.

use crate::daemon::Daemon;
use crate::served::Served;
use crate::support::daemon::program;
use crate::support::site::{CameraFile, Site};
use anyhow::{Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The daemon's line when a camera's state becomes `recording`: footage of it is written.
const RECORDED: &str = "the camera is recorded";
/// The daemon's lines about footage that did not come to the disk.
pub const LOST: [&str; 4] =
    ["the camera is not recorded", "frames were dropped", "packets were lost", "footage could not be recorded"];
pub const READY_LIMIT: Duration = Duration::from_secs(60);
pub const ALL_LIMIT: Duration = Duration::from_secs(90);

/// Removed when dropped.
#[derive(Debug)]
pub struct Clinic {
    pub dir: TempDir,
    pub site: Site,
    cameras: u16,
}

impl Clinic {
    /// # Errors
    /// What `custodian init` says; a disk on which overwriting is not proven is refused.
    pub fn new(scratch: &Path, served: &Served) -> Result<Self> {
        let dir = tempfile::tempdir_in(scratch)?;
        let site = Site::init(&program()?, &dir.path().join("site"), &[])?;
        configure(site.dir(), served)?;
        Ok(Self { dir, site, cameras: served.cameras })
    }

    /// Starts the daemon and waits until all cameras are recorded; how long after its exec that was.
    ///
    /// # Errors
    /// When it does not come so far.
    pub fn record(&self) -> Result<(Daemon, Duration)> {
        let mut daemon = Daemon::start(self.site.dir(), READY_LIMIT)?;
        let began = daemon.began();
        let after = wait_for_all(&mut daemon, self.cameras, began)? - began;
        Ok((daemon, after))
    }
}

/// When the last of so many cameras began to be recorded since then.
///
/// # Errors
/// When that does not happen in time.
pub fn wait_for_all(daemon: &mut Daemon, cameras: u16, since: Instant) -> Result<Instant> {
    daemon.wait_for_cameras(RECORDED, since, usize::from(cameras), ALL_LIMIT)
}

/// Writes a file for each camera, and how many the notice declares.
///
/// # Errors
/// What the disk says.
pub fn configure(site: &Path, served: &Served) -> Result<()> {
    let file = site.join("site.toml");
    let (settings, declared) = (std::fs::read_to_string(&file)?, "\n# declared_cameras = 12");
    ensure!(settings.contains(declared), "{settings}");
    std::fs::write(&file, settings.replace(declared, &format!("\ndeclared_cameras = {}", served.cameras)))?;
    for number in 1..=served.cameras {
        let camera = CameraFile::new(number, &format!("camera {number}"), &served.url(number));
        std::fs::write(site.join(format!("camera-config/camera-{number}.toml")), camera.text())?;
    }
    Ok(())
}

/// A share of one core over a stretch of time.
///
/// # Errors
/// What the kernel says.
pub fn cpu_share(length: Duration, cpu_s: impl Fn() -> Result<f64>) -> Result<f64> {
    let (before, began) = (cpu_s()?, Instant::now());
    std::thread::sleep(length);
    let after = cpu_s()?;
    Ok((after - before) / began.elapsed().as_secs_f64())
}

/// Says how often the daemon lost something, where it did.
pub fn tell_losses(daemon: &mut Daemon) {
    for text in LOST {
        let times = daemon.count(text);
        if times > 0 {
            eprintln!("cameras: the daemon said `{text}` {times} times");
        }
    }
}
