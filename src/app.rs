//! The composition root: the only place where adapters meet actors.

mod collection;
mod embeds;
mod keeper;
mod leaks;
mod services;
mod store;
mod tables;
mod traces;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tertulia_actors::domain::Memory;
use tertulia_actors::inbox::admission::Admissions;
use tertulia_actors::inbox::pressure::{Pressure, PressureLimits, Refusals};
use tertulia_actors::operations::Operations;
use tertulia_actors::pipeline::Pipeline;
use tertulia_actors::ports::store::Audit;
use tertulia_actors::ports::{
    Clock, Entropy, InboundChannel, KnowledgeBase, ReceiptSource, Store, StoreError,
};
use tertulia_actors::runtime::{ConversationCounter, Runtime, RuntimeParts};
use tertulia_actors::services::{Services, VectorsService};
use tertulia_actors::shard::ChannelsOut;
use tertulia_actors::supervision::FrontHandle;
use tertulia_actors::supervision::arbiter::within;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::Instant;

use collection::Collection;
use keeper::Keeper;
use services::{JOIN_WAIT, ServiceThread};
use traces::Tracing;

use crate::channels::whatsapp::WhatsappInbound;
use crate::config::{Config, VectorsBackend};
use crate::embedding::Model;
use crate::http::{HttpState, Parts, listen, run_server};
use crate::lock_file::{LockError, LockFile};
use crate::metrics::Metrics;
use crate::observer::{Looks, ObserverParts};
use crate::secret::Secret;
use crate::store::{OpenError, PreparedStore, RunningStore, SqliteStore, StoreDeps};
use crate::system::{Receipts, SystemClock, SystemEntropy};
use crate::traces::{SpanCounter, TracesError};
use crate::{embedding, knowledge, memory, shutdown};

