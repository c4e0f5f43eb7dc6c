//! Who is signed in. A session holds the person's opened keys in memory, and nothing of it is ever stored.

use super::{AccessError, Person};
use crate::clock::Clock;
use crate::crypto::{PrivateKey, random_array, sha256};
use crate::domain::{AccountId, Digest, Role};
use crate::ledger::Actor;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Wrong passwords in a row before the next try has to wait.
const FREE_TRIES: u32 = 5;
const LONGEST_WAIT: Duration = Duration::from_secs(900);
/// Names and origins that are remembered for their failures.
const FAILURES_LIMIT: usize = 10_000;

/// When sessions end, in monotonic time.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    pub idle: Duration,
    pub whole: Duration,
}

/// Who asks, from where, with the keys that they opened.
#[derive(Clone, Debug)]
pub struct Caller {
    person: Arc<Person>,
    address: IpAddr,
    private: Arc<PrivateKey>,
    desk: Option<Arc<PrivateKey>>,
}

impl Caller {
    pub fn person(&self) -> &Person {
        &self.person
    }

    pub fn account(&self) -> AccountId {
        self.person.account
    }

    pub(super) fn private(&self) -> &PrivateKey {
        &self.private
    }

    pub(super) fn desk(&self) -> Option<&PrivateKey> {
        self.desk.as_deref()
    }

    pub(super) fn actor(&self) -> Actor {
        Actor::Person { account: self.person.account, address: self.address }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// # Errors
    /// [`AccessError::Forbidden`] for any other role.
    pub fn must_be(&self, roles: &[Role]) -> Result<(), AccessError> {
        if roles.contains(&self.person.role) { Ok(()) } else { Err(AccessError::Forbidden) }
    }
}

#[derive(Debug)]
struct Session {
    person: Arc<Person>,
    private: Arc<PrivateKey>,
    desk: Option<Arc<PrivateKey>>,
    began: Duration,
    last_seen: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    /// How long the next try has to wait: doubling from one second.
    fn wait(self) -> Duration {
        match self.count.checked_sub(FREE_TRIES) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1 << beyond.min(10)).min(LONGEST_WAIT),
        }
    }
}

/// All sessions. The token itself is not kept, only its digest.
#[derive(Debug)]
pub(super) struct Sessions {
    clock: Clock,
    limits: SessionLimits,
    open: Mutex<HashMap<Digest, Session>>,
    failures: Mutex<HashMap<(String, IpAddr), Failures>>,
}

impl Sessions {
    pub fn new(clock: Clock, limits: SessionLimits) -> Self {
        Self { clock, limits, open: Mutex::default(), failures: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<(String, IpAddr), Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a try before it is made, so that a hundred at once are not all free; one that succeeds is forgotten with
    /// [`Sessions::forget_failures`]. Counted for each name and origin together, so that nobody locks others out.
    pub fn begin_try(&self, name: &str, address: IpAddr) -> Result<(), AccessError> {
        let now = self.clock.monotonic();
        let key = (name.to_owned(), address);
        let mut failures = self.failures();
        if let Some(known) = failures.get(&key) {
            let passed = now.saturating_sub(known.last);
            if let Some(left) = known.wait().checked_sub(passed).filter(|left| !left.is_zero()) {
                return Err(AccessError::TooManyAttempts { retry_s: left.as_secs() + 1 });
            }
        } else if failures.len() >= FAILURES_LIMIT {
            failures.retain(|_, known| now.saturating_sub(known.last) < LONGEST_WAIT);
            let oldest = failures.iter().min_by_key(|(_, known)| known.last).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest.filter(|_| failures.len() >= FAILURES_LIMIT) {
                failures.remove(&oldest);
            }
        }
        let known = failures.entry(key).or_insert(Failures { count: 0, last: now });
        known.count = known.count.saturating_add(1);
        known.last = now;
        Ok(())
    }

    pub fn forget_failures(&self, name: &str, address: IpAddr) {
        self.failures().remove(&(name.to_owned(), address));
    }

    /// Begins a session and returns its token: 64 hexadecimal digits.
    pub fn begin(&self, person: &Person, private: PrivateKey, desk: Option<PrivateKey>) -> Result<String, AccessError> {
        let token = hex::encode(random_array::<32>()?);
        let now = self.clock.monotonic();
        let session = Session {
            person: Arc::new(person.clone()),
            private: Arc::new(private),
            desk: desk.map(Arc::new),
            began: now,
            last_seen: now,
        };
        let mut open = self.open();
        open.retain(|_, session| !self.is_over(session, now));
        open.insert(sha256(token.as_bytes()), session);
        Ok(token)
    }

    /// Forgets sessions that are over, and with them their keys.
    pub fn sweep(&self) {
        let now = self.clock.monotonic();
        self.open().retain(|_, session| !self.is_over(session, now));
    }

    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.open().len()
    }

    fn is_over(&self, session: &Session, now: Duration) -> bool {
        now.saturating_sub(session.last_seen) >= self.limits.idle
            || now.saturating_sub(session.began) >= self.limits.whole
    }

    pub fn caller(&self, token: &str, address: IpAddr) -> Result<Caller, AccessError> {
        let now = self.clock.monotonic();
        let digest = sha256(token.as_bytes());
        let mut open = self.open();
        let Some(session) = open.get_mut(&digest) else { return Err(AccessError::NotSignedIn) };
        if self.is_over(session, now) {
            open.remove(&digest);
            return Err(AccessError::NotSignedIn);
        }
        session.last_seen = now;
        Ok(Caller {
            person: Arc::clone(&session.person),
            address,
            private: Arc::clone(&session.private),
            desk: session.desk.clone(),
        })
    }

    pub fn end(&self, token: &str) {
        self.open().remove(&sha256(token.as_bytes()));
    }
}
