//! The site on its disk: made once, kept between benches, put back between runs.

use crate::daemon::{Daemon, INDEX_BEGINS};
use crate::days::Maker;
use crate::image::{Image, output};
use crate::plan::{self, Plan};
use anyhow::{Context, Result, ensure};
use cctv_custodian::access::{NewAccount, NewSite, Password};
use cctv_custodian::clock::Clock;
use cctv_custodian::config::{SITE_FILE, Site as SiteConfig};
use cctv_custodian::crypto::{PublicKey, Strength};
use cctv_custodian::disk::{RealDisk, SharedDisk};
use cctv_custodian::domain::{Role, SiteId, Utc, VolumeId};
use cctv_custodian::vault::Volume;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The people of the site. Their passwords guard nothing.
pub const PEOPLE: [(&str, Role); 4] =
    [("officer", Role::Officer), ("deputy", Role::Officer), ("viewer", Role::Viewer), ("desk", Role::Staff)];
const INDEX_LIMIT: Duration = Duration::from_secs(600);
const UNTIL_INDEX_BEGINS: Duration = Duration::from_secs(3);
const WHEN_FULL: (&str, &str) = ("when_full = \"erase-oldest\"", "when_full = \"stop\"");

pub fn password(name: &str) -> String {
    format!("{name}-of-the-bench")
}

/// What stands beside the site once it is whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Stamp {
    plan: u32,
    start: Utc,
    newest_manifest: String,
}

/// A site of 4.19 million segments, mounted.
#[derive(Debug)]
pub struct Site {
    image: Image,
    stamp: Stamp,
}

impl Site {
    /// Mounts the site in `dir`; makes it where there is none, or one that is too old or comes out differently now.
    ///
    /// # Errors
    /// As [`Image::attach`].
    pub fn open(dir: &Path) -> Result<Self> {
        let mut image = Image::attach(dir)?;
        let now = Clock::system().wall();
        let usable = |stamp: &Stamp| {
            let end = Plan::from_start(stamp.start).end();
            stamp.plan == plan::VERSION && now.since(end) < plan::OLDEST && end < now
        };
        let found = std::fs::read(stamp_path(&image)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let stamp = match found.filter(usable) {
            Some(stamp) => stamp,
            None => {
                // Beside lost+found.
                if std::fs::read_dir(image.root())?.count() > 1 {
                    image = image.renew(dir)?;
                }
                make(&image, Plan::before(now.day()))?
            }
        };
        let site = Self { image, stamp };
        if !kept_dir(&site.image).exists() {
            site.prepare()?;
        } else {
            site.put_back()?;
            site.renew_index()?;
        }
        Ok(site)
    }

    /// A program that is newer than what was kept makes its index anew at every start: once is enough.
    fn renew_index(&self) -> Result<()> {
        let mut daemon = Daemon::start(&self.dir(), INDEX_LIMIT)?;
        std::thread::sleep(UNTIL_INDEX_BEGINS);
        if daemon.count(INDEX_BEGINS) == 0 {
            return daemon.stop().map(drop);
        }
        daemon.wait_for_index(INDEX_LIMIT)?;
        daemon.stop()?;
        std::fs::remove_dir_all(kept_dir(&self.image))?;
        self.keep()
    }

    /// Lets the daemon make its index and summaries, and notes what a later run needs.
    fn prepare(&self) -> Result<()> {
        let began = Instant::now();
        let mut daemon = Daemon::start(&self.dir(), INDEX_LIMIT)?;
        daemon.wait_for_index(INDEX_LIMIT)?;
        daemon.stop()?;
        self.keep()?;
        rustix::fs::syncfs(std::fs::File::open(self.image.root())?)?;
        eprintln!("scale: taken over by the daemon in {:.0} s", began.elapsed().as_secs_f64());
        Ok(())
    }

    pub fn dir(&self) -> PathBuf {
        site_dir(&self.image)
    }

    pub fn volume_dir(&self) -> PathBuf {
        self.dir().join("volumes/v1")
    }

    pub fn image(&self) -> &Image {
        &self.image
    }

    pub fn plan(&self) -> Plan {
        Plan::from_start(self.stamp.start)
    }

    /// Puts back what the site was before anything was recorded on it: cleanly stopped, its index and summaries made, no
    /// camera configured.
    ///
    /// # Errors
    /// What the disk says.
    pub fn put_back(&self) -> Result<()> {
        let cameras = self.dir().join("camera-config");
        std::fs::remove_dir_all(&cameras)?;
        std::fs::create_dir(&cameras)?;
        // What the heads of the site promise, its small disk does not hold: nothing may be destroyed for that.
        let settings = SiteConfig::template("The bench")
            .replace(WHEN_FULL.0, WHEN_FULL.1)
            .replace("second_factor = \"officers\"", "second_factor = \"nobody\"");
        ensure!(settings.contains(WHEN_FULL.1), "site.toml has another form now: {settings}");
        std::fs::write(self.dir().join(SITE_FILE), settings)?;
        let kept = kept_dir(&self.image);
        for (what, place) in [("state", self.dir().join("state")), ("volume", self.volume_dir())] {
            if what == "state" {
                std::fs::remove_dir_all(&place)?;
            }
            copy(&kept.join(what).join("."), &place)?;
        }
        self.cut_manifests()?;
        let newest = format!("rolling/{}", self.stamp.newest_manifest);
        for sub in ["manifests", "keys", "rolling", &newest] {
            self.remove_strangers(sub)?;
        }
        self.image.trim()
    }

    /// Adds a day whose period is over: the daemon will destroy it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn add_expired_day(&self) -> Result<()> {
        let plan = Plan::expired_before(Clock::system().wall().day());
        let disk: SharedDisk = Arc::new(RealDisk);
        let dir = self.volume_dir();
        let volume = Volume::identify(&disk, &dir, site_id(&self.dir())?)?;
        // Of these segments nothing is ever opened.
        let recipients = release_keys(&self.dir().join("state/people"))?;
        Maker { plan, volume, dir, recipients }.day(plan.start().day(), plan::RETENTION, None).map(drop)
    }

