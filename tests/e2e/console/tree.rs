//! The tree: as the interface says, and as fast as things happen.

use serde_json::{Value, json};

use super::{DOWN, LEFT, RIGHT, UP, open};
use crate::support::{Bench, CONSOLE_TOKEN, client, run};
use crate::webdriver::{Browser, ENTER};

/// Name and state of every row that is seen, by path.
const ROWS: &str = "return Object.fromEntries([...document.querySelectorAll('.tree tbody tr')].map((row) =>
    [row.dataset.path, row.querySelector('.state').dataset.state]))";

/// Where the focus is.
const FOCUS: &str = "return document.activeElement.dataset.path ?? null";

async fn tree(bench: &Bench) -> Value {
    let request = client().get(bench.url("/v1/supervision/tree")).bearer_auth(CONSOLE_TOKEN);
    let root: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    let (mut states, mut next) = (json!({}), vec![root]);
    while let Some(node) = next.pop() {
        states[node["path"].as_str().expect("a path")] = node["state"].clone();
        next.extend(node["children"].as_array().cloned().unwrap_or_default());
    }
    states
}

#[test]
fn the_tree_is_as_the_interface_says_and_the_keyboard_reaches_all_of_it() {
    run(async {
        let mut bench = Bench::new();
        bench.set("runtime.shards", "2");
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        open(&browser, &bench, "tree").await;
        assert_eq!(browser.script(ROWS).await, tree(&bench).await);
        browser.script("document.querySelector('.tree [tabindex=\"0\"]').focus()").await;
        assert_eq!(browser.script(FOCUS).await, "");
        browser.press(DOWN).await;
        let first = browser.script(FOCUS).await;
        assert_ne!(first, "");
        browser.press(&format!("{DOWN}{UP}")).await;
        assert_eq!(browser.script(FOCUS).await, first);
        // To the end, which is the store or what stands below it, and up to its parent.
        browser.press("\u{e010}").await;
        let last = browser.script(FOCUS).await.as_str().expect("a row").to_owned();
        let above = last.rsplit_once('/').map_or("", |(above, _)| above);
        browser.press(LEFT).await;
        assert_eq!(browser.script(FOCUS).await, above);
        let rows = browser.script(ROWS).await.as_object().expect("rows").len();
        browser.press(LEFT).await;
        browser
            .wait_until(&format!("return document.querySelectorAll('.tree tbody tr').length < {rows}"))
            .await;
        assert_eq!(browser.script("return document.activeElement.ariaExpanded").await, "false");
        // What is closed stands in the address, so that the view can be linked.
        assert!(browser.script("return location.search").await.as_str().expect("text").contains("closed="));
        browser.press(RIGHT).await;
        browser
            .wait_until(&format!("return document.querySelectorAll('.tree tbody tr').length === {rows}"))
            .await;
        browser.press(ENTER).await;
        let place = format!("/console/place/{above}");
        browser.wait_until(&format!("return location.pathname === '{}'", place.trim_end_matches('/'))).await;
    });
}

#[test]
fn a_service_that_is_killed_turns_to_restarting_and_back_within_a_second() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        open(&browser, &bench, "tree").await;
        // The page notes each state that the front shows; a stream beside it tells when each frame was made.
        let watch = "window.seen = []; window.delays = [];
            const note = () => {
                const state = document.querySelector('[data-path=\"services/query\"] .state')?.dataset.state;
                if (state && seen.at(-1) !== state) seen.push(state);
            };
            note();
            new MutationObserver(note).observe(document.querySelector('.tree'), { subtree: true, childList: true, attributes: true, characterData: true });
            new EventSource('/console/live?show=tree').addEventListener('frame', ({ data }) => {
                const frame = JSON.parse(data);
                for (const event of frame.events) if (event.path === 'services/query' && event.kind === 'restarted')
                    delays.push(Date.parse(frame.at) - Date.parse(event.at));
            });";
        browser.script(watch).await;
        for kill in 1..=3_usize {
            crate::supervision::ask(&bench, "services/query", "restart").await;
            let shown = format!("return seen.length >= {} && delays.length >= {kill}", 1 + 2 * kill);
            browser.wait_until(&shown).await;
        }
        let seen = browser.script("return seen.slice(0, 7).join(' ')").await;
        assert_eq!(seen, "running restarting running restarting running restarting running");
        // Frames are half a second apart: the next one tells it. The best of three, since others have the machine, too.
        let delays = browser.script("return Math.min(...delays)").await;
        assert!(delays.as_i64().is_some_and(|ms| ms <= 1_000), "told after {delays} ms at the best");
    });
}
