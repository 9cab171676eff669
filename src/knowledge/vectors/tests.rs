//! Vectors of entries that come, change and go.

use tertulia_actors::domain::{Filter, Language, Timestamp};
use tertulia_actors::ports::Search;

use super::*;
use crate::knowledge::entries::{KNOWLEDGE_MIGRATION, import, import_unchecked, remove};
use crate::knowledge::search::index::Searcher;

fn space(model: &str) -> Option<VectorSpace> {
    Some(VectorSpace { model: model.into(), unrelated: 0.0 })
}

fn base() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
    conn
}

fn entry_of(id: &str, question: &str) -> Entry {
    Entry::new(id, Language::ENGLISH, question, "Yes.")
}

fn put_entries(conn: &Connection, entries: &[(&str, &str)]) {
    let entries: Vec<_> = entries.iter().map(|(id, question)| entry_of(id, question)).collect();
    import(conn, &entries, Timestamp(0)).unwrap();
}

/// Vectors of a model that knows two things, water and money, and cannot read what is in brackets.
fn embed(texts: &[Embeddable]) -> Result<Vec<Option<Embedding>>, KnowledgeError> {
    let of = |text: &Embeddable| {
        let has = |words: &[&str]| f32::from(u8::from(words.iter().any(|word| text.text.contains(word))));
        let (water, money) = (has(&["water", "thirsty"]), has(&["price", "cost"]));
        let length = (water * water + money * money + 0.01_f32).sqrt();
        (!text.text.starts_with('[')).then(|| vec![water / length, money / length, 0.1 / length].into())
    };
    Ok(texts.iter().map(of).collect())
}

fn embed_everything(conn: &Connection, model: &str) -> usize {
    let mut done = 0;
    let kept = embed_all(conn, (model, 2), embed, |some| put(conn, model, some), |count| done += count);
    assert_eq!(kept.unwrap(), done);
    done
}

#[test]
fn each_entry_is_embedded_once_by_each_model() {
    let conn = base();
    put_entries(&conn, &[("a", "water?"), ("b", "price?"), ("c", "[?"), ("d", "other"), ("e", "more")]);
    assert_eq!(progress(&conn, "one").unwrap(), (5, 0));
    assert_eq!(embed_everything(&conn, "one"), 5);
    assert_eq!((embed_everything(&conn, "one"), embed_everything(&conn, "two")), (0, 5));
    assert_eq!(progress(&conn, "one").unwrap(), (5, 5), "what cannot be read counts, too");
}

#[test]
fn a_text_that_changes_or_goes_loses_its_vectors_and_another_language_keeps_its_own() {
    let conn = base();
    put_entries(&conn, &[("a", "water?"), ("b", "price?")]);
    embed_everything(&conn, "one");
    put_entries(&conn, &[("a", "water?")]);
    assert_eq!(progress(&conn, "one").unwrap(), (2, 2), "the same text means the same");
    put_entries(&conn, &[("a", "price?")]);
    assert_eq!(progress(&conn, "one").unwrap(), (2, 1));
    assert_eq!(unembedded(&conn, "one", 0, 9).unwrap()[0].texts, [Embeddable::query("price?")]);
    remove(&conn, "b", None, Timestamp(0)).unwrap();
    assert_eq!(progress(&conn, "one").unwrap(), (1, 0));
}

#[test]
fn a_vector_of_a_text_that_is_gone_or_says_something_else_by_now_is_not_kept() {
    let conn = base();
    put_entries(&conn, &[("a", "water?"), ("b", "price?")]);
    let found = unembedded(&conn, "one", 0, 9).unwrap();
    put_entries(&conn, &[("a", "price?")]);
    remove(&conn, "b", None, Timestamp(0)).unwrap();
    let late =
        found.into_iter().map(|Unembedded { row, texts }| Embedded { row, texts, vectors: vec![None] });
    assert_eq!(put(&conn, "one", &late.collect::<Vec<_>>()).unwrap(), 0);
    assert_eq!(progress(&conn, "one").unwrap(), (1, 0));
}

#[test]
fn a_passage_stands_for_itself() {
    let conn = base();
    let passage = Entry { answer: "Our water comes from the hills.".into(), ..entry_of("a", "") };
    import_unchecked(&conn, &[passage], Timestamp(0)).unwrap();
    let found = unembedded(&conn, "one", 0, 9).unwrap();
    assert_eq!(found[0].texts, [Embeddable::passage("Our water comes from the hills.")]);
}

/// What is found for a text, by the same model.
fn find(conn: &Connection, searcher: &mut Searcher, text: &str) -> Vec<(String, f32)> {
    let embedding = embed(&[Embeddable::query(text)]).unwrap().pop().flatten();
    let search = Search { text: text.into(), embedding, language: None, filter: Filter::default(), limit: 3 };
    let hits = searcher.find(conn, &search).unwrap();
    hits.into_iter().map(|hit| (hit.entry.id.clone(), hit.score)).collect()
}

