//! Each night, and some minutes after a start: whether anything is older than it may be.

use super::status::StatusDesk;
use crate::access::Access;
use crate::clock::Clock;
use crate::config::Site;
use crate::disk::SharedDisk;
use crate::domain::{SiteId, Utc};
use crate::vault::{AgeLook, AgeReport, Holds, TrustedClock, VaultError, inspect_age, inspect_state_age};
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// In the site's own time.
const HOUR: i8 = 3;
/// The first check comes so long after a start, and then the hour is looked at as often.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// Between two manifests: a day of 97 cameras takes about as long to be read.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two looks at what seems to be older.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What is walked over.
#[derive(Clone, Debug)]
pub(super) struct AgeWatch {
    pub disk: SharedDisk,
    pub site: SiteId,
    pub volumes: Vec<PathBuf>,
    pub state: PathBuf,
    pub time: Arc<TrustedClock>,
    pub holds: Arc<Mutex<Holds>>,
    pub access: Arc<Access>,
}

impl AgeWatch {
    pub fn new(
        site: &Site,
        disk: &SharedDisk,
        id: SiteId,
        time: &Arc<TrustedClock>,
        holds: &Arc<Mutex<Holds>>,
        access: &Arc<Access>,
    ) -> Self {
        Self {
            disk: SharedDisk::clone(disk),
            site: id,
            volumes: site.volumes.iter().map(|place| place.path.clone()).collect(),
            state: super::state_dir(site),
            time: Arc::clone(time),
            holds: Arc::clone(holds),
            access: Arc::clone(access),
        }
    }

    /// Walks over everything. Blocks; `goes_on` is asked between manifests.
    ///
    /// # Errors
    /// A volume that cannot be read: the question is open then.
    pub fn check(&self, goes_on: &dyn Fn() -> bool, wait: &dyn Fn()) -> Result<AgeReport, VaultError> {
        let now = self.time.trusted();
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner).list().to_vec();
        let look = AgeLook { disk: &self.disk, site: self.site, now, holds: &holds, deep: false, goes_on, wait };
        let mut report = AgeReport::new(now, false);
        for dir in &self.volumes {
            report = report.with(inspect_age(dir, &look)?);
        }
        let (strays, papers) = (|| self.access.stray_grants(), || self.access.old_papers());
        Ok(report.with(inspect_state_age(&self.state, &strays, &papers, &look)?))
    }
}

/// The last time before `now` that the site's clocks showed the hour.
fn newest_night(now: Utc, zone: &TimeZone) -> Option<Utc> {
    let here = jiff::Timestamp::from_microsecond(now.micros()).ok()?.to_zoned(zone.clone());
    let of_day = |day: jiff::civil::Date| day.at(HOUR, 0, 0, 0).to_zoned(zone.clone()).ok();
    let today = of_day(here.date())?;
    let newest = if today <= here { today } else { of_day(here.date().yesterday().ok()?)? };
    Some(Utc::from_micros(newest.timestamp().as_microsecond()))
}

/// Checks until `stop`, and tells the status how it went.
pub(super) async fn watch(watch: AgeWatch, zone: TimeZone, desk: StatusDesk, clock: Clock, stop: CancellationToken) {
    let mut checked: Option<Utc> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(LOOK_EVERY) => {}
        }
        let now = clock.wall();
        let is_due = |checked: Utc| newest_night(now, &zone).is_some_and(|night| checked < night) || checked > now;
        if checked.is_some_and(|checked| !is_due(checked)) {
            continue;
        }
        checked = Some(now);
        let (walking, pausing, stopped) = (watch.clone(), clock.clone(), stop.clone());
        let runtime = tokio::runtime::Handle::current();
        let walk = move || {
            let goes_on = || {
                runtime.block_on(pausing.sleep(PAUSE));
                !stopped.is_cancelled()
            };
            walking.check(&goes_on, &|| runtime.block_on(pausing.sleep(LOOK_AGAIN_AFTER)))
        };
        let told = match tokio::task::spawn_blocking(walk).await {
            Ok(Err(VaultError::BrokenOff)) => return,
            Ok(told) => told.map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        match &told {
            Ok(report) if report.nothing_older => {
                tracing::info!(manifests = report.manifests, "nothing is older than it may be")
            }
            Ok(report) => tracing::error!(older = report.older_count, first = ?report.older.first(),
                "NOT all is gone that must be; see `custodian verify --nothing-older`"),
            Err(e) => tracing::error!(error = %e, "whether anything is older than it may be could not be checked"),
        }
        desk.note_age(told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_night_is_the_sites_own() {
        let seoul = TimeZone::get("Asia/Seoul").unwrap();
        let at = |text: &str| text.parse::<Utc>().unwrap();
        let night = |now: &str, zone: &TimeZone| newest_night(at(now), zone).unwrap();
        assert_eq!(night("2026-11-26T18:00:00Z", &seoul), at("2026-11-26T18:00:00Z"));
        assert_eq!(night("2026-11-26T17:59:59Z", &seoul), at("2026-11-25T18:00:00Z"));
        // The hour that is left out in spring, and the one that comes twice in autumn.
        let paris = TimeZone::get("Europe/Paris").unwrap();
        assert_eq!(night("2026-03-29T12:00:00Z", &paris), at("2026-03-29T01:00:00Z"));
        assert_eq!(night("2026-10-25T12:00:00Z", &paris), at("2026-10-25T02:00:00Z"));
    }
}
