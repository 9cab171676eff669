//! The configuration: a file, overridden by the environment, overridden by flags.

mod check;
mod front;
mod load;
mod ranges;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tertulia_actors::domain::Class;
use tertulia_actors::settings::{
    BatchSettings, ConversationSettings, FrontSettings, OutboxSettings, Phrases, PipelineSettings, Routes,
    SupervisionSettings, SweepSettings, TurnSettings,
};

pub use check::check_chroma;
pub use front::{Front, ThreadsFront};
pub use load::{ConfigError, Sources, load};

use crate::channels::whatsapp::WhatsappSettings;
use crate::embedding::fetch::{DEFAULT_MODEL, MODELS_FOLDER};
use crate::embedding::{EndpointSettings, Prefixes};
use crate::http::{ApiSettings, ConsoleSettings, HandoffSettings, HttpSettings, ServerSettings, WebSettings};
use crate::knowledge::chroma::ChromaSettings;
use crate::llm::LlmSettings;
use crate::secret::Secret;
use crate::store::StoreSettings;
use crate::telemetry::LogSettings;
use crate::traces::TraceSettings;

/// Everything that can be configured. An unknown key is an error.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerSettings,
    /// The database.
    pub storage: StoreSettings,
    /// What may wait, and what is kept of messages that have ended.
    pub inbox: InboxSettings,
    /// How messages are gathered.
    pub conversation: ConversationSettings,
    /// How turns are run and rerun.
    pub turns: TurnSettings,
    /// Thresholds and lists of the pipeline.
    pub pipeline: PipelineSettings,
    /// The way of each class.
    pub routes: Routes,
    /// Phrases that replace the built-in ones, by name and language.
    pub phrases: Phrases,
    /// How parts of replies are sent.
    pub outbox: OutboxSettings,
    /// How lost hints are found.
    pub sweep: SweepSettings,
    /// How what fails is started anew, and when it is given up.
    pub supervision: SupervisionSettings,
    /// The channels.
    pub channels: Channels,
    /// The query service.
    pub query: QuerySection,
    /// Texts to vectors.
    pub embedding: EmbeddingSection,
    /// Search in the knowledge base.
    pub vectors: VectorsSection,
    /// Class and language.
    pub classifier: ClassifierSection,
    /// The knowledge base.
    pub knowledge: KnowledgeSection,
    /// The people who supervise.
    pub console: ConsoleSettings,
    /// People who answer in the place of the bot.
    pub handoff: HandoffSettings,
    /// The actors' threads.
    pub runtime: RuntimeSection,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Where turns are traced.
    pub traces: TraceSettings,
}

/// What may wait, and what is kept of messages that have ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InboxSettings {
    /// A message that was written longer ago is stored and not answered, since whether it was seen is not known any more.
    pub dedupe_days: u32,
    /// Messages that wait or are in a turn; a webhook that brings more is refused as overload.
    pub backlog_max: u64,
}

impl Default for InboxSettings {
    fn default() -> Self {
        Self { dedupe_days: 30, backlog_max: 1_000_000 }
    }
}

/// The channels.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Channels {
    /// The chat page.
    pub web: WebSettings,
    /// The JSON channel of programs.
    pub api: ApiSettings,
    /// WhatsApp through Meta's Cloud API.
    pub whatsapp: WhatsappSettings,
    /// The front of the channels that send.
    pub front: ChannelFront,
}

/// The front of the channels that send. Its deadline lies above a channel's own, which knows better how a send ended.
pub type ChannelFront = Front<512, 60_000>;
/// The front of the query service. Its deadline lies above a model's own.
pub type QueryFront = Front<256, 120_000>;

/// The query service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuerySection {
    /// A language model behind an OpenAI-compatible interface.
    pub llm: LlmSettings,
    /// Without a model, the best passage's answer is given from this score on, 0 to 1; below, a person is asked for.
    pub stored_score_min: f32,
    /// The service's front.
    pub front: QueryFront,
}

impl Default for QuerySection {
    fn default() -> Self {
        Self { llm: LlmSettings::default(), stored_score_min: 0.5, front: QueryFront::default() }
    }
}

