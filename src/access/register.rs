//! The management ledger of personal video information (the ministry's form 3; Standard Guidelines, articles 42, 44 and 45):
//! what was used, provided, viewed and destroyed, in a period. It is put together from the ledger's rows; names, contacts and
//! purposes come from the sealed requests, each held against the commitment in its row, for those who may read them.

use super::exports::word;
use super::registry::person_of;
use super::requested::Request;
use super::summary::kind_of;
use super::{Access, AccessError, Caller};
use crate::access::nameless::debug_tells_its_name_alone;
use crate::domain::request::{HandOverForm, RequestKind};
use crate::domain::{AccountId, CameraNumber, GrantId, LocalDay, RequestId, Span, Utc};
use crate::ledger::{Act, CopyDestroyed, Decision, DestructionReceipt, GrantedView, Row};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::{ControlFlow, RangeInclusive};
use std::time::Duration;

/// Pieces that follow on each other within this are one viewing.
const ONE_VIEWING: Duration = Duration::from_secs(600);
/// What one answer may hold.
pub(super) const LINES_LIMIT: usize = 200_000;

/// The kinds of rows that it is put together from.
const TOLD: [&str; 4] = ["request-decided", "view-intended", "footage-destroyed", "copy-destroyed"];

/// What was done with footage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegisterKind {
    Use,
    Provide,
    View,
    Destroy,
}

impl fmt::Display for RegisterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RegisterKind::Use => "이용 (use)",
            RegisterKind::Provide => "제공 (provide)",
            RegisterKind::View => "열람 (view)",
            RegisterKind::Destroy => "파기 (destroy)",
        })
    }
}

/// How a line came to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegisterEvent {
    Granted,
    Refused,
    Postponed,
    Answered,
    Erased,
    Viewed,
    DestroyedAutomatically,
    CopyDestroyed,
}

/// One line of the form.
#[derive(Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct RegisterLine {
    /// The ledger's row, the first where there are several; the last of them.
    pub row: u64,
    pub last_row: u64,
    pub kind: RegisterKind,
    pub event: RegisterEvent,
    pub at: Utc,
    /// Until when a viewing lasted.
    pub until: Option<Utc>,
    pub request: Option<RequestId>,
    pub grant: Option<GrantId>,
    /// The file: cameras, and the time that the footage was made.
    pub footage: Vec<GrantedView>,
    /// Of what is no footage: the copies.
    pub copy: Option<CopyDestroyed>,
    /// Of destruction: segments, bytes, rows whose overwriting was not proven.
    pub segments: u64,
    pub bytes: u64,
    pub failures: u64,
    /// Who is in charge: accounts, and their names.
    pub in_charge: Option<AccountId>,
    pub in_charge_name: Option<String>,
    /// Who viewed.
    pub viewer: Option<AccountId>,
    pub viewer_name: Option<String>,
    pub requester: Option<String>,
    pub contact: Option<String>,
    pub purpose: Option<String>,
    /// The legal basis, or the ground of a refusal with its reason.
    pub basis: Option<String>,
    pub reason: Option<String>,
    /// Until when what was granted can be viewed.
    pub ends: Option<Utc>,
    /// Of a provision: in what form it is handed over, and until when the recipient may use it.
    pub form: Option<HandOverForm>,
    pub period: Option<LocalDay>,
    /// Whether a copy may be made of what was granted.
    pub copy_allowed: bool,
    /// Of destruction: when an officer confirmed that it ran, and the row.
    pub confirmed: Option<Utc>,
    pub confirmed_row: Option<u64>,
}

/// How destruction is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destroyed {
    /// A line for each day of the site, with its confirmation.
    ByDay,
    /// A line for each receipt.
    ByReceipt,
}

/// What a register is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterAsked {
    pub span: Span,
    pub kind: Option<RegisterKind>,
    pub destroyed: Destroyed,
}

/// What a request says of persons, for this form.
#[derive(Clone, Default)]
struct Party {
    name: Option<String>,
    contact: Option<String>,
    purpose: Option<String>,
}

fn line(row: &Row, kind: RegisterKind, event: RegisterEvent) -> RegisterLine {
    RegisterLine {
        row: row.sequence,
        last_row: row.sequence,
        kind,
        event,
        at: row.at,
        until: None,
        request: None,
        grant: None,
        footage: Vec::new(),
        copy: None,
        segments: 0,
        bytes: 0,
        failures: 0,
        in_charge: person_of(row.actor),
        in_charge_name: None,
        viewer: None,
        viewer_name: None,
        requester: None,
        contact: None,
        purpose: None,
        basis: None,
        reason: None,
        ends: None,
        form: None,
        period: None,
        copy_allowed: false,
        confirmed: None,
        confirmed_row: None,
    }
}

