//! The calls of a Chroma server, of one collection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderName;
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use serde_json::Value;
use tertulia_actors::ports::VectorsError;
use thiserror::Error;

use super::ChromaSettings;
use super::wire::{self, Collection, Delete, Get, Query, Record, Upsert};
use crate::endpoint::{Call, CallError, too_long};

/// Where the token stands in the configuration, for what is logged when it is read again.
const TOKEN: &str = "vectors.chroma.token";

/// Why a Chroma server gave no answer that can be used. No text of anybody and no token is in it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ChromaError {
    /// The server cannot be reached or is overloaded.
    #[error("chroma: {0}; see that the server runs at vectors.chroma.base_url")]
    Unavailable(String),
    /// The server asked not to be called for a while.
    #[error("chroma: {reason}, to be tried again in {} s", retry_after.as_secs())]
    Throttled {
        /// What it said.
        reason: String,
        /// For how long.
        retry_after: Duration,
    },
    /// The token is not accepted.
    #[error(
        "chroma refused the token (status {0}): set vectors.chroma.token, and token_header as the server reads it"
    )]
    Token(u16),
    /// There is no such collection.
    #[error(
        "chroma has no collection '{collection}' in the database '{database}' of the tenant '{tenant}': create it, or set \
         vectors.chroma.collection"
    )]
    NoCollection {
        /// The collection that is configured.
        collection: String,
        /// Its database.
        database: String,
        /// Its tenant.
        tenant: String,
    },
    /// The collection has vectors of another model.
    #[error(
        "the collection '{collection}' has vectors of {has} numbers, and those of the configured model have {given}: set \
         embedding.model to the one that the collection was filled by"
    )]
    Dimension {
        /// The collection.
        collection: String,
        /// How long its vectors are.
        has: usize,
        /// How long those of the model are.
        given: usize,
    },
    /// Its answer to this request is longer than is read.
    #[error("{0}")]
    TooLong(String),
    /// The server refused this request.
    #[error("chroma refused the request: {0}")]
    Refused(String),
    /// Its answer cannot be used.
    #[error("chroma: {0}")]
    Failed(String),
}

impl From<ChromaError> for VectorsError {
    fn from(error: ChromaError) -> Self {
        let told = error.to_string();
        match error {
            ChromaError::Throttled { retry_after, .. } => Self::Throttled { reason: told, retry_after },
            ChromaError::Refused(_) => Self::Refused(told),
            ChromaError::TooLong(_) => Self::TooLong(told),
            ChromaError::Failed(_) => Self::Failed(told),
            ChromaError::Unavailable(_)
            | ChromaError::Token(_)
            | ChromaError::NoCollection { .. }
            | ChromaError::Dimension { .. } => Self::Unavailable(told),
        }
    }
}

/// One collection of a server. Clones share what is known of it, and connections.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    settings: Arc<ChromaSettings>,
    /// Where collections are; none where `base_url` is none, which the configuration's check refuses.
    collections: Option<Url>,
    key_header: HeaderName,
    /// The collection as it was lately, once it has vectors: its id and space are fixed, but it may be made anew.
    known: Arc<Mutex<Option<Arc<Collection>>>>,
}

impl Api {
    pub(super) fn new(client: Client, settings: ChromaSettings) -> Self {
        let place =
            ["api", "v2", "tenants", &settings.tenant, "databases", &settings.database, "collections"];
        let collections = Url::parse(&settings.base_url).ok().and_then(|url| below(url, &place));
        let key_header = settings.key_header().unwrap_or(reqwest::header::AUTHORIZATION);
        Self { client, settings: Arc::new(settings), collections, key_header, known: Arc::default() }
    }

    /// Reads the token again where it stands in a file.
    pub(super) fn refresh(&self) {
        self.settings.token.refresh(TOKEN);
    }

    /// The nearest records and their cosines, nearest first; at least one is asked for.
    pub(super) async fn query(
        &self,
        vector: &[f32],
        count: usize,
        condition: Option<Value>,
    ) -> Result<Vec<(Record, f32)>, ChromaError> {
        let query = Query::new(vector, count.max(1), condition);
        let (collection, body) = self.ask("query", Some(&query), Some(vector.len())).await?;
        let found = wire::found(&body).map_err(ChromaError::Failed)?;
        let space = collection.space;
        Ok(found.into_iter().map(|(record, distance)| (record, space.cosine(distance))).collect())
    }

    pub(super) async fn get(&self, get: &Get<'_>) -> Result<Vec<Record>, ChromaError> {
        let (_, body) = self.ask("get", Some(get), None).await?;
        wire::records(&body).map_err(ChromaError::Failed)
    }

