//! Reads a volume without changing it, and names what does not fit: the vault's part of `custodian verify`.

use super::VaultError;
use super::manifests::{self, ManifestFile};
use super::table::{Life, SegmentRow};
use super::volume::Volume;
use crate::disk::{Access, SharedDisk, read_file};
use crate::domain::{Digest, ManifestHead, SegmentId, SiteId, Utc, VolumeId};
use crate::segment::{COMMIT_REGION_BYTES, CommitTable, HEAD_BYTES, RecordStream, SegmentHead, SegmentReader};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was found on a volume.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Inspection {
    pub volume: Option<VolumeId>,
    pub manifests: u64,
    pub segments_kept: u64,
    pub segments_open: u64,
    pub segments_destroyed: u64,
    pub segments_held: u64,
    /// Sealed bytes that were read and held against their digest; 0 unless the inspection was deep.
    pub bytes_digested: u64,
    pub faults: Vec<VolumeFault>,
}

/// Something that does not fit. `what` says it and what to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VolumeFault {
    pub file: String,
    pub what: String,
}

/// Reads the volume in `dir`. `deep` reads every sealed byte and holds it against the digest. `heads` are those of
/// the newest ledger checkpoint: each manifest must have been there. A segment whose period has ended by `now` may have
/// lost its key already, a moment before the manifest says so.
///
/// # Errors
/// [`VaultError`] where there is no volume to read.
pub fn inspect(
    disk: &SharedDisk,
    dir: &Path,
    site: SiteId,
    deep: bool,
    heads: &[(String, ManifestHead)],
    now: Utc,
) -> Result<Inspection, VaultError> {
    let volume = Volume::identify(disk, dir, site)?;
    let mut told = Inspection { volume: Some(volume), ..Inspection::default() };
    let mut checked_heads = BTreeSet::new();
    let mut named = BTreeMap::new();
    for path in manifests::list(disk, &dir.join("manifests"))? {
        let mut one = OneManifest::inspect(disk, dir, &path, deep, heads, now);
        if !one.told.faults.is_empty() {
            // Beside a running daemon a segment may have gone between the two looks. What is wrong stays wrong.
            one = OneManifest::inspect(disk, dir, &path, deep, heads, now);
        }
        checked_heads.extend(one.checked_head);
        named.extend(one.named);
        told.add(one.told);
    }
    for (name, _) in heads.iter().filter(|(name, _)| !checked_heads.contains(name)) {
        told.fault(&dir.join("manifests").join(name), "is missing: the ledger's checkpoint names it".into());
    }
    let mut unnamed = strangers(disk, dir, &named)?;
    if !unnamed.is_empty() {
        // A file is there an instant before the manifest names it.
        for path in manifests::list(disk, &dir.join("manifests"))? {
            named.extend(OneManifest::names(disk, &path));
        }
        let still = strangers(disk, dir, &named)?;
        unnamed.retain(|fault| still.contains(fault));
    }
    told.faults.extend(unnamed);
    Ok(told)
}

/// What one manifest says, held against the files.
struct OneManifest {
    told: Inspection,
    /// Its segments, and whether each is recorded as erased.
    named: BTreeMap<SegmentId, bool>,
    /// Its name, where a checkpoint knows it.
    checked_head: Option<String>,
}

impl OneManifest {
    fn names(disk: &SharedDisk, path: &Path) -> BTreeMap<SegmentId, bool> {
        let Ok(read) = ManifestFile::read(disk, path, false) else { return BTreeMap::new() };
        let is_erased = |row: &SegmentRow| matches!(row.life, Life::Erased { .. });
        let rows = read.manifest.table().into_iter().flat_map(|table| &table.rows);
        rows.map(|(segment, row)| (*segment, is_erased(row))).collect()
    }

    fn inspect(
        disk: &SharedDisk,
        dir: &Path,
        path: &Path,
        deep: bool,
        heads: &[(String, ManifestHead)],
        now: Utc,
    ) -> Self {
        let mut one = Self { told: Inspection::default(), named: BTreeMap::new(), checked_head: None };
        // Read after the manifest: what the manifest calls open was committed in one of these, or not at all.
        let read = match ManifestFile::read(disk, path, false) {
            Ok(read) => read,
            Err(e) => {
                one.told.fault(path, e.to_string());
                return one;
            }
        };
        let commits = read_file(&**disk, &dir.join("commits"), 2 * COMMIT_REGION_BYTES as u64).unwrap_or_default();
        let tables = CommitTable::read_all(&commits).unwrap_or_else(|e| {
            one.told.fault(&dir.join("commits"), e.to_string());
            Vec::new()
        });
        one.told.manifests = 1;
        if read.misfits > 0 {
            let what = format!("{} records do not follow from those before: the file was changed", read.misfits);
            one.told.fault(path, what);
        }
        let name = read.manifest.name().to_owned();
        for (_, head) in heads.iter().filter(|(known, _)| *known == name) {
            one.checked_head = Some(name.clone());
            match head_after(disk, path, head.records) {
                Ok(found) if found == Some(head.digest) => {}
                Ok(_) => one.told.fault(
                    path,
                    "is not what the ledger's checkpoint says it was: records were changed or taken out".into(),
                ),
                Err(e) => one.told.fault(path, e.to_string()),
            }
        }
        let retention = read.manifest.header.retention;
        for (segment, row) in read.manifest.table().into_iter().flat_map(|table| &table.rows) {
            one.named.insert(*segment, matches!(row.life, Life::Erased { .. }));
            let place = if row.is_apart { "held" } else { "rolling" };
            let path = dir.join(place).join(&name).join(segment.to_string());
            let is_over = row.span_at_least().is_some_and(|span| retention.expiry(span) <= now);
            if is_over && row.life == Life::Sealed && is_keyless(disk, &path) {
                one.told.segments_destroyed += 1;
                continue;
            }
            one.told.segment(disk, &path, *segment, (&read.manifest, row), &tables, deep);
        }
        one
    }
}

