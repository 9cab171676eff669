//! Search in the knowledge base: SQLite's full-text index finds candidates, the score orders them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tertulia_actors::domain::{Hit, Language};
use tertulia_actors::failpoint;
use tertulia_actors::ports::{Compute, Search, VectorsError};

use super::entries::{KnowledgeError, entry, get};
use super::normalise::Stems;
use super::score::{Asked, Weights, score};

/// Stems of a query that are looked up; what a person asks is said by then.
const QUERY_STEMS_MAX: usize = 64;
/// Candidates that the full-text index gives at the least; more are cheap, and its order is not the score's.
const CANDIDATES_MIN: usize = 10;
/// Candidates for each hit that is asked for: its versions in several languages fall together.
const CANDIDATES_PER_HIT: usize = 4;
/// Hits of one search at the most.
pub const HITS_MAX: usize = 50;
/// How long a connection waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// Finds entries by the stems of question and answer, with BM25 in SQLite's FTS5, then scores them from 0 to 1.
///
/// Reads on a connection of its own that cannot write, opened by the first search and again after one that failed. What it
/// reads is what was committed before the search began.
pub struct SqliteVectors {
    path: PathBuf,
    conn: Option<Connection>,
    stems: Stems,
}

impl SqliteVectors {
    /// Searches in an existing database that has the knowledge tables.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), conn: None, stems: Stems::new() }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        // Not read-only: a reader of a database in WAL mode may have to create its shared memory file.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        conn.busy_timeout(LOCK_WAIT)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }

    fn search(&mut self, search: &Search) -> Result<Vec<Hit>, KnowledgeError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.connect()?,
        };
        let found = find(&conn, &self.stems, search)?;
        self.conn = Some(conn);
        Ok(found)
    }
}

impl Compute for SqliteVectors {
    type Request = Search;
    type Response = Vec<Hit>;
    type Error = VectorsError;

    fn compute(&mut self, search: Search) -> Result<Vec<Hit>, VectorsError> {
        failpoint!("vectors.compute", text: &search.text, return Err(VectorsError::Failed("failpoint".into())));
        self.search(&search).map_err(|error| VectorsError::Failed(error.to_string()))
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
