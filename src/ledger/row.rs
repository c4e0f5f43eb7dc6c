//! What a row says. The JSON of these types is the format: fields are added, never renamed.

use super::asked::{PapersSeen, ProposedDecision, RequestTerms};
use super::checkpoint::Checkpoint;
use super::decision::Decision;
use super::papers::{LetterDelivered, LetterProduced, PaperErased, RequestReminded};
use super::receipt::{DestructionReceipt, ManifestClosed};
use super::upkeep::{CopyDestroyed, LedgerExport, MonthErased, MonthReview, MonthRoot};
use super::viewed::{ServedFootage, ViewRefusal, ViewingBegun, ViewingEnded};
use crate::crypto::{PublicKey, VerifyingKey};
use crate::domain::request::{Channel, DisputeGround, DisputeOutcome, IdentityDocument, RequestKind};
use crate::domain::{
    AccountId, AskedBy, CameraNumber, Digest, DisputeId, GrantEnd, GrantId, HeldFor, HoldEnd, HoldId, HoldReason,
    LocalDay, OperationId, RequestId, Role, SiteId, Span, Utc, ViewingId,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Who did it, and from where (Safety Measures Notice, article 8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "who")]
pub enum Actor {
    /// A person with an account.
    Person { account: AccountId, address: IpAddr },
    /// Somebody who did not sign in.
    Nobody { address: IpAddr },
    /// Somebody at the machine's console, with the site's files in hand.
    Console,
    /// The daemon by itself.
    Daemon,
}

/// One row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Row {
    pub sequence: u64,
    pub at: Utc,
    pub actor: Actor,
    pub act: Act,
}

fn once() -> u32 {
    1
}