/// The head of a manifest after so many records; `None` where it has fewer.
fn head_after(disk: &SharedDisk, path: &Path, records: u64) -> Result<Option<Digest>, VaultError> {
    let on = |source| VaultError::Disk { what: path.display().to_string(), source };
    let file = disk.open(path, Access::Read).map_err(on)?;
    let (_, mut stream) = RecordStream::open(&*file)?;
    while stream.head().records < records {
        if stream.next_record()?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(stream.head().digest))
}

impl Inspection {
    fn fault(&mut self, path: &Path, what: String) {
        self.faults.push(VolumeFault { file: path.display().to_string(), what });
    }

    fn segment(
        &mut self,
        disk: &SharedDisk,
        path: &Path,
        segment: SegmentId,
        (manifest, row): (&ManifestFile, &SegmentRow),
        tables: &[CommitTable],
        deep: bool,
    ) {
        match row.life {
            Life::Erased { .. } | Life::KeyDestroyed { .. } => self.segments_destroyed += 1,
            Life::Open => {
                self.segments_open += 1;
                // A segment that is being written is checked as far as it was committed.
                if tables.iter().any(|table| table.entry(segment).is_some())
                    && let Err(e) = check_head(disk, path, manifest, row)
                {
                    self.fault(path, e);
                }
            }
            Life::Sealed => {
                self.segments_kept += 1;
                self.segments_held += u64::from(row.is_apart);
                let checked = check_head(disk, path, manifest, row).and_then(|()| {
                    let file = disk.open(path, Access::Read).map_err(|e| e.to_string())?;
                    let reader = SegmentReader::open(file, row.ending()).map_err(|e| e.to_string())?;
                    reader.chunks().map_err(|e| e.to_string())?;
                    if !deep {
                        return Ok(0);
                    }
                    let (digest, bytes) = reader.digest().map_err(|e| e.to_string())?;
                    let recorded = manifest.whole(row).map_err(|e| e.to_string())?;
                    if recorded.is_some_and(|whole| whole.digest == digest) {
                        Ok(bytes)
                    } else {
                        Err("its bytes were changed after it was sealed".into())
                    }
                });
                match checked {
                    Ok(bytes) => self.bytes_digested += bytes,
                    Err(e) => self.fault(path, e),
                }
            }
        }
    }

    fn add(&mut self, other: Inspection) {
        self.manifests += other.manifests;
        self.segments_kept += other.segments_kept;
        self.segments_open += other.segments_open;
        self.segments_destroyed += other.segments_destroyed;
        self.segments_held += other.segments_held;
        self.bytes_digested += other.bytes_digested;
        self.faults.extend(other.faults);
    }
}

/// Files that no manifest names, and blank ones that should be gone.
fn strangers(disk: &SharedDisk, dir: &Path, named: &BTreeMap<SegmentId, bool>) -> Result<Vec<VolumeFault>, VaultError> {
    let mut faults = Vec::new();
    for place in ["rolling", "held"].map(|place| dir.join(place)) {
        let on = |source| VaultError::Disk { what: place.display().to_string(), source };
        let subs = disk.list_dirs(&place).map_err(on)?.into_iter().map(|name| place.join(name));
        for sub in std::iter::once(place.clone()).chain(subs) {
            let names = match disk.list_files(&sub) {
                // Emptied and removed meanwhile.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                names => names.map_err(on)?,
            };
            for name in names {
                let known = name.parse().ok().and_then(|segment: SegmentId| named.get(&segment).copied());
                let what = match known.filter(|_| sub != place) {
                    Some(false) => continue,
                    Some(true) => "is recorded as erased, but its file is still there",
                    None => "stands in no manifest: it was put there, or never committed",
                };
                faults.push(VolumeFault { file: sub.join(&name).display().to_string(), what: what.to_owned() });
            }
        }
    }
    Ok(faults)
}

/// Whether a head was overwritten: what is due is made unreadable first, and then recorded so.
fn is_keyless(disk: &SharedDisk, path: &Path) -> bool {
    let mut block = vec![0xFF; HEAD_BYTES];
    let read = disk.open(path, Access::Read).and_then(|file| file.read_at(&mut block, 0));
    read.is_ok_and(|got| got == HEAD_BYTES) && block.iter().all(|byte| *byte == 0)
}

fn check_head(disk: &SharedDisk, path: &Path, manifest: &ManifestFile, row: &SegmentRow) -> Result<(), String> {
    let file = disk.open(path, Access::Read).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "is missing: it was not destroyed by the daemon".to_owned(),
        _ => e.to_string(),
    })?;
    let mut block = vec![0; HEAD_BYTES];
    let got = file.read_at(&mut block, 0).map_err(|e| e.to_string())?;
    let recorded = manifest.head_of(row).map_err(|e| e.to_string())?;
    if SegmentHead::block_digest(&block[..got]) == recorded {
        Ok(())
    } else {
        Err("its head is not the one that was recorded: the file was changed or swapped".into())
    }
}
