//! A request as it is entered, and what must be right about it before anything of it is kept.

use super::requests::check_cameras;
use super::texts::check_text;
use super::{AccessError, RequestRules};
use crate::access::nameless::debug_tells_its_name_alone;
use crate::domain::request::{Capacity, Channel, ProvisionBasis, RequestKind};
use crate::domain::{CameraNumber, LocalDay, Span, Utc};
use crate::ledger::{ProvisionTerms, RequestTerms};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What came longer ago than this was mistyped. It is more than twice the time in which the law wants an answer, so that
/// what lay about forgotten can still be entered as what it is: late.
const RECEIVED_WITHIN: Duration = Duration::from_secs(90 * 86_400);
/// Who is younger is represented by a legal guardian (PIPA 22-2, 38(2)).
const GUARDED_BELOW_YEARS: i16 = 14;
const ADDRESS: &str = "address";

/// What a request holds of a person. It is sealed to the desk; no identity number has a place here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonFields {
    pub name: String,
    /// A telephone number, or whatever reaches the person.
    pub contact: String,
    /// As `1990-01-31`.
    #[serde(default)]
    pub birth_date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// To the person that it is about.
    #[serde(default)]
    pub relation: Option<String>,
}

/// What is stored of persons, with the texts, which may name people too.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Persons {
    pub person: PersonFields,
    pub purpose: String,
    /// The person that it is about, where another one asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<PersonFields>,
    /// Whose life, body or property is at stake, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urgent: Option<String>,
    /// The place as the person named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Who gets it, of a provision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
}

/// A request as it is entered.
#[derive(Clone)]
pub struct NewRequest {
    pub kind: RequestKind,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub purpose: String,
    pub person: PersonFields,
    pub subject: Option<PersonFields>,
    pub capacity: Capacity,
    pub channel: Channel,
    /// When it arrived; `None`: just now.
    pub received: Option<Utc>,
    pub urgent: Option<String>,
    pub place: Option<String>,
    /// It is signed on paper.
    pub signed: bool,
    pub recipient: Option<String>,
    pub provision: Option<ProvisionTerms>,
}

impl NewRequest {
    /// A person's own, brought in just now.
    pub fn own(
        kind: RequestKind,
        cameras: Vec<CameraNumber>,
        span: Span,
        purpose: String,
        person: PersonFields,
    ) -> Self {
        Self {
            kind,
            cameras,
            span,
            purpose,
            person,
            subject: None,
            capacity: Capacity::Own,
            channel: Channel::Visit,
            received: None,
            urgent: None,
            place: None,
            signed: false,
            recipient: None,
            provision: None,
        }
    }

    /// Checks all that can be without the cameras, and tells what of it goes into the row, and what is sealed.
    pub(super) fn checked(
        self,
        rules: &RequestRules,
        zone: &TimeZone,
        (now, later): (Utc, Utc),
    ) -> Result<(RequestTerms, Persons), AccessError> {
        check_cameras(&self.cameras)?;
        let texts = [("purpose", Some(&self.purpose)), ("urgent", self.urgent.as_ref())];
        for (field, text) in texts.into_iter().chain([("place", self.place.as_ref())]) {
            check_text(field, text.map_or("", String::as_str), text.is_some())?;
        }
        let today = LocalDay::of(later, zone);
        check_person(&self.person, today)?;
        self.subject.as_ref().map(|subject| check_person(subject, today)).transpose()?;
        self.check_capacity(today)?;
        self.check_provision(rules, today)?;
        let received = self.received.unwrap_or(now);
        if received > later || later.since(received) > RECEIVED_WITHIN {
            return bad("received", "lies ahead, or more than 90 days back: look at the date");
        }
        let Self { purpose, person, subject, urgent, place, recipient, .. } = self;
        let terms = RequestTerms {
            received,
            channel: self.channel,
            capacity: self.capacity,
            urgent: urgent.is_some(),
            signed: self.signed,
            provision: self.provision,
        };
        Ok((terms, Persons { person, purpose, subject, urgent, place, recipient }))
    }