/// Texts to vectors.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddingSection {
    /// How texts are embedded.
    pub backend: EmbeddingBackend,
    /// The folder of models.
    pub models: PathBuf,
    /// The name of the model: that of its folder within `models`.
    pub model: String,
    /// What is put before what a person says, for a model whose files do not say it.
    pub query_prefix: String,
    /// What is put before a text that is looked for, for a model whose files do not say it.
    pub passage_prefix: String,
    /// An endpoint elsewhere.
    pub endpoint: EndpointSettings,
    /// Threads that embed, a batch each.
    pub threads: usize,
    /// Texts of a batch at the most.
    pub batch_texts_max: usize,
    /// Characters of a batch at the most, which bounds its tokens.
    pub batch_chars_max: usize,
    /// How long the first text of a batch waits for others.
    pub batch_wait_ms: u64,
    /// Texts whose vectors are remembered.
    pub cache_max: usize,
    /// The service's front.
    pub front: ThreadsFront,
}

impl Default for EmbeddingSection {
    fn default() -> Self {
        Self {
            backend: EmbeddingBackend::default(),
            models: MODELS_FOLDER.into(),
            model: DEFAULT_MODEL.into(),
            query_prefix: String::new(),
            passage_prefix: String::new(),
            endpoint: EndpointSettings::default(),
            threads: 1,
            batch_texts_max: 32,
            batch_chars_max: 8_192,
            batch_wait_ms: 1,
            cache_max: 4_096,
            front: ThreadsFront::default(),
        }
    }
}

impl EmbeddingSection {
    /// Where the model's files are.
    #[must_use]
    pub fn model_folder(&self) -> PathBuf {
        self.models.join(&self.model)
    }

    /// What tells the vectors of the endpoint's model from those of others: a hash of all that they depend on.
    #[must_use]
    pub fn endpoint_name(&self) -> String {
        let Self { endpoint, query_prefix, passage_prefix, .. } = self;
        let EndpointSettings { base_url, model, dimensions, .. } = endpoint;
        let told = format!("{base_url}\n{model}\n{dimensions:?}\n{query_prefix}\n{passage_prefix}");
        Sha256::digest(told).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What is put before texts by their roles, for a model whose files do not say it.
    #[must_use]
    pub fn prefixes(&self) -> Prefixes {
        Prefixes { query: self.query_prefix.clone(), passage: self.passage_prefix.clone() }
    }

    /// How texts are gathered.
    #[must_use]
    pub const fn batches(&self) -> BatchSettings {
        BatchSettings {
            texts_max: self.batch_texts_max,
            chars_max: self.batch_chars_max,
            wait: Duration::from_millis(self.batch_wait_ms),
            batches_max: self.threads,
            cache_max: self.cache_max,
        }
    }

    /// The limits of the front: as many calls are under way as fill the batches of all threads, and those that gather
    /// meanwhile.
    #[must_use]
    pub const fn front_settings(&self) -> FrontSettings {
        self.front.over(self.batch_texts_max.saturating_mul(self.threads.saturating_add(1)))
    }
}

/// How texts are embedded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingBackend {
    /// Not at all: neither the search nor the classifier that is built in reads a vector.
    #[default]
    None,
    /// Words and parts of words, hashed; needs no model.
    Hashed,
    /// By a sentence-transformers model that runs here.
    Model,
    /// By a model behind an OpenAI-compatible endpoint.
    Openai,
}

/// Search in the knowledge base.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VectorsSection {
    /// Where it is searched.
    pub backend: VectorsBackend,
    /// Threads that search.
    pub threads: usize,
    /// Vectors that are compared one by one at the most. Beyond, a build with the feature `usearch` finds most of the nearest by a
    /// graph.
    pub exact_max: usize,
    /// The service's front.
    pub front: ThreadsFront,
    /// A collection of a Chroma server.
    pub chroma: ChromaSettings,
}

impl Default for VectorsSection {
    fn default() -> Self {
        Self {
            backend: VectorsBackend::default(),
            threads: 1,
            exact_max: 200_000,
            front: ThreadsFront::default(),
            chroma: ChromaSettings::default(),
        }
    }
}

impl VectorsSection {
    /// The limits of the front: as many calls are under way as there are threads, or as a server elsewhere is asked at a time.
    #[must_use]
    pub const fn front_settings(&self) -> FrontSettings {
        self.front.over(match self.backend {
            VectorsBackend::Embedded => self.threads,
            VectorsBackend::Chroma => self.chroma.in_flight_max,
        })
    }
}

