//! What the examples mean, as far as that is known: only new texts are embedded, a page at a time.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tertulia_actors::domain::Embedding;
use tertulia_actors::ports::{Embeddable, Embedder, EmbedderError};

use super::labels::Example;

/// Texts that are embedded at a time.
pub(super) const PAGE: usize = 32;

/// How often a text is embedded in vain, before it tells by its words for good.
const TRIES_MAX: u8 = 3;

/// Texts of a page at which a model may say that it is away, while it embeds the others; of more it is taken to be so. Less than the
/// failures in a row at which a service is given up.
const AWAY_MAX: usize = 3;

/// What is known of a text.
enum Known {
    /// What it means; none where the model cannot read it, or has failed at it too often.
    Vector(Option<Embedding>),
    /// The model failed at this very text, so often.
    Failed(u8),
}

/// What the examples mean, and what finds it out. Bounded by the examples that there are.
pub(super) struct ExampleVectors {
    /// None: texts tell by their words alone.
    embedder: Option<Box<dyn Embedder>>,
    known: HashMap<String, Known>,
    /// Whether all that there were at a time have been asked for. Before that none counts: classes whose examples have a meaning would
    /// be told apart from those whose examples have none yet.
    counts: bool,
    /// Whether something was embedded since the last time that all had been asked for.
    has_gained: bool,
}

impl ExampleVectors {
    /// Nothing is known yet.
    pub(super) fn by(embedder: Option<Box<dyn Embedder>>) -> Self {
        Self { embedder, known: HashMap::new(), counts: false, has_gained: false }
    }

    /// What these examples mean, in their order; may be shorter.
    pub(super) fn of(&self, examples: &[Example]) -> Vec<Option<Embedding>> {
        let vector = |one: &Example| match self.known.get(&one.text) {
            Some(Known::Vector(vector)) => vector.clone(),
            Some(Known::Failed(_)) | None => None,
        };
        if self.counts { examples.iter().map(vector).collect() } else { vec![] }
    }

    /// Texts that are not known and worth a try, each once.
    pub(super) fn unknown<'a>(&self, examples: &'a [Example]) -> Vec<&'a str> {
        if self.embedder.is_none() {
            return vec![];
        }
        let mut seen = HashSet::new();
        let texts = examples.iter().map(|one| one.text.as_str());
        texts
            .filter(|text| !matches!(self.known.get(*text), Some(Known::Vector(_))) && seen.insert(*text))
            .collect()
    }

    /// Embeds what is not known, while anybody `wants` it, and forgets what is gone. Tells whether what [`Self::of`] says has changed.
    ///
    /// # Errors
    /// The model is away, which is no text's fault; what was embedded before is kept.
    pub(super) fn embed(
        &mut self,
        examples: &[Example],
        wants: impl Fn() -> bool,
    ) -> Result<bool, EmbedderError> {
        let texts: HashSet<&str> = examples.iter().map(|one| one.text.as_str()).collect();
        self.known.retain(|text, _| texts.contains(text.as_str()));
        let unknown = self.unknown(examples);
        let Some(embedder) = &mut self.embedder else { return Ok(false) };
        for page in unknown.chunks(PAGE) {
            if !wants() {
                return Ok(false);
            }
            for (text, outcome) in page.iter().zip(embed_page(embedder.as_mut(), page)?) {
                self.has_gained |= outcome.is_ok();
                note(&mut self.known, text, outcome);
            }
        }
        let counted = std::mem::replace(&mut self.counts, true);
        Ok(std::mem::take(&mut self.has_gained) || !counted)
    }
}

/// Remembers what came of a text. One that fails again and again is left alone.
fn note(known: &mut HashMap<String, Known>, text: &str, outcome: Result<Option<Embedding>, EmbedderError>) {
    let failures = match known.get(text) {
        Some(Known::Failed(failures)) => *failures,
        Some(Known::Vector(_)) | None => 0,
    };
    let now = match outcome {
        Ok(vector) => Known::Vector(vector),
        Err(error) if failures + 1 >= TRIES_MAX => {
            tracing::warn!(%error, "an example of a class cannot be embedded, and tells by its words alone");
            Known::Vector(None)
        }
        Err(_) => Known::Failed(failures + 1),
    };
    known.insert(text.to_owned(), now);
}

