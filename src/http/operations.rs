//! What operators and their tools ask.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpResponse, web};

use super::problem::Problem;
use super::state::HttpState;

/// The process lives.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "alive"}))
}

/// A message would be taken and could be made durable now, and the server does not drain.
pub(super) async fn ready(state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    if *state.draining.borrow() {
        return Err(Problem::new(503, "draining", "the server is shutting down"));
    }
    state.admissions.has_room().map_err(|error| state.problem(&error))?;
    match tokio::time::timeout(state.settings.server.ready_timeout(), state.store.probe()).await {
        Ok(Ok(())) => Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"}))),
        Ok(Err(error)) => Err(state.problem(&error)),
        Err(_) => Err(Problem::new(503, "store_timeout", "the database takes too long to commit a probe")
            .retry_after(state.store.retry_after())),
    }
}

/// The metrics, in the text format that Prometheus reads.
pub(super) async fn metrics(state: web::Data<HttpState>) -> HttpResponse {
    let format = (CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    HttpResponse::Ok().insert_header(format).body((state.metrics)())
}
