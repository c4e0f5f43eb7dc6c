//! Who is signed in. A session holds the person's opened keys in memory, and nothing of it is ever stored.
//!
//! Wrong passwords make the next try wait: longest for one name from one address; shorter, and later, for a name from
//! wherever, and for an address whatever the name. So whoever guesses at somebody's password elsewhere delays them by half a
//! minute at most, and nobody is ever locked out for good. A try that has to wait is not made, and lengthens nothing.

use super::desk::DeskKeys;
use super::{AccessError, Person};
use crate::clock::Clock;
use crate::crypto::{PrivateKey, random_array, sha256};
use crate::domain::{AccountId, CameraNumber, Digest, Role, Terminal, Utc};
use crate::ledger::Actor;
use serde::Serialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

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
    session: Digest,
    /// A code of their second factor, where the request carries one.
    code: Option<Arc<Zeroizing<String>>>,
    person: Arc<Person>,
    address: IpAddr,
    private: Arc<PrivateKey>,
    desk: Option<Arc<DeskKeys>>,
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

    pub(super) fn desk(&self) -> Option<&DeskKeys> {
        self.desk.as_deref()
    }

    pub(super) fn actor(&self) -> Actor {
        Actor::Person { account: self.person.account, address: self.address }
    }

    /// With a code of their second factor, for an act that asks the password again.
    #[must_use]
    pub fn with_code(mut self, code: Option<String>) -> Self {
        self.code = code.map(|code| Arc::new(Zeroizing::new(code)));
        self
    }

    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_ref().map(|code| code.as_str())
    }

    pub(super) fn session(&self) -> Digest {
        self.session
    }

    /// # Errors
    /// [`AccessError::OutsideScope`] for a camera that their rights are not of.
    pub(super) fn must_reach(&self, cameras: &[CameraNumber]) -> Result<(), AccessError> {
        match cameras.iter().find(|camera| !self.person.reaches(**camera)) {
            Some(camera) => Err(AccessError::OutsideScope { camera: *camera }),
            None => Ok(()),
        }
    }

    /// Whether a camera is within what they may deal with.
    pub fn reaches(&self, camera: CameraNumber) -> bool {
        self.person.reaches(camera)
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether the request comes from a place.
    pub fn is_at(&self, terminal: &Terminal) -> bool {
        terminal.has(self.address)
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
    desk: Option<Arc<DeskKeys>>,
    /// Where it began.
    address: IpAddr,
    began: Duration,
    began_at: Utc,
    last_seen: Duration,
}

/// A session, as its person and officers see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SessionLine {
    /// Not the token, and of no use in its place.
    pub session: String,
    pub account: AccountId,
    pub name: String,
    pub address: IpAddr,
    pub began: Utc,
    pub idle_s: u64,
    /// The one that asks.
    pub is_own: bool,
}

/// What failures are counted by.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum CountedBy {
    /// A name from an address.
    Both(String, IpAddr),
    Name(String),
    Address(IpAddr),
}

impl CountedBy {
    fn of(name: &str, address: IpAddr) -> [CountedBy; 3] {
        [CountedBy::Both(name.to_owned(), address), CountedBy::Name(name.to_owned()), CountedBy::Address(address)]
    }

