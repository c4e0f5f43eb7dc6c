//! The other side: a process of ffmpeg for each camera, that copies its video into one file after the other.

use crate::daemon::cpu_s_of;
use crate::served::Served;
use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// It has found its stream, and copies.
const BEGUN_BYTES: u64 = 64 << 10;
const ALL_LIMIT: Duration = Duration::from_secs(120);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How long one of its files is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Files {
    /// As ffmpeg does it where nothing is said: 2 s.
    Usual,
    /// As long as ours.
    AMinute,
}

/// Killed when dropped, and what they wrote removed.
#[derive(Debug)]
pub struct Copying {
    children: Vec<Child>,
    dir: TempDir,
}

impl Copying {
    /// Starts a process for each camera, and waits until all of them copy.
    ///
    /// # Errors
    /// When one ends, with what it said.
    pub fn start(scratch: &Path, served: &Served, files: Files) -> Result<Self> {
        let mut copying = Self { children: Vec::new(), dir: tempfile::tempdir_in(scratch)? };
        for camera in 1..=served.cameras {
            let child = copying.process(camera, &served.url(camera), files)?;
            copying.children.push(child);
        }
        let deadline = Instant::now() + ALL_LIMIT;
        while copying.bytes()?.iter().filter(|bytes| **bytes > BEGUN_BYTES).count() < copying.children.len() {
            copying.ensure_all_run()?;
            ensure!(Instant::now() < deadline, "not all of ffmpeg's processes copy after {ALL_LIMIT:?}");
            std::thread::sleep(LOOK_AGAIN_AFTER);
        }
        Ok(copying)
    }

    fn process(&self, camera: u16, url: &str, files: Files) -> Result<Child> {
        let said = File::create(self.dir.path().join(format!("{camera}.said")))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error"]);
        command.args(["-rtsp_transport", "tcp", "-allowed_media_types", "video", "-i", url, "-c", "copy"]);
        command.args(["-f", "segment"]);
        match files {
            Files::Usual => {}
            Files::AMinute => {
                command.args(["-segment_time", "60"]);
            }
        }
        command.arg(self.dir.path().join(format!("{camera}-%03d.mp4")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().context("ffmpeg")
    }

    /// What all of them together have used.
    ///
    /// # Errors
    /// When one is gone.
    pub fn cpu_s(&self) -> Result<f64> {
        self.children.iter().map(|child| cpu_s_of(child.id())).sum()
    }

    /// What each has written.
    ///
    /// # Errors
    /// What the disk says.
    pub fn bytes(&self) -> Result<Vec<u64>> {
        let mut bytes = vec![0; self.children.len()];
        for entry in std::fs::read_dir(self.dir.path())? {
            let entry = entry?;
            let name = entry.file_name();
            let camera = name.to_str().and_then(|name| name.strip_suffix(".mp4")?.split('-').next()?.parse().ok());
            if let Some(of) = camera.and_then(|camera: usize| bytes.get_mut(camera.checked_sub(1)?)) {
                *of += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    }

    /// # Errors
    /// When one has ended, with what it said.
    pub fn ensure_all_run(&mut self) -> Result<()> {
        for (camera, child) in (1..).zip(&mut self.children) {
            if let Some(status) = child.try_wait()? {
                let said = std::fs::read_to_string(self.dir.path().join(format!("{camera}.said")))?;
                bail!("ffmpeg of camera {camera} ended with {status}: {said}");
            }
        }
        Ok(())
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}
