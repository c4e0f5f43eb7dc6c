//! Letters to who asked: receipt, grant, partial decision, postponement, refusal.
//!
//! A letter's text holds persons and is kept nowhere: it is written when it is printed, from the sealed file and the rows.
//!
//! - L1 **The row first**: what was printed is a row, with a commitment to its text, before anybody sees it.
//! - L2 The commitment is under the salt of the sealed file: who has that and the print can show that they belong together,
//!   and when it is erased nobody can guess the text from the row.
//! - L3 A letter says nothing that the rows do not: of what was decided, never of what is about to be.

mod templates;
mod told;
mod words;

pub use templates::{BrokenTemplate, LetterTemplates};

use super::correspondence::{Decided, Letter};
use super::desk::Sheet;
use super::partial::wants_copy;
use super::requested::Request;
use super::texts::check_text;
use super::{Access, AccessError, Caller};
use crate::access::nameless::debug_tells_its_name_alone;
use crate::domain::{AccountId, CameraNumber, DeliveryWay, Digest, Language, LetterKind, RequestId, Role, Span, Utc};
use crate::ledger::{Act, Decision, GrantedView, LetterDelivered, LetterProduced};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use told::{DecisionText, ItemText, LetterFacts, LetterText, ObjectionText, PersonText, RequestText, SiteText};
use words::Words;

const DAY_S: u64 = 86_400;
/// What is said to have been delivered may lie so far ahead: clocks of two machines differ.
const AHEAD: Duration = Duration::from_secs(300);
const PROOF_LONGEST_CHARS: usize = 500;
/// Less than this is missing from what was granted for want of a key frame, not by anybody's decision.
const SEAM: Duration = Duration::from_secs(10);

/// A letter that is wanted.
#[derive(Clone, Debug)]
pub struct NewLetter {
    pub kind: LetterKind,
    pub language: Language,
    /// What people call the cameras.
    pub camera_names: BTreeMap<CameraNumber, String>,
}

/// A letter as it was printed.
#[derive(Clone, Serialize, schemars::JsonSchema)]
pub struct LetterView {
    /// Its row.
    pub number: u64,
    pub request: RequestId,
    pub letter: LetterKind,
    pub language: Language,
    /// A part of a page: to be shown as a part of one, and printed.
    pub html: String,
    /// What the row commits to.
    pub text: Digest,
    /// Whether the site's own template was used.
    pub own_template: bool,
    /// What is wrong with that, where it could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken_template: Option<String>,
}

/// How a letter came to who asked.
#[derive(Clone)]
pub struct Delivery {
    pub way: DeliveryWay,
    /// `None`: just now.
    pub at: Option<Utc>,
    /// A receipt's number, who took it: sealed to the desk.
    pub proof: Option<String>,
}

/// What is sealed of a delivery.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    proof: String,
}

/// How a letter was delivered, as it is shown.
#[derive(Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct DeliveryLine {
    pub at: Utc,
    pub way: DeliveryWay,
    pub by: Option<AccountId>,
    pub has_proof: bool,
    /// `None` where the reader may not know it, or it is erased.
    pub proof: Option<String>,
}

/// A letter, as it is listed: without its text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub struct LetterLine {
    pub number: u64,
    pub letter: LetterKind,
    pub language: Language,
    pub at: Utc,
    pub by: Option<AccountId>,
    pub own_template: bool,
    pub delivered: Option<DeliveryLine>,
}

