//! What the rows add up to: requests, grants, rights. Built by applying every row at a start, and each new one.

use super::decisions::Deciding;
use crate::crypto::{PublicKey, VerifyingKey};
use crate::domain::request::{IdentityDocument, RefusalGround, RequestKind};
use crate::domain::{AccountId, CameraNumber, Digest, GrantId, RequestId, Role, Span, Utc};
use crate::ledger::{Act, Actor, Decision, GrantedView, Row};
use crate::vault::Hold;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a request stands.
///
/// ```text
/// Submitted ─ identity ─▶ Identified ─ decision ─▶ Approved ── close ─▶ Closed
///     │                                    ├─────▶ Confirmed ─ close ───▲
///     │                                    └─────▶ Refused ─── close ───▲
///     └─ nothing left ─▶ Unavailable
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RequestState {
    Submitted,
    Identified {
        document: IdentityDocument,
    },
    Approved {
        document: IdentityDocument,
        grant: GrantId,
    },
    /// An existence check was answered.
    Confirmed {
        document: IdentityDocument,
        exists: bool,
    },
    Refused {
        document: IdentityDocument,
        ground: RefusalGround,
        reason: String,
    },
    Unavailable {
        reason: String,
    },
    Closed {
        document: Option<IdentityDocument>,
        grant: Option<GrantId>,
        answer: Option<String>,
    },
}

/// The answer to an existence check, in words.
pub(super) fn existence_answer(exists: bool) -> &'static str {
    if exists { "footage exists" } else { "no footage exists" }
}

impl RequestState {
    pub fn name(&self) -> &'static str {
        match self {
            RequestState::Submitted => "submitted",
            RequestState::Identified { .. } => "identified",
            RequestState::Approved { .. } => "approved",
            RequestState::Confirmed { .. } => "confirmed",
            RequestState::Refused { .. } => "refused",
            RequestState::Unavailable { .. } => "unavailable",
            RequestState::Closed { .. } => "closed",
        }
    }

    /// Whether the footage asked for must stay. A refusal can be objected to, so it holds until the request is closed.
    fn holds(&self) -> bool {
        match self {
            RequestState::Submitted
            | RequestState::Identified { .. }
            | RequestState::Approved { .. }
            | RequestState::Confirmed { .. }
            | RequestState::Refused { .. } => true,
            RequestState::Unavailable { .. } | RequestState::Closed { .. } => false,
        }
    }

    /// The next state, where the diagram has one.
    pub(super) fn apply(&self, act: &Act) -> Option<RequestState> {
        match (self, act) {
            (RequestState::Submitted, Act::IdentityChecked { document, .. }) => {
                Some(RequestState::Identified { document: *document })
            }
            (RequestState::Submitted, Act::RequestUnavailable { reason, .. }) => {
                Some(RequestState::Unavailable { reason: reason.clone() })
            }
            (
                RequestState::Identified { document },
                Act::RequestDecided { decision: Decision::Approved { grant, .. }, .. },
            ) => Some(RequestState::Approved { document: *document, grant: *grant }),
            (
                RequestState::Identified { document },
                Act::RequestDecided { decision: Decision::Refused { ground, reason }, .. },
            ) => Some(RequestState::Refused { document: *document, ground: *ground, reason: reason.clone() }),
            (
                RequestState::Identified { document },
                Act::RequestDecided { decision: Decision::Confirmed { exists }, .. },
            ) => Some(RequestState::Confirmed { document: *document, exists: *exists }),
            (RequestState::Confirmed { document, exists }, Act::RequestClosed { .. }) => {
                let answer = Some(existence_answer(*exists).to_owned());
                Some(RequestState::Closed { document: Some(*document), grant: None, answer })
            }
            (RequestState::Approved { document, grant }, Act::RequestClosed { .. }) => {
                Some(RequestState::Closed { document: Some(*document), grant: Some(*grant), answer: None })
            }
            (RequestState::Refused { document, ground, reason }, Act::RequestClosed { .. }) => {
                let answer = Some(format!("{ground}: {reason}"));
                Some(RequestState::Closed { document: Some(*document), grant: None, answer })
            }
            (
                RequestState::Submitted
                | RequestState::Identified { .. }
                | RequestState::Approved { .. }
                | RequestState::Confirmed { .. }
                | RequestState::Refused { .. }
                | RequestState::Unavailable { .. }
                | RequestState::Closed { .. },
                _,
            ) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub number: RequestId,
    pub kind: RequestKind,
    pub cameras: Vec<CameraNumber>,
    pub span: Span,
    pub received: Utc,
    pub due: Utc,
    pub entered_by: Option<AccountId>,
    pub persons: Digest,
    pub state: RequestState,
}

/// Whether a grant still opens anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantState {
    Open,
    Ended,
}

#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub number: GrantId,
    pub request: RequestId,
    pub viewer: AccountId,
    pub views: Vec<GrantedView>,
    pub ends: Utc,
    pub state: GrantState,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rights {
    role: Role,
    key: PublicKey,
    release_key: Option<PublicKey>,
}

