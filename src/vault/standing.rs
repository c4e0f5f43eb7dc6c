//! The manifests of a volume that stand there: their tables in memory, hold manifests, and those that wait for their end.

use super::VaultError;
use super::manifests::{ManifestFile, TableSoFar};
use super::table::SegmentRow;
use super::volume::{ManifestKey, VolumeState, key_of};
use crate::domain::{Day, SegmentId};
use std::collections::BTreeSet;

/// So many segments of all manifests have their rows in memory: today's, the day that comes to its end just now, and, after
/// an outage, one whose blocks are overwritten; 97 cameras each. A row is about 90 bytes.
const ROWS_RESIDENT_LIMIT: usize = 450_000;

impl VolumeState {
    /// A manifest with its table in memory; `None` for one that is not there.
    pub fn loaded(&mut self, key: ManifestKey) -> Result<Option<&mut ManifestFile>, VaultError> {
        match self.manifests.get_mut(&key) {
            None => return Ok(None),
            Some(manifest) => manifest.load().map(drop)?,
        }
        self.make_room_for(key);
        Ok(self.manifests.get_mut(&key))
    }

    /// Takes a table over that was read without this lock.
    pub fn take_table(&mut self, key: ManifestKey, so_far: TableSoFar) -> Result<(), VaultError> {
        if let Some(manifest) = self.manifests.get_mut(&key) {
            manifest.load_from(so_far)?;
            self.make_room_for(key);
        }
        Ok(())
    }

    /// Lets the tables go that were not wanted for the longest.
    fn make_room_for(&mut self, key: ManifestKey) {
        if self.resident.last() == Some(&key) {
            return;
        }
        self.resident.retain(|known| *known != key);
        self.resident.push(key);
        let rows = |state: &Self, key: &ManifestKey| {
            state.manifests.get(key).and_then(ManifestFile::table).map_or(0, |table| table.rows.len())
        };
        let mut resident_rows: usize = self.resident.iter().map(|key| rows(self, key)).sum();
        while resident_rows > ROWS_RESIDENT_LIMIT && self.resident.len() > 1 {
            let unwanted = self.resident.remove(0);
            resident_rows -= rows(self, &unwanted);
            if let Some(manifest) = self.manifests.get_mut(&unwanted) {
                manifest.unload();
            }
        }
    }
}

impl VolumeState {
    /// Keys of the manifests of a day, one a retention.
    pub fn keys_of_day(&self, day: Day) -> Vec<ManifestKey> {
        self.manifests.range((day, false, 0, 0)..=(day, true, u64::MAX, u32::MAX)).map(|(key, _)| *key).collect()
    }

    /// All manifests that stand there, with those that wait for their end.
    pub fn standing(&self) -> impl Iterator<Item = &ManifestFile> {
        self.manifests.values().chain(&self.carried)
    }

    /// What a manifest that stands there says of a segment; `None` where there is no such manifest.
    pub fn row_in(&mut self, name: &str, segment: SegmentId) -> Result<Option<Option<SegmentRow>>, VaultError> {
        let key = self.manifests.iter().find(|(_, manifest)| manifest.name() == name).map(|(key, _)| *key);
        if let Some(key) = key {
            return Ok(self.loaded(key)?.map(|manifest| manifest.row(segment).copied()));
        }
        let carried = self.carried.iter_mut().find(|manifest| manifest.name() == name);
        carried.map(|manifest| Ok(manifest.load()?.rows.get(&segment).copied())).transpose()
    }

    /// Sets those aside that a hold manifest has taken over. `twins` were pushed out of their place by another one.
    ///
    /// # Errors
    /// The name of a manifest that stands there besides another of its kind.
    pub fn set_carried_aside(&mut self, twins: Vec<ManifestFile>) -> Result<(), String> {
        let all = self.manifests.values().chain(&twins);
        let taken_over: BTreeSet<String> =
            all.filter_map(|manifest| Some(format!("{:016x}", manifest.header.carries_on?.manifest))).collect();
        let is_over = |manifest: &ManifestFile| taken_over.contains(manifest.name());
        for twin in twins {
            if is_over(&twin) {
                self.carried.push(twin);
                continue;
            }
            // The one that took its place may be the one to go.
            match self.manifests.insert(key_of(&twin.header), twin) {
                Some(other) if is_over(&other) => self.carried.push(other),
                Some(other) => return Err(other.name().to_owned()),
                None => {}
            }
        }
        let over = self.manifests.iter().filter(|(_, manifest)| is_over(manifest));
        for key in over.map(|(key, _)| *key).collect::<Vec<_>>() {
            let manifest = self.take_manifest(key);
            self.carried.extend(manifest);
        }
        Ok(())
    }

    /// Lets a manifest go, and its table.
    pub fn take_manifest(&mut self, key: ManifestKey) -> Option<ManifestFile> {
        self.resident.retain(|known| *known != key);
        self.unsurveyed.remove(&key);
        self.manifests.remove(&key)
    }

    /// The manifest that a segment stands in that was opened in the manifest `first`: a hold manifest, once it was carried
    /// there.
    pub fn key_of_segment(&self, segment: SegmentId, first: ManifestKey) -> ManifestKey {
        let (day, is_floor, period_s, _) = first;
        let mut of_holds = self.manifests.range((day, is_floor, period_s, 1)..=(day, is_floor, period_s, u32::MAX));
        let found = of_holds.find(|(_, manifest)| manifest.sum().apart.contains_key(&segment));
        found.map_or(first, |(key, _)| *key)
    }
}
