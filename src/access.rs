//! People, requests, decisions, grants: the only way to plaintext.
//!
//! Invariants
//! - A1 What cannot be recorded does not happen: the ledger's row is flushed before the answer, and before the first
//!   byte of a picture leaves.
//! - A2 A submission freezes the footage asked for before it is answered.
//! - A3 Whoever entered a request does not decide it; whoever decides it does not watch it.
//! - A4 An approval is a hand-over of keys: exactly the approved segments, to exactly one viewer. The daemon narrows
//!   it to the frame.
//! - A5 Everything here that lasts is rebuilt from the ledger at a start; files without their row are destroyed.
//!
//! Calls block (they derive keys and flush files): those who have an executor to keep free call from a blocking
//! thread.

mod accounts;
mod answers;
mod checking;
mod clock;
mod copies;
mod correspondence;
mod decisions;
mod desk;
mod destructions;
mod disputes;
mod duties;
mod ending;
mod entry;
mod erasure;
mod exports;
mod facts;
mod handing_over;
mod holds;
mod leaving;
mod letters;
mod listing;
mod months;
mod nameless;
mod once;
mod operations;
mod papers;
mod passwords;
mod people;
mod periods;
mod proposals;
mod reading;
mod register;
mod registry;
mod reinstating;
mod requested;
mod requests;
mod rights;
mod second_factor;
mod sessions;
mod site;
mod states;
mod submission;
mod summary;
#[cfg(test)]
mod tests;
mod texts;
mod versions;
mod viewing;
mod viewings;

pub use accounts::{AccountView, EndedGrant, NewMember, WithCode};
pub use copies::{CopyEndView, NewCopyEnd};
pub use decisions::{Approval, Postponement, Refusal, Steps};
pub use desk::StoredPersons;
pub use destructions::{
    DayConfirmation, DayConfirmed, DayLine, DestructionReport, ReportRow, ReportTotals, ReportView,
};
pub use disputes::{Dispute, NewDispute, Settled};
pub use duties::Duties;
pub use erasure::Erasure;
pub use exports::{ExportedFile, RegisterPage};
pub use facts::LedgerFacts;
pub use holds::{HoldView, HoldsView, NewHold, RequestHold};
pub use letters::{BrokenTemplate, Delivery, DeliveryLine, LetterLine, LetterTemplates, LetterView, NewLetter};
pub use listing::{PAGE_LARGEST, RequestFilter, RequestPage};
pub use months::{MonthLine, MonthView, Reviewed};
pub use once::Once;
pub use operations::{NewOperation, OperationView};
pub use passwords::WeakPassword;
pub use people::{Account, NewAccount, Password, Person};
pub use periods::Periods;
pub use register::{Destroyed, RegisterAsked, RegisterEvent, RegisterKind, RegisterLine};
pub use registry::GrantState;
pub use reinstating::{ReinstateError, Reinstated, Reinstatement};
pub use requested::{Checked, DecidedBy, Delivered, Fee, Proposal};
pub use requests::{Identity, RequestView};
pub use rights::{RightsEvent, Standing, Terms, Wanted};
pub use second_factor::{NewSecret, SecondFactorFor};
pub use sessions::{Caller, SessionLimits, SessionLine};
pub use site::{NewSite, SiteFiles, StartError};
pub use states::RequestState;
pub use submission::{NewRequest, PersonFields};
pub use summary::{FailedSignIns, MonthSummary, Odd, OddRow, RightsRow};
pub use versions::Thing;
pub use viewing::{Film, GrantView, Picture, Playlist, PlaylistEntry, Shown};
pub use viewings::{Showing, ViewingRefused, ViewingView};

use crate::config::LedgerKeeping;
use crate::crypto::SigningKey;
use crate::disk::SharedDisk;
use crate::domain::request::DisputeGround;
use crate::domain::{CameraClass, CameraNumber, DisputeId, GrantEnd, GrantId, OperationId, Utc};
use crate::ledger::{Act, Actor, CheckpointMark, Elsewhere, LedgerError, Row, SharedLedger};
use crate::vault::{ClockRefusal, GrantStore, Hold, Holds, TrustedClock, Vault, VaultError};
use desk::Desk;
use destructions::Destructions;
use entry::FailuresOfMinute;
use people::People;
use registry::Registry;
use sessions::Sessions;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use viewing::BrokenOff;
use viewings::ViewingsUnderWay;

