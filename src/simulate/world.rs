//! One life of the server: the real actors, store and pipeline on the current thread, between a simulated model and a
//! simulated channel. Beside the composition root, the only place where adapters meet actors.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::Arbiter;
use tertulia_actors::domain::{Books, Channel, Memory, Timestamp};
use tertulia_actors::inbox::admission::Admissions;
use tertulia_actors::inbox::pressure::{Pressure, PressureLimits};
use tertulia_actors::pipeline::Pipeline;
use tertulia_actors::ports::store::Views;
use tertulia_actors::ports::{
    Admitted, Clock, Compute, Entropy, InboundChannel, OutboundChannel, QueryService, Store, Tells,
};
use tertulia_actors::runtime::{Runtime, RuntimeParts};
use tertulia_actors::services::{
    ChannelService, ClassifierService, EmbeddingService, Engine, QueryFrontService, Services, VectorsService,
};
use tertulia_actors::settings::FrontSettings;
use tertulia_actors::shard::{ChannelOut, ChannelsOut};
use tertulia_actors::supervision::events::Event as Supervised;
use tertulia_actors::supervision::monitor::GetHistory;
use tertulia_actors::supervision::policy::{ReasonKind, Strategy};
use tertulia_actors::supervision::root::Root;
use tertulia_actors::supervision::{Front, FrontHandle, Service};
use tokio::sync::watch;

use super::SimulationError;
use super::chance::{Dice, Of, SeededEntropy, VirtualClock};
use super::faults::{Fault, Faults};
use super::outside::{EchoModel, Lie, Outside, RecordingChannel};
use super::provider::Post;
use super::trace::{Recorder, What};
use crate::channels::whatsapp::WhatsappInbound;
use crate::config::{Config, EmbeddingBackend};
use crate::knowledge::{ExampleClassifier, HashedEmbedder, SqliteVectors};
use crate::load::payloads::sign;
use crate::load::prng::Prng;
use crate::store::{Pace, PreparedStore, SqliteStore, StoreDeps};
use crate::system::Receipts;

/// What the provider signs with.
const APP_SECRET: &str = "simulated";

/// What all lives of one simulation have in common.
pub(super) struct Setting {
    pub(super) seed: u64,
    pub(super) run: String,
    pub(super) config: Config,
    pub(super) faults: Faults,
    pub(super) begin: Timestamp,
    /// When people stop to write, and things to go wrong.
    pub(super) end: Timestamp,
    pub(super) lie: Option<Lie>,
    /// Learns once: it takes longer than most lives.
    pub(super) classifier: Rc<RefCell<ExampleClassifier>>,
}

/// A running server.
pub(super) struct World {
    way_in: Rc<WayIn>,
    store: Arc<SqliteStore>,
    root: Root,
    recorder: Arc<Recorder>,
    seen: RefCell<u64>,
    /// Keeps the actors alive.
    _runtime: Runtime,
}

/// How webhooks come in.
struct WayIn {
    admissions: Admissions,
    inbound: WhatsappInbound,
    recorder: Arc<Recorder>,
}

/// Opens the database, at `path`, and how long its steps take: mostly no time, sometimes long enough for others to come in
/// between.
pub(super) fn open(setting: &Setting, life: u32) -> Result<PreparedStore, SimulationError> {
    let dice = Dice::new(setting.seed, Of::Pace, life);
    let pace: Pace = Arc::new(move || {
        let mut prng = dice.roll().1;
        match prng.between(0, 99) {
            0..60 => Duration::ZERO,
            60..98 => prng.millis(1, 4),
            _ => prng.millis(5, 200),
        }
    });
    Ok(SqliteStore::open_inline(&setting.config.storage, pace)?)
}

