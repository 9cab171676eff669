//! The generator: writes bursts as webhooks at their intended times, and hears what comes of them. All of it lives on one
//! thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;
use tokio::task::spawn_local;

use super::bursts::{Burst, Bursts};
use super::faults::Faults;
use super::ledger::Ledger;
use super::meters::{Meters, Timed};
use super::payloads::{Business, sign};
use super::plan::Moment;
use super::prng::Prng;
use super::profile::Limits;
use super::providers::Observation;
use super::wire::Wire;

/// Longest pause before a webhook is sent again.
const RESEND_MAX: Duration = Duration::from_secs(2);

/// Webhooks are delivered again within this time after they were acknowledged, where that is a fault of the run.
const REDELIVER_WITHIN_MS: u64 = 1_000;

/// What a generator works with.
pub struct Tools {
    /// Where webhooks go.
    pub wire: Wire,
    /// What they are signed with.
    pub app_secret: String,
    /// What people write.
    pub bursts: Bursts,
    /// What goes wrong on the way.
    pub faults: Faults,
    /// The limits of the run.
    pub limits: Limits,
    /// The quiet period of the server.
    pub quiet: Moment,
    /// What chance begins with.
    pub seed: u64,
}

/// Counts of webhooks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Posted, repetitions included.
    pub webhooks: u64,
    /// Refused or not answered.
    pub refused: u64,
    /// Messages sent for the first time.
    pub sent: u64,
    /// Deliveries that have not ended.
    pub under_way: u64,
}

/// The generator.
pub struct Desk {
    tools: Tools,
    business: Business,
    began: Instant,
    began_unix_us: u64,
    /// The record.
    pub ledger: RefCell<Ledger>,
    /// The times.
    pub meters: RefCell<Meters>,
    /// The stage that runs now; none between two of them and behind the last.
    pub stage: Cell<Option<usize>>,
    tally: Cell<Tally>,
    prng: RefCell<Prng>,
    waiting: RefCell<HashMap<usize, oneshot::Sender<()>>>,
    is_over: Cell<bool>,
}

impl Desk {
    /// The quiet period of the server.
    pub fn quiet(&self) -> Duration {
        Duration::from_micros(self.tools.quiet)
    }

