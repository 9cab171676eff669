//! The phrases that are built in; a configuration replaces them one by one.

use std::collections::BTreeMap;

use tertulia_actors::domain::Language;
use tertulia_actors::settings::Phrases;

/// Name, English, Arabic. First the classes, then what the pipeline says by itself.
const PHRASES: [(&str, &str, &str); 12] = [
    ("greeting", "Hello, and welcome! How can we help you?", "أهلًا وسهلًا بكم! كيف يمكننا مساعدتكم؟"),
    (
        "thanks",
        "You are very welcome. We are here whenever you need us.",
        "على الرحب والسعة، نحن في خدمتكم دائمًا.",
    ),
    (
        "complaint",
        "We are sorry about that. We have noted your complaint, and a colleague will look into it and get back to you.",
        "نعتذر عما حدث. سجلنا شكواكم، وسيتابعها أحد زملائنا ويعود إليكم.",
    ),
    (
        "suggestion",
        "Thank you for your suggestion! We have passed it on to our team.",
        "شكرًا على اقتراحكم! نقلناه إلى فريقنا.",
    ),
    ("template_reply", "Thank you, we have received your answer.", "شكرًا لكم، وصلنا ردكم."),
    (
        "inquiry",
        "Thank you for your question. A colleague will answer it shortly.",
        "شكرًا على سؤالكم. سيجيب عنه أحد زملائنا قريبًا.",
    ),
    (
        "service_request",
        "We have received your request. A colleague will confirm it shortly.",
        "وصلنا طلبكم، وسيؤكده أحد زملائنا قريبًا.",
    ),
    ("other", "Thank you for your message. How can we help you?", "شكرًا على رسالتكم. كيف يمكننا مساعدتكم؟"),
    (
        "fallback",
        "We do not have the answer to that yet. A colleague will reply to you here.",
        "ليس لدينا جواب عن ذلك بعد، وسيرد عليكم أحد زملائنا هنا.",
    ),
    (
        "unsupported",
        "We can only read text here. Could you please write us what you need?",
        "نستطيع قراءة النصوص فقط هنا. هل يمكنكم أن تكتبوا لنا ما تحتاجونه؟",
    ),
    (
        "dead_letter",
        "We are sorry, something went wrong on our side. A colleague will look at your message and reply to you.",
        "نعتذر، حدث خطأ من جهتنا. سيطلع أحد زملائنا على رسالتكم ويرد عليكم.",
    ),
    (
        "human",
        "We are handing you over to a colleague, who will reply to you here.",
        "نحولكم الآن إلى أحد زملائنا، وسيرد عليكم هنا.",
    ),
];

/// The built-in phrases in English and Arabic: one for each class by its name, and `fallback`, `unsupported`,
/// `dead_letter` and `human`.
#[must_use]
pub fn default_phrases() -> Phrases {
    PHRASES
        .into_iter()
        .map(|(name, english, arabic)| {
            let versions =
                BTreeMap::from([(Language::ENGLISH, english.into()), (Language::ARABIC, arabic.into())]);
            (name.into(), versions)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tertulia_actors::domain::Class;

    use super::*;

    #[test]
    fn every_class_and_every_case_of_the_pipeline_has_a_phrase_in_both_languages() {
        let phrases = default_phrases();
        let names = Class::ALL.map(Class::as_str);
        for name in names.into_iter().chain(["fallback", "unsupported", "dead_letter", "human"]) {
            for language in [Language::ENGLISH, Language::ARABIC] {
                let phrase = &phrases[name][&language];
                let arabic = phrase.chars().any(super::super::text::words::is_arabic);
                assert_eq!(arabic, language == Language::ARABIC, "{name} {phrase}");
            }
        }
        assert_eq!(phrases.len(), 12, "no name but those that are used");
    }
}
