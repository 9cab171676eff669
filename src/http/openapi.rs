//! The description of the interface (OpenAPI 3.1), made from the table of routes and from the types that handlers read and write.

mod describe;
mod problems;

use std::borrow::Cow;
use std::sync::LazyLock;

use actix_web::body::BoxBody;
use actix_web::http::Method;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, Responder};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::auth::VISITOR_COOKIE;
use super::console::COOKIE;
use super::routes::{Access, Operation, TAGS, operations};

pub(super) use describe::{Describe, Draft};
#[cfg(test)]
pub(super) use problems::CODES;
pub(super) use problems::{Failure, KNOWN, SEARCHED, STORED};

/// Where schemas stand that have a name.
const SCHEMAS: &str = "/components/schemas";

/// What is said of all operations.
const ABOUT: &str = "\
Tertulia gathers a person's short messages and answers the thought once. Programs post messages to `/v1/messages` and read the \
replies from the conversation's stream of events; people who supervise have the console, and whatever it shows and does is here, too.

**Errors** are problem documents (RFC 9457). Programs tell them apart by `code`, which is stable; `detail` is for people. Where waiting \
helps, the header `Retry-After` says how long.

**Requests** are numbered: an `X-Request-Id` of up to 128 visible characters is taken over, else one is made, and every answer has it.

**Roles**: `x-role` is the role that somebody who has signed in to the console must have; each may do what those before it may: \
`viewer`, `operator`, `admin`. Who shows the console's token is an admin.

**Streams** are server-sent events. `x-events` says what the data of each event is, by the event's name.";

/// The document, as it is served.
static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The document as JSON.
#[must_use]
pub fn openapi() -> &'static str {
    &TEXT
}

/// The document, as an answer.
pub(super) struct Document;

impl Responder for Document {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((CACHE_CONTROL, "no-cache"))
            .body(openapi())
    }
}

impl JsonSchema for Document {
    fn schema_name() -> Cow<'static, str> {
        "OpenApiDocument".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A document of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1).",
            "properties": {
                "openapi": {"type": "string", "pattern": "^3\\.1\\.\\d+$"},
                "info": {"type": "object"},
                "servers": {"type": "array", "items": {"type": "object"}},
                "tags": {"type": "array", "items": {"type": "object"}},
                "paths": {"type": "object"},
                "components": {"type": "object"},
            },
            "required": ["openapi", "info", "paths"],
        })
    }
}

/// This document.
pub(super) async fn show() -> Document {
    Document
}

/// Makes the document.
fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = SCHEMAS.into();
            settings.meta_schema = None;
            settings.untagged_enum_variant_titles = true;
        })
    };
    let mut given = settings().for_deserialize().into_generator();
    let mut told = settings().for_serialize().into_generator();
    let mut described: Vec<(String, String, Value)> = vec![];
    for operation in operations() {
        let path = template(operation.path);
        let mut shown = describe_one(&operation, &mut given, &mut told);
        let method = operation.method.as_str().to_ascii_lowercase();
        described.push((path.clone(), method, shown.clone()));
        if operation.is_headed {
            without_content(&mut shown);
            described.push((path, Method::HEAD.as_str().to_ascii_lowercase(), shown));
        }
    }
    let schemas = merge(told.take_definitions(true), given.take_definitions(true), &mut described);
    let mut paths = Map::new();
    for (path, method, operation) in described {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = operation;
    }
    let tags: Vec<_> =
        TAGS.iter().map(|(name, description)| json!({"name": name, "description": description})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tertulia",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": ABOUT,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from."}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": security_schemes()},
    })
}

/// A path as OpenAPI writes it: without the patterns of its parameters.
pub(super) fn template(path: &str) -> String {
    let mut shown = String::new();
    for part in path.split_inclusive('}') {
        match part.split_once(':') {
            Some((before, _)) => shown.extend([before, "}"]),
            None => shown.push_str(part),
        }
    }
    shown
}

