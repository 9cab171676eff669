//! Virtual time and repeatable chance: the [`Clock`] and [`Entropy`] of a simulation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tertulia_actors::domain::{Tick, Timestamp};
use tertulia_actors::ports::{Clock, Entropy};
use tokio::time::Instant;
use uuid::Uuid;

use crate::load::prng::Prng;

/// Follows tokio's clock, which a simulation pauses: it stands still while anything works, and jumps to the next timer when
/// nothing does.
pub(super) struct VirtualClock {
    begun_at: Timestamp,
    begun: Instant,
    first_tick: Tick,
}

impl VirtualClock {
    /// A clock of a process that begins now, which is `at`, after one that stored `last_tick`.
    pub(super) fn new(at: Timestamp, last_tick: Tick) -> Self {
        let first_tick = Tick(at.0.max(last_tick.0.saturating_add(1)));
        Self { begun_at: at, begun: Instant::now(), first_tick }
    }

    /// When tokio's clock shows `at`.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        self.begun + Duration::from_millis(at.0.saturating_sub(self.begun_at.0).max(0).unsigned_abs())
    }

    fn passed(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(Tick(self.begun_at.0).after(self.passed()).0)
    }

    fn tick(&self) -> Tick {
        self.first_tick.after(self.passed())
    }
}

/// One thing that chance decides, again and again: the same seed and name give the same decisions.
pub(super) struct Dice {
    seed: u64,
    rolled: AtomicU64,
}

/// What chance decides in a simulation; each has numbers of its own, so that one more of one decision changes no other.
#[derive(Clone, Copy)]
pub(super) enum Of {
    People,
    Provider,
    Crashes,
    Entropy,
    Pace,
    Model,
    Outages,
    Channel,
    Tells,
}

impl Dice {
    /// What decides about `of` in one life of the server.
    pub(super) fn new(seed: u64, of: Of, life: u32) -> Self {
        let stream = (of as u64) << 32 | u64::from(life);
        Self { seed: Prng::derived(seed, stream).next(), rolled: AtomicU64::new(0) }
    }

    /// The numbers for the next decision, and which one it is.
    pub(super) fn roll(&self) -> (u64, Prng) {
        let number = self.rolled.fetch_add(1, Ordering::Relaxed);
        (number, Prng::derived(self.seed, number))
    }

    /// The numbers for the decision of a number, whenever it is asked for.
    pub(super) fn of(&self, number: u64) -> Prng {
        Prng::derived(self.seed, number)
    }
}

/// Identifiers of the virtual time, with repeatable chance in them.
pub(super) struct SeededEntropy {
    pub(super) dice: Dice,
    pub(super) clock: Arc<dyn Clock>,
}

impl Entropy for SeededEntropy {
    fn uuid(&self) -> Uuid {
        let mut prng = self.dice.roll().1;
        let mut random = [0; 10];
        random[..8].copy_from_slice(&prng.next().to_be_bytes());
        random[8..].copy_from_slice(&prng.next().to_be_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(self.clock.now().0.unsigned_abs(), &random).into_uuid()
    }

    fn fraction(&self) -> f64 {
        let bits = u32::try_from(self.dice.roll().1.next() >> 32).unwrap_or(u32::MAX);
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_has_numbers_of_its_own_and_the_same_seed_gives_them_again() {
        let numbers = |seed, of, life| {
            let dice = Dice::new(seed, of, life);
            [dice.roll().1.next(), dice.roll().1.next()]
        };
        let first = numbers(1, Of::Model, 0);
        assert_eq!(first, numbers(1, Of::Model, 0));
        for other in [numbers(2, Of::Model, 0), numbers(1, Of::Channel, 0), numbers(1, Of::Model, 1)] {
            assert!(first.iter().all(|number| !other.contains(number)), "{other:?}");
        }
    }

    #[test]
    fn a_clock_follows_the_paused_time_and_never_starts_behind_the_last_process() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let clock = VirtualClock::new(Timestamp(5_000), Tick(7_000));
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            assert_eq!((clock.now(), clock.tick()), (Timestamp(3_605_000), Tick(3_607_001)));
            assert_eq!(clock.instant(clock.now()), Instant::now());
            let entropy = SeededEntropy { dice: Dice::new(1, Of::Entropy, 0), clock: Arc::new(clock) };
            let (one, two) = (entropy.uuid(), entropy.uuid());
            assert_ne!(one, two);
            assert_eq!(one.get_version_num(), 7);
            assert!((0..100).all(|_| (0.0..1.0).contains(&entropy.fraction())));
        });
    }
}
