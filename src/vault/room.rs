//! How much room there is, how quickly footage takes it, and what could go first. Told from the manifests' sums, so that it
//! costs nothing to ask, and is known after a restart and without the daemon.

use super::footage::{LiveSegment, live_of_row};
use super::holds::Holds;
use super::manifests::{self, ManifestFile, file_name};
use super::summary;
use super::table::{Life, Stored};
use super::volume::{ManifestKey, Volume};
use super::{Vault, VaultError};
use crate::disk::SharedDisk;
use crate::domain::{CameraNumber, Day, Retention, SiteId, Utc, VolumeId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Left free on each volume: to erase is to append to manifests first, and a disk that is full to the last block could
/// never be emptied again. Segments begin above it, and grow above half of it.
pub const VOLUME_RESERVE_BYTES: u64 = 16 << 20;
/// A camera's rate is measured over the newest days that it recorded in.
const MEASURED_DAYS: usize = 2;
/// Less footage than this says nothing of a rate.
const LEAST_MEASURED: Duration = Duration::from_secs(5);

/// What stands on one volume.
#[derive(Clone, Debug)]
pub struct VolumeRoom {
    pub volume: VolumeId,
    pub dir: PathBuf,
    /// `None` where the disk does not tell: neither endless nor none.
    pub free_bytes: Option<u64>,
    pub is_latched: bool,
    /// Reserved for segments that are being written.
    pub open_bytes: u64,
    days: BTreeMap<Day, BTreeMap<CameraNumber, Stored>>,
}

/// How quickly a camera's footage comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Sealed footage, as the camera sends it.
    pub video_bytes: u64,
    /// What the disk gives for it: files are reserved a little larger than they become.
    pub disk_bytes: u64,
    /// The footage that was measured.
    pub over: Duration,
}

impl Rate {
    /// What a rate of so many Mbit/s takes of the disk.
    pub fn assumed(mbit_per_s: f64) -> Self {
        let over = Duration::from_secs(1_000);
        let video_bytes = (mbit_per_s * 1e9 / 8.0) as u64;
        Self { video_bytes, disk_bytes: video_bytes + video_bytes / 8, over }
    }

    pub fn mbit_per_s(&self) -> f64 {
        self.video_bytes as f64 * 8.0 / 1e6 / self.over.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// What the disk gives over a time.
    pub fn disk_bytes_in(&self, time: Duration) -> u64 {
        let over = self.over.as_micros().max(1);
        u64::try_from(u128::from(self.disk_bytes) * time.as_micros() / over).unwrap_or(u64::MAX)
    }
}

impl VolumeRoom {
    fn stored(&self) -> impl Iterator<Item = (&CameraNumber, &Stored)> {
        self.days.values().flatten()
    }

    /// Footage that is there with the rolling one.
    pub fn rolling_bytes(&self) -> u64 {
        self.stored().map(|(_, stored)| stored.rolling_bytes).sum()
    }

    /// Footage that stands apart: it is held.
    pub fn apart_bytes(&self) -> u64 {
        self.stored().map(|(_, stored)| stored.apart_bytes).sum()
    }

    /// Footage without a key, or condemned: its room will be free.
    pub fn going_bytes(&self) -> u64 {
        self.stored().map(|(_, stored)| stored.going_bytes).sum()
    }

    /// All that was ever recorded here and is known of.
    pub fn recorded_bytes(&self) -> u64 {
        self.open_bytes + self.stored().map(|(_, stored)| stored.reserved_bytes).sum::<u64>()
    }

    /// What there is for footage: what it has already, and what is free above the reserve. `None` where the disk does not
    /// tell.
    pub fn capacity_bytes(&self) -> Option<u64> {
        let free = self.free_bytes?.saturating_sub(VOLUME_RESERVE_BYTES);
        Some(free + self.open_bytes + self.rolling_bytes() + self.apart_bytes() + self.going_bytes())
    }

    /// What each camera has here with the rolling footage.
    pub fn rolling_by_camera(&self) -> BTreeMap<CameraNumber, u64> {
        let mut by_camera = BTreeMap::new();
        for (camera, stored) in self.stored() {
            *by_camera.entry(*camera).or_default() += stored.rolling_bytes;
        }
        by_camera
    }

    /// A volume as it lies there, running or not. Manifests that were not changed since they were summed up are not read.
    ///
    /// # Errors
    /// [`VaultError::NoVolume`], [`VaultError::OtherSite`]; a manifest that cannot be read.
    pub fn at_rest(disk: &SharedDisk, dir: &Path, site: SiteId) -> Result<Self, VaultError> {
        let volume = Volume::identify(disk, dir, site)?;
        let summary = summary::read_at_rest(disk, dir).unwrap_or_default();
        let mut room = Self {
            volume,
            dir: dir.to_path_buf(),
            free_bytes: disk.free_bytes(dir).ok(),
            is_latched: false,
            open_bytes: 0,
            days: BTreeMap::new(),
        };
        for path in manifests::list(disk, &dir.join("manifests"))? {
            let known = summary.manifests.get(&file_name(&path));
            let (day, stored) = match known.map(|known| manifests::unchanged(disk, &path, known)).transpose()?.flatten()
            {
                Some((day, sum)) => (day, sum.stored),
                None => {
                    let manifest = ManifestFile::read(disk, &path, false)?.manifest;
                    (manifest.header.day, manifest.sum().stored.clone())
                }
            };
            room.add(day, &stored);
        }
        Ok(room)
    }