    /// Takes records off that a run appended to manifests of the site: hours after it was made, receipts are copied that
    /// waited, and a summary that is older than its manifests stands for an unclean stop.
    fn cut_manifests(&self) -> Result<()> {
        let volume = self.volume_dir();
        let summary = std::fs::read(volume.join("summary"))?;
        let summary: serde_json::Value =
            serde_json::from_slice(summary.get(9..).context("a summary without its CRC")?)?;
        for manifest in summary["manifests"].as_array().context("a summary without manifests")? {
            let (name, end_bytes) = (manifest["name"].as_str(), manifest["end_bytes"].as_u64());
            let (name, end_bytes) = name.zip(end_bytes).context("a manifest that is summed up otherwise")?;
            let file = std::fs::OpenOptions::new().write(true).open(volume.join("manifests").join(name))?;
            ensure!(file.metadata()?.len() >= end_bytes, "the manifest {name} was made shorter");
            file.set_len(end_bytes)?;
        }
        Ok(())
    }

    /// Removes what was not there when the site was made.
    fn remove_strangers(&self, sub: &str) -> Result<()> {
        let dir = self.volume_dir().join(sub);
        let known = std::fs::read_to_string(kept_dir(&self.image).join(list_name(sub)))?;
        let known: BTreeSet<OsString> = known.lines().map(OsString::from).collect();
        for stranger in names(&dir)?.difference(&known).map(|name| dir.join(name)) {
            let removed =
                if stranger.is_dir() { std::fs::remove_dir_all(&stranger) } else { std::fs::remove_file(&stranger) };
            removed.with_context(|| stranger.display().to_string())?;
        }
        Ok(())
    }

