//! The knowledge base on the command line, with a server and without.

use std::fs;

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};

use crate::support::{Bench, CONSOLE_TOKEN, client, run};

const CAMELS: &str =
    r#"{"id":"camels","language":"en","question":"Do you have camels?","answer":"Two of them."}"#;

/// A bench with a file to import.
fn bench() -> Bench {
    let bench = Bench::new();
    fs::write(bench.folder().join("entries.jsonl"), CAMELS).expect("a file");
    bench
}

/// Runs a command of the knowledge base: exit code, standard output, standard error.
fn knowledge(bench: &Bench, arguments: &[&str]) -> (Option<i32>, String, String) {
    let arguments: Vec<&str> = ["knowledge"].iter().chain(arguments).copied().collect();
    let done = bench.command(&arguments).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

#[test]
fn commands_that_read_want_a_database_that_exists_and_create_none() {
    let mut bench = bench();
    bench.set("storage.path", "mistyped/t.db");
    for command in [&["list"][..], &["export"], &["search", "camels"], &["remove", "camels"], &["reindex"]] {
        let (code, _, said) = knowledge(&bench, command);
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(said.contains("mistyped/t.db"), "{command:?}: {said}");
    }
    assert!(!bench.folder().join("mistyped").exists());
}

#[test]
fn without_a_server_the_commands_work_on_the_database_alone() {
    let bench = bench();
    let (code, said, _) = knowledge(&bench, &["import", "entries.jsonl"]);
    assert_eq!((code, said.as_str()), (Some(0), "1 entries were imported\n"));
    let (_, found, _) = knowledge(&bench, &["search", "have you got camels"]);
    assert!(found.contains("Two of them."), "{found}");
    assert_eq!(knowledge(&bench, &["export"]).1, format!("{CAMELS}\n"));
    assert_eq!(knowledge(&bench, &["reindex"]).0, Some(0));
    assert_eq!(knowledge(&bench, &["remove", "camels"]).0, Some(0));
    assert_eq!(knowledge(&bench, &["list"]).1, "");
    assert_eq!(knowledge(&bench, &["remove", "camels"]).0, Some(1), "there is nothing left");
}

#[test]
fn an_index_that_another_version_made_is_not_searched_before_it_is_made_anew() {
    let bench = bench();
    assert_eq!(knowledge(&bench, &["import", "entries.jsonl"]).0, Some(0));
    let outdated = || {
        let conn = rusqlite::Connection::open(bench.database()).expect("a database");
        conn.execute("UPDATE knowledge_state SET index_version = 1", []).expect("a column");
    };
    for mended_by in
        [&["knowledge", "reindex"][..], &["knowledge", "import", "entries.jsonl"], &["db", "migrate"]]
    {
        outdated();
        let (code, found, refused) = knowledge(&bench, &["search", "camels"]);
        assert_eq!((code, found.as_str()), (Some(1), ""));
        assert!(refused.contains("tertulia knowledge reindex"), "{refused}");
        assert!(bench.command(mended_by).output().expect("the binary runs").status.success());
        assert_eq!(knowledge(&bench, &["search", "camels"]).0, Some(0), "{mended_by:?}");
    }
}

#[test]
fn beside_a_server_what_writes_goes_through_it() {
    run(async {
        let bench = bench();
        let _server = bench.start().await;
        let many: Vec<_> =
            (0..120).map(|n| CAMELS.replace("\"camels\"", &format!("\"camels {n}\""))).collect();
        fs::write(bench.folder().join("entries.jsonl"), many.join("\n")).expect("a file");
        let (code, said, refused) = knowledge(&bench, &["import", "entries.jsonl"]);
        assert_eq!((code, said.as_str()), (Some(0), "120 entries were imported\n"), "{refused}");
        assert_eq!(bench.count("SELECT count(*) FROM knowledge"), 120);
        assert_eq!(
            knowledge(&bench, &["remove", "camels 7", "../?x", "camels 8"]).1,
            "2 entries were removed\n"
        );
        assert_eq!(bench.count("SELECT count(*) FROM knowledge"), 118);
        let (code, _, refused) = knowledge(&bench, &["reindex"]);
        assert!(code == Some(1) && refused.contains("stop the server first"), "{refused}");
        let (_, found, _) = knowledge(&bench, &["search", "do you have camels"]);
        assert_eq!(found.lines().count(), 3, "{found}");
    });
}

/// People who search at the same time.
const SEARCHERS: usize = 1_000;

/// The entry that only one person's account may see, put so that all of them are found by the same question.
fn canary(person: usize) -> Value {
    json!({"id": format!("canary {person}"), "language": "en", "question": "What is my secret word?",
           "answer": format!("canary-{person}"), "accounts": [format!("account {person}")]})
}

/// The answers that a person finds.
async fn ask(bench: &Bench, client: &Client, person: usize, question: &str) -> Vec<String> {
    let mut url = reqwest::Url::parse(&bench.url("/v1/knowledge/search")).expect("an address");
    let account = format!("account {person}");
    url.query_pairs_mut().append_pair("q", question).append_pair("account", &account).append_pair("n", "10");
    let found = client.get(url).bearer_auth(CONSOLE_TOKEN).send().await.expect("the server answers");
    let found: Value = found.json().await.expect("JSON");
    let hits = found["hits"].as_array().unwrap_or_else(|| panic!("{found}"));
    hits.iter().map(|hit| hit["entry"]["answer"].as_str().expect("an answer").to_owned()).collect()
}

#[test]
fn a_thousand_people_who_search_at_the_same_time_find_only_what_is_their_own() {
    run(async {
        let mut bench = Bench::new();
        bench.set("vectors.threads", "2");
        bench.set("embedding.backend", "hashed");
        // A slow machine may take longer for a thousand searches than one person would wait.
        bench.set("vectors.front.deadline_ms", "60000");
        let client = client();
        let mut server = bench.start().await;
        let canaries: Vec<_> = (0..SEARCHERS).map(canary).collect();
        for some in canaries.chunks(50) {
            let put =
                client.post(bench.url("/v1/knowledge")).bearer_auth(CONSOLE_TOKEN).json(some).send().await;
            assert!(put.expect("the server answers").status().is_success());
        }
        for question in ["What is my secret word?", "secret word of canary please"] {
            let found = join_all((0..SEARCHERS).map(|person| ask(&bench, &client, person, question))).await;
            for (person, found) in found.iter().enumerate() {
                assert_eq!(found, &[format!("canary-{person}")], "{question}");
            }
        }
        server.ends_clean(&bench).await;
    });
}
