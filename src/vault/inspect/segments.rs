//! Manifests and the segments that they name.

use super::contents::check_contents;
use super::{Inspection, Look, VolumeFault};
use crate::crypto::PublicKey;
use crate::disk::{Access, SharedDisk, read_file};
use crate::domain::{Day, DayKeyId, Digest, ManifestHead, Retention, SegmentId, Utc, VolumeId};
use crate::segment::{COMMIT_REGION_BYTES, CommitTable, HEAD_BYTES, RecordStream, SegmentHead, SegmentReader};
use crate::vault::VaultError;
use crate::vault::bare::DayKeys;
use crate::vault::manifests::{self, ManifestFile, Summed};
use crate::vault::table::{Life, SegmentRow};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Footage that is so long past its day was forgotten, not waiting for the eraser's next round.
const OVERDUE: Duration = Duration::from_secs(3_600);

/// What is kept of a segment that a manifest names: little, there may be millions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Named {
    is_erased: bool,
    /// The beginning of its digest.
    digest: Option<u64>,
    /// The same of the one before it, as its own head says; `None` where there is none, or the head was not read.
    previous: Option<u64>,
}

/// The beginning of a digest: enough to miss one by.
fn beginning(digest: Digest) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.0[..8]);
    u64::from_be_bytes(bytes)
}

/// What one manifest says, held against the files.
pub(super) struct OneManifest {
    pub told: Inspection,
    pub named: BTreeMap<SegmentId, Named>,
    pub day_keys: BTreeMap<DayKeyId, PublicKey>,
    /// Its name, where a checkpoint knows it.
    pub checked_head: Option<String>,
    /// The manifest's own sum, to hold the volume's summary against.
    pub summed: Option<Summed>,
}

/// Where things stand while a manifest is looked at.
struct Place<'a, 'k> {
    dir: &'a Path,
    volume: VolumeId,
    manifest: &'a ManifestFile,
    retention: Retention,
    /// A hold manifest has taken over what is held of it.
    is_taken_over: bool,
    tables: &'a [CommitTable],
    look: &'a Look<'a>,
    keys: Option<&'a RefCell<DayKeys<'k>>>,
    day_keys: &'a BTreeMap<DayKeyId, PublicKey>,
}

impl OneManifest {
    fn names(disk: &SharedDisk, path: &Path) -> BTreeMap<SegmentId, Named> {
        let Ok(read) = ManifestFile::read(disk, path, false) else { return BTreeMap::new() };
        let rows = read.manifest.table().into_iter().flat_map(|table| &table.rows);
        rows.map(|(segment, row)| (*segment, Named::of(&read.manifest, row))).collect()
    }

    pub fn inspect(
        dir: &Path,
        (volume, is_taken_over): (VolumeId, bool),
        path: &Path,
        look: &Look,
        keys: Option<&RefCell<DayKeys>>,
    ) -> Self {
        let mut one = Self {
            told: Inspection::default(),
            named: BTreeMap::new(),
            day_keys: BTreeMap::new(),
            checked_head: None,
            summed: None,
        };
        let read = match ManifestFile::read(look.disk, path, false) {
            Ok(read) => read,
            Err(e) => {
                one.told.fault(path, format!("{e}. Put it back from a copy; until then nothing is erased here"));
                one.checked_head = path.file_name().map(|name| name.to_string_lossy().into_owned());
                return one;
            }
        };
        let manifest = read.manifest;
        if manifest.header.volume != volume {
            one.told.fault(path, "is another volume's manifest; put it where it belongs");
        }
        // Read after the manifest: what the manifest calls open was committed in one of these, or not at all.
        let commits = dir.join("commits");
        let read_commits = read_file(&**look.disk, &commits, 2 * COMMIT_REGION_BYTES as u64).unwrap_or_default();
        let tables = CommitTable::read_all(&read_commits).unwrap_or_else(|e| {
            one.told
                .fault(&commits, format!("{e}; what was being written is closed at the next start as far as it goes"));
            Vec::new()
        });
        one.told.manifests = 1;
        if read.misfits > 0 {
            let what = format!(
                "{} records do not follow from those before: the file was changed. Put it back from a copy",
                read.misfits
            );
            one.told.fault(path, what);
        }
        one.day_keys = manifest.sum().day_keys.iter().map(|(day_key, known)| (*day_key, known.public)).collect();
        one.summed = Some(manifest.summed());
        one.told.heads.push((manifest.name().to_owned(), manifest.head()));
        one.check_head(look, path, manifest.name());
        let retention = manifest.header.retention;
        let (manifest, tables, day_keys) = (&manifest, &tables[..], &one.day_keys);
        let place = Place { dir, volume, manifest, retention, is_taken_over, tables, look, keys, day_keys };
        for (segment, row) in manifest.table().into_iter().flat_map(|table| &table.rows) {
            if place.is_taken_over && row.life == Life::Sealed {
                continue;
            }
            let named = place.segment(&mut one.told, *segment, row);
            one.named.insert(*segment, named);
            (look.progress)();
        }
        one
    }

