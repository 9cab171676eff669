//! What one run of the harness found, as `--json` writes it and every other form of the report reads it.
//!
//! Times within the run count from its first intended message. Fields are only ever added: two runs of different versions
//! are compared by the fields that both have.

use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// What was run, where, and with what.
    pub about: About,
    /// What people wrote, and what came of it.
    pub traffic: Traffic,
    /// How long things took.
    pub times: Times,
    /// What the server used.
    pub resources: Resources,
    /// Whether the generator itself kept up.
    pub generator: Generator,
    /// The promises, each counted.
    pub promises: Vec<Promise>,
    /// The profile's objectives, each measured.
    pub objectives: Vec<Objective>,
    /// The stages in their order.
    pub stages: Vec<Stage>,
    /// One point a second.
    pub series: Vec<Point>,
    /// What was done to the server, and when.
    pub marks: Vec<Mark>,
    /// Why the run says nothing, where it does: the server did not start, or the run was stopped.
    pub failure: Option<String>,
}

impl Run {
    /// Whether every promise and every objective held, and nothing kept the run from saying so.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.failure.is_none()
            && self.promises.iter().all(|promise| promise.broken == 0)
            && self.objectives.iter().all(|objective| objective.held)
    }
}

/// What was run, where, and with what.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The profile.
    pub profile: String,
    /// What the profile is for, in a sentence.
    pub purpose: String,
    /// What was driven: `tertulia 0.1.0`, or an address.
    pub target: String,
    /// The command that repeats the run, with its seed.
    pub command: String,
    /// The version of the harness.
    pub version: String,
    /// `release` or `debug`; failpoints are named where the build has them.
    pub build: String,
    /// What all texts, times and faults derive from.
    pub seed: u64,
    /// When the run began, RFC 3339.
    pub began_at: String,
    /// How long it lasted, in seconds, warm-up and settling included.
    pub lasted_s: u64,
    /// The machine.
    pub machine: Machine,
    /// What was set, `key=value`, secrets left out.
    pub settings: Vec<String>,
}

/// The machine that everything ran on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many threads it runs at once.
    pub cores: u32,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// The system and its release.
    pub system: String,
    /// The file system that holds the database.
    pub file_system: String,
}

/// What people wrote, and what came of it. After warm-up, where a figure is a rate.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Traffic {
    /// People who wrote at least once.
    pub people: u64,
    /// Bursts begun.
    pub bursts: u64,
    /// Messages written, each counted once however often its webhook was delivered.
    pub messages: u64,
    /// Webhooks posted, repetitions included.
    pub webhooks: u64,
    /// Webhooks that were refused (not 200) or not answered.
    pub refused: u64,
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Replies that the provider accepted.
    pub replies: u64,
    /// Prompts that the model was asked.
    pub prompts: u64,
    /// Messages answered a second, after warm-up.
    pub messages_per_s: f64,
    /// Bursts answered a second, after warm-up.
    pub bursts_per_s: f64,
}

/// How long things took, after warm-up.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Times {
    /// From the intended sending of a message to the 200 of its webhook.
    pub acknowledge: Quantiles,
    /// From the moment the answer was due (last message of the burst, quiet period, model) to its arrival at the provider.
    pub overhead: Quantiles,
    /// From the intended sending of the last message of a burst to the arrival of its answer.
    pub answer: Quantiles,
}

/// A distribution, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantiles {
    /// How many were measured; the rest says nothing where it is 0.
    pub count: u64,
    /// The mean.
    pub mean_ms: f64,
    /// Half took this long at the most.
    pub p50_ms: f64,
    /// 90 of a hundred.
    pub p90_ms: f64,
    /// 99 of a hundred.
    pub p99_ms: f64,
    /// 999 of a thousand.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// What the server used. None where it could not be seen, as of a server elsewhere.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Seconds of processor per 1,000 answered messages, after warm-up.
    pub cpu_s_per_1000: Option<f64>,
    /// Anonymous memory before the first message, in bytes.
    pub memory_before_bytes: Option<u64>,
    /// The most anonymous memory seen, in bytes.
    pub memory_max_bytes: Option<u64>,
    /// The slope of anonymous memory after warm-up, in per cent of its mean an hour.
    pub memory_slope_percent_per_hour: Option<f64>,
    /// The most open files seen.
    pub files_max: Option<u64>,
    /// The database at the end, in bytes.
    pub database_bytes: Option<u64>,
    /// The largest write-ahead log seen, in bytes.
    pub wal_max_bytes: Option<u64>,
    /// Transactions committed.
    pub commits: Option<u64>,
    /// Requests (admissions, turn marks, replies, send marks) in a transaction, on average.
    pub requests_per_commit: Option<f64>,
    /// Rows written or removed in a transaction, on average.
    pub rows_per_commit: Option<f64>,
}

