//! A knowledge base of an earlier version of the program, brought to the newest schema.

use rusqlite::Connection;
use tertulia_actors::domain::{Filter, Timestamp};
use tertulia_actors::ports::Search;

use super::*;
use crate::knowledge::search::index::Searcher;
use crate::knowledge::vectors::VectorSpace;
use crate::store::{StoreSettings, db};

/// All steps up to the schema whose knowledge base had entries, words and vectors, and neither phrasings nor history.
const TO_SCHEMA_11: [&str; 11] = [
    include_str!("../store/migrations/0001_conversations.sql"),
    include_str!("../store/migrations/0002_knowledge.sql"),
    include_str!("../store/migrations/0003_review.sql"),
    include_str!("../store/migrations/0004_merged.sql"),
    include_str!("../store/migrations/0005_knowledge_state.sql"),
    include_str!("../store/migrations/0006_content_and_age.sql"),
    include_str!("../store/migrations/0007_set_aside.sql"),
    include_str!("../store/migrations/0008_knowledge_generation.sql"),
    include_str!("../store/migrations/0009_messages_by_conversation.sql"),
    include_str!("../store/migrations/0010_knowledge_words.sql"),
    include_str!("../store/migrations/0011_knowledge_vectors.sql"),
];

/// A database of schema 11, filled, and migrated.
fn migrated(settings: &StoreSettings) -> Connection {
    let old = Connection::open(&settings.path).unwrap();
    TO_SCHEMA_11.iter().for_each(|step| old.execute_batch(step).unwrap());
    old.execute_batch(include_str!("../store/tests/schema_11.sql")).unwrap();
    // What makes a database one of ours: "TERT".
    old.execute_batch("PRAGMA application_id = 0x54455254; PRAGMA user_version = 11").unwrap();
    drop(old);
    assert_eq!(db::migrate(settings).unwrap().from, 11);
    Connection::open(&settings.path).unwrap()
}

/// The ids and languages that a search finds, best first.
fn found(conn: &Connection, text: &str, embedding: Option<&[f32]>) -> Vec<String> {
    let space = VectorSpace { model: "small".into(), unrelated: 0.0 };
    let (text, embedding) = (text.to_owned(), embedding.map(Into::into));
    let search = Search { text, embedding, language: None, filter: Filter::default(), limit: 10 };
    let hits = Searcher::new(Some(space)).find(conn, &search).unwrap().into_iter();
    hits.map(|hit| format!("{} {}", hit.entry.id, hit.entry.language)).collect()
}

#[test]
fn what_a_knowledge_base_of_schema_11_had_is_found_as_before_in_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { path: folder.path().join("t.db"), ..StoreSettings::default() };
    let conn = migrated(&settings);
    // As a start does.
    entries::reindex_if_outdated(&conn).unwrap();

    let (en, ar) = (Language::ENGLISH, Language::ARABIC);
    let expected = [
        Entry::new("delivery", ar, "هل توصلون يوم الجمعة؟", "نعم، حتى التاسعة مساء."),
        Entry::new("delivery", en, "Do you deliver on Friday?", "Yes, until nine in the evening."),
        Entry::new("guide.md#camels", en, "", "Camels live in the garden behind the shop."),
        Entry::new("price", en, "How much is a bottle?", "Ten dirhams."),
    ];
    assert_eq!(entries::list(&conn, None, 10).unwrap(), expected);

    for (text, embedding, best) in [
        ("are you delivering on Fridays?", None, "delivery en"),
        ("do you delivr on fridey", None, "delivery en"),
        ("توصلون الجمعة", None, "delivery ar"),
        ("where do the camels live", None, "guide.md#camels en"),
        ("unheard of", Some(&[0.0, 1.0][..]), "price en"),
        ("unheard of", Some(&[0.6, 0.8]), "guide.md#camels en"),
    ] {
        let found = found(&conn, text, embedding);
        assert_eq!(found.first().map(String::as_str), Some(best), "{text}: {found:?}");
    }
    let models = vectors::status(&conn).unwrap().models;
    assert_eq!(
        models.iter().map(|model| (model.model.as_str(), model.embedded)).collect::<Vec<_>>(),
        [("small", 4)]
    );
    assert_eq!(vectors::unembedded(&conn, "small", 0, 10).unwrap(), [], "nothing is embedded again");

    // And it is changed as any other.
    let now = Timestamp(9_000);
    let changed = Entry { phrasings: vec!["Is water dear?".into()], ..expected[3].clone() };
    entries::import(&conn, std::slice::from_ref(&changed), now).unwrap();
    entries::import(&conn, &expected[..1], now).unwrap();
    assert_eq!(entries::remove(&conn, "delivery", Some(en), now).unwrap(), 1);
    let ends = |id: &str| {
        let versions = history::versions(&conn, id, None).unwrap();
        versions
            .into_iter()
            .map(|version| (version.written_at, version.replaced_at, version.removed_at))
            .collect::<Vec<_>>()
    };
    assert_eq!(ends("price"), [(Timestamp(2_000), Some(now), None)]);
    assert_eq!(ends("delivery"), [(Timestamp(1_000), None, Some(now))], "the other language says the same");
    assert_eq!(vectors::unembedded(&conn, "small", 0, 10).unwrap().len(), 1, "what says something else");
}
