//! The index against the manifests. It holds nothing that cannot be rebuilt: what is wrong here costs a rebuilding.

use super::VolumeFault;
use crate::catalog::Catalog;
use crate::disk::SharedDisk;
use crate::domain::{Day, ManifestHead, Span, Utc, VolumeId};
use crate::ledger::{ClosedCamera, ClosedManifests, ManifestClosed};
use crate::vault::index::closed_day;
use crate::vault::manifests::{self, ManifestFile};
use crate::vault::table::Life;
use crate::vault::{VaultError, footage, mark_of};
use std::collections::BTreeSet;
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
    closed: Option<&ClosedManifests>,
) -> Result<IndexLook, VaultError> {
    let heads = volumes.iter().flat_map(|seen| seen.heads.iter().map(|(name, head)| (seen.volume, name, *head)));
    if !catalog.is_sealed_for(mark_of(heads)) {
        return Ok(IndexLook::Outdated);
    }
    let (mut expected, mut faults) = (0, Vec::new());
    let again = "Delete its folder, it is rebuilt at the next start";
    for seen in volumes {
        let paths = manifests::list(disk, &seen.dir.join("manifests"))?;
        let taken_over = manifests::taken_over(disk, &paths);
        for path in paths {
            let manifest = ManifestFile::read(disk, &path, false)?.manifest;
            let Some(table) = manifest.table() else { continue };
            let is_taken_over = taken_over.contains(manifest.name());
            // One that waits for its end may have its row already.
            let is_closed = manifest.sum().has_only_apart()
                && find(closed, seen.volume, manifest.name(), manifest.header.day)?.is_some();
            for (segment, row) in &table.rows {
                let is_erased = matches!(row.life, Life::Erased { .. });
                if (is_erased && is_closed) || (!is_erased && is_taken_over) {
                    continue;
                }
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
    faults.extend(hold_days_against(catalog, dir, closed)?);
    let entries = catalog.count()?;
    if entries != expected {
        faults.push(VolumeFault::new(dir, format!("has {entries} segments, the manifests have {expected}. {again}")));
    }
    Ok(IndexLook::Current { entries, faults })
}

fn find(
    closed: Option<&ClosedManifests>,
    volume: VolumeId,
    name: &str,
    day: Day,
) -> Result<Option<ManifestClosed>, VaultError> {
    closed.map_or(Ok(None), |closed| closed.find(volume, name, day)).map_err(unread)
}

fn unread(source: std::io::Error) -> VaultError {
    VaultError::Disk { what: "the ledger".to_owned(), source }
}

/// Holds what the index keeps of closed manifests against the ledger's rows.
fn hold_days_against(
    catalog: &Catalog,
    dir: &Path,
    closed: Option<&ClosedManifests>,
) -> Result<Vec<VolumeFault>, VaultError> {
    let Some(closed) = closed else { return Ok(Vec::new()) };
    let (mut faults, mut days, mut read) = (Vec::new(), BTreeSet::new(), Ok(()));
    let mut one = |of: &ClosedCamera, day: Day| -> Result<(), VaultError> {
        let told = closed_day(of);
        let spans = told.destroyed.iter().map(|(span, ..)| *span).chain(told.gaps.iter().map(|(span, _)| *span));
        for span in spans {
            // The last moment of a stretch is of no day that begins with it.
            let last = Utc::from_micros(span.to().micros() - 1).day();
            days.extend((span.from().day().0..=last.0).map(|day| (of.camera, day)));
        }
        let Some(whole) =
            of.coverage.iter().map(|piece| piece.span).chain(of.gaps.iter().map(|gap| gap.span)).reduce(Span::hull)
        else {
            return Ok(());
        };
        let (destroyed, gaps) = catalog.closed(of.camera, whole)?;
        let is_whole = told.destroyed.iter().all(|piece| destroyed.contains(piece))
            && told.gaps.iter().all(|gap| gaps.contains(gap));
        if !is_whole {
            let camera = of.camera;
            let what = format!(
                "tells otherwise of camera {camera} on {day} than the ledger. Delete its folder, it is rebuilt at the next start"
            );
            faults.push(VolumeFault::new(dir, what));
        }
        Ok(())
    };
    closed
        .each(Day(0), |row| {
            for of in &row.cameras {
                if read.is_ok() {
                    read = one(of, row.day);
                }
            }
        })
        .map_err(unread)?;
    read?;
    let (known, wanted) = (catalog.count_closed()?, days.len() as u64);
    if known != wanted {
        let what = format!(
            "has {known} days of cameras, the ledger has {wanted}. Delete its folder, it is rebuilt at the next start"
        );
        faults.push(VolumeFault::new(dir, what));
    }
    Ok(faults)
}
