//! The ledger: its rows, its months and their review; the statutory views, on a page or as a file; copies that were destroyed.

use super::Routes;
use super::answers::{SignedIn, ask, ask_again};
use super::bodies::{Asked, Body, Ends, Place};
use super::described::{Bytes, Created, Kind};
use super::parts::Part;
use super::problem::Problem;
use crate::access::{
    CopyEndView, Destroyed, ExportedFile, MonthLine, MonthView, NewCopyEnd, RegisterAsked, RegisterKind, RegisterPage,
};
use crate::domain::{AccountId, CopyEnd, CopyKind, Digest, Month, RequestId, Utc};
use crate::ledger::{Act, Row};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

const PAGE_LIMIT: usize = 1_000;

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Head {
    sequence: u64,
    digest: Digest,
    writable: bool,
}

pub(super) async fn head(State(routes): State<Routes>, SignedIn(caller): SignedIn) -> Result<Json<Head>, Problem> {
    let (sequence, digest, writable) = ask(&routes.access, move |access| access.ledger_head(&caller)).await?;
    Ok(Json(Head { sequence, digest, writable }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

impl Page {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(200).clamp(1, PAGE_LIMIT)
    }
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Rows {
    rows: Vec<Row>,
    /// Ask for what comes `after` this; `null` where nothing does.
    next: Option<u64>,
}

pub(super) async fn rows(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(page): Asked<Page>,
) -> Result<Json<Rows>, Problem> {
    let told =
        ask(&routes.access, move |access| access.ledger_rows(&caller, page.after, page.limit(), |_| true)).await?;
    Ok(Json(Rows { rows: told.rows, next: told.next }))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Destructions {
    destructions: Vec<Row>,
    /// As of the ledger's rows. A page may have less than it was asked for, and yet there is a next one.
    next: Option<u64>,
}

pub(super) async fn destructions(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(page): Asked<Page>,
) -> Result<Json<Destructions>, Problem> {
    let wanted = |act: &Act| matches!(act, Act::FootageDestroyed(_));
    let told = ask(&routes.access, move |access| access.ledger_rows(&caller, page.after, page.limit(), wanted)).await?;
    Ok(Json(Destructions { destructions: told.rows, next: told.next }))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Months {
    months: Vec<MonthLine>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn months(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Months>, Problem> {
    let all = ask(&routes.access, move |access| access.ledger_months(&caller)).await?;
    let (months, next) = part.of(all, |line| line.month)?;
    Ok(Json(Months { months, next }))
}

pub(super) async fn month(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(month): Place<Month>,
) -> Result<Json<MonthView>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.ledger_month(&caller, month)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Review {
    /// Of the summary, as it was shown.
    summary: Digest,
    #[serde(default)]
    remarks: Option<String>,
    password: String,
}

pub(super) async fn review(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(month): Place<Month>,
    Body(Review { summary, remarks, password }): Body<Review>,
) -> Result<Json<MonthView>, Problem> {
    let view = ask_again(&routes.access, password, move |access, password| {
        access.review_month(&caller, month, (summary, remarks), password)
    });
    Ok(Json(view.await?))
}

/// A period, and one kind of what was done.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Period {
    from: Utc,
    to: Utc,
    kind: Option<RegisterKind>,
}

impl Period {
    fn asked(self, destroyed: Destroyed) -> Result<RegisterAsked, Problem> {
        let Self { from, to, kind } = self;
        Ok(RegisterAsked { span: Ends { from, to }.span()?, kind, destroyed })
    }
}

pub(super) async fn register(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(period): Asked<Period>,
) -> Result<Json<RegisterPage>, Problem> {
    let asked = period.asked(Destroyed::ByDay)?;
    Ok(Json(ask(&routes.access, move |access| access.register_page(&caller, asked)).await?))
}

/// A table as a file.
pub(super) struct Csv;

impl Kind for Csv {
    const NAME: &'static str = "text/csv; charset=utf-8; header=present";
    const DESCRIPTION: &'static str =
        "A table (RFC 4180); `Custodian-Row` says which row tells of it, `Custodian-SHA256` its digest";
    const IS_TEXT: bool = true;
}

/// What a browser saves.
pub(super) struct Download(ExportedFile);

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let Self(ExportedFile { name, bytes, digest, row }) = self;
        let mut response = bytes.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Csv::NAME));
        let saved = format!("attachment; filename=\"{name}\"");
        for (field, value) in [
            (header::CONTENT_DISPOSITION, saved),
            (header::HeaderName::from_static("custodian-row"), row.to_string()),
            (header::HeaderName::from_static("custodian-sha256"), digest.to_string()),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(field, value);
            }
        }
        response
    }
}

impl aide::OperationOutput for Download {
    type Inner = ();

    fn inferred_responses(
        ctx: &mut aide::generate::GenContext,
        operation: &mut aide::openapi::Operation,
    ) -> Vec<(Option<u16>, aide::openapi::Response)> {
        Bytes::<Csv>::inferred_responses(ctx, operation)
    }
}

pub(super) async fn register_file(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(period): Asked<Period>,
) -> Result<Download, Problem> {
    let asked = period.asked(Destroyed::ByReceipt)?;
    Ok(Download(ask(&routes.access, move |access| access.register_csv(&caller, asked)).await?))
}

pub(super) async fn access_log_file(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(ends): Asked<Ends>,
) -> Result<Download, Problem> {
    let span = ends.span()?;
    Ok(Download(ask(&routes.access, move |access| access.access_log_csv(&caller, span)).await?))
}

pub(super) async fn rights_file(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(ends): Asked<Ends>,
) -> Result<Download, Problem> {
    let span = ends.span()?;
    Ok(Download(ask(&routes.access, move |access| access.rights_csv(&caller, span)).await?))
}

/// Prints or copies that were destroyed.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CopyDestroyed {
    request: Option<RequestId>,
    copy: CopyKind,
    count: u32,
    how: CopyEnd,
    destroyed: Utc,
    by: Option<AccountId>,
}

pub(super) async fn copy_destroyed(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(CopyDestroyed { request, copy, count, how, destroyed, by }): Body<CopyDestroyed>,
) -> Result<Created<CopyEndView>, Problem> {
    let new = NewCopyEnd { request, copy, count, how, destroyed, by };
    let view = ask(&routes.access, move |access| access.enter_copy_end(&caller, new)).await?;
    Ok(Created(view))
}
