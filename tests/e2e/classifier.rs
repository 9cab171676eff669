//! The classifier's examples on the command line, with a server and without, and what operators correct.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tertulia::load::providers::{ModelBehaviour, ProviderOptions};

use crate::support::{Bench, CONSOLE_TOKEN, PATIENCE, client, run};

/// A text of which nothing that is built in knows the class.
const NOISE: &str = "zorblax frimble quux";

/// Runs a command: exit code, standard output, standard error.
fn tertulia(bench: &Bench, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = bench.command(arguments).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

/// The class that `tertulia classify` gives a text.
fn class(bench: &Bench, text: &str) -> String {
    let (code, said, refused) = tertulia(bench, &["classify", text]);
    assert_eq!(code, Some(0), "{refused}");
    let found: Value = serde_json::from_str(&said).expect("a line of JSON");
    assert!(found["confidence"].is_number() && found["scope"].is_number(), "{found}");
    found["class"].as_str().expect("a class").to_owned()
}

#[test]
fn without_a_server_examples_are_added_exported_imported_and_removed() {
    let bench = Bench::new();
    assert_eq!(class(&bench, "شكرا جزيلا لكم"), "thanks", "no database is needed to classify");
    assert_eq!(class(&bench, NOISE), "other");
    let (code, said, refused) =
        tertulia(&bench, &["classifier", "examples", "add", "complaint", NOISE, "my pump squeaks"]);
    assert_eq!((code, said.as_str()), (Some(0), "2 examples were added\n"), "{refused}");
    assert_eq!(class(&bench, NOISE), "complaint");
    let (_, exported, _) = tertulia(&bench, &["classifier", "examples", "export", "--format", "csv"]);
    assert_eq!(exported, format!("text,class,language\n{NOISE},complaint,\nmy pump squeaks,complaint,\n"));
    assert_eq!(
        tertulia(&bench, &["classifier", "examples", "remove", "1", "2"]).1,
        "2 examples were removed\n"
    );
    assert_eq!(
        tertulia(&bench, &["classifier", "examples", "remove", "1"]).0,
        Some(1),
        "there is nothing left"
    );
    fs::write(bench.folder().join("again.csv"), exported.replace("complaint", "suggestion")).expect("a file");
    assert_eq!(
        tertulia(&bench, &["classifier", "examples", "import", "again.csv"]).1,
        "2 examples were added\n"
    );
    assert_eq!(class(&bench, NOISE), "suggestion");
    fs::write(bench.folder().join("wrong.jsonl"), "{\"text\":\"x\",\"class\":\"rage\"}").expect("a file");
    let (code, _, refused) = tertulia(&bench, &["classifier", "examples", "import", "wrong.jsonl"]);
    assert!(code == Some(1) && refused.contains("line 1") && refused.contains("rage"), "{refused}");
    let (_, listed, _) = tertulia(&bench, &["classifier", "examples", "list"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

#[test]
fn a_row_that_cannot_be_read_is_said_once_and_the_others_are_learnt() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "10");
        let (code, _, refused) =
            tertulia(&bench, &["classifier", "examples", "add", "complaint", "qux corge", NOISE]);
        assert_eq!(code, Some(0), "{refused}");
        let conn = rusqlite::Connection::open(bench.database()).expect("the database opens");
        let rage = |id: &str| format!("UPDATE classifier_examples SET class = 'rage' WHERE id = {id}");
        conn.execute(&rage("1"), []).expect("a row");
        let (_, listed, _) = tertulia(&bench, &["classifier", "examples", "list"]);
        assert!(listed.starts_with("{\"id\":1,\"unreadable\":") && listed.contains(NOISE), "{listed}");
        let (code, said, complained) = tertulia(&bench, &["classify", NOISE]);
        assert!(code == Some(0) && said.contains("\"class\":\"complaint\""), "{said} {complained}");
        assert!(
            complained.contains("example 1 cannot be read") && complained.contains("remove"),
            "{complained}"
        );
        let _server = bench.start().await;
        let conversation = write(&bench, NOISE).await;
        assert_eq!(last_turn(&bench, &conversation).await["class"], "complaint");
        tertulia(&bench, &["classifier", "examples", "add", "suggestion", NOISE]);
        let begun = Instant::now();
        while last_turn(&bench, &conversation).await["class"] != "suggestion" {
            assert!(begun.elapsed() < PATIENCE, "{}", bench.log());
            write(&bench, NOISE).await;
        }
        let log = bench.log();
        let told: Vec<_> =
            log.lines().filter(|line| line.contains("an example of a class cannot be read")).collect();
        assert!(told.len() == 1 && told[0].contains("rage") && told[0].contains("remove"), "{log}");
    });
}

