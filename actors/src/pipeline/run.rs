//! Runs a turn: knowledge, class, route, answer.
//!
//! In two halves. [`Pipeline::prepare`] only reads what is embedded here, so it may overlap the start mark's way to the
//! disk; [`Pipeline::finish`] may call out and runs after the mark is durable.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::decide::{self, Ask, FollowUp, Lookup, Unanswered};
use super::journal::Journal;
use super::phrases::{self, phrase};
use super::refusal::{self, Reaction, Refusal, Stage};
use crate::domain::{
    Account, Class, ConversationId, Disposition, Embedding, Filter, HistoryItem, Hit, Journey, Language,
    PendingMessage, Record, Route, Timestamp, TurnId, steps,
};
use crate::ports::store::Turns;
use crate::ports::{Answer, Classification, Embeddable, Query, QueryError, Search, Task};
use crate::services::Services;
use crate::settings::{Phrases, PipelineSettings, Routes};
use crate::supervision::CallError;

/// What a turn works on.
#[derive(Clone, Debug)]
pub struct TurnInput {
    /// Whose.
    pub conversation: ConversationId,
    /// The account that answers.
    pub account: Account,
    /// Wall time: what holds now is answered.
    pub now: Timestamp,
    /// The turn.
    pub turn: TurnId,
    /// Its messages, in order.
    pub messages: Vec<PendingMessage>,
    /// The language of the conversation so far.
    pub language: Option<Language>,
    /// Whether the turn has waited long enough for services that are not available, and is answered without them.
    pub out_of_patience: bool,
}

/// What a turn comes to.
#[derive(Clone, PartialEq, Debug)]
pub struct TurnResult {
    /// How its messages end.
    pub disposition: Disposition,
    /// The answer.
    pub text: Option<String>,
    /// Whether a person should look.
    pub needs_human: bool,
    /// What is left for people to read.
    pub records: Vec<Record>,
    /// The class.
    pub class: Option<Class>,
    /// The person's language.
    pub language: Language,
    /// How it came about.
    pub journey: Journey,
}

/// Why a turn came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TurnError {
    /// A service is overloaded or away: not this turn's fault; it waits and runs again.
    #[error("a service is unavailable: {0}")]
    Unavailable(String),
    /// The turn itself failed.
    #[error("the turn failed: {0}")]
    Failed(String),
}

/// Everything that was found out before the first call may leave the process.
pub struct Plan {
    journal: Journal,
    language: Language,
    class: Option<Class>,
    needs_human: bool,
    records: Vec<Record>,
    next: Next,
}

/// What the second half has to do.
enum Next {
    /// Asks a model which class it is, and decides the rest.
    Judge(Box<Understood>),
    Say(String),
    Stay(String),
    Ask {
        query: Query,
        otherwise: Unanswered,
    },
}

/// What is known about a text before it is decided what to do.
struct Understood {
    text: String,
    found: Option<Classification>,
    spoken: Option<Language>,
    hits: Vec<Hit>,
}

impl Understood {
    /// The same, whose class is sure.
    fn of_class(self, class: Class) -> Self {
        let language = self.found.and_then(|found| found.language);
        Self { found: Some(Classification { class, confidence: 1.0, scope: 1.0, language }), ..self }
    }
}

impl Plan {
    /// Of messages that were not classified.
    const fn without_class(journal: Journal, language: Language, next: Next) -> Self {
        Self { journal, language, class: None, needs_human: false, records: vec![], next }
    }
}

/// The ways and settings of all turns of a shard.
#[derive(Clone)]
pub struct Pipeline {
    /// The services.
    pub services: Services,
    /// Where the history comes from.
    pub store: Arc<dyn Turns>,
    /// Thresholds and lists.
    pub settings: Arc<PipelineSettings>,
    /// The way of each class.
    pub routes: Arc<Routes>,
    /// What is said.
    pub phrases: Arc<Phrases>,
    /// How long the query service may take to name the class of a turn; none where the examples alone say it.
    pub class_wait: Option<Duration>,
}

