//! Whether the disk holds the whole period of all cameras, and the day on which it will not. Pure: what it is given is told
//! by the manifests, and by the configuration.

use crate::domain::{CameraNumber, Retention, Utc};
use crate::vault::{Rate, VolumeRoom};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
/// Who looks further ahead than this is told that it never fills: every period is over by then.
const HOURS_AHEAD: u32 = 24 * 400;

/// What one camera will want of the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Demand {
    pub retention: Retention,
    pub rate: Rate,
    /// What is there of it.
    pub stored_bytes: u64,
}

impl Demand {
    /// What its whole period takes.
    pub fn period_bytes(&self) -> u64 {
        self.rate.disk_bytes_in(self.retention.period())
    }

    fn bytes_after(&self, time: Duration) -> u64 {
        // What is there already is of its period: it grows up to that, and then as much goes as comes.
        let most = self.period_bytes().max(self.stored_bytes);
        most.min(self.stored_bytes.saturating_add(self.rate.disk_bytes_in(time)))
    }
}

/// What is foreseen, for a volume or for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forecast {
    /// For the whole periods of all cameras.
    pub needed_bytes: u64,
    /// What there is for footage, held footage included.
    pub there_bytes: u64,
    pub held_bytes: u64,
    /// When it is full; `None` if it holds everything for good.
    pub full_at: Option<Utc>,
}

impl Forecast {
    pub fn is_enough(&self) -> bool {
        self.needed_bytes.saturating_add(self.held_bytes) <= self.there_bytes
    }
}

/// Looks ahead from `now`: `there_bytes` are for the footage of `demands` and what is held.
pub fn forecast(demands: &[Demand], there_bytes: u64, held_bytes: u64, now: Utc) -> Forecast {
    let needed_bytes = demands.iter().map(Demand::period_bytes).sum();
    let left = there_bytes.saturating_sub(held_bytes);
    let is_full = |hours: u32| demands.iter().map(|demand| demand.bytes_after(HOUR * hours)).sum::<u64>() > left;
    // It only grows: the first hour in which it is too much.
    let full_at = is_full(HOURS_AHEAD).then(|| {
        let (mut holds, mut full) = (0, HOURS_AHEAD);
        if is_full(0) {
            return now;
        }
        while holds + 1 < full {
            let middle = holds.midpoint(full);
            if is_full(middle) { full = middle } else { holds = middle }
        }
        now.saturating_add(HOUR * full)
    });
    Forecast { needed_bytes, there_bytes, held_bytes, full_at }
}

/// Of each camera's demand, the part that falls to one volume of all: as much as what it has recorded there lately.
pub fn share_of(
    volume: &VolumeRoom,
    all: &[VolumeRoom],
    demands: &BTreeMap<CameraNumber, Demand>,
) -> BTreeMap<CameraNumber, Demand> {
    let of_all = crate::vault::rates(all);
    let here = crate::vault::rates(std::slice::from_ref(volume));
    let stored = volume.rolling_by_camera();
    let part = |(camera, demand): (&CameraNumber, &Demand)| {
        let whole = of_all.get(camera).map_or(0, |rate| rate.disk_bytes);
        let own = here.get(camera).map_or(0, |rate| rate.disk_bytes.min(whole));
        let scale = |bytes: u64| match whole {
            0 => bytes / all.len().max(1) as u64,
            whole => u64::try_from(u128::from(bytes) * u128::from(own) / u128::from(whole)).unwrap_or(u64::MAX),
        };
        let rate = Rate {
            video_bytes: scale(demand.rate.video_bytes),
            disk_bytes: scale(demand.rate.disk_bytes),
            ..demand.rate
        };
        (*camera, Demand { rate, stored_bytes: stored.get(camera).copied().unwrap_or(0), ..*demand })
    };
    demands.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const GB: u64 = 1_000_000_000;
    const NOW: Utc = Utc::from_micros(1_795_341_600_000_000);

    /// A camera of so many GB a day.
    fn demand(gb_a_day: u64, days: u32, stored_gb: u64) -> Demand {
        let rate = Rate { video_bytes: gb_a_day * GB, disk_bytes: gb_a_day * GB, over: DAY };
        Demand { retention: Retention::Ceiling(DAY * days), rate, stored_bytes: stored_gb * GB }
    }

    #[test]
    fn a_disk_that_holds_all_periods_never_fills() {
        let told = forecast(&[demand(10, 30, 0), demand(20, 7, 0)], 440 * GB, 0, NOW);
        assert_eq!((told.needed_bytes, told.full_at, told.is_enough()), (440 * GB, None, true));
        let told = forecast(&[demand(10, 30, 0), demand(20, 7, 0)], 440 * GB, GB, NOW);
        assert!(!told.is_enough() && told.full_at.is_some(), "what is held takes room, too: {told:?}");
    }

    #[test]
    fn the_day_on_which_it_fills_is_the_right_one() {
        // 30 GB a day, and one of the two stops growing after a week.
        let demands = [demand(10, 30, 0), demand(20, 7, 0)];
        let full_after = |there: u64| {
            let at = forecast(&demands, there * GB, 0, NOW).full_at.unwrap();
            at.since(NOW).as_secs_f64() / 86_400.0
        };
        assert!((full_after(150) - 5.0).abs() < 0.05, "{}", full_after(150));
        assert!((full_after(240) - 10.0).abs() < 0.2, "140 of the one, 100 of the other: {}", full_after(240));
        let told = forecast(&[demand(10, 30, 100)], 150 * GB, 0, NOW).full_at.unwrap();
        assert!((told.since(NOW).as_secs_f64() / 86_400.0 - 5.0).abs() < 0.1, "{told}");
        assert_eq!(forecast(&[demand(10, 30, 100)], 50 * GB, 0, NOW).full_at, Some(NOW), "it is full already");
        assert_eq!(forecast(&[], 0, 0, NOW).full_at, None, "nothing wants room");
    }

    proptest! {
        #[test]
        fn it_fills_exactly_where_it_is_not_enough(
            cameras in prop::collection::vec((1_u64..50, 1_u32..60, 0_u64..500), 1..6), there in 0_u64..20_000, held in 0_u64..500,
        ) {
            let demands: Vec<Demand> = cameras.iter().map(|(rate, days, stored)| {
                let whole = rate * u64::from(*days);
                demand(*rate, *days, (*stored).min(whole))
            }).collect();
            let told = forecast(&demands, there * GB, held * GB, NOW);
            // By a rounding of the rates.
            let is_close = told.needed_bytes.abs_diff(there.saturating_sub(held) * GB) < 100;
            prop_assert!(is_close || told.is_enough() == told.full_at.is_none(), "{:?}", told);
        }
    }
}
