//! The vectors of entries in memory, and the nearest of them: an exact scan, or a graph where there are very many.
//!
//! All vectors are compared in whole numbers of four bits first, of which a processor reads eight times as many, and the best of
//! them again as they are. Few vectors are compared as they are at once.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use pulp::Arch;

#[cfg(feature = "usearch")]
use super::graph::Graph;
use super::whole::{Whole, scan};

/// Candidates of the first comparison that are compared again, beside those that are asked for, of which there are 30 at the least.
const RESCORED: usize = 24;

/// A graph goes when there are less vectors than its limit by one in so many.
#[cfg(feature = "usearch")]
const KEPT_SHARE: usize = 10;

/// Rows that are looked at to tell whether many are admitted, about, and of how many one must be.
#[cfg(feature = "usearch")]
const SAMPLE: usize = 1_000;
#[cfg(feature = "usearch")]
const ADMITTED_SHARE: usize = 10;

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
    exact: Vec<Arc<[f32]>>,
    whole: Whole,
    /// How many vectors are compared one by one at the most; none where all are.
    exact_max: Option<usize>,
    #[cfg(feature = "usearch")]
    graph: Graph,
    /// It was said that there are more than that.
    #[cfg(not(feature = "usearch"))]
    is_told: bool,
}

impl Nearest {
    /// Compares no more vectors one by one than this, in a build with the feature `usearch`.
    pub(super) const fn limit(&mut self, exact_max: usize) {
        self.exact_max = Some(exact_max);
    }

    /// Has a graph made where there are too many vectors to be compared one by one. To be called before searches.
    #[cfg(feature = "usearch")]
    pub(super) fn refresh(&mut self) {
        let Self { rows, exact, exact_max, graph, .. } = self;
        let Some(max) = *exact_max else { return };
        // One that is there stays until there are clearly less: they may come and go around the limit.
        let kept = if graph.is_begun() { max - max / KEPT_SHARE } else { max };
        if rows.len() > kept {
            graph.refresh(rows.len(), || rows.iter().copied().zip(exact.iter().cloned()).collect());
        } else if graph.is_begun() {
            *graph = Graph::default();
        }
    }

