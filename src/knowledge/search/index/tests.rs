use tertulia_actors::domain::{Entry, Filter, Timestamp};

use super::*;
use crate::knowledge::entries::{self, KNOWLEDGE_MIGRATION, import, load_sample_once};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn sample() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
    load_sample_once(&conn, NOW).unwrap();
    conn
}

fn search(text: &str, language: Option<Language>) -> Search {
    Search { text: text.into(), embedding: None, language, filter: Filter::default(), limit: 3 }
}

fn compute(vectors: &mut SqliteVectors, search: Search) -> Result<Vec<Hit>, VectorsError> {
    match vectors.compute(VectorsRequest::Search(search))? {
        VectorsResponse::Hits(hits) => Ok(hits),
        other => panic!("a search answered {other:?}"),
    }
}

fn find(conn: &Connection, search: &Search) -> Vec<Hit> {
    Searcher::default().find(conn, search).unwrap()
}

fn ask(conn: &Connection, text: &str) -> Vec<Hit> {
    find(conn, &search(text, None))
}

/// Questions as people put them, and the entry that answers them.
pub(super) const PARAPHRASES: &[(&str, &str)] = &[
    ("how much is a bottle of water", "prices"),
    ("price list please", "prices"),
    ("what time do you open", "hours"),
    ("opening hours?", "hours"),
    ("which neighbourhoods do you deliver to", "areas"),
    ("shop address", "location"),
    ("can i pay by card", "payment"),
    ("how big is the deposit for bottles", "deposit"),
    ("how do i return my empty bottles", "deposit-refund"),
    ("how can i cancel the subscription", "cancel-subscription"),
    ("I want to cancel my order", "cancel-order"),
    ("pause subscription, I travel next week", "pause"),
    ("do you deliver on fridays?", "friday"),
    ("minimum order?", "minimum-order"),
    ("is the water ok for my baby", "babies"),
    ("can I hire a cooler", "dispenser-hire"),
    ("the dispenser is leaking", "dispenser-repair"),
    ("i am moving to a new house", "moving"),
    ("need a receipt", "invoices"),
    ("discount for companies", "offices"),
    ("كم سعر القارورة", "prices"),
    ("الاسعار لو سمحت", "prices"),
    ("متى تفتحون", "hours"),
    ("اوقات الدوام", "hours"),
    ("ما المناطق التي توصلون لها", "areas"),
    ("وين موقعكم", "location"),
    ("طرق الدفع", "payment"),
    ("كم التأمين على القارورة", "deposit"),
    ("كيف ارجع القوارير الفارغة", "deposit-refund"),
    ("اريد الغاء الاشتراك", "cancel-subscription"),
    ("هل توصلون الجمعة", "friday"),
    ("الحد الادنى للطلب", "minimum-order"),
    ("هل الماء مناسب للرضع", "babies"),
    ("هل يمكنني استئجار البرادة", "dispenser-hire"),
    ("البرادة تسرب", "dispenser-repair"),
    ("انتقلت الى بيت جديد", "moving"),
    ("احتاج فاتورة", "invoices"),
    ("خصم للشركات", "offices"),
    ("هل التوصيل مجاني", "delivery-fee"),
    ("اين طلبي", "track"),
];

