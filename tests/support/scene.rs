//! A clinic for a test: cameras, a site in a directory of its own, the daemon on it.

use super::daemon::program;
use super::peers::{LoggedFrame, Mount, RtspServer};
use super::probe;
use super::site::{CameraFile, Person, Running, Site};
use super::spans::{AskedSpan, choose_span};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a test waits for cameras to record, or for frames to come. The machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Committed every two seconds; a frame logged this long ago can be asked for.
pub const COMMITTED: Duration = Duration::from_millis(3500);

pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// In the order in which it is taken down.
#[derive(Debug)]
pub struct Scene {
    pub running: Running,
    pub site: Site,
    pub server: RtspServer,
    pub dir: tempfile::TempDir,
    lives: u32,
}

impl Scene {
    /// Serves the mounts, writes the camera files that `files` makes of the server, and starts the daemon.
    pub fn start(mounts: Vec<Mount>, files: impl FnOnce(&RtspServer) -> Vec<CameraFile>) -> Result<Self> {
        Self::start_with(mounts, files, &[])
    }

    /// The same with more environment for the daemon.
    pub fn start_with(
        mounts: Vec<Mount>,
        files: impl FnOnce(&RtspServer) -> Vec<CameraFile>,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let server = RtspServer::start(mounts)?;
        let dir = tempfile::tempdir()?;
        let site = Site::init(&program()?, &dir.path().join("site"), &["--name", "Test", "--allow-unproven"])?;
        for file in files(&server) {
            site.save_camera(&file)?;
        }
        let running = site.serve(&dir.path().join("custodian-1.log"), &[], environment)?;
        Ok(Self { running, site, server, dir, lives: 1 })
    }

    /// One that was set up by hand; logs go to `dir`.
    pub fn of(running: Running, site: Site, server: RtspServer, dir: tempfile::TempDir) -> Self {
        Self { running, site, server, dir, lives: 1 }
    }

    /// Starts the daemon again, with a log of its own.
    pub fn serve_again(&mut self) -> Result<()> {
        self.lives += 1;
        self.running = self.site.serve(&self.log_path(), &[], &[])?;
        Ok(())
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join(format!("custodian-{}.log", self.lives))
    }

    pub fn sign_in(&self, name: &str) -> Result<Person> {
        self.running.sign_in(&self.site, name)
    }

    pub fn wait_for_cameras(&mut self, numbers: &[u16]) -> Result<()> {
        let mut staff = self.sign_in("staff")?;
        self.running.wait_for_cameras(&mut staff, numbers, PATIENCE)
    }

    /// Waits until these mounts have sent, and the daemon has committed, a span of that length from now on.
    pub fn record(&mut self, paths: &[&str], length: Duration) -> Result<AskedSpan> {
        let earliest_us = now_us() + 500_000;
        let length_us = i64::try_from(length.as_micros())?;
        let server = &self.server;
        let span = self.running.daemon.wait_until("a span is recorded", PATIENCE, |_| {
            let frames: Vec<Vec<LoggedFrame>> = paths.iter().map(|path| server.frames(path)).collect::<Result<_>>()?;
            let frames: Vec<&[LoggedFrame]> = frames.iter().map(Vec::as_slice).collect();
            Ok(choose_span(&frames, earliest_us, length_us).ok())
        })?;
        let committed_us = span.to_us + i64::try_from(COMMITTED.as_micros())?;
        self.running.daemon.wait_until("it is committed", PATIENCE, |_| Ok((now_us() > committed_us).then_some(())))?;
        Ok(span)
    }
}

/// Submits a request, sees to the identity, and has it approved for the viewer. The approved request.
pub fn have_approved(
    staff: &mut Person,
    officer: &mut Person,
    viewer: &Person,
    cameras: &[u16],
    span: AskedSpan,
) -> Result<Value> {
    let number = staff.ask(cameras, span, "Hong Gildong")?.expect_status(201)?.json["number"].clone();
    staff.identify(&number)?.expect_status(200).context("identity")?;
    Ok(officer.approve(&number, &viewer.number)?.expect_status(200).context("decision")?.json)
}

/// Begins a viewing, unless one is under way in the person's session.
fn sit_down(who: &Person, grant: &Value) -> Result<()> {
    let begun = who.clone().begin_viewing(grant)?;
    let goes_on = begun.status == 409 && slug(&begun.json) == "viewing-under-way";
    if goes_on { Ok(()) } else { begun.expect_status(201).map(drop) }
}

/// The digests of the pictures that a person's player shows of a camera under a grant.
pub fn pictures(who: &Person, grant: &Value, camera: u16) -> Result<Vec<String>> {
    sit_down(who, grant)?;
    let (url, headers) = who.for_player(&Person::playlist(grant, camera));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    probe::picture_digests(&url, &headers)
}

/// What kinds of streams a person's player finds, with their codecs.
pub fn streams(who: &Person, grant: &Value, camera: u16) -> Result<Vec<(String, String)>> {
    sit_down(who, grant)?;
    let (url, headers) = who.for_player(&Person::playlist(grant, camera));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    Ok(probe::streams(&url, &headers)?.into_iter().map(|stream| (stream.kind, stream.codec)).collect())
}

/// The slug of a problem answer (RFC 9457), as in `urn:custodian:no-grant`.
pub fn slug(problem: &Value) -> &str {
    problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:custodian:")).unwrap_or_default()
}
