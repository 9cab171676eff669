//! How many words a text shares with the nearest example.

use std::collections::BTreeMap;

use super::learner::Features;

/// Which examples have which features.
#[derive(Clone, Debug)]
pub(super) struct SharedWords {
    /// Of each dimension of the features, which examples have it, and how much of it.
    holders: BTreeMap<usize, Vec<(u32, f32)>>,
    examples: usize,
}

impl SharedWords {
    /// Of the features of all examples.
    pub(super) fn of(examples: impl Iterator<Item = Features>) -> Self {
        let mut all = Self { holders: BTreeMap::new(), examples: 0 };
        for (number, features) in (0..).zip(examples) {
            for (dimension, weight) in features {
                all.holders.entry(dimension).or_default().push((number, weight));
            }
            all.examples += 1;
        }
        all
    }

    /// The cosine of the example that is nearest in words, 0 to 1.
    pub(super) fn nearest(&self, features: &Features) -> f32 {
        let mut cosines = vec![0.0_f32; self.examples];
        for (dimension, weight) in features {
            for (example, held) in self.holders.get(dimension).into_iter().flatten() {
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
            (vec![], 0.0),
        ] {
            assert!((shared.nearest(&features) - expected).abs() < 1e-6, "{features:?}");
        }
    }
}
