//! An endpoint of tests, and what every caller of endpoints relies on.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use super::*;

/// An endpoint on a port of its own that gives one canned response and keeps what it was sent.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// The path, the header of authorization and the body of each call.
    pub(crate) calls: Receiver<(String, Option<String>, Value)>,
    pub(crate) server: ServerHandle,
}

pub(crate) type Respond = fn() -> HttpResponse;

impl Endpoint {
    pub(crate) fn start(respond: Respond) -> Self {
        let (sender, calls) = channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = move || {
            let sender: Sender<_> = sender.clone();
            App::new().default_service(web::to(move |request: HttpRequest, body: web::Bytes| {
                let key = request.headers().get("authorization").map(|key| key.to_str().unwrap().to_owned());
                let body = serde_json::from_slice(&body).unwrap();
                sender.send((request.path().to_owned(), key, body)).unwrap();
                async move { respond() }
            }))
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, calls, server: handle }
    }

    /// Its address as the configuration has it.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1/", self.address)
    }
}

/// A client that goes through no proxy.
pub(crate) fn client() -> Client {
    // The crate's rustls feature leaves the choice of a provider to the program; a second choice changes nothing.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().no_proxy().build().unwrap()
}

#[actix_web::test]
async fn without_a_key_there_is_no_header_of_authorization() {
    let endpoint = Endpoint::start(|| HttpResponse::Ok().body("fine"));
    for (key, expected) in [("", None), ("k3y", Some("Bearer k3y"))] {
        let call = Call {
            client: &client(),
            url: &endpoint.base_url(),
            api_key: &key.into(),
            key_header: &AUTHORIZATION,
            timeout: Duration::from_secs(5),
            response_limit_bytes: 4,
        };
        assert_eq!(call.post(&json!({"a": 1})).await.unwrap(), b"fine");
        let (_, shown, body) = endpoint.calls.try_recv().unwrap();
        assert_eq!((shown.as_deref(), body), (expected, json!({"a": 1})));
    }
    endpoint.server.stop(false).await;
}
