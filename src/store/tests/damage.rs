//! Rows and pages that cannot be read.

use std::io::{Seek, SeekFrom, Write};

use rusqlite::params;
use tertulia_actors::domain::{ConversationId, Tick};
use tertulia_actors::ports::StoreError;
use tertulia_actors::ports::store::*;

use super::super::{OpenError, SqliteStore, StoreSettings, db};
use super::bench::*;

/// Changes rows as no statement of ours could.
fn corrupt(bench: &Bench, sql: &str) {
    let conn = bench.sql();
    conn.pragma_update(None, "ignore_check_constraints", true).unwrap();
    assert!(conn.execute(sql, []).unwrap() > 0, "{sql}");
}

fn reason(bench: &Bench, conversation: ConversationId) -> Option<String> {
    let sql = "SELECT set_aside FROM conversations WHERE id = ?1";
    bench.sql().query_row(sql, params![conversation.to_string()], |row| row.get(0)).unwrap()
}

fn overdue(bench: &Bench) -> Vec<ConversationId> {
    let rows = bench.wait(bench.store().overdue(Tick(i64::MAX), None, 100)).unwrap();
    rows.into_iter().map(|row| row.conversation).collect()
}

/// Every way in which a conversation's rows are unreadable, of a conversation with one message in a waiting turn.
const WAYS: [(&str, &str); 8] = [
    ("the turn's first message", "UPDATE turns SET first_seq = 7 WHERE conversation_id = '{}'"),
    ("the turn's last message", "UPDATE turns SET last_seq = 1 << 40 WHERE conversation_id = '{}'"),
    ("the turn's list of messages", "UPDATE turns SET seqs = '[1,' WHERE conversation_id = '{}'"),
    ("the turn", "UPDATE turns SET id = 'nonsense' WHERE conversation_id = '{}'"),
    ("the turn's state", "UPDATE turns SET state = 'nonsense' WHERE conversation_id = '{}'"),
    ("the message's state", "UPDATE messages SET state = 'nonsense' WHERE conversation_id = '{}'"),
    ("the channel", "UPDATE conversations SET channel = 'nonsense' WHERE id = '{}'"),
    ("the text", "UPDATE messages SET text = CAST(x'ff' AS TEXT) WHERE conversation_id = '{}'"),
];

#[test]
fn a_conversation_that_cannot_be_read_is_set_aside_named_and_tried_again_at_the_next_start() {
    for (name, sql) in WAYS {
        let mut bench = Bench::new();
        let (bad, good) = (bench.say("a", "1"), bench.say("b", "2"));
        bench.turn(bad, &[1]);
        let before = bench.books();
        corrupt(&bench, &sql.replace("{}", &bad.to_string()));
        let load = |bench: &Bench| bench.wait(bench.store().load_conversation(bad, 20));
        assert!(matches!(load(&bench), Err(StoreError::Corrupt(_))), "{name}");
        let told = reason(&bench, bad).expect("it is set aside");
        assert_eq!(overdue(&bench), [good], "{name}: the sweep finds it again");
        assert_eq!(load(&bench).unwrap_err(), StoreError::Corrupt(told), "{name}");
        let people = bench.wait(bench.store().needing_human(None, 10)).unwrap();
        let listed = people.iter().any(|view| view.id == bad);
        assert_eq!(listed, name != "the channel", "{name}: people cannot see what has no channel");
        let findings = db::check(&bench.settings.path).unwrap();
        assert!(findings.iter().any(|line| line.contains(&bad.to_string())), "{name}: {findings:?}");
        assert!(!findings.iter().any(|line| line.contains(&good.to_string())), "{name}: {findings:?}");
        assert_eq!(super::super::ledger::load(&bench.sql()).unwrap().books, before, "{name}");
        bench.answer(good, &[1], &["here"]);
        bench.restart();
        assert_eq!(reason(&bench, bad), None, "{name}: it is tried again");
        assert!(matches!(load(&bench), Err(StoreError::Corrupt(_))), "{name}");
    }
}

