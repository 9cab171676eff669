//! WhatsApp through Meta's Cloud API.

mod identity;
mod inbound;
mod outbound;
mod outcome;
mod payload;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use inbound::WhatsappInbound;
pub use outbound::WhatsappOutbound;

use crate::secret::Secret;

/// The most characters of one text message, as Meta documents it.
pub const TEXT_MAX_CHARS: usize = 4_096;

/// How WhatsApp is reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WhatsappSettings {
    /// Whether the channel is served.
    pub enabled: bool,
    /// What Meta shows in the handshake.
    pub verify_token: Secret,
    /// What Meta signs its webhooks with.
    pub app_secret: Secret,
    /// What we show when we send.
    pub access_token: Secret,
    /// The Graph API, without the version.
    pub graph_base_url: String,
    /// The version of the Graph API.
    pub api_version: String,
    /// A send without an answer after this long has an unknown outcome.
    pub timeout_ms: u64,
    /// A connection that is not made after this long is tried again. Less than `timeout_ms`.
    pub connect_timeout_ms: u64,
}

impl Default for WhatsappSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            verify_token: Secret::default(),
            app_secret: Secret::default(),
            access_token: Secret::default(),
            graph_base_url: "https://graph.facebook.com".to_owned(),
            api_version: "v23.0".to_owned(),
            timeout_ms: 15_000,
            connect_timeout_ms: 3_000,
        }
    }
}

impl WhatsappSettings {
    /// `timeout_ms` as a duration.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// `connect_timeout_ms` as a duration.
    #[must_use]
    pub const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }
}
