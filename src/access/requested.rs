//! A request, as its rows have it.

use super::registry::person_of;
use super::states::RequestState;
use crate::domain::request::{Capacity, Channel, RequestKind};
use crate::domain::{AccountId, CameraNumber, Digest, RequestId, Role, Span, Utc};
use crate::ledger::{Act, Decision, GrantedView, KeptView, PapersSeen, ProposedDecision, RequestTerms, Row};
use serde::Serialize;

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub number: RequestId,
    pub kind: RequestKind,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    /// When it arrived; the ten days run from then on.
    pub received: Utc,
    /// When it was entered: from then on its footage is held.
    pub entered: Utc,
    pub due: Utc,
    pub entered_by: Option<AccountId>,
    pub persons: Digest,
    pub terms: Option<RequestTerms>,
    pub state: RequestState,
    /// Who checked the identity, when, and which other papers.
    pub checked: Option<Checked>,
    pub proposal: Option<Proposal>,
    pub decided: Option<DecidedBy>,
    pub fee: Option<Fee>,
    pub delivered: Option<Delivered>,
    /// What was decided to be erased, and what of it stays.
    pub erased: Vec<GrantedView>,
    pub kept: Vec<KeptView>,
    /// An officer confirmed that so much is held for it.
    pub hold_is_confirmed: bool,
    /// Its hold ended by a row.
    pub hold_has_ended: bool,
}

/// An identity check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Checked {
    pub at: Utc,
    pub by: Option<AccountId>,
    #[serde(flatten)]
    pub seen: PapersSeen,
}

/// A decision that waits for a second person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Proposal {
    /// The ledger's row.
    pub row: u64,
    pub at: Utc,
    pub by: AccountId,
    pub role: Role,
    pub proposed: ProposedDecision,
    /// Who stands by it, besides.
    pub second: Option<(AccountId, Role)>,
}

/// Who decided it, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct DecidedBy {
    pub at: Utc,
    pub by: Option<AccountId>,
}

/// What it costs, and whether that was paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Fee {
    pub amount_krw: u32,
    pub paid: bool,
}

/// When the answer reached who asked, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Delivered {
    pub at: Utc,
    pub by: Option<AccountId>,
    pub channel: Channel,
}

impl Request {
    /// As its first row has it; `None` for a row of something else.
    pub fn entered(row: &Row) -> Option<Self> {
        let Act::RequestSubmitted { request, asked, cameras, span, due, persons, terms } = &row.act else {
            return None;
        };
        Some(Self {
            number: *request,
            kind: *asked,
            cameras: cameras.clone(),
            span: *span,
            received: terms.map_or(row.at, |terms| terms.received),
            entered: row.at,
            due: *due,
            entered_by: person_of(row.actor),
            persons: *persons,
            terms: *terms,
            state: RequestState::Submitted,
            checked: None,
            proposal: None,
            decided: None,
            fee: None,
            delivered: None,
            erased: Vec::new(),
            kept: Vec::new(),
            hold_is_confirmed: false,
            hold_has_ended: false,
        })
    }

    /// Takes a row of it; `false` for one that does not fit its state. `role` is the role of who did it, then.
    pub fn apply(&mut self, row: &Row, role: Option<Role>) -> bool {
        let Some(next) = self.state.apply(&row.act, row.at) else { return false };
        self.state = next;
        let (at, by) = (row.at, person_of(row.actor));
        match &row.act {
            Act::IdentityChecked { seen, .. } => self.checked = Some(Checked { at, by, seen: *seen }),
            Act::DecisionProposed { proposed, .. } => {
                self.proposal = by.zip(role).map(|(by, role)| Proposal {
                    row: row.sequence,
                    at,
                    by,
                    role,
                    proposed: proposed.clone(),
                    second: None,
                });
            }
            Act::DecisionSeconded { proposal, .. } => {
                if let Some(known) = self.proposal.as_mut().filter(|known| known.row == *proposal) {
                    known.second = by.zip(role);
                }
            }
            Act::RequestDecided { decision, .. } => {
                self.proposal = None;
                self.decided = Some(DecidedBy { at, by });
                if let Decision::Erased { erased, kept, .. } = decision {
                    (self.erased, self.kept) = (erased.clone(), kept.clone());
                }
            }
            Act::RequestUnavailable { .. } | Act::RequestWithdrawn { .. } => self.proposal = None,
            Act::RequestObjected { .. } => self.delivered = None,
            Act::RequestDelivered { channel, .. } => self.delivered = Some(Delivered { at, by, channel: *channel }),
            Act::FeeNoted { amount_krw, paid, .. } => self.fee = Some(Fee { amount_krw: *amount_krw, paid: *paid }),
            _ => {}
        }
        true
    }

    /// Whether the footage asked for must stay.
    pub fn holds(&self) -> bool {
        self.state.holds() && !self.hold_has_ended
    }

    /// As what the person asks.
    pub fn capacity(&self) -> Capacity {
        self.terms.map_or(Capacity::default(), |terms| terms.capacity)
    }

    /// Whether a copy waits until its cost is paid.
    pub fn waits_for_fee(&self) -> bool {
        self.fee.is_some_and(|fee| fee.amount_krw > 0 && !fee.paid)
    }
}
