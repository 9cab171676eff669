//! For which searches the entries are meant: those that are not for all.

use std::collections::HashMap;

use rusqlite::Connection;
use tertulia_actors::domain::{Audience, Filter, Timestamp};

use super::inverted::Inverted;
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
        Ok(Self { some, boundaries })
    }

    /// A number of the stretch of time in which the same entries hold as at a time; one of its own without a time.
    pub(super) fn stretch(&self, at: Option<Timestamp>) -> usize {
        at.map_or(usize::MAX, |at| self.boundaries.partition_point(|boundary| *boundary <= at))
    }

    /// Which rows a search looks at; none where it looks at all.
    pub(super) fn admitted<'a>(&'a self, inverted: &'a Inverted, filter: &'a Filter) -> Option<Admitted<'a>> {
        let is_for_all = self.some.is_empty() && filter.tags.is_empty() && filter.language.is_none();
        (!is_for_all).then_some(Admitted { some: &self.some, inverted, filter })
    }
}

/// The rows that a search looks at.
pub(super) struct Admitted<'a> {
    some: &'a HashMap<i64, Meant>,
    inverted: &'a Inverted,
    filter: &'a Filter,
}

impl Admitted<'_> {
    pub(super) fn has(&self, row: i64) -> bool {
        let speaks =
            self.filter.language.is_none_or(|language| self.inverted.language(row) == Some(language));
        let audience = match self.some.get(&row) {
            Some(Meant { tags, accounts, valid_from, valid_until }) => {
                Audience { tags, accounts, valid_from: *valid_from, valid_until: *valid_until }
            }
            None => Audience { tags: &[], accounts: &[], valid_from: None, valid_until: None },
        };
        speaks && self.filter.admits(audience)
    }
}
