use std::collections::{BTreeMap, BTreeSet};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn empty() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
    conn
}

fn entry(id: &str, language: Language, question: &str) -> Entry {
    Entry::new(id, language, question, "yes")
}

/// Rows of the index that have a stem.
fn indexed(conn: &Connection, stem: &str) -> i64 {
    conn.query_row("SELECT count(*) FROM knowledge_text WHERE knowledge_text MATCH ?1", [stem], |row| {
        row.get(0)
    })
    .unwrap()
}

#[test]
fn the_sample_has_every_topic_in_both_languages_and_is_acceptable() {
    let sample = parse(SAMPLE).unwrap();
    let mut topics: BTreeMap<&str, BTreeSet<Language>> = BTreeMap::new();
    for entry in &sample {
        check(entry).unwrap();
        let arabic = entry.question.chars().any(super::super::text::words::is_arabic);
        assert_eq!(arabic, entry.language == Language::ARABIC, "{} {}", entry.id, entry.language);
        assert!(topics.entry(&entry.id).or_default().insert(entry.language), "{} twice", entry.id);
    }
    assert!(topics.len() >= 24, "{}", topics.len());
    assert!(topics.values().all(|languages| languages.len() == 2));
}

#[test]
fn the_sample_is_loaded_into_an_empty_knowledge_base_only() {
    let conn = empty();
    let loaded = load_sample_once(&conn, NOW).unwrap();
    assert!(loaded >= 48, "{loaded}");
    assert_eq!(load_sample_once(&conn, NOW).unwrap(), 0);

    let conn = empty();
    import(&conn, &[entry("own", Language::ENGLISH, "mine?")], NOW).unwrap();
    assert_eq!(load_sample_once(&conn, NOW).unwrap(), 0);
    assert_eq!(list(&conn, None, 10).unwrap().len(), 1);
}

#[test]
fn importing_an_entry_again_replaces_it_in_table_and_index() {
    let conn = empty();
    import(&conn, &[entry("a", Language::ENGLISH, "about camels")], NOW).unwrap();
    import(&conn, &[entry("a", Language::ENGLISH, "about donkeys")], NOW).unwrap();
    import(&conn, &[entry("a", Language::ARABIC, "جمل")], NOW).unwrap();
    assert_eq!(list(&conn, None, 10).unwrap().len(), 2);
    assert_eq!((indexed(&conn, "camel"), indexed(&conn, "donkey")), (0, 1));
    assert_eq!(remove(&conn, "a", Some(Language::ENGLISH), NOW).unwrap(), 1);
    assert_eq!(indexed(&conn, "donkey"), 0);
    assert_eq!(get(&conn, "a", Language::ENGLISH).unwrap(), None);
    assert!(get(&conn, "a", Language::ARABIC).unwrap().is_some());
    assert_eq!(remove(&conn, "a", None, NOW).unwrap(), 1);
}

#[test]
fn an_import_with_a_bad_entry_changes_nothing() {
    let conn = empty();
    let good = entry("good", Language::ENGLISH, "good?");
    let long = "x".repeat(QUESTION_BYTES_MAX + 1);
    for bad in [" ", "  \n", long.as_str()] {
        let error = import(&conn, &[good.clone(), entry("bad", Language::ENGLISH, bad)], NOW).unwrap_err();
        assert!(error.to_string().contains("'bad' has a question that is blank"), "{error}");
    }
    assert!(list(&conn, None, 10).unwrap().is_empty());
}

#[test]
fn a_passage_needs_no_question_and_says_something() {
    let conn = empty();
    let passage = |answer: &str| Entry { answer: answer.into(), ..entry("p", Language::ENGLISH, "") };
    import(&conn, &[passage("Camels live in the garden.")], NOW).unwrap();
    assert_eq!(indexed(&conn, "camel"), 1);
    assert!(
        import(&conn, &[passage(" ")], NOW)
            .unwrap_err()
            .to_string()
            .contains("'p' has a answer that is blank")
    );
    let copy = empty();
    import(&copy, &parse(&export(&conn).unwrap()).unwrap(), NOW).unwrap();
    assert_eq!(export(&conn).unwrap(), export(&copy).unwrap());
}

