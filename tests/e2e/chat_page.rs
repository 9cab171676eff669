//! The chat page in a real browser, on a server as it comes: default configuration, sample knowledge base, no model.

use crate::support::{Bench, run};
use crate::webdriver::{Browser, ENTER};

/// Keeps what the page says is going on.
const WATCH: &str = "window.said = new Set();
    const status = document.querySelector('#status');
    new MutationObserver(() => said.add(status.textContent)).observe(status, { childList: true, subtree: true });";

#[test]
fn three_quick_messages_typed_into_the_page_get_exactly_one_answer() {
    run(async {
        let bench = Bench::as_it_comes();
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        browser.open(&bench.url("/")).await;
        browser.script(WATCH).await;
        for message in ["Hello", "one question please", "do you deliver on Friday?"] {
            browser.type_into("#text", &format!("{message}{ENTER}")).await;
        }
        let answers = browser.wait_for("#log li.bot p", 1).await;
        assert!(answers[0].contains("On Friday we deliver"), "{answers:?}");
        bench.wait_until_idle().await;
        for (sql, expected) in [
            ("SELECT count(*) FROM messages WHERE state = 'answered'", 3),
            ("SELECT count(*) FROM messages", 3),
            ("SELECT count(*) FROM turns", 1),
            ("SELECT count(*) FROM outbox", 1),
        ] {
            assert_eq!(bench.count(sql), expected, "{sql}");
        }
        let said = browser.script("return [...said].join('|')").await.to_string();
        for state in ["Gathering your 3 messages", "Writing an answer"] {
            assert!(said.contains(state), "the page never said '{state}': {said}");
        }
        // Whoever opens the page again finds everything once, and nothing else comes.
        browser.open(&bench.url("/")).await;
        let lines = browser.wait_for("#log li p", 4).await;
        assert_eq!(lines[..3], ["Hello", "one question please", "do you deliver on Friday?"]);
        assert_eq!(lines[3], answers[0]);
    });
}

#[test]
fn another_visitor_sees_nothing_of_it_and_markup_stays_text() {
    run(async {
        let mut bench = Bench::as_it_comes();
        bench.set("conversation.quiet_ms", "200");
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        browser.open(&bench.url("/")).await;
        let markup = "<img src=x onerror=\"document.title='broken'\"> متى تفتحون؟";
        browser.type_into("#text", &format!("{markup}{ENTER}")).await;
        browser.wait_for("#log li.bot", 1).await;
        assert_eq!(browser.texts("#log li.customer p").await, [markup]);
        assert_eq!(browser.script("return document.title").await, "Chat · Tertulia");
        // A conversation longer than the window scrolls by itself; the page does not.
        let grow = "const log = document.querySelector('#log'); const one = log.lastElementChild;
            for (let n = 0; n < 60; n++) log.append(one.cloneNode(true));
            log.getAnimations({ subtree: true }).forEach((animation) => animation.finish());
            return document.documentElement.scrollHeight <= innerHeight && log.scrollHeight > innerHeight";
        assert_eq!(browser.script(grow).await, true, "the whole page scrolls");
        let own = bench.read().query_row("SELECT id FROM conversations", [], |row| row.get::<_, String>(0));
        let own = own.expect("one conversation");
        let Some(other) = Browser::start().await else { return };
        other.open(&bench.url("/")).await;
        other.wait_for("#empty:not([hidden])", 1).await;
        assert_eq!(other.texts("#log li").await, [] as [&str; 0]);
        for path in ["", "/messages", "/events"] {
            let status = other
                .script(&format!(
                    "const r = new XMLHttpRequest(); r.open('GET', '/v1/conversations/{own}{path}', false); r.send(); \
                     return r.status"
                ))
                .await;
            assert_eq!(status, 404, "{path}");
        }
    });
}