/// Why the server did not start, or had to stop.
#[derive(Debug, Error)]
pub enum AppError {
    /// Another process has the database.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The knowledge base cannot be used.
    #[error("the knowledge base cannot be used: {0}")]
    Knowledge(#[from] knowledge::KnowledgeError),
    /// The model that embeds cannot be used.
    #[error("embedding: {0}")]
    Model(#[from] embedding::ModelError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The console's token cannot be kept.
    #[error("cannot keep the console's token in '{}': {source}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system offers no TLS.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// Nothing can be traced.
    #[error("traces: {0}")]
    Traces(#[from] TracesError),
    /// A thread did not come up.
    #[error("the {0} did not start")]
    Thread(&'static str),
    /// The HTTP server ended by itself.
    #[error("the http server ended: {0}")]
    Http(io::Error),
}

/// The largest webhook of WhatsApp. Source: WhatsApp Cloud API, webhooks, "Payload size".
const WHATSAPP_BODY_BYTES: usize = 3 * 1_024 * 1_024;

/// What the adapters share.
struct Ground {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    store: Arc<SqliteStore>,
}

/// Serves until a signal asks it to stop, then drains.
///
/// # Errors
/// When it cannot start, or the HTTP server ends by itself.
pub async fn serve(mut config: Config) -> Result<(), AppError> {
    let mut lock = LockFile::acquire(&config.storage.path)?;
    // Before anything begins: a start that cannot listen leaves no trace.
    let (listeners, address) = listen(&config.server).map_err(cannot_listen(&config))?;
    let mut prepared = SqliteStore::open(&config.storage)?;
    keep_console_token(&mut config, address)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::anchored_behind(prepared.last_tick()));
    let ground = Ground { clock, entropy: Arc::new(SystemEntropy), store: prepared.handle() };
    let receipts: Arc<dyn ReceiptSource> =
        Arc::new(Receipts::after(prepared.last_receipt_seq(), Arc::clone(&ground.clock)));
    prepare_knowledge(&config, &ground)?;
    let services = ServiceThread::start(&config, &ground).await?;
    let model = services::model(&config)?;
    let tracing = Tracing::start(&config, &ground)?;
    let served = (&services, model.as_ref(), &tracing);
    let parts = runtime_parts(&config, &ground, &mut prepared, served).await?;
    let probes = (parts.pipeline.services.clone(), parts.channels.clone());
    let (embedding, vectors) = (probes.0.embedding.clone(), probes.0.vectors.clone());
    let runtime = Runtime::start(parts, services.watched()).await.ok_or(AppError::Thread("shards"))?;
    let store = prepared.start(store_deps(&config, &ground), Box::new(runtime.tells()))?;
    // Only now does the end of the writer's thread mean anything.
    store::supervise(&ground.store, &services).await?;
    let knowledge = keep_knowledge(&config, &ground, (&services, model.as_ref()), &probes.0).await?;
    let (draining, is_draining) = watch::channel(false);
    let (admissions, ways) = way_in(&config, &ground, receipts);
    let looks = observe(&ground, &services, runtime.operations(), ways.clone()).await?;
    let metrics = metrics_text(&ground, runtime.counter(), ways, (looks.clone(), tracing.counter.clone()));
    let state = HttpState::new(Parts {
        admissions,
        store: ground.store.clone(),
        knowledge,
        examples: Arc::new(Keeper(ground.store.clone())),
        embedding,
        vectors,
        model: services::space(&config, model.as_ref()).map(|space| space.model),
        feeds: runtime.feeds(),
        operations: runtime.operations(),
        looks,
        whatsapp: whatsapp_inbound(&config),
        settings: Arc::new(config.http()),
        clock: Arc::clone(&ground.clock),
        entropy: Arc::clone(&ground.entropy),
        draining: is_draining,
        metrics,
        pipeline: Arc::new(config.pipeline.clone()),
        tables: tables::reader(&config),
        signed_out: ground.store.signed_out().await?,
    });
    let server = run_server(&state, &config.server, listeners).map_err(cannot_listen(&config))?;
    lock.say(Some(address))?;
    announce(&config, address);
    let (handle, mut server) = (server.handle(), actix_rt::spawn(server));
    let ended = tokio::select! {
        signal = shutdown::asked(|| hangup(&config, &probes)) => {
            tracing::info!(signal, "draining");
            None
        }
        ended = &mut server => Some(ended),
    };
    draining.send_replace(true);
    let deadline = Instant::now() + Duration::from_millis(config.server.drain_ms);
    if ended.is_none() {
        let _ = tokio::time::timeout_at(deadline - grace(&config), handle.stop(true)).await;
    }
    drain(runtime, services, (store, tracing), deadline).await;
    if let Some(ended) = ended {
        ended.unwrap_or_else(|join| Err(io::Error::other(join))).map_err(AppError::Http)?;
    }
    tracing::info!("drained");
    Ok(())
}

/// What it means that the address cannot be used.
fn cannot_listen(config: &Config) -> impl Fn(io::Error) -> AppError + use<> {
    let address = config.server.bind.clone();
    move |source| AppError::Listen { address: address.clone(), source }
}

/// Says where the server listens.
fn announce(config: &Config, address: SocketAddr) {
    tracing::info!(
        %address, shards = config.shards(),
        "listening; the chat page is at http://{address}/, the console at http://{address}/console/"
    );
}

/// What the store's threads need of the others.
fn store_deps(config: &Config, ground: &Ground) -> StoreDeps {
    StoreDeps {
        clock: Arc::clone(&ground.clock),
        entropy: Arc::clone(&ground.entropy),
        quiet: config.conversation.quiet(),
    }
}

/// Reads every secret again that stands in a file. Everybody who holds one sees it, and whatever is down because of one is
/// tried at once.
fn hangup(config: &Config, (services, channels): &(Services, ChannelsOut)) {
    for (key, secret) in config.secrets() {
        secret.refresh(key);
    }
    services.probe_now();
    channels.values().for_each(|channel| channel.front.probe_now());
}

/// The part of the drain that is left for turns and the store when requests do not end.
const fn grace(config: &Config) -> Duration {
    Duration::from_millis(config.server.drain_ms / 2)
}

async fn drain(
    runtime: Runtime,
    services: ServiceThread,
    (store, tracing): (RunningStore, Tracing),
    deadline: Instant,
) {
    runtime.drain(deadline - deadline.saturating_duration_since(Instant::now()) / 4).await;
    services.stop();
    let patience = JOIN_WAIT.max(deadline.saturating_duration_since(Instant::now()));
    if within(patience, move || store.shutdown()).is_none() {
        // What was acknowledged is on disk; what its threads are at was not.
        tracing::error!(
            "a thread of the store is frozen, and is left behind; the next start does what it has left"
        );
    }
    tracing.stop();
    leaks::report_threads();
}

/// What may come in, and where the process stands.
#[derive(Clone)]
struct Ways {
    limits: PressureLimits,
    memory: watch::Receiver<Memory>,
    refusals: Refusals,
}

/// The way in, and what it looks at.
fn way_in(config: &Config, ground: &Ground, receipts: Arc<dyn ReceiptSource>) -> (Admissions, Ways) {
    let memory = memory::watched();
    let limits = PressureLimits {
        backlog_max: config.inbox.backlog_max,
        memory_max_bytes: config.runtime.memory_max_bytes,
    };
    let pressure = Pressure::new(limits, ground.store.books(), memory.clone());
    let dedupe = Duration::from_secs(u64::from(config.inbox.dedupe_days) * 86_400);
    let refusals = pressure.refusals().clone();
    let admissions =
        Admissions::new(ground.store.clone(), Arc::clone(&ground.clock), receipts, dedupe, pressure);
    (admissions, Ways { limits, memory, refusals })
}

/// Who looks at how everything is.
async fn observe(
    ground: &Ground,
    services: &ServiceThread,
    operations: Operations,
    ways: Ways,
) -> Result<Looks, AppError> {
    let Ways { limits, memory, refusals } = ways;
    let (books, clock) = (ground.store.books(), Arc::clone(&ground.clock));
    let parts = ObserverParts { operations, books, memory, refusals, limits, clock };
    Looks::start(&services.monitor(), &services.root, parts).await.ok_or(AppError::Thread("observer"))
}

/// The text of `/metrics`; the live conversations in it are counted once a second.
fn metrics_text(
    ground: &Ground,
    counter: ConversationCounter,
    Ways { memory, refusals, .. }: Ways,
    (looks, spans): (Looks, SpanCounter),
) -> crate::http::MetricsText {
    let (counted, conversations) = watch::channel(0);
    actix_rt::spawn(async move {
        while counted.receiver_count() > 0 {
            counted.send_replace(counter.count().await);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let metrics = Metrics::new(ground.store.clone(), conversations, memory, refusals, looks, spans);
    Arc::new(move || metrics.text())
}

/// Makes the console's token at first start, keeps it beside the database, and prints a link with it: now, since a start that fails
/// later is no other first one.
fn keep_console_token(config: &mut Config, address: SocketAddr) -> Result<(), AppError> {
    if !config.console.token.is_empty() {
        return Ok(());
    }
    let path = token_path(&config.storage.path);
    let fail = |source| AppError::Token { path: path.clone(), source };
    let token = match std::fs::read_to_string(&path) {
        Ok(token) if !token.trim().is_empty() => token.trim().to_owned(),
        _ => {
            // Two UUIDv4: 244 bits of the system's generator.
            let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
            let mut options = std::fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(fail)?;
            file.write_all(token.as_bytes()).map_err(fail)?;
            tracing::info!(path = %path.display(), "made a token for the console and kept it in this file");
            print_console_link(&token, address);
            token
        }
    };
    config.console.token = Secret::new(token);
    config.console.token.follow(path);
    Ok(())
}

/// Prints, once, a link that opens the console. The token stands behind the hash, which no browser sends to anybody; and on standard
/// output, where no log goes. Nobody may read it: then the file has the token.
fn print_console_link(token: &str, address: SocketAddr) {
    let mut reachable = address;
    if reachable.ip().is_unspecified() {
        reachable.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let _ = writeln!(
        io::stdout().lock(),
        "The console, for you alone: http://{reachable}/console/#token={token}"
    );
}

/// Where the console's token is kept when the configuration has none.
#[must_use]
pub fn token_path(database: &Path) -> PathBuf {
    database.with_file_name("console.token")
}

/// Brings the search index up to date, and loads the sample into a new database, saying so. A knowledge base elsewhere is left as
/// it is.
fn prepare_knowledge(config: &Config, ground: &Ground) -> Result<(), AppError> {
    if config.vectors.backend == VectorsBackend::Chroma {
        return Ok(());
    }
    let conn = rusqlite::Connection::open(&config.storage.path).map_err(OpenError::from)?;
    let reindexed = knowledge::entries::reindex_if_outdated(&conn)?;
    if reindexed > 0 {
        tracing::info!(entries = reindexed, "made the search index of the knowledge base anew");
    }
    if !config.knowledge.sample {
        return Ok(());
    }
    let loaded = knowledge::entries::load_sample_once(&conn, ground.clock.now())?;
    if loaded > 0 {
        tracing::info!(
            entries = loaded,
            "the knowledge base was empty: loaded the sample of a water-delivery shop (knowledge.sample = false leaves it empty)"
        );
    }
    Ok(())
}

/// The knowledge base: a collection elsewhere behind its front, or that behind the store, with the vectors of its entries kept up
/// to date where there is a model.
async fn keep_knowledge(
    config: &Config,
    ground: &Ground,
    (services, model): (&ServiceThread, Option<&Arc<Model>>),
    fronts: &Services,
) -> Result<Arc<dyn KnowledgeBase>, AppError> {
    let (embedding, vectors) = (fronts.embedding.clone(), fronts.vectors.clone());
    if config.vectors.backend == VectorsBackend::Chroma
        && let Some(embedding) = embedding
    {
        actix_rt::spawn(tell_collection(vectors.clone()));
        return Ok(Arc::new(Collection { vectors, embedding, document: config.vectors.chroma.document }));
    }
    let keeper = Arc::new(Keeper(ground.store.clone()));
    services::start_indexer(config, (services, model), embedding, keeper.clone()).await?;
    Ok(keeper)
}

/// Tells at the start whether the collection can be used, and why not; it may be there later.
async fn tell_collection(vectors: FrontHandle<VectorsService>) {
    match vectors.count().await {
        Ok(entries) => tracing::info!(entries, "the knowledge base is a collection of chroma"),
        Err(error) => {
            tracing::warn!(%error, "the knowledge base is a collection of chroma, which cannot be used yet");
        }
    }
}

async fn runtime_parts(
    config: &Config,
    ground: &Ground,
    prepared: &mut PreparedStore,
    (services, model, tracing): (&ServiceThread, Option<&Arc<Model>>, &Tracing),
) -> Result<RuntimeParts, AppError> {
    let hold = Duration::from_millis(config.outbox.ambiguous_hold_ms);
    let takeover = prepared.take_over(ground.clock.tick(), hold)?;
    tracing::info!(
        epoch = takeover.epoch.0,
        interrupted_turns = takeover.interrupted_turns,
        ambiguous_parts = takeover.ambiguous_parts,
        "took the database over"
    );
    let store: Arc<dyn Store> = ground.store.clone();
    let mut pipeline_settings = config.pipeline.clone();
    if config.query.llm.base_url.is_empty() {
        // Without a model nobody reads the history.
        pipeline_settings.history_messages = 0;
    }
    let pipeline = Pipeline {
        services: services::start_services(config, services, model).await?,
        store: ground.store.clone(),
        settings: Arc::new(pipeline_settings),
        routes: Arc::new(config.routes.clone()),
        phrases: Arc::new(config.phrases()),
        class_wait: config.classifier.class_wait(),
    };
    Ok(RuntimeParts {
        store,
        clock: Arc::clone(&ground.clock),
        entropy: Arc::clone(&ground.entropy),
        epoch: takeover.epoch,
        conversation: config.conversation.clone(),
        turns: config.turns.clone(),
        outbox: config.outbox.clone(),
        sweep: config.sweep.clone(),
        pipeline,
        channels: services::start_channels(config, services).await?,
        shards: config.shards(),
        live_max: config.runtime.live_max,
        root: services.root.clone(),
        tracer: tracing.tracer(),
    })
}

fn whatsapp_inbound(config: &Config) -> Option<Arc<dyn InboundChannel>> {
    let whatsapp = &config.channels.whatsapp;
    if !whatsapp.enabled {
        return None;
    }
    if config.server.body_limit_bytes < WHATSAPP_BODY_BYTES {
        tracing::warn!(
            limit = config.server.body_limit_bytes,
            "server.body_limit_bytes is less than the 3 MB that whatsapp's webhooks may have: large ones get 413"
        );
    }
    if whatsapp.verify_token.is_empty() || whatsapp.access_token.is_empty() {
        tracing::warn!(
            "whatsapp is enabled without a verify_token or access_token: handshakes or replies will fail"
        );
    }
    Some(Arc::new(WhatsappInbound::new(&whatsapp.verify_token, &whatsapp.app_secret)))
}
