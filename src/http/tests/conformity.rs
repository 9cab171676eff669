//! Answers are as the description of the interface says: each answer of a test is held against it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Answer;
use crate::http::openapi::{openapi, template};

/// The description, as callers read it.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(openapi()).unwrap());

/// What of an answer is not as it is described; `pattern` is the path as it is registered.
pub(super) fn misfits_of(answer: &Answer, method: &str, pattern: Option<&str>) -> Vec<String> {
    let Some(pattern) = pattern else {
        return expect_problem(answer, 404, "not_found");
    };
    let (path, method) = (template(pattern), method.to_ascii_lowercase());
    let operation = &DOCUMENT["paths"][&path][&method];
    if operation.is_null() {
        return expect_problem(answer, 405, "method_not_allowed");
    }
    let place = format!("{method} {path} {}", answer.status.as_u16());
    let response = &operation["responses"][answer.status.as_str()];
    if response.is_null() {
        return vec![format!("{place}: is not described: {}", answer.body)];
    }
    let kind = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    let content = &response["content"][kind];
    // What HEAD answers is stripped of its body on the wire alone.
    if answer.body.is_empty() || method == "head" {
        let expected = response.get("content").is_some() && method != "head" && !kind.is_empty();
        return Vec::from_iter(expected.then(|| format!("{place}: has no body")));
    }
    if content.is_null() {
        return vec![format!("{place}: '{kind}' is not described")];
    }
    let mut found = vec![];
    if kind.ends_with("json") {
        misfits(&content["schema"], &answer.json(), &place, &mut found);
    }
    if kind == "application/problem+json" {
        let codes = response["x-codes"].as_array().unwrap();
        if !codes.contains(&answer.json()["code"]) {
            found.push(format!("{place}: {} is not one of {codes:?}", answer.json()["code"]));
        }
    }
    found
}

fn expect_problem(answer: &Answer, status: u16, code: &str) -> Vec<String> {
    let is_it = answer.status.as_u16() == status && answer.json()["code"] == code;
    Vec::from_iter((!is_it).then(|| format!("{} where {status} {code} is expected", answer.status)))
}

/// Adds what of `value` does not fit `schema`, as far as JSON Schema is used here. A field that no schema knows does not fit either:
/// callers would not learn of it.
fn misfits(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let before = found.len();
    if let Some(name) = schema["$ref"].as_str() {
        misfits(referred(name), value, place, found);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        misfits(part, value, place, found);
    }
    for either in ["anyOf", "oneOf"] {
        let Some(parts) = schema[either].as_array() else { continue };
        let fits = |part: &&Value| {
            let mut found = vec![];
            misfits(part, value, place, &mut found);
            found.is_empty()
        };
        if !parts.iter().any(|part| fits(&part)) {
            found.push(format!("{place}: {value} fits none of {either}"));
        }
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.clone(),
        Value::Null => vec![],
        kind => vec![kind.clone()],
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is_a(value, kind.as_str().unwrap())) {
        found.push(format!("{place}: {value} is not {kinds:?}"));
    }
    let is_other = schema.get("const").is_some_and(|only| only != value);
    if is_other || schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{place}: {value} is not one of {schema}"));
    }
    if schema["minimum"].as_f64().zip(value.as_f64()).is_some_and(|(least, value)| value < least) {
        found.push(format!("{place}: {value} is too small"));
    }
    match (schema["format"].as_str(), value.as_str()) {
        (Some("uuid"), Some(text)) if text.parse::<uuid::Uuid>().is_err() => {
            found.push(format!("{place}: {text} is no UUID"));
        }
        (Some("date-time"), Some(text)) if chrono::DateTime::parse_from_rfc3339(text).is_err() => {
            found.push(format!("{place}: {text} is no time"));
        }
        _ => {}
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(items) = schema.get("items") {
            misfits(items, item, &format!("{place}/{n}"), found);
        }
    }
    fields(schema, value, place, found);
    if found.len() == before
        && let Some(unknown) = unknown_field(schema, value)
    {
        found.push(format!("{place}: no schema knows the field {unknown}"));
    }
}

fn fields(schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let Some(fields) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{place}: {name} is missing"));
        }
    }
    for (name, value) in fields {
        let place = format!("{place}/{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => found.push(format!("{place}: is not allowed")),
            (Value::Null, more) => misfits(more, value, &place, found),
            (known, _) => misfits(known, value, &place, found),
        }
    }
}

/// A field of which none of the schemas of this value says anything.
fn unknown_field(schema: &Value, value: &Value) -> Option<String> {
    let mut known = BTreeSet::new();
    if !known_fields(schema, &mut known) || known.is_empty() {
        return None;
    }
    value.as_object()?.keys().find(|name| !known.contains(*name)).cloned()
}

/// Gathers the fields that a schema knows; false where it takes any.
fn known_fields(schema: &Value, known: &mut BTreeSet<String>) -> bool {
    let has_more = !matches!(schema["additionalProperties"], Value::Null | Value::Bool(false));
    known.extend(schema["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()));
    let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|part| schema[part].as_array()).flatten();
    let named = schema["$ref"].as_str().map(referred);
    !has_more && parts.chain(named).all(|part| known_fields(part, known))
}

pub(super) fn referred(name: &str) -> &'static Value {
    let path = name.strip_prefix('#').unwrap();
    DOCUMENT.pointer(path).unwrap_or_else(|| panic!("{name} leads nowhere"))
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn what_does_not_fit_a_schema_is_found() {
    let schema = json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "kind": {"enum": ["a", "b"]},
            "at": {"anyOf": [{"$ref": "#/components/schemas/Timestamp"}, {"type": "null"}]},
            "counts": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        },
        "required": ["id"],
    });
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (value, fits) in [
        (json!({"id": id}), true),
        (json!({"id": id, "kind": "a", "at": null, "counts": [1, 2]}), true),
        (json!({"id": id, "at": "2026-11-14T22:13:20.123Z"}), true),
        (json!({}), false),
        (json!({"id": "x"}), false),
        (json!({"id": id, "kind": "c"}), false),
        (json!({"id": id, "at": "yesterday"}), false),
        (json!({"id": id, "at": 5}), false),
        (json!({"id": id, "counts": [-1]}), false),
        (json!({"id": id, "counts": {}}), false),
        (json!({"id": id, "novelty": 1}), false),
        (json!([]), false),
    ] {
        let mut found = vec![];
        misfits(&schema, &value, "here", &mut found);
        assert_eq!(found.is_empty(), fits, "{value}: {found:?}");
    }
}