/// Where the knowledge base is searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorsBackend {
    /// In the database, by its full-text index and the vectors in it.
    #[default]
    Embedded,
    /// In a collection of a Chroma server, by its vectors. The entries are kept there and nowhere else.
    Chroma,
}

/// What names the class of a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassifierBackend {
    /// The examples.
    Examples,
    /// The language model of `query.llm`; the examples where it does not.
    Llm,
}

/// Class and language.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifierSection {
    /// What names the class of a turn.
    pub backend: ClassifierBackend,
    /// How long the model may take to name a class, before what the examples say stands.
    pub llm_timeout_ms: u64,
    /// Threads that classify; each learns from the examples.
    pub threads: usize,
    /// Example phrases beside the built-in ones, by class.
    pub examples: BTreeMap<Class, Vec<String>>,
    /// The service's front.
    pub front: ThreadsFront,
}

impl Default for ClassifierSection {
    fn default() -> Self {
        Self {
            backend: ClassifierBackend::Examples,
            llm_timeout_ms: 5_000,
            threads: 1,
            examples: BTreeMap::new(),
            front: ThreadsFront::default(),
        }
    }
}

impl ClassifierSection {
    /// How long the query service may take to name a class; none where it is not asked.
    #[must_use]
    pub fn class_wait(&self) -> Option<Duration> {
        (self.backend == ClassifierBackend::Llm).then(|| Duration::from_millis(self.llm_timeout_ms))
    }
}

/// The knowledge base.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KnowledgeSection {
    /// Whether the sample is loaded into an empty database.
    pub sample: bool,
}

impl Default for KnowledgeSection {
    fn default() -> Self {
        Self { sample: true }
    }
}

/// The actors' threads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeSection {
    /// Shards of conversations, each a thread; 0: one per core.
    pub shards: usize,
    /// Conversations that one shard holds in memory; more wait in the database.
    pub live_max: usize,
    /// Memory of the process, without what is mapped from files, in bytes; beyond it everything that comes in is refused
    /// as overload while messages wait. 0: no limit.
    pub memory_max_bytes: u64,
}

impl Default for RuntimeSection {
    fn default() -> Self {
        Self { shards: 0, live_max: 250_000, memory_max_bytes: 0 }
    }
}

impl Config {
    /// The number of shards, with 0 resolved.
    #[must_use]
    pub fn shards(&self) -> usize {
        match self.runtime.shards {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            shards => shards,
        }
    }

    /// Every secret by its key. Each may stand in a file instead, named by the key with `_file` behind it.
    #[must_use]
    pub const fn secrets(&self) -> [(&'static str, &Secret); 9] {
        let (whatsapp, api) = (&self.channels.whatsapp, &self.channels.api);
        [
            ("channels.whatsapp.verify_token", &whatsapp.verify_token),
            ("channels.whatsapp.app_secret", &whatsapp.app_secret),
            ("channels.whatsapp.access_token", &whatsapp.access_token),
            ("channels.api.token", &api.token),
            ("console.token", &self.console.token),
            ("query.llm.api_key", &self.query.llm.api_key),
            ("embedding.endpoint.api_key", &self.embedding.endpoint.api_key),
            ("vectors.chroma.token", &self.vectors.chroma.token),
            ("traces.authorization", &self.traces.authorization),
        ]
    }

    /// The part that the HTTP interface needs.
    #[must_use]
    pub fn http(&self) -> HttpSettings {
        HttpSettings {
            server: self.server.clone(),
            api: self.channels.api.clone(),
            web: self.channels.web.clone(),
            console: self.console.clone(),
            handoff: self.handoff.clone(),
        }
    }

    /// The phrases: the built-in ones with those of the configuration laid over them.
    #[must_use]
    pub fn phrases(&self) -> Phrases {
        let mut phrases = crate::knowledge::default_phrases();
        for (name, versions) in &self.phrases {
            let own = versions.iter().map(|(language, text)| (*language, text.clone()));
            phrases.entry(name.clone()).or_default().extend(own);
        }
        phrases
    }
}
