//! Texts made comparable: what differs only in case, marks, spelling habits or word endings becomes the same.
//!
//! Stemming is the work of `frostem`, the Snowball algorithms generated from their upstream source: it has no
//! dependencies, only the two languages are compiled, and it follows Snowball's fixes, which the older `rust-stemmers`
//! has not done since 2021. A new release can change stems, and so can a change here; then [`INDEX_VERSION`] goes up.

use std::collections::{HashMap, HashSet};

use frostem::{Algorithm, Stemmer};

/// The rules of this module by number: an index that was made by others is made anew when the server starts.
pub const INDEX_VERSION: i64 = 2;

/// Characters of a text that are read; what lies behind them does not change what a person wants.
pub const TEXT_CHARS_MAX: usize = 16_384;

/// Characters of a word that are read; longer ones are no words.
pub const WORD_CHARS_MAX: usize = 64;

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

/// The words of a text, normalised and in order.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words = Words::default();
    for c in text.chars().take(TEXT_CHARS_MAX) {
        // Half of what people write; its lower case needs no table.
        if c.is_ascii() {
            words.take(fold(c.to_ascii_lowercase()));
        } else {
            c.to_lowercase().for_each(|c| words.take(fold(c)));
        }
    }
    words.end();
    words.done
}

/// Words that grow character by character.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    /// The word that has begun, and how many characters it has.
    word: String,
    length: usize,
}

impl Words {
    fn take(&mut self, next: Fold) {
        match next {
            Fold::Keep(c) if self.length < WORD_CHARS_MAX => {
                self.word.push(c);
                self.length += 1;
            }
            Fold::Keep(_) | Fold::Drop => {}
            Fold::Break => self.end(),
        }
    }

    fn end(&mut self) {
        if !self.word.is_empty() {
            // The buffer stays, so that each word is allocated once and at its length.
            self.done.push(self.word.as_str().to_owned());
            self.word.clear();
        }
        self.length = 0;
    }
}

/// A text without case, marks and punctuation: its words with one space between them.
#[must_use]
pub fn normalise(text: &str) -> String {
    words(text).join(" ")
}

/// Finds the stems of words. Made once and shared.
pub struct Stems {
    english: Stemmer,
    arabic: Stemmer,
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
    /// The stemmers of both languages.
    #[must_use]
    pub fn new() -> Self {
        let mut phrases: Vec<_> = COURTESIES.lines().map(words).collect();
        phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
        let mut courtesies: HashMap<_, Vec<_>> = HashMap::new();
        for phrase in phrases {
            courtesies.entry(phrase[0].clone()).or_default().push(phrase);
        }
        let mut stems = Self {
            english: Stemmer::new(Algorithm::English),
            arabic: Stemmer::new(Algorithm::Arabic),
            stop_words: words(STOP_WORDS).into_iter().collect(),
            without_subject: HashSet::new(),
            courtesies,
        };
        stems.without_subject = [STOP_WORDS, ASKING_WORDS]
            .iter()
            .flat_map(|list| words(list))
            .map(|word| stems.stem(&word))
            .collect();
        stems
    }

    /// The stems of a text in order, without courtesies and words that say nothing; all of its stems if there is no
    /// subject among them.
    #[must_use]
    pub fn of(&self, text: &str) -> Vec<String> {
        let words = words(text);
        let telling = self.without_courtesies(&words).filter(|word| !self.stop_words.contains(*word));
        let telling: Vec<_> = telling.map(|word| self.stem(word)).collect();
        if telling.iter().any(|stem| self.is_subject(stem)) {
            return telling;
        }
        words.iter().map(|word| self.stem(word)).collect()
    }

