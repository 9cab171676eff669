//! One run of the harness, from the start of the server under test to the verdict.

use std::cell::{Cell, RefCell};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};

use super::bursts::Bursts;
use super::child::{ACCESS_TOKEN, APP_SECRET, Child, ChildError};
use super::desk::{Desk, Tools};
use super::disk::{MountError, SmallDisk};
use super::judge::{Circumstances, judge};
use super::meters::Meters;
use super::misfortune::{Story, Victim, happen};
use super::outcome::{Facts, Span, report};
use super::people::People;
use super::plan::{Arrival, Moment, Plan};
use super::profile::{Profile, StagePlan};
use super::providers::{EmulatedProviders, ModelBehaviour, Observation, ProviderOptions, WhatsappBehaviour};
use super::report::run::{About, Run};
use super::sampler::{self, LAST_LOOK, Seen, Subject};
use super::search::Climb;
use super::stored;
use super::watch::{self, machine};
use super::wire::{Endpoint, Wire};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Order {
    /// The profile.
    pub profile: Profile,
    /// What everything derives from.
    pub seed: u64,
    /// A server that runs already; none: one is started.
    pub target: Option<Target>,
    /// Where the emulated providers listen; 0: anywhere.
    pub ports: Ports,
    /// The command that repeats the run.
    pub command: String,
    /// Whether a line of progress is written on standard error.
    pub shows_progress: bool,
}

/// The ports of the emulated providers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ports {
    /// Of the WhatsApp API.
    pub whatsapp: u16,
    /// Of the model.
    pub model: u16,
}

/// A server that runs already.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its webhook, `http://host:port/path`.
    pub url: String,
    /// What its webhooks are signed with.
    pub app_secret: String,
    /// Its quiet period.
    pub quiet_ms: u64,
    /// Its process, where it runs on this machine.
    pub pid: Option<u32>,
}

/// Why there is no run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The server under test.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// A folder, or the emulated providers' ports.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// An HTTP client.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// No small disk.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// The target's address is no such thing.
    #[error(
        "--target {0}: write it as http://host:port/path; where the server speaks https, address it behind its proxy"
    )]
    Target(String),
    /// Faults that nobody can cause elsewhere.
    #[error(
        "kills, panics, locks and a full disk need a server that this program starts itself: leave --target away"
    )]
    NeedsAChild,
    /// Panics in a build that has none.
    #[error("--panic needs a build with failpoints: cargo run --release --features failpoints -- load …")]
    NoFailpoints,
    /// The database of the server under test cannot be read.
    #[error("cannot read the database of the server under test: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Runs a profile, and reports what it found.
///
/// # Errors
/// When the run could not begin, or its outcome not be read.
pub async fn run(order: Order) -> Result<Run, LoadError> {
    LocalSet::new().run_until(Harness::prepare(order)?.run()).await
}

/// Everything that a run needs, before it begins.
struct Harness {
    order: Order,
    folder: Folder,
    providers: EmulatedProviders,
    observed: UnboundedReceiver<Observation>,
    client: reqwest::Client,
}

/// A folder of its own below the system's temporary ones; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tertulia-load-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own tidying.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The server under test, and how it is reached.
struct Subjected {
    victim: Option<Rc<Victim>>,
    endpoint: Endpoint,
    app_secret: String,
    quiet: Moment,
    messages_max: usize,
    name: String,
    settings: Vec<String>,
    pid: Rc<Cell<Option<u32>>>,
}

impl Harness {
    fn prepare(order: Order) -> Result<Self, LoadError> {
        let faults = &order.profile.faults;
        if order.target.is_some() && faults.need_a_child() {
            return Err(LoadError::NeedsAChild);
        }
        if !faults.panics.is_empty() && !cfg!(feature = "failpoints") {
            return Err(LoadError::NoFailpoints);
        }
        let (observer, observed) = unbounded_channel();
        let model = &order.profile.model;
        let providers = EmulatedProviders::start(ProviderOptions {
            whatsapp: WhatsappBehaviour {
                access_token: ACCESS_TOKEN.to_owned(),
                cut_rate: faults.cut_sends,
                takes_any_token: order.target.is_some(),
                ..WhatsappBehaviour::default()
            },
            model: ModelBehaviour {
                latency: Duration::from_millis(model.latency_ms),
                latency_p99: Duration::from_millis(model.latency_p99_ms),
                error_rate: faults.llm_errors,
                stall_rate: faults.llm_stall,
                ..ModelBehaviour::default()
            },
            seed: order.seed,
            whatsapp_port: order.ports.whatsapp,
            model_port: order.ports.model,
            observer: Some(observer),
        })?;
        let client = crate::channels::client(Duration::from_secs(2))?;
        Ok(Self { folder: Folder::new()?, order, providers, observed, client })
    }

