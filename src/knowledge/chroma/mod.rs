//! A collection of a Chroma server as the knowledge base: searched by vectors, and changed where it is the one that is used.
//!
//! `api` speaks Chroma's HTTP interface, version 2, as a server of 1.5 and later serves it (`/openapi.json` of a running one;
//! <https://docs.trychroma.com/reference/chroma-reference>); `wire` is what goes over the line; `record` says what an entry is as
//! a record, and `vectors` puts it behind the port. The two client crates were not taken: each brings an HTTP client with limits
//! of its own, which bounds neither a response nor its time, and more than a hundred crates, for six calls.

mod api;
mod record;
mod vectors;
mod wire;

use std::time::Duration;

use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};

pub use api::ChromaError;
pub use record::Unusable;
pub use vectors::{ChromaVectors, RecordPage};

use crate::secret::Secret;

/// Where a collection is, and what its records mean.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChromaSettings {
    /// Where the server is, without the version of its interface: `http://127.0.0.1:8000`.
    pub base_url: String,
    /// The tenant that has the database.
    pub tenant: String,
    /// The database that has the collection.
    pub database: String,
    /// The collection's name.
    pub collection: String,
    /// Shown to the server where it, or what stands before it, wants one.
    pub token: Secret,
    /// The header of the token; in `authorization` it is sent as a bearer token. Source: `chroma_auth_token_transport_header` of
    /// Chroma's own client, and its cloud (<https://github.com/spring-projects/spring-ai/pull/4571>).
    pub token_header: String,
    /// What the document of a record is, whose vector is searched.
    pub document: Document,
    /// The key of the metadata that has the question, where the document is the answer.
    pub question_key: String,
    /// The key of the metadata that has the answer, where the document is the question.
    pub answer_key: String,
    /// The key of the metadata that has the language, in two letters. Of a record without it the text tells.
    pub language_key: String,
    /// The key of the metadata that has the entry's id, the same in all its languages. Of a record without it, its own id is it.
    pub id_key: String,
    /// Calls under way at the same time.
    pub in_flight_max: usize,
    /// A call that takes longer than this is given up; people wait for it. Less than the front's deadline.
    pub timeout_ms: u64,
    /// A connection that is not made after this long is given up.
    pub connect_timeout_ms: u64,
    /// A response longer than this is not read.
    pub response_limit_bytes: usize,
}

/// What the document of a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Document {
    /// The question; the answer is in the metadata.
    #[default]
    Question,
    /// The answer, or a passage; the question, if there is one, is in the metadata.
    Answer,
}

impl Default for ChromaSettings {
    fn default() -> Self {
        Self {
            base_url: "http://127.0.0.1:8000".into(),
            tenant: "default_tenant".into(),
            database: "default_database".into(),
            collection: String::new(),
            token: Secret::default(),
            token_header: "x-chroma-token".into(),
            document: Document::default(),
            question_key: "question".into(),
            answer_key: "answer".into(),
            language_key: "language".into(),
            id_key: "id".into(),
            in_flight_max: 8,
            timeout_ms: 1_500,
            connect_timeout_ms: 1_000,
            response_limit_bytes: 16 * 1024 * 1024,
        }
    }
}

impl ChromaSettings {
    /// `timeout_ms` as a duration.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// `connect_timeout_ms` as a duration.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// The header of the token; none where its name is none.
    #[must_use]
    pub fn key_header(&self) -> Option<HeaderName> {
        HeaderName::try_from(&self.token_header).ok()
    }

    /// The keys of metadata by their settings.
    #[must_use]
    pub fn keys(&self) -> [(&'static str, &str); 4] {
        [
            ("question_key", &self.question_key),
            ("answer_key", &self.answer_key),
            ("language_key", &self.language_key),
            ("id_key", &self.id_key),
        ]
    }
}

#[cfg(test)]
mod tests;
