//! Every page in both themes, wide and narrow: nothing that axe finds, nothing that does not fit.

use serde_json::json;
use tertulia::load::bursts::Bursts;

use super::look::Inspector;
use super::{sign_in, visit};
use crate::supervision::ask;
use crate::support::{Bench, CONSOLE_TOKEN, client, run};
use crate::webdriver::Browser;

/// A server that has something to show: conversations that were answered, one that waits, something that an operator paused, entries,
/// a body that was not understood, and deeds in the log.
async fn furnish(bench: &Bench) -> (String, i64) {
    let sender = bench.sender();
    let people = Bursts::new(11, "pages");
    for person in 0..6 {
        sender.play(&people.burst(person, 0)).await.expect("acknowledged");
    }
    bench.wait_until_idle().await;
    sender.deliver_body(b"{\"object\":\"nonsense\"}".to_vec()).await.expect("acknowledged");
    let question = json!({"from": "ann", "text": "Do you deliver on Friday?"});
    let post = client().post(bench.url("/v1/messages")).json(&question);
    assert_eq!(post.send().await.expect("an answer").status().as_u16(), 202);
    bench.wait_until_idle().await;
    ask(bench, "services/vectors", "restart").await;
    ask(bench, "shards/0/dispatcher", "pause").await;
    sender.play(&people.burst(7, 0)).await.expect("acknowledged");
    bench.wait_for("SELECT count(*) FROM turns WHERE state = 'committed'", 8).await;
    let read = bench.read();
    let conversation =
        read.query_row("SELECT conversation_id FROM turns ORDER BY position LIMIT 1", [], |row| row.get(0));
    let turn = read.query_row("SELECT min(position) FROM turns", [], |row| row.get(0));
    (conversation.expect("a conversation"), turn.expect("a turn"))
}

#[test]
fn no_page_has_what_axe_finds_or_is_wider_than_its_window_in_any_theme() {
    run(async {
        let mut bench = Bench::new();
        for (key, value) in
            [("knowledge.sample", "true"), ("runtime.shards", "2"), ("channels.api.token", "")]
        {
            bench.set(key, value);
        }
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        let mut inspector = Inspector::new(&browser);
        browser.open(&bench.url("/console/")).await;
        let (conversation, turn) = furnish(&bench).await;
        browser.wait_until("return document.querySelector('.sign-in form') !== null").await;
        inspector.look("sign-in").await;
        sign_in(&browser, "", CONSOLE_TOKEN).await;
        browser.wait_until("return document.querySelector('.figures') !== null").await;
        // Each with what is there once its data have come.
        let pages = [
            ("overview", "overview".into(), ".figures"),
            ("tree", "tree".into(), ".tree tbody tr"),
            ("place", "place/services/query".into(), "#h-said"),
            ("conversations", "conversations?q=%2B9665".into(), "tbody tr"),
            ("conversation", format!("conversations/{conversation}"), "[aria-labelledby=h-turns] tbody tr"),
            ("journeys", "journeys".into(), "tbody tr"),
            ("journey", format!("journeys/{turn}"), ".waterfall tbody tr"),
            ("leftovers", "leftovers".into(), "[aria-labelledby=h-quarantine] tbody tr"),
            (
                "knowledge",
                "knowledge?q=Do%20you%20deliver%20on%20Friday".to_owned(),
                "[aria-labelledby=h-try] tbody tr",
            ),
            ("audit", "audit".into(), "tbody tr"),
        ];
        for (name, path, shown) in &pages {
            visit(&browser, &bench, path).await;
            browser.wait_until(&format!("return document.querySelector('#main {shown}') !== null")).await;
            inspector.look(name).await;
        }
        inspector.end();
        assert!(!bench.log().contains(CONSOLE_TOKEN));
    });
}
