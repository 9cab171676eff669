//! The tree: as the interface says, and as fast as things happen; and one conversation among as many as there may be.

use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tertulia::load::bursts::{Bursts, Person};
use tertulia_actors::domain::ConversationId;
use uuid::Builder;

use super::{DOWN, LEFT, RIGHT, UP, open, wait_for_text};
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
fn a_service_that_is_killed_turns_to_restarting_and_back_within_a_second_while_people_write() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        let (sender, people) = (bench.sender(), Bursts::new(29, "tree"));
        let writing = tokio::spawn(async move {
            for number in 0.. {
                sender.play(&people.burst(number % 20, number / 20)).await.expect("acknowledged");
            }
        });
        open(&browser, &bench, "tree").await;
        // The page notes each state that the front shows, and when; a stream beside it tells when the front was started anew.
        let watch = "window.seen = []; window.restarts = [];
            const note = () => {
                const state = document.querySelector('[data-path=\"services/query\"] .state')?.dataset.state;
                if (state && seen.at(-1)?.state !== state) seen.push({ state, at: Date.now() });
            };
            note();
            new MutationObserver(note).observe(document.querySelector('.tree'), { subtree: true, childList: true, attributes: true, characterData: true });
            new EventSource('/console/live?show=tree').addEventListener('frame', ({ data }) => {
                for (const event of JSON.parse(data).events) if (event.path === 'services/query' && event.kind === 'restarted')
                    restarts.push(Date.parse(event.at));
            });";
        browser.script(watch).await;
        for kill in 1..=3_usize {
            // Frames are half a second apart, and the last one has just been drawn.
            tokio::time::sleep(Duration::from_millis(120) * u32::try_from(kill).expect("a few")).await;
            crate::supervision::ask(&bench, "services/query", "restart").await;
            let shown = format!("return seen.length >= {} && restarts.length >= {kill}", 1 + 2 * kill);
            browser.wait_until(&shown).await;
        }
        assert!(!writing.is_finished(), "people write all the while");
        writing.abort();
        let seen = browser.script("return seen.slice(0, 7).map(({ state }) => state).join(' ')").await;
        assert_eq!(seen, "running restarting running restarting running restarting running");
        // The best of three, since others have the machine, too.
        let best = "return Math.min(...restarts.slice(0, 3).map((at, kill) => seen[2 * kill + 2].at - at))";
        let best = browser.script(best).await;
        assert!(best.as_i64().is_some_and(|ms| ms <= 1_000), "there and back on the page after {best} ms");
    });
}

/// Writes conversations of so many people into the database of a server that does not run; their ids, by the people's numbers.
fn populate(bench: &Bench, people: usize) -> Vec<ConversationId> {
    let mut conn = Connection::open(bench.database()).expect("a database");
    let tx = conn.transaction().expect("a transaction");
    let mut ids = vec![];
    {
        let mut conversation = tx
            .prepare(
                "INSERT INTO conversations (id, partition, channel, account, phone, user_id, name, created_at) \
                 VALUES (?1, ?2, 'whatsapp', '106540352242922', ?3, ?4, ?5, ?6)",
            )
            .expect("a statement");
        let mut alias = tx
            .prepare("INSERT INTO aliases VALUES ('whatsapp', '106540352242922', ?1, ?2, ?3)")
            .expect("a statement");
        for number in 0..people {
            // Ids as they come: by the time of their making, then by chance.
            let at = 1_760_000_000_000 + 700 * i64::try_from(number).expect("a small number");
            let chance = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            let chance: [u8; 10] = chance.to_be_bytes()[..10].try_into().expect("ten bytes");
            let id = ConversationId::new(
                Builder::from_unix_timestamp_millis(at.unsigned_abs(), &chance).into_uuid(),
            );
            let (text, Person { phone, user_id, name, .. }) = (id.to_string(), Person::new(number));
            conversation
                .execute(params![text, id.partition().number(), phone, user_id, name, at])
                .expect("a row");
            for (kind, value) in [("phone", phone), ("user_id", user_id)] {
                if let Some(value) = value {
                    alias.execute(params![kind, value, text]).expect("a row");
                }
            }
            ids.push(id);
        }
    }
    tx.commit().expect("a commit");
    ids
}

/// Types into the search of the page, in the place of what stood there, and presses Enter.
async fn search(browser: &Browser, text: &str) {
    browser.script("const find = document.querySelector('#find'); find.focus(); find.select()").await;
    browser.press(&format!("{text}{ENTER}")).await;
}

#[test]
fn search_finds_a_conversation_among_100_000_and_says_where_there_is_none() {
    run(async {
        let bench = Bench::new();
        // The first start makes the tables.
        bench.start().await.ends_clean(&bench).await;
        let ids = populate(&bench, 100_000);
        assert_eq!(bench.count("SELECT count(DISTINCT id) FROM conversations"), 100_000);
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        open(&browser, &bench, "conversations").await;
        let found =
            "return [...document.querySelectorAll('#main tbody code')].map((id) => id.textContent).join(' ')";
        let (id, half) = (ids[12_345].to_string(), ids[99_999].to_string()[..24].to_owned());
        // By id, by how it begins, by a phone number as people write it, and by a user id.
        let searches = [
            (id.as_str(), 12_345),
            (half.as_str(), 99_999),
            ("+966 5 0004-2424", 42_424),
            ("966500099999", 99_999),
            ("SA.9000000077777", 77_777),
        ];
        for (text, person) in searches {
            search(&browser, text).await;
            let is_found = format!("{} === '{}'", found, ids[person]);
            browser.wait_until(&is_found).await;
            wait_for_text(&browser, "1 found").await;
        }
        for text in ["+966 5 9999-9999", "00000000-0000-7000-8000-000000000000", "SA.9000000100000"] {
            search(&browser, text).await;
            wait_for_text(&browser, &format!("Nobody is called {text}.")).await;
            assert_eq!(browser.script(found).await, "", "{text}");
        }
        // A search reads as much of the indexes as it shows: the best of them, since others have the machine, too.
        let took = "return Math.min(...performance.getEntriesByType('resource')
            .filter(({ name }) => name.includes('/v1/conversations?q=')).map(({ duration }) => duration))";
        let took = browser.script(took).await;
        assert!(took.as_f64().is_some_and(|ms| ms > 0.0 && ms < 100.0), "the fastest search took {took} ms");
    });
}
