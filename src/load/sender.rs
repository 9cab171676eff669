//! Delivers webhooks as Meta does: signed, and again and again until they are acknowledged.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::bursts::{Burst, BurstMessage, Person};
use super::payloads::{Business, sign};

/// Why a webhook was given up.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum DeliverError {
    /// The server refused it for good.
    #[error("the server answered {0}")]
    Refused(u16),
    /// No acknowledgement came within the limit of tries.
    #[error("not acknowledged after {tries} tries: {last}")]
    GivenUp {
        /// How often it was sent.
        tries: u32,
        /// What happened last.
        last: String,
    },
}

/// Delivers webhooks, and remembers which message ids were acknowledged with 200.
#[derive(Clone)]
pub struct WebhookSender {
    client: reqwest::Client,
    url: String,
    app_secret: String,
    business: Business,
    tries_max: u32,
    pause: Duration,
    acknowledged: Arc<Mutex<BTreeSet<String>>>,
}

impl WebhookSender {
    /// Sends to `url` (`…/webhooks/whatsapp`) with `client`; a webhook that is not acknowledged is sent again after 50 ms, up
    /// to 400 times.
    #[must_use]
    pub fn new(client: reqwest::Client, url: impl Into<String>, app_secret: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
            app_secret: app_secret.into(),
            business: Business::default(),
            tries_max: 400,
            pause: Duration::from_millis(50),
            acknowledged: Arc::default(),
        }
    }

    /// Changes how often a webhook is sent, and the pause between.
    #[must_use]
    pub const fn with_tries(mut self, tries_max: u32, pause: Duration) -> Self {
        self.tries_max = tries_max;
        self.pause = pause;
        self
    }

    /// Changes the business that the payloads name.
    #[must_use]
    pub fn with_business(mut self, business: Business) -> Self {
        self.business = business;
        self
    }

    /// The ids of all messages that were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> BTreeSet<String> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes a burst: each message in a webhook of its own, after its gap. A message that must be sent again does not
    /// hold back the next one; in the end all are acknowledged, or the first failure is told.
    ///
    /// # Errors
    /// When a webhook was refused or given up.
    pub async fn play(&self, burst: &Burst) -> Result<(), DeliverError> {
        let mut due = Duration::ZERO;
        let deliveries = burst.messages.iter().map(|message| {
            due += message.gap;
            let wait = due;
            async move {
                tokio::time::sleep(wait).await;
                self.deliver(&burst.person, std::slice::from_ref(message)).await
            }
        });
        futures_util::future::join_all(deliveries).await.into_iter().collect()
    }

    /// Delivers messages of one person in one webhook, until it is acknowledged.
    ///
    /// # Errors
    /// When it was refused or given up.
    pub async fn deliver(&self, person: &Person, messages: &[BurstMessage]) -> Result<(), DeliverError> {
        let body = self.business.webhook_body(person, messages, unix_seconds());
        self.deliver_body(body).await?;
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.extend(messages.iter().map(|message| message.id.clone()));
        Ok(())
    }

    /// Signs and delivers any body, until it is acknowledged.
    ///
    /// # Errors
    /// When it was refused or given up.
    pub async fn deliver_body(&self, body: Vec<u8>) -> Result<(), DeliverError> {
        let signature = sign(&self.app_secret, &body);
        let mut last = String::new();
        for _ in 0..self.tries_max {
            match self.post(&signature, body.clone()).await {
                Ok(200) => return Ok(()),
                Ok(status) if status < 500 && status != 429 => return Err(DeliverError::Refused(status)),
                Ok(status) => last = status.to_string(),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(self.pause).await;
        }
        Err(DeliverError::GivenUp { tries: self.tries_max, last })
    }

    async fn post(&self, signature: &str, body: Vec<u8>) -> Result<u16, reqwest::Error> {
        let request = self.client.post(&self.url).header("x-hub-signature-256", signature);
        let request = request.header("content-type", "application/json").timeout(Duration::from_secs(10));
        Ok(request.body(body).send().await?.status().as_u16())
    }
}

/// Now, in whole seconds since the epoch, as payloads tell it.
fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
