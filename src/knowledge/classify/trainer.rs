//! Lets the classifier learn anew when the examples in the database change, while the calls go on with what it knew before.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tertulia_actors::domain::{Embedding, Language};
use tertulia_actors::failpoint;
use tertulia_actors::ports::{
    ClassExample, Classifiable, Classification, ClassifierError, Compute, Embeddable, EmbedderError,
};
use tokio::sync::watch;

use super::classifier::{ExampleClassifier, Examples, examples};
use super::labels::Example;
use crate::knowledge::examples::{ExampleError, generation, list};

/// How long a connection waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// How long it waits before it tries again to learn what it could not.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it waits before it embeds again what it could not.
const PAUSE_WITHOUT_MODEL: Duration = Duration::from_secs(30);

/// Texts that are embedded at a time.
const PAGE: usize = 32;

/// Embeds texts, on the trainer's thread.
pub type Embed = Box<dyn FnMut(Vec<Embeddable>) -> Result<Vec<Option<Embedding>>, EmbedderError>>;

/// Makes what embeds, on the trainer's thread.
pub type MakeEmbed = Box<dyn FnOnce() -> Embed + Send>;

/// What training needs.
pub struct TrainerParts {
    /// The database, which has the table of examples.
    pub path: PathBuf,
    /// Among which languages are detected.
    pub languages: Vec<Language>,
    /// The examples of the configuration.
    pub extra: Examples,
    /// What embeds the examples, if there is a model.
    pub embed: Option<MakeEmbed>,
}

/// A classifier, and of which generation of the examples it has learnt.
struct Trained {
    generation: Option<i64>,
    classifier: ExampleClassifier,
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
    /// where there is a model, which may take long for many: what they mean is learnt next.
    ///
    /// # Errors
    /// The system gives no thread, or the first learning panicked.
    pub fn start(parts: TrainerParts) -> std::io::Result<Self> {
        let path: Arc<Path> = parts.path.clone().into();
        let (asks, asked) = sync_channel(1);
        let (tells, told) = channel();
        let work = move || {
            let mut school = School::of(parts);
            let (says, trained) = watch::channel(Arc::new(school.first()));
            // Whoever started this waits for it.
            if tells.send(trained).is_ok() {
                school.train(&asked, &says);
            }
        };
        std::thread::Builder::new().name("trainer".into()).spawn(work)?;
        let trained =
            told.recv().map_err(|_| std::io::Error::other("the classifier panicked while it learnt"))?;
        let trainer = Self { asks, trained, path };
        if trainer.trained.borrow().generation.is_none() {
            trainer.ask();
        }
        Ok(trainer)
    }