#[test]
fn entries_are_replaced_and_others_removed_all_or_nothing() {
    let conn = empty();
    let one = |id: &str| entry(id, Language::ENGLISH, "camels");
    import(&conn, &[one("a"), one("b")], NOW).unwrap();
    let gone = [("a".to_owned(), Language::ENGLISH), ("b".to_owned(), Language::ARABIC)];
    replace(&conn, &[one("c"), entry("bad", Language::ENGLISH, " ")], &gone, NOW, |_| {}).unwrap_err();
    let ids = || list(&conn, None, 10).unwrap().into_iter().map(|entry| entry.id).collect::<Vec<_>>();
    assert_eq!(ids(), ["a", "b"]);
    let many: Vec<Entry> = (0..250).map(|n| one(&n.to_string())).collect();
    let mut told = vec![];
    assert_eq!(replace(&conn, &many, &gone, NOW, |count| told.push(count)).unwrap(), 250);
    assert_eq!((told, list(&conn, None, 999).unwrap().len()), (vec![100, 100, 50], 251));
    assert!(get(&conn, "a", Language::ENGLISH).unwrap().is_none());
    assert!(get(&conn, "b", Language::ENGLISH).unwrap().is_some(), "another language of it went");
}

#[test]
fn a_change_that_fails_half_way_is_undone_and_leaves_an_outer_transaction_alive() {
    let conn = empty();
    conn.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON knowledge WHEN new.id = 'second'
         BEGIN SELECT RAISE(ABORT, 'refused'); END;
         BEGIN",
    )
    .unwrap();
    import(&conn, &[entry("before", Language::ENGLISH, "before")], NOW).unwrap();
    let two = [entry("first", Language::ENGLISH, "first"), entry("second", Language::ENGLISH, "second")];
    assert!(matches!(import(&conn, &two, NOW), Err(KnowledgeError::Database(_))));
    conn.execute_batch("COMMIT").unwrap();
    let ids: Vec<_> = list(&conn, None, 10).unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids, ["before"]);
    assert_eq!(indexed(&conn, "first"), 0);
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let (conn, copy) = (empty(), empty());
    load_sample_once(&conn, NOW).unwrap();
    import(&copy, &parse(&export(&conn).unwrap()).unwrap(), NOW).unwrap();
    assert_eq!(export(&conn).unwrap(), export(&copy).unwrap());
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let conn = empty();
    load_sample_once(&conn, NOW).unwrap();
    let all = list(&conn, None, usize::MAX).unwrap();
    let mut paged: Vec<Entry> = Vec::new();
    loop {
        let after = paged.last().map(|entry| (entry.id.clone(), entry.language));
        let page = list(&conn, after.as_ref().map(|(id, language)| (id.as_str(), *language)), 7).unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

#[test]
fn a_sample_that_was_removed_does_not_come_back() {
    let conn = empty();
    load_sample_once(&conn, NOW).unwrap();
    conn.execute("DELETE FROM knowledge", []).unwrap();
    assert_eq!(load_sample_once(&conn, NOW).unwrap(), 0);
}

#[test]
fn an_index_of_other_rules_is_made_anew_once() {
    let conn = empty();
    import(&conn, &[entry("a", Language::ENGLISH, "camels")], NOW).unwrap();
    conn.execute_batch("DELETE FROM knowledge_text; UPDATE knowledge_state SET index_version = 1").unwrap();
    assert_eq!(reindex_if_outdated(&conn).unwrap(), 1);
    assert_eq!(indexed(&conn, "camel"), 1);
    assert_eq!(reindex_if_outdated(&conn).unwrap(), 0);
}

#[test]
fn reindexing_finds_entries_whose_index_was_lost() {
    let conn = empty();
    import(&conn, &[entry("a", Language::ENGLISH, "camels")], NOW).unwrap();
    conn.execute("DELETE FROM knowledge_text", []).unwrap();
    assert_eq!(indexed(&conn, "camel"), 0);
    assert_eq!(reindex(&conn).unwrap(), 1);
    assert_eq!(indexed(&conn, "camel"), 1);
}

#[test]
fn a_line_that_is_no_entry_is_named() {
    let lines = "{\"id\":\"a\",\"language\":\"en\",\"question\":\"q\",\"answer\":\"a\"}\n\n{\"id\":1}\n";
    let error = parse(lines).unwrap_err().to_string();
    assert!(error.starts_with("line 3 is not an entry"), "{error}");
}

#[test]
fn what_says_the_same_is_imported_and_changes_nothing() {
    let conn = empty();
    let entries = [entry("a", Language::ENGLISH, "camels"), entry("b", Language::ENGLISH, "horses")];
    import(&conn, &entries, NOW).unwrap();
    let generation =
        || conn.query_row("SELECT generation FROM knowledge_state", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = generation();
    assert_eq!(import(&conn, &entries, NOW).unwrap(), 2);
    assert_eq!(generation(), before);
    import(&conn, &[entry("b", Language::ENGLISH, "mules")], NOW).unwrap();
    assert!(generation() > before);
    assert_eq!((indexed(&conn, "mule"), indexed(&conn, "hors")), (1, 0));
}
