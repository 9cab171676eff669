//! The embedded classifier: learns the classes from example phrases when the program starts.

use std::collections::{BTreeMap, HashSet};

use tertulia_actors::domain::{Class, Embedding, Language};
use tertulia_actors::failpoint;
use tertulia_actors::ports::{ClassExample, Classifiable, Classification, ClassifierError, Compute};

use super::labels::{Example, LabelClassifier, with_names};
use crate::knowledge::examples::key;
use crate::knowledge::text::language::Languages;
use crate::knowledge::text::words::words;

/// Example phrases by class.
pub type Examples = BTreeMap<Class, Vec<String>>;

/// The built-in example phrases, a file per language.
const EXAMPLES: [&str; 2] = [include_str!("examples/en.toml"), include_str!("examples/ar.toml")];

/// Classifies by what the examples of each class have in common: words, pairs of words and pieces of words, and what they mean where
/// there is a model.
#[derive(Clone, Debug)]
pub struct ExampleClassifier {
    learnt: LabelClassifier,
    languages: Languages,
}

impl ExampleClassifier {
    /// Learns from the built-in examples and from the `extra` ones of this business, by their words alone; takes some hundredths of a
    /// second. Languages are detected among `languages` alone.
    #[must_use]
    pub fn new(languages: &[Language], extra: &Examples) -> Self {
        Self::of(languages, &examples(extra, &[]), &[])
    }

    /// Learns from examples as [`examples`] gathers them, and from what they mean, where their vectors are given.
    #[must_use]
    pub fn of(languages: &[Language], examples: &[Example], vectors: &[Option<Embedding>]) -> Self {
        Self { learnt: LabelClassifier::train(examples, vectors), languages: Languages::new(languages) }
    }

    /// The class and the language of a text, by its vector, too, where there is one.
    #[must_use]
    pub fn classify_now(&self, text: &str, embedding: Option<&[f32]>) -> Classification {
        let language = self.languages.detect(text);
        if words(text).is_empty() && !text.contains(['?', '؟']) {
            // Only signs and pictures: nothing that the examples could tell.
            return Classification { class: Class::Other, confidence: 0.5, scope: 0.5, language };
        }
        let found = self
            .learnt
            .classify(text, embedding)
            .and_then(|found| Some((found.label.parse().ok()?, found.probability, found.scope)));
        let (class, confidence, scope) = found.unwrap_or((Class::Other, 0.0, 0.0));
        Classification { class, confidence, scope, language }
    }
}

impl Compute for ExampleClassifier {
    type Request = Classifiable;
    type Response = Classification;
    type Error = ClassifierError;

    fn compute(&mut self, (text, embedding): Classifiable) -> Result<Classification, ClassifierError> {
        failpoint!("classifier.compute", text: &text, return Err(ClassifierError::Failed("failpoint".into())));
        Ok(self.classify_now(&text, embedding.as_deref()))
    }
}

/// All examples to learn from: the built-in ones, the `extra` ones of the configuration, those that are `kept` in the database, and
/// the names of the classes. Where several have the same words, the database is right, then the configuration.
#[must_use]
pub fn examples(extra: &Examples, kept: &[ClassExample]) -> Vec<Example> {
    let phrases = |examples: &Examples| -> Vec<Example> {
        let each = |(class, phrases): (&Class, &Vec<String>)| {
            phrases.iter().map(|phrase| example(*class, phrase)).collect::<Vec<_>>()
        };
        examples.iter().flat_map(each).collect()
    };
    let built_in = EXAMPLES.iter().flat_map(|file| phrases(&parse(file))).collect();
    let kept = kept.iter().map(|kept| example(kept.class, &kept.text)).collect();
    let mut known = HashSet::new();
    let mut all = Vec::new();
    for layer in [kept, phrases(extra), built_in] {
        let keys: Vec<String> = layer.iter().map(|example: &Example| key(&example.text)).collect();
        let news = layer.into_iter().zip(&keys).filter(|(_, key)| !known.contains(*key));
        all.extend(news.map(|(example, _)| example));
        known.extend(keys);
    }
    // The built-in ones first: training shuffles by place, and they are the same everywhere.
    all.reverse();
    with_names(all)
}

/// A file of examples: a list of phrases per class.
fn parse(file: &str) -> Examples {
    toml::from_str(file).expect("the built-in examples are parsed by a test")
}

fn example(class: Class, phrase: &str) -> Example {
    Example { text: phrase.to_owned(), label: class.to_string() }
}

#[cfg(test)]
mod tests {

    use super::*;

    const HELD_OUT: &str = include_str!("examples/held_out.toml");

