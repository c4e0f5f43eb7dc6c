//! Whether anything is older than it may be: footage, its blocks, keys, manifests, what was left over. The vault's part of
//! `custodian verify --nothing-older`.
//!
//! It walks manifests and directories, never the index, a manifest at a time: each segment stands in its manifest's
//! directory. Beside a running daemon files change while it walks: only what is so at two walks is told.

use super::VolumeFault;
use super::files::SegmentFiles;
use crate::disk::{Access, SharedDisk};
use crate::domain::{
    CameraNumber, Day, DayKeyId, GrantId, PUBLIC_CEILING, Retention, SegmentId, SiteId, Span, Utc, VolumeId,
};
use crate::segment::{HEAD_BYTES, SegmentHead};
use crate::vault::holds::Hold;
use crate::vault::manifests::{self, ManifestFile, file_name};
use crate::vault::table::{Life, SegmentRow};
use crate::vault::volume::Volume;
use crate::vault::{GrantStore, VaultError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Erasing takes seconds; what is left so long after its instant was forgotten.
const ERASING_TAKES: Duration = Duration::from_secs(300);
/// Day keys, manifests and what is left over are looked for more rarely.
const CLOSING_TAKES: Duration = Duration::from_secs(3_600);
/// So many things are named; the others are counted.
const NAMED_LIMIT: usize = 1_000;
/// So often the state directory is looked at again before something in it is called left over.
const LOOKS_AGAIN: usize = 3;
const FILES: [&str; 4] = ["volume", "commits", "summary", "reserve"];
/// The last is the file system's own.
const DIRS: [&str; 5] = ["manifests", "keys", "rolling", "held", "lost+found"];

/// What is looked at, and how closely.
pub struct AgeLook<'a> {
    pub disk: &'a SharedDisk,
    pub site: SiteId,
    pub now: Utc,
    pub holds: &'a [Hold],
    /// Reads each segment's head, too.
    pub deep: bool,
    /// Called between manifests: whoever records meanwhile goes first. `false` ends the walk.
    pub goes_on: &'a dyn Fn() -> bool,
    /// Called before a second look at what seems to be older: a file that is on its way to its place is there by then.
    pub wait: &'a dyn Fn(),
}

impl std::fmt::Debug for AgeLook<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AgeLook(at {}, deep {})", self.now, self.deep)
    }
}

/// A first frame, and when its period ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct OldestFrame {
    pub at: Utc,
    pub expires: Utc,
    pub camera: CameraNumber,
    pub volume: VolumeId,
    pub segment: SegmentId,
}

/// Footage that holds keep.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct HeldAge {
    pub segments: u64,
    pub bytes: u64,
    pub oldest: Option<OldestFrame>,
}

/// How old what is there is, and what is older than it may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AgeReport {
    pub nothing_older: bool,
    pub checked_at: Utc,
    /// Each segment's own head was read, too.
    pub deep: bool,
    /// Of what is not held: the oldest frame that a key still opens.
    pub oldest_readable: Option<OldestFrame>,
    /// Of what is not held: the oldest segment whose blocks are not overwritten.
    pub oldest_block: Option<OldestFrame>,
    pub held: HeldAge,
    /// Of the day keys that are there.
    pub oldest_day_key: Option<Day>,
    pub manifests: u64,
    pub segments: u64,
    /// How many things are older than they may be; the first 1,000 are named.
    pub older_count: u64,
    pub older: Vec<VolumeFault>,
}

impl AgeReport {
    pub fn new(now: Utc, deep: bool) -> Self {
        Self {
            nothing_older: true,
            checked_at: now,
            deep,
            oldest_readable: None,
            oldest_block: None,
            held: HeldAge::default(),
            oldest_day_key: None,
            manifests: 0,
            segments: 0,
            older_count: 0,
            older: Vec::new(),
        }
    }

