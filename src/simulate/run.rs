//! One simulation: lives of the server that follow one another on one database, and what is recorded of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use actix_rt::System;
use serde_json::json;
use tertulia_actors::domain::{Books, PartId, Route, Timestamp};
use tertulia_actors::ports::Clock;
use tertulia_actors::settings::Routes;
use tokio::sync::mpsc::unbounded_channel;

use super::chance::{Dice, Of, VirtualClock};
use super::check::{self, Accepted, Limits, Prompt, Record};
use super::faults::{Crash, Fault, Faults, Moment, crashes};
use super::people::{self, Brings, DAY_MS, Webhook};
use super::provider::Provider;
use super::trace::{Event, Recorder, Trace, What};
use super::world::{self, Setting, World};
use super::{Options, Outcome, SimulationError, rows};
use crate::config::{Config, EmbeddingBackend};
use crate::knowledge::ExampleClassifier;
use crate::load::payloads::Business;

/// The first midnight: 2026-01-05, a Monday.
const BEGIN: Timestamp = Timestamp(1_767_571_200_000);

/// How often the books are counted while people write, and afterwards, in milliseconds.
const LOOK_MS: (i64, i64) = (3_600_000, 60_000);

/// How long everything may take to come to its end once people have stopped to write.
const PATIENCE_MS: i64 = 3 * DAY_MS;

/// The shortest time between two sweeps, in milliseconds.
const SWEEP_MS: u64 = 5_000;

/// How a life of the server ended.
enum Ended {
    /// It died.
    Died(Crash),
    /// There is nothing left to do.
    AtRest,
}

/// The state of a simulation, which outlives every life of the server.
pub(super) struct Simulation {
    setting: Setting,
    folder: Folder,
    provider: Provider,
    crashes: std::vec::IntoIter<Crash>,
    next_crash: Option<Crash>,
    chance: Dice,
    trace: Trace,
    now: Timestamp,
    next_look: Timestamp,
    life: u32,
    // What is recorded for the checks.
    prompts: Vec<Prompt>,
    /// Calls of this life that have not ended, by number: their place in `prompts`.
    open_calls: BTreeMap<u64, usize>,
    accepted: Vec<Accepted>,
    books: Vec<(Timestamp, Books)>,
    oddities: Vec<String>,
}

impl Simulation {
    /// A world in which nothing has happened yet.
    pub(super) fn new(options: &Options) -> Result<Self, SimulationError> {
        let Options { seed, users, days, ref faults, ref config, lie } = *options;
        let (folder, run) = (Folder::new()?, format!("s{seed}"));
        let plan = people::plan((seed, &run), (users, days), BEGIN, faults);
        let busy: Vec<_> = plan.iter().filter_map(|webhook| webhook.posts.first().copied()).collect();
        let crashes = if faults.has(Fault::Crash) { crashes(seed, days, &busy) } else { vec![] };
        let mut crashes = crashes.into_iter();
        let config = configured(config, &folder.0);
        let classifier = ExampleClassifier::new(&config.pipeline.languages, &config.classifier.examples);
        let setting = Setting {
            seed,
            run,
            config,
            faults: faults.clone(),
            begin: BEGIN,
            end: Timestamp(BEGIN.0 + i64::from(days) * DAY_MS),
            lie,
            classifier: Rc::new(RefCell::new(classifier)),
        };
        Ok(Self {
            setting,
            folder,
            provider: Provider::new(plan),
            next_crash: crashes.next(),
            crashes,
            chance: Dice::new(seed, Of::Provider, 0),
            trace: Trace::new(BEGIN),
            now: BEGIN,
            next_look: BEGIN,
            life: 0,
            prompts: vec![],
            open_calls: BTreeMap::new(),
            accepted: vec![],
            books: vec![],
            oddities: vec![],
        })
    }

    /// Lets the server live until there is nothing left to do, and judges what became of everything.
    pub(super) fn run(mut self) -> Result<Outcome, SimulationError> {
        while let Ended::Died(crash) = self.live_once()? {
            self.tell(What::Died { at: crash.at });
            self.provider.cut_off(self.now);
            self.open_calls.clear();
            self.now = Timestamp(self.now.0 + crash.down_ms);
            self.provider.refused_until(self.now);
            self.life += 1;
        }
        self.judge()
    }

