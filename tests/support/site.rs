//! A site as an installer makes it, with cameras, accounts and a running daemon; and its people at their browsers.

use super::api::{Answer, Api};
use super::commands::run;
use super::daemon::Daemon;
use super::spans::AskedSpan;
use anyhow::{Context, Result, ensure};
use cctv_custodian::access::SiteFiles;
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::vault::Volume;
use serde_json::{Value, json};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const INIT_LIMIT: Duration = Duration::from_secs(60);
const READY_LIMIT: Duration = Duration::from_secs(30);
const LEAVE_LIMIT: Duration = Duration::from_secs(20);

/// A person's account, as the accounts file gives it to `custodian init`.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: &'static str,
    pub role: &'static str,
    pub password: String,
}

/// Two officers, who watch each other; one who views, one at the desk.
pub const PEOPLE: [(&str, &str); 4] =
    [("officer", "officer"), ("deputy", "officer"), ("viewer", "viewer"), ("staff", "staff")];

/// `bytes` random bytes, in hexadecimal.
pub fn random_text(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(hex::encode(random))
}

/// One camera's file.
#[derive(Clone, Debug)]
pub struct CameraFile {
    number: u16,
    name: String,
    url: String,
    driver: Option<&'static str>,
    login: Option<(String, String)>,
    credential: Option<(String, String)>,
    hours: Option<String>,
    is_in_theatre: bool,
}

impl CameraFile {
    pub fn new(number: u16, name: &str, url: &str) -> Self {
        Self {
            number,
            name: name.to_owned(),
            url: url.to_owned(),
            driver: None,
            login: None,
            credential: None,
            hours: None,
            is_in_theatre: false,
        }
    }

    pub fn through_libav(mut self) -> Self {
        self.driver = Some("libav");
        self
    }

    pub fn with_login(mut self, name: &str, password: &str) -> Self {
        self.login = Some((name.to_owned(), password.to_owned()));
        self
    }

    /// The password is the service manager's to give.
    pub fn with_credential(mut self, name: &str, credential: &str) -> Self {
        self.credential = Some((name.to_owned(), credential.to_owned()));
        self
    }

    /// As in `mon-fri 08:00-19:30`.
    pub fn filming(mut self, hours: &str) -> Self {
        self.hours = Some(hours.to_owned());
        self
    }

    /// In an operating room.
    pub fn in_theatre(mut self) -> Self {
        self.is_in_theatre = true;
        self
    }

    pub fn text(&self) -> String {
        let (area, class) =
            if self.is_in_theatre { ("operating-room", "operating-room") } else { ("lobby", "public-area") };
        let hours = self.hours.as_ref().map_or_else(String::new, |hours| format!("hours = \"{hours}\"\n"));
        let mut text = format!(
            "number = {}\nname = \"{name}\"\nplace = \"ground floor, {name}\"\narea = \"{area}\"\n\
             class = \"{class}\"\npurpose = \"crime prevention\"\n{hours}\n[source]\nurl = \"{}\"\n",
            self.number,
            self.url,
            name = self.name,
        );
        if let Some(driver) = self.driver {
            text.push_str(&format!("driver = \"{driver}\"\n"));
        }
        if let Some((name, _)) = &self.login {
            text.push_str(&format!("username = \"{name}\"\npassword_file = \"{}\"\n", self.password_file()));
        }
        if let Some((name, credential)) = &self.credential {
            text.push_str(&format!("username = \"{name}\"\npassword_credential = \"{credential}\"\n"));
        }
        text
    }

    fn password_file(&self) -> String {
        format!("passwords/camera-{}", self.number)
    }
}

/// A site directory that `custodian init` has made.
#[derive(Clone, Debug)]
pub struct Site {
    program: PathBuf,
    dir: PathBuf,
    pub accounts: Vec<Account>,
    pub recovery_key: String,
    /// What `init` wrote to its outputs.
    pub init_output: String,
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

impl Site {
    /// Makes a site in `dir`, which is not there yet, with the accounts of [`PEOPLE`] and random passwords.
    pub fn init(program: &Path, dir: &Path, more: &[&str]) -> Result<Self> {
        Self::init_of(program, dir, &PEOPLE, more)
    }

    /// The same with these people.
    pub fn init_of(program: &Path, dir: &Path, people: &[(&'static str, &'static str)], more: &[&str]) -> Result<Self> {
        let site = Self::init_in_shares_or_whole(program, dir, people, more)?;
        ensure!(!site.recovery_key.is_empty(), "init told no recovery key: {}", site.init_output);
        Ok(site)
    }

