//! Parts of the ledger that leave the system: as CSV, or as a page to print. Order: a checkpoint → what leaves is put together,
//! with that checkpoint in it → a row with its digest → the first byte.
//!
//! The CSV is UTF-8 with a byte order mark, so that Excel reads Korean, and no cell of it begins like a formula (CWE-1236).

use super::register::{LINES_LIMIT, RegisterAsked, RegisterLine};
use super::rights::RightsEvent;
use super::{Access, AccessError, Caller};
use crate::access::nameless::debug_tells_its_name_alone;
use crate::crypto::sha256;
use crate::domain::{AccountId, Digest, Span, Utc};
use crate::ledger::{Act, Actor, CheckpointMark, ExportForm, ExportedView, GrantedView, LedgerExport, Row};
use serde::Serialize;
use std::ops::ControlFlow;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What is not in the access log: what nobody did, and has a report of its own.
const NO_ACCESS: [&str; 5] = ["footage-destroyed", "manifest-closed", "checkpoint", "file-opened", "keys-sealed"];

/// A file that leaves.
#[derive(Clone)]
pub struct ExportedFile {
    pub name: String,
    pub bytes: Vec<u8>,
    pub digest: Digest,
    /// The row that says so.
    pub row: u64,
}

/// A register as it is printed.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RegisterPage {
    pub site: String,
    pub time_zone: String,
    pub span: Span,
    pub lines: Vec<RegisterLine>,
    /// Of the lines' JSON without spaces.
    pub digest: Digest,
    /// The row that says that it left.
    pub row: u64,
    pub checkpoint: String,
}

/// A table of texts on its way out.
struct Sheet {
    rows: Vec<Vec<String>>,
    columns: usize,
}

impl Sheet {
    fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|title| (*title).to_owned()).collect()], columns: columns.len() }
    }

    fn lines(&self) -> u64 {
        self.rows.len() as u64 - 1
    }

    /// The file, with the checkpoint as its last line.
    fn to_csv(&self, checkpoint: &CheckpointMark) -> Result<Vec<u8>, AccessError> {
        let failed =
            |e: &dyn std::fmt::Display| AccessError::Unavailable { why: format!("the file cannot be made: {e}") };
        let mut to = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .flexible(true)
            .from_writer(BYTE_ORDER_MARK.as_bytes().to_vec());
        for row in &self.rows {
            debug_assert_eq!(row.len(), self.columns);
            to.write_record(row.iter().map(|cell| guarded(cell))).map_err(|e| failed(&e))?;
        }
        to.write_record([checkpoint.to_string()]).map_err(|e| failed(&e))?;
        to.into_inner().map_err(|e| failed(&e))
    }
}

/// A cell that no table calculator takes for a formula.
fn guarded(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    let hidden = cell.trim_start().starts_with(['=', '+', '@']);
    if is_formula || hidden { format!("'{cell}") } else { cell.to_owned() }
}