    /// Adds or changes records, all or none.
    pub(super) async fn upsert(&self, records: &Upsert<'_>) -> Result<(), ChromaError> {
        let length = records.embeddings.first().map(|vector| vector.len());
        self.ask("upsert", Some(records), length).await.map(drop)
    }

    pub(super) async fn delete(&self, ids: &[String]) -> Result<(), ChromaError> {
        self.ask("delete", Some(&Delete { ids }), None).await.map(drop)
    }

    pub(super) async fn count(&self) -> Result<usize, ChromaError> {
        let (_, body) = self.ask("count", None::<&()>, None).await?;
        wire::count(&body).map_err(ChromaError::Failed)
    }

    /// Asks something of the collection; `length` is that of the vectors in it.
    ///
    /// What was known of a collection that was made anew meanwhile does not hold: it is looked up again, once.
    async fn ask<T: Serialize + Sync>(
        &self,
        what: &str,
        body: Option<&T>,
        length: Option<usize>,
    ) -> Result<(Arc<Collection>, Vec<u8>), ChromaError> {
        let known = self.known().filter(|known| fits(known, length));
        if let Some(collection) = known {
            match self.call(&[&collection.id, what], body).await {
                Err(CallError::Misconfigured(StatusCode::NOT_FOUND)) => self.know(None),
                answer => return Ok((collection, answer.map_err(|error| self.told(error))?)),
            }
        }
        let collection = self.look_up().await?;
        if !fits(&collection, length) {
            let (has, given) = (collection.dimension.unwrap_or_default(), length.unwrap_or_default());
            return Err(ChromaError::Dimension { collection: self.settings.collection.clone(), has, given });
        }
        let answer = self.call(&[&collection.id, what], body).await;
        Ok((collection, answer.map_err(|error| self.told(error))?))
    }

    /// The collection as the server describes it now.
    async fn look_up(&self) -> Result<Arc<Collection>, ChromaError> {
        let body = self.call(&[&self.settings.collection], None::<&()>).await;
        let body = body.map_err(|error| self.told(error))?;
        let collection = Arc::new(wire::collection(&body).map_err(ChromaError::Failed)?);
        if collection.dimension.is_some() {
            self.know(Some(Arc::clone(&collection)));
        }
        Ok(collection)
    }

    async fn call<T: Serialize + Sync>(&self, path: &[&str], body: Option<&T>) -> Result<Vec<u8>, CallError> {
        let url = self.collections.clone().and_then(|url| below(url, path));
        let url = url.ok_or_else(|| CallError::Failed("vectors.chroma.base_url is no address".into()))?;
        let call = Call {
            client: &self.client,
            url: url.as_str(),
            api_key: &self.settings.token,
            key_header: &self.key_header,
            timeout: self.settings.timeout(),
            response_limit_bytes: self.settings.response_limit_bytes,
        };
        match body {
            Some(body) => call.post(body).await,
            None => call.get().await,
        }
    }

    fn known(&self) -> Option<Arc<Collection>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, collection: Option<Arc<Collection>>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = collection;
    }

    /// What it means that a call brought no answer. Chroma says "not found" of tenant, database and collection alike.
    fn told(&self, error: CallError) -> ChromaError {
        let ChromaSettings { collection, database, tenant, .. } = &*self.settings;
        match error {
            CallError::Unavailable(reason) => ChromaError::Unavailable(reason),
            CallError::Throttled { reason, retry_after } => ChromaError::Throttled { reason, retry_after },
            CallError::Misconfigured(StatusCode::NOT_FOUND) => ChromaError::NoCollection {
                collection: collection.clone(),
                database: database.clone(),
                tenant: tenant.clone(),
            },
            CallError::Misconfigured(status) => ChromaError::Token(status.as_u16()),
            CallError::Failed(reason) => ChromaError::Refused(reason),
            CallError::TooLong(limit) => {
                ChromaError::TooLong(too_long(limit, "vectors.chroma.response_limit_bytes"))
            }
        }
    }
}

/// Whether vectors of a length may be in a collection. One that has none yet takes any.
fn fits(collection: &Collection, length: Option<usize>) -> bool {
    collection.dimension.zip(length).is_none_or(|(has, given)| has == given)
}

/// A path below a URL, of names that may hold anything.
fn below(mut url: Url, path: &[&str]) -> Option<Url> {
    url.path_segments_mut().ok()?.pop_if_empty().extend(path);
    Some(url)
}
