//! The HTTP layer against a store in memory.

mod access;
mod classifier;
mod conformity;
mod console;
mod fake_console;
mod fake_store;
mod knowledge;
mod messages;
mod openapi;
mod operations;
mod stream;
mod supervision;
mod webhooks;

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix::Actor;
use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service};
use serde_json::Value;
use tertulia_actors::domain::{Books, Entry, Hit, Language, Memory, Receipt, Tick, Timestamp};
use tertulia_actors::feed::{Feed, Feeds};
use tertulia_actors::inbox::admission::Admissions;
use tertulia_actors::inbox::pressure::{Pressure, PressureLimits};
use tertulia_actors::operations::Operations;
use tertulia_actors::ports::{Clock, Entropy, ReceiptSource};
use tertulia_actors::supervision::monitor::Monitor;
use tertulia_actors::testkit::{silent_keeper, vectors};
use tokio::sync::watch;
use uuid::Uuid;

use super::server::app;
use super::*;
use crate::channels::whatsapp::WhatsappInbound;
use crate::observer::{Look, Looks};
use fake_store::FakeStore;

const APP_SECRET: &str = "app secret";
const API_TOKEN: &str = "api token";
const CONSOLE_TOKEN: &str = "console token";

/// What may wait in a test.
const BACKLOG_MAX: u64 = 100;
/// What memory the process may have in a test.
const MEMORY_MAX: u64 = 1_000_000;

/// Time and ids of a test.
#[derive(Default)]
struct World(AtomicI64);

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    fn tick(&self) -> Tick {
        Tick(0)
    }
}

impl ReceiptSource for World {
    fn receipt(&self) -> Receipt {
        Receipt { at: self.now(), tick: self.tick(), seq: self.0.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Entropy for World {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).unsigned_abs().into())
    }

    fn fraction(&self) -> f64 {
        0.5
    }
}

/// An application over a store in memory.
struct TestApp {
    state: HttpState,
    store: Arc<FakeStore>,
    feed: actix::Addr<Feed>,
    monitor: actix::Addr<Monitor>,
    draining: watch::Sender<bool>,
    books: watch::Sender<Books>,
    memory: watch::Sender<Memory>,
}

impl TestApp {
    /// With no token, as a newcomer starts it.
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// With both tokens.
    fn with_tokens() -> Self {
        Self::with(|settings| {
            settings.api.token = API_TOKEN.into();
            settings.console.token = CONSOLE_TOKEN.into();
        })
    }

    fn with(change: impl FnOnce(&mut HttpSettings)) -> Self {
        let mut settings = HttpSettings::default();
        change(&mut settings);
        let (store, world) = (Arc::new(FakeStore::default()), Arc::new(World::default()));
        let hit = Hit::new(Entry::new("e", Language::ENGLISH, "q", "a"), 0.5);
        let feed = Feed::new(silent_keeper("feed")).start();
        let monitor = supervision::start_monitor(&world);
        let (draining, drains) = watch::channel(false);
        let dedupe = Duration::from_secs(30 * 86_400);
        let ((books, counted), (memory, measured)) =
            (watch::channel(Books::default()), watch::channel(Memory::default()));
        let limits = PressureLimits { backlog_max: BACKLOG_MAX, memory_max_bytes: MEMORY_MAX };
        let pressure = Pressure::new(limits, counted, measured);
        let state = HttpState::new(Parts {
            admissions: Admissions::new(store.clone(), world.clone(), world.clone(), dedupe, pressure),
            signed_out: vec![],
            store: store.clone(),
            knowledge: store.clone(),
            examples: store.clone(),
            vectors: vectors(Ok(vec![hit])),
            embedding: None,
            model: Some("current".into()),
            feeds: Feeds::new(vec![feed.clone()]),
            operations: Operations::new(monitor.clone(), vec![]),
            looks: Looks::still(Look::default()),
            whatsapp: Some(Arc::new(WhatsappInbound::new(&"verify me".into(), &APP_SECRET.into()))),
            settings: Arc::new(settings),
            clock: world.clone(),
            entropy: world,
            draining: drains,
            metrics: Arc::new(|| "tertulia_up 1\n# EOF\n".to_owned()),
            pipeline: Arc::default(),
            tables: Arc::new(|name, _| Err(format!("no table: {name}"))),
        });
        Self { state, store, feed, monitor, draining, books, memory }
    }

    /// The answer to one request, its body not yet read.
    async fn answer(&self, request: TestRequest) -> ServiceResponse<BoxBody> {
        let service = init_service(app(self.state.clone())).await;
        call_service(&service, request.to_request()).await.map_into_boxed_body()
    }

    /// Status, body and headers. They must be as the description of the interface says.
    #[track_caller]
    fn call(&self, request: TestRequest) -> impl Future<Output = Answer> {
        let caller = Location::caller();
        self.call_for(request, caller)
    }

    async fn call_for(&self, request: TestRequest, caller: &Location<'_>) -> Answer {
        let response = self.answer(request).await;
        let asked = response.request();
        let (method, pattern) = (asked.method().to_string(), asked.match_pattern());
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body()).await.unwrap();
        let answer = Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() };
        let misfits = conformity::misfits_of(&answer, &method, pattern.as_deref());
        assert!(misfits.is_empty(), "{caller}: {misfits:#?}");
        answer
    }

    /// How many admissions were refused for a reason.
    fn refused(&self, reason: &str) -> u64 {
        let mut counts = self.state.admissions.refusals().counts();
        counts.find(|(name, _)| *name == reason).unwrap().1
    }

    /// The cookie of a new visitor.
    async fn visit(&self) -> String {
        let answer = self.call(get("/")).await;
        let cookie = answer.header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

struct Answer {
    status: StatusCode,
    headers: actix_web::http::header::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Asserts that this is a problem document with a status and a code.
    #[track_caller]
    fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status.as_u16(), self.json()["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let document = self.json();
        assert_eq!(document["status"], status);
        assert!(document["title"].is_string() && document["detail"].is_string(), "{document}");
    }
}

fn get(uri: &str) -> TestRequest {
    TestRequest::get().uri(uri)
}

fn post(uri: &str, body: &Value) -> TestRequest {
    let request = TestRequest::post().uri(uri).insert_header(("content-type", "application/json"));
    request.set_payload(body.to_string())
}

fn bearer(request: TestRequest, token: &str) -> TestRequest {
    request.insert_header(("authorization", format!("Bearer {token}")))
}

fn cookie(request: TestRequest, cookie: &str) -> TestRequest {
    request.insert_header(("cookie", cookie))
}

/// Whether a body of a stream is still open is told by its size.
fn is_stream(body: &impl MessageBody) -> bool {
    matches!(body.size(), actix_web::body::BodySize::Stream)
}
