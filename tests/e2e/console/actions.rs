//! What operators do, and what others do not.

use serde_json::json;

use super::{PASSWORD, cookie_of, open, sign_in, wait_for_text, with_users};
use crate::supervision::state;
use crate::support::{Bench, client, run};
use crate::webdriver::Browser;

const PLACE: &str = "place/shards/0/turns";

/// The button of an action.
async fn choose(browser: &Browser, action: &str) {
    let script = format!(
        "const button = [...document.querySelectorAll('.actions button')].find((one) => one.textContent === '{action}');
         button?.click(); return button !== undefined"
    );
    browser.wait_until(&script).await;
    browser.wait_until("return document.querySelector('dialog[open]') !== null").await;
}

#[test]
fn an_action_needs_a_reason_and_its_confirmation_and_is_written_down() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        open(&browser, &bench, PLACE).await;
        choose(&browser, "pause").await;
        assert_eq!(
            browser.script("return document.querySelector('dialog [type=submit]').disabled").await,
            true
        );
        browser.click("dialog .quiet").await;
        browser.wait_until("return document.querySelector('dialog[open]') === null").await;
        assert_eq!(state(&bench, "shards/0/turns").await, "running", "nobody has confirmed it");
        choose(&browser, "pause").await;
        browser.type_into("dialog textarea", "a new model is coming").await;
        browser.click("dialog [type=submit]").await;
        browser.wait_until("return document.querySelector('h1 .state')?.dataset.state === 'paused'").await;
        assert_eq!(state(&bench, "shards/0/turns").await, "paused");
        assert_eq!(bench.count("SELECT count(*) FROM audit"), 1);
        browser.open(&bench.url("/console/audit")).await;
        browser.wait_until("return document.querySelectorAll('#main tbody tr').length === 1").await;
        let cells = browser.texts("#main tbody td").await;
        assert_eq!(
            cells[1..],
            ["token admin", "pause", "shards/0/turns", "a new model is coming", "done"],
            "{cells:?}"
        );
        // The overview warns of what an operator left behind, with its cause.
        browser.open(&bench.url("/console/overview")).await;
        wait_for_text(&browser, "the turns of shard 0 was paused by an operator").await;
    });
}

#[test]
fn a_viewer_sees_and_cannot_act() {
    run(async {
        let mut bench = Bench::new();
        with_users(&mut bench);
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        browser.open(&bench.url(&format!("/console/{PLACE}"))).await;
        sign_in(&browser, "viewer", PASSWORD).await;
        wait_for_text(&browser, "Your role sees, and does not act").await;
        assert_eq!(browser.texts(".actions button").await, [] as [&str; 0]);
        // Whoever asks all the same, from the page itself, is refused.
        let script = "const r = new XMLHttpRequest(); r.open('POST', '/v1/supervision/shards/0/turns/pause', false);
            r.setRequestHeader('content-type', 'application/json'); r.send('{\"reason\":\"x\"}'); return r.status";
        assert_eq!(browser.script(script).await, 403);
        assert_eq!(state(&bench, "shards/0/turns").await, "running");
        assert_eq!(bench.count("SELECT count(*) FROM audit"), 0);
        // A cookie alone, without the page it belongs to, does nothing.
        let foreign = client()
            .post(bench.url("/v1/supervision/shards/0/turns/pause"))
            .header("cookie", cookie_of(&bench, "operator").await)
            .header("origin", "https://evil.example")
            .json(&json!({"reason": "x"}));
        assert_eq!(foreign.send().await.expect("an answer").status().as_u16(), 403);
        assert_eq!(state(&bench, "shards/0/turns").await, "running");
    });
}
