//! What the console costs: `cargo bench --bench console`. A server with 100,000 conversations in memory takes 1,000 messages a second, while
//! in turn nobody looks, a stream of the console is read without a page, and a page is open in headless Chromium. Prints a table; takes
//! about nine minutes, and Chromium with its driver.
//!
//! What a look costs is the processor time of the server in its stretch less that of the stretches around it, in which nobody looks. A
//! page takes the processor and its caches from the server as well, where they share a machine: the stream without a page does not.
#![expect(clippy::print_stdout, reason = "a benchmark answers on the terminal")]
#![expect(clippy::panic, unreachable_pub, reason = "the browser's driver is that of the tests")]

mod support;
#[path = "../e2e/webdriver.rs"]
#[expect(dead_code, reason = "the tests of pages do more than look")]
mod webdriver;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tertulia::load::bursts::{Bursts, Person, Writing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use support::{Server, anonymous_bytes, exchange, request, write_once};
use webdriver::Browser;

/// Conversations in memory.
const PEOPLE: usize = 100_000;
/// Messages a second.
const RATE: usize = 1_000;
/// Messages of a burst.
const MESSAGES: usize = 3;
/// Bursts that are under way at once: the messages of each are 50 ms apart.
const BURSTS: usize = 50;
/// Connections over which messages are written.
const CONNECTIONS: usize = 32;
/// How often everything is measured.
const ROUNDS: usize = 5;
/// How long the processor's time is measured.
const STRETCH: Duration = Duration::from_secs(10);
/// How long frames are counted, behind that.
const FRAMES: Duration = Duration::from_secs(5);
/// How long the server takes to see that nobody looks any more.
const PAUSE: Duration = Duration::from_secs(2);
/// People who are searched for.
const SEARCHES: usize = 60;
const TOKEN: &str = "the-console-token";
const MIB: f64 = 1_048_576.0;

/// Who looks, and at what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Nobody,
    /// A stream is read without a page.
    Stream(&'static str),
    Page(&'static str),
}

/// What is looked at in a round; before each, and behind the last, nobody looks.
const LOOKS: [Look; 4] =
    [Look::Stream("overview"), Look::Page("overview"), Look::Stream("tree"), Look::Page("tree")];

impl Look {
    fn name(self) -> String {
        match self {
            Self::Nobody => "nobody looks".into(),
            Self::Stream(view) => format!("the stream of {view}, no page"),
            Self::Page(view) => format!("the page of {view}"),
        }
    }
}

/// What was measured while somebody looked, or nobody did.
struct Stretch {
    look: Look,
    /// Processor time of the server, in percent of one processor.
    cpu: f64,
    /// Messages acknowledged a second.
    rate: f64,
    /// What reached the reader of a stream, in bytes a second.
    bytes: f64,
    page: Option<Page>,
}

/// A page that has been open for a stretch.
struct Page {
    /// Frames a second.
    frames: f64,
    /// The longest time between two frames, in milliseconds.
    gap_ms: f64,
    /// What its scripts have on their heap, in MiB.
    heap: f64,
    /// The anonymous memory of the process that runs and draws it, in MiB.
    process: f64,
}

/// Which burst the n-th message belongs to, and which message of that it is.
const fn place(n: usize) -> (usize, usize) {
    let (some, at) = (n / (BURSTS * MESSAGES), n % (BURSTS * MESSAGES));
    (some * BURSTS + at % BURSTS, at / BURSTS)
}

/// Writes until the benchmark ends, everybody in turn; how many messages are acknowledged.
fn write(server: &Server) -> Arc<AtomicUsize> {
    let (acknowledged, began) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    for worker in 0..CONNECTIONS {
        let (acknowledged, address) = (Arc::clone(&acknowledged), server.address.clone());
        let writing = Writing { messages: [MESSAGES as u64; 2], ..Writing::default() };
        tokio::spawn(async move {
            let bursts = Bursts::new(1, "bench").written(writing);
            let mut stream = TcpStream::connect(&address).await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            for n in (worker..).step_by(CONNECTIONS) {
                let meant = began + Duration::from_secs_f64(n as f64 / RATE as f64);
                tokio::time::sleep_until(meant.into()).await;
                let (burst, message) = place(n);
                // Everybody has written a burst before.
                let burst = bursts.burst(burst % PEOPLE, 1 + burst / PEOPLE);
                let status = exchange(&mut stream, &request(&address, &burst, message)).await;
                assert_eq!(status, 200, "not acknowledged");
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    acknowledged
}

/// Reads a stream of the console until it is aborted; what has come of it.
async fn read(server: &Server, view: &str) -> (tokio::task::AbortHandle, Arc<AtomicUsize>) {
    let mut stream = TcpStream::connect(&server.address).await.expect("a connection");
    let (address, read) = (&server.address, Arc::new(AtomicUsize::new(0)));
    let asked = format!(
        "GET /console/live?show={view} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).await.expect("the server reads");
    let counted = Arc::clone(&read);
    let reader = tokio::spawn(async move {
        let mut bytes = vec![0; 65_536];
        loop {
            let some = stream.read(&mut bytes).await.expect("the server writes");
            assert!(some > 0, "the stream has ended");
            counted.fetch_add(some, Ordering::Relaxed);
        }
    });
    (reader.abort_handle(), read)
}

/// Opens a page of the console, and waits until it shows what is now.
async fn open(browser: &Browser, server: &Server, view: &str) {
    browser.open(&format!("http://{}/console/{view}#token={TOKEN}", server.address)).await;
    browser.wait_until("return document.querySelector('#main[data-live=\"true\"] h1') !== null").await;
}

/// What the open page takes and gives.
async fn page(browser: &Browser) -> Page {
    let count = "window.frames = 0; window.gap = 0; window.began = window.last = performance.now();
        const next = (now) => { frames += 1; gap = Math.max(gap, now - last); last = now; requestAnimationFrame(next); };
        requestAnimationFrame(next)";
    browser.script(count).await;
    sleep(FRAMES).await;
    let said = "return [1000 * frames / (performance.now() - began), gap, performance.memory.usedJSHeapSize]";
    let said = browser.script(said).await;
    let figure = |n: usize| said[n].as_f64().expect("a figure");
    Page {
        frames: figure(0),
        gap_ms: figure(1),
        heap: figure(2) / MIB,
        process: renderer_bytes() as f64 / MIB,
    }
}

/// The anonymous memory of the browser's largest process that runs pages, in bytes.
fn renderer_bytes() -> u64 {
    let read = |pid: u32, file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let processes: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .expect("linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| {
            let stat = String::from_utf8_lossy(&read(pid, "stat")).into_owned();
            Some((pid, stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let (mut below, mut next) = (vec![std::process::id()], 0);
    while let Some(pid) = below.get(next).copied() {
        below.extend(processes.iter().filter(|(_, parent)| *parent == pid).map(|(pid, _)| *pid));
        next += 1;
    }
    let runs_pages = |pid: &u32| String::from_utf8_lossy(&read(*pid, "cmdline")).contains("--type=renderer");
    let taken = below.into_iter().filter(runs_pages).filter_map(anonymous_bytes).max();
    taken.expect("a process of the browser")
}

async fn measure(server: &Server, browser: &Browser, written: &AtomicUsize, look: Look) -> Stretch {
    let stream = match look {
        Look::Nobody => None,
        Look::Stream(view) => Some(read(server, view).await),
        Look::Page(view) => {
            open(browser, server, view).await;
            None
        }
    };
    sleep(PAUSE).await;
    let count = || stream.as_ref().map_or(0, |(_, read)| read.load(Ordering::Relaxed));
    let (began, cpu, so_far, bytes) =
        (Instant::now(), server.cpu_seconds(), written.load(Ordering::Relaxed), count());
    sleep(STRETCH).await;
    let seconds = began.elapsed().as_secs_f64();
    let mut stretch = Stretch {
        look,
        cpu: 100.0 * (server.cpu_seconds() - cpu) / seconds,
        rate: (written.load(Ordering::Relaxed) - so_far) as f64 / seconds,
        bytes: (count() - bytes) as f64 / seconds,
        page: None,
    };
    if let Look::Page(_) = look {
        stretch.page = Some(page(browser).await);
        browser.open("about:blank").await;
    }
    if let Some((reader, _)) = stream {
        assert!(stretch.bytes > 0.0, "nothing was streamed");
        reader.abort();
    }
    stretch
}

/// How long the page waits for what it searches for, in milliseconds, in order.
async fn search(browser: &Browser, server: &Server) -> Vec<f64> {
    open(browser, server, "conversations").await;
    let people =
        (0..PEOPLE).step_by(PEOPLE / SEARCHES).map(|person| Person::new(person).address().to_owned());
    let script = format!(
        "const search = async () => {{
            const took = [];
            for (const who of {:?}) {{
                const began = performance.now();
                const {{ conversations }} = await (await fetch(`/v1/conversations?q=${{who}}&limit=50`)).json();
                took.push(performance.now() - began);
                if (conversations.length !== 1) throw new Error(`${{conversations.length}} are called ${{who}}`);
            }}
            return took;
        }};
        return search()",
        people.collect::<Vec<_>>()
    );
    let took = browser.script(&script).await;
    let mut took: Vec<f64> =
        took.as_array().expect("times").iter().filter_map(serde_json::Value::as_f64).collect();
    took.sort_unstable_by(f64::total_cmp);
    browser.open("about:blank").await;
    took
}

/// The median, the least and the most.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

fn show(stretch: &Stretch) {
    let Stretch { look, cpu, rate, bytes, page } = stretch;
    let mut said = format!("  {}: {cpu:.2} % of a processor, {rate:.0} messages/s", look.name());
    if *bytes > 0.0 {
        said += &format!(", {:.1} KiB/s", bytes / 1_024.0);
    }
    if let Some(Page { frames, gap_ms, heap, process }) = page {
        said += &format!(
            ", {frames:.1} frames/s, at the most {gap_ms:.0} ms apart, heap {heap:.1} MiB, process {process:.1} MiB"
        );
    }
    println!("{said}");
}

/// What each look cost: the median of the rounds, the least and the most.
fn sum_up(stretches: &[Stretch]) {
    let nobody = || stretches.iter().filter(|stretch| stretch.look == Look::Nobody);
    let (cpu, least, most) = spread(nobody().map(|stretch| stretch.cpu));
    println!("medians of {ROUNDS} rounds, the least and the most in brackets:");
    println!("  nobody looks: {cpu:.2} % of a processor ({least:.2} to {most:.2})");
    for look in LOOKS {
        let seen = || stretches.windows(3).filter(|three| three[1].look == look);
        let cost = |three: &[Stretch]| three[1].cpu - f64::midpoint(three[0].cpu, three[2].cpu);
        let (points, least, most) = spread(seen().map(cost));
        let (share, low, high) =
            spread(seen().map(|three| 100.0 * cost(three) / f64::midpoint(three[0].cpu, three[2].cpu)));
        println!(
            "  {}: {points:+.2} points of a processor ({least:+.2} to {most:+.2}), {share:+.2} % of the server's time \
             ({low:+.2} to {high:+.2})",
            look.name()
        );
        let pages = || seen().filter_map(|three| three[1].page.as_ref());
        if pages().next().is_some() {
            let (frames, fewest, _) = spread(pages().map(|page| page.frames));
            let (heap, _, heap_most) = spread(pages().map(|page| page.heap));
            let (process, _, process_most) = spread(pages().map(|page| page.process));
            println!(
                "    {frames:.1} frames/s (at the least {fewest:.1}), heap {heap:.1} MiB (at the most {heap_most:.1}), \
                 process {process:.1} MiB (at the most {process_most:.1})"
            );
        }
    }
}

async fn run() {
    let Some(browser) = Browser::start().await else { return };
    let token = format!("console.token={TOKEN}");
    let server = Server::start(&["conversation.quiet_ms=500", "conversation.idle_ms=3600000", &token]).await;
    write_once(&server, 0..PEOPLE).await;
    println!("{PEOPLE} conversations in memory, {} MiB", server.anonymous_bytes() >> 20);
    let written = write(&server);
    sleep(STRETCH).await;
    let took = search(&browser, &server).await;
    println!(
        "a search by phone number or user id among them: p50 {:.1} ms, at the most {:.1} ms",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    let mut stretches = vec![];
    let looks = (0..ROUNDS).flat_map(|_| LOOKS.iter().flat_map(|look| [Look::Nobody, *look]));
    for look in looks.chain([Look::Nobody]) {
        let stretch = measure(&server, &browser, &written, look).await;
        show(&stretch);
        stretches.push(stretch);
    }
    sum_up(&stretches);
}

fn main() {
    if !Path::new("/proc/self/status").exists() {
        println!("SKIPPED: this benchmark reads /proc");
        return;
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(run());
}
