//! A volume as it lies there, read without starting it, without its site and without changing a byte: for whoever has
//! nothing but a disk and a key.
//!
//! Manifests say what there is; where one is damaged or gone, the segments' own heads do, and the commit table or the clear
//! headers say how far each goes. What had to be told otherwise than by a manifest is named.

use super::inspect::VolumeFault;
use super::manifests::{self, ManifestFile};
use super::table::{Life, SegmentRow};
use super::volume::Volume;
use super::{VaultError, day_keys};
use crate::crypto::{PrivateKey, PublicKey, StreamOpener};
use crate::disk::{Access, SharedDisk, read_file};
use crate::domain::{CameraNumber, Dating, DayKeyId, GapCause, Retention, SegmentId, SiteId, Span, Utc, VolumeId};
use crate::segment::{
    COMMIT_REGION_BYTES, CommitTable, Ending, HEAD_BYTES, Progress, SegmentError, SegmentFacts, SegmentHead,
    SegmentReader, SlotFile, SlotPurpose,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// How it is known where a segment ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ToldBy {
    /// The manifest calls it sealed.
    Manifest,
    /// It was being written: the commit table.
    Commit,
    /// Nothing but its own clear headers.
    Itself,
}

/// A segment that is there and was not destroyed.
#[derive(Clone, Debug)]
pub struct BareSegment {
    pub segment: SegmentId,
    pub camera: CameraNumber,
    pub start: Utc,
    pub end: Utc,
    pub ending: Ending,
    pub told_by: ToldBy,
    /// When its period ends; `None` where no manifest tells its period.
    pub expires: Option<Utc>,
    /// It stands apart for a request, and outlives its period.
    pub is_held: bool,
    pub path: PathBuf,
    /// What its times rest on.
    pub dating: Dating,
}

/// What there is on a volume.
#[derive(Debug)]
pub struct BareVolume {
    pub id: VolumeId,
    pub site: SiteId,
    pub dir: PathBuf,
    pub manifests: u64,
    /// By camera and start.
    pub segments: Vec<BareSegment>,
    pub gaps: Vec<(CameraNumber, Span, GapCause)>,
    pub destroyed: u64,
    pub faults: Vec<VolumeFault>,
    disk: SharedDisk,
    day_keys: BTreeMap<DayKeyId, PublicKey>,
}

/// A private key, and the day keys that it opened so far.
#[derive(Debug)]
pub struct DayKeys<'a> {
    key: &'a PrivateKey,
    opened: HashMap<(VolumeId, DayKeyId), PrivateKey>,
}

impl<'a> DayKeys<'a> {
    pub fn of(key: &'a PrivateKey) -> Self {
        Self { key, opened: HashMap::new() }
    }

    /// Opens the day key of a segment on the volume in `dir`. `public` is what a manifest says is its public half; without
    /// one there is only what the file says of itself: were that forged, what was sealed to the true half would not open.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where the key has no slot there; [`VaultError::Unopened`]; what the disk says.
    pub(super) fn open(
        &mut self,
        disk: &SharedDisk,
        dir: &Path,
        facts: &SegmentFacts,
        public: Option<PublicKey>,
    ) -> Result<&PrivateKey, VaultError> {
        match self.opened.entry((facts.volume, facts.day_key)) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let path = dir.join("keys").join(facts.day_key.to_string());
                let file = SlotFile::open_to_read(&**disk, &path, SlotPurpose::DayKey)?;
                let public = public.unwrap_or(PublicKey(day_keys::public_of(file.facts())));
                let opened = day_keys::open_day_key(&file, facts.volume, facts.day_key, &public, self.key)?;
                Ok(place.insert(opened.ok_or(VaultError::WrongKey { segment: facts.segment })?))
            }
        }
    }
}

/// What a segment's time and its end go by.
#[derive(Clone, Copy)]
struct Dated {
    dating: Dating,
    retention: Retention,
}

struct Found {
    path: PathBuf,
    is_held: bool,
}

impl BareVolume {
    /// Reads manifests, commit tables and the heads of segments.
    ///
    /// # Errors
    /// [`VaultError::NoVolume`]; what the disk says of the directories of segments. All else is a fault that is named.
    pub fn read(disk: &SharedDisk, dir: &Path) -> Result<Self, VaultError> {
        let (id, site) = Volume::whose(disk, dir)?;
        let mut bare = Self {
            id,
            site,
            dir: dir.to_path_buf(),
            manifests: 0,
            segments: Vec::new(),
            gaps: Vec::new(),
            destroyed: 0,
            faults: Vec::new(),
            disk: SharedDisk::clone(disk),
            day_keys: BTreeMap::new(),
        };
        let tables = bare.commit_tables();
        let files = segment_files(disk, dir)?;
        let mut named = BTreeSet::new();
        let paths = manifests::list(disk, &dir.join("manifests")).unwrap_or_else(|e| {
            bare.fault(
                &dir.join("manifests"),
                format!("{e}; what the manifests told is read from the segments' own heads"),
            );
            Vec::new()
        });
        let taken_over = manifests::taken_over(disk, &paths);
        for path in paths {
            let is_taken_over = taken_over.contains(&manifests::file_name(&path));
            bare.manifest((&path, is_taken_over), &files, &tables, &mut named);
        }
        let unnamed = files.iter().filter(|(segment, _)| !named.contains(*segment));
        for (segment, found) in unnamed {
            bare.unnamed(*segment, found, &tables);
        }
        bare.segments.sort_by_key(|segment| (segment.camera, segment.start));
        Ok(bare)
    }

