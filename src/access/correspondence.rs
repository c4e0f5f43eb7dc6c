//! What was told to who asked, by the rows: decisions, letters, their delivery; and what was said of days that run out.

use super::registry::person_of;
use crate::domain::{AccountId, DeliveryWay, Language, LetterKind, LocalDay, RequestId, Utc};
use crate::ledger::{Act, Decision, LetterDelivered, LetterProduced, Row, SealedSheet};
use std::collections::BTreeMap;

/// A decision as it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Decided {
    pub at: Utc,
    pub by: Option<AccountId>,
    pub decision: Decision,
}

/// How a letter came to who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Delivered {
    pub at: Utc,
    pub way: DeliveryWay,
    pub by: Option<AccountId>,
    pub proof: Option<SealedSheet>,
}

/// A letter that was printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Letter {
    /// Its row: its number, too.
    pub row: u64,
    pub at: Utc,
    pub by: Option<AccountId>,
    pub kind: LetterKind,
    pub language: Language,
    pub has_own_template: bool,
    /// The newest that was said of it.
    pub delivered: Option<Delivered>,
}

/// All that was told to one who asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Told {
    /// Oldest first.
    pub decisions: Vec<Decided>,
    pub letters: Vec<Letter>,
    /// When the person objected last.
    pub objected: Option<Utc>,
    /// The last day on which somebody was reminded of it.
    pub reminded: Option<LocalDay>,
    /// On so many days it was overdue.
    pub days_overdue: u32,
}

/// By request.
#[derive(Debug, Default)]
pub(super) struct Correspondence(BTreeMap<RequestId, Told>);

impl Correspondence {
    pub fn apply(&mut self, row: &Row) {
        match &row.act {
            Act::RequestDecided { request, decision } => {
                let decided = Decided { at: row.at, by: person_of(row.actor), decision: decision.clone() };
                self.of_mut(*request).decisions.push(decided);
            }
            Act::RequestObjected { request } => self.of_mut(*request).objected = Some(row.at),
            Act::LetterProduced(LetterProduced { request, letter, language, template, .. }) => {
                self.of_mut(*request).letters.push(Letter {
                    row: row.sequence,
                    at: row.at,
                    by: person_of(row.actor),
                    kind: *letter,
                    language: *language,
                    has_own_template: template.is_some(),
                    delivered: None,
                });
            }
            Act::LetterDelivered(LetterDelivered { request, produced, way, delivered, proof }) => {
                let known = self.of_mut(*request).letters.iter_mut().find(|letter| letter.row == *produced);
                if let Some(known) = known {
                    let by = person_of(row.actor);
                    known.delivered = Some(Delivered { at: *delivered, way: *way, by, proof: *proof });
                }
            }
            Act::RequestReminded(told) => {
                let known = self.of_mut(told.request);
                known.reminded = Some(told.day);
                known.days_overdue += u32::from(told.overdue);
            }
            _ => {}
        }
    }

    fn of_mut(&mut self, request: RequestId) -> &mut Told {
        self.0.entry(request).or_default()
    }

    pub fn of(&self, request: RequestId) -> Option<&Told> {
        self.0.get(&request)
    }

    pub fn retain(&mut self, counts: impl Fn(RequestId) -> bool) {
        self.0.retain(|request, _| counts(*request));
    }
}
