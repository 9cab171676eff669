//! Sending over real loopback connections.

use std::future::ready;
use std::net::TcpListener;

use actix_web::{App, HttpResponse, HttpServer, web};
use tertulia_actors::domain::{Account, Channel};
use uuid::Uuid;

use super::*;
use crate::channels::client;
use crate::load::providers::{EmulatedProviders, ProviderOptions, WhatsappBehaviour};

const SOON: Duration = Duration::from_secs(10);

fn providers(whatsapp: WhatsappBehaviour) -> EmulatedProviders {
    EmulatedProviders::start(ProviderOptions { whatsapp, ..ProviderOptions::default() }).unwrap()
}

fn channel(graph_base_url: String, token: &str, timeout_ms: u64) -> WhatsappOutbound {
    let access_token = Secret::new(token);
    let settings =
        WhatsappSettings { graph_base_url, access_token, timeout_ms, ..WhatsappSettings::default() };
    WhatsappOutbound::new(client(SOON).unwrap(), &settings)
}

fn outbound(phone: Option<&str>, user_id: Option<&str>) -> Outbound {
    Outbound {
        part: PartId::new(Uuid::from_u128(5)),
        account: Account::new(Channel::Whatsapp, "1065"),
        recipient: Recipient { phone: phone.map(Into::into), user_id: user_id.map(Into::into) },
        text: "مرحبا".into(),
    }
}

async fn send_to(behaviour: WhatsappBehaviour) -> (Result<String, SendError>, usize) {
    let providers = providers(behaviour);
    let channel = channel(providers.graph_base_url(), "emulated-token", 10_000);
    let result = channel.send(outbound(Some("1"), None)).await;
    (result, providers.sent_count())
}

#[actix_web::test]
async fn a_part_goes_to_the_phone_where_it_is_known_else_to_the_user_id() {
    let providers = providers(WhatsappBehaviour::default());
    let channel = channel(providers.graph_base_url(), "emulated-token", 10_000);
    for (phone, user_id, to, recipient) in [
        (Some("1"), None, Some("1"), None),
        (Some("1"), Some("SA.1"), Some("1"), None),
        (None, Some("SA.1"), None, Some("SA.1")),
    ] {
        let id = channel.send(outbound(phone, user_id)).await.unwrap();
        let sent = providers.sent().pop().unwrap();
        assert_eq!((sent.to.as_deref(), sent.recipient.as_deref()), (to, recipient));
        assert_eq!((sent.wamid, sent.text.as_str()), (id, "مرحبا"));
        assert_eq!(sent.callback_data, Some(PartId::new(Uuid::from_u128(5)).to_string()));
        assert_eq!(sent.phone_number_id, "1065");
    }
    let nobody = channel.send(outbound(None, None)).await;
    assert!(matches!(nobody, Err(SendError::Refused(_))), "{nobody:?}");
    assert_eq!(providers.asked_count(), 3);
}

#[actix_web::test]
async fn an_answer_that_is_cut_off_leaves_the_outcome_unknown() {
    let cut = WhatsappBehaviour { cut_rate: 1.0, ..WhatsappBehaviour::default() };
    let (result, sent) = send_to(cut).await;
    assert!(matches!(result, Err(SendError::Ambiguous(_))), "{result:?}");
    assert_eq!(sent, 1, "a cut call must not be sent again by the client");
}

#[actix_web::test]
async fn an_answer_that_comes_too_late_leaves_the_outcome_unknown() {
    let slow = WhatsappBehaviour { delay: SOON, ..WhatsappBehaviour::default() };
    let providers = providers(slow);
    let result =
        channel(providers.graph_base_url(), "emulated-token", 200).send(outbound(Some("1"), None)).await;
    assert!(matches!(result, Err(SendError::Ambiguous(_))), "{result:?}");
    assert_eq!(providers.sent_count(), 1);
}

#[actix_web::test]
async fn a_channel_that_throttles_is_asked_again_later() {
    for behaviour in [
        WhatsappBehaviour { throttle_rate: 1.0, ..WhatsappBehaviour::default() },
        WhatsappBehaviour { throttle_first: 1, ..WhatsappBehaviour::default() },
    ] {
        let (result, sent) = send_to(behaviour).await;
        let Err(SendError::Retryable { retry_after, .. }) = result else { panic!("{result:?}") };
        assert_eq!((retry_after, sent), (Some(Duration::from_secs(1)), 0));
    }
}

#[actix_web::test]
async fn a_token_that_is_not_accepted_sends_nothing_until_its_file_has_another_and_is_read_again() {
    let providers = EmulatedProviders::start(ProviderOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let access_token = Secret::new("wrong");
    access_token.follow(&file);
    let graph_base_url = providers.graph_base_url();
    let settings = WhatsappSettings { access_token, graph_base_url, ..WhatsappSettings::default() };
    let channel = WhatsappOutbound::new(client(settings.connect_timeout()).unwrap(), &settings);
    std::fs::write(&file, "emulated-token\n").unwrap();
    let refused = channel.send(outbound(Some("1"), None)).await;
    assert!(matches!(refused, Err(SendError::Unauthorized(_))), "{refused:?}");
    channel.refresh();
    assert!(channel.send(outbound(Some("1"), None)).await.is_ok());
    assert_eq!(providers.sent_count(), 1);
}

#[actix_web::test]
async fn a_failure_of_the_server_leaves_the_outcome_unknown() {
    let (result, _) = send_to(WhatsappBehaviour { fail_rate: 1.0, ..WhatsappBehaviour::default() }).await;
    assert!(matches!(result, Err(SendError::Ambiguous(_))), "{result:?}");
}

#[actix_web::test]
async fn a_connection_that_is_refused_is_safe_to_retry() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let channel = channel(format!("http://{free}"), "t", 10_000);
    let result = channel.send(outbound(Some("1"), None)).await;
    assert!(matches!(result, Err(SendError::Retryable { retry_after: None, .. })), "{result:?}");
}

#[actix_web::test]
async fn a_refusal_is_final_and_says_why() {
    let providers = providers(WhatsappBehaviour::default());
    let channel = channel(providers.graph_base_url(), "emulated-token", 10_000);
    let result = channel.send(outbound(Some("not digits"), None)).await;
    assert_eq!(result, Err(SendError::Refused("400, code 100: (#100) Invalid parameter".into())));
}

#[actix_web::test]
async fn an_answer_that_does_not_end_is_not_read_to_its_end() {
    let id = |length: usize| format!(r#"{{"messages":[{{"id":"{}"}}]}}"#, "x".repeat(length));
    for (length, accepted) in [(100, true), (ANSWER_MAX_BYTES, false)] {
        let body = id(length);
        let server = HttpServer::new(move || {
            let body = body.clone();
            App::new().default_service(web::to(move || ready(HttpResponse::Ok().body(body.clone()))))
        });
        let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let running = server.run();
        let handle = running.handle();
        actix_web::rt::spawn(running);
        let result = channel(url, "t", 10_000).send(outbound(Some("1"), None)).await;
        match result {
            Ok(_) => assert!(accepted),
            Err(error) => assert!(!accepted && matches!(error, SendError::Ambiguous(_)), "{error:?}"),
        }
        handle.stop(false).await;
    }
}
