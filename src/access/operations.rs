//! Operations: an operating room's camera films between the start and the end of one, and at no other time.
//!
//! The law has an operation on an unconscious patient filmed when the patient or the guardian asks, or agrees to it
//! (Medical Service Act, article 38-2(2)). Who asked is a person, and that there was an operation is of a patient's health:
//! the name is sealed to the desk, and the row commits to it.
//!
//! - O1 **The row first.** A start that cannot be recorded does not happen (A1): nobody could show later who had asked, and
//!   filming without having been asked is what the law forbids. It is refused while there is still somebody at the button,
//!   who can see to it before the operation begins. The reserve of a full disk's ledger is there for these rows.
//! - O2 **Nothing ends one but a person.** What an operation needs may be long, and an end that came by itself would take
//!   what nobody can film again. One that has been under way for long is an alarm, again and again; recording goes on. So it
//!   does where the end cannot be recorded.
//! - O3 **A start of the daemon neither loses nor makes one**: what is under way is what the rows say (A5), as far as the
//!   ledger is sound. There is no other state. A row whose flush failed was answered with "not recorded"; where the disk took it
//!   all the same it counts from the next start on, which says in the log what is under way.
//! - O4 A camera films one operation at a time, and only a camera of the class `operating-room` films any. Which cameras there
//!   are may change meanwhile: the operation stays under way, and an alarm says that it is not filmed.
//!
//! Order of a start: who asked, sealed to the desk and flushed → the row. Of an end: the row.

use super::registry::Operation;
use super::states::OperationState;
use super::texts::check_text;
use super::versions::Thing;
use super::{Access, AccessError, Caller};
use crate::domain::{AccountId, AskedBy, CameraClass, CameraNumber, OperationId, Role, Utc};
use crate::ledger::Act;
use serde::{Deserialize, Serialize};

/// Who enters what happens in an operating room.
const ENTERS: [Role; 2] = [Role::Staff, Role::Officer];
const READS: [Role; 3] = [Role::Staff, Role::Officer, Role::Auditor];

/// An operation that is to be filmed from now on.
#[derive(Clone, Debug)]
pub struct NewOperation {
    pub camera: CameraNumber,
    pub asked_by: AskedBy,
    /// Who asked, by name.
    pub name: String,
    /// How the request or the consent was given; anything else that is to be known of it.
    pub note: Option<String>,
}

/// What is kept of who asked, sealed to the desk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asker {
    name: String,
    note: Option<String>,
}

/// An operation, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct OperationView {
    pub operation: OperationId,
    /// What changes it may say which version it saw (`If-Match`).
    pub version: u64,
    pub camera: CameraNumber,
    pub asked_by: AskedBy,
    /// `None` where the reader's role does not read persons, or the sealed file is damaged.
    pub name: Option<String>,
    pub note: Option<String>,
    pub started: Utc,
    pub started_by: Option<AccountId>,
    /// `None` while it is under way.
    pub ended: Option<Utc>,
    pub ended_by: Option<AccountId>,
    /// How long it took, or has taken so far, by the trusted clock.
    pub length_s: u64,
    /// It is under way for so long that its end may have been forgotten.
    pub is_long: bool,
}

impl Access {
    /// Begins an operation: its camera films from now on.
    ///
    /// # Errors
    /// [`AccessError::UnknownCamera`], [`AccessError::NotAnOperatingRoom`]; [`AccessError::OperationUnderWay`] where one is
    /// already; what is wrong with the input; [`AccessError::NotRecorded`], and then nothing is filmed.
    pub fn start_operation(&self, caller: &Caller, new: NewOperation) -> Result<OperationView, AccessError> {
        caller.must_be(&ENTERS)?;
        check_text("name", &new.name, true)?;
        check_text("note", new.note.as_deref().unwrap_or_default(), false)?;
        let NewOperation { camera, asked_by, name, note } = new;
        caller.must_reach(&[camera])?;
        match self.class_of(camera) {
            Some(CameraClass::OperatingRoom) => {}
            Some(CameraClass::PublicArea | CameraClass::NonPublic) => {
                return Err(AccessError::NotAnOperatingRoom { camera });
            }
            None => return Err(AccessError::UnknownCamera { camera }),
        }
        let _turn = self.turn();
        let operation = {
            let registry = self.registry();
            if let Some(known) = registry.under_way(camera) {
                return Err(AccessError::OperationUnderWay { operation: known.number, camera, since: known.started });
            }
            registry.next_operation()
        };
        self.must_take_rows()?;
        let persons = self.desk.store(&self.requests_dir, operation, &Asker { name, note })?;
        self.record_made(caller, Act::OperationStarted { operation, camera, asked_by, persons })?;
        self.operation(caller, operation)
    }

