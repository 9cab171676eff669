//! Several opinions about a text made one whose probabilities can be believed. Pure.
//!
//! The logarithms of the opinions' probabilities are weighted and added (a logarithmic opinion pool). The weights are those by which
//! texts that were left out of training are the most likely; of a single opinion that is what is known as temperature scaling (Guo
//! et al. 2017, "On Calibration of Modern Neural Networks", section 4.2).

use super::learner::softmax;

/// The logarithms of probabilities, by class.
pub(super) type Opinion = Vec<f32>;

/// A probability that no opinion goes below: nobody is that sure.
const LEAST: f32 = 1e-9;

/// As if so many texts said that the assumed weights are right: a handful of examples must not lead far away from them.
const ASSUMED_COUNT: f64 = 5.0;

/// Passes over the weights at the most, the change of a weight that ends them, and the most that one may change at a time.
const PASSES: usize = 40;
const SETTLED: f64 = 1e-3;
const STRIDE: f64 = 0.5;

/// What is held of a text: opinions, and the index of its class.
pub(super) type Held = (Vec<Opinion>, usize);

/// An opinion from probabilities.
pub(super) fn opinion(probabilities: &[f32]) -> Opinion {
    probabilities.iter().map(|probability| probability.max(LEAST).ln()).collect()
}

/// How much each opinion counts.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Weights(Vec<f32>);

impl Weights {
    /// Those by which `held` are the most likely, drawn towards `assumed`, of which there is one for each opinion; none is negative.
    /// By Newton's method, a weight at a time: the likelihood is convex.
    pub(super) fn fit(held: &[Held], assumed: &[f32]) -> Self {
        let mut weights: Vec<f32> = assumed.to_vec();
        for _ in 0..PASSES {
            let mut moved = 0.0_f64;
            for (which, assumed) in assumed.iter().enumerate() {
                let (slope, bend) = slope(held, &weights, which);
                let now = f64::from(weights[which]);
                let slope = ASSUMED_COUNT.mul_add(now - f64::from(*assumed), slope);
                let step = (slope / (bend + ASSUMED_COUNT)).clamp(-STRIDE, STRIDE);
                let next = (now - step).max(0.0);
                moved = moved.max((next - now).abs());
                weights[which] = next as f32;
            }
            if moved < SETTLED {
                break;
            }
        }
        Self(weights)
    }

    /// The probability of each class.
    pub(super) fn pool(&self, opinions: &[Opinion]) -> Vec<f32> {
        pooled(&self.0, opinions)
    }
}

fn pooled(weights: &[f32], opinions: &[Opinion]) -> Vec<f32> {
    let classes = opinions.first().map_or(0, Vec::len);
    let mut scores = vec![0.0_f32; classes];
    for (weight, opinion) in weights.iter().zip(opinions) {
        for (score, log) in scores.iter_mut().zip(opinion) {
            *score += weight * log;
        }
    }
    softmax(&mut scores);
    scores
}

/// How fast the held texts become less likely with one of the weights, and how fast that changes.
fn slope(held: &[Held], weights: &[f32], which: usize) -> (f64, f64) {
    let (mut slope, mut bend) = (0.0, 0.0);
    for (opinions, class) in held {
        let (mut mean, mut square) = (0.0_f64, 0.0_f64);
        for (probability, log) in pooled(weights, opinions).iter().zip(&opinions[which]) {
            let (probability, log) = (f64::from(*probability), f64::from(*log));
            mean += probability * log;
            square += probability * log * log;
        }
        slope += mean - f64::from(opinions[which][*class]);
        bend += mean.mul_add(-mean, square);
    }
    (slope, bend)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opinions of one that is `sure` and right three times in four, beside one that knows nothing.
    fn held(count: usize, sure: f32) -> Vec<Held> {
        let nothing = opinion(&[0.5, 0.5]);
        (0..count)
            .map(|n| (vec![opinion(&[sure, 1.0 - sure]), nothing.clone()], usize::from(n % 4 == 0)))
            .collect()
    }

    #[test]
    fn a_pooled_probability_is_how_often_it_is_right() {
        for sure in [0.6, 0.9, 0.999] {
            let held = held(2_000, sure);
            let weights = Weights::fit(&held, &[1.0, 1.0]);
            let found = weights.pool(&held[0].0);
            assert!((found[0] - 0.75).abs() < 0.01, "{sure}: {found:?}");
        }
    }

    #[test]
    fn an_opinion_that_is_wrong_counts_nothing() {
        let wrong = (0..400).map(|n| {
            let (right, other) = if n % 2 == 0 { ([0.8, 0.2], [0.1, 0.9]) } else { ([0.2, 0.8], [0.9, 0.1]) };
            (vec![opinion(&right), opinion(&other)], n % 2)
        });
        let weights = Weights::fit(&wrong.collect::<Vec<_>>(), &[1.0, 1.0]);
        assert!(weights.0[0] > 1.0 && weights.0[1] < 1e-3, "{weights:?}");
    }

    #[test]
    fn a_handful_of_texts_leads_not_far_from_what_is_assumed() {
        assert_eq!(Weights::fit(&[], &[1.0, 0.3]), Weights(vec![1.0, 0.3]));
        let few = Weights::fit(&held(3, 0.99), &[1.0, 1.0]);
        let many = Weights::fit(&held(3_000, 0.99), &[1.0, 1.0]);
        assert!(few.0[0] > many.0[0] + 0.1, "{few:?} {many:?}");
    }

    #[test]
    fn an_impossible_class_is_only_unlikely() {
        let found = Weights(vec![1.0]).pool(&[opinion(&[1.0, 0.0])]);
        assert!(found[1] > 0.0 && found[0] < 1.0 + 1e-6, "{found:?}");
        assert_eq!(Weights(vec![]).pool(&[]), Vec::<f32>::new());
    }
}
