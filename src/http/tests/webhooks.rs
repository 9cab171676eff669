//! WhatsApp's webhook.

use serde_json::json;
use tertulia_actors::domain::{Account, Channel, DeliveryStatus, PartId, Recipient};
use tertulia_actors::ports::store::Limit;
use tertulia_actors::ports::{Outbound, OutboundChannel, StoreError};

use super::*;
use crate::channels::whatsapp::{WhatsappOutbound, WhatsappSettings};
use crate::load::bursts::Bursts;
use crate::load::payloads::{Business, sign};
use crate::load::providers::{EmulatedProviders, ProviderOptions, StatusTarget, WhatsappBehaviour};
use crate::load::sender::{DeliverError, WebhookSender};

fn signed(body: Vec<u8>) -> TestRequest {
    let request = TestRequest::post().uri("/webhooks/whatsapp");
    request.insert_header(("x-hub-signature-256", sign(APP_SECRET, &body))).set_payload(body)
}

fn burst() -> (Vec<u8>, usize) {
    let burst = Bursts::new(1, "r").burst(0, 0);
    (Business::default().webhook_body(&burst.person, &burst.messages, 1_700_000_000), burst.messages.len())
}

#[actix_web::test]
async fn the_handshake_is_answered_with_the_challenge_only_for_the_right_token() {
    let app = TestApp::new();
    let uri = |token: &str| {
        format!("/webhooks/whatsapp?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=%3Cb%3E1158")
    };
    let answer = app.call(get(&uri("verify%20me"))).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "<b>1158"));
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
    app.call(get(&uri("wrong"))).await.assert_problem(403, "wrong_verify_token");
    app.call(get("/webhooks/whatsapp")).await.assert_problem(403, "wrong_verify_token");
}

#[actix_web::test]
async fn a_signed_webhook_is_acknowledged_after_everything_in_it_is_stored() {
    let (app, (body, messages)) = (TestApp::new(), burst());
    let answer = app.call(signed(body)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, ""));
    assert_eq!(app.store.state().messages.len(), messages);
}

#[actix_web::test]
async fn a_webhook_with_a_wrong_or_missing_signature_writes_nothing() {
    let (app, (body, _)) = (TestApp::new(), burst());
    let unsigned = TestRequest::post().uri("/webhooks/whatsapp").set_payload(body.clone());
    app.call(unsigned).await.assert_problem(401, "wrong_signature");
    let foreign = signed(b"other".to_vec()).set_payload(body);
    app.call(foreign).await.assert_problem(401, "wrong_signature");
    assert_eq!(app.store.state().admissions.len(), 0);
}

#[actix_web::test]
async fn a_signed_body_that_is_not_understood_is_acknowledged_and_quarantined() {
    let app = TestApp::new();
    let answer = app.call(signed(b"not json".to_vec())).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(app.store.state().admissions[0].quarantined[0].body, b"not json");
}

#[actix_web::test]
async fn a_webhook_that_brings_nothing_needs_no_commit() {
    let app = TestApp::new();
    app.store.state().failure = Some(StoreError::Closed);
    let body = json!({"object": "whatsapp_business_account", "entry": []}).to_string();
    assert_eq!(app.call(signed(body.into_bytes())).await.status.as_u16(), 200);
}

#[actix_web::test]
async fn a_webhook_that_cannot_be_stored_is_not_acknowledged() {
    let (app, (body, _)) = (TestApp::new(), burst());
    for (failure, code) in [
        (StoreError::Overloaded { by: Limit::Queue, limit: 1 }, "overloaded"),
        (StoreError::Unavailable("disk full".into()), "store_unavailable"),
        (StoreError::Closed, "closing"),
    ] {
        app.store.state().failure = Some(failure);
        let answer = app.call(signed(body.clone())).await;
        answer.assert_problem(503, code);
        assert_eq!(answer.header("retry-after"), Some("2"), "1.5 s, rounded up");
        assert!(!answer.body.contains("disk full"), "what is inside stays inside");
    }
}

#[actix_web::test]
async fn what_adds_to_a_full_backlog_is_refused_and_statuses_which_end_work_are_not() {
    let (app, (body, _)) = (TestApp::new(), burst());
    let full = i64::try_from(BACKLOG_MAX).unwrap();
    app.books.send_replace(Books { received: full, pending: full, ..Books::default() });
    let answer = app.call(signed(body.clone())).await;
    answer.assert_problem(503, "overloaded");
    assert_eq!(answer.header("retry-after"), Some("2"), "1.5 s, rounded up");
    assert_eq!(answer.json()["limit"], "backlog");
    app.call(get("/readyz")).await.assert_problem(503, "overloaded");
    assert!(app.store.state().messages.is_empty());
    let status =
        json!({"id": "wamid.1", "status": "delivered", "timestamp": "1700000000", "recipient_id": "1"});
    let statuses = Business::default().envelope(&json!({"statuses": [status]}));
    assert_eq!(app.call(signed(statuses)).await.status.as_u16(), 200);
    assert_eq!(app.store.state().admissions[0].statuses.len(), 1);
    app.books.send_replace(Books::default());
    assert_eq!(app.call(signed(body)).await.status.as_u16(), 200);
    assert_eq!(app.call(get("/readyz")).await.status.as_u16(), 200);
    assert_eq!(app.refused("backlog"), 1, "/readyz refuses nobody");
}