impl World {
    /// Starts a server on an open database, as `serve` does.
    ///
    /// # Errors
    /// When the database cannot be taken over, or the thread is ending.
    pub(super) async fn start(
        setting: &Setting,
        life: u32,
        mut prepared: PreparedStore,
        (clock, recorder): (Arc<VirtualClock>, Arc<Recorder>),
    ) -> Result<Self, SimulationError> {
        let (config, clock): (_, Arc<dyn Clock>) = (&setting.config, clock);
        let dice = Dice::new(setting.seed, Of::Entropy, life);
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy { dice, clock: Arc::clone(&clock) });
        let store = prepared.handle();
        let receipts = Arc::new(Receipts::after(prepared.last_receipt_seq(), Arc::clone(&clock)));
        let hold = Duration::from_millis(config.outbox.ambiguous_hold_ms);
        let takeover = prepared.take_over(clock.tick(), hold)?;
        recorder.say(What::Started {
            epoch: takeover.epoch.0,
            interrupted_turns: takeover.interrupted_turns,
            ambiguous_parts: takeover.ambiguous_parts,
        });
        let root = root(config, &clock, &entropy, &recorder).await?;
        let fronts = Fronts { setting, life, root: &root, clock: &clock, recorder: &recorder };
        let parts = RuntimeParts {
            store: store.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            epoch: takeover.epoch,
            conversation: config.conversation.clone(),
            turns: config.turns.clone(),
            outbox: config.outbox.clone(),
            sweep: config.sweep.clone(),
            pipeline: Pipeline {
                services: fronts.services(),
                store: store.clone(),
                settings: Arc::new(config.pipeline.clone()),
                routes: Arc::new(config.routes.clone()),
                phrases: Arc::new(config.phrases()),
                // The simulated model says what it was told, which is no class.
                class_wait: None,
            },
            channels: fronts.channels(),
            shards: 1,
            live_max: config.runtime.live_max,
            tracer: None,
            root: root.clone(),
        };
        let runtime = Runtime::start_here(parts).await.ok_or(SimulationError::Thread)?;
        let deps = StoreDeps { clock: Arc::clone(&clock), entropy, quiet: config.conversation.quiet() };
        write(setting, life, prepared, deps, Box::new(runtime.tells()), &recorder)?;
        let way_in = Rc::new(WayIn {
            admissions: admissions(config, &store, clock, receipts),
            inbound: WhatsappInbound::new(&"".into(), &APP_SECRET.into()),
            recorder: Arc::clone(&recorder),
        });
        Ok(Self { way_in, store, root, recorder, seen: RefCell::new(0), _runtime: runtime })
    }

    /// A webhook is posted; its sender may hang up. What comes of it is told to the recorder.
    pub(super) fn post(&self, post: Post, body: Rc<[u8]>, hangs_up_after: Option<Duration>) {
        let way_in = Rc::clone(&self.way_in);
        actix_rt::spawn(async move { way_in.receive(post, &body, hangs_up_after).await });
    }

    /// Counts the books in one read transaction, and tells what the supervisors said since the last time; answers the books.
    pub(super) async fn look(&self) -> Result<Books, SimulationError> {
        let books = self.store.count_books().await?;
        let after = *self.seen.borrow();
        let said = self.root.monitor().send(GetHistory(after)).await.unwrap_or_default();
        for Supervised { id, path, kind, reason, detail, .. } in said {
            *self.seen.borrow_mut() = id;
            let path = path.to_string();
            if reason == Some(ReasonKind::Panic) {
                let detail = detail.unwrap_or_default();
                self.recorder.say(What::Ended(format!("a panic at {path}: {detail}")));
            }
            self.recorder.say(What::Supervised { path, event: format!("{kind:?}") });
        }
        self.recorder.say(What::Counted(books));
        Ok(books)
    }
}

impl WayIn {
    /// What the webhook's handler does.
    async fn receive(&self, post: Post, body: &[u8], hangs_up_after: Option<Duration>) {
        let Post { webhook, attempt } = post;
        if !self.recorder.say(What::Arrived { webhook, attempt }) {
            return;
        }
        if !self.inbound.verifies(Some(&sign(APP_SECRET, body)), body) {
            self.recorder.say(What::Refused { webhook, why: "wrong signature".into() });
            return;
        }
        let admission = self.inbound.read(body, self.admissions.receipts());
        let admitted = self.admissions.admit(admission);
        let stored = match hangs_up_after {
            Some(patience) => tokio::time::timeout(patience, admitted).await,
            None => Ok(admitted.await),
        };
        self.recorder.say(match stored {
            Ok(Ok(stored)) => What::Acknowledged {
                webhook,
                conversation: stored.first().map(|stored| stored.conversation),
                duplicates: stored.iter().filter(|stored| stored.duplicate).count(),
            },
            Ok(Err(error)) => What::Refused { webhook, why: error.to_string() },
            Err(_elapsed) => What::HungUp { webhook },
        });
    }
}

/// The root of supervision, whose last resort is recorded.
async fn root(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    recorder: &Arc<Recorder>,
) -> Result<Root, SimulationError> {
    let told = Arc::clone(recorder);
    let end_process = Arc::new(move |why: &str| {
        told.say(What::Ended(why.to_owned()));
        told.kill();
    });
    let (clock, entropy, limits) = (Arc::clone(clock), Arc::clone(entropy), config.supervision.clone());
    let root = Root::start(&Arbiter::current(), clock, entropy, limits, end_process).await;
    root.ok_or(SimulationError::Thread)
}

/// Lets the writer work for as long as the server lives.
fn write(
    setting: &Setting,
    life: u32,
    prepared: PreparedStore,
    deps: StoreDeps,
    tells: Box<dyn Tells>,
    recorder: &Arc<Recorder>,
) -> Result<(), SimulationError> {
    let tells: Box<dyn Tells> = if setting.faults.has(Fault::Tells) {
        Box::new(Forgetful { tells, dice: Dice::new(setting.seed, Of::Tells, life) })
    } else {
        tells
    };
    let writer = prepared.start_inline(deps, tells).ok_or(SimulationError::Thread)?;
    let (lives, told) = (Arc::clone(recorder), Arc::clone(recorder));
    actix_rt::spawn(async move {
        let goes_on = move || !lives.is_dead();
        let work = writer.run(goes_on, move |requests| {
            told.say(What::Committed { requests });
        });
        work.await;
    });
    Ok(())
}

