//! What the types of a handler say of it: what it is given, and what it answers.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use actix_web::{CustomizeResponder, Either, HttpRequest, web};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use tertulia_actors::supervision::events::Event;

use super::Document;
use super::problems::{Failure, meaning};
use crate::http::answer::{Empty, Events, Json, Metrics, Moved, Plain};
use crate::http::body::{Body, OptionalBody, SignedBody};
use crate::http::console::Frame;
use crate::http::events;
use crate::http::files::{File, FileKind};
use crate::http::parameters::{Path, Query};
use crate::http::problem::{self, Problem};

/// What is known of an operation so far.
pub(in crate::http) struct Draft<'a> {
    /// Schemas of what is read.
    pub(super) given: &'a mut SchemaGenerator,
    /// Schemas of what is written.
    pub(super) told: &'a mut SchemaGenerator,
    /// The names of the path's parameters, in order.
    pub(super) names: Vec<&'static str>,
    pub(super) parameters: Vec<Value>,
    pub(super) body: Option<Value>,
    responses: BTreeMap<u16, Response>,
}

/// What is answered with one status.
#[derive(Default)]
struct Response {
    description: String,
    content: Map<String, Value>,
    /// Of problems: their codes.
    codes: Vec<&'static str>,
}

/// What a type says of an operation.
pub(in crate::http) trait Describe {
    /// Adds it to the draft.
    fn describe(draft: &mut Draft<'_>);
}

/// The events of a stream.
pub(super) trait Kinds {
    /// The name of each, and what its data is; `*` stands for every name.
    fn kinds(told: &mut SchemaGenerator) -> Vec<(&'static str, Schema)>;
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        given: &'a mut SchemaGenerator,
        told: &'a mut SchemaGenerator,
        names: Vec<&'static str>,
    ) -> Self {
        Self { given, told, names, parameters: vec![], body: None, responses: BTreeMap::new() }
    }

    /// Something may go wrong.
    pub(super) fn fail(&mut self, (status, code): Failure) {
        let codes = &mut self.responses.entry(status).or_default().codes;
        if !codes.contains(&code) {
            codes.push(code);
        }
    }

    fn fail_each(&mut self, failures: &[Failure]) {
        failures.iter().for_each(|failure| self.fail(*failure));
    }

    /// Something of a media type is answered.
    fn answer(&mut self, status: u16, description: &str, kind: &str, content: Value) {
        let response = self.responses.entry(status).or_default();
        if response.description.is_empty() {
            description.clone_into(&mut response.description);
        }
        response.content.insert(kind.to_owned(), content);
    }

    fn require(&mut self, schema: &Schema, required: bool) {
        let description = described(schema, self.given).unwrap_or_default().to_owned();
        self.body = Some(json!({
            "required": required,
            "description": description,
            "content": {"application/json": {"schema": schema}},
        }));
        self.fail_each(&[
            (400, "malformed_json"),
            (400, "body_incomplete"),
            (408, "body_timeout"),
            (413, "body_too_large"),
            (415, "unsupported_media_type"),
            (422, "invalid_field"),
        ]);
    }

