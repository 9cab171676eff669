//! What spans and their attributes are called. The one place that knows OpenTelemetry's semantic conventions, for messaging
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>), for generative AI
//! (<https://github.com/open-telemetry/semantic-conventions-genai>) and for errors. What they have no name for begins with
//! `tertulia.`. Pure; nobody's words and nobody's number are among it.

use opentelemetry::trace::SpanKind;
use opentelemetry::{KeyValue, StringValue, Value};
use serde_json::Value as Json;
use tertulia_actors::domain::{Account, ConversationId, Disposition, PartState, Step, steps};
use tertulia_actors::ports::{MessageTrace, RunTrace, SendTrace, TurnTrace};
use uuid::Uuid;

/// The names that are used. Those of generative AI are in development, and may change.
mod names {
    pub(super) const ERROR_TYPE: &str = "error.type";
    pub(super) const GEN_AI_CONVERSATION_ID: &str = "gen_ai.conversation.id";
    pub(super) const GEN_AI_DATA_SOURCE_ID: &str = "gen_ai.data_source.id";
    pub(super) const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";
    pub(super) const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";
    pub(super) const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
    pub(super) const GEN_AI_RETRIEVAL_DOCUMENTS: &str = "gen_ai.retrieval.documents";
    pub(super) const GEN_AI_USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
    pub(super) const GEN_AI_USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
    pub(super) const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
    pub(super) const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
    pub(super) const MESSAGING_DESTINATION_TEMPLATE: &str = "messaging.destination.template";
    pub(super) const MESSAGING_MESSAGE_CONVERSATION_ID: &str = "messaging.message.conversation_id";
    pub(super) const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
    pub(super) const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
    pub(super) const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
    pub(super) const MESSAGING_SYSTEM: &str = "messaging.system";
    pub(super) const SERVER_ADDRESS: &str = "server.address";
    pub(super) const SERVICE_INSTANCE_ID: &str = "service.instance.id";
    pub(super) const SERVICE_NAME: &str = "service.name";
    pub(super) const SERVICE_VERSION: &str = "service.version";
}

/// A model, as spans name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelName {
    /// The model's name at its endpoint, or of its folder here.
    pub model: String,
    /// The host of the endpoint; none for a model that runs here.
    pub server: Option<String>,
}

/// The models that are configured.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Models {
    /// Composes answers.
    pub chat: Option<ModelName>,
    /// Embeds texts.
    pub embeddings: Option<ModelName>,
}

/// A span without its place and its times.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<KeyValue>,
    /// What went wrong, in a word.
    pub(super) error: Option<&'static str>,
}

impl Shape {
    fn new(name: impl Into<String>, kind: SpanKind) -> Self {
        Self { name: name.into(), kind, attributes: vec![], error: None }
    }

    fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push(KeyValue::new(key, value));
        self
    }

    fn with_some(self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn failed(mut self, error: Option<&'static str>) -> Self {
        self.error = error;
        self.with_some(names::ERROR_TYPE, error)
    }

    /// An operation on messages of a conversation: named by the operation and where the messages come from, which is the channel:
    /// there are as many accounts as a business has numbers.
    fn messaging(operation: &'static str, kind: SpanKind, account: &Account, whose: ConversationId) -> Self {
        let channel = account.channel.as_str();
        Self::new(format!("{operation} {channel}"), kind)
            .with(names::MESSAGING_SYSTEM, channel)
            .with(names::MESSAGING_OPERATION_NAME, operation)
            .with(names::MESSAGING_DESTINATION_NAME, account.name.clone())
            .with(names::MESSAGING_DESTINATION_TEMPLATE, channel)
            .with(names::MESSAGING_MESSAGE_CONVERSATION_ID, whose.to_string())
    }

    /// A call of a model, which runs here or elsewhere.
    fn model(operation: &'static str, called: Option<&ModelName>) -> Self {
        let server = called.and_then(|called| called.server.clone());
        let kind = if server.is_some() { SpanKind::Client } else { SpanKind::Internal };
        let name =
            called.map_or_else(|| operation.to_owned(), |called| format!("{operation} {}", called.model));
        Self::new(name, kind)
            .with(names::GEN_AI_OPERATION_NAME, operation)
            .with(names::GEN_AI_PROVIDER_NAME, if server.is_some() { OPENAI } else { HERE })
            .with_some(names::GEN_AI_REQUEST_MODEL, called.map(|called| called.model.clone()))
            .with_some(names::SERVER_ADDRESS, server)
    }
}

/// The provider of endpoints: the name of the interface that they speak.
const OPENAI: &str = "openai";
/// The provider of what runs in this process.
const HERE: &str = "tertulia";

/// A message: from when its body was complete until its turn began. It was pushed, which the conventions know no type of operation for.
pub(super) fn message(turn: &TurnTrace, message: &MessageTrace) -> Shape {
    Shape::messaging("receive", SpanKind::Consumer, &turn.account, turn.conversation)
        .with(names::MESSAGING_MESSAGE_ID, format!("{}/{}", turn.conversation, message.seq))
        .with("tertulia.message.kind", message.kind.clone())
}

