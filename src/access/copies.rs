//! Prints on paper and copies that were handed out: their destruction is entered by hand, so that it stands in the same
//! ledger as that of the footage (Standard Guidelines, articles 42 and 44).

use super::{Access, AccessError, Caller};
use crate::domain::{AccountId, CopyEnd, CopyKind, RequestId, Role, Utc};
use crate::ledger::{Act, CopyDestroyed};
use serde::Serialize;

const COUNT_LIMIT: u32 = 10_000;

/// As it is entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewCopyEnd {
    /// That it was made for, or handed out under.
    pub request: Option<RequestId>,
    pub copy: CopyKind,
    pub count: u32,
    pub how: CopyEnd,
    pub destroyed: Utc,
    /// Who destroyed it, where that was somebody else.
    pub by: Option<AccountId>,
}

/// As it stands on record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct CopyEndView {
    /// The ledger's row.
    pub row: u64,
    pub at: Utc,
    pub request: Option<RequestId>,
    pub copy: CopyKind,
    pub count: u32,
    pub how: CopyEnd,
    pub destroyed: Utc,
    pub by: AccountId,
}

impl Access {
    /// Enters that prints or copies were destroyed.
    ///
    /// # Errors
    /// [`AccessError::BadInput`]; [`AccessError::NoSuchRequest`]; [`AccessError::NoSuchAccount`];
    /// [`AccessError::NotRecorded`].
    pub fn enter_copy_end(&self, caller: &Caller, new: NewCopyEnd) -> Result<CopyEndView, AccessError> {
        caller.must_be(&[Role::Staff, Role::Officer])?;
        let NewCopyEnd { request, copy, count, how, destroyed, by } = new;
        if count == 0 || count > COUNT_LIMIT {
            return Err(AccessError::BadInput { field: "count", what: "is from 1 to 10,000" });
        }
        if destroyed > self.later() {
            return Err(AccessError::BadInput { field: "destroyed", what: "lies in the future" });
        }
        if let Some(request) = request {
            let found = self.find_request(request)?;
            caller.must_reach(&found.cameras)?;
            if destroyed < found.received {
                return Err(AccessError::BadInput { field: "destroyed", what: "lies before the request" });
            }
        }
        if let Some(by) = by {
            self.registry().members.get(by).ok_or(AccessError::NoSuchAccount)?;
        }
        let by = by.filter(|by| *by != caller.account());
        let act = Act::CopyDestroyed(CopyDestroyed { request, copy, count, how, destroyed, by });
        let row = self.record(caller.actor(), act)?;
        let by = by.unwrap_or(caller.account());
        Ok(CopyEndView { row: row.sequence, at: row.at, request, copy, count, how, destroyed, by })
    }
}
