//! Every route under `/v1`, with what the OpenAPI document says of it.
//!
//! A new route needs three things, and a test fails without any of them:
//! 1. a line here: its handler, what it does in a few words (`says`; `makes` of what makes something new, `changes` of what
//!    changes something that has versions), and the statuses of the problems that it may answer besides those that its types
//!    tell of (`described.rs`). What it takes and gives derives `schemars::JsonSchema`; what it makes new is answered with
//!    `Created`, what says nothing with `Done`, a listing in parts (`parts.rs`).
//! 2. a row of `tests/roles/table.rs`, written from what is wanted and not from the code: who may, and who may not;
//! 3. the committed document made anew: `GOLDEN=write cargo test --test openapi`, and a look at what changed.

use super::described::{TAKES_KEY, TAKES_VERSION, may_fail};
use super::{
    Routes, accounts, cameras, clock, decisions, destructions, disputes, footage, health, holds, ledger, letters,
    openapi, operations, requests, sessions,
};
use aide::axum::ApiRouter;
use aide::axum::routing::{delete_with, get_with, post_with};
use aide::generate::in_context;
use aide::transform::TransformOperation;

/// What it does, and with which statuses it may fail besides what its types tell.
fn says(
    summary: &'static str,
    statuses: &'static [u16],
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| {
        let mut operation = operation.summary(summary);
        in_context(|ctx| may_fail(ctx, operation.inner_mut(), statuses));
        in_context(|ctx| may_fail(ctx, operation.inner_mut(), &[403, 429]));
        operation
    }
}

/// The same of what makes something new: sent twice with one `Idempotency-Key`, it is made once.
fn makes(
    summary: &'static str,
    statuses: &'static [u16],
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| {
        let mut operation = says(summary, statuses)(operation);
        operation.inner_mut().extensions.insert(TAKES_KEY.to_owned(), true.into());
        operation
    }
}

