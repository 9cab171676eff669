//! Search in the knowledge base: the inverted index and the vectors find candidates, the score orders them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tertulia_actors::domain::{Hit, Language};
use tertulia_actors::failpoint;
use tertulia_actors::ports::{Compute, Search, VectorsError, VectorsRequest, VectorsResponse};

use super::fusion::fused;
use super::memory::Memory;
use super::query::{Query, read};
use crate::knowledge::entries::{KnowledgeError, count, row_of};
use crate::knowledge::text::stems::Stems;
use crate::knowledge::vectors::VectorSpace;

/// Candidates that are found by words at the least; their order is not the score's.
const CANDIDATES_MIN: usize = 30;
/// Candidates for each hit that is asked for: its versions in several languages fall together.
pub(in crate::knowledge) const CANDIDATES_PER_HIT: usize = 4;
/// Hits of one search at the most.
pub const HITS_MAX: usize = 50;
/// How long a connection waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Finds entries by the stems of question and answer, with BM25, and by their vectors, then scores them from 0 to 1.
///
/// Reads on a connection of its own that cannot write, opened by the first search and again after one that failed. What it
/// reads is what was committed before the search began. The first search reads SQLite's full-text index into memory; later ones
/// follow the changes of the entries.
pub struct SqliteVectors {
    path: PathBuf,
    conn: Option<Connection>,
    searcher: Searcher,
}

impl SqliteVectors {
    /// Searches in an existing database that has the knowledge tables; by the vectors of a model, too, where there is one.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, space: Option<VectorSpace>) -> Self {
        Self { path: path.into(), conn: None, searcher: Searcher::new(space) }
    }

    /// Compares no more vectors one by one than this, in a build with the feature `usearch`: beyond, a graph of them finds most of
    /// the nearest.
    #[must_use]
    pub const fn exact_max(mut self, exact_max: usize) -> Self {
        self.searcher.memory.nearest.limit(exact_max);
        self
    }

    /// Reads what the first search would have to read: some 20 us for each entry. What cannot be read is told to that search.
    #[must_use]
    pub fn warmed(mut self) -> Self {
        let warmed = self.read(|searcher, conn| {
            let transaction = conn.unchecked_transaction()?;
            searcher.memory.refresh(conn, &searcher.stems)?;
            Ok(transaction.commit()?)
        });
        if let Err(error) = warmed {
            tracing::debug!(%error, "the knowledge base is read by the first search");
        }
        self
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        // Not read-only: a reader of a database in WAL mode may have to create its shared memory file.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        conn.busy_timeout(LOCK_WAIT)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }

    fn answer(&mut self, request: VectorsRequest) -> Result<VectorsResponse, VectorsError> {
        match request {
            VectorsRequest::Search(search) => {
                failpoint!("vectors.compute", text: &search.text, return Err(VectorsError::Failed("failpoint".into())));
                self.read(|searcher, conn| searcher.find(conn, &search)).map(VectorsResponse::Hits)
            }
            VectorsRequest::Count => self.read(|_, conn| count(conn)).map(VectorsResponse::Count),
            VectorsRequest::Page { .. }
            | VectorsRequest::Get { .. }
            | VectorsRequest::Upsert(_)
            | VectorsRequest::Delete { .. } => Err(VectorsError::Refused(
                "the database's entries are listed and changed by its store".into(),
            )),
        }
    }

    fn read<T>(
        &mut self,
        ask: impl FnOnce(&mut Searcher, &Connection) -> Result<T, KnowledgeError>,
    ) -> Result<T, VectorsError> {
        let conn = self.conn.take().map_or_else(|| self.connect().map_err(KnowledgeError::from), Ok);
        let answered = conn.and_then(|conn| {
            let answer = ask(&mut self.searcher, &conn)?;
            self.conn = Some(conn);
            Ok(answer)
        });
        answered.map_err(|error| VectorsError::Failed(error.to_string()))
    }
}

impl Compute for SqliteVectors {
    type Request = VectorsRequest;
    type Response = VectorsResponse;
    type Error = VectorsError;

    fn compute(&mut self, request: VectorsRequest) -> Result<VectorsResponse, VectorsError> {
        self.answer(request)
    }
}

/// What a search needs beside a connection. It may be used with one database only.
#[derive(Default)]
pub struct Searcher {
    memory: Memory,
    stems: Stems,
}

impl Searcher {
    /// By the vectors of a model, too, where there is one.
    #[must_use]
    pub fn new(space: Option<VectorSpace>) -> Self {
        Self { memory: Memory::new(space), stems: Stems::default() }
    }

