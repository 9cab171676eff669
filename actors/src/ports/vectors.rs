//! The index of the knowledge base: search in it, and changes of an index that holds the entries itself.

use std::time::Duration;

use thiserror::Error;

use super::Compute;
use crate::domain::{Embedding, Entry, Filter, Hit, Language};

/// What to look for.
#[derive(Clone, PartialEq, Debug)]
pub struct Search {
    /// The question as it was put.
    pub text: String,
    /// Its vector, where an embedder is configured.
    pub embedding: Option<Embedding>,
    /// Entries in this language come before the same entry in another.
    pub language: Option<Language>,
    /// Among which entries.
    pub filter: Filter,
    /// How many hits at the most.
    pub limit: usize,
}

/// What an index is asked.
#[derive(Clone, PartialEq, Debug)]
pub enum VectorsRequest {
    /// The best hits for a question, best first.
    Search(Search),
    /// The entries among some records, in the index's own order.
    Page {
        /// Records that come before.
        skip: usize,
        /// Records that are read at the most.
        limit: usize,
    },
    /// What an entry says, in one language or in all; answered as a page.
    Get {
        /// Its id.
        id: String,
        /// The language; all where there is none.
        language: Option<Language>,
    },
    /// Adds entries, or replaces those of the same id and language; an index elsewhere may have kept some where it fails.
    Upsert(Vec<Vectored>),
    /// Removes an entry, in one language or in all.
    Delete {
        /// Its id.
        id: String,
        /// The language; all where there is none.
        language: Option<Language>,
    },
    /// How many entries there are, as far as the index can tell.
    Count,
}

/// What an index answers, each to its request.
#[derive(Clone, PartialEq, Debug)]
pub enum VectorsResponse {
    /// To a search.
    Hits(Vec<Hit>),
    /// To a page, and to a look for one entry.
    Page(EntryPage),
    /// How many there are, were added or were removed.
    Count(usize),
}

/// An entry with a vector of each text that stands for it, the first one's first; none of one that the model cannot read.
pub type Vectored = (Entry, Vec<Option<Embedding>>);

/// Some records of an index.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EntryPage {
    /// The entries that they are; a record may be none.
    pub entries: Vec<Entry>,
    /// Records that were read; fewer than were asked for at the end of the index.
    pub records: usize,
}

/// Why an index gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum VectorsError {
    /// The index cannot be read, or its answer cannot be used.
    #[error("knowledge search failed: {0}")]
    Failed(String),
    /// It cannot be reached, or is not as the configuration says.
    #[error("the knowledge base cannot be reached: {0}")]
    Unavailable(String),
    /// It asked not to be called for a while.
    #[error("the knowledge base cannot be reached: {reason}")]
    Throttled {
        /// What it said.
        reason: String,
        /// For how long.
        retry_after: Duration,
    },
    /// It does not do what was asked for; another request may do well.
    #[error("the knowledge base refused the request: {0}")]
    Refused(String),
    /// Its answer is longer than is read; that to another request may not be.
    #[error("the knowledge base's answer is too long: {0}")]
    TooLong(String),
}

/// The knowledge base's index on this machine.
pub trait Vectors:
    Compute<Request = VectorsRequest, Response = VectorsResponse, Error = VectorsError>
{
}

impl<T: Compute<Request = VectorsRequest, Response = VectorsResponse, Error = VectorsError>> Vectors for T {}