    /// The same, with the recovery key in shares: they stand in `init_output`, and `recovery_key` is empty.
    pub fn init_in_shares(program: &Path, dir: &Path, more: &[&str]) -> Result<Self> {
        Self::init_in_shares_or_whole(program, dir, &PEOPLE, &[&["--recovery-shares"], more].concat())
    }

    fn init_in_shares_or_whole(
        program: &Path,
        dir: &Path,
        people: &[(&'static str, &'static str)],
        more: &[&str],
    ) -> Result<Self> {
        let accounts: Vec<Account> = people
            .iter()
            .map(|(name, role)| Ok(Account { name, role, password: format!("{}-{}", name, random_text(8)?) }))
            .collect::<Result<_>>()?;
        let rows: Vec<String> = accounts
            .iter()
            .map(|a| {
                format!("[[account]]\nname = \"{}\"\nrole = \"{}\"\npassword = \"{}\"\n", a.name, a.role, a.password)
            })
            .collect();
        let file = tempfile::NamedTempFile::new()?;
        write_private(file.path(), &rows.join("\n"))?;
        let mut init = Command::new(program);
        init.arg("init").arg("--site").arg(dir).arg("--accounts").arg(file.path()).args(more);
        let told = run(&mut init, "", INIT_LIMIT)?.succeeded().context("custodian init")?;
        let key = told.stdout.lines().find_map(|line| line.trim().strip_prefix("recovery key: "));
        let recovery_key = key.unwrap_or_default().to_owned();
        let init_output = told.stdout + &told.stderr;
        // What these tests do is not about it; the ones of it set it.
        let file = dir.join("site.toml");
        let settings = std::fs::read_to_string(&file)?;
        ensure!(settings.contains("\nsecond_factor = \"officers\""), "{settings}");
        let settings = settings.replace("\nsecond_factor = \"officers\"", "\nsecond_factor = \"nobody\"");
        // Nor is this machine's log one of their peers.
        ensure!(settings.contains("\ncheckpoints_to = \"/dev/log\""), "{settings}");
        std::fs::write(&file, settings.replace("\ncheckpoints_to = \"/dev/log\"", "\ncheckpoints_to = \"nowhere\""))?;
        Ok(Self { program: program.to_owned(), dir: dir.to_owned(), accounts, recovery_key, init_output })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn volume(&self) -> PathBuf {
        self.dir.join("volumes/v1")
    }

    /// Makes one more volume in `dir`, and tells the site of it.
    pub fn add_volume(&self, dir: &Path) -> Result<()> {
        let disk: SharedDisk = Arc::new(RealDisk);
        let files = SiteFiles::open(Arc::clone(&disk), &self.dir.join("state"))?;
        DirBuilder::new().mode(0o700).create(dir)?;
        Volume::create(&disk, dir, files.site())?;
        let mut settings = OpenOptions::new().append(true).open(self.dir.join("site.toml"))?;
        let path = toml::Value::String(dir.to_str().context("a path that is not UTF-8")?.to_owned());
        Ok(write!(settings, "\n[[volume]]\npath = {path}\n")?)
    }

    /// Makes segments shorter than the minute that they are.
    pub fn cut_segments_after(&self, seconds: u64) -> Result<()> {
        let file = self.dir.join("site.toml");
        let settings = std::fs::read_to_string(&file)?;
        ensure!(settings.contains("\nsegment_s = 60"), "{settings}");
        Ok(std::fs::write(&file, settings.replace("\nsegment_s = 60", &format!("\nsegment_s = {seconds}")))?)
    }

    /// Says how much may wait for a disk that does not keep up.
    pub fn let_wait_mib(&self, mib: u32) -> Result<()> {
        let file = self.dir.join("site.toml");
        let settings = std::fs::read_to_string(&file)?;
        ensure!(settings.contains("\nwaiting_mib = 256"), "{settings}");
        Ok(std::fs::write(&file, settings.replace("\nwaiting_mib = 256", &format!("\nwaiting_mib = {mib}")))?)
    }

    /// How many cameras the notice declares.
    pub fn declare(&self, cameras: usize) -> Result<()> {
        let path = self.dir.join("site.toml");
        let text = std::fs::read_to_string(&path)?;
        let line = text.lines().find(|line| line.contains("declared_cameras =")).context("no such line")?.to_owned();
        Ok(std::fs::write(&path, text.replace(&line, &format!("declared_cameras = {cameras}")))?)
    }

    /// Says where checkpoints of the ledger are sent.
    pub fn send_checkpoints_to(&self, socket: &Path) -> Result<()> {
        let file = self.dir.join("site.toml");
        let settings = std::fs::read_to_string(&file)?;
        ensure!(settings.contains("\ncheckpoints_to = \"nowhere\""), "{settings}");
        let wanted = format!("\ncheckpoints_to = \"{}\"", socket.display());
        Ok(std::fs::write(&file, settings.replace("\ncheckpoints_to = \"nowhere\"", &wanted))?)
    }

    /// Says what is to be done when the disk is full.
    pub fn when_full(&self, what: &str) -> Result<()> {
        let file = self.dir.join("site.toml");
        let settings = std::fs::read_to_string(&file)?;
        ensure!(settings.contains("\nwhen_full = \"erase-oldest\""), "{settings}");
        let wanted = format!("\nwhen_full = \"{what}\"");
        Ok(std::fs::write(&file, settings.replace("\nwhen_full = \"erase-oldest\"", &wanted))?)
    }

    /// Says that a decision takes two people of different roles.
    pub fn want_two_to_decide(&self) -> Result<()> {
        let file = self.dir.join("site.toml");
        let settings = std::fs::read_to_string(&file)?;
        ensure!(settings.contains("\nsecond_approver = false"), "{settings}");
        Ok(std::fs::write(&file, settings.replace("\nsecond_approver = false", "\nsecond_approver = true"))?)
    }

    /// Runs `custodian status --json`: its exit status and what it tells.
    pub fn status(&self) -> Result<(Option<i32>, Value)> {
        let told = self.run("status", &["--json"])?;
        let status = serde_json::from_str(&told.stdout).with_context(|| format!("{told:?}"))?;
        Ok((told.status.code(), status))
    }

    /// The ledger's files, oldest first.
    pub fn ledger_files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.dir.join("state/ledger"))? {
            files.push(entry?.path());
        }
        files.retain(|path| path.extension().is_some_and(|ending| ending == "ledger"));
        files.sort();
        Ok(files)
    }

