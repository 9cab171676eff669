//! Time and chance from the system: the real [`Clock`], [`ReceiptSource`] and [`Entropy`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tertulia_actors::domain::{Receipt, Tick, Timestamp};
use tertulia_actors::failpoint;
use tertulia_actors::ports::{Clock, Entropy, ReceiptSource};
use uuid::Uuid;

/// The system's clocks. The steady timeline starts at the wall time of the start, or behind the last tick that an earlier
/// process stored if the wall clock was set back since, and then follows the monotonic clock.
pub struct SystemClock {
    anchor: Instant,
    anchor_tick: Tick,
}

impl SystemClock {
    /// A clock whose steady timeline lies behind `last_tick`.
    #[must_use]
    pub fn anchored_behind(last_tick: Tick) -> Self {
        Self { anchor: Instant::now(), anchor_tick: Tick(wall_millis().max(last_tick.0.saturating_add(1))) }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(wall_millis())
    }

    fn tick(&self) -> Tick {
        self.anchor_tick.after(self.anchor.elapsed())
    }
}

/// Milliseconds since the Unix epoch, by the wall clock.
fn wall_millis() -> i64 {
    failpoint!("clock.wall", shift: ms, return system_millis().saturating_add(ms));
    system_millis()
}

fn system_millis() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// Stamps bodies, in one order over all HTTP workers.
pub struct Receipts {
    clock: Arc<dyn Clock>,
    last: AtomicI64,
}

impl Receipts {
    /// A source that counts on from the last receipt stored.
    #[must_use]
    pub fn after(last_seq: i64, clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: AtomicI64::new(last_seq) }
    }
}

impl ReceiptSource for Receipts {
    fn receipt(&self) -> Receipt {
        let seq = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        Receipt { at: self.clock.now(), tick: self.clock.tick(), seq }
    }
}

/// The system's random numbers.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn fraction(&self) -> f64 {
        // 32 of the random bits of a UUIDv4, which come from the system's generator.
        let bits = Uuid::new_v4().as_u128() as u32;
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_timeline_never_starts_behind_an_earlier_process() {
        let future = Tick(wall_millis() + 86_400_000);
        assert!(SystemClock::anchored_behind(future).tick() > future, "the wall clock was set back a day");
        assert!(SystemClock::anchored_behind(Tick(0)).tick().0 > 1_700_000_000_000);
    }

    #[test]
    fn receipts_count_on() {
        let receipts = Receipts::after(41, Arc::new(SystemClock::anchored_behind(Tick(0))));
        assert_eq!([receipts.receipt().seq, receipts.receipt().seq], [42, 43]);
    }

    #[test]
    fn fractions_are_below_one() {
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&SystemEntropy.fraction())));
    }
}
