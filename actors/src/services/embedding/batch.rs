//! When texts that wait are embedded, and which together. Pure.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::settings::BatchSettings;

/// What waits, as this needs to know it.
pub(super) trait Waits {
    /// How long it is.
    fn chars(&self) -> usize;
    /// Since when it waits.
    fn since(&self) -> Instant;
    /// Whether nobody waits for it any more.
    fn is_given_up(&self) -> bool;
}

/// What waits, in order, and how many batches are under way.
pub(super) struct Gathered<T> {
    settings: BatchSettings,
    waiting: VecDeque<T>,
    under_way: usize,
    batches: u64,
    texts: u64,
}

impl<T: Waits> Gathered<T> {
    pub(super) fn new(settings: BatchSettings) -> Self {
        Self { settings, waiting: VecDeque::new(), under_way: 0, batches: 0, texts: 0 }
    }

    pub(super) fn push(&mut self, one: T) {
        self.waiting.push_back(one);
    }

    /// When the next batch closes: at once if it is full, else when its first text has waited long enough; none while nothing
    /// waits, or as many batches are under way as may be. What nobody waits for any more is forgotten.
    pub(super) fn closes_at(&mut self) -> Option<Instant> {
        self.waiting.retain(|one| !one.is_given_up());
        if self.under_way >= self.settings.batches_max.max(1) {
            return None;
        }
        let first = self.waiting.front()?.since();
        let is_full = self.fitting() < self.waiting.len() || self.waiting.len() >= self.settings.texts_max;
        Some(if is_full { first } else { first + self.settings.wait })
    }

    /// The next batch, which is under way from now on.
    pub(super) fn take(&mut self) -> Vec<T> {
        let count = self.fitting();
        self.under_way += 1;
        self.batches += 1;
        self.texts += count as u64;
        self.waiting.drain(..count).collect()
    }

    /// A batch has come to its end.
    pub(super) const fn done(&mut self) {
        self.under_way -= 1;
    }

    /// Batches that were taken so far.
    pub(super) const fn batches(&self) -> u64 {
        self.batches
    }

    /// Texts of all batches so far.
    pub(super) const fn texts(&self) -> u64 {
        self.texts
    }

    /// How many of those that wait fit into one batch, from the first on.
    fn fitting(&self) -> usize {
        let mut chars = 0;
        let fits = |one: &&T| {
            chars += one.chars();
            chars <= self.settings.chars_max
        };
        let count = self.waiting.iter().take(self.settings.texts_max).take_while(fits).count();
        count.max(1).min(self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Text {
        chars: usize,
        since: Instant,
        is_given_up: bool,
    }

    impl Waits for Text {
        fn chars(&self) -> usize {
            self.chars
        }

        fn since(&self) -> Instant {
            self.since
        }

        fn is_given_up(&self) -> bool {
            self.is_given_up
        }
    }

    const WAIT: Duration = Duration::from_millis(2);

    fn gathered(start: Instant, chars: &[usize]) -> Gathered<Text> {
        let settings =
            BatchSettings { texts_max: 3, chars_max: 100, wait: WAIT, batches_max: 1, cache_max: 0 };
        let mut gathered = Gathered::new(settings);
        for (n, chars) in (0..).zip(chars) {
            let since = start + Duration::from_micros(n);
            gathered.push(Text { chars: *chars, since, is_given_up: false });
        }
        gathered
    }

    #[test]
    fn a_batch_closes_when_it_is_full_or_its_first_text_has_waited() {
        let start = Instant::now();
        for (chars, closes, count) in [
            (&[][..], None, 0),
            (&[10], Some(start + WAIT), 1),
            (&[10, 20], Some(start + WAIT), 2),
            (&[10, 20, 30], Some(start), 3),
            (&[10, 20, 30, 40], Some(start), 3),
            (&[60, 50], Some(start), 1),
            (&[60, 40], Some(start + WAIT), 2),
            // Too long for any batch: alone.
            (&[500, 10], Some(start), 1),
            (&[500], Some(start + WAIT), 1),
        ] {
            let mut gathered = gathered(start, chars);
            assert_eq!(gathered.closes_at(), closes, "{chars:?}");
            if count > 0 {
                assert_eq!(gathered.take().len(), count, "{chars:?}");
            }
        }
    }

    #[test]
    fn texts_gather_while_as_many_batches_are_under_way_as_may_be() {
        let start = Instant::now();
        let mut gathered = gathered(start, &[10, 20, 30, 40]);
        assert_eq!(gathered.take().len(), 3);
        assert_eq!(gathered.closes_at(), None);
        gathered.done();
        assert_eq!(gathered.closes_at(), Some(start + Duration::from_micros(3) + WAIT));
        assert_eq!(gathered.take().len(), 1);
        assert_eq!((gathered.batches(), gathered.texts()), (2, 4));
    }

    #[test]
    fn what_was_given_up_is_forgotten() {
        let start = Instant::now();
        let mut gathered = gathered(start, &[10, 20, 30]);
        gathered.waiting[0].is_given_up = true;
        gathered.waiting[2].is_given_up = true;
        assert_eq!(gathered.closes_at(), Some(start + Duration::from_micros(1) + WAIT));
        assert_eq!(gathered.take().len(), 1);
        assert_eq!(gathered.closes_at(), None);
    }
}
