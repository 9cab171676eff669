//! What a search remembers of the knowledge base from one time to the next: its vocabulary, and the entries it has found, read
//! into stems. All of it holds for one generation of the entries, and is forgotten when that has passed.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use tertulia_actors::domain::Entry;

use super::score::Stored;
use super::vocabulary::Vocabulary;
use crate::knowledge::entries::entry;
use crate::knowledge::text::stems::Stems;

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
    pub(super) vocabulary: Vocabulary,
    entries: HashMap<i64, Arc<Known>>,
}

impl Memory {
    /// Forgets what no longer holds. To be called in the transaction of the search.
    pub(super) fn refresh(&mut self, conn: &Connection, stems: &Stems) -> rusqlite::Result<()> {
        let generation: i64 =
            conn.prepare_cached("SELECT generation FROM knowledge_state")?.query_row([], |row| row.get(0))?;
        if self.generation != Some(generation) {
            // Not of this generation before all of it was read.
            *self = Self::default();
            self.vocabulary = Vocabulary::read(conn, stems)?;
            self.generation = Some(generation);
        }
        Ok(())
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
        let stored = Stored::new(stems, &self.vocabulary, &entry);
        let known = Arc::new(Known { entry, stored });
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
        }
        self.entries.insert(row, Arc::clone(&known));
        Ok(Some(known))
    }
}
