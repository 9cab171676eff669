//! How the writer is doing, for `/metrics` and `/readyz`.

use serde::Serialize;

use super::super::ledger::Ledger;
use super::Written;

/// How the writer is doing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct WriterStats {
    /// Transactions on disk.
    pub commits: u64,
    /// Requests in them.
    pub requests: u64,
    /// Rows that they wrote or removed, those of requests that were taken back included.
    pub rows: u64,
    /// Transactions that failed; nothing of them was written.
    pub failed_commits: u64,
    /// Writes that panicked.
    pub panics: u64,
    /// How long the last transaction took, its fsync included, in microseconds.
    pub last_commit_us: u64,
    /// All the time spent in transactions, in microseconds.
    pub commit_us: u64,
    /// Requests in the last transaction.
    pub last_batch: usize,
    /// Requests that wait now.
    pub queued: usize,
    /// Whether the last transaction succeeded.
    pub healthy: bool,
    /// What the last failed transaction met.
    pub last_error: Option<String>,
    /// Pages in the write-ahead log.
    pub wal_pages: u64,
    /// Quarantined bodies that went to make room, ever.
    pub quarantine_lost: i64,
    /// Early delivery statuses that went to make room, ever.
    pub statuses_lost: i64,
}

impl WriterStats {
    /// The statistics of a writer that has just read its ledger.
    pub(in crate::store) fn begin(ledger: &Ledger) -> Self {
        Self {
            healthy: true,
            quarantine_lost: ledger.quarantine_lost,
            statuses_lost: ledger.statuses_lost,
            ..Self::default()
        }
    }

    pub(super) fn committed(&mut self, written: Written, ledger: &Ledger) {
        let took = u64::try_from(written.took.as_micros()).unwrap_or(u64::MAX);
        self.commits += 1;
        self.requests += u64::try_from(written.requests).unwrap_or(u64::MAX);
        self.rows += written.rows;
        self.last_commit_us = took;
        self.commit_us = self.commit_us.saturating_add(took);
        self.last_batch = written.requests;
        self.healthy = true;
        self.quarantine_lost = ledger.quarantine_lost;
        self.statuses_lost = ledger.statuses_lost;
    }

    pub(super) fn failed(&mut self, reason: &str) {
        self.failed_commits += 1;
        self.healthy = false;
        self.last_error = Some(reason.to_owned());
    }

    pub(super) fn panicked(&mut self, reason: &str) {
        self.failed_commits += 1;
        self.panics += 1;
        self.last_error = Some(reason.to_owned());
    }
}