    /// Wrong passwords before the next try has to wait, and the longest that it ever does.
    fn limits(&self) -> (u32, Duration) {
        match self {
            CountedBy::Both(..) => (5, LONGEST_WAIT),
            CountedBy::Name(_) => (25, Duration::from_secs(30)),
            CountedBy::Address(_) => (50, Duration::from_secs(60)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    /// How long the next try has to wait: doubling from one second.
    fn wait(self, by: &CountedBy) -> Duration {
        let (free, longest) = by.limits();
        match self.count.checked_sub(free) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1 << beyond.min(10)).min(longest),
        }
    }
}

/// What a session is called: a part of its token's digest.
fn id_of(digest: Digest) -> String {
    hex::encode(&digest.0[..8])
}

/// All sessions. The token itself is not kept, only its digest.
#[derive(Debug)]
pub(super) struct Sessions {
    clock: Clock,
    limits: SessionLimits,
    open: Mutex<HashMap<Digest, Session>>,
    failures: Mutex<HashMap<CountedBy, Failures>>,
}

impl Sessions {
    pub fn new(clock: Clock, limits: SessionLimits) -> Self {
        Self { clock, limits, open: Mutex::default(), failures: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<CountedBy, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a try before it is made, so that a hundred at once are not all free; one that succeeds is forgotten with
    /// [`Sessions::forget_failures`].
    pub fn begin_try(&self, name: &str, address: IpAddr) -> Result<(), AccessError> {
        let now = self.clock.monotonic();
        let keys = CountedBy::of(name, address);
        let mut failures = self.failures();
        for key in &keys {
            let Some(known) = failures.get(key) else { continue };
            let passed = now.saturating_sub(known.last);
            if let Some(left) = known.wait(key).checked_sub(passed).filter(|left| !left.is_zero()) {
                return Err(AccessError::TooManyAttempts { retry_s: left.as_secs() + 1 });
            }
        }
        if failures.len() + keys.len() > FAILURES_LIMIT {
            failures.retain(|_, known| now.saturating_sub(known.last) < LONGEST_WAIT);
        }
        for key in keys {
            if failures.len() >= FAILURES_LIMIT && !failures.contains_key(&key) {
                let oldest = failures.iter().min_by_key(|(_, known)| known.last).map(|(key, _)| key.clone());
                oldest.and_then(|oldest| failures.remove(&oldest));
            }
            let known = failures.entry(key).or_insert(Failures { count: 0, last: now });
            // Long ago: it begins anew.
            if now.saturating_sub(known.last) >= LONGEST_WAIT * 4 {
                known.count = 0;
            }
            known.count = known.count.saturating_add(1);
            known.last = now;
        }
        Ok(())
    }

    /// The try that was counted last succeeded. What an address did under other names is not forgotten for it.
    pub fn forget_failures(&self, name: &str, address: IpAddr) {
        let mut failures = self.failures();
        for key in CountedBy::of(name, address) {
            match &key {
                CountedBy::Both(..) | CountedBy::Name(_) => drop(failures.remove(&key)),
                CountedBy::Address(_) => {
                    if let Some(known) = failures.get_mut(&key) {
                        known.count = known.count.saturating_sub(1);
                    }
                }
            }
        }
    }

    /// Begins a session and returns its token: 64 hexadecimal digits.
    pub fn begin(
        &self,
        person: &Person,
        (private, desk): (PrivateKey, Option<DeskKeys>),
        (address, began_at): (IpAddr, Utc),
    ) -> Result<String, AccessError> {
        let token = hex::encode(random_array::<32>()?);
        let now = self.clock.monotonic();
        let session = Session {
            person: Arc::new(person.clone()),
            private: Arc::new(private),
            desk: desk.map(Arc::new),
            address,
            began: now,
            began_at,
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

    /// Whose token it is. `later` is the time that access goes by: rights may have an end.
    pub fn caller(&self, token: &str, address: IpAddr, later: Utc) -> Result<Caller, AccessError> {
        self.caller_of(token, address, (later, true))
    }

    /// The same for what a page asks by itself: that keeps no session from becoming idle.
    pub fn caller_by_itself(&self, token: &str, address: IpAddr, later: Utc) -> Result<Caller, AccessError> {
        self.caller_of(token, address, (later, false))
    }

    fn caller_of(&self, token: &str, address: IpAddr, (later, is_seen): (Utc, bool)) -> Result<Caller, AccessError> {
        let now = self.clock.monotonic();
        let digest = sha256(token.as_bytes());
        let mut open = self.open();
        let Some(session) = open.get_mut(&digest) else { return Err(AccessError::NotSignedIn) };
        if self.is_over(session, now) || session.person.ends.is_some_and(|ends| ends <= later) {
            open.remove(&digest);
            return Err(AccessError::NotSignedIn);
        }
        if is_seen {
            session.last_seen = now;
        }
        Ok(Caller {
            session: digest,
            code: None,
            person: Arc::clone(&session.person),
            address,
            private: Arc::clone(&session.private),
            desk: session.desk.clone(),
        })
    }

    /// Whether a session is still there, without its being used. `later` is the time that access goes by.
    pub fn is_open(&self, session: Digest, later: Utc) -> bool {
        let now = self.clock.monotonic();
        self.open()
            .get(&session)
            .is_some_and(|session| !self.is_over(session, now) && session.person.ends.is_none_or(|ends| later < ends))
    }

    /// All sessions that are not over, of one account or of all, the newest first.
    pub fn list(&self, of: Option<AccountId>, own: Digest) -> Vec<SessionLine> {
        let now = self.clock.monotonic();
        let open = self.open();
        let wanted = |session: &Session| {
            !self.is_over(session, now) && of.is_none_or(|account| account == session.person.account)
        };
        let mut found: Vec<_> = open.iter().filter(|(_, session)| wanted(session)).collect();
        found.sort_by_key(|(_, session)| std::cmp::Reverse(session.began));
        let line = |(digest, session): (&Digest, &Session)| SessionLine {
            session: id_of(*digest),
            account: session.person.account,
            name: session.person.name.clone(),
            address: session.address,
            began: session.began_at,
            idle_s: now.saturating_sub(session.last_seen).as_secs(),
            is_own: *digest == own,
        };
        found.into_iter().map(line).collect()
    }

    /// Ends the sessions that `which` takes, by id and account. How many, of which account.
    pub fn end_those(&self, which: impl Fn(&str, AccountId) -> bool) -> Option<(AccountId, u32)> {
        let mut open = self.open();
        let ending: Vec<Digest> = open
            .iter()
            .filter(|(digest, session)| which(&id_of(**digest), session.person.account))
            .map(|(digest, _)| *digest)
            .collect();
        let account = ending.first().and_then(|digest| open.get(digest)).map(|session| session.person.account)?;
        ending.iter().for_each(|digest| drop(open.remove(digest)));
        Some((account, u32::try_from(ending.len()).unwrap_or(u32::MAX)))
    }

    /// Ends an account's sessions, but for the one with the token `kept`. How many.
    pub fn end_of(&self, account: AccountId, kept: Option<&str>) -> u32 {
        let kept = kept.map(|token| sha256(token.as_bytes()));
        let mut open = self.open();
        let before = open.len();
        open.retain(|digest, session| session.person.account != account || Some(*digest) == kept);
        u32::try_from(before - open.len()).unwrap_or(u32::MAX)
    }

    /// Who reads persons, and is signed in, reads what is sealed to a new pair too.
    pub fn hand_out(&self, desk: &PrivateKey) {
        for session in self.open().values_mut() {
            session.desk = session.desk.as_ref().map(|keys| Arc::new(keys.with(desk.clone())));
        }
    }

    pub fn end(&self, token: &str) {
        self.open().remove(&sha256(token.as_bytes()));
    }
}
