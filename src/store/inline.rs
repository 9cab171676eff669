//! The store without threads, for a simulation: whoever waits for an answer does the work, on its own thread and clock.
//!
//! The same statements, units, groups and effects as with threads; only who executes them differs. A virtual clock would
//! not wait for a thread: it goes on while that is in its fsync.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::connect;
use super::error::OpenError;
use super::readers::Job;
use super::settings::StoreSettings;
use super::writer::{Gauges, Writer};

/// How long the next step of the store takes, by tokio's clock.
pub type Pace = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The one connection that reads.
pub(super) struct InlineReader {
    conn: Mutex<Connection>,
    pace: Pace,
}

impl InlineReader {
    /// A connection to an existing database.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(settings: &StoreSettings, pace: Pace) -> Result<Self, OpenError> {
        let conn = Connection::open_with_flags(&settings.path, connect::reader_flags())?;
        connect::configure_reader(&conn, settings)?;
        Ok(Self { conn: Mutex::new(conn), pace })
    }

    /// Reads when the first half of its time has passed; what is found may be old news at the end of the second.
    pub(super) async fn read(&self, job: Job) {
        take(&self.pace).await;
        // A panic is caught inside the job, which leaves no transaction open.
        job(Ok(&self.conn.lock().unwrap_or_else(PoisonError::into_inner)));
        take(&self.pace).await;
    }
}

/// Lets the time of one step pass.
async fn take(pace: &Pace) {
    let time = pace();
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// The writer of a store without threads. While it runs, what is queued is written in groups, as by the thread.
pub struct InlineWriter {
    writer: Writer,
    gauges: Arc<Gauges>,
    bell: Arc<Notify>,
    pace: Pace,
}

impl InlineWriter {
    pub(super) const fn new(writer: Writer, gauges: Arc<Gauges>, bell: Arc<Notify>, pace: Pace) -> Self {
        Self { writer, gauges, bell, pace }
    }

    /// Writes whatever is queued: the requests that gather within the time that a commit takes share it. Before each commit
    /// `goes_on` is asked, and nothing is written any more once it says no; after each `committed` hears how many requests
    /// were in it.
    pub async fn run(mut self, goes_on: impl Fn() -> bool, committed: impl Fn(usize)) {
        loop {
            if self.gauges.queued() == 0 {
                self.bell.notified().await;
            }
            take(&self.pace).await;
            if !goes_on() {
                return;
            }
            let requests = self.writer.serve_gathered();
            if requests > 0 {
                committed(requests);
            }
        }
    }
}
