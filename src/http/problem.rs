//! Problem details (RFC 9457).

use crate::access::{AccessError, ViewingRefused};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// An error as it is answered. Only texts made for whoever asked are in it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// How many segments a confirmation of the time would destroy at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    destroys: Option<u64>,
    #[serde(skip)]
    retry_s: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, slug: &str, title: &'static str, detail: impl Into<String>) -> Self {
        let kind = format!("urn:custodian:{slug}");
        Self { kind, title, status: status.as_u16(), detail: detail.into(), destroys: None, retry_s: None }
    }

    pub fn bad_input(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-input", "Something in the request is not right", detail)
    }

    /// A wrong password or code of somebody who is signed in: that is "forbidden", not "sign in".
    pub fn not_a_sign_in(self) -> Self {
        if self.status == StatusCode::UNAUTHORIZED.as_u16() && !self.kind.ends_with("not-signed-in") {
            Self { status: StatusCode::FORBIDDEN.as_u16(), ..self }
        } else {
            self
        }
    }

    /// An address asks too often.
    pub fn too_many(wait: std::time::Duration) -> Self {
        let retry_s = wait.as_secs() + 1;
        let detail = format!("too many requests from this address; try again in {retry_s} seconds");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail);
        Self { retry_s: Some(retry_s), ..problem }
    }

    /// Something inside failed. What, stands in the log alone.
    pub fn inside(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(error = %error, "an answer failed inside");
        let detail = "something failed inside; the log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "inside", "Something failed inside", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_s = self.retry_s;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<AccessError> for Problem {
    fn from(e: AccessError) -> Self {
        let detail = e.to_string();
        let (status, slug, title) = match &e {
            AccessError::NotSignedIn => (StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in"),
            AccessError::WrongCredentials => (StatusCode::UNAUTHORIZED, "wrong-credentials", "Wrong name or password"),
            AccessError::TooManyAttempts { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", "Too many wrong passwords")
            }
            AccessError::TooManySearches { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-searches", "Too many searches")
            }
            AccessError::NoSuchLetter => (StatusCode::NOT_FOUND, "no-such-letter", "No such letter"),
            AccessError::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            AccessError::SecondFactorWanted => {
                (StatusCode::UNAUTHORIZED, "second-factor-wanted", "A second factor is wanted")
            }
            AccessError::SecondFactorMissing => {
                (StatusCode::FORBIDDEN, "second-factor-missing", "Set a second factor first")
            }
            AccessError::ClockInDoubt => (StatusCode::CONFLICT, "clock-in-doubt", "The clock is in doubt"),
            AccessError::NotApproved => (StatusCode::FORBIDDEN, "not-approved", "Not approved yet"),
            AccessError::PasswordTooOld => (StatusCode::FORBIDDEN, "password-too-old", "The password is too old"),
            AccessError::Weak(_) => (StatusCode::UNPROCESSABLE_ENTITY, "weak-password", "Choose another password"),
            AccessError::NoSuchAccount => (StatusCode::NOT_FOUND, "no-such-account", "No such account"),
            AccessError::AccountState { .. } => (StatusCode::CONFLICT, "account-state", "Not in this state"),
            AccessError::OwnAccount => (StatusCode::FORBIDDEN, "own-account", "Two people are needed"),
            AccessError::LastOfficer => (StatusCode::CONFLICT, "last-officer", "An officer must stay"),
            AccessError::NoSuchSession => (StatusCode::NOT_FOUND, "no-such-session", "No such session"),
            AccessError::OutsideScope { .. } => (StatusCode::FORBIDDEN, "outside-scope", "Not your cameras"),
            AccessError::NoSuchRequest => (StatusCode::NOT_FOUND, "no-such-request", "No such request"),
            AccessError::WrongState { .. } => (StatusCode::CONFLICT, "wrong-state", "Not in this state"),
            AccessError::Changed => (StatusCode::PRECONDITION_FAILED, "changed", "It has changed"),
            AccessError::FourEyes => (StatusCode::FORBIDDEN, "four-eyes", "Two people are needed"),
            AccessError::OwnDecision => (StatusCode::FORBIDDEN, "own-decision", "Two people are needed"),
            AccessError::SecondWanted { .. } => (StatusCode::CONFLICT, "second-wanted", "A second person is needed"),
            AccessError::GuardianWanted => {
                (StatusCode::UNPROCESSABLE_ENTITY, "guardian-wanted", "A legal guardian asks for a child")
            }
            AccessError::PaperWanted { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "paper-wanted", "A paper must be seen")
            }
            AccessError::PublicBodiesOnly => {
                (StatusCode::UNPROCESSABLE_ENTITY, "public-bodies-only", "Not a basis for this site")
            }
            AccessError::OperatingRoomRoutes { .. } => {
                (StatusCode::FORBIDDEN, "operating-room-routes", "An operating room's footage")
            }
            AccessError::NoOperatingRoom { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "no-operating-room-camera", "Not an operating room")
            }
            AccessError::Disputed { .. } => (StatusCode::CONFLICT, "disputed", "It is in dispute"),
            AccessError::NoSuchDispute => (StatusCode::NOT_FOUND, "no-such-dispute", "No such dispute"),
            AccessError::DisputeSettled => (StatusCode::CONFLICT, "dispute-settled", "Settled already"),
            AccessError::FeeOpen { .. } => (StatusCode::CONFLICT, "fee-open", "Not paid yet"),
            AccessError::MustStay { .. } => (StatusCode::CONFLICT, "must-stay", "Something must stay"),
            AccessError::NoSuchHold => (StatusCode::NOT_FOUND, "no-such-hold", "No such hold"),
            AccessError::WrongHoldState { .. } => (StatusCode::CONFLICT, "hold-ended", "The hold has changed"),
            AccessError::OwnHold => (StatusCode::FORBIDDEN, "own-hold", "Two people are needed"),
            AccessError::NotAnOperatingRoom { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "no-operating-room", "Not an operating room")
            }
            AccessError::OperationUnderWay { .. } => {
                (StatusCode::CONFLICT, "operation-under-way", "An operation is under way")
            }
            AccessError::NoSuchOperation => (StatusCode::NOT_FOUND, "no-such-operation", "No such operation"),
            AccessError::OperationEnded { .. } => (StatusCode::CONFLICT, "operation-ended", "It has ended already"),
            AccessError::NoSuchMonth => (StatusCode::NOT_FOUND, "no-such-month", "No such month"),
            AccessError::MonthNotOver => (StatusCode::CONFLICT, "month-not-over", "The month is not over"),
            AccessError::MonthReviewed => (StatusCode::CONFLICT, "month-reviewed", "Reviewed already"),
            AccessError::PeriodTooLong { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "period-too-long", "The period is too long")
            }
            AccessError::NoSuchDay => (StatusCode::NOT_FOUND, "no-such-day", "Nothing was destroyed then"),
            AccessError::DayNotOver => (StatusCode::CONFLICT, "day-not-over", "The day is not over"),
            AccessError::DayConfirmed => (StatusCode::CONFLICT, "day-confirmed", "Confirmed already"),
            AccessError::ReportChanged => (StatusCode::CONFLICT, "report-changed", "The report has changed"),
            AccessError::ClocksDisagree { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "clocks-disagree", "The clocks disagree")
            }
            AccessError::UnknownCamera { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "unknown-camera", "No such camera"),
            AccessError::SpanInFuture => {
                (StatusCode::UNPROCESSABLE_ENTITY, "span-in-future", "The span is in the future")
            }
            AccessError::IdNumber { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "id-number", "Identity numbers are not stored")
            }
            AccessError::BadInput { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "bad-input", "Something in the request is not right")
            }
            AccessError::NoGrant => (StatusCode::FORBIDDEN, "no-grant", "Not approved"),
            AccessError::OutsideGrant => (StatusCode::FORBIDDEN, "outside-grant", "Outside what was approved"),
            AccessError::Unavailable { .. } => (StatusCode::GONE, "unavailable", "Unavailable"),
            AccessError::Viewing(why) => of_viewing(why),
            AccessError::ClockRefused(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "clock-refused", "This cannot be the time")
            }
            AccessError::ClockDestroys { .. } => {
                (StatusCode::CONFLICT, "clock-destroys", "This time destroys footage at once")
            }
            AccessError::NotRecorded(source) => {
                tracing::error!(error = %source, "an act was refused because it could not be recorded");
                (StatusCode::SERVICE_UNAVAILABLE, "not-recorded", "It could not be recorded")
            }
            AccessError::Inside(source) => return Problem::inside(source),
        };
        let mut problem = Problem::new(status, slug, title, detail);
        if let AccessError::TooManyAttempts { retry_s } | AccessError::TooManySearches { retry_s } = e {
            problem.retry_s = Some(retry_s);
        }
        if let AccessError::ClockDestroys { segments, .. } = e {
            problem.destroys = Some(segments);
        }
        problem
    }
}

