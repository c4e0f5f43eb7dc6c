//! A request's way from the counter to its end, except for the decision itself.

use super::decisions::Steps;
use super::holds::RequestHold;
use super::requested::{Checked, DecidedBy, Delivered, Fee, Proposal, Request};
use super::submission::Persons;
use super::versions::Thing;
use super::{Access, AccessError, Caller, NewRequest, PersonFields};
use crate::domain::request::{Capacity, IdentityDocument, ProvisionBasis, RequestKind};
use crate::domain::{
    AccountId, CameraNumber, DestructionTrigger, Digest, DisputeId, GapCause, GrantId, HeldFor, RequestId, Role, Span,
    Utc,
};
use crate::ledger::{Act, GrantConditions, GrantedView, KeptView, PapersSeen, RequestTerms, Rest};
use crate::vault::{Availability, Hold};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const CAMERAS_LIMIT: usize = 128;
/// How long a picture may be on its way from a camera into the index: the frames of a fragment, its writing.
const STILL_COMING: Duration = Duration::from_secs(15);

pub(super) const A_VOLUME_IS_AWAY: &str =
    "a volume that may hold it is not there at the moment; tell the installer, and ask again when it is back";

/// How a person was identified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    pub document: IdentityDocument,
    pub seen: PapersSeen,
}

impl From<IdentityDocument> for Identity {
    fn from(document: IdentityDocument) -> Self {
        Self { document, seen: PapersSeen::default() }
    }
}

/// A request as it is shown.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RequestView {
    pub number: RequestId,
    /// What changes it may say which version it saw (`If-Match`).
    pub version: u64,
    pub kind: RequestKind,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub state: &'static str,
    pub received: Utc,
    pub entered: Utc,
    pub due: Utc,
    pub entered_by: Option<AccountId>,
    /// How it came, and for whom; `None` for requests of the first versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms: Option<RequestTerms>,
    pub document: Option<IdentityDocument>,
    /// Who checked the identity, when, and which other papers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<Checked>,
    /// A decision that waits for a second person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
    /// Whether a decision takes two people here: it is proposed first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    pub two_decide: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<DecidedBy>,
    /// Until when the person may object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objection_until: Option<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Delivered>,
    /// The dispute that blocks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispute: Option<DisputeId>,
    pub answer: Option<String>,
    /// Why a part of it was not approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    pub grant: Option<GrantId>,
    pub granted: Vec<GrantedView>,
    /// Within what it may be watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<GrantConditions>,
    /// The hull of what was granted.
    pub granted_span: Option<Span>,
    /// What was erased on the person's wish, and what of that stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub erased: Vec<GrantedView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub kept: Vec<KeptView>,
    pub held: bool,
    /// Its own hold, while that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<RequestHold>,
    /// How far the decision has come, while it is being carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deciding: Option<Steps>,
    pub purpose: Option<String>,
    pub person: Option<PersonFields>,
    /// When what it held of persons was erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persons_erased: Option<Utc>,
    /// Who it is about, where another one asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<PersonFields>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default)]
    pub availability: BTreeMap<CameraNumber, Vec<Availability>>,
}

/// Refuses no cameras, too many, and the same twice.
pub(super) fn check_cameras(cameras: &[CameraNumber]) -> Result<(), AccessError> {
    let bad = |what| Err(AccessError::BadInput { field: "cameras", what });
    if cameras.is_empty() || cameras.len() > CAMERAS_LIMIT {
        return bad("name between 1 and 128 cameras");
    }
    let named: BTreeSet<_> = cameras.iter().collect();
    if named.len() < cameras.len() { bad("name each camera once") } else { Ok(()) }
}

