//! A site with its people and cameras, served by the real program.

use crate::support::api::Api;
use crate::support::commands::wait_until;
use crate::support::daemon::{Daemon, command, program};
use crate::support::peers::{Mount, RtspServer, Video};
use anyhow::{Context, Result};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(60);
/// Name and role of everybody; the password is [`password`].
pub const PEOPLE: [(&str, &str); 6] = [
    ("officer", "officer"),
    ("deputy", "officer"),
    ("desk", "staff"),
    ("viewer", "viewer"),
    ("auditor", "auditor"),
    ("installer", "installer"),
];

pub fn password(name: &str) -> String {
    format!("a long password of {name}")
}

/// Number, name, path on the server, area and class of a camera.
type Hung = (u16, &'static str, &'static str, &'static str, &'static str);

/// A running daemon over a site in a scratch directory.
#[derive(Debug)]
pub struct Site {
    pub url: String,
    // Dropped in this order: first the daemon, then what it uses.
    _daemon: Daemon,
    _cameras: Option<RtspServer>,
    _dir: tempfile::TempDir,
}

impl Site {
    /// Two cameras: 1 in H.264, 2 in H.265.
    pub fn with_cameras() -> Result<Self> {
        let mounts = vec![Mount::new("/yard", Video::Yard), Mount::new("/park", Video::YardH265)];
        let cameras = [(1, "Lobby", "/yard", "lobby", "public-area"), (2, "Car park", "/park", "lobby", "public-area")];
        Self::start(Some((RtspServer::start(mounts)?, &cameras)), &[])
    }

    /// Camera 3 in an operating room, and camera 1 in the lobby.
    pub fn with_theatre() -> Result<Self> {
        let mounts = vec![Mount::new("/yard", Video::Yard), Mount::new("/theatre", Video::Clock)];
        let cameras = [
            (1, "Lobby", "/yard", "lobby", "public-area"),
            (3, "Operating room 1", "/theatre", "operating-room", "operating-room"),
        ];
        Self::start(Some((RtspServer::start(mounts)?, &cameras)), &[])
    }

    pub fn without_cameras(more: &[&str]) -> Result<Self> {
        Self::start(None, more)
    }

    fn start(cameras: Option<(RtspServer, &[Hung])>, more: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("custodian-pages-").tempdir()?;
        let site = dir.path().join("site");
        let path = site.to_str().context("a path that is not UTF-8")?;
        let accounts = dir.path().join("accounts.toml");
        write_accounts(&accounts)?;
        let accounts = accounts.to_str().context("a path that is not UTF-8")?;
        let arguments = ["init", "--site", path, "--accounts", accounts, "--allow-unproven"];
        command(&arguments, "", READY_LIMIT)?.succeeded().context("custodian init")?;
        let file = site.join("site.toml");
        let text = std::fs::read_to_string(&file)?;
        // So that there is something to be seen after seconds.
        let text = text.replace("segment_s = 60", "segment_s = 10").replace("commit_s = 2", "commit_s = 1");
        let text = text.replace("second_factor = \"officers\"", "second_factor = \"nobody\"");
        let place = "\n[[terminals]]\nname = \"server room\"\naddresses = [\"127.0.0.1\"]\n";
        std::fs::write(&file, text + place)?;
        if let Some((server, cameras)) = &cameras {
            for (number, name, path, area, class) in *cameras {
                let camera = format!(
                    "number = {number}\nname = \"{name}\"\nplace = \"ground floor\"\narea = \"{area}\"\n\
                     class = \"{class}\"\npurpose = \"crime prevention\"\n[source]\nurl = \"{}\"\n",
                    server.url(path)
                );
                std::fs::write(site.join(format!("camera-config/{number}.toml")), camera)?;
            }
        }
        let mut arguments = vec!["serve", "--site", path, "--listen", "127.0.0.1:0"];
        arguments.extend(more);
        let mut daemon = Daemon::start(&program()?, &arguments, &dir.path().join("log"))?;
        let line = daemon.wait_for_line("listening", READY_LIMIT)?;
        let address = line.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let url = format!("http://{}", address.with_context(|| format!("no address in {line:?}"))?);
        Ok(Self { url, _daemon: daemon, _cameras: cameras.map(|(server, _)| server), _dir: dir })
    }

    /// Somebody's own client of the API, signed in.
    pub fn sign_in(&self, name: &str) -> Result<Api> {
        let mut api = Api::new(&self.url);
        api.post("/v1/session", &json!({"name": name, "password": password(name)}))?.expect_status(200)?;
        Ok(api)
    }

    /// Waits until every camera has at least so much footage, and returns a moment that all have filmed, in ms since
    /// 1970.
    pub fn wait_for_footage(&self, length: Duration) -> Result<i64> {
        let mut desk = self.sign_in("desk")?;
        let wanted = i64::try_from(length.as_millis())?;
        wait_until("every camera has footage", READY_LIMIT, || {
            let now = now_ms()?;
            let mut newest = i64::MAX;
            for camera in [1, 2] {
                let span = format!("from={}&to={}", rfc3339(now - 120_000)?, rfc3339(now)?);
                let answer = desk.get(&format!("/v1/cameras/{camera}/availability?{span}"))?.expect_status(200)?;
                let pieces = answer.json["pieces"].as_array().cloned().unwrap_or_default();
                let ends = pieces.iter().filter(|piece| piece["state"] == "footage");
                let point = |piece: &serde_json::Value, end: &str| millis(piece["span"][end].as_str()?);
                let first = ends.clone().filter_map(|piece| point(piece, "from")).min();
                let last = ends.filter_map(|piece| point(piece, "to")).max();
                match (first, last) {
                    (Some(first), Some(last)) if last - first >= wanted => newest = newest.min(last),
                    _ => return Ok(None),
                }
            }
            Ok(Some(newest))
        })
    }
}

fn write_accounts(file: &Path) -> Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    for (name, role) in PEOPLE {
        writeln!(out, "[[account]]\nname = \"{name}\"\nrole = \"{role}\"\npassword = \"{}\"", password(name))?;
    }
    Ok(())
}

pub fn now_ms() -> Result<i64> {
    Ok(i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?)
}

pub fn rfc3339(at_ms: i64) -> Result<String> {
    Ok(jiff::Timestamp::from_millisecond(at_ms)?.to_string())
}

fn millis(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
