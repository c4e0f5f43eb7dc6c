//! A request's way from the counter to its end, except for the decision itself.

use super::decisions::Steps;
use super::registry::{Request, RequestState, existence_answer};
use super::{Access, AccessError, Caller};
use crate::domain::request::{IdentityDocument, RequestKind};
use crate::domain::{AccountId, CameraNumber, GrantId, RequestId, Role, Span, Utc};
use crate::ledger::{Act, GrantedView};
use crate::vault::{Availability, Hold};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const CAMERAS_LIMIT: usize = 128;
/// How long a picture may be on its way from a camera into the index: the frames of a fragment, its writing.
const STILL_COMING: Duration = Duration::from_secs(15);
const TEXT_LIMIT_CHARS: usize = 2_000;

pub(super) const A_VOLUME_IS_AWAY: &str =
    "a volume that may hold it is not there at the moment; tell the installer, and ask again when it is back";

/// What a request holds of the person who asks. It is sealed to the desk; no identity number has a place here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonFields {
    pub name: String,
    pub contact: String,
    #[serde(default)]
    pub birth_date: Option<String>,
    #[serde(default)]
    pub relation: Option<String>,
}

impl std::fmt::Debug for PersonFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PersonFields")
    }
}

/// What is stored of persons, with the purpose: it may name people too.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Persons {
    person: PersonFields,
    purpose: String,
}

/// A request as it is entered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    pub kind: RequestKind,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub purpose: String,
    pub person: PersonFields,
}

/// A request as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct RequestView {
    pub number: RequestId,
    pub kind: RequestKind,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub state: &'static str,
    pub received: Utc,
    pub due: Utc,
    pub entered_by: Option<AccountId>,
    pub document: Option<IdentityDocument>,
    pub answer: Option<String>,
    pub grant: Option<GrantId>,
    pub granted: Vec<GrantedView>,
    /// The hull of what was granted.
    pub granted_span: Option<Span>,
    pub held: bool,
    /// How far the decision has come, while it is being carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deciding: Option<Steps>,
    pub purpose: Option<String>,
    pub person: Option<PersonFields>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub availability: BTreeMap<CameraNumber, Vec<Availability>>,
}

impl NewRequest {
    fn check(&self) -> Result<(), AccessError> {
        let bad = |field, what| Err(AccessError::BadInput { field, what });
        if self.cameras.is_empty() || self.cameras.len() > CAMERAS_LIMIT {
            return bad("cameras", "name between 1 and 128 cameras");
        }
        let none = String::new();
        let texts = [
            ("purpose", &self.purpose, true),
            ("name", &self.person.name, true),
            ("contact", &self.person.contact, true),
            ("birth_date", self.person.birth_date.as_ref().unwrap_or(&none), false),
            ("relation", self.person.relation.as_ref().unwrap_or(&none), false),
        ];
        let mut named = self.cameras.clone();
        named.sort_unstable();
        named.dedup();
        if named.len() < self.cameras.len() {
            return bad("cameras", "name each camera once");
        }
        for (field, text, is_wanted) in texts {
            if is_wanted && text.trim().is_empty() {
                return bad(field, "is wanted");
            }
            if text.chars().count() > TEXT_LIMIT_CHARS {
                return bad(field, "is too long");
            }
            if holds_id_number(text) {
                return Err(AccessError::IdNumber { field });
            }
        }
        Ok(())
    }
}

/// Whether a text seems to hold a resident registration number (13 digits, as 6 and 7), a driver's licence (12 digits,
/// as 2, 2, 6 and 2) or a passport number (a letter and 8 digits). They are never stored (PIPA 24-2).
fn holds_id_number(text: &str) -> bool {
    let mut groups: Vec<usize> = Vec::new();
    let mut digits = 0;
    let mut letter_before = false;
    let mut previous = ' ';
    for c in text.chars().chain(std::iter::once('\n')) {
        if c.is_ascii_digit() {
            if digits == 0 {
                letter_before = previous.is_ascii_uppercase();
            }
            digits += 1;
        } else {
            if digits > 0 {
                groups.push(digits);
                if digits == 13 || (letter_before && digits == 8) {
                    return true;
                }
            }
            let joins = c == '-' && digits > 0;
            if groups.ends_with(&[6, 7]) || groups.ends_with(&[2, 2, 6, 2]) {
                return true;
            }
            if !joins {
                groups.clear();
            }
            digits = 0;
        }
        previous = c;
    }
    false
}

