//! How many words a text shares with the nearest example.

use super::learner::Features;

/// Which examples have which features. All lie one behind another: a text has some sixty features, each of which is looked up.
#[derive(Clone, Debug)]
pub(super) struct SharedWords {
    /// Of each dimension of the features up to the last one that an example has, where its holders begin, and last where they end.
    starts: Vec<usize>,
    /// The examples that have a dimension, and how much of it, one dimension after another.
    holders: Vec<(u32, f32)>,
    examples: usize,
}

impl SharedWords {
    /// Of the features of all examples.
    pub(super) fn of(examples: impl Iterator<Item = Features>) -> Self {
        let mut held: Vec<(usize, u32, f32)> = vec![];
        let mut count = 0;
        for (example, features) in (0..).zip(examples) {
            held.extend(features.into_iter().map(|(dimension, weight)| (dimension, example, weight)));
            count += 1;
        }
        held.sort_unstable_by_key(|(dimension, example, _)| (*dimension, *example));
        let dimensions = held.last().map_or(0, |(dimension, ..)| dimension + 1);
        let starts = (0..=dimensions).map(|at| held.partition_point(|(dimension, ..)| *dimension < at));
        Self {
            starts: starts.collect(),
            holders: held.iter().map(|(_, example, weight)| (*example, *weight)).collect(),
            examples: count,
        }
    }

    /// The examples that have a dimension, and how much of it.
    fn holders(&self, dimension: usize) -> &[(u32, f32)] {
        match self.starts.get(dimension..dimension + 2) {
            Some(&[start, end]) => &self.holders[start..end],
            _ => &[],
        }
    }

    /// The cosine of the example that is nearest in words, 0 to 1.
    pub(super) fn nearest(&self, features: &Features) -> f32 {
        let mut cosines = vec![0.0_f32; self.examples];
        for (dimension, weight) in features {
            for (example, held) in self.holders(*dimension) {
                if let Some(cosine) = usize::try_from(*example).ok().and_then(|at| cosines.get_mut(at)) {
                    *cosine += weight * held;
                }
            }
        }
        cosines.into_iter().fold(0.0, f32::max).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_example_is_the_one_that_shares_the_most() {
        let examples = [vec![(0, 0.6), (1, 0.8)], vec![(2, 1.0)]];
        let shared = SharedWords::of(examples.iter().cloned());
        for (features, expected) in [
            (examples[0].clone(), 1.0),
            (vec![(1, 1.0)], 0.8),
            (vec![(2, 0.5), (9, 0.5)], 0.5),
            (vec![(3, 1.0)], 0.0),
            (vec![], 0.0),
        ] {
            assert!((shared.nearest(&features) - expected).abs() < 1e-6, "{features:?}");
        }
    }
}
