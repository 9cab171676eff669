//! The figures of an evaluation. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

/// A share of some things, 0 to 1; none of nothing.
pub(super) fn share(part: usize, all: usize) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let share = part as f64 / all as f64;
    (all > 0).then_some(share)
}

/// How often each label was taken for each other one.
#[derive(Clone, PartialEq, Default, Debug, Serialize)]
pub struct Confusion {
    /// Of each true label, what it was taken for, and how often.
    pub counts: BTreeMap<String, BTreeMap<String, usize>>,
}

/// How well one label was found.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct OfLabel {
    /// Which.
    pub label: String,
    /// How many texts have it.
    pub texts: usize,
    /// The share of what was taken for it that is it.
    pub precision: Option<f64>,
    /// The share of it that was found.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
}

impl Confusion {
    /// Counts one text.
    pub(super) fn add(&mut self, label: &str, taken_for: &str) {
        *self.counts.entry(label.to_owned()).or_default().entry(taken_for.to_owned()).or_default() += 1;
    }

    /// How many texts were counted.
    pub(super) fn all(&self) -> usize {
        self.counts.values().flat_map(BTreeMap::values).sum()
    }

    /// The share that was taken for what it is.
    pub(super) fn accuracy(&self) -> Option<f64> {
        let right = self.counts.iter().filter_map(|(label, taken)| taken.get(label)).sum();
        share(right, self.all())
    }

    /// How well each label was found, those that occur in no text too.
    pub(super) fn by_label(&self) -> Vec<OfLabel> {
        let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
        for (label, count) in self.counts.values().flatten() {
            *taken.entry(label).or_default() += count;
        }
        let named = self.counts.keys().map(String::as_str).chain(taken.keys().copied());
        let mut labels: Vec<&str> = named.collect();
        labels.sort_unstable();
        labels.dedup();
        labels
            .into_iter()
            .map(|label| {
                let row = self.counts.get(label);
                let texts = row.map_or(0, |row| row.values().sum());
                let right = row.and_then(|row| row.get(label)).copied().unwrap_or_default();
                let precision = share(right, taken.get(label).copied().unwrap_or_default());
                let recall = share(right, texts);
                OfLabel { label: label.to_owned(), texts, precision, recall, f1: f1(precision, recall) }
            })
            .collect()
    }

    /// The most frequent mistakes: what it is, what it was taken for, how often.
    pub(super) fn mistakes(&self, most: usize) -> Vec<(&str, &str, usize)> {
        let all = self.counts.iter().flat_map(|(label, taken)| {
            taken.iter().map(move |(other, count)| (label.as_str(), other.as_str(), *count))
        });
        let mut wrong: Vec<_> = all.filter(|(label, other, _)| label != other).collect();
        wrong.sort_by_key(|(label, other, count)| (std::cmp::Reverse(*count), *label, *other));
        wrong.truncate(most);
        wrong
    }
}

/// The mean of the labels' F1; of labels that occur.
pub(super) fn macro_f1(labels: &[OfLabel]) -> Option<f64> {
    let known: Vec<f64> =
        labels.iter().filter(|label| label.texts > 0).map(|label| label.f1.unwrap_or_default()).collect();
    #[expect(clippy::cast_precision_loss, reason = "some hundred labels")]
    let count = known.len() as f64;
    (count > 0.0).then(|| known.iter().sum::<f64>() / count)
}

fn f1(precision: Option<f64>, recall: Option<f64>) -> Option<f64> {
    let (precision, recall) = (precision.unwrap_or_default(), recall?);
    let sum = precision + recall;
    Some(if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 })
}

