//! `site.toml`: what holds for the whole site.

use super::document::{Document, Section};
use super::error::{ConfigError, ConfigErrors, Fault};
use super::ledger::{LedgerKeeping, read_ledger};
use super::listen::{Listen, read_listen};
use super::pace::{Compression, Pace};
use super::private::{check_private, read_text};
use super::requests::{RequestKeeping, read_keeping};
use super::terminals::read_terminals;
use crate::domain::{CameraClass, Retention, Terminal};
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file's name in the site directory.
pub const SITE_FILE: &str = "site.toml";
/// A fragment is a group of pictures, or this long, whichever is shorter.
pub const FRAGMENT_LIMIT: Duration = Duration::from_secs(4);

const DEFAULT_TIME_ZONE: &str = "Asia/Seoul";
const DEFAULT_CAMERA_DIR: &str = "camera-config";
const DEFAULT_VOLUME: &str = "volumes/v1";
/// systemd.exec(5).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
const NAME_LIMIT: usize = 100;
const PATH_LIMIT: usize = 1000;

/// A site as configured. All paths are absolute.
#[derive(Clone, PartialEq, Debug)]
pub struct Site {
    /// The site directory: state, cameras and, by default, footage.
    pub dir: PathBuf,
    pub name: String,
    /// For times that are shown. Stored times are UTC.
    pub time_zone: TimeZone,
    /// How many cameras the published notice declares (PIPA 25(4)); no more than these are read. `None`: no limit.
    pub declared_cameras: Option<u32>,
    /// Where the service manager put credentials (`$CREDENTIALS_DIRECTORY`); `None` where it gave none.
    pub credentials_dir: Option<PathBuf>,
    /// The directory of one file a camera.
    pub camera_dir: PathBuf,
    pub listen: Listen,
    /// At least one, no two the same.
    pub volumes: Vec<VolumePlace>,
    pub recording: Recording,
    pub erasing: Erasing,
    pub access: AccessLimits,
    pub requests: RequestRules,
    /// How long what is written of persons is kept, and what letters say.
    pub keeping: RequestKeeping,
    /// Places where footage may be watched; no two of the same name.
    pub terminals: Vec<Terminal>,
    /// Held footage that takes so much of the disks is an alarm.
    pub held_warn_percent: u8,
    /// So many days that nobody confirmed what was destroyed on are an alarm.
    pub unconfirmed_days: u32,
    /// An operation that is under way for so long is an alarm.
    pub operation_warn: Duration,
    pub ledger: LedgerKeeping,
    /// How far the clock may jump forward, in total, before an officer has to confirm the time.
    pub max_forward: Duration,
    /// Whether this is a demonstration: to be shown in the log, the API and on every page.
    pub pace: Pace,
    compression: Option<Compression>,
}

/// A volume's directory, and what may be forgiven there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolumePlace {
    pub path: PathBuf,
    /// Take it even if overwriting cannot be proven there. Every receipt then says "not proven".
    pub allow_unproven: bool,
}

/// How footage is cut and flushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recording {
    /// How long a segment is, about: it ends at the next key frame.
    pub segment: Duration,
    /// How often what was recorded is made durable: at most this much is lost at a power cut.
    pub commit: Duration,
    /// What may wait in memory for disks that do not keep up, of all cameras together. Beyond it the oldest goes.
    pub waiting_bytes: u64,
    pub when_full: WhenFull,
    /// How long before the disk will be full, as far as can be foreseen, that is an alarm.
    pub warn_ahead: Duration,
}

/// What happens when the disk does fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// The oldest footage that nothing holds, and that no law demands, is destroyed before its day.
    EraseOldest,
    /// Recording stops until there is room.
    Stop,
}

/// How what was overwritten is looked at again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Erasing {
    /// How much of each file is read back through the device, besides its key block; 5 to 100.
    pub read_back_percent: u8,
    /// Whether devices are told which blocks are free.
    pub discard: bool,
}

