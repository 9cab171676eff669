//! What opens, fails, waits or is out of date on a page, in both themes, wide and narrow: nothing that axe finds, nothing that does not fit.

use tertulia::load::bursts::Bursts;
use tertulia::load::providers::{ProviderOptions, WhatsappBehaviour};

use super::look::Inspector;
use super::{press, sign_in, visit, wait_for_text};
use crate::supervision::ask;
use crate::support::{Bench, CONSOLE_TOKEN, FAILPOINTS_DELAY, Server, run};
use crate::webdriver::Browser;

/// A server that leaves something of each kind over: a send whose outcome nobody knows, messages that failed alone, and bodies that were
/// not understood; and a conversation that was answered, whose id is returned.
async fn leave_over() -> (Bench, Server, String) {
    let whatsapp = WhatsappBehaviour { cut_rate: 1.0, ..WhatsappBehaviour::default() };
    let mut bench = Bench::with(ProviderOptions { whatsapp, ..ProviderOptions::default() });
    for (key, value) in
        [("outbox.ambiguous_hold_ms", "100"), ("turns.retry_base_ms", "20"), ("knowledge.sample", "true")]
    {
        bench.set(key, value);
    }
    let server = bench.start().await;
    let (sender, people) = (bench.sender(), Bursts::new(23, "states"));
    sender.play(&people.burst(0, 0)).await.expect("acknowledged");
    bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'ambiguous'", 1).await;
    bench.providers.set_whatsapp(WhatsappBehaviour::default());
    bench.failpoints("turn.query=panic");
    tokio::time::sleep(FAILPOINTS_DELAY).await;
    let failing = people.burst(1, 0);
    sender.play(&failing).await.expect("acknowledged");
    let dead = i64::try_from(failing.messages.len()).expect("a few");
    bench.wait_for("SELECT count(*) FROM messages WHERE state = 'dead_lettered'", dead).await;
    bench.failpoints("");
    tokio::time::sleep(FAILPOINTS_DELAY).await;
    for body in ["{\"object\":\"nonsense\"}", "[]"] {
        sender.deliver_body(body.as_bytes().to_vec()).await.expect("acknowledged");
    }
    bench.wait_for("SELECT count(*) FROM quarantine", 2).await;
    sender.play(&people.burst(2, 0)).await.expect("acknowledged");
    bench.wait_until_idle().await;
    ask(&bench, "services/query", "restart").await;
    let last = "SELECT conversation_id FROM turns ORDER BY position DESC LIMIT 1";
    let conversation = bench.read().query_row(last, [], |row| row.get(0)).expect("a conversation");
    (bench, server, conversation)
}

/// Waits until something is shown.
async fn wait_for(browser: &Browser, selector: &str) {
    browser.wait_until(&format!("return document.querySelector({selector:?}) !== null")).await;
}

/// A dialog that asks for a reason, that has one, and whose deed the server did not hear of.
async fn look_at_confirmation(inspector: &mut Inspector<'_>, browser: &Browser, name: &str) {
    wait_for(browser, "dialog[open] textarea").await;
    inspector.look(&format!("{name}, asked")).await;
    browser.type_into("dialog textarea", "a new model is coming").await;
    wait_for(browser, "dialog [type=submit]:enabled").await;
    inspector.look(&format!("{name}, with a reason")).await;
}

async fn look_at_sign_in(inspector: &mut Inspector<'_>, browser: &Browser, bench: &Bench) {
    browser.open(&bench.url("/console/")).await;
    sign_in(browser, "", "not the token").await;
    wait_for_text(browser, "the token is wrong").await;
    inspector.look("sign-in refused").await;
    sign_in(browser, "", CONSOLE_TOKEN).await;
    wait_for(browser, ".figures").await;
}

async fn look_at_actions(inspector: &mut Inspector<'_>, browser: &Browser, bench: &Bench) {
    visit(browser, bench, "overview").await;
    press(browser, "Pause intake").await;
    look_at_confirmation(inspector, browser, "action").await;
    // What the server cannot be told is said in the dialog, which stays.
    browser.script("window.fetch = () => Promise.reject(new TypeError('away'))").await;
    browser.click("dialog [type=submit]").await;
    wait_for(browser, "dialog[open] .failed").await;
    inspector.look("action, failed").await;
    for (path, name) in [
        ("place/services/query", "place that was started anew"),
        ("place/nowhere", "no place"),
        ("nowhere", "no page"),
    ] {
        visit(browser, bench, path).await;
        inspector.look(name).await;
    }
}

