//! Searches a second, end to end: `/v1/knowledge/search` beside `/query` of a Chroma server, on the same machine in the same
//! minutes, with the same entries and vectors. `cargo bench --bench search`; takes some five minutes, most of them to embed the
//! entries once.
//!
//! Needs the weights of all-MiniLM-L6-v2 (`TERTULIA_TEST_MODEL`, the model's folder) and a Python interpreter that has the package
//! chromadb (`TERTULIA_TEST_CHROMA`); `tests/run` fetches both. `TERTULIA_BENCH_TEXTS` may name a CSV file with a column `text`
//! whose first 10,000 rows are the questions, as that of Banking77; without it they are made up; `TERTULIA_BENCH_QUESTIONS`
//! how many questions are asked in turn. What each side is asked is asked
//! before it is measured, so that Tertulia has embedded it already: Chroma is given vectors.
//!
//! The generator is in this process and shares the machine's cores with the servers: raw keep-alive connections that write
//! prepared requests.
#![expect(clippy::print_stdout, reason = "a benchmark answers on the terminal")]

#[path = "search/chroma.rs"]
mod chroma;
#[path = "search/tertulia.rs"]
mod server;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chroma::Chroma;
use futures_util::future::join_all;
use serde_json::{Value, json};
use server::{Backend, Tertulia};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Entries that are searched.
const ENTRIES: usize = 10_000;
/// Questions that are asked in turn, where `TERTULIA_BENCH_QUESTIONS` says nothing; each is put as nobody else puts it, so that an
/// answer is never the same words. So few are remembered; of 5,000, few are when they come again.
const QUESTIONS: usize = 64;
/// Connections that ask at the same time.
const CLIENTS: usize = 8;
/// Hits of a search, as a turn asks for.
const HITS: usize = 3;
/// Rounds, in each of which everybody is measured once.
const ROUNDS: usize = 5;
/// How long one is measured in a round.
const STRETCH: Duration = Duration::from_secs(4);

/// A server that answers prepared requests.
struct Side {
    name: &'static str,
    address: String,
    requests: Vec<Vec<u8>>,
    /// Searches a second, and the median time of one in milliseconds, of each round.
    rounds: Vec<(f64, f64)>,
}

impl Side {
    /// Asks everything once, and sees that each question is answered with hits.
    async fn warm(&self) {
        let mut stream = connect(&self.address).await;
        for request in &self.requests {
            let body = exchange(&mut stream, request).await;
            let answer: Value = serde_json::from_slice(&body).expect("JSON");
            let hits = answer.get("hits").or_else(|| answer["ids"].get(0)).and_then(Value::as_array);
            // By words alone there may be less: what has none of them is no hit.
            let found = hits.map_or(0, Vec::len);
            assert!((1..=HITS).contains(&found), "{}: {answer}", self.name);
        }
    }

    async fn measure(&mut self) {
        let begun = Instant::now();
        let asked = (0..CLIENTS).map(|client| self.ask(client, begun + STRETCH));
        let mut took: Vec<Duration> = join_all(asked).await.into_iter().flatten().collect();
        let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
        took.sort_unstable();
        self.rounds.push((rate, took[took.len() / 2].as_secs_f64() * 1_000.0));
    }

    /// One client, who asks again as soon as it is answered.
    async fn ask(&self, client: usize, until: Instant) -> Vec<Duration> {
        let mut stream = connect(&self.address).await;
        let mut took = vec![];
        for request in self.requests.iter().cycle().skip(client * self.requests.len() / CLIENTS) {
            let sent = Instant::now();
            if sent >= until {
                break;
            }
            exchange(&mut stream, request).await;
            took.push(sent.elapsed());
        }
        took
    }

    fn median(&self, of: impl Fn(&(f64, f64)) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rounds.iter().map(of).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    }
}

async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Writes a request and reads the body of its answer, which must say success.
async fn exchange(stream: &mut TcpStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).await.expect("the server reads");
    let mut answer = Vec::with_capacity(4_096);
    loop {
        let read = stream.read_buf(&mut answer).await.expect("the server answers");
        assert!(read > 0, "the server closed the connection");
        let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&answer[..head]).to_lowercase();
        assert!(text.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let length: usize = length.expect("a length");
        if answer.len() >= head + 4 + length {
            return answer.split_off(head + 4);
        }
    }
}