    /// Who asks for whom (PIPA 38, Decree 45).
    fn check_capacity(&self, today: LocalDay) -> Result<(), AccessError> {
        let wanted = match self.kind {
            RequestKind::OwnUse => Some(Capacity::Staff),
            RequestKind::OperatingRoomAuthority | RequestKind::OperatingRoomMediation => Some(Capacity::Authority),
            RequestKind::ExistenceCheck
            | RequestKind::Viewing
            | RequestKind::Copy
            | RequestKind::Erasure
            | RequestKind::Provision
            | RequestKind::OperatingRoomConsent => None,
        };
        if wanted.is_some_and(|wanted| wanted != self.capacity) {
            return bad(
                "capacity",
                "does not fit: an authority asks for itself, and the site's own use is its staff's",
            );
        }
        let is_of_persons = match self.kind {
            RequestKind::ExistenceCheck | RequestKind::Viewing | RequestKind::Copy | RequestKind::Erasure => true,
            RequestKind::Provision
            | RequestKind::OwnUse
            | RequestKind::OperatingRoomAuthority
            | RequestKind::OperatingRoomMediation
            | RequestKind::OperatingRoomConsent => false,
        };
        match self.capacity {
            Capacity::Authority | Capacity::Staff if is_of_persons => {
                bad("capacity", "is not a person's own right: an authority asks for a provision, staff for own use")
            }
            Capacity::Own if self.subject.is_some() => {
                bad("subject", "is another person: say who asks for them, an agent, a guardian or a representative")
            }
            Capacity::Own | Capacity::Authority | Capacity::Staff | Capacity::Representative => {
                let subject = self.subject.as_ref().unwrap_or(&self.person);
                if is_of_persons && is_guarded(subject, today) { Err(AccessError::GuardianWanted) } else { Ok(()) }
            }
            Capacity::Agent | Capacity::Guardian => {
                let Some(subject) = &self.subject else {
                    return bad("subject", "is wanted: the person that it is about");
                };
                match (self.capacity, is_guarded(subject, today)) {
                    (Capacity::Guardian, false) => bad(
                        "subject",
                        "with a birth date below 14 years is wanted of a guardian; for others ask as an agent",
                    ),
                    (Capacity::Guardian, true) | (_, false) => Ok(()),
                    (_, true) => Err(AccessError::GuardianWanted),
                }
            }
        }
    }

    /// Each provision has a recipient, and a basis in law that is open to this site (PIPA 17, 18).
    fn check_provision(&self, rules: &RequestRules, today: LocalDay) -> Result<(), AccessError> {
        let recipient = self.recipient.as_deref().unwrap_or_default();
        if !self.kind.wants_recipient() && !recipient.is_empty() {
            return bad("recipient", "belongs to what is provided to somebody else");
        }
        check_text("recipient", recipient, self.kind.wants_recipient())?;
        let provision = match (self.kind, self.provision) {
            (RequestKind::Provision, Some(provision)) => provision,
            (RequestKind::Provision, None) => {
                return bad("provision", "is wanted: the basis in law, the form, and until when it is used");
            }
            (_, Some(_)) => return bad("provision", "belongs to a provision to a third party alone"),
            (_, None) => return Ok(()),
        };
        check_basis(provision.basis, rules)?;
        if provision.basis == ProvisionBasis::UrgentInterest && self.urgent.is_none() {
            return bad("urgent", "is wanted: whose life, body or property is at stake, and how");
        }
        if provision.until < today { bad("provision", "ends in the past") } else { Ok(()) }
    }
}

/// Refuses a basis that only a public body has (L13).
pub(super) fn check_basis(basis: ProvisionBasis, rules: &RequestRules) -> Result<(), AccessError> {
    if basis.is_for_public_bodies() && !rules.public_body { Err(AccessError::PublicBodiesOnly) } else { Ok(()) }
}

fn bad<T>(field: &'static str, what: &'static str) -> Result<T, AccessError> {
    Err(AccessError::BadInput { field, what })
}

fn check_person(person: &PersonFields, today: LocalDay) -> Result<(), AccessError> {
    check_text("name", &person.name, true)?;
    check_text("contact", &person.contact, true)?;
    check_text(ADDRESS, person.address.as_deref().unwrap_or_default(), false)?;
    check_text("relation", person.relation.as_deref().unwrap_or_default(), false)?;
    check_text("birth_date", person.birth_date.as_deref().unwrap_or_default(), false)?;
    let Some(written) = &person.birth_date else { return Ok(()) };
    match written.parse::<LocalDay>() {
        Ok(day) if day <= today && day.year() >= 1900 => Ok(()),
        Ok(_) | Err(_) => bad("birth_date", "is wanted like 1990-01-31, and not ahead"),
    }
}

/// Whether a person is known to be so young that a legal guardian asks for them.
fn is_guarded(person: &PersonFields, today: LocalDay) -> bool {
    let born = person.birth_date.as_ref().and_then(|written| written.parse::<LocalDay>().ok());
    born.is_some_and(|born| born.is_below_years(GUARDED_BELOW_YEARS, today))
}

debug_tells_its_name_alone!(PersonFields, NewRequest);
