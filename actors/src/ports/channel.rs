//! A channel's way out.

use std::time::Duration;

use thiserror::Error;

use super::PortFuture;
use super::clock::ReceiptSource;
use super::store::Admission;
use crate::domain::{Account, PartId, Recipient};

/// One part of a reply on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outbound {
    /// Our id of the part, given along as callback data.
    pub part: PartId,
    /// The account that sends it.
    pub account: Account,
    /// Where it goes.
    pub recipient: Recipient,
    /// Its text.
    pub text: String,
}

/// How a send can fail.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SendError {
    /// The part cannot have been accepted: no byte left, or the channel said that it throttles. Safe to retry.
    #[error("not accepted, safe to retry: {reason}")]
    Retryable {
        /// What happened.
        reason: String,
        /// How long the channel asked us to wait.
        retry_after: Option<Duration>,
    },
    /// The channel does not accept our token: surely not accepted, and no other part will be either.
    #[error("our token is not accepted: {0}")]
    Unauthorized(String),
    /// The channel refused it for good.
    #[error("refused: {0}")]
    Refused(String),
    /// Bytes may have been read and no well-formed answer came back.
    #[error("outcome unknown: {0}")]
    Ambiguous(String),
}

/// Hands parts to a channel.
pub trait OutboundChannel: Send + Sync + 'static {
    /// Sends one part; answers the provider's id of it.
    ///
    /// # Errors
    /// See [`SendError`]; a call that times out is `Ambiguous` once a byte may have left.
    fn send(&self, outbound: Outbound) -> PortFuture<String, SendError>;

    /// Cuts a reply into parts that the channel takes, on sensible boundaries. Nothing is lost but white space at the
    /// cuts.
    fn split(&self, text: &str) -> Vec<String>;

    /// Reads its secrets again, where they stand in files; called before a recovery probe and on SIGHUP. What is under way
    /// goes on with the old ones.
    fn refresh(&self) {}
}

/// A channel's way in: verifies and reads its webhooks. Pure, so that it runs where the body arrived.
pub trait InboundChannel: Send + Sync + 'static {
    /// Whether the provider may subscribe: the handshake's mode and token are right. Compared in constant time.
    fn accepts_handshake(&self, mode: &str, token: &str) -> bool;

    /// Whether the signature header belongs to the raw body. Compared in constant time.
    fn verifies(&self, signature: Option<&str>, body: &[u8]) -> bool;

    /// Reads every entry, change, message and status of a body. What is not understood comes back as quarantined, with
    /// the whole body; what is understood in it is returned all the same. Each message takes a receipt of its own, in the
    /// order of the payload.
    fn read(&self, body: &[u8], receipts: &dyn ReceiptSource) -> Admission;
}
