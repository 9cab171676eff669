//! Whole turns through the pipeline, with services that answer what a case says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::domain::{
    Account, Channel, Class, ConversationId, Disposition, Entry, Hit, Language, PendingMessage, Record,
    Route, Timestamp, TurnId,
};
use crate::ports::{
    Answer, PortFuture, Query, QueryError, QueryService, Task, VectorsError, VectorsResponse,
};
use crate::settings::{Phrases, PipelineSettings, Routes};
use crate::testkit::{NoTurns, always, classified, message, services};

/// A text, what the services find, and what comes of it.
#[derive(Clone)]
struct Case {
    messages: Vec<PendingMessage>,
    hits: Result<Vec<Hit>, VectorsError>,
    class: (Class, f32),
    answer: Result<Answer, QueryError>,
    /// How long the query service takes for any answer.
    takes: Duration,
    routes: Routes,
    out_of_patience: bool,
    class_wait: Option<Duration>,
}

/// An inquiry that no stored answer fits and no service knows.
impl Default for Case {
    fn default() -> Self {
        Self {
            messages: vec![message("text", Some("x y"))],
            hits: Ok(vec![]),
            class: (Class::Inquiry, 0.9),
            answer: Ok(Answer::NotKnown),
            takes: Duration::ZERO,
            routes: Routes::default(),
            out_of_patience: false,
            class_wait: None,
        }
    }
}

/// Phrases that say their own names.
fn phrases() -> Phrases {
    let version = |name: &str| BTreeMap::from([(Language::ENGLISH, format!("phrase {name}"))]);
    phrases::names().map(|name| (name.to_owned(), version(name))).collect()
}

fn stored(score: f32) -> Hit {
    let entry = Entry::new("e", Language::ENGLISH, "q", "stored");
    Hit::new(entry, score)
}

fn composed(text: &str) -> Result<Answer, QueryError> {
    Ok(Answer::Text { text: text.into(), prompt_tokens: None, completion_tokens: None })
}

fn away() -> Result<Answer, QueryError> {
    Err(QueryError::Unavailable("no connection".into()))
}

/// A query service that names this class, or answers alike, after some time; it tells what it is asked for.
struct Model {
    class: Result<Answer, QueryError>,
    answer: Result<Answer, QueryError>,
    takes: Duration,
    asked: Sender<Task>,
    /// Held by every call that is under way.
    at_work: Arc<()>,
}

impl Model {
    /// That of a case, and what it is asked for.
    fn of(case: &Case) -> (Self, Receiver<Task>) {
        let (asked, told) = channel();
        let (class, answer, at_work) = (case.answer.clone(), case.answer.clone(), Arc::new(()));
        (Self { class, answer, takes: case.takes, asked, at_work }, told)
    }
}

impl QueryService for Model {
    fn answer(&self, query: Query) -> PortFuture<Answer, QueryError> {
        let answer = match query.task {
            Task::Classify => self.class.clone(),
            Task::Answer => self.answer.clone(),
        };
        let (takes, at_work) = (self.takes, Arc::clone(&self.at_work));
        // A test that asks nothing about this listens no longer.
        let _ = self.asked.send(query.task);
        Box::pin(async move {
            tokio::time::sleep(takes).await;
            drop(at_work);
            answer
        })
    }
}

/// Runs a test of turns in paused time, with the pipeline and the turn of a case.
fn with<T>(case: Case, model: Model, test: impl AsyncFnOnce(&Pipeline, &TurnInput) -> T) -> T {
    let hits = case.hits.map(VectorsResponse::Hits);
    actix::System::new().block_on(async {
        tokio::time::pause();
        let (class, confidence) = case.class;
        let found = Ok(classified(class, confidence));
        let pipeline = Pipeline {
            services: services(move || always(&hits), move || always(&found), model),
            store: Arc::new(NoTurns),
            settings: Arc::new(PipelineSettings::default()),
            routes: Arc::new(case.routes),
            phrases: Arc::new(phrases()),
            class_wait: case.class_wait,
        };
        let input = TurnInput {
            conversation: ConversationId::new(uuid::Uuid::nil()),
            account: Account::new(Channel::Web, "web"),
            now: Timestamp(0),
            turn: TurnId::new(uuid::Uuid::nil()),
            messages: case.messages,
            language: None,
            out_of_patience: case.out_of_patience,
        };
        test(&pipeline, &input).await
    })
}

/// Runs a turn whose class a model may have named before.
async fn once(
    pipeline: &Pipeline,
    input: &TurnInput,
    named: &mut Option<Class>,
) -> Result<TurnResult, TurnError> {
    let plan = pipeline.prepare(input).await?;
    pipeline.finish(input, plan, named).await
}

