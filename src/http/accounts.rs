//! Accounts: asked for, approved, changed, removed, reset; their history; passwords and sessions.

use super::Routes;
use super::answers::{Code, Entered, Origin, SignedIn, Token, ask, ask_again, ask_with_password};
use super::bodies::{Again, Asked, Body, Place};
use super::described::{Created, Done, Tagged};
use super::parts::Part;
use super::problem::Problem;
use crate::access::{
    Access, AccountView, EndedGrant, NewMember, NewSecret, Password, RightsEvent, SessionLine, Terms, WithCode,
};
use crate::domain::{AccountId, CameraNumber, Role, Utc};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Accounts {
    accounts: Vec<AccountView>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn list(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Accounts>, Problem> {
    let all = ask(&routes.access, move |access| access.accounts(&caller)).await?;
    let (accounts, next) = part.of(all, |account| account.account)?;
    Ok(Json(Accounts { accounts, next }))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct History {
    events: Vec<RightsEvent>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn history(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(account): Place<AccountId>,
    Asked(part): Asked<Part>,
) -> Result<Json<History>, Problem> {
    let all = ask(&routes.access, move |access| access.account_history(&caller, account)).await?;
    let (events, next) = part.of(all, |event| event.row)?;
    Ok(Json(History { events, next }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    role: Role,
    #[serde(default)]
    cameras: Option<Vec<CameraNumber>>,
    #[serde(default)]
    ends: Option<Utc>,
    reason: String,
    password: String,
}

/// An account, and the code that is told this once.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Coded {
    account: AccountView,
    code: String,
    /// Grants that ended: what they were for must be approved anew.
    ended: Vec<EndedGrant>,
}

impl From<WithCode> for Coded {
    fn from(WithCode { account, code, ended }: WithCode) -> Self {
        Self { account, code: code.expose().to_owned(), ended }
    }
}

pub(super) async fn ask_for(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Body(new): Body<New>,
) -> Result<Created<Coded>, Problem> {
    let New { name, role, cameras, ends, reason, password } = new;
    let (member, password) =
        (NewMember { name, terms: Terms { role, cameras, ends }, reason }, Password::new(password));
    let question = move |access: &Access| access.ask_for_account(&caller, member, password.expose());
    let told = ask_with_password(&routes.access, question).await.map_err(Problem::not_a_sign_in)?;
    Ok(Created(told.into()))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    role: Role,
    #[serde(default)]
    cameras: Option<Vec<CameraNumber>>,
    #[serde(default)]
    ends: Option<Utc>,
    reason: String,
    password: String,
}

pub(super) async fn change(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(account): Place<AccountId>,
    Body(Change { role, cameras, ends, reason, password }): Body<Change>,
) -> Result<Tagged<AccountView>, Problem> {
    let (terms, password) = (Terms { role, cameras, ends }, Password::new(password));
    let question = move |access: &Access| access.ask_for_change(&caller, account, (terms, reason), password.expose());
    ask_with_password(&routes.access, question).await.map(Tagged).map_err(Problem::not_a_sign_in)
}

/// An account that was approved, and how far day keys were sealed to it.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Approved {
    account: AccountView,
    day_keys: u64,
    /// Whether none was out of reach.
    complete: bool,
}

pub(super) async fn approve(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(account): Place<AccountId>,
    Body(Again { password }): Body<Again>,
) -> Result<Json<Approved>, Problem> {
    let question = move |access: &Access, password: &str| access.approve_account(&caller, account, password);
    let (account, round) = ask_again(&routes.access, password, question).await?;
    Ok(Json(Approved { account, day_keys: round.changed, complete: round.is_complete() }))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdrawal {
    reason: String,
}

pub(super) async fn withdraw(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(account): Place<AccountId>,
    Body(Withdrawal { reason }): Body<Withdrawal>,
) -> Result<Tagged<AccountView>, Problem> {
    Ok(Tagged(ask(&routes.access, move |access| access.withdraw_account(&caller, account, reason)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WithReason {
    reason: String,
    password: String,
}

pub(super) async fn remove(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(account): Place<AccountId>,
    Body(WithReason { reason, password }): Body<WithReason>,
) -> Result<Tagged<AccountView>, Problem> {
    let question = move |access: &Access, password: &str| access.remove_account(&caller, account, reason, password);
    ask_again(&routes.access, password, question).await.map(Tagged)
}

pub(super) async fn reset(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(account): Place<AccountId>,
    Body(WithReason { reason, password }): Body<WithReason>,
) -> Result<Json<Coded>, Problem> {
    let question = move |access: &Access, password: &str| access.reset_password(&caller, account, reason, password);
    let told = ask_again(&routes.access, password, question).await?;
    Ok(Json(told.into()))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct First {
    name: String,
    code: String,
    password: String,
}

/// The first password, with the one-time code.
pub(super) async fn choose_password(
    State(routes): State<Routes>,
    Origin(address): Origin,
    Body(First { name, code, password }): Body<First>,
) -> Result<Done, Problem> {
    let (code, password) = (Password::new(code), Password::new(password));
    let question = move |access: &Access| access.choose_password(&name, code.expose(), &password, address);
    ask_with_password(&routes.access, question).await?;
    Ok(Done)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    name: String,
    password: String,
    new_password: String,
}

/// The next password; also of somebody whose old one is too old to sign in with.
pub(super) async fn change_password(
    State(routes): State<Routes>,
    Origin(address): Origin,
    token: Option<Token>,
    Code(code): Code,
    Body(Next { name, password, new_password }): Body<Next>,
) -> Result<Done, Problem> {
    let (old, new) = (Password::new(password), Password::new(new_password));
    let question = move |access: &Access| {
        let kept = token.as_ref().map(|Token(token)| token.as_str());
        access.change_password(&name, (&old, &new), (kept, code.as_ref().map(Password::expose)), address)
    };
    ask_with_password(&routes.access, question).await?;
    Ok(Done)
}

pub(super) async fn new_second_factor(
    State(routes): State<Routes>,
    Entered(caller): Entered,
) -> Result<Json<NewSecret>, Problem> {
    Ok(Json(ask(&routes.access, move |access| access.new_second_factor(&caller)).await?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecondFactor {
    secret: String,
    /// What the app shows for it now.
    code: String,
    password: String,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

pub(super) async fn set_second_factor(
    State(routes): State<Routes>,
    Entered(caller): Entered,
    Body(SecondFactor { secret, code, password }): Body<SecondFactor>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let (secret, password) = (Password::new(secret), Password::new(password));
    let question = move |access: &Access| access.set_second_factor(&caller, (&secret, &code), password.expose());
    let codes = ask_with_password(&routes.access, question).await.map_err(Problem::not_a_sign_in)?;
    Ok(Json(RecoveryCodes { recovery_codes: codes.iter().map(|code| code.expose().to_owned()).collect() }))
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Sessions {
    sessions: Vec<SessionLine>,
    /// What to send as `after` for the next part; null where this is the last.
    next: Option<String>,
}

pub(super) async fn sessions(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Asked(part): Asked<Part>,
) -> Result<Json<Sessions>, Problem> {
    let all = ask(&routes.access, move |access| Ok(access.sessions(&caller))).await?;
    let (sessions, next) = part.of(all, |session| session.session.clone())?;
    Ok(Json(Sessions { sessions, next }))
}

pub(super) async fn end_session(
    State(routes): State<Routes>,
    SignedIn(caller): SignedIn,
    Place(session): Place<String>,
) -> Result<Done, Problem> {
    ask(&routes.access, move |access| access.end_session(&caller, &session)).await?;
    Ok(Done)
}
