//! Among which entries a search looks, and by which ways of asking it finds them.

use tertulia_actors::domain::{Entry, Filter, Timestamp};

use super::*;
use crate::knowledge::entries::{KNOWLEDGE_MIGRATION, KnowledgeError, get, import, load_sample_once};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn base(entries: &[Entry]) -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
    import(&conn, entries, NOW).unwrap();
    conn
}

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The ids and languages of what is found, best first.
fn find(
    conn: &Connection,
    text: &str,
    language: Option<Language>,
    filter: Filter,
) -> Vec<(String, Language)> {
    let search = Search { text: text.into(), embedding: None, language, filter, limit: 3 };
    let hits = Searcher::default().find(conn, &search).unwrap();
    hits.into_iter().map(|hit| (hit.entry.id.clone(), hit.entry.language)).collect()
}

#[test]
fn an_entry_is_found_by_each_way_of_asking_as_surely_as_by_its_question() {
    let entry = Entry {
        phrasings: list(&["Is somebody in the shop on Sundays?", "When does the store close?"]),
        ..Entry::new("hours", Language::ENGLISH, "What are your opening hours?", "Nine to five.")
    };
    let conn = base(std::slice::from_ref(&entry));
    load_sample_once(&conn, NOW).unwrap();
    let mut searcher = Searcher::default();
    for text in entry.questions() {
        let (language, filter) = (None, Filter::default());
        let hits =
            searcher.find(&conn, &Search { text: text.into(), embedding: None, language, filter, limit: 3 });
        let hits = hits.unwrap();
        assert_eq!(
            (hits[0].entry.id.as_str(), hits[0].entry.question.as_str()),
            ("hours", "What are your opening hours?")
        );
        assert!(hits[0].score > 0.9, "{text}: {}", hits[0].score);
    }
    assert_eq!(get(&conn, "hours", Language::ENGLISH).unwrap(), Some(entry), "all of it was kept");
}

#[test]
fn only_what_is_meant_for_a_search_is_found() {
    let entry = |id: &str| Entry::new(id, Language::ENGLISH, "How much is a bottle?", id);
    let conn = base(&[
        entry("all"),
        Entry { tags: list(&["summer", "retail"]), ..entry("tagged") },
        Entry { accounts: list(&["100"]), ..entry("own") },
        Entry { valid_until: Some(Timestamp(50)), ..entry("past") },
        Entry { valid_from: Some(Timestamp(100)), ..entry("coming") },
        Entry {
            language: Language::ARABIC, question: "كم سعر القارورة؟".into(), ..entry("arabic")
        },
    ]);
    let found = |filter: Filter| -> Vec<String> {
        let search =
            Search { text: "how much is a bottle".into(), embedding: None, language: None, filter, limit: 9 };
        let hits = Searcher::default().find(&conn, &search).unwrap();
        hits.into_iter().map(|hit| hit.entry.id.clone()).collect()
    };
    let some = Filter::default;
    for (filter, expected) in [
        (some(), &["all", "coming", "own", "past", "tagged"][..]),
        (Filter { tags: list(&["summer"]), ..some() }, &["tagged"]),
        (Filter { tags: list(&["summer", "winter"]), ..some() }, &[]),
        (
            Filter { account: Some("100".into()), at: Some(Timestamp(70)), ..some() },
            &["all", "own", "tagged"],
        ),
        (
            Filter { account: Some("200".into()), at: Some(Timestamp(100)), ..some() },
            &["all", "coming", "tagged"],
        ),
        (Filter { at: Some(Timestamp(49)), ..some() }, &["all", "own", "past", "tagged"]),
        (Filter { language: Some(Language::ARABIC), ..some() }, &[]),
    ] {
        assert_eq!(found(filter.clone()), expected, "{filter:?}");
    }
}

#[test]
fn the_one_entry_of_an_account_is_found_among_many_better_ones_of_others() {
    let mut entries: Vec<_> = (0..500)
        .map(|n| Entry {
            accounts: list(&["others"]),
            ..Entry::new(
                format!("other-{n}"),
                Language::ENGLISH,
                "How much is a large bottle of water?",
                "Much.",
            )
        })
        .collect();
    let own =
        Entry::new("own", Language::ENGLISH, "Tell me about the bottle, and of vans and streets", "Own.");
    entries.push(Entry { accounts: list(&["mine"]), ..own });
    let conn = base(&entries);
    let filter = Filter { account: Some("mine".into()), ..Filter::default() };
    assert_eq!(
        find(&conn, "how much is a large bottle of water", None, filter),
        [("own".into(), Language::ENGLISH)]
    );
}

#[test]
fn an_answer_in_the_persons_language_that_does_not_hold_any_more_is_not_given() {
    let until = |at| Entry {
        valid_until: Some(Timestamp(at)),
        ..Entry::new("hours", Language::ARABIC, "ما هي أوقات العمل؟", "-")
    };
    let english = Entry::new("hours", Language::ENGLISH, "What are your opening hours?", "-");
    let conn = base(&[english, until(50)]);
    for (at, language) in [(49, Language::ARABIC), (50, Language::ENGLISH)] {
        let filter = Filter { at: Some(Timestamp(at)), ..Filter::default() };
        let found = find(&conn, "opening hours", Some(Language::ARABIC), filter);
        assert_eq!(found, [("hours".into(), language)]);
    }
}

#[test]
fn a_search_sees_at_once_that_an_entry_is_for_others_now() {
    let entry = |accounts: &[&str]| Entry {
        accounts: list(accounts),
        ..Entry::new("a", Language::ENGLISH, "How much is a bottle?", "Much.")
    };
    let conn = base(&[entry(&[])]);
    let mut searcher = Searcher::default();
    for (accounts, count) in [(&[][..], 1), (&["200"], 0), (&["100", "200"], 1)] {
        import(&conn, &[entry(accounts)], NOW).unwrap();
        let filter = Filter { account: Some("100".into()), ..Filter::default() };
        let search =
            Search { text: "how much is a bottle".into(), embedding: None, language: None, filter, limit: 3 };
        assert_eq!(searcher.find(&conn, &search).unwrap().len(), count, "{accounts:?}");
    }
}

#[test]
fn what_an_entry_has_too_much_or_nothing_of_is_named_and_nothing_is_imported() {
    let plain = Entry::new("a", Language::ENGLISH, "q", "a");
    let conn = base(&[]);
    for (entry, expected) in [
        (Entry { phrasings: list(&[" "]), ..plain.clone() }, "phrasing that is blank"),
        (Entry { tags: list(&[""]), ..plain.clone() }, "tag that is blank"),
        (
            Entry { accounts: vec!["x".repeat(129)], ..plain.clone() },
            "account that is blank or longer than 128",
        ),
        (Entry { phrasings: vec!["x".into(); 65], ..plain.clone() }, "more than 64 phrasings"),
        (Entry { valid_from: Some(NOW), valid_until: Some(NOW), ..plain.clone() }, "would never hold"),
    ] {
        let error: KnowledgeError = import(&conn, &[plain.clone(), entry], NOW).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let count: i64 = conn.query_row("SELECT count(*) FROM knowledge", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 0);
}