    /// Takes in what was found of another volume.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.oldest_readable = older_of(self.oldest_readable, other.oldest_readable);
        self.oldest_block = older_of(self.oldest_block, other.oldest_block);
        self.held.segments += other.held.segments;
        self.held.bytes += other.held.bytes;
        self.held.oldest = older_of(self.held.oldest, other.held.oldest);
        self.oldest_day_key = self.oldest_day_key.into_iter().chain(other.oldest_day_key).min();
        self.manifests += other.manifests;
        self.segments += other.segments;
        self.older_count += other.older_count;
        self.older.extend(other.older);
        self.older.truncate(NAMED_LIMIT);
        self.nothing_older = self.older_count == 0;
        self
    }

    fn name(&mut self, file: &Path, what: impl Into<String>) {
        self.older_count += 1;
        if self.older.len() < NAMED_LIMIT {
            self.older.push(VolumeFault::new(file, what));
        }
    }

    /// What two walks tell alike. Where there is more than is named, most of it stays.
    fn confirmed_by(mut self, before: &Self) -> Self {
        if self.older_count as usize == self.older.len() {
            self.older.retain(|fault| before.older.contains(fault));
            self.older_count = self.older.len() as u64;
        }
        self.nothing_older = self.older_count == 0;
        self
    }
}

fn older_of(one: Option<OldestFrame>, other: Option<OldestFrame>) -> Option<OldestFrame> {
    one.into_iter().chain(other).min_by_key(|frame| frame.at)
}

/// Walks the volume in `dir`.
///
/// # Errors
/// [`VaultError`] where it cannot be read: nothing can be said of it then.
pub fn inspect_age(dir: &Path, look: &AgeLook) -> Result<AgeReport, VaultError> {
    let told = Walk::new(dir, look)?.volume()?;
    match told.older_count {
        0 => Ok(told),
        _ => {
            (look.wait)();
            Ok(Walk::new(dir, look)?.volume()?.confirmed_by(&told))
        }
    }
}

/// Walks the state directory: what is left over there; `strays`: grants that have keys and are over; and `papers`: files of
/// what is written of persons whose period has ended.
///
/// # Errors
/// What the disk says.
pub fn inspect_state_age(
    state: &Path,
    strays: &dyn Fn() -> Result<Vec<GrantId>, VaultError>,
    papers: &dyn Fn() -> Result<Vec<PathBuf>, VaultError>,
    look: &AgeLook,
) -> Result<AgeReport, VaultError> {
    let walk = || -> Result<AgeReport, VaultError> {
        let mut told = AgeReport::new(look.now, look.deep);
        let store = GrantStore::new(SharedDisk::clone(look.disk), state.join("grants"));
        for grant in strays()? {
            told.name(
                &store.path(grant),
                "holds keys of a grant that is over, or never was. Restart the daemon: it destroys them",
            );
        }
        for paper in papers()? {
            told.name(
                &paper,
                "holds what is written of persons, and its period has ended. Restart the daemon: it erases it",
            );
        }
        for sub in ["", "grants", "people", "requests"] {
            let dir = if sub.is_empty() { state.to_path_buf() } else { state.join(sub) };
            for name in list_files(look.disk, &dir)?.iter().filter(|name| is_temporary(name)) {
                told.name(&dir.join(name), "is a file that was left half-made. Restart the daemon, or take it away");
            }
        }
        told.nothing_older = told.older_count == 0;
        Ok(told)
    };
    let mut told = walk()?;
    // The daemon replaces its files of state all the time, under the same few names: what was left is there each time.
    for _ in 0..LOOKS_AGAIN {
        if told.older_count == 0 {
            break;
        }
        (look.wait)();
        told = walk()?.confirmed_by(&told);
    }
    Ok(told)
}

fn is_temporary(name: &str) -> bool {
    name.ends_with(".new") || name == "probe"
}

/// Names in a directory; none where it is not there.
fn list_files(disk: &SharedDisk, dir: &Path) -> Result<Vec<String>, VaultError> {
    match disk.list_files(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|source| VaultError::Disk { what: dir.display().to_string(), source }),
    }
}

/// A day key as manifests tell it: when the last period ends of what could be sealed to it.
#[derive(Clone, Copy)]
struct NamedKey {
    day: Day,
    last: Utc,
    is_wanted: bool,
}

struct Walk<'a> {
    dir: &'a Path,
    look: &'a AgeLook<'a>,
    volume: VolumeId,
    told: AgeReport,
    keys: BTreeMap<DayKeyId, NamedKey>,
}

