//! Tables of entries, and what is wrong with some.

use tertulia_actors::domain::Language;

use super::*;
use crate::knowledge::documents::{CHUNK_CHARS, Format, read as read_document};

fn reading(columns: Columns) -> Reading {
    Reading {
        name: "t.csv".into(),
        language: None,
        expected: vec![Language::ENGLISH, Language::ARABIC],
        columns,
        chunk_chars: CHUNK_CHARS,
    }
}

fn of(format: Format, text: &str, columns: Columns) -> Result<Draft, String> {
    read_document(text.as_bytes(), format, &reading(columns)).map_err(|error| error.to_string())
}

/// Entries as `id language question answer`, a line each.
fn lines(draft: &Draft) -> Vec<String> {
    let line = |entry: &Entry| format!("{} {} {} {}", entry.id, entry.language, entry.question, entry.answer);
    draft.entries.iter().map(line).collect()
}

#[test]
fn tables_are_read_with_and_without_ids_and_languages() {
    for (name, format, text, columns, is_source, expected) in [
        (
            "all columns",
            Format::Csv,
            "id,language,question,answer\na,en,\"Hi, you?\",\"Yes.\nNo.\"\n",
            Columns::default(),
            false,
            &["a en Hi, you? Yes.\nNo."][..],
        ),
        (
            "another order, and more",
            Format::Csv,
            "\u{FEFF}answer, question ,x\nYes.,Hi?,1\n",
            Columns::default(),
            true,
            &["t.csv#hi en Hi? Yes."],
        ),
        (
            "languages are found out",
            Format::Csv,
            "question,answer\nHi there?,Yes.\nكم السعر؟,عشرة.\n",
            Columns::default(),
            true,
            &["t.csv#hi-there en Hi there? Yes.", "t.csv#كم-السعر ar كم السعر؟ عشرة."],
        ),
        (
            "tabs",
            Format::Tsv,
            "question\tanswer\tlanguage\nSay \"hi\"?\tYes.\tar\n",
            Columns::default(),
            true,
            &["t.csv#say-hi ar Say \"hi\"? Yes."],
        ),
        (
            "a passage",
            Format::Csv,
            "id,question,answer\na,,We open at nine.\n",
            Columns::default(),
            false,
            &["a en  We open at nine."],
        ),
        (
            "the same question twice",
            Format::Csv,
            "question,answer\nHi?,One.\nHi?,Two.\n",
            Columns::default(),
            true,
            &["t.csv#hi en Hi? One.", "t.csv#hi.2 en Hi? Two."],
        ),
        (
            "an id in two languages",
            Format::Csv,
            "id,language,question,answer\na,en,Hi?,Yes.\na,ar,كم؟,لا\n",
            Columns::default(),
            false,
            &["a en Hi? Yes.", "a ar كم؟ لا"],
        ),
    ] {
        let draft = of(format, text, columns).unwrap();
        assert_eq!(
            (lines(&draft), draft.is_source),
            (expected.iter().map(|line| (*line).to_owned()).collect(), is_source),
            "{name}"
        );
    }
}

#[test]
fn columns_may_be_named() {
    let named = Columns {
        question: Some("ask".into()),
        answer: Some("say".into()),
        id: Some("key".into()),
        language: Some("lang".into()),
    };
    let draft = of(Format::Csv, "key,lang,ask,say\n1,en,Hi?,Yes.\n", named).unwrap();
    assert_eq!((lines(&draft), draft.is_source), (vec!["1 en Hi? Yes.".to_owned()], false));
}

#[test]
fn what_is_wrong_with_a_table_is_named_with_its_line() {
    let named = |question: &str| Columns { question: Some(question.into()), ..Columns::default() };
    for (text, columns, expected) in [
        (
            "text,category\nhi,greeting\n",
            Columns::default(),
            "line 1: there is no column question among: text, category (--question-column names another)",
        ),
        (
            "text,category\nhi,greeting\n",
            named("text"),
            "line 1: there is no column answer among: text, category (--answer-column names another)",
        ),
        ("question,answer\nhi,yes\n", named("ask"), "line 1: there is no column ask among: question, answer"),
        (
            "question,answer,answer\nhi,yes,no\n",
            Columns::default(),
            "line 1: there are several columns answer",
        ),
        ("question,answer\nhi,yes\nhi\n", Columns::default(), "line 3: CSV error"),
        (
            "question,answer\nhi,yes\nwho?,\"me\nwhen?,now\nwhere?,here\n",
            Columns::default(),
            "line 3: a quotation mark opens a cell and nothing closes it",
        ),
        (
            "question,answer\nhi,yes\nwho?,\"me\nwhen?,\"now\"\n",
            Columns::default(),
            "line 3: a quotation mark opens a cell and nothing closes it",
        ),
        ("question,answer\n\"hi,yes\n", Columns::default(), "line 2: a quotation mark opens a cell"),
        ("question,\"answer\nhi,yes\n", Columns::default(), "line 1: a quotation mark opens a cell"),
        ("question,answer\nhi,yes\nhi, \n", Columns::default(), "line 3: the answer is empty"),
        ("id,question,answer\n,hi,yes\n", Columns::default(), "line 2: the id is empty"),
        (
            "id,question,answer\na,hi,yes\nb,hi,yes\na,hi,yes\n",
            Columns::default(),
            "line 4: the id 'a' is that of line 2 too",
        ),
        ("question,answer,language\nhi,yes,english\n", Columns::default(), "line 2: "),
        ("question,answer,valid_from\nhi,yes,soon\n", Columns::default(), "line 2: 'soon' is neither a day"),
        (
            "question,answer,tags\nhi,yes,[a\n",
            Columns::default(),
            "line 2: the tags begin like a list of JSON and are none",
        ),
        ("question,answer\n", Columns::default(), "there is no line of entries in it"),
        ("", Columns::default(), "line 1: there is no column question"),
    ] {
        let error = of(Format::Csv, text, columns).unwrap_err();
        assert!(error.starts_with(expected), "{text:?}: {error}");
    }
}

#[test]
fn all_fields_of_an_entry_may_be_columns() {
    let text = "question,answer,phrasings,tags,accounts,valid_from,valid_until\n\
        Hi?,Yes.,\"Hello?\n Hey?\",\"prices, summer\",\"[\"\"a,b\"\"]\",2026-12-01,2026-12-31\n";
    let draft = of(Format::Csv, text, Columns::default()).unwrap();
    let entry = &draft.entries[0];
    assert_eq!(entry.phrasings, ["Hello?", "Hey?"]);
    assert_eq!(
        (&entry.tags[..], &entry.accounts[..]),
        (&["prices".to_owned(), "summer".into()][..], &["a,b".to_owned()][..])
    );
    let times = [entry.valid_from, entry.valid_until].map(|time| time.unwrap().rfc3339());
    assert_eq!(times, ["2026-12-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"]);
}

#[test]
fn what_is_written_as_a_table_is_read_back() {
    let mut full = Entry::new("a", Language::ENGLISH, "He said: \"hi\", no?", " Lines\nand, more ");
    full.phrasings = vec!["one, two".into(), "[three".into(), "four\nfive".into()];
    full.tags = vec!["prices".into(), "a,b".into(), " c".into()];
    full.accounts = vec!["1".into(), "2".into()];
    full.valid_until = Some(tertulia_actors::domain::Timestamp(1_700_000_000_000));
    let entries = [full, Entry::new("d#b", Language::ARABIC, "", "كم؟")];
    let draft = of(Format::Csv, &to_csv(&entries), Columns::default()).unwrap();
    assert_eq!((&draft.entries[..], draft.is_source), (&entries[..], false));
}
