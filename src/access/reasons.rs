//! What is written later about a request's persons, each in a file of its own that is sealed to the desk: reasons of
//! decisions, and what proves a delivery.
//!
//! No reason stands in clear in a row: whatever act says one, it is sealed just before its row is written, whose commitment
//! binds the two. Rows of the first versions have it in clear, and go on being read.

use super::desk::Sheet;
use super::requested::Request;
use super::{Access, AccessError, Caller};
use crate::access::nameless::debug_tells_its_name_alone;
use crate::domain::RequestId;
use crate::ledger::{Act, Decision, ProposedDecision, ReasonText, Rest, SealedSheet};
use serde::{Deserialize, Serialize};

/// What is sealed of a reason.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    reason: String,
}

impl Access {
    /// Seals something that is written of a request's persons. In turn, just before the row that commits to it: a row follows
    /// on each, and so no number comes twice.
    pub(super) fn seal_sheet(&self, request: RequestId, fields: &impl Serialize) -> Result<SealedSheet, AccessError> {
        self.must_take_rows()?;
        let sheet = self.ledger.head().0;
        let fields = self.desk.store_sheet(&self.requests_dir, Sheet::numbered(request, sheet), fields)?;
        Ok(SealedSheet { sheet, fields })
    }

    /// Destroys one whose row was not written.
    pub(super) fn discard_sheet(&self, request: RequestId, sheet: SealedSheet) -> Result<(), AccessError> {
        let name = Sheet::numbered(request, sheet.sheet).name();
        Ok(self.desk.destroy_file(&self.requests_dir, &name)?)
    }

    /// Seals the reason of an act, where it says one: as the row has it, and what was sealed for it.
    pub(super) fn with_reason_sealed(
        &self,
        mut act: Act,
    ) -> Result<(Act, Option<(RequestId, SealedSheet)>), AccessError> {
        let mut sealed = None;
        if let Some((request, reason)) = act.reason_mut()
            && let ReasonText::Clear(text) = reason
        {
            let sheet = self.seal_sheet(request, &Reason { reason: std::mem::take(text) })?;
            *reason = ReasonText::Sealed(sheet);
            sealed = Some((request, sheet));
        }
        Ok((act, sealed))
    }

    /// A reason in words; `None` for who may not read persons, and once what the request holds of them is erased.
    pub(super) fn reason_in_words(
        &self,
        caller: &Caller,
        request: RequestId,
        reason: &ReasonText,
    ) -> Result<Option<String>, AccessError> {
        let sealed = match reason {
            ReasonText::Clear(text) => return Ok(Some(text.clone())),
            ReasonText::Sealed(sealed) => *sealed,
        };
        if self.paper_erased(request).is_some() { Ok(None) } else { self.open_reason(caller, request, sealed) }
    }

    /// Opens one that is sealed; `None` for who may not read persons.
    fn open_reason(
        &self,
        caller: &Caller,
        request: RequestId,
        sealed: SealedSheet,
    ) -> Result<Option<String>, AccessError> {
        let Some(desk) = caller.desk() else { return Ok(None) };
        let sheet = Sheet::numbered(request, sealed.sheet);
        let told: Reason = self.desk.read_sheet(&self.requests_dir, sheet, sealed.fields, desk)?;
        Ok(Some(told.reason))
    }

    /// The same for a list or a page: one that cannot be read takes nothing else away.
    pub(super) fn reason_shown(&self, caller: &Caller, request: RequestId, reason: &ReasonText) -> Option<String> {
        let told = self.reason_in_words(caller, request, reason);
        told.inspect_err(|e| tracing::error!(%request, error = ?e, "the reason of a decision cannot be read")).ok()?
    }

    /// The answer to a request.
    pub(super) fn answer_in_words(&self, caller: &Caller, request: &Request) -> Option<String> {
        let answer = request.state.answer()?;
        let reason = answer.reason.as_ref().and_then(|reason| self.reason_shown(caller, request.number, reason));
        Some(answer.in_words(reason.as_deref()))
    }

    /// What the newest decision says of what it did not approve.
    pub(super) fn rest_of(&self, request: &Request) -> Option<Rest> {
        let registry = self.registry();
        let newest = registry.correspondence.of(request.number).and_then(|told| told.decisions.last())?;
        match &newest.decision {
            Decision::Approved { rest, .. } => rest.clone(),
            Decision::Confirmed { .. }
            | Decision::Refused { .. }
            | Decision::Erased { .. }
            | Decision::Postponed { .. } => None,
        }
    }

    /// A proposal with its reason in words, where the reader may know it. Takes no lock: a proposal stands while its request
    /// is open alone, and nothing of that is erased.
    pub(super) fn proposal_in_words(
        &self,
        caller: &Caller,
        request: RequestId,
        mut proposed: ProposedDecision,
    ) -> ProposedDecision {
        if let Some(reason) = proposed.reason_mut()
            && let ReasonText::Sealed(sealed) = reason
        {
            match self.open_reason(caller, request, *sealed) {
                Ok(Some(text)) => *reason = ReasonText::Clear(text),
                Ok(None) => {}
                Err(e) => tracing::error!(%request, error = ?e, "the reason of a proposal cannot be read"),
            }
        }
        proposed
    }

    /// Why a part of a request was not approved, in words where the reader may know them.
    pub(super) fn rest_in_words(&self, caller: &Caller, request: RequestId, rest: &Rest) -> Rest {
        let Rest { ground, reason } = rest.clone();
        let reason = self.reason_shown(caller, request, &reason).map_or(reason, ReasonText::Clear);
        Rest { ground, reason }
    }
}

debug_tells_its_name_alone!(Reason);