impl<'a> Walk<'a> {
    fn new(dir: &'a Path, look: &'a AgeLook<'a>) -> Result<Self, VaultError> {
        let volume = Volume::identify(look.disk, dir, look.site)?;
        Ok(Self { dir, look, volume, told: AgeReport::new(look.now, look.deep), keys: BTreeMap::new() })
    }

    fn volume(mut self) -> Result<AgeReport, VaultError> {
        self.root()?;
        // Listed before the manifests are read: a day key's file is there before its record, and goes before its record.
        let key_files = list_files(self.look.disk, &self.dir.join("keys"))?;
        let manifests_dir = self.dir.join("manifests");
        for path in manifests::left_overs(self.look.disk, &manifests_dir)? {
            self.told.name(&path, "is what was left of a manifest. The daemon takes it away within the hour");
        }
        let paths = manifests::list(self.look.disk, &manifests_dir)?;
        let taken_over = manifests::taken_over(self.look.disk, &paths);
        for path in &paths {
            self.manifest(path, taken_over.contains(&file_name(path)))?;
            if !(self.look.goes_on)() {
                return Err(VaultError::BrokenOff);
            }
        }
        self.strange_dirs()?;
        self.day_keys(&key_files);
        self.told.nothing_older = self.told.older_count == 0;
        Ok(self.told)
    }

    fn root(&mut self) -> Result<(), VaultError> {
        for name in list_files(self.look.disk, self.dir)?.iter().filter(|name| !FILES.contains(&name.as_str())) {
            self.told.name(&self.dir.join(name), "is no file of a volume: it was left here, or put here. Take it away");
        }
        let dirs = self.look.disk.list_dirs(self.dir);
        let dirs = dirs.map_err(|source| VaultError::Disk { what: self.dir.display().to_string(), source })?;
        for name in dirs.iter().filter(|name| !DIRS.contains(&name.as_str())) {
            self.told.name(&self.dir.join(name), "is no directory of a volume: it was put here. Take it away");
        }
        Ok(())
    }