impl Access {
    /// Enters a request. The footage asked for is frozen before this answers (A2). Where nothing is left of it, the
    /// request is answered at once: unavailable, with the cause.
    ///
    /// # Errors
    /// What is wrong with the input; [`AccessError::NotRecorded`], and then nothing was entered.
    pub fn submit(&self, caller: &Caller, new: NewRequest) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff])?;
        new.check()?;
        if let Some(camera) = new.cameras.iter().find(|camera| !self.knows_camera(**camera)) {
            return Err(AccessError::UnknownCamera { camera: *camera });
        }
        let now = self.later();
        if new.span.to() > now {
            return Err(AccessError::SpanInFuture);
        }
        let _turn = self.turn();
        let request = self.registry().next_request();
        let persons = Persons { person: new.person, purpose: new.purpose };
        let committed = self.desk.store(&self.requests_dir, request, &persons)?;
        let hold = Hold { request, cameras: new.cameras.clone(), span: new.span };
        self.holds().place(hold.clone())?;
        let entered = self.enter(caller, &hold, new.kind, committed, now);
        let left = match entered {
            Ok(left) => left,
            Err(e) => {
                // A request that has its row keeps its hold, whatever failed after it.
                if self.find_request(request).is_err() {
                    self.holds().release(request)?;
                }
                return Err(e);
            }
        };
        if !left {
            self.holds().release(request)?;
        }
        self.request(caller, request)
    }

    /// Writes the rows of a submission; tells whether any footage is left.
    fn enter(
        &self,
        caller: &Caller,
        hold: &Hold,
        asked: RequestKind,
        persons: crate::domain::Digest,
        now: Utc,
    ) -> Result<bool, AccessError> {
        let Hold { request, cameras, span } = hold.clone();
        let mut pieces = Vec::new();
        for camera in &cameras {
            pieces.extend(self.vault.availability(*camera, span, now)?);
        }
        let due = self.now().saturating_add(self.periods.due);
        let submitted = Act::RequestSubmitted { request, asked, cameras: cameras.clone(), span, due, persons };
        self.record(caller.actor(), submitted)?;
        // What stands on a volume that is away is not gone, and what was filmed just now may still be on its way.
        let is_certain = self.vault.away().is_empty() && span.to().saturating_add(STILL_COMING) <= now;
        match nothing_left(&pieces).filter(|_| is_certain) {
            None => {
                self.record(caller.actor(), Act::HoldPlaced { request, cameras, span })?;
                Ok(true)
            }
            Some(reason) => {
                self.record(caller.actor(), Act::RequestUnavailable { request, reason })?;
                Ok(false)
            }
        }
    }

    /// Records by which document the person was identified. Its number has no place to be written.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] unless the request is submitted.
    pub fn check_identity(
        &self,
        caller: &Caller,
        request: RequestId,
        document: IdentityDocument,
    ) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff])?;
        self.record_of(caller, request, Act::IdentityChecked { request, document })?;
        self.request(caller, request)
    }

    /// Closes a decided request: its grant ends, its keys are destroyed, its hold is released.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] unless it is decided.
    pub fn close(&self, caller: &Caller, request: RequestId) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer])?;
        self.record_of(caller, request, Act::RequestClosed { request })?;
        let grant = match &self.find_request(request)?.state {
            RequestState::Closed { grant, .. } => *grant,
            _ => None,
        };
        // It is closed. One step that fails keeps no other from being done; what is left over is tidied up later.
        let mut told = Ok(());
        if let Some(grant) = grant {
            told = told.and(self.record(caller.actor(), Act::GrantEnded { grant }).map(drop));
            told = told.and(self.tidied(self.grants.destroy(grant)));
        }
        told = told.and(self.record(caller.actor(), Act::HoldReleased { request }).map(drop));
        let released = self.holds().release(request);
        told = told.and(self.tidied(released));
        told?;
        self.request(caller, request)
    }

    /// Writes a row of a request if its state lets it follow: of two people at once, one is told of the other.
    fn record_of(&self, caller: &Caller, request: RequestId, act: Act) -> Result<(), AccessError> {
        let _turn = self.turn();
        self.must_follow(request, &act)?;
        self.record(caller.actor(), act).map(drop)
    }

    /// One request, with what there is of the footage asked for.
    ///
    /// # Errors
    /// [`AccessError::NoSuchRequest`].
    pub fn request(&self, caller: &Caller, request: RequestId) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer, Role::Auditor])?;
        let found = self.find_request(request)?;
        let mut view = self.view(&found, self.persons(caller, &found)?);
        for camera in &found.cameras {
            view.availability.insert(*camera, self.vault.availability(*camera, found.span, self.later())?);
        }
        Ok(view)
    }

    /// All requests, newest first.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`].
    pub fn requests(&self, caller: &Caller) -> Result<Vec<RequestView>, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer, Role::Auditor])?;
        let all: Vec<Request> = self.registry().requests.values().rev().cloned().collect();
        let view = |request: &Request| {
            // One file that is damaged must not take the list of all the others away.
            let persons = self.persons(caller, request).unwrap_or_else(|e| {
                tracing::error!(request = %request.number, error = ?e, "what a request holds of persons cannot be read");
                None
            });
            self.view(request, persons)
        };
        Ok(all.iter().map(view).collect())
    }

    /// What there is of a camera in a span.
    ///
    /// # Errors
    /// [`AccessError::UnknownCamera`].
    pub fn availability(
        &self,
        caller: &Caller,
        camera: CameraNumber,
        span: Span,
    ) -> Result<Vec<Availability>, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer])?;
        if !self.knows_camera(camera) {
            return Err(AccessError::UnknownCamera { camera });
        }
        Ok(self.vault.availability(camera, span, self.later())?)
    }

    pub(super) fn find_request(&self, request: RequestId) -> Result<Request, AccessError> {
        self.registry().requests.get(&request).cloned().ok_or(AccessError::NoSuchRequest)
    }

    /// Whether the request's state lets an act follow.
    pub(super) fn must_follow(&self, request: RequestId, act: &Act) -> Result<Request, AccessError> {
        let found = self.find_request(request)?;
        match found.state.apply(act) {
            Some(_) => Ok(found),
            None => Err(AccessError::WrongState { state: found.state.name() }),
        }
    }

    fn persons(&self, caller: &Caller, request: &Request) -> Result<Option<Persons>, AccessError> {
        let Some(desk) = caller.desk() else { return Ok(None) };
        self.desk.read(&self.requests_dir, request.number, request.persons, desk).map(Some)
    }

    fn deciding(&self, request: RequestId) -> Option<Steps> {
        self.registry().deciding.get(&request).map(|deciding| deciding.steps())
    }

    /// How far the decision of a request has come; `None` while nobody decides it.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] for others than officers; [`AccessError::NoSuchRequest`].
    pub fn decision_steps(&self, caller: &Caller, request: RequestId) -> Result<Option<Steps>, AccessError> {
        caller.must_be(&[Role::Officer])?;
        if !self.registry().requests.contains_key(&request) {
            return Err(AccessError::NoSuchRequest);
        }
        Ok(self.deciding(request))
    }

    fn view(&self, request: &Request, persons: Option<Persons>) -> RequestView {
        let (document, answer, grant) = match &request.state {
            RequestState::Submitted => (None, None, None),
            RequestState::Identified { document } => (Some(*document), None, None),
            RequestState::Approved { document, grant } => (Some(*document), None, Some(*grant)),
            RequestState::Confirmed { document, exists } => {
                (Some(*document), Some(existence_answer(*exists).to_owned()), None)
            }
            RequestState::Refused { document, ground, reason } => {
                (Some(*document), Some(format!("{ground}: {reason}")), None)
            }
            RequestState::Unavailable { reason } => (None, Some(format!("unavailable: {reason}")), None),
            RequestState::Closed { document, grant, answer } => (*document, answer.clone(), *grant),
        };
        let granted = grant
            .and_then(|grant| self.registry().grants.get(&grant).map(|grant| grant.views.clone()))
            .unwrap_or_default();
        let (person, purpose) = persons.map(|persons| (persons.person, persons.purpose)).unzip();
        RequestView {
            number: request.number,
            kind: request.kind,
            cameras: request.cameras.clone(),
            span: request.span,
            state: request.state.name(),
            received: request.received,
            due: request.due,
            entered_by: request.entered_by,
            document,
            answer,
            grant,
            deciding: self.deciding(request.number),
            granted_span: granted.iter().map(|view| view.span).reduce(Span::hull),
            granted,
            held: self.holds().list().iter().any(|hold| hold.request == request.number),
            purpose,
            person,
            availability: BTreeMap::new(),
        }
    }
}

/// Why there is nothing to be seen; `None` where there is something.
pub(super) fn nothing_left(pieces: &[Availability]) -> Option<String> {
    let mut reason = None;
    for piece in pieces {
        match piece {
            Availability::Footage { .. } => return None,
            Availability::Destroyed { at, trigger, .. } => reason = Some(format!("{} on {at}", trigger.past())),
            Availability::Gap { cause, .. } => {
                reason.get_or_insert_with(|| cause.to_string());
            }
        }
    }
    Some(reason.unwrap_or_else(|| "nothing was recorded then".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_numbers_are_seen_and_phone_numbers_and_dates_are_not() {
        for text in ["900101-1234567", "주민 9001011234567.", "11-12-345678-90", "M12345678", "passport: M12345678"] {
            assert!(holds_id_number(text), "{text}");
        }
        for text in
            ["010-1234-5678", "02-123-4567", "1990-01-01", "2026-11-22 14:05", "room 12, 3rd floor", "", "20261122-14"]
        {
            assert!(!holds_id_number(text), "{text}");
        }
    }
}