    /// Asks for a newer classifier; not twice.
    fn ask(&self) {
        // Full: somebody has asked already. Gone: then there is none to be had, and the old one serves.
        let _ = self.asks.try_send(());
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

/// Opens a database to read only.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    // Not read-only: a reader of a database in WAL mode may have to create its shared memory file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(LOCK_WAIT)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// The examples in the database, and their generation, of the same moment.
fn read(path: &Path) -> Result<(i64, Vec<ClassExample>), ExampleError> {
    let conn = open(path)?;
    let transaction = conn.unchecked_transaction()?;
    let generation = generation(&conn)?;
    let kept = list(&conn, 0, usize::MAX)?.into_iter().map(|kept| kept.example).collect();
    transaction.commit()?;
    Ok((generation, kept))
}

/// What the trainer's thread has.
struct School {
    path: PathBuf,
    languages: Vec<Language>,
    extra: Examples,
    embed: Option<Embed>,
    /// What examples mean, so that only new ones are embedded.
    vectors: HashMap<String, Option<Embedding>>,
}

impl School {
    /// To be called on the thread that will learn.
    fn of(parts: TrainerParts) -> Self {
        let TrainerParts { path, languages, extra, embed } = parts;
        Self { path, languages, extra, embed: embed.map(|make| make()), vectors: HashMap::new() }
    }

    /// All examples; of those in the database the words alone.
    fn first(&mut self) -> Trained {
        let (generation, kept) = read(&self.path).map_or((None, vec![]), |(known, kept)| (Some(known), kept));
        let is_whole = self.embed_new(&examples(&self.extra, &[]), || true);
        let classifier = self.teach(&examples(&self.extra, &kept));
        let is_whole = is_whole && (kept.is_empty() || self.embed.is_none());
        Trained { generation: generation.filter(|_| is_whole), classifier }
    }

    /// What the thread does until nobody can ask it any more.
    fn train(&mut self, asked: &Receiver<()>, says: &watch::Sender<Arc<Trained>>) {
        while asked.recv().is_ok() {
            let known = says.borrow().generation;
            let wants = || says.receiver_count() > 0;
            match catch_unwind(AssertUnwindSafe(|| self.learn(known, wants))) {
                Ok(Ok(Some(trained))) => {
                    let is_whole = trained.generation.is_some();
                    says.send_replace(Arc::new(trained));
                    if !is_whole {
                        std::thread::sleep(PAUSE_WITHOUT_MODEL);
                    }
                }
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the classifier cannot learn from the examples, and goes on with what it knew");
                    std::thread::sleep(PAUSE);
                }
                Err(_) => {
                    tracing::error!("the classifier panicked while it learnt, and goes on with what it knew");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Learns from all examples that there are; nothing where they are known, or nobody is left who `wants` it.
    fn learn(
        &mut self,
        known: Option<i64>,
        wants: impl Fn() -> bool,
    ) -> Result<Option<Trained>, ExampleError> {
        failpoint!("classifier.train");
        let (generation, kept) = read(&self.path)?;
        if known == Some(generation) {
            return Ok(None);
        }
        let begun = std::time::Instant::now();
        let examples = examples(&self.extra, &kept);
        let is_whole = self.embed_new(&examples, &wants);
        if !wants() {
            return Ok(None);
        }
        let classifier = self.teach(&examples);
        let (all, took_ms) = (examples.len(), begun.elapsed().as_millis());
        tracing::info!(examples = all, kept = kept.len(), took_ms, "the classifier has learnt");
        // Not of this generation before all of it was embedded: then the next call asks again.
        Ok(Some(Trained { generation: Some(generation).filter(|_| is_whole), classifier }))
    }

    /// Embeds the examples that are new, while anybody `wants` it, and forgets those that are gone; false where the model is away. A
    /// text that cannot be embedded tells by its words.
    fn embed_new(&mut self, examples: &[Example], wants: impl Fn() -> bool) -> bool {
        let Some(embed) = &mut self.embed else { return true };
        let texts: HashSet<&str> = examples.iter().map(|one| one.text.as_str()).collect();
        self.vectors.retain(|text, _| texts.contains(text.as_str()));
        let is_new = |text: &&str| !self.vectors.contains_key(*text);
        let news: Vec<&str> = examples.iter().map(|one| one.text.as_str()).filter(is_new).collect();
        for page in news.chunks(PAGE) {
            if !wants() {
                return false;
            }
            match embed_page(embed, page) {
                Ok(vectors) => self.vectors.extend(page.iter().map(ToString::to_string).zip(vectors)),
                Err(error) => {
                    tracing::warn!(%error, "examples of the classes cannot be embedded now, and tell by their words alone");
                    return false;
                }
            }
        }
        true
    }

    /// A classifier of these examples, by what is known of their meaning.
    fn teach(&self, examples: &[Example]) -> ExampleClassifier {
        let vector = |one: &Example| self.vectors.get(&one.text).cloned().flatten();
        let vectors: Vec<_> = examples.iter().map(vector).collect();
        ExampleClassifier::of(&self.languages, examples, &vectors)
    }
}

/// Embeds some texts; where that fails each on its own, and none is had of one that fails alone.
///
/// # Errors
/// The model is away, which is no text's fault.
fn embed_page(embed: &mut Embed, page: &[&str]) -> Result<Vec<Option<Embedding>>, EmbedderError> {
    let mut ask = |texts: &[&str]| {
        let asked = texts.iter().copied().map(Embeddable::query).collect();
        let embedded = catch_unwind(AssertUnwindSafe(|| embed(asked)));
        embedded.unwrap_or_else(|_| Err(EmbedderError::Failed("the model panicked".into())))
    };
    let is_away = |error: &EmbedderError| {
        matches!(error, EmbedderError::Unavailable(_) | EmbedderError::Throttled { .. })
    };
    match ask(page) {
        Err(error) if !is_away(&error) => page
            .iter()
            .map(|text| match ask(&[text]) {
                Ok(mut vectors) => Ok(vectors.pop().flatten()),
                Err(error) if is_away(&error) => Err(error),
                Err(error) => {
                    tracing::warn!(%error, "an example of a class cannot be embedded, and tells by its words alone");
                    Ok(None)
                }
            })
            .collect(),
        embedded => embedded,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tertulia_actors::domain::{Class, Timestamp};

    use super::*;
    use crate::knowledge::examples::{EXAMPLES_MIGRATION, put};

    /// A database with the table of examples.
    fn base(folder: &tempfile::TempDir) -> (PathBuf, Connection) {
        let path = folder.path().join("t.db");
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.execute_batch(EXAMPLES_MIGRATION).unwrap();
        (path, conn)
    }

    fn parts(path: PathBuf, embed: Option<MakeEmbed>) -> TrainerParts {
        TrainerParts { path, languages: vec![Language::ENGLISH], extra: Examples::new(), embed }
    }

    fn zorblax(class: Class) -> ClassExample {
        ClassExample { text: "zorblax frimble".into(), class, language: None }
    }

    /// Classifies until the class is another one than before, and the trainer has nothing to do any more.
    fn class_after(classifier: &mut LiveClassifier, generation: i64) -> Class {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            let class = classifier.compute(("zorblax frimble".into(), None)).unwrap().class;
            if classifier.trainer.trained.borrow().generation == Some(generation) {
                return classifier.compute(("zorblax frimble".into(), None)).unwrap().class;
            }
            assert!(std::time::Instant::now() < deadline, "still {class}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_change_of_the_examples_is_learnt_and_the_newest_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let (path, conn) = base(&folder);
        let mut classifier = LiveClassifier::new(Trainer::start(parts(path, None)).unwrap());
        for class in [Class::Complaint, Class::Suggestion] {
            put(&conn, &[zorblax(class)], Timestamp(0)).unwrap();
            assert_eq!(class_after(&mut classifier, generation(&conn).unwrap()), class);
        }
    }

    #[test]
    fn only_new_examples_are_embedded_and_a_model_that_fails_leaves_the_words() {
        let folder = tempfile::tempdir().unwrap();
        let (path, conn) = base(&folder);
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let embed = move |texts: Vec<Embeddable>| {
            if texts.iter().any(|one| one.text.contains("zorblax")) {
                return Err(EmbedderError::Failed("broken".into()));
            }
            counted.fetch_add(texts.len(), Ordering::Relaxed);
            Ok(texts.iter().map(|one| Some(vec![1.0, one.text.len() as f32].into())).collect())
        };
        let embed: MakeEmbed = Box::new(move || Box::new(embed));
        let mut classifier = LiveClassifier::new(Trainer::start(parts(path, Some(embed))).unwrap());
        let at_start = count.load(Ordering::Relaxed);
        assert!(at_start > 500, "{at_start}");
        put(&conn, &[zorblax(Class::Complaint)], Timestamp(0)).unwrap();
        assert_eq!(class_after(&mut classifier, generation(&conn).unwrap()), Class::Complaint);
        let other = ClassExample { text: "qux corge".into(), class: Class::Other, language: None };
        put(&conn, &[other], Timestamp(0)).unwrap();
        class_after(&mut classifier, generation(&conn).unwrap());
        assert!(count.load(Ordering::Relaxed) <= at_start + 1);
    }

    #[test]
    fn what_is_in_the_database_is_known_from_the_first_call_on() {
        let folder = tempfile::tempdir().unwrap();
        let (path, conn) = base(&folder);
        put(&conn, &[zorblax(Class::Complaint)], Timestamp(0)).unwrap();
        let embed: MakeEmbed = Box::new(|| Box::new(|texts| Ok(texts.iter().map(|_| None).collect())));
        for embed in [None, Some(embed)] {
            let mut classifier = LiveClassifier::new(Trainer::start(parts(path.clone(), embed)).unwrap());
            let first = classifier.compute(("zorblax frimble".into(), None)).unwrap();
            assert_eq!(first.class, Class::Complaint);
        }
    }

    #[test]
    fn a_text_that_fails_costs_no_other_its_vector_and_a_model_that_is_away_is_asked_again() {
        let vector = || Some(Embedding::from(vec![1.0]));
        let mut picky: Embed = Box::new(move |texts| {
            let is_bad = texts.iter().any(|one| one.text == "bad");
            if is_bad { Err(EmbedderError::Failed("bad".into())) } else { Ok(vec![vector(); texts.len()]) }
        });
        assert_eq!(embed_page(&mut picky, &["a", "bad", "b"]).unwrap(), [vector(), None, vector()]);
        let away: fn(Vec<Embeddable>) -> _ = |_| Err(EmbedderError::Unavailable("no connection".into()));
        assert!(embed_page(&mut (Box::new(away) as Embed), &["a"]).is_err());
        let folder = tempfile::tempdir().unwrap();
        let mut school = School::of(parts(base(&folder).0, Some(Box::new(move || Box::new(away)))));
        assert_eq!(school.first().generation, None, "not all is known");
        assert_eq!(school.learn(None, || true).unwrap().unwrap().generation, None);
    }

    #[test]
    fn without_a_database_what_is_built_in_serves() {
        let nowhere = parts("/nowhere/t.db".into(), None);
        let mut classifier = LiveClassifier::new(Trainer::start(nowhere).unwrap());
        assert_eq!(classifier.compute(("hello".into(), None)).unwrap().class, Class::Greeting);
    }

    #[test]
    fn the_trainers_thread_ends_with_the_last_that_can_ask_it() {
        let folder = tempfile::tempdir().unwrap();
        let trainer = Trainer::start(parts(base(&folder).0, None)).unwrap();
        let trained = trainer.trained.clone();
        drop(trainer);
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while trained.has_changed().is_ok() {
            assert!(std::time::Instant::now() < deadline, "the thread is left");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