/// What came of each text of a page. Where it fails as a whole, each is embedded on its own. An endpoint may say of a single text what
/// it says when it is away: that is the text's own where others of the page are embedded.
///
/// # Errors
/// The model is away.
fn embed_page(
    embedder: &mut dyn Embedder,
    page: &[&str],
) -> Result<Vec<Result<Option<Embedding>, EmbedderError>>, EmbedderError> {
    let mut ask = |texts: &[&str]| {
        let asked = texts.iter().copied().map(Embeddable::query).collect();
        let embedded = catch_unwind(AssertUnwindSafe(|| embedder.compute(asked)));
        embedded.unwrap_or_else(|_| Err(EmbedderError::Failed("the model panicked".into())))
    };
    match ask(page) {
        Ok(vectors) => Ok(vectors.into_iter().map(Ok).collect()),
        Err(error) if page.len() == 1 => {
            if is_away(&error) {
                Err(error)
            } else {
                Ok(vec![Err(error)])
            }
        }
        Err(error) => {
            let mut answers_others = !is_away(&error);
            for text in [page.first(), page.get(page.len() / 2), page.last()].into_iter().flatten() {
                answers_others = answers_others || ask(&[text]).is_ok();
            }
            if !answers_others {
                return Err(error);
            }
            let alone = page.iter().map(|text| match ask(&[text]) {
                Err(error) if is_not_now(&error) => Err(error),
                alone => Ok(alone.map(|mut vectors| vectors.pop().flatten())),
            });
            let mut alone: Vec<_> = alone.collect::<Result<_, _>>()?;
            let away = alone.iter().filter(|outcome| outcome.as_ref().is_err_and(is_away)).count();
            if away > AWAY_MAX {
                return Err(error);
            }
            for outcome in alone.iter_mut().filter(|outcome| outcome.as_ref().is_err_and(is_away)) {
                tracing::warn!(%error, "an example of a class cannot be embedded, and tells by its words alone");
                *outcome = Ok(None);
            }
            Ok(alone)
        }
    }
}

/// Whether a model that says this says it of any text.
const fn is_away(error: &EmbedderError) -> bool {
    match error {
        EmbedderError::Unavailable(_) | EmbedderError::Throttled { .. } | EmbedderError::Shared(_) => true,
        EmbedderError::Failed(_) | EmbedderError::Refused(_) => false,
    }
}

