//! What the status says of the disk: what footage takes, what is needed, and the day on which it will not do.

use crate::config::{CameraSet, WhenFull};
use crate::domain::{CameraNumber, Retention, Utc};
use crate::retention::{Demand, Forecast, Fullness, forecast, share_of};
use crate::vault::{Rate, Vault, VolumeRoom, rates};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Less footage than this foretells nothing: no alarm is raised for a forecast before so much of a camera was measured.
const FORETELLS_AFTER: Duration = Duration::from_secs(3_600);

/// What footage takes of a volume, or of all, and what is foreseen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RoomLine {
    /// `None` where the disk does not tell.
    pub free_bytes: Option<u64>,
    pub rolling_bytes: u64,
    /// Footage that is held, apart from the rolling one.
    pub held_bytes: u64,
    /// Footage that is being erased.
    pub going_bytes: u64,
    /// For the whole periods of all cameras that were measured.
    pub needed_bytes: u64,
    /// What there is for footage, held footage included.
    pub there_bytes: u64,
    /// When it is full; `None` if it holds everything for good, or nothing was measured yet.
    pub full_at: Option<Utc>,
}

/// All volumes together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DiskLine {
    pub room: RoomLine,
    /// Cameras of which no footage was measured yet: they are not in it.
    pub unmeasured_cameras: u32,
    /// `erase-oldest` or `stop`.
    pub when_full: String,
    /// What was destroyed before its day of late.
    pub destroyed_early: u64,
    pub destroyed_early_bytes: u64,
}

/// Looks ahead.
#[derive(Clone, Debug)]
pub(super) struct Foresight {
    pub fullness: Arc<Fullness>,
    pub warn_ahead: Duration,
}

/// What it sees.
pub(super) struct Foreseen {
    /// In the order of the vault's volumes.
    pub volumes: Vec<RoomLine>,
    pub disk: DiskLine,
    pub alarms: Vec<String>,
}

impl RoomLine {
    fn of(rooms: &[VolumeRoom], demands: impl IntoIterator<Item = Demand>, kept_free: u64, now: Utc) -> Self {
        let demands: Vec<Demand> = demands.into_iter().collect();
        let sum = |of: fn(&VolumeRoom) -> u64| rooms.iter().map(of).sum::<u64>();
        let capacity: Option<u64> = rooms.iter().map(VolumeRoom::capacity_bytes).sum();
        let held_bytes = sum(VolumeRoom::apart_bytes);
        let there_bytes = capacity.unwrap_or(0).saturating_sub(kept_free);
        let Forecast { needed_bytes, full_at, .. } = forecast(&demands, there_bytes, held_bytes, now);
        Self {
            free_bytes: rooms.iter().map(|room| room.free_bytes).sum(),
            rolling_bytes: sum(VolumeRoom::rolling_bytes),
            held_bytes,
            going_bytes: sum(VolumeRoom::going_bytes),
            needed_bytes,
            there_bytes,
            full_at: full_at.filter(|_| capacity.is_some() && !demands.is_empty()),
        }
    }

    /// In a sentence; empty where nothing was measured.
    pub fn foreseen(&self) -> String {
        if self.needed_bytes == 0 {
            return String::new();
        }
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        let ahead = match self.full_at {
            Some(at) => format!("full on {}", at.day()),
            None => "it does not fill".to_owned(),
        };
        format!(
            "{:.1} GB needed for the whole periods, {:.1} GB there, {:.1} GB held; {ahead}",
            gigabytes(self.needed_bytes),
            gigabytes(self.there_bytes),
            gigabytes(self.held_bytes)
        )
    }
}

/// What each camera will want: those that are configured, at their measured rates; of others, what is there of them.
pub(super) fn demands(rooms: &[VolumeRoom], cameras: &CameraSet) -> BTreeMap<CameraNumber, Demand> {
    let rates = rates(rooms);
    let mut stored_bytes: BTreeMap<CameraNumber, u64> = BTreeMap::new();
    for (camera, bytes) in rooms.iter().flat_map(VolumeRoom::rolling_by_camera) {
        *stored_bytes.entry(camera).or_default() += bytes;
    }
    let stored = |camera: &CameraNumber| stored_bytes.get(camera).copied().unwrap_or(0);
    let known = cameras.iter().filter_map(|camera| {
        let (retention, rate) = (camera.retention, *rates.get(&camera.number)?);
        Some((camera.number, Demand { retention, rate, stored_bytes: stored(&camera.number) }))
    });
    let gone = stored_bytes.iter().filter(|(camera, _)| cameras.get(**camera).is_none()).map(|(camera, bytes)| {
        let rate = Rate { video_bytes: 0, disk_bytes: 0, over: FORETELLS_AFTER };
        (*camera, Demand { retention: Retention::Ceiling(Duration::ZERO), rate, stored_bytes: *bytes })
    });
    known.chain(gone).collect()
}

impl Foresight {
    pub fn look(&self, vault: &Vault, cameras: &CameraSet, now: Utc) -> Foreseen {
        let all = vault.room();
        let usable: Vec<VolumeRoom> = all.iter().filter(|room| !room.is_latched).cloned().collect();
        let demands = demands(&usable, cameras);
        let kept_free = self.fullness.wanted_bytes(&usable);
        let share = kept_free / usable.len().max(1) as u64;
        let of_one = |room: &VolumeRoom| {
            let of_it = if room.is_latched { BTreeMap::new() } else { share_of(room, &usable, &demands) };
            RoomLine::of(std::slice::from_ref(room), of_it.into_values(), share, now)
        };
        let room = RoomLine::of(&usable, demands.values().copied(), kept_free, now);
        let mut alarms = self.fullness.alarms();
        let is_measured =
            demands.values().any(|demand| demand.rate.disk_bytes > 0 && demand.rate.over >= FORETELLS_AFTER);
        if let Some(full_at) = room.full_at.filter(|at| is_measured && at.since(now) <= self.warn_ahead) {
            let lacking = room.needed_bytes.saturating_add(room.held_bytes).saturating_sub(room.there_bytes);
            alarms.push(format!(
                "the disk will be full on {}: {:.1} GB more are needed for the whole periods of all cameras. Add a disk, or \
                 shorten periods; `custodian plan` says what each camera takes",
                full_at.day(),
                lacking as f64 / 1e9
            ));
        }
        let (destroyed_early, destroyed_early_bytes) = self.fullness.early();
        let unmeasured = cameras.iter().filter(|camera| !demands.contains_key(&camera.number)).count();
        let disk = DiskLine {
            room,
            unmeasured_cameras: u32::try_from(unmeasured).unwrap_or(u32::MAX),
            when_full: match self.fullness.when_full() {
                WhenFull::EraseOldest => "erase-oldest".to_owned(),
                WhenFull::Stop => "stop".to_owned(),
            },
            destroyed_early,
            destroyed_early_bytes,
        };
        Foreseen { volumes: all.iter().map(of_one).collect(), disk, alarms }
    }
}
