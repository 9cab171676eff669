//! Lets the classifier learn anew when the examples in the database change, while the calls go on with what it knew before. What is
//! learnt is the business of [`School`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::time::Duration;

use rusqlite::Connection;
use tertulia_actors::domain::Language;
use tertulia_actors::failpoint;
use tertulia_actors::ports::{Classifiable, Classification, ClassifierError, Compute, Embedder};
use tokio::sync::watch;

use super::classifier::Examples;
use super::school::{School, Trained, open};
use crate::knowledge::examples::generation;

/// How long it waits after it could not learn.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it waits before it tries again by itself what it could not do; twice as long each further time in a row.
const RETRY: Duration = Duration::from_secs(1);

/// The longest such wait.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Makes what embeds, on the trainer's thread.
pub type MakeEmbedder = Box<dyn FnOnce() -> Box<dyn Embedder> + Send>;

/// What embeds the examples.
pub enum EmbedBy {
    /// Nothing does: they tell by their words alone.
    Nothing,
    /// A model here, which takes some seconds for the built-in ones: the first classifier knows what they mean.
    Here(MakeEmbedder),
    /// A model elsewhere, which may be slow or away: nobody waits for it, and words tell until all have been embedded.
    Elsewhere(MakeEmbedder),
}

/// What training needs.
pub struct TrainerParts {
    /// The database, which has the table of examples.
    pub path: PathBuf,
    /// Among which languages are detected.
    pub languages: Vec<Language>,
    /// The examples of the configuration.
    pub extra: Examples,
    /// What embeds the examples.
    pub embed: EmbedBy,
}

/// The classifier of the moment, and the way to ask for a newer one. Its thread ends when all clones are gone.
///
/// One thread trains, whoever asks, and one request waits for it at the most: it reads all examples that there are by then.
#[derive(Clone)]
pub struct Trainer {
    asks: SyncSender<()>,
    trained: watch::Receiver<Arc<Trained>>,
    path: Arc<Path>,
}

impl Trainer {
    /// Starts the thread that learns, and waits until it has learnt from all examples; from those of the database by their words alone
    /// where there is a model, which may take long for many: what they mean is learnt next. So are the built-in ones where the
    /// model is elsewhere.
    ///
    /// # Errors
    /// The system gives no thread, or the first learning panicked.
    pub fn start(parts: TrainerParts) -> std::io::Result<Self> {
        let path: Arc<Path> = parts.path.clone().into();
        let (asks, asked) = sync_channel(1);
        let (tells, told) = channel();
        let work = move || {
            let (mut school, first) = School::open(parts);
            let (says, trained) = watch::channel(Arc::new(first));
            // Whoever started this waits for it.
            if tells.send(trained).is_ok() {
                train(&mut school, &asked, &says);
            }
        };
        std::thread::Builder::new().name("trainer".into()).spawn(work)?;
        let trained =
            told.recv().map_err(|_| std::io::Error::other("the classifier panicked while it learnt"))?;
        Ok(Self { asks, trained, path })
    }

    /// Asks for a newer classifier; not twice.
    fn ask(&self) {
        // Full: somebody has asked already. Gone: then there is none to be had, and the old one serves.
        let _ = self.asks.try_send(());
    }
}

/// What the thread does until nobody can ask it any more. What is left to be learnt it tries again by itself.
fn train(school: &mut School, asked: &Receiver<()>, says: &watch::Sender<Arc<Trained>>) {
    let mut retry = (!school.is_done()).then_some(Duration::ZERO);
    while is_due(asked, retry) {
        let is_done = match catch_unwind(AssertUnwindSafe(|| school.learn(says))) {
            Ok(Ok(())) => school.is_done(),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the classifier cannot learn from the examples, and goes on with what it knew");
                std::thread::sleep(PAUSE);
                false
            }
            Err(_) => {
                tracing::error!("the classifier panicked while it learnt, and goes on with what it knew");
                std::thread::sleep(PAUSE);
                false
            }
        };
        retry = if is_done { None } else { Some(longer(retry)) };
    }
}

/// Waits until somebody asks, or it is time to try again; false when nobody can ask any more.
fn is_due(asked: &Receiver<()>, retry: Option<Duration>) -> bool {
    match retry {
        None => asked.recv().is_ok(),
        Some(wait) => !matches!(asked.recv_timeout(wait), Err(RecvTimeoutError::Disconnected)),
    }
}

/// The wait after one that led to nothing.
fn longer(retry: Option<Duration>) -> Duration {
    match retry {
        Some(wait) if !wait.is_zero() => (wait * 2).min(RETRY_MAX),
        Some(_) | None => RETRY,
    }
}

/// What a thread of the service works with: the newest classifier that there is.
pub struct LiveClassifier {
    trainer: Trainer,
    conn: Option<Connection>,
}

impl LiveClassifier {
    /// Classifies with what `trainer` has learnt.
    #[must_use]
    pub const fn new(trainer: Trainer) -> Self {
        Self { trainer, conn: None }
    }

    /// The generation of the examples in the database; none where it cannot be read, which is no reason not to classify.
    fn generation(&mut self) -> Option<i64> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => open(&self.trainer.path).ok()?,
        };
        let found = generation(&conn).ok()?;
        self.conn = Some(conn);
        Some(found)
    }
}

impl Compute for LiveClassifier {
    type Request = Classifiable;
    type Response = Classification;
    type Error = ClassifierError;

    fn compute(&mut self, (text, embedding): Classifiable) -> Result<Classification, ClassifierError> {
        failpoint!("classifier.compute", text: &text, return Err(ClassifierError::Failed("failpoint".into())));
        let generation = self.generation();
        let trained = Arc::clone(&self.trainer.trained.borrow());
        if generation.is_some() && generation != trained.generation {
            self.trainer.ask();
        }
        Ok(trained.classifier.classify_now(&text, embedding.as_deref()))
    }
}

#[cfg(test)]
mod tests;
