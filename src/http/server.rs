//! Puts the server together.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpServer};
use tokio::net::TcpSocket;

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

/// Listens on every address that `server.bind` names and this machine has; connections wait until the server runs. Also
/// answers the first of them, with the port that was taken.
///
/// # Errors
/// When none of them can be listened on.
pub fn listen(settings: &ServerSettings) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let (mut listeners, mut failed) = (vec![], io::Error::other("no address to listen on"));
    for address in settings.bind.to_socket_addrs()? {
        match listen_on(address, settings.backlog) {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                tracing::warn!(%address, %error, "cannot listen on one of the addresses of server.bind");
                failed = error;
            }
        }
    }
    let address = listeners.first().ok_or(failed)?.local_addr()?;
    Ok((listeners, address))
}

fn listen_on(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that starts again need not wait for the connections of the last one to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)?.into_std()
}

/// The server, which runs when it is polled. It handles no signals: who drains, tells `draining` first and stops it by its
/// handle then.
///
/// # Errors
/// When the listeners cannot be used.
pub fn run_server(
    state: HttpState,
    settings: &ServerSettings,
    listeners: Vec<TcpListener>,
) -> io::Result<Server> {
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        workers => workers,
    };
    let mut server = HttpServer::new(move || app(state.clone()))
        .workers(workers)
        .max_connections(settings.connections_max.div_ceil(workers))
        .keep_alive(Duration::from_millis(settings.keep_alive_ms))
        .client_request_timeout(Duration::from_millis(settings.head_timeout_ms))
        .shutdown_timeout(settings.drain_ms.div_ceil(1_000))
        .disable_signals();
    for listener in listeners {
        server = server.listen(listener)?;
    }
    Ok(server.run())
}