    /// The responses by their statuses.
    pub(super) fn responses(self) -> Value {
        let problem = self.told.subschema_for::<problem::Document<'static>>();
        let mut told = Map::new();
        for (status, Response { description, mut content, codes }) in self.responses {
            let meanings = codes.iter().map(|code| format!("- `{code}`: {}", meaning(code)));
            let meanings: Vec<String> = meanings.collect();
            let known = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            let mut response = json!({});
            if codes.is_empty() {
                let name = known.unwrap_or("Answer");
                response["description"] =
                    if description.is_empty() { name.into() } else { description.into() };
            } else {
                response["description"] =
                    format!("{}\n\n{}", known.unwrap_or("Problem"), meanings.join("\n")).into();
                response["x-codes"] = codes.into();
                content.insert("application/problem+json".to_owned(), json!({ "schema": problem }));
            }
            if matches!(status, 429 | 503) {
                response["headers"] = json!({"Retry-After": {
                    "description": "Come back after so many seconds; not where waiting does not help.",
                    "schema": {"type": "integer", "minimum": 1},
                }});
            }
            if !content.is_empty() {
                response["content"] = content.into();
            }
            told.insert(status.to_string(), response);
        }
        told.into()
    }
}

/// The description of a schema, or of what it refers to.
fn described<'a>(schema: &'a Schema, schemas: &'a SchemaGenerator) -> Option<&'a str> {
    let own = schema.get("description").and_then(Value::as_str);
    own.or_else(|| {
        let name = schema.get("$ref")?.as_str()?.rsplit('/').next()?;
        schemas.definitions().get(name)?.get("description")?.as_str()
    })
}

/// A schema without the null of what may be left out: in a query nothing stands for it.
fn not_null(mut schema: Value) -> Value {
    let Some(fields) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(kinds)) = fields.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = &kinds[..] {
            let kind = kind.clone();
            fields.insert("type".to_owned(), kind);
        }
    }
    if let Some(Value::Array(mut either)) = fields.remove("anyOf") {
        either.retain(|kind| *kind != json!({"type": "null"}));
        match (either.len(), either.pop()) {
            (1, Some(Value::Object(only))) => fields.extend(only),
            (_, last) => {
                either.extend(last);
                fields.insert("anyOf".to_owned(), either.into());
            }
        }
    }
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    schema
}

impl<T: JsonSchema> Describe for Query<T> {
    fn describe(draft: &mut Draft<'_>) {
        let schema = T::json_schema(draft.given);
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, schema) in fields {
            let mut schema = not_null(schema);
            let is_required = required.iter().any(|required| *required == *name);
            let mut parameter = json!({"name": name, "in": "query", "required": is_required});
            if let Some(description) = schema.as_object_mut().and_then(|fields| fields.remove("description"))
            {
                parameter["description"] = description;
            }
            parameter["schema"] = schema;
            draft.parameters.push(parameter);
        }
        draft.fail((400, "invalid_query"));
    }
}

impl<T: JsonSchema, const N: usize> Describe for Path<T, N> {
    fn describe(draft: &mut Draft<'_>) {
        let schema = draft.given.subschema_for::<T>();
        let name = draft.names.get(N).copied().unwrap_or_default();
        let mut parameter = json!({"name": name, "in": "path", "required": true});
        if let Some(description) = described(&schema, draft.given) {
            parameter["description"] = description.into();
        }
        parameter["schema"] = schema.to_value();
        draft.parameters.push(parameter);
        draft.fail((404, "not_found"));
    }
}

impl<T: JsonSchema> Describe for Body<T> {
    fn describe(draft: &mut Draft<'_>) {
        let schema = draft.given.subschema_for::<T>();
        draft.require(&schema, true);
    }
}

impl<T: JsonSchema> Describe for OptionalBody<T> {
    fn describe(draft: &mut Draft<'_>) {
        let schema = draft.given.subschema_for::<T>();
        draft.require(&schema, false);
    }
}

impl<T: JsonSchema> Describe for SignedBody<T> {
    fn describe(draft: &mut Draft<'_>) {
        let schema = draft.given.subschema_for::<T>();
        draft.body = Some(json!({"required": true, "content": {"application/json": {"schema": schema}}}));
        draft.fail_each(&[(400, "body_incomplete"), (408, "body_timeout"), (413, "body_too_large")]);
    }
}

impl<T: JsonSchema, const STATUS: u16> Describe for Json<T, STATUS> {
    fn describe(draft: &mut Draft<'_>) {
        let schema = draft.told.subschema_for::<T>();
        let description = described(&schema, draft.told).unwrap_or_default().to_owned();
        draft.answer(STATUS, &description, "application/json", json!({ "schema": schema }));
    }
}

