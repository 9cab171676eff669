//! A collection behind the port of the index: what is searched in it, and what is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryFutureExt;
use reqwest::Client;
use tertulia_actors::domain::{Embedding, Entry, Filter, Hit, Language};
use tertulia_actors::ports::{EntryPage, PortFuture, Search, VectorsError, VectorsRequest, VectorsResponse};

use super::ChromaSettings;
use super::api::{Api, ChromaError};
use super::record::{Records, Unusable, record_id};
use super::wire::{ALL, Get, Record, Upsert};
use crate::knowledge::search::fusion::{beyond, fused};
use crate::knowledge::search::index::{CANDIDATES_PER_HIT, HITS_MAX, best_of_each};

/// The entries of one collection, found by the cosine of their documents alone.
///
/// Needs a Tokio runtime around its futures. Clones share connections, and what is known of the collection.
#[derive(Clone)]
pub struct ChromaVectors {
    api: Api,
    records: Records,
    /// The cosine of texts that have nothing to do with each other.
    unrelated: f32,
}

impl ChromaVectors {
    /// Calls through `client`, whose connections it shares with others. Of a record that does not say its language, the text
    /// tells which of `languages` it is. `unrelated` is the cosine of texts that have nothing to do with each other, by the model
    /// that embeds.
    #[must_use]
    pub fn new(client: Client, settings: ChromaSettings, languages: &[Language], unrelated: f32) -> Self {
        let records = Records::new(&settings, languages);
        Self { api: Api::new(client, settings), records, unrelated }
    }

    /// Does what is asked, in one or a few calls.
    #[must_use]
    pub fn ask(&self, request: VectorsRequest) -> PortFuture<VectorsResponse, VectorsError> {
        Box::pin(self.clone().answer(request).map_err(VectorsError::from))
    }

    /// Reads the token again where it stands in a file.
    pub fn refresh(&self) {
        self.api.refresh();
    }

    /// How many records there are.
    ///
    /// # Errors
    /// The server cannot be reached, or there is no such collection.
    pub async fn count(&self) -> Result<usize, ChromaError> {
        self.api.count().await
    }