/// The keys that the site's first row names.
#[derive(Clone, Copy, Debug)]
pub(super) struct SiteKeys {
    pub signer: VerifyingKey,
    pub desk: PublicKey,
    pub recovery: PublicKey,
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    pub site: Option<SiteKeys>,
    rights: BTreeMap<AccountId, Rights>,
    pub requests: BTreeMap<RequestId, Request>,
    pub grants: BTreeMap<GrantId, Grant>,
    /// Requests whose decision is being carried out: a second one is told to wait.
    pub deciding: BTreeMap<RequestId, Arc<Deciding>>,
}

impl Registry {
    pub fn apply(&mut self, row: &Row) {
        match &row.act {
            Act::SiteMade { signer, desk, recovery } => {
                self.site = Some(SiteKeys { signer: *signer, desk: *desk, recovery: *recovery });
            }
            Act::RightsGranted { account, role, key, release_key, .. } => {
                self.rights.insert(*account, Rights { role: *role, key: *key, release_key: *release_key });
            }
            Act::RequestSubmitted { request, asked, cameras, span, due, persons } => {
                let entered_by = match row.actor {
                    Actor::Person { account, .. } => Some(account),
                    Actor::Nobody { .. } | Actor::Console | Actor::Daemon => None,
                };
                let new = Request {
                    number: *request,
                    kind: *asked,
                    cameras: cameras.clone(),
                    span: *span,
                    received: row.at,
                    due: *due,
                    entered_by,
                    persons: *persons,
                    state: RequestState::Submitted,
                };
                self.requests.insert(*request, new);
            }
            Act::IdentityChecked { request, .. }
            | Act::RequestUnavailable { request, .. }
            | Act::RequestDecided { request, .. }
            | Act::RequestClosed { request } => self.apply_to_request(*request, &row.act),
            Act::GrantEnded { grant } => {
                if let Some(known) = self.grants.get_mut(grant) {
                    known.state = GrantState::Ended;
                }
            }
            Act::FileOpened { .. }
            | Act::DaemonStarted { .. }
            | Act::DaemonStopped
            | Act::SignedIn
            | Act::SignInFailed { .. }
            | Act::SignedOut
            | Act::HoldPlaced { .. }
            | Act::HoldReleased { .. }
            | Act::ViewIntended { .. }
            | Act::ViewServed { .. }
            | Act::ViewRefused { .. }
            | Act::FootageDestroyed(_)
            | Act::FootageRecovered { .. }
            | Act::LedgerRead
            | Act::Checkpoint(_) => {}
        }
    }

    fn apply_to_request(&mut self, request: RequestId, act: &Act) {
        let Some(known) = self.requests.get_mut(&request) else { return };
        let Some(next) = known.state.apply(act) else {
            tracing::error!(%request, state = known.state.name(), "a row of the ledger does not fit the request's state");
            return;
        };
        known.state = next;
        if let Act::RequestDecided { decision: Decision::Approved { grant, viewer, views, ends, .. }, .. } = act {
            let new = Grant {
                number: *grant,
                request,
                viewer: *viewer,
                views: views.clone(),
                ends: *ends,
                state: GrantState::Open,
            };
            self.grants.insert(*grant, new);
        }
        if let RequestState::Closed { grant: Some(grant), .. } = &known.state
            && let Some(grant) = self.grants.get_mut(grant)
        {
            grant.state = GrantState::Ended;
        }
    }

    /// Whether a row of the ledger gave an account exactly this role and these keys.
    pub fn grants_rights(
        &self,
        account: AccountId,
        role: Role,
        key: PublicKey,
        release_key: Option<PublicKey>,
    ) -> bool {
        self.rights.get(&account) == Some(&Rights { role, key, release_key })
    }

    /// The session key of an account whose role reads persons.
    pub fn desk_key(&self, account: AccountId) -> Option<PublicKey> {
        self.rights.get(&account).filter(|rights| rights.role.reads_persons()).map(|rights| rights.key)
    }

    /// The release keys of all officers.
    pub fn release_keys(&self) -> Vec<PublicKey> {
        self.rights.values().filter_map(|rights| rights.release_key).collect()
    }

    pub fn next_request(&self) -> RequestId {
        RequestId(self.requests.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    pub fn next_grant(&self) -> GrantId {
        GrantId(self.grants.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    /// The holds that must stand.
    pub fn wanted_holds(&self) -> Vec<Hold> {
        let holding = self.requests.values().filter(|request| request.state.holds());
        holding
            .map(|request| Hold { request: request.number, cameras: request.cameras.clone(), span: request.span })
            .collect()
    }

    pub fn open_grants(&self) -> BTreeSet<GrantId> {
        let open = self.grants.values().filter(|grant| grant.state == GrantState::Open);
        open.map(|grant| grant.number).collect()
    }

    /// Grants whose end has come.
    pub fn grants_over(&self, now: Utc) -> Vec<GrantId> {
        let open = self.grants.values().filter(|grant| grant.state == GrantState::Open && grant.ends <= now);
        open.map(|grant| grant.number).collect()
    }
}