impl Access {
    /// Enters a request. The footage asked for is frozen before this answers (A2). Where nothing is left of it, the
    /// request is answered at once: unavailable, with the cause.
    ///
    /// # Errors
    /// What is wrong with the input; [`AccessError::NotRecorded`], and then nothing was entered.
    pub fn submit(&self, caller: &Caller, new: NewRequest) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff])?;
        let (kind, cameras, span) = (new.kind, new.cameras.clone(), new.span);
        let times = (self.now(), self.later());
        let (terms, persons) = new.checked(&self.periods.requests, &self.periods.time_zone, times)?;
        caller.must_reach(&cameras)?;
        let later = times.1;
        self.must_be_filmed(&cameras, span, later)?;
        self.must_be_the_right_way(kind, &cameras, span, later)?;
        let _turn = self.turn();
        self.must_take_rows()?;
        let request = self.registry().next_request();
        let committed = self.desk.store(&self.requests_dir, request, &persons)?;
        let hold = Hold::of_request(request, cameras, span);
        self.holds().place(hold.clone())?;
        let entered = self.enter(caller, (request, &hold), kind, (terms, committed), later);
        let left = match entered {
            Ok(left) => left,
            Err(e) => {
                // A request that has its row keeps its hold, whatever failed after it.
                if self.find_request(request).is_err() && !e.row_may_stand() {
                    self.holds().release(hold.of)?;
                }
                return Err(e);
            }
        };
        if !left {
            self.holds().release(hold.of)?;
        }
        self.request(caller, request)
    }

    /// Writes the rows of a submission; tells whether any footage is left.
    fn enter(
        &self,
        caller: &Caller,
        (request, hold): (RequestId, &Hold),
        asked: RequestKind,
        (terms, persons): (RequestTerms, Digest),
        now: Utc,
    ) -> Result<bool, AccessError> {
        let Hold { cameras, span, .. } = hold.clone();
        let nothing_left = self.nothing_left(&cameras, span, now)?;
        // It runs from when the request arrived, however it did and whoever has to come in person.
        let due = self.due_of(terms.received);
        let terms = Some(terms);
        let submitted = Act::RequestSubmitted { request, asked, cameras: cameras.clone(), span, due, persons, terms };
        self.record_made(caller, submitted)?;
        match nothing_left {
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

    /// Refuses cameras that nobody knows, and what was not filmed yet.
    pub(super) fn must_be_filmed(&self, cameras: &[CameraNumber], span: Span, now: Utc) -> Result<(), AccessError> {
        if let Some(camera) = cameras.iter().find(|camera| !self.knows_camera(**camera)) {
            return Err(AccessError::UnknownCamera { camera: *camera });
        }
        if span.to() > now { Err(AccessError::SpanInFuture) } else { Ok(()) }
    }

    /// Why there is nothing left of any of these cameras; `None` where there is something, or may be: what stands on a
    /// volume that is away is not gone, and what was filmed just now may still be on its way.
    pub(super) fn nothing_left(
        &self,
        cameras: &[CameraNumber],
        span: Span,
        now: Utc,
    ) -> Result<Option<String>, AccessError> {
        let mut pieces = Vec::new();
        for camera in cameras {
            pieces.extend(self.vault.availability(*camera, span, now)?);
        }
        let is_certain = self.vault.away().is_empty() && span.to().saturating_add(STILL_COMING) <= now;
        Ok(nothing_left(&pieces).filter(|_| is_certain))
    }

    /// Records by which document the person was identified, and which other papers were seen. Numbers have no place to be
    /// written.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] unless the request is submitted; [`AccessError::PaperWanted`].
    pub fn check_identity(
        &self,
        caller: &Caller,
        request: RequestId,
        identity: impl Into<Identity>,
    ) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff])?;
        let Identity { document, seen } = identity.into();
        self.papers_must_do(&self.find_request(request)?, document, seen)?;
        self.record_of(caller, request, Act::IdentityChecked { request, document, seen })?;
        self.request(caller, request)
    }

    /// Which papers have to be seen of whom (PIPA 38, Decree 45 and 46; MSA 38-2(5)).
    fn papers_must_do(&self, found: &Request, document: IdentityDocument, seen: PapersSeen) -> Result<(), AccessError> {
        let wanted = |what| Err(AccessError::PaperWanted { what });
        if self.periods.requests.identity_in_person && !seen.in_person {
            return wanted("the person, with the document in hand: this site wants that,");
        }
        let is_authority = found.capacity() == Capacity::Authority;
        if is_authority != (document == IdentityDocument::OfficialLetter) {
            return wanted(if is_authority { "the authority's letter" } else { "a document of the person" });
        }
        if found.capacity().wants_power_of_attorney() && !seen.power_of_attorney {
            return wanted("the power of attorney");
        }
        if found.capacity() == Capacity::Guardian && !seen.guardianship {
            return wanted("that the person is the legal guardian");
        }
        let by_consent = found.terms.and_then(|terms| terms.provision);
        let by_consent = by_consent.is_some_and(|provision| provision.basis == ProvisionBasis::Consent);
        match found.kind {
            RequestKind::OperatingRoomMediation if !seen.consent => {
                wanted("the consent of the patient or of the guardian")
            }
            RequestKind::OperatingRoomConsent if !seen.consent => {
                wanted("the consent of the patient and of everybody who took part")
            }
            RequestKind::Provision if by_consent && !seen.consent => wanted("the person's consent"),
            RequestKind::ExistenceCheck
            | RequestKind::Viewing
            | RequestKind::Copy
            | RequestKind::Erasure
            | RequestKind::Provision
            | RequestKind::OwnUse
            | RequestKind::OperatingRoomAuthority
            | RequestKind::OperatingRoomMediation
            | RequestKind::OperatingRoomConsent => Ok(()),
        }
    }

    /// Records that the person objects to a refusal, or to what of a part was not approved: an officer decides anew, and what
    /// was asked for stays.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] unless it was refused, wholly or in part, and only until its hold has lapsed.
    pub fn object(&self, caller: &Caller, request: RequestId) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer])?;
        self.record_of(caller, request, Act::RequestObjected { request })?;
        self.request(caller, request)
    }

    /// Writes a row of a request if its state lets it follow: of two people at once, one is told of the other.
    pub(super) fn record_of(&self, caller: &Caller, request: RequestId, act: Act) -> Result<(), AccessError> {
        let _turn = self.turn();
        self.registry().must_be_as_seen(caller, Thing::Request(request))?;
        caller.must_reach(&self.must_follow(request, &act)?.cameras)?;
        self.record(caller.actor(), act).map(drop)
    }

    /// One request, with what there is of the footage asked for.
    ///
    /// # Errors
    /// [`AccessError::NoSuchRequest`].
    pub fn request(&self, caller: &Caller, request: RequestId) -> Result<RequestView, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer, Role::Auditor])?;
        let found = self.find_request(request)?;
        caller.must_reach(&found.cameras)?;
        let mut view = self.view(caller, &found, self.persons(caller, &found)?);
        for camera in &found.cameras {
            view.availability.insert(*camera, self.vault.availability(*camera, found.span, self.later())?);
        }
        Ok(view)
    }

    /// A request as it stands in a list.
    pub(super) fn line_of(&self, caller: &Caller, request: &Request) -> RequestView {
        // One file that is damaged must not take the list of all the others away.
        let persons = self.persons(caller, request).unwrap_or_else(|e| {
            tracing::error!(request = %request.number, error = ?e, "what a request holds of persons cannot be read");
            None
        });
        self.view(caller, request, persons)
    }

    /// The names of everybody whom a request tells of; none where the reader may not know them, or they are erased.
    pub(super) fn names_in(&self, caller: &Caller, request: &Request) -> Result<Vec<String>, AccessError> {
        let persons = self.persons(caller, request)?;
        let names = |persons: Persons| {
            let subject = persons.subject.map(|subject| subject.name);
            [Some(persons.person.name), subject, persons.recipient].into_iter().flatten().collect()
        };
        Ok(persons.map(names).unwrap_or_default())
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
        caller.must_reach(&[camera])?;
        Ok(self.vault.availability(camera, span, self.later())?)
    }

    pub(super) fn find_request(&self, request: RequestId) -> Result<Request, AccessError> {
        self.registry().requests.get(&request).cloned().ok_or(AccessError::NoSuchRequest)
    }

    /// Whether the request's state lets an act follow.
    pub(super) fn must_follow(&self, request: RequestId, act: &Act) -> Result<Request, AccessError> {
        let found = self.find_request(request)?;
        let lapsed = found.hold_has_ended && matches!(act, Act::RequestObjected { .. });
        match found.state.apply(act, self.now()) {
            Some(_) if !lapsed => Ok(found),
            Some(_) => Err(AccessError::WrongState { state: "past the time to object" }),
            None => Err(AccessError::WrongState { state: found.state.name() }),
        }
    }

    pub(super) fn persons(&self, caller: &Caller, request: &Request) -> Result<Option<Persons>, AccessError> {
        let Some(desk) = caller.desk() else { return Ok(None) };
        if self.paper_erased(request.number).is_some() {
            return Ok(None);
        }
        self.desk.read(&self.requests_dir, request.number, request.persons, desk).map(Some)
    }

    /// Name, contact and purpose, for the management ledger; `None` for who may not read persons.
    pub(super) fn party_of(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Option<(String, String, String)>, AccessError> {
        let persons = self.persons(caller, request)?;
        Ok(persons.map(|persons| {
            let name = persons.person.name;
            let party = persons.recipient.map_or(name.clone(), |recipient| format!("{recipient} ({name})"));
            (party, persons.person.contact, persons.purpose)
        }))
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

    fn view(&self, caller: &Caller, request: &Request, persons: Option<Persons>) -> RequestView {
        let grant = request.state.grant();
        let (granted, conditions, dispute) = {
            let registry = self.registry();
            let known = grant.and_then(|grant| registry.grants.get(&grant));
            let dispute = registry.disputes.over_request(request.number, &request.cameras, request.span);
            (
                known.map(|grant| grant.views.clone()).unwrap_or_default(),
                known.map(|grant| grant.conditions.clone()),
                dispute.map(|dispute| dispute.dispute),
            )
        };
        let (mut purpose, mut person, mut others) = (None, None, (None, None, None, None));
        if let Some(read) = persons {
            (purpose, person) = (Some(read.purpose), Some(read.person));
            others = (read.subject, read.urgent, read.place, read.recipient);
        }
        let (subject, urgent, place, recipient) = others;
        RequestView {
            number: request.number,
            version: self.version_of(Thing::Request(request.number)),
            kind: request.kind,
            cameras: request.cameras.clone(),
            span: request.span,
            state: request.state.name(),
            received: request.received,
            entered: request.entered,
            due: self.due_now(request),
            entered_by: request.entered_by,
            terms: request.terms,
            document: request.state.document(),
            checked: request.checked,
            proposal: request.proposal.clone().map(|known| Proposal {
                proposed: self.proposal_in_words(caller, request.number, known.proposed),
                ..known
            }),
            two_decide: self.periods.requests.second_approver,
            decided: request.decided,
            objection_until: request.state.objection_until(),
            fee: request.fee,
            delivered: request.delivered,
            dispute,
            answer: self.answer_in_words(caller, request),
            rest: self.rest_of(request).map(|rest| self.rest_in_words(caller, request.number, &rest)),
            grant,
            deciding: self.deciding(request.number),
            granted_span: granted.iter().map(|view| view.span).reduce(Span::hull),
            granted,
            conditions,
            erased: request.erased.clone(),
            kept: request.kept.clone(),
            held: self.holds().list().iter().any(|hold| hold.of == HeldFor::Request(request.number)),
            hold: request.holds().then(|| RequestHold::of(request)),
            purpose,
            person,
            persons_erased: self.paper_erased(request.number),
            subject,
            urgent,
            place,
            recipient,
            availability: BTreeMap::new(),
        }
    }
}

/// Why there is nothing to be seen; `None` where there is something. Each cause once: what was destroyed first, by why and
/// with the last time, then gaps in their order.
pub(super) fn nothing_left(pieces: &[Availability]) -> Option<String> {
    let mut destroyed: Vec<(DestructionTrigger, Utc)> = Vec::new();
    let mut causes: Vec<GapCause> = Vec::new();
    for piece in pieces {
        match piece {
            Availability::Footage { .. } => return None,
            Availability::Destroyed { at, trigger, .. } => {
                match destroyed.iter_mut().find(|(known, _)| known.past() == trigger.past()) {
                    Some((_, last)) => *last = (*last).max(*at),
                    None => destroyed.push((*trigger, *at)),
                }
            }
            Availability::Gap { cause, .. } if causes.contains(cause) => {}
            Availability::Gap { cause, .. } => causes.push(*cause),
        }
    }
    let destroyed = destroyed.into_iter().map(|(trigger, at)| format!("{} on {at}", trigger.past()));
    let told: Vec<String> = destroyed.chain(causes.iter().map(ToString::to_string)).collect();
    Some(if told.is_empty() { "nothing was recorded then".to_owned() } else { told.join("; ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unavailable_is_told_with_every_cause_once() {
        let span = |from: i64, to: i64| Span::new(Utc::from_micros(from), Utc::from_micros(to)).unwrap();
        let gap = |from, cause| Availability::Gap { span: span(from, from + 1), cause };
        let destroyed = |at: i64, trigger| Availability::Destroyed {
            span: span(0, 1),
            at: Utc::from_micros(at * 1_000_000),
            trigger,
            in_doubt: false,
        };
        assert_eq!(nothing_left(&[]).as_deref(), Some("nothing was recorded then"));
        let told = nothing_left(&[
            gap(0, GapCause::NoOperation),
            destroyed(10, DestructionTrigger::Expiry),
            gap(2, GapCause::Stalled),
            destroyed(20, DestructionTrigger::Expiry),
            gap(4, GapCause::NoOperation),
            destroyed(15, DestructionTrigger::ErasureRequest),
        ]);
        let wanted = "destroyed on 1970-01-01T00:00:20.000Z; erased on request on 1970-01-01T00:00:15.000Z; \
                      no operation was under way; the camera sent no picture";
        assert_eq!(told.as_deref(), Some(wanted));
        let footage = Availability::Footage { span: span(0, 1), in_doubt: false };
        assert_eq!(nothing_left(&[gap(0, GapCause::Stalled), footage]), None);
    }
}
