//! The named limits of the HTTP interface. Every default is stated here and nowhere else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::console::User;
use crate::secret::Secret;

/// What the HTTP interface needs of the configuration.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// `[server]`
    pub server: ServerSettings,
    /// `[channels.api]`
    pub api: ApiSettings,
    /// `[channels.web]`
    pub web: WebSettings,
    /// `[console]`
    pub console: ConsoleSettings,
    /// `[handoff]`
    pub handoff: HandoffSettings,
}

/// The server itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port to listen on.
    pub bind: String,
    /// HTTP workers; 0: one per core.
    pub workers: usize,
    /// A longer body is refused with 413.
    pub body_limit_bytes: usize,
    /// A request line and headers that take longer are refused with 408.
    pub head_timeout_ms: u64,
    /// A body that takes longer is refused with 408.
    pub body_timeout_ms: u64,
    /// A response of which nothing is taken for this long is given up, with its connection.
    pub write_timeout_ms: u64,
    /// An idle connection is closed after this long.
    pub keep_alive_ms: u64,
    /// Requests under way when the server stops have this long to end.
    pub drain_ms: u64,
    /// Streams of events at the same time; one more is refused with 503.
    pub streams_max: usize,
    /// `/readyz` says no when the probe of the database takes longer.
    pub ready_timeout_ms: u64,
    /// Connections at the same time; further ones wait to be accepted.
    pub connections_max: usize,
    /// Connections that the system holds until they are accepted.
    pub backlog: u32,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8080".to_owned(),
            workers: 0,
            body_limit_bytes: 4 * 1_024 * 1_024,
            head_timeout_ms: 5_000,
            body_timeout_ms: 10_000,
            write_timeout_ms: 10_000,
            keep_alive_ms: 75_000,
            drain_ms: 10_000,
            streams_max: 1_000,
            ready_timeout_ms: 2_000,
            connections_max: 10_000,
            backlog: 2_048,
        }
    }
}

impl ServerSettings {
    /// `head_timeout_ms` as a duration.
    #[must_use]
    pub const fn head_timeout(&self) -> Duration {
        Duration::from_millis(self.head_timeout_ms)
    }

    /// `write_timeout_ms` as a duration.
    #[must_use]
    pub const fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    /// `keep_alive_ms` as a duration.
    #[must_use]
    pub const fn keep_alive(&self) -> Duration {
        Duration::from_millis(self.keep_alive_ms)
    }

    /// `body_timeout_ms` as a duration.
    #[must_use]
    pub const fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// `ready_timeout_ms` as a duration.
    #[must_use]
    pub const fn ready_timeout(&self) -> Duration {
        Duration::from_millis(self.ready_timeout_ms)
    }

    /// Whether only programs of this machine can reach the server. A name other than `localhost` counts as reachable.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.bind.parse::<SocketAddr>() {
            Ok(address) => address.ip().is_loopback(),
            Err(_) => self.bind.rsplit_once(':').is_some_and(|(host, _)| host == "localhost"),
        }
    }
}

/// The JSON channel of programs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiSettings {
    /// What programs must show. While it is empty the channel is open only on the loopback interface.
    pub token: Secret,
    /// The longest text, in Unicode scalar values.
    pub text_max_chars: usize,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self { token: Secret::default(), text_max_chars: 65_536 }
    }
}

/// The chat page.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSettings {
    /// Whether the page is served.
    pub enabled: bool,
    /// Messages of one visitor a minute; 0: no limit.
    pub messages_per_minute: u32,
    /// The longest text of a visitor, in Unicode scalar values.
    pub text_max_chars: usize,
    /// New visitors a minute from one address (behind a proxy: from all); 0: no limit.
    pub visitors_per_minute: u32,
    /// Visitors and addresses whose rate is remembered, at the least; the longest idle ones are forgotten.
    pub remembered_max: usize,
    /// Whether the visitor's cookie is sent over HTTPS only. Over HTTPS it always is.
    pub secure_cookie: bool,
}

impl Default for WebSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            messages_per_minute: 60,
            text_max_chars: 4_096,
            visitors_per_minute: 60,
            remembered_max: 10_000,
            secure_cookie: false,
        }
    }
}

/// The people who supervise.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleSettings {
    /// What they must show. An empty one is replaced when the server starts, by one that is kept beside the database; here an
    /// empty token lets nobody in.
    pub token: Secret,
    /// Who may sign in with a password, by name.
    pub users: BTreeMap<String, User>,
    /// How long somebody stays signed in.
    pub session_ms: u64,
    /// Attempts to sign in a minute from one address (behind a proxy: from all); 0: no limit.
    pub sign_ins_per_minute: u32,
}

impl Default for ConsoleSettings {
    fn default() -> Self {
        Self {
            token: Secret::default(),
            users: BTreeMap::new(),
            session_ms: 12 * 3_600_000,
            sign_ins_per_minute: 10,
        }
    }
}

/// People who answer in the place of the bot.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandoffSettings {
    /// The bot answers again when whoever has taken a conversation over has written nothing for this long.
    pub idle_ms: u64,
}

impl Default for HandoffSettings {
    fn default() -> Self {
        Self { idle_ms: 900_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_count_as_loopback() {
        for (bind, expected) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("localhost:0", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("192.168.1.4:8080", false),
            ("localhost.example.com:80", false),
        ] {
            let settings = ServerSettings { bind: bind.into(), ..ServerSettings::default() };
            assert_eq!(settings.is_loopback(), expected, "{bind}");
        }
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = toml::from_str::<ServerSettings>("bynd = \"x\"").unwrap_err();
        assert!(error.to_string().contains("bynd"), "{error}");
    }
}
