//! The thread of the fronts: every service and channel behind its supervisor.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::Context;
use actix_rt::{Arbiter, ArbiterHandle};
use futures_util::TryFutureExt;
use tertulia_actors::domain::Channel;
use tertulia_actors::indexer::{Indexer, IndexerParts};
use tertulia_actors::ports::{Embeddable, Embedder, EntryVectors, OutboundChannel, PortFuture, QueryService};
use tertulia_actors::services::{
    ChannelService, ClassifierService, EmbeddingService, Engine, QueryFrontService, Services, VectorsService,
};
use tertulia_actors::settings::{BatchSettings, FrontSettings, SupervisionSettings};
use tertulia_actors::shard::{ChannelOut, ChannelsOut};
use tertulia_actors::supervision::arbiter::{arbiter, start_on, stop};
use tertulia_actors::supervision::policy::Strategy;
use tertulia_actors::supervision::root::Root;
use tertulia_actors::supervision::supervised::Keeper;
use tertulia_actors::supervision::watchdog::Watched;
use tertulia_actors::supervision::{Crew, Front, FrontHandle, Service, Threads};

use super::{AppError, Ground, embeds};
use crate::channels::whatsapp::WhatsappOutbound;
use crate::config::{Config, EmbeddingBackend, VectorsBackend};
use crate::embedding::{Model, ModelEmbedder, OpenAiEmbedder};
use crate::knowledge::chroma::ChromaVectors;
use crate::knowledge::classify::trainer::EmbedBy;
use crate::knowledge::vectors::VectorSpace;
use crate::knowledge::{HashedEmbedder, LiveClassifier, SqliteVectors, Trainer, TrainerParts};
use crate::llm::{OpenAiQuery, StoredQuery};

/// Two threads: one for the fronts, one for the monitor, so that whoever asks how things are gets an answer whatever holds
/// the other.
pub(super) struct ServiceThread {
    pub(super) root: Root,
    fronts: Arbiter,
    monitor: Arbiter,
}

impl ServiceThread {
    /// Starts both threads and the monitor.
    pub(super) async fn start(config: &Config, ground: &Ground) -> Result<Self, AppError> {
        let (fronts, monitor) = (arbiter(), arbiter());
        let (clock, entropy) = (Arc::clone(&ground.clock), Arc::clone(&ground.entropy));
        let limits = config.supervision.clone();
        let root = Root::start(&monitor.handle(), clock, entropy, limits, Arc::new(end_process)).await;
        let root = root.ok_or(AppError::Thread("monitor"))?;
        Ok(Self { root, fronts, monitor })
    }

    /// The threads, to be watched.
    pub(super) fn watched(&self) -> Vec<Watched> {
        let watched = |path, arbiter: &Arbiter, has_no_place| Watched {
            reporter: self.root.reporter(path),
            arbiter: arbiter.handle(),
            has_no_place,
        };
        vec![watched("services", &self.fronts, true), watched("monitor", &self.monitor, false)]
    }

    /// The thread of the fronts.
    pub(super) fn fronts(&self) -> ArbiterHandle {
        self.fronts.handle()
    }

    /// The thread of the monitor.
    pub(super) fn monitor(&self) -> ArbiterHandle {
        self.monitor.handle()
    }

    /// Ends both.
    pub(super) fn stop(self) {
        if !stop(vec![self.fronts, self.monitor], JOIN_WAIT) {
            tracing::error!("the thread of the services is frozen, and is left behind");
        }
    }

    /// Puts the front of what `make` makes, on the thread of the fronts, at a place of the tree.
    async fn front<S: Service>(
        &self,
        path: String,
        settings: FrontSettings,
        make: impl Fn(&Rc<Keeper>, &SupervisionSettings) -> S + Send + 'static,
    ) -> Result<FrontHandle<S>, AppError> {
        let (root, fronts) = (self.root.clone(), self.fronts());
        let front = start_on(&fronts, move || {
            let keeper = root.keeper(&path, Strategy::MarkDown);
            let (limits, above) = (root.settings().clone(), Rc::clone(&keeper));
            Front::start_with(move || make(&above, &limits), settings, root.settings(), &keeper)
        });
        front.await.ok_or(AppError::Thread("services"))
    }
}

/// How long the threads may take to end.
pub(super) const JOIN_WAIT: Duration = Duration::from_secs(1);

/// How long the last line of the log may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Ends the process at once: what keeps conversations going is broken, and only a new process mends that. Nothing is lost:
/// it is as if it had been killed.
fn end_process(why: &str) {
    let (told, is_told) = std::sync::mpsc::channel();
    let why = why.to_owned();
    // What holds a thread may hold the log as well: that must not keep the process.
    let last_words = std::thread::Builder::new().name("last-words".into()).spawn(move || {
        tracing::error!(why, "the process ends, to be started again by its manager");
        // Nobody waits any longer.
        let _ = told.send(());
    });
    // Told or not, it ends; at once where the system gives no thread to tell it.
    if last_words.is_ok() {
        let _ = is_told.recv_timeout(LAST_WORDS);
    }
    std::process::exit(1);
}

