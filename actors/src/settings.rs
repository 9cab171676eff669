//! The named limits and choices that the actors work by. The binary reads them from its configuration; every default
//! is stated here and nowhere else, but for the fronts', which differ from front to front.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Class, Language, Route, TurnLimits};

/// Milliseconds as a duration.
const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// How messages are gathered into turns.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConversationSettings {
    /// A batch closes this long after its last message.
    pub quiet_ms: u64,
    /// A batch closes at most this long after its first message, or after the previous turn's end if that is later.
    pub max_wait_ms: u64,
    /// A batch closes when it holds this many messages.
    pub max_messages: usize,
    /// What a message does that arrives during a turn.
    pub on_new_message: OnNewMessage,
    /// An actor with nothing to do leaves memory after this long.
    pub idle_ms: u64,
}

/// What a message does that arrives during a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewMessage {
    /// It opens the next batch.
    Queue,
}

impl Default for ConversationSettings {
    fn default() -> Self {
        Self {
            quiet_ms: 3_000,
            max_wait_ms: 15_000,
            max_messages: 20,
            on_new_message: OnNewMessage::Queue,
            idle_ms: 60_000,
        }
    }
}

impl ConversationSettings {
    /// `quiet_ms` as a duration.
    #[must_use]
    pub const fn quiet(&self) -> Duration {
        ms(self.quiet_ms)
    }

    /// `max_wait_ms` as a duration.
    #[must_use]
    pub const fn max_wait(&self) -> Duration {
        ms(self.max_wait_ms)
    }

    /// `idle_ms` as a duration.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        ms(self.idle_ms)
    }
}

/// How turns are run and rerun.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnSettings {
    /// Turns that one shard runs at the same time; more wait in order.
    pub in_flight_max: usize,
    /// Failures of a turn itself after which its batch is exhausted.
    pub max_attempts: u32,
    /// Starts cut off by the death of the process after which a batch is exhausted.
    pub max_interrupted: u32,
    /// The wait before a failed turn runs again; it doubles with each failure.
    pub retry_base_ms: u64,
    /// The longest such wait.
    pub retry_max_ms: u64,
    /// The wait before a turn runs again that met overload or an unavailable service.
    pub unavailable_retry_ms: u64,
    /// How long a turn waits for an unavailable service before it is answered without it.
    pub patience_ms: u64,
    /// A turn that runs longer than this has failed.
    pub timeout_ms: u64,
}

impl Default for TurnSettings {
    fn default() -> Self {
        Self {
            in_flight_max: 512,
            max_attempts: 3,
            max_interrupted: 10,
            retry_base_ms: 500,
            retry_max_ms: 30_000,
            unavailable_retry_ms: 1_000,
            patience_ms: 60_000,
            timeout_ms: 150_000,
        }
    }
}

impl TurnSettings {
    /// The limits of reruns.
    #[must_use]
    pub const fn limits(&self) -> TurnLimits {
        TurnLimits {
            max_attempts: self.max_attempts,
            max_interrupted: self.max_interrupted,
            suspect_after: 2,
            retry_base: ms(self.retry_base_ms),
            retry_max: ms(self.retry_max_ms),
        }
    }
}

/// What decides between a stored answer, no answer, and the way of the class.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineSettings {
    /// Whether "ok" and the like, and texts without any word, need no answer.
    pub skip: bool,
    /// Texts that need no answer, compared without case, punctuation and marks.
    pub skip_texts: Vec<String>,
    /// Kinds of messages that never ask for an answer.
    pub silent_kinds: Vec<String>,
    /// How many entries of the knowledge base are looked up.
    pub knowledge_hits: usize,
    /// A stored answer is given from this score on, 0 to 1.
    pub reply_score_min: f32,
    /// A hit is shown to the query service from this score on, 0 to 1.
    pub passage_score_min: f32,
    /// Below this confidence a turn's class is `other`, 0 to 1.
    pub class_confidence_min: f32,
    /// A text that is less likely than this to be what any class is about is other, and nobody is sure of it, 0 to 1.
    pub class_scope_min: f32,
    /// The last messages that the query service sees.
    pub history_messages: usize,
    /// The languages people write in; the first is spoken to those whose language is not known.
    pub languages: Vec<Language>,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        let skip_texts = [
            "ok",
            "okay",
            "k",
            "kk",
            "alright",
            "fine",
            "got it",
            "noted",
            "i see",
            "cool",
            "great",
            "perfect",
            "lol",
            "haha",
            "hahaha",
            "👍",
            "👌",
            "تمام",
            "اوكي",
            "أوكي",
            "حسنا",
            "طيب",
            "ماشي",
            "اوك",
            "هههه",
            "ههههه",
        ];
        Self {
            skip: true,
            skip_texts: skip_texts.map(String::from).to_vec(),
            silent_kinds: ["reaction", "system", "request_welcome", "revoke"].map(String::from).to_vec(),
            knowledge_hits: 3,
            reply_score_min: 0.6,
            passage_score_min: 0.15,
            class_confidence_min: 0.4,
            class_scope_min: 0.4,
            history_messages: 6,
            languages: vec![Language::ENGLISH, Language::ARABIC],
        }
    }
}

