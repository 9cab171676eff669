//! Repeatable chance.

use std::time::Duration;

/// The generator splitmix64 (Steele, Lea and Flood 2014): small, and the same numbers for the same seed everywhere.
#[derive(Clone, Debug)]
pub struct Prng(u64);

impl Prng {
    /// A generator that gives the same numbers for the same seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator for one thing among many, independent of the order in which they are asked for.
    #[must_use]
    pub fn derived(seed: u64, stream: u64) -> Self {
        let mut prng = Self(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        prng.next();
        prng
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `low..=high`.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high.saturating_sub(low) + 1)
    }

    /// A duration in whole milliseconds, in `low_ms..=high_ms`.
    pub const fn millis(&mut self, low_ms: u64, high_ms: u64) -> Duration {
        Duration::from_millis(self.between(low_ms, high_ms))
    }

    /// True with the given probability, 0 to 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        let draw = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        f64::from(draw) < probability * 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_numbers_of_splitmix64_come_out() {
        let mut prng = Prng::new(1_234_567);
        assert_eq!([prng.next(), prng.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn chances_keep_their_probability_and_ranges_their_ends() {
        let mut prng = Prng::new(7);
        let hits = (0..10_000).filter(|_| prng.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!(!prng.chance(0.0) && prng.chance(1.0));
        assert!((0..1_000).all(|_| (20..=100).contains(&prng.between(20, 100))));
        assert_eq!(prng.between(5, 5), 5);
    }
}
