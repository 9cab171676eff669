//! What is told of turns and sends to whoever traces them. No words of anybody are among it.

use std::sync::Arc;

use crate::domain::{
    Account, Class, ConversationId, Disposition, Journey, Language, PartId, PartState, Timestamp, TurnId,
};

/// A message of a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageTrace {
    /// Its number in the conversation.
    pub seq: u64,
    /// The channel's name of the kind.
    pub kind: String,
    /// When its body was complete.
    pub received_at: Timestamp,
}

/// The run of a turn that ended it.
#[derive(Clone, PartialEq, Debug)]
pub struct TurnTrace {
    /// Whose.
    pub conversation: ConversationId,
    /// The account that answers.
    pub account: Account,
    /// The turn.
    pub turn: TurnId,
    /// Which run of it this was, from 1.
    pub attempt: u32,
    /// Its messages, in order.
    pub messages: Vec<MessageTrace>,
    /// When the run began.
    pub began: Timestamp,
    /// When its pipeline began: at once, or with its start on the disk. The steps of the journey count from here.
    pub prepared: Timestamp,
    /// When its commit was asked for.
    pub asked: Timestamp,
    /// When the commit was on the disk.
    pub ended: Timestamp,
    /// How its messages end.
    pub disposition: Disposition,
    /// The class.
    pub class: Option<Class>,
    /// The person's language.
    pub language: Option<Language>,
    /// Whether a person should look.
    pub needs_human: bool,
    /// How the answer came about.
    pub journey: Journey,
}

/// A run of a turn that did not end it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunTrace {
    /// Whose.
    pub conversation: ConversationId,
    /// The account that answers.
    pub account: Account,
    /// The turn.
    pub turn: TurnId,
    /// Which run of it this was, from 1.
    pub attempt: u32,
    /// When it began.
    pub began: Timestamp,
    /// When it was given up.
    pub ended: Timestamp,
    /// Why, in a word: `failed`, `unavailable`, `drained`.
    pub outcome: &'static str,
}

/// One send of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SendTrace {
    /// Whose.
    pub conversation: ConversationId,
    /// The account that sends.
    pub account: Account,
    /// The turn that it answers.
    pub turn: TurnId,
    /// The part.
    pub part: PartId,
    /// Which send of it this was, from 1.
    pub attempt: u32,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What it left the part in; one that is sent again is pending.
    pub outcome: PartState,
}

/// Something that has ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Trace {
    /// A turn.
    Turn(Box<TurnTrace>),
    /// A run that did not end its turn.
    Run(RunTrace),
    /// A send.
    Send(SendTrace),
}

impl Trace {
    /// The turn that it belongs to.
    #[must_use]
    pub const fn turn(&self) -> TurnId {
        match self {
            Self::Turn(trace) => trace.turn,
            Self::Run(trace) => trace.turn,
            Self::Send(trace) => trace.turn,
        }
    }
}

/// Whoever traces turns and sends. Told on the threads of the shards, so that it must neither wait nor fail: what it cannot take
/// is lost to the trace, and to nothing else.
pub trait Traces: Send + Sync + 'static {
    /// Takes what has ended.
    fn told(&self, trace: Trace);
}

/// Whoever traces, if anybody does.
pub type Tracer = Option<Arc<dyn Traces>>;
