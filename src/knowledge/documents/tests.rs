//! Documents of every kind, and that nothing of them is lost.

use proptest::prelude::*;

use super::*;

const SPEAKS: [Language; 2] = [Language::ENGLISH, Language::ARABIC];

fn reading(chunk_chars: usize) -> Reading {
    Reading {
        name: "d".into(),
        language: None,
        expected: SPEAKS.to_vec(),
        columns: Columns::default(),
        chunk_chars,
    }
}

fn read_as(format: Format, text: &str, chunk_chars: usize) -> Vec<Entry> {
    let draft = read(text.as_bytes(), format, &reading(chunk_chars)).unwrap();
    assert!(draft.is_source);
    draft.entries
}

/// What an entry says, in one line: place, language, question and answer.
fn said(entry: &Entry) -> String {
    let Entry { id, language, question, answer, .. } = entry;
    format!("{} {language} [{question}] {answer}", id.trim_start_matches("d#"))
}

fn check(format: Format, name: &str, text: &str, expected: &[&str]) {
    let entries = read_as(format, text, CHUNK_CHARS);
    assert_eq!(entries.iter().map(said).collect::<Vec<_>>(), expected, "{format}, {name}");
}

#[test]
fn markdown_becomes_questions_and_passages() {
    for (name, text, expected) in [
        (
            "the same question of several things names them",
            "# Large bottles\n\n## How much?\n\nTen.\n\n# Small bottles\n\n## How much?\n\nFive.\n",
            &[
                "large-bottles/how-much en [Large bottles: How much?] Ten.",
                "small-bottles/how-much en [Small bottles: How much?] Five.",
            ][..],
        ),
        (
            "a question is an entry, the rest passages below their headings",
            "# Delivery\n\nWe deliver daily.\nEven on *Friday*.\n\n## How do I order?\n\nWrite to us.\n\nWe answer.\n",
            &[
                "delivery en [] Delivery\nWe deliver daily. Even on Friday.",
                "delivery/how-do-i-order en [How do I order?] Write to us.\nWe answer.",
            ][..],
        ),
        (
            "Arabic",
            "# الأسعار\n\nالقارورة بعشرة دراهم.\n\n## كم سعر التوصيل؟\n\nمجاني.",
            &[
                "الأسعار ar [] الأسعار\nالقارورة بعشرة دراهم.",
                "الأسعار/كم-سعر-التوصيل ar [كم سعر التوصيل؟] مجاني.",
            ],
        ),
        (
            "Chinese",
            "# 送水\n\n我们每天从早上九点到下午五点\n送水，节假日除外。\n\n## 价格是多少？\n\n十元。",
            &[
                "送水 zh [] 送水\n我们每天从早上九点到下午五点送水，节假日除外。",
                "送水/价格是多少 zh [价格是多少？] 十元。",
            ],
        ),
        (
            "two languages",
            "We deliver water to your house on every day of the week.\n\n# متى نفتح؟\n\nفي التاسعة.",
            &[
                "text en [] We deliver water to your house on every day of the week.",
                "متى-نفتح ar [متى نفتح؟] في التاسعة.",
            ],
        ),
        (
            "lists and tables",
            "# Menu\n\n- water\n  - still\n- tea\n\n3. three\n4. four\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
            &["menu en [] Menu\n- water\n- still\n- tea\n3. three\n4. four\na | b\n1 | 2"],
        ),
        (
            "links",
            "See [our page](https://example.com/x), <https://example.com/y> and [above](#menu).",
            &["text en [] See our page (https://example.com/x), https://example.com/y and above."],
        ),
        (
            "code, notes and HTML",
            "---\ntitle: no\n---\n\n```sh\na b\nc\n```\n\n<details><summary>Who are you?</summary>\nWe.\n</details>\n\nline<br>break",
            &["text en [] a b\nc", "who-are-you en [Who are you?] We.", "text.2 en [] line break"],
        ),
        ("a heading alone", "# A\n\n## B\n\n# C\n\nText.", &["a/b en [] A › B", "c en [] C\nText."]),
        ("the same heading twice", "# A\n\nOne.\n\n# A\n\nTwo.", &["a en [] A\nOne.", "a.2 en [] A\nTwo."]),
    ] {
        check(Format::Markdown, name, text, expected);
    }
}