/// Limits of sessions and requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessLimits {
    /// A session without requests ends after this (Safety Measures Notice, article 6).
    pub session_idle: Duration,
    pub session_max: Duration,
    /// A viewing in which nothing is asked for ends after this.
    pub viewing_idle: Duration,
    pub second_factor: SecondFactor,
    /// A password is to be changed after so long; `None`: never (NIST SP 800-63B wants no age).
    pub password_max: Option<Duration>,
    /// A request is to be decided within so many days (PIPA 35(3), Decree 41(4): ten; it can only be shortened).
    pub request_due_days: u32,
    /// A refusal can be objected to for so long, and what was asked for stays until then.
    pub objection: Duration,
}

/// How requests are handled here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestRules {
    /// The site is a public body: some bases of a provision are open to those alone (PIPA 18(2)).
    pub public_body: bool,
    /// Who asks shows the document in person; the time to answer runs from when the request arrived all the same.
    pub identity_in_person: bool,
    /// An officer may watch what an officer decided.
    pub decider_may_view: bool,
    /// A decision takes two people of different roles.
    pub second_approver: bool,
}

/// Who must have a second factor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondFactor {
    Nobody,
    Officers,
    Everybody,
}

impl Site {
    /// Reads and checks `dir/site.toml`, and that nobody else can look into `dir`. Blocks on files.
    ///
    /// # Errors
    /// Everything that is wrong, all at once.
    pub fn load(dir: &Path, pace: Pace) -> Result<Self, ConfigErrors> {
        let dir = match std::path::absolute(dir) {
            Ok(dir) => dir,
            Err(e) => return Err(ConfigErrors(vec![whole_file(dir, Fault::Unreadable(e.to_string()))])),
        };
        let mut errors: Vec<ConfigError> = check_private(&dir).err().into_iter().collect();
        let file = dir.join(SITE_FILE);
        let text = match read_text(&file) {
            Ok(text) => text,
            Err(fault) => {
                let fault = if file.exists() { fault } else { Fault::NoSiteFile };
                errors.push(whole_file(&file, fault));
                return Err(ConfigErrors(errors));
            }
        };
        match Self::parse(&dir, &file, &text, pace) {
            Ok(site) if errors.is_empty() => {
                Ok(Self { credentials_dir: std::env::var_os(CREDENTIALS).map(PathBuf::from), ..site })
            }
            Ok(_) => Err(ConfigErrors(errors)),
            Err(more) => {
                errors.extend(more);
                Err(ConfigErrors(errors))
            }
        }
    }

    /// The text of a `site.toml` that says every default, with what it means. `custodian init` writes it.
    pub fn template(name: &str) -> String {
        let quoted = toml::Value::from(name).to_string();
        include_str!("site.template.toml").replace("\"NAME\"", &quoted)
    }

    /// How long a camera's footage is kept, for a period in whole days: as the law and the pace allow.
    pub(super) fn retention(&self, class: CameraClass, days: u32) -> Result<Retention, Fault> {
        let lawful = class.retention(days).map_err(Fault::Retention)?;
        match (self.compression, lawful) {
            (None, _) => Ok(lawful),
            (Some(compressed), Retention::Ceiling(_)) => Ok(Retention::Ceiling(compressed.ceiling)),
            (Some(_), Retention::Floor(_)) => Err(Fault::FloorInDemo),
        }
    }

    fn parse(dir: &Path, file: &Path, text: &str, pace: Pace) -> Result<Self, Vec<ConfigError>> {
        let document = Document::new(file, text);
        let site = document.root().and_then(|root| Self::read(&document, root, dir, pace));
        let errors = document.into_errors();
        match site {
            Some(site) if errors.is_empty() => Ok(site),
            _ => Err(errors),
        }
    }