#[test]
fn a_search_finds_what_means_the_same_and_sees_every_change_at_once() {
    let conn = base();
    put_entries(&conn, &[("a", "Do you have water?"), ("b", "What is the price?"), ("c", "Who are you?")]);
    let mut searcher = Searcher::new(space("one"));
    assert_eq!(find(&conn, &mut searcher, "I am thirsty"), [], "no word in common, and nothing embedded yet");
    embed_everything(&conn, "one");
    let found = find(&conn, &mut searcher, "I am thirsty");
    assert_eq!(found[0].0, "a");
    assert!(found[0].1 > 0.6 && found[0].1 > found[1].1 + 0.3, "{found:?}");
    assert_eq!(find(&conn, &mut searcher, "what does it cost")[0].0, "b");
    put_entries(&conn, &[("a", "Who was here?"), ("d", "Is the water cold?")]);
    embed_everything(&conn, "one");
    assert_eq!(find(&conn, &mut searcher, "I am thirsty")[0].0, "d");
    remove(&conn, "d", None, Timestamp(0)).unwrap();
    assert!(find(&conn, &mut searcher, "I am thirsty").iter().all(|(id, score)| id != "d" && *score < 0.5));
    // Of another model nothing is seen, and the words still find.
    let mut other = Searcher::new(space("two"));
    assert_eq!(find(&conn, &mut other, "I am thirsty"), []);
    assert_eq!(find(&conn, &mut other, "what is the price")[0].0, "b");
}

#[test]
fn each_way_of_putting_a_question_is_found_by_what_it_means_also_beside_one_that_cannot_be_read() {
    let conn = base();
    let phrased = |id: &str, question: &str, phrasings: &[&str]| Entry {
        phrasings: phrasings.iter().map(|text| (*text).to_owned()).collect(),
        ..entry_of(id, question)
    };
    let entries = [phrased("a", "[?", &["Is there water?", "What does it cost?"]), phrased("b", "Who?", &[])];
    import(&conn, &entries, Timestamp(0)).unwrap();
    embed_everything(&conn, "one");
    let mut searcher = Searcher::new(space("one"));
    for text in ["I am thirsty", "any price"] {
        let found = find(&conn, &mut searcher, text);
        assert!(found[0].0 == "a" && found[0].1 > 0.6, "{text}: {found:?}");
    }
    import(&conn, &[phrased("a", "[?", &["What does it cost?"])], Timestamp(0)).unwrap();
    assert_eq!(progress(&conn, "one").unwrap(), (2, 1), "other ways mean something else");
    embed_everything(&conn, "one");
    assert!(find(&conn, &mut searcher, "I am thirsty").iter().all(|(_, score)| *score < 0.5));
}

#[test]
fn bytes_that_are_no_vector_are_as_if_there_were_none() {
    let of = |values: &[f32]| Some(Embedding::from(values));
    for (vectors, ways, read_back) in [
        (vec![of(&[1.0, -0.5])], 1, Some(vec![1.0, -0.5])),
        (vec![None, of(&[1.0, -0.5]), of(&[0.0, 1.0])], 3, Some(vec![0.0, 0.0, 1.0, -0.5, 0.0, 1.0])),
        (vec![of(&[1.0, -0.5]), of(&[0.0, 1.0])], 3, None),
        (vec![of(&[f32::NAN])], 1, None),
        (vec![of(&[1.0])], 0, None),
    ] {
        assert_eq!(read(&bytes(&vectors).unwrap(), ways), read_back, "{vectors:?}");
    }
    assert_eq!((bytes(&[None, None]), read(&[0, 0, 128], 1)), (None, None));
    let conn = base();
    put_entries(&conn, &[("a", "Do you have water?"), ("b", "What is the price?")]);
    embed_everything(&conn, "one");
    conn.execute("UPDATE knowledge_vectors SET vector = x'00' WHERE entry = 1", []).unwrap();
    let mut searcher = Searcher::new(space("one"));
    assert_eq!(find(&conn, &mut searcher, "do you have water")[0].0, "a");
    assert_eq!(find(&conn, &mut searcher, "cost")[0].0, "b");
}

#[test]
fn the_status_lists_every_model_and_vectors_of_others_go_some_at_a_time() {
    let conn = base();
    put_entries(&conn, &[("a", "water?"), ("b", "price?"), ("c", "[?")]);
    import(&conn, &[Entry::new("p", Language::ENGLISH, "", "About water.")], Timestamp(0)).unwrap();
    embed_everything(&conn, "one");
    embed_everything(&conn, "two");
    let found = status(&conn).unwrap();
    assert_eq!((found.entries, found.passages, found.generation), (4, 1, generation(&conn).unwrap()));
    assert_eq!(found.models.len(), 2);
    let embedded = [Some("two"), Some("three"), None].map(|model| found.embedded_by(model));
    assert_eq!(embedded, [4, 0, 0]);
    let removed = [3, 3, 3].map(|limit| remove_but(&conn, Some("two"), limit).unwrap());
    assert_eq!(removed, [3, 1, 0]);
    assert_eq!((progress(&conn, "one").unwrap(), progress(&conn, "two").unwrap()), ((4, 0), (4, 4)));
    assert_eq!(remove_but(&conn, None, 99).unwrap(), 4);
}

#[test]
fn vectors_of_another_length_are_not_of_the_same_model() {
    let conn = base();
    put_entries(&conn, &[("a", "water?"), ("b", "price?")]);
    let made = |row: usize, length: usize| {
        let found = unembedded(&conn, "one", 0, 10).unwrap();
        let Unembedded { row, texts } = found[row].clone();
        let vectors = vec![Some(vec![1.0; length].into())];
        ModelVectors { model: "one".into(), embedded: vec![Embedded { row, texts, vectors }] }
    };
    let second = made(1, 4);
    assert_eq!(put_made(&conn, &made(0, 3)).unwrap(), 1);
    let refused = put_made(&conn, &second).unwrap_err().to_string();
    assert!(refused.contains("have 4 numbers") && refused.contains("model 3"), "{refused}");
    assert_eq!(progress(&conn, "one").unwrap(), (2, 1));
}
