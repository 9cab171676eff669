//! Stems: words that differ only in their endings become the same, by the rules of their language.
//!
//! Stemming is the work of `frostem`, the Snowball algorithms generated from their upstream source: it has no
//! dependencies, only the languages below are compiled, and it follows Snowball's fixes, which the older `rust-stemmers`
//! has not done since 2021. A new release can change stems, and so can a change here or in [`words`](super::words); then
//! [`INDEX_VERSION`] goes up.

use std::collections::{HashMap, HashSet};

use frostem::{Algorithm, Stemmer};
use tertulia_actors::domain::Language;

use super::words::{accented_words, is_arabic, is_unspaced, without_accents, words};

/// The rules of text by number: an index that was made by others is made anew when the server starts.
pub(in crate::knowledge) const INDEX_VERSION: i64 = 3;

/// What the pieces of words begin with in the index, so that none is taken for a word.
const PIECE: char = '_';

/// The languages that have a stemmer, by their ISO 639-1 code.
const STEMMERS: &[(&str, Algorithm)] = &[
    ("ar", Algorithm::Arabic),
    ("da", Algorithm::Danish),
    ("de", Algorithm::German),
    ("en", Algorithm::English),
    ("es", Algorithm::Spanish),
    ("fi", Algorithm::Finnish),
    ("fr", Algorithm::French),
    ("hu", Algorithm::Hungarian),
    ("id", Algorithm::Indonesian),
    ("it", Algorithm::Italian),
    ("nb", Algorithm::Norwegian),
    ("nl", Algorithm::Dutch),
    ("no", Algorithm::Norwegian),
    ("pt", Algorithm::Portuguese),
    ("ro", Algorithm::Romanian),
    ("ru", Algorithm::Russian),
    ("sv", Algorithm::Swedish),
    ("tr", Algorithm::Turkish),
];

/// Words that say nothing of what is asked.
const STOP_WORDS: &str = "a an the and or of to in on at for from by with about is are was were be been am do does did \
    doing have has had having i me my we us our you your he she it its they them this that these those there here so if \
    as but can could would should will shall may might must just please want need know tell like any some what whats \
    which how hi hello hey im id ill ok okay thanks thank thx dear sir madam also \
    من في على الى عن مع ما ماذا هل كيف هو هي هم انا انت انتم نحن هذا هذه ذلك تلك \
    التي الذي ان او ثم قد لقد كان كانت يكون تكون لي لكم لكن لو اذا حتى كل بعد قبل عند عندي عندكم لدي لديكم يا ايضا \
    اريد ارغب اود ممكن يمكن يمكنني احتاج نحتاج رجاء فضلك فضلكم سمحت سمحتم مرحبا اهلا هلا شكرا مشكورين";

/// Words that say how something is asked, or how much of it, and not what: they tell "where is my order" from "I want to
/// order", but two questions that have only these in common have nothing in common. Numbers in digits are like them.
const ASKING_WORDS: &str = "when where who why much many long often \
    one two three four five six seven eight nine ten dozen \
    متى متي اين وين كم بكم لماذا \
    واحد واحدة اثنان اثنين ثلاث ثلاثة اربع اربعة خمس خمسة ست ستة سبع سبعة ثمان ثمانية تسع تسعة عشر عشرة";

/// What people say around a question, a line each.
const COURTESIES: &str = "good morning
good afternoon
good evening
good day
thank you
thanks a lot
how are you
peace be upon you
salam alaikum
assalamu alaikum
excuse me
one question
quick question
a question
السلام عليكم
السلام عليكم ورحمة الله
السلام عليكم ورحمة الله وبركاته
سلام عليكم
صباح الخير
صباح النور
مساء الخير
مساء النور
أهلا وسهلا
كيف حالكم
كيف الحال
شكرا جزيلا
يعطيكم العافية
الله يعطيك العافية
عندي سؤال
لدي سؤال
سؤال من فضلكم
سؤال لو سمحت
عندي استفسار
لدي استفسار";

/// A word that tells something, and its stem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::knowledge) struct Term {
    /// The word, folded, without accents.
    pub(in crate::knowledge) word: String,
    /// What it has in common with its other forms.
    pub(in crate::knowledge) stem: String,
}

/// Finds the stems of words. Made once and shared.
pub(in crate::knowledge) struct Stems {
    stemmers: HashMap<Language, Stemmer>,
    stop_words: HashSet<String>,
    /// Stems of the words that are no subject of a question.
    without_subject: HashSet<String>,
    /// By their first word, the longest first.
    courtesies: HashMap<String, Vec<Vec<String>>>,
}

