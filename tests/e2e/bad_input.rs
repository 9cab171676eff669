//! Bad and odd input, as the outside world sends it to the real binary.

use std::time::Duration;

use reqwest::StatusCode;
use rusqlite::Connection;
use serde_json::{Value, json};
use tertulia::load::bursts::{BurstMessage, Bursts, Person, Token};
use tertulia::load::payloads::sign;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

use crate::support::{APP_SECRET, Bench, PATIENCE, client, run};

/// Posts a body as if from the provider; the status, and the code of a problem document.
async fn post(bench: &Bench, body: Vec<u8>) -> (u16, String) {
    let request = client().post(bench.url("/webhooks/whatsapp"));
    let request = request.header("x-hub-signature-256", sign(APP_SECRET, &body)).body(body);
    answer(request).await
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.timeout(PATIENCE).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

/// Writes bytes and nothing more; the status line of what the server answers all the same.
async fn write_and_stall(bench: &Bench, bytes: &[u8]) -> String {
    let stream = TcpStream::connect(bench.address()).await.expect("a connection");
    let mut stream = BufStream::new(stream);
    stream.write_all(bytes).await.expect("the server reads");
    stream.flush().await.expect("the server reads");
    let mut line = String::new();
    let reading = stream.read_line(&mut line);
    tokio::time::timeout(PATIENCE, reading).await.expect("the server gives up").expect("an answer");
    line
}

#[test]
fn the_handshake_gives_the_challenge_back_only_for_the_right_token() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let ask = |token: &str| {
            let query = format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158201444");
            client().get(bench.url(&format!("/webhooks/whatsapp?{query}")))
        };
        let right = ask("the-verify-token").send().await.expect("an answer");
        assert_eq!(
            (right.status(), right.text().await.expect("text")),
            (StatusCode::OK, "1158201444".into())
        );
        assert_eq!(answer(ask("wrong")).await, (403, "wrong_verify_token".into()));
    });
}

#[test]
fn a_body_that_is_too_long_is_413_with_and_without_a_stated_length() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let long = vec![b' '; 4 * 1_024 * 1_024 + 1];
        assert_eq!(post(&bench, long.clone()).await, (413, "body_too_large".into()));
        let head = "POST /webhooks/whatsapp HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut chunked = format!("{head}{:x}\r\n", long.len()).into_bytes();
        chunked.extend_from_slice(&long);
        let said = write_and_stall(&bench, &chunked).await;
        assert!(said.starts_with("HTTP/1.1 413"), "{said}");
        assert_eq!(bench.count("SELECT count(*) FROM messages"), 0);
    });
}

#[test]
fn a_head_or_a_body_that_is_too_slow_is_408() {
    run(async {
        let mut bench = Bench::new();
        bench.set("server.head_timeout_ms", "300");
        bench.set("server.body_timeout_ms", "300");
        let _server = bench.start().await;
        for stalled in [
            "POST /webhooks/whatsapp HTTP/1.1\r\nhost: t\r\n",
            "POST /webhooks/whatsapp HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\n{\"object\":",
        ] {
            let said = write_and_stall(&bench, stalled.as_bytes()).await;
            assert!(said.starts_with("HTTP/1.1 408"), "{stalled:?}: {said:?}");
        }
    });
}

#[test]
fn a_payload_of_3_mb_with_1000_messages_is_answered_whole_and_in_order() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let person = Person::new(0);
        let messages: Vec<_> = (0..1_000)
            .map(|message| {
                let token = Token { person: 0, burst: 0, message };
                let mark = token.text("large");
                let text = format!("{mark} {}", "ذ".repeat(1_400));
                BurstMessage { id: format!("wamid.{mark}"), token, text, gap: Duration::ZERO }
            })
            .collect();
        bench.sender().deliver(&person, &messages).await.expect("acknowledged");
        assert_eq!(bench.count("SELECT count(*) FROM messages"), 1_000);
        bench.wait_until_idle().await;
        let books = bench.books();
        assert_eq!((books.received, books.answered), (1_000, 1_000), "{books:?}");
        assert_eq!(bench.count("SELECT count(*) FROM turns"), 50, "twenty messages a turn");
        let answered: Vec<_> = bench
            .providers
            .sent()
            .iter()
            .flat_map(|sent| Token::find_all(&sent.text, "large"))
            .map(|token| token.message)
            .collect();
        assert_eq!(answered, (0..1_000).collect::<Vec<_>>());
    });
}

#[test]
fn odd_texts_come_through_unchanged() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let person = Person::new(0);
        let odd = [
            "😀".repeat(4_096),
            "\u{202e}abc\u{202c} \u{200f}שלום\u{200e} \u{2067}مرحبا\u{2069}".to_owned(),
            "before\0after".to_owned(),
            "e\u{301} 👨‍👩‍👧‍👦 \u{feff}\u{fffd}".to_owned(),
            "\u{1}\u{7f}\u{85}\u{2028}.".to_owned(),
        ];
        for (number, text) in odd.iter().enumerate() {
            let token = Token { person: 0, burst: number, message: 0 };
            let message =
                BurstMessage { id: format!("odd-{number}"), token, text: text.clone(), gap: Duration::ZERO };
            bench.sender().deliver(&person, &[message]).await.expect("acknowledged");
            assert!(bench.providers.wait_for_sent(number + 1, PATIENCE).await, "{text:?}: {}", bench.log());
        }
        for (sent, written) in bench.providers.sent().iter().zip(&odd) {
            let start: String = written.chars().take(12).collect();
            assert!(sent.text == *written, "a text that starts {start:?} was changed");
        }
    });
}

#[test]
fn an_empty_text_is_stored_and_suppressed() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let token = Token { person: 0, burst: 0, message: 0 };
        let empty = BurstMessage { id: "empty".into(), token, text: String::new(), gap: Duration::ZERO };
        bench.sender().deliver(&Person::new(0), &[empty]).await.expect("acknowledged");
        bench.wait_for("SELECT count(*) FROM messages WHERE state = 'suppressed' AND reason <> ''", 1).await;
        assert_eq!(bench.providers.asked_count(), 0);
    });
}

#[test]
fn what_is_understood_in_a_body_is_answered_and_the_rest_is_quarantined_in_one_commit() {
    run(async {
        let bench = Bench::new();
        let _server = bench.start().await;
        let burst = Bursts::new(4, "partly").burst(0, 0);
        let body =
            tertulia::load::payloads::Business::default().webhook_body(&burst.person, &burst.messages, 1);
        let mut body: Value = serde_json::from_slice(&body).expect("JSON");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let value = &mut body["entry"][0]["changes"][0]["value"];
        let messages = value["messages"].as_array_mut().expect("messages");
        for message in messages.iter_mut() {
            message["timestamp"] = json!(now.to_string());
        }
        messages.insert(0, json!({"id": 7, "type": "text"}));
        assert_eq!(post(&bench, body.to_string().into_bytes()).await.0, 200);
        assert_eq!(bench.count("SELECT count(*) FROM quarantine"), 1);
        bench.wait_until_idle().await;
        assert_eq!(bench.books().answered, i64::try_from(burst.messages.len()).expect("a few"));
    });
}

#[test]
fn a_newer_schema_is_refused_with_the_reason() {
    let bench = Bench::new();
    assert!(bench.command(&["db", "migrate"]).status().expect("the binary runs").success());
    let newer = Connection::open(bench.database()).expect("a database");
    newer.pragma_update(None, "user_version", 999).expect("a version");
    drop(newer);
    let refused = bench.command(&["serve"]).output().expect("the binary runs");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("999") && said.contains("newer"), "{said}");
}
