//! For which searches the entries are meant: those that are not for all.

use std::collections::HashMap;

use rusqlite::Connection;
use tertulia_actors::domain::{Audience, Filter, Language, Timestamp};

use crate::knowledge::entries::names;

/// What an entry is about, whom it is for and when it holds.
struct Meant {
    tags: Vec<String>,
    accounts: Vec<String>,
    valid_from: Option<Timestamp>,
    valid_until: Option<Timestamp>,
}

/// The audiences of one generation of the entries, by their rows.
#[derive(Default)]
pub(super) struct Audiences {
    some: HashMap<i64, Meant>,
    /// The times at which an entry begins to hold or ceases to, in order.
    boundaries: Vec<Timestamp>,
    /// The languages of all rows; read when a search first asks for one.
    languages: Option<HashMap<i64, Language>>,
}

impl Audiences {
    pub(super) fn read(conn: &Connection) -> rusqlite::Result<Self> {
        // The condition of the index that has them, word for word.
        let mut select = conn.prepare_cached(
            "SELECT rowid, tags, accounts, valid_from, valid_until FROM knowledge
             WHERE tags <> '[]' OR accounts <> '[]' OR valid_from IS NOT NULL OR valid_until IS NOT NULL",
        )?;
        let some = select.query_map([], |row| {
            let time = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp));
            let (valid_from, valid_until) = (time(3)?, time(4)?);
            let (tags, accounts) = (names(row, "tags")?, names(row, "accounts")?);
            Ok((row.get(0)?, Meant { tags, accounts, valid_from, valid_until }))
        })?;
        let some: HashMap<i64, Meant> = some.collect::<Result<_, _>>()?;
        let mut boundaries: Vec<_> =
            some.values().flat_map(|meant| [meant.valid_from, meant.valid_until]).flatten().collect();
        boundaries.sort_unstable();
        Ok(Self { some, boundaries, languages: None })
    }

    /// A number of the stretch of time in which the same entries hold as at a time; one of its own without a time.
    pub(super) fn stretch(&self, at: Option<Timestamp>) -> usize {
        at.map_or(usize::MAX, |at| self.boundaries.partition_point(|boundary| *boundary <= at))
    }

    /// Which rows a search looks at; none where it looks at all.
    pub(super) fn admitted<'a>(
        &'a mut self,
        conn: &Connection,
        filter: &'a Filter,
    ) -> rusqlite::Result<Option<Admitted<'a>>> {
        let languages = match filter.language {
            Some(language) => {
                let languages = match &mut self.languages {
                    Some(languages) => languages,
                    none => none.insert(languages(conn)?),
                };
                Some((&*languages, language))
            }
            None => None,
        };
        let is_for_all = self.some.is_empty() && filter.tags.is_empty() && languages.is_none();
        Ok((!is_for_all).then_some(Admitted { some: &self.some, languages, filter }))
    }
}

/// The rows that a search looks at.
pub(super) struct Admitted<'a> {
    some: &'a HashMap<i64, Meant>,
    languages: Option<(&'a HashMap<i64, Language>, Language)>,
    filter: &'a Filter,
}

impl Admitted<'_> {
    pub(super) fn has(&self, row: i64) -> bool {
        let speaks = self.languages.is_none_or(|(of, language)| of.get(&row) == Some(&language));
        let audience = match self.some.get(&row) {
            Some(Meant { tags, accounts, valid_from, valid_until }) => {
                Audience { tags, accounts, valid_from: *valid_from, valid_until: *valid_until }
            }
            None => Audience { tags: &[], accounts: &[], valid_from: None, valid_until: None },
        };
        speaks && self.filter.admits(audience)
    }
}

fn languages(conn: &Connection) -> rusqlite::Result<HashMap<i64, Language>> {
    let mut select = conn.prepare_cached("SELECT rowid, language FROM knowledge")?;
    let mut rows = select.query([])?;
    let mut languages = HashMap::new();
    while let Some(row) = rows.next()? {
        if let Ok(language) = row.get_ref(1)?.as_str()?.parse() {
            languages.insert(row.get(0)?, language);
        }
    }
    Ok(languages)
}
