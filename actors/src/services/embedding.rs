//! Texts to vectors. Texts that wait together are embedded together: `batch` decides when and which (pure), `cache` remembers
//! what was embedded lately.

mod batch;
mod cache;

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use serde_json::{Map, Value, json};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use batch::{Gathered, Waits};
use cache::Cache;

use super::Engine;
use crate::domain::Embedding;
use crate::failpoint;
use crate::ports::{Embeddable, EmbedderError};
use crate::settings::BatchSettings;
use crate::supervision::Service;
use crate::supervision::service::{Blame, Fault, Work};

/// What embeds several texts at once.
type BatchEngine = Engine<Vec<Embeddable>, Vec<Option<Embedding>>, EmbedderError>;

/// A vector, if the text can be read.
type Answer = Result<Option<Embedding>, Fault<EmbedderError>>;

/// A text that waits, and who waits for it.
struct Waiting {
    text: Embeddable,
    /// Counted once: it is asked for at each wake-up of the driver.
    chars: usize,
    since: Instant,
    caller: oneshot::Sender<Answer>,
}

impl Waits for Waiting {
    fn chars(&self) -> usize {
        self.chars
    }

    fn since(&self) -> Instant {
        self.since
    }

    fn is_given_up(&self) -> bool {
        self.caller.is_closed()
    }
}

/// Texts to vectors.
///
/// Owned by its front, on the front's thread. Bounded by the calls that the front has under way, and by its cache.
pub struct EmbeddingService {
    bench: Rc<Bench>,
    driver: JoinHandle<()>,
}

/// What the calls, the driver and the batches under way share; all on one thread.
struct Bench {
    engine: BatchEngine,
    gathered: RefCell<Gathered<Waiting>>,
    cache: RefCell<Cache>,
    nudge: Notify,
}

impl EmbeddingService {
    /// Embeds by `engine`, in batches. To be called in the front's arbiter.
    #[must_use]
    pub fn start(engine: BatchEngine, settings: BatchSettings) -> Self {
        let bench = Rc::new(Bench {
            engine,
            gathered: RefCell::new(Gathered::new(settings)),
            cache: RefCell::new(Cache::new(settings.cache_max)),
            nudge: Notify::new(),
        });
        let driver = actix_rt::spawn(drive(Rc::downgrade(&bench)));
        Self { bench, driver }
    }
}

impl Drop for EmbeddingService {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Service for EmbeddingService {
    type Request = Embeddable;
    type Response = Option<Embedding>;
    type Error = EmbedderError;
    const NAME: &'static str = "embedding";

    fn call(&self, text: Embeddable) -> Work<Option<Embedding>, EmbedderError> {
        failpoint!("services.embedding");
        assert!(!self.driver.is_finished(), "nobody gathers texts any more");
        let text = normalised(&text);
        if text.text.is_empty() {
            return Box::pin(std::future::ready(Ok(None)));
        }
        if let Some(known) = self.bench.cache.borrow_mut().get(&text) {
            return Box::pin(std::future::ready(Ok(known)));
        }
        let (caller, answer) = oneshot::channel();
        let chars = text.text.chars().count();
        self.bench.gathered.borrow_mut().push(Waiting { text, chars, since: Instant::now(), caller });
        self.bench.nudge.notify_one();
        // A caller that is let go without an answer had nobody to work for it.
        Box::pin(async move { answer.await.unwrap_or(Err(Fault::NoWorker)) })
    }

    fn blame(error: &EmbedderError) -> Blame {
        match error {
            EmbedderError::Unavailable(_) | EmbedderError::Failed(_) => Blame::Service,
            EmbedderError::Throttled { retry_after, .. } => Blame::NotBefore(*retry_after),
            EmbedderError::Refused(_) | EmbedderError::Shared(_) => Blame::Request,
        }
    }

    fn refresh(&self) {
        self.bench.engine.refresh();
    }