impl Pipeline {
    /// The first half: what is asked, what is known, which class it is.
    ///
    /// # Errors
    /// [`TurnError::Unavailable`] when a service gave no answer and the turn still has patience.
    pub async fn prepare(&self, input: &TurnInput) -> Result<Plan, TurnError> {
        let mut journal = Journal::start();
        let begun = Instant::now();
        let ask = decide::ask(&input.messages, &self.settings);
        journal.step("read", begun, outcome_of(&ask), json!({ "messages": input.messages.len() }));
        match ask {
            Ask::Text(text) => self.understand(text, input, journal).await,
            Ask::Unreadable => {
                let language = self.language_or_default(input.language);
                let text = self.phrase(phrases::UNSUPPORTED, language);
                Ok(Plan::without_class(journal, language, Next::Say(text)))
            }
            Ask::Nothing(reason) => {
                let language = self.language_or_default(input.language);
                Ok(Plan::without_class(journal, language, Next::Stay(reason.to_owned())))
            }
        }
    }

    /// What is known about a text, which class it is, and what follows.
    async fn understand(
        &self,
        text: String,
        input: &TurnInput,
        mut journal: Journal,
    ) -> Result<Plan, TurnError> {
        let embedding = self.embed(&text, input, &mut journal).await?;
        let found = self.classify(&text, embedding.clone(), input, &mut journal).await?;
        let spoken = found.and_then(|found| found.language).or(input.language);
        let hits = self.search(&text, embedding, spoken, input, &mut journal).await?;
        let understood = Understood { text, found, spoken, hits };
        let is_button = input.messages.iter().any(|message| message.kind == "button");
        if self.class_wait.is_some() && !is_button {
            let language = self.language_or_default(spoken);
            return Ok(Plan::without_class(journal, language, Next::Judge(Box::new(understood))));
        }
        self.judge(understood, input, journal).await
    }

    /// What follows from what is known.
    async fn judge(
        &self,
        understood: Understood,
        input: &TurnInput,
        journal: Journal,
    ) -> Result<Plan, TurnError> {
        let Understood { text, found, spoken, hits } = understood;
        let class = decide::class(&input.messages, found.as_ref(), &self.settings);
        let language = self.language_or_default(spoken);
        let FollowUp { record, needs_human } = decide::follow_up(class, self.routes.of(class));
        // What nobody has classified may be a complaint: a person looks.
        let needs_human = needs_human || found.is_none();
        let records = if record { vec![Record { class, text: text.clone() }] } else { vec![] };
        let next = match decide::lookup(hits, &self.settings) {
            Lookup::Reply(hit) => Next::Say(hit.entry.answer.clone()),
            Lookup::Continue(passages) => {
                let is_sure = decide::is_sure(found.as_ref(), &self.settings);
                let otherwise = decide::unanswered(class, is_sure, &text, &passages);
                let (task, conversation, history) = (Task::Answer, input.conversation, vec![]);
                let query = Query { task, conversation, text, class, language, passages, history };
                self.route(query, otherwise, input).await?
            }
        };
        Ok(Plan { journal, language, class: Some(class), needs_human, records, next })
    }

    /// The second half: says what was found, or asks the query service. A class that it `named` is not asked for again; one that
    /// it names is told there, also where the half then fails or is given up.
    ///
    /// # Errors
    /// When the query service is unavailable or fails.
    pub async fn finish(
        &self,
        input: &TurnInput,
        plan: Plan,
        named: &mut Option<Class>,
    ) -> Result<TurnResult, TurnError> {
        let plan = match plan.next {
            Next::Judge(understood) => {
                let mut journal = plan.journal;
                let understood = self.name_class(*understood, input, &mut journal, named).await;
                self.judge(understood, input, journal).await?
            }
            next => Plan { next, ..plan },
        };
        let Plan { mut journal, language, class, mut needs_human, records, next } = plan;
        let (disposition, text) = match next {
            // Judged above, which leaves nothing to judge.
            Next::Judge(_) => return Err(TurnError::Failed("the class was asked for twice".into())),
            Next::Stay(reason) => (Disposition::Suppressed(reason), None),
            Next::Say(text) => (Disposition::Answered, Some(text)),
            Next::Ask { query, otherwise } => {
                let otherwise = match self.compose(query, input, &mut journal).await? {
                    Some(Answer::Text { text, .. }) => Err(text),
                    Some(Answer::NotKnown) => Ok(otherwise),
                    None => Ok(decide::AWAY),
                };
                needs_human |= otherwise.as_ref().is_ok_and(|otherwise| otherwise.needs_human);
                let text = otherwise.map_or_else(|text| text, |said| self.phrase(said.phrase, language));
                (Disposition::Answered, Some(text))
            }
        };
        let journey = journal.finish();
        Ok(TurnResult { disposition, text, needs_human, records, class, language, journey })
    }

