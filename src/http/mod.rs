//! The HTTP interface. Speaks to actors by message and to ports, never to adapters.

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
mod operations;
mod page;
mod problem;
mod review;
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

use actix_web::http::Method;
use actix_web::{HttpRequest, Resource, web};

pub use console::{Role, User, check_user, hash_password};
pub use server::{listen, run_server};
pub use settings::{
    ApiSettings, ConsoleSettings, HandoffSettings, HttpSettings, ServerSettings, WebSettings,
};
pub use state::{HttpState, MetricsText, Parts, TableReader};

use problem::Problem;

/// Everything that is served, path by path.
pub fn configure(config: &mut web::ServiceConfig, state: HttpState) {
    config
        .app_data(web::Data::new(state))
        .service(
            resource("/webhooks/whatsapp")
                .route(web::get().to(webhooks::handshake))
                .route(web::post().to(webhooks::receive)),
        )
        .service(resource("/v1/messages").route(web::post().to(messages::receive)))
        .service(resource("/v1/conversations").route(web::get().to(review::conversations)))
        .service(resource("/v1/conversations/{id}").route(web::get().to(conversations::show)))
        .service(resource("/v1/conversations/{id}/messages").route(web::get().to(conversations::messages)))
        .service(resource("/v1/conversations/{id}/take-over").route(web::post().to(handoff::take_over)))
        .service(resource("/v1/conversations/{id}/hand-back").route(web::post().to(handoff::hand_back)))
        .service(resource("/v1/conversations/{id}/reply").route(web::post().to(handoff::reply)))
        .service(resource("/v1/conversations/{id}/turns").route(web::get().to(conversations::turns)))
        .service(
            resource("/v1/conversations/{id}/turns/{turn}/class").route(web::post().to(classifier::correct)),
        )
        .service(resource("/v1/conversations/{id}/events").route(web::get().to(events::stream)))
        .service(resource("/v1/journeys").route(web::get().to(journeys::list)))
        .service(resource("/v1/journeys/{position}").route(web::get().to(journeys::show)))
        .configure(configure_leftovers)
        .configure(configure_knowledge)
        .service(resource("/v1/supervision/tree").route(web::get().to(supervision::tree)))
        .service(resource("/v1/supervision/events").route(web::get().to(supervision::events)))
        .service(resource("/v1/supervision/conversations").route(web::get().to(supervision::conversations)))
        .service(
            resource("/v1/supervision/conversations/{id}").route(web::get().to(supervision::conversation)),
        )
        .service(resource("/v1/supervision/{path:.+}/{action}").route(web::post().to(supervision::act)))
        .configure(console::configure)
        .service(readable("/livez", operations::live))
        .service(readable("/readyz", operations::ready))
        .service(readable("/metrics", operations::metrics))
        .service(readable("/", page::index))
        .service(readable("/chat.js", page::script))
        .service(readable("/chat.css", page::style))
        .default_service(web::to(unknown_path));
}

/// What went wrong and waits for people, and what turns recorded for them.
fn configure_leftovers(config: &mut web::ServiceConfig) {
    config
        .service(resource("/v1/dead-letters").route(web::get().to(leftovers::dead_letters)))
        .service(resource("/v1/dead-letters/replay").route(web::post().to(leftovers::replay)))
        .service(resource("/v1/dead-letters/discard").route(web::post().to(leftovers::discard_letters)))
        .service(resource("/v1/ambiguous").route(web::get().to(leftovers::ambiguous)))
        .service(resource("/v1/ambiguous/resend").route(web::post().to(leftovers::resend)))
        .service(resource("/v1/ambiguous/discard").route(web::post().to(leftovers::discard_ambiguous)))
        .service(resource("/v1/quarantine/replay").route(web::post().to(leftovers::replay_quarantined)))
        .service(resource("/v1/quarantine/discard").route(web::post().to(leftovers::discard_quarantined)))
        .service(resource("/v1/records").route(web::get().to(review::records)))
        .service(resource("/v1/quarantine").route(web::get().to(leftovers::quarantine)));
}

/// The knowledge base, and the examples of the classes.
fn configure_knowledge(config: &mut web::ServiceConfig) {
    config
        .service(
            resource("/v1/knowledge")
                .route(web::get().to(knowledge::list))
                .route(web::post().to(knowledge::import))
                .route(web::delete().to(knowledge::remove)),
        )
        .service(resource("/v1/knowledge/search").route(web::get().to(knowledge::search)))
        .service(resource("/v1/knowledge/decide").route(web::get().to(decide::decide)))
        .service(resource("/v1/knowledge/unanswered").route(web::get().to(unanswered::list)))
        .service(resource("/v1/knowledge/import").route(web::post().to(knowledge::import_table)))
        .service(resource("/v1/knowledge/status").route(web::get().to(entries::status)))
        .service(
            resource("/v1/knowledge/entry")
                .route(web::get().to(entries::show))
                .route(web::put().to(entries::put)),
        )
        .service(resource("/v1/knowledge/history").route(web::get().to(entries::history)))
        .service(resource("/v1/knowledge/restore").route(web::post().to(entries::restore)))
        .service(
            resource("/v1/knowledge/vectors")
                .route(web::post().to(vectors::put))
                .route(web::delete().to(entries::vacuum)),
        )
        .service(
            resource("/v1/classifier/examples")
                .route(web::get().to(classifier::list))
                .route(web::post().to(classifier::add))
                .route(web::delete().to(classifier::remove)),
        );
}

/// A path that answers other methods with a problem.
fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(wrong_method))
}

/// A path that is read with GET or HEAD.
fn readable<F, Args>(path: &str, handler: F) -> Resource
where
    F: actix_web::Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: actix_web::Responder + 'static,
{
    resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

async fn unknown_path(request: HttpRequest) -> Problem {
    Problem::not_found(format!("nothing is served at {}", request.path()))
}

async fn wrong_method(method: Method) -> Problem {
    Problem::new(405, "method_not_allowed", format!("{method} is not served here"))
}

#[cfg(test)]
mod tests;
