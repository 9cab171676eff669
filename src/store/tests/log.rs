//! The write-ahead log: it starts over while messages go on coming, and a long reader only delays that.

use std::time::{Duration, Instant};

use tertulia_actors::ports::store::Views;

use super::bench::*;

/// Pages from which on the log is to start over here. A commit would copy it at four times as many.
const LIMIT: u64 = 1_500;

/// How often the log has started over. Source: <https://www.sqlite.org/fileformat2.html#walformat>, the checkpoint sequence
/// number.
fn times_started_over(bench: &Bench) -> u32 {
    let log = std::fs::read(bench.log()).unwrap();
    u32::from_be_bytes(log[12..16].try_into().unwrap())
}

/// The frames that the file of the log has room for.
fn frames(bench: &Bench) -> u64 {
    std::fs::metadata(bench.log()).unwrap().len() / (4_096 + 24)
}

/// Writes messages until something has come about, or for too long.
fn write_until(bench: &Bench, messages: &mut usize, has_come: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        *messages += 1;
        bench.say(&messages.to_string(), "1");
        if has_come() {
            return true;
        }
    }
    false
}

#[test]
fn the_log_starts_over_while_messages_go_on_coming_and_waits_for_a_long_reader() {
    let bench = Bench::with(|settings| {
        // Nothing is copied earlier: copied to its end by chance, the log would start over by itself.
        settings.wal_checkpoint_pages = LIMIT;
        settings.wal_limit_pages = LIMIT;
    });
    let (first, messages) = (times_started_over(&bench), &mut 0);
    assert!(
        write_until(&bench, messages, || times_started_over(&bench) >= first + 3),
        "it did not start over"
    );
    assert!((LIMIT..3 * LIMIT).contains(&frames(&bench)), "{} frames", frames(&bench));

    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let long = bench.store().read_with(move |conn| {
        let mut rows =
            conn.prepare("SELECT count(*) FROM messages UNION ALL SELECT count(*) FROM messages")?;
        let mut rows = rows.query([])?;
        let mut next = || -> rusqlite::Result<i64> { rows.next()?.unwrap().get(0) };
        let before = next()?;
        begun.send(()).unwrap();
        let _ = gone.recv();
        Ok((before, next()?))
    });
    has_begun.recv().unwrap();
    let before = times_started_over(&bench);
    assert!(write_until(&bench, messages, || frames(&bench) > 6 * LIMIT), "its pages are needed");
    assert!(times_started_over(&bench) <= before + 1, "the part of the log that it reads stays");
    drop(go);
    let (first, last) = bench.wait(long).unwrap();
    assert_eq!(first, last, "it saw one state");
    let before = times_started_over(&bench);
    assert!(write_until(&bench, messages, || times_started_over(&bench) > before), "it has ended");
    assert_eq!(bench.wait(bench.store().count_books()).unwrap().received, i64::try_from(*messages).unwrap());
}
