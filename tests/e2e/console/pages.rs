//! Every page in both themes, wide and narrow: nothing that axe finds, nothing that does not fit, and a picture where one is wanted.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tertulia::load::bursts::Bursts;

use super::open;
use crate::supervision::ask;
use crate::support::{Bench, CONSOLE_TOKEN, client, run};
use crate::webdriver::Browser;

/// Window sizes by name, in CSS pixels.
const SIZES: [(&str, u32, u32); 2] = [("wide", 1280, 900), ("narrow", 360, 780)];

const THEMES: [&str; 2] = ["light", "dark"];

/// The source of axe-core; none where it could not be fetched, which was said loudly.
#[expect(clippy::print_stderr, reason = "what is skipped is said loudly")]
fn axe() -> Option<String> {
    if std::env::var_os("TERTULIA_SKIP_AXE").is_some() {
        eprintln!("SKIPPED: axe-core is not there (TERTULIA_SKIP_AXE is set)");
        return None;
    }
    let path = std::env::var_os("TERTULIA_TEST_AXE").expect("tests/run fetches axe-core");
    Some(fs::read_to_string(path).expect("axe-core can be read"))
}

/// A server that has something to show: conversations that were answered, one that waits, something that an operator paused, entries,
/// and deeds in the log.
async fn furnish(bench: &Bench) -> (String, i64) {
    let sender = bench.sender();
    let people = Bursts::new(11, "pages");
    for person in 0..6 {
        sender.play(&people.burst(person, 0)).await.expect("acknowledged");
    }
    bench.wait_until_idle().await;
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

/// What axe finds, a line each.
async fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.script(axe).await;
    let found = browser
        .script(
            "return axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
                .then(({ violations }) => violations.map(({ id, nodes }) =>
                    `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' | ')}`))",
        )
        .await;
    let found = found.as_array().expect("a list").iter();
    found.filter_map(Value::as_str).map(str::to_owned).collect()
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
        let axe = axe();
        let pictures = std::env::var_os("TERTULIA_SCREENSHOTS").map(PathBuf::from);
        browser.open(&bench.url("/console/")).await;
        let (conversation, turn) = furnish(&bench).await;
        let pages = [
            ("sign-in", String::new()),
            ("overview", "overview".into()),
            ("tree", "tree".into()),
            ("place", "place/services/query".into()),
            ("conversations", "conversations?q=4".into()),
            ("conversation", format!("conversations/{conversation}")),
            ("journeys", "journeys".into()),
            ("journey", format!("journeys/{turn}")),
            ("leftovers", "leftovers".into()),
            ("knowledge", "knowledge?q=Do%20you%20deliver%20on%20Friday".into()),
            ("audit", "audit".into()),
        ];
        let mut wrong = vec![];
        for (name, path) in &pages {
            if *name == "sign-in" {
                browser.wait_until("return document.querySelector('.sign-in form') !== null").await;
            } else {
                open(&browser, &bench, path).await;
                browser.wait_until("return document.querySelectorAll('#main .panel, #main table, #main form').length > 0").await;
            }
            for theme in THEMES {
                browser.script(&format!("document.documentElement.dataset.theme = '{theme}'")).await;
                for (size, width, height) in SIZES {
                    browser.resize(width, height).await;
                    tokio::time::sleep(Duration::from_millis(700)).await;
                    let inner = browser.script("return innerWidth").await;
                    assert_eq!(inner, width, "the window has not the width that it was given");
                    let excess = browser
                        .script("return Math.max(0, document.documentElement.scrollWidth - innerWidth)")
                        .await;
                    if excess != 0 {
                        wrong.push(format!("{name}, {theme}, {size}: {excess} px wider than the window"));
                    }
                    if let Some(axe) = &axe {
                        let found = violations(&browser, axe).await;
                        wrong.extend(
                            found.into_iter().map(|found| format!("{name}, {theme}, {size}: {found}")),
                        );
                    }
                    if let Some(folder) = &pictures {
                        fs::create_dir_all(folder).expect("a folder");
                        let file = folder.join(format!("{name}-{theme}-{size}.png"));
                        fs::write(file, decode(&browser.screenshot().await)).expect("a picture is written");
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(!bench.log().contains(CONSOLE_TOKEN));
    });
}

/// The bytes of a base64 text (RFC 4648, 4).
fn decode(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |digit: u8| DIGITS.iter().position(|known| *known == digit).unwrap_or(0);
    let (mut bytes, mut bits, mut held) = (vec![], 0_usize, 0_u32);
    for digit in text.bytes().filter(|digit| DIGITS.contains(digit)) {
        bits = (bits << 6) | value(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).expect("eight bits"));
        }
    }
    bytes
}