    async fn subject(&self) -> Result<Subjected, LoadError> {
        match &self.order.target {
            Some(target) => elsewhere(target),
            None => self.start_child().await,
        }
    }

    async fn start_child(&self) -> Result<Subjected, LoadError> {
        let (profile, folder) = (&self.order.profile, &self.folder.0);
        let disk = match profile.faults.disk_full_every_ms {
            0 => None,
            _ => Some(SmallDisk::mount(folder.join("disk"))?),
        };
        let place = disk.as_ref().map_or(folder.as_path(), SmallDisk::path);
        let mut settings = profile.faults.settings();
        settings.extend(profile.server.clone());
        let mut child = Child::new(folder, place, &self.providers, &settings)?;
        child.set_failpoints(&profile.faults.failpoints())?;
        child.start(&self.client).await?;
        let number =
            |key, otherwise| child.setting(key).and_then(|value| value.parse().ok()).unwrap_or(otherwise);
        let pid = Rc::new(Cell::new(child.pid()));
        let address = child.address();
        Ok(Subjected {
            endpoint: Endpoint { address, host: address.to_string(), path: "/webhooks/whatsapp".into() },
            app_secret: APP_SECRET.to_owned(),
            quiet: number("conversation.quiet_ms", 200_u64) * 1_000,
            messages_max: usize::try_from(number("conversation.max_messages", 20)).unwrap_or(usize::MAX),
            name: format!("tertulia {}", env!("CARGO_PKG_VERSION")),
            settings: child.settings(),
            pid: Rc::clone(&pid),
            victim: Some(Rc::new(Victim {
                database: child.database().to_owned(),
                child: Mutex::new(child),
                pid,
                disk,
                client: self.client.clone(),
            })),
        })
    }

    async fn run(mut self) -> Result<Run, LoadError> {
        let (began, began_at) = (Instant::now(), Utc::now());
        let subject = self.subject().await?;
        let profile = self.order.profile.clone();
        // Everything that only a start does is over by then.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = watch::look(subject.pid.get(), None);
        let desk = self.desk(&subject);
        let hears =
            spawn_local(hear(Rc::clone(&desk), std::mem::replace(&mut self.observed, unbounded_channel().1)));
        let (seen, story) = (Rc::new(RefCell::new(Seen::default())), Rc::new(RefCell::new(Story::default())));
        let looks = spawn_local(sampler::watch(Rc::clone(&desk), self.looked_at(&subject), Rc::clone(&seen)));
        let faults = profile.faults.clone();
        let happens = subject.victim.clone().map(|victim| {
            spawn_local(happen(Rc::clone(&desk), victim, faults, self.order.seed, Rc::clone(&story)))
        });
        let spans = self.play(&desk, &story).await;
        if let Some(happens) = happens {
            happens.abort();
        }
        self.settle(&desk, &subject, &seen).await;
        desk.end();
        tokio::time::sleep(LAST_LOOK.min(Duration::from_millis(1_100))).await;
        looks.abort();
        if self.order.shows_progress {
            sampler::end_progress();
        }
        let failure = self.stop(&subject).await.err().map(|error| error.to_string());
        let failure = failure.or_else(|| story.borrow().failure.clone());
        let circumstances = self.circumstances(&desk, &subject, &story, &seen)?;
        hears.abort();
        let promises = judge(&desk.ledger.borrow(), &circumstances);
        let facts = Facts {
            about: self.about(&subject, began.elapsed(), began_at.to_rfc3339_opts(SecondsFormat::Secs, true)),
            before,
            spans,
            promises,
            failure,
        };
        let run = report(&profile, &desk, &seen.borrow(), &story.borrow(), facts);
        Ok(run)
    }

