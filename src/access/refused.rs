//! Why something was not done.

use super::{ViewingRefused, WeakPassword};
use crate::domain::request::DisputeGround;
use crate::domain::{CameraNumber, DisputeId, OperationId, Utc};
use crate::ledger::LedgerError;
use crate::vault::{ClockRefusal, VaultError};

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

impl AccessError {
    /// Whether the row may stand although this was told: what it decides about is left as it is, and the next start settles
    /// it.
    pub(super) fn row_may_stand(&self) -> bool {
        matches!(self, AccessError::NotRecorded(why) if why.row_may_stand())
    }
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
