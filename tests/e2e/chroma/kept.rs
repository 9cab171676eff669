//! What is kept in a collection: entries that are asked for in several ways, and documents.

use serde_json::{Value, json};

use super::{Chroma, ask, best, entries, entry, knowledge, put, search, told_of, use_collection};
use crate::support::{Bench, client, run};

#[test]
fn an_entry_that_is_asked_for_in_several_ways_has_a_record_for_each_and_is_one_entry() {
    run(async {
        let Some(chroma) = Chroma::start().await else { return };
        let collection = chroma.create("ways", "cosine").await;
        let mut bench = Bench::new();
        use_collection(&mut bench, &chroma, "ways");
        let mut server = bench.start().await;
        let mut pool = entry("pool", "en", "Is there a swimming pool?", "Yes, on the roof.");
        // The model cannot read the last one, by which the entry is not found then.
        pool["phrasings"] = json!(["Where can I swim?", "May I do some laps, or not?", "أين أسبح؟"]);
        pool["tags"] = json!(["sports, water"]);
        let parking = entry("parking", "en", "Can I park my car?", "Yes, behind the house.");
        assert_eq!(put(&bench, &json!([pool, parking])).await, (200, json!({"imported": 2})));
        assert_eq!(chroma.count(&collection).await, 4);

        for question in ["Is there a swimming pool?", "Where can I swim?", "May I do some laps, or not?"] {
            let (_, found) = search(&bench, &[("q", question), ("n", "5")]).await;
            assert_eq!(found["hits"].as_array().map(Vec::len), Some(2), "each entry once: {found}");
            assert_eq!(found["hits"][0]["entry"], pool, "{question}");
            assert!(found["hits"][0]["score"].as_f64().is_some_and(|score| score > 0.99), "{found}");
        }
        assert_eq!(told_of(&bench, "pool").await, json!([pool]));
        let (_, page) = ask(&bench, client().get(bench.url("/v1/knowledge"))).await;
        assert_eq!((&page["entries"], entries(&bench).await), (&json!([parking, pool]), json!(2)));
        let (_, found, _) = knowledge(&bench, &["search", "a place to swim", "--tag", "sports, water"]);
        assert!(found.lines().count() == 1 && found.contains("Yes, on the roof."), "{found}");
        let (_, found, _) = knowledge(&bench, &["search", "a place to swim", "--tag", "sports"]);
        assert_eq!(found, "", "no entry has such a tag");

        // Into the database of another server.
        let mut other = Bench::new();
        other.set("vectors.chroma.base_url", &chroma.base_url());
        other.set("vectors.chroma.collection", "ways");
        let (_, said, left_out) = knowledge(&other, &["import-chroma"]);
        assert_eq!((said.as_str(), left_out.as_str()), ("2 entries were imported\n", ""));
        let (_, exported, _) = knowledge(&other, &["export"]);
        assert_eq!(serde_json::from_str::<Value>(exported.lines().last().expect("two")).expect("JSON"), pool);

        // Fewer ways, and none.
        pool["phrasings"] = json!(["Where can I swim?"]);
        assert_eq!(put(&bench, &json!([pool])).await.0, 200);
        assert_eq!(chroma.count(&collection).await, 3);
        assert_eq!(told_of(&bench, "pool").await, json!([pool]));
        pool.as_object_mut().expect("an object").remove("phrasings");
        assert_eq!(put(&bench, &json!([pool])).await.0, 200);
        assert_eq!(chroma.count(&collection).await, 2);
        // As many as an entry may have, which are all nearer than anything else.
        let ways: Vec<String> = (0..64).map(|n| format!("Where can I swim in room {n}?")).collect();
        pool["phrasings"] = json!(ways);
        assert_eq!(put(&bench, &json!([pool])).await.0, 200);
        assert_eq!((chroma.count(&collection).await, entries(&bench).await), (66, json!(2)));
        let (_, found) = search(&bench, &[("q", "Where can I swim?"), ("n", "2")]).await;
        assert_eq!(found["hits"].as_array().map(Vec::len), Some(2), "the other one has room: {found}");
        let (_, removed, _) = knowledge(&bench, &["remove", "pool"]);
        assert_eq!((removed.as_str(), chroma.count(&collection).await), ("1 entries were removed\n", 1));
        server.ends_clean(&bench).await;
    });
}

#[test]
fn a_document_is_imported_into_a_collection_found_in_it_and_replaced() {
    run(async {
        let Some(chroma) = Chroma::start().await else { return };
        let collection = chroma.create("documents", "cosine").await;
        let mut bench = Bench::new();
        use_collection(&mut bench, &chroma, "documents");
        bench.set("vectors.chroma.document", "answer");
        let mut server = bench.start().await;
        let write = |text: &str| std::fs::write(bench.folder().join("guide.md"), text).expect("a file");
        write(
            "# Delivery\n\nOur drivers bring water to your house every morning.\n\n## How do I pay?\n\nIn cash, to the driver.\n\n\
             # Garden\n\nTwo camels live behind the shop.\n",
        );
        let (_, said, _) = knowledge(&bench, &["import", "guide.md", "--dry-run"]);
        assert!(
            said.ends_with("3 entries would be imported: 3 new, 0 changed, 0 as before; 0 removed\n"),
            "{said}"
        );
        assert_eq!(chroma.count(&collection).await, 0);
        let (code, said, refused) = knowledge(&bench, &["import", "guide.md"]);
        assert_eq!(code, Some(0), "{refused}");
        assert_eq!(said, "3 entries were imported: 3 new, 0 changed, 0 as before; 0 removed\n");
        assert_eq!(chroma.count(&collection).await, 3);
        for (question, id) in [
            ("Which animals do you have?", "guide.md#garden"),
            ("When is water delivered?", "guide.md#delivery"),
            ("Can I give the driver cash?", "guide.md#delivery/how-do-i-pay"),
        ] {
            assert_eq!(best(&bench, question).await.0, id, "{question}");
        }
        write(
            "# Delivery\n\nOur drivers bring water to your house every morning.\n\n# Garden\n\nOne camel lives behind the shop.\n",
        );
        let (_, said, _) = knowledge(&bench, &["import", "guide.md"]);
        assert_eq!(said, "2 entries were imported: 0 new, 1 changed, 1 as before; 1 removed\n");
        assert_eq!(chroma.count(&collection).await, 2);
        let (_, found) = search(&bench, &[("q", "Which animals do you have?"), ("n", "1")]).await;
        assert!(found.to_string().contains("One camel lives"), "{found}");
        assert_eq!(bench.count("SELECT count(*) FROM knowledge"), 0);
        server.ends_clean(&bench).await;
    });
}
