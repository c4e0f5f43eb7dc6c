//! How many requests one address may make. Passwords have limits of their own (`access::sessions`); these keep a program that
//! runs wild from taking the machine away from the cameras.

use crate::clock::Clock;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// All requests of an address: a player fetches a few a second, a page with many lists some tens at once.
const ALL_PER_S: NonZeroU32 = NonZeroU32::new(500).unwrap();
const ALL_AT_ONCE: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// What changes something: people type that.
const CHANGES_PER_S: NonZeroU32 = NonZeroU32::new(20).unwrap();
const CHANGES_AT_ONCE: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Addresses that are remembered before those that came to rest are forgotten.
const REMEMBERED: usize = 10_000;

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, Clock, NoOpMiddleware<Nanos>>;

/// The limits, and how far each address has used them.
#[derive(Clone, Debug)]
pub(super) struct Rates {
    clock: Clock,
    all: Arc<Limiter>,
    changes: Arc<Limiter>,
}

impl Rates {
    pub fn new(clock: Clock) -> Self {
        let limiter = |per_s, at_once| {
            let quota = Quota::per_second(per_s).allow_burst(at_once);
            Arc::new(RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()))
        };
        let (all, changes) = (limiter(ALL_PER_S, ALL_AT_ONCE), limiter(CHANGES_PER_S, CHANGES_AT_ONCE));
        Self { clock, all, changes }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// How long its address has to wait.
    pub fn take(&self, address: IpAddr, changes: bool) -> Result<(), Duration> {
        let origin = origin(address);
        for limiter in [Some(&self.all), changes.then_some(&self.changes)].into_iter().flatten() {
            if limiter.len() > REMEMBERED {
                limiter.retain_recent();
            }
            limiter.check_key(&origin).map_err(|until| until.wait_time_from(self.clock.now()))?;
        }
        Ok(())
    }
}

/// Who is counted: of IPv6 a whole /64, which one household has.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        four @ IpAddr::V4(_) => four,
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::Utc;

    #[test]
    fn an_address_that_runs_wild_waits_and_the_others_do_not() {
        let hands = ManualClock::standing(Utc::from_micros(0));
        let rates = Rates::new(hands.clock());
        let (wild, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..ALL_AT_ONCE.get() {
            rates.take(wild, false).unwrap();
        }
        let wait = rates.take(wild, false).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        rates.take(other, false).unwrap();
        hands.advance(wait);
        rates.take(wild, false).unwrap();
    }

    #[test]
    fn what_changes_something_has_a_limit_of_its_own() {
        let rates = Rates::new(ManualClock::standing(Utc::from_micros(0)).clock());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..CHANGES_AT_ONCE.get() {
            rates.take(address, true).unwrap();
        }
        rates.take(address, true).unwrap_err();
        rates.take(address, false).unwrap();
    }

    #[test]
    fn a_household_is_one_origin() {
        let of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::4"), of("2001:db8:1:3::4"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
