//! What a search remembers of the knowledge base from one time to the next: the inverted index, the entries that it has found, read
//! into stems, and the vectors, of all of which only what changed is read again; for whom each entry is, and what was found lately,
//! which hold until something changes.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use tertulia_actors::domain::Entry;

use super::audiences::Audiences;
use super::fusion::beyond;
use super::inverted::{Indexed, Inverted, Loading};
use super::nearest::Nearest;
use super::results::Results;
use super::score::{Asked, Stored, score};
use crate::knowledge::entries::entry;
use crate::knowledge::text::stems::Stems;
use crate::knowledge::vectors::{self, VectorSpace};

/// Entries that are remembered at the most, some 2 KiB each; the whole base of most businesses.
const ENTRIES_MAX: usize = 16_384;

/// Entries that changed and are read one by one. Where more did, reading the index anew may be faster: what an entry had is looked for
/// in the lists of all its stems.
const CHANGES_MAX: usize = 1_000;

/// Generations whose changes the database keeps; by its migration `knowledge_changes`.
const CHANGES_KEPT: i64 = 100_000;

/// An entry as a search needs it.
pub(super) struct Known {
    pub(super) entry: Arc<Entry>,
    /// Its words, read when they are first compared.
    stored: OnceCell<Stored>,
}

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory {
    generation: Option<i64>,
    pub(super) inverted: Inverted,
    /// Room that a search ranks entries in.
    pub(super) scores: Vec<f32>,
    entries: HashMap<i64, Rc<Known>>,
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

    /// Reads what has changed, and forgets what no longer holds. To be called in the transaction of the search.
    pub(super) fn refresh(&mut self, conn: &Connection, stems: &Stems) -> rusqlite::Result<()> {
        let (generation, vectors, removed): (i64, i64, i64) = conn
            .prepare_cached("SELECT generation, vectors, vectors_removed FROM knowledge_state")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if self.generation != Some(generation) {
            // Of none before all of it was read.
            let since = self.generation.take();
            self.results.clear();
            self.read_entries(conn, stems, (since, generation))?;
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
        self.nearest.refresh();
        Ok(())
    }

    /// Brings the inverted index to what the database says now: by what has changed since a generation, or all of it anew.
    fn read_entries(
        &mut self,
        conn: &Connection,
        stems: &Stems,
        (since, generation): (Option<i64>, i64),
    ) -> rusqlite::Result<()> {
        let known = since.filter(|since| generation - since < CHANGES_KEPT / 2 && !self.inverted.is_worn());
        // What cannot be followed is read anew, and fails there if it must.
        if known.is_some_and(|since| self.follow(conn, stems, since).unwrap_or(false)) {
            return Ok(());
        }
        self.entries.clear();
        self.inverted = inverted(conn, stems)?;
        Ok(())
    }

    /// Reads the entries that changed since a generation; false, and nothing is read, where they are too many.
    fn follow(&mut self, conn: &Connection, stems: &Stems, since: i64) -> rusqlite::Result<bool> {
        let changed = changed(conn, since, CHANGES_MAX + 1)?;
        if changed.len() > CHANGES_MAX {
            return Ok(false);
        }
        let mut select = conn.prepare_cached("SELECT * FROM knowledge WHERE rowid = ?1")?;
        for row in changed {
            self.entries.remove(&row);
            match select.query_row([row], entry).optional()? {
                Some(entry) => self.inverted.put(stems, row, &entry),
                None => self.inverted.remove(row),
            }
        }
        self.inverted.settle();
        Ok(true)
    }

    /// How well an entry fits what is asked, by its words.
    pub(super) fn words(&self, stems: &Stems, asked: &Asked, known: &Known) -> f32 {
        if asked.is_empty() {
            return 0.0;
        }
        let vocabulary = &self.inverted.vocabulary;
        score(vocabulary, asked, known.stored.get_or_init(|| Stored::new(stems, vocabulary, &known.entry)))
    }

    /// The entry of a row; none where there is no such row.
    pub(super) fn entry(&mut self, conn: &Connection, row: i64) -> rusqlite::Result<Option<Rc<Known>>> {
        if let Some(known) = self.entries.get(&row) {
            return Ok(Some(Rc::clone(known)));
        }
        let mut select = conn.prepare_cached("SELECT * FROM knowledge WHERE rowid = ?1")?;
        let mut rows = select.query(params![row])?;
        let Some(found) = rows.next()? else { return Ok(None) };
        let known = Rc::new(Known { entry: Arc::new(entry(found)?), stored: OnceCell::new() });
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.clear();
        }
        self.entries.insert(row, Rc::clone(&known));
        Ok(Some(known))
    }
}

/// The first entries that were added, changed or removed since a generation.
fn changed(conn: &Connection, since: i64, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(
        "SELECT entry FROM knowledge_changes WHERE generation > ?1 ORDER BY generation LIMIT ?2",
    )?;
    select.query_map([since, limit], |row| row.get(0))?.collect()
}

/// The full-text index of the database. Stems come in order, so that the same entries are given the same places, and scores to the
/// last bit, in every process that reads it.
pub(super) fn inverted(conn: &Connection, stems: &Stems) -> rusqlite::Result<Inverted> {
    let mut select = conn.prepare(
        "SELECT rowid, language, iif(question = '' AND phrasings = '[]', 1, json_array_length(phrasings) + (question <> ''))
         FROM knowledge ORDER BY rowid",
    )?;
    let entries = select.query_map([], |row| {
        let language = row.get_ref(1)?.as_str()?.parse().ok();
        Ok(Indexed::new(row.get(0)?, language, row.get::<_, i64>(2)?.unsigned_abs()))
    })?;
    let mut loading = Loading::new(stems, entries.collect::<Result<_, _>>()?);
    let mut select = conn.prepare("SELECT term, doc, col = 'question' FROM knowledge_places")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        loading.add(row.get_ref(0)?.as_str()?, row.get(1)?, row.get(2)?);
    }
    Ok(loading.done())
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
            Some(vectors) if nearest.put(entry, &vectors, ways) => {}
            Some(_) => {
                tracing::warn!(
                    entry,
                    model,
                    "a vector has another length than those before, and is left out"
                );
            }
            None => nearest.remove(entry),
        }
    }
    Ok(())
}
