//! The knowledge base in a collection elsewhere: everything goes through the fronts of the embedding and of the collection.

use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;

use futures_util::future::join_all;
use tertulia_actors::domain::{Entry, Language, Version};
use tertulia_actors::ports::store::StoreError;
use tertulia_actors::ports::{
    Embeddable, KnowledgeBase, KnowledgeBaseError, KnowledgeFuture, KnowledgeStatus, ModelVectors, Vectored,
    VectorsError,
};
use tertulia_actors::services::{EmbeddingService, VectorsService};
use tertulia_actors::supervision::{CallError, FrontHandle};

use crate::knowledge::chroma::Document;
use crate::knowledge::entries;

/// Records that are read at a time.
const PAGE: usize = 200;

/// Texts that are embedded at a time: as many calls as one asker may have at a front.
const TEXTS: usize = 16;

/// Lists, fills and empties the collection. It is the one source of truth: nothing of it is kept here.
#[derive(Clone)]
pub(super) struct Collection {
    pub(super) vectors: FrontHandle<VectorsService>,
    pub(super) embedding: FrontHandle<EmbeddingService>,
    /// What is embedded of an entry.
    pub(super) document: Document,
}

impl KnowledgeBase for Collection {
    /// The collection has an order of its own, so that all of it is read for a page. What is added or removed meanwhile may or may
    /// not be in it.
    fn list(&self, after: Option<(String, Language)>, limit: usize) -> KnowledgeFuture<Vec<Entry>> {
        let vectors = self.vectors.clone();
        Box::pin(async move {
            let mut first = BTreeMap::new();
            let mut skip = 0;
            loop {
                let page = vectors.page(skip, PAGE).await.map_err(|error| fault(&error))?;
                skip += page.records;
                keep_first(&mut first, page.entries, after.as_ref(), limit);
                if page.records < PAGE {
                    return Ok(first.into_values().collect());
                }
            }
        })
    }

    fn put(&self, entries: Vec<Entry>) -> KnowledgeFuture<usize> {
        let collection = self.clone();
        Box::pin(async move {
            entries.iter().try_for_each(entries::check).map_err(|error| refused(&error))?;
            let is_without_question = |entry: &&Entry| entry.is_passage();
            if let Some(passage) =
                entries.iter().find(is_without_question).filter(|_| collection.document == Document::Question)
            {
                return Err(refused(&format_args!(
                    "entry '{}' has no question, which is the document of a record: set vectors.chroma.document to answer",
                    passage.id
                )));
            }
            let embedded = collection.embed(entries).await?;
            collection.vectors.upsert(embedded).await.map_err(|error| fault(&error))
        })
    }

    fn remove(&self, id: String, language: Option<Language>) -> KnowledgeFuture<usize> {
        let vectors = self.vectors.clone();
        Box::pin(async move { vectors.delete(id, language).await.map_err(|error| fault(&error)) })
    }

    fn get(&self, id: String, language: Option<Language>) -> KnowledgeFuture<Vec<Entry>> {
        let vectors = self.vectors.clone();
        Box::pin(async move { vectors.get(id, language).await.map_err(|error| fault(&error)) })
    }

    fn history(&self, _: String, _: Option<Language>) -> KnowledgeFuture<Vec<Version>> {
        Box::pin(ready(Err(refused(&NOT_KEPT))))
    }

    fn restore(&self, _: i64) -> KnowledgeFuture<Option<Entry>> {
        Box::pin(ready(Err(refused(&NOT_KEPT))))
    }

    fn status(&self) -> KnowledgeFuture<KnowledgeStatus> {
        let vectors = self.vectors.clone();
        Box::pin(async move {
            let entries = vectors.count().await.map_err(|error| fault(&error))?;
            Ok(KnowledgeStatus { entries, ..KnowledgeStatus::default() })
        })
    }

    fn put_vectors(&self, _: ModelVectors) -> KnowledgeFuture<usize> {
        Box::pin(ready(Err(refused(&ONE_VECTOR))))
    }

    fn remove_vectors(&self, _: Option<String>, _: usize) -> KnowledgeFuture<usize> {
        Box::pin(ready(Err(refused(&ONE_VECTOR))))
    }
}

/// Why there are no vectors of several models.
const ONE_VECTOR: &str = "the collection keeps one vector of each record, which its entry needs";

/// Why there is no history.
const NOT_KEPT: &str = "a collection of chroma keeps nothing of what an entry said before";

impl Collection {
    /// The entries with the vectors of their texts; all or none. The first text of each must be one that the model can read.
    async fn embed(&self, entries: Vec<Entry>) -> Result<Vec<Vectored>, KnowledgeBaseError> {
        let texts: Vec<Vec<Embeddable>> =
            entries.iter().map(|entry| self.document.embeddables(entry)).collect();
        let (mut vectors, counts) = (vec![], texts.iter().map(Vec::len).collect::<Vec<_>>());
        for some in texts.concat().chunks(TEXTS) {
            let calls = some.iter().map(|text| self.embedding.call(None, text.clone()));
            for vector in join_all(calls).await {
                vectors.push(vector.map_err(|error| KnowledgeBaseError::Away(error.to_string()))?);
            }
        }
        let mut vectors = vectors.into_iter();
        let embedded = entries.into_iter().zip(counts).map(|(entry, count)| {
            let own: Vec<_> = vectors.by_ref().take(count).collect();
            if own.first().is_some_and(Option::is_some) {
                return Ok((entry, own));
            }
            Err(refused(&format_args!(
                "the configured model cannot read entry '{}' (its script, or there is no word in it), and the collection is searched by vectors alone: \
                 set embedding.model to one of many languages",
                entry.id
            )))
        });
        embedded.collect()
    }
}

/// Keeps the first `limit` entries behind `after` in the order of id and language.
fn keep_first(
    first: &mut BTreeMap<(String, Language), Entry>,
    entries: Vec<Entry>,
    after: Option<&(String, Language)>,
    limit: usize,
) {
    for entry in entries {
        let key = (entry.id.clone(), entry.language);
        if after.is_none_or(|after| key > *after) {
            first.insert(key, entry);
        }
        if first.len() > limit {
            first.pop_last();
        }
    }
}

fn refused(reason: &impl fmt::Display) -> KnowledgeBaseError {
    StoreError::Refused(reason.to_string()).into()
}

fn fault(error: &CallError<VectorsError>) -> KnowledgeBaseError {
    match error {
        CallError::Failed(VectorsError::Refused(_)) => refused(error),
        _ => KnowledgeBaseError::Away(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entries_behind_a_place_are_kept_in_order_whatever_order_they_come_in() {
        let entry = |id: &str, language: Language| Entry::new(id, language, "q", "a");
        let (en, ar) = (Language::ENGLISH, Language::ARABIC);
        let pages = [
            vec![entry("d", en), entry("b", en), entry("a", en)],
            vec![entry("b", ar), entry("c", en), entry("a", ar)],
        ];
        for (after, limit, expected) in [
            (None, 10, "a/ar a/en b/ar b/en c/en d/en"),
            (None, 2, "a/ar a/en"),
            (Some(("a".to_owned(), en)), 2, "b/ar b/en"),
            (Some(("b".to_owned(), ar)), 2, "b/en c/en"),
            (Some(("d".to_owned(), en)), 2, ""),
        ] {
            let mut first = BTreeMap::new();
            for page in pages.clone() {
                keep_first(&mut first, page, after.as_ref(), limit);
            }
            let found: Vec<_> = first.keys().map(|(id, language)| format!("{id}/{language}")).collect();
            assert_eq!(found.join(" "), expected, "{after:?}");
        }
    }
}
