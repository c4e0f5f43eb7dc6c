//! Every role, every route, an object of one's own and somebody else's, on the real daemon, against a table that was written by
//! hand. And of every answer: that the OpenAPI document declares it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "roles/stage.rs"]
mod stage;
mod support;
#[path = "roles/table.rs"]
mod table;

use serde_json::Value;
use stage::{Stage, Whose};
use std::collections::BTreeSet;
use table::{COLUMNS, Row, TABLE};

fn document() -> Value {
    serde_json::from_str(cctv_custodian::http::openapi_document().unwrap()).unwrap()
}

/// The routes that the document has, and those that the table has.
fn both() -> [BTreeSet<(String, String)>; 2] {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let of_document = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(|method| (method.to_ascii_uppercase(), path.clone()))
    });
    let of_table = TABLE.iter().map(|row| (row.method.to_owned(), row.path.to_owned()));
    [of_document.collect(), of_table.collect()]
}

#[test]
fn every_route_has_its_row_and_every_row_its_route() {
    let [document, table] = both();
    let missing: Vec<_> = document.difference(&table).collect();
    assert!(
        missing.is_empty(),
        "routes without a row in tests/roles/table.rs; write who may, from what is wanted: {missing:?}"
    );
    let stray: Vec<_> = table.difference(&document).collect();
    assert!(stray.is_empty(), "rows of tests/roles/table.rs without a route: {stray:?}");
    assert_eq!(table.len(), TABLE.len(), "a route has two rows");
}

/// What a cell says of an object that is one's own, or not; `None` where there is no such.
fn wanted(cell: &str, whose: Whose) -> Option<u16> {
    let (own, other) = cell.split_once(' ').unwrap_or((cell, cell));
    let said = if whose == Whose::Own { own } else { other };
    (said != "-").then(|| said.parse().expect("a status"))
}

/// Whether the document says that a route may answer so.
fn is_declared(document: &Value, row: &Row, status: u16) -> bool {
    let operation = &document["paths"][row.path][row.method.to_ascii_lowercase()];
    operation["responses"].get(status.to_string()).is_some()
}

/// Whether the document says that who changes it may say which version they saw.
fn takes_version(document: &Value, row: &Row) -> bool {
    let parameters = document["paths"][row.path][row.method.to_ascii_lowercase()]["parameters"].as_array();
    parameters.is_some_and(|all| all.iter().any(|one| one["name"] == "if-match"))
}

#[test]
fn every_role_at_every_route_is_told_what_the_table_says() {
    let document = document();
    let mut stage = Stage::set().unwrap();
    let mut wrong = Vec::new();
    let mut calls = 0;
    for row in TABLE {
        // Whose rights ended is nobody.
        let gone = ["expired", "removed"].map(|who| (who, row.told[0]));
        for (who, cell) in COLUMNS.into_iter().zip(row.told).chain(gone) {
            for whose in [Whose::Own, Whose::Other] {
                let Some(wanted) = wanted(cell, whose) else { continue };
                // One object is enough where there is none to own.
                if whose == Whose::Own && !cell.contains(' ') {
                    continue;
                }
                let place = stage.fill(row.path, row.about, who, whose).unwrap();
                let body = stage.body(row.method, row.path, who, whose).unwrap();
                let mut api = if who == "nobody" { stage.anybody() } else { stage.person(who).api.clone() };
                let bytes = body.as_ref().map(|body| body.to_string().into_bytes());
                if takes_version(&document, row) && (200..300).contains(&wanted) {
                    let mut behind = api.clone();
                    behind.set_header("If-Match", "\"1\"");
                    let told = behind.send(row.method, &place, bytes.clone()).unwrap();
                    if told.status != 412 {
                        wrong.push(format!("{} {} of a version that it is not: {}", row.method, row.path, told.text()));
                    }
                }
                let told = api.send(row.method, &place, bytes).unwrap();
                calls += 1;
                if told.status != wanted {
                    let line =
                        format!("{} {} as {who}, {whose:?}: {} and not {wanted}", row.method, row.path, told.status);
                    wrong.push(format!("{line}: {}", told.text().chars().take(200).collect::<String>()));
                }
                if !is_declared(&document, row, told.status) {
                    wrong.push(format!("{} {}: {} is not declared", row.method, row.path, told.status));
                }
                stage.after(row.path, who, body.as_ref(), told.status).unwrap();
            }
        }
    }
    println!("{calls} calls");
    assert!(wrong.is_empty(), "{} of {calls}:\n{}", wrong.len(), wrong.join("\n"));
}
