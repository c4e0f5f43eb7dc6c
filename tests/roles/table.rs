//! Who may do what: written by hand from what is wanted, never made from the code. Every route of the OpenAPI document has a row
//! here, and every row a route.
//!
//! A cell is the status that somebody is told: once for all objects, or for an object of their own and for one of somebody
//! else's (`own other`), with `-` where they can have none. Somebody whose rights ended, by a date or by an officer, is told
//! what nobody is told. `narrow` is staff whose rights reach camera 2 alone, while every object here is of camera 1 or of the
//! operating room.

/// What a route is about; each call gets a fresh one, in the state that is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    Nothing,
    /// The name that somebody signs in with: their own, or another's with their own password.
    Login,
    Session,
    /// An account, asked for by oneself or by another officer; or, as `oneself`, one's own and another's.
    Account(&'static str),
    Camera,
    /// A request that was entered by oneself, or by a colleague.
    Request(&'static str),
    /// A letter of a request that was entered by oneself, or by a colleague.
    Letter,
    /// A hold that was ordered by oneself, or by another officer.
    Hold,
    /// An operation that oneself began, or a colleague.
    Operation,
    /// A grant to oneself, or to another viewer: watched in one's own session, or not watched yet, or given this moment.
    Grant(&'static str),
    Day,
    /// A dispute that was entered by oneself, or by another officer.
    Dispute,
    /// The month that is not over.
    Month,
    /// A period that has been.
    Period,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    pub about: About,
    pub told: [&'static str; COLUMNS.len()],
}

pub const COLUMNS: [&str; 7] = ["nobody", "staff", "narrow", "officer", "viewer", "auditor", "installer"];

const fn row(path: (&'static str, &'static str), about: About, told: [&'static str; COLUMNS.len()]) -> Row {
    Row { method: path.0, path: path.1, about, told }
}

const fn get(path: &'static str) -> (&'static str, &'static str) {
    ("GET", path)
}

const fn post(path: &'static str) -> (&'static str, &'static str) {
    ("POST", path)
}

const fn delete(path: &'static str) -> (&'static str, &'static str) {
    ("DELETE", path)
}

use About::{
    Account, Camera, Day, Dispute, Grant, Hold, Letter, Login, Month, Nothing, Operation, Period, Request, Session,
};

#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    //                                                                            nobody  staff      narrow     officer    viewer     auditor    installer
    // Anybody.
    row(get("/v1/openapi.json"), Nothing,                                        ["200", "200",     "200",     "200",     "200",     "200",     "200"]),
    row(get("/v1/health"), Nothing,                                              ["200", "200",     "200",     "200",     "200",     "200",     "200"]),

    // Signing in goes by name and password; each has sessions, and ends their own. Officers end everybody's.
    row(post("/v1/session"), Login,                                              ["401", "200 401", "200 401", "200 401", "200 401", "200 401", "200 401"]),
    row(get("/v1/session"), Nothing,                                             ["401", "200",     "200",     "200",     "200",     "200",     "200"]),
    row(delete("/v1/session"), Nothing,                                          ["401", "204",     "204",     "204",     "204",     "204",     "204"]),
    // The one-time code is not theirs.
    row(post("/v1/session/first"), Nothing,                                      ["401", "401",     "401",     "401",     "401",     "401",     "401"]),
    row(post("/v1/session/password"), Login,                                     ["401", "204 401", "204 401", "204 401", "204 401", "204 401", "204 401"]),
    row(get("/v1/sessions"), Nothing,                                            ["401", "200",     "200",     "200",     "200",     "200",     "200"]),
    row(delete("/v1/sessions/{session}"), Session,                               ["401", "204 404", "204 404", "204 204", "204 404", "204 404", "204 404"]),
    row(get("/v1/account/second-factor"), Nothing,                               ["401", "200",     "200",     "200",     "200",     "200",     "200"]),
    // With a code that is wrong: a right one changes how they sign in from then on.
    row(post("/v1/account/second-factor"), Nothing,                              ["401", "422",     "422",     "422",     "422",     "422",     "422"]),

    // Rights: one officer asks, also for themselves; another approves; nobody decides about their own. Each sees their own
    // history.
    row(get("/v1/accounts"), Nothing,                                            ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(post("/v1/accounts"), Nothing,                                           ["401", "403",     "403",     "201",     "403",     "403",     "403"]),
    row(get("/v1/accounts/{account}/history"), Account("oneself"),               ["401", "200 403", "200 403", "200 200", "200 403", "200 200", "200 403"]),
    row(post("/v1/accounts/{account}/change"), Account("oneself"),               ["401", "403",     "403",     "200 200", "403",     "403",     "403"]),
    row(post("/v1/accounts/{account}/approval"), Account("waits"),               ["401", "403",     "403",     "403 200", "403",     "403",     "403"]),
    row(post("/v1/accounts/{account}/withdrawal"), Account("waits"),             ["401", "403",     "403",     "200 200", "403",     "403",     "403"]),
    row(post("/v1/accounts/{account}/removal"), Account("oneself"),              ["401", "403",     "403",     "403 200", "403",     "403",     "403"]),
    row(post("/v1/accounts/{account}/reset"), Account("oneself"),                ["401", "403",     "403",     "403 200", "403",     "403",     "403"]),

    // Cameras: everybody knows that they are there; what there is of one is for those who deal with requests.
    row(get("/v1/cameras"), Nothing,                                             ["401", "200",     "200",     "200",     "200",     "200",     "200"]),
    row(get("/v1/cameras/{camera}/availability"), Camera,                        ["401", "200",     "403",     "200",     "403",     "403",     "403"]),

    // Requests: staff enter and hand over, officers decide, auditors read. Installers and viewers have no business there.
    row(get("/v1/requests"), Nothing,                                            ["401", "200",     "200",     "200",     "403",     "200",     "403"]),
    row(post("/v1/requests"), Nothing,                                           ["401", "201",     "403",     "403",     "403",     "403",     "403"]),
    row(get("/v1/requests/{request}"), Request("submitted"),                     ["401", "200 200", "403",     "- 200",   "403",     "- 200",   "403"]),
    row(post("/v1/requests/{request}/identity"), Request("submitted"),           ["401", "200 200", "403",     "403",     "403",     "403",     "403"]),
    row(get("/v1/requests/{request}/decision"), Request("identified"),           ["401", "403",     "403",     "- 200",   "403",     "403",     "403"]),
    row(post("/v1/requests/{request}/decision"), Request("identified"),          ["401", "403",     "403",     "- 200",   "403",     "403",     "403"]),
    row(post("/v1/requests/{request}/objection"), Request("refused"),            ["401", "200 200", "403",     "- 200",   "403",     "403",     "403"]),
    row(post("/v1/requests/{request}/close"), Request("refused"),                ["401", "200 200", "403",     "- 200",   "403",     "403",     "403"]),
    row(post("/v1/requests/{request}/hold/confirmation"), Request("big"),        ["401", "403",     "403",     "- 200",   "403",     "403",     "403"]),

    // Letters: whoever hands over prints them and enters that they arrived; auditors read that they did.
    row(get("/v1/requests/{request}/letters"), Request("submitted"),             ["401", "200 200", "403",     "- 200",   "403",     "- 200",   "403"]),
    row(post("/v1/requests/{request}/letters"), Request("submitted"),            ["401", "201 201", "403",     "- 201",   "403",     "403",     "403"]),
    row(post("/v1/requests/{request}/letters/{letter}/delivery"), Letter,        ["401", "200 200", "403",     "- 200",   "403",     "403",     "403"]),
    // By name officers and staff alone.
    row(post("/v1/requests/search"), Nothing,                                    ["401", "200",     "200",     "200",     "403",     "403",     "403"]),
    row(get("/v1/duties"), Nothing,                                              ["401", "200",     "200",     "200",     "403",     "200",     "403"]),

    // A proposal is made and stood by where a site wants two people of different roles; here one officer decides,
    // and whoever could propose is told so.
    row(post("/v1/requests/{request}/proposal"), Request("identified"),          ["401", "409",     "409",     "409",     "403",     "409",     "403"]),
    row(post("/v1/requests/{request}/proposal/second"), Request("identified"),   ["401", "409",     "409",     "409",     "403",     "409",     "403"]),
    row(post("/v1/requests/{request}/delivery"), Request("refused"),             ["401", "200 200", "403",     "- 200",   "403",     "403",     "403"]),
    row(post("/v1/requests/{request}/withdrawal"), Request("submitted"),         ["401", "200 200", "403",     "- 200",   "403",     "403",     "403"]),
    row(post("/v1/requests/{request}/fee"), Request("identified"),               ["401", "200 200", "403",     "- 200",   "403",     "403",     "403"]),
    row(get("/v1/disputes"), Nothing,                                            ["401", "200",     "200",     "200",     "403",     "200",     "403"]),
    row(post("/v1/disputes"), Nothing,                                           ["401", "403",     "403",     "201",     "403",     "403",     "403"]),
    row(post("/v1/disputes/{dispute}/settlement"), Dispute,                      ["401", "403",     "403",     "200 200", "403",     "403",     "403"]),

    // Holds: officers, each confirmed and ended by another one than who placed it. Auditors read.
    row(get("/v1/holds"), Nothing,                                               ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(post("/v1/holds"), Nothing,                                              ["401", "403",     "403",     "201",     "403",     "403",     "403"]),
    row(get("/v1/holds/{hold}"), Hold,                                           ["401", "403",     "403",     "200 200", "403",     "- 200",   "403"]),
    row(post("/v1/holds/{hold}/confirmation"), Hold,                             ["401", "403",     "403",     "403 200", "403",     "403",     "403"]),
    row(post("/v1/holds/{hold}/extension"), Hold,                                ["401", "403",     "403",     "200 200", "403",     "403",     "403"]),
    row(post("/v1/holds/{hold}/release"), Hold,                                  ["401", "403",     "403",     "403 200", "403",     "403",     "403"]),

    // Operations: staff and officers begin and end them, whoever is there; auditors read.
    row(get("/v1/operations"), Nothing,                                          ["401", "200",     "200",     "200",     "403",     "200",     "403"]),
    row(post("/v1/operations"), Nothing,                                         ["401", "201",     "403",     "201",     "403",     "403",     "403"]),
    row(get("/v1/operations/{operation}"), Operation,                            ["401", "200 200", "403",     "200 200", "403",     "- 200",   "403"]),
    row(post("/v1/operations/{operation}/end"), Operation,                       ["401", "200 200", "403",     "200 200", "403",     "403",     "403"]),

    // Footage: the viewer's own grants, and no role but the viewer's, however high. It is shown in a viewing alone. Officers
    // take any grant back.
    row(get("/v1/grants"), Nothing,                                              ["401", "403",     "403",     "200",     "200",     "403",     "403"]),
    row(post("/v1/grants/{grant}/viewing"), Grant("waits"),                      ["401", "403",     "403",     "403",     "201 403", "403",     "403"]),
    row(get("/v1/grants/{grant}/viewing"), Grant("watched"),                     ["401", "403",     "403",     "403",     "200 403", "403",     "403"]),
    row(post("/v1/grants/{grant}/viewing/end"), Grant("watched"),                ["401", "403",     "403",     "403",     "200 403", "403",     "403"]),
    row(get("/v1/grants/{grant}/cameras/{camera}/playlist.m3u8"), Grant("watched"), ["401", "403",     "403",     "403",     "200 403", "403",     "403"]),
    row(get("/v1/grants/{grant}/cameras/{camera}/{segment}/init.mp4"), Grant("watched"), ["401", "403",     "403",     "403",     "200 403", "403",     "403"]),
    row(get("/v1/grants/{grant}/cameras/{camera}/{segment}/{part}"), Grant("watched"), ["401", "403",     "403",     "403",     "200 403", "403",     "403"]),
    row(get("/v1/grants/{grant}/cameras/{camera}/film.mp4"), Grant("watched"),   ["401", "403",     "403",     "403",     "200 403", "403",     "403"]),
    row(post("/v1/grants/{grant}/revocation"), Grant("fresh"),                   ["401", "403",     "403",     "204",     "403",     "403",     "403"]),
    // Where it may be watched is asked by whoever decides and by whoever watches; it is no secret.
    row(get("/v1/terminals"), Nothing,                                           ["401", "200",     "200",     "200",     "200",     "200",     "200"]),

    // The clock is everybody's to see and an officer's to vouch for.
    row(get("/v1/clock"), Nothing,                                               ["401", "200",     "200",     "200",     "200",     "200",     "200"]),
    row(post("/v1/clock/confirmation"), Nothing,                                 ["401", "403",     "403",     "200",     "403",     "403",     "403"]),

    // The ledger and what was destroyed: officers and auditors read. The day is not over, so nobody confirms it yet.
    row(get("/v1/ledger/head"), Nothing,                                         ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(get("/v1/ledger"), Nothing,                                              ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(get("/v1/ledger/months"), Nothing,                                       ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    // A month is summed up, and reviewed, when it is over.
    row(get("/v1/ledger/months/{month}"), Month,                                 ["401", "403",     "403",     "409",     "403",     "409",     "403"]),
    row(post("/v1/ledger/months/{month}/review"), Month,                         ["401", "403",     "403",     "409",     "403",     "403",     "403"]),
    row(get("/v1/ledger/register"), Period,                                      ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(get("/v1/ledger/register.csv"), Period,                                  ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(get("/v1/ledger/access-log.csv"), Period,                                ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(get("/v1/ledger/rights.csv"), Period,                                    ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    // Prints and copies that were handed out: whoever hands over enters that they were destroyed.
    row(post("/v1/copies/destructions"), Nothing,                                ["401", "201",     "201",     "201",     "403",     "403",     "403"]),
    row(get("/v1/destructions"), Nothing,                                        ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(get("/v1/destructions/days"), Nothing,                                   ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(get("/v1/destructions/days/{day}"), Day,                                 ["401", "403",     "403",     "200",     "403",     "200",     "403"]),
    row(post("/v1/destructions/days/{day}/confirmation"), Day,                   ["401", "403",     "403",     "409",     "403",     "403",     "403"]),
];
