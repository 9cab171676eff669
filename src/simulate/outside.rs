//! The world outside of the server: a model that echoes its prompt, and a channel that records what it accepts.

use std::sync::Arc;
use std::time::Duration;

use tertulia_actors::domain::Timestamp;
use tertulia_actors::ports::{
    Answer, Outbound, OutboundChannel, PortFuture, Query, QueryError, QueryService, SendError,
};
use tokio::time::sleep;

use super::chance::Dice;
use super::faults::{Fault, Faults};
use super::trace::{Recorder, What};
use crate::channels::split::split;
use crate::load::bursts::Token;
use crate::load::prng::Prng;

/// Short, so that many replies have several parts.
const PART_MAX_CHARS: usize = 60;

/// A deliberate breach of a promise, by which the checks are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lie {
    /// The model answers one person with another one's words.
    EchoesAnother,
    /// The channel is handed what it already accepted.
    SendsTwice,
}

/// What the model and the channel have in common.
pub(super) struct Outside {
    pub(super) recorder: Arc<Recorder>,
    pub(super) run: String,
    pub(super) faults: Faults,
    /// Nothing goes wrong any more from this time on, so that everything can come to its end.
    pub(super) faults_until: Timestamp,
    pub(super) begin: Timestamp,
    pub(super) now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(super) lie: Option<Lie>,
}

impl Outside {
    fn goes_wrong(&self, fault: Fault) -> bool {
        self.faults.has(fault) && (self.now)() < self.faults_until
    }
}

/// A model that answers with the tokens of its prompt.
pub(super) struct EchoModel {
    pub(super) outside: Arc<Outside>,
    pub(super) dice: Dice,
    /// When the model is away; the same in every life of the server.
    pub(super) outages: Dice,
}

/// What the model does with one call.
enum Says {
    Text,
    Error(QueryError),
}

impl EchoModel {
    /// A few messages make the model fail whenever it sees them, so that they must be set apart.
    fn is_poison(&self, tokens: &[Token]) -> bool {
        let stream = |token: &Token| (token.person << 24 | token.burst << 8 | token.message) as u64;
        let is_poison = |token| self.outages.of(u64::MAX - stream(token)).chance(0.01);
        self.outside.faults.has(Fault::LlmErrors) && tokens.iter().any(is_poison)
    }

    fn decide(&self, text: &[Token], prng: &mut Prng) -> (Duration, Says) {
        let outside = &self.outside;
        let usual = prng.millis(300, 1_500) * u32::try_from(prng.between(1, 4)).unwrap_or(1);
        if self.is_poison(text) {
            return (usual, Says::Error(QueryError::Failed("nonsense".into())));
        }
        if outside.goes_wrong(Fault::LlmStall) && prng.chance(0.02) {
            return (prng.millis(100_000, 400_000), Says::Text);
        }
        if outside.goes_wrong(Fault::LlmErrors) {
            if self.is_away() {
                return (prng.millis(1, 50), Says::Error(QueryError::Unavailable("away".into())));
            }
            if prng.chance(0.02) {
                let retry_after = prng.millis(500, 5_000);
                let error = QueryError::Throttled { reason: "429".into(), retry_after };
                return (prng.millis(5, 50), Says::Error(error));
            }
            if prng.chance(0.08) {
                return (usual, Says::Error(QueryError::Failed("nonsense".into())));
            }
        }
        (usual, Says::Text)
    }

    /// Once every three hours it is away for up to ten minutes.
    fn is_away(&self) -> bool {
        const PERIOD_MS: u64 = 3 * 3_600_000;
        let since = (self.outside.now)().0.saturating_sub(self.outside.begin.0).max(0).unsigned_abs();
        let mut prng = self.outages.of(since / PERIOD_MS);
        let begins = prng.between(0, PERIOD_MS - 600_000);
        (begins..begins + prng.between(20_000, 600_000)).contains(&(since % PERIOD_MS))
    }
}

/// Tells of the end of a call, also of one that is dropped.
struct Call {
    recorder: Arc<Recorder>,
    call: u64,
    how: &'static str,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.recorder.say(What::Answered { call: self.call, how: self.how });
    }
}

