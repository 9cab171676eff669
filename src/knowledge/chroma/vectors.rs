//! A collection behind the port of the index: what is searched in it, and what is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::TryFutureExt;
use reqwest::Client;
use serde_json::Value;
use tertulia_actors::domain::{Embedding, Entry, Filter, Hit, Language};
use tertulia_actors::ports::{
    EntryPage, PortFuture, Search, Vectored, VectorsError, VectorsRequest, VectorsResponse,
};

use super::ChromaSettings;
use super::api::{Api, ChromaError};
use super::record::{Records, Unusable, record_id};
use super::wire::{ALL, Get, IDS, Record, Upsert};
use crate::knowledge::search::fusion::{beyond, fused};
use crate::knowledge::search::index::{CANDIDATES_PER_HIT, HITS_MAX, best_of_each};

/// Records that are read, written or removed in one call at the most: what Chroma's cloud admits
/// (<https://docs.trychroma.com/cloud/quotas-limits>).
const RECORDS_MAX: usize = 300;

/// Calls of one search at the most that look for further entries, where those before found one entry in many ways.
const ROUNDS_MAX: usize = 4;

/// Some records of a collection.
#[derive(Debug)]
pub struct RecordPage {
    /// How many were read; fewer than were asked for at the end of the collection.
    pub records: usize,
    /// The entries that they are, and of those that are none the ids, and why. Other ways of asking for an entry are neither.
    pub entries: Vec<Result<Entry, (String, Unusable)>>,
}

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
    pub async fn records(&self) -> Result<usize, ChromaError> {
        self.api.count().await
    }

    /// How many records there are that are not another way of asking for an entry: one for each entry, and those that are none.
    async fn entries(&self) -> Result<usize, ChromaError> {
        let all = self.records().await?;
        Ok(all.saturating_sub(self.all(&Records::ways(), IDS).await?.len()))
    }

    /// All records whose metadata is so, read page by page.
    async fn all(
        &self,
        condition: &Value,
        include: &'static [&'static str],
    ) -> Result<Vec<Record>, ChromaError> {
        let mut all = vec![];
        loop {
            let condition = Some(condition.clone());
            let page = Get {
                condition,
                limit: Some(RECORDS_MAX),
                offset: Some(all.len()),
                include,
                ..Get::default()
            };
            let found = self.api.get(&page).await?;
            let is_last = found.len() < RECORDS_MAX;
            all.extend(found);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// What `limit` records behind the first `skip` are, in the collection's own order.
    ///
    /// # Errors
    /// The server cannot be reached, or there is no such collection.
    pub async fn read(&self, skip: usize, limit: usize) -> Result<RecordPage, ChromaError> {
        let page = Get { limit: Some(limit), offset: Some(skip), include: ALL, ..Get::default() };
        let records = self.api.get(&page).await?;
        let entry = |record: &Record| self.records.entry(record).map_err(|why| (record.id.clone(), why));
        let entries = records.iter().filter(|record| Records::way_of(record).is_none()).map(entry).collect();
        Ok(RecordPage { records: records.len(), entries })
    }

    async fn answer(self, request: VectorsRequest) -> Result<VectorsResponse, ChromaError> {
        match request {
            VectorsRequest::Search(search) => self.search(search).await.map(VectorsResponse::Hits),
            VectorsRequest::Page { skip, limit } => {
                let RecordPage { records, entries } = self.read(skip, limit).await?;
                let entries = entries.into_iter().flatten().collect();
                Ok(VectorsResponse::Page(EntryPage { entries, records }))
            }
            VectorsRequest::Get { id, language } => self.one(id, language).await.map(VectorsResponse::Page),
            VectorsRequest::Upsert(entries) => self.upsert(&entries).await.map(VectorsResponse::Count),
            VectorsRequest::Delete { id, language } => {
                self.delete(id, language).await.map(VectorsResponse::Count)
            }
            VectorsRequest::Count => self.entries().await.map(VectorsResponse::Count),
        }
    }

    /// A text without a vector finds nothing: the server searches by nothing else.
    async fn search(&self, search: Search) -> Result<Vec<Hit>, ChromaError> {
        let Search { embedding, language, filter, limit, .. } = search;
        let limit = limit.min(HITS_MAX);
        let Some(meaning) = embedding.filter(|_| limit > 0) else { return Ok(vec![]) };
        let found = self.nearest(&meaning, limit, &filter).await?;
        let firsts = self.firsts(&found).await?;
        let hit = |(record, cosine): &(Record, f32)| {
            let record = whole(record, &firsts)?;
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

    /// The nearest records: of so many entries, if there are, though one of them may be asked for in many ways that are all near.
    async fn nearest(
        &self,
        meaning: &Embedding,
        limit: usize,
        filter: &Filter,
    ) -> Result<Vec<(Record, f32)>, ChromaError> {
        let count = limit * CANDIDATES_PER_HIT;
        let (mut found, mut crowded): (Vec<(Record, f32)>, Vec<String>) = (vec![], vec![]);
        for _ in 0..ROUNDS_MAX {
            let condition = self.records.admitted(filter, &crowded);
            let some = self.api.query(meaning, count, condition).await?;
            let is_all = some.len() < count;
            found.extend(some);
            let ids = |records: &[(Record, f32)], ways_only: bool| -> BTreeSet<String> {
                let meant =
                    records.iter().filter(|(record, _)| !ways_only || Records::way_of(record).is_some());
                meant.map(|(record, _)| self.records.key(record).0).collect()
            };
            let next: Vec<String> = ids(&found, true).into_iter().collect();
            if is_all || next.len() == crowded.len() || ids(&found, false).len() >= limit {
                break;
            }
            crowded = next;
        }
        Ok(found)
    }

    /// The records that are the entries for which other ways of asking were found, by their ids.
    async fn firsts(&self, found: &[(Record, f32)]) -> Result<BTreeMap<String, Record>, ChromaError> {
        let wanted: BTreeSet<&str> = found.iter().filter_map(|(record, _)| Records::way_of(record)).collect();
        let is_wanted = |record: &&Record| wanted.contains(record.id.as_str());
        let there = found.iter().map(|(record, _)| record).filter(is_wanted);
        let mut firsts: BTreeMap<String, Record> =
            there.map(|record| (record.id.clone(), record.clone())).collect();
        let missing: Vec<String> =
            wanted.into_iter().filter(|id| !firsts.contains_key(*id)).map(str::to_owned).collect();
        if !missing.is_empty() {
            let get = Get { ids: Some(&missing), include: ALL, ..Get::default() };
            let got = self.api.get(&get).await?;
            firsts.extend(got.into_iter().map(|record| (record.id.clone(), record)));
        }
        Ok(firsts)
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
        let versions = versions.iter().filter(|record| Records::way_of(record).is_none());
        let entries = versions.filter_map(|record| self.records.entry(record).ok());
        for entry in entries.filter(|entry| filter.admits_entry(entry)) {
            let entry = Arc::new(entry);
            let own = hits.iter_mut().filter(|hit| hit.entry.id == entry.id);
            own.for_each(|hit| hit.entry = Arc::clone(&entry));
        }
        Ok(())
    }

    /// An entry takes the place of its record, whoever made that one, and its ways of asking that of those before; of an entry that is
    /// given twice the last one counts.
    async fn upsert(&self, entries: &[Vectored]) -> Result<usize, ChromaError> {
        if entries.is_empty() {
            return Ok(0);
        }
        let ids: BTreeSet<String> = entries.iter().map(|(entry, _)| entry.id.clone()).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        let mut places = self.places(&ids).await?;
        let last: BTreeMap<_, _> = entries
            .iter()
            .map(|(entry, vectors)| ((entry.id.clone(), entry.language), (entry, vectors)))
            .collect();
        let (mut written, mut surplus) = (BTreeMap::new(), BTreeSet::new());
        for (key, (entry, vectors)) in last {
            let Some(Some(_)) = vectors.first() else {
                return Err(ChromaError::Refused(format!("entry '{}' has no vector", entry.id)));
            };
            let Place { first, ways, .. } = places.remove(&key).unwrap_or_default();
            surplus.extend(ways);
            let first = first.unwrap_or_else(|| record_id(&entry.id, entry.language));
            for (record, vector) in self.records.records(entry, first).into_iter().zip(vectors) {
                if let Some(vector) = vector {
                    written.insert(record.id.clone(), (record, vector));
                }
            }
        }
        // The entries go before their other ways of asking, which are nothing without them.
        let (firsts, ways): (Vec<_>, Vec<_>) =
            written.values().partition(|(record, _)| Records::way_of(record).is_none());
        for some in [firsts, ways].concat().chunks(RECORDS_MAX) {
            let mut upsert = Upsert::default();
            for (record, vector) in some {
                upsert.ids.push(&record.id);
                upsert.embeddings.push(vector);
                upsert.documents.push(record.document.as_deref().unwrap_or_default());
                upsert.metadatas.push(&record.metadata);
            }
            self.api.upsert(&upsert).await?;
        }
        // Until they are gone, a search passes over ways that the entry does not have any more.
        self.remove(surplus.into_iter().filter(|id| !written.contains_key(id)).collect()).await?;
        Ok(entries.len())
    }

    async fn delete(&self, id: String, language: Option<Language>) -> Result<usize, ChromaError> {
        let mut places = self.places(&[id]).await?;
        places.retain(|(_, of), _| language.is_none_or(|language| language == *of));
        let count = places.len();
        self.remove(places.into_values().flat_map(|place| place.all).collect()).await?;
        Ok(count)
    }

    async fn remove(&self, ids: Vec<String>) -> Result<(), ChromaError> {
        for some in ids.chunks(RECORDS_MAX) {
            self.api.delete(some).await?;
        }
        Ok(())
    }

    /// What an entry says, in one language or in all; each version once.
    async fn one(&self, id: String, language: Option<Language>) -> Result<EntryPage, ChromaError> {
        let found = self.of(&[id]).await?;
        let meant = found.iter().filter(|record| Records::way_of(record).is_none());
        let entries = meant.filter_map(|record| self.records.entry(record).ok());
        let entries = entries.filter(|entry| language.is_none_or(|language| language == entry.language));
        let versions: BTreeMap<Language, Entry> = entries.map(|entry| (entry.language, entry)).collect();
        let entries: Vec<Entry> = versions.into_values().collect();
        Ok(EntryPage { records: entries.len(), entries })
    }

    /// Where some entries are, by id and language.
    async fn places(&self, ids: &[String]) -> Result<BTreeMap<(String, Language), Place>, ChromaError> {
        let mut places: BTreeMap<_, Place> = BTreeMap::new();
        for record in self.of(ids).await? {
            let place = places.entry(self.records.key(&record)).or_default();
            place.all.push(record.id.clone());
            match Records::way_of(&record) {
                Some(_) => place.ways.push(record.id),
                None => place.first = Some(record.id),
            }
        }
        Ok(places)
    }

    /// The records of some entries: those that name them, and those whose own id it is.
    async fn of(&self, ids: &[String]) -> Result<Vec<Record>, ChromaError> {
        let mut records = self.all(&self.records.named(ids), ALL).await?;
        let own = Get { ids: Some(ids), include: ALL, ..Get::default() };
        records.extend(self.api.get(&own).await?);
        let mut seen = BTreeSet::new();
        records.retain(|record| ids.contains(&self.records.key(record).0) && seen.insert(record.id.clone()));
        Ok(records)
    }
}

/// The records of an entry in one language.
#[derive(Default)]
struct Place {
    /// All of them.
    all: Vec<String>,
    /// The one that is the entry.
    first: Option<String>,
    /// Those that are other ways of asking for it.
    ways: Vec<String>,
}

/// The record that is the entry for which a record was found; none where it is gone, or is not put so any more.
fn whole<'a>(found: &'a Record, firsts: &'a BTreeMap<String, Record>) -> Option<&'a Record> {
    match Records::way_of(found) {
        None => Some(found),
        Some(first) => {
            let words = found.document.as_deref().unwrap_or_default();
            firsts.get(first).filter(|first| Records::is_put(first, words))
        }
    }
}