fn or_empty<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn footage_text(views: &[GrantedView]) -> String {
    let one = |view: &GrantedView| format!("camera {} {} – {}", view.camera, view.span.from(), view.span.to());
    views.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// One word of the format, as it stands in JSON.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

impl Access {
    /// An account's number with its name, where there is one still.
    fn named(&self, account: Option<AccountId>) -> String {
        let name = |account| self.people.name_of(account).map_or_else(String::new, |name| format!(" {name}"));
        account.map(|account| format!("{account}{}", name(account))).unwrap_or_default()
    }

    /// The register as a page.
    ///
    /// # Errors
    /// [`AccessError::Forbidden`] but for officers and auditors; [`AccessError::PeriodTooLong`];
    /// [`AccessError::NotRecorded`].
    pub fn register_page(&self, caller: &Caller, asked: RegisterAsked) -> Result<RegisterPage, AccessError> {
        self.must_read_ledger(caller)?;
        let mark = self.checkpoint_to_carry()?;
        let lines = self.register_lines(caller, asked)?;
        let bytes = serde_json::to_vec(&lines).map_err(|e| AccessError::NotRecorded(e.into()))?;
        let digest = sha256(&bytes);
        let counted = lines.len() as u64;
        let row = self.record_export(
            caller,
            (ExportedView::Register, ExportForm::Page),
            asked.span,
            (counted, digest),
            mark,
        )?;
        let (site, checkpoint) = (self.periods.site_name.clone(), mark.to_string());
        let time_zone = self.periods.time_zone.iana_name().unwrap_or("UTC").to_owned();
        Ok(RegisterPage { site, time_zone, span: asked.span, lines, digest, row, checkpoint })
    }

    fn record_export(
        &self,
        caller: &Caller,
        (view, form): (ExportedView, ExportForm),
        span: Span,
        (lines, digest): (u64, Digest),
        mark: CheckpointMark,
    ) -> Result<u64, AccessError> {
        let export = LedgerExport { view, form, span, lines, digest, checkpoint: mark.sequence };
        Ok(self.record(caller.actor(), Act::LedgerExported(export))?.sequence)
    }

    fn export(
        &self,
        caller: &Caller,
        (view, name): (ExportedView, &str),
        span: Span,
        sheet: impl FnOnce() -> Result<Sheet, AccessError>,
    ) -> Result<ExportedFile, AccessError> {
        self.must_read_ledger(caller)?;
        let mark = self.checkpoint_to_carry()?;
        let sheet = sheet()?;
        let bytes = sheet.to_csv(&mark)?;
        let digest = sha256(&bytes);
        let row = self.record_export(caller, (view, ExportForm::Csv), span, (sheet.lines(), digest), mark)?;
        let day = |at: Utc| at.day().to_string();
        let name = format!("{name}-{}-{}.csv", day(span.from()), day(span.to()));
        Ok(ExportedFile { name, bytes, digest, row })
    }

    /// The register as CSV.
    ///
    /// # Errors
    /// As [`Access::register_page`].
    pub fn register_csv(&self, caller: &Caller, asked: RegisterAsked) -> Result<ExportedFile, AccessError> {
        self.export(caller, (ExportedView::Register, "register"), asked.span, || {
            let mut sheet = Sheet::new(&[
                "번호 (number)",
                "구분 (kind)",
                "처리 (event)",
                "일시 (date and time)",
                "종료 (until)",
                "파일명·형태 (file, form)",
                "담당자 (person in charge)",
                "목적·사유 (purpose, reason)",
                "열람자 (viewer)",
                "요청인·제3자 (requester, third party)",
                "연락처 (contact)",
                "근거 (legal basis)",
                "요청 번호 (request)",
                "이용 기간 (period)",
                "구간 수 (segments)",
                "바이트 (bytes)",
                "미입증 (not proven)",
                "파기 확인 일시 (confirmed at)",
                "확인 행 (confirmed in row)",
                "마지막 행 (last row)",
                "제공 형태 (form)",
                "제공 기간 (period of use)",
                "사본 (copy allowed)",
            ]);
            for line in self.register_lines(caller, asked)? {
                sheet.rows.push(self.register_cells(&line));
            }
            Ok(sheet)
        })
    }

    fn register_cells(&self, line: &RegisterLine) -> Vec<String> {
        let form = match &line.copy {
            Some(copy) => format!("{} × {}, {}", copy.count, word(copy.copy), word(copy.how)),
            None => footage_text(&line.footage),
        };
        let purpose: Vec<&str> = [&line.purpose, &line.reason].into_iter().flatten().map(String::as_str).collect();
        vec![
            line.row.to_string(),
            line.kind.to_string(),
            word(line.event),
            line.at.to_string(),
            or_empty(line.until),
            form,
            self.named(line.in_charge),
            purpose.join(" / "),
            self.named(line.viewer),
            or_empty(line.requester.as_ref()),
            or_empty(line.contact.as_ref()),
            or_empty(line.basis.as_ref()),
            or_empty(line.request),
            or_empty(line.ends),
            line.segments.to_string(),
            line.bytes.to_string(),
            line.failures.to_string(),
            or_empty(line.confirmed),
            or_empty(line.confirmed_row),
            line.last_row.to_string(),
            line.form.map(word).unwrap_or_default(),
            or_empty(line.period),
            if line.copy_allowed { "O".to_owned() } else { String::new() },
        ]
    }

    /// The access log as CSV: who did what, when, from where, with whose data.
    ///
    /// # Errors
    /// As [`Access::register_page`].
    pub fn access_log_csv(&self, caller: &Caller, span: Span) -> Result<ExportedFile, AccessError> {
        self.export(caller, (ExportedView::AccessLog, "access-log"), span, || {
            let mut sheet = Sheet::new(&[
                "번호 (number)",
                "일시 (date and time)",
                "행위자 (who)",
                "계정 (account)",
                "주소 (address)",
                "행위 (act)",
                "요청 (request)",
                "허가 (grant)",
                "카메라 (camera)",
                "영상 시작 (footage from)",
                "영상 끝 (footage to)",
                "상세 (as written)",
            ]);
            let wanted = |line: &[u8]| super::summary::kind_of(line).is_some_and(|kind| !NO_ACCESS.contains(&kind));
            self.ledger.pages().each(self.rows_of(span)?, wanted, |row| {
                if span.contains(row.at) {
                    sheet.rows.push(self.access_cells(&row));
                }
                if sheet.rows.len() > LINES_LIMIT { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            if sheet.rows.len() > LINES_LIMIT {
                return Err(AccessError::PeriodTooLong { limit: LINES_LIMIT });
            }
            Ok(sheet)
        })
    }

    fn access_cells(&self, row: &Row) -> Vec<String> {
        let (who, account, address) = match row.actor {
            Actor::Person { account, address } => ("person", Some(account), Some(address)),
            Actor::Nobody { address } => ("nobody", None, Some(address)),
            Actor::Console => ("console", None, None),
            Actor::Daemon => ("daemon", None, None),
        };
        let act = serde_json::to_value(&row.act).unwrap_or_default();
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let cameras = if act["camera"].is_null() { &act["cameras"] } else { &act["camera"] };
        vec![
            row.sequence.to_string(),
            row.at.to_string(),
            who.to_owned(),
            self.named(account),
            or_empty(address),
            text(&act["kind"]),
            text(&act["request"]),
            text(&act["grant"]),
            text(cameras).trim_matches(['[', ']']).to_owned(),
            text(&act["span"]["from"]),
            text(&act["span"]["to"]),
            act.to_string(),
        ]
    }

    /// The history of rights as CSV.
    ///
    /// # Errors
    /// As [`Access::register_page`].
    pub fn rights_csv(&self, caller: &Caller, span: Span) -> Result<ExportedFile, AccessError> {
        self.export(caller, (ExportedView::RightsHistory, "rights"), span, || {
            let mut sheet = Sheet::new(&[
                "번호 (number)",
                "일시 (date and time)",
                "계정 (account)",
                "구분 (what)",
                "이전 역할 (role before)",
                "역할 (role)",
                "카메라 (cameras)",
                "만료 (ends)",
                "사유 (reason)",
                "신청자 (requester)",
                "승인자 (approver)",
            ]);
            let mut events: Vec<(AccountId, RightsEvent)> = {
                let registry = self.registry();
                let of = |(account, member): (AccountId, &super::rights::Member)| {
                    member.history.iter().map(|event| (account, event.clone())).collect::<Vec<_>>()
                };
                registry.members.iter().flat_map(of).filter(|(_, event)| span.contains(event.at)).collect()
            };
            events.sort_by_key(|(_, event)| event.row);
            for (account, event) in events {
                sheet.rows.push(self.rights_cells(account, event));
            }
            Ok(sheet)
        })
    }

    fn rights_cells(&self, account: AccountId, event: RightsEvent) -> Vec<String> {
        let cameras = |terms: &super::rights::Terms| match &terms.cameras {
            Some(cameras) => cameras.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            None => "all".to_owned(),
        };
        vec![
            event.row.to_string(),
            event.at.to_string(),
            self.named(Some(account)),
            event.what.to_owned(),
            event.before.map(word).unwrap_or_default(),
            event.terms.as_ref().map(|terms| word(terms.role)).unwrap_or_default(),
            event.terms.as_ref().map(cameras).unwrap_or_default(),
            or_empty(event.terms.as_ref().and_then(|terms| terms.ends)),
            event.reason.unwrap_or_default(),
            self.named(event.requester),
            self.named(event.by),
        ]
    }
}

debug_tells_its_name_alone!(ExportedFile);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_korean_is_read() {
        let mut sheet = Sheet::new(&["이름", "b"]);
        for cell in ["=1+1", "+82 2 123", "-1", "@SUM(A1)", "\t=1", " =1", "김 \"하나\", 둘"] {
            sheet.rows.push(vec![cell.to_owned(), "a\r\nb".to_owned()]);
        }
        let mark = CheckpointMark { site: None, sequence: 3, head: Digest([9; 32]), signature: None };
        let bytes = sheet.to_csv(&mark).unwrap();
        assert_eq!(&bytes[..3], [0xef, 0xbb, 0xbf]);
        let mut read = csv::ReaderBuilder::new().flexible(true).from_reader(&bytes[3..]);
        let cells: Vec<String> = read.records().map(|record| record.unwrap()[0].to_owned()).collect();
        let wanted = ["'=1+1", "'+82 2 123", "'-1", "'@SUM(A1)", "'\t=1", "' =1", "김 \"하나\", 둘"];
        assert_eq!(cells[..7], wanted);
        assert_eq!(CheckpointMark::find(&cells[7]), Some(mark));
    }
}
