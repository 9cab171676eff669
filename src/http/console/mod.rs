//! The console: who signs in, what they see live, and what they did.

mod audit;
mod live;
mod page;
mod role;
mod session;
mod sign_in;
mod users;

use actix_web::web;

use super::resource;

pub(super) use audit::{Deed, Reason, audited, by_people, note_reading};
pub use role::Role;
pub(super) use role::{Operator, TOKEN_NAME};
pub(super) use session::Sessions;
pub(super) use sign_in::{Pass, signed_in};
pub use users::{User, check_user, hash_password};

/// The paths of the console.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(
            resource("/console/session")
                .route(web::get().to(sign_in::show))
                .route(web::post().to(sign_in::sign_in))
                .route(web::delete().to(sign_in::sign_out)),
        )
        .service(resource("/console/live").route(web::get().to(live::stream)))
        .service(resource("/v1/audit").route(web::get().to(audit::list)))
        .service(resource("/v1/supervision/overview").route(web::get().to(live::overview)))
        .service(super::readable("/console", page::redirect))
        .service(super::readable("/console/{file:.*}", page::file));
}