/// The run that ended a turn.
pub(super) fn turn(turn: &TurnTrace) -> Shape {
    let (outcome, error) = match turn.disposition {
        Disposition::Answered => ("answered", None),
        Disposition::Suppressed(_) => ("suppressed", None),
        Disposition::DeadLettered(_) => ("dead_lettered", Some("dead_lettered")),
    };
    Shape::messaging("process", SpanKind::Consumer, &turn.account, turn.conversation)
        .with(names::MESSAGING_OPERATION_TYPE, "process")
        .with_some(names::MESSAGING_BATCH_MESSAGE_COUNT, several(turn.messages.len()))
        .with("tertulia.turn.id", turn.turn.to_string())
        .with("tertulia.turn.attempt", i64::from(turn.attempt))
        .with("tertulia.turn.outcome", outcome)
        .with("tertulia.turn.degraded", turn.journey.degraded)
        .with("tertulia.turn.needs_human", turn.needs_human)
        .with_some("tertulia.turn.class", turn.class.map(|class| class.to_string()))
        .with_some("tertulia.turn.language", turn.language.map(|language| language.to_string()))
        .failed(error)
}

/// A run that did not end its turn.
pub(super) fn run(run: &RunTrace) -> Shape {
    Shape::new("attempt", SpanKind::Internal)
        .with("tertulia.turn.id", run.turn.to_string())
        .with("tertulia.turn.attempt", i64::from(run.attempt))
        .failed(Some(run.outcome))
}

/// The way of a commit to the disk.
pub(super) fn commit() -> Shape {
    Shape::new("commit", SpanKind::Internal)
}

/// A send of a part.
pub(super) fn send(send: &SendTrace) -> Shape {
    let error = match send.outcome {
        PartState::Sent | PartState::Delivered | PartState::Read => None,
        state => Some(state.as_str()),
    };
    Shape::messaging("send", SpanKind::Client, &send.account, send.conversation)
        .with(names::MESSAGING_OPERATION_TYPE, "send")
        .with(names::MESSAGING_MESSAGE_ID, send.part.to_string())
        .with("tertulia.send.attempt", i64::from(send.attempt))
        .failed(error)
}

/// A step of a turn's journey. What errors say is left out: a service elsewhere may quote what it was asked.
pub(super) fn step(step: &Step, whose: ConversationId, models: &Models) -> Shape {
    let shape = match step.name.as_str() {
        steps::EMBEDDING => Shape::model("embeddings", models.embeddings.as_ref()),
        steps::KNOWLEDGE => retrieval(&step.detail),
        // A class that is kept from an earlier run was asked for then.
        steps::CLASS_BY_MODEL if step.detail["kept"] != true => {
            chat(&step.detail, whose, models.chat.as_ref())
        }
        // Without a model the query service chooses among stored answers.
        steps::QUERY if models.chat.is_some() => chat(&step.detail, whose, models.chat.as_ref()),
        name => Shape::new(name.to_owned(), SpanKind::Internal),
    };
    let is_degraded = step.outcome == steps::DEGRADED;
    let text = |key: &str| step.detail.get(key).and_then(Json::as_str).map(str::to_owned);
    shape
        .with("tertulia.step", step.name.clone())
        .with("tertulia.step.outcome", step.outcome.clone())
        .with_some("tertulia.step.class", text("class"))
        .with_some("tertulia.step.confidence", step.detail.get("confidence").and_then(Json::as_f64))
        .failed(is_degraded.then_some(steps::DEGRADED))
}

fn chat(detail: &Json, whose: ConversationId, model: Option<&ModelName>) -> Shape {
    let tokens = |key: &str| detail.get(key).and_then(Json::as_i64);
    Shape::model("chat", model)
        .with(names::GEN_AI_CONVERSATION_ID, whose.to_string())
        .with_some(names::GEN_AI_USAGE_INPUT_TOKENS, tokens("prompt_tokens"))
        .with_some(names::GEN_AI_USAGE_OUTPUT_TOKENS, tokens("completion_tokens"))
}

/// A search: the entries that it found, as a list of objects with `id` and `score`.
fn retrieval(detail: &Json) -> Shape {
    let found = detail.as_array().map(|hits| {
        let hit = |hit: &Json| serde_json::json!({ "id": hit["id"], "score": hit["score"] });
        let hits: Vec<Json> = hits.iter().map(hit).collect();
        StringValue::from(Json::from(hits).to_string())
    });
    Shape::new("retrieval knowledge", SpanKind::Internal)
        .with(names::GEN_AI_OPERATION_NAME, "retrieval")
        .with(names::GEN_AI_DATA_SOURCE_ID, "knowledge")
        .with_some(names::GEN_AI_RETRIEVAL_DOCUMENTS, found)
}

/// How many there are, where that is more than one: only then the conventions speak of a batch.
fn several(count: usize) -> Option<i64> {
    i64::try_from(count).ok().filter(|count| *count > 1)
}

/// What all spans of this process have in common.
pub(super) fn resource(service_name: &str, instance: Uuid) -> Vec<KeyValue> {
    vec![
        KeyValue::new(names::SERVICE_NAME, service_name.to_owned()),
        KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(names::SERVICE_INSTANCE_ID, instance.to_string()),
    ]
}