    /// What becomes of a turn whose conversation somebody has taken over: nothing is said or recorded, and they should look.
    #[must_use]
    pub fn quiet(&self, input: &TurnInput) -> TurnResult {
        TurnResult {
            disposition: Disposition::Suppressed("taken over".into()),
            text: None,
            needs_human: true,
            records: vec![],
            class: None,
            language: self.language_or_default(input.language),
            journey: Journey::default(),
        }
    }

    /// What is said when a message failed alone.
    #[must_use]
    pub fn dead_letter(&self, input: &TurnInput, reason: String) -> TurnResult {
        let language = self.language_or_default(input.language);
        TurnResult {
            disposition: Disposition::DeadLettered(reason),
            text: Some(self.phrase(phrases::DEAD_LETTER, language)),
            needs_human: true,
            records: vec![],
            class: None,
            language,
            journey: Journey::default(),
        }
    }

    async fn embed(
        &self,
        text: &str,
        input: &TurnInput,
        journal: &mut Journal,
    ) -> Result<Option<Embedding>, TurnError> {
        let Some(front) = &self.services.embedding else { return Ok(None) };
        let begun = Instant::now();
        let result = front.call(Some(input.conversation), Embeddable::query(text)).await;
        let stage = if self.services.needs_vectors { Stage::NeededEmbedding } else { Stage::Embedding };
        let found = settle(
            stage,
            result,
            input,
            begun,
            journal,
            |vector: &Option<Embedding>| json!({ "read": vector.is_some() }),
        )?;
        Ok(found.flatten())
    }

    async fn classify(
        &self,
        text: &str,
        embedding: Option<Embedding>,
        input: &TurnInput,
        journal: &mut Journal,
    ) -> Result<Option<Classification>, TurnError> {
        let begun = Instant::now();
        let result =
            self.services.classifier.call(Some(input.conversation), (text.to_owned(), embedding)).await;
        settle(Stage::Classifier, result, input, begun, journal, |found| json!(found))
    }