impl Default for Stems {
    fn default() -> Self {
        Self::new()
    }
}

impl Stems {
    /// The stemmers of all languages.
    pub(in crate::knowledge) fn new() -> Self {
        let mut phrases: Vec<_> = COURTESIES.lines().map(words).collect();
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
        let mut courtesies: HashMap<_, Vec<_>> = HashMap::new();
        for phrase in phrases {
            courtesies.entry(phrase[0].clone()).or_default().push(phrase);
        }
        let stemmers = STEMMERS
            .iter()
            .filter_map(|(code, algorithm)| Some((code.parse::<Language>().ok()?, Stemmer::new(*algorithm))));
        let mut stems = Self {
            stemmers: stemmers.collect(),
            stop_words: words(STOP_WORDS).into_iter().collect(),
            without_subject: HashSet::new(),
            courtesies,
        };
        stems.without_subject = [STOP_WORDS, ASKING_WORDS]
            .iter()
            .flat_map(|list| words(list))
            .map(|word| stems.stem(&word, None))
            .collect();
        stems
    }

    /// The terms of a text in order, without courtesies and words that say nothing; all of its words if there is no
    /// subject among them. The language says how Latin and Cyrillic words are stemmed; none: as English and Russian.
    pub(in crate::knowledge) fn terms(&self, text: &str, language: Option<Language>) -> Vec<Term> {
        let words = split(text);
        let telling = self.without_courtesies(&words).filter(|word| !self.stop_words.contains(*word));
        let telling: Vec<_> = telling.map(|word| self.term(word, language)).collect();
        if telling.iter().any(|term| self.is_subject(&term.stem)) {
            return telling;
        }
        words.iter().map(|word| self.term(word, language)).collect()
    }

    /// Whether a stem says what is asked about.
    pub(in crate::knowledge) fn is_subject(&self, stem: &str) -> bool {
        !self.without_subject.contains(stem) && !stem.bytes().all(|byte| byte.is_ascii_digit())
    }

    fn term(&self, word: &str, language: Option<Language>) -> Term {
        Term { word: without_accents(word), stem: self.stem(word, language) }
    }

    /// The words that belong to no courtesy.
    fn without_courtesies<'a>(&'a self, words: &'a [String]) -> impl Iterator<Item = &'a String> {
        let mut rest = words;
        std::iter::from_fn(move || {
            while let Some(said) = self.courtesy(rest) {
                rest = &rest[said.len()..];
            }
            let (first, others) = rest.split_first()?;
            rest = others;
            Some(first)
        })
    }

    /// The courtesy that some words begin with.
    fn courtesy(&self, words: &[String]) -> Option<&[String]> {
        let phrases = self.courtesies.get(words.first()?)?;
        phrases.iter().find(|phrase| words.starts_with(phrase)).map(Vec::as_slice)
    }

    /// The stem of one word. Arabic script is stemmed as Arabic whatever the language, so that a question in a mix of
    /// languages, or in one that was not detected, is found all the same.
    pub(in crate::knowledge) fn stem(&self, word: &str, language: Option<Language>) -> String {
        let stem = if word.chars().any(is_arabic) {
            self.by(Some(Language::ARABIC), without_conjunction(word))
        } else if word.is_ascii() {
            self.by(language.filter(|language| *language != Language::ARABIC), word)
        } else if word.chars().any(is_unspaced) {
            return word.to_owned();
        } else {
            self.by(language, word)
        };
        if stem.is_empty() { without_accents(word) } else { without_accents(&stem) }
    }

    fn by(&self, language: Option<Language>, word: &str) -> String {
        let is_cyrillic = || word.chars().any(|c| matches!(c, '\u{0400}'..='\u{052F}'));
        let stemmer = language.and_then(|language| self.stemmers.get(&language)).or_else(|| {
            let usual = if is_cyrillic() { "ru" } else { "en" };
            self.stemmers.get(&usual.parse::<Language>().ok()?)
        });
        stemmer.map_or_else(|| word.to_owned(), |stemmer| stemmer.stem(word).into_owned())
    }
}

/// The sentences of a text.
pub(in crate::knowledge) fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split(['?', '؟', '!', '\n', '。', '？', '！']).flat_map(|part| part.split(". "))
}

/// The words of a text as they are stemmed: with their accents, and cut into pairs of characters where a script has no
/// spaces, so that what lies within a sentence is found.
fn split(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in accented_words(text) {
        if word.chars().next().is_some_and(is_unspaced) && word.chars().nth(1).is_some() {
            let starts: Vec<_> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
            all.extend(starts.windows(3).map(|pair| word[pair[0]..pair[2]].to_owned()));
        } else {
            all.push(word);
        }
    }
    all
}

