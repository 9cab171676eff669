//! What admission costs: verify and read a signed webhook, and its way through dedupe and group commit to the disk.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use tertulia::channels::whatsapp::WhatsappInbound;
use tertulia::load::bursts::{Burst, Bursts};
use tertulia::load::payloads::{Business, sign};
use tertulia::secret::Secret;
use tertulia::store::{RunningStore, SqliteStore, StoreDeps, StoreSettings};
use tertulia::system::{Receipts, SystemClock, SystemEntropy};
use tertulia_actors::domain::{ConversationId, Tick};
use tertulia_actors::ports::store::Inbox;
use tertulia_actors::ports::{Admitted, Clock, InboundChannel, ReceiptSource, Tells};

const SECRET: &str = "the-app-secret";

struct Silence;

impl Tells for Silence {
    fn admitted(&self, _: Admitted) {}
    fn changed(&self, _: ConversationId) {}
}

/// A store on the disk, and what it takes to fill it.
struct Bench {
    _folder: tempfile::TempDir,
    store: Option<RunningStore>,
    channel: WhatsappInbound,
    receipts: Receipts,
    next: AtomicU64,
}

impl Bench {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = StoreSettings { path: folder.path().join("t.db"), ..StoreSettings::default() };
        let prepared = SqliteStore::open(&settings).expect("a new database");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::anchored_behind(Tick(0)));
        let deps = StoreDeps {
            clock: Arc::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            quiet: std::time::Duration::from_secs(3),
        };
        let store = prepared.start(deps, Box::new(Silence)).expect("threads");
        Self {
            _folder: folder,
            store: Some(store),
            channel: WhatsappInbound::new(&Secret::new("v"), &Secret::new(SECRET)),
            receipts: Receipts::after(0, clock),
            next: AtomicU64::new(0),
        }
    }

    /// A signed webhook with one message nobody has sent yet.
    fn webhook(&self) -> (Vec<u8>, String) {
        let number = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).expect("a small number");
        let burst: Burst = Bursts::new(1, "bench").burst(number % 10_000, number / 10_000);
        let body = Business::default().webhook_body(&burst.person, &burst.messages[..1], 1_790_000_000);
        let signature = sign(SECRET, &body);
        (body, signature)
    }

    /// Verifies, reads and stores `at_once` webhooks that arrive together.
    async fn admit(&self, webhooks: Vec<(Vec<u8>, String)>) {
        let store = self.store.as_ref().expect("a running store").handle();
        let stored = webhooks.into_iter().map(|(body, signature)| {
            assert!(self.channel.verifies(Some(&signature), &body), "a good signature");
            store.admit(self.channel.read(&body, &self.receipts))
        });
        for stored in join_all(stored).await {
            assert_eq!(stored.expect("stored").len(), 1);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.shutdown();
        }
    }
}

fn admission(criterion: &mut Criterion) {
    let bench = Bench::start();
    let (body, signature) = bench.webhook();
    criterion.bench_function("verify and read one webhook", |bencher| {
        bencher.iter(|| {
            assert!(bench.channel.verifies(Some(&signature), black_box(&body)), "a good signature");
            bench.channel.read(black_box(&body), &bench.receipts as &dyn ReceiptSource)
        });
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut group = criterion.benchmark_group("admit to the disk");
    for at_once in [1, 16, 256] {
        group.throughput(Throughput::Elements(at_once));
        group.bench_function(format!("{at_once} webhooks at once"), |bencher| {
            bencher.iter_batched(
                || (0..at_once).map(|_| bench.webhook()).collect::<Vec<_>>(),
                |webhooks| runtime.block_on(bench.admit(webhooks)),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, admission);
criterion_main!(benches);
