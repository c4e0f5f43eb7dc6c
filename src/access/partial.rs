//! Approvals of a part: what is left out, and why.

use super::letters::left_out;
use super::requested::Request;
use super::requests::nothing_left;
use super::texts::check_text;
use super::{Access, AccessError, Approval, Refusal};
use crate::domain::request::{HandOverForm, RefusalGround, RequestKind};
use crate::domain::{CameraNumber, Span, Utc};
use crate::ledger::{GrantedView, Rest};
use crate::vault::Availability;

impl Access {
    /// Why something of it is not approved: as the officer says, or because it is not there.
    pub(super) fn rest_of_approval(
        &self,
        found: &Request,
        approval: &Approval,
        views: &[GrantedView],
        now: Utc,
    ) -> Result<Option<Rest>, AccessError> {
        let left = left_out(found, views);
        if let Some(Refusal { ground, reason }) = &approval.rest {
            let is_partial = !left.is_empty() || without_copy(found, approval);
            return Ok(is_partial.then(|| Rest { ground: *ground, reason: reason.clone().into() }));
        }
        let mut pieces = Vec::new();
        for GrantedView { camera, span } in &left {
            pieces.extend(self.vault.availability(*camera, *span, now)?);
        }
        if left.is_empty() {
            return Ok(None);
        }
        let is_destroyed = pieces.iter().any(|piece| matches!(piece, Availability::Destroyed { .. }));
        let ground = if is_destroyed { RefusalGround::AlreadyDestroyed } else { RefusalGround::OtherJustCause };
        let reason = nothing_left(&pieces).unwrap_or_else(|| "it cannot be decoded before a key frame".to_owned());
        Ok(Some(Rest { ground, reason: reason.into() }))
    }
}

/// Whether the copy that was asked for is left out.
pub(super) fn without_copy(found: &Request, approval: &Approval) -> bool {
    !approval.conditions.copy && wants_copy(found)
}

/// Who approves a part says why the rest is not (PIPA 35(4), Decree 42(2)).
pub(super) fn check_rest(
    found: &Request,
    (cameras, span): (&[CameraNumber], Span),
    approval: &Approval,
) -> Result<(), AccessError> {
    if let Some(rest) = &approval.rest {
        return check_text("rest", &rest.reason, true);
    }
    let is_less = cameras.len() < found.cameras.len() || span != found.span || without_copy(found, approval);
    if is_less && found.kind != RequestKind::ExistenceCheck {
        let what = "is wanted where only a part is approved: on which ground, and why, the rest is not";
        return Err(AccessError::BadInput { field: "rest", what });
    }
    Ok(())
}

/// Whether a copy is what was asked for, or the form of a provision.
pub(super) fn wants_copy(found: &Request) -> bool {
    let provision = found.terms.and_then(|terms| terms.provision);
    found.kind == RequestKind::Copy || provision.is_some_and(|provision| provision.form == HandOverForm::Copy)
}