pub(super) async fn start_services(
    config: &Config,
    services: &ServiceThread,
    model: Option<&Arc<Model>>,
) -> Result<Services, AppError> {
    let query = query_service(config)?;
    let query = move |_: &Rc<Keeper>, _: &SupervisionSettings| QueryFrontService(Arc::clone(&query));
    let embedding = embedding(config, services, model).await?;
    let embed = embeds::of_examples(config, model, embedding.clone().map(|front| (front, services.fronts())));
    Ok(Services {
        embedding,
        vectors: vectors(config, services, model).await?,
        needs_vectors: config.vectors.backend == VectorsBackend::Chroma,
        classifier: classifier(config, services, embed).await?,
        query: services.front("services/query".into(), config.query.front.0, query).await?,
    })
}

/// The model that embeds here, if one is configured.
pub(super) fn model(config: &Config) -> Result<Option<Arc<Model>>, AppError> {
    let section = &config.embedding;
    if section.backend != EmbeddingBackend::Model {
        return Ok(None);
    }
    let model = Model::load(&section.model_folder(), &section.prefixes())?;
    tracing::info!(model = section.model, fingerprint = model.fingerprint(), "read the model that embeds");
    Ok(Some(Arc::new(model)))
}

async fn embedding(
    config: &Config,
    services: &ServiceThread,
    model: Option<&Arc<Model>>,
) -> Result<Option<FrontHandle<EmbeddingService>>, AppError> {
    match (config.embedding.backend, model.cloned()) {
        (EmbeddingBackend::Hashed, _) => embedding_by(config, services, || HashedEmbedder).await,
        (_, Some(model)) => embedding_by(config, services, move || ModelEmbedder::new(&model)).await,
        (EmbeddingBackend::Openai, _) => embedding_elsewhere(config, services).await.map(Some),
        (_, None) => Ok(None),
    }
}

/// Calls of an endpoint that embeds under way at the same time.
const CALLS_MAX: usize = 4;

/// The front of an endpoint that embeds.
async fn embedding_elsewhere(
    config: &Config,
    services: &ServiceThread,
) -> Result<FrontHandle<EmbeddingService>, AppError> {
    let section = &config.embedding;
    let client = crate::channels::client(section.endpoint.connect_timeout())?;
    let embedder = OpenAiEmbedder::new(client, section.endpoint.clone());
    let (batches, prefixes) =
        (BatchSettings { batches_max: CALLS_MAX, ..section.batches() }, section.prefixes());
    let make = move |_: &Rc<Keeper>, _: &SupervisionSettings| {
        let (asked, refreshed, prefixes) = (embedder.clone(), embedder.clone(), prefixes.clone());
        let ask = move |texts: Vec<Embeddable>| -> PortFuture<_, _> {
            let prefixed = |one: &Embeddable| format!("{}{}", prefixes.of(one.role), one.text);
            let vectors = asked.embed(texts.iter().map(prefixed).collect());
            Box::pin(vectors.map_ok(|vectors| vectors.into_iter().map(Some).collect()))
        };
        EmbeddingService::start(Engine::port_with_secrets(ask, move || refreshed.refresh()), batches)
    };
    services.front("services/embedding".into(), section.front_settings(), make).await
}

/// The vectors of the configured model; none where there is no model.
pub(super) fn space(config: &Config, model: Option<&Arc<Model>>) -> Option<VectorSpace> {
    match config.embedding.backend {
        EmbeddingBackend::Model => model
            .map(|model| VectorSpace { model: model.fingerprint().to_owned(), unrelated: model.unrelated() }),
        EmbeddingBackend::Openai => Some(VectorSpace {
            model: config.embedding.endpoint_name(),
            unrelated: config.embedding.endpoint.unrelated_cosine,
        }),
        EmbeddingBackend::None | EmbeddingBackend::Hashed => None,
    }
}

/// The front of threads that embed, each by what `make` makes.
async fn embedding_by<C: Embedder>(
    config: &Config,
    services: &ServiceThread,
    make: impl Fn() -> C + Clone + Send + Sync + 'static,
) -> Result<Option<FrontHandle<EmbeddingService>>, AppError> {
    let section = &config.embedding;
    let (batches, crew) = (section.batches(), Crew::of(section.threads));
    let make = move |keeper: &Rc<Keeper>, limits: &SupervisionSettings| {
        let engine = Engine::Threads(Threads::start(keeper, limits, &crew, make.clone()));
        EmbeddingService::start(engine, batches)
    };
    services.front("services/embedding".into(), section.front_settings(), make).await.map(Some)
}

