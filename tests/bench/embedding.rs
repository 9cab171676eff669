//! What batching is worth: `cargo bench --bench embedding`. Prints a table; takes about a minute. Needs the weights of
//! all-MiniLM-L6-v2, which `bash tests/run` fetches (or TERTULIA_TEST_MODEL, the model's folder).
//!
//! Callers that embed one text after the other, through the front as the server has it with one thread: with each text a batch of
//! its own, and with those that wait together in one. Both ways in turn, several rounds, medians. No text is asked for twice.
#![expect(clippy::print_stdout, reason = "a benchmark answers on the terminal")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::System;
use futures_util::future::join_all;
use tertulia::config::Config;
use tertulia::embedding::{Model, ModelEmbedder};
use tertulia_actors::ports::{Embeddable, Entropy};
use tertulia_actors::services::{EmbeddingService, Engine};
use tertulia_actors::settings::{BatchSettings, SupervisionSettings};
use tertulia_actors::supervision::events::Reporter;
use tertulia_actors::supervision::policy::{RestartPolicy, Strategy};
use tertulia_actors::supervision::supervised::Keeper;
use tertulia_actors::supervision::{Crew, Front, FrontHandle, Threads};
use uuid::Uuid;

const ROUNDS: usize = 5;
/// Texts of a round.
const TEXTS: usize = 320;

/// What people ask, of several lengths; a number makes each another one.
const ASKED: [&str; 8] = [
    "Where is my order",
    "Do you deliver on Fridays, and until when?",
    "How much is a large bottle of water with the deposit",
    "I would like to cancel my subscription from next month on, please",
    "The dispenser you brought yesterday is leaking and the kitchen floor is wet. What can I do?",
    "Can I pay by card",
    "Which neighbourhoods do you deliver to? I live near the harbour",
    "Hello! I am moving to a new flat next week and want my bottles to come there instead of to the old one",
];

struct NoChance;

impl Entropy for NoChance {
    fn uuid(&self) -> Uuid {
        Uuid::nil()
    }

    fn fraction(&self) -> f64 {
        0.0
    }
}

fn folder() -> PathBuf {
    let home = || {
        Path::new(&std::env::var_os("HOME").unwrap_or_default())
            .join(".cache/tertulia-models/all-MiniLM-L6-v2")
    };
    std::env::var_os("TERTULIA_TEST_MODEL").map_or_else(home, PathBuf::from)
}

/// The front of one thread that embeds, in batches of so many texts.
fn front(model: &Arc<Model>, texts_max: usize) -> FrontHandle<EmbeddingService> {
    let section = Config::default().embedding;
    let limits = SupervisionSettings::default();
    let keeper = Rc::new(Keeper {
        policy: RestartPolicy::from(&limits),
        strategy: Strategy::MarkDown,
        reporter: Reporter::silent("services/embedding"),
        entropy: Arc::new(NoChance),
        end_process: Arc::new(|_| {}),
        alive: Cell::new(0),
        tasks: Cell::new(0),
    });
    let batches = BatchSettings { texts_max, cache_max: 0, ..section.batches() };
    let (kept, limited, model) = (Rc::clone(&keeper), limits.clone(), Arc::clone(model));
    let make = move || {
        let model = Arc::clone(&model);
        let threads = Threads::start(&kept, &limited, &Crew::of(1), move || ModelEmbedder::new(&model));
        EmbeddingService::start(Engine::Threads(threads), batches)
    };
    Front::start_with(make, section.front_settings(), &limits, &keeper)
}

/// What a round came to: texts a second, and how long each took, in order.
struct Round {
    texts_per_s: f64,
    took: Vec<Duration>,
}

impl Round {
    fn percentile_ms(&self, share: f64) -> f64 {
        let at = ((self.took.len() - 1) as f64 * share).round() as usize;
        self.took[at].as_secs_f64() * 1e3
    }
}

fn round(model: &Arc<Model>, texts_max: usize, callers: usize, first: usize) -> Round {
    System::new().block_on(async {
        let front = front(model, texts_max);
        front.call(None, Embeddable::query("warm")).await.expect("a vector");
        let begun = Instant::now();
        let caller = |caller: usize| {
            let front = front.clone();
            async move {
                let mut took = vec![];
                for n in (caller..TEXTS).step_by(callers) {
                    let text = format!("{} {}", ASKED[n % ASKED.len()], first + n);
                    let begun = Instant::now();
                    front.call(None, Embeddable::query(&text)).await.expect("a vector");
                    took.push(begun.elapsed());
                }
                took
            }
        };
        let mut took: Vec<_> = join_all((0..callers).map(caller)).await.into_iter().flatten().collect();
        let texts_per_s = took.len() as f64 / begun.elapsed().as_secs_f64();
        took.sort_unstable();
        Round { texts_per_s, took }
    })
}

/// The round in the middle, by texts a second.
fn median(mut rounds: Vec<Round>) -> Round {
    rounds.sort_by(|one, other| one.texts_per_s.total_cmp(&other.texts_per_s));
    rounds.swap_remove(rounds.len() / 2)
}

fn main() {
    let folder = folder();
    let prefixes = Config::default().embedding.prefixes();
    let model = match Model::load(&folder, &prefixes) {
        Ok(model) => Arc::new(model),
        Err(error) => return println!("SKIPPED, since there is no model in {}: {error}", folder.display()),
    };
    let batched = Config::default().embedding.batch_texts_max;
    println!("callers   batches of   texts/s   times   p50 ms   p99 ms");
    let mut first = 0;
    for callers in [1, 8, 32] {
        let (mut alone, mut together) = (vec![], vec![]);
        for _ in 0..ROUNDS {
            for (texts_max, rounds) in [(1, &mut alone), (batched, &mut together)] {
                rounds.push(round(&model, texts_max, callers, first));
                first += TEXTS;
            }
        }
        let (alone, together) = (median(alone), median(together));
        for (name, round) in [("1".to_owned(), &alone), (format!("up to {batched}"), &together)] {
            let times = round.texts_per_s / alone.texts_per_s;
            let (p50, p99) = (round.percentile_ms(0.5), round.percentile_ms(0.99));
            println!(
                "{callers:7}   {name:>10}   {:7.1}   {times:5.2}   {p50:6.1}   {p99:6.1}",
                round.texts_per_s
            );
        }
    }
}
