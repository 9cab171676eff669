//! The words of a text, without what differs only in writing: case, width, marks, habits of spelling.

use unicode_normalization::char::{decompose_canonical, is_combining_mark};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// Characters of a text that are read; what lies behind them does not change what a person wants.
pub(in crate::knowledge) const TEXT_CHARS_MAX: usize = 16_384;

/// Characters of a word that are read; longer ones are no words.
pub(in crate::knowledge) const WORD_CHARS_MAX: usize = 64;

/// The words of a text, folded and in order. What is written without spaces between words (Chinese, Japanese, Thai) is one
/// word from one mark of punctuation to the next.
pub(in crate::knowledge) fn words(text: &str) -> Vec<String> {
    read(text, unmarked)
}

/// The words as [`words`] gives them, but with the accents of their letters, which stemmers want.
pub(super) fn accented_words(text: &str) -> Vec<String> {
    read(text, |c| c)
}

/// A word without the accents of its letters.
pub(super) fn without_accents(word: &str) -> String {
    word.chars().map(unmarked).collect()
}

/// A text without case, marks and punctuation: its words with one space between them.
#[cfg(test)]
pub(in crate::knowledge) fn normalise(text: &str) -> String {
    words(text).join(" ")
}

fn read(text: &str, letter: impl Fn(char) -> char) -> Vec<String> {
    let mut words = Words::default();
    let read = text.chars().take(TEXT_CHARS_MAX);
    // Most texts are normal already, and ASCII needs no tables at all.
    if text.is_ascii() || is_nfkc_quick(read.clone()) == IsNormalized::Yes {
        words.read(read, letter);
    } else {
        // NFKC (Unicode Standard Annex 15) also undoes full width, ligatures and the presentation forms of Arabic, which
        // texts copied from documents have.
        // Cut before as well, since it holds back all marks of one letter, however many there are.
        words.read(read.nfkc().take(TEXT_CHARS_MAX), letter);
    }
    words.end();
    words.done
}

/// Words that grow character by character.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    /// The word that has begun, how many characters it has, and whether it is written without spaces around it.
    word: String,
    length: usize,
    is_unspaced: bool,
    /// Where the first apostrophe within it stood, in bytes and in characters.
    apostrophe: Option<(usize, usize)>,
}

impl Words {
    /// Reads characters in any case.
    fn read(&mut self, text: impl Iterator<Item = char>, letter: impl Fn(char) -> char) {
        for c in text {
            if c.is_ascii() {
                self.take(fold(c.to_ascii_lowercase()));
            } else {
                c.to_lowercase().for_each(|c| self.take(fold(letter(c))));
            }
        }
    }

    fn take(&mut self, next: Fold) {
        match next {
            Fold::Keep(c) => self.keep(c),
            Fold::Drop => {}
            Fold::Apostrophe => self.apostrophe = self.apostrophe.or(Some((self.word.len(), self.length))),
            Fold::Break => self.end(),
        }
    }

    fn keep(&mut self, c: char) {
        let is_unspaced = is_unspaced(c);
        // "iPhone手机" are two words, and a sentence in Chinese is never too long for one.
        if is_unspaced != self.is_unspaced || (is_unspaced && self.length == WORD_CHARS_MAX) {
            self.end();
            self.is_unspaced = is_unspaced;
        }
        if self.length < WORD_CHARS_MAX {
            self.word.push(c);
            self.length += 1;
        }
    }

    fn end(&mut self) {
        // The buffer stays, so that each word is allocated once and at its length.
        let (elided, word) = match self.apostrophe.take() {
            Some((bytes, before)) if is_elided(before, self.length - before) => self.word.split_at(bytes),
            _ => ("", self.word.as_str()),
        };
        self.done.extend([elided, word].into_iter().filter(|word| !word.is_empty()).map(str::to_owned));
        self.word.clear();
        self.length = 0;
    }
}

/// Whether so many letters before and behind an apostrophe are two words, as in "l'eau" and "qu'est", and not one, as in
/// "what's" and "we'll".
const fn is_elided(before: usize, behind: usize) -> bool {
    before > 0 && before <= 2 && behind >= 3
}