fn admissions(
    config: &Config,
    store: &Arc<SqliteStore>,
    clock: Arc<dyn Clock>,
    receipts: Arc<Receipts>,
) -> Admissions {
    let limits = PressureLimits { backlog_max: config.inbox.backlog_max, memory_max_bytes: 0 };
    let memory = watch::channel(Memory::default()).1;
    let dedupe = Duration::from_secs(u64::from(config.inbox.dedupe_days) * 86_400);
    let store: Arc<SqliteStore> = Arc::clone(store);
    let pressure = Pressure::new(limits, store.books(), memory);
    Admissions::new(store as Arc<dyn Store>, clock, receipts, dedupe, pressure)
}

/// Loses a quarter of the writer's hints.
struct Forgetful {
    tells: Box<dyn Tells>,
    dice: Dice,
}

impl Forgetful {
    fn forgets(&self) -> bool {
        self.dice.roll().1.chance(0.25)
    }
}

impl Tells for Forgetful {
    fn admitted(&self, admitted: Admitted) {
        if !self.forgets() {
            self.tells.admitted(admitted);
        }
    }

    fn changed(&self, conversation: tertulia_actors::domain::ConversationId) {
        if !self.forgets() {
            self.tells.changed(conversation);
        }
    }
}

/// Makes the fronts of one life.
struct Fronts<'a> {
    setting: &'a Setting,
    life: u32,
    root: &'a Root,
    clock: &'a Arc<dyn Clock>,
    recorder: &'a Arc<Recorder>,
}

impl Fronts<'_> {
    fn front<S: Service>(
        &self,
        path: &str,
        limits: FrontSettings,
        make: impl Fn() -> S + 'static,
    ) -> FrontHandle<S> {
        let keeper = self.root.keeper(path, Strategy::MarkDown);
        Front::start_with(make, limits, self.root.settings(), &keeper)
    }

    fn outside(&self) -> Arc<Outside> {
        let clock = Arc::clone(self.clock);
        Arc::new(Outside {
            recorder: Arc::clone(self.recorder),
            run: self.setting.run.clone(),
            faults: self.setting.faults.clone(),
            faults_until: self.setting.end,
            begin: self.setting.begin,
            now: Box::new(move || clock.now()),
            lie: self.setting.lie,
        })
    }

    fn services(&self) -> Services {
        let Setting { seed, config, .. } = self.setting;
        let (dice, outages) = (Dice::new(*seed, Of::Model, self.life), Dice::new(*seed, Of::Outages, 0));
        let query: Arc<dyn QueryService> = Arc::new(EchoModel { outside: self.outside(), dice, outages });
        let path = config.storage.path.clone();
        let classifier = Rc::clone(&self.setting.classifier);
        let embedding = (config.embedding.backend == EmbeddingBackend::Hashed).then(|| {
            let (limits, batches) = (config.embedding.front_settings(), config.embedding.batches());
            self.front("services/embedding", limits, move || {
                EmbeddingService::start(in_place(HashedEmbedder), batches)
            })
        });
        Services {
            embedding,
            needs_vectors: false,
            vectors: self.front("services/vectors", config.vectors.front.over(config.vectors.threads), {
                move || VectorsService(in_place(SqliteVectors::new(Path::new(&path), None)))
            }),
            classifier: self.front(
                "services/classifier",
                config.classifier.front.over(config.classifier.threads),
                move || ClassifierService(shared(&classifier)),
            ),
            query: self
                .front("services/query", config.query.front.0, move || QueryFrontService(Arc::clone(&query))),
        }
    }

    fn channels(&self) -> ChannelsOut {
        let dice = Dice::new(self.setting.seed, Of::Channel, self.life);
        let port: Arc<dyn OutboundChannel> =
            Arc::new(RecordingChannel { outside: self.outside(), dice, life: self.life });
        let sends = Arc::clone(&port);
        let limits = self.setting.config.channels.front.0;
        let front = self.front("channels/whatsapp", limits, move || ChannelService(Arc::clone(&sends)));
        ChannelsOut::from([(Channel::Whatsapp, ChannelOut { front, port })])
    }
}

/// Does the work of a service's threads on the thread that asks, at once.
fn in_place<C: Compute>(worker: C) -> Engine<C::Request, C::Response, C::Error> {
    shared(&Rc::new(RefCell::new(worker)))
}

/// The same, by a worker that others use as well.
fn shared<C: Compute>(worker: &Rc<RefCell<C>>) -> Engine<C::Request, C::Response, C::Error> {
    let worker = Rc::clone(worker);
    Engine::port(move |request| Box::pin(std::future::ready(worker.borrow_mut().compute(request))))
}

/// How long the sender of a webhook waits for its answer, where it is impatient.
pub(super) fn patience(faults: &Faults, prng: &mut Prng) -> Option<Duration> {
    (faults.has(Fault::Redeliver) && prng.chance(0.05)).then(|| prng.millis(0, 8))
}