    fn desk(&self, subject: &Subjected) -> Rc<Desk> {
        let (profile, seed) = (&self.order.profile, self.order.seed);
        let limits = profile.limits;
        let patience = Duration::from_millis(limits.acknowledge_ms);
        let run = run_name(seed, subject.victim.is_none().then(|| Utc::now().timestamp_millis()));
        Rc::new(Desk::new(
            Tools {
                wire: Wire::new(subject.endpoint.clone(), limits.connections_max, patience),
                app_secret: subject.app_secret.clone(),
                bursts: Bursts::new(seed, run).written(profile.people.writing()),
                faults: profile.faults.clone(),
                limits,
                quiet: subject.quiet,
                seed,
            },
            Meters::new(profile.stages.iter().map(|stage| stage.warm_up).collect()),
        ))
    }

    fn looked_at(&self, subject: &Subjected) -> Subject {
        let is_ours = subject.victim.is_some();
        Subject {
            pid: Rc::clone(&subject.pid),
            database: subject.victim.as_ref().map(|victim| victim.database.clone()),
            base: if is_ours { format!("http://{}", subject.endpoint.address) } else { String::new() },
            client: self.client.clone(),
            patience: Duration::from_millis(self.order.profile.limits.answer_ms),
            shows_progress: self.order.shows_progress,
        }
    }

    /// Plays all stages, and the search behind them.
    async fn play(&self, desk: &Rc<Desk>, story: &RefCell<Story>) -> Vec<Span> {
        let (profile, seed) = (&self.order.profile, self.order.seed);
        let mut plan = Plan::new(&profile.people, seed);
        // All stages before anybody writes: planning in between made the first bursts of a stage late.
        let planned: Vec<_> = profile.stages.iter().map(|stage| plan.stage(stage)).collect();
        let mut people = People::new(Rc::clone(desk), profile, seed);
        let mut spans = vec![];
        for (number, (stage, arrivals)) in profile.stages.iter().zip(planned).enumerate() {
            if story.borrow().failure.is_some() {
                return spans;
            }
            desk.stage.set(Some(number));
            spans.push(play_stage(desk, &mut people, stage, arrivals).await);
        }
        if let Some(search) = profile.search {
            let mut climb = Climb::new(search);
            while let Some(rate) = climb.next() {
                desk.stage.set(Some(spans.len()));
                desk.meters.borrow_mut().add_stage();
                let stage = climb.stage(rate);
                let arrivals = plan.stage(&stage);
                let planned = arrivals.len();
                spans.push(play_stage(desk, &mut people, &stage, arrivals).await);
                let model = Duration::from_millis(profile.model.latency_ms.max(profile.model.latency_p99_ms));
                self.drain(desk, Climb::patience(desk.quiet(), model)).await;
                let held = Climb::holds(&desk.meters.borrow(), spans.len() - 1, planned, &profile.objectives);
                if let Some(span) = spans.last_mut() {
                    span.missed = !held;
                }
                climb.tell(rate, held);
                // What is left of a rate that was too high must not weigh on the next one.
                self.drain(desk, Duration::from_secs(10)).await;
            }
        }
        spans
    }

