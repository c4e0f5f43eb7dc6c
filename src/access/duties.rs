//! What waits for an officer, counted for whoever looks after the site: an alarm repeats until somebody acts.

use super::states::HoldState;
use super::{Access, AccessError, Caller};
use crate::domain::{LocalDay, Month, Role, Utc};
use crate::vault::{HeldFootage, Hold};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What is held is counted again after this; it is dear to count.
const COUNTED_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// The log says what still waits this often.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(6 * 3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// What was counted of held footage, when, and for which holds.
#[derive(Clone, Debug)]
pub(super) struct HeldCount {
    at: Duration,
    holds: Vec<Hold>,
    footage: HeldFootage,
}

/// What was said in the log, and when.
#[derive(Debug, Default)]
pub(super) struct Said {
    alarms: Vec<String>,
    at: Duration,
    looked: Option<Duration>,
}

/// What waits for an officer.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Duties {
    pub held: HeldFootage,
    /// The held footage's share of all volumes.
    pub held_percent: Option<u8>,
    /// The next day on which a hold is to be looked at again.
    pub next_review: Option<Utc>,
    pub reviews_due: usize,
    /// Holds that wait for another officer's confirmation, or a request's own for the first one's.
    pub holds_unconfirmed: usize,
    /// Days that are over and that no officer has confirmed what was destroyed on, and the first of them.
    pub days_unconfirmed: usize,
    pub first_unconfirmed: Option<LocalDay>,
    /// Operations that are being filmed, or should be.
    pub operations_under_way: usize,
    /// Destroyed segments of which overwriting should have been proven and was not, on days not confirmed since.
    #[serde(default)]
    pub unproven_segments: u64,
    /// Segments that went before their day for want of room, on days not confirmed since.
    #[serde(default)]
    pub early_segments: u64,
    /// Requests that wait for an answer, those of them that should have one by now, and when the next one must have it.
    #[serde(default)]
    pub requests_unanswered: usize,
    #[serde(default)]
    pub requests_overdue: usize,
    #[serde(default)]
    pub next_due: Option<Utc>,
    /// Months of the ledger that are over and that no officer has reviewed, and the first of them.
    #[serde(default)]
    pub months_unreviewed: usize,
    #[serde(default)]
    pub first_unreviewed: Option<Month>,
    #[serde(skip)]
    pub alarms: Vec<String>,
}

impl Access {
    /// What holds keep. Counted at most once a minute, unless holds have changed.
    pub(super) fn held_footage(&self) -> Result<HeldFootage, AccessError> {
        let holds = self.holds().list().to_vec();
        let at = self.time.clock().monotonic();
        let mut counted = self.held_count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = counted.as_ref()
            && known.holds == holds
            && at.saturating_sub(known.at) < COUNTED_AGAIN_AFTER
        {
            return Ok(known.footage);
        }
        let footage = self.vault.held(&holds, self.now())?;
        *counted = Some(HeldCount { at, holds, footage });
        Ok(footage)
    }

    pub(super) fn held_share_percent(&self, footage: &HeldFootage) -> Option<u8> {
        let size = self.vault.size_bytes().filter(|size| *size > 0)?;
        let percent = u128::from(footage.bytes) * 100 / u128::from(size);
        Some(u8::try_from(percent.min(100)).unwrap_or(100))
    }

