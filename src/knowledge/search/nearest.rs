//! The vectors of entries in memory, and the nearest of them: an exact scan.
//!
//! All vectors are compared in whole numbers of eight bits first, of which a processor reads four times as many, and the best of
//! them again as they are. Few vectors are compared as they are at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::whole::{Whole, scan};

/// Candidates of the first comparison that are compared again, beside those that are asked for.
const RESCORED: usize = 40;

/// Up to so many vectors the first comparison saves nothing.
const COMPARED_AT_ONCE_MAX: usize = 256;

/// Vectors of unit length by the rows of their entries, of which one may have several.
#[derive(Default)]
pub(in crate::knowledge) struct Nearest {
    /// Of the first vector; those that have others are no vectors of the same model.
    dimensions: usize,
    /// The row of each vector.
    rows: Vec<i64>,
    /// Where the vectors of each row are.
    places: HashMap<i64, Vec<usize>>,
    exact: Vec<f32>,
    whole: Whole,
}

impl Nearest {
    /// Adds the vectors of a row, `ways` of the same length one behind the other, or replaces them; false where they have other
    /// dimensions than those that are there, and the row has none then.
    pub(in crate::knowledge) fn put(&mut self, row: i64, vectors: &[f32], ways: usize) -> bool {
        self.remove(row);
        let dimensions = vectors.len() / ways.max(1);
        if self.rows.is_empty() {
            self.dimensions = dimensions;
            self.whole = Whole::new(dimensions);
        }
        if dimensions == 0 || dimensions != self.dimensions {
            return false;
        }
        for vector in vectors.chunks_exact(dimensions) {
            self.places.entry(row).or_default().push(self.rows.len());
            self.rows.push(row);
            self.exact.extend_from_slice(vector);
            self.whole.push(vector);
        }
        true
    }

    /// Removes the vectors of a row; the last ones take their places.
    pub(super) fn remove(&mut self, row: i64) {
        let mut places = self.places.remove(&row).unwrap_or_default();
        // From the last one on, so that none of them is moved.
        places.sort_unstable_by_key(|place| Reverse(*place));
        for place in places {
            self.swap_remove(place);
        }
    }

    fn swap_remove(&mut self, place: usize) {
        let last = self.rows.len() - 1;
        self.rows.swap_remove(place);
        if let Some(moved) = self.rows.get(place) {
            let places = self.places.get_mut(moved).into_iter().flatten();
            places.filter(|at| **at == last).for_each(|at| *at = place);
            let (from, to) = (last * self.dimensions, place * self.dimensions);
            self.exact.copy_within(from..from + self.dimensions, to);
        }
        self.exact.truncate(last * self.dimensions);
        self.whole.swap_remove(place);
    }

    /// The rows that have vectors.
    pub(super) fn rows(&self) -> impl Iterator<Item = i64> {
        self.places.keys().copied()
    }

    /// The cosine of a row's vector that is nearest to another one; none where it has none.
    pub(super) fn cosine(&self, row: i64, vector: &[f32]) -> Option<f32> {
        if vector.len() != self.dimensions {
            return None;
        }
        let cosines = self.places.get(&row)?.iter().map(|place| self.cosine_at(*place, vector));
        cosines.max_by(f32::total_cmp)
    }

    /// The admitted rows that are nearest to a vector, nearest first, with their cosines; of equal ones the lower row.
    pub(in crate::knowledge) fn best(
        &self,
        vector: &[f32],
        count: usize,
        admits: impl Fn(i64) -> bool,
    ) -> Vec<(i64, f32)> {
        if vector.len() != self.dimensions || count == 0 {
            return vec![];
        }
        let all = self.rows.len();
        let mut wanted = count + RESCORED;
        let mut best = loop {
            let places: Vec<usize> = if all <= COMPARED_AT_ONCE_MAX {
                (0..all).filter(|place| admits(self.rows[*place])).collect()
            } else {
                self.candidates(vector, wanted, &admits)
            };
            let is_all = places.len() < wanted || wanted >= all;
            let best = self.nearest_of_each(places, vector);
            // A row with many vectors may take up the places of others.
            if best.len() >= count || is_all {
                break best;
            }
            wanted *= 4;
        };
        best.sort_unstable_by(|(row, one), (other_row, other)| other.total_cmp(one).then(row.cmp(other_row)));
        best.truncate(count);
        best
    }

