//! Connections on which the other side takes its time: they are closed, and hold up nobody.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Bench, PATIENCE, client, run};

/// How long a head may take here.
const HEAD: Duration = Duration::from_millis(500);
/// Well beyond it, on a busy machine too, and well below what would be waited for without it.
const SOON: Duration = Duration::from_secs(15);
/// Between two bytes of somebody who is slow.
const DRIBBLE: Duration = Duration::from_millis(50);

/// A server that is short of patience with heads only.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.set("server.head_timeout_ms", &HEAD.as_millis().to_string());
    bench
}

/// A connection on which one request was served.
async fn kept(bench: &Bench) -> TcpStream {
    let mut stream = TcpStream::connect(bench.address()).await.expect("a connection");
    ask(&mut stream).await;
    stream
}

/// Asks, and reads the answer.
async fn ask(stream: &mut TcpStream) {
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: t\r\n\r\n").await.expect("the server reads");
    let end = b"{\"status\":\"alive\"}";
    let mut answer = vec![];
    while !answer.ends_with(end) {
        let read = stream.read_buf(&mut answer);
        let read = tokio::time::timeout(PATIENCE, read).await.expect("an answer").expect("an answer");
        assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
    }
}

/// Writes `start` and then `rest` byte by byte, over and over, until the server has closed the connection; what it said
/// before.
async fn dribble(mut stream: TcpStream, start: &[u8], rest: &[u8]) -> String {
    stream.write_all(start).await.expect("the server reads");
    let (mut reader, mut writer) = stream.into_split();
    let slowly = async {
        for byte in rest.iter().cycle() {
            tokio::time::sleep(DRIBBLE).await;
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        // Only what is read tells that the connection is closed.
        std::future::pending::<()>().await;
    };
    let mut said = vec![];
    let reading = async {
        // Where bytes crossed the end, it is told as a reset.
        while reader.read_buf(&mut said).await.is_ok_and(|read| read > 0) {}
    };
    let closed = async {
        tokio::select! { () = slowly => {}, () = reading => {} }
    };
    assert!(tokio::time::timeout(SOON, closed).await.is_ok(), "it is not closed");
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn a_second_head_that_dribbles_in_is_408_and_its_connection_closed() {
    run(async {
        let bench = bench();
        let _server = bench.start().await;
        for start in ["G", "GET /livez HTTP/1.1\r\nhost: t\r\nx-slow: "] {
            let said = dribble(kept(&bench).await, start.as_bytes(), b"x").await;
            assert!(said.starts_with("HTTP/1.1 408"), "{start:?}: {said:?}");
        }
    });
}

#[test]
fn a_second_head_that_is_never_completed_is_408_though_no_byte_follows() {
    run(async {
        let bench = bench();
        let _server = bench.start().await;
        let mut stream = kept(&bench).await;
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: t\r\n").await.expect("the server reads");
        let mut said = String::new();
        let reading = tokio::time::timeout(SOON, stream.read_to_string(&mut said));
        reading.await.expect("it is closed").expect("an answer");
        assert!(said.starts_with("HTTP/1.1 408"), "{said:?}");
    });
}

#[test]
fn a_head_that_begins_behind_requests_and_stops_there_does_not_stay_for_ever() {
    /// Their responses do not fit into the buffers of both ends.
    const REQUESTS: usize = 600;
    run(async {
        let mut bench = bench();
        bench.set("server.keep_alive_ms", "1000");
        let _server = bench.start().await;
        // A small buffer, so that the last responses are written long after they were made, with half a head in hand.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        let mut stream = socket.connect(bench.address()).await.expect("a connection");
        let mut asked = "GET /chat.js HTTP/1.1\r\nhost: t\r\n\r\n".repeat(REQUESTS);
        asked.push_str("GET /livez HTTP/1.1\r\nho");
        stream.write_all(asked.as_bytes()).await.expect("the server reads");
        let mut said = String::new();
        let reading = tokio::time::timeout(SOON, stream.read_to_string(&mut said));
        reading.await.expect("it is closed").expect("an answer");
        assert_eq!(said.matches("HTTP/1.1 200").count(), REQUESTS);
    });
}

#[test]
fn the_rest_of_a_refused_body_that_dribbles_in_does_not_keep_its_connection() {
    run(async {
        let mut bench = bench();
        bench.set("server.body_limit_bytes", "2000");
        let _server = bench.start().await;
        let head = "POST /webhooks/whatsapp HTTP/1.1\r\nhost: t\r\n";
        let long = "x".repeat(3_000);
        let chunk = format!("{:x}\r\n{long}\r\n", long.len());
        for (start, rest) in [
            (format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}"), "1\r\nx\r\n"),
            (format!("{head}content-length: 5000\r\n\r\n"), "x"),
        ] {
            let stream = TcpStream::connect(bench.address()).await.expect("a connection");
            let said = dribble(stream, start.as_bytes(), rest.as_bytes()).await;
            assert!(said.starts_with("HTTP/1.1 413"), "{said:?}");
        }
    });
}

#[test]
fn a_body_that_dribbles_in_is_408_and_its_connection_closed() {
    run(async {
        let mut bench = bench();
        bench.set("server.body_timeout_ms", "500");
        let _server = bench.start().await;
        let head = "POST /webhooks/whatsapp HTTP/1.1\r\nhost: t\r\n";
        for (framing, rest) in
            [("transfer-encoding: chunked", "1\r\nx\r\n"), ("content-length: 1000000", "x")]
        {
            let start = format!("{head}{framing}\r\n\r\n");
            let said = dribble(kept(&bench).await, start.as_bytes(), rest.as_bytes()).await;
            assert!(said.starts_with("HTTP/1.1 408"), "{framing}: {said:?}");
        }
    });
}

#[test]
fn a_reader_that_never_reads_its_responses_is_cut_off() {
    run(async {
        let mut bench = bench();
        bench.set("server.write_timeout_ms", "500");
        let _server = bench.start().await;
        let mut stream = TcpStream::connect(bench.address()).await.expect("a connection");
        // Once both ends' buffers are full, the server can write no more and reads no more.
        let asking =
            async { while stream.write_all(b"GET /chat.js HTTP/1.1\r\nhost: t\r\n\r\n").await.is_ok() {} };
        assert!(tokio::time::timeout(SOON, asking).await.is_ok(), "it is not cut off");
    });
}

#[test]
fn honest_requests_are_served_beside_more_slow_connections_than_the_server_takes() {
    run(async {
        let mut bench = bench();
        bench.set("server.connections_max", "100");
        let _server = bench.start().await;
        let mut slow = vec![];
        // All of them, before the server closes the first: those that were served once, and those that never were.
        for _ in 0..50 {
            slow.push((kept(&bench).await, "GET /livez HTTP/1.1\r\nx-slow: "));
        }
        for _ in 0..150 {
            slow.push((TcpStream::connect(bench.address()).await.expect("a connection"), "GET "));
        }
        let slowly =
            join_all(slow.into_iter().map(|(stream, start)| dribble(stream, start.as_bytes(), b"x")));
        let honest = async {
            for _ in 0..20 {
                let answer =
                    client().get(bench.url("/readyz")).timeout(SOON).send().await.expect("an answer");
                assert_eq!(answer.status(), 200);
            }
        };
        let (closed, ()) = tokio::join!(slowly, honest);
        assert_eq!(closed.len(), 200);
    });
}

#[test]
fn idle_connections_and_streams_of_events_outlast_every_slow_head() {
    run(async {
        let bench = bench();
        let _server = bench.start().await;
        let post = async |text: &str| {
            let request = client().post(bench.url("/v1/messages"));
            let answer = request.json(&json!({"from": "ada", "text": text})).send().await.expect("an answer");
            let accepted: serde_json::Value = answer.json().await.expect("JSON");
            accepted["conversation_id"].as_str().expect("an id").to_owned()
        };
        let conversation = post("first").await;
        let events = bench.url(&format!("/v1/conversations/{conversation}/events"));
        let mut events = client().get(events).send().await.expect("an answer");
        let mut idle = kept(&bench).await;
        let mut told = String::new();
        let mut hear = async |word: &str| {
            while !told.contains(word) {
                let chunk = tokio::time::timeout(PATIENCE, events.chunk()).await.expect("in time");
                told.push_str(&String::from_utf8_lossy(
                    &chunk.expect("the stream lasts").expect("the stream lasts"),
                ));
            }
        };
        hear("first").await;
        // Three times as long as a head may take.
        for _ in 0..3 {
            dribble(kept(&bench).await, b"GET ", b"x").await;
        }
        ask(&mut idle).await;
        post("second").await;
        hear("second").await;
    });
}
