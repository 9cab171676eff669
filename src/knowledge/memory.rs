//! What a search remembers of the knowledge base from one time to the next: how telling each stem is, and the entries it has
//! found, read into stems. All of it holds for one generation of the entries, and is forgotten when that has passed.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use tertulia_actors::domain::Entry;

use super::entries::entry;
use super::normalise::Stems;
use super::score::{Stored, Weights};

/// Entries that are remembered at the most; the whole base of most businesses.
const ENTRIES_MAX: usize = 4_096;

/// An entry as a search needs it.
pub(super) struct Known {
    pub(super) entry: Entry,
    pub(super) stored: Stored,
}

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory {
    generation: Option<i64>,
    weights: Weights,
    entries: HashMap<i64, Arc<Known>>,
}

impl Memory {
    /// Forgets what no longer holds. To be called in the transaction of the search.
    pub(super) fn refresh(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let generation: i64 =
            conn.prepare_cached("SELECT generation FROM knowledge_state")?.query_row([], |row| row.get(0))?;
        if self.generation != Some(generation) {
            // Not of this generation before all of it was read.
            *self = Self::default();
            self.weights = Weights { counts: counts(conn)?, total: total(conn)? };
            self.generation = Some(generation);
        }
        Ok(())
    }

    /// How telling stems are.
    pub(super) const fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The entry of a row; none where there is no such row.
    pub(super) fn entry(
        &mut self,
        conn: &Connection,
        stems: &Stems,
        row: i64,
    ) -> rusqlite::Result<Option<Arc<Known>>> {
        if let Some(known) = self.entries.get(&row) {
            return Ok(Some(Arc::clone(known)));
        }
        let mut select =
            conn.prepare_cached("SELECT id, language, question, answer FROM knowledge WHERE rowid = ?1")?;
        let mut rows = select.query(params![row])?;
        let Some(found) = rows.next()? else { return Ok(None) };
        let entry = entry(found)?;
        let stored = Stored::new(stems, &entry.question, &entry.answer);
        let known = Arc::new(Known { entry, stored });
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
        }
        self.entries.insert(row, Arc::clone(&known));
        Ok(Some(known))
    }
}

/// In how many questions each stem of the index occurs; 0 where only answers have it.
///
/// All at once: SQLite prepares statements anew each time this table is looked into.
fn counts(conn: &Connection) -> rusqlite::Result<HashMap<String, u64>> {
    let mut select = conn.prepare("SELECT term, doc, col = 'question' FROM knowledge_stems")?;
    let mut rows = select.query([])?;
    let mut counts = HashMap::new();
    while let Some(row) = rows.next()? {
        let is_in_questions: bool = row.get(2)?;
        let count = if is_in_questions { row.get::<_, i64>(1)?.unsigned_abs() } else { 0 };
        *counts.entry(row.get(0)?).or_default() += count;
    }
    Ok(counts)
}

/// How many entries there are, at the most: the highest row, since counting reads them all and only the logarithm
/// matters.
fn total(conn: &Connection) -> rusqlite::Result<u64> {
    let highest: Option<i64> = conn.query_row("SELECT max(rowid) FROM knowledge", [], |row| row.get(0))?;
    Ok(highest.unwrap_or(0).unsigned_abs())
}
