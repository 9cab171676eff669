//! Search in the knowledge base: SQLite's full-text index and the vectors find candidates, the score orders them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use tertulia_actors::domain::{Hit, Language};
use tertulia_actors::failpoint;
use tertulia_actors::ports::{Compute, Search, VectorsError, VectorsRequest, VectorsResponse};

use super::fusion::fused;
use super::memory::Memory;
use super::query::{Query, read};
use super::score::score;
use crate::knowledge::entries::{KnowledgeError, count, row_of};
use crate::knowledge::text::stems::Stems;
use crate::knowledge::vectors::VectorSpace;

/// Candidates that the full-text index gives at the least; its order is not the score's.
const CANDIDATES_MIN: usize = 30;
/// Candidates for each hit that is asked for: its versions in several languages fall together.
pub(in crate::knowledge) const CANDIDATES_PER_HIT: usize = 4;
/// Hits of one search at the most.
pub const HITS_MAX: usize = 50;
/// How long a connection waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Finds entries by the stems of question and answer, with BM25 in SQLite's FTS5, then scores them from 0 to 1.
///
/// Reads on a connection of its own that cannot write, opened by the first search and again after one that failed. What it
/// reads is what was committed before the search began; what it remembers of earlier searches holds until the entries
/// change.
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

    fn connect(&self) -> rusqlite::Result<Connection> {
        // Not read-only: a reader of a database in WAL mode may have to create its shared memory file.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        conn.busy_timeout(LOCK_WAIT)?;
        conn.pragma_update(None, "query_only", true)?;
        // The full-text index compares ranges by statements of its own, which would be planned anew each time.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
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
        let stretch = self.memory.audiences.stretch(search.filter.at);
        if let Some(hits) = self.memory.results.get(search, stretch) {
            return Ok(hits);
        }
        let query = read(conn, &self.stems, &mut self.memory.vocabulary, search)?;
        let rows = self.candidates(conn, search, &query)?;
        let mut hits = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(known) = self.memory.entry(conn, &self.stems, row)? else { continue };
            let words = score(&self.memory.vocabulary, &query.asked, &known.stored);
            let cosine = self.memory.cosine(row, search.embedding.as_deref());
            hits.push(Hit::new(Arc::clone(&known.entry), fused(words, cosine)));
        }
        let mut best = best_of_each(hits, search.language);
        best.truncate(limit);
        let mut shown = Vec::with_capacity(best.len());
        for hit in best {
            shown.push(self.in_language(conn, hit, search)?);
        }
        transaction.commit()?;
        self.memory.results.put(search, stretch, &shown);
        Ok(shown)
    }

    /// The hit in the person's language, where the entry has a version in it that the search looks at.
    fn in_language(&mut self, conn: &Connection, hit: Hit, search: &Search) -> rusqlite::Result<Hit> {
        let Some(wanted) = search.language.filter(|wanted| *wanted != hit.entry.language) else {
            return Ok(hit);
        };
        let Some(row) = row_of(conn, &hit.entry.id, wanted)? else { return Ok(hit) };
        let version = self.memory.entry(conn, &self.stems, row)?;
        let version = version.filter(|version| search.filter.admits_entry(&version.entry));
        Ok(version.map_or(hit.clone(), |version| Hit::new(Arc::clone(&version.entry), hit.score)))
    }

    /// The rows that may be hits: the best by words, and the nearest in meaning.
    fn candidates(
        &mut self,
        conn: &Connection,
        search: &Search,
        query: &Query,
    ) -> rusqlite::Result<Vec<i64>> {
        let count = (search.limit.min(HITS_MAX) * CANDIDATES_PER_HIT).max(CANDIDATES_MIN);
        let Memory { audiences, nearest, .. } = &mut self.memory;
        let admitted = audiences.admitted(conn, &search.filter)?;
        let admits = |row| admitted.as_ref().is_none_or(|admitted| admitted.has(row));
        let is_for_all = admitted.is_none();
        // Among those that are admitted, none may have a telling term.
        let full_text = if is_for_all { &query.telling } else { &query.full_text };
        let mut rows = by_words(conn, full_text, (count, is_for_all), admits)?;
        if let Some(meaning) = &search.embedding {
            rows.extend(nearest.best(meaning, count, admits).into_iter().map(|(row, _)| row));
        }
        rows.sort_unstable();
        rows.dedup();
        Ok(rows)
    }
}

/// The admitted rows of the entries that BM25 finds the best, their question weighted above their answer. Not scored yet.
fn by_words(
    conn: &Connection,
    query: &str,
    (count, is_for_all): (usize, bool),
    admits: impl Fn(i64) -> bool,
) -> rusqlite::Result<Vec<i64>> {
    if query.is_empty() {
        return Ok(vec![]);
    }
    // Where some are not admitted, all that are found have to be looked at, which costs more; -1: no limit.
    let limit = if is_for_all { i64::try_from(count).unwrap_or(i64::MAX) } else { -1 };
    let mut select = conn.prepare_cached(
        "SELECT rowid FROM knowledge_text WHERE knowledge_text MATCH ?1 AND rank MATCH 'bm25(4.0, 1.0)' \
         ORDER BY rank LIMIT ?2",
    )?;
    let rows = select.query_map(params![query, limit], |row| row.get(0))?;
    rows.filter(|row| row.as_ref().map_or(true, |row| admits(*row))).take(count).collect()
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
