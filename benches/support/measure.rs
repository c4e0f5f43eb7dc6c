//! How the benches measure: two ways of doing the same work, run in turn, compared pair by pair. What else the machine
//! does falls on both, so that the ratios hold where the absolute figures do not.

use rustix::time::{ClockId, clock_gettime};

/// CPU time that this thread has used, in seconds.
#[allow(dead_code, reason = "each bench uses those that it needs")]
pub fn thread_cpu_s() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

/// CPU time that all threads of this process have used, in user and kernel mode, in seconds.
#[allow(dead_code, reason = "each bench uses those that it needs")]
pub fn process_cpu_s() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

#[allow(clippy::cast_precision_loss, reason = "seconds of CPU time are far below 2^53")]
fn seconds(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// What the two ways cost, a pair a turn.
#[derive(Debug)]
pub struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Runs both ways once unmeasured, then `count` times in turn: the one first, then the other first.
    ///
    /// # Errors
    /// What a run says.
    pub fn run(
        count: usize,
        mut one: impl FnMut() -> anyhow::Result<f64>,
        mut other: impl FnMut() -> anyhow::Result<f64>,
    ) -> anyhow::Result<Self> {
        one()?;
        other()?;
        let mut pairs = Vec::with_capacity(count);
        for turn in 0..count {
            if turn % 2 == 0 {
                let first = one()?;
                pairs.push((first, other()?));
            } else {
                let first = other()?;
                pairs.push((one()?, first));
            }
        }
        Ok(Self(pairs))
    }

    /// Median cost of the one way.
    pub fn one(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.0))
    }

    /// Median of the pairs' ratios, the one's cost over the other's.
    pub fn ratio(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.0 / pair.1))
    }
}

/// The middle of `values`; not a number where there are none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// The value below which a share of `values` lies.
#[allow(dead_code, reason = "each bench uses those that it needs")]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into values that are in memory")]
pub fn percentile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