    fn manifest(&mut self, path: &Path, is_taken_over: bool) -> Result<(), VaultError> {
        let manifest = match ManifestFile::read(self.look.disk, path, false) {
            Ok(read) => read.manifest,
            // Closed meanwhile.
            Err(VaultError::Disk { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => {
                self.told.name(path, format!("{e}: how old what it names is cannot be told"));
                return Ok(());
            }
        };
        self.told.manifests += 1;
        let retention = manifest.header.retention;
        if matches!(retention, Retention::Ceiling(period) if period > PUBLIC_CEILING) {
            let days = retention.period().as_secs() / 86_400;
            self.told.name(path, format!("keeps footage for {days} days, and 30 are allowed. Find out who made it"));
        }
        let files = self.files_of(&manifest)?;
        let mut newest_erased = None;
        let table = manifest.table();
        for (segment, row) in table.into_iter().flat_map(|table| &table.rows) {
            let file = files.path(*segment);
            match (row.life, file) {
                (Life::Erased { at, .. }, file) => {
                    newest_erased = newest_erased.max(Some(at));
                    if let Some(file) = file {
                        self.told.name(&file, "is recorded as erased, and its file is still there. Restart the daemon");
                    }
                }
                // What is held of it stands in its hold manifest; what has no file has no blocks.
                (Life::Open | Life::Sealed | Life::Condemned { .. } | Life::KeyDestroyed { .. }, None) => {}
                (Life::Open | Life::Sealed | Life::Condemned { .. } | Life::KeyDestroyed { .. }, Some(_))
                    if is_taken_over => {}
                (Life::Open | Life::Sealed | Life::Condemned { .. } | Life::KeyDestroyed { .. }, Some(file)) => {
                    self.segment(&manifest, *segment, row, &file)?;
                }
            }
        }
        let is_strange = |segment: &SegmentId| table.is_none_or(|table| !table.rows.contains_key(segment));
        for file in files.all().filter(is_strange).filter_map(|segment| files.path(segment)) {
            self.told.name(
                &file,
                "no manifest names it: how old it is cannot be told. Restart the daemon: it is erased, or named",
            );
        }
        self.manifest_itself(path, &manifest, newest_erased);
        self.note_day_keys(&manifest, is_taken_over);
        Ok(())
    }

    /// Files in a manifest's directories; of a hold manifest also those that have not been moved to it yet.
    fn files_of(&mut self, manifest: &ManifestFile) -> Result<SegmentFiles, VaultError> {
        let before = manifest.header.carries_on.map(|on| format!("{:016x}", on.manifest));
        let mut files = SegmentFiles::default();
        for place in ["rolling", "held"].map(|place| self.dir.join(place)) {
            if let Some(before) = &before {
                // Only what is named here: the rest is that manifest's own.
                files.list(self.look.disk, place.join(before), |segment| manifest.row(segment).is_some())?;
            }
            for strange in files.list(self.look.disk, place.join(manifest.name()), |_| true)? {
                self.told.name(&strange, "is no segment: it was put here. Take it away");
            }
        }
        Ok(files)
    }

    fn segment(
        &mut self,
        manifest: &ManifestFile,
        segment: SegmentId,
        row: &SegmentRow,
        file: &Path,
    ) -> Result<(), VaultError> {
        let (camera, volume, retention) = (row.camera, self.volume, manifest.header.retention);
        // As it is corrected, where it was dated in a doubt.
        let Some((table, said)) = manifest.table().zip(row.span_at_least()) else { return Ok(()) };
        let (span, correction) = (table.dating(row).shown(said), table.dating(row).correction);
        // What was condemned is due from then on, whoever held it.
        let condemned = match row.life {
            Life::Condemned { at, .. } => Some(at),
            Life::Open | Life::Sealed | Life::KeyDestroyed { .. } | Life::Erased { .. } => None,
        };
        let expires = condemned.unwrap_or(correction.expiry(retention, said));
        let frame = OldestFrame { at: span.from(), expires, camera, volume, segment };
        self.told.segments += 1;
        let is_held =
            |span: Span| self.look.holds.iter().any(|hold| hold.cameras.contains(&camera) && hold.span.overlaps(span));
        let has_no_block = matches!(row.life, Life::KeyDestroyed { .. });
        let is_keyless = has_no_block || manifest.sum().has_lost(table.day_key(row));
        if (is_held(span) || is_held(said)) && !is_keyless && condemned.is_none() {
            self.told.held.segments += 1;
            self.told.held.bytes += manifest.whole(row)?.map_or(0, |whole| whole.bytes);
            self.told.held.oldest = older_of(self.told.held.oldest, Some(frame));
            return Ok(());
        }
        self.told.oldest_block = older_of(self.told.oldest_block, Some(frame));
        if !is_keyless {
            self.told.oldest_readable = older_of(self.told.oldest_readable, Some(frame));
        }
        let is_older = |expires: Utc| expires.saturating_add(ERASING_TAKES) <= self.look.now;
        if is_older(expires) {
            let what = match (is_keyless, row.is_apart) {
                (true, _) => {
                    format!("its period ended on {expires}, its key is gone, and its blocks are not overwritten")
                }
                (false, true) => {
                    format!("its period ended on {expires}, nothing holds it any more, and it is readable")
                }
                (false, false) => format!("its period ended on {expires}, and it is readable"),
            };
            self.told.name(file, format!("{what}. See the daemon's status and log"));
        } else if let Some((what, own)) = self.own_words(file, has_no_block, said)
            && is_older(own.map_or(Utc::from_micros(0), |own| correction.expiry(retention, own)))
        {
            self.told.name(file, what);
        }
        Ok(())
    }

    /// With a deep look: what a segment's head says against its manifest, and the span that it would be of.
    fn own_words(&self, file: &Path, is_keyless: bool, span: Span) -> Option<(String, Option<Span>)> {
        if !self.look.deep {
            return None;
        }
        let mut block = vec![0; HEAD_BYTES];
        let opened = self.look.disk.open(file, Access::Read).ok()?;
        let got = opened.read_at(&mut block, 0).ok()?;
        let head = SegmentHead::parse(&block[..got]).ok()?;
        let start = head.facts.start;
        if is_keyless {
            return Some((
                "its key was recorded as destroyed, and stands in its head. Restart the daemon".into(),
                None,
            ));
        }
        let own = Span::new(start, start.saturating_add(span.length())).ok();
        let what = format!(
            "its own head says that it was filmed on {start}, its manifest says {}: one was forged",
            span.from()
        );
        (start != span.from()).then_some((what, own))
    }

    /// A manifest names cameras and times: it is bound by its footage's limit.
    fn manifest_itself(&mut self, path: &Path, manifest: &ManifestFile, newest_erased: Option<Utc>) {
        let (day, period, sum) = (manifest.header.day, manifest.header.retention.period(), manifest.sum());
        let moved = sum.most_moves_expiry(manifest.header.retention);
        let over = day.end().saturating_add(period).saturating_add(CLOSING_TAKES).plus_micros(moved);
        let erased_over = newest_erased.map(|at| at.saturating_add(CLOSING_TAKES));
        let is_older = match manifest.header.carries_on {
            // Footage under a floor is counted from its last frame, which may be of the next day.
            None => over.max(erased_over.unwrap_or(over)) <= self.look.now && sum.has_only_apart(),
            Some(_) => erased_over.is_some_and(|over| over <= self.look.now),
        };
        if is_older {
            let what = "names footage that was destroyed more than an hour ago, and was not erased after it. See the \
                        daemon's status and log";
            self.told.name(path, what);
        }
    }

    fn note_day_keys(&mut self, manifest: &ManifestFile, is_taken_over: bool) {
        let (day, sum) = (manifest.header.day, manifest.sum());
        let last = day.end().saturating_add(manifest.header.retention.period());
        let last = last.plus_micros(sum.most_moves_expiry(manifest.header.retention));
        for day_key in sum.day_keys.keys() {
            let named = self.keys.entry(*day_key).or_insert(NamedKey { day, last, is_wanted: false });
            named.last = named.last.max(last);
        }
        for day_key in sum.wanted.keys().filter(|day_key| !is_taken_over && sum.wants(**day_key)) {
            let named = self.keys.entry(*day_key).or_insert(NamedKey { day, last, is_wanted: true });
            named.is_wanted = true;
        }
    }

    fn day_keys(&mut self, files: &[String]) {
        for name in files {
            let path = self.dir.join("keys").join(name);
            let known = name.parse().ok().and_then(|day_key: DayKeyId| self.keys.get(&day_key).copied());
            let Some(known) = known else {
                self.told.name(&path, "no manifest names this day key: what it opens cannot be told. The daemon erases it within the hour");
                continue;
            };
            self.told.oldest_day_key = self.told.oldest_day_key.into_iter().chain([known.day]).min();
            if !known.is_wanted && known.last.saturating_add(CLOSING_TAKES) <= self.look.now {
                self.told.name(&path, "nothing is sealed to this day key any more, and it was not destroyed");
            }
        }
    }

    /// Directories that bear no manifest's name, and files beside the directories.
    fn strange_dirs(&mut self) -> Result<(), VaultError> {
        for place in ["rolling", "held"].map(|place| self.dir.join(place)) {
            for name in list_files(self.look.disk, &place)? {
                self.told.name(&place.join(name), "stands where no segment does: it was put here. Take it away");
            }
            let dirs = self.look.disk.list_dirs(&place);
            let dirs = dirs.map_err(|source| VaultError::Disk { what: place.display().to_string(), source })?;
            // Asked afterwards: a manifest is there before its directory.
            let named: BTreeSet<String> = manifests::list(self.look.disk, &self.dir.join("manifests"))?
                .iter()
                .map(|path| file_name(path))
                .collect();
            for name in dirs.into_iter().filter(|name| !named.contains(name)) {
                let dir = place.join(name);
                self.told.name(
                    &dir,
                    "bears no manifest's name. The daemon takes it away within the hour, and what is in it",
                );
                for file in list_files(self.look.disk, &dir)? {
                    self.told.name(&dir.join(file), "no manifest names it: how old it is cannot be told");
                }
            }
        }
        Ok(())
    }
}