    /// Finds the best hits, best first.
    ///
    /// # Errors
    /// The database failed.
    pub fn find(&mut self, conn: &Connection, search: &Search) -> Result<Vec<Hit>, KnowledgeError> {
        let limit = search.limit.min(HITS_MAX);
        if limit == 0 {
            return Ok(Vec::new());
        }
        // One transaction: all is read as of one moment, and the database is locked once.
        let transaction = conn.unchecked_transaction()?;
        self.memory.refresh(conn, &self.stems)?;
        if self.memory.inverted.is_empty() {
            return Ok(Vec::new());
        }
        let stretch = self.memory.audiences.stretch(search.filter.at);
        if let Some(hits) = self.memory.results.get(search, stretch) {
            return Ok(hits);
        }
        let query = read(conn, &self.stems, &mut self.memory.inverted.vocabulary, search)?;
        let candidates = self.candidates(search, &query);
        let mut best = best_of_each(self.scored(conn, search, &query, candidates)?, search.language);
        best.truncate(limit);
        let mut shown = Vec::with_capacity(best.len());
        for hit in best {
            shown.push(self.in_language(conn, hit, search)?);
        }
        transaction.commit()?;
        self.memory.results.put(search, stretch, &shown);
        Ok(shown)
    }

    /// Scores candidates, the most promising first, until no other one can be among the best.
    fn scored(
        &mut self,
        conn: &Connection,
        search: &Search,
        query: &Query,
        candidates: Vec<Candidate>,
    ) -> rusqlite::Result<Vec<Hit>> {
        // An entry is found in each of its languages at the most.
        let enough = search.limit.min(HITS_MAX) * self.memory.inverted.vocabulary.languages().max(1);
        let mut hits = Vec::with_capacity(candidates.len());
        // Of the hits, the highest first.
        let mut scores: Vec<f32> = vec![];
        for Candidate { row, cosine, promise } in candidates {
            if scores.get(enough - 1).is_some_and(|least| *least > promise) {
                break;
            }
            let Some(known) = self.memory.entry(conn, row)? else { continue };
            let words = self.memory.words(&self.stems, &query.asked, &known);
            let score = fused(words, cosine);
            scores.insert(scores.partition_point(|higher| *higher >= score), score);
            hits.push(Hit::new(Arc::clone(&known.entry), score));
        }
        Ok(hits)
    }

    /// The hit in the person's language, where the entry has a version in it that the search looks at.
    fn in_language(&mut self, conn: &Connection, hit: Hit, search: &Search) -> rusqlite::Result<Hit> {
        let Some(wanted) = search.language.filter(|wanted| *wanted != hit.entry.language) else {
            return Ok(hit);
        };
        let Some(row) = row_of(conn, &hit.entry.id, wanted)? else { return Ok(hit) };
        let version = self.memory.entry(conn, row)?;
        let version = version.filter(|version| search.filter.admits_entry(&version.entry));
        Ok(version.map_or(hit.clone(), |version| Hit::new(Arc::clone(&version.entry), hit.score)))
    }

    /// What may be a hit: the best by words, and the nearest in meaning; the most promising first.
    fn candidates(&mut self, search: &Search, query: &Query) -> Vec<Candidate> {
        let count = (search.limit.min(HITS_MAX) * CANDIDATES_PER_HIT).max(CANDIDATES_MIN);
        let memory = &mut self.memory;
        let Memory { inverted, scores, audiences, nearest, .. } = &mut *memory;
        let admitted = audiences.admitted(inverted, &search.filter);
        let admits = |row| admitted.as_ref().is_none_or(|admitted| admitted.has(row));
        // Among those that are admitted, none may have a telling term.
        let telling = if admitted.is_none() { query.ranked.telling } else { query.ranked.stems.len() };
        let mut rows = inverted.best(&query.ranked.stems, (telling, count), scores, admits);
        if let Some(meaning) = &search.embedding {
            rows.extend(nearest.best(meaning, count, admits).into_iter().map(|(row, _)| row));
        }
        rows.sort_unstable();
        rows.dedup();
        let candidate = |row| {
            let cosine = memory.cosine(row, search.embedding.as_deref());
            let stems = memory.inverted.stems(row);
            let words = query.asked.promise(|id| stems.binary_search(&id).is_ok());
            Candidate { row, cosine, promise: fused(words, cosine) }
        };
        let mut candidates: Vec<_> = rows.into_iter().map(candidate).collect();
        candidates.sort_by(|one, other| other.promise.total_cmp(&one.promise));
        candidates
    }
}

/// A row that may be a hit.
struct Candidate {
    row: i64,
    cosine: Option<f32>,
    /// What it is worth at the most.
    promise: f32,
}

/// The best version of each entry, best first; of equal ones that in the person's language.
pub(in crate::knowledge) fn best_of_each(mut hits: Vec<Hit>, language: Option<Language>) -> Vec<Hit> {
    let foreign = |hit: &Hit| Some(hit.entry.language) != language;
    hits.sort_by(|one, other| {
        other
            .score
            .total_cmp(&one.score)
            .then_with(|| foreign(one).cmp(&foreign(other)))
            .then_with(|| one.entry.id.cmp(&other.entry.id))
    });
    let mut seen = BTreeSet::new();
    hits.retain(|hit| seen.insert(hit.entry.id.clone()));
    hits
}

#[cfg(test)]
mod answers_tests;
#[cfg(test)]
mod audience_tests;
#[cfg(test)]
mod tests;