async fn look_at_conversation(inspector: &mut Inspector<'_>, browser: &Browser, bench: &Bench, id: &str) {
    visit(browser, bench, "conversations?q=nobody").await;
    wait_for_text(browser, "Nobody is called nobody.").await;
    inspector.look("conversation not found").await;
    visit(browser, bench, &format!("conversations/{id}")).await;
    browser.click(".reveal").await;
    wait_for(browser, ".chat li.bot").await;
    inspector.look("conversation, revealed").await;
    press(browser, "Take over").await;
    look_at_confirmation(inspector, browser, "take-over").await;
    browser.click("dialog [type=submit]").await;
    wait_for_text(browser, "You answer.").await;
    browser.type_into(".write textarea", "Hello, I am Ana.").await;
    press(browser, "Send").await;
    wait_for(browser, ".chat li.operator").await;
    inspector.look("conversation, taken over").await;
    press(browser, "Hand back").await;
    wait_for(browser, "dialog[open] textarea").await;
    inspector.look("hand-back, asked").await;
}

async fn look_at_leftovers(inspector: &mut Inspector<'_>, browser: &Browser, bench: &Bench) {
    visit(browser, bench, "leftovers").await;
    for kind in ["dead-letters", "ambiguous", "quarantine"] {
        let head = format!("[aria-labelledby=h-{kind}] thead input");
        wait_for(browser, &head).await;
        browser.script(&format!("document.querySelector({head:?}).click()")).await;
    }
    browser
        .script("document.querySelectorAll('details').forEach((details) => { details.open = true })")
        .await;
    inspector.look("leftovers, chosen").await;
    press(browser, "discard 2").await;
    look_at_confirmation(inspector, browser, "discarding").await;
    browser.click("dialog [type=submit]").await;
    wait_for_text(browser, "2 discarded.").await;
    inspector.look("leftovers, discarded").await;
    visit(browser, bench, "journeys?failed=1").await;
    wait_for(browser, "#main tbody .mark-of").await;
    inspector.look("journeys that failed").await;
    browser.click("#main tbody a").await;
    wait_for(browser, ".waterfall tbody tr").await;
    inspector.look("journey that failed").await;
}

async fn look_at_entries(inspector: &mut Inspector<'_>, browser: &Browser, bench: &Bench) {
    visit(browser, bench, "knowledge?id=friday&language=en").await;
    wait_for(browser, "dialog[open] .edit textarea").await;
    browser.script("document.querySelector('dialog details').open = true").await;
    wait_for_text(browser, "Nothing else.").await;
    inspector.look("entry").await;
    press(browser, "Remove it…").await;
    wait_for_text(browser, "Remove friday (en)?").await;
    inspector.look("removal, asked").await;
    visit(browser, bench, "knowledge").await;
    press(browser, "Look").await;
    wait_for(browser, "[aria-labelledby=h-unanswered] tbody tr").await;
    inspector.look("unanswered questions").await;
}

#[test]
fn nothing_that_opens_fails_or_is_stale_has_what_axe_finds_or_does_not_fit() {
    run(async {
        let (bench, server, conversation) = leave_over().await;
        let Some(browser) = Browser::start().await else { return };
        let mut inspector = Inspector::new(&browser);
        look_at_sign_in(&mut inspector, &browser, &bench).await;
        look_at_actions(&mut inspector, &browser, &bench).await;
        look_at_conversation(&mut inspector, &browser, &bench, &conversation).await;
        look_at_leftovers(&mut inspector, &browser, &bench).await;
        look_at_entries(&mut inspector, &browser, &bench).await;
        visit(&browser, &bench, "overview").await;
        browser.click(".pulse").await;
        wait_for_text(&browser, "paused at").await;
        inspector.look("paused").await;
        browser.click(".pulse").await;
        wait_for(&browser, "#main[data-live=\"true\"]").await;
        // A server that is there and does not answer.
        server.signal("STOP");
        wait_for(&browser, "#main .stale").await;
        inspector.look("stale").await;
        server.signal("CONT");
        wait_for(&browser, "#main[data-live=\"true\"]").await;
        inspector.end();
        assert!(!bench.log().contains(CONSOLE_TOKEN));
    });
}