    pub fn account(&self, name: &str) -> Result<&Account> {
        self.accounts.iter().find(|account| account.name == name).with_context(|| format!("no account {name}"))
    }

    /// Where a camera's file stands.
    pub fn camera_path(&self, number: u16) -> PathBuf {
        self.dir.join(format!("camera-config/camera-{number}.toml"))
    }

    /// Saves a camera's file as good editors do: under another name first.
    pub fn save_camera(&self, camera: &CameraFile) -> Result<()> {
        if let Some((_, password)) = &camera.login {
            let dir = self.dir.join("passwords");
            if !dir.is_dir() {
                DirBuilder::new().mode(0o700).create(&dir)?;
            }
            write_private(&self.dir.join(camera.password_file()), &format!("{password}\n"))?;
        }
        let path = self.camera_path(camera.number);
        let half = path.with_extension("saving");
        std::fs::write(&half, camera.text())?;
        Ok(std::fs::rename(half, path)?)
    }

    pub fn remove_camera(&self, number: u16) -> Result<()> {
        Ok(std::fs::remove_file(self.camera_path(number))?)
    }

    /// Runs `custodian COMMAND --site DIR MORE…` to its end.
    pub fn run(&self, command: &str, more: &[&str]) -> Result<super::commands::Ended> {
        let mut call = Command::new(&self.program);
        call.arg(command).arg("--site").arg(&self.dir).args(more);
        run(&mut call, "", INIT_LIMIT)
    }

    /// Runs `custodian ledger verify FILE… --json` and returns what it told.
    pub fn verify_ledger(&self, files: &[PathBuf]) -> Result<Value> {
        let mut call = Command::new(&self.program);
        call.args(["ledger", "verify", "--json"]).args(files);
        let ended = run(&mut call, "", INIT_LIMIT)?;
        let told: Value = serde_json::from_str(ended.stdout.trim())
            .with_context(|| format!("ledger verify said {:?} and {:?}", ended.stdout, ended.stderr))?;
        ensure!(told["ok"] == json!(ended.status.success()), "{told}, and yet {}", ended.status);
        Ok(told)
    }

