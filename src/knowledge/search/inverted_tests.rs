use rusqlite::Connection;
use tertulia_actors::domain::{Filter, Hit, Timestamp};
use tertulia_actors::ports::Search;

use super::super::index::Searcher;
use super::super::query::read;
use super::super::score::{Stored, score};
use super::*;
use crate::knowledge::entries::{KNOWLEDGE_MIGRATION, import, reindex, remove};

/// Words of several languages and scripts, some of which the tokeniser of the full-text index could take apart.
const WORDS: &[&str] = &[
    "water",
    "bottle",
    "delivery",
    "deliver",
    "price",
    "Prices",
    "naïve",
    "O'Neill",
    "e-mail",
    "24/7",
    "3.5",
    "x_y",
    "_a",
    "القارورة",
    "والقوارير",
    "التوصيل",
    "مُحَمَّد",
    "送水",
    "配送時間",
    "Straße",
    "ИНН",
    "доставка",
    "😀",
    "ﬁsh",
    "ʻokina",
    "good",
    "morning",
    "thank",
    "you",
    "صباح",
    "الخير",
    "क्षेत्र",
    "½",
    "№5",
    "a",
    "the",
    "where",
];

struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn text(&mut self, words: usize) -> String {
        let count = 1 + self.below(words);
        (0..count).map(|_| WORDS[self.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
    }

    /// Some sentences, in which a courtesy may reach from one to the next.
    fn sentences(&mut self, count: usize) -> String {
        let some: Vec<_> = (0..=self.below(count)).map(|_| self.text(4)).collect();
        some.join(["? ", ". ", "! ", "\n"][self.below(4)])
    }

    fn entry(&mut self, id: usize) -> Entry {
        let languages = ["en", "ar", "zh", "de", "ru"];
        let language = languages[self.below(languages.len())].parse().unwrap();
        let question = if self.below(8) == 0 { String::new() } else { self.sentences(3) };
        let mut entry = Entry::new(format!("e{id}"), language, &*question, self.text(12));
        if !question.is_empty() {
            entry.phrasings = (0..self.below(3)).map(|_| self.text(5)).collect();
        }
        entry
    }
}

fn empty() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
    conn
}

fn search(text: &str) -> Search {
    Search { text: text.into(), embedding: None, language: None, filter: Filter::default(), limit: 50 }
}

/// Scores by entry. Sums may differ in their last bits by the order in which stems became known, and so may the order of equal hits.
fn told(hits: &[Hit]) -> BTreeMap<(String, Language), f32> {
    hits.iter().map(|hit| ((hit.entry.id.clone(), hit.entry.language), hit.score)).collect()
}

fn are_same(one: &[Hit], other: &[Hit]) -> bool {
    let (one, other) = (told(one), told(other));
    let is_same = |(key, score): (&(String, Language), &f32)| {
        other.get(key).is_some_and(|found: &f32| (found - score).abs() < 1e-5)
    };
    one.len() == other.len() && one.iter().all(is_same)
}

#[test]
fn one_that_follows_every_change_finds_what_one_finds_that_reads_all_of_it() {
    let (conn, mut draw) = (empty(), Draw(0x5eed));
    let mut following = Searcher::default();
    for round in 0..60 {
        for _ in 0..=draw.below(6) {
            let id = draw.below(40);
            if draw.below(4) == 0 {
                remove(&conn, &format!("e{id}"), None, Timestamp(round)).unwrap();
            } else {
                import(&conn, &[draw.entry(id)], Timestamp(round)).unwrap();
            }
        }
        if round % 20 == 19 {
            reindex(&conn).unwrap();
        }
        let mut fresh = Searcher::default();
        for _ in 0..5 {
            let asked = search(&draw.text(4).replace("deliver", "delivr"));
            let (found, expected) =
                (following.find(&conn, &asked).unwrap(), fresh.find(&conn, &asked).unwrap());
            assert!(are_same(&found, &expected), "{} in round {round}: {found:?} {expected:?}", asked.text);
        }
    }
}

