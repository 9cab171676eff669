//! How well a stored question fits what was asked. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::normalise::Stems;

/// What a query is worth at the most whose words are all in the answer and not in the question: enough to be shown to the
/// query service as a passage, too little to be given as the reply.
const ANSWER_SCORE_MAX: f32 = 0.5;

/// How telling a stem is that occurs in `count` of `total` questions: the inverse document frequency of BM25. A stem that
/// occurs nowhere is the most telling: it says that something else is asked.
pub(super) fn weight(count: u64, total: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "only the logarithm matters")]
    let (count, total) = (count.min(total) as f32, total as f32);
    (1.0 + (total - count + 0.5) / (count + 0.5)).ln()
}

/// The ways in which an entry's question puts it: each of its sentences that end with a question mark, and the whole.
pub(super) fn ways(question: &str) -> impl Iterator<Item = &str> {
    question.split_inclusive(['?', '؟', '\n']).filter(move |way| way.len() < question.len()).chain([question])
}

/// Scores an entry, 0 (nothing in common) to 1 (one of its ways has just the query's stems).
///
/// The better of two: the cosine between the query and the nearest way of putting the question, and half of the share of
/// the query that question and answer cover together. `weights` has the weight of the query's stems and `other` that of
/// any further one.
pub(super) fn score(
    stems: &Stems,
    query: &BTreeSet<String>,
    weights: &dyn Fn(&str) -> f32,
    question: &str,
    answer: &str,
) -> f32 {
    let nearest = ways(question)
        .map(|way| cosine(query, &stems.of(way).into_iter().collect(), weights))
        .fold(0.0, f32::max);
    let all: BTreeSet<_> = stems.of(question).into_iter().chain(stems.of(answer)).collect();
    nearest.max(ANSWER_SCORE_MAX * coverage(query, &all, weights)).clamp(0.0, 1.0)
}

/// The cosine of two sets of weighted stems.
fn cosine(one: &BTreeSet<String>, other: &BTreeSet<String>, weights: &dyn Fn(&str) -> f32) -> f32 {
    let square = |stem: &String| weights(stem).powi(2);
    let common: f32 = one.intersection(other).map(square).sum();
    let lengths = one.iter().map(square).sum::<f32>().sqrt() * other.iter().map(square).sum::<f32>().sqrt();
    if lengths > f32::EPSILON { common / lengths } else { 0.0 }
}

/// The share of the query's weight that `words` cover.
fn coverage(query: &BTreeSet<String>, words: &BTreeSet<String>, weights: &dyn Fn(&str) -> f32) -> f32 {
    let all: f32 = query.iter().map(|stem| weights(stem)).sum();
    let common: f32 = query.intersection(words).map(|stem| weights(stem)).sum();
    if all > f32::EPSILON { common / all } else { 0.0 }
}

/// Weights of stems by the number of questions they occur in.
pub(super) fn weights(counts: &BTreeMap<String, u64>, total: u64) -> impl Fn(&str) -> f32 {
    move |stem| weight(counts.get(stem).copied().unwrap_or(0), total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores with "water" in every second question of 100, all other stems in one.
    fn check(query: &str, question: &str, answer: &str) -> f32 {
        let stems = Stems::new();
        let query = stems.of(query).into_iter().collect();
        let weights = |stem: &str| weight(if stem == "water" { 50 } else { 1 }, 100);
        score(&stems, &query, &weights, question, answer)
    }

    #[test]
    fn rare_stems_weigh_more() {
        let weights: Vec<_> = [0, 1, 10, 50, 100, 200].map(|count| weight(count, 100)).to_vec();
        assert!(weights.windows(2).all(|two| two[0] >= two[1]), "{weights:?}");
        assert!(weights.iter().all(|weight| *weight > 0.0));
        assert!(weight(0, 0) > 0.0);
    }

    #[test]
    fn scores_fit_the_thresholds_for_replies_and_passages() {
        let (reply, passage) = (0.6, 0.15);
        let answer = "Order before four and it comes the same day.";
        for (query, question, least, most) in [
            ("How long does delivery take?", "How long does delivery take?", 0.999, 1.0),
            ("how LONG do deliveries take", "How long does delivery take?", 0.999, 1.0),
            ("delivery, how long?", "How long does delivery take? When does my water arrive?", reply, 1.0),
            (
                "when will my water arrive",
                "How long does delivery take? When does my water arrive?",
                0.999,
                1.0,
            ),
            ("is it the same day", "How long does delivery take?", passage, 0.5),
            ("do you deliver pizza and burgers", "How long does delivery take?", 0.0, reply),
            ("water", "Where does your water come from?", 0.0, reply),
            ("my cat is black", "How long does delivery take?", 0.0, 0.0),
            ("كم يستغرق التوصيل", "كم يستغرق التوصيل؟ متى يصل الماء؟", 0.999, 1.0),
        ] {
            let score = check(query, question, answer);
            assert!((least..=most).contains(&score), "{query:?}: {score}, not in {least}..={most}");
        }
    }

    #[test]
    fn nothing_asked_or_stored_scores_nothing() {
        for (query, question, answer) in [("", "a question?", "x"), ("water", "", ""), ("", "", "")] {
            assert!(check(query, question, answer).abs() < f32::EPSILON);
        }
    }

    #[test]
    fn a_question_is_put_in_each_of_its_sentences_and_in_all() {
        assert_eq!(ways("One? Two?").collect::<Vec<_>>(), ["One?", " Two?", "One? Two?"]);
        assert_eq!(ways("One?").collect::<Vec<_>>(), ["One?"]);
        assert_eq!(ways("").collect::<Vec<_>>(), [""]);
    }
}
