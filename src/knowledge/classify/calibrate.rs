//! How much each way of classifying is to be believed, found with examples that are left out of training.

use super::experts::{Experts, Said, Taught};
use super::features::{Kind, hash};
use super::pool::{Held, Weights};

/// Parts that the examples fall into; each in its turn is left out.
const PARTS: usize = 5;

/// Left-out examples that are enough: then no further part is left out, so that many examples take less than twice the time of
/// learning alone.
const LEFT_OUT_ENOUGH: usize = 1_000;

/// What is assumed of the opinions before any text is left out: by words alone, and with what a text means (words, meaning,
/// neighbours). Of the development data's draws of ten examples a label, about what was found on average.
const ASSUMED_OF_WORDS: [f32; 1] = [1.5];
const ASSUMED: [f32; 3] = [0.3, 1.0, 0.2];

/// What a text's opinions are worth.
#[derive(Clone, Debug)]
pub(super) struct Calibration {
    by_words: Weights,
    by_all: Weights,
    /// The scores of scope of the examples that were left out, lowest first.
    scopes: Vec<f32>,
}

impl Calibration {
    /// By examples that are left out, a part of each class at a time.
    pub(super) fn of(examples: &[Taught<'_>], classes: usize) -> Self {
        let left_out = leave_out(examples, classes);
        let opinions = |least: usize, most: usize| -> Vec<Held> {
            let fit = left_out.iter().filter(|(said, _)| said.opinions.len() >= least);
            fit.map(|(said, class)| (said.opinions[..most].to_vec(), *class)).collect()
        };
        let by_words = Weights::fit(&opinions(1, ASSUMED_OF_WORDS.len()), &ASSUMED_OF_WORDS);
        let by_all = Weights::fit(&opinions(ASSUMED.len(), ASSUMED.len()), &ASSUMED);
        let mut calibration = Self { by_words, by_all, scopes: vec![] };
        calibration.scopes = left_out.iter().map(|(said, _)| calibration.scope(said)).collect();
        calibration.scopes.sort_by(f32::total_cmp);
        calibration
    }

    /// The probability of each class.
    pub(super) fn probabilities(&self, said: &Said) -> Vec<f32> {
        let weights = if said.opinions.len() == ASSUMED.len() { &self.by_all } else { &self.by_words };
        weights.pool(&said.opinions)
    }

    /// How likely it is that a text belongs to any class: half the probability of what it is taken for, half the cosine of
    /// the nearest example.
    fn scope(&self, said: &Said) -> f32 {
        let highest = self.probabilities(said).into_iter().fold(0.0, f32::max);
        scope(highest, said.nearest)
    }

    /// The scores of scope of examples that were left out, lowest first.
    pub(super) fn scopes(&self) -> &[f32] {
        &self.scopes
    }
}

/// Half the probability of what a text is taken for, half the cosine of the nearest example.
pub(super) fn scope(probability: f32, nearest: f32) -> f32 {
    0.5 * probability + 0.5 * nearest
}

/// What is said of examples by those who have not seen them, with the index of their class.
fn leave_out(examples: &[Taught<'_>], classes: usize) -> Vec<(Said, usize)> {
    let parts = parts(examples, classes);
    let mut left_out = Vec::new();
    for part in 0..PARTS {
        let is_out = |(_, of): &(&Taught<'_>, &Option<usize>)| **of == Some(part);
        let pairs = || examples.iter().zip(&parts);
        let kept: Vec<_> = pairs().filter(|pair| !is_out(pair)).map(|(example, _)| *example).collect();
        if kept.len() == examples.len() {
            continue;
        }
        let experts = Experts::train(&kept, classes);
        let out = pairs().filter(is_out);
        left_out.extend(out.map(|(example, _)| (experts.ask(example.text, example.vector), example.class)));
        if left_out.len() >= LEFT_OUT_ENOUGH {
            break;
        }
    }
    left_out
}

/// The part of each example, those of each class in turn, in the order of their hashes: the order in which they were given may have
/// a meaning. None of names, which nobody writes, and of what is the only example of its class.
fn parts(examples: &[Taught<'_>], classes: usize) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..examples.len()).filter(|at| !examples[*at].is_name).collect();
    order.sort_by_cached_key(|at| hash(Kind::Word, &[examples[*at].text]));
    let mut counts = vec![0_usize; classes];
    order.iter().for_each(|at| counts[examples[*at].class] += 1);
    let mut seen = vec![0_usize; classes];
    let mut parts = vec![None; examples.len()];
    for at in order {
        let class = examples[at].class;
        if counts[class] > 1 {
            parts[at] = Some(seen[class] % PARTS);
            seen[class] += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(class: usize, is_name: bool) -> Taught<'static> {
        Taught { class, text: "x", vector: None, is_name }
    }

    #[test]
    fn examples_of_each_class_fall_into_parts_and_names_and_single_ones_stay() {
        let mut examples = vec![taught(0, true), taught(1, false), taught(1, true)];
        examples.extend([taught(0, false); 7]);
        let found = parts(&examples, 2);
        let expected: Vec<_> = [None; 3].into_iter().chain([0, 1, 2, 3, 4, 0, 1].map(Some)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn left_out_examples_are_judged_by_those_who_have_not_seen_them() {
        let texts = ["red", "red", "red", "blue", "blue", "blue"];
        let examples: Vec<_> = (0..)
            .zip(texts)
            .map(|(n, text)| Taught { class: usize::from(n >= 3), text, vector: None, is_name: false })
            .collect();
        let left_out = leave_out(&examples, 2);
        assert_eq!(left_out.len(), 6);
        assert!(left_out.iter().all(|(said, class)| said.opinions[0][*class] > said.opinions[0][1 - *class]));
        // Whoever is the only one that says something is not near anything once it is left out.
        let strange = [taught(0, false), Taught { text: "zorblax", ..taught(0, false) }];
        let left_out = leave_out(&strange, 1);
        assert!(left_out.iter().all(|(said, _)| said.nearest < 0.5), "{left_out:?}");
    }

    #[test]
    fn scope_is_half_the_probability_and_half_the_nearest() {
        for (probability, nearest, expected) in [(1.0, 1.0, 1.0), (0.5, 0.0, 0.25), (0.2, 0.8, 0.5)] {
            assert!((scope(probability, nearest) - expected).abs() < 1e-6);
        }
    }
}