    fn check_head(&mut self, look: &Look, path: &Path, name: &str) {
        for (_, head) in look.heads.iter().filter(|(known, _)| known == name) {
            self.checked_head = Some(name.to_owned());
            match head_after(look.disk, path, head) {
                Ok(true) => {}
                Ok(false) => self.told.fault(
                    path,
                    "is not what the ledger's checkpoint says it was: records were changed or taken out. Put it back \
                     from a copy, and find out who had the disk",
                ),
                Err(e) => self.told.fault(path, e.to_string()),
            }
        }
    }
}

/// Whether the manifest had this head after so many records.
fn head_after(disk: &SharedDisk, path: &Path, head: &ManifestHead) -> Result<bool, VaultError> {
    let on = |source| VaultError::Disk { what: path.display().to_string(), source };
    let file = disk.open(path, Access::Read).map_err(on)?;
    let (_, mut stream) = RecordStream::open(&*file)?;
    while stream.head().records < head.records {
        if stream.next_record()?.is_none() {
            return Ok(false);
        }
    }
    Ok(stream.head().digest == head.digest)
}

impl Named {
    fn of(manifest: &ManifestFile, row: &SegmentRow) -> Self {
        let is_erased = matches!(row.life, Life::Erased { .. });
        // A record that cannot be read again is named where the segment is looked at.
        let digest = manifest.whole(row).ok().flatten().map(|whole| beginning(whole.digest));
        Self { is_erased, digest, previous: None }
    }
}

impl Place<'_, '_> {
    fn path(&self, segment: SegmentId, row: &SegmentRow) -> PathBuf {
        let place = self.dir.join(if row.is_apart { "held" } else { "rolling" });
        let path = place.join(self.manifest.name()).join(segment.to_string());
        // One that a hold manifest carries on may stand where it stood before.
        let before = self.manifest.header.carries_on.map(|on| format!("{:016x}", on.manifest));
        let is_there = |path: &PathBuf| self.look.disk.open(path, Access::Read).is_ok();
        let before = before.map(|before| place.join(before).join(segment.to_string()));
        before.filter(|before| !is_there(&path) && is_there(before)).unwrap_or(path)
    }

    fn segment(&self, told: &mut Inspection, segment: SegmentId, row: &SegmentRow) -> Named {
        let path = self.path(segment, row);
        let mut named = Named::of(self.manifest, row);
        match row.life {
            Life::Condemned { at, trigger } => {
                told.segments_destroyed += 1;
                // The eraser's next round destroys its key.
                if self.look.now.is_some_and(|now| at.saturating_add(OVERDUE) <= now) {
                    let past = trigger.past();
                    let what = format!("was {past} on {at}, and is still here. Start the daemon, or look at its log");
                    told.fault(&path, what);
                }
            }
            Life::Erased { .. } | Life::KeyDestroyed { .. } => {
                told.segments_destroyed += 1;
                self.granted(told, &path, segment);
            }
            Life::Open => {
                told.segments_open += 1;
                // A segment that is being written is checked as far as it was committed.
                let entry = self.tables.iter().find_map(|table| table.entry(segment));
                if let Some(entry) = entry {
                    match self.head(&path, segment, row) {
                        Ok(previous) => named.previous = previous,
                        Err(e) => told.fault(&path, e),
                    }
                    // Of one that was given up this is its end, and what was begun since names it.
                    named.digest = Some(beginning(entry.digest));
                }
            }
            // Its day key went first, and its key block follows.
            Life::Sealed if self.is_dayless(row) || self.is_just_made_unreadable(&path, row) => {
                told.segments_destroyed += 1;
                self.granted(told, &path, segment);
            }
            Life::Sealed => {
                told.segments_kept += 1;
                told.segments_held += u64::from(row.is_apart);
                told.segments_in_doubt += u64::from(self.is_in_doubt(row));
                match self.sealed(told, segment, row) {
                    // The one before may have gone with the manifest that both were in.
                    Ok(_) if self.manifest.header.carries_on.is_some() => {}
                    Ok(previous) => named.previous = previous,
                    Err(e) => told.fault(&path, e),
                }
                self.overdue(told, &path, row);
            }
        }
        named
    }

    /// No grant may have the key of what is destroyed.
    fn granted(&self, told: &mut Inspection, path: &Path, segment: SegmentId) {
        if let Some(grant) = self.look.granted.get(&segment) {
            let what =
                format!("the key of this destroyed segment still stands in grant {grant}. Close the grant's request");
            told.fault(path, what);
        }
    }

