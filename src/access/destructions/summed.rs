//! Days of destruction in the sum of a month of the ledger: what the receipts add up to, so that a start need not read them.

use super::{DayTally, Destructions};
use crate::domain::LocalDay;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Days as they stand in a month's sum.
#[derive(Serialize, Deserialize)]
struct SummedDays {
    zone: String,
    days: BTreeMap<LocalDay, DayTally>,
}

impl DayTally {
    /// Adds what later rows of the same day add up to.
    fn add(&mut self, later: Self) {
        if self.rows == 0 {
            self.first = later.first;
        }
        self.last = self.last.max(later.last);
        self.rows += later.rows;
        self.segments += later.segments;
        self.bytes += later.bytes;
        self.failures += later.failures;
        self.unproven.add(&later.unproven);
        self.early = (self.early.0 + later.early.0, self.early.1 + later.early.1);
        self.confirmations.extend(later.confirmations);
    }
}

impl Destructions {
    /// What the receipts of a month add up to, for its sum.
    pub fn to_sum(&self) -> Result<String, serde_json::Error> {
        let zone = self.zone.iana_name().unwrap_or("UTC").to_owned();
        serde_json::to_string(&SummedDays { zone, days: self.days.clone() })
    }

    /// Adds what a month's sum says. Not where days were counted in another time zone: a day is the site's.
    pub fn add_sum(&mut self, sum: &str) -> bool {
        let Ok(SummedDays { zone, days }) = serde_json::from_str(sum) else { return false };
        if zone != self.zone.iana_name().unwrap_or("UTC") {
            return false;
        }
        for (day, more) in days {
            self.days.entry(day).or_default().add(more);
        }
        true
    }
}
