//! What the writer does after a panic of its own: the thread is the only one that writes, so it must go on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tertulia_actors::ports::StoreError;

use super::super::{connect, ledger};
use super::Writer;
use super::unit::Job;

impl Writer {
    /// Begins anew after a panic outside of a transaction. Whoever waits for an answer gets the true one: what is on disk is
    /// told as written, all else as not written. What was not told to the actors is found by the sweep.
    pub(super) fn survive(&mut self, group: &mut Vec<Box<dyn Job>>, panic: &(dyn Any + Send)) {
        let written = self.written.take();
        let is_written = written.is_some();
        tracing::error!(requests = group.len(), is_written, "the writer panicked, and begins anew");
        self.recover_connection();
        // Read again, so that the books are what the database says, whatever was missed here. If that cannot be read now, the
        // next transaction does it.
        self.ledger = ledger::load(&self.conn).ok();
        if is_written {
            self.is_well();
        }
        while let Some(job) = group.pop() {
            // An answer that panics fails alone.
            let answered = catch_unwind(AssertUnwindSafe(|| {
                if is_written {
                    job.finish();
                } else {
                    job.fail(StoreError::Unavailable("the writer panicked before this was written".into()));
                }
            }));
            if answered.is_err() {
                tracing::error!("an answer of the writer panicked");
            }
        }
        if let Some(ledger) = &self.ledger {
            self.out.books.send_replace(ledger.books);
        }
        self.out.stats.send_modify(|stats| {
            stats.panics += 1;
            if let (Some(written), Some(ledger)) = (&written, &self.ledger) {
                stats.committed(*written, ledger);
            }
        });
        self.out.gauges.set_in_commit(0);
        self.out.panics.restarted(panic);
    }

    /// Leaves no transaction open; a connection that cannot even roll back is replaced.
    pub(super) fn recover_connection(&mut self) {
        if self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok() {
            return;
        }
        match connect::writer(&self.settings) {
            Ok(conn) => self.conn = conn,
            Err(error) => tracing::error!(%error, "the connection cannot be replaced; trying again"),
        }
    }
}