impl Access {
    /// Prints a letter. What was printed is a row before it is told.
    ///
    /// # Errors
    /// [`AccessError::WrongState`] where there is nothing of that kind to tell; [`AccessError::Unavailable`] where the
    /// persons are erased; [`AccessError::NotRecorded`], and then nothing is printed.
    pub fn produce_letter(
        &self,
        caller: &Caller,
        request: RequestId,
        new: &NewLetter,
    ) -> Result<LetterView, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer])?;
        // Nothing of the request changes, and its persons are not erased, until the row stands.
        let _turn = self.turn();
        let found = self.find_request(request)?;
        caller.must_reach(&found.cameras)?;
        let text = self.letter_text(caller, &found, new)?;
        let NewLetter { kind, language, .. } = *new;
        let written = self.templates.write((kind, language), &text).map_err(|broken| {
            tracing::error!(%broken, "the program's own template is broken");
            AccessError::Unavailable { why: "the letter could not be written; the log says why".into() }
        })?;
        let desk = caller.desk().ok_or(AccessError::Forbidden)?;
        let committed = self.desk.commit_beside(&self.requests_dir, request, found.persons, desk, &written.html)?;
        let template = written.template;
        let produced = LetterProduced { request, letter: kind, language, template, text: committed };
        let row = self.record(caller.actor(), Act::LetterProduced(produced))?;
        Ok(LetterView {
            number: row.sequence,
            request,
            letter: kind,
            language,
            html: written.html,
            text: committed,
            own_template: template.is_some(),
            broken_template: written.broken.map(|broken| broken.to_string()),
        })
    }

    /// Records that a letter came to who asked. What is said to prove it is sealed to the desk. With the letter that is the
    /// answer the request is delivered, too.
    ///
    /// # Errors
    /// [`AccessError::NoSuchLetter`]; [`AccessError::BadInput`] for a time ahead, or before it was printed;
    /// [`AccessError::NotRecorded`].
    pub fn deliver_letter(
        &self,
        caller: &Caller,
        request: RequestId,
        number: u64,
        delivery: &Delivery,
    ) -> Result<Vec<LetterLine>, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer])?;
        let proof = delivery.proof.as_deref().map(str::trim).filter(|proof| !proof.is_empty());
        check_text("proof", proof.unwrap_or_default(), false)?;
        if proof.is_some_and(|proof| proof.chars().count() > PROOF_LONGEST_CHARS) {
            return Err(AccessError::BadInput { field: "proof", what: "is too long; 500 characters are allowed" });
        }
        {
            let _turn = self.turn();
            let found = self.find_request(request)?;
            caller.must_reach(&found.cameras)?;
            let letter = self.letters_of(request).into_iter().find(|letter| letter.row == number);
            let letter = letter.ok_or(AccessError::NoSuchLetter)?;
            self.must_have_persons(request)?;
            let at = delivery.at.unwrap_or_else(|| self.now());
            if at > self.now().saturating_add(AHEAD) || at.saturating_add(AHEAD) < letter.at {
                return Err(AccessError::BadInput { field: "at", what: "must lie between its printing and now" });
            }
            let proof = proof.map(|proof| self.seal_sheet(request, &Proof { proof: proof.to_owned() })).transpose()?;
            let delivered = LetterDelivered { request, produced: number, way: delivery.way, delivered: at, proof };
            self.record(caller.actor(), Act::LetterDelivered(delivered))?;
            if self.is_answer(&found, &letter) {
                self.deliver_with_letter(caller, &found, delivery.way)?;
            }
        }
        self.letters(caller, request)
    }

    /// The letters that were printed of a request, newest first.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] for others than staff, officers and auditors; [`AccessError::NoSuchRequest`].
    pub fn letters(&self, caller: &Caller, request: RequestId) -> Result<Vec<LetterLine>, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer, Role::Auditor])?;
        caller.must_reach(&self.find_request(request)?.cameras)?;
        let letters = self.letters_of(request);
        Ok(letters.iter().rev().map(|letter| self.letter_line(caller, request, letter)).collect())
    }

    fn letters_of(&self, request: RequestId) -> Vec<Letter> {
        self.registry().correspondence.of(request).map(|told| told.letters.clone()).unwrap_or_default()
    }

    fn letter_line(&self, caller: &Caller, request: RequestId, letter: &Letter) -> LetterLine {
        let desk = caller.desk().filter(|_| self.paper_erased(request).is_none());
        let delivered = letter.delivered.map(|delivered| {
            let proof = desk.zip(delivered.proof).and_then(|(desk, sealed)| {
                let sheet = Sheet::numbered(request, sealed.sheet);
                let told = self.desk.read_sheet::<Proof>(&self.requests_dir, sheet, sealed.fields, desk);
                told.inspect_err(|e| tracing::error!(%request, error = ?e, "a proof of delivery cannot be read")).ok()
            });
            DeliveryLine {
                at: delivered.at,
                way: delivered.way,
                by: delivered.by,
                has_proof: delivered.proof.is_some(),
                proof: proof.map(|proof| proof.proof),
            }
        });
        LetterLine {
            number: letter.row,
            letter: letter.kind,
            language: letter.language,
            at: letter.at,
            by: letter.by,
            own_template: letter.has_own_template,
            delivered,
        }
    }

    /// Whether a letter tells of the decision that stands, and answers the request.
    fn is_answer(&self, found: &Request, letter: &Letter) -> bool {
        let registry = self.registry();
        let newest = registry.correspondence.of(found.number).and_then(|told| told.decisions.last());
        let tells =
            |decided: &&Decided| decided.at <= letter.at && kind_told(found, &decided.decision) == Some(letter.kind);
        match letter.kind {
            LetterKind::Grant | LetterKind::Partial | LetterKind::Refusal => newest.filter(tells).is_some(),
            LetterKind::Receipt | LetterKind::Postponement => false,
        }
    }

    fn must_have_persons(&self, request: RequestId) -> Result<(), AccessError> {
        match self.paper_erased(request) {
            Some(at) => {
                let why = format!("what the request held of persons was erased on {at}, at the end of its period");
                Err(AccessError::Unavailable { why })
            }
            None => Ok(()),
        }
    }

    fn letter_text(&self, caller: &Caller, found: &Request, new: &NewLetter) -> Result<LetterText, AccessError> {
        self.must_have_persons(found.number)?;
        let decisions =
            self.registry().correspondence.of(found.number).map(|told| told.decisions.clone()).unwrap_or_default();
        let wanted = |decided: &&Decided| kind_told(found, &decided.decision) == Some(new.kind);
        let decided = decisions.iter().rev().find(wanted);
        if decided.is_none() && new.kind != LetterKind::Receipt {
            return Err(AccessError::WrongState { state: found.state.name() });
        }
        let persons = self.persons(caller, found)?.ok_or(AccessError::Forbidden)?;
        let words = Words { language: new.language, zone: &self.periods.time_zone };
        let writer = Writer { words, found, camera_names: &new.camera_names };
        let reason = decided.and_then(|decided| decided.decision.reason());
        let reason = reason.map(|reason| self.reason_in_words(caller, found.number, reason)).transpose()?.flatten();
        // Signed: it shows of a ledger that is cut short or written anew that it is not this one.
        let checkpoint = self.checkpoint_to_carry()?;
        Ok(LetterText {
            site: SiteText {
                name: self.periods.site_name.clone(),
                contact: self.periods.contact.clone(),
                place: self.periods.viewing_place.clone(),
            },
            letter: LetterFacts {
                kind: new.kind,
                language: new.language,
                date: words.day(self.now()),
                sequence: checkpoint.sequence,
                checkpoint: checkpoint.to_string(),
            },
            request: RequestText {
                number: found.number.0,
                kind: words.kind(found.kind),
                received: words.point(found.received),
                due: words.day(self.due_now(found)),
                cameras: found.cameras.iter().map(|camera| writer.camera(*camera)).collect(),
                from: words.point(found.span.from()),
                to: words.point(found.span.to()),
                purpose: persons.purpose,
            },
            person: PersonText {
                name: persons.person.name,
                contact: persons.person.contact,
                birth_date: persons.person.birth_date,
                relation: persons.person.relation,
            },
            objection: decided.and_then(|decided| writer.objection(decided)),
            decision: decided.map(|decided| {
                let officer = decided.by.and_then(|by| self.people.name_of(by));
                writer.decision(decided, officer.unwrap_or_else(|| "–".to_owned()), reason)
            }),
        })
    }
}

