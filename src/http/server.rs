//! Puts the server together.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpServer};

use super::configure;
use super::settings::ServerSettings;
use super::state::HttpState;
use super::trace::trace;

/// The whole application: every path, and the tracing around it.
pub(super) fn app(
    state: HttpState,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new().configure(|config| configure(config, state)).wrap(from_fn(trace))
}

/// Listens, and returns the server, which runs when it is polled, with the address it listens on. It handles no signals:
/// who drains, tells `draining` first and stops it by its handle then.
///
/// # Errors
/// When the address cannot be listened on.
pub fn run_server(state: HttpState, settings: &ServerSettings) -> io::Result<(Server, SocketAddr)> {
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        workers => workers,
    };
    let server = HttpServer::new(move || app(state.clone()))
        .workers(workers)
        .max_connections(settings.connections_max.div_ceil(workers))
        .backlog(settings.backlog)
        .keep_alive(Duration::from_millis(settings.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(settings.head_timeout_ms))
        .shutdown_timeout(settings.drain_ms.div_ceil(1_000))
        .disable_signals()
        .bind(&settings.bind)?;
    let address = server.addrs().first().copied();
    let address = address.ok_or_else(|| io::Error::other("no address to listen on"))?;
    Ok((server.run(), address))
}
