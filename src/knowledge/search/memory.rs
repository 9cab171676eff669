//! What a search remembers of the knowledge base from one time to the next: its vocabulary, and the entries it has found, read
//! into stems, and for whom each entry is, which hold for one generation of the entries and are forgotten when that has passed; and the vectors of the
//! entries, of which only what changed is read again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, params};
use tertulia_actors::domain::Entry;

use super::audiences::Audiences;
use super::fusion::beyond;
use super::nearest::Nearest;
use super::results::Results;
use super::score::Stored;
use super::vocabulary::Vocabulary;
use crate::knowledge::entries::entry;
use crate::knowledge::text::stems::Stems;
use crate::knowledge::vectors::{self, VectorSpace};

/// Entries that are remembered at the most, some 2 KiB each; the whole base of most businesses.
const ENTRIES_MAX: usize = 16_384;

/// An entry as a search needs it.
pub(super) struct Known {
    pub(super) entry: Arc<Entry>,
    pub(super) stored: Stored,
}

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory {
    generation: Option<i64>,
    pub(super) vocabulary: Vocabulary,
    entries: HashMap<i64, Arc<Known>>,
    pub(super) results: Results,
    pub(super) audiences: Audiences,
    /// Which vectors are read; none where only words are searched.
    space: Option<VectorSpace>,
    vectors_read: i64,
    vectors_removed: i64,
    pub(super) nearest: Nearest,
}

impl Memory {
    /// Of vectors, too, where there are some.
    pub(super) fn new(space: Option<VectorSpace>) -> Self {
        Self { space, ..Self::default() }
    }

    /// How near a row and what is asked are in meaning, beyond what any texts have in common; none where that is not known.
    pub(super) fn cosine(&self, row: i64, meaning: Option<&[f32]>) -> Option<f32> {
        let cosine = self.nearest.cosine(row, meaning?)?;
        Some(beyond(cosine, self.space.as_ref()?.unrelated))
    }

    /// Forgets what no longer holds. To be called in the transaction of the search.
    pub(super) fn refresh(&mut self, conn: &Connection, stems: &Stems) -> rusqlite::Result<()> {
        let (generation, vectors, removed): (i64, i64, i64) = conn
            .prepare_cached("SELECT generation, vectors, vectors_removed FROM knowledge_state")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if self.generation != Some(generation) {
            // Not of this generation before all of it was read.
            self.generation = None;
            self.entries.clear();
            self.results.clear();
            self.vocabulary = Vocabulary::read(conn, stems)?;
            self.audiences = Audiences::read(conn)?;
            self.generation = Some(generation);
        }
        if let Some(VectorSpace { model, .. }) = &self.space
            && self.vectors_read != vectors
        {
            self.results.clear();
            if self.vectors_removed != removed {
                forget_removed(conn, model, &mut self.nearest)?;
                self.vectors_removed = removed;
            }
            read_changes(conn, model, self.vectors_read, &mut self.nearest)?;
            self.vectors_read = vectors;
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
        let mut select = conn.prepare_cached("SELECT * FROM knowledge WHERE rowid = ?1")?;
        let mut rows = select.query(params![row])?;
        let Some(found) = rows.next()? else { return Ok(None) };
        let entry = entry(found)?;
        let stored = Stored::new(stems, &self.vocabulary, &entry);
        let known = Arc::new(Known { entry: Arc::new(entry), stored });
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
        }
        self.entries.insert(row, Arc::clone(&known));
        Ok(Some(known))
    }
}

/// Forgets the vectors that the database has no more.
fn forget_removed(conn: &Connection, model: &str, nearest: &mut Nearest) -> rusqlite::Result<()> {
    let mut select = conn.prepare_cached("SELECT entry FROM knowledge_vectors WHERE model = ?1")?;
    let left: HashSet<i64> = select.query_map([model], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let gone: Vec<i64> = nearest.rows().filter(|row| !left.contains(row)).collect();
    gone.into_iter().for_each(|row| nearest.remove(row));
    Ok(())
}

/// Reads the vectors that were written since the state `since`.
fn read_changes(conn: &Connection, model: &str, since: i64, nearest: &mut Nearest) -> rusqlite::Result<()> {
    let mut select = conn.prepare_cached(
        "SELECT entry, vector, ways FROM knowledge_vectors WHERE model = ?1 AND change > ?2",
    )?;
    let mut rows = select.query(params![model, since])?;
    while let Some(row) = rows.next()? {
        let entry = row.get(0)?;
        let ways = usize::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
        match row.get_ref(1)?.as_bytes_or_null()?.and_then(|bytes| vectors::read(bytes, ways)) {
            Some(vectors) => drop(nearest.put(entry, &vectors, ways)),
            None => nearest.remove(entry),
        }
    }
    Ok(())
}