#[test]
fn the_best_by_words_are_those_of_the_full_text_index() {
    let (conn, mut draw) = (empty(), Draw(0xfeed));
    let entries: Vec<_> = (0..300).map(|id| draw.entry(id)).collect();
    import(&conn, &entries, Timestamp(0)).unwrap();
    let stems = Stems::new();
    let inverted = super::super::memory::inverted(&conn, &stems).unwrap();
    let mut scores = vec![];
    for words in
        [&["water"][..], &["deliveri", "price"], &["water", "bottl", "قارور"], &["送水", "neill", "24"]]
    {
        let known: Vec<_> = words.iter().filter_map(|stem| inverted.vocabulary.id(stem)).collect();
        let mut found = inverted.best(&known, (known.len(), 20), &mut scores, |_| true);
        let asked: Vec<_> = known.iter().map(|id| format!("\"{}\"", inverted.vocabulary.stem(*id))).collect();
        let mut select = conn
            .prepare(
                "SELECT rowid, rank FROM knowledge_text WHERE knowledge_text MATCH ?1 AND rank MATCH 'bm25(4.0, 1.0)'
                 ORDER BY rank, rowid",
            )
            .unwrap();
        let all = select.query_map([asked.join(" OR ")], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let all: Vec<(i64, f64)> = all.collect::<Result<_, _>>().unwrap();
        assert_eq!(found.len(), all.len().min(20), "{words:?}");
        // Equal ones may be cut off in another order.
        let worst = all[found.len() - 1].1;
        let mut expected: Vec<i64> =
            all.iter().filter(|(_, rank)| *rank < worst - 1e-6).map(|(row, _)| *row).collect();
        found.retain(|row| expected.contains(row));
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{words:?}");
        assert!(scores.iter().all(|score| *score == 0.0));
    }
}

#[test]
fn no_entry_is_worth_more_than_it_promises() {
    let (conn, mut draw) = (empty(), Draw(0xd1ce));
    let entries: Vec<_> = (0..200).map(|id| draw.entry(id)).collect();
    import(&conn, &entries, Timestamp(0)).unwrap();
    let stems = Stems::new();
    let mut inverted = super::super::memory::inverted(&conn, &stems).unwrap();
    let mut kept = 0;
    for _ in 0..60 {
        let text = draw.sentences(3).replace("deliver", "delivr");
        let query = read(&conn, &stems, &mut inverted.vocabulary, &search(&text)).unwrap();
        for (row, entry) in (1..).zip(&entries) {
            let has = inverted.stems(row);
            let promise = query.asked.promise(|id| has.binary_search(&id).is_ok());
            let stored = Stored::new(&stems, &inverted.vocabulary, entry);
            let worth = score(&inverted.vocabulary, &query.asked, &stored);
            assert!(worth <= promise + 1e-5, "{text}: {entry:?} is worth {worth}, of {promise}");
            kept += usize::from(worth > 0.0 && worth > promise * 0.9);
        }
    }
    assert!(kept > 100, "no more is promised than some entries keep: {kept}");
}

#[test]
fn only_admitted_entries_with_a_telling_stem_are_ranked() {
    let stems = Stems::new();
    let mut inverted = Inverted::default();
    let entry = |question: &str| Entry::new("e", Language::ENGLISH, question, "answer");
    for (row, question) in (1..).zip(["water price", "water bottle", "price list", "opening hours"]) {
        inverted.put(&stems, row, &entry(question));
    }
    inverted.settle();
    let id = |stem: &str| inverted.vocabulary.id(stem).unwrap();
    let (water, price) = (id("water"), id("price"));
    let found = |ids: &[StemId], telling, admits: fn(i64) -> bool| {
        let mut found = inverted.best(ids, (telling, 10), &mut vec![], admits);
        found.sort_unstable();
        found
    };
    assert_eq!(found(&[water, price], 2, |_| true), [1, 2, 3]);
    assert_eq!(found(&[water, price], 1, |_| true), [1, 2]);
    assert_eq!(found(&[water, price], 2, |row| row != 1), [2, 3]);
    assert_eq!(found(&[], 0, |_| true), [0; 0]);
    assert_eq!(inverted.best(&[water, price], (2, 1), &mut vec![], |_| true), [1], "it has both");
}

#[test]
fn what_was_removed_leaves_nothing_behind() {
    let stems = Stems::new();
    let mut inverted = Inverted::default();
    let entry = |question: &str| Entry::new("e", Language::ENGLISH, question, "an answer of some words");
    for row in 0..50 {
        inverted.put(&stems, row, &entry(&format!("question number{row} of water")));
    }
    for row in (0..50).chain([99]) {
        inverted.remove(row);
    }
    inverted.settle();
    assert_eq!((inverted.len(), inverted.length), (0, 0));
    assert!(inverted.lists.iter().all(Vec::is_empty));
    assert_eq!(inverted.vocabulary.id("water"), None);
    assert!(!inverted.is_worn(), "there are few");
    inverted.put(&stems, 7, &entry("water again"));
    inverted.settle();
    assert_eq!(inverted.entries.len(), 50, "a free place is taken");
    let water = inverted.vocabulary.id("water").unwrap();
    assert_eq!(inverted.best(&[water], (1, 10), &mut vec![], |_| true), [7]);
}

#[test]
fn what_changes_for_ever_does_not_grow_for_ever_and_an_unreadable_entry_stops_nobody_else() {
    let conn = empty();
    let entry = |n: usize| Entry::new("e", Language::ENGLISH, format!("water number{n}"), "answer");
    let mut searcher = Searcher::default();
    let mut inverted = Inverted::default();
    let stems = Stems::new();
    for n in 0..UNUSED_MAX + 20 {
        inverted.put(&stems, 1, &entry(n));
    }
    inverted.settle();
    assert!(inverted.is_worn());
    import(&conn, &[entry(1)], Timestamp(0)).unwrap();
    assert_eq!(searcher.find(&conn, &search("water")).unwrap().len(), 1);
    // The database forgets the changes that it would have to follow.
    conn.execute("UPDATE knowledge_state SET generation = generation + 200000", []).unwrap();
    let left: i64 = conn.query_row("SELECT count(*) FROM knowledge_changes", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    import(&conn, &[Entry { id: "f".into(), ..entry(2) }], Timestamp(0)).unwrap();
    assert_eq!(searcher.find(&conn, &search("water")).unwrap().len(), 2);
    // One that cannot be read is left out of what is followed.
    import(&conn, &[Entry::new("g", Language::ENGLISH, "bread", "a")], Timestamp(0)).unwrap();
    conn.execute("UPDATE knowledge SET language = 'nonsense' WHERE id = 'g'", []).unwrap();
    assert_eq!(searcher.find(&conn, &search("water")).unwrap().len(), 2);
}