/// Which letter tells of a decision.
fn kind_told(found: &Request, decision: &Decision) -> Option<LetterKind> {
    Some(match decision {
        Decision::Approved { partly_until: Some(_), .. } => LetterKind::Partial,
        Decision::Approved { views, .. } if !left_out(found, views).is_empty() => LetterKind::Partial,
        Decision::Erased { kept, .. } if !kept.is_empty() => LetterKind::Partial,
        Decision::Approved { .. } | Decision::Confirmed { .. } | Decision::Erased { .. } => LetterKind::Grant,
        Decision::Refused { .. } => LetterKind::Refusal,
        Decision::Postponed { .. } => LetterKind::Postponement,
    })
}

/// What was asked for and is in none of these. A view may begin some seconds later than was asked for, where no picture can
/// be decoded before.
pub(super) fn left_out(found: &Request, views: &[GrantedView]) -> Vec<GrantedView> {
    let mut left = Vec::new();
    for camera in &found.cameras {
        let mut of: Vec<Span> = views.iter().filter(|view| view.camera == *camera).map(|view| view.span).collect();
        of.sort_by_key(|span| span.from());
        let mut at = found.span.from();
        for span in of {
            left.extend(gap(*camera, at, span.from().min(found.span.to())));
            at = at.max(span.to());
        }
        left.extend(gap(*camera, at, found.span.to()));
    }
    left
}