/// The same of what changes something that has versions: with `If-Match` only if it is as it was seen.
fn changes(
    summary: &'static str,
    statuses: &'static [u16],
) -> impl FnOnce(TransformOperation<'_>) -> TransformOperation<'_> {
    move |operation| {
        let mut operation = makes(summary, statuses)(operation);
        operation.inner_mut().extensions.insert(TAKES_VERSION.to_owned(), true.into());
        in_context(|ctx| may_fail(ctx, operation.inner_mut(), &[409, 412]));
        operation
    }
}

pub(super) fn routes() -> ApiRouter<Routes> {
    ApiRouter::new()
        .api_route("/v1/openapi.json", get_with(openapi, says("This document", &[])))
        .api_route("/v1/health", get_with(health, says("Whether the daemon answers; nothing else", &[])))
        .merge(people())
        .merge(asking())
        .merge(holding())
        .merge(watching())
        .merge(keeping())
}

/// Sessions and accounts.
fn people() -> ApiRouter<Routes> {
    ApiRouter::new()
        .api_route(
            "/v1/session",
            get_with(sessions::show, says("Who am I", &[]))
                .post_with(sessions::sign_in, says("Sign in: sets the session's cookie", &[401]))
                .delete_with(sessions::sign_out, says("Sign out: the session is over at once", &[])),
        )
        .api_route(
            "/v1/session/first",
            post_with(
                accounts::choose_password,
                says("Choose the first password, with the one-time code", &[401, 409]),
            ),
        )
        .api_route(
            "/v1/session/password",
            post_with(accounts::change_password, says("Change the own password; keys stay", &[401, 409])),
        )
        .api_route(
            "/v1/account/second-factor",
            get_with(accounts::new_second_factor, says("A secret for an authenticator app", &[409]))
                .post_with(accounts::set_second_factor, says("Set it, with a code of it", &[409])),
        )
        .api_route("/v1/sessions", get_with(accounts::sessions, says("Own sessions; everybody's for officers", &[])))
        .api_route("/v1/sessions/{session}", delete_with(accounts::end_session, says("End a session", &[])))
        .api_route(
            "/v1/accounts",
            get_with(accounts::list, says("All accounts", &[]))
                .post_with(accounts::ask_for, makes("Ask for an account; another officer approves it", &[409])),
        )
        .api_route("/v1/accounts/{account}/history", get_with(accounts::history, says("What became of rights", &[])))
        .api_route("/v1/accounts/{account}/change", post_with(accounts::change, changes("Ask for other rights", &[])))
        .api_route(
            "/v1/accounts/{account}/approval",
            post_with(accounts::approve, changes("Approve what another officer asked for", &[])),
        )
        .api_route(
            "/v1/accounts/{account}/withdrawal",
            post_with(accounts::withdraw, changes("Take back, or refuse, what was asked for", &[])),
        )
        .api_route("/v1/accounts/{account}/removal", post_with(accounts::remove, changes("End somebody's rights", &[])))
        .api_route(
            "/v1/accounts/{account}/reset",
            post_with(accounts::reset, changes("Destroy a password and its keys; a one-time code comes back", &[])),
        )
}

/// Cameras and requests.
fn asking() -> ApiRouter<Routes> {
    ApiRouter::new()
        .api_route("/v1/cameras", get_with(cameras::list, says("Cameras, and what each is doing", &[])))
        .api_route(
            "/v1/cameras/{camera}/availability",
            get_with(cameras::availability, says("What there is of a camera: footage, gaps, destroyed", &[])),
        )
        .api_route(
            "/v1/requests",
            get_with(requests::list, says("Requests, newest first", &[]))
                .post_with(requests::submit, makes("Enter a request; what it asks for is frozen", &[409])),
        )
        .api_route("/v1/requests/{request}", get_with(requests::show, says("One request", &[])))
        .api_route(
            "/v1/requests/{request}/identity",
            post_with(requests::check_identity, changes("By which document the person was identified", &[])),
        )
        .api_route(
            "/v1/requests/{request}/decision",
            get_with(decisions::decision_steps, says("How far a decision under way has come", &[]))
                .post_with(decisions::decide, changes("Decide a request", &[410])),
        )
        .api_route(
            "/v1/requests/{request}/proposal",
            post_with(decisions::propose, changes("Propose a decision; somebody of another role stands by it", &[410])),
        )
        .api_route(
            "/v1/requests/{request}/proposal/second",
            post_with(decisions::second, changes("Stand by a proposed decision", &[])),
        )
        .api_route(
            "/v1/requests/{request}/delivery",
            post_with(requests::deliver, changes("The answer reached who asked", &[])),
        )
        .api_route(
            "/v1/requests/{request}/withdrawal",
            post_with(requests::withdraw, changes("Who asked took it back", &[])),
        )
        .api_route("/v1/requests/{request}/fee", post_with(requests::note_fee, changes("What it costs", &[])))
        .api_route(
            "/v1/disputes",
            get_with(disputes::list, says("Disputes over footage", &[]))
                .post_with(disputes::mark, makes("Footage is disputed: nobody uses it", &[404, 409])),
        )
        .api_route(
            "/v1/disputes/{dispute}/settlement",
            post_with(disputes::settle, says("A dispute is settled", &[409])),
        )
        .api_route("/v1/requests/{request}/objection", post_with(requests::object, changes("Object to a refusal", &[])))
        .api_route("/v1/requests/{request}/close", post_with(requests::close, changes("Close a request", &[])))
        .api_route(
            "/v1/requests/{request}/letters",
            get_with(letters::list, says("Letters of a request, and how each was delivered", &[]))
                .post_with(letters::produce, makes("Print a letter", &[409, 410])),
        )
        .api_route(
            "/v1/requests/{request}/letters/{letter}/delivery",
            post_with(letters::deliver, says("A letter reached who asked", &[409])),
        )
        .api_route(
            "/v1/requests/search",
            post_with(letters::search, says("Requests by a person's name; searching is a row", &[])),
        )
        .api_route("/v1/duties", get_with(letters::duties, says("What waits for somebody, and until when", &[])))
        .api_route(
            "/v1/requests/{request}/hold/confirmation",
            post_with(holds::confirm_of_request, changes("Confirm that a request holds so much", &[])),
        )
}

/// Holds and operations.
fn holding() -> ApiRouter<Routes> {
    ApiRouter::new()
        .api_route(
            "/v1/holds",
            get_with(holds::list, says("Holds, and what they keep", &[]))
                .post_with(holds::place, makes("Hold footage beyond its day", &[409])),
        )
        .api_route("/v1/holds/{hold}", get_with(holds::show, says("One hold", &[])))
        .api_route("/v1/holds/{hold}/confirmation", post_with(holds::confirm, changes("Stand by another's hold", &[])))
        .api_route("/v1/holds/{hold}/extension", post_with(holds::extend, changes("Look at it again: it stays", &[])))
        .api_route("/v1/holds/{hold}/release", post_with(holds::release, changes("End another's hold", &[])))
        .api_route(
            "/v1/operations",
            get_with(operations::list, says("Operations: the newest, and all under way", &[]))
                .post_with(operations::start, makes("An operation begins: its camera films", &[409])),
        )
        .api_route("/v1/operations/{operation}", get_with(operations::show, says("One operation", &[])))
        .api_route("/v1/operations/{operation}/end", post_with(operations::end, changes("It is over", &[])))
}

/// What a grant lets its viewer see.
fn watching() -> ApiRouter<Routes> {
    ApiRouter::new()
        .api_route("/v1/grants", get_with(footage::grants, says("A viewer's own grants; all for officers", &[])))
        .api_route(
            "/v1/grants/{grant}/viewing",
            get_with(footage::viewing, says("The viewing that goes on in this session", &[409]))
                .post_with(footage::begin_viewing, makes("A viewing begins, and counts", &[409])),
        )
        .api_route(
            "/v1/grants/{grant}/viewing/end",
            post_with(footage::end_viewing, says("The viewing is over: nothing more of it is shown", &[409])),
        )
        .api_route(
            "/v1/grants/{grant}/revocation",
            post_with(footage::revoke, says("Take a grant back, at once, also while it is watched", &[409])),
        )
        .api_route("/v1/terminals", get_with(footage::terminals, says("Places where footage may be watched", &[])))
        .api_route(
            "/v1/grants/{grant}/cameras/{camera}/film.mp4",
            get_with(footage::film, says("A film to keep, where a copy may be taken", &[409, 410])),
        )
        .api_route(
            "/v1/grants/{grant}/cameras/{camera}/playlist.m3u8",
            get_with(footage::playlist, says("What may be seen of a camera, as HLS", &[409, 410])),
        )
        .api_route(
            "/v1/grants/{grant}/cameras/{camera}/{segment}/init.mp4",
            get_with(footage::init, says("What a player needs before a segment's fragments", &[409, 410])),
        )
        .api_route(
            "/v1/grants/{grant}/cameras/{camera}/{segment}/{part}",
            get_with(footage::fragment, says("A fragment: its ledger row is written before it is sent", &[409, 410])),
        )
}

/// The clock, the ledger, and what was destroyed.
fn keeping() -> ApiRouter<Routes> {
    ApiRouter::new()
        .api_route("/v1/clock", get_with(clock::show, says("How the clock is", &[])))
        .api_route("/v1/clock/confirmation", post_with(clock::confirm, says("Vouch for date and time", &[409])))
        .api_route("/v1/ledger/head", get_with(ledger::head, says("The ledger's newest row", &[])))
        .api_route("/v1/ledger", get_with(ledger::rows, says("Rows of the ledger; reading is a row", &[])))
        .api_route("/v1/ledger/months", get_with(ledger::months, says("Months of the ledger, and their review", &[])))
        .api_route("/v1/ledger/months/{month}", get_with(ledger::month, says("What a month adds up to", &[409])))
        .api_route(
            "/v1/ledger/months/{month}/review",
            post_with(ledger::review, says("Review a month that is over", &[409])),
        )
        .api_route("/v1/ledger/register", get_with(ledger::register, says("The management ledger", &[409])))
        .api_route("/v1/ledger/register.csv", get_with(ledger::register_file, says("The same as a file", &[409])))
        .api_route("/v1/ledger/access-log.csv", get_with(ledger::access_log_file, says("The access log", &[409])))
        .api_route("/v1/ledger/rights.csv", get_with(ledger::rights_file, says("The history of rights", &[409])))
        .api_route(
            "/v1/copies/destructions",
            post_with(ledger::copy_destroyed, makes("Prints or copies were destroyed", &[404, 409])),
        )
        .api_route("/v1/destructions", get_with(ledger::destructions, says("Rows of destruction", &[])))
        .api_route("/v1/destructions/days", get_with(destructions::days, says("Days, and whether confirmed", &[])))
        .api_route("/v1/destructions/days/{day}", get_with(destructions::day, says("What a day destroyed", &[])))
        .api_route(
            "/v1/destructions/days/{day}/confirmation",
            post_with(destructions::confirm, says("Confirm that it ran and that its report is right", &[409])),
        )
}
