//! The HTTP interface. Speaks to actors by message and to ports, never to adapters.

mod answer;
mod auth;
mod body;
mod classifier;
mod console;
mod conversations;
mod decide;
mod entries;
mod events;
mod files;
mod handoff;
mod journeys;
mod knowledge;
mod leftovers;
mod limiter;
mod messages;
mod openapi;
mod operations;
mod page;
mod parameters;
mod problem;
mod review;
mod routes;
mod server;
mod settings;
mod sse;
mod state;
mod supervision;
mod trace;
mod unanswered;
mod vectors;
mod webhooks;
mod wire;

pub use console::{Role, User, check_user, hash_password};
pub use openapi::openapi;
pub use server::{listen, run_server};
pub use settings::{
    ApiSettings, ConsoleSettings, HandoffSettings, HttpSettings, ServerSettings, WebSettings,
};
pub use state::{HttpState, MetricsText, Parts, TableReader};

#[cfg(test)]
mod tests;
