//! Traces, as a collector gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tertulia::load::bursts::Bursts;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Bench, PATIENCE, run};

/// A request: its head, and its body.
type Export = (String, ExportTraceServiceRequest);

/// A collector that takes what is exported to it.
struct Collector {
    address: SocketAddr,
    exports: Arc<Mutex<Vec<Export>>>,
}

impl Collector {
    /// Listens on a port of its own, in the runtime of the test.
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let exports: Arc<Mutex<Vec<Export>>> = Arc::default();
        let taken = exports.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(collect(stream, taken.clone()));
            }
        });
        Self { address, exports }
    }

    fn exports(&self) -> Vec<Export> {
        self.exports.lock().expect("no panic").clone()
    }

    fn spans(&self) -> Vec<Span> {
        let scopes = self.exports().into_iter().flat_map(|(_, export)| export.resource_spans);
        scopes.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits for so many spans of this name.
    async fn wait_for(&self, name: &str, count: usize) -> Vec<Span> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
            if found.len() >= count {
                return found;
            }
            let names: BTreeSet<_> = self.spans().into_iter().map(|span| span.name).collect();
            assert!(Instant::now() < deadline, "{} of {count} {name}, among {names:?}", found.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Takes the requests of one connection, and answers each.
async fn collect(mut stream: TcpStream, taken: Arc<Mutex<Vec<Export>>>) {
    let mut read = vec![];
    loop {
        let Some(head_end) = read.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8_lossy(&read[..head_end]).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).expect("a length");
        let end = head_end + length.trim().parse::<usize>().expect("a number");
        while read.len() < end {
            assert!(stream.read_buf(&mut read).await.expect("a body") > 0, "the body is cut off");
        }
        let export = ExportTraceServiceRequest::decode(&read[head_end..end]).expect("protobuf");
        taken.lock().expect("no panic").push((head, export));
        read.drain(..end);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("the exporter reads");
    }
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = span
        .attributes
        .iter()
        .filter_map(|pair| Some((pair.key.clone(), pair.value.as_ref()?.value.as_ref()?)));
    pairs.map(|(key, value)| (key, text(value))).collect()
}

#[test]
fn a_turn_is_traced_from_its_messages_to_the_send_without_a_word_of_anybody() {
    run(async {
        let collector = Collector::start().await;
        let mut bench = Bench::new();
        bench.set("traces.endpoint", &format!("http://{}/", collector.address));
        bench.set("traces.authorization", "Bearer the-collector-token");
        bench.set("traces.interval_ms", "50");
        let mut server = bench.start().await;
        let made = Bursts::new(7, "traced");
        let mut bursts = (0..).map(|number| made.burst(0, number));
        let burst = bursts.find(|burst| burst.messages.len() == 3).expect("one of three messages");
        // In one body: they belong together however slow the machine is.
        bench.sender().deliver(&burst.person, &burst.messages).await.expect("acknowledged");
        bench.wait_until_idle().await;
        let sends = collector.wait_for("send whatsapp", 1).await;
        let messages = collector.wait_for("receive whatsapp", 3).await;
        let [turn] = &collector.wait_for("process whatsapp", 1).await[..] else { panic!("one turn") };

        let linked: BTreeSet<_> =
            turn.links.iter().map(|link| (link.trace_id.clone(), link.span_id.clone())).collect();
        let received: BTreeSet<_> =
            messages.iter().map(|span| (span.trace_id.clone(), span.span_id.clone())).collect();
        assert_eq!(linked, received, "the turn links to its messages");
        assert_eq!((linked.len(), turn.links.len()), (3, 3));
        let id: String =
            bench.read().query_row("SELECT id FROM turns", [], |row| row.get(0)).expect("a turn");
        let hex: String = turn.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, id.replace('-', ""), "the trace has the turn's id");

        let chat = collector.wait_for("chat echo", 1).await;
        for child in [&chat[0], &sends[0], &collector.wait_for("retrieval knowledge", 1).await[0]] {
            assert_eq!(
                (&child.trace_id, &child.parent_span_id),
                (&turn.trace_id, &turn.span_id),
                "{}",
                child.name
            );
        }
        let told = attributes(&chat[0]);
        for key in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.conversation.id"] {
            assert!(told.contains_key(key), "{key}: {told:?}");
        }
        assert_eq!(attributes(turn)["messaging.batch.message_count"], "3");
        assert!(messages.iter().all(|span| span.end_time_unix_nano == turn.start_time_unix_nano));

        let exports = collector.exports();
        assert!(exports.iter().all(|(head, _)| head.starts_with("post /v1/traces ")));
        assert!(exports.iter().all(|(head, _)| head.contains("authorization: bearer the-collector-token")));
        let everything = format!("{:?}", exports.iter().map(|(_, export)| export).collect::<Vec<_>>());
        assert!(everything.contains("service.instance.id"));
        for message in &burst.messages {
            assert!(!everything.contains(&message.text), "{}", message.text);
        }
        assert!(!everything.contains(burst.person.address()), "a person's number is told to nobody");

        // What has not been exported yet is, at the end.
        server.ends_clean(&bench).await;
        assert!(!bench.log().contains("the-collector-token"));
    });
}

#[test]
fn a_collector_that_is_silent_or_away_costs_nobody_an_answer() {
    run(async {
        // Accepts, and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        for endpoint in [silent.local_addr().expect("an address"), crate::support::free_address()] {
            let mut bench = Bench::new();
            bench.set("traces.endpoint", &format!("http://{endpoint}"));
            bench.set("traces.interval_ms", "10");
            bench.set("traces.timeout_ms", "200");
            bench.set("traces.queue_max", "4");
            let mut server = bench.start().await;
            let made = Bursts::new(7, "untraced");
            for person in 0..10 {
                let burst = made.burst(person, 0);
                bench.sender().deliver(&burst.person, &burst.messages).await.expect("acknowledged");
            }
            bench.wait_until_idle().await;
            let books = bench.books();
            assert!(books.received >= 10 && books.answered == books.received, "{books:?}");
            let deadline = Instant::now() + PATIENCE;
            while bench.metric("tertulia_spans_failed_total").await == 0.0 {
                assert!(Instant::now() < deadline, "lost spans are counted: {}", bench.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(bench.metric("tertulia_spans_made_total").await >= 20.0);
            server.ends_clean(&bench).await;
            assert_eq!(bench.log().matches("the collector takes no spans").count(), 1, "{}", bench.log());
        }
    });
}
