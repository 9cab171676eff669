//! The write-ahead log: it starts over while messages go on coming, and a long reader only delays that.

use std::time::{Duration, Instant};

use tertulia_actors::ports::store::Views;

use super::bench::*;

/// Writes messages until the log is seen to be as short as this, or for too long.
fn write_until(bench: &Bench, messages: &mut usize, is_reached: impl Fn(u64) -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        *messages += 1;
        bench.say(&messages.to_string(), "1");
        if is_reached(bench.store().stats().wal_pages) {
            return true;
        }
    }
    false
}

#[test]
fn the_log_starts_over_while_messages_go_on_coming_and_waits_for_a_long_reader_without_holding_anybody_up() {
    let limit = 100;
    let bench = Bench::with(|settings| {
        settings.wal_checkpoint_pages = 10;
        settings.wal_limit_pages = limit;
    });
    let messages = &mut 0;
    for _ in 0..3 {
        assert!(write_until(&bench, messages, |pages| pages > limit), "it never grew");
        assert!(write_until(&bench, messages, |pages| pages < limit), "it never started over");
    }
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let long = bench.store().read_with(move |conn| {
        let seen: i64 = conn.query_row("SELECT count(*) FROM messages", [], |row| row.get(0))?;
        begun.send(seen).unwrap();
        let _ = gone.recv();
        Ok(seen)
    });
    let seen = has_begun.recv().unwrap();
    assert!(write_until(&bench, messages, |pages| pages > 4 * limit), "its pages are needed");
    drop(go);
    assert_eq!(bench.wait(long).unwrap(), seen);
    assert!(write_until(&bench, messages, |pages| pages < limit), "it starts over once the reader has ended");
    assert_eq!(bench.wait(bench.store().count_books()).unwrap().received, i64::try_from(*messages).unwrap());
}
