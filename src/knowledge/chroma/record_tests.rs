//! Records that are entries, and those that are none.

use super::*;

fn records(document: Document) -> Records {
    let settings = ChromaSettings { document, ..ChromaSettings::default() };
    Records::new(&settings, &[Language::ENGLISH, Language::ARABIC])
}

fn record(document: &str, metadata: Value) -> Record {
    let Value::Object(metadata) = metadata else { panic!("metadata is an object") };
    Record { id: "r1".into(), document: Some(document.into()), metadata }
}

#[test]
fn a_record_is_an_entry_as_its_document_and_its_keys_say() {
    let (en, ar) = (Language::ENGLISH, Language::ARABIC);
    let question = |document, metadata| (Document::Question, record(document, metadata));
    let answer = |document, metadata| (Document::Answer, record(document, metadata));
    let no_answer = || Err(Unusable::NoAnswer("answer".into()));
    for ((kind, record), expected) in [
        (
            question(
                "Open?",
                json!({"answer": "Yes.", "language": "en", "id": "hours", "question": "not this"}),
            ),
            Ok(Entry::new("hours", en, "Open?", "Yes.")),
        ),
        // Without an id and a language: its own id, and what the text tells.
        (question("متى تفتحون؟", json!({"answer": 9})), Ok(Entry::new("r1", ar, "متى تفتحون؟", "9"))),
        (
            question("متى؟", json!({"answer": "a", "language": "EN-us"})),
            Ok(Entry::new("r1", en, "متى؟", "a")),
        ),
        (
            question("12?", json!({"answer": "a", "language": "klingon"})),
            Ok(Entry::new("r1", en, "12?", "a")),
        ),
        (question("Open?", json!({"other": "a"})), no_answer()),
        (question("Open?", json!({"answer": " "})), no_answer()),
        (question("Open?", json!({"answer": null})), no_answer()),
        (question(" ", json!({"answer": "a"})), Err(Unusable::NoDocument)),
        ((Document::Question, Record::default()), Err(Unusable::NoDocument)),
        (
            answer("From nine.", json!({"question": "Open?", "id": 7})),
            Ok(Entry::new("7", en, "Open?", "From nine.")),
        ),
        (answer("From nine.", json!({})), Ok(Entry::new("r1", en, "", "From nine."))),
        (
            question("Open?", json!({"answer": "a", "tags": "prices, summer,", "accounts": ["1", 2]})),
            Ok(Entry {
                tags: vec!["prices".into(), "summer".into()],
                accounts: vec!["1".into()],
                ..Entry::new("r1", en, "Open?", "a")
            }),
        ),
    ] {
        assert_eq!(records(kind).entry(&record), expected, "{record:?}");
    }
    let soon = record("Open?", json!({"answer": "a", "valid_until": "soon"}));
    let told = records(Document::Question).entry(&soon).unwrap_err().to_string();
    assert!(told.contains("'soon' is neither a day"), "{told}");
}

#[test]
fn an_entry_is_read_back_from_the_record_that_it_is() {
    let full = Entry {
        tags: vec!["prices".into()],
        accounts: vec!["100".into()],
        valid_from: Some(Timestamp(86_400_000)),
        valid_until: Some(Timestamp(172_800_000)),
        ..Entry::new("full", Language::ENGLISH, "Open?", "From nine.")
    };
    for kind in [Document::Question, Document::Answer] {
        let records = records(kind);
        for entry in [
            full.clone(),
            Entry::new("a@b/c", Language::ARABIC, "متى تفتحون؟ 🕘", "نفتح في التاسعة"),
            Entry::new("f", "fr".parse().unwrap(), "Open?", "Oui."),
        ] {
            let record = records.record(&entry, record_id(&entry.id, entry.language));
            assert_eq!(records.entry(&record).as_ref(), Ok(&entry));
            assert_eq!(records.key(&record), (entry.id.clone(), entry.language));
        }
    }
    let plain =
        records(Document::Question).record(&Entry::new("full", Language::ENGLISH, "q", "a"), "r".into());
    for key in [TAGS, ACCOUNTS, FOR_SOME, VALID_FROM, VALID_UNTIL] {
        assert_eq!(plain.metadata[key], Value::Null, "{key} of an earlier version is removed");
    }
}

#[test]
fn what_is_embedded_of_an_entry_is_its_document() {
    let entry = Entry::new("x", Language::ENGLISH, "q", "a");
    assert_eq!(Document::Question.embeddable(&entry).text, "q");
    assert_eq!(Document::Answer.embeddable(&entry).text, "a");
}

#[test]
fn a_filter_is_a_condition_as_far_as_the_server_can_tell() {
    let records = records(Document::Question);
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    let for_account = json!({"$or": [{"accounts": {"$contains": "100"}}, {"for_some": {"$ne": true}}]});
    for (filter, expected) in [
        (Filter::default(), None),
        (Filter { at: Some(Timestamp(1)), ..Filter::default() }, None),
        (Filter { tags: tags(&["t"]), ..Filter::default() }, Some(json!({"tags": {"$contains": "t"}}))),
        (Filter { account: Some("100".into()), ..Filter::default() }, Some(for_account.clone())),
        (
            Filter { language: Some(Language::ARABIC), ..Filter::default() },
            Some(json!({"language": {"$nin": ["en"]}})),
        ),
        (
            Filter { tags: tags(&["t"]), account: Some("100".into()), ..Filter::default() },
            Some(json!({"$and": [{"tags": {"$contains": "t"}}, for_account]})),
        ),
    ] {
        assert_eq!(records.admitted(&filter), expected, "{filter:?}");
    }
    let ids = ["a".to_owned(), "b".to_owned()];
    assert_eq!(
        records.versions(&ids, Language::ARABIC),
        json!({"$and": [{"id": {"$in": ["a", "b"]}}, {"language": "ar"}]})
    );
}
