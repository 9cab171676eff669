//! What people write: short and long, in English and Arabic, with and without pictures.

use serde::{Deserialize, Serialize};

use super::prng::Prng;

/// Which texts people write.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Texts {
    /// A few words, in English or Arabic.
    #[default]
    Short,
    /// Half of them short; the others Arabic sentences, emoji, or long.
    Mixed,
}

/// What people begin their messages with; the words must not match a stored answer by themselves.
const OPENINGS: [&str; 6] = ["please note", "about", "regarding", "بخصوص", "لو سمحت", "one more thing"];

const ARABIC: [&str; 4] = [
    "السلام عليكم، وصلتني الفاتورة أمس ولم أفهم البند الثالث، رقم المرجع",
    "لو سمحتم متى يصل المندوب؟ أنا في البيت بعد العصر إن شاء الله، المرجع",
    "الجهاز توقّف عن العمل مرة أخرى منذ الصباح، والضوء الأحمر لا ينطفئ، الرقم",
    "شكرًا جزيلًا على المتابعة، بقي موضوع واحد فقط تحت الرقم",
];

const EMOJI: [&str; 4] =
    ["🙏🏽 again please", "👩‍👩‍👧‍👦🏠 same place as before", "😅😅 forgot to say", "📦➡️🚪 number"];

/// Sentences that long texts are made of.
const SENTENCES: [&str; 4] = [
    "I have been a customer for several years and never had to write such a long message before. ",
    "The second delivery of the week came when nobody was at home, so the neighbour took it in for us. ",
    "When we opened the box on Tuesday evening, two of the bottles were empty and the seal was broken. ",
    "My colleague says that somebody called her about it, but neither of us can find the number any more. ",
];

/// How many sentences a long text has at the most: five such texts still fit into one reply of 4,096 characters.
const SENTENCES_MAX: u64 = 6;

/// A text with this mark in it, as a word of its own.
pub(super) fn text(texts: Texts, mark: &str, prng: &mut Prng) -> String {
    let kind = match texts {
        Texts::Short => 0,
        Texts::Mixed => prng.next() % 20,
    };
    match kind {
        0..=9 => format!("{} {mark}", pick(&OPENINGS, prng)),
        10..=13 => format!("{} {mark}", pick(&ARABIC, prng)),
        14..=16 => format!("{} {mark} {}", pick(&EMOJI, prng), pick(&EMOJI, prng)),
        _ => {
            let sentences = (0..prng.between(2, SENTENCES_MAX)).map(|_| pick(&SENTENCES, prng));
            format!("{}reference {mark}", sentences.collect::<String>())
        }
    }
}

fn pick<'a>(from: &[&'a str], prng: &mut Prng) -> &'a str {
    let place = usize::try_from(prng.next() % from.len() as u64).unwrap_or(0);
    from[place]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_holds_its_mark_as_a_word_and_five_of_them_fit_into_a_reply() {
        let mut prng = Prng::new(3);
        let texts: Vec<_> = (0..1_000).map(|_| text(Texts::Mixed, "u1-b1-m1-r", &mut prng)).collect();
        assert!(texts.iter().all(|text| text.split_whitespace().any(|word| word == "u1-b1-m1-r")));
        assert!(texts.iter().all(|text| text.chars().count() <= 4_096 / 5));
        for wanted in ["بخصوص", "السلام", "🙏🏽", "neighbour"] {
            assert!(texts.iter().any(|text| text.contains(wanted)), "no text with {wanted}");
        }
    }

    #[test]
    fn short_texts_are_short() {
        let mut prng = Prng::new(3);
        assert!((0..100).all(|_| text(Texts::Short, "m", &mut prng).chars().count() < 20));
    }
}