/// A request that is ready to be written.
fn request(line: &str, address: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{line} HTTP/1.1\r\nhost: {address}\r\n{headers}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The questions of the entries.
fn texts() -> Vec<String> {
    let Some(path) = std::env::var_os("TERTULIA_BENCH_TEXTS") else { return made_up().collect() };
    let mut reader = csv::Reader::from_path(&path).expect("a CSV file");
    let column =
        reader.headers().expect("a header").iter().position(|name| name == "text").expect("a column text");
    let text = |row: Result<csv::StringRecord, csv::Error>| row.expect("a row")[column].trim().to_owned();
    let texts: Vec<String> = reader.records().map(text).take(ENTRIES).collect();
    assert_eq!(texts.len(), ENTRIES, "{} has too few rows", PathBuf::from(path).display());
    texts
}

/// What customers of a shop may ask, each of another thing.
fn made_up() -> impl Iterator<Item = String> {
    const ASKED: [&str; 10] = [
        "How long does it take to deliver",
        "What does it cost to return",
        "Can I pay later for",
        "Do you repair",
        "Where can I collect",
        "Is there a guarantee on",
        "May I exchange",
        "How do I clean",
        "Who installs",
        "When will you have more of",
    ];
    const KINDS: [&str; 10] =
        ["red", "small", "used", "heavy", "wooden", "cheap", "spare", "folding", "silent", "outdoor"];
    const THINGS: [&str; 10] = [
        "bottles", "chairs", "lamps", "pumps", "filters", "tables", "coolers", "glasses", "shelves",
        "heaters",
    ];
    const PLACES: [&str; 10] = [
        "at the harbour",
        "in the old town",
        "on a Friday",
        "for an office",
        "after a holiday",
        "without a receipt",
        "from abroad",
        "for my mother",
        "in the evening",
        "for a school",
    ];
    (0..ENTRIES).map(|n| {
        let (asked, kind, thing, place) =
            (ASKED[n % 10], KINDS[n / 10 % 10], THINGS[n / 100 % 10], PLACES[n / 1_000]);
        format!("{asked} the {kind} {thing} {place}?")
    })
}

/// Questions near every so many entries, as others put them.
fn questions(texts: &[String]) -> Vec<String> {
    let count = std::env::var("TERTULIA_BENCH_QUESTIONS").map_or(QUESTIONS, |count| {
        count.parse().ok().filter(|count| (1..=ENTRIES).contains(count)).expect("a number of questions")
    });
    let some = texts.iter().step_by(texts.len() / count).take(count);
    some.map(|text| format!("hello, please tell me: {text}")).collect()
}

/// Chroma's side and Tertulia's, with the same entries and vectors.
async fn prepare() -> (Vec<Side>, Chroma, [Tertulia; 2]) {
    let texts = texts();
    let questions = questions(&texts);
    let entries: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| json!({"id": n.to_string(), "language": "en", "question": text, "answer": format!("Answer {n}.")}))
        .collect();
    let semantic = Tertulia::start(Backend::Model, &entries).await;
    let lexical = Tertulia::start(Backend::None, &entries).await;
    println!("embedding {ENTRIES} entries");
    let vectors = semantic.vectors(ENTRIES).await;
    let chroma = Chroma::start().await;
    let collection = chroma.fill(&entries, &vectors).await;
    let asked = semantic.embed(&questions);
    let side =
        |name, address: &str, requests| Side { name, address: address.into(), requests, rounds: vec![] };
    let sides = vec![
        side("Tertulia, by meaning and words", &semantic.address, semantic.searches(&questions)),
        side("Tertulia, by words", &lexical.address, lexical.searches(&questions)),
        side("Chroma", &chroma.address, chroma.queries(&collection, &asked)),
    ];
    (sides, chroma, [semantic, lexical])
}

async fn run() {
    let (mut sides, _chroma, _servers) = prepare().await;
    for side in &sides {
        side.warm().await;
    }
    for round in 1..=ROUNDS {
        for side in &mut sides {
            side.measure().await;
        }
        let told = sides.iter().filter_map(|side| {
            let (rate, took) = side.rounds.last()?;
            Some(format!("{}: {rate:.0}/s, p50 {took:.2} ms", side.name))
        });
        println!("round {round}: {}", told.collect::<Vec<_>>().join("; "));
    }
    let chroma = sides.last().map_or(f64::NAN, |side| side.median(|round| round.0));
    println!("{ENTRIES} entries, {CLIENTS} clients, n = {HITS}; medians of {ROUNDS} rounds:");
    for side in &sides {
        let rate = side.median(|round| round.0);
        let took = side.median(|round| round.1);
        println!(
            "  {}: {rate:.0} searches/s, p50 {took:.2} ms, {:.1} times Chroma",
            side.name,
            rate / chroma
        );
    }
}

fn main() {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(run());
}