#[test]
fn a_database_that_fails_is_an_error_of_classify_that_names_the_file() {
    let bench = Bench::new();
    let fails = |expected: &str| {
        let (code, said, refused) = tertulia(&bench, &["classify", NOISE]);
        let file = bench.database().display().to_string();
        assert_eq!((code, said.as_str()), (Some(1), ""), "{refused}");
        assert!(refused.contains(&file) && refused.contains(expected), "{refused}");
    };
    fs::write(bench.database(), "no database at all, but long enough for its head to be read".repeat(9))
        .expect("a file");
    fails("not a database");
    fs::remove_file(bench.database()).expect("it is there");
    tertulia(&bench, &["db", "migrate"]);
    let conn = rusqlite::Connection::open(bench.database()).expect("the database opens");
    conn.execute_batch("DROP TABLE classifier_examples").expect("a table");
    fails("no such table");
}

/// Writes a message and waits until it is answered; the conversation.
async fn write(bench: &Bench, text: &str) -> String {
    let message = json!({"from": "ann", "text": text});
    let answer = client().post(bench.url("/v1/messages")).json(&message).send().await;
    let answer: Value = answer.expect("the server answers").json().await.expect("JSON");
    bench.wait_until_idle().await;
    answer["conversation_id"].as_str().expect("a conversation").to_owned()
}

/// The last turn of a conversation.
async fn last_turn(bench: &Bench, conversation: &str) -> Value {
    let url = bench.url(&format!("/v1/conversations/{conversation}/turns?limit=1"));
    let turns = client().get(url).bearer_auth(CONSOLE_TOKEN).send().await.expect("the server answers");
    let turns: Value = turns.json().await.expect("JSON");
    turns["turns"][0].clone()
}

#[test]
fn a_running_server_learns_from_a_correction_and_logs_it_without_the_words() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "10");
        bench.set("log.level", "info");
        let _server = bench.start().await;
        let conversation = write(&bench, NOISE).await;
        let turn = last_turn(&bench, &conversation).await;
        assert_eq!(turn["class"], "other", "{turn}");
        let id = turn["id"].as_str().expect("an id");
        let (code, said, refused) =
            tertulia(&bench, &["classifier", "correct", &conversation, id, "complaint"]);
        assert_eq!(code, Some(0), "{refused}");
        assert!(said.contains(id) && said.contains("complaint"), "{said}");
        let begun = Instant::now();
        while last_turn(&bench, &conversation).await["class"] != "complaint" {
            assert!(begun.elapsed() < PATIENCE, "{}", bench.log());
            write(&bench, NOISE).await;
        }
        let log = bench.log();
        assert!(log.contains("an operator corrected the class of a turn") && log.contains(id), "{log}");
        assert!(!log.contains("frimble"), "{log}");
        assert_eq!(bench.count("SELECT count(*) FROM classifier_examples WHERE origin = 'correction'"), 1);
        let unknown = "01900000-0000-7000-8000-00000000000a";
        let (code, _, refused) =
            tertulia(&bench, &["classifier", "correct", &conversation, unknown, "complaint"]);
        assert!(code == Some(1) && refused.contains("no such turn"), "{refused}");
    });
}

