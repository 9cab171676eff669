//! How well a stored question fits what was asked. Pure.

use std::collections::{BTreeSet, HashMap};

use super::normalise::{Stems, TEXT_CHARS_MAX};

/// What a query is worth at the most whose words are all in the answer and not in the question: enough to be shown to the
/// query service as a passage, less than any threshold for a reply, since an answer mentions much that it does not
/// answer.
const ANSWER_SCORE_MAX: f32 = 0.4;

/// How much a stem of the answer counts that the question does not have, where question and query have something else in
/// common.
const ANSWER_SHARE: f32 = 0.5;

/// Sentences of a query that are compared one by one, the first ones: a batch has at most some twenty messages.
const SENTENCES_MAX: usize = 32;

/// How telling stems are, from the number of questions they occur in.
#[derive(Default)]
pub(super) struct Weights {
    /// In how many questions each stem occurs; others occur nowhere.
    pub(super) counts: HashMap<String, u64>,
    /// How many questions there are.
    pub(super) total: u64,
}

impl Weights {
    /// The weight of a stem that occurs in `count` questions: the inverse document frequency of BM25. A stem that occurs
    /// nowhere is the most telling: it says that something else is asked.
    fn at(&self, count: u64) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "only the logarithm matters")]
        let (count, total) = (count.min(self.total) as f32, self.total as f32);
        (1.0 + (total - count + 0.5) / (count + 0.5)).ln()
    }

    fn of(&self, stem: &str) -> f32 {
        self.at(self.counts.get(stem).copied().unwrap_or(0))
    }

    /// The sum of the squared weights of some stems.
    fn squares<'a>(&self, stems: impl Iterator<Item = &'a String>) -> f32 {
        stems.map(|stem| self.of(stem).powi(2)).sum()
    }
}

/// What was asked, in each of its sentences that has a subject and in all: a greeting or a story around a question does
/// not make it another one.
pub(super) struct Asked {
    pub(super) all: BTreeSet<String>,
    ways: Vec<BTreeSet<String>>,
}

impl Asked {
    /// Reads a query, whose stems are `all`.
    pub(super) fn new(stems: &Stems, text: &str, all: BTreeSet<String>) -> Self {
        let start = text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(end, _)| &text[..end]);
        let mut ways: Vec<BTreeSet<_>> = sentences(stems, start).take(SENTENCES_MAX).collect();
        ways.push(all.clone());
        Self { all, ways }
    }
}

/// An entry, read into stems.
pub(super) struct Stored {
    /// The ways in which its question puts it: each of its sentences that has a subject, and the whole.
    ways: Vec<BTreeSet<String>>,
    answer: BTreeSet<String>,
    /// Of question and answer.
    all: BTreeSet<String>,
}

impl Stored {
    /// Reads an entry.
    pub(super) fn new(stems: &Stems, question: &str, answer: &str) -> Self {
        let whole: BTreeSet<_> = stems.of(question).into_iter().collect();
        let answer: BTreeSet<_> = stems.of(answer).into_iter().collect();
        let all = whole.union(&answer).cloned().collect();
        Self { ways: sentences(stems, question).chain([whole]).collect(), answer, all }
    }
}

/// The stems of each sentence that has a subject. "How much is it?" has none, so it is no way to ask for a price, whatever
/// stands before it.
fn sentences(stems: &Stems, text: &str) -> impl Iterator<Item = BTreeSet<String>> {
    text.split(['?', '؟', '!', '\n'])
        .flat_map(|part| part.split(". "))
        .map(|sentence| stems.of(sentence).into_iter().collect::<BTreeSet<_>>())
        .filter(|sentence| sentence.iter().any(|stem| stems.is_subject(stem)))
}

/// Scores an entry, 0 (nothing in common) to 1 (one of its ways has just the stems of a sentence of the query).
///
/// The better of two: how near the nearest ways of asking are, and a part of the share of the query that question and
/// answer cover together.
pub(super) fn score(stems: &Stems, asked: &Asked, weights: &Weights, stored: &Stored) -> f32 {
    let Stored { ways, answer, all } = stored;
    let pairs = asked.ways.iter().flat_map(|asked| ways.iter().map(move |way| (asked, way)));
    let nearest = pairs.map(|(asked, way)| nearness(stems, weights, asked, way, answer)).fold(0.0, f32::max);
    nearest.max(ANSWER_SCORE_MAX * coverage(&asked.all, all, weights)).clamp(0.0, 1.0)
}

