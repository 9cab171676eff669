//! What texts mean, by the model that the server would ask.

use rusqlite::Connection;
use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{Embeddable, Embedder, EmbedderError};

use super::EvalError;
use crate::knowledge::classify::labels::Example;
use crate::knowledge::search::index::Searcher;
use crate::knowledge::vectors::{VectorSpace, embed_all, put};

/// Texts that are embedded at a time.
const PAGE: usize = 64;

/// A model behind its port, as the server has it; or none.
#[derive(Default)]
pub struct Meaning(Option<(Box<dyn Embedder>, VectorSpace)>);

impl Meaning {
    /// By what embeds, and the name and ways of its vectors; if there is such a model.
    #[must_use]
    pub fn by(model: Option<(Box<dyn Embedder>, VectorSpace)>) -> Self {
        Self(model)
    }

    /// The meaning of what somebody says, if there is a model that can read it.
    ///
    /// # Errors
    /// The model failed.
    pub fn of(&mut self, text: &str) -> Result<Option<Embedding>, EmbedderError> {
        match &mut self.0 {
            Some((embedder, _)) => Ok(embedder.compute(vec![Embeddable::query(text)])?.pop().flatten()),
            None => Ok(None),
        }
    }

    /// A searcher by words, and by what the model has embedded.
    #[must_use]
    pub fn searcher(&self) -> Searcher {
        Searcher::new(self.0.as_ref().map(|(_, space)| space.clone()))
    }

    /// What examples mean.
    ///
    /// # Errors
    /// The model failed.
    pub fn of_all(&mut self, examples: &[Example]) -> Result<Vec<Option<Embedding>>, EvalError> {
        let Some((embedder, _)) = &mut self.0 else { return Ok(vec![None; examples.len()]) };
        let mut vectors = Vec::with_capacity(examples.len());
        for some in examples.chunks(PAGE) {
            vectors.extend(embedder.compute(some.iter().map(|one| Embeddable::query(&one.text)).collect())?);
        }
        Ok(vectors)
    }

    /// Embeds all entries.
    pub(super) fn embed_entries(&mut self, conn: &Connection) -> Result<(), EvalError> {
        let Some((embedder, VectorSpace { model, .. })) = &mut self.0 else { return Ok(()) };
        let embed = |texts: &[Embeddable]| Ok(embedder.compute(texts.to_vec())?);
        embed_all(conn, (model, PAGE), embed, |some| Ok(put(conn, model, some)?), |_| {}).map(drop)
    }
}