    /// Notes what [`put_back`](Self::put_back) needs.
    fn keep(&self) -> Result<()> {
        let (kept, volume) = (kept_dir(&self.image), self.volume_dir());
        std::fs::create_dir_all(kept.join("volume/manifests"))?;
        copy(&self.dir().join("state"), &kept)?;
        for entry in std::fs::read_dir(&volume)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                copy(&entry.path(), &kept.join("volume"))?;
            }
        }
        let newest = &self.stamp.newest_manifest;
        copy(&volume.join("manifests").join(newest), &kept.join("volume/manifests"))?;
        let newest_dir = format!("rolling/{newest}");
        for sub in ["manifests", "keys", "rolling", &newest_dir] {
            let names: Vec<String> =
                names(&volume.join(sub))?.into_iter().filter_map(|name| name.into_string().ok()).collect();
            std::fs::write(kept.join(list_name(sub)), names.join("\n"))?;
        }
        Ok(())
    }
}

/// Makes the site: people, volume, manifests, keys, segments.
fn make(image: &Image, plan: Plan) -> Result<Stamp> {
    let began = Instant::now();
    eprintln!("scale: a site of 4.19 million segments is made, once: 20 GB and a few minutes");
    let dir = site_dir(image);
    std::fs::DirBuilder::new().mode(0o700).create(&dir)?;
    std::fs::create_dir(dir.join("camera-config"))?;
    let disk: SharedDisk = Arc::new(RealDisk);
    let account = |(name, role): (&str, Role)| NewAccount {
        name: name.to_owned(),
        role,
        password: Password::new(password(name)),
    };
    let accounts = PEOPLE.map(account);
    let new = NewSite { accounts: &accounts, strength: Strength::RECOMMENDED };
    let (site, recovery) = new.make(&disk, &dir.join("state"), &Clock::system())?;
    let volume_dir = dir.join("volumes/v1");
    let volume: VolumeId = Volume::create(&disk, &volume_dir, site)?;
    std::fs::write(
        dir.join(SITE_FILE),
        SiteConfig::template("The bench").replace("second_factor = \"officers\"", "second_factor = \"nobody\""),
    )?;
    let mut recipients = release_keys(&dir.join("state/people"))?;
    recipients.push(recovery.public()?);
    ensure!(recipients.len() == 3, "officer, deputy and the recovery key");
    let newest_manifest = Maker { plan, volume, dir: volume_dir, recipients }.make()?;
    rustix::fs::syncfs(std::fs::File::open(image.root())?)?;
    // Last of all: with this the site is whole.
    let stamp = Stamp { plan: plan::VERSION, start: plan.start(), newest_manifest };
    std::fs::write(stamp_path(image), serde_json::to_vec(&stamp)?)?;
    eprintln!("scale: made in {:.0} s", began.elapsed().as_secs_f64());
    Ok(stamp)
}

#[derive(Deserialize)]
struct AccountFile {
    release: Option<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    public: PublicKey,
}

/// The public halves of the officers' release keys, as their accounts say (docs/format.md, section 10).
fn release_keys(people: &Path) -> Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(people)? {
        let account: AccountFile = serde_json::from_slice(&std::fs::read(entry?.path())?)?;
        keys.extend(account.release.map(|pair| pair.public));
    }
    Ok(keys)
}

/// The id of the site in `dir`.
///
/// # Errors
/// What the disk says.
pub fn site_id(dir: &Path) -> Result<SiteId> {
    let mut id = [0; 16];
    hex::decode_to_slice(std::fs::read_to_string(dir.join("state/site"))?.trim(), &mut id)?;
    Ok(SiteId(id))
}

fn site_dir(image: &Image) -> PathBuf {
    image.root().join("clinic")
}

fn kept_dir(image: &Image) -> PathBuf {
    image.root().join("kept")
}

fn stamp_path(image: &Image) -> PathBuf {
    image.root().join("made.json")
}

fn names(dir: &Path) -> Result<BTreeSet<OsString>> {
    let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

/// Where the names of a directory are kept.
fn list_name(sub: &str) -> String {
    sub.replace('/', "-") + ".names"
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    output(Command::new("cp").arg("--archive").arg(from).arg(to)).map(drop)
}