    /// `None` when what cannot be defaulted is missing or wrong; other errors are in the document.
    fn read(document: &Document<'_>, mut root: Section<'_>, dir: &Path, pace: Pace) -> Option<Self> {
        let camera_dir = root.line("camera_config", PATH_LIMIT).map(|found| found.value);
        let camera_dir = dir.join(camera_dir.as_deref().unwrap_or(DEFAULT_CAMERA_DIR));

        let mut site = root.section("site");
        let name = site.line("name", NAME_LIMIT);
        let name = site.require("name", "write the site's name as the notice has it", name);
        let time_zone = read_time_zone(&mut site);
        let declared_cameras = site.number("declared_cameras", 1..=65_535, "cameras").map(|found| found.value);
        site.finish();

        let listen = read_listen(root.section("http"), dir);

        let volumes = read_volumes(document, &mut root, dir);
        let compression = pace.compression();
        let recording = read_recording(root.section("recording"), compression);
        let erasing = read_erasing(root.section("erasing"));
        let access = read_access(root.section("access"));
        let mut section = root.section("requests");
        let requests = read_rules(&mut section);
        let keeping = read_keeping(section);
        let terminals = read_terminals(document, &mut root);
        let mut holds = root.section("holds");
        let held_warn_percent = holds.number("warn_percent", 1..=100, "percent").map_or(10, |found| found.value);
        holds.finish();
        let mut destruction = root.section("destruction");
        let unconfirmed_days = destruction.number("unconfirmed_days", 1..=31, "days").map_or(7, |found| found.value);
        destruction.finish();

        let mut operations = root.section("operations");
        let operation_warn_h = operations.number("warn_h", 1..=72, "hours").map_or(8, |found| found.value);
        operations.finish();

        let ledger = read_ledger(root.section("ledger"), time_zone.as_ref());
        let mut clock = root.section("clock");
        let max_forward = clock.number("max_forward_h", 1..=168, "hours");
        clock.finish();
        root.finish();

        Some(Self {
            dir: dir.to_path_buf(),
            name: name?.value,
            time_zone: time_zone?,
            declared_cameras,
            credentials_dir: None,
            camera_dir,
            listen,
            volumes,
            recording,
            erasing,
            access,
            requests,
            keeping,
            terminals,
            held_warn_percent: u8::try_from(held_warn_percent).unwrap_or(100),
            unconfirmed_days,
            operation_warn: hours(operation_warn_h),
            ledger: ledger?,
            max_forward: hours(max_forward.map_or(72, |found| found.value)),
            pace,
            compression,
        })
    }
}

pub(super) fn whole_file(file: &Path, fault: Fault) -> ConfigError {
    ConfigError { file: file.to_path_buf(), place: None, field: None, fault }
}

fn read_time_zone(site: &mut Section<'_>) -> Option<TimeZone> {
    let written = site.line("time_zone", NAME_LIMIT).map(|found| found.value);
    match TimeZone::get(written.as_deref().unwrap_or(DEFAULT_TIME_ZONE)) {
        Ok(zone) => Some(zone),
        Err(_) => {
            site.refuse("time_zone", Fault::UnknownTimeZone);
            None
        }
    }
}

fn read_volumes(document: &Document<'_>, root: &mut Section<'_>, dir: &Path) -> Vec<VolumePlace> {
    let Some(sections) = root.sections("volume") else {
        return vec![VolumePlace { path: dir.join(DEFAULT_VOLUME), allow_unproven: false }];
    };
    if sections.is_empty() {
        root.refuse("volume", Fault::Empty);
    }
    let mut volumes: Vec<VolumePlace> = Vec::new();
    for mut section in sections {
        let field = section.named("path");
        let path = section.line("path", PATH_LIMIT).map(|found| found.value);
        let path = tidy(&dir.join(path.as_deref().unwrap_or(DEFAULT_VOLUME)));
        let allow_unproven = section.switch("allow_unproven").is_some_and(|found| found.value);
        section.finish();
        if volumes.iter().any(|volume| volume.path == path) {
            document.refuse(&field, Fault::VolumeTwice);
        }
        volumes.push(VolumePlace { path, allow_unproven });
    }
    volumes
}

/// The path without `.` and doubled slashes, so that one directory is not written in two ways.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