    fn fault(&mut self, file: &Path, what: String) {
        self.faults.push(VolumeFault { file: file.display().to_string(), what });
    }

    fn commit_tables(&mut self) -> Vec<CommitTable> {
        let path = self.dir.join("commits");
        let read = read_file(&*self.disk, &path, 2 * COMMIT_REGION_BYTES as u64).map_err(|e| e.to_string());
        read.and_then(|bytes| CommitTable::read_all(&bytes).map_err(|e| e.to_string())).unwrap_or_else(|e| {
            self.fault(&path, format!("{e}; segments that were being written are read as far as their own headers go"));
            Vec::new()
        })
    }

    fn manifest(
        &mut self,
        (path, is_taken_over): (&Path, bool),
        files: &BTreeMap<SegmentId, Found>,
        tables: &[CommitTable],
        named: &mut BTreeSet<SegmentId>,
    ) {
        let read = match ManifestFile::read(&self.disk, path, false) {
            Ok(read) if read.manifest.header.volume == self.id => read,
            Ok(_) => return self.fault(path, "is another volume's manifest; it is passed over".into()),
            Err(e) => {
                let what = format!("{e}. For this recovery the segments' own heads are read in its place");
                return self.fault(path, what);
            }
        };
        self.manifests += 1;
        if read.misfits > 0 {
            self.fault(path, format!("{} records do not follow from those before: it was changed", read.misfits));
        }
        let manifest = read.manifest;
        self.day_keys.extend(manifest.sum().day_keys.iter().map(|(day_key, known)| (*day_key, known.public)));
        let Some(table) = manifest.table() else { return };
        self.gaps.extend(table.gaps());
        for (segment, row) in &table.rows {
            let is_destroyed =
                matches!(row.life, Life::Condemned { .. } | Life::KeyDestroyed { .. } | Life::Erased { .. });
            if !is_destroyed && is_taken_over {
                // Its hold manifest names it; if that one cannot be read, its own head tells of it.
                continue;
            }
            named.insert(*segment);
            let is_dayless = manifest.sum().has_lost(table.day_key(row));
            match row.life {
                Life::Condemned { .. } | Life::KeyDestroyed { .. } | Life::Erased { .. } => self.destroyed += 1,
                Life::Open | Life::Sealed if is_dayless => self.destroyed += 1,
                Life::Open | Life::Sealed => {
                    let dated = Dated { dating: table.dating(row), retention: manifest.header.retention };
                    self.named(*segment, row, dated, files.get(segment), tables);
                }
            }
        }
    }

    /// A segment that a manifest names and that was not destroyed.
    fn named(
        &mut self,
        segment: SegmentId,
        row: &SegmentRow,
        Dated { dating, retention }: Dated,
        found: Option<&Found>,
        tables: &[CommitTable],
    ) {
        let was_entered = tables.iter().any(|table| table.entry(segment).is_some());
        let Some(found) = found else {
            if row.life != Life::Open || was_entered {
                let span = row.span_at_least().map_or_else(String::new, |span| format!(" to {}", span.to()));
                let what = format!(
                    "is missing: camera {} from {}{span}; it was not destroyed by the daemon",
                    row.camera, row.start
                );
                self.fault(&self.dir.join(segment.to_string()), what);
            }
            return;
        };
        let facts = match self.head(&found.path) {
            Ok(head) => head.facts,
            Err(e) => return self.fault(&found.path, format!("{e} (camera {} from {})", row.camera, row.start)),
        };
        if (facts.segment, facts.camera, facts.start) != (segment, row.camera, row.start) {
            return self.fault(&found.path, "is not the segment that its manifest names: it was swapped".into());
        }
        let end = match row.life {
            Life::Sealed => Some((row.ending(), row.end, ToldBy::Manifest)),
            _ => self.end_of_open(segment, found, tables),
        };
        let Some((ending, end, told_by)) = end else { return };
        let expires = Span::new(row.start, end).ok().map(|said| dating.correction.expiry(retention, said));
        let (path, is_held) = (found.path.clone(), found.is_held || row.is_apart);
        let (camera, correction) = (row.camera, dating.correction);
        let (start, end) = (correction.shown(row.start), correction.shown(end));
        self.segments.push(BareSegment {
            segment,
            camera,
            start,
            end,
            ending,
            told_by,
            expires,
            is_held,
            path,
            dating,
        });
    }

