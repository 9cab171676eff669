//! What a customer of the sample's shop is told where no model is configured: the whole pipeline with the embedded
//! services and the default settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use tertulia_actors::domain::{
    Account, Channel, Class, ConversationId, Disposition, Entry, Timestamp, TurnId,
};
use tertulia_actors::pipeline::{Pipeline, TurnInput, TurnResult};
use tertulia_actors::settings::{PipelineSettings, Routes};
use tertulia_actors::testkit::{NoTurns, in_place, message, services};

use super::tests::{PARAPHRASES, file};
use super::*;
use crate::config::Config;
use crate::knowledge::{ExampleClassifier, default_phrases, entries};
use crate::llm::StoredQuery;

/// A shop that has just been opened.
struct Shop {
    _folder: tempfile::TempDir,
    pipeline: Pipeline,
    entries: Vec<Entry>,
}

impl Shop {
    /// In a running actor system.
    fn open() -> Self {
        let (folder, path, conn) = file();
        let settings = PipelineSettings::default();
        let languages = settings.languages.clone();
        let classifier = move || in_place(ExampleClassifier::new(&languages, &BTreeMap::new()));
        let query = StoredQuery::new(Config::default().query.stored_score_min);
        let pipeline = Pipeline {
            services: services(move || in_place(SqliteVectors::new(&path, None)), classifier, query),
            store: Arc::new(NoTurns),
            settings: Arc::new(settings),
            routes: Arc::new(Routes::default()),
            phrases: Arc::new(default_phrases()),
            class_wait: None,
        };
        Self { _folder: folder, pipeline, entries: entries::list(&conn, None, usize::MAX).unwrap() }
    }

    /// Answers a burst, a message a line.
    async fn answer(&self, burst: &str) -> TurnResult {
        let input = TurnInput {
            conversation: ConversationId::new(uuid::Uuid::nil()),
            account: Account::new(Channel::Web, "web"),
            now: Timestamp(0),
            turn: TurnId::new(uuid::Uuid::nil()),
            messages: burst.lines().map(|line| message("text", Some(line))).collect(),
            language: None,
            out_of_patience: false,
        };
        let plan = self.pipeline.prepare(&input).await.unwrap();
        self.pipeline.finish(&input, plan, &mut None).await.unwrap()
    }

    /// The name of what was said: an entry's id, a phrase's name in brackets, or nothing.
    fn name(&self, result: &TurnResult) -> String {
        let Some(text) = &result.text else { return String::new() };
        if let Some(entry) = self.entries.iter().find(|entry| entry.answer == *text) {
            return entry.id.clone();
        }
        let is_said = |versions: &BTreeMap<_, String>| versions.values().any(|version| version == text);
        let phrases = &self.pipeline.phrases;
        phrases.iter().find(|(_, v)| is_said(v)).map(|(name, _)| format!("({name})")).unwrap()
    }