fn read_recording(mut recording: Section<'_>, compression: Option<Compression>) -> Recording {
    let segment = recording.number("segment_s", 10..=600, "seconds");
    let segment = Duration::from_secs(u64::from(segment.map_or(60, |found| found.value)));
    let commit = recording.number("commit_s", 1..=10, "seconds");
    let waiting = recording.number("waiting_mib", 4..=65_536, "MiB");
    let when_full = recording.choice::<WhenFull>("when_full");
    let warn_ahead = recording.number("warn_days_ahead", 1..=60, "days");
    recording.finish();
    Recording {
        segment: compression.map_or(segment, |compressed| compressed.segment),
        commit: Duration::from_secs(u64::from(commit.map_or(2, |found| found.value))),
        waiting_bytes: u64::from(waiting.map_or(256, |found| found.value)) << 20,
        when_full: when_full.map_or(WhenFull::EraseOldest, |found| found.value),
        warn_ahead: hours(warn_ahead.map_or(7, |found| found.value) * 24),
    }
}

fn read_erasing(mut erasing: Section<'_>) -> Erasing {
    let percent = erasing.number("read_back_percent", 5..=100, "percent").map_or(5, |found| found.value);
    let discard = erasing.switch("discard").is_none_or(|found| found.value);
    erasing.finish();
    Erasing { read_back_percent: u8::try_from(percent).unwrap_or(100), discard }
}

fn read_access(mut access: Section<'_>) -> AccessLimits {
    let idle = access.number("session_idle_min", 1..=120, "minutes").map_or(10, |found| found.value);
    let max = access.number("session_max_h", 1..=24, "hours").map_or(12, |found| found.value);
    let viewing_idle = access.number("viewing_idle_min", 1..=120, "minutes").map_or(10, |found| found.value);
    let second_factor = access.choice::<SecondFactor>("second_factor").map(|found| found.value);
    let password = access.number("password_max_days", 0..=1095, "days").map_or(0, |found| found.value);
    let due = access.number("request_due_days", 1..=10, "days").map_or(10, |found| found.value);
    let objection = access.number("objection_days", 7..=180, "days").map_or(30, |found| found.value);
    let limits = AccessLimits {
        session_idle: Duration::from_secs(u64::from(idle) * 60),
        session_max: hours(max),
        viewing_idle: Duration::from_secs(u64::from(viewing_idle) * 60),
        second_factor: second_factor.unwrap_or(SecondFactor::Officers),
        password_max: (password > 0).then(|| hours(password * 24)),
        request_due_days: due,
        objection: hours(objection * 24),
    };
    if limits.session_max < limits.session_idle {
        access.refuse("session_max_h", Fault::SessionShorterThanIdle);
    }
    access.finish();
    limits
}

fn read_rules(requests: &mut Section<'_>) -> RequestRules {
    let mut is_on = |key| requests.switch(key).is_some_and(|found| found.value);
    RequestRules {
        public_body: is_on("public_body"),
        identity_in_person: is_on("identity_in_person"),
        decider_may_view: is_on("decider_may_view"),
        second_approver: is_on("second_approver"),
    }
}

