//! What happens in a simulated world, as it is recorded: the events, the recorder that every port has, and the lines of
//! the trace.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use tertulia_actors::domain::{Books, ConversationId, PartId, Timestamp};
use tertulia_actors::ports::Clock;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::faults::{Crash, Moment};
use crate::load::bursts::Token;
use crate::secret::hex;

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum What {
    /// The server began to work.
    Started { epoch: u64, interrupted_turns: u64, ambiguous_parts: u64 },
    /// The server died.
    Died { at: Moment },
    /// A webhook's body is complete.
    Arrived { webhook: usize, attempt: u32 },
    /// It was answered with 200.
    Acknowledged { webhook: usize, conversation: Option<ConversationId>, duplicates: usize },
    /// It was not.
    Refused { webhook: usize, why: String },
    /// Its sender hung up before the answer.
    HungUp { webhook: usize },
    /// A transaction is on the disk.
    Committed { requests: usize },
    /// The model was asked.
    Asked { call: u64, conversation: ConversationId, text: Vec<Token>, history: Vec<Token> },
    /// The model's call has ended.
    Answered { call: u64, how: &'static str },
    /// The channel was handed a part.
    Posted { part: PartId },
    /// The channel accepted it.
    Accepted { part: PartId, address: String, tokens: Vec<Token>, wamid: String },
    /// The server was told of it, or that it was not accepted.
    Returned { part: PartId, how: &'static str },
    /// A supervisor said something.
    Supervised { path: String, event: String },
    /// The books, counted in one read transaction.
    Counted(Books),
    /// The server asked to be ended.
    Ended(String),
}

impl What {
    /// The moment this is, at which the server may die.
    const fn moment(&self) -> Option<Moment> {
        match self {
            Self::Arrived { .. } => Some(Moment::Arrived),
            Self::Acknowledged { .. } => Some(Moment::Acknowledged),
            Self::Committed { .. } => Some(Moment::Committed),
            Self::Asked { .. } => Some(Moment::Asked),
            Self::Answered { .. } => Some(Moment::Answered),
            Self::Posted { .. } => Some(Moment::Posted),
            Self::Accepted { .. } => Some(Moment::Accepted),
            _ => None,
        }
    }
}

/// Tokens without their run, which is the same in all of them.
pub(super) struct Tokens<'a>(pub(super) &'a [Token]);

impl fmt::Display for Tokens<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("-");
        }
        for (n, Token { person, burst, message }) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}u{person}-b{burst}-m{message}")?;
        }
        Ok(())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { epoch, interrupted_turns, ambiguous_parts } => {
                write!(f, "started epoch={epoch} interrupted={interrupted_turns} ambiguous={ambiguous_parts}")
            }
            Self::Died { at } => write!(f, "died at={at:?}"),
            Self::Arrived { webhook, attempt } => write!(f, "arrived webhook={webhook} attempt={attempt}"),
            Self::Acknowledged { webhook, conversation, duplicates } => {
                write!(f, "acknowledged webhook={webhook} duplicates={duplicates}")?;
                conversation.map_or(Ok(()), |id| write!(f, " conversation={id}"))
            }
            Self::Refused { webhook, why } => write!(f, "refused webhook={webhook} why={why}"),
            Self::HungUp { webhook } => write!(f, "hung-up webhook={webhook}"),
            Self::Committed { requests } => write!(f, "committed requests={requests}"),
            Self::Asked { call, conversation, text, history } => write!(
                f,
                "asked call={call} conversation={conversation} text={} history={}",
                Tokens(text),
                Tokens(history)
            ),
            Self::Answered { call, how } => write!(f, "answered call={call} how={how}"),
            Self::Posted { part } => write!(f, "posted part={part}"),
            Self::Accepted { part, address, tokens, wamid } => {
                write!(f, "accepted part={part} to={address} text={} as={wamid}", Tokens(tokens))
            }
            Self::Returned { part, how } => write!(f, "returned part={part} how={how}"),
            Self::Supervised { path, event } => write!(f, "supervised path={path} event={event}"),
            Self::Counted(books) => write!(
                f,
                "counted received={} answered={} suppressed={} dead-lettered={} pending={} parts={} sent={} failed={} \
                 ambiguous={}",
                books.received,
                books.answered,
                books.suppressed,
                books.dead_lettered,
                books.pending,
                books.parts_created,
                books.parts_sent,
                books.parts_failed,
                books.parts_ambiguous
            ),
            Self::Ended(why) => write!(f, "ended why={why}"),
        }
    }
}