    /// Checks bursts, each with what is said, whether a person is asked for, and how much is recorded.
    async fn check(&self, bursts: &[(&str, &str, bool, usize)]) {
        let mut wrong = vec![];
        for (burst, name, needs_human, records) in bursts {
            let result = self.answer(burst).await;
            let found = (self.name(&result), result.needs_human, result.records.len());
            if found != ((*name).to_owned(), *needs_human, *records) {
                wrong.push(format!("{burst:?}: {found:?} {:?} {}", result.class, told(&result)));
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}

/// What the knowledge base and the classifier said.
fn told(result: &TurnResult) -> String {
    result.journey.steps.iter().map(|step| step.detail.to_string()).collect()
}

#[actix_web::test]
async fn paraphrases_are_answered() {
    let shop = Shop::open();
    let mut lost = vec![];
    for (question, id) in PARAPHRASES {
        let result = shop.answer(question).await;
        if shop.name(&result) != *id {
            lost.push(format!("{question}: {} {}", shop.name(&result), told(&result)));
        }
    }
    assert!(lost.is_empty(), "{} of {}:\n{}", lost.len(), PARAPHRASES.len(), lost.join("\n"));
}

#[actix_web::test]
async fn courtesies_and_stories_around_a_question_do_not_hide_it() {
    let shop = Shop::open();
    for (burst, id) in [
        ("Hello\none question please\ndo you deliver on Friday?", "friday"),
        ("Good morning, do you deliver on Friday?", "friday"),
        ("do you deliver on Friday?\nthanks", "friday"),
        ("hi\nI live near the harbour\nhow much is the delivery fee?\nthank you so much", "delivery-fee"),
        ("is there delivery on friday", "friday"),
        ("Good evening\nhow much is a bottle of water?", "prices"),
        ("thanks! how much is delivery?", "delivery-fee"),
        ("❤️\nwhen do you close?", "hours"),
        ("where is my order?", "track"),
        ("Do you deliver to the Marina?", "areas"),
        ("are you open on Friday?", "hours"),
        ("how can I pay?", "payment"),
        ("السلام عليكم\nهل توصلون يوم الجمعة؟", "friday"),
        ("هل توصلون يوم الجمعة؟\nشكرا", "friday"),
        ("السلام عليكم\nكم سعر القارورة؟", "prices"),
        ("السلام عليكم ورحمة الله وبركاته\nصباح الخير\nعندي سؤال\nكم رسوم التوصيل؟", "delivery-fee"),
        ("متى تغلقون؟", "hours"),
        ("متى تفتحون؟", "hours"),
    ] {
        let result = shop.answer(burst).await;
        assert_eq!(shop.name(&result), id, "{burst:?}: {}", told(&result));
    }
}

#[actix_web::test]
async fn what_no_entry_answers_goes_to_a_person() {
    let shop = Shop::open();
    let mut wrong = vec![];
    for text in [
        "do you sell pizza with mushrooms",
        "two bottles please",
        "I want to order five bottles",
        "I need water",
        "please call me",
        "what is your name?",
        "how much is it?",
        "when?",
        "can you bring it to the third floor?",
        "do you deliver to Mars?",
        "9 pm",
        "where is my border?",
        "I have a job interview today",
        "my driver was rude and shouted at my wife",
        "أريد خمس قوارير",
        "قارورتين لو سمحت",
        "اتصلوا بي",
        "ما اسمك؟",
        "كم؟",
        "السائق صرخ في وجهي امس",
        "ما هي عاصمة فرنسا؟",
    ] {
        let result = shop.answer(text).await;
        let name = shop.name(&result);
        if !name.starts_with('(') || !result.needs_human {
            wrong.push(format!("{text}: {name} {} {}", result.needs_human, told(&result)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[actix_web::test]
async fn one_word_in_common_is_not_taken_for_the_question() {
    let shop = Shop::open();
    for (text, wrong) in [
        ("I want to order water", "track"),
        ("how much is it?", "deposit"),
        ("are you hiring?", "dispenser-hire"),
        ("I need water", "babies"),
        ("أريد أن أطلب ماء", "track"),
    ] {
        let result = shop.answer(text).await;
        assert_ne!(shop.name(&result), wrong, "{text}: {}", told(&result));
    }
}

#[actix_web::test]
async fn complaints_suggestions_and_requests_reach_people_beside_their_answer() {
    let shop = Shop::open();
    shop.check(&[
        ("you charged me twice", "refund", true, 1),
        ("خصمتم المبلغ مرتين", "refund", true, 1),
        ("you should deliver on Friday", "friday", true, 1),
        ("please cancel my order", "cancel-order", true, 0),
        ("two bottles please", "(service_request)", true, 0),
        ("my order has not arrived and I am very angry", "(complaint)", true, 1),
        ("do you deliver on Friday?", "friday", false, 0),
    ])
    .await;
    let result = shop.answer("hello\nyou charged me twice").await;
    assert_eq!(result.records[0].class, Class::Complaint);
    assert_eq!(result.records[0].text, "hello\nyou charged me twice");
}

#[actix_web::test]
async fn small_talk_needs_no_person() {
    let shop = Shop::open();
    shop.check(&[
        ("🙏", "", false, 0),
        ("❤️\n😂", "", false, 0),
        ("lol", "", false, 0),
        ("ok\n👍", "", false, 0),
        ("bye", "(thanks)", false, 0),
        ("مع السلامة", "(thanks)", false, 0),
        ("hello there", "(greeting)", false, 0),
        ("شكرا جزيلا لكم", "(thanks)", false, 0),
        ("my cat is called minnie", "(other)", false, 0),
        ("who won the football match yesterday?", "(fallback)", true, 0),
    ])
    .await;
    assert_eq!(shop.answer("🙏").await.disposition, Disposition::Suppressed("needs no answer".into()));
}
