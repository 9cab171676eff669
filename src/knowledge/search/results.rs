//! What was found lately. People ask the same things; an answer holds as long as nothing that it was made of has changed.

use std::collections::HashMap;

use tertulia_actors::domain::{Embedding, Filter, Hit, Language};
use tertulia_actors::ports::Search;

/// Texts whose searches are remembered at the most; as many as the embedding service remembers (`embedding.cache_max`) unless it is
/// told otherwise, so that what need not be embedded again need not be searched again.
const TEXTS_MAX: usize = 4_096;

/// Searches with more hits are not remembered: people who supervise make them, and hits may be long.
const LIMIT_MAX: usize = 10;

/// A longer question is not remembered, in bytes: it is not likely to come again.
const TEXT_BYTES_MAX: usize = 512;

/// The hits of searches, in two halves as they were last asked for: when the younger one is full, the older one is forgotten.
#[derive(Default)]
pub(super) struct Results {
    younger: HashMap<String, Vec<Remembered>>,
    older: HashMap<String, Vec<Remembered>>,
}

/// Searches of one text that are remembered at the most: for several accounts, of several languages.
const OF_A_TEXT_MAX: usize = 4;

/// One search and its hits.
struct Remembered {
    embedding: Option<Embedding>,
    language: Option<Language>,
    /// Without its time.
    filter: Filter,
    limit: usize,
    /// The stretch of time in which the same entries hold.
    stretch: usize,
    hits: Vec<Hit>,
}

impl Remembered {
    fn is_of(&self, search: &Search, stretch: usize) -> bool {
        let Self { embedding, language, filter, limit, stretch: known, .. } = self;
        let Filter { language: of, tags, account, at: _ } = &search.filter;
        *known == stretch
            && (*language, *limit) == (search.language, search.limit)
            && (filter.language, &filter.tags, &filter.account) == (*of, tags, account)
            && *embedding == search.embedding
    }
}

impl Results {
    /// The hits of the same search in the same stretch of time, if they are remembered.
    pub(super) fn get(&mut self, search: &Search, stretch: usize) -> Option<Vec<Hit>> {
        let found = |all: &[Remembered]| {
            let found = all.iter().find(|remembered| remembered.is_of(search, stretch))?;
            Some(found.hits.clone())
        };
        if let Some(all) = self.younger.get(&search.text) {
            return found(all);
        }
        let (text, all) = self.older.remove_entry(&search.text)?;
        let hits = found(&all);
        self.insert(text, all);
        hits
    }

    pub(super) fn put(&mut self, search: &Search, stretch: usize, hits: &[Hit]) {
        if search.text.len() > TEXT_BYTES_MAX || search.limit > LIMIT_MAX {
            return;
        }
        let Search { text, embedding, language, filter, limit } = search.clone();
        let filter = Filter { at: None, ..filter };
        let one = Remembered { embedding, language, filter, limit, stretch, hits: hits.to_vec() };
        match self.younger.get_mut(&text) {
            Some(all) => {
                all.truncate(OF_A_TEXT_MAX - 1);
                all.insert(0, one);
            }
            None => self.insert(text, vec![one]),
        }
    }

    fn insert(&mut self, text: String, all: Vec<Remembered>) {
        if self.younger.len() >= TEXTS_MAX / 2 {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(text, all);
    }

    /// Forgets all, since the entries or their vectors have changed.
    pub(super) fn clear(&mut self) {
        self.younger.clear();
        self.older.clear();
    }
}

#[cfg(test)]
mod tests {
    use tertulia_actors::domain::{Entry, Timestamp};

    use super::*;

    fn search(text: &str) -> Search {
        Search { text: text.into(), embedding: None, language: None, filter: Filter::default(), limit: 3 }
    }

    fn hits(id: &str) -> Vec<Hit> {
        vec![Hit::new(Entry::new(id, Language::ENGLISH, "q", "a"), 0.5)]
    }

    #[test]
    fn only_the_very_same_search_is_remembered() {
        let mut results = Results::default();
        let asked = Search { embedding: Some(vec![1.0].into()), ..search("a") };
        results.put(&asked, 1, &hits("found"));
        let of = |filter: Filter| Search { filter, ..asked.clone() };
        for (other, stretch, is_known) in [
            (asked.clone(), 1, true),
            (of(Filter { at: Some(Timestamp(7)), ..Filter::default() }), 1, true),
            (asked.clone(), 2, false),
            (Search { text: "A".into(), ..asked.clone() }, 1, false),
            (Search { embedding: None, ..asked.clone() }, 1, false),
            (Search { embedding: Some(vec![0.9].into()), ..asked.clone() }, 1, false),
            (Search { language: Some(Language::ARABIC), ..asked.clone() }, 1, false),
            (Search { limit: 4, ..asked.clone() }, 1, false),
            (of(Filter { language: Some(Language::ARABIC), ..Filter::default() }), 1, false),
            (of(Filter { account: Some("100".into()), ..Filter::default() }), 1, false),
            (of(Filter { tags: vec!["t".into()], ..Filter::default() }), 1, false),
        ] {
            assert_eq!(results.get(&other, stretch), is_known.then(|| hits("found")), "{other:?} {stretch}");
        }
        results.clear();
        assert_eq!(results.get(&asked, 1), None);
    }

    #[test]
    fn what_is_asked_for_often_stays_and_their_number_is_bounded() {
        let mut results = Results::default();
        results.put(&search("often"), 0, &hits("often"));
        for n in 0..10 * TEXTS_MAX {
            results.put(&search(&n.to_string()), 0, &hits("once"));
            assert!(n % 100 > 0 || results.get(&search("often"), 0).is_some(), "{n}");
        }
        assert!(results.younger.len() + results.older.len() <= TEXTS_MAX + 1);
        assert_eq!(results.get(&search("0"), 0), None);
        for account in 0..100 {
            let filter = Filter { account: Some(account.to_string()), ..Filter::default() };
            results.put(&Search { filter, ..search("same") }, 0, &hits("own"));
        }
        assert_eq!(results.younger["same"].len(), OF_A_TEXT_MAX);
        results.put(&search(&"long ".repeat(1_000)), 0, &hits("long"));
        assert_eq!(results.get(&search(&"long ".repeat(1_000)), 0), None);
    }
}