/// Whether the generator kept up with its own plan.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Generator {
    /// From the intended sending of a webhook to its first byte on the wire.
    pub lag: Quantiles,
    /// Seconds of processor of the generator and the emulated providers per 1,000 messages.
    pub cpu_s_per_1000: Option<f64>,
    /// Why the generator, not the server, bounded the run; none: it did not.
    pub bottleneck: Option<String>,
}

/// A promise, and how often it was broken.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Promise {
    /// `lost`, `doubled`, `split`, `merged`, `reordered`, `cross_user`, `books`, …
    pub name: String,
    /// What it says, in a sentence.
    pub says: String,
    /// How often it was looked at.
    pub checked: u64,
    /// How often it was broken.
    pub broken: u64,
    /// The first few cases, each in a line.
    pub examples: Vec<String>,
    /// What is no breach but belongs beside the figure, as parts recorded `ambiguous`.
    pub note: Option<String>,
}

/// An objective of the profile.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Objective {
    /// What is measured: `overhead_p99_ms`.
    pub name: String,
    /// The limit.
    pub limit: f64,
    /// Whether the limit is the least that is wanted; else it is the most.
    pub is_minimum: bool,
    /// What was measured; none where it could not be.
    pub measured: Option<f64>,
    /// Whether it held.
    pub held: bool,
}

/// A part of the run with a load of its own.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// When it began, in seconds.
    pub from_s: f64,
    /// When it ended.
    pub to_s: f64,
    /// Whether its figures are left out of the whole run's.
    pub is_warm_up: bool,
    /// Messages answered a second.
    pub messages_per_s: f64,
    /// Acknowledgements.
    pub acknowledge: Quantiles,
    /// Overheads.
    pub overhead: Quantiles,
}

/// One second of the run.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Point {
    /// The second, from the first intended message.
    pub at_s: f64,
    /// People who have begun.
    pub people: u64,
    /// Messages sent in this second.
    pub sent: u64,
    /// Messages acknowledged in it.
    pub acknowledged: u64,
    /// Messages whose answer arrived in it.
    pub answered: u64,
    /// Messages acknowledged and not answered, by the generator's count.
    pub backlog: u64,
    /// Acknowledgements in this second: median, none where there were none.
    pub acknowledge_p50_ms: Option<f64>,
    /// 99th percentile.
    pub acknowledge_p99_ms: Option<f64>,
    /// Overheads of the answers in this second.
    pub overhead_p50_ms: Option<f64>,
    /// 99th percentile.
    pub overhead_p99_ms: Option<f64>,
    /// The generator's lag, 99th percentile.
    pub lag_p99_ms: Option<f64>,
    /// Processor of the server, in cores.
    pub cpu_cores: Option<f64>,
    /// Anonymous memory.
    pub memory_bytes: Option<u64>,
    /// Open files.
    pub files: Option<u64>,
    /// The database.
    pub database_bytes: Option<u64>,
    /// Its write-ahead log.
    pub wal_bytes: Option<u64>,
    /// Transactions committed in this second.
    pub commits: Option<u64>,
    /// Requests in them.
    pub commit_requests: Option<u64>,
    /// Rows that they wrote or removed.
    pub commit_rows: Option<u64>,
}

/// Something that was done to the server.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mark {
    /// When.
    pub at_s: f64,
    /// When it ended, where it lasted.
    pub to_s: Option<f64>,
    /// What: `kill -9`, `lock the database`.
    pub what: String,
}