    /// Starts the daemon on a free port and waits until it listens. Its outputs go to `log`, which is made anew.
    pub fn serve(&self, log: &Path, more: &[&str], environment: &[(&str, &str)]) -> Result<Running> {
        std::fs::write(log, "")?;
        let dir = self.dir.to_str().context("a path that is not UTF-8")?;
        let arguments = [&["serve", "--site", dir, "--listen", "127.0.0.1:0"], more].concat();
        let mut daemon = Daemon::start_with(&self.program, &arguments, environment, log)?;
        let line = daemon.wait_for_line("listening", READY_LIMIT)?;
        let address =
            line.split_once("address=").map(|(_, rest)| rest.split([' ', '"', ',']).next().unwrap_or_default());
        let address = address.with_context(|| format!("no address in {line:?}"))?;
        Ok(Running { daemon, base: format!("http://{address}") })
    }
}

/// A daemon that listens.
#[derive(Debug)]
pub struct Running {
    pub daemon: Daemon,
    pub base: String,
}

impl Running {
    /// A browser in which nobody has signed in.
    pub fn browser(&self) -> Api {
        Api::new(&self.base)
    }

    pub fn sign_in(&self, site: &Site, name: &str) -> Result<Person> {
        let account = site.account(name)?.clone();
        let mut api = self.browser();
        let told = api.post("/v1/session", &json!({"name": account.name, "password": account.password}))?;
        let number = told.expect_status(200).with_context(|| format!("{name} signs in"))?.json["account"].clone();
        Ok(Person { api, account, number })
    }

    /// SIGTERM; it must end well, and soon.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.daemon.stop(LEAVE_LIMIT)?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }

    /// A camera's row of `/v1/cameras`, as `who` sees it; null where it is not listed.
    pub fn camera(&self, who: &mut Person, number: u16) -> Result<Value> {
        let told = who.api.get("/v1/cameras")?.expect_status(200)?.json;
        let rows = told["cameras"].as_array().cloned().unwrap_or_default();
        Ok(rows.into_iter().find(|row| row["number"] == number).unwrap_or(Value::Null))
    }

    /// Waits until all of these cameras record.
    pub fn wait_for_cameras(&mut self, who: &mut Person, numbers: &[u16], limit: Duration) -> Result<()> {
        let base = self.base.clone();
        self.daemon.wait_until(&format!("cameras {numbers:?} record"), limit, |_| {
            let told = who.api.get("/v1/cameras").with_context(|| base.clone())?.expect_status(200)?.json;
            let rows = told["cameras"].as_array().cloned().unwrap_or_default();
            let records = |number: &u16| rows.iter().any(|row| row["number"] == *number && row["state"] == "recording");
            Ok(numbers.iter().all(records).then_some(()))
        })
    }
}

/// Somebody who has signed in.
#[derive(Clone, Debug)]
pub struct Person {
    pub api: Api,
    pub account: Account,
    /// The account's number.
    pub number: Value,
}

impl Person {
    /// Enters a request for viewing.
    pub fn ask(&mut self, cameras: &[u16], span: AskedSpan, person: &str) -> Result<Answer> {
        let request = json!({
            "kind": "viewing",
            "cameras": cameras,
            "span": span.to_json()?,
            "purpose": "lost property",
            "person": {"name": person, "contact": "02-000-0000"},
        });
        self.api.post("/v1/requests", &request)
    }

    /// Has seen the person's document.
    pub fn identify(&mut self, request: &Value) -> Result<Answer> {
        self.api.post(&format!("/v1/requests/{request}/identity"), &json!({"document": "passport"}))
    }

    /// Approves a request for a viewer, with the password said again.
    pub fn approve(&mut self, request: &Value, viewer: &Value) -> Result<Answer> {
        let decision = json!({"decision": "approve", "viewer": viewer, "password": self.account.password});
        self.api.post(&format!("/v1/requests/{request}/decision"), &decision)
    }

    pub fn close(&mut self, request: &Value) -> Result<Answer> {
        self.api.post(&format!("/v1/requests/{request}/close"), &json!({}))
    }

    /// Sits down before what a grant names; the person who asked is there.
    pub fn begin_viewing(&mut self, grant: &Value) -> Result<Answer> {
        self.api.post(&format!("/v1/grants/{grant}/viewing"), &json!({"present": true}))
    }

    pub fn end_viewing(&mut self, grant: &Value) -> Result<Answer> {
        self.api.post(&format!("/v1/grants/{grant}/viewing/end"), &json!({}))
    }

    /// Where a grant's picture of a camera stands.
    pub fn playlist(grant: &Value, camera: u16) -> String {
        format!("/v1/grants/{grant}/cameras/{camera}/playlist.m3u8")
    }

    /// The whole address of a path and the headers a player must send to see it as this person.
    pub fn for_player(&self, path: &str) -> (String, Vec<(String, String)>) {
        (self.api.url(path), self.api.headers())
    }
}
