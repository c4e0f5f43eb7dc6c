//! Reads a volume without changing it, and names what does not fit: the vault's part of `custodian verify`.

use super::VaultError;
use super::manifests::{self, Life, ManifestFile, SegmentRecord};
use super::volume::Volume;
use crate::disk::{Access, SharedDisk, read_file};
use crate::domain::{Digest, ManifestHead, SegmentId, SiteId, VolumeId};
use crate::segment::{COMMIT_REGION_BYTES, CommitTable, HEAD_BYTES, RecordReader, SegmentHead, SegmentReader};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was found on a volume.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Inspection {
    pub volume: VolumeId,
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
/// the newest ledger checkpoint: each manifest must have been there.
///
/// # Errors
/// [`VaultError`] where there is no volume to read.
pub fn inspect(
    disk: &SharedDisk,
    dir: &Path,
    site: SiteId,
    deep: bool,
    heads: &[(String, ManifestHead)],
) -> Result<Inspection, VaultError> {
    let volume = Volume::identify(disk, dir, site)?;
    let mut told = Inspection {
        volume,
        manifests: 0,
        segments_kept: 0,
        segments_open: 0,
        segments_destroyed: 0,
        segments_held: 0,
        bytes_digested: 0,
        faults: Vec::new(),
    };
    let commits = read_file(&**disk, &dir.join("commits"), 2 * COMMIT_REGION_BYTES as u64).unwrap_or_default();
    let tables = CommitTable::read_all(&commits)?;
    let mut named: BTreeMap<SegmentId, bool> = BTreeMap::new();
    let mut checked_heads = BTreeSet::new();
    for path in manifests::list(disk, &dir.join("manifests"))? {
        let read = match ManifestFile::read(disk, &path, false) {
            Ok(read) => read,
            Err(e) => {
                told.fault(&path, e.to_string());
                continue;
            }
        };
        told.manifests += 1;
        if read.misfits > 0 {
            told.fault(
                &path,
                format!("{} records do not follow from those before: the file was changed", read.misfits),
            );
        }
        let name = read.manifest.name().to_owned();
        for (_, head) in heads.iter().filter(|(known, _)| *known == name) {
            checked_heads.insert(name.clone());
            if head_after(disk, &path, head.records)? != Some(head.digest) {
                told.fault(
                    &path,
                    "is not what the ledger's checkpoint says it was: records were changed or taken out".into(),
                );
            }
        }
        for (segment, record) in &read.manifest.segments {
            named.insert(*segment, matches!(record.life, Life::Erased { .. }));
            told.segment(disk, dir, *segment, record, &tables, deep);
        }
    }
    for (name, _) in heads.iter().filter(|(name, _)| !checked_heads.contains(name)) {
        told.fault(&dir.join("manifests").join(name), "is missing: the ledger's checkpoint names it".into());
    }
    told.strangers(disk, dir, &named)?;
    Ok(told)
}

/// The head of a manifest after so many records; `None` where it has fewer.
fn head_after(disk: &SharedDisk, path: &Path, records: u64) -> Result<Option<Digest>, VaultError> {
    let on = |source| VaultError::Disk { what: path.display().to_string(), source };
    let bytes = read_file(&**disk, path, 1 << 30).map_err(on)?;
    let (_, mut reader) = RecordReader::new(&bytes)?;
    while reader.head().records < records {
        if reader.next().is_none() {
            return Ok(None);
        }
    }
    Ok(Some(reader.head().digest))
}

impl Inspection {
    fn fault(&mut self, path: &Path, what: String) {
        self.faults.push(VolumeFault { file: path.display().to_string(), what });
    }

    fn segment(
        &mut self,
        disk: &SharedDisk,
        dir: &Path,
        segment: SegmentId,
        record: &SegmentRecord,
        tables: &[CommitTable],
        deep: bool,
    ) {
        let path = dir.join(if record.is_apart { "held" } else { "rolling" }).join(segment.to_string());
        match &record.life {
            Life::Erased { .. } | Life::KeyDestroyed(..) => self.segments_destroyed += 1,
            Life::Open => {
                self.segments_open += 1;
                // A segment that is being written is checked as far as it was committed.
                if tables.iter().any(|table| table.entry(segment).is_some())
                    && let Err(e) = check_head(disk, &path, record)
                {
                    self.fault(&path, e);
                }
            }
            Life::Sealed(whole) => {
                self.segments_kept += 1;
                self.segments_held += u64::from(record.is_apart);
                let checked = check_head(disk, &path, record).and_then(|()| {
                    let file = disk.open(&path, Access::Read).map_err(|e| e.to_string())?;
                    let reader = SegmentReader::open(file, whole.ending).map_err(|e| e.to_string())?;
                    reader.chunks().map_err(|e| e.to_string())?;
                    if !deep {
                        return Ok(0);
                    }
                    let (digest, bytes) = reader.digest().map_err(|e| e.to_string())?;
                    if digest == whole.digest {
                        Ok(bytes)
                    } else {
                        Err("its bytes were changed after it was sealed".into())
                    }
                });
                match checked {
                    Ok(bytes) => self.bytes_digested += bytes,
                    Err(e) => self.fault(&path, e),
                }
            }
        }
    }

    /// Files that no manifest names, and blank ones that should be gone.
    fn strangers(
        &mut self,
        disk: &SharedDisk,
        dir: &Path,
        named: &BTreeMap<SegmentId, bool>,
    ) -> Result<(), VaultError> {
        for sub in ["rolling", "held"] {
            let sub = dir.join(sub);
            let on = |source| VaultError::Disk { what: sub.display().to_string(), source };
            for name in disk.list_files(&sub).map_err(on)? {
                let known = name.parse().ok().and_then(|segment: SegmentId| named.get(&segment).copied());
                match known {
                    Some(false) => {}
                    Some(true) => {
                        self.fault(&sub.join(&name), "is recorded as erased, but its file is still there".into())
                    }
                    None => self
                        .fault(&sub.join(&name), "stands in no manifest: it was put there, or never committed".into()),
                }
            }
        }
        Ok(())
    }
}

fn check_head(disk: &SharedDisk, path: &Path, record: &SegmentRecord) -> Result<(), String> {
    let file = disk.open(path, Access::Read).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "is missing: it was not destroyed by the daemon".to_owned(),
        _ => e.to_string(),
    })?;
    let mut block = vec![0; HEAD_BYTES];
    let got = file.read_at(&mut block, 0).map_err(|e| e.to_string())?;
    if SegmentHead::block_digest(&block[..got]) == record.head {
        Ok(())
    } else {
        Err("its head is not the one that was recorded: the file was changed or swapped".into())
    }
}
