//! Search in the knowledge base.

use thiserror::Error;

use super::Compute;
use crate::domain::{Embedding, Filter, Hit, Language};

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

/// Why a search gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum VectorsError {
    /// The index cannot be read.
    #[error("knowledge search failed: {0}")]
    Failed(String),
}

/// The knowledge base's index on this machine: finds the best hits, best first.
pub trait Vectors: Compute<Request = Search, Response = Vec<Hit>, Error = VectorsError> {}

impl<T: Compute<Request = Search, Response = Vec<Hit>, Error = VectorsError>> Vectors for T {}