fn kind_of_request(kind: RequestKind) -> RegisterKind {
    match kind {
        RequestKind::Viewing | RequestKind::Copy | RequestKind::ExistenceCheck => RegisterKind::View,
        RequestKind::Erasure => RegisterKind::Destroy,
        RequestKind::OwnUse => RegisterKind::Use,
        RequestKind::Provision
        | RequestKind::OperatingRoomAuthority
        | RequestKind::OperatingRoomMediation
        | RequestKind::OperatingRoomConsent => RegisterKind::Provide,
    }
}

fn whole(request: &Request) -> Vec<GrantedView> {
    request.cameras.iter().map(|camera| GrantedView { camera: *camera, span: request.span }).collect()
}

/// Lines as they come from rows.
struct Building<'a> {
    access: &'a Access,
    caller: &'a Caller,
    asked: RegisterAsked,
    lines: Vec<RegisterLine>,
    /// The line of each viewing under way.
    viewing: HashMap<(GrantId, CameraNumber, Option<AccountId>), usize>,
    days: BTreeMap<LocalDay, usize>,
}

impl Building<'_> {
    fn wants(&self, kind: RegisterKind) -> bool {
        self.asked.kind.is_none_or(|wanted| wanted == kind)
    }

    fn push(&mut self, line: RegisterLine) {
        if self.wants(line.kind) {
            self.lines.push(line);
        }
    }

    fn take(&mut self, row: &Row) {
        match &row.act {
            Act::RequestDecided { request, decision } => {
                if let Ok(found) = self.access.find_request(*request) {
                    let line = decided(row, &found, decision);
                    let reason = self.reason(&line, &found, decision);
                    self.push(RegisterLine { reason, ..line });
                }
            }
            Act::ViewIntended { grant, request, camera, span, .. } => {
                self.viewed(row, (*grant, *request), *camera, *span)
            }
            Act::FootageDestroyed(receipt) => self.destroyed(row, receipt),
            Act::CopyDestroyed(copy) => {
                let new = line(row, RegisterKind::Destroy, RegisterEvent::CopyDestroyed);
                let in_charge = copy.by.or(new.in_charge);
                self.push(RegisterLine {
                    request: copy.request,
                    copy: Some(copy.clone()),
                    at: copy.destroyed,
                    in_charge,
                    ..new
                });
            }
            _ => {}
        }
    }

    /// The reason of a decision, as far as the reader may know it.
    fn reason(&self, line: &RegisterLine, found: &Request, decision: &Decision) -> Option<String> {
        let reason = decision.reason().filter(|_| self.wants(line.kind))?;
        self.caller.must_reach(&found.cameras).ok()?;
        self.access.reason_shown(self.caller, found.number, reason)
    }

    /// Rows of viewing are never merged in the ledger; the form has a line for a viewing.
    fn viewed(&mut self, row: &Row, (grant, request): (GrantId, RequestId), camera: CameraNumber, span: Span) {
        let kind = match self.access.find_request(request).map(|found| kind_of_request(found.kind)) {
            Ok(kind) if kind != RegisterKind::Destroy => kind,
            Ok(_) | Err(_) => RegisterKind::View,
        };
        if !self.wants(kind) {
            return;
        }
        let viewer = person_of(row.actor);
        let key = (grant, camera, viewer);
        let known = self.viewing.get(&key).and_then(|at| self.lines.get_mut(*at));
        if let Some(known) = known
            && row.at.since(known.until.unwrap_or(known.at)) <= ONE_VIEWING
        {
            (known.until, known.last_row) = (Some(row.at), row.sequence);
            if let Some(view) = known.footage.first_mut() {
                view.span = view.span.hull(span);
            }
            return;
        }
        self.viewing.insert(key, self.lines.len());
        self.lines.push(RegisterLine {
            until: Some(row.at),
            request: Some(request),
            grant: Some(grant),
            footage: vec![GrantedView { camera, span }],
            viewer,
            in_charge: None,
            ..line(row, kind, RegisterEvent::Viewed)
        });
    }

    fn destroyed(&mut self, row: &Row, receipt: &DestructionReceipt) {
        if !self.wants(RegisterKind::Destroy) {
            return;
        }
        let day = LocalDay::of(row.at, &self.access.periods.time_zone);
        let view = GrantedView { camera: receipt.camera, span: receipt.span };
        let known = self.days.get(&day).copied().filter(|_| self.asked.destroyed == Destroyed::ByDay);
        let at = known.unwrap_or(self.lines.len());
        if known.is_none() {
            self.days.insert(day, at);
            let (confirmed, confirmed_row) = self.access.confirmation_of(day).unzip();
            let new = line(row, RegisterKind::Destroy, RegisterEvent::DestroyedAutomatically);
            self.lines.push(RegisterLine { confirmed, confirmed_row, ..new });
        }
        let Some(line) = self.lines.get_mut(at) else { return };
        line.last_row = row.sequence;
        line.until = Some(row.at);
        line.segments += u64::from(receipt.segments);
        line.bytes += receipt.bytes;
        line.failures += u64::from(receipt.unproven_segments());
        match line.footage.iter_mut().find(|known| known.camera == view.camera) {
            Some(known) => known.span = known.span.hull(view.span),
            None => line.footage.push(view),
        }
    }
}