/// The probability that a thing of the first kind scores higher than one of the second (AUROC, by Mann and Whitney's sum
/// of ranks; equal scores count half). None where there is nothing of one kind.
pub(super) fn auroc(high: &[f32], low: &[f32]) -> Option<f64> {
    let mut all: Vec<(f32, bool)> =
        high.iter().map(|score| (*score, true)).chain(low.iter().map(|score| (*score, false))).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut wins) = (0_usize, 0.0_f64);
    for same in all.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let highs = same.iter().filter(|(_, is_high)| *is_high).count();
        let lows = same.len() - highs;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let won = highs as f64 * (below as f64 + lows as f64 / 2.0);
        wins += won;
        below += lows;
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let pairs = high.len() as f64 * low.len() as f64;
    (pairs > 0.0).then_some(wins / pairs)
}

/// Bins of probabilities, as is usual (Guo et al. 2017, "On Calibration of Modern Neural Networks").
const BINS: usize = 15;

/// How far probabilities are from the truth.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Calibration {
    /// Of each bin of the highest probabilities: how many, their sum, and how many of them were right.
    bins: [(usize, f64, usize); BINS],
    /// The sum of the squared distances.
    distance: f64,
}

impl Calibration {
    /// Counts one text: the probability of each label, and which is the truth; none where it is no label at all.
    pub(super) fn add(&mut self, probabilities: &[f32], truth: Option<usize>) {
        let best = probabilities.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other));
        let Some((best, probability)) = best else { return };
        let probability = f64::from(*probability);
        #[expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "a probability in fifteenths")]
        let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
        let (count, sum, right) = &mut self.bins[bin];
        *count += 1;
        *sum += probability;
        *right += usize::from(truth == Some(best));
        let missing = if truth.is_none() { 1.0 } else { 0.0 };
        let distance = probabilities.iter().enumerate().map(|(label, probability)| {
            let truth = if truth == Some(label) { 1.0 } else { 0.0 };
            (f64::from(*probability) - truth).powi(2)
        });
        self.distance += distance.sum::<f64>() + missing;
    }

    /// How many texts were counted.
    fn all(&self) -> usize {
        self.bins.iter().map(|(count, ..)| count).sum()
    }

    /// The expected calibration error: the mean distance of a bin's probability from its share of right ones.
    pub(super) fn ece(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let distance: f64 = self.bins.iter().map(|(_, sum, right)| (sum - *right as f64).abs()).sum();
        self.mean(distance)
    }

    /// The mean squared distance of all probabilities from the truth (Brier 1950), 0 to 2.
    pub(super) fn brier(&self) -> Option<f64> {
        self.mean(self.distance)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let all = self.all() as f64;
        (all > 0.0).then_some(sum / all)
    }
}

/// How well questions found their documents.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Recall {
    /// Questions.
    pub questions: usize,
    /// The share of a question's relevant documents that is among the first hit, on average; with one relevant document a
    /// question, the share of questions whose first hit it is.
    pub recall_at_1: f64,
    /// The share among the first three hits.
    pub recall_at_3: f64,
    /// The share among the first ten.
    pub recall_at_10: f64,
    /// The mean of 1 / rank of the first relevant hit among the first three, 0 where there is none.
    pub mrr_at_3: f64,
}

/// What one question found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ranks {
    /// The ranks, from 1, of the relevant documents that were found, lowest first.
    pub(super) found: Vec<usize>,
    /// How many documents are relevant.
    pub(super) relevant: usize,
}

