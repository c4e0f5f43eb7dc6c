//! The index against the manifests. It holds nothing that cannot be rebuilt: what is wrong here costs a rebuilding.

use super::VolumeFault;
use crate::catalog::Catalog;
use crate::disk::SharedDisk;
use crate::domain::{ManifestHead, VolumeId};
use crate::vault::manifests::{self, ManifestFile};
use crate::vault::{VaultError, footage, mark_of};
use std::path::{Path, PathBuf};

/// What was found of the index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IndexLook {
    /// It stands for these very manifests, and was held against them.
    Current { entries: u64, faults: Vec<VolumeFault> },
    /// The daemon was not stopped in peace, or the manifests went on since: it is rebuilt at the next start.
    Outdated,
}

/// A volume, and its manifests' heads as they were read.
#[derive(Clone, Debug)]
pub struct SeenVolume {
    pub volume: VolumeId,
    pub dir: PathBuf,
    pub heads: Vec<(String, ManifestHead)>,
}

/// Holds each entry of the index against the manifests of all volumes. No daemon may run.
///
/// # Errors
/// What the index, or the disk, says.
pub fn inspect_index(
    disk: &SharedDisk,
    catalog: &Catalog,
    dir: &Path,
    volumes: &[SeenVolume],
) -> Result<IndexLook, VaultError> {
    let heads = volumes.iter().flat_map(|seen| seen.heads.iter().map(|(name, head)| (seen.volume, name, *head)));
    if !catalog.is_sealed_for(mark_of(heads)) {
        return Ok(IndexLook::Outdated);
    }
    let (mut expected, mut faults) = (0, Vec::new());
    let again = "Delete its folder, it is rebuilt at the next start";
    for seen in volumes {
        for path in manifests::list(disk, &seen.dir.join("manifests"))? {
            let manifest = ManifestFile::read(disk, &path, false)?.manifest;
            let Some(table) = manifest.table() else { continue };
            for (segment, row) in &table.rows {
                expected += 1;
                let entry = footage::entry(seen.volume, manifest.header.retention, table, *segment, row);
                if catalog.entry(row.camera, entry.start, *segment)? != Some(entry) {
                    faults.push(VolumeFault::new(
                        dir,
                        format!("tells otherwise of segment {segment} than its manifest. {again}"),
                    ));
                }
            }
        }
    }
    let entries = catalog.count()?;
    if entries != expected {
        faults.push(VolumeFault::new(dir, format!("has {entries} segments, the manifests have {expected}. {again}")));
    }
    Ok(IndexLook::Current { entries, faults })
}