    async fn drain(&self, desk: &Desk, patience: Duration) {
        let began = Instant::now();
        while desk.ledger.borrow().backlog() > 0 && began.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everything that was acknowledged has ended, or nothing more comes. Our own server says what has not ended: it
    /// may wait for half a minute for a model that says nothing. Of another one only its silence is known.
    async fn settle(&self, desk: &Desk, subject: &Subjected, seen: &RefCell<Seen>) {
        /// Without any progress for this long, nothing more comes from a server that does not say what it waits for.
        const STILL: Duration = Duration::from_secs(20);
        let (began, limit) = (Instant::now(), Duration::from_millis(self.order.profile.limits.settle_ms));
        let (mut progress, mut moved) = (0, Instant::now());
        let is_still = |moved: Instant| subject.victim.is_none() && moved.elapsed() >= STILL;
        while began.elapsed() < limit && !is_still(moved) {
            let (backlog, now) = {
                let ledger = desk.ledger.borrow();
                (ledger.backlog(), ledger.answered() + ledger.acknowledged() + ledger.prompts())
            };
            if now != progress {
                (progress, moved) = (now, Instant::now());
            }
            let is_idle = match subject.victim {
                Some(_) => {
                    let base = format!("http://{}", subject.endpoint.address);
                    let metrics = watch::metrics(&self.client, &base).await;
                    let open = ["tertulia_messages_pending", "tertulia_reply_parts_pending"];
                    let figure = |name: &str| metrics.as_ref()?.get(name).copied();
                    let is_idle = open.iter().all(|name| figure(name) == Some(0.0));
                    if is_idle {
                        seen.borrow_mut().metrics = metrics;
                    }
                    is_idle
                }
                None => backlog == 0,
            };
            if is_idle && desk.tally().under_way == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn stop(&self, subject: &Subjected) -> Result<(), LoadError> {
        if let Some(victim) = &subject.victim {
            let mut child = victim.child.lock().await;
            subject.pid.set(None);
            child.stop().await?;
        }
        Ok(())
    }

    fn circumstances(
        &self,
        desk: &Desk,
        subject: &Subjected,
        story: &RefCell<Story>,
        seen: &RefCell<Seen>,
    ) -> Result<Circumstances, LoadError> {
        let (ledger, seen) = (desk.ledger.borrow(), seen.borrow());
        let read = |victim: &Rc<Victim>| stored::read(&victim.database, ledger.run(), seen.metrics.as_ref());
        Ok(Circumstances {
            quiet: subject.quiet,
            messages_max: subject.messages_max,
            kills: story.borrow().kills.clone(),
            stored: subject.victim.as_ref().map(read).transpose()?,
        })
    }

    fn about(&self, subject: &Subjected, lasted: Duration, began_at: String) -> About {
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let failpoints = if cfg!(feature = "failpoints") { ", failpoints" } else { "" };
        let faults = self.order.profile.faults.words().into_iter().map(|fault| format!("fault: {fault}"));
        About {
            profile: self.order.profile.name.clone(),
            purpose: self.order.profile.purpose.clone(),
            target: subject.name.clone(),
            command: self.order.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: format!("{build}{failpoints}"),
            seed: self.order.seed,
            began_at,
            lasted_s: lasted.as_secs(),
            machine: machine(&self.folder.0),
            settings: subject.settings.iter().cloned().chain(faults).collect(),
        }
    }
}

/// Plays one stage from now on.
async fn play_stage(desk: &Rc<Desk>, people: &mut People, stage: &StagePlan, arrivals: Vec<Arrival>) -> Span {
    let from = desk.now();
    people.play(stage, arrivals, from).await;
    // What is answered from here on is no feat of this stage.
    desk.stage.set(None);
    Span { name: stage.name.clone(), from, to: desk.now(), is_warm_up: stage.warm_up, missed: false }
}

async fn hear(desk: Rc<Desk>, mut observed: UnboundedReceiver<Observation>) {
    while let Some(observation) = observed.recv().await {
        desk.hear(&observation);
    }
}

/// The name of a run, which stands in every text and id: the same for the same seed. A server elsewhere may have seen that seed
/// before, and would take its messages for repetitions; there the moment is part of the name.
fn run_name(seed: u64, elsewhere_at_ms: Option<i64>) -> String {
    elsewhere_at_ms.map_or_else(|| format!("s{seed:x}"), |at| format!("s{seed:x}x{at:x}"))
}

/// A server that runs already.
fn elsewhere(target: &Target) -> Result<Subjected, LoadError> {
    let wrong = || LoadError::Target(target.url.clone());
    let rest = target.url.strip_prefix("http://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, "webhooks/whatsapp"));
    let address: SocketAddr = host.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)?;
    Ok(Subjected {
        victim: None,
        endpoint: Endpoint { address, host: host.to_owned(), path: format!("/{path}") },
        app_secret: target.app_secret.clone(),
        quiet: target.quiet_ms * 1_000,
        messages_max: usize::MAX,
        name: target.url.clone(),
        settings: vec![],
        pid: Rc::new(Cell::new(target.pid)),
    })
}

/// Whether a path looks like a file that can be written: its folder is there.
#[must_use]
pub fn can_be_written(path: &Path) -> bool {
    path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_writes_the_same_texts_but_to_a_server_that_may_have_seen_them() {
        assert_eq!(run_name(26, None), "s1a");
        assert_ne!(run_name(26, Some(1)), run_name(26, Some(2)));
        let texts = |seed| Bursts::new(seed, run_name(seed, None)).burst(3, 1);
        assert_eq!(texts(7), texts(7));
        assert_ne!(texts(7), texts(8));
    }
}