    fn add(&mut self, day: Day, more: &BTreeMap<CameraNumber, Stored>) {
        let of_day = self.days.entry(day).or_default();
        for (camera, stored) in more {
            let known = of_day.entry(*camera).or_default();
            known.sealed_bytes += stored.sealed_bytes;
            known.reserved_bytes += stored.reserved_bytes;
            known.sealed_micros += stored.sealed_micros;
            known.rolling_bytes += stored.rolling_bytes;
            known.apart_bytes += stored.apart_bytes;
            known.going_bytes += stored.going_bytes;
        }
    }
}

/// How quickly each camera's footage comes, over all volumes, from the newest days that it recorded in.
pub fn rates(volumes: &[VolumeRoom]) -> BTreeMap<CameraNumber, Rate> {
    let mut by_camera: BTreeMap<CameraNumber, BTreeMap<Day, Stored>> = BTreeMap::new();
    for (day, stored) in volumes.iter().flat_map(|volume| &volume.days) {
        for (camera, stored) in stored.iter().filter(|(_, stored)| stored.sealed_micros > 0) {
            let known = by_camera.entry(*camera).or_default().entry(*day).or_default();
            known.sealed_bytes += stored.sealed_bytes;
            known.reserved_bytes += stored.reserved_bytes;
            known.sealed_micros += stored.sealed_micros;
        }
    }
    let rate = |days: BTreeMap<Day, Stored>| {
        let (mut video_bytes, mut disk_bytes, mut micros) = (0, 0, 0);
        for stored in days.values().rev().take(MEASURED_DAYS) {
            video_bytes += stored.sealed_bytes;
            disk_bytes += stored.reserved_bytes;
            micros += stored.sealed_micros;
        }
        let over = Duration::from_micros(micros);
        (over >= LEAST_MEASURED).then_some(Rate { video_bytes, disk_bytes, over })
    };
    by_camera.into_iter().filter_map(|(camera, days)| Some((camera, rate(days)?))).collect()
}

/// The oldest footage that may go, and how much room that makes.
#[derive(Clone, Debug, Default)]
pub struct Oldest {
    pub segments: Vec<LiveSegment>,
    pub bytes: u64,
    /// What is due anyway makes so much room besides.
    pub due_bytes: u64,
}

impl Vault {
    /// What stands on each volume.
    pub fn room(&self) -> Vec<VolumeRoom> {
        self.volumes.iter().map(Volume::room).collect()
    }

    /// The oldest footage over all cameras that nothing holds and no floor keeps at `now`, until it makes room for
    /// `wanted_bytes`, on volumes in use. What is due at `now` makes room by itself, and counts.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn oldest(&self, holds: &Holds, now: Utc, wanted_bytes: u64) -> Result<Oldest, VaultError> {
        let mut by_day: BTreeMap<Day, Vec<(&Volume, ManifestKey)>> = BTreeMap::new();
        for volume in self.volumes.iter().filter(|volume| !volume.is_latched()) {
            for (key, manifest) in &volume.lock().manifests {
                let is_kept = matches!(manifest.header.retention, Retention::Floor(_));
                if !is_kept && manifest.sum().rolling_keyed() > manifest.sum().condemned {
                    by_day.entry(key.0).or_default().push((volume, *key));
                }
            }
        }
        let mut oldest = Oldest::default();
        for manifests in by_day.into_values() {
            let mut of_day: Vec<(LiveSegment, u64)> = Vec::new();
            for (volume, key) in manifests {
                of_day.extend(volume.rolling(key)?);
            }
            of_day.sort_by_key(|(live, _)| live.span.from());
            for (live, bytes) in of_day {
                if oldest.bytes + oldest.due_bytes >= wanted_bytes {
                    return Ok(oldest);
                }
                if live.expires <= now {
                    oldest.due_bytes += bytes;
                } else if !holds.covers(live.camera, live.span) {
                    oldest.bytes += bytes;
                    oldest.segments.push(live);
                }
            }
        }
        Ok(oldest)
    }
}

impl Volume {
    fn room(&self) -> VolumeRoom {
        let free_bytes = self.free_bytes().ok();
        let state = self.lock();
        let open = state.open.values().filter(|open| open.recorded_at.is_none());
        let mut room = VolumeRoom {
            volume: self.id,
            dir: self.dir.clone(),
            free_bytes,
            is_latched: self.is_latched(),
            open_bytes: open.map(|open| open.allocated_bytes).sum(),
            days: BTreeMap::new(),
        };
        for (key, manifest) in &state.manifests {
            room.add(key.0, &manifest.sum().stored);
        }
        room
    }

    /// The sealed segments of a manifest that stand with the rolling footage, and what is reserved for each.
    fn rolling(&self, key: ManifestKey) -> Result<Vec<(LiveSegment, u64)>, VaultError> {
        let read_ahead = self.read_ahead(key)?;
        let mut state = self.lock();
        if let Some(read_ahead) = read_ahead {
            state.take_table(key, read_ahead)?;
        }
        let Some(manifest) = state.loaded(key)? else { return Ok(Vec::new()) };
        let retention = manifest.header.retention;
        let Some(table) = manifest.table() else { return Ok(Vec::new()) };
        let rolling = table.rows.iter().filter(|(_, row)| row.life == Life::Sealed && !row.is_apart);
        let told = rolling.filter_map(|(segment, row)| {
            Some((live_of_row(self.id, key, retention, table, *segment, row)?, row.reserved_bytes()))
        });
        Ok(told.collect())
    }
}
