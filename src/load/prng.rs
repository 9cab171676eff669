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
        self.fraction() < probability
    }

    /// A number from 0 up to and without 1.
    pub fn fraction(&mut self) -> f64 {
        let draw = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        f64::from(draw) / 4_294_967_296.0
    }

    /// A number of the exponential distribution with mean 1: the pauses between events that know nothing of each other.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.fraction()).ln()
    }

    /// A duration of the log-normal distribution with this median and this 99th percentile.
    pub fn log_normal(&mut self, median: Duration, p99: Duration) -> Duration {
        /// How many standard deviations the 99th percentile of the normal distribution lies above its mean.
        const P99: f64 = 2.326_348;
        if median.is_zero() || p99 <= median {
            return median;
        }
        let deviation = (p99.as_secs_f64() / median.as_secs_f64()).ln() / P99;
        // Box and Muller (1958).
        let normal = (2.0 * self.exponential()).sqrt() * (std::f64::consts::TAU * self.fraction()).cos();
        median.mul_f64((normal * deviation).exp())
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

    #[test]
    fn distributions_have_the_shape_they_are_asked_for() {
        let mut prng = Prng::new(11);
        let mean = (0..20_000).map(|_| prng.exponential()).sum::<f64>() / 20_000.0;
        assert!((0.97..1.03).contains(&mean), "{mean}");
        let (median, p99) = (Duration::from_millis(400), Duration::from_secs(3));
        let mut draws: Vec<_> = (0..20_000).map(|_| prng.log_normal(median, p99).as_secs_f64()).collect();
        draws.sort_by(f64::total_cmp);
        assert!((0.38..0.42).contains(&draws[10_000]) && (2.7..3.3).contains(&draws[19_800]));
        assert_eq!(prng.log_normal(median, Duration::ZERO), median);
    }
}
