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
//! - A6 A failed flush says nothing of its row. What the row decides about is left as it is then (keys, holds, sealed
//!   files), nothing takes its place while the ledger takes no rows, and the next start settles it.
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
mod partial;
mod passwords;
mod people;
mod periods;
mod proposals;
mod reading;
mod reasons;
mod refused;
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
pub use refused::AccessError;
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
use crate::domain::{CameraClass, CameraNumber, GrantEnd, GrantId, Utc};
use crate::ledger::{Act, Actor, CheckpointMark, Elsewhere, LedgerError, Row, SharedLedger};
use crate::vault::{GrantStore, Hold, Holds, TrustedClock, Vault, VaultError};
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

    /// Writes a row and applies it (A1). Its reason, where it says one, is sealed first.
    fn record(&self, actor: Actor, act: Act) -> Result<Row, AccessError> {
        let (act, sealed) = self.with_reason_sealed(act)?;
        let told = self.ledger.append(self.now(), actor, act).map_err(AccessError::from);
        if let (Err(e), Some((request, sheet))) = (&told, sealed)
            && !e.row_may_stand()
        {
            self.discard_sheet(request, sheet)?;
        }
        let row = told?;
        self.registry().apply(&row);
        Ok(row)
    }

    /// Refuses where no row can follow, before anything is written for one to decide about: what stands in that place may be
    /// of a row whose flush failed, and which stands all the same (A6).
    fn must_take_rows(&self) -> Result<(), AccessError> {
        if self.ledger.is_writable() { Ok(()) } else { Err(LedgerError::Latched.into()) }
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
        // A ledger that is not whole says nothing of what may be released, nor one whose last row may stand or not (A6).
        if self.ledger.damage().is_some() || !self.ledger.is_writable() {
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
        if self.ledger.is_writable() && self.untidy.swap(false, Ordering::Relaxed) {
            let _turn = self.turn();
            self.reconcile().inspect_err(|_| self.untidy.store(true, Ordering::Relaxed))?;
        }
        self.remind_of_requests()
    }
}