#[test]
fn a_trainer_that_panics_leaves_what_was_known_and_tries_again() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "10");
        let _server = bench.start_with_failpoints("classifier.train=1*panic").await;
        let (code, _, refused) = tertulia(&bench, &["classifier", "examples", "add", "complaint", NOISE]);
        assert_eq!(code, Some(0), "{refused}");
        let begun = Instant::now();
        loop {
            let conversation = write(&bench, NOISE).await;
            if last_turn(&bench, &conversation).await["class"] == "complaint" {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{}", bench.log());
        }
        assert!(bench.log().contains("panicked while it learnt"), "{}", bench.log());
    });
}

#[test]
fn a_model_names_the_class_and_where_it_names_none_the_examples_stand() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "10");
        bench.set("classifier.backend", "llm");
        let _server = bench.start().await;
        // The emulated model says what it was told: a name of a class is one, and nothing else is.
        for (text, expected, degraded) in [
            ("Template reply!", "template_reply", false),
            ("complaint", "complaint", false),
            ("thank you very much", "thanks", true),
        ] {
            let conversation = write(&bench, text).await;
            let turn = last_turn(&bench, &conversation).await;
            let tokens = step_by_model(&turn)["detail"]["prompt_tokens"].as_u64();
            assert_eq!(tokens.is_none(), degraded, "{turn}");
            assert_eq!(turn["class"].as_str(), Some(expected), "{turn}");
            assert_eq!(turn["journey"]["degraded"], degraded, "{turn}");
        }
    });
}

/// The step of a turn in which a model was asked for its class.
fn step_by_model(turn: &Value) -> &Value {
    let steps = turn["journey"]["steps"].as_array().expect("steps");
    let asked: Vec<_> = steps.iter().filter(|step| step["name"] == "classify by model").collect();
    assert_eq!(asked.len(), 1, "{turn}");
    asked[0]
}

#[test]
fn a_model_that_does_not_name_the_class_in_time_holds_nothing_up() {
    run(async {
        // It would name the class a little later, and then the journey would not say that the turn went on without.
        let model = ModelBehaviour { latency: Duration::from_secs(3), ..ModelBehaviour::default() };
        let mut bench = Bench::with(ProviderOptions { model, ..ProviderOptions::default() });
        for (key, value) in [
            ("conversation.quiet_ms", "10"),
            ("classifier.backend", "llm"),
            ("classifier.llm_timeout_ms", "100"),
            ("routes.thanks", "phrase"),
        ] {
            bench.set(key, value);
        }
        let _server = bench.start().await;
        let conversation = write(&bench, "Thanks!").await;
        let turn = last_turn(&bench, &conversation).await;
        assert_eq!((turn["class"].as_str(), turn["attempt"].as_u64()), (Some("thanks"), Some(1)), "{turn}");
        let step = step_by_model(&turn);
        assert_eq!((&step["outcome"], &step["detail"]), (&json!("degraded"), &json!("it is late")), "{turn}");
    });
}

#[test]
fn a_turn_that_runs_again_keeps_the_class_that_a_model_has_named() {
    run(async {
        let mut bench = Bench::new();
        for (key, value) in [
            ("conversation.quiet_ms", "10"),
            ("classifier.backend", "llm"),
            ("turns.unavailable_retry_ms", "50"),
            ("routes.inquiry", "query"),
        ] {
            bench.set(key, value);
        }
        // The model names the class, panics over the answer, and then answers.
        let _server = bench.start_with_failpoints("services.query=2*panic").await;
        let conversation = write(&bench, "Inquiry").await;
        let turn = last_turn(&bench, &conversation).await;
        assert_eq!((turn["class"].as_str(), turn["attempt"].as_u64()), (Some("inquiry"), Some(2)), "{turn}");
        assert_eq!(step_by_model(&turn)["detail"], json!({"class": "inquiry", "kept": true}), "{turn}");
        assert_eq!(bench.providers.prompts().len(), 2, "once for the class, once for the answer");
    });
}

#[test]
fn a_model_that_is_to_name_classes_and_is_not_there_is_refused_by_its_key() {
    let mut bench = Bench::as_it_comes();
    bench.set("classifier.backend", "llm");
    let (code, _, refused) = tertulia(&bench, &["check-config"]);
    assert!(
        code == Some(2) && refused.contains("classifier.backend") && refused.contains("query.llm.base_url"),
        "{refused}"
    );
}