    /// The rows at some places, each with the cosine of its nearest vector.
    fn nearest_of_each(&self, places: Vec<usize>, vector: &[f32]) -> Vec<(i64, f32)> {
        let cosine = |place| (self.rows[place], self.cosine_at(place, vector));
        let mut best: Vec<(i64, f32)> = places.into_iter().map(cosine).collect();
        best.sort_unstable_by(|(row, one), (other_row, other)| row.cmp(other_row).then(other.total_cmp(one)));
        best.dedup_by_key(|(row, _)| *row);
        best
    }

    /// The admitted places that seem the nearest in whole numbers.
    fn candidates(&self, vector: &[f32], count: usize, admits: impl Fn(i64) -> bool) -> Vec<usize> {
        // The worst of the best on top. What whole numbers give is no NaN, so that bits order it.
        let mut best: BinaryHeap<Reverse<(OrderedScore, usize)>> = BinaryHeap::with_capacity(count + 1);
        let mut least = f32::NEG_INFINITY;
        scan(&self.whole, vector, |start, scores| {
            for (place, score) in (start..).zip(scores) {
                if *score > least && admits(self.rows[place]) {
                    best.push(Reverse((OrderedScore(*score), place)));
                    if best.len() > count {
                        best.pop();
                        least = best.peek().map_or(least, |Reverse((OrderedScore(score), _))| *score);
                    }
                }
            }
        });
        best.into_iter().map(|Reverse((_, place))| place).collect()
    }

    fn cosine_at(&self, place: usize, vector: &[f32]) -> f32 {
        dot(&self.exact[place * self.dimensions..][..self.dimensions], vector)
    }
}

/// A score that can be ordered.
#[derive(Clone, Copy, PartialEq)]
struct OrderedScore(f32);

impl Eq for OrderedScore {}