fn run(case: Case) -> Result<TurnResult, TurnError> {
    let (model, _) = Model::of(&case);
    with(case, model, async |pipeline, input| once(pipeline, input, &mut None).await)
}

/// A class by a way, with a hit of a score.
fn way(class: Class, route: Route, score: f32) -> Case {
    let mut routes = Routes::default();
    match class {
        Class::Complaint => routes.complaint = route,
        Class::Inquiry => routes.inquiry = route,
        Class::ServiceRequest => routes.service_request = route,
        _ => unreachable!("not needed"),
    }
    Case { class: (class, 0.9), routes, hits: Ok(vec![stored(score)]), ..Case::default() }
}

#[test]
fn a_turn_is_answered_by_what_fits_and_leaves_to_people_what_only_they_can_do() {
    let of = |class| Case { class: (class, 0.9), ..Case::default() };
    let answer = |text: &str, case| Case { answer: composed(text), ..case };
    let button = Case { messages: vec![message("button", Some("Yes"))], ..Case::default() };
    let passages = Case { hits: Ok(vec![stored(0.3)]), ..Case::default() };
    for (name, case, text, needs_human, records) in [
        ("stored answer", way(Class::Inquiry, Route::Query, 0.8), "stored", false, 0),
        ("stored answer to a complaint", way(Class::Complaint, Route::Record, 0.8), "stored", true, 1),
        ("stored answer to a request", way(Class::ServiceRequest, Route::Query, 0.8), "stored", true, 0),
        ("phrase", of(Class::Thanks), "phrase thanks", false, 0),
        ("record", of(Class::Complaint), "phrase complaint", true, 1),
        ("human", way(Class::Inquiry, Route::Human, 0.1), "phrase human", true, 0),
        ("button", button, "phrase template_reply", true, 1),
        ("query with a passage", answer("composed", passages.clone()), "composed", false, 0),
        ("query, not known", passages, "phrase fallback", true, 0),
        ("a composed answer to a request", answer("done?", of(Class::ServiceRequest)), "done?", true, 0),
        ("request, not known", of(Class::ServiceRequest), "phrase service_request", true, 0),
        ("small talk, not known", of(Class::Other), "phrase other", false, 0),
        ("doubtful", Case { class: (Class::Thanks, 0.1), ..Case::default() }, "phrase fallback", true, 0),
    ] {
        let result = run(case).unwrap();
        assert_eq!(result.disposition, Disposition::Answered, "{name}");
        assert_eq!(result.text.as_deref(), Some(text), "{name}");
        assert_eq!((result.needs_human, result.records.len()), (needs_human, records), "{name}");
        assert!(!result.journey.degraded, "{name}");
    }
}

#[test]
fn a_record_holds_the_whole_turn_and_its_class() {
    let messages = ["late again", "and broken"].map(|text| message("text", Some(text))).to_vec();
    let result = run(Case { messages, ..way(Class::Complaint, Route::Record, 0.8) }).unwrap();
    let expected = Record { class: Class::Complaint, text: "late again\nand broken".into() };
    assert_eq!((result.class, result.records), (Some(Class::Complaint), vec![expected]));
}

#[test]
fn a_silent_class_and_messages_that_ask_nothing_get_no_answer() {
    let of = |messages| Case { messages, ..Case::default() };
    for (name, case, reason) in [
        ("silent", way(Class::Inquiry, Route::Silent, 0.1), "silent route of inquiry"),
        ("ok", of(vec![message("text", Some("ok"))]), "needs no answer"),
        ("hands", of(vec![message("text", Some("🙏"))]), "needs no answer"),
        ("reaction", of(vec![message("reaction", None)]), "silent kind"),
    ] {
        let result = run(case).unwrap();
        assert_eq!(result.disposition, Disposition::Suppressed(reason.into()), "{name}");
        assert_eq!((result.text, result.needs_human, result.records), (None, false, vec![]), "{name}");
    }
    let unreadable = run(of(vec![message("image", None)])).unwrap();
    assert_eq!((unreadable.text.as_deref(), unreadable.class), (Some("phrase unsupported"), None));
}

#[test]
fn a_service_that_is_away_is_waited_for_and_then_done_without() {
    let no_query = Case { answer: away(), ..Case::default() };
    let lost = VectorsError::Failed("locked".into());
    let no_search = Case { hits: Err(lost), answer: composed("composed"), ..Case::default() };
    for (service, case, text) in
        [("query", no_query, "phrase fallback"), ("knowledge", no_search, "composed")]
    {
        let refused = run(case.clone()).unwrap_err();
        assert!(matches!(&refused, TurnError::Unavailable(why) if why.starts_with(service)), "{refused}");
        let result = run(Case { out_of_patience: true, ..case }).unwrap();
        assert_eq!(result.text.as_deref(), Some(text), "{service}");
        let step = result.journey.steps.iter().find(|step| step.name == service).unwrap();
        assert_eq!((step.outcome.as_str(), result.journey.degraded), ("degraded", true), "{service}");
    }
}

