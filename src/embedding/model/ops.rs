//! The arithmetic of one layer, on rows of numbers in place. It runs on the thread that calls it: candle's own operations on
//! many numbers share them out among threads of the whole process, which wait for each other by spinning.

/// Adds a bias to each row.
pub(super) fn add_bias(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
    }
}

/// Softmax of each row of so many numbers, each multiplied by `scale` before.
pub(super) fn softmax(rows: &mut [f32], width: usize, scale: f32) {
    for row in rows.chunks_exact_mut(width) {
        let max = row.iter().fold(f32::NEG_INFINITY, |max, value| max.max(*value));
        let mut sum = 0.0;
        for value in row.iter_mut() {
            *value = ((*value - max) * scale).exp();
            sum += *value;
        }
        row.iter_mut().for_each(|value| *value /= sum);
    }
}

/// Adds `others` to `rows`, then gives each row the mean 0 and the variance 1, times `gamma` plus `beta`.
pub(super) fn add_and_norm(rows: &mut [f32], others: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    let width = gamma.len();
    for (row, other) in rows.chunks_exact_mut(width).zip(others.chunks_exact(width)) {
        row.iter_mut().zip(other).for_each(|(value, other)| *value += other);
        norm(row, gamma, beta, epsilon);
    }
}

/// Gives a row the mean 0 and the variance 1, times `gamma` plus `beta`.
pub(super) fn norm(row: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    #[expect(clippy::cast_precision_loss, reason = "some hundred dimensions")]
    let width = row.len() as f32;
    let mean = row.iter().sum::<f32>() / width;
    let variance = row.iter().map(|value| (value - mean) * (value - mean)).sum::<f32>() / width;
    let scale = 1.0 / (variance + epsilon).sqrt();
    for ((value, gamma), beta) in row.iter_mut().zip(gamma).zip(beta) {
        *value = (*value - mean) * scale * gamma + beta;
    }
}

/// How a layer bends its numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Activation {
    /// `x * P(X <= x)` of the normal distribution.
    Gelu,
    /// The same, by a hyperbolic tangent: <https://arxiv.org/abs/1606.08415>.
    GeluTanh,
    /// The positive part.
    Relu,
}

impl Activation {
    /// Bends each number.
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Gelu => {
                values.iter_mut().for_each(|x| *x *= 0.5 * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2)));
            }
            Self::GeluTanh => {
                // sqrt(2 / pi)
                let bent = |x: f32| 0.797_884_6 * (x + 0.044_715 * x * x * x);
                values.iter_mut().for_each(|x| *x *= 0.5 * (1.0 + bent(*x).tanh()));
            }
            Self::Relu => values.iter_mut().for_each(|x| *x = x.max(0.0)),
        }
    }
}

/// The error function, to 1.5e-7: formula 7.1.26 of Abramowitz and Stegun, Handbook of Mathematical Functions
/// (<https://personal.math.ubc.ca/~cbm/aands/page_299.htm>).
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let tail =
        t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - tail * (-x * x).exp()).copysign(x)
}

/// Gives a vector unit length; one that has none, or is no number, gets it along the first axis.
pub(super) fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 && length.is_finite() {
        vector.iter_mut().for_each(|value| *value /= length);
    } else {
        vector.fill(0.0);
        vector.iter_mut().take(1).for_each(|first| *first = 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?} {expected:?}");
    }

    #[test]
    fn a_bias_is_added_to_each_row() {
        let mut rows = [1.0, 2.0, 3.0, 4.0];
        add_bias(&mut rows, &[10.0, 20.0]);
        close(&rows, &[11.0, 22.0, 13.0, 24.0]);
    }

    #[test]
    fn a_softmax_sums_to_one_and_takes_large_numbers() {
        let mut rows = [0.0, 0.0, 1_000.0, 0.0, 2.0_f32.ln(), 0.0];
        softmax(&mut rows, 2, 1.0);
        close(&rows, &[0.5, 0.5, 1.0, 0.0, 2.0 / 3.0, 1.0 / 3.0]);
    }

    #[test]
    fn rows_are_normed_each_by_itself() {
        let mut rows = [1.0, 2.0, 10.0, 30.0];
        add_and_norm(&mut rows, &[0.0, 1.0, 0.0, 0.0], &[1.0, 2.0], &[0.0, 5.0], 0.0);
        close(&rows, &[-1.0, 7.0, -1.0, 7.0]);
    }

    #[test]
    fn activations_are_what_their_definitions_give() {
        // Of Python's math.erf and math.tanh.
        for (activation, expected) in [
            (Activation::Gelu, [-0.004_049_7, -0.158_655_3, 0.0, 0.345_731_2, 2.995_950_3]),
            (Activation::GeluTanh, [-0.003_637_4, -0.158_808, 0.0, 0.345_714, 2.996_362_7]),
            (Activation::Relu, [0.0, 0.0, 0.0, 0.5, 3.0]),
        ] {
            let mut values = [-3.0, -1.0, 0.0, 0.5, 3.0];
            activation.apply(&mut values);
            close(&values, &expected);
        }
    }

    #[test]
    fn a_vector_gets_unit_length() {
        let (mut vector, mut nothing) = ([3.0, 4.0], [0.0, 0.0]);
        normalise(&mut vector);
        normalise(&mut nothing);
        close(&vector, &[0.6, 0.8]);
        close(&nothing, &[1.0, 0.0]);
        let mut nonsense = [f32::NAN, 1.0];
        normalise(&mut nonsense);
        close(&nonsense, &[1.0, 0.0]);
    }
}
