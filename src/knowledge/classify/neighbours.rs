//! Classification of texts by the examples that mean about the same.

use super::learner::softmax;
use super::pool::{Opinion, opinion};
use crate::knowledge::search::dot;

/// How much more a nearer example counts: by e for each fortieth of the cosine. Of 10, 20 and 40 on the development data this one
/// was the best beside the other opinions.
const SHARPNESS: f32 = 40.0;

/// How far a class is without any example, in logarithms.
const FAR: f32 = 40.0;

/// The vectors of examples, with the indexes of their classes.
#[derive(Clone, Debug)]
pub(super) struct Neighbours {
    dimensions: usize,
    vectors: Vec<f32>,
    of: Vec<usize>,
    /// By class, how many there are.
    counts: Vec<f32>,
}

/// What the examples near a vector say.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Near {
    /// About its class.
    pub(super) opinion: Opinion,
    /// The cosine of the nearest one, 0 to 1.
    pub(super) nearest: f32,
}

impl Neighbours {
    /// Of vectors of unit length, each with the index of its class; none where there are no vectors. Those that have other
    /// dimensions than the first are left out.
    pub(super) fn of(examples: &[(usize, &[f32])], classes: usize) -> Option<Self> {
        let dimensions = examples.first()?.1.len();
        let mut all = Self { dimensions, vectors: vec![], of: vec![], counts: vec![0.0; classes] };
        for (class, vector) in examples.iter().filter(|(_, vector)| vector.len() == dimensions) {
            all.vectors.extend_from_slice(vector);
            all.of.push(*class);
            all.counts[*class] += 1.0;
        }
        (dimensions > 0).then_some(all)
    }

    /// What they say of a vector: for each class the mean of how near its examples are; none for a vector of another model.
    pub(super) fn near(&self, vector: &[f32]) -> Option<Near> {
        if vector.len() != self.dimensions {
            return None;
        }
        let mut nearest = 0.0_f32;
        let mut sums = vec![0.0_f32; self.counts.len()];
        for (class, other) in self.of.iter().zip(self.vectors.chunks_exact(self.dimensions)) {
            let cosine = dot(other, vector);
            nearest = nearest.max(cosine);
            sums[*class] += (SHARPNESS * (cosine - 1.0)).exp();
        }
        let mut scores: Vec<f32> =
            sums.iter().zip(&self.counts).map(|(sum, count)| (sum / count.max(1.0)).ln()).collect();
        // A class without any example is not at minus infinity, but far.
        scores.iter_mut().for_each(|score| *score = score.max(-FAR));
        softmax(&mut scores);
        Some(Near { opinion: opinion(&scores), nearest: nearest.min(1.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_the_nearest_examples_is_the_likeliest() {
        let examples = [(0, &[1.0, 0.0][..]), (0, &[0.8, 0.6]), (1, &[0.6, 0.8]), (1, &[1.0, 0.0, 0.0])];
        let neighbours = Neighbours::of(&examples, 3).unwrap();
        let Near { opinion, nearest } = neighbours.near(&[1.0, 0.0]).unwrap();
        assert!(opinion[0] > opinion[1] && opinion[1] > opinion[2], "{opinion:?}");
        assert!((nearest - 1.0).abs() < 1e-6);
        let Near { opinion, nearest } = neighbours.near(&[0.0, 1.0]).unwrap();
        assert!(opinion[1] > opinion[0], "{opinion:?}");
        assert!((nearest - 0.8).abs() < 1e-6);
        assert!(neighbours.near(&[0.0, -1.0]).unwrap().nearest < 1e-6);
        assert_eq!(neighbours.near(&[1.0, 0.0, 0.0]), None, "of another model");
        assert!(Neighbours::of(&[], 3).is_none());
    }
}
