//! The way out and back: statuses, throttling, sends with an unknown outcome, and messages that cannot be answered.

use serde_json::{Value, json};
use tertulia::load::bursts::{Burst, Bursts};
use tertulia::load::payloads::Business;
use tertulia::load::providers::{ProviderOptions, StatusTarget, WhatsappBehaviour};

use crate::support::{APP_SECRET, Bench, CONSOLE_TOKEN, PATIENCE, client, run};

fn behaving(whatsapp: WhatsappBehaviour) -> Bench {
    Bench::with(ProviderOptions { whatsapp, ..ProviderOptions::default() })
}

async fn play(bench: &Bench, person: usize) -> Burst {
    let burst = Bursts::new(17, "channel").burst(person, 0);
    bench.sender().play(&burst).await.expect("acknowledged");
    burst
}

/// Delivers what a change tells.
async fn tell(bench: &Bench, told: &Value) {
    bench.sender().deliver_body(Business::default().envelope(told)).await.expect("acknowledged");
}

fn now_s() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    since.as_secs().to_string()
}

#[test]
fn statuses_move_parts_forward_to_read() {
    run(async {
        let bench = Bench::new();
        let target = StatusTarget { url: bench.url("/webhooks/whatsapp"), app_secret: APP_SECRET.to_owned() };
        bench.providers.set_whatsapp(WhatsappBehaviour { statuses: Some(target), ..Default::default() });
        let _server = bench.start().await;
        // A phone number and a user id, a phone number alone, a user id alone.
        for person in 0..3 {
            play(&bench, person).await;
        }
        bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'read'", 3).await;
        let sent = bench.providers.sent();
        assert_eq!(sent.iter().filter(|sent| sent.to.is_some()).count(), 2);
        assert_eq!(sent.iter().filter(|sent| sent.recipient.is_some()).count(), 1);
    });
}

#[test]
fn what_an_operator_writes_is_sent_at_once_not_when_the_sweep_finds_it() {
    run(async {
        let mut bench = Bench::new();
        bench.set("sweep.sweep_ms", "3600000");
        let _server = bench.start().await;
        play(&bench, 0).await;
        bench.wait_until_idle().await;
        let id = bench.read().query_row("SELECT id FROM conversations", [], |row| row.get::<_, String>(0));
        let id = id.expect("one");
        for (deed, body) in [("take-over", json!({"reason": "x"})), ("reply", json!({"text": "I am Ana."}))] {
            let asked = client().post(bench.url(&format!("/v1/conversations/{id}/{deed}")));
            let answer = asked.bearer_auth(CONSOLE_TOKEN).json(&body).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{deed}: {}", answer.status());
        }
        bench.wait_for("SELECT count(*) FROM outbox WHERE author = 'token' AND state = 'sent'", 1).await;
        assert_eq!(bench.providers.sent().iter().filter(|sent| sent.text == "I am Ana.").count(), 1);
    });
}