#[test]
fn html_becomes_questions_and_passages() {
    for (name, text, expected) in [
        (
            "headings, paragraphs, what is no text",
            "<!doctype html><title>Shop</title><style>p{}</style><nav>Home</nav><h2>Fees</h2><p>Ten &amp; two.<p>Or <b>more</b>.<script>if (a<b) {}</script>",
            &["shop/fees en [] Shop › Fees\nTen & two.\nOr more."][..],
        ),
        (
            "a page with a heading needs no title",
            "<title>Shop</title><h1>Fees</h1>Ten.",
            &["fees en [] Fees\nTen."],
        ),
        (
            "details and definitions",
            "<h1>FAQ</h1><details><summary>When?</summary><p>Daily.</details><p>Thanks.<dl><dt>Who pays?<dd>You.<dt>Term<dd>Means.</dl>End.",
            &[
                "faq/when en [When?] Daily.",
                "faq en [] FAQ\nThanks.",
                "faq/who-pays en [Who pays?] You.",
                "faq/term en [] FAQ › Term\nMeans.",
                "faq.2 en [] FAQ\nEnd.",
            ],
        ),
        (
            "tables, lists, links, pictures",
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1<td>2</table><ul><li><p>x</p></li><li>y</ul><a href='tel:123'>call</a> <img alt='a tap'>",
            &["text en [] a | b\n1 | 2\n- x\n- y\ncall (tel:123) a tap"],
        ),
        (
            "Arabic",
            "<h2>كم&nbsp;السعر؟</h2><div>عشرة<br>دراهم.</div>",
            &["كم-السعر ar [كم السعر؟] عشرة دراهم."],
        ),
        (
            "Chinese",
            "<h2><span>送水</span></h2><div>我们每天从早上九点到下午五点送水。</div>",
            &["送水 zh [] 送水\n我们每天从早上九点到下午五点送水。"],
        ),
        ("tag soup", "<h1>A<p>one</b></i><div>two</h3><p", &["a en [] A\none\ntwo"]),
    ] {
        check(Format::Html, name, text, expected);
    }
}

#[test]
fn plain_text_becomes_questions_and_passages() {
    for (name, text, expected) in [
        (
            "English",
            "Opening hours\n\nWe open at nine.\n\nDo you deliver?\nYes.",
            &[
                "opening-hours en [] Opening hours\nWe open at nine.",
                "do-you-deliver en [Do you deliver?] Yes.",
            ][..],
        ),
        ("Arabic", "هل التوصيل مجاني؟\nنعم.", &["هل-التوصيل-مجاني ar [هل التوصيل مجاني؟] نعم."]),
        (
            "Chinese",
            "价格是多少？\n我们的价格是十元一桶。",
            &["价格是多少 zh [价格是多少？] 我们的价格是十元一桶。"],
        ),
    ] {
        check(Format::Text, name, text, expected);
    }
}

#[test]
fn a_language_that_is_named_is_that_of_all() {
    let named = Reading { language: Some(Language::ARABIC), ..reading(CHUNK_CHARS) };
    let draft = read(b"# Hours\n\nNine.", Format::Markdown, &named).unwrap();
    assert_eq!(draft.entries[0].language, Language::ARABIC);
}

#[test]
fn formats_are_known_by_their_endings() {
    for (path, expected) in
        [("a.CSV", "csv"), ("b/c.htm", "html"), ("x.markdown", "md"), ("x.ndjson", "jsonl"), ("x.pdf", "pdf")]
    {
        assert_eq!(Format::of(Path::new(path)).unwrap().to_string(), expected, "{path}");
    }
    for path in ["a.docx", "README", ".md"] {
        assert!(Format::of(Path::new(path)).unwrap_err().to_string().contains("csv, tsv, jsonl"), "{path}");
    }
}

