//! The stream of events, and bodies that come slowly, over a real connection.

use std::net::SocketAddr;

use actix_web::dev::ServerHandle;
use serde_json::json;
use tertulia_actors::domain::{ConversationId, PartId, TurnId};
use tertulia_actors::feed::{FeedEvent, Publish};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

pub(super) const SOON: Duration = Duration::from_secs(10);

impl TestApp {
    pub(super) async fn serve(&self) -> (SocketAddr, ServerHandle) {
        let settings = ServerSettings { bind: "127.0.0.1:0".into(), workers: 1, ..ServerSettings::default() };
        let (listeners, address) = listen(&settings).unwrap();
        let server = run_server(&self.state, &settings, listeners).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        (address, handle)
    }

    async fn write(&self) -> ConversationId {
        let answer = self.call(post("/v1/messages", &json!({"from": "ada", "text": "x"}))).await;
        answer.json()["conversation_id"].as_str().unwrap().parse().unwrap()
    }

    fn publish(&self, conversation: ConversationId, event: FeedEvent) {
        self.feed.do_send(Publish { conversation, event });
    }
}

fn live_reply(position: i64, text: &str) -> FeedEvent {
    FeedEvent::Reply {
        part: PartId::new(Uuid::nil()),
        position,
        turn: TurnId::new(Uuid::nil()),
        text: text.into(),
        at: Timestamp(0),
    }
}

/// Reads until the text contains `end`, or the stream ends.
pub(super) async fn read_until(response: &mut reqwest::Response, end: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while !text.contains(end) {
            let Some(chunk) = response.chunk().await.unwrap() else { break };
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    };
    tokio::time::timeout(SOON, reading).await.unwrap();
    text
}

async fn open(address: SocketAddr, path: &str, last_event_id: Option<&str>) -> reqwest::Response {
    let client = crate::channels::client(SOON).unwrap();
    let mut request = client.get(format!("http://{address}{path}"));
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    request.send().await.unwrap()
}

#[actix_web::test]
async fn a_stream_tells_what_was_missed_and_then_what_happens_each_once() {
    let app = TestApp::new();
    let conversation = app.write().await;
    for position in 1..=250 {
        app.store.reply(conversation, position, &format!("stored {position}"));
    }
    let (address, server) = app.serve().await;
    let path = format!("/v1/conversations/{conversation}/events");
    let mut stream = open(address, &path, None).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let text = read_until(&mut stream, "stored 250").await;
    assert_eq!(text.matches("event: reply").count(), 250);

    app.publish(conversation, FeedEvent::Gathering { messages: 2, closes_in_ms: 300 });
    app.publish(conversation, FeedEvent::Answering { turn: TurnId::new(Uuid::nil()) });
    app.publish(conversation, live_reply(250, "again"));
    app.publish(conversation, live_reply(251, "two\nlines"));
    app.publish(conversation, FeedEvent::Idle);
    let text = read_until(&mut stream, "event: idle").await;
    assert!(text.contains("event: gathering\ndata: {\"closes_in_ms\":300,\"messages\":2}\n\n"), "{text}");
    assert!(text.contains("event: answering\n") && text.contains("event: reply\nid: 251\n"), "{text}");
    assert!(text.contains(r"two\nlines") && !text.contains("again"), "{text}");

    let mut resumed = open(address, &format!("{path}?after=3"), Some("248")).await;
    let text = read_until(&mut resumed, "stored 250").await;
    assert_eq!(text.matches("event: reply").count(), 2, "the header goes before the address: {text}");
    let mut resumed = open(address, &format!("{path}?after=249"), None).await;
    assert_eq!(read_until(&mut resumed, "stored 250").await.matches("event: reply").count(), 1);

    app.draining.send(true).unwrap();
    for stream in [&mut stream, &mut resumed] {
        let ended = tokio::time::timeout(SOON, stream.chunk()).await.unwrap().unwrap();
        assert_eq!(ended, None, "a drain ends the streams");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn streams_are_bounded_and_their_position_is_a_number() {
    let app = TestApp::with(|settings| settings.server.streams_max = 1);
    let conversation = app.write().await;
    let path = format!("/v1/conversations/{conversation}/events");
    app.call(get(&path).insert_header(("last-event-id", "x"))).await.assert_problem(400, "invalid_header");
    app.call(get(&format!("{path}?after=x"))).await.assert_problem(400, "invalid_query");
    let open = app.answer(get(&path)).await;
    assert!(is_stream(open.response().body()));
    app.call(get(&path)).await.assert_problem(503, "too_many_streams");
    drop(open);
    assert!(is_stream(app.answer(get(&path)).await.response().body()), "a closed stream makes room");
}

#[actix_web::test]
async fn a_reader_that_falls_behind_loses_its_stream() {
    let app = TestApp::new();
    let conversation = app.write().await;
    let stream = app.answer(get(&format!("/v1/conversations/{conversation}/events"))).await;
    for position in 1..=1_000 {
        app.publish(conversation, live_reply(position, "x"));
    }
    let body = tokio::time::timeout(SOON, to_bytes(stream.into_body())).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("id: 1000\n"));
}

#[actix_web::test]
async fn a_body_that_does_not_come_is_given_up() {
    let app = TestApp::with(|settings| settings.server.body_timeout_ms = 50);
    let (address, server) = app.serve().await;
    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = "POST /webhooks/whatsapp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = connection.read_to_string(&mut answer);
    tokio::time::timeout(SOON, reading).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
    assert_eq!(app.store.state().admissions.len(), 0);
    server.stop(false).await;
}