impl QueryService for EchoModel {
    fn answer(&self, query: Query) -> PortFuture<Answer, QueryError> {
        let (call, mut prng) = self.dice.roll();
        let outside = Arc::clone(&self.outside);
        let text = Token::find_all(&query.text, &outside.run);
        let (wait, says) = self.decide(&text, &mut prng);
        Box::pin(async move {
            let said = query.history.iter().map(|item| item.text.as_str());
            let history = said.flat_map(|said| Token::find_all(said, &outside.run)).collect();
            let (recorder, conversation) = (&outside.recorder, query.conversation);
            if !recorder.say(What::Asked { call, conversation, text: text.clone(), history }) {
                return std::future::pending().await;
            }
            let mut ended = Call { recorder: Arc::clone(recorder), call, how: "let-go" };
            sleep(wait).await;
            let result = match says {
                Says::Error(error) => Err(error),
                Says::Text => Ok(echo(&text, &outside)),
            };
            ended.how = if result.is_ok() { "text" } else { "error" };
            drop(ended);
            if outside.recorder.is_dead() {
                return std::future::pending().await;
            }
            result
        })
    }
}

fn echo(tokens: &[Token], outside: &Outside) -> Answer {
    let mut tokens = tokens.to_vec();
    if outside.lie == Some(Lie::EchoesAnother)
        && let Some(first) = tokens.first_mut()
    {
        first.person += 1;
    }
    let words: Vec<_> = tokens.iter().map(|token| token.text(&outside.run)).collect();
    Answer::Text {
        text: format!("about {}", words.join(" and ")),
        prompt_tokens: None,
        completion_tokens: None,
    }
}

/// A channel that accepts parts, and records which.
pub(super) struct RecordingChannel {
    pub(super) outside: Arc<Outside>,
    pub(super) dice: Dice,
    pub(super) life: u32,
}

/// What the channel does with one part.
enum Verdict {
    Accept,
    /// Accepted, and the answer is cut off.
    AcceptAndCut,
    /// Not accepted, and the answer is cut off.
    Cut,
    Refuse(Option<Duration>),
}

impl RecordingChannel {
    fn decide(&self, prng: &mut Prng) -> Verdict {
        if self.outside.goes_wrong(Fault::Throttle) {
            if prng.chance(0.1) {
                return Verdict::Refuse(Some(prng.millis(500, 5_000)));
            }
            if prng.chance(0.05) {
                return Verdict::Refuse(None);
            }
        }
        if self.outside.goes_wrong(Fault::CutSends) && prng.chance(0.08) {
            return if prng.chance(0.5) { Verdict::AcceptAndCut } else { Verdict::Cut };
        }
        Verdict::Accept
    }
}

impl OutboundChannel for RecordingChannel {
    fn send(&self, outbound: Outbound) -> PortFuture<String, SendError> {
        let (number, mut prng) = self.dice.roll();
        let verdict = self.decide(&mut prng);
        let (there, back) = (prng.millis(20, 400), prng.millis(20, 400));
        let (outside, wamid) = (Arc::clone(&self.outside), format!("wamid.out.{}.{number}", self.life));
        Box::pin(async move {
            let (recorder, part) = (&outside.recorder, outbound.part);
            if !recorder.say(What::Posted { part }) {
                return std::future::pending().await;
            }
            sleep(there).await;
            if matches!(verdict, Verdict::Accept | Verdict::AcceptAndCut) {
                let address = outbound.recipient.phone.or(outbound.recipient.user_id).unwrap_or_default();
                let tokens = Token::find_all(&outbound.text, &outside.run);
                let accepted = What::Accepted { part, address, tokens, wamid: wamid.clone() };
                if outside.lie == Some(Lie::SendsTwice) {
                    recorder.say(accepted.clone());
                }
                recorder.say(accepted);
            }
            sleep(back).await;
            let (how, result) = match verdict {
                Verdict::Accept => ("accepted", Ok(wamid)),
                Verdict::AcceptAndCut | Verdict::Cut => {
                    ("cut", Err(SendError::Ambiguous("the connection was cut".into())))
                }
                Verdict::Refuse(retry_after) => {
                    ("refused", Err(SendError::Retryable { reason: "not now".into(), retry_after }))
                }
            };
            if !recorder.say(What::Returned { part, how }) {
                return std::future::pending().await;
            }
            result
        })
    }

    fn split(&self, text: &str) -> Vec<String> {
        split(text, PART_MAX_CHARS)
    }
}