#[test]
fn paraphrases_find_their_entry() {
    let conn = sample();
    let lost = PARAPHRASES.iter().filter_map(|(question, id)| {
        let hits = ask(&conn, question);
        let is_first = hits.first().is_some_and(|hit| hit.entry.id == *id);
        let told = hits.iter().map(|hit| format!("{} {:.2}", hit.entry.id, hit.score));
        (!is_first).then(|| format!("{question}: {:?}", told.collect::<Vec<_>>()))
    });
    assert_eq!(lost.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn every_stored_question_finds_itself_with_full_score() {
    let conn = sample();
    for entry in entries::list(&conn, None, usize::MAX).unwrap() {
        let hits = find(&conn, &search(&entry.question, Some(entry.language)));
        assert_eq!(*hits[0].entry, entry);
        assert!(hits[0].score > 0.999, "{} {}", entry.id, hits[0].score);
    }
}

#[test]
fn an_entry_comes_once_and_in_the_persons_language_where_it_has_one() {
    let conn = sample();
    let mixed = "كم سعر القارورة bottle price";
    let hits = find(&conn, &search(mixed, Some(Language::ARABIC)));
    assert_eq!(hits.iter().filter(|hit| hit.entry.id == "prices").count(), 1);
    let hits = find(&conn, &search("What are your prices?", Some(Language::ARABIC)));
    assert_eq!((hits[0].entry.id.as_str(), hits[0].entry.language), ("prices", Language::ARABIC));
    let hits = find(&conn, &search("What are your prices?", "fr".parse().ok()));
    assert_eq!(hits[0].entry.language, Language::ENGLISH);
}

#[test]
fn nothing_in_a_text_is_taken_for_an_operator() {
    let conn = sample();
    let long = "price delivery ".repeat(100_000);
    let many: String = (0..10_000).map(|n| format!("word{n} ")).collect();
    for text in [
        "",
        "   ",
        "\"",
        "\"\"\"",
        "price\"",
        "price AND",
        "NEAR(price, 2)",
        "question : price",
        "-price ^price price*",
        "price) OR (1=1",
        "'; DROP TABLE knowledge; --",
        "pri\0ce",
        "\0",
        "{question} : x + y",
        "\u{200F}\u{202E}",
        "क्या आप पानी देते हैं",
        long.as_str(),
        many.as_str(),
        &"😀".repeat(4_096),
        &"x".repeat(3_000_000),
    ] {
        let hits = ask(&conn, text);
        assert!(hits.len() <= 3);
        assert!(hits.iter().all(|hit| (0.0..=1.0).contains(&hit.score)));
    }
    assert!(ask(&conn, "").is_empty());
    assert!(ask(&conn, &"😀".repeat(4_096)).is_empty());
    assert_eq!(ask(&conn, "what are your prices\" AND")[0].entry.id, "prices");
}

#[test]
fn a_search_has_a_limited_number_of_hits() {
    let conn = sample();
    let all = Search { limit: usize::MAX, ..search("bottle water order delivery", None) };
    assert!(find(&conn, &all).len() <= HITS_MAX);
    assert!(find(&conn, &Search { limit: 0, ..all }).is_empty());
}

#[test]
fn a_word_with_one_typing_error_finds_its_entry() {
    let conn = sample();
    for (text, id) in [
        ("opening huors", "hours"),
        ("delivry area", "areas"),
        ("subscripton cancel", "cancel-subscription"),
        ("cancle my subscription", "cancel-subscription"),
        ("how big is the depositt", "deposit"),
        ("dispensr hire", "dispenser-hire"),
        ("shippign fees of delvery", "delivery-fee"),
        ("كم التأمن على القارورة", "deposit"),
        ("الغاء الاشتراكك", "cancel-subscription"),
    ] {
        let hits = ask(&conn, text);
        assert_eq!(hits.first().map(|hit| hit.entry.id.as_str()), Some(id), "{text}: {hits:?}");
    }
    assert!(ask(&conn, "zzhourszz").is_empty(), "more than one error");
}

/// Adds one entry in a language, and searches without saying in which.
fn found_in(language: &str, question: &str, asked: &str) -> bool {
    let conn = sample();
    let language: Language = language.parse().unwrap();
    let entry = Entry::new("own", language, question, "-");
    import(&conn, &[entry], NOW).unwrap();
    ask(&conn, asked).first().is_some_and(|hit| hit.entry.id == "own")
}

#[test]
fn a_question_behind_a_long_story_is_found_where_words_are_not_spaced_too() {
    let story = "我昨天跟朋友去公园散步然后在咖啡馆坐了很久我们聊起以前学校里那些有趣事情还说到下个月要一起旅行可能会坐火车去南方看海听说那里风景特别漂亮而且吃得也很便宜";
    assert!(story.chars().count() > 70);
    assert!(found_in("zh", "一瓶水多少钱？", &format!("{story}。一瓶水多少钱？")));
}

#[test]
fn a_guessed_word_is_less_than_a_known_one() {
    let conn = sample();
    let best = |text: &str| ask(&conn, text).first().map_or(0.0, |hit| hit.score);
    assert!(best("how do I cancel the subscripton") > 0.6, "a long word that begins alike");
    for doubtful in ["border", "where is my border", "otder"] {
        assert!(best(doubtful) < 0.5, "{doubtful}: {}", best(doubtful));
    }
}

#[test]
fn how_long_entries_are_does_not_depend_on_those_that_were_removed() {
    let conn = sample();
    let before = ask(&conn, "delivery on friday please");
    conn.execute("INSERT INTO knowledge (rowid, id, language, question, answer, updated_at) VALUES (100000, 'x', 'en', 'q', 'a', 0)", []).unwrap();
    conn.execute("DELETE FROM knowledge WHERE id = 'x'", []).unwrap();
    let last = entries::list(&conn, None, usize::MAX).unwrap().remove(0);
    conn.execute(
        "UPDATE knowledge SET rowid = 90000 WHERE id = ?1 AND language = ?2",
        rusqlite::params![last.id, last.language.as_str()],
    )
    .unwrap();
    entries::reindex(&conn).unwrap();
    assert_eq!(ask(&conn, "delivery on friday please"), before);
}

#[test]
fn entries_are_found_in_every_script_and_by_the_endings_of_their_language() {
    for (language, question, asked) in [
        ("zh", "一瓶水多少钱？", "水多少钱"),
        ("zh", "我怎么取消订单？", "取消"),
        ("zh", "停水了怎么办", "水"),
        ("ja", "配達は何時ですか", "配達 何時"),
        ("th", "ราคาน้ำเท่าไหร่", "ราคาน้ำ"),
        ("ko", "배달 시간이 언제예요?", "배달시간"),
        ("hi", "पानी की क़ीमत क्या है", "पानी क़ीमत"),
        ("es", "¿Cuáles son los precios de las garrafas?", "precio garrafa"),
        ("de", "Was kosten die Wasserflaschen?", "wasserflasche"),
        ("ru", "Сколько стоит доставка?", "стоимость доставки"),
        ("el", "Πόσο κοστίζει το νερό;", "ΠΟΣΟ ΚΟΣΤΙΖΕΙ"),
        ("el", "Πού είναι ο δρόμος;", "ΔΡΟΜΟΣ"),
        ("el", "Πού είναι ο δρόμος;", "δρόμος"),
        ("tr", "Fiyatlarınız nedir?", "fiyatlariniz"),
        ("fr", "Où est l'eau ?", "eau"),
        ("it", "Dov'è l’acqua?", "acqua"),
    ] {
        assert!(found_in(language, question, asked), "{language}: {question} by {asked}");
    }
}

/// A database file with the sample, as the server has it.
pub(super) fn file() -> (tempfile::TempDir, PathBuf, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "journal_mode", "wal").unwrap();
    conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
    load_sample_once(&conn, NOW).unwrap();
    (folder, path, conn)
}

#[test]
fn searches_see_what_was_committed_before_them() {
    let (_folder, path, conn) = file();
    let mut vectors = SqliteVectors::new(&path, None);
    let mut camel = || compute(&mut vectors, search("camels", None)).unwrap();
    assert!(camel().is_empty());
    let entry = Entry::new("camel", Language::ENGLISH, "Do you have camels?", "No.");
    import(&conn, std::slice::from_ref(&entry), NOW).unwrap();
    let hits = camel();
    assert_eq!((hits.len(), &*hits[0].entry), (1, &entry));
}

#[test]
fn a_search_forgets_what_it_remembered_of_entries_that_changed() {
    let (_folder, path, conn) = file();
    let mut vectors = SqliteVectors::new(&path, None);
    let mut hits = || compute(&mut vectors, search("Do you have camels?", None)).unwrap();
    let camel = |answer: &str| Entry::new("camel", Language::ENGLISH, "Do you have camels?", answer);
    for answer in ["No.", "Two of them."] {
        import(&conn, &[camel(answer)], NOW).unwrap();
        assert_eq!(hits()[0].entry.answer, answer);
    }
    // As another program would.
    conn.execute("UPDATE knowledge SET answer = 'Sold.' WHERE id = 'camel'", []).unwrap();
    assert_eq!(hits()[0].entry.answer, "Sold.");
    entries::remove(&conn, "camel", None, Timestamp(0)).unwrap();
    assert!(hits().iter().all(|hit| hit.entry.id != "camel"));
}

#[test]
fn the_connection_of_a_search_cannot_write_and_is_kept() {
    let (_folder, path, _conn) = file();
    let mut vectors = SqliteVectors::new(&path, None);
    compute(&mut vectors, search("bottle", None)).unwrap();
    let conn = vectors.conn.as_ref().unwrap();
    assert!(conn.execute("DELETE FROM knowledge", []).is_err());
}

#[test]
fn a_search_that_failed_is_followed_by_one_on_a_new_connection() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent.db");
    let mut vectors = SqliteVectors::new(&path, None);
    let mut bottle = || compute(&mut vectors, search("bottle", None));
    assert!(bottle().is_err());
    assert!(!path.exists(), "a search made a database");
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE other (x)").unwrap();
    let refused = bottle().unwrap_err();
    assert!(refused.to_string().contains("no such table: knowledge"), "{refused}");
    conn.execute_batch(KNOWLEDGE_MIGRATION).unwrap();
    load_sample_once(&conn, NOW).unwrap();
    assert!(!bottle().unwrap().is_empty());
}