    /// One life: a thread's whole world, which is dropped as it stands when it ends.
    fn live_once(&mut self) -> Result<Ended, SimulationError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let runtime = Arc::new(runtime);
        let system = System::with_tokio_rt(|| Arc::clone(&runtime));
        let ended = system.block_on(self.live());
        // Actors that are dropped are polled once more, and may look at the clock.
        let _clock = runtime.enter();
        drop(system);
        ended
    }

    async fn live(&mut self) -> Result<Ended, SimulationError> {
        let prepared = world::open(&self.setting, self.life)?;
        let clock = Arc::new(VirtualClock::new(self.now, prepared.last_tick()));
        let (news, mut heard) = unbounded_channel();
        let recorder = Recorder::new(Arc::clone(&clock) as Arc<dyn Clock>, news, self.next_crash);
        let recorder = Arc::new(recorder);
        let ways = (Arc::clone(&clock), Arc::clone(&recorder));
        let world = World::start(&self.setting, self.life, prepared, ways).await?;
        let ended = loop {
            let due = clock.instant(self.next_due());
            tokio::select! {
                biased;
                () = recorder.died() => break self.died(),
                Some(event) = heard.recv() => self.hear(event),
                () = tokio::time::sleep_until(due) => {
                    self.now = clock.now();
                    if self.next_crash.is_some_and(|crash| crash.at == Moment::Any && crash.after <= self.now) {
                        recorder.kill();
                    } else if self.act(&world).await? {
                        break Ended::AtRest;
                    }
                }
            }
        };
        while let Ok(event) = heard.try_recv() {
            self.hear(event);
        }
        self.now = clock.now();
        Ok(ended)
    }

    /// When there is something to do next.
    fn next_due(&self) -> Timestamp {
        let crash = self.next_crash.filter(|crash| crash.at == Moment::Any).map(|crash| crash.after);
        [self.provider.next(), crash].into_iter().flatten().fold(self.next_look, Timestamp::min)
    }

    fn died(&mut self) -> Ended {
        let unplanned = Crash { after: self.now, at: Moment::Any, down_ms: 1_000 };
        let crash = self.next_crash.take().unwrap_or(unplanned);
        self.next_crash = self.crashes.next();
        Ended::Died(crash)
    }

    /// Posts what is due, and looks at the books when it is time to; true when there is nothing left to do.
    async fn act(&mut self, world: &World) -> Result<bool, SimulationError> {
        while let Some(post) = self.provider.take(self.now) {
            let patience = world::patience(&self.setting.faults, &mut self.chance.roll().1);
            world.post(post, Rc::clone(&self.provider.webhook(post.webhook).body), patience);
        }
        if self.now < self.next_look {
            return Ok(false);
        }
        let is_over = self.now >= self.setting.end;
        let (while_writing, afterwards) = LOOK_MS;
        self.next_look = Timestamp(self.now.0 + if is_over { afterwards } else { while_writing });
        let books = world.look().await?;
        let is_quiet = self.provider.is_done() && books.pending == 0 && books.parts_pending == 0;
        Ok(is_over && (is_quiet || self.now.0 >= self.setting.end.0 + PATIENCE_MS))
    }

    /// Something that the simulation itself knows.
    fn tell(&mut self, what: What) {
        self.hear(Event { at: self.now, what });
    }

    /// Records an event, and does what the world outside does about it.
    fn hear(&mut self, event: Event) {
        self.trace.add(&event);
        let at = event.at;
        match event.what {
            What::Acknowledged { webhook, .. } => self.provider.answered(webhook, true, at),
            What::Refused { webhook, .. } | What::HungUp { webhook } => {
                self.provider.answered(webhook, false, at);
            }
            What::Asked { call, conversation, text, history } => {
                self.open_calls.insert(call, self.prompts.len());
                let conversation = conversation.to_string();
                self.prompts.push(Prompt { conversation, asked: at, ended: None, text, history });
            }
            What::Answered { call, .. } => {
                if let Some(place) = self.open_calls.remove(&call) {
                    self.prompts[place].ended = Some(at);
                }
            }
            What::Accepted { part, address, tokens, wamid } => {
                self.tell_statuses(part, &address, &wamid, at);
                self.accepted.push(Accepted { at, part: part.to_string(), address, tokens });
            }
            What::Counted(books) => self.books.push((at, books)),
            What::Ended(why) => self.oddities.push(why),
            What::Started { .. }
            | What::Died { .. }
            | What::Arrived { .. }
            | What::Committed { .. }
            | What::Posted { .. }
            | What::Returned { .. }
            | What::Supervised { .. } => {}
        }
    }

    /// The channel tells what becomes of a part: now and then before its own answer is heard, and not always all of it.
    fn tell_statuses(&mut self, part: PartId, address: &str, wamid: &str, at: Timestamp) {
        let mut prng = self.chance.roll().1;
        let mut when = at.0;
        for status in ["sent", "delivered", "read"] {
            when += i64::try_from(prng.between(10, 4_000)).unwrap_or(0);
            if prng.chance(0.2) {
                continue;
            }
            let told = json!({"statuses": [{
                "id": wamid,
                "status": status,
                "timestamp": (when / 1_000).to_string(),
                "recipient_id": address,
                "biz_opaque_callback_data": part.to_string(),
            }]});
            let body = Business::default().envelope(&told).into();
            let posts = vec![Timestamp(when)];
            self.provider.add(Webhook { body, brings: Brings::Status { part, status }, posts });
        }
    }

    fn judge(self) -> Result<Outcome, SimulationError> {
        let rows = rows::read(&self.folder.database(), &self.setting.run)?;
        let (faults, conversation) = (&self.setting.faults, &self.setting.config.conversation);
        let books = self.books.last().map(|(_, books)| *books).unwrap_or_default();
        let damage = rows.damage.into_iter().map(|finding| format!("the database: {finding}"));
        let max_wait_ms = i64::try_from(conversation.max_wait_ms).unwrap_or(i64::MAX);
        let is_fine = *faults == Faults::default();
        let record = Record {
            limits: Limits {
                quiet_ms: i64::try_from(conversation.quiet_ms).unwrap_or(i64::MAX),
                max_wait_ms,
                max_messages: conversation.max_messages,
                patience_ms: if is_fine { max_wait_ms + 60_000 } else { 3_600_000 },
            },
            written: self.provider.messages().collect(),
            messages: rows.messages,
            turns: rows.turns,
            parts: rows.parts,
            prompts: self.prompts,
            accepted: self.accepted,
            books: self.books,
            model_fails: faults.has(Fault::LlmErrors) || faults.has(Fault::LlmStall),
            oddities: self.oddities.into_iter().chain(damage).collect(),
        };
        Ok(Outcome { trace: self.trace, findings: check::check(&record), books, lives: self.life + 1 })
    }
}

/// The server's configuration, with what would reach outside of the simulation replaced, and every turn's way leading to the
/// model.
fn configured(config: &Config, folder: &Path) -> Config {
    let mut config = config.clone();
    config.storage.path = folder.join("simulated.db");
    // Commits copy the log themselves, once it has four times as many pages.
    config.storage.wal_limit_pages = config.storage.wal_limit_pages.min(1_000);
    // A sweep costs the same whether it finds anything or not, and an idle night has many.
    config.sweep.sweep_ms = config.sweep.sweep_ms.max(SWEEP_MS);
    config.pipeline.skip = false;
    // Every service has its part in every turn.
    config.embedding.backend = EmbeddingBackend::Hashed;
    let to_the_model = Route::Query;
    config.routes = Routes {
        greeting: to_the_model,
        thanks: to_the_model,
        complaint: to_the_model,
        suggestion: to_the_model,
        inquiry: to_the_model,
        service_request: to_the_model,
        template_reply: to_the_model,
        other: to_the_model,
    };
    config
}

/// A folder for the database, which goes with the simulation.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, SimulationError> {
        let path = std::env::temp_dir().join(format!("tertulia-simulation-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn database(&self) -> PathBuf {
        self.0.join("simulated.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
