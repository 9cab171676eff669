//! Errors as RFC 9457 problem documents. They are made here and nowhere else.

use std::fmt;
use std::time::Duration;

use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};
use schemars::JsonSchema;
use serde::Serialize;
use tertulia_actors::ports::store::Limit;
use tertulia_actors::ports::{KnowledgeBaseError, StoreError};

/// What went wrong, for the caller: a stable code, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// The field of the request that is wrong.
    field: Option<String>,
    /// The limit that was met.
    limit: Option<&'static str>,
    retry_after: Option<Duration>,
    /// The methods with which the path is served.
    allow: Option<Box<str>>,
}

/// What went wrong (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Document<'a> {
    /// `about:blank`: the code tells what it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the status.
    title: &'a str,
    /// The status.
    status: u16,
    /// What went wrong, for programs: stable.
    code: &'static str,
    /// What went wrong and what to do, for people.
    detail: &'a str,
    /// The field of the request that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// The limit that was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'static str>,
}

impl Problem {
    pub(super) fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, detail: detail.into(), field: None, limit: None, retry_after: None, allow: None }
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(404, "not_found", detail)
    }

    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(401, "unauthorized", detail)
    }

    /// The path is served with other methods.
    pub(super) fn wrong_method(method: &Method, allowed: &str) -> Self {
        let problem = Self::new(405, "method_not_allowed", format!("{method} is not served here"));
        Self { allow: Some(allowed.into()), ..problem }
    }

    /// A field of the request is wrong.
    pub(super) fn invalid(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        let field = field.into();
        let problem = Self::new(422, "invalid_field", format!("{field}: {detail}"));
        Self { field: Some(field), ..problem }
    }

    /// A parameter of the query is wrong.
    pub(super) fn query(detail: impl fmt::Display) -> Self {
        Self::new(400, "invalid_query", format!("query: {detail}"))
    }

    /// The same, which happened after something else was done.
    pub(super) fn after(mut self, done: &str) -> Self {
        self.detail = format!("{} ({done})", self.detail);
        self
    }

    /// The caller should come back after `wait`.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What the knowledge base's refusal means to a caller, who should wait for `wait` where that helps.
    pub(super) fn knowledge(error: &KnowledgeBaseError, wait: Duration) -> Self {
        match error {
            KnowledgeBaseError::Store(error) => Self::store(error, wait),
            KnowledgeBaseError::Away(reason) => {
                Self::new(503, "knowledge_unavailable", format!("{reason}; try again later"))
                    .retry_after(wait)
            }
        }
    }

    /// What the store's refusal means to a caller, who should wait for `wait` where that helps.
    pub(super) fn store(error: &StoreError, wait: Duration) -> Self {
        match error {
            StoreError::Overloaded { by, .. } => {
                let problem = Self::new(503, "overloaded", overload(*by)).retry_after(wait);
                Self { limit: Some(by.name()), ..problem }
            }
            StoreError::Unavailable(reason) => {
                tracing::warn!(%reason, "the store is unavailable");
                Self::new(503, "store_unavailable", "the database cannot be used now; try again later")
                    .retry_after(wait)
            }
            StoreError::Closed => {
                Self::new(503, "closing", "the server is shutting down; try again later").retry_after(wait)
            }
            StoreError::Refused(reason) => Self::new(409, "refused", reason.clone()),
            StoreError::Corrupt(reason) => {
                tracing::error!(%reason, "what is stored cannot be read: run `tertulia db check`");
                Self::new(500, "corrupt", "what is stored of this cannot be read")
            }
        }
    }
}

/// What a caller learns of a limit that was met.
const fn overload(by: Limit) -> &'static str {
    match by {
        Limit::Backlog => "too many messages wait for their answer; try again later",
        Limit::Memory => "the server is short of memory; try again later",
        Limit::Queue | Limit::QueueBytes => "too much is waiting to be stored; try again later",
        Limit::Reads => "too much is waiting to be read; try again later",
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let document = Document {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            field: self.field.as_deref(),
            limit: self.limit,
        };
        let mut response = HttpResponse::build(self.status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if let Some(wait) = self.retry_after {
            // Whole seconds, rounded up: coming back too early is of no use.
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, &**allow));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header(("www-authenticate", "Bearer"));
        }
        response.body(serde_json::to_string(&document).unwrap_or_default())
    }
}

impl Responder for Problem {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}
