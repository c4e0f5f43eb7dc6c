//! The index over the manifests: kept up with them, rebuilt beside the work, and done without where it cannot answer.
//!
//! It stands for the manifests only while [`IndexState::Current`]. In every other state questions are answered from the
//! manifests themselves, more slowly and the same.

use super::footage::entry;
use super::manifests::ManifestFile;
use super::table::Life;
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError};
use crate::catalog::{Catalog, CatalogEntry, CatalogError, ClosedDay, ClosedPieces};
use crate::domain::{CameraNumber, Day, GapCause, SegmentId, Span, Utc, VolumeId};
use crate::ledger::{ClosedCamera, ManifestClosed};
use std::collections::{BTreeMap, HashSet};
use std::sync::PoisonError;
use std::time::Duration;

/// How far before a span a segment can begin that reaches into it.
const LONGEST_SEGMENT: Duration = Duration::from_secs(3_600);

/// How far the index can be relied on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IndexState {
    /// It stands for other manifests, or for none. It takes no entries.
    Stale,
    /// It is being rebuilt, and takes entries.
    Filling,
    Current,
    /// It missed an entry. It is rebuilt at the next start.
    Failed,
}

impl Vault {
    pub(super) fn index_state(&self) -> IndexState {
        *self.index_state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_index_state(&self, state: IndexState) {
        *self.index_state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// Whether questions are answered from the index.
    pub fn index_is_current(&self) -> bool {
        self.index_state() == IndexState::Current
    }

    /// Whether it waits to be made, or is: until then a manifest may be read that is not in memory.
    pub(super) fn index_is_being_made(&self) -> bool {
        matches!(self.index_state(), IndexState::Stale | IndexState::Filling)
    }

    /// Whether it is to be rebuilt by [`Vault::catch_up`].
    pub fn index_waits(&self) -> bool {
        self.index_state() == IndexState::Stale
    }

    /// Recording and erasing never wait for the index: what it misses is told, and made good at the next start.
    pub(super) fn indexed(&self, put: impl FnOnce(&Catalog) -> Result<(), CatalogError>) {
        if matches!(self.index_state(), IndexState::Filling | IndexState::Current)
            && let Err(e) = put(&self.catalog)
        {
            self.index_failed(&e);
        }
    }

    /// Much of it stands in another hour now: it is rebuilt by [`Vault::catch_up`], and until then the manifests answer.
    pub(super) fn index_is_outdated(&self) {
        if self.index_state() != IndexState::Failed {
            self.set_index_state(IndexState::Stale);
        }
    }

    fn index_failed(&self, error: &CatalogError) {
        tracing::error!(error = %error, "the index failed: questions are answered from the manifests until a restart");
        self.set_index_state(IndexState::Failed);
    }

    /// Segments of a camera that reach into a span, by start.
    pub(super) fn entries(&self, camera: CameraNumber, span: Span) -> Result<Vec<CatalogEntry>, VaultError> {
        if self.index_is_current() {
            match self.catalog.segments(camera, span) {
                Ok(found) => return Ok(found),
                Err(e) => self.index_failed(&e),
            }
        }
        let mut found = Vec::new();
        let (from, to) = (span.from().saturating_sub(LONGEST_SEGMENT).day(), span.to().day());
        for volume in &self.volumes {
            let mut state = volume.lock();
            let reach = |(key, manifest): (&ManifestKey, &ManifestFile)| {
                let (earlier, later) = manifest.sum().moves_shown();
                let first = key.0.start().plus_micros(earlier).day();
                let last = key.0.end().plus_micros(later.saturating_sub(1)).day();
                (from <= last && first <= to).then_some(*key)
            };
            let keys: Vec<ManifestKey> = state.manifests.iter().filter_map(reach).collect();
            for key in keys {
                let Some(manifest) = state.loaded(key)? else { continue };
                let (retention, Some(table)) = (manifest.header.retention, manifest.table()) else { continue };
                let rows = table.rows.iter().filter(|(_, row)| row.camera == camera);
                let entries = rows.map(|(segment, row)| entry(volume.id, retention, table, *segment, row));
                found.extend(entries.filter(|entry| entry.reaches_into(span)));
            }
            for manifest in &mut state.carried {
                let entries = destroyed_in(volume.id, manifest)?.into_iter();
                let of_camera = entries.filter(|(of, entry)| *of == camera && entry.reaches_into(span));
                found.extend(of_camera.map(|(_, entry)| entry));
            }
        }
        found.sort_by_key(|entry| entry.start);
        Ok(found)
    }

    /// Recorded gaps of a camera that reach into a span, by start.
    pub(super) fn gaps(&self, camera: CameraNumber, span: Span) -> Result<Vec<(Span, GapCause)>, VaultError> {
        if self.index_is_current() {
            match self.catalog.gaps(camera, span) {
                Ok(found) => return Ok(found),
                Err(e) => self.index_failed(&e),
            }
        }
        let mut found = Vec::new();
        for volume in &self.volumes {
            let mut state = volume.lock();
            // A gap stands in the manifest of the day on which it ended.
            let with_gaps = state.manifests.iter().filter(|(key, manifest)| {
                let (earlier, later) = manifest.sum().moves_shown();
                let begins = |from: Utc| from.plus_micros(earlier) < span.to();
                key.0.end().plus_micros(later) > span.from() && manifest.sum().gaps_from.is_some_and(begins)
            });
            let keys: Vec<ManifestKey> = with_gaps.map(|(key, _)| *key).collect();
            for key in keys {
                let Some(manifest) = state.loaded(key)? else { continue };
                let Some(table) = manifest.table() else { continue };
                let gaps = table.gaps().filter(|(of, gap, _)| *of == camera && gap.overlaps(span));
                found.extend(gaps.map(|(_, gap, cause)| (gap, cause)));
            }
            for manifest in &mut state.carried {
                let gaps = manifest.load()?.gaps().filter(|(of, gap, _)| *of == camera && gap.overlaps(span));
                found.extend(gaps.map(|(_, gap, cause)| (gap, cause)));
            }
        }
        found.sort_by_key(|(gap, _)| gap.from());
        found.dedup();
        Ok(found)
    }

    /// What closed manifests told of a camera in a span, from the index, or from the ledger's rows.
    pub(super) fn closed_pieces(&self, camera: CameraNumber, span: Span) -> Result<ClosedPieces, VaultError> {
        if self.index_is_current() {
            match self.catalog.closed(camera, span) {
                Ok(found) => return Ok(found),
                Err(e) => self.index_failed(&e),
            }
        }
        let (mut destroyed, mut gaps) = (Vec::new(), Vec::new());
        self.each_closed(span.from().saturating_sub(LONGEST_SEGMENT).day(), |closed| {
            for of in closed.cameras.iter().filter(|of| of.camera == camera) {
                let day = closed_day(of);
                destroyed.extend(day.destroyed.into_iter().filter(|(piece, ..)| piece.overlaps(span)));
                gaps.extend(day.gaps.into_iter().filter(|(piece, _)| piece.overlaps(span)));
            }
        })?;
        Ok((destroyed, gaps))
    }

    /// Whether a closed manifest told of a camera.
    pub(super) fn had_camera(&self, camera: CameraNumber) -> bool {
        if self.index_is_current() {
            match self.catalog.has_closed(camera) {
                Ok(told) => return told,
                Err(e) => self.index_failed(&e),
            }
        }
        let mut told = false;
        let read = self.each_closed(Day(0), |closed| told |= closed.cameras.iter().any(|of| of.camera == camera));
        if let Err(e) = read {
            tracing::error!(error = %e, "whether there ever was such a camera cannot be told");
        }
        told
    }

    fn each_closed(&self, since: Day, each: impl FnMut(ManifestClosed)) -> Result<(), VaultError> {
        let Some(closed) = self.volumes.iter().find_map(|volume| volume.closed.as_ref()) else { return Ok(()) };
        let unread = |source| VaultError::Disk { what: "the ledger's rows of closed manifests".to_owned(), source };
        closed.each(since, each).map_err(unread)
    }

    /// Puts what a closed manifest told in the place of its segments and gaps.
    pub(super) fn index_closed(&self, closed: &ManifestClosed, segments: &HashSet<SegmentId>) {
        self.indexed(|catalog| {
            for of in &closed.cameras {
                let day = closed_day(of);
                let spans = of.coverage.iter().map(|piece| piece.span).chain(of.gaps.iter().map(|gap| gap.span));
                if let Some(whole) = spans.reduce(Span::hull) {
                    catalog.forget(of.camera, whole, segments, &day.gaps)?;
                }
                catalog.put_closed(of.camera, &day)?;
            }
            Ok(())
        });
    }

    /// What an unclean stop, or the end of a doubt about the time, leaves to be done beside the work: directories that were
    /// not looked through yet, and the index, from the manifests. Blocks; ends early when `is_stopped` says so.
    ///
    /// # Errors
    /// The first manifest that could not be read. The others are taken in, and the index is not relied on.
    pub fn catch_up(&self, is_stopped: &dyn Fn() -> bool) -> Result<(), VaultError> {
        // Somebody is at it.
        let Ok(_turn) = self.catching_up.try_lock() else { return Ok(()) };
        let mut told = Ok(());
        for volume in &self.volumes {
            let unsurveyed = volume.lock().unsurveyed.clone();
            if unsurveyed.is_empty() {
                continue;
            }
            let tables = volume.read_commit_tables()?;
            for key in unsurveyed {
                if is_stopped() {
                    return told;
                }
                told = told.and(volume.survey(key, &tables));
            }
        }
        if self.index_state() != IndexState::Stale {
            return told;
        }
        tracing::info!("the index is rebuilt from manifests and ledger; until then they answer themselves");
        self.set_index_state(IndexState::Filling);
        let told = told.and(self.fill_index(is_stopped));
        if !is_stopped() && self.index_state() == IndexState::Filling {
            match &told {
                Ok(()) => {
                    self.set_index_state(IndexState::Current);
                    tracing::info!("the index is current");
                }
                // Said by whoever asked for it.
                Err(_) => self.set_index_state(IndexState::Failed),
            }
        }
        told
    }

    fn fill_index(&self, is_stopped: &dyn Fn() -> bool) -> Result<(), VaultError> {
        self.catalog.clear()?;
        let mut told = Ok(());
        for volume in &self.volumes {
            let keys: Vec<ManifestKey> = volume.lock().manifests.keys().copied().collect();
            for key in keys {
                if is_stopped() {
                    return told;
                }
                told = told.and(self.index_manifest(volume, key));
            }
        }
        told = told.and(self.index_carried());
        told.and(self.index_closed_rows())
    }

    /// Of manifests that wait for their end, what was destroyed: what is held stands in their hold manifests.
    fn index_carried(&self) -> Result<(), VaultError> {
        for volume in &self.volumes {
            let mut state = volume.lock();
            for manifest in &mut state.carried {
                for (camera, entry) in destroyed_in(volume.id(), manifest)? {
                    self.catalog.put(camera, entry)?;
                }
                for (camera, span, cause) in manifest.table().into_iter().flat_map(|table| table.gaps()) {
                    self.catalog.put_gap(camera, span, cause)?;
                }
            }
        }
        Ok(())
    }

    fn index_closed_rows(&self) -> Result<(), VaultError> {
        let mut told = Ok(());
        self.each_closed(Day(0), |closed| {
            for of in &closed.cameras {
                if told.is_ok() {
                    told = self.catalog.put_closed(of.camera, &closed_day(of));
                }
            }
        })?;
        Ok(told?)
    }

    /// Puts all of a manifest into the index. Its lock is held only while that is done, not while it is read.
    fn index_manifest(&self, volume: &Volume, key: ManifestKey) -> Result<(), VaultError> {
        let read_ahead = volume.read_ahead(key)?;
        let mut state = volume.lock();
        if let Some(read_ahead) = read_ahead {
            state.take_table(key, read_ahead)?;
        }
        let Some(manifest) = state.loaded(key)? else { return Ok(()) };
        let (retention, Some(table)) = (manifest.header.retention, manifest.table()) else { return Ok(()) };
        let mut by_camera: BTreeMap<CameraNumber, Vec<CatalogEntry>> = BTreeMap::new();
        for (segment, row) in &table.rows {
            by_camera.entry(row.camera).or_default().push(entry(volume.id, retention, table, *segment, row));
        }
        for (camera, entries) in by_camera {
            self.catalog.put_all(camera, entries)?;
        }
        for (camera, span, cause) in table.gaps() {
            self.catalog.put_gap(camera, span, cause)?;
        }
        Ok(())
    }
}

/// What was destroyed of a manifest.
fn destroyed_in(
    volume: VolumeId,
    manifest: &mut ManifestFile,
) -> Result<Vec<(CameraNumber, CatalogEntry)>, VaultError> {
    let retention = manifest.header.retention;
    let table = manifest.load()?;
    let rows = table.rows.iter().filter(|(_, row)| matches!(row.life, Life::Erased { .. }));
    Ok(rows.map(|(segment, row)| (row.camera, entry(volume, retention, table, *segment, row))).collect())
}

/// What a closing row tells of a camera, as the index keeps it. What is held is told by its hold manifest.
pub(super) fn closed_day(of: &ClosedCamera) -> ClosedDay {
    let destroyed =
        of.coverage.iter().filter_map(|piece| Some((piece.span, piece.destroyed?, piece.trigger?, piece.in_doubt)));
    let gaps = of.gaps.iter().map(|gap| (gap.span, gap.cause));
    ClosedDay { destroyed: destroyed.collect(), gaps: gaps.collect() }
}