/// The cosine of a sentence and a way of asking, as sets of weighted stems.
///
/// What only the answer mentions belongs to the way in part: who asks for the Marina is answered by a list of areas. The
/// cosine is lowered where what both have in common tells little: a word that many questions have does not choose one of
/// them. Nothing but stems without a subject, or of the answer, in common is not enough unless they are all.
fn nearness(
    stems: &Stems,
    weights: &Weights,
    asked: &BTreeSet<String>,
    way: &BTreeSet<String>,
    answer: &BTreeSet<String>,
) -> f32 {
    if asked != way && !asked.intersection(way).any(|stem| stems.is_subject(stem)) {
        return 0.0;
    }
    let is_mentioned =
        |stem: &&String| answer.contains(*stem) && !way.contains(*stem) && stems.is_subject(stem);
    let mentioned = ANSWER_SHARE * weights.squares(asked.iter().filter(is_mentioned));
    let common = weights.squares(asked.intersection(way));
    let lengths = (weights.squares(asked.iter()) * (weights.squares(way.iter()) + mentioned)).sqrt();
    if lengths <= f32::EPSILON {
        return 0.0;
    }
    let cosine = (common + mentioned) / lengths;
    let evidence = (common.sqrt() / weights.at(1)).min(1.0);
    cosine * (evidence + (1.0 - evidence) * cosine)
}

/// The share of the query's weight that `words` cover.
fn coverage(query: &BTreeSet<String>, words: &BTreeSet<String>, weights: &Weights) -> f32 {
    let all: f32 = query.iter().map(|stem| weights.of(stem)).sum();
    let common: f32 = query.intersection(words).map(|stem| weights.of(stem)).sum();
    if all > f32::EPSILON { common / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores with "water" in every second question of 100, all other stems in one.
    fn check(query: &str, question: &str, answer: &str) -> f32 {
        let stems = Stems::new();
        let texts = [query, question, answer];
        let mut counts: HashMap<_, _> =
            texts.iter().flat_map(|text| stems.of(text)).map(|stem| (stem, 1)).collect();
        counts.insert("water".into(), 50);
        let asked = Asked::new(&stems, query, stems.of(query).into_iter().collect());
        let stored = Stored::new(&stems, question, answer);
        score(&stems, &asked, &Weights { counts, total: 100 }, &stored)
    }

    #[test]
    fn rare_stems_weigh_more() {
        let of = |total| Weights { total, ..Weights::default() };
        let weights: Vec<_> = [0, 1, 10, 50, 100, 200].map(|count| of(100).at(count)).to_vec();
        assert!(weights.windows(2).all(|two| two[0] >= two[1]), "{weights:?}");
        assert!(weights.iter().all(|weight| *weight > 0.0));
        assert!(of(0).at(0) > 0.0);
    }

    #[test]
    fn scores_fit_the_thresholds_for_replies_and_passages() {
        let (reply, stored, passage) = (0.6, 0.5, 0.15);
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
            (
                "Hello!\nI live in town.\nHow long does delivery take?",
                "How long does delivery take?",
                0.999,
                1.0,
            ),
            ("is it the same day", "How long does delivery take?", passage, stored),
            ("do you deliver pizza and burgers", "How long does delivery take?", 0.0, stored),
            ("water", "Where does your water come from?", 0.0, stored),
            ("how long is it", "How long does delivery take? How long is it?", 0.0, stored),
            ("how long is it", "How long is it?", 0.999, 1.0),
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
    fn a_question_is_put_in_each_of_its_sentences_with_a_subject_and_in_all() {
        let stems = Stems::new();
        let put = |question| -> Vec<String> {
            Stored::new(&stems, question, "")
                .ways
                .iter()
                .map(|way| Vec::from_iter(way.clone()).join(" "))
                .collect()
        };
        assert_eq!(put("Water? 1.5 l. Bottles!"), ["water", "1 5 l", "bottl", "1 5 bottl l water"]);
        assert_eq!(put("A deposit? How much is it?"), ["deposit", "deposit much"]);
        assert_eq!(put("Who are you?"), ["are who you"]);
        assert_eq!(put(""), [""]);
    }

    #[test]
    fn an_endless_query_has_a_limited_number_of_ways() {
        let stems = Stems::new();
        assert_eq!(
            Asked::new(&stems, &"water? ".repeat(1_000), BTreeSet::new()).ways.len(),
            SENTENCES_MAX + 1
        );
    }
}
