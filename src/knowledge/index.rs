//! Search in the knowledge base: SQLite's full-text index finds candidates, the score orders them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use r2d2::{ManageConnection, Pool};
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tertulia_actors::domain::{Hit, Language};
use tertulia_actors::ports::{PortFuture, Search, Vectors, VectorsError};
use thiserror::Error;

use super::entries::{KnowledgeError, entry, get};
use super::normalise::Stems;
use super::score::{Asked, Weights, score};
use super::workers::Workers;

/// Stems of a query that are looked up; what a person asks is said by then.
const QUERY_STEMS_MAX: usize = 64;
/// Candidates that the full-text index gives at the least; more are cheap, and its order is not the score's.
const CANDIDATES_MIN: usize = 10;
/// Candidates for each hit that is asked for: its versions in several languages fall together.
const CANDIDATES_PER_HIT: usize = 4;
/// Hits of one search at the most.
pub const HITS_MAX: usize = 50;
/// How long a thread waits for its connection, and a connection for a lock.
const CONNECTION_WAIT: Duration = Duration::from_secs(5);

/// Why the index was not opened.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The database cannot be opened, or has no knowledge tables.
    #[error("knowledge base cannot be opened, check the path and run `tertulia db migrate`: {0}")]
    Open(#[from] rusqlite::Error),
    /// Not all connections could be made.
    #[error("connections for the knowledge search cannot be made: {0}")]
    Connections(#[from] r2d2::Error),
    /// The system gives no threads.
    #[error("no threads for the knowledge search: {0}")]
    Threads(#[from] io::Error),
}

/// Finds entries by the stems of question and answer, with BM25 in SQLite's FTS5, then scores them from 0 to 1.
///
/// Reads on its own few threads (`knowledge-0`, …) with connections that cannot write. What it reads is what was
/// committed before the search began.
pub struct SqliteVectors {
    workers: Workers,
    pool: Pool<SqliteConnectionManager>,
    stems: Arc<Stems>,
}

impl SqliteVectors {
    /// Opens an existing database that has the knowledge tables. `threads` search at the same time; at most `queue_max`
    /// searches wait for them, one more fails at once.
    ///
    /// # Errors
    /// When there is no such database, when it has no knowledge tables, or when there is no thread.
    pub fn open(path: impl AsRef<Path>, threads: usize, queue_max: usize) -> Result<Self, IndexError> {
        let threads = threads.max(1);
        // Not read-only: a reader of a database in WAL mode may have to create its shared memory file.
        let manager = SqliteConnectionManager::file(path)
            .with_flags(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .with_init(|conn| {
                conn.busy_timeout(CONNECTION_WAIT)?;
                conn.pragma_update(None, "query_only", true)
            });
        // The pool would try again for a while before it tells what is wrong.
        manager.connect()?.prepare("SELECT 1 FROM knowledge, knowledge_text, knowledge_stems")?;
        let pool = Pool::builder()
            .max_size(u32::try_from(threads).unwrap_or(u32::MAX))
            .connection_timeout(CONNECTION_WAIT)
            .build(manager)?;
        let workers = Workers::start("knowledge", threads, queue_max)?;
        Ok(Self { workers, pool, stems: Arc::new(Stems::new()) })
    }
}

impl Vectors for SqliteVectors {
    fn search(&self, search: Search) -> PortFuture<Vec<Hit>, VectorsError> {
        let (pool, stems) = (self.pool.clone(), Arc::clone(&self.stems));
        let found = self.workers.run(move || {
            let conn = pool.get().map_err(|error| VectorsError::Failed(error.to_string()))?;
            find(&conn, &stems, &search).map_err(|error| VectorsError::Failed(error.to_string()))
        });
        Box::pin(async move { found.await.map_err(|error| VectorsError::Failed(error.to_string()))? })
    }
}

/// Searches on the caller's connection and thread; for commands.
///
/// # Errors
/// The database failed.
pub fn find(conn: &Connection, stems: &Stems, search: &Search) -> Result<Vec<Hit>, KnowledgeError> {
    let query = query_stems(stems, &search.text);
    let limit = search.limit.min(HITS_MAX);
    if query.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let mut weights = Weights { counts: counts(conn, &query)?, total: total(conn)? };
    let hits = candidates(conn, &query, limit)?;
    for hit in &hits {
        // The weights of the stored stems are needed as well: a question is near only if little else is asked in it.
        let stored = stems.of(&hit.entry.question).into_iter();
        let unknown = stored.filter(|stem| !weights.counts.contains_key(stem)).collect();
        weights.counts.extend(counts(conn, &unknown)?);
    }
    let asked = Asked::new(stems, &search.text, query);
    let hits = hits.into_iter().map(|hit| Hit {
        score: score(stems, &asked, &weights, &hit.entry.question, &hit.entry.answer),
        ..hit
    });
    let mut best = best_of_each(hits, search.language);
    best.truncate(limit);
    best.into_iter().map(|hit| in_language(conn, hit, search.language)).collect()
}

/// The stems to look for, without repetition: the first ones of a long text.
fn query_stems(stems: &Stems, text: &str) -> BTreeSet<String> {
    let mut query = BTreeSet::new();
    for stem in stems.of(text) {
        if query.len() == QUERY_STEMS_MAX {
            break;
        }
        query.insert(stem);
    }
    query
}

/// The full-text query: any of the stems. Each is quoted, so that nothing in it is an operator.
fn any_of(query: &BTreeSet<String>) -> String {
    let quoted: Vec<_> = query.iter().map(|stem| format!("\"{}\"", stem.replace('"', ""))).collect();
    quoted.join(" OR ")
}

/// The entries that BM25 finds the best, their question weighted above their answer. Not scored yet.
fn candidates(conn: &Connection, query: &BTreeSet<String>, limit: usize) -> rusqlite::Result<Vec<Hit>> {
    let candidates = (limit * CANDIDATES_PER_HIT).max(CANDIDATES_MIN);
    conn.prepare_cached(
        "SELECT k.id, k.language, k.question, k.answer
         FROM (SELECT rowid AS found, rank AS distance FROM knowledge_text
               WHERE knowledge_text MATCH ?1 AND rank MATCH 'bm25(4.0, 1.0)'
               ORDER BY rank LIMIT ?2)
         JOIN knowledge k ON k.rowid = found ORDER BY distance",
    )?
    .query_map(params![any_of(query), i64::try_from(candidates).unwrap_or(i64::MAX)], |row| {
        Ok(Hit { entry: entry(row)?, score: 0.0 })
    })?
    .collect()
}

/// In how many questions each stem occurs.
fn counts(conn: &Connection, stems: &BTreeSet<String>) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut select =
        conn.prepare_cached("SELECT doc FROM knowledge_stems WHERE term = ?1 AND col = 'question'")?;
    let mut counts = BTreeMap::new();
    for stem in stems {
        let count: Option<i64> = select.query_row([stem], |row| row.get(0)).optional()?;
        counts.insert(stem.clone(), count.unwrap_or(0).unsigned_abs());
    }
    Ok(counts)
}

/// How many entries there are, at the most: the highest row, since counting reads them all and only the logarithm
/// matters.
fn total(conn: &Connection) -> rusqlite::Result<u64> {
    let highest: Option<i64> =
        conn.prepare_cached("SELECT max(rowid) FROM knowledge")?.query_row([], |row| row.get(0))?;
    Ok(highest.unwrap_or(0).unsigned_abs())
}

/// The best version of each entry, best first; of equal ones that in the person's language.
fn best_of_each(hits: impl Iterator<Item = Hit>, language: Option<Language>) -> Vec<Hit> {
    let foreign = |hit: &Hit| Some(hit.entry.language) != language;
    let mut hits: Vec<_> = hits.collect();
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

/// The hit in the person's language, where the entry has a version in it.
fn in_language(conn: &Connection, hit: Hit, language: Option<Language>) -> Result<Hit, KnowledgeError> {
    match language {
        Some(wanted) if wanted != hit.entry.language => {
            let version = get(conn, &hit.entry.id, wanted)?;
            Ok(Hit { entry: version.unwrap_or(hit.entry), score: hit.score })
        }
        _ => Ok(hit),
    }
}

#[cfg(test)]
mod answers_tests;
#[cfg(test)]
mod tests;
