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
    assert_eq!(
        (code, said.as_str()),
        (Some(0), "1 entries were imported: 1 new, 0 changed, 0 as before; 0 removed\n")
    );
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
        assert_eq!(
            (code, said.as_str()),
            (Some(0), "120 entries were imported: 120 new, 0 changed, 0 as before; 0 removed\n"),
            "{refused}"
        );
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

/// A guide of three sections, the second of which says this.
fn guide(prices: &str, rest: &str) -> String {
    format!(
        "# Guide\n\nWe deliver water to every house in the old town.\n\n## Prices\n\n{prices}\n\n{rest}\n"
    )
}

/// The lines of what a command printed, each cut to its first three fields.
fn fields(said: &str) -> Vec<String> {
    said.lines().map(|line| line.split('\t').take(3).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_document_that_changed_replaces_what_it_brought_while_a_server_runs() {
    run(async {
        let bench = bench();
        let mut server = bench.start().await;
        let write = |text: &str| fs::write(bench.folder().join("guide.md"), text).expect("a file");
        assert_eq!(knowledge(&bench, &["import", "entries.jsonl"]).0, Some(0));
        write(&guide("A bottle costs ten dirhams.", "## Do you deliver at night?\n\nNo, never."));
        let (code, said, refused) = knowledge(&bench, &["import", "guide.md"]);
        let expected = "3 entries were imported: 3 new, 0 changed, 0 as before; 0 removed\n";
        assert_eq!((code, said.as_str()), (Some(0), expected), "{refused}");
        let (_, found, _) = knowledge(&bench, &["search", "what does a bottle cost", "-n", "1"]);
        assert!(found.contains("guide.md#guide/prices") && found.contains("ten dirhams"), "{found}");
        let (_, found, _) = knowledge(&bench, &["search", "do you deliver at night", "-n", "1"]);
        assert!(found.contains("No, never."), "{found}");
        let vectors = bench.count("SELECT generation FROM knowledge_state");

        write(&guide("A bottle costs twelve dirhams.", "## Opening hours\n\nWe open at nine."));
        let (code, said, _) = knowledge(&bench, &["import", "guide.md", "--dry-run"]);
        assert_eq!(code, Some(0));
        let expected = [
            "= guide.md#guide en",
            "~ guide.md#guide/prices en",
            "+ guide.md#guide/opening-hours en",
            "- guide.md#guide/do-you-deliver-at-night en",
            "3 entries would be imported: 1 new, 1 changed, 1 as before; 1 removed",
        ];
        assert_eq!(fields(&said), expected);
        assert_eq!(
            bench.count("SELECT generation FROM knowledge_state"),
            vectors,
            "a dry run changes nothing"
        );

        let (code, said, refused) = knowledge(&bench, &["import", "guide.md"]);
        let expected = "3 entries were imported: 1 new, 1 changed, 1 as before; 1 removed\n";
        assert_eq!((code, said.as_str()), (Some(0), expected), "{refused}");
        let ids = fields(&knowledge(&bench, &["list"]).1);
        let ids: Vec<_> = ids.iter().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(
            ids,
            ["camels", "guide.md#guide", "guide.md#guide/opening-hours", "guide.md#guide/prices"]
        );
        let (_, found, _) = knowledge(&bench, &["search", "what does a bottle cost", "-n", "1"]);
        assert!(found.contains("twelve dirhams"), "{found}");
        server.ends_clean(&bench).await;
    });
}

#[test]
fn what_is_exported_in_either_format_is_imported_as_it_was() {
    let bench = bench();
    let special = r#"{"id":"b","language":"ar","question":"كم \"السعر\"؟","phrasings":["بكم, هذا","[x"],"answer":"عشرة\nدراهم","tags":["t"],"valid_from":"2026-01-01"}"#;
    fs::write(bench.folder().join("entries.jsonl"), format!("{CAMELS}\n{special}")).expect("a file");
    assert_eq!(knowledge(&bench, &["import", "entries.jsonl"]).0, Some(0));
    let exported = knowledge(&bench, &["export"]).1;
    assert_eq!(exported.lines().count(), 2);
    for format in ["csv", "jsonl"] {
        let (_, text, _) = knowledge(&bench, &["export", "--format", format]);
        let file = format!("copy.{format}");
        fs::write(bench.folder().join(&file), text).expect("a file");
        assert_eq!(knowledge(&bench, &["remove", "b", "camels"]).0, Some(0));
        let (code, _, refused) = knowledge(&bench, &["import", &file]);
        assert_eq!(code, Some(0), "{refused}");
        assert_eq!(knowledge(&bench, &["export"]).1, exported, "{format}");
    }
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_refused_by_name_and_changes_nothing() {
    let bench = bench();
    let write = |name: &str, bytes: &[u8]| fs::write(bench.folder().join(name), bytes).expect("a file");
    write("labelled.csv", b"text,category\nwhere is my card,card_arrival\n");
    write("latin.txt", b"caf\xE9");
    write("broken.pdf", b"%PDF-1.7\nnothing");
    write("notes.docx", b"PK");
    write("good.md", b"# Hours\n\nNine.");
    for (file, expected) in [
        ("labelled.csv", "'labelled.csv': line 1: there is no column question among: text, category"),
        ("latin.txt", "'latin.txt': it is not UTF-8 (byte 4)"),
        ("broken.pdf", "'broken.pdf': the PDF cannot be read"),
        ("notes.docx", "'notes.docx': its kind is not read"),
        ("absent.md", "'absent.md': cannot read it"),
    ] {
        let (code, said, refused) = knowledge(&bench, &["import", "good.md", file]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{file}");
        assert!(refused.contains(expected), "{refused}");
    }
    assert!(!bench.database().exists(), "nothing was imported");
}

/// A PDF of pages with these contents, without the places of its parts, which the reader finds.
fn pdf(contents: &[&str]) -> String {
    let mut file = "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n".to_owned();
    let kids: Vec<String> = (0..contents.len()).map(|n| format!("{} 0 R", 10 + 2 * n)).collect();
    file += &format!("2 0 obj\n<</Type/Pages/Kids[{}]/Count {}>>\nendobj\n", kids.join(" "), kids.len());
    file += "3 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>\nendobj\n";
    for (n, content) in contents.iter().enumerate() {
        let (page, stream) = (10 + 2 * n, 11 + 2 * n);
        file += &format!(
            "{page} 0 obj\n<</Type/Page/Parent 2 0 R/Contents {stream} 0 R/Resources<</Font<</F1 3 0 R>>>>>>\nendobj\n"
        );
        file +=
            &format!("{stream} 0 obj\n<</Length {}>>\nstream\n{content}\nendstream\nendobj\n", content.len());
    }
    file + "trailer\n<</Root 1 0 R/Size 99>>\n%%EOF\n"
}

#[test]
fn what_of_a_pdf_cannot_be_read_is_said_with_what_was_imported() {
    let bench = bench();
    let line = |text: &str| format!("BT /F1 12 Tf 1 0 0 1 50 700 Tm ({text}) Tj ET");
    let broken = line("We open at nine.") + " BT (lost";
    let (good, drawn) = (line("We close at five."), "q /Im1 Do Q");
    fs::write(bench.folder().join("hours.pdf"), pdf(&[&broken, &good, drawn])).expect("a file");
    let expected = [
        "'hours.pdf': 1 of its 3 pages cannot be read to their end (1)",
        "'hours.pdf': 1 of its 3 pages have no text that can be read (3)",
    ];
    for arguments in [&["import", "hours.pdf", "--dry-run"][..], &["import", "hours.pdf"]] {
        let (code, said, missing) = knowledge(&bench, arguments);
        assert!(code == Some(0) && said.contains("entries w"), "{said}{missing}");
        assert!(expected.iter().all(|part| missing.contains(part)), "{missing}");
    }
    fs::write(bench.folder().join("hours.pdf"), pdf(&[&broken, &broken, &good])).expect("a file");
    let (code, _, refused) = knowledge(&bench, &["import", "hours.pdf"]);
    assert_eq!(code, Some(1));
    assert!(
        refused.contains("2 of its 3 pages cannot be read to their end (1, 2): save it anew"),
        "{refused}"
    );
}

#[test]
fn entries_say_again_what_they_said_and_the_same_ones_are_kept_once() {
    run(async {
        let bench = bench();
        let write = |text: &str| fs::write(bench.folder().join("entries.jsonl"), text).expect("a file");
        let twin = CAMELS.replace("\"camels\"", "\"twin\"").replace("Do you", "do  you");
        let other = CAMELS.replace("\"camels\"", "\"other\"").replace("Two", "Three");
        let first = format!("{CAMELS}\n{twin}\n{other}\n");
        let restored = |bench: &Bench| {
            let version =
                bench.count("SELECT max(version) FROM knowledge_history WHERE id = 'camels'").to_string();
            let (code, said, refused) = knowledge(bench, &["restore", &version]);
            assert_eq!(code, Some(0), "{refused}");
            said
        };
        // Alone, and beside a server.
        for is_served in [false, true] {
            let mut server = if is_served { Some(bench.start().await) } else { None };
            write(&first);
            assert_eq!(knowledge(&bench, &["import", "entries.jsonl"]).0, Some(0));
            write(&CAMELS.replace("Two", "Nine"));
            assert_eq!(knowledge(&bench, &["import", "entries.jsonl"]).0, Some(0));
            let (_, history, _) = knowledge(&bench, &["history", "camels", "--language", "en"]);
            let newest = history.lines().next().expect("a version");
            assert!(newest.contains("Two of them.") && newest.contains("replaced_at"), "{history}");
            assert_eq!(restored(&bench), format!("{CAMELS}\n"));

            let (_, said, _) = knowledge(&bench, &["dedupe"]);
            assert!(said.starts_with("the same:\n  camels\ten\tDo you have camels?\n  twin\ten\t"), "{said}");
            let (code, said, refused) = knowledge(&bench, &["dedupe", "--remove"]);
            assert_eq!(code, Some(0), "{refused}");
            assert!(said.ends_with("1 groups say the same, 0 nearly\n1 entries were removed\n"), "{said}");
            assert_eq!(fields(&knowledge(&bench, &["list"]).1).len(), 2);
            assert_eq!(knowledge(&bench, &["remove", "camels"]).0, Some(0));
            let (_, history, _) = knowledge(&bench, &["history", "camels", "--language", "en"]);
            let newest: Value = serde_json::from_str(history.lines().next().expect("one")).expect("JSON");
            assert!(newest["removed_at"].is_string() && newest["replaced_at"].is_null(), "{history}");
            assert_eq!(restored(&bench), format!("{CAMELS}\n"), "also what was removed");
            let (code, _, refused) = knowledge(&bench, &["restore", "999999"]);
            assert!(code == Some(1) && refused.contains("no version 999999"), "{refused}");
            if let Some(server) = &mut server {
                server.ends_clean(&bench).await;
            }
        }
    });
}