/// Keeps the vectors of all entries up to date, where there is a model.
pub(super) async fn start_indexer(
    config: &Config,
    (services, model): (&ServiceThread, Option<&Arc<Model>>),
    embedding: Option<FrontHandle<EmbeddingService>>,
    knowledge: Arc<dyn EntryVectors>,
) -> Result<(), AppError> {
    let Some((embedding, VectorSpace { model, .. })) = embedding.zip(space(config, model)) else {
        return Ok(());
    };
    let root = services.root.clone();
    let fronts = services.fronts();
    let started = start_on(&fronts, move || {
        let keeper = root.keeper("services/indexer", Strategy::KeepTrying);
        let parts = IndexerParts { knowledge, embedding, model, keeper: Rc::clone(&keeper) };
        keeper.run(Context::new(), Indexer::new(Rc::new(parts)));
    });
    started.await.ok_or(AppError::Thread("indexer"))
}

async fn vectors(
    config: &Config,
    services: &ServiceThread,
    model: Option<&Arc<Model>>,
) -> Result<FrontHandle<VectorsService>, AppError> {
    let section = &config.vectors;
    if section.backend == VectorsBackend::Chroma {
        return vectors_elsewhere(config, services, model).await;
    }
    let (path, space, exact_max) = (config.storage.path.clone(), space(config, model), section.exact_max);
    let crew = Crew::of(section.threads);
    let make = move |keeper: &Rc<Keeper>, limits: &SupervisionSettings| {
        let (path, space) = (path.clone(), space.clone());
        let make = move || SqliteVectors::new(&path, space.clone()).exact_max(exact_max).warmed();
        VectorsService(Engine::Threads(Threads::start(keeper, limits, &crew, make)))
    };
    services.front("services/vectors".into(), section.front_settings(), make).await
}

/// The front of a collection elsewhere.
async fn vectors_elsewhere(
    config: &Config,
    services: &ServiceThread,
    model: Option<&Arc<Model>>,
) -> Result<FrontHandle<VectorsService>, AppError> {
    let section = &config.vectors;
    let client = crate::channels::client(section.chroma.connect_timeout())?;
    let unrelated = space(config, model).map_or(0.0, |space| space.unrelated);
    let vectors = ChromaVectors::new(client, section.chroma.clone(), &config.pipeline.languages, unrelated);
    let make = move |_: &Rc<Keeper>, _: &SupervisionSettings| {
        let (asked, refreshed) = (vectors.clone(), vectors.clone());
        VectorsService(Engine::port_with_secrets(
            move |request| asked.ask(request),
            move || refreshed.refresh(),
        ))
    };
    services.front("services/vectors".into(), section.front_settings(), make).await
}

async fn classifier(
    config: &Config,
    services: &ServiceThread,
    embed: EmbedBy,
) -> Result<FrontHandle<ClassifierService>, AppError> {
    let section = &config.classifier;
    let (threads, crew) = (section.threads, Crew::of(section.threads));
    let parts = TrainerParts {
        path: config.storage.path.clone(),
        languages: config.pipeline.languages.clone(),
        extra: section.examples.clone(),
        embed,
    };
    // Once, and before any thread is watched: a large model takes some seconds for the examples.
    let trainer = Trainer::start(parts).map_err(|_| AppError::Thread("trainer"))?;
    let make = move |keeper: &Rc<Keeper>, limits: &SupervisionSettings| {
        let trainer = trainer.clone();
        let make = move || LiveClassifier::new(trainer.clone());
        ClassifierService(Engine::Threads(Threads::start(keeper, limits, &crew, make)))
    };
    services.front("services/classifier".into(), section.front.over(threads), make).await
}

fn query_service(config: &Config) -> Result<Arc<dyn QueryService>, AppError> {
    let llm = &config.query.llm;
    if llm.base_url.is_empty() {
        return Ok(Arc::new(StoredQuery::new(config.query.stored_score_min)));
    }
    let client = crate::channels::client(llm.connect_timeout())?;
    Ok(Arc::new(OpenAiQuery::new(client, llm.clone())))
}

pub(super) async fn start_channels(
    config: &Config,
    services: &ServiceThread,
) -> Result<ChannelsOut, AppError> {
    let mut channels = ChannelsOut::new();
    let whatsapp = &config.channels.whatsapp;
    if whatsapp.enabled {
        let client = crate::channels::client(whatsapp.connect_timeout())?;
        let port: Arc<dyn OutboundChannel> = Arc::new(WhatsappOutbound::new(client, whatsapp));
        let sends = Arc::clone(&port);
        let make = move |_: &Rc<Keeper>, _: &SupervisionSettings| ChannelService(Arc::clone(&sends));
        let path = format!("channels/{}", Channel::Whatsapp);
        let front = services.front(path, config.channels.front.0, make).await?;
        channels.insert(Channel::Whatsapp, ChannelOut { front, port });
    }
    Ok(channels)
}