fn hours(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    const DIR: &str = "/var/lib/custodian";

    /// The text after the name, the error's line and column, its field, and words that its message has.
    type WrongField = (&'static str, (usize, usize), &'static str, &'static [&'static str]);

    fn parse(text: &str) -> Result<Site, Vec<ConfigError>> {
        Site::parse(Path::new(DIR), &Path::new(DIR).join(SITE_FILE), text, Pace::Real)
    }

    #[test]
    fn a_name_alone_is_a_site_and_the_template_says_its_defaults() {
        let site = parse("[site]\nname = \"Two Centres\"\n").unwrap();
        assert_eq!(site, parse(&Site::template("Two Centres")).unwrap());
        assert_eq!(site.name, "Two Centres");
        assert_eq!(site.time_zone.iana_name(), Some("Asia/Seoul"));
        assert_eq!(site.declared_cameras, None);
        assert_eq!(site.camera_dir, Path::new("/var/lib/custodian/camera-config"));
        assert_eq!(site.listen.address().to_string(), "127.0.0.1:8970");
        let volume = VolumePlace { path: "/var/lib/custodian/volumes/v1".into(), allow_unproven: false };
        assert_eq!(site.volumes, [volume]);
        assert_eq!(site.recording.segment, Duration::from_secs(60));
        assert_eq!(site.recording.commit, Duration::from_secs(2));
        assert_eq!(site.recording.waiting_bytes, 256 << 20);
        assert_eq!(site.recording.when_full, WhenFull::EraseOldest);
        assert_eq!(site.recording.warn_ahead, Duration::from_secs(7 * 86_400));
        assert_eq!(site.erasing, Erasing { read_back_percent: 5, discard: true });
        assert_eq!(site.access.session_idle, Duration::from_secs(600));
        assert_eq!(site.access.session_max, Duration::from_secs(12 * 3600));
        assert_eq!(site.access.request_due_days, 10);
        assert_eq!(site.keeping.remind_days, [3, 7, 9]);
        assert!(site.keeping.holidays.is_empty() && site.keeping.viewing_place.is_none());
        assert_eq!(site.keeping.keep_persons, Duration::from_secs(1_096 * 86_400));
        assert_eq!(site.access.viewing_idle, Duration::from_secs(600));
        assert_eq!(site.access.objection, Duration::from_secs(30 * 86_400));
        let all = |is_on| RequestRules {
            public_body: is_on,
            identity_in_person: is_on,
            decider_may_view: is_on,
            second_approver: is_on,
        };
        assert_eq!(site.requests, all(false));
        let text = "public_body = true\nidentity_in_person = true\ndecider_may_view = true\nsecond_approver = true";
        assert_eq!(parse(&format!("[site]\nname = \"S\"\n[requests]\n{text}\n")).unwrap().requests, all(true));
        assert_eq!((site.held_warn_percent, site.unconfirmed_days), (10, 7));
        assert_eq!(site.operation_warn, hours(8));
        assert_eq!(site.ledger.checkpoints_to.as_deref(), Some(Path::new("/dev/log")));
        assert_eq!(site.ledger.checkpoint_every, Duration::from_secs(600));
        assert_eq!((site.ledger.review_months, site.ledger.keep_months), (1, 36));
        assert_eq!(site.max_forward, Duration::from_secs(72 * 3600));
        assert_eq!(site.pace, Pace::Real);
    }

    #[test]
    fn the_default_time_zone_is_there_on_a_machine_without_any() {
        let bundled = jiff::tz::TimeZoneDatabase::bundled();
        assert_eq!(bundled.get(DEFAULT_TIME_ZONE).unwrap().iana_name(), Some(DEFAULT_TIME_ZONE));
    }

    #[test]
    fn a_name_of_any_letters_survives_the_template() {
        for name in ["병원 \"하나\"", "a\\b", "NAME", "# no comment"] {
            assert_eq!(parse(&Site::template(name)).unwrap().name, name);
        }
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let text = r#"
camera_config = "/etc/custodian/cameras"
[site]
name = "S"
time_zone = "Europe/Paris"
declared_cameras = 97
[http]
listen = "[::1]:80"
[[volume]]
path = "/mnt/a"
[[volume]]
path = "b/./c/"
allow_unproven = true
[recording]
segment_s = 10
commit_s = 10
waiting_mib = 8
when_full = "stop"
warn_days_ahead = 60
[erasing]
read_back_percent = 100
discard = false
[access]
session_idle_min = 1
session_max_h = 24
viewing_idle_min = 2
request_due_days = 1
objection_days = 7
[requests]
remind_days = [5, 2, 5]
holidays = ["2027-01-01", "2026-12-25"]
keep_persons_years = 1
viewing_place = "Server room, 2nd floor"
contact = "02-123-4567"
public_body = true
identity_in_person = true
decider_may_view = true
second_approver = true
[holds]
warn_percent = 100
[destruction]
unconfirmed_days = 1
[operations]
warn_h = 24
[clock]
max_forward_h = 1
"#;
        let site = parse(text).unwrap();
        assert_eq!(site.camera_dir, Path::new("/etc/custodian/cameras"));
        assert_eq!(site.declared_cameras, Some(97));
        assert_eq!(site.listen.address().port(), 80);
        let volumes: Vec<_> =
            site.volumes.iter().map(|volume| (volume.path.to_str().unwrap(), volume.allow_unproven)).collect();
        assert_eq!(volumes, [("/mnt/a", false), ("/var/lib/custodian/b/c", true)]);
        let (ten, sixty_days) = (Duration::from_secs(10), Duration::from_secs(60 * 86_400));
        let when_full = WhenFull::Stop;
        let recording =
            Recording { segment: ten, commit: ten, waiting_bytes: 8 << 20, when_full, warn_ahead: sixty_days };
        assert_eq!(site.recording, recording);
        assert_eq!(site.erasing, Erasing { read_back_percent: 100, discard: false });
        assert_eq!(site.access.request_due_days, 1);
        assert_eq!(site.keeping.remind_days, [2, 5], "sorted, each once");
        let holidays: Vec<String> = site.keeping.holidays.iter().map(ToString::to_string).collect();
        assert_eq!(holidays, ["2026-12-25", "2027-01-01"]);
        assert_eq!(site.keeping.keep_persons, Duration::from_secs(366 * 86_400));
        assert_eq!(site.keeping.contact.as_deref(), Some("02-123-4567"));
        assert_eq!(site.access.viewing_idle, Duration::from_secs(120));
        assert_eq!((site.access.objection, site.held_warn_percent), (Duration::from_secs(7 * 86_400), 100));
        assert_eq!(site.unconfirmed_days, 1);
        assert_eq!(site.operation_warn, hours(24));
        assert_eq!(site.max_forward, Duration::from_secs(3600));
    }

    #[test]
    fn each_wrong_field_is_named_with_its_line_and_what_to_do() {
        let cases: &[WrongField] = &[
            ("time_zone = \"Asia/Soul\"", (3, 13), "site.time_zone", &["Asia/Seoul"]),
            ("declared_cameras = 0", (3, 20), "site.declared_cameras", &["from 1 to 65535"]),
            ("colour = 1", (3, 1), "site.colour", &["no such field", "name, time_zone, declared_cameras"]),
            ("[htpp]", (3, 2), "htpp", &["no such field", "http"]),
            ("[http]\nlisten = \"0.0.0.0:8970\"", (4, 10), "http.listen", &["needs TLS", "127.0.0.1:8970"]),
            ("[http]\nlisten = \"192.0.2.1:80\"", (4, 10), "http.listen", &["192.0.2.1:80", "needs TLS"]),
            ("[http]\nlisten = \"[::]:80\"", (4, 10), "http.listen", &["needs TLS"]),
            ("[http]\nlisten = \"127.0.0.1\"", (4, 10), "http.listen", &["with a port"]),
            ("[http]\nlisten = \"localhost:80\"", (4, 10), "http.listen", &["with a port"]),
            ("[http]\nlisten = 8970", (4, 10), "http.listen", &["text in quotes", "integer"]),
            ("[http]\ntls = true", (4, 7), "http.tls", &["text in quotes"]),
            ("[http]\ntls = \"yes\"", (4, 7), "http.tls", &["none, own-certificate, given-certificate"]),
            ("[http]\ntls = \"given-certificate\"", (4, 7), "http.tls", &["certificate", "private_key"]),
            ("[http]\ncertificate = \"a\"\nprivate_key = \"b\"", (4, 15), "http.certificate", &["given-certificate"]),
            ("[http]\nprivate_key = \"b\"", (4, 15), "http.private_key", &["given-certificate"]),
            ("[http]\nssl = \"none\"", (4, 1), "http.ssl", &["no such field", "listen"]),
            ("[[volume]]\npath = \"a\"\n[[volume]]\npath = \"./a/\"", (6, 8), "volume[2].path", &["twice"]),
            ("[[volume]]\nallow_unproven = \"yes\"", (4, 18), "volume[1].allow_unproven", &["true or false"]),
            ("[[volume]]\nsize = 1", (4, 1), "volume[1].size", &["path, allow_unproven"]),
            ("[volume]\npath = \"a\"", (3, 1), "volume", &["double-bracketed"]),
            ("[recording]\nsegment_s = 9", (4, 13), "recording.segment_s", &["from 10 to 600 seconds"]),
            ("[recording]\nsegment_s = 601", (4, 13), "recording.segment_s", &["from 10 to 600 seconds"]),
            ("[recording]\ncommit_s = 0", (4, 12), "recording.commit_s", &["from 1 to 10 seconds"]),
            ("[recording]\ncommit_s = 11", (4, 12), "recording.commit_s", &["from 1 to 10 seconds"]),
            ("[recording]\nwaiting_mib = 3", (4, 15), "recording.waiting_mib", &["from 4 to 65536 MiB"]),
            ("[recording]\nwhen_full = \"overwrite\"", (4, 13), "recording.when_full", &["erase-oldest, stop"]),
            ("[recording]\nwhen_full = true", (4, 13), "recording.when_full", &["text in quotes"]),
            ("[recording]\nwarn_days_ahead = 0", (4, 19), "recording.warn_days_ahead", &["from 1 to 60 days"]),
            ("[recording]\nwarn_days_ahead = 61", (4, 19), "recording.warn_days_ahead", &["from 1 to 60 days"]),
            ("[recording]\nwhen_ful = \"stop\"", (4, 1), "recording.when_ful", &["when_full, warn_days_ahead"]),
            ("[access]\nsession_idle_min = 0", (4, 20), "access.session_idle_min", &["minutes"]),
            ("[access]\nsession_idle_min = 90\nsession_max_h = 1", (5, 17), "access.session_max_h", &["shorter"]),
            ("[access]\nviewing_idle_min = 0", (4, 20), "access.viewing_idle_min", &["minutes"]),
            ("[access]\nrequest_due_days = 11", (4, 20), "access.request_due_days", &["from 1 to 10 days"]),
            ("[access]\nobjection_days = 6", (4, 18), "access.objection_days", &["from 7 to 180 days"]),
            ("[requests]\npublic_body = 1", (4, 15), "requests.public_body", &["true or false"]),
            ("[requests]\nremind_days = [3, 11]", (4, 19), "requests.remind_days[2]", &["from 1 to 10 days"]),
            ("[requests]\nremind_days = 3", (4, 15), "requests.remind_days", &["whole numbers of days", "integer"]),
            ("[requests]\nholidays = [\"2026-02-30\"]", (4, 13), "requests.holidays[1]", &["2026-12-25"]),
            ("[requests]\nkeep_persons_years = 0", (4, 22), "requests.keep_persons_years", &["from 1 to 10 years"]),
            ("[operations]\nwarn_h = 0", (4, 10), "operations.warn_h", &["from 1 to 72 hours"]),
            ("[destruction]\nunconfirmed_days = 32", (4, 20), "destruction.unconfirmed_days", &["from 1 to 31 days"]),
            ("[holds]\nwarn_percent = 0", (4, 16), "holds.warn_percent", &["from 1 to 100 percent"]),
            ("[ledger]\nkeep_months = 35", (4, 15), "ledger.keep_months", &["from 36 to 240 months"]),
            ("[ledger]\nreview_months = 0", (4, 17), "ledger.review_months", &["from 1 to 12 months"]),
            ("[ledger]\ncheckpoints_to = \"log\"", (4, 18), "ledger.checkpoints_to", &["/dev/log", "nowhere"]),
            ("[ledger]\nopening_hours = \"always\"", (4, 17), "ledger.opening_hours", &["mon-fri"]),
            ("[ledger]\nenabled = false", (4, 1), "ledger.enabled", &["no such field"]),
            ("[clock]\nmax_forward_h = 169", (4, 17), "clock.max_forward_h", &["hours"]),
            ("[clock]\nmax_forward_h = 1e3", (4, 17), "clock.max_forward_h", &["whole number", "float"]),
        ];
        for (rest, (line, column), field, words) in cases {
            let errors = parse(&format!("[site]\nname = \"S\"\n{rest}\n")).expect_err(rest);
            assert_eq!(errors.len(), 1, "{rest}: {errors:#?}");
            let shown = errors[0].to_string();
            assert_eq!(errors[0].place, Some(Place { line: *line, column: *column }), "{shown}");
            assert!(shown.starts_with(&format!("{DIR}/site.toml:{line}:{column}: {field}: ")), "{shown}");
            for word in *words {
                assert!(shown.contains(word), "{word} in {shown}");
            }
        }
    }

    #[test]
    fn all_errors_are_told_at_once() {
        let text = "[http]\nlisten = \"0.0.0.0:1\"\n[recording]\ncommit_s = 0\n[clock]\nhours = 1\n";
        let errors = ConfigErrors(parse(text).unwrap_err());
        let fields: Vec<_> = errors.0.iter().map(|error| error.field.as_deref().unwrap()).collect();
        assert_eq!(fields, ["site.name", "http.listen", "recording.commit_s", "clock.hours"]);
        assert_eq!(errors.to_string().lines().count(), 4);
    }

    #[test]
    fn a_missing_file_or_an_open_directory_is_told_with_what_to_do() {
        let mine = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(mine).tempdir().unwrap();
        let errors = Site::load(dir.path(), Pace::Real).unwrap_err();
        assert!(errors.to_string().contains("custodian init"), "{errors}");
        std::fs::write(dir.path().join(SITE_FILE), "nmae = 1").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let errors = Site::load(dir.path(), Pace::Real).unwrap_err();
        assert!(matches!(errors.0[0].fault, Fault::NotPrivate { mode: 0o755 }));
        assert!(errors.to_string().contains("nmae"), "the text is checked all the same: {errors}");
        std::fs::write(dir.path().join(SITE_FILE), Site::template("S")).unwrap();
        assert_eq!(Site::load(dir.path(), Pace::Real).unwrap_err().0.len(), 1);
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(Site::load(dir.path(), Pace::Real).is_ok());
    }

    #[test]
    fn a_demonstration_has_short_segments_whatever_is_configured() {
        let mine = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(mine).tempdir().unwrap();
        std::fs::write(dir.path().join(SITE_FILE), Site::template("S")).unwrap();
        let site = Site::load(dir.path(), Pace::from_flag(true)).unwrap();
        assert_eq!(site.pace, Pace::Demo);
        assert_eq!(site.recording.segment, Duration::from_secs(10));
        let ninety = Ok(Retention::Ceiling(Duration::from_secs(90)));
        assert_eq!(site.retention(CameraClass::PublicArea, 30), ninety);
        assert_eq!(site.retention(CameraClass::OperatingRoom, 30), Err(Fault::FloorInDemo));
        let site = Site::load(dir.path(), Pace::from_flag(false)).unwrap();
        assert_eq!(site.recording.segment, Duration::from_secs(60));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            prop_assert!(parse(&text).is_err());
        }

        #[test]
        fn a_damaged_template_makes_it_no_worse_than_refused(at in 0..2500_usize, junk in "[\\x00-\\x7f]{0,5}") {
            let mut text = Site::template("S");
            let at = at.min(text.len());
            text.insert_str(at, &junk);
            for error in parse(&text).err().unwrap_or_default() {
                let lines = text.lines().count() + 1;
                prop_assert!(error.place.is_some_and(|place| (1..=lines).contains(&place.line)), "{}", error);
            }
        }
    }
}
