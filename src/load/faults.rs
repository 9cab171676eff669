//! What goes wrong during a run, and how often. All of it is drawn from the seed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Faults of a run. Probabilities are 0 to 1; a period of 0 means never. Those of the server's machine (kills, locks, a full
/// disk, panics) need a server that the harness started itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The server is killed with SIGKILL this often, on average, and started again.
    pub kill_every_ms: u64,
    /// Probability that a webhook which was acknowledged is delivered again.
    pub redeliver: f64,
    /// Probability that a message of a burst is held back until the one behind it has been delivered.
    pub shuffle: f64,
    /// Probability that a message is delivered `late_ms` after it was written.
    pub late: f64,
    /// How late.
    pub late_ms: u64,
    /// Probability that the provider accepts a reply and cuts the connection before its answer.
    pub cut_sends: f64,
    /// Probability that the model answers 500.
    pub llm_errors: f64,
    /// Probability that the model never answers a call.
    pub llm_stall: f64,
    /// The disk of the database is filled this often, for `disk_full_ms`.
    pub disk_full_every_ms: u64,
    /// How long it stays full.
    pub disk_full_ms: u64,
    /// Another process locks the database this often, for `lock_db_ms`.
    pub lock_db_every_ms: u64,
    /// How long it holds the lock.
    pub lock_db_ms: u64,
    /// Services that panic, and the probability of each call. Needs a build with failpoints.
    pub panics: BTreeMap<String, f64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            kill_every_ms: 0,
            redeliver: 0.0,
            shuffle: 0.0,
            late: 0.0,
            late_ms: 2_000,
            cut_sends: 0.0,
            llm_errors: 0.0,
            llm_stall: 0.0,
            disk_full_every_ms: 0,
            disk_full_ms: 1_000,
            lock_db_every_ms: 0,
            lock_db_ms: 500,
            panics: BTreeMap::new(),
        }
    }
}

/// The services that can be made to panic.
const SERVICES: [&str; 5] = ["embedding", "vectors", "classifier", "query", "channel"];

impl Faults {
    /// What cannot be, named by its key.
    pub(super) fn check(&self) -> Result<(), String> {
        let probabilities = [
            ("redeliver", self.redeliver),
            ("shuffle", self.shuffle),
            ("late", self.late),
            ("cut_sends", self.cut_sends),
            ("llm_errors", self.llm_errors),
            ("llm_stall", self.llm_stall),
        ];
        for (key, probability) in probabilities {
            if !(0.0..=1.0).contains(&probability) {
                return Err(format!("faults.{key}: {probability}: a probability is 0 to 1"));
            }
        }
        for (service, rate) in &self.panics {
            if !(0.0..=1.0).contains(rate) {
                return Err(format!("faults.panics.{service}: {rate}: a probability is 0 to 1"));
            }
            if !SERVICES.contains(&service.as_str()) {
                return Err(format!("faults.panics.{service}: known are {}", SERVICES.join(", ")));
            }
        }
        Ok(())
    }

    /// Whether the server must refuse webhooks while they last: nobody can answer for a process that was killed, and nothing can be
    /// acknowledged that cannot be written.
    #[must_use]
    pub const fn refuse(&self) -> bool {
        self.kill_every_ms > 0 || self.disk_full_every_ms > 0
    }

    /// Whether a fault needs a server that the harness started itself.
    #[must_use]
    pub fn need_a_child(&self) -> bool {
        self.kill_every_ms > 0
            || self.disk_full_every_ms > 0
            || self.lock_db_every_ms > 0
            || !self.panics.is_empty()
    }

    /// What the server has to be set to for its faults to meet something: the embedding service is off by default.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, toml::Value> {
        let embedding = self.panics.contains_key("embedding");
        embedding.then(|| ("embedding.backend".to_owned(), "hashed".into())).into_iter().collect()
    }

    /// What the failpoints of the server are set to; empty: nothing.
    #[must_use]
    pub fn failpoints(&self) -> String {
        let point = |(service, rate): (&String, &f64)| {
            // Every n-th call, which is what the failpoints can do.
            (*rate > 0.0).then(|| format!("services.{service}=%{}*panic", (1.0 / rate).round().max(1.0)))
        };
        self.panics.iter().filter_map(point).collect::<Vec<_>>().join(";")
    }

    /// The faults in words, for the report; empty where there are none.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let per_cent = |what: &str, probability: f64| {
            (probability > 0.0).then(|| format!("{what} {} %", probability * 100.0))
        };
        let every = |what: &str, period: u64| (period > 0).then(|| format!("{what} every {period} ms"));
        [
            every("kill -9", self.kill_every_ms),
            per_cent("redeliver", self.redeliver),
            per_cent("shuffle", self.shuffle),
            per_cent("late", self.late),
            per_cent("cut sends", self.cut_sends),
            per_cent("model errors", self.llm_errors),
            per_cent("model silent", self.llm_stall),
            every("disk full", self.disk_full_every_ms),
            every("database locked", self.lock_db_every_ms),
        ]
        .into_iter()
        .flatten()
        .chain(self.panics.iter().map(|(service, rate)| format!("panic in {service} {} %", rate * 100.0)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_failpoints_and_faults_become_words() {
        let panics = BTreeMap::from([("embedding".to_owned(), 0.01), ("query".to_owned(), 0.5)]);
        let faults = Faults { panics, redeliver: 0.1, kill_every_ms: 3_000, ..Faults::default() };
        assert_eq!(faults.check(), Ok(()));
        assert_eq!(faults.failpoints(), "services.embedding=%100*panic;services.query=%2*panic");
        assert_eq!(faults.settings(), [("embedding.backend".to_owned(), "hashed".into())].into());
        assert!(Faults::default().settings().is_empty());
        assert_eq!(
            faults.words(),
            ["kill -9 every 3000 ms", "redeliver 10 %", "panic in embedding 1 %", "panic in query 50 %"]
        );
        assert!(faults.need_a_child() && !Faults::default().need_a_child());
        assert!(Faults::default().failpoints().is_empty() && Faults::default().words().is_empty());
    }

    #[test]
    fn what_cannot_be_is_named() {
        let panics = BTreeMap::from([("kitchen".to_owned(), 0.1)]);
        let wrong = Faults { panics, ..Faults::default() }.check().expect_err("no such service");
        assert!(wrong.contains("faults.panics.kitchen: known are embedding"), "{wrong}");
        let wrong = Faults { late: -0.1, ..Faults::default() }.check().expect_err("no probability");
        assert!(wrong.contains("faults.late"), "{wrong}");
    }
}
