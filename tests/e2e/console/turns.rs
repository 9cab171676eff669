//! Conversations and journeys.

use tertulia::load::bursts::Bursts;
use tertulia::load::providers::{StatusTarget, WhatsappBehaviour};

use super::{open, press, wait_for_text};
use crate::support::{APP_SECRET, Bench, run};
use crate::webdriver::Browser;

#[test]
fn a_conversation_is_found_its_timer_counts_down_and_its_words_are_hidden_until_somebody_asks() {
    run(async {
        let mut bench = Bench::new();
        bench.set("conversation.quiet_ms", "600000");
        bench.set("conversation.max_wait_ms", "1200000");
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        let burst = Bursts::new(5, "count").burst(0, 0);
        bench.sender().play(&burst).await.expect("acknowledged");
        let phone =
            bench.read().query_row("SELECT phone FROM conversations", [], |row| row.get::<_, String>(0));
        let phone = phone.expect("a phone number");
        open(&browser, &bench, &format!("conversations?q=%2B{}", &phone[..phone.len() - 2])).await;
        browser.wait_until("return document.querySelectorAll('#main tbody tr').length === 1").await;
        browser.click("#main tbody a").await;
        // "9 min 57 s", in seconds.
        let left = r"const [, minutes, seconds] = /(\d+) min (\d+) s/.exec(document.querySelector('[role=timer]').textContent);
            const left = 60 * minutes + Number(seconds);";
        let first = browser.wait_until(&format!("{left} return left")).await.as_i64().expect("seconds");
        browser.wait_until(&format!("{left} return left <= {first} - 2")).await;
        let buffered = burst.messages.len().to_string();
        assert_eq!(browser.texts(".buffered").await, [buffered.as_str()]);
        let text = burst.messages[0].text.clone();
        assert!(!browser.script("return document.body.innerText").await.to_string().contains(&text));
        assert_eq!(bench.count("SELECT count(*) FROM audit"), 0);
        browser.click(".reveal").await;
        // Those that wait, and then all of them.
        let lines = browser.wait_for(".chat li p", 2 * burst.messages.len()).await;
        assert!(lines.contains(&text), "{lines:?}");
        assert_eq!(
            bench.count("SELECT count(*) FROM audit WHERE action = 'read_texts' AND outcome = 'done'"),
            1
        );
    });
}

/// Opens the one conversation that there is, and takes it over.
async fn take_over(browser: &Browser, bench: &Bench) {
    let id = bench.read().query_row("SELECT id FROM conversations", [], |row| row.get::<_, String>(0));
    open(browser, bench, &format!("conversations/{}", id.expect("one"))).await;
    press(browser, "Take over").await;
    browser.type_into("dialog textarea", "they asked for a person").await;
    browser.click("dialog [type=submit]").await;
    wait_for_text(browser, "You answer.").await;
}

#[test]
fn whoever_takes_a_conversation_over_answers_alone_until_they_hand_it_back() {
    run(async {
        let mut bench = Bench::new();
        // What is written is sent at once, not when the sweep finds it.
        bench.set("sweep.sweep_ms", "3600000");
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        let people = Bursts::new(8, "handoff");
        let sender = bench.sender();
        sender.play(&people.burst(0, 0)).await.expect("acknowledged");
        bench.wait_until_idle().await;
        let answered = bench.providers.sent_count();
        take_over(&browser, &bench).await;
        // The bot keeps quiet, and asks no model.
        let prompts = bench.providers.prompts().len();
        sender.play(&people.burst(0, 1)).await.expect("acknowledged");
        bench.wait_for("SELECT count(*) FROM turns WHERE reason LIKE 'taken over%'", 1).await;
        assert_eq!((bench.providers.sent_count(), bench.providers.prompts().len()), (answered, prompts));
        browser.type_into(".write textarea", "Hello, I am Ana.").await;
        press(&browser, "Send").await;
        bench.wait_for("SELECT count(*) FROM outbox WHERE author = 'token' AND state = 'sent'", 1).await;
        let sent = bench.providers.sent();
        assert_eq!(sent.iter().filter(|part| part.text.contains("I am Ana")).count(), 1);
        press(&browser, "Hand back").await;
        browser.type_into("dialog textarea", "done").await;
        browser.click("dialog [type=submit]").await;
        wait_for_text(&browser, "The bot answers.").await;
        sender.play(&people.burst(0, 2)).await.expect("acknowledged");
        bench.wait_until_idle().await;
        assert_eq!(bench.providers.sent_count(), answered + 2, "the operator's and the bot's");
        assert!(bench.books().balance());
        let deeds = "SELECT count(*) FROM audit WHERE action IN ('take_over', 'reply', 'hand_back') AND outcome = 'done'";
        assert_eq!(bench.count(deeds), 3);
        assert_eq!(
            bench.count("SELECT count(*) FROM audit WHERE target LIKE '%Ana%' OR reason LIKE '%Ana%'"),
            0
        );
    });
}

#[test]
fn a_take_over_ends_on_the_page_when_its_time_has_passed() {
    run(async {
        let mut bench = Bench::new();
        bench.set("handoff.idle_ms", "3000");
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        bench.sender().play(&Bursts::new(8, "idle").burst(0, 0)).await.expect("acknowledged");
        bench.wait_until_idle().await;
        take_over(&browser, &bench).await;
        wait_for_text(&browser, "The bot answers.").await;
    });
}

#[test]
fn a_journey_shows_every_step_from_the_webhook_to_the_delivery() {
    run(async {
        let mut bench = Bench::new();
        bench.set("knowledge.sample", "true");
        let target = StatusTarget { url: bench.url("/webhooks/whatsapp"), app_secret: APP_SECRET.to_owned() };
        bench.providers.set_whatsapp(WhatsappBehaviour { statuses: Some(target), ..Default::default() });
        let _server = bench.start().await;
        let Some(browser) = Browser::start().await else { return };
        let burst = Bursts::new(6, "steps").burst(0, 0);
        bench.sender().play(&burst).await.expect("acknowledged");
        bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'read'", 1).await;
        open(&browser, &bench, "journeys").await;
        browser.wait_until("return document.querySelectorAll('#main tbody tr').length >= 1").await;
        browser.click("#main tbody a").await;
        browser.wait_until("return document.querySelectorAll('.waterfall tbody tr').length > 0").await;
        let steps = browser
            .script(
                "return [...document.querySelectorAll('.waterfall tbody tr')].map((row) => row.dataset.step)",
            )
            .await;
        let steps: Vec<_> =
            steps.as_array().expect("steps").iter().filter_map(|step| step.as_str()).collect();
        for step in [
            "webhook",
            "batch wait",
            "embedding",
            "classify",
            "knowledge",
            "query",
            "commit",
            "send",
            "delivered",
            "read",
        ] {
            assert!(steps.contains(&step), "{step} is not among {steps:?}");
        }
        for text in ["completion tokens", "confidence", "answered"] {
            wait_for_text(&browser, text).await;
        }
        // Nothing went wrong: those that failed are none.
        browser.open(&bench.url("/console/journeys?failed=1")).await;
        wait_for_text(&browser, "No turn is like that").await;
    });
}
