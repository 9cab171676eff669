//! What operators and their tools ask.

use actix_web::web;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Json, Metrics};
use super::problem::Problem;
use super::state::HttpState;

/// How the process is.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    /// `alive` or `ready`.
    status: &'static str,
}

/// The process lives.
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "alive" })
}

/// A message would be taken and could be made durable now, and the server does not drain.
pub(super) async fn ready(state: web::Data<HttpState>) -> Result<Json<Health>, Problem> {
    if *state.draining.borrow() {
        return Err(Problem::new(503, "draining", "the server is shutting down"));
    }
    state.admissions.has_room().map_err(|error| state.problem(&error))?;
    match tokio::time::timeout(state.settings.server.ready_timeout(), state.store.probe()).await {
        Ok(Ok(())) => Ok(Json(Health { status: "ready" })),
        Ok(Err(error)) => Err(state.problem(&error)),
        Err(_) => Err(Problem::new(503, "store_timeout", "the database takes too long to commit a probe")
            .retry_after(state.store.retry_after())),
    }
}

/// The metrics, in the text format that Prometheus reads.
pub(super) async fn metrics(state: web::Data<HttpState>) -> Metrics {
    Metrics((state.metrics)())
}