    /// Says once that there are more vectors than should be compared one by one.
    #[cfg(not(feature = "usearch"))]
    pub(super) fn refresh(&mut self) {
        let all = self.rows.len();
        if let Some(max) = self.exact_max.filter(|max| all > *max && !self.is_told) {
            tracing::warn!(
                vectors = all,
                "more than vectors.exact_max ({max}): all are compared, since this build has no feature usearch"
            );
            self.is_told = true;
        }
    }

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
            self.exact.push(vector.into());
            self.whole.push(vector);
        }
        true
    }

    /// Removes the vectors of a row; the last ones take their places.
    pub(super) fn remove(&mut self, row: i64) {
        #[cfg(feature = "usearch")]
        self.graph.changed(row);
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
        }
        self.exact.swap_remove(place);
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
        let by_graph = self.of_graph(vector, count, &admits);
        let mut best = by_graph.unwrap_or_else(|| self.of_scan(vector, count, &admits));
        best.sort_unstable_by(|(row, one), (other_row, other)| other.total_cmp(one).then(row.cmp(other_row)));
        best.truncate(count);
        best
    }

    /// The best that the graph knows of, in no order; none where there is none, or where it finds too few, or few are admitted.
    #[cfg(feature = "usearch")]
    fn of_graph(
        &self,
        vector: &[f32],
        count: usize,
        admits: impl Fn(i64) -> bool,
    ) -> Option<Vec<(i64, f32)>> {
        if !self.graph.is_begun() || !self.are_many(&admits) {
            return None;
        }
        let rows = self.graph.candidates(vector, (count + RESCORED, count), admits)?;
        Some(rows.into_iter().filter_map(|row| Some((row, self.cosine(row, vector)?))).collect())
    }

    /// Whether many rows are admitted, by a sample of them: among few, a graph is walked for nothing.
    #[cfg(feature = "usearch")]
    fn are_many(&self, admits: impl Fn(i64) -> bool) -> bool {
        let sample = self.rows.iter().step_by(self.rows.len() / SAMPLE + 1);
        let (mut all, mut admitted) = (0, 0);
        for row in sample {
            all += 1;
            admitted += usize::from(admits(*row));
        }
        admitted * ADMITTED_SHARE >= all
    }

    #[cfg(not(feature = "usearch"))]
    #[expect(clippy::unused_self, reason = "as in a build with graphs")]
    fn of_graph(&self, _: &[f32], _: usize, _: impl Fn(i64) -> bool) -> Option<Vec<(i64, f32)>> {
        None
    }

    /// The best of all, and some more, in no order.
    fn of_scan(&self, vector: &[f32], count: usize, admits: impl Fn(i64) -> bool) -> Vec<(i64, f32)> {
        let all = self.rows.len();
        let mut wanted = count + RESCORED;
        loop {
            let places: Vec<usize> = if all <= COMPARED_AT_ONCE_MAX {
                (0..all).filter(|place| admits(self.rows[*place])).collect()
            } else {
                self.candidates(vector, wanted, &admits)
            };
            let is_all = places.len() < wanted || wanted >= all;
            let best = self.nearest_of_each(places, vector);
            // A row with many vectors may take up the places of others.
            if best.len() >= count || is_all {
                return best;
            }
            wanted *= 4;
        }
    }

    /// The rows at some places, each with the cosine of its nearest vector.
    fn nearest_of_each(&self, places: Vec<usize>, vector: &[f32]) -> Vec<(i64, f32)> {
        // By the best instructions that this processor has: the vectors lie anywhere, and more of them are under way at a time.
        let mut best: Vec<(i64, f32)> = Arch::new().dispatch(|| {
            let cosine = |place| (self.rows[place], self.cosine_at(place, vector));
            places.into_iter().map(cosine).collect()
        });
        best.sort_unstable_by(|(row, one), (other_row, other)| row.cmp(other_row).then(other.total_cmp(one)));
        best.dedup_by_key(|(row, _)| *row);
        best
    }

    /// The admitted places that seem the nearest in whole numbers, `count` of them if there are as many.
    fn candidates(&self, vector: &[f32], count: usize, admits: impl Fn(i64) -> bool) -> Vec<usize> {
        let mut best: Vec<(f32, usize)> = Vec::with_capacity(2 * count);
        // What is no higher is not among them.
        let mut least = f32::NEG_INFINITY;
        scan(&self.whole, vector, |start, scores| {
            for (place, score) in (start..).zip(scores) {
                if *score > least && admits(self.rows[place]) {
                    best.push((*score, place));
                    if best.len() == 2 * count {
                        least = keep_highest(&mut best, count);
                    }
                }
            }
        });
        keep_highest(&mut best, count);
        best.into_iter().map(|(_, place)| place).collect()
    }

    #[inline(always)]
    fn cosine_at(&self, place: usize, vector: &[f32]) -> f32 {
        dot(&self.exact[place], vector)
    }
}

/// Keeps the highest scores, at least one, and tells the lowest of them; that of the first ones where they are equal.
fn keep_highest(scored: &mut Vec<(f32, usize)>, count: usize) -> f32 {
    if scored.len() <= count {
        return f32::NEG_INFINITY;
    }
    let (_, (least, _), _) = scored
        .select_nth_unstable_by(count - 1, |(one, place), (other, other_place)| {
            other.total_cmp(one).then(place.cmp(other_place))
        });
    let least = *least;
    scored.truncate(count);
    least
}

/// The cosine of two vectors of unit length, in sixteen sums that a processor adds to at the same time.
#[inline(always)]
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
#[path = "nearest_tests.rs"]
mod tests;