fn decided(row: &Row, request: &Request, decision: &Decision) -> RegisterLine {
    let kind = kind_of_request(request.kind);
    let provision = request.terms.and_then(|terms| terms.provision);
    let new = |event| RegisterLine {
        request: Some(request.number),
        footage: whole(request),
        basis: provision.map(|terms| word(terms.basis)),
        form: provision.map(|terms| terms.form),
        period: provision.map(|terms| terms.until),
        ..line(row, kind, event)
    };
    match decision {
        Decision::Approved { grant, viewer, views, ends, segments, conditions, .. } => RegisterLine {
            copy_allowed: conditions.copy,
            grant: Some(*grant),
            viewer: Some(*viewer),
            footage: views.clone(),
            ends: Some(*ends),
            segments: u64::from(*segments),
            ..new(RegisterEvent::Granted)
        },
        Decision::Confirmed { .. } => new(RegisterEvent::Answered),
        Decision::Refused { ground, .. } => {
            RegisterLine { basis: Some(ground.to_string()), ..new(RegisterEvent::Refused) }
        }
        Decision::Erased { erased, segments, .. } => {
            RegisterLine { footage: erased.clone(), segments: u64::from(*segments), ..new(RegisterEvent::Erased) }
        }
        Decision::Postponed { until, .. } => RegisterLine { ends: Some(*until), ..new(RegisterEvent::Postponed) },
    }
}

impl Access {
    /// The rows that may lie in a span: those of the months that it touches. A clock that stepped back writes rows of an
    /// earlier time into a later month, so one more is looked at.
    pub(super) fn rows_of(&self, span: Span) -> Result<RangeInclusive<u64>, AccessError> {
        let months = self.ledger.pages().months()?;
        let after = months.iter().take_while(|file| file.month.end() <= span.from()).last();
        let first = after.and_then(|file| file.last).map_or(1, |last| last + 1);
        let behind = months.iter().find(|file| file.month.start() > span.to());
        Ok(first..=behind.and_then(|file| file.last).unwrap_or(u64::MAX))
    }

    fn confirmation_of(&self, day: LocalDay) -> Option<(Utc, u64)> {
        self.destructions().confirmation(day)
    }

    /// The register's lines, by their rows.
    pub(super) fn register_lines(
        &self,
        caller: &Caller,
        asked: RegisterAsked,
    ) -> Result<Vec<RegisterLine>, AccessError> {
        let (lines, viewing, days) = (Vec::new(), HashMap::new(), BTreeMap::new());
        let mut building = Building { access: self, caller, asked, lines, viewing, days };
        let wanted = |line: &[u8]| kind_of(line).is_some_and(|kind| TOLD.contains(&kind));
        self.ledger.pages().each(self.rows_of(asked.span)?, wanted, |row| {
            if asked.span.contains(row.at) {
                building.take(&row);
            }
            if building.lines.len() > LINES_LIMIT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let mut lines = building.lines;
        if lines.len() > LINES_LIMIT {
            return Err(AccessError::PeriodTooLong { limit: LINES_LIMIT });
        }
        self.join_persons(caller, &mut lines);
        Ok(lines)
    }

    /// Names of accounts, and what the sealed requests say of persons.
    fn join_persons(&self, caller: &Caller, lines: &mut [RegisterLine]) {
        let mut parties: HashMap<RequestId, Party> = HashMap::new();
        for line in lines {
            line.in_charge_name = line.in_charge.and_then(|account| self.people.name_of(account));
            line.viewer_name = line.viewer.and_then(|account| self.people.name_of(account));
            let Some(request) = line.request else { continue };
            let party = parties.entry(request).or_insert_with(|| self.party(caller, request)).clone();
            (line.requester, line.contact, line.purpose) = (party.name, party.contact, party.purpose);
        }
    }

    fn party(&self, caller: &Caller, request: RequestId) -> Party {
        let told = self.find_request(request).and_then(|found| {
            caller.must_reach(&found.cameras)?;
            self.party_of(caller, &found)
        });
        match told {
            Ok(Some((name, contact, purpose))) => {
                Party { name: Some(name), contact: Some(contact), purpose: Some(purpose) }
            }
            Ok(None) => Party::default(),
            Err(e) => {
                tracing::warn!(%request, error = ?e, "what a request held of persons is not there any more, or cannot be read");
                Party::default()
            }
        }
    }
}

debug_tells_its_name_alone!(RegisterLine, Party);
