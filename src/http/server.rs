//! Puts the server together.

use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};
use tokio::net::TcpSocket;

use super::routes::configure;
use super::settings::ServerSettings;
use super::state::HttpState;
use super::trace::trace;
use super::wire::{self, Patience, TimedStream};

/// The whole application: every path, the tracing around it, and what tells a connection of its requests.
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
    App::new().configure(|config| configure(config, state)).wrap(from_fn(trace)).wrap(from_fn(wire::serve))
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

/// How long a connection that is closed after a refusal takes what the other side still sends, so that it gets to read the
/// answer. As `HttpServer` has it.
const DISCONNECT_WAIT: Duration = Duration::from_secs(1);

/// The server, which runs when it is polled. It handles no signals: who drains, tells `draining` first and stops it by its
/// handle then.
///
/// It is put together from the parts that `HttpServer` is made of, since that one takes no stream of ours.
///
/// # Errors
/// When the listeners cannot be used.
pub fn run_server(
    state: &HttpState,
    settings: &ServerSettings,
    listeners: Vec<TcpListener>,
) -> io::Result<Server> {
    let workers = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, Into::into),
        workers => workers,
    };
    let mut server = Server::build()
        .workers(workers)
        .max_concurrent_connections(settings.connections_max.div_ceil(workers))
        .shutdown_timeout(settings.drain_ms.div_ceil(1_000))
        .disable_signals();
    let (head, keep_alive) = (settings.head_timeout(), settings.keep_alive());
    let patience = Patience { head, idle: keep_alive + head, write: settings.write_timeout() };
    let stopping = server.graceful_shutdown_signal();
    for listener in listeners {
        let (state, stopping) = (state.clone(), stopping.clone());
        server = server.listen("http", listener, move || {
            let (state, stopping) = (state.clone(), stopping.clone());
            let app = app(state).into_factory().map_err(|error: Error| error.error_response());
            let http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(keep_alive)
                .client_request_timeout(head)
                .client_disconnect_timeout(DISCONNECT_WAIT)
                .on_connect_ext(|stream: &TimedStream, data| drop(data.insert(stream.shared())))
                .finish(map_config(app, |()| AppConfig::default()));
            fn_service(move |stream: TcpStream| {
                let peer = stream.peer_addr().ok();
                ready(Ok::<_, DispatchError>((TimedStream::new(stream, patience), Protocol::Http1, peer)))
            })
            .and_then(http)
        })?;
    }
    Ok(server.run())
}
