//! Classification of texts by what they mean.

use super::learner::{Features, Learner};

/// Passes over the examples.
const EPOCHS: usize = 60;

/// What vectors of unit length are multiplied by: their numbers are small, and steps are made for features that are not.
const SCALE: f32 = 4.0;

/// Tells classes apart by the vectors of their examples.
#[derive(Clone, Debug)]
pub(super) struct MeaningClassifier {
    learner: Learner,
    dimensions: usize,
}

impl MeaningClassifier {
    /// Learns from vectors of unit length, each with the index of its class; none where there are no vectors.
    pub(super) fn train(examples: &[(usize, &[f32])], classes: usize) -> Option<Self> {
        let dimensions = examples.first()?.1.len();
        let read: Vec<(usize, Features)> =
            examples.iter().map(|(class, vector)| (*class, features(vector))).collect();
        Some(Self { learner: Learner::train(&read, classes, dimensions, EPOCHS), dimensions })
    }

    /// The probability of each class; none for a vector of another model.
    pub(super) fn predict(&self, vector: &[f32]) -> Option<Vec<f32>> {
        (vector.len() == self.dimensions).then(|| self.learner.predict(&features(vector)))
    }
}

fn features(vector: &[f32]) -> Features {
    vector.iter().map(|value| value * SCALE).enumerate().collect()
}
