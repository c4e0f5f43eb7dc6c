//! What a letter can tell: the variables of the templates. docs/letters.md explains each; a test holds the two together.

use crate::access::nameless::debug_tells_its_name_alone;
use crate::domain::{Language, LetterKind};
use serde::Serialize;

/// Everything that a template may use. What there is not is `none`, never missing: a misspelt name is an error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct LetterText {
    pub site: SiteText,
    pub letter: LetterFacts,
    pub request: RequestText,
    pub person: PersonText,
    /// `none` in a receipt.
    pub decision: Option<DecisionText>,
    /// `none` where nothing can be objected to.
    pub objection: Option<ObjectionText>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct SiteText {
    pub name: String,
    pub contact: Option<String>,
    pub place: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct LetterFacts {
    pub kind: LetterKind,
    pub language: Language,
    /// When it is printed, and so sent at the earliest.
    pub date: String,
    /// The ledger's newest row when it was printed, and a line that `custodian ledger verify` reads.
    pub sequence: u64,
    pub checkpoint: String,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct RequestText {
    pub number: u32,
    pub kind: String,
    pub received: String,
    pub due: String,
    pub cameras: Vec<String>,
    pub from: String,
    pub to: String,
    pub purpose: String,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct PersonText {
    pub name: String,
    pub contact: String,
    pub birth_date: Option<String>,
    pub relation: Option<String>,
}

/// Footage of one camera.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct ItemText {
    pub camera: String,
    pub from: String,
    pub to: String,
    /// Why it stays, of what was to be erased.
    pub why: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize)]
pub(super) struct DecisionText {
    pub date: String,
    /// The name of the account that decided.
    pub officer: String,
    /// The answer to an existence check.
    pub exists: Option<bool>,
    /// What is granted, or erased.
    pub items: Vec<ItemText>,
    /// What is not.
    pub refused_items: Vec<ItemText>,
    /// Until when it can be watched.
    pub until: Option<String>,
    /// When and where to come.
    pub appointment: Option<String>,
    pub place: Option<String>,
    pub copy: bool,
    /// A copy was asked for, and is not handed over.
    pub without_copy: bool,
    pub masking: bool,
    pub ground: Option<String>,
    pub statute: Option<String>,
    pub reason: Option<String>,
    /// When a postponed decision is expected.
    pub expected: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct ObjectionText {
    pub until: String,
    pub days: u64,
}

impl LetterText {
    /// Made-up letters to try a template on: one with everything that there can be, and one with the least.
    pub fn samples(kind: LetterKind, language: Language) -> Vec<Self> {
        let text = |text: &str| text.to_owned();
        let item = |why: Option<&str>| ItemText {
            camera: text("1 (Lobby <east>)"),
            from: text("26 November 2026 14:00:00"),
            to: text("26 November 2026 14:05:00"),
            why: why.map(text),
        };
        let decision = DecisionText {
            date: text("27 November 2026"),
            officer: text("officer"),
            exists: Some(true),
            items: vec![item(None)],
            refused_items: vec![item(None), item(Some("a law wants it kept"))],
            until: Some(text("4 December 2026 10:00:00")),
            appointment: Some(text("1 December 2026 10:00:00")),
            place: Some(text("Server room, 2nd floor")),
            copy: true,
            without_copy: true,
            masking: true,
            ground: Some(text("Another just cause")),
            statute: Some(text("Guidelines, article 44(4)")),
            reason: Some(text("The reason, in words & more")),
            expected: Some(text("9 December 2026")),
        };
        let full = Self {
            site: SiteText {
                name: text("Clinic & Co."),
                contact: Some(text("02-123-4567")),
                place: Some(text("Server room, 2nd floor")),
            },
            letter: LetterFacts {
                kind,
                language,
                date: text("28 November 2026"),
                sequence: 120,
                checkpoint: text("custodian checkpoint site=00 sequence=120 head=ab"),
            },
            request: RequestText {
                number: 7,
                kind: text("viewing"),
                received: text("25 November 2026 09:00:00"),
                due: text("7 December 2026"),
                cameras: vec![text("1 (Lobby <east>)"), text("2")],
                from: text("24 November 2026 10:00:00"),
                to: text("24 November 2026 11:00:00"),
                purpose: text("a lost bag"),
            },
            person: PersonText {
                name: text("Hong Gildong"),
                contact: text("010-1234-5678"),
                birth_date: Some(text("1990-01-01")),
                relation: Some(text("the person filmed")),
            },
            decision: (kind != LetterKind::Receipt).then_some(decision),
            objection: Some(ObjectionText { until: text("27 December 2026"), days: 30 }),
        };
        let mut least = full.clone();
        (least.site.contact, least.site.place, least.objection) = (None, None, None);
        (least.person.birth_date, least.person.relation) = (None, None);
        if let Some(decision) = &mut least.decision {
            *decision = DecisionText {
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
                reason: None,
                expected: None,
                ..decision.clone()
            };
        }
        vec![full, least]
    }

    /// What the requirements want of a letter of that kind, as far as it is known of this one.
    #[cfg(test)]
    pub fn must_be_told(&self, kind: LetterKind) -> Vec<String> {
        let mut wanted = vec![
            self.site.name.clone(),
            self.letter.date.clone(),
            self.letter.checkpoint.clone(),
            self.request.number.to_string(),
            self.request.kind.clone(),
            self.request.received.clone(),
            self.person.name.clone(),
        ];
        wanted.extend(self.request.cameras.clone());
        wanted.extend(self.site.contact.clone());
        let items = |items: &[ItemText]| -> Vec<String> {
            let texts =
                items.iter().flat_map(|item| [Some(&item.camera), Some(&item.from), Some(&item.to), item.why.as_ref()]);
            texts.flatten().cloned().collect()
        };
        if kind == LetterKind::Receipt {
            wanted.push(self.request.due.clone());
        }
        let Some(decision) = &self.decision else { return wanted };
        wanted.extend([decision.date.clone(), decision.officer.clone()]);
        if matches!(kind, LetterKind::Grant | LetterKind::Partial) {
            wanted.extend(items(&decision.items));
            wanted.extend([&decision.until, &decision.appointment, &decision.place].into_iter().flatten().cloned());
        }
        if matches!(kind, LetterKind::Partial | LetterKind::Refusal) {
            wanted.extend(items(&decision.refused_items));
            wanted.extend([&decision.ground, &decision.statute, &decision.reason].into_iter().flatten().cloned());
            wanted.extend(
                self.objection.iter().flat_map(|objection| [objection.until.clone(), objection.days.to_string()]),
            );
        }
        if kind == LetterKind::Postponement {
            wanted.extend([&decision.reason, &decision.expected, &decision.statute].into_iter().flatten().cloned());
        }
        wanted
    }
}

debug_tells_its_name_alone!(PersonText, RequestText, ItemText, DecisionText);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn names(of: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let name = if of.is_empty() { name.clone() } else { format!("{of}.{name}") };
                    names(&name, value, found);
                }
            }
            _ => found.push(of.to_owned()),
        }
    }

    #[test]
    fn every_variable_is_explained() {
        let documented = include_str!("../../../docs/letters.md");
        let sample = serde_json::to_value(&LetterText::samples(LetterKind::Partial, Language::Ko)[0]).unwrap();
        let mut found = Vec::new();
        names("", &sample, &mut found);
        names("", &sample["decision"]["items"][0], &mut found);
        assert!(found.len() > 35, "{found:?}");
        for name in found {
            assert!(documented.contains(&format!("`{name}`")), "{name} is not in docs/letters.md");
        }
    }
}