/// Of what each question found.
pub(super) fn recall(questions: &[Ranks]) -> Recall {
    let mean = |of: &dyn Fn(&Ranks) -> f64| {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let count = questions.len().max(1) as f64;
        questions.iter().map(of).sum::<f64>() / count
    };
    let within = |most: usize| {
        mean(&|ranks| {
            let found = ranks.found.iter().filter(|rank| **rank <= most).count();
            share(found, ranks.relevant).unwrap_or_default()
        })
    };
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    let reciprocal =
        |ranks: &Ranks| ranks.found.first().filter(|rank| **rank <= 3).map_or(0.0, |rank| 1.0 / *rank as f64);
    Recall {
        questions: questions.len(),
        recall_at_1: within(1),
        recall_at_3: within(3),
        recall_at_10: within(10),
        mrr_at_3: mean(&reciprocal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(one: Option<f64>, other: f64) -> bool {
        one.is_some_and(|one| (one - other).abs() < 1e-9)
    }

    #[test]
    fn what_was_found_of_each_label() {
        let mut confusion = Confusion::default();
        for (label, taken) in [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("c", "a")] {
            confusion.add(label, taken);
        }
        assert!(near(confusion.accuracy(), 0.6));
        let labels = confusion.by_label();
        assert!(near(labels[0].precision, 2.0 / 3.0) && near(labels[0].recall, 2.0 / 3.0));
        assert!(near(labels[1].precision, 0.5) && near(labels[1].recall, 1.0));
        assert!(labels[2].precision.is_none() && near(labels[2].recall, 0.0) && near(labels[2].f1, 0.0));
        assert!(near(macro_f1(&labels), (2.0 / 3.0 + 2.0 / 3.0) / 3.0));
        assert_eq!(confusion.mistakes(9), [("a", "b", 1), ("c", "a", 1)]);
        assert_eq!(Confusion::default().accuracy(), None);
    }

    #[test]
    fn auroc_is_the_share_of_pairs_in_order() {
        for (high, low, expected) in [
            (&[0.9, 0.8][..], &[0.1, 0.2][..], 1.0),
            (&[0.1], &[0.9], 0.0),
            (&[0.5, 0.9], &[0.5, 0.1], 0.875),
            (&[0.5], &[0.5], 0.5),
        ] {
            assert!(near(auroc(high, low), expected), "{high:?} {low:?}");
        }
        assert_eq!(auroc(&[], &[0.1]), None);
    }

    #[test]
    fn calibration_is_how_far_probabilities_are_from_the_truth() {
        // Worked out by hand: probabilities, the truth, the distance of the bin's sum, the squared distance.
        for (texts, ece, brier) in [
            (vec![([1.0, 0.0], Some(0))], 0.0, 0.0),
            (vec![([1.0, 0.0], Some(1))], 1.0, 2.0),
            (vec![([0.75, 0.25], Some(0))], 0.25, 0.125),
            (vec![([0.75, 0.25], None)], 0.75, 1.625),
            // One bin in which half is right, as it says.
            (vec![([0.5, 0.5], Some(0)), ([0.5, 0.5], Some(1))], 0.0, 0.5),
            (vec![([0.9, 0.1], Some(0)), ([0.3, 0.7], Some(0))], 0.4, 0.5),
        ] {
            let mut calibration = Calibration::default();
            texts.iter().for_each(|(probabilities, truth)| calibration.add(probabilities, *truth));
            let close = |one: Option<f64>, other: f64| one.is_some_and(|one| (one - other).abs() < 1e-6);
            assert!(
                close(calibration.ece(), ece) && close(calibration.brier(), brier),
                "{texts:?} {calibration:?}"
            );
        }
        assert_eq!(Calibration::default().ece(), None);
    }

    #[test]
    fn recall_is_the_share_of_the_relevant_documents() {
        let ranks = |found: &[usize], relevant| Ranks { found: found.to_vec(), relevant };
        let one_each =
            recall(&[ranks(&[1], 1), ranks(&[2], 1), ranks(&[4], 1), ranks(&[11], 1), ranks(&[], 1)]);
        let two_each = recall(&[ranks(&[1, 3], 2), ranks(&[2], 2)]);
        assert_eq!(one_each.questions, 5);
        for (figure, expected) in [
            (one_each.recall_at_1, 0.2),
            (one_each.recall_at_3, 0.4),
            (one_each.recall_at_10, 0.6),
            (one_each.mrr_at_3, 0.3),
            (two_each.recall_at_1, 0.25),
            (two_each.recall_at_3, 0.75),
            (two_each.mrr_at_3, 0.75),
            (recall(&[]).recall_at_1, 0.0),
        ] {
            assert!((figure - expected).abs() < 1e-9, "{figure} {expected}");
        }
    }
}