#[actix_web::test]
async fn without_memory_nothing_comes_in_and_no_body_is_read() {
    let (app, (body, _)) = (TestApp::with_tokens(), burst());
    app.memory.send_replace(Memory { resident_bytes: 0, anonymous_bytes: MEMORY_MAX + 1 });
    app.books.send_replace(Books { received: 1, pending: 1, ..Books::default() });
    let (webhook, message) = (signed(body), TestRequest::post().uri("/v1/messages"));
    // Neither of the two could be answered so if its body had been read.
    let unsigned = TestRequest::post().uri("/webhooks/whatsapp").set_payload("{}");
    for request in [webhook, unsigned, bearer(message, API_TOKEN)] {
        let answer = app.call(request).await;
        answer.assert_problem(503, "overloaded");
        assert_eq!(answer.json()["limit"], "memory");
    }
    app.call(get("/readyz")).await.assert_problem(503, "overloaded");
    assert_eq!(app.refused("memory"), 3);
    app.memory.send_replace(Memory { resident_bytes: u64::MAX, anonymous_bytes: MEMORY_MAX });
    assert_eq!(app.call(signed(burst().0)).await.status.as_u16(), 200);
    // Where nothing waits, what the process still holds is used again.
    app.memory.send_replace(Memory { resident_bytes: 0, anonymous_bytes: MEMORY_MAX + 1 });
    app.books.send_replace(Books { received: 1, answered: 1, ..Books::default() });
    assert_eq!(app.call(signed(burst().0)).await.status.as_u16(), 200);
}

#[actix_web::test]
async fn a_disabled_channel_is_not_there() {
    let mut app = TestApp::new();
    app.state.whatsapp = None;
    app.call(signed(burst().0)).await.assert_problem(404, "channel_disabled");
    app.call(get("/webhooks/whatsapp")).await.assert_problem(404, "channel_disabled");
}

#[actix_web::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() {
    let app = TestApp::with(|settings| settings.server.body_limit_bytes = 10);
    app.call(signed(vec![b'x'; 11])).await.assert_problem(413, "body_too_large");
    let announced = TestRequest::post().uri("/webhooks/whatsapp").insert_header(("content-length", "11"));
    app.call(announced).await.assert_problem(413, "body_too_large");
    assert_eq!(app.call(signed(vec![b'x'; 10])).await.status.as_u16(), 200);
}

#[actix_web::test]
async fn a_burst_is_delivered_again_until_it_is_acknowledged() {
    let app = TestApp::new();
    let (address, server) = app.serve().await;
    let url = format!("http://{address}/webhooks/whatsapp");
    let client = crate::channels::client(Duration::from_secs(10)).unwrap();
    let sender = WebhookSender::new(client.clone(), &url, APP_SECRET).with_tries(2, Duration::ZERO);
    let burst = Bursts::new(3, "r").burst(0, 0);

    app.store.state().failure = Some(StoreError::Overloaded { by: Limit::Queue, limit: 1 });
    let given_up = sender.play(&burst).await;
    assert_eq!(given_up, Err(DeliverError::GivenUp { tries: 2, last: "503".into() }));
    assert!(sender.acknowledged().is_empty());

    app.store.state().failure = None;
    sender.play(&burst).await.unwrap();
    sender.play(&burst).await.unwrap();
    let ids = burst.messages.iter().map(|message| message.id.clone()).collect();
    assert_eq!(sender.acknowledged(), ids);
    assert_eq!(app.store.state().messages.len(), burst.messages.len(), "stored once");

    let foreign = WebhookSender::new(client, url, "other secret");
    assert_eq!(foreign.play(&burst).await, Err(DeliverError::Refused(401)));
    server.stop(false).await;
}

#[actix_web::test]
async fn the_emulated_api_tells_the_webhook_what_became_of_a_message() {
    let app = TestApp::new();
    let (address, server) = app.serve().await;
    let url = format!("http://{address}/webhooks/whatsapp");
    let statuses = Some(StatusTarget { url, app_secret: APP_SECRET.into() });
    let whatsapp = WhatsappBehaviour { statuses, ..WhatsappBehaviour::default() };
    let options = ProviderOptions { whatsapp, ..ProviderOptions::default() };
    let providers = EmulatedProviders::start(options).unwrap();
    let settings = WhatsappSettings {
        graph_base_url: providers.graph_base_url(),
        access_token: "emulated-token".into(),
        ..WhatsappSettings::default()
    };
    let channel = WhatsappOutbound::new(crate::channels::client(Duration::from_secs(10)).unwrap(), &settings);
    let part = PartId::new(Uuid::from_u128(77));
    let recipient = Recipient { phone: Some("1".into()), user_id: None };
    let outbound =
        Outbound { part, account: Account::new(Channel::Whatsapp, "1065"), recipient, text: "hi".into() };
    let id = channel.send(outbound).await.unwrap();

    app.store.wait_until(|state| state.admissions.len() >= 3).await;
    let admissions = app.store.state().admissions.clone();
    let told: Vec<_> = admissions.iter().flat_map(|admission| &admission.statuses).collect();
    use DeliveryStatus::{Delivered, Read, Sent};
    assert_eq!(told.iter().map(|status| status.status).collect::<Vec<_>>(), [Sent, Delivered, Read]);
    assert!(told.iter().all(|status| status.part == Some(part) && status.provider_id == id));
    assert_eq!(told[0].account, Account::new(Channel::Whatsapp, "1065"));
    server.stop(false).await;
}