    fn classifier() -> ExampleClassifier {
        ExampleClassifier::new(&[Language::ENGLISH, Language::ARABIC], &BTreeMap::new())
    }

    fn held_out() -> BTreeMap<Language, Examples> {
        toml::from_str(HELD_OUT).unwrap()
    }

    #[test]
    fn every_class_has_examples_in_both_languages() {
        for examples in EXAMPLES.map(parse) {
            for class in Class::ALL {
                let least = if matches!(class, Class::Other | Class::TemplateReply) { 10 } else { 25 };
                assert!(examples[&class].len() >= least, "{class}: {}", examples[&class].len());
            }
        }
    }

    #[test]
    fn held_out_phrases_are_not_among_the_examples() {
        let normal = |phrase: &String| words(phrase).join(" ");
        let known: Vec<_> = EXAMPLES
            .map(parse)
            .iter()
            .flat_map(|e| e.values().flatten().map(normal).collect::<Vec<_>>())
            .collect();
        for phrase in held_out().values().flat_map(|examples| examples.values().flatten()) {
            assert!(!known.contains(&normal(phrase)), "{phrase}");
        }
    }

    #[test]
    fn at_least_three_in_four_held_out_phrases_get_their_class_in_either_language() {
        let classifier = classifier();
        for (language, examples) in held_out() {
            let (mut right, mut all, mut confident, mut wrong) = (0_u32, 0_u32, 0_u32, String::new());
            for (class, phrase) in examples.iter().flat_map(|(class, p)| p.iter().map(move |p| (*class, p))) {
                let found = classifier.classify_now(phrase, None);
                all += 1;
                confident += u32::from(found.confidence >= 0.4);
                if found.class == class {
                    right += 1;
                } else {
                    wrong += &format!("\n  {class} -> {} ({:.2}): {phrase}", found.class, found.confidence);
                }
            }
            println!("{language}: {right} of {all} right, {confident} with confidence 0.4 or more{wrong}");
            assert!(all >= 30, "{language}: only {all} phrases");
            assert!(f64::from(right) >= 0.75 * f64::from(all), "{language}: {right} of {all}{wrong}");
            assert!(f64::from(confident) >= 0.8 * f64::from(all), "{language}: {confident} of {all}");
        }
    }

    #[test]
    fn a_business_can_add_examples_of_its_own() {
        let extra = BTreeMap::from([(Class::Suggestion, vec!["zorblax frimble".to_owned()])]);
        let taught = ExampleClassifier::new(&[Language::ENGLISH], &extra);
        let phrase = "zorblax frimble";
        assert_eq!(taught.classify_now(phrase, None).class, Class::Suggestion);
        assert_ne!(classifier().classify_now(phrase, None).class, Class::Suggestion);
    }

    #[test]
    fn of_examples_with_the_same_words_the_database_is_right_and_then_the_configuration() {
        let kept = |text: &str, class| ClassExample { text: text.into(), class, language: None };
        let extra = BTreeMap::from([(Class::Other, vec!["Thank you!".to_owned(), "Zorblax".to_owned()])]);
        let all = examples(&extra, &[kept("zorblax?", Class::Complaint), kept("hello", Class::Suggestion)]);
        let classes = |text: &str| -> Vec<&str> {
            all.iter().filter(|one| key(&one.text) == key(text)).map(|one| one.label.as_str()).collect()
        };
        for (text, expected) in [
            ("zorblax", &["complaint"][..]),
            ("thank you", &["other"]),
            ("hello", &["suggestion"]),
            ("good evening", &["greeting"]),
        ] {
            assert_eq!(classes(text), expected, "{text}");
        }
        let taught = ExampleClassifier::of(&[Language::ENGLISH], &all, &[]);
        assert_eq!(taught.classify_now("hello", None).class, Class::Suggestion);
    }

    #[test]
    fn texts_without_words_and_endless_texts_are_classified_too() {
        let classifier = classifier();
        assert_eq!(classifier.classify_now("", None).class, Class::Other);
        assert_eq!(classifier.classify_now(&"😀".repeat(4_096), None).class, Class::Other);
        assert_eq!(classifier.classify_now("\0\0", None).language, None);
        let found = classifier.classify_now(&"where is my order? ".repeat(100_000), None);
        assert!((0.0..=1.0).contains(&found.confidence));
    }

    #[test]
    fn language_goes_with_the_class() {
        let classifier = classifier();
        assert_eq!(classifier.classify_now("hi", None).language, Some(Language::ENGLISH));
        assert_eq!(classifier.classify_now("شكرا جزيلا", None).language, Some(Language::ARABIC));
    }
}