#[test]
fn a_throttled_part_is_sent_again_later_and_once() {
    run(async {
        let mut bench = behaving(WhatsappBehaviour { throttle_first: 3, ..Default::default() });
        bench.set("outbox.retry_base_ms", "50");
        let _server = bench.start().await;
        play(&bench, 0).await;
        assert!(bench.providers.wait_for_sent(1, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        assert_eq!((bench.providers.asked_count(), bench.providers.sent_count()), (4, 1));
    });
}

#[test]
fn a_send_that_is_cut_off_is_ambiguous_never_repeated_and_settled_by_a_status() {
    run(async {
        let mut bench = behaving(WhatsappBehaviour { cut_rate: 1.0, ..Default::default() });
        bench.set("outbox.ambiguous_hold_ms", "100");
        let mut server = bench.start().await;
        play(&bench, 0).await;
        bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'ambiguous'", 1).await;
        assert!((bench.metric("tertulia_reply_parts_ambiguous").await - 1.0).abs() < 0.5);
        // Neither its hold's end, nor another part behind it, nor a restart sends it again.
        bench.providers.set_whatsapp(WhatsappBehaviour::default());
        let next = Bursts::new(17, "channel").burst(0, 1);
        bench.sender().play(&next).await.expect("acknowledged");
        bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'sent'", 1).await;
        server.kill();
        let _server = bench.start().await;
        assert_eq!(bench.providers.sent_count(), 2);
        let cut = bench.providers.sent().remove(0);
        let status = json!({"id": cut.wamid, "status": "delivered", "timestamp": now_s(),
            "recipient_id": cut.address(), "biz_opaque_callback_data": cut.callback_data});
        tell(&bench, &json!({"statuses": [status]})).await;
        bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'delivered'", 1).await;
        bench.wait_for("SELECT count(*) FROM outbox WHERE state = 'ambiguous'", 0).await;
        assert!(bench.books().balance());
    });
}

#[test]
fn kinds_without_words_get_the_phrase_and_our_own_echoes_get_nothing() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let business = Business::default();
        let message = |kind: &str, from: &str, content: Value| {
            let mut message = json!({"id": format!("wamid.{kind}.{from}"), "from": from, "timestamp": now_s(), "type": kind});
            message[kind] = content;
            message
        };
        let image = message("image", "966500000001", json!({"id": "1", "mime_type": "image/jpeg"}));
        let place = message("location", "966500000002", json!({"latitude": 1.5, "longitude": 2.5}));
        let titled =
            message("image", "966500000003", json!({"id": "2", "caption": "is this the right one?"}));
        let reply = json!({"type": "list_reply", "list_reply": {"id": "r", "title": "The large bottle"}});
        let chosen = message("interactive", "966500000004", reply);
        let echo = message("text", &business.display_phone_number, json!({"body": "our own words"}));
        tell(&bench, &json!({"messages": [image, place, titled, chosen, echo]})).await;
        bench.wait_for("SELECT count(*) FROM messages WHERE state = 'answered'", 4).await;
        bench.wait_until_idle().await;
        assert_eq!(bench.count("SELECT count(*) FROM messages"), 4, "an echo is not a message");
        let places = "SELECT count(*) FROM messages WHERE content LIKE '%latitude%' AND text IS NULL";
        assert_eq!(bench.count(places), 1, "people see where");
        let mut answers: Vec<_> =
            bench.providers.sent().into_iter().map(|sent| (sent.to.unwrap_or_default(), sent.text)).collect();
        answers.sort();
        assert_eq!(answers.len(), 4, "{answers:?}");
        assert_eq!(answers[0].1, answers[1].1, "the same phrase for both");
        assert_eq!(
            (answers[2].1.as_str(), answers[3].1.as_str()),
            ("is this the right one?", "The large bottle")
        );
    });
}

#[test]
fn a_message_that_fails_alone_is_dead_lettered_with_a_phrase_and_can_be_replayed() {
    run(async {
        let mut bench = Bench::new();
        bench.set("turns.retry_base_ms", "20");
        let mut server = bench.start_with_failpoints("turn.query=panic").await;
        let burst = play(&bench, 0).await;
        let count = i64::try_from(burst.messages.len()).expect("a few");
        bench.wait_for("SELECT count(*) FROM messages WHERE state = 'dead_lettered'", count).await;
        bench.wait_until_idle().await;
        assert_eq!(bench.count("SELECT needs_human FROM conversations"), 1);
        assert_eq!(bench.providers.sent_count(), burst.messages.len(), "each sender is told");
        assert_eq!(server.terminate().await.code(), Some(0));
        let listed = bench.command(&["dead-letters", "list"]).output().expect("the binary runs");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert_eq!(listed.lines().count(), burst.messages.len(), "{listed}");
        let _server = bench.start().await;
        let replayed = bench.command(&["dead-letters", "replay", "--all"]).output().expect("the binary runs");
        assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
        bench.wait_for("SELECT count(*) FROM messages WHERE state = 'answered'", count).await;
        bench.wait_until_idle().await;
        assert!(bench.books().balance());
    });
}

#[test]
fn a_model_that_is_away_for_good_ends_in_a_phrase_and_asks_for_a_person() {
    run(async {
        let mut bench = Bench::new();
        bench.set("turns.unavailable_retry_ms", "50");
        bench.set("turns.patience_ms", "400");
        bench.set("query.llm.base_url", "http://127.0.0.1:9/v1");
        let _server = bench.start().await;
        play(&bench, 0).await;
        assert!(bench.providers.wait_for_sent(1, PATIENCE).await, "{}", bench.log());
        bench.wait_until_idle().await;
        assert_eq!(bench.count("SELECT needs_human FROM conversations"), 1);
        assert_eq!(bench.count("SELECT failures FROM turns"), 0, "it is not the turn's fault");
        assert_eq!(bench.providers.sent_count(), 1);
    });
}