    /// The same, for people of the site.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] for others than staff, officers and auditors.
    pub fn duties_for(&self, caller: &Caller) -> Result<Duties, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer, Role::Auditor])?;
        Ok(self.duties())
    }

    /// What waits for an officer now.
    pub fn duties(&self) -> Duties {
        let now = self.now();
        let mut duties = Duties::default();
        match self.held_footage() {
            Ok(held) => duties.held = held,
            Err(e) => duties.alarms.push(format!("what is held could not be counted: {e}")),
        }
        duties.held_percent = self.held_share_percent(&duties.held);
        let limit = self.periods.held_warn_percent;
        if let Some(percent) = duties.held_percent.filter(|percent| *percent >= limit) {
            let bytes = duties.held.bytes as f64 / 1e9;
            duties.alarms.push(format!(
                "holds keep {percent} % of the disks ({bytes:.1} GB): look at each hold, and release what is not needed \
                 any more"
            ));
        }
        self.holds_that_wait(now, &mut duties);
        self.answers_that_wait(now, &mut duties);
        duties.alarms.extend(self.templates.alarms());
        duties.alarms.extend(self.alarms_of_people());
        if self.periods.requests.decider_may_view {
            let alarm = "officers may watch what officers decided ([requests] decider_may_view): two pairs of eyes are missing; \
                         appoint a viewer, and take it back";
            duties.alarms.push(alarm.to_owned());
        }
        let (under_way, alarms) = self.operations_that_wait(now);
        duties.operations_under_way = under_way;
        duties.alarms.extend(alarms);
        (duties.days_unconfirmed, duties.first_unconfirmed) = self.destructions().unconfirmed(now);
        if let (days, Some(first)) = (duties.days_unconfirmed, duties.first_unconfirmed)
            && days >= self.periods.unconfirmed_days as usize
        {
            duties.alarms.push(format!(
                "{days} days wait for an officer to confirm what was destroyed on them, from {first} on: automatic \
                 destruction counts only when somebody has confirmed that it ran"
            ));
        }
        if let Some((first, segments, bytes)) = self.destructions().early() {
            duties.early_segments = segments;
            duties.alarms.push(format!(
                "{segments} segments ({:.1} GB) were destroyed before their day for want of room, from {first} on. The notice \
                 promises more than the disk holds: add a disk, or shorten periods; the alarm ends when an officer has \
                 confirmed the day",
                bytes as f64 / 1e9
            ));
        }
        if let Some((first, unproven)) = self.destructions().unproven() {
            duties.unproven_segments = unproven.segments();
            duties.alarms.push(format!(
                "{} destroyed segments may still be on their disks, from {first} on: overwriting them could not be proven. \
                 {unproven}. Look into each in that day's report; the alarm ends when an officer has confirmed the day and \
                 said what is done about it",
                unproven.segments()
            ));
        }
        self.ledger_waits(now, &mut duties);
        duties
    }

    fn ledger_waits(&self, now: Utc, duties: &mut Duties) {
        let (months, first, is_overdue) = self.months_that_wait(now);
        (duties.months_unreviewed, duties.first_unreviewed) = (months, first);
        if let Some(first) = first.filter(|_| is_overdue) {
            duties.alarms.push(format!(
                "{months} months of the ledger wait for an officer's review, from {first} on: open each under \"Ledger\", look at \
                 what stands out, and review it"
            ));
        }
        if let Some(failure) = self.elsewhere.failure() {
            duties.alarms.push(format!(
                "checkpoints of the ledger do not leave this machine ({failure}): whoever has its disks could cut the ledger \
                 short. See that journald or a syslog daemon runs, or say in site.toml where checkpoints go"
            ));
        }
    }

    fn holds_that_wait(&self, now: Utc, duties: &mut Duties) {
        let registry = self.registry();
        for hold in registry.holds.values().filter(|hold| hold.holds()) {
            let number = hold.number;
            duties.next_review = Some(duties.next_review.map_or(hold.review, |next| next.min(hold.review)));
            if hold.review <= now {
                duties.reviews_due += 1;
                let due = hold.review;
                duties.alarms.push(format!(
                    "hold {number} was to be looked at again by {due}: an officer extends it or releases it"
                ));
            }
            if let HoldState::Ordered { since } = hold.state {
                duties.holds_unconfirmed += 1;
                if since.saturating_add(DAY) <= now {
                    duties.alarms.push(format!(
                        "hold {number} waits since {since} for another officer to confirm it or release it; until then it \
                         stays"
                    ));
                }
            }
        }
        for request in registry.requests.values().filter(|request| request.waits_for_confirmation()) {
            duties.holds_unconfirmed += 1;
            let (number, entered) = (request.number, request.entered);
            duties.alarms.push(format!(
                "request {number} of {entered} holds more than 24 camera-hours: an officer is to confirm that within 24 \
                 hours, or decide it; until then it stays"
            ));
        }
    }

    /// Says in the log what waits, as soon as it does, and again and again for as long as it does.
    pub(super) fn say_what_waits(&self) {
        let at = self.time.clock().monotonic();
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if said.looked.is_some_and(|looked| at.saturating_sub(looked) < COUNTED_AGAIN_AFTER) {
            return;
        }
        said.looked = Some(at);
        let alarms = self.duties().alarms;
        let again = at.saturating_sub(said.at) >= SAID_AGAIN_AFTER;
        for alarm in alarms.iter().filter(|alarm| again || !said.alarms.contains(alarm)) {
            tracing::error!(alarm, "somebody is waited for");
        }
        if again || said.alarms.is_empty() {
            said.at = at;
        }
        said.alarms = alarms;
    }
}