fn of_viewing(why: &ViewingRefused) -> (StatusCode, &'static str, &'static str) {
    match why {
        ViewingRefused::Masking => (StatusCode::FORBIDDEN, "masking-wanted", "It is to be masked first"),
        ViewingRefused::NoCopy => (StatusCode::FORBIDDEN, "no-copy", "No copy may be taken"),
        ViewingRefused::Terminal { .. } => (StatusCode::FORBIDDEN, "other-place", "Not at this place"),
        ViewingRefused::Appointment { .. } => (StatusCode::FORBIDDEN, "other-time", "Not at this time"),
        ViewingRefused::NotPresent => {
            (StatusCode::UNPROCESSABLE_ENTITY, "not-present", "The person who asked is missing")
        }
        ViewingRefused::Used { .. } => (StatusCode::FORBIDDEN, "viewings-used", "Watched as often as approved"),
        ViewingRefused::UnderWay { .. } => (StatusCode::CONFLICT, "viewing-under-way", "A viewing is under way"),
        ViewingRefused::NoViewing => (StatusCode::CONFLICT, "no-viewing", "No viewing is under way"),
        ViewingRefused::NotRecorded => (StatusCode::SERVICE_UNAVAILABLE, "not-recorded", "It could not be recorded"),
        ViewingRefused::SettingsChanged { .. } => {
            (StatusCode::CONFLICT, "settings-changed", "The camera's settings changed")
        }
        ViewingRefused::NoSuchGrant => (StatusCode::NOT_FOUND, "no-such-grant", "No such grant"),
        ViewingRefused::AlreadyOver => (StatusCode::CONFLICT, "grant-over", "It has ended already"),
    }
}

pub(super) async fn no_such_route() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-route", "No such address", "there is nothing at this address")
}

pub(super) async fn no_such_method() -> Problem {
    let detail = "this address does not know this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "Method not allowed", detail)
}
