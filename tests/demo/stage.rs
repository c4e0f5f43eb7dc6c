//! What the story is played on: a disk, four cameras, a site, a running daemon, and people at their browsers.

use super::support::commands::wait_until;
use super::support::peers::{LoggedFrame, Mount, RtspServer, Video};
use super::support::raw_disk::{FileSystem, LoopVolume, is_root};
use super::support::site::{CameraFile, Person, Running, Site, random_text};
use super::{go_on, report::Report};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Duration;

const DISK_MIB: u64 = 512;
const ALL_RECORD_LIMIT: Duration = Duration::from_secs(30);

/// A camera of the story.
pub struct Role {
    pub number: u16,
    pub name: &'static str,
    pub path: &'static str,
    video: Video,
    sound: bool,
    libav: bool,
}

pub const YARD: Role = Role { number: 1, name: "Yard", path: "/yard", video: Video::Yard, sound: false, libav: false };
pub const CLOCK: Role =
    Role { number: 2, name: "Clock", path: "/clock", video: Video::Clock, sound: false, libav: true };
pub const HALL: Role = Role { number: 3, name: "Hall", path: "/hall", video: Video::Yard, sound: true, libav: false };
pub const GATE: Role =
    Role { number: 4, name: "Gate", path: "/gate", video: Video::YardH265, sound: false, libav: false };
pub const ALL: [&Role; 4] = [&YARD, &CLOCK, &HALL, &GATE];

/// The cameras, before there is anybody who records them.
pub struct Cameras {
    server: RtspServer,
    /// What the Yard camera asks for.
    password: String,
}

impl Cameras {
    pub fn start() -> Result<Self> {
        let password = random_text(8)?;
        let mounts = ALL.map(|role| {
            let mount = Mount::new(role.path, role.video);
            let mount = if role.sound { mount.with_sound() } else { mount };
            if role.number == YARD.number { mount.with_login("custodian", &password) } else { mount }
        });
        Ok(Self { server: RtspServer::start(mounts.to_vec())?, password })
    }

    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// What a camera has sent so far.
    pub fn frames(&self, role: &Role) -> Result<Vec<LoggedFrame>> {
        self.server.frames(role.path)
    }

    fn file(&self, role: &Role) -> CameraFile {
        let file = CameraFile::new(role.number, role.name, &self.server.url(role.path));
        let file = if role.libav { file.through_libav() } else { file };
        if role.number == YARD.number { file.with_login("custodian", &self.password) } else { file }
    }
}

/// Those who take part. Each has signed in.
pub struct People {
    pub staff: Person,
    pub officer: Person,
    pub viewer: Person,
}

/// In the order in which it is taken down: the daemon first, its disk last.
pub struct Stage {
    pub running: Running,
    pub people: People,
    pub site: Site,
    pub cameras: Cameras,
    pub scratch: PathBuf,
    /// As root, a disk of its own.
    pub disk: Option<LoopVolume>,
}

impl Stage {
    /// Makes the site and starts the daemon on it.
    pub fn set(program: &Path, scratch: &Path, cameras: Cameras) -> Result<Self> {
        let disk = is_root().then(|| LoopVolume::new(FileSystem::Ext4, DISK_MIB)).transpose()?;
        let dir = disk.as_ref().map_or_else(|| scratch.to_owned(), LoopVolume::mount_point).join("site");
        let more: &[&str] = if disk.is_some() { &[] } else { &["--allow-unproven"] };
        let site = Site::init(program, &dir, &[&["--name", "Demo clinic"], more].concat())?;
        if disk.is_some() {
            std::os::unix::fs::symlink(&dir, scratch.join("site"))?;
        }
        for role in ALL {
            site.save_camera(&cameras.file(role))?;
        }
        let mut running = site.serve(&scratch.join("custodian.log"), &["--demo"], &[])?;
        let mut staff = running.sign_in(&site, "staff")?;
        let officer = running.sign_in(&site, "officer")?;
        let viewer = running.sign_in(&site, "viewer")?;
        running.wait_for_cameras(&mut staff, &ALL.map(|role| role.number), ALL_RECORD_LIMIT)?;
        let people = People { staff, officer, viewer };
        Ok(Self { running, people, site, cameras, scratch: scratch.to_owned(), disk })
    }

    pub fn log_path(&self) -> PathBuf {
        self.scratch.join("custodian.log")
    }

    /// Looks again and again, as long as the daemon runs and nobody interrupts.
    pub fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        wait_until(what, limit, || {
            go_on()?;
            let ended = self.running.daemon.ended()?;
            ensure!(ended.is_none(), "the daemon ended; see {}", self.log_path().display());
            super::pass(super::GLANCE);
            look(self)
        })
    }

    /// Ends the daemon in order and takes the disk down.
    pub fn strike(&mut self) -> Result<()> {
        self.running.stop().context("the daemon's end")?;
        if let Some(disk) = &mut self.disk {
            disk.detach()?;
        }
        Ok(())
    }
}

/// The frames of several cameras, in their order.
pub fn frames_of(cameras: &Cameras, roles: &[&Role]) -> Result<Vec<Vec<LoggedFrame>>> {
    roles.iter().map(|role| cameras.frames(role)).collect()
}

/// How many different cameras have files among these.
pub fn note_cameras(report: &mut Report, numbers: impl Iterator<Item = u16>) {
    let different: std::collections::BTreeSet<u16> = numbers.collect();
    report.cameras = Some(different.len() as u64);
}