    fn is_dayless(&self, row: &SegmentRow) -> bool {
        self.manifest.table().is_some_and(|table| self.manifest.sum().has_lost(table.day_key(row)))
    }

    /// Whether a segment is past its day and its key block is overwritten: that is recorded a moment later, so a power cut
    /// in between leaves it so until the next start.
    fn is_just_made_unreadable(&self, path: &Path, row: &SegmentRow) -> bool {
        let is_over = |now| self.expiry(row).is_some_and(|expires| expires <= now);
        let is_blank = || {
            let mut block = vec![0xFF; HEAD_BYTES];
            let read = self.look.disk.open(path, Access::Read).and_then(|file| file.read_at(&mut block, 0));
            read.is_ok_and(|got| got == HEAD_BYTES) && block.iter().all(|byte| *byte == 0)
        };
        self.look.now.is_some_and(is_over) && is_blank()
    }

    /// Holds a sealed segment's file against its record; what its head says of the one before it.
    fn sealed(&self, told: &mut Inspection, segment: SegmentId, row: &SegmentRow) -> Result<Option<u64>, String> {
        let path = self.path(segment, row);
        let previous = self.head(&path, segment, row)?;
        let file = self.look.disk.open(&path, Access::Read).map_err(|e| e.to_string())?;
        let damaged = |e: crate::segment::SegmentError| format!("{e}. Replace the disk if it was nobody's doing");
        let reader = SegmentReader::open(file, row.ending()).map_err(damaged)?;
        reader.chunks().map_err(damaged)?;
        if self.look.deep {
            let (digest, bytes) = reader.digest().map_err(damaged)?;
            let recorded = self.manifest.whole(row).map_err(|e| e.to_string())?;
            if recorded.is_none_or(|whole| (whole.digest, whole.bytes) != (digest, bytes)) {
                return Err(
                    "its bytes were changed after it was sealed. Replace the disk if it was nobody's doing".into()
                );
            }
            told.bytes_digested += bytes;
            if let Some(keys) = self.keys {
                check_contents(self.look.disk, self.dir, &reader, self.day_keys, &mut keys.borrow_mut())?;
                told.segments_decrypted += 1;
            }
        }
        Ok(previous)
    }

    /// Whether a segment past its day is still there, or is held and does not stand apart.
    fn overdue(&self, told: &mut Inspection, path: &Path, row: &SegmentRow) {
        let shown = self.manifest.table().and_then(|table| table.shown(row));
        let (Some(now), Some(span), Some(expires)) = (self.look.now, shown, self.expiry(row)) else { return };
        if expires.saturating_add(OVERDUE) > now || row.is_apart {
            return;
        }
        let what = match self.look.holds.iter().find(|hold| hold.covers(row.camera, span)) {
            Some(hold) => format!(
                "its period ended on {expires}, it is held for {}, and it does not stand apart. Start the daemon, or look at its log",
                hold.of
            ),
            None => format!(
                "its period ended on {expires} by this machine's clock, and it is still here. Start the daemon, or look at its log"
            ),
        };
        told.fault(path, what);
    }

    fn expiry(&self, row: &SegmentRow) -> Option<Utc> {
        self.manifest.table().and_then(|table| table.expiry(row, self.retention))
    }

    fn is_in_doubt(&self, row: &SegmentRow) -> bool {
        self.manifest.table().is_some_and(|table| table.dating(row).in_doubt)
    }

    fn head(&self, path: &Path, segment: SegmentId, row: &SegmentRow) -> Result<Option<u64>, String> {
        let file = self.look.disk.open(path, Access::Read).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                "is missing: it was not destroyed by the daemon. Put it back from where it went; its loss is a breach to \
                 be reported"
                    .to_owned()
            }
            _ => e.to_string(),
        })?;
        let mut block = vec![0; HEAD_BYTES];
        let got = file.read_at(&mut block, 0).map_err(|e| e.to_string())?;
        let recorded = self.manifest.head_of(row).map_err(|e| e.to_string())?;
        if SegmentHead::block_digest(&block[..got]) != recorded {
            return Err(
                "its head is not the one that was recorded: the file was changed or swapped. Put the right one \
                        back from where it went"
                    .into(),
            );
        }
        let facts = SegmentHead::parse(&block[..got]).map_err(|e| e.to_string())?.facts;
        let day_key = self.manifest.table().map(|table| table.day_key(row)).unwrap_or(facts.day_key);
        let recorded = (self.volume, segment, row.camera, row.start, day_key);
        if (facts.volume, facts.segment, facts.camera, facts.start, facts.day_key) != recorded {
            return Err(
                "its head and its manifest tell otherwise of camera, time or key: one was forged. Find out who \
                        had the disk"
                    .into(),
            );
        }
        Ok((facts.previous != Digest::ZERO).then(|| beginning(facts.previous)))
    }
}