    /// The entries that `limit` records behind the first `skip` are, in the collection's own order, and by their ids those that
    /// are none.
    ///
    /// # Errors
    /// The server cannot be reached, or there is no such collection.
    pub async fn read(
        &self,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<Result<Entry, (String, Unusable)>>, ChromaError> {
        let page = Get { limit: Some(limit), offset: Some(skip), include: ALL, ..Get::default() };
        let records = self.api.get(&page).await?;
        Ok(records
            .iter()
            .map(|record| self.records.entry(record).map_err(|why| (record.id.clone(), why)))
            .collect())
    }

    async fn answer(self, request: VectorsRequest) -> Result<VectorsResponse, ChromaError> {
        match request {
            VectorsRequest::Search(search) => self.search(search).await.map(VectorsResponse::Hits),
            VectorsRequest::Page { skip, limit } => {
                let read = self.read(skip, limit).await?;
                let records = read.len();
                Ok(VectorsResponse::Page(EntryPage {
                    entries: read.into_iter().flatten().collect(),
                    records,
                }))
            }
            VectorsRequest::Upsert(entries) => self.upsert(&entries).await.map(VectorsResponse::Count),
            VectorsRequest::Delete { id, language } => {
                self.delete(id, language).await.map(VectorsResponse::Count)
            }
            VectorsRequest::Count => self.count().await.map(VectorsResponse::Count),
        }
    }

    /// A text without a vector finds nothing: the server searches by nothing else.
    async fn search(&self, search: Search) -> Result<Vec<Hit>, ChromaError> {
        let Search { embedding, language, filter, limit, .. } = search;
        let limit = limit.min(HITS_MAX);
        let Some(meaning) = embedding.filter(|_| limit > 0) else { return Ok(vec![]) };
        let condition = self.records.admitted(&filter);
        let found = self.api.query(&meaning, limit * CANDIDATES_PER_HIT, condition).await?;
        let hit = |(record, cosine): &(Record, f32)| {
            let entry = self.records.entry(record).ok().filter(|entry| filter.admits_entry(entry))?;
            Some(Hit::new(entry, self.score(*cosine)))
        };
        let mut best = best_of_each(found.iter().filter_map(hit).collect(), language);
        best.truncate(limit);
        if let Some(wanted) = language {
            // Of a record that has no other name than its own, there are no versions.
            let named = found.iter().map(|(record, _)| (&record.id, self.records.key(record).0));
            let named: BTreeSet<String> =
                named.filter(|(id, name)| *id != name).map(|(_, name)| name).collect();
            self.put_versions(&mut best, (wanted, &filter), &named).await?;
        }
        Ok(best)
    }

    /// As sure at a threshold as a score of the database's search: words are taken to say what the meaning says.
    fn score(&self, cosine: f32) -> f32 {
        let cosine = beyond(cosine, self.unrelated).clamp(0.0, 1.0);
        fused(cosine, Some(cosine))
    }

    /// Puts the versions in a language into the place of others, of those entries that may have one which the search looks at.
    async fn put_versions(
        &self,
        hits: &mut [Hit],
        (wanted, filter): (Language, &Filter),
        named: &BTreeSet<String>,
    ) -> Result<(), ChromaError> {
        let foreign = hits.iter().map(|hit| &hit.entry).filter(|entry| entry.language != wanted);
        let ids: Vec<String> =
            foreign.filter(|entry| named.contains(&entry.id)).map(|entry| entry.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let versions = self.records.versions(&ids, wanted);
        let versions =
            self.api.get(&Get { condition: Some(versions), include: ALL, ..Get::default() }).await?;
        let entries = versions.iter().filter_map(|record| self.records.entry(record).ok());
        for entry in entries.filter(|entry| filter.admits_entry(entry)) {
            let entry = Arc::new(entry);
            let own = hits.iter_mut().filter(|hit| hit.entry.id == entry.id);
            own.for_each(|hit| hit.entry = Arc::clone(&entry));
        }
        Ok(())
    }

    /// An entry takes the place of its record, whoever made that one; of an entry that is given twice the last one counts.
    async fn upsert(&self, entries: &[(Entry, Embedding)]) -> Result<usize, ChromaError> {
        if entries.is_empty() {
            return Ok(0);
        }
        if let Some((entry, _)) = entries.iter().find(|(entry, _)| !entry.phrasings.is_empty()) {
            let id = &entry.id;
            let told = format!(
                "a record has one question: give the other phrasings of entry '{id}' as entries of their own"
            );
            return Err(ChromaError::Refused(told));
        }
        let ids: BTreeSet<String> = entries.iter().map(|(entry, _)| entry.id.clone()).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        let there: BTreeMap<_, _> = self.places(&ids).await?.into_iter().collect();
        let mut written: BTreeMap<String, (Record, &Embedding)> = BTreeMap::new();
        for (entry, vector) in entries {
            let place = there.get(&(entry.id.clone(), entry.language)).cloned();
            let place = place.unwrap_or_else(|| record_id(&entry.id, entry.language));
            written.insert(place.clone(), (self.records.record(entry, place), vector));
        }
        let mut upsert = Upsert::default();
        for (record, vector) in written.values() {
            upsert.ids.push(&record.id);
            upsert.embeddings.push(vector);
            upsert.documents.push(record.document.as_deref().unwrap_or_default());
            upsert.metadatas.push(&record.metadata);
        }
        self.api.upsert(&upsert).await?;
        Ok(entries.len())
    }

    async fn delete(&self, id: String, language: Option<Language>) -> Result<usize, ChromaError> {
        let placed = self.places(&[id]).await?.into_iter();
        let meant = placed.filter(|((_, of), _)| language.is_none_or(|language| language == *of));
        let places: BTreeSet<String> = meant.map(|(_, place)| place).collect();
        if places.is_empty() {
            return Ok(0);
        }
        let places: Vec<String> = places.into_iter().collect();
        self.api.delete(&places).await?;
        Ok(places.len())
    }

    /// The ids of the records of some entries, by what each is of: those that name them, and those whose own id it is.
    async fn places(&self, ids: &[String]) -> Result<Vec<((String, Language), String)>, ChromaError> {
        let named = Get { condition: Some(self.records.named(ids)), include: ALL, ..Get::default() };
        let mut records = self.api.get(&named).await?;
        let own = Get { ids: Some(ids), include: ALL, ..Get::default() };
        records.extend(self.api.get(&own).await?);
        let placed = records.into_iter().map(|record| (self.records.key(&record), record.id));
        Ok(placed.filter(|((id, _), _)| ids.contains(id)).collect())
    }
}