    /// A generator whose run begins now.
    #[must_use]
    pub fn new(tools: Tools, meters: Meters) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            business: Business::default(),
            began: Instant::now(),
            began_unix_us: micros(since_epoch),
            ledger: RefCell::new(Ledger::new(tools.bursts.run())),
            meters: RefCell::new(meters),
            stage: Cell::new(None),
            tally: Cell::default(),
            prng: RefCell::new(Prng::derived(tools.seed, u64::MAX - 1)),
            waiting: RefCell::default(),
            is_over: Cell::new(false),
            tools,
        }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        micros(self.began.elapsed())
    }

    /// Waits for a moment.
    pub async fn until(&self, at: Moment) {
        if at > self.now() {
            tokio::time::sleep_until((self.began + Duration::from_micros(at)).into()).await;
        }
    }

    /// The counts so far.
    #[must_use]
    pub const fn tally(&self) -> Tally {
        self.tally.get()
    }

    /// From now on nothing is sent again.
    pub fn end(&self) {
        self.is_over.set(true);
    }

    /// Somebody begins a burst at `at`. The receiver is told when it is answered.
    pub fn write(self: &Rc<Self>, person: usize, number: usize, at: Moment) -> oneshot::Receiver<()> {
        let burst = Rc::new(self.tools.bursts.burst(person, number));
        let intended = self.intended(&burst, at);
        let place = self.ledger.borrow_mut().begin(&burst, self.stage.get().unwrap_or(usize::MAX), &intended);
        let (answered, is_answered) = oneshot::channel();
        self.waiting.borrow_mut().insert(place, answered);
        let mut written = at;
        for (message, intended) in intended.into_iter().enumerate() {
            written += micros(burst.messages[message].gap);
            self.count(|tally| tally.under_way += 1);
            let (desk, burst) = (Rc::clone(self), Rc::clone(&burst));
            spawn_local(async move {
                desk.deliver(place, &burst, message, written, intended).await;
                desk.count(|tally| tally.under_way -= 1);
            });
        }
        is_answered
    }

    /// When the messages of a burst are meant to be sent: as they are written, or as the faults will have it.
    fn intended(&self, burst: &Burst, from: Moment) -> Vec<Moment> {
        let mut at = from;
        let mut intended: Vec<_> = burst
            .messages
            .iter()
            .map(|message| {
                at += micros(message.gap);
                at
            })
            .collect();
        let (faults, mut prng) = (&self.tools.faults, self.prng.borrow_mut());
        for place in 1..intended.len() {
            if faults.shuffle > 0.0 && prng.chance(faults.shuffle) {
                intended.swap(place - 1, place);
            }
        }
        for at in &mut intended {
            if faults.late > 0.0 && prng.chance(faults.late) {
                *at += faults.late_ms * 1_000;
            }
        }
        intended
    }

    /// Delivers one message until it is acknowledged, or the run is over.
    async fn deliver(&self, place: usize, burst: &Burst, message: usize, written: Moment, intended: Moment) {
        self.until(intended).await;
        let provider_s = i64::try_from((self.began_unix_us + written) / 1_000_000).unwrap_or(i64::MAX);
        let words = std::slice::from_ref(&burst.messages[message]);
        let body = self.business.webhook_body(&burst.person, words, provider_s);
        let signature = sign(&self.tools.app_secret, &body);
        let now = self.now();
        self.ledger.borrow_mut().sent(place, message, now, provider_s);
        self.count(|tally| tally.sent += 1);
        let stage = self.ledger.borrow().bursts()[place].stage;
        self.meters.borrow_mut().record(stage, Timed::Lag, now.saturating_sub(intended));
        let mut pause = Duration::from_millis(self.tools.limits.resend_ms);
        while !self.post(&signature, &body).await {
            if self.is_over.get() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RESEND_MAX);
        }
        let now = self.now();
        self.ledger.borrow_mut().acknowledge(place, message, now);
        self.meters.borrow_mut().record(stage, Timed::Acknowledge, now.saturating_sub(intended));
        self.redeliver(&signature, &body).await;
    }

    /// Delivers an acknowledged webhook again, where chance will have it.
    async fn redeliver(&self, signature: &str, body: &[u8]) {
        let rate = self.tools.faults.redeliver;
        let pause = {
            let mut prng = self.prng.borrow_mut();
            (rate > 0.0 && prng.chance(rate)).then(|| prng.millis(0, REDELIVER_WITHIN_MS))
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
            self.post(signature, body).await;
        }
    }

    /// Whether a webhook was acknowledged.
    async fn post(&self, signature: &str, body: &[u8]) -> bool {
        self.count(|tally| tally.webhooks += 1);
        let is_acknowledged = matches!(self.tools.wire.post(signature, body).await, Ok(200));
        if !is_acknowledged {
            self.count(|tally| tally.refused += 1);
        }
        is_acknowledged
    }

    /// Hears what reached a provider.
    pub fn hear(&self, observation: &Observation) {
        match observation {
            Observation::Asked(prompt) => {
                let texts = prompt.messages.iter().map(|message| message.content.as_str());
                let at = micros(prompt.at.saturating_duration_since(self.began));
                self.ledger.borrow_mut().prompted(texts, at, micros(prompt.latency));
            }
            Observation::Sent(sent) => {
                let at = micros(sent.at.saturating_duration_since(self.began));
                self.replied(sent.address(), &sent.text, at);
            }
        }
    }

    fn replied(&self, address: &str, text: &str, at: Moment) {
        let (before, answered, after) = {
            let mut ledger = self.ledger.borrow_mut();
            let before = ledger.answered();
            (before, ledger.replied(address, text, at), ledger.answered())
        };
        let mut meters = self.meters.borrow_mut();
        if let Some(stage) = self.stage.get().and_then(|stage| meters.stages.get_mut(stage)) {
            stage.answered += after - before;
            stage.bursts += answered.len() as u64;
        }
        for burst in answered {
            let wait = at.saturating_sub(burst.last_intended);
            meters.record(burst.stage, Timed::Answer, wait);
            let overhead = wait.saturating_sub(self.tools.quiet + burst.model);
            meters.record(burst.stage, Timed::Overhead, overhead);
            if let Some(waiting) = self.waiting.borrow_mut().remove(&burst.burst) {
                // A user whose patience has ended waits no longer.
                let _ = waiting.send(());
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        let mut tally = self.tally.get();
        change(&mut tally);
        self.tally.set(tally);
    }
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> Moment {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