#[test]
fn a_conversation_whose_id_cannot_be_read_hides_no_other_one_from_the_sweep() {
    let bench = Bench::new();
    let (bad, good) = (bench.say("a", "1"), bench.say("b", "2"));
    corrupt(&bench, &format!("UPDATE conversations SET id = 'nonsense' WHERE id = '{bad}'"));
    assert_eq!(overdue(&bench), [good]);
    assert_eq!(bench.number("SELECT count(*) FROM conversations WHERE set_aside IS NOT NULL"), 1);
    let findings = db::check(&bench.settings.path).unwrap();
    assert!(findings.iter().any(|line| line.contains("nonsense")), "{findings:?}");
    let again = bench.say("c", "1");
    assert!(again != bad && again != good, "its person begins anew");
}

#[test]
fn a_write_that_meets_rows_it_cannot_read_fails_alone_and_sets_their_conversation_aside() {
    let bench = Bench::new();
    let (bad, good) = (bench.say("a", "1"), bench.say("b", "2"));
    let start = bench.turn(bad, &[1]);
    corrupt(&bench, "UPDATE turns SET id = 'nonsense'");
    let commit = bench.wait(bench.store().commit_turn(Box::new(bench.commit_of(&start, &["x"]))));
    assert!(matches!(commit, Err(StoreError::Corrupt(_))), "{commit:?}");
    assert!(reason(&bench, bad).is_some());
    bench.answer(good, &[1], &["here"]);
    assert_eq!(bench.books().pending, 1);
}

#[test]
fn a_lane_that_cannot_be_read_is_set_aside_with_its_conversation() {
    let bench = Bench::new();
    let (bad, good) = (bench.say("a", "1"), bench.say("b", "2"));
    bench.answer(bad, &[1], &["one"]);
    bench.answer(good, &[1], &["two"]);
    corrupt(&bench, &format!("UPDATE outbox SET id = 'nonsense' WHERE conversation_id = '{bad}'"));
    let lane =
        || bench.wait(bench.store().load_lane(bad, tertulia_actors::ports::Clock::tick(&*bench.clock), 16));
    assert!(matches!(lane(), Err(StoreError::Corrupt(_))));
    assert_eq!(lane().unwrap(), [], "its lane is empty from now on");
    let due = bench.wait(bench.store().due_lanes(Tick(i64::MAX), None, 100)).unwrap();
    assert_eq!(due, [good]);
    assert_eq!(bench.books().parts_pending, 2);
}

#[test]
fn a_language_that_is_none_is_found_out_anew() {
    let bench = Bench::new();
    let conversation = bench.say("a", "1");
    corrupt(&bench, "UPDATE conversations SET language = 'nonsense'");
    assert_eq!(bench.load(conversation).language, None);
    assert_eq!(bench.say("b", "1"), conversation);
}

/// Overwrites the page on which a table begins.
fn damage_page(settings: &StoreSettings, page: i64) {
    let mut file = std::fs::File::options().write(true).open(&settings.path).unwrap();
    file.seek(SeekFrom::Start((page.unsigned_abs() - 1) * 4_096)).unwrap();
    file.write_all(&[0x5a; 4_096]).unwrap();
}

#[test]
fn a_start_refuses_a_file_with_a_broken_page_unless_it_is_too_large_to_look_at() {
    let mut bench = Bench::new();
    bench.say("a", "1");
    bench.shutdown();
    let page = bench.number("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'");
    damage_page(&bench.settings, page);
    let error = SqliteStore::open(&bench.settings).err().expect("refused");
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("restore a backup"), "{error}");
    let findings = db::check(&bench.settings.path).unwrap();
    assert!(!findings.is_empty());
    bench.settings.start_check_bytes = 4_096;
    assert!(SqliteStore::open(&bench.settings).is_ok(), "it was looked at nonetheless");
}

#[test]
fn a_row_that_breaks_a_rule_does_not_keep_the_server_from_starting() {
    let mut bench = Bench::new();
    bench.say("a", "1");
    corrupt(&bench, "UPDATE messages SET state = 'nonsense'");
    bench.restart();
    bench.say("b", "2");
}