/// The way of each class.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routes {
    /// "hello"
    pub greeting: Route,
    /// "thank you"
    pub thanks: Route,
    /// Something went wrong.
    pub complaint: Route,
    /// An idea.
    pub suggestion: Route,
    /// A question.
    pub inquiry: Route,
    /// Asks for something to be done.
    pub service_request: Route,
    /// The pressed button of a template message.
    pub template_reply: Route,
    /// None of these.
    pub other: Route,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            greeting: Route::Phrase,
            thanks: Route::Phrase,
            complaint: Route::Record,
            suggestion: Route::Record,
            inquiry: Route::Query,
            service_request: Route::Query,
            template_reply: Route::Record,
            other: Route::Query,
        }
    }
}

impl Routes {
    /// The way of a class.
    #[must_use]
    pub const fn of(&self, class: Class) -> Route {
        match class {
            Class::Greeting => self.greeting,
            Class::Thanks => self.thanks,
            Class::Complaint => self.complaint,
            Class::Suggestion => self.suggestion,
            Class::Inquiry => self.inquiry,
            Class::ServiceRequest => self.service_request,
            Class::TemplateReply => self.template_reply,
            Class::Other => self.other,
        }
    }
}

/// Stored phrases by name and language: a class's name, or one of the names in `pipeline::phrases`.
pub type Phrases = BTreeMap<String, BTreeMap<Language, String>>;

/// Limits of the outbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxSettings {
    /// Sends that one shard has under way at the same time.
    pub in_flight_max: usize,
    /// Conversations that one shard holds parts of in memory; the rest stays in the store.
    pub lanes_max: usize,
    /// Parts of one conversation that are held in memory; the rest stays in the store.
    pub lane_max: usize,
    /// A part that is this old when it was once more surely not accepted has failed.
    pub give_up_ms: u64,
    /// The wait before a part that was surely not accepted is sent again; it doubles each time.
    pub retry_base_ms: u64,
    /// The longest such wait.
    pub retry_max_ms: u64,
    /// How long a part with an unknown outcome holds the later parts of its conversation.
    pub ambiguous_hold_ms: u64,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            in_flight_max: 256,
            lanes_max: 20_000,
            lane_max: 16,
            give_up_ms: 24 * 3_600_000,
            retry_base_ms: 500,
            retry_max_ms: 60_000,
            ambiguous_hold_ms: 10_000,
        }
    }
}

/// The sweep that finds what a lost hint left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SweepSettings {
    /// The time between two sweeps.
    pub sweep_ms: u64,
    /// Conversations that one sweep wakes at the most; the next goes on behind them.
    pub page_max: usize,
}

impl Default for SweepSettings {
    fn default() -> Self {
        Self { sweep_ms: 1_000, page_max: 1_000 }
    }
}

/// How what fails is started anew, and when it is given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisionSettings {
    /// Restarts of one thing within `window_ms`; one more failure and it is given up.
    pub restarts_max: usize,
    /// How long a restart counts.
    pub window_ms: u64,
    /// The wait before the second restart within the window; it doubles with each further one. The first is at once.
    pub backoff_base_ms: u64,
    /// The longest such wait, and the wait after giving up.
    pub backoff_max_ms: u64,
    /// Failures of a service in a row after which it is not called any more.
    pub breaker_failures: u32,
    /// The wait before one call may find out whether such a service is back; it doubles with each that finds it is not.
    pub probe_ms: u64,
    /// The longest such wait.
    pub probe_max_ms: u64,
    /// A thread that neither answers nor yields for this long is reported as frozen; one that computes is replaced.
    pub heartbeat_ms: u64,
    /// A thread of actors that is frozen for this long ends the process, so that the service manager starts it again.
    pub frozen_exit_ms: u64,
    /// Frozen threads of one service that are left behind, each replaced by a new one, over restarts of its front too; one
    /// more is not replaced.
    pub abandoned_max: usize,
    /// Calls of one conversation that wait before one front.
    pub share_max: usize,
    /// Events that are kept for people to read; then the oldest goes.
    pub events_max: usize,
    /// Readers of the stream of events at the same time; one more is refused.
    pub readers_max: usize,
}

impl Default for SupervisionSettings {
    fn default() -> Self {
        Self {
            restarts_max: 5,
            window_ms: 60_000,
            backoff_base_ms: 100,
            backoff_max_ms: 3_000,
            breaker_failures: 5,
            probe_ms: 500,
            probe_max_ms: 3_000,
            heartbeat_ms: 5_000,
            frozen_exit_ms: 15_000,
            abandoned_max: 4,
            share_max: 16,
            events_max: 1_000,
            readers_max: 32,
        }
    }
}

/// How texts are gathered to be embedded together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchSettings {
    /// Texts of a batch at the most; at least one.
    pub texts_max: usize,
    /// Characters of a batch at the most, which bounds its tokens: none is shorter. One text alone may have more.
    pub chars_max: usize,
    /// How long the first text of a batch waits for others.
    pub wait: Duration,
    /// Batches under way at the same time; at least one. While as many are, texts gather.
    pub batches_max: usize,
    /// Texts whose vectors are remembered.
    pub cache_max: usize,
}

/// The limits of one front. They have no default of their own: how long a call may take depends on what stands behind the
/// front, so each front's defaults are stated where it is configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct FrontSettings {
    /// Calls under way at the same time.
    pub in_flight_max: usize,
    /// Calls that wait; one more is refused.
    pub queue_max: usize,
    /// A call that has no answer after this long is refused.
    pub deadline_ms: u64,
}

impl FrontSettings {
    /// `deadline_ms` as a duration.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        ms(self.deadline_ms)
    }
}