    async fn search(
        &self,
        text: &str,
        embedding: Option<Embedding>,
        language: Option<Language>,
        input: &TurnInput,
        journal: &mut Journal,
    ) -> Result<Vec<Hit>, TurnError> {
        let begun = Instant::now();
        let limit = self.settings.knowledge_hits;
        let (account, at) = (Some(input.account.name.clone()), Some(input.now));
        let filter = Filter { account, at, ..Filter::default() };
        let search = Search { text: text.to_owned(), embedding, language, filter, limit };
        let result = self.services.vectors.search(Some(input.conversation), search).await;
        let found = settle(Stage::Knowledge, result, input, begun, journal, |hits: &Vec<Hit>| {
            hits.iter()
                .map(|hit| json!({ "id": hit.entry.id, "language": hit.entry.language, "score": hit.score }))
                .collect()
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The way of a class where no stored answer fits.
    async fn route(
        &self,
        mut query: Query,
        otherwise: Unanswered,
        input: &TurnInput,
    ) -> Result<Next, TurnError> {
        Ok(match self.routes.of(query.class) {
            Route::Phrase | Route::Record => Next::Say(self.phrase(query.class.as_str(), query.language)),
            Route::Human => Next::Say(self.phrase(phrases::HUMAN, query.language)),
            Route::Silent => Next::Stay(format!("silent route of {}", query.class)),
            Route::Query => {
                query.history = self.history(input).await?;
                Next::Ask { query, otherwise }
            }
        })
    }

    async fn history(&self, input: &TurnInput) -> Result<Vec<HistoryItem>, TurnError> {
        match self.settings.history_messages {
            0 => Ok(vec![]),
            limit => match self.store.history(input.conversation, input.turn, limit).await {
                // A history that cannot be read for good must not keep the answer back for ever.
                Err(error) if input.out_of_patience => {
                    tracing::warn!(conversation.id = %input.conversation, %error, "answering without the history");
                    Ok(vec![])
                }
                history => history.map_err(|error| TurnError::Unavailable(error.to_string())),
            },
        }
    }

    /// Asks the query service which class a text is, unless it named it before. Where it is late, away, or names none, what the examples say stands.
    async fn name_class(
        &self,
        understood: Understood,
        input: &TurnInput,
        journal: &mut Journal,
        named: &mut Option<Class>,
    ) -> Understood {
        let begun = Instant::now();
        if let Some(class) = *named {
            journal.step(steps::CLASS_BY_MODEL, begun, "ok", json!({ "class": class, "kept": true }));
            return understood.of_class(class);
        }
        let class = understood.found.map_or(Class::Other, |found| found.class);
        let (text, language) = (understood.text.clone(), self.language_or_default(understood.spoken));
        let (task, conversation, passages, history) = (Task::Classify, input.conversation, vec![], vec![]);
        let query = Query { task, conversation, text, class, language, passages, history };
        let asked = self.services.query.call(Some(conversation), query);
        let answered = match timeout(self.class_wait.unwrap_or_default(), asked).await {
            Ok(Ok(Answer::Text { text, prompt_tokens, completion_tokens })) => decide::class_named(&text)
                .map(|class| (class, prompt_tokens, completion_tokens))
                .ok_or_else(|| "it names no class".to_owned()),
            Ok(Ok(Answer::NotKnown)) => Err("there is no model".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("it is late".to_owned()),
        };
        match answered {
            Ok((class, prompt_tokens, completion_tokens)) => {
                let detail = json!({ "class": class, "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens });
                journal.step(steps::CLASS_BY_MODEL, begun, "ok", detail);
                *named = Some(class);
                understood.of_class(class)
            }
            Err(reason) => {
                journal.degraded(steps::CLASS_BY_MODEL, begun, &reason);
                understood
            }
        }
    }

    /// Asks the query service; none where it is away for too long.
    async fn compose(
        &self,
        query: Query,
        input: &TurnInput,
        journal: &mut Journal,
    ) -> Result<Option<Answer>, TurnError> {
        let begun = Instant::now();
        let result = match self.services.query.call(Some(input.conversation), query).await {
            Err(CallError::Failed(QueryError::Failed(reason))) => return Err(TurnError::Failed(reason)),
            result => result,
        };
        settle(Stage::Query, result, input, begun, journal, |answer| match answer {
            Answer::Text { prompt_tokens, completion_tokens, .. } => {
                json!({ "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens })
            }
            Answer::NotKnown => json!("not known"),
        })
    }

    fn phrase(&self, name: &str, language: Language) -> String {
        phrase(&self.phrases, name, language, self.language_or_default(None))
    }

    fn language_or_default(&self, language: Option<Language>) -> Language {
        language.or_else(|| self.settings.languages.first().copied()).unwrap_or(Language::ENGLISH)
    }
}

/// A service's result: its answer; nothing, written down, where the turn goes on without it; else the turn's end for now.
fn settle<T, E: std::fmt::Display>(
    stage: Stage,
    result: Result<T, CallError<E>>,
    input: &TurnInput,
    begun: Instant,
    journal: &mut Journal,
    detail: impl FnOnce(&T) -> Value,
) -> Result<Option<T>, TurnError> {
    let error = match result {
        Ok(answer) => {
            journal.step(stage.as_str(), begun, "ok", detail(&answer));
            return Ok(Some(answer));
        }
        Err(error) => error,
    };
    match refusal::reaction(stage, Refusal::of(&error), input.out_of_patience) {
        Reaction::GoOnWithout => {
            journal.degraded(stage.as_str(), begun, &error.to_string());
            Ok(None)
        }
        Reaction::Wait => Err(TurnError::Unavailable(format!("{}: {error}", stage.as_str()))),
    }
}

const fn outcome_of(ask: &Ask) -> &'static str {
    match ask {
        Ask::Text(_) => "text",
        Ask::Unreadable => "unreadable",
        Ask::Nothing(reason) => reason,
    }
}

/// How long a turn has waited, against its patience.
#[must_use]
pub fn is_out_of_patience(waited: Duration, patience_ms: u64) -> bool {
    waited >= Duration::from_millis(patience_ms)
}