#[test]
fn what_is_empty_or_no_text_is_refused() {
    for (format, bytes, expected) in [
        (Format::Markdown, &b" \n\n"[..], "there is no text in it"),
        (Format::Html, b"<script>x</script>", "there is no text in it"),
        (Format::Text, b"caf\xE9", "it is not UTF-8 (byte 4): save it as UTF-8"),
        (Format::Csv, b"\xFFquestion,answer", "it is not UTF-8 (byte 1): save it as UTF-8"),
        (Format::Jsonl, b"{}", "line 1 is not an entry"),
        (Format::Jsonl, b"\n", "there is no entry in it"),
    ] {
        let error = read(bytes, format, &reading(CHUNK_CHARS)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{format}: {error}");
    }
}

/// A heading, and the sentences of paragraphs below it, in some languages.
fn section() -> impl Strategy<Value = (String, Vec<String>)> {
    let word = prop_oneof!["[a-z]{1,12}", "[ا-ي]{1,9}", "[一-十]{1,7}", "[0-9]{1,3}", Just("w".repeat(150))];
    let end = prop_oneof![Just(". "), Just("؟ "), Just("。"), Just("! ")];
    let sentence =
        (proptest::collection::vec(word, 1..25), end).prop_map(|(words, end)| words.join(" ") + end);
    let paragraph = proptest::collection::vec(sentence, 1..8).prop_map(|sentences| sentences.concat());
    ("[a-z]{3,9}( [a-z]{3,9}){0,3}\\??", proptest::collection::vec(paragraph, 0..5))
}

/// The letters and digits of a text, in order.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A document in three kinds: what it says is in its chunks, word by word and in order, and no chunk is too long.
    #[test]
    fn no_sentence_is_lost(sections in proptest::collection::vec(section(), 1..6), chars in CHUNK_CHARS_MIN..1_000) {
        let body = |mark: fn(&str) -> String, paragraph: fn(&str) -> String| -> String {
            let one = |(heading, paragraphs): &(String, Vec<String>)| {
                mark(heading) + &paragraphs.iter().map(|text| paragraph(text)).collect::<String>()
            };
            sections.iter().map(one).collect()
        };
        let markdown = body(|heading| format!("## {heading}\n\n"), |text| format!("{text}\n\n"));
        let html = body(|heading| format!("<h2>{heading}</h2>"), |text| format!("<p>{text}</p>"));
        let plain = body(|_| String::new(), |text| format!("{text}\n\n"));
        let expected = letters(&sections.iter().flat_map(|(_, texts)| texts.clone()).collect::<Vec<_>>().join("\n"));
        for (format, text) in [(Format::Markdown, &markdown), (Format::Html, &html), (Format::Text, &plain)] {
            let Ok(draft) = read(text.as_bytes(), format, &reading(chars)) else {
                prop_assert!(expected.is_empty());
                continue;
            };
            let chunks = draft.entries.iter();
            // The first line of a passage are its headings.
            let body = |entry: &Entry| match entry.answer.split_once('\n') {
                _ if !entry.question.is_empty() => letters(&entry.answer),
                Some((_, rest)) => letters(rest),
                None => String::new(),
            };
            if format == Format::Text {
                // A short line may be taken for a heading there, which stands above every chunk below it.
                let all = chunks.clone().map(|entry| letters(&entry.question) + &letters(&entry.answer));
                let all: String = all.collect();
                let mut rest = all.chars();
                prop_assert!(expected.chars().all(|c| rest.any(|found| found == c)), "{} in {}", expected, all);
            } else {
                prop_assert_eq!(chunks.clone().map(body).collect::<String>(), expected.clone(), "{}", format);
            }
            for entry in chunks.filter(|entry| entry.question.is_empty()) {
                let length = entry.answer.chars().count();
                prop_assert!(length <= chars + 50, "{} of {}: {}", length, chars, entry.answer);
            }
            let ids: std::collections::HashSet<_> = draft.entries.iter().map(|entry| &entry.id).collect();
            prop_assert_eq!(ids.len(), draft.entries.len());
            let again = read(text.as_bytes(), format, &reading(chars)).unwrap();
            prop_assert_eq!(again, draft);
        }
    }
}