    /// A file that no manifest names, or none that can be read.
    fn unnamed(&mut self, segment: SegmentId, found: &Found, tables: &[CommitTable]) {
        let SegmentFacts { camera, start, segment: own, .. } = match self.head(&found.path) {
            Ok(head) => head.facts,
            Err(SegmentError::Damaged { .. }) if self.is_blank(&found.path) => {
                self.destroyed += 1;
                return;
            }
            Err(e) => return self.fault(&found.path, e.to_string()),
        };
        if own != segment {
            return self.fault(&found.path, format!("is segment {own} under another name; it is passed over"));
        }
        let Some((ending, end, told_by)) = self.end_of_open(segment, found, tables) else { return };
        self.fault(&found.path, "no manifest that can be read names it: its period is not known".into());
        let (path, is_held, dating) = (found.path.clone(), found.is_held, Dating::default());
        let expires = None;
        self.segments.push(BareSegment {
            segment,
            camera,
            start,
            end,
            ending,
            told_by,
            expires,
            is_held,
            path,
            dating,
        });
    }

    /// Where a segment ends that no manifest calls sealed: at the newest commit whose digest holds, or where its own
    /// headers end. `None` for one that holds no picture, or that was never committed.
    fn end_of_open(
        &mut self,
        segment: SegmentId,
        found: &Found,
        tables: &[CommitTable],
    ) -> Option<(Ending, Utc, ToldBy)> {
        let ending = |progress: &Progress| {
            let chunks = progress.chunks;
            if progress.complete { Ending::Footer { chunks } } else { Ending::Cut { chunks } }
        };
        let entries: Vec<Progress> = tables.iter().filter_map(|table| table.entry(segment)).copied().collect();
        for progress in &entries {
            if self.holds(&found.path, ending(progress), progress) {
                return Some((ending(progress), progress.end, ToldBy::Commit));
            }
        }
        if !entries.is_empty() {
            self.fault(&found.path, "is damaged: it is not as it was committed; it is read as far as it goes".into());
        }
        let surveyed = self.disk.open(&found.path, Access::Read).map_err(SegmentError::from);
        match surveyed.and_then(SegmentReader::survey) {
            Ok(progress) if progress.chunks > 1 => Some((ending(&progress), progress.end, ToldBy::Itself)),
            Ok(_) => None,
            Err(e) => {
                self.fault(&found.path, e.to_string());
                None
            }
        }
    }

    fn open_file(&self, path: &Path, ending: Ending) -> Result<SegmentReader, SegmentError> {
        SegmentReader::open(self.disk.open(path, Access::Read)?, ending)
    }

    /// Whether the file is as it was at a commit.
    fn holds(&self, path: &Path, ending: Ending, progress: &Progress) -> bool {
        let told = self.open_file(path, ending).and_then(|reader| {
            let end_bytes = reader.end_bytes()?;
            Ok((end_bytes, reader.crc_from(0, 0, end_bytes)?))
        });
        matches!(told, Ok(told) if told == (progress.bytes, progress.crc))
    }

    fn head(&self, path: &Path) -> Result<SegmentHead, SegmentError> {
        Ok(self.open_file(path, Ending::Cut { chunks: 0 })?.head().clone())
    }

    fn is_blank(&self, path: &Path) -> bool {
        let mut block = vec![0; HEAD_BYTES];
        let read = self.disk.open(path, Access::Read).and_then(|file| file.read_at(&mut block, 0));
        read.is_ok() && block.iter().all(|byte| *byte == 0)
    }

    /// Opens a segment with a private key: its reader, and what opens its chunks. Where its clear headers are damaged, the
    /// reader goes as far as they are whole, and ends there.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where the key has no slot for its day; [`VaultError::Unopened`]; what the disk says.
    pub fn open(&self, segment: &BareSegment, keys: &mut DayKeys) -> Result<(SegmentReader, StreamOpener), VaultError> {
        let by_micros = segment.dating.correction.least_micros;
        let mut reader = self.open_file(&segment.path, segment.ending)?.corrected(by_micros);
        if reader.chunks().is_err() {
            let far = SegmentReader::survey(self.disk.open(&segment.path, Access::Read).map_err(SegmentError::from)?)?;
            reader = self.open_file(&segment.path, Ending::Cut { chunks: far.chunks })?.corrected(by_micros);
        }
        let facts = reader.head().facts;
        let opened = keys.open(&self.disk, &self.dir, &facts, self.day_keys.get(&facts.day_key).copied())?;
        let data_key = reader.head().open_key(opened)?;
        Ok((reader, StreamOpener::new(&data_key)?))
    }
}

/// All files of segments, wherever they stand.
fn segment_files(disk: &SharedDisk, dir: &Path) -> Result<BTreeMap<SegmentId, Found>, VaultError> {
    let mut files = BTreeMap::new();
    for (place, is_held) in [("rolling", false), ("held", true)] {
        let place = dir.join(place);
        let on = |source| VaultError::Disk { what: place.display().to_string(), source };
        let subs = disk.list_dirs(&place).map_err(on)?.into_iter().map(|name| place.join(name));
        for sub in std::iter::once(place.clone()).chain(subs) {
            for name in disk.list_files(&sub).map_err(on)? {
                if let Ok(segment) = name.parse() {
                    files.insert(segment, Found { path: sub.join(&name), is_held });
                }
            }
        }
    }
    Ok(files)
}