impl<const STATUS: u16> Describe for Empty<STATUS> {
    fn describe(draft: &mut Draft<'_>) {
        draft.responses.entry(STATUS).or_default();
    }
}

impl Describe for Moved {
    fn describe(draft: &mut Draft<'_>) {
        draft.responses.entry(308).or_default();
    }
}

impl Describe for Plain {
    fn describe(draft: &mut Draft<'_>) {
        draft.answer(200, "", "text/plain", json!({"schema": {"type": "string"}}));
    }
}

impl Describe for Metrics {
    fn describe(draft: &mut Draft<'_>) {
        let text = json!({"schema": {"type": "string"}});
        draft.answer(200, "Text in the format of OpenMetrics.", "application/openmetrics-text", text);
    }
}

impl<K: FileKind> Describe for File<K> {
    fn describe(draft: &mut Draft<'_>) {
        for kind in K::TYPES {
            draft.answer(200, "A file.", kind, json!({"schema": {"type": "string"}}));
        }
    }
}

impl<E: Kinds> Describe for Events<E> {
    fn describe(draft: &mut Draft<'_>) {
        let kinds = E::kinds(draft.told).into_iter();
        let kinds: Map<String, Value> =
            kinds.map(|(name, data)| (name.to_owned(), data.to_value())).collect();
        let stream = json!({
            "schema": {"type": "string", "description": "Server-sent events (HTML Living Standard, 9.2)."},
            "x-events": kinds,
        });
        draft.answer(
            200,
            "A stream of events, which ends when the server does.",
            "text/event-stream",
            stream,
        );
        draft.fail_each(&[(400, "invalid_header"), (503, "draining"), (503, "too_many_streams")]);
    }
}

impl Describe for Document {
    fn describe(draft: &mut Draft<'_>) {
        let schema = draft.told.subschema_for::<Self>();
        draft.answer(200, "This document.", "application/json", json!({ "schema": schema }));
    }
}

impl Kinds for events::Told {
    fn kinds(told: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        vec![
            ("gathering", told.subschema_for::<events::Gathering>()),
            ("answering", told.subschema_for::<events::Answering>()),
            ("reply", told.subschema_for::<events::Reply<'static>>()),
            ("idle", told.subschema_for::<events::Idle>()),
        ]
    }
}

impl Kinds for Event {
    fn kinds(told: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        vec![("*", told.subschema_for::<Self>())]
    }
}

impl Kinds for Frame<'static> {
    fn kinds(told: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
        vec![("frame", told.subschema_for::<Self>())]
    }
}

impl<T: Describe> Describe for Result<T, Problem> {
    fn describe(draft: &mut Draft<'_>) {
        T::describe(draft);
    }
}

impl<A: Describe, B: Describe> Describe for Either<A, B> {
    fn describe(draft: &mut Draft<'_>) {
        A::describe(draft);
        B::describe(draft);
    }
}

impl<T: Describe> Describe for CustomizeResponder<T> {
    fn describe(draft: &mut Draft<'_>) {
        T::describe(draft);
    }
}

/// What handlers are given that callers do not send.
macro_rules! silent {
    ($($kind:ty),*) => {$(
        impl Describe for $kind {
            fn describe(_: &mut Draft<'_>) {}
        }
    )*};
}

silent!(HttpRequest, Method);

impl<T> Describe for web::Data<T> {
    fn describe(_: &mut Draft<'_>) {}
}

/// What a handler is given, one after the other.
macro_rules! together {
    ($($kind:ident)*) => {
        impl<$($kind: Describe),*> Describe for ($($kind,)*) {
            fn describe(_draft: &mut Draft<'_>) {
                $($kind::describe(_draft);)*
            }
        }
    };
}

together!();
together!(A);
together!(A B);
together!(A B C);
together!(A B C D);
together!(A B C D E);