impl PartialOrd for OrderedScore {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedScore {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The cosine of two vectors of unit length, in sixteen sums that a processor adds to at the same time.
pub(in crate::knowledge) fn dot(one: &[f32], other: &[f32]) -> f32 {
    let (ones, rest) = one.as_chunks::<16>();
    let (others, other_rest) = other.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in ones.iter().zip(others) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = rest.iter().zip(other_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A vector of unit length that a seed gives.
    fn vector(seed: u64, dimensions: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut drawn = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut vector: Vec<f32> = (0..dimensions).map(|_| drawn()).collect();
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|value| *value /= length);
        vector
    }

    fn exact(all: &[(i64, Vec<f32>)], vector: &[f32], count: usize) -> Vec<i64> {
        let cosine = |other: &[f32]| vector.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let mut by_cosine: Vec<_> = all.iter().map(|(row, other)| (cosine(other), *row)).collect();
        by_cosine.sort_by(|one, other| other.0.total_cmp(&one.0));
        by_cosine.into_iter().take(count).map(|(_, row)| row).collect()
    }

    #[test]
    fn the_nearest_are_those_of_an_exact_comparison() {
        for (count, dimensions) in [(1, 384), (100, 30), (2_000, 384), (5_000, 100)] {
            let all: Vec<_> = (0..count).map(|n| (n * 3, vector(i64::unsigned_abs(n), dimensions))).collect();
            let mut nearest = Nearest::default();
            assert!(all.iter().all(|(row, vector)| nearest.put(*row, vector, 1)));
            let (mut found, mut wanted) = (0, 0);
            for asked in 0..50 {
                let asked = vector(1_000_000 + asked, dimensions);
                let best = nearest.best(&asked, 10, |_| true);
                assert!(best.windows(2).all(|two| two[0].1 >= two[1].1));
                let exact = exact(&all, &asked, 10);
                wanted += exact.len();
                found += best.iter().filter(|(row, _)| exact.contains(row)).count();
            }
            assert!(found * 1_000 >= wanted * 999, "{found} of {wanted} among {count}");
        }
    }

    #[test]
    fn vectors_are_added_replaced_and_removed_in_place() {
        let mut nearest = Nearest::default();
        let all: Vec<_> = (0..600).map(|n| (n, vector(i64::unsigned_abs(n) + 1, 40))).collect();
        for (row, vector) in &all {
            nearest.put(*row, vector, 1);
        }
        for row in (0..600).filter(|row| row % 2 == 0) {
            nearest.remove(row);
        }
        nearest.remove(12_345);
        assert_eq!(nearest.rows().count(), 300);
        let moved = vector(77_777, 40);
        nearest.put(599, &moved, 1);
        for (row, vector) in all.iter().filter(|(row, _)| row % 2 == 1) {
            let asked = if *row == 599 { &moved } else { vector };
            let best = nearest.best(asked, 1, |_| true);
            assert_eq!(best[0].0, *row);
            assert!((best[0].1 - 1.0).abs() < 1e-4);
        }
        assert_eq!(nearest.cosine(0, &moved), None);
        assert!(nearest.cosine(599, &moved).unwrap() > 0.999);
    }

    #[test]
    fn vectors_of_other_dimensions_are_refused_and_find_nothing() {
        let mut nearest = Nearest::default();
        assert!(nearest.best(&[1.0], 3, |_| true).is_empty());
        assert!(nearest.put(1, &[1.0, 0.0], 1));
        assert!(!nearest.put(2, &[1.0, 0.0, 0.0], 1));
        assert!(nearest.best(&[1.0], 3, |_| true).is_empty());
        assert_eq!(nearest.cosine(1, &[1.0]), None);
        nearest.remove(1);
        assert!(nearest.put(2, &[1.0, 0.0, 0.0], 1), "none is left that has two");
    }
    #[test]
    fn a_row_with_several_vectors_is_found_once_by_the_nearest_and_only_admitted_ones_are_found() {
        for count in [100, 1_000] {
            let mut nearest = Nearest::default();
            for row in 0..count {
                let ways: Vec<f32> = (0..3).flat_map(|way| vector(row * 3 + way + 1, 32)).collect();
                assert!(nearest.put(i64::try_from(row).unwrap(), &ways, 3));
            }
            let asked = vector(7 * 3 + 2 + 1, 32);
            let best = nearest.best(&asked, 5, |_| true);
            assert_eq!(best[0].0, 7);
            assert!(
                (best[0].1 - 1.0).abs() < 1e-4 && (nearest.cosine(7, &asked).unwrap() - 1.0).abs() < 1e-4
            );
            assert_eq!(best.iter().filter(|(row, _)| *row == 7).count(), 1);
            let odd = nearest.best(&asked, 20, |row| row % 2 == 0);
            assert!(odd.len() == 20 && odd.iter().all(|(row, _)| row % 2 == 0), "{odd:?}");
            for row in (0..count).filter(|row| row % 3 != 0) {
                nearest.remove(i64::try_from(row).unwrap());
            }
            for row in (0..count).step_by(3) {
                let asked = vector(row * 3 + 1 + 1, 32);
                assert_eq!(nearest.best(&asked, 1, |_| true)[0].0, i64::try_from(row).unwrap());
            }
        }
    }
    #[test]
    fn an_entry_with_many_ways_leaves_room_for_others() {
        let mut nearest = Nearest::default();
        let asked = vector(1, 32);
        for row in 0..2 {
            let ways: Vec<f32> = (0..65).flat_map(|_| asked.clone()).collect();
            nearest.put(row, &ways, 65);
        }
        for row in 2..302 {
            nearest.put(row, &vector(row.unsigned_abs() + 10, 32), 1);
        }
        let best = nearest.best(&asked, 30, |_| true);
        assert_eq!(best.len(), 30);
        assert_eq!((best[0].0, best[1].0), (0, 1));
        let alone = nearest.best(&asked, 30, |row| row < 2);
        assert_eq!(alone.len(), 2);
    }
}