/// The names of a path's parameters, in order.
fn names(path: &'static str) -> Vec<&'static str> {
    let inside = path.split('{').skip(1).filter_map(|rest| rest.split(['}', ':']).next());
    inside.collect()
}

fn describe_one(operation: &Operation, given: &mut SchemaGenerator, told: &mut SchemaGenerator) -> Value {
    let mut draft = Draft::new(given, told, names(operation.path));
    operation.failures().for_each(|failure| draft.fail(failure));
    (operation.describe)(&mut draft);
    for (name, description) in operation.headers {
        draft.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"},
        }));
    }
    let mut shown = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "security": security(operation.access),
    });
    if !operation.about.is_empty() {
        shown["description"] = operation.about.into();
    }
    if let Access::Reader(role) | Access::Supervisor(role) = operation.access {
        shown["x-role"] = role.as_str().into();
    }
    let (parameters, body) = (std::mem::take(&mut draft.parameters), draft.body.take());
    if !parameters.is_empty() {
        shown["parameters"] = parameters.into();
    }
    if let Some(body) = body {
        shown["requestBody"] = body;
    }
    shown["responses"] = draft.responses();
    shown
}

/// What HEAD answers: the same, and nothing of it.
fn without_content(operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default();
    operation["operationId"] = format!("{id}Head").into();
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        response.as_object_mut().map(|response| response.remove("content"));
    }
}

/// The ways in which callers show who they are: one of them is enough; an empty one means that nothing need be shown.
fn security(access: Access) -> Value {
    match access {
        Access::Open => json!([]),
        Access::Writer => json!([{"apiToken": []}, {"visitorCookie": []}, {}]),
        Access::Reader(_) => json!([
            {"apiToken": []}, {"visitorCookie": []}, {"consoleToken": []}, {"consoleCookie": []}, {},
        ]),
        Access::Supervisor(_) => json!([{"consoleToken": []}, {"consoleCookie": []}]),
        Access::Signature => json!([{"webhookSignature": []}]),
    }
}

fn security_schemes() -> Value {
    json!({
        "apiToken": {
            "type": "http", "scheme": "bearer",
            "description": "`channels.api.token`, for programs. While it is not set, programs of the same machine need no token.",
        },
        "consoleToken": {
            "type": "http", "scheme": "bearer",
            "description": "`console.token`, for programs that supervise. It has the role admin.",
        },
        "consoleCookie": {
            "type": "apiKey", "in": "cookie", "name": format!("{COOKIE}_8080"),
            "description": "The number is the port that the server listens on. Who has signed in to the console (`POST /console/session`). What changes something must come from the \
                console's own page: with a header `Origin` that is the host, or `Sec-Fetch-Site: same-origin`.",
        },
        "visitorCookie": {
            "type": "apiKey", "in": "cookie", "name": VISITOR_COOKIE,
            "description": "A visitor of the chat page, which sets it.",
        },
        "webhookSignature": {
            "type": "apiKey", "in": "header", "name": "X-Hub-Signature-256",
            "description": "`sha256=` and the HMAC-SHA-256 of the body in hexadecimal digits, by the app's secret.",
        },
    })
}

/// The schemas of what is written and of what is read, under one name each. A type that is read as it is written has one schema; of
/// any other, what is read is called `…Input`.
fn merge(
    mut told: Map<String, Value>,
    given: Map<String, Value>,
    described: &mut [(String, String, Value)],
) -> Map<String, Value> {
    let mut differing: Vec<String> = vec![];
    loop {
        let differs = |(name, schema): &(&String, &Value)| {
            let is_other = told.get(*name).is_some_and(|told| told != *schema);
            let refers = told.contains_key(*name) && differing.iter().any(|other| refers_to(schema, other));
            (is_other || refers) && !differing.contains(name)
        };
        let more: Vec<String> = given.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        if more.is_empty() {
            break;
        }
        differing.extend(more);
    }
    let renamed = |name: &str| differing.iter().any(|other| other == name).then(|| format!("{name}Input"));
    for (name, mut schema) in given {
        rename(&mut schema, &renamed);
        told.insert(renamed(&name).unwrap_or(name), schema);
    }
    for (.., operation) in described {
        for part in ["parameters", "requestBody"] {
            operation.get_mut(part).into_iter().for_each(|part| rename(part, &renamed));
        }
    }
    told
}

fn reference(name: &str) -> String {
    format!("#{SCHEMAS}/{name}")
}

fn refers_to(schema: &Value, name: &str) -> bool {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| (key == "$ref" && *value == reference(name)) || refers_to(value, name)),
        Value::Array(items) => items.iter().any(|item| refers_to(item, name)),
        _ => false,
    }
}

fn rename(schema: &mut Value, renamed: &impl Fn(&str) -> Option<String>) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = value.as_str().filter(|_| key == "$ref").and_then(|path| path.rsplit('/').next());
                match name.map(renamed) {
                    Some(Some(name)) => *value = reference(&name).into(),
                    Some(None) => {}
                    None => rename(value, renamed),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, renamed)),
        _ => {}
    }
}