/// Why something was not done. The message is for the person who asked; nothing of the inside is in it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("sign in first")]
    NotSignedIn,
    #[error("the name or the password is not right")]
    WrongCredentials,
    #[error("too many wrong passwords; try again in {retry_s} seconds")]
    TooManyAttempts { retry_s: u64 },
    #[error("too many searches by name; try again in {retry_s} seconds")]
    TooManySearches { retry_s: u64 },
    #[error("there is no such letter of this request")]
    NoSuchLetter,
    #[error("your role does not allow this")]
    Forbidden,
    #[error("your account waits for another officer's approval; ask one")]
    NotApproved,
    #[error("a code of your authenticator app is wanted too, or a recovery code")]
    SecondFactorWanted,
    #[error("you must have a second factor; set one to go on")]
    SecondFactorMissing,
    #[error("the clock is in doubt, so no code by time can be checked; an officer confirms date and time first")]
    ClockInDoubt,
    #[error("the password is too old; choose a new one to go on")]
    PasswordTooOld,
    #[error("the password {0}")]
    Weak(#[from] WeakPassword),
    #[error("there is no such account")]
    NoSuchAccount,
    #[error("the account {what}")]
    AccountState { what: &'static str },
    #[error("nobody decides about their own rights; ask another officer")]
    OwnAccount,
    #[error("one officer must stay whose rights have no end; make another one first")]
    LastOfficer,
    #[error("there is no such session")]
    NoSuchSession,
    #[error("your rights do not reach camera {camera}")]
    OutsideScope { camera: CameraNumber },
    #[error("there is no such request")]
    NoSuchRequest,
    #[error("the request is {state}: this cannot be done to it any more, or not yet")]
    WrongState { state: &'static str },
    #[error("it has changed since you saw it: somebody else was quicker; look at it again")]
    Changed,
    #[error("who entered or asked for something does not decide it; ask another officer")]
    FourEyes,
    #[error(
        "who decided it does not watch it; another person does, or site.toml allows it ([requests] decider_may_view)"
    )]
    OwnDecision,
    #[error("a decision takes two people of different roles here: {what}")]
    SecondWanted { what: &'static str },
    #[error(
        "a person under 14 is represented by the legal guardian: enter the guardian as who asks, and the child as the subject"
    )]
    GuardianWanted,
    #[error("{what} must be seen first")]
    PaperWanted { what: &'static str },
    #[error(
        "only a public body provides on this basis (PIPA 18(2), last sentence), and this site is none: what is left is \
         consent, another law, an urgent interest of life, body or property, or public safety"
    )]
    PublicBodiesOnly,
    #[error(
        "camera {camera} films an operating room: what it filmed is shown and handed over on three ways alone: {routes}"
    )]
    OperatingRoomRoutes { camera: CameraNumber, routes: &'static str },
    #[error(
        "camera {camera} is no camera of an operating room: this way is for those alone; ask for a viewing, a copy or a provision"
    )]
    NoOperatingRoom { camera: CameraNumber },
    #[error(
        "it is in dispute since {since} ({ground}; dispute {dispute}): nobody uses it, and nothing is decided over it, until that is settled"
    )]
    Disputed { dispute: DisputeId, ground: DisputeGround, since: Utc },
    #[error("there is no such dispute")]
    NoSuchDispute,
    #[error("the dispute is settled already")]
    DisputeSettled,
    #[error("the copy costs {amount_krw} won, and that is not paid yet")]
    FeeOpen { amount_krw: u32 },
    #[error("{} must stay: {kept}", if *all { "all of it" } else { "a part of it" })]
    MustStay { kept: String, all: bool },
    #[error("there is no such hold")]
    NoSuchHold,
    #[error("the hold is {state}: this cannot be done to it any more; what it covered may be destroyed")]
    WrongHoldState { state: &'static str },
    #[error("who placed a hold neither confirms nor ends it; ask another officer")]
    OwnHold,
    #[error("camera {camera} is no camera of an operating room: it does not film operations")]
    NotAnOperatingRoom { camera: CameraNumber },
    #[error(
        "operation {operation} has been under way before camera {camera} since {since}, and is filmed; end it before another begins"
    )]
    OperationUnderWay { operation: OperationId, camera: CameraNumber, since: Utc },
    #[error("there is no such operation")]
    NoSuchOperation,
    #[error("operation {operation} ended at {at}")]
    OperationEnded { operation: OperationId, at: Utc },
    #[error("nothing was destroyed on that day")]
    NoSuchDay,
    #[error("the day is not over; what it destroys can be confirmed when it is")]
    DayNotOver,
    #[error("the day is confirmed already, and nothing has been added to it since")]
    DayConfirmed,
    #[error("the report is not the one that you saw: open it again, and look at what has been added")]
    ReportChanged,
    #[error("the ledger has no such month")]
    NoSuchMonth,
    #[error("the month is not over; it can be reviewed when it is")]
    MonthNotOver,
    #[error("the month is reviewed already")]
    MonthReviewed,
    #[error("the period has more than {limit} lines; choose a shorter one")]
    PeriodTooLong { limit: usize },
    #[error("the system's clock says {trusted}; set right whichever is wrong, then confirm")]
    ClocksDisagree { trusted: Utc },
    #[error("there is no camera {camera}")]
    UnknownCamera { camera: CameraNumber },
    #[error("the span ends in the future; ask for what has been filmed")]
    SpanInFuture,
    #[error("{field} looks like it holds an identity number; those are never stored, take it out")]
    IdNumber { field: &'static str },
    #[error("{field}: {what}")]
    BadInput { field: &'static str, what: &'static str },
    #[error("no approved request lets you see this")]
    NoGrant,
    #[error("this is outside what was approved")]
    OutsideGrant,
    #[error("unavailable: {why}")]
    Unavailable { why: String },
    #[error(transparent)]
    Viewing(#[from] ViewingRefused),
    #[error(transparent)]
    ClockRefused(#[from] ClockRefusal),
    #[error(
        "with {until} as the time, up to {segments} segments fall due and are destroyed at once. If date and time are right, confirm them again and state that number"
    )]
    ClockDestroys { segments: u64, until: Utc },
    #[error("the act could not be recorded, so it did not happen: {}; tell the installer", .0.told())]
    NotRecorded(#[source] LedgerError),
    #[error("something failed inside; the log says what")]
    Inside(#[source] VaultError),
}

impl From<VaultError> for AccessError {
    fn from(e: VaultError) -> Self {
        match e {
            e @ VaultError::Destroyed { .. } => AccessError::Unavailable { why: e.to_string() },
            VaultError::Expired { at } => AccessError::Unavailable { why: format!("destroyed on {at}") },
            e => AccessError::Inside(e),
        }
    }
}

impl From<LedgerError> for AccessError {
    fn from(e: LedgerError) -> Self {
        AccessError::NotRecorded(e)
    }
}

/// How requests are handled here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestRules {
    /// The site is a public body: some bases of a provision are open to it alone (PIPA 18(2)).
    pub public_body: bool,
    /// Who asks shows the document in person. The ten days run from when the request arrived all the same.
    pub identity_in_person: bool,
    /// An officer may watch what an officer decided: for sites with few people.
    pub decider_may_view: bool,
    /// A decision takes two people of different roles.
    pub second_approver: bool,
}

/// Everything between a person and the footage.
#[derive(Debug)]
pub struct Access {
    vault: Arc<Vault>,
    time: Arc<TrustedClock>,
    ledger: SharedLedger,
    signing_key: SigningKey,
    holds: Arc<Mutex<Holds>>,
    grants: GrantStore,
    people: People,
    desk: Desk,
    requests_dir: std::path::PathBuf,
    registry: Mutex<Registry>,
    sessions: Sessions,
    /// `None` until the cameras' files were read.
    configured: RwLock<Option<BTreeMap<CameraNumber, CameraClass>>>,
    /// Held while it is looked whether a row may follow, and the row is written.
    turn: Mutex<()>,
    /// Slots of somebody who left are to be overwritten.
    leaving_is_due: AtomicBool,
    failed: Mutex<FailuresOfMinute>,
    under_way: Mutex<ViewingsUnderWay>,
    /// Rows of answers that broke off a moment ago.
    broken_off: Mutex<BrokenOff>,
    /// A step that a row had announced failed; holds and grants are to be brought into agreement with the ledger.
    untidy: AtomicBool,
    held_count: Mutex<Option<duties::HeldCount>>,
    /// When it was looked last whether something written of persons has come to its end.
    papers_looked: Mutex<Option<Duration>>,
    searches: listing::Searches,
    templates: LetterTemplates,
    said: Mutex<duties::Said>,
    destructions: Arc<Mutex<Destructions>>,
    months: Arc<Mutex<months::Months>>,
    /// Of the state directory, and whether overwriting reaches its files' blocks.
    disk: SharedDisk,
    is_proven: bool,
    checked_months: Mutex<checking::CheckedMonths>,
    elsewhere: Elsewhere,
    /// The newest checkpoint, and its row.
    newest_checkpoint: Mutex<Option<(u64, CheckpointMark)>>,
    periods: Periods,
}

impl Access {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Each change under this lock is the applying of one row.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a step that failed after its row.
    fn tidied(&self, told: Result<(), VaultError>) -> Result<(), AccessError> {
        if told.is_err() {
            self.untidy.store(true, Ordering::Relaxed);
        }
        Ok(told?)
    }

    fn now(&self) -> Utc {
        self.time.trusted()
    }

    /// What access compares expiries with: the later of the two clocks.
    fn later(&self) -> Utc {
        self.time.later()
    }

    /// Which cameras are configured: those that can be asked for, besides those that have footage still.
    pub fn set_cameras(&self, cameras: BTreeMap<CameraNumber, CameraClass>) {
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = Some(cameras);
    }

    fn are_cameras_known(&self) -> bool {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The class of a camera that is configured.
    fn class_of(&self, camera: CameraNumber) -> Option<CameraClass> {
        let configured = self.configured.read().unwrap_or_else(PoisonError::into_inner);
        configured.as_ref().and_then(|cameras| cameras.get(&camera).copied())
    }

    fn knows_camera(&self, camera: CameraNumber) -> bool {
        self.class_of(camera).is_some() || self.vault.has_camera(camera)
    }

    /// Writes a row and applies it (A1).
    fn record(&self, actor: Actor, act: Act) -> Result<Row, AccessError> {
        let row = self.ledger.append(self.now(), actor, act)?;
        self.registry().apply(&row);
        Ok(row)
    }

    /// Grants that have keys, and that are over or never were.
    ///
    /// # Errors
    /// What the disk says.
    pub fn stray_grants(&self) -> Result<Vec<GrantId>, VaultError> {
        // A grant is staged, and gets its row, in one turn.
        let _turn = self.turn();
        let open = self.registry().open_grants();
        Ok(self.grants.list()?.into_iter().filter(|grant| !open.contains(grant)).collect())
    }

    /// Records that the daemon started or stopped.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`].
    pub fn record_daemon(&self, act: Act) -> Result<(), AccessError> {
        self.tell_failures(true)?;
        self.tell_broken_off()?;
        self.record(Actor::Daemon, act).map(drop)
    }

    /// Brings holds and grants into agreement with the ledger: the last step of a start (A5).
    fn reconcile(&self) -> Result<(), AccessError> {
        // A ledger that is not whole says nothing of what may be released.
        if self.ledger.damage().is_some() {
            return Ok(());
        }
        let (held, open_grants) = {
            let registry = self.registry();
            (registry.wanted_holds(), registry.open_grants())
        };
        let mut holds = self.holds();
        let stray: Vec<_> = holds.list().iter().map(|hold| hold.of).collect();
        for of in stray.into_iter().filter(|of| !held.iter().any(|hold| hold.of == *of)) {
            holds.release(of)?;
        }
        let missing: Vec<Hold> = held.into_iter().filter(|hold| !holds.list().contains(hold)).collect();
        for hold in missing {
            holds.place(hold)?;
        }
        drop(holds);
        self.tidy_papers()?;
        self.carry_on_erasures()?;
        for grant in self.grants.list()?.into_iter().filter(|grant| !open_grants.contains(grant)) {
            tracing::warn!(grant = %grant, "keys that no open grant names are destroyed");
            self.grants.destroy(grant)?;
        }
        Ok(())
    }

    /// How many holds no row of the ledger tells of.
    fn strays(&self) -> usize {
        let registry = self.registry();
        let holds = self.holds();
        holds.list().iter().filter(|hold| !registry.knows(hold.of)).count()
    }

    /// Ends what is over by itself. Grants and holds go by the trusted clock: a wall clock that runs ahead only denies, and
    /// destroys nothing. Sessions that are over are wiped. What failed half-way before is brought to its end, and what
    /// waits for somebody is said again.
    ///
    /// # Errors
    /// [`AccessError::NotRecorded`], [`AccessError::Inside`].
    pub fn end_what_is_over(&self) -> Result<(), AccessError> {
        self.sessions.sweep();
        self.tell_failures(false)?;
        self.tell_broken_off()?;
        self.end_rights_that_are_over()?;
        {
            let _turn = self.turn();
            let over = self.registry().grants_over(self.now());
            for grant in over {
                self.record(Actor::Daemon, Act::GrantEnded { grant, why: Some(GrantEnd::Over) })?;
                self.tidied(self.grants.destroy(grant))?;
            }
            self.end_viewings_that_are_over()?;
            self.end_grants_that_are_used_up()?;
        }
        self.say_what_waits();
        self.lapse_holds()?;
        self.erase_papers_that_are_over()?;
        if self.untidy.swap(false, Ordering::Relaxed) {
            let _turn = self.turn();
            self.reconcile().inspect_err(|_| self.untidy.store(true, Ordering::Relaxed))?;
        }
        self.remind_of_requests()
    }
}