    /// Ends an operation: its camera films no more.
    ///
    /// # Errors
    /// [`AccessError::NoSuchOperation`]; [`AccessError::OperationEnded`] for one that has ended;
    /// [`AccessError::NotRecorded`], and then it is filmed on.
    pub fn end_operation(&self, caller: &Caller, operation: OperationId) -> Result<OperationView, AccessError> {
        caller.must_be(&ENTERS)?;
        let _turn = self.turn();
        let known = self.find_operation(operation)?;
        caller.must_reach(&[known.camera])?;
        // Of what is over it says more that it is.
        if let OperationState::Ended { at, .. } = known.state {
            return Err(AccessError::OperationEnded { operation, at });
        }
        self.registry().must_be_as_seen(caller, Thing::Operation(operation))?;
        self.record(caller.actor(), Act::OperationEnded { operation, camera: known.camera })?;
        self.operation(caller, operation)
    }

    /// One operation.
    ///
    /// # Errors
    /// [`AccessError::NoSuchOperation`].
    pub fn operation(&self, caller: &Caller, operation: OperationId) -> Result<OperationView, AccessError> {
        caller.must_be(&READS)?;
        let known = self.find_operation(operation)?;
        caller.must_reach(&[known.camera])?;
        Ok(self.operation_view(caller, &known))
    }

    /// All operations by number: those that are under way, then the others, each the newest first.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for staff, officers and auditors.
    pub fn operation_numbers(&self, caller: &Caller) -> Result<Vec<OperationId>, AccessError> {
        caller.must_be(&READS)?;
        let registry = self.registry();
        let within = registry.operations.values().rev().filter(|operation| caller.reaches(operation.camera));
        let (under_way, ended): (Vec<&Operation>, Vec<&Operation>) =
            within.partition(|operation| matches!(operation.state, OperationState::UnderWay));
        Ok(under_way.into_iter().chain(ended).map(|operation| operation.number).collect())
    }

    /// These operations.
    ///
    /// # Errors
    /// As [`Access::operation`].
    pub fn operations(&self, caller: &Caller, numbers: &[OperationId]) -> Result<Vec<OperationView>, AccessError> {
        numbers.iter().map(|number| self.operation(caller, *number)).collect()
    }

    /// Says in the log what is under way at a start.
    pub(super) fn say_what_is_under_way(&self) {
        for Operation { number, camera, started, .. } in self.registry().all_under_way() {
            tracing::warn!(operation = %number, %camera, since = %started, "an operation is under way, and filmed");
        }
    }

    /// Whether an operation is under way before a camera.
    pub fn operates(&self, camera: CameraNumber) -> bool {
        self.registry().under_way(camera).is_some()
    }

    /// What somebody is to see to about the operations that are under way (O2, O4), and how many there are.
    pub(super) fn operations_that_wait(&self, now: Utc) -> (usize, Vec<String>) {
        let under_way: Vec<Operation> = self.registry().all_under_way().copied().collect();
        let mut alarms = Vec::new();
        for Operation { number, camera, started, .. } in &under_way {
            if self.is_long(*started, now) {
                let hours = self.periods.operation_warn.as_secs() / 3_600;
                alarms.push(format!(
                    "operation {number}, camera {camera}, has been under way since {started}, for more than {hours} hours: \
                     if it is over, staff ends it; until then it is recorded"
                ));
            }
            if self.are_cameras_known() && self.class_of(*camera) != Some(CameraClass::OperatingRoom) {
                alarms.push(format!(
                    "operation {number} is under way, and camera {camera} is no camera of an operating room any more: put its \
                     file right, or have staff end the operation"
                ));
            }
        }
        (under_way.len(), alarms)
    }

    fn is_long(&self, started: Utc, now: Utc) -> bool {
        started.saturating_add(self.periods.operation_warn) <= now
    }

    fn find_operation(&self, operation: OperationId) -> Result<Operation, AccessError> {
        self.registry().operations.get(&operation).copied().ok_or(AccessError::NoSuchOperation)
    }

    fn operation_view(&self, caller: &Caller, operation: &Operation) -> OperationView {
        let Operation { number, camera, asked_by, persons, started, started_by, state } = *operation;
        let read = |desk| self.desk.read::<Asker>(&self.requests_dir, number, persons, desk);
        // One file that is damaged must not take the list of all the others away.
        let asker = caller.desk().filter(|_| self.paper_erased(number).is_none()).and_then(|desk| {
            let told = read(desk);
            told.inspect_err(|e| tracing::error!(operation = %number, error = ?e, "who asked for it cannot be read"))
                .ok()
        });
        let (name, note) = asker.map_or((None, None), |asker| (Some(asker.name), asker.note));
        let (ended, ended_by) = match state {
            OperationState::UnderWay => (None, None),
            OperationState::Ended { at, by } => (Some(at), by),
        };
        OperationView {
            operation: number,
            version: self.version_of(Thing::Operation(number)),
            camera,
            asked_by,
            name,
            note,
            started,
            started_by,
            ended,
            ended_by,
            length_s: ended.unwrap_or_else(|| self.now()).since(started).as_secs(),
            is_long: ended.is_none() && self.is_long(started, self.now()),
        }
    }
}
