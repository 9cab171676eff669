//! The pipeline's decisions, as pure functions.

use crate::domain::{Class, Hit, PendingMessage};
use crate::ports::Classification;
use crate::settings::PipelineSettings;

/// What the messages of a turn ask for, before anything is looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// A text to answer.
    Text(String),
    /// Only kinds that cannot be read.
    Unreadable,
    /// Nothing, for this reason.
    Nothing(&'static str),
}

/// Reads the messages of a turn.
#[must_use]
pub fn ask(messages: &[PendingMessage], settings: &PipelineSettings) -> Ask {
    let speaking: Vec<_> =
        messages.iter().filter(|message| !settings.silent_kinds.contains(&message.kind)).collect();
    if speaking.is_empty() {
        return Ask::Nothing("silent kind");
    }
    let texts: Vec<&str> = speaking.iter().filter_map(|message| message.text.as_deref()).collect();
    if texts.is_empty() {
        return Ask::Unreadable;
    }
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Ask::Nothing("empty text");
    }
    if settings.skip && texts.iter().all(|text| needs_no_answer(text, settings)) {
        return Ask::Nothing("needs no answer");
    }
    Ask::Text(texts.join("\n"))
}

/// Whether a text is among those that need no answer.
fn needs_no_answer(text: &str, settings: &PipelineSettings) -> bool {
    let bare = bare(text);
    settings.skip_texts.iter().any(|skip| self::bare(skip) == bare)
}

/// A text without case, white space at its ends, punctuation, skin tones and the marks of Arabic vowels.
fn bare(text: &str) -> String {
    let kept = text.chars().filter(|c| {
        !matches!(c,
            '!' | '.' | ',' | '?' | ';' | ':' | '،' | '؟' | '؛' | '…' | 'ـ' | '\u{fe0f}' | '\u{200e}' | '\u{200f}'
            | '\u{064b}'..='\u{0652}' | '\u{1f3fb}'..='\u{1f3ff}')
    });
    kept.flat_map(char::to_lowercase).collect::<String>().trim().to_owned()
}

/// What the knowledge base says to a text.
#[derive(Clone, PartialEq, Debug)]
pub enum Lookup {
    /// A stored answer fits.
    Reply(Box<Hit>),
    /// None fits well enough; these passages are worth showing to the query service.
    Continue(Vec<Hit>),
}

/// Decides between a stored answer and going on.
#[must_use]
pub fn lookup(hits: Vec<Hit>, settings: &PipelineSettings) -> Lookup {
    match hits.first() {
        Some(best) if best.score >= settings.reply_score_min => Lookup::Reply(Box::new(best.clone())),
        _ => {
            Lookup::Continue(hits.into_iter().filter(|hit| hit.score >= settings.passage_score_min).collect())
        }
    }
}

/// The class of a turn: what its messages are, or what the classifier is sure enough of.
#[must_use]
pub fn class(
    messages: &[PendingMessage],
    classified: Option<&Classification>,
    settings: &PipelineSettings,
) -> Class {
    if messages.iter().any(|message| message.kind == "button") {
        return Class::TemplateReply;
    }
    match classified {
        Some(found) if found.confidence >= settings.class_confidence_min => found.class,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Entry, Language, Receipt, Tick, Timestamp};

    fn message(kind: &str, text: Option<&str>) -> PendingMessage {
        PendingMessage {
            seq: 1,
            kind: kind.into(),
            text: text.map(Into::into),
            provider_at: None,
            receipt: Receipt { at: Timestamp(0), tick: Tick(0), seq: 0 },
            alone: false,
        }
    }

    fn hit(score: f32) -> Hit {
        let entry =
            Entry { id: "e".into(), language: Language::ENGLISH, question: "q".into(), answer: "a".into() };
        Hit { entry, score }
    }

    #[test]
    fn what_messages_ask_for() {
        let settings = PipelineSettings::default();
        let text = |text: &str| ("text", Some(text.to_owned()));
        let none = |kind| (kind, None);
        for (name, messages, expected) in [
            ("one text", vec![text("hi")], Ask::Text("hi".into())),
            ("texts are lines", vec![text("a"), text("b")], Ask::Text("a\nb".into())),
            ("an image is left out beside a text", vec![none("image"), text("b")], Ask::Text("b".into())),
            ("only an image", vec![none("image")], Ask::Unreadable),
            ("only a reaction", vec![none("reaction")], Ask::Nothing("silent kind")),
            ("a reaction beside a text", vec![none("reaction"), text("b")], Ask::Text("b".into())),
            ("empty", vec![text(" \n")], Ask::Nothing("empty text")),
            ("an empty one beside a text", vec![text(""), text("b")], Ask::Text("\nb".into())),
            ("ok", vec![text("OK!")], Ask::Nothing("needs no answer")),
            ("ok in two languages", vec![text("ok"), text("تمام.")], Ask::Nothing("needs no answer")),
            ("vowel marks do not matter", vec![text("تَمام")], Ask::Nothing("needs no answer")),
            ("skin tone does not matter", vec![text("👍🏽")], Ask::Nothing("needs no answer")),
            ("ok and a question", vec![text("ok"), text("price?")], Ask::Text("ok\nprice?".into())),
            ("ok inside a word", vec![text("book")], Ask::Text("book".into())),
        ] {
            let messages: Vec<_> =
                messages.iter().map(|(kind, text)| message(kind, text.as_deref())).collect();
            assert_eq!(ask(&messages, &settings), expected, "{name}");
        }
    }

    #[test]
    fn without_skip_ok_is_a_text() {
        let settings = PipelineSettings { skip: false, ..PipelineSettings::default() };
        assert_eq!(ask(&[message("text", Some("ok"))], &settings), Ask::Text("ok".into()));
    }

    #[test]
    fn a_stored_answer_is_given_only_above_its_threshold() {
        let settings = PipelineSettings::default();
        assert_eq!(lookup(vec![hit(0.6), hit(0.5)], &settings), Lookup::Reply(Box::new(hit(0.6))));
        assert_eq!(lookup(vec![hit(0.59), hit(0.1)], &settings), Lookup::Continue(vec![hit(0.59)]));
        assert_eq!(lookup(vec![], &settings), Lookup::Continue(vec![]));
    }

    #[test]
    fn a_doubtful_class_is_other_and_a_template_button_needs_no_classifier() {
        let settings = PipelineSettings::default();
        let sure = |confidence| Classification { class: Class::Thanks, confidence, language: None };
        let text = [message("text", Some("x"))];
        assert_eq!(class(&text, Some(&sure(0.9)), &settings), Class::Thanks);
        assert_eq!(class(&text, Some(&sure(0.1)), &settings), Class::Other);
        assert_eq!(class(&text, None, &settings), Class::Other);
        let button = [message("button", Some("Yes"))];
        assert_eq!(class(&button, Some(&sure(0.9)), &settings), Class::TemplateReply);
    }
}
