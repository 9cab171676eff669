//! What was embedded lately.

use std::collections::HashMap;

use crate::domain::Embedding;
use crate::ports::Embeddable;

/// Vectors by their texts, in two generations: what is asked for moves to the younger one, and the older one is forgotten when that
/// is full. So at least half of what it may hold is what was asked for last.
pub(super) struct Cache {
    half: usize,
    younger: HashMap<Embeddable, Option<Embedding>>,
    older: HashMap<Embeddable, Option<Embedding>>,
    hits: u64,
}

/// A longer text is not remembered: it is not likely to come again, and would take the room of many.
const CHARS_MAX: usize = 256;

impl Cache {
    /// Holds so many texts at the most; 0: none.
    pub(super) fn new(max: usize) -> Self {
        Self { half: max / 2, younger: HashMap::new(), older: HashMap::new(), hits: 0 }
    }

    pub(super) fn get(&mut self, text: &Embeddable) -> Option<Option<Embedding>> {
        if let Some(known) = self.younger.get(text) {
            self.hits += 1;
            return Some(known.clone());
        }
        let (text, known) = self.older.remove_entry(text)?;
        self.hits += 1;
        self.put(text, known.clone());
        Some(known)
    }

    pub(super) fn put(&mut self, text: Embeddable, vector: Option<Embedding>) {
        if self.half == 0 || text.text.chars().nth(CHARS_MAX).is_some() {
            return;
        }
        if self.younger.len() >= self.half {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(text, vector);
    }

    /// How often a text was found, and how many are held.
    pub(super) fn counts(&self) -> (u64, usize) {
        (self.hits, self.younger.len() + self.older.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(n: u8) -> Option<Embedding> {
        Some(vec![f32::from(n)].into())
    }

    #[test]
    fn what_was_asked_for_last_stays() {
        let mut cache = Cache::new(4);
        for n in 0..20_u8 {
            cache.put(Embeddable::query(n.to_string()), vector(n));
            assert!(n == 0 || cache.get(&Embeddable::query("0")).is_some(), "{n}");
            assert!(cache.counts().1 <= 4);
        }
        assert_eq!(cache.get(&Embeddable::query("19")), Some(vector(19)));
        assert_eq!(cache.get(&Embeddable::query("1")), None);
    }

    #[test]
    fn the_role_tells_texts_apart_and_long_ones_are_not_held() {
        let mut cache = Cache::new(4);
        cache.put(Embeddable::query("a"), vector(1));
        assert_eq!(cache.get(&Embeddable::passage("a")), None);
        let long = Embeddable::query("x".repeat(CHARS_MAX + 1));
        cache.put(long.clone(), vector(1));
        assert_eq!(cache.get(&long), None);
    }

    #[test]
    fn none_is_held_where_none_may_be() {
        let mut cache = Cache::new(0);
        cache.put(Embeddable::query("a"), vector(1));
        assert_eq!(cache.get(&Embeddable::query("a")), None);
    }
}
