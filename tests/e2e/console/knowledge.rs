//! The knowledge base and the leftovers, as people change them.

use super::{PASSWORD, open, press, sign_in, wait_for_text, with_users};
use crate::support::{Bench, run};
use crate::webdriver::Browser;

#[test]
fn an_entry_is_added_changed_tried_removed_and_never_overwritten_by_chance() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        open(&browser, &bench, "knowledge").await;
        press(&browser, "Add an entry").await;
        browser.wait_until("return document.querySelector('dialog[open] .edit') !== null").await;
        for (nth, text) in [(1, "hours"), (3, "When do you open?"), (5, "At eight in the morning.")] {
            browser
                .type_into(&format!("dialog .edit label:nth-of-type({nth}) :is(input, textarea)"), text)
                .await;
        }
        press(&browser, "Save").await;
        browser.wait_until("return document.querySelector('dialog') === null").await;
        assert_eq!(bench.count("SELECT count(*) FROM knowledge WHERE id = 'hours'"), 1);
        // Somebody else's id is not taken over.
        press(&browser, "Add an entry").await;
        for (nth, text) in [(1, "hours"), (5, "Never.")] {
            browser
                .type_into(&format!("dialog .edit label:nth-of-type({nth}) :is(input, textarea)"), text)
                .await;
        }
        press(&browser, "Save").await;
        wait_for_text(&browser, "there is an entry hours in en already").await;
        press(&browser, "Cancel").await;
        browser.wait_until("return document.querySelector('dialog') === null").await;
        browser.type_into("#q", "when do you open\u{e007}").await;
        wait_for_text(&browser, "It would lead to: reply").await;
        // A removal that somebody thinks better of leaves the entry where it was, and it opens again.
        press(&browser, "hours").await;
        press(&browser, "Remove it…").await;
        wait_for_text(&browser, "Remove hours (en)?").await;
        press(&browser, "Cancel").await;
        browser.wait_until("return document.querySelector('dialog') === null").await;
        press(&browser, "hours").await;
        press(&browser, "Remove it…").await;
        press(&browser, "Remove").await;
        browser.wait_until("return document.querySelector('dialog') === null").await;
        bench.wait_for("SELECT count(*) FROM knowledge WHERE id = 'hours'", 0).await;
        assert_eq!(
            bench.count("SELECT count(*) FROM audit WHERE target = 'knowledge/hours' AND outcome = 'done'"),
            2
        );
    });
}

#[test]
fn a_viewer_reads_entries_and_has_nothing_to_save() {
    run(async {
        let mut bench = Bench::new();
        bench.set("knowledge.sample", "true");
        with_users(&mut bench);
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        browser.open(&bench.url("/console/knowledge?id=friday&language=en")).await;
        sign_in(&browser, "viewer", PASSWORD).await;
        browser.wait_until("return document.querySelector('dialog[open] .edit textarea') !== null").await;
        let fields = "return [...document.querySelectorAll('dialog :is(input, textarea)')].every((field) => field.readOnly)";
        assert_eq!(browser.script(fields).await, true);
        assert_eq!(browser.texts("dialog footer button").await, ["Close"]);
        press(&browser, "Close").await;
        browser.wait_until("return document.querySelector('dialog') === null").await;
        assert_eq!(browser.script("return location.search").await, "");
    });
}

#[test]
fn quarantined_bodies_are_read_again_or_discarded_with_a_reason() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        let sender = bench.sender();
        for body in ["{\"object\":\"nonsense\"}", "[]"] {
            sender.deliver_body(body.as_bytes().to_vec()).await.expect("acknowledged");
        }
        bench.wait_for("SELECT count(*) FROM quarantine", 2).await;
        open(&browser, &bench, "leftovers").await;
        browser
            .wait_until(
                "return document.querySelectorAll('[aria-labelledby=h-quarantine] tbody tr').length === 2",
            )
            .await;
        browser.click("[aria-labelledby=h-quarantine] thead input").await;
        press(&browser, "read again 2").await;
        browser.type_into("dialog textarea", "after the update").await;
        browser.click("dialog [type=submit]").await;
        wait_for_text(&browser, "0 replayed, 2 not understood.").await;
        browser.click("[aria-labelledby=h-quarantine] tbody input").await;
        press(&browser, "discard 1").await;
        browser.type_into("dialog textarea", "noise").await;
        browser.click("dialog [type=submit]").await;
        wait_for_text(&browser, "1 discarded.").await;
        assert_eq!(bench.count("SELECT count(*) FROM quarantine"), 1);
        assert_eq!(bench.count("SELECT count(*) FROM audit WHERE reason IN ('after the update', 'noise') AND outcome = 'done'"), 2);
    });
}
