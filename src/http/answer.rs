//! What handlers answer. Each says by its type what that is, so that the interface can be described by it.

use std::marker::PhantomData;

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, ContentType, LOCATION};
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

/// A `T` as JSON.
pub(super) struct Json<T, const STATUS: u16 = 200>(pub(super) T);

/// A `T` as JSON, for what is durable or passed on, and not done yet.
pub(super) type Accepted<T> = Json<T, 202>;

impl<T: Serialize, const STATUS: u16> Responder for Json<T, STATUS> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        HttpResponse::build(status).json(self.0)
    }
}

/// Nothing but the status.
pub(super) struct Empty<const STATUS: u16>;

impl<const STATUS: u16> Responder for Empty<STATUS> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::build(StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK)).finish()
    }
}

/// What is read at another address from now on.
pub(super) struct Moved(pub(super) &'static str);

impl Responder for Moved {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::PermanentRedirect().insert_header((LOCATION, self.0)).finish()
    }
}

/// A text.
pub(super) struct Plain(pub(super) String);

impl Responder for Plain {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().insert_header(ContentType::plaintext()).body(self.0)
    }
}

/// Text in the format of OpenMetrics.
pub(super) struct Metrics(pub(super) String);

impl Responder for Metrics {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let format = (CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8");
        HttpResponse::Ok().insert_header(format).body(self.0)
    }
}

/// A stream of events of the kind `E`.
pub(super) struct Events<E> {
    pub(super) response: HttpResponse,
    pub(super) of: PhantomData<fn() -> E>,
}

impl<E> Responder for Events<E> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.response
    }
}