/// A file that stands among the segments.
pub(super) struct SegmentFile {
    name: String,
    path: PathBuf,
    /// Whether it stands where no manifest's segments do.
    is_astray: bool,
}

/// All files of segments.
pub(super) fn files(disk: &SharedDisk, dir: &Path) -> Result<Vec<SegmentFile>, VaultError> {
    let mut files = Vec::new();
    for place in ["rolling", "held"].map(|place| dir.join(place)) {
        let on = |source| VaultError::Disk { what: place.display().to_string(), source };
        let subs = disk.list_dirs(&place).map_err(on)?.into_iter().map(|name| place.join(name));
        for sub in std::iter::once(place.clone()).chain(subs) {
            let names = match disk.list_files(&sub) {
                // Emptied and removed meanwhile.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                names => names.map_err(on)?,
            };
            let is_astray = sub == place;
            files.extend(names.into_iter().map(|name| SegmentFile { path: sub.join(&name), name, is_astray }));
        }
    }
    Ok(files)
}

/// Files that no manifest names, and blank ones that should be gone.
pub(super) fn strangers(
    disk: &SharedDisk,
    dir: &Path,
    named: &BTreeMap<SegmentId, Named>,
) -> Result<Vec<VolumeFault>, VaultError> {
    let mut faults = Vec::new();
    for SegmentFile { name, path, is_astray } in files(disk, dir)? {
        let known = name.parse().ok().and_then(|segment: SegmentId| named.get(&segment)).filter(|_| !is_astray);
        let what = match known.map(|named| named.is_erased) {
            Some(false) => continue,
            Some(true) => "is recorded as erased, but its file is still there. It goes at the daemon's next start",
            None => {
                "stands in no manifest: it was put there, or never committed. If the daemon's next start leaves it, move it \
                 away"
            }
        };
        faults.push(VolumeFault::new(&path, what));
    }
    Ok(faults)
}

/// What manifests say by now of segments that they named, or did not name yet.
pub(super) fn look_again(
    disk: &SharedDisk,
    dir: &Path,
    named: &mut BTreeMap<SegmentId, Named>,
) -> Result<(), VaultError> {
    for path in manifests::list(disk, &dir.join("manifests"))? {
        for (segment, now) in OneManifest::names(disk, &path) {
            let known = named.entry(segment).or_insert(now);
            (known.is_erased, known.digest) = (now.is_erased, now.digest.or(known.digest));
        }
    }
    Ok(())
}

/// Segments whose head names a segment before them that neither a manifest nor a closing row knows: one was taken out, with
/// its record.
pub(super) fn torn_chains(
    dir: &Path,
    volume: VolumeId,
    named: &BTreeMap<SegmentId, Named>,
    look: &Look,
) -> Result<Vec<VolumeFault>, VaultError> {
    let known: HashSet<u64> = named.values().filter_map(|named| named.digest).collect();
    let is_torn = |named: &&Named| named.previous.is_some_and(|previous| !known.contains(&previous));
    let mut torn: Vec<_> =
        named.iter().filter(|(_, named)| is_torn(named)).map(|(segment, named)| (*segment, named.previous)).collect();
    if !torn.is_empty()
        && let Some(closed) = look.closed
    {
        // Of the day before, only the first and the last are still known.
        let mut last = HashSet::new();
        let each = closed.each(Day(0), |row| {
            let cameras = row.cameras.iter().filter(|_| row.volume == volume);
            last.extend(cameras.flat_map(|of| [beginning(of.first), beginning(of.last)]));
        });
        each.map_err(|source| VaultError::Disk { what: "the ledger".to_owned(), source })?;
        torn.retain(|(_, previous)| previous.is_none_or(|previous| !last.contains(&previous)));
    }
    let what = "the camera's segment before this one is in no manifest: it was taken out. Find out who had the disk";
    Ok(torn.into_iter().map(|(segment, _)| VolumeFault::new(&dir.join(segment.to_string()), what)).collect())
}

/// Keys in grants of segments that no manifest of this volume knows.
pub(super) fn granted_strangers(dir: &Path, named: &BTreeMap<SegmentId, Named>, look: &Look) -> Vec<VolumeFault> {
    let strangers = look.granted.iter().filter(|(segment, _)| !named.contains_key(segment));
    let fault = |(segment, grant): (&SegmentId, &crate::domain::GrantId)| {
        let what = format!("grant {grant} has a key of it, and no manifest names it. Close the grant's request");
        VolumeFault::new(&dir.join(segment.to_string()), what)
    };
    strangers.map(fault).collect()
}