fn gap(camera: CameraNumber, from: Utc, to: Utc) -> Option<GrantedView> {
    let span = Span::new(from, to).ok().filter(|span| span.length() >= SEAM)?;
    Some(GrantedView { camera, span })
}

/// Writes what one request's letter tells.
struct Writer<'a> {
    words: Words<'a>,
    found: &'a Request,
    camera_names: &'a BTreeMap<CameraNumber, String>,
}

impl Writer<'_> {
    fn camera(&self, camera: CameraNumber) -> String {
        match self.camera_names.get(&camera) {
            Some(name) => format!("{camera} ({name})"),
            None => camera.to_string(),
        }
    }

    fn item(&self, view: GrantedView, why: Option<String>) -> ItemText {
        let GrantedView { camera, span } = view;
        let (from, to) = (self.words.point(span.from()), self.words.point(span.to()));
        ItemText { camera: self.camera(camera), from, to, why }
    }

    fn items(&self, views: &[GrantedView]) -> Vec<ItemText> {
        views.iter().map(|view| self.item(*view, None)).collect()
    }

    fn decision(&self, decided: &Decided, officer: String, reason: Option<String>) -> DecisionText {
        let words = self.words;
        let empty = DecisionText {
            date: words.day(decided.at),
            officer,
            exists: None,
            items: Vec::new(),
            refused_items: Vec::new(),
            until: None,
            appointment: None,
            place: None,
            copy: false,
            without_copy: false,
            masking: false,
            ground: None,
            statute: None,
            reason,
            expected: None,
        };
        let asked = || -> Vec<GrantedView> {
            self.found.cameras.iter().map(|camera| GrantedView { camera: *camera, span: self.found.span }).collect()
        };
        match &decided.decision {
            Decision::Approved { views, ends, conditions, partly_until, rest, .. } => DecisionText {
                without_copy: partly_until.is_some() && !conditions.copy && wants_copy(self.found),
                ground: rest.as_ref().map(|rest| words.ground(rest.ground)),
                statute: rest.as_ref().map(|rest| words.statute(self.found.kind, rest.ground)),
                items: self.items(views),
                refused_items: self.items(&left_out(self.found, views)),
                until: Some(words.point(*ends)),
                appointment: conditions
                    .appointment
                    .map(|span| format!("{} – {}", words.point(span.from()), words.point(span.to()))),
                place: conditions.terminal.clone(),
                copy: conditions.copy,
                masking: conditions.masking,
                ..empty
            },
            Decision::Confirmed { exists } => DecisionText { exists: Some(*exists), ..empty },
            Decision::Refused { ground, .. } => DecisionText {
                refused_items: self.items(&asked()),
                ground: Some(words.ground(*ground)),
                statute: Some(words.statute(self.found.kind, *ground)),
                ..empty
            },
            Decision::Erased { erased, kept, .. } => {
                let stays = kept.iter().map(|kept| {
                    let view = GrantedView { camera: kept.camera, span: kept.span };
                    self.item(view, Some(words.kept(kept.why)))
                });
                DecisionText { items: self.items(erased), refused_items: stays.collect(), ..empty }
            }
            Decision::Postponed { until, cause, .. } => DecisionText {
                ground: cause.map(|cause| words.cause(cause)),
                statute: Some(words.statute_of_postponing()),
                expected: Some(words.day(*until)),
                ..empty
            },
        }
    }

    fn objection(&self, decided: &Decided) -> Option<ObjectionText> {
        let until = match &decided.decision {
            Decision::Refused { objection_until, .. } => *objection_until,
            Decision::Approved { partly_until, .. } => *partly_until,
            Decision::Confirmed { .. } | Decision::Erased { .. } | Decision::Postponed { .. } => None,
        }?;
        let days = until.since(decided.at).as_secs().div_ceil(DAY_S);
        Some(ObjectionText { until: self.words.day(until), days })
    }
}

debug_tells_its_name_alone!(LetterView, Delivery, DeliveryLine);