#[test]
fn what_would_have_gone_to_a_model_that_is_away_goes_to_a_person_also_where_it_looks_like_small_talk() {
    let small_talk = Case { class: (Class::Other, 0.9), ..Case::default() };
    let known = run(small_talk.clone()).unwrap();
    assert_eq!((known.text.as_deref(), known.needs_human), (Some("phrase other"), false));
    let without_model = run(Case { answer: away(), out_of_patience: true, ..small_talk }).unwrap();
    assert_eq!((without_model.text.as_deref(), without_model.needs_human), (Some("phrase fallback"), true));
}

#[test]
fn an_error_of_the_query_service_fails_the_turn_also_without_patience() {
    for out_of_patience in [false, true] {
        let answer = Err(QueryError::Failed("nonsense".into()));
        let failed = run(Case { answer, out_of_patience, ..Case::default() }).unwrap_err();
        assert_eq!(failed, TurnError::Failed("nonsense".into()));
    }
}

#[test]
fn a_model_names_the_class_and_where_it_does_not_the_examples_stand() {
    let asked = |answer| Case { answer, class_wait: Some(Duration::from_secs(60)), ..Case::default() };
    for (name, case, class, degraded) in [
        ("named", asked(composed("Complaint.")), Class::Complaint, false),
        (
            "against examples in doubt",
            Case { class: (Class::Inquiry, 0.1), ..asked(composed("thanks")) },
            Class::Thanks,
            false,
        ),
        (
            "nonsense",
            Case { class: (Class::Thanks, 0.9), ..asked(composed("I think so")) },
            Class::Thanks,
            true,
        ),
        ("away", Case { class: (Class::Thanks, 0.9), ..asked(away()) }, Class::Thanks, true),
        (
            "failed",
            Case { class: (Class::Thanks, 0.9), ..asked(Err(QueryError::Failed("x".into()))) },
            Class::Thanks,
            true,
        ),
        (
            "no model",
            Case { class: (Class::Thanks, 0.9), ..asked(Ok(Answer::NotKnown)) },
            Class::Thanks,
            true,
        ),
    ] {
        let result = run(case).unwrap();
        assert_eq!((result.class, result.journey.degraded), (Some(class), degraded), "{name}");
        assert!(result.journey.steps.iter().any(|step| step.name == "classify by model"), "{name}");
    }
    let button = Case { messages: vec![message("button", Some("Yes"))], ..asked(composed("complaint")) };
    let result = run(button).unwrap();
    assert_eq!(result.class, Some(Class::TemplateReply), "a button needs no model");
    assert!(!result.journey.steps.iter().any(|step| step.name == "classify by model"));
}

#[test]
fn a_class_that_comes_too_late_does_not_count_and_its_call_ends_with_the_wait() {
    let ms = Duration::from_millis;
    for (name, takes, class, degraded) in
        [("in time", ms(400), Class::Complaint, false), ("late", ms(600), Class::Thanks, true)]
    {
        let case = Case {
            class: (Class::Thanks, 0.9),
            answer: composed("complaint"),
            takes,
            class_wait: Some(ms(500)),
            ..Case::default()
        };
        let (model, _told) = Model::of(&case);
        let at_work = Arc::downgrade(&model.at_work);
        let (result, left) = with(case, model, async |pipeline, input| {
            let result = once(pipeline, input, &mut None).await.unwrap();
            tokio::time::sleep(ms(1)).await;
            (result, at_work.strong_count())
        });
        assert_eq!((result.class, result.journey.degraded), (Some(class), degraded), "{name}");
        let step = result.journey.steps.iter().find(|step| step.name == "classify by model").unwrap();
        assert_eq!(step.detail == "it is late", degraded, "{name}: {step:?}");
        assert_eq!(left, 1, "{name}: only the service itself is left");
    }
}

#[test]
fn a_class_that_was_named_is_not_asked_for_again_when_the_turn_runs_again() {
    let case = Case { answer: away(), class_wait: Some(Duration::from_secs(1)), ..Case::default() };
    let (model, told) = Model::of(&case);
    let model = Model { class: composed("inquiry"), ..model };
    let mut named = None;
    let case = Case { class: (Class::Thanks, 0.9), ..case };
    let results = with(case, model, async |pipeline, input| {
        [once(pipeline, input, &mut named).await, once(pipeline, input, &mut named).await]
    });
    assert!(results.iter().all(|result| matches!(result, Err(TurnError::Unavailable(_)))), "{results:?}");
    assert_eq!(named, Some(Class::Inquiry));
    assert_eq!(told.iter().collect::<Vec<_>>(), [Task::Classify, Task::Answer, Task::Answer]);
}
