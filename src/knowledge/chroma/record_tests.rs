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
        // Of a list, and of a text that is one, the names are as they are.
        (
            question("Open?", json!({"answer": "a", "tags": ["a, b", " c"], "accounts": "[\"1,2\", \"3\"]"})),
            Ok(Entry {
                tags: vec!["a, b".into(), " c".into()],
                accounts: vec!["1,2".into(), "3".into()],
                ..Entry::new("r1", en, "Open?", "a")
            }),
        ),
        (
            question("Open?", json!({"answer": "a", "phrasings": ["Closed?", "Shut, or what?"]})),
            Ok(Entry {
                phrasings: vec!["Closed?".into(), "Shut, or what?".into()],
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
        phrasings: vec!["Are you there?".into(), "From when on, and until when?".into()],
        tags: vec!["prices, summer".into(), " winter".into()],
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
            let all = records.records(&entry, record_id(&entry.id, entry.language));
            assert_eq!(records.entry(&all[0]).as_ref(), Ok(&entry));
            assert_eq!(all.len(), kind.embeddables(&entry).len(), "a vector each");
            for record in all {
                assert_eq!(records.key(&record), (entry.id.clone(), entry.language));
            }
        }
    }
    let plain =
        records(Document::Question).record(&Entry::new("full", Language::ENGLISH, "q", "a"), "r".into());
    for key in [TAGS, ACCOUNTS, FOR_SOME, VALID_FROM, VALID_UNTIL, PHRASINGS, WAY_OF, IS_WAY] {
        assert_eq!(plain.metadata[key], Value::Null, "{key} of an earlier version is removed");
    }
}

#[test]
fn what_is_embedded_of_an_entry_are_its_documents() {
    let entry =
        Entry { phrasings: vec!["p".into(), "r".into()], ..Entry::new("x", Language::ENGLISH, "q", "a") };
    let texts =
        |kind: Document| kind.embeddables(&entry).into_iter().map(|text| text.text).collect::<Vec<_>>();
    assert_eq!(texts(Document::Question), ["q", "p", "r"]);
    assert_eq!(texts(Document::Answer), ["a"]);
}

#[test]
fn each_way_of_asking_is_a_record_that_says_of_which_entry_it_is() {
    let entry = Entry {
        phrasings: vec!["Closed?".into(), "Shut?".into()],
        tags: vec!["hours".into()],
        accounts: vec!["100".into()],
        ..Entry::new("x", Language::ENGLISH, "Open?", "From nine.")
    };
    let all = records(Document::Question).records(&entry, "x@en".into());
    let told = |record: &Record| {
        (record.id.clone(), record.document.clone().unwrap(), Records::way_of(record).map(str::to_owned))
    };
    let way = |id: &str, text: &str| (id.to_owned(), text.to_owned(), Some("x@en".to_owned()));
    assert_eq!(
        all.iter().map(told).collect::<Vec<_>>(),
        [("x@en".into(), "Open?".into(), None), way("x@en#2", "Closed?"), way("x@en#3", "Shut?")]
    );
    for record in &all[1..] {
        assert_eq!(record.metadata["answer"].is_null(), Records::way_of(record).is_some());
        for key in ["id", "language", TAGS, ACCOUNTS, FOR_SOME] {
            assert_eq!(record.metadata[key], all[0].metadata[key], "a filter admits it as its entry");
        }
        assert_eq!((&record.metadata[PHRASINGS], &record.metadata[IS_WAY]), (&Value::Null, &json!(true)));
    }
    assert!(Records::is_put(&all[0], "Shut?") && !Records::is_put(&all[0], "Open?"));
    assert_eq!(
        records(Document::Answer).records(&entry, "x@en".into()).len(),
        1,
        "its answer is the document"
    );
}

#[test]
fn ids_that_somebody_wrote_as_numbers_or_truth_values_are_asked_for_as_such() {
    let of = |ids: &[&str]| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        records(Document::Question).named(&ids)
    };
    let texts = |ids: &[&str]| json!({"id": {"$in": ids}});
    for (ids, expected) in [
        (&["a", "07", "1e3", "7 ", "[1]", "null"][..], texts(&["a", "07", "1e3", "7 ", "[1]", "null"])),
        (&["7", "a", "-8"], json!({"$or": [texts(&["7", "a", "-8"]), {"id": {"$in": [7, -8]}}]})),
        (
            &["7", "2.5", "true"],
            json!({"$or": [texts(&["7", "2.5", "true"]), {"id": {"$in": [7]}}, {"id": {"$in": [2.5]}}, {"id": {"$in": [true]}}]}),
        ),
    ] {
        assert_eq!(of(ids), expected, "{ids:?}");
    }
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
        assert_eq!(records.admitted(&filter, &[]), expected, "{filter:?}");
    }
    let but = ["a".to_owned()];
    assert_eq!(records.admitted(&Filter::default(), &but), Some(json!({"id": {"$nin": ["a"]}})));
    let tagged = Filter { tags: tags(&["t"]), ..Filter::default() };
    assert_eq!(
        records.admitted(&tagged, &but),
        Some(json!({"$and": [{"tags": {"$contains": "t"}}, {"id": {"$nin": ["a"]}}]}))
    );
    let ids = ["a".to_owned(), "b".to_owned()];
    assert_eq!(
        records.versions(&ids, Language::ARABIC),
        json!({"$and": [{"id": {"$in": ["a", "b"]}}, {"language": "ar"}]})
    );
}
