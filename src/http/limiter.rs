//! Rates by key: token buckets in bounded memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One bucket per key, full at first: a minute's worth may come at once.
///
/// Keys live in two generations. When the younger one holds `remembered_max` keys it becomes the older one, and the keys
/// that were idle since the turn before are forgotten; so memory is bounded by twice that, without a sweep.
pub(super) struct Limiter {
    per_minute: u32,
    remembered_max: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<String, Bucket>,
    old: HashMap<String, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Limiter {
    /// `per_minute` of zero sets no limit.
    pub(super) fn new(per_minute: u32, remembered_max: usize) -> Self {
        Self { per_minute, remembered_max: remembered_max.max(1), generations: Mutex::default() }
    }

    /// Takes one token of a key, or says how long the next one takes.
    pub(super) fn take(&self, key: &str, now: Instant) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let full = f64::from(self.per_minute);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let generations = &mut *generations;
        let known = generations.young.get(key).or_else(|| generations.old.get(key)).copied();
        let mut bucket = known.unwrap_or(Bucket { tokens: full, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * full / 60.0).min(full);
        bucket.at = now;
        let allowed = bucket.tokens >= 1.0;
        let wait = Duration::from_secs_f64((1.0 - bucket.tokens).max(0.0) * 60.0 / full);
        if allowed {
            bucket.tokens -= 1.0;
        }
        if generations.young.len() >= self.remembered_max && !generations.young.contains_key(key) {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key.to_owned(), bucket);
        if allowed { Ok(()) } else { Err(wait) }
    }

    /// Whether a key has no token now; takes none.
    pub(super) fn is_spent(&self, key: &str, now: Instant) -> bool {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let known = generations.young.get(key).or_else(|| generations.old.get(key));
        let refilled = |bucket: &Bucket| {
            let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
            bucket.tokens + passed * f64::from(self.per_minute) / 60.0
        };
        known.is_some_and(|bucket| refilled(bucket) < 1.0)
    }

    /// Whether a key is remembered.
    pub(super) fn knows(&self, key: &str) -> bool {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.contains_key(key) || generations.old.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_burst_and_then_gets_one_token_at_a_time() {
        let (limiter, start) = (Limiter::new(60, 10), Instant::now());
        assert!((0..60).all(|_| limiter.take("a", start).is_ok()));
        assert_eq!(limiter.take("a", start), Err(Duration::from_secs(1)));
        assert_eq!(limiter.take("b", start), Ok(()), "another key has its own rate");
        let later = start + Duration::from_millis(1_001);
        assert_eq!(limiter.take("a", later), Ok(()));
        assert!(limiter.take("a", later).is_err());
    }

    #[test]
    fn memory_is_bounded_and_a_busy_key_stays_limited() {
        let (limiter, now) = (Limiter::new(1, 10), Instant::now());
        assert!(limiter.take("busy", now).is_ok());
        for n in 0..1_000 {
            assert!(limiter.take(&n.to_string(), now).is_ok());
            assert!(limiter.take("busy", now).is_err(), "{n}");
        }
        let generations = limiter.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 20);
    }

    #[test]
    fn a_look_at_a_key_takes_no_token() {
        let (limiter, start) = (Limiter::new(1, 10), Instant::now());
        assert!(!limiter.is_spent("a", start) && !limiter.is_spent("a", start));
        assert!(limiter.take("a", start).is_ok());
        assert!(limiter.is_spent("a", start) && !limiter.is_spent("b", start));
        assert!(!limiter.is_spent("a", start + Duration::from_secs(61)));
    }

    #[test]
    fn a_rate_of_zero_sets_no_limit() {
        let (limiter, now) = (Limiter::new(0, 1), Instant::now());
        assert!((0..1_000).all(|_| limiter.take("a", now).is_ok()));
        assert!(!limiter.knows("a"));
    }
}
