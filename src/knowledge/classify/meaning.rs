//! Classification of texts by what they mean.

use super::learner::{Features, Learner, Pace};

/// What vectors of unit length are multiplied by: their numbers are small, and steps are made for features that are not.
const SCALE: f32 = 4.0;

/// How much weights shrink at each step, for one example; the more there are, the less each step may. With 0.3 to 1.5, ten examples
/// of each label of the development data gave the same share of right ones as logistic regression that is solved exactly.
const DECAY: f32 = 0.8;

/// The most that weights may shrink at a step, where there are few examples.
const DECAY_MAX: f32 = 1e-3;

/// Steps that are enough, and passes over the examples at the least and the most.
const STEPS: usize = 200_000;
const EPOCHS: (usize, usize) = (10, 40);

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
        #[expect(clippy::cast_precision_loss, reason = "some thousand examples")]
        let decay = (DECAY / examples.len() as f32).min(DECAY_MAX);
        let epochs = (STEPS / examples.len()).clamp(EPOCHS.0, EPOCHS.1);
        let learner = Learner::train(&read, classes, dimensions, Pace { epochs, step: 0.5, decay });
        Some(Self { learner, dimensions })
    }

    /// The probability of each class; none for a vector of another model.
    pub(super) fn predict(&self, vector: &[f32]) -> Option<Vec<f32>> {
        (vector.len() == self.dimensions).then(|| self.learner.predict(&features(vector)))
    }
}

fn features(vector: &[f32]) -> Features {
    vector.iter().map(|value| value * SCALE).enumerate().collect()
}