/// What the index holds of a stem beside itself: of an Arabic one its pieces of three and four characters, its edges marked,
/// since prefixes and broken plurals change what a stemmer leaves; of a pair of characters each of both. Measured on
/// Arabic passages (the development half of `XQuAD`): the right one is the first for 92 of 100 questions instead of 88.
pub(in crate::knowledge) fn pieces(stem: &str) -> Vec<String> {
    if stem.chars().any(is_arabic) {
        let edged: Vec<char> = [PIECE].into_iter().chain(stem.chars()).chain([PIECE]).collect();
        let cut = |length| edged.windows(length).map(|piece: &[char]| [PIECE].iter().chain(piece).collect());
        cut(3).chain(cut(4)).collect()
    } else if stem.chars().next().is_some_and(is_unspaced) {
        stem.chars().map(|c| [PIECE, c].iter().collect()).collect()
    } else {
        Vec::new()
    }
}

/// Whether what the index holds is a piece of a stem.
pub(in crate::knowledge) fn is_piece(held: &str) -> bool {
    held.starts_with(PIECE)
}

/// A word without the "and" or "so" that is written onto its article, which Snowball's algorithm leaves on.
fn without_conjunction(word: &str) -> &str {
    match word.strip_prefix(['و', 'ف']) {
        Some(rest) if rest.starts_with("ال") && rest.chars().count() > 4 => rest,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        of_language(text, None)
    }

    fn of_language(text: &str, language: Option<&str>) -> Vec<String> {
        let language = language.map(|code| code.parse().unwrap());
        Stems::new().terms(text, language).into_iter().map(|term| term.stem).collect()
    }

    #[test]
    fn words_that_differ_in_their_endings_share_a_stem() {
        for (one, other) in [
            ("bottles", "bottle"),
            ("delivering", "delivered"),
            ("prices", "price"),
            ("الأسعار", "أسعار"),
            ("والتوصيل", "توصيل"),
            ("القوارير", "قوارير"),
            ("доставка", "доставки"),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn each_language_has_its_own_endings_and_accents_do_not_matter() {
        for (language, one, other) in [
            ("es", "¿Cuánto cuestan los pedidos?", "cuanto cuesta los pedido"),
            ("de", "Häuser", "Hauser"),
            ("fr", "livraisons", "livraison"),
            ("pt", "entregas", "entrega"),
        ] {
            assert_eq!(of_language(one, Some(language)), of_language(other, Some(language)), "{one} {other}");
        }
        assert_eq!(
            of_language("كم سعر bottles", Some("ar")),
            of("كم سعر bottle"),
            "Latin words within Arabic"
        );
        for code in STEMMERS {
            assert!(code.0.parse::<Language>().is_ok(), "{}", code.0);
        }
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_pairs() {
        assert_eq!(of("水多少钱？"), ["水多", "多少", "少钱"]);
        assert_eq!(of("水"), ["水"]);
        assert_eq!(pieces("多少"), ["_多", "_少"]);
    }

    #[test]
    fn arabic_stems_have_pieces() {
        assert_eq!(pieces("سعر"), ["__سع", "_سعر", "_عر_", "__سعر", "_سعر_"]);
        assert_eq!(pieces("price"), [""; 0]);
    }

    #[test]
    fn words_without_a_subject_count_only_where_there_are_no_others() {
        assert_eq!(of("do you have the bottles"), ["bottl"]);
        for nothing_else in ["how are you", "how much is it", "where are you", "متى وأين", "5?"] {
            assert_eq!(of(nothing_else).len(), words(nothing_else).len(), "{nothing_else}");
        }
    }

    #[test]
    fn courtesies_do_not_count_where_something_is_asked() {
        for (text, bare) in [
            ("Good morning, do you deliver on Friday?", "deliver friday"),
            ("thanks! how much is delivery?", "much delivery"),
            ("Hello, one question please: the good morning offer", "offer"),
            ("السلام عليكم ورحمة الله وبركاته، كم سعر القارورة؟", "كم سعر القارورة"),
            ("صباح الخير كم السعر شكرا", "كم السعر"),
        ] {
            assert_eq!(of(text), of(bare), "{text}");
        }
        assert_eq!(of("morning delivery").len(), 2, "a courtesy is the whole phrase");
        assert_eq!(of("good morning").len(), 2, "there is nothing else");
    }
}
