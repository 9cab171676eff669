//! What `tertulia eval` prints and refuses.

use std::fs;

use serde_json::Value;

use crate::support::Bench;

/// Runs it on files in a folder of its own: exit code, standard output, standard error.
fn eval(files: &[(&str, &str)], arguments: &[&str]) -> (Option<i32>, String, String) {
    let bench = Bench::new();
    for (name, text) in files {
        fs::write(bench.folder().join(name), text).expect("a file");
    }
    let arguments: Vec<&str> = ["eval"].iter().chain(arguments).copied().collect();
    let done = bench.command(&arguments).output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

const TRAIN: &str =
    "text,category\nwhere is my card,card\nthe card is lost,card\nthe rate is wrong,rate\nwhich rate,rate\n";

const DOCUMENTS: &str = r#"
{"id":"a","text":"Bottles are cleaned with steam.","language":"en"}
{"id":"b","text":"تغسل القوارير بالبخار","language":"ar"}
"#;

const QUERIES: &str = r#"
{"text":"how are the bottles cleaned","relevant":["a"],"language":"en"}
{"text":"كيف تغسلون القوارير","relevant":["b"],"language":"ar"}
"#;

#[test]
fn texts_are_classified_and_the_figures_shown_as_a_table_or_as_json() {
    let files = [("train.csv", TRAIN), ("test.csv", "text,category\nmy card,card\na rate,rate\n")];
    let asked = ["classify", "--train", "train.csv", "--test", "test.csv", "--shots", "2"];
    let (code, table, _) = eval(&files, &asked);
    assert_eq!(code, Some(0));
    assert!(table.contains("accuracy") && table.contains("100.0 %"), "{table}");
    let (code, json, _) = eval(&files, &[&asked[..], &["--json"]].concat());
    let figures: Value = serde_json::from_str(&json).expect("JSON and nothing else");
    assert_eq!((code, &figures["accuracy"], &figures["trained"]), (Some(0), &1.0.into(), &4.into()));
}

#[test]
fn documents_are_found_in_both_languages() {
    let files = [("docs.jsonl", DOCUMENTS), ("queries.jsonl", QUERIES)];
    let asked = ["retrieve", "--docs", "docs.jsonl", "--queries", "queries.jsonl", "--json"];
    let (code, json, refused) = eval(&files, &asked);
    assert_eq!(code, Some(0), "{refused}");
    let figures: Value = serde_json::from_str(&json).expect("JSON and nothing else");
    for found in [&figures["all"], &figures["languages"]["ar"], &figures["languages"]["en"]] {
        assert_eq!(found["recall_at_1"], 1.0, "{json}");
    }
}

#[test]
fn decisions_are_made_with_the_entries_given() {
    let decisions = "text,label\ndo you have camels,reply\nok,skip\nwho won the match,continue\n";
    let entry = r#"{"id":"c","language":"en","question":"Do you have camels?","answer":"Two."}"#;
    let files = [("decisions.csv", decisions), ("entries.jsonl", entry)];
    let asked = ["decide", "--data", "decisions.csv", "--entries", "entries.jsonl", "--json=figures.json"];
    let (code, table, refused) = eval(&files, &asked);
    assert_eq!(code, Some(0), "{refused}");
    assert!(table.contains("pipeline.reply_score_min") && table.contains("100.0 %"), "{table}");
}

#[test]
fn a_bad_file_is_named_with_its_line_and_wrong_usage_exits_2() {
    let files = [("train.csv", TRAIN), ("test.csv", "text,category\n\"\",card\n")];
    let (code, said, refused) = eval(&files, &["classify", "--train", "train.csv", "--test", "test.csv"]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(refused.contains("'test.csv', line 2: the text is empty"), "{refused}");
    for wrong in [
        &["classify", "--train", "train.csv"][..],
        &["retrieve"],
        &["guess"],
        &["classify", "--train", "train.csv", "--test", "test.csv", "--shots", "0"],
    ] {
        assert_eq!(eval(&files, wrong).0, Some(2), "{wrong:?}");
    }
}