/// Whether a character belongs to the Arabic script's main block.
pub(in crate::knowledge) const fn is_arabic(c: char) -> bool {
    matches!(c, '\u{0600}'..='\u{06FF}')
}

/// Whether a character belongs to a script that is written without spaces between words, or, as Hangul, with endings that
/// no stemmer here takes off: Thai, Lao, Burmese, Khmer, kana, Han, Hangul.
pub(in crate::knowledge) const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{31F0}'..='\u{31FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// A Latin, Greek or Cyrillic letter without its accents, or with the dot that Turkish keeps apart; other characters as they are.
fn unmarked(c: char) -> char {
    if c == 'ı' {
        return 'i';
    }
    if !matches!(c, '\u{00C0}'..='\u{052F}' | '\u{1E00}'..='\u{1FFF}') {
        return c;
    }
    let mut base = None;
    decompose_canonical(c, |part| base = base.or(Some(part)));
    base.unwrap_or(c)
}

/// What becomes of a character.
#[derive(Clone, Copy)]
enum Fold {
    /// It is part of a word, in this form.
    Keep(char),
    /// It vanishes; the word goes on.
    Drop,
    /// It vanishes, and may part two words.
    Apostrophe,
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
        // Arabic vowel signs, honorifics and Quranic marks; some of them count as letters.
        '\u{0610}'..='\u{061A}' | '\u{064B}'..='\u{065F}' | '\u{0670}' | '\u{06D6}'..='\u{06ED}' => {
            Fold::Drop
        }
        // Invisible: joiners and marks of direction.
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' => {
            Fold::Drop
        }
        '\'' | '’' => Fold::Apostrophe,
        // Sigma has a form of its own at the end of words, and none there in capitals.
        'ς' => Fold::Keep('σ'),
        c if c.is_alphanumeric() => Fold::Keep(c),
        // The marks that are no letters: accents that no letter has, and what joins letters in the scripts of India.
        c if is_combining_mark(c) => Fold::Drop,
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
            ("We'll, I'd, don’t, o'clock", "well id dont o clock"),
            ("L’eau qu'est-ce 'quoted'", "l eau qu est ce quoted"),
            ("ΔΡΌΜΟΣ δρόμος kırmızı", "δρομοσ δρομοσ kirmizi"),
            ("İstanbul Straße", "istanbul straße"),
            ("cafe\u{301} café CAFÉ", "cafe cafe cafe"),
            ("ＦＵＬＬ １２", "full 12"),
            ("ﬁne", "fine"),
            ("Ёлка й", "елка и"),
            ("الأسعار", "الاسعار"),
            ("إلى آخر", "الي اخر"),
            ("شُكْرًا", "شكرا"),
            ("مـــرحبـا", "مرحبا"),
            ("مياه نقيّة؟", "مياه نقيه"),
            ("سؤال، شاطئ", "سوال شاطي"),
            ("ماء", "ما"),
            ("ﻣﺎﻟﺴﻌﺮ", "مالسعر"),
            ("١٢٣ ۴۵", "123 45"),
            ("\u{200F}مرحبا\u{200F}", "مرحبا"),
            ("a\u{0}b", "a b"),
            ("👍👌", ""),
            ("18.9 l", "18 9 l"),
            ("水多少钱？iPhone手机", "水多少钱 iphone 手机"),
            ("हिन्दी में", "हिनदी में"),
        ] {
            assert_eq!(normalise(text), expected, "{text:?}");
        }
    }

    #[test]
    fn stemmers_see_the_accents() {
        assert_eq!(accented_words("Cuánto cue\u{301}sta"), ["cuánto", "cuésta"]);
        assert_eq!(without_accents("cuánto"), "cuanto");
    }

    #[test]
    fn endless_texts_and_words_are_cut() {
        assert_eq!(words(&"x".repeat(1_000_000)), ["x".repeat(WORD_CHARS_MAX)]);
        assert_eq!(words(&"x ".repeat(1_000_000)).len(), TEXT_CHARS_MAX / 2);
        assert!(words(&"😀".repeat(4_096)).is_empty());
        assert_eq!(words(&"水".repeat(WORD_CHARS_MAX + 1)).len(), 2);
    }
}