    fn detail(&self) -> Map<String, Value> {
        let mut detail = self.bench.engine.detail();
        let gathered = self.bench.gathered.borrow();
        let batches = json!({"count": gathered.batches(), "texts": gathered.texts()});
        detail.insert("batches".into(), batches);
        let (hits, held) = self.bench.cache.borrow().counts();
        detail.insert("cache".into(), json!({"hits": hits, "texts": held}));
        detail
    }
}

/// A text as it is embedded: white space means nothing to a model.
fn normalised(text: &Embeddable) -> Embeddable {
    let words: Vec<_> = text.text.split_whitespace().collect();
    Embeddable { text: words.join(" "), role: text.role }
}

/// Takes batches out as they close. Ends with the service.
async fn drive(bench: Weak<Bench>) {
    loop {
        let Some(held) = bench.upgrade() else { return };
        let closes = held.gathered.borrow_mut().closes_at();
        match closes {
            Some(at) if at <= Instant::now() => {
                let batch = held.gathered.borrow_mut().take();
                actix_rt::spawn(work(Rc::clone(&held), batch));
            }
            Some(at) => {
                tokio::select! {
                    () = held.nudge.notified() => {}
                    () = sleep_until(at) => {}
                }
            }
            None => held.nudge.notified().await,
        }
    }
}

/// Frees a place for the next batch, however one ends.
struct Place(Rc<Bench>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.gathered.borrow_mut().done();
        self.0.nudge.notify_one();
    }
}

/// Embeds a batch and answers its callers, unless all of them have given up. One whose failure a single text may have caused is done
/// again text by text, so that nobody pays for another's.
async fn work(bench: Rc<Bench>, batch: Vec<Waiting>) {
    let _place = Place(Rc::clone(&bench));
    let (texts, mut callers): (Vec<_>, Vec<_>) = batch.into_iter().map(|one| (one.text, one.caller)).unzip();
    let result = tokio::select! {
        result = bench.engine.call(texts.clone()) => result,
        () = all_gone(&mut callers) => return,
    };
    let calls = texts.into_iter().zip(callers);
    match result {
        Ok(vectors) => {
            for ((text, caller), vector) in calls.zip(vectors) {
                bench.answer(text, caller, Ok(vector));
            }
        }
        Err(fault) if calls.len() == 1 || !may_be_one_text(&fault) => bench.fail(calls, &fault),
        Err(_) => one_by_one(&bench, calls).await,
    }
}

/// Waits until nobody waits any more.
async fn all_gone(callers: &mut [oneshot::Sender<Answer>]) {
    for caller in callers {
        caller.closed().await;
    }
}

/// Embeds texts one after another, until the service itself fails.
async fn one_by_one(bench: &Bench, mut calls: impl Iterator<Item = (Embeddable, oneshot::Sender<Answer>)>) {
    while let Some((text, caller)) = calls.next() {
        if caller.is_closed() {
            continue;
        }
        let alone = bench.engine.call(vec![text.clone()]).await;
        match alone {
            Err(fault) if !may_be_one_text(&fault) => {
                return bench.fail(std::iter::once((text, caller)).chain(calls), &fault);
            }
            alone => bench.answer(text, caller, alone.and_then(only)),
        }
    }
}

/// The only vector of a batch of one.
fn only(vectors: Vec<Option<Embedding>>) -> Answer {
    vectors.into_iter().next().ok_or_else(|| EmbedderError::Failed("there is no vector".into()).into())
}

/// Whether it may be a single text that the whole batch failed for.
const fn may_be_one_text(fault: &Fault<EmbedderError>) -> bool {
    matches!(fault, Fault::Failed(EmbedderError::Failed(_) | EmbedderError::Refused(_)) | Fault::Panicked(_))
}

impl Bench {
    /// Tells callers that a batch failed. It counts against the service once, however many texts it had.
    fn fail(
        &self,
        calls: impl Iterator<Item = (Embeddable, oneshot::Sender<Answer>)>,
        fault: &Fault<EmbedderError>,
    ) {
        let shared = match fault {
            Fault::Failed(error) => error.to_string(),
            Fault::Panicked(_) => "the batch panicked".to_owned(),
            Fault::Frozen(_) => "the batch took too long".to_owned(),
            Fault::NoWorker => "there is no thread for it".to_owned(),
        };
        for (n, (text, caller)) in calls.enumerate() {
            let others = || Fault::Failed(EmbedderError::Shared(shared.clone()));
            self.answer(text, caller, Err(if n == 0 { fault.clone() } else { others() }));
        }
    }

    fn answer(&self, text: Embeddable, caller: oneshot::Sender<Answer>, answer: Answer) {
        if let Ok(vector) = &answer {
            self.cache.borrow_mut().put(text, vector.clone());
        }
        // Nobody waits who gave up.
        let _ = caller.send(answer);
    }
}

#[cfg(test)]
mod tests;
