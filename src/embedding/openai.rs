//! Models behind an OpenAI-compatible endpoint of embeddings.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use serde::{Deserialize, Serialize};
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{EmbedderError, PortFuture};

use crate::endpoint::{CallError, OpenAiPath, parse, told, too_long};
use crate::secret::Secret;

/// Where the key stands in the configuration, for what is logged when it is read again.
const API_KEY: &str = "embedding.endpoint.api_key";

/// How an endpoint of embeddings is called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EndpointSettings {
    /// Where the endpoint is, version included, as OpenAI's libraries take it: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model's name at that endpoint.
    pub model: String,
    /// Sent as a bearer token where the endpoint wants one.
    pub api_key: Secret,
    /// How long the vectors shall be, for a model that can shorten them; the model's own length where it is not given.
    pub dimensions: Option<usize>,
    /// The cosine of texts that have nothing to do with each other, by this model.
    pub unrelated_cosine: f32,
    /// A call that takes longer than this is given up; people wait for it. Less than the front's deadline.
    pub timeout_ms: u64,
    /// A connection that is not made after this long is given up.
    pub connect_timeout_ms: u64,
    /// A response longer than this is not read. A number is about 12 bytes of it, so that this is room for a thousand
    /// vectors of a thousand numbers each.
    pub response_limit_bytes: usize,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            model: String::new(),
            api_key: Secret::default(),
            dimensions: None,
            unrelated_cosine: 0.0,
            timeout_ms: 1_500,
            connect_timeout_ms: 1_000,
            response_limit_bytes: 16 * 1024 * 1024,
        }
    }
}

impl EndpointSettings {
    /// `connect_timeout_ms` as a duration.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}

/// Embeds texts by one call of the endpoint.
///
/// Needs a Tokio runtime around its futures. Texts and keys appear in no error.
#[derive(Clone, Debug)]
pub struct OpenAiEmbedder {
    path: OpenAiPath,
    settings: Arc<EndpointSettings>,
}

impl OpenAiEmbedder {
    /// Calls through `client`, whose connections it shares with others.
    #[must_use]
    pub fn new(client: Client, settings: EndpointSettings) -> Self {
        let path = OpenAiPath::new(client, &settings.base_url, "embeddings");
        Self { path, settings: Arc::new(settings) }
    }

    /// The vectors of texts, of unit length, in the order of the texts. No texts are no call.
    ///
    /// # Errors
    /// When the endpoint cannot be reached or refuses, or its answer is not one usable vector for each text. All texts
    /// fail together.
    #[must_use]
    pub fn embed(&self, texts: Vec<String>) -> PortFuture<Vec<Embedding>, EmbedderError> {
        Box::pin(self.clone().ask(texts))
    }

    /// Reads the key again where it stands in a file.
    pub fn refresh(&self) {
        self.settings.api_key.refresh(API_KEY);
    }

    async fn ask(self, texts: Vec<String>) -> Result<Vec<Embedding>, EmbedderError> {
        if texts.is_empty() {
            return Ok(vec![]);
        }
        let settings = &self.settings;
        let request = Request {
            model: &settings.model,
            input: &texts,
            encoding_format: "float",
            dimensions: settings.dimensions,
        };
        let EndpointSettings { api_key, timeout_ms, response_limit_bytes, .. } = &**settings;
        let call = self.path.call(api_key, *timeout_ms, *response_limit_bytes);
        let body = call.post(&request).await?;
        embeddings(&body, texts.len(), settings.dimensions).map_err(EmbedderError::Failed)
    }
}

impl From<CallError> for EmbedderError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(reason) => Self::Unavailable(reason),
            CallError::Misconfigured(status) => Self::Unavailable(told(status)),
            CallError::Throttled { reason, retry_after } => Self::Throttled { reason, retry_after },
            CallError::Failed(reason) => Self::Refused(reason),
            CallError::TooLong(limit) => {
                Self::Refused(too_long(limit, "embedding.endpoint.response_limit_bytes"))
            }
        }
    }
}

/// The body of a call.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

/// The part of a response that matters.
#[derive(Deserialize)]
struct Response {
    data: Vec<Item>,
}

/// The vector of one text.
#[derive(Deserialize)]
struct Item {
    /// Which text, counted from 0: the items may come in any order.
    index: usize,
    embedding: Vec<f32>,
}

/// The vectors in a complete body, in the order of the `count` texts that were sent; or what is wrong with it.
fn embeddings(body: &[u8], count: usize, dimensions: Option<usize>) -> Result<Vec<Embedding>, String> {
    let Response { data } = parse(body, "list of embeddings")?;
    if data.len() != count {
        return Err(format!("{} embeddings came for {count} texts", data.len()));
    }
    let length = dimensions.or_else(|| data.first().map(|item| item.embedding.len())).unwrap_or_default();
    let mut vectors: Vec<Option<Embedding>> = vec![None; count];
    for Item { index, embedding } in data {
        if embedding.len() != length {
            return Err(format!("embedding {index} has {} numbers instead of {length}", embedding.len()));
        }
        let vector = unit(&embedding).ok_or_else(|| format!("embedding {index} has no direction"))?;
        match vectors.get_mut(index) {
            Some(place @ None) => *place = Some(vector),
            Some(Some(_)) => return Err(format!("embedding {index} came twice")),
            None => return Err(format!("embedding {index} came for {count} texts")),
        }
    }
    // As many as texts, and no place taken twice: every place is taken.
    Ok(vectors.into_iter().flatten().collect())
}

/// A vector brought to unit length; none where it has no direction: it is zero, or a number of it is not finite.
fn unit(vector: &[f32]) -> Option<Embedding> {
    let norm = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    let has_direction = norm.is_finite() && norm > 0.0;
    // None is greater than one, so that no one leaves the range of `f32`.
    has_direction.then(|| vector.iter().map(|number| (f64::from(*number) / norm) as f32).collect())
}

#[cfg(test)]
mod tests;
