//! The pipeline's decisions, as pure functions.

use super::phrases;
use crate::domain::{Class, Hit, PendingMessage, Route};
use crate::ports::Classification;
use crate::settings::PipelineSettings;

/// What ends a question.
const QUESTION_MARKS: [char; 2] = ['?', '؟'];

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
    if texts.is_empty() { Ask::Unreadable } else { ask_texts(&texts, settings) }
}

/// Reads the texts of a turn, of which there is one at least.
#[must_use]
pub fn ask_texts(texts: &[&str], settings: &PipelineSettings) -> Ask {
    if texts.iter().all(|text| text.trim().is_empty()) {
        return Ask::Nothing("empty text");
    }
    if settings.skip && texts.iter().all(|text| needs_no_answer(text, settings)) {
        return Ask::Nothing("needs no answer");
    }
    Ask::Text(texts.join("\n"))
}

/// Whether a text is among those that need no answer, or says nothing in words: pictures and punctuation. A lone question
/// mark does ask for something.
fn needs_no_answer(text: &str, settings: &PipelineSettings) -> bool {
    let bare = bare(text);
    let is_wordless = !text.contains(|c: char| c.is_alphanumeric() || QUESTION_MARKS.contains(&c));
    is_wordless || settings.skip_texts.iter().any(|skip| self::bare(skip) == bare)
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

/// Decides between a stored answer and going on. A passage is never an answer, however well it fits: it says something about what is
/// asked, and nobody has said that it answers it.
#[must_use]
pub fn lookup(hits: Vec<Hit>, settings: &PipelineSettings) -> Lookup {
    let answers = |hit: &&Hit| hit.score >= settings.reply_score_min && !hit.entry.is_passage();
    match hits.iter().find(answers) {
        Some(best) => Lookup::Reply(Box::new(best.clone())),
        None => {
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
    classified.filter(|found| is_sure(Some(found), settings)).map_or(Class::Other, |found| found.class)
}

/// The class that a model names, which must say nothing else; case, punctuation around it, and how its words are joined do not
/// matter.
#[must_use]
pub fn class_named(answer: &str) -> Option<Class> {
    let bare = answer.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    bare.replace([' ', '-'], "_").parse().ok()
}

/// What people have to do after a turn, whatever was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FollowUp {
    /// The customer's words are recorded.
    pub record: bool,
    /// A person is asked for.
    pub needs_human: bool,
}

/// What a class and its way leave to people, also where a stored answer fits: an answer tells how complaints are handled,
/// but the complaint itself must still reach somebody. A request is done by people: to be told how cancelling works
/// cancels nothing.
#[must_use]
pub const fn follow_up(class: Class, route: Route) -> FollowUp {
    match (route, class) {
        (Route::Record, _) => FollowUp { record: true, needs_human: true },
        (Route::Silent, _) => FollowUp { record: false, needs_human: false },
        (Route::Human, _) | (_, Class::ServiceRequest) => FollowUp { record: false, needs_human: true },
        (Route::Phrase | Route::Query, _) => FollowUp { record: false, needs_human: false },
    }
}

/// What is said where nobody knows an answer, and whether a person is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unanswered {
    /// The phrase's name.
    pub phrase: &'static str,
    /// Whether a person is asked for.
    pub needs_human: bool,
}

/// What to say where nobody knows an answer. A request is confirmed as received. Small talk gets a friendly word: it is of
/// no known class for sure, asks nothing, and has nothing to do with what the business knows. Everything else goes to a
/// person.
#[must_use]
pub fn unanswered(class: Class, is_sure: bool, text: &str, passages: &[Hit]) -> Unanswered {
    match class {
        Class::ServiceRequest => Unanswered { phrase: class.as_str(), needs_human: true },
        Class::Other if is_sure && passages.is_empty() && !text.contains(QUESTION_MARKS) => {
            Unanswered { phrase: class.as_str(), needs_human: false }
        }
        _ => Unanswered { phrase: phrases::FALLBACK, needs_human: true },
    }
}

/// What to say where the query service is away for too long: that tells nothing about the text, so a person reads it.
pub const AWAY: Unanswered = Unanswered { phrase: phrases::FALLBACK, needs_human: true };

/// Whether the classifier is sure enough of what it found: of all classes this one, and that the text is what any of them is about.
#[must_use]
pub fn is_sure(classified: Option<&Classification>, settings: &PipelineSettings) -> bool {
    classified.is_some_and(|found| {
        found.confidence >= settings.class_confidence_min && found.scope >= settings.class_scope_min
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Entry, Language};
    use crate::testkit::{classified, message};

    fn hit(score: f32) -> Hit {
        let entry = Entry::new("e", Language::ENGLISH, "q", "a");
        Hit::new(entry, score)
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
            ("hands", vec![text("🙏")], Ask::Nothing("needs no answer")),
            ("a heart and laughter", vec![text("❤️"), text("😂😂")], Ask::Nothing("needs no answer")),
            ("signs", vec![text("...!")], Ask::Nothing("needs no answer")),
            ("laughter", vec![text("lol")], Ask::Nothing("needs no answer")),
            ("nothing and a thumb", vec![text(""), text("👍")], Ask::Nothing("needs no answer")),
            ("a heart beside a text", vec![text("❤️"), text("b")], Ask::Text("❤️\nb".into())),
            ("a question mark", vec![text("??")], Ask::Text("??".into())),
            ("an Arabic question mark", vec![text("؟")], Ask::Text("؟".into())),
            ("a number", vec![text("5")], Ask::Text("5".into())),
        ] {
            let messages: Vec<_> =
                messages.iter().map(|(kind, text)| message(kind, text.as_deref())).collect();
            assert_eq!(ask(&messages, &settings), expected, "{name}");
        }
    }

    #[test]
    fn without_skip_ok_is_a_text() {
        let settings = PipelineSettings { skip: false, ..PipelineSettings::default() };
        for text in ["ok", "🙏"] {
            assert_eq!(ask(&[message("text", Some(text))], &settings), Ask::Text(text.into()));
        }
    }

    #[test]
    fn a_stored_answer_is_given_only_above_its_threshold() {
        let settings = PipelineSettings::default();
        assert_eq!(lookup(vec![hit(0.6), hit(0.5)], &settings), Lookup::Reply(Box::new(hit(0.6))));
        assert_eq!(lookup(vec![hit(0.59), hit(0.1)], &settings), Lookup::Continue(vec![hit(0.59)]));
        assert_eq!(lookup(vec![], &settings), Lookup::Continue(vec![]));
    }

    #[test]
    fn a_passage_is_shown_and_never_given_as_an_answer() {
        let settings = PipelineSettings::default();
        let passage = Hit::new(Entry::new("p", Language::ENGLISH, "", "a"), 0.95);
        assert_eq!(lookup(vec![passage.clone()], &settings), Lookup::Continue(vec![passage.clone()]));
        let behind = lookup(vec![passage.clone(), hit(0.7)], &settings);
        assert_eq!(behind, Lookup::Reply(Box::new(hit(0.7))), "an answer that fits is given");
        let doubtful = vec![passage, hit(0.5)];
        assert_eq!(lookup(doubtful.clone(), &settings), Lookup::Continue(doubtful));
    }

    #[test]
    fn a_doubtful_class_is_other_and_a_template_button_needs_no_classifier() {
        let settings = PipelineSettings::default();
        let sure = |confidence| classified(Class::Thanks, confidence);
        let text = [message("text", Some("x"))];
        assert_eq!(class(&text, Some(&sure(0.9)), &settings), Class::Thanks);
        assert_eq!(class(&text, Some(&sure(0.1)), &settings), Class::Other);
        assert_eq!(class(&text, None, &settings), Class::Other);
        let stranger = Classification { scope: settings.class_scope_min - 0.01, ..sure(0.9) };
        assert_eq!(class(&text, Some(&stranger), &settings), Class::Other, "out of scope");
        assert!(!is_sure(Some(&stranger), &settings) && is_sure(Some(&sure(0.9)), &settings));
        let button = [message("button", Some("Yes"))];
        assert_eq!(class(&button, Some(&sure(0.9)), &settings), Class::TemplateReply);
    }

    #[test]
    fn a_model_names_one_class_and_says_nothing_else() {
        for (answer, expected) in [
            ("complaint", Some(Class::Complaint)),
            (" **Service Request**.\n", Some(Class::ServiceRequest)),
            ("\"template-reply\"", Some(Class::TemplateReply)),
            ("The class is complaint.", None),
            ("complaint, inquiry", None),
            ("rage", None),
            ("", None),
        ] {
            assert_eq!(class_named(answer), expected, "{answer}");
        }
    }

    #[test]
    fn what_people_have_to_do_is_decided_by_class_and_way() {
        use Route::{Human, Phrase, Query, Record, Silent};
        let (none, human, record) = ((false, false), (false, true), (true, true));
        for (class, route, expected) in [
            (Class::Complaint, Record, record),
            (Class::Suggestion, Record, record),
            (Class::TemplateReply, Record, record),
            (Class::ServiceRequest, Record, record),
            (Class::Complaint, Human, human),
            (Class::Complaint, Query, none),
            (Class::ServiceRequest, Query, human),
            (Class::ServiceRequest, Phrase, human),
            (Class::ServiceRequest, Silent, none),
            (Class::Inquiry, Query, none),
            (Class::Thanks, Phrase, none),
            (Class::Other, Silent, none),
        ] {
            let left = follow_up(class, route);
            assert_eq!((left.record, left.needs_human), expected, "{class} {route:?}");
        }
    }

    #[test]
    fn where_nobody_knows_an_answer_all_but_small_talk_goes_to_a_person() {
        let (none, passages) = (vec![], vec![hit(0.2)]);
        for (class, is_sure, text, passages, expected) in [
            (Class::Inquiry, true, "do you sell pizza", &none, ("fallback", true)),
            (Class::ServiceRequest, true, "two bottles please", &passages, ("service_request", true)),
            (Class::Other, true, "my cat is black", &none, ("other", false)),
            (Class::Other, true, "who won the match?", &none, ("fallback", true)),
            (Class::Other, true, "من فاز؟", &none, ("fallback", true)),
            (Class::Other, true, "the water is nice", &passages, ("fallback", true)),
            (Class::Other, false, "zorblax", &none, ("fallback", true)),
        ] {
            let said = unanswered(class, is_sure, text, passages);
            assert_eq!((said.phrase, said.needs_human), expected, "{class} {text}");
        }
    }
}