/// What every port of one life of the server tells its events to. It also kills that life: from the moment of a crash on
/// nothing is heard, written or accepted any more, whatever the tasks that are left still do.
pub(super) struct Recorder {
    clock: Arc<dyn Clock>,
    news: UnboundedSender<Event>,
    crash: Option<Crash>,
    is_dead: AtomicBool,
    bell: Notify,
}

impl Recorder {
    pub(super) const fn new(
        clock: Arc<dyn Clock>,
        news: UnboundedSender<Event>,
        crash: Option<Crash>,
    ) -> Self {
        Self { clock, news, crash, is_dead: AtomicBool::new(false), bell: Notify::const_new() }
    }

    /// Records what happened; the server may die of it. False when it is dead, before or after: nothing may follow.
    pub(super) fn say(&self, what: What) -> bool {
        if self.is_dead() {
            return false;
        }
        let (at, moment) = (self.clock.now(), what.moment());
        // Whoever listens outlives the server.
        let _ = self.news.send(Event { at, what });
        if moment.is_some() && self.crash.is_some_and(|crash| moment == Some(crash.at) && at >= crash.after) {
            self.kill();
            return false;
        }
        true
    }

    /// The server dies now.
    pub(super) fn kill(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.bell.notify_one();
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Waits for the death.
    pub(super) async fn died(&self) {
        self.bell.notified().await;
    }
}

/// Everything that happened, in lines. The same seed and options give the same bytes.
#[derive(Default)]
pub struct Trace {
    begun: i64,
    text: String,
    hash: Sha256,
}

impl Trace {
    pub(super) fn new(begun: Timestamp) -> Self {
        Self { begun: begun.0, ..Self::default() }
    }

    /// Adds a line: days and time since the beginning, then what happened.
    pub(super) fn add(&mut self, event: &Event) {
        let line = line(event.at.0.saturating_sub(self.begun), &event.what);
        self.hash.update(line.as_bytes());
        self.text.push_str(&line);
    }

    /// The SHA-256 of all lines.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex(&self.hash.clone().finalize())
    }

    /// The lines.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Writes the lines.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_to(&self, out: &mut impl io::Write) -> io::Result<()> {
        out.write_all(self.text.as_bytes())
    }
}

fn line(ms: i64, what: &dyn fmt::Display) -> String {
    let (day, rest) = (ms / 86_400_000, ms % 86_400_000);
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60);
    let mut line = format!("{day}d {hour:02}:{minute:02}:{second:02}.{:03} ", rest % 1_000);
    // A string takes everything.
    let _ = writeln!(line, "{what}");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_and_what() {
        let text = [Token { person: 1, burst: 2, message: 0 }, Token { person: 1, burst: 2, message: 1 }];
        let at = 86_400_000 + 3_600_000 + 62_003;
        assert_eq!(line(at, &What::Committed { requests: 3 }), "1d 01:01:02.003 committed requests=3\n");
        assert_eq!(Tokens(&text).to_string(), "u1-b2-m0,u1-b2-m1");
        assert_eq!(Tokens(&[]).to_string(), "-");
    }

    #[test]
    fn nothing_is_recorded_of_a_dead_server_and_it_dies_at_its_moment() {
        struct Still;
        impl Clock for Still {
            fn now(&self) -> Timestamp {
                Timestamp(5)
            }
            fn tick(&self) -> tertulia_actors::domain::Tick {
                tertulia_actors::domain::Tick(5)
            }
        }
        for (after, survives) in [(5, false), (6, true)] {
            let (news, mut heard) = tokio::sync::mpsc::unbounded_channel();
            let crash = Crash { after: Timestamp(after), at: Moment::Committed, down_ms: 1 };
            let recorder = Recorder::new(Arc::new(Still), news, Some(crash));
            assert!(recorder.say(What::Arrived { webhook: 0, attempt: 1 }));
            assert_eq!(recorder.say(What::Committed { requests: 1 }), survives);
            assert_eq!(recorder.say(What::Committed { requests: 2 }), survives);
            let told = std::iter::from_fn(|| heard.try_recv().ok()).count();
            assert_eq!(told, if survives { 3 } else { 2 });
        }
    }
}