/// Whether a model says so that does not even look at a text now.
const fn is_not_now(error: &EmbedderError) -> bool {
    matches!(error, EmbedderError::Throttled { .. } | EmbedderError::Shared(_))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use tertulia_actors::ports::Compute;

    use super::*;

    /// Embeds by a function of a text, and tells of each batch how long it was.
    pub(in super::super) struct By<F>(pub(in super::super) F, Sender<usize>);

    impl<F: FnMut(&str) -> Result<Option<Embedding>, EmbedderError> + 'static> By<F> {
        pub(in super::super) fn new(function: F) -> (Self, Receiver<usize>) {
            let (tells, told) = channel();
            (Self(function, tells), told)
        }
    }

    impl<F: FnMut(&str) -> Result<Option<Embedding>, EmbedderError> + 'static> Compute for By<F> {
        type Request = Vec<Embeddable>;
        type Response = Vec<Option<Embedding>>;
        type Error = EmbedderError;

        fn compute(&mut self, texts: Vec<Embeddable>) -> Result<Vec<Option<Embedding>>, EmbedderError> {
            // A test that asks nothing about this listens no longer.
            let _ = self.1.send(texts.len());
            texts.iter().map(|one| (self.0)(&one.text)).collect()
        }
    }

    fn examples(texts: &[&str]) -> Vec<Example> {
        texts.iter().map(|text| Example { text: (*text).into(), label: "a".into() }).collect()
    }

    fn vector() -> Option<Embedding> {
        Some(Embedding::from(vec![1.0]))
    }

    fn away() -> EmbedderError {
        EmbedderError::Unavailable("no connection".into())
    }

    #[test]
    fn a_text_that_fails_costs_no_other_its_vector_and_is_left_alone_after_some_tries() {
        let (by, told) = By::new(|text| match text {
            "bad" => Err(EmbedderError::Failed("bad".into())),
            "unread" => Ok(None),
            _ => Ok(vector()),
        });
        let mut vectors = ExampleVectors::by(Some(Box::new(by)));
        let all = examples(&["a", "bad", "unread", "b", "a"]);
        assert_eq!(vectors.unknown(&all), ["a", "bad", "unread", "b"]);
        for (has_changed, unknown, asked) in [
            (true, &["bad"][..], &[4, 1, 1, 1, 1][..]),
            (false, &["bad"], &[1]),
            (false, &[], &[1]),
            (false, &[], &[]),
        ] {
            assert_eq!(vectors.embed(&all, || true), Ok(has_changed));
            assert_eq!(vectors.unknown(&all), unknown);
            assert_eq!(told.try_iter().collect::<Vec<_>>(), asked);
            assert_eq!(vectors.of(&all), [vector(), None, None, vector(), vector()]);
        }
    }

    #[test]
    fn nothing_counts_before_all_is_known_and_what_is_known_stays_while_the_model_is_away() {
        let texts: Vec<String> = (0..3 * PAGE).map(|n| n.to_string()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut all = examples(&texts);
        let mut left = 2 * PAGE;
        let (by, told) = By::new(move |text| {
            left = left.wrapping_sub(1);
            // For the third page, and three of it alone.
            if left > usize::MAX - 4 || text == "away" { Err(away()) } else { Ok(vector()) }
        });
        let mut vectors = ExampleVectors::by(Some(Box::new(by)));
        assert_eq!(vectors.embed(&all, || true), Err(away()));
        assert_eq!((vectors.unknown(&all).len(), vectors.of(&all).len()), (PAGE, 0));
        assert_eq!(vectors.embed(&all, || true), Ok(true));
        assert_eq!(vectors.of(&all), vec![vector(); 3 * PAGE]);
        assert_eq!(
            told.try_iter().collect::<Vec<_>>(),
            [PAGE, PAGE, PAGE, 1, 1, 1, PAGE],
            "no text twice but those of the page that failed"
        );
        all.extend(examples(&["away"]));
        assert_eq!(vectors.embed(&all, || true), Err(away()));
        assert_eq!(vectors.of(&all).iter().flatten().count(), 3 * PAGE);
        assert_eq!(vectors.embed(&all[..1], || true), Ok(false));
        assert_eq!(vectors.unknown(&all).len(), 3 * PAGE, "what is gone is forgotten");
    }

    #[test]
    fn a_text_at_which_a_model_says_that_it_is_away_keeps_no_other_from_its_vector() {
        let (by, _told) = By::new(|text| if text == "bad" { Err(away()) } else { Ok(vector()) });
        let mut vectors = ExampleVectors::by(Some(Box::new(by)));
        let texts: Vec<String> = (0..PAGE).map(|n| n.to_string()).collect();
        let mut all = examples(&["bad"]);
        all.extend(examples(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(vectors.embed(&all, || true), Ok(true));
        assert_eq!(vectors.of(&all).iter().flatten().count(), PAGE);
        assert_eq!(vectors.unknown(&all), [""; 0], "it is left alone");
        // Of several it is taken to be away, though one of the page was embedded before it went.
        let mut left = 2;
        let (by, _told) = By::new(move |_| {
            left -= 1;
            if left == 0 { Ok(vector()) } else { Err(away()) }
        });
        let mut vectors = ExampleVectors::by(Some(Box::new(by)));
        assert_eq!(vectors.embed(&all, || true), Err(away()));
        assert_eq!(vectors.unknown(&all).len(), PAGE + 1);
    }

    #[test]
    fn a_panic_of_the_model_is_that_texts_own_and_nothing_is_embedded_that_nobody_wants() {
        let (by, _told) = By::new(|text| if text == "bad" { panic!("bad") } else { Ok(vector()) });
        let mut vectors = ExampleVectors::by(Some(Box::new(by)));
        let all = examples(&["bad", "a"]);
        assert_eq!(vectors.embed(&all, || false), Ok(false));
        assert_eq!(vectors.unknown(&all).len(), 2);
        assert_eq!(vectors.embed(&all, || true), Ok(true));
        assert_eq!(vectors.of(&all), [None, vector()]);
        let mut without = ExampleVectors::by(None);
        assert_eq!((without.embed(&all, || true), without.unknown(&all).len()), (Ok(false), 0));
    }
}
