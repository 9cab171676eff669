//! The `[storage]` section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where and how conversations are stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The kind of database.
    pub backend: Backend,
    /// The database file. Its directory is created; the file is readable by its owner only.
    pub path: PathBuf,
    /// Requests that wait for the writer; one more is refused as overload.
    pub queue_max: usize,
    /// Admissions among them; below `queue_max`, so that turns and replies always find room.
    pub admission_queue_max: usize,
    /// What admissions that wait hold, in bytes, before one more is refused as overload.
    pub admission_queue_bytes: usize,
    /// Requests that share one commit at the most.
    pub commit_batch_max: usize,
    /// Threads that read.
    pub readers: usize,
    /// Reads that wait for a thread; one more is refused as overload.
    pub read_queue_max: usize,
    /// How long the writer waits for a database that another process has locked. The predecessor waited 60 s; callers
    /// are waiting for an acknowledgement here, and a provider resends what was refused.
    pub busy_timeout_ms: u64,
    /// The writer's page cache; a reader has a fortieth of it. 40,000 KiB are the 10,000 pages that the predecessor found
    /// to keep its indexes in memory.
    pub cache_kib: u32,
    /// How much of the file is mapped into memory, so that pages are read without being copied; 0 maps nothing.
    pub mmap_bytes: u64,
    /// Pages in the write-ahead log from which on they are copied to the database in the background.
    pub wal_checkpoint_pages: u64,
    /// Pages in the write-ahead log from which on it starts over, for which writing waits briefly between two commits. The
    /// file keeps the length that it had, up to four times this.
    pub wal_limit_pages: u64,
    /// Bodies kept that were signed but not understood; then the oldest goes, counted.
    pub quarantine_max: u32,
    /// The size of all these bodies together, in bytes; then the oldest go, counted.
    pub quarantine_bytes: u64,
    /// Delivery statuses kept for parts whose send has not been answered yet; then the oldest goes, counted.
    pub early_statuses_max: u32,
    /// The largest size of the database in pages of 4 KiB; 0 for no limit.
    pub page_max: u32,
    /// A database of up to this size is looked through for damage at each start, in bytes; 0 never looks. Measured: 1.3 to
    /// 1.8 s for each GiB that the system has in memory.
    pub start_check_bytes: u64,
    /// What an overloaded or unavailable store asks its callers to wait.
    pub retry_after_ms: u64,
    /// The time between two attempts of a failed writer to write again.
    pub probe_ms: u64,
}

/// The kind of database.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// One SQLite file.
    Sqlite,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            backend: Backend::Sqlite,
            path: PathBuf::from("data/tertulia.db"),
            queue_max: 4_096,
            admission_queue_max: 3_072,
            admission_queue_bytes: 64 * 1024 * 1024,
            commit_batch_max: 512,
            readers: 2,
            read_queue_max: 1_024,
            busy_timeout_ms: 2_000,
            cache_kib: 40_000,
            mmap_bytes: 256 * 1024 * 1024,
            wal_checkpoint_pages: 1_000,
            wal_limit_pages: 16_000,
            quarantine_max: 1_000,
            quarantine_bytes: 64 * 1024 * 1024,
            early_statuses_max: 10_000,
            page_max: 0,
            start_check_bytes: 1 << 30,
            retry_after_ms: 1_000,
            probe_ms: 1_000,
        }
    }
}

impl StoreSettings {
    /// `busy_timeout_ms` as a duration.
    #[must_use]
    pub const fn busy_timeout(&self) -> Duration {
        Duration::from_millis(self.busy_timeout_ms)
    }

    /// `probe_ms` as a duration.
    #[must_use]
    pub const fn probe(&self) -> Duration {
        Duration::from_millis(self.probe_ms)
    }
}
