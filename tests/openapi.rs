//! The OpenAPI document: served, committed, complete. `GOLDEN=write cargo test --test openapi` writes the committed one anew.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use support::commands::wait_until;
use support::daemon::program;
use support::scene::PATIENCE;
use support::site::Site;

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json")
}

fn document() -> Value {
    serde_json::from_str(cctv_custodian::http::openapi_document().unwrap()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let (path, item) = (path.clone(), item.as_object().unwrap().clone());
        item.into_iter().map(move |(method, operation)| (method.to_ascii_uppercase(), path.clone(), operation))
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let text = cctv_custodian::http::openapi_document().unwrap();
    if std::env::var_os("GOLDEN").is_some_and(|what| what == "write") {
        std::fs::write(golden(), text).unwrap();
    }
    let committed = std::fs::read_to_string(golden()).unwrap_or_default();
    let at = committed.lines().zip(text.lines()).position(|(one, other)| one != other);
    assert!(
        committed == text,
        "docs/openapi.json is not what is served (line {}): look at what changed, and write it anew with \
         `GOLDEN=write cargo test --test openapi`",
        at.unwrap_or(0) + 1
    );
}

#[test]
fn every_operation_is_described_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}: its id is another's");
        assert!(operation["summary"].as_str().is_some_and(|words| words.len() > 5), "{name}: no summary");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{name}: no good answer is described");
        assert!(!answers.contains_key("default"), "{name}: each status is named");
        for (status, answer) in answers.iter().filter(|(status, _)| !status.starts_with('2')) {
            let shared = format!("#/components/responses/problem-{status}");
            assert_eq!(answer["$ref"], shared.as_str(), "{name}: {status} is no problem");
            let problem = document.pointer(&shared[1..]).unwrap();
            assert!(problem["content"]["application/problem+json"].is_object(), "{shared}");
        }
        for status in ["429", "500"].into_iter().filter(|_| path != "/v1/health") {
            assert!(answers.contains_key(status), "{name}: {status} is not declared");
        }
        let wanted: Vec<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let told: Vec<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert_eq!(told, wanted, "{name}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["schema"].is_object(), "{name}: {parameter}");
        }
        if method == "POST" {
            assert!(operation["requestBody"]["content"]["application/json"]["schema"].is_object(), "{name}: no body");
        }
        let left = operation.as_object().unwrap().keys().find(|field| field.starts_with("x-"));
        assert_eq!(left, None, "{name}: something is left over of how it was made");
    }
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let leads = reference.strip_prefix("#/components/schemas/").is_some_and(|name| schemas.contains_key(name))
            || document.pointer(&reference[1..]).is_some();
        assert!(leads, "{reference} leads nowhere");
    }
}

/// Routes under `/v1` are told to the router in one file, in the way that describes them.
#[test]
fn no_route_is_hidden_from_the_document() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = vec![dir.join("http.rs")];
    sources.extend(std::fs::read_dir(dir.join("http")).unwrap().map(|entry| entry.unwrap().path()));
    for source in sources.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
        let text = std::fs::read_to_string(&source).unwrap();
        let words: String = text.split_whitespace().collect();
        for hidden in [".route(\"/v1", ".route_service(", ".nest(", ".nest_service(", ".hidden("] {
            assert!(!words.contains(hidden), "{}: `{hidden}` makes a route that nothing describes", source.display());
        }
    }
}

#[test]
fn the_daemon_serves_it_and_knows_its_routes_and_methods_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let site =
        Site::init(&program().unwrap(), &dir.path().join("site"), &["--name", "Test", "--allow-unproven"]).unwrap();
    let running = site.serve(&dir.path().join("log"), &[], &[]).unwrap();
    let mut api = running.browser();
    let served = api.get("/v1/openapi.json").unwrap().expect_status(200).unwrap();
    assert_eq!(served.header("content-type"), Some("application/json"));
    assert_eq!(served.text(), cctv_custodian::http::openapi_document().unwrap());

    let document = document();
    let known: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(method, path, _)| (path, method)).collect();
    let paths: BTreeSet<&String> = known.iter().map(|(path, _)| path).collect();
    for path in paths {
        let place: String = path
            .split('/')
            .map(|part| match part {
                "{day}" => "2026-11-25",
                "{segment}" => "0123456789abcdef",
                "{part}" => "0.m4s",
                part if part.starts_with('{') => "1",
                part => part,
            })
            .collect::<Vec<_>>()
            .join("/");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let told = wait_until("it is this one's turn", PATIENCE, || {
                let told = running.browser().send(method, &place, None)?;
                Ok((told.status != 429).then_some(told))
            })
            .unwrap();
            let is_known = known.contains(&(path.clone(), method.to_owned()));
            assert_eq!(told.status != 405, is_known, "{method} {place}: {} {}", told.status, told.text());
            let slug = told.json["type"].as_str().unwrap_or_default();
            assert!(slug != "urn:custodian:no-such-route", "{method} {place}: there is no such route");
        }
    }
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/requests/1/nothing", "/v2/requests", "/v1//requests"] {
        running.browser().get(path).unwrap().expect_status(404).unwrap();
    }
}