    /// Whether a stem says what is asked about.
    #[must_use]
    pub fn is_subject(&self, stem: &str) -> bool {
        !self.without_subject.contains(stem) && !stem.bytes().all(|byte| byte.is_ascii_digit())
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

    /// The stem of one normalised word. Its script says the language, so that a question in a mix of languages, or in
    /// one that was not detected, is found all the same.
    fn stem(&self, word: &str) -> String {
        let stem = if word.chars().any(is_arabic) {
            self.arabic.stem(without_conjunction(word))
        } else if word.is_ascii() {
            self.english.stem(word)
        } else {
            return word.to_owned();
        };
        if stem.is_empty() { word.to_owned() } else { stem.into_owned() }
    }
}

/// A word without the "and" or "so" that is written onto its article, which Snowball's algorithm leaves on.
fn without_conjunction(word: &str) -> &str {
    match word.strip_prefix(['و', 'ف']) {
        Some(rest) if rest.starts_with("ال") && rest.chars().count() > 4 => rest,
        _ => word,
    }
}

/// Whether a character belongs to the Arabic script's main block.
pub(super) const fn is_arabic(c: char) -> bool {
    matches!(c, '\u{0600}'..='\u{06FF}')
}

/// What becomes of a character.
#[derive(Clone, Copy)]
enum Fold {
    /// It is part of a word, in this form.
    Keep(char),
    /// It vanishes; the word goes on.
    Drop,
    /// The word ends.
    Break,
}

/// Folds one lower-case character.
fn fold(c: char) -> Fold {
    match c {
        'a'..='z' | '0'..='9' => Fold::Keep(c),
        // The forms of alef, which people exchange freely, and the wasla of the Quran.
        'أ' | 'إ' | 'آ' | 'ٱ' => Fold::Keep('ا'),
        // At the end of words they are written alike; the Persian yeh and kaf come from foreign keyboards.
        'ى' | 'ئ' | 'ی' => Fold::Keep('ي'),
        'ک' => Fold::Keep('ك'),
        'ة' => Fold::Keep('ه'),
        'ؤ' => Fold::Keep('و'),
        '\u{0660}'..='\u{0669}' => digit(c, '\u{0660}'),
        '\u{06F0}'..='\u{06F9}' => digit(c, '\u{06F0}'),
        // The lone hamza is often left out; tatweel only stretches a word.
        'ء' | '\u{0640}' => Fold::Drop,
        // Arabic vowel signs, honorifics and Quranic marks; the combining marks of the other scripts.
        '\u{0610}'..='\u{061A}' | '\u{064B}'..='\u{065F}' | '\u{0670}' | '\u{06D6}'..='\u{06ED}' => {
            Fold::Drop
        }
        '\u{0300}'..='\u{036F}' => Fold::Drop,
        // Invisible: joiners and marks of direction. And apostrophes: "what's" is one word.
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' => {
            Fold::Drop
        }
        '\'' | '’' => Fold::Drop,
        c if c.is_alphanumeric() => Fold::Keep(c),
        _ => Fold::Break,
    }
}

/// An ASCII digit for one of the ten that begin at `zero`.
fn digit(c: char, zero: char) -> Fold {
    char::from_digit(c as u32 - zero as u32, 10).map_or(Fold::Break, Fold::Keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_case_marks_and_habits_of_spelling() {
        for (text, expected) in [
            ("", ""),
            ("  Hello,   WORLD!! ", "hello world"),
            ("What's up?", "whats up"),
            ("İstanbul Straße", "istanbul straße"),
            ("cafe\u{301}", "cafe"),
            ("الأسعار", "الاسعار"),
            ("إلى آخر", "الي اخر"),
            ("شُكْرًا", "شكرا"),
            ("مـــرحبـا", "مرحبا"),
            ("مياه نقيّة؟", "مياه نقيه"),
            ("سؤال، شاطئ", "سوال شاطي"),
            ("ماء", "ما"),
            ("١٢٣ ۴۵", "123 45"),
            ("\u{200F}مرحبا\u{200F}", "مرحبا"),
            ("a\u{0}b", "a b"),
            ("👍👌", ""),
            ("18.9 l", "18 9 l"),
        ] {
            assert_eq!(normalise(text), expected, "{text:?}");
        }
    }

    #[test]
    fn endless_texts_and_words_are_cut() {
        assert_eq!(words(&"x".repeat(1_000_000)), ["x".repeat(WORD_CHARS_MAX)]);
        assert_eq!(words(&"x ".repeat(1_000_000)).len(), TEXT_CHARS_MAX / 2);
        assert!(words(&"😀".repeat(4_096)).is_empty());
    }

    #[test]
    fn words_that_differ_in_their_endings_share_a_stem() {
        let stems = Stems::new();
        for (one, other) in [
            ("bottles", "bottle"),
            ("delivering", "delivered"),
            ("prices", "price"),
            ("الأسعار", "أسعار"),
            ("والتوصيل", "توصيل"),
            ("القوارير", "قوارير"),
        ] {
            assert_eq!(stems.of(one), stems.of(other), "{one} {other}");
        }
    }

    #[test]
    fn words_without_a_subject_count_only_where_there_are_no_others() {
        let stems = Stems::new();
        assert_eq!(stems.of("do you have the bottles"), ["bottl"]);
        for nothing_else in ["how are you", "how much is it", "where are you", "متى وأين", "5?"] {
            assert_eq!(stems.of(nothing_else).len(), words(nothing_else).len(), "{nothing_else}");
        }
    }

    #[test]
    fn courtesies_do_not_count_where_something_is_asked() {
        let stems = Stems::new();
        for (text, bare) in [
            ("Good morning, do you deliver on Friday?", "deliver friday"),
            ("thanks! how much is delivery?", "much delivery"),
            ("Hello, one question please: the good morning offer", "offer"),
            ("السلام عليكم ورحمة الله وبركاته، كم سعر القارورة؟", "كم سعر القارورة"),
            ("صباح الخير كم السعر شكرا", "كم السعر"),
        ] {
            assert_eq!(stems.of(text), stems.of(bare), "{text}");
        }
        assert_eq!(stems.of("morning delivery").len(), 2, "a courtesy is the whole phrase");
        assert_eq!(stems.of("good morning").len(), 2, "there is nothing else");
    }
}