fn is_once(count: &u32) -> bool {
    *count == 1
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Act {
    /// The first row of a file: what comes before it.
    FileOpened {
        site: SiteId,
        previous: Digest,
    },
    /// The site was made.
    SiteMade {
        signer: VerifyingKey,
        desk: PublicKey,
        recovery: PublicKey,
    },
    /// An account was made with a role. Only keys that stand in such a row get anything sealed to them.
    RightsGranted {
        account: AccountId,
        role: Role,
        key: PublicKey,
        release_key: Option<PublicKey>,
        reason: String,
        /// Of these cameras alone; `None`: of all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cameras: Option<Vec<CameraNumber>>,
        /// When they end by themselves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ends: Option<Utc>,
        /// Who asked for it; the row's actor approved it. The accounts that a site begins with have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requester: Option<AccountId>,
    },
    /// An officer asks that an account have these rights. Nothing comes of it unless another one approves. `code` is the
    /// digest of the one-time code of a person who has no account yet, `file` that of the account's file.
    RightsRequested {
        account: AccountId,
        role: Role,
        cameras: Option<Vec<CameraNumber>>,
        ends: Option<Utc>,
        reason: String,
        code: Option<Digest>,
        file: Option<Digest>,
    },
    /// What was asked for was taken back, or refused.
    RightsWithdrawn {
        account: AccountId,
        reason: String,
    },
    RightsChanged {
        account: AccountId,
        was: Role,
        role: Role,
        release_key: Option<PublicKey>,
        cameras: Option<Vec<CameraNumber>>,
        ends: Option<Utc>,
        reason: String,
        requester: Option<AccountId>,
        file: Digest,
    },
    RightsRemoved {
        account: AccountId,
        role: Option<Role>,
        reason: String,
        file: Option<Digest>,
    },
    /// A person chose a password, and these are the public halves of what was made under it. Nothing is sealed to them
    /// until `rights-granted`, or `rights-changed`, names them.
    KeysMade {
        account: AccountId,
        key: PublicKey,
        release_key: Option<PublicKey>,
        file: Digest,
    },
    /// Day keys and the desk's were sealed to an account; `complete` where none was out of reach.
    KeysSealed {
        account: AccountId,
        day_keys: u64,
        complete: bool,
    },
    /// The slots of these keys were overwritten, wherever they stood.
    KeysForgotten {
        keys: Vec<PublicKey>,
        day_keys: u64,
    },
    /// From here on what requests hold of persons is sealed to this pair: somebody who read them left.
    DeskRotated {
        number: u32,
        desk: PublicKey,
    },
    PasswordChanged {
        account: AccountId,
        file: Digest,
    },
    /// An officer had somebody's password and keys destroyed. The person makes new ones with the one-time code.
    PasswordReset {
        account: AccountId,
        reason: String,
        code: Digest,
        file: Digest,
    },
    /// A person set a second factor, with a code of this step.
    SecondFactorSet {
        account: AccountId,
        step: u64,
        file: Digest,
    },
    /// One was used, and cannot be again: the code of a step, or a recovery code by its place.
    SecondFactorUsed {
        account: AccountId,
        step: Option<u64>,
        recovery_code: Option<u8>,
    },
    /// An officer ended somebody's sessions, or somebody their own elsewhere.
    SessionsEnded {
        account: AccountId,
        sessions: u32,
    },
    DaemonStarted {
        version: String,
        demo: bool,
    },
    DaemonStopped,
    SignedIn,
    /// Of one account (none: of no account) from one address. The first of a minute is told at once, those that follow in
    /// that minute in one row behind it.
    SignInFailed {
        account: Option<AccountId>,
        #[serde(default = "once", skip_serializing_if = "is_once")]
        count: u32,
    },
    SignedOut,
    /// Somebody asked. Names and contacts stand in a sealed file; `persons` commits to them.
    RequestSubmitted {
        request: RequestId,
        #[serde(rename = "asked")]
        asked: RequestKind,
        cameras: Vec<CameraNumber>,
        span: Span,
        due: Utc,
        persons: Digest,
        /// How it came, and for whom; rows of the first versions do not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        terms: Option<RequestTerms>,
    },
    /// Nothing is left of what was asked for, or there never was.
    RequestUnavailable {
        request: RequestId,
        reason: String,
    },
    IdentityChecked {
        request: RequestId,
        document: IdentityDocument,
        #[serde(default, skip_serializing_if = "PapersSeen::are_none")]
        seen: PapersSeen,
    },
    /// Somebody proposes a decision, where a site wants two people of different roles for one. Nothing comes of it alone.
    DecisionProposed {
        request: RequestId,
        proposed: ProposedDecision,
    },
    /// Somebody of another role stands by the proposal of this row.
    DecisionSeconded {
        request: RequestId,
        proposal: u64,
    },
    RequestDecided {
        request: RequestId,
        decision: Decision,
    },
    /// Somebody objects to a refusal: it is decided anew.
    RequestObjected {
        request: RequestId,
    },
    /// The answer, and what was granted, reached who asked.
    RequestDelivered {
        request: RequestId,
        channel: Channel,
    },
    /// Who asked takes it back.
    RequestWithdrawn {
        request: RequestId,
        channel: Channel,
    },
    /// What it costs at cost price, and whether that was paid (PIPA 38(3)).
    FeeNoted {
        request: RequestId,
        amount_krw: u32,
        paid: bool,
    },
    RequestClosed {
        request: RequestId,
    },
    /// From here on nobody uses this footage, nor decides over it, until the dispute about it is settled.
    FootageDisputed {
        dispute: DisputeId,
        request: Option<RequestId>,
        cameras: Vec<CameraNumber>,
        span: Span,
        ground: DisputeGround,
    },
    DisputeSettled {
        dispute: DisputeId,
        outcome: DisputeOutcome,
    },
    /// A request's own hold: whatever it asks for.
    HoldPlaced {
        request: RequestId,
        cameras: Vec<CameraNumber>,
        span: Span,
    },
    HoldReleased {
        request: RequestId,
    },
    /// An officer, its owner, has footage held. The text stands sealed to the desk; `text` commits to it.
    HoldOrdered {
        hold: HoldId,
        reason: HoldReason,
        text: Digest,
        cameras: Vec<CameraNumber>,
        span: Span,
        /// When it is to be looked at again.
        review: Utc,
        /// When it ends by itself.
        ends: Option<Utc>,
    },
    /// Another officer stands by a hold: by its terms, or by the size of a request's own.
    HoldConfirmed {
        of: HeldFor,
    },
    /// A hold was looked at again, and stays.
    HoldExtended {
        hold: HoldId,
        review: Utc,
        ends: Option<Utc>,
    },
    HoldEnded {
        hold: HoldId,
        end: HoldEnd,
    },
    /// From here on an operating room's camera films. Who asked stands in a sealed file; `persons` commits to it.
    OperationStarted {
        operation: OperationId,
        camera: CameraNumber,
        asked_by: AskedBy,
        persons: Digest,
    },
    OperationEnded {
        operation: OperationId,
        camera: CameraNumber,
    },
    GrantEnded {
        grant: GrantId,
        /// Rows of the first versions have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<GrantEnd>,
    },
    LetterProduced(LetterProduced),
    LetterDelivered(LetterDelivered),
    RequestReminded(RequestReminded),
    /// Requests were searched by a name. Which one is told nowhere.
    RequestsSearched {
        hits: u32,
    },
    PaperErased(PaperErased),
    /// A viewer sits down before what a grant names. Stands before the first picture, and counts from then on, whatever
    /// comes of it.
    ViewingBegun(ViewingBegun),
    ViewingEnded(ViewingEnded),
    /// Stands before the first byte of a picture leaves.
    ViewIntended {
        grant: GrantId,
        request: RequestId,
        camera: CameraNumber,
        span: Span,
        /// Rows of the first versions have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        viewing: Option<ViewingId>,
        /// It leaves as a part of a copy.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        copy: bool,
    },
    /// What did leave; `intended` is the row of the intent.
    ViewServed {
        intended: u64,
        frames: u32,
        bytes: u64,
        /// Of what; rows of the first versions have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<ServedFootage>,
    },
    ViewRefused {
        request: Option<RequestId>,
        camera: Option<CameraNumber>,
        span: Option<Span>,
        why: ViewRefusal,
    },
    FootageDestroyed(DestructionReceipt),
    ManifestClosed(ManifestClosed),
    /// An officer confirms what was destroyed on a day, and that it ran (Standard Guidelines, article 42(2)).
    DestructionConfirmed {
        day: LocalDay,
        /// The newest of the day's rows; those that come later are not confirmed.
        up_to: u64,
        rows: u32,
        /// Of these, rows whose overwriting was not proven. They are acknowledged in words.
        failures: u32,
        acknowledged: Option<String>,
        /// Of the report as it was shown (docs/format.md, section 9).
        report: Digest,
        /// Date and time as the officer saw them on a clock of their own.
        stated: Utc,
    },
    /// Somebody with the disks and a private key takes footage out of the vault. Stands before the first picture does.
    FootageRecovered {
        /// The public half of the key in hand.
        key: PublicKey,
        cameras: Vec<CameraNumber>,
        span: Span,
        segments: u32,
    },
    LedgerRead,
    /// Somebody who may not read the ledger tried to.
    LedgerRefused,
    /// A part of it left the system. Stands before the first byte does.
    LedgerExported(LedgerExport),
    /// An officer reviewed a month (Safety Measures Notice, article 8(2)).
    LedgerReviewed(MonthReview),
    /// A month past its period is going to be erased: what follows on it begins at this root. Stands before that.
    LedgerMonthEnding(MonthRoot),
    /// It is erased: the receipt.
    LedgerMonthErased(MonthErased),
    /// Prints, or copies that were handed out, were destroyed. Entered by hand.
    CopyDestroyed(CopyDestroyed),
    /// At a start the wall clock was believed to have gone forward so far; `stepped_s` is how much of that there was
    /// since somebody last vouched for the time.
    ClockStepped {
        before: Utc,
        after: Utc,
        stepped_s: u64,
    },
    /// At a start the wall clock could not be believed: what is recorded from here on is marked.
    ClockInDoubt {
        trusted: Utc,
        wall: Utc,
        stepped_s: u64,
        limit_s: u64,
    },
    /// A synchronised clock moved the trusted time by a minute or more, or ended a doubt.
    ClockSynchronised {
        before: Utc,
        after: Utc,
        in_doubt: bool,
    },
    /// An officer confirmed date and time. Stands before the trusted time moves; `destroys` is how many segments were
    /// said to fall due by it, where that had to be said.
    ClockConfirmed {
        before: Utc,
        after: Utc,
        wall: Utc,
        in_doubt: bool,
        stepped_s: u64,
        destroys: Option<u64>,
    },
    Checkpoint(Checkpoint),
    /// What this person's next row makes was asked for under an idempotency key: asked for again, it is told again. `key` is a
    /// digest of the key with the account, `body` one of what was asked for, under the key.
    Once {
        key: Digest,
        body: Digest,
    },
}
