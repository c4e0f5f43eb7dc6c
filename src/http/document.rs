//! The OpenAPI document: what the routes told of themselves, brought to its last form. `docs/openapi.json` is a copy of it, and
//! `tests/openapi.rs` fails where the two differ.

use super::answers::{CODE, COOKIE};
use super::described::{ASKED, PLACE, SIGNED_IN, TAKES_KEY, TAKES_VERSION};
use aide::openapi::OpenApi;
use serde_json::{Map, Value, json};

const METHODS: [&str; 5] = ["get", "post", "put", "delete", "patch"];

/// The document's text.
pub(super) fn text(told: &OpenApi) -> Result<String, serde_json::Error> {
    let mut document = serde_json::to_value(told)?;
    document["info"] = json!({
        "title": "Custodian",
        "version": env!("CARGO_PKG_VERSION"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/"}]);
    document["components"]["securitySchemes"] = json!({
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "`POST /v1/session` sets it."},
    });
    let schemas = document["components"]["schemas"].clone();
    let mut problems = Map::new();
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    finish(operation, method, path, &schemas);
                    share_problems(operation, &mut problems);
                }
            }
        }
    }
    document["components"]["responses"] = Value::Object(problems);
    let mut text = serde_json::to_string_pretty(&sorted(document))?;
    text.push('\n');
    Ok(text)
}

/// Everything by name, however it was told.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().map(|(name, value)| (name, sorted(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// A problem of one status is the same wherever it is answered.
fn share_problems(operation: &mut Value, problems: &mut Map<String, Value>) {
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, answer) in answers {
        if answer["content"].get("application/problem+json").is_some() {
            let name = format!("problem-{status}");
            let shared = json!({"$ref": format!("#/components/responses/{name}")});
            problems.insert(name, std::mem::replace(answer, shared));
        }
    }
}

fn finish(operation: &mut Value, method: &str, path: &str, schemas: &Value) {
    let words = path.trim_start_matches("/v1").split(['/', '-', '.']).filter(|word| !word.is_empty());
    let words = words.map(|word| word.trim_matches(['{', '}']));
    let id: Vec<&str> = std::iter::once(method).chain(words).collect();
    operation["operationId"] = id.join("_").into();
    let Some(fields) = operation.as_object_mut() else { return };
    let mut parameters = match fields.remove("parameters") {
        Some(Value::Array(told)) => told,
        _ => Vec::new(),
    };
    parameters.extend(in_path(path, fields.remove(PLACE).unwrap_or_default()));
    parameters.extend(in_query(fields.remove(ASKED).unwrap_or_default()));
    if takes_password(fields, schemas) {
        let description = "A code of the second factor, where the account has one: six digits, or a recovery code.";
        let schema = json!({"type": "string"});
        parameters.push(json!({"name": CODE, "in": "header", "description": description, "schema": schema}));
    }
    if fields.remove(TAKES_KEY).is_some() {
        let description = "Made at random for this one change: sent again, it is answered again and not done again.";
        let schema = json!({"type": "string", "minLength": 16, "maxLength": 128});
        parameters
            .push(json!({"name": "idempotency-key", "in": "header", "description": description, "schema": schema}));
    }
    if fields.remove(TAKES_VERSION).is_some() {
        let description =
            "The version that was seen, as `ETag` or `version` told it: nothing is done if it is another by now.";
        let schema = json!({"type": "string", "pattern": "^\"[0-9]+\"$"});
        parameters.push(json!({"name": "if-match", "in": "header", "description": description, "schema": schema}));
    }
    if !parameters.is_empty() {
        fields.insert("parameters".to_owned(), parameters.into());
    }
    let security = if fields.remove(SIGNED_IN).is_some() { json!([{"session": []}]) } else { json!([]) };
    fields.insert("security".to_owned(), security);
}

fn in_path(path: &str, place: Value) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    // A tuple has a schema for each of its parts.
    let parts = place.get("prefixItems").or_else(|| place.get("items")).and_then(Value::as_array).cloned();
    let parts = parts.unwrap_or_else(|| vec![place]);
    let parameter = |(name, schema)| json!({"name": name, "in": "path", "required": true, "schema": schema});
    names.zip(parts).map(parameter).collect()
}

fn in_query(asked: Value) -> Vec<Value> {
    let required = asked["required"].as_array().cloned().unwrap_or_default();
    let fields = asked["properties"].as_object().cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        without_null(&mut schema);
        let is_required = required.iter().any(|field| field == name.as_str());
        json!({"name": name, "in": "query", "required": is_required, "schema": schema})
    };
    fields.into_iter().map(parameter).collect()
}

/// What is left out behind a question mark is absent, never null.
fn without_null(schema: &mut Value) {
    let is_null = |part: &Value| part == "null" || part["type"] == "null";
    for list in ["type", "anyOf"] {
        let Some(parts) = schema.get_mut(list).and_then(Value::as_array_mut) else { continue };
        parts.retain(|part| !is_null(part));
        if let ([only], "type") = (parts.as_slice(), list) {
            schema[list] = only.clone();
        }
    }
    if let Some(fields) = schema.as_object_mut()
        && fields.get("default") == Some(&Value::Null)
    {
        fields.remove("default");
    }
}

/// Whether the body has a password in it: then a code of the second factor may come along.
fn takes_password(operation: &Map<String, Value>, schemas: &Value) -> bool {
    let schema = operation.get("requestBody").map(|body| &body["content"]["application/json"]["schema"]);
    let Some(schema) = schema else { return false };
    let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let schema = if name.is_empty() { schema } else { &schemas[name] };
    let has = |schema: &Value| schema["properties"].get("password").is_some();
    let kinds = ["oneOf", "anyOf"].into_iter().filter_map(|list| schema[list].as_array()).flatten();
    has(schema) || kinds.into_iter().any(has)
}
