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
    since: Instant,
    caller: oneshot::Sender<Answer>,
}

impl Waits for Waiting {
    fn chars(&self) -> usize {
        self.text.text.chars().count()
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
        self.bench.gathered.borrow_mut().push(Waiting { text, since: Instant::now(), caller });
        self.bench.nudge.notify_one();
        // A caller that is let go without an answer had nobody to work for it.
        Box::pin(async move { answer.await.unwrap_or(Err(Fault::NoWorker)) })
    }

    fn blame(error: &EmbedderError) -> Blame {
        match error {
            EmbedderError::Unavailable(_) | EmbedderError::Failed(_) => Blame::Service,
            EmbedderError::Throttled { retry_after, .. } => Blame::NotBefore(*retry_after),
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

/// Embeds a batch and answers its callers. One whose failure a single text may have caused is done again text by text, so that
/// nobody pays for another's.
async fn work(bench: Rc<Bench>, batch: Vec<Waiting>) {
    let (texts, callers): (Vec<_>, Vec<_>) = batch.into_iter().map(|one| (one.text, one.caller)).unzip();
    let result = bench.engine.call(texts.clone()).await;
    match result {
        Ok(vectors) => {
            for ((text, caller), vector) in texts.into_iter().zip(callers).zip(vectors) {
                bench.answer(text, caller, Ok(vector));
            }
        }
        Err(fault) if texts.len() == 1 || !may_be_one_text(&fault) => {
            for (text, caller) in texts.into_iter().zip(callers) {
                bench.answer(text, caller, Err(fault.clone()));
            }
        }
        Err(_) => {
            for (text, caller) in texts.into_iter().zip(callers) {
                if !caller.is_closed() {
                    let alone = bench.engine.call(vec![text.clone()]).await;
                    bench.answer(text, caller, alone.and_then(only));
                }
            }
        }
    }
    bench.gathered.borrow_mut().done();
    bench.nudge.notify_one();
}

/// The only vector of a batch of one.
fn only(vectors: Vec<Option<Embedding>>) -> Answer {
    vectors.into_iter().next().ok_or_else(|| EmbedderError::Failed("there is no vector".into()).into())
}

/// Whether it may be a single text that the whole batch failed for.
const fn may_be_one_text(fault: &Fault<EmbedderError>) -> bool {
    matches!(fault, Fault::Failed(EmbedderError::Failed(_)) | Fault::Panicked(_))
}

impl Bench {
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
